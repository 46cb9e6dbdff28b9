"""Presets of llama-server's router (``--models-preset FILE``, tools/server/README.md): an .ini file, a section a model.

A key is an argument without its dashes, in its long or short form, or the name of its variable; ``[*]`` is for all.
"""

from __future__ import annotations

import re

from doctor.facts.config.places import Text, Word
from doctor.facts.config.workload import Trouble, Variable, Workload

_SECTION = re.compile(r"[ \t]*\[(?P<name>[^\]\n]{1,500})\][ \t]*\r?")
_PAIR = re.compile(r"[ \t]*(?P<key>[A-Za-z][\w.-]{0,100})[ \t]*=[ \t]*(?P<value>.*?)[ \t\r]*")
# Short forms, which have one dash; all others have two (common/arg.cpp)
_SHORT = frozenset(
    [
        "m",
        "c",
        "n",
        "b",
        "ub",
        "t",
        "tb",
        "ngl",
        "fa",
        "ctk",
        "ctv",
        "np",
        "ts",
        "sm",
        "mg",
        "ot",
        "dev",
        "cmoe",
        "ncmoe",
        "nkvo",
        "md",
        "ngld",
        "cd",
        "mm",
        "mmu",
        "hf",
        "hff",
        "hfd",
        "kvu",
        "cram",
        "to",
        "s",
    ]
)
_ROUTERS = {"version", "load-on-startup", "stop-timeout", "dedup-cache-models"}
MAX_SECTIONS = 500


def read_presets(file: Text) -> tuple[list[Workload], list[Trouble]]:
    """A workload for each section but ``[*]``, whose keys count for all, the section's own over them."""
    troubles: list[Trouble] = []
    shared = _Section("*", 1)
    sections: list[_Section] = []
    here: _Section | None = None
    at = 0
    for number, line in enumerate(file.text.split("\n"), 1):
        begin, at = at, at + len(line) + 1
        if not line.strip() or line.lstrip().startswith((";", "#")):
            continue
        if head := _SECTION.fullmatch(line):
            here = shared if head["name"] == "*" else _Section(head["name"], number)
            if here is not shared and len(sections) < MAX_SECTIONS:
                sections.append(here)
        elif pair := _PAIR.fullmatch(line):
            if here is not None:
                here.take(pair["key"], pair["value"], file, begin + pair.start("value"), begin)
        else:
            troubles.append(Trouble(file.path, number, "neither [section] nor key = value", "; begins a comment"))
    return [_workload(section, shared, file) for section in sections], troubles


class _Section:
    def __init__(self, name: str, line: int) -> None:
        self.name, self.line = name, line
        self.words: dict[str, list[Word]] = {}
        self.variables: list[Variable] = []

    def take(self, key: str, value: str, file: Text, start: int, begin: int) -> None:
        place = file.place(start, start + len(value)) if value else None
        if key.isupper():  # LLAMA_ARG_...
            entry = file.place(begin, start + len(value))
            self.variables.append(Variable(key, value, file.path, entry.line, "line", place, entry))
        elif key not in _ROUTERS:
            flag = f"-{key}" if key in _SHORT else f"--{key}"
            if value.lower() in {"true", "false"}:
                flag = flag if value.lower() == "true" else f"--no-{key}"
                self.words[key] = [Word(flag, place)]
            else:
                self.words[key] = [Word(flag, place and file.place(begin, start)), Word(value, place)]


def _workload(section: _Section, shared: _Section, file: Text) -> Workload:
    workload = Workload("presets", f"preset {section.name}", file.path, section.line, (section.name,), declared=True)
    workload.words = [Word("llama-server")]
    for words in (shared.words | section.words).values():
        workload.words += words
    workload.variables = [*shared.variables, *section.variables]
    return workload
