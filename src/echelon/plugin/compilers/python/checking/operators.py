"""Operators: arithmetic, bits, comparison, truth."""

from __future__ import annotations

import ast
import operator as arithmetic
from collections.abc import Callable
from typing import Final, TypeGuard

from echelon.plugin.compilers.python import derived
from echelon.plugin.compilers.python import opcodes as op
from echelon.plugin.compilers.python.checking import conditions
from echelon.plugin.compilers.python.checking.scope import Scope, as_float, as_int
from echelon.plugin.compilers.python.checking.source import refuse
from echelon.plugin.compilers.python.tree import (
    Do,
    Expr,
    Let,
    Stmt,
    integer,
    library,
    local,
    negate,
    real,
    truth,
    wasm,
)
from echelon.plugin.compilers.python.types import (
    BOOL,
    BYTES,
    FLOAT,
    INT,
    NONE,
    STR,
    Type,
    find,
    tuple_of,
    unify,
)

SYMBOLS: Final[dict[type, str]] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**",
    ast.LShift: "<<", ast.RShift: ">>", ast.BitAnd: "&", ast.BitOr: "|", ast.BitXor: "^", ast.MatMult: "@",
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
}  # fmt: skip
_RAW: Final[dict[type, int]] = {
    ast.Add: op.I64_ADD, ast.Sub: op.I64_SUB, ast.Mult: op.I64_MUL, ast.LShift: op.I64_SHL, ast.RShift: op.I64_SHR_S,
}  # fmt: skip
_BITS: Final[dict[type, int]] = {
    ast.BitAnd: op.I64_AND,
    ast.BitOr: op.I64_OR,
    ast.BitXor: op.I64_XOR,
}
_CHECKED: Final[dict[type, str]] = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.FloorDiv: "floordiv",
    ast.Mod: "mod",
    ast.LShift: "shl",
    ast.RShift: "shr",
}
_FLOAT: Final[dict[type, int]] = {ast.Add: op.F64_ADD, ast.Sub: op.F64_SUB, ast.Mult: op.F64_MUL}
_FLOAT_CALLS: Final[dict[type, str]] = {
    ast.Div: "floats.divide",
    ast.FloorDiv: "floats.floor_divide",
    ast.Mod: "floats.modulo",
    ast.Pow: "floats.power",
}
_COMPARE_INT: Final[dict[type, int]] = {
    ast.Eq: op.I64_EQ, ast.NotEq: op.I64_NE, ast.Lt: op.I64_LT_S, ast.LtE: op.I64_LE_S,
    ast.Gt: op.I64_GT_S, ast.GtE: op.I64_GE_S,
}  # fmt: skip
_COMPARE_FLOAT: Final[dict[type, int]] = {
    ast.Eq: op.F64_EQ, ast.NotEq: op.F64_NE, ast.Lt: op.F64_LT, ast.LtE: op.F64_LE,
    ast.Gt: op.F64_GT, ast.GtE: op.F64_GE,
}  # fmt: skip
_SETS: Final[dict[type, str]] = {
    ast.BitOr: "union",
    ast.BitAnd: "intersection",
    ast.Sub: "difference",
    ast.BitXor: "symmetric_difference",
}
_METHODS: Final[dict[type, str]] = {
    ast.Add: "__add__", ast.Sub: "__sub__", ast.Mult: "__mul__", ast.Div: "__truediv__", ast.FloorDiv: "__floordiv__",
    ast.Mod: "__mod__", ast.MatMult: "__matmul__",
}  # fmt: skip
_ORDERS: Final[dict[type, tuple[str, str]]] = {
    ast.Lt: ("__lt__", "__gt__"),
    ast.LtE: ("__le__", "__ge__"),
    ast.Gt: ("__gt__", "__lt__"),
    ast.GtE: ("__ge__", "__le__"),
}
"""The method of the left object, and that of the right one which is asked when the left one has none."""
_FOLD_LIMIT: Final = 1 << 63
_FOLD: Final[dict[type, Callable[[int, int], int]]] = {
    ast.Add: arithmetic.add, ast.Sub: arithmetic.sub, ast.Mult: arithmetic.mul, ast.FloorDiv: arithmetic.floordiv,
    ast.Mod: arithmetic.mod, ast.LShift: arithmetic.lshift, ast.RShift: arithmetic.rshift,
    ast.BitAnd: arithmetic.and_, ast.BitOr: arithmetic.or_, ast.BitXor: arithmetic.xor,
}  # fmt: skip


def binary(scope: Scope, node: ast.BinOp, expected: Type | None = None) -> Expr:
    left_wanted = expected if expected is not None and find(expected).kind == "list" else None
    left = scope.check(node.left, left_wanted)
    right = scope.check(node.right, left_wanted if isinstance(node.op, ast.Add) else None)
    return combine(scope, node, node.op, left, right)


def combine(scope: Scope, node: ast.AST, operator: ast.operator, left: Expr, right: Expr) -> Expr:
    """Return the value of an operator, by the types of its operands; raises Refusal."""
    a, b = find(left.type), find(right.type)
    line = getattr(node, "lineno", 0)
    if a.kind == "struct" and (
        found := _by_method(scope, node, _METHODS.get(type(operator), ""), left, right)
    ):
        return found
    if a in (INT, BOOL) and b in (INT, BOOL):
        return _of_integers(scope, node, operator, left, right)
    if (
        a in (INT, FLOAT, BOOL)
        and b in (INT, FLOAT, BOOL)
        and (type(operator) in _FLOAT or type(operator) in _FLOAT_CALLS)
    ):
        return _of_floats(operator, left, right, line)
    if a == b and a.kind in ("str", "bytes") and isinstance(operator, ast.Add):
        return library("texts.concat" if a == STR else "octets.concat", a, left, right, line=line)
    if isinstance(operator, ast.Mult):
        if a in (INT, BOOL) and b.kind in ("str", "bytes", "list"):
            held = scope.temporary(INT)
            found = _repeat(right, local(held), line)
            return Expr("block", found.type, (found,), [Let(held, as_int(left))], line)
        if b in (INT, BOOL) and a.kind in ("str", "bytes", "list"):
            return _repeat(left, as_int(right), line)
    if a.kind == "list" and b.kind == "list" and isinstance(operator, ast.Add) and unify(a, b):
        return library("lists.concat", a, left, right, line=line)
    if a.kind == "tuple" and b.kind == "tuple" and isinstance(operator, ast.Add):
        return _join_tuples(scope, left, right, line)
    if a.kind == "set" and b.kind == "set" and type(operator) in _SETS and unify(a, b):
        return derived.keyed(f"sets.{_SETS[type(operator)]}", a, find(a).args[0], left, right)
    if a == STR and isinstance(operator, ast.Mod):
        refuse(node, "% does not format strings here", 'write an f-string: f"{value:.2f}"')
    return _refuse(node, SYMBOLS.get(type(operator), "this operator"), a, b)


def _by_method(scope: Scope, node: ast.AST, name: str, left: Expr, right: Expr) -> Expr | None:
    """Return the call of an object's method for an operator, None when its class has none."""
    from echelon.plugin.compilers.python.checking import calls

    target = calls.method_of(scope, left, name)
    if target is None:
        return None
    if len(target.params) != 2:
        refuse(
            node,
            f"{find(left.type)}.{name}() takes {len(target.params)} parameters",
            "take self and one other",
        )
    scope.program.ensure_checked(target, node)
    scope.function.calls.add(target)
    value = scope.coerce(right, target.params[1].type, node, "the right side")
    return Expr("call", target.result, (left, value), target, getattr(node, "lineno", 0))


def _order_by_method(
    scope: Scope, node: ast.AST, operator: type[ast.cmpop], left: Expr, right: Expr
) -> Expr | None:
    """Return what a method of one of two objects says of their order, None when neither has one."""
    name, reflected = _ORDERS[operator]
    found = _by_method(scope, node, name, left, right)
    if found is None:
        first, second = scope.temporary(left.type), scope.temporary(right.type)
        found = _by_method(scope, node, reflected, local(second), local(first))
        if found is not None:
            found = Expr("block", found.type, (found,), [Let(first, left), Let(second, right)], found.line)
    if found is not None and find(found.type) != BOOL:
        refuse(
            node, f"this comparison gives {find(found.type)}", "annotate the result of the method: -> bool"
        )
    return found


def _refuse(node: ast.AST, symbol: str, a: Type, b: Type) -> Expr:
    hint = ""
    if "optional" in (a.kind, b.kind):
        hint = "check `is not None` first"
    elif "hole" in (a.kind, b.kind):
        hint = "annotate the variable that the value comes from"
    elif symbol == "+" and {a, b} == {STR, BYTES}:
        hint = "call encode() or decode()"
    elif symbol == "+" and STR in (a, b):
        hint = "make it a string with str(…) or an f-string"
    refuse(node, f"{symbol} does not take {a} and {b}", hint)


def _of_integers(scope: Scope, node: ast.AST, operator: ast.operator, left: Expr, right: Expr) -> Expr:
    kind, line = type(operator), getattr(node, "lineno", 0)
    if kind in _BITS:
        if find(left.type) == BOOL and find(right.type) == BOOL:
            return wasm(
                {op.I64_AND: op.I32_AND, op.I64_OR: op.I32_OR, op.I64_XOR: op.I32_XOR}[_BITS[kind]],
                BOOL,
                left,
                right,
                line=line,
            )
        return fold(wasm(_BITS[kind], INT, as_int(left), as_int(right), line=line), operator)
    left, right = as_int(left), as_int(right)
    if scope.raw and kind in _RAW:
        return wasm(_RAW[kind], INT, left, right, line=line)
    if kind in _CHECKED:
        return fold(Expr(_CHECKED[kind], INT, (left, right), None, line), operator)
    if isinstance(operator, ast.Div):
        return library("integers.divide", FLOAT, left, right, line=line)
    if isinstance(operator, ast.Pow):
        if right.op == "int" and right.data < 0:
            return library("floats.power", FLOAT, as_float(left), as_float(right), line=line)
        if right.op == "int" and right.data == 2 and left.op == "local":
            return Expr("mul", INT, (left, left), None, line)
        return library("integers.power", INT, left, right, line=line)
    refuse(node, f"{SYMBOLS.get(kind, 'this operator')} does not take integers")


def fold(found: Expr, operator: ast.operator) -> Expr:
    """Compute an operation of constants where it has a value."""
    left, right = found.args
    if left.op != "int" or right.op != "int":
        return found
    a, b = left.data, right.data
    if isinstance(operator, ast.LShift | ast.RShift):
        b = min(b, 64)
    try:
        value = _FOLD[type(operator)](a, b)
    except (ArithmeticError, ValueError, KeyError):
        return found
    return integer(value, found.line) if -_FOLD_LIMIT <= value < _FOLD_LIMIT else found


def _of_floats(operator: ast.operator, left: Expr, right: Expr, line: int) -> Expr:
    left, right = as_float(left), as_float(right)
    kind = type(operator)
    if kind in _FLOAT:
        return wasm(_FLOAT[kind], FLOAT, left, right, line=line)
    if isinstance(operator, ast.Div) and right.op == "float" and right.data != 0:
        return wasm(op.F64_DIV, FLOAT, left, right, line=line)
    if isinstance(operator, ast.Pow) and right.op == "float" and right.data == 2.0 and left.op == "local":
        return library("floats.square", FLOAT, left, line=line)
    if isinstance(operator, ast.Div):
        return Expr("divide", FLOAT, (left, right), None, line)
    return library(_FLOAT_CALLS[kind], FLOAT, left, right, line=line)


def _repeat(value: Expr, count: Expr, line: int) -> Expr:
    names = {"str": "texts.repeat", "bytes": "octets.repeat", "list": "lists.repeat"}
    return library(names[find(value.type).kind], value.type, value, count, line=line)


def _join_tuples(scope: Scope, left: Expr, right: Expr, line: int) -> Expr:
    a, b = scope.temporary(left.type), scope.temporary(right.type)
    words = [item_of_tuple(local(var), index) for var in (a, b) for index in range(len(find(var.type).args))]
    kind = tuple_of(*find(left.type).args, *find(right.type).args)
    made = Expr("new", kind, tuple(words), 8 * max(1, len(words)), line)
    return Expr("block", kind, (made,), [Let(a, left), Let(b, right)], line)


def item_of_tuple(value: Expr, index: int) -> Expr:
    kind = find(value.type).args[index]
    opcode, alignment = op.LOADS[find(kind).core]
    return Expr("load", kind, (value,), (opcode, alignment, index * 8), value.line)


def unary(scope: Scope, node: ast.UnaryOp, expected: Type | None = None) -> Expr:
    if isinstance(node.op, ast.Not):
        return negate(conditions.condition(scope, node.operand))
    if (
        isinstance(node.op, ast.USub)
        and isinstance(node.operand, ast.Constant)
        and node.operand.value == 1 << 63
        and type(node.operand.value) is int
    ):
        return integer(-(1 << 63), node.lineno)
    value = scope.check(node.operand, expected)
    kind = find(value.type)
    if kind.kind == "struct" and isinstance(node.op, ast.USub):
        from echelon.plugin.compilers.python.checking import calls

        return calls.dunder(scope, node, value, "__neg__", [])
    if kind == FLOAT and isinstance(node.op, ast.USub | ast.UAdd):
        if value.op == "float":
            return real(-value.data if isinstance(node.op, ast.USub) else value.data, node.lineno)
        return wasm(op.F64_NEG, FLOAT, value, line=node.lineno) if isinstance(node.op, ast.USub) else value
    if kind not in (INT, BOOL):
        refuse(
            node,
            f"this operator does not take {kind}",
            "check `is not None` first" if kind.kind == "optional" else "",
        )
    value = as_int(value)
    if isinstance(node.op, ast.UAdd):
        return value
    if isinstance(node.op, ast.Invert):
        return wasm(op.I64_XOR, INT, value, integer(-1), line=node.lineno)
    if value.op == "int" and value.data != -(1 << 63):
        return integer(-value.data, node.lineno)
    if scope.raw:
        return wasm(op.I64_SUB, INT, integer(0), value, line=node.lineno)
    return Expr("neg", INT, (value,), None, node.lineno)


# Comparison


def compare(scope: Scope, node: ast.Compare) -> Expr:
    """Return a chain of comparisons; what stands in the middle is evaluated once."""
    if len(node.ops) == 1:
        left_node, right_node = node.left, node.comparators[0]
        if isinstance(node.ops[0], ast.In | ast.NotIn):
            return _membership(
                scope, node, scope.check(left_node), right_node, isinstance(node.ops[0], ast.NotIn)
            )
        left, right = _pair(scope, left_node, right_node)
        return compare_two(scope, node, node.ops[0], left, right)
    left = scope.check(node.left)
    tests: list[Expr] = []
    for position, (operator, right_node) in enumerate(zip(node.ops, node.comparators, strict=True)):
        if isinstance(operator, ast.In | ast.NotIn):
            if position < len(node.ops) - 1:
                refuse(node, "`in` is in the middle of a chain", "write two comparisons with `and`")
            tests.append(_membership(scope, node, left, right_node, isinstance(operator, ast.NotIn)))
            break
        right = scope.check(right_node)
        if position < len(node.ops) - 1 and right.op not in ("int", "float", "local"):
            held = scope.temporary(right.type)
            kept, right = right, local(held)
            tests.append(
                Expr(
                    "block",
                    BOOL,
                    (compare_two(scope, node, operator, left, right),),
                    [Let(held, kept)],
                    node.lineno,
                )
            )
            test = tests[-1]
            if left.op not in ("int", "float", "local", "bool"):
                first = scope.temporary(left.type)
                test.data.insert(0, Let(first, left))
                test.args = (compare_two(scope, node, operator, local(first), right),)
        else:
            tests.append(compare_two(scope, node, operator, left, right))
        left = right
    found = tests[-1]
    for test in reversed(tests[:-1]):
        found = Expr("and", BOOL, (test, found), None, node.lineno)
    return found


def _pair(scope: Scope, left: ast.expr, right: ast.expr) -> tuple[Expr, Expr]:
    """Check two operands so that an empty list on one side takes the other's type."""
    first = scope.check(left)
    second = scope.check(right, first.type)
    return first, second


def compare_two(scope: Scope, node: ast.AST, operator: ast.cmpop, left: Expr, right: Expr) -> Expr:
    """Return one comparison other than `in`; raises Refusal for types that have none."""
    line = getattr(node, "lineno", 0)
    a, b = find(left.type), find(right.type)
    if isinstance(operator, ast.Is | ast.IsNot):
        return _identity(scope, node, operator, left, right)
    kind = type(operator)
    if kind in _ORDERS and "struct" in (a.kind, b.kind):
        found = _order_by_method(scope, node, kind, left, right)
        if found is not None:
            return found
    if a in (INT, BOOL) and b in (INT, BOOL):
        return wasm(_COMPARE_INT[kind], BOOL, as_int(left), as_int(right), line=line)
    if a == FLOAT and b == FLOAT:
        return wasm(_COMPARE_FLOAT[kind], BOOL, left, right, line=line)
    if a in (INT, FLOAT, BOOL) and b in (INT, FLOAT, BOOL):
        for value, other in ((left, right), (right, left)):
            if value.op == "int" and abs(value.data) <= 1 << 53:
                pair = (as_float(value), other) if value is left else (other, as_float(value))
                return wasm(_COMPARE_FLOAT[kind], BOOL, *pair, line=line)
        if a == FLOAT:
            order = library("floats.compare_with_int", INT, left, as_int(right), line=line)
            return _from_order(kind, order, swapped=False)
        held = scope.temporary(INT)
        order = library("floats.compare_with_int", INT, right, local(held), line=line)
        order = Expr("block", INT, (order,), [Let(held, as_int(left))], line)
        return _from_order(kind, order, swapped=True)
    if kind in (ast.Eq, ast.NotEq):
        found = _equality(scope, node, left, right)
        return negate(found) if kind is ast.NotEq else found
    if a == STR and b == STR:
        order = library("texts.compare", INT, left, right, line=line)
        return wasm(_COMPARE_INT[kind], BOOL, order, integer(0), line=line)
    if a == BYTES and b == BYTES:
        order = library("octets.compare", INT, left, right, line=line)
        return wasm(_COMPARE_INT[kind], BOOL, order, integer(0), line=line)
    if a.kind == "set" and b.kind == "set" and unify(a, b):
        return derived.compare_sets(kind, a, left, right)
    if unify(a, b) and derived.is_ordered(a):
        if kind in (ast.Gt, ast.LtE):
            held_left, held_right = scope.temporary(a), scope.temporary(b)
            test = derived.less(a, local(held_right), local(held_left))
            if kind is ast.LtE:
                test = Expr(
                    "or",
                    BOOL,
                    (
                        derived.less(a, local(held_left), local(held_right)),
                        derived.equal(a, local(held_left), local(held_right)),
                    ),
                    None,
                    line,
                )
            return Expr("block", BOOL, (test,), [Let(held_left, left), Let(held_right, right)], line)
        if kind is ast.GtE:
            held_left, held_right = scope.temporary(a), scope.temporary(b)
            test = Expr(
                "or",
                BOOL,
                (
                    derived.less(a, local(held_right), local(held_left)),
                    derived.equal(a, local(held_left), local(held_right)),
                ),
                None,
                line,
            )
            return Expr("block", BOOL, (test,), [Let(held_left, left), Let(held_right, right)], line)
        return derived.less(a, left, right)
    return _refuse(node, SYMBOLS.get(kind, "this comparison"), a, b)


def _from_order(kind: type, order: Expr, *, swapped: bool) -> Expr:
    """Read -1, 0, 1, or 2 where a NaN compares with nothing; swapped operands swap the order."""
    swap: dict[type, type] = {ast.Lt: ast.Gt, ast.Gt: ast.Lt, ast.LtE: ast.GtE, ast.GtE: ast.LtE}
    kind = swap.get(kind, kind) if swapped else kind
    if kind in (ast.Eq, ast.NotEq, ast.Lt):
        return wasm(_COMPARE_INT[kind], BOOL, order, integer(0))
    if kind is ast.LtE:
        return wasm(op.I64_LE_S, BOOL, order, integer(0))
    if kind is ast.Gt:
        return wasm(op.I64_EQ, BOOL, order, integer(1))
    return wasm(op.I64_LE_U, BOOL, order, integer(1))


def _identity(scope: Scope, node: ast.AST, operator: ast.cmpop, left: Expr, right: Expr) -> Expr:
    if find(right.type) != NONE and find(left.type) == NONE:
        left, right = right, left
    a, b = find(left.type), find(right.type)
    if b == NONE and a.kind == "optional":
        found = wasm(op.I32_EQZ, BOOL, left, line=left.line)
    elif b == NONE:
        found = Expr("block", BOOL, (truth(a == NONE),), [Do(left)], left.line)
    elif _have_identity(a, b):
        found = wasm(op.I32_EQ, BOOL, left, right, line=left.line)
    else:
        refuse(node, f"`is` compares {a} with {b}", "write == to compare values")
    return negate(found) if isinstance(operator, ast.IsNot) else found


def _have_identity(a: Type, b: Type) -> bool:
    """Tell whether values of two types are the same object exactly where their words are the same."""
    if a == BOOL and b == BOOL:
        return True
    bare = [find(kind.args[0]) if kind.kind == "optional" else kind for kind in (a, b)]
    return all(kind.kind in ("struct", "list", "dict", "set") for kind in bare) and unify(*bare)


def _equality(scope: Scope, node: ast.AST, left: Expr, right: Expr) -> Expr:
    a, b = find(left.type), find(right.type)
    if a == NONE or b == NONE:
        return _identity(scope, node, ast.Is(), left, right)
    if a.kind == "optional" or b.kind == "optional":
        kind = a if a.kind == "optional" else b
        left, right = scope.coerce(left, kind, node), scope.coerce(right, kind, node)
        return derived.equal(kind, left, right)
    if not unify(a, b):
        refuse(node, f"== compares {a} with {b}, which are never equal", "compare values of one type")
    return derived.equal(a, left, right)


def _contained(scope: Scope, left: Expr, right: Expr, node: ast.expr, line: int) -> Expr:
    """Call the `__contains__` of an object; raises Refusal when its class has none that gives a bool."""
    struct = find(right.type).struct
    target = scope.program.methods.get((struct.name, "__contains__")) if struct is not None else None
    if target is None or len(target.params) != 2 or target.result != BOOL:
        hint = "define __contains__(self, …) -> bool" if struct is not None else ""
        refuse(node, f"`in` does not look into {find(right.type)}", hint)
    scope.program.ensure_checked(target, node)
    scope.function.calls.add(target)
    held = scope.temporary(left.type)
    item = scope.coerce(local(held), target.params[1].type, node)
    return Expr("block", BOOL, (Expr("call", BOOL, (right, item), target, line),), [Let(held, left)], line)


def _is_written_out(node: ast.expr) -> TypeGuard[ast.Tuple | ast.List | ast.Set]:
    """Tell whether a value is its items, so that none has to be made to look into it."""
    return (
        isinstance(node, ast.Tuple | ast.List | ast.Set)
        and bool(node.elts)
        and not any(isinstance(item, ast.Starred) for item in node.elts)
    )


def _membership(scope: Scope, node: ast.AST, left: Expr, right_node: ast.expr, inverted: bool) -> Expr:
    line = getattr(node, "lineno", 0)
    if _is_written_out(right_node):
        held = scope.temporary(left.type)
        body: list[Stmt] = [Let(held, left)]
        found = None
        for item in right_node.elts:
            value = scope.check(item, left.type)
            if not isinstance(item, ast.Constant):
                body.append(Let(kept := scope.temporary(value.type), value))
                value = local(kept, line)
            test = compare_two(scope, item, ast.Eq(), local(held, line), value)
            found = test if found is None else Expr("or", BOOL, (found, test), None, line)
        result = Expr("block", BOOL, (found or truth(False),), body, line)
        return negate(result) if inverted else result
    right = scope.check(right_node)
    container = find(right.type)
    if container == STR:
        left = scope.coerce(left, STR, node)
        found = library("texts.holds", BOOL, left, right, line=line)
    elif container.kind == "list":
        left = scope.coerce(left, container.args[0], node)
        found = derived.find_in_list(container.args[0], left, right)
    elif container.kind in ("dict", "set"):
        left = scope.coerce(left, container.args[0], node)
        found = derived.has_key(container.args[0], left, right)
    elif container == BYTES and find(left.type) in (INT, BOOL):
        found = library("octets.has", BOOL, as_int(left), right, line=line)
    elif container.kind == "tuple" and container.args:
        held, where = scope.temporary(left.type), scope.temporary(container)
        test_chain: Expr | None = None
        for index in range(len(container.args)):
            test = compare_two(scope, node, ast.Eq(), local(held), item_of_tuple(local(where), index))
            test_chain = test if test_chain is None else Expr("or", BOOL, (test_chain, test), None, line)
        found = Expr("block", BOOL, (test_chain or truth(False),), [Let(held, left), Let(where, right)], line)
    else:
        found = _contained(scope, left, right, right_node, line)
    return negate(found) if inverted else found
