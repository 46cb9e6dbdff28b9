"""Hits of dialect lines, saved output, environment files and command lines -> the facts of each run and node."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from doctor.facts.catalogue import load_catalogue
from doctor.facts.convert import convert
from doctor.facts.factset import FactSet
from doctor.read.nodes import UNPLACED
from doctor.vocabulary.facts import ABSENT, Fact, Layer, Origin, Record

if TYPE_CHECKING:
    from doctor.facts.config.argv import Command
    from doctor.facts.config.env import EnvFile
    from doctor.facts.config.workload import Workload
    from doctor.facts.options import KnownOption
    from doctor.rulebook.book import RuleBook
    from doctor.scan.runs import Observation, Run, Timeline


@dataclass(slots=True)
class Given:
    """What the user said beside the logs, and what lay beside them.

    Attributes:
        hung: it was seen to show no sign of life, or never to serve. out_of_memory: its cgroup counted a kill.
        workloads: what configuration files deploy; ``chosen``: those that a run is of, by its id.
        troubles: subject, message and hint of what could not be told.
        node_of: by path, the machine that a source is from. What is of none in particular informs all runs.
    """

    commands: list[tuple[Command, Origin]] = field(default_factory=list)
    env_files: list[EnvFile] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    exit_status: int | None = None
    exit_signal: str | None = None
    hung: bool = False
    out_of_memory: bool = False
    workloads: list[Workload] = field(default_factory=list)
    chosen: dict[str, list[Workload]] = field(default_factory=dict)
    troubles: list[tuple[str, str, str]] = field(default_factory=list)
    node_of: dict[str, str] = field(default_factory=dict)

    def concerns(self, path: str, node: str) -> bool:
        """Whether what ``path`` says is about a machine: its own, or no other's."""
        return self.node_of.get(path, UNPLACED) in {UNPLACED, node}


def assemble(timeline: Timeline, given: Given, book: RuleBook) -> tuple[dict[str, FactSet], dict[str, FactSet]]:
    """The fact sets of all runs by run id, and those of the machines by name, each above that of ``UNPLACED``."""
    from doctor.facts.hardware import IDENTITY

    nodes = _node_sets(timeline, given)
    for fact in given.facts:
        nodes[given.node_of.get(fact.origin.path, UNPLACED)].add(fact)
    for record in given.records:
        place = given.node_of.get(record.origin.path, UNPLACED)
        nodes[place].add_record(record, IDENTITY.get(record.kind, ()))
    for name, facts in nodes.items():
        _dialect_facts((seen for seen in timeline.context if seen.node == name), facts, book)
    sets: dict[str, FactSet] = {}
    for run in sorted(timeline.runs, key=lambda run: not run.is_wrapper):
        parents = [sets[run.parent.id]] if run.parent else []
        facts = FactSet(parents=[*parents, nodes[run.node]])
        sets[run.id] = facts
        _engine_facts(run, facts)
        _dialect_facts(run.observations, facts, book)
        _forget_another_model(run, facts, given)
    for run in main_runs(timeline):
        facts = sets[run.id]
        options = options_of(run, book)
        if given.workloads:
            _workload_facts(run, given, options, facts, book)
        for command, origin in commands_for(run, given, book):
            _command_facts(command, origin, options, facts)
        for env in given.env_files:
            if given.concerns(env.path, run.node):
                _env_facts(env, options, facts)
        _defaults(options, run, facts)
    for env in given.env_files:
        _env_facts(env, (), nodes[given.node_of.get(env.path, UNPLACED)])
    return sets, nodes


def _forget_another_model(run: Run, facts: FactSet, given: Given) -> None:
    """A model file that is not the one which ran says nothing of this run: the log itself tells."""
    told = {fact.name: fact for fact in given.facts if fact.name.startswith("model.")}
    own = {
        name: facts.layers(name)[-1].value
        for name in ("model.arch", "model.layers", "model.embd")
        if facts.layers(name)
    }
    if any(name in told and str(told[name].value) != str(value) for name, value in own.items()):
        facts.absent |= {name for name in told if not facts.layers(name)}
        path = next(iter(told.values())).origin.path
        given.troubles.append(
            (
                path,
                f"not the model that {run.path} is about: what its header says does not count",
                "name the model that ran",
            )
        )


def _node_sets(timeline: Timeline, given: Given) -> dict[str, FactSet]:
    """An empty set for each machine that anything is from."""
    shared = FactSet()
    names = {*given.node_of.values(), *(run.node for run in timeline.runs), *(o.node for o in timeline.context)}
    return {UNPLACED: shared, **{name: FactSet(parents=[shared]) for name in sorted(names - {UNPLACED})}}


def main_runs(timeline: Timeline) -> list[Run]:
    """The runs that the user's command line and environment are about: all but RPC workers."""
    return [run for run in timeline.runs if not run.is_worker] or timeline.runs


def commands_for(run: Run, given: Given, book: RuleBook) -> list[tuple[Command, Origin]]:
    """Command lines that start this run's engine on its machine: of its programs, and of no program we know."""
    programs = book.programs()
    found = []
    for command, origin in given.commands:
        if not given.concerns(origin.path, run.node):
            continue
        engine = programs.get(command.program)
        if engine is None or run.engine is None or engine in run.engines or run.engine in [engine, *book.bases(engine)]:
            found.append((command, origin))
    return found


def options_of(run: Run, book: RuleBook) -> list[KnownOption]:
    """The options of the run's engine, nearest dialect first (llama-box's before llama.cpp's)."""
    engines = run.engines or [name for name in ("llama.cpp",) if name in book.dialects]
    return [option for engine in engines for option in book.options(engine)]


def _engine_facts(run: Run, facts: FactSet) -> None:
    origin = Origin(run.path, run.first_line)
    if run.engine:
        facts.add(Fact("engine.name", run.engine, origin))
    if run.product:
        facts.add(Fact("engine.product", run.product, origin))
    if run.wrapper:
        facts.add(Fact("engine.wrapper", run.wrapper, origin))
    text = run.versions.get(run.engine or "")
    if text:
        facts.add(Fact("engine.version", convert(text, "version"), origin))


def _dialect_facts(observations: Iterable[Observation], facts: FactSet, book: RuleBook) -> None:
    from doctor.facts.config.argv import parse_arguments, parse_command

    catalogue = load_catalogue()
    for observation in observations:
        kind, _, rest = observation.key.partition(":")
        if kind != "d":
            continue
        engine, section, index = rest.rsplit(":", 2)
        if section != "facts":
            continue
        line = book.dialects[engine]["facts"][int(index)]
        origin = Origin(observation.path, observation.number)
        for name, source in line["set"].items():
            if name in {"command", "command.arguments"}:
                text = observation.captures.get(source) or ""
                command = parse_command(text) if name == "command" else parse_arguments(text, engine)
                if command is not None and observation.run is not None:
                    declared = Origin(observation.path, observation.number, Layer.COMMAND_LINE)
                    _command_facts(command, declared, options_of(observation.run, book), facts)
                continue
            value = _value(source, observation, line["captures"], catalogue.type_of(name) or "str")
            facts.add(Fact(name, value, origin), first_wins=line["once"] == "first")
        if line["record"]:
            types = catalogue.records.get(line["record"], {})
            fields = {
                name: value
                for name, source in line["fields"].items()
                if (value := _value(source, observation, line["captures"], types.get(name, {}).get("type", "str")))
                is not ABSENT
            }
            if fields:
                facts.add_record(Record(line["record"], fields, origin), line["key"])


def _value(source: str, observation: Observation, captures: dict[str, str], kind: str) -> Any:
    if source.startswith("="):
        return convert(source[1:], kind)
    text = observation.captures.get(source)
    return convert(text, captures.get(source, kind))


def _command_facts(command: Command, origin: Origin, options: Sequence[KnownOption], facts: FactSet) -> None:
    from doctor.facts.config.argv import settings_of

    found, _unknown, absent = settings_of(command, options, Origin(origin.path, origin.line, Layer.COMMAND_LINE))
    for fact in found:
        facts.add(fact)
    facts.absent |= absent
    for name, value in command.env.items():
        facts.add(Fact(f"env.{name}", value, Origin(origin.path, origin.line, Layer.ENVIRONMENT)))


def _workload_facts(run: Run, given: Given, options: Sequence[KnownOption], facts: FactSet, book: RuleBook) -> None:
    """What is declared of the program that wrote the log; what the log or the machine itself says of it wins."""
    from doctor.facts.config.deployments import choose, settings_in

    engines = {engine for name in run.engines for engine in (name, *book.bases(name))}
    near = [workload for workload in given.workloads if given.concerns(workload.path, run.node)]
    chosen, trouble = choose(near, engines, book.programs(), run.path, facts.value, options)
    given.chosen[run.id] = chosen
    if trouble:
        given.troubles.append((run.path, trouble, "name the log after its service, or give --command"))
    for workload in chosen:
        found, absent = settings_in(workload, options)
        for fact in found:
            known = facts.fact(fact.name)
            if not fact.name.startswith("host.") or known is None or known.origin.layer is not Layer.EFFECTIVE:
                facts.add(fact, first_wins=fact.origin.layer is Layer.COMMAND_LINE)
        facts.absent |= absent


def _env_facts(env: EnvFile, options: Sequence[KnownOption], facts: FactSet) -> None:
    from doctor.facts.config.env import settings_of_env

    for fact in settings_of_env(env, options, Layer.ENVIRONMENT):
        facts.add(fact)


def _defaults(options: Sequence[KnownOption], run: Run, facts: FactSet) -> None:
    version = run.versions.get(run.engine or "")
    for option in options:
        if option.default is not None and is_of(option, version):
            facts.add(
                Fact(option.setting, option.default, Origin("engine default", None, Layer.DEFAULT)), first_wins=True
            )


def is_of(option: KnownOption, version: str | None) -> bool:
    """Whether the engine's version has the option as listed; a version that isn't known or ordered has it."""
    bounds = [f"{sign}{bound}" for sign, bound in ((">=", option.since), ("<", option.until)) if bound]
    if not bounds or version is None:
        return True
    from doctor.versions import Version

    try:
        return Version.parse(version).within(",".join(bounds)) is not False
    except ValueError:
        return True
