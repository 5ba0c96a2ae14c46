"""Every example does what its docstring and the documentation say, and the documentation shows it as it is."""

from __future__ import annotations

import asyncio
import importlib.util
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from echelon import Application, Permissions, Runtime
from echelon.http.testing import LiveServer, TestClient
from echelon.plugin.compilers.c import compilers as c
from echelon.plugin.compilers.go.compiler import Go
from echelon.plugin.compilers.rust.compiler import Rust
from echelon.plugin.generator import Generator

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"
MOST_LINES = 60
FILES = sorted(path for path in EXAMPLES.glob("*.py")) + sorted((EXAMPLES / "guests").iterdir())
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
INCLUDED = re.compile(r"<!-- (examples/[\w./-]+) -->\n```\w+\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an example writes goes to the test's own directory, but for the shared toolchain."""
    monkeypatch.setenv("ECHELON_HOME", str(home))
    monkeypatch.setenv("ECHELON_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("ECHELON_TELEMETRY_LOGS", "none")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def load(name: str) -> Application:
    """Import an example under a name of its own and return its application."""
    spec = importlib.util.spec_from_file_location(f"example_{uuid.uuid4().hex}", EXAMPLES / f"{name}.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError(name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    app: Application = module.app
    return app


def run(*command: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=50, check=False)


async def test_hello() -> None:
    """The first application greets, counts in the store, and reads a typed query parameter."""
    async with TestClient(load("hello")) as client:
        assert (await client.get("/hello/Ada")).json() == {"greeting": "Hello, Ada!", "times": 1}
        shouted = await client.get("/hello/Ada?shout=true")
        assert shouted.json() == {"greeting": "HELLO, ADA!", "times": 2}
        assert (await client.get("/hello/Ada?shout=maybe")).status_code == 422


def test_hello_is_served() -> None:
    """The first application runs on the real server."""
    with LiveServer(str(EXAMPLES / "hello.py")) as server:
        assert httpx.get(f"{server.url}/hello/Ada").json()["greeting"] == "Hello, Ada!"


def test_a_script_calls_a_guest() -> None:
    """The runtime works without an application."""
    done = run(sys.executable, "examples/call_wasm.py")
    assert (done.returncode, done.stdout, done.stderr) == (0, "832040\n", "")


def test_the_command_line_calls_a_guest() -> None:
    """The guest of the README prints what the README says."""
    done = run(sys.executable, "-m", "echelon", "call", "examples/guests/fib.ts", "fib", "30")
    assert (done.returncode, done.stdout, done.stderr) == (0, "832040\n", "")


async def test_functions() -> None:
    """Typed Python of the application's own answers as the originals would."""
    async with TestClient(load("functions")) as client:
        assert (await client.get("/mandelbrot?x=-0.5&y=0.5")).json() == {"steps": 1000}
        assert (await client.get("/mandelbrot?x=1&y=1")).json() == {"steps": 2}
        drawn = (await client.get("/row?y=0.1&width=70")).text
        assert (len(drawn), drawn.count("@")) == (70, 38)


async def test_jobs() -> None:
    """A link is stored, checked by a queue handler, and dead ones lead nowhere from then on."""
    async with TestClient(load("jobs")) as client:
        good = (await client.post("/links", json={"url": "https://example.com/"})).json()["path"]
        dead = (await client.post("/links", json={"url": "nowhere"})).json()["path"]
        async with asyncio.timeout(10):
            while (await client.get(dead)).status_code != 404:  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(0.01)
        answer = await client.get(good)
        assert (answer.status_code, answer.headers["location"]) == (307, "https://example.com/")


def test_host_functions() -> None:
    """A guest asks Python functions of its host, one of which waits, and gets text and None back."""
    done = run(sys.executable, "examples/host_functions.py")
    assert (done.stdout, done.stderr) == ("Black tea, 450 cents\ngold is not sold here\n", "")


async def test_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """A customer's plug-in is installed and asked; what it may not know or do is refused."""
    monkeypatch.setenv("SHOP_CURRENCY", "EUR")
    discount = (EXAMPLES / "guests" / "discount.ts").read_text()
    query = "cents=1000&articles=tea&articles=milk&articles=jam"
    async with TestClient(load("plugins")) as client:
        assert (await client.get(f"/price/ada?{query}")).status_code == 404
        installed = await client.put("/plugins/ada", content=discount)
        assert installed.status_code == 200
        assert installed.json()["digest"].startswith("sha256:")
        answer = (await client.get(f"/price/ada?{query}")).json()
        assert (answer["cents"], answer["log"]) == (900, ["ten percent off tea and milk and jam"])
        assert answer["ms"] > 0
        assert (await client.get("/price/ada?cents=1000&articles=tea")).json()["cents"] == 1000

        wrong = await client.put("/plugins/bob", content="export function price(): i32 {\n  return 'x';\n}")
        assert wrong.status_code == 422
        assert wrong.json()["diagnostics"][0].startswith("plugin.ts:2:10: error:")
        other = await client.put("/plugins/bob", content="export function other(): void {}")
        assert "this one other()" in other.json()["detail"]

        curious = discount.replace("SHOP_CURRENCY", "HOME")
        assert (await client.put("/plugins/eve", content=curious)).status_code == 200
        denied = await client.get(f"/price/eve?{query}")
        assert denied.status_code == 502
        assert denied.json()["detail"] == 'env to "HOME" (grant it with --allow-env=HOME)'
        endless = discount.replace("return cents;", "while (true) {} return cents;")
        assert (await client.put("/plugins/mal", content=endless)).status_code == 200
        stopped = await client.get("/price/mal?cents=1&articles=tea")
        assert stopped.json()["detail"] == "the guest ran longer than its limit of 50 ms"


async def test_http_guest() -> None:
    """A guest answers requests below its mount."""
    async with TestClient(load("http_guest")) as client:
        counted = await client.post("/words?sort", content="three little words")
        assert counted.text == "3: little three words\n"
        assert counted.headers["content-type"] == "text/plain; charset=utf-8"
        refused = await client.get("/words")
        assert (refused.status_code, refused.headers["allow"]) == (405, "POST")


async def test_c_without_a_kit(clang: Callable[..., bytes]) -> None:
    """A guest in C takes lists of texts and returns several values, by the plain memory of the ABI."""
    source = (EXAMPLES / "guests" / "longest.c").read_text()
    async with Runtime() as wasm:
        guest = await wasm.load(clang({"longest.c": source}, "-O2"))
        assert await guest.longest(["tea", "milk", "jam"]) == "milk"
        assert await guest.summary([1, 2.5]) == (1.75, 2.5, 2)


async def test_kv_counter() -> None:
    """Visits are counted, listed and renamed, the last only while nobody else counts."""
    async with TestClient(load("kv_counter")) as client:
        for _ in range(2):
            last = await client.get("/visit/home")
        assert last.json() == {"visits": 2, "visitors": 1}
        await client.get("/visit/about")
        assert (await client.get("/top?limit=5")).json() == [["home", 2], ["about", 1]]
        assert (await client.post("/rename/home/start")).json() == {"renamed": True}
        assert (await client.get("/top")).json() == [["start", 2], ["about", 1]]
        taken = await client.post("/rename/about/start")
        assert (taken.status_code, taken.json()) == (409, {"renamed": False})
        assert (await client.post("/rename/nothing/new")).status_code == 404


def test_builder() -> None:
    """A module that a program put together computes."""
    result = run(sys.executable, str(EXAMPLES / "builder.py"))
    assert (result.returncode, result.stdout) == (0, "[10, 55, 385, 3025]\n"), result.stderr


async def test_compiler() -> None:
    """A user's own language compiles once, computes, and reports mistakes at their place."""
    app = load("compiler")
    async with TestClient(app) as client:

        async def value(text: str, *values: float) -> Any:
            answer = await client.get("/formula", params={"text": text, "values": list(values)})
            return answer.json() if answer.status_code == 200 else answer.json()["detail"]

        assert await value("a * a + b", 3, 4) == 13
        assert await value("price * (1 + rate) / 2", 100, 0.5) == 75
        again = await app.generator.compile("a * a + b", "formula", name="module")
        assert again.cached
        assert await value("a +* b", 1, 2) == "module.formula:1:4: error: invalid syntax"
        assert await value("a ** b", 1, 2) == "module.formula:1:1: error: only + - * /, numbers and names"
        assert "at most 1000 characters" in await value("+".join("a" * 600), 1)
        assert await value("a", 1, 2) == "value(f64) -> f64 takes 1 argument, 2 given"


@pytest.mark.timeout(300)
async def test_visits(c_home: Path, tmp_path: Path) -> None:
    """The guest in C reads the request, changes the store, and responds."""
    async with Generator(c.make(c_home), tmp_path / "store") as generator:
        made = await generator.compile(EXAMPLES / "guests" / "visits.c")
    app = Application()
    app.mount("/visits", app.wasm.module(made.wasm, permissions=Permissions(kv=["visits"])))
    async with TestClient(app) as client:
        assert [(await client.get(f"/visits/{path}")).text for path in "aab"] == ["1", "2", "1"]


@pytest.mark.timeout(300)
async def test_guestbook(rust_home: Path, tmp_path: Path) -> None:
    """The guest in Rust signs under numbers of their own, shows the last first, and refuses the rest."""
    async with Generator([Rust(rust_home)], tmp_path / "store") as generator:
        made = await generator.compile(EXAMPLES / "guests" / "guestbook.rs")
    app = Application()
    app.mount("/book", app.wasm.module(made.wasm, permissions=Permissions(kv=["guests", "last"])))
    async with TestClient(app) as client:
        signed = await asyncio.gather(*(client.post("/book/", content=f"Zoë {n} 🦊") for n in range(3)))
        assert sorted(answer.text for answer in signed) == [f"you are guest {n}" for n in (1, 2, 3)]
        assert {answer.status_code for answer in signed} == {201}
        shown = await client.get("/book/")
        assert shown.headers["content-type"] == "application/json"
        assert sorted(shown.json()) == [f"Zoë {n} 🦊" for n in range(3)]
        assert (await client.post("/book/", content="")).status_code == 422
        refused = await client.put("/book/", content="x")
        assert (refused.status_code, refused.headers["allow"]) == (405, "GET, POST")


@pytest.mark.timeout(300)
async def test_board(c_home: Path, tmp_path: Path) -> None:
    """The guest in C++ numbers messages without losing any, and shows the newest first."""
    async with Generator(c.make(c_home), tmp_path / "store") as generator:
        made = await generator.compile(EXAMPLES / "guests" / "board.cpp")
    app = Application()
    app.mount("/board", app.wasm.module(made.wasm, permissions=Permissions(kv=["board"])))
    async with TestClient(app) as client:
        assert (await client.get("/board")).text == ""
        posts = await asyncio.gather(*(client.post("/board", content=f"größer {n}") for n in range(5)))
        assert sorted(post.text for post in posts) == [f"{n}\n" for n in range(1, 6)]
        shown = (await client.get("/board")).text.splitlines()
        assert [line.partition(":")[0] for line in shown] == ["5", "4", "3", "2", "1"]
        assert {line.partition(": ")[2] for line in shown} == {f"größer {n}" for n in range(5)}
        refused = await client.delete("/board")
        assert (refused.status_code, refused.headers["allow"]) == (405, "GET, POST")


@pytest.mark.timeout(300)
async def test_poll(c_home: Path, tmp_path: Path) -> None:
    """The guest in Zig counts votes that come at once, and shows them as JSON."""
    async with Generator(c.make(c_home), tmp_path / "store") as generator:
        made = await generator.compile(EXAMPLES / "guests" / "poll.zig")
    app = Application()
    app.mount("/poll", app.wasm.module(made.wasm, permissions=Permissions(kv=["poll"])))
    async with TestClient(app) as client:
        assert (await client.get("/poll")).json() == []
        answers = await asyncio.gather(
            *(client.post(f"/poll/{choice}") for choice in ["tea"] * 5 + ["größer"])
        )
        assert {answer.status_code for answer in answers} == {201}
        assert answers[-1].text == "you voted for größer\n"
        assert (await client.get("/poll")).json() == [
            {"choice": "größer", "votes": 1},
            {"choice": "tea", "votes": 5},
        ]
        refused = await client.delete("/poll/tea")
        assert (refused.status_code, refused.headers["allow"]) == (405, "GET, POST")


@pytest.mark.timeout(300)
async def test_queue(go_home: Path, tmp_path: Path) -> None:
    """The guest in Go gives each job to one of those who ask at once, the oldest first."""
    async with Generator([Go(go_home)], tmp_path / "store") as generator:
        made = await generator.compile(EXAMPLES / "guests" / "queue.go")
    app = Application()
    app.mount("/jobs", app.wasm.module(made.wasm, permissions=Permissions(kv=["queue"])))
    async with TestClient(app) as client:
        for number, name in enumerate(("bake", "größer", "clean"), 1):
            added = await client.post("/jobs", params={"job": name})
            assert (added.status_code, added.json()) == (201, {"number": number, "text": name})
        assert (await client.get("/jobs")).json() == 3
        assert (await client.delete("/jobs")).json() == {"number": 1, "text": "bake"}
        taken = await asyncio.gather(*(client.delete("/jobs") for _ in range(3)))
        assert sorted(answer.status_code for answer in taken) == [200, 200, 404]
        assert {answer.json()["number"] for answer in taken if answer.status_code == 200} == {2, 3}
        assert (await client.post("/jobs?job=")).status_code == 400
        refused = await client.put("/jobs")
        assert (refused.status_code, refused.headers["allow"]) == (405, "DELETE, GET, POST")


async def test_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guest in Python numbers links that come at once, each once."""
    monkeypatch.chdir(tmp_path)
    app = Application()
    permissions = Permissions(kv=["links", "followed"], env=["LINK_BASE"])
    app.mount("/to", app.wasm.module(EXAMPLES / "guests" / "links.py", permissions=permissions))
    async with TestClient(app) as client:
        urls = [f"https://example.com/{name}" for name in "abcde"]
        answers = await asyncio.gather(*(client.post("/to/", content=url) for url in urls))
        assert sorted(answer.text for answer in answers) == [f"/{number}\n" for number in range(1, 6)]
        assert sorted(link["url"] for link in (await client.get("/to/")).json()) == urls


async def test_score(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guest in TypeScript keeps the best of scores that come at once, and refuses what is none."""
    monkeypatch.setenv("ECHELON_HOME", str(home))
    app = Application()
    guest = EXAMPLES / "guests" / "score.ts"
    app.mount("/scores", app.wasm.module(guest, permissions=Permissions(kv=["scores"])))
    async with TestClient(app) as client:
        assert (await client.get("/scores/ada")).status_code == 404
        await asyncio.gather(*(client.post("/scores/ada", content=str(n)) for n in (7, 42, 12)))
        assert (await client.get("/scores/ada")).text == "42\n"
        assert (await client.post("/scores/ada", content="many")).status_code == 422


async def test_hits() -> None:
    """The guest in text form counts every request once, also those that come at once, up to several digits."""
    app = Application()
    app.mount(
        "/hits", app.wasm.module(EXAMPLES / "guests" / "hits.wat", permissions=Permissions(kv=["hits"]))
    )
    async with TestClient(app) as client:
        first = await client.get("/hits/")
        assert (first.status_code, first.text, first.headers["content-type"]) == (200, "1", "text/plain")
        await asyncio.gather(*(client.post("/hits/any", content=b"x" * n) for n in range(10)))
        assert (await client.get("/hits/")).text == "12"
        assert (await client.post("/hits/", content=b"x" * 70_000)).status_code >= 500


async def test_basket(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guest in JavaScript loses nothing of what is put into a basket at once."""
    monkeypatch.setenv("ECHELON_HOME", str(home))
    app = Application()
    guest = EXAMPLES / "guests" / "basket.js"
    app.mount("/baskets", app.wasm.module(guest, permissions=Permissions(kv=["baskets"])))
    async with TestClient(app) as client:
        assert (await client.get("/baskets/ada")).json() == []
        items = [{"article": f"größe {n}", "count": n} for n in range(1, 5)]
        await asyncio.gather(*(client.post("/baskets/ada", json=item) for item in items))
        found = (await client.get("/baskets/ada")).json()
        assert sorted(found, key=lambda item: int(item["count"])) == items
        assert (await client.post("/baskets/ada", json={"article": 1})).status_code == 422
        assert (await client.post("/baskets/ada", content=b"{")).status_code == 422
        assert (await client.get("/baskets/bob")).json() == []


@pytest.mark.timeout(300)
async def test_inbox(cpython_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The script in Python reads letters with the standard library, and numbers those that come at once."""
    monkeypatch.setenv("ECHELON_HOME", str(cpython_home))
    app = Application()
    guest, permissions = EXAMPLES / "guests" / "inbox.py", Permissions(kv=["letters", "last"])
    app.mount("/inbox", app.wasm.module(guest, language="cpython", permissions=permissions))
    async with TestClient(app) as client:
        letters = [f"Subject: No. {n}\n\none two three\n" for n in range(3)]
        answers = await asyncio.gather(*(client.post("/inbox/", content=letter) for letter in letters))
        assert sorted(answer.text for answer in answers) == ["letter 1\n", "letter 2\n", "letter 3\n"]
        kept = (await client.get("/inbox/")).json()
        assert sorted(letter["subject"] for letter in kept) == ["No. 0", "No. 1", "No. 2"]
        assert {letter["words"] for letter in kept} == {3}
        assert (await client.post("/inbox/", content="no head")).status_code == 422


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_examples_are_short(path: Path) -> None:
    """An example can be read at a glance."""
    assert len(path.read_text().splitlines()) <= MOST_LINES


def test_every_example_is_run_here() -> None:
    """No example goes untested."""
    source = Path(__file__).read_text()
    for path in FILES:
        quoted = f'"{path.stem}"' in source or f"{path.name}" in source
        mounted = any(path.name in other.read_text() for other in EXAMPLES.glob("*.py"))
        assert quoted or mounted, path.name


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_documents_show_examples_as_they_are(document: Path) -> None:
    """A code block below the mark of an example is that file, letter for letter."""
    text = document.read_text()
    blocks = INCLUDED.findall(text)
    assert len(blocks) == text.count("<!-- examples/"), "a mark without a code block right below it"
    for name, code in blocks:
        assert code == (ROOT / name).read_text(), name


def test_every_example_is_documented() -> None:
    """Every example is shown, or at least named, by a document."""
    documents = "".join(document.read_text() for document in DOCUMENTS)
    for path in FILES:
        assert str(path.relative_to(ROOT)) in documents, path.name


def test_the_readme_shows_the_first_two() -> None:
    """The README shows an application and a call of a guest, about a dozen lines each."""
    shown = dict(INCLUDED.findall((ROOT / "README.md").read_text()))
    assert set(shown) >= {"examples/hello.py", "examples/call_wasm.py"}
    for name in ("examples/hello.py", "examples/call_wasm.py"):
        assert len(shown[name].splitlines()) <= 12, name


def test_examples_leave_nothing_behind(tmp_path: Path) -> None:
    """A copy of the examples is as it was after they ran."""
    copy = tmp_path / "examples"
    shutil.copytree(EXAMPLES, copy, ignore=shutil.ignore_patterns("__pycache__", "demo"))
    before = sorted(copy.rglob("*"))
    assert run(sys.executable, "-B", "examples/call_wasm.py", cwd=tmp_path).stdout == "832040\n"
    assert sorted(copy.rglob("*")) == before
    assert not (tmp_path / ".echelon").exists()
