"""The whole way, once through: paths -> hits -> runs -> facts -> memory -> findings -> document."""

from __future__ import annotations

import re
import signal as signals
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from doctor import __version__
from doctor.errors import UsageProblem
from doctor.facts.assemble import assemble, commands_for, is_of, options_of
from doctor.intake import Intake, Progress, take_in
from doctor.redact import Redactor
from doctor.rulebook.book import RuleBook, load_book
from doctor.scan.runs import build_timeline
from doctor.vocabulary.document import Diagnosis, Problem
from doctor.vocabulary.facts import ABSENT, Record, Unknown

if TYPE_CHECKING:
    from doctor.facts.factset import FactSet
    from doctor.memory.plan import Derivation
    from doctor.probe.document import Probe
    from doctor.read.services import Service
    from doctor.read.times import Period
    from doctor.remedy.deployment import Deployment
    from doctor.scan.runs import Run
    from doctor.settings import Choice
    from doctor.suppress import Suppression


@dataclass(slots=True)
class Request:
    """What the user asks for.

    Attributes:
        paths: files and folders; ``-`` is standard input.
        command: the command line of the engine, as typed.
        env_files, hardware_files: files to be read as such, whatever their names.
        exit: exit status (``137``) or signal (``SIGKILL``).
        run: ``last``, ``all`` or a run's number.
        rule_folders: further rules: folders, and names of installed packs.
        choice: which of all rules count, and how much.
        baseline: the file of accepted findings.
        services: journals, containers and pods to read by their platform's command.
        since, until: a period, as typed (``2h``, ``2026-11-20 09:00``).
        workers: threads for scanning; None: all cores.
        live: ask this machine; probe: what it said when it was asked before.
        model: the model that ran, for what its header says.
    """

    paths: Sequence[str] = ()
    command: str | None = None
    env_files: Sequence[str] = ()
    hardware_files: Sequence[str] = ()
    exit: str | None = None
    run: str = "last"
    rule_folders: Sequence[str] = ()
    choice: Choice | None = None
    baseline: str | None = None
    services: Sequence[Service] = ()
    since: str | None = None
    until: str | None = None
    workers: int | None = None
    progress: Progress | None = None
    live: bool = False
    probe: Probe | None = None
    model: str | None = None


def analyze(
    paths: Iterable[str | Path],
    *,
    command: str | None = None,
    env: Iterable[str | Path] = (),
    hardware: Iterable[str | Path] = (),
    exit: str | int | None = None,
    run: str = "last",
    rules: Iterable[str | Path] = (),
    model: str | Path | None = None,
) -> Diagnosis:
    """Diagnoses logs, environment files and saved command output together.

    Args:
        paths: files and folders.
        command: the engine's command line, if the logs don't show it.
        env: environment files.
        hardware: saved output of nvidia-smi, numactl, free, ...
        exit: exit status or signal of the engine.
        run: ``last`` (each service's last run), ``all``, or a run's number.
        rules: further rules: folders, and names of installed packs.
        model: the model that ran: a GGUF file or a Hugging Face folder, of which the headers are read.

    Raises:
        UsageProblem: no input could be opened, or a named rule folder does not load.
    """
    return analyze_request(
        Request(
            paths=[str(path) for path in paths],
            command=command,
            env_files=[str(path) for path in env],
            hardware_files=[str(path) for path in hardware],
            exit=None if exit is None else str(exit),
            run=run,
            rule_folders=[str(path) for path in rules],
            model=None if model is None else str(model),
        )
    )


def analyze_request(request: Request, stdin: BinaryIO | None = None) -> Diagnosis:
    """`analyze` for the command line, which also has standard input and a progress display."""
    return examine_request(request, stdin).document


def examine_request(request: Request, stdin: BinaryIO | None = None) -> Examined:
    """`analyze_request`, with what a remedy would change beside the document: `confirm` tries it."""
    ended = parse_exit(request.exit)
    book, mistakes = load_rules(request.rule_folders, request.choice)
    accepted = _accepted(request.baseline)
    intake = take_in(
        request.paths,
        book,
        command=request.command,
        env_files=request.env_files,
        hardware_files=request.hardware_files,
        services=request.services,
        period=_period(request.since, request.until),
        stdin=stdin,
        workers=request.workers,
        progress=request.progress,
        ended=ended,
        live=request.live,
        probe=request.probe,
        model=request.model,
    )
    intake.problems[:0] = mistakes
    return examine(intake, book, request.run, accepted)


def _accepted(baseline: str | None) -> list[Suppression]:
    if baseline is None:
        return []
    from doctor.suppress import read_baseline

    return read_baseline(baseline)


def _period(since: str | None, until: str | None) -> Period | None:
    if since is None and until is None:
        return None
    from doctor.read.times import parse_period

    return parse_period(since, until)


def load_rules(rule_folders: Sequence[str] = (), choice: Choice | None = None) -> tuple[RuleBook, list[Problem]]:
    """The shipped rules, those of named folders and packs, and the shipped files that had to be left out.

    Args:
        rule_folders: folders of rule files, and names of installed packs.
        choice: which of all these rules count, and how much.

    Raises:
        UsageProblem: a named folder or pack does not exist or holds a broken rule; the choice names no rule.
    """
    folders: list[Path] = []
    if rule_folders:
        from doctor.rulebook.packs import named_folders

        folders = named_folders(rule_folders)
    book = load_book(folders)
    problems = []
    if folders:
        from doctor.rulebook.packs import lint_problems, refuse_broken

        refuse_broken(book, folders)
        problems += lint_problems(book, folders)
    for mistake in book.mistakes:
        subject, _, message = mistake.partition(": ")
        hint = "this rule file is left out; the others are used"
        problems.append(Problem(stage="rules", subject=subject, message=message, hint=hint))
    if choice:
        from doctor.settings.choose import choose

        choose(book, choice)
    return book, problems


def parse_exit(text: str | None) -> tuple[int | None, str | None]:
    """``"137"`` -> (137, None); ``"SIGKILL"``, ``"kill"``, ``"-9"`` -> (None, "SIGKILL").

    Windows' statuses, as ``0xC0000005`` or ``-1073741819``, are read as the unsigned number.

    Raises:
        UsageProblem: neither a status nor a signal.
    """
    if text is None:
        return None, None
    word = text.strip()
    if re.fullmatch(r"\d{1,20}", word):
        return int(word), None
    if re.fullmatch(r"0[xX][0-9a-fA-F]{1,8}", word):
        return int(word, 16), None
    if re.fullmatch(r"-\d{3,10}", word) and int(word) >= -(1 << 31):
        return int(word) & 0xFFFFFFFF, None
    try:
        if re.fullmatch(r"-\d{1,2}", word):
            return None, signals.Signals(-int(word)).name
        name = word.upper()
        return None, signals.Signals[name if name.startswith("SIG") else f"SIG{name}"].name
    except (ValueError, KeyError):
        raise UsageProblem(
            f"{text!r} is neither an exit status nor a signal", subject="--exit", hint="for example 137 or SIGKILL"
        ) from None


@dataclass(slots=True)
class Examined:
    """A diagnosis, what is deployed of each judged run (by its id), and the rules that it was made with."""

    document: Diagnosis
    deployments: dict[str, Deployment]
    book: RuleBook


def conclude(intake: Intake, book: RuleBook, which: str = "last") -> Diagnosis:
    """The diagnosis of what was taken in.

    Raises:
        UsageProblem: there is no run of the number that was asked for.
    """
    return examine(intake, book, which).document


def examine(intake: Intake, book: RuleBook, which: str = "last", accepted: Sequence[Suppression] = ()) -> Examined:
    """`conclude`, with the deployments that its remedies are about.

    Raises:
        UsageProblem: there is no run of the number that was asked for.
    """
    from doctor.diagnose.engine import Diagnostician, all_observations
    from doctor.diagnose.incidents import build_incidents, main_runs
    from doctor.diagnose.summary import run_entry, setting_entries, summarise
    from doctor.diagnose.unexplained import unexplained
    from doctor.diagnose.verdict import verdict_of

    timeline = build_timeline(intake.scanned, book)
    if which.isdecimal() and all(run.id != f"run-{which}" for run in timeline.runs):
        known = f"its runs are 1 to {len(timeline.runs)}" if timeline.runs else "it has none"
        raise UsageProblem("there is no such run in the input", subject=f"--run {which}", hint=known)
    facts_of, node_facts = assemble(timeline, intake.given, book)
    for subject, message, hint in intake.given.troubles:
        intake.trouble("facts", subject, message, hint)
    incidents = build_incidents(timeline, which)
    judged = main_runs(timeline, incidents)
    derivations: dict[str, dict[str, Derivation]] = {}
    for run in timeline.runs:
        facts_of[run.id].computing = partial(_derive_into, derivations, run.id, facts_of[run.id])
    deployments = {run.id: _deployment(run, facts_of[run.id], intake, book) for run in judged}
    diagnostician = Diagnostician(
        book,
        timeline,
        facts_of,
        node_facts,
        intake.given,
        deployments,
        derivations,
        intake.problems,
    )
    judgement = diagnostician.diagnose(incidents)
    for run in judged:
        facts_of[run.id].compute()
    document = Diagnosis(
        llmdoctor=__version__,
        verdict=verdict_of(judgement.outcomes, judgement.findings),
        sources=intake.entries,
        runs=[run_entry(run, facts_of[run.id]) for run in timeline.runs],
        settings=[entry for run in judged for entry in setting_entries(run, facts_of[run.id])],
        findings=judgement.findings,
        history=judgement.history,
        judged=sorted(judgement.judged),
        could_not_judge=judgement.could_not_judge,
        unexplained=unexplained(all_observations(timeline), judgement.explained, timeline.tracebacks, judgement.known),
        problems=judgement.problems,
    )
    for run in judged:
        if not derivations.get(run.id):
            continue
        from doctor.memory.plan import assess

        memory = assess(_resolver(facts_of[run.id]), _collections(facts_of[run.id]))
        document.memory += memory.entries(run.id)
        for message in memory.problems:
            intake.trouble("memory", run.path, message, "the engine's own figure counts")
    document.summary = summarise(document, timeline)
    if intake.lines:  # unpacked containers' and journals' logs: the numbers of the lines as they lie in the file
        from doctor.read.lines import restore

        restore(document, intake.lines)
    if accepted or intake.config:
        from doctor.suppress import suppress

        suppress(document, intake.config, accepted, known=book.rules)
    redactor = Redactor()
    for file in intake.config:
        redactor.learn(file.text)
    redactor.data(document)
    return Examined(document, deployments, book)


def _derive_into(derivations: dict[str, dict[str, Derivation]], run: str, facts: FactSet) -> None:
    derivations[run] = add_derived(facts)


def add_derived(facts: FactSet, *, by_rank: bool = False) -> dict[str, Derivation]:
    """Adds the ``memory.*`` facts that can be computed, and says how each came about.

    Args:
        by_rank: see ``doctor.memory.derive.derivations``.
    """
    if not _has_sizes(facts):
        return {}
    from doctor.memory.plan import derive

    derived = derive(_resolver(facts), _collections(facts), by_rank=by_rank)
    for derivation in derived:
        facts.put(derivation.name, derivation.value, "computed")
    return {derivation.name: derivation for derivation in derived}


def _has_sizes(facts: FactSet) -> bool:
    """Whether anything is known that memory could be computed from: without it the arithmetic isn't even imported."""
    return any(facts.collection(kind) for kind in ("buffer", "file")) or any(
        name.startswith("model.") for name in facts.all_names()
    )


def _resolver(facts: FactSet) -> Callable[[str], object]:
    def resolve(name: str) -> object:
        value = facts.value(name)
        return Unknown(frozenset({name})) if value is None else value

    return resolve


def _collections(facts: FactSet) -> dict[str, list[Record]]:
    from doctor.facts.catalogue import load_catalogue

    return {kind: found for kind in load_catalogue().records if (found := facts.collection(kind)) is not None}


def _deployment(run: Run, facts: FactSet, intake: Intake, book: RuleBook) -> Deployment:
    from doctor.remedy.deployment import Deployment

    given = intake.given
    commands = commands_for(run, given, book)
    version = run.versions.get(run.engine or "")
    return Deployment(
        tuple(commands[0][0].words) if commands else (),
        next(iter(given.chosen.get(run.id, [])), None),
        {file.path: file for file in intake.config},
        [env.path for env in given.env_files if given.concerns(env.path, run.node)],
        options := [option for option in options_of(run, book) if is_of(option, version)],
        book.programs(),
        printed={
            option.instead["where"]
            for option in options
            if option.instead is not None and facts.value(option.instead["where"]) not in {None, ABSENT}
        },
    )
