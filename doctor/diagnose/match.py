"""Does a rule hold? Three-valued: true, false, or unknown for lack of facts that it names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from doctor.diagnose.scope import RuleScope
from doctor.read.nodes import UNPLACED, same_machine
from doctor.rulebook.values import conjunction, disjunction, negation
from doctor.vocabulary.facts import ABSENT, Unknown
from doctor.vocabulary.terms import Kind

if TYPE_CHECKING:
    from doctor.facts.factset import FactSet
    from doctor.rulebook.book import CompiledRule, RuleBook
    from doctor.scan.runs import Observation, Run

MAX_TRIES = 40
ECHO_LINES = 60

# True, False or Unknown: Kleene's three values.
Truth = bool | Unknown

_WITHOUT_LINES: dict[str, list[str]] = {}
"""By the key of the rule book. Every remedy is tried against these rules, of which there are few among many."""


@dataclass(slots=True)
class Candidate:
    """A rule that holds, or would if the missing facts were known.

    Attributes:
        run: the run that the primary hit lies in; None for a line outside of any run.
        evidence: (signature, hit) in the order of the rule's signatures, primary first.
        steps_down: how far confidence is lowered by what is not known of engine and version.
        unseen_wrapper: the rule is about a product that may stand around the engine, but was not seen.
        asked: the facts that it was decided by, in order.
        count: how often the primary signature was seen in that run.
        lines: on how many of its lines, each by itself.
    """

    rule: CompiledRule
    run: Run | None
    scope: RuleScope
    evidence: list[tuple[str, Observation]]
    holds: bool = True
    missing: frozenset[str] = frozenset()
    steps_down: int = 0
    unseen_wrapper: bool = False
    strengthened: bool = False
    count: int = 1
    lines: int = 1
    conditions: int = 0
    asked: Sequence[str] = ()

    @property
    def outside(self) -> bool:
        """Whether it stands on a line outside of any run."""
        return bool(self.evidence) and self.evidence[0][1].run is None

    @property
    def node(self) -> str:
        """The machine that it is about."""
        if self.evidence:
            return self.evidence[0][1].node
        return self.run.node if self.run else UNPLACED

    @property
    def line(self) -> tuple[int, int]:
        """Where its first evidence stands: source, line."""
        if not self.evidence:
            return (1 << 30, 1 << 30)
        first = min(self.evidence, key=lambda item: (item[1].source, item[1].number))[1]
        return (first.source, first.number)


@dataclass(slots=True)
class Ground:
    """What rules are matched against: an incident's hits by rule signature, the facts of each run and machine."""

    book: RuleBook
    hits: dict[str, list[Observation]]
    facts_of: dict[str, FactSet]
    node_facts: Mapping[str, FactSet]
    runs: Sequence[Run]

    def facts(self, run: Run | None, node: str = UNPLACED) -> FactSet:
        """Of a run; for a line outside of any run (a kernel line), of its machine's service, else of the machine."""
        if run is not None:
            return self.facts_of[run.id]
        here = [run for run in self.runs if not run.is_wrapper and same_machine(run.node, node)]
        main = [run for run in here if not run.is_worker] or (here if node != UNPLACED else [])
        return self.facts_of[main[-1].id] if main else self.node_facts[node]

    def run_about(self, hit: Observation) -> Run | None:
        """The run that a line belongs to, or is about if it is outside of any."""
        if hit.run is not None or not hit.about:
            return hit.run
        about = [run for run in self.runs if run in hit.about]
        return about[0] if len(about) == 1 else None

    def signature(self, rule: CompiledRule, name: str) -> list[Observation]:
        return self.hits.get(f"r:{rule.id}:{name}", [])


def match_rule(rule: CompiledRule, ground: Ground) -> list[Candidate]:
    """Where ``rule`` holds or may hold in an incident: one candidate; a rule about settings alone has one a run."""
    primaries = primary_signatures(rule)
    if not primaries:
        found = []
        runs: list[Run | None] = [run for run in ground.runs if not run.is_wrapper]
        for run in runs or [None]:
            candidate = _try(rule, None, run, ground)
            if candidate is not None and candidate.holds:
                found.append(candidate)
        return found
    by_run: dict[str, list[tuple[str, Observation]]] = {}
    for name in primaries:
        for hit in ground.signature(rule, name):
            by_run.setdefault(hit.run.id if hit.run else hit.node, []).append((name, hit))
    found = []
    for hits in by_run.values():
        best: Candidate | None = None
        hits.sort(key=lambda item: (item[1].source, item[1].number))
        for name, hit in hits[:MAX_TRIES]:
            candidate = _try(rule, (name, hit), ground.run_about(hit), ground)
            if candidate is not None and (best is None or (candidate.holds and not best.holds)):
                best = candidate
            if best is not None and best.holds:
                break
        if best is not None:
            best.count, best.lines = _occurrences(hits), len({hit.number for _name, hit in hits})
            found.append(best)
    return _one_an_incident(found)


def _occurrences(hits: Sequence[tuple[str, Observation]]) -> int:
    """How often it happened: the lines that one event prints (message, stack frame, echo) stand near each other."""
    count, last = 0, -ECHO_LINES
    for _name, hit in sorted(hits, key=lambda item: item[1].number):
        if hit.number - last >= ECHO_LINES:
            count += 1
        last = hit.number
    return count


def _one_an_incident(candidates: list[Candidate]) -> list[Candidate]:
    """Kernel lines and the runs of one incident show the same failure: one candidate, at a run's lines if it can be."""
    if len(candidates) < 2:
        return candidates
    best = min(candidates, key=lambda candidate: (not candidate.holds, candidate.outside, candidate.line))
    best.count = max(candidate.count for candidate in candidates)
    return [best]


def primary_signatures(rule: CompiledRule) -> list[str]:
    """The signatures that a rule is tried at, see ``tried_at``."""
    return tried_at(rule.match, rule.captures)


def without_lines(book: RuleBook) -> list[CompiledRule]:
    """The rules that settings, model and machine alone decide: no line of a log has to match."""
    names = _WITHOUT_LINES.get(book.key) if book.key else None
    if names is None:
        names = [rule.id for rule in book.rules.values() if not primary_signatures(rule)]
        if book.key:
            _WITHOUT_LINES.clear()  # another book has been loaded since
            _WITHOUT_LINES[book.key] = names
    return [book.rules[name] for name in names]


def tried_at(match: dict[str, Any], signatures: Mapping[str, Any]) -> list[str]:
    """Signatures that a match is tried at: the first that must be there, or all of an `any` where none must."""
    needed = _named({**match, "any": []}, signatures)
    return needed[:1] or _named(match, signatures)


def _named(match: dict[str, Any], signatures: Mapping[str, Any]) -> list[str]:
    """Signatures that a match needs, in order."""
    found = []
    for part in ("all", "sequence", "any"):
        for term in match[part]:
            if isinstance(term, str):
                if term in signatures:
                    found.append(term)
            elif part == "sequence":
                found.append(term["signature"])
            else:
                found += _named(term, signatures)
    for part in ("count", "not_followed_by"):
        if match[part]:
            found.append(match[part]["signature"])
    return found


def _try(rule: CompiledRule, at: tuple[str, Observation] | None, run: Run | None, ground: Ground) -> Candidate | None:
    applies, steps = engine_applies(rule, run, ground)
    if not applies:
        return None
    bound: dict[str, Observation | None] = {}
    if at is not None:
        bound[at[0]] = at[1]
    for name in rule.captures:
        if name not in bound:
            hits = ground.signature(rule, name)
            bound[name] = (_first_thrown(rule, run, hits) if hits else None) or _nearest(hits, at[1] if at else None)
    scope = RuleScope(rule, ground.book, ground.facts(run, at[1].node if at else UNPLACED), bound)
    truth = _Matcher(rule, ground, scope, bound).match(rule.match)
    if truth is False:
        return None
    strengthening = rule.match["strengthened_by"]
    strong = bool(strengthening) and any(
        _Matcher(rule, ground, scope, bound).term(term) is True for term in strengthening
    )
    if strong and steps:
        steps -= 1
    names = list(dict.fromkeys([*([at[0]] if at else []), *_named(rule.match, rule.captures), *rule.captures]))
    forbidden = {term for term in rule.match["none"] if isinstance(term, str)}
    evidence = [(name, hit) for name in names if name not in forbidden and (hit := bound.get(name)) is not None]
    return Candidate(
        rule,
        run,
        scope,
        evidence,
        truth is True,
        truth.missing if isinstance(truth, Unknown) else frozenset(),
        steps,
        unseen_wrapper=_is_unseen(rule, run),
        strengthened=strong,
        conditions=_conditions(rule.match),
        asked=tuple(scope.used),
    )


def check_rule(rule: CompiledRule, run: Run, ground: Ground) -> Candidate | None:
    """Whether the failure is to be expected of a run that is yet to be; None if it is not.

    A rule about certain versions is not decided where the version is not known.
    """
    if rule.check is None:
        return None
    applies, steps = engine_applies(rule, run, ground)
    if not applies:
        return None
    scope = RuleScope(rule, ground.book, ground.facts(run), given=rule.check["given"])
    parts: list[Truth] = []
    for text in rule.check["when"]:
        value = scope.evaluate(text)
        parts.append(value if isinstance(value, Unknown) else value is not ABSENT and bool(value))
    if steps and any(entry["affected"] for entry in rule.engines):
        parts.append(Unknown(frozenset({"engine.version"})))
        steps = 0
    truth = conjunction(parts)
    if truth is False:
        return None
    missing = truth.missing if isinstance(truth, Unknown) else frozenset[str]()
    return Candidate(rule, run, scope, [], truth is True, missing, steps, asked=tuple(scope.used))


def _conditions(match: dict[str, Any]) -> int:
    count = len(match["all"]) + len(match["sequence"]) + len(match["none"]) + (1 if match["any"] else 0)
    count += sum(_conditions(term) for term in match["all"] if isinstance(term, dict))
    return count + bool(match["count"]) + bool(match["not_followed_by"])


def _first_thrown(rule: CompiledRule, run: Run | None, hits: Sequence[Observation]) -> Observation | None:
    """The hit on the exception that a wrapper is about: the run's first, not the nearest of many ranks'."""
    thrown = run.first_thrown() if rule.kind is Kind.WRAPPER and run is not None else None
    return next((hit for hit in hits if thrown and hit.run is run and hit.number == thrown.first.line.number), None)


def _nearest(hits: Sequence[Observation], to: Observation | None) -> Observation | None:
    """The hit nearest to a place: same run and process, then same source, same machine, then anywhere (the first)."""
    if not hits:
        return None
    if to is None:
        return hits[0]
    same_source = [hit for hit in hits if hit.source == to.source]
    if same_source:
        return min(same_source, key=lambda hit: (hit.run is not to.run, _apart(hit, to), abs(hit.number - to.number)))
    return next((hit for hit in hits if same_machine(hit.node, to.node)), hits[0])


def _apart(one: Observation, other: Observation) -> bool:
    """Whether two lines are of different processes, as far as they say."""
    return one.proc is not None and other.proc is not None and one.proc != other.proc


def engine_applies(rule: CompiledRule, run: Run | None, ground: Ground) -> tuple[bool, int]:
    """Whether the rule's engines admit this run, and how many steps of confidence the answer costs."""
    if not rule.engines:
        return True, 0
    if run is None:
        seen = {name for other in ground.runs for name in other.engines}
        if not seen or any(entry["name"] in seen for entry in rule.engines):
            return True, 0
        return False, 0
    if not run.engines:
        return True, 1
    cost: int | None = None
    for entry in rule.engines:
        name = entry["name"]
        if name in run.engines:
            fits = _version_fits(entry, run)
            step = 0 if fits is True else 1 if fits is None else None
        elif run.wrapper is None and run.engine in ground.book.bases(name):
            step = 1  # the log speaks the base engine's language; a wrapper may stand around it unseen
        else:
            step = None
        if step is not None:
            cost = step if cost is None else min(cost, step)
    return cost is not None, cost or 0


def _is_unseen(rule: CompiledRule, run: Run | None) -> bool:
    """Whether the rule is about a product that was not seen, where another is known to run."""
    names = {entry["name"] for entry in rule.engines}
    return bool(names) and run is not None and bool(run.engines) and names.isdisjoint(run.engines)


def _version_fits(entry: dict[str, Any], run: Run) -> bool | None:
    if not entry["affected"]:
        return True
    text = run.versions.get(entry["name"])
    if text is None:
        return None
    from doctor.versions import Version

    return Version.parse(text).within(entry["affected"])


@dataclass(slots=True)
class _Matcher:
    rule: CompiledRule
    ground: Ground
    scope: RuleScope
    bound: dict[str, Observation | None]

    def match(self, match: dict[str, Any]) -> Truth:
        # The sequence binds its signatures to the hits that follow one another, so it goes first.
        parts: list[Truth] = []
        if match["sequence"]:
            parts.append(self.sequence(match["sequence"]))
        parts += [self.term(term) for term in match["all"]]
        if match["any"]:
            parts.append(disjunction([self.term(term) for term in match["any"]]))
        parts += [negation(self.term(term)) for term in match["none"]]
        if match["count"]:
            parts.append(self.count(match["count"]))
        if match["not_followed_by"]:
            parts.append(self.not_followed_by(match["not_followed_by"]))
        return conjunction(parts)

    def term(self, term: str | dict[str, Any]) -> Truth:
        if isinstance(term, dict):
            return self.match(term)
        if term in self.rule.captures:
            return self.bound.get(term) is not None
        value = self.scope.evaluate(term)
        if isinstance(value, Unknown):
            return value
        return value is not ABSENT and bool(value)

    def sequence(self, steps: list[dict[str, Any]]) -> Truth:
        previous = self.bound.get(steps[0]["signature"])
        if previous is None:
            return False
        for step in steps[1:]:
            following = self._after(step["signature"], previous, step["within_lines"], step["same_proc"])
            if following is None:
                return False
            self.bound[step["signature"]] = previous = following
        return True

    def _after(self, name: str, place: Observation, within: int | None, same_proc: bool = False) -> Observation | None:
        for hit in self.ground.signature(self.rule, name):
            if hit.source != place.source or hit.run is not place.run or hit.number < place.number or hit is place:
                continue
            if within is not None and hit.number - place.number > within * self._interleaved(hit, place):
                continue
            if same_proc and _apart(hit, place):
                continue
            return hit
        return None

    def _interleaved(self, hit: Observation, place: Observation) -> int:
        """How many processes print between two lines of one: so many times farther they stand apart."""
        if hit.proc is None or hit.proc != place.proc or place.run is None:
            return 1
        return max(1, len(place.run.procs))

    def count(self, count: dict[str, Any]) -> Truth:
        place = self.bound.get(count["signature"])
        if place is None:
            return False
        hits = [hit for hit in self.ground.signature(self.rule, count["signature"]) if hit.run is place.run]
        within = count["within_lines"]
        if within is not None:
            hits = [hit for hit in hits if hit.source == place.source and 0 <= hit.number - place.number <= within]
        return len(hits) >= int(count["at_least"])

    def not_followed_by(self, part: dict[str, Any]) -> Truth:
        place = self.bound.get(part["signature"])
        return place is not None and self._after(part["by"], place, part["within_lines"]) is None
