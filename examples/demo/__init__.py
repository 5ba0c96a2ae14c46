"""The demo application: a playground for WebAssembly, and a few ordinary routes."""
