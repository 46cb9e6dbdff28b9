"""Command lines as text -> program, arguments and environment. Nothing is ever executed, and no shell reads them."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from doctor.facts.config.settings import settings_of
from doctor.facts.config.values import masked
from doctor.facts.config.wrappers import ASSIGNMENT, CONTAINER_TOOLS, WRAPPERS, skip_container, skip_wrapper

__all__ = ["Arg", "Command", "command_of", "find_command", "parse_arguments", "parse_command", "settings_of"]

_MAX_TEXT = 64 * 1024
_MAX_LINE = 16 * 1024
_MAX_DEPTH = 4
_PROMPT = re.compile(r"\s*(?:\[?[\w.-]+@[\w.-]+[^$#%>\n]{0,80}[$#%]|[$#+❯➜]|PS [^>\n]{0,200}>)\s+")
_OPERATORS = re.compile(r"[;&|<>\n]+")
_BUILTINS = frozenset(
    {"cd", "export", "source", ".", "set", "unset", "ulimit", "echo", "sleep", "mkdir", "true", "test", "[", "module"}
    | {"umask", "trap", "wait", "#", "#!/bin/bash", "#!/bin/sh", "if", "then", "fi", "do", "done", "while", "for"}
)
_SHELLS = frozenset({"sh", "bash", "zsh", "dash", "ash"})
_PYTHON = re.compile(r"(?:python[\d.]*|pypy[\d.]*)(?:\.exe)?")
_WINDOWS_PATH = re.compile(r"(?<!\w)(?:[A-Za-z]:|\.{1,2})\\[\w.]")
_NUMBER = re.compile(r"-\d+(?:\.\d+)?(?:[,:]-?\d+(?:\.\d+)?)*")
_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"")


@dataclass(frozen=True, slots=True)
class Arg:
    """One argument.

    Attributes:
        flag: ``--ctx-size``; empty for a word that belongs to no flag.
        value: its value, or the word itself. Whether a flag takes the next word is not known here: a word that does
            not look like a flag is taken as its value, and `settings_of` knows better.
        position: index of the flag (or word) in ``Command.words``.
    """

    flag: str
    value: str | None
    position: int


@dataclass(frozen=True, slots=True)
class Command:
    """A command line.

    Attributes:
        program: base name of what runs in the end, or the module of ``python -m``.
        path: the word as written (``./bin/llama-server``, ``python3``).
        args: its arguments, in order.
        env: variables assigned on the line (``A=1 prog``, ``env A=1``, ``docker run -e A=1``); secrets are masked.
        prefix: the words in front of ``path``: assignments, and wrappers with their options (secrets not masked).
        words: all words of the line.
    """

    program: str
    path: str
    args: list[Arg]
    env: dict[str, str] = field(default_factory=dict)
    prefix: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)

    def value(self, *flags: str) -> str | None:
        """The value of the last of these flags on the line."""
        return next((arg.value for arg in reversed(self.args) if arg.flag in flags), None)


def parse_command(text: str) -> Command | None:
    """Reads a command line as a shell would split it; of several commands, the first that is no shell builtin.

    Understands continued lines, a prompt in front, quotes, assignments, wrappers (``env``, ``sudo``, ``numactl``, ...),
    ``python -m``, ``sh -c`` and ``docker run``. ``None`` where no command is found.
    """
    return _parse(text, 0)


def command_of(words: Sequence[str]) -> Command | None:
    """A command line that is already split into words, with wrappers and assignments in front."""
    return _of_words(list(words))


def parse_arguments(text: str, program: str) -> Command:
    """Reads arguments that a log printed without the program: plain words, a Python or JSON list, a Go slice.

    Args:
        text: ``-c 8192 --port 80``, ``['--model', 'x']``, ``"--model", "x"``, ``[--model x --port 80]``.
        program: the program that they belong to.
    """
    words = [program, *_listed(text[:_MAX_TEXT])]
    return Command(program, program, list(_args(words, 1)), {}, [], words)


def find_command(line: str, programs: Sequence[str]) -> Command | None:
    """A command line of one of ``programs`` inside a log line, with what stands in front of it where that parses.

    Only when a flag follows the program's name within three words, so that a mere mention is none.
    """
    line = line[:_MAX_LINE]
    names = "|".join(re.escape(name) for name in sorted(programs, key=len, reverse=True))
    if not names:
        return None
    found = re.search(
        rf"""(?<![\w.-])(?:[\w.~+-]{{0,100}}/){{0,20}}(?P<name>{names})(?:\.exe)?(?=["']?[\s,\]])(?P<rest>.*)""", line
    )
    if not found or not re.match(r"""["']?,?(?:\s+["']?\w[\w./:-]*["']?,?){0,3}\s+["']?-""", found["rest"]):
        return None
    opening = max(line.rfind("[", 0, found.start()), line.rfind("(", 0, found.start()))
    if opening >= 0 and re.fullmatch(r"[\[(](?:\s*(?:'[^']*'|\"[^\"]*\"),)*\s*['\"]", line[opening : found.start()]):
        return _of_words(_listed(line[opening:]))
    quote = line[found.start() - 1] if found.start() else ""
    body = found.group()
    if quote in {'"', "'"} and (end := line.find(quote, found.start())) > 0:
        body = line[found.start() : end]
    elif quote not in {'"', "'"}:
        for start in _starts(line, found.start()):
            command = _parse(line[start:], 0)
            if command is not None and command.program == found["name"]:
                return command
    return _parse(body, 0)


def _starts(line: str, end: int) -> Iterator[int]:
    """Where a command line may begin before ``end``: after a prompt, a colon or a word that no wrapper would be."""
    begin = max(0, end - 600)
    marks = re.finditer(r"(?:^|(?<=[:$#+>=\]]) |(?<=[=:]))(?=\S)", line[begin:end])
    yield from [begin + mark.end() for mark in marks][-20:]


def _parse(text: str, depth: int) -> Command | None:
    text = re.sub(r"\\\r?\n", " ", text[:_MAX_TEXT]).strip()
    if "\n" not in text:
        text = text[prompt.end() :] if (prompt := _PROMPT.match(text)) else text
    env: dict[str, str] = {}
    for words in _commands(text):
        if words[0] == "export" or all(ASSIGNMENT.fullmatch(word) for word in words):
            for word in words:
                if assigned := ASSIGNMENT.fullmatch(word):
                    env[assigned["name"]] = masked(assigned["name"], assigned["value"])
        elif words[0] in _BUILTINS or words[:2] == ["conda", "activate"]:
            continue
        elif (command := _of_words(words, depth, env)) is not None:
            return command
    return None


def _commands(text: str) -> Iterator[list[str]]:
    """The simple commands of a text, without redirections."""
    words: list[str] = []
    redirected = False
    for word in _split(text):
        if redirected:
            redirected = False
        elif not _OPERATORS.fullmatch(word):
            words += [] if not words and word in {"$", "+"} else [word]
        elif "<" in word or ">" in word:
            redirected = True
            if words and words[-1] in {"1", "2"}:
                words.pop()
        else:
            if words:
                yield words
            words = []
    if words:
        yield words


def _split(text: str) -> list[str]:
    lexer = shlex.shlex(text, posix=True, punctuation_chars=";&|<>\n")
    lexer.whitespace = " \t\r"
    lexer.whitespace_split = True
    lexer.commenters = ""
    if _WINDOWS_PATH.search(text):
        lexer.escape = ""
    try:
        return list(lexer)
    except ValueError:  # an open quote: what a log cut off, or a Windows path
        return text.split()


def _of_words(words: list[str], depth: int = 0, given: dict[str, str] | None = None) -> Command | None:
    env = dict(given or {})
    i, entry = 0, ""
    while i < len(words) and not entry:
        assigned = ASSIGNMENT.fullmatch(words[i])
        name = _base(words[i])
        if assigned:
            env[assigned["name"]] = masked(assigned["name"], assigned["value"])
            i += 1
        elif name in WRAPPERS and i + 1 < len(words):
            i = skip_wrapper(words, i, name, env)
        elif name in CONTAINER_TOOLS:
            found = skip_container(words, i, env)
            if found is None:
                break
            i, entry = found
        elif name in _SHELLS and depth < _MAX_DEPTH and (script := _script(words, i)) is not None:
            inner = _parse(script, depth + 1)
            return inner and Command(inner.program, inner.path, inner.args, env | inner.env, inner.prefix, inner.words)
        else:
            break
    if entry:
        return Command(_base(entry), entry, list(_args(words, i)), env, words[:i], words)
    if i >= len(words) or not re.search(r"\w", words[i]):
        return None
    program, path, after = _program(words, i)
    return Command(program, path, list(_args(words, after)), env, words[:i], words)


def _program(words: list[str], i: int) -> tuple[str, str, int]:
    """Name and path of the program at ``i`` and the index of its first argument; looks behind an interpreter."""
    path, name = words[i], _base(words[i])
    j = i + 1
    while _PYTHON.fullmatch(name) and j < len(words):
        if words[j] == "-m" and j + 1 < len(words):
            return words[j + 1], path, j + 2
        if not words[j].startswith("-"):
            return _base(words[j]), path, j + 1
        if words[j] in {"-c", "-"}:
            break
        j += 2 if words[j] in {"-X", "-W"} else 1
    return name, path, i + 1


def _script(words: list[str], i: int) -> str | None:
    """The text of ``sh -c TEXT``."""
    for j in range(i + 1, min(i + 4, len(words) - 1)):
        if re.fullmatch(r"-[a-z]*c", words[j]):
            return words[j + 1]
        if not words[j].startswith("-"):
            break
    return None


def _base(word: str) -> str:
    name = re.split(r"[/\\]", word.rstrip("/\\"))[-1]
    return name[:-4] if name.lower().endswith(".exe") else name


def _looks_like_flag(word: str) -> bool:
    return len(word) > 1 and word[0] == "-" and not _NUMBER.fullmatch(word) and not word[1].isspace()


def _args(words: list[str], start: int) -> Iterator[Arg]:
    i = start
    while i < len(words):
        word = words[i]
        if not _looks_like_flag(word):
            yield Arg("", word, i)
        elif "=" in word:
            flag, value = word.split("=", 1)
            yield Arg(flag, value, i)
        elif i + 1 < len(words) and not _looks_like_flag(words[i + 1]):
            yield Arg(word, words[i + 1], i)
            i += 1
        else:
            yield Arg(word, None, i)
        i += 1


def _listed(text: str) -> list[str]:
    """The words of a printed argument list."""
    text = text.strip()
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        data = None
    if isinstance(data, list):
        return [str(item) for item in data]
    inner = text.lstrip("[(").rstrip("])") if text[:1] in {"[", "("} else text
    if re.match(rf"(?:{_QUOTED.pattern})\s*(?:,|$|[\])])", inner):
        words = []
        for part in re.finditer(rf"{_QUOTED.pattern}|(?P<bare>[^,\s\])'\"]+)|(?P<end>[\])])", inner):
            if part["end"]:
                break
            words.append(part["bare"] or re.sub(r"\\(.)", r"\1", part[1] if part[1] is not None else part[2]))
        return words
    lexer = shlex.shlex(inner, posix=True)
    # no shell was there: only quotes and blanks have a meaning
    lexer.whitespace_split, lexer.commenters, lexer.escape = True, "", ""
    try:
        return [word.rstrip(",") if word.endswith(",") else word for word in lexer]
    except ValueError:
        return inner.split()
