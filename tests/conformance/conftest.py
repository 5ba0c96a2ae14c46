"""Where the toolchains of the conformance program are."""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "feature(name): what a row of languages.LACKS names")
