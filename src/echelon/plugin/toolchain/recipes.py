"""The toolchains that Echelon knows how to fetch, each at one version with fixed digests."""

from __future__ import annotations

from typing import Final

from echelon.plugin.toolchain import scripts
from echelon.plugin.toolchain.binaryen import BINARYEN as BINARYEN
from echelon.plugin.toolchain.cpython import CPYTHON as CPYTHON
from echelon.plugin.toolchain.go import GO
from echelon.plugin.toolchain.recipe import Recipe, npm
from echelon.plugin.toolchain.zig import C

TYPESCRIPT: Final = Recipe(
    name="typescript",
    version="0.28.20",
    size="16 MB",
    marker="node_modules/assemblyscript/package.json",
    fetch=npm({"assemblyscript": "0.28.20", "binaryen": "131.0.0-nightly.20260721", "long": "5.3.2"}),
    digest="1d1cbed272cb1d9709d8b257f441b7a5ec6274b378340e94c7e7cf54c98a70aa",
)

JAVASCRIPT: Final = Recipe(
    name="javascript",
    version="3.6.2-3",
    size="12 MB",
    marker="engine.wasm",
    fetch=scripts.fetch,
    brings=("views",),
)

VIEWS: Final = Recipe(
    name="views",
    version="11.2.0",
    size="1 MB",
    marker="node_modules/preact/package.json",
    fetch=npm({"preact": "11.2.0", "@preact/signals": "2.11.4", "@preact/signals-core": "1.14.5"}),
    digest="d45e55bcfee3e7feaa9565db131dfe62207e6ed7e3bb32fc9350166bf33444dd",
)

RECIPES: Final = {
    recipe.name: recipe for recipe in (TYPESCRIPT, JAVASCRIPT, VIEWS, C, GO, CPYTHON, BINARYEN)
} | {
    "cpp": C,
    "zig": C,
}
"""By the name that `echelon toolchain install` takes."""
