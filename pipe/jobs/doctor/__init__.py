"""Tries a set-up: a file for each service looks and says what is wrong; `write_probe.py` alone writes, if asked to."""
