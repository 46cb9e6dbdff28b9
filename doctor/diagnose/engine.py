"""From a timeline and its facts to the findings of every incident."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from doctor.diagnose.findings import Writer
from doctor.diagnose.incidents import Incident
from doctor.diagnose.match import Candidate, Ground, match_rule, primary_signatures
from doctor.diagnose.outcome import outcome_of
from doctor.diagnose.rank import Judged, judge
from doctor.read.nodes import UNPLACED
from doctor.vocabulary.document import Finding, HistoryEntry, NotJudged, Problem
from doctor.vocabulary.facts import Fact, Origin
from doctor.vocabulary.terms import Kind, Outcome, Severity

if TYPE_CHECKING:
    from doctor.facts.assemble import Given
    from doctor.facts.factset import FactSet
    from doctor.memory.plan import Derivation
    from doctor.remedy.deployment import Deployment
    from doctor.rulebook.book import CompiledRule, RuleBook
    from doctor.scan.runs import Observation, Run, Timeline

MAX_NOT_JUDGED = 10
_HINTS = {
    "host": "add the output of `free`, `numactl --hardware` or `lscpu` of that machine",
    "device": "add the output of `nvidia-smi` (or `rocm-smi`) taken while it fails",
    "setting": 'add the command line: --command "..."',
    "env": "add the environment file: --env FILE",
    "engine": 'add the line that shows the engine\'s version, or --command "..."',
    "exit": "add --exit STATUS (or --exit SIGNAL)",
    "model": "start the engine with a verbosity that prints the model's parameters",
    "buffer": "start the engine with a verbosity that prints buffer sizes (llama-server: -lv 4)",
    "memory": "add the log of the load with buffer sizes, and the output of `free` or `nvidia-smi`",
}


@dataclass(slots=True)
class Judgement:
    """What diagnosing gives: findings most important first, outcomes in the runs, and what stayed open."""

    findings: list[Finding] = field(default_factory=list)
    history: list[HistoryEntry] = field(default_factory=list)
    judged: set[str] = field(default_factory=set)
    could_not_judge: list[NotJudged] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    explained: set[tuple[int, int]] = field(default_factory=set)
    known: set[tuple[int, int]] = field(default_factory=set)
    outcomes: list[Outcome] = field(default_factory=list)


@dataclass(slots=True)
class Diagnostician:
    book: RuleBook
    timeline: Timeline
    facts_of: dict[str, FactSet]
    node_facts: Mapping[str, FactSet]
    given: Given
    deployments: dict[str, Deployment] = field(default_factory=dict)
    derivations: dict[str, dict[str, Derivation]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    _order: dict[str, int] = field(default_factory=dict)
    _tried_at: dict[str, list[CompiledRule]] = field(default_factory=lambda: defaultdict(list))
    _about_settings: list[CompiledRule] = field(default_factory=list)

    def diagnose(self, incidents: list[Incident]) -> Judgement:
        """Judges the runs of each incident; of the others there is the outcome and, as history, what they hit."""
        self.set_outcomes(incidents)
        result = Judgement(problems=self.problems)
        unknown: dict[str, list[str]] = defaultdict(list)
        seen: set[tuple[str, tuple[int, int]]] = set()
        strangers = False
        names_nodes = sum(name != UNPLACED for name in self.node_facts) > 1
        for incident in incidents:
            ground = self.ground_of(incident.runs, incident.context)
            nameless = [run for run in incident.runs if run.engine is None]
            candidates = self._candidates(ground, settings=not (strangers and nameless), tried=result.judged)
            judged = judge(candidates)
            strangers |= bool(nameless)  # of runs without an engine the settings are those of the machine: judged once
            self._settle_outcome(incident, judged)
            writer = Writer(ground, self.deployments, self.derivations, names_nodes)
            written: dict[int, Finding] = {}
            for item in judged:
                place = (item.candidate.rule.id, item.candidate.line)
                if place in seen:
                    continue  # a kernel line stands beside every service: it is told once
                seen.add(place)
                finding = self._written(writer, item, len(result.findings) + 1, incident.id)
                if finding is not None:
                    result.findings.append(finding)
                    written[id(item)] = finding
                for name in item.candidate.missing:
                    unknown[name].append(item.candidate.rule.id)
            for item in judged:
                if id(item) in written:
                    written[id(item)].explains = [written[id(o)].id for o in item.explains if id(o) in written]
            result.outcomes += [run.outcome for run in incident.runs if not run.is_worker and not run.is_wrapper] or [
                run.outcome for run in incident.runs
            ]
            result.history += self._history(incident)
        result.findings.sort(key=lambda finding: _ORDER[finding.role])
        result.could_not_judge = not_judged(unknown)
        self._account(result)
        return result

    def set_outcomes(self, incidents: list[Incident]) -> None:
        last = [incident.runs[0] for incident in incidents if incident.runs and not incident.runs[0].is_worker]
        for facts in self.node_facts.values():
            facts.add(Fact("thrown.lines", [], Origin("no run")))
        for run in self.timeline.runs:
            told = len(last) == 1 and run is last[0]
            run.outcome = outcome_of(
                run,
                status=self.given.exit_status if told else None,
                signal=self.given.exit_signal if told else None,
                hung=told and self.given.hung,
            )
            facts = self.facts_of[run.id]
            origin = Origin(run.path, run.last_line)
            facts.add(Fact("outcome", run.outcome.value, origin))
            chain = run.fatal_thrown()
            facts.add(Fact("thrown.lines", [link.line.number for link in chain], origin))
            if chain:
                first = next((link for link in chain if not link.carries), chain[0])
                facts.add(Fact("thrown.type", first.type, origin))
                facts.add(Fact("thrown.message", first.message, origin))
            if told and self.given.exit_status is not None:
                facts.add(Fact("exit.status", self.given.exit_status, Origin("--exit")))
            if told and self.given.exit_signal is not None:
                facts.add(Fact("exit.signal", self.given.exit_signal, Origin("--exit")))

    def ground_of(self, runs: list[Run], context: list[Observation]) -> Ground:
        hits: dict[str, list[Observation]] = defaultdict(list)
        for observation in (*(o for run in runs for o in run.observations), *context):
            if observation.key.startswith("r:") and not observation.line.text.startswith("python: "):
                hits[observation.key].append(observation)
        for found in hits.values():
            found.sort(key=lambda observation: (observation.source, observation.number))
        return Ground(self.book, hits, self.facts_of, self.node_facts, runs)

    def _candidates(self, ground: Ground, *, settings: bool = True, tried: set[str] | None = None) -> list[Candidate]:
        """Every rule that may hold.

        Args:
            settings: rules about settings alone too, which no line calls for.
            tried: gets the names of the rules that were tried.
        """
        rules = [rule for key in ground.hits for rule in self._tried_at.get(key, ())]
        rules += self._about_settings if settings else []
        if tried is not None:
            tried.update(rule.id for rule in rules)
        found = []
        for rule in sorted(set(rules), key=lambda rule: self._order[rule.id]):
            try:
                found += match_rule(rule, ground)
            except Exception as error:  # one rule must not take the others down
                self.problems.append(defect("diagnose", rule, "could not be judged", error))
        return found

    def __post_init__(self) -> None:
        for number, rule in enumerate(self.book.rules.values()):
            self._order[rule.id] = number
            if rule.kind is Kind.NOISE:
                continue
            primaries = primary_signatures(rule)
            if not primaries:
                self._about_settings.append(rule)
            for name in primaries:
                self._tried_at[f"r:{rule.id}:{name}"].append(rule)

    def _written(self, writer: Writer, item: Judged, number: int, incident: str) -> Finding | None:
        try:
            return writer.write(item, number, incident)
        except Exception as error:
            self.problems.append(defect("report", item.candidate.rule, "its finding could not be written", error))
            return None

    def _settle_outcome(self, incident: Incident, judged: list[Judged]) -> None:
        """Lets the root cause speak where the markers are silent, or where the run serves but spoils requests."""
        for item in judged:
            rule, run = item.candidate.rule, item.candidate.run or (incident.runs[0] if incident.runs else None)
            if item.role not in {"root_cause", "contributing"} or run is None or not item.candidate.holds:
                continue
            if run.is_worker and incident.runs:
                run = incident.runs[0]
            if run.outcome.bad:
                continue
            if rule.outcome is not None:
                run.outcome = rule.outcome
            elif rule.severity is Severity.FATAL:
                run.outcome = Outcome.CRASHED if run.ready_line() else Outcome.FAILED_TO_START
            elif rule.family.startswith("perf."):
                run.outcome = Outcome.DEGRADED
            elif rule.kind is Kind.CAUSE:
                run.outcome = Outcome.REQUESTS_FAILING if run.ready_line() else Outcome.FAILED_TO_START

    def _history(self, incident: Incident) -> list[HistoryEntry]:
        """The causes of the service's earlier runs, grouped by rule."""
        entries: dict[str, HistoryEntry] = {}
        for run in incident.earlier:
            told = incident.about.get(run.id, [])
            ground = self.ground_of([run, *([run.parent] if run.parent else [])], told)
            roots = [item for item in judge(self._candidates(ground)) if item.role == "root_cause"]
            for item in roots:
                rule = item.candidate.rule
                entry = entries.get(rule.id)
                place = f"{run.path}:{item.candidate.line[1]}"
                if entry is None:
                    entries[rule.id] = HistoryEntry(
                        rule_id=rule.id, title=rule.title, count=1, runs=[run.id], first=place, last=place
                    )
                else:
                    entry.count += 1
                    entry.runs.append(run.id)
                    entry.last = place
        return list(entries.values())

    def _account(self, result: Judgement) -> None:
        """Which lines a fired rule, a noise rule or a harmless pattern accounts for.

        Of a wrapper only its own words are known: the exception that it quotes may be one that no rule knows.
        """
        accounted = {*(finding.rule_id for finding in result.findings), *(entry.rule_id for entry in result.history)}
        accounted |= {rule.id for rule in self.book.rules.values() if rule.kind is Kind.NOISE}
        quoted = {
            f"r:{rule.id}:{name}"
            for rule in self.book.rules.values()
            if rule.kind is Kind.WRAPPER
            for name in set(rule.captures) - set(primary_signatures(rule))
        }
        for observation in all_observations(self.timeline):
            kind, _, rest = observation.key.partition(":")
            place = (observation.source, observation.number)
            if kind == "r" and rest.split(":")[0] in accounted:
                result.explained.add(place)
                if observation.key not in quoted:
                    result.known.add(place)
            elif kind == "d" and (section := _section_of(rest)) in _ACCOUNTED:
                result.explained.add(place)
                if section == "harmless":
                    result.known.add(place)


_ACCOUNTED = {"harmless", "facts", "recognise", "starts"}
_ORDER: Mapping[str, int] = {"root_cause": 0, "contributing": 1, "risk": 1, "symptom": 2, "advice": 3}


def _section_of(rest: str) -> str:
    return rest.rsplit(":", 2)[1]


def all_observations(timeline: Timeline) -> list[Observation]:
    return [*(o for run in timeline.runs for o in run.observations), *timeline.context]


def defect(stage: str, rule: CompiledRule, what: str, error: Exception) -> Problem:
    """Tells of a rule that crashed; the others go on."""
    return Problem(
        stage=stage,
        subject=f"rule {rule.id}",
        message=f"{what}: {type(error).__name__}: {error}",
        hint="a defect of llmdoctor or of that rule: please report it",
    )


def not_judged(unknown: dict[str, list[str]]) -> list[NotJudged]:
    """Grouped by the missing input, with what would supply it; at most ten rules."""
    groups: dict[str, NotJudged] = {}
    total = 0
    for name, rules in sorted(unknown.items(), key=lambda item: -len(item[1])):
        hint = _HINTS.get(name.split(".")[0], "")
        entry = groups.setdefault(hint or name, NotJudged(missing=name, rules=[], hint=hint))
        if entry.missing != name and name not in entry.missing.split(", "):
            entry.missing += f", {name}"
        for rule in rules:
            if rule not in entry.rules and total < MAX_NOT_JUDGED:
                entry.rules.append(rule)
                total += 1
    return [entry for entry in groups.values() if entry.rules]
