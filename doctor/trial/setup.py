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


def address_of(text: str, subject: str) -> tuple[str, int]:
    """``host:port``.

    Raises:
        UsageProblem: not an address.
    """
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise UsageProblem(f"not host:port: {text!r}", subject=subject)
    return host.strip("[]"), int(port)
