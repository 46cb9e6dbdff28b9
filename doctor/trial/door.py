"""`doctor.confirm`: the public door to trials."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from doctor.vocabulary.document import Diagnosis


def confirm(
    case: Iterable[str | Path] = (),
    *,
    command: str | None = None,
    remedy: str | None = None,
    fixed: str | None = None,
    workload: str | None = None,
    repeats: int | None = None,
    deadline: float = 600.0,
    stall: float = 60.0,
    beside_live: bool = False,
    embedded: bool = False,
    run_found_command: bool = False,
    rules: Iterable[str | Path] = (),
    save: str | Path | None = None,
) -> Diagnosis:
    """Runs a deployment as it is and with each remedy, and writes what that proves into the diagnosis.

    Nothing is ever written to the deployment's files here; ``llmdoctor confirm --apply`` does that.

    Args:
        case: the logs of the failure, and the files that declare the deployment.
        command: the engine's command line; without it that of the case, for which ``run_found_command`` must be true.
        remedy: the id of the one to try; by default all in their order until one is confirmed.
        fixed: the command line after a fix made by hand, tried in place of the remedies.
        workload: in place of the one that the rule names.
        repeats: trials on each side.
        deadline, stall: seconds for a trial, and seconds of silence that are a hang.
        beside_live: try even beside a live service on the same port, device or scarce memory.
        embedded: load the model by llama-cpp-python instead of starting the program.
        rules: further rule folders.
        save: an empty folder in which the trials' logs are kept.

    Returns:
        The diagnosis; ``findings[...].remedies[...].confirmation`` is set for each remedy that was tried.

    Raises:
        UsageProblem: there is no command line to run, or it would disturb a live service.
    """
    from doctor.trial.confirm import confirm as run
    from doctor.trial.runners import Clocks
    from doctor.trial.setup import of_command
    from doctor.trial.wanted import Wanted

    wanted = Wanted(
        paths=[str(path) for path in case],
        command=command,
        remedy=remedy,
        fixed=of_command(fixed) if fixed is not None else None,
        workload=workload,
        repeats=repeats,
        clocks=Clocks(deadline, stall),
        beside_live=beside_live,
        embedded=embedded,
        rule_folders=[str(path) for path in rules],
        save=Path(save) if save is not None else None,
    )
    return run(wanted, ask=lambda _what, _details: run_found_command)
