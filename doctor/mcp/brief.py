"""Documents as an agent reads them: what to act on first, and never more than so many characters."""

from __future__ import annotations

import json
from typing import Any

from doctor.planning.document import PlanDocument
from doctor.report import outline
from doctor.vocabulary.document import Diagnosis, Finding

MOST_CHARACTERS = 40_000
_MOST_FINDINGS, _MOST_LINES, _MOST_TEXT, _MOST_OTHERS = 8, 10, 500, 10


def brief(document: Diagnosis) -> dict[str, Any]:
    """Verdict, findings with proof and exact change, and what is open."""
    shown: dict[str, Any] = {
        "verdict": document.verdict,
        "headline": outline.headline(document),
        "summary": _cut(document.summary),
        "findings": [_finding(finding, number) for number, finding in enumerate(document.findings[:_MOST_FINDINGS])],
        "more_findings": max(len(document.findings) - _MOST_FINDINGS, 0),
        "suppressed": [
            f"{entry.finding.rule_id}: {_cut(outline.accepted(entry))}" for entry in document.suppressed[:_MOST_OTHERS]
        ],
        "memory": [outline.memory_line(entry) for entry in document.memory[:_MOST_OTHERS]],
        "could_not_judge": [
            {"rules": entry.rules, "missing": entry.missing, "hint": entry.hint} for entry in document.could_not_judge
        ],
        "unexplained_errors": [
            f"{each.path}:{each.line}: {_cut(each.text)}" for each in document.unexplained[:_MOST_OTHERS]
        ],
        "trouble_with_input": [
            _cut(f"{each.subject}: {each.message} {each.hint}".strip()) for each in document.problems[:_MOST_OTHERS]
        ],
    }
    return bounded(shown)


def _finding(finding: Finding, number: int) -> dict[str, Any]:
    told: dict[str, Any] = {
        "rule": finding.rule_id,
        "role": finding.role,
        "severity": finding.severity.value,
        "confidence": finding.confidence,
        "what": _cut(finding.summary or finding.title),
    }
    if finding.missing_facts:
        told["not_certain_without"] = finding.missing_facts
    if finding.role not in {*outline.MAIN_ROLES, "contributing"} and number:
        return told
    told["why"] = _cut(finding.explanation, 2000)
    told["evidence"] = [f"{each.path}:{each.line}: {_cut(each.text)}" for each in finding.evidence[:_MOST_LINES]]
    told["computed"] = {each.name: f"{each.value} {each.unit}".strip() for each in finding.computed[:_MOST_OTHERS]}
    told["remedies"] = [
        {
            "do": _cut(remedy.title),
            "removes": remedy.removes,
            "safety": remedy.safety,
            "change": _cut(outline.to_copy(remedy), 4000),
            "is_patch": bool(remedy.diff and remedy.diff.startswith("--- ")),
            "cost": remedy.cost,
        }
        for remedy in finding.remedies[:4]
    ]
    told["references"] = [each.url for each in finding.references[:4]]
    return told


def brief_plan(document: PlanDocument) -> dict[str, Any]:
    """The plan document without what only a drawing needs."""
    data = document.to_dict()
    for place in data.get("places", []):
        place.pop("weights", None)
    return bounded(data)


def bounded(data: dict[str, Any]) -> dict[str, Any]:
    """Lists shortened from their ends until all of it is short enough; then it says so."""
    while len(json.dumps(data, default=str)) > MOST_CHARACTERS:
        longest = max(
            (name for name, value in data.items() if isinstance(value, list) and value),
            key=lambda name: len(json.dumps(data[name], default=str)),
            default=None,
        )
        if longest is None:
            return {"cut": True, "text": json.dumps(data, default=str)[: MOST_CHARACTERS // 2]}
        data = {**data, longest: data[longest][:-1], "cut": True}
    return data


def _cut(text: str, most: int = _MOST_TEXT) -> str:
    text = outline.shown(text)
    return text if len(text) <= most else f"{text[:most]} …"
