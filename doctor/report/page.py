"""A page of styled lines, as wide as the terminal: laid out here, painted by rich where there are colours.

Text that goes into a file or a pipe needs no rich, whose import alone takes as long as the reading of a small log.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

Part = str | tuple[str, str]  # text, or text with its style as rich writes it: "bold red"

_PIPED_WIDTH = 80
_LEAST_WIDTH, _MOST_WIDTH = 40, 110
_WORD = re.compile(r"\S+")
_BREAK = re.compile(r"[/,;:=&?_.)\]|-](?=\w)")  # where a word that is longer than a line may be broken
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")
_ASCII = str.maketrans(
    {"▶": ">", "│": "|", "⋮": ":", "→": ">", "·": "-", "×": "x", "−": "-", "…": "...", "•": "-", "█": "#", "░": "."}
)


def clean(text: str) -> str:
    """Control characters of a log shown, not obeyed: no terminal escape, no bidi override gets through."""
    if text.isascii() and text.isprintable():
        return text
    text = text.expandtabs(4)
    shown = (c if c.isprintable() and c not in _BIDI else "\N{REPLACEMENT CHARACTER}" for c in text)
    return "".join(shown)


class Page:
    """Writes paragraphs. Everything that comes from outside goes through `clean`; nothing is taken as markup.

    Attributes:
        width: columns.
        height: rows of the terminal; None when it is none.
        narrow: labels stand above their text, not beside it.
        rows: how many were written.
    """

    def __init__(self, stream: Any = None, console: Console | None = None) -> None:
        self._out = stream or sys.stdout
        self._console = console
        is_terminal = console is None and bool(self._out.isatty())
        if console is None and _wants_colour(is_terminal):
            from rich.console import Console

            self._console = Console(file=self._out, force_terminal=True, highlight=False, markup=False, emoji=False)
        size = _size(self._out)
        self.width = console.width if console is not None else size[0]
        self.height = size[1] if is_terminal else None
        self.narrow = self.width < 70
        self.rows = 0
        self._ascii = not _can_encode(self._out)

    def say(
        self,
        *parts: Part,
        indent: int = 0,
        hang: int | None = None,
        margin: str = "",
        most: int = 0,
        style: str = "",
    ) -> None:
        """One paragraph.

        Args:
            indent: columns before its first row.
            hang: columns before the others; as many as ``indent`` by default.
            margin: stands at the end of those columns.
            most: rows; what goes beyond is cut, and an ellipsis shows it.
            style: of parts that have none.
        """
        hang = indent if hang is None else hang
        if self._ascii:
            margin = margin.translate(_ASCII)
        spans = [
            (clean(part), style) if isinstance(part, str) else (clean(part[0]), part[1] or style) for part in parts
        ]
        if self._ascii:
            spans = [(text.translate(_ASCII), style) for text, style in spans]
        text = "".join(text for text, _style in spans)
        rows = list(wrap(text, self.width - indent, self.width - hang))
        for number, (start, end) in enumerate(rows[: most or None]):
            lead = (margin.rjust(hang), "dim") if number else (" " * indent, "")
            if number + 1 == most < len(rows):
                fits = start + fitting(text[start:], self.width - len(lead[0]) - 4)
                self._paint([lead, *_slice(spans, start, fits), (" ..." if self._ascii else " …", style)])
            else:
                self._paint([lead, *_slice(spans, start, end)])

    def labelled(self, label: Part, *parts: Part, column: int, style: str = "") -> None:
        """A label, and its text in a column of its own beside it (below it where the page is narrow)."""
        name, label_style = (label, "") if isinstance(label, str) else label
        if self.narrow:
            self.say((name, label_style))
            self.say(*parts, indent=2, style=style)
        else:
            self.say((name.ljust(column), label_style), *parts, hang=column, style=style)

    def line(self, text: str, style: str = "") -> None:
        """One line, however long."""
        self._paint([(clean(text), style)])

    def gap(self) -> None:
        self._paint([])

    def _paint(self, spans: Sequence[tuple[str, str]]) -> None:
        self.rows += 1
        if self._console is None:
            self._write("".join(text for text, _style in spans).rstrip() + "\n")
            return
        from rich.text import Text

        line = Text.assemble(*((text, style) for text, style in spans if text))
        line.rstrip()
        self._console.print(line, soft_wrap=True)

    def _write(self, text: str) -> None:
        try:
            self._out.write(text)
        except UnicodeEncodeError:
            encoding = self._out.encoding or "ascii"
            self._out.write(text.encode(encoding, "replace").decode(encoding))


def wrap(text: str, first: int, other: int) -> Iterator[tuple[int, int]]:
    """Where the rows of a text begin and end.

    Words are kept whole; one that is longer than a row is broken, at a sign that paths and lists have if there is one.

    Args:
        first, other: columns of the first row, and of all others.
    """
    if len(text) <= first and text.isascii() and not text.isspace():  # most of a report: it fits on one row
        yield 0, len(text.rstrip())
        return
    room, start, end, used = max(first, 1), 0, 0, 0
    for word in _WORD.finditer(text):
        at, stop = word.span()
        blanks, size = at - end, cells(text[at:stop])
        if used + blanks + size <= room:
            used, end = used + blanks + size, stop
            continue
        left = room - used - blanks
        if size > other and left >= 12:  # begins on this row: it has to be broken anyway
            head = _breaking(text[at:stop], left)
            yield start, at + head
            start, room = at + head, max(other, 1)
        else:
            if end > start:
                yield start, end
                room = max(other, 1)
            start = at
        while cells(text[start:stop]) > room:
            head = _breaking(text[start:stop], room)
            yield start, start + head
            start, room = start + head, max(other, 1)
        end, used = stop, cells(text[start:stop])
    if end > start or not text.strip():
        yield start, end


def cells(text: str) -> int:
    """Columns that a text takes in a terminal: two for a Chinese character, none for a combining mark."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def fitting(text: str, room: int) -> int:
    """How many of the first characters fit into so many columns; at least one."""
    if text.isascii():
        return max(min(len(text), room), 1)
    used = 0
    for number, char in enumerate(text):
        used += cells(char)
        if used > room:
            return max(number, 1)
    return len(text)


def _breaking(word: str, room: int) -> int:
    """After how many characters a word is broken that does not fit."""
    most = fitting(word, room)
    places = [found.end() for found in _BREAK.finditer(word, most // 2, most + 1) if found.end() <= most]
    return places[-1] if places else most


def _slice(spans: Sequence[tuple[str, str]], start: int, end: int) -> Iterator[tuple[str, str]]:
    at = 0
    for text, style in spans:
        piece = text[max(start - at, 0) : max(end - at, 0)]
        if piece:
            yield piece, style
        at += len(text)


def _wants_colour(is_terminal: bool) -> bool:
    """Colours on a terminal that has them and whose user has not refused them (https://no-color.org)."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR") or os.environ.get("CLICOLOR_FORCE", "0") not in {"", "0"}:
        return True
    return is_terminal and os.environ.get("TERM", "").lower() not in {"dumb", "unknown"}


def _size(out: Any) -> tuple[int, int]:
    """Columns (within what can be read well) and rows."""
    try:
        columns, rows = os.get_terminal_size(out.fileno())
    except (OSError, ValueError, AttributeError):
        columns, rows = 0, 24
    asked = os.environ.get("COLUMNS", "")
    if asked.isdecimal() and 0 < int(asked) < 10_000:
        columns = int(asked)
    return min(max(columns or _PIPED_WIDTH, _LEAST_WIDTH), _MOST_WIDTH), rows


def _can_encode(out: Any) -> bool:
    """Whether the stream's encoding has the page's own signs (a Windows console or ``LC_ALL=C`` may not)."""
    try:
        "▶│⋮→·×−…".encode(getattr(out, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
