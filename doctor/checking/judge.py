"""Asks every rule that can be decided without a log, and writes the risks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from doctor.checking.parts import in_parts
from doctor.checking.room import entries
from doctor.cores import cores
from doctor.diagnose.engine import MAX_NOT_JUDGED, defect, not_judged
from doctor.diagnose.findings import MAX_EVIDENCE, MAX_TEXT, Writer, plain
from doctor.diagnose.match import Candidate, Ground, check_rule, match_rule, primary_signatures
from doctor.diagnose.rank import Judged
from doctor.diagnose.summary import run_entry, setting_entries
from doctor.rulebook.expressions import names
from doctor.vocabulary.document import (
    Diagnosis,
    EvidenceLine,
    Finding,
    MemoryEntry,
    NotJudged,
    Problem,
    RunEntry,
    SettingEntry,
)
from doctor.vocabulary.facts import Layer
from doctor.vocabulary.terms import Kind, Severity

if TYPE_CHECKING:
    from doctor.checking.planned import Planned
    from doctor.checking.reading import Deployments
    from doctor.rulebook.book import CompiledRule, RuleBook

_FOR_MEMORY = ("setting.context", "setting.gpu_layers", "setting.tensor_parallel", "setting.memory_fraction")
_DECLARED = {
    "host.memlock_limit": "declare it: LimitMEMLOCK= of a unit, ulimits of a container",
    "host.shm_size": "declare it: shm_size of a service, a volume in memory at /dev/shm of a pod",
    "host.cgroup_limit": "declare it: MemoryMax= of a unit, a memory limit of a container",
    "host.open_files_limit": "declare it: LimitNOFILE= of a unit, ulimits of a container",
}
"""What no target tells, as a deployment has its own."""
_ROLES = {"risk": 0, "symptom": 1, "advice": 2}
_MISSING = {
    "machine": ("--target HOST", "a probe (`llmdoctor probe -o host.json`), a few lines of YAML, or an example's name"),
    "model": ("--model M", "a GGUF file, a Hugging Face folder, or a few numbers in YAML"),
}


def judge(
    runs: Sequence[Planned],
    document: Diagnosis,
    book: RuleBook,
    deployments: Deployments,
    *,
    has_model: bool,
    has_machine: bool,
    every_diff: bool = True,
) -> set[str]:
    """Fills the document: runs, settings, memory, findings.

    Returns:
        The names of rules that could not be judged, for ``conclude``.
    """
    rules = [rule for rule in book.rules.values() if takes_part(rule)]
    unknown: dict[str, list[str]] = defaultdict(list)
    judged: set[str] = set()
    for part in in_parts(runs, lambda some: _judge_part(some, rules, book, deployments, every_diff), cores()):
        for name, told in part.unknown.items():
            unknown[name] += told
        judged |= part.judged
        document.findings += part.findings
        document.memory += part.memory
        document.runs += part.runs
        document.settings += part.settings
        document.problems += part.problems
    for number, finding in enumerate(document.findings, 1):
        finding.id = f"f{number}"
    _sort_out(document, book)
    document.judged = sorted(judged)
    document.could_not_judge = not_judged(unknown) or _not_given(rules, runs, has_model, has_machine)
    _say_what_supplies(document.could_not_judge, has_model=has_model, has_machine=has_machine)
    return {name for names in unknown.values() for name in names}


@dataclass(slots=True)
class _Part:
    """What came of some of the runs."""

    unknown: dict[str, list[str]] = field(default_factory=dict)
    judged: set[str] = field(default_factory=set)
    findings: list[Finding] = field(default_factory=list)
    memory: list[MemoryEntry] = field(default_factory=list)
    runs: list[RunEntry] = field(default_factory=list)
    settings: list[SettingEntry] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def _judge_part(
    runs: Sequence[Planned], rules: Sequence[CompiledRule], book: RuleBook, deployments: Deployments, every_diff: bool
) -> _Part:
    part = _Part()
    quiet = Quiet(book)
    for planned in runs:
        for rule, candidate in _candidates(rules, planned, book, part.problems, quiet):
            part.judged.add(rule.id)
            if candidate is not None and not candidate.holds:
                for name in candidate.missing:
                    part.unknown.setdefault(name, []).append(rule.id)
            elif candidate is not None:
                writer = _writer(planned, book, every_diff)
                part.findings.append(_finding(candidate, writer, deployments))
        if planned.plan is not None:
            part.memory += entries(planned.plan, planned.run.id)
        part.runs.append(run_entry(planned.run, planned.facts))
        part.settings += setting_entries(planned.run, planned.facts)
    return part


def takes_part(rule: CompiledRule) -> bool:
    """Whether a rule can be decided without a log: it says when, or nothing in its match needs a line."""
    return rule.check is not None or (rule.kind in {Kind.CAUSE, Kind.ADVICE} and not primary_signatures(rule))


@dataclass(slots=True)
class Quiet:
    """What rules have had nothing against: of two hundred manifests most say the same of what a rule asks for.

    Attributes:
        names: what each rule may ask for: facts, and kinds of records.
        seen: rule, engine, and the values of these names.
    """

    book: RuleBook
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    seen: set[tuple[Any, ...]] = field(default_factory=set)

    def key(self, rule: CompiledRule, planned: Planned) -> tuple[Any, ...]:
        if rule.id not in self.names:
            found = {name for text in rule.expressions() for name in names(self.book.nodes[text])}
            own = {*rule.captures, *rule.compute}
            self.names[rule.id] = tuple(sorted(name for name in found if name.split(".")[0] not in own))
        run, facts = planned.run, planned.facts
        values = []
        for name in self.names[rule.id]:
            value = facts.value(name)
            records = facts.collection(name.split(".")[0]) if value is None else None
            values.append(repr(value) if records is None else tuple(map(id, records)))
        return rule.id, *run.engines, run.wrapper, run.product, *run.versions.items(), *values


def _candidates(
    rules: Sequence[CompiledRule], planned: Planned, book: RuleBook, problems: list[Problem], quiet: Quiet
) -> Iterator[tuple[CompiledRule, Candidate | None]]:
    """The rules that are about this engine, with what came of each."""
    run = planned.run
    ground = Ground(book, {}, {run.id: planned.facts}, planned.nodes, [run])
    for rule in rules:
        if not _is_about(rule, set(run.engines)):
            continue
        try:
            key = quiet.key(rule, planned)
            if key in quiet.seen:
                candidate = None
            elif rule.check is not None:
                candidate = check_rule(rule, run, ground)
            else:
                candidate = next(iter(match_rule(rule, ground)), None)
            if candidate is None:
                quiet.seen.add(key)
            yield rule, candidate
        except Exception as error:  # one rule must not take the others down
            problems.append(defect("diagnose", rule, "could not be judged", error))


def _writer(planned: Planned, book: RuleBook, every_diff: bool) -> Writer:
    run = planned.run
    ground = Ground(book, {}, {run.id: planned.facts}, planned.nodes, [run])
    deployments, derivations = {run.id: planned.deployment}, {run.id: planned.derivations}
    return Writer(ground, deployments, derivations, before=True, every_diff=every_diff)


def _finding(candidate: Candidate, writer: Writer, deployments: Deployments) -> Finding:
    rule = candidate.rule
    grave = rule.kind is Kind.CAUSE and rule.severity.rank >= Severity.MAJOR.rank
    finding = writer.write(Judged(candidate, "risk" if grave else "advice"), 0, "")  # numbered among all
    finding.incident = None
    finding.evidence = _declared(candidate, deployments)
    return finding


def _declared(candidate: Candidate, deployments: Deployments) -> list[EvidenceLine]:
    """The lines of the files that declare what the rule looked at, in the order in which it asked."""
    found: dict[tuple[str, int], EvidenceLine] = {}
    asked = candidate.asked
    if any(name.startswith("memory.") for name in asked):  # what lies where follows from these
        asked = (*asked, *(name for name in _FOR_MEMORY if name not in asked))
    for name in asked:
        fact = candidate.scope.facts.fact(name)
        if fact is None or fact.origin.line is None or fact.origin.layer is Layer.DEFAULT:
            continue
        file = deployments.declared.files.get(fact.origin.path)
        if file is None:
            continue
        place = (fact.origin.path, fact.origin.line)
        if place not in found:
            text = file.text.split("\n")[fact.origin.line - 1][:MAX_TEXT]
            found[place] = EvidenceLine(path=place[0], line=place[1], text=text, signature=name)
        found[place].captures[name] = plain(fact.value)
    return list(found.values())[:MAX_EVIDENCE]


def _sort_out(document: Diagnosis, book: RuleBook) -> None:
    """Gravest first; of what a rule takes for its symptoms nothing is a risk of its own."""
    by_run: dict[tuple[str, ...], list[Finding]] = defaultdict(list)
    for finding in document.findings:
        if finding.role == "risk":
            by_run[tuple(finding.runs)].append(finding)
    for risks in by_run.values():
        for finding in risks:
            for other in risks:
                if other.rule_id in book.rules[finding.rule_id].explains:
                    other.role = "symptom"
                    finding.explains.append(other.id)

    def order(finding: Finding) -> tuple[int, int]:
        return _ROLES[finding.role], -finding.severity.rank

    document.findings.sort(key=order)


def _not_given(
    rules: Sequence[CompiledRule], runs: Sequence[Planned], has_model: bool, has_machine: bool
) -> list[NotJudged]:
    """Without a model or a machine nothing tells whether it fits, even where no rule has got as far as asking."""
    missing = [name for name, known in (("model", has_model), ("host", has_machine)) if not known]
    engines = {name for planned in runs for name in planned.run.engines}
    if not missing or not engines:
        return []
    named = [rule.id for rule in rules if rule.check and _asks_for_memory(rule) and _is_about(rule, engines)]
    return [NotJudged(missing=", ".join(missing), rules=named[:MAX_NOT_JUDGED], hint="")]


def _asks_for_memory(rule: CompiledRule) -> bool:
    return rule.check is not None and any("memory." in text for text in rule.check["when"])


def _is_about(rule: CompiledRule, engines: set[str]) -> bool:
    return not rule.engines or any(entry["name"] in engines for entry in rule.engines)


def _say_what_supplies(groups: Sequence[NotJudged], *, has_model: bool, has_machine: bool) -> None:
    """What would supply a missing fact: before anything has run, that is the machine, the model or a setting."""
    for group in groups:
        heads = {name.split(".")[0] for name in group.missing.split(", ")}
        wanted = []
        if not has_machine and heads & {"host", "device", "memory", "numa_node", "disk"}:
            wanted.append(_MISSING["machine"])
        if not has_model and heads & {"model", "memory", "file"}:
            wanted.append(_MISSING["model"])
        if wanted:
            group.hint = "; ".join(f"{option}: {what}" for option, what in wanted)
        elif heads == {"memory"}:
            group.hint = "the memory of this deployment can't be worked out; mend what else is found, and check again"
        elif declared := [_DECLARED[name] for name in group.missing.split(", ") if name in _DECLARED]:
            group.hint = "; ".join(declared)
        elif group.missing == "engine.base_build":
            group.hint = "which llama.cpp is inside this release is not known here; nothing in the input would tell it"
        elif heads & {"engine"}:
            group.hint = "name the version: an image's tag, or a probe of the machine that has the program"
        elif heads & {"host", "device", "memory", "numa_node", "disk"}:
            group.hint = "say it in the target's YAML or probe"


def conclude(document: Diagnosis, book: RuleBook, open_rules: set[str]) -> None:
    """The verdict of what counts: ``at_risk`` over ``unknown`` over ``clear``."""
    risks = [finding for finding in document.findings if finding.role == "risk"]
    known = [run for run in document.runs if run.engine.name is not None]
    serious = [name for name in open_rules if book.rules[name].severity.rank >= Severity.MAJOR.rank]
    count = f"{len(known)} deployment{'' if len(known) == 1 else 's'}"
    if risks:
        document.verdict = "at_risk"
        document.summary = risks[0].summary
    elif not known:
        document.verdict = "unknown"
        document.summary = "No program of an engine was found in the input."
    elif serious:
        document.verdict = "unknown"
        rules = "a serious rule" if len(serious) == 1 else f"{len(serious)} serious rules"
        document.summary = f"Nothing speaks against {count}, but {rules} could not be judged."
    elif document.could_not_judge and document.could_not_judge[0].missing in {"model", "host", "model, host"}:
        document.verdict = "unknown"
        document.summary = f"Nothing speaks against {count}, but whether it fits into memory is not known."
    else:
        document.verdict = "clear"
        document.summary = f"{len(document.judged)} rules have nothing against {count}."
    if document.suppressed:
        number = len(document.suppressed)
        document.summary += f" {number} finding{' is' if number == 1 else 's are'} suppressed."
