"""What the pipe does, played in the sandbox by the real pipe and checked from outside."""
