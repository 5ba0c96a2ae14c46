"""The Python web framework with WebAssembly at its core."""
