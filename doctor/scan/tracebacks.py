"""Python's tracebacks as events: which exception came first, in which process, and which lines are only its stack.

One failure prints many: each rank its own, each process that waited for it another one, interleaved line by line. The
last line of the first traceback is the one to read; of several that one process joins by "During handling of the above
exception" or "The above exception was the direct cause", the first exception began it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from doctor.rulebook.book import CHAIN_KEY, EXCEPTION_KEY, TRACEBACK_KEY

if TYPE_CHECKING:
    from doctor.scan.runs import Observation, Run

_INDENTED = re.compile(r"(?:^|[\])|:>ZF\d]) {2,}[^\s|]")  # a line of code in a stack, behind whatever prefix
# Exceptions that only carry another process's, which stands in their message: below them, or before.
_CARRIERS = re.compile(r"RayTaskError|ChildFailedError|ProcessRaisedException|CalledProcessError")


@dataclass(slots=True, eq=False)
class Thrown:
    """An exception as the last line of a traceback shows it, which begins at the line ``begin``."""

    begin: int
    line: Observation
    type: str
    message: str

    @property
    def carries(self) -> bool:
        """Whether it only tells of another exception."""
        return self.message.endswith(":") or bool(_CARRIERS.search(self.type))

    @property
    def text(self) -> str:
        return f"{self.type}: {self.message}" if self.message else self.type


@dataclass(slots=True, eq=False)
class Traceback:
    """What one process threw at once: a chain of exceptions, in the order in which they are printed.

    Attributes:
        proc: the process, if the lines say so.
        run: the run that it happens in.
    """

    source: int
    proc: str | None
    run: Run | None
    chain: list[Thrown] = field(default_factory=list)

    @property
    def first(self) -> Thrown:
        """The exception that began it."""
        return next((thrown for thrown in self.chain if not thrown.carries), self.chain[0])

    @property
    def lines(self) -> set[int]:
        """Where its exceptions stand."""
        return {thrown.line.number for thrown in self.chain}

    def covers(self, observation: Observation) -> bool:
        """Whether a line is of one of its stacks."""
        return observation.proc == self.proc and any(
            thrown.begin <= observation.number <= thrown.line.number for thrown in self.chain
        )


@dataclass(slots=True, eq=False)
class _Open:
    """A traceback that is being printed: where its stack began, 0 between two of a chain."""

    event: Traceback
    begin: int = 0
    chains: bool = False

    @property
    def carried(self) -> bool:
        """Whether what comes next is in the message of the last exception."""
        return bool(self.event.chain) and self.event.chain[-1].carries


def tracebacks(observations: Iterable[Observation]) -> list[Traceback]:
    """The tracebacks in lines of one source, in order, by the line of their first exception.

    A traceback of which the last line was not recognised is left out.
    """
    events: list[Traceback] = []
    now: dict[str | None, _Open] = {}
    for observation in observations:
        known = now.get(observation.proc)
        if observation.key == TRACEBACK_KEY:
            if known is None or not (known.chains or known.carried):
                known = _Open(Traceback(observation.source, observation.proc, observation.run))
                events.append(known.event)
            known.begin, known.chains = observation.number, False
            now[observation.proc] = known
        elif known is None:
            continue
        elif observation.key == CHAIN_KEY:
            known.chains = bool(known.event.chain)
        elif observation.key == EXCEPTION_KEY and (known.begin or known.carried):
            begin = known.begin or known.event.chain[-1].line.number
            if last := thrown(observation, begin):
                known.event.chain.append(last)
                known.begin = 0
    return sorted((event for event in events if event.chain), key=lambda event: event.first.line.number)


def thrown(observation: Observation, begin: int) -> Thrown | None:
    """The exception on a line that looks like a traceback's last; None for a line of code that raises one."""
    kind, message = observation.captures.get("type") or "", observation.captures.get("message") or ""
    text = observation.line.text
    if not kind or _INDENTED.search(text[: text.find(kind) + 1]):
        return None
    return Thrown(begin, observation, kind, message.strip())
