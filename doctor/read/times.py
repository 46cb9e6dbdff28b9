"""Times: those that stand on log lines, those that a user types, and which lines lie between.

A time without a zone is taken as local time of this machine; one without a year (syslog, vLLM) as the last time that
it was so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Generic, Protocol, TypeVar

from doctor.errors import UsageProblem

_LOOK_CHARS = 300
_MONTHS = {
    name: n
    for n, name in enumerate("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)  # noqa: SIM905
}
_LEVEL = r"(?:TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERROR|CRITICAL|FATAL|[TDIWEF])\b:?"
# What may stand before the time: colours, (names), [names], levels, keys, names of containers. Never free text.
_BEFORE = re.compile(
    r"(?>(?:\x1b\[[0-9;]*m|\[(?![A-Z][a-z]{2} [A-Z][a-z]{2} )[^\]\d\s][^\]]{0,80}\]|\([^)]{1,80}\)|<\d+>"
    rf"|{_LEVEL}|(?:time|ts|timestamp|t)=|level=\w+|\w[\w./-]{{0,80}} +\|)"
    r"[\s\"]*+)*+[\s\[\"]*+(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? )?"
)
_CLOCK = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9}))?\d*"
_ZONE = r"(?: ?(?P<zone>Z\b|UTC\b|GMT\b|[+-]\d\d:?\d\d\b))?"
_FORMS = (
    re.compile(r"(?P<year>\d{4})[-/](?P<month>\d\d)[-/](?P<day>\d\d)(?:[T ]| - )" + _CLOCK + _ZONE),
    re.compile(r"(?P<name>[A-Z][a-z]{2}) (?P<day>[ \d]\d) " + _CLOCK + r"(?: (?P<year>\d{4})\b)?"),
    re.compile(r"(?P<month>\d\d)-(?P<day>\d\d) " + _CLOCK),
    re.compile(r"(?<=[IWEF])(?P<month>\d\d)(?P<day>\d\d) " + _CLOCK),
    re.compile(r"(?P<day>\d\d)/(?P<name>[A-Z][a-z]{2})/(?P<year>\d{4}):" + _CLOCK + _ZONE),
)
_KLOG = re.compile(r"[IWEF](?=\d{4} \d\d:\d\d:\d\d\.)")
_START_UP = timedelta(minutes=1)  # how far apart the lines of one start-up may be
_EPOCH = re.compile(r"(\d{10})\.(\d{3,6}) ")


def parse_time(text: str, now: datetime | None = None) -> datetime | None:
    """The time at the beginning of a log line, behind a prefix if there is one.

    Known are ISO 8601 with and without zone (also with blanks, slashes, Go's ``time=``), syslog, ``dmesg -T``,
    ``MM-DD hh:mm:ss`` (vLLM), klog, the common log format and ``journalctl -o short-unix``.

    Args:
        now: for stamps without a year; the present by default.

    Returns:
        With a zone; None when there is no such time.
    """
    found = parse_stamp(text, now)
    return found.time if found else None


@dataclass(frozen=True, slots=True)
class Stamp:
    """A time on a line.

    Attributes:
        clock: whose time it is: ``zoned``, or the form of a stamp that does not say its zone. Stamps can be compared if
            their clocks are the same: without a zone one may be UTC, in a container, and the other local.
    """

    time: datetime
    clock: str


def parse_stamp(text: str, now: datetime | None = None) -> Stamp | None:
    """``parse_time``, with what the stamp says about its clock."""
    text = text[:_LOOK_CHARS]
    before = _BEFORE.match(text)
    at = before.end() if before else 0
    if found := _EPOCH.match(text, at):
        seconds = datetime.fromtimestamp(int(found[1]), UTC)
        return Stamp(seconds + timedelta(microseconds=int(found[2].ljust(6, "0"))), "zoned")
    if found := _KLOG.match(text, at):
        at = found.end()
    for number, form in enumerate(_FORMS):
        if found := form.match(text, at):
            parts = found.groupdict()
            time = _time(parts, now)
            return None if time is None else Stamp(time, "zoned" if parts.get("zone") else f"form {number}")
    return None


def _time(parts: dict[str, str | None], now: datetime | None) -> datetime | None:
    month = int(parts.get("month") or 0) or _MONTHS.get(parts.get("name") or "", 0)
    day, hour, minute, second = (int(parts[name] or 0) for name in ("day", "hour", "minute", "second"))
    fraction = int((parts.get("fraction") or "0").ljust(6, "0")[:6])
    try:
        if year := int(parts.get("year") or 0):
            return _zoned(datetime(year, month, day, hour, minute, second, fraction), parts.get("zone"))
        now = now or datetime.now(UTC)
        for year in range(now.year, now.year - 9, -1):  # a 29 February has to be looked for
            with suppress(ValueError):
                time = _zoned(datetime(year, month, day, hour, minute, second, fraction), None)
                if time <= now + timedelta(days=1):
                    return time
    except (ValueError, OverflowError, OSError):  # no such day; a year that the system can't convert
        pass
    return None


def _zoned(time: datetime, zone: str | None) -> datetime:
    if not zone:
        return time.astimezone()
    if zone in {"Z", "UTC", "GMT"}:
        return time.replace(tzinfo=UTC)
    digits = zone[1:].replace(":", "")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return time.replace(tzinfo=timezone(-offset if zone[0] == "-" else offset))


@dataclass(frozen=True, slots=True)
class Period:
    """From ``since`` to ``until``, both included; None: open."""

    since: datetime | None = None
    until: datetime | None = None

    def holds(self, time: datetime) -> bool:
        return (self.since is None or time >= self.since) and (self.until is None or time <= self.until)


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_AGO = re.compile(r"(\d{1,7})\s*(s|m|h|d|w)(?:ec|ecs|in|ins|ours?|ays?|eeks?|econds?|inutes?)?(?: ago)?", re.IGNORECASE)
_DATE = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(?::\d\d(?:[.,]\d+)?)?)?" + _ZONE)


def parse_period(since: str | None, until: str | None, now: datetime | None = None) -> Period | None:
    """``--since`` and ``--until`` as typed; None when neither was.

    Raises:
        UsageProblem: not a time, or the wrong way round.
    """
    if since is None and until is None:
        return None
    now = now or datetime.now(UTC).astimezone()
    period = Period(
        parse_moment(since, "--since", now) if since is not None else None,
        parse_moment(until, "--until", now, end=True) if until is not None else None,
    )
    if period.since and period.until and period.since > period.until:
        raise UsageProblem("--since is later than --until")
    return period


def parse_moment(text: str, option: str, now: datetime, *, end: bool = False) -> datetime:
    """A time as a user types it: ``2h``, ``30 min ago``, ``yesterday``, ``09:30``, a date, ISO 8601, ``@1771319531``.

    Args:
        end: a day means its end.

    Raises:
        UsageProblem: none of these.
    """
    word = text.strip()
    day = timedelta(days=1, microseconds=-1) if end else timedelta()
    today = now.astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    try:
        if word.lower() in {"now", "today", "yesterday"}:
            return {"now": now, "today": today + day, "yesterday": _days(today, -1) + day}[word.lower()]
        if found := _AGO.fullmatch(word.removeprefix("-")):
            return now - timedelta(seconds=int(found[1]) * _UNITS[found[2].lower()])
        if re.fullmatch(r"@\d{1,11}", word):
            return datetime.fromtimestamp(int(word[1:]), UTC)
        if found := re.fullmatch(r"(\d?\d):(\d\d)(?::(\d\d))?", word):
            return today.replace(hour=int(found[1]), minute=int(found[2]), second=int(found[3] or 0))
        if found := _DATE.fullmatch(word):
            zone = found["zone"]
            bare = word.removesuffix(zone).strip() if zone else word
            time = _zoned(datetime.fromisoformat(bare.replace(",", ".")), zone)
            return time if found[2] else time + day
    except (ValueError, OverflowError, OSError):
        pass
    raise UsageProblem(
        f"{text!r} is not a time",
        subject=option,
        hint="for example 2h, yesterday, 09:30, 2026-02-17T09:30 or @1771319531",
    )


def _days(midnight: datetime, days: int) -> datetime:
    """Midnight some days away, also across a change of summer time."""
    return (midnight.replace(tzinfo=None) + timedelta(days=days)).astimezone()


class _Line(Protocol):
    @property
    def number(self) -> int: ...
    @property
    def text(self) -> str: ...
    @property
    def before(self) -> Sequence[str]: ...


class _Hit(Protocol):
    @property
    def line(self) -> _Line: ...


H = TypeVar("H", bound=_Hit)


@dataclass(slots=True)
class Selected(Generic[H]):
    """``dated``: whether any line carried a time; if none did, all hits are kept."""

    hits: list[H] = field(default_factory=list)
    dated: bool = False
    first: datetime | None = None
    last: datetime | None = None


def select(
    hits: Sequence[H],
    period: Period,
    *,
    starts: Callable[[H], bool] = lambda hit: False,
    describes: Callable[[H], bool] = lambda hit: False,
) -> Selected[H]:
    """The hits (of one source, by line) within a period, by the time on their line, or the nearest before it.

    What stands before the first time counts as of that time. A service that runs at the period's beginning was
    started before: what it then said of itself is kept too, as without it nothing can be said of what came later.

    Args:
        starts: hits with which a run begins.
        describes: hits by which a run tells what it is; those of the last start-up before the period are kept.
    """
    times = [_time_at(hit.line) for hit in hits]
    known = [time for time in times if time is not None]
    if not known:
        return Selected(list(hits))
    chosen = Selected[H](dated=True, first=min(known), last=max(known))
    before: list[tuple[datetime, H]] = []
    current = known[0]
    for hit, time in zip(hits, times, strict=True):
        current = time or current
        if period.holds(current):
            chosen.hits.append(hit)
        elif period.since is not None and current < period.since and (starts(hit) or describes(hit)):
            before.append((current, hit))
    if chosen.hits:
        last_start = max((time for time, hit in before if starts(hit)), default=None)
        chosen.hits[:0] = [hit for time, hit in before if last_start is None or time >= last_start - _START_UP]
    return chosen


def _time_at(line: _Line) -> datetime | None:
    for text in (line.text, *reversed(line.before)):
        if (time := parse_time(text)) is not None:
            return time
    return None
