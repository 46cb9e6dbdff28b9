"""YAML as a tree in which every value knows its line and its characters in the text.

Built from the parser's events, not by ``yaml.compose``: the C composer recurses without a limit, and a file of nested
brackets takes the process down. An alias is the node that it names, not a copy, so nothing grows; who walks the tree
bounds the walk. A text is cut at ``---`` first: one broken document leaves the others readable.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from doctor.facts.config.places import Form, Locate, Place, Text

MAX_CHARACTERS = 512 * 1024
MAX_NODES = 50_000
MAX_DEPTH = 60
MAX_DOCUMENTS = 500
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_STARTS = {yaml.MappingStartEvent, yaml.SequenceStartEvent}
_ENDS = {yaml.MappingEndEvent, yaml.SequenceEndEvent}
_NODES = {yaml.ScalarEvent, yaml.AliasEvent, *_STARTS}
_QUOTES = frozenset("'\"|>")
_DOCUMENT = re.compile(r"\n---(?=[ \t\r\n]|\Z)")  # not `^` of many lines, which is many times slower


class UnreadableYAMLError(Exception):
    """Why a text can't be read as YAML."""

    def __init__(self, line: int, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.line, self.message, self.hint = line, message, hint


@dataclass(slots=True, eq=False)
class Node:
    """``start`` and ``end`` count characters of the file's text; ``line`` is 1-based."""

    start: int
    end: int
    line: int


@dataclass(slots=True, eq=False)
class Scalar(Node):
    """``style``: the quote, ``|``, ``>``, or empty for a plain one. ``null``: nothing is written, or ``null``."""

    value: str = ""
    style: str = ""

    @property
    def null(self) -> bool:
        return not self.style and self.value in {"", "~", "null", "Null", "NULL"}


@dataclass(slots=True, eq=False)
class Items(Node):
    items: list[Node] = field(default_factory=list)
    flow: bool = False


@dataclass(slots=True, eq=False)
class Mapping(Node):
    """``pairs``: as written; ``get`` looks through merged ones (``<<``) too."""

    pairs: list[tuple[Scalar, Node]] = field(default_factory=list)
    flow: bool = False

    def get(self, key: str, depth: int = 0) -> Node | None:
        for name, value in reversed(self.pairs):
            if name.value == key:
                return value
        if depth < 8:
            for merged in self.merged():
                if (found := merged.get(key, depth + 1)) is not None:
                    return found
        return None

    def merged(self) -> Iterator[Mapping]:
        """The mappings that ``<<`` takes over, the strongest first."""
        for name, value in self.pairs:
            if name.value == "<<":
                for item in value.items if isinstance(value, Items) else [value]:
                    if isinstance(item, Mapping):
                        yield item

    def all(self, depth: int = 0) -> dict[str, tuple[Scalar, Node]]:
        """Every key with its own key node and value."""
        found: dict[str, tuple[Scalar, Node]] = {}
        if depth < 8:
            for merged in reversed(list(self.merged())):
                found |= merged.all(depth + 1)
        return found | {name.value: (name, value) for name, value in self.pairs if name.value != "<<"}

    def map(self, *keys: str) -> Mapping | None:
        """The mapping below these keys."""
        node: Node | None = self
        for key in keys:
            node = node.get(key) if isinstance(node, Mapping) else None
        return node if isinstance(node, Mapping) else None

    def scalar(self, *keys: str) -> Scalar | None:
        """The scalar below these keys, when something is written there."""
        above = self.map(*keys[:-1])
        node = above.get(keys[-1]) if above else None
        return node if isinstance(node, Scalar) and not node.null else None

    def list(self, *keys: str) -> list[Node]:
        """The elements below these keys; empty when there are none."""
        above = self.map(*keys[:-1])
        node = above.get(keys[-1]) if above else None
        return node.items if isinstance(node, Items) else []


def documents(text: str) -> Iterator[tuple[int, int, str]]:
    """Start, number of lines before it, and text of each document."""
    starts = [0, *(found.end() - 1 for found in _DOCUMENT.finditer(f"\n{text}"))][: MAX_DOCUMENTS + 1]
    line = 0
    for start, after in zip(starts, [*starts[1:], None], strict=True):
        document = text[start:] if after is None else text[start : after - 3]
        if document and not document.isspace():
            yield start, line, document
        line += document.count("\n")


def without_others(text: str, before: str, places: Collection[int]) -> str:
    """A text that was changed, with blanks for the documents that neither changed nor hold one of these places: what
    is left stands where it stood, and the rest need not be read again.

    Args:
        before: the text as it was.
        places: characters of it.
    """
    old, new = list(documents(before)), list(documents(text))
    if len(old) < 2 or len(old) != len(new):
        return text
    parts, end = [], 0
    for (start, _, was), (now_at, _, now) in zip(old, new, strict=True):
        if was == now and not any(start <= place <= start + len(was) for place in places):
            lines = now.count("\n")
            parts += [text[end:now_at], " " * (len(now) - lines), "\n" * lines]
            end = now_at + len(now)
    return "".join([*parts, text[end:]])


def parse(text: str, start: int = 0, line: int = 0) -> Node | None:
    """The tree of one document; None when it is empty.

    Args:
        text: of the document.
        start, line: characters and lines of the file before it.

    Raises:
        UnreadableYAMLError: it is no YAML, or larger than a configuration is.
    """
    if len(text) > MAX_CHARACTERS:
        raise UnreadableYAMLError(line + 1, f"larger than {MAX_CHARACTERS // 1024} KiB: not read as a configuration")
    shift = text.startswith("\ufeff")
    try:
        return _Composer(start + shift, line).compose(text[shift:])
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = " ".join(str(error.problem or error.context or "broken").split())[:200]
        raise UnreadableYAMLError(
            line + (mark.line if mark else 0) + 1, f"not valid YAML: {what}", _hint(text, mark)
        ) from None
    except (yaml.YAMLError, ValueError) as error:  # a character that YAML does not have
        raise UnreadableYAMLError(line + 1, f"not valid YAML: {' '.join(str(error).split())[:200]}") from None


def _hint(text: str, mark: yaml.Mark | None) -> str:
    lines = text.split("\n")
    near = lines[max(0, mark.line - 1) : mark.line + 1] if mark else []
    if any(re.match(r" *\t", line) for line in near):
        return "indent with blanks: YAML allows no tabs there"
    if any(re.search(r":\s+[^\s'\"|>&*{\[].*:\s", line) for line in near):
        return "put the value with the colon in it between quotes"
    return "check the indentation and the quotes of that line and the one before it"


@dataclass(slots=True)
class _Composer:
    base: int
    line: int
    anchors: dict[str, Node] = field(default_factory=dict)
    count: int = 0

    def compose(self, text: str) -> Node | None:
        root: Node | None = None
        open_nodes: list[Mapping | Items] = []
        keys: list[Scalar | None] = []
        event: Any  # the marks of an event are there wherever a text is parsed
        events = _LOADER(text)  # a remedy is tried by reading its file again: this loop is the most of it
        for event in iter(events.get_event, None):
            kind = type(event)
            if kind in _ENDS:
                open_nodes.pop().end = self.base + event.end_mark.index
                keys.pop()
                continue
            if kind is yaml.DocumentEndEvent:
                break
            if kind not in _NODES:
                continue
            node = self._node(kind, event)
            if not open_nodes:
                root = node
            elif isinstance(above := open_nodes[-1], Items):
                above.items.append(node)
            elif (key := keys[-1]) is None:
                keys[-1] = node if isinstance(node, Scalar) else Scalar(node.start, node.end, node.line)
            else:
                above.pairs.append((key, node))
                keys[-1] = None
            if kind in _STARTS and isinstance(node, (Mapping, Items)):
                if len(open_nodes) >= MAX_DEPTH:
                    raise UnreadableYAMLError(node.line, f"nested deeper than {MAX_DEPTH} levels: not read")
                open_nodes.append(node)
                keys.append(None)
        return root

    def _node(self, kind: type[yaml.Event], event: Any) -> Node:
        self.count += 1
        first = event.start_mark
        line = self.line + first.line + 1
        if self.count > MAX_NODES:
            raise UnreadableYAMLError(line, f"more than {MAX_NODES} values: not read as a configuration")
        if kind is yaml.AliasEvent:
            return self.anchors.get(event.anchor or "") or Scalar(0, 0, line)
        start, end = self.base + first.index, self.base + event.end_mark.index
        node: Node
        if kind is yaml.ScalarEvent:
            node = Scalar(start, end, line, event.value, event.style if event.style in _QUOTES else "")
        elif kind is yaml.SequenceStartEvent:
            node = Items(start, end, line, flow=bool(event.flow_style))
        else:
            node = Mapping(start, end, line, flow=bool(event.flow_style))
        if event.anchor:
            self.anchors[event.anchor] = node
        return node


def place_of(node: Node, file: Text, form: Form = "value") -> Place:
    """Where a node is written; for a scalar without its anchor and tag."""
    start = _after_properties(node, file.text) if isinstance(node, Scalar) else node.start
    return Place(file.path, node.line, start, node.end, form)


def inside(node: Scalar, file: Text) -> Locate:
    """From ranges of a scalar's value to their places in the file."""
    start, end = _after_properties(node, file.text), node.end
    if node.style in {"'", '"'}:
        start, end = start + 1, end - 1
    elif node.style in {"|", ">"}:
        start = file.text.find("\n", start, end) + 1 or end
    return file.locator(node.value, start, end, node.style)


def end_of(node: Node, text: str) -> int:
    """Behind the last value in a node: the end of a block itself is behind the blank lines and comments after it."""
    for _ in range(MAX_DEPTH):
        if isinstance(node, Mapping) and node.pairs and not node.flow:
            key, node = node.pairs[-1]
            if node.start < key.start:  # an alias: the node stands where it is named
                return text.find("\n", key.end) if "\n" in text[key.end :] else len(text)
        elif isinstance(node, Items) and node.items and not node.flow:
            node = node.items[-1]
        else:
            break
    return len(text[: node.end].rstrip())


def _after_properties(node: Scalar, text: str) -> int:
    if text[node.start : node.start + 1] in {"&", "!"}:  # an anchor or a tag stands before the value
        found = re.compile(r"(?:[&!]\S*\s+)+").match(text, node.start, node.end)
        return found.end() if found else node.start
    return node.start
