"""Tries a set-up: a file each for AWS, Bitbucket, the OIDC token and the sources; `write_probe.py` alone writes."""
