"""``llmdoctor run``: start an engine, pass its output through, and explain its end."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from doctor.cli.options import Policy, exit_status, rule_options
from doctor.cli.report import format_options
from doctor.vocabulary.terms import Severity

if TYPE_CHECKING:
    from doctor.trial.launch import Ending
    from doctor.trial.run import Seen
    from doctor.vocabulary.document import Diagnosis

NOT_READY = 124  # as timeout(1) says it
_EXPLAINED = {"failing", "unknown"}


@click.command("run", context_settings={"allow_interspersed_args": False})
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[--] COMMAND...")
@click.option("--save", metavar="DIR", help="Keep output, ending and machine in a new folder, for analyze.")
@click.option(
    "--ready-timeout", type=click.FloatRange(min=0.1), metavar="SECONDS", help="Stop it if it does not serve by then."
)
@click.option(
    "--fail-on",
    type=click.Choice([severity.value for severity in Severity]),
    help="End with 1 when there is a finding this grave, whatever the engine ends with.",
)
@format_options
@rule_options
@click.option("-v", "--verbose", count=True, help="All remedies, references, facts; and of a healthy run the figures.")
def command(
    words: tuple[str, ...],
    save: str | None,
    ready_timeout: float | None,
    fail_on: str | None,
    policy: Policy,
    format_: str | None,
    output: str | None,
    verbose: int,
) -> int:
    """Start an engine, pass its output through untouched, and explain how it ended.

    The diagnosis goes to standard error when the engine crashed, was killed, never served, or failed while it did.
    The exit status is the engine's own (of a signal 128 and its number); 1 with --fail-on and a finding as grave; 124
    when --ready-timeout ended it.

    \b
    llmdoctor run -- llama-server -m model.gguf -c 65536
    llmdoctor run --save crash/ --ready-timeout 300 -- vllm serve Qwen/Qwen3-8B
    """
    if not words:
        raise click.UsageError("Nothing to run: name a command, as in `llmdoctor run -- llama-server -m model.gguf`.")
    from doctor.trial import case
    from doctor.trial.launch import NotStarted
    from doctor.trial.run import running

    policy.prove()
    folder = case.prepare(save) if save else None
    try:
        with running(words, folder / case.OUTPUT if folder else None, ready_timeout) as passing:
            seen = passing.until_ended()
            document = _diagnosis(words, seen, folder or passing.child.output.parent, policy, saved=folder is not None)
    except NotStarted as problem:
        click.echo(f"llmdoctor: {problem}", err=True)
        if folder is not None:
            with suppress(OSError):
                (folder / case.OUTPUT).unlink(missing_ok=True)
                folder.rmdir()
        return problem.status
    _tell(seen, document, words[0], format_, output, verbose)
    if folder is not None:
        click.echo(f"llmdoctor: kept in {folder}: llmdoctor analyze {folder}", err=True)
    if fail_on is not None and document is not None and exit_status(document, fail_on, strict=False):
        return 1
    return NOT_READY if seen.not_ready is not None else seen.ending.code


def _diagnosis(words: tuple[str, ...], seen: Seen, folder: Path, policy: Policy, *, saved: bool) -> Diagnosis | None:
    """What was seen, diagnosed; None where that itself fails, which must not cost the engine's exit status."""
    from doctor.errors import UsageProblem
    from doctor.trial import case

    try:
        case.write(folder, words, seen)
        if saved or seen.ending.code:
            case.write_machine(folder)
        return policy.finish(case.diagnose(policy.request(paths=[str(folder)]), saved=saved))
    except (OSError, UsageProblem) as error:
        click.echo(f"llmdoctor: no diagnosis: {error}", err=True)
        return None


def _tell(
    seen: Seen, document: Diagnosis | None, program: str, format_: str | None, output: str | None, verbose: int
) -> None:
    if document is None:
        return
    if format_ is not None or output is not None:
        from doctor.report.formats import chosen, deliver, render

        text = render(document, chosen(format_, output), verbose=verbose)
        if output in {None, "-"}:
            click.echo(text, err=True, nl=False)
        else:
            deliver(text, output)
        return
    bad = bool(seen.ending.code) and seen.stopped_by is None
    if document.verdict == "failing" or bad or seen.not_ready is not None:
        from doctor.report.text import print_text

        click.echo(f"\nllmdoctor: {_ended(seen, program)}", err=True)
        print_text(document, verbose=verbose, stream=sys.stderr)
    elif document.findings and document.verdict != "healthy":
        root = document.findings[0]
        click.echo(f"llmdoctor: {document.verdict.replace('_', ' ')}: {root.summary or root.title}", err=True)
    elif verbose:
        click.echo(f"llmdoctor: {_ended(seen, program)}", err=True)


def _ended(seen: Seen, program: str) -> str:
    """One line: what it was, how it ended, what it used."""
    ending = seen.ending
    name = Path(program).name
    how = {
        "exited": f"ended with status {ending.status}",
        "killed": f"was ended by {ending.signal}",
        "out_of_memory": "was killed by the kernel for memory",
        "lost": "was lost: its supervisor was killed",
        "stopped": "was stopped",
    }.get(ending.why, ending.why)
    if seen.not_ready is not None:
        how = f"did not serve within {seen.not_ready:g} s (--ready-timeout) and was stopped"
    return f"{name} {how} after {_seconds(ending.seconds)}{_used(ending)}"


def _used(ending: Ending) -> str:
    from doctor.units import format_size

    used = ending.usage
    parts = []
    if used.anonymous:
        parts.append(f"at most {format_size(used.anonymous)} of memory and {format_size(used.mapped)} of mapped files")
    if used.read:
        parts.append(f"{format_size(used.read)} read from disks")
    if ending.cgroup is not None and ending.cgroup.kills:
        limit = f" (limit {format_size(ending.cgroup.limit)})" if ending.cgroup.limit else ""
        parts.append(f"{ending.cgroup.kills} killed in its cgroup{limit}")
    elif ending.cgroup is not None and ending.why == "killed" and ending.signal == "SIGKILL":
        parts.append("the kernel killed nothing in its cgroup for memory: somebody or something else sent the signal")
    if ending.left_running:
        parts.append(f"what it left running was stopped: {', '.join(ending.left_running)}")
    if ending.left_out:
        parts.append(f"{format_size(ending.left_out)} of its output not kept")
    return "".join(f"; {part}" for part in parts)


def _seconds(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes = int(seconds // 60)
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{minutes} min"
