"""What is known of the machine."""

from __future__ import annotations

from pathlib import Path

from echelon.runtime.host_facts import HostFacts


def test_facts_of_this_process() -> None:
    """Versions, processors and memory are there."""
    facts = HostFacts.read()
    assert facts.engine.startswith("wasmtime 50.")
    assert facts.processors > 0
    assert facts.memory is None or facts.memory > 1 << 20
    assert facts.to_dict()["python"].startswith("3.")


def test_a_control_group_lowers_them(tmp_path: Path) -> None:
    """Quotas of the control group count where they are smaller; nonsense in them is ignored."""
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    (tmp_path / "memory.max").write_text("104857600\n")
    facts = HostFacts.read(tmp_path)
    assert (facts.processors, facts.memory) == (0.5, 100 << 20)
    (tmp_path / "cpu.max").write_text("max 100000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert HostFacts.read(tmp_path) == HostFacts.read(tmp_path / "missing")
