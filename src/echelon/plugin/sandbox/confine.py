"""Confine this process, then become another program: `python -m echelon.plugin.sandbox.confine PLAN STATUS`.

PLAN is JSON, see `Plan`. STATUS is a descriptor that is closed when the other program runs; when it never will, the
reason is written there first. With the plan `probe` the program is not run: what could be activated is written.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from collections.abc import Callable
from typing import Any, Final

from echelon.plugin.sandbox import landlock, namespaces, seccomp, system

FAILED: Final = 125
NO_NEW_PRIVILEGES, NAMESPACES, FILES, SYSTEM_CALLS = (
    "no new privileges",
    "namespaces",
    "files",
    "system calls",
)
PROBE: Final = "probe"
Plan = dict[str, Any]
"""argv, env, directory, read, write, limits (name of a resource: number), processes (bool), required (protections)."""


def main() -> None:
    status = int(sys.argv[2])
    os.set_inheritable(status, False)
    try:
        system.prctl(system.PR_SET_PDEATHSIG, signal.SIGKILL)  # nobody would watch it any more
        if sys.argv[1] == PROBE:
            _tell(status, json.dumps(confine({"read": [], "write": [], "limits": {}, "processes": True})))
            os._exit(0)
        _become(json.loads(sys.argv[1]), status)
    except OSError as exc:
        _tell(status, exc.strerror or str(exc))
    except Exception as exc:  # nobody else will say what went wrong here
        _tell(status, f"{type(exc).__name__}: {exc}")
    os._exit(FAILED)


def confine(plan: Plan) -> dict[str, str]:
    """Activate every protection there is; returns why each of the others is not active, "" for those that are."""
    for name, value in plan["limits"].items():
        resource.setrlimit(getattr(resource, name), (value, value))
    outcome = {NAMESPACES: _try(namespaces.enter)}
    if not outcome[NAMESPACES]:
        namespaces.become_child()
    steps: dict[str, Callable[[], object]] = {
        NO_NEW_PRIVILEGES: lambda: system.prctl(system.PR_SET_NO_NEW_PRIVS, 1),
        FILES: lambda: landlock.restrict(plan["read"], plan["write"]),
        SYSTEM_CALLS: lambda: seccomp.restrict(processes=plan["processes"]),
    }
    return outcome | {name: _try(step) for name, step in steps.items()}


def _become(plan: Plan, status: int) -> None:
    os.chdir(plan["directory"])
    outcome = confine(plan)
    missing = [f"{name} ({outcome[name]})" for name in plan["required"] if outcome[name]]
    if missing:
        raise OSError(f"this system does not offer {', '.join(missing)}")
    os.execve(plan["argv"][0], plan["argv"], plan["env"])  # noqa: S606 - that is what this program is for


def _try(step: Callable[[], object]) -> str:
    try:
        step()
    except (OSError, KeyError) as exc:
        return f"{exc}" if isinstance(exc, OSError) else f"not known for {system.MACHINE}"
    return ""


def _tell(status: int, text: str) -> None:
    os.write(status, text.encode())


if __name__ == "__main__":
    main()
