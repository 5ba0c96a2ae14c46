"""A running application for the tests of a file, with real compilers and a real engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from control_client import Api, make_app, running


@pytest.fixture(scope="session", autouse=True)
def toolchains(home: Path) -> Iterator[None]:
    """Let applications find the toolchains that the tests share."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ECHELON_HOME", str(home))
        yield


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    """The control API of an application whose state was empty when the file's first test began.

    Fails when a request left an instance or a slot of the pool behind.
    """
    async with running(make_app(tmp_path_factory.mktemp("state"))) as api:
        yield api
        assert await api.app.wasm.drained(), "a call left its instance or slot behind"
