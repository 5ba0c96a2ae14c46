"""One function while its code is written: locals, labels, calls, exceptions."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Final, Protocol

from echelon.plugin.compilers.python import encoding as e
from echelon.plugin.compilers.python import opcodes as op
from echelon.plugin.compilers.python.checking.source import refuse
from echelon.plugin.compilers.python.emitting import (
    expressions,
    integers,
    objects,
    packing,
    splicing,
    statements,
)
from echelon.plugin.compilers.python.emitting.headers import Headers
from echelon.plugin.compilers.python.emitting.item_loops import Place
from echelon.plugin.compilers.python.emitting.regions import GivesBack, Regions
from echelon.plugin.compilers.python.emitting.scopes import Guard, Loop
from echelon.plugin.compilers.python.emitting.splicing import Piece
from echelon.plugin.compilers.python.encoding import Code, Relocation
from echelon.plugin.compilers.python.layout import PENDING, TRIES
from echelon.plugin.compilers.python.tree import Expr, Function, Return, Stmt, Variable
from echelon.plugin.compilers.python.types import F64, I32, I64, NONE, Type

MAX_CODE: Final = 1 << 20
"""Bytes of code that one function may take: `finally` is written out for every way that leads through it."""

_STATEMENTS: Final = statements.EMIT
_EXPRESSIONS: Final = {**expressions.EMIT, **objects.EMIT, **integers.EMIT}


class World(Protocol):
    """What a function is emitted into."""

    packs: bool
    """Whether lists of bools are packed."""

    def raises(self, key: str) -> bool:
        """Tell whether a function of the library may raise."""
        ...

    def cores(self, key: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return what a function of the library takes and returns."""
        ...

    def piece(self, key: str) -> Piece | None:
        """Return a function of the library that may be written out where it is called."""
        ...

    def expand(self, node: Expr) -> Expr:
        """Return what a derived expression stands for."""
        ...


class Emitter:
    """Emits one function. `body` is its code so far."""

    def __init__(self, function: Function, world: World) -> None:
        self.function = function
        self.world = world
        self.code = Code(
            function.symbol or function.name,
            tuple(param.type.core for param in function.params),
            () if function.result == NONE else (function.result.core,),
            file=function.file,
        )
        self.body = self.code.body
        self.depth = 0
        self.scopes: list[Loop | Guard] = []
        self.held: list[int] = []
        """Temporary locals of the operation that is being emitted."""

        self._free: dict[int, list[int]] = {I32: [], I64: [], F64: []}
        self._count = len(function.params)
        self._line = 0
        self._regions: Regions | None = None
        self.headers = Headers(self)
        self.places: dict[Variable, Place] = {}
        """Of lists that are read in turn: where the item is that the counter names."""
        for index, param in enumerate(function.params):
            param.index = index

    def emit(self) -> Code:
        """Emit the whole function."""
        self.mark(self.function.line)
        for param in self.function.params:
            if param.flag is not None:
                self.body += b"\x41\x01"
                self.set(param.flag)
        self.statements(self.function.body)
        if self.code.results and not _ends(self.function.body):
            self.body.append(e.UNREACHABLE)
        self.body.append(e.END)
        return self.code

    def gives_back(self, body: list[Stmt]) -> GivesBack:
        """Tell when what a turn of a loop allocates is given back at its end."""
        if self.function.raw:
            return GivesBack.NEVER
        if self._regions is None:
            self._regions = Regions(self.function)
        return self._regions.gives_back(body)

    # Locals and labels

    def new_local(self, core: int) -> int:
        self.code.locals.append(core)
        self._count += 1
        return self._count - 1

    def temp(self, core: int) -> int:
        free = self._free[core]
        return free.pop() if free else self.new_local(core)

    def release(self, core: int, index: int) -> None:
        self._free[core].append(index)

    def index(self, variable: Variable) -> int:
        if variable.index < 0:
            variable.index = self.new_local(variable.type.core)
        return variable.index

    def get_local(self, index: int) -> None:
        self.body.append(e.GET)
        self.body += e.unsigned(index)

    def set_local(self, index: int) -> None:
        self.body.append(e.SET)
        self.body += e.unsigned(index)

    def tee_local(self, index: int) -> None:
        self.body.append(e.TEE)
        self.body += e.unsigned(index)

    def set(self, variable: Variable) -> None:
        self.set_local(self.index(variable))

    def open(self, opcode: int, result: int = e.EMPTY) -> int:
        """Begin a block, loop or if; returns its label."""
        self.body.append(opcode)
        self.body.append(result)
        self.depth += 1
        return self.depth

    def otherwise(self) -> None:
        self.body.append(e.ELSE)

    def close(self) -> None:
        self.body.append(e.END)
        self.depth -= 1

    def branch(self, label: int, opcode: int = e.BR) -> None:
        self.body.append(opcode)
        self.body += e.unsigned(self.depth - label)

    def constant(self, value: int) -> None:
        self.body.append(e.I64_CONST)
        self.body += e.signed(value)

    def small(self, value: int) -> None:
        self.body.append(e.I32_CONST)
        self.body += e.signed(value)

    def opcode(self, number: int) -> None:
        if number > 0xFF:
            self.body.append(number >> 8)
            self.body.append(number & 0xFF)
            if number == op.MEMORY_COPY:
                self.body += b"\0\0"
            elif number == op.MEMORY_FILL:
                self.body.append(0)
        else:
            self.body.append(number)
            if number in (op.MEMORY_SIZE, op.MEMORY_GROW):
                self.body.append(0)

    def relocate(self, kind: str, key: object) -> None:
        self.code.relocations.append(Relocation(len(self.body), kind, key))
        self.body += b"\x80\x80\x80\x80\x00"

    def mark(self, line: int) -> None:
        """Note that what follows comes from a line."""
        if line and line != self._line:
            self._line = line
            self.code.places.append((len(self.body), line))

    # Calls and exceptions

    def call(self, kind: str, key: object, raises: bool) -> None:
        self.body.append(e.CALL)
        self.relocate(kind, key)
        if raises and self.function.catchable:
            self.check_pending()

    def call_library(self, name: str, *, rare: bool = False) -> None:
        """Call a function of the library; a short one is written out, but where it is `rare` that it is needed."""
        raises = self.world.raises(name)
        piece = None if rare or len(self.body) > splicing.MOST else self.world.piece(name)
        if piece is None:
            self.call("library", name, raises)
            return
        splicing.splice(self, piece)
        if raises and self.function.catchable:
            self.check_pending()

    def check_pending(self) -> None:
        """Leave when the call raised."""
        self.small(0)
        self.body += bytes([op.I32_LOAD, 2]) + e.unsigned(PENDING)
        target = self.handler()
        if target is not None:
            self.branch(target, e.BR_IF)
            return
        self.open(e.IF)
        self.escape()
        self.close()

    def escape(self) -> None:
        """Leave with an exception pending, or mark that nothing comes back from where it was raised."""
        if not self.function.catchable:
            self.body.append(e.UNREACHABLE)
            return
        target = self.handler()
        if target is not None:
            self.branch(target)
            return
        for core in self.code.results:
            self.zero(core)
        self.body.append(e.RETURN)

    def handler(self) -> int | None:
        for scope in reversed(self.scopes):
            if isinstance(scope, Guard) and scope.handler is not None:
                return scope.handler
        return None

    def zero(self, core: int) -> None:
        if core == F64:
            self.body.append(e.F64_CONST)
            self.body += bytes(8)
        else:
            self.body.append(e.I64_CONST if core == I64 else e.I32_CONST)
            self.body.append(0)

    def fail_overflow(self) -> None:
        """Raise OverflowError inside an `if` whose condition was the overflow."""
        self.call("library", "errors.overflow", False)
        self.escape()

    def count_tries(self, step: int) -> None:
        self.small(0)
        self.small(0)
        self.body += bytes([op.I32_LOAD, 2]) + e.unsigned(TRIES)
        self.small(step)
        self.body.append(op.I32_ADD)
        self.body += bytes([op.I32_STORE, 2]) + e.unsigned(TRIES)

    # Items of lists

    def is_packed(self, items: Expr) -> bool:
        """Tell whether a list's items are bytes."""
        return self.world.packs and packing.is_packable(items.type)

    def data_of(self, items: Expr) -> None:
        """Leave the address of a list's items."""
        header = self.headers.of(items)
        if header is not None:
            self.get_local(header.data)
            return
        self.expression(items)
        self.body += bytes([op.I32_LOAD, 2, 0])

    def scale(self, items: Expr) -> None:
        """Make the index of an item of a list how far it is from the first."""
        if not self.is_packed(items):
            self.small(3)
            self.body.append(op.I32_SHL)

    def load_item(self, items: Expr, core: int, further: int = 0) -> None:
        """Read the item of a list that is so many further than the address on the stack."""
        if self.is_packed(items):
            self.body += bytes([op.I32_LOAD8_U, 0]) + e.unsigned(further)
        else:
            self.load_word(core, further * 8)

    def store_item(self, items: Expr, core: int, further: int = 0) -> None:
        """Write what is on the stack as the item that is so many further than the address below it."""
        if self.is_packed(items):
            self.body += bytes([op.I32_STORE8, 0]) + e.unsigned(further)
        else:
            self.store_word(core, further * 8)

    # Statements and expressions

    def statements(self, body: Sequence[Stmt]) -> None:
        for statement in body:
            self.mark(statement.line)
            _STATEMENTS[type(statement)](self, statement)
        if len(self.body) > MAX_CODE:
            place = ast.Pass(lineno=max(1, self.function.line), col_offset=0)
            refuse(place, f"the function {self.function.name} becomes too large", "split it")

    def expression(self, node: Expr) -> None:
        """Leave the value on the stack; nothing for one of type None."""
        if node.line:
            self.mark(node.line)
        _EXPRESSIONS[node.op](self, node)

    def widen(self, kind: Type) -> None:
        """Make an address or bool an i64, as errors and words are."""
        if kind.core == I32:
            self.body.append(op.I64_EXTEND_U)

    def store_word(self, core: int, offset: int) -> None:
        """Store what is on the stack as a word of 8 bytes."""
        if core == I32:
            self.body.append(op.I64_EXTEND_U)
        self.body.append(op.F64_STORE if core == F64 else op.I64_STORE)
        self.body.append(3)
        self.body += e.unsigned(offset)

    def load_word(self, core: int, offset: int) -> None:
        opcode, alignment = op.LOADS[core]
        self.body.append(opcode)
        self.body.append(alignment)
        self.body += e.unsigned(offset)


def _ends(body: Sequence[Stmt]) -> bool:
    return bool(body) and isinstance(body[-1], Return)
