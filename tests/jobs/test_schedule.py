"""Schedules: what five fields mean, and what becomes of them when clocks are put forward and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from echelon.errors import RouteError
from echelon.jobs.schedule import SHORT, Cron, Every, latest, parse


def slots(text: str | timedelta, start: str, count: int, zone: str = "UTC") -> list[str]:
    """Return the next slots after a local time, as the clock shows them."""
    schedule = parse(text, zone)
    at = datetime.fromisoformat(start)
    at = at.replace(tzinfo=at.tzinfo or ZoneInfo(zone)).astimezone(UTC)
    found = []
    for _ in range(count):
        at = schedule.after(at)
        found.append(at.astimezone(ZoneInfo(zone)).strftime("%a %d.%m. %H:%M"))
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("* * * * *", ["Fri 23.10. 12:31", "Fri 23.10. 12:32"]),
        ("*/20 * * * *", ["Fri 23.10. 12:40", "Fri 23.10. 13:00"]),
        ("5-7,30 13 * * *", ["Fri 23.10. 13:05", "Fri 23.10. 13:06", "Fri 23.10. 13:07", "Fri 23.10. 13:30"]),
        ("10-50/20 0 * * *", ["Sat 24.10. 00:10", "Sat 24.10. 00:30", "Sat 24.10. 00:50"]),
        ("0 9 * * mon-fri", ["Mon 26.10. 09:00", "Tue 27.10. 09:00"]),
        ("0 9 * * fri-sun", ["Sat 24.10. 09:00", "Sun 25.10. 09:00", "Fri 30.10. 09:00"]),
        ("0 9 * * 0,7", ["Sun 25.10. 09:00", "Sun 01.11. 09:00"]),
        ("0 0 1 JAN,jul *", ["Fri 01.01. 00:00", "Thu 01.07. 00:00"]),
        ("0 0 13 * fri", ["Fri 30.10. 00:00", "Fri 06.11. 00:00", "Fri 13.11. 00:00"]),
        ("0 0 */2 * mon", ["Mon 09.11. 00:00", "Mon 23.11. 00:00"]),
        ("0 0 29 2 *", ["Tue 29.02. 00:00", "Sun 29.02. 00:00"]),
        ("0 0 31 * *", ["Sat 31.10. 00:00", "Thu 31.12. 00:00"]),
        ("@hourly", ["Fri 23.10. 13:00", "Fri 23.10. 14:00"]),
        ("@Daily", ["Sat 24.10. 00:00", "Sun 25.10. 00:00"]),
        ("@weekly", ["Sun 25.10. 00:00"]),
        ("@yearly", ["Fri 01.01. 00:00"]),
    ],
)
def test_five_fields(text: str, expected: list[str]) -> None:
    """Numbers, names, ranges, lists and steps mean what they mean to cron."""
    assert slots(text, "2026-10-23T12:30:30", len(expected)) == expected


@pytest.mark.parametrize(
    ("text", "start", "expected"),
    [
        ("30 2 * * *", "2026-03-28T12:00", ["Sun 29.03. 03:00", "Mon 30.03. 02:30"]),
        ("0,30 2,3 * * *", "2026-03-28T12:00", ["Sun 29.03. 03:00", "Sun 29.03. 03:30", "Mon 30.03. 02:00"]),
        ("*/30 * * * *", "2026-03-29T01:00", ["Sun 29.03. 01:30", "Sun 29.03. 03:00", "Sun 29.03. 03:30"]),
        ("0 */2 * * *", "2026-03-29T00:30", ["Sun 29.03. 04:00"]),
        ("30 2 * * *", "2026-10-24T12:00", ["Sun 25.10. 02:30", "Mon 26.10. 02:30"]),
        ("30 2 * * *", "2026-10-25T02:40", ["Mon 26.10. 02:30"]),
        ("30 2 * * *", "2026-10-25T01:10+00:00", ["Mon 26.10. 02:30"]),
        (
            "*/30 * * * *",
            "2026-10-25T01:40",
            [
                "Sun 25.10. 02:00",
                "Sun 25.10. 02:30",
                "Sun 25.10. 02:00",
                "Sun 25.10. 02:30",
                "Sun 25.10. 03:00",
            ],
        ),
        ("0 */2 * * *", "2026-10-25T01:00", ["Sun 25.10. 02:00", "Sun 25.10. 02:00", "Sun 25.10. 04:00"]),
    ],
)
def test_clocks_that_are_changed(text: str, start: str, expected: list[str]) -> None:
    """A skipped time counts at the jump, a repeated one once, but with * for the hours each time it is shown."""
    assert slots(text, start, len(expected), "Europe/Zurich") == expected


def test_other_changes() -> None:
    """Clocks that change at midnight, or by half an hour, are no exception."""
    assert slots("0 0 * * *", "2026-03-07T12:00", 3, "America/Havana") == [
        "Sun 08.03. 01:00",
        "Mon 09.03. 00:00",
        "Tue 10.03. 00:00",
    ]
    assert slots("15 2 * * *", "2026-10-03T12:00", 2, "Australia/Lord_Howe") == [
        "Sun 04.10. 02:30",
        "Mon 05.10. 02:15",
    ]
    assert slots("0 12 * * *", "2011-12-28T13:00", 3, "Pacific/Apia") == [
        "Thu 29.12. 12:00",
        "Sat 31.12. 00:00",
        "Sat 31.12. 12:00",
    ]


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(["Europe/Zurich", "America/Havana", "Australia/Lord_Howe", "UTC", "Asia/Kathmandu"]),
    st.sampled_from(["*/7", "30", "0,15"]),
    st.sampled_from(["*", "*/3", "2", "1-3", "0,23"]),
    st.sampled_from(["* * *", "* 3,10 *", "1-7 * sun", "25-31 * *"]),
    st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31)),
)
def test_slots_agree(zone: str, minutes: str, hours: str, dates: str, start: datetime) -> None:
    """Whichever moment between two slots one asks at, the next slot is the same, and its fields fit."""
    schedule = parse(f"{minutes} {hours} {dates}", zone)
    assert isinstance(schedule, Cron)
    begin = start.replace(tzinfo=UTC)
    slot = schedule.after(begin)
    assert slot > begin
    assert slot.tzinfo is UTC
    for share in (0.1, 0.5, 0.999):
        assert schedule.after(begin + (slot - begin) * share) == slot
    assert schedule.after(slot) > slot
    assert latest(schedule, begin, slot) == slot
    assert latest(schedule, slot, slot) is None
    wall, before = slot.astimezone(schedule.zone), (slot - timedelta(minutes=1)).astimezone(schedule.zone)
    if wall.utcoffset() == before.utcoffset():
        assert wall.minute in schedule.minutes
        assert wall.hour in schedule.hours


def test_intervals() -> None:
    """Slots of an interval are the same for everybody, whenever they began."""
    assert parse(timedelta(seconds=10)).after(datetime(2026, 1, 1, 0, 0, 3, tzinfo=UTC)) == datetime(
        2026, 1, 1, 0, 0, 10, tzinfo=UTC
    )
    assert slots(timedelta(hours=6), "2026-10-23T12:00", 2) == ["Fri 23.10. 18:00", "Sat 24.10. 00:00"]
    assert isinstance(parse(timedelta(days=1)), Every)


def test_latest() -> None:
    """The last slot is found however long ago the first was."""
    since, until = datetime(2001, 1, 1, tzinfo=UTC), datetime(2026, 5, 5, 2, 0, 30, tzinfo=UTC)
    assert latest(parse("* * * * *"), since, until) == datetime(2026, 5, 5, 2, 0, tzinfo=UTC)
    assert latest(parse("0 3 * * *"), since, until) == datetime(2026, 5, 4, 3, 0, tzinfo=UTC)
    assert latest(parse("@yearly"), since, until) == datetime(2026, 1, 1, tzinfo=UTC)
    assert latest(parse("@yearly"), until - timedelta(days=2), until) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("61 * * * *", "minutes: 61 is not from 0 to 59"),
        ("* 24 * * *", "hours: 24 is not from 0 to 23"),
        ("* * 0 * *", "days: 0 is not from 1 to 31"),
        ("* * * foo *", "months: 'foo' is not a number or one of jan, feb"),
        ("* * * * 8", "weekdays: 8 is not from 0 to 7"),
        ("x * * * *", "minutes: 'x' is not a number"),
        ("*-5 * * * *", r"minutes: '\*-5' is none of \*, a number"),
        ("1,,2 * * * *", "minutes: '' is none of"),
        ("5/15 * * * *", "a step is of a range; write 5-59/15"),
        ("* 22-3 * * *", "runs backwards; write 22-23,0-3"),
        ("*/0 * * * *", "a step is 1 or more"),
        ("99999 * * * *", "is not a number"),
        ("* * * *", "five fields, minutes hours days months weekdays, or is one of @hourly"),
        ("0 * * * * *", "for seconds give a timedelta"),
        ("@reboot", "five fields"),
        ("", "five fields"),
        ("0 0 31 2 *", "there is no such date"),
        ("* * 30 2 *", "there is no such date"),
        (5, "a schedule is a text"),
        (timedelta(milliseconds=10), "an interval is at least a second"),
    ],
)
def test_mistakes(text: str, message: str) -> None:
    """A schedule that makes no sense is an error that says where and what to write."""
    with pytest.raises(RouteError, match=message):
        parse(text)


def test_zones() -> None:
    """A zone is a name or a tzinfo; one that is not known is an error."""
    assert parse("@daily", ZoneInfo("Asia/Tokyo")).zone == ZoneInfo("Asia/Tokyo")
    for zone in ("Europe/Nowhere", "../etc/passwd", "", 5):
        with pytest.raises(RouteError, match="is not a time zone that is known here"):
            parse("@daily", zone)  # type: ignore[arg-type]  # 5 is none


def test_every_name_is_valid() -> None:
    """Each name for a schedule means one."""
    for name in SHORT:
        assert parse(name).after(datetime(2026, 1, 1, tzinfo=UTC)) > datetime(2026, 1, 1, tzinfo=UTC)
