"""systemd's journal as JSON lines and in its export format.

Both are documented at https://systemd.io/JOURNAL_EXPORT_FORMATS/, the fields in systemd.journal-fields(7).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from doctor.read.envelopes import LineUnwrapper, Unwrapper, parse_json
from doctor.read.lines import LineMap

_FIELD_BYTES = 1024 * 1024  # of longer fields (core dumps) nothing is kept
_LEFT_OUT = b"[over 4096 bytes and left out here: journalctl --all keeps it]"
_FIELD = re.compile(rb"[A-Z0-9_]{1,64}")
_WANTED = frozenset(
    [
        *(b"MESSAGE", b"__REALTIME_TIMESTAMP", b"_HOSTNAME", b"SYSLOG_IDENTIFIER", b"_COMM", b"_SYSTEMD_UNIT"),
        *(b"_PID", b"SYSLOG_PID", b"_LINE_BREAK", b"_STREAM_ID", b"CONTAINER_ID", b"CONTAINER_PARTIAL_MESSAGE"),
    ]
)


class _Stamp:
    """Microseconds since 1970 as text, as ``journalctl -o short-iso-precise --utc`` has it."""

    def __init__(self) -> None:
        self._second = -1
        self._text = b""

    def __call__(self, microseconds: bytes) -> bytes:
        if not microseconds.isdigit() or len(microseconds) > 18:
            return b""
        second, rest = divmod(int(microseconds), 1_000_000)
        if second != self._second:
            try:
                self._text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S").encode()
            except (ValueError, OverflowError, OSError):
                return b""
            self._second = second
        return b"%s.%06d+00:00" % (self._text, rest)


def _prefix(field: Callable[[bytes], bytes], stamp: _Stamp) -> bytes:
    """``time host program[process]: ``, with the names that journalctl prints."""
    program = field(b"SYSLOG_IDENTIFIER") or field(b"_COMM") or field(b"_SYSTEMD_UNIT") or b"unknown"
    process = field(b"_PID") or field(b"SYSLOG_PID")
    words = [stamp(field(b"__REALTIME_TIMESTAMP")), field(b"_HOSTNAME")]
    head = b" ".join(word[:256].replace(b"\n", b" ") for word in (*words, program) if word)
    return b"%s[%s]: " % (head, process[:20]) if process.isdigit() else head + b": "


def _goes_on(field: Callable[[bytes], bytes]) -> bytes:
    """Of which stream an entry is a piece whose line goes on; empty if it ends there.

    journald splits lines at ``LineMax=``, Docker's journald driver at 16 KiB.
    """
    if field(b"_LINE_BREAK") == b"line-max":
        return field(b"_STREAM_ID") or field(b"_PID")
    return field(b"CONTAINER_ID") if field(b"CONTAINER_PARTIAL_MESSAGE") == b"true" else b""


class _Entries(Unwrapper):
    """What both formats have in common."""

    def __init__(self, *, bare: bool, lines: LineMap) -> None:
        super().__init__(bare=bare, lines=lines)
        self._stamp = _Stamp()

    def _entry(self, number: int, message: bytes, field: Callable[[bytes], bytes]) -> None:
        prefix = b"" if self._bare else _prefix(field, self._stamp)
        stream = _goes_on(field)
        if stream:
            self._join(stream, number, prefix, message, ends=False)
            return
        if self._open:
            for key in (field(b"_STREAM_ID"), field(b"CONTAINER_ID"), field(b"_PID")):
                if key in self._open:
                    self._join(key, number, prefix, message, ends=True)
                    return
        self._put(number, prefix, message)


class JournalJson(_Entries, LineUnwrapper):
    """``journalctl -o json`` (also json-seq and json-sse), one entry a line.

    A field is a text, an array of bytes where it is not printable text, null over 4096 bytes (without ``--all``), or an
    array of such values where an entry has it more than once.
    """

    @classmethod
    def fits(cls, line: bytes) -> bool:
        return _json(line).startswith(b"{") and b'"__REALTIME_TIMESTAMP"' in line

    def line(self, line: bytes, number: int) -> None:
        entry = parse_json(_json(line))
        if entry is None or "__REALTIME_TIMESTAMP" not in entry:
            if line.strip():
                self._put(number, b"", line)
            return
        if "MESSAGE" not in entry:
            return
        message = entry["MESSAGE"]
        self._entry(number, _LEFT_OUT if message is None else _value(message), _of(entry))


def _json(line: bytes) -> bytes:
    return line.lstrip(b"\x1e").removeprefix(b"data: ")


def _of(entry: dict[str, Any]) -> Callable[[bytes], bytes]:
    def field(name: bytes) -> bytes:
        value = entry.get(name.decode("ascii"))
        return value.encode("utf-8", "replace") if isinstance(value, str) else _value(value)

    return field


def _value(value: Any) -> bytes:
    """A field, in any of its forms; of several values, each on a line of its own."""
    if isinstance(value, list) and not all(isinstance(item, int) for item in value):
        return b"\n".join(_single(item) for item in value if isinstance(item, (str, list)))
    return _single(value)


def _single(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode("utf-8", "replace")
    try:
        return bytes(value) if isinstance(value, list) else b""
    except (TypeError, ValueError):  # not bytes
        return b""


class JournalExport(_Entries):
    """``journalctl -o export``: ``NAME=text`` lines, or ``NAME``, a size and bytes; an empty line ends an entry."""

    def __init__(self, *, bare: bool, lines: LineMap) -> None:
        super().__init__(bare=bare, lines=lines)
        self._rest = b""
        self._number = 1  # the line of the file that comes next
        self._fields: dict[bytes, list[bytes]] = {}
        self._message_line = 0
        self._skipping = 0  # bytes of a field that is not kept
        self._in_long_line = False

    @staticmethod
    def begins(head: bytes) -> bool:
        return head.startswith((b"__CURSOR=", b"__REALTIME_TIMESTAMP=")) and b"\n_" in head

    def feed(self, data: bytes) -> None:
        data = self._rest + data
        at = self._skip(data)
        while at < len(data):
            end = data.find(b"\n", at)
            if end < 0:
                break
            line = data[at:end]
            if not line:
                self._finish()
            elif b"=" in line or self._in_long_line:
                self._text_field(line)
            elif _FIELD.fullmatch(line):
                if len(data) < end + 9:
                    break
                size = int.from_bytes(data[end + 1 : end + 9], "little")
                if size > _FIELD_BYTES:
                    self._number += 1 + data[end + 1 : end + 9].count(b"\n")
                    self._skipping = size + 1
                    at = end + 9 + self._skip(data[end + 9 :])
                    continue
                if len(data) < end + 10 + size:
                    break
                value = data[end + 9 : end + 9 + size]
                self._keep(line, value)
                self._number += data.count(b"\n", at, end + 10 + size)
                at = end + 10 + size
                continue
            else:  # not of this format: shown as it is
                self._put(self._number, b"", line)
            self._number += 1
            at = end + 1
        self._rest = data[at:]
        if len(self._rest) > 2 * _FIELD_BYTES:
            self._rest, self._in_long_line = b"", True

    def end(self) -> None:
        if self._rest and b"=" in self._rest:
            self._text_field(self._rest)
        self._finish()

    def _skip(self, data: bytes) -> int:
        """Passes over bytes that are not kept; how many of these."""
        size = min(self._skipping, len(data))
        self._skipping -= size
        self._number += data.count(b"\n", 0, size)
        return size

    def _text_field(self, line: bytes) -> None:
        name, equals, value = line.partition(b"=")
        if self._in_long_line:
            self._in_long_line = False
        elif equals and _FIELD.fullmatch(name):
            self._keep(name, value)
        else:
            self._put(self._number, b"", line)

    def _keep(self, name: bytes, value: bytes) -> None:
        if name in _WANTED and len(value) <= _FIELD_BYTES and len(values := self._fields.setdefault(name, [])) < 100:
            values.append(value)
            if name == b"MESSAGE" and not self._message_line:
                self._message_line = self._number

    def _finish(self) -> None:
        if messages := self._fields.get(b"MESSAGE"):
            fields = self._fields
            self._entry(self._message_line, b"\n".join(messages), lambda name: fields.get(name, [b""])[0])
        self._fields, self._message_line = {}, 0
