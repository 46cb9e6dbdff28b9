"""systemd units with their drop-ins, as files or as ``systemctl cat`` prints them: command line, variables, limits."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from doctor.facts.config.argv import Command, parse_command
from doctor.facts.config.env import EnvFile, EnvValue, unit_assignments
from doctor.facts.config.values import masked
from doctor.units import parse_size
from doctor.vocabulary.facts import Fact, Layer, Origin

_MAX_TEXT = 1024 * 1024
_PAIR = re.compile(r"(?P<key>[A-Za-z]\w*)\s*=\s*(?P<value>.*)", re.DOTALL)
_SECTION = re.compile(r"\[(?P<name>[\w-]+)\]")
_LIMITS = {
    "LimitMEMLOCK": "host.memlock_limit",
    "LimitAS": "host.address_space_limit",
    "LimitNOFILE": "host.open_files_limit",
    "MemoryMax": "host.cgroup_limit",
    "MemoryLimit": "host.cgroup_limit",
}


@dataclass(slots=True)
class Unit:
    """What a unit declares.

    Attributes:
        command: of ``ExecStart=``, and ``command_at``, where it stands.
        env: ``Environment=``; ``env_files``: the paths of ``EnvironmentFile=`` with their line.
        facts: limits (``LimitMEMLOCK``, ``MemoryMax``, ...), of the layer ``file``.
    """

    path: str
    command: Command | None = None
    command_at: Origin | None = None
    env: EnvFile = field(default_factory=lambda: EnvFile(""))
    env_files: list[tuple[str, int]] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def read_unit(text: str, path: str, drop_ins: Sequence[tuple[str, str]] = ()) -> Unit:
    """Reads a unit and its drop-ins.

    Args:
        text: the unit, or what ``systemctl cat`` printed (then the drop-ins stand below it).
        path: its name.
        drop_ins: text and path of each drop-in, in systemd's order; an empty assignment takes back earlier ones.
    """
    unit = Unit(path, env=EnvFile(path))
    limits: dict[str, Fact] = {}
    for body, name in ((text, path), *drop_ins):
        section = "Service"
        for line, number in _logical_lines(body[:_MAX_TEXT]):
            if head := _SECTION.fullmatch(line):
                section = head["name"]
            elif section in {"Service", "Container", "Slice"} and (pair := _PAIR.fullmatch(line)):
                _take(unit, limits, pair["key"], pair["value"].strip(), Origin(name, number, Layer.FILE))
            elif not _PAIR.fullmatch(line):
                unit.problems.append(f"line {number}: not KEY=VALUE")
    unit.facts = list(limits.values())
    return unit


def _logical_lines(text: str) -> list[tuple[str, int]]:
    """Lines without comments, continued ones joined, with the number of their first line."""
    found: list[tuple[str, int]] = []
    parts: list[str] = []
    start = 0
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.strip()
        if not line or line[0] in "#;":
            continue
        start = start if parts else number
        parts.append(line.removesuffix("\\").rstrip())
        if not line.endswith("\\"):
            found.append((" ".join(parts), start))
            parts = []
    return [*found, (" ".join(parts), start)] if parts else found


def _take(unit: Unit, limits: dict[str, Fact], key: str, value: str, origin: Origin) -> None:
    line = origin.line or 0
    if key == "ExecStart":
        command = parse_command(value.lstrip("-@:+!")) if value else None
        unit.command, unit.command_at = command, origin if command else None
        if value and command is None:
            unit.problems.append(f"line {line}: the command of ExecStart could not be read")
    elif key == "Environment":
        if not value:
            unit.env.values.clear()
        for name, text in unit_assignments(value):
            unit.env.values[name] = EnvValue(name, masked(name, text), line)
    elif key == "EnvironmentFile":
        unit.env_files = [*unit.env_files, (value.removeprefix("-"), line)] if value else []
    elif key in _LIMITS:
        count = None if key.startswith("Memory") and value == "infinity" else _limit(value)
        if count is None:
            limits.pop(_LIMITS[key], None)
        else:
            limits[_LIMITS[key]] = Fact(_LIMITS[key], count, origin)


def _limit(text: str) -> Any:
    """``"16G"`` -> bytes; ``soft:hard`` counts by its soft part; no limit is -1 for rlimits, nothing for a cgroup."""
    text = text.split(":", maxsplit=1)[0].strip()
    if text == "infinity":
        return -1
    try:
        return parse_size(text)
    except (ValueError, OverflowError):
        return None
