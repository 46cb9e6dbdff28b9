"""The lock of a supervisor: a file that names what it made, held for as long as it lives. Standard library only."""

from __future__ import annotations

import contextlib
import json
import os
from typing import Any

from doctor.trial import processes

SUFFIX = ".lock"


def mark_of(token: str) -> str:
    """What stands in the environment of all that was started under a token."""
    return f"LLMDOCTOR_LAUNCH={token}"


class Lock:
    """``folder/token.lock``, and ``folder/token/`` for temporary files.

    Raises:
        OSError: can't be written.
    """

    def __init__(self, folder: str, token: str) -> None:
        self.token = token
        self.path, self.files = f"{folder}/{token}{SUFFIX}", f"{folder}/{token}"
        # Made under another name and locked before anybody can find it.
        self._file = os.open(f"{self.path}.new", os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with contextlib.suppress(OSError, ImportError):
            import fcntl

            fcntl.flock(self._file, fcntl.LOCK_EX)
        own = processes.stat(os.getpid())
        self._says: dict[str, Any] = {
            "pid": os.getpid(),
            "started": own.started if own else None,
            "boot": processes.boot_id(),
        }
        self.note()
        os.rename(f"{self.path}.new", self.path)  # noqa: PTH104 - pathlib is not imported here
        os.mkdir(self.files, 0o700)  # noqa: PTH102

    def note(self, **more: Any) -> None:
        """Adds what is about to be made."""
        self._says.update(more)
        os.pwrite(self._file, json.dumps(self._says).encode(), 0)  # it only ever gets longer

    def release(self) -> None:
        """Removes the files and the lock."""
        for name in os.listdir(self.files):  # noqa: PTH208
            with contextlib.suppress(OSError):
                os.unlink(f"{self.files}/{name}")  # noqa: PTH108
        with contextlib.suppress(OSError):
            os.rmdir(self.files)  # noqa: PTH106
        with contextlib.suppress(OSError):
            os.unlink(self.path)  # noqa: PTH108
        os.close(self._file)
