"""From "main.py", "package.module:app" or "main.py:app" to the application object."""

from __future__ import annotations

import importlib
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from echelon.errors import ConfigError, EchelonError

DEFAULT_NAME = "app"


def split_target(target: str) -> tuple[str, str | None]:
    """Split "place:attribute"; a Windows drive is not a place."""
    place, colon, name = target.rpartition(":")
    if not colon or len(place) <= 1 or "/" in name or "\\" in name:
        return target, None
    return place, name


def source_folder(target: str) -> Path:
    """Return the folder whose changes concern the application."""
    place, _ = split_target(target)
    return Path(place).resolve().parent if place.endswith(".py") else Path.cwd()


def load_app(target: str) -> Any:
    """Import the application; raises ConfigError that says in one line what went wrong and where."""
    place, name = split_target(target)
    module = _import_file(place) if place.endswith(".py") or "/" in place else _import_module(place)
    if name is None:
        return _only_app(module, target)
    found: Any = module
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise ConfigError(f"{target}: {place} has no attribute {name!r}") from None
    return _checked(found, target)


def _import_file(place: str) -> ModuleType:
    path = Path(place).resolve()
    if not path.is_file():
        raise ConfigError(f"{place}: there is no such file")
    folder, names = path.parent, [path.stem]
    while (folder / "__init__.py").exists():
        names.insert(0, folder.name)
        folder = folder.parent
    if names[-1] == "__init__":
        names.pop()
    module = _import(".".join(names), place, folder)
    origin = getattr(module, "__file__", None)
    if origin is None or Path(origin).resolve() != path:
        raise ConfigError(
            f"{place}: another module is named {module.__name__!r} ({origin or 'built in'}); rename the file"
        )
    return module


def _import_module(name: str) -> ModuleType:
    return _import(name, name, Path.cwd())


def _import(name: str, place: str, folder: Path) -> ModuleType:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except EchelonError as exc:
        raise ConfigError(f"{_place_of(exc, place)}: {exc}") from exc
    except ModuleNotFoundError as exc:
        if exc.name is not None and (name == exc.name or name.startswith(f"{exc.name}.")):
            raise ConfigError(
                f"{place}: there is no such module; run from its folder or name a file"
            ) from exc
        raise ConfigError(f"{_place_of(exc, place)}: {exc}") from exc
    except SyntaxError as exc:
        raise ConfigError(f"{exc.filename or place}:{exc.lineno}: syntax error: {exc.msg}") from exc
    except Exception as exc:
        raise ConfigError(f"{_place_of(exc, place)}: {type(exc).__name__}: {exc}") from exc


def _place_of(error: BaseException, place: str) -> str:
    """Return file and line of the user's code that failed: the innermost frame outside of libraries."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<") and frame.filename != __file__
    ]
    own = [
        frame
        for frame in frames
        if not {"site-packages", "echelon", "importlib"} & set(Path(frame.filename).parts)
    ]
    for frame in reversed(own or frames):
        return f"{frame.filename}:{frame.lineno}"
    return place


def _only_app(module: ModuleType, target: str) -> Any:
    if hasattr(module, DEFAULT_NAME):
        return _checked(getattr(module, DEFAULT_NAME), f"{target}:{DEFAULT_NAME}")
    found = {name: value for name, value in vars(module).items() if is_app(value)}
    if len({id(value) for value in found.values()}) == 1:
        return next(iter(found.values()))
    listed = f"; it has {', '.join(found)}, say which: {target}:{next(iter(found))}" if found else ""
    raise ConfigError(f"{target}: no application named {DEFAULT_NAME!r} is in it{listed}")


def is_app(value: Any) -> bool:
    """Return whether a value can be served: it speaks RSGI and is not a class."""
    return not isinstance(value, type) and hasattr(value, "__rsgi__") and hasattr(value, "__rsgi_init__")


def _checked(value: Any, target: str) -> Any:
    if not is_app(value):
        raise ConfigError(f"{target}: {type(value).__name__} is not an Application")
    return value
