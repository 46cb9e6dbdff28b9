"""Property lists of macOS' launchd (launchd.plist(5)): what an agent or daemon starts, its variables and limits.

The parser is expat alone, without entities: nothing outside the text is read, nothing expands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.parsers import expat

from doctor.facts.config.places import Place, Text, Word
from doctor.facts.config.shell import launched
from doctor.facts.config.workload import Trouble, Variable, Workload

_SCALARS = {"string", "integer", "real", "true", "false", "date", "data"}
_DEEPEST = 32
_LIMITS = {"MemoryLock": "host.memlock_limit", "NumberOfFiles": "host.open_files_limit"}


class _Broken(Exception):  # noqa: N818 - ends the parse
    """Not a property list that can be read: its words say why."""


@dataclass(frozen=True, slots=True)
class Value:
    """A scalar: its text, where that text stands, and where its element does."""

    text: str
    place: Place | None
    element: Place


Node = Value | list[Any] | dict[str, tuple[Place, Any]]


def read_launchd(
    file: Text, find: Callable[[str], Text | None], is_program: Callable[[str], bool]
) -> tuple[list[Workload], list[Trouble]]:
    """The program that a property list starts.

    Args:
        find: the file that a command line names, seen from this one.
        is_program: whether a word is the name of an engine's program.
    """
    try:
        root = _parse(file)
    except _Broken as error:
        line, _, message = str(error).partition(":")
        return [], [Trouble(file.path, int(line), message, "plutil -lint FILE checks it")]
    if not isinstance(root, dict):
        return [], []
    label = _text(root, "Label") or file.path.rsplit("/", 1)[-1].removesuffix(".plist")
    workload = Workload("launchd", f"launchd job {label}", file.path, 1, (label, label.rsplit(".", 1)[-1]))
    workload.variables = list(_variables(root, file))
    listed = _node(root, "ProgramArguments")
    words = [Word(each.text, each.place) for each in listed or [] if isinstance(each, Value)]
    program = _node(root, "Program")
    if isinstance(program, Value):  # what runs; the first argument is then a name only
        words[:1] = [Word(program.text, program.place)]
    workload.declared = bool(words)
    workload.words = launched(words, workload.variables, find, is_program)
    for section in ("HardResourceLimits", "SoftResourceLimits"):  # the soft one is what counts
        limits = _node(root, section)
        for key, name in _LIMITS.items():
            value = _node(limits, key) if isinstance(limits, dict) else None
            if isinstance(value, Value) and value.text.strip().isdecimal() and value.place:
                workload.limit(name, int(value.text), value.place)
                workload.places[key] = value.place
    return [workload], []


def _node(mapping: Mapping[str, tuple[Place, Any]], key: str) -> Any:
    found = mapping.get(key)
    return found[1] if found else None


def _text(mapping: Mapping[str, tuple[Place, Any]], key: str) -> str:
    value = _node(mapping, key)
    return value.text if isinstance(value, Value) else ""


def _variables(root: Mapping[str, tuple[Place, Any]], file: Text) -> Iterator[Variable]:
    given = _node(root, "EnvironmentVariables")
    for name, (key, value) in given.items() if isinstance(given, dict) else []:
        if isinstance(value, Value):
            entry = file.place(key.start, value.element.end)
            yield Variable(name, value.text, file.path, key.line, "plist", value.place, entry)


def _parse(file: Text) -> Node | None:
    """The tree. Raises ``_Broken``."""
    walk = _Walk(file)
    try:
        walk.parser.Parse(file.text.encode(), True)
    except expat.ExpatError as error:
        raise _Broken(f"{error.lineno}:not a property list: {expat.ErrorString(error.code)}") from None
    return walk.root


class _Walk:
    """Follows the parser: open containers, and the scalar or key whose text is being read."""

    def __init__(self, file: Text) -> None:
        self.file, self.root = file, None
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler, self.parser.EndElementHandler = self.start, self.end
        self.parser.CharacterDataHandler = self.text
        self.parser.EntityDeclHandler = self.entity
        self.data = file.text.encode()
        self.is_ascii = file.text.isascii()
        self.stack: list[tuple[Any, list[tuple[str, Place]]]] = []  # a container, and the key that waits for its value
        self.parts: list[str] = []
        self.began = 0

    def at(self) -> int:
        """The character that the parser has come to."""
        byte = self.parser.CurrentByteIndex
        return byte if self.is_ascii else len(self.data[:byte].decode("utf-8", "replace"))

    def entity(self, *_words: Any) -> None:
        raise _Broken(f"{self.parser.CurrentLineNumber}:a property list that declares an entity is not read")

    def start(self, name: str, _attributes: dict[str, str]) -> None:
        self.parts, self.began = [], self.at()
        if name in {"dict", "array"}:
            if len(self.stack) >= _DEEPEST:
                raise _Broken(f"{self.parser.CurrentLineNumber}:nested too deep")
            node: Any = {} if name == "dict" else []
            self._put(node)
            self.stack.append((node, []))

    def text(self, data: str) -> None:
        self.parts.append(data)

    def end(self, name: str) -> None:
        if name in {"dict", "array"}:
            self.stack.pop()
        elif name == "key" and self.stack:
            self.stack[-1][1][:] = [("".join(self.parts), self.file.place(self.began, self.at()))]
        elif name in _SCALARS:
            text = "".join(self.parts) if name not in {"true", "false"} else name
            written = self.file.text[self.began : (close := self.at())]
            inner = self.began + written.find(">") + 1
            close_tag = self.file.text.find(">", close) + 1 or len(self.file.text)
            same = self.file.text[inner:close] == text and bool(text)
            place = self.file.place(inner, close) if same else None
            self._put(Value(text, place, self.file.place(self.began, max(close_tag, close))))

    def _put(self, node: Any) -> None:
        if not self.stack:
            self.root = self.root or node
            return
        container, waiting = self.stack[-1]
        if isinstance(container, list):
            container.append(node)
        elif waiting:
            name, place = waiting.pop()
            container[name] = (place, node)


def added_string(file: Text, behind: Place, values: Sequence[str]) -> tuple[int, str]:
    """Where strings go that come behind one of an array, and their lines."""
    from xml.sax.saxutils import escape

    end = file.text.find("</string>", behind.end) + len("</string>")
    start = file.text.rfind("\n", 0, behind.start) + 1
    blanks = file.text[start : len(file.text) - len(file.text[start:].lstrip(" \t"))]
    return end, "".join(f"\n{blanks}<string>{escape(value)}</string>" for value in values)
