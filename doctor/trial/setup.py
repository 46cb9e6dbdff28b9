"""What a trial starts: a command line with its variables, limits and what runs beside it.

Read from a deployment or a YAML file, and changed by a remedy's actions. Nothing is started here.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from doctor.errors import UsageProblem
from doctor.facts.config.wrappers import ASSIGNMENT
from doctor.units import format_size, parse_size

if TYPE_CHECKING:
    from doctor.facts.config.argv import Command
    from doctor.remedy.deployment import Deployment

MAX_YAML = 256 * 1024
_MOST_BESIDE = 16
_LIMITS = {"RLIMIT_AS": "address_space", "RLIMIT_MEMLOCK": "locked_memory"}
_DEPLOYED = frozenset({"set_flag", "remove_flag", "set_env", "unset_env", "edit_config"})
_SECRET_VALUE = "***"  # noqa: S105 - what stands in place of one


@dataclass(frozen=True, slots=True)
class Beside:
    """A program that the engine needs, such as an RPC worker: started before it, stopped after it.

    Attributes:
        address: ``host:port`` at which it must listen before the engine is started.
        fault: what is done to it ``at`` a point of the trial, to provoke a failure.
        pythonpath: put in front of its PYTHONPATH.
    """

    words: tuple[str, ...]
    address: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    fault: Literal["kill", "freeze"] | None = None
    at: Literal["loaded", "generating"] = "generating"
    memory: int | None = None
    address_space: int | None = None


@dataclass(frozen=True, slots=True)
class Setup:
    """How an engine is started in a trial.

    Attributes:
        words: its command line.
        env: variables that differ from llmdoctor's own environment; None: unset.
        folder: the working directory.
        memory, address_space, locked_memory: limits in bytes; None: none.
        beside: programs that it needs.
        cold: the model's pages are dropped from the page cache first.
        verbose: of the embedded engine: whether it prints what it does.
        python: the command is llama-cpp-python's: it is loaded in a child process instead of started as a program.
    """

    words: tuple[str, ...]
    env: Mapping[str, str | None] = field(default_factory=dict)
    folder: Path | None = None
    memory: int | None = None
    address_space: int | None = None
    locked_memory: int | None = None
    beside: tuple[Beside, ...] = ()
    cold: bool = False
    verbose: bool = True
    python: bool = False

    @property
    def command(self) -> Command | None:
        from doctor.facts.config.argv import command_of

        return command_of(self.words)

    @property
    def text(self) -> str:
        """The command line as it would be typed, with its own variables and limits."""
        from doctor.facts.config.values import masked

        parts = [f"{name}={masked(name, value)}" for name, value in self.env.items() if value is not None]
        told = shlex.join([*parts, *self.words])
        limits = [
            f"{name} {format_size(size)}"
            for name, size in (
                ("memory", self.memory),
                ("address space", self.address_space),
                ("locked memory", self.locked_memory),
            )
            if size is not None
        ]
        return told + (f"  [limits: {', '.join(limits)}]" if limits else "")

    def model(self) -> Path | None:
        """The model's file, where the command names one that exists."""
        command = self.command
        if command is None:
            return None
        named = command.value("-m", "--model", "--model-path", "--model_path")
        path = (self.folder or Path()) / named if named else None
        return path if path is not None and path.exists() else None


def of_command(text: str, folder: Path | None = None) -> Setup:
    """From a command line as typed.

    Raises:
        UsageProblem: it can't be read, or hands its work to a shell.
    """
    from doctor.facts.config.argv import parse_command

    command = parse_command(text)
    if command is None or not command.words:
        hint = "check the quotes; give it as one argument"
        raise UsageProblem("not a command line that can be read", subject="--command", hint=hint)
    return _with_assignments(command.words, {}, folder)


def of_deployment(deployment: Deployment, folder: Path | None = None) -> Setup | None:
    """From what logs and files declare; None when they don't tell the command line.

    A variable whose value was a secret, and was masked when it was read, is left as it is in llmdoctor's environment.
    """
    workload = deployment.workload
    words = workload.texts if workload is not None and workload.words else list(deployment.words)
    if not words:
        return None
    env: dict[str, str | None] = {}
    for path in deployment.loose:
        if path in deployment.files:
            from doctor.facts.config.dotenv import variables_of

            env |= {each.name: each.value for each in variables_of(deployment.files[path])}
    if workload is not None:
        env |= {each.name: each.value for each in workload.variables}
        words = [_on_host(word, workload.mounts) for word in words]
    return _with_assignments(words, {name: value for name, value in env.items() if value != _SECRET_VALUE}, folder)


def _with_assignments(words: Sequence[str], env: Mapping[str, str | None], folder: Path | None) -> Setup:
    """``A=1 program`` needs a shell; a trial has none, so the variables are set instead."""
    rest, found = list(words), dict(env)
    while rest and (assigned := ASSIGNMENT.fullmatch(rest[0])):
        found[assigned["name"]] = assigned["value"]
        rest = rest[1:]
    return Setup(tuple(rest), found, folder)


def _on_host(word: str, mounts: Sequence[tuple[str, str]]) -> str:
    """A path as a container sees it -> the host's."""
    for outside, inside in mounts:
        if word == inside or word.startswith(f"{inside.rstrip('/')}/"):
            return outside.rstrip("/") + word[len(inside.rstrip("/")) :]
    return word


# --- a remedy's actions --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Changed:
    """A setup and its deployment after a remedy, or why it can't be tried.

    Attributes:
        diff: what changes in the deployment; what changes in limits is in ``words``.
        obstacle: what stands in the way, in words for the reader; empty when it can be tried.
    """

    setup: Setup
    deployment: Deployment
    diff: str | None = None
    words: tuple[str, ...] = ()
    obstacle: str = ""


def change(setup: Setup, deployment: Deployment, actions: Sequence[Mapping[str, Any]]) -> Changed:
    """Carries a remedy's actions out on copies."""
    nothing = Changed(setup, deployment)
    for action in actions:
        if action.get("unfilled"):
            return replace(nothing, obstacle=f"a number in it is not known: {action.get('text', action['kind'])}")
    deployed = [dict(action) for action in actions if action["kind"] in _DEPLOYED]
    after = deployment.apply(deployed) if deployed else deployment
    if deployed and after.broken:
        return replace(nothing, obstacle="the files don't show where to make the change")
    diff = deployment.diff(after)
    if deployed and diff is None:
        return replace(nothing, obstacle="it changes nothing: the deployment says so already")
    moved = setup
    if deployed:
        again = of_deployment(after, setup.folder)
        if again is None:
            return replace(nothing, obstacle="the changed deployment has no command line")
        # Variables and words from the deployment; limits, neighbours and the rest of the trial stay.
        moved = replace(setup, words=again.words, env={**_kept(setup, deployment), **again.env})
    told: list[str] = []
    undone: list[str] = []
    for action in actions:
        if action["kind"] in _DEPLOYED or action["kind"] == "explain":
            continue
        limited = _limit(moved, action)
        if limited is None:
            undone.append(str(action.get("text") or action["kind"]))
        else:
            moved = limited
            told.append(str(action.get("text") or action["kind"]))
    if undone:
        hint = "do it, and give the command line after it with --fixed"
        return replace(nothing, obstacle=f"llmdoctor can't do it itself: {'; '.join(undone)} ({hint})")
    if not deployed and not told:
        return replace(nothing, obstacle="it is advice in words, not a change of a setting")
    return Changed(moved, after, diff, tuple(told))


def _kept(setup: Setup, deployment: Deployment) -> dict[str, str | None]:
    """Variables of the trial that are not the deployment's."""
    before = of_deployment(deployment, setup.folder)
    own = before.env if before is not None else {}
    return {name: value for name, value in setup.env.items() if name not in own}


def _limit(setup: Setup, action: Mapping[str, Any]) -> Setup | None:
    """The setup with a limit raised, if the action is that."""
    if action["kind"] == "resize" and re.search(r"memory limit|cgroup", str(action.get("resource"))):
        size = action.get("to")
        return replace(setup, memory=size) if isinstance(size, int) and size > 0 else None
    if action["kind"] == "host_setting" and (name := _LIMITS.get(str(action.get("name")))):
        value = str(action.get("value", "")).strip().lower()
        if value in {"unlimited", "infinity", "-1"}:
            return replace(setup, **{name: None})  # type: ignore[arg-type]
        try:
            return replace(setup, **{name: parse_size(value)})  # type: ignore[arg-type]
        except ValueError:
            return None
    return None


# --- a YAML file ---------------------------------------------------------------------------------------------------


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


def address_of(text: str, subject: str) -> tuple[str, int]:
    """``host:port``.

    Raises:
        UsageProblem: not an address.
    """
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise UsageProblem(f"not host:port: {text!r}", subject=subject)
    return host.strip("[]"), int(port)


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
