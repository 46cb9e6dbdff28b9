"""A memory cgroup of its own for a launch, version 1 or 2, where one can be made; and what the kernel counted in it.

Standard library only. Formats: Documentation/admin-guide/cgroup-v1/memory.rst and cgroup-v2.rst of the Linux kernel.
"""

from __future__ import annotations

import os
import time

_UNLIMITED_V1 = 1 << 62
_V1 = {"limit": "memory.limit_in_bytes", "peak": "memory.max_usage_in_bytes"}
_V2 = {"limit": "memory.max", "peak": "memory.peak"}


class Cgroup:
    """A cgroup of the memory controller.

    Attributes:
        path: its folder. version: 1 or 2.
    """

    def __init__(self, path: str, version: int) -> None:
        self.path, self.version = path, version

    @property
    def _files(self) -> dict[str, str]:
        return _V1 if self.version == 1 else _V2

    def limit(self) -> int | None:
        """Bytes; None: none."""
        found = _number(_read(f"{self.path}/{self._files['limit']}"))
        return None if found is None or found >= _UNLIMITED_V1 else found

    def peak(self) -> int | None:
        """The most bytes it ever had, with page cache (``memory.peak`` came with Linux 5.19)."""
        return _number(_read(f"{self.path}/{self._files['peak']}"))

    def kills(self) -> int:
        """Processes that the kernel killed in it for memory."""
        name = "memory.oom_control" if self.version == 1 else "memory.events"
        return _entry(_read(f"{self.path}/{name}"), "oom_kill") or 0

    def refusals(self) -> int:
        """How often its limit was hit."""
        if self.version == 1:
            return _number(_read(f"{self.path}/memory.failcnt")) or 0
        return _entry(_read(f"{self.path}/memory.events"), "max") or 0

    def add(self, pid: int) -> None:
        """Moves a process into it.

        Raises:
            OSError: not permitted.
        """
        _write(f"{self.path}/cgroup.procs", str(pid))

    def processes(self) -> list[int]:
        """Those in it, and of version 2 below it."""
        return [int(word) for word in _read(f"{self.path}/cgroup.procs").split() if word.isdigit()]

    def remove(self) -> bool:
        """Removes it once it is empty; whether it is gone. The kernel may take a moment to see that all have left."""
        for pause in (0, 0.001, 0.01, 0.1, 0.5, 1.0):
            time.sleep(pause)
            try:
                os.rmdir(self.path)  # noqa: PTH106 - pathlib is not imported here
            except FileNotFoundError:
                return True
            except OSError:
                continue
            return True
        return False


def present(proc: str = "/proc/self") -> Cgroup | None:
    """The cgroup of the memory controller that this process is in."""
    for folder, version in _candidates(proc):
        files = _V1 if version == 1 else _V2
        # The root of version 2 has no such files, and counts nothing.
        if os.path.exists(f"{folder}/{files['limit']}"):  # noqa: PTH110
            return Cgroup(folder, version)
    return None


def make(name: str, limit: int | None, proc: str = "/proc/self") -> tuple[Cgroup | None, str]:
    """A new cgroup with a limit in bytes, swap included; or None and why there can be none.

    A process of version 2 may not stay in a cgroup whose children have controllers, so the place of a new one there is
    beside our own where its parent was handed over to us (systemd: ``Delegate=``), as well as below it.
    """
    reason = "this machine has no memory cgroups"
    for folder, version in _candidates(proc):
        cgroup = Cgroup(f"{folder}/{name}", version)
        try:
            os.mkdir(cgroup.path)  # noqa: PTH102
        except OSError as error:
            reason = f"no cgroup can be made in {folder}: {error.strerror}"
            continue
        try:
            _prepare(cgroup, folder, limit)
        except OSError as error:
            reason = f"the cgroup {cgroup.path} takes no memory limit: {error.strerror}"
            cgroup.remove()
            continue
        return cgroup, ""
    return None, reason


def _prepare(cgroup: Cgroup, folder: str, limit: int | None) -> None:
    if cgroup.version == 2 and not os.path.exists(f"{cgroup.path}/memory.max"):  # noqa: PTH110
        _write(f"{folder}/cgroup.subtree_control", "+memory")
    if limit is None:
        return
    _write(f"{cgroup.path}/{cgroup._files['limit']}", str(limit))
    try:  # without this the rest goes to swap, and the limit shows only as slowness
        if cgroup.version == 1:
            _write(f"{cgroup.path}/memory.memsw.limit_in_bytes", str(limit))
        else:
            _write(f"{cgroup.path}/memory.swap.max", "0")
    except OSError:
        pass  # a kernel that does not count swap


def _candidates(proc: str) -> list[tuple[str, int]]:
    """Folders to make a cgroup in, with the version: our own, then of version 2 the one above it."""
    mounts = _mounts(proc)
    found: list[tuple[str, int]] = []
    for line in _read(f"{proc}/cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        version = 2 if number == "0" and not controllers else 1
        mount = mounts.get(version)
        if mount is None or (version == 1 and "memory" not in controllers.split(",")):
            continue
        folder = _join(mount, path)
        found.append((folder, version))
        if version == 2 and folder != mount[0]:
            found.append((os.path.dirname(folder), 2))  # noqa: PTH120
    return sorted(found, key=lambda place: place[1])  # where both are mounted, the memory controller is version 1's


def _mounts(proc: str) -> dict[int, tuple[str, str]]:
    """By version: where the memory controller is mounted, and which cgroup its root is (a container sees a part)."""
    found: dict[int, tuple[str, str]] = {}
    for line in _read(f"{proc}/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        words, kind = before.split(), after.split()
        if len(words) < 5 or len(kind) < 3:
            continue
        root, point = words[3], words[4].replace("\\040", " ")
        if kind[0] == "cgroup2":
            found.setdefault(2, (point, root))
        elif kind[0] == "cgroup" and "memory" in kind[2].split(","):
            found.setdefault(1, (point, root))
    return found


def _join(mount: tuple[str, str], path: str) -> str:
    point, root = mount
    if root != "/" and (path == root or path.startswith(f"{root}/")):
        path = path[len(root) :]
    if "/../" in f"{path}/":  # of a namespace that we are not in
        path = "/"
    return point if path in {"", "/"} else point.rstrip("/") + path


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            return file.read(1 << 20)
    except OSError:
        return ""


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:  # noqa: PTH123
        file.write(text)


def _number(text: str) -> int | None:
    word = text.strip()
    return int(word) if word.isdigit() else None


def _entry(text: str, name: str) -> int | None:
    """Of lines ``name number``."""
    for line in text.splitlines():
        words = line.split()
        if len(words) == 2 and words[0] == name and words[1].isdigit():
            return int(words[1])
    return None
