"""Error-looking lines that nothing explains, grouped: the same words with other numbers are one.

Of a traceback only the exception is shown, not its stack; exceptions come first.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence, Set
from typing import TYPE_CHECKING

from doctor.rulebook.book import ERROR_KEY
from doctor.vocabulary.document import Unexplained

if TYPE_CHECKING:
    from doctor.scan.runs import Observation
    from doctor.scan.tracebacks import Traceback

MAX_GROUPS = 12
MAX_TEXT = 400
_ECHO_CHARS, _LEAST_ECHO_CHARS = 80, 8
_DRIVER_LINE = re.compile(r"^python: ")
_BENIGN = re.compile(
    r"\b0 errors?\b|\berrors?[:=] ?0\b|\b(?:no|without) errors?\b|error[_-]?(?:rate|count|log|handler)\b"
    r"|--\S*(?:error|abort)",
    re.I,
)
_VARIABLE = re.compile(r"0x[0-9a-fA-F]+|\b[0-9a-f]{8,}\b|\d+(?:[.:,]\d+)*|'[^']*'|\"[^\"]*\"|(?:/[\w.@+-]+){2,}")


def unexplained(
    observations: Iterable[Observation],
    explained: set[tuple[int, int]],
    tracebacks: Sequence[Traceback] = (),
    known: Set[tuple[int, int]] = frozenset(),
) -> list[Unexplained]:
    """Groups of error-looking lines, most frequent first, after the exceptions, earliest first.

    Args:
        observations: everything seen.
        explained: (source, line) of all lines that a rule, a harmless pattern or a dialect accounts for.
        tracebacks: those of all processes.
        known: of the explained lines, those that say themselves what happened, or that are known to say nothing.
    """
    thrown = _exceptions(tracebacks, known)
    groups: dict[str, Unexplained] = {}
    stacks = _Stacks(tracebacks)
    for observation in observations:
        if observation.key != ERROR_KEY or (observation.source, observation.number) in explained:
            continue
        if stacks.hold(observation):
            continue
        text = observation.line.text.strip()
        if _DRIVER_LINE.search(text) or _BENIGN.search(text):
            continue
        shape = _VARIABLE.sub("#", text)[:200]
        same = groups.get(shape)
        if same is None:
            if len(groups) < 500:  # a bound on memory, far above what is shown
                groups[shape] = Unexplained(path=observation.path, line=observation.number, text=text[:MAX_TEXT])
        else:
            same.count += 1
    return [*thrown, *sorted(groups.values(), key=lambda group: -group.count)][:MAX_GROUPS]


def _exceptions(tracebacks: Sequence[Traceback], known: Set[tuple[int, int]]) -> list[Unexplained]:
    """The exceptions that no rule knows, the same of several processes once; none that only repeats another's words."""
    groups: dict[tuple[str, str], Unexplained] = {}
    procs: set[tuple[str, str, str | None]] = set()
    said: list[str] = []
    for seen in tracebacks:
        first, last = seen.first, seen.chain[-1]
        text, words = first.text, first.message[:_ECHO_CHARS]
        place = (first.type, _VARIABLE.sub("#", first.message)[:200])
        again = seen.proc is not None and (*place, seen.proc) in procs  # logged, then printed as the process ends
        procs.add((*place, seen.proc))
        if place in groups:
            groups[place].count += not again
            continue
        echo = any(other in first.message for other in said)
        said += [words] if len(words) >= _LEAST_ECHO_CHARS else []
        if echo or any((seen.source, line) in known for line in seen.lines) or len(groups) == MAX_GROUPS:
            continue
        if last is not first:
            text = f"{text[: MAX_TEXT // 2]} (then {last.text})"
        groups[place] = Unexplained(path=first.line.path, line=first.line.number, text=text[:MAX_TEXT])
    return list(groups.values())


class _Stacks:
    """Which lines are of a stack: those between a traceback's beginning and its exception, of the same process."""

    def __init__(self, tracebacks: Sequence[Traceback]) -> None:
        self._of: dict[tuple[int, str | None], list[Traceback]] = defaultdict(list)
        for seen in tracebacks:
            self._of[seen.source, seen.proc].append(seen)

    def hold(self, observation: Observation) -> bool:
        return any(seen.covers(observation) for seen in self._of.get((observation.source, observation.proc), ()))
