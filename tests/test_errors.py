"""Errors as values: they survive the way to another process, as of a pool of workers."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import Any

import pytest

from echelon import errors
from echelon.errors import Diagnostic, EchelonError, Frame, Trap
from echelon.runtime.result import Cost, Outcome

_VALUES: dict[str, Any] = {
    "message": "it failed", "source": "echelon.toml", "key": "wasm.memory", "package": "numba", "extra": "bench",
    "permission": "net", "target": "example.org", "grant": "net=example.org", "code": 3, "limit": 5, "function": "f",
    "payload": {"a": [1]}, "install": "echelon toolchain install c", "retry_after": 2.0, "status": 404,
    "detail": "gone", "headers": {"x": "y"}, "errors": [{"place": "body"}],
    "frames": (Frame("run", 1, 2, "main.py", 3),), "diagnostics": (Diagnostic(1, 2, "error", "no", "a.ts"),),
}  # fmt: skip
KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, EchelonError)]


def _example(kind: type[EchelonError]) -> EchelonError:
    parameters = inspect.signature(kind.__init__).parameters
    if "args" in parameters:
        return kind("it failed")
    given = {name: _VALUES[name] for name in parameters if name in _VALUES}
    return kind(**given)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_survives_pickle_and_copy(kind: type[EchelonError]) -> None:
    error = _example(kind)
    for made in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(made) is kind
        assert (str(made), made.args) == (str(error), error.args)
        assert vars(made) == vars(error)


def test_what_a_call_left_behind_goes_along() -> None:
    outcome = Outcome(None, b"said", b"", Cost(0.1, 0.1, None, 65536, 2))
    made = pickle.loads(pickle.dumps(Trap("it broke", code="unreachable", outcome=outcome)))
    assert made.outcome.stdout == b"said"
