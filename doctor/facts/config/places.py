"""Words and values with the place in the file where they are written."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

Form = Literal["text", "item", "flow", "value"]
"""How something is written: as bare text, or as a value of YAML: an item on its own line, in ``[a, b]``, after a key.
The quotes of a value of YAML are part of its place; those around a text are not."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is written: the file, the 1-based line, and which characters of the file's text it takes."""

    path: str
    line: int
    start: int
    end: int
    form: Form = "text"


Locate = Callable[[int, int], Place | None]
"""From a range of a value to its place in the file."""


@dataclass(slots=True)
class Text:
    """A configuration file: its path, its text with ``\\n`` as the end of a line, and how its lines really end."""

    path: str
    text: str
    newline: str = "\n"
    _starts: list[int] = field(default_factory=list)

    def line(self, at: int) -> int:
        """The 1-based line of a character."""
        if not self._starts:
            self._starts = [found.end() for found in re.finditer("\n", self.text)]
        return bisect_right(self._starts, at) + 1

    def place(self, start: int, end: int, form: Form = "text") -> Place:
        return Place(self.path, self.line(start), start, end, form)

    def locator(self, value: str, start: int, end: int, style: str = "") -> Locate:
        """From ranges of ``value``, which these characters hold, to their places.

        Folding, indentation and continued lines touch blanks only, so the pieces between blanks are the same in the
        value and in the text; where they are not (escapes), the place is unknown.

        Args:
            style: the quote of YAML around it, if any.
        """
        known: list[dict[int, tuple[int, int]]] = []  # worked out when first asked: most values are never looked into

        def locate(first: int, last: int) -> Place | None:
            if not known:
                known.append(_offsets(value, self.text, start, end, style))
            offsets = known[0]
            if last <= first or first not in offsets or last - 1 not in offsets:
                return None
            return self.place(offsets[first][0], offsets[last - 1][1])

        return locate


def _offsets(value: str, text: str, start: int, end: int, style: str) -> dict[int, tuple[int, int]]:
    """For each character of the value that is no blank, which characters of the text stand for it; or nothing."""
    pieces, written = (
        [piece for piece in re.finditer(r"\S+", part) if piece[0] != "\\"] for part in (value, text[start:end])
    )
    offsets: dict[int, tuple[int, int]] = {}
    if len(pieces) == len(written):
        for piece, source in zip(pieces, written, strict=True):
            if (steps := _steps(piece[0], source[0], style)) is None:
                return {}
            at = start + source.start()
            for i, (first, last) in enumerate(steps):
                offsets[piece.start() + i] = (at + first, at + last)
    return offsets


def _steps(value: str, raw: str, style: str) -> list[tuple[int, int]] | None:
    """For each character of the value, which characters of the raw text stand for it."""
    made: list[tuple[int, int]] = []
    at = 0
    for char in value:
        written = char
        if style == '"' and raw.startswith("\\", at):
            written = "\\" + char
        elif style == "'" and char == "'":
            written = "''"
        if not raw.startswith(written, at):
            return None
        made.append((at, at + len(written)))
        at += len(written)
    return made if at == len(raw) else None


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a command line as the program gets it, or the value of a variable.

    Attributes:
        place: None when no single place holds it.
        inside: to the places of parts of it.
        array: the words of an array of a shell.
    """

    text: str
    place: Place | None = None
    inside: Locate | None = field(default=None, compare=False, repr=False)
    array: tuple[Word, ...] = ()


Lookup = Callable[[str], Word | None]
