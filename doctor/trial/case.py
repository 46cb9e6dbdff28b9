"""What is kept of a run, as a folder that ``llmdoctor analyze`` reads: output, ending, the kernel's words, the machine.

The diagnosis that ``llmdoctor run`` prints is that of this folder: there is no other way to come to one.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from doctor.errors import UsageProblem
from doctor.redact import Redactor

if TYPE_CHECKING:
    from doctor.api import Request
    from doctor.trial.run import Seen
    from doctor.vocabulary.document import Diagnosis

OUTPUT, KERNEL, ENDING, MACHINE = "output.log", "kernel.log", "ending.json", "machine.json"
# What costs milliseconds, and the memory of GPUs. The kernel's log is kept apart: only what it said meanwhile.
_ASKED = frozenset(
    {
        "uname",
        "nvidia-smi",
        "rocm-smi",
        "xpu-smi",
        "meminfo",
        "cpuinfo",
        "lscpu",
        "numa",
        "numa nodes",
        "cgroup",
        "limits",
        "sysctl",
    }
)
_OF_THE_SHELL = frozenset({"VIRTUAL_ENV", "CONDA_PREFIX"})


def prepare(folder: str) -> Path:
    """An empty folder for a case.

    Raises:
        UsageProblem: it can't be made, or holds something.
    """
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        taken = any(path.iterdir())
    except OSError as error:
        raise UsageProblem(f"can't be made: {error.strerror}", subject=f"--save {folder}") from None
    if taken:
        raise UsageProblem("this folder is not empty", subject=f"--save {folder}", hint="name a new one")
    return path


def write(folder: Path, words: tuple[str, ...], seen: Seen, environment: Mapping[str, str] | None = None) -> None:
    """Writes what there is to say beside the output. Secrets are replaced.

    Raises:
        OSError: it can't be written.
    """
    redactor = Redactor()
    ending = seen.ending
    said = {
        **ending.to_dict(),
        "command": shlex.join(words),
        "environment": chosen(os.environ if environment is None else environment),
        "stopped_by": seen.stopped_by,
        "not_ready": seen.not_ready,
    }
    kernel = said.pop("kernel")
    (folder / ENDING).write_text(json.dumps(redactor.data(said), indent=1) + "\n", encoding="utf-8")
    if kernel:
        (folder / KERNEL).write_text("\n".join(kernel) + "\n", encoding="utf-8")


def write_machine(folder: Path, seconds: float = 1.0) -> None:
    """Writes what this machine has.

    Raises:
        OSError: it can't be written.
    """
    from doctor.probe.questions import questions
    from doctor.probe.take import take

    probe = take(seconds, [ask for ask in questions() if ask.name in _ASKED])
    Redactor().data(probe)
    (folder / MACHINE).write_text(json.dumps(probe.to_dict(), default=str) + "\n", encoding="utf-8")


def chosen(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that engines look at; all others are nobody's business."""
    from doctor.probe.host import ENVIRONMENT

    return {
        name: value
        for name, value in sorted(environment.items())
        if ENVIRONMENT.fullmatch(name) and value.isprintable() and name not in _OF_THE_SHELL
    }


def diagnose(request: Request, *, saved: bool) -> Diagnosis:
    """The diagnosis of a case, the folder in ``request``; of one that is not kept its files' names alone are told."""
    from doctor.api import analyze_request

    document = analyze_request(request)
    return document if saved else _Nearer(request.paths[0]).data(document)


class _Nearer(Redactor):
    """Takes the folder out of paths."""

    def __init__(self, folder: str) -> None:
        super().__init__()
        self._prefix = f"{folder}/"

    def text(self, text: str) -> str:
        return text.replace(self._prefix, "")


def is_ready(output: Path, pid: int) -> bool:
    """Whether the engine has said that it serves, or has served.

    What writes to a pipe may keep its words for itself until it has 4 KiB of them: where it has said nothing at all, a
    port that it listens on says it.
    """
    with suppress(OSError):
        if not output.stat().st_size:
            return _listens(pid)
    from doctor.api import load_rules
    from doctor.scan.database import Database
    from doctor.scan.runs import ScannedSource, build_timeline
    from doctor.scan.scanner import scan

    book, _ = load_rules()
    with suppress(OSError), output.open("rb") as file:
        found = scan(file, Database(book.patterns()))
        timeline = build_timeline([ScannedSource(0, str(output), "local", "log", found)], book)
        return any(marker.means in {"ready", "progress"} for run in timeline.runs for marker in run.markers)
    return False


def _listens(pid: int) -> bool:
    import psutil

    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
        return any(found.status == psutil.CONN_LISTEN for each in family for found in each.net_connections(kind="inet"))
    except (psutil.Error, OSError):
        return False
