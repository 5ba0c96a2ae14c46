"""Fuzz one target by coverage: `python tests/fuzz/atheris_runtime.py TARGET [-max_total_time=60] [CORPUS…]`.

Needs the package `atheris`, which is not installed with Echelon; without it this says so and ends with status 0.
The other arguments are libFuzzer's. What is found is kept as a file `crash-…`; see docs/fuzzing.md.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any


def _load_atheris() -> Any:
    try:
        import atheris
    except ImportError:
        return None
    return atheris


def main(arguments: Sequence[str]) -> int:
    """Fuzz the target that the first argument names."""
    atheris = _load_atheris()
    if atheris is None:
        print("atheris is not installed, nothing was fuzzed: pip install atheris", file=sys.stderr)
        return 0
    with atheris.instrument_imports(include=["echelon.runtime", "echelon.kv.v8", "fuzz_targets"]):
        import fuzz_targets
    targets: dict[str, Callable[[bytes], object]] = fuzz_targets.TARGETS
    if len(arguments) < 2 or arguments[1] not in targets:
        print(f"usage: {arguments[0]} {'|'.join(targets)} [libFuzzer's options]", file=sys.stderr)
        return 2
    atheris.Setup([arguments[0], *arguments[2:]], lambda data: targets[arguments[1]](bytes(data)))
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
