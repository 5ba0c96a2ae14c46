"""What a group of commits comes to before the server is asked."""

from __future__ import annotations

import re
from typing import Any

import pytest

from echelon.errors import KvValueError
from echelon.kv.backend import Action, Check, Commit, CommitResult, Enqueue, Fate, Lease, Mutation, Settlement
from echelon.kv.codec import Encoding, format_stamp
from echelon.kv.postgres_plan import SOON, Plan, Snapshot, Stored, depends_on, parse_lease, parse_stamp
from echelon.kv.postgres_schema import ABSENT, COUNTER, MIGRATIONS

NOW = 1_000_000
PARAMETERS = re.findall(
    r"(\w+) (?:uuid|bigint|integer|smallint|bytea|boolean)\b",
    MIGRATIONS[0].partition("commit_1(")[2].partition(") returns")[0],
)
FIELDS = PARAMETERS[3:]  # without the writer and the numbers of the batch


def put(key: bytes, value: bytes = b"", expires_at: int | None = None) -> Mutation:
    return Mutation(Action.SET, key, value, Encoding.BYTES, expires_at)


def number(action: Action, key: bytes, operand: int) -> Mutation:
    return Mutation(action, key, operand.to_bytes(8, "little"), Encoding.U64)


def u64(value: int) -> bytes:
    return value.to_bytes(8, "little")


def commit(*mutations: Mutation, checks: tuple[Check, ...] = ()) -> Commit:
    return Commit(checks, mutations, 0)


def plan(*commits: Commit, snapshot: Snapshot | None = None, shift: int = 0) -> Plan:
    return Plan(commits, snapshot, NOW, shift)


def given(made: Plan) -> dict[str, Any]:
    """What the server's function is given, by name."""
    return dict(zip(FIELDS, made.arguments(), strict=True))


def test_sets_suppose_nothing() -> None:
    """Sets and deletes depend on nothing; only what is left at the end is sent, with the place of its commit."""
    made = plan(
        commit(put(b"a", b"1"), put(b"b", b"1")),
        commit(put(b"a", b"2")),
        commit(Mutation(Action.DELETE, b"b")),
    )
    sent = given(made)
    assert (made.applied, made.unsure, sent["expected"]) == (3, False, [])
    assert (sent["keys"], sent["contents"], sent["offsets"], sent["deleted"]) == ([b"a"], [b"2"], [2], [b"b"])
    assert [o.versionstamp for o in made.outcomes(10) if isinstance(o, CommitResult)] == [
        format_stamp(n) for n in (11, 12, 13)
    ]


def test_checks_are_supposed_to_hold() -> None:
    """A check becomes an expectation; a later one on what the group has changed is known to fail."""
    made = plan(
        commit(put(b"a"), checks=(Check(b"a", None), Check(b"b", format_stamp(7)))),
        commit(put(b"c"), checks=(Check(b"a", None), Check(b"b", format_stamp(7)))),
        commit(Mutation(Action.DELETE, b"a"), checks=(Check(b"c", None),)),
        commit(put(b"d"), checks=(Check(b"a", None),)),
    )
    sent = given(made)
    assert dict(zip(sent["expected"], sent["versions"], strict=True)) == {b"a": ABSENT, b"b": 7, b"c": ABSENT}
    assert [o.failed_checks for o in made.outcomes(0) if isinstance(o, CommitResult)] == [(), (0,), (), ()]
    assert (made.applied, made.unsure) == (3, False)


@pytest.mark.parametrize(
    "checks",
    [
        (Check(b"a", None), Check(b"a", format_stamp(1))),
        (Check(b"a", "0" * 20),),
        (Check(b"a", "f" * 20),),
        (Check(b"a", format_stamp(1)[:-1] + "1"),),
    ],
)
def test_checks_that_cannot_all_hold(checks: tuple[Check, ...]) -> None:
    """Checks that contradict each other, or that no commit can satisfy, need to know what is there."""
    assert plan(commit(checks=checks)).unsure
    found = plan(commit(checks=checks), snapshot=Snapshot({b"a": Stored(1, 3, None)}, set()))
    assert not found.unsure
    assert found.applied == 0
    assert found.outcomes(0) == [CommitResult(None, (0,))]


def test_sums_are_left_to_the_server() -> None:
    """Sums of a group become one, on whatever number is there."""
    made = plan(commit(number(Action.SUM, b"n", 3)), commit(number(Action.SUM, b"n", 2**64 - 1)))
    sent = given(made)
    assert (sent["expected"], sent["versions"]) == ([b"n"], [COUNTER])
    assert (sent["counters"], sent["operands"], sent["counter_offsets"]) == ([b"n"], [u64(2)], [2])
    assert not made.unsure


def test_sum_on_what_the_group_wrote() -> None:
    """Arithmetic on what an earlier commit left, deleted or let expire is done here."""
    made = plan(
        commit(Mutation(Action.SET, b"a", u64(5), Encoding.U64), Mutation(Action.DELETE, b"b")),
        commit(Mutation(Action.SET, b"c", u64(5), Encoding.U64, NOW)),
        commit(*(number(Action.MAX, key, 3) for key in (b"a", b"b", b"c"))),
        commit(put(b"d", b"text")),
        commit(put(b"e"), number(Action.SUM, b"d", 1)),
    )
    sent = given(made)
    assert dict(zip(sent["keys"], sent["contents"], strict=True)) == {
        b"a": u64(5),
        b"b": u64(3),
        b"c": u64(3),
        b"d": b"text",
    }
    assert (sent["expected"], made.unsure, made.applied) == ([], False, 4)
    assert isinstance(made.outcomes(0)[4], KvValueError)


def test_minimum_needs_to_know() -> None:
    """A minimum, and anything but sums where there are sums, needs a snapshot and expects it unchanged."""
    commits = (
        commit(number(Action.SUM, b"n", 3)),
        commit(number(Action.MIN, b"n", 100)),
        commit(number(Action.SUM, b"n", 1)),
    )
    assert plan(*commits).unsure
    made = plan(*commits, snapshot=Snapshot({b"n": Stored(9, Encoding.U64, u64(90))}, set()))
    sent = given(made)
    assert (sent["expected"], sent["versions"], made.unsure) == ([b"n"], [9], False)
    assert (sent["keys"], sent["contents"], sent["counters"]) == ([b"n"], [u64(94)], [])
    absent = given(plan(*commits, snapshot=Snapshot({}, set())))
    assert (absent["versions"], absent["contents"]) == ([ABSENT], [u64(4)])


def test_sum_on_something_else() -> None:
    """A sum that a snapshot shows to meet another kind of value fails alone, and its commit leaves nothing."""
    commits = (commit(put(b"x"), number(Action.SUM, b"n", 3)), commit(put(b"y")))
    made = plan(*commits, snapshot=Snapshot({b"n": Stored(9, Encoding.BYTES, b"text")}, set()))
    sent = given(made)
    assert isinstance(made.outcomes(0)[0], KvValueError)
    assert (sent["keys"], sent["versions"], made.applied) == ([b"y"], [9], 1)


def test_stamped_keys() -> None:
    """A stamped set is sent with the place of its commit; in one commit the last one with a key wins."""
    stamped = [Mutation(Action.SET_STAMPED, b"log", value, Encoding.BYTES) for value in (b"1", b"2")]
    sent = given(plan(commit(*stamped), commit(stamped[0])))
    assert (sent["stems"], sent["stem_contents"], sent["stem_offsets"]) == (
        [b"log", b"log"],
        [b"2", b"1"],
        [1, 2],
    )
    assert sent["tell_watchers"]


def test_settlements() -> None:
    """A lease is supposed to hold until the group ends it; extending does not end it."""
    one, two, foreign = Lease("1", "11"), Lease("2", "22"), Lease("x", "y")
    fates = [
        (one, Fate.EXTEND, 5),
        (one, Fate.DONE, 0),
        (one, Fate.DONE, 0),
        (two, Fate.RELEASE, 7),
        (two, Fate.EXTEND, 9),
        (foreign, Fate.DONE, 0),
    ]
    commits = [Commit((), (), 0, settlements=(Settlement(*fate),)) for fate in fates]
    made = plan(*commits, shift=100)
    sent = given(made)
    assert sorted(zip(sent["held"], sent["tokens"], strict=True)) == [(1, 11), (2, 22)]
    assert (sent["done"], sent["moved"], sent["moved_to"], sent["kept"], sent["counted"]) == (
        [1],
        [2],
        [107],
        [False],
        [1],
    )
    assert [bool(outcome) for outcome in made.outcomes(0)] == [True, True, False, True, False, False]
    gone = plan(commits[0], commits[3], snapshot=Snapshot({}, {(2, 22)}))
    assert [bool(outcome) for outcome in gone.outcomes(0)] == [False, True]


def test_who_is_told() -> None:
    """Watchers are told of changes, listeners of what is due within a second, nobody of what is done."""

    def told(commit_: Commit) -> tuple[bool, bool]:
        sent = given(plan(commit_))
        return sent["tell_watchers"], sent["tell_listeners"]

    def enqueue(due: int) -> Commit:
        return Commit((), (), 0, enqueues=(Enqueue(b"", 3, due, (1,), (b"k",)),))

    assert told(commit(put(b"a"))) == (True, False)
    assert told(commit(number(Action.SUM, b"a", 1))) == (True, False)
    assert told(commit()) == (False, False)
    assert told(enqueue(NOW + SOON)) == (False, True)
    assert told(enqueue(NOW + SOON + 1)) == (False, False)
    lease = Lease("1", "1")
    for fate, soon in ((Fate.DONE, False), (Fate.EXTEND, False), (Fate.RETRY, True), (Fate.RELEASE, True)):
        assert told(Commit((), (), 0, settlements=(Settlement(lease, fate, 0),))) == (False, soon)


def test_what_commits_depend_on() -> None:
    """Checks depend on versions, arithmetic on values too, settlements on leases."""
    settlements = (Settlement(Lease("7", "1"), Fate.DONE), Settlement(Lease("x", "1"), Fate.DONE))
    commits = [Commit((Check(b"a", None),), (number(Action.SUM, b"n", 1), put(b"b")), 0, (), settlements)]
    keys, valued, messages = depends_on(commits)
    assert (sorted(keys), valued, messages) == ([b"a", b"n"], [b"n"], [7])


def test_parsing() -> None:
    """What this engine cannot have given out is no stamp and no lease."""
    assert [parse_stamp(s) for s in (None, format_stamp(5), "0" * 20, "8" + "0" * 19)] == [
        ABSENT,
        5,
        None,
        None,
    ]
    leases = [Lease("1", "2"), Lease("", "2"), Lease("1", "-2"), Lease(str(2**63), "1"), Lease("1.5", "1")]
    assert [parse_lease(lease) for lease in leases] == [(1, 2), None, None, None, None]
