"""Takes in what the user named: every source read and scanned once, saved output and settings turned into facts.

Nothing is judged here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

from doctor.errors import UsageProblem
from doctor.facts.assemble import Given
from doctor.read.sources import Source, collect
from doctor.scan.runs import ScannedSource
from doctor.vocabulary.document import Problem, SourceEntry
from doctor.vocabulary.facts import Layer, Origin, Record

if TYPE_CHECKING:
    from doctor.rulebook.book import RuleBook
    from doctor.scan.database import Database
    from doctor.scan.scanner import Scan

Progress = Callable[[str, int, int | None], None]
SAVED_OUTPUT_BYTES = 1024 * 1024
_UNIT = re.compile(r"^\[(?:Service|Unit|Container)\]", re.M)


@dataclass(slots=True)
class Intake:
    """Everything that was read.

    Attributes:
        declared: environment and configuration files, which a remedy may change.
    """

    given: Given = field(default_factory=Given)
    entries: list[SourceEntry] = field(default_factory=list)
    scanned: list[ScannedSource] = field(default_factory=list)
    declared: list[str] = field(default_factory=list)
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
    stdin: BinaryIO | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Intake:
    """Reads and scans all inputs; what can't be read is a problem, the rest goes on.

    Raises:
        UsageProblem: nothing could be opened, or the command line can't be read.
    """
    from doctor.scan.database import Database

    intake = Intake()
    collection = collect(paths, stdin)
    for subject, message, hint in collection.problems:
        intake.trouble("read", subject, message, hint)
    for path, size in collection.model_files:
        intake.given.records.append(Record("file", {"path": path, "bytes": size}, Origin(path)))
    if command:
        _take_command(command, intake.given)
    sources: list[tuple[Source, str | None]] = [(source, None) for source in collection.sources]
    for kind, files in (("env", env_files), ("hardware", hardware_files)):
        for file in files:
            sources += [(source, kind) for source in collect([file]).sources]
    database = Database(book.patterns())
    for index, (source, named_kind) in enumerate(sources):
        _take_source(index, source, named_kind, database, intake, workers, progress)
    return intake


def _take_source(
    index: int,
    source: Source,
    kind: str | None,
    database: Database,
    intake: Intake,
    workers: int | None,
    progress: Progress | None,
) -> None:
    entry = SourceEntry(path=source.path, node=source.node, bytes=source.size or 0)
    intake.entries.append(entry)
    try:
        entry.kind = kind or _classify(source)  # type: ignore[assignment]
        _take_text(source, entry.kind, intake)
        scan = _scan(source, database, workers, progress)
    except OSError as error:
        intake.trouble("read", source.path, f"could not be read: {error.strerror or error}")
        return
    except Exception as error:  # a crash inside one reader must not take the other files along
        what = f"could not be taken in: {type(error).__name__}: {error}"
        intake.trouble("read", source.path, what, "a defect of llmdoctor: please report it")
        return
    entry.bytes, entry.lines, entry.sampled = scan.bytes, scan.lines, scan.sampled
    if scan.bytes == 0:
        intake.trouble("read", source.path, "the file is empty", "was the log redirected elsewhere?")
    elif scan.binary:
        intake.trouble("read", source.path, "looks binary: read as text as far as it goes")
    for message in scan.problems:
        intake.trouble("scan", source.path, message)
    intake.scanned.append(ScannedSource(index, source.path, source.node, entry.kind, scan))


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


def _take_text(source: Source, kind: str, intake: Intake) -> None:
    """Saved output and environment files are small: they are read whole, once, beside the scan."""
    if kind in {"env", "config"}:
        intake.declared.append(source.path)
    if source.size is not None and source.size > SAVED_OUTPUT_BYTES:
        return
    with source.open() as stream:
        text = stream.read(SAVED_OUTPUT_BYTES).decode("utf-8", errors="replace")
    if kind == "config" and _UNIT.search(text):
        problems = _take_unit(text, source.path, intake)
    elif kind in {"env", "config"}:
        from doctor.facts.config.env import read_env

        env = read_env(text, source.path)
        intake.given.env_files.append(env)
        problems = env.problems
    else:
        from doctor.facts.hardware import read_hardware

        reading = read_hardware(text, source.path)
        intake.given.facts += reading.facts
        intake.given.records += reading.records
        problems = reading.problems if kind == "hardware" else []
    for message in problems:
        intake.trouble("facts", source.path, message)


def _take_unit(text: str, path: str, intake: Intake) -> list[str]:
    """A systemd unit declares a command line, an environment and limits."""
    from doctor.facts.config.systemd import read_unit

    unit = read_unit(text, path)
    if unit.command is not None and unit.command_at is not None:
        intake.given.commands.append((unit.command, unit.command_at))
    intake.given.env_files.append(unit.env)
    intake.given.facts += unit.facts
    return unit.problems


def _scan(source: Source, database: Database, workers: int | None, progress: Progress | None) -> Scan:
    from doctor.scan.scanner import scan

    def report(done: int) -> None:
        if progress is not None:
            progress(source.path, done, source.size)

    with source.open() as stream:
        return scan(stream, database, size=source.size, workers=workers, progress=report)
