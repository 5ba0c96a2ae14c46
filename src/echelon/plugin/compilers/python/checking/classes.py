"""Classes of a program: dataclasses, classes whose `__init__` makes their fields, and exceptions."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any, Final

from echelon.plugin.compilers.python.checking import constants
from echelon.plugin.compilers.python.checking.constants import NotConstant
from echelon.plugin.compilers.python.checking.source import refuse
from echelon.plugin.compilers.python.exceptions import NUMBERS
from echelon.plugin.compilers.python.tree import Expr, Function, Variable, integer, library
from echelon.plugin.compilers.python.types import NONE, Field, Struct, Type, find

if TYPE_CHECKING:
    from echelon.plugin.compilers.python.checking.program import Program
    from echelon.plugin.compilers.python.checking.scope import Scope

_SPECIAL: Final = frozenset({
    "__init__", "__post_init__", "__len__", "__getitem__", "__setitem__", "__str__", "__repr__", "__bool__",
    "__contains__",
    "__add__", "__sub__", "__mul__", "__truediv__", "__floordiv__", "__mod__", "__neg__", "__matmul__",
    "__lt__", "__le__", "__gt__", "__ge__", "__eq__",
})  # fmt: skip
_ORDER: Final = frozenset({"__lt__", "__le__", "__gt__", "__ge__"})
_FACTORIES: Final = ("list", "dict", "set")
_MAX_FIELDS: Final = 500


def announce(program: Program, node: ast.ClassDef) -> None:
    """Note that a class exists, so that annotations may name it."""
    if node.keywords:
        refuse(node, f"the class {node.name} has a metaclass or arguments", "leave them out")
    if node.bases:
        _announce_exception(program, node)
        return
    struct = Struct(node.name, line=node.lineno)
    is_dataclass = False
    for decorator in node.decorator_list:
        is_dataclass = True
        _read_decorator(program, decorator, struct)
    struct.is_dataclass = is_dataclass
    if not is_dataclass:
        struct.compared = struct.shown = False
    program.structs[node.name] = struct


def _announce_exception(program: Program, node: ast.ClassDef) -> None:
    base = node.bases[0]
    name = base.id if isinstance(base, ast.Name) else ""
    parent = program.exceptions.get(name) or NUMBERS.get(name)
    if len(node.bases) > 1 or not parent:
        refuse(
            base,
            f"{node.name} derives from {name or 'an expression'}",
            "only exceptions can derive from one another",
        )
    for item in node.body:
        if not isinstance(item, ast.Pass) and not (
            isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant)
        ):
            refuse(
                item,
                f"the exception {node.name} has a body",
                "it can only have a message: put what it tells into that",
            )
    number = max(program.parents) + 1
    program.exceptions[node.name] = number
    program.parents[number] = parent


def _read_decorator(program: Program, node: ast.expr, struct: Struct) -> None:
    called = node.func if isinstance(node, ast.Call) else node
    name = (
        called.attr
        if isinstance(called, ast.Attribute)
        else called.id
        if isinstance(called, ast.Name)
        else ""
    )
    if program.imported.get(name, name).rpartition(".")[2] != "dataclass":
        refuse(
            node,
            f"the class {struct.name} has the decorator {name or 'of an expression'}",
            "only @dataclass can be compiled",
        )
    for keyword in node.keywords if isinstance(node, ast.Call) else []:
        if not isinstance(keyword.value, ast.Constant) or not isinstance(keyword.value.value, bool):
            refuse(keyword, "this is no constant", "write True or False")
        value = keyword.value.value
        if keyword.arg == "frozen":
            struct.frozen = value
        elif keyword.arg == "order":
            struct.ordered = value
        elif keyword.arg == "eq":
            struct.compared = value
        elif keyword.arg == "repr":
            struct.shown = value
        elif keyword.arg not in ("slots", "init", "unsafe_hash") or (
            keyword.arg != "slots" and value != (keyword.arg == "init")
        ):
            refuse(
                keyword,
                f"@dataclass({keyword.arg}=…) cannot be compiled",
                "there are frozen, order, eq, repr and slots",
            )


def declare_fields(program: Program, node: ast.ClassDef) -> None:
    """Note the fields of a dataclass and the constants of any class."""
    struct = program.structs[node.name]
    is_dataclass = bool(node.decorator_list)
    params: list[Variable] = []
    maker = Function(node.name, params, Type("struct", (), struct), line=node.lineno)
    for item in node.body:
        if (
            isinstance(item, ast.AnnAssign)
            and isinstance(item.target, ast.Name)
            and is_dataclass
            and not _is_class_variable(item)
        ):
            _declare_dataclass_field(program, struct, item, item.target.id, maker)
        elif isinstance(item, ast.Assign | ast.AnnAssign):
            _declare_class_constant(program, struct, item, is_dataclass)
        elif isinstance(item, ast.FunctionDef | ast.Pass) or (
            isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant)
        ):
            continue
        else:
            refuse(
                item,
                f"the body of {node.name} has a statement that cannot be compiled",
                "it can have fields and methods",
            )
    if len(struct.fields) > _MAX_FIELDS:
        refuse(node, f"{node.name} has more than {_MAX_FIELDS} fields")
    if is_dataclass or not any(
        isinstance(item, ast.FunctionDef) and item.name == "__init__" for item in node.body
    ):
        program.constructors[node.name] = maker


def _is_class_variable(item: ast.AnnAssign) -> bool:
    shown = ast.unparse(item.annotation)
    return shown.startswith(("ClassVar", "typing.ClassVar"))


def _declare_dataclass_field(
    program: Program, struct: Struct, item: ast.AnnAssign, name: str, maker: Function
) -> None:
    kind = program.annotation(item.annotation)
    if kind == NONE:
        refuse(item, f"the field {name} can only be None")
    if name in struct.fields:
        refuse(item, f"the field {name} is there twice")
    struct.fields[name] = Field(name, kind, 8 * len(struct.fields))
    maker.params.append(Variable(name, kind, parameter=True))
    default = None if item.value is None else _field_default(program, item.value, kind)
    if default is not None:
        maker.defaults[name] = default
    elif maker.defaults:
        refuse(item, f"the field {name} has no default and follows one that has", "put it first")


def _field_default(program: Program, node: ast.expr, kind: Type) -> Expr | None:
    if not isinstance(node, ast.Call):
        return program.default(node, kind)
    name = (
        node.func.attr
        if isinstance(node.func, ast.Attribute)
        else node.func.id
        if isinstance(node.func, ast.Name)
        else ""
    )
    if program.imported.get(name, name).rpartition(".")[2] != "field":
        return program.default(node, kind)
    keywords = {keyword.arg: keyword.value for keyword in node.keywords}
    if node.args or set(keywords) - {"default", "default_factory"}:
        refuse(node, "this field() cannot be compiled", "there are default= and default_factory=")
    if "default" in keywords:
        return program.default(keywords["default"], kind)
    if "default_factory" not in keywords:
        return None
    factory = keywords["default_factory"]
    if isinstance(factory, ast.Name) and factory.id in program.structs:
        maker = program.constructors.get(program.structs[factory.id].name)
        if (
            maker is not None
            and find(kind).struct is program.structs[factory.id]
            and not _needs_code(program, maker)
        ):
            values = tuple(maker.defaults[param.name] for param in maker.params)
            return Expr("new", kind, values, program.structs[factory.id].size, node.lineno)
    if not isinstance(factory, ast.Name) or factory.id not in _FACTORIES or find(kind).kind != factory.id:
        refuse(
            factory,
            "this default_factory cannot be compiled",
            "there are list, dict, set and dataclasses with defaults that come before, for fields of these types",
        )
    if factory.id == "list":
        return Expr("list", kind, (), None, node.lineno)
    return library("dicts.new", kind, integer(0), line=node.lineno)


def _needs_code(program: Program, maker: Function) -> bool:
    """Tell whether making an object without arguments is more than setting its fields."""
    own = (maker.name in program.with_init) or (maker.name, "__post_init__") in program.methods
    return own or len(maker.defaults) < len(maker.params)


def _declare_class_constant(
    program: Program, struct: Struct, item: ast.Assign | ast.AnnAssign, is_dataclass: bool
) -> None:
    targets = item.targets if isinstance(item, ast.Assign) else [item.target]
    for target in targets:
        if not isinstance(target, ast.Name):
            refuse(target, f"the body of {struct.name} assigns to this", "assign constants to names")
        if target.id == "__slots__" and not is_dataclass:
            continue
        if item.value is None:
            refuse(item, f"{struct.name}.{target.id} is declared and gets no value", "assign it in __init__")
        try:
            value = constants.evaluate(item.value, program.constants, program.math_names())
        except NotConstant:
            refuse(item.value, f"{struct.name}.{target.id} is no constant", "assign it in __init__")
        program.write_out(value, item.value)
        program.class_constants[struct.name, target.id] = value


def declare_methods(program: Program, node: ast.ClassDef) -> None:
    """Note the methods of a class."""
    struct = program.structs[node.name]
    is_dataclass = bool(node.decorator_list)
    for item in node.body:
        if not isinstance(item, ast.FunctionDef):
            continue
        if item.name in struct.fields or (node.name, item.name) in program.methods:
            refuse(item, f"{node.name}.{item.name} is defined twice", "give one of them another name")
        _check_special(struct, item, is_dataclass)
        decorators = [part.id if isinstance(part, ast.Name) else "" for part in item.decorator_list]
        static = decorators == ["staticmethod"]
        if decorators and not static and decorators != ["property"]:
            refuse(
                item.decorator_list[0],
                f"the method {item.name} has a decorator",
                "there are @staticmethod and @property",
            )
        if not static and not item.args.args:
            refuse(
                item,
                f"the method {item.name} has no self",
                "write it as the first parameter, or put @staticmethod above",
            )
        function = program.declare_function(item, f"{node.name}.{item.name}", None if static else struct)
        program.methods[node.name, item.name] = function
        if static:
            program.static.add(function)
        if decorators == ["property"]:
            program.properties.setdefault(node.name, set()).add(item.name)
        if item.name == "__init__":
            program.constructors[node.name] = function
            program.with_init.add(node.name)
            _find_fields(program, struct, item)


def _check_special(struct: Struct, item: ast.FunctionDef, is_dataclass: bool) -> None:
    if not (item.name.startswith("__") and item.name.endswith("__")):
        return
    if item.name not in _SPECIAL or (is_dataclass and item.name == "__init__"):
        refuse(item, f"{struct.name} defines {item.name}", "call a method with a name of its own")
    if item.decorator_list:
        refuse(item.decorator_list[0], f"the method {item.name} has a decorator", "take it off")
    if item.name == "__post_init__" and (not is_dataclass or struct.frozen):
        refuse(item, f"{struct.name} defines {item.name} and is not a dataclass that changes")
    if struct.ordered and item.name in _ORDER:
        refuse(item, f"{struct.name} defines {item.name} and has order=True", "leave one of them out")
    if item.name == "__eq__":
        refuse(item, f"{struct.name} defines {item.name}", "compare with a method of another name")


def _find_fields(program: Program, struct: Struct, item: ast.FunctionDef) -> None:
    """Refuse an `__init__` after which a field may have no value, or which uses the object before all have one."""
    own = item.args.args[0].arg
    first: dict[str, int] = {}
    for position, statement in enumerate(item.body):
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        if isinstance(statement, ast.AnnAssign) and statement.value is not None:
            targets = [statement.target]
        for target in targets:
            for part in target.elts if isinstance(target, ast.Tuple) else [target]:
                if isinstance(part, ast.Attribute) and _is_field(part, own):
                    first.setdefault(part.attr, position)
    last = max(first.values(), default=-1)
    for position, statement in enumerate(item.body):
        _check_early(struct, statement, own, first, position, last)


def _is_field(node: ast.AST, own: str) -> bool:
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == own


def _check_early(
    struct: Struct, statement: ast.stmt, own: str, first: dict[str, int], position: int, last: int
) -> None:
    fields = {
        id(node.value): node
        for node in ast.walk(statement)
        if isinstance(node, ast.Attribute) and _is_field(node, own)
    }
    for node in ast.walk(statement):
        if not isinstance(node, ast.Name) or node.id != own:
            continue
        found = fields.get(id(node))
        if found is None:
            if position <= last:
                refuse(node, f"{own} is used before all its fields have a value", "assign them all first")
            continue
        if isinstance(found.ctx, ast.Store):
            if found.attr not in first:
                refuse(
                    found,
                    f"the field {found.attr} may have no value",
                    f"assign it in {struct.name}.__init__ in any case",
                )
        elif found.attr in first and first[found.attr] >= position:
            refuse(found, f"the field {found.attr} is used before it has a value", "assign it first")
        elif found.attr not in first and position <= last:
            refuse(
                found, f"{own}.{found.attr} is used before all fields have a value", "assign them all first"
            )


def declare_field(
    program: Program, scope: Scope, target: ast.Attribute, struct: Struct, value: Expr, kind: Type | None
) -> None:
    """Give a class a field that its `__init__` assigns for the first time."""
    maker = program.constructors.get(struct.name)
    known = struct.fields.get(target.attr)
    if scope.function is not maker or struct.name not in program.with_init:
        return
    own: Any = target.value
    if not isinstance(own, ast.Name) or own.id != maker.params[0].name:
        return
    if known is not None:
        if kind is not None and known.type != kind:
            refuse(target, f"the field {target.attr} is {known.type} already")
        return
    if (struct.name, target.attr) in program.methods or (struct.name, target.attr) in program.class_constants:
        refuse(
            target,
            f"{struct.name}.{target.attr} is a method or constant as well",
            "give the field another name",
        )
    found = kind or value.type
    if find(found) == NONE:
        refuse(
            target,
            f"the field {target.attr} would only ever be None",
            f"annotate it: self.{target.attr}: int | None = None",
        )
    if len(struct.fields) >= _MAX_FIELDS:
        refuse(target, f"{struct.name} has more than {_MAX_FIELDS} fields")
    struct.fields[target.attr] = Field(target.attr, found, 8 * len(struct.fields))
