"""A component that answers HTTP by Echelon's ABI."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from component_kit import WITH_MEMORY

from echelon import Application, Config
from echelon.errors import LoadError
from echelon.http.testing import TestClient

ANSWER = r"\01\00\00\00\c9\00\00\00\01\00\00\00\01\00\00\00k\01\00\00\00v\02\00\00\00hi"


def server(parameter: str) -> str:
    return rf"""(component
      (core module $mem (memory (export "memory") 1) (data (i32.const 64) "{ANSWER}")
        (data (i32.const 16) "\40\00\00\00\1c\00\00\00")
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
        (func (export "handle") (param i32 i32) (result i32) (i32.const 16)))
      (core instance $mem (instantiate $mem))
      (func (export "handle") (param "request" {parameter}) (result (list u8))
        (canon lift (core func $mem "handle") {WITH_MEMORY})))"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(state=tmp_path / "state").replace({"wasm.instances": 8, "telemetry.logs": "none"})


async def test_mounted(config: Config, wat: Callable[[str], bytes]) -> None:
    """A component that exports handle(list<u8>) -> list<u8> is mounted like a module."""
    app = Application(config=config)
    app.mount("/c", app.wasm.module(wat(server("(list u8)"))))
    async with TestClient(app) as client:
        response = await client.get("/c")
        assert (response.status_code, response.content, response.headers["k"]) == (201, b"hi", "v")


async def test_wrong_type(config: Config, wat: Callable[[str], bytes]) -> None:
    """Another type of `handle` stops the start with what it would have to be."""
    app = Application(config=config)
    app.mount("/c", app.wasm.module(wat(server("string")), name="component"))
    with pytest.raises(LoadError, match=r"does not answer HTTP: it must export handle"):
        await app.startup()
