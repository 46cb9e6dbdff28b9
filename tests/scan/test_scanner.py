from __future__ import annotations

import io
import itertools
import random
import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from doctor.scan import scanner
from doctor.scan.collect import KEEP
from doctor.scan.database import Database
from doctor.scan.patterns import Pattern
from doctor.scan.scanner import Hit, Scan, scan, scan_text

PATTERNS = [
    Pattern("oom", r"allocating (?P<size>[\d.]+) MiB on device (?P<device>\d+): cudaMalloc failed: out of memory"),
    Pattern("xid", r"NVRM: Xid \((?P<pci>[^)]+)\): (?P<xid>\d+)(?P<more>, pid=\d+)?"),
    Pattern("killed", r"killed process (?P<pid>\d+)$", ignore_case=True),
    Pattern("not-idle", r"slot (?P<id>\d+) is (?!idle)\w+"),
    Pattern("umlaut", "größe (?P<n>.) äh"),
    Pattern("speed", r"eval time = +(?P<ms>[\d.]+) ms / +\d+ tokens", dense=True),
]
LINES = [
    "ggml: allocating 18432.00 MiB on device 1: cudaMalloc failed: out of memory",
    "kernel: NVRM: Xid (PCI:0000:41:00): 79, pid=4711, name=llama",
    "Killed process 42",
    "killed process 42 (not at the end)",
    "slot 3 is idle",
    "slot 3 is processing",
    "Größe Ω äh, größe – äh",
    "       eval time =    9123.11 ms /   388 tokens (   23.51 ms per token)",
    "nothing to see here",
    "",
    "x" * 600,
]


@pytest.fixture(scope="module")
def database() -> Database:
    return Database(PATTERNS, cache=False)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Everything is a big input, in many blocks."""
    monkeypatch.setattr(scanner, "FULL_BYTES", 0)
    monkeypatch.setattr(scanner, "BLOCK_BYTES", 70_000)
    yield 70_000


def by_hand(data: bytes, patterns: list[Pattern], context: int = 3) -> list[tuple[Any, ...]]:
    """What a scan must find, line by line and pattern by pattern."""
    raw = data.split(b"\n")
    if raw[-1] == b"":
        raw.pop()
    lines = [re.sub(r"\x1b\[[0-?]*[ -/]*[@-~]", "", line.decode("utf-8", "replace")).rstrip("\r") for line in raw]
    found = []
    for number, line in enumerate(lines, 1):
        for pattern in patterns:
            flags = regex.ASCII | (regex.IGNORECASE if pattern.ignore_case else 0)
            matches = [m for part in line.split("\r") if (m := regex.search(pattern.pattern, part, flags))]
            if matches:
                before = tuple(text[:500] for text in lines[max(0, number - 1 - context) : number - 1])
                after = tuple(text[:500] for text in lines[number : number + context])
                found.append((number, pattern.key, line, matches[-1].groupdict(), before, after))
    return found


def flat(hits: list[Hit]) -> list[tuple[Any, ...]]:
    return [(h.line.number, h.key, h.line.text, h.captures, h.line.before, h.line.after) for h in hits]


def test_hits_have_number_text_captures_and_neighbours(database: Database) -> None:
    found = scan_text("\n".join(LINES), database)
    assert flat(found.hits) == by_hand("\n".join(LINES).encode(), PATTERNS)
    assert [(h.key, h.line.number) for h in found.hits] == [
        ("oom", 1), ("xid", 2), ("killed", 3), ("not-idle", 6), ("umlaut", 7), ("speed", 8)
    ]  # fmt: skip
    assert found.hits[0].captures == {"size": "18432.00", "device": "1"}
    assert found.hits[1].captures == {"pci": "PCI:0000:41:00", "xid": "79", "more": ", pid=4711"}
    assert found.hits[4].captures == {"n": "–"}
    assert found.hits[0].line.before == ()
    assert found.hits[0].line.after == tuple(LINES[1:4])
    assert found.hits[-1].line.after == ("nothing to see here", "", "x" * 500)
    assert (found.lines, found.bytes) == (len(LINES), len("\n".join(LINES).encode()))
    assert found.first == tuple(LINES[:5])
    assert found.last == tuple(LINES[-5:])
    assert not found.sampled
    assert not found.problems
    assert found.counts == {"oom": 1, "xid": 1, "killed": 1, "not-idle": 1, "umlaut": 1, "speed": 1}


def test_several_hits_on_a_line_share_it_and_come_in_the_order_of_the_patterns() -> None:
    database = Database([Pattern("b", "device lost"), Pattern("a", "the device")], cache=False)
    found = scan_text("the device lost its way", database)
    assert [hit.key for hit in found.hits] == ["b", "a"]
    assert found.hits[0].line is found.hits[1].line


TEXTS = st.lists(
    st.tuples(
        st.sampled_from(LINES),
        st.sampled_from(("", "\r", "\rslot 9 is busy", "\x1b[31m", "\x1b[0m tail", "\x00", "é")),
    ).map("".join),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(lines=TEXTS, newline=st.booleans(), context=st.integers(0, 4))
def test_small_input_is_found_as_by_hand(lines: list[str], newline: bool, context: int, database: Database) -> None:
    data = ("\n".join(lines) + ("\n" if newline else "")).encode()
    found = scan(io.BytesIO(data), database, context=context)
    assert flat(found.hits) == by_hand(data, PATTERNS, context)
    assert found.lines == data.count(b"\n") + (data != b"" and not data.endswith(b"\n"))
    assert found.ends_with_newline == data.endswith(b"\n")


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), workers=st.integers(1, 3), context=st.integers(0, 4))
def test_big_input_is_found_as_by_hand(seed: int, workers: int, context: int, database: Database) -> None:
    dice = random.Random(seed)
    plain = [p for p in PATTERNS if not p.dense]
    lines = [
        dice.choice(LINES) if dice.random() < 0.08 else "y" * dice.randrange(600) for _ in range(dice.randrange(1500))
    ]
    data = "\n".join(lines).encode() + b"\n" * dice.randrange(3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scanner, "FULL_BYTES", 0)
        patch.setattr(scanner, "BLOCK_BYTES", dice.randrange(66_000, 120_000))
        found = scan(io.BytesIO(data), Database(plain, cache=False), workers=workers, context=context)
    assert flat(found.hits) == by_hand(data, plain, context)
    assert found.lines == data.count(b"\n") + (data != b"" and not data.endswith(b"\n"))
    expected = [line.decode() for line in data.split(b"\n")]
    assert list(found.first) == (expected[:-1] if data.endswith(b"\n") else expected)[:5]
    assert list(found.last) == (expected[:-1] if data.endswith(b"\n") or not data else expected)[-5:]


def test_line_ends_and_progress_bars(database: Database) -> None:
    data = b"one\r\nslot 1 is idle\rslot 2 is loading\rslot 3 is idle\r\nslot 4 is up\r\r\n\rkilled process 7\rx"
    found = scan(io.BytesIO(data), database)
    assert [(h.line.number, h.captures) for h in found.hits] == [(2, {"id": "2"}), (3, {"id": "4"}), (4, {"pid": "7"})]
    assert found.hits[0].line.text == "slot 1 is idle\rslot 2 is loading\rslot 3 is idle"
    assert found.hits[1].line.text == "slot 4 is up"
    assert found.lines == 4


def test_a_pattern_does_not_reach_over_a_carriage_return(database: Database) -> None:
    assert not scan_text("NVRM: Xid (PCI\r0000): 79", database).hits


def test_colour_codes_are_no_part_of_the_text(database: Database) -> None:
    found = scan_text("\x1b[1;31mkernel: NVRM: \x1b[0mXid (a\x1b[2K): \x1b[38;5;1m79\x1b[m", database)
    assert found.hits[0].line.text == "kernel: NVRM: Xid (a): 79"
    assert found.hits[0].captures["xid"] == "79"


@pytest.mark.parametrize("junk", [b"\xff\xfe\x80", b"\0\0\0", b"\xe2\x82"])
def test_undecodable_bytes_are_tolerated(junk: bytes, database: Database) -> None:
    found = scan(io.BytesIO(junk + b"\n" + junk + b" slot 3 is busy " + junk), database)
    assert [(h.line.number, h.captures) for h in found.hits] == [(2, {"id": "3"})]


def test_empty_input(database: Database) -> None:
    assert scan(io.BytesIO(b""), database) == Scan()


@pytest.mark.parametrize("lead", [0, 1, 5_000, 65_000, 300_000])
@pytest.mark.parametrize("tail", [0, 100, 200_000])
@pytest.mark.parametrize("workers", [1, 2])
def test_line_longer_than_a_block(lead: int, tail: int, workers: int, database: Database, small_blocks: int) -> None:
    data = b"start\n" + b"z" * lead + b" slot 7 is busy " + b"z" * tail + b"\nnext slot 8 is busy\n\n"
    found = scan(io.BytesIO(data), database, workers=workers)
    assert [(h.line.number, h.captures["id"]) for h in found.hits] == [(2, "7"), (3, "8")]
    assert found.counts == {"not-idle": 2}
    line = found.hits[0].line
    assert "slot 7 is busy" in line.text
    assert len(line.text) <= 8 * 1024
    assert line.before == ("start",)
    assert line.after == ("next slot 8 is busy", "")
    assert found.hits[1].line.before[0] == "start"
    assert found.hits[1].line.before[1][:15] == (data.split(b"\n")[1][:15].decode())
    assert found.lines == 4
    assert len(found.first[1]) <= 8 * 1024


def test_match_across_the_edge_of_the_pieces_of_a_long_line(database: Database, small_blocks: int) -> None:
    needle = b"slot 7 is busy"
    for shift in range(len(needle)):
        data = b"z" * (small_blocks - shift) + needle + b"z" * 100_000
        found = scan(io.BytesIO(data), database, workers=1)
        assert [(h.line.number, h.captures["id"]) for h in found.hits] == [(1, "7")], shift


def test_a_hit_far_behind_a_near_miss_in_a_long_line(database: Database) -> None:
    found = scan_text(
        "x\n" + "slot 3 is idle" + "a" * 200_000 + " slot 7 is busy " + "b" * 50_000 + "\nshort", database
    )
    assert [(h.line.number, h.captures) for h in found.hits] == [(2, {"id": "7"})]
    assert found.counts == {"not-idle": 1}


def test_lines_a_hundred_thousand_characters_long_are_cut_around_the_match(database: Database) -> None:
    found = scan_text("a" * 50_000 + " slot 7 is busy " + "b" * 50_000 + "\nshort", database)
    text = found.hits[0].line.text
    assert len(text) == 8 * 1024
    assert text.index("slot 7") == 2 * 1024


# --- floods ---------------------------------------------------------------------------------------------------------


def test_of_a_flood_the_first_and_the_last_are_kept_and_all_are_counted(database: Database, small_blocks: int) -> None:
    lines = [b"kernel: NVRM: Xid (PCI:%d): 31" % n for n in range(20_000)]
    lines[15_000] = b"rare: allocating 1.0 MiB on device 0: cudaMalloc failed: out of memory"
    found = scan(io.BytesIO(b"\n".join(lines)), database, workers=2)
    numbers = [h.line.number for h in found.hits if h.key == "xid"]
    assert numbers[:KEEP] == [*range(1, KEEP + 1)]
    assert numbers[-32:] == [*range(20_000 - 31, 20_001)]
    assert numbers == sorted(set(numbers))
    assert len(numbers) <= 2 * KEEP
    assert found.counts == {"xid": 19_999, "oom": 1}
    assert [h.line.number for h in found.hits if h.key == "oom"] == [15_001]
    assert not found.problems


def test_what_comes_now_and_then_is_kept_in_full(small_blocks: int) -> None:
    database = Database([Pattern(f"p{n}", f"pattern number {n};") for n in range(20)], cache=False)
    load = "\n".join(f"pattern number {n};" for n in range(20)) + "\n" + "y" * 90 + "\n"
    rest = ("z" * 90 + "\n") * 1000
    found = scan(io.BytesIO((load + rest).encode() * 250), database, workers=2)
    for key in range(20):
        expected = [run * 1021 + key + 1 for run in range(250)]
        assert [h.line.number for h in found.hits if h.key == f"p{key}"] == expected
    assert not found.problems


def test_a_flood_is_sampled_but_not_what_comes_with_it(monkeypatch: pytest.MonkeyPatch, small_blocks: int) -> None:
    monkeypatch.setattr(scanner, "BLOCK_BYTES", 400_000)
    database = Database([Pattern("flood", r"request (?P<n>\d+) done"), Pattern("rare", "device lost")], cache=False)
    lines = [f"request {n} done" for n in range(600_000)]
    rare = [400_001, 400_002, 500_000, 599_998]
    for number in rare:
        lines[number - 1] = f"device lost {number}"
    scans = [scan(io.BytesIO("\n".join(lines).encode()), database, workers=workers) for workers in (1, 3)]
    assert scans[0] == scans[1]
    assert [h.line.number for h in scans[0].hits if h.key == "rare"] == rare
    floods = [h.line.number for h in scans[0].hits if h.key == "flood"]
    assert floods[:KEEP] == [*range(1, KEEP + 1)]
    assert floods[-100:] == [n for n in range(600_000 - 100, 600_001) if n not in rare]
    assert 300_000 < scans[0].counts["flood"] < 500_000


def test_near_misses_hide_no_hit(database: Database, small_blocks: int) -> None:
    lines = [b"slot 3 is idle"] * 30_000
    lines[7_000] = lines[29_000] = b"slot 3 is gone"
    found = scan(io.BytesIO(b"\n".join(lines)), database, workers=1)
    assert [h.line.number for h in found.hits] == [7_001, 29_001]
    assert found.counts == {"not-idle": 2}
    assert not found.problems


def test_too_many_matches_for_a_block_still_find_the_rare_one(monkeypatch: pytest.MonkeyPatch) -> None:
    from doctor.scan import collect

    monkeypatch.setattr(collect, "MATCHES_A_PIECE", 10_000)
    database = Database([Pattern("many", "Error"), Pattern("rare", "device lost")], cache=False)
    data = (
        b"Error" * 40_000
        + b"\n"
        + b"Error " * 40_000
        + b"\n"
        + b"z\n" * 70_000
        + b"device lost\n"
        + b"Error\n" * 100_000
    )
    found = scan(io.BytesIO(data), database)
    assert [h.line.number for h in found.hits if h.key == "rare"] == [70_003]
    assert found.problems == ["too many matches from line 1 on: of some patterns not every line was looked at"]
    assert found.counts["many"] >= 2


def test_memory_is_bounded_when_every_line_hits_many_patterns(monkeypatch: pytest.MonkeyPatch) -> None:
    from doctor.scan import merge

    monkeypatch.setattr(merge, "MEMORY_BYTES", 1_000_000)
    database = Database([Pattern(f"p{n}", f"pattern number {n};") for n in range(20)], cache=False)
    line = ("".join(f"pattern number {n};" for n in range(20)) + "." * 2000 + "\n").encode()
    found = scan(io.BytesIO(line * 3000), database)
    assert found.counts == {f"p{n}": 3000 for n in range(20)}
    kept = [h.line.number for h in found.hits if h.key == "p7"]
    assert kept[0] == 1
    assert kept[-1] == 3000
    assert len(kept) <= 64


def test_a_pattern_that_takes_for_ever_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    from doctor.scan import collect

    monkeypatch.setattr(collect, "SECONDS_A_LINE", 0.02)
    database = Database([Pattern("slow", r"begin (?:a|aa)+$"), Pattern("good", "begin")], cache=False)
    found = scan_text(("begin " + "a" * 60 + "!\n") * 5, database)
    assert [h.key for h in found.hits] == ["good"] * 5
    assert found.problems == ["pattern slow takes too long and is given up"]


# --- dense patterns -------------------------------------------------------------------------------------------------


def test_dense_patterns_are_sampled_on_big_input_only(monkeypatch: pytest.MonkeyPatch, small_blocks: int) -> None:
    from doctor.scan import collect

    monkeypatch.setattr(collect, "FULL_BLOCKS", 0)
    line = LINES[7].encode() + b"\n"
    data = b"# first\n" + line * 10_000 + b"slot 5 is busy\n" + line * 3
    found = scan(io.BytesIO(data), Database(PATTERNS, cache=False), workers=2)
    assert found.sampled
    speeds = [h for h in found.hits if h.key == "speed"]
    blocks = -(-len(data) // small_blocks)
    gaps = [after.line.number - before.line.number for before, after in itertools.pairwise(speeds)]
    assert len([gap for gap in gaps if gap > 100]) == blocks - 1
    assert speeds[0].line.number == 2
    assert speeds[0].captures == {"ms": "9123.11"}
    assert [h.line.number for h in speeds[-3:]] == [10_003, 10_004, 10_005]
    assert [h.line.number for h in found.hits if h.key == "not-idle"] == [10_002]


def test_small_input_is_not_sampled(database: Database) -> None:
    found = scan(io.BytesIO((LINES[7] + "\n").encode() * 300), database)
    assert not found.sampled
    assert found.counts == {"speed": 300}


def test_a_near_miss_does_not_hide_a_dense_line_behind_it(monkeypatch: pytest.MonkeyPatch, small_blocks: int) -> None:
    from doctor.scan import collect

    monkeypatch.setattr(collect, "FULL_BLOCKS", 0)
    dense = [Pattern("speed", r"tokens per second (?P<n>\d+)(?! ms)\b", dense=True)]
    data = b"tokens per second 1 ms\n" * 5 + b"tokens per second 17 or so\n" + b"z\n" * 90_000
    found = scan(io.BytesIO(data), Database(dense, cache=False))
    assert [(h.line.number, h.captures) for h in found.hits] == [(6, {"n": "17"})]


# --- streams --------------------------------------------------------------------------------------------------------


class Dribble(io.RawIOBase):
    """Gives few bytes at a time, and fails in the end if told to."""

    def __init__(self, data: bytes, step: int, error: Exception | None = None) -> None:
        self._rest, self._step, self._error = data, step, error

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        part, self._rest = self._rest[: min(self._step, len(buffer))], self._rest[min(self._step, len(buffer)) :]
        if not part and self._error is not None:
            raise self._error
        buffer[: len(part)] = part
        return len(part)


@pytest.mark.parametrize("size", [None, 300_000])
def test_short_reads(size: int | None, database: Database, small_blocks: int) -> None:
    data = b"\n".join(b"slot %d is busy" % n for n in range(200)) + b"\n" + b"pad\n" * 50_000
    found = scan(Dribble(data, 777), database, size=size)  # type: ignore[arg-type]
    assert [h.captures["id"] for h in found.hits] == [str(n) for n in range(200)]
    assert found.bytes == len(data)


def test_a_read_error_keeps_what_was_read(database: Database, small_blocks: int) -> None:
    data = b"slot 1 is busy\n" * 20_000
    found = scan(Dribble(data, 10_000, OSError(5, "Input/output error")), database, size=10**9)  # type: ignore[arg-type]
    assert found.counts == {"not-idle": 20_000}
    assert found.problems == ["reading stopped after 300000 bytes: [Errno 5] Input/output error"]


def test_a_stream_that_can_not_be_read_at_all(database: Database) -> None:
    with pytest.raises(OSError, match="Input/output error"):
        scan(Dribble(b"", 1, OSError(5, "Input/output error")), database)  # type: ignore[arg-type]


def test_progress_ends_with_all_bytes(database: Database, small_blocks: int) -> None:
    told: list[int] = []
    data = b"pad\n" * 100_000
    scan(io.BytesIO(data), database, workers=2, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == len(data)


def test_an_error_in_a_worker_reaches_the_caller(database: Database, small_blocks: int) -> None:
    def fail(_done: int) -> None:
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        scan(io.BytesIO(b"pad\n" * 100_000), database, workers=3, progress=fail)


@pytest.mark.parametrize(
    ("data", "binary"),
    [
        (b"plain text\n" * 50, False),
        ("Übersetzung 图像\n".encode() * 50, False),
        ("text\n" * 50).encode("utf-16") and (("text\n" * 50).encode("utf-16"), False),
        (("text\n" * 50).encode("utf-16-le"), False),
        (b"\0" * 5000 + b"a log that was cut while it was open\n" * 10, False),
        (bytes(range(256)) * 20, True),
        (b"GGUF" + bytes(random.Random(1).randbytes(5000)), True),
        (b"\x7fELF" + b"\0" * 60 + b"\x03\0>\0\x01\0\0\0" * 100, True),
        (b"\x1b[31mcolour\x1b[0m\r\n" * 50, False),
    ],
)
def test_binary(data: bytes, binary: bool, database: Database) -> None:
    assert scan(io.BytesIO(data), database).binary is binary


# --- without hyperscan ----------------------------------------------------------------------------------------------


def test_without_hyperscan_the_hits_are_the_same(monkeypatch: pytest.MonkeyPatch, small_blocks: int) -> None:
    dice = random.Random(3)
    lines = [dice.choice(LINES) if dice.random() < 0.05 else "y" * dice.randrange(200) for _ in range(3000)]
    data = "\n".join(lines).encode()
    fast = scan(io.BytesIO(data), Database(PATTERNS, cache=False))
    monkeypatch.setitem(sys.modules, "hyperscan", None)
    plain = scan(io.BytesIO(data), Database(PATTERNS))
    assert fast.hits
    assert plain == fast


@pytest.mark.parametrize(
    "line",
    [
        'srv request:  {"model":"m","messages":[{"role":"user","content":"why: device lost?"}]}',
        '{"temperature": 0, "prompt": "why: device lost?"}',
        "INFO Received request cmpl-1: prompt: 'why: device lost?', params: SamplingParams(n=1)",
    ],
)
def test_what_a_user_asks_is_no_hit(line: str) -> None:
    database = Database([Pattern("lost", "device lost"), Pattern("what", r"device (?P<what>lost)")], cache=False)
    assert scan_text(f"{line}\n", database).hits == []
    found = scan_text(f'device lost: {line}\n{{"error": {{"message": "device lost"}}}}\n', database)
    assert [(hit.key, hit.line.number) for hit in found.hits] == [("lost", 1), ("what", 1), ("lost", 2), ("what", 2)]


def test_a_pattern_that_only_re_reads_is_given_up() -> None:
    database = Database([Pattern("unicode", r"(?u)begin (?=a)\w"), Pattern("good", "begin")], cache=False)
    found = scan_text("begin a\n" * 3, database)
    assert [h.key for h in found.hits] == ["good"] * 3
    assert len(found.problems) == 1
    assert found.problems[0].startswith("pattern unicode does not parse and is given up: ")
