"""The command line: `echelon run, build, call, inspect, config, doctor, kv, toolchain, new`."""

from echelon.cli.program import main as main

__all__ = ["main"]
