"""The typed tree between checking and emitting.

An expression has an operation, a type, and expressions that it takes; `data` is what the operation needs besides.

    int float bool text octets none      a constant, in `data`
    local                    a variable, in `data`; `bound` the same, after a check that it was assigned
    held                     a temporary local of the emitter's, its number in `data`
    wasm                     an instruction, its opcode in `data`, of what the arguments leave on the stack
    load store               from and to memory; `data` is (opcode, alignment, offset); store has no value
    add sub mul neg shl      of integers, with a check for overflow; `fits` is set where none is needed
    floordiv mod             of integers, rounding down as Python does
    and or if                of conditions, and the conditional expression
    block                    statements in `data`, then the argument's value
    call library             a function of the program or of the library, in `data`
    table                    the number of a function in the table, for calls through it
    item                     (list, index): what a list holds there; raises IndexError; `data` is the item's opcode
    set_item                 (list, index, value)
    new                      an object of `data` bytes whose words are the arguments
    static                   the address of bytes, in `data`
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from echelon.plugin.compilers.python.types import BOOL, FLOAT, INT, NONE, STR, Type

Range = tuple[int, int]


class Variable:
    """A local variable; `index` is given when its function is emitted."""

    __slots__ = ("flag", "index", "name", "parameter", "type")

    def __init__(self, name: str, type: Type, *, parameter: bool = False) -> None:
        self.name, self.type, self.parameter = name, type, parameter
        self.index = -1
        self.flag: Variable | None = None
        """Tells at run time whether the variable has a value, where that is not certain."""


class Expr:
    __slots__ = ("args", "data", "line", "op", "range", "type")

    def __init__(
        self, op: str, type: Type, args: tuple[Expr, ...] = (), data: Any = None, line: int = 0
    ) -> None:
        self.op, self.type, self.args, self.data, self.line = op, type, args, data, line
        self.range: Range | None = None
        """The least and greatest value of an integer, where that is known."""

    def __repr__(self) -> str:
        inner = [*map(repr, self.args), *([] if self.data is None else [str(self.data)])]
        return f"{self.op}({', '.join(inner)})"


class Stmt:
    __slots__ = ("line",)
    line: int


@dataclass(slots=True)
class Let(Stmt):
    """Give a variable a value."""

    target: Variable
    value: Expr
    line: int = 0


@dataclass(slots=True)
class Do(Stmt):
    """Evaluate and drop the value."""

    value: Expr
    line: int = 0


@dataclass(slots=True)
class If(Stmt):
    test: Expr
    body: list[Stmt]
    orelse: list[Stmt] = field(default_factory=list)
    line: int = 0


@dataclass(slots=True)
class While(Stmt):
    """`step` runs after the body and where it continues; `orelse` when the test fails."""

    test: Expr
    body: list[Stmt]
    orelse: list[Stmt] = field(default_factory=list)
    step: list[Stmt] = field(default_factory=list)
    line: int = 0


@dataclass(slots=True)
class ForRange(Stmt):
    """Count; `counter` is the compiler's own, `target` gets its value at the start of each turn."""

    target: Variable
    counter: Variable
    limit: Variable
    start: Expr
    stop: Expr
    step: int
    body: list[Stmt]
    orelse: list[Stmt] = field(default_factory=list)
    line: int = 0


@dataclass(slots=True)
class Break(Stmt):
    line: int = 0


@dataclass(slots=True)
class Continue(Stmt):
    line: int = 0


@dataclass(slots=True)
class Return(Stmt):
    value: Expr | None = None
    line: int = 0


@dataclass(slots=True)
class Raise(Stmt):
    """`kind` is the number of the exception, `message` what `str()` of it gives."""

    kind: Expr
    message: Expr
    line: int = 0


@dataclass(slots=True)
class Handler:
    """`kinds` are the numbers of exceptions it catches, None for all of them."""

    kinds: tuple[int, ...] | None
    body: list[Stmt]


@dataclass(slots=True)
class Try(Stmt):
    """`kind` and `message` hold what was caught while a handler runs."""

    body: list[Stmt]
    handlers: list[Handler]
    orelse: list[Stmt]
    final: list[Stmt]
    kind: Variable
    message: Variable
    line: int = 0


@dataclass(eq=False)
class Function:
    """A function of the program or of the library, and what is known of it once it was checked."""

    name: str
    params: list[Variable]
    result: Type
    body: list[Stmt] = field(default_factory=list)
    line: int = 0
    file: int = 0
    """Whose code it is: 0 the program's, -1 not the user's."""
    raw: bool = False
    catchable: bool = False
    """Whether an exception raised here may be caught: else it ends the call where it is raised."""
    raises: bool = True
    calls: set[Function] = field(default_factory=set)
    defaults: dict[str, Expr] = field(default_factory=dict)
    keyword_only: set[str] = field(default_factory=set)
    opened: dict[str, str] = field(default_factory=dict)
    """Parameters of the guest kit whose arguments are encoded by the caller, and how."""
    tries: bool = False
    walrus: bool = False
    """Whether an expression gives a variable a value, so that the order of reading matters."""
    symbol: str = ""
    facts: Any = None
    """What emitting has found out about its body."""
    headers: Any = None
    """Which lists its body may make longer or shorter, and what it calls."""


def integer(value: int, line: int = 0) -> Expr:
    found = Expr("int", INT, (), value, line)
    found.range = (value, value)
    return found


def real(value: float, line: int = 0) -> Expr:
    return Expr("float", FLOAT, (), value, line)


def truth(value: bool, line: int = 0) -> Expr:
    return Expr("bool", BOOL, (), value, line)


def text(value: str, line: int = 0) -> Expr:
    return Expr("text", STR, (), value, line)


def nothing(line: int = 0) -> Expr:
    return Expr("none", NONE, (), None, line)


def local(variable: Variable, line: int = 0) -> Expr:
    return Expr("local", variable.type, (), variable, line)


def wasm(opcode: int, type: Type, *args: Expr, line: int = 0) -> Expr:
    return Expr("wasm", type, args, opcode, line)


def library(name: str, type: Type, *args: Expr, line: int = 0) -> Expr:
    return Expr("library", type, args, name, line)


def negate(test: Expr) -> Expr:
    return Expr("wasm", BOOL, (test,), 0x45, test.line)
