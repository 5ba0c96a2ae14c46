"""Lists of bools with items of one byte: the same as CPython's, and words again where something else is done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings, strategies
from twice import Both

from echelon.plugin.compilers.python.compiler import translate

in_one_loop = pytest.mark.asyncio(loop_scope="module")

HEAD = """
from dataclasses import dataclass

@dataclass(eq=False, repr=False)
class Board:
    fields: list[bool]
    more: list[list[bool]]

def shown(f: list[bool]) -> str:
    return "".join(["1" if x else "0" for x in f]) + str(len(f))

def some(n: int) -> list[bool] | None:
    return [n > 1, n > 2] if n else None
"""
STEPS = (
    "f = [False] * (n % 9)",
    "f = [True, n > 3] * (n % 4)",
    "f = [x > n for x in range(m % 7)]",
    "f = f + g",
    "f = g[:]",
    "f = f[n:m]",
    "f = g[::-1]",
    "f = g[n::2]",
    "g = f.copy()",
    "g = f",
    "f.append(n > m)",
    "f.extend(g[:3])",
    "f += [True, False]",
    "f[n] = True",
    "f[-1] = n < m",
    "f[n % 5] = not f[m % 5]",
    "f[1:3] = [True]",
    "f[::2] = [False] * len(f[::2])",
    "f[n:m:3] = g[:2]",
    "b = f.pop()",
    "f.clear()",
    "f.reverse()",
    "n = f.count(True)",
    "m = sum(f)",
    "a, b = g",
    "b = all(f) or any(g)",
    "b = b if n in (1, 2) else max(f)",
    "board.fields = f[:6]",
    "board.more.append(f[:4])",
    "board.more[n % 2][m % 2] = True",
    "f = board.fields",
    "d[n % 3] = f[:5]",
    "f = d.get(m % 3, g)[:8]",
    "h = some(n % 4)\nif h is not None: f = h",
    "for i, x in enumerate(f): n += i if x else 1",
    "for x, y in zip(f[:9], g): m += 1 if x is y else 2",
    "for row in board.more: b = row[0]",
    "f, g = g[:7], f[:7]",
)


def program(steps: list[str]) -> str:
    """Return a program of these steps, each of which may raise, that returns all that there is at the end."""
    lines = ["f, g = [True, False], [True] * 3", "h: list[bool] | None = None", "a = b = False"]
    lines += ["board = Board([False] * 4, [[True, False], [False]])", "d: dict[int, list[bool]] = {}"]
    for step in steps:
        lines += ["try:", *(f"    {line}" for line in step.splitlines())]
        lines += ["except Exception as error:", "    log += str(error)"]
    lines.append("rows = '|'.join([shown(row) for row in board.more])")
    lines.append("kept = '|'.join([str(k) + shown(v) for k, v in d.items()])")
    lines.append('return f"{shown(f)} {shown(g)} {shown(board.fields)} {rows} {kept} {a} {b} {n} {m} {log}"')
    body = "\n".join(f"    {line}" for line in ['log = ""', *lines])
    return f"{HEAD}\ndef run(n: int, m: int) -> str:\n{body}\n"


def is_packed(source: str) -> bool:
    made = translate(source, "program.py")
    assert made.wasm is not None, made.diagnostics
    return b"flags." in made.wasm


def test_each_step_alone_is_packed() -> None:
    assert [step for step in STEPS if not is_packed(program([step]))] == []


@pytest.mark.parametrize(
    "other",
    [
        "log += str(f)",
        "f.sort()",
        "b = f == g",
        "f.insert(0, True)",
        "b = True in f",
        "b = {1: f} == d",
        "f[n:] = g[:4]",
    ],
)
def test_what_is_not_known_unpacks(other: str) -> None:
    assert not is_packed(program([*STEPS, other]))


@in_one_loop
async def test_random_steps(both: Callable[[str], Any]) -> None:
    """Programs of random steps, drawn before the loop runs them."""
    drawn: list[list[str]] = []

    @settings(max_examples=250, deadline=None, database=None, derandomize=True)
    @given(strategies.lists(strategies.sampled_from(STEPS), min_size=5, max_size=30))
    def draw(steps: list[str]) -> None:
        drawn.append(steps)

    draw()
    assert len(drawn) > 100
    for steps in drawn:
        run: Both = await both(program(steps))
        for args in ((0, 1), (3, -2), (7, 12)):
            await run.same("run", *args)
        run.module.close()


CROSSING = """
def turned(f: list[bool]) -> list[bool]:
    f.reverse()
    return [*f[:2], not f[0]]

def rows(n: int, given: list[list[bool]]) -> list[list[bool]]:
    given.append([False] * n)
    return given

def pair(f: tuple[list[bool], int], g: list[bool] | None) -> tuple[list[bool], int]:
    return (f[0] if g is None else g, f[1])
"""


@in_one_loop
async def test_across_the_boundary(both: Callable[[str], Any]) -> None:
    assert is_packed(CROSSING)
    run: Both = await both(CROSSING)
    await run.same("turned", [True, False, False])
    await run.same("turned", [True] * 1000)
    await run.same("turned", [])
    await run.same("rows", 3, [[True], [], [False, True]])
    await run.same("pair", ([True], 2), None)
    await run.same("pair", ([True], 2), [False] * 9)
