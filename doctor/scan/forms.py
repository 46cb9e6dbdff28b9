"""From a rule's pattern to the form in which whole blocks of a log are searched for it.

The form is derived and never written by hand. On a line it finds *at least* what the pattern finds; ``exact`` says
that it finds nothing else. What it finds is matched again by the pattern.

* What does not decide whether there is a match is cut off at both ends: ``\\d+ tokens in \\d+`` is found where
  ``\\d tokens in \\d`` is, and a matcher that reports every possible end would report the first once a digit.
* Of a pattern with a long literal text only the part around it is kept, up to the next repeat without a bound. What
  follows a repeat costs an automaton that runs along with the text, behind every place where the pattern could have
  begun. With two hundred patterns the whole pass is three times as fast for it, and a text of ten letters is hardly
  ever in a line that the pattern does not mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise

from doctor.scan.patterns import Form
from doctor.scan.syntax import (
    BOUNDARIES,
    EMPTY,
    KEPT,
    Caseless,
    Chars,
    Either,
    Exactly,
    Node,
    Repeat,
    Sequence,
    read,
    single,
)

_STRONG = 10.0  # letters in a row, about; see Weight
_SHORTEST_TEXT = 3
_WIDE_COUNT = 8  # a counted repeat up to here stays within a part
_EVERY_REQUEST = ("post ", "get /", "request: ", "http/1.")  # in the log of a server at work, these tell nothing apart
Weight = Callable[[str], float]


@lru_cache(maxsize=KEPT)
def derive(pattern: str) -> Form:
    """The scan form of a pattern; its expression is empty for a pattern that matches anything.

    Raises:
        re.error: the pattern does not parse.
    """
    tree = read(pattern)
    texts = tuple(text.encode("latin-1") for text in dict.fromkeys(_texts(tree.root)) if len(text) >= _SHORTEST_TEXT)
    trimmed, boundary_lost = _trim(tree.root)
    exact = tree.exact and not boundary_lost
    core = _core(trimmed)
    if core is not None and core != trimmed:
        exact = exact and _emit(core) == _emit(trimmed)
        trimmed = core
    exact = exact and not _vague(trimmed)
    if tree.ignore_case and trimmed != EMPTY:
        trimmed = Sequence((Caseless(trimmed),))
    return Form(_emit(trimmed), exact, texts)


def strength(pattern: str) -> float:
    """How many characters of literal text, at least, are in every match, in one piece. Raises ``re.error``."""
    return _strength(read(pattern).root, lambda _: 1.0)


# --- cutting both ends ---------------------------------------------------------------------------------------------


def _trim(sequence: Sequence) -> tuple[Sequence, bool]:
    """Without what is optional at either end; also whether a word boundary went with it."""
    left, lost_left = _cut(sequence, first=True)
    both, lost_right = _cut(left, first=False)
    return both, lost_left or lost_right


def _cut(sequence: Sequence, *, first: bool) -> tuple[Sequence, bool]:
    items = list(sequence.items)
    edge, inner = (0, 1) if first else (-1, -2)
    lost = False
    while items:
        shorter, lost_here = _cut_node(items[edge], first=first)
        lost |= lost_here
        if shorter == EMPTY:
            del items[edge]
            continue
        if _is_boundary(items[edge]) and (
            len(items) == 1 or _is_boundary(items[inner]) or _endless(items[inner], first=first)
        ):
            del items[edge]  # without it, what stands beside it can be cut; and alone it is nothing to search for
            lost = True
            continue
        items[edge] = shorter
        break
    return Sequence(tuple(items)), lost


def _cut_node(node: Node, *, first: bool) -> tuple[Node, bool]:
    if isinstance(node, Sequence):
        return _cut(node, first=first)
    if isinstance(node, Caseless):
        body, lost = _cut(node.body, first=first)
        return (EMPTY if body == EMPTY else Caseless(body)), lost
    if isinstance(node, Either):
        cuts = [_cut(branch, first=first) for branch in node.branches]
        lost = any(lost for _, lost in cuts)
        if any(branch == EMPTY for branch, _ in cuts):
            return EMPTY, lost
        return Either(tuple(branch for branch, _ in cuts)), lost
    if isinstance(node, Repeat):
        if node.least == 0:
            return EMPTY, False
        body, lost = _cut(node.body, first=first)
        if node.least == 1 or body == EMPTY:
            return body, lost
        return Repeat(node.body, node.least, node.least), False
    if isinstance(node, Chars) and node.beyond:
        return replace(node, widest=1), False  # its nearest byte is enough
    return node, False


def _endless(node: Node, *, first: bool) -> bool:
    """Whether there is a repeat without a bound at the end of it, or nothing at all."""
    if isinstance(node, Repeat):
        return node.most is None or _endless(node.body, first=first)
    if isinstance(node, Either):
        return any(_endless(branch, first=first) for branch in node.branches)
    if isinstance(node, Caseless):
        return _endless(node.body, first=first)
    if isinstance(node, Sequence):
        return not node.items or _endless(node.items[0 if first else -1], first=first)
    return False


def _is_boundary(node: Node) -> bool:
    return isinstance(node, Exactly) and node.form in BOUNDARIES.values()


# --- the part around a strong text ---------------------------------------------------------------------------------


def _core(sequence: Sequence) -> Sequence | None:
    """The last part with a strong literal text: a message begins like many others and ends like itself. None: there is
    none, or it is what a server prints of every request, whose status decides."""
    for part in reversed([_trim(Sequence(tuple(part)))[0] for part in _parts(sequence)]):
        if _strength(part, _letters) < _STRONG:
            continue
        if any(usual in text for text in _texts(part) for usual in _EVERY_REQUEST):
            return None
        if len(part.items) == 1 and isinstance(part.items[0], Either):
            return Sequence((Either(tuple(_core(branch) or branch for branch in part.items[0].branches)),))
        return part
    return None


def _parts(sequence: Sequence) -> Iterator[list[Node]]:
    """What stands between repeats without a (small) bound, with the turns of those that have to be there."""
    part: list[Node] = []
    for node in _flat(sequence):
        if isinstance(node, Repeat) and (node.most is None or node.most > _WIDE_COUNT):
            turns: list[Node] = [Repeat(node.body, node.least, node.least)] if node.least else []
            yield part + turns
            part = turns
        else:
            part.append(node)
    yield part


def _flat(sequence: Sequence) -> Iterator[Node]:
    for node in sequence.items:
        if isinstance(node, Sequence):
            yield from _flat(node)
        else:
            yield node


def _letters(text: str) -> float:
    """Letters tell one message from another; digits, blanks and brackets hardly do."""
    return 1.0 if text.isalpha() else 0.25


def _strength(sequence: Sequence, weight: Weight) -> float:
    """The weight of the strongest literal text that every match holds."""
    best = run = 0.0
    for node in _flat(sequence):
        whole = _whole(node, weight)
        if whole is not None:
            run += whole
        elif isinstance(node, Repeat):
            body = _whole(node.body, weight)
            turns = body * node.least if body is not None else 0.0
            inside = _strength(node.body, weight) if node.least else 0.0
            best = max(best, run + turns, inside)
            run = turns
        else:
            inner = node.branches if isinstance(node, Either) else (node.body,) if isinstance(node, Caseless) else ()
            best = max(best, run, min((_strength(branch, weight) for branch in inner), default=0.0))
            run = 0.0
    return max(best, run)


def _whole(node: Node, weight: Weight) -> float | None:
    """The weight of a node that is nothing but literal text (of one of few spellings), else None."""
    if isinstance(node, Chars):
        return weight(chr(min(node.ascii))) if len(node.ascii) <= 2 and not node.beyond else None
    if isinstance(node, Exactly):
        return float(node.width)
    if isinstance(node, Repeat):
        body = _whole(node.body, weight) if node.least == node.most else None
        return None if body is None else body * node.least
    if isinstance(node, Caseless):
        return _whole(node.body, weight)
    members: Iterable[Node] = node.branches if isinstance(node, Either) else node.items
    weights = [_whole(member, weight) for member in members]
    known = [each for each in weights if each is not None]
    if len(known) < len(weights):
        return None
    return min(known) if isinstance(node, Either) else sum(known)


def _texts(sequence: Sequence) -> Iterator[str]:
    """Literal texts that every match holds, in lower case; characters outside ASCII as their bytes."""
    text = ""
    for node in _flat(sequence):
        if isinstance(node, Chars) and len(node.ascii) == 1 and not node.beyond:
            text += chr(min(node.ascii)).lower()
        elif isinstance(node, Exactly):
            text += bytes.fromhex(node.form.decode().replace("\\x", "")).decode("latin-1") if node.width else ""
        else:
            yield text
            text = ""
            if isinstance(node, Caseless):
                yield from _texts(node.body)
    yield text


# --- writing it down -----------------------------------------------------------------------------------------------


def _vague(node: Node) -> bool:
    """Whether several bytes of one wide character may pass for several characters."""
    if isinstance(node, Sequence):
        items = list(_flat(node))
        side_by_side = any(_wide(left) and _wide(right) for left, right in pairwise(items))
        return side_by_side or any(_vague(item) for item in items)
    if isinstance(node, Chars):
        return node.beyond and node.widest > 1
    if isinstance(node, Repeat):
        return single(node.body) is None and _vague(node.body)
    if isinstance(node, Caseless):
        return _vague(node.body)
    return isinstance(node, Either) and any(_vague(branch) for branch in node.branches)


def _wide(node: Node) -> bool:
    """Whether a character that may be outside ASCII is in it."""
    if isinstance(node, Chars):
        return node.beyond
    if isinstance(node, Repeat | Caseless):
        return _wide(node.body)
    inner: tuple[Node, ...] = ()
    if isinstance(node, Either | Sequence):
        inner = node.branches if isinstance(node, Either) else node.items
    return any(_wide(each) for each in inner)


def _emit(node: Node) -> bytes:
    if isinstance(node, Sequence):
        return b"".join(_emit(item) for item in node.items)
    if isinstance(node, Exactly):
        return node.form
    if isinstance(node, Chars):
        return _emit_chars(node) + (b"{1,%d}" % node.widest if node.beyond and node.widest > 1 else b"")
    if isinstance(node, Caseless):
        return b"(?i:" + _emit(node.body) + b")"
    if isinstance(node, Either):
        return b"(?:" + b"|".join(_emit(branch) for branch in node.branches) + b")"
    char = single(node.body)  # repeated, a wide character needs no count of its own: more bytes are more turns
    body = _emit_chars(char) if char else b"(?:" + _emit(node.body) + b")"
    if node.most is None:
        return body + {0: b"*", 1: b"+"}.get(node.least, b"{%d,}" % node.least)
    if node.least == node.most:
        return body if node.least == 1 else body + b"{%d}" % node.least
    return body + (b"?" if (node.least, node.most) == (0, 1) else b"{%d,%d}" % (node.least, node.most))


@lru_cache(maxsize=KEPT)
def _emit_chars(chars: Chars) -> bytes:
    members = chars.ascii | (frozenset(range(128, 256)) if chars.beyond else frozenset())
    if len(members) == 1:
        return _byte(min(members))
    absent = frozenset(range(256)) - members
    if chars.negated and absent:
        return b"[^" + b"".join(_ranges(sorted(absent))) + b"]"
    return b"[" + b"".join(_ranges(sorted(members))) + b"]"


def _ranges(values: list[int]) -> Iterator[bytes]:
    start = previous = values[0]
    for value in [*values[1:], None]:
        if value is not None and value == previous + 1:
            previous = value
            continue
        if previous - start > 1:
            yield _byte(start) + b"-" + _byte(previous)
        else:
            yield b"".join(_byte(byte) for byte in range(start, previous + 1))
        if value is not None:
            start = previous = value


def _byte(value: int) -> bytes:
    char = bytes((value,))
    return char if char.isalnum() or char in b" _" else b"\\x%02x" % value
