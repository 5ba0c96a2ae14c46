"""Filling a handler's parameters: a plan made once at registration, run for every request."""

from __future__ import annotations

import dataclasses
import inspect
import sys
import typing
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import partial
from types import FrameType, NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import msgspec

from echelon.errors import BadInput, HTTPError, RouteError
from echelon.http.forms import FormData, Upload
from echelon.http.markers import Body, Cookie, Form, Marker, Query
from echelon.http.request import Request, decode_json
from echelon.types import Components, Handler

Fill = Callable[[Request], Any]
FillAsync = Callable[[Request], Awaitable[Any]]

_SCALARS = (str, int, float, bool, bytes, datetime, date, time, timedelta, UUID, Decimal, Enum)
_SEVERAL = (list, set, frozenset, tuple)
_MISSING: Any = inspect.Parameter.empty
_BODILESS = frozenset({"GET", "HEAD"})


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """How to fill the parameters of one handler."""

    direct: tuple[tuple[str, Fill], ...]
    awaited: tuple[tuple[str, FillAsync], ...]
    returns: Any


@dataclasses.dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter with its annotation resolved."""

    name: str
    type: Any
    default: Any
    marker: Marker | None = None

    @property
    def optional(self) -> bool:
        return self.default is not _MISSING or _is_optional(self.type)

    def fallback(self) -> Any:
        return None if self.default is _MISSING else self.default


@dataclasses.dataclass(frozen=True, slots=True)
class Subject:
    """A handler with its parameters, ready to be planned; the annotations are resolved."""

    name: str
    path: str
    methods: Collection[str]
    path_params: Mapping[str, type]
    parameters: tuple[Parameter, ...]
    returns: Any

    def refuse(self, parameter: str, why: str) -> RouteError:
        place = f"{'|'.join(sorted(self.methods))} {self.path}".strip()
        return RouteError(f'{place}: parameter "{parameter}" of {self.name}() {why}')


def describe(handler: Handler) -> str:
    """Return the name by which messages speak of a handler."""
    inner = handler
    while isinstance(inner, partial):
        inner = inner.func
    name = getattr(inner, "__qualname__", None) or type(inner).__qualname__
    return str(name).rpartition("<locals>.")[2]


def inspect_handler(
    handler: Handler, path: str, methods: Collection[str], path_params: Mapping[str, type]
) -> Subject:
    """Read a handler's signature; raises RouteError for annotations or parameters that cannot be used."""
    name = describe(handler)
    try:
        signature = inspect.signature(handler)
    except (TypeError, ValueError) as exc:
        raise RouteError(f"{path}: {name} is not a function that can be a handler: {exc}") from exc
    hints = _resolve(handler, name, path)
    parameters = []
    subject = Subject(name, path, methods, path_params, (), hints.get("return", signature.return_annotation))
    for parameter in signature.parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise subject.refuse(parameter.name, "cannot be filled: handlers take parameters by name only")
        hint = hints.get(parameter.name, _MISSING)
        marker = None
        if get_origin(hint) is Annotated:
            marker = next((item for item in hint.__metadata__ if isinstance(item, Marker)), None)
            wrong = next(
                (item for item in hint.__metadata__ if inspect.isclass(item) and issubclass(item, Marker)),
                None,
            )
            if wrong is not None:
                raise subject.refuse(parameter.name, f"needs an instance: write {wrong.__name__}()")
        parameters.append(Parameter(parameter.name, hint, parameter.default, marker))
    known = {parameter.name for parameter in parameters}
    for wanted in path_params:
        if wanted not in known:
            raise RouteError(
                f"{path}: {name}() has no parameter named {wanted!r}, which the path provides; it has "
                + (", ".join(sorted(known)) or "none")
            )
    return dataclasses.replace(subject, parameters=tuple(parameters))


def plan(subject: Subject, components: Components, *, final: bool) -> Plan:
    """Decide where each parameter comes from.

    Unless `final`, a class nobody knows yet passes: it may be a component that the application adds.
    Raises RouteError that names the handler and the parameter, and says what is possible.
    """
    direct: list[tuple[str, Fill]] = []
    awaited: list[tuple[str, FillAsync]] = []
    bodies: list[str] = []
    for parameter in subject.parameters:
        kind, fill = _source(subject, parameter, components, final)
        if kind in ("body", "form"):
            awaited.append((parameter.name, fill))
            if kind == "body":
                bodies.append(parameter.name)
            if subject.methods and _BODILESS.issuperset(subject.methods):
                raise subject.refuse(
                    parameter.name, "reads the body, but a GET request has none; use POST, PUT or PATCH"
                )
        else:
            direct.append((parameter.name, fill))
    if len(bodies) > 1 or (bodies and len(awaited) > len(bodies)):
        raise subject.refuse(awaited[-1][0], "is a second reader of the body; put both into one Struct")
    return Plan(tuple(direct), tuple(awaited), subject.returns)


def _source(
    subject: Subject, parameter: Parameter, components: Components, final: bool
) -> tuple[str, Callable[..., Any]]:
    name, hint = parameter.name, parameter.type
    bare = _bare(hint)
    if parameter.marker is not None:
        return _marked(subject, parameter, parameter.marker)
    if name in subject.path_params:
        return "path", _path_fill(parameter, subject.path_params[name])
    if bare is Request or (bare is _MISSING and name == "request"):
        return "request", lambda request: request
    if inspect.isclass(bare) and bare in components:
        return "component", components[bare]
    if bare is Upload:
        return "form", _form_fill(subject, parameter, name)
    if is_body_type(bare):
        return "body", _json_fill(hint)
    if is_text_type(bare):
        return "query", _text_fill(subject, parameter, name, "query")
    if not final and inspect.isclass(bare):
        return "component", lambda request: None
    known = ", ".join(sorted(item.__name__ for item in components)) or "none is registered"
    raise subject.refuse(
        name,
        f"cannot be filled from {_type_name(hint)}: it is not in the path, and the type is neither Request, "
        "a query type (str, int, float, bool, datetime, UUID, Enum, … or a list), a body (msgspec.Struct, "
        f"dataclass, TypedDict, dict), an Upload, nor a component ({known}); "
        "a marker such as Annotated[T, Body()] says it explicitly",
    )


def _marked(subject: Subject, parameter: Parameter, marker: Marker) -> tuple[str, Callable[..., Any]]:
    bare = _bare(parameter.type)
    if isinstance(marker, Body):
        if bare is bytes:
            return "body", lambda request: request.body()
        if bare is str:
            return "body", lambda request: request.text()
        return "body", _json_fill(parameter.type)
    if isinstance(marker, Form):
        return "form", _form_fill(subject, parameter, marker.name or parameter.name)
    if not is_text_type(bare):
        raise subject.refuse(
            parameter.name,
            f"cannot come from text as {_type_name(parameter.type)}; use a scalar or a list of them",
        )
    if isinstance(marker, Query):
        return "query", _text_fill(subject, parameter, marker.name or parameter.name, "query")
    if isinstance(marker, Cookie):
        return "cookie", _text_fill(subject, parameter, marker.name or parameter.name, "cookie")
    header = marker.name or parameter.name.replace("_", "-")
    return "header", _text_fill(subject, parameter, header.lower(), "header")


def _path_fill(parameter: Parameter, given: type) -> Fill:
    name, wanted = parameter.name, parameter.type
    if wanted in (_MISSING, Any) or wanted is given:
        return lambda request: request.path_params[name]
    return lambda request: _convert(request.path_params[name], wanted, "path", name)


def _text_fill(subject: Subject, parameter: Parameter, name: str, place: str) -> Fill:
    wanted = str if parameter.type is _MISSING else parameter.type
    bare = _bare(wanted)
    plain = bare is str and not _constrained(wanted)
    several = (get_origin(bare) or bare) in _SEVERAL
    if several and place == "cookie":
        raise subject.refuse(parameter.name, "is a list, but a cookie has one value")
    if not plain:
        _check_convertible(subject, parameter, wanted)

    optional, fallback = parameter.optional, parameter.fallback()
    query, cookies = place == "query", place == "cookie"

    def fill(request: Request) -> Any:
        where: Any = request.query if query else request.cookies if cookies else request.headers
        value = where.get_all(name) if several else where.get(name)
        if value is None or (several and not value):
            if optional:
                return fallback
            raise _missing(place, name)
        return value if plain else _convert(value, wanted, place, name)

    return fill


def _json_fill(wanted: Any) -> FillAsync:
    decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(wanted)

    async def fill(request: Request) -> Any:
        kind = request.content_type
        # Strict on purpose: a browser sends other types across origins without asking first.
        if kind != "application/json" and not kind.endswith("+json"):
            raise HTTPError(415, "send the body as JSON, with Content-Type: application/json")
        return decode_json(await request.body(), decoder)

    return fill


def _form_fill(subject: Subject, parameter: Parameter, name: str) -> FillAsync:
    wanted = str if parameter.type is _MISSING else parameter.type
    bare = _bare(wanted)
    if bare is FormData:
        return lambda request: request.form()
    if is_body_type(bare):
        return _whole_form_fill(wanted)
    several = (get_origin(bare) or bare) in _SEVERAL
    item = _bare(get_args(bare)[0]) if several and get_args(bare) else bare
    if item is not Upload and not is_text_type(bare):
        raise subject.refuse(parameter.name, f"cannot come from a form as {_type_name(wanted)}")

    async def fill(request: Request) -> Any:
        form = await request.form()
        values = form.get_all(name)
        if not values:
            if parameter.optional:
                return parameter.fallback()
            raise _missing("form", name)
        if any(isinstance(value, Upload) is not (item is Upload) for value in values):
            kind = "a file" if item is Upload else "text"
            raise _bad("form", name, f"Expected {kind}")
        value = values if several else values[0]
        return value if item is Upload else _convert(value, wanted, "form", name)

    return fill


def _whole_form_fill(wanted: Any) -> FillAsync:
    many = {
        name
        for name, hint in _fields_of(_bare(wanted)).items()
        if (get_origin(_bare(hint)) or hint) in _SEVERAL
    }

    async def fill(request: Request) -> Any:
        form = await request.form()
        values = {name: form.get_all(name) if name in many else form[name] for name in form}
        for name, value in values.items():
            if isinstance(value, Upload):
                raise _bad("form", name, "Expected text")
        return _convert(values, wanted, "form", "")

    return fill


def _convert(value: Any, wanted: Any, place: str, name: str) -> Any:
    try:
        return msgspec.convert(value, wanted, strict=False)
    except msgspec.ValidationError as exc:
        message, _, where = str(exc).partition(" - at ")
        inner = where.strip("`").removeprefix("$").removeprefix(".")
        raise _bad(place, name or inner, message) from exc


def _bad(place: str, name: str, message: str) -> BadInput:
    return BadInput(
        f'{place} parameter "{name}": {message}', errors=[{"in": place, "name": name, "message": message}]
    )


def _missing(place: str, name: str) -> BadInput:
    return _bad(place, name, "is missing")


def _check_convertible(subject: Subject, parameter: Parameter, wanted: Any) -> None:
    try:
        msgspec.convert(None, wanted)
    except msgspec.ValidationError:
        return
    except TypeError as exc:
        raise subject.refuse(parameter.name, f"cannot be filled: {exc}") from exc


def is_body_type(hint: Any) -> bool:
    """Return whether a parameter of this type is read from the body."""
    origin = get_origin(hint) or hint
    if not inspect.isclass(origin):
        return False
    return (
        origin is dict
        or dataclasses.is_dataclass(origin)
        or issubclass(origin, msgspec.Struct)
        or (typing.is_typeddict(origin))
    )


def is_text_type(hint: Any) -> bool:
    """Return whether a parameter of this type can be read from text such as the query."""
    if hint is _MISSING or hint is Any:
        return True
    origin = get_origin(hint)
    if origin is Literal:
        return True
    if origin in (Union, UnionType):
        return all(item is NoneType or is_text_type(_bare(item)) for item in get_args(hint))
    if origin in _SEVERAL:
        return all(item is Ellipsis or is_text_type(_bare(item)) for item in get_args(hint))
    return inspect.isclass(hint) and (hint in _SEVERAL or issubclass(hint, _SCALARS))


def _fields_of(hint: Any) -> dict[str, Any]:
    origin = get_origin(hint) or hint
    if origin is dict:
        return {}
    try:
        return get_type_hints(origin)
    except NameError:
        return {}


def _bare(hint: Any) -> Any:
    """Return the type inside Annotated and Optional."""
    if get_origin(hint) is Annotated:
        return _bare(get_args(hint)[0])
    if _is_optional(hint):
        inner = [item for item in get_args(hint) if item is not NoneType]
        return _bare(inner[0]) if len(inner) == 1 else hint
    return hint


def _is_optional(hint: Any) -> bool:
    if get_origin(hint) is Annotated:
        return _is_optional(get_args(hint)[0])
    return get_origin(hint) in (Union, UnionType) and NoneType in get_args(hint)


def _constrained(hint: Any) -> bool:
    return get_origin(hint) is Annotated and any(isinstance(item, msgspec.Meta) for item in hint.__metadata__)


def _type_name(hint: Any) -> str:
    return hint.__name__ if inspect.isclass(hint) else str(hint).replace("typing.", "")


def _resolve(handler: Handler, name: str, path: str) -> dict[str, Any]:
    """Resolve annotations; names local to the function that registers the handler count too."""
    target: Any = handler
    while isinstance(target, partial):
        target = target.func
    if not inspect.isroutine(target) and callable(target):
        target = type(target).__call__
    target = inspect.unwrap(target)
    try:
        return get_type_hints(target, include_extras=True)
    except NameError:
        pass
    except TypeError as exc:
        raise RouteError(f"{path}: the annotations of {name}() cannot be read: {exc}") from exc
    try:
        return get_type_hints(target, localns=_caller_names(target), include_extras=True)
    except NameError as exc:
        raise RouteError(
            f"{path}: an annotation of {name}() cannot be resolved: {exc}; define the name at module level"
        ) from exc


def _caller_names(target: Any) -> dict[str, Any]:
    module = getattr(target, "__globals__", None)
    frame: FrameType | None = sys._getframe(1)
    names: dict[str, Any] = {}
    while frame is not None:
        if frame.f_globals is module:
            names = {**frame.f_locals, **names}
        frame = frame.f_back
    return names
