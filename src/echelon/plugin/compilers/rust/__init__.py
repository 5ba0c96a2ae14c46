"""Rust: the compiler of this machine, what it is told, and how its messages read."""
