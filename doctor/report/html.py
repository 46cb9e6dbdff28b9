"""The diagnosis as one HTML file that needs nothing else: no network, no other file, no script to be read.

Everything from outside is escaped by the templates (autoescape, sandbox), after control and bidi characters were
replaced; the file's own Content-Security-Policy names its style and its script by their hashes, so that nothing else
could run even if something slipped through.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from doctor.facts.catalogue import load_catalogue
from doctor.report import outline, pictures, trials
from doctor.report.sums import quantity, short_name, written
from doctor.resources import folder
from doctor.units import format_size, format_size_both
from doctor.vocabulary.document import Diagnosis, EvidenceLine, Finding, RemedyEntry, RunEntry, SettingEntry

if TYPE_CHECKING:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

# What a report of thousands of findings shows in full: the gravest, as far as these many characters go.
FINDING_CHARACTERS = 500_000
RUN_CHARACTERS = 500_000
_MOST_LINES = 12
_LONGEST_LINE = 1200
_LONGEST_NEIGHBOUR = 300
_MOST_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a log; ``number`` 0 stands for lines left out."""

    number: int
    text: str
    proves: bool


@dataclass(frozen=True, slots=True)
class Excerpt:
    path: str
    rows: list[Row]


@dataclass(frozen=True, slots=True)
class Sum:
    name: str
    words: str
    numbers: str
    result: str


@dataclass(slots=True)
class FindingView:
    """A finding with its anchor; a ``brief`` one is shown without context, explanation and other remedies."""

    finding: Finding
    anchor: str
    brief: bool = False
    excerpts: list[Excerpt] = field(default_factory=list)
    left_out: int = 0
    sums: list[Sum] = field(default_factory=list)
    derived: list[Sum] = field(default_factory=list)
    follows: list[FindingView] = field(default_factory=list)
    node: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """A cause with its change; ``also`` are findings of other runs with the same cause and the same change."""

    view: FindingView
    also: list[FindingView] = field(default_factory=list)


@dataclass(slots=True)
class RunView:
    run: RunEntry
    anchor: str
    name: str
    ended: str
    findings: list[FindingView]
    rank: int = 0
    timeline: pictures.Timeline | None = None
    memory: list[pictures.Device] = field(default_factory=list)
    settings: list[SettingEntry] = field(default_factory=list)
    facts: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def is_detailed(self) -> bool:
        return self.timeline is not None


def render_html(document: Diagnosis) -> str:
    """The whole report, as text of one file."""
    style, script = asset("style.css"), asset("script.js")
    findings = _finding_views(document)
    runs = _run_views(document, findings)
    mains = [view for view in findings if view.finding.role in outline.MAIN_ROLES]
    page = environment().get_template("report.html")
    return page.render(
        document=document,
        headline=outline.headline(document),
        answers=_answers(mains),
        mains=mains,
        outcomes=Counter(view.ended for view in runs if view.run.incident).most_common(6),
        others=[
            (title, [view for view in findings if view.finding.role == role])
            for role, title in outline.ROLE_TITLES.items()
            if role not in outline.MAIN_ROLES and any(view.finding.role == role for view in findings)
        ],
        findings=findings,
        runs=runs,
        detailed=sorted((view for view in runs if view.is_detailed), key=lambda view: view.rank),
        nodes=sorted({run.node for run in document.runs}),
        is_large=len(document.runs) > 8 or len(document.findings) > 12 or len({run.node for run in document.runs}) > 1,
        confirmations=_confirmations(findings),
        problems=_problems(document),
        suppressed=document.suppressed,
        style=Verbatim(style),
        script=Verbatim(script),
        policy=policy(style, script),
        most_rows=_MOST_ROWS,
    )


class Verbatim(str):
    """Our own style or script, which must stand in the file byte by byte as it was hashed."""

    __slots__ = ()

    def __html__(self) -> str:
        return str(self)


def policy(style: str, script: str) -> str:
    def source(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    return (
        f"default-src 'none'; style-src {source(style)}; script-src {source(script)}; base-uri 'none'; "
        "form-action 'none'; require-trusted-types-for 'script'"
    )


@cache
def asset(name: str) -> str:
    return (folder("reports") / "html" / name).read_text(encoding="utf-8")


@cache
def environment() -> ImmutableSandboxedEnvironment:
    from jinja2 import FileSystemLoader, StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    made = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(folder("reports") / "html"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_harmless,
    )
    made.filters.update(
        size=format_size,
        sizes=format_size_both,
        slug=pictures.slug,
        count=outline.count,
        to_copy=outline.to_copy,
        words=outline.words_of,
        notes=outline.notes_of,
        choice=_as_choice,
        cut=_cut,
        value=_value,
        trial_rows=trials.rows,
        trial_effect=trials.effect,
        lines=_diff_lines,
        accepted=outline.accepted,
    )
    made.globals.update(removes=outline.REMOVES)
    made.tests["web"] = lambda url: str(url).startswith(("https://", "http://"))
    return made


def _harmless(value: Any) -> Any:
    """Of every expression of a template: what is no finished markup loses control and bidi characters."""
    return value if hasattr(value, "__html__") or not isinstance(value, str) else outline.shown(value)


def _cut(text: str, most: int = 200) -> str:
    return text if len(text) <= most else f"{text[:most]} …"


def _diff_lines(diff: str) -> list[tuple[str, str]]:
    """Each line of a diff with its look: add, del, file or same."""
    looks = (("--- ", "file"), ("+++ ", "file"), ("@@ ", "file"), ("+", "add"), ("-", "del"))
    begins_with_files = diff.startswith("--- ")
    found = []
    for number, line in enumerate(diff.splitlines()):
        look = next((look for start, look in looks if line.startswith(start)), "same")
        if look == "file" and not (begins_with_files and (number < 2 or line.startswith("@@ "))):
            look = {"-": "del", "+": "add"}.get(line[:1], "same")
        found.append((look, line))
    return found


def _as_choice(title: str) -> str:
    rest = title.removeprefix("Or ")
    return rest[:1].upper() + rest[1:]


def _unit(name: str, value: Any) -> str:
    is_size = isinstance(value, (int, float)) and load_catalogue().type_of(name) == "size"
    return "bytes" if is_size else ""


def _value(value: Any, name: str = "") -> str:
    """A fact's or a setting's value for a person."""
    if value is None:
        return ""
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    return _cut(quantity(value, _unit(name, value)), 400)


# --- findings ---------------------------------------------------------------------------------------------------------


def _finding_views(document: Diagnosis) -> list[FindingView]:
    """All findings, with anchors that stay: the rule's name, and a number for its second finding."""
    seen: Counter[str] = Counter()
    views, room = [], FINDING_CHARACTERS
    nodes = {run.id: run.node for run in document.runs}
    for finding in document.findings:
        rule = pictures.slug(finding.rule_id)
        seen[rule] += 1
        anchor = f"finding-{rule}" + (f"-{seen[rule]}" if seen[rule] > 1 else "")
        room -= _characters(finding)
        view = FindingView(finding, anchor, brief=room < 0)
        view.node = finding.node or next((nodes[run] for run in finding.runs if run in nodes), "")
        if not view.brief:
            view.excerpts = _excerpts(finding.evidence[:_MOST_LINES])
            view.left_out = max(len(finding.evidence) - _MOST_LINES, 0)
            view.sums, view.derived = _sums(finding)
        views.append(view)
    by_id = {view.finding.id: view for view in views}
    for view in views:
        view.follows = [by_id[name] for name in view.finding.explains if name in by_id]
    return views


def _answers(mains: Sequence[FindingView]) -> list[Answer]:
    """What is wrong, each once, however many machines it hit."""
    found: dict[tuple[str, str], Answer] = {}
    for view in mains:
        remedies = view.finding.remedies
        key = (view.finding.rule_id, remedies[0].title if remedies else "")
        if key in found:
            found[key].also.append(view)
        else:
            found[key] = Answer(view)
    return list(found.values())


def _characters(finding: Finding) -> int:
    """About how long its full card gets."""
    lines = finding.evidence[:_MOST_LINES]
    neighbours = sum(min(len(text), _LONGEST_NEIGHBOUR) + 60 for line in lines for text in (*line.before, *line.after))
    proof = sum(min(len(line.text), _LONGEST_LINE) + 60 for line in lines)
    remedies = sum(len(remedy.title) + len(remedy.diff or "") * 2 + 600 for remedy in finding.remedies)
    return 2000 + len(finding.summary) + len(finding.explanation) + neighbours + proof + remedies


def _excerpts(lines: Sequence[EvidenceLine]) -> list[Excerpt]:
    """Evidence in its place: near lines as one piece of the log, each line once."""
    found = []
    for path in dict.fromkeys(line.path for line in lines):
        rows: dict[int, Row] = {}
        for line in (line for line in lines if line.path == path):
            around = [*enumerate(line.before, line.line - len(line.before)), *enumerate(line.after, line.line + 1)]
            for number, text in around:
                rows.setdefault(number, Row(number, _cut(text, _LONGEST_NEIGHBOUR), False))
            rows[line.line] = Row(line.line, _cut(line.text, _LONGEST_LINE), True)
        found.append(Excerpt(path, list(_with_gaps(row for _number, row in sorted(rows.items())))))
    return found


def _with_gaps(rows: Iterable[Row]) -> Iterable[Row]:
    previous = None
    for row in rows:
        if previous is not None and row.number > previous + 1:
            yield Row(0, "", False)
        yield row
        previous = row.number


def _sums(finding: Finding) -> tuple[list[Sum], list[Sum]]:
    """The arithmetic that can be written as plain sums, and all other computed figures."""
    units = {item.name: item.unit for item in finding.computed}

    def unit_of(name: str, value: Any) -> str:
        return units.get(name) or _unit(name, value)

    plain, rest = [], []
    for item in finding.computed:
        result = quantity(item.value, item.unit)
        sum_ = written(item, unit_of)
        if sum_:
            plain.append(Sum(short_name(item.name), *sum_, result))
        else:
            inputs = ", ".join(
                f"{name} = {quantity(value, unit_of(name, value))}" for name, value in item.inputs.items()
            )
            rest.append(Sum(item.name, item.expression, inputs, result))
    return plain, rest


def _confirmations(findings: Sequence[FindingView]) -> list[tuple[FindingView, RemedyEntry]]:
    return [(view, remedy) for view in findings for remedy in view.finding.remedies if remedy.confirmation]


def _problems(document: Diagnosis) -> list[tuple[str, str, list[str]]]:
    """What could not be read, grouped: the same trouble with forty files is said once."""
    groups: dict[tuple[str, str], list[str]] = {}
    for problem in document.problems:
        groups.setdefault((problem.message, problem.hint), []).append(problem.subject)
    return [(message, hint, subjects) for (message, hint), subjects in groups.items()]


# --- runs -------------------------------------------------------------------------------------------------------------


def _run_views(document: Diagnosis, findings: Sequence[FindingView]) -> list[RunView]:
    """Every run; timeline, memory, settings and facts of those that matter most, as far as there is room."""
    found: dict[str, list[FindingView]] = {}
    for item in findings:
        for name in item.finding.runs:
            found.setdefault(name, []).append(item)
    views = [
        RunView(run, pictures.slug(run.id), outline.engine_name(run), outline.ended(run), found.get(run.id, []))
        for run in document.runs
    ]
    head = outline.headline_run(document)
    proof: dict[str, list[tuple[int, str]]] = {}  # of a path: the lines that prove what the verdict rests on
    for item in findings:
        if item.finding.role in outline.MAIN_ROLES:
            for line in item.finding.evidence:
                proof.setdefault(line.path, []).append((line.line, line.text))
    settings: dict[str | None, list[SettingEntry]] = {}
    for entry in document.settings:
        settings.setdefault(entry.run, []).append(entry)
    memory: dict[str | None, list[pictures.Device]] = {}
    for device in document.memory:
        memory.setdefault(device.run, []).append(pictures.waterfall(device))

    def weight(view: RunView) -> tuple[bool, bool, bool]:
        mains = any(item.finding.role in outline.MAIN_ROLES for item in view.findings)
        return view.run is not head, not mains, not view.findings and not view.run.incident

    room = RUN_CHARACTERS
    for rank, view in enumerate(sorted(views, key=weight)):
        room -= 1500 + 150 * len(view.run.facts) + sum(len(str(value)) for value in view.run.facts.values())
        room -= sum(len(event.text) + 150 for event in view.run.events) + 400 * len(settings.get(view.run.id, []))
        if room < 0:
            break
        own = [
            (line, text)
            for line, text in proof.get(view.run.source, [])
            if view.findings and view.run.first_line <= line <= view.run.last_line
        ]
        view.rank = rank
        view.timeline = pictures.timeline(view.run, own)
        view.memory = memory.get(view.run.id, [])
        view.settings = settings.get(view.run.id, [])
        view.facts = _facts(view.run)
    return views


def _facts(run: RunEntry) -> list[tuple[str, str, str]]:
    """Name, value and origin of every fact; of one that was worked out, that it was."""
    return [(name, _value(value, name), run.origins.get(name, "")) for name, value in run.facts.items()]
