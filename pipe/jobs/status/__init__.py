"""Shows how keys and targets are, and changes nothing."""
