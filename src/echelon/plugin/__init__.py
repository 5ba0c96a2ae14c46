"""Source code in, WebAssembly out: compilers behind one seam, a store of what they made, and plug-ins."""
