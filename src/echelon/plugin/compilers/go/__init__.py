"""Go, compiled to WASI reactors."""
