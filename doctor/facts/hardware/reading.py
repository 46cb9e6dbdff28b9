"""What a reader of saved command output gives back, and the small tools that all readers share.

A reader is a module with three names: ``kind`` (a word), ``marker`` (a compiled pattern that matches the first line of
its output anywhere in a text) and ``read(lines, first_line, path)``. ``lines[0]`` is the line that ``marker`` matched;
what follows may belong to something else, so each reader stops by itself where its own output ends and says in its
block how far it got. A reader that sees on a closer look that the text is none of its own returns no block.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Protocol

from doctor.units import parse_size
from doctor.vocabulary.facts import ABSENT, Fact, Origin, Record

# The fields that tell one element of a collection from another.
IDENTITY: dict[str, tuple[str, ...]] = {
    "device": ("backend", "index"),
    "card": ("index",),
    "numa_node": ("index",),
    "process": ("pid", "device"),
    "file": ("path",),
    "filesystem": ("mount",),
    "disk": ("name",),
    "mapping": ("path",),
    "numa_usage": ("pid", "name"),
    "container": ("name",),
    "adapter": ("bus",),
    "gpu_link": ("one", "other"),
    "device_file": ("path",),
    "program": ("path",),
    "package": ("name", "place"),
    "service": ("name",),
    "endpoint": ("address",),
    "task": ("pid",),
    "loaded_model": ("name",),
    "answer": ("name",),
}

# A command line in front of its output: "$ free -g", "root@box:~# free -g", "[me@box ~]$ free -g", "+ free -g".
_PROMPT = re.compile(r"(?:\[?[\w.-]+@[\w.-]+[^$#%>]{0,80}[$#%]|[$#+❯➜]|>>>) +(?:sudo +)?(?P<command>\S.*)")


@dataclass(frozen=True, slots=True)
class Block:
    """Lines ``first_line`` to ``last_line`` (1-based, both included) were read as the output of ``kind``."""

    kind: str
    first_line: int
    last_line: int


@dataclass(slots=True)
class Reading:
    """Facts and records found, the lines they came from, and what could not be read (sentences with a line number)."""

    facts: list[Fact] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def extend(self, other: Reading) -> None:
        self.facts += other.facts
        self.records += other.records
        self.blocks += other.blocks
        self.problems += other.problems


class Reader(Protocol):
    """The shape of a reader module."""

    kind: str
    marker: re.Pattern[str]

    def read(self, lines: list[str], first_line: int, path: str) -> Reading: ...


class Notes:
    """Collects what one reader finds, with the line that each value came from; ``i`` counts from the block's start."""

    def __init__(self, kind: str, first_line: int, path: str) -> None:
        self.kind, self.first_line, self.path = kind, first_line, path
        self.reading = Reading()

    def origin(self, i: int) -> Origin:
        return Origin(self.path, self.first_line + i)

    def fact(self, name: str, value: Any, i: int) -> None:
        """Adds a fact; a value of ``None`` (could not be read) is left out."""
        if value is not None:
            self.reading.facts.append(Fact(name, value, self.origin(i)))

    def record(self, kind: str, i: int, **fields: Any) -> Record:
        """Adds an element of a collection, without the fields that are ``None``."""
        known = {name: value for name, value in fields.items() if value is not None}
        record = Record(kind, known, self.origin(i))
        self.reading.records.append(record)
        return record

    def problem(self, i: int, what: str) -> None:
        self.reading.problems.append(f"{self.kind} output at line {self.first_line + i}: {what}")

    def done(self, last: int) -> Reading:
        """The reading; ``last`` is the index of the block's last line."""
        self.reading.blocks.append(Block(self.kind, self.first_line, self.first_line + last))
        return self.reading


def size(text: str | None, default_unit: str = "") -> int | None:
    """Bytes, or ``None`` where the text is no size (``N/A``, ``[Not Supported]``, garbage)."""
    word = "".join((text or "")[:100].split())
    try:
        return parse_size(word, default_unit) if word else None
    except (ValueError, OverflowError):
        return None


def number(text: str | None) -> int | None:
    """A whole number of sane length, or ``None``."""
    text = (text or "").strip()
    return int(text) if re.fullmatch(r"-?[0-9]{1,20}", text) else None


def decimal(text: str | None) -> float | None:
    """``"450.00 W"`` -> 450.0; ``None`` where no number begins the text."""
    found = re.match(r"\s*(-?[0-9]{1,15}(?:[.,][0-9]{1,9})?)", text or "")
    return float(found[1].replace(",", ".")) if found else None


def cpu_quota(text: str) -> Any:
    """CPUs that a cgroup may use, from ``QUOTA PERIOD`` in microseconds.

    ABSENT for ``max``, ``None`` for anything else.
    """
    found = re.fullmatch(r"(?P<quota>max|[0-9]{1,15}) (?P<period>[0-9]{1,15})", text)
    if not found or int(found["period"]) == 0:
        return None
    return ABSENT if found["quota"] == "max" else round(int(found["quota"]) / int(found["period"]), 3)


def cpu_list(text: str) -> list[int] | None:
    """``"0-3,8"`` -> [0, 1, 2, 3, 8]; also blank-separated. ``None`` for anything else, or for more than 65536 CPUs."""
    cpus: list[int] = []
    for part in re.split(r"[,\s]+", text.strip()):
        found = re.fullmatch(r"([0-9]{1,6})(?:-([0-9]{1,6}))?", part)
        if not found or len(cpus) > 65536:
            return None if part else cpus
        cpus += range(int(found[1]), int(found[2] or found[1]) + 1)
    return cpus


def command_of(line: str) -> str | None:
    """The command of a line that shows a shell prompt, else ``None``."""
    found = _PROMPT.fullmatch(line.strip()) if len(line) < 2000 else None
    return found["command"] if found else None


def columns(header: str, row: str) -> dict[str, str]:
    """Cells of an aligned table by their header word.

    Left- and right-aligned columns share at least one position with their header, so a word belongs to the header
    that it overlaps; one that overlaps none (a long or second word) belongs to the header before it. Only the first
    1,000 characters count.
    """
    heads = [(m.group(), m.start(), m.end()) for m in re.finditer(r"\S+", header[:1000])]
    cells: dict[str, str] = {}
    for word in re.finditer(r"\S+", row[:1000]):
        over = [name for name, start, end in heads if start < word.end() and word.start() < end]
        before = [name for name, start, _ in heads if start <= word.start()]
        name = over[0] if over else before[-1] if before else heads[0][0] if heads else ""
        cells[name] = f"{cells[name]} {word.group()}" if name in cells else word.group()
    return cells


def merge(records: list[Record]) -> list[Record]:
    """One record for each element: what a later output says of the same device, node or file replaces the earlier.

    Records of other kinds, and those without all of their identifying fields, are kept as they are.
    """
    merged: list[Record] = []
    seen: dict[tuple[Any, ...], Record] = {}
    for record in records:
        names = IDENTITY.get(record.kind, ())
        key = (record.kind, *(record.fields.get(name) for name in names))
        if names and None not in key and key in seen:
            seen[key].fields.update(record.fields)
            continue
        copy = Record(record.kind, dict(record.fields), record.origin)
        if names and None not in key:
            seen[key] = copy
        merged.append(copy)
    return merged
