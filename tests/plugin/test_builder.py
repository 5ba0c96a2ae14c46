"""Modules put together by a program: what they do, and what cannot be put together."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import wasmtime

from echelon.errors import BuildError, EchelonError, Trap
from echelon.plugin.builder import FunctionBuilder, ModuleBuilder
from echelon.plugin.builder.instructions import F32, F64, I32, I64, Access, Plain
from echelon.runtime import native, stripping
from echelon.runtime.core import Runtime

GROUPS = {"i32": I32, "i64": I64, "f32": F32, "f64": F64}
KINDS = ("i32", "i64", "f32", "f64")


@pytest.fixture
def module() -> ModuleBuilder:
    return ModuleBuilder()


async def call(module: ModuleBuilder, name: str, *arguments: Any) -> Any:
    async with Runtime() as runtime:
        loaded = await runtime.load(module.build())
        return await loaded.call(name, *arguments)


def text_of(module: ModuleBuilder) -> bytes:
    return stripping.without(module.build(), lambda name: True)


def wat(text: str) -> bytes:
    return stripping.without(native.load().wat2wasm(text), lambda name: True)


async def test_a_function_that_calls_itself(module: ModuleBuilder) -> None:
    """A function may be called before it is written; chained instructions read like the text format."""
    with module.function("fib", ["i32"], ["i32"], export="fib") as f:
        f.local_get(0).i32.const(2).i32.lt_s()
        with f.if_(["i32"]):
            f.local_get(0)
            f.else_()
            f.local_get(0).i32.const(1).i32.sub().call(f)
            f.local_get(0).i32.const(2).i32.sub().call(f).i32.add()
    assert await call(module, "fib", 15) == 610


async def test_typed_signatures(module: ModuleBuilder) -> None:
    """One line says what callers pass and get, names the parameters, and is held against the function."""
    module.memory(1, export="memory")
    top = module.global_("i32", 1024, mutable=True)
    with module.function("allocate", ["i32"], ["i32"], export="echelon_alloc") as f:
        f.global_get(top).global_get(top).local_get(0).i32.add().i32.const(15).i32.add()
        f.i32.const(-16).i32.and_().global_set(top)
    line = "pick(text: str, whole: bool) -> str"
    with module.function(params=["i32", "i32", "i32"], results=["i64"], signature=line) as f:
        f.local_get(0).i64.extend_i32_u().i64.const(32).i64.shl()
        f.local_get(1).i32.const(1).local_get(2).select().i64.extend_i32_u().i64.or_()
    assert b"whole" in module.build()
    assert [await call(module, "pick", "Grüße", whole) for whole in (True, False)] == ["Grüße", "G"]


def test_a_signature_that_does_not_fit(module: ModuleBuilder) -> None:
    """It is held against the types of its function."""
    module.function(params=["i32"], results=["i64"], signature="wrong(text: str) -> i64").i64.const(1)
    with pytest.raises(BuildError, match=r"the signature wrong\(text: str\) -> i64 does not fit"):
        module.build()


def test_every_part_of_a_module() -> None:
    """What is built is byte for byte what the assembler makes of the same module in text."""
    module = ModuleBuilder()
    log = module.import_function("env", "log", ["i32"])
    base = module.import_global("env", "base", "i32")
    memory = module.memory(1, 4, export="memory")
    table = module.table(4, 8, export="table")
    outside = module.table(1, kind="externref")
    counter = module.global_("i64", -5, mutable=True, export="counter")
    module.global_("i32", base)
    module.global_("f32", 1.5)
    module.global_("externref", None)
    module.data(b"hello", 8)
    kept = module.data(b"later")
    with module.function("twice", ["i32"], ["i32", "i64"]) as twice:
        twice.local_get(0).global_get(counter).global_set(counter).global_get(counter)
    module.elements([log, twice], table, 1)
    spare = module.elements([twice])
    with module.function("main", export="main") as f:
        x = f.local("i32", "x")
        f.i32.const(8).i32.load8_u(offset=3, align=1).local_tee(x).call(log)
        f.i32.const(0).i32.const(0).i32.const(5).memory_init(kept).data_drop(kept)
        f.i32.const(0).i32.const(0).i32.const(1).table_init(table, spare).elem_drop(spare)
        f.i32.const(3).i32.const(1).call_indirect(table, ["i32"])
        f.ref_func(twice).ref_is_null().drop()
        f.ref_null("externref").i32.const(2).table_grow(outside).drop()
        with f.block() as out, f.block() as other:
            f.local_get(x).br_table([out, other], out)
    module.start(f)
    module.export("again", memory)
    assert text_of(module) == wat("""(module
      (type (func (param i32))) (type (func (param i32) (result i32 i64))) (type (func))
      (import "env" "log" (func (type 0))) (import "env" "base" (global i32))
      (func (type 1) local.get 0 global.get 1 global.set 1 global.get 1)
      (func (type 2) (local i32)
        i32.const 8 i32.load8_u offset=3 local.tee 0 call 0
        i32.const 0 i32.const 0 i32.const 5 memory.init 1 data.drop 1
        i32.const 0 i32.const 0 i32.const 1 table.init 0 1 elem.drop 1
        i32.const 3 i32.const 1 call_indirect (type 0)
        ref.func 1 ref.is_null drop
        ref.null extern i32.const 2 table.grow 1 drop
        block block local.get 0 br_table 1 0 1 end end)
      (table 4 8 funcref) (table 1 externref) (memory 1 4)
      (global (mut i64) i64.const -5) (global i32 global.get 0) (global f32 f32.const 1.5)
      (global externref ref.null extern)
      (export "memory" (memory 0)) (export "table" (table 0)) (export "counter" (global 1))
      (export "main" (func 2)) (export "again" (memory 0))
      (start 2)
      (elem (table 0) (i32.const 1) func 0 1) (elem func 1) (elem declare func 1)
      (data (i32.const 8) "hello") (data "later"))""")


@pytest.mark.parametrize("kind", KINDS)
def test_every_instruction_on_numbers(kind: str) -> None:
    """Each writes the opcode that the assembler writes for its name."""
    module = ModuleBuilder(names=False)
    module.memory(1)
    lines = []
    f = module.function()
    for instruction in vars(GROUPS[kind]).values():
        if not isinstance(instruction, Plain | Access):
            continue
        for param in instruction.params:
            getattr(f, param).const(1)
            lines.append(f"{param}.const 1")
        getattr(getattr(f, kind), vars_name(GROUPS[kind], instruction))()
        lines.append(instruction.name)
        if instruction.results:
            f.drop()
            lines.append("drop")
    assert len(lines) > 50
    assert text_of(module) == wat(f"(module (memory 1) (func {' '.join(lines)}))")


def vars_name(group: type, instruction: Plain | Access) -> str:
    return next(name for name, value in vars(group).items() if value is instruction)


async def test_traps_show_lines_and_names(module: ModuleBuilder) -> None:
    """Code says which line of its source it comes from."""
    with module.function("helper", [], ["i32"]) as helper:
        helper.i32.const(1)
    with module.function("divide", ["i32"], ["i32"], export="divide") as f:
        f.at(3, "calc.txt").i32.const(7)
        f.at(4, "calc.txt").local_get(0).call(helper).i32.mul().i32.div_s()
    with pytest.raises(Trap) as trap:
        await call(module, "divide", 0)
    frame = trap.value.frames[0]
    assert (frame.function, frame.file, frame.line) == ("divide", "calc.txt", 4)


async def test_tail_calls(module: ModuleBuilder) -> None:
    """A million of them need no stack."""
    with module.function("down", ["i32"], ["i32"], export="down") as f:
        f.local_get(0)
        with f.if_():
            f.local_get(0).i32.const(1).i32.sub().return_call(f)
        f.i32.const(42)
    assert await call(module, "down", 1_000_000) == 42


Wrong = Callable[[ModuleBuilder, FunctionBuilder], object]
WRONG: dict[str, tuple[Wrong, str]] = {
    "too little": (lambda m, f: f.i32.add(), "i32.add takes i32 i32; on the stack there is nothing"),
    "another type": (
        lambda m, f: f.i32.const(1).f64.const(1).i32.add(),
        "i32.add takes i32 i32; on the stack there is i32 f64",
    ),
    "left over": (lambda m, f: f.i32.const(1).end(), "i32 is left over on the stack; drop it"),
    "no result": (
        lambda m, f: m.function("g", [], ["i32"]).end(),
        "the end of the function takes i32; on the stack there is nothing",
    ),
    "no local": (lambda m, f: f.local_get(1), "local.get 1: there are 0 parameters and locals"),
    "a negative local": (lambda m, f: f.local_set(-1), "local.set -1: there are 0"),
    "a constant": (lambda m, f: f.i32.const(0).global_set(m.global_("i32", 0)), "this global is a constant"),
    "a large number": (lambda m, f: f.i32.const(1 << 32), "4294967296 is not a whole number of 32 bits"),
    "no number": (lambda m, f: f.i64.const(1.5), "1.5 is not a whole number of 64 bits"),  # type: ignore[arg-type]
    "no memory": (lambda m, f: f.i32.const(0).i32.load(), "i32.load: the module has no memory"),
    "behind the end": (lambda m, f: (f.end(), f.nop()), "nop stands behind the function's end"),
    "another module's": (
        lambda m, f: f.call(ModuleBuilder().function("g")),
        'in function "f": call: this belongs to another module',
    ),
    "a closed block": (lambda m, f: branch_out(f), "br goes to a block that is not around it"),
    "else outside": (lambda m, f: f.else_(), "else stands in a function, not in an if"),
    "no else": (lambda m, f: one_armed(f), "an if that leaves i32 and took nothing needs an else"),
    "mixed select": (
        lambda m, f: f.i32.const(1).i64.const(1).i32.const(1).select(),
        "select: i32 and i64 are not of one type",
    ),
    "select of references": (
        lambda m, f: f.ref_null("funcref").ref_null("funcref").i32.const(1).select(),
        "say which references it chooses among: select('funcref')",
    ),
    "null of a number": (lambda m, f: f.ref_null("i32"), "i32 is not a reference"),
    "a call through references": (
        lambda m, f: f.i32.const(0).call_indirect(m.table(1, kind="externref"), []),
        "the table holds externref, not functions",
    ),
    "alignment": (lambda m, f: (m.memory(1), f.i32.const(0).i32.load(align=8)), "an alignment of 8 bytes"),
    "offset": (lambda m, f: (m.memory(1), f.i32.const(0).i32.load(-1)), "i32.load: offset: -1 is not"),
    "nesting": (lambda m, f: nested(f, 600), "more than 500 blocks stand in each other"),
    "a late import": (
        lambda m, f: m.import_function("a", "b"),
        "import a.b: imports are declared before what the module defines itself",
    ),
    "two memories": (lambda m, f: (m.memory(1), m.memory(1)), "the module has one already"),
    "bounds": (lambda m, f: m.memory(2, 1), "it cannot begin with 2 and have 1 at most"),
    "pages": (lambda m, f: m.memory(1 << 17), "memory: minimum: 131072 is not a number from 0 to 65536"),
    "a taken name": (
        lambda m, f: (m.export("x", f), m.export("x", f)),
        "something else has this name already",
    ),
    "no type": (lambda m, f: f.local("int"), "'int' is not a type; there are i32"),  # type: ignore[arg-type]
    "half a character": (lambda m, f: m.export("\ud800", f), "half of a surrogate pair is not text"),
    "a long name": (lambda m, f: m.export("x" * 5000, f), "a name has 5000 bytes, at most 4096 are accepted"),
    "no signature": (lambda m, f: m.function(signature="a b"), "'a b' is no signature"),
    "data without memory": (lambda m, f: m.data(b"", 0), "data: the module has no memory"),
    "start with parameters": (lambda m, f: m.start(m.function("g", ["i32"])), "start: it takes nothing"),
    "a global's value": (lambda m, f: m.global_("i32", 1.5), "global: 1.5 is not of type i32"),
    "a variable as value": (
        lambda m, f: m.global_("i32", m.global_("i32", 1)),
        "its value can be an imported constant of type i32",
    ),
    "elements that do not fit": (
        lambda m, f: (m.elements([f, f], m.table(1)), m.build()),
        "ends at element 2 of a table of 1",
    ),
    "an open block": (lambda m, f: (open_block(f), m.build()), "a block has not ended"),
    "locals": (lambda m, f: [f.local("i32") for _ in range(50_001)], "more than 50000 parameters and locals"),
}


def branch_out(f: FunctionBuilder) -> None:
    with f.block() as label:
        pass
    f.br(label)


def one_armed(f: FunctionBuilder) -> None:
    f.i32.const(1)
    with f.if_(["i32"]):
        f.i32.const(1)


def nested(f: FunctionBuilder, depth: int) -> None:
    with f.block():
        nested(f, depth - 1) if depth else f.nop()


def open_block(f: FunctionBuilder) -> None:
    f.block().__enter__()


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_built(module: ModuleBuilder, name: str) -> None:
    """It is refused where it is written, in words that name the function and what was there."""
    act, message = WRONG[name]
    with pytest.raises(BuildError) as found:
        act(module, module.function("f"))
    assert message in str(found.value)


def test_an_error_inside_a_block_stays_the_error(module: ModuleBuilder) -> None:
    """Leaving a block because of an exception does not hide it behind another one."""
    f = module.function("f")
    with pytest.raises(ZeroDivisionError), f, f.block():
        f.i32.const(1 // 0)


def test_a_refused_instruction_spoils_its_function(module: ModuleBuilder) -> None:
    """Nobody builds what is left when one was refused."""
    f = module.function("f")
    with pytest.raises(BuildError):
        f.drop()
    with pytest.raises(BuildError, match='in function "f" something was refused before: drop takes a value'):
        module.build()


def test_the_same_calls_make_the_same_bytes() -> None:
    """Nothing of time or chance is in a module."""
    assert scribble(random.Random(7), 60).build() == scribble(random.Random(7), 60).build()


@pytest.mark.parametrize("seed", range(60))
def test_whatever_is_built_is_valid(seed: int) -> None:
    """Random calls of every method: those that make no sense are refused, and what remains the engine accepts.

    Code that is never reached, where types are unknown, is in it as well.
    """
    chance = random.Random(seed)
    wasm = scribble(chance, 400).build()
    assert len(wasm) > 1000
    validate(wasm)


def test_the_judge_is_one() -> None:
    """A module that the builder would refuse does not pass."""
    with pytest.raises(wasmtime.WasmtimeError):
        validate(native.load().wat2wasm("(module (func))")[:-2] + b"\x1a\x0b")


def validate(wasm: bytes) -> None:
    """Let the engine say whether a module is valid; raises WasmtimeError."""
    wasmtime.Module.validate(wasmtime.Engine(), wasm)


def scribble(chance: random.Random, steps: int) -> ModuleBuilder:
    """Build a module by chance; what is refused is left out."""
    module = ModuleBuilder()
    functions: list[Any] = [
        module.import_function("m", f"f{number}", some_kinds(chance), some_kinds(chance))
        for number in range(3)
    ]
    module.memory(1)
    tables = [module.table(4), module.table(4), module.table(4, kind="externref")]
    variables = [module.global_(kind, 0, mutable=chance.random() < 0.7) for kind in KINDS]  # type: ignore[arg-type]
    data = [module.data(b"abc"), module.data(b"def", 5)]
    elements = [module.elements(functions), module.elements(functions, tables[0])]
    functions += [module.function(f"own{n}", some_kinds(chance), some_kinds(chance)) for n in range(4)]
    things = {
        "functions": functions,
        "tables": tables,
        "variables": variables,
        "data": data,
        "elements": elements,
    }
    for function in functions[3:]:
        scribble_body(chance, function, things, steps)
    return module


def scribble_body(
    chance: random.Random, f: FunctionBuilder, things: dict[str, list[Any]], steps: int
) -> None:
    for kind in KINDS:
        f.local(kind)  # type: ignore[arg-type]
    open_: list[Any] = []
    labels: list[Any] = [f._stack.labels[0]]
    for _ in range(steps):
        stack = f._stack
        before, size = list(stack.kinds), len(f.body)
        try:
            step(chance, f, things, open_, labels)
        except BuildError:
            stack.kinds, stack.refused = before, None
            assert len(f.body) == size, "what was refused left code behind"
    while open_:
        settle(f, labels.pop().results)
        open_.pop().__exit__(None, None, None)
    settle(f, f.results)


def settle(f: FunctionBuilder, results: tuple[str, ...]) -> None:
    """Leave what a block has to leave, and nothing else; an if without else gets one."""
    label = f._stack.labels[-1]
    while len(f._stack.kinds) > label.height:
        f.drop()
    for again in range(2 if label.kind == "if" else 1):
        if again:
            f.else_()
            while len(f._stack.kinds) > label.height:
                f.drop()
        for kind in results:
            getattr(f, kind).const(1)


def some_kinds(chance: random.Random) -> tuple[Any, ...]:
    return tuple(chance.choice(KINDS) for _ in range(chance.choice((0, 0, 1, 1, 2))))


def step(
    chance: random.Random,
    f: FunctionBuilder,
    things: dict[str, list[Any]],
    open_: list[Any],
    labels: list[Any],
) -> None:
    pick = lambda kind: chance.choice(things[kind])  # noqa: E731 - short, and used twenty times below
    match chance.randrange(14):
        case 0 | 1 | 2:
            getattr(f, chance.choice(KINDS)).const(
                chance.choice((0, 1, 63, 64, 127, 128, 2**31 - 1, -1, -65))
            )
        case 3 | 4 | 5:
            group = GROUPS[chance.choice(KINDS)]
            names = [name for name, value in vars(group).items() if isinstance(value, Plain | Access)]
            getattr(getattr(f, group.prefix), chance.choice(names))()
        case 6:
            number = chance.randrange(len(f.locals) + 1)
            chance.choice((f.local_get, f.local_set, f.local_tee))(number)
        case 7:
            chance.choice((f.global_get, f.global_set))(pick("variables"))
        case 8:
            begin = chance.choice((f.block, f.loop, f.if_))
            manager = begin(some_kinds(chance), some_kinds(chance))
            labels.append(manager.__enter__())
            open_.append(manager)
        case 9:
            if open_ and labels[-1].kind == "if" and chance.random() < 0.5:
                f.else_()
            elif open_:
                settle(f, labels.pop().results)
                open_.pop().__exit__(None, None, None)
        case 10:
            label = chance.choice(labels)
            chance.choice((lambda: f.br(label), lambda: f.br_if(label),
                           lambda: f.br_table([chance.choice(labels)], label)))()  # fmt: skip
        case 11:
            chance.choice((
                lambda: f.call(pick("functions")),
                lambda: f.call_indirect(pick("tables"), some_kinds(chance), some_kinds(chance)),
                lambda: f.return_call(pick("functions")), f.return_,
                lambda: f.return_call_indirect(pick("tables"), some_kinds(chance), f.results),
            ))()  # fmt: skip
        case 12:
            chance.choice((f.drop, f.drop, f.select, lambda: f.select(chance.choice(KINDS)), f.unreachable,
                           lambda: f.ref_null("funcref"), f.ref_is_null, f.nop,
                           lambda: f.ref_func(pick("functions"))))()  # type: ignore[arg-type]  # fmt: skip
        case _:
            chance.choice((
                f.memory_size, f.memory_grow, f.memory_copy, f.memory_fill,
                lambda: f.memory_init(pick("data")), lambda: f.data_drop(pick("data")),
                lambda: f.table_get(pick("tables")), lambda: f.table_set(pick("tables")),
                lambda: f.table_size(pick("tables")), lambda: f.table_grow(pick("tables")),
                lambda: f.table_fill(pick("tables")), lambda: f.table_copy(pick("tables"), pick("tables")),
                lambda: f.table_init(pick("tables"), pick("elements")), lambda: f.elem_drop(pick("elements")),
            ))()  # fmt: skip


def test_errors_are_of_the_family() -> None:
    """Whoever catches ValueError or EchelonError catches them."""
    assert issubclass(BuildError, EchelonError)
    assert issubclass(BuildError, ValueError)
