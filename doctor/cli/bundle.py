"""``llmdoctor bundle``: everything that helps to help, and nothing that is nobody's business."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import click


@click.command("bundle")
@click.argument("paths", nargs=-1)
@click.option("-o", "--output", metavar="FILE", help="The bundle; llmdoctor-DATE.tar.zst by default.")
@click.option("--show", is_flag=True, help="List what would go in and what was replaced; write nothing.")
@click.option("--megabytes", type=click.IntRange(1, 1024), default=8, show_default=True, help="Of each log, its end.")
@click.option("--journal", "journals", multiple=True, metavar="UNIT", help="A systemd unit's journal.")
@click.option("--docker", "containers", multiple=True, metavar="NAME", help="A container's log.")
@click.option("--kube", "pods", multiple=True, metavar="POD", help="A pod's log.")
@click.option("-n", "--namespace", metavar="NS", help="The namespace of --kube.")
@click.option("--timeout", type=click.FloatRange(0.1, 60), default=1.0, show_default=True, help="Seconds for asking.")
def command(
    paths: tuple[str, ...],
    output: str | None,
    show: bool,
    megabytes: int,
    journals: tuple[str, ...],
    containers: tuple[str, ...],
    pods: tuple[str, ...],
    namespace: str | None,
    timeout: float,
) -> int:
    """Pack logs, configuration, probe and diagnosis of this machine into one file for those who help.

    Logs of engines that are found (units, containers, running servers, usual places) and PATHS. Secrets, prompts and
    completions are cut out; users, hosts, addresses and home folders become tokens, the same value the same token.

    \b
    llmdoctor bundle --show                        what it would hold
    llmdoctor bundle logs/ -o for-upstream.tar.zst
    llmdoctor bundle --docker llm
    """
    from doctor.api import Request, analyze_request
    from doctor.bundle.clean import Cleaner
    from doctor.bundle.gather import MIB, find, gather
    from doctor.bundle.pack import prepare, write
    from doctor.bundle.runs import run_starts
    from doctor.probe.read import fill
    from doctor.probe.take import take
    from doctor.read.services import Service

    services = [
        *(Service("journal", name) for name in journals),
        *(Service("docker", name) for name in containers),
        *(Service("kube", name, namespace) for name in pods),
    ]
    probe = fill(take(timeout))
    wanted = find(probe, paths, services, namespace)
    gathered = gather(wanted, megabytes * MIB, run_starts())
    config = [str(path) for path in wanted.config]
    diagnosis = analyze_request(Request(paths=[*wanted.paths, *config], services=wanted.services, probe=probe))
    cleaner = Cleaner()
    cleaner.learn_machine()
    bundle, members = prepare(probe, diagnosis, gathered, cleaner)
    if show:
        _show(bundle)
        return 0
    path = Path(output or f"llmdoctor-{datetime.now():%Y%m%d-%H%M}.tar.zst")
    size = write(bundle, members, path)
    click.echo(
        f"{path}: {len(members)} files, {size // 1024} KiB. Look into it before you send it: {path.name} is a tar"
    )
    for problem in bundle.problems:
        click.echo(f"left out: {problem['subject']}: {problem['message']}", err=True)
    return 0


def _show(bundle: Any) -> None:
    from doctor.report.page import Page
    from doctor.units import format_size

    page = Page(sys.stdout)
    page.say(("Would go in", "bold"))
    for entry in bundle.entries:
        cut = f", {format_size(entry.left_out)} left out" if entry.left_out else ""
        page.labelled(f"  {format_size(entry.bytes):>10}", entry.name, (f"  {entry.origin}{cut}", "dim"), column=14)
    page.say(("Replaced", "bold"))
    for kind, count in sorted(bundle.replaced.items()):
        page.labelled(f"  {count:>10}", kind, column=14)
    if not bundle.replaced:
        page.say("nothing", indent=2)
    if bundle.problems:
        page.say(("Could not be had", "bold"))
    for problem in bundle.problems:
        page.say(f"{problem['subject']}: {problem['message']}", (f"  {problem['hint']}", "dim"), indent=2, hang=4)
    page.say(("Nothing was written.", "dim"))
