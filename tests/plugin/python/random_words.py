"""What random programs are written with: their header, locals, literals, and expressions of each type as templates.

A template is Python in which `«int»` is an expression of a type, `«int.»` a leaf, `«int!»` a name, `«slice»` a slice
and `«index»` an index.
"""

from __future__ import annotations

from typing import Final

HEADER: Final = '''\
from __future__ import annotations
import math
from dataclasses import dataclass, field

class Odd(ValueError):
    """What programs raise of their own."""

@dataclass(order=True)
class Item:
    name: str
    count: int = 0
    tags: list[str] = field(default_factory=list)

    def total(self, price: float) -> float:
        return self.count * price

    @property
    def label(self) -> str:
        return f"{self.name}:{self.count:03d}"

LIMIT = 7
WORD = "wörd😀"

'''
PARAMETERS: Final = "n: int, m: int, z: float, p: bool, a: str, c: str, r: list[int], o: int | None"
RESULTS: Final = ("int", "float", "bool", "str", "bytes", "list[int]", "list[str]", "list[float]")
LOCALS: Final = {
    "int": ("i", "j", "n", "m"),
    "float": ("x", "y", "z"),
    "bool": ("b", "p"),
    "str": ("s", "t", "a", "c"),
    "bytes": ("u",),
    "list[int]": ("v", "w", "r"),
    "list[str]": ("l",),
    "dict[str, int]": ("d",),
    "dict[int, str]": ("e",),
    "set[int]": ("q",),
    "tuple[int, str]": ("h",),
    "Item": ("k",),
    "int | None": ("o",),
    "list[bool]": ("bb",),
    "list[list[int]]": ("vv",),
    "list[tuple[str, int]]": ("hh",),
    "dict[str, list[int]]": ("dv",),
    "set[str]": ("qs",),
    "str | None": ("so",),
}
UNORDERED: Final = ("q", "qs")
"""Locals that are shown sorted."""
INTS: Final = (
    0, 1, 2, 3, 5, 7, 10, 64, 255, -1, -2, -7, 1000, 2**31, 2**32 - 1, -(2**31), 2**53, 2**62, 2**63 - 1, -(2**63) + 1,
)  # fmt: skip
FLOATS: Final = (
    "0.0",
    "1.0",
    "0.5",
    "-1.5",
    "3.14",
    "1e16",
    "1e-7",
    "2.675",
    "1e308",
    "-0.0",
    "123456789.125",
    "5e-324",
)
TEXTS: Final = (
    "",
    "a",
    "abc",
    "Ab c",
    "ß",
    "é1",
    "日本",
    "😀",
    "a😀b",
    " x ",
    "12",
    "-7",
    "1.5",
    "a,b,c",
    "z\\n",
    "'",
    '\\"',
)
FORMATS: Final = {
    "format of int": (
        "",
        ">8",
        "<6",
        "^7",
        "*^9",
        "05d",
        "+d",
        "x",
        "b",
        ",",
        "_d",
        "#x",
        "e",
        ".2f",
        "+.1e",
        "%",
        " d",
        "o",
        "X",
    ),
    "format of float": (
        "",
        ">8",
        "<9",
        "^7",
        ".2f",
        ".3g",
        "+.1e",
        "%",
        "10.3f",
        "010.2f",
        ",.1f",
        "g",
        "e",
        " .4",
        ".0f",
        "=+12",
    ),
}
ERRORS: Final = (
    "ValueError",
    "KeyError",
    "IndexError",
    "ZeroDivisionError",
    "Odd",
    "RuntimeError",
    "TypeError",
)
CAUGHT: Final = (
    *ERRORS,
    "ArithmeticError",
    "LookupError",
    "Exception",
    "OverflowError",
    "(ValueError, LookupError)",
)
TEMPLATES: Final = {
    "int": """
        «int» + «int» ;; «int» - «int» ;; «int» * «int» ;; «int» // «int» ;; «int» % «int» ;; -«int» ;; ~«int»
        +«int» ;; «int» & «int» ;; «int» | «int» ;; «int» ^ «int» ;; «int» << («int.» % 70)
        «int» >> («int.» % 70) ;; «int» >> «int.» ;; «int» ** («int.» % 5) ;; abs(«int») ;; min(«int», «int.»)
        max(«int», «int.», «int.») ;; int(«float») ;; int(«bool») ;; int(«str!») ;; len(«str»)
        len(«list[int]») ;; len(«dict[str, int].») ;; len(«set[int].») ;; sum(«list[int]») ;; round(«float»)
        ord(«str») ;; «str».find(«str.») ;; «str».count(«str.») ;; «str».index(«str.») ;; «list[int]»[«index»]
        «list[int]».index(«int.») ;; «list[int]».count(«int.») ;; «dict[str, int]».get(«str.», «int.»)
        «dict[str, int]»[«str.»] ;; «int» if «bool» else «int» ;; min(«list[int]»)
        max(«list[int]», default=«int.») ;; «Item.».count ;; «tuple[int, str].»[0] ;; «bytes»[«index»]
        (o if o is not None else «int») ;; math.floor(«float») ;; math.ceil(«float») ;; math.gcd(«int», «int»)
        math.isqrt(«int») ;; divmod(«int», «int»)[1] ;; «int» and «int» ;; «int» or «int» ;; int(«str!», 16)
        math.trunc(«float») ;; ord(«str»[«index»]) ;; sum(«list[bool]») ;; «list[bool]».count(«bool»)
        len(«list[list[int]]») ;; «list[list[int]].»[«index»][«index»] ;; «list[tuple[str, int]].»[«index»][1]
        «str».rfind(«str.») ;; «str».rindex(«str.») ;; «dict[str, list[int]].»[«str.»][«index»]
        len(«set[str].») ;; «list[bool]».index(«bool») ;; sum(g * h for g, h in zip(«list[int]», «list[int].»))
        sum(len(g) for g in «list[list[int]].») ;; max(«tuple[int, str]»[0], «int»)
        sum(1 for g in «str» if g == 'a') ;; len(set(«list[int]»)) ;; sum(ord(g) for g in «str»)
        min(«list[list[int]]»)[0]
    """,
    "float": """
        «float» + «float» ;; «float» - «int» ;; «int» * «float» ;; «float» / «float» ;; «int» / «int»
        «float» // «float» ;; «float» % «float» ;; -«float» ;; abs(«float») ;; float(«int») ;; float(«str!»)
        round(«float», «int.» % 5) ;; math.sqrt(«float») ;; math.floor(«float.») / 2 ;; min(«float», «float.»)
        max(«float», «float.») ;; «float» if «bool» else «float» ;; math.sin(«float») ;; math.exp(«float»)
        math.log(«float») ;; math.hypot(«float», «float») ;; sum(«list[float]», 0.0) ;; «Item.».total(«float»)
        «float» ** 2 ;; math.fabs(«float») ;; math.fmod(«float», «float»)
        math.copysign(«float», 1 / («int.» % 5 - 2.5))
    """,
    "bool": """
        «int» < «int» ;; «int» == «int» ;; «float» >= «float» ;; «int» < «float» ;; «str» == «str»
        «str» < «str» ;; «str» in «str» ;; not «bool» ;; «bool» and «bool» ;; «bool» or «bool»
        «int» < «int.» <= «int.» ;; «int» in «list[int]» ;; «str» in «dict[str, int].»
        «int» not in «set[int]» ;; «list[int]» == «list[int]» ;; «list[int]» < «list[int]»
        «tuple[int, str]» < «tuple[int, str]» ;; «Item» == «Item» ;; «Item» < «Item» ;; o is None
        «str».isdigit() ;; «str».startswith(«str.») ;; «str».isalpha() ;; «str».isupper() ;; bool(«str»)
        bool(«list[int]») ;; any(«list[int]») ;; all(«list[int]») ;; math.isnan(«float») ;; «bytes» == «bytes»
        «dict[str, int]» == «dict[str, int]» ;; «set[int]» <= «set[int]» ;; «bool» if «bool» else «bool»
        «float» == «int» ;; «bool» == «bool» ;; «bool» ^ «bool» ;; «str»[«index»] == 'a'
        «str»[«index»] != «str»[«index»] ;; «str»[«index»].isdigit() ;; «str»[«index»].isalpha()
        «str»[«index»].isspace() ;; «str.» == 'é' ;; '日' == «str.» ;; «str»[«index»] in «str.»
        «str».isspace() ;; «str».isalnum() ;; «str».isnumeric() ;; «str».isdecimal() ;; «str».isprintable()
        «str».endswith(«str.») ;; «str».istitle() ;; «list[bool]»[«index»] ;; «bool» in «list[bool]»
        «list[bool]» == «list[bool]» ;; «list[list[int]]» == «list[list[int]]» ;; all(«list[bool]»)
        any(«list[bool]») ;; «list[int]» in «list[list[int]].» ;; «str» in «set[str].» ;; «str | None.» is None
        «str | None.» == «str.» ;; bool(«list[list[int]].») ;; any(g == «str.» for g in «str»)
        all(g > 0 for g in «list[int]») ;; «dict[str, list[int]]» == «dict[str, list[int]]»
        «set[str]» == «set[str]» ;; «list[tuple[str, int]]» < «list[tuple[str, int]]» ;; max(«list[bool]»)
    """,
    "str": """
        «str» + «str» ;; «str» * («int.» % 4) ;; «str»[«slice»] ;; «str»[«index»] ;; «str»[::-1]
        «str»[«slice»:2] ;; str(«int») ;; str(«float») ;; str(«bool») ;; repr(«str») ;; repr(«float»)
        str(«list[int]») ;; str(«list[str]») ;; str(«dict[str, int]») ;; repr(«dict[int, str]»)
        str(«tuple[int, str]») ;; str(«Item») ;; str(«bytes») ;; f'{«int!»}{«str!»}{«float!»}'
        f'{«int!»:«format of int»}' ;; f'{«float!»:«format of float»}' ;; f'{«str!»:>6}|{«str!»!r}'
        «str».upper() ;; «str».lower() ;; «str».title() ;; «str».strip() ;; «str».replace(«str.», «str.»)
        «str».join(«list[str]») ;; «str».center(«int.» % 9, '*') ;; «str».zfill(«int.» % 9)
        «dict[int, str]».get(«int.», «str.») ;; «dict[int, str]»[«int.»] ;; «str» if «bool» else «str»
        chr(«int») ;; chr(«int.» % 1000) ;; hex(«int») ;; bin(«int») ;; oct(«int») ;; «list[str]»[«index»]
        max(«str», «str.») ;; min(«list[str]») ;; «Item.».name ;; «Item.».label ;; «tuple[int, str].»[1]
        «str».capitalize() ;; «str» or «str» ;; «str».swapcase() ;; «str».lstrip(«str.»)
        «str».partition(«str»)[2] ;; str(o) ;; '{}'.join(«list[str]») ;; str(sorted(«set[int]»))
        «bytes».hex() ;; «bytes».decode() ;; repr(«list[bool]») ;; str(«list[list[int]]»)
        str(«list[tuple[str, int]].») ;; str(«dict[str, list[int]].») ;; str(«str | None.»)
        «str».rjust(«int.» % 9, '-') ;; «str».ljust(«int.» % 9) ;; «str».removeprefix(«str.») ;; «str».rstrip()
        «str».removesuffix(«str.») ;; «str».replace(«str.», «str.», «int.» % 3) ;; «str».rpartition(«str»)[0]
        «list[tuple[str, int]].»[«index»][0] ;; ' '.join(sorted(«set[str]»))
        chr(ord(«str»[«index»]) + 1) ;; ''.join(g for g in «str» if g != 'a') ;; ''.join(reversed(«str»))
        '-'.join(sorted(«dict[str, list[int]]»)) ;; '%'.join([g + h for g, h in zip(«str», «str»)])
    """,
    "bytes": """
        «bytes» + «bytes» ;; «bytes»[«slice»] ;; «str».encode() ;; «bytes» * («int.» % 3)
        bytes([«int.» % 256]) ;; bytes(«list[int]») ;; bytes(«int.» % 5)
    """,
    "list[int]": """
        «list[int]» + «list[int]» ;; «list[int]»[«slice»] ;; «list[int]»[::-1] ;; sorted(«list[int]»)
        sorted(«list[int]», reverse=True) ;; sorted(«set[int]») ;; [«int», «int.»] ;; list(range(«int.» % 5))
        «list[int]» * («int.» % 3) ;; list(«dict[str, int].».values()) ;; list(«bytes»)
        [*«list[int]», «int.»] ;; «list[int]» if «bool» else «list[int]»
        sorted(«list[int]», key=lambda g: (g % 3, g)) ;; list(reversed(«list[int]»)) ;; «list[int]».copy()
        «list[int]»[«slice»:-1] ;; [h for g in «list[list[int]]» for h in g] ;; «list[list[int]].»[«index»]
        [g for g, h in zip(«list[int]», «list[bool].») if h] ;; «dict[str, list[int]]».get(«str.», «list[int].»)
        [i for i, g in enumerate(«str») if g == 'a'] ;; [ord(g) for g in «str»[:5]]
        [len(g) for g in «list[str]»]
    """,
    "list[str]": """
        «str».split() ;; «str».split(',') ;; sorted(«list[str]») ;; list(«str») ;; [«str», «str.»]
        «list[str]»[«slice»] ;; list(«dict[str, int].») ;; «str».splitlines() ;; [«Item.».name, «Item.».label]
        sorted(«list[str]», key=len) ;; «list[str]» + «list[str].» ;; [str(g) for g in «list[int]»[:4]]
    """,
    "list[float]": """
        [«float», «float.»] ;; [float(g) for g in «list[int]»[:4]] ;; sorted(«list[float]»)
        [g / 2 for g in «list[int]»[:4]]
    """,
    "list[bool]": """
        «list[bool]» + «list[bool].» ;; «list[bool]»[«slice»] ;; [«bool», «bool.»]
        [g > 1 for g in «list[int]»[:5]] ;; sorted(«list[bool]») ;; «list[bool]»[::-1] ;; [False] * («int.» % 6)
        «list[bool]» * («int.» % 3) ;; list(reversed(«list[bool]»)) ;; [not g for g in «list[bool]»]
        «list[bool]».copy() ;; [g == 'a' for g in «str»[:4]]
    """,
    "list[list[int]]": """
        [«list[int]», «list[int].»] ;; [g[:2] for g in «list[list[int]].»] ;; sorted(«list[list[int]]»)
        «list[list[int]]»[«slice»] ;; [[g, g * 2] for g in «list[int]»[:3]]
        [list(g) for g in zip(«list[int]», «list[int]»)] ;; «list[list[int]].» + [[1]]
    """,
    "list[tuple[str, int]]": """
        [(«str»[:3], «int»), («str.», «int.»)] ;; list(zip(«list[str]», «list[int]»))
        sorted(«list[tuple[str, int]]») ;; sorted(«dict[str, int].».items())
        [(g, len(g)) for g in «list[str]»] ;; «list[tuple[str, int]]»[«slice»]
        [(h, g) for g, h in enumerate(«str»[:4])]
    """,
    "dict[str, list[int]]": """
        {«str.»: «list[int]»[:4]} ;; {g: [h] for g, h in «list[tuple[str, int]]»}
        «dict[str, list[int]]».copy() ;; {g: [i, len(g)] for i, g in enumerate(«list[str]»)}
    """,
    "set[str]": """
        set(«str») ;; set(«list[str]») ;; «set[str]» | «set[str].» ;; {g[:2] for g in «list[str]»}
        «set[str]» - «set[str].» ;; set(«dict[str, int].»)
    """,
    "str | None": """
        «str»[:4] if «bool» else None ;; None if «bool» else «str.»
    """,
    "dict[str, int]": """
        {«str.»: «int», «str.»: «int.»} ;; dict(zip(«list[str]», «list[int]»)) ;; «dict[str, int]».copy()
    """,
    "dict[int, str]": """
        {«int.»: «str.», «int.»: «str.»} ;; {g: str(g) for g in «list[int]»[:5]}
        dict(enumerate(«list[str]»[:4]))
    """,
    "set[int]": """
        «set[int]» | «set[int]» ;; «set[int]» & «set[int]» ;; «set[int]» - «set[int]» ;; set(«list[int]»)
        «set[int]» ^ «set[int].» ;; {«int», «int.»}
    """,
    "tuple[int, str]": """
        («int», «str»[:5]) ;; («tuple[int, str].»[0], «str.») ;; max(«tuple[int, str].», «tuple[int, str].»)
    """,
    "Item": """
        Item(«str»[:5], «int») ;; Item(count=«int.», name=«str»[:4]) ;; Item(«str.», «int.», «list[str]»[:3])
        «Item.» if «bool» else «Item.» ;; max(«Item.», «Item.»)
    """,
    "int | None": """
        «int» if «bool» else None ;; None if «bool» else «int»
    """,
}
"""Expressions of each type, between `;;` and line ends."""
