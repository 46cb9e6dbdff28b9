"""Flags and variables -> canonical settings, by the options that a dialect lists."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from doctor.facts.config.values import SWITCHES, OptionLike, is_secret, option_value, truth
from doctor.facts.config.wrappers import WRAPPERS
from doctor.vocabulary.facts import Fact, Layer, Origin

if TYPE_CHECKING:
    from doctor.facts.config.argv import Command

_PREFIX_FACTS = {"numactl": "setting.numactl", "taskset": "setting.taskset"}


def settings_of(
    command: Command,
    options: Sequence[OptionLike],
    origin: Origin,
    written: Callable[[int], Origin | None] = lambda _: None,
) -> tuple[list[Fact], list[str], set[str]]:
    """The settings that a command line gives.

    Args:
        command: the parsed command line.
        options: those of its engine; where two name the same flag or setting, the first one's words count.
        origin: of the line; the facts carry it with the layer ``command line`` (``environment`` for assignments).
        written: where a word of the line stands, by its index, if it is known better.

    Returns:
        The facts; the flags that no option names; and the settings that are known to be absent: they have a flag, none
        of them is on the line (nor their variable), and the engine has no default for them.
    """
    by_flag: dict[str, list[OptionLike]] = {}
    for option in options:
        for flag in option.flags:
            by_flag.setdefault(_spelled(flag), []).append(option)
    on_line = replace(origin, layer=Layer.COMMAND_LINE)
    facts: dict[str, Fact] = {}
    unknown: list[str] = []
    given: set[str] = set()
    for flag, value, known, position in _flags(command, by_flag):
        candidates = by_flag.get(known, [])
        if not candidates:
            unknown.append(flag)
            continue
        option = _fitting(candidates, value)
        given.add(option.setting)
        found = option_value(value, option.type)
        if known != _spelled(flag):  # --no-X of a switch X
            found = False if isinstance(found, bool) or option.type in SWITCHES else found
        if option.type == "list" and isinstance(found, list) and option.setting in facts:
            found = [*facts[option.setting].value, *found]
        if found is not None:
            at = replace(written(position) or origin, layer=Layer.COMMAND_LINE)
            facts[option.setting] = Fact(option.setting, _as_declared(option.setting, found), at)
    result = [*_of_assignments(command, options, origin), *facts.values(), *_of_prefix(command, on_line)]
    given |= {fact.name for fact in result}
    with_default = {option.setting for option in options if option.default is not None}
    absent = {option.setting for option in options if option.flags} - given - with_default
    return result, unknown, absent


def settings_of_variables(values: Iterator[tuple[str, str, Origin]], options: Sequence[OptionLike]) -> Iterator[Fact]:
    """The settings that variables (name, value, origin) give. A switch counts when its value is true."""
    by_name: dict[str, list[OptionLike]] = {}
    for option in options:
        for name in option.env:
            by_name.setdefault(name, []).append(option)
    for name, value, origin in values:
        seen: set[str] = set()
        for option in by_name.get(name, []):
            if option.setting in seen:
                continue
            seen.add(option.setting)
            if option.type in SWITCHES and truth(value) is not True:
                continue
            found = option_value(value, option.type)
            yield Fact(option.setting, _as_declared(option.setting, found), origin)


def _of_assignments(command: Command, options: Sequence[OptionLike], origin: Origin) -> list[Fact]:
    at = replace(origin, layer=Layer.ENVIRONMENT)
    return list(settings_of_variables(((name, value, at) for name, value in command.env.items()), options))


def _of_prefix(command: Command, origin: Origin) -> Iterator[Fact]:
    """The arguments of a numactl or taskset in front of the program."""
    setting, own = "", list[str]()
    for word in [*command.prefix, "python"]:
        name = word.rsplit("/", 1)[-1]
        if name in WRAPPERS or name.startswith("python"):
            if own:
                yield Fact(setting, " ".join(own), origin)
            setting, own = _PREFIX_FACTS.get(name, ""), []
        elif setting:
            own.append(word)


def _spelled(flag: str) -> str:
    """Long flags may be written with ``_`` for ``-``: vLLM and llama.cpp take both."""
    return flag.replace("_", "-") if flag.startswith("--") else flag


def _flags(command: Command, by_flag: dict[str, list[OptionLike]]) -> Iterator[tuple[str, str | None, str, int]]:
    """Flag as written, value, the spelling under which ``by_flag`` may have it, and the value's index in the line.

    A word that is no flag may be listed as one too (``serve`` of ``vllm serve MODEL``); the next word that belongs to
    no flag is its value.
    """
    waiting: str | None = None
    for arg in command.args:
        value, known = arg.value, _spelled(arg.flag)
        if arg.flag:
            if known not in by_flag and known.startswith("--no-") and _is_switch(by_flag.get(f"--{known[5:]}", [])):
                known = f"--{known[5:]}"
            behind = value is not None and command.words[arg.position] == arg.flag  # a word of its own
            # the word after a switch is none of it; of a secret only whether it is given is kept, yet it takes a word
            switch = _is_switch(by_flag.get(known, [])) and not is_secret(known.replace("-", "_"))
            loose = value if behind and switch and truth(value or "") is None else None
            apart = loose is None and behind
            yield arg.flag, None if loose is not None else value, known, arg.position + apart
        else:
            loose = value
        if loose is None:
            continue
        if waiting is not None:
            yield waiting, loose, waiting, arg.position
            waiting = None
        elif loose in by_flag:
            waiting = loose


def _is_switch(options: list[OptionLike]) -> bool:
    return bool(options) and all(option.type == "bool" or option.type in SWITCHES for option in options)


def _fitting(candidates: list[OptionLike], value: str | None) -> OptionLike:
    """Of the options of one flag (it changed from a switch to one with a value), the one that fits the writing."""
    same = [option for option in candidates if option.setting == candidates[0].setting]
    switches = [option for option in same if option.type in SWITCHES]
    valued = [option for option in same if option.type not in SWITCHES]
    if switches and valued:
        return valued[0] if value is not None and value.lower() in {"on", "off", "auto", "0", "1"} else switches[0]
    return same[0]


@cache
def _types() -> dict[str, str]:
    from doctor.facts.catalogue import load_catalogue

    return {name: entry["type"] for name, entry in load_catalogue().scalars.items()}


def _as_declared(setting: str, value: Any) -> Any:
    """A switch for a setting that is a word in the catalogue (flash attention: on, off, auto) gives that word."""
    if isinstance(value, bool) and _types().get(setting) == "str":
        return "on" if value else "off"
    return value
