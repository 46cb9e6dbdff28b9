"""Which known cases the rule book answers: a case is a public thread, and a rule that knows it cites it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from doctor.errors import UsageProblem

if TYPE_CHECKING:
    from doctor.rulebook.book import RuleBook

_THREAD = re.compile(r"github\.com/([\w.-]+/[\w.-]+)/(?:issues|pull|discussions)/(\d+)")
_SOURCE = re.compile(r"[\w.-]+/[\w.-]+#\d+")


@dataclass(frozen=True, slots=True)
class KnownCase:
    """A thread (``owner/name#number``), and the families that are right for it; ``none``: nothing is wrong."""

    source: str
    engine: str
    families: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Covered:
    """Attributes:
    answers: rules of a right family that cite the case.
    others: rules of other families that cite it.
    """

    case: KnownCase
    answers: tuple[str, ...]
    others: tuple[str, ...]


def read_cases(path: Path) -> list[KnownCase]:
    """Raises UsageProblem: the file can't be read or is no list of cases."""
    import yaml

    hint = "a list of {source: owner/name#number, engine: ..., family: ...}"
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageProblem(error.strerror or "can't be read", subject=str(path), hint=hint) from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}: {getattr(error, 'problem', '')}" if mark else ""
        raise UsageProblem(f"is no YAML{place}", subject=str(path), hint=hint) from None
    if not isinstance(entries, list):
        raise UsageProblem("is no list of cases", subject=str(path), hint=hint)
    cases = []
    for number, entry in enumerate(entries, 1):
        source = entry.get("source") if isinstance(entry, dict) else None
        if not isinstance(source, str) or not isinstance(entry.get("family"), str):
            raise UsageProblem(f"case {number} has no source or no family", subject=str(path), hint=hint)
        families = (entry["family"], *map(str, entry.get("also") or ()))
        cases.append(KnownCase(source, str(entry.get("engine") or ""), families))
    return cases


def cover(cases: Sequence[KnownCase], book: RuleBook) -> Iterator[Covered]:
    """The cases in their order, each with the rules that cite it."""
    citing: dict[str, list[str]] = {}
    for rule in book.rules.values():
        for reference in rule.card["references"]:
            for repository, number in _THREAD.findall(reference["url"]):
                citing.setdefault(f"{repository}#{number}".lower(), []).append(rule.id)
    for case in cases:
        rules = dict.fromkeys(rule for name in _SOURCE.findall(case.source) for rule in citing.get(name.lower(), []))
        right = [rule for rule in rules if book.rules[rule].family in case.families or "none" in case.families]
        yield Covered(case, tuple(right), tuple(rule for rule in rules if rule not in right))
