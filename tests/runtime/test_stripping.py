"""Leaving custom sections out of modules and components."""

from __future__ import annotations

import pytest

from echelon.errors import InvalidModule
from echelon.plugin.compilers.wat import assemble
from echelon.runtime import binary, stripping

MODULE = assemble('(module (func $f (export "f")) (@custom "x" (before type) "abc") (@custom "x" "def"))')


def all_x(name: str) -> bool:
    return name == "x"


def test_every_section_of_the_name_goes() -> None:
    """Wherever they stand; the rest is byte for byte what it was."""
    bare = stripping.without(MODULE, all_x)
    assert bare == assemble('(module (func $f (export "f")))')
    assert stripping.without(bare, all_x) is bare


def test_in_place_keeps_what_stands_before_the_code() -> None:
    """No byte of the code moves."""
    found = stripping.without(MODULE, all_x, in_place=True)
    assert binary.parse(found).bodies == binary.parse(MODULE).bodies
    assert (found.count(b"abc"), found.count(b"def")) == (1, 0)


def test_modules_in_components() -> None:
    """A component's modules lose theirs, at any depth, and the component stays valid."""
    text = '(component (component (core module $m (func $f (export "f")) (@custom "x" "abc"))) (core module))'
    wasm = assemble(text)
    assert (wasm.count(b"abc"), b"name" in wasm) == (1, True)
    bare = stripping.without(wasm, lambda name: name == "x" or name in stripping.NAMES)
    assert b"abc" not in bare
    assert b"name" not in bare
    assert bare == assemble('(component (component (core module (func (export "f")))) (core module))')


@pytest.mark.parametrize(
    "wasm", [MODULE[:-1], MODULE + b"\0", MODULE + b"\0\xff\xff\xff\xff\x0f", b"\0asm\1\0\0\0\0\0"]
)
def test_torn_modules(wasm: bytes) -> None:
    """What does not add up is refused, not cut."""
    with pytest.raises(InvalidModule):
        stripping.without(wasm, all_x)


@pytest.mark.parametrize(
    ("name", "with_names", "plain", "for_debuggers"),
    [
        ("name", False, True, False),
        (".debug_line", False, True, False),
        (".debug_info", True, True, False),
        ("sourceMappingURL", True, True, False),
        ("producers", False, False, False),
        ("echelon:signature", False, False, False),
    ],
)
def test_what_is_wanted(name: str, with_names: bool, plain: bool, for_debuggers: bool) -> None:
    """Names and lines for errors, all of it for debuggers, nothing of it otherwise."""
    assert stripping.unwanted(name, names=True, debug=False) is with_names
    assert stripping.unwanted(name, names=False, debug=False) is plain
    assert stripping.unwanted(name, names=True, debug=True) is for_debuggers
