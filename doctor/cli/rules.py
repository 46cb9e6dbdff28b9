"""``llmdoctor rules``: the rule book itself."""

from __future__ import annotations

import functools
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from doctor.errors import UsageProblem

_Command = TypeVar("_Command", bound=Callable[..., Any])


@click.group("rules")
def command() -> None:
    """List, test, lint and extend the rule book.

    \b
    llmdoctor rules list --family memory
    llmdoctor rules new --from server.log:812          begin a rule from a line of a log
    llmdoctor rules lint --rules our-rules/            rules of your own: a folder, or an installed pack by its name
    llmdoctor rules test our-rule --rules our-rules/
    """


def _folders(command: _Command) -> _Command:
    """``--rules``: further rules by folder or pack; the command gets their folders."""

    @functools.wraps(command)
    def with_folders(*args: Any, folders: tuple[str, ...], **given: Any) -> Any:
        from doctor.rulebook.packs import named_folders

        return command(*args, folders=named_folders(folders), **given)

    option = click.option(
        "--rules", "folders", multiple=True, metavar="FOLDER|NAME", help="Further rules: a folder or a pack."
    )
    return option(with_folders)  # type: ignore[return-value]


@command.command("list")
@click.option("--family", help="Only this family, or its first half (memory, kv, ...).")
@click.option("--engine", help="Only rules that apply to this engine.")
@click.option("--format", "format_", type=click.Choice(["text", "json"]), default="text")
@_folders
def list_rules(family: str | None, engine: str | None, format_: str, folders: list[Path]) -> int:
    """All rules with kind, family, severity and title."""
    from doctor.rulebook.book import load_book

    book = load_book(folders)
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
def test_rules(ids: tuple[str, ...], folders: list[Path]) -> int:
    """Run the examples of all rules (or of those named) through the real scanner and matcher."""
    from doctor.rulebook.book import load_book
    from doctor.rulebook.examples import try_examples

    book = load_book(folders)
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
def lint_rules(folders: list[Path]) -> int:
    """Check rule and dialect files: schema, expressions, fact names, patterns, examples, references.

    With --rules, only those of the folders named: the shipped ones are clean, and two thousand patterns take time.
    """
    from doctor.rulebook.lint import lint

    mistakes = lint(folders, only_extra=bool(folders))
    for mistake in mistakes:
        click.echo(str(mistake))
    click.echo(f"{len(mistakes)} mistake(s)" if mistakes else "the rule book is clean")
    return 1 if mistakes else 0


@command.command("new")
@click.argument("line", required=False)
@click.option("--from", "source", metavar="LOG:LINE", help="Take the line from a log file instead.")
@click.option("--id", "id_", metavar="ID", help="The rule's name; suggested from the line by default.")
@click.option("--family", metavar="FAMILY", help="The cause family; that of the nearest rules by default.")
@click.option("--unlike", multiple=True, metavar="LINE", help="A line that looks alike and must not match.")
@click.option("--dir", "folder", metavar="FOLDER", default="rules", show_default=True, help="Where your rules are.")
@click.option("--print", "only_print", is_flag=True, help="Show the rule, write nothing.")
def new_rule(
    line: str | None,
    source: str | None,
    id_: str | None,
    family: str | None,
    unlike: tuple[str, ...],
    folder: str,
    only_print: bool,
) -> int:
    """Begin a rule from a line of a log: the line that names what went wrong.

    \b
    llmdoctor rules new "cudaMalloc failed: out of memory"
    llmdoctor rules new --from server.log:812 --id cuda-out-of-memory
    """
    from doctor import resources
    from doctor.rulebook.book import load_book
    from doctor.rulebook.scaffold import draft, write

    if (line is None) == (source is None):
        raise click.UsageError("Give one line in quotes, or --from LOG:LINE.")
    text = line if line is not None else _line_of(source or "")
    shipped = resources.folder("rules").resolve()
    target = Path(folder)
    elsewhere = target.resolve() != shipped
    book = load_book([target] if elsewhere and target.is_dir() else [])
    begun = draft(text, book, id_=id_, family=family, unlike=unlike)
    if begun.matched:
        rest = f" and {len(begun.matched) - 4} more" if len(begun.matched) > 4 else ""
        click.echo(f"note: rules look at this line already: {', '.join(begun.matched[:4])}{rest}", err=True)
        click.echo("      (llmdoctor explain RULE); yours has to say by what it differs, in `match`", err=True)
    if begun.near:
        click.echo(f"rules about similar lines: {', '.join(begun.near)}", err=True)
    if not begun.family_known:
        click.echo(f"note: no rule is near; the family {begun.family} is a guess (`llmdoctor rules list`)", err=True)
    if only_print:
        click.echo(begun.text, nl=False)
        return 0
    path = write(begun, target)
    click.echo(f"wrote {path}: fill in what stands there as TODO, then")
    further = f" --rules {shlex.quote(folder)}" if elsewhere else ""
    click.echo(f"  llmdoctor rules lint{further}")
    click.echo(f"  llmdoctor rules test {begun.id}{further}")
    return 0


def _line_of(source: str) -> str:
    """The line that ``LOG:LINE`` names, of a log in any wrapping that `analyze` reads."""
    path, _, number = source.rpartition(":")
    if not path or not number.isdecimal() or int(number) < 1:
        raise click.UsageError(f"--from takes LOG:LINE, for example server.log:812, not {source!r}.")
    from doctor.read.sources import collect

    collection = collect([path])
    for subject, message, hint in collection.problems:
        raise UsageProblem(message, subject=subject, hint=hint or None)
    for log in collection.sources:
        with log.open() as stream:
            for count, content in enumerate(stream, 1):
                if (log.lines.line(count) if log.lines is not None else count) == int(number):
                    return content.decode("utf-8", "replace").rstrip("\r\n")
    raise UsageProblem(f"has no line {number}", subject=path)


@command.command("docs")
@click.option("-o", "--output", "folder", default="rule-pages", show_default=True, metavar="FOLDER")
@_folders
def docs(folder: str, folders: list[Path]) -> int:
    """Write a page for each rule (Markdown): what it looks like, why, how to fix and provoke it, how we know."""
    from doctor.report.rule_pages import index_page, rule_page
    from doctor.rulebook.book import load_book
    from doctor.rulebook.examples import shown
    from doctor.scan.database import Database

    book = load_book(folders)
    database = Database(book.patterns())
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    for rule in book.rules.values():
        page = rule_page(rule.card, shown(rule, book, database))
        (target / f"{rule.id}.md").write_text(page, encoding="utf-8")
    (target / "index.md").write_text(index_page(list(book.rules.values())), encoding="utf-8")
    click.echo(f"{len(book.rules)} pages and {target / 'index.md'}")
    return 0


@command.command("verified")
@click.option("--engine", help="Only rules that apply to this engine.")
@_folders
def verified(engine: str | None, folders: list[Path]) -> int:
    """With which engine versions each rule was verified, and how it is known: where the book grows old."""
    from doctor.report.cards import print_verified
    from doctor.rulebook.book import load_book

    book = load_book(folders)
    print_verified([rule.card for rule in book.rules.values() if _is_of(rule.card, engine)])
    return 0


def _is_of(card: dict[str, Any], engine: str | None) -> bool:
    return engine is None or any(entry["name"] == engine for entry in card["engines"])


@command.command("coverage")
@click.argument("cases", metavar="CASES.yaml")
@_folders
def coverage(cases: str, folders: list[Path]) -> int:
    """Which known cases (a list of `source: owner/name#number` with `family`) are answered by which rule.

    A rule answers a case that it cites; one of another family that cites it is named as such.
    """
    from doctor.report.cards import print_coverage
    from doctor.rulebook.book import load_book
    from doctor.rulebook.coverage import cover, read_cases

    book = load_book(folders)
    print_coverage(cover(read_cases(Path(cases)), book))
    return 0


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
