"""Markdown to be pasted into an engine's issue tracker: what its maintainers ask for, without names and addresses.

Nothing of a log may act in somebody else's tracker: no markup, no mention, no reference to an issue, no picture.
"""

from __future__ import annotations

import re

from doctor.report import outline
from doctor.report.anonymous import anonymous
from doctor.report.sums import quantity
from doctor.report.trials import VERDICTS, effect, medians, rows
from doctor.vocabulary.document import Confirmation, Diagnosis, Finding, RunEntry

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~$&!])")
_AT_START = re.compile(r"^(\s*)(?:([-+])(?=\s|$)|(\d+)([.)])(?=\s|$))")
_MOST_EVIDENCE = 40
_MOST_LINE = 500
_ABOUT = (
    ("Model", ("model.name", "model.arch", "model.quant", "model.params", "model.layers", "model.file_size")),
    ("Host", ("host.os", "host.kernel", "host.cpu", "host.cpu_threads", "host.ram_total", "host.ram_available")),
    ("Driver", ("host.driver", "host.driver_version", "host.cuda_version", "device.name")),
    ("Ended", ("exit.status", "exit.signal")),
)


def prose(text: str) -> str:
    """Text in a paragraph: every sign of Markdown escaped, nobody mentioned, no issue referred to."""
    line = " ".join(outline.shown(text).split())
    line = _SPECIAL.sub(r"\\\1", line)
    line = _AT_START.sub(lambda found: f"\\{found[2]}" if found[2] else f"{found[3]}\\{found[4]}", line)
    line = re.sub(r"@(?=\w)|(?<=\\#)(?=\d)|(?i:(?<=\bGH-)(?=\d))", lambda found: f"{found[0]}\u200b", line)
    return re.sub(r"(?i)(https?:/)/|\bwww\.", lambda found: f"{found[1]}\u200b/" if found[1] else "www\u200b.", line)


def bullet(text: str) -> str:
    return f"- {prose(text)}"


def code(text: str) -> str:
    """A code span, of text on one line."""
    line = " ".join(outline.shown(text).split())
    ticks = "`" * (max((len(run) for run in re.findall(r"`+", line)), default=0) + 1)
    pad = " " if line[:1] in {"`", ""} or line[-1:] == "`" else ""
    return f"{ticks}{pad}{line}{pad}{ticks}"


def fence(text: str, language: str = "") -> str:
    """A block of code that nothing in it can end."""
    body = outline.shown(text).rstrip("\n")
    ticks = "`" * max(3, max((len(run) for run in re.findall(r"`+", body)), default=0) + 1)
    return f"{ticks}{language}\n{body}\n{ticks}"


def fold(title: str, body: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>"


def render_issue(document: Diagnosis) -> str:
    """The failure as an issue: what happened, versions, settings, the log lines, and the suspected cause."""
    document = anonymous(document)
    mains = outline.main_findings(document)
    run = outline.headline_run(document)
    parts = ["### What happened", prose(f"{outline.headline(document)}. {document.summary}")]
    if run is not None:
        parts += ["### Environment", "\n".join(_environment(document, run))]
        given = [entry for entry in document.settings if entry.run == run.id and entry.declared is not None]
        if given:
            lines = [f"{entry.name} = {_plain(entry.declared)}" for entry in given]
            parts += ["### Settings as given", fence("\n".join(lines))]
        effective = [entry for entry in given if entry.effective is not None and entry.effective != entry.declared]
        if effective:
            lines = [
                f"{entry.name}: given {_plain(entry.declared)}, in effect {_plain(entry.effective)}"
                for entry in effective
            ]
            parts.append(fence("\n".join(lines)))
    proof = [line for finding in mains or document.findings[:1] for line in finding.evidence][:_MOST_EVIDENCE]
    if proof:
        parts += ["### Relevant log lines", fence(_log(mains or document.findings[:1]))]
    memory = [outline.memory_line(entry) for entry in document.memory if run is not None and entry.run == run.id]
    if memory:
        parts += ["### Memory", fence("\n".join(memory))]
    for finding in mains:
        parts += _suspected(finding)
    if document.suppressed:
        told = [f"{entry.finding.rule_id}: {outline.accepted(entry)}" for entry in document.suppressed]
        parts += ["### Known and accepted", "\n".join(map(bullet, told[:_MOST_EVIDENCE]))]
    if document.unexplained and document.verdict != "healthy":
        lines = [
            f"{group.count} x {group.path}:{group.line}: {group.text[:_MOST_LINE]}" for group in document.unexplained
        ]
        parts.append(fold("Other error lines", fence("\n".join(lines[:_MOST_EVIDENCE]))))
    parts.append(
        f"_Collected by llmdoctor {prose(document.llmdoctor)}; secrets, addresses and user names are replaced._"
    )
    return "\n\n".join(parts) + "\n"


def _plain(value: object) -> str:
    """As it would be typed: no thousands apart."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _environment(document: Diagnosis, run: RunEntry) -> list[str]:
    lines = [f"- Engine: {prose(outline.engine_name(run))}"]
    if run.engine.lineage:
        lines.append(bullet(f"In: {', '.join(run.engine.lineage)}"))
    others = sorted({outline.engine_name(other) for other in document.runs if other.id != run.id} - {"the server"})
    if others:
        lines.append(bullet(f"Beside it: {', '.join(others[:10])}"))
    for label, names in _ABOUT:
        known = [f"{name.partition('.')[2]} {_figure(name, run.facts[name])}" for name in names if name in run.facts]
        if known:
            lines.append(bullet(f"{label}: {', '.join(known)}"))
    return lines


def _figure(name: str, value: object) -> str:
    from doctor.facts.catalogue import load_catalogue

    return quantity(value, "bytes" if load_catalogue().type_of(name) == "size" else "")


def _log(findings: list[Finding]) -> str:
    """Evidence lines in their order with their neighbours, each once."""
    lines: dict[tuple[str, int], str] = {}
    for finding in findings:
        for line in finding.evidence[:_MOST_EVIDENCE]:
            for number, text in enumerate(line.before, line.line - len(line.before)):
                lines.setdefault((line.path, number), text)
            for number, text in enumerate([line.text, *line.after], line.line):
                lines.setdefault((line.path, number), text)
    shown, previous = [], ("", 0)
    for (path, number), text in sorted(lines.items()):
        if path != previous[0]:
            shown.append(f"# {path}")
        elif number > previous[1] + 1:
            shown.append("...")
        shown.append(text if len(text) <= _MOST_LINE else f"{text[:_MOST_LINE]} ...")
        previous = (path, number)
    return "\n".join(shown)


def _tried(title: str, told: Confirmation) -> list[str]:
    """A remedy that was tried, with the figures before and after."""
    parts = [prose(f"{VERDICTS.get(told.verdict, told.verdict)}: {title}. {told.reason}")]
    lines = [f"{name}: {before} -> {after} {note}".rstrip() for name, before, after, note in rows(told)]
    if told.workload:
        lines.insert(0, f"workload: {told.workload}")
    lines += [words for words in (effect(told), medians(told)) if words]
    return [*parts, fence("\n".join(lines))] if lines else parts


def _suspected(finding: Finding) -> list[str]:
    sure = "" if not finding.missing_facts else f" (not certain without {', '.join(finding.missing_facts)})"
    parts = ["### Suspected cause", f"**{prose(finding.title + sure)}**"]
    if finding.explanation:
        parts.append(prose(finding.explanation))
    if finding.remedies:
        parts.append(bullet(f"What should help: {finding.remedies[0].title}"))
    for remedy in finding.remedies:
        if remedy.confirmation is not None:
            parts += _tried(remedy.title, remedy.confirmation)
    known = finding.known_by.replace("_", " ") or "not said"
    parts.append(prose(f"Rule {finding.rule_id}, known by: {known}."))
    if finding.references:
        parts.append("\n".join(f"- {code(reference.url)}" for reference in finding.references))
    return parts
