"""Flags and variables that are one slip away from one that the engine has.

The dialects list the options that matter here, not all that exist: an option that is not listed may be right. So only a
name is told that differs from a listed one by one letter more, less or other, or by two neighbours changed over; by two
such slips where the name is long and all names of the engine are known (``known_names``), or very long: of the flags of
llama.cpp and SGLang no two so long are so near but siblings (``min`` and ``max``, ``k`` and ``v``, sizes of models).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from doctor.checking.known_names import FLAGS, VARIABLES
from doctor.facts.config.settings import settings_of
from doctor.vocabulary.facts import Fact, Layer, Origin

if TYPE_CHECKING:
    from doctor.facts.config.argv import Command
    from doctor.facts.config.workload import Workload
    from doctor.facts.options import KnownOption

LEAST_LETTERS = 6
LEAST_FOR_TWO = 9
LEAST_FOR_TWO_UNKNOWN = 16
_OF_WHOM = re.compile(r"-+|LLAMA_ARG_|[A-Z]+_")
_SIBLINGS = {frozenset({"min", "max"})}


def misspelled(
    command: Command | None, workload: Workload | None, options: Sequence[KnownOption], engine: str | None = None
) -> Iterator[Fact]:
    """``deployment.unknown_flag`` and ``deployment.unknown_variable``, each with what was meant.

    ``deployment.unlisted_flag``: near to none, and not among the engine's, where all of these are known. It may be of
    a release that is newer than the list.
    """
    if command is not None:
        _found, unknown, _absent = settings_of(command, options, Origin("--command"))
        flags = {flag for option in options for flag in option.flags if flag.startswith("--")}
        real = FLAGS.get(engine or "", frozenset())
        for flag in unknown:
            meant = nearest(flag.replace("_", "-"), flags, real)
            if meant:
                origin = _at(flag, workload)
                yield Fact("deployment.unknown_flag", flag, origin)
                yield Fact("deployment.flag_meant", meant, origin)
                break
        else:
            plain = ((flag, flag.replace("_", "-")) for flag in unknown if real and flag.startswith("--"))
            unlisted = next(
                (flag for flag, name in plain if name not in real | flags and _opposite(name) not in real), None
            )
            if unlisted:
                yield Fact("deployment.unlisted_flag", unlisted, _at(unlisted, workload))
    names = {name for option in options for name in option.env}
    for variable in workload.variables if workload is not None else ():
        meant = nearest(variable.name, names, VARIABLES.get(engine or "", ()))
        if meant:
            origin = Origin(variable.path, variable.line, Layer.ENVIRONMENT)
            yield Fact("deployment.unknown_variable", variable.name, origin)
            yield Fact("deployment.variable_meant", meant, origin)
            break


def _opposite(flag: str) -> str:
    """``--no-mmap`` for ``--mmap``, and the reverse: the lists hold one of the two."""
    return flag.replace("--no-", "--", 1) if flag.startswith("--no-") else flag.replace("--", "--no-", 1)


def nearest(name: str, known: Collection[str], real: Collection[str] = ()) -> str | None:
    """The one known name that ``name`` was meant to be; None if it is known, or near to none or to several.

    Args:
        known: names that a dialect lists.
        real: all names of the engine, if they are known.
    """
    if name in known or name in real or len(name.strip("-")) < LEAST_LETTERS:
        return None
    near = [other for other in known if is_slip(name, other)]
    letters = len(_OF_WHOM.sub("", name, count=1))
    if not near and letters >= (LEAST_FOR_TWO if real else LEAST_FOR_TWO_UNKNOWN):
        near = [other for other in known if is_two_slips(name, other) and not _are_siblings(name, other)]
    return near[0] if len(near) == 1 else None


def _are_siblings(one: str, other: str) -> bool:
    """Whether two names differ in words that each make a name of its own."""
    pairs = zip(re.split("[-_]", one.lower()), re.split("[-_]", other.lower()), strict=False)
    return any(frozenset(pair) in _SIBLINGS for pair in pairs)


def is_two_slips(one: str, other: str) -> bool:
    """Whether two slips make one of the other: the first is mended in every way that brings the ends together."""
    if abs(len(one) - len(other)) > 2 or one[:4] != other[:4]:
        return False
    at = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    mended = {
        one[:at] + other[at : at + 1] + one[at + 1 :],
        one[:at] + one[at + 1 :],
        one[:at] + other[at : at + 1] + one[at:],
        one[:at] + one[at + 1 : at + 2] + one[at : at + 1] + one[at + 2 :],
    }
    return any(trial == other or is_slip(trial, other) for trial in mended)


def is_slip(one: str, other: str) -> bool:
    """Whether a single slip of the fingers makes one of the other."""
    if one == other or abs(len(one) - len(other)) > 1:
        return False
    start = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    left, right = one[start:], other[start:]
    if len(left) == len(right):
        return left[1:] == right[1:] or (left[:2] == right[1::-1] and left[2:] == right[2:])
    return left[1:] == right if len(left) > len(right) else left == right[1:]


def _at(flag: str, workload: Workload | None) -> Origin:
    if workload is None:
        return Origin("--command", None, Layer.COMMAND_LINE)
    places = (word.place for word in workload.words if word.place and word.text.split("=", 1)[0] == flag)
    place = next(places, None)
    origin = workload.command_at()
    return Origin(place.path if place else origin.path, place.line if place else origin.line, Layer.COMMAND_LINE)
