"""The component that runs scripts: it checks one, loads one, and calls its functions.

Built once; what is in its memory then is what every script begins with. So all that a script may see anew in each
call, the environment, randomness and standard output, is asked of the host when it is first used.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import inspect
import io
import json
import marshal
import os
import random
import struct
import sys
from collections.abc import Iterator, MutableMapping
from types import ModuleType
from typing import Any

import echelon_checking as checking  # type: ignore[import-not-found]  # its name in the engine
import echelon_library as library  # type: ignore[import-not-found]  # its name in the engine
import echelon_surroundings as surroundings  # type: ignore[import-not-found]  # its name in the engine
import echelon_wire as wire  # type: ignore[import-not-found]  # its name in the engine
import wit_world  # type: ignore[import-not-found]  # made when the engine is built

import echelon  # here the kit

kit: Any = echelon
ERROR, FRAMED = b"2", b"6"
_AT_ONCE = """
abc array ast base64 binascii bisect calendar cmath collections.abc colorsys configparser contextlib contextvars copy
csv dataclasses datetime decimal difflib email.message email.utils enum fnmatch fractions functools graphlib hashlib
heapq hmac html html.parser io ipaddress itertools json keyword logging math mimetypes numbers operator pathlib pickle
pprint queue random re reprlib secrets shlex statistics string string.templatelib struct textwrap time timeit tomllib
traceback types typing unicodedata unittest.mock urllib.parse urllib.request urllib.robotparser uuid warnings weakref
xml.etree.ElementTree zlib zoneinfo
"""
_OWN = ("app", "echelon_checking", "echelon_library", "echelon_surroundings", "wit_world")
_MOST_FRAMES = 64
_FLUSHED_LINES = 64

files = library.Files()


class Environ(MutableMapping[str, str]):
    """`os.environ`: what the host grants, asked for when it is first looked at; changes stay in the guest."""

    def __init__(self) -> None:
        self._found: dict[str, str] | None = {}

    def forget(self) -> None:
        """Ask the host again when it is next looked at."""
        self._found = None

    @property
    def _all(self) -> dict[str, str]:
        if self._found is None:
            self._found = json.loads(wire.look(""))
        return self._found or {}

    def __getitem__(self, name: str) -> str:
        return self._all[name]

    def __setitem__(self, name: str, value: str) -> None:
        self._all[name] = value

    def __delitem__(self, name: str) -> None:
        del self._all[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def copy(self) -> dict[str, str]:
        return dict(self._all)


class Pipe(io.RawIOBase):
    """Standard output or error as the host takes it."""

    def __init__(self, number: int) -> None:
        self._number = number

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._number

    def write(self, data: Any) -> int:
        content = bytes(data)
        wire.tell(wire.WRITE, content, self._number)
        return len(content)


class Output(io.TextIOWrapper):
    """Text for a pipe: the first lines of a call at once, so that they are there when it never ends, then in blocks."""

    lines = 0

    def write(self, text: str) -> int:
        size = super().write(text)
        if self.lines < _FLUSHED_LINES and "\n" in text:
            self.lines += 1
            self.flush()
        return size


def open_output(number: int) -> Output:
    return Output(io.BufferedWriter(Pipe(number)), "utf-8", "backslashreplace", newline="\n")


class Chance:
    """The functions of `random` that share one state: seeded by the host when the first of them is called."""

    _NAMES = tuple(
        name for name in random.__all__
        if getattr(getattr(random, name), "__self__", None) is random._inst
    )  # fmt: skip

    def __init__(self) -> None:
        self._real = {name: getattr(random, name) for name in self._NAMES}

    def reset(self) -> None:
        for name in self._NAMES:
            setattr(random, name, self._first(name))

    def _first(self, name: str) -> Any:
        def function(*arguments: Any, **named: Any) -> Any:
            if getattr(random, name) is function:
                vars(random).update(self._real)
                if name not in ("seed", "setstate"):
                    self._real["seed"](wire.tell(wire.SEED, b"", 32))
            return self._real[name](*arguments, **named)

        function.__name__ = function.__qualname__ = name
        return function


def failure(exc: BaseException) -> bytes:
    """Return what the host is told of an exception: its type and message, and where in the script's files it passed."""
    frames, trace = [], exc.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        path = files.path_of(code.co_filename)
        if path is not None:
            frames.append([path, trace.tb_lineno or 0, code.co_qualname])
        trace = trace.tb_next
    try:
        message = str(exc)
        message = "\n".join([message, *map(str, getattr(exc, "__notes__", ()))])
    except Exception:
        message = "an error that cannot be read"
    found: dict[str, Any] = {"type": type(exc).__qualname__, "message": message[:4096]}
    if isinstance(exc, SystemExit):
        found["exit"] = exc.code if isinstance(exc.code, int) else 0 if exc.code is None else 1
    if isinstance(exc, MemoryError):
        found["memory"] = True
    found["frames"] = frames[-_MOST_FRAMES:]
    return ERROR + json.dumps(found).encode()


def settle(value: Any) -> Any:
    """Return the result of a coroutine; tasks it leaves behind go on with the next call of a kept instance."""
    return loop.run_until_complete(value) if inspect.iscoroutine(value) else value


def answer(content: bytes) -> bytes:
    """Answer an HTTP request, whose head is JSON of a known length, before the body."""
    (size,) = struct.unpack_from("<I", content)
    method, path, query, headers = json.loads(content[4 : 4 + size])
    request = kit.Request(method, path, query, kit.Headers(headers), content[4 + size :])
    found = settle(function("handle")(request))
    if not isinstance(found, kit.Response):
        plain = isinstance(found, str | bytes)
        found = kit.Response(found) if plain else kit.Response.json(found)
    head = json.dumps([int(found.status), [[str(n), str(v)] for n, v in found.headers.pairs]]).encode()
    return FRAMED + struct.pack("<I", len(head)) + head + bytes(found.body)


script: dict[str, Any] = {}


def call(content: bytes) -> bytes:
    kind, rest = content[:1], content[1:]
    if kind == FRAMED:
        return answer(rest)
    if kind == wire.TEXT:
        name, _, text = rest.partition(b"\0")
        return encoded(settle(function(name.decode())(text.decode())))
    name, arguments = wire.decode(content)
    return encoded(settle(function(name)(*arguments)))


def function(name: str) -> Any:
    """Return a function of the script, which was seen in its text and may be gone, or never have been made."""
    found = script.get(name)
    if not callable(found):
        raise NameError(f"the script has run and has no function {name!r}")
    return found


def encoded(value: Any) -> bytes:
    data: bytes = wire.encode(value)
    return data


def run() -> None:
    """Run the script's top level."""
    name = files.entry.rpartition("/")[2].removesuffix(".py")
    name = name if name.isidentifier() and name not in sys.modules else "script"
    module = ModuleType(name)
    module.__file__ = files.entry
    sys.modules[name] = module
    vars(module)["__builtins__"] = __builtins__
    globals()["script"] = vars(module)
    exec(files.codes[files.entry], vars(module))


class WitWorld(wit_world.WitWorld):  # type: ignore[misc]
    def open_script(self, content: bytes) -> None:
        """Take a script in, and forget what the builder's own start, which comes first, was told."""
        files.open(*marshal.loads(content))
        for name in _OWN:
            sys.modules.pop(name, None)
        environ.forget()
        chance.reset()
        sys.stdout, sys.stderr = outputs
        vars(sys).update(__stdout__=outputs[0], __stderr__=outputs[1], argv=[files.entry])

    def check_script(self, content: bytes) -> bytes:
        found, code = checking.check(*json.loads(content))
        head = json.dumps(found).encode()
        return struct.pack("<I", len(head)) + head + bytes(code)

    def run_script(self) -> bytes:
        try:
            run()
            flush()
        except BaseException as exc:
            return failed(exc)
        return b""

    def call_script(self, content: bytes) -> bytes:
        try:
            for output in outputs:
                output.lines = 0
            result = call(content)
            flush()
        except BaseException as exc:
            return failed(exc)
        return result


def flush() -> None:
    sys.stdout.flush()
    sys.stderr.flush()


def failed(exc: BaseException) -> bytes:
    with contextlib.suppress(Exception):  # the script may have put anything in their place
        flush()
    return failure(exc)


chance, environ, outputs = Chance(), Environ(), (open_output(1), open_output(2))
loop = surroundings.Loop()


def build() -> None:
    """Bring everything to where a script begins."""
    for name in _AT_ONCE.split():
        importlib.import_module(name)
    surroundings.settle()
    library.install(files, "/python")
    sys.modules["echelon.guest"] = sys.modules["echelon"]
    vars(echelon)["guest"] = echelon
    vars(os)["environ"] = environ
    chance.reset()
    gc.collect()
    gc.freeze()


build()
