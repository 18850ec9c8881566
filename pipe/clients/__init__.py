"""One service each, and one third-party library each."""
