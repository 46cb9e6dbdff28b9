"""JUnit XML as Jenkins, GitLab and others read it: one case for each rule that could be judged on this input."""

from __future__ import annotations

from collections import Counter
from xml.etree import ElementTree as ET

from doctor.report import outline
from doctor.vocabulary.document import Diagnosis, Finding

_MOST_LINES = 20


def render_junit(document: Diagnosis) -> str:
    """A failure for what speaks for itself, skipped with the missing input, else passed."""
    suite = ET.Element("testsuite", name="llmdoctor")
    counts: Counter[str] = Counter()
    held = {finding.rule_id for finding in document.findings}
    numbers: Counter[str] = Counter()
    for finding in document.findings:
        numbers[finding.rule_id] += 1
        number = numbers[finding.rule_id]
        case = _case(suite, finding.rule_id if number == 1 else f"{finding.rule_id} ({number})", finding.family)
        if outline.is_grave(finding):
            counts["failures"] += 1
            message = _clean(finding.summary or finding.title)
            ET.SubElement(case, "failure", type=finding.severity.value, message=message).text = _details(finding)
        else:
            ET.SubElement(case, "system-out").text = f"{finding.role}: {_details(finding)}"
    for accepted in document.suppressed:
        name = accepted.finding.rule_id
        numbers[name] += 1
        counts["skipped"] += 1
        case = _case(suite, name if numbers[name] == 1 else f"{name} ({numbers[name]})", accepted.finding.family)
        ET.SubElement(case, "skipped", message=_clean(f"suppressed {outline.accepted(accepted)}"))
    held |= set(numbers)
    missing: dict[str, list[str]] = {}
    for entry in document.could_not_judge:
        for rule in entry.rules:
            missing.setdefault(rule, []).append(f"the input does not say {entry.missing}. {entry.hint}".strip())
    for rule, why in missing.items():
        if rule not in held:
            counts["skipped"] += 1
            ET.SubElement(_case(suite, rule, "rule"), "skipped", message=_clean(" ".join(why)))
    for rule in document.judged:
        if rule not in held and rule not in missing:
            _case(suite, rule, "rule")
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(counts["failures"]))
    suite.set("errors", "0")
    suite.set("skipped", str(counts["skipped"]))
    if document.problems:
        told = (f"{problem.subject}: {problem.message} {problem.hint}".strip() for problem in document.problems)
        ET.SubElement(suite, "system-err").text = _clean("\n".join(told))
    root = ET.Element("testsuites", name=f"llmdoctor: {document.verdict}")
    root.append(suite)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _case(suite: ET.Element, name: str, family: str) -> ET.Element:
    return ET.SubElement(suite, "testcase", name=_clean(name), classname=f"llmdoctor.{_clean(family)}")


def _details(finding: Finding) -> str:
    lines = [finding.summary or finding.title]
    if finding.remedies:
        lines += ["", f"Do this: {finding.remedies[0].title}", outline.to_copy(finding.remedies[0])]
    if finding.evidence:
        lines += ["", *(f"{line.path}:{line.line}: {line.text}" for line in finding.evidence[:_MOST_LINES])]
    return _clean("\n".join(lines))


def _clean(text: str) -> str:
    """Only characters that XML 1.0 allows."""
    return "".join(c for c in outline.shown(text) if c not in "\ufffe\uffff")
