"""Random programs of typed Python: each is well-typed as a rule, ends, and stays small.

A module is a few classes and many functions. A function has a local of each type, statements that change them, and
returns one of them or several as text; it may call one function written before it. What grows is cut, what loops has
few rounds, and integers may pass 64 bits. Most random statements raise sooner or later: a function that is guarded
catches that and goes on, and returns all of its locals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Final

from random_words import (
    CAUGHT,
    ERRORS,
    FLOATS,
    FORMATS,
    INTS,
    LOCALS,
    PARAMETERS,
    RESULTS,
    TEMPLATES,
    TEXTS,
    UNORDERED,
)


class Writer:
    """Writes one module with `random` as the source of every choice."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.written: list[tuple[str, str]] = []
        self._lines: list[str] = []
        self._indent = 1
        self._loops = 0
        self._fresh = 0
        self._may_call = False
        self._scope: dict[str, list[str]] = {}

    def functions(self, count: int) -> Iterator[tuple[str, str]]:
        """Yield the name and the text of functions; one may call those that came before it."""
        for number in range(count):
            text = (
                self._recursive(f"f{number}") if self.random.random() < 0.1 else self._function(f"f{number}")
            )
            yield f"f{number}", text

    # expressions --------------------------------------------------------------------------------------------

    def expr(self, kind: str, depth: int = 2) -> str:
        """Return an expression of a type; deeper ones are composed of others."""
        if depth <= 0 or self.random.random() < 0.15:
            return self._leaf(kind)
        makers = _MAKERS.get(kind)
        if not makers:
            return self._leaf(kind)
        return self.random.choice(makers)(self, depth - 1)

    def pick(self, *choices: str) -> str:
        return self.random.choice(choices)

    def _leaf(self, kind: str) -> str:
        names = self._scope.get(kind, [])
        if names and self.random.random() < 0.7:
            return self.random.choice(names)
        return self._literal(kind)

    def name(self, kind: str) -> str:
        """Return a local, for f-strings, which had no room for quotes before Python 3.12."""
        return self.random.choice(self._scope[kind])

    def _literal(self, kind: str) -> str:
        random = self.random
        match kind:
            case "int":
                return random.choice([str(random.choice(INTS)), str(random.randrange(-9, 40)), "LIMIT"])
            case "float":
                return random.choice(FLOATS)
            case "bool":
                return random.choice(("True", "False"))
            case "str":
                return random.choice([f'"{random.choice(TEXTS)}"', "WORD"])
            case "bytes":
                return random.choice(('b""', 'b"a"', r'b"\x00\xff"', 'b"bytes"'))
            case "list[int]" | "set[int]":
                items = ", ".join(str(random.randrange(-5, 12)) for _ in range(random.randrange(1, 5)))
                return f"[{items}]" if kind.startswith("list") else f"{{{items}}}"
            case "list[str]":
                return random.choice(('["b", "a"]', '["é", "", "zz"]', '["1"]'))
            case "list[float]":
                return random.choice(("[1.5, -0.0]", "[0.1, 0.2, 0.3]"))
            case "dict[str, int]":
                return random.choice(('{"a": 1}', '{"a": 2, "b": -1, "abc": 3}'))
            case "dict[int, str]":
                return random.choice(('{1: "x"}', '{0: "é", 7: "", -1: "q"}'))
            case "tuple[int, str]":
                return f'({random.randrange(-3, 9)}, "{random.choice(TEXTS)}")'
            case "Item":
                return f'Item("{random.choice(TEXTS)}", {random.randrange(-3, 9)})'
            case "int | None":
                return random.choice(("None", "3", "0"))
            case "str | None":
                return random.choice(("None", '"é"', '""'))
            case "list[bool]":
                return random.choice(("[True, False]", "[False] * 5", "[p, not p, True]"))
            case "list[list[int]]":
                return random.choice(("[[1, 2], [3]]", "[[0] * 3 for _ in range(2)]", "[[5, -1, 4]]"))
            case "list[tuple[str, int]]":
                return random.choice(('[("a", 1), ("é", -2)]', '[("b", 0)]'))
            case "dict[str, list[int]]":
                return random.choice(('{"a": [1, 2]}', '{"": [], "é": [3]}'))
            case "set[str]":
                return random.choice(('{"a", "b"}', '{"é"}'))
        raise AssertionError(kind)

    def fresh(self) -> str:
        self._fresh += 1
        return f"g{self._fresh}"

    def within(self, names: dict[str, str], make: Callable[[], str]) -> str:
        """Return what `make` writes while names are known, as in a comprehension."""
        for name, kind in names.items():
            self._scope.setdefault(kind, []).append(name)
        try:
            return make()
        finally:
            for name, kind in names.items():
                self._scope[kind].remove(name)

    # functions ----------------------------------------------------------------------------------------------

    def _begin(self, may_call: bool) -> None:
        self._lines, self._indent, self._loops, self._fresh = [], 1, 0, 0
        self._may_call = may_call
        self._scope = {kind: list(names) for kind, names in LOCALS.items()}

    def _function(self, name: str) -> str:
        self._begin(may_call=True)
        guarded = self.random.random() < 0.6
        scope, self._scope = (
            self._scope,
            {"int": ["n", "m"], "float": ["z"], "bool": ["p"], "str": ["a", "c"], "list[int]": ["r"]},
        )
        for kind, names in LOCALS.items():
            for local in names:
                if local not in "nmzpacro":
                    annotation = f": {kind}" if self.random.random() < 0.2 or kind not in self._scope else ""
                    self.say(f"{local}{annotation} = {self.expr(kind, 0 if guarded else 1)}")
                    self._scope.setdefault(kind, []).append(local)
        self._scope = scope
        if guarded:
            for _ in range(self.random.randrange(4, 10)):
                self._guarded()
        else:
            for _ in range(self.random.randrange(1, 6)):
                self.statement(2)
        result = self.random.choice(RESULTS)
        if guarded or result == "str" or self.random.random() < 0.5:
            result = "str"
            shown = [local for names in LOCALS.values() for local in names if local not in UNORDERED]
            shown = shown if guarded else self.random.sample(shown, 6)
            self.say(f'return f"{" ".join(f"{{{local}}}" for local in shown)} {{sorted(q)}} {{sorted(qs)}}"')
        else:
            self.say(f"return {self.expr(result)}")
        self.written.append((name, result))
        return f"def {name}({PARAMETERS}) -> {result}:\n" + "\n".join(self._lines) + "\n"

    def _recursive(self, name: str) -> str:
        self._begin(may_call=False)
        self._scope = {
            "int": ["n", "m", "i"],
            "float": ["z"],
            "bool": ["p"],
            "str": ["a", "c"],
            "list[int]": ["r"],
            "int | None": ["o"],
        }
        result = self.random.choice(("int", "float", "str", "list[int]"))
        self.say("i = n % 5")
        self.say("if i == 0:")
        self.say(f"    return {self.expr(result)}")
        call = f"{name}(i - 1, {self.expr('int', 1)}, z, not p, a[:3], {self.expr('str', 1)}[:5], r[1:], i)"
        other = self._leaf(result)
        if result in ("int", "float"):
            self.say(f"return {call} {self.pick('+', '-', '*')} {other}")
        else:
            self.say(f"return {self.pick(f'{call} + {other}', f'{other} + {call}')}")
        self.written.append((name, result))
        return f"def {name}({PARAMETERS}) -> {result}:\n" + "\n".join(self._lines) + "\n"

    # statements ---------------------------------------------------------------------------------------------

    def say(self, line: str) -> None:
        self._lines.append("    " * self._indent + line)

    def block(self, depth: int) -> None:
        self._indent += 1
        for _ in range(self.random.randrange(1, 4)):
            self.statement(depth - 1)
        self._indent -= 1

    def statement(self, depth: int) -> None:
        simple = (self._assign, self._assign, self._augmented, self._change, self._change, self._unpack)
        nested = (self._if, self._for, self._while, self._try, self._guarded_raise)
        if depth <= 0 or self.random.random() < 0.5:
            self.random.choice(simple)()
        else:
            self.random.choice(nested)(depth)

    def _target(self, kind: str) -> str:
        """Return a local that may be assigned."""
        return self.random.choice(LOCALS[kind])

    def _assign(self) -> None:
        kind = self.random.choice(list(LOCALS))
        target = self._target(kind)
        if self._may_call and not self._loops and self.written and self.random.random() < 0.3:
            fitting = [name for name, result in self.written if result == kind]
            if fitting:
                self._may_call = False
                self.say(f"{target} = {self.random.choice(fitting)}({self.arguments()})")
                return
        value = self.expr(kind)
        if kind in ("str", "bytes") or kind.startswith("list"):
            value = f"({value})[:{self.random.randrange(6, 14)}]"
        self.say(f"{target} = {value}")

    def arguments(self) -> str:
        kinds = ("int", "int", "float", "bool", "str", "str", "list[int]", "int | None")
        values = [self.expr(kind, 1) for kind in kinds]
        return ", ".join(f"({v})[:9]" if kind == "str" else v for kind, v in zip(kinds, values, strict=True))

    def _augmented(self) -> None:
        kind = self.pick("int", "int", "float", "str")
        target = self._target(kind)
        operators = {
            "int": ("+=", "-=", "*=", "//=", "%=", "&=", "|=", "^="),
            "float": ("+=", "-=", "*=", "/=", "//=", "%="),
            "str": ("+=",),
        }
        self.say(f"{target} {self.random.choice(operators[kind])} {self.expr(kind, 1)}")
        if kind == "str":
            self.say(f"{target} = {target}[-9:]")

    def _change(self) -> None:
        """Change a list, dict, set or object in place."""
        integer, text = self.expr("int", 1), self.expr("str", 1)
        v, d, e = self._target("list[int]"), self._target("dict[str, int]"), self._target("dict[int, str]")
        choices = [
            "k.count = " + integer,
            f"k.name = ({text})[:5]",
            f"q.{self.pick('add', 'discard')}({integer})",
        ]
        choices += [f"if len(k.tags) < 4: k.tags.append(({text})[:4])"]
        choices += [
            f"if len({v}) < 12: {v}.append({integer})",
            f"if len({v}) < 12: {v}.insert({integer}, {self._leaf('int')})",
            f"if len({v}) < 12: {v}.extend(({self.expr('list[int]', 1)})[:4])",
            f"{v}.reverse()",
            f"{v}.sort({self.pick('', 'reverse=True', 'key=lambda g: -g', 'key=lambda g: g % 3')})",
            f"{v}[{self._index()}] = {integer}",
            f"del {v}[{self._index()}]",
            f"i = {v}.pop({self.pick('', self._index())})",
            f"{v}.remove({integer})",
            f"if len({v}) < 9: {v}[{self._slice()}] = ({self.expr('list[int]', 1)})[:4]",
            f"l.append(({text})[:3])",
        ]
        choices += [
            f"{d}[({text})[:3]] = {integer}",
            f"{d}[{text}] += {integer}",
            f"del {d}[{text}]",
            f"i = {d}.pop({text}, {integer})",
            f"i = {d}.setdefault(({text})[:3], {integer})",
            f"{d}.update({{'a': {integer}}})",
        ]
        choices += [f"{e}[({integer}) % 5] = ({text})[:4]", f"s = {e}[({integer}) % 5]"]
        number, flag = self._leaf("int"), self.expr("bool", 1)
        choices += [
            f"if len({v}) < 9: {v}[{self._slice()}] = {v}[{self._slice()}]",
            f"if len({v}) < 9: {v}[{self._slice()}] = {v}[::-1][:4]",
            f"{v}[{self._slice()}:2] = ({self.expr('list[int]', 1)})[:2]",
            f"del {v}[{self._slice()}]",
            f"if len({v}) < 6: {v} += [{number}]",
            f"bb[{self._index()}] = {flag}",
            f"if len(bb) < 9: bb.append({flag})",
            f"if len(bb) < 9: bb.insert({number}, {flag})",
            f"if len(bb) < 8: bb[{self._slice()}] = [{flag}, True]",
            f"b = bb.pop({self.pick('', self._index())})",
            f"bb.{self.pick('reverse', 'sort', 'clear')}()",
            f"del bb[{self._index()}]",
            f"vv[{self._index()}][{self._index()}] = {number}",
            f"vv[{self._index()}] = ({self.expr('list[int]', 1)})[:4]",
            f"if len(vv[-1]) < 5: vv[-1].append({number})",
            f"vv.{self.pick('reverse', 'sort')}()",
            f"hh.sort({self.pick('', 'key=lambda g: g[1]', 'reverse=True', 'key=lambda g: (-g[1], g[0])')})",
            f"if len(hh) < 6: hh.append((({text})[:3], {number}))",
            f"if len(dv) < 6: dv.setdefault(({text})[:3], []).append({number})",
            f"dv[({text})[:3]] = ({self.expr('list[int]', 1)})[:3]",
            f"qs.{self.pick('add', 'discard', 'remove')}(({text})[:3])",
            "l.pop()",
            f"so = {self.pick('None', 's', 't[:3]')}",
        ]
        self.say(self.random.choice(choices))

    def _index(self) -> str:
        return self.pick(str(self.random.randrange(-4, 5)), f"({self._leaf('int')}) % 5", self._leaf("int"))

    def _slice(self) -> str:
        ends = [
            self.pick("", str(self.random.randrange(-4, 6)), f"{self._leaf('int')} % 4") for _ in range(2)
        ]
        return ":".join(ends)

    def _unpack(self) -> None:
        self.say(
            self.pick(
                "i, j = j, i",
                "i, s = h",
                "(i, s), x = h, y",
                "s, i = hh[0]",
                "i, j = vv[0]",
                "i = j = n",
                "if so is not None: s = so.upper()[:9]",
                "if (g := len(t)) > 2: i = g",
                f"i, j = divmod({self.expr('int', 1)}, {self._leaf('int')})",
                f"s, t = t, ({self.expr('str', 1)})[:8]",
                f"x, y = y, {self.expr('float', 1)}",
                f"h = (i, {self._leaf('str')})",
                f'assert {self.expr("bool", 1)}, f"not {{{self.name("int")}}}"',
                f"print(({self._leaf('str')})[:9], {self._leaf('int')}, {self._leaf('float')})",
            )
        )

    def _if(self, depth: int) -> None:
        self.say(f"if {self.expr('bool')}:")
        self.block(depth)
        if self.random.random() < 0.3:
            self.say(f"elif {self.expr('bool')}:")
            self.block(depth)
        if self.random.random() < 0.5:
            self.say("else:")
            self.block(depth)

    def _for(self, depth: int) -> None:
        g, h = self.fresh(), self.fresh()
        step = self.random.choice((1, 1, 2, -1, -3))
        text, table = self._leaf("str"), self.pick("d", "d.copy()")
        head, names = self.random.choice(
            [
                (f"for {g} in range({self.random.randrange(-2, 7)})", {g: "int"}),
                (
                    f"for {g} in range({self._leaf('int')} % 6, {self.random.randrange(-3, 8)}, {step})",
                    {g: "int"},
                ),
                (f"for {g} in {text}", {g: "str"}),
                (f"for {g}, {h} in enumerate({text}, {self.random.randrange(3)})", {g: "int", h: "str"}),
                (f"for {g} in list(v)", {g: "int"}),
                (f"for {g} in sorted(q)", {g: "int"}),
                (f"for {g}, {h} in zip(w[:], l[:])", {g: "int", h: "str"}),
                (f"for {g} in reversed(r[:5])", {g: "int"}),
                (f"for {g}, {h} in list({table}.items())", {g: "str", h: "int"}),
                (f"for {g} in sorted(e)", {g: "int"}),
                (f"for {g}, {h} in hh[:4]", {g: "str", h: "int"}),
                (f"for {g}, ({h}, _) in enumerate(zip(w[:9], r[:9]))", {g: "int", h: "int"}),
                (f"for {g}, {h} in zip(range(5), {text})", {g: "int", h: "str"}),
                (f"for {g}, {h} in zip(s, v)", {g: "str", h: "int"}),
                (f"for {g} in bb[:6]", {g: "bool"}),
                (f"for {g}, {h} in enumerate(bb)", {g: "int", h: "bool"}),
                (f"for {g} in vv[:4]", {g: "list[int]"}),
                (f"for {g}, {h} in sorted(dv.items())", {g: "str", h: "list[int]"}),
                (f"for {g} in sorted(qs)", {g: "str"}),
                (f"for {g} in u", {g: "int"}),
            ]
        )
        self.say(head + ":")
        self._loops += 1
        self.within(names, lambda: self._body(depth))
        self._loops -= 1
        if self.random.random() < 0.2:
            self.say("else:")
            self.block(depth)

    def _body(self, depth: int) -> str:
        self.block(depth)
        if self.random.random() < 0.3:
            self._indent += 1
            self.say(f"if {self.expr('bool', 1)}: {self.pick('break', 'continue')}")
            self._indent -= 1
        return ""

    def _while(self, depth: int) -> None:
        g = self.fresh()
        self.say(f"{g} = {self.random.randrange(1, 6)}")
        more = self.pick("", f" and ({self.expr('bool', 1)})")
        self.say(f"while {g} > 0{more}:")
        self._indent += 1
        self.say(f"{g} -= 1")
        self._indent -= 1
        self._loops += 1
        self._body(depth)
        self._loops -= 1

    def _try(self, depth: int) -> None:
        self.say("try:")
        self.block(depth)
        g = self.fresh()
        self.say(f"except {self.random.choice(CAUGHT)} as {g}:")
        self._indent += 1
        self.say(self.pick(f"s = str({g})[:40]", f't = f"{{{g}}}!"[:30]', "raise", "i = 0"))
        self._indent -= 1
        if self.random.random() < 0.2:
            self.say("else:")
            self.block(depth)
        if self.random.random() < 0.3:
            self.say("finally:")
            self.block(depth)

    def _guarded(self) -> None:
        self.say("try:")
        self._indent += 1
        self.statement(2)
        self._indent -= 1
        g = self.fresh()
        self.say(f"except Exception as {g}:")
        self.say(f'    t = f"{{{g}}}{{t}}"[:40]')

    def _guarded_raise(self, depth: int) -> None:
        error = self.random.choice(ERRORS)
        message = self.pick("", self._leaf("str"), f"f'{{{self.name('int')}}} is bad'")
        self.say(f"if {self.expr('bool', depth)}:")
        self.say(f"    raise {error}({message})")


Maker = Callable[[Writer, int], str]


def _comprehension(kind: str) -> Maker:
    def make(writer: Writer, depth: int) -> str:
        g, h = writer.fresh(), writer.fresh()
        source, names = writer.random.choice(
            [
                (f"{g} in range({writer.random.randrange(1, 6)})", {g: "int"}),
                (f"{g} in {writer.expr('list[int]', 0)}[:6]", {g: "int"}),
                (f"{g}, {h} in enumerate({writer.expr('str', 0)}[:6])", {g: "int", h: "str"}),
            ]
        )

        def body() -> str:
            test = f" if ({writer.expr('bool', 1)})" if writer.random.random() < 0.4 else ""
            if kind.startswith("dict"):
                return f"{{{writer.expr('str', 0)}: {writer.expr('int', depth)} for {source}{test}}}"
            of = kind[kind.index("[") + 1 : -1]
            text = f"{writer.expr(of, depth)} for {source}{test}"
            return f"[{text}]" if kind.startswith("list") else f"{{{text}}}"

        return writer.within(names, body)

    return make


def _filled(template: str) -> Maker:
    """Make expressions of a template: `«int»` is an expression, `«int.»` a leaf, `«int!»` a name, `«slice»` a slice."""

    def make(writer: Writer, depth: int) -> str:
        out, rest = "", template
        while "«" in rest:
            before, _, rest = rest.partition("«")
            kind, _, rest = rest.partition("»")
            if kind == "slice":
                made = writer._slice()
            elif kind == "index":
                made = writer._index()
            elif kind in FORMATS:
                made = writer.random.choice(FORMATS[kind])
            elif kind.endswith("!"):
                made = writer.name(kind[:-1])
            elif kind.endswith("."):
                made = writer.expr(kind[:-1], 0)
            else:
                made = f"({writer.expr(kind, depth)})"
            out += before + made
        return out + rest

    return make


_MAKERS: Final[dict[str, list[Maker]]] = {
    kind: [_filled(template.strip()) for line in text.strip().splitlines() for template in line.split(";;")]
    for kind, text in TEMPLATES.items()
}
for _kind in ("list[int]", "list[str]", "list[float]", "set[int]", "dict[str, int]"):
    _MAKERS[_kind] += [_comprehension(_kind), _comprehension(_kind)]
