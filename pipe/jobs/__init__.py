"""The jobs that ACTION names, one folder each."""
