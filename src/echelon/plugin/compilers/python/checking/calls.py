"""Calls: of the program's functions and classes, and where every other call is looked up."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from echelon.plugin.compilers.python.checking import builtin_calls, kit, mathematics, methods, raw
from echelon.plugin.compilers.python.checking.scope import Scope
from echelon.plugin.compilers.python.checking.source import refuse
from echelon.plugin.compilers.python.tree import Do, Expr, Function, Let, Stmt, Variable, local
from echelon.plugin.compilers.python.types import NONE, Struct, Type, find

_SIMPLE = ("int", "float", "bool", "text", "none", "local", "octets")


def call(scope: Scope, node: ast.Call, expected: Type | None = None) -> Expr:
    """Return a call's value; raises Refusal for what cannot be called."""
    scope.forget_paths()
    if isinstance(node.func, ast.Attribute):
        return _of_attribute(scope, node, node.func, expected)
    if not isinstance(node.func, ast.Name):
        refuse(node.func, "the result of an expression is called", "give the function a name")
    name = node.func.id
    if scope.raw:
        found = raw.call(scope, node, name)
        if found is not None:
            return found
    if name in scope.variables:
        refuse(node.func, f"{name} is a variable and is called", "functions have to be defined with def")
    program = scope.program
    of_kit = kit.call(scope, node, name)
    if of_kit is not None:
        return of_kit
    if name in program.functions:
        return call_function(scope, node, program.functions[name], [], node.args, node.keywords)
    if name in program.structs:
        return _construct(scope, node, program.structs[name])
    origin = program.imported.get(name, "")
    if origin.startswith("math."):
        return mathematics.call(scope, node, origin.removeprefix("math."))
    return builtin_calls.call(scope, node, name, expected)


def _of_attribute(scope: Scope, node: ast.Call, function: ast.Attribute, expected: Type | None) -> Expr:
    program = scope.program
    owner = function.value
    if isinstance(owner, ast.Name) and owner.id not in scope.variables:
        if program.modules.get(owner.id) == "math":
            return mathematics.call(scope, node, function.attr)
        if owner.id in program.structs:
            target = program.methods.get((program.structs[owner.id].name, function.attr))
            if target is not None and target in program.static:
                return call_function(scope, node, target, [], node.args, node.keywords)
            refuse(function, f"{owner.id} has no static method {function.attr}", "call it on an object")
        if owner.id in ("str", "dict", "int", "bytes", "float"):
            return builtin_calls.of_type(scope, node, owner.id, function.attr)
        if owner.id in program.modules:
            refuse(node.func, f"{program.modules[owner.id]}.{function.attr}() cannot be compiled")
    value = scope.check(owner)
    kind = find(value.type)
    if kind.kind == "optional" and find(kind.args[0]).kind == "struct":
        from echelon.plugin.compilers.python.checking import expressions

        value = expressions.require(scope, value, function.attr, function)
        kind = find(value.type)
    if kind.kind == "struct" and kind.struct is not None:
        target = program.methods.get((kind.struct.name, function.attr))
        if target is None:
            refuse(function, f"{kind} has no method {function.attr}")
        if target in program.static:
            return call_function(scope, node, target, [], node.args, node.keywords)
        return call_function(scope, node, target, [value], node.args, node.keywords)
    return methods.call(scope, node, function, value, expected)


def method_of(scope: Scope, value: Expr, name: str) -> Function | None:
    """Return the method that an object's class defines."""
    struct = find(value.type).struct
    return None if struct is None else scope.program.methods.get((struct.name, name))


def dunder(scope: Scope, node: ast.AST, value: Expr, name: str, args: Sequence[ast.expr]) -> Expr:
    """Call a special method of an object; raises Refusal when its class has none."""
    target = method_of(scope, value, name)
    if target is None:
        refuse(node, f"{find(value.type)} has no {name}", "define the method")
    return call_function(scope, node, target, [value], args, [])


def call_function(
    scope: Scope,
    node: ast.AST,
    target: Function,
    first: list[Expr],
    args: Sequence[ast.expr],
    keywords: Sequence[ast.keyword],
) -> Expr:
    """Return a call of a function of the program; `first` is the object of a method."""
    target = kit.overload(scope, target, node)
    scope.program.ensure_checked(target, node)
    values = bind(scope, node, target, first, args, keywords)
    scope.function.calls.add(target)
    return ordered(
        scope,
        target,
        values,
        lambda found: Expr("call", target.result, found, target, getattr(node, "lineno", 0)),
    )


def bind(
    scope: Scope,
    node: ast.AST,
    target: Function,
    first: list[Expr],
    args: Sequence[ast.expr],
    keywords: Sequence[ast.keyword],
) -> list[tuple[int, Expr]]:
    """Return the arguments in the order in which they are written, with the number of their parameter."""
    params = target.params
    values = list(enumerate(first))
    if len(first) + len(args) > len(params):
        refuse(node, f"{target.name}() takes {len(params) - len(first)} arguments and gets {len(args)}")
    for position, arg in enumerate(args, len(first)):
        if isinstance(arg, ast.Starred):
            refuse(arg, "* in a call cannot be compiled", "write the arguments")
        if params[position].name in target.keyword_only:
            refuse(arg, f"{params[position].name} can only be given by name")
        values.append((position, _argument(scope, target, params[position], arg)))
    names = {param.name: position for position, param in enumerate(params)}
    given = {position for position, _ in values}
    for keyword in keywords:
        if keyword.arg is None or keyword.arg not in names:
            refuse(
                keyword,
                f"{target.name}() has no parameter {keyword.arg or '**'}",
                f"it takes {', '.join(names)}",
            )
        position = names[keyword.arg]
        if position in given:
            refuse(keyword, f"{target.name}() gets {keyword.arg} twice")
        given.add(position)
        values.append((position, _argument(scope, target, params[position], keyword.value)))
    for position, param in enumerate(params):
        if position not in given:
            if param.name not in target.defaults:
                refuse(node, f"{target.name}() needs the argument {param.name}")
            values.append((position, target.defaults[param.name]))
    return values


def _argument(scope: Scope, target: Function, param: Variable, node: ast.expr) -> Expr:
    which = target.opened.get(param.name)
    if which:
        value = scope.check(node)
        is_encoded = scope.function.file == kit.FILE and find(value.type) in (param.type, *param.type.args)
        return value if is_encoded else kit.convert(scope, which, value, node, param.type)
    return scope.check_as(node, param.type, f"the argument {param.name}")


def ordered(scope: Scope, _target: Function, values: list[tuple[int, Expr]], make: object) -> Expr:
    """Make an expression of values in the order of parameters, evaluated in the order in which they are written."""
    positions = [position for position, _ in values]
    if positions == sorted(positions) or all(value.op in _SIMPLE for _, value in values):
        return make(tuple(value for _, value in sorted(values, key=lambda pair: pair[0])))  # type: ignore[operator,no-any-return]  # a function of a tuple
    body: list[Stmt] = []
    held: dict[int, Expr] = {}
    for position, value in values:
        kept = scope.temporary(value.type)
        body.append(Let(kept, value))
        held[position] = local(kept)
    result: Expr = make(tuple(held[position] for position in sorted(held)))  # type: ignore[operator]  # see above
    return Expr("block", result.type, (result,), body, result.line)


def _construct(scope: Scope, node: ast.Call, struct: Struct) -> Expr:
    """Return a new object."""
    program = scope.program
    kind = Type("struct", (), struct)
    if struct.name in program.exceptions:
        refuse(node, f"the exception {struct.name} is made and not raised", "write raise")
    maker = program.constructors[struct.name]
    if struct.name in program.with_init:
        program.ensure_checked(maker, node)
        made = scope.temporary(kind)
        values = bind(scope, node, maker, [local(made)], node.args, node.keywords)
        scope.function.calls.add(maker)
        called = ordered(scope, maker, values, lambda found: Expr("call", NONE, found, maker, node.lineno))
        body: list[Stmt] = [Let(made, Expr("object", kind, (), struct, node.lineno)), Do(called)]
        return Expr("block", kind, (local(made),), body, node.lineno)
    values = bind(scope, node, maker, [], node.args, node.keywords)
    made_object = ordered(
        scope, maker, values, lambda found: Expr("new", kind, found, struct.size, node.lineno)
    )
    post = program.methods.get((struct.name, "__post_init__"))
    if post is None:
        return made_object
    program.ensure_checked(post, node)
    scope.function.calls.add(post)
    held = scope.temporary(kind)
    called = Expr("call", NONE, (local(held),), post, node.lineno)
    return Expr("block", kind, (local(held),), [Let(held, made_object), Do(called)], node.lineno)


def parameter(name: str, kind: Type) -> Variable:
    return Variable(name, kind, parameter=True)
