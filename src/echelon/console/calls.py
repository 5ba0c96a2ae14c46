"""A call as JSON describes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from echelon.console.problems import bad_request
from echelon.console.values import arguments_from_json
from echelon.runtime.environment import Environment
from echelon.runtime.limits import Limits
from echelon.runtime.loader import COMMAND
from echelon.runtime.module import Module
from echelon.runtime.permissions import Permissions
from echelon.runtime.result import Outcome


async def call_from_json(
    module: Module,
    function: str | None,
    args: Sequence[Any],
    *,
    stdin: str = "",
    env: Mapping[str, str] | None = None,
    permissions: Permissions | None = None,
    limits: Limits | None = None,
) -> Outcome:
    """Call an export with arguments as JSON has them; without a function run a WASI command.

    Raises HTTPError 400 for arguments that do not fit, ConfigError for texts that cannot be passed on, and what
    `Module.run` raises.
    """
    run = partial(module.run, env=env or None, stdin=stdin.encode(), permissions=permissions, limits=limits)
    functions = {exported.name: exported for exported in module.exports()}
    if function is None:
        if COMMAND not in functions:
            known = ", ".join(sorted(functions)) or "nothing"
            raise bad_request(f"function: name one; the module exports {known}")
        if not all(isinstance(argument, str) for argument in args):
            raise bad_request("args: the arguments of a WASI command are texts")
        program = [module.name, *args]
        Environment.build(
            module.permissions, variables=env, args=program
        )  # bad texts take no slot of the pool
        return await run(args=program)
    if env:
        Environment.build(module.permissions, variables=env)
    exported = functions.get(function)
    try:
        values = args if exported is None else arguments_from_json(exported, args)
        return await run(function, *values)
    except (TypeError, ValueError) as exc:
        raise bad_request(str(exc)) from exc
