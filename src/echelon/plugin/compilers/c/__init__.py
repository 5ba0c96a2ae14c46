"""C, C++ and Zig, by the compilers in the `ziglang` package; `kit/` is what their sources may include."""
