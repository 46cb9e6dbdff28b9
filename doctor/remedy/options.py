"""What the flags of an engine mean for a remedy: their other spellings, their opposites, their variables."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from doctor.facts.options import KnownOption


def as_spelled(action: dict[str, Any], options: Sequence[KnownOption], known: Collection[str] = ()) -> dict[str, Any]:
    """A flag as this engine's version has it.

    Where the flag is a switch, one with a value is the switch alone, or its opposite, or none. Where another flag has
    taken its place (``--load-mode none`` for ``--no-mmap``), that one.

    Args:
        options: of the engine's version, those of the nearest dialect first.
        known: settings that the engine has printed.
    """
    option = next((option for option in options if action.get("flag") in option.flags), None)
    if option is not None and option.instead is not None and option.instead["where"] in known:
        if action["kind"] not in {"set_flag", "remove_flag"}:
            return action
        return {**action, "kind": "set_flag", "flag": option.instead["flag"], "value": option.instead[action["kind"]]}
    value = action.get("value")
    if action["kind"] != "set_flag" or option is None or not is_switch(option) or value is None:
        return action
    spelled = {key: part for key, part in action.items() if key != "value"}
    if value.lower() in {"on", "1", "true"}:
        return spelled
    opposites = sorted(opposites_of(action["flag"], options), key=len, reverse=True)
    return spelled | ({"flag": opposites[0]} if opposites else {"kind": "remove_flag"})


def names_of(flag: str, options: Sequence[KnownOption]) -> set[str]:
    """All spellings of a flag of the same setting (``-c``, ``--ctx-size``); of a switch, of the same sense."""
    names = {flag}
    for option in options:
        if flag in option.flags:
            switch = is_switch(option)
            names.update(name for name in option.flags if not switch or _negated(name) == _negated(flag))
    return names


def is_switch(option: KnownOption) -> bool:
    return option.type.startswith("switch")


def _negated(flag: str) -> bool:
    return flag.startswith("--no-") or (flag.startswith("-no") and not flag.startswith("--"))


def opposites_of(flag: str, options: Sequence[KnownOption]) -> set[str]:
    """The flags that switch the other way."""
    mine = [option for option in options if flag in option.flags and is_switch(option)]
    return {
        name
        for option in options
        if any(option.setting == other.setting and option.type != other.type for other in mine) and is_switch(option)
        for name in option.flags
    }


def variables_for(flag: str, options: Sequence[KnownOption]) -> list[str]:
    """The variables that stand for a flag."""
    return [name for option in options if flag in option.flags for name in option.env]
