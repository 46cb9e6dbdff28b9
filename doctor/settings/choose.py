"""Which rules of a book count, and how much."""

from __future__ import annotations

from typing import TYPE_CHECKING

from doctor.errors import UsageProblem
from doctor.settings import Choice
from doctor.vocabulary.terms import Kind

if TYPE_CHECKING:
    from doctor.rulebook.book import CompiledRule, RuleBook


def choose(book: RuleBook, choice: Choice) -> None:
    """Leaves rules out of the book and changes severities, before anything is judged.

    What only sorts the lines of a log (wrappers and noise) is no matter of `select`: without it other answers would
    be worse. `ignore` leaves out such a rule too, when it is named by its id.

    Raises:
        UsageProblem: a name is neither a rule nor a family.
    """
    names = {name for rule in book.rules.values() for name in names_of(rule)}
    for key, given in (("select", choice.select), ("ignore", choice.ignore), ("severity", tuple(choice.severity))):
        for name in given:
            if name not in names:
                raise _unknown(name, key, names, choice.origin)
    kept = {}
    for rule in book.rules.values():
        mine = names_of(rule)
        is_plain = rule.kind in {Kind.CAUSE, Kind.ADVICE}
        if choice.select and is_plain and not mine & set(choice.select):
            continue
        if (mine if is_plain else {rule.id}) & set(choice.ignore):
            continue
        nearest = (rule.id, rule.family, rule.family.partition(".")[0])
        rule.severity = next((choice.severity[name] for name in nearest if name in choice.severity), rule.severity)
        kept[rule.id] = rule
    book.rules = kept


def names_of(rule: CompiledRule) -> set[str]:
    return {rule.id, rule.family, rule.family.partition(".")[0]}


def _unknown(name: str, key: str, names: set[str], origin: str) -> UsageProblem:
    from difflib import get_close_matches

    near = get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else "`llmdoctor rules list` shows rules and families"
    return UsageProblem(f"{key}: no such rule or family: {name}", subject=origin or None, hint=hint)
