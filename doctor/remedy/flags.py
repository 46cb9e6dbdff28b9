"""Flags of a declared command line, changed in the file where they stand."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from doctor.facts.config.argv import Arg, Command
from doctor.facts.config.images import entrypoint
from doctor.facts.config.launchd import added_string
from doctor.facts.config.places import Place, Text, Word
from doctor.facts.config.workload import Workload
from doctor.facts.options import KnownOption
from doctor.remedy.edits import (
    CannotEditError,
    Edit,
    indentation,
    new_line,
    rewritten,
    scalar,
    shell_word,
    without_lines,
)
from doctor.remedy.keys import new_key
from doctor.remedy.options import is_switch, names_of, opposites_of, variables_for
from doctor.remedy.variables import named, set_variable, unset_variable

_BETWEEN = re.compile(r"(?:[\s,'\"-]|\\\n|</?string>)*")
_TRUTHS = frozenset({"on", "off", "auto", "0", "1", "true", "false"})


def occurrences(command: Command, names: set[str]) -> list[Arg]:
    same = {_spelled(name) for name in names}
    return [arg for arg in command.args if arg.flag and _spelled(arg.flag) in same]


def _spelled(flag: str) -> str:
    return flag.replace("_", "-") if flag.startswith("--") else flag


def width(arg: Arg, command: Command, names: set[str], options: Sequence[KnownOption]) -> int:
    """How many words an argument takes: the flag, and its value where that is a word of its own."""
    if arg.value is None or "=" in command.words[arg.position]:
        return 1
    mine = [option for option in options if names & set(option.flags)]
    if mine and all(is_switch(option) for option in mine):
        return 1
    if any(is_switch(option) for option in mine):  # `-fa` alone once, `-fa on` now
        return 2 if arg.value.lower() in _TRUTHS else 1
    return 2


def set_flag(
    workload: Workload, files: Mapping[str, Text], flag: str, value: str | None, options: Sequence[KnownOption]
) -> list[Edit]:
    """The edits that give a flag a value, where the flag or its variable stands, or else at the end of the line.

    Raises:
        CannotEditError: the files don't show where.
    """
    command = _command(workload)
    names = names_of(flag, options)
    found = occurrences(command, names)
    edits = [
        edit
        for arg in occurrences(command, opposites_of(flag, options) - names)
        for edit in _take_out(workload, command, arg, width(arg, command, names, options), files)
    ]
    if not found:
        if not flag.startswith("--") and not any(flag in option.flags for option in options):
            raise CannotEditError  # of another program: a worker, a container
        for variable in variables_for(flag, options):
            if named(workload.variables, variable):
                return [*edits, *set_variable(workload, files, variable, "1" if value is None else value)]
        return [*edits, *_append(workload, command, flag, value, files, options)]
    arg = found[-1]
    word = workload.words[arg.position]
    if value is None:
        return edits
    if "=" in word.text:
        start = word.text.index("=") + 1
        place = word.inside(start, len(word.text)) if word.inside else None
        if place is not None:
            return [*edits, rewritten(value, place, files[place.path].text)]
        return [*edits, _rewritten(word, f"{word.text[:start]}{value}", files)]
    if width(arg, command, names, options) == 2:
        return [*edits, _rewritten(workload.words[arg.position + 1], value, files)]
    return [*edits, *_behind(_place(word), [value], files, workload)]


def remove_flag(workload: Workload, files: Mapping[str, Text], flag: str, options: Sequence[KnownOption]) -> list[Edit]:
    """The edits that take out a flag with its value, or the variable that stands for it.

    Raises:
        CannotEditError: the files don't show where.
    """
    command = _command(workload)
    names = names_of(flag, options)
    found = occurrences(command, names)
    if not found:
        for variable in variables_for(flag, options):
            if named(workload.variables, variable):
                return unset_variable(workload, files, variable)
    return [
        edit for arg in found for edit in _take_out(workload, command, arg, width(arg, command, names, options), files)
    ]


def _command(workload: Workload) -> Command:
    command = workload.command()
    if command is None or len(command.words) != len(workload.words):
        raise CannotEditError
    return command


def _place(word: Word) -> Place:
    if word.place is None:
        raise CannotEditError
    return word.place


def _rewritten(word: Word, value: str, files: Mapping[str, Text]) -> Edit:
    place = _place(word)
    return rewritten(value, place, files[place.path].text)


def _append(
    workload: Workload,
    command: Command,
    flag: str,
    value: str | None,
    files: Mapping[str, Text],
    options: Sequence[KnownOption],
) -> list[Edit]:
    if workload.kind == "presets":  # a line below the section's head
        file = files[workload.path]
        head = len("".join(file.text.splitlines(keepends=True)[: workload.line - 1]))
        return [new_line(file, head, f"{flag.lstrip('-')} = {'true' if value is None else value}")]
    joined = (
        value is not None
        and flag.startswith("--")
        and any("=" in word for word in command.words[1:] if word[:2] == "--")
    )
    added = [f"{flag}={value}"] if joined else [flag] if value is None else [flag, value]
    if not any(word.place for word in workload.words):
        return _new_command(workload, added, flag, value, files, options)
    last = len(workload.words) - 1
    if _follows(workload.words, last, files):
        return _behind(_place(workload.words[last]), added, files, workload)
    first = next((arg.position for arg in command.args if arg.flag), None)
    if first is None or first == 0 or not _follows(workload.words, first, files):
        raise CannotEditError
    return _behind(_place(workload.words[first - 1]), added, files, workload)


def _follows(words: Sequence[Word], index: int, files: Mapping[str, Text]) -> bool:
    """Whether a word stands right behind the one before it, and not in a variable elsewhere."""
    place = words[index].place
    before = words[index - 1].place if index else None
    if place is None or (index and before is None and words[index - 1].inside is None and place.form == "text"):
        return place is not None and index > 0 and words[index - 1].place is None and _is_first(words, index)
    if before is None:
        return True
    text = files[place.path].text
    return before.path == place.path and bool(_BETWEEN.fullmatch(text, before.end, place.start))


def _is_first(words: Sequence[Word], index: int) -> bool:
    """Whether what stands in front of a word comes from the image alone."""
    return all(word.place is None for word in words[:index])


def _behind(place: Place, added: list[str], files: Mapping[str, Text], workload: Workload) -> list[Edit]:
    """Words put in behind a place, as its neighbours are written."""
    file = files[place.path]
    written = file.text[place.start : place.end]
    quote = written[:1] if written[:1] in {'"', "'"} else ""
    if workload.kind == "launchd":
        at, lines = added_string(file, place, added)
        return [Edit(place.path, at, at, lines)]
    if place.form == "flow":
        return [Edit(place.path, place.end, place.end, "".join(f", {scalar(word, quote)}" for word in added))]
    if place.form == "item":
        blanks = indentation(file.text, place.start)
        return [new_line(file, place.end, "\n".join(f"{blanks}- {scalar(word, quote)}" for word in added))]
    nested = workload.kind in {"compose", "kubernetes", "llama-swap"}
    return [Edit(place.path, place.end, place.end, "".join(f" {shell_word(word, inside=nested)}" for word in added))]


def _new_command(
    workload: Workload,
    added: list[str],
    flag: str,
    value: str | None,
    files: Mapping[str, Text],
    options: Sequence[KnownOption],
) -> list[Edit]:
    """A container that gives its image no arguments yet: a variable if there is one for it, else a new list."""
    if workload.node is None or not entrypoint(workload.image):
        raise CannotEditError
    if variables := variables_for(flag, options):
        return set_variable(workload, files, variables[0], "1" if value is None else value)
    key = "args" if workload.kind == "kubernetes" else "command"
    text = "[" + ", ".join(scalar(word, '"') for word in added) + "]"
    return [new_key(workload.node, files[workload.path], f"{key}: {text}")]


def _take_out(workload: Workload, command: Command, arg: Arg, count: int, files: Mapping[str, Text]) -> list[Edit]:
    places = [_place(word) for word in workload.words[arg.position : arg.position + count]]
    first, last = places[0], places[-1]
    file = files[first.path]
    if any(place.path != first.path or place.form != first.form for place in places):
        raise CannotEditError
    if workload.kind == "presets":
        return [without_lines(file, first.start, last.end)]
    if first.form == "item" or workload.kind == "launchd":
        return [without_lines(file, place.start, place.end) for place in places]
    if count > 1 and (last.start < first.end or not _BETWEEN.fullmatch(file.text, first.end, last.start)):
        raise CannotEditError  # the value stands elsewhere
    if first.form == "flow":
        before = re.compile(r",\s*$").search(file.text[: first.start])
        after = re.compile(r"\s*,\s*").match(file.text, last.end)
        start = before.start() if before else first.start
        return [Edit(first.path, start, after.end() if after and not before else last.end, "")]
    previous = workload.words[arg.position - 1].place if arg.position else None
    near = previous and previous.path == first.path
    if previous and near and re.fullmatch(r"(?:\s|\\\n)+", file.text[previous.end : first.start]):
        return [Edit(first.path, previous.end, last.end, "")]
    after = re.compile(r"[ \t]*").match(file.text, last.end)
    return [Edit(first.path, first.start, after.end() if after else last.end, "")]
