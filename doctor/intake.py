"""Takes in what the user named: every source read and scanned once, saved output and settings turned into facts.

Nothing is judged here.
"""

from __future__ import annotations

import io
import signal as signals
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, BinaryIO

from doctor.errors import UsageProblem
from doctor.facts.assemble import Given
from doctor.read.nodes import UNPLACED
from doctor.read.source import HEAD_BYTES
from doctor.read.sources import Collection, Source, collect
from doctor.scan.runs import ScannedSource
from doctor.vocabulary.document import Problem, SourceEntry
from doctor.vocabulary.facts import Layer, Origin, Record

if TYPE_CHECKING:
    from doctor.facts.config.places import Text
    from doctor.probe.document import Probe
    from doctor.read.ended import Ended
    from doctor.read.lines import LineMap
    from doctor.read.services import Service
    from doctor.read.times import Period
    from doctor.rulebook.book import RuleBook
    from doctor.scan.database import Database
    from doctor.scan.scanner import Hit, Scan

Progress = Callable[[str, int, int | None], None]
SAVED_OUTPUT_BYTES = 1024 * 1024
_SHELL_STATUS_MOST = 255  # what is larger is Windows'


@dataclass(slots=True)
class Intake:
    """Everything that was read.

    Attributes:
        config: environment and configuration files: read together at the end, and what a remedy may change.
        lines: by path, for text that was unwrapped: which line of the file a line of it is. The hits count lines of
            the text; ``doctor.read.lines.restore`` gives a finished diagnosis the file's.
    """

    given: Given = field(default_factory=Given)
    entries: list[SourceEntry] = field(default_factory=list)
    scanned: list[ScannedSource] = field(default_factory=list)
    config: list[Text] = field(default_factory=list)
    lines: dict[str, LineMap] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def trouble(self, stage: str, subject: str, message: str, hint: str = "") -> None:
        self.problems.append(Problem(stage=stage, subject=subject, message=message, hint=hint))


def take_in(
    paths: Sequence[str],
    book: RuleBook,
    *,
    command: str | None = None,
    env_files: Sequence[str] = (),
    hardware_files: Sequence[str] = (),
    services: Sequence[Service] = (),
    period: Period | None = None,
    stdin: BinaryIO | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
    ended: tuple[int | None, str | None] = (None, None),
    live: bool = False,
    probe: Probe | None = None,
    model: str | None = None,
) -> Intake:
    """Reads and scans all inputs; what can't be read is a problem, the rest goes on.

    Args:
        services: services whose logs the platform's own command prints.
        period: of logs, only what happened in it counts.
        ended: exit status and signal of the engine, as the user knows them.
        live, probe: this machine is asked, or was.
        model: the model that ran: a file or folder of which the headers are read.

    Raises:
        UsageProblem: nothing could be opened, or the command line can't be read.
    """
    from doctor.scan.database import Database

    intake = Intake()
    collection = Collection()
    if services:
        from doctor.read.services import read_service

        for service in services:
            read_service(service, collection, period)
    if live or probe is not None:
        from doctor.probe.live import add_machine

        add_machine(collection, probe)
    collect(paths, stdin, found=collection)
    for subject, message, hint in collection.problems:
        intake.trouble("read", subject, message, hint)
    for path, size in collection.model_files:
        intake.given.records.append(Record("file", {"path": path, "bytes": size}, Origin(path)))
    if model or collection.model_files:
        _take_model(model, [path for path, _ in collection.model_files], intake)
    saved = _saved_ending(collection.endings, intake)
    if saved is not None and ended == (None, None):
        ended = saved.status, saved.signal
        intake.given.hung, intake.given.out_of_memory = saved.hung, saved.out_of_memory
    if command:
        _take_command(command, intake.given)
    elif saved is not None:
        _take_saved(saved, intake)
    sources: list[tuple[Source, str | None]] = [(source, None) for source in collection.sources]
    for kind, files in (("env", env_files), ("hardware", hardware_files)):
        for file in files:
            named = collect([file])
            sources += [(source, kind) for source in named.sources]
            for subject, message, hint in named.problems:
                intake.trouble("read", subject, message, hint)
    database = Database(book.patterns())
    for index, (source, named_kind) in enumerate(sources):
        scanned = _take_source(index, source, named_kind, database, intake, workers, progress)
        if scanned is not None and period is not None and scanned.kind == "log":
            _keep_period(scanned, period, intake)
    _take_end(ended, len(sources), database, intake)
    if intake.config:
        _take_config(intake, book, {source.path for source, kind in sources if kind == "env"})
    return intake


def _take_model(named: str | None, lying_by: Sequence[str], intake: Intake) -> None:
    """What a model's own header says of it; what the engine printed wins.

    Of model files that lie among the logs a header is read only if there is one model: nothing tells which one ran.
    """
    from doctor.model.read import read_model, single_model

    path = named or single_model(lying_by)
    if path is None:
        return
    try:
        model = read_model(path)
    except UsageProblem as problem:
        if named:
            raise
        intake.trouble("model", path, problem.message, problem.hint or "")
        return
    for fact in model.as_facts():
        intake.given.facts.append(replace(fact, origin=replace(fact.origin, layer=Layer.FILE)))
    intake.given.records += [record for record in model.as_records() if record.get("path") not in lying_by]
    for message in model.problems:
        intake.trouble("model", path, message)


def _take_source(
    index: int,
    source: Source,
    kind: str | None,
    database: Database,
    intake: Intake,
    workers: int | None,
    progress: Progress | None,
) -> ScannedSource | None:
    entry = SourceEntry(path=source.path, node=source.node, bytes=source.size or 0)
    intake.entries.append(entry)
    intake.given.node_of[source.path] = source.node
    try:
        text, whole = _read(source)
        entry.kind = source.kind or kind or _classify(source, text)  # type: ignore[assignment]
        if whole:
            _take_text(source, text, entry.kind, intake)
        scan = _scan(source, text if whole and source.unwrapper is None else None, database, workers, progress)
    except OSError as error:
        intake.trouble("read", source.path, f"could not be read: {error.strerror or error}")
        return None
    except Exception as error:  # a crash inside one reader must not take the other files along
        what = f"could not be taken in: {type(error).__name__}: {error}"
        intake.trouble("read", source.path, what, "a defect of llmdoctor: please report it")
        return None
    entry.bytes, entry.lines, entry.sampled = scan.bytes, scan.lines, scan.sampled
    for message, hint in source.troubles.items():
        intake.trouble("read", source.path, message, hint)
    if scan.bytes == 0 and not source.troubles:
        intake.trouble("read", source.path, "the file is empty", "was the log redirected elsewhere?")
    elif scan.binary:
        intake.trouble("read", source.path, "looks binary: read as text as far as it goes")
    for message in scan.problems:
        intake.trouble("scan", source.path, message)
    if source.lines is not None and not source.lines.is_plain:
        intake.lines[source.path] = source.lines
    scanned = ScannedSource(index, source.path, source.node, entry.kind, scan)
    intake.scanned.append(scanned)
    return scanned


def _keep_period(scanned: ScannedSource, period: Period, intake: Intake) -> None:
    """Drops the hits outside the period, but not what the run that it began with had said of itself."""
    from doctor.read.times import select

    def section(hit: Hit) -> str:
        kind, _, rest = hit.key.partition(":")
        return rest.rsplit(":", 2)[-2] if kind == "d" else ""

    chosen = select(
        scanned.scan.hits,
        period,
        starts=lambda hit: section(hit) == "starts",
        describes=lambda hit: section(hit) in {"recognise", "facts"},
    )
    if scanned.scan.hits and not chosen.dated:
        hint = "--since and --until go by times on the lines; `docker logs -t` or `journalctl -o short-iso` add them"
        intake.trouble("read", scanned.path, "no line that counts carries a time: the log was left whole", hint)
    elif scanned.scan.hits and not chosen.hits:
        times = f"{chosen.first:%Y-%m-%d %H:%M:%S} to {chosen.last:%Y-%m-%d %H:%M:%S %z}"
        intake.trouble("read", scanned.path, f"nothing in the period that was asked for: its lines are of {times}")
    scanned.scan.hits = chosen.hits


def _take_end(ended: tuple[int | None, str | None], index: int, database: Database, intake: Intake) -> None:
    """How the engine ended counts as if a supervisor had logged it: the same rules speak of it."""
    from doctor.scan.scanner import scan

    status, signal = intake.given.exit_status, intake.given.exit_signal = ended
    code = status if signal is None else 128 + signals.Signals[signal].value
    if code is not None:
        words = f"exited with code {code}" + (f" (0x{code:08x})" if code > _SHELL_STATUS_MOST else "")
        words += " reason=OOMKilled" if intake.given.out_of_memory else ""  # as a container's platform says it
        found = scan(io.BytesIO(f"{words}\n".encode()), database, workers=1)
        intake.scanned.append(ScannedSource(index, "--exit", UNPLACED, "exit", found))


def _take_command(text: str, given: Given) -> None:
    from doctor.facts.config.argv import parse_command

    command = parse_command(text)
    if command is None:
        raise UsageProblem(
            "not a command line that can be read", subject="--command", hint="check the quotes; give it as one argument"
        )
    given.commands.append((command, Origin("--command", None, Layer.COMMAND_LINE)))


def _saved_ending(endings: Sequence[Ended], intake: Intake) -> Ended | None:
    """How the run ended, where the input is that of one run."""
    if len(endings) > 1:
        message = f"one of {len(endings)} saved runs: how they ended is not taken into account"
        intake.trouble("read", endings[0].path, message, "name the folder of one of them")
    return endings[0] if len(endings) == 1 else None


def _take_saved(saved: Ended, intake: Intake) -> None:
    """What was started, as the one who started it wrote it down."""
    from doctor.facts.config.argv import parse_command
    from doctor.facts.config.env import read_env

    command = parse_command(saved.command) if saved.command else None
    if command is not None:
        intake.given.commands.append((command, Origin(saved.path, None, Layer.COMMAND_LINE)))
    if saved.environment:
        intake.given.env_files.append(read_env(saved.environment_text(), saved.path))


def _read(source: Source) -> tuple[bytes, bool]:
    """The bare text of what is small, as saved output and configuration are, or a beginning; whether it is all."""
    large = source.size is not None and source.size > SAVED_OUTPUT_BYTES
    with source.open(bare=True) as stream:
        text = stream.read(HEAD_BYTES if large else SAVED_OUTPUT_BYTES + 1)
    return text, not large and len(text) <= SAVED_OUTPUT_BYTES


def _classify(source: Source, text: bytes) -> str:
    from doctor.facts.config.sniff import classify

    return classify(source.name, text[:HEAD_BYTES])


def _take_text(source: Source, content: bytes, kind: str, intake: Intake) -> None:
    """Saved output and configuration, read whole beside the scan."""
    decoded = content.decode("utf-8", errors="replace")
    text = decoded.replace("\r\n", "\n")
    if kind in {"env", "config"}:
        from doctor.facts.config.places import Text

        intake.config.append(Text(source.path, text, "\n" if text == decoded else "\r\n"))
        if "containerStatuses" not in text:  # a pod as the cluster gives it holds what became of it too
            return
    from doctor.facts.hardware import read_hardware

    reading = read_hardware(text, source.name)
    for fact in reading.facts:
        intake.given.facts.append(replace(fact, origin=replace(fact.origin, path=source.path)))
    for record in reading.records:
        intake.given.records.append(replace(record, origin=replace(record.origin, path=source.path)))
    for message in reading.problems if kind == "hardware" else []:
        intake.trouble("facts", source.path, message)


def _take_config(intake: Intake, book: RuleBook, named: set[str]) -> None:
    """What is deployed. An environment file that no deployment names, or that the user named, is of all."""
    from doctor.facts.config.deployments import read_deployments
    from doctor.facts.config.env import read_env

    declared = read_deployments(intake.config, book.programs())
    intake.given.workloads = declared.workloads
    loose = {file.path: file for file in declared.loose} | {
        path: file for path, file in declared.files.items() if path in named
    }
    for file in loose.values():
        env = read_env(file.text, file.path)
        intake.given.env_files.append(env)
        for message in env.problems:
            intake.trouble("facts", file.path, message)
    for trouble in declared.troubles:
        intake.trouble("facts", trouble.path, f"line {trouble.line}: {trouble.message}", trouble.hint)


def _scan(
    source: Source, text: bytes | None, database: Database, workers: int | None, progress: Progress | None
) -> Scan:
    from doctor.scan.scanner import scan

    def report(done: int) -> None:
        if progress is not None:
            progress(source.path, done, source.size)

    with source.open() if text is None else io.BytesIO(text) as stream:
        return scan(stream, database, size=source.size, workers=workers, progress=report)
