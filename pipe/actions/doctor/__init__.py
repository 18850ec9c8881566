"""Tries a set-up by reading alone: what is missing, what does not work, and what is broader than needed."""
