"""The page of a run, looked at in a browser."""
