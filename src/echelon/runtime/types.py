"""Types for the signatures of host functions, where Python's own say too little.

    @app.wasm.host("shop")
    def price(article: U32, weight: F32) -> I64: ...

`int` alone is an i64, `float` an f64, `bool` an i32 of 0 or 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypeAlias


@dataclass(frozen=True, slots=True)
class Core:
    """Marks a number with how the guest sees it, a key of `host.CORE_OF`."""

    name: str


I32: TypeAlias = Annotated[int, Core("i32")]
U32: TypeAlias = Annotated[int, Core("u32")]
I64: TypeAlias = Annotated[int, Core("i64")]
U64: TypeAlias = Annotated[int, Core("u64")]
F32: TypeAlias = Annotated[float, Core("f32")]
F64: TypeAlias = Annotated[float, Core("f64")]
