"""Runs the examples of rules through the real scanner, fact readers and matcher."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doctor.diagnose.engine import Diagnostician
from doctor.diagnose.findings import plain
from doctor.diagnose.match import Candidate, Ground, check_rule, match_rule
from doctor.diagnose.rank import recovered
from doctor.facts.assemble import Given, assemble
from doctor.facts.catalogue import load_catalogue
from doctor.facts.convert import convert
from doctor.read.nodes import UNPLACED
from doctor.scan.database import Database
from doctor.scan.runs import Run, ScannedSource, Timeline, build_timeline
from doctor.scan.scanner import scan_text
from doctor.vocabulary.facts import ABSENT, Origin, Record
from doctor.vocabulary.terms import Kind

if TYPE_CHECKING:
    from doctor.facts.factset import FactSet
    from doctor.rulebook.book import CompiledRule, RuleBook
    from doctor.vocabulary.document import Finding

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"


@dataclass(frozen=True, slots=True)
class ExampleResult:
    rule_id: str
    name: str
    passed: bool
    reason: str = ""


def try_examples(book: RuleBook, ids: Sequence[str] = ()) -> Iterator[ExampleResult]:
    """One result for each example of the rules named (of all, when none is)."""
    database = Database(book.patterns())
    for rule in book.rules.values():
        if ids and rule.id not in ids:
            continue
        for expected in ("match", "no_match"):
            for number, example in enumerate(rule.card["examples"][expected], 1):
                reason = _try(rule, example, expected == "match", book, database)
                yield ExampleResult(rule.id, f"{expected}[{number}]", not reason, reason)
            told = (rule.card["check"] or {"examples": {expected: []}})["examples"][expected]
            for number, example in enumerate(told, 1):
                reason = _try_check(rule, example, expected == "match", book)
                yield ExampleResult(rule.id, f"check.{expected}[{number}]", not reason, reason)


def shown(rule: CompiledRule, book: RuleBook, database: Database) -> Finding | None:
    """What a rule says about the first log among its examples in which it is found, as a user would see it."""
    from doctor.api import conclude
    from doctor.intake import Intake

    for example in rule.card["examples"]["match"]:
        if not example["log"] or example["facts"] or example["records"] or example["engine"]:
            continue
        source = ScannedSource(0, "server.log", UNPLACED, "log", scan_text(example["log"], database))
        document = conclude(Intake(scanned=[source]), book, "last")
        for finding in document.findings:
            if finding.rule_id == rule.id:
                return finding
    return None


def _try(rule: CompiledRule, example: dict[str, Any], wanted: bool, book: RuleBook, database: Database) -> str:
    """Why the example fails; empty when it passes."""
    if example["fixture"]:
        return _try_fixture(rule, example["fixture"], wanted)
    found = _candidates(rule, example, book, database)
    if not wanted:
        if any(rule.kind is not Kind.CAUSE or not recovered(candidate) for candidate in found):
            return "must not match, but does"
        return ""
    holding = [candidate for candidate in found if candidate.holds]
    if not found:
        return "must match, but does not"
    if not holding:
        return f"can't be decided without {', '.join(sorted(found[0].missing))}: give them under facts"
    return _differences(holding[0], example)


def _candidates(rule: CompiledRule, example: dict[str, Any], book: RuleBook, database: Database) -> list[Candidate]:
    source = ScannedSource(0, "example", "local", "log", scan_text(example["log"] or "", database))
    timeline = build_timeline([source], book)
    given = Given()
    for kind, elements in example["records"].items():
        given.records += [Record(kind, fields, Origin("example")) for fields in elements]
    name, _, version = (example["engine"] or "").partition(" ")
    for run in timeline.runs:
        if name and run.engine != name:
            run.engine = name
            run.engines = [*dict.fromkeys([name, *book.bases(name), *run.engines])]
        if version:
            run.versions[name] = version
    facts_of, nodes = assemble(timeline, given, book)
    for fact, value in example["facts"].items():
        kind = load_catalogue().type_of(fact)
        typed = convert(value, kind) if isinstance(value, str) and kind else value
        for facts in (*facts_of.values(), *nodes.values()):
            if value is None:
                facts.absent.add(fact)
            else:
                facts.put(fact, typed, "example")
    from doctor.api import add_derived

    for facts in facts_of.values():
        add_derived(facts)
    judge = Diagnostician(book, timeline, facts_of, nodes, given)
    judge.set_outcomes([])
    return match_rule(rule, judge.ground_of(timeline.runs, timeline.context))


def _try_check(rule: CompiledRule, example: dict[str, Any], wanted: bool, book: RuleBook) -> str:
    """A deployment in facts and records alone."""
    name, _, version = (example["engine"] or "").partition(" ")
    run = Run("run-1", 0, "example", UNPLACED, 1, 1, engine=name or None)
    run.engines = [name, *book.bases(name)] if name else []
    run.versions = {name: version} if version else {}
    if wrapper := example["facts"].get("engine.wrapper"):
        run.wrapper = wrapper
        run.engines.append(wrapper)
    given = Given()
    for kind, elements in example["records"].items():
        given.records += [Record(kind, fields, Origin("example")) for fields in elements]
    facts_of, nodes = assemble(Timeline(runs=[run]), given, book)
    _put(example, facts_of[run.id])
    candidate = check_rule(rule, run, Ground(book, {}, facts_of, nodes, [run]))
    if not wanted:
        return "must not match, but does" if candidate is not None and candidate.holds else ""
    if candidate is None:
        return "must match, but does not"
    if not candidate.holds:
        return f"can't be decided without {', '.join(sorted(candidate.missing))}: give them under facts"
    return _differences(candidate, example)


def _put(example: dict[str, Any], facts: FactSet) -> None:
    """An example's facts, and the memory that follows from them."""
    from doctor.api import add_derived

    for fact, value in example["facts"].items():
        kind = load_catalogue().type_of(fact)
        typed = convert(value, kind) if isinstance(value, str) and kind else value
        if value is None:
            facts.absent.add(fact)
        else:
            facts.put(fact, typed, "example")
    add_derived(facts)
    for fact, value in example["facts"].items():
        if fact.startswith("memory.") and value is not None:
            facts.put(fact, value, "example")


def _differences(candidate: Candidate, example: dict[str, Any]) -> str:
    for name, expected in example["captures"].items():
        signature, _, capture = name.partition(".")
        got = candidate.scope.resolve((signature, capture) if capture else (signature,))
        if not _same(got, expected):
            return f"{name} is {plain(got)!r}, expected {expected!r}"
    for name, expected in example["computed"].items():
        got = candidate.scope.compute(name)
        if not _same(got, expected):
            return f"{name} is {plain(got)!r}, expected {expected!r}"
    return ""


def _same(got: Any, expected: Any) -> bool:
    if expected is None:
        return got is ABSENT
    shown = plain(got)
    return shown == expected or str(shown) == str(expected)


def _try_fixture(rule: CompiledRule, name: str, wanted: bool) -> str:
    from doctor.api import analyze

    folder = FIXTURES / name
    if not folder.is_dir():
        return f"no such fixture: fixtures/{name}"
    found = [finding for finding in analyze([folder]).findings if finding.rule_id == rule.id]
    if wanted != bool(found):
        return "must match, but does not" if wanted else "must not match, but does"
    return ""
