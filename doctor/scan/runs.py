"""From hits to runs: which engine speaks where, where each life of a service begins and ends.

A run starts at a dialect's start marker; a source without one is one run. Wrappers (GPUStack, a router) make a run
of their own around the engine runs in the same source. Kernel lines belong to no run: they are context of a node.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from doctor.read.nodes import UNPLACED
from doctor.read.prefix import relative_clock
from doctor.read.rotation import rotation
from doctor.rulebook.book import EXCEPTION_KEY
from doctor.scan.lanes import Lane, lanes
from doctor.scan.links import link
from doctor.scan.tracebacks import Thrown, Traceback, thrown, tracebacks
from doctor.vocabulary.terms import Outcome

if TYPE_CHECKING:
    from doctor.rulebook.book import RuleBook
    from doctor.scan.scanner import Line, Scan

_CLOCK_FALL_SECONDS = 1.0
_ENVELOPE_CHARS = 240
# Where nothing else says how a run ended: a traceback, or a lone exception, so near the log's end is what ended it.
_END_LINES, _TAIL_LINES = 40, 4


@dataclass(slots=True, eq=False)
class Observation:
    """A pattern seen on a line of a source.

    Attributes:
        captures: the raw texts.
        run: the run that prints the line.
        proc: the process of it, if the line says so.
        about: of a line outside of runs, the runs that it is about; None if it does not tell.
    """

    source: int
    path: str
    key: str
    line: Line
    captures: dict[str, str | None]
    node: str = UNPLACED
    run: Run | None = None
    proc: str | None = None
    about: tuple[Run, ...] | None = None

    @property
    def number(self) -> int:
        return self.line.number


@dataclass(slots=True)
class Marker:
    line: int
    means: str
    outcome: Outcome | None
    observation: Observation


@dataclass(slots=True, eq=False)
class Run:
    """One life of one service.

    Attributes:
        engine: the innermost engine that was recognised, None when nothing was.
        engines: it and everything that it is built on or that was seen with it.
        wrapper: the product around it, if one was seen.
        versions: raw version text by engine name.
        procs: the processes that its lines name.
        lane: the service, where several speak in one log at the same time.
    """

    id: str
    source: int
    path: str
    node: str
    first_line: int
    last_line: int
    engine: str | None = None
    engines: list[str] = field(default_factory=list)
    wrapper: str | None = None
    is_wrapper: bool = False
    product: str | None = None
    versions: dict[str, str] = field(default_factory=dict)
    parent: Run | None = None
    markers: list[Marker] = field(default_factory=list)
    observations: list[Observation] = field(default_factory=list)
    tracebacks: list[Traceback] = field(default_factory=list)
    procs: set[str] = field(default_factory=set)
    outcome: Outcome = Outcome.UNKNOWN
    incident: str = ""
    lane: str = ""

    def covers(self, line: int) -> bool:
        return self.first_line <= line <= self.last_line

    def first_thrown(self) -> Traceback | None:
        """Its first traceback that it did not survive: after which it did not become ready."""
        return next((seen for seen in self.tracebacks if seen.first.line.number > (self.ready_line() or 0)), None)

    def fatal_thrown(self) -> list[Thrown]:
        """The exceptions that ended it, or kept it from starting: one traceback's chain; none in a run that lives.

        A server survives what its requests throw, so in one that died the first after its last sign of life counts.
        Of a log that was cut above the traceback only the last line is there: as the very last it counts even in a
        server that has answered before.
        """
        if self.outcome is Outcome.STOPPED:
            return []
        end = next((m.line for m in self.markers if m.means == "ended" and m.outcome and m.outcome.bad), self.last_line)
        alive = max((m.line for m in self.markers if m.means in {"ready", "progress"} and m.line < end), default=0)
        if self.tracebacks:
            if self.outcome is Outcome.HEALTHY:
                return []
            if not self.outcome.bad and self.last_line - self.tracebacks[-1].chain[-1].line.number > _END_LINES:
                return []  # the log goes on: what was thrown was caught
            return next((seen.chain for seen in self.tracebacks if seen.first.line.number > alive), [])
        last = next((o for o in reversed(self.observations) if o.key == EXCEPTION_KEY and o.number > alive), None)
        tail = 1 if self.outcome is Outcome.HEALTHY else _TAIL_LINES
        near = last is not None and (self.outcome.bad or self.last_line - last.number < tail)
        alone = thrown(last, last.number) if last is not None and near else None
        return [alone] if alone is not None else []

    def ready_line(self) -> int | None:
        return next((marker.line for marker in self.markers if marker.means == "ready"), None)

    @property
    def is_worker(self) -> bool:
        return self.product == "rpc-server"

    @property
    def service(self) -> tuple[str, str, str, str]:
        """What it is a life of: node, log file (rotated names count as one), place in it, engine."""
        return (self.node, rotation(self.path)[0], self.lane, self.engine or "")


@dataclass(slots=True)
class ScannedSource:
    """A source after its one pass. ``kind`` as in the document (log, env, config, hardware), or ``exit``."""

    index: int
    path: str
    node: str
    kind: str
    scan: Scan


@dataclass(slots=True)
class Timeline:
    """All runs in order, and what was seen outside of any run (kernel lines, saved output)."""

    runs: list[Run] = field(default_factory=list)
    context: list[Observation] = field(default_factory=list)
    tracebacks: list[Traceback] = field(default_factory=list)


def build_timeline(sources: Iterable[ScannedSource], book: RuleBook) -> Timeline:
    """Splits every log into runs and hands each hit to the run that its line belongs to."""
    timeline = Timeline()
    sources = list(sources)
    logless = all(source.kind != "log" for source in sources)
    for source in sources:
        observations = [
            Observation(source.index, source.path, hit.key, hit.line, hit.captures, source.node)
            for hit in source.scan.hits
        ]
        # Where there is no log, a list of processes is the trace of a service: its command line is there.
        traced = logless and any(_speaks(observations, book, wrapper=wrapper) for wrapper in (True, False))
        if not (source.kind == "log" or traced) or _only_context(observations, book):
            timeline.context += observations
            continue
        for lane in lanes(observations, book.dialects):
            _take_lane(source, lane, timeline, book)
    _set_aside_strangers(timeline)
    link(timeline)
    for number, run in enumerate(timeline.runs, 1):
        run.id = f"run-{number}"
    return timeline


def _take_lane(source: ScannedSource, lane: Lane, timeline: Timeline, book: RuleBook) -> None:
    """The lives of one service in a log, each with its lines."""
    runs = _split(source, lane, book)
    lives = {wraps: _Lives([run for run in runs if run.is_wrapper == wraps]) for wraps in (True, False)}
    for observation in lane.observations:
        run = _run_at(lives, observation, book)
        if run is None:
            timeline.context.append(observation)
            continue
        observation.run = run
        run.observations.append(observation)
    for run in runs:
        _recognise(run, book)
        run.markers = _markers(run, book)
    _name_the_nameless(runs)
    for run in runs:
        _name_processes(run, book)
        run.tracebacks = tracebacks(run.observations)
        timeline.tracebacks += run.tracebacks
    timeline.runs += runs


def _set_aside_strangers(timeline: Timeline) -> None:
    """Files in which no engine speaks are context, if a service speaks in another (a client's output, a note).

    If none speaks anywhere, a file in which nothing was found is not a run beside others.
    """
    if not any(run.engine and not run.is_worker for run in timeline.runs):
        telling = [run for run in timeline.runs if run.engine or run.observations]
        timeline.runs = telling or timeline.runs[:1]
        return
    for run in timeline.runs:
        if run.engine is None:
            for observation in run.observations:
                observation.run = None
            timeline.context += run.observations
    timeline.runs = [run for run in timeline.runs if run.engine is not None]


def _section(observation: Observation) -> tuple[str, str, int] | None:
    """(engine, section, index) of a dialect hit; None for a rule's."""
    kind, _, rest = observation.key.partition(":")
    if kind != "d":
        return None
    engine, section, index = rest.rsplit(":", 2)
    return engine, section, int(index)


def _only_context(observations: list[Observation], book: RuleBook) -> bool:
    """Whether only the kernel or a tool speaks in this source."""
    kinds = set()
    for observation in observations:
        place = _section(observation)
        if place and place[1] in {"recognise", "starts"}:
            kinds.add(book.dialects[place[0]]["kind"])
    return bool(kinds) and kinds <= {"kernel", "host"}


def _split(source: ScannedSource, lane: Lane, book: RuleBook) -> list[Run]:
    observations = lane.observations
    first, last = lane.first_line or 1, lane.last_line or max(source.scan.lines, 1)
    starts = _start_lines(observations, first, book)
    runs: list[Run] = []
    for is_wrapper in (True, False):
        lines = starts[is_wrapper]
        if is_wrapper and not lines and not _speaks(observations, book, wrapper=True):
            continue
        if not is_wrapper and runs and not lines and not _speaks(observations, book, wrapper=False):
            continue
        # What stands before the first start marker is the tail of a life that the log no longer holds; a few lines
        # of launcher output are not: they belong to the run that they start.
        edges = lines or [first]
        if edges[0] > first and _lived_before(observations, edges[0], is_wrapper, book):
            edges = [first, *edges]
        elif edges[0] > first and not (runs and not is_wrapper):  # a product's own lines stand before its engine starts
            edges = [first, *edges[1:]]
        for begin, following in zip(edges, [*edges[1:], last + 1], strict=True):
            end = max(following - 1, begin)
            place = (source.index, source.path, source.node)
            runs.append(Run("", *place, begin, end, is_wrapper=is_wrapper, lane=lane.name))
    for run in runs:
        if not run.is_wrapper:
            run.parent = next((r for r in runs if r.is_wrapper and r.covers(run.first_line)), None)
    return runs


def _speaks(observations: list[Observation], book: RuleBook, *, wrapper: bool) -> bool:
    for observation in observations:
        place = _section(observation)
        if place and place[1] == "recognise":
            kind = book.dialects[place[0]]["kind"]
            if kind in {"engine", "wrapper"} and (kind == "wrapper") == wrapper:
                return True
    return False


def _lived_before(observations: list[Observation], line: int, is_wrapper: bool, book: RuleBook) -> bool:
    """Whether a life of an engine (or of a wrapper) ends, or shows work, before ``line``."""
    for observation in observations:
        if observation.number >= line:
            return False
        place = _section(observation)
        if place and place[1] == "markers":
            dialect = book.dialects[place[0]]
            if (dialect["kind"] == "wrapper") == is_wrapper and dialect["markers"][place[2]]["means"] != "loading":
                return True
    return False


def _start_lines(observations: list[Observation], first: int, book: RuleBook) -> dict[bool, list[int]]:
    """Lines at which a run begins, for wrappers (True) and engines (False).

    The lines that one start-up prints are several, of several dialects (a wrapper's banner, then its engine's): a new
    run begins when a start line comes *again*, or after the life before has shown that it was ready or had ended.
    """
    found: dict[bool, list[int]] = {True: [], False: []}
    seen: dict[bool, set[str]] = {True: set(), False: set()}
    lived = {True: False, False: False}
    over = {True: False, False: False}
    clock = -1.0
    for observation in observations:
        if (now := relative_clock(observation.line.text)) is not None:
            if now < clock - _CLOCK_FALL_SECONDS and observation.number not in found[False]:
                if not found[False]:
                    found[False].append(first)  # what the clock counted until now was a life too
                found[False].append(observation.number)
                seen[False].clear()
                lived[False] = over[False] = False
            clock = now
        place = _section(observation)
        if place is None:
            continue
        engine, section, index = place
        dialect = book.dialects[engine]
        if dialect["kind"] not in {"engine", "wrapper"}:
            continue
        wraps = dialect["kind"] == "wrapper"
        if section == "markers":
            means = dialect["markers"][index]["means"]
            lived[wraps] |= means in {"ready", "progress"}
            over[wraps] |= means in {"stopping", "ended"}
            over[False] |= wraps and means == "ended"  # a container that exited took its engine with it
        elif section == "starts":
            weak = dialect["starts"][index]["weak"]
            fresh = over[wraps] if weak else (over[wraps] or lived[wraps] or observation.key in seen[wraps])
            if (fresh or (not weak and not found[wraps])) and observation.number not in found[wraps]:
                found[wraps].append(observation.number)
                seen[wraps] = set()
                lived[wraps] = over[wraps] = False
            if not weak:
                seen[wraps].add(observation.key)
    return found


class _Lives:
    """Runs that follow each other in one log, in order."""

    def __init__(self, runs: list[Run]) -> None:
        self._runs = runs
        self._starts = [run.first_line for run in runs]

    def at(self, line: int) -> Run | None:
        place = bisect_right(self._starts, line) - 1
        return self._runs[place] if place >= 0 and self._runs[place].covers(line) else None


def _run_at(lives: dict[bool, _Lives], observation: Observation, book: RuleBook) -> Run | None:
    """The run a hit belongs to: a wrapper's own lines to the wrapper, kernel lines to none, the rest to the engine."""
    place = _section(observation)
    kind = book.dialects[place[0]]["kind"] if place else None
    if kind in {"kernel", "host"}:
        return None
    wraps = kind == "wrapper"
    return lives[wraps].at(observation.number) or lives[not wraps].at(observation.number)


def _name_processes(run: Run, book: RuleBook) -> None:
    """Which process says what, where a line says so (a pid, a rank, a worker): events aren't pieced together across."""
    named = [observation for observation in run.observations if observation.key[0] in "rx"]
    spoken = [book.dialects[engine] for engine in run.engines if engine in book.dialects]
    spoken += [dialect for dialect in book.dialects.values() if not dialect["recognise"]]  # of libraries: torch, Ray
    patterns = dict.fromkeys(text for dialect in spoken for text in dialect["procs"])
    if not named or not patterns:
        return
    compiled = [re.compile(pattern) for pattern in patterns]
    names: dict[int, str | None] = {}
    for observation in named:
        if observation.number not in names:
            head = observation.line.text[:_ENVELOPE_CHARS]
            found = next((match for pattern in compiled if (match := pattern.search(head))), None)
            names[observation.number] = found["proc"] if found else None
        observation.proc = names[observation.number]
    run.procs = {name for name in names.values() if name is not None}


def _name_the_nameless(runs: list[Run]) -> None:
    """A life without a line that names its engine is of the engine that the same log names before it, else after it."""
    for is_wrapper in (True, False):
        lives = [run for run in runs if run.is_wrapper == is_wrapper]
        for ordered in (lives, lives[::-1]):
            for known, run in pairwise(ordered):
                if run.engine is None and known.engine is not None:
                    run.engine, run.engines = known.engine, list(known.engines)
                    run.versions = {**known.versions, **run.versions}
                    run.product = run.product or known.product


def _recognise(run: Run, book: RuleBook) -> None:
    votes: dict[bool, dict[str, int]] = {True: defaultdict(int), False: defaultdict(int)}
    for observation in run.observations:
        place = _section(observation)
        if place is None or place[1] not in {"recognise", "starts"}:
            continue
        engine, section, index = place
        if section == "recognise":
            line = book.dialects[engine]["recognise"][index]
            votes[line["certain"]][engine] += 1
        else:
            start = book.dialects[engine]["starts"][index]
            votes[not start["weak"]][engine] += 1
            run.product = run.product or start["product"]
        for name in ("version", "commit"):
            text = observation.captures.get(name)
            if text and name == "version":
                run.versions.setdefault(engine, text)
    seen = votes[True] or votes[False]
    if run.is_wrapper:  # lines of an engine that stand before its start do not make it the product around it
        own = (
            {name: n for name, n in each.items() if book.dialects[name]["kind"] == "wrapper"} for each in votes.values()
        )
        seen = next((each for each in own if each), seen)
    run.engine = _most_derived(seen, book)
    if run.parent:
        run.wrapper = run.parent.engine
    run.engines = []
    for product in (run.engine, *seen, run.wrapper):
        for item in (product, *(book.bases(product) if product else ())):
            if item and item not in run.engines:
                run.engines.append(item)
    if run.parent:
        run.versions = {**run.parent.versions, **run.versions}
    derive_versions(run, book)


def derive_versions(run: Run, book: RuleBook) -> None:
    """A product's release says which engine release is inside (``rules/dialects/lineage.yaml``)."""
    from doctor.versions import Version

    waiting = list(run.versions)
    while waiting:
        product = waiting.pop()
        for entry in book.lineage.get(product, []):
            if Version.parse(run.versions[product]).within(entry["versions"]):
                waiting += [base for base in entry["contains"] if base not in run.versions]
                run.versions = {**{base: str(v) for base, v in entry["contains"].items()}, **run.versions}


def _most_derived(seen: dict[str, int], book: RuleBook) -> str | None:
    """The engine whose lineage holds the others that were recognised; else the one seen most."""
    if not seen:
        return None
    return max(seen, key=lambda name: (sum(other in book.bases(name) for other in seen), seen[name]))


def _markers(run: Run, book: RuleBook) -> list[Marker]:
    found = []
    for observation in run.observations:
        place = _section(observation)
        if place and place[1] == "markers":
            line: dict[str, Any] = book.dialects[place[0]]["markers"][place[2]]
            outcome = Outcome(line["outcome"]) if line["outcome"] else None
            found.append(Marker(observation.number, line["means"], outcome, observation))
    return found
