"""The whole way, once through: paths -> sources -> hits -> runs -> facts -> memory -> findings -> document."""

from __future__ import annotations

import re
import signal as signals
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from doctor import __version__
from doctor.errors import UsageProblem
from doctor.facts.assemble import Given, assemble, main_runs, options_of
from doctor.read.sources import Source, collect
from doctor.rulebook.book import RuleBook, load_book
from doctor.scan.runs import ScannedSource, Timeline, build_timeline
from doctor.vocabulary.document import (
    Diagnosis,
    EngineEntry,
    Event,
    Problem,
    RunEntry,
    SettingEntry,
    SourceEntry,
)
from doctor.vocabulary.facts import Layer, Origin, Record

if TYPE_CHECKING:
    from doctor.facts.factset import FactSet
    from doctor.remedy.deployment import Deployment
    from doctor.scan.runs import Run
    from doctor.scan.scanner import Scan

Progress = Callable[[str, int, int | None], None]
HARDWARE_BYTES = 1024 * 1024
MAX_EVENTS = 40


@dataclass(slots=True)
class Request:
    """What the user asks for, beside the paths.

    Attributes:
        command: the command line of the engine, as typed.
        env_files, hardware_files: files to be read as such, whatever their names.
        exit: exit status (``137``) or signal (``SIGKILL``).
        run: ``last``, ``all`` or a run's number.
        rule_folders: further rule folders.
    """

    paths: Sequence[str] = ()
    command: str | None = None
    env_files: Sequence[str] = ()
    hardware_files: Sequence[str] = ()
    exit: str | None = None
    run: str = "last"
    rule_folders: Sequence[str] = ()
    workers: int | None = None
    progress: Progress | None = None
    full_scan: bool = False
    problems: list[Problem] = field(default_factory=list)


def analyze(
    paths: Iterable[str | Path],
    *,
    command: str | None = None,
    env: Iterable[str | Path] = (),
    hardware: Iterable[str | Path] = (),
    exit: str | int | None = None,  # noqa: A002 - named as the option is
    run: str = "last",
    rules: Iterable[str | Path] = (),
) -> Diagnosis:
    """Diagnoses logs, environment files and saved command output together.

    Args:
        paths: files and folders.
        command: the engine's command line, if the logs don't show it.
        env: environment files.
        hardware: saved output of nvidia-smi, numactl, free, ...
        exit: exit status or signal of the engine.
        run: ``last`` (each service's last run), ``all``, or a run's number.
        rules: further rule folders.

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
        )
    )


def analyze_request(request: Request, stdin: BinaryIO | None = None) -> Diagnosis:
    """`analyze` for the command line, which also has standard input and a progress display."""
    book = load_rules(request)
    collection = collect(request.paths, stdin)
    for subject, message, hint in collection.problems:
        request.problems.append(Problem(stage="read", subject=subject, message=message, hint=hint))
    given = Given()
    given.exit_status, given.exit_signal = parse_exit(request.exit)
    for path, size in collection.model_files:
        given.records.append(Record("file", {"path": path, "bytes": size}, Origin(path)))
    if request.command:
        _take_command(request.command, given)
    entries: list[SourceEntry] = []
    scanned: list[ScannedSource] = []
    declared: list[str] = []
    extra = [(path, kind) for kind, files in (("env", request.env_files), ("hardware", request.hardware_files)) for path in files]
    sources: list[tuple[Source, str | None]] = [(source, None) for source in collection.sources]
    for path, kind in extra:
        sources += [(source, kind) for source in collect([path]).sources]
    database = None
    for index, (source, forced) in enumerate(sources):
        entry = SourceEntry(path=source.path, node=source.node, bytes=source.size or 0)
        entries.append(entry)
        try:
            entry.kind = forced or _classify(source)  # type: ignore[assignment]
            if entry.kind in {"env", "config"}:
                declared.append(source.path)
            _take_text(source, entry.kind, given, request)
            if database is None:
                from doctor.scan.database import Database

                database = Database(book.patterns())
            scan = _scan(source, database, request)
        except OSError as error:
            request.problems.append(
                Problem(stage="read", subject=source.path, message=f"could not be read: {error.strerror or error}")
            )
            continue
        entry.bytes, entry.lines, entry.sampled = scan.bytes, scan.lines, scan.sampled
        _note_scan(source, scan, request)
        scanned.append(ScannedSource(index, source.path, source.node, entry.kind, scan))
    return _conclude(request, book, given, entries, scanned, declared)


def load_rules(request: Request) -> RuleBook:
    """The shipped rules and the folders that the user named; a broken named folder is an error."""
    folders = [Path(folder) for folder in request.rule_folders]
    for folder in folders:
        if not folder.is_dir():
            raise UsageProblem("no such rule folder", subject=str(folder), hint="--rules names a folder of rule files")
    book = load_book(folders)
    named = [mistake for mistake in book.mistakes if any(mistake.startswith(str(folder)) for folder in folders)]
    if named:
        raise UsageProblem(named[0], hint=f"{len(named)} mistake(s); `llmdoctor rules lint --rules FOLDER` lists them all")
    for mistake in book.mistakes:
        subject, _, message = mistake.partition(": ")
        request.problems.append(
            Problem(stage="rules", subject=subject, message=message, hint="this rule is left out; the others are used")
        )
    return book


def parse_exit(text: str | None) -> tuple[int | None, str | None]:
    """``"137"`` -> (137, None); ``"SIGKILL"``, ``"kill"``, ``"-9"`` -> (None, "SIGKILL").

    Raises:
        UsageProblem: neither a status nor a signal.
    """
    if text is None:
        return None, None
    word = text.strip()
    if re.fullmatch(r"\d{1,20}", word):
        return int(word), None
    try:
        if re.fullmatch(r"-\d{1,2}", word):
            return None, signals.Signals(-int(word)).name
        name = word.upper()
        return None, signals.Signals[name if name.startswith("SIG") else f"SIG{name}"].name
    except (ValueError, KeyError):
        raise UsageProblem(
            f"{text!r} is neither an exit status nor a signal", subject="--exit", hint="for example 137 or SIGKILL"
        ) from None


def _take_command(text: str, given: Given) -> None:
    from doctor.facts.config.argv import parse_command

    command = parse_command(text)
    if command is None:
        raise UsageProblem(
            "not a command line that can be read", subject="--command", hint="check the quotes; give it as one argument"
        )
    given.commands.append((command, Origin("--command", None, Layer.COMMAND_LINE)))


def _classify(source: Source) -> str:
    from doctor.facts.config.sniff import classify

    return classify(source.path, source.head)


def _take_text(source: Source, kind: str, given: Given, request: Request) -> None:
    """Saved output and environment files are small: they are read whole, once, beside the scan."""
    if source.size is not None and source.size > HARDWARE_BYTES:
        return
    with source.open() as stream:
        text = stream.read(HARDWARE_BYTES).decode("utf-8", errors="replace")
    if kind in {"env", "config"}:
        from doctor.facts.config.env import read_env

        env = read_env(text, source.path)
        given.env_files.append(env)
        problems = env.problems
    else:
        from doctor.facts.hardware import read_hardware

        reading = read_hardware(text, source.path)
        given.facts += reading.facts
        given.records += reading.records
        problems = reading.problems if kind == "hardware" else []
    for message in problems:
        request.problems.append(Problem(stage="facts", subject=source.path, message=message))


def _scan(source: Source, database: object, request: Request) -> Scan:
    from doctor.scan.scanner import scan

    def report(done: int) -> None:
        if request.progress is not None:
            request.progress(source.path, done, source.size)

    with source.open() as stream:
        return scan(stream, database, size=source.size, workers=request.workers, progress=report)  # type: ignore[arg-type]


def _note_scan(source: Source, scan: Scan, request: Request) -> None:
    if scan.bytes == 0:
        request.problems.append(
            Problem(stage="read", subject=source.path, message="the file is empty", hint="was the log redirected elsewhere?")
        )
    elif scan.binary:
        request.problems.append(
            Problem(stage="read", subject=source.path, message="looks binary: read as text as far as it goes")
        )
    for message in scan.problems:
        request.problems.append(Problem(stage="scan", subject=source.path, message=message))


def _conclude(
    request: Request,
    book: RuleBook,
    given: Given,
    entries: list[SourceEntry],
    scanned: list[ScannedSource],
    declared: list[str],
) -> Diagnosis:
    from doctor.diagnose.engine import Diagnostician, all_observations
    from doctor.diagnose.unexplained import unexplained
    from doctor.diagnose.verdict import sentence, verdict_of
    from doctor.memory.plan import derive, entries as memory_entries

    timeline = build_timeline(scanned, book)
    facts_of, node_facts = assemble(timeline, given, book)
    derivations = {}
    for run in timeline.runs:
        facts = facts_of[run.id]
        derived = derive(_resolver(facts), _collections(facts))
        derivations[run.id] = {derivation.name: derivation for derivation in derived}
        for derivation in derived:
            facts.put(derivation.name, derivation.value, "computed")
    doctor = Diagnostician(
        book,
        timeline,
        facts_of,
        node_facts,
        given,
        {run.id: _deployment(run, given, declared, book) for run in main_runs(timeline)},
        derivations,
        request.problems,
    )
    judgement = doctor.diagnose(request.run)
    document = Diagnosis(
        llmdoctor=__version__,
        verdict=verdict_of(judgement.outcomes, judgement.findings),
        sources=entries,
        runs=[run_entry(run, facts_of[run.id]) for run in timeline.runs],
        settings=[entry for run in main_runs(timeline) for entry in setting_entries(run, facts_of[run.id])],
        findings=judgement.findings,
        history=judgement.history,
        could_not_judge=judgement.could_not_judge,
        unexplained=unexplained(all_observations(timeline), judgement.explained),
        problems=request.problems,
    )
    for run in main_runs(timeline):
        facts = facts_of[run.id]
        for entry in memory_entries(_resolver(facts), _collections(facts)):
            entry.run = run.id
            document.memory.append(entry)
    document.summary = _summary(document, timeline, sentence)
    return document


def _summary(document: Diagnosis, timeline: Timeline, sentence: Callable[..., str]) -> str:
    root = next((finding for finding in document.findings if finding.role == "root_cause"), None)
    if root is not None:
        return root.summary
    judged = [run for run in timeline.runs if run.incident and not run.is_worker]
    if not judged:
        return "Nothing was recognised in the input."
    return sentence(judged[-1].engine, judged[-1].outcome) + "."


def _resolver(facts: FactSet) -> Callable[[str], object]:
    from doctor.vocabulary.facts import Unknown

    def resolve(name: str) -> object:
        value = facts.value(name)
        return Unknown(frozenset({name})) if value is None else value

    return resolve


def _collections(facts: FactSet) -> dict[str, list[Record]]:
    from doctor.facts.catalogue import load_catalogue

    return {kind: found for kind in load_catalogue().records if (found := facts.collection(kind)) is not None}


def _deployment(run: Run, given: Given, declared: list[str], book: RuleBook) -> Deployment:
    from doctor.facts.assemble import commands_for
    from doctor.remedy.deployment import Deployment, read_declared

    commands = commands_for(run, given, book)
    files = [file for path in declared if (file := read_declared(path)) is not None]
    words = tuple(commands[0][0].words) if commands else ()
    return Deployment(words, tuple(files), options_of(run, book))


def run_entry(run: Run, facts: FactSet) -> RunEntry:
    from doctor.diagnose.findings import fact_values

    return RunEntry(
        id=run.id,
        node=run.node,
        parent=run.parent.id if run.parent else None,
        incident=run.incident or None,
        engine=EngineEntry(
            name=run.engine,
            version=run.versions.get(run.engine or ""),
            product=run.product,
            lineage=[name for name in run.engines if name != run.engine],
        ),
        outcome=run.outcome,
        source=run.path,
        first_line=run.first_line,
        last_line=run.last_line,
        facts=fact_values(facts),
        events=[
            Event(line=marker.line, what=marker.means, text=marker.observation.line.text[:200])
            for marker in run.markers[:MAX_EVENTS]
        ],
    )


def setting_entries(run: Run, facts: FactSet) -> list[SettingEntry]:
    """Every setting of a run: what was declared, what is in effect, and which layer won."""
    from doctor.diagnose.findings import plain

    found = []
    for name in sorted(facts.names()):
        family, _, rest = name.partition(".")
        if family not in {"setting", "env"}:
            continue
        layers = facts.layers(name)
        declared = [fact for fact in layers if fact.origin.layer not in {Layer.EFFECTIVE, Layer.DEFAULT}]
        winner = layers[-1]
        if winner.origin.layer is Layer.DEFAULT:
            continue
        found.append(
            SettingEntry(
                name=rest if family == "setting" else name,
                declared=plain(declared[-1].value) if declared else None,
                effective=plain(winner.value) if winner.origin.layer is Layer.EFFECTIVE else None,
                origin=f"{winner.origin} ({winner.origin.layer})",
                run=run.id,
            )
        )
    return found
