"""The beginning of a rule, made from one line of a log: pattern, name, family, examples; the author fills in the rest.

What only a person can know (what broke, why, what to do, where it is written) stands in the file as ``TODO: ...``. The
file loads and its examples pass from the first minute; the lint names every TODO until it is gone.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from doctor.errors import UsageProblem
from doctor.rulebook.generalise import Generalised, generalise

if TYPE_CHECKING:
    from doctor.rulebook.book import CompiledRule, RuleBook

TODO = "TODO: "
_NEAR_ENOUGH = 0.12
_MOST_NEAR = 3
_COMMON = frozenset(
    """
    the and for with not was were are has have had that this from into than then when which while where there its but
    too can could would should will all any one two new old use used using try please see error errors failed failure
    fatal file line size type code name number value info warning main
    """.split()  # noqa: SIM905
)
_SIGNATURE_NAMES = (
    ("out of memory", "out_of_memory"), ("refus", "refused"), ("abort", "abort"), ("assert", "assertion"),
    ("timed out", "timeout"), ("timeout", "timeout"), ("killed", "killed"), ("not found", "not_found"),
    ("unsupported", "unsupported"), ("not supported", "unsupported"), ("invalid", "invalid"), ("unknown", "unknown"),
    ("fail", "failed"), ("error", "error"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Draft:
    """A rule that is begun.

    Attributes:
        near: rules about similar lines, nearest first.
        matched: rules that look at the line already.
        family_known: the family is that of a near rule, not a guess in the dark.
        text: of the YAML file.
    """

    id: str
    family: str
    family_known: bool
    near: list[str] = field(default_factory=list)
    matched: list[str] = field(default_factory=list)
    text: str = ""

    @property
    def area(self) -> str:
        """The folder that it belongs into."""
        return self.family.partition(".")[0]


def draft(
    line: str, book: RuleBook, *, id_: str | None = None, family: str | None = None, unlike: Sequence[str] = ()
) -> Draft:
    """Begins a rule.

    Args:
        line: of a log, as it stands there.
        book: the rules that there are.
        id_, family: instead of what would be suggested.
        unlike: lines that look alike and are something else; one of a near rule by default.

    Raises:
        UsageProblem: no pattern can be made of the line, the id or family can't be one, the id is taken.
    """
    from doctor.redact import Redactor
    from doctor.rulebook.lint import FAMILIES

    line = line.encode("utf-8", "replace").decode()  # a terminal gives bytes that are no text as lone surrogates
    try:
        made = generalise(Redactor().text(line))
    except ValueError as error:
        raise UsageProblem(f"the line {error}", hint="choose the line that names what went wrong") from None
    for other in unlike:
        if re.search(made.pattern, other, re.ASCII):
            raise UsageProblem(
                "a line that must not match does",
                subject="--unlike",
                hint="tell them apart by a condition: see `Conditions` in CONTRIBUTING.md",
            )
    neighbours = _neighbours(made, book)
    guessed = _family_of(neighbours)
    if family is not None and family not in FAMILIES - {"unknown"}:
        from difflib import get_close_matches

        near = get_close_matches(family, FAMILIES, n=3, cutoff=0.4)
        raise UsageProblem(
            f"no such family {family!r}", subject="--family", hint=f"did you mean {', '.join(near)}?" if near else None
        )
    name = id_ or _free(_id_of(made), book)
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) or len(name) > 80:
        raise UsageProblem(f"{name!r} is no rule id", subject="--id", hint="words in kebab-case: rpc-worker-refused")
    if name in book.rules:
        raise UsageProblem(f"there is a rule {name} already", subject="--id", hint=f"llmdoctor explain {name}")
    chosen = family or guessed or "engine.bug"
    begun = Draft(
        name,
        chosen,
        bool(family or guessed),
        [rule.id for rule, _nearness in neighbours],
        _already(line, book),
    )
    examples = list(unlike) or _look_alikes(made, neighbours)
    text = _yaml(begun, made, examples, neighbours)
    return Draft(begun.id, begun.family, begun.family_known, begun.near, begun.matched, text)


def write(begun: Draft, folder: Path) -> Path:
    """Puts the file where it belongs, and never over another.

    Raises:
        UsageProblem: it is there already, or can't be written.
    """
    path = folder / begun.area / f"{begun.id}.yaml"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(begun.text)
    except FileExistsError:
        raise UsageProblem(
            "is there already, and is left as it is", subject=str(path), hint="give another --id"
        ) from None
    except OSError as error:
        raise UsageProblem(
            f"can't be written: {error.strerror}", subject=str(path), hint="--dir names the folder of your rules"
        ) from None
    return path


# --- what there is already ------------------------------------------------------------------------------------------


def _already(line: str, book: RuleBook) -> list[str]:
    """Rules that look at such a line; first those that are tried at it."""
    from doctor.diagnose.match import primary_signatures
    from doctor.scan.database import Database
    from doctor.scan.scanner import scan_text

    tried: list[str] = []
    besides: list[str] = []
    for hit in scan_text(line + "\n", Database(book.patterns())).hits:
        kind, _, rest = hit.key.partition(":")
        name, _, signature = rest.partition(":")
        if kind == "r":
            (tried if signature in primary_signatures(book.rules[name]) else besides).append(name)
    return list(dict.fromkeys(tried + besides))


def _neighbours(made: Generalised, book: RuleBook) -> list[tuple[CompiledRule, float]]:
    """Rules that speak of similar things: cosine of their words, rare words counting more (tf-idf)."""
    texts = {rule.id: _tokens(_text_of(rule)) for rule in book.rules.values()}
    seen_in = Counter(word for words in texts.values() for word in words)
    ours = _tokens([" ".join(made.words)])

    def weight(words: Counter[str], word: str) -> float:
        return (1 + math.log(words[word])) * math.log(1 + len(texts) / (1 + seen_in[word]))

    def length(words: Counter[str]) -> float:
        return math.sqrt(sum(weight(words, word) ** 2 for word in words)) or 1.0

    ours_long = length(ours)
    scored = []
    for rule in book.rules.values():
        if rule.kind.value not in {"cause", "advice"}:
            continue
        words = texts[rule.id]
        nearness = sum(weight(ours, word) * weight(words, word) for word in ours.keys() & words.keys())
        scored.append((rule, nearness / ours_long / length(words)))
    scored.sort(key=lambda item: -item[1])
    return [item for item in scored[:_MOST_NEAR] if item[1] >= _NEAR_ENOUGH]


def _text_of(rule: CompiledRule) -> Iterable[str]:
    yield rule.title
    yield rule.id.replace("-", " ")
    for signature in rule.signatures.values():
        yield re.sub(r"\(\?P<\w+>|\\[a-zA-Z]|[^A-Za-z_]+", " ", signature["pattern"])
    for example in rule.card["examples"]["match"]:
        yield example["log"] or ""


def _tokens(texts: Iterable[str]) -> Counter[str]:
    words = (word.lower() for text in texts for word in re.findall(r"[A-Za-z]{3,}", text))
    return Counter(word for word in words if word not in _COMMON)


def _family_of(neighbours: Sequence[tuple[CompiledRule, float]]) -> str | None:
    votes: Counter[str] = Counter()
    for rule, nearness in neighbours:
        votes[rule.family] += nearness  # type: ignore[assignment]
    return votes.most_common(1)[0][0] if votes else None


def _look_alikes(made: Generalised, neighbours: Sequence[tuple[CompiledRule, float]]) -> list[str]:
    """Lines that near rules are about, one each, which this pattern must leave alone."""
    found = []
    for rule, _nearness in neighbours:
        for example in rule.card["examples"]["match"]:
            lines = [line.strip() for line in (example["log"] or "").splitlines() if line.strip()]
            if lines and not any(re.search(made.pattern, line, re.ASCII) for line in lines):
                words = _tokens([" ".join(made.words)])
                found.append(max(lines, key=lambda line: sum((words & _tokens([line])).values())))
                break
    return found[:2]


# --- the file ---------------------------------------------------------------------------------------------------------


def _id_of(made: Generalised) -> str:
    """The telling words of the line's last parts: ``... on device 0: cudaMalloc failed: out of memory``."""
    words = [word.lower() for text in made.words for word in re.findall(r"[A-Za-z]+", text.split("_")[-1])]
    telling = [word for word in words if word not in _COMMON - {"failed", "error"} and len(word) > 2]
    return "-".join(telling[-5:])[:60].strip("-") or "new-rule"


def _free(name: str, book: RuleBook) -> str:
    made, count = name, 2
    while made in book.rules:
        made, count = f"{name}-{count}", count + 1
    return made


def _yaml(
    begun: Draft, made: Generalised, unlike: Sequence[str], neighbours: Sequence[tuple[CompiledRule, float]]
) -> str:
    text = made.text.lower()
    signature = next((name for words, name in _SIGNATURE_NAMES if words in text), "seen")
    family = f"{begun.family}" if begun.family_known else f"{begun.family}  # a guess: no rule is near"
    engines = neighbours[0][0].engines if neighbours and neighbours[0][1] > 3 * _NEAR_ENOUGH else []
    names = ", ".join(f"{{name: {_quoted(entry['name'])}}}" for entry in engines)
    types = ", ".join(f"{name}: {kind}" for name, kind in made.captures.items())
    first = next(iter(made.values), None)
    shown = f": {{{{ {signature}.{first} }}}}" if first else ""
    lines = [
        f"id: {begun.id}",
        "kind: cause",
        f"title: {_quoted(TODO + 'what is wrong, in one line and without numbers')}",
        f"family: {family}",
        "severity: fatal  # fatal: the server ends; major: requests fail; minor, info",
        "phase: any  # build, start, load, context, warmup, serve, request, exit: when in a run it strikes",
        f"engines: [{names}]  # empty: any engine",
        "signatures:",
        f"  {signature}:",
        "    # What differs from log to log is captured. Is one of those words the failure itself? Write it out.",
        f"    pattern: {_quoted(made.pattern)}",
        *([f"    captures: {{{types}}}"] if types else []),
        f"match: {{all: [{signature}]}}",
        f"summary: {_quoted(TODO + 'the cause in one sentence, with its numbers' + shown)}",
        f"explanation: {_quoted(TODO + 'why it happens')}",
        "remedies:",
        "  - id: first-remedy",
        f"    title: {_quoted(TODO + 'what to do, as an order to the reader')}",
        "    removes: cause  # or trigger, symptom",
        "    # or set_flag, set_env, upgrade, resize, ...: see `llmdoctor rules schema`",
        f"    actions: [{{kind: explain, text: {_quoted(TODO + 'how exactly')}}}]",
        f"references: [{{url: {_quoted(TODO + 'a page that you have read')}, kind: docs}}]",
        "evidence: inferred  # reproduced, measured, maintainer, source_read, reporter, inferred: how you know",
        "examples:",
        "  match:",
        f"    - log: {_quoted(made.text)}",
        *_captures(signature, made),
        "  no_match:",
        *(f"    - {_quoted(other)}" for other in unlike or [TODO + "a line that looks like it and is something else"]),
    ]
    return "\n".join(lines) + "\n"


def _captures(signature: str, made: Generalised) -> list[str]:
    plain = {name: value for name, value in made.values.items() if made.captures.get(name, "int") in {"int", "bytes"}}
    if not plain:
        return []
    typed = (
        f"{signature}.{name}: {int(value) if made.captures.get(name) else _quoted(value)}"
        for name, value in plain.items()
    )
    return [f"      captures: {{{', '.join(typed)}}}"]


def _quoted(text: str) -> str:
    """A YAML scalar on one line, whatever is in it."""
    if text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    return '"' + "".join(c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in text) + '"'
