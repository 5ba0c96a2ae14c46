"""A program: what its module defines, looked up by the functions that are checked."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Mapping
from typing import Any, Final, Protocol

from echelon.plugin.compilers.python import exceptions
from echelon.plugin.compilers.python.checking import classes, constants, kit, mathematics
from echelon.plugin.compilers.python.checking.annotations import Annotations
from echelon.plugin.compilers.python.checking.checker import CHECKER
from echelon.plugin.compilers.python.checking.constants import NotConstant
from echelon.plugin.compilers.python.checking.flow import leaves
from echelon.plugin.compilers.python.checking.scope import Scope
from echelon.plugin.compilers.python.checking.source import Refusal, refuse
from echelon.plugin.compilers.python.tree import Expr, Function, Stmt, Variable
from echelon.plugin.compilers.python.types import FLOAT, NONE, Struct, Type, find, optional

_MODULES: Final = frozenset(
    {"__future__", "collections.abc", "dataclasses", "math", "typing", "typing_extensions"}
)
_PARTS: Final = frozenset({"dataclasses", "typing", "typing_extensions", "collections.abc"})
_MAX_PARAMETERS: Final = 100
_RESERVED: Final = frozenset({"memory", "echelon_alloc"})


class Signatures(Protocol):
    """What functions the library has."""

    def has(self, key: str) -> bool: ...

    def params(self, key: str) -> tuple[Type, ...]: ...

    def result(self, key: str) -> Type: ...


class Program:
    """What is defined, by name. `check()` fills the bodies of `order`."""

    def __init__(self, tree: ast.Module, given: Mapping[str, Any], library: Signatures) -> None:
        self._library = library
        self.functions: dict[str, Function] = {}
        self.structs: dict[str, Struct] = {}
        self.methods: dict[tuple[str, str], Function] = {}
        self.static: set[Function] = set()
        self.properties: dict[str, set[str]] = {}
        self.constructors: dict[str, Function] = {}
        self.with_init: set[str] = set()
        self.class_constants: dict[tuple[str, str], Any] = {}
        self.exceptions: dict[str, int] = {}
        self.parents: dict[int, int] = dict(exceptions.PARENTS)
        self.modules: dict[str, str] = {}
        self.imported: dict[str, str] = {}
        self.objects: dict[str, str] = {}
        """Names of objects of the guest kit, and the class of each."""
        self.constants: dict[str, Any] = dict(given)
        self._items = 0
        """Items of tuples that constants were written out as."""
        self.order: list[Function] = []
        self.namespace: Mapping[str, Any] = {}
        self._bodies: dict[Function, ast.FunctionDef] = {}
        self._structs_of: dict[Function, Struct] = {}
        self._checked: set[Function] = set()
        self._needed: list[Function] = []
        self.answers = False
        """Whether `handle` answers HTTP."""
        self._file = 0
        self._aliases: dict[str, ast.expr] = {}
        self._annotations = Annotations(self._find_type, self.imported)
        imports = [
            node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == kit.MODULE
        ]
        if imports:
            self._file = kit.FILE
            self.imported |= {name: f"dataclasses.{name}" for name in ("dataclass", "field")}
            self._declare(kit.source().body)
            self.imported.clear()
            self._file = 0
            for node in imports:
                for alias in node.names:
                    self._claim(node, alias.asname or alias.name)
                kit.bring(self, node)
        self._declare(tree.body)

    # What the module says

    def _declare(self, body: list[ast.stmt]) -> None:
        """Note everything that is defined, classes before what mentions them."""
        for node in body:
            if isinstance(node, ast.ClassDef):
                self._claim(node, node.name)
                classes.announce(self, node)
            elif isinstance(node, ast.Import | ast.ImportFrom):
                self._import(node)
        for node in body:
            if isinstance(node, ast.Assign | ast.AnnAssign):
                self._assign(node)
        for node in body:
            if isinstance(node, ast.ClassDef) and node.name in self.structs:
                classes.declare_fields(self, node)
        for node in body:
            if isinstance(node, ast.ClassDef) and node.name in self.structs:
                classes.declare_methods(self, node)
            elif isinstance(node, ast.FunctionDef):
                self._claim(node, node.name)
                if node.decorator_list:
                    refuse(
                        node.decorator_list[0],
                        f"{node.name} has a decorator",
                        "only the function itself can be compiled",
                    )
                self.functions[node.name] = self.declare_function(node, node.name)
            elif not isinstance(
                node, ast.ClassDef | ast.Import | ast.ImportFrom | ast.Assign | ast.AnnAssign
            ):
                self._other(node)

    def _claim(self, node: ast.AST, name: str) -> None:
        if (
            name in self.functions
            or name in self.structs
            or name in self.exceptions
            or name in self.constants
        ):
            refuse(node, f"{name} is defined twice", "give one of them another name")
        if name in _RESERVED:
            refuse(node, f"the name {name} belongs to the module that is made", "use another name")

    def _other(self, node: ast.stmt) -> None:
        """Accept texts, `pass`, and what runs only as a script; refuse other code of the module."""
        if isinstance(node, ast.Pass) or (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        ):
            return
        if isinstance(node, ast.If) and isinstance(node.test, ast.Compare):
            left = node.test.left
            if isinstance(left, ast.Name) and left.id == "__name__" and not node.orelse:
                return
            if isinstance(left, ast.Name) and left.id == "TYPE_CHECKING":
                return
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return
        if isinstance(node, ast.AsyncFunctionDef):
            refuse(
                node,
                "an async function cannot be compiled",
                "a call runs to its end without waiting; leave async out",
            )
        refuse(node, "the module does something when it is imported", "move it into a function")

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name not in _MODULES:
                    refuse(
                        node,
                        f"the module {alias.name} is not there in WebAssembly",
                        f"write from {kit.MODULE} import …"
                        if alias.name == kit.MODULE
                        else "there are math, dataclasses, typing",
                    )
                self.modules[alias.asname or alias.name] = alias.name
            return
        module = node.module or ""
        if module == kit.MODULE:
            return
        if node.level or module not in _MODULES:
            refuse(
                node,
                f"the module {module or '.'} is not there in WebAssembly",
                "there are math, dataclasses, typing",
            )
        for alias in node.names:
            if alias.name == "*":
                refuse(node, "everything of a module is imported", "name what is needed")
            if module == "math" and not mathematics.exists(alias.name):
                refuse(node, f"math.{alias.name} is not known here", _near(alias.name, mathematics.NAMES))
            self.imported[alias.asname or alias.name] = f"{module}.{alias.name}"

    def _assign(self, node: ast.Assign | ast.AnnAssign) -> None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if node.value is None:
            refuse(node, "a name of the module has no value", "give it one")
        for target in targets:
            if not isinstance(target, ast.Name):
                refuse(
                    target, "this is assigned when the module is imported", "assign constants to single names"
                )
            self._claim(target, target.id)
            try:
                value = constants.evaluate(node.value, self.constants, self.math_names())
            except NotConstant:
                if isinstance(node.value, ast.Subscript | ast.Name | ast.BinOp):
                    self._aliases[target.id] = node.value
                    continue
                refuse(
                    node.value, f"{target.id} is no constant",
                    "numbers, texts, bytes and tuples of them are; make other values in a function",
                )  # fmt: skip
            if isinstance(node, ast.AnnAssign) and isinstance(value, int) and not isinstance(value, bool):
                final = (
                    isinstance(node.annotation, ast.Name)
                    and self.imported.get(node.annotation.id) == "typing.Final"
                )
                if not final and find(self.annotation(node.annotation)) == FLOAT:
                    refuse(node.value, f"{target.id} is an int and annotated as float", f"write {value}.0")
            self.write_out(value, node.value)
            self.constants[target.id] = value

    def math_names(self) -> dict[str, str]:
        """Return what names of the program stand for in `math`, "" for the module itself."""
        found = {name: "" for name, module in self.modules.items() if module == "math"}
        for name, origin in self.imported.items():
            if origin.startswith("math."):
                found[name] = origin.removeprefix("math.")
        return found

    def _find_type(self, name: str) -> Type | ast.expr | None:
        if name in self.structs:
            return Type("struct", (), self.structs[name])
        return self._aliases.get(name)

    def annotation(self, node: ast.expr) -> Type:
        """Return the type that an annotation means; raises Refusal."""
        return self._annotations.read(node)

    # Functions

    def declare_function(self, node: ast.FunctionDef, name: str, owner: Struct | None = None) -> Function:
        """Return a function whose body is not checked yet; `owner` is the class whose method it is."""
        arguments = node.args
        if arguments.vararg or arguments.kwarg:
            refuse(
                arguments.vararg or arguments.kwarg,
                "the function takes as many arguments as there are",
                "take a list",
            )
        given = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        if len(given) > _MAX_PARAMETERS:
            refuse(node, f"the function has more than {_MAX_PARAMETERS} parameters", "pass a dataclass")
        if node.name.startswith("__") and node.name.endswith("__") and owner is None:
            refuse(node, f"the function {node.name} is called by Python itself", "use another name")
        params = []
        for position, argument in enumerate(given):
            if position == 0 and owner is not None:
                kind = Type("struct", (), owner)
            elif argument.annotation is None:
                refuse(
                    argument,
                    f"the parameter {argument.arg} has no type",
                    f"write {argument.arg}: int, or whatever it is",
                )
            else:
                kind = self._param_type(argument.annotation)
                if kind == NONE:
                    refuse(argument, f"the parameter {argument.arg} can only be None")
            params.append(Variable(argument.arg, kind, parameter=True))
        result = NONE if node.returns is None else self.annotation(node.returns)
        function = Function(name, params, result, line=node.lineno, file=self._file)
        if self._file == kit.FILE:
            opened = {argument.arg: kit.open_type(argument.annotation) for argument in given}
            function.opened = {name: which for name, which in opened.items() if which}
        function.keyword_only = {argument.arg for argument in arguments.kwonlyargs}
        self._defaults(function, arguments)
        self._bodies[function] = node
        if owner is not None:
            self._structs_of[function] = owner
        if self._file != kit.FILE:
            self.order.append(function)
        return function

    def _param_type(self, node: ast.expr) -> Type:
        which = kit.open_type(node) if self._file == kit.FILE else ""
        if not which:
            return self.annotation(node)
        kind = kit.OPEN[which] or Type("struct", (), self.structs["guest.Stored"])
        return optional(kind) if isinstance(node, ast.BinOp) else kind

    def _defaults(self, function: Function, arguments: ast.arguments) -> None:
        positional = [*arguments.posonlyargs, *arguments.args]
        pairs: list[tuple[ast.arg, ast.expr | None]] = list(
            zip(positional[len(positional) - len(arguments.defaults) :], arguments.defaults, strict=True)
        )
        pairs += zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        kinds = {param.name: param.type for param in function.params}
        for argument, default in pairs:
            if default is not None:
                which = function.opened.get(argument.arg, "")
                function.defaults[argument.arg] = self.default(default, kinds[argument.arg], which)

    def default(self, node: ast.expr, kind: Type, which: str = "") -> Expr:
        """Return the value of a parameter that is not given; raises Refusal for what is no constant."""
        try:
            value = constants.evaluate(node, self.constants, self.math_names())
        except NotConstant:
            refuse(node, "a default is no constant", "use None, and make the value in the function")
        scope = Scope(self, Function("default", [], NONE), CHECKER)
        found = self.write_out(value, node)
        return (
            kit.convert(scope, which, found, node, kind)
            if which
            else scope.coerce(found, kind, node, "the default")
        )

    def need(self, function: Function) -> None:
        """Note that a function of the kit is called; it is checked and compiled then."""
        if function.file == kit.FILE and function in self._bodies and function not in self._checked:
            self._needed.append(function)

    def ensure_checked(self, function: Function, _node: ast.AST) -> None:
        """Check the body of a function whose fields others need: `__init__`."""
        self.need(function)
        node = self._bodies.get(function)
        if node is not None and node.name == "__init__" and function not in self._checked:
            self.check_function(function)

    def check_function(self, function: Function) -> None:
        """Check one body; raises Refusal."""
        if function in self._checked:
            return
        self._checked.add(function)
        node = self._bodies[function]
        scope = Scope(self, function, CHECKER)
        function.body = scope.check_body(node.body)
        if function.result != NONE and not leaves(function.body):
            kind = find(function.result)
            if kind.kind != "optional":
                refuse(
                    node, f"{node.name}() may end without returning a value",
                    f"return one at its end, or annotate it: -> {kind} | None",
                )  # fmt: skip
            function.body.append(_return_none(function, node))

    def check(self) -> None:
        """Check every function, constructors first; raises Refusal."""
        for function in [*self.constructors.values(), *self.order]:
            if function in self._bodies:
                self.check_function(function)
        handle = self.functions.get("handle")
        self.answers = handle is not None and "guest._sent" in self.functions and kit.answers(handle)
        if self.answers:
            self.need(self.functions["guest._received"])
            self.need(self.functions["guest._sent"])
        while self._needed:
            function = self._needed.pop()
            if function not in self._checked:
                self.check_function(function)
                self.order.append(function)

    def declare_field(
        self, scope: Scope, target: ast.Attribute, struct: Struct, value: Expr, kind: Type | None = None
    ) -> None:
        """Give a class a field that its `__init__` assigns for the first time."""
        classes.declare_field(self, scope, target, struct, value, kind)

    # Names

    def constant(self, _scope: Scope, node: ast.Name) -> Expr | None:
        """Return a constant of the module."""
        if node.id in self.constants:
            return self.write_out(self.constants[node.id], node)
        origin = self.imported.get(node.id, "")
        if origin.startswith("math.") and origin[5:] in mathematics.CONSTANTS:
            return constants.constant(mathematics.CONSTANTS[origin[5:]], node)
        return None

    def module_constant(self, scope: Scope, node: ast.Attribute) -> Expr | None:
        """Return a constant of an imported module or of a class."""
        if not isinstance(node.value, ast.Name) or node.value.id in scope.variables:
            return None
        name = node.value.id
        if self.modules.get(name) == "math":
            if node.attr not in mathematics.CONSTANTS:
                refuse(node, f"math.{node.attr} is no constant", _near(node.attr, mathematics.NAMES))
            return constants.constant(mathematics.CONSTANTS[node.attr], node)
        if (name, node.attr) in self.class_constants:
            return self.write_out(self.class_constants[name, node.attr], node)
        return None

    def write_out(self, value: Any, node: ast.AST) -> Expr:
        """Return a constant as an expression; raises Refusal when all of them together have too many items."""
        if isinstance(value, tuple):
            self._items += constants.items(value)
            if self._items > constants.MOST_ITEMS:
                refuse(
                    node, "the constants of the program are written out as too many items",
                    "assign the constant to a variable and use that, or make a list in a function",
                )  # fmt: skip
        return constants.constant(value, node)

    def library_math(self, name: str, count: int) -> str:
        """Return the key of a function of `math`, "" where the library has none that takes so many arguments."""
        for key in (f"mathematics.{name}", f"mathematics.{name}_{count}"):
            if self._library.has(key) and len(self._library.params(key)) == count:
                return key
        return ""

    def library_params(self, key: str) -> tuple[Type, ...]:
        return self._library.params(key)

    def library_result(self, key: str, _node: ast.AST) -> Type:
        return self._library.result(key)

    def hint_for(self, name: str) -> str:
        """Return what may have been meant by a name that is not known."""
        known = [*self.functions, *self.structs, *self.constants, *self.imported]
        known = [each for each in known if not each.startswith(kit.PREFIX)]
        if name in self._aliases:
            try:
                self.annotation(self._aliases[name])
            except Refusal:
                return (
                    f"the value of {name} is too large to be computed before the program runs, or no constant"
                )
            return f"{name} is the name of a type"
        return _near(name, known)


def _return_none(function: Function, node: ast.FunctionDef) -> Stmt:
    from echelon.plugin.compilers.python.tree import Return

    return Return(Expr("none", function.result), node.end_lineno or node.lineno)


def _near(name: str, known: Any) -> str:
    near = difflib.get_close_matches(name, list(known), 1)
    return f"did you mean {near[0]}?" if near else ""
