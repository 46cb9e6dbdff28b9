"""The diagnosis on a terminal: what broke and the one change first, then the proof, the rest on demand."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from doctor.units import format_size_both
from doctor.vocabulary.terms import Outcome

if TYPE_CHECKING:
    from doctor.vocabulary.document import Computed, Diagnosis, EvidenceLine, Finding, RemedyEntry, RunEntry

_VERDICT_STYLE = {
    "failing": "bold red",
    "degraded": "bold yellow",
    "at_risk": "bold yellow",
    "healthy": "bold green",
    "clear": "bold green",
    "unknown": "bold magenta",
}
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")
_NAME = re.compile(r"[\w.]+")  # another name for a fact, not a sum
_MAX_WIDTH = 110
_MAX_LOG_LINE = 400


def make_console(stream: Any = None) -> Console:
    """Width-aware, plain when piped, colours off with NO_COLOR; never interprets markup in a log's text."""
    out = stream or sys.stdout
    width = None if out.isatty() else int(os.environ.get("COLUMNS", "100"))
    made = Console(file=out, width=width, highlight=False, markup=False, emoji=False)
    made.width = min(made.width, _MAX_WIDTH)
    return made


def clean(text: str) -> str:
    """Control characters of a log shown, not obeyed: no terminal escape, no bidi override gets through."""
    shown = (c if c == "\t" or (c.isprintable() and c not in _BIDI) else "\N{REPLACEMENT CHARACTER}" for c in text)
    return "".join(shown)


def print_text(document: Diagnosis, *, verbose: int = 0, stream: Any = None, console: Console | None = None) -> None:
    """Writes the diagnosis for a person.

    Args:
        document: what was found.
        verbose: 0 what is needed to act, 1 everything with references and settings.
        stream: standard output by default.
        console: drawn on instead of a stream.
    """
    _Report(console or make_console(stream), verbose).write(document)


class _Report:
    def __init__(self, out: Console, verbose: int) -> None:
        self.out = out
        self.verbose = verbose

    def say(self, *parts: str | tuple[str, str] | Text, indent: int = 0, style: str = "") -> None:
        """One paragraph; a part is text, or text with its style."""
        line = Text(style=style)
        for part in parts:
            if isinstance(part, tuple):
                line.append(clean(part[0]), style=part[1])
            elif isinstance(part, Text):
                line.append_text(part)
            else:
                line.append(clean(part))
        for wrapped in line.wrap(self.out, self.out.width - indent):
            wrapped.rstrip()
            self.out.print(Text(" " * indent).append_text(wrapped), soft_wrap=True)

    def title(self, text: str, style: str = "bold") -> None:
        self.say((text, style))

    def gap(self) -> None:
        self.out.print()

    def write(self, document: Diagnosis) -> None:
        self.headline(document)
        roots = [finding for finding in document.findings if finding.role == "root_cause"]
        for finding in roots:
            self.finding(finding)
        self.others(document)
        self.history(document)
        self.open_questions(document)
        self.problems(document)
        if self.verbose:
            self.settings(document)
        elif roots:
            self.say("-v shows every remedy, reference and setting; --format json all there is.", style="dim")

    def headline(self, document: Diagnosis) -> None:
        line = Text(f" {document.verdict.upper()} ", style=f"{_VERDICT_STYLE[document.verdict]} reverse")
        run = _headliner(document)
        if run is not None:
            name = " ".join(part for part in (run.engine.product or run.engine.name, run.engine.version) if part)
            ended = run.outcome.value.replace("_", " ") if run.outcome is not Outcome.UNKNOWN else "end not shown"
            line.append(f"  {clean(name) or 'unknown engine'}: {ended}", style="bold")
        self.out.print(line)
        if not any(finding.role == "root_cause" for finding in document.findings):
            lines = sum(source.lines for source in document.sources)
            if document.verdict == "healthy":
                self.say(f"No rule found anything wrong in {lines} lines of {len(document.sources)} file(s).")
            else:
                self.say(document.summary)
        rest = sum(1 for run in document.runs if not run.incident)
        if rest:
            self.say(f"{rest} earlier run(s) are in the input too: --run all judges them as well.", style="dim")
        self.gap()

    def finding(self, finding: Finding) -> None:
        certain = not finding.missing_facts
        self.say(
            ("ROOT CAUSE  ", "bold red") if certain else ("LIKELY ROOT CAUSE  ", "bold yellow"),
            (finding.summary, "bold"),
        )
        known = finding.known_by.replace("_", " ")
        seen = f" · seen {finding.count} times" if finding.count > 1 else ""
        about = f"{finding.rule_id} · {finding.family} · confidence {finding.confidence} · known by: {known}{seen}"
        self.say(about, style="dim")
        if not certain:
            self.say(f"Not certain: {', '.join(finding.missing_facts)} is not in the input.", style="yellow")
        self.gap()
        if finding.remedies:
            first = finding.remedies[0]
            self.say(("DO THIS  ", "bold green"), (first.title, "bold"))
            self.remedy(first, indent=2, with_diff=True)
            self.gap()
        if finding.evidence:
            self.title("Evidence")
            self.evidence(finding.evidence if self.verbose else finding.evidence[:3])
            self.gap()
        if finding.explanation:
            self.title("Why")
            self.say(finding.explanation, indent=2)
            self.gap()
        sums = [item for item in finding.computed if self.verbose or _is_a_sum(item)]
        if sums:
            self.title("Arithmetic")
            units = {item.name: item.unit for item in finding.computed}
            for item in sums:
                self.arithmetic(item, units)
            self.gap()
        if len(finding.remedies) > 1:
            self.title("Or")
            others = finding.remedies[1:] if self.verbose else finding.remedies[1:5]
            for number, remedy in enumerate(others, 2):
                self.say((f"{number}. ", "bold"), remedy.title, (f"  (removes the {remedy.removes})", "dim"), indent=2)
                self.remedy(remedy, indent=5, with_diff=bool(self.verbose))
            self.gap()
        if finding.collect:
            self.title("To find the cause, collect")
            for wanted in finding.collect:
                self.say(f"- {wanted}", indent=2)
            self.gap()
        for reference in finding.references if self.verbose else finding.references[:2]:
            note = f" - {reference.note}" if reference.note and self.verbose else ""
            self.say(f"See {reference.url}{note}", style="dim")
        if finding.references:
            self.gap()

    def remedy(self, remedy: RemedyEntry, *, indent: int, with_diff: bool) -> None:
        if remedy.diff and with_diff:
            for line in remedy.diff.splitlines():
                self.say(line, indent=indent, style={"+": "green", "-": "red"}.get(line[:1], "dim"))
        else:
            words = [action["text"] for action in remedy.actions if action["kind"] != "explain"]
            if words:
                self.say("→ " + "; ".join(words), indent=indent, style="green")
        for action in remedy.actions:
            if action["kind"] == "explain" and (with_diff or self.verbose):
                self.say(f"→ {action['text']}", indent=indent, style="green")
        parts = [f"cost: {remedy.cost}"] if remedy.cost else []
        if remedy.undo and self.verbose:
            parts.append(f"undo: {remedy.undo}")
        if remedy.raises:
            parts.append(f"but it raises {', '.join(remedy.raises)}")
        for part in parts:
            self.say(part, indent=indent, style="dim")

    def evidence(self, lines: Sequence[EvidenceLine]) -> None:
        """The lines in their places: near ones as one piece of the log, each line once."""
        around = 3 if self.verbose else 1
        for path in dict.fromkeys(line.path for line in lines):
            self.say(path, indent=2, style="cyan")
            shown: dict[int, tuple[str, bool]] = {}
            for line in (line for line in lines if line.path == path):
                before = line.before[-around:]
                for offset, text in enumerate(before, line.line - len(before)):
                    shown.setdefault(offset, (text, False))
                for offset, text in enumerate(line.after[:around], line.line + 1):
                    shown.setdefault(offset, (text, False))
                shown[line.line] = (line.text, True)
            previous = None
            for number, (text, marked) in sorted(shown.items()):
                if previous is not None and number > previous + 1:
                    self.say("⋮", indent=9, style="dim")
                self.log_line(number, text, marked=marked)
                previous = number

    def log_line(self, number: int, text: str, *, marked: bool = False) -> None:
        shown = text if len(text) <= _MAX_LOG_LINE else text[:_MAX_LOG_LINE] + " …"
        mark, style = ("▶", "bold") if marked else (" ", "dim")
        gutter = f"  {mark} {number:>6} │ "
        line = Text(clean(shown), style=style)
        for index, wrapped in enumerate(line.wrap(self.out, self.out.width - len(gutter))):
            margin = gutter if index == 0 else " " * (len(gutter) - 2) + "│ "
            wrapped.rstrip()
            self.out.print(Text(margin, style="red" if marked else "dim").append_text(wrapped), soft_wrap=True)

    def arithmetic(self, item: Computed, units: Mapping[str, str]) -> None:
        self.say(f"{item.name} = {item.expression} = ", (quantity(item.value, item.unit), "bold"), indent=2)
        if item.inputs:
            inputs = (
                f"{name} = {quantity(value, units.get(name) or _unit(name, value))}"
                for name, value in item.inputs.items()
            )
            self.say("with " + ", ".join(inputs), indent=4, style="dim")

    def others(self, document: Diagnosis) -> None:
        titles = {"contributing": "Contributing", "symptom": "Symptoms of it (not the cause)", "advice": "Advice"}
        for role, title in titles.items():
            found = [finding for finding in document.findings if finding.role == role]
            if not found:
                continue
            self.title(title)
            for finding in found if self.verbose else found[:5]:
                first = finding.evidence[0] if finding.evidence else None
                place = f"{first.path}:{first.line}" if first else finding.rule_id
                self.say(f"- {finding.summary}", (f"  [{place}]", "dim"), indent=2)
                if role != "symptom" and finding.remedies:
                    self.say(f"→ {finding.remedies[0].title}", indent=4, style="green")
            self.more(len(found), 5)
            self.gap()

    def more(self, count: int, shown: int) -> None:
        if not self.verbose and count > shown:
            self.say(f"and {count - shown} more (-v)", indent=2, style="dim")

    def history(self, document: Diagnosis) -> None:
        if document.history:
            self.title("Earlier runs")
            for entry in document.history:
                self.say(f"- {entry.count} x {entry.title} (first {entry.first}, last {entry.last})", indent=2)
            self.gap()

    def open_questions(self, document: Diagnosis) -> None:
        if document.could_not_judge:
            self.title("Could not judge")
            for entry in document.could_not_judge:
                self.say(f"- {entry.missing} missing: {', '.join(entry.rules)}", indent=2)
                if entry.hint:
                    self.say(f"→ {entry.hint}", indent=4, style="green")
            self.gap()
        if document.unexplained:
            self.title("Error lines that no rule explains")
            for group in document.unexplained if self.verbose else document.unexplained[:5]:
                count = f" ({group.count} x)" if group.count > 1 else ""
                self.say((f"{group.path}:{group.line}{count} ", "cyan"), group.text[:200], indent=2)
            self.more(len(document.unexplained), 5)
            self.gap()

    def problems(self, document: Diagnosis) -> None:
        if document.problems:
            self.title("Trouble with the input", "bold yellow")
            for problem in document.problems:
                hint = f" ({problem.hint})" if problem.hint else ""
                self.say(f"- {problem.subject}: {problem.message}{hint}", indent=2)
            self.gap()

    def settings(self, document: Diagnosis) -> None:
        if document.settings:
            self.title("Settings (declared → in effect)")
            for entry in document.settings:
                declared = "" if entry.declared is None else f"{entry.declared} → "
                effective = "as declared" if entry.effective is None else entry.effective
                self.say(f"{entry.name}: {declared}{effective}", (f"  {entry.origin}", "dim"), indent=2)
            self.gap()


def _headliner(document: Diagnosis) -> RunEntry | None:
    """The run that the headline is about: the root cause's, else the first judged one."""
    parents = {run.parent for run in document.runs}
    judged = [run for run in document.runs if run.incident and run.id not in parents]
    services = [run for run in judged if run.engine.product != "rpc-server"] or judged
    ill = [run for run in services if run.outcome.bad or run.outcome is Outcome.DEGRADED]
    return next(iter(ill or services), None)


def _is_a_sum(item: Computed) -> bool:
    """Worth showing unasked: a number that was computed, not another name for a fact, a word or a yes."""
    is_number = isinstance(item.value, (int, float)) and not isinstance(item.value, bool)
    return is_number and not _NAME.fullmatch(item.expression)


def quantity(value: Any, unit: str) -> str:
    """A figure with its unit as a person reads it: bytes as GiB with GB, thousands apart."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if unit == "bytes" and isinstance(value, (int, float)):
        return format_size_both(value)
    if isinstance(value, int) and abs(value) >= 10_000:
        return f"{value:,} {unit}".strip().replace(",", " ")
    if isinstance(value, list):
        return ", ".join(str(element) for element in value[:6])
    return f"{value} {unit}".strip()


def _unit(name: str, value: Any) -> str:
    from doctor.facts.catalogue import load_catalogue

    is_size = isinstance(value, (int, float)) and load_catalogue().type_of(name) == "size"
    return "bytes" if is_size else ""
