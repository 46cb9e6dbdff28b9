"""A rule, the list of rules and an exit code on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from doctor.report.page import Page
from doctor.report.rule_pages import KNOWN_BY, worded

if TYPE_CHECKING:
    from doctor.exitcodes import ExitMeaning
    from doctor.rulebook.book import CompiledRule
    from doctor.rulebook.coverage import Covered


def print_rule(card: dict[str, Any]) -> None:
    """A rule as its author means it: what it looks like, why, what to do, how it is known."""
    page = Page()
    page.say((card["title"], "bold"))
    known = card["evidence"].replace("_", " ")
    about = [card["id"], card["kind"], card["family"] or "no family", card["severity"], f"known by: {known}"]
    page.say(" · ".join(about), style="dim")
    for engine in card["engines"]:
        fixed = f" (fixed in {engine['fixed']})" if engine["fixed"] else ""
        page.say(f"{engine['name']} {engine['affected'] or ''}".strip() + fixed)
    if card["explanation"]:
        page.gap()
        page.say(worded(card["explanation"]))
    _part(page, "What it looks like", [f"{name}: {found['pattern']}" for name, found in card["signatures"].items()])
    remedies = [
        f"{number}. {worded(remedy['title'])}  (removes the {remedy['removes']})"
        for number, remedy in enumerate(card["remedies"], 1)
    ]
    _part(page, "What to do", remedies)
    _part(page, "How to provoke it", [worded(card["provoke"])] if card["provoke"] else [])
    if card["references"]:
        page.gap()
    for reference in card["references"]:
        note = f" - {reference['note']}" if reference["note"] else ""
        page.say(f"See {reference['url']}{note}", hang=4, style="dim")


def print_rule_list(rules: Sequence[CompiledRule]) -> None:
    """One row a rule, under its family; into a pipe one line a rule with all of it, for grep."""
    page = Page()
    if page.height is None:
        for rule in rules:
            page.line(f"{rule.id:<44} {rule.kind.value:<8} {rule.family:<27} {rule.severity.value:<6} {rule.title}")
        return
    column = min(max((len(rule.id) for rule in rules), default=0) + 4, page.width // 2)
    family = None
    for rule in rules:
        if rule.family != family:
            page.say((rule.family, "bold"))
            family = rule.family
        page.say((f"  {rule.id}".ljust(column), "cyan"), f" {rule.title}", hang=column + 1)
    page.say(f"{len(rules)} rules; llmdoctor explain RULE shows one", style="dim")


def print_verified(cards: Sequence[dict[str, Any]]) -> None:
    """Engine by engine: with what each rule was verified, weakest knowledge first."""
    ranks = list(KNOWN_BY)
    rows = [(", ".join(entry["name"] for entry in card["engines"]) or "any engine", card) for card in cards]
    for engines, card in sorted(rows, key=lambda row: (row[0], -ranks.index(row[1]["evidence"]), row[1]["id"])):
        known = card["evidence"].replace("_", " ")
        print_line(f"{engines:<28} {card['id']:<44} {known:<12} {', '.join(card['verified_with']) or '-'}")


def print_coverage(covered: Iterable[Covered]) -> None:
    """A line a case, and the sums."""
    count = answered = elsewhere = 0
    for entry in covered:
        count += 1
        answered += bool(entry.answers)
        elsewhere += bool(entry.others and not entry.answers)
        said = ", ".join(entry.answers) or ("no rule cites it" if not entry.others else "")
        if not entry.answers and entry.others:
            said = f"cited by a rule of another family: {', '.join(entry.others)}"
        print_line(f"{entry.case.source:<44} {entry.case.families[0]:<24} {said}")
    print_line(
        f"{count} cases: {answered} cited by a rule of a right family, {elsewhere} by one of another family, "
        f"{count - answered - elsewhere} by none"
    )


def print_line(text: str) -> None:
    """A row of a table for grep: never folded."""
    Page().line(text.rstrip())


def print_exit_code(meaning: ExitMeaning) -> None:
    """What an exit status, a signal or a Windows status means, and where to look."""
    page = Page()
    page.say((f"{meaning.code}: {meaning.name}", "bold"))
    page.say(meaning.meaning)
    for title, lines in (("Usual causes with local inference engines", meaning.causes), ("Look at", meaning.look_at)):
        _part(page, title, [f"- {line}" for line in lines])


def _part(page: Page, title: str, paragraphs: Sequence[str]) -> None:
    if paragraphs:
        page.gap()
        page.say((title, "bold"))
        for text in paragraphs:
            page.say(text, indent=2, hang=4)
