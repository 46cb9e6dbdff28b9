"""A unified diff taken apart: which lines of which file make way for which text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+\d+(?:,\d+)? @@")


@dataclass(slots=True)
class Replacement:
    """Lines ``start`` .. ``start + count - 1`` (from 1; none for an insertion before ``start``) become ``text``.

    Attributes:
        ends_file: the last of these lines has no line end.
    """

    start: int
    count: int = 0
    text: str = ""
    ends_file: bool = False


@dataclass(slots=True)
class FileChange:
    path: str
    replacements: list[Replacement] = field(default_factory=list)


def changes(diff: str) -> list[FileChange]:
    """The changes of a diff of files; none of one that is about a command line."""
    found: list[FileChange] = []
    lines = diff.split("\n")
    for number, line in enumerate(lines):
        if line.startswith("--- ") and lines[number + 1 : number + 2] and lines[number + 1].startswith("+++ "):
            end = next((at for at in range(number + 2, len(lines) - 1) if _begins_file(lines, at)), len(lines))
            found.append(FileChange(line[4:].strip(), list(_replacements(lines[number + 2 : end]))))
    return [change for change in found if change.replacements]


def _begins_file(lines: list[str], at: int) -> bool:
    """Whether a ``--- `` line begins another file; a line that was taken out may look like it."""
    return (
        lines[at].startswith("--- ")
        and lines[at + 1].startswith("+++ ")
        and at + 2 < len(lines)
        and _HUNK.match(lines[at + 2]) is not None
    )


def _replacements(lines: list[str]) -> Iterator[Replacement]:
    at, sign = 0, ""
    now: Replacement | None = None
    for line in lines:
        if hunk := _HUNK.match(line):
            if now is not None:
                yield now
            now = None
            at = int(hunk[1]) + (hunk[2] == "0")  # "-3,0" is behind line 3
        elif line.startswith(("-", "+")):
            now, sign = now or Replacement(at), line[0]
            if sign == "-":
                now.count += 1
                at += 1
            else:
                now.text += f"{line[1:]}\n"
        elif line.startswith("\\"):
            if now is not None and sign == "-":
                now.ends_file = True
            elif now is not None and sign == "+":
                now.text = now.text.removesuffix("\n")
        else:
            if now is not None:
                yield now
            now = None
            at += 1
    if now is not None:
        yield now
