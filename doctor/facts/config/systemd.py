"""systemd units with their drop-ins, and quadlets: command line, variables, limits, each with its place.

Words are split as systemd does it, not as a shell: no operators, no comments behind a value, ``$NAME`` alone gives
several words and ``${NAME}`` one (systemd.syntax(7), systemd.service(5), systemd.exec(5)).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from doctor.facts.config.env import unescaped
from doctor.facts.config.images import started
from doctor.facts.config.places import Place, Text, Word
from doctor.facts.config.shell import Find, launched
from doctor.facts.config.workload import Trouble, Variable, Workload, container_size, lookup_in
from doctor.units import parse_size

_PAIR = re.compile(r"(?P<key>[A-Za-z]\w*)[ \t]*=[ \t]*")
_SECTION = re.compile(r"\[(?P<name>[\w-]+)\]")
_WORD = re.compile(
    r"""(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|\\.|[^\s"'\\])(?:\\.|"(?:\\.|[^"\\])*"|[^\s"\\])*""", re.S
)
_REFERENCE = re.compile(r"\$\$|\$\{(?P<name>\w+)\}|\$(?P<bare>\w+)")
_DROP_IN = re.compile(r"(?P<unit>[^/]+\.(?:service|container))\.d/[^/]+\.conf$")
_LIMITS = {
    "LimitMEMLOCK": "host.memlock_limit",
    "LimitAS": "host.address_space_limit",
    "LimitNOFILE": "host.open_files_limit",
    "MemoryMax": "host.cgroup_limit",
    "MemoryLimit": "host.cgroup_limit",
    "Memory": "host.cgroup_limit",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One assignment of a unit, its continued lines joined.

    Attributes:
        value: what is assigned; ``before``: the characters of the joined line in front of it.
        pieces: of the joined line, where each physical line begins in it, and in the file.
    """

    key: str
    value: str
    file: Text
    before: int
    pieces: tuple[tuple[int, int], ...]

    @property
    def place(self) -> Place:
        return self.locate(0, len(self.value))

    def locate(self, start: int, end: int) -> Place:
        """From a range of the value to its place."""
        first, last = self._at(start), self._at(max(start, end - 1))
        return self.file.place(first, last + (end > start))

    def _at(self, index: int) -> int:
        joined, written = next(piece for piece in reversed(self.pieces) if piece[0] <= index + self.before)
        return written + index + self.before - joined

    def words(self) -> Iterator[Word]:
        """The words of the value, still quoted, each with its place."""
        for found in _WORD.finditer(self.value):
            yield Word(found[0], self.locate(*found.span()))


def read_units(
    files: Sequence[Text], find: Callable[[str, str], Text | None], is_program: Callable[[str], bool]
) -> tuple[list[Workload], list[Trouble]]:
    """The services of units.

    Args:
        files: units and drop-ins; a drop-in (``X.service.d/*.conf``) completes the unit of its name. What
            ``systemctl cat`` printed is one file.
        find: the file of ``EnvironmentFile=``, seen from the unit.
        is_program: whether a word is the name of an engine's program.
    """
    troubles: list[Trouble] = []
    drop_ins = {file.path: found["unit"] for file in files if (found := _DROP_IN.search(file.path))}
    units = [[file] for file in files if file.path not in drop_ins]
    by_name = {unit[0].path.rsplit("/", 1)[-1]: unit for unit in units}
    for path in sorted(drop_ins, key=lambda path: path.rsplit("/", 1)[-1]):  # systemd reads them by their names
        file = next(file for file in files if file.path == path)
        name = drop_ins[path]
        if name not in by_name:
            by_name[name] = []
            units.append(by_name[name])
        by_name[name].append(file)
    workloads = []
    for unit in units:
        name = next((name for name, same in by_name.items() if same is unit), unit[0].path)
        reading = _Unit(Workload("systemd", f"unit {name}", unit[0].path, 1), troubles)
        for file in unit:
            for line in _lines(file, troubles):
                reading.take(line)
        workloads.append(reading.finish(name, find, is_program))
    return workloads, troubles


def _lines(file: Text, troubles: list[Trouble]) -> Iterator[Line]:
    """The assignments of a file's sections that start something."""
    section = "Service"
    for text, pieces in _logical_lines(file.text):
        if head := _SECTION.fullmatch(text):
            section = head["name"]
        elif (pair := _PAIR.match(text)) is None:
            message, hint = "not KEY=VALUE", "systemd ignores this line"
            troubles.append(Trouble(file.path, file.line(pieces[0][1]), message, hint))
        elif section in {"Service", "Container", "Slice"}:
            yield Line(pair["key"], text[pair.end() :], file, pair.end(), pieces)


def _logical_lines(text: str) -> Iterator[tuple[str, tuple[tuple[int, int], ...]]]:
    """Lines without comments, continued ones joined by a blank; with where each begins in the joined one and in the
    text."""
    joined, pieces, at = "", list[tuple[int, int]](), 0
    for raw in text.split("\n"):
        begin, at = at, at + len(raw) + 1
        line = raw.strip()
        if line[:1] in {"#", ";"} or (not line and not pieces):
            continue
        pieces.append((len(joined), begin + len(raw) - len(raw.lstrip())))
        if line.endswith("\\"):
            joined += line[:-1].rstrip() + " "
        else:
            yield joined + line, tuple(pieces)
            joined, pieces = "", []
    if pieces:
        yield joined.rstrip(), tuple(pieces)


@dataclass(slots=True)
class _Unit:
    """A service while its lines are read: a list that is assigned nothing begins anew."""

    workload: Workload
    troubles: list[Trouble]
    limits: dict[str, tuple[int, Place]] = field(default_factory=dict)
    variables: list[Variable] = field(default_factory=list)
    env_files: list[Line] = field(default_factory=list)
    command: Line | None = None

    def take(self, line: Line) -> None:
        key, value = line.key, line.value
        if key in {"ExecStart", "Exec"}:
            self.command = line if value else None
        elif key == "Environment":
            self.variables = [*self.variables, *_assigned(line)] if value else []
        elif key == "EnvironmentFile":
            self.env_files = [*self.env_files, line] if value else []
        elif key == "Image":
            self.workload.image = value
        elif key == "User" or (key == "DynamicUser" and value in {"yes", "true", "1", "on"}):
            self.workload.user = value
        elif key == "ShmSize" and (size := container_size(value)):
            self.limits["host.shm_size"] = size, line.place
            self.workload.places["shm"] = line.place
        elif key in _LIMITS:
            self.workload.places[key] = line.place
            amount = None if key.startswith("Memory") and value == "infinity" else _limit(value)
            if amount is None:
                self.limits.pop(_LIMITS[key], None)
            else:
                self.limits[_LIMITS[key]] = amount, line.place
            if _LIMITS[key] == "host.cgroup_limit":
                self.workload.places["memory"] = line.place

    def finish(self, name: str, find: Callable[[str, str], Text | None], is_program: Callable[[str], bool]) -> Workload:
        workload = self.workload
        workload.names = (name, name.rsplit(".", 1)[0])
        workload.variables = self.variables
        for line in self.env_files:  # they win over Environment=
            self._read_env_file(line, find)
        for limit, (amount, place) in self.limits.items():
            workload.limit(limit, amount, place)
        if self.command is not None:
            values = lookup_in(workload.variables)
            words = [made for word in self.command.words() for made in _expanded(word, values)]
            if words and self.command.key == "ExecStart":
                words[0] = _without_prefix(words[0])
        else:
            words = []
        workload.declared = bool(words)
        put, taken = started(workload.image, [word.text for word in words], is_program) if workload.image else ((), 0)
        within: Find = lambda path: find(workload.path, path)  # noqa: E731
        workload.words = launched([*map(Word, put), *words[taken:]], workload.variables, within, is_program)
        if words and workload.command() is None and self.command is not None:
            place, hint = self.command.place, "check its quotes"
            self.troubles.append(Trouble(place.path, place.line, "the command of ExecStart could not be read", hint))
        return workload

    def _read_env_file(self, line: Line, find: Callable[[str, str], Text | None]) -> None:
        from doctor.facts.config.dotenv import variables_of

        path, place = line.value.removeprefix("-"), line.place
        file = find(line.file.path, path)
        if file is not None:
            self.workload.variables = [*self.workload.variables, *variables_of(file, "systemd", self.troubles)]
        elif not line.value.startswith("-"):
            message = f"EnvironmentFile {path} is not among the input: its variables are not known"
            self.troubles.append(Trouble(place.path, place.line, message, "add that file to the input"))


def _assigned(line: Line) -> Iterator[Variable]:
    """The variables of ``Environment=``: ``"A=1" B=2 'C=x y'``."""
    for word in line.words():
        text = unescaped(word.text)
        name, equals, value = text.partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z_]\w*", name):
            continue
        entry, place = word.place, None
        raw = line.file.text[entry.start : entry.end] if entry else ""
        quote = raw[:1] if raw[:1] in {'"', "'"} else ""
        if entry and raw == f"{quote}{name}={value}{quote}":
            place = line.file.place(entry.start + len(quote) + len(name) + 1, entry.end - len(quote))
        at = (entry or line.place).line
        yield Variable(name, value, line.file.path, at, "unit", place, entry)


def _expanded(word: Word, values: dict[str, Word]) -> Iterable[Word]:
    """A word of a command with its variables: ``$NAME`` alone is split at blanks."""
    raw = word.text
    if (found := _REFERENCE.fullmatch(raw)) and found["bare"] in values:
        value = values[found["bare"]]
        inside = value.inside or (lambda _start, _end: None)
        return [Word(part[0], inside(*part.span())) for part in re.finditer(r"\S+", value.text)]
    if found and found["name"] in values:
        return [values[found["name"]]]

    def replaced(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        name = match["name"] or match["bare"]
        return values[name].text if name in values else match[0]

    return [Word(_REFERENCE.sub(replaced, unescaped(raw)), word.place, None if not _is_script(raw) else _within(word))]


def _is_script(raw: str) -> bool:
    """A quoted word with blanks in it, such as that of ``sh -c``."""
    return raw[:1] in {'"', "'"} and " " in raw and "\\" not in raw and "$$" not in raw


def _within(word: Word) -> Callable[[int, int], Place | None]:
    place = word.place

    def locate(start: int, end: int) -> Place | None:
        if place is None or place.end - place.start != len(word.text):
            return None  # continued over lines
        return Place(place.path, place.line, place.start + 1 + start, place.start + 1 + end)

    return locate


def _without_prefix(word: Word) -> Word:
    """``-@:+!`` in front of a command say how systemd starts it."""
    text = word.text.lstrip("-@:+!")
    cut = len(word.text) - len(text)
    place = word.place
    if place and cut:
        place = Place(place.path, place.line, place.start + cut, place.end)
    return Word(text, place)


def _limit(text: str) -> int | None:
    """``"16G"`` -> bytes; ``soft:hard`` counts by its soft part; no limit is -1."""
    text = text.split(":", maxsplit=1)[0].strip()
    if text == "infinity":
        return -1
    try:
        return int(parse_size(text))
    except (ValueError, OverflowError):
        return None
