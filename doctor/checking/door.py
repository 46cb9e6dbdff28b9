"""The door: deployments, a model and a machine -> the diagnosis document with risks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from doctor import __version__
from doctor.checking.judge import conclude, judge
from doctor.checking.machine import machines
from doctor.checking.planned import planned_runs
from doctor.checking.reading import read
from doctor.vocabulary.document import Diagnosis, Problem

if TYPE_CHECKING:
    from doctor.model.document import Model
    from doctor.settings import Choice


@dataclass(slots=True)
class Request:
    """What the user asks for.

    Attributes:
        paths: files and folders with deployments; ``-`` is standard input.
        command: a command line, as it would be typed.
        model: a model of which the headers are read.
        targets: machines that it is to run on: a probe, a YAML file, an example's name, or ``this``.
        rule_folders: further rules: folders, and names of installed packs.
        choice: which of all rules count, and how much.
        baseline: the file of accepted findings.
        reserve: bytes to leave free on every device at the least.
        every_diff: the changed files of all remedies, not of each finding's first one alone, which is what a terminal
            shows.
    """

    paths: Sequence[str] = ()
    command: str | None = None
    model: str | None = None
    targets: Sequence[str] = ()
    rule_folders: Sequence[str] = ()
    choice: Choice | None = None
    baseline: str | None = None
    reserve: int = 0
    every_diff: bool = True


def check(
    paths: Iterable[str | Path] = (),
    *,
    command: str | None = None,
    model: str | Path | None = None,
    target: str | Path | Sequence[str | Path] | None = None,
    rules: Iterable[str | Path] = (),
    baseline: str | Path | None = None,
) -> Diagnosis:
    """Says what is to be expected of deployments before they run.

    Args:
        paths: Compose files, manifests, units, environment files, scripts, Modelfiles, and folders of them.
        command: a command line that no file declares.
        model: a GGUF file, a Hugging Face folder or config.json, or a YAML file of numbers.
        target: the machine: a probe document, a YAML file, an example's name, or ``this``; several of them for RPC.
        rules: further rules: folders, and names of installed packs.
        baseline: the file of accepted findings; those that are accepted in the deployments themselves are so anyway.

    Raises:
        UsageProblem: no input could be opened, or one of model, target, rules and baseline can't be used.
    """
    named = [target] if isinstance(target, (str, Path)) else list(target or ())
    return check_request(
        Request(
            paths=[str(path) for path in paths],
            command=command,
            model=None if model is None else str(model),
            targets=[str(each) for each in named],
            rule_folders=[str(path) for path in rules],
            baseline=None if baseline is None else str(baseline),
        )
    )


def check_request(request: Request, stdin: BinaryIO | None = None) -> Diagnosis:
    """``check`` for the command line, which has standard input too."""
    from doctor.api import load_rules
    from doctor.redact import Redactor
    from doctor.suppress import read_baseline, suppress

    book, mistakes = load_rules(request.rule_folders, request.choice)
    accepted = read_baseline(request.baseline) if request.baseline else []
    deployments = read(request.paths, request.command, book.programs(), stdin)
    problems = [*mistakes, *deployments.problems]
    model = _model(request.model or deployments.model, request.model is not None, problems)
    hosts = machines(request.targets, request.reserve)
    runs = planned_runs(deployments, model, hosts, book, problems)
    document = Diagnosis(
        llmdoctor=__version__, verdict="unknown", planned=True, sources=deployments.entries, problems=problems
    )
    unjudged = judge(
        runs,
        document,
        book,
        deployments,
        has_model=model is not None,
        has_machine=bool(hosts),
        every_diff=request.every_diff,
    )
    suppress(document, deployments.texts, accepted, known=book.rules)
    conclude(document, book, unjudged)
    redactor = Redactor()
    for file in deployments.declared.files.values():
        redactor.learn(file.text)
    redactor.data(document)
    return document


def _model(path: str | None, named: bool, problems: list[Problem]) -> Model | None:
    """The model's headers; of one that only lies beside the files, trouble is told and the rest goes on."""
    from doctor.errors import UsageProblem
    from doctor.model.read import read_model

    if path is None:
        return None
    try:
        model = read_model(path)
    except UsageProblem as problem:
        if named:
            raise
        problems.append(Problem(stage="model", subject=path, message=problem.message, hint=problem.hint or ""))
        return None
    problems += [Problem(stage="model", subject=path, message=message) for message in model.problems]
    return model
