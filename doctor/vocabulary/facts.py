"""Facts: typed values with their origin.

Plain dataclasses, not pydantic: a log of a million lines makes many of them, and they never come from outside as
data (only out of our own readers), so there is nothing to validate.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Any


class Layer(StrEnum):
    """Who says so, weakest first: a later layer wins over an earlier one."""

    DEFAULT = "default"
    FILE = "file"
    ENVIRONMENT = "environment"
    MODEL = "model"  # what a model asks for itself, such as PARAMETER of ollama's Modelfile
    COMMAND_LINE = "command line"
    EFFECTIVE = "effective"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value came from. ``path`` is a source's name, or an option such as ``--command``; ``line`` is 1-based."""

    path: str
    line: int | None = None
    layer: Layer = Layer.EFFECTIVE

    def __str__(self) -> str:
        return f"{self.path}:{self.line}" if self.line else self.path


@dataclass(frozen=True, slots=True)
class Fact:
    """One scalar (or list) value under a catalogue name such as ``setting.context``. Sizes are bytes."""

    name: str
    value: Any
    origin: Origin


@dataclass(slots=True)
class Record:
    """One element of a collection fact (``device``, ``buffer``, ``numa_node``, ``process``, ``file``, ...)."""

    kind: str
    fields: dict[str, Any]
    origin: Origin

    def get(self, name: str) -> Any:
        return self.fields.get(name)


class Special(Enum):
    """Absent: known not to be there. (Unknown carries the names of the missing facts, see ``Unknown``.)"""

    ABSENT = "absent"

    def __bool__(self) -> bool:
        return False


ABSENT = Special.ABSENT


@dataclass(frozen=True, slots=True)
class Unknown:
    """Not known, because these facts are missing."""

    missing: frozenset[str] = field(default_factory=frozenset)

    def __or__(self, other: Unknown) -> Unknown:
        return Unknown(self.missing | other.missing)

    def __bool__(self) -> bool:
        raise TypeError("an unknown value is neither true nor false")
