"""The action fleet."""
