"""Which modules stay loaded."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from echelon.console.shelf import Shelf


@dataclass
class Fake:
    """What a shelf sees of a module: its size, and that it can be closed."""

    size: int = 10
    closed: int = 0

    def close(self) -> None:
        self.closed += 1


def loading(module: Fake) -> Callable[[], Awaitable[Any]]:
    async def load() -> Any:
        return module

    return load


async def put(shelf: Shelf, key: str, module: Fake) -> None:
    async with shelf.borrow(key, loading(module)):
        pass


async def test_a_module_is_loaded_once() -> None:
    """A second borrower gets the module that is there."""
    shelf, module = Shelf(), Fake()
    for fresh in (module, Fake(), Fake()):
        async with shelf.borrow("a", loading(fresh)) as got:
            assert got is module
    assert module.closed == 0


async def test_the_least_recently_used_goes_first() -> None:
    """Above the number of modules, the one that was not used for longest is closed."""
    shelf = Shelf(modules=2)
    a, b, c = Fake(), Fake(), Fake()
    await put(shelf, "a", a)
    await put(shelf, "b", b)
    await put(shelf, "a", a)
    await put(shelf, "c", c)
    assert (a.closed, b.closed, c.closed) == (0, 1, 0)
    assert len(shelf) == 2


async def test_the_size_is_bounded_too() -> None:
    """Modules are closed until their bytes fit, except the one that was just asked for."""
    shelf = Shelf(size=100)
    small, large = [Fake(40), Fake(40)], Fake(200)
    for place, module in enumerate(small):
        await put(shelf, str(place), module)
    await put(shelf, "large", large)
    assert [module.closed for module in small] == [1, 1]
    assert (large.closed, len(shelf)) == (0, 1)
    await put(shelf, "next", Fake(10))
    assert large.closed == 1


async def test_a_borrowed_module_stays_open() -> None:
    """A module that somebody uses is closed when the last of them gives it back."""
    shelf, module = Shelf(modules=1), Fake()
    async with shelf.borrow("a", loading(module)):
        async with shelf.borrow("a", loading(module)):
            await put(shelf, "b", Fake())
            assert module.closed == 0
        assert module.closed == 0
    assert module.closed == 1


async def test_two_that_load_the_same_module() -> None:
    """When two load one module at the same time, one of the two is closed and the other shared."""
    shelf, gate = Shelf(), asyncio.Event()
    modules = [Fake(), Fake()]

    async def use(module: Fake) -> Any:
        async def load() -> Any:
            await gate.wait()
            return module

        async with shelf.borrow("a", load) as got:
            return got

    tasks = [asyncio.create_task(use(module)) for module in modules]
    await asyncio.sleep(0)
    gate.set()
    first, second = await asyncio.gather(*tasks)
    assert first is second
    assert sorted(module.closed for module in modules) == [0, 1]


async def test_a_failed_load_leaves_nothing() -> None:
    """What cannot be loaded is tried again the next time."""
    shelf, module = Shelf(), Fake()

    async def fail() -> Any:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        async with shelf.borrow("a", fail):
            pass
    async with shelf.borrow("a", loading(module)) as got:
        assert got is module


async def test_an_error_of_the_borrower_gives_back() -> None:
    """A call that fails gives its module back like any other."""
    shelf, module = Shelf(), Fake()
    with pytest.raises(RuntimeError):
        async with shelf.borrow("a", loading(module)):
            raise RuntimeError
    shelf.close()
    assert module.closed == 1


async def test_closing_twice_is_a_no_op() -> None:
    """A closed shelf is empty, and closes nothing a second time."""
    shelf, module = Shelf(), Fake()
    await put(shelf, "a", module)
    shelf.close()
    shelf.close()
    assert (module.closed, len(shelf)) == (1, 0)
