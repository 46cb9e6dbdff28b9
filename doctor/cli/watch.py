"""``llmdoctor watch``: follow what runs already, and tell each new finding once."""

from __future__ import annotations

import json
import signal
import sys
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from doctor.cli.options import Policy, rule_options

if TYPE_CHECKING:
    from doctor.report.page import Page
    from doctor.trial.follow import Followed
    from doctor.trial.watch import News

_STYLE = {"fatal": "bold red", "major": "bold yellow"}


@click.command("watch")
@click.argument("paths", nargs=-1, metavar="FILE...")
@click.option("--journal", "journals", multiple=True, metavar="UNIT", help="Follow a systemd unit's journal.")
@click.option("--docker", "containers", multiple=True, metavar="NAME", help="Follow a container's log.")
@click.option("--format", "format_", type=click.Choice(["text", "jsonl"]), default="text", show_default=True)
@rule_options
def command(
    paths: tuple[str, ...], journals: tuple[str, ...], containers: tuple[str, ...], format_: str, policy: Policy
) -> int:
    """Follow logs of what runs already, and tell each new finding once.

    Begins with the run that is in the log already. Rotated logs go on; when the engine starts anew, its findings count
    anew. Each log is judged by itself. Ctrl-C ends it.

    \b
    llmdoctor watch /var/log/llama-server.log
    llmdoctor watch --journal ollama.service --format jsonl
    """
    if not (paths or journals or containers):
        raise click.UsageError("Nothing to watch: name a log file, --journal UNIT or --docker NAME.")
    signal.signal(signal.SIGTERM, _interrupt)
    from doctor.read.services import Service
    from doctor.trial.follow import Command, File

    followed: list[Followed] = [File(path) for path in paths]
    followed += [Command(Service("journal", name)) for name in journals]
    followed += [Command(Service("docker", name)) for name in containers]
    from doctor.trial.watch import Watch

    watch = Watch(followed, policy.request(), policy.finish)
    tell = _as_json if format_ == "jsonl" else _Text(several=len(followed) > 1)
    try:
        for news in watch.news():
            tell(news)
            with suppress(BrokenPipeError):
                sys.stdout.flush()
    except KeyboardInterrupt:
        click.echo(f"llmdoctor: {watch.summary()}", err=True)
    finally:
        watch.close()
    return 0


def _interrupt(_number: int, _frame: Any) -> None:
    raise KeyboardInterrupt


def _as_json(news: News) -> None:
    record: dict[str, Any] = {
        "type": news.kind,
        "time": datetime.now().astimezone().isoformat(timespec="seconds"),
        "path": news.path,
        "run": news.run,
    }
    if news.finding is not None:
        from dataclasses import asdict

        record["finding"] = asdict(news.finding)
    elif news.text:
        record["text"] = news.text
    click.echo(json.dumps(record, ensure_ascii=True, default=str))


class _Text:
    """A few lines each, for a terminal that is looked at now and then."""

    def __init__(self, *, several: bool) -> None:
        from doctor.report.page import Page

        self._page: Page = Page(sys.stdout)
        self._several = several

    def __call__(self, news: News) -> None:
        now = f"{datetime.now():%H:%M:%S}"
        place = f"  {news.path}" if self._several else ""
        if news.finding is None:
            words = {
                "run": f"a new run{f' of {news.text}' if news.text else ''} began: findings count anew{place}",
                "watching": f"watching {news.path}: {news.text}",
            }.get(news.kind, f"{news.path} {news.text}")
            self._page.say((f"{now} {words}", "dim"))
            return
        finding = news.finding
        severity = finding.severity.value
        label = (f"{now} {severity.upper()}", _STYLE.get(severity, "bold"))
        self._page.labelled(label, (finding.summary or finding.title, "bold"), (place, "dim"), column=16)
        for remedy in finding.remedies[:1]:
            self._page.labelled("", f"→ {remedy.title}", column=16)
        for line in finding.evidence[:1]:
            self._page.labelled("", (line.text.strip()[:400], "dim"), column=16)
