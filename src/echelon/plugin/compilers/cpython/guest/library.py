"""Where imports of a script come from: its own files first, then the standard library, kept in memory.

No import looks at a file system. Modules that need what a guest has not got (threads, processes, terminals) are left
out, so that importing them fails as it should.
"""

from __future__ import annotations

import linecache
import marshal
import os
import sys
import zlib
from collections.abc import Sequence
from importlib.machinery import BuiltinImporter, FrozenImporter, ModuleSpec
from types import CodeType, ModuleType
from typing import Any

_LEFT_OUT = frozenset(
    {
        "__pycache__", "_aix_support", "_android_support", "_apple_support", "_ios_support", "_osx_support",
        "_pyrepl", "antigravity", "cProfile", "config-3.14-wasm32-wasi", "ctypes", "curses", "dbm",
        "ensurepip", "ftplib", "idlelib", "imaplib", "mailbox", "multiprocessing", "pdb", "poplib", "profile",
        "pstats", "pty", "pydoc", "pydoc_data", "site-packages", "smtplib", "socketserver", "ssl",
        "subprocess", "this", "tkinter", "trace", "tty", "turtle", "turtledemo", "venv", "webbrowser",
        "wsgiref", "xmlrpc", "zipapp",
    }
)  # fmt: skip


class Library:
    """Finds modules of the standard library; each is kept as compressed code."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[bool, bytes]] = {}

    def take(self, folder: str, package: str = "") -> None:
        """Keep the modules of a folder and of those below it."""
        for item in sorted(os.listdir(folder)):
            path, stem = f"{folder}/{item}", item.removesuffix(".py")
            if stem in _LEFT_OUT or stem == "__init__" or stem.startswith("_sysconfigdata"):
                continue
            if item.endswith(".py"):
                self._keep(package + stem, path, is_package=False)
            elif os.path.isfile(f"{path}/__init__.py"):
                self._keep(package + stem, f"{path}/__init__.py", is_package=True)
                self.take(path, f"{package}{stem}.")

    def _keep(self, name: str, path: str, *, is_package: bool) -> None:
        with open(path, "rb") as file:
            code = compile(file.read(), f"<{name}>", "exec", dont_inherit=True)
        self._kept[name] = (is_package, zlib.compress(marshal.dumps(code), 9))

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        found = self._kept.get(name)
        return None if found is None else ModuleSpec(name, self, is_package=found[0])  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        exec(marshal.loads(zlib.decompress(self._kept[module.__name__][1])), module.__dict__)


class Files:
    """Finds the files of a script: `lib/money.py` is the module `lib.money`, folders need no `__init__.py`."""

    def __init__(self) -> None:
        self.codes: dict[str, CodeType] = {}
        self.texts: dict[str, str] = {}
        self.entry = ""

    def path_of(self, filename: str | None) -> str | None:
        """Return the file of the script that code says it is from, None when it is none."""
        path = (filename or "")[1:-1]
        return path if path in self.codes and filename == f"<{path}>" else None

    def open(self, entry: str, codes: dict[str, CodeType], texts: dict[str, str]) -> None:
        self.entry, self.codes, self.texts = entry, codes, texts
        own = {path.partition("/")[0].removesuffix(".py") for path in codes if path != entry}
        for name in own - set(sys.builtin_module_names):
            if name in sys.modules and FrozenImporter.find_spec(name) is None:
                _forget(name)
        for path, text in texts.items():
            linecache.cache[f"<{path}>"] = (len(text), None, text.splitlines(keepends=True), path)

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        place = name.replace(".", "/")
        for path, is_package in ((f"{place}/__init__.py", True), (f"{place}.py", False)):
            if path in self.codes:
                spec = ModuleSpec(name, self, origin=path, is_package=is_package)  # type: ignore[arg-type]
                spec.has_location = True
                return spec
        if any(path.startswith(place + "/") for path in self.codes):
            return ModuleSpec(name, self, is_package=True)  # type: ignore[arg-type]
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        origin = module.__spec__.origin if module.__spec__ is not None else None
        if origin is not None:
            exec(self.codes[origin], module.__dict__)

    def get_data(self, path: str) -> bytes:
        """Return a file that came with the script, for `pkgutil.get_data`."""
        try:
            return self.texts[path].encode()
        except KeyError:
            raise FileNotFoundError(f"the script has no file {path!r}") from None

    def get_source(self, name: str) -> str | None:
        spec = self.find_spec(name)
        return None if spec is None or spec.origin is None else self.texts.get(spec.origin)


def _forget(package: str) -> None:
    """Have a module and those below it imported anew, for a script that has its own of that name."""
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        del sys.modules[name]


def _lines(filename: str, _globals: object = None) -> list[str]:
    """Return the lines of a file that was not opened: none, without looking for it."""
    return []


def install(files: Files, folder: str) -> None:
    """Make these the only places that imports look at; what was imported from a file before stays."""
    library = Library()
    library.take(folder)
    finders: Sequence[Any] = (BuiltinImporter, FrozenImporter, files, library)
    sys.meta_path[:] = finders
    sys.path[:] = []
    sys.path_hooks[:] = []
    sys.path_importer_cache.clear()
    vars(linecache)["updatecache"] = _lines
    vars(linecache)["checkcache"] = lambda filename=None: None
