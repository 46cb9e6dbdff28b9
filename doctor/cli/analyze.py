"""``llmdoctor analyze``: the main job."""

from __future__ import annotations

import sys
from typing import Any

import click

from doctor.cli.options import Policy, policy_options
from doctor.cli.report import format_options, hand_over


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
@format_options
@policy_options
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
    policy: Policy,
    format_: str | None,
    output: str | None,
    verbose: int,
    jobs: int | None,
) -> int:
    """Name the root cause of a failure from logs, settings and saved output.

    PATHS are files and folders in any mix: logs, .env files, saved nvidia-smi / numactl / free / dmesg output; `-`
    reads standard input.

    \b
    llmdoctor analyze /var/log/llama/                      a folder: logs, env files, saved output
    journalctl -u ollama --no-pager | llmdoctor analyze -
    llmdoctor analyze --journal ollama.service --since 2h
    llmdoctor analyze server.log --command "llama-server -m m.gguf -c 65536 -ngl 99" --exit 137
    llmdoctor analyze server.log docker-compose.yml        the answer is a diff of that file
    llmdoctor analyze logs/ -o report.html                 one page that explains it to others
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
            rule_folders=policy.rules,
            choice=policy.file.choice,
            baseline=policy.baseline,
            workers=jobs,
            progress=progress,
        ),
        stdin=sys.stdin.buffer if "-" in paths else None,
    )
    if progress is not None:
        progress.close()
    document = policy.finish(document)
    hand_over(document, format_, output, verbose=verbose)
    return policy.exit_status(document)


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
