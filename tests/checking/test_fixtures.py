"""Deployments as files, a model and a machine: what went wrong is told before, and nothing of what works."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from doctor.checking import check
from doctor.planning.target import examples

FIXTURES = Path(__file__).parent.parent.parent / "fixtures" / "check"
CASES = sorted(path.name.removesuffix(".check.yaml") for path in FIXTURES.glob("*.check.yaml"))


@pytest.mark.parametrize("name", CASES)
def test_case(name: str) -> None:
    expect: dict[str, Any] = yaml.safe_load((FIXTURES / f"{name}.check.yaml").read_text(encoding="utf-8"))
    folder = FIXTURES / name
    target = expect.get("target")
    document = check(
        [folder / path for path in expect.get("paths") or []],
        command=expect.get("command"),
        model=folder / expect["model"] if expect.get("model") else None,
        target=target if target is None or target in examples() else folder / target,
    )
    risks = [finding.rule_id for finding in document.findings if finding.role == "risk"]
    assert (document.verdict, risks) == (expect["verdict"], expect.get("risks") or [])
    first = next((finding for finding in document.findings if finding.role == "risk"), None)
    if first is not None:
        if expect.get("diff"):
            assert expect["diff"] in (first.remedies[0].diff or "")
        for words in expect.get("summary") or []:
            assert words in first.summary
        texts = [line.text for line in first.evidence]
        for words in expect.get("evidence") or []:
            assert any(words in text for text in texts), texts
    if document.verdict == "clear":
        assert document.could_not_judge == [] or not expect.get("risks")
    assert not [problem for problem in document.problems if problem.stage in {"diagnose", "report", "rules"}]


def test_each_incident_has_a_healthy_twin() -> None:
    incidents = {name for name in CASES if not name.endswith("-healthy")}
    assert incidents == {name.removesuffix("-healthy") for name in CASES if name.endswith("-healthy")}
