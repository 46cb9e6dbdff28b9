"""The diagnosis on a terminal: what broke and the one change first, then the proof, the rest on demand."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from doctor.units import format_size_both
from doctor.vocabulary.terms import Outcome

if TYPE_CHECKING:
    from doctor.exitcodes import ExitMeaning
    from doctor.rulebook.book import CompiledRule
    from doctor.vocabulary.document import Diagnosis, EvidenceLine, Finding, RemedyEntry

_VERDICT_STYLE = {
    "failing": "bold red",
    "degraded": "bold yellow",
    "at_risk": "bold yellow",
    "healthy": "bold green",
    "clear": "bold green",
    "unknown": "bold magenta",
}
_MAX_WIDTH = 110


def console(stream: Any = None) -> Console:
    """Width-aware, plain when piped, colours off with NO_COLOR; never interprets markup in a log's text."""
    out = stream or sys.stdout
    width = None if out.isatty() else int(os.environ.get("COLUMNS", "100"))
    made = Console(file=out, width=width, highlight=False, markup=False, emoji=False, soft_wrap=False)
    if made.width > _MAX_WIDTH:
        made.width = _MAX_WIDTH
    return made


def clean(text: str) -> str:
    """Control characters of a log shown, not obeyed: no terminal escape, no bidi override gets through."""
    return "".join(c if c == "\t" or (c.isprintable() and c not in _BIDI) else "\N{REPLACEMENT CHARACTER}" for c in text)


_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")


def print_text(document: Diagnosis, *, verbose: int = 0, stream: Any = None) -> None:
    out = console(stream)
    _headline(out, document)
    roots = [finding for finding in document.findings if finding.role == "root_cause"]
    for finding in roots:
        _finding(out, finding, verbose)
    _others(out, document, verbose)
    _history(out, document)
    _open_questions(out, document, verbose)
    _problems(out, document)
    if verbose:
        _settings(out, document)
    if roots and not verbose:
        out.print(Text("-v shows every remedy, the references and the settings; --format json everything.", style="dim"))


def _headline(out: Console, document: Diagnosis) -> None:
    line = Text(f" {document.verdict.upper()} ", style=f"{_VERDICT_STYLE[document.verdict]} reverse")
    judged = [run for run in document.runs if run.incident and run.parent != run.id]
    if judged:
        run = judged[0]
        name = " ".join(part for part in (run.engine.product or run.engine.name, run.engine.version) if part)
        outcome = run.outcome.value.replace("_", " ") if run.outcome is not Outcome.UNKNOWN else "end not shown"
        line.append(f"  {clean(name) or 'unknown engine'}: {outcome}", style="bold")
    out.print(line)
    if not any(finding.role == "root_cause" for finding in document.findings):
        out.print(Text(clean(document.summary)))
        if document.verdict == "healthy":
            out.print(Text("No rule found anything wrong.", style="green"))
    if len(document.runs) > 1:
        shown = sum(1 for run in document.runs if run.incident)
        if shown < len(document.runs):
            rest = len(document.runs) - shown
            out.print(Text(f"{rest} earlier run(s) are in the input too: --run all judges them as well.", style="dim"))
    out.print()


def _finding(out: Console, finding: Finding, verbose: int) -> None:
    head = Text("ROOT CAUSE  ", style="bold red")
    if finding.missing_facts:
        head = Text("LIKELY ROOT CAUSE  ", style="bold yellow")
    head.append(clean(finding.summary), style="bold")
    out.print(head)
    known = finding.known_by.replace("_", " ")
    count = f", seen {finding.count} times" if finding.count > 1 else ""
    out.print(Text(f"{finding.rule_id} · {finding.family} · confidence {finding.confidence} · known by: {known}{count}", style="dim"))
    if finding.missing_facts:
        out.print(Text(f"Not certain: {', '.join(finding.missing_facts)} is not in the input.", style="yellow"))
    out.print()
    first = finding.remedies[0] if finding.remedies else None
    if first is not None:
        out.print(Text("DO THIS  ", style="bold green").append(clean(first.title), style="bold"))
        _remedy_details(out, first)
        out.print()
    if finding.evidence:
        out.print(Text("Evidence", style="bold"))
        shown = finding.evidence if verbose else finding.evidence[:3]
        for line in shown:
            _evidence(out, line, verbose)
        out.print()
    if finding.explanation:
        out.print(Text("Why", style="bold"))
        out.print(Padding(Text(clean(finding.explanation)), (0, 0, 0, 2)))
        out.print()
    if finding.computed:
        out.print(Text("Arithmetic", style="bold"))
        for item in finding.computed:
            out.print(Padding(arithmetic(item), (0, 0, 0, 2)))
        out.print()
    others = finding.remedies[1:]
    if others:
        out.print(Text("Or", style="bold"))
        for number, remedy in enumerate(others if verbose else others[:4], 2):
            out.print(Padding(Text(f"{number}. ", style="bold").append(clean(remedy.title)).append(f"  (removes the {remedy.removes})", style="dim"), (0, 0, 0, 2)))
            _remedy_details(out, remedy, indent=5, diff=bool(verbose))
        out.print()
    if finding.collect:
        out.print(Text("To find the cause, collect", style="bold"))
        for item in finding.collect:
            out.print(Padding(Text(f"- {clean(item)}"), (0, 0, 0, 2)))
        out.print()
    if finding.references:
        shown_references = finding.references if verbose else finding.references[:2]
        for reference in shown_references:
            out.print(Text(f"See {reference.url}", style="dim"))
        out.print()


def _remedy_details(out: Console, remedy: RemedyEntry, indent: int = 2, *, diff: bool = True) -> None:
    parts = []
    if remedy.diff and diff:
        for line in remedy.diff.splitlines():
            style = "green" if line.startswith("+") else "red" if line.startswith("-") else "dim"
            out.print(Padding(Text(clean(line), style=style), (0, 0, 0, indent)))
    else:
        wordless = {"explain"}
        words = [action.text for action in remedy.actions if action.kind not in wordless]
        if words:
            out.print(Padding(Text("→ " + "; ".join(clean(word) for word in words), style="green"), (0, 0, 0, indent)))
    if remedy.cost:
        parts.append(f"cost: {remedy.cost}")
    if remedy.undo:
        parts.append(f"undo: {remedy.undo}")
    if remedy.raises:
        parts.append(f"but it raises {', '.join(remedy.raises)}")
    if parts:
        out.print(Padding(Text(clean("; ".join(parts)), style="dim"), (0, 0, 0, indent)))


def _evidence(out: Console, line: EvidenceLine, verbose: int) -> None:
    around = 3 if verbose else 1
    out.print(Text(f"  {clean(line.path)}:{line.line}", style="cyan"))
    before = line.before[-around:]
    for offset, text in enumerate(before):
        out.print(_log_line(line.line - len(before) + offset, text, "dim"))
    out.print(_log_line(line.line, line.text, "bold", "▶"))
    for offset, text in enumerate(line.after[:around], 1):
        out.print(_log_line(line.line + offset, text, "dim"))


def _log_line(number: int, text: str, style: str, mark: str = " ") -> Padding:
    shown = clean(text)
    if len(shown) > 400:
        shown = shown[:400] + " …"
    return Padding(Text(f"{mark} {number:>6} │ ", style="red" if mark != " " else "dim").append(shown, style=style), (0, 0, 0, 2))


def arithmetic(item: Any) -> Text:
    """``shift_at = n_keep + n_left + 1 = 2056 tokens`` with the inputs' values below."""
    value = _quantity(item.value, item.unit)
    line = Text(f"{item.name} = {clean(item.expression)} = ").append(value, style="bold")
    if item.inputs:
        inputs = ", ".join(f"{name} = {_quantity(v, 'bytes' if _is_size(name, v) else '')}" for name, v in item.inputs.items())
        line.append(f"\n  with {clean(inputs)}", style="dim")
    return line


def _is_size(name: str, value: Any) -> bool:
    from doctor.facts.catalogue import load_catalogue

    return isinstance(value, (int, float)) and load_catalogue().type_of(name) == "size"


def _quantity(value: Any, unit: str) -> str:
    if unit == "bytes" and isinstance(value, (int, float)):
        return format_size_both(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and abs(value) >= 10_000:
        return f"{value:,} {unit}".strip().replace(",", " ")
    if isinstance(value, list):
        return ", ".join(str(v) for v in value[:6])
    return f"{value} {unit}".strip()


def _others(out: Console, document: Diagnosis, verbose: int) -> None:
    titles = {"contributing": "Contributing", "symptom": "Symptoms of it (not the cause)", "advice": "Advice"}
    for role, title in titles.items():
        found = [finding for finding in document.findings if finding.role == role]
        if not found:
            continue
        out.print(Text(title, style="bold"))
        for finding in found if verbose else found[:5]:
            place = f"{finding.evidence[0].path}:{finding.evidence[0].line}" if finding.evidence else finding.rule_id
            out.print(Padding(Text(f"- {clean(finding.summary)}").append(f"  [{clean(place)}]", style="dim"), (0, 0, 0, 2)))
            if role != "symptom" and finding.remedies:
                out.print(Padding(Text(f"→ {clean(finding.remedies[0].title)}", style="green"), (0, 0, 0, 4)))
        if not verbose and len(found) > 5:
            out.print(Padding(Text(f"and {len(found) - 5} more (-v)", style="dim"), (0, 0, 0, 2)))
        out.print()


def _history(out: Console, document: Diagnosis) -> None:
    if document.history:
        out.print(Text("Earlier runs", style="bold"))
        for entry in document.history:
            out.print(Padding(Text(f"- {entry.count} x {clean(entry.title)} (first {clean(entry.first)}, last {clean(entry.last)})"), (0, 0, 0, 2)))
        out.print()


def _open_questions(out: Console, document: Diagnosis, verbose: int) -> None:
    if document.could_not_judge:
        out.print(Text("Could not judge", style="bold"))
        for entry in document.could_not_judge:
            rules = ", ".join(entry.rules)
            out.print(Padding(Text(f"- {clean(entry.missing)} is missing for {len(entry.rules)} rule(s): {rules}"), (0, 0, 0, 2)))
            if entry.hint:
                out.print(Padding(Text(f"→ {entry.hint}", style="green"), (0, 0, 0, 4)))
        out.print()
    if document.unexplained:
        shown = document.unexplained if verbose else document.unexplained[:5]
        out.print(Text("Error lines that no rule explains", style="bold"))
        for group in shown:
            count = f" ({group.count} x)" if group.count > 1 else ""
            out.print(Padding(Text(f"{clean(group.path)}:{group.line}{count}", style="cyan").append(f" {clean(group.text)[:200]}", style="default"), (0, 0, 0, 2)))
        if len(document.unexplained) > len(shown):
            out.print(Padding(Text(f"and {len(document.unexplained) - len(shown)} more (-v)", style="dim"), (0, 0, 0, 2)))
        out.print()


def _problems(out: Console, document: Diagnosis) -> None:
    if document.problems:
        out.print(Text("Trouble with the input", style="bold yellow"))
        for problem in document.problems:
            hint = f" ({problem.hint})" if problem.hint else ""
            out.print(Padding(Text(f"- {clean(problem.subject)}: {clean(problem.message)}{clean(hint)}"), (0, 0, 0, 2)))
        out.print()


def _settings(out: Console, document: Diagnosis) -> None:
    if document.settings:
        out.print(Text("Settings (declared → in effect)", style="bold"))
        for entry in document.settings:
            declared = "" if entry.declared is None else f"{entry.declared} → "
            effective = "" if entry.effective is None else str(entry.effective)
            out.print(Padding(Text(f"{entry.name}: {clean(declared + effective)}").append(f"  {clean(entry.origin)}", style="dim"), (0, 0, 0, 2)))
        out.print()


def print_rule(card: dict[str, Any]) -> None:
    """A rule as its author means it: what it looks like, why, what to do, how it is known."""
    out = console()
    out.print(Text(card["title"], style="bold"))
    out.print(Text(f"{card['id']} · {card['kind']} · {card['family'] or 'no family'} · {card['severity']} · known by: {card['evidence'].replace('_', ' ')}", style="dim"))
    engines = ", ".join(f"{e['name']} {e['affected'] or ''}".strip() + (f" (fixed in {e['fixed']})" if e["fixed"] else "") for e in card["engines"])
    if engines:
        out.print(Text(f"Engines: {engines}"))
    if card["explanation"]:
        out.print()
        out.print(Text(" ".join(card["explanation"].split())))
    if card["signatures"]:
        out.print(Text("\nWhat it looks like", style="bold"))
        for name, signature in card["signatures"].items():
            out.print(Text(f"  {name}: {signature['pattern']}"))
    if card["remedies"]:
        out.print(Text("\nWhat to do", style="bold"))
        for number, remedy in enumerate(card["remedies"], 1):
            out.print(Text(f"  {number}. {' '.join(remedy['title'].split())}  (removes the {remedy['removes']})"))
    if card["provoke"]:
        out.print(Text("\nHow to provoke it", style="bold"))
        out.print(Text(f"  {' '.join(card['provoke'].split())}"))
    for reference in card["references"]:
        out.print(Text(f"See {reference['url']}" + (f" - {reference['note']}" if reference["note"] else ""), style="dim"))


def print_rule_list(rules: Sequence[CompiledRule]) -> None:
    from rich.table import Table

    out = console()
    table = Table(box=None, pad_edge=False, show_edge=False)
    for title in ("rule", "kind", "family", "severity", "title"):
        table.add_column(title, overflow="fold")
    for rule in rules:
        table.add_row(rule.id, rule.kind.value, rule.family, rule.severity.value, Text(rule.title))
    out.print(table)
    out.print(Text(f"{len(rules)} rules", style="dim"))


def print_exit_code(meaning: ExitMeaning) -> None:
    out = console()
    out.print(Text(f"{meaning.code}: {meaning.name}", style="bold"))
    out.print(Text(meaning.meaning))
    for title, lines in (("Usual causes with local inference engines", meaning.causes), ("Look at", meaning.look_at)):
        if lines:
            out.print(Text(f"\n{title}", style="bold"))
            for line in lines:
                out.print(Padding(Text(f"- {line}"), (0, 0, 0, 2)))
