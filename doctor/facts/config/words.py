"""Text as a shell splits it into words, each with the place in the file where it is written. Nothing is ever executed.

The place is what a remedy needs to change a flag or a variable and nothing else. Substitution is the simple kind:
``$NAME``, ``${NAME}``, ``${NAME:-default}``; a command substitution stays as written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from doctor.facts.config.places import Locate, Lookup, Word

MAX_WORDS = 4096


@dataclass(slots=True)
class Token:
    """A word as written, or an operator. ``parts``: its text with whether ``$`` in it is to be replaced."""

    start: int
    end: int
    parts: list[tuple[str, bool]] = field(default_factory=list)
    operator: str = ""
    quoted: bool = False

    @property
    def text(self) -> str:
        return self.operator or "".join(text for text, _ in self.parts)


_OPERATOR = re.compile(r"&&|\|\||;;|<<-?|>>|[<>]&|&>>?|[;&|<>()\n]")
_BLANKS = re.compile(r"(?:[ \t\r]|\\\r?\n)+")
_PLAIN = re.compile(r"[^\s;&|<>()\\'\"$`#]+|#")
_REFERENCE = re.compile(
    r"\$(?P<escape>\$)?(?:(?P<bare>\w+)|\{(?P<name>\w+)(?P<index>\[[@*]\])?(?:(?P<how>:?[-=?+])(?P<other>[^{}]*))?\})"
)


def tokens(text: str, *, comments: bool = True, newlines: bool = True) -> Iterator[Token]:
    """The words and operators of a text.

    Args:
        text: a script, or a command on one line or several.
        comments: ``#`` at the start of a word begins one.
        newlines: the end of a line ends a command; else it is a blank.

    Raises:
        ValueError: a quote is not closed.
    """
    at, size, documents = 0, len(text), list[str]()
    while at < size:
        if found := _BLANKS.match(text, at):
            at = found.end()
        elif text[at] == "\n" and not newlines:
            at += 1
        elif text[at] == "#" and comments:
            end = text.find("\n", at)
            at = size if end < 0 else end
        elif found := _OPERATOR.match(text, at):
            yield Token(at, found.end(), operator=found[0])
            at = found.end()
            if found[0].startswith("<<"):
                if marker := re.compile(r"[ \t]*(['\"]?)(\w+)\1").match(text, at):
                    documents.append(marker[2])
                    at = marker.end()
            elif found[0] == "\n" and documents:
                at = _after_documents(text, at, documents)
                documents = []
        else:
            token = _word(text, at)
            yield token
            at = token.end


def _after_documents(text: str, at: int, markers: Sequence[str]) -> int:
    """Where the script goes on after here-documents."""
    for marker in markers:
        found = re.compile(rf"^\t*{re.escape(marker)}[ \t]*$", re.M).search(text, at)
        at = found.end() if found else len(text)
    return at


def _word(text: str, start: int) -> Token:
    token, at, size = Token(start, start), start, len(text)
    while at < size:
        char = text[at]
        if char == "\\":
            if text.startswith(("\\\n", "\\\r\n"), at):
                break
            token.parts.append((text[at + 1 : at + 2], False))
            at += 2
        elif char == "'" or text.startswith("$'", at):
            begin = at + 1 if char == "'" else at + 2
            end = text.find("'", begin)
            if end < 0:
                raise ValueError("a quote is not closed")
            token.parts.append((text[begin:end], False))
            token.quoted, at = True, end + 1
        elif char == '"':
            at = _double_quoted(text, at + 1, token)
        elif found := _substitution(text, at):
            token.parts.append((text[at:found], True))
            at = found
        elif plain := _PLAIN.match(text, at):
            token.parts.append((plain[0], True))
            at = plain.end()
        elif char == "$":
            token.parts.append(("$", True))
            at += 1
        else:
            break
    token.end = min(max(at, start + 1), size)
    return token


def _double_quoted(text: str, at: int, token: Token) -> int:
    token.quoted = True
    token.parts.append(("", False))  # "" is a word too
    while at < len(text) and text[at] != '"':
        if text[at] == "\\" and text[at + 1 : at + 2] in {'"', "\\", "$", "`", "\n"}:
            token.parts.append((text[at + 1].strip("\n"), False))
            at += 2
        elif found := _substitution(text, at):
            token.parts.append((text[at:found], True))
            at = found
        else:
            token.parts.append((text[at], text[at] not in "\\`"))
            at += 1
    if at >= len(text):
        raise ValueError("a quote is not closed")
    return at + 1


def _substitution(text: str, at: int) -> int:
    """The end of ``${...}``, ``$(...)`` or a pair of backquotes at ``at``; 0 when there is none."""
    if text[at] == "`":
        return text.find("`", at + 1) + 1
    opening = text[at : at + 2]
    if opening not in {"${", "$("}:
        return 0
    closing, depth = {"{": "}", "(": ")"}[opening[1]], 0
    for i in range(at + 1, min(len(text), at + 4096)):
        depth += (text[i] == opening[1]) - (text[i] == closing)
        if depth == 0:
            return i + 1
    return 0


def words_of(token: Token, source: str, lookup: Lookup, locate: Locate) -> list[Word]:
    """The words that a token becomes, mostly one; ``"${ARGS[@]}"`` and an unquoted ``$ARGS`` may become several.

    Args:
        token: of ``tokens(source)``.
        source: the text that it is of.
        lookup: the value of a variable; None when it is not known.
        locate: from ranges of ``source`` to places in the file.
    """
    raw = source[token.start : token.end]
    whole = _REFERENCE.fullmatch(raw[1:-1] if raw[:1] == raw[-1:] == '"' else raw)
    if whole and not whole["escape"] and any(expand for _, expand in token.parts):
        value = lookup(whole["bare"] or whole["name"])
        if value is not None and value.array and (whole["index"] or not token.quoted):
            return list(value.array)
        if value is not None and (value.text or not (whole["how"] or "").startswith(":")):
            return [value] if token.quoted else _split_value(value)
        if whole["how"] in {":-", "-", ":=", "="}:
            start = token.start + raw.index(whole["how"]) + len(whole["how"])
            default, shift = whole["other"], 0
            if default[:1] in {'"', "'"} and default[:1] == default[-1:]:
                default, shift = default[1:-1], 1
            start += shift
            value = Word(default, locate(start, start + len(default)), lambda a, b: locate(start + a, start + b))
            return [value] if token.quoted else _split_value(value)
    made = "".join(substitute(part, lookup) if expand else part for part, expand in _joined(token.parts))
    inner = 1 if token.quoted and len(raw) == len(made) + 2 and raw[0] == raw[-1] else 0
    begin = token.start + inner
    same = source[begin : begin + len(made)] == made
    inside = (lambda a, b: locate(begin + a, begin + b)) if same else None
    return [Word(made, locate(token.start, token.end), inside)]


def _joined(parts: Sequence[tuple[str, bool]]) -> list[tuple[str, bool]]:
    """Neighbours of the same kind as one, so that ``$`` and the name after it stand together."""
    made: list[tuple[str, bool]] = []
    for text, expand in parts:
        if made and made[-1][1] == expand:
            made[-1] = (made[-1][0] + text, expand)
        else:
            made.append((text, expand))
    return made


def _split_value(value: Word) -> list[Word]:
    """The words of a variable without quotes around it; each has its place inside of the variable's."""
    if not re.search(r"\s", value.text):
        return [value] if value.text else []
    inside = value.inside or (lambda _start, _end: None)
    return [Word(found[0], inside(found.start(), found.end())) for found in re.finditer(r"\S+", value.text)]


def substitute(text: str, lookup: Lookup) -> str:
    """``$NAME`` and ``${NAME:-default}`` replaced; a name that is not known stays as it is written."""

    def replaced(found: re.Match[str]) -> str:
        if found["escape"]:
            return found[0][1:]
        value = lookup(found["bare"] or found["name"])
        how = found["how"] or ""
        if how.endswith("+"):
            return found["other"] if value is not None else ""
        if value is not None and (value.text or not how.startswith(":")):
            return value.text
        return found["other"] if how and how[-1] in "-=" else found[0]

    return _REFERENCE.sub(replaced, text)


def reference(text: str) -> tuple[str, int | None, str] | None:
    """Of a text that is one reference and nothing else: its name, where its default begins, and the default."""
    found = _REFERENCE.fullmatch(text)
    if not found or found["escape"]:
        return None
    if found["how"] in {":-", "-"}:
        return found["name"], found.start("other"), found["other"]
    return found["bare"] or found["name"], None, ""
