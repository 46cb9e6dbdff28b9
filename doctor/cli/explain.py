"""``llmdoctor explain``: a rule, an exit code or a signal in words."""

from __future__ import annotations

import click

from doctor.errors import UsageProblem


@click.command("explain")
@click.argument("subject")
def command(subject: str) -> int:
    """Explain a rule (by its id), an exit code (137, 0xc0000135) or a signal (SIGABRT).

    \b
    llmdoctor explain 137
    llmdoctor explain SIGABRT
    llmdoctor explain rpc-kv-view-stale-support
    """
    from doctor.exitcodes import explain
    from doctor.rulebook.book import load_book

    book = load_book()
    rule = book.rules.get(subject)
    if rule is not None:
        from doctor.report.cards import print_rule

        print_rule(rule.card)
        return 0
    meaning = explain(subject)
    if meaning is not None:
        from doctor.report.cards import print_exit_code

        print_exit_code(meaning)
        return 0
    from difflib import get_close_matches

    near = get_close_matches(subject, book.rules, n=3, cutoff=0.4)
    raise UsageProblem(
        "neither a rule nor an exit code or signal",
        subject=subject,
        hint=f"did you mean {', '.join(near)}?" if near else "`llmdoctor rules list` shows the rules",
    )
