"""What the user asks ``confirm`` for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from doctor.errors import UsageProblem
from doctor.trial.runners import Clocks
from doctor.trial.setup import Setup
from doctor.trial.setup_yaml import read_setup
from doctor.vocabulary.terms import WORKLOADS

if TYPE_CHECKING:
    from doctor.settings import Choice


@dataclass(slots=True)
class Wanted:
    """What the user asks for.

    Attributes:
        paths: the case; ``command``: the command line, as typed; ``setup``: all of it, from a YAML file.
        remedy: the id of the one to try; None: in their order, until one is confirmed.
        fixed: the setup after a fix that llmdoctor can't make itself (another engine, the right file).
        workload, tokens: in place of what the rule names.
        memory, address_space, locked_memory: limits of every trial, bytes; None: those that the case tells.
        save: where the trials' logs are kept.
        rule_folders, choice: of all trials and of the case; ``baseline``, what is accepted, of the case alone.
        rule_id: the failure to look at; None: the case's root cause.
    """

    paths: Sequence[str] = ()
    command: str | None = None
    setup: Setup | None = None
    env_files: Sequence[str] = ()
    rule_folders: Sequence[str] = ()
    choice: Choice | None = None
    baseline: str | None = None
    model: str | None = None
    remedy: str | None = None
    rule_id: str | None = None
    fixed: Setup | None = None
    apply: bool = False
    beside_live: bool = False
    repeats: int | None = None
    clocks: Clocks = field(default_factory=Clocks)
    workload: str | None = None
    tokens: int | None = None
    measures: tuple[str, ...] = ()
    memory: int | None = None
    address_space: int | None = None
    locked_memory: int | None = None
    save: Path | None = None
    embedded: bool = False


def wanted_of_yaml(path: str, wanted: Wanted) -> tuple[Setup, Wanted]:
    """A setup from a YAML file, with what it says of the workload put into ``wanted`` where the user says nothing.

    Raises:
        UsageProblem: the file is not as it must be.
    """
    setup, more = read_setup(path)
    name, tokens = more.get("workload"), more.get("tokens")
    if name is not None and name not in WORKLOADS:
        raise UsageProblem("no such workload", subject=f"{path}: workload", hint=", ".join(WORKLOADS))
    if tokens is not None and (not isinstance(tokens, int) or isinstance(tokens, bool) or not 0 < tokens <= 1_000_000):
        raise UsageProblem("a number of tokens is expected", subject=f"{path}: tokens")
    return setup, replace(wanted, workload=wanted.workload or name, tokens=wanted.tokens or tokens)
