"""The demo application as visitors use it: in process, and once as `make run` serves it."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import msgspec
import pytest
import pytest_asyncio
from examples.demo.samples import SAMPLES, TITLES, Sample

from echelon.http.loading import load_app
from echelon.http.testing import LiveServer, TestClient
from echelon.kv import U64

pytestmark = pytest.mark.asyncio(loop_scope="module")

MAIN = Path(__file__).resolve().parents[1] / "examples" / "demo" / "main.py"
FIB = "export function fib(n: i32): i32 { return n < 2 ? n : fib(n - 1) + fib(n - 2) }"
FIB_EXPORT = {
    "name": "fib",
    "params": [{"name": "n", "type": "i32"}],
    "results": ["i32"],
}
SPIN = '(module (func (export "spin") (loop $l (br $l))))'
TOOLCHAINS = {
    "c": "c_home", "cpp": "c_home", "zig": "c_home", "go": "go_home", "cpython": "cpython_home", "rust": "rust_home",
}  # fmt: skip
"""What has to be there for the samples of a language, besides what the demo itself needs."""
HOSTILE = "\"><script>alert(1)</script>'&lt;"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def demo(home: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TestClient]:
    """The demo, running on a state of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ECHELON_HOME", str(home))
        patch.setenv("ECHELON_STATE", str(tmp_path_factory.mktemp("state")))
        patch.setenv("ECHELON_TELEMETRY_LOGS", "none")
        patch.syspath_prepend(str(MAIN.parents[1]))
        app = load_app(str(MAIN))
        async with TestClient(app) as client:
            yield client
        for name in [name for name in sys.modules if name == "demo" or name.startswith("demo.")]:
            del sys.modules[name]


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def no_runs(demo: TestClient) -> None:
    """Each test begins with an empty list."""
    await demo.delete("/api/runs")


def part(name: str) -> ModuleType:
    """A module of the running demo."""
    return sys.modules[f"demo.{name}"]


async def play(demo: TestClient, source: str, function: str, *args: Any, language: str = "typescript") -> Any:
    body = {"language": language, "source": source, "function": function, "args": list(args)}
    return await demo.post("/playground", json=body)


async def listed(demo: TestClient) -> list[dict[str, Any]]:
    runs: list[dict[str, Any]] = (await demo.get("/api/runs")).json()["runs"]
    return runs


# The playground ----------------------------------------------------------------------------------------------


async def test_a_program_is_compiled_and_called(demo: TestClient) -> None:
    """What a visitor typed runs; value, cost and signature come back."""
    answer = (await play(demo, FIB, "fib", 20)).json()
    assert (answer["value"], answer["text"]) == (6765, "6765")
    assert answer["exports"] == [FIB_EXPORT]
    assert answer["cost"]["wall_ms"] > 0
    assert (answer["run"]["function"], answer["run"]["args"], answer["run"]["ok"]) == ("fib", "20", True)


async def test_large_integers_arrive_whole(demo: TestClient) -> None:
    """A browser rounds what JSON.parse gives it, so the value comes as text too."""
    source = "export function most(): u64 { return u64.MAX_VALUE }"
    assert (await play(demo, source, "most")).json()["text"] == "18446744073709551615"


async def test_a_mistake_is_shown_at_its_line(demo: TestClient) -> None:
    """A source that does not compile gives line and column, and is remembered as a failure."""
    response = await play(demo, "export function f(): i32 {\n  return nope\n}", "f")
    assert response.status_code == 422
    document = response.json()
    assert document["type"] == "urn:echelon:compile-error"
    assert (document["diagnostics"][0]["line"], document["diagnostics"][0]["column"]) == (2, 10)
    (run,) = await listed(demo)
    assert (run["ok"], "nope" in run["result"]) == (False, True)


async def test_a_loop_without_end_is_cut(demo: TestClient) -> None:
    """A visitor cannot keep the server busy for longer than the playground's limit."""
    document = (await play(demo, SPIN, "spin", language="wat")).json()
    assert (document["type"], document["limit"]) == ("urn:echelon:deadline-exceeded", 0.5)


async def test_a_visitor_has_no_permission(demo: TestClient) -> None:
    """A program that asks for the environment is denied."""
    source = """(module (import "echelon" "env_get" (func $get (param i32 i32) (result i32)))
        (memory (export "memory") 1) (data (i32.const 0) "PATH")
        (func (export "path") (result i32) (call $get (i32.const 0) (i32.const 4))))"""
    response = await play(demo, source, "path", language="wat")
    assert (response.status_code, response.json()["type"]) == (403, "urn:echelon:permission-denied")


async def test_switches_grant(demo: TestClient) -> None:
    """With the switches on, the sample that was denied runs, and its keys are the playground's."""
    (sample,) = [s for s in SAMPLES if s.function == "visit"]
    body = {"language": "typescript", "source": sample.source, "function": "visit", "args": ["Ada"]}
    denied = await demo.post("/playground", json={**body, "permissions": ["kv"]})
    assert denied.status_code == 403
    assert "--allow-env=PLAYGROUND_PLACE" in denied.json()["detail"]
    answer = (await demo.post("/playground", json={**body, "permissions": ["env", "kv"]})).json()
    assert answer["value"].startswith("Ada was here 1 times, at the demo")
    assert (await part("main").app.kv.get(("playground", "Ada"))).value == U64(1)
    other = sample.source.replace('"playground"', '"demo"')
    body["source"], body["permissions"] = other, ["env", "kv"]
    assert (await demo.post("/playground", json=body)).status_code == 403


async def test_a_program_is_compiled_alone(demo: TestClient) -> None:
    """A program can be compiled without a call; its exports are what the page makes a form of."""
    answer = (await demo.post("/playground/compile", json={"language": "typescript", "source": FIB})).json()
    assert answer["exports"] == [FIB_EXPORT]
    bad = await demo.post("/playground/compile", json={"language": "typescript", "source": "export function"})
    assert (bad.status_code, bad.json()["diagnostics"][0]["line"]) == (422, 1)
    unknown = await demo.post("/playground/compile", json={"language": "cobol", "source": ""})
    assert unknown.status_code == 400


async def test_languages_are_offered(demo: TestClient) -> None:
    """Every language that there is can be chosen; one whose compiler is missing says what to type."""
    offers = {offer["name"]: offer for offer in (await demo.get("/api/languages")).json()}
    assert {language.name for language in await part("main").app.generator.languages()} == set(offers)
    assert offers["typescript"]["found"]
    assert all(offer["found"] == (offer["install"] == "") for offer in offers.values())


async def test_every_language_has_a_sample(demo: TestClient) -> None:
    """Whichever language is chosen, there is a program to begin with."""
    offers = (await demo.get("/api/languages")).json()
    assert [offer["name"] for offer in offers if not offer["samples"]] == []
    assert {offer["name"] for offer in offers} <= set(TITLES)


@pytest.fixture
def compiler(sample: Sample, request: pytest.FixtureRequest) -> None:
    """What the sample's language needs."""
    if sample.language in TOOLCHAINS:
        request.getfixturevalue(TOOLCHAINS[sample.language])


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: f"{s.language} {s.title}")
@pytest.mark.timeout(300)
async def test_samples_work(demo: TestClient, compiler: None, sample: Sample) -> None:
    """Each program that the page offers does what its title says: it runs, or shows the error it is for."""
    body = {
        "language": sample.language,
        "source": sample.source,
        "function": sample.function,
        "args": msgspec.json.decode(f"[{sample.args}]"),
        "permissions": ["env", "kv"],
    }
    response = await demo.post("/playground", json=body)
    failing = {
        "A type error": "urn:echelon:compile-error",
        "A loop without end": "urn:echelon:deadline-exceeded",
    }
    assert response.json().get("type") == failing.get(sample.title), response.text


async def test_a_visitor_cannot_ask_for_more(demo: TestClient) -> None:
    """The playground takes neither other permissions than its switches nor limits."""
    for extra in ({"permissions": {"env": True}}, {"permissions": ["net"]}, {"limits": {"time": 60}}):
        body = {"language": "typescript", "source": FIB, "function": "fib", "args": [1], **extra}
        assert (await demo.post("/playground", json=body)).status_code == 422
    assert await listed(demo) == []


@pytest.mark.parametrize(
    "change",
    [
        {"language": "x" * 101},
        {"permissions": ["env"] * 4},
        {"source": "x" * 32_769},
        {"function": "f" * 101},
        {"args": [0] * 17},
        {"args": {}},
    ],
)
async def test_the_form_has_limits(demo: TestClient, change: dict[str, Any]) -> None:
    """What the page would not send is refused."""
    body = {"language": "typescript", "source": FIB, "function": "fib", "args": [1], **change}
    assert (await demo.post("/playground", json=body)).status_code == 422


async def test_a_large_body_is_not_read(demo: TestClient) -> None:
    """A body far above what the page sends is refused by its size."""
    assert (await demo.post("/playground", json={"source": "x" * 300_000})).status_code == 413


async def test_bad_arguments_are_explained(demo: TestClient) -> None:
    """A wrong argument is named, and so are a missing and an unknown function."""
    assert "argument 1 (n: i32)" in (await play(demo, FIB, "fib", "x")).json()["detail"]
    assert "it exports fib" in (await play(demo, FIB, "fob", 1)).json()["detail"]
    assert "the module exports fib" in (await play(demo, FIB, "")).json()["detail"]


async def test_a_full_playground_says_so(demo: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above the number of runs at once, a visitor is told to come back; nothing is remembered of it."""
    monkeypatch.setattr(part("playground"), "AT_ONCE", 2)
    answers = await asyncio.gather(*(play(demo, SPIN, "spin", language="wat") for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [422, 422, 503, 503, 503]
    busy = next(answer for answer in answers if answer.status_code == 503)
    assert int(busy.headers["retry-after"]) >= 1
    assert len(await listed(demo)) == 2
    assert part("main").playground._running == 0


async def test_modules_are_let_go(demo: TestClient) -> None:
    """A playground that runs many programs keeps none of them loaded."""
    before = len(part("main").app.wasm._loaded)
    for number in range(5):
        source = f'(module (func (export "get") (result i32) (i32.const {number})))'
        assert (await play(demo, source, "get", language="wat")).json()["value"] == number
    assert len(part("main").app.wasm._loaded) == before


# The list of runs --------------------------------------------------------------------------------------------


async def test_runs_are_listed_newest_first(demo: TestClient) -> None:
    """Every run is on the page and in the JSON, the newest first."""
    for number in (1, 2, 3):
        await play(demo, FIB, "fib", number)
    assert [run["args"] for run in await listed(demo)] == ["3", "2", "1"]
    page = (await demo.get("/")).text
    assert page.index("fib(3)") < page.index("fib(2)") < page.index("fib(1)")


async def test_runs_come_in_pages(demo: TestClient) -> None:
    """A cursor goes on where a page ended."""
    for number in range(5):
        await play(demo, FIB, "fib", number)
    first = (await demo.get("/api/runs?limit=3")).json()
    rest = (await demo.get("/api/runs", params={"limit": 3, "cursor": first["cursor"]})).json()
    assert [run["args"] for run in first["runs"] + rest["runs"]] == ["4", "3", "2", "1", "0"]
    assert rest["cursor"] is None
    assert (await demo.get("/api/runs?cursor=!")).status_code == 400
    assert (await demo.get("/api/runs?limit=0")).status_code == 422


async def test_runs_can_be_deleted(demo: TestClient) -> None:
    """One run goes, then all of them; deleting again is 404."""
    for number in (1, 2, 3):
        await play(demo, FIB, "fib", number)
    middle = (await listed(demo))[1]["id"]
    assert (await demo.delete(f"/api/runs/{middle}")).status_code == 204
    assert (await demo.delete(f"/api/runs/{middle}")).status_code == 404
    assert [run["args"] for run in await listed(demo)] == ["3", "1"]
    assert (await demo.delete("/api/runs")).json() == {"deleted": 2}
    assert await listed(demo) == []


async def test_the_number_of_runs_is_bounded(demo: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the last runs are kept, however many are recorded at once."""
    history, kv = part("history"), part("main").app.kv
    monkeypatch.setattr(history, "KEPT", 10)
    run = history.Run(0, datetime.now(UTC), "wat", "", "f", "", True, "1", 0.0)
    stored = await asyncio.gather(*(history.record(kv, run) for _ in range(25)))
    numbers = sorted(run.id for run in stored)
    assert len(set(numbers)) == 25
    assert [run["id"] for run in await listed(demo)] == numbers[:-11:-1]


async def test_long_texts_are_cut(demo: TestClient) -> None:
    """What is remembered of a run has a size, whatever the run gave."""
    source = f"// {'x' * 9000}\nexport function f(s: string): string {{ return s + s }}"
    await play(demo, source, "f", "y" * 2000)
    (run,) = await listed(demo)
    assert (len(run["source"]), len(run["args"]), len(run["result"])) == (4000, 200, 500)


# What a visitor sees -----------------------------------------------------------------------------------------


class Tags(HTMLParser):
    """The tags of a page, and the attributes of each."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


async def test_what_visitors_type_stays_text(demo: TestClient) -> None:
    """Markup in a source, a function, an argument or a result is shown and not used."""
    await play(demo, HOSTILE, HOSTILE, HOSTILE, language="wat")
    source = f"export function f(s: string): string {{ return s }} // {HOSTILE}"
    await play(demo, source, "f", HOSTILE)
    page = (await demo.get("/")).text
    scripts = [attributes for tag, attributes in Tags(page).found if tag == "script"]
    assert [(script.get("src") or "")[:8] for script in scripts] == ["/_views/"]
    assert "alert(1)" in page
    assert "<script>alert" not in page
    runs = [
        attributes["data-id"]
        for tag, attributes in Tags(page).found
        if tag == "li" and "data-id" in attributes
    ]
    assert len(runs) == 2


async def test_the_page_needs_nothing_from_elsewhere(demo: TestClient) -> None:
    """The policy allows the page's own files alone, and the page asks for no others and has no inline code."""
    response = await demo.get("/")
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'self'; script-src 'self' 'nonce-")
    assert "unsafe" not in policy.split("script-src", 1)[1].split(";", 1)[0]
    assert response.headers["x-content-type-options"] == "nosniff"
    linked = []
    for tag, attributes in Tags(response.text).found:
        assert tag != "style"
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href"):
            address = attributes.get(name) or "/"
            assert address[0] in "/#" or tag == "echelon-island", (tag, attributes)
            linked += [address] if address.startswith("/_views/") else []
    assert len(linked) >= 3
    for address in linked:
        file = await demo.get(address)
        assert (file.status_code, "immutable" in file.headers["cache-control"]) == (200, True)
        assert re.search(r"@import|url\(", file.text) is None


async def test_the_sources_write_text_only() -> None:
    """The page's components have none of the ways in which text becomes markup or code."""
    parts = sorted(MAIN.parent.joinpath("pages").rglob("*.ts*"))
    assert len(parts) > 5
    sinks = ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "Function(", "srcdoc")
    for part in parts:
        assert not [sink for sink in sinks if sink in part.read_text("utf-8")], part


# The ordinary routes -----------------------------------------------------------------------------------------


async def test_typed_parameters(demo: TestClient) -> None:
    """A path and a query arrive with their types, and bad ones are refused."""
    assert (await demo.get("/api/hello/Ada?times=2")).json() == {"greeting": "Hello, Ada!", "times": 2}
    assert (await demo.get("/api/hello/Ada?times=11")).status_code == 422


async def test_visits_are_counted(demo: TestClient) -> None:
    """Visits that come at once are all counted."""
    before = (await demo.get("/api/visits")).json()["visits"]
    await asyncio.gather(*(demo.post("/api/visits") for _ in range(20)))
    assert (await demo.get("/api/visits")).json() == {"visits": before + 20}


@pytest.mark.parametrize(
    ("title", "slug", "words"),
    [
        ("Hello, World!", "hello-world", 2),
        ("  A  b-C 9 ", "a-b-c-9", 3),
        ("", "", 0),
        ("\u00e9t\u00e9", "t", 1),
    ],
)
async def test_a_guest_behind_a_route(demo: TestClient, title: str, slug: str, words: int) -> None:
    """A declared module answers a route of the application."""
    assert (await demo.get("/api/slug", params={"title": title})).json() == {"slug": slug, "words": words}


async def test_only_the_pages_files_are_served(demo: TestClient) -> None:
    """Only the page's files are served."""
    for path in ("/_views/..%2fmain.py", "/_views/%2e%2e/main.py", "/_views/none.js", "/_views/", "/main.py"):
        assert (await demo.get(path)).status_code == 404


async def test_the_control_api_is_off_without_a_token(demo: TestClient) -> None:
    """The demo works without a token, and does not open the operator's interface."""
    assert (await demo.post("/_echelon/v1/run", json={})).status_code == 404
    assert (await demo.get("/_echelon/health")).status_code == 200


async def test_it_runs_as_it_is_served(home: Path, tmp_path: Path) -> None:
    """The real server with two workers serves the demo from any folder."""
    environment = {**os.environ, "ECHELON_HOME": str(home), "ECHELON_STATE": str(tmp_path / "state")}
    with LiveServer(str(MAIN), cwd=tmp_path, env=environment, workers=2) as server:
        async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
            body = {"language": "typescript", "source": FIB, "function": "fib", "args": [20]}
            assert (await client.post("/playground", json=body)).json()["value"] == 6765
            assert "fib(20)" in (await client.get("/")).text
            assert (await client.get("/_echelon/ready")).json() == {"status": "ready"}
    assert not (tmp_path / ".echelon").exists()
