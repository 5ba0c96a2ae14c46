"""From the typed tree to code of WebAssembly."""
