"""SARIF 2.1.0: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html

A result stands at the configuration line that has to change, else at the log line that proves it; the lines of the log
are related locations, and in their order a code flow. Identity (`partialFingerprints`) holds no path, line or wording.
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote

from doctor.report import outline
from doctor.report.changes import Replacement, changes
from doctor.vocabulary.document import Diagnosis, EvidenceLine, Finding, Problem, RemedyEntry, Suppressed

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_MOST_STEPS = 50
_PRECISION = {"high": "high", "medium": "medium", "low": "low"}


def render_sarif(document: Diagnosis) -> str:
    """The findings as a SARIF log of one run."""
    every = outline.in_order(document)
    rules = list(dict.fromkeys(finding.rule_id for finding in every))
    first = {finding.rule_id: finding for finding in reversed(every)}
    accepted = {id(entry.finding): entry for entry in document.suppressed}
    prints = outline.fingerprints(document)
    elsewhere = outline.first_place(document)
    run = {
        "tool": {
            "driver": {
                "name": "llmdoctor",
                "version": document.llmdoctor,
                "rules": [_rule(first[name]) for name in rules],
            }
        },
        "invocations": [
            {
                "executionSuccessful": True,
                "toolExecutionNotifications": [_notification(problem) for problem in document.problems],
            }
        ],
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {"SRCROOT": {"description": _message("The folder in which llmdoctor was called.")}},
        "artifacts": [{"location": _artifact(source.path)} for source in document.sources],
        "results": [
            _result(finding, rules.index(finding.rule_id), prints[finding.id], elsewhere)
            | (_suppressions(accepted.get(id(finding))) if accepted else {})
            for finding in every
        ],
        "properties": {"verdict": document.verdict, "summary": outline.shown(document.summary)},
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1, ensure_ascii=True) + "\n"


def _rule(finding: Finding) -> dict[str, Any]:
    text, markdown = _help(finding)
    rule: dict[str, Any] = {
        "id": finding.rule_id,
        "shortDescription": _message(finding.title),
        "fullDescription": _message(finding.explanation or finding.title),
        "help": {"text": text, "markdown": markdown},
        "defaultConfiguration": {"level": outline.level(finding)},
        "properties": {
            "tags": [finding.family, finding.role, *([f"known by: {finding.known_by}"] if finding.known_by else [])],
            "precision": _PRECISION[finding.confidence],
            "problem.severity": {"error": "error", "warning": "warning"}.get(outline.level(finding), "recommendation"),
        },
    }
    web = [
        reference.url for reference in finding.references if re.match(r"https?://[^\s<>\"\\^`{|}]+\Z", reference.url)
    ]
    return rule | ({"helpUri": web[0]} if web else {})


def _help(finding: Finding) -> tuple[str, str]:
    """What the rule is about and what to do, as text and as Markdown."""
    from doctor.report.markdown import bullet, prose

    about = finding.explanation or finding.title or finding.rule_id
    text, marked = [about], [prose(about)]
    if finding.remedies:
        text += ["What to do:", *(f"- {remedy.title}" for remedy in finding.remedies)]
        marked += ["**What to do**", "\n".join(bullet(remedy.title) for remedy in finding.remedies)]
    if finding.references:
        text += ["See:", *(f"- {reference.url}" for reference in finding.references)]
        marked += ["**See**", "\n".join(bullet(reference.url) for reference in finding.references)]
    return outline.shown("\n".join(text)), "\n\n".join(marked)


def _result(finding: Finding, rule: int, fingerprint: str, elsewhere: outline.Place) -> dict[str, Any]:
    place = outline.place_of(finding) or elsewhere
    steps = sorted(finding.evidence, key=lambda line: (line.path, line.line))[:_MOST_STEPS]
    text = [finding.summary or finding.title]
    if finding.missing_facts:
        text.append(f"Not certain: the input does not say {', '.join(finding.missing_facts)}.")
    if finding.remedies:
        text.append(f"Do this: {finding.remedies[0].title}.")
    result: dict[str, Any] = {
        "ruleId": finding.rule_id,
        "ruleIndex": rule,
        "level": outline.level(finding),
        "message": _message("\n".join(text)),
        "locations": [_location(place.path, place.line)],
        "partialFingerprints": {"llmdoctor/v1": fingerprint},
        "properties": {"role": finding.role, "severity": finding.severity.value, "confidence": finding.confidence},
    }
    if place.kind == "log" and finding.evidence:
        result["locations"] = [_of_line(finding.evidence[0])]
    if steps:
        result["relatedLocations"] = [
            {"id": number, **_of_line(line), "message": _message(line.text)} for number, line in enumerate(steps, 1)
        ]
        flow = [{"location": {**_of_line(line), "message": _message(line.text)}} for line in steps]
        result["codeFlows"] = [{"threadFlows": [{"locations": flow}]}]
    fixes = [fix for remedy in finding.remedies if (fix := _fix(remedy)) is not None]
    return result | ({"fixes": fixes} if fixes else {})


def _suppressions(entry: Suppressed | None) -> dict[str, Any]:
    """All results of a run say it, or none; an empty list says that it is not suppressed (section 3.27.23)."""
    if entry is None:
        return {"suppressions": []}
    kind = "inSource" if entry.by == "inline" else "external"
    given: dict[str, Any] = {"kind": kind, "status": "accepted", "justification": outline.shown(entry.reason)}
    given["location"] = _location(entry.path, entry.line)
    return {"suppressions": [given | ({"properties": {"until": entry.until}} if entry.until else {})]}


def _fix(remedy: RemedyEntry) -> dict[str, Any] | None:
    """The remedy's diff as replacements of whole lines; None where a secret in it would be written over."""
    diff = remedy.diff or ""
    if "<secret-" in diff or outline.shown(diff) != diff:
        return None
    changed = [
        {"artifactLocation": _artifact(change.path), "replacements": [_replaced(each) for each in change.replacements]}
        for change in changes(diff)
    ]
    return {"description": _message(remedy.title), "artifactChanges": changed} if changed else None


def _replaced(change: Replacement) -> dict[str, Any]:
    """Up to the start of the line behind it; of the last line without a line end, up to that line's own end."""
    region = {"startLine": max(change.start, 1), "startColumn": 1}
    if change.ends_file and change.count:
        region |= {"endLine": max(change.start + change.count - 1, 1)}
    else:
        region |= {"endLine": max(change.start + change.count, 1), "endColumn": 1}
    return {"deletedRegion": region} | ({"insertedContent": {"text": change.text}} if change.text else {})


def _of_line(line: EvidenceLine) -> dict[str, Any]:
    """The place of a log line with its text, and its neighbours as context."""
    location = _location(line.path, line.line)
    physical = location["physicalLocation"]
    physical["region"]["snippet"] = {"text": outline.shown(line.text)}
    start = max(line.line - len(line.before), 1)
    if line.before or line.after:
        context = "\n".join([*line.before, line.text, *line.after])
        physical["contextRegion"] = {
            "startLine": start,
            "endLine": max(line.line, 1) + len(line.after),
            "snippet": {"text": outline.shown(context)},
        }
    return location


def _location(path: str, line: int) -> dict[str, Any]:
    return {"physicalLocation": {"artifactLocation": _artifact(path), "region": {"startLine": max(line, 1)}}}


def _artifact(path: str) -> dict[str, str]:
    """A URI: absolute for an absolute path, else relative to where llmdoctor was called."""
    clean = outline.shown(path).replace("\n", " ")
    if clean.startswith("/"):
        return {"uri": f"file://{quote(clean)}"}
    return {"uri": quote(clean.removeprefix("./")) or "input", "uriBaseId": "SRCROOT"}


def _message(text: str) -> dict[str, str]:
    """Text that SARIF takes as it is: no embedded link, no placeholder (sections 3.11.5 and 3.11.6)."""
    plain = outline.shown(text).replace("](", "] (")
    return {"text": re.sub(r"\{(\d+)\}", r"{{\1}}", plain) or "-"}


def _notification(problem: Problem) -> dict[str, Any]:
    text = f"{problem.subject}: {problem.message}" + (f" ({problem.hint})" if problem.hint else "")
    return {"level": "warning", "message": _message(text)}
