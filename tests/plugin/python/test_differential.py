"""Random programs, by CPython and compiled: the same value, the same exception, or refused with a reason."""

from __future__ import annotations

import asyncio
import copy
import multiprocessing
import os
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import AsyncExitStack
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, seed, settings, strategies
from random_programs import Writer
from random_words import HEADER
from sixty_four_bits import names_of

from echelon.errors import GuestError, Trap
from echelon.plugin.compilers.python.compiler import Translation, translate
from echelon.runtime import binary, signature
from echelon.runtime.core import Runtime
from echelon.runtime.limits import Limits

pytestmark = pytest.mark.timeout(900)

ROUNDS = int(os.environ.get("ECHELON_FUZZ_ROUNDS", "0")) or 10_800
"""Functions in a run, of which one in twenty is written twice."""
FUNCTIONS = 8
"""In one module."""
SHARDS = 13
LEAST_ACCEPTED = 0.96
ARGUMENTS: tuple[tuple[Any, ...], ...] = (
    (3, -2, 2.5, True, "héllo", "a,b", [3, 1, 2], None),
    (0, 7, -0.0, False, "", "😀x", [], 4),
    (-(2**63), 2**62, 1e308, True, "Zz 12", "7", [5, -5, 2**40], 0),
)


@pytest.fixture(scope="module")
def shards() -> Iterator[list[Future[None]]]:
    """The comparisons, under way in a process for each core."""
    processes = ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn"))
    yield [processes.submit(compare_shard, shard) for shard in range(SHARDS)]
    processes.shutdown(cancel_futures=True)


@pytest.mark.parametrize("shard", range(SHARDS))
def test_random_programs(shards: list[Future[None]], shard: int) -> None:
    """Ten thousand functions, each called with three rows of arguments."""
    shards[shard].result()


def compare_shard(shard: int) -> None:
    """Compare the modules of one shard; raises AssertionError with the smallest program that differs."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        runtime = runner.run(stack.enter_async_context(Runtime()))
        reasons = Counter[str]()
        accepted = []

        @seed(shard)
        @settings(
            max_examples=ROUNDS // FUNCTIONS // SHARDS + 1,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(strategies.randoms(use_true_random=True))
        def compare(random: Random) -> None:
            written = dict(Writer(random).functions(FUNCTIONS))
            accepted.append(runner.run(_compare(runtime, written, reasons)))

        compare()
        runner.run(stack.aclose())
    assert sum(accepted) >= ROUNDS / SHARDS * LEAST_ACCEPTED, reasons


async def _compare(runtime: Runtime, written: dict[str, str], reasons: Counter[str]) -> int:
    """Compare the programs of one module, and return how many there were."""
    made, accepted = _accepted(written, reasons)
    source = HEADER + "\n".join(accepted.values())
    assert made.wasm is not None
    assert made.signature is not None
    data = binary.add_custom_section(made.wasm, signature.SECTION, signature.encode(made.signature))
    module = await runtime.load(data, name="random", limits=Limits(time="10s", memory="256MiB"))
    names = names_of(source)
    try:
        for name, text in accepted.items():
            for args in ARGUMENTS:
                expected = _by_python(names[name], args)
                found = await _compiled(module, name, args)
                assert found == expected, f"{name}{args}: {found}, CPython {expected}\n{text}"
    finally:
        module.close()
    return len(accepted)


def _accepted(written: dict[str, str], reasons: Counter[str]) -> tuple[Translation, dict[str, str]]:
    """Compile programs without those that are refused, nor those that call them; count why."""
    left = dict(written)
    while True:
        source = HEADER + "\n".join(left.values())
        made = translate(source, "program.py")
        if made.wasm is not None:
            return made, left
        (problem,) = made.diagnostics
        lines = source.splitlines()
        starts = [line for line in lines[: problem.line] if line.startswith("def f")]
        assert problem.line > 0, problem
        assert starts, problem
        name = starts[-1][4 : starts[-1].index("(")]
        assert name in left, problem
        reasons[problem.message.splitlines()[0]] += 1
        gone = {name}
        del left[name]
        for other, text in list(left.items()):
            if gone & set(re.findall(r"\bf\d+\b", text)):
                gone.add(other)
                del left[other]


def _by_python(function: Any, args: tuple[Any, ...]) -> str:
    try:
        return repr(function(*copy.deepcopy(args)))
    except Exception as exc:
        text = str(exc)
        return f"{type(exc).__name__}: {text}" if text else type(exc).__name__


async def _compiled(module: Any, name: str, args: tuple[Any, ...]) -> str:
    try:
        return repr(await module.call(name, *args))
    except GuestError as error:
        return str(error) if isinstance(error, Trap) and error.code == "exception" else repr(error)
