"""The same patterns for ripgrep: group names removed, look-around and back-references left out and counted."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from doctor.scan.patterns import Pattern

_META = set("\\.+*?()|[]{}^$#&-~")
_LOOK_AROUND = ("(?=", "(?!", "(?<=", "(?<!")


@dataclass(slots=True)
class Translation:
    text: str
    left_out: int = 0


def translate(pattern: str, *, ignore_case: bool = False) -> Translation:
    """A Python pattern in the syntax of Rust's ``regex``."""
    out: list[str] = ["(?i)"] if ignore_case else []
    left_out = position = 0
    while position < len(pattern):
        rest = pattern[position:]
        if rest.startswith(_LOOK_AROUND):
            position = _group_end(pattern, position)
            left_out += 1
        elif rest.startswith("(?P="):
            position = pattern.index(")", position) + 1
            out.append("(?:.*)")
            left_out += 1
        elif rest.startswith(("(?P<", "(?>")):
            position = pattern.index(">", position) + 1
            out.append("(?:")
        elif rest[0] == "\\" and rest[1].isdigit():
            out.append("(?:.*)")
            left_out += 1
            position += 2
        elif rest[0] == "\\":
            out.append(rest[:2] if rest[1].isalnum() or rest[1] in _META else rest[1])
            position += 2
        elif rest[0] == "[":
            end = _class_end(pattern, position)
            out.append(_class(pattern[position:end]))
            position = end
        elif rest[0] == "{" and not _is_count(rest):
            out.append("\\{")
            position += 1
        else:
            out.append(rest[0])
            position += 1
    return Translation("".join(out), left_out)


def _is_count(rest: str) -> bool:
    body = rest[1 : rest.find("}")] if "}" in rest else "x"
    return bool(body) and all(part.isdigit() for part in body.split(",") if part) and body[0].isdigit()


def _class_end(pattern: str, start: int) -> int:
    position = start + 1
    if pattern[position] == "^":
        position += 1
    position += 1  # a bracket that comes first is a member
    while pattern[position] != "]" or (pattern[position - 1] == "\\" and pattern[position - 2] != "\\"):
        position += 1
    return position + 1


def _class(text: str) -> str:
    out = [text[0]]
    position = 1
    while position < len(text) - 1:
        char = text[position]
        if char == "\\":
            following = text[position + 1]
            out.append(char + following if following.isalnum() or following in _META else following)
            position += 2
            continue
        out.append("\\" + char if char in "[]&~" else char)
        position += 1
    return "".join(out) + "]"


def _group_end(pattern: str, start: int) -> int:
    depth = 0
    position = start
    while position < len(pattern):
        char = pattern[position]
        if char == "\\":
            position += 2
            continue
        if char == "[":
            position = _class_end(pattern, position)
            continue
        depth += (char == "(") - (char == ")")
        position += 1
        if depth == 0:
            return position
    raise ValueError(f"unbalanced: {pattern}")


def write(patterns: Iterable[Pattern], path: Path) -> int:
    """The patterns, one a line; returns how many look-arounds and back-references were left out."""
    translations = [translate(pattern.pattern, ignore_case=pattern.ignore_case) for pattern in patterns]
    path.write_text("".join(translation.text + "\n" for translation in translations))
    return sum(translation.left_out for translation in translations)


def count(patterns: Path, log: Path, timeout: float | None = None) -> tuple[float, int]:
    """Seconds that ``rg -c -f`` takes, and the lines that it counts. Stops the benchmark if rg finds an error.

    Raises:
        subprocess.TimeoutExpired: it took longer than ``timeout`` seconds.
    """
    started = time.perf_counter()
    # The limit is ripgrep's own guard; the rule book is beyond it.
    command = ["rg", "-c", "--regex-size-limit", "2G", "-f", str(patterns), str(log)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout)
    seconds = time.perf_counter() - started
    if done.returncode == 2:
        raise SystemExit(f"rg does not take the patterns:\n{done.stderr[-2000:]}")
    return seconds, int(done.stdout.strip() or 0)
