"""The formats by name, each one renderer of the same document, and how a rendered text leaves the program.

The exit status of a command never depends on what is chosen here.
"""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from doctor.errors import UsageProblem

if TYPE_CHECKING:
    from doctor.vocabulary.document import Diagnosis


@dataclass(frozen=True, slots=True)
class Format:
    """A renderer, imported when it is used.

    Attributes:
        function: ``module:function`` of doctor.report; takes the document, returns the text.
        suffixes: names of files that say without ``--format`` which one is wanted.
    """

    function: str
    about: str
    suffixes: tuple[str, ...] = ()


FORMATS = {
    "text": Format("", "for a terminal", (".txt", ".log")),
    "html": Format("html:render_html", "one self-contained page, for people", (".html", ".htm")),
    "json": Format("json:render_json", "the diagnosis document: everything, for programs", (".json",)),
    "jsonl": Format("jsonl:render_jsonl", "the same, one record a line", (".jsonl", ".ndjson")),
    "sarif": Format("sarif:render_sarif", "SARIF 2.1.0, for code scanning and editors", (".sarif",)),
    "junit": Format("junit:render_junit", "JUnit XML, for CI", (".xml",)),
    "github": Format("github:render_annotations", "annotations in a GitHub workflow's log"),
    "github-summary": Format("github:render_summary", "Markdown for $GITHUB_STEP_SUMMARY"),
    "gitlab": Format("gitlab:render_gitlab", "GitLab's code quality report"),
    "markdown": Format("markdown:render_issue", "for an upstream issue, without names and addresses", (".md",)),
}


def chosen(name: str | None, output: str | None, default: str = "text") -> str:
    """The format asked for: by its name, else by the name of the file."""
    if name is not None:
        return name
    if output is None or output == "-":
        return default
    suffixes = "".join(Path(output).suffixes[-2:]).lower()
    for found, format_ in FORMATS.items():
        if any(suffixes.endswith(suffix) for suffix in format_.suffixes):
            return found
    return default


def render(document: Diagnosis, name: str, *, verbose: int = 0) -> str:
    """The document in a format."""
    if name == "text":
        from doctor.report.text import print_text

        out = io.StringIO()
        print_text(document, verbose=verbose, stream=out)
        return out.getvalue()
    module, _, function = FORMATS[name].function.partition(":")
    text: str = getattr(import_module(f"doctor.report.{module}"), function)(document)
    return text


def deliver(text: str, output: str | None) -> None:
    """Writes a text to a file, or to standard output (``-`` or None), as UTF-8 on every system.

    Raises:
        UsageProblem: the file can't be written.
    """
    data = text.encode("utf-8", "replace")
    if output is None or output == "-":
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    try:
        Path(output).write_bytes(data)
    except OSError as error:
        hint = "the folder does not exist" if isinstance(error, FileNotFoundError) else "name another file with -o"
        raise UsageProblem(f"can't be written: {error.strerror}", subject=output, hint=hint) from None
