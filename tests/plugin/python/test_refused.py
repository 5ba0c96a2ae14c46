"""What is refused: each program with the place, what was found there and what to write instead."""

from __future__ import annotations

import pytest

from echelon.plugin.compilers.python.compiler import translate

PROGRAMS = r"""
import random
#! 1:1 the module random is not there in WebAssembly; there are math, dataclasses, typing
---
from math import *
#! 1:1 everything of a module is imported; name what is needed
---
from math import factorials
#! 1:1 math.factorials is not known here; did you mean factorial?
---
from . import other
#! 1:1 the module . is not there in WebAssembly; there are math, dataclasses, typing
---
import os.path
#! 1:1 the module os.path is not there in WebAssembly; there are math, dataclasses, typing
---
print("hello")
#! 1:1 the module does something when it is imported; move it into a function
---
N = [1, 2]
#! 1:5 N is no constant; numbers, texts, bytes and tuples of them are; make other values in a function
---
A, B = 1, 2
#! 1:1 this is assigned when the module is imported; assign constants to single names
---
N: int
#! 1:1 a name of the module has no value; give it one
---
N = 1.5
X: float = 1
#! 2:12 X is an int and annotated as float; write 1.0
---
def f() -> int:
    return 1
f = 5
#! 1:1 f is defined twice; give one of them another name
---
def f() -> int:
    return 1

def f() -> int:
    return 2
#! 4:1 f is defined twice; give one of them another name
---
def memory() -> int:
    return 1
#! 1:1 the name memory belongs to the module that is made; use another name
---
def f(*args: int) -> int:
    return 1
#! 1:8 the function takes as many arguments as there are; take a list
---
def f(**kw: int) -> int:
    return 1
#! 1:9 the function takes as many arguments as there are; take a list
---
def f(a) -> int:
    return 1
#! 1:7 the parameter a has no type; write a: int, or whatever it is
---
def f(a: list) -> int:
    return 1
#! 1:10 list does not say what it holds; write for example list[int]
---
def f(a: Decimal) -> int:
    return 1
#! 1:10 Decimal is no type known here; there are int, float, bool, str, bytes, list, tuple, dict, set…
---
def f(a: int | str) -> int:
    return 1
#! 1:10 int | str is either of two types; only T | None can be compiled
---
def f(a: dict[list[int], int]) -> int:
    return 1
#! 1:15 list[int] cannot be a key; use int, str, a tuple of them, or a frozen dataclass
---
def f(a: None) -> int:
    return 1
#! 1:7 the parameter a can only be None
---
def f(a: int = len("x")) -> int:
    return a
#! 1:16 a default is no constant; use None, and make the value in the function
---
def f(a: list[int] = []) -> int:
    return 1
#! 1:22 a default is no constant; use None, and make the value in the function
---
def f(a: int) -> int:
    global N
    return a
#! 2:5 a global is changed; pass it as a parameter and return it
---
def f(a: int) -> int:
    nonlocal_ = a
    def g() -> int:
        return nonlocal_
    return g()
#! 3:5 a function within a function cannot be compiled; define it beside the others and pass what it needs
---
def f(a: int) -> int:
    import math
    return a
#! 2:5 an import within a function cannot be compiled; import at the top of the file
---
def f(a: int) -> int:
    class C:
        pass
    return a
#! 2:5 a class within a function cannot be compiled; define it at the top of the file
---
async def f(a: int) -> int:
    return a
#! 1:1 an async function cannot be compiled; a call runs to its end without waiting; leave async out
---
def f(a: int) -> int:
    yield a
#! 2:5 yield cannot be compiled; append to a list and return that
---
def f(a: int) -> int:
    with open("x") as g:
        return a
#! 2:5 with cannot be compiled; write try and finally
---
def f(a: int) -> int:
    match a:
        case 1:
            return 2
    return a
#! 2:5 match cannot be compiled; write if and elif
---
@cache
def f(a: int) -> int:
    return a
#! 1:2 f has a decorator; only the function itself can be compiled
---
def f(a: int) -> int:
    g = lambda x: x
    return g(a)
#! 2:9 a lambda is used as a value; only key= of sorted(), sort(), min() and max() takes one; write a function
---
def f(a: int) -> int:
    b = a
    b = "x"
    return a
#! 3:5 b is int and would become str; a variable keeps its type: give the new value another name
---
def f(a: int) -> int:
    b = None
    return a
#! 2:5 b would only ever be None; annotate it: b: int | None = None
---
def f(a: int) -> int:
    b, c = (1, 2, 3)
    return b
#! 2:5 2 names are assigned 3 values
---
def f(a: list[int]) -> int:
    b, *c = a
    return b
#! 2:5 * in an assignment cannot be compiled; take slices
---
def f(a: int) -> str:
    return a + "x"
#! 2:12 + does not take int and str; make it a string with str(…) or an f-string
---
def f(a: str) -> str:
    return a + 1
#! 2:12 + does not take str and int; make it a string with str(…) or an f-string
---
def f(a: str) -> str:
    return a % 3
#! 2:12 % does not format strings here; write an f-string: f"{value:.2f}"
---
def f(a: int) -> int:
    return a @ a
#! 2:12 @ does not take integers
---
def f(a: list[int]) -> list[int]:
    return a + ["x"]
#! 2:17 this item is str, and int is needed
---
def f(a: int) -> bool:
    return a == "x"
#! 2:12 == compares int with str, which are never equal; compare values of one type
---
def f(a: int) -> bool:
    return a < "x"
#! 2:12 < does not take int and str
---
def f(a: int) -> bool:
    return a is 5
#! 2:12 `is` compares int with int; write == to compare values
---
def f(a: str) -> bool:
    return 5 in a
#! 2:12 this is int, and str is needed
---
def f(a: int | None) -> int:
    return a + 1
#! 2:12 + does not take int | None and int; check `is not None` first
---
def f(a: int | None) -> int:
    return -a
#! 2:12 this operator does not take int | None; check `is not None` first
---
def f(a: list[int] | None) -> int:
    return len(a)
#! 2:16 list[int] | None has no length; check `is not None` first
---
def f(a: int) -> int:
    return len(a)
#! 2:16 int has no length
---
def f(a: int) -> int:
    return a[0]
#! 2:12 int has no items
---
def f(a: str) -> str:
    a[0] = "x"
    return a
#! 2:5 an item of str cannot be assigned; strings, bytes and tuples never change
---
def f(a: tuple[int, str]) -> int:
    i = 0
    return a[i]
#! 3:14 the item of tuple[int, str] depends on a variable; use a constant, or a list of one type
---
def f(a: tuple[int, str]) -> int:
    return a[2]
#! 2:14 the tuple has 2 items and no item 2; indexes are -2 to 1
---
def f(a: tuple[int, str]) -> int:
    a[0] = 5
    return 1
#! 2:5 an item of tuple[int, str] cannot be assigned; strings, bytes and tuples never change
---
def f(a: set[int]) -> int:
    for b in a:
        return b
    return 0
#! 2:14 a set is iterated, whose order is CPython's own; iterate sorted(…) of it
---
def f(a: set[int]) -> str:
    return str(a)
#! 2:16 a set is shown, whose order is CPython's own; show sorted(…) of it
---
def f(a: int) -> int:
    for b in a:
        return b
    return 0
#! 2:14 int cannot be iterated; iterate range(…) of it
---
def f(a: int) -> int:
    for b in range(1.5):
        pass
    return 0
#! 2:20 this is float, and int is needed
---
def f(a: int) -> int:
    b = range(5)
    return a
#! 2:9 the function range is not known here; iterate it, or write list(range(…))
---
def f(a: int) -> int:
    b = (c for c in "abc")
    return a
#! 2:9 a generator that nothing uses up at once cannot be compiled; make it a list: [… for …]
---
def f(a: str) -> str:
    return a.format(1)
#! 2:12 str has no method format here
---
def f(a: str) -> str:
    return a.encode("latin-1")
#! 2:21 another encoding than UTF-8 is used; leave it out
---
def f(a: str) -> str:
    return a.uper()
#! 2:12 str has no method uper here; did you mean upper?
---
def f(a: list[int]) -> int:
    return a.first()
#! 2:12 list[int] has no method first here
---
def f(a: float) -> float:
    return a.real
#! 2:12 float has no field real
---
def f(a: int) -> int:
    return eval("1")
#! 2:12 the function eval is not known here; there is no interpreter in a module
---
def f(a: int) -> int:
    return g(a)
#! 2:12 the function g is not known here
---
def f(a: int) -> int:
    return isinstance(a, int)
#! 2:12 isinstance() cannot be compiled; types are known when a program is compiled; compare with `is None`
---
def f(a: int) -> int:
    return abs("x")
#! 2:16 abs() does not take str
---
def f(a: int) -> int:
    return abs(1, 2)
#! 2:12 abs() gets 2 arguments; it takes 1
---
def f(a: int) -> int:
    return abs(*[a])
#! 2:16 * in a call cannot be compiled; write the arguments
---
def f(a: int) -> int:
    return f(a, a)
#! 2:12 f() takes 1 arguments and gets 2
---
def f(a: int) -> int:
    return f()
#! 2:12 f() needs the argument a
---
def f(a: int) -> int:
    return f(b=a)
#! 2:14 f() has no parameter b; it takes a
---
def f(a: int) -> int:
    return f(a, a=a)
#! 2:17 f() gets a twice
---
def f(a: int) -> int:
    return f("x")
#! 2:14 the argument a is str, and int is needed
---
def f(a: int) -> float:
    return max(a, 1.5)
#! 2:12 max() gets float and int; give it values of one type that has an order
---
def f(a: list[list[int]]) -> dict[str, int]:
    return {a: 1}
#! 2:13 this item is list[list[int]], and str is needed
---
def f(a: int) -> list[int]:
    return [1, "x"]
#! 2:16 this item is str, and int is needed
---
def f(a: int) -> list[float]:
    b = [1, 1.5]
    return b
#! 2:9 the items are int and float; write them all as floats, such as 1.0
---
def f(a: int) -> dict[str, int]:
    return {**{"a": 1}}
#! 2:12 ** in a dict cannot be compiled; call update()
---
def f(a: int) -> float:
    return 1 if a else 1.5
#! 2:12 this branch is int, and float is needed; write 1.0
---
def f(a: int) -> complex:
    return 1j
#! 1:18 complex is no type known here; keep two floats
---
def f(a: int) -> int:
    return 99999999999999999999
#! 2:12 this integer needs more than 64 bits; integers reach from -2**63 to 2**63 - 1
---
def f(a: int) -> str:
    return f"{a:q}"
#! 2:15 Unknown format code 'q' for object of type 'int'; write a format that Python has for such values
---
def f(a: str) -> str:
    return f"{a:d}"
#! 2:15 Unknown format code 'd' for object of type 'str'; write a format that Python has for such values
---
def f(a: str) -> str:
    return f"{a!a}"
#! 2:15 !a cannot be compiled; use !r
---
def f(a: int) -> int:
    raise ValueError("x", a)
#! 2:11 an exception takes one message here; write one f-string
---
def f(a: int) -> int:
    raise
#! 2:5 nothing is being handled here; name an exception
---
def f(a: int) -> int:
    try:
        return a
    except* ValueError:
        return 1
#! 2:5 except* cannot be compiled; write except
---
def f(a: int) -> int:
    try:
        return a
    finally:
        return 1
#! 5:9 finally leaves the function or loop; move the statement behind the try
---
def f(a: int) -> int:
    try:
        return 1 // a
    except Foo:
        return 1
#! 4:12 Foo is no exception known here; there are Exception, ArithmeticError, ZeroDivisionError,…
---
def f(a: int) -> int:
    del a
    return 1
#! 2:9 a name is deleted; let it be
---
def f(a: list[int]) -> list[int]:
    a *= 2
    return a
#! 2:5 list[int] is changed by an operator in place; assign the result of the operator
---
def f(a: list[str]) -> list[str]:
    return [*a, *[1]]
#! 2:19 this item is int, and str is needed
---
def f(a: list[int]) -> list[int]:
    a += "xyz"
    return a
#! 2:10 this is list[str], and list[int] is needed
---
def f(a: list[int]) -> list[int]:
    return sorted(a, cmp=1)
#! 2:12 sorting takes key and reverse
---
from dataclasses import dataclass

@dataclass
class P:
    x: int

def f() -> list[P]:
    return sorted([P(1)])
#! 8:12 values of type P have no order; give a key=
---
from dataclasses import dataclass

@dataclass(frozen=True)
class P:
    x: int

def f(p: P) -> int:
    p.x = 5
    return 1
#! 8:5 P is frozen; make a new object
---
from dataclasses import dataclass

@dataclass
class P:
    x: int

def f(p: P) -> int:
    return p.z
#! 8:12 P has no field z; there are x
---
from dataclasses import dataclass

@dataclass
class P:
    x: int

def f(p: P) -> int:
    p.z = 5
    return 1
#! 8:5 P has no field z; it has x
---
from dataclasses import dataclass

@dataclass
class P:
    x: int = 0
    y: int
#! 6:5 the field y has no default and follows one that has; put it first
---
from dataclasses import dataclass

@dataclass
class P:
    x: list[int] = []
#! 5:20 a default is no constant; use None, and make the value in the function
---
class P(Q):
    pass
#! 1:9 P derives from Q; only exceptions can derive from one another
---
class P(metaclass=M):
    pass
#! 1:1 the class P has a metaclass or arguments; leave them out
---
class P:
    for x in "a":
        pass
#! 2:5 the body of P has a statement that cannot be compiled; it can have fields and methods
---
class E(Exception):
    def g(self) -> int:
        return 1
#! 2:5 the exception E has a body; it can only have a message: put what it tells into that
---
def f(a: int) -> int:
    while a:
        a -= 1
#! 1:1 f() may end without returning a value; return one at its end, or annotate it: -> int | None
---
def f(a: int) -> None:
    return a
#! 2:5 a value of type int is returned; annotate the result: -> …
---
def f(a: int) -> int:
    return
#! 2:5 the result is None, and int is needed
---
def f(a: int) -> int:
    return (a
#! 2:12 invalid syntax: '(' was never closed
---
def f(a: int) -> int:
return a
#! 2:1 invalid syntax: expected an indented block after function definition on line 1
---
def f(a: int) -> int:
    break
#! 2:5 this is outside of a loop
---
def f(a: int) -> int:
    return await a
#! 2:12 await cannot be compiled; a call runs to its end without waiting; leave it out
---
def f(a: int) -> int:
    x: int = "s"
    return x
#! 2:14 x is str, and int is needed
---
def f(a: int) -> int:
    x: int = 5
    x: str = "a"
    return 1
#! 3:5 x is int already; give the other value another name
---
def f(x: float) -> float:
    import math
    return math.acos(x)
#! 2:5 an import within a function cannot be compiled; import at the top of the file
---
import math
def f(x: float) -> float:
    return math.acosx(x)
#! 3:12 math.acosx() with 1 arguments cannot be compiled exactly; the page docs/python-library.md lists those that can
---
def f(a: bytes) -> bytes:
    return a + "x"
#! 2:12 + does not take bytes and str; call encode() or decode()
---
def f(a: int) -> int:
    return sum(["a"])
#! 2:16 sum() adds str; it adds numbers; use a loop, or join() for strings
---
def f(a: str) -> int:
    return int(a, base=16)
#! 2:19 int() gets an argument by name; give it by place
---
def f(a: int) -> int:
    return a.b.c
#! 2:12 int has no field b
---
def f(a: int) -> type:
    return type(a)
#! 1:18 type is no type known here; there are int, float, bool, str, bytes, list, tuple, dict, set and…
---
def f(a: int) -> str:
    return input()
#! 2:12 the function input is not known here; take the text as a parameter
---
def f(a: int) -> int:
    é = a
    return "😀" + é
#! 3:12 + does not take str and int; make it a string with str(…) or an f-string
---
def f(a: int) -> int:
    return hash(a)
#! 2:12 the function hash is not known here; it differs from process to process
---
def f(a: int) -> int:
    return id(a)
#! 2:12 the function id is not known here; compare with `is`
---
def f(a: list[int]) -> tuple[int, ...]:
    return tuple(a)
#! 1:24 the tuple has as many items as it may; write list[…], or all the types: tuple[int, int]
---
def f() -> float:
    return 1
#! 2:12 the result is int, and float is needed; write 1.0
---
def f() -> str:
    x = 1.5
    x = -2
    return str(x)
#! 3:5 x is float and would become int; a variable keeps its type: give the new value another name, or…
---
def f(x: float = 1) -> float:
    return x
#! 1:18 the default is int, and float is needed; write 1.0
---
def f() -> list[float]:
    return [2.5, *(1, 2)]
#! 2:19 this is list[int], and list[float] is needed
---
def f(a: int) -> None:
    async for b in a:
        pass
#! 2:5 async for cannot be compiled; a call runs to its end without waiting; leave async out
---
def f(a: bool) -> int:
    return a
#! 2:12 the result is bool, and int is needed; write int(…) around it
---
def f(a: list[int]) -> str:
    return ",".join(a)
#! 2:21 what join() gets is list[int], and list[str] is needed
---
def f(a: int) -> int:
    nonlocal a
    return a
#! 2:5 nonlocal cannot be compiled; pass the value and return it
---
def f(a: int) -> int:
    continue
#! 2:5 this is outside of a loop
---
éé = 1; 😀 = 2
#! 1:9 invalid syntax: invalid character '😀' (U+1F600)
---
def f(a: set[int]) -> int:
    return [b for b in a][0]
#! 2:24 a set is iterated, whose order is CPython's own; iterate sorted(…) of it
---
class C:
    def g(self, a) -> int:
        return 1
#! 2:17 the parameter a has no type; write a: int, or whatever it is
---
def f(a: int) -> str:
    try:
        return str(1 // a)
    except ZeroDivisionError as error:
        return str((error,))
#! 5:21 an exception is used as a value; write str(error) for its message
---
def f(a: int) -> str:
    try:
        return str(1 // a)
    except ZeroDivisionError as error:
        return f"{error:>30}"
#! 5:19 exception is formatted with a specification; write !s or !r before the colon
---
def f(a: int) -> str:
    try:
        return str(1 // a)
    except ZeroDivisionError as error:
        return repr(error)
#! 5:21 repr() of an exception cannot be compiled; use str()
---
def f(a: int) -> int:
    try:
        return 1 // a
    except ZeroDivisionError as error:
        raise ValueError("bad") from errors
#! 5:38 the cause is no exception that is being handled; write from error, or from None
---
BIG = 9 ** 9 ** 9
def f() -> int:
    return BIG
#! 3:12 the name BIG is not known here; the value of BIG is too large to be computed before the program…
---
def f(a: str) -> int:
    return len("a" "b" a)
#! 2:16 invalid syntax: invalid syntax. Perhaps you forgot a comma?
---
TABLE = (1,) * 5000
def f(a: int) -> int:
    return len(TABLE)
#! 3:16 the type of this consists of too many types; use lists, or dataclasses with named fields
---
class C:
    def __bool__(self) -> int:
        return 1
def f() -> bool:
    return not C()
#! 5:16 C.__bool__() is int; annotate its result: -> bool
---
class C:
    def __len__(self) -> bool:
        return True
def f() -> int:
    return len(C())
#! 5:12 C.__len__() is bool; annotate its result: -> int
---
class Bad(UnicodeDecodeError):
    pass
def f() -> int:
    raise Bad("x")
#! 4:11 this exception takes more than a message; raise UnicodeError, or a ValueError
---
class C:
    def __add__(self) -> int:
        return 1
def f() -> int:
    return C() + C()
#! 5:12 C.__add__() takes 1 parameters; take self and one other
---
class C:
    def __lt__(self, other: int) -> int:
        return 1
def f() -> bool:
    return C() < 2
#! 5:12 this comparison gives int; annotate the result of the method: -> bool
---
class C:
    def __add__(self, other: int) -> int:
        return 1
def f() -> int:
    return 2 + C()
#! 5:12 + does not take int and C
---
class C:
    @property
    def __len__(self) -> int:
        return 1
#! 2:6 the method __len__ has a decorator; take it off
---
from dataclasses import dataclass

@dataclass(order=True)
class C:
    n: int
    def __lt__(self, other: int) -> bool:
        return True
#! 6:5 C defines __lt__ and has order=True; leave one of them out
---
from dataclasses import dataclass

@dataclass(unsafe_hash=True)
class P:
    x: int
#! 3:12 @dataclass(unsafe_hash=…) cannot be compiled; there are frozen, order, eq, repr and slots
"""
"""Each program ends with a comment: line, column, what was found; what to write instead. `…` cuts a long one."""


def _rows() -> list[tuple[str, str]]:
    rows = []
    for block in PROGRAMS.strip("\n").split("\n---\n"):
        program, _, expected = block.rpartition("\n#! ")
        rows.append((program, expected))
    return rows


@pytest.mark.parametrize(("program", "expected"), _rows(), ids=[f"{n}" for n in range(len(_rows()))])
def test_a_construct_is_refused(program: str, expected: str) -> None:
    """A program is refused at one place, with a caret below its line; nothing is compiled."""
    made = translate(program, "refused.py")
    assert made.wasm is None
    [problem] = made.diagnostics
    message, line, caret = problem.message.split("\n")
    said = f"{problem.line}:{problem.column} {message}"
    assert said == expected or (expected.endswith("…") and said.startswith(expected[:-1]))
    source = program.split("\n")[problem.line - 1]
    assert line == "    " + source.replace("\t", " ")
    assert caret == " " * (problem.column + 3) + "^"
    assert problem.file == "refused.py"


def test_what_is_refused_is_python() -> None:
    """Nearly all of the programs are refused for what they mean: only a few are no Python at all."""
    syntax = [expected for _, expected in _rows() if "invalid syntax" in expected]
    assert len(_rows()) - len(syntax) >= 100
