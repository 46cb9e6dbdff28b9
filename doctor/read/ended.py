"""``ending.json`` of a saved run (``llmdoctor run --save``): what was started, and how it ended."""

from __future__ import annotations

import json
import re
import shlex
import signal as signals
from dataclasses import dataclass, field
from typing import Any

from doctor.read.limits import MIB, Unreadable

MOST_BYTES = 4 * MIB
_SCHEMA = re.compile(rb'\s*\{\s*"schema"\s*:\s*"llmdoctor/ending/')
_NAME = re.compile(r"[A-Za-z_]\w{0,200}")
_OURS = frozenset({"stopped", "deadline", "stalled"})


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended.

    Attributes:
        path: the document. command: what was started, as typed; empty: not said.
        status, signal: of the engine; both None where it was us who ended it, which says nothing about it.
        hung: it showed no sign of life, or never served.
        out_of_memory: the kernel counted a kill in its cgroup.
        environment: its variables that matter to engines.
    """

    path: str
    command: str = ""
    status: int | None = None
    signal: str | None = None
    hung: bool = False
    out_of_memory: bool = False
    environment: dict[str, str] = field(default_factory=dict)

    def environment_text(self) -> str:
        """As a file of assignments."""
        return "".join(f"{name}={shlex.quote(value)}\n" for name, value in sorted(self.environment.items()))


def is_ending(head: bytes) -> bool:
    """By the schema that it names."""
    return bool(_SCHEMA.match(head))


def read_ending(data: bytes, path: str) -> Ended:
    """Reads the document.

    Raises:
        Unreadable: it is none.
    """
    try:
        document = json.loads(data[:MOST_BYTES])
    except (ValueError, RecursionError):
        raise Unreadable("not a document that can be read", "was it cut off?") from None
    given: dict[str, Any] = document if isinstance(document, dict) else {}
    command, environment = given.get("command"), given.get("environment")
    cgroup = given.get("cgroup")
    status, signal = _end(given)
    return Ended(
        path,
        command if isinstance(command, str) else "",
        status,
        signal,
        given.get("why") == "stalled" or given.get("not_ready") is not None,
        given.get("why") == "out_of_memory" and isinstance(cgroup, dict) and bool(cgroup.get("kills")),
        {
            name: value
            for name, value in (environment.items() if isinstance(environment, dict) else ())
            if _NAME.fullmatch(name) and isinstance(value, str)
        },
    )


def _end(given: dict[str, Any]) -> tuple[int | None, str | None]:
    status, signal, why, by = (given.get(name) for name in ("status", "signal", "why", "stopped_by"))
    status = status if isinstance(status, int) and 0 <= status < 256 else None
    signal = signal if isinstance(signal, str) and signal in signals.Signals.__members__ else None
    if isinstance(why, str) and why in _OURS:
        return (
            (status, signal)
            if why == "stopped" and signal != "SIGKILL" and given.get("not_ready") is None
            else (None, None)
        )
    if isinstance(by, str) and by in signals.Signals.__members__ and status == 128 + signals.Signals[by]:
        return None, by  # it says by its status that it was asked to end
    return status, signal
