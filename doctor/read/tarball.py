"""tar archives, read once from front to back.

The standard library's ``tarfile`` reads extended headers of any claimed size into memory, and loops for ever on
negative sizes in releases that are in use (CVE-2025-8194). Logs need little of the format, so it is read here: pax
(POSIX.1-2001), ustar, GNU and the old v7, see https://www.gnu.org/software/tar/manual/html_node/Standard.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from doctor.read.limits import Unreadable
from doctor.read.magic import TAR_BLOCK, tar_checksum_holds
from doctor.read.streams import Blob, Chunks

_NAME_BYTES = 64 * 1024
_CUT = Unreadable("cut short: it ends in the middle of a member", "what is there was read; copy it again")


@dataclass(frozen=True, slots=True)
class TarMember:
    """``kind``: file, folder or other (links, devices, pipes, files with holes)."""

    name: str
    size: int
    kind: str


class Tape(Protocol):
    """What a tar is read from; it only goes forward."""

    position: int

    def read(self, size: int) -> bytes: ...
    def skip(self, size: int) -> None: ...


class BlobTape:
    """A tar that can be read from any place: members are passed over, not read."""

    def __init__(self, blob: Blob) -> None:
        self.position = 0
        self._size = blob.size
        self._file = blob.open()

    def read(self, size: int) -> bytes:
        self._file.seek(self.position)
        data = self._file.read(size)
        self.position += len(data)
        return data

    def skip(self, size: int) -> None:
        self.position += size
        if self.position > self._size:
            raise _CUT


class ChunkTape:
    """A tar that comes as a stream."""

    def __init__(self, chunks: Chunks) -> None:
        self.position = 0
        self._chunks = chunks
        self._rest = memoryview(b"")

    def read(self, size: int) -> bytes:
        return b"".join(self.chunks(size))

    def skip(self, size: int) -> None:
        if sum(len(chunk) for chunk in self.chunks(size)) < size:
            raise _CUT

    def chunks(self, size: int) -> Chunks:
        """The next ``size`` bytes, or what there is."""
        while size > 0:
            if not self._rest:
                self._rest = memoryview(next(self._chunks, b""))
                if not self._rest:
                    return
            piece, self._rest = bytes(self._rest[:size]), self._rest[size:]
            size -= len(piece)
            self.position += len(piece)
            yield piece


def members(tape: Tape) -> Iterator[TarMember]:
    """All members in order. When one is yielded, the tape stands at its content, which may be read or not.

    Raises:
        Unreadable: damaged or cut short.
    """
    name, size = "", None
    while True:
        header = tape.read(TAR_BLOCK)
        if len(header) < TAR_BLOCK:
            if header:
                raise _CUT
            return
        if not header.strip(b"\0"):
            return
        if not tar_checksum_holds(header):
            raise Unreadable("damaged: a header's checksum is wrong", "what stands before it was read; copy it again")
        stored, kind = _number(header[124:136]), header[156:157]
        if kind in b"LKxgX" and kind:
            content = _extension(tape, stored) if kind in b"Lx" else b""
            if kind == b"L":
                name = _text(content)
            elif kind == b"x":
                fields = _pax(content)
                name = fields.get("GNU.sparse.name") or fields.get("path") or name
                size = int(fields["size"]) if fields.get("size", "").isdecimal() else None
                if any(key.startswith("GNU.sparse") for key in fields):
                    name = f"{name}\0"  # a mark that no name can hold: its content is not the file's
            tape.skip(_padded(stored) - (len(content) if kind in b"Lx" else 0))
            continue
        own = name.rstrip("\0") or _name(header)
        member = TarMember(own, stored if size is None else size, _kind(kind, own, sparse=name.endswith("\0")))
        if kind == b"S":
            _skip_sparse_map(tape, header)
        end = tape.position + (0 if kind in b"123456" else _padded(member.size))
        name, size = "", None
        yield member
        tape.skip(end - tape.position)


def _extension(tape: Tape, size: int) -> bytes:
    if size > _NAME_BYTES:
        raise Unreadable("damaged: an extended header is absurdly long", "copy it again")
    return tape.read(size)


def _skip_sparse_map(tape: Tape, header: bytes) -> None:
    """The old GNU format of files with holes: the map goes on in blocks of its own."""
    more = header[482:483]
    while more not in {b"", b"\0"}:
        more = tape.read(TAR_BLOCK)[504:505]


def _number(field: bytes) -> int:
    """Octal digits, or base 256 (GNU, for 8 GiB and more)."""
    if field[0] & 0x80:
        value = int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
        if field[0] == 0xFF or value > 1 << 62:
            raise Unreadable("damaged: a size is negative or absurd", "copy it again")
        return value
    try:
        return int(field.strip(b"\0 ") or b"0", 8)
    except ValueError:
        raise Unreadable("damaged: a size is not a number", "copy it again") from None


def _kind(kind: bytes, name: str, *, sparse: bool) -> str:
    if kind in {b"0", b"\0", b"7"} and not sparse:
        return "folder" if name.endswith("/") else "file"
    return "folder" if kind == b"5" else "other"


def _name(header: bytes) -> str:
    name = _text(header[:100])
    if header[257:263] == b"ustar\0" and (prefix := _text(header[345:500])):
        return f"{prefix}/{name}"
    return name


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", "replace")


def _pax(content: bytes) -> dict[str, str]:
    """``length key=value\\n`` records."""
    fields: dict[str, str] = {}
    at = 0
    while at < len(content):
        digits, blank, _ = content[at : at + 20].partition(b" ")
        if not blank or not digits.isdigit() or not (length := int(digits)):
            break
        key, _, value = content[at + len(digits) + 1 : at + length - 1].partition(b"=")
        fields[_text(key)] = _text(value)
        at += length
    return fields


def _padded(size: int) -> int:
    return -(-size // TAR_BLOCK) * TAR_BLOCK
