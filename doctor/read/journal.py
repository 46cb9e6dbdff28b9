"""systemd's journal as JSON lines and in its export format.

Both are documented at https://systemd.io/JOURNAL_EXPORT_FORMATS/, the fields in systemd.journal-fields(7).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from doctor.read.envelopes import LineUnwrapper, Unwrapper, parse_json
from doctor.read.lines import LineMap

_FIELD_BYTES = 1024 * 1024  # of longer fields (core dumps) nothing is kept
_LEFT_OUT = b"[over 4096 bytes and left out here: journalctl --all keeps it]"
_FIELD = re.compile(rb"[A-Z0-9_]{1,64}")
_TEXT_ENTRY = re.compile(rb"(?:[A-Z0-9_]{1,64}=[^\n]*+\n)++(?=\n)")
_WHO = ("_HOSTNAME", "SYSLOG_IDENTIFIER", "_COMM", "_SYSTEMD_UNIT", "_PID", "SYSLOG_PID")
_PIECES = ("_LINE_BREAK", "CONTAINER_PARTIAL_MESSAGE", "_STREAM_ID", "CONTAINER_ID")
_WHO_BYTES = tuple(name.encode() for name in _WHO)
_PIECES_BYTES = tuple(name.encode() for name in _PIECES)
_WANTED = frozenset([b"MESSAGE", b"__REALTIME_TIMESTAMP", *_WHO_BYTES, *_PIECES_BYTES])
_MOST_PROGRAMS = 1000


class _Entries(Unwrapper):
    """What both formats have in common: an entry becomes ``time host program[process]: message``."""

    def __init__(self, *, bare: bool, lines: LineMap) -> None:
        super().__init__(bare=bare, lines=lines)
        self._second, self._time = -1, b""
        self._programs: dict[Any, bytes] = {}

    def _entry(self, number: int, message: bytes, stamp: Any, who: tuple[Any, ...], pieces: tuple[Any, ...]) -> None:
        """Puts an entry, or the piece of a line that it is.

        journald splits lines at ``LineMax=``, Docker's journald driver at 16 KiB; the last piece is not marked.

        Args:
            who, pieces: the fields of those names, None where there is none.
        """
        prefix = b"" if self._bare else self._stamp(stamp) + self._program(who)
        line_break, partial, stream, container = pieces
        if line_break and _value(line_break) == b"line-max":
            self._join(str(stream), number, prefix, message, ends=False)
        elif partial and _value(partial) == b"true":
            self._join(str(container), number, prefix, message, ends=False)
        elif self._open and (key := next((key for key in (str(stream), str(container)) if key in self._open), None)):
            self._join(key, number, prefix, message, ends=True)
        else:
            self._put(number, prefix, message)

    def _stamp(self, microseconds: Any) -> bytes:
        """As ``journalctl -o short-iso-precise --utc`` has it, with a blank behind."""
        try:
            second, rest = divmod(int(microseconds), 1_000_000)
            if second != self._second:
                self._time = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S").encode()
                self._second = second
        except (TypeError, ValueError, OverflowError, OSError):  # not a time
            return b""
        return b"%b.%06d+00:00 " % (self._time, rest)

    def _program(self, who: tuple[Any, ...]) -> bytes:
        """``host program[process]: ``, with the names that journalctl prints."""
        try:
            if (known := self._programs.get(who)) is not None:
                return known
        except TypeError:  # a field with several values
            return self._program(tuple(_value(field) for field in who))
        host, identifier, command, unit, pid, syslog_pid = (
            _value(field or b"")[:256].replace(b"\n", b" ") for field in who
        )
        process = pid or syslog_pid
        text = (host + b" " if host else b"") + (identifier or command or unit or b"unknown")
        text += b"[%b]: " % process if process.isdigit() else b": "
        if len(self._programs) >= _MOST_PROGRAMS:
            self._programs.clear()
        self._programs[who] = text
        return text


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
        get = entry.get
        self._entry(
            number,
            _LEFT_OUT if message is None else _value(message),
            entry["__REALTIME_TIMESTAMP"],
            tuple([get(name) for name in _WHO]),
            tuple([get(name) for name in _PIECES]),
        )


def _json(line: bytes) -> bytes:
    return line.lstrip(b"\x1e").removeprefix(b"data: ")


def _value(value: Any) -> bytes:
    """A field, in any of its forms; of several values, each on a line of its own."""
    if isinstance(value, list) and not all(isinstance(item, int) for item in value):
        return b"\n".join(_single(item) for item in value if isinstance(item, (str, list)))
    return _single(value)


def _single(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode("utf-8", "replace")
    try:
        return bytes(value) if isinstance(value, (list, bytes)) else b""
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
            if not self._fields and not self._in_long_line and (entry := _TEXT_ENTRY.match(data, at)):
                self._text_entry(data[at : entry.end() - 1])
                at = entry.end() + 1
                continue
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

    def _text_entry(self, text: bytes) -> None:
        """A whole entry of ``NAME=text`` lines, as nearly all are."""
        place = text.find(b"\nMESSAGE=")
        lines = text.split(b"\n")
        if place < 0 or text.startswith(b"MESSAGE=") or text.find(b"\nMESSAGE=", place + 1) > 0:
            for line in lines:  # without a message, or with several
                self._text_field(line)
                self._number += 1
            self._finish()
        else:
            get = dict([line.split(b"=", 1) for line in lines]).get
            number = self._number + text.count(b"\n", 0, place) + 1
            who, pieces = tuple([get(name) for name in _WHO_BYTES]), tuple([get(name) for name in _PIECES_BYTES])
            self._entry(number, get(b"MESSAGE") or b"", get(b"__REALTIME_TIMESTAMP"), who, pieces)
            self._number += len(lines)
        self._number += 1  # the empty line

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
            get = {name: values[0] for name, values in self._fields.items()}.get
            who, pieces = tuple([get(name) for name in _WHO_BYTES]), tuple([get(name) for name in _PIECES_BYTES])
            self._entry(self._message_line, b"\n".join(messages), get(b"__REALTIME_TIMESTAMP"), who, pieces)
        self._fields, self._message_line = {}, 0
