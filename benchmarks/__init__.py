"""The benchmarks: Echelon beside named peers, measured in turn in one run. See `docs/benchmarks.md`."""
