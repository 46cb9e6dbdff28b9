"""The diagnosis on a terminal: what broke and the one change first, then the proof, the rest on demand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from doctor.report.outline import REMOVES, accepted, count, ended, engine_name, headline_run
from doctor.report.page import Page
from doctor.report.sums import quantity, short_name, written

if TYPE_CHECKING:
    from rich.console import Console

    from doctor.vocabulary.document import (
        Computed,
        Confirmation,
        Diagnosis,
        EvidenceLine,
        Finding,
        MemoryEntry,
        RemedyEntry,
        RunEntry,
    )

_VERDICT_STYLE = {
    "failing": "bold red",
    "degraded": "bold yellow",
    "at_risk": "bold yellow",
    "healthy": "bold green",
    "clear": "bold green",
    "unknown": "bold magenta",
}
_MAX_LOG_LINE = 400
_COLUMN = 12
_FEW = 5


def print_text(document: Diagnosis, *, verbose: int = 0, stream: Any = None, console: Console | None = None) -> None:
    """Writes the diagnosis for a person.

    Args:
        document: what was found.
        verbose: 0 what is needed to act, 1 everything with references and settings.
        stream: standard output by default.
        console: drawn on instead of a stream.
    """
    _Report(Page(stream, console), verbose).write(document)


class _Report:
    def __init__(self, page: Page, verbose: int) -> None:
        self.page = page
        self.say = page.say
        self.gap = page.gap
        self.verbose = verbose

    def title(self, text: str, style: str = "bold") -> None:
        self.say((text, style))

    def write(self, document: Diagnosis) -> None:
        roots = [finding for finding in document.findings if finding.role in {"root_cause", "risk"}]
        self.headline(document, roots)
        for number, finding in enumerate(roots, 1):
            self.finding(finding, f" {number} OF {len(roots)}" if len(roots) > 1 else "", _of_which(finding, document))
        if document.planned and document.memory and (self.verbose or not roots):
            self.room(document)
        self.others(document)
        self.suppressed(document)
        self.history(document)
        self.open_questions(document)
        self.problems(document)
        if document.settings_file:
            self.say((f"Judged as {document.settings_file} wants it.", "dim"))
            self.gap()
        if not roots and document.verdict in {"unknown", "failing"} and not document.planned:
            self.what_would_help(document)
        if self.verbose:
            self.settings(document)
        self.last_words(document, roots)

    # --- what broke, and the one change ---------------------------------------------------------------------------

    def headline(self, document: Diagnosis, roots: Sequence[Finding]) -> None:
        run = headline_run(document)
        parts = [(f" {document.verdict.upper().replace('_', ' ')} ", f"{_VERDICT_STYLE[document.verdict]} reverse")]
        if run is not None:
            words = f": {ended(run)}" if not document.planned else f" as {run.source} declares it"
            parts.append((f"  {engine_name(run)}{words}", "bold"))
        self.say(*parts)
        if not roots:
            if document.verdict == "healthy":
                lines, files = sum(source.lines for source in document.sources), len(document.sources)
                self.say(f"Nothing wrong was found in {count(lines, 'line')} of {count(files, 'file')}.")
            elif run is None or document.planned or document.verdict != "unknown":
                self.say(document.summary)
        rest = sum(1 for run in document.runs if not run.incident)
        if rest:
            self.say(f"{_others(document.runs)}; --run all judges the others too.")
        self.gap()

    def finding(self, finding: Finding, which: str, of: str = "") -> None:
        certain = not finding.missing_facts
        column = _COLUMN if certain and not which else 18
        label = f"ROOT CAUSE{which}" if certain else f"LIKELY CAUSE{which}"
        label = f"RISK{which}" if finding.role == "risk" else label
        red = "bold red" if certain else "bold yellow"
        self.page.labelled((label, red), (finding.summary, "bold"), column=max(column, len(label) + 2))
        column = max(column, len(label) + 2)
        if of:
            self.page.labelled("", of, column=column, style="dim")
        if not certain:
            missing = ", ".join(finding.missing_facts)
            self.page.labelled("", f"Not certain: the input does not say {missing}.", column=column, style="yellow")
        elif finding.confidence != "high":
            self.page.labelled("", f"Confidence: {finding.confidence}.", column=column, style="yellow")
        self.gap()
        if finding.remedies:
            first = finding.remedies[0]
            self.page.labelled(("DO THIS", "bold green"), (first.title, "bold"), column=column)
            self.remedy(first, indent=2 if self.page.narrow else column, in_full=True)
            self.gap()
        elif finding.collect:
            self.page.labelled(("COLLECT", "bold green"), "to find the cause:", column=column)
            indent = 2 if self.page.narrow else column
            for wanted in finding.collect:
                self.say(f"- {wanted}", indent=indent, hang=indent + 2)
            self.gap()
        if finding.evidence:
            self.title("Evidence")
            self.evidence(finding.evidence if self.verbose else finding.evidence[:3])
            self.gap()
        if finding.explanation:
            self.title("Why")
            self.say(finding.explanation, indent=2)
            self.gap()
        self.sums(finding)
        if len(finding.remedies) > 1:
            self.title("Or")
            for number, remedy in enumerate(finding.remedies[1:], 2):
                if number > _FEW and not self.verbose and remedy.confirmation is None:
                    continue
                helps = REMOVES.get(remedy.removes, remedy.removes)
                self.say((f"{number}. ", "bold"), _as_choice(remedy.title), (f"  [{helps}]", "dim"), indent=2, hang=5)
                self.remedy(remedy, indent=5, in_full=bool(self.verbose))
            self.gap()
        if finding.collect and finding.remedies:
            self.title("To find the cause, collect")
            for wanted in finding.collect:
                self.say(f"- {wanted}", indent=2, hang=4)
            self.gap()
        self.about(finding)

    def remedy(self, remedy: RemedyEntry, *, indent: int, in_full: bool) -> None:
        """The exact change, then what it costs, then what else there is to know."""
        words = [action["text"] for action in remedy.actions if action["kind"] != "explain"]
        if remedy.diff and in_full:
            for line in remedy.diff.splitlines():
                style = {"+": "green", "-": "red"}.get(line[:1], "dim")
                if remedy.diff.startswith("--- "):  # of files: whole lines, as patch takes them
                    self.page.line(" " * indent + line, style)
                else:
                    self.say(line, indent=indent, style=style)
        elif words:
            self.say("→ " + "; ".join(words), indent=indent, hang=indent + 2, style="green")
        for action in remedy.actions:
            if action["kind"] == "explain" and in_full:
                self.say(action["text"], indent=indent)
        parts = [f"Cost: {remedy.cost}"] if remedy.cost else []
        if remedy.undo and self.verbose:
            parts.append(f"Undo: {remedy.undo}")
        if remedy.raises:
            parts.append(f"But it raises {', '.join(remedy.raises)}")
        for part in parts:
            self.say(part, indent=indent, style="dim")
        if remedy.confirmation is not None:
            self.trials(remedy.confirmation, indent)

    def trials(self, told: Confirmation, indent: int) -> None:
        """What a trial of a remedy proved."""
        from doctor.report.trials import STYLES, VERDICTS, print_table

        verdict = VERDICTS.get(told.verdict, told.verdict)
        self.say((verdict, STYLES.get(told.verdict, "bold")), f": {told.reason}", indent=indent, hang=indent + 2)
        print_table(told, self.page, indent + 2)

    def room(self, document: Diagnosis) -> None:
        """Of deployments that fit: what each place will hold. Those that hold the same are told once."""
        tables: dict[tuple[str, ...], list[RunEntry]] = {}
        for run in document.runs:
            if held := tuple(_held(place) for place in document.memory if place.run == run.id):
                tables.setdefault(held, []).append(run)
        self.title("Memory")
        for places, runs in list(tables.items())[:_FEW]:
            indent = 2
            if len(document.runs) > 1:
                like = f" and {count(len(runs) - 1, 'other')} alike" if len(runs) > 1 else ""
                self.say(f"{engine_name(runs[0])} as {runs[0].source}:{runs[0].first_line} declares it{like}", indent=2)
                indent = 4
            for place in places:
                self.say(place, indent=indent, hang=indent + 2)
        if len(tables) > _FEW:
            self.say(f"and {count(len(tables) - _FEW, 'deployment')} more that hold something else", indent=2)
        self.gap()

    # --- the proof ------------------------------------------------------------------------------------------------

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
            digits = max(len(str(number)) for number in shown)
            for number, (text, marked) in sorted(shown.items()):
                if previous is not None and number > previous + 1:
                    self.say("⋮", indent=digits + 3, style="dim")
                self.log_line(number, text, digits, marked=marked)
                previous = number

    def log_line(self, number: int, text: str, digits: int, *, marked: bool = False) -> None:
        """A line that proves something in full, a neighbour in one row."""
        shown = text if len(text) <= _MAX_LOG_LINE else text[:_MAX_LOG_LINE] + " …"
        gutter = f"{'▶' if marked else ' '} {number:>{digits}} │ "
        self.say(
            (gutter, "red" if marked else "dim"),
            (shown.strip(), "bold" if marked else "dim"),
            indent=2,
            hang=2 + len(gutter),
            margin="│ ",
            most=0 if marked or self.verbose else 1,
        )

    def sums(self, finding: Finding) -> None:
        """The arithmetic with this machine's numbers in it; all of it, roundings and derivations too, with -v."""
        units = {item.name: item.unit for item in finding.computed}

        def unit_of(name: str, value: Any) -> str:
            return units.get(name) or _unit(name, value)

        plain = [(item, sum_) for item in finding.computed if (sum_ := written(item, unit_of))]
        if plain:
            self.title("Arithmetic")
        for item, (words, numbers) in plain:
            result = quantity(item.value, item.unit)
            self.say(f"{short_name(item.name)} = {words} = {numbers} = ", (result, "bold"), indent=2, hang=4)
        if plain:
            self.gap()
        rest = [item for item in finding.computed if all(item is not shown for shown, _sum in plain)]
        if rest and self.verbose:
            self.title("Computed")
            for item in rest:
                self.derivation(item, unit_of)
            self.gap()

    def derivation(self, item: Computed, unit_of: Any) -> None:
        self.say(f"{item.name} = {item.expression} = ", (quantity(item.value, item.unit), "bold"), indent=2, hang=4)
        if item.inputs:
            inputs = (f"{name} = {quantity(value, unit_of(name, value))}" for name, value in item.inputs.items())
            self.say("with " + ", ".join(inputs), indent=4, style="dim")

    def about(self, finding: Finding) -> None:
        """How the claim is known, and where to read on."""
        known = finding.known_by.replace("_", " ")
        seen = f", seen {finding.count} times" if finding.count > 1 else ""
        self.say(f"Rule {finding.rule_id} ({finding.family}), known by: {known}{seen}", style="dim")
        for reference in finding.references if self.verbose else finding.references[:2]:
            note = f" - {reference.note}" if reference.note and self.verbose else ""
            self.say(f"See {reference.url}{note}", hang=4, style="dim")
        self.gap()

    # --- the rest -------------------------------------------------------------------------------------------------

    def others(self, document: Diagnosis) -> None:
        titles = {"contributing": "It contributes", "symptom": "What follows from it", "advice": "Advice"}
        for role, title in titles.items():
            found = [finding for finding in document.findings if finding.role == role]
            if not found:
                continue
            if role == "symptom" and not self.verbose and any(f.role == "root_cause" for f in document.findings):
                continue  # counted in the last line
            self.title(title)
            for finding in found if self.verbose else found[:_FEW]:
                first = finding.evidence[0] if finding.evidence else None
                place = f"{first.path}:{first.line}" if first else finding.rule_id
                self.say("- ", finding.summary, (f"  [{place}]", "dim"), indent=2, hang=4)
                if role != "symptom" and finding.remedies:
                    self.say(f"→ {finding.remedies[0].title}", indent=4, hang=6, style="green")
                for remedy in finding.remedies:
                    if remedy.confirmation is not None:
                        self.trials(remedy.confirmation, 4)
            self.more(len(found), _FEW)
            self.gap()

    def more(self, count: int, shown: int) -> None:
        if not self.verbose and count > shown:
            self.say(f"and {count - shown} more (-v)", indent=2, style="dim")

    def suppressed(self, document: Diagnosis) -> None:
        """What somebody has accepted: a line each, so that it is not forgotten."""
        if document.suppressed:
            self.title("Suppressed")
            for entry in document.suppressed if self.verbose else document.suppressed[:_FEW]:
                self.say("- ", entry.finding.summary or entry.finding.title, indent=2, hang=4)
                self.say(accepted(entry), indent=4, hang=6, style="dim")
            self.more(len(document.suppressed), _FEW)
            self.gap()

    def history(self, document: Diagnosis) -> None:
        if document.history:
            self.title("Earlier runs")
            for entry in document.history:
                places = entry.first if entry.count == 1 else f"{entry.first} … {entry.last}"
                self.say(f"- {entry.count} × {entry.title}", (f"  [{places}]", "dim"), indent=2, hang=4)
            self.gap()

    def open_questions(self, document: Diagnosis) -> None:
        if document.could_not_judge:
            self.title("Could not judge")
            for entry in document.could_not_judge:
                self.say(f"- {', '.join(entry.rules)}: the input does not say {entry.missing}", indent=2, hang=4)
                if entry.hint:
                    self.say(f"→ {entry.hint}", indent=4, hang=6, style="green")
            self.gap()
        left = document.unexplained
        if left and document.verdict == "healthy" and not self.verbose:
            self.say(
                f"{count(len(left), 'error-looking line')} that no rule explains did no harm; -v shows.", style="dim"
            )
            self.gap()
        elif left:
            self.title("Error lines that no rule explains")
            for group in left if self.verbose else left[:_FEW]:
                times = f" ({group.count} ×)" if group.count > 1 else ""
                self.say((f"{group.path}:{group.line}{times} ", "cyan"), group.text[:200], indent=2, hang=4)
            self.more(len(left), _FEW)
            self.gap()

    def problems(self, document: Diagnosis) -> None:
        """What could not be read, grouped: the same trouble with forty files is said once."""
        if not document.problems:
            return
        groups: dict[tuple[str, str], list[str]] = {}
        for problem in document.problems:
            groups.setdefault((problem.message, problem.hint), []).append(problem.subject)
        self.title("Trouble with the input", "bold yellow")
        shown = list(groups.items()) if self.verbose else list(groups.items())[:_FEW]
        for (message, hint), subjects in shown:
            names = ", ".join(subjects if self.verbose else subjects[:3])
            rest = "" if self.verbose or len(subjects) <= 3 else f" and {len(subjects) - 3} more"
            self.say("- ", f"{names}{rest}: {message}", (f" ({hint})" if hint else "", "dim"), indent=2, hang=4)
        self.more(len(groups), _FEW)
        self.gap()

    def what_would_help(self, document: Diagnosis) -> None:
        self.title("What would help")
        if not any(source.kind == "log" for source in document.sources):
            self.say("- a log; before anything runs, llmdoctor check judges a deployment", indent=2, hang=4)
        elif not document.runs:
            self.say(
                "- Nothing in the input is known to be of an engine: is it the server's own log?", indent=2, hang=4
            )
        ended = "how it ended: --exit 137, --exit SIGABRT, or the kernel log (dmesg) beside it"
        for hint in (
            "the whole log, from the start of the server to its end, with standard error",
            *([ended] if document.verdict == "unknown" else ()),
            'how it was started: --command "llama-server -m ...", --env FILE',
            "what the machine has: saved output of nvidia-smi, free, numactl -H",
        ):
            self.say(f"- {hint}", indent=2, hang=4)
        self.gap()

    def settings(self, document: Diagnosis) -> None:
        if document.settings:
            self.title("Settings (declared → in effect)")
            for entry in document.settings:
                value, place = entry.effective, entry.origin
                if entry.declared is not None and entry.effective is not None:
                    same = entry.declared == entry.effective
                    value = entry.declared if same else f"{entry.declared} → {entry.effective}"
                    place = f"{entry.declared_at} → {entry.origin}"
                elif entry.declared is not None:
                    value = entry.declared
                self.say(f"{entry.name}: {value}", (f"  {place}", "dim"), indent=2, hang=4)
            self.gap()

    def last_words(self, document: Diagnosis, roots: Sequence[Finding]) -> None:
        """Where to read on; and once more what to do, when the beginning has scrolled out of the terminal."""
        if not roots:
            return
        if not self.verbose:
            follow = sum(1 for finding in document.findings if finding.role == "symptom")
            more = (
                f"-v shows more, {count(follow, 'message')} that only followed from it too"
                if follow
                else "-v shows more"
            )
            self.say(f"{more}; llmdoctor explain {roots[0].rule_id}", hang=2, style="dim")
        if roots[0].remedies and self.page.height and self.page.rows >= self.page.height:
            self.gap()
            badge = (f" {document.verdict.upper()} ", f"{_VERDICT_STYLE[document.verdict]} reverse")
            self.say(badge, ("  DO THIS  ", "bold green"), (roots[0].remedies[0].title, "bold"), hang=2)


def _others(runs: Sequence[RunEntry]) -> str:
    """How many runs are not judged, and which is."""
    around = {run.parent for run in runs}
    rest = sum(1 for run in runs if not run.incident)
    lives = [run for run in runs if run.id not in around and run.engine.product != "rpc-server"]
    judged = [run for run in lives if run.incident]
    if len(judged) == 1 and judged[0] is not lives[-1]:
        return f"{count(rest, 'other run')} in the input: this is {judged[0].id.replace('-', ' ')} of {len(runs)}"
    return f"{count(rest, 'earlier run')} in the input: " + (
        "this is the last one" if len(judged) == 1 else "the last of each service counts"
    )


def _as_choice(title: str) -> str:
    """A rule may word its second remedy as "Or do that"; under the heading "Or" the word is there already."""
    rest = title.removeprefix("Or ")
    return rest[:1].upper() + rest[1:]


def _unit(name: str, value: Any) -> str:
    from doctor.facts.catalogue import load_catalogue

    is_size = isinstance(value, (int, float)) and load_catalogue().type_of(name) == "size"
    return "bytes" if is_size else ""


def _of_which(finding: Finding, document: Diagnosis) -> str:
    """Of several deployments the one that a risk is about."""
    runs = document.runs if document.planned and len(document.runs) > 1 else []
    run = next((run for run in runs if run.id in finding.runs), None)
    return f"{engine_name(run)}, {run.source}:{run.first_line}" if run is not None else ""


def _held(place: MemoryEntry) -> str:
    from doctor.units import format_size

    parts = ", ".join(f"{format_size(part.bytes)} {part.kind}" for part in place.parts)
    return f"{place.device}: {parts}" + (f" of {format_size(place.free)}" if place.free is not None else "")
