"""The place where compilers run: what a program may do there, and what ends it."""

from __future__ import annotations

import asyncio
import errno
import os
import sys
import sysconfig
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from echelon.plugin.sandbox import confine, landlock, process, seccomp
from echelon.plugin.sandbox.process import Confinement, Finished, SandboxError

PYTHON = Path(sys.executable).resolve()
STANDARD = Path(sysconfig.get_path("stdlib"))
LIBRARY = os.environ.get("LD_LIBRARY_PATH", "")
SECRET = "the-secret"


@pytest.fixture
def allowed(tmp_path: Path) -> Confinement:
    """A private folder, and Python itself to read."""
    folder = tmp_path / "private"
    folder.mkdir()
    (tmp_path / "secret").write_text(SECRET)
    read = [PYTHON.parent.parent, STANDARD, *process.LIBRARIES]
    return Confinement(folder, read=read, seconds=20)


async def python(allowed: Confinement, code: str, stdin: bytes = b"", **changes: object) -> Finished:
    """Run some Python in confinement."""
    confinement = replace(allowed, **changes)  # type: ignore[arg-type]  # any field
    env = {"LD_LIBRARY_PATH": LIBRARY} if LIBRARY else {}
    return await process.run([str(PYTHON), "-I", "-S", "-c", code], confinement, env, stdin)


async def refused(allowed: Confinement, code: str, *numbers: int, **changes: object) -> None:
    """Require that an expression fails with one of these error numbers."""
    program = f"import os\ntry: {code}\nexcept OSError as e: print(e.errno)\nelse: print('done')"
    done = await python(allowed, program, **changes)
    assert done.stdout.decode().strip() in [str(number) for number in numbers], done


def test_everything_is_active() -> None:
    """The machine the tests run on offers every protection, so that the others here prove something."""
    assert process.protections() == {
        confine.NAMESPACES: "",
        confine.NO_NEW_PRIVILEGES: "",
        confine.FILES: "",
        confine.SYSTEM_CALLS: "",
    }


async def test_runs_to_its_end(allowed: Confinement) -> None:
    """Streams, status and folder are those of an ordinary process."""
    code = (
        "import os, sys; open('made', 'w').write(sys.stdin.read());"
        " print(os.getcwd(), file=sys.stderr); sys.exit(7)"
    )
    done = await python(allowed, code, b"hello")
    assert (done.status, done.stdout, done.stopped) == (7, b"", "")
    assert done.stderr.decode().strip() == str(allowed.folder)
    assert (allowed.folder / "made").read_text() == "hello"


async def test_sees_no_environment(allowed: Confinement, monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables of the application do not reach it; those it was given do."""
    monkeypatch.setenv("APPLICATION_TOKEN", SECRET)
    done = await python(allowed, "import os; print(sorted(os.environ))")
    assert b"APPLICATION_TOKEN" not in done.stdout
    assert b"PYTHONPATH" not in done.stdout


@pytest.mark.parametrize(
    "way", ["../secret", "{parent}/secret", "/etc/passwd", "/proc/self/environ", "/proc/1/maps"]
)
async def test_reads_nothing_else(allowed: Confinement, way: str) -> None:
    """Files outside are refused, however they are named."""
    path = way.format(parent=allowed.folder.parent)
    await refused(allowed, f"open({path!r})", errno.EACCES, errno.EPERM)


async def test_reads_nothing_through_links(allowed: Confinement) -> None:
    """A link that lies in its folder already does not lead out, and it makes none itself."""
    (allowed.folder / "link").symlink_to(allowed.folder.parent / "secret")
    await refused(allowed, "open('link')", errno.EACCES)
    await refused(allowed, "os.symlink('../secret', 'other')", errno.EACCES)
    await refused(allowed, "os.link('../secret', 'other')", errno.EACCES, errno.EXDEV)
    await refused(allowed, "os.rename('../secret', 'other')", errno.EACCES, errno.EXDEV)


@pytest.mark.parametrize(
    "code",
    ["open('../new', 'w')", "os.remove('../secret')", "os.mkdir('../new')", "os.truncate('../secret', 0)"],
)
async def test_writes_nothing_else(allowed: Confinement, code: str) -> None:
    """Nothing outside its folder changes."""
    await refused(allowed, code, errno.EACCES)
    assert (allowed.folder.parent / "secret").read_text() == SECRET


async def test_executes_nothing_it_wrote(allowed: Confinement) -> None:
    """A program that it makes in its folder does not run."""
    write = "open('x', 'wb').write(open('/proc/self/exe', 'rb').read()) if 0 else open('x', 'w').write('#!')"
    code = f"{write}; os.chmod('x', 0o755); os.execv('x', ['x'])"
    await refused(allowed, f"exec({code!r})", errno.EACCES)


@pytest.mark.parametrize("family", ["AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK", "AF_PACKET"])
async def test_has_no_network(allowed: Confinement, family: str) -> None:
    """No socket of any kind can be made."""
    done = await python(
        allowed, f"import socket\ntry: socket.socket(socket.{family})\nexcept OSError as e: print(e.errno)"
    )
    assert done.stdout.decode().strip() == str(errno.EPERM)


async def test_has_no_children(allowed: Confinement) -> None:
    """Unless it may have some; threads it may."""
    await refused(allowed, "os.fork()", errno.EPERM)
    code = "import threading; t = threading.Thread(target=print, args=('hi',)); t.start(); t.join()"
    assert (await python(allowed, code)).stdout == b"hi\n"
    done = await python(
        allowed, "import os; print(os.waitpid(os.fork() or os._exit(3), 0)[1] >> 8)", processes=4
    )
    assert done.stdout == b"3\n"


async def test_stays_in_its_group(allowed: Confinement) -> None:
    """What it starts cannot leave the group that is killed as one."""
    await refused(allowed, "os.setsid()", errno.EPERM, processes=4)
    await refused(allowed, "os.setpgid(0, 0)", errno.EPERM, processes=4)


async def test_reaches_no_other_process(allowed: Confinement) -> None:
    """The application cannot be signalled: its processes are out of sight."""
    done = await python(
        allowed, f"import os\ntry: os.kill({os.getpid()}, 0)\nexcept OSError as e: print(e.errno)"
    )
    assert done.stdout.decode().strip() in (str(errno.ESRCH), str(errno.EPERM))


LIMITS = {
    "time": ("while True: pass", {"seconds": 0.5}, "longer than 0.5 s"),
    "output": ("while True: print('x' * 1000)", {"output": 100_000}, "printed more than 100000 bytes"),
    "errors": (
        "import sys\nwhile True: sys.stderr.write('x' * 1000)",
        {"output": 9999},
        "printed more than 9999",
    ),
    "memory of all": (
        "import os, time\nfor _ in range(3): os.fork()\nx = b'x' * (40 << 20)\ntime.sleep(15)",
        {"memory": 200 << 20, "processes": 32},
        "more than 200 MiB of memory",
    ),
    "disk of all": (
        "n = 0\nwhile True:\n open(str(n), 'wb').write(b'x' * 900_000)\n n += 1",
        {"disk": 4 << 20},
        "more than 4 MiB of files",
    ),
    "files": (
        "n = 0\nwhile True:\n open(str(n), 'w').close()\n n += 1",
        {"disk": 4 << 20},
        "MiB of files",
    ),
    "processes": ("import os\nwhile True: os.fork()", {"processes": 8}, "more than 8 processes"),
}


@pytest.mark.parametrize("name", LIMITS)
async def test_limits(allowed: Confinement, name: str) -> None:
    """What takes more than it may is ended with all its children, and the limit is named."""
    code, changes, stopped = LIMITS[name]
    done = await python(allowed, code, **changes)  # type: ignore[arg-type]  # any field
    assert stopped in done.stopped
    assert len(done.stdout) <= 100_000


async def test_limits_of_the_kernel(allowed: Confinement) -> None:
    """One allocation or one file that is too large fails in the process itself."""
    assert b"MemoryError" in (await python(allowed, "bytearray(300 << 20)", memory=200 << 20)).stderr
    done = await python(allowed, "open('x', 'wb').write(bytes(3 << 20))", disk=1 << 20)
    assert b"File too large" in done.stderr


async def test_nothing_is_left(allowed: Confinement) -> None:
    """Children that outlive the program are ended with it, and no descriptor stays open."""
    before = len(os.listdir("/proc/self/fd"))
    code = "import os, time\nif os.fork() == 0:\n os.close(1); os.close(2); time.sleep(60)"
    done = await python(allowed, code, processes=4)
    assert (done.status, done.stopped) == (0, "")
    assert len(os.listdir("/proc/self/fd")) == before
    marks = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not [mark for mark in marks if b"time.sleep(60)" in mark]


async def test_streams_that_somebody_else_holds(
    allowed: Confinement, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program has ended when it has, though a process of the application inherited its pipe."""
    held: list[int] = []
    start = process.start

    async def starts(*args: Any, **named: Any) -> asyncio.subprocess.Process:
        started = await start(*args, **named)
        held.append(os.open(f"/proc/{process.program(started.pid)}/fd/1", os.O_WRONLY))
        return started

    monkeypatch.setattr(process, "start", starts)
    try:
        done = await python(allowed, "import sys; sys.stdin.read(); print('said')", seconds=8)
    finally:
        os.close(held[0])
    assert (done.status, done.stdout, done.stopped) == (0, b"said\n", "")


async def test_cancelling_ends_it(allowed: Confinement) -> None:
    """Whoever stops waiting stops the program."""
    code = "import time; print('cancelled-program', flush=True); time.sleep(60)"
    task = asyncio.create_task(python(allowed, code))
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    marks = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not [mark for mark in marks if b"cancelled-program" in mark]


async def test_what_cannot_start(allowed: Confinement) -> None:
    """A program that is not there, or may not be executed, is a sentence and not a result."""
    with pytest.raises(SandboxError, match="No such file"):
        await process.run(["/usr/no-such-program"], allowed, {})
    program = allowed.folder.parent / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    with pytest.raises(SandboxError, match="Permission denied"):
        await process.run([str(program)], allowed, {})


async def test_missing_protection_refuses(allowed: Confinement, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the kernel lacks what is required nothing runs, unless the caller takes what there is."""
    real = process.launch_plan

    def lacking(*arguments: object) -> str:
        return real(*arguments).replace('"system calls"', '"no such protection"')  # type: ignore[arg-type]

    monkeypatch.setattr(process, "launch_plan", lacking)
    with pytest.raises(SandboxError, match="no such protection"):
        await python(allowed, "print(1)")
    assert (await python(allowed, "print(1)", isolation="available")).stdout == b"1\n"


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("processes", [True, False])
def test_filter(machine: str, processes: bool) -> None:
    """Every jump of the filter leads to an instruction, and every path ends in an answer."""
    code = seccomp.program(machine, processes=processes)
    for index, (kind, yes, no, _) in enumerate(code):
        if kind & 7 == 5:
            assert max(yes, no) + index + 1 < len(code)
    assert code[-1][0] == 6
    assert len(code) < 4096


def test_landlock_is_current() -> None:
    """The kernel's version is asked, not assumed."""
    assert landlock.version() >= 1
