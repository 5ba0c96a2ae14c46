"""A hundred thousand mixed calls in two processes: nothing leaks, and no result or error reaches another call."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from soak_work import MIX

from echelon.runtime.limits import MIB

CALLS = 100_000
PROCESSES = 2
THREADS = 4
SLACK = 16 * MIB


async def _process(cache: Path, seed: int) -> dict[str, Any]:
    script = Path(__file__).with_name("soak_work.py")
    arguments = (str(cache), str(CALLS // PROCESSES), str(THREADS), str(seed))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(script),
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()[-4000:]
    result: dict[str, Any] = json.loads(out)
    return result


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_hundred_thousand_calls(tmp_path: Path) -> None:
    """Calls that return, trap, exit, loop, wait, flood, grow, fail or are cancelled all get their own end."""
    results = await asyncio.gather(*(_process(tmp_path, seed) for seed in range(PROCESSES)))
    counted = {kind: sum(result["counted"].get(kind, 0) for result in results) for kind in MIX}
    assert sum(counted.values()) == CALLS
    assert all(counted.values()), counted
    for result in results:
        assert result["left"] == []
        (memory, files, threads), *later = result["held"]
        for number, (resident, descriptors, active) in enumerate(later):
            assert resident < memory + SLACK, (number, result["held"])
            assert descriptors <= files, result["held"]
            assert active <= threads, result["held"]
