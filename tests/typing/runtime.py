"""Guests without a web application. Type-checked, never run."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, assert_type

from echelon import EchelonError, Limits, Permissions, Runtime
from echelon.errors import (
    Busy,
    CompileError,
    DeadlineExceeded,
    Diagnostic,
    FuelExhausted,
    GuestError,
    GuestExit,
    LoadError,
    MemoryExceeded,
    PermissionDenied,
    ToolchainMissing,
    Trap,
)
from echelon.runtime.core import RuntimeSettings
from echelon.runtime.module import Module
from echelon.runtime.result import Cost, LogEntry, Outcome


async def call() -> None:
    async with Runtime(RuntimeSettings(instances=16, limits=Limits(time="200ms"))) as wasm:
        module = await wasm.load(Path("fib.ts"), name="fib", permissions=Permissions(read=["."], deny=None))
        assert_type(module, Module)
        assert_type(await module.call("fib", 30, limits=Limits(time=0.1)), Any)
        assert_type(await module.fib(30), Any)

        outcome = await module.run("fib", 30, permissions=Permissions())
        assert_type(outcome, Outcome)
        assert_type(outcome.cost, Cost)
        assert_type(outcome.cost.wall, float)
        assert_type(outcome.cost.fuel, int | None)
        assert_type(outcome.logs, tuple[LogEntry, ...])
        assert_type(outcome.stdout, bytes)
        await module.run(args=["grep", "-n"], env={"TZ": "UTC"}, stdin=b"text")

        async with module.instance(limits=Limits(fuel=1_000_000)) as live:
            fib = live.function("fib")
            assert_type(fib, Callable[..., Awaitable[Any]])
            await fib(30)
            assert_type(live.memory.read(0, 16), bytes)
            live.memory.write(0, b"\0" * 16)

        for function in module.exports():
            assert_type(str(function), str)
        module.close()
        wat = await wasm.load("(module)", language="wat", sha256="sha256:" + "0" * 64)
        binary = await wasm.load(b"\0asm\x01\0\0\0")
        assert_type(wat.digest, str)
        assert_type(binary.size, int)


async def fail(module: Module) -> None:
    try:
        await module.call("work")
    except PermissionDenied as error:
        assert_type(error.grant, str)
        as_python_has_it: PermissionError = error
        print(as_python_has_it)
    except Trap as error:
        assert_type(error.code, str)
        assert_type(error.frames[0].function, str)
    except (DeadlineExceeded, MemoryExceeded, FuelExhausted) as error:
        assert_type(error.outcome, Outcome | None)
    except GuestExit as error:
        assert_type(error.code, int)
    except GuestError:
        raise
    except Busy as error:
        assert_type(error.retry_after, float)
    except CompileError as error:
        assert_type(error.diagnostics, tuple[Diagnostic, ...])
    except ToolchainMissing as error:
        assert_type(error.install, str)
    except (LoadError, EchelonError):
        raise


async def wrong(module: Module) -> None:
    value = module.call("fib", 30).value  # type: ignore[attr-defined]  # a call is awaited
    print(value)
    await module.run("fib", stdin="text")  # type: ignore[arg-type]  # standard input is bytes
    Limits(time="1s").time = 2.0  # type: ignore[misc]  # limits never change
    await Runtime().load("fib.ts", limits={"time": 1})  # type: ignore[arg-type]  # limits are Limits
