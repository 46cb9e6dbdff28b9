"""Judged candidates -> findings of the document: evidence, arithmetic, prose, remedies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from doctor.diagnose.match import Candidate, Ground, match_rule, without_lines
from doctor.diagnose.rank import Judged
from doctor.facts.factset import FactSet
from doctor.read.nodes import UNPLACED
from doctor.remedy.deployment import Deployment
from doctor.remedy.propose import propose
from doctor.vocabulary.document import Computed, EvidenceLine, Finding, ReferenceEntry, RemedyEntry
from doctor.vocabulary.facts import ABSENT, Fact, Record, Unknown

if TYPE_CHECKING:
    from doctor.memory.plan import Derivation
    from doctor.scan.runs import Observation

MAX_EVIDENCE = 8
MAX_TEXT = 2000


@dataclass(slots=True)
class Writer:
    """Makes findings of one incident.

    Attributes:
        derivations: how the computed ``memory.*`` facts of each run came about.
        names_nodes: the input holds several machines, so what is said names the one that it is about.
        before: nothing has run yet: a rule's words about what is to come count.
        every_diff: see ``propose``.
    """

    ground: Ground
    deployments: dict[str, Deployment] = field(default_factory=dict)
    derivations: dict[str, dict[str, Derivation]] = field(default_factory=dict)
    names_nodes: bool = False
    before: bool = False
    every_diff: bool = True

    def write(self, judged: Judged, number: int, incident: str) -> Finding:
        candidate = judged.candidate
        rule = candidate.rule
        card = rule.card
        finding = Finding(
            id=f"f{number}",
            rule_id=rule.id,
            family=rule.family,  # of a wrapper, what it is nearly always; mostly unknown
            role=judged.role,
            runs=[candidate.run.id] if candidate.run else [],
            incident=incident,
            severity=rule.severity,
            confidence=judged.confidence,
            title=rule.title,
            summary=self._render(candidate, self._words(card, "summary") or rule.title),
            explanation=self._render(candidate, self._words(card, "explanation")),
            evidence=evidence_lines(candidate),
            count=candidate.count,
            missing_facts=sorted(candidate.missing),
            collect=card["collect"],
            references=[ReferenceEntry(**reference) for reference in card["references"]],
            known_by=rule.evidence.value,
        )
        finding.remedies = self._remedies(candidate)
        finding.computed = self._computed(candidate)
        if self.names_nodes and candidate.node != UNPLACED:
            _name_node(finding, candidate.node)
        if judged.recovered:
            finding.summary = f"{finding.summary} (the run recovered from it)"
        return finding

    def _words(self, card: dict[str, Any], part: str) -> str:
        own = card["check"] or {} if self.before else {}
        return str(own.get(part) or card[part] or "")

    def _render(self, candidate: Candidate, template: str) -> str:
        from doctor.rulebook.prose import render

        return " ".join(render(template, candidate.scope, candidate.rule.prose.get(template)).split())

    def _fill(self, candidate: Candidate, template: str) -> str | None:
        from doctor.rulebook.prose import fill

        return fill(template, candidate.scope, candidate.rule.prose.get(template))

    def _remedies(self, candidate: Candidate) -> list[RemedyEntry]:
        return propose(
            candidate.rule.card["remedies"],
            render=lambda template: self._render(candidate, template),
            fill=lambda template: self._fill(candidate, template),
            evaluate=candidate.scope.evaluate,
            deployment=self._deployment(candidate),
            raised_by=lambda facts, removed: self._raised(candidate, facts, removed),
            every_diff=self.every_diff,
        )

    def _deployment(self, candidate: Candidate) -> Deployment:
        """What a remedy changes. A finding of the kernel's log has no run: it is about the only one there is."""
        if candidate.run is not None:
            return self.deployments.get(candidate.run.id, Deployment())
        return next(iter(self.deployments.values())) if len(self.deployments) == 1 else Deployment()

    def _raised(self, candidate: Candidate, facts: list[Fact], removed: set[str]) -> list[str]:
        """Rules about settings alone that hold after the change and did not before, as grave as this one or graver."""
        run = candidate.run
        if run is None:
            return []
        changed = FactSet(parents=[self.ground.facts(run)])
        for fact in facts:
            changed.add(fact)
        changed.absent |= removed
        after = Ground(self.ground.book, {}, {run.id: changed}, {run.node: changed}, [run])
        found = []
        for rule in without_lines(self.ground.book):
            if rule.severity.rank < candidate.rule.severity.rank:
                continue
            if match_rule(rule, after) and not match_rule(rule, self.ground):
                found.append(rule.id)
        return found

    def _computed(self, candidate: Candidate) -> list[Computed]:
        """The rule's own arithmetic, then the derived memory figures that it (or its prose) used."""
        rule, scope = candidate.rule, candidate.scope
        found = []
        for name, expression in rule.compute.items():
            value, inputs = scope.traced(expression)
            if not isinstance(value, Unknown) and value is not ABSENT:
                unit = rule.card["units"].get(name, "")
                shown = {key: plain(item) for key, item in inputs.items() if item is not ABSENT and key != name}
                if value == 0 and len(shown) > 1 and not any(shown.values()):
                    continue  # a sum of nothing but what was not in the input
                found.append(Computed(name=name, value=plain(value), unit=unit, expression=expression, inputs=shown))
        derivations = self.derivations.get(candidate.run.id if candidate.run else "", {})
        for name in scope.used:
            derivation = derivations.get(name)
            if derivation is not None:
                found.append(
                    Computed(
                        name=name,
                        value=plain(derivation.value),
                        unit=derivation.unit,
                        expression=derivation.expression,
                        inputs={key: plain(item) for key, item in derivation.inputs.items()},
                    )
                )
        return found


def _name_node(finding: Finding, node: str) -> None:
    """Says which machine it is about, and where to do what is to be done."""
    finding.node = node
    finding.summary = f"{node}: {finding.summary}"
    for remedy in finding.remedies:
        if not any(action.get("scope") == "every_node" for action in remedy.actions):
            remedy.title = f"{node}: {remedy.title}"


def evidence_lines(candidate: Candidate) -> list[EvidenceLine]:
    """The lines that the rule stands on, each once, primary first."""
    found: dict[tuple[int, int], EvidenceLine] = {}
    for name, hit in candidate.evidence:
        place = (hit.source, hit.number)
        if place in found:
            found[place].captures.update(_captures(candidate, name))
            continue
        found[place] = _line(hit, name, _captures(candidate, name))
    return list(found.values())[:MAX_EVIDENCE]


def _captures(candidate: Candidate, name: str) -> dict[str, Any]:
    return {f"{name}.{key}": plain(value) for key, value in candidate.scope.captures(name).items()}


def _line(hit: Observation, name: str, captures: dict[str, Any]) -> EvidenceLine:
    return EvidenceLine(
        path=hit.path,
        line=hit.number,
        text=hit.line.text[:MAX_TEXT],
        before=list(hit.line.before),
        after=list(hit.line.after),
        captures=captures,
        signature=name,
    )


def plain(value: Any) -> Any:
    """A value as JSON data."""
    if value is ABSENT or isinstance(value, Unknown):
        return None
    if isinstance(value, Record):
        return {key: plain(item) for key, item in value.fields.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, (str, int, bool)) or value is None:
        return value
    return str(getattr(value, "raw", value))


def fact_values(facts: FactSet) -> dict[str, Any]:
    """The winning scalars of a scope, as JSON data; an empty list says nothing to a reader."""
    values = {name: plain(facts.value(name)) for name in sorted(facts.names())}
    return {name: value for name, value in values.items() if value != []}


def fact_origins(facts: FactSet) -> dict[str, str]:
    """Where each winning scalar comes from: ``serve.log:202 (effective)``."""
    found = {}
    for name in sorted(facts.names()):
        fact = facts.fact(name)
        if fact is not None and fact.value != []:
            found[name] = f"{fact.origin} ({fact.origin.layer})" if fact.origin.line else str(fact.origin)
    return found


def unique(items: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(items))
