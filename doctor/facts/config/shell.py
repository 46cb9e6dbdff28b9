"""Shell scripts: the commands that they start, with the variables exported before. Nothing is ever executed.

The script is read from top to bottom as if every branch were taken; a variable that branches set to different values
is not known. A command substitution stays as it is written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from doctor.facts.config.containers import read_container
from doctor.facts.config.places import Locate, Place, Text, Word
from doctor.facts.config.values import is_secret
from doctor.facts.config.words import MAX_WORDS, Token, tokens, words_of
from doctor.facts.config.workload import Trouble, Variable, Workload, lookup_in

MAX_LAUNCHES = 50
_ASSIGNMENT = re.compile(r"(?P<name>[A-Za-z_]\w*)(?P<more>\+?)=")
_KEYWORDS = frozenset({"if", "then", "elif", "else", "while", "until", "do", "!", "{", "time"})
_OPENING = frozenset({"if", "case", "for", "while", "until", "select"})
_CLOSING = frozenset({"fi", "esac", "done"})
_DECLARING = frozenset({"export", "declare", "typeset", "readonly", "local"})
_SHELL = re.compile(r"(?:.*/)?(?:ba|z|da|a)?sh(?:\.exe)?")
_ULIMIT = {
    "l": ("host.memlock_limit", 1024),
    "v": ("host.address_space_limit", 1024),
    "n": ("host.open_files_limit", 1),
}

Find = Callable[[str], Text | None]
"""A file of the input by the name that a script gives it."""


@dataclass(frozen=True, slots=True)
class Launch:
    """A command of a script, and the variables that are exported to it."""

    words: list[Word]
    variables: list[Variable]


@dataclass(slots=True)
class Script:
    """A script while it is read: its variables, what it exports, what it starts."""

    locate: Locate
    path: str
    find: Find
    values: dict[str, Word] = field(default_factory=dict)
    exported: dict[str, Variable] = field(default_factory=dict)
    launches: list[Launch] = field(default_factory=list)
    limits: list[tuple[str, int, Place]] = field(default_factory=list)
    all_exported: bool = False
    _depth: int = 0

    def read(self, text: str) -> None:
        """Reads the commands of a text.

        Raises:
            ValueError: a quote is not closed.
        """
        for command in _commands(tokens(text), text):
            if len(self.launches) < MAX_LAUNCHES:
                self._command(command, text)

    def _command(self, command: list[Token], text: str) -> None:
        while command and not command[0].quoted and command[0].text in _KEYWORDS | _CLOSING | {"}"}:
            word = command.pop(0).text
            self._depth += (word in _OPENING) - (word in _CLOSING)
        if not command:
            return
        first = command[0].text
        if first in {"for", "select", "case"}:
            self._depth += 1
            if first != "case" and len(command) > 1:
                self.values.pop(command[1].text, None)
        elif first in _DECLARING or all(_ASSIGNMENT.match(text, token.start) for token in command):
            exporting = first == "export" or (
                first in {"declare", "typeset"} and any("x" in t.text for t in command[1:2])
            )
            for token in command:
                self._assign(token, text, exporting)
        elif first == "unset":
            for token in command[1:]:
                self.values.pop(token.text, None)
                self.exported.pop(token.text, None)
        elif first == "set":
            options = [token.text for token in command[1:]]
            if {"-a", "allexport"} & set(options):
                self.all_exported = "+o" not in options
            elif "+a" in options:
                self.all_exported = False
        elif first in {"source", "."} and len(command) > 1:
            self._source("".join(word.text for word in self._words(command[1:2], text)))
        elif first == "ulimit":
            self._ulimit(command[1:], text)
        else:
            self._launch(command, text)

    def _words(self, command: Iterable[Token], text: str) -> list[Word]:
        found: list[Word] = []
        for token in command:
            found += words_of(token, text, self.values.get, self.locate)
        return found[:MAX_WORDS]

    def _assign(self, token: Token, text: str, exporting: bool) -> Variable | None:
        found = _ASSIGNMENT.match(text, token.start)
        if not found:
            if exporting and token.text in self.values and token.text not in self.exported:
                word = self.values[token.text]  # export NAME, after NAME=value
                line = word.place.line if word.place else 1
                self._export(Variable(token.text, word.text, self.path, line, "shell", word.place, None, word.inside))
            return None
        name = found["name"]
        value = self._value(token, found.end(), text)
        if found["more"] and (before := self.values.get(name)):
            value = Word(f"{before.text}{value.text}", None, None, (*before.array, *value.array))
        known = self.values.get(name)
        if self._depth > 0 and known is not None and known.text != value.text:
            self.values.pop(name, None)  # one branch says this, another that
            self.exported.pop(name, None)
            return None
        if not is_secret(name):
            self.values[name] = value
        place = self.locate(token.start, token.end)
        line = place.line if place else 1
        variable = Variable(name, value.text, self.path, line, "shell", value.place, place, value.inside)
        if exporting or self.all_exported or name in self.exported:
            self._export(variable)
        return variable

    def _value(self, token: Token, start: int, text: str) -> Word:
        if text[start : start + 1] == "(":  # NAME=( words )
            inner = list(_array(text, start + 1))
            return Word(" ".join(item.text for item in inner), None, None, tuple(self._words(inner, text)))
        rest = next(iter(tokens(text[start : token.end], newlines=False, comments=False)), None)
        if rest is None or rest.start > 0:
            return Word("", self.locate(start, start + 1) and self.locate(start - 1, start), None)
        rest.quoted = True  # no splitting in an assignment
        part = text[start : token.end]
        found = words_of(rest, part, self.values.get, lambda a, b: self.locate(start + a, start + b))[0]
        place = found.place
        if place and part[:1] in {'"', "'"} and part[:1] == part[-1:] and place == self.locate(start, token.end):
            place = self.locate(start + 1, token.end - 1)
        return Word(found.text, place, found.inside)

    def _export(self, variable: Variable) -> None:
        self.exported.pop(variable.name, None)
        self.exported[variable.name] = variable

    def _source(self, name: str) -> None:
        file = self.find(name)
        if file is None:
            return
        from doctor.facts.config.dotenv import variables_of

        variables = variables_of(file)
        self.values |= lookup_in(variables)
        for variable in variables:
            start = variable.entry.start if variable.entry else 0
            if self.all_exported or file.text.startswith("export", start):
                self._export(variable)

    def _ulimit(self, command: list[Token], text: str) -> None:
        options = [word.text for word in self._words(command, text)]
        place = self.locate(command[0].start, command[-1].end) if command else None
        for option, value in pairwise(options):
            if place and option[:1] == "-" and (known := _ULIMIT.get(option[-1:])):
                count = (
                    -1 if value == "unlimited" else int(value) * known[1] if re.fullmatch(r"\d{1,15}", value) else None
                )
                if count is not None:
                    self.limits.append((known[0], count, place))

    def _launch(self, command: list[Token], text: str) -> None:
        words = self._words(command, text)
        exported = dict(self.exported)
        for token in command:  # NAME=value in front of the command
            found = _ASSIGNMENT.match(text, token.start)
            if not found:
                break
            entry, value = self.locate(token.start, token.end), self._value(token, found.end(), text)
            name, line = found["name"], entry.line if entry else 1
            exported.pop(name, None)
            exported[name] = Variable(name, value.text, self.path, line, "word", value.place, entry)
        self.launches.append(Launch(words, list(exported.values())))


def _commands(found: Iterator[Token], text: str) -> Iterator[list[Token]]:
    """The simple commands, without redirections."""
    command: list[Token] = []
    skip_next = False
    depth = 0
    for token in found:
        if depth:  # inside of NAME=( ... )
            depth += (token.operator == "(") - (token.operator == ")")
        elif token.operator == "(" and command and command[-1].end == token.start and text[token.start - 1] == "=":
            depth = 1
        elif not token.operator:
            if not skip_next:
                command.append(token)
            skip_next = False
        elif token.operator[0] in "<>" or token.operator[:2] == "&>":
            skip_next = not token.operator.startswith("<<")
            if command and re.fullmatch(r"\d", command[-1].text) and command[-1].end == token.start:
                command.pop()
        else:
            if command:
                yield command
            command, skip_next = [], False
    if command:
        yield command


def _array(text: str, start: int) -> Iterator[Token]:
    for token in tokens(text[start:]):
        if token.operator == ")":
            return
        if not token.operator:
            yield Token(start + token.start, start + token.end, token.parts, "", token.quoted)


def read_script(file: Text, find: Find, is_program: Callable[[str], bool]) -> tuple[list[Workload], list[Trouble]]:
    """The engines that a script starts.

    Args:
        file: the script.
        find: a file that it sources, when it lies in the input.
        is_program: whether a word is the name of an engine's program.
    """
    script = Script(file.place, file.path, find)
    troubles = []
    try:
        script.read(file.text)
    except ValueError as error:
        hint = "what comes after the open quote is not read"
        troubles.append(Trouble(file.path, 1, f"the script could not be read to its end: {error}", hint))
    workloads = []
    for launch in script.launches:
        workload = Workload("script", "", file.path, 1, words=launch.words, declared=True)
        workload.variables = list(launch.variables)
        workload.words = launched(launch.words, workload.variables, find, is_program)
        command = workload.command()
        if command is None or not is_program(command.program):
            continue
        workload.name, workload.line = f"command {command.program}", workload.command_at().line or 1
        read_container(workload, find, troubles)
        for name, value, place in [] if workload.image else script.limits:
            workload.limit(name, value, place)
        workloads.append(workload)
    return workloads, troubles


def launched(
    words: list[Word], variables: list[Variable], find: Find, is_program: Callable[[str], bool], depth: int = 0
) -> list[Word]:
    """The command that runs in the end: of ``sh -c TEXT`` the engine in it. Adds what it exports to ``variables``."""
    from doctor.facts.config.argv import command_of

    at = _script_at([word.text for word in words])
    if at is None or depth > 3:
        return words
    known: Mapping[str, Word] = lookup_in(variables)
    script = Script(words[at].inside or (lambda _start, _end: None), "", find, values=dict(known))
    script.path = next((word.place.path for word in words if word.place), "")
    try:
        script.read(words[at].text)
    except ValueError:
        return words
    best: Launch | None = None
    for launch in script.launches:
        command = command_of([word.text for word in launch.words])
        if command is not None and is_program(command.program):
            best = launch
            break
    if best is None:
        best = next(
            (launch for launch in reversed(script.launches) if _script_at([w.text for w in launch.words])), None
        )
    if best is None:
        return words
    variables += best.variables
    return launched(best.words, variables, find, is_program, depth + 1)


def _script_at(words: list[str]) -> int | None:
    """The index of TEXT in ``[wrappers] sh -c TEXT``."""
    for i, word in enumerate(words[:8]):
        if _SHELL.fullmatch(word):
            for j in range(i + 1, min(i + 5, len(words) - 1)):
                if re.fullmatch(r"-[a-z]*c[a-z]*", words[j]):
                    return j + 1
                if not words[j].startswith("-"):
                    return None
    return None
