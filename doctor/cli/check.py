"""``llmdoctor check``: what is to be expected of a deployment before it runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from doctor.cli.options import Policy, policy_options
from doctor.cli.report import format_options, hand_over
from doctor.report.formats import chosen

if TYPE_CHECKING:
    from datetime import datetime

    from doctor.vocabulary.document import Diagnosis


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
@format_options
@policy_options
@click.option("--write-baseline", metavar="FILE", help="Accept what is found: write it down there, with --reason.")
@click.option("--reason", metavar="TEXT", help="Why what --write-baseline writes down is accepted.")
@click.option(
    "--until", type=click.DateTime(["%Y-%m-%d"]), metavar="DAY", help="The last day on which it is: 2027-01-31."
)
@click.option("-v", "--verbose", count=True, help="All remedies, references, settings.")
def command(
    deployments: tuple[str, ...],
    engine_command: str | None,
    model: str | None,
    targets: tuple[str, ...],
    policy: Policy,
    format_: str | None,
    output: str | None,
    write_baseline: str | None,
    reason: str | None,
    until: datetime | None,
    verbose: int,
) -> int:
    """Say what will go wrong with a deployment, before it runs.

    DEPLOYMENTS are files and folders: Compose files, Kubernetes manifests, systemd units and drop-ins, environment
    files, scripts, Modelfiles; `-` reads standard input, such as Helm's output.

    \b
    llmdoctor check docker-compose.yml --model model.gguf --target host.yaml
    helm template chart | llmdoctor check - --target 8x-h100
    llmdoctor check --command "llama-server -m m.gguf -ngl 99 -c 65536" --target this
    llmdoctor check deploy/ --target host.yaml -o llmdoctor.sarif
    llmdoctor check deploy/ --write-baseline llmdoctor-baseline.toml --reason "until the new cards" --until 2027-01-31
    """
    if (reason is not None or until is not None) and write_baseline is None:
        raise click.UsageError("--reason and --until go with --write-baseline.")
    if write_baseline is not None and not (reason or "").strip():
        raise click.UsageError("--write-baseline needs --reason: why is what is found accepted?")
    from doctor.checking import Request, check_request

    baseline = policy.baseline
    if write_baseline is not None:
        baseline = write_baseline if Path(write_baseline).exists() else None
    document = check_request(
        Request(
            paths=deployments,
            command=engine_command,
            model=model,
            targets=targets,
            rule_folders=policy.rules,
            choice=policy.file.choice,
            baseline=baseline,
            reserve=policy.file.reserve,
            every_diff=bool(verbose) or chosen(format_, output) != "text",
        ),
        stdin=sys.stdin.buffer if "-" in deployments else None,
    )
    if write_baseline is not None:
        return _accept(document, write_baseline, baseline, reason or "", until)
    document = policy.finish(document)
    hand_over(document, format_, output, verbose=verbose)
    return policy.exit_status(document)


def _accept(document: Diagnosis, path: str, before: str | None, reason: str, until: datetime | None) -> int:
    """Writes the findings down beside those of the file that still hold."""
    from doctor.settings import baseline
    from doctor.suppress import to_accept

    over = {problem.subject for problem in document.problems if problem.stage == "suppress"}
    old = baseline.read(Path(before)) if before is not None else []
    kept = [entry for entry, line in old if f"{before}:{line}" not in over]
    found = to_accept(document)
    baseline.write(Path(path), found, reason, until.date() if until else None, kept)
    dropped = f", {len(old) - len(kept)} taken out" if len(old) > len(kept) else ""
    click.echo(f"{path}: {len(found)} added, {len(kept)} kept{dropped}", err=True)
    return 0
