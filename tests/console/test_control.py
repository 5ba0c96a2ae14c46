"""Storing, listing, calling and deleting modules, and compiling and calling in one step."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from control_client import ADD, FIB, V1, Api, check_problem, make_app, running, wat_constant

from echelon.console.shelf import MAX_MODULES
from echelon.plugin.compilers.wat import assemble

pytestmark = pytest.mark.asyncio(loop_scope="module")

WASM = {"content-type": "application/wasm"}
ENV_GET = """(module (import "echelon" "env_get" (func $get (param i32 i32) (result i32)))
    (memory (export "memory") 1) (data (i32.const 0) "CONSOLE_A CONSOLE_B")
    (func (export "a") (result i32) (call $get (i32.const 0) (i32.const 9)))
    (func (export "b") (result i32) (call $get (i32.const 10) (i32.const 9))))"""


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two variables that guests ask for."""
    monkeypatch.setenv("CONSOLE_A", "x")
    monkeypatch.setenv("CONSOLE_B", "yy")


def value_of(response: httpx.Response) -> Any:
    assert response.status_code == 200, response.text
    return response.json()["value"]


# run ---------------------------------------------------------------------------------------------------------


async def test_run_compiles_once(api: Api) -> None:
    """A source is compiled and called; the second time nothing is compiled, and says so."""
    first = (await api.run(FIB, "fib", 20)).json()
    assert (first["value"], first["cached"], first["language"]) == (6765, False, "typescript")
    assert first["id"].startswith("sha256:")
    assert first["compile_ms"] > 0
    assert first["cost"]["wall_ms"] > 0
    assert first["cost"]["memory_bytes"] > 0
    second = (await api.run(FIB, "fib", 20)).json()
    assert (second["value"], second["cached"], second["id"]) == (6765, True, first["id"])


async def test_options_of_a_compile(api: Api) -> None:
    """Names can be left out; an option that the language does not have is the client's mistake."""
    named = (await api.run(FIB, "fib", 20)).json()
    bare = (await api.run(FIB, "fib", 20, names=False)).json()
    assert (named["value"], bare["value"]) == (6765, 6765)
    assert named["id"] != bare["id"]
    refused = check_problem(await api.wat(ADD, "add", 1, 2, options={"dialect": "x"}), "bad-request", 400)
    assert "wat takes none, so not 'dialect'" in refused["detail"]
    stored = await api.store(ADD, "bare-add", language="wat", names=False, debug=True, options={})
    assert stored.status_code == 201


async def test_run_shows_what_was_printed(api: Api) -> None:
    """Output and logs of the guest are in the answer."""
    answer = (await api.run('export function hi(): void { console.log("hello") }', "hi")).json()
    said = answer["stdout"] + "".join(entry["message"] for entry in answer["logs"])
    assert "hello" in said
    assert answer["value"] is None


async def test_run_takes_several_files(api: Api) -> None:
    """A source may be several files; the first is the entry."""
    files = {
        "main.ts": 'import { twice } from "./lib/math"\nexport function f(n: i32): i32 { return twice(n) + 1 }',
        "lib/math.ts": "export function twice(n: i32): i32 { return n * 2 }",
    }
    assert value_of(await api.run(files, "f", 20)) == 41


@pytest.mark.parametrize(
    ("types", "value"),
    [
        ("i64", 2**63 - 1),
        ("i64", -(2**63)),
        ("u64", 2**64 - 1),
        ("f64", 0.1),
        ("f64", "NaN"),
        ("f64", "-Infinity"),
        ("bool", True),
        ("string", "h\u00e9\U0001f600"),
        ("Uint8Array", "AP8="),
        ("f64[]", [0.5, "Infinity"]),
        ("string[]", ["a", ""]),
        ("string | null", None),
    ],
)
async def test_values_pass_through_a_guest(api: Api, types: str, value: Any) -> None:
    """A guest that returns its argument returns what was sent, exactly."""
    assert (
        value_of(await api.run(f"export function same(v: {types}): {types} {{ return v }}", "same", value))
        == value
    )


async def test_f32_is_rounded_as_a_float(api: Api) -> None:
    """An f32 keeps the digits it has."""
    answer = await api.run("export function same(v: f32): f32 { return v }", "same", 0.1)
    assert math.isclose(value_of(answer), 0.1, rel_tol=1e-7)


async def test_several_results_are_a_list(api: Api) -> None:
    """A function with several results answers with a list of them."""
    source = '(module (func (export "two") (result i32 f64) (i32.const 1) (f64.const nan)))'
    assert value_of(await api.wat(source, "two")) == [1, "NaN"]


async def test_run_of_a_wasi_command(api: Api) -> None:
    """Without a function the main program runs, with arguments, variables and input; its output comes back."""
    # Copies its standard input to its standard output.
    source = """(module
      (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
      (memory (export "memory") 1)
      (func (export "_start")
        (i32.store (i32.const 0) (i32.const 100)) (i32.store (i32.const 4) (i32.const 50))
        (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
        (i32.store (i32.const 4) (i32.load (i32.const 8)))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"""
    answer = (await api.wat(source, stdin="h\u00e9llo")).json()
    assert (answer["stdout"], answer["value"]) == ("h\u00e9llo", None)


async def test_arguments_and_variables_of_a_command(api: Api) -> None:
    """The program's name, the arguments, the given variable and the two of the locale are counted by the guest."""
    source = """(module
      (import "wasi_snapshot_preview1" "args_sizes_get" (func $args (param i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "environ_sizes_get" (func $env (param i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
      (memory (export "memory") 1)
      (func (export "_start")
        (drop (call $args (i32.const 0) (i32.const 4))) (drop (call $env (i32.const 8) (i32.const 12)))
        (call $exit (i32.add (i32.mul (i32.const 10) (i32.load (i32.const 0))) (i32.load (i32.const 8))))))"""
    response = await api.wat(source, None, "one", "two", env={"A": "1"})
    assert check_problem(response, "guest-exit", 422)["code"] == 33


async def test_run_grants_what_it_says(api: Api) -> None:
    """Permissions of a run are grants: the holder of the token is the operator."""
    assert value_of(await api.wat(ENV_GET, "a", permissions={"env": ["CONSOLE_A"]})) == 1
    check_problem(await api.wat(ENV_GET, "b", permissions={"env": ["CONSOLE_A"]}), "permission-denied", 403)
    denied = {"env": True, "deny": {"env": ["CONSOLE_B"]}}
    check_problem(await api.wat(ENV_GET, "b", permissions=denied), "permission-denied", 403)


async def test_run_stores_nothing(api: Api) -> None:
    """What is only run is not among the modules."""
    answer = (await api.wat(wat_constant(77), "get")).json()
    check_problem(await api.get(f"/modules/{answer['id']}"), "not-found", 404)


async def test_warnings_are_in_the_answer(api: Api) -> None:
    """Diagnostics of a source that compiles are part of the answer."""
    answer = (await api.run(FIB, "fib", 1)).json()
    assert answer["diagnostics"] == []


async def test_many_sources_keep_few_modules(tmp_path: Path) -> None:
    """A server that runs many sources keeps a bounded number of them loaded, and frees the others."""
    async with running(make_app(tmp_path)) as api:
        shelf = api.app.console._control._shelf
        shelf._modules = 5
        for number in range(12):
            assert value_of(await api.wat(wat_constant(number), "get")) == number
        assert len(shelf) == 5
        assert len(api.app.wasm._loaded) == 5
        assert MAX_MODULES > 5
    assert len(shelf) == 0


# modules -----------------------------------------------------------------------------------------------------


async def test_a_stored_module_answers_with_all_it_is(api: Api) -> None:
    """Storing a module answers 201 with the form that the module has everywhere."""
    limits = {"time": "200ms", "memory": "16MiB"}
    response = await api.store(FIB, "fib", language="typescript", limits=limits, permissions={"env": ["TZ"]})
    assert response.status_code == 201
    assert response.headers["location"] == f"{V1}/modules/fib"
    answer = response.json()
    assert answer["name"] == "fib"
    assert answer["language"] == "typescript"
    assert answer["exports"] == [
        {"name": "fib", "params": [{"name": "n", "type": "i32"}], "results": ["i32"]}
    ]
    assert answer["permissions"] == {"env": ["TZ"]}
    assert (answer["limits"]["time"], answer["limits"]["memory"]) == (0.2, 16 << 20)
    assert answer["size"] > 100
    assert {"id", "imports", "cached", "compile_ms", "created", "diagnostics"} < answer.keys()

    assert answer["provenance"]["compiler"].startswith("typescript 0.")
    assert answer["provenance"]["optimize"] == "none"
    shown = (await api.get("/modules/fib")).json()
    assert shown["provenance"] == answer["provenance"]
    for key in ("id", "name", "language", "size", "exports", "imports", "permissions", "limits", "created"):
        assert shown[key] == answer[key], key
    assert shown["cached"] is True
    assert (await api.get(f"/modules/{answer['id']}")).json() == shown


async def test_a_stored_module_is_called_by_name_and_digest(api: Api) -> None:
    """Both names of a module call it."""
    digest = (await api.store(ADD, "add")).json()["id"]
    assert value_of(await api.call("add", "add", 2, 3)) == 5
    assert value_of(await api.call(digest, "add", 2, 3)) == 5
    assert value_of(await api.call(quote(digest, safe=""), "add", 2, 3)) == 5


async def test_a_module_without_a_name(api: Api) -> None:
    """A module that was given no name is found by its digest, and has the name null."""
    answer = (await api.store(wat_constant(5))).json()
    assert answer["name"] is None
    assert value_of(await api.call(answer["id"], "get")) == 5
    assert (await api.get(f"/modules/{answer['id']}")).json()["name"] is None


async def test_a_name_is_replaced_at_once(api: Api) -> None:
    """The same name stored again means the new module, and the old one is gone."""
    first = (await api.store(wat_constant(1), "changing")).json()["id"]
    second = (await api.store(wat_constant(2), "changing")).json()["id"]
    assert first != second
    assert value_of(await api.call("changing", "get")) == 2
    check_problem(await api.get(f"/modules/{first}"), "not-found", 404)


async def test_storing_compiled_modules(api: Api) -> None:
    """The bytes of a module are stored under the name, permissions and limits in the query."""
    response = await api.client.post(
        f"{V1}/modules",
        params={"name": "raw", "limits": '{"time": 0.5}', "permissions": '{"env": ["TZ"]}'},
        content=assemble(ADD),
        headers=WASM,
    )
    assert response.status_code == 201, response.text
    answer = response.json()
    assert (answer["name"], answer["language"]) == ("raw", "wasm")
    assert (answer["limits"]["time"], answer["permissions"]) == (0.5, {"env": ["TZ"]})
    assert value_of(await api.call("raw", "add", 20, 22)) == 42


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"nmae": "x"}, "nmae"),
        ({"name": "a b"}, "name: 'a b' is not a name"),
        ({"limits": "{"}, "limits: the query parameter is not JSON"),
        ({"limits": "[]"}, "limits: the query parameter must be a JSON object"),
        ({"permissions": '{"nett": true}'}, "nett"),
        ([("name", "a"), ("name", "b")], "name: given more than once"),
    ],
)
async def test_bad_queries(api: Api, query: Any, named: str) -> None:
    """A query parameter that is unknown, repeated or malformed is named."""
    response = await api.client.post(f"{V1}/modules", params=query, content=assemble(ADD), headers=WASM)
    assert named in check_problem(response, "bad-request", 400)["detail"]


@pytest.mark.parametrize("name", ["", ".hidden", "-x", "a/b", "a b", "sha256:0", "x" * 65, "\u00e9", "a\n"])
async def test_bad_names(api: Api, name: str) -> None:
    """A name is a short word that needs no escaping anywhere."""
    assert "is not a name" in check_problem(await api.store(ADD, name), "bad-request", 400)["detail"]


@pytest.mark.parametrize("name", ["a", "A.b_c-9", "0", "x" * 64])
async def test_good_names(api: Api, name: str) -> None:
    """Letters, digits, dots, underscores and dashes make a name."""
    assert (await api.store(ADD, name)).status_code == 201
    assert (await api.get(f"/modules/{name}")).json()["name"] == name


@pytest.mark.parametrize("ref", ["nobody", "sha256:" + "0" * 64, "sha256:short", "SHA256:" + "0" * 64, "%20"])
async def test_unknown_modules(api: Api, ref: str) -> None:
    """A module that is not there is 404, however it is asked for."""
    check_problem(await api.get(f"/modules/{ref}"), "not-found", 404)
    check_problem(await api.delete(f"/modules/{ref}"), "not-found", 404)
    check_problem(await api.call(ref, "f"), "not-found", 404)


async def test_a_module_that_fails_to_load_is_not_stored(api: Api) -> None:
    """What cannot be linked is refused and leaves nothing behind."""
    check_problem(await api.store('(module (import "no" "where" (func)))', "broken"), "link-error", 422)
    check_problem(await api.get("/modules/broken"), "not-found", 404)


async def test_deleting_a_name(api: Api) -> None:
    """A deleted name is gone; the same module stays under its other names."""
    await api.store(wat_constant(100), "one")
    digest = (await api.store(wat_constant(100), "other")).json()["id"]
    assert (await api.delete("/modules/one")).status_code == 204
    check_problem(await api.call("one", "get"), "not-found", 404)
    assert value_of(await api.call("other", "get")) == 100
    assert value_of(await api.call(digest, "get")) == 100


async def test_deleting_a_digest(api: Api) -> None:
    """Deleting by digest removes a module under each of its names, and its file."""
    await api.store(wat_constant(200), "p")
    await api.store(wat_constant(200))
    digest = (await api.store(wat_constant(200), "q", limits={"time": 0.1})).json()["id"]
    file = api.app.config.state / "modules" / f"{digest.removeprefix('sha256:')}.wasm"
    assert file.exists()
    assert (await api.delete(f"/modules/{digest}")).status_code == 204
    for ref in ("p", "q", digest):
        check_problem(await api.get(f"/modules/{ref}"), "not-found", 404)
    assert not file.exists()


async def test_a_digest_with_different_grants(api: Api) -> None:
    """A digest does not say which of two grants is meant, so it is refused; the names work."""
    digest = (await api.store(ENV_GET, "strict")).json()["id"]
    await api.store(ENV_GET, "loose", permissions={"env": ["CONSOLE_A"]})
    document = check_problem(await api.call(digest, "a"), "conflict", 409)
    assert "strict" in document["detail"]
    assert "loose" in document["detail"]
    check_problem(await api.call("strict", "a"), "permission-denied", 403)
    assert value_of(await api.call("loose", "a")) == 1


async def test_calls_can_only_narrow(api: Api) -> None:
    """A call's permissions and limits are met with those of the module, never added to them."""
    await api.store(ENV_GET, "narrow", permissions={"env": ["CONSOLE_A"]}, limits={"host_calls": 3})
    assert value_of(await api.call("narrow", "a", permissions={"env": True})) == 1
    check_problem(await api.call("narrow", "b", permissions={"env": True}), "permission-denied", 403)
    check_problem(await api.call("narrow", "a", permissions={}), "permission-denied", 403)
    source = '(module (func (export "spin") (loop $l (br $l))))'
    await api.store(source, "spin", limits={"time": "100ms"})
    document = check_problem(await api.call("spin", "spin", limits={"time": "5s"}), "deadline-exceeded", 422)
    assert document["limit"] == 0.1
    document = check_problem(
        await api.call("spin", "spin", limits={"time": "20ms"}), "deadline-exceeded", 422
    )
    assert document["limit"] == 0.02


async def test_limits_of_a_call_are_checked(api: Api) -> None:
    """A limit that makes no sense is refused before anything runs."""
    await api.store(ADD, "limited")
    for limits in ({"stack": 1}, {"time": -1}, {"memory": "lots"}, {"x": 1}, {"time": 1e6}):
        check_problem(await api.call("limited", "add", 1, 2, limits=limits), "bad-request", 400)


async def test_state_does_not_survive_a_call(api: Api) -> None:
    """Every call runs in a fresh instance."""
    source = """(module (global $n (mut i32) (i32.const 0)) (func (export "next") (result i32)
        (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n)))"""
    await api.store(source, "counter")
    assert [value_of(await api.call("counter", "next")) for _ in range(3)] == [1, 1, 1]


async def test_many_calls_at_once(api: Api) -> None:
    """Calls of one module run side by side, and each gets its own answer."""
    await api.store(ADD, "parallel")
    answers = await asyncio.gather(*(api.call("parallel", "add", n, n) for n in range(200)))
    assert [value_of(answer) for answer in answers] == [2 * n for n in range(200)]


# list --------------------------------------------------------------------------------------------------------


async def test_listing_in_pages(tmp_path: Path) -> None:
    """A list comes in pages in the order of the names; the cursor of the last one is null."""
    async with running(make_app(tmp_path)) as api:
        assert (await api.get("/modules")).json() == {"modules": [], "cursor": None}
        for number in (3, 1, 4, 0, 2):
            await api.store(wat_constant(number), f"m{number}")
        names, cursor, pages = [], "", 0
        while cursor is not None:
            query = f"?limit=2&cursor={quote(cursor)}" if cursor else "?limit=2"
            page = (await api.get(f"/modules{query}")).json()
            names += [module["name"] for module in page["modules"]]
            cursor, pages = page["cursor"], pages + 1
        assert (names, pages) == (["m0", "m1", "m2", "m3", "m4"], 3)
        whole = (await api.get("/modules?limit=5")).json()
        assert (len(whole["modules"]), whole["cursor"]) == (5, None)
        assert whole["modules"][0]["exports"] == [{"name": "get", "params": [], "results": ["i32"]}]


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=201", "limit=x", "limit=", "limit=\u0661", "cursor=!", "page=2", "limit=1&limit=2"],
)
async def test_bad_pages(api: Api, query: str) -> None:
    """A page that cannot be is refused."""
    check_problem(await api.get(f"/modules?{query}"), "bad-request", 400)


async def test_a_component(api: Api) -> None:
    """A component is stored, described by its WIT types, and called."""
    source = """(component
      (core module $m (func (export "add") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add))
      (core instance $i (instantiate $m))
      (func (export "add") (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $i "add"))))"""
    stored = await api.post("/modules", {"language": "wat", "source": source, "name": "component"})
    assert stored.status_code == 201, stored.text
    [export] = stored.json()["exports"]
    assert (export["name"], export["results"]) == ("add", ["u32"])
    answer = await api.post("/modules/component/call", {"function": "add", "args": [2, 40]})
    assert answer.json()["value"] == 42
