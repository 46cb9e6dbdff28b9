"""From saved answers to facts and records, by the readers of ``doctor.facts.hardware``. Nothing is asked here."""

from __future__ import annotations

from typing import Any

from doctor.facts.hardware import merge, read_hardware
from doctor.probe.document import Probe
from doctor.read.probed import HIDDEN, LOGS
from doctor.vocabulary.facts import Record, Special

_ABOUT_ANSWERS = {"answer", "card"}


def fill(probe: Probe) -> Probe:
    """Reads all answers and puts what they say into ``facts`` and ``records``; gives the same document back."""
    facts: dict[str, Any] = {}
    records: list[Record] = []
    for answer in probe.answers:
        if not answer.output or answer.name in HIDDEN | LOGS:
            continue
        reading = read_hardware(answer.output, answer.name)
        for fact in reading.facts:
            facts[fact.name] = None if isinstance(fact.value, Special) else fact.value
        records += reading.records
    probe.facts = facts
    probe.records = {}
    for record in merge(records):
        if record.kind not in _ABOUT_ANSWERS:
            probe.records.setdefault(record.kind, []).append(record.fields)
    return probe
