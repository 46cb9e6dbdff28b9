"""Which machine a log is from, where an input holds the logs of several.

Told only when at least two are there: by folders named like machines (``node1``, ``10.0.0.2``), else by the host names
of syslog prefixes. In doubt everything is of one machine.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Protocol

# Not gpu0, rank0, llama-box-1: those are processes of one machine.
_NODE = re.compile(
    r"(?:(?:compute|gpu|cpu|llm|k8s)[-_.]?)?(?:node|host|worker|server|machine|master|head|box)[-_.]?\w{0,20}"
)
_NUMBERED = re.compile(r".*\d.*|master|head")
_ADDRESS = re.compile(r"(?:ip[-_])?\d{1,3}(?:[.\-_]\d{1,3}){3}")
UNPLACED = "local"  # of no machine in particular


class Placed(Protocol):
    """``folders``: where it lies below what the user named, with that folder's or archive's own name first."""

    node: str
    folders: tuple[str, ...]
    host: str | None


def same_machine(one: str, other: str) -> bool:
    """Whether two sources may be of one machine: one that is of none in particular may be of any."""
    return one == other or UNPLACED in {one, other}


def assign_nodes(sources: Sequence[Placed]) -> None:
    """Sets ``node`` of all sources that lie in a machine's folder, or whose lines name a host."""
    hosts = {source.host for source in sources if source.host}
    if not _by_folder(sources, hosts) and len(hosts) > 1:
        for source in sources:
            source.node = source.host or UNPLACED


def _by_folder(sources: Sequence[Placed], hosts: set[str]) -> bool:
    """At the outermost level where at least two folders side by side are named like machines."""
    for level in range(max((len(source.folders) for source in sources), default=0)):
        siblings: dict[tuple[str, ...], set[str]] = defaultdict(set)
        for source in sources:
            if len(source.folders) > level:
                name = source.folders[level]
                if _is_machine(name) or name.lower() in hosts:
                    siblings[source.folders[:level]].add(name)
        machines = {parent: names for parent, names in siblings.items() if len(names) > 1}
        if machines:
            for source in sources:
                if len(source.folders) > level and source.folders[level] in machines.get(source.folders[:level], ()):
                    source.node = source.folders[level]
            return True
    return False


def _is_machine(name: str) -> bool:
    name = name.lower()
    if _ADDRESS.fullmatch(name):
        return True
    return bool(_NODE.fullmatch(name.split(".")[0]) and _NUMBERED.fullmatch(name))
