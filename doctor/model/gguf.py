"""The header of a GGUF file: metadata and the list of tensors. The tensors' data is never read.

Written against the layout in llama.cpp's ggml/src/gguf.cpp and gguf-py (versions 2 and 3, either byte order). A
header is hostile input: it is read forward through a small window by ``pread`` (a mapping would end the process with
SIGBUS if the file shrank), every count is checked against what the file can hold before anything is made of it, and
the strings of a vocabulary are stepped over, not kept.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from doctor.errors import UsageProblem
from doctor.memory.ggml import GGUF_TYPES, block
from doctor.model.document import Tensor

MAGIC = b"GGUF"
WINDOW_BYTES = 1 << 20
MAX_PAIRS = 16_384
MAX_TENSORS = 131_072
MAX_STEPPED = 4_000_000
"""Strings in arrays over the whole header; vocabularies have up to 300 000 and about as many merges."""
MAX_KEPT_LIST = 8192
"""Longer arrays are counted, not kept: what is kept says something of each layer."""
MAX_KEPT_NUMBERS = 250_000
"""Over all arrays; further ones are counted only."""
MAX_KEY = 1024
MAX_TENSOR_NAME = 255  # llama.cpp takes 63
MAX_KEPT_TEXT = 64 * 1024
MAX_KEPT_TEXTS = 4 * 1024 * 1024
"""Bytes of the values that are texts, all together; of those beyond it nothing is kept."""
MAX_SIDE = 2**48

_FIXED = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "B", 10: "Q", 11: "q", 12: "d"}
_BOOL, _STRING, _ARRAY = 7, 8, 9
_HINT = "copy or download the file again, and compare its size and checksum with the publisher's"


@dataclass(frozen=True, slots=True)
class Count:
    """An array that is not kept: how many elements it has."""

    size: int


@dataclass(slots=True)
class Header:
    """What stands before the data.

    Attributes:
        metadata: by key; arrays of words and long arrays are a ``Count``.
        tensors: in the file's order.
        data_start: where the tensors' data begins.
        data_bytes: how much the tensors take from there.
        file_bytes: size of the file; less than ``data_start + data_bytes`` if it is cut short.
    """

    path: str
    version: int
    big_endian: bool
    metadata: dict[str, Any] = field(default_factory=dict)
    tensors: list[Tensor] = field(default_factory=list)
    data_start: int = 0
    data_bytes: int = 0
    file_bytes: int = 0

    @property
    def lacks(self) -> int:
        """Bytes that the file is too short by; 0 if it is whole."""
        return max(self.data_start + self.data_bytes - self.file_bytes, 0)


def is_gguf(path: Path) -> bool:
    """Whether the file begins as one; False if it can't be read."""
    try:
        with path.open("rb") as file:
            return file.read(4) == MAGIC
    except OSError:
        return False


def read_header(path: str | Path) -> Header:
    """Reads a header, however large the file is.

    Raises:
        UsageProblem: it can't be opened, is no GGUF, or its header is cut short or makes no sense; says where.
    """
    name = str(path)
    with _opened(name) as (descriptor, size):
        window = _Window(descriptor, size, name)
        magic = window.take(min(4, size))
        if magic != MAGIC:
            raise UsageProblem(f"not a GGUF file: {_what(magic)}", subject=name, hint=_HINT)
        header = Header(name, 0, False, file_bytes=size)
        header.version, header.big_endian = _version(window)
        tensor_count, pair_count = window.number("q"), window.number("q")
        if not 0 <= pair_count <= MAX_PAIRS:
            raise window.wrong(f"{pair_count} metadata entries")
        if not 0 <= tensor_count <= MAX_TENSORS:
            raise window.wrong(f"{tensor_count} tensors")
        for _ in range(pair_count):
            key = window.text(MAX_KEY, "a key")
            if key in header.metadata:
                raise window.wrong(f"the key {key[:80]!r} twice")
            header.metadata[key] = _value(window, window.number("I"), key)
        alignment = header.metadata.get("general.alignment", 32)
        if not isinstance(alignment, int) or not 0 < alignment <= 1 << 20 or alignment & (alignment - 1):
            raise window.wrong(f"an alignment of {alignment!r}")
        names: set[str] = set()
        for _ in range(tensor_count):
            tensor = _tensor(window)
            if tensor.name in names:
                raise window.wrong(f"the tensor {tensor.name[:80]!r} twice")
            names.add(tensor.name)
            header.tensors.append(tensor)
            header.data_bytes = max(header.data_bytes, tensor.offset + tensor.bytes)
        header.data_start = -(-window.position // alignment) * alignment
    return header


@contextmanager
def _opened(path: str) -> Iterator[tuple[int, int]]:
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        what = getattr(error, "strerror", None) or str(error)
        raise UsageProblem(f"can't be opened: {what}", subject=path) from None
    try:
        import stat

        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise UsageProblem("not a regular file", subject=path, hint="name the model's file")
        yield descriptor, status.st_size
    except OSError as error:
        raise UsageProblem(f"can't be read: {error.strerror or error}", subject=path) from None
    finally:
        os.close(descriptor)


def _what(magic: bytes) -> str:
    """What a file is instead, by its first bytes: the usual mishaps of a download."""
    if not magic:
        return "it is empty"
    if magic.startswith(b"vers"):
        return "it begins like a Git LFS pointer, which stands for the file that was not fetched"
    if magic[:1] in {b"<", b"{"}:
        return "it begins like a web page or a JSON message, not like a model"
    if magic in {b"tjgg", b"fmgg", b"lmgg", b"algg"}:
        return "it is of GGML's formats before GGUF, which nothing reads any more"
    return f"it begins with {magic!r}"


def _version(window: _Window) -> tuple[int, bool]:
    raw = window.take(4)
    version, big = struct.unpack("<I", raw)[0], False
    if version and version & 0xFFFF == 0:
        version, big = struct.unpack(">I", raw)[0], True
        window.order = ">"
    if version not in {2, 3}:
        raise UsageProblem(
            f"GGUF version {version} can't be read", subject=window.name, hint="versions 2 and 3 are known; " + _HINT
        )
    return version, big


def _value(window: _Window, kind: int, key: str) -> Any:
    if kind == _STRING:
        return window.text(None, f"the value of {key[:80]!r}")
    if kind == _ARRAY:
        return _array(window, key)
    if kind not in _FIXED:
        raise window.wrong(f"a value of the unknown type {kind} for {key[:80]!r}")
    value = window.number(_FIXED[kind])
    return bool(value) if kind == _BOOL else value


def _array(window: _Window, key: str) -> list[Any] | Count:
    kind, count = window.number("I"), window.number("Q")
    where = f"an array of {count} elements for {key[:80]!r}"
    if kind == _STRING:
        window.step_over_texts(count, where)
        return Count(count)
    if kind not in _FIXED:
        what = "an array of arrays" if kind == _ARRAY else f"an array of the unknown type {kind}"
        raise window.wrong(f"{what} for {key[:80]!r}")
    form = _FIXED[kind]
    size = struct.calcsize(f"<{form}")
    if count > window.left // size:
        raise window.wrong(where)
    window.kept_numbers += count
    if count > MAX_KEPT_LIST or window.kept_numbers > MAX_KEPT_NUMBERS:
        window.skip(count * size)
        return Count(count)
    values = struct.unpack(f"{window.order}{count}{form}", window.take(count * size))
    return [bool(value) for value in values] if kind == _BOOL else list(values)


def _tensor(window: _Window) -> Tensor:
    name = window.text(MAX_TENSOR_NAME, "a tensor's name")
    dimensions = window.number("I")
    if not 1 <= dimensions <= 4:
        raise window.wrong(f"{dimensions} dimensions of the tensor {name[:80]!r}")
    shape = struct.unpack(f"{window.order}{dimensions}q", window.take(8 * dimensions))
    elements = 1
    for side in shape:
        elements *= side
    if min(shape) < 0 or max(shape) > MAX_SIDE or elements > MAX_SIDE:
        raise window.wrong(f"the shape {list(shape)} of the tensor {name[:80]!r}")
    number, offset = window.number("I"), window.number("Q")
    kind = GGUF_TYPES.get(number)
    if kind is None:
        raise window.wrong(f"the unknown type {number} of the tensor {name[:80]!r}")
    count, size = block(kind)
    if shape[0] % count:
        raise window.wrong(f"rows of {shape[0]} numbers in the tensor {name[:80]!r}: not whole blocks of {kind}")
    if offset > 2**62:
        raise window.wrong(f"the offset {offset} of the tensor {name[:80]!r}")
    return Tensor(name, kind, tuple(shape), elements // count * size, offset)


class _Window:
    """A file read forward: about a MiB of it in memory."""

    def __init__(self, descriptor: int, size: int, name: str) -> None:
        self.name = name
        self.order = "<"
        self._file, self._size = descriptor, size
        self._data, self._at = b"", 0
        self._start = 0  # of the window in the file
        self._stepped = self._kept_text = 0
        self.kept_numbers = 0

    @property
    def position(self) -> int:
        return self._start + self._at

    @property
    def left(self) -> int:
        """Bytes to the end of the file."""
        return self._size - self.position

    def wrong(self, what: str) -> UsageProblem:
        message = f"the header makes no sense: {what} before byte {self.position} of {self._size}"
        return UsageProblem(message, subject=self.name, hint=_HINT)

    def take(self, count: int) -> bytes:
        self._need(count)
        start, self._at = self._at, self._at + count
        return self._data[start : self._at]

    def number(self, form: str) -> Any:
        size = struct.calcsize(f"<{form}")
        return struct.unpack(self.order + form, self.take(size))[0]

    def text(self, limit: int | None, what: str) -> str:
        """A string; of one that is longer than what is kept, the beginning."""
        size = self.number("Q")
        if size > self.left or (limit is not None and size > limit):
            raise self.wrong(f"{what} of {size} bytes")
        room = MAX_KEPT_TEXT if limit else min(MAX_KEPT_TEXT, MAX_KEPT_TEXTS - self._kept_text)
        kept = self.take(min(size, room))
        self._kept_text += 0 if limit else len(kept)
        if size > len(kept):
            self.skip(size - len(kept))
        return kept.decode("utf-8", "replace")

    def skip(self, count: int) -> None:
        if count <= len(self._data) - self._at:
            self._at += count
        else:
            self._start, self._data, self._at = self.position + count, b"", 0

    def step_over_texts(self, count: int, what: str) -> None:
        """Passes an array of strings: the words of a vocabulary are of no use here."""
        self._stepped += count
        if count > self.left // 8 or self._stepped > MAX_STEPPED:
            raise self.wrong(what)
        length = struct.Struct(f"{self.order}Q").unpack_from
        while count:
            self._need(8)
            data, at, end = self._data, self._at, len(self._data) - 8
            size = length(data, at)[0]
            while count and at <= end:
                size = length(data, at)[0]
                at += 8 + size
                count -= 1
            if at - len(data) > self._size - self._start - len(data):
                raise self.wrong(f"a word of {size} bytes in {what}")
            self._at = min(at, len(data))
            self.skip(at - self._at)

    def _need(self, count: int) -> None:
        if count <= len(self._data) - self._at:
            return
        if count > self.left:
            raise UsageProblem(
                f"the header is cut short: the file ends at byte {self._size}, which is before its end",
                subject=self.name,
                hint=_HINT,
            )
        self._start, self._at = self.position, 0
        self._data = self._read(self._start, max(count, WINDOW_BYTES))
        if len(self._data) < count:
            raise UsageProblem("the file got shorter while it was read", subject=self.name, hint=_HINT)

    def _read(self, start: int, count: int) -> bytes:
        os.lseek(self._file, start, os.SEEK_SET)  # os.pread is not there on Windows
        parts = []
        while count and (part := os.read(self._file, count)):
            parts.append(part)
            count -= len(part)
        return b"".join(parts)
