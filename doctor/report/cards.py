"""A rule, the list of rules and an exit code on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from doctor.report.text import make_console

if TYPE_CHECKING:
    from doctor.exitcodes import ExitMeaning
    from doctor.rulebook.book import CompiledRule


def print_rule(card: dict[str, Any]) -> None:
    """A rule as its author means it: what it looks like, why, what to do, how it is known."""
    out = make_console()
    out.print(Text(card["title"], style="bold"))
    known = card["evidence"].replace("_", " ")
    about = [card["id"], card["kind"], card["family"] or "no family", card["severity"], f"known by: {known}"]
    out.print(Text(" · ".join(about), style="dim"))
    for engine in card["engines"]:
        fixed = f" (fixed in {engine['fixed']})" if engine["fixed"] else ""
        out.print(Text(f"{engine['name']} {engine['affected'] or ''}".strip() + fixed))
    if card["explanation"]:
        out.print(Text("\n" + " ".join(card["explanation"].split())))
    if card["signatures"]:
        out.print(Text("\nWhat it looks like", style="bold"))
        for name, signature in card["signatures"].items():
            out.print(Padding(Text(f"{name}: {signature['pattern']}"), (0, 0, 0, 2)))
    if card["remedies"]:
        out.print(Text("\nWhat to do", style="bold"))
        for number, remedy in enumerate(card["remedies"], 1):
            title = " ".join(remedy["title"].split())
            out.print(Padding(Text(f"{number}. {title}  (removes the {remedy['removes']})"), (0, 0, 0, 2)))
    if card["provoke"]:
        out.print(Text("\nHow to provoke it", style="bold"))
        out.print(Padding(Text(" ".join(card["provoke"].split())), (0, 0, 0, 2)))
    for reference in card["references"]:
        note = f" - {reference['note']}" if reference["note"] else ""
        out.print(Text(f"See {reference['url']}{note}", style="dim"))


def print_rule_list(rules: Sequence[CompiledRule]) -> None:
    """One line a rule."""
    out = make_console()
    table = Table(box=None, pad_edge=False, show_edge=False)
    for title in ("rule", "kind", "family", "severity", "title"):
        table.add_column(title, overflow="fold")
    for rule in rules:
        table.add_row(rule.id, rule.kind.value, rule.family, rule.severity.value, Text(rule.title))
    out.print(table)
    out.print(Text(f"{len(rules)} rules", style="dim"))


def print_exit_code(meaning: ExitMeaning) -> None:
    """What an exit status, a signal or a Windows status means, and where to look."""
    out = make_console()
    out.print(Text(f"{meaning.code}: {meaning.name}", style="bold"))
    out.print(Text(meaning.meaning))
    for title, lines in (("Usual causes with local inference engines", meaning.causes), ("Look at", meaning.look_at)):
        if lines:
            out.print(Text(f"\n{title}", style="bold"))
            for line in lines:
                out.print(Padding(Text(f"- {line}"), (0, 0, 0, 2)))
