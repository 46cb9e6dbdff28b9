"""UTF-16 as PowerShell writes it, and byte order marks: made UTF-8 on the way.

Everything else stays as it is: patterns are ASCII, so Latin-1 or a stray byte in a line costs nothing.
"""

from __future__ import annotations

import codecs
import itertools

from doctor.read.streams import Chunks

_LOOK_BYTES = 4096
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


def encoding_of(head: bytes) -> str | None:
    """The encoding that has to be undone: utf-16-le, utf-16-be, utf-8 (with a mark); None: nothing to do.

    Without a mark UTF-16 is told by its zero bytes: those of ASCII are all on one side of the pairs. A run of zeros,
    as a log that was cut while open has it, is on both sides.
    """
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    text = head[: min(len(head), _LOOK_BYTES) // 2 * 2]
    if len(text) < 4 or 0 not in text:
        return None
    zeros = [text[side::2].count(0) * 2 / len(text) for side in (0, 1)]
    if min(zeros) > 0.02 or max(zeros) < 0.3:
        return None
    encoding = "utf-16-le" if zeros[1] > zeros[0] else "utf-16-be"
    try:
        decoded = text.decode(encoding)
    except UnicodeDecodeError as error:
        if error.start < len(text) - 2:  # only the last pair may be half a character
            return None
        decoded = text[: error.start].decode(encoding)
    readable = sum(char.isprintable() or char in "\r\n\t\x1b" for char in decoded)
    return encoding if readable >= 0.9 * len(decoded) else None


def transcoded(chunks: Chunks, encoding: str) -> Chunks:
    """UTF-8 without a byte order mark; what can't be decoded becomes U+FFFD."""
    if encoding == "utf-8":
        yield from _without_mark(chunks, codecs.BOM_UTF8)
        return
    mark = codecs.BOM_UTF16_LE if encoding == "utf-16-le" else codecs.BOM_UTF16_BE
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    for chunk in _without_mark(chunks, mark):
        if text := decoder.decode(chunk):
            yield text.encode()
    if text := decoder.decode(b"", final=True):
        yield text.encode()


def _without_mark(chunks: Chunks, mark: bytes) -> Chunks:
    start = b""
    for chunk in chunks:
        start += chunk
        if len(start) >= len(mark):
            break
    yield from itertools.chain([start.removeprefix(mark)], chunks)
