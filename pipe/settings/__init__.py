"""The table of variables, and how their values are read and checked."""
