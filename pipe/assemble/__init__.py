"""Makes actions out of settings."""
