"""One function of a module: its locals, and a method for each instruction, checked as they are written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Protocol, Self

from echelon.errors import BuildError
from echelon.plugin.builder import encoding
from echelon.plugin.builder.encoding import REFERENCES, Type, index, unsigned
from echelon.plugin.builder.instructions import F32, F64, I32, I64, Access, Plain
from echelon.plugin.builder.stack import Label, Stack
from echelon.runtime.binary import MAX_BODY

if TYPE_CHECKING:
    from echelon.plugin.builder.module import Data, Elements, Global, ModuleBuilder, Table

MAX_LOCALS: Final = 50_000
MAX_TARGETS: Final = 10_000
_NUMBERS: Final = ("i32", "i64", "f32", "f64", "v128")


class Callee(Protocol):
    """What can be called: a function that the module imports, or one that it defines."""

    @property
    def owner(self) -> ModuleBuilder: ...

    @property
    def index(self) -> int: ...

    @property
    def params(self) -> tuple[str, ...]: ...

    @property
    def results(self) -> tuple[str, ...]: ...


class FunctionBuilder:
    """Writes a function; every method returns it, so that calls can be chained. `ModuleBuilder.function` makes one.

    Instructions on numbers are in `i32`, `i64`, `f32` and `f64`. Blocks are context managers that give their label:

        with f.block() as done, f.loop() as again:
            f.local_get(n).i32.eqz().br_if(done)
            f.br(again)

    An instruction that does not fit what is on the stack raises BuildError at once, and the function cannot be built.
    """

    def __init__(
        self, owner: ModuleBuilder, index: int, name: str, params: tuple[str, ...], results: tuple[str, ...]
    ) -> None:
        self.owner = owner
        self.index = index
        self.name = name
        self.params = params
        self.results = results
        self.i32, self.i64, self.f32, self.f64 = I32(self), I64(self), F32(self), F64(self)
        self.locals: list[str] = list(params)
        self.local_names: dict[int, str] = {}
        self.body = bytearray()
        self.places: list[tuple[int, str, int]] = []
        """Where in `body` code from another line begins: offset, file, line."""
        self._stack = Stack(f'function "{name}"' if name else f"function {index}", results)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        if kind is None:
            self.end()

    def end(self) -> None:
        """End the function; `build` does it for those that have not ended. Ending twice is a no-op."""
        if not self._stack.labels:
            return
        if len(self._stack.labels) > 1:
            self._stack.fail(f"a {self._stack.labels[-1].kind} has not ended")
        self._stack.leave("end")
        self._write(b"\x0b")

    # --- locals and places ---

    def local(self, kind: Type, name: str = "") -> int:
        """Add a variable, which begins as zero or null, and return its number; parameters are numbered before it."""
        encoding.code_of(kind)
        number = len(self.locals)
        if number >= MAX_LOCALS:
            self._stack.fail(f"more than {MAX_LOCALS} parameters and locals")
        self.locals.append(kind)
        if name:
            self.local_names[number] = name
        return number

    def at(self, line: int, file: str = "") -> Self:
        """Say which line of a source the code from here on comes from; traps show it. Line 0 is no line."""
        self.places.append((len(self.body), file, index(line, 1 << 30, "line")))
        return self

    def local_get(self, number: int) -> Self:
        return self._variable("local.get", 0x20, number)

    def local_set(self, number: int) -> Self:
        return self._variable("local.set", 0x21, number)

    def local_tee(self, number: int) -> Self:
        return self._variable("local.tee", 0x22, number)

    def _variable(self, what: str, code: int, number: int) -> Self:
        if not isinstance(number, int) or not 0 <= number < len(self.locals):
            self._stack.fail(f"{what} {number}: there are {len(self.locals)} parameters and locals")
        kind = (self.locals[number],)
        self._stack.apply(what, () if code == 0x20 else kind, () if code == 0x21 else kind)
        return self._write(bytes([code]) + unsigned(number))

    def global_get(self, variable: Global) -> Self:
        self._own(variable.owner, "global.get")
        self._stack.apply("global.get", (), (variable.kind,))
        return self._write(b"\x23" + unsigned(variable.index))

    def global_set(self, variable: Global) -> Self:
        self._own(variable.owner, "global.set")
        if not variable.mutable:
            self._stack.fail("global.set: this global is a constant; make it with mutable=True")
        self._stack.apply("global.set", (variable.kind,), ())
        return self._write(b"\x24" + unsigned(variable.index))

    # --- blocks and branches ---

    @contextmanager
    def block(self, results: Sequence[Type] = (), params: Sequence[Type] = ()) -> Iterator[Label]:
        """Write a block; a branch to its label goes to its end."""
        yield from self._nested("block", 0x02, params, results)

    @contextmanager
    def loop(self, results: Sequence[Type] = (), params: Sequence[Type] = ()) -> Iterator[Label]:
        """Write a block; a branch to its label goes to its begin."""
        yield from self._nested("loop", 0x03, params, results)

    @contextmanager
    def if_(self, results: Sequence[Type] = (), params: Sequence[Type] = ()) -> Iterator[Label]:
        """Write what happens when the i32 on the stack is not zero; after `else_()`, what happens when it is."""
        self._stack.apply("if", ("i32",), ())
        yield from self._nested("if", 0x04, params, results)

    def else_(self) -> Self:
        self._stack.turn()
        return self._write(b"\x05")

    def _nested(
        self, kind: str, code: int, params: Sequence[Type], results: Sequence[Type]
    ) -> Iterator[Label]:
        shape = self._shape(tuple(params), tuple(results))
        label = self._stack.enter(kind, tuple(params), tuple(results))
        self._write(bytes([code]) + shape)
        yield label
        if self._stack.labels[-1:] != [label]:
            self._stack.fail(f"a {kind} ends before one that began in it")
        self._stack.leave("end")
        self._write(b"\x0b")

    def _shape(self, params: tuple[str, ...], results: tuple[str, ...]) -> bytes:
        if params or len(results) > 1:
            return encoding.signed(self.owner.type(params, results))
        return bytes([encoding.code_of(results[0])]) if results else b"\x40"

    def br(self, label: Label) -> Self:
        """Go to a label."""
        depth = self._stack.depth(label, "br")
        self._stack.take("br", label.carried)
        self._stack.stop()
        return self._write(b"\x0c" + unsigned(depth))

    def br_if(self, label: Label) -> Self:
        """Go to a label if the i32 on the stack is not zero."""
        depth = self._stack.depth(label, "br_if")
        self._stack.take("br_if", (*label.carried, "i32"))
        self._stack.kinds += label.carried
        return self._write(b"\x0d" + unsigned(depth))

    def br_table(self, labels: Sequence[Label], default: Label) -> Self:
        """Go to the label whose number the i32 on the stack is, to `default` for any other number."""
        if len(labels) > MAX_TARGETS:
            self._stack.fail(f"br_table: {len(labels)} labels, at most {MAX_TARGETS} are accepted")
        depths = [self._stack.depth(label, "br_table") for label in (*labels, default)]
        self._stack.take("br_table", ("i32",))
        for label in labels:
            if len(label.carried) != len(default.carried):
                self._stack.fail("br_table: its labels carry different numbers of values")
            self._stack.kinds += self._stack.take("br_table", label.carried)
        self._stack.take("br_table", default.carried)
        self._stack.stop()
        *first, last = map(unsigned, depths)
        return self._write(b"\x0e" + encoding.vector(first) + last)

    def return_(self) -> Self:
        self._stack.take("return", self.results)
        self._stack.stop()
        return self._write(b"\x0f")

    def unreachable(self) -> Self:
        """Trap."""
        self._stack.stop()
        return self._write(b"\x00")

    def nop(self) -> Self:
        self._stack.require_open("nop")
        return self._write(b"\x01")

    # --- calls ---

    def call(self, function: Callee) -> Self:
        self._own(function.owner, "call")
        self._stack.apply("call", function.params, function.results)
        return self._write(b"\x10" + unsigned(function.index))

    def call_indirect(self, table: Table, params: Sequence[Type], results: Sequence[Type] = ()) -> Self:
        """Call the function at the place in a table that the i32 on top of the arguments names."""
        takes, gives = tuple(params), tuple(results)
        kind = self._through(table, takes, gives, "call_indirect")
        self._stack.apply("call_indirect", (*takes, "i32"), gives)
        return self._write(b"\x11" + kind)

    def return_call(self, function: Callee) -> Self:
        """Call in place of this function, whose frame goes first."""
        self._own(function.owner, "return_call")
        self._tail("return_call", function.params, function.results)
        return self._write(b"\x12" + unsigned(function.index))

    def return_call_indirect(
        self, table: Table, params: Sequence[Type], results: Sequence[Type] = ()
    ) -> Self:
        takes, gives = tuple(params), tuple(results)
        kind = self._through(table, takes, gives, "return_call_indirect")
        self._tail("return_call_indirect", (*takes, "i32"), gives)
        return self._write(b"\x13" + kind)

    def _through(self, table: Table, params: tuple[str, ...], results: tuple[str, ...], what: str) -> bytes:
        self._own(table.owner, what)
        if table.kind != "funcref":
            self._stack.fail(f"{what}: the table holds {table.kind}, not functions")
        return unsigned(self.owner.type(params, results)) + unsigned(table.index)

    def _tail(self, what: str, params: tuple[str, ...], results: tuple[str, ...]) -> None:
        if results != self.results:
            self._stack.fail(f"{what}: what is called leaves something else than this function")
        self._stack.take(what, params)
        self._stack.stop()

    # --- any value ---

    def drop(self) -> Self:
        self._stack.take_any("drop")
        return self._write(b"\x1a")

    def select(self, kind: Type | None = None) -> Self:
        """Keep the first of two values if the i32 on top of them is not zero, else the second.

        References need their `kind` said.
        """
        self._stack.take("select", ("i32",))
        if kind is not None:
            self._stack.apply("select", (kind, kind), (kind,))
            return self._write(b"\x1c\x01" + bytes([encoding.code_of(kind)]))
        second, first = self._stack.take_any("select"), self._stack.take_any("select")
        for found in (first, second):
            if found is not None and found not in _NUMBERS:
                self._stack.fail(f"select: say which references it chooses among: select({found!r})")
        if first is not None and second is not None and first != second:
            self._stack.fail(f"select: {first} and {second} are not of one type")
        self._stack.kinds.append(first or second)
        return self._write(b"\x1b")

    def ref_null(self, kind: Type) -> Self:
        self._reference(kind, "ref.null")
        self._stack.apply("ref.null", (), (kind,))
        return self._write(b"\xd0" + bytes([encoding.code_of(kind)]))

    def ref_is_null(self) -> Self:
        found = self._stack.take_any("ref.is_null")
        if found is not None:
            self._reference(found, "ref.is_null")
        self._stack.apply("ref.is_null", (), ("i32",))
        return self._write(b"\xd1")

    def ref_func(self, function: Callee) -> Self:
        self._own(function.owner, "ref.func")
        self._stack.apply("ref.func", (), ("funcref",))
        self.owner.declare(function)
        return self._write(b"\xd2" + unsigned(function.index))

    def _reference(self, kind: str, what: str) -> None:
        if kind not in REFERENCES:
            self._stack.fail(f"{what}: {kind} is not a reference; there are {', '.join(REFERENCES)}")

    # --- memory ---

    def memory_size(self) -> Self:
        """Push the size of the memory, in pages of 64 KiB."""
        return self._memory("memory.size", b"\x3f\x00", (), ("i32",))

    def memory_grow(self) -> Self:
        """Grow the memory by so many pages; pushes its size before, or -1."""
        return self._memory("memory.grow", b"\x40\x00", ("i32",), ("i32",))

    def memory_copy(self) -> Self:
        """Copy: target, source, length."""
        return self._memory("memory.copy", b"\xfc\x0a\x00\x00", ("i32",) * 3, ())

    def memory_fill(self) -> Self:
        """Fill: target, byte, length."""
        return self._memory("memory.fill", b"\xfc\x0b\x00", ("i32",) * 3, ())

    def memory_init(self, data: Data) -> Self:
        """Copy out of data that is not in the memory from the beginning: target, place in it, length."""
        self._own(data.owner, "memory.init")
        self.owner.needs_data_count = True
        return self._memory("memory.init", b"\xfc\x08" + unsigned(data.index) + b"\x00", ("i32",) * 3, ())

    def data_drop(self, data: Data) -> Self:
        self._own(data.owner, "data.drop")
        self.owner.needs_data_count = True
        self._stack.apply("data.drop", (), ())
        return self._write(b"\xfc\x09" + unsigned(data.index))

    def _memory(self, what: str, code: bytes, params: tuple[str, ...], results: tuple[str, ...]) -> Self:
        self._require_memory(what)
        self._stack.apply(what, params, results)
        return self._write(code)

    # --- tables ---

    def table_get(self, table: Table) -> Self:
        return self._table("table.get", b"\x25", table, ("i32",), (table.kind,))

    def table_set(self, table: Table) -> Self:
        return self._table("table.set", b"\x26", table, ("i32", table.kind), ())

    def table_size(self, table: Table) -> Self:
        return self._table("table.size", b"\xfc\x10", table, (), ("i32",))

    def table_grow(self, table: Table) -> Self:
        """Grow: value, number; pushes the size before, or -1."""
        return self._table("table.grow", b"\xfc\x0f", table, (table.kind, "i32"), ("i32",))

    def table_fill(self, table: Table) -> Self:
        """Fill: place, value, number."""
        return self._table("table.fill", b"\xfc\x11", table, ("i32", table.kind, "i32"), ())

    def table_copy(self, target: Table, source: Table) -> Self:
        """Copy: place in the target, place in the source, number."""
        if target.kind != source.kind:
            self._stack.fail(f"table.copy: {source.kind} does not go into a table of {target.kind}")
        self._own(source.owner, "table.copy")
        code = b"\xfc\x0e" + unsigned(target.index)
        return self._table("table.copy", code, target, ("i32",) * 3, (), source.index)

    def table_init(self, table: Table, elements: Elements) -> Self:
        """Copy out of elements that are in no table from the beginning: place, place in them, number."""
        if table.kind != elements.kind:
            self._stack.fail(f"table.init: {elements.kind} does not go into a table of {table.kind}")
        self._own(elements.owner, "table.init")
        code = b"\xfc\x0c" + unsigned(elements.index)
        return self._table("table.init", code, table, ("i32",) * 3, ())

    def elem_drop(self, elements: Elements) -> Self:
        self._own(elements.owner, "elem.drop")
        self._stack.apply("elem.drop", (), ())
        return self._write(b"\xfc\x0d" + unsigned(elements.index))

    def _table(
        self, what: str, code: bytes, table: Table, params: tuple[str, ...], results: tuple[str, ...],
        last: int | None = None,
    ) -> Self:  # fmt: skip
        self._own(table.owner, what)
        self._stack.apply(what, params, results)
        return self._write(code + unsigned(table.index if last is None else last))

    # --- what the groups of instructions write with ---

    def plain(self, instruction: Plain) -> Self:
        """Write an instruction without immediates."""
        self._stack.apply(instruction.name, instruction.params, instruction.results)
        self.body += instruction.code
        return self

    def constant(self, kind: str, code: int, content: bytes) -> Self:
        """Write a constant."""
        self._stack.apply(f"{kind}.const", (), (kind,))
        self.body.append(code)
        self.body += content
        return self

    def access(self, instruction: Access, place: bytes) -> Self:
        """Write a load or store."""
        self._require_memory(instruction.name)
        self._stack.apply(instruction.name, instruction.params, instruction.results)
        self.body += instruction.code
        self.body += place
        return self

    def _write(self, code: bytes) -> Self:
        self.body += code
        return self

    def _own(self, owner: ModuleBuilder, what: str) -> None:
        if owner is not self.owner:
            self._stack.fail(f"{what}: this belongs to another module")

    def _require_memory(self, what: str) -> None:
        if not self.owner.has_memory:
            self._stack.fail(f"{what}: the module has no memory; add one with memory() first")

    def encode(self) -> bytes:
        """End the function, and return its code as the code section has it; raises BuildError."""
        if self._stack.refused is not None:
            raise BuildError(f"in {self._stack.name} something was refused before: {self._stack.refused}")
        self.end()
        content = self.header() + bytes(self.body)
        if len(content) > MAX_BODY:
            raise BuildError(f"in {self._stack.name}: {len(content)} bytes, at most {MAX_BODY} are accepted")
        return unsigned(len(content)) + content

    def header(self) -> bytes:
        """Return the declaration of the locals."""
        runs: list[list[int]] = []
        for kind in self.locals[len(self.params) :]:
            code = encoding.CODES[kind]
            if runs and runs[-1][1] == code:
                runs[-1][0] += 1
            else:
                runs.append([1, code])
        return encoding.vector([unsigned(count) + bytes([code]) for count, code in runs])
