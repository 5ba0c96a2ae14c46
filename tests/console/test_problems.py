"""Every way a request can fail, caused for real, and the problem document it is answered with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from control_client import ADD, V1, Api, check_problem, make_app, running

from echelon.console import problems
from echelon.console.problems import KINDS, answers_problems, problem_for, types
from echelon.errors import (
    BadInput,
    ClientDisconnected,
    Diagnostic,
    EchelonError,
    GuestError,
    HostError,
    HTTPError,
    KvStorageError,
    LoadError,
    Trap,
)
from echelon.http.request import Request
from echelon.http.response import Response, Text
from echelon.plugin.compiler import Compiled, Compiler, Job, Probe
from echelon.runtime.result import Cost, Outcome

pytestmark = pytest.mark.asyncio(loop_scope="module")

SPIN = '(module (func (export "spin") (loop $l (br $l))))'
LOGGING = 'export function talk(n: i32): void { for (let i = 0; i < n; i++) console.log("hello") }'
COST = {"wall_ms", "cpu_ms", "wait_ms", "fuel", "memory_bytes", "host_calls"}


def command(body: str, *imports: str) -> str:
    """A WASI command with these imports that does this."""
    return f'(module {" ".join(imports)} (memory (export "memory") 1) (func (export "_start") {body}))'


PROC_EXIT = '(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))'
ENVIRON = '(import "wasi_snapshot_preview1" "environ_sizes_get" (func $env (param i32 i32) (result i32)))'
ENV_GET = '(import "echelon" "env_get" (func $get (param i32 i32) (result i32)))'
READ_VARIABLE = f"""(module {ENV_GET} (memory (export "memory") 1) (data (i32.const 0) "ECHELON_HOME")
    (func (export "length") (result i32) (call $get (i32.const 0) (i32.const 12))))"""


# The guest and its source -----------------------------------------------------------------------------------


async def test_compile_errors_carry_their_places(api: Api) -> None:
    """A type error names line and column of the source as it was sent."""
    source = "export function a(): i32 {\n  return 1\n}\nexport function b(): i32 {\n  return missing\n}\n"
    document = check_problem(await api.run(source, "a"), "compile-error", 422)
    (diagnostic,) = document["diagnostics"]
    assert (diagnostic["line"], diagnostic["column"], diagnostic["severity"]) == (5, 10, "error")
    assert "missing" in diagnostic["message"]


async def test_compile_errors_name_the_file(api: Api) -> None:
    """Where several files are sent, a diagnostic says which one it means."""
    files = {
        "main.ts": 'export { one } from "./lib/one"',
        "lib/one.ts": "export function one(): i32 { return x }",
    }
    document = check_problem(await api.run(files, "one"), "compile-error", 422)
    assert [item["file"] for item in document["diagnostics"]] == ["lib/one.ts"]


async def test_traps_carry_code_frames_and_cost(api: Api) -> None:
    """A trap says what happened, where, and what the call cost until then."""
    source = '(module (func $inner unreachable) (func $outer (export "f") (call $inner)))'
    document = check_problem(await api.wat(source, "f"), "trap", 422)
    assert document["code"] == "unreachable"
    assert [frame["function"] for frame in document["frames"]] == ["inner", "outer"]
    assert document["cost"].keys() == COST
    assert (document["stdout"], document["stderr"], document["logs"]) == ("", "", [])


async def test_traps_in_c_carry_lines(api: Api, clang: Callable[..., bytes]) -> None:
    """Frames have file and line where the module has debug information, and names as they were written."""
    source = """namespace shop { __attribute__((noinline)) int share(int total, int people) {
  return total / people;
} }
extern "C" __attribute__((export_name("run"))) int run(int n) {
  return shop::share(7, n) + 1;
}
"""
    wasm = clang({"cart.cpp": source}, "-O1")
    posted = await api.client.post(
        V1 + "/modules", content=wasm, headers={"content-type": "application/wasm"}
    )
    document = check_problem(await api.call(posted.json()["id"], "run", 0), "trap", 422)
    assert document["detail"].endswith("by zero in shop::share(int, int) (cart.cpp:2)")
    assert [(item["function"], item["file"], item["line"]) for item in document["frames"]] == [
        ("shop::share(int, int)", "cart.cpp", 2),
        ("run", "cart.cpp", 5),
    ]


async def test_output_before_a_trap_is_kept(api: Api) -> None:
    """What the guest said before it failed is often why it failed."""
    source = 'export function f(): void { console.log("before"); unreachable() }'
    document = check_problem(await api.run(source, "f"), "trap", 422)
    assert "before" in document["stdout"] or any("before" in entry["message"] for entry in document["logs"])


async def test_deadline(api: Api) -> None:
    """A loop without end is cut at its limit, which the answer names in seconds."""
    document = check_problem(await api.wat(SPIN, "spin", limits={"time": "50ms"}), "deadline-exceeded", 422)
    assert document["limit"] == 0.05
    assert document["cost"].keys() == COST


async def test_memory(api: Api) -> None:
    """Growing past the cap ends the call and names the cap in bytes."""
    source = """(module (memory 1) (func (export "grow")
        (if (i32.eq (memory.grow (i32.const 100)) (i32.const -1)) (then unreachable))))"""
    document = check_problem(await api.wat(source, "grow", limits={"memory": "1MiB"}), "memory-exceeded", 422)
    assert document["limit"] == 1 << 20


async def test_fuel(api: Api) -> None:
    """A call with a fuel limit ends when the fuel is used up."""
    document = check_problem(await api.wat(SPIN, "spin", limits={"fuel": 1000}), "fuel-exhausted", 422)
    assert document["limit"] == 1000


async def test_output(api: Api) -> None:
    """Writing more than the output limit ends the call."""
    document = check_problem(
        await api.run(LOGGING, "talk", 10_000, limits={"output": "1KiB"}), "output-exceeded", 422
    )
    assert document["limit"] == 1024


async def test_host_calls(api: Api) -> None:
    """Calling the host more often than allowed ends the call."""
    document = check_problem(
        await api.run(LOGGING, "talk", 100, limits={"host_calls": 5}), "host-calls-exceeded", 422
    )
    assert document["limit"] == 5


async def test_guest_exit(api: Api) -> None:
    """A command that ends with a failure says with which status."""
    document = check_problem(
        await api.wat(command("(call $exit (i32.const 3))", PROC_EXIT)), "guest-exit", 422
    )
    assert document["code"] == 3


async def test_exit_with_zero_is_success(api: Api) -> None:
    """A command that ends with status zero has succeeded."""
    response = await api.wat(command("(call $exit (i32.const 0))", PROC_EXIT))
    assert (response.status_code, response.json()["value"]) == (200, None)


async def test_permission_denied(api: Api) -> None:
    """A denial says what was asked for and what would grant it."""
    document = check_problem(await api.wat(READ_VARIABLE, "length"), "permission-denied", 403)
    assert (document["permission"], document["target"]) == ("env", "ECHELON_HOME")
    assert document["grant"] == "--allow-env=ECHELON_HOME"
    assert document["cost"].keys() == COST


async def test_permission_granted(api: Api, home: Path) -> None:
    """The same guest runs with the grant that the denial named."""
    response = await api.wat(READ_VARIABLE, "length", permissions={"env": ["ECHELON_HOME"]})
    assert response.json()["value"] == len(str(home))


async def test_denied_wasi_environment(api: Api) -> None:
    """A WASI command that asks for the environment is told to ask for it by name."""
    drop = "(drop (call $env (i32.const 0) (i32.const 8)))"
    document = check_problem(await api.wat(command(drop, ENVIRON)), "permission-denied", 403)
    assert document["permission"] == "env"


async def test_link_error(api: Api) -> None:
    """A module whose import nobody provides is refused when it is loaded, and named."""
    document = check_problem(
        await api.store('(module (import "nowhere" "nothing" (func)))'), "link-error", 422
    )
    assert "nowhere" in document["detail"]


@pytest.mark.parametrize("content", [b"", b"junk", b"\0asm\x01\0\0\0\xff", b"\0asm\x0d\0\x01\0"])
async def test_invalid_module(api: Api, content: bytes) -> None:
    """Bytes that are no module are refused."""
    response = await api.client.post(
        "/_echelon/v1/modules", content=content, headers={"content-type": "application/wasm"}
    )
    check_problem(response, "invalid-module", 422)


async def test_unknown_function(api: Api) -> None:
    """A function that is not there is named, with those that are."""
    document = check_problem(await api.wat(ADD, "subtract", 1, 2), "function-not-found", 404)
    assert "subtract" in document["detail"]
    assert "add" in document["detail"]


class Absent(Compiler):
    """A language whose compiler is nowhere."""

    name = "absent"
    suffixes = (".absent",)

    def probe(self) -> Probe:
        return Probe(found=False, install="echelon toolchain install absent")

    async def compile(self, job: Job) -> Compiled:
        raise EchelonError("never called")


async def test_toolchain_missing(api: Api) -> None:
    """A language whose compiler is missing says what to type."""
    api.app.generator.register(Absent())
    document = check_problem(await api.run("x", "f", language="absent"), "toolchain-missing", 501)
    assert document["install"] == "echelon toolchain install absent"


async def test_busy(tmp_path: Path) -> None:
    """A call beyond pool and queue is told to come back, and when."""
    app = make_app(tmp_path, wasm__instances=1, wasm__queue=0)
    async with running(app) as api:
        await api.store(SPIN, "spin", limits={"time": "1s"})
        answers = await asyncio.gather(*(api.call("spin", "spin") for _ in range(4)))
        busy = [answer for answer in answers if answer.status_code == 503]
        assert len(busy) == 3
        document = check_problem(busy[0], "busy", 503)
        assert int(busy[0].headers["retry-after"]) >= 1
        assert document["retry_after"] > 0


# The request -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "named"),
    [
        ([1], "takes 2 arguments, 1 given"),
        ([1, 2, 3], "takes 2 arguments, 3 given"),
        ([1, "2"], "argument 2 (i32): expected int, got str"),
        ([1, 2.5], "argument 2 (i32): expected int, got float"),
        ([1, None], "argument 2"),
        ([1, {"a": 1}], "argument 2"),
        ([2**31, 1], "argument 1 (i32): 2147483648 is out of range"),
        ([2**200, 1], "is out of range"),
    ],
)
async def test_bad_arguments(api: Api, args: list[Any], named: str) -> None:
    """A wrong count, type or range of arguments is the client's mistake, and said so."""
    document = check_problem(await api.wat(ADD, "add", *args), "bad-request", 400)
    assert named in document["detail"]


async def test_bad_base64(api: Api) -> None:
    """Bytes that are not base64 are the client's mistake, and the argument is named."""
    source = "export function size(b: Uint8Array): i32 { return b.length }"
    document = check_problem(await api.run(source, "size", "!"), "bad-request", 400)
    assert "size() argument 1 (b: bytes): bytes are given as base64 text" in document["detail"]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"source": ADD, "functoin": "add", "arg": []}, 'unknown keys: "functoin", "arg"'),
        ({"function": "add"}, "missing required field `source`"),
        ({"source": 5}, "source: Expected `str | object`, got `int`"),
        ({"source": ADD, "language": "wat", "args": {}}, "args: Expected `array`"),
        ({"source": ADD, "language": "wat", "optimize": "most"}, "optimize: Invalid enum value"),
        ({"source": ADD, "language": "cobol"}, "known are wat, python"),
        ({"source": ADD}, "language: say which"),
        ({"source": "", "language": "wasm"}, "application/wasm"),
        ({"source": {}, "language": "wat"}, "no file was given"),
        ({"source": {"../a.wat": ADD}, "language": "wat"}, "not an accepted file name"),
        ({"source": ADD, "language": "wat", "limits": {"tiem": 1}}, 'limits: unknown key "tiem"'),
        ({"source": ADD, "language": "wat", "limits": {"time": "soon"}}, "is not a time"),
        ({"source": ADD, "language": "wat", "limits": {"time": 1e9}}, "above wasm.max_time"),
        ({"source": ADD, "language": "wat", "limits": {"memory": "1GiB"}}, "above wasm.max_memory"),
        ({"source": ADD, "language": "wat", "limits": {"stack": 1}}, "limits.stack"),
        ({"source": ADD, "language": "wat", "permissions": {"nett": True}}, 'unknown key "nett"'),
        ({"source": ADD, "language": "wat", "permissions": {"net": "x"}}, "must be true, false or a list"),
        ({"source": ADD, "language": "wat"}, "function: name one"),
        ({"source": command("nop"), "language": "wat", "args": [1]}, "arguments of a WASI command are texts"),
        ({"source": command("nop", PROC_EXIT), "language": "wat", "args": ["\0"]}, "without a zero byte"),
        (
            {"source": command("nop", PROC_EXIT), "language": "wat", "env": {"A=B": ""}},
            "not the name of a variable",
        ),
        ([], "Expected `object`, got `array`"),
        ("x", "Expected `object`, got `str`"),
    ],
)
async def test_bad_bodies(api: Api, body: Any, named: str) -> None:
    """What a body has wrong is named, with what would be right."""
    document = check_problem(await api.post("/run", body), "bad-request", 400)
    assert named in document["detail"]


@pytest.mark.parametrize("extra", [{"env": {"A=B": ""}}, {"env": {"A": "\0"}}, {"env": {"": "x"}}])
async def test_bad_variables_of_a_function(api: Api, extra: dict[str, Any]) -> None:
    """Variables that cannot be passed on are refused for a function as for a command, and take no slot."""
    check_problem(await api.wat(ADD, "add", 1, 2, **extra), "bad-request", 400)
    assert api.app.wasm.idle()


async def test_every_unknown_key_is_listed(api: Api) -> None:
    """The errors name each unknown key by itself, cut to a size."""
    body = {"source": ADD, "x" * 500: 1, "y": 2}
    document = check_problem(await api.post("/run", body), "bad-request", 400)
    assert [error["name"] for error in document["errors"]] == ["x" * 80, "y"]


@pytest.mark.parametrize(
    "content", [b"", b"{", b'{"source": "\xff"}', b'{"source": "\\ud800"}', b"[" * 100_000]
)
async def test_what_is_not_json(api: Api, content: bytes) -> None:
    """A body that is not JSON, or nests without end, is one clear answer."""
    response = await api.client.post(
        "/_echelon/v1/run", content=content, headers={"content-type": "application/json"}
    )
    check_problem(response, "bad-request", 400)


async def test_other_media_types(api: Api) -> None:
    """A body in another form is refused: browsers send those across origins without asking."""
    response = await api.client.post(
        "/_echelon/v1/run", content=b"{}", headers={"content-type": "text/plain"}
    )
    check_problem(response, "unsupported-media-type", 415)


async def test_a_source_above_the_limit(api: Api) -> None:
    """A source that is too large is 413 and not compiled."""
    document = check_problem(await api.run(" " * (1 << 20) + "x", "f"), "too-large", 413)
    assert "generator.max_source" in document["detail"]
    files = {"a.ts": "x" * (1 << 19), "b.ts": "y" * (1 << 19) + "é"}
    check_problem(await api.run(files, "f"), "too-large", 413)


async def test_a_body_above_the_limit(tmp_path: Path) -> None:
    """A body above the server's limit is 413, whatever is in it."""
    async with running(make_app(tmp_path, server__max_body="64KiB")) as api:
        check_problem(await api.wat(ADD, "add", "x" * 70_000), "too-large", 413)
        wasm = await api.client.post(
            "/_echelon/v1/modules", content=bytes(70_000), headers={"content-type": "application/wasm"}
        )
        check_problem(wasm, "too-large", 413)


async def test_a_module_above_the_limit(api: Api) -> None:
    """A module above the generator's limit is 413."""
    size = api.app.generator.max_output
    api.app.generator.max_output = 20
    try:
        response = await api.client.post(
            "/_echelon/v1/modules", content=bytes(21), headers={"content-type": "application/wasm"}
        )
    finally:
        api.app.generator.max_output = size
    check_problem(response, "too-large", 413)


# The table ---------------------------------------------------------------------------------------------------


async def test_what_no_client_causes_passes_through() -> None:
    """A failing disk is not the client's problem: the error goes on to the log, and is a 500."""

    @answers_problems
    async def fail() -> Response:
        raise KvStorageError("the disk is full")

    with pytest.raises(KvStorageError):
        await fail()


async def test_a_handler_keeps_its_parameters() -> None:
    """The wrapper passes arguments and answers through."""

    @answers_problems
    async def handler(request: Request, ref: str) -> Response:
        return Text(ref)

    assert (await handler(None, ref="a")).body == "a"  # type: ignore[arg-type]  # the request is not looked at


@pytest.mark.parametrize(
    "error", [EchelonError("x"), KvStorageError("x"), ClientDisconnected("x"), KeyError("x")]
)
async def test_errors_without_a_problem(error: Exception) -> None:
    """Errors that are not in the table have no document of their own."""
    assert problem_for(error) is None


async def test_the_nearest_class_counts() -> None:
    """A subclass nobody listed is answered as its nearest listed base; an unlisted GuestError is one too."""

    class Special(Trap):
        """A trap of a kind to come."""

    for error, kind in (
        (Special("x", code="c"), "trap"),
        (GuestError("x"), "guest-error"),
        (HostError("x", function="f"), "host-error"),
        (LoadError("x"), "load-error"),
        (HTTPError(409, "x"), "conflict"),
        (BadInput("x", status=400), "bad-request"),
    ):
        problem = problem_for(error)
        assert problem is not None
        assert f'"urn:echelon:{kind}"'.encode() in problem.body  # type: ignore[operator]  # JSON is bytes


async def test_half_a_surrogate_pair_can_be_sent() -> None:
    """Texts from outside that are not quite text do not break the answer."""
    cost = Cost(0.0, 0.0, None, 0, 0)
    outcome = Outcome(None, b"\xff", b"", cost)
    problem = problem_for(Trap("\ud800", code="\udfff", outcome=outcome))
    assert problem is not None
    assert problem.body.decode().count("?") == 2  # type: ignore[union-attr]  # JSON is bytes
    assert problems.to_json((Diagnostic(1, 2, "error", "\ud800"),)) == [
        {"line": 1, "column": 2, "severity": "error", "message": "?"}
    ]


async def test_every_type_is_a_urn() -> None:
    """The list of types holds every row of the table and what HTTP adds, each once."""
    assert {f"urn:echelon:{kind.type}" for kind in KINDS.values()} < set(types())
    assert len(types()) == len(set(types()))
