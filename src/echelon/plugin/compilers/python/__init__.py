"""Typed Python, compiled to WebAssembly by a compiler of our own."""
