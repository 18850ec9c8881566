"""Prints what has to exist before a run, from what the environment tells; asks nobody."""
