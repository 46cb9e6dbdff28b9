"""Facts and records that a probe document states itself: written by hand for a machine that is planned, or corrected.

The text is made by ``doctor.read.probed``: a heading, then a value a line, as JSON.
"""

from __future__ import annotations

import json
import re
from typing import Any

from doctor.facts.catalogue import load_catalogue
from doctor.facts.hardware.reading import Notes, Reading, size
from doctor.vocabulary.facts import ABSENT

kind = "probe"
marker = re.compile(r"^# llmdoctor/probe/\d+: (?:values|answers)$")

_LINE = re.compile(r"(?P<record>record )?(?P<name>[a-z][\w.]{0,80}) = (?P<value>.+)")


def read(lines: list[str], first_line: int, path: str) -> Reading:
    """Values of the types that the catalogue says; what it does not know is a problem with the nearest name."""
    notes = Notes(kind, first_line, path)
    catalogue = load_catalogue()
    last = 0
    for i, line in enumerate(lines[1:], 1):
        found = _LINE.fullmatch(line)
        if not found:
            break
        last, name = i, found["name"]
        value = json.loads(found["value"])
        known = catalogue.records.get(name) if found["record"] else catalogue.type_of(name)
        if known is None:
            near = catalogue.suggest(name)
            notes.problem(i, f"there is no fact {name!r}" + (f"; did you mean {near!r}?" if near else ""))
        elif isinstance(known, dict):
            types = {field: entry["type"] for field, entry in known.items()}
            fields = {field: _typed(part, types[field]) for field, part in value.items() if field in types}
            for field in value.keys() - types.keys():
                notes.problem(i, f"a {name} has no field {field!r}")
            notes.record(name, i, **fields)
        elif value is None:
            notes.fact(name, ABSENT, i)
        elif (typed := _typed(value, known)) is None:
            notes.problem(i, f"{name}: {found['value'][:60]} is no {known}")
        else:
            notes.fact(name, typed, i)
    return notes.done(last)


def _typed(value: Any, kind: str) -> Any:
    """The value as its type wants it, or None; a size may be written ``64GiB``."""
    if kind == "size":
        return value if type(value) is int else size(value) if isinstance(value, str) else None
    if kind in {"str", "version"}:
        return str(value) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else None
    if kind == "float":
        return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
    types: dict[str, type] = {"int": int, "bool": bool, "list": list, "map": dict}
    return value if type(value) is types.get(kind, object) else None
