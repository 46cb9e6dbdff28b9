"""``llmdoctor rules``: the rule book itself."""

from __future__ import annotations

import json
from pathlib import Path

import click

from doctor.errors import UsageProblem


@click.group("rules")
def command() -> None:
    """List, test and lint the rule book."""


_folders = click.option("--rules", "folders", multiple=True, metavar="FOLDER", help="Further rules.")


@command.command("list")
@click.option("--family", help="Only this family, or its first half (memory, kv, ...).")
@click.option("--engine", help="Only rules that apply to this engine.")
@click.option("--format", "format_", type=click.Choice(["text", "json"]), default="text")
@_folders
def list_rules(family: str | None, engine: str | None, format_: str, folders: tuple[str, ...]) -> int:
    """All rules with kind, family, severity and title."""
    from doctor.rulebook.book import load_book

    book = load_book([Path(folder) for folder in folders])
    rules = [
        rule
        for rule in sorted(book.rules.values(), key=lambda rule: (rule.family, rule.id))
        if (family is None or rule.family == family or rule.family.startswith(f"{family}."))
        and (engine is None or not rule.engines or any(entry["name"] == engine for entry in rule.engines))
    ]
    if format_ == "json":
        click.echo(json.dumps([rule.card for rule in rules], indent=1))
        return 0
    from doctor.report.cards import print_rule_list

    print_rule_list(rules)
    return 0


@command.command("test")
@click.argument("ids", nargs=-1)
@_folders
def test_rules(ids: tuple[str, ...], folders: tuple[str, ...]) -> int:
    """Run the examples of all rules (or of those named) through the real scanner and matcher."""
    from doctor.rulebook.book import load_book
    from doctor.rulebook.examples import try_examples

    book = load_book([Path(folder) for folder in folders])
    unknown = [name for name in ids if name not in book.rules]
    if unknown:
        raise UsageProblem("no such rule", subject=unknown[0], hint="`llmdoctor rules list` shows the rules")
    failures, count = 0, 0
    for result in try_examples(book, ids):
        count += 1
        if not result.passed:
            failures += 1
            click.echo(f"FAIL {result.rule_id} {result.name}: {result.reason}")
    click.echo(f"{count} examples of {len(ids) or len(book.rules)} rules: {count - failures} passed, {failures} failed")
    return 1 if failures else 0


@command.command("lint")
@_folders
def lint_rules(folders: tuple[str, ...]) -> int:
    """Check rule and dialect files: schema, expressions, fact names, patterns, examples, references."""
    from doctor.rulebook.lint import lint

    mistakes = lint([Path(folder) for folder in folders])
    for mistake in mistakes:
        click.echo(str(mistake))
    click.echo(f"{len(mistakes)} mistake(s)" if mistakes else "the rule book is clean")
    return 1 if mistakes else 0


@command.command("schema")
@click.argument("which", type=click.Choice(["rule", "dialect", "diagnosis"]), default="rule")
def schema(which: str) -> int:
    """Print the JSON Schema of a rule file, a dialect file or the diagnosis document."""
    from doctor.vocabulary import document
    from doctor.vocabulary.dialect import Dialect
    from doctor.vocabulary.rule import Rule

    if which == "diagnosis":
        made = document.json_schema()
    else:
        made = (Rule if which == "rule" else Dialect).model_json_schema()
    click.echo(json.dumps(made, indent=1))
    return 0
