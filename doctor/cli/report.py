"""``llmdoctor report``: a saved diagnosis in another format; and the options for formats that other commands share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from doctor.errors import UsageProblem
from doctor.report.formats import FORMATS, chosen, deliver, render

if TYPE_CHECKING:
    from doctor.vocabulary.document import Diagnosis

_MOST_BYTES = 512 << 20
_Command = TypeVar("_Command", bound=Callable[..., Any])


def format_options(command: _Command) -> _Command:
    """``--format`` and ``-o``. Without ``--format`` the name of the file says it: report.html, results.sarif, ..."""
    output = click.option(
        "-o", "--output", metavar="FILE", help="Write to a file; its name may say the format: report.html, out.sarif."
    )
    format_ = click.option(
        "--format", "format_", type=click.Choice(list(FORMATS)), metavar="FORMAT", help=f"One of {', '.join(FORMATS)}."
    )
    return format_(output(command))


def hand_over(document: Diagnosis, format_: str | None, output: str | None, *, verbose: int = 0) -> None:
    """Writes the document to where it was asked for."""
    name = chosen(format_, output)
    if name == "text" and output in {None, "-"}:
        from doctor.report.text import print_text

        print_text(document, verbose=verbose)
    else:
        deliver(render(document, name, verbose=verbose), output)


@click.command("report")
@click.argument("diagnosis", required=False, metavar="DIAGNOSIS.json")
@format_options
@click.option("--schema", "print_schema", is_flag=True, help="Print the JSON Schema of the diagnosis document.")
@click.option("-v", "--verbose", count=True, help="For text: all remedies, references, facts.")
def command(diagnosis: str | None, format_: str | None, output: str | None, print_schema: bool, verbose: int) -> int:
    """Write a saved diagnosis in another format; a web page if none is named.

    DIAGNOSIS.json is what `llmdoctor analyze --format json` wrote; `-` reads standard input. Nothing is analysed
    again. The exit status is 0 when the report was written.

    \b
    llmdoctor report diagnosis.json -o report.html
    llmdoctor report diagnosis.json --format github-summary >> "$GITHUB_STEP_SUMMARY"
    """
    if print_schema:
        import json

        from doctor.vocabulary.document import json_schema

        deliver(json.dumps(json_schema(), indent=1) + "\n", output)
        return 0
    if diagnosis is None:
        raise click.UsageError("Nothing to report: name a diagnosis document, or - for standard input.")
    name = chosen(format_, output, default="html")
    if name == "html" and output is None and sys.stdout.isatty():
        raise UsageProblem("a web page is not for a terminal", hint="-o report.html writes it to a file")
    hand_over(load(diagnosis), name, output, verbose=verbose)
    return 0


def load(path: str) -> Diagnosis:
    """A saved diagnosis document; secrets that somebody wrote into it are taken out.

    Raises:
        UsageProblem: the file can't be read, or is none.
    """
    from pydantic import ValidationError

    from doctor.redact import Redactor
    from doctor.vocabulary.document import read

    try:
        if path == "-":
            data = sys.stdin.buffer.read(_MOST_BYTES + 1)
        else:
            with Path(path).open("rb") as file:
                data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise UsageProblem(f"can't be read: {error.strerror}", subject=path) from None
    if len(data) > _MOST_BYTES:
        raise UsageProblem(f"is larger than {_MOST_BYTES >> 20} MiB", subject=path)
    hint = "it has to be what `llmdoctor analyze --format json` writes"
    try:
        document = read(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        message = f"{where}: {first['msg']}" if where else str(first["msg"])
        raise UsageProblem(f"is no diagnosis document: {message}", subject=path, hint=hint) from None
    if document.schema != "llmdoctor/diagnosis/1":
        raise UsageProblem(f"is a document of another kind: {document.schema[:60]!r}", subject=path, hint=hint)
    made: Diagnosis = Redactor().data(document)
    return made
