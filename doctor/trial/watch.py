"""``llmdoctor watch``: a log that is still written, judged again when something in it matters, each finding told once.

Of each log the text of its present run is kept, at most ``KEPT_BYTES``: its beginning, where the settings are, and its
end. A pass over what is new finds lines that a rule or a dialect knows; only then the kept text is judged, by the same
means as any log. So an hour of ordinary lines costs what scanning it costs.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from doctor.api import Request, examine, load_rules
from doctor.intake import take_in
from doctor.scan.database import Database
from doctor.scan.scanner import scan
from doctor.suppress import read_baseline
from doctor.trial.follow import Followed
from doctor.vocabulary.terms import Severity

if TYPE_CHECKING:
    from doctor.vocabulary.document import Diagnosis, Finding, RunEntry

KEPT_BYTES = 4 << 20
_HEAD_BYTES = KEPT_BYTES // 4
_POLL_SECONDS = 0.25
_QUIET_SECONDS = 0.5  # the lines that explain a failure come right behind it: they are waited for,
_MOST_SECONDS = 5.0  # but not for ever
_LONGEST_LINE = 1 << 20
_TELLING = {"starts", "markers"}
Judging = Callable[[bytes], "Diagnosis"]
Finish = Callable[["Diagnosis"], "Diagnosis"]
_OMITTED = b"[llmdoctor: older lines of this run were left out here]\n"


@dataclass(frozen=True, slots=True)
class News:
    """Something to tell.

    Attributes:
        kind: ``watching`` (what is there was looked at), ``finding``, ``run`` (a new run began: what was told of
            the one before may be told again) or ``note``.
        run: the number of the run in this log since watching began.
    """

    kind: str
    path: str
    run: int
    text: str = ""
    finding: Finding | None = None


@dataclass(slots=True)
class Story:
    """The present run of one log."""

    followed: Followed
    run: int = 1
    told: set[str] = field(default_factory=set)
    state: str = "no engine has said anything yet"
    greeted: bool = False
    _head: bytes = b""
    _tail: bytearray = field(default_factory=bytearray)
    _omitted: bool = False
    _looked: bool = False
    _partial: bytes = b""
    _due: float | None = None
    _touched: float = 0.0

    def add(self, data: bytes, database: Database) -> None:
        """Keeps whole lines, and notes whether one of them matters."""
        data = self._partial + data
        end = data.rfind(b"\n") + 1
        if not end and len(data) > _LONGEST_LINE:
            end = len(data)
        lines, self._partial = data[:end], data[end:]
        if not lines:
            return
        if len(self._head) < _HEAD_BYTES and not self._tail:
            self._head += lines
        else:
            self._tail += lines
        excess = len(self._tail) - (KEPT_BYTES - _HEAD_BYTES)
        if excess > 0:
            excess = self._tail.find(b"\n", excess) + 1 or len(self._tail)
            del self._tail[:excess]
            self._omitted = True
        now = time.monotonic()
        self._touched = now
        if self._due is None and any(_matters(hit.key) for hit in scan(io.BytesIO(lines), database, workers=1).hits):
            self._due = now + _MOST_SECONDS

    def is_due(self) -> bool:
        """Whether it is time to judge: something mattered, and no more comes or it has waited long enough."""
        now = time.monotonic()
        return self._due is not None and (now >= self._due or now - self._touched >= _QUIET_SECONDS)

    def waits(self) -> bool:
        """Whether something mattered that was not judged yet."""
        return self._due is not None

    def judge(self, judging: Judging) -> Iterator[News]:
        """What is new since the last time."""
        self._due = None
        text = self._text()
        document = judging(text)
        begin = _present(document)
        if begin > 1:
            self._begin_at(begin, text)
        if begin > 1 and self._looked:
            self.run += 1
            self.told.clear()
            yield News("run", self.followed.path, self.run, _engine(document))
        self._looked = True
        self.state = document.summary
        for finding in document.findings:
            if finding.severity is Severity.INFO or finding.role == "symptom" or finding.rule_id in self.told:
                continue
            self.told.add(finding.rule_id)
            yield News("finding", self.followed.path, self.run, finding=finding)

    def _text(self) -> bytes:
        return self._head + (_OMITTED if self._omitted else b"") + bytes(self._tail)

    def _begin_at(self, line: int, text: bytes) -> None:
        """Forgets what stood before a line."""
        start = 0
        for _ in range(line - 1):
            start = text.find(b"\n", start) + 1
        self._head, self._tail = text[start : start + _HEAD_BYTES], bytearray(text[start + _HEAD_BYTES :])
        self._omitted = False


def _matters(key: str) -> bool:
    kind, _, rest = key.partition(":")
    return kind == "r" or (kind == "d" and rest.rsplit(":", 2)[-2] in _TELLING)


def _present(document: Diagnosis) -> int:
    """The line at which the present runs begin: those that the verdict is about."""
    present: list[RunEntry] = [run for run in document.runs if run.incident]
    return min((run.first_line for run in present), default=1)


def _engine(document: Diagnosis) -> str:
    run = next((run for run in document.runs if run.incident), None)
    return str(run.engine.name or "") if run is not None else ""


class Watch:
    """Several logs, each with its own story."""

    def __init__(
        self, followed: list[Followed], request: Request | None = None, finish: Finish = lambda document: document
    ) -> None:
        """
        Args:
            request: the rules, and what is accepted.
            finish: what is done to a document before something of it is shown.

        Raises:
            UsageProblem: of rules, names of rules and the baseline, one can't be used.
        """
        request = request or Request()
        self._request, self._finish = request, finish
        self._book, _ = load_rules(request.rule_folders, request.choice)
        if request.baseline is not None:
            read_baseline(request.baseline)  # a mistake in it is told at once
        self._database = Database(self._book.patterns())
        self.stories = [Story(each) for each in followed]
        self.findings = 0
        self.began = time.monotonic()

    def news(self) -> Iterator[News]:
        """For ever; ``KeyboardInterrupt`` ends it."""
        while True:
            busy = False
            for story in self.stories:
                data = story.followed.read()
                if data:
                    busy = True
                    story.add(data, self._database)
                while note := story.followed.note():
                    yield News("note", story.followed.path, story.run, note)
                if story.is_due():
                    for item in story.judge(self._judged):
                        self.findings += item.kind == "finding"
                        yield item
                if not story.greeted and not data and not story.waits():
                    story.greeted = True
                    yield News("watching", story.followed.path, story.run, story.state)
            if not busy:
                time.sleep(_POLL_SECONDS)

    def _judged(self, text: bytes) -> Diagnosis:
        """The kept text as `analyze` sees it. A baseline's entries count what they take, so it is read each time."""
        accepted = read_baseline(self._request.baseline) if self._request.baseline is not None else []
        intake = take_in(["-"], self._book, stdin=io.BytesIO(text), workers=1)
        return self._finish(examine(intake, self._book, accepted=accepted).document)

    def close(self) -> None:
        for story in self.stories:
            with suppress(OSError):
                story.followed.close()

    def summary(self) -> str:
        """One line."""
        minutes = (time.monotonic() - self.began) / 60
        span = f"{minutes:.0f} min" if minutes >= 2 else f"{minutes * 60:.0f} s"
        runs = sum(story.run for story in self.stories)
        return f"watched {len(self.stories)} log(s) for {span}: {self.findings} finding(s) in {runs} run(s)"
