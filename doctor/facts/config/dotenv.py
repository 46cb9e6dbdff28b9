"""The variables of an environment file with their places in it."""

from __future__ import annotations

import re

from doctor.facts.config.env import Quoting, read_env
from doctor.facts.config.places import Text
from doctor.facts.config.workload import Trouble, Variable

_ASSIGNED = re.compile(
    r"[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][\w.-]*)[ \t]*(?P<equals>=)[ \t]*"
    r"(?:(?P<quote>[\"'])(?P<quoted>(?:\\.|(?!(?P=quote))[^\\]){0,16384})(?P=quote)[^\n]*"
    r"|(?P<plain>(?:(?![ \t]#|[ \t]*$).)*)[^\n]*)",
    re.M | re.S,
)


def variables_of(file: Text, quoting: Quoting = "dotenv", troubles: list[Trouble] | None = None) -> list[Variable]:
    """The variables of ``.env``, ``/etc/default/x`` or an ``env_file``, as they count for who reads it.

    The place of a value is without its quotes. A value with escapes in it has none, nor has a secret.
    """
    env = read_env(file.text, file.path, quoting)
    if troubles is not None:
        found_troubles = [trouble_of(problem, file.path) for problem in env.problems]
        troubles += [trouble for trouble in found_troubles if trouble not in troubles]  # several services may share it
    starts = [0, *(found.end() for found in re.finditer("\n", file.text))]
    variables = []
    for value in env.values.values():
        begin = starts[value.line - 1] if 0 < value.line <= len(starts) else len(file.text)
        found = _ASSIGNED.match(file.text, begin)
        place = entry = inside = None
        if found and found["name"] == value.name:
            line_end = len(file.text[: found.end()].rstrip(" \t\r"))
            spans = [found.span("quoted"), found.span("plain"), (found.end("equals"), line_end)]
            for start, end in spans:
                if start >= 0 and file.text[start:end] == value.value:
                    place, inside = file.place(start, end), file.locator(value.value, start, end)
                    break
            else:
                if found["quote"]:
                    inside = file.locator(value.value, *found.span("quoted"))
            entry = file.place(begin, found.end())
        variables.append(Variable(value.name, value.value, file.path, value.line, "line", place, entry, inside))
    return variables


def trouble_of(problem: str, path: str) -> Trouble:
    """``line 3: what is wrong`` of an environment file."""
    number, _, message = problem.partition(": ")
    return Trouble(path, int(number.removeprefix("line ")), message)
