"""Bytes from which an appendix is to be made: whatever they are, it is a valid one or none, in little time."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from component_kit import LEDGER, WITH_LEDGER, bytes_kit, keeper, named

from echelon.errors import InvalidModule, LoadError
from echelon.runtime.binary import COMPONENT_MAGIC, leb
from echelon.runtime.component import appendix, layout
from echelon.runtime.component.appendix import Appendix
from echelon.runtime.core import Runtime

Wat = Callable[[str], bytes]

DIGEST = "sha256:" + "ab" * 32
BLOB = named("blob", '(record (field "name" string) (field "data" (list u8)))')
SAMPLE = bytes_kit(interface=True)


def appended(data: bytes) -> Appendix:
    modules: dict[int, layout.ModuleInfo] = {}
    layout.read(data, 4, modules)
    return appendix.write(data, DIGEST, modules)


def test_what_is_appended(wat: Wat) -> None:
    """There is a form with functions, and one of memories alone, which is how it begins."""
    made = appended(wat(SAMPLE))
    assert list(made.functions) == ["acme:bytes/ops@1.0.0#go"]
    assert [memory.reserved for memory in made.memories] == [f"echelon-x{'ab' * 16}-m0"]
    [(begin, end, most)], [(_, _, least)] = made.forms
    assert begin == end == len(wat(SAMPLE))
    assert most.startswith(least)


def test_nothing_to_append(wat: Wat) -> None:
    """A component without a memory gets nothing, one without lists gets its memory made reachable."""
    assert appended(wat("(component)")) == Appendix()
    made = appended(
        wat('(component (core module $m (memory (export "m") 1)) (core instance (instantiate $m)))')
    )
    assert (len(made.forms), dict(made.functions)) == (1, {})


UNFAMILIAR = {
    "a core type inside a type": """(component {ledger}
      (type (component (core type (module)) (import "m" (core module (type 0))))))""",
    "a module from outside": """(component {ledger} (import "m" (core module $x)) (core instance (instantiate $x)))""",
}


@pytest.mark.parametrize("name", UNFAMILIAR)
def test_unfamiliar(name: str, wat: Wat) -> None:
    """What is not understood makes no error."""
    appended(wat(UNFAMILIAR[name].format(ledger=LEDGER)))


ALIASES = f"""(component
  (import "acme:x/types@1.0.0" (instance $types
    (type $blob' (record (field "data" (list u8)) (field "more" (option (list u16)))))
    (export "blob" (type $blob (eq $blob')))
    (type $many' (list $blob))
    (export "many" (type $many (eq $many')))
    (export "thing" (type (sub resource)))))
  (alias export $types "many" (type $many))
  (alias export $types "blob" (type $blob))
  (alias export $types "thing" (type $thing))
  (alias outer 0 $many (type $same))
  (type (instance
    (alias outer 1 $same (type $m))
    (export "inner" (instance (export "again" (type (eq $m)))))
    (export "f" (func (param "x" $m) (result $m)))))
  {LEDGER}
  (func $go (param "x" $same) (result $many) (canon lift (core func $i "pair") {WITH_LEDGER}))
  (instance $named (export "many" (type $many)) (export "go" (func $go)))
  (export "acme:x/ops@1.0.0" (instance $named))
  (func (export "first") (param "x" (option $blob)) (param "y" (list u8)) (result $many)
    (canon lift (core func $i "first") {WITH_LEDGER})))"""


async def test_aliases(runtime: Runtime, wat: Wat) -> None:
    """Types are followed through aliases, to instances and to what is outside, and back."""
    text = ALIASES.replace(
        '(func (export "length")',
        """(func (export "first") (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
          (i32.store (i32.const 16) (i32.const 0)) (i32.store (i32.const 20) (i32.const 0)) (i32.const 16))
        (func (export "length")""",
    )

    class Thing:
        pass

    runtime.component_imports.add("acme:x/types@1.0.0#thing", Thing)
    module = await runtime.load(wat(text))
    assert {name for name, plan in module._ready.own_plans.items() if plan.second} == {
        "acme:x/ops@1.0.0#go",
        "first",
    }
    blobs = [{"data": bytes(range(256)), "more": [1, 65535] * 200}, {"data": b"", "more": None}]
    assert await module.call("go", blobs) == blobs
    assert await module.call("first", blobs[0], b"x" * 500) == []


async def test_changed_bytes(runtime: Runtime, wat: Wat) -> None:
    """A component with a few bytes changed gets an appendix or none, and is refused or loaded as without it."""
    draw, loaded = random.Random(5), 0
    for text in (SAMPLE, keeper("(tuple $blob (list (list u8)))", BLOB)):
        sample = wat(text)
        for round_ in range(1000):
            data = bytearray(sample)
            for _ in range(draw.randint(1, 3)):
                data[draw.randrange(8, len(data))] = draw.randrange(256)
            try:
                made = appended(bytes(data))
            except InvalidModule:
                continue
            assert len(made.forms) <= 2
            if round_ % 20:
                continue
            try:
                module = await runtime.load(bytes(data))
            except LoadError:
                continue
            module.close()
            loaded += 1
    assert loaded


def test_truncated(wat: Wat) -> None:
    """A component that ends anywhere gets an appendix or none."""
    sample = wat(SAMPLE)
    for end in range(8, len(sample)):
        modules: dict[int, layout.ModuleInfo] = {}
        try:
            layout.read(sample[:end], 4, modules)
        except InvalidModule:
            modules = {}
        appendix.write(sample[:end], DIGEST, modules)


def section(number: int, content: bytes) -> bytes:
    return bytes([number]) + leb(len(content)) + content


def component(*sections: bytes) -> bytes:
    return COMPONENT_MAGIC + b"".join(sections)


HOSTILE = {
    "deep types": component(*(section(7, b"\x01\x70" + (leb(n - 1) if n else b"\x7d")) for n in range(3000))),
    "nested types": component(section(7, b"\x01" + b"\x42\x01\x01" * 30_000 + b"\x7d")),
    "itself": component(section(7, b"\x01\x70\x00")),
    "far outside": component(section(7, b"\x01\x42\x01\x02\x03\x02\xff\xff\xff\xff\x0f\x00")),
    "outer alias": component(section(6, b"\x01\x03\x02\x05\x00")),
    "many fields": component(section(7, b"\x01\x72\xff\xff\xff\xff\x0f")),
    "no such lift": component(section(11, b"\x01\x00\x01a\x01\x07\x00")),
    "no such memory": component(
        section(7, b"\x02\x70\x7d\x40\x01\x01a\x00\x00\x00"),
        section(8, b"\x01\x00\x00\x00\x02\x03\x09\x04\x09\x01"),
        section(11, b"\x01\x00\x01a\x01\x00\x00"),
    ),
    "no such core instance": component(section(6, b"\x01\x00\x02\x01\x63\x01m")),
    "no such component": component(section(5, b"\x01\x00\x05\x00")),
    "negative": component(section(7, b"\x01\x70\x41")),
    "later canonical": component(section(8, b"\x01\x7f\x00\x00")),
    "later option": component(section(8, b"\x01\x00\x00\x00\x01\x55\x00")),
    "names in a ring": component(
        section(4, component(section(11, b"\x01\x00\x01a\x01\x00\x00"))),
        section(5, b"\x01\x00\x00\x00"),
        section(11, b"\x01\x00\x01a\x05\x00\x00"),
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile(name: str) -> None:
    """What is made to be followed without end, or to where nothing is, gets no appendix."""
    assert appendix.write(HOSTILE[name], DIGEST, {}) == Appendix()


async def test_many_functions(runtime: Runtime, wat: Wat) -> None:
    """A component with more functions than get a second form is loaded, and all of them work."""
    functions = "".join(
        f"""(func (export "f{n}") (param "x" (list u8)) (result (list u8))
          (canon lift (core func $i "pair") {WITH_LEDGER}))"""
        for n in range(1_010)
    )
    module = await runtime.load(wat(f"(component {LEDGER} {functions})"))
    plans = module._ready.own_plans
    assert sum(plan.second is not None for plan in plans.values()) == appendix.MAX_FUNCTIONS
    data = bytes(300)
    assert await module.call("f0", data) == await module.call("f1009", data) == data


async def test_export_twice(runtime: Runtime, wat: Wat) -> None:
    """A function that is exported under several names has a second form under each."""
    text = f"""(component {LEDGER}
      (func $go (param "x" (list u8)) (result (list u8)) (canon lift (core func $i "pair") {WITH_LEDGER}))
      (export $a "a" (func $go)) (export "b" (func $a))
      (instance $both (export "c" (func $a)) (export "d" (func $go)))
      (export $one "acme:x/one@1.0.0" (instance $both)) (export "acme:x/two@1.0.0" (instance $one)))"""
    module = await runtime.load(wat(text))
    plans = module._ready.own_plans
    assert len(plans) == 6
    assert all(plan.second is not None for plan in plans.values())
    for name in plans:
        assert await module.call(name, b"x" * 200) == b"x" * 200
