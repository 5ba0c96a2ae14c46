"""The Python web framework with WebAssembly at its core.

    from echelon import Application

    app = Application()

    @app.get("/")
    async def home() -> str:
        return "Hello"

Names are loaded when they are first used: `import echelon` loads neither the WebAssembly engine nor a server.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from echelon.app import Application as Application
    from echelon.config import Config as Config
    from echelon.errors import EchelonError as EchelonError
    from echelon.errors import HTTPError as HTTPError
    from echelon.http import HTML as HTML
    from echelon.http import JSON as JSON
    from echelon.http import File as File
    from echelon.http import Problem as Problem
    from echelon.http import Redirect as Redirect
    from echelon.http import Request as Request
    from echelon.http import Response as Response
    from echelon.http import Stream as Stream
    from echelon.http import Text as Text
    from echelon.kv import Kv as Kv
    from echelon.routing import Router as Router
    from echelon.runtime.core import Runtime as Runtime
    from echelon.runtime.limits import Limits as Limits
    from echelon.runtime.permissions import Permissions as Permissions

_HOMES = {
    "Application": "app",
    "Config": "config",
    "EchelonError": "errors",
    "File": "http",
    "HTML": "http",
    "HTTPError": "errors",
    "JSON": "http",
    "Kv": "kv",
    "Limits": "runtime.limits",
    "Permissions": "runtime.permissions",
    "Problem": "http",
    "Redirect": "http",
    "Request": "http",
    "Response": "http",
    "Router": "routing",
    "Runtime": "runtime.core",
    "Stream": "http",
    "Text": "http",
}

__version__ = "0.1.0"
__all__ = [
    "HTML",
    "JSON",
    "Application",
    "Config",
    "EchelonError",
    "File",
    "HTTPError",
    "Kv",
    "Limits",
    "Permissions",
    "Problem",
    "Redirect",
    "Request",
    "Response",
    "Router",
    "Runtime",
    "Stream",
    "Text",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'echelon' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"echelon.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
