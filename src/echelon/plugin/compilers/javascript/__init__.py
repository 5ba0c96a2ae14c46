"""JavaScript, run by an engine in a module."""
