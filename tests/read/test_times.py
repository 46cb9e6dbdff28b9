from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctor.errors import UsageProblem
from doctor.read.times import Period, parse_moment, parse_period, parse_time, select

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LOCAL = datetime(2026, 2, 17, 9, 12, 11).astimezone()
EAST = timezone(timedelta(hours=1))


@pytest.mark.parametrize(
    ("line", "time"),
    [
        ("2026-02-17 09:12:11 x", LOCAL),
        ("[2026-02-17 09:12:11] x", LOCAL),
        ("[2026-02-17 09:12:11 TP0] Prefill batch", LOCAL),
        ("2026-02-17 09:12:11,123 - worker - INFO - x", LOCAL.replace(microsecond=123000)),
        ("2026-02-17T09:12:11+01:00 - gpustack.worker - INFO - x", datetime(2026, 2, 17, 9, 12, 11, tzinfo=EAST)),
        ("2026-02-17T09:12:11.123456789Z x", datetime(2026, 2, 17, 9, 12, 11, 123456, tzinfo=UTC)),
        ("time=2026-02-17T09:12:11.5+01:00 level=INFO x", datetime(2026, 2, 17, 9, 12, 11, 500000, tzinfo=EAST)),
        ('time="2026-02-17T09:12:11Z" level=info x', datetime(2026, 2, 17, 9, 12, 11, tzinfo=UTC)),
        ("2026/02/17 09:12:11 routes.go:1187: x", LOCAL),
        ("[GIN] 2026/02/17 - 09:12:11 | 200 |", LOCAL),
        ("INFO 02-17 09:12:11 [core.py:58] x", LOCAL),
        ("(EngineCore_0 pid=123) INFO 02-17 09:12:11 [core.py:58] x", LOCAL),
        ("\x1b[32mINFO\x1b[0m 02-17 09:12:11 x", LOCAL),
        ("Feb 17 09:12:11 box ollama[1]: x", LOCAL),
        ("[Tue Feb 17 09:12:11 2026] Out of memory", LOCAL),
        ("Tue 2026-02-17 09:12:11 CET box ollama[1]: x", LOCAL),
        ("ollama-1  | 2026-02-17 09:12:11 x", LOCAL),
        ("[pod/a/b] 2026-02-17T09:12:11Z x", datetime(2026, 2, 17, 9, 12, 11, tzinfo=UTC)),
        ("I0217 09:12:11.000001       1 main.go:1] x", LOCAL.replace(microsecond=1)),
        ("1771319531.250000 box ollama[1]: x", datetime(2026, 2, 17, 9, 12, 11, 250000, tzinfo=UTC)),
        ("[17/Feb/2026:09:12:11 +0000] x", datetime(2026, 2, 17, 9, 12, 11, tzinfo=UTC)),
        ("Dec 31 23:59:59 box x: y", datetime(2025, 12, 31, 23, 59, 59).astimezone()),  # of the year before
        ("Mar  2 11:00:00 box x: y", datetime(2026, 3, 2, 11, 0, 0).astimezone()),  # clocks differ by some hours
        ("Feb 29 00:00:00 box x: y", datetime(2024, 2, 29).astimezone()),
        ("Model created at 2024-05-01 12:00:00", None),
        ("llama_model_loader: - kv 3: general.date str = 2024-05-01 12:00:00", None),
        ("2024-05-01 released", None),
        ("2026-02-30 09:12:11 x", None),
        ("2026-02-17 25:12:11 x", None),
        ("16.15.162.661 I srv x", None),
        ("[12345.678901] x", None),
        ("", None),
    ],
)
def test_times_on_lines(line: str, time: datetime | None) -> None:
    assert parse_time(line, NOW) == time


@given(line=st.text(max_size=400))
def test_no_line_raises(line: str) -> None:
    parse_time(line, NOW)


@given(
    parts=st.lists(
        st.sampled_from(["[a] ", "(b) ", "INFO ", "<6>", "time=", '"', "x | ", "2026-", "Mon ", "["]), max_size=80
    )
)
def test_no_prefix_takes_long(parts: list[str]) -> None:
    parse_time("".join(parts), NOW)


@given(time=st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)))
def test_iso_round_trip(time: datetime) -> None:
    aware = time.replace(tzinfo=UTC)
    assert parse_time(f"{aware.isoformat()} x") == aware


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2h", NOW - timedelta(hours=2)),
        ("30 min ago", NOW - timedelta(minutes=30)),
        ("-90s", NOW - timedelta(seconds=90)),
        ("3 days", NOW - timedelta(days=3)),
        ("now", NOW),
        ("@1771319531", datetime(2026, 2, 17, 9, 12, 11, tzinfo=UTC)),
        ("2026-02-17T09:12:11Z", datetime(2026, 2, 17, 9, 12, 11, tzinfo=UTC)),
        ("2026-02-17 09:12:11+01:00", datetime(2026, 2, 17, 9, 12, 11, tzinfo=EAST)),
        ("2026-02-17 09:12", LOCAL.replace(second=0)),
        ("2026-02-17", LOCAL.replace(hour=0, minute=0, second=0)),
    ],
)
def test_moments_as_typed(text: str, moment: datetime) -> None:
    assert parse_moment(text, "--since", NOW) == moment


def test_days_have_a_beginning_and_an_end() -> None:
    start = parse_moment("yesterday", "--since", NOW)
    end = parse_moment("yesterday", "--until", NOW, end=True)
    assert (start.hour, start.minute) == (0, 0)
    assert end - start == timedelta(days=1, microseconds=-1)
    assert parse_moment("2026-02-17", "--until", NOW, end=True) - LOCAL < timedelta(days=1)
    assert parse_moment("09:30", "--since", NOW).strftime("%H:%M") == "09:30"


@pytest.mark.parametrize(
    "text", ["", "soon", "2026-13-01", "25:00", "99999999999999h", "2h; rm", "@" + "9" * 30, "9999999w"]
)
def test_what_is_no_time_is_refused_with_examples(text: str) -> None:
    with pytest.raises(UsageProblem) as caught:
        parse_moment(text, "--since", NOW)
    assert caught.value.subject == "--since"
    assert "yesterday" in (caught.value.hint or "")


def test_a_period_the_wrong_way_round() -> None:
    with pytest.raises(UsageProblem):
        parse_period("1h", "2h", NOW)
    assert parse_period(None, None) is None
    assert parse_period("2h", None, NOW) == Period(NOW - timedelta(hours=2))


@dataclass
class Line:
    number: int
    text: str
    before: tuple[str, ...] = ()


@dataclass
class Hit:
    line: Line
    kind: str = "event"


def hits(*lines: str | tuple[str, str]) -> list[Hit]:
    found = []
    for number, line in enumerate(lines, 1):
        text, kind = line if isinstance(line, tuple) else (line, "event")
        found.append(Hit(Line(number, text), kind))
    return found


SINCE = Period(datetime(2026, 2, 17, 10, tzinfo=UTC), datetime(2026, 2, 17, 12, tzinfo=UTC))


def test_lines_without_a_time_are_of_the_time_before_them() -> None:
    found = select(
        hits(
            "banner",
            "2026-02-17T09:00:00Z early",
            "of 9",
            "2026-02-17T11:00:00Z in",
            "of 11",
            "2026-02-17T13:00:00Z late",
        ),
        SINCE,
    )
    assert [hit.line.text for hit in found.hits] == ["2026-02-17T11:00:00Z in", "of 11"]
    assert found.dated
    assert (found.first, found.last) == (datetime(2026, 2, 17, 9, tzinfo=UTC), datetime(2026, 2, 17, 13, tzinfo=UTC))


def test_neighbours_tell_the_time_too() -> None:
    hit = Hit(Line(9, "CUDA error", ("2026-02-17T09:00:00Z x", "2026-02-17T11:00:00Z y", "z")))
    assert select([hit], SINCE).hits == [hit]


def test_without_any_time_everything_stays() -> None:
    found = select(hits("a", "b"), SINCE)
    assert len(found.hits) == 2
    assert not found.dated


def test_the_start_of_the_run_that_goes_on_is_kept() -> None:
    found = select(
        hits(
            ("2026-02-15T09:00:00Z start", "start"),
            ("version 1", "fact"),
            "2026-02-15T10:00:00Z crash",
            ("2026-02-16T09:00:00Z start", "start"),
            ("version 2", "fact"),
            "2026-02-16T09:00:30Z ready",
            "2026-02-17T11:00:00Z crash",
        ),
        SINCE,
        starts=lambda hit: hit.kind == "start",
        describes=lambda hit: hit.kind == "fact",
    )
    assert [hit.line.number for hit in found.hits] == [4, 5, 7]


def test_nothing_in_the_period_leaves_nothing() -> None:
    found = select(
        hits(("2026-02-16T09:00:00Z start", "start"), "2026-02-16T09:00:30Z x"), SINCE, starts=lambda hit: True
    )
    assert found.hits == []
    assert found.dated
