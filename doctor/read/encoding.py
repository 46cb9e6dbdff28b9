"""UTF-16 as PowerShell writes it, GBK as a Chinese Windows writes it, and byte order marks: made UTF-8 on the way.

Everything else stays as it is: nearly all patterns are ASCII, so Latin-1 or a stray byte in a line costs nothing.
"""

from __future__ import annotations

import codecs
import itertools
import re

from doctor.read.streams import Chunks

_LOOK_BYTES = 4096
# The characters of GB 2312: signs (rows 1 to 9) and hanzi (rows 16 to 87), of which all but rare text is made.
_HANZI = re.compile(rb"[\xa1-\xa9\xb0-\xf7][\xa1-\xfe]")
_FEWEST_HANZI = 4
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


def encoding_of(head: bytes) -> str | None:
    """The encoding that has to be undone: utf-16-le, utf-16-be, gb18030, utf-8 (with a mark); None: nothing to do.

    Without a mark UTF-16 is told by its zero bytes: those of ASCII are all on one side of the pairs. A run of zeros,
    as a log that was cut while open has it, is on both sides.
    """
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    text = head[: min(len(head), _LOOK_BYTES) // 2 * 2]
    if 0 not in text:
        return "gb18030" if _is_gbk(head) else None
    if len(text) < 4:
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


def _is_gbk(head: bytes) -> bool:
    """Whether what is not ASCII is pairs of bytes that GB 2312 has, and not UTF-8.

    A log that is UTF-8 but for a few bytes is not taken for it: of UTF-8's three bytes a character the second or
    third is below the range of pairs more often than not, and most of it decodes.
    """
    if head.isascii():
        return False
    high = sum(byte >= 0x80 for byte in head)
    pairs = len(_HANZI.findall(head))
    broken = head.decode("utf-8", "replace").count("\ufffd")
    return pairs >= _FEWEST_HANZI and 2 * pairs >= 0.95 * high and broken >= pairs


def transcoded(chunks: Chunks, encoding: str) -> Chunks:
    """UTF-8 without a byte order mark; what can't be decoded becomes U+FFFD."""
    if encoding == "utf-8":
        yield from _without_mark(chunks, codecs.BOM_UTF8)
        return
    marks = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}
    mark = marks.get(encoding, b"")
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
