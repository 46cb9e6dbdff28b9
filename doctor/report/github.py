"""A GitHub workflow: annotations at files and lines, and the step summary.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

from doctor.report import outline
from doctor.report.markdown import bullet, code, fence, fold, prose
from doctor.vocabulary.document import Diagnosis, Finding

# GitHub shows at most ten annotations of a level for a step, and takes a summary of at most 1 MiB.
_MOST_OF_A_LEVEL = 10
_MOST_CHARACTERS = 900_000
_MOST_FINDINGS = 200


def render_annotations(document: Diagnosis) -> str:
    """One workflow command a finding, the gravest first; what lies beyond GitHub's limit is counted in a notice."""
    lines: list[str] = []
    room = {"error": _MOST_OF_A_LEVEL, "warning": _MOST_OF_A_LEVEL, "note": _MOST_OF_A_LEVEL - 1}
    left = 0
    for finding in document.findings:
        level = outline.level(finding)
        if room[level] <= 0:
            left += 1
            continue
        room[level] -= 1
        place = outline.place_of(finding)
        title = f"{outline.ROLE_TITLES[finding.role]}: {finding.title}"
        properties = (
            {"title": title} if place is None else {"file": place.path, "line": str(place.line), "title": title}
        )
        lines.append(_command("notice" if level == "note" else level, properties, _message(finding)))
    if left:
        lines.append(
            _command("notice", {"title": "llmdoctor"}, f"{outline.count(left, 'more finding')} not shown here")
        )
    return "".join(f"{line}\n" for line in lines)


def _message(finding: Finding) -> str:
    text = [finding.summary or finding.title]
    if finding.remedies:
        text.append(f"Do this: {finding.remedies[0].title}")
    return "\n".join(text)


def _command(name: str, properties: dict[str, str], message: str) -> str:
    given = ",".join(f"{key}={_escape(value, ':,')}" for key, value in properties.items())
    return f"::{name} {given}::{_escape(message)}"


def _escape(text: str, more: str = "") -> str:
    """As the runner takes it apart again: percent signs and line ends, and in properties colons and commas too."""
    text = outline.shown(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    for sign in more:
        text = text.replace(sign, f"%{ord(sign):02X}")
    return text


def render_summary(document: Diagnosis) -> str:
    """The answer, then the other findings as a list, cut at GitHub's limit."""
    mains = outline.main_findings(document)
    parts = [f"## {document.verdict.replace('_', ' ').upper()} · {prose(outline.headline(document))}"]
    for finding in mains[:3]:
        parts += _answer(finding)
    if not mains and document.summary:
        parts.append(prose(document.summary))
    rest = [finding for finding in document.findings if finding not in mains[:3]]
    if rest:
        parts.append(f"### {outline.count(len(rest), 'other finding')}")
        parts.append("\n".join(_row(finding) for finding in rest[:_MOST_FINDINGS]))
    if len(rest) > _MOST_FINDINGS:
        parts.append(f"and {len(rest) - _MOST_FINDINGS} more")
    if document.suppressed:
        parts.append(f"### {outline.count(len(document.suppressed), 'finding')} suppressed")
        parts.append(
            "\n".join(
                bullet(f"{entry.finding.summary or entry.finding.title} — {outline.accepted(entry)}")
                for entry in document.suppressed[:_MOST_FINDINGS]
            )
        )
    if document.could_not_judge:
        parts.append("### Could not judge")
        parts.append(
            "\n".join(
                bullet(f"{', '.join(entry.rules)}: the input does not say {entry.missing}. {entry.hint}")
                for entry in document.could_not_judge
            )
        )
    text = ""
    for part in parts:
        if len(text.encode()) + len(part.encode()) > _MOST_CHARACTERS:
            text += "_cut: the step summary takes no more_\n"
            break
        text += f"{part}\n\n"
    return text


def _answer(finding: Finding) -> list[str]:
    parts = [f"**{prose(outline.ROLE_TITLES[finding.role])}: {prose(finding.title)}**", prose(finding.summary)]
    if finding.remedies:
        first = finding.remedies[0]
        parts += [f"**Do this:** {prose(first.title)}", fence(outline.to_copy(first), "diff" if first.diff else "")]
        if first.cost:
            parts.append(f"Cost: {prose(first.cost)}")
    if finding.evidence:
        lines = "\n".join(f"{line.path}:{line.line}: {line.text}" for line in finding.evidence[:20])
        parts.append(fold("Evidence", fence(lines)))
    return [part for part in parts if part]


def _row(finding: Finding) -> str:
    place = outline.place_of(finding)
    at = f" {code(f'{place.path}:{place.line}')}" if place else ""
    return f"- **{finding.severity.value}** {prose(finding.summary or finding.title)}{at}"
