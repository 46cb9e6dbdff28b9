"""``llmdoctor confirm``: does the fix help? The model is run before and after it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from doctor.cli.options import Policy, rule_options
from doctor.cli.report import format_options, hand_over

if TYPE_CHECKING:
    from rich.progress import Progress

    from doctor.trial.setup import Setup
    from doctor.trial.wanted import Wanted
    from doctor.vocabulary.document import Confirmation, Diagnosis

_EXIT = {"confirmed": 0, "refuted": 1, "inconclusive": 3}


@click.command("confirm")
@click.argument("case", nargs=-1)
@click.option("--command", "engine_command", metavar="TEXT", help="The engine's command line, as typed.")
@click.option(
    "--setup", "setup_file", metavar="FILE", help="All of it in YAML: command, env, limits, what runs beside."
)
@click.option("--env", "env_files", multiple=True, metavar="FILE", help="An environment file of the engine.")
@click.option("--model", metavar="PATH", help="The model that ran, for what its header says.")
@click.option("--rule", "rule_id", metavar="ID", help="The failure to look at; by default the root cause.")
@click.option("--remedy", metavar="ID", help="Try this remedy only; by default in their order until one is confirmed.")
@click.option("--fixed", metavar="TEXT|FILE", help="The command line (or setup) after a fix made by hand.")
@click.option("--compare", nargs=2, metavar="A.yaml B.yaml", help="Measure two setups against each other.")
@click.option(
    "--measure", "measures", multiple=True, metavar="NAME", help="A figure that must improve: generation, ..."
)
@click.option("--endpoint", metavar="URL", help="Ask a server that is up instead; it is never started or changed.")
@click.option("--workload", metavar="NAME", help="In place of the one that the rule names: load_only, one_prompt, ...")
@click.option("--tokens", type=click.IntRange(1, 1_000_000), help="Tokens that the workload must reach.")
@click.option("--memory", metavar="SIZE", help="Run in a memory cgroup of this size, as the case did: 8 GiB.")
@click.option("--address-space", metavar="SIZE", help="... under this limit on the address space (ulimit -v).")
@click.option("--locked-memory", metavar="SIZE", help="... under this limit on locked memory (ulimit -l).")
@click.option("--repeats", type=click.IntRange(1, 10), help="Trials on each side; 1, or 5 where speed is measured.")
@click.option(
    "--deadline", type=click.FloatRange(1, 86400), default=600, show_default=True, help="Seconds for a trial."
)
@click.option(
    "--stall",
    type=click.FloatRange(1, 86400),
    default=60,
    show_default=True,
    help="Seconds of silence that are a hang.",
)
@click.option("--embedded", is_flag=True, help="Load the model by llama-cpp-python instead of starting the program.")
@click.option("--beside-live", is_flag=True, help="Try even beside a live service on the same port, device or memory.")
@click.option(
    "--apply", is_flag=True, help="Write a confirmed change to the files, after asking; the old ones are kept."
)
@click.option("-y", "--yes", is_flag=True, help="Yes to every question.")
@click.option("--script", is_flag=True, help="Write a plan that runs elsewhere, instead of running anything here.")
@click.option("--results", metavar="FILE", help="Judge what such a plan has brought back.")
@click.option("--save", metavar="DIR", help="Keep the trials' logs.")
@format_options
@rule_options
@click.option("-v", "--verbose", count=True, help="All remedies, references, facts.")
def command(
    case: tuple[str, ...],
    engine_command: str | None,
    setup_file: str | None,
    env_files: tuple[str, ...],
    model: str | None,
    rule_id: str | None,
    remedy: str | None,
    fixed: str | None,
    compare: tuple[str, str] | None,
    measures: tuple[str, ...],
    endpoint: str | None,
    workload: str | None,
    tokens: int | None,
    memory: str | None,
    address_space: str | None,
    locked_memory: str | None,
    repeats: int | None,
    deadline: float,
    stall: float,
    embedded: bool,
    beside_live: bool,
    apply: bool,
    yes: bool,
    script: bool,
    results: str | None,
    save: str | None,
    policy: Policy,
    format_: str | None,
    output: str | None,
    verbose: int,
) -> int:
    """Run the model before and after a fix, and say whether it helped.

    CASE is what `llmdoctor analyze` reads: the logs of the failure, and the files that declare the deployment. Each
    trial runs apart from everything else, with a deadline, and is ended with all that it started.

    \b
    llmdoctor confirm logs/ docker-compose.yml          reproduce, try the remedies one by one, compare
    llmdoctor confirm --command "llama-server -m m.gguf -ctv q8_0 -fa off"
    llmdoctor confirm --compare mmap.yaml no-mmap.yaml  which one is faster, beyond the noise
    llmdoctor confirm logs/ --script > plan.py          for a machine that has the hardware; then:
    llmdoctor confirm logs/ --results results.json

    The exit status is 0 when the fix is confirmed, 1 when it is refuted, 3 when neither could be shown.
    """
    from doctor.trial.runners import Clocks
    from doctor.trial.wanted import Wanted, wanted_of_yaml

    if not (case or engine_command or setup_file or compare or endpoint or results):
        raise click.UsageError("Nothing to confirm: name a case, or give --command.")
    _check_words(workload, measures)
    wanted = Wanted(
        paths=case,
        command=engine_command,
        env_files=env_files,
        rule_folders=policy.rules,
        choice=policy.file.choice,
        baseline=policy.baseline,
        model=model,
        remedy=remedy,
        rule_id=rule_id,
        apply=apply,
        beside_live=beside_live,
        repeats=repeats,
        clocks=Clocks(deadline, stall),
        workload=workload,
        tokens=tokens,
        measures=_figures(measures),
        memory=_size(memory, "--memory"),
        address_space=_size(address_space, "--address-space"),
        locked_memory=_size(locked_memory, "--locked-memory"),
        save=_folder(save),
        embedded=embedded,
    )
    if setup_file is not None:
        setup, wanted = wanted_of_yaml(setup_file, wanted)
        wanted.setup = setup
    if fixed is not None:
        wanted.fixed = _fixed(fixed, wanted)
    if script:
        from doctor.report.formats import deliver
        from doctor.trial.script import plan

        deliver(plan(wanted), output)
        return 0
    if results is not None:
        from doctor.trial.script import judge_results

        return _show(judge_results(results, wanted), policy, format_, output, verbose)
    with _Display(always=yes) as display:
        if endpoint is not None:
            from doctor.trial.confirm import confirm_endpoint

            told: Diagnosis | Confirmation = confirm_endpoint(endpoint, wanted, display.tell)
        elif compare is not None:
            from doctor.trial.confirm import compare_files

            told = compare_files(compare[0], compare[1], wanted, display.tell)
        else:
            from doctor.trial.confirm import confirm

            told = confirm(wanted, display.ask, display.tell)
    return _show(told, policy, format_, output, verbose)


def _show(told: Diagnosis | Confirmation, policy: Policy, format_: str | None, output: str | None, verbose: int) -> int:
    from doctor.vocabulary.document import Confirmation

    if isinstance(told, Confirmation):
        told = _finished(told, policy)
        from doctor.report.formats import deliver
        from doctor.report.trials import as_json, print_comparison

        if format_ == "json" or (output or "").endswith(".json"):
            deliver(as_json(told), output)
        else:
            print_comparison(told)
        return _EXIT[told.verdict]
    told = policy.finish(told)
    hand_over(told, format_, output, verbose=verbose)
    verdicts = [
        remedy.confirmation.verdict
        for finding in told.findings
        for remedy in finding.remedies
        if remedy.confirmation is not None
    ]
    return min((_EXIT[verdict] for verdict in verdicts), default=3)


def _finished(told: Confirmation, policy: Policy) -> Confirmation:
    """Without what the settings want to be replaced: in a document, as they know of nothing smaller."""
    from doctor.trial.seen import carrying

    finished = policy.finish(carrying(told)).findings[0].remedies[0].confirmation
    return told if finished is None else finished


def _check_words(workload: str | None, measures: tuple[str, ...]) -> None:
    from doctor.trial.compare import FIGURES
    from doctor.vocabulary.terms import WORKLOADS

    if workload is not None and workload not in WORKLOADS:
        raise click.UsageError(f"--workload takes one of {', '.join(WORKLOADS)}, not {workload!r}.")
    known = [figure.name for figure in FIGURES]
    for name in _figures(measures):
        if name not in known:
            raise click.UsageError(f"--measure takes one of {', '.join(known)}, not {name!r}.")


def _figures(measures: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name.replace("_", " ").replace("-", " ") for name in measures)


def _size(text: str | None, option: str) -> int | None:
    from doctor.units import parse_size

    if text is None:
        return None
    try:
        size = parse_size(text)
    except ValueError:
        size = 0
    if size <= 0:
        raise click.UsageError(f"{option} takes a size such as 8 GiB, not {text!r}.")
    return size


def _folder(save: str | None) -> Path | None:
    if save is None:
        return None
    folder = Path(save)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise click.UsageError(f"--save {save}: the folder is not empty.")
    except OSError as error:
        raise click.UsageError(f"--save {save}: {error.strerror}.") from None
    return folder


def _fixed(text: str, wanted: Wanted) -> Setup:
    from doctor.trial.setup import of_command
    from doctor.trial.wanted import wanted_of_yaml

    if text.endswith((".yaml", ".yml")) and " " not in text:
        return wanted_of_yaml(text, wanted)[0]
    return of_command(text)


class _Display:
    """What is done now and for how long, in one line of a terminal; and questions, for which it steps aside."""

    def __init__(self, *, always: bool) -> None:
        self._always = always
        self._bar: Progress | None = None

    def __enter__(self) -> _Display:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

            columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._bar.add_task("starting")
            self._bar.start()
        return self

    def __exit__(self, *_error: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def tell(self, text: str) -> None:
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], description=text[:100])

    def ask(self, what: str, details: str) -> bool:
        """Asks a person at a terminal; where there is none, nobody has said yes."""
        if self._always:
            return True
        if not sys.stdin.isatty() or not sys.stderr.isatty():
            return False
        from doctor.report.page import clean

        if self._bar is not None:
            self._bar.stop()
        try:
            for line in details.splitlines():
                click.echo(f"  {clean(line)}", err=True)
            return click.confirm(what, default=False, err=True)
        finally:
            if self._bar is not None:
                self._bar.start()
