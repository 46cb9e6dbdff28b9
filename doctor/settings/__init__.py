"""What a project wants of llmdoctor, in `llmdoctor.toml` or under `[tool.llmdoctor]` of pyproject.toml.

Plain dataclass and standard library: most calls find no file, and a file that was read once is not validated again.
The attributes' docstrings are the documentation (docs/configuration.md) and the descriptions of the JSON Schema.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from doctor.vocabulary.terms import Severity


@dataclass(slots=True, kw_only=True)
class Settings:
    """The keys of the file. A name of a rule is its id (`rope-scaling-missing`), its family (`memory.vram-kv`), or the
    family's first half (`memory`)."""

    __pydantic_config__ = {"extra": "forbid", "use_attribute_docstrings": True}  # noqa: RUF012 - pydantic reads it so

    select: list[str] = field(default_factory=list)
    """Only causes and advice of these rules and families count; all of them when it is empty."""

    ignore: list[str] = field(default_factory=list)
    """Rules and families that are left out. To accept one finding, with a reason, suppress it instead."""

    severity: dict[str, Severity] = field(default_factory=dict)
    """Other severities for rules and families: `info`, `minor`, `major` or `fatal`."""

    fail_on: Severity = Severity.MAJOR
    """The severity from which on a finding makes the exit status 1."""

    strict: bool = False
    """Whether the exit status is 3 when a rule could not be judged."""

    rules: list[str] = field(default_factory=list)
    """Further rules: folders, beside this file unless absolute, and names of installed rule packs."""

    baseline: str | None = None
    """The file of accepted findings, beside this file unless absolute (see docs/suppression.md)."""

    reserve: str | int | None = None
    """Memory that `check` and `plan` leave free on every device at the least: `2 GiB`, or bytes."""

    redact: Literal["secrets", "names"] = "secrets"
    """What is replaced by tokens in all that is written: secrets always; with `names` user names, hosts, addresses and
    mail addresses too."""

    redact_words: list[str] = field(default_factory=list)
    """Further words to be replaced, wherever they stand: names of customers, projects, models."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which rules count, and how much: `select`, `ignore` and `severity`, and where they are written."""

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    severity: dict[str, Severity] = field(default_factory=dict)
    origin: str = ""

    def __bool__(self) -> bool:
        return bool(self.select or self.ignore or self.severity)
