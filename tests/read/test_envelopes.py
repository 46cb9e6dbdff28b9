from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctor.read.envelopes import Cri, Docker, Unwrapper, envelope_of
from doctor.read.lines import LineMap
from doctor.read.sources import collect

TIME = "2026-11-20T10:00:00.000000001Z"
LATER = "2026-11-20T10:00:07.000000001Z"


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


def unwrap(
    kind: type[Unwrapper], data: bytes, *, size: int = 1 << 18, bare: bool = True
) -> tuple[list[str], list[int]]:
    """The lines of the text, and the lines of the file that they come from."""
    lines = LineMap()
    text = b"".join(kind(bare=bare, lines=lines).chunks(pieces(data, size))).decode()
    found = text.split("\n")
    assert found.pop() == ""
    return found, [lines.line(number) for number in range(1, len(found) + 1)]


def docker(log: str, time: str = TIME, stream: str = "stderr", *, ascii_: bool = False) -> str:
    text = json.dumps(log, ensure_ascii=ascii_)
    return f'{{"log":{text},"stream":"{stream}","time":"{time}"}}\n'


LINES = st.lists(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), max_size=80), min_size=1, max_size=12
)


@given(lines=LINES, size=st.integers(1, 400), ascii_=st.booleans())
def test_docker_round_trip(lines: list[str], size: int, ascii_: bool) -> None:
    data = "".join(docker(line + "\n", ascii_=ascii_) for line in lines).encode()
    assert envelope_of(data) is Docker
    assert unwrap(Docker, data, size=size) == (lines, list(range(1, len(lines) + 1)))
    timed, _ = unwrap(Docker, data, size=size, bare=False)
    assert timed == [f"{TIME} {line}" for line in lines]


@given(lines=LINES, size=st.integers(1, 400), cuts=st.lists(st.integers(0, 80), max_size=3))
def test_cri_round_trip_with_split_lines(lines: list[str], size: int, cuts: list[int]) -> None:
    lines = [line.replace("\r", " ") for line in lines]
    rows, numbers = [], []
    for line in lines:
        numbers.append(len(rows) + 1)
        places = sorted({min(cut, len(line)) for cut in cuts})
        parts = [line[start:end] for start, end in zip([0, *places], [*places, len(line)], strict=True)]
        rows += [f"{TIME} stdout {'F' if n == len(parts) - 1 else 'P'} {part}\n" for n, part in enumerate(parts)]
    assert unwrap(Cri, "".join(rows).encode(), size=size) == (lines, numbers)


def test_docker_joins_what_it_split() -> None:
    long = "x" * 16384
    data = docker("one\n") + docker(long) + docker(long, LATER) + docker("end\n", LATER) + docker("two\n")
    assert unwrap(Docker, data.encode()) == (["one", 2 * long + "end", "two"], [1, 2, 5])


def test_docker_streams_are_joined_apart() -> None:
    long = "x" * 16384
    data = docker(long) + docker("other\n", stream="stdout") + docker("end\n")
    assert unwrap(Docker, data.encode()) == (["other", long + "end"], [2, 1])


def test_last_words_do_not_run_into_the_next_life() -> None:
    """A program that dies in the middle of a line, and is started again seconds later."""
    data = docker("Segmentation fault") + docker("starting\n", LATER) + docker("ready\n", LATER)
    assert unwrap(Docker, data.encode())[0] == ["Segmentation fault", "starting", "ready"]
    together = docker("Segmentation ") + docker("fault\n") + docker("ready\n")
    assert unwrap(Docker, together.encode())[0] == ["Segmentation fault", "ready"]


def test_docker_with_attributes_and_other_orders() -> None:
    data = (
        b'{"log":"a \\"b\\"\\n","stream":"stdout","attrs":{"tag":"x"},"time":"2026-11-20T10:00:00Z"}\n'
        b'{"stream":"stdout","time":"2026-11-20T10:00:01Z","log":"c\\n"}\n'
    )
    assert unwrap(Docker, data, bare=False)[0] == ['2026-11-20T10:00:00Z a "b"', "2026-11-20T10:00:01Z c"]


@pytest.mark.parametrize(
    "line",
    [
        '{"log":"CUDA error: out of mem',
        "not JSON at all",
        '{"log":' + "[" * 5000,
        '{"log":5,"stream":"stderr","time":"x"}',
        '{"log":"\\ud800\\n","stream":"stderr","time":1e999}',
        '{"log":"a\\qb\\n","stream":"stderr","time":"x"}',
        '{"log":' + "9" * 5000 + "}",
    ],
)
def test_a_line_that_is_no_entry_is_kept_in_its_place(line: str) -> None:
    lines, numbers = unwrap(Docker, (docker("before\n") + line + "\n" + docker("after\n")).encode())
    assert (lines[0], lines[2]) == ("before", "after")
    assert numbers == [1, 2, 3]
    assert len(lines[1]) >= 1


@pytest.mark.parametrize("kind", [Docker, Cri])
@given(data=st.binary(max_size=400), size=st.integers(1, 100))
def test_any_bytes_come_through(kind: type[Unwrapper], data: bytes, size: int) -> None:
    b"".join(kind(bare=False, lines=LineMap()).chunks(pieces(data, size)))


def test_a_line_without_end_takes_bounded_memory() -> None:
    data = docker("x" * 16384).encode() * 200  # never a line end, 3 MiB
    out = list(Docker(bare=True, lines=LineMap()).chunks(pieces(data, 1 << 16)))
    assert len(b"".join(out).replace(b"\n", b"")) == 200 * 16384
    assert max(len(line) for line in b"".join(out).split(b"\n")) < 1_100_000


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"plain\n",
        b'{"level":"info","msg":"x"}\n',
        docker("x\n").encode() + b"plain\n" * 5,
        b"2026-11-20T10:00:00Z stderr is full\n",
        b"2026-11-20T10:00:00Z INFO x\n",
        b"{\n",
        b"__CURSOR\n",
    ],
)
def test_what_is_not_wrapped(head: bytes) -> None:
    assert envelope_of(head) is None


def test_the_first_line_may_be_half_a_line() -> None:
    assert envelope_of(b'rest of a line\\n","stream":"stderr"}\n' + docker("x\n").encode() * 4) is Docker


def test_source_gives_times_to_the_scan_and_bare_text_to_readers(tmp_path: Path) -> None:
    file = tmp_path / "c-json.log"
    file.write_text("".join(docker(f"line {n}\n") for n in range(3)))
    source = collect([str(file)]).sources[0]
    assert source.head == b"line 0\nline 1\nline 2\n"
    with source.open() as stream:
        assert stream.read() == b"".join(f"{TIME} line {n}\n".encode() for n in range(3))
    assert source.lines is not None
    assert source.lines.is_plain
