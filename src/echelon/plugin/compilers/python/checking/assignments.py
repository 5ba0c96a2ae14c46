"""Assignments: to names, fields, items and slices, in place, and `del`."""

from __future__ import annotations

import ast
from collections.abc import Callable

from echelon.plugin.compilers.python import derived
from echelon.plugin.compilers.python.checking import (
    calls,
    expressions,
    loops,
    narrowing,
    operators,
)
from echelon.plugin.compilers.python.checking.scope import Scope, bits
from echelon.plugin.compilers.python.checking.source import refuse
from echelon.plugin.compilers.python.tree import Do, Expr, Let, Stmt, Variable, integer, library, local
from echelon.plugin.compilers.python.types import INT, NONE, Type, find, unify


def assign(scope: Scope, node: ast.Assign) -> list[Stmt]:
    expected = _declared(scope, node.targets[0])
    first = node.targets[0]
    if len(node.targets) == 1 and isinstance(first, ast.Tuple) and isinstance(node.value, ast.Tuple):
        return _assign_several(scope, first, node.value)
    value = scope.check(node.value, expected)
    if len(node.targets) == 1:
        return store(scope, first, value)
    held = scope.temporary(_single(scope, value, node.value))
    found: list[Stmt] = [Let(held, value, node.lineno)]
    for target in node.targets:
        found += store(scope, target, local(held))
    return found


def _single(scope: Scope, value: Expr, node: ast.AST) -> Type:
    if find(value.type) == NONE:
        refuse(node, "the value is None alone", "annotate one variable at a time")
    return value.type


def _assign_several(scope: Scope, target: ast.Tuple, value: ast.Tuple) -> list[Stmt]:
    """Assign several values at once, without making a tuple."""
    if len(target.elts) != len(value.elts):
        refuse(target, f"{len(target.elts)} names are assigned {len(value.elts)} values")
    if any(isinstance(element, ast.Starred) for element in (*target.elts, *value.elts)):
        refuse(target, "* in an assignment cannot be compiled", "take slices")
    found: list[Stmt] = []
    held = []
    for element, one in zip(target.elts, value.elts, strict=True):
        made = scope.check(one, _declared(scope, element))
        if made.op in ("int", "float", "bool", "text", "none"):
            held.append(made)
            continue
        kept = scope.temporary(_single(scope, made, one))
        found.append(Let(kept, made))
        held.append(local(kept))
    for element, made in zip(target.elts, held, strict=True):
        found += store(scope, element, made)
    return found


def _declared(scope: Scope, target: ast.expr) -> Type | None:
    """Return the type of what is assigned to, where it has one."""
    if isinstance(target, ast.Name):
        variable = scope.variables.get(target.id)
        return None if variable is None else variable.type
    if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
        owner = scope.variables.get(target.value.id)
        kind = None if owner is None else find(owner.type)
        if kind is not None and kind.struct is not None and target.attr in kind.struct.fields:
            return kind.struct.fields[target.attr].type
    if isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
        owner = scope.variables.get(target.value.id)
        kind = None if owner is None else find(owner.type)
        if kind is not None and kind.kind in ("list", "dict"):
            return kind.args[-1]
    return None


def store(scope: Scope, target: ast.expr, value: Expr) -> list[Stmt]:
    """Assign a value to whatever can be assigned to."""
    if isinstance(target, ast.Name):
        if target.id in scope.globals:
            refuse(target, f"the global {target.id} is assigned", "pass it as a parameter and return it")
        return [scope.assign(target.id, value, target)]
    if isinstance(target, ast.Tuple | ast.List):
        kind = find(value.type)
        held = scope.temporary(kind)
        found: list[Stmt] = [Let(held, value)]
        if (
            any(not isinstance(element, ast.Name | ast.Tuple | ast.List) for element in target.elts)
            and kind.kind == "tuple"
        ):
            if len(kind.args) != len(target.elts):
                refuse(target, f"{len(target.elts)} names are assigned {len(kind.args)} values")
            for index, element in enumerate(target.elts):
                found += store(scope, element, operators.item_of_tuple(local(held), index))
            return found
        return loops.unpack(scope, target, value)
    if isinstance(target, ast.Attribute):
        return _store_field(scope, target, value)
    if isinstance(target, ast.Subscript):
        return _store_item(scope, target, value)
    refuse(target, "this cannot be assigned to")


def _store_field(scope: Scope, target: ast.Attribute, value: Expr) -> list[Stmt]:
    owner = scope.check(target.value)
    kind = find(owner.type)
    if kind.kind == "optional" and find(kind.args[0]).kind == "struct":
        owner = expressions.require(scope, owner, target.attr, target)
        kind = find(owner.type)
    if kind.struct is None:
        refuse(target, f"{kind} has no field {target.attr}")
    if kind.struct.frozen:
        refuse(target, f"{kind} is frozen", "make a new object")
    scope.program.declare_field(scope, target, kind.struct, value)
    field = kind.struct.fields.get(target.attr)
    if field is None:
        refuse(target, f"{kind} has no field {target.attr}", f"it has {', '.join(kind.struct.fields)}")
    path = narrowing.path_of(target)
    for known in [
        known for known in scope.narrowed if known.endswith(f".{target.attr}") or f".{target.attr}." in known
    ]:
        del scope.narrowed[known]
    have = find(value.type)
    value = scope.coerce(value, field.type, target, f"the value of {target.attr}")
    if path and find(field.type).kind == "optional" and have.kind not in ("optional", "None"):
        scope.narrowed[path] = find(field.type).args[0]
    before: list[Stmt] = []
    if value.op not in ("int", "float", "local", "bool", "text", "none"):
        held = scope.temporary(field.type)
        before.append(Let(held, value))
        value = local(held)
    return [*before, Do(Expr("set_field", NONE, (owner, value), field.offset, target.lineno), target.lineno)]


def _store_item(scope: Scope, target: ast.Subscript, value: Expr) -> list[Stmt]:
    owner = scope.check(target.value)
    kind = find(owner.type)
    if isinstance(target.slice, ast.Slice):
        return _store_slice(scope, target, owner, value)
    if kind.kind == "list":
        value = scope.coerce(value, kind.args[0], target, "the item")
        index = scope.check_int(target.slice)
        return [Do(Expr("set_item", NONE, (owner, index, value), None, target.lineno), target.lineno)]
    if kind.kind == "dict":
        value = scope.coerce(value, kind.args[1], target, "the value")
        before: list[Stmt] = []
        if value.op not in ("int", "float", "local", "bool", "text"):
            held = scope.temporary(kind.args[1])
            before.append(Let(held, value))
            value = local(held)
        keys = scope.temporary(kind)
        before.append(Let(keys, owner))
        key = scope.check_as(target.slice, kind.args[0], "the key")
        return [*before, loops.put(scope, local(keys), kind, key, value)]
    if kind.kind == "struct":
        held = scope.temporary(value.type)
        scope.variables[".value"] = held
        scope.assigned.add(".value")
        name = ast.copy_location(ast.Name(".value", ast.Load()), target)
        called = calls.dunder(scope, target, owner, "__setitem__", [target.slice, name])
        del scope.variables[".value"]
        return [Let(held, value), Do(called)]
    refuse(
        target,
        f"an item of {kind} cannot be assigned",
        "strings, bytes and tuples never change" if kind.kind in ("str", "bytes", "tuple") else "",
    )


def _store_slice(scope: Scope, target: ast.Subscript, owner: Expr, value: Expr) -> list[Stmt]:
    kind = find(owner.type)
    part = target.slice
    if kind.kind != "list" or not isinstance(part, ast.Slice):
        refuse(target, f"a slice of {kind} cannot be assigned")
    step = integer(1) if part.step is None else scope.check_int(part.step)
    items = loops.to_list(scope, value, target, kind)
    bounds, flags = _bounds(scope, part)
    is_whole = step.op == "int" and step.data == 1
    if is_whole:
        assigned = _assign_slice(items, owner, [*bounds, integer(flags)], target.lineno)
        if assigned is not None:
            return [Do(assigned)]
    held, kept = scope.temporary(kind), scope.temporary(items.type)
    name = "lists.set_slice" if is_whole else "lists.set_slice_step"
    more = () if is_whole else (step,)
    called = library(name, NONE, local(held), *bounds, *more, integer(flags), local(kept), line=target.lineno)
    made: list[Stmt] = [Let(kept, items), Let(held, owner), Do(called)]
    if items.op == "library" and items.data in (
        "lists.copy",
        "lists.slice",
        "lists.slice_step",
        "lists.concat",
        "lists.repeat",
    ):
        made.append(Do(library("lists.drop", NONE, local(kept))))
    return made


def _assign_slice(items: Expr, owner: Expr, bounds: list[Expr], line: int) -> Expr | None:
    """Return what assigns a slice of one list to that of another at once, None where something between would matter."""
    is_slice = items.op == "library" and items.data in ("lists.slice", "lists.slice_step")
    if not is_slice or not all(map(_is_plain, (owner, *bounds, *items.args))):
        return None
    source, begin, end, *step, given = items.args
    if items.data == "lists.slice":
        name = "lists.assign_slice"
    elif items.data == "lists.slice_step" and step[0].op == "int" and step[0].data == -1:
        name = "lists.assign_back"
    else:
        return None
    return library(name, NONE, owner, source, begin, end, given, *bounds, line=line)


def _is_plain(node: Expr) -> bool:
    """Tell whether nothing happens when a value is computed, but that it may overflow."""
    return node.op in ("int", "local", "add", "sub", "neg") and all(map(_is_plain, node.args))


def _bounds(scope: Scope, part: ast.Slice) -> tuple[list[Expr], int]:
    """Return where a slice begins and ends, and which of the two are given."""
    bounds, flags = [], 0
    for position, bound in enumerate((part.lower, part.upper)):
        if bound is None:
            bounds.append(integer(0))
        else:
            flags |= 1 << position
            bounds.append(scope.check_int(bound))
    return bounds, flags


def annotated(scope: Scope, node: ast.AnnAssign) -> list[Stmt]:
    kind = scope.program.annotation(node.annotation)
    if isinstance(node.target, ast.Attribute):
        if node.value is None:
            refuse(node, "a field is declared and gets no value", "assign it")
        owner = scope.check(node.target.value)
        struct = find(owner.type).struct
        value = scope.check_as(node.value, kind)
        if struct is not None:
            scope.program.declare_field(scope, node.target, struct, value, kind)
        return _store_field(scope, node.target, value)
    if not isinstance(node.target, ast.Name):
        refuse(node, "this is annotated", "annotate names and fields")
    if node.value is None:
        known = scope.variables.get(node.target.id)
        if known is None:
            scope.variables[node.target.id] = Variable(node.target.id, kind)
        elif not unify(known.type, kind):
            refuse(node, f"{node.target.id} is {known.type} already")
        return []
    value = scope.check(node.value, kind)
    have = find(value.type)
    value = scope.coerce(value, kind, node.value, node.target.id)
    statement = scope.assign(node.target.id, value, node, kind)
    if find(kind).kind == "optional" and have.kind not in ("optional", "None"):
        scope.narrowed[node.target.id] = find(kind).args[0]
    return [statement]


def augmented(scope: Scope, node: ast.AugAssign) -> list[Stmt]:
    target = node.target
    if isinstance(target, ast.Name):
        load = ast.copy_location(ast.Name(target.id, ast.Load()), target)
        left = scope.check(load)
        return _update(scope, node, left, lambda value: [scope.assign(target.id, value, target)])
    if isinstance(target, ast.Attribute):
        owner = scope.check(target.value)
        held = scope.temporary(owner.type)
        name = ast.copy_location(ast.Name(f".{held.name}", ast.Load()), target)
        scope.variables[name.id] = held
        scope.assigned.add(name.id)
        place = ast.copy_location(ast.Attribute(name, target.attr, ast.Store()), target)
        left = scope.check(place)
        return [
            Let(held, owner),
            *_update(scope, node, left, lambda value: _store_field(scope, place, value)),
        ]
    if isinstance(target, ast.Subscript) and not isinstance(target.slice, ast.Slice):
        return _update_item(scope, node, target)
    refuse(target, "this cannot be changed in place")


def _update_item(scope: Scope, node: ast.AugAssign, target: ast.Subscript) -> list[Stmt]:
    owner = scope.check(target.value)
    kind = find(owner.type)
    held = scope.temporary(kind)
    before: list[Stmt] = [Let(held, owner)]
    if kind.kind == "list":
        index = scope.check_int(target.slice)
        at = scope.temporary(INT)
        before.append(Let(at, index))
        left = Expr("item", kind.args[0], (local(held), local(at)), None, node.lineno)

        def put(value: Expr) -> list[Stmt]:
            value = scope.coerce(value, kind.args[0], target, "the item")
            return [
                Do(Expr("set_item", NONE, (local(held), local(at), value), None, node.lineno), node.lineno)
            ]

        return [*before, *_update(scope, node, left, put)]
    if kind.kind == "dict":
        key = scope.temporary(kind.args[0])
        before.append(Let(key, scope.check_as(target.slice, kind.args[0], "the key")))
        left = expressions.lookup(scope, local(held), local(key), kind, node)

        def put_key(value: Expr) -> list[Stmt]:
            value = scope.coerce(value, kind.args[1], target, "the value")
            kept = scope.temporary(kind.args[1])
            return [Let(kept, value), loops.put(scope, local(held), kind, local(key), local(kept))]

        return [*before, *_update(scope, node, left, put_key)]
    refuse(target, f"an item of {kind} cannot be changed in place")


def _update(scope: Scope, node: ast.AugAssign, left: Expr, put: Callable[[Expr], list[Stmt]]) -> list[Stmt]:
    """Combine and store; a list is extended, a set or dict updated, as CPython does in place."""
    kind = find(left.type)
    if kind.kind == "list" and isinstance(node.op, ast.Add):
        right = loops.to_list(scope, scope.check(node.value, kind), node.value, kind)
        return [Do(library("lists.extend", NONE, left, right, line=node.lineno), node.lineno)]
    if kind.kind in ("set", "dict") or (kind.kind == "list" and isinstance(node.op, ast.Mult)):
        refuse(
            node,
            f"{kind} is changed by an operator in place",
            "assign the result of the operator" if kind.kind == "list" else "call update()",
        )
    right = scope.check(node.value)
    return put(operators.combine(scope, node, node.op, left, right))


def delete(scope: Scope, node: ast.Delete) -> list[Stmt]:
    found: list[Stmt] = []
    for target in node.targets:
        if not isinstance(target, ast.Subscript):
            refuse(target, "a name is deleted", "let it be")
        owner = scope.check(target.value)
        kind = find(owner.type)
        if kind.kind == "dict":
            held, keys = scope.temporary(kind.args[0]), scope.temporary(kind)
            key = scope.check_as(target.slice, kind.args[0], "the key")
            called = library(
                "dicts.delete", NONE, local(keys), bits(local(held)), derived.hash_of(kind.args[0], local(held)),
                derived.equality(kind.args[0]), Expr("derived", INT, (), ("show_words", kind.args[0])),
                line=node.lineno,
            )  # fmt: skip
            found += [Let(keys, owner), Let(held, key), Do(called)]
        elif kind.kind == "list" and isinstance(target.slice, ast.Slice) and target.slice.step is not None:
            bounds, flags = _bounds(scope, target.slice)
            step = scope.check_int(target.slice.step)
            args = (owner, *bounds, step, integer(flags))
            found.append(Do(library("lists.delete_slice_step", NONE, *args, line=node.lineno)))
        elif kind.kind == "list" and isinstance(target.slice, ast.Slice):
            empty = ast.copy_location(ast.List([], ast.Load()), target)
            found += _store_slice(scope, target, owner, scope.check(empty, kind))
        elif kind.kind == "list":
            found.append(
                Do(library("lists.delete", NONE, owner, scope.check_int(target.slice), line=node.lineno))
            )
        else:
            refuse(target, f"an item of {kind} is deleted")
    return found
