"""Starting, failing and stopping the real server."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from echelon.config import ServerConfig
from echelon.errors import ConfigError, MissingExtra
from echelon.http import server
from echelon.http.loading import load_app, source_folder, split_target
from echelon.http.server import claim_port, serve
from echelon.http.testing import LiveServer, ServerStopped, free_port

APP = """
import asyncio, os
from echelon.http.service import Service
from echelon.routing import Router

router = Router()


@router.get("/pid")
async def pid() -> int:
    return os.getpid()


@router.get("/slow")
async def slow(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "done"


async def start():
    os.write(1, f"started {os.getpid()}\\n".encode())  # one write: two workers print at once
    if os.environ.get("FAIL_START"):
        raise RuntimeError("the store\\ncannot be opened")


async def stop():
    os.write(1, f"stopped {os.getpid()}\\n".encode())


app = Service(router, startup=start, shutdown=stop)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "main.py").write_text(APP)
    return tmp_path


def test_every_worker_starts_and_stops_the_application(folder: Path) -> None:
    """Once for each process, and the exit status is 0."""
    live = LiveServer("main:app", cwd=folder, workers=2)
    with live:
        pids = set()
        deadline = time.monotonic() + 20
        while len(pids) < 2 and time.monotonic() < deadline:
            pids.add(httpx.get(f"{live.url}/pid").json())
        assert live.process is not None
        live.process.send_signal(signal.SIGTERM)
        assert live.process.wait(10) == 0
        output = live.output()
    assert len(pids) == 2
    for pid in pids:
        assert f"started {pid}" in output
        assert f"stopped {pid}" in output
    assert "Traceback" not in output


def test_a_request_in_flight_is_answered_before_the_end(folder: Path) -> None:
    """Stopping waits for it, but not longer than `shutdown_time`."""
    for seconds, expected in ((0.7, "done"), (30, "the server is stopping")):
        answers: list[str] = []
        with LiveServer("main.py", cwd=folder, shutdown_time=1.0) as live:

            def ask(url: str = live.url, seconds: float = seconds, into: list[str] = answers) -> None:
                try:
                    into.append(httpx.get(f"{url}/slow?seconds={seconds}", timeout=20).text)
                except httpx.HTTPError:
                    into.append("no answer")

            thread = threading.Thread(target=ask)
            thread.start()
            time.sleep(0.3)
            assert live.process is not None
            live.process.send_signal(signal.SIGTERM)
            live.process.wait(15)
            thread.join()
            assert "stopped" in live.output()
        assert expected in answers[0]


def test_a_failed_startup_ends_the_server_with_one_line(folder: Path) -> None:
    """Status 1, no traceback, no endless restarts."""
    with pytest.raises(ServerStopped) as caught, LiveServer("main.py", cwd=folder, env={"FAIL_START": "1"}):
        pass
    assert caught.value.status == 1
    assert "echelon: the store cannot be opened" in str(caught.value)
    assert "Traceback" not in str(caught.value)
    assert str(caught.value).count("started") == 1


@pytest.mark.parametrize(
    ("target", "content", "message"),
    [
        ("none.py", None, "none.py: there is no such file"),
        ("nowhere.module", None, "nowhere.module: there is no such module"),
        ("bad.py", "x = (", "bad.py:1: syntax error"),
        ("bad.py", "\n\n1 / 0", "bad.py:3: ZeroDivisionError: division by zero"),
        ("bad.py", "import absent_module", "bad.py:1: No module named 'absent_module'"),
        ("bad.py", "app = 5", "bad.py:app: int is not an Application"),
        ("bad.py", "", "bad.py: no application named 'app' is in it"),
        ("bad.py:other", "", "bad.py:other: bad.py has no attribute 'other'"),
        (
            "bad.py",
            f"{APP}\nother = app\napp2 = Service(router)\ndel app",
            "it has other, app2, say which: bad.py:other",
        ),
        ("colorsys.py", APP, "another module is named 'colorsys'"),
    ],
)
def test_what_cannot_be_loaded_is_said_in_one_line(
    tmp_path: Path, target: str, content: str | None, message: str
) -> None:
    """File, line and reason; never a traceback."""
    if content is not None:
        (tmp_path / target.partition(":")[0]).write_text(content)
    code = "import sys, colorsys\nfrom echelon.http.loading import load_app\nload_app(sys.argv[1])"
    script = (
        f"import sys\nfrom echelon.errors import ConfigError\n"
        f"try:\n    exec({code!r})\nexcept ConfigError as exc:\n    print(exc)"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", script, target], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert message in done.stdout
    assert done.stdout.count("\n") == 1


def test_loading_finds_the_only_application_and_packages(tmp_path: Path) -> None:
    """Under any name, and relative imports work when the file lies in a package."""
    package = tmp_path / "loadable_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "parts.py").write_text("from echelon.routing import Router\nrouter = Router()")
    (package / "web.py").write_text(
        "from echelon.http.service import Service\nfrom .parts import router\nsite = Service(router)"
    )
    path = list(sys.path)
    try:
        loaded = load_app(str(package / "web.py"))
        assert loaded is load_app("loadable_package.web:site")
    finally:
        sys.path[:] = path
        for name in [name for name in sys.modules if name.startswith("loadable_package")]:
            del sys.modules[name]


def test_targets_are_split_at_the_last_colon() -> None:
    """A drive letter or a path after the colon is no attribute."""
    assert split_target("main.py") == ("main.py", None)
    assert split_target("a/main.py:app.inner") == ("a/main.py", "app.inner")
    assert split_target("C:\\x\\main.py") == ("C:\\x\\main.py", None)
    assert source_folder("a/main.py:app") == Path("a").resolve()
    assert source_folder("pkg:app") == Path.cwd()


def test_a_taken_port_is_a_clear_error() -> None:
    """Granian would share it silently with the other server."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port} on 127.0.0.1 is taken.*--port"):
            serve("main.py", ServerConfig(port=port))


def test_a_second_server_on_the_same_port_is_refused(folder: Path) -> None:
    """Also when the first is this very server."""
    with LiveServer("main.py", cwd=folder) as live, pytest.raises(ConfigError, match="taken"):
        claim_port("127.0.0.1", live.port)


def test_port_zero_takes_a_free_one() -> None:
    """The same for all workers, as it is chosen before they start."""
    assert claim_port("127.0.0.1", 0) > 1023
    assert claim_port("::1", free_port()) > 0 or not socket.has_ipv6


@pytest.mark.parametrize("host", ["not a host", "203.0.113.1"])
def test_an_address_that_is_not_ours_is_a_clear_error(host: str) -> None:
    """Unknown names and other machines' addresses."""
    with pytest.raises(ConfigError, match="address"):
        claim_port(host, 0)


def test_reload_without_its_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pip command, before anything is bound."""
    monkeypatch.setattr(server.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r'watchfiles is not installed: pip install "echelon\[reload\]"'):
        serve("main.py", ServerConfig(reload=True))


def test_a_key_that_does_not_fit_is_a_clear_error(tmp_path: Path) -> None:
    """Before any worker starts."""
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).write_text("nonsense")
    config = ServerConfig(port=0, tls_certificate=tmp_path / "cert.pem", tls_key=tmp_path / "key.pem")
    with pytest.raises(ConfigError, match="not a certificate and its key"):
        serve("main.py", config)


def test_tls(folder: Path) -> None:
    """HTTPS with a real certificate; the scheme is told to the application."""
    made = subprocess.run(
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "1",
                "-subj",
                "/CN=localhost",
            ),
            *("-keyout", "key.pem", "-out", "cert.pem", "-addext", "subjectAltName=IP:127.0.0.1"),
        ],
        cwd=folder,
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip("openssl is not here to make a certificate")
    files = {"tls_certificate": str(folder / "cert.pem"), "tls_key": str(folder / "key.pem")}
    with LiveServer("main.py", cwd=folder, **files) as live:
        context = ssl.create_default_context(cafile=folder / "cert.pem")
        assert isinstance(httpx.get(f"{live.url}/pid", verify=context).json(), int)


@pytest.mark.slow
def test_reload_serves_the_new_source(folder: Path) -> None:
    """A change restarts the worker; a broken change waits for the next one instead of ending the server."""

    def answers(text: str) -> bool:
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"{live.url}/new").text == text:
                    return True
            except httpx.HTTPError:
                pass
            time.sleep(0.1)
        return False

    with LiveServer("main.py", cwd=folder, reload=True) as live:
        assert httpx.get(f"{live.url}/new").status_code == 404
        for text in ("one", "two"):
            (folder / "main.py").write_text("x = (" + APP)
            time.sleep(1)
            (folder / "main.py").write_text(f"{APP}\nrouter.get('/new')(lambda: {text!r})\n")
            assert answers(text)


def test_standard_output_belongs_to_the_application(folder: Path) -> None:
    """The server itself prints nothing there; access lines go to standard error."""
    code = (
        "import sys\nfrom echelon.config import ServerConfig\nfrom echelon.http.server import serve\n"
        "sys.exit(serve('main.py', ServerConfig(port=int(sys.argv[1]), access_log=True), on_start=lambda url: "
        "print('at', url, file=sys.stderr)))"
    )
    port = free_port()
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(port)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        for _ in range(200):
            try:
                assert httpx.get(f"http://127.0.0.1:{port}/pid").status_code == 200
                break
            except httpx.ConnectError:
                time.sleep(0.05)
    finally:
        process.terminate()
        out, err = process.communicate(timeout=15)
    assert [line.split()[0] for line in out.splitlines()] == ["started", "stopped"]
    assert f"at http://127.0.0.1:{port}" in err
    assert "GET /pid" in err
