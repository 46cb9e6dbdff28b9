"""Reads a fixture and gives its facts and records in a form that is short to compare."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from doctor.facts.hardware import Reading, read_hardware

FIXTURES = Path(__file__).parents[3] / "fixtures" / "hardware"
KIB, MIB, GIB, TIB = 1024, 1024**2, 1024**3, 1024**4


def reading(name: str) -> Reading:
    return read_hardware((FIXTURES / name).read_text(encoding="utf-8"), name)


def facts(name: str) -> dict[str, Any]:
    """Fact -> value; a later one of the same name wins."""
    return {fact.name: fact.value for fact in reading(name).facts}


def lines(name: str) -> dict[str, int | None]:
    """Fact -> line."""
    return {fact.name: fact.origin.line for fact in reading(name).facts}


def records(name: str, kind: str) -> list[dict[str, Any]]:
    return [record.fields for record in reading(name).records if record.kind == kind]
