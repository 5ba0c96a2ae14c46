"""A blog: pages, islands, the key-value store and a guest."""
