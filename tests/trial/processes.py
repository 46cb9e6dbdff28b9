"""Small children for these tests, and looking whether processes are gone."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from doctor.trial import processes

FOREVER = "import time\nwhile True: time.sleep(1000)\n"
# Starts a grandchild and one that flees into a session of its own, as a daemon does; writes their pids to a file.
FAMILY = """\
import os, sys, time
def note(pid):
    with open(sys.argv[1], "a") as file:
        file.write(f"{pid}\\n")
note(os.getpid())
if os.fork() == 0:
    note(os.getpid())
    time.sleep(1000)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        note(os.getpid())
        time.sleep(1000)
    os._exit(0)
os.wait()
print("family is there", flush=True)
"""


def python(text: str, *arguments: object) -> tuple[str, ...]:
    """The words that run a small program."""
    return (sys.executable, "-I", "-S", "-c", text, *map(str, arguments))


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    """Waits for it; a failure if it never comes."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def alive(pid: int) -> bool:
    found = processes.stat(pid)
    return found is not None and found.state not in "ZX"


def family(file: Path) -> list[int]:
    """The pids, once all three are there."""
    until(lambda: file.exists() and file.read_text().count("\n") == 3)
    return [int(line) for line in file.read_text().split()]
