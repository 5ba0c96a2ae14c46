"""The engine of scripts, as the runtime knows it: where its parts lie in memory, and how it is called."""

from __future__ import annotations

from typing import Final

SECTION: Final = "echelon:engine"
EXPORTS: Final = frozenset(
    {
        "memory",
        "wasm_malloc",
        "wasm_free",
        "qjs_new_string",
        "qjs_call",
        "qjs_eval",
        "qjs_is_exception",
        "qjs_get_exception",
        "qjs_get_string_len",
        "qjs_free_cstring",
        "qjs_free_value",
        "script_turn",
    }
)
"""What the runtime calls; the engine exports nothing else."""
