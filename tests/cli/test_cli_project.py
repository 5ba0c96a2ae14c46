"""`echelon new, run, config, doctor, toolchain`: a project from its first file to its server."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cli_samples import ECHELON, Cli, Write

from echelon.cli.commands.new import FILES
from echelon.cli.target import environment
from echelon.config import Config
from echelon.plugin.sandbox import process

SECRET = "a-token-for-tests"


# config -----------------------------------------------------------------------------------------------------


def test_config(cli: Cli, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every setting has a line with its value and where it came from."""
    write("echelon.toml", "debug = true\n\n[server]\nport = 8100\n")
    monkeypatch.setenv("ECHELON_SERVER_WORKERS", "2")
    result = cli("config")
    assert (result.status, result.err) == (0, "")
    lines = [re.sub(r"\s+#", "  #", line) for line in result.out.splitlines()]
    assert "debug = true  # echelon.toml:1" in lines
    assert "server.port = 8100  # echelon.toml:4" in lines
    assert "server.workers = 2  # ECHELON_SERVER_WORKERS" in lines
    assert 'server.host = "127.0.0.1"  # default' in lines


def test_config_as_json(cli: Cli, write: Write) -> None:
    """The same as data; sizes are bytes, times seconds, paths texts."""
    write("other.toml", '[wasm.limits]\nmemory = "1MiB"\n')
    found = json.loads(cli("config", "--json", "--config", "other.toml").out)
    assert found["wasm.limits.memory"] == {"value": 1 << 20, "source": "other.toml:2"}
    assert found["kv.path"]["value"].endswith("/.echelon/kv.db")
    assert found["server.trusted_proxies"]["value"] == []


def test_secrets_are_hidden(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token is shown only to whoever asks for it."""
    monkeypatch.setenv("ECHELON_TOKEN", SECRET)
    for argv in (["config"], ["config", "--json"]):
        assert SECRET not in cli(*argv).out
        assert SECRET in cli(*argv, "--show-secrets").out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[server]\nprot = 1\n", 'echelon.toml:2: server.prot: unknown key; did you mean "server.port"?'),
        ("[server]\nport = 99999\n", "echelon.toml:2: server.port: "),
        ("a = = 1", "echelon.toml:1:5: not TOML"),
    ],
)
def test_a_bad_configuration(cli: Cli, write: Write, text: str, message: str) -> None:
    """A mistake in the file is one line and exit status 2, for every command that reads it."""
    write("echelon.toml", text)
    write("main.py", "")
    for argv in (["config"], ["run"], ["kv", "list"]):
        result = cli(*argv)
        assert (result.status, result.out, result.err.count("\n")) == (2, "", 1)
        assert result.err.startswith(f"echelon: {message}")


def test_a_configuration_that_is_not_there(cli: Cli) -> None:
    """A file that was named has to exist."""
    assert cli("config", "--config", "absent.toml").status == 2


# doctor -----------------------------------------------------------------------------------------------------


def test_doctor(cli: Cli) -> None:
    """Where everything works, doctor says so, having compiled and called a module."""
    result = cli("doctor", "--json")
    found = json.loads(result.out)
    checks = {check["name"]: check for check in found["checks"]}
    assert (result.status, found["healthy"]) == (0, True)
    for name in ("python", "packages", "engine", "wat", "typescript", "configuration", "state", "memory"):
        assert checks[name]["state"] == "ok", checks[name]
    assert "a module was compiled and called" in checks["engine"]["found"]
    for name in ("namespaces", "no new privileges", "files", "system calls"):
        assert checks[name]["found"] == "active for compilers"


def test_doctor_tells_what_does_not_protect(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wall around compilers that the kernel does not offer is a remark with its reason."""
    monkeypatch.setattr(
        "echelon.plugin.sandbox.process.protections", lambda: {"namespaces": "", "files": "no Landlock"}
    )
    result = cli("doctor")
    assert result.status == 0
    assert "ok      namespaces        active for compilers" in result.out
    assert "remark  files             not active: no Landlock" in result.out
    assert "native compilers refuse to run without it" in result.out


def test_doctor_finds_what_is_broken(
    cli: Cli, write: Write, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bad configuration and a state folder that is a file are failures; each line says what to do."""
    write("echelon.toml", 'state = "state"\nport = 1\n')
    first = cli("doctor")
    assert first.status == 1
    assert "broken  configuration     echelon.toml:2: port: unknown key" in first.out
    write("echelon.toml", 'state = "state"\n')
    write("state", "a file")
    second = cli("doctor")
    assert second.status == 1
    assert "state is not a folder" in second.out
    assert second.err.endswith("checks failed: state, native code\n")


def test_doctor_without_a_compiler(cli: Cli, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiler that is not installed is a remark with the way to install it, not a failure."""
    monkeypatch.setenv("ECHELON_HOME", str(place / "empty"))
    result = cli("doctor")
    assert result.status == 0
    assert "remark  typescript        no compiler" in result.out
    assert "to use it, type: echelon toolchain install typescript" in result.out


def test_doctor_finds_a_taken_port(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port in use is a remark: it may be this very application."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        port = str(taken.getsockname()[1])
        monkeypatch.setenv("ECHELON_SERVER_PORT", port)
        result = cli("doctor")
    assert result.status == 0
    assert f"port {port} on 127.0.0.1 is taken" in result.out


def test_doctor_finds_a_broken_engine(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that does not load is a failure with advice, whatever it raises."""

    def fail() -> str:
        raise OSError("cannot open shared object file")

    monkeypatch.setattr("echelon.runtime.native.engine_version", fail)
    result = cli("doctor")
    assert result.status == 1
    assert "broken  engine            OSError: cannot open shared object file" in result.out
    assert "pip install --force-reinstall wasmtime" in result.out
    assert "broken  languages" in result.out


# toolchain --------------------------------------------------------------------------------------------------


def test_toolchain_list(cli: Cli, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every language with its compiler, or what to type to get it; `list` may be left out."""
    ready = cli("toolchain", "list")
    assert ready.status == 0
    assert re.search(r"typescript +\.ts +\S+ +ready \(", ready.out)
    assert cli("toolchain").out == ready.out
    monkeypatch.setenv("ECHELON_HOME", str(place / "empty"))
    missing = cli("toolchain", "--json")
    found = {item["language"]: item for item in json.loads(missing.out)}
    assert found["wat"]["found"] is True
    assert found["typescript"]["found"] is False
    assert found["typescript"]["install"] == "echelon toolchain install typescript"


def test_toolchain_install(cli: Cli, home: Path) -> None:
    """Installing what is here says where; an unknown language names the known ones."""
    result = cli("toolchain", "install", "typescript")
    assert result.status == 0
    assert Path(result.out.strip()).is_dir()
    assert "is already in" in result.err
    unknown = cli("toolchain", "install", "cobol")
    assert (unknown.status, unknown.out) == (2, "")
    assert 'there is no toolchain "cobol"' in unknown.err


def test_toolchain_install_of_what_is_not_ours(cli: Cli, place: Path) -> None:
    """A language that its own installer brings says what to type, and one that is here says so."""
    (place / "echelon.toml").write_text(
        '[compilers.ada]\ncommand = ["gnatmake-for-nobody", "{entry}", "{output}"]\nsuffixes = [".adb"]\n'
        'install = "apt-get install gnat"\n'
    )
    missing = cli("toolchain", "install", "ada")
    assert (missing.status, missing.out) == (1, "")
    assert "Echelon does not install ada itself; type: apt-get install gnat" in missing.err
    present = cli("toolchain", "install", "wat")
    assert (present.status, present.out) == (0, "")
    assert "wat is here already: wasmtime" in present.err


def test_toolchain_doctor(cli: Cli) -> None:
    """It tells of compilers and what confines them, and of nothing else."""
    result = cli("toolchain", "doctor", "--json")
    document = json.loads(result.out)
    checks = {check["name"]: check for check in document["checks"]}
    assert (result.status, document["healthy"]) == (0, True)
    assert {"wat", "python", "typescript", "rust", "compilers", *process.protections()} <= checks.keys()
    assert not {"packages", "port", "memory"} & checks.keys()
    assert checks["python"]["state"] == "ok"


def test_a_missing_compiler_says_how_to_get_it(
    cli: Cli, write: Write, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is downloaded without being asked for."""
    monkeypatch.setenv("ECHELON_HOME", str(place / "empty"))
    write("f.ts", "export function f(): void {}")
    result = cli("call", "f.ts", "f")
    assert (result.status, result.out) == (1, "")
    assert "echelon toolchain install typescript" in result.err


# new --------------------------------------------------------------------------------------------------------


def test_new(cli: Cli, place: Path) -> None:
    """The folder has every file, with the project's name in it, and says what comes next."""
    result = cli("new", "shop")
    assert (result.status, result.out) == (0, "shop\n")
    assert "echelon run" in result.err
    for name in FILES.values():
        text = (place / "shop" / name).read_text("utf-8")
        assert "$" not in text.replace("$name", "")
        assert "$name" not in text
    assert (place / "shop/README.md").read_text("utf-8").startswith("# shop\n")


def test_a_new_project_passes_its_own_test(cli: Cli, place: Path) -> None:
    """What `new` writes works: its test starts the application and calls the TypeScript guest."""
    cli("new", "shop")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=place / "shop",
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("full", "full is not empty; choose another name"),
        ("file", "file is a file; choose another name"),
        ("none/shop", "there is no folder none"),
        ("a b", "'a b' cannot be a project's name"),
        ("-x", "unknown option -x"),
    ],
)
def test_where_no_project_can_be(cli: Cli, write: Write, name: str, message: str) -> None:
    """Nothing is overwritten."""
    write("full/keep.txt", "x")
    write("file", "x")
    result = cli("new", name)
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith(f"echelon: {message}")


def test_an_empty_folder_will_do(cli: Cli, place: Path) -> None:
    """`echelon new .` fills the folder one is in."""
    assert cli("new", ".").status == 0
    assert (place / "guests/greet.ts").is_file()


# run --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "there is no main.py or app.py here; name the application: echelon run FILE"),
        (["absent.py"], "there is no file absent.py"),
        (["absent.py:app"], "there is no file absent.py"),
        (["absent_module:app"], "there is no file or module absent_module"),
        (["folder.py"], "folder.py is a folder"),
        (["ok.py", "--port", "eighty"], "--port: server.port: "),
        (["ok.py", "--port", "99999"], "--port: server.port: "),
        (["ok.py", "--workers", "0"], "--workers: server.workers: "),
        (["ok.py", "--host", "no.such.host.invalid"], "'no.such.host.invalid' is not an address"),
        (["ok.py", "--config", "absent.toml"], "absent.toml: there is no such file"),
    ],
)
def test_what_cannot_be_run(cli: Cli, write: Write, place: Path, argv: list[str], message: str) -> None:
    """A mistake ends the command before any worker starts."""
    write("ok.py", "")
    (place / "folder.py").mkdir()
    before = dict(os.environ)
    try:
        result = cli("run", *argv)
    finally:
        os.environ.clear()
        os.environ.update(before)
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith(f"echelon: {message}")
    assert result.err.count("\n") == 1


@contextmanager
def running(*argv: str, cwd: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """Run the server in a process of its own; gives the process and the file of its standard error."""
    log = cwd / "server.log"
    with log.open("wb") as err:
        process = subprocess.Popen(
            [ECHELON, "run", *argv], cwd=cwd, stdout=err, stderr=err, start_new_session=True
        )
    try:
        yield process, log
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for(process: subprocess.Popen[bytes], log: Path, pattern: str) -> re.Match[str]:
    """Wait until the server has printed something."""
    for _ in range(600):
        found = re.search(pattern, log.read_text("utf-8"))
        if found is not None:
            return found
        assert process.poll() is None, log.read_text("utf-8")
        time.sleep(0.05)
    raise AssertionError(log.read_text("utf-8"))


def fetch(url: str, token: str | None = None) -> tuple[int, bytes]:
    """Return status and body, trying again until the worker answers."""
    request = urllib.request.Request(url)
    if token is not None:
        request.add_header("Authorization", f"Bearer {token}")
    for _ in range(400):
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as exc:
            with exc:
                return exc.code, exc.read()
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.05)
    raise AssertionError(f"{url} does not answer")


def test_a_project_runs(cli: Cli, place: Path) -> None:
    """Without arguments main.py is served; a token is made, printed and accepted; Ctrl-C ends it with 130."""
    cli("new", "shop")
    with running("--port", "0", cwd=place / "shop") as (process, log):
        url = wait_for(process, log, r"Serving main\.py on (http://127\.0\.0\.1:\d+) \(1 worker\)")[1]
        token = wait_for(process, log, r"made for this run: (\S{32})\n")[1]
        assert fetch(f"{url}/greet/Ada") == (200, b'{"greeting":"Hello, Ada!"}')
        assert fetch(f"{url}/_echelon/v1/modules")[0] == 401
        assert fetch(f"{url}/_echelon/v1/modules", token)[0] == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
    assert "Traceback" not in log.read_text("utf-8")


APP = """
from echelon import Application
app = Application()

@app.get("/")
async def show() -> dict[str, object]:
    return {"debug": app.config.debug, "memory": app.config.wasm.limits.memory, "port": app.config.server.port}
"""


def test_workers_get_the_configuration(cli: Cli, write: Write, place: Path) -> None:
    """A file given with --config is what the worker processes see, and a token of one's own is not printed."""
    write("app.py", APP)
    write("echelon.toml", "debug = true\n")
    write("other.toml", f'[wasm.limits]\nmemory = "3MiB"\n[console]\ntoken = "{SECRET}"\n')
    with running("app.py", "--port", "0", "--config", "other.toml", cwd=place) as (process, log):
        url = wait_for(process, log, r"on (http://\S+) ")[1]
        status, body = fetch(url)
        found = json.loads(body)
        assert (status, found["debug"], found["memory"]) == (200, False, 3 << 20)
        assert fetch(f"{url}/_echelon/v1/modules", SECRET)[0] == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    text = log.read_text("utf-8")
    assert SECRET not in text
    assert "made for this run" not in text


def test_reload(cli: Cli, write: Write, place: Path) -> None:
    """With --reload a changed file is served without a restart by hand; the token stays the same."""
    write("app.py", APP)
    with running("app.py", "--port", "0", "--reload", cwd=place) as (process, log):
        url = wait_for(process, log, r"on (http://\S+) \(1 worker, starts again on changes\)")[1]
        token = wait_for(process, log, r"made for this run: (\S+)\n")[1]
        assert b'"debug":false' in fetch(f"{url}/")[1]
        write("app.py", APP.replace("app.config.debug", '"changed"'))
        for _ in range(200):
            if b'"debug":"changed"' in fetch(f"{url}/")[1]:
                break
            time.sleep(0.1)
        assert b'"debug":"changed"' in fetch(f"{url}/")[1]
        assert fetch(f"{url}/_echelon/v1/modules", token)[0] == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130


def test_an_application_that_does_not_load(write: Write, place: Path) -> None:
    """The worker's one line is shown and the server ends with status 1."""
    write("main.py", "import nowhere_to_be_found\n")
    with running("--port", "0", cwd=place) as (process, log):
        assert process.wait(timeout=30) == 1
    text = log.read_text("utf-8")
    assert "No module named 'nowhere_to_be_found'" in text
    assert "Traceback" not in text


def test_a_taken_port(write: Write, place: Path, cli: Cli) -> None:
    """A port in use is one line that says what to do."""
    write("main.py", APP)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        port = str(taken.getsockname()[1])
        before = dict(os.environ)
        try:
            result = cli("run", "--port", port)
        finally:
            os.environ.clear()
            os.environ.update(before)
    assert result.status == 2
    assert result.err == (
        f"echelon: port {port} on 127.0.0.1 is taken by another program; choose another with --port (server.port)\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        'state = "elsewhere"\ndebug = true\n',
        '[server]\ntrusted_proxies = ["10.0.0.0/8", "::1"]\nshutdown_time = "1500ms"\n',
        '[wasm]\nmax_memory = "32MiB"\n[wasm.limits]\nfuel = 10\n[console]\ntoken = "secret"\n',
        '[telemetry]\nsample = 0.25\nendpoint = "http://127.0.0.1:4318"\n',
    ],
)
def test_a_configuration_survives_the_environment(write: Write, place: Path, text: str) -> None:
    """What --config names reaches the workers whole, even where ./echelon.toml says something else."""
    write("other.toml", text)
    config = Config.load("other.toml", environ={})
    write("echelon.toml", 'debug = true\nstate = "wrong"\n[telemetry]\nsample = 0.5\n')
    assert Config.load(environ=environment(config, "other.toml")) == config
