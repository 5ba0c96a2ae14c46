"""Every setting of Echelon: its name, its kind, its default, and one line that says what it does.

Sections are frozen values. Building one checks and normalises its fields, so `ServerConfig(max_body="1MiB")`
holds 1048576; a bad value raises ConfigError.
"""
# ruff: noqa: RUF009 - setting() only declares a dataclass field

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

from echelon.config.kinds import (
    UNSET,
    Address,
    Choice,
    Flag,
    Kind,
    Many,
    PathName,
    Real,
    Size,
    StoreUrl,
    Text,
    Time,
    Token,
    Url,
    Whole,
    refuse,
)
from echelon.config.secret import Secret
from echelon.errors import ConfigError
from echelon.runtime.limits import GIB, KIB, MIB, Limits

_FOLDERS = Many(PathName(must="folder"))


@dataclass(frozen=True, slots=True)
class Setting:
    """What is known of one setting."""

    kind: Kind
    default: Any
    help: str


def setting(kind: Kind, default: Any, help: str) -> Any:
    """Declare one setting as a dataclass field; the default is checked like any other value."""
    return field(default=default, metadata={"kind": kind, "help": help})


def settings_of(cls: Any) -> dict[str, Setting]:
    """Return the settings that a section declares, by name."""
    return {
        item.name: Setting(item.metadata["kind"], item.default, item.metadata["help"])
        for item in fields(cls)
        if "kind" in item.metadata
    }


def normalise(section: Any, prefix: str) -> None:
    """Replace each setting of a frozen section by its checked form; raises ConfigError."""
    for item in fields(section):
        if "kind" in item.metadata:
            value = item.metadata["kind"].check(getattr(section, item.name), prefix + item.name)
            object.__setattr__(section, item.name, value)


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """How the HTTP server listens; sizes in bytes, times in seconds."""

    host: str = setting(Text(limit=255), "127.0.0.1", "address to listen on")
    port: int = setting(Whole(0, 65535), 8000, "port to listen on; 0 takes a free one")
    workers: int = setting(Whole(1, 1024), 1, "worker processes")
    reload: bool = setting(Flag(), False, "start again when a source file changes (development)")
    reload_dirs: tuple[Path, ...] = setting(
        _FOLDERS, (), "folders that reload watches; empty watches the application's own"
    )
    http: str = setting(Choice(("auto", "1", "2")), "auto", "HTTP version to speak")
    tls_certificate: Path | None = setting(
        PathName(optional=True, must="file"), None, "certificate chain, PEM; empty serves plain HTTP"
    )
    tls_key: Path | None = setting(
        PathName(optional=True, must="file"), None, "private key of the certificate, PEM"
    )
    max_body: int = setting(Size(), 16 * MIB, "largest request body")
    backlog: int = setting(
        Whole(128, 65535), 1024, "connections the system may hold before they are accepted"
    )
    access_log: bool = setting(Flag(), False, "write one line for each request")
    shutdown_time: float = setting(Time(), 10.0, "how long requests may finish when the server stops")
    trusted_proxies: tuple[str, ...] = setting(
        Many(Address()), (), "proxies whose Forwarded headers are believed; addresses or networks"
    )

    def __post_init__(self) -> None:
        normalise(self, "server.")
        for one, other in (("tls_certificate", "tls_key"), ("tls_key", "tls_certificate")):
            if getattr(self, one) and not getattr(self, other):
                raise ConfigError(f"server.{one}: TLS needs server.{other} too", key=f"server.{one}")


@dataclass(frozen=True, slots=True)
class KvConfig:
    """The key-value store."""

    path: Path = setting(PathName(derived=True), UNSET, "database file; empty means kv.db below state")
    url: Secret = setting(
        StoreUrl(),
        Secret(""),
        "a store on a server instead of a file: postgres://… or, of KV Connect, https://…",
    )
    token: Secret = setting(Token(), Secret(""), "access token of the KV Connect server")
    format: str = setting(
        Choice(("echelon", "deno")), "echelon", "layout of the file; deno shares it with Deno KV"
    )
    durability: str = setting(
        Choice(("full", "normal")), "full", "full survives a power cut, normal only a crash of the process"
    )
    max_value: int = setting(Size(), 64 * KIB, "largest value that can be written")
    queue_concurrency: int = setting(
        Whole(0, 10_000), 32, "queue handlers that run at once in each worker; 0 leaves messages to others"
    )
    cron: bool = setting(Flag(), True, "run cron jobs in these workers")

    def __post_init__(self) -> None:
        normalise(self, "kv.")


LIMIT_SETTINGS: Mapping[str, Setting] = MappingProxyType(
    {
        "memory": Setting(Size(), Limits().memory, "memory of one call"),
        "time": Setting(Time(), Limits().time, "time of one call, host functions included"),
        "fuel": Setting(
            Whole(1, optional=True), Limits().fuel, "instructions of one call; counted only when set"
        ),
        "stack": Setting(Size(), Limits().stack, "stack of one call"),
        "output": Setting(Size(), Limits().output, "bytes one call may print"),
        "host_calls": Setting(Whole(1), Limits().host_calls, "host calls of one call"),
    }
)
"""The settings of `[wasm.limits]`; their values live in a Limits."""


def default_limits(max_memory: int, max_time: float) -> Limits:
    """Return the limits of a call for which nothing is set, lowered to the ceilings where these are less."""
    usual = Limits()
    return Limits(memory=min(usual.memory, max_memory), time=min(usual.time, max_time))


@dataclass(frozen=True, slots=True)
class WasmConfig:
    """The runtime: its pool, its ceilings, and the limits a call has unless it asks for others."""

    instances: int = setting(Whole(1, 100_000), 256, "slots in the instance pool")
    queue: int = setting(Whole(0, 10_000_000), 10_000, "calls that may wait for a slot")
    threads: int = setting(Whole(0, 1024), 0, "threads for long calls; 0 chooses by the number of cores")
    max_memory: int = setting(Size(), 256 * MIB, "ceiling of any memory limit")
    max_time: float = setting(Time(), 60.0, "ceiling of any time limit")
    compile_time: float = setting(Time(), 60.0, "time of one native compilation")
    compile_memory: int = setting(Size(), 4 * GIB, "memory of one native compilation")
    hosts: tuple[str, ...] = setting(
        Many(Text(limit=255)), (), "hosts that modules may be loaded from by URL"
    )
    audit: Path | None = setting(
        PathName(optional=True), None, "file to which every use of a permission is written; empty writes none"
    )
    cache: Path = setting(PathName(derived=True), UNSET, "native code; empty means native below state")
    cache_size: int = setting(Size(), 4 * GIB, "size at which the oldest native code is dropped")
    limits: Limits = field(default=cast(Limits, None))

    def __post_init__(self) -> None:
        normalise(self, "wasm.")
        if self.limits is None:
            object.__setattr__(self, "limits", default_limits(self.max_memory, self.max_time))
        if not isinstance(self.limits, Limits):
            raise refuse("wasm.limits", self.limits, "a Limits")
        for name, ceiling in (("memory", "max_memory"), ("time", "max_time")):
            kind, value, most = LIMIT_SETTINGS[name].kind, getattr(self.limits, name), getattr(self, ceiling)
            if value > most:
                key = f"wasm.limits.{name}"
                advice = f"wasm.{ceiling}, which is {kind.show(most)}; lower the one or raise the other"
                raise ConfigError(f"{key}: {kind.show(value)} is above {advice}", key=key)


@dataclass(frozen=True, slots=True)
class GeneratorConfig:
    """The compilers from source to WebAssembly."""

    cache: Path = setting(
        PathName(derived=True), UNSET, "compiled modules; empty means artifacts below state"
    )
    cache_size: int = setting(Size(), GIB, "size at which the oldest modules are dropped")
    compile_time: float = setting(Time(), 30.0, "time of one compilation")
    max_source: int = setting(Size(), MIB, "largest source")
    queue: int = setting(
        Whole(0, 100_000), 64, "compiles of one language that may wait; one client fills half"
    )
    javascript: str = setting(
        Choice(("auto", "deno", "node")), "auto", "runtime of the TypeScript compiler; auto prefers deno"
    )

    def __post_init__(self) -> None:
        normalise(self, "generator.")


@dataclass(frozen=True, slots=True)
class TelemetryConfig:
    """Traces, metrics and logs."""

    service_name: str = setting(Text(limit=255), "echelon", "name under which traces and metrics appear")
    traces: str = setting(Choice(("none", "otlp", "console")), "none", "where spans go")
    metrics: str = setting(Choice(("prometheus", "otlp", "none")), "prometheus", "where metrics go")
    endpoint: str = setting(
        Url(), "", "OTLP/HTTP collector; empty means OTEL_EXPORTER_OTLP_ENDPOINT or port 4318 here"
    )
    logs: str = setting(
        Choice(("text", "json", "none")),
        "text",
        "form of the log on standard error; none leaves logging alone",
    )
    log_level: str = setting(
        Choice(("debug", "info", "warning", "error", "critical")), "info", "least severity that is logged"
    )
    sample: float = setting(Real(0, 1), 1.0, "share of the traces begun here that is kept")

    def __post_init__(self) -> None:
        normalise(self, "telemetry.")


@dataclass(frozen=True, slots=True)
class ConsoleConfig:
    """The control API; it answers only when there is a token."""

    token: Secret = setting(Token(), Secret(""), "what a client of the control API must present")
    enabled: bool = setting(Flag(), True, "serve the control API when there is a token")

    def __post_init__(self) -> None:
        normalise(self, "console.")
