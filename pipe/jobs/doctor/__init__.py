"""Tries a set-up by reading alone: `observe_*.py` look, `check_*.py` say what is missing or does not work."""
