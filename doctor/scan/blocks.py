"""Cuts a stream into big blocks that end at a line's end, for several threads that take one block after another.

A line longer than a block comes in pieces that overlap, so that a match across their edge is whole in one of them.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import BinaryIO

BLOCK_BYTES = 2 * 1024 * 1024
OVERLAP_BYTES = 64 * 1024


@dataclass(slots=True)
class Block:
    """Some whole lines, or a piece of a long one.

    Attributes:
        number: counts from 0 in the order of the stream.
        text, size: the bytes are ``text[:size]``; the last one is a newline, except at the end of the stream and in
            a piece of a long line.
        continues: it begins within a line, with bytes that the block before held too.
        read: bytes of the stream up to the end of this block.
        final: it is the last one.
    """

    number: int
    text: bytearray | bytes
    size: int
    continues: bool
    read: int
    final: bool


class Blocks:
    """The blocks of a stream, from several threads. ``head`` is what was already read from it.

    Attributes:
        read: bytes so far.
        last_byte: the last one of them.
        problem: why reading stopped before the end, if it did.
    """

    def __init__(self, head: bytes, stream: BinaryIO | None, block_bytes: int = BLOCK_BYTES) -> None:
        if block_bytes <= OVERLAP_BYTES:
            raise ValueError("a block has to be larger than the overlap of the pieces of a long line")
        self.block_bytes = block_bytes
        self.read = 0
        self.last_byte = b""
        self.problem = ""
        self._head = memoryview(head)
        self._stream = stream
        self._carry = b""
        self._continues = False
        self._ended = False
        self._number = 0
        self._lock = threading.Lock()

    def take(self, buffer: bytearray) -> Block | None:
        """The next block, in ``buffer`` (of ``block_bytes``); None when there is none."""
        with self._lock:
            if self._ended:
                return None
            size = self._fill(buffer)
            if size == len(self._carry) and (self._continues or not size):
                return None  # nothing but what the block before held
            cut, keep = size, size
            continues, self._continues = self._continues, False
            if not self._ended:
                cut = keep = buffer.rfind(b"\n", 0, size) + 1
                if not cut:
                    cut, keep, self._continues = size, size - OVERLAP_BYTES, True
            with memoryview(buffer) as view:
                self._carry = bytes(view[keep:size])
            block = Block(self._number, buffer, cut, continues, self.read - (size - cut), self._ended)
            self._number += 1
            return block

    def _fill(self, buffer: bytearray) -> int:
        size = len(self._carry)
        buffer[:size] = self._carry
        with memoryview(buffer) as view:
            while size < self.block_bytes:
                got = self._read_into(view[size : self.block_bytes])
                if not got:
                    self._ended = True
                    break
                size += got
                self.read += got
        if size > len(self._carry):
            self.last_byte = bytes(buffer[size - 1 : size])
        return size

    def _read_into(self, view: memoryview) -> int:
        if self._head:
            got = min(len(self._head), len(view))
            view[:got] = self._head[:got]
            self._head = self._head[got:]
            return got
        if self._stream is None:
            return 0
        try:
            readinto = getattr(self._stream, "readinto", None)
            if readinto is not None:
                return readinto(view) or 0
            data = self._stream.read(len(view))
        except Exception as error:  # a damaged archive, a disk, a pipe: what was read up to here counts
            self.problem = f"reading stopped after {self.read} bytes: {error or type(error).__name__}"
            return 0
        view[: len(data)] = data
        return len(data)


def read_head(stream: BinaryIO, most: int) -> tuple[bytes, bool]:
    """The first bytes, up to ``most`` of them, and whether the stream ended there.

    Raises:
        OSError: not even the first byte can be read.
    """
    parts: list[bytes] = []
    size = 0
    while size < most:
        try:
            part = stream.read(min(most - size, 1024 * 1024))
        except Exception as error:
            if not parts:
                raise OSError(f"can't be read: {error or type(error).__name__}") from error
            return b"".join(parts), False  # the next read says what is wrong
        if not part:
            return b"".join(parts), True
        parts.append(part)
        size += len(part)
    return b"".join(parts), False
