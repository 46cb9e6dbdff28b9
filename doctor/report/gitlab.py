"""GitLab's code quality report: https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format"""

from __future__ import annotations

import json

from doctor.report import outline
from doctor.vocabulary.document import Diagnosis, Finding
from doctor.vocabulary.terms import Severity

_SEVERITY = {Severity.FATAL: "blocker", Severity.MAJOR: "major", Severity.MINOR: "minor", Severity.INFO: "info"}


def render_gitlab(document: Diagnosis) -> str:
    """One array; each finding at the line to change, else at the line that proves it."""
    prints = outline.fingerprints(document)
    found = []
    for finding in document.findings:
        place = outline.place_of(finding) or outline.first_place(document)
        found.append(
            {
                "description": _description(finding),
                "check_name": finding.rule_id,
                "fingerprint": prints[finding.id],
                "severity": _SEVERITY[finding.severity] if outline.is_grave(finding) else "info",
                "location": {
                    "path": outline.shown(place.path).removeprefix("./"),
                    "lines": {"begin": place.line},
                },
            }
        )
    return json.dumps(found, indent=1, ensure_ascii=True) + "\n"


def _description(finding: Finding) -> str:
    text = finding.summary or finding.title
    if finding.remedies:
        text = f"{text} Do this: {finding.remedies[0].title}"
    return outline.shown(text).replace("\n", " ")
