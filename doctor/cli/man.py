"""``llmdoctor man``: the manual page, made of the same texts as ``--help``."""

from __future__ import annotations

import re

import click


@click.command("man")
@click.argument("name", required=False, metavar="[COMMAND]")
def command(name: str | None) -> int:
    """Print the manual page of llmdoctor, or of one of its commands.

    \b
    llmdoctor man | man -l -
    llmdoctor man check | man -l -
    llmdoctor man > /usr/local/share/man/man1/llmdoctor.1
    """
    from doctor.cli import cli

    root = click.Context(cli, info_name="llmdoctor", **cli.context_settings)
    if name is None:
        click.echo(page(cli, root), nl=False)
        return 0
    _found, sub, _rest = cli.resolve_command(root, [name])
    assert sub is not None  # noqa: S101 - resolve_command raises else
    click.echo(page(sub, click.Context(sub, parent=root, info_name=name)), nl=False)
    return 0


def page(of: click.Command, context: click.Context) -> str:
    """A page of section 1 in the macros of man(7)."""
    from doctor import __version__

    path = context.command_path
    title = path.replace(" ", "-")
    head, _, rest = (of.help or "").partition("\n\n")
    usage = " ".join(of.collect_usage_pieces(context))
    lines = [
        f'.TH {_word(title.upper())} 1 "" "llmdoctor {__version__}"',
        ".SH NAME",
        f"{_text(title)} \\- {_text(' '.join(head.split()).rstrip('.'))}",
        ".SH SYNOPSIS",
        f".B {_text(path)}",
        _text(usage),
    ]
    if rest:
        lines += [".SH DESCRIPTION", *_prose(rest)]
    if isinstance(of, click.Group):
        lines.append(".SH COMMANDS")
        for name in of.list_commands(context):
            sub = of.get_command(context, name)
            if sub is not None:
                lines += [".TP", f".B {_text(name)}", _text(sub.get_short_help_str(200))]
    lines.append(".SH OPTIONS")
    for parameter in of.get_params(context):
        record = parameter.get_help_record(context) if isinstance(parameter, click.Option) else None
        if record is not None:
            lines += [".TP", f".B {_text(record[0])}", _text(record[1])]
    if of.epilog:
        lines += [".SH EXAMPLES", *_prose(re.sub(r"(?m)^Examples:\n", "", of.epilog))]
    lines += [
        ".SH EXIT STATUS",
        _text(
            "0 nothing grave was found; 1 something was; 2 wrong usage or no readable input; 3 with --strict, a rule"
            " could not be judged. `run` ends as its engine did."
        ),
    ]
    if isinstance(of, click.Group) and context.parent is None:
        names = ", ".join(f"llmdoctor man {name}" for name in of.list_commands(context))
        lines += [".SH SEE ALSO", _text(names)]
    return "\n".join(lines) + "\n"


def _prose(text: str) -> list[str]:
    """Paragraphs; one that begins with \\b keeps its lines, as in click's own help."""
    lines: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text.strip("\n")):
        if "\b" in paragraph:
            kept = [line for line in paragraph.replace("\b", "").split("\n") if line.strip()]
            lines += [".PP", ".nf", *(_text(line.strip()) for line in kept), ".fi"]
        else:
            lines += [".PP", _text(" ".join(paragraph.split()))]
    return lines


def _text(text: str) -> str:
    """As roff takes it for text: no escape, no request at the start of a line, a minus that can be copied."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join(f"\\&{line}" if line[:1] in {".", "'"} else line for line in text.split("\n"))


def _word(text: str) -> str:
    return f'"{_text(text)}"'
