from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctor.read.envelopes import Unwrapper, envelope_of
from doctor.read.journal import JournalExport, JournalJson
from doctor.read.lines import LineMap
from doctor.read.sources import collect

JOURNAL = Path(__file__).parent.parent.parent / "fixtures" / "inputs" / "journal"
SERVICE = {"_HOSTNAME": "box", "SYSLOG_IDENTIFIER": "ollama", "_PID": "42", "_STREAM_ID": "s1"}


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


def unwrap(
    kind: type[Unwrapper], data: bytes, *, size: int = 1 << 18, bare: bool = True
) -> tuple[list[bytes], list[int]]:
    lines = LineMap()
    found = b"".join(kind(bare=bare, lines=lines).chunks(pieces(data, size))).split(b"\n")
    assert found.pop() == b""
    return found, [lines.line(number) for number in range(1, len(found) + 1)]


def json_entry(message: Any, time: int = 1763716000000000, **fields: Any) -> bytes:
    return json.dumps({**SERVICE, "MESSAGE": message, "__REALTIME_TIMESTAMP": str(time), **fields}).encode() + b"\n"


def export_entry(message: bytes | list[bytes], time: int = 1763716000000000, **fields: str) -> bytes:
    out = b"__CURSOR=s=1;i=2\n__REALTIME_TIMESTAMP=%d\n" % time
    for name, value in {**SERVICE, **fields}.items():
        out += f"{name}={value}\n".encode()
    for text in message if isinstance(message, list) else [message]:
        if b"\n" in text or any(byte < 32 for byte in text):
            out += b"MESSAGE\n" + struct.pack("<Q", len(text)) + text + b"\n"
        else:
            out += b"MESSAGE=" + text + b"\n"
    return out + b"\n"


@pytest.mark.parametrize("form", ["json", "export"])
@pytest.mark.parametrize("size", [1 << 18, 1000, 7])
def test_a_real_journal_reads_as_journalctl_prints_it(form: str, size: int) -> None:
    data = (JOURNAL / f"unit.{form}").read_bytes()
    kind = envelope_of(data[: 1 << 16])
    assert kind is {"json": JournalJson, "export": JournalExport}[form]
    printed = (JOURNAL / "unit.txt").read_bytes().replace(b"+0000 ", b"+00:00 ").splitlines()
    # journalctl indents what follows the first line of a message; here each line tells whose it is
    printed[79] = printed[78].replace(b"llama-server ended", b"exit status 1")
    lines, numbers = unwrap(kind, data, size=size, bare=False)
    assert lines == printed
    physical = data.split(b"\n")
    for line, number in zip(lines, numbers, strict=True):
        if b"llama_model_loader" in line:
            assert b"llama_model_loader" in physical[number - 1]


@given(
    messages=st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=8),
    size=st.integers(1, 300),
)
def test_both_formats_carry_any_bytes(messages: list[bytes], size: int) -> None:
    expected = [line for message in messages for line in message.split(b"\n")]
    as_json = b"".join(json_entry(list(message)) for message in messages)
    assert unwrap(JournalJson, as_json, size=size)[0] == expected
    assert unwrap(JournalExport, b"".join(export_entry(message) for message in messages), size=size)[0] == expected


@given(data=st.binary(max_size=400), size=st.integers(1, 100))
@pytest.mark.parametrize("kind", [JournalJson, JournalExport])
def test_any_bytes_come_through(kind: type[Unwrapper], data: bytes, size: int) -> None:
    for start in (b"", b"__CURSOR=x\nMESSAGE\n", b'{"__REALTIME_TIMESTAMP":"1","MESSAGE":'):
        b"".join(kind(bare=False, lines=LineMap()).chunks(pieces(start + data, size)))


@pytest.mark.parametrize(
    ("message", "lines"),
    [
        ("text", [b"text"]),
        ([104, 105, 255], [b"hi\xff"]),
        (["one", [116, 119, 111]], [b"one", b"two"]),
        (None, [b"[over 4096 bytes and left out here: journalctl --all keeps it]"]),
        ("a\nb", [b"a", b"b"]),
        ([300, -1], [b""]),
        ({"a": 1}, [b""]),
        ([[[["deep"]]]], [b""]),
        ([], [b""]),
    ],
)
def test_forms_of_a_message(message: Any, lines: list[bytes]) -> None:
    assert unwrap(JournalJson, json_entry(message))[0] == lines


def test_lines_that_journald_or_docker_split_are_joined() -> None:
    data = (
        json_entry("long ", _LINE_BREAK="line-max")
        + json_entry("other", _STREAM_ID="s2")
        + json_entry("line")
        + json_entry("cut ", CONTAINER_ID="c", CONTAINER_PARTIAL_MESSAGE="true", _STREAM_ID=None)
        + json_entry("too", CONTAINER_ID="c", CONTAINER_PARTIAL_LAST="true", _STREAM_ID=None)
        + json_entry("last words", _LINE_BREAK="eof")
        + json_entry("new life")
    )
    assert unwrap(JournalJson, data) == (
        [b"other", b"long line", b"cut too", b"last words", b"new life"],
        [2, 1, 4, 6, 7],
    )


@pytest.mark.parametrize("before", [b"", b"\x1e", b"data: "])
def test_sequences_and_events(before: bytes) -> None:
    data = b"".join(before + json_entry(f"line {n}") + (b"\n" if before == b"data: " else b"") for n in range(3))
    assert envelope_of(data) is JournalJson
    assert unwrap(JournalJson, data)[0] == [b"line 0", b"line 1", b"line 2"]


def test_a_field_of_any_claimed_size_is_passed_over() -> None:
    huge = b"__CURSOR=1\n__REALTIME_TIMESTAMP=1\nCOREDUMP\n" + struct.pack("<Q", 3_000_000) + b"\n" * 3_000_000 + b"\n"
    data = huge + b"MESSAGE=after\n\n" + export_entry(b"next")
    lines, numbers = unwrap(JournalExport, data, size=1 << 16)
    assert lines == [b"after", b"next"]
    assert data.split(b"\n")[numbers[0] - 1] == b"MESSAGE=after"
    assert data.split(b"\n")[numbers[1] - 1] == b"MESSAGE=next"
    assert unwrap(JournalExport, data[:60] + b"\xff" * 8 + b"x" * 1000)[0] == []


def test_a_journal_cut_short_keeps_its_last_words() -> None:
    data = export_entry(b"one") + export_entry(b"CUDA error: out of memory")
    assert unwrap(JournalExport, data[:-6])[0] == [b"one", b"CUDA error: out of me"]
    cut = json_entry("one") + json_entry("CUDA error")[:60]
    assert unwrap(JournalJson, cut)[0][0] == b"one"


def test_several_messages_in_an_entry() -> None:
    assert unwrap(JournalExport, export_entry([b"one", b"two"]))[0] == [b"one", b"two"]


def test_kernel_and_nameless_lines() -> None:
    kernel = {"_PID": None, "SYSLOG_IDENTIFIER": "kernel", "_STREAM_ID": None}
    data = json_entry("Out of memory", **kernel) + json_entry(
        "x", _PID=None, SYSLOG_IDENTIFIER=None, _HOSTNAME=["a", "b"]
    )
    lines, _ = unwrap(JournalJson, data, bare=False)
    assert lines == [
        b"2025-11-21T09:06:40.000000+00:00 box kernel: Out of memory",
        b"2025-11-21T09:06:40.000000+00:00 a b unknown: x",
    ]


@pytest.mark.parametrize("time", ["", "x", "9" * 30, "-5", None, ["1"]])
def test_times_that_are_none(time: Any) -> None:
    lines, _ = unwrap(JournalJson, json_entry("x", __REALTIME_TIMESTAMP=time), bare=False)
    assert lines[0].endswith(b"box ollama[42]: x")


def test_the_source_knows_its_host_and_lines(tmp_path: Path) -> None:
    source = collect([str(JOURNAL / "unit.export")]).sources[0]
    assert source.host == "gpu-box"
    with source.open() as stream:
        assert stream.read().count(b"\n") == 81
    assert source.lines is not None
    assert not source.lines.is_plain
