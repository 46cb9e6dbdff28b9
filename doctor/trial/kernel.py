"""The kernel log from now on, where it may be read. Standard library only.

Format of a record: Documentation/ABI/testing/dev-kmsg of the Linux kernel.
"""

from __future__ import annotations

import contextlib
import os
import re

_RECORD = 8192  # the most that the kernel puts into one
MOST_LINES = 2000


class KernelLog:
    """Follows /dev/kmsg; ``trouble`` says why not."""

    def __init__(self, path: str = "/dev/kmsg") -> None:
        self._file: int | None = None
        self._lines: list[str] = []
        self.trouble = ""
        try:
            self._file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            os.lseek(self._file, 0, os.SEEK_END)
        except OSError as error:
            self.close()
            self.trouble = f"the kernel log cannot be read: {error.strerror}"

    def lines(self) -> list[str]:
        """What the kernel has said since it was opened, as dmesg prints it; the last 2,000 lines."""
        while self._file is not None:
            try:
                record = os.read(self._file, _RECORD)
            except BrokenPipeError:  # older ones were written over meanwhile: the next read goes on
                continue
            except OSError:
                break
            if not record:
                break
            self._lines += dmesg(record)
            del self._lines[:-MOST_LINES]
        return self._lines

    def close(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                os.close(self._file)
            self._file = None


def dmesg(record: bytes) -> list[str]:
    """``6,339,5140900,-;NET: Registered`` -> ``[    5.140900] NET: Registered``; nothing of what users wrote there."""
    head, _, text = record.partition(b";")
    fields = head.split(b",")
    if len(fields) < 3 or not fields[0].isdigit() or not fields[2].isdigit() or int(fields[0]) >> 3:
        return []
    seconds = int(fields[2]) / 1e6
    message = text.split(b"\n", 1)[0].decode("utf-8", "replace")  # the lines after it are its device's properties
    return [f"[{seconds:12.6f}] {part}" for part in message.split("\\x0a")]


def killing(lines: list[str], pid: int) -> int:
    """Anonymous bytes of a process that these lines say was killed for memory; 0 if they don't.

    Its number must be ours: in a container the kernel's log has the machine's numbers, and says nothing that is sure.
    """
    for line in lines:
        found = re.search(r"[Kk]illed process (\d+) \(.*?\).*? anon-rss:(\d+)kB", line)
        if found and int(found[1]) == pid:
            return int(found[2]) * 1024
    return 0
