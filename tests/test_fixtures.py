"""Every fixture through the whole program: the right root cause where something broke, silence where nothing did."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from doctor.api import analyze

FIXTURES = Path(__file__).parent.parent / "fixtures"


def expectation(case: Path) -> Path:
    """What is expected of a case: beside its folder, which holds only what a victim would have."""
    beside = case.parent / f"{case.name}.expect.yaml"
    return beside if beside.exists() else case / "expect.yaml"


# Saved outputs of machines without an engine: what is read from them is tested with their readers.
MACHINES = FIXTURES / "hardware" / "machines"
CASES = sorted(
    {path.parent for path in FIXTURES.rglob("expect.yaml")}
    | {
        path.with_name(path.name.removesuffix(".expect.yaml"))
        for path in FIXTURES.rglob("*.expect.yaml")
        if path.parent != MACHINES
    }
)
HEALTHY = [case for case in CASES if case.is_relative_to(FIXTURES / "healthy")]
FAILING = [case for case in CASES if case not in HEALTHY]


def name(case: Path) -> str:
    return str(case.relative_to(FIXTURES))


def diagnose(case: Path, tmp_path: Path) -> tuple[dict[str, Any], Any]:
    """The expectation and the diagnosis; the expectation is not in what the program sees."""
    expect = yaml.safe_load(expectation(case).read_text(encoding="utf-8"))
    box = tmp_path / "case"
    shutil.copytree(case, box, ignore=shutil.ignore_patterns("expect.yaml", "made.yaml"))
    return expect, analyze([box], command=expect.get("command"), exit=expect.get("exit"))


@pytest.mark.parametrize("case", FAILING, ids=name)
def test_root_cause(case: Path, tmp_path: Path) -> None:
    expect, document = diagnose(case, tmp_path)
    roots = [finding for finding in document.findings if finding.role == "root_cause"]
    assert (roots[0].rule_id if roots else None) == expect["root_cause"]
    if roots and expect.get("family"):
        assert roots[0].family == expect["family"]
    if expect.get("verdict"):
        assert document.verdict == expect["verdict"]
    if roots:
        texts = [line.text for line in roots[0].evidence[:3]]
        for wanted in expect.get("evidence") or []:
            assert any(wanted in text for text in texts), f"{wanted!r} is not in {texts}"
        computed = {item.name: item.value for item in roots[0].computed}
        for key, value in (expect.get("computed") or {}).items():
            assert computed.get(key) == pytest.approx(value), key
    assert not [problem for problem in document.problems if problem.stage in {"diagnose", "report", "rules"}]


@pytest.mark.parametrize("case", HEALTHY, ids=name)
def test_healthy_gate(case: Path, tmp_path: Path) -> None:
    """A false alarm is worse than silence."""
    expect, document = diagnose(case, tmp_path)
    alarms = [
        (finding.role, finding.rule_id)
        for finding in document.findings
        if finding.role in {"root_cause", "contributing"}
    ]
    assert alarms == []
    if expect.get("verdict"):
        assert document.verdict == expect["verdict"]


def test_there_are_fixtures() -> None:
    assert len(FAILING) >= 20
    assert len(HEALTHY) >= 10
