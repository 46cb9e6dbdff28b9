"""A page a rule, in Markdown: what it looks like, why it happens, how to fix it, how to provoke it, how we know."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from doctor.report.markdown import bullet, code, fence, fold, prose

if TYPE_CHECKING:
    from doctor.rulebook.book import CompiledRule
    from doctor.vocabulary.document import Finding, RemedyEntry

# How a rule's claim is known, best first (DESIGN: `evidence`).
KNOWN_BY = {
    "reproduced": "the failure and its cure were produced with the real engine",
    "measured": "measured on real runs",
    "maintainer": "a maintainer of the engine said so",
    "source_read": "read in the engine's source",
    "reporter": "a user who had it reported the cause and the cure",
    "inferred": "inferred from messages and documentation",
}
_INNERMOST = re.compile(r"\{%-?\s*if\b(?:(?!\{%).)*?%\}((?:(?!\{%-?\s*(?:if|endif)\b).)*)\{%-?\s*endif\s*-?%\}", re.S)
_OTHERWISE = re.compile(r"\{%-?\s*else\s*-?%\}")
_VALUE = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}", re.S)
_TAG = re.compile(r"\{%.*?%\}", re.S)


def worded(template: str) -> str:
    """Prose as it reads when nothing is known; what a log fills in stands in angle brackets."""
    text, before = template, None
    while text != before:
        before = text
        text = _INNERMOST.sub(lambda found: [*_OTHERWISE.split(found[1]), ""][1], text)
    text = _VALUE.sub(r"<\1>", _TAG.sub(" ", text))
    return re.sub(r"\s+([;,.:)])", r"\1", " ".join(text.split()))


def rule_page(card: dict[str, Any], shown: Finding | None) -> str:
    """The page of one rule.

    Args:
        card: the rule as its file has it.
        shown: what the rule found in its first example, where that is a log: text with real numbers.
    """
    about = [code(card["id"]), card["kind"], card["family"] or "no family", card["severity"]]
    parts = [f"# {prose(card['title'])}", " · ".join(about)]
    if card["engines"]:
        parts.append("\n".join(bullet(_engine(entry)) for entry in card["engines"]))
    parts += ["## What it looks like", *_looks(card, shown.summary if shown is not None else "")]
    why = shown.explanation if shown is not None else worded(card["explanation"])
    if why:
        parts += ["## Why it happens", prose(why)]
    remedies = list(_shown_remedies(shown.remedies) if shown is not None else _told_remedies(card["remedies"]))
    if remedies:
        parts += ["## How to fix it", *remedies]
    if card["collect"]:
        parts += ["## What to collect", "\n".join(bullet(worded(item)) for item in card["collect"])]
    if card["provoke"]:
        parts += ["## How to provoke it", prose(worded(card["provoke"]))]
    parts += ["## How we know", prose(f"{_sentence(KNOWN_BY[card['evidence']])}.")]
    if card["verified_with"]:
        parts.append(prose(f"Verified with {', '.join(card['verified_with'])}."))
    if card["references"]:
        parts.append("\n".join(_reference(entry) for entry in card["references"]))
    return "\n\n".join(parts) + "\n"


def index_page(rules: Sequence[CompiledRule]) -> str:
    """All rules under their families, with links to their pages."""
    lines = ["# Rules", "", f"{len(rules)} rules. `llmdoctor explain RULE` shows one in a terminal."]
    family = None
    for rule in sorted(rules, key=lambda rule: (rule.family, rule.id)):
        if rule.family != family:
            lines += ["", f"## {prose(rule.family)}", ""]
            family = rule.family
        lines.append(f"- [{prose(rule.title)}]({rule.id}.md)")
    return "\n".join(lines) + "\n"


def _engine(entry: dict[str, Any]) -> str:
    fixed = f", fixed in {entry['fixed']}" if entry["fixed"] else ""
    return f"{entry['name']} {entry['affected'] or ''}".strip() + fixed


def _looks(card: dict[str, Any], summary: str) -> Iterator[str]:
    logs = [example["log"] for example in card["examples"]["match"] if example["log"]]
    if logs:
        yield fence(logs[0])
    if summary:
        yield f"> {prose(summary)}"
    patterns = "\n".join(f"{name}: {found['pattern']}" for name, found in card["signatures"].items())
    if patterns:
        yield fold("The patterns that are looked for", fence(patterns)) if logs else fence(patterns)
    others = [example for example in card["examples"]["no_match"] if example["log"] and example["why"]]
    if others:
        told = "\n\n".join(f"{prose(_sentence(example['why']))}:\n\n{fence(example['log'])}" for example in others[:3])
        yield fold("What looks like it and is something else", told)
    if not logs and not patterns:
        yield prose("No line of a log shows it: it follows from settings and figures.")


def _shown_remedies(remedies: Sequence[RemedyEntry]) -> Iterator[str]:
    for number, remedy in enumerate(remedies, 1):
        yield _remedy(number, remedy.title, remedy.removes, remedy.safety, remedy.cost)
        told = [action["text"] for action in remedy.actions if action.get("kind") == "explain" and action.get("text")]
        yield from (f"    {prose(text)}" for text in told)


def _told_remedies(remedies: Sequence[dict[str, Any]]) -> Iterator[str]:
    for number, remedy in enumerate(remedies, 1):
        cost = worded(remedy["cost"]) if remedy["cost"] else None
        yield _remedy(number, worded(remedy["title"]), remedy["removes"], remedy["safety"], cost)


def _remedy(number: int, title: str, removes: str, safety: str, cost: str | None) -> str:
    price = f"; the price: {cost.rstrip('.')}" if cost else ""
    told = f"Removes the {removes}; {safety.replace('_', ' ')}{price}."
    return f"{number}. **{prose(title)}**  \n    {prose(told)}"


def _reference(entry: dict[str, Any]) -> str:
    note = f": {prose(entry['note'])}" if entry["note"] else ""
    return f"- <{entry['url']}> ({entry['kind']}){note}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
