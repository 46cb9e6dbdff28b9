"""``llmdoctor check``: what is to be expected of a deployment before it runs."""

from __future__ import annotations

import sys

import click

from doctor.cli.analyze import exit_status
from doctor.cli.report import format_options, hand_over
from doctor.vocabulary.terms import Severity


@click.command("check")
@click.argument("deployments", nargs=-1)
@click.option("--command", "engine_command", metavar="TEXT", help="An engine's command line that no file declares.")
@click.option("--model", metavar="PATH", help="The model: GGUF, Hugging Face folder or config.json, or a YAML file.")
@click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="HOST",
    help="The machine: a probe, a YAML file, an example's name (plan --list-targets), or `this`.",
)
@click.option("--rules", "rule_folders", multiple=True, metavar="FOLDER", help="Further rules.")
@format_options
@click.option(
    "--fail-on",
    type=click.Choice([severity.value for severity in Severity]),
    default="major",
    show_default=True,
    help="Exit with 1 when there is a risk this grave.",
)
@click.option("--strict", is_flag=True, help="Exit with 3 when a rule this grave could not be judged.")
@click.option("-v", "--verbose", count=True, help="All remedies, references, settings.")
def command(
    deployments: tuple[str, ...],
    engine_command: str | None,
    model: str | None,
    targets: tuple[str, ...],
    rule_folders: tuple[str, ...],
    format_: str | None,
    output: str | None,
    fail_on: str,
    strict: bool,
    verbose: int,
) -> int:
    """Say what will go wrong with a deployment, before it runs.

    DEPLOYMENTS are files and folders: Compose files, Kubernetes manifests, systemd units and drop-ins, environment
    files, scripts, Modelfiles; `-` reads standard input, such as Helm's output.

    \b
    llmdoctor check docker-compose.yml --model model.gguf --target host.yaml
    helm template chart | llmdoctor check - --target 8x-h100
    llmdoctor check --command "llama-server -m m.gguf -ngl 99 -c 65536" --target this
    """
    from doctor.checking import Request, check_request

    document = check_request(
        Request(paths=deployments, command=engine_command, model=model, targets=targets, rule_folders=rule_folders),
        stdin=sys.stdin.buffer if "-" in deployments else None,
    )
    hand_over(document, format_, output, verbose=verbose)
    return exit_status(document, fail_on, strict)
