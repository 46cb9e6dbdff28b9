"""What a supervisor that was killed has left behind: proven by its lock, and removed at the next start.

While a supervisor lives it holds a lock (flock) on a file that names its process, with its start time, and all that it
made. Only what is in such a file is removed, and only when nobody holds the lock and no process of that number and
start time runs. Processes are told by a mark in their environment; one that has cleared it is left alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from doctor.errors import UsageProblem
from doctor.trial import processes
from doctor.trial.cgroup import Cgroup
from doctor.trial.lock import SUFFIX, mark_of

_MOST_BYTES = 1 << 20
_NEW_SECONDS = 3600


def lock_folder() -> Path:
    """A folder that only this user can write to, for locks and for output that nobody wants to keep.

    Raises:
        UsageProblem: there is none, or it belongs to somebody else.
    """
    named = os.environ.get("XDG_RUNTIME_DIR", "")
    user = os.getuid() if hasattr(os, "getuid") else 0
    base = Path(named) if named.startswith("/") and os.access(named, os.W_OK) else Path(tempfile.gettempdir())
    folder = base / f"llmdoctor-{user}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError as error:
        raise UsageProblem(
            f"no folder for temporary files: {error.strerror}", subject=str(folder), hint="TMPDIR names another place"
        ) from None
    if folder.is_symlink() or status.st_uid != user or status.st_mode & 0o022:
        raise UsageProblem(
            "others can write to this folder", subject=str(folder), hint="remove it, or name another place by TMPDIR"
        )
    return folder


def clean(folder: Path) -> list[str]:
    """Removes what is proven to be stale, and says what that was."""
    removed = []
    for path in folder.glob(f"*{SUFFIX}.new"):  # of one that was killed in its first millisecond
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _NEW_SECONDS:
                path.unlink()
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        with contextlib.suppress(OSError), path.open("r+b") as file:
            if not _lock(file.fileno()):
                continue
            left = _left_by(file.read(_MOST_BYTES))
            if left is None or not _is_alive(left):
                _remove(left or {}, path)
                removed.append(path.name.removesuffix(SUFFIX))
    return removed


def _lock(descriptor: int) -> bool:
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (OSError, ImportError):
        return False
    return True


def _left_by(text: bytes) -> dict[str, Any] | None:
    """What the lock says; None for one that was never finished (its supervisor had made nothing yet)."""
    try:
        left = json.loads(text)
    except ValueError:
        return None
    return left if isinstance(left, dict) else None


def _is_alive(left: dict[str, Any]) -> bool:
    if left.get("boot") != processes.boot_id():
        return False
    process = processes.stat(left["pid"]) if isinstance(left.get("pid"), int) else None
    return process is not None and process.state not in "ZX" and process.started == left.get("started")


def _remove(left: dict[str, Any], path: Path) -> None:
    """Processes, cgroup, files, then the lock. Only names that follow from the lock's own are believed."""
    token = path.name.removesuffix(SUFFIX)
    cgroup = None
    if left.get("boot") == processes.boot_id() and sys.platform.startswith("linux"):
        if isinstance(left.get("cgroup"), str) and Path(left["cgroup"]).name == f"llmdoctor-{token}":
            cgroup = Cgroup(left["cgroup"], 2 if left.get("version") == 2 else 1)
        for _round in range(50):
            found = [process for process in processes.carrying(mark_of(token)) if process.state not in "ZX"]
            if cgroup is not None:
                inside = [processes.stat(pid) for pid in cgroup.processes()]
                found += [process for process in inside if process is not None]
            if not found:
                break
            processes.kill(found)
    if cgroup is not None:
        cgroup.remove()
    shutil.rmtree(path.with_suffix(""), ignore_errors=True)
    path.unlink(missing_ok=True)
