"""Scores the rule book: does it name the right family, quote a line that proves it, and leave healthy logs in peace?

Two columns. *Seen* are the fixtures that rules were written from (`fixtures/`, with `<case>.expect.yaml` beside them).
*Unseen* are the cases in `unseen/`, written without sight of the rules and never edited to pass, in batches:
the number to quote is what a batch scored at first sight, before any rule was changed for it (`first/<batch>.yaml`,
written once); what the same cases score later only says which of them have been answered since. Exits with 1 when a
healthy case raises a root cause.

    python benchmarks/accuracy/score.py                       the scoreboard
    python benchmarks/accuracy/score.py -o board.md           and the same as Markdown, with every miss
    python benchmarks/accuracy/score.py --only unseen         one column
    python benchmarks/accuracy/score.py --first 3             a new batch: its first result, kept
"""

from __future__ import annotations

import argparse
import datetime
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from doctor import __version__, analyze
from doctor.vocabulary.document import Diagnosis, Finding

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
FIRST = HERE / "first"
COLUMNS = ("seen", "unseen")


@dataclass(slots=True)
class Case:
    """One input and what is right about it.

    Attributes:
        families: the family of the cause first, then those that an expert would accept too.
        lines: file name and line (from 1) that prove the cause; texts: a part of such a line instead.
        batch: of unseen cases; 0 for the others.
        notes: files of the folder that the program must not see.
    """

    name: str
    column: str
    engine: str
    folder: Path
    healthy: bool
    families: list[str] = field(default_factory=list)
    lines: set[tuple[str, int]] = field(default_factory=set)
    texts: list[str] = field(default_factory=list)
    cause: str = ""
    exit: str | int | None = None
    command: str | None = None
    notes: tuple[str, ...] = ("case.yaml", "expect.yaml", "made.yaml")
    batch: int = 0


@dataclass(slots=True)
class Score:
    """What was said about a case. `proof` is None where the case names no line."""

    case: Case
    seconds: float
    verdict: str = ""
    rule: str | None = None
    family: str | None = None
    title: str = ""
    alarms: list[str] = field(default_factory=list)
    proof: bool | None = None
    error: str = ""

    @property
    def right(self) -> bool:
        return self.family is not None and self.family in self.case.families

    @property
    def exact(self) -> bool:
        return self.family is not None and self.family == self.case.families[0]

    @property
    def silent(self) -> bool:
        return self.rule is None


def unseen_cases(folder: Path = HERE / "unseen") -> Iterator[Case]:
    """The cases with a verdict file, `case.yaml` (its keys: `unseen/README.md`)."""
    for file in sorted(folder.glob("*/case.yaml")):
        verdict = yaml.safe_load(file.read_text(encoding="utf-8"))
        yield Case(
            name=file.parent.name,
            column="unseen",
            engine=verdict["engine"],
            folder=file.parent,
            healthy=verdict["healthy"],
            families=[verdict["family"], *verdict.get("acceptable", [])],
            lines={(entry["file"], entry["line"]) for entry in verdict.get("evidence", [])},
            cause=verdict["cause"],
            exit=verdict.get("exit"),
            batch=verdict.get("batch", 1),
        )


def seen_cases(folder: Path = ROOT / "fixtures") -> Iterator[Case]:
    """The fixtures that expect a root cause of a family, and those that must be healthy."""
    for file in sorted(folder.rglob("*expect.yaml")):
        beside = file.name != "expect.yaml"
        case = file.with_name(file.name.removesuffix(".expect.yaml")) if beside else file.parent
        expect: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
        area = case.relative_to(folder).parts[0]
        healthy = area == "healthy"
        if not healthy and not (expect.get("root_cause") and expect.get("family")):
            continue
        yield Case(
            name=str(case.relative_to(folder)),
            column="seen",
            engine=area,
            folder=case,
            healthy=healthy,
            families=[] if healthy else [expect["family"]],
            texts=expect.get("evidence") or [],
            cause=str(expect.get("root_cause") or ""),
            exit=expect.get("exit"),
            command=expect.get("command"),
        )


def score(case: Case) -> Score:
    """Diagnoses a copy of the case that holds only what a user would have."""
    with tempfile.TemporaryDirectory() as box:
        inputs = Path(box) / "input"
        shutil.copytree(case.folder, inputs, ignore=shutil.ignore_patterns(*case.notes))
        began = time.perf_counter()
        try:
            document = analyze([inputs], command=case.command, exit=case.exit)
        except Exception as error:  # a crash is a result too: it must not end the scoring
            return Score(case, time.perf_counter() - began, error=f"{type(error).__name__}: {error}")
        return judge(case, document, time.perf_counter() - began)


def warm(cases: list[Case]) -> None:
    """The first diagnosis of a process loads the rule book; it is not timed."""
    for case in cases:
        score(case)


def judge(case: Case, document: Diagnosis, seconds: float) -> Score:
    roots = [finding for finding in document.findings if finding.role == "root_cause"]
    result = Score(case, seconds, document.verdict, alarms=[finding.rule_id for finding in roots])
    if roots:
        result.rule, result.family, result.title = roots[0].rule_id, roots[0].family, roots[0].title
    if case.lines or case.texts:
        result.proof = bool(roots) and proven(case, roots[0])
    return result


def proven(case: Case, finding: Finding) -> bool:
    """Whether one of the finding's lines is one that proves the cause."""
    for evidence in finding.evidence:
        if (Path(evidence.path).name, evidence.line) in case.lines:
            return True
        if any(text in evidence.text for text in case.texts):
            return True
    return False


def share(part: int, whole: int) -> str:
    return f"{part}/{whole} ({100 * part / whole:.0f} %)" if whole else "-"


def count(scores: list[Score]) -> dict[str, list[int]]:
    """Family right, exactly the named family, a proof quoted, silent (of the failing); alarms (of the healthy)."""
    failing = [entry for entry in scores if not entry.case.healthy]
    healthy = [entry for entry in scores if entry.case.healthy]
    shown = [entry for entry in failing if entry.proof is not None]
    return {
        "right": [sum(entry.right for entry in failing), len(failing)],
        "exact": [sum(entry.exact for entry in failing), len(failing)],
        "proof": [sum(bool(entry.proof) for entry in shown), len(shown)],
        "silent": [sum(entry.silent for entry in failing), len(failing)],
        "alarms": [sum(bool(entry.alarms) for entry in healthy), len(healthy)],
    }


def row(scores: list[Score]) -> list[str]:
    return [share(part, whole) for part, whole in count(scores).values()]


HEAD = ["family right", "exactly", "evidence right", "silent", "false alarms on healthy"]


def table(first: str, rows: list[list[str]], head: list[str]) -> list[str]:
    lines = [f"| {' | '.join([first, *head])} |", f"|{' --- |' * (len(head) + 1)}"]
    return lines + [f"| {' | '.join(cells)} |" for cells in rows]


def groups(scores: list[Score], key: Callable[[Score], str]) -> list[list[str]]:
    """One row a group: family right and evidence right in each column, and healthy runs with alarms."""
    rows = []
    for name in sorted({key(entry) for entry in scores}):
        cells = [name]
        for column in COLUMNS:
            figures = row([entry for entry in scores if key(entry) == name and entry.case.column == column])
            cells += [figures[0], figures[2], figures[4]]
        rows.append(cells)
    return rows


def first_results() -> dict[int, dict[str, Any]]:
    """What each batch scored at first sight."""
    return {int(file.stem): yaml.safe_load(file.read_text(encoding="utf-8")) for file in sorted(FIRST.glob("*.yaml"))}


def keep_first(scores: list[Score], batch: int, commit: str) -> None:
    """Writes a batch's first result. Raises FileExistsError: it has one, and that one stays."""
    own = [entry for entry in scores if entry.case.batch == batch]
    engines = sorted({entry.case.engine for entry in own})
    result = {
        "date": datetime.date.today().isoformat(),
        "commit": commit,
        "figures": count(own),
        "engines": {name: count([entry for entry in own if entry.case.engine == name]) for name in engines},
        "missed": {
            entry.case.name: f"{entry.rule or 'nothing'} ({entry.family or entry.verdict})"
            for entry in own
            if (entry.alarms if entry.case.healthy else not entry.right)
        },
    }
    FIRST.mkdir(exist_ok=True)
    with (FIRST / f"{batch}.yaml").open("x", encoding="utf-8") as file:
        file.write("# What this batch scored before any rule was changed for it; written once, never edited.\n")
        yaml.safe_dump(result, file, sort_keys=False, width=120, default_flow_style=None)


def firsts(scores: list[Score]) -> list[str]:
    """Each batch at first sight, and the same cases today."""
    rows = []
    for batch, result in first_results().items():
        figures = [share(*figure) for figure in result["figures"].values()]
        rows.append([f"{batch} at first sight ({result['date']}, {result['commit'][:12]})", *figures])
        today = [entry for entry in scores if entry.case.batch == batch]
        if today:
            rows.append([f"{batch} today", *row(today)])
    return ["## Unseen, batch by batch", "", *table("batch", rows, HEAD), ""] if rows else []


def family_of(entry: Score) -> str:
    return "(healthy)" if entry.case.healthy else entry.case.families[0]


def board(scores: list[Score], commit: str) -> str:
    """The scoreboard as Markdown."""
    lines = [
        "# Accuracy",
        "",
        f"{datetime.date.today().isoformat()}, llmdoctor {__version__}, commit {commit}, "
        f"Python {platform.python_version()}.",
        "",
        "*Seen*: fixtures that rules were written from. *Unseen*: cases by somebody who had not seen the rules. A",
        "batch counts as it scored *at first sight*, before any rule was changed for it. *Family right* counts the",
        "families that an expert would accept too, *exactly* only the one that the case names. *Silent*: a failing",
        "case without a root cause. *Evidence right*: the root cause quotes a line that proves the cause.",
        "",
    ]
    lines += firsts(scores)
    columns = [column for column in COLUMNS if any(entry.case.column == column for entry in scores)]
    lines += ["## Today", ""]
    overall = []
    for column in columns:
        own = [entry for entry in scores if entry.case.column == column]
        times = sorted(entry.seconds for entry in own)
        late = times[min(len(times) - 1, int(len(times) * 0.95))]
        overall.append([column, *row(own), f"{statistics.median(times):.2f} s", f"{late:.2f} s"])
    lines += table("column", overall, [*HEAD, "time a case, median", "95 % under"])
    head = [
        f"{column}: {what}" for column in COLUMNS for what in ("family right", "evidence right", "alarms on healthy")
    ]
    lines += ["", "## By engine", "", *table("engine", groups(scores, lambda entry: entry.case.engine), head)]
    lines += ["", "## By family", "", *table("family", groups(scores, family_of), head)]
    for column in columns:
        lines += misses([entry for entry in scores if entry.case.column == column], column)
    return "\n".join(lines) + "\n"


def misses(scores: list[Score], column: str) -> list[str]:
    """Every healthy case with an alarm, every failing case with another family, without proof or with a crash."""
    rows = []
    for entry in scores:
        said = f"`{entry.rule}` ({entry.family})" if entry.rule else f"nothing, verdict {entry.verdict}"
        if entry.error:
            said = f"crashed: {entry.error}"
        if entry.case.healthy and (entry.alarms or entry.error):
            rows.append([entry.case.name, "false alarm", said, "healthy", entry.case.cause])
        elif not entry.case.healthy and not entry.right:
            kind = "silent" if entry.silent else "wrong family"
            rows.append([entry.case.name, kind, said, entry.case.families[0], entry.case.cause])
        elif not entry.case.healthy and entry.proof is False:
            rows.append([entry.case.name, "other evidence", said, entry.case.families[0], entry.case.cause])
    rows.sort(key=lambda cells: (["false alarm", "wrong family", "silent", "other evidence"].index(cells[1]), cells[0]))
    if not rows:
        return []
    cells = [[text.replace("|", "\\|") for text in line] for line in rows]
    return ["", f"## What {column} missed", "", *table("case", cells, ["", "it said", "right is", "cause"])]


def state_of(root: Path = ROOT) -> str:
    """The commit, and whether the tree differs from it."""
    try:
        commit = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--abbrev=12", "--dirty"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit.stdout.strip()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", choices=COLUMNS, help="one column")
    parser.add_argument("-o", "--output", type=Path, help="write the scoreboard with every miss as Markdown")
    parser.add_argument("--first", type=int, metavar="BATCH", help="keep this as the first result of a new batch")
    parser.add_argument("--commit", help="what to name as the commit, for a tree without git")
    options = parser.parse_args(arguments)
    if options.first and (FIRST / f"{options.first}.yaml").exists():
        parser.error(f"batch {options.first} has a first result already")
    cases: list[Case] = []
    if options.only != "unseen" and not options.first:
        cases += seen_cases()
    if options.only != "seen":
        cases += unseen_cases()
    if options.first:
        cases = [case for case in cases if case.batch == options.first]
    with ProcessPoolExecutor(initializer=warm, initargs=(cases[:1],)) as workers:
        scores = list(workers.map(score, cases, chunksize=4))
    commit = options.commit or state_of()
    if options.first:
        keep_first(scores, options.first, commit)
    text = board(scores, commit)
    print(text)
    if options.output:
        options.output.write_text(text, encoding="utf-8")
    return 1 if any(entry.case.healthy and (entry.alarms or entry.error) for entry in scores) else 0


if __name__ == "__main__":
    sys.exit(main())
