"""``ollama ps``: the models in memory. Its GB are decimal (format.HumanBytes of ollama)."""

from __future__ import annotations

import re

from doctor.facts.hardware.reading import Notes, Reading, number, size

kind = "ollama ps"
marker = re.compile(r"^\s*+NAME\s+ID\s+SIZE\s+PROCESSOR\s")

_ROW = re.compile(
    r"\s*(?P<name>\S+)\s+(?P<id>[0-9a-f]{12})\s+(?P<size>[\d.]+ [KMGT]?B)\s+"
    r"(?:(?P<cpu>\d{1,3})%/(?P<gpu>\d{1,3})% CPU/GPU|(?P<all>\d{1,3})% (?P<where>GPU|CPU))\s+"
    r"(?:(?P<context>\d{1,9})\s+)?.*"
)


def read(lines: list[str], first_line: int, path: str) -> Reading:
    """One ``loaded_model`` each, with the share of it that lies in GPU memory."""
    notes = Notes(kind, first_line, path)
    last = 0
    for i, line in enumerate(lines[1:], 1):
        row = _ROW.fullmatch(line)
        if not row:
            break
        last = i
        share = number(row["gpu"]) if row["gpu"] else number(row["all"]) if row["where"] == "GPU" else 0
        context = number(row["context"])
        notes.record("loaded_model", i, name=row["name"], size=size(row["size"]), gpu_share=share, context=context)
    return notes.done(last)
