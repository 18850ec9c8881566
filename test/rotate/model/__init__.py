"""A model of the world that a rotation lives in, small and fast enough to try every short history."""
