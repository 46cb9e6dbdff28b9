"""zip archives: the list of contents by ``zipfile``, the members' bytes by our own bounded decoders.

``zipfile`` reads a list of contents of any size into memory, and its bzip2 and lzma members unpack without bounds.
"""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from doctor.read.compressed import inflated, metered
from doctor.read.limits import MIB, Meter, Unreadable
from doctor.read.magic import ZIP
from doctor.read.streams import Blob, Chunks

_LIST_BYTES = 8 * MIB
_LOCAL_HEADER = struct.Struct("<4s5H3L2H")
_ENCRYPTED = 1


@dataclass(frozen=True, slots=True)
class ZipMember:
    """``kind``: file, folder or other (links, devices); ``refused``: why a file can't be read."""

    name: str
    size: int
    kind: str
    refused: str
    info: zipfile.ZipInfo


def members(blob: Blob) -> Iterator[ZipMember]:
    """All members.

    Raises:
        Unreadable: the list of contents is missing, damaged or too long.
    """
    try:
        with blob.open() as file, zipfile.ZipFile(_Bounded(file)) as archive:
            found = archive.infolist()
    except Unreadable:
        raise
    except Exception as error:  # zipfile raises what comes: BadZipFile, struct.error, UnicodeDecodeError, ...
        raise Unreadable(
            f"damaged or cut short: its list of contents, at the end, can't be read ({error})", "copy it again"
        ) from error
    for info in found:
        refused = "is encrypted" if info.flag_bits & _ENCRYPTED else ""
        yield ZipMember(info.filename, info.file_size, _kind(info), refused, info)


def content(blob: Blob, info: zipfile.ZipInfo, meter: Meter) -> Chunks:
    """A member's bytes.

    Raises:
        Unreadable: damaged, cut short, packed by an unknown method, or more than the meter allows.
    """
    piece = packed(blob, info)
    if info.compress_type == zipfile.ZIP_STORED:
        chunks = metered(piece.chunks(), meter)
    else:
        chunks = inflated(piece.chunks(), info.compress_type, meter)
    checksum = 0
    for chunk in chunks:
        checksum = zlib.crc32(chunk, checksum)
        yield chunk
    if checksum != info.CRC:
        raise Unreadable("damaged: the checksum is wrong", "what could be unpacked was read; copy it again")


def packed(blob: Blob, info: zipfile.ZipInfo) -> Blob:
    """Where a member's packed bytes lie.

    Raises:
        Unreadable: not inside the archive.
    """
    with blob.open() as file:
        file.seek(info.header_offset)
        header = file.read(_LOCAL_HEADER.size)
    if len(header) < _LOCAL_HEADER.size or not header.startswith(ZIP[0]):
        raise Unreadable("damaged: a member does not lie where the list of contents says", "copy it again")
    name_bytes, extra_bytes = _LOCAL_HEADER.unpack(header)[-2:]
    start = info.header_offset + _LOCAL_HEADER.size + name_bytes + extra_bytes
    if start + info.compress_size > blob.size:
        raise Unreadable("damaged: a member reaches beyond the end of the archive", "copy it again")
    return blob.piece(start, info.compress_size)


def _kind(info: zipfile.ZipInfo) -> str:
    if info.is_dir():
        return "folder"
    mode = info.external_attr >> 16
    return "file" if not stat.S_IFMT(mode) or stat.S_ISREG(mode) else "other"


class _Bounded:
    """A file of which no more than a bounded piece is read at once: the list of contents is read in one piece."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        if size > _LIST_BYTES:
            raise Unreadable(f"its list of contents is longer than {_LIST_BYTES // MIB} MiB", "unpack it yourself")
        return self._file.read(size if size >= 0 else _LIST_BYTES)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)
