"""Findings that somebody has accepted: inline at the line of the configuration, or in a baseline file.

Each has a reason, and may have a day up to which it holds. What is accepted leaves the findings for
``Diagnosis.suppressed``: it counts for nothing any more, and every report still tells it. What has run out, gives no
reason or no longer applies is told as a problem.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from doctor.redact import Redactor
from doctor.report.outline import place_of, place_to_change
from doctor.vocabulary.document import Diagnosis, Finding, Problem, Suppressed

if TYPE_CHECKING:
    from doctor.facts.config.places import Text

_INLINE = re.compile(r"(?P<start>#|;|//|<!--)\s*llmdoctor:\s*ignore\b\s*=?\s*(?P<rules>[\w.,-]*)(?P<rest>[^\n]*)")
_UNTIL = re.compile(r"[\s,(]*\buntil[\s=:]+(\d{4}-\d\d-\d\d)\b\)?", re.I)
_MOST_INLINE, _LONGEST_LINE = 1000, 2000  # of a file that nobody would write there may be more
_COMMENTS = ("#", ";", "//", "<!--")
_ITEM = re.compile(r"\s*-(?:\s|$)")


@dataclass(slots=True, eq=False)
class Suppression:
    """One accepted finding, as it was written.

    Attributes:
        path, line: where this is written.
        until: the last day on which it holds.
        file: the file that the finding is about, None for any; ``lines``: first and last line of it that it reaches.
        text: of a baseline: the declared line, so that it ends with the value it was written for.
        count: of a baseline: how many findings it takes at most.
        wrong: why it does not count, with a hint.
    """

    by: Literal["inline", "baseline"]
    path: str
    line: int
    rule: str
    reason: str
    until: date | None = None
    file: str | None = None
    lines: tuple[int, int] | None = None
    text: str | None = None
    count: int | None = None
    taken: int = 0
    wrong: tuple[str, str] | None = None

    def applies(self, finding: Finding) -> bool:
        if finding.rule_id != self.rule or (self.count is not None and self.taken >= self.count):
            return False
        if self.lines is not None:
            first, last = self.lines
            return any(path == self.file and first <= line <= last for path, line in _places(finding))
        if self.file is not None and not any(_same(path, self.file) for path, _line in _places(finding)):
            return False
        return self.text is None or self.text == declared(finding)


def suppress(
    document: Diagnosis,
    texts: Iterable[Text] = (),
    baseline: Sequence[Suppression] = (),
    *,
    known: Iterable[str] = (),
    today: date | None = None,
) -> None:
    """Takes what is accepted out of the findings, and tells what no longer applies.

    Args:
        document: before its secrets are taken out, so that its lines are those of the files.
        texts: the configuration files that were read.
        known: the names of all rules.
    """
    written = [*baseline, *(each for text in texts for each in inline(text))]
    if not written:
        return
    today = today or date.today()
    names = set(known)
    for each in written:
        if each.wrong is None and each.until is not None and each.until < today:
            each.wrong = f"the suppression of {each.rule} ran out on {each.until}", "mend it, or write down a new day"
    kept = []
    for finding in document.findings:
        taker = next((each for each in written if each.wrong is None and each.applies(finding)), None)
        if taker is None:
            kept.append(finding)
            continue
        taker.taken += 1
        document.suppressed.append(
            Suppressed(
                finding=finding,
                reason=taker.reason,
                until=taker.until.isoformat() if taker.until else None,
                by=taker.by,
                path=taker.path,
                line=taker.line,
            )
        )
    document.findings = kept
    for each in written:
        problem = _unknown(each, names) or each.wrong or _stale(each, document)
        if problem is not None:
            document.problems.append(
                Problem(stage="suppress", subject=f"{each.path}:{each.line}", message=problem[0], hint=problem[1])
            )


def _unknown(each: Suppression, names: set[str]) -> tuple[str, str] | None:
    if not names or not each.rule or each.rule in names:
        return None
    from difflib import get_close_matches

    near = get_close_matches(each.rule, names, n=1)
    return f"no such rule: {each.rule}", f"did you mean {near[0]}?" if near else "`llmdoctor rules list` shows them"


def _stale(each: Suppression, document: Diagnosis) -> tuple[str, str] | None:
    """Why it does nothing: of the files at hand, where its rule was judged (a log need not repeat a failure)."""
    if each.taken:
        return None
    if not document.planned or any(each.rule in entry.rules for entry in document.could_not_judge):
        return None
    here = each.file is None or any(_same(source.path, each.file) for source in document.sources)
    if not here or each.rule not in document.judged:
        return None
    return f"the suppression of {each.rule} has nothing to suppress", "take it out"


def _places(finding: Finding) -> Iterator[tuple[str, int]]:
    change = place_to_change(finding)
    if change is not None:
        yield change.path, change.line
    for line in finding.evidence:
        yield line.path, line.line


def declared(finding: Finding) -> str:
    """The line that declares what is wrong, without its indentation; a comment behind it is no part of it."""
    if not finding.evidence:
        return ""
    text = Redactor().text(re.sub(r"\s+#.*", "", finding.evidence[0].text).strip())
    return re.sub(r"<secret-\d+>", "<secret>", text)  # as a baseline, which is written down, may hold it


def _same(one: str, other: str) -> bool:
    return one == other or Path(one).resolve() == Path(other).resolve()


# --- inline -----------------------------------------------------------------------------------------------------------


def inline(text: Text) -> Iterator[Suppression]:
    """``# llmdoctor: ignore=RULE reason until 2027-01-31``: behind the line that it is about, or above it."""
    if "llmdoctor:" not in text.text:
        return
    lines = text.text.split("\n")
    marked = (number for number, line in enumerate(lines, 1) if "llmdoctor:" in line)
    for number in islice(marked, _MOST_INLINE):
        line = lines[number - 1][:_LONGEST_LINE]
        found = _INLINE.search(line)
        if found is None:
            continue
        rest = found["rest"].removesuffix("-->") if found["start"] != "<!--" else found["rest"].partition("-->")[0]
        reach = (number, number) if line[: found.start()].strip() else _block(lines, number)
        for rule in filter(None, found["rules"].split(",")) if found["rules"].strip(",") else ("",):
            yield _inline(text.path, number, rule, rest, reach)


def _inline(path: str, line: int, rule: str, rest: str, reach: tuple[int, int]) -> Suppression:
    until = _UNTIL.search(rest)
    reason = _UNTIL.sub("", rest, count=1).strip(" \t\r:-–—,;()\"'")
    made = Suppression("inline", path, line, rule, reason, file=path, lines=reach)
    if not rule:
        made.wrong = "names no rule: it does not count", "# llmdoctor: ignore=RULE reason until 2027-01-31"
    elif not reason:
        made.wrong = f"gives no reason: {rule} is not suppressed", f"# llmdoctor: ignore={rule} why this is accepted"
    elif until is not None:
        try:
            made.until = date.fromisoformat(until[1])
        except ValueError:
            made.wrong = f"{until[1]} is no day: {rule} is not suppressed", "write it as until 2027-01-31"
    return made


def _block(lines: Sequence[str], comment: int) -> tuple[int, int]:
    """The lines that a comment of its own is about: the next one, and what is indented below or continues it.

    In the head of a file, with a blank line behind it, it is about the whole file.
    """
    head = all(not line.strip() or line.lstrip().startswith(_COMMENTS) for line in lines[:comment])
    if head and comment < len(lines) and not lines[comment].strip():
        return comment, len(lines)
    at = comment
    while at < len(lines) and (not lines[at].strip() or lines[at].lstrip().startswith(_COMMENTS)):
        at += 1
    if at == len(lines):
        return comment, comment
    start, depth = at, _depth(lines[at])
    items_below = lines[at].rstrip().endswith(":") and not _ITEM.match(lines[at])
    while at + 1 < len(lines):
        line, continued = lines[at + 1], lines[at].rstrip().endswith("\\")
        is_below = _depth(line) > depth or (items_below and _depth(line) == depth and _ITEM.match(line))
        if line.strip() and not continued and not is_below:
            break
        at += 1
    while not lines[at].strip():
        at -= 1
    return start + 1, at + 1


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())


# --- the baseline file ------------------------------------------------------------------------------------------------


def read_baseline(path: str) -> list[Suppression]:
    """The accepted findings of a file.

    Raises:
        UsageProblem: it can't be read, or an entry is wrong.
    """
    from doctor.settings.baseline import read

    found = []
    for entry, line in read(Path(path)):
        file = str(Path(path).parent / entry.path) if entry.path else None
        found.append(
            Suppression(
                "baseline", path, line, entry.rule, entry.reason, entry.until, file, None, entry.text, entry.count
            )
        )
    return found


def to_accept(document: Diagnosis) -> list[tuple[str, str | None, str, int]]:
    """Of the findings that count: rule, file, declared line, and how many there are of it."""
    counted: dict[tuple[str, str | None, str], int] = {}
    for finding in document.findings:
        place = place_of(finding)
        path = finding.evidence[0].path if finding.evidence else place.path if place else None
        key = (finding.rule_id, path, declared(finding))
        counted[key] = counted.get(key, 0) + 1
    return [(*key, count) for key, count in counted.items()]
