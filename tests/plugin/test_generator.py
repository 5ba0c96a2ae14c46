"""The generator itself: choosing, caching, compiling once, checking what compilers make."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from echelon.config import Config
from echelon.errors import (
    CompileError,
    ConfigError,
    Diagnostic,
    EchelonError,
    InvalidModule,
    ToolchainMissing,
)
from echelon.plugin import product
from echelon.plugin.artifacts import ArtifactStore, digest_of
from echelon.plugin.compiler import Compiled, Compiler, Job, Probe
from echelon.plugin.compilers.wat import Wat
from echelon.plugin.generator import Generator
from echelon.runtime import binary, signature
from echelon.runtime.signature import Function, Signature
from echelon.telemetry import Telemetry

EMPTY = b"\0asm\x01\0\0\0"
ONE = '(module (func (export "one") (result i32) i32.const 1))'


class Made(Compiler):
    """A compiler whose modules hold their source in a custom section; some words in it mean trouble."""

    name = "made"
    suffixes = (".made", ".alsomade")

    def __init__(self, version: str = "1", revision: str = "") -> None:
        self.found = Probe(True, version, revision)
        self.jobs: list[Job] = []
        self.cancelled = 0
        self.closed = 0
        self.go = asyncio.Event()
        self.go.set()

    def probe(self) -> Probe:
        return self.found

    async def compile(self, job: Job) -> Compiled:
        self.jobs.append(job)
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if "raise" in job.text:
            raise RuntimeError("out of order")
        if "nothing" in job.text:
            return Compiled(None)
        if "error" in job.text:
            return Compiled(
                None, (Diagnostic(1, 2, "error", "bad", job.entry), Diagnostic(3, 4, "error", "worse"))
            )
        if "garbage" in job.text:
            return Compiled(b"garbage")
        if "huge" in job.text:
            return Compiled(binary.add_custom_section(EMPTY, "x", b"x" * job.max_output))
        exports = {"f": Function("f")} if "signed" in job.text else {}
        return Compiled(
            binary.add_custom_section(EMPTY, "source", repr((dict(job.files), job.optimize)).encode()),
            (Diagnostic(1, 1, "warning", "odd", job.entry),),
            Signature("core", "made", exports) if "signed" in job.text else None,
        )

    async def close(self) -> None:
        self.closed += 1


@pytest.fixture
def made() -> Made:
    return Made()


@pytest.fixture
async def running(made: Made, tmp_path: Path) -> AsyncIterator[Generator]:
    async with Generator([made, Wat()], tmp_path / "store") as generator:
        yield generator


async def test_the_second_compile_is_a_cache_hit(running: Generator, made: Made) -> None:
    """Same source, same bytes, nothing compiled; provenance is kept."""
    first = await running.compile("a", "made")
    again = await running.compile("a", "made")
    assert (first.cached, again.cached, len(made.jobs)) == (False, True, 1)
    assert (again.wasm, again.digest, again.diagnostics) == (first.wasm, first.digest, first.diagnostics)
    assert first.digest == digest_of(first.wasm)
    assert (first.language, first.compiler, first.optimize) == ("made", "made 1", "none")
    assert first.source_digest == again.source_digest
    assert first.source_digest.startswith("sha256:")
    assert again.compile_ms > 0


async def test_everything_that_matters_is_in_the_key(made: Made, tmp_path: Path) -> None:
    """Source, names, entry, level, compiler version and revision each make another module."""
    store = tmp_path / "store"
    async with Generator([made], store) as generator:
        await generator.compile("a", "made")
        await generator.compile("b", "made")
        await generator.compile("a", "made", optimize="size")
        await generator.compile("a", "made", name="other")
        await generator.compile({"a.made": "a", "b.made": "b"})
        await generator.compile({"b.made": "b", "a.made": "a"})
    assert len(made.jobs) == 6
    for other in (Made(version="2"), Made(revision="x")):
        async with Generator([other], store) as generator:
            assert not (await generator.compile("a", "made")).cached
    again = Made()
    async with Generator([again], store) as generator:
        assert (await generator.compile("a", "made")).cached
    assert again.jobs == [], "another process with the same compiler finds what the first one made"


async def test_a_raised_revision_makes_everything_anew(
    running: Generator, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When Echelon treats a compiler's output otherwise, old modules are not used."""
    await running.compile("a", "made")
    monkeypatch.setattr(product, "REVISION", product.REVISION + 1)
    assert not (await running.compile("a", "made")).cached


async def test_a_damaged_module_is_compiled_again(running: Generator, made: Made) -> None:
    """What fails its digest is never handed out."""
    first = await running.compile("a", "made")
    (running.artifacts.directory / f"{first.digest[7:]}.wasm").write_bytes(EMPTY)
    again = await running.compile("a", "made")
    assert (again.cached, again.wasm, len(made.jobs)) == (False, first.wasm, 2)
    assert (await running.compile("a", "made")).cached


async def test_one_source_compiles_once_at_a_time(running: Generator, made: Made) -> None:
    """A hundred callers at once share one compile; only one of them is told that it compiled."""
    made.go.clear()
    calls = [asyncio.create_task(running.compile("a", "made")) for _ in range(100)]
    other = asyncio.create_task(running.compile("b", "made"))
    while len(made.jobs) < 2:  # noqa: ASYNC110 - the compiler is the event
        await asyncio.sleep(0.001)
    made.go.set()
    artifacts = await asyncio.gather(*calls)
    assert len(made.jobs) == 2
    assert len({artifact.digest for artifact in artifacts}) == 1
    assert sum(not artifact.cached for artifact in artifacts) == 1
    assert not (await other).cached


async def test_an_error_reaches_every_caller_and_is_not_kept(running: Generator, made: Made) -> None:
    """All who waited get the error; the next compile tries again."""
    results = await asyncio.gather(
        *(running.compile("error", "made") for _ in range(5)), return_exceptions=True
    )
    assert all(isinstance(result, CompileError) for result in results)
    assert len(made.jobs) == 1
    with pytest.raises(CompileError):
        await running.compile("error", "made")
    assert len(made.jobs) == 2


async def test_a_caller_who_leaves_does_not_stop_the_others(running: Generator, made: Made) -> None:
    """Only when the last one is gone is the compile given up."""
    made.go.clear()
    first, second = (asyncio.create_task(running.compile("a", "made")) for _ in range(2))
    while not made.jobs:  # noqa: ASYNC110 - the compiler is the event
        await asyncio.sleep(0.001)
    first.cancel()
    await asyncio.wait((first,))
    assert made.cancelled == 0
    made.go.set()
    assert (await second).wasm


async def test_a_compile_nobody_waits_for_is_given_up(running: Generator, made: Made) -> None:
    """And a later caller starts a new one instead of joining the dying one."""
    made.go.clear()
    alone = asyncio.create_task(running.compile("a", "made"))
    while not made.jobs:  # noqa: ASYNC110 - the compiler is the event
        await asyncio.sleep(0.001)
    alone.cancel()
    await asyncio.wait((alone,))
    made.go.set()
    assert (await running.compile("a", "made")).wasm
    assert (made.cancelled, len(made.jobs)) == (1, 2)


async def test_closing_ends_compiles_in_flight(made: Made, tmp_path: Path) -> None:
    """The caller gets one sentence, and compilers are closed; closing twice is a no-op."""
    made.go.clear()
    generator = Generator([made], tmp_path / "store")
    await generator.start()
    await generator.start()
    call = asyncio.create_task(generator.compile("a", "made"))
    while not made.jobs:  # noqa: ASYNC110 - the compiler is the event
        await asyncio.sleep(0.001)
    await generator.close()
    with pytest.raises(EchelonError, match="closed during the compile"):
        await call
    assert (made.cancelled, made.closed) == (1, 1)
    with pytest.raises(EchelonError, match="not running"):
        await generator.compile("a", "made")


async def test_before_start_nothing_compiles(made: Made, tmp_path: Path) -> None:
    """The error says how to start it; nothing was written."""
    with pytest.raises(EchelonError, match="async with Generator"):
        await Generator([made], tmp_path / "store").compile("a", "made")
    assert not (tmp_path / "store").exists()


async def test_the_error_names_the_first_place_and_counts_the_rest(running: Generator) -> None:
    """One line to show, and every diagnostic to work with."""
    with pytest.raises(CompileError) as caught:
        await running.compile("error", "made")
    assert str(caught.value) == "source:1:2: error: bad (and 1 more)"
    assert [(item.line, item.file) for item in caught.value.diagnostics] == [(1, None), (3, None)]
    with pytest.raises(CompileError, match=r"^x\.made:1:2: error: bad"):
        await running.compile("error", "made", name="x")


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ("garbage", CompileError, "the module is not accepted: .*does not begin with"),
        ("huge", CompileError, r"the module has \d+ bytes, at most 16777216"),
        ("nothing", CompileError, "neither a module nor an error"),
        ("raise", EchelonError, "the compiler for made failed: RuntimeError: out of order"),
    ],
)
async def test_a_compiler_is_not_trusted(
    running: Generator, source: str, error: type[EchelonError], message: str
) -> None:
    """What a compiler gives is checked, and nothing bad is stored."""
    with pytest.raises(error, match=message):
        await running.compile(source, "made")
    assert list(running.artifacts.directory.iterdir()) == []


async def test_the_signature_becomes_a_section(running: Generator) -> None:
    """A signature that a compiler gives is in the module and in the artifact, from the cache too."""
    for _ in range(2):
        artifact = await running.compile("signed", "made")
        assert artifact.signature == Signature("core", "made", {"f": Function("f")})
        info = binary.parse(artifact.wasm)
        section = binary.custom_section(artifact.wasm, info, signature.SECTION)
        assert section == signature.encode(artifact.signature)
    assert artifact.cached


async def test_a_signature_that_is_too_long_is_an_error(
    running: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would not be read back, so it is refused at once."""
    monkeypatch.setattr(signature, "MAX_BYTES", 10)
    with pytest.raises(CompileError, match="export fewer functions"):
        await running.compile("signed", "made")


async def test_the_language_comes_from_the_suffix(running: Generator, tmp_path: Path) -> None:
    """Of a path, of a name, of the first file; a given language wins."""
    (tmp_path / "a.alsomade").write_text("a")
    assert (await running.compile(tmp_path / "a.alsomade")).language == "made"
    assert (await running.compile("a", name="b.made")).language == "made"
    assert (await running.compile({"a.made": "", "b.wat": ""})).language == "made"
    assert (await running.compile(ONE, "wat", name="b.made")).language == "wat"
    assert running.language_for("guests/one.wat") == "wat"
    assert running.language_for(Path("x.wasm")) == "wasm"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"source": "a"}, "language: say which; known are made, wat"),
        ({"source": "a", "language": "cobol"}, 'language: "cobol" is not known; known are made, wat'),
        (
            {"source": "a", "name": "a.cob"},
            r"a\.cob: its language is not known; name one, or use one of \.alsomade",
        ),
        (
            {"source": "a", "language": "made", "optimize": "fast"},
            'optimize: "fast" is not known; use none, speed',
        ),
        ({"source": "a", "language": "made", "name": "../x"}, "not an accepted file name"),
        ({"source": {}, "language": "made"}, "no file was given"),
        ({"source": "text", "language": "wasm"}, "a module is given as bytes"),
    ],
)
async def test_wrong_arguments_are_config_errors(
    running: Generator, arguments: dict[str, str], message: str
) -> None:
    """One sentence that says what would be right."""
    with pytest.raises(ConfigError, match=message):
        await running.compile(**arguments)  # type: ignore[arg-type]  # wrong on purpose


async def test_a_source_beyond_the_limit(made: Made, tmp_path: Path) -> None:
    """The limit is the generator's, for text and for files."""
    (tmp_path / "big.made").write_text("x" * 11)
    async with Generator([made], tmp_path / "store", max_source=10) as generator:
        with pytest.raises(CompileError, match="11 bytes, at most 10"):
            await generator.compile("x" * 11, "made")
        with pytest.raises(CompileError, match="more than 10 bytes"):
            await generator.compile(tmp_path / "big.made")
    assert made.jobs == []


async def test_a_missing_compiler_is_looked_for_again(made: Made, tmp_path: Path) -> None:
    """The error says what to type, and after that it works without a restart."""
    ready, made.found = made.found, Probe(False, install="get made", detail="it is not here")
    async with Generator([made], tmp_path / "store") as generator:
        with pytest.raises(ToolchainMissing, match="made: it is not here; type: get made") as caught:
            await generator.compile("a", "made")
        assert caught.value.install == "get made"
        (language,) = await generator.languages()
        assert not language.probe.found
        made.found = ready
        assert (await generator.compile("a", "made")).wasm
        (language,) = await generator.languages()
        assert (language.name, language.suffixes, language.probe) == ("made", made.suffixes, ready)


async def test_a_module_is_taken_as_it_is(running: Generator, tmp_path: Path) -> None:
    """Bytes of a module are checked, stored under their digest, and given back unchanged."""
    wasm = (await running.compile(ONE, "wat")).wasm
    running.artifacts.delete(digest_of(wasm))
    (tmp_path / "one.wasm").write_bytes(wasm)
    taken = await running.compile(tmp_path / "one.wasm")
    assert (taken.wasm, taken.language, taken.digest, taken.cached) == (wasm, "wasm", digest_of(wasm), False)
    assert (await running.compile(wasm)).cached
    assert (await running.compile(wasm, "made")).language == "wasm"
    assert running.artifacts.get(taken.digest) is not None


async def test_a_module_brings_its_signature(running: Generator) -> None:
    """A signature from its section is read; one that is malformed is refused."""
    sign = Signature("core", "other", {"f": Function("f")})
    taken = await running.compile(binary.add_custom_section(EMPTY, signature.SECTION, signature.encode(sign)))
    assert taken.signature == sign
    with pytest.raises(InvalidModule, match="malformed"):
        await running.compile(binary.add_custom_section(EMPTY, signature.SECTION, b"{"))


@pytest.mark.parametrize("wasm", [b"\0asm", b"\0asm\x02\0\0\0", EMPTY + b"\x01", b"\0asm\x0d\0\x01\0"])
async def test_a_module_that_is_none_is_refused(running: Generator, wasm: bytes) -> None:
    """With the reason, and nothing is stored."""
    with pytest.raises(InvalidModule):
        await running.compile(wasm)
    assert list(running.artifacts.directory.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "wat"}, 'there is a compiler for "wat" already'),
        ({"name": "wasm"}, 'there is a compiler for "wasm" already'),
        ({"suffixes": (".wat",)}, r'the suffix "\.wat" belongs to wat'),
        ({"suffixes": ("made",)}, r'made: "made" cannot be its suffix; write one such as "\.abc"'),
        ({"suffixes": (".wasm",)}, "cannot be its suffix"),
    ],
)
def test_languages_do_not_collide(
    made: Made, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    """Names and suffixes belong to one compiler each."""
    generator = Generator([Wat()], tmp_path / "store")
    for name, value in change.items():
        setattr(made, name, value)
    with pytest.raises(ConfigError, match=message):
        generator.register(made)


def test_what_is_no_compiler_is_refused(tmp_path: Path) -> None:
    """The error names what it lacks."""
    with pytest.raises(ConfigError, match="lacks suffixes, probe, warm, compile, close"):
        Generator([], tmp_path / "store").register(type("Half", (), {"name": "half"})())  # type: ignore[arg-type]


async def test_a_compiler_needs_no_base_class(tmp_path: Path) -> None:
    """Any object with the six members will do."""

    class Plain:
        name = "plain"
        suffixes = (".plain",)

        def probe(self) -> Probe:
            return Probe(True)

        async def warm(self) -> None: ...

        async def compile(self, job: Job) -> Compiled:
            return Compiled(EMPTY)

        async def close(self) -> None: ...

    async with Generator([Plain()], ArtifactStore(tmp_path / "store")) as generator:
        assert (await generator.compile("", "plain")).wasm == EMPTY


async def test_compiles_are_counted(made: Made, tmp_path: Path) -> None:
    """Compiled, cached and failed compiles show in the metrics, with their language."""
    telemetry = Telemetry.start(Config().telemetry, tmp_path / "metrics")
    async with Generator([made], tmp_path / "store", telemetry) as generator:
        await generator.compile("a", "made")
        await generator.compile("a", "made")
        with pytest.raises(CompileError):
            await generator.compile("error", "made")
    text = telemetry.render()
    for result in ("compiled", "cached", "failed"):
        assert f'echelon_compiles_total{{language="made",result="{result}"}} 1' in text
    assert 'echelon_compile_seconds_count{language="made"} 2' in text
    await telemetry.close()


async def test_the_built_in_languages_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without arguments the generator knows its languages and keeps modules in Echelon's own directory."""
    monkeypatch.setenv("ECHELON_HOME", str(tmp_path))
    async with Generator() as generator:
        assert {"wat", "typescript"} <= {language.name for language in await generator.languages()}
        await generator.compile(ONE, "wat")
    assert list((tmp_path / "artifacts").glob("*.wasm"))


async def test_the_compiler_of_the_documentation(tmp_path: Path) -> None:
    """The example of a user's own compiler in docs/generator.md works as it stands there."""
    text = (Path(__file__).parents[2] / "docs" / "generator.md").read_text()
    (example,) = [part for part in text.split("```python\n")[1:] if "class Answer" in part]
    code = example.partition("```")[0].replace("app.generator.register", "register")
    async with Generator([], tmp_path / "store") as generator:
        exec(code, {"register": generator.register})
        artifact = await generator.compile("42", "answer")
    assert list(binary.parse(artifact.wasm).exported_functions) == ["answer"]
