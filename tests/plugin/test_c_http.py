"""A guest in C that answers HTTP and counts in the store."""

from __future__ import annotations

from pathlib import Path

import pytest

from echelon import Application, Permissions
from echelon.http.testing import TestClient
from echelon.plugin.compilers.c import compilers as c
from echelon.plugin.generator import Generator

VISITS = Path(__file__).resolve().parents[2] / "examples" / "guests" / "visits.c"


@pytest.mark.timeout(300)
async def test_a_guest_in_c_counts_visits(
    c_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request is read, the store changed, and the response is the guest's."""
    monkeypatch.setenv("ECHELON_STATE", str(tmp_path / "state"))
    async with Generator(c.make(c_home), tmp_path / "store") as generator:
        made = await generator.compile(VISITS)
    app = Application()
    app.mount("/visits", app.wasm.module(made.wasm, permissions=Permissions(kv=["visits"])))
    async with TestClient(app) as client:
        assert [(await client.get(f"/visits/{path}")).text for path in "aab"] == ["1", "2", "1"]
