"""Edits of a text by ranges, and how a value is written at a place so that everything around it stays as it is."""

from __future__ import annotations

import difflib
import json
import re
import shlex
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass

from doctor.facts.config.places import Place, Text
from doctor.redact import Redactor

MAX_LINES = 2000
_AROUND = 3
_HUNK = re.compile(r"([-+])(\d+)")
_SIMPLE = re.compile(r"[\w./:=,@%+~^-]+")
# What YAML reads as something else than a text: numbers, yes and no, null, and what begins with an indicator.
_NOT_PLAIN = re.compile(
    r"(?:[-+.]?[\d.][\d_.,:eExX+-]*|true|false|yes|no|on|off|y|n|null|~|0[xo][\da-fA-F]+)"
    r"|[-?:,\[\]{}#&*!|>'\"%@`=].*|.*: .*|.* #.*|.*:|\s.*|.*\s|",
    re.IGNORECASE | re.DOTALL,
)


class CannotEditError(Exception):
    """There is no way to make this change in the file that would surely be right."""


@dataclass(frozen=True, slots=True)
class Edit:
    """These characters of a file's text are replaced."""

    path: str
    start: int
    end: int
    text: str


def edited(text: str, edits: Iterable[Edit]) -> str:
    """The text with its edits done.

    Raises:
        CannotEditError: two of them touch the same characters.
    """
    at, parts = 0, []
    for edit in sorted(edits, key=lambda edit: (edit.start, edit.end)):
        if edit.start < at:
            raise CannotEditError
        parts += [text[at : edit.start], edit.text]
        at = edit.end
    return "".join([*parts, text[at:]])


def unified(path: str, old: str, new: str, newline: str = "\n") -> str:
    """A unified diff that ``patch`` takes, with three lines around a change; fewer where those would show a secret."""
    first, last = _changed(old, new)
    above = old.count("\n", 0, first)
    was, now = (_lines(text[first : len(text) - last], newline) for text in (old, new))
    if max(len(was), len(now)) > MAX_LINES:
        return ""
    redactor, made = Redactor(), ""
    for around in (3, 2, 1, 0):
        lines = []
        for piece in difflib.unified_diff(was, now, path, path, n=around):
            line = _HUNK.sub(lambda found: f"{found[1]}{int(found[2]) + above}", piece) if piece[:2] == "@@" else piece
            lines += [line] if line.endswith("\n") else [f"{line}\n", "\\ No newline at end of file\n"]
        made = "".join(lines).removesuffix("\n")
        if redactor.text(made) == made:
            break
    return made


def _changed(old: str, new: str) -> tuple[int, int]:
    """How many characters are the same at the start and at the end, but for the lines that a difference shows."""
    same = bisect_left(range(min(len(old), len(new))), True, key=lambda n: old[: n + 1] != new[: n + 1])
    rest = min(len(old), len(new)) - same
    behind = bisect_left(range(rest), True, key=lambda n: old[len(old) - n - 1 :] != new[len(new) - n - 1 :])
    first = line_start(old, same)
    for _ in range(_AROUND):
        first = line_start(old, max(first - 1, 0))
    last = len(old) - behind
    for _ in range(_AROUND + 1):
        last = min(line_end(old, last) + 1, len(old))
    return first, len(old) - last


def _lines(text: str, newline: str) -> list[str]:
    lines = text.split("\n")
    return [f"{line}{newline}" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])


def rewritten(value: str, place: Place, text: str) -> Edit:
    """The value at a place replaced by another one, in the same quotes.

    Raises:
        CannotEditError: the new value would need other quotes than a text without its own allows.
    """
    written = text[place.start : place.end]
    quote = written[:1] if written[:1] in {'"', "'"} and written[-1:] == written[:1] and len(written) > 1 else ""
    if place.form != "text":
        return Edit(place.path, place.start, place.end, scalar(value, quote, plain=_is_odd(written) == _is_odd(value)))
    if not _SIMPLE.fullmatch(value) and (not quote or re.search(r"['\"\\$`\n]", value)):
        raise CannotEditError
    return Edit(place.path, place.start, place.end, f"{quote}{value}{quote}")


def _is_odd(written: str) -> bool:
    return bool(_NOT_PLAIN.fullmatch(written))


def scalar(value: str, quote: str = "", *, plain: bool = False) -> str:
    """A value as a scalar of YAML: in these quotes; without any if it needs none, or ``plain`` says so."""
    if quote == "'" and "\n" not in value:
        return "'" + value.replace("'", "''") + "'"
    is_flag = re.fullmatch(r"--?[A-Za-z][\w-]*(?:=[\w./:-]*[\w./-])?", value)
    if not quote and (is_flag or not _is_odd(value) or (plain and _SIMPLE.fullmatch(value))):
        return value
    return json.dumps(value, ensure_ascii=False)


def shell_word(value: str, *, inside: bool = False) -> str:
    """A value as a word of a shell or of systemd.

    Args:
        inside: it is written into a text that may itself stand between quotes.

    Raises:
        CannotEditError: it would need quotes inside of others.
    """
    if _SIMPLE.fullmatch(value):
        return value
    if inside:
        raise CannotEditError
    return shlex.quote(value)


def line_start(text: str, at: int) -> int:
    return text.rfind("\n", 0, at) + 1


def line_end(text: str, at: int) -> int:
    """Where the line ends, before its newline."""
    end = text.find("\n", at)
    return len(text) if end < 0 else end


def indentation(text: str, at: int) -> str:
    """The blanks at the start of the line."""
    start = line_start(text, at)
    found = re.compile(r"[ \t]*").match(text, start)
    return found[0] if found else ""


def without_lines(file: Text, start: int, end: int) -> Edit:
    """The whole lines of a range taken out."""
    first, last = line_start(file.text, start), line_end(file.text, end)
    if last < len(file.text):
        last += 1
    elif first:
        first -= 1
    return Edit(file.path, first, last, "")


def new_line(file: Text, after: int, line: str) -> Edit:
    """A line (or several) put in behind that of ``after``."""
    end = line_end(file.text, after)
    return Edit(file.path, end, end, f"\n{line}")
