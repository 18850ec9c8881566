"""Keyturn: the pipe that keeps Bitbucket's credentials fresh."""

__version__ = "0.1.0"
