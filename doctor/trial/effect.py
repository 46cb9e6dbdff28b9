"""Whether a change is really in effect: by what the engine printed that it uses, never by what it was told."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from doctor.trial.compare import Effect, Judged

if TYPE_CHECKING:
    from doctor.facts.options import KnownOption

_EFFECTIVE = "(effective)"
_RPC_BUFFER = re.compile(rb"\bRPC\S*(?:\[[^\]\n]{1,200}\])?[^\n]{0,80} buffer size =")
_MOST_LOG = 16 * 1024 * 1024
_SAME: Mapping[str, tuple[str, ...]] = {
    "setting.load_mode": ("setting.mmap", "setting.mlock"),
    "setting.context": ("setting.slot_context",),
}
"""Settings in which another one shows."""


def effect_of(
    actions: Iterable[Mapping[str, Any]],
    before: Sequence[Judged],
    after: Sequence[Judged],
    options: Sequence[KnownOption],
) -> Effect:
    """The effect of a remedy's actions in the trials after it.

    ``missing`` when the engine printed that it uses something else than what was set, or the same as before; ``seen``
    when it printed the change; ``not_seen`` when it printed nothing of it.
    """
    wanted = [pair for action in actions for pair in _settings(action, options)]
    return _seen(wanted, before, after)


def effect_of_difference(before: Sequence[Judged], after: Sequence[Judged]) -> Effect:
    """The same for a setup that was given: of the settings that it declares otherwise."""
    old, new = _declared(before), _declared(after)
    return _seen([(name, value) for name, value in new.items() if old.get(name) != value], before, after)


def _declared(trials: Sequence[Judged]) -> dict[str, Any]:
    entries = [entry for each in trials for entry in each.document.settings]
    return {f"setting.{entry.name}": entry.declared for entry in entries if entry.declared is not None}


def _seen(wanted: Iterable[tuple[str, Any]], before: Sequence[Judged], after: Sequence[Judged]) -> Effect:
    found = [_of_setting(setting, value, before, after) for setting, value in wanted]
    return _together([*found, *(effect for effect in (rpc_effect(after),) if effect is not None)])


def _together(found: Sequence[Effect]) -> Effect:
    for state in ("missing", "seen"):
        told = [effect.text for effect in found if effect.state == state]
        if told:
            return Effect(state, "; ".join(dict.fromkeys(told)))
    return Effect("not_seen", "the engine prints nothing of it")


def _settings(action: Mapping[str, Any], options: Sequence[KnownOption]) -> list[tuple[str, Any]]:
    """The canonical settings that an action changes, and the value that each should have; None: whatever it was not."""
    from doctor.facts.config.values import option_value

    kind = action.get("kind")
    if kind in {"set_flag", "remove_flag"}:
        named = [option for option in options if action.get("flag") in option.flags]
    elif kind in {"set_env", "unset_env"}:
        named = [option for option in options if action.get("variable") in option.env]
    else:
        return []
    if not named:
        return []
    option = named[0]
    if kind in {"remove_flag", "unset_env"}:
        return [(option.setting, None)]
    if option.type.startswith("switch"):
        return [(option.setting, option.type == "switch_on")]
    return [(option.setting, option_value(str(action.get("value", "")), option.type))]


def _of_setting(setting: str, wanted: Any, before: Sequence[Judged], after: Sequence[Judged]) -> Effect:
    for name in (setting, *_SAME.get(setting, ())):
        new, old = _printed(name, after), _printed(name, before)
        if new is None:
            continue
        short = name.removeprefix("setting.")
        if name == setting and wanted is not None and _equal(new, wanted):
            return Effect("seen", f"{short} = {_plain(new)}")
        if old is not None and _equal(new, old):
            return Effect("missing", f"the engine says {short} = {_plain(new)}, as before")
        if name == setting and wanted is not None and old is None and not _more(new, wanted):
            return Effect("missing", f"the engine says {short} = {_plain(new)}, not {_plain(wanted)}")
        was = f", before {_plain(old)}" if old is not None else ""
        return Effect("seen", f"{short} = {_plain(new)}{was}")
    return Effect("not_seen")


def _printed(setting: str, trials: Sequence[Judged]) -> Any:
    """The value that the engine printed in the last of the trials' runs that has it; None: in none."""
    for each in reversed(trials):
        for run in reversed(each.document.runs):
            if setting in run.facts and _EFFECTIVE in run.origins.get(setting, ""):
                return run.facts[setting]
    return None


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return str(one).lower() in {str(other).lower(), {True: "on", False: "off"}.get(other, "")}
    return str(one).lower() == str(other).lower()


def _more(new: Any, wanted: Any) -> bool:
    """Whether a size was only rounded up, as contexts are."""
    return all(isinstance(each, int) and not isinstance(each, bool) for each in (new, wanted)) and new >= wanted


def _plain(value: Any) -> str:
    return "on" if value is True else "off" if value is False else str(value)


def rpc_effect(after: Sequence[Judged]) -> Effect | None:
    """Of a setup with RPC workers that worked: whether anything lies on them. None: it has none.

    llama-cpp-python passes over ``rpc_servers`` in silence, and an engine built without RPC may do the same: everything
    then runs on the local CPU, and a failure of the worker is gone for the wrong reason.
    """
    for each in after:
        command = each.trial.setup.command
        servers = command.value("--rpc", "-rpc") if command is not None else None
        if not servers or not each.trial.is_through or command is None:
            continue
        if command.value("-ngl", "--gpu-layers", "--n-gpu-layers") == "0":
            continue
        try:
            with each.trial.log.open("rb") as log:
                lies = _RPC_BUFFER.search(log.read(_MOST_LOG))
        except OSError:
            lies = None
        if lies is None:
            return Effect("missing", f"no buffer lies on {servers}: everything ran on this machine")
        return Effect("seen", f"buffers lie on {servers}")
    return None
