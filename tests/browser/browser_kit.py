"""What the tests in a browser share."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Final

from playwright.async_api import Page

ROOT: Final = Path(__file__).resolve().parents[2]
Visit = Callable[..., AbstractAsyncContextManager[Page]]
