"""The compiler process: what it may not do, and what happens when it hangs, dies, grows or is attacked."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from echelon.errors import Busy, CompileError, ToolchainMissing
from echelon.plugin import toolchain
from echelon.plugin.compiler import Job
from echelon.plugin.compilers.assemblyscript import process
from echelon.plugin.compilers.assemblyscript.compiler import AssemblyScript
from echelon.plugin.compilers.assemblyscript.process import Settings, Worker, WorkerFailed
from echelon.plugin.generator import Generator
from echelon.plugin.sandbox.process import Confinement
from echelon.plugin.toolchain import javascript

RUNTIMES = ["deno", "node"]
FIB = "export function fib(n: i32): i32 { return n < 2 ? n : fib(n - 1) + fib(n - 2) }"
STEP = "function g{0}<T>(a: T): i32 {{ return g{1}<Array<T>>([a]) + g{1}<Set<T>>(new Set()) }}\n"


def many_types(depth: int) -> str:
    """Return a source with 2**depth instances of generic functions: legal, and slow to compile."""
    first = (
        f"export function f(): i32 {{ return g{depth}<i32>(1) }}\nfunction g0<T>(a: T): i32 {{ return 1 }}\n"
    )
    return first + "".join(STEP.format(index, index - 1) for index in range(1, depth + 1))


SLOW = many_types(13)
ENDLESS = "function f<T>(): i32 { return f<Array<T>>() } export function g(): i32 { return f<i32>() }"


@asynccontextmanager
async def typescript(home: Path, **options: object) -> AsyncIterator[AssemblyScript]:
    compiler = AssemblyScript(home=home, **options)  # type: ignore[arg-type]  # any option
    try:
        yield compiler
    finally:
        await compiler.close()


def job(source: str) -> Job:
    return Job({"source.ts": source}, "source.ts")


def pids(compiler: AssemblyScript) -> list[int]:
    """Return the processes that wait for work."""
    slots = list(compiler._pool._slots._queue)  # type: ignore[attr-defined]  # a test may look inside
    return [slot.result().pid for slot in slots if slot is not None and slot.done()]


def running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def zombie(pid: int) -> bool:
    """Tell whether a process has ended and only its parent's notice is missing."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


async def compiles(compiler: AssemblyScript) -> bool:
    """Tell whether an ordinary source compiles."""
    return (await compiler.compile(job(FIB))).wasm is not None


async def failure(compiler: AssemblyScript, source: str) -> str:
    compiled = await compiler.compile(job(source))
    assert compiled.wasm is None
    return compiled.diagnostics[-1].message


@pytest.fixture(params=RUNTIMES)
def runtime(request: pytest.FixtureRequest) -> toolchain.Javascript:
    found = toolchain.find_javascript(request.param)
    if found is None:
        pytest.skip(f"{request.param} is not installed here")
    return found


async def test_every_runtime_gives_the_same_module(home: Path) -> None:
    """Deno or Node: the bytes do not depend on who ran the compiler."""
    made = set()
    for name in RUNTIMES:
        if toolchain.find_javascript(name) is not None:  # type: ignore[arg-type]  # a literal
            async with typescript(home, javascript=name) as compiler:
                made.add((await compiler.compile(job(FIB))).wasm)
    assert len(made) == 1


PROBE = """
import process from "node:process";
import fs from "node:fs";
import net from "node:net";
import child from "node:child_process";
const tries = {
  read: () => fs.readFileSync("/etc/hostname"),
  list: () => fs.readdirSync("/"),
  write: () => fs.writeFileSync(process.argv[2] + "/out", "x"),
  remove: () => fs.rmSync(process.argv[2] + "/package.json"),
  run: () => child.execFileSync("/bin/true"),
};
const out = {};
for (const [name, act] of Object.entries(tries)) {
  try { act(); out[name] = "allowed"; } catch (error) { out[name] = String(error.message); }
}
try { fs.readFileSync(process.argv[2] + "/package.json"); out.own = "allowed"; } catch (error) {}
try { out.environ = Object.keys(process.env).sort().join(); } catch (error) { out.environ = ""; }
const done = () => { process.stdout.write(JSON.stringify(out) + "\\n", () => process.exit(0)); };
try {
  const socket = net.connect({ host: "127.0.0.1", port: Number(process.argv[3]) });
  socket.on("connect", () => { out.net = "allowed"; done(); });
  socket.on("error", (error) => { out.net = String(error.message); done(); });
} catch (error) { out.net = String(error.message); done(); }
"""


async def test_the_process_may_read_its_toolchain_and_nothing_else(
    tmp_path: Path, runtime: toolchain.Javascript, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program in the compiler's place can read the toolchain; all else is denied."""
    monkeypatch.setenv("ECHELON_SECRET", "hidden")
    folder = tmp_path / "toolchain"
    folder.mkdir()
    (folder / "package.json").write_text("{}")
    (folder / "worker.mjs").write_text(PROBE)
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings = Settings(runtime, folder, tmp_path / "cache", 10, 1 << 30, 1 << 20)
    command = [
        str(folder / "worker.mjs") if part == str(process.WORKER) else part for part in settings.command()
    ]
    command.append(str(port))
    started = await asyncio.create_subprocess_exec(
        *command, env=settings.environ(), cwd=folder, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await started.communicate()
    server.close()
    await server.wait_closed()
    found = msgspec.json.decode(output)
    assert found.pop("own") == "allowed"
    assert "ECHELON_SECRET" not in found.pop("environ")
    net = found.pop("net")
    if runtime.kind == "deno":
        assert net != "allowed", "Node before 25 has no permission for the network; docs/generator.md says so"
    assert set(found) == {"read", "list", "write", "remove", "run"}
    assert "allowed" not in found.values()
    assert [path.name for path in sorted(folder.iterdir())] == ["package.json", "worker.mjs"]


async def test_a_source_of_a_megabyte_in_one_line(home: Path, tmp_path: Path) -> None:
    """The largest accepted source compiles; places far to the right are exact."""
    filler = "export const a: i32 = 1; " + "/*" + "x" * ((1 << 20) - 200) + "*/ "
    async with Generator([AssemblyScript(home=home)], tmp_path / "store") as generator:
        assert (await generator.compile(filler + FIB, "typescript")).wasm
        with pytest.raises(CompileError) as caught:
            await generator.compile(filler + "nope()", "typescript")
        assert [(item.line, item.column) for item in caught.value.diagnostics] == [(1, len(filler) + 1)]
        with pytest.raises(CompileError, match="at most 1048576 are accepted"):
            await generator.compile(filler + " " * 400 + FIB, "typescript")


async def test_a_compile_that_takes_too_long_is_stopped(home: Path) -> None:
    """After `seconds` the process is killed, the error says so, and the next compile works."""
    async with typescript(home, seconds=2) as compiler:
        assert await compiles(compiler)
        (pid,) = pids(compiler)
        assert "it took longer than 2 s" in await failure(compiler, SLOW)
        assert not running(pid)
        assert await compiles(compiler)


async def test_a_suspended_process_is_replaced(home: Path) -> None:
    """A process that does not answer (SIGSTOP) costs one compile, then there is another."""
    async with typescript(home, seconds=4) as compiler:
        assert await compiles(compiler)
        (pid,) = pids(compiler)
        os.kill(pid, signal.SIGSTOP)
        assert "it took longer than 4 s" in await failure(compiler, FIB)
        assert not running(pid)
        assert await compiles(compiler)


async def test_a_process_killed_in_the_middle_of_a_compile(home: Path) -> None:
    """The compile it worked on fails with a reason; the one behind it in line works."""
    async with typescript(home) as compiler:
        assert await compiles(compiler)
        (pid,) = pids(compiler)
        slow = asyncio.create_task(failure(compiler, SLOW))
        behind = asyncio.create_task(compiles(compiler))
        await asyncio.sleep(0.3)
        os.kill(pid, signal.SIGKILL)
        assert "the compiler process ended (-9)" in await slow
        assert await behind


async def test_a_process_that_died_while_idle_is_replaced_unseen(home: Path) -> None:
    """Nobody's compile fails for a process that was dead before it began."""
    async with typescript(home) as compiler:
        assert await compiles(compiler)
        (pid,) = pids(compiler)
        os.kill(pid, signal.SIGKILL)
        slot = compiler._pool._slots._queue[0]  # type: ignore[attr-defined]  # a test may look inside
        await slot.result()._process.wait()
        assert await compiles(compiler)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what a process uses")
async def test_a_process_that_grows_is_stopped(home: Path) -> None:
    """Beyond `memory` the process is killed in the middle of its work."""
    async with typescript(home, memory=300 << 20) as compiler:
        assert "it needed more than 300 MiB of memory" in await failure(compiler, SLOW)


async def test_a_process_above_its_memory_after_a_compile_is_replaced(home: Path) -> None:
    """The answer is still good; the next compile gets a fresh process."""
    async with typescript(home) as compiler:
        assert await compiles(compiler)
        (pid,) = pids(compiler)
        compiler._pool.memory = 1
        assert await compiles(compiler)
        assert not running(pid)
        compiler._pool.memory = 1 << 30
        assert await compiles(compiler)


async def test_cancelling_a_compile_stops_its_process(home: Path) -> None:
    """Nothing goes on burning for an answer nobody wants."""
    async with typescript(home) as compiler:
        assert await compiles(compiler)
        (pid,) = pids(compiler)
        slow = asyncio.create_task(compiler.compile(job(SLOW)))
        await asyncio.sleep(0.2)
        slow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow
        assert not running(pid)
        assert await compiles(compiler)


async def test_cancelling_while_the_process_starts_keeps_it(home: Path) -> None:
    """A start is not wasted: the next compile uses it."""
    async with typescript(home) as compiler:
        first = asyncio.create_task(compiler.compile(job(FIB)))
        await asyncio.sleep(0.2)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert await compiles(compiler)
        assert len(pids(compiler)) == 1


async def test_the_line_is_bounded(home: Path) -> None:
    """More compiles than may wait get Busy at once; those in line all work."""
    async with typescript(home, waiting=3) as compiler:
        tasks = [asyncio.create_task(compiler.compile(job(f"{FIB}//{index}"))) for index in range(8)]
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert sum(isinstance(result, Busy) for result in results) == 4
        assert sum(not isinstance(result, BaseException) and bool(result.wasm) for result in results) == 4
        assert await compiles(compiler)


async def test_several_processes_work_side_by_side(home: Path) -> None:
    """With two workers a slow compile does not hold up a fast one."""
    async with typescript(home, workers=2, seconds=20) as compiler:
        slow = asyncio.create_task(compiler.compile(job(SLOW)))
        await asyncio.sleep(0.1)
        assert await compiles(compiler)
        assert not slow.done()
        slow.cancel()
        await asyncio.wait((slow,))


async def test_closing_leaves_no_process(home: Path) -> None:
    """Idle, starting or working: after close they are gone, and closing twice is a no-op."""
    compiler = AssemblyScript(home=home, workers=3)
    assert await compiles(compiler)
    (pid,) = pids(compiler)
    slow = asyncio.create_task(compiler.compile(job(SLOW)))
    await asyncio.sleep(0.3)
    await compiler.warm()
    await compiler.close()
    await compiler.close()
    slow.cancel()
    await asyncio.wait((slow,))
    assert not running(pid)
    assert pids(compiler) == []
    assert (await compiler.compile(job(FIB))).diagnostics[0].message.endswith("the generator was closed")


async def test_a_request_does_not_outlive_the_application(home: Path) -> None:
    """A process whose application is gone ends by itself when its input closes."""
    async with typescript(home) as compiler:
        assert await compiles(compiler)
        slot = compiler._pool._slots.get_nowait()
        assert slot is not None
        worker = slot.result()
        worker._stdin().close()
        await asyncio.wait_for(worker._process.wait(), 10)
        assert worker._process.returncode == 0
        await worker.stop()


ORPHAN = """
import asyncio, sys
from pathlib import Path
from echelon.plugin.compiler import Job
from echelon.plugin.compilers.assemblyscript.compiler import AssemblyScript
async def main():
    compiler = AssemblyScript(home=Path(sys.argv[1]), seconds=1)
    await compiler.warm()
    slot = compiler._pool._slots._queue[0]
    print((await asyncio.shield(slot)).pid, flush=True)
    await compiler.compile(Job({"a.ts": sys.stdin.read()}, "a.ts"))
asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can limit another process")
async def test_a_compile_whose_application_was_killed_ends(home: Path) -> None:
    """Nobody watches its time any more, so the kernel ends it at once."""
    application = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ORPHAN, str(home), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert application.stdin is not None
    assert application.stdout is not None
    pid = int(await application.stdout.readline())
    application.stdin.write(many_types(17).encode())
    application.stdin.close()
    await asyncio.sleep(0.5)
    application.kill()
    await application.wait()
    async with asyncio.timeout(5):
        while running(pid) and not zombie(pid):  # noqa: ASYNC110 - another process ends
            await asyncio.sleep(0.1)


class Scripted(Settings):
    """Settings under which a shell script and the programs it needs may run."""

    def confinement(self) -> Confinement:
        return replace(
            super().confinement(), read=[self.javascript.path, "/bin", "/usr", "/lib", "/lib64"], processes=8
        )


async def settings_for(tmp_path: Path, script: str) -> Settings:
    """Return settings that start a shell script in the compiler's place."""
    program = tmp_path / "fake"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o700)
    fake = toolchain.Javascript("node", program, "24.0.0")
    return Scripted(fake, tmp_path, tmp_path, seconds=5, memory=1 << 30, line=1 << 16)


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo oh no >&2; exit 3", r"the compiler process ended \(3\) oh no"),
        ("echo nonsense; sleep 60", "answers nonsense"),
        ("echo '[]'; sleep 60", "answers nonsense"),
        ("head -c 200000 /dev/zero | tr '\\0' x; sleep 60", "answers nonsense"),
        ("kill -9 $$", r"ended \(-9\)"),
    ],
)
async def test_a_start_that_fails_says_why(tmp_path: Path, script: str, message: str) -> None:
    """What the program said on its way out is in the error, and nothing is left running."""
    with pytest.raises(WorkerFailed, match=message):
        await Worker.start(await settings_for(tmp_path, script))


async def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    """The path and the reason."""
    settings = replace(
        await settings_for(tmp_path, ""), javascript=toolchain.Javascript("node", tmp_path / "none", "24.0.0")
    )
    with pytest.raises(WorkerFailed, match="none: it was not run: No such file"):
        await Worker.start(settings)


OTHER = '{"id":7,"wasm":null,"diagnostics":[],"exports":[]}'
READY = """echo '{"ready":true,"version":"1"}'; read line; """


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (READY + "echo nonsense; sleep 60", "answers nonsense"),
        (
            READY + """echo '{"id":7,"wasm":null,"diagnostics":[],"exports":[]}'; sleep 60""",
            "another question",
        ),
        (READY + "head -c 200000 /dev/zero | tr '\\0' x; sleep 60", "answers nonsense"),
        (READY + "echo broken >&2; exit 1", r"ended \(1\) broken"),
        ("""echo '{"ready":true,"version":"1"}'; exec 0<&-; sleep 0.2; exit 1""", r"ended \(1\)"),
    ],
)
async def test_an_answer_that_makes_no_sense_ends_the_process(
    tmp_path: Path, script: str, message: str
) -> None:
    """A process that does not keep to the protocol is killed, never trusted."""
    worker = await Worker.start(await settings_for(tmp_path, script))
    with pytest.raises(WorkerFailed, match=message):
        await worker.ask({"files": {"a.ts": "x" * 100_000}})
    assert not worker.alive
    await worker.stop()


async def test_a_toolchain_that_does_not_start_says_how_to_repair_it(home: Path, tmp_path: Path) -> None:
    """A broken installation is not the source's fault: the error says what to remove and what to type."""
    broken = toolchain.TYPESCRIPT.directory(tmp_path)
    (broken / "node_modules" / "assemblyscript").mkdir(parents=True)
    (broken / "node_modules" / "assemblyscript" / "package.json").write_text("{}")
    async with typescript(tmp_path) as compiler:
        for _ in range(2):
            with pytest.raises(ToolchainMissing, match=r"does not start: .*; remove .* install") as caught:
                await compiler.compile(job(FIB))
            assert caught.value.install == "echelon toolchain install typescript"


async def test_a_missing_toolchain_says_what_to_type(tmp_path: Path) -> None:
    """Nothing is downloaded by a compile."""
    async with Generator([AssemblyScript(home=tmp_path)], tmp_path / "store") as generator:
        with pytest.raises(ToolchainMissing, match="echelon toolchain install typescript") as caught:
            await generator.compile(FIB, "typescript")
    assert caught.value.install == "echelon toolchain install typescript"
    assert not (tmp_path / "toolchains").exists()
    async with typescript(tmp_path) as compiler:
        with pytest.raises(ToolchainMissing, match="toolchain install"):
            await compiler.compile(job(FIB))


async def test_no_runtime_says_what_to_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Deno and Node the answer is the pip command."""
    monkeypatch.setattr(javascript, "_find_deno", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    async with Generator([AssemblyScript(home=tmp_path)], tmp_path / "store") as generator:
        with pytest.raises(ToolchainMissing) as caught:
            await generator.compile(FIB, "typescript")
    assert caught.value.install == 'pip install "echelon[typescript]"'


async def test_warm_gets_the_process_ready(home: Path) -> None:
    """Warming returns at once, and twice is once."""
    async with typescript(home) as compiler:
        await compiler.warm()
        await compiler.warm()
        assert await compiles(compiler)
        assert len(pids(compiler)) == 1


async def test_nothing_is_left_behind(home: Path) -> None:
    """Failures of every kind leave no task, no transport and no unread exception."""
    async with typescript(home, seconds=1) as compiler:
        await failure(compiler, SLOW)
        await failure(compiler, ENDLESS)
    gc.collect()
    assert asyncio.all_tasks() == {asyncio.current_task()}
