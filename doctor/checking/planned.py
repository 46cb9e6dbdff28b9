"""What is declared -> runs that are yet to be, with their facts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from doctor.checking.launchers import GPUSTACK, implied, placed_by_gpustack, started_by_gpustack
from doctor.checking.nodes import WORKERS, compare_versions
from doctor.checking.room import Rooms, add_room
from doctor.checking.spelling import misspelled
from doctor.facts.assemble import Given, assemble, commands_for, is_of, options_of
from doctor.facts.config.deployments import program_of
from doctor.read.nodes import UNPLACED
from doctor.scan.runs import Run, Timeline
from doctor.vocabulary.document import Problem
from doctor.vocabulary.facts import Fact, Layer, Origin

if TYPE_CHECKING:
    from doctor.checking.machine import Machine
    from doctor.checking.reading import Deployments
    from doctor.facts.config.places import Text
    from doctor.facts.config.workload import Workload
    from doctor.facts.factset import FactSet
    from doctor.memory.plan import Derivation
    from doctor.model.document import Model
    from doctor.planning.document import PlanDocument
    from doctor.remedy.deployment import Deployment
    from doctor.rulebook.book import RuleBook

CONTAINER_MEMLOCK = 8 * 1024 * 1024
"""RLIMIT_MEMLOCK of a container that asks for none, at most; Docker's own default capabilities lack CAP_IPC_LOCK."""
SERVICE_MEMLOCK = 8 * 1024 * 1024
"""systemd's DefaultLimitMEMLOCK= (systemd-system.conf(5)); root has CAP_IPC_LOCK, which no limit holds."""
MANY_FILES = 20
_TAG = re.compile(r"(?:^|[-_v])(?P<version>\d+\.\d+\.\d+(?:[.-]?(?:rc|post|dev)\.?\d+)?|b\d{3,6})(?=$|[-_+])")
_SLIPS = {"deployment.unknown_flag", "deployment.unknown_variable", "deployment.unlisted_flag"}


@dataclass(slots=True)
class Planned:
    """A run that is yet to be.

    Attributes:
        workload: what files declare of it; None for a command line that was typed.
        plan: what lies where, if the model and the machine are known.
        derivations: how the computed ``memory.*`` facts came about.
    """

    run: Run
    facts: FactSet
    nodes: Mapping[str, FactSet]
    deployment: Deployment
    workload: Workload | None = None
    plan: PlanDocument | None = None
    derivations: dict[str, Derivation] = field(default_factory=dict)


def planned_runs(
    deployments: Deployments,
    model: Model | None,
    hosts: Sequence[Machine],
    book: RuleBook,
    problems: list[Problem],
) -> list[Planned]:
    """One for each declared program that is an engine, and one for the command line that was typed."""
    found: list[Planned] = []
    rooms: Rooms = {}
    wrapper = _wrapper(deployments, book)
    models = [each for each in deployments.declared.workloads if each.kind == "modelfile"]
    for workload in deployments.declared.workloads:
        engine = book.programs().get(program_of(workload, book.programs()))
        if engine is None or workload.kind == "modelfile":
            continue
        run = _run(len(found) + 1, workload.path, workload.line, engine, book)
        run.product = program_of(workload, book.programs())
        _version(run, workload.image, book)
        if engine == GPUSTACK and model is not None and deployments.command is None:
            started_by_gpustack(run, model, book)
        given = Given(workloads=[workload, *(models if len(models) == 1 else [])])
        found.append(_planned(run, workload, given, deployments, model, hosts, book, problems, rooms))
    command = deployments.command
    if command is not None:
        engine = book.programs().get(command.program)
        run = _run(len(found) + 1, "--command", 1, engine, book)
        run.product = command.program
        if wrapper is not None and engine != wrapper.engine:
            run.wrapper = wrapper.engine
            run.engines += [name for name in wrapper.engines if name not in run.engines]
            run.versions = {**wrapper.versions, **run.versions}
            _inside(run, book)
        given = Given(commands=[(command, Origin("--command", None, Layer.COMMAND_LINE))])
        found.append(_planned(run, None, given, deployments, model, hosts, book, problems, rooms))
        if engine is None:
            known = ", ".join(sorted(name for name in book.programs() if not name.endswith(".exe")))
            problems.append(
                Problem(
                    stage="facts",
                    subject="--command",
                    message=f"{command.program} is no engine's program that is known here",
                    hint=f"known are {known}",
                )
            )
    compare_versions(found, hosts)
    return found


def _run(number: int, path: str, line: int, engine: str | None, book: RuleBook) -> Run:
    run = Run(f"run-{number}", 0, path, UNPLACED, line, line, engine=engine, incident=f"deployment-{number}")
    run.engines = [engine, *book.bases(engine)] if engine else []
    return run


def _version(run: Run, image: str, book: RuleBook) -> None:
    """The engine's version as the image's tag gives it; a tag such as ``latest`` gives none."""
    tag = image.split("@", 1)[0].rsplit("/", 1)[-1].partition(":")[2]
    told = _TAG.search(tag)
    if told and run.engine:
        run.versions[run.engine] = told["version"]
        _inside(run, book)


def _inside(run: Run, book: RuleBook) -> None:
    from doctor.scan.runs import derive_versions

    derive_versions(run, book)


def _wrapper(deployments: Deployments, book: RuleBook) -> Run | None:
    """The product that starts engines by itself (GPUStack), if a file declares it or its variables."""
    for workload in deployments.declared.workloads:
        engine = book.programs().get(program_of(workload, book.programs()))
        if engine and book.dialects[engine]["kind"] == "wrapper":
            run = _run(0, workload.path, workload.line, engine, book)
            _version(run, workload.image, book)
            return run
    for env in deployments.loose:
        name = env.path.rsplit("/", 1)[-1]
        named = book.programs().get(name)
        if named and book.dialects[named]["kind"] == "wrapper":
            return _run(0, env.path, 1, named, book)
    return None


def _planned(
    run: Run,
    workload: Workload | None,
    given: Given,
    deployments: Deployments,
    model: Model | None,
    hosts: Sequence[Machine],
    book: RuleBook,
    problems: list[Problem],
    rooms: Rooms,
) -> Planned:
    if run.product in WORKERS:  # what it holds, the engine that it serves decides
        model, hosts = None, ()
    given.env_files = list(deployments.loose)
    for host in hosts[:1]:
        given.facts += host.facts
        given.records += host.records
    if model is not None:
        given.facts += [replace(fact, origin=replace(fact.origin, layer=Layer.FILE)) for fact in model.as_facts()]
        given.records += model.as_records()
    sets, nodes = assemble(Timeline(runs=[run]), given, book)
    facts = sets[run.id]
    for fact in [*implied(run, workload, deployments, book), *placed_by_gpustack(run, workload)]:
        facts.add(fact, first_wins=True)
    command = workload.command() if workload is not None else deployments.command
    spelled = list(misspelled(command, workload, options_of(run, book), run.engine))
    for fact in spelled:
        facts.add(fact)
    facts.absent |= _SLIPS - {fact.name for fact in spelled}
    if workload is not None:
        _default_limits(workload, facts)
    _programs_version(run, facts, book, Origin(run.path, _image_line(workload, deployments)))
    problems += [Problem(stage="facts", subject=told[0], message=told[1]) for told in given.troubles]
    planned = Planned(run, facts, nodes, _deployment(run, workload, given, deployments, book), workload)
    facts.computing = partial(add_room, planned, model, hosts, rooms)
    return planned


def _default_limits(workload: Workload, facts: FactSet) -> None:
    """What a container or a service may lock where its file does not say it."""
    if facts.value("host.memlock_limit") is not None:
        return
    if workload.image or workload.kind in {"compose", "kubernetes"}:
        origin = Origin("a container's default", None, Layer.DEFAULT)
        facts.add(Fact("host.memlock_limit", CONTAINER_MEMLOCK, origin))
    elif workload.kind == "systemd" and "/user/" not in workload.path:
        limit = SERVICE_MEMLOCK if workload.user not in {"", "root", "0"} else -1
        facts.add(Fact("host.memlock_limit", limit, Origin("systemd's default", None, Layer.DEFAULT)))


def _image_line(workload: Workload | None, deployments: Deployments) -> int | None:
    """Where a container's image stands, which is what tells the version."""
    file = deployments.declared.files.get(workload.path) if workload is not None else None
    if workload is None or file is None or not workload.image:
        return workload.line if workload is not None else None
    lines = file.text.split("\n")
    behind = range(max(workload.line - 1, 0), len(lines))
    return next((number + 1 for number in behind if workload.image in lines[number]), workload.line)


def _programs_version(run: Run, facts: FactSet, book: RuleBook, origin: Origin) -> None:
    """The version: of the image, else, of a program that the machine has itself, the one that a probe found."""
    from doctor.versions import Version

    for record in facts.collection("program") or []:
        if run.engine and run.engine not in run.versions and record.get("name") == run.product:
            text = str(record.get("version") or "")
            if text:
                run.versions[run.engine] = text
                _inside(run, book)
    known = run.versions.get(run.engine or "")
    if known:
        facts.add(Fact("engine.version", Version.parse(known), origin))
    build = re.fullmatch(r"b?(\d{3,6})", run.versions.get("llama.cpp", ""))
    if build:
        facts.add(Fact("engine.base_build", int(build[1]), origin))


def _files_of(workload: Workload | None, deployments: Deployments) -> dict[str, Text]:
    """The files that declare a program: every change is tried by reading them again, so of many only these."""
    files = deployments.declared.files
    if workload is None or len(files) <= MANY_FILES:
        return files
    places = [*(word.place for word in workload.words), *(variable.place for variable in workload.variables)]
    near = {workload.path, *(place.path for place in places if place), *(env.path for env in deployments.loose)}
    near |= {fact.origin.path for fact in workload.facts}
    return {path: file for path, file in files.items() if path in near}


def _deployment(
    run: Run, workload: Workload | None, given: Given, deployments: Deployments, book: RuleBook
) -> Deployment:
    from doctor.remedy.deployment import Deployment

    commands = commands_for(run, given, book)
    version = run.versions.get(run.engine or "")
    return Deployment(
        tuple(commands[0][0].words) if commands else (),
        next(iter(given.chosen.get(run.id, [])), None),
        _files_of(workload, deployments),
        [env.path for env in deployments.loose],
        [option for option in options_of(run, book) if is_of(option, version)],
        book.programs(),
    )
