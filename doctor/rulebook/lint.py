"""What the schema can't say: fact names that exist, patterns that can be searched, examples that a rule owes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doctor import resources
from doctor.diagnose.match import tried_at
from doctor.facts.catalogue import load_catalogue
from doctor.rulebook import expressions, prose
from doctor.rulebook.book import compile_files, expressions_of, templates_of
from doctor.rulebook.load import Files, Mistake, load_folder
from doctor.scan.forms import derive
from doctor.scan.patterns import check

if TYPE_CHECKING:
    from doctor.vocabulary.dialect import Dialect
    from doctor.vocabulary.rule import Rule

# The cause families of the taxonomy; a wrapper carries `unknown`.
_FAMILIES = """
memory: vram-weights vram-kv vram-compute vram-reserve alloc-limit vram-fragmentation host-oom numa-replication
 container-limit shm memlock pinned mmap metal-residency
kv: unsupported-op context-overflow
rpc: version-mismatch connection backend-bug
dist: nccl cluster
build: gpu-arch driver no-gpu-backend missing-library cpu-isa abi compile
model: unknown-arch corrupt-file quant tokenizer-template access config
gpu: not-visible fault backend-bug
perf: mmap cpu-fallback threads numa swap disk contention network config
host: disk-full
server: port timeout limit
output: garbage
config: invalid conflict
engine: bug
"""
FAMILIES = frozenset(
    f"{area}.{name}" for area, names in re.findall(r"^(\w+):((?:.|\n )*)", _FAMILIES, re.M) for name in names.split()
) | {"unknown"}
_FIXTURE_WORDS = re.compile(r"/srv/|/home/|/tmp/|\b\d{1,3}(?:\\?\.\d{1,3}){3}\b|tiny-|\.gguf['\")]?$")
_PROSE = ("summary", "explanation", "provoke", "title", "cost", "undo", "value", "text")
_EXPRESSION = re.compile(r"^'.*'$|\bif\b.+\belse\b|^[a-z_][\w.]* [*/+-]+ [\w.]+$|^(?:memory|setting|host|model)\.\w+$")
_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]*")


def lint(extra: Sequence[Path] = (), *, only_extra: bool = False) -> list[Mistake]:
    """All mistakes of the shipped rules and of the folders ``extra``; on request those of the latter only."""
    files = Files()
    for folder in (resources.folder("rules"), *extra):
        load_folder(folder, files)
    known = {rule.id for _path, rule in files.rules}
    engines = {dialect.engine for _path, dialect in files.dialects}
    requests = [line for _path, dialect in files.dialects for line in _requests(dialect)]
    if only_extra:
        files.rules = [(path, rule) for path, rule in files.rules if _is_below(path, extra)]
        files.dialects = [(path, dialect) for path, dialect in files.dialects if _is_below(path, extra)]
    before = len(files.mistakes)
    compile_files(files, [])
    found = files.mistakes[: len(files.mistakes)]
    broken = {mistake.path for mistake in files.mistakes[before:]}
    for path, rule in files.rules:
        if str(path) not in broken:
            told = [*_rule(path, rule, known), *_near_misses(rule, requests)]
            found += [Mistake(str(path), _line_of(path, place), message) for place, message in told]
    for path, rule in files.rules:
        for entry in rule.engines:
            if entry.name not in engines:
                near = get_close_matches(entry.name, engines, n=1)
                hint = f"; did you mean {near[0]}?" if near else ""
                found.append(Mistake(str(path), _line_of(path, "engines"), f"engines: no dialect {entry.name!r}{hint}"))
    for path, dialect in files.dialects:
        found += [Mistake(str(path), _line_of(path, place), message) for place, message in _dialect(dialect)]
    return found


def _is_below(path: Path, folders: Sequence[Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def _rule(path: Path, rule: Rule, known: set[str]) -> Iterator[tuple[str, str]]:
    card = rule.model_dump(mode="json")
    if rule.kind.value in {"cause", "advice"}:
        if rule.family not in FAMILIES:
            near = get_close_matches(rule.family or "", FAMILIES, n=1)
            yield (
                "family",
                f"family: {rule.family!r} is not in the taxonomy" + (f"; did you mean {near[0]}?" if near else ""),
            )
        if not rule.references:
            yield "references", "references: a claim needs one that was checked"
        if not rule.remedies:
            yield "remedies", "remedies: none"
        if not rule.explanation:
            yield "explanation", "explanation: none"
    if rule.kind.value == "wrapper" and not rule.collect:
        yield "collect", "collect: a wrapper says what to collect to find the cause"
    if rule.kind.value != "noise":
        examples = rule.examples
        if not examples.match:
            yield "examples", "examples.match: none"
        if not examples.no_match:
            yield "examples", "examples.no_match: none"
    if path.parent.name != (area := _area(rule)):
        yield "id", f"belongs into the folder {area}/ (its family's first half, or its kind)"
    tried = tried_at(card["match"], rule.signatures)
    for name, signature in rule.signatures.items():
        problems = check(signature.pattern)
        for problem in problems:
            yield f"{name}:", f"signatures.{name}: {problem}"
        if signature.dense and name in tried and rule.kind.value in {"cause", "wrapper"}:
            yield f"{name}:", f"signatures.{name}: a dense pattern is sampled: a cause or a wrapper can't stand on it"
        if found := _FIXTURE_WORDS.search(signature.pattern):
            yield f"{name}:", f"signatures.{name}: {found[0]!r} belongs to one log, not to the failure"
        groups = set() if problems else set(re.compile(signature.pattern).groupindex)
        for capture in set(signature.captures) - groups:
            yield f"{name}:", f"signatures.{name}: captures.{capture} is no group of the pattern"
    yield from _check(rule)
    for other in rule.explains:
        if other not in known:
            yield "explains", f"explains: no rule {other!r}"
    for place, text in templates_of(card):
        if place.endswith(".value") and "{{" not in text and _EXPRESSION.search(text):
            yield (
                text[:20],
                f"{place}: {text!r} looks like an expression: a value is text, with {{{{ }}}} around what is computed",
            )
    yield from _names(rule, card)
    yield from _to_write(card, "")


def _requests(dialect: Dialect) -> Iterator[bytes]:
    """Sample lines that a server at work prints again and again: those by which progress is known."""
    busy = [re.compile(marker.pattern) for marker in dialect.markers if marker.dense and marker.means == "progress"]
    for samples in dialect.samples.values():
        yield from (line.encode() for line in samples if any(pattern.search(line) for pattern in busy))


def _near_misses(rule: Rule, requests: Sequence[bytes]) -> Iterator[tuple[str, str]]:
    """Patterns that are looked at, and refused, at each request: one of them doubles the time of a long scan."""
    for name, signature in rule.signatures.items():
        if signature.dense:
            continue
        flags = re.IGNORECASE if signature.ignore_case else 0
        try:
            form = re.compile(derive(signature.pattern).expression, flags)
            pattern = re.compile(signature.pattern, flags)
        except re.error:
            continue  # said already
        for line in requests:
            if form.search(line) and not pattern.search(line.decode()):
                text = line.decode()[:80]
                yield f"{name}:", f"signatures.{name}: is looked for in a line of each request ({text}): start it later"
                break


def _check(rule: Rule) -> Iterator[tuple[str, str]]:
    """A condition that holds before anything has run owes examples, and names captures that a log would give."""
    check = rule.check
    if check is None:
        return
    if not check.examples.match:
        yield "check:", "check.examples.match: none"
    if not check.examples.no_match:
        yield "check:", "check.examples.no_match: none"
    if any(example.log or example.fixture for example in (*check.examples.match, *check.examples.no_match)):
        yield "check:", "check.examples: facts and records only, as there is no log yet"
    for name, captures in check.given.items():
        if name not in rule.signatures:
            yield "check:", f"check.given: no signature {name!r}" + _near(name, rule.signatures)
            continue
        groups = set(re.compile(rule.signatures[name].pattern).groupindex)
        for capture in set(captures) - groups:
            yield "check:", f"check.given.{name}: captures no {capture!r}" + _near(capture, groups)


def _to_write(value: Any, place: str) -> Iterator[tuple[str, str]]:
    """What `rules new` has left to the author."""
    if isinstance(value, str) and value.startswith("TODO"):
        yield value, f"{place}: still to be written ({value.removeprefix('TODO').strip(': ')})"
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from _to_write(part, f"{place}.{name}" if place else name)
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from _to_write(part, f"{place}.{index}")


def _area(rule: Rule) -> str:
    if rule.kind.value in {"wrapper", "noise", "advice"}:
        return rule.kind.value
    return (rule.family or "").split(".")[0]


def _names(rule: Rule, card: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Every name in an expression is a signature's capture, a computed value or a fact."""
    groups = {}
    for name, signature in rule.signatures.items():
        try:
            groups[name] = set(re.compile(signature.pattern).groupindex)
        except re.error:
            groups[name] = set()
    texts = [*expressions_of(card), *((place, text) for place, text in templates_of(card))]
    for place, text in texts:
        if place.startswith("match.") and _IDENTIFIER.fullmatch(text) and text not in rule.compute:
            yield place.split(".")[0], f"{place}: no signature {text!r}" + _near(text, rule.signatures)
            continue
        for name in _names_in(text, is_template="{{" in text or "{%" in text, place=place):
            head, _, rest = name.partition(".")
            if head in groups:
                if rest and rest != "line" and rest not in groups[head]:
                    yield head, f"{place}: signature {head!r} captures no {rest!r}" + _near(rest, groups[head])
            elif head not in rule.compute and not load_catalogue().knows(name) and name != "engine":
                near = load_catalogue().suggest(name)
                yield place.split(".")[0], f"{place}: no fact {name!r}" + (f"; did you mean {near}?" if near else "")


def _names_in(text: str, *, is_template: bool, place: str) -> set[str]:
    if not is_template:
        if place.removeprefix("check.").startswith(("summary", "explanation", "provoke")) or place.endswith(
            ("title", "cost", "undo", "value", "text")
        ):
            return set()
        return expressions.names(expressions.parse(text))
    return {name for node in prose.nodes(prose.compile(text)) for name in expressions.names(node)}


def _near(name: str, known: Any) -> str:
    near = get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _dialect(dialect: Dialect) -> Iterator[tuple[str, str]]:
    catalogue = load_catalogue()
    lines = [
        (section, line)
        for section in ("recognise", "starts", "markers", "facts", "harmless", "errors")
        for line in getattr(dialect, section)
    ]
    for section, line in lines:
        for problem in check(line.pattern):
            yield line.pattern[:30], f"{section}: {line.pattern!r}: {problem}"
    for line in dialect.facts:
        groups = set(re.compile(line.pattern).groupindex)
        for name, source in (*line.set.items(), *line.fields.items()):
            if not source.startswith("=") and source not in groups:
                yield line.pattern[:30], f"facts: {line.pattern!r} captures no {source!r}"
            if name in line.set and name not in {"command", "command.arguments"} and not catalogue.knows(name):
                near = catalogue.suggest(name)
                yield line.pattern[:30], f"facts: no fact {name!r}" + (f"; did you mean {near}?" if near else "")
        if line.record and line.record not in catalogue.records:
            yield line.pattern[:30], f"facts: no collection {line.record!r}"
        elif line.record:
            for name in line.fields:
                if name not in catalogue.records[line.record]:
                    yield line.pattern[:30], f"facts: {line.record} has no field {name!r}"
    for option in dialect.options:
        if not catalogue.knows(f"setting.{option.setting.removeprefix('setting.')}"):
            yield option.setting, f"options: no fact setting.{option.setting.removeprefix('setting.')}"
    compiled = [re.compile(line.pattern, re.I if line.ignore_case else 0) for _section, line in lines]
    for version, samples in dialect.samples.items():
        for sample in samples:
            if not any(pattern.search(sample) for pattern in compiled):
                yield sample[:30], f"samples[{version}]: nothing matches {sample!r}"


def _line_of(path: Path, word: str) -> int:
    """The first line that holds ``word``: near enough for a reader to find the place."""
    word = word if word.startswith("TODO") else word.split(".", maxsplit=1)[0]
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if word and word in line:
            return number
    return 0
