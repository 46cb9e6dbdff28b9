"""An option of an engine as the readers of command lines and environments need it: the dialect's entry, unvalidated."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class KnownOption:
    """A flag (and its environment variable) and the canonical setting that it stands for."""

    setting: str
    flags: list[str] = field(default_factory=list)
    env: list[str] = field(default_factory=list)
    type: str = "str"
    default: Any = None
    since: str | None = None
    until: str | None = None
    instead: dict[str, str] | None = field(default=None, hash=False)
