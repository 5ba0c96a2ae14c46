"""The memories of components: what a call cost of them, and how they are reached."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from component_kit import bytes_kit

from echelon.errors import EchelonError, Trap
from echelon.runtime.core import Runtime
from echelon.runtime.limits import PAGE, Limits

Wat = Callable[[str], bytes]


def grower(memories: int, pages: int = 1) -> str:
    """A component of several modules that each have a memory, which one function each grows."""
    parts = "".join(
        f"""(core instance $i{n} (instantiate $m))
        (func (export "grow{n}") (param "pages" u32) (result s32) (canon lift (core func $i{n} "grow")))
        (func (export "fail{n}") (param "pages" u32) (canon lift (core func $i{n} "fail")))"""
        for n in range(memories)
    )
    return f"""(component (core module $m (memory (export "memory") {pages})
      (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
      (func (export "fail") (param i32) (drop (memory.grow (local.get 0))) (unreachable))) {parts})"""


@pytest.mark.parametrize("memories", [1, 2, 4])
async def test_cost(runtime: Runtime, wat: Wat, memories: int) -> None:
    """The cost of a call tells the size that all memories have grown to together."""
    module = await runtime.load(wat(grower(memories)))
    for pages in (0, 1, 20):
        outcome = await module.run(f"grow{memories - 1}", pages)
        assert (outcome.value, outcome.cost.memory) == (1, (memories + pages) * PAGE)


async def test_cost_of_a_kept_instance(runtime: Runtime, wat: Wat) -> None:
    """A kept instance's memories are those that all its calls left."""
    module = await runtime.load(wat(grower(2)))
    async with module.instance() as live:
        assert (await live.run("grow0", 3)).cost.memory == 5 * PAGE
        assert (await live.run("grow1", 4)).cost.memory == 9 * PAGE
        assert (await live.run("grow0", 0)).cost.memory == 9 * PAGE


async def test_cost_of_a_failure(runtime: Runtime, wat: Wat) -> None:
    """A call that failed cost what it had grown to when it did."""
    module = await runtime.load(wat(grower(1)))
    with pytest.raises(Trap) as caught:
        await module.call("fail0", 7)
    assert caught.value.outcome is not None
    assert caught.value.outcome.cost.memory == 8 * PAGE


async def test_shared_memory_counts_once(runtime: Runtime, wat: Wat) -> None:
    """A memory that several modules of a component use, and export again, is counted once."""
    text = """(component
      (core module $a (memory (export "one") 3))
      (core module $b (import "a" "one" (memory 1)) (export "two" (memory 0))
        (func (export "f") (result i32) (memory.size)))
      (core instance $a (instantiate $a))
      (core instance $b (instantiate $b (with "a" (instance $a))))
      (alias core export $b "two" (core memory $two))
      (core instance $named (export "one" (memory $two)))
      (core instance $c (instantiate $b (with "a" (instance $named))))
      (func (export "pages") (result u32) (canon lift (core func $c "f"))))"""
    outcome = await (await runtime.load(wat(text))).run("pages")
    assert (outcome.value, outcome.cost.memory) == (3, 3 * PAGE)


async def test_no_memory(runtime: Runtime, wat: Wat) -> None:
    """A component without a memory costs none, and neither does one whose memories no module exports."""
    for memory in ("", "(memory 3)"):
        text = f"""(component (core module $m {memory} (func (export "f")))
          (core instance $i (instantiate $m)) (func (export "f") (canon lift (core func $i "f"))))"""
        assert (await (await runtime.load(wat(text))).run("f")).cost.memory == 0


async def test_failing_start(runtime: Runtime, wat: Wat) -> None:
    """An instance that never came to be is not asked for its memories."""
    text = """(component
      (core module $m (memory (export "memory") 1) (func $s (unreachable)) (start $s) (func (export "f")))
      (core instance $i (instantiate $m)) (func (export "f") (canon lift (core func $i "f"))))"""
    module = await runtime.load(wat(text))
    for _ in range(3):
        with pytest.raises(Trap):
            await module.run("f")


async def test_number_of_the_core_instance(runtime: Runtime, wat: Wat) -> None:
    """Core instances are numbered in the order in which they are made, in every store alike, behind one of the engine.

    This is what the engine does not promise and Echelon relies on: without it, the process would be ended.
    """
    module = await runtime.load(wat(grower(3)))
    for _ in range(3):
        async with module.instance() as live:
            assert (await live.run("grow0", 0)).cost.memory == 3 * PAGE
            linked = live._instance.linked
            assert list(linked.places.values()) == [(1, 0), (2, 0), (3, 0)]


@pytest.mark.parametrize("inner", [0, 1, 5])
async def test_other_instances_before(runtime: Runtime, wat: Wat, inner: int) -> None:
    """The memory is found behind whatever was instantiated before it, also inside other components."""
    parts = "(instance (instantiate $c))" * inner
    nested = """(component $c
      (core module $m (func (export "echelon-m0") (result i32) (i32.const 1)))
      (core instance (instantiate $m)) (core instance (instantiate $m)))"""
    text = grower(2).replace("(component", f"(component {nested} {parts}", 1)
    module = await runtime.load(wat(text))
    for _ in range(2):
        assert (await module.run("grow1", 2)).cost.memory == 4 * PAGE


async def test_as_many_instances_as_there_may_be(runtime: Runtime, wat: Wat) -> None:
    """A component of as many core instances as one may have still works with what is added to it."""
    empty = "(core instance (instantiate $e))" * 63
    text = f"""(component (core module $e) {empty} {bytes_kit().removeprefix("(component")}"""
    module = await runtime.load(wat(text))
    assert (await module.run("go", b"x" * 1000)).value == b"x" * 1000


async def test_deterministic_and_fuel(runtime: Runtime, wat: Wat) -> None:
    """The memories are found in every kind of pool."""
    module = await runtime.load(wat(grower(1)))
    assert (await module.run("grow0", 1, limits=Limits(fuel=1000))).cost.memory == 2 * PAGE
    assert (await module.run("grow0", 1, seed=7)).cost.memory == 2 * PAGE
    assert (await module.run("grow0", 1, limits=Limits(stack=1 << 20))).cost.memory == 2 * PAGE


async def test_closed_instance(runtime: Runtime, wat: Wat) -> None:
    """A memory cannot be read once its instance is closed."""
    module = await runtime.load(wat(grower(1)))
    async with module.instance() as live:
        instance = live._instance
        memory = instance.memory_at(0)
        assert memory.size == PAGE
    with pytest.raises(EchelonError, match="the instance is closed"):
        _ = memory.size
