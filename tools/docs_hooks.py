"""Pages of the documentation that are made of the program itself, when the site is built: nothing of it is committed.

Commands from click, settings and formats from their models, facts from the catalogue, rules from the rule book.
https://www.mkdocs.org/user-guide/configuration/#hooks
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from typing import Any

import click
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page


def on_files(files: Files, config: MkDocsConfig) -> Files:
    made = {
        "reference/commands.md": commands(),
        "reference/facts.md": facts(),
        "reference/formats.md": formats(),
        "decisions/index.md": decisions(files),
        **{f"rules/{name}": text for name, text in rules()},
    }
    for name, text in made.items():
        files.append(File.generated(config, name, content=text))
    for name, schema in schemas().items():
        files.append(File.generated(config, f"reference/{name}", content=json.dumps(schema, indent=1)))
    return files


def on_page_markdown(markdown: str, page: Page, **_given: Any) -> str:
    if page.file.src_uri == "configuration.md":
        from doctor.settings.file import json_schema

        return markdown.replace("<!-- settings -->", _keys(json_schema()))
    if page.file.src_uri == "suppression.md":
        from pydantic import TypeAdapter

        from doctor.settings.baseline import Entry

        return markdown.replace("<!-- entry -->", _keys(TypeAdapter(Entry).json_schema()))
    return markdown


def commands() -> str:
    """Every command with its options, as click knows them."""
    from doctor.cli import cli

    parts = ["# Commands", "The same texts as `llmdoctor COMMAND --help` and `llmdoctor man COMMAND` print."]
    root = click.Context(cli, info_name="llmdoctor")
    for name in cli.list_commands(root):
        command = cli.get_command(root, name)
        if command is None:
            continue
        context = click.Context(command, parent=root, info_name=name)
        parts += _command(command, context, 2)
        if isinstance(command, click.Group):
            for below in command.list_commands(context):
                sub = command.get_command(context, below)
                if sub is not None:
                    parts += _command(sub, click.Context(sub, parent=context, info_name=below), 3)
    return "\n\n".join(parts) + "\n"


def _command(command: click.Command, context: click.Context, depth: int) -> Iterator[str]:
    yield f"{'#' * depth} {context.command_path}"
    yield f"```\n{context.command_path} {' '.join(command.collect_usage_pieces(context))}\n```"
    for paragraph in re.split(r"\n\s*\n", (command.help or "").strip()):
        if "\b" in paragraph:
            lines = [line.strip() for line in paragraph.replace("\b", "").split("\n") if line.strip()]
            yield "```\n" + "\n".join(lines) + "\n```"
        else:
            yield _plain(" ".join(paragraph.split()))
    records = [
        record
        for parameter in command.get_params(context)
        if isinstance(parameter, click.Option) and (record := parameter.get_help_record(context))
    ]
    if records:
        yield "| option | |\n| --- | --- |\n" + "\n".join(
            f"| `{_cell(names)}` | {_plain(_cell(about))} |" for names, about in records
        )


def facts() -> str:
    """The catalogue of facts: what rules, `--format json` and targets may name."""
    from doctor.facts.catalogue import load_catalogue

    catalogue = load_catalogue()
    parts = [
        "# Facts",
        "What llmdoctor may come to know of a run, by the names that rules and the diagnosis document use. A fact is"
        " present, absent or unknown; sizes are bytes.",
    ]
    families = dict.fromkeys(name.partition(".")[0] for name in catalogue.scalars)
    for family in families:
        rows = [(name, entry) for name, entry in catalogue.scalars.items() if name.partition(".")[0] == family]
        parts += [f"## {family}", _facts(rows)]
    for record, entries in catalogue.records.items():
        parts += [f"## {record}[*]", _facts(list(entries.items()))]
    return "\n\n".join(parts) + "\n"


def _facts(rows: list[tuple[str, Any]]) -> str:
    lines = ["| name | type | |", "| --- | --- | --- |"]
    for name, entry in rows:
        if not isinstance(entry, dict):
            continue
        kind = " ".join(filter(None, (str(entry.get("type", "")), entry.get("unit", ""))))
        lines.append(f"| `{name}` | {kind} | {_plain(_cell(entry.get('doc', '')))} |")
    return "\n".join(lines)


def schemas() -> dict[str, Any]:
    """The JSON Schemas of everything that programs read and write."""
    from doctor.probe.document import json_schema as probe
    from doctor.settings.file import json_schema as settings
    from doctor.vocabulary.document import json_schema as diagnosis
    from doctor.vocabulary.rule import Rule

    return {
        "diagnosis.schema.json": diagnosis(),
        "probe.schema.json": probe(),
        "settings.schema.json": settings(),
        "rule.schema.json": Rule.model_json_schema(),
    }


def decisions(files: Files) -> str:
    lines = ["# Decisions", "", "What others will wonder about, and why it is so.", ""]
    for file in sorted(files.documentation_pages(), key=lambda file: file.src_uri):
        if file.src_uri.startswith("decisions/"):
            title = file.content_string.partition("\n")[0].lstrip("# ")
            lines.append(f"- [{title}]({file.src_uri.removeprefix('decisions/')})")
    return "\n".join(lines) + "\n"


def formats() -> str:
    """The formats by name, and the diagnosis document field by field, from its schema."""
    from doctor.report.formats import FORMATS

    lines = ["| format | file name | |", "| --- | --- | --- |"]
    for name, format_ in FORMATS.items():
        suffixes = ", ".join(f"`{suffix}`" for suffix in format_.suffixes)
        lines.append(f"| `{name}` | {suffixes} | {_cell(format_.about)} |")
    made = schemas()
    listed = "\n".join(f"- [{name}]({name})" for name in made)
    parts = [
        "# Formats",
        "How each of them is to be used: [Reports](../reports.md).",
        "\n".join(lines),
        "## JSON Schemas",
        listed,
        "## The diagnosis document",
        "Fields are added, never renamed.",
    ]
    schema = made["diagnosis.schema.json"]
    for name, entry in {"Diagnosis": schema, **schema["$defs"]}.items():
        if "properties" not in entry:
            continue
        about = (entry.get("description") or "").partition("\n\n")[0]
        parts.append(f"### {name}")
        if about:
            parts.append(_plain(" ".join(about.split())))
        rows = ["| field | type |", "| --- | --- |"]
        rows += [f"| `{key}` | {_cell(_type(value))} |" for key, value in entry["properties"].items()]
        parts.append("\n".join(rows))
    return "\n\n".join(parts) + "\n"


def rules() -> Iterator[tuple[str, str]]:
    """A page a rule, as `llmdoctor rules docs` writes them."""
    from doctor.report.rule_pages import index_page, rule_page
    from doctor.rulebook.book import load_book
    from doctor.rulebook.examples import shown
    from doctor.scan.database import Database

    book = load_book()
    database = Database(book.patterns())
    quick = bool(os.environ.get("LLMDOCTOR_DOCS_QUICK"))  # without the numbers of an example: for a look at a page
    for rule in book.rules.values():
        yield f"{rule.id}.md", _folds(rule_page(rule.card, None if quick else shown(rule, book, database)))
    yield "index.md", index_page(list(book.rules.values()))


def _folds(text: str) -> str:
    """What is folded is Markdown too (the extension md_in_html)."""
    return text.replace("<details>", '<details markdown="1">')


def _keys(schema: dict[str, Any]) -> str:
    definitions = schema.get("$defs", {})
    lines = ["| key | type | default | |", "| --- | --- | --- | --- |"]
    for name, entry in schema["properties"].items():
        default = json.dumps(entry["default"]) if entry.get("default") not in (None, [], {}) else ""
        about = _cell(" ".join(entry.get("description", "").split()))
        lines.append(
            f"| `{name}` | {_cell(_type(entry, definitions))} | {f'`{default}`' if default else ''} | {about} |"
        )
    return "\n".join(lines)


def _type(entry: dict[str, Any], definitions: dict[str, Any] | None = None) -> str:
    if "$ref" in entry:
        name = entry["$ref"].rpartition("/")[2]
        found = (definitions or {}).get(name, {})
        return ", ".join(f"`{word}`" for word in found["enum"]) if "enum" in found else name
    if "enum" in entry:
        return ", ".join(f"`{word}`" for word in entry["enum"])
    if "const" in entry:
        return f"`{entry['const']}`"
    if "anyOf" in entry:
        kinds = [_type(each, definitions) for each in entry["anyOf"] if each.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if entry.get("type") == "array":
        return f"list of {_type(entry.get('items', {}), definitions)}"
    if entry.get("type") == "object" and isinstance(entry.get("additionalProperties"), dict):
        return f"table of {_type(entry['additionalProperties'], definitions)}"
    return str(entry.get("format") or entry.get("type") or "any")


def _cell(text: str) -> str:
    return " ".join(str(text).split()).replace("|", "\\|")


def _plain(text: str) -> str:
    """Text of a help: nothing in it is markup, except code between backticks."""
    pieces = text.split("`")
    return "`".join(
        piece if number % 2 else re.sub(r"([<>*_\[\]])", r"\\\1", piece) for number, piece in enumerate(pieces)
    )
