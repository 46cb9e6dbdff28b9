"""Environment files: ``.env``, ``/etc/default/*``, ``export K=V``, systemd's ``Environment=``, ``printenv``, environ.

Who reads such a file decides what its quotes mean: ``A="1" # x`` is ``1`` for a shell and for Compose, ``1 # x`` for
systemd, and ``"1" # x`` for ``docker run --env-file``. ``${OTHER}`` is kept as written: nothing is expanded.

Sources: systemd.exec(5), EnvironmentFile=; docs.docker.com/compose/how-tos/environment-variables/variable-interpolation
(env file syntax); docker/cli, opts/file.go.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from doctor.facts.config.settings import settings_of_variables
from doctor.facts.config.values import OptionLike, is_secret, masked
from doctor.vocabulary.facts import Fact, Layer, Origin

Quoting = Literal["dotenv", "systemd", "docker"]
"""Who reads the file: a shell or Compose, systemd's ``EnvironmentFile=``, or ``docker run --env-file``."""

_MAX_TEXT = 1024 * 1024
_MAX_VALUE = 16 * 1024
_ASSIGN = re.compile(
    r"\s*(?:export\s+|declare\s+-\w+\s+|set\s+(?P<quote>\")?|\$env:)?(?P<name>[A-Za-z_][A-Za-z0-9_.-]*)"
    r"[ \t]*=(?P<value>.*)",
    re.DOTALL,
)
_UNIT_LINE = re.compile(r"\s*Environment\s*=(?P<rest>.*)")
_UNIT = re.compile(r"^\[(?:Unit|Service|Install|Container)\]\s*$", re.MULTILINE)
# compose and Kubernetes files, JSON, Dockerfiles and Modelfiles declare nothing in this form
_OTHER = re.compile(
    r"^(?:services|version|apiVersion|kind|x-[\w-]+|spec|metadata|name):(?:\s|$)|^FROM \S|\A\s*[{\[]", re.MULTILINE
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\", "$": "$", "`": "`"}


@dataclass(frozen=True, slots=True)
class EnvValue:
    """A variable's value (masked where it is a secret) and the line where it is set."""

    name: str
    value: str
    line: int


@dataclass(slots=True)
class EnvFile:
    """The variables of a file; of one that is set twice, the last counts, as in a shell."""

    path: str
    values: dict[str, EnvValue] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def read_env(text: str, path: str, quoting: Quoting = "dotenv") -> EnvFile:
    """Reads an environment file or the ``Environment=`` lines of a systemd unit.

    Of YAML (compose, Kubernetes) and of JSON nothing is read here. Never raises; a line that is no assignment becomes a
    problem with its number.
    """
    env = EnvFile(path)
    text = text[:_MAX_TEXT].removeprefix("\ufeff")
    if "\0" in text:
        for item in text.split("\0"):
            if found := _ASSIGN.fullmatch(item):
                _put(env, found["name"], found["value"], 1)
        return env
    if quoting == "docker":
        _read_verbatim(env, text.split("\n"))
    elif quoting == "systemd":
        _read_for_systemd(env, text.split("\n"))
    elif _UNIT.search(text):
        _read_unit(env, text)
    elif not _OTHER.search(text):
        _read_lines(env, text.split("\n"))
    return env


def settings_of_env(env: EnvFile, options: Sequence[OptionLike], layer: Layer = Layer.ENVIRONMENT) -> list[Fact]:
    """``env.NAME`` of every variable, and the settings that the options' variables give."""
    values = [(value.name, value.value, Origin(env.path, value.line, layer)) for value in env.values.values()]
    facts = [Fact(f"env.{name}", text, origin) for name, text, origin in values]
    return facts + list(settings_of_variables(iter(values), options))


def unit_assignments(text: str) -> Iterator[tuple[str, str]]:
    """``"A=1" B=2 'C=x y'`` as systemd splits the value of ``Environment=``."""
    for item in re.finditer(
        r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|(?:\\.|[^\s"'\\])(?:\\.|"(?:[^"\\]|\\.)*"|[^\s\\"])*)""", text
    ):
        name, equals, value = unescaped(item[1]).partition("=")
        if equals and re.fullmatch(r"[A-Za-z_]\w*", name):
            yield name, value.strip('"') if value[:1] == value[-1:] == '"' else value


def unescaped(word: str) -> str:
    """A word of a unit without the quotes around it and with its escapes done."""
    if word[:1] in {'"', "'"} and word[-1] == word[0] and len(word) > 1:
        word = word[1:-1]
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), word)


def _read_verbatim(env: EnvFile, lines: list[str]) -> None:
    """As docker does: what stands behind the ``=`` is the value, quotes and all."""
    for number, line in enumerate(lines, 1):
        name, equals, value = line.lstrip().removesuffix("\r").partition("=")
        if not equals or name.startswith("#"):
            continue  # a name alone is passed through
        if re.search(r"\s", name) or not name:
            env.problems.append(f"line {number}: docker takes no blanks before the = of a variable: {_shown(name)}")
            continue
        _put(env, name, value, number)
        if re.fullmatch(r"([\"']).+\1", value):
            env.problems.append(f"line {number}: docker keeps the quotes of {name} as a part of its value")


def _read_for_systemd(env: EnvFile, lines: list[str]) -> None:
    """As systemd does: a comment is a line of its own, and ``export`` is no word that it knows."""
    i = 0
    while i < len(lines):
        number, text = i + 1, lines[i].strip()
        i += 1
        if not text or text[0] in "#;":
            continue
        while text.endswith("\\") and i < len(lines):
            text = text[:-1] + lines[i].strip()
            i += 1
        name, equals, raw = text.partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z_]\w*", name.strip()):
            env.problems.append(f"line {number}: systemd ignores what is not NAME=VALUE: {_shown(text)}")
            continue
        value, closed = raw.strip(), True
        if value[:1] in {'"', "'"}:
            value, closed = _value(raw)
            while not closed and i < len(lines) and i - number < 40:
                value, closed = _value(f"{raw}\n{chr(10).join(lines[number : i + 1])}")
                i += 1
            if not closed:
                env.problems.append(f"line {number}: the quote of {name} is not closed")
                value, i = _value(raw)[0], number
        else:
            value = re.sub(r"\\(.)", r"\1", value)
        _put(env, name.strip(), value, number)


def _put(env: EnvFile, name: str, value: str, line: int) -> None:
    env.values.pop(name, None)
    env.values[name] = EnvValue(name, masked(name, value[:_MAX_VALUE]), line)


def _read_unit(env: EnvFile, text: str) -> None:
    lines = text.split("\n")
    for i, line in enumerate(lines):
        found = _UNIT_LINE.fullmatch(line.rstrip("\r"))
        if not found:
            continue
        rest, j = found["rest"], i
        while rest.endswith("\\") and j + 1 < len(lines):
            j += 1
            rest = rest[:-1] + " " + lines[j].strip()
        pairs = list(unit_assignments(rest))
        for name, value in pairs:
            _put(env, name, value, i + 1)
        if not rest.strip():
            env.values.clear()  # an empty assignment takes back all that was set before
        elif not pairs:
            env.problems.append(f"line {i + 1}: no NAME=VALUE in this Environment=")


def _read_lines(env: EnvFile, lines: list[str]) -> None:
    i = 0
    while i < len(lines):
        line, number = lines[i].rstrip("\r"), i + 1
        i += 1
        text = line.strip()
        if not text or text.startswith(("#", ";", "//", "REM ", "@echo")):
            continue
        if unit := _UNIT_LINE.fullmatch(line):
            for name, value in unit_assignments(unit["rest"]):
                _put(env, name, value, number)
            continue
        found = _ASSIGN.fullmatch(line)
        if not found:
            env.problems.append(f"line {number}: not NAME=VALUE: {_shown(text)}")
            continue
        raw = found["value"].rstrip().removesuffix('"') if found["quote"] else found["value"]
        value, closed = _value(raw)
        while not closed and i < len(lines) and i - number < 40:  # a quoted value may go on over several lines
            value, closed = _value(f"{raw}\n{chr(10).join(lines[number : i + 1])}")
            i += 1
        if not closed:
            env.problems.append(f"line {number}: the quote of {found['name']} is not closed")
            value, i = _value(raw)[0], number
        _put(env, found["name"], value, number)


def _shown(text: str) -> str:
    """The start of a line for a message, without what may be a secret."""
    name = re.split(r"[=:\s]", text, maxsplit=1)[0]
    return f"{name[:40]} ..." if is_secret(name) or len(text) > 60 else masked("", text)


def _value(text: str) -> tuple[str, bool]:
    """The value after the ``=``, and whether its quotes are closed."""
    text = text.strip()
    if text.startswith("$'"):
        text = text[1:]
    if text[:1] == "'":
        end = text.find("'", 1)
        return (text[1:end], True) if end > 0 else (text[1:], False)
    if text[:1] == '"':
        found = re.match(r'"((?:[^"\\]|\\.)*)"', text, re.DOTALL)
        inner = found[1] if found else text[1:]
        return re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[0]), inner, flags=re.DOTALL), found is not None
    return re.split(r"\s#", text, maxsplit=1)[0].rstrip(), True
