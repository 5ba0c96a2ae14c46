"""The documentation of the control API says what is there, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

from control_client import make_app

from echelon.config import Config
from echelon.console.bodies import CallBody, ModuleBody, RunBody
from echelon.console.problems import KINDS, types

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "api.md").read_text("utf-8")


def test_every_problem_type_is_documented() -> None:
    """The table has each type once, with the status it is answered with."""
    rows = re.findall(r"^\| `(urn:echelon:[a-z-]+)` \| (\d+) \| .+ \| ?(.*?) ?\|$", TEXT, re.MULTILINE)
    assert sorted(kind for kind, _, _ in rows) == sorted(types())
    statuses = {kind: int(status) for kind, status, _ in rows}
    members = {kind: set(re.findall(r"`([a-z_]+)`", also)) for kind, _, also in rows}
    for kind in KINDS.values():
        assert statuses[f"urn:echelon:{kind.type}"] == kind.status
        assert set(kind.members) <= members[f"urn:echelon:{kind.type}"], kind


def test_every_route_is_documented(tmp_path: Path) -> None:
    """The list of routes is that of the application."""
    listed = set(re.findall(r"^(GET|POST|DELETE) +(/_echelon\S+)", TEXT, re.MULTILINE))
    routes = {(method, route.path) for route in make_app(tmp_path).router.routes for method in route.methods}
    assert listed == routes


def test_every_key_of_a_body_is_documented() -> None:
    """Each key that a body may have is in the documentation."""
    for body in (ModuleBody, CallBody, RunBody):
        for key in body.__struct_fields__:
            assert f"`{key}`" in TEXT, key


def test_settings_that_are_named_exist() -> None:
    """Settings that the documentation mentions are settings."""
    known = set(Config().origins())
    for name in re.findall(r"`((?:console|wasm|generator|server)\.[a-z_]+)", TEXT):
        assert name in known, name
