"""gzip, zstandard, xz and bzip2, unpacked piece by piece.

Every step yields a bounded piece, whatever the input: a few bytes of xz or bzip2 can stand for gigabytes, so nothing
is ever asked to decompress all that it was given.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import Protocol

from doctor.read.limits import Limits, Meter, Unreadable
from doctor.read.magic import COMPRESSION
from doctor.read.streams import Chunks

_PIECE_BYTES = 1024 * 1024
_SLICE_BYTES = 16 * 1024
# A zstandard block of four bytes can stand for 128 KiB, and its decoder knows no upper bound: small bites.
_ZSTD_BITE_BYTES = 512
_DAMAGED_HINT = "copy it again, or unpack what can be saved and name that"

_MOST_MAGIC_BYTES = 10


class Decoder(Protocol):
    """As in the standard library's bz2 and lzma."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


def decompressed(chunks: Chunks, compression: str, meter: Meter) -> Chunks:
    """Unpacks; several packed streams one after another count as one, as the tools have it.

    Raises:
        Unreadable: damaged, cut short, or more than the meter allows.
    """
    limits = meter.budget.limits
    yield from metered(_unpack(chunks, lambda: _decoder(compression, limits), COMPRESSION[compression]), meter)


def inflated(chunks: Chunks, method: int, meter: Meter) -> Chunks:
    """A zip member's bytes, by its method (8 deflate, 12 bzip2, 93 and 20 zstandard).

    Raises:
        Unreadable: an unknown method, damaged, cut short, or more than the meter allows.
    """
    known: dict[int, Callable[[], Decoder]] = {
        8: lambda: _Inflate(-zlib.MAX_WBITS),
        12: bz2.BZ2Decompressor,
        20: lambda: _Zstd(meter.budget.limits),
        93: lambda: _Zstd(meter.budget.limits),
    }
    if method not in known:
        raise Unreadable(f"packed by zip method {method}, which can't be read here", "unpack it and name the file")
    yield from metered(_unpack(chunks, known[method], ()), meter)


def metered(chunks: Chunks, meter: Meter) -> Chunks:
    """Raises ``Unreadable`` behind what the meter allows."""
    position = 0
    for chunk in chunks:
        allowed = meter.allow(position, len(chunk))
        if allowed < len(chunk):
            yield chunk[:allowed]
            raise meter.refusal()
        yield chunk
        position += allowed


def _unpack(chunks: Chunks, make: Callable[[], Decoder], magic: tuple[bytes, ...]) -> Chunks:
    decoder: Decoder | None = make()
    carry = b""
    for slice_ in _slices(chunks):
        data, carry = carry + slice_, b""
        while True:
            if decoder is None:  # between two packed streams; xz and tapes pad with zeros
                data = data.lstrip(b"\0")
                if len(data) < _MOST_MAGIC_BYTES and any(each.startswith(data) for each in magic):
                    carry = data  # nothing, or too little to tell what follows
                    break
                if not data.startswith(magic):
                    return  # what else stands behind the packed data is ignored, as gzip and the others do
                decoder = make()
            try:
                piece = decoder.decompress(data, _PIECE_BYTES)
            except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError, MemoryError) as error:
                raise Unreadable(f"damaged: {str(error).rpartition('data: ')[2]}", _DAMAGED_HINT) from error
            if piece:
                yield piece
            data = b""
            if decoder.eof:
                if not magic:
                    return
                data, decoder = decoder.unused_data, None
            elif decoder.needs_input:
                break
    if decoder is not None:
        raise Unreadable("cut short: it ends in the middle of the packed data", "what is there was read; copy it again")


def _slices(chunks: Chunks) -> Chunks:
    """Where the data are damaged, a decoder keeps back what it made of all that it was given: so it gets little."""
    for chunk in chunks:
        for at in range(0, len(chunk), _SLICE_BYTES):
            yield chunk[at : at + _SLICE_BYTES]


def _decoder(compression: str, limits: Limits) -> Decoder:
    if compression == "gzip":
        return _Inflate(16 + zlib.MAX_WBITS)
    if compression == "xz":
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=limits.window_bytes)
    if compression == "bzip2":
        return bz2.BZ2Decompressor()
    return _Zstd(limits)


class _Inflate:
    """zlib with the interface of the other decoders."""

    def __init__(self, bits: int) -> None:
        self._decoder = zlib.decompressobj(bits)
        self._pending = False

    @property
    def eof(self) -> bool:
        return self._decoder.eof

    @property
    def unused_data(self) -> bytes:
        return self._decoder.unused_data

    @property
    def needs_input(self) -> bool:
        return not self._pending and not self._decoder.unconsumed_tail

    def decompress(self, data: bytes, max_length: int) -> bytes:
        piece = self._decoder.decompress(self._decoder.unconsumed_tail + data, max_length)
        self._pending = len(piece) == max_length
        return piece


class _Zstd:
    """zstandard with the interface of the other decoders."""

    def __init__(self, limits: Limits) -> None:
        try:
            import zstandard
        except ImportError:
            raise Unreadable("packed with zstandard, and the zstandard package is missing", "zstd -d it") from None
        self._error = zstandard.ZstdError
        self._decoder = zstandard.ZstdDecompressor(max_window_size=limits.window_bytes).decompressobj()
        self._waiting = memoryview(b"")

    @property
    def eof(self) -> bool:
        return self._decoder.eof

    @property
    def unused_data(self) -> bytes:
        return self._decoder.unused_data + bytes(self._waiting)

    @property
    def needs_input(self) -> bool:
        return not self._waiting

    def decompress(self, data: bytes, max_length: int) -> bytes:
        if data:
            self._waiting = memoryview(bytes(self._waiting) + data)
        bite, self._waiting = self._waiting[:_ZSTD_BITE_BYTES], self._waiting[_ZSTD_BITE_BYTES:]
        try:
            return self._decoder.decompress(bite)
        except self._error as error:
            raise ValueError(str(error)) from error
