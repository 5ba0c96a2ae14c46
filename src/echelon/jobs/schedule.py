"""When a job is due: five fields as cron has them, in a time zone, or an interval.

A schedule gives *slots*, moments of real time. Where a clock is put forward, what is due in the hour that it skips is
due at the moment it skips it. Where it is put back, a time that the clock shows twice counts the first time; but with
`*` or `*/n` for the hours every time it is shown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from echelon.errors import RouteError

_SECOND: Final = timedelta(seconds=1)
_MINUTE: Final = timedelta(minutes=1)
_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_HORIZON: Final = timedelta(days=9 * 366)
"""How far ahead a date is looked for: 29 February is at most eight years away."""

_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")

SHORT: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
"""Names for schedules that are often used."""

_ITEM: Final = re.compile(r"(\*|\w+)(?:-(\w+))?(?:/(\d{1,4}))?")


@dataclass(frozen=True, slots=True)
class Range:
    """One of the five fields: what it is called, and what it may hold."""

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()

    def number(self, word: str) -> int:
        """Return the number that a word of the field means; raises ValueError."""
        if word.lower() in self.names:
            return self.names.index(word.lower()) + self.low
        if not (word.isascii() and word.isdecimal()) or len(word) > 4:
            raise ValueError(
                f"{word!r} is not a number" + (f" or one of {', '.join(self.names)}" if self.names else "")
            )
        if not self.low <= int(word) <= self.high:
            raise ValueError(f"{word} is not from {self.low} to {self.high}")
        return int(word)

    def read(self, text: str) -> frozenset[int]:
        """Return the numbers that the field's text means; raises ValueError."""
        found: set[int] = set()
        for item in text.split(","):
            match = _ITEM.fullmatch(item)
            if match is None or (match[1] == "*" and match[2]):
                raise ValueError(f"{item!r} is none of *, a number, a range such as 1-5, or */5 and 1-10/5")
            first, last, step = match.groups()
            if first == "*":
                low, high = self.low, self.high
            else:
                low = self.number(first)
                high = low if last is None else self.number(last)
                if self.names == _WEEKDAYS and low > high == 0:  # Sunday ends a week, too
                    high = 7
                if step is not None and last is None:
                    raise ValueError(f"a step is of a range; write {first}-{self.high}/{step}")
            if low > high:
                raise ValueError(f"{item!r} runs backwards; write {first}-{self.high},{self.low}-{last}")
            if step is not None and int(step) == 0:
                raise ValueError("a step is 1 or more")
            found.update(range(low, high + 1, int(step or 1)))
        return frozenset(found)


_FIELDS: Final = (
    Range("minutes", 0, 59),
    Range("hours", 0, 23),
    Range("days", 1, 31),
    Range("months", 1, 12, _MONTHS),
    Range("weekdays", 0, 7, _WEEKDAYS),
)


@dataclass(frozen=True, slots=True)
class Cron:
    """A schedule of five fields in a time zone."""

    text: str
    zone: tzinfo
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    every_hour: bool
    """Whether the hours begin with `*`: then the schedule follows real time over the hour that comes twice."""

    either_day: bool
    """Whether a date fits that has one of the days or one of the weekdays, as neither begins with `*`."""

    def __str__(self) -> str:
        return self.text

    def after(self, moment: datetime) -> datetime:
        """Return the first slot after a moment; both are in UTC."""
        return self._follow(moment) if self.every_hour else self._once(moment)

    def _follow(self, moment: datetime) -> datetime:
        """Go through real time, in which the clock shows an hour as often as it does."""
        at = (moment - _EPOCH) // _MINUTE * _MINUTE + _EPOCH + _MINUTE
        limit = at + _HORIZON
        while at < limit:
            wall = at.astimezone(self.zone)
            if not self._fits_date(wall):
                midnight = datetime(wall.year, wall.month, wall.day) + _DAY
                at = max(at + _MINUTE, self._instant(midnight))
            elif wall.hour in self.hours and wall.minute in self.minutes:
                return at
            else:
                at += _MINUTE
        raise RouteError(f"{self}: there is no such date")

    def _once(self, moment: datetime) -> datetime:
        """Go through what the clock shows, each time once."""
        wall = moment.astimezone(self.zone)
        day = datetime(wall.year, wall.month, wall.day)
        limit = day + _HORIZON
        while day < limit:
            times = ((hour, minute) for hour in self.hours for minute in self.minutes)
            for hour, minute in times if self._fits_date(day) else ():
                at = self._instant(day.replace(hour=hour, minute=minute))
                if at > moment:
                    return at
            day += _DAY
        raise RouteError(f"{self}: there is no such date")

    def _fits_date(self, day: datetime) -> bool:
        by_day, by_weekday = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        fits = by_day or by_weekday if self.either_day else by_day and by_weekday
        return fits and day.month in self.months

    def _instant(self, wall: datetime) -> datetime:
        """Return the moment at which the clock shows a time first, or skips it."""
        late = wall.replace(tzinfo=self.zone).astimezone(UTC)
        if late.astimezone(self.zone).replace(tzinfo=None) == wall:
            return late
        early = wall.replace(tzinfo=self.zone, fold=1).astimezone(UTC)
        before = early.astimezone(self.zone).utcoffset()
        while late - early > _SECOND:
            middle = early + (late - early) // 2
            early, late = (
                (middle, late) if middle.astimezone(self.zone).utcoffset() == before else (early, middle)
            )
        return late.replace(microsecond=0)


@dataclass(frozen=True, slots=True)
class Every:
    """A schedule of equal intervals; its slots are whole multiples of it since 1970, so that all agree on them."""

    interval: timedelta
    zone: tzinfo

    def __str__(self) -> str:
        return f"every {self.interval}"

    def after(self, moment: datetime) -> datetime:
        """Return the first slot after a moment; both are in UTC."""
        return _EPOCH + ((moment - _EPOCH) // self.interval + 1) * self.interval


Schedule = Cron | Every


def latest(schedule: Schedule, since: datetime, until: datetime) -> datetime | None:
    """Return the last slot after `since` and not after `until`, None if there is none."""
    window = _HOUR
    while True:
        start = max(since, until - window)
        found, slot = None, schedule.after(start)
        while slot <= until:
            found, slot = slot, schedule.after(slot)
        if found is not None or start == since:
            return found
        window *= 24


def parse(text: str | timedelta, zone: str | tzinfo = "UTC") -> Schedule:
    """Return the schedule that a text or an interval means; raises RouteError that says what is wrong with it."""
    if isinstance(text, timedelta):
        if text < _SECOND:
            raise RouteError(f"an interval is at least a second, got {text}")
        return Every(text, _zone(zone))
    if not isinstance(text, str):
        raise RouteError(f'a schedule is a text such as "*/5 * * * *" or a timedelta, got {text!r:.60}')
    words = SHORT.get(text.strip().lower(), text).split()
    if len(words) != len(_FIELDS):
        known = ", ".join(SHORT)
        hint = (
            "; for seconds give a timedelta" if len(words) == len(_FIELDS) + 1 else f", or is one of {known}"
        )
        raise RouteError(
            f"{text!r:.60}: a schedule has five fields, minutes hours days months weekdays{hint}"
        )
    found = []
    for field, word in zip(_FIELDS, words, strict=True):
        try:
            found.append(field.read(word))
        except ValueError as exc:
            raise RouteError(f"{text!r:.60}: {field.name}: {exc}") from None
    minutes, hours, days, months, weekdays = found
    cron = Cron(
        text,
        _zone(zone),
        minutes=tuple(sorted(minutes)),
        hours=tuple(sorted(hours)),
        days=days,
        months=months,
        weekdays=frozenset(number % 7 for number in weekdays),
        every_hour=words[1].startswith("*"),
        either_day=not words[2].startswith("*") and not words[4].startswith("*"),
    )
    cron.after(datetime.now(UTC))
    return cron


def _zone(zone: str | tzinfo) -> tzinfo:
    if isinstance(zone, tzinfo):
        return zone
    try:
        return ZoneInfo(zone)
    except (ValueError, TypeError, OSError, ZoneInfoNotFoundError) as exc:
        raise RouteError(
            f'{zone!r:.60} is not a time zone that is known here, such as "Europe/Zurich"; '
            "where none is, `pip install tzdata`"
        ) from exc
