"""The rule book as the program uses it: validated once, compiled once, cached.

Reading 220 YAML files, building the pydantic models and parsing the expressions costs half a second; a healthy start
has a tenth of that. So the book is kept as plain data (dataclasses over JSON, see ``stored``): the pydantic models are
imported only when a rule file has changed, and of a rule only what the matching needs is read before it matches.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doctor import __version__, resources
from doctor.cache import read_cache, write_cache
from doctor.facts.options import KnownOption
from doctor.rulebook.stored import FORMAT, Record, pack, unpack
from doctor.vocabulary.terms import Evidence, Kind, Outcome, Phase, Severity

if TYPE_CHECKING:
    from doctor.rulebook.load import Files, Mistake
    from doctor.scan.patterns import Pattern

# Lines that look like an error, whoever printed them: those that nothing explains are shown to the reader.
ERROR_KEY = "x:error"
ERROR_PATTERN = (
    r"\b(?:errors?|fatal|failed|failure|abort(?:ed|ing)?|exception|traceback|panic|assert(?:ion)?|segmentation fault"
    r"|core dumped|killed|cannot|could not|couldn't|unable to|out of memory|not supported|unsupported)\b"
)

# Python's tracebacks: how one begins, its last line, and how a process joins it to the next one.
TRACEBACK_KEY, EXCEPTION_KEY, CHAIN_KEY = "x:traceback", "x:exception", "x:chain"
TRACEBACK_PATTERNS = {
    TRACEBACK_KEY: r"Traceback \(most recent call last\):",
    EXCEPTION_KEY: (
        r"(?:^|[\])|:>ZF\d] )(?P<type>(?:[A-Za-z_]\w{0,60}\.){0,8}(?:Exception|[A-Z]\w{0,80}(?:Error(?:\(\w{1,60}\))?"
        r"|Exception|Interrupt|Exit|Expired|Failed|OutOfResources|Timeout|Iteration|Unsupported)))"
        r"(?:: (?P<message>.*))?$"
    ),
    CHAIN_KEY: r"The above exception was the direct cause of|During handling of the above exception, another",
}


@dataclass(slots=True, eq=False)
class CompiledRule:
    """A rule, ready to be matched. The rest of it (prose, remedies, references, examples) is read when asked for."""

    id: str
    kind: Kind
    severity: Severity
    phase: Phase
    outcome: Outcome | None
    family: str
    engines: list[dict[str, Any]]
    signatures: dict[str, dict[str, Any]]
    captures: dict[str, dict[str, str]]
    match: dict[str, Any]
    compute: dict[str, str]
    explains: list[str]
    specificity: int
    transient: bool
    evidence: Evidence
    record: Record
    check: dict[str, Any] | None = None

    @property
    def card(self) -> dict[str, Any]:
        """The whole rule as JSON data."""
        return self.record.card

    @property
    def prose(self) -> dict[str, Any]:
        """Its parsed templates by their text."""
        return self.record.prose

    def expressions(self) -> list[str]:
        """The expressions that decide it, before a deployment or with a log."""
        given = (self.check or {}).get("given", {}).values()
        before = [*(self.check or {}).get("when", ()), *(text for each in given for text in each.values())]
        return [*before, *self.compute.values(), *_conditions_of(self.match, self.captures)]

    @property
    def title(self) -> str:
        return str(self.card["title"])

    @staticmethod
    def of(entry: dict[str, Any], record: Record) -> CompiledRule:
        """From what ``stored`` keeps of a rule for the matching."""
        return CompiledRule(
            id=entry["id"],
            kind=Kind(entry["kind"]),
            severity=Severity(entry["severity"]),
            phase=Phase(entry["phase"]),
            outcome=Outcome(entry["outcome"]) if entry["outcome"] else None,
            family=entry["family"] or "unknown",
            engines=entry["engines"],
            signatures=entry["signatures"],
            captures={name: signature["captures"] for name, signature in entry["signatures"].items()},
            match=entry["match"],
            compute=entry["compute"],
            explains=entry["explains"],
            specificity=entry["specificity"],
            transient=entry["transient"],
            evidence=Evidence(entry["evidence"]),
            record=record,
            check=entry.get("check"),
        )


@dataclass(slots=True)
class RuleBook:
    """Rules and dialects by name, the parsed expressions by their text, and what was wrong with files left out."""

    rules: dict[str, CompiledRule] = field(default_factory=dict)
    dialects: dict[str, dict[str, Any]] = field(default_factory=dict)
    lineage: dict[str, Any] = field(default_factory=dict)
    nodes: dict[str, Any] = field(default_factory=dict)
    mistakes: list[str] = field(default_factory=list)
    key: str = ""
    _programs: dict[str, str] = field(default_factory=dict, init=False, repr=False, compare=False)
    _options: dict[str, list[KnownOption]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def patterns(self) -> list[Pattern]:
        """Every pattern, keyed ``r:<rule>:<signature>``, ``d:<engine>:<section>:<index>`` or ``x:...``."""
        from doctor.scan.patterns import Pattern

        found = [
            Pattern(f"r:{rule.id}:{name}", signature["pattern"], signature["ignore_case"], signature["dense"])
            for rule in self.rules.values()
            for name, signature in rule.signatures.items()
        ]
        for engine, dialect in self.dialects.items():
            for section in ("recognise", "starts", "markers", "facts", "harmless", "errors"):
                found += [
                    Pattern(f"d:{engine}:{section}:{i}", line["pattern"], line["ignore_case"], _is_dense(section, line))
                    for i, line in enumerate(dialect[section])
                ]
        found.append(Pattern(ERROR_KEY, ERROR_PATTERN, ignore_case=True))
        found += [Pattern(key, pattern) for key, pattern in TRACEBACK_PATTERNS.items()]
        return found

    def bases(self, engine: str) -> list[str]:
        """What ``engine`` is built on, nearest first."""
        dialect = self.dialects.get(engine)
        return list(dialect["lineage"]) if dialect else []

    def programs(self) -> dict[str, str]:
        """Executable name -> engine. Worked out once, as a check of many files asks for it with each."""
        if not self._programs:
            self._programs.update(
                {name: engine for engine, dialect in self.dialects.items() for name in dialect["programs"]}
            )
        return self._programs

    def options(self, engine: str) -> list[KnownOption]:
        """The flags and variables of an engine, as its own dialect lists them."""
        if engine not in self._options:
            listed = self.dialects.get(engine, {}).get("options", [])
            self._options[engine] = [KnownOption(**option) for option in listed]
        return self._options[engine]


def _conditions_of(match: dict[str, Any], signatures: Mapping[str, Any]) -> Iterator[str]:
    """The conditions of a match, and of those within it."""
    for part in ("all", "any", "none", "strengthened_by"):
        for term in match[part]:
            if isinstance(term, dict):
                yield from _conditions_of(term, signatures)
            elif term not in signatures:
                yield term


def _is_dense(section: str, line: dict[str, Any]) -> bool:
    """Whether a dialect's line may be sampled: also one that only shows who speaks, or that the run still works."""
    says_nothing_else = section == "recognise" and "(?P<" not in line["pattern"]
    return bool(line["dense"] or says_nothing_else or (section == "markers" and line["means"] == "progress"))


def load_book(extra: Sequence[Path] = ()) -> RuleBook:
    """The shipped rule book, with the rules of ``extra`` folders added. Mistakes in files are in ``mistakes``."""
    folders = [resources.folder("rules"), *extra]
    key = _key(folders)
    cached = read_cache("book", key)
    if cached is not None:
        try:
            return _from_stored(cached, key)
        except (ValueError, KeyError, TypeError, AttributeError):
            pass  # a damaged cache is the same as none
    from doctor.rulebook.load import Files, load_folder

    files = Files()
    for folder in folders:
        load_folder(folder, files)
    made = pack(compile_files(files, [str(mistake) for mistake in files.mistakes]), templates_of)
    write_cache("book", key, made)
    return _from_stored(made, key)


def compile_book(files: Files) -> RuleBook:
    """A book from files already loaded (for the lint, and for trying a rule that is being written)."""
    made = pack(compile_files(files, [str(mistake) for mistake in files.mistakes]), templates_of)
    return _from_stored(made, hashlib.sha256(made).hexdigest())


def compile_files(files: Files, mistakes: list[str]) -> dict[str, Any]:
    """Plain data of a book: rules and dialects dumped, every expression and template parsed."""
    from doctor.rulebook import expressions, prose
    from doctor.rulebook.load import Mistake

    nodes: dict[str, Any] = {}
    compiled_prose: dict[str, Any] = {}
    rules = []
    for path, rule in files.rules:
        card = rule.model_dump(mode="json")
        wrong: list[Mistake] = []
        for place, text in expressions_of(card):
            if text not in nodes:
                try:
                    nodes[text] = expressions.parse(text)
                except expressions.ExpressionError as error:
                    wrong.append(Mistake(str(path), 0, f"{place}: {error}"))
        for place, text in templates_of(card):
            if text not in compiled_prose:
                try:
                    compiled_prose[text] = prose.compile(text)
                except expressions.ExpressionError as error:
                    wrong.append(Mistake(str(path), 0, f"{place}: {error}"))
        if wrong:
            mistakes += [str(mistake) for mistake in wrong]
            files.mistakes += wrong
        else:
            rules.append(card)
    return {
        "rules": rules,
        "dialects": [dialect.model_dump(mode="json") for _path, dialect in files.dialects],
        "lineage": files.lineage,
        "nodes": nodes,
        "prose": compiled_prose,
        "mistakes": mistakes,
    }


def expressions_of(card: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Every expression of a rule with the place it stands at."""
    names = set(card["signatures"])
    for place, term in _terms(card["match"], "match"):
        if term not in names:
            yield place, term
    for name, text in card["compute"].items():
        yield f"compute.{name}", text
    if card["check"]:
        for index, text in enumerate(card["check"]["when"]):
            yield f"check.when.{index}", text
        for name, captures in card["check"]["given"].items():
            for capture, text in captures.items():
                yield f"check.given.{name}.{capture}", text
    for index, remedy in enumerate(card["remedies"]):
        if remedy["when"]:
            yield f"remedies.{index}.when", remedy["when"]
        for action in remedy["actions"]:
            for part in ("to", "amount"):
                if action.get(part) and action["kind"] in {"resize", "free_resource"}:
                    yield f"remedies.{index}.{action['kind']}.{part}", action[part]
    if card["confirm"] and card["confirm"]["tokens_at_least"]:
        yield "confirm.tokens_at_least", card["confirm"]["tokens_at_least"]


def templates_of(card: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Every template of a rule with the place it stands at."""
    for part in ("summary", "explanation", "provoke"):
        if card[part]:
            yield part, card[part]
        if card["check"] and card["check"].get(part):
            yield f"check.{part}", card["check"][part]
    for index, remedy in enumerate(card["remedies"]):
        for part in ("title", "cost", "undo"):
            if remedy[part]:
                yield f"remedies.{index}.{part}", remedy[part]
        for action in remedy["actions"]:
            for part in ("value", "text", "flag"):
                if action.get(part) and (part != "flag" or "{{" in action[part]):
                    yield f"remedies.{index}.{action['kind']}.{part}", action[part]


def _terms(match: dict[str, Any], place: str) -> Iterator[tuple[str, str]]:
    for part in ("all", "any", "none", "strengthened_by"):
        for index, term in enumerate(match[part]):
            if isinstance(term, str):
                yield f"{place}.{part}.{index}", term
            else:
                yield from _terms(term, f"{place}.{part}.{index}")


def _from_stored(content: bytes, key: str) -> RuleBook:
    head, records = unpack(content)
    return RuleBook(
        rules={
            entry["id"]: CompiledRule.of(entry, record) for entry, record in zip(head["rules"], records, strict=True)
        },
        dialects={dialect["engine"]: dialect for dialect in head["dialects"]},
        lineage=head["lineage"],
        nodes=head["nodes"],
        mistakes=head["mistakes"],
        key=key,
    )


def _key(folders: Iterable[Path]) -> str:
    """Changes when a rule file, the program or the schema changes: names, sizes and times, not contents (2 ms)."""
    found = [f"{__version__} {FORMAT}"]
    code = Path(__file__).parent
    for folder in (code, code.parent, code.parent / "vocabulary"):
        found += sorted(_files(str(folder), (".py",), below=False))
    for folder in folders:
        found += sorted(_files(str(folder), (".yaml", ".yml"), below=True))
    return hashlib.sha256("\n".join(found).encode("utf-8", "surrogateescape")).hexdigest()


def _files(folder: str, endings: tuple[str, ...], *, below: bool) -> Iterator[str]:
    """Path, size and time of every such file; ``pathlib`` takes five times as long for it."""
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        if entry.name.endswith(endings):
            status = entry.stat()
            yield f"{entry.path}\0{status.st_size}\0{status.st_mtime_ns}"
        elif below and entry.is_dir(follow_symlinks=False):
            yield from _files(entry.path, endings, below=True)
