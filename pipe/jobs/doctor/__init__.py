"""Tries a set-up: `observe_*.py` look, `check_*.py` say what is wrong; `write_probe.py` alone writes, if asked to."""
