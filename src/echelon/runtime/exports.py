"""What a module exports, with which types: its signature, checked against the module, and a plan for each function."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from echelon.errors import InvalidModule
from echelon.runtime import declarations, linear_plan
from echelon.runtime.abi import CORE, Abi
from echelon.runtime.assemblyscript import AssemblyScript
from echelon.runtime.binary import FuncType, ModuleInfo
from echelon.runtime.plans import FunctionPlan
from echelon.runtime.signature import Function, Signature, Value

MAX_EXPORT_VALUES: Final = 50_000
"""Parameters and results of all exported functions together; each is planned for when a module is loaded."""

_ABIS: Final[dict[str, Abi | None]] = {"core": None, "assemblyscript": AssemblyScript(), "linear": None}


def read(wasm: bytes, info: ModuleInfo) -> tuple[Signature, dict[str, FunctionPlan]]:
    """Return a module's signature and a plan for each exported function; raises InvalidModule."""
    try:
        signature = declarations.read(wasm, info) or Signature()
    except ValueError as exc:
        raise InvalidModule(str(exc)) from exc
    return signature, plan_exports(info, signature)


def plan_exports(info: ModuleInfo, signature: Signature) -> dict[str, FunctionPlan]:
    """Return a plan for each exported function; raises InvalidModule when the signature contradicts the module."""
    if signature.abi not in _ABIS:
        raise InvalidModule(
            f'the signature has the unknown ABI "{signature.abi}"; known are {", ".join(_ABIS)}'
        )
    functions = info.exported_functions
    typed = {function.export or name: function for name, function in signature.exports.items()}
    for name in typed:
        if name not in functions:
            raise InvalidModule(
                f'the signature names the function "{name}", which the module does not export'
            )
    values = sum(len(core.params) + len(core.results) for core in functions.values())
    if values > MAX_EXPORT_VALUES:
        raise InvalidModule(
            f"the exports have {values} parameters and results together, at most {MAX_EXPORT_VALUES} are accepted"
        )
    plans = {}
    for name, core in functions.items():
        function = typed.get(name)
        plan = (
            _core_plan(name, core) if function is None else _typed_plan(function, core, info, signature.abi)
        )
        plans[plan.name] = plan
    return plans


def public_functions(plans: Mapping[str, FunctionPlan], signature: Signature) -> list[Function]:
    """Return what a caller may call: the typed exports where there is a signature, all functions otherwise."""
    return [
        plan.function for name, plan in plans.items() if not signature.exports or name in signature.exports
    ]


def _core_plan(name: str, core: FuncType) -> FunctionPlan:
    function = Function(name, tuple(Value(t) for t in core.params), tuple(Value(t) for t in core.results))
    return FunctionPlan(function, core, None)


def _typed_plan(function: Function, core: FuncType, info: ModuleInfo, abi: str) -> FunctionPlan:
    if abi == "linear":
        return linear_plan.plan_function(function, core, info)

    def carriers(values: tuple[Value, ...]) -> tuple[str, ...]:
        return tuple(CORE.get(value.type, "i32") for value in values)

    typed = FuncType(carriers(function.params), carriers(function.results))
    if typed != core:
        raise InvalidModule(f"the signature {str(function)[:200]} does not fit the function's type {core}")
    return FunctionPlan(function, core, _ABIS[abi])
