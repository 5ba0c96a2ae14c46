"""A stage for each file of hostile tests; its cases share the runtime, as hostile guests would."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from hostile_stage import Stage


@pytest.fixture(scope="session")
def code_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("native")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(code_directory: Path) -> AsyncIterator[Stage]:
    async with Stage.open(code_directory) as stage:
        yield stage
