"""Starting the engine's process itself: streams, limits, session, then exec. Standard library only."""

from __future__ import annotations

import errno
import os
import signal
from typing import Any

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


class Failed(Exception):  # noqa: N818 - it is a message, named for what it is
    """The program could not be started: ``number`` is the operating system's errno."""

    def __init__(self, number: int, step: str) -> None:
        super().__init__(os.strerror(number))
        self.number, self.step = number, step


def prctl(option: int, value: int) -> bool:
    """Whether the kernel took it; False where there is no prctl."""
    try:
        import ctypes

        return bool(ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) == 0)
    except (ImportError, OSError, AttributeError):
        return False


def become_subreaper() -> bool:
    """Orphans below this process become its children, whatever session they have fled to (Linux 3.4)."""
    return prctl(_PR_SET_CHILD_SUBREAPER, 1)


def start(
    words: list[bytes],
    environment: dict[bytes, bytes],
    folder: str,
    streams: tuple[int, int, int],
    *,
    terminal: int | None = None,
    cgroup: str | None = None,
    rlimits: list[tuple[int, int]] | None = None,
) -> int:
    """Starts a program in a session of its own, and comes back when it runs.

    Args:
        streams: its descriptors 0, 1 and 2.
        terminal: which of them is its controlling terminal.
        cgroup: a ``cgroup.procs`` file to enter.
        rlimits: resource and bytes, as soft and hard limit.

    Raises:
        Failed: the program can't be executed, or the folder not entered.
    """
    reading, writing = os.pipe()  # closed by exec: that it is empty then says that the program runs
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        step = "prepare"
        try:
            os.setsid()
            prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(137)
            _connect(streams, terminal)
            _limit(cgroup, rlimits or [])
            step = "folder"
            os.chdir(folder)
            for name in ("SIGPIPE", "SIGXFSZ"):  # Python ignores them
                if hasattr(signal, name):
                    signal.signal(getattr(signal, name), signal.SIG_DFL)
            signal.set_wakeup_fd(-1)
            step = "program"
            os.execvpe(words[0], words, environment)  # noqa: S606
        except OSError as error:
            os.write(writing, f"{error.errno} {step}".encode())
        except BaseException:
            os.write(writing, f"{errno.EINVAL} {step}".encode())
        finally:
            os._exit(127)
    os.close(writing)
    said = os.read(reading, 100).split()
    os.close(reading)
    if said:
        os.waitpid(pid, 0)
        raise Failed(int(said[0]), said[1].decode())
    return pid


def _connect(streams: tuple[int, int, int], terminal: int | None) -> None:
    import fcntl

    if terminal is not None:
        import termios

        fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
    # Copies above 2 first: a descriptor that is to become 1 may lie at 0.
    held = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3) for descriptor in streams]
    for place, descriptor in enumerate(held):
        os.dup2(descriptor, place)


def _limit(cgroup: str | None, rlimits: list[tuple[int, int]]) -> None:
    if cgroup is not None:
        file = os.open(cgroup, os.O_WRONLY | os.O_CLOEXEC)
        os.write(file, b"0")  # the writer itself
        os.close(file)
    import resource

    for kind, most in rlimits:
        _soft, hard = resource.getrlimit(kind)
        value = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (value, value))


def rlimits_of(limits: dict[str, Any]) -> list[tuple[int, int]]:
    """What was asked for; and no core files of hundreds of gigabytes."""
    import resource

    found = [(resource.RLIMIT_CORE, 0)] if limits["no_core"] else []
    for name, kind in (("address_space", "RLIMIT_AS"), ("locked_memory", "RLIMIT_MEMLOCK")):
        if limits.get(name) is not None and hasattr(resource, kind):
            found.append((getattr(resource, kind), int(limits[name])))
    return found


def explained(failed: Failed, request: dict[str, Any]) -> dict[str, Any]:
    """Why it did not start, for a person; ``status`` is what a shell would end with."""
    program = bytes.fromhex(request["words"][0]).decode("utf-8", "replace")
    reason = os.strerror(failed.number)
    if failed.step == "folder":
        return {"message": f"cannot be entered: {reason}", "subject": request["folder"], "status": 126}
    if failed.step == "prepare":
        return {"message": f"cannot be started: {reason}", "subject": program, "status": 126}
    if failed.number == errno.ENOENT:
        hint = "check the path (and in a script that of the #! line)" if "/" in program else "check its name and PATH"
        return {"message": "no such program", "subject": program, "hint": hint, "status": 127}
    hints = {
        errno.EACCES: "chmod +x makes a file executable; a folder is none",
        errno.ENOEXEC: "is it a program for this processor, or a script without #! in its first line?",
    }
    message = f"cannot be executed: {reason}"
    return {"message": message, "subject": program, "hint": hints.get(failed.number), "status": 126}
