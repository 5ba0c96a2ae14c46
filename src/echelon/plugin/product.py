"""What a compile is known by, and what is made of what a compiler gave: a checked module with its signature in it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from echelon.errors import CompileError, Diagnostic, InvalidModule
from echelon.plugin.artifacts import Artifact, digest_of
from echelon.plugin.compiler import Compiled, Compiler, Job, Optimizing, Probe
from echelon.runtime import binary, declarations, exports, lines, stripping
from echelon.runtime import signature as signatures
from echelon.runtime.component import layout
from echelon.runtime.engine import COMPONENT_MEMORIES

REVISION: Final = 5
"""Part of every key: raise it when the same compiler's output is processed differently here."""


@dataclass(frozen=True, slots=True)
class Work:
    """One compile.

    `named` says whether the caller gave the entry its name, `origin` is the digest of the sources, `optimizer` what
    its modules are optimised by.
    """

    compiler: Compiler
    probe: Probe
    job: Job
    named: bool
    origin: str
    client: str
    optimizer: str = ""

    @property
    def key(self) -> str:
        return key_of(self.compiler, self.probe, self.job, self.origin, self.optimizer)

    def quick(self) -> Work:
        """Return the one that takes no time to optimise."""
        own = isinstance(self.compiler, Optimizing)
        return replace(self, job=replace(self.job, optimize="none") if own else self.job, optimizer="")


def key_of(compiler: Compiler, probe: Probe | None, job: Job, origin: str, optimizer: str = "") -> str:
    """Return what stands for a compile; without a probe, by whatever version of the compiler."""
    parts = [
        str(REVISION),
        compiler.name,
        *(("any", "") if probe is None else (probe.version, probe.revision)),
        job.optimize,
        str(job.max_output),
        origin,
    ]
    parts += [
        optimizer,
        f"names {job.names} debug {job.debug}",
        *(f"{name}={value}" for name, value in job.options.items()),
    ]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def artifact(compiled: Compiled, work: Work) -> Artifact:
    """Check what a compiler made and write the signature into it; raises CompileError."""
    diagnostics = tuple(_named(item, work) for item in compiled.diagnostics)
    wasm, signature, job = compiled.wasm, compiled.signature, work.job
    if wasm is None:
        raise _failure(diagnostics)
    if len(wasm) > job.max_output:
        raise CompileError(
            f"the module has {len(wasm)} bytes, at most {job.max_output} are allowed", diagnostics
        )
    keeps_places = compiled.lines is not None and (job.names or job.debug)
    try:
        wasm = stripping.without(
            wasm,
            lambda name: stripping.unwanted(name, names=job.names, debug=job.debug),
            in_place=keeps_places,
        )
        if compiled.lines is not None and keeps_places and len(compiled.lines) <= lines.MAX_BYTES:
            wasm = binary.add_custom_section(wasm, lines.SECTION, compiled.lines)
        if signature is not None:
            wasm = binary.add_custom_section(wasm, signatures.SECTION, _section(signature, diagnostics))
        if wasm[:8] == binary.COMPONENT_MAGIC:
            layout.read(wasm, COMPONENT_MEMORIES)
        elif signature is None:
            if compiled.lines is None:  # which would lie if the exports had other names
                wasm = declarations.collect(wasm, work.compiler.name)
            found, _ = exports.read(wasm, binary.parse(wasm))
            signature = found if found.exports else None
        else:
            binary.parse(wasm)
    except (InvalidModule, ValueError) as exc:
        raise CompileError(f"the module is not accepted: {exc}", diagnostics) from exc
    return Artifact(
        wasm=wasm,
        digest=digest_of(wasm),
        language=work.compiler.name,
        diagnostics=diagnostics,
        signature=signature,
        compiler=f"{work.compiler.name} {work.probe.version}",
        optimize=job.optimize,
        optimizer=work.optimizer,
        source_digest=f"sha256:{work.origin}",
        names=job.names,
        debug=job.debug,
        options=job.options,
        made=datetime.now(UTC),
    )


def _failure(diagnostics: tuple[Diagnostic, ...]) -> CompileError:
    errors = [item for item in diagnostics if item.severity == "error"]
    if not errors:
        return CompileError("the compiler gave neither a module nor an error", diagnostics)
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    first = errors[0]
    return CompileError(f"{first if first.line else first.message}{more}", diagnostics)


def _named(item: Diagnostic, work: Work) -> Diagnostic:
    """Leave out the made-up name of a source that has none."""
    return item if work.named or item.file != work.job.entry else replace(item, file=None)


def _section(signature: signatures.Signature, diagnostics: tuple[Diagnostic, ...]) -> bytes:
    content = signatures.encode(signature)
    if len(content) > signatures.MAX_BYTES:
        raise CompileError(
            f"the signature of the exports has {len(content)} bytes, at most {signatures.MAX_BYTES} are kept;"
            " export fewer functions",
            diagnostics,
        )
    return content
