"""Python functions and objects that components import, resources in both directions."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from component_kit import MEMORY, WITH_MEMORY

from echelon.errors import (
    ComponentError,
    ConfigError,
    DeadlineExceeded,
    GuestError,
    HostCallsExceeded,
    HostError,
    LinkError,
)
from echelon.runtime.component import Resource
from echelon.runtime.component.imports import ComponentImports, plain
from echelon.runtime.core import Runtime
from echelon.runtime.limits import Limits

Wat = Callable[[str], bytes]

CALLER = """(component
  (import "acme:shop/prices@1.2.0" (instance $prices
    (export "lookup" (func (param "id" u32) (result u32)))
    (export "note" (func (param "id" u32)))
    (export "risky" (func (param "id" u32) (result (result u32 (error u32)))))))
  (alias export $prices "lookup" (func $lookup))
  (alias export $prices "note" (func $note))
  (alias export $prices "risky" (func $risky))
  (core module $memory (memory (export "memory") 1))
  (core instance $mem (instantiate $memory))
  (core func $lookup' (canon lower (func $lookup)))
  (core func $note' (canon lower (func $note)))
  (core func $risky' (canon lower (func $risky) (memory (core memory $mem "memory"))))
  (core module $m
    (import "h" "lookup" (func $lookup (param i32) (result i32)))
    (import "h" "note" (func $note (param i32)))
    (import "h" "risky" (func $risky (param i32 i32)))
    (import "h" "memory" (memory 1))
    (func (export "twice") (param i32) (result i32)
      (i32.add (call $lookup (local.get 0)) (call $lookup (local.get 0))))
    (func (export "note") (param i32) (result i32) (call $note (local.get 0)) (i32.const 1))
    (func (export "often") (loop $l (call $note (i32.const 0)) (br $l)))
    (func (export "risky") (param i32) (result i32)
      (call $risky (local.get 0) (i32.const 16))
      (i32.or (i32.shl (i32.load8_u (i32.const 16)) (i32.const 16)) (i32.load (i32.const 20)))))
  (core instance $i (instantiate $m (with "h" (instance
    (export "lookup" (func $lookup')) (export "note" (func $note'))
    (export "risky" (func $risky')) (export "memory" (memory $mem "memory"))))))
  (func (export "twice") (param "id" u32) (result u32) (canon lift (core func $i "twice")))
  (func (export "note") (param "id" u32) (result u32) (canon lift (core func $i "note")))
  (func (export "often") (canon lift (core func $i "often")))
  (func (export "risky") (param "id" u32) (result u32) (canon lift (core func $i "risky"))))"""

PRICES = "acme:shop/prices@1.0.0"


def offer(runtime: Runtime, **functions: Callable[..., Any]) -> None:
    """Offer the functions of the interface; those that are not given answer 1."""
    for name in ("lookup", "note", "risky"):
        runtime.component_imports.add(f"{PRICES}#{name}", functions.get(name, lambda _id: 1))


async def test_function(runtime: Runtime, wat: Wat) -> None:
    """A guest calls a Python function with typed values; the calls are counted."""
    offer(runtime, lookup=lambda id: id * 10)
    module = await runtime.load(wat(CALLER))
    outcome = await module.run("twice", 7)
    assert (outcome.value, outcome.cost.host_calls) == (140, 2)


async def test_async_function(runtime: Runtime, wat: Wat) -> None:
    """A coroutine function is awaited while the guest is suspended: a hundred guests wait at the same time."""
    waiting = 0
    all_wait = asyncio.Event()

    async def lookup(id: int) -> int:
        nonlocal waiting
        waiting += 1
        if waiting == 10:
            all_wait.set()
        await all_wait.wait()
        return id

    offer(runtime, lookup=lookup)
    module = await runtime.load(wat(CALLER))
    results = await asyncio.gather(*(module.call("twice", n) for n in range(10)))
    assert results == [2 * n for n in range(10)]


@pytest.mark.parametrize("waits", [False, True])
async def test_failure_reaches_its_own_call(runtime: Runtime, wat: Wat, waits: bool) -> None:
    """What a function raises is the HostError of its call, chained, and of no other call."""

    def broken(id: int) -> int:
        if id % 2:
            raise KeyError(f"price {id}")
        return id

    async def broken_later(id: int) -> int:
        await asyncio.sleep(0)
        return broken(id)

    offer(runtime, lookup=broken_later if waits else broken)
    module = await runtime.load(wat(CALLER))
    results = await asyncio.gather(*(module.call("twice", n) for n in range(40)), return_exceptions=True)
    for n, result in enumerate(results):
        if n % 2:
            assert isinstance(result, HostError)
            assert result.function == "acme:shop/prices@1.2.0#lookup"
            assert f"price {n}" in str(result)
            assert isinstance(result.__cause__, KeyError)
        else:
            assert result == 2 * n


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("value", ["cheap", -1, 2**32, None])
async def test_bad_result(runtime: Runtime, wat: Wat, waits: bool, value: object) -> None:
    """A result that does not fit the import's type stops the guest and says so."""

    async def later(_id: int) -> object:
        return value

    offer(runtime, lookup=later if waits else lambda _id: value)
    module = await runtime.load(wat(CALLER))
    with pytest.raises(HostError, match=r"lookup failed: (TypeError|ValueError): its result: "):
        await module.call("twice", 1)


@pytest.mark.parametrize("waits", [False, True])
async def test_error_case(runtime: Runtime, wat: Wat, waits: bool) -> None:
    """ComponentError is the error case of a function that returns a result; the guest goes on."""

    def risky(id: int) -> int:
        if id > 5:
            raise ComponentError(id + 1)
        return id

    async def risky_later(id: int) -> int:
        return risky(id)

    offer(runtime, risky=risky_later if waits else risky)
    module = await runtime.load(wat(CALLER))
    assert await module.call("risky", 3) == 3
    assert await module.call("risky", 9) == (1 << 16) | 10


async def test_error_case_without_a_result(runtime: Runtime, wat: Wat) -> None:
    """Where there is no error case, ComponentError ends the call."""

    def lookup(_id: int) -> int:
        raise ComponentError("no")

    offer(runtime, lookup=lookup)
    module = await runtime.load(wat(CALLER))
    with pytest.raises(ComponentError) as caught:
        await module.call("twice", 1)
    assert caught.value.payload == "no"


async def test_host_calls_are_bounded(runtime: Runtime, wat: Wat) -> None:
    """The limit on host calls holds."""
    offer(runtime)
    module = await runtime.load(wat(CALLER))
    with pytest.raises(HostCallsExceeded):
        await module.call("often", limits=Limits(host_calls=100))


@pytest.mark.parametrize("waits", [False, True])
async def test_deadline_covers_host_functions(runtime: Runtime, wat: Wat, waits: bool) -> None:
    """A guest that keeps the host busy, or waits for it, is stopped at its deadline."""

    async def forever(_id: int) -> int:
        await asyncio.sleep(3600)
        return 1

    offer(runtime, **({"lookup": forever} if waits else {}))
    module = await runtime.load(wat(CALLER), limits=Limits(time=0.1, host_calls=1_000_000_000))
    with pytest.raises(DeadlineExceeded):
        await (module.call("twice", 1) if waits else module.call("often"))


async def test_functions_run_on_the_loop(runtime: Runtime, wat: Wat) -> None:
    """A plain function is called on the event loop's thread, also by a guest that has long moved to another one."""
    threads = set()

    def note(_id: int) -> None:
        threads.add(threading.current_thread())

    offer(runtime, note=note)
    module = await runtime.load(wat(CALLER), limits=Limits(host_calls=20_000, time=20))
    with pytest.raises(HostCallsExceeded):
        await asyncio.gather(*(module.call("often") for _ in range(3)))
    assert threads == {threading.current_thread()}


async def test_cancel_while_the_host_works(runtime: Runtime, wat: Wat) -> None:
    """Cancelling the call cancels the host function it waits for."""
    cancelled = asyncio.Event()
    begun = asyncio.Event()

    async def forever(_id: int) -> int:
        begun.set()
        try:
            await asyncio.sleep(3600)
        finally:
            cancelled.set()
        return 1

    offer(runtime, lookup=forever)
    module = await runtime.load(wat(CALLER))
    task = asyncio.create_task(module.call("twice", 1))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cancelled.is_set()


def test_names() -> None:
    """A name must be one of an import, and be free."""
    imports = ComponentImports()
    imports.add("acme:x/y@1.0.0#go", print)
    for name in ("", "#go", "acme:x/y@1.0.0#", "acme:x/y@1.9.3#go"):
        with pytest.raises(ConfigError):
            imports.add(name, print)
    with pytest.raises(ConfigError, match="cannot be called"):
        imports.add("acme:x/y@1.0.0#other", 5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "same"),
    [("1.4.2", True), ("1.0.0", True), ("2.0.0", False), ("0.1.0", False)],
)
def test_versions(asked: str, same: bool) -> None:
    """A compatible version is as good as the one that was offered."""
    imports = ComponentImports()
    imports.add("acme:x/y@1.0.0#go", print)
    assert (imports.find(f"acme:x/y@{asked}", "go") is not None) is same


def test_versions_before_one() -> None:
    """Before 1.0 the minor version is what tells compatible ones."""
    assert plain("a:b/c@0.2.3") == plain("a:b/c@0.2.9")
    assert plain("a:b/c@0.2.3") != plain("a:b/c@0.3.0")
    assert plain("a:b/c") == "a:b/c"


# --- resources of a guest ---

COUNTERS = """(component
  (core module $m
    (func (export "get") (param i32) (result i32) (local.get 0))
    (func (export "dtor") (param i32)))
  (core instance $i (instantiate $m))
  (type $c' (resource (rep i32) (dtor (core func $i "dtor"))))
  (export $c "counter" (type $c'))
  (core func $new (canon resource.new $c'))
  (core func $rep (canon resource.rep $c'))
  (core func $drop (canon resource.drop $c'))
  (core module $n
    (import "r" "rep" (func $rep (param i32) (result i32)))
    (import "r" "drop" (func $drop (param i32)))
    (func (export "eat") (param i32) (result i32) (local $v i32)
      (local.set $v (call $rep (local.get 0))) (call $drop (local.get 0)) (local.get $v))
    (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))
  (core instance $j (instantiate $n (with "r" (instance
    (export "rep" (func $rep)) (export "drop" (func $drop))))))
  (func (export "[constructor]counter") (param "start" u32) (result (own $c)) (canon lift (core func $new)))
  (func (export "[method]counter.get") (param "self" (borrow $c)) (result u32) (canon lift (core func $i "get")))
  (func (export "eat") (param "c" (own $c)) (result u32) (canon lift (core func $j "eat")))
  (func (export "sum") (param "a" (borrow $c)) (param "b" (borrow $c)) (result u32)
    (canon lift (core func $j "add"))))"""


async def test_guest_resource(runtime: Runtime, wat: Wat) -> None:
    """A handle is used in its instance, by constructor and method, and given away once."""
    module = await runtime.load(wat(COUNTERS))
    assert "[method]counter.get(self: borrow<counter>) -> u32" in map(str, module.exports())
    async with module.instance() as live:
        counter = await live.call("counter", 41)
        assert isinstance(counter, Resource)
        assert await live.call("counter.get", counter) == 41
        assert await live.call("sum", counter, counter) == 82
        assert await live.call("eat", counter) == 41
        for function in ("counter.get", "eat"):
            with pytest.raises(ValueError, match="this counter is given away"):
                await live.call(function, counter)


async def test_closed_resource(runtime: Runtime, wat: Wat) -> None:
    """A closed handle is refused; closing twice is a no-op."""
    module = await runtime.load(wat(COUNTERS))
    async with module.instance() as live:
        with await live.call("counter", 1) as counter:
            assert not counter.closed
        counter.close()
        assert counter.closed
        with pytest.raises(ValueError, match="this counter is closed"):
            await live.call("counter.get", counter)
        with pytest.raises(GuestError), counter:
            pass


async def test_resource_of_another_instance(runtime: Runtime, wat: Wat) -> None:
    """A handle means nothing to another instance, nor after its own is closed."""
    module = await runtime.load(wat(COUNTERS))
    async with module.instance() as one, module.instance() as two:
        counter = await one.call("counter", 1)
        with pytest.raises(ValueError, match="belongs to another instance"):
            await two.call("counter.get", counter)
    assert counter.closed
    with pytest.raises(ValueError, match="belongs to another instance"):
        await module.call("counter.get", counter)


@pytest.mark.parametrize("value", [5, None, "counter", object()], ids=str)
async def test_not_a_resource(runtime: Runtime, wat: Wat, value: object) -> None:
    """Only a handle is accepted where one is wanted."""
    module = await runtime.load(wat(COUNTERS))
    async with module.instance() as live:
        with pytest.raises(TypeError, match=r"\(self\): expected borrow<counter>"):
            await live.call("counter.get", value)


# --- resources of the host ---

FILES = f"""(component
  (import "acme:disk/files@1.0.0" (instance $files
    (export "file" (type $file (sub resource)))
    (export "[constructor]file" (func (param "name" string) (result (own $file))))
    (export "[method]file.size" (func (param "self" (borrow $file)) (result u32)))
    (export "[static]file.most" (func (result u32)))))
  (alias export $files "file" (type $file))
  (alias export $files "[constructor]file" (func $open))
  (alias export $files "[method]file.size" (func $size))
  (alias export $files "[static]file.most" (func $most))
  {MEMORY}
  (core func $open' (canon lower (func $open) {WITH_MEMORY}))
  (core func $size' (canon lower (func $size)))
  (core func $most' (canon lower (func $most)))
  (core func $drop (canon resource.drop $file))
  (core module $m
    (import "h" "open" (func $open (param i32 i32) (result i32)))
    (import "h" "size" (func $size (param i32) (result i32)))
    (import "h" "most" (func $most (result i32)))
    (import "h" "drop" (func $drop (param i32)))
    (func (export "measure") (param i32 i32) (result i32) (local $f i32) (local $n i32)
      (local.set $f (call $open (local.get 0) (local.get 1)))
      (local.set $n (i32.add (call $size (local.get $f)) (call $most)))
      (call $drop (local.get $f)) (local.get $n))
    (func (export "keep") (param i32 i32) (result i32) (call $open (local.get 0) (local.get 1)))
    (func (export "hoard") (param i32 i32)
      (loop $l (drop (call $open (local.get 0) (local.get 1))) (br $l)))
    (func (export "size") (param i32) (result i32) (local $n i32)
      (local.set $n (call $size (local.get 0))) (call $drop (local.get 0)) (local.get $n))
    (func (export "forge") (param i32) (result i32) (call $size (local.get 0)))
    (func (export "twice") (param i32 i32) (local $f i32)
      (local.set $f (call $open (local.get 0) (local.get 1)))
      (call $drop (local.get $f)) (call $drop (local.get $f))))
  (core instance $i (instantiate $m (with "h" (instance
    (export "open" (func $open')) (export "size" (func $size')) (export "most" (func $most'))
    (export "drop" (func $drop))))))
  (func (export "measure") (param "name" string) (result u32)
    (canon lift (core func $i "measure") {WITH_MEMORY}))
  (func (export "keep") (param "name" string) (result u32) (canon lift (core func $i "keep") {WITH_MEMORY}))
  (func (export "hoard") (param "name" string) (canon lift (core func $i "hoard") {WITH_MEMORY}))
  (func (export "forge") (param "handle" u32) (result u32) (canon lift (core func $i "forge")))
  (func (export "twice") (param "name" string) (canon lift (core func $i "twice") {WITH_MEMORY}))
  (func (export "size") (param "file" (borrow $file)) (result u32) (canon lift (core func $i "size"))))"""


class File:
    """A resource of the host that counts its openings and closings."""

    opened = closed = 0

    def __init__(self, name: str) -> None:
        self.name = name
        type(self).opened += 1

    def size(self) -> int:
        return len(self.name)

    @staticmethod
    def most() -> int:
        return 100

    def close(self) -> None:
        type(self).closed += 1


@pytest.fixture
def file_class(runtime: Runtime) -> type[File]:
    class Own(File):
        opened = closed = 0

    runtime.component_imports.add("acme:disk/files@1.0.0#file", Own)
    return Own


async def test_host_resource(runtime: Runtime, wat: Wat, file_class: type[File]) -> None:
    """A class is a resource: the guest constructs, uses and drops it, which closes it."""
    module = await runtime.load(wat(FILES))
    assert await module.call("measure", "abc") == 103
    assert (file_class.opened, file_class.closed) == (1, 1)


async def test_host_resource_that_is_kept(runtime: Runtime, wat: Wat, file_class: type[File]) -> None:
    """What the guest still holds at its end is closed then."""
    module = await runtime.load(wat(FILES))
    async with module.instance() as live:
        await live.call("keep", "a")
        await live.call("keep", "b")
        assert (file_class.opened, file_class.closed) == (2, 0)
    await runtime.drained()
    assert file_class.closed == 2


async def test_host_resource_as_argument(runtime: Runtime, wat: Wat, file_class: type[File]) -> None:
    """An object of the host is lent to a guest as an argument."""
    module = await runtime.load(wat(FILES))
    file = file_class("four")
    assert await module.call("size", file) == 4


async def test_resource_of_several_names(runtime: Runtime, wat: Wat, file_class: type[File]) -> None:
    """A resource that goes by a second name, or is used by another interface, is the one that was offered."""
    text = """(component
      (import "acme:disk/files@1.0.0" (instance $files
        (export "file" (type $file (sub resource)))
        (export "document" (type $document (eq $file)))
        (export "[method]file.size" (func (param "self" (borrow $file)) (result u32)))))
      (alias export $files "document" (type $document))
      (import "acme:disk/sizes@1.0.0" (instance $sizes
        (export "file" (type $file (eq $document)))
        (export "twice" (func (param "file" (borrow $file)) (result u32)))))
      (alias export $files "[method]file.size" (func $size))
      (alias export $sizes "twice" (func $twice))
      (core func $size' (canon lower (func $size)))
      (core func $twice' (canon lower (func $twice)))
      (core func $drop (canon resource.drop $document))
      (core module $m
        (import "h" "size" (func $size (param i32) (result i32)))
        (import "h" "twice" (func $twice (param i32) (result i32)))
        (import "h" "drop" (func $drop (param i32)))
        (func (export "f") (param i32) (result i32) (local $n i32)
          (local.set $n (i32.add (call $size (local.get 0)) (call $twice (local.get 0))))
          (call $drop (local.get 0)) (local.get $n)))
      (core instance $i (instantiate $m (with "h" (instance
        (export "size" (func $size')) (export "twice" (func $twice')) (export "drop" (func $drop))))))
      (func (export "f") (param "file" (own $document)) (result u32) (canon lift (core func $i "f"))))"""
    runtime.component_imports.add("acme:disk/sizes@1.0.0#twice", lambda file: 2 * file.size())
    module = await runtime.load(wat(text))
    assert await module.call("f", file_class("four")) == 12
    assert file_class.closed == 1


async def test_hoarding(runtime: Runtime, wat: Wat, file_class: type[File]) -> None:
    """A guest cannot hold objects of the host without end; all are closed with it."""
    module = await runtime.load(wat(FILES), limits=Limits(host_calls=100_000, time=20))
    with pytest.raises(GuestError, match="holds more than 10000 objects"):
        await module.call("hoard", "x")
    await runtime.drained()
    # The constructor of the one too many has run, but its object was never handed out.
    assert file_class.opened - file_class.closed == 1


@pytest.mark.parametrize(("function", "argument"), [("forge", 0), ("forge", 77), ("twice", "x")])
async def test_forged_handle(
    runtime: Runtime, wat: Wat, file_class: type[File], function: str, argument: Any
) -> None:
    """A handle that the guest made up, or has dropped, stops it."""
    module = await runtime.load(wat(FILES))
    with pytest.raises(GuestError):
        await module.call(function, argument)


async def test_missing_method(runtime: Runtime, wat: Wat) -> None:
    """A class without a method that the guest wants is a LinkError that names it."""

    class Half:
        def __init__(self, name: str) -> None: ...

    runtime.component_imports.add("acme:disk/files@1.0.0#file", Half)
    with pytest.raises(LinkError, match=r"\[method\]file\.size.*\[static\]file\.most"):
        await runtime.load(wat(FILES))
