"""What the names in a rule's expressions mean: captures of bound signatures, computed values, facts, collections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from doctor.facts.catalogue import load_catalogue
from doctor.facts.convert import convert
from doctor.rulebook.values import member
from doctor.vocabulary.facts import ABSENT, Unknown

if TYPE_CHECKING:
    from doctor.facts.factset import FactSet
    from doctor.rulebook.book import CompiledRule, RuleBook
    from doctor.scan.runs import Observation


@dataclass(slots=True)
class RuleScope:
    """The names of one rule, at one place of the input.

    Attributes:
        bound: signature name -> the hit that it is bound to, None when it did not match.
        given: before anything has run, what its signatures would capture: expressions by signature and capture.
        used: facts that were asked for and their values, kept to show an arithmetic's inputs.
    """

    rule: CompiledRule
    book: RuleBook
    facts: FactSet
    bound: Mapping[str, Observation | None] = field(default_factory=dict)
    given: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    used: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    _computing: set[str] = field(default_factory=set)
    _computed: dict[str, Any] = field(default_factory=dict)

    def resolve(self, path: tuple[str, ...]) -> Any:
        """The value of a dotted name: a value, ABSENT, or Unknown with the name that is missing."""
        head = path[0]
        if head in self.rule.captures:
            value = self._capture(head, path[1:])
        elif head in self.rule.compute:
            value = self.compute(head)
            for key in path[1:]:
                value = member(value, key)
        else:
            value = self._fact(path)
        if not isinstance(value, (Unknown, list)):
            self.used[".".join(path)] = value
        return value

    def compute(self, name: str) -> Any:
        """The value of a `compute` entry; one that asks for itself is unknown."""
        if name in self._computed:
            return self._computed[name]
        if name in self._computing:
            return Unknown(frozenset({name}))
        self._computing.add(name)
        value = self._computed[name] = self.evaluate(self.rule.compute[name])
        self._computing.discard(name)
        return value

    def evaluate(self, text: str) -> Any:
        from doctor.rulebook.expressions import evaluate

        return evaluate(self.book.nodes[text], self, self.problems)

    def traced(self, text: str) -> tuple[Any, dict[str, Any]]:
        """The value of an expression, and the values of the names that it asked for."""
        before, self.used = self.used, {}
        value = self.evaluate(text)
        inputs, self.used = self.used, {**before, **self.used}
        return value, inputs

    def captures(self, name: str) -> dict[str, Any]:
        """All typed captures of a bound signature."""
        observation = self.bound.get(name)
        if observation is None:
            return {}
        types = self.rule.captures[name]
        found = {key: convert(text, types.get(key, "str")) for key, text in observation.captures.items()}
        return {key: value for key, value in found.items() if value is not ABSENT}

    def _capture(self, name: str, rest: tuple[str, ...]) -> Any:
        observation = self.bound.get(name)
        if observation is None and name in self.given:
            return self._given(name, rest)
        if observation is None:
            return ABSENT
        if not rest:
            return True
        if rest[0] == "line" and "line" not in observation.captures:
            return observation.number
        return convert(observation.captures.get(rest[0]), self.rule.captures[name].get(rest[0], "str"))

    def _given(self, name: str, rest: tuple[str, ...]) -> Any:
        """What a log would have said; a capture that asks for itself is unknown."""
        expression = self.given[name].get(rest[0]) if rest else None
        place = ".".join((name, *rest))
        if expression is None:
            return ABSENT if rest else True
        if place in self._computing:
            return Unknown(frozenset({place}))
        self._computing.add(place)
        value = self.evaluate(expression)
        self._computing.discard(place)
        return value

    def _fact(self, path: tuple[str, ...]) -> Any:
        name = ".".join(path)
        value = self.facts.value(name)
        if value is not None:
            return value
        if path[0] in load_catalogue().records:
            found = self.facts.collection(path[0])
            return found if found is not None else Unknown(frozenset({path[0]}))
        if path == ("engine",):
            return self.facts.value("engine.version") or Unknown(frozenset({"engine.version"}))
        return Unknown(frozenset({name}))
