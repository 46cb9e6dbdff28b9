"""``llmdoctor analyze``: the main job."""

from __future__ import annotations

import sys
from typing import Any

import click

from doctor.cli.report import format_options, hand_over
from doctor.vocabulary.terms import Severity

_FINDINGS = {"root_cause", "contributing", "risk"}


@click.command("analyze")
@click.argument("paths", nargs=-1)
@click.option("--command", "engine_command", metavar="TEXT", help="The engine's command line, as typed.")
@click.option("--env", "env_files", multiple=True, metavar="FILE", help="An environment file of the engine.")
@click.option(
    "--hardware", "hardware_files", multiple=True, metavar="FILE", help="Saved nvidia-smi, free, numactl, ..."
)
@click.option("--live", is_flag=True, help="Ask this machine too, as `llmdoctor probe` does.")
@click.option("--model", metavar="PATH", help="The model that ran: its header is read, never its weights.")
@click.option("--exit", "exit_", metavar="STATUS|SIGNAL", help="How the engine ended: 137, SIGABRT, ...")
@click.option("--run", default="last", show_default=True, metavar="last|all|N", help="Which run of a service to judge.")
@click.option("--since", metavar="TIME", help="Only from then on: 2h, yesterday, '2026-11-20 09:00'.")
@click.option("--until", metavar="TIME", help="Only until then.")
@click.option("--journal", "journals", multiple=True, metavar="UNIT", help="Read a systemd unit's journal.")
@click.option("--docker", "containers", multiple=True, metavar="NAME", help="Read a container's log.")
@click.option("--kube", "pods", multiple=True, metavar="POD", help="Read a pod's log.")
@click.option("-n", "--namespace", metavar="NS", help="The namespace of --kube.")
@click.option("--previous", is_flag=True, help="With --kube: the life before the last restart.")
@click.option("--rules", "rule_folders", multiple=True, metavar="FOLDER", help="Further rules.")
@format_options
@click.option(
    "--fail-on",
    type=click.Choice([severity.value for severity in Severity]),
    default="major",
    show_default=True,
    help="Exit with 1 when there is a finding this grave.",
)
@click.option("--strict", is_flag=True, help="Exit with 3 when a rule this grave could not be judged.")
@click.option("-v", "--verbose", count=True, help="All remedies, references, facts; twice: everything.")
@click.option("--jobs", type=click.IntRange(1, 256), help="Threads for scanning; all cores by default.")
def command(
    paths: tuple[str, ...],
    engine_command: str | None,
    env_files: tuple[str, ...],
    hardware_files: tuple[str, ...],
    model: str | None,
    live: bool,
    exit_: str | None,
    run: str,
    since: str | None,
    until: str | None,
    journals: tuple[str, ...],
    containers: tuple[str, ...],
    pods: tuple[str, ...],
    namespace: str | None,
    previous: bool,
    rule_folders: tuple[str, ...],
    format_: str | None,
    output: str | None,
    fail_on: str,
    strict: bool,
    verbose: int,
    jobs: int | None,
) -> int:
    """Name the root cause of a failure from logs, settings and saved output.

    PATHS are files and folders in any mix: logs, .env files, saved nvidia-smi / numactl / free / dmesg output; `-`
    reads standard input.
    """
    from doctor.api import Request, analyze_request

    services = _services(journals, containers, pods, namespace, previous)
    told = engine_command or env_files or hardware_files or model or exit_
    if not paths and not services and not told and not live:
        raise click.UsageError("Nothing to read: name a log file or folder, or - for standard input.")
    if run not in {"last", "all"} and not run.isdecimal():
        raise click.UsageError(f"--run takes last, all or a number, not {run!r}.")
    progress = _Progress() if sys.stderr.isatty() else None
    document = analyze_request(
        Request(
            paths=paths,
            command=engine_command,
            env_files=env_files,
            hardware_files=hardware_files,
            model=model,
            live=live,
            exit=exit_,
            run=run,
            services=services,
            since=since,
            until=until,
            rule_folders=rule_folders,
            workers=jobs,
            progress=progress,
        ),
        stdin=sys.stdin.buffer if "-" in paths else None,
    )
    if progress is not None:
        progress.close()
    hand_over(document, format_, output, verbose=verbose)
    return exit_status(document, fail_on, strict)


def _services(
    journals: tuple[str, ...], containers: tuple[str, ...], pods: tuple[str, ...], namespace: str | None, previous: bool
) -> list[Any]:
    if not (journals or containers or pods):
        if namespace or previous:
            raise click.UsageError("--namespace and --previous go with --kube.")
        return []
    from doctor.read.services import Service

    return [
        *(Service("journal", name) for name in journals),
        *(Service("docker", name) for name in containers),
        *(Service("kube", name, namespace, previous) for name in pods),
    ]


def exit_status(document: Any, fail_on: str, strict: bool) -> int:
    """0 nothing at or above ``fail_on``, 1 a finding, 3 (with ``strict``) a rule that could not be judged."""
    limit = Severity(fail_on).rank
    grave = [f for f in document.findings if f.role in _FINDINGS and f.severity.rank >= limit]
    if grave:
        return 1
    return 3 if strict and document.could_not_judge else 0


class _Progress:
    """A line on standard error for input that takes longer than a second."""

    def __init__(self) -> None:
        import time

        self._clock = time.monotonic
        self._start = self._last = time.monotonic()
        self._shown = False

    def __call__(self, path: str, done: int, size: int | None) -> None:
        now = self._clock()
        if now - self._start < 1 or now - self._last < 0.2:
            return
        self._last, self._shown = now, True
        share = f"{done * 100 // size:3d} %" if size else f"{done >> 20} MiB"
        click.echo(f"\r\x1b[Kreading {path[-60:]} {share}", err=True, nl=False)

    def close(self) -> None:
        if self._shown:
            click.echo("\r\x1b[K", err=True, nl=False)
