"""Where secrets come from: what the actions need to know of a source, and how each kind of source is surveyed."""
