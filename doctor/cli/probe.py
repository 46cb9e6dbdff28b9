"""``llmdoctor probe``: what this machine has that local inference depends on."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from doctor.cli import BEGAN


@click.command("probe")
@click.option("-o", "--output", metavar="FILE", help="Write the document: JSON, or YAML where FILE ends in .yaml.")
@click.option("--for", "engine", metavar="ENGINE", help="Ask only what matters to it: llama.cpp, ollama, vllm, ...")
@click.option("--format", "format_", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--models", "model_folders", multiple=True, metavar="FOLDER", help="Where models lie: its disk matters.")
@click.option(
    "--timeout", type=click.FloatRange(0.1, 60), help="Seconds that asking may take; by default what two in all leave."
)
@click.option(
    "--private", is_flag=True, help="Users, hosts, addresses and home folders as tokens too, not only secrets."
)
@click.option("--schema", is_flag=True, help="Print the JSON Schema of the document, ask nothing.")
def command(
    output: str | None,
    engine: str | None,
    format_: str,
    model_folders: tuple[str, ...],
    timeout: float | None,
    private: bool,
    schema: bool,
) -> int:
    """Show what this machine has that local inference depends on, and what is odd about it.

    Read-only, without root, within two seconds. `llmdoctor analyze --hardware FILE` takes the document elsewhere.

    \b
    llmdoctor probe                          what is here, and what is odd about it
    llmdoctor probe -o host.json             for `analyze --hardware` and `check --target` elsewhere
    llmdoctor probe --for vllm --private     what matters to one engine, without names
    """
    if schema:
        from doctor.probe.document import json_schema

        click.echo(json.dumps(json_schema(), indent=2))
        return 0
    from doctor.probe.questions import questions
    from doctor.probe.read import fill
    from doctor.probe.take import seconds_left, take
    from doctor.redact import Redactor

    shown = format_ == "text" and not output
    timeout = timeout or seconds_left(BEGAN)
    probe = fill(take(timeout, questions(model_folders, engine), meanwhile=_prepare if shown else None))
    Redactor().data(probe)
    document = _nameless(probe.to_dict()) if private else probe.to_dict()
    if output:
        from doctor.probe.save import save

        save(document, output)
        click.echo(f"written to {output}: {len(probe.answers)} answers", err=True)
    if format_ == "json":
        click.echo(json.dumps(document, indent=1, default=str))
    elif shown:
        _show(probe)
    return 0


def _nameless(document: dict[str, Any]) -> dict[str, Any]:
    """As it may leave the house: by the same means as a bundle."""
    from doctor.bundle.clean import Cleaner

    cleaner = Cleaner()
    cleaner.learn_machine()
    for answer in document["answers"]:
        cleaner.learn(answer["output"])
    return dict(cleaner.data(document))


def _prepare() -> None:
    from doctor.probe.judge import prepare

    prepare()


def _show(probe: Any) -> None:
    """The machine, and what the rule book says of it."""
    from doctor.probe.judge import judge_machine
    from doctor.probe.page import print_probe
    from doctor.report.page import Page

    page = Page(sys.stdout)
    print_probe(probe, page)
    page.gap()
    document = judge_machine(probe)
    findings = document.findings
    for finding in findings:
        style = {"fatal": "bold red", "major": "bold yellow"}.get(finding.severity.value, "bold")
        page.labelled(
            (f"{finding.severity.value.upper():<6}", style), (finding.summary or finding.title, "bold"), column=8
        )
        for remedy in finding.remedies[:1]:
            page.labelled("", f"→ {remedy.title}", column=8)
    if findings:
        page.gap()
    else:
        page.say("Nothing that the rule book knows to hurt inference.")
    page.say(("Next: ", "dim"), "llmdoctor analyze --live LOG", ("  judges a log on this machine", "dim"))
