"""Where the toolchains of the conformance program are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "feature(name): what a row of languages.LACKS names")


@pytest.fixture(scope="module")
def toolchains(tests_home: Path) -> Iterator[None]:
    """Make Echelon's own directory the one that tests share."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ECHELON_HOME", str(tests_home))
        yield
