"""Permissions that change while a module runs: states, questions, revocation, audit."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from echelon.errors import ConfigError, DeadlineExceeded, PermissionDenied
from echelon.kv import open_kv
from echelon.runtime.core import Runtime, RuntimeSettings
from echelon.runtime.grants import Answer, Grants, Question
from echelon.runtime.limits import Limits
from echelon.runtime.permissions import GrantState, Permissions, Use

Wat = Callable[[str], bytes]
GRANTED, PROMPT, DENIED = GrantState.GRANTED, GrantState.PROMPT, GrantState.DENIED


class Person:
    """Somebody who answers as told, and remembers the questions."""

    def __init__(self, *answers: Answer) -> None:
        self.answers: Iterator[Answer] = iter(answers)
        self.asked: list[tuple[str, str]] = []

    def __call__(self, question: Question) -> Answer:
        self.asked.append((question.permission, question.target))
        return next(self.answers)


def test_states_without_anybody_to_ask() -> None:
    """What is granted is granted, everything else is denied."""
    grants = Grants(
        Permissions(net=["*.example.com", "a.org:443"], deny=Permissions(net=["bad.example.com"]))
    )
    assert grants.query("net", "x.example.com") is GRANTED
    assert grants.query("net", "x.example.com:80") is GRANTED
    assert grants.query("net", "*.y.example.com") is GRANTED
    for item in ("*.com", "a.org", "a.org:80", "bad.example.com", "b.org", None):
        assert grants.query("net", item) is DENIED
    assert grants.query("env", "HOME") is DENIED
    assert grants.request("env", "HOME") is DENIED


def test_states_with_somebody_to_ask() -> None:
    """What is not granted can be asked for, unless a denial stands above it."""
    grants = Grants(Permissions(env=True, read=["/data"], deny=Permissions(env=["KEY"])), ask=Person())
    assert grants.query("env") is GRANTED
    assert grants.query("env", "HOME") is GRANTED
    assert grants.query("env", "KEY") is DENIED
    assert grants.query("read", "/data/x") is GRANTED
    assert grants.query("read", "/") is PROMPT
    assert grants.query("kv", "users") is PROMPT
    assert grants.query("kv") is PROMPT


@pytest.mark.parametrize("item", ["", "a b", 5])
def test_bad_items(item: Any) -> None:
    """What is no permission, or no item of it, is refused as it is in Permissions."""
    grants = Grants(Permissions())
    with pytest.raises(ConfigError, match=r"permissions\.net"):
        grants.query("net", item)
    with pytest.raises(ConfigError, match='there is no permission "nett"; there are net, read'):
        grants.revoke("nett")


def test_request() -> None:
    """A request asks once: yes grants the item, always its whole kind, no refuses it for good."""
    person = Person(Answer.YES, Answer.NO, Answer.ALWAYS)
    grants = Grants(Permissions(), ask=person)
    assert grants.request("env", "A_*") is GRANTED
    assert grants.query("env", "A_B") is GRANTED
    assert grants.query("env", "B") is PROMPT
    assert grants.request("kv", ["users", 1]) is DENIED
    assert grants.request("kv", ["users", 1]) is DENIED
    assert grants.query("kv", "other") is PROMPT
    assert grants.request("net", "a.org") is GRANTED
    assert grants.query("net") is GRANTED
    assert person.asked == [("env", "A_*"), ("kv", "users/1"), ("net", "a.org")]


def test_revoke_and_grant_again() -> None:
    """Something taken back is not granted, whatever granted it; the newest decision wins."""
    grants = Grants(Permissions(net=True, kv=["users"]))
    permissions = grants.permissions
    assert grants.revoke("net", "*.example.com") is DENIED
    assert not permissions.check_net("a.example.com", 80)
    assert permissions.check_net("example.com", 80)
    assert grants.query("net") is DENIED
    assert grants.query("net", "b.example.com") is DENIED
    grants.grant("net", "b.example.com:443")
    assert permissions.check_net("b.example.com", 443)
    assert not permissions.check_net("b.example.com", 80)
    grants.revoke("kv")
    assert not permissions.check_kv(("users", 1))
    grants.grant("kv")
    assert permissions.check_kv(("anything",))
    with_person = Grants(Permissions(net=True), ask=Person())
    assert with_person.revoke("net", "a.org") is PROMPT


def test_a_denial_stands_above_every_grant() -> None:
    """Nothing that is denied can be granted later on, and nobody is asked."""
    person = Person()
    grants = Grants(Permissions(deny=Permissions(net=["10.0.0.0/8"], env=True)), ask=person)
    grants.grant("net", "10.0.0.1")
    grants.grant("env")
    assert not grants.permissions.check_net("10.0.0.1", 80)
    for check in (lambda p: p.require_net("10.0.0.1", 80), lambda p: p.require_env("HOME")):
        with pytest.raises(PermissionDenied, match="and without --deny-"):
            check(grants.permissions)
    assert grants.request("env", "HOME") is DENIED
    assert person.asked == []


def test_uses_are_asked_for() -> None:
    """A use that is not granted asks for exactly that; the answer holds for the next time."""
    person = Person(Answer.YES, Answer.NO, Answer.YES)
    permissions = Grants(Permissions(), ask=person).permissions
    permissions.require_net("api.example.com", 443)
    permissions.require_net("api.example.com", 443)
    for _ in range(2):
        with pytest.raises(PermissionDenied):
            permissions.require_net("api.example.com", 80)
    permissions.require_kv(("users", 1))
    permissions.require_kv(("users", 1, "name"))
    assert person.asked == [("net", "api.example.com:443"), ("net", "api.example.com:80"), ("kv", "users/1")]


def test_always_is_not_for_what_everything_does_not_cover(tmp_path: Path) -> None:
    """Inner addresses and the host's own trees are asked for by name, even after "always"."""
    person = Person(*[Answer.ALWAYS] * 6)
    permissions = Grants(Permissions(), ask=person).permissions
    permissions.require_net("a.example", 80)
    permissions.require_net("b.example", 80)
    assert not permissions.check_address("10.0.0.1", 80, public=False)
    permissions.require_address("b.example", "10.0.0.1", 80, public=False)
    permissions.require_address("b.example", "10.0.0.1", 80, public=False)
    assert not permissions.check_address("10.0.0.2", 80, public=False)
    permissions.require_read(tmp_path / "one")
    permissions.require_read(tmp_path / "two")
    permissions.require_read("/proc/version")
    assert person.asked == [
        ("net", "a.example:80"),
        ("net", "10.0.0.1:80"),
        ("read", str(tmp_path / "one")),
        ("read", "/proc/version"),
    ]


def test_addresses_can_be_taken_back() -> None:
    """Revoking an address keeps granted names from leading there."""
    grants = Grants(Permissions(net=["public.example"]))
    assert grants.permissions.check_address("93.184.216.34", 80, public=True)
    grants.revoke("net", "93.184.0.0/16")
    assert not grants.permissions.check_address("93.184.216.34", 80, public=True)
    assert grants.permissions.check_net("public.example", 80)


def test_names_with_a_star_are_never_asked_for() -> None:
    """A guest that asks for the variable "A*" gets no question: the answer would grant more than was shown."""
    person = Person()
    permissions = Grants(Permissions(), ask=person).permissions
    for name in ("A*", "*", ""):
        with pytest.raises(PermissionDenied):
            permissions.require_env(name)
    assert person.asked == []


def test_narrowing_bounds_what_is_granted_later() -> None:
    """A narrowed call cannot use what its own permissions do not grant, and nobody is asked for that."""
    person = Person(Answer.YES)
    grants = Grants(Permissions(net=["a.org"]), ask=person)
    narrow = grants.permissions.narrow(Permissions(net=["b.org"]))
    for host in ("a.org", "c.org"):
        with pytest.raises(PermissionDenied):
            narrow.require_net(host, 80)
    assert person.asked == []
    narrow.require_net("b.org", 80)
    grants.revoke("net", "b.org")
    assert not narrow.check_net("b.org", 80)


def test_one_question_at_a_time() -> None:
    """Guests on several threads wait for each other's question; the second one may be answered by the first."""
    open_questions, most = 0, 0

    def ask(_question: Question) -> Answer:
        nonlocal open_questions, most
        open_questions += 1
        most = max(most, open_questions)
        time.sleep(0.02)
        open_questions -= 1
        return Answer.YES

    permissions = Grants(Permissions(), ask=ask).permissions
    hosts = ["a.org", "a.org", "b.org", "b.org"]
    threads = [threading.Thread(target=permissions.require_net, args=(host, 80)) for host in hosts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_watches() -> None:
    """Every use and refusal is told, after the answer; narrowing keeps the watches."""
    seen: list[Use] = []
    permissions = Grants(Permissions(), ask=Person(Answer.YES, Answer.NO)).permissions.watched(seen.append)
    permissions.require_env("A")
    with pytest.raises(PermissionDenied):
        permissions.narrow(Permissions(env=True)).require_env("B")
    assert [(use.permission, use.target, use.grant, use.allowed) for use in seen] == [
        ("env", "A", "--allow-env=A", True),
        ("env", "B", "--allow-env=B", False),
    ]


# With guests -------------------------------------------------------------------------------------------

GUEST = """(module
  (import "echelon" "env_get" (func $env (param i32 i32) (result i32)))
  (import "echelon" "read_file" (func $read (param i32 i32) (result i32)))
  (import "echelon" "kv_get" (func $kv (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "GRANTS_TEST")
  (data (i32.const 32) "\\01\\00\\00\\00\\02\\00\\00\\00\\05\\00\\00\\00users")
  (data (i32.const 64) "notes.txt")
  (func (export "env") (result i32) (call $env (i32.const 0) (i32.const 11)))
  (func (export "kv") (result i32) (call $kv (i32.const 32) (i32.const 17)))
  (func (export "read") (result i32) (call $read (i32.const 64) (i32.const 9)))
  (func (export "twice") (result i32)
    (drop (call $env (i32.const 0) (i32.const 11))) (call $env (i32.const 0) (i32.const 11))))"""


async def test_a_guest_that_is_asked_for(runtime: Runtime, wat: Wat, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody may let a guest have what it was not granted; what is taken back is gone for the next call."""
    monkeypatch.setenv("GRANTS_TEST", "value")
    module = await runtime.load(wat(GUEST), name="guest")
    with pytest.raises(PermissionDenied):
        await module.call("env")
    person = Person(Answer.YES)
    module.grants.ask_somebody = person
    assert await module.call("env") == 5
    assert await module.call("env") == 5
    module.grants.ask_somebody = None
    assert module.grants.revoke("env", "GRANTS_TEST") is DENIED
    with pytest.raises(PermissionDenied):
        await module.call("env")
    assert person.asked == [("env", "GRANTS_TEST")]


async def test_files_that_are_asked_for(
    runtime: Runtime, wat: Wat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that somebody grants can be read, by the relative path the guest used; its neighbours cannot."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("four")
    module = await runtime.load(wat(GUEST))
    person = Person(Answer.YES)
    module.grants.ask_somebody = person
    assert await module.call("read") == 4
    assert person.asked == [("read", "notes.txt")]
    assert module.permissions.check_read(tmp_path / "notes.txt")
    assert not module.permissions.check_read(tmp_path / "other.txt")
    assert not module.permissions.check_write(tmp_path / "notes.txt")


async def test_running_calls_lose_what_is_taken_back(runtime: Runtime, wat: Wat) -> None:
    """A kept instance finds the door closed at its next use."""
    async with open_kv(":memory:") as kv:
        runtime.kv = kv
        module = await runtime.load(wat(GUEST), permissions=Permissions(kv=["users"]))
        grants = module.grants
        async with module.instance() as live:
            assert await live.call("kv") == -1
            grants.revoke("kv", "users")
            with pytest.raises(PermissionDenied):
                await live.call("kv")


@pytest.mark.parametrize("function", ["env", "kv"])
async def test_answers_take_no_time_of_the_call(runtime: Runtime, wat: Wat, function: str) -> None:
    """The time until somebody answers does not count, for functions that wait and for those that do not."""

    def ask(_question: Question) -> Answer:
        time.sleep(0.3)
        return Answer.YES

    async with open_kv(":memory:") as kv:
        runtime.kv = kv
        module = await runtime.load(wat(GUEST), limits=Limits(time=0.1))
        module.grants.ask_somebody = ask
        outcome = await module.run(function)
        assert outcome.value == -1
        assert outcome.cost.wall < 0.1


async def test_a_call_is_still_bounded_after_a_question(runtime: Runtime, wat: Wat) -> None:
    """What comes after the answer has the time that was left."""
    module = await runtime.load(
        wat(
            GUEST.replace(
                '(func (export "twice")',
                '(func (export "spin") (drop (call $env (i32.const 0) (i32.const 11))) (loop (br 0)))'
                '(func (export "twice")',
            )
        ),
        limits=Limits(time=0.2),
    )
    module.grants.ask_somebody = Person(Answer.YES)
    with pytest.raises(DeadlineExceeded):
        await module.call("spin")


async def test_the_runtimes_audit(
    code_directory: Path, tmp_path: Path, wat: Wat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `audit` every use by every module is a line of JSON; the file is closed with the runtime."""
    path = tmp_path / "audit.jsonl"
    monkeypatch.setenv("GRANTS_TEST", "value")
    settings = RuntimeSettings(instances=4, threads=1, cache=code_directory, audit=path)
    async with Runtime(settings) as runtime:
        first = await runtime.load(wat(GUEST), name="first", permissions=Permissions(env=["GRANTS_*"]))
        second = await runtime.load(wat(GUEST), name="second")
        await asyncio.gather(
            first.call("twice"), first.call("env", permissions=Permissions(env=["GRANTS_TEST"]))
        )
        with pytest.raises(PermissionDenied):
            await second.call("env")
    assert runtime.audit is None
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    seen = [(line["module"], line["permission"], line["target"], line["allowed"]) for line in lines]
    assert seen == [("first", "env", "GRANTS_TEST", True)] * 3 + [("second", "env", "GRANTS_TEST", False)]


async def test_an_audit_that_cannot_be_written(code_directory: Path, tmp_path: Path) -> None:
    """A runtime whose audit has no place does not start."""
    settings = RuntimeSettings(cache=code_directory, audit=tmp_path / "missing" / "audit.jsonl")
    with pytest.raises(ConfigError, match=r"wasm\.audit: .* cannot be written: No such file"):
        await Runtime(settings).start()
