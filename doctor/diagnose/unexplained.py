"""Error-looking lines that nothing explains, grouped: the same words with other numbers are one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from doctor.rulebook.book import ERROR_KEY
from doctor.vocabulary.document import Unexplained

if TYPE_CHECKING:
    from doctor.scan.runs import Observation

MAX_GROUPS = 12
MAX_TEXT = 400
_DRIVER_LINE = re.compile(r"^python: ")
_BENIGN = re.compile(
    r"\b0 errors?\b|\berrors?[:=] ?0\b|\b(?:no|without) errors?\b|error[_-]?(?:rate|count|log|handler)\b"
    r"|--\S*(?:error|abort)",
    re.I,
)
_VARIABLE = re.compile(r"0x[0-9a-fA-F]+|\b[0-9a-f]{8,}\b|\d+(?:[.:,]\d+)*|'[^']*'|\"[^\"]*\"|(?:/[\w.@+-]+){2,}")


def unexplained(observations: Iterable[Observation], explained: set[tuple[int, int]]) -> list[Unexplained]:
    """Groups of error-looking lines, most frequent first.

    Args:
        observations: everything seen.
        explained: (source, line) of all lines that a rule, a harmless pattern or a dialect accounts for.
    """
    groups: dict[str, Unexplained] = {}
    for observation in observations:
        if observation.key != ERROR_KEY or (observation.source, observation.number) in explained:
            continue
        text = observation.line.text.strip()
        if _DRIVER_LINE.search(text) or _BENIGN.search(text):
            continue
        shape = _VARIABLE.sub("#", text)[:200]
        known = groups.get(shape)
        if known is None:
            if len(groups) < 500:  # a bound on memory, far above what is shown
                groups[shape] = Unexplained(path=observation.path, line=observation.number, text=text[:MAX_TEXT])
        else:
            known.count += 1
    return sorted(groups.values(), key=lambda group: -group.count)[:MAX_GROUPS]
