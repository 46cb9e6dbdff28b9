"""Variables of what is deployed, changed in the file where they stand."""

from __future__ import annotations

import re
from collections.abc import Mapping as Files
from collections.abc import Sequence
from contextlib import suppress
from html import escape

from doctor.facts.config.places import Place, Text
from doctor.facts.config.workload import EntryForm, Variable, Workload
from doctor.facts.config.wrappers import CONTAINER_TOOLS
from doctor.facts.config.yamltext import Items, Mapping
from doctor.remedy.edits import (
    CannotEditError,
    Edit,
    indentation,
    line_end,
    line_start,
    new_line,
    rewritten,
    scalar,
    shell_word,
    without_lines,
)
from doctor.remedy.keys import after_run, new_key

_SERVICE = re.compile(r"^\[(?:Service|Container)\][ \t]*$", re.M)


def named(variables: Sequence[Variable], name: str) -> Variable | None:
    """The variable of that name that counts."""
    return next((variable for variable in reversed(variables) if variable.name == name), None)


def set_variable(workload: Workload, files: Files[str, Text], name: str, value: str) -> list[Edit]:
    """The edits that give a variable a value: where it stands, else beside the others.

    Raises:
        CannotEditError: the files don't show where.
    """
    known = named(workload.variables, name)
    if known is None:
        return [_added(workload, files, name, value)]
    if known.place is not None:
        with suppress(CannotEditError):
            return [rewritten(value, known.place, files[known.place.path].text)]
    if known.entry is None or known.form not in {"unit", "shell", "line", "word"}:
        raise CannotEditError
    text = files[known.entry.path].text[known.entry.start : known.entry.end]
    before = re.match(r"(?:(?:-e|--env)(?:[ \t=]|\\\n)+|[ \t]*export[ \t]+)?", text)
    if known.form == "unit":
        made = _unit_word(name, value)
    elif known.form == "line":
        made = _line("line", "", name, value)
    else:
        made = f"{name}={shell_word(value)}"
    return [Edit(known.entry.path, known.entry.start, known.entry.end, f"{before[0] if before else ''}{made}")]


def unset_variable(workload: Workload, files: Files[str, Text], name: str) -> list[Edit]:
    """The edits that take a variable out wherever it is set.

    Raises:
        CannotEditError: the files don't show where.
    """
    found = [variable for variable in workload.variables if variable.name == name]
    return [_without(variable, workload, files) for variable in found]


def _added(workload: Workload, files: Files[str, Text], name: str, value: str) -> Edit:
    own = [variable for variable in workload.variables if variable.entry and variable.path == workload.path]
    others = [variable for variable in workload.variables if variable.entry and variable.form == "line"]
    beside = next(reversed(own or others), None)
    if beside is not None and beside.entry is not None:
        return _beside(beside, beside.entry, files[beside.entry.path], name, value)
    return _first(workload, files, name, value)


def _beside(known: Variable, entry: Place, file: Text, name: str, value: str) -> Edit:
    """A variable behind another one, written as that one is."""
    blanks = indentation(file.text, entry.start)
    written = file.text[entry.start : entry.end]
    if known.form == "word":
        word = shell_word(f"{name}={value}")
        return Edit(file.path, entry.end, entry.end, f" -e {word}" if written.startswith("-") else f" {word}")
    if known.form == "pair" and entry.form == "flow":
        return Edit(file.path, entry.end, entry.end, f", {name}: {scalar(value)}")
    if known.form == "item" and entry.form == "flow":
        quote = written[:1] if written[:1] in {'"', "'"} else ""
        return Edit(file.path, entry.end, entry.end, f", {scalar(f'{name}={value}', quote)}")
    if known.form == "entry" and not re.search(r"^[ \t]*-[ \t]", file.text[line_start(file.text, entry.start) :]):
        raise CannotEditError  # env: [{name: ...}] on one line
    return new_line(file, entry.end, _line(known.form, blanks, name, value))


def _line(form: EntryForm, blanks: str, name: str, value: str) -> str:
    """A line that sets a variable."""
    if form == "pair":
        return f"{blanks}{name}: {scalar(value)}"
    if form == "item":
        return f"{blanks}- {scalar(f'{name}={value}')}"
    if form == "entry":
        return f"{blanks}- name: {name}\n{blanks}  value: {scalar(value)}"
    if form == "plist":
        return f"{blanks}<key>{escape(name, quote=False)}</key>\n{blanks}<string>{escape(value, quote=False)}</string>"
    if form == "unit":
        return f"Environment={_unit_word(name, value)}"
    if form == "shell":
        return f"{blanks}export {name}={shell_word(value)}"
    if re.search(r"[\"\\$`\n]", value):
        raise CannotEditError
    return f"{name}={value}" if re.fullmatch(r"[^\s#']*", value) else f'{name}="{value}"'


def _first(workload: Workload, files: Files[str, Text], name: str, value: str) -> Edit:
    """The first variable that a program is given."""
    if workload.path not in files:
        raise CannotEditError
    file = files[workload.path]
    if workload.kind == "env":
        at = len(file.text)
        return Edit(file.path, at, at, f"{'' if file.text.endswith(chr(10)) or not at else chr(10)}{name}={value}\n")
    if workload.kind == "compose" and workload.node is not None:
        return new_key(workload.node, file, f"environment:\n  {name}: {scalar(value)}")
    if workload.kind == "kubernetes" and workload.node is not None:
        return new_key(workload.node, file, f"env:\n  - name: {name}\n    value: {scalar(value)}")
    if workload.kind == "systemd" and (section := _SERVICE.search(file.text)):
        return new_line(file, section.end(), f"Environment={_unit_word(name, value)}")
    if workload.kind == "script":
        if any(word.rsplit("/", 1)[-1] in CONTAINER_TOOLS for word in workload.texts[:8]):
            return after_run(workload, files, f"-e {shell_word(f'{name}={value}')}")
        place = next((word.place for word in workload.words if word.place), None)
        if place is not None and place.path == file.path:
            start = line_start(file.text, place.start)
            blanks = indentation(file.text, place.start)
            return Edit(file.path, start, start, f"{blanks}export {name}={shell_word(value)}\n")
    raise CannotEditError


def _unit_word(name: str, value: str) -> str:
    if re.search(r"['\"\\\n]", value):
        raise CannotEditError
    return f'"{name}={value}"' if re.search(r"\s", value) else f"{name}={value}"


def _without(known: Variable, workload: Workload, files: Files[str, Text]) -> Edit:
    if known.entry is None:
        raise CannotEditError
    file, entry = files[known.entry.path], known.entry
    text = file.text
    if known.form in {"pair", "item", "entry"} and (above := _only_child(workload, entry)):
        return without_lines(file, above, entry.end)
    if entry.form == "flow":
        before = re.search(r",\s*$", text[: entry.start])
        after = re.compile(r"\s*,\s*").match(text, entry.end)
        start = before.start() if before else entry.start
        return Edit(file.path, start, after.end() if after and not before else entry.end, "")
    line_before = text[line_start(text, entry.start) : entry.start]
    line_behind = text[entry.end : line_end(text, entry.end)]
    alone = re.fullmatch(r"[ \t]*Environment[ \t]*=[ \t]*", line_before) and not line_behind.strip()
    if known.form == "word" or (known.form == "unit" and not alone):
        if re.fullmatch(r"[ \t]*\\?", line_behind):
            blanks = re.search(r"(?:[ \t]|\\\n)+$", text[: entry.start])
            return Edit(file.path, blanks.start() if blanks else entry.start, entry.end, "")
        return Edit(file.path, entry.start, entry.end + len(line_behind) - len(line_behind.lstrip(" \t")), "")
    if known.form == "shell" and not (
        re.fullmatch(r"[ \t]*(?:export[ \t]+)?", line_before) and re.fullmatch(r"[ \t]*(?:#.*)?", line_behind)
    ):
        raise CannotEditError
    return without_lines(file, entry.start, entry.end)


def _only_child(workload: Workload, entry: Place) -> int | None:
    """Where the key begins whose only variable this is: an empty ``environment:`` is no mapping."""
    for key, node in workload.node.pairs if workload.node else []:
        if key.value in {"environment", "env"} and node.start <= entry.start < node.end:
            count = len(node.pairs) if isinstance(node, Mapping) else len(node.items) if isinstance(node, Items) else 0
            return key.start if count == 1 else None
    return None
