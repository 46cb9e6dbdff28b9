"""The compiled rule book as bytes: what every start needs in front, the rest of each rule behind, read when asked for.

A start reads a quarter of it. One line of JSON, the head, holds what the scanner and the matcher need of all rules;
behind it lies one record of JSON a rule, with its prose, remedies, references and examples.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Any

FORMAT = 6
_MATCHED_BY = (
    "id", "kind", "severity", "phase", "outcome", "family", "engines", "signatures", "match", "compute", "explains",
    "specificity", "transient", "evidence",
)  # fmt: skip
_FOR_PEOPLE = {"samples", "sources"}  # of a dialect: for its tests and its readers


class Record:
    """The whole of one rule, still as text."""

    def __init__(self, text: bytes) -> None:
        self._text = text

    @cached_property
    def _data(self) -> dict[str, Any]:
        data: dict[str, Any] = json.loads(self._text)
        return data

    @property
    def card(self) -> dict[str, Any]:
        """The rule as its file has it, with all defaults."""
        card: dict[str, Any] = self._data["card"]
        return card

    @property
    def prose(self) -> dict[str, Any]:
        """Parsed templates by their text."""
        prose: dict[str, Any] = self._data["prose"]
        return prose


def pack(data: dict[str, Any], templates_of: Callable[[dict[str, Any]], Iterable[tuple[str, str]]]) -> bytes:
    """A book's plain data as bytes.

    Args:
        data: of ``book.compile_files``.
        templates_of: gives place and text of every template of a rule.
    """
    records = [
        _dump({"card": card, "prose": {text: data["prose"][text] for _place, text in templates_of(card)}})
        for card in data["rules"]
    ]
    behind = b"".join(records)
    head = {
        "format": FORMAT,
        "check": zlib.crc32(behind),
        "lengths": [len(record) for record in records],
        "rules": [{name: card[name] for name in _MATCHED_BY} | _checked_by(card) for card in data["rules"]],
        "dialects": [
            {name: value for name, value in dialect.items() if name not in _FOR_PEOPLE} for dialect in data["dialects"]
        ],
        **{name: data[name] for name in ("lineage", "nodes", "mistakes")},
    }
    return _dump(head) + b"\n" + behind


def _checked_by(card: dict[str, Any]) -> dict[str, Any]:
    """What tells, without a log, that the failure is to be expected."""
    return {"check": {name: card["check"][name] for name in ("when", "given")}} if card["check"] else {}


def unpack(content: bytes) -> tuple[dict[str, Any], list[Record]]:
    """The head, and a record for each of its rules.

    Raises:
        ValueError, KeyError, TypeError: damaged, or of another format.
    """
    end = content.index(b"\n") + 1
    head = json.loads(content[:end])
    if head["format"] != FORMAT or zlib.crc32(memoryview(content)[end:]) != head["check"]:
        raise ValueError("another format, or damaged")
    places = pairwise(accumulate(head["lengths"], initial=end))
    return head, [Record(content[start:stop]) for start, stop in places]


def _dump(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode("ascii")
