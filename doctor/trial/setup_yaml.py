"""Setups as YAML and JSON hold them, and back: every key, type and size of what comes from outside is checked."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

from doctor.errors import UsageProblem
from doctor.facts.config.wrappers import ASSIGNMENT
from doctor.trial.setup import Beside, Setup, address_of
from doctor.units import parse_size

MAX_YAML = 256 * 1024
_MOST_BESIDE = 16


def read_setup(path: str | Path) -> tuple[Setup, dict[str, Any]]:
    """A setup from a YAML file, and what it says of the trial (``workload``, ``tokens``).

    Raises:
        UsageProblem: it can't be opened or read; with the file, the key and the reason.
    """
    import yaml

    name = str(path)
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_YAML + 1)
    except OSError as error:
        raise UsageProblem(f"could not be read: {error.strerror or error}", subject=name) from None
    if len(content) > MAX_YAML:
        raise UsageProblem("too large for a setup", subject=name, hint=f"{MAX_YAML >> 10} KiB at most")
    try:
        data = yaml.load(content, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - a safe loader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{name}:{mark.line + 1}" if mark is not None else name
        raise UsageProblem(f"not YAML: {getattr(error, 'problem', None) or error}", subject=where) from None
    return setup_of(data, name)


_KEYS = {"command", "env", "folder", "limits", "beside", "cold", "verbose", "embedded", "workload", "tokens"}
_BESIDE_KEYS = {"command", "listens", "env", "fault", "at", "limits"}
_LIMIT_KEYS = {"memory", "address_space", "locked_memory"}


def setup_of(data: Any, name: str) -> tuple[Setup, dict[str, Any]]:
    """A setup from data as YAML or JSON holds it.

    Raises:
        UsageProblem: something in it is not as it must be.
    """
    top = _mapping(data, name, "", _KEYS)
    limits = _limits(top.get("limits"), name, "limits")
    beside = top.get("beside") or []
    if not isinstance(beside, list) or len(beside) > _MOST_BESIDE:
        raise UsageProblem("a list of programs is expected", subject=f"{name}: beside")
    setup = Setup(
        words=_words(top.get("command"), name, "command"),
        env=_env(top.get("env"), name, "env"),
        folder=Path(_text(top["folder"], name, "folder")) if top.get("folder") is not None else None,
        beside=tuple(_beside(entry, name, f"beside.{number}") for number, entry in enumerate(beside, 1)),
        cold=_truth(top.get("cold", False), name, "cold"),
        verbose=_truth(top.get("verbose", True), name, "verbose"),
        python=_truth(top.get("embedded", False), name, "embedded"),
        **limits,
    )
    while setup.words and (assigned := ASSIGNMENT.fullmatch(setup.words[0])):
        setup = replace(setup, words=setup.words[1:], env={**setup.env, assigned["name"]: assigned["value"]})
    return setup, {key: top[key] for key in ("workload", "tokens") if key in top}


def as_data(setup: Setup) -> dict[str, Any]:
    """The reverse of ``setup_of``."""
    data: dict[str, Any] = {"command": list(setup.words)}
    if setup.env:
        data["env"] = dict(setup.env)
    if setup.folder is not None:
        data["folder"] = str(setup.folder)
    limits = {key: getattr(setup, key) for key in sorted(_LIMIT_KEYS) if getattr(setup, key) is not None}
    if limits:
        data["limits"] = limits
    if setup.beside:
        data["beside"] = [
            {"command": list(each.words)}
            | ({"listens": each.address} if each.address else {})
            | ({"env": dict(each.env)} if each.env else {})
            | ({"fault": each.fault, "at": each.at} if each.fault else {})
            for each in setup.beside
        ]
    return data | {key: True for key, on in (("cold", setup.cold), ("embedded", setup.python)) if on}


def _beside(data: Any, name: str, at: str) -> Beside:
    entry = _mapping(data, name, at, _BESIDE_KEYS)
    limits = _limits(entry.get("limits"), name, f"{at}.limits")
    if "locked_memory" in limits:
        raise UsageProblem("has no such limit here", subject=f"{name}: {at}.limits.locked_memory")
    fault, when = entry.get("fault"), entry.get("at", "generating")
    if fault not in {None, "kill", "freeze"}:
        raise UsageProblem("must be kill or freeze", subject=f"{name}: {at}.fault")
    if when not in {"loaded", "generating"}:
        raise UsageProblem("must be loaded or generating", subject=f"{name}: {at}.at")
    address = entry.get("listens")
    if address is not None:
        address_of(_text(address, name, f"{at}.listens"), f"{name}: {at}.listens")
    env = {key: value for key, value in _env(entry.get("env"), name, f"{at}.env").items() if value is not None}
    return Beside(_words(entry.get("command"), name, f"{at}.command"), address, env, fault, when, **limits)


def _mapping(data: Any, name: str, at: str, known: set[str]) -> dict[str, Any]:
    subject = f"{name}: {at}" if at else name
    if not isinstance(data, dict):
        raise UsageProblem("a mapping is expected", subject=subject, hint=f"keys are {', '.join(sorted(known))}")
    for key in data:
        if key not in known:
            hint = f"keys are {', '.join(sorted(known))}"
            raise UsageProblem(f"unknown key {str(key)[:60]!r}", subject=subject, hint=hint)
    return data


def _words(data: Any, name: str, at: str) -> tuple[str, ...]:
    if isinstance(data, str):
        try:
            words: list[Any] = shlex.split(data)
        except ValueError as error:
            raise UsageProblem(f"not a command line: {error}", subject=f"{name}: {at}") from None
    else:
        words = data if isinstance(data, list) else []
    if not words or not all(isinstance(word, str | int | float) and "\0" not in str(word) for word in words):
        raise UsageProblem("a command line is expected", subject=f"{name}: {at}", hint="a text or a list of words")
    return tuple(str(word) for word in words)


def _env(data: Any, name: str, at: str) -> dict[str, str | None]:
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise UsageProblem("a mapping of variables is expected", subject=f"{name}: {at}")
    found: dict[str, str | None] = {}
    for key, value in data.items():
        if not isinstance(key, str) or not re.fullmatch(r"[A-Za-z_]\w*", key) or "\0" in str(value):
            raise UsageProblem(f"not a variable: {str(key)[:60]!r}", subject=f"{name}: {at}")
        found[key] = None if value is None else "1" if value is True else "0" if value is False else str(value)
    return found


def _limits(data: Any, name: str, at: str) -> dict[str, Any]:
    if data is None:
        return {}
    entry = _mapping(data, name, at, _LIMIT_KEYS)
    found = {}
    for key, value in entry.items():
        try:
            size = parse_size(str(value))
        except ValueError:
            size = 0
        if size <= 0 or isinstance(value, bool):
            raise UsageProblem(
                f"not a size: {str(value)[:60]!r}", subject=f"{name}: {at}.{key}", hint="such as 400 MiB"
            )
        found[key] = size
    return found


def _text(data: Any, name: str, at: str) -> str:
    if not isinstance(data, str) or not data or "\0" in data:
        raise UsageProblem("a text is expected", subject=f"{name}: {at}")
    return data


def _truth(data: Any, name: str, at: str) -> bool:
    if not isinstance(data, bool):
        raise UsageProblem("true or false is expected", subject=f"{name}: {at}")
    return data
