"""Whole machines that are not here: saved outputs as their tools print them, one paste each, against what they say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from doctor.facts.catalogue import load_catalogue
from doctor.facts.hardware import IDENTITY, read_hardware
from doctor.vocabulary.facts import Record

MACHINES = sorted((Path(__file__).parents[3] / "fixtures" / "hardware" / "machines").glob("*.txt"))


def expected(path: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(path.with_suffix("").with_suffix(".expect.yaml").read_text(encoding="utf-8")))


def test_there_are_forty_machines() -> None:
    assert len(MACHINES) >= 40


@pytest.mark.parametrize("path", MACHINES, ids=lambda path: path.stem)
def test_a_machine_says_what_it_is(path: Path) -> None:
    reading = read_hardware(path.read_text(encoding="utf-8"), path.name)
    assert reading.problems == []
    wanted = expected(path)
    assert wanted["made"]
    facts = {fact.name: fact.value for fact in reading.facts}
    assert {name: facts.get(name) for name in wanted["facts"]} == wanted["facts"]
    for kind, elements in wanted["records"].items():
        found = [record for record in reading.records if record.kind == kind]
        assert len({_key(record) for record in found}) == len(found)
        for element in elements:
            assert any(holds(record, element) for record in found), (kind, element, [r.fields for r in found])
        if kind in {"device", "adapter", "service"}:
            assert len(found) == len(elements)


@pytest.mark.parametrize("path", MACHINES, ids=lambda path: path.stem)
def test_nothing_is_said_that_the_catalogue_does_not_know(path: Path) -> None:
    catalogue = load_catalogue()
    reading = read_hardware(path.read_text(encoding="utf-8"), path.name)
    assert [fact.name for fact in reading.facts if catalogue.type_of(fact.name) is None] == []
    for record in reading.records:
        assert record.fields.keys() <= catalogue.records[record.kind].keys(), record


def holds(record: Record, wanted: dict[str, Any]) -> bool:
    return all(record.fields.get(name) == value for name, value in wanted.items())


def _key(record: Record) -> tuple[Any, ...]:
    return tuple(record.fields.get(name) for name in IDENTITY[record.kind])
