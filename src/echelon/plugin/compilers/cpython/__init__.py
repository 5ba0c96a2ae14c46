"""Python scripts, run by CPython as a component."""
