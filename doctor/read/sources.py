"""Paths and standard input -> sources: what there is to read, nothing judged yet."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from doctor.errors import UsageProblem
from doctor.read.limits import LIMITS, Budget, Limits
from doctor.read.nodes import assign_nodes
from doctor.read.source import Collection, Source, reason
from doctor.read.streams import Blob, Spool, chunks_of
from doctor.read.unpack import IGNORED_FOLDERS, Unpacker

__all__ = ["Collection", "Source", "collect"]


def collect(
    paths: Iterable[str], stdin: BinaryIO | None = None, *, limits: Limits = LIMITS, found: Collection | None = None
) -> Collection:
    """Opens what the user named: files, folders (all files below), archives, ``-`` for standard input.

    Args:
        limits: what each input may cost at most.
        found: what was collected elsewhere, to be added to.

    Raises:
        UsageProblem: not one input could be opened.
    """
    found = found or Collection()
    named = 0
    for path in paths:
        named += 1
        if path == "-":
            if stdin is not None:
                add_stream(stdin, "<stdin>", found, limits)
        elif path:
            _collect_path(Path(path), found, limits)
        else:  # not the folder one is in, as for ``Path``
            found.trouble("''", "an empty name", "is a variable of the shell not set?")
    if (named or found.problems) and not found.sources and not found.model_files:
        if found.problems:
            subject, message, hint = found.problems[0]
            raise UsageProblem(message, subject=subject, hint=hint or None)
        raise UsageProblem(
            "no input to read", hint="name a log file or folder, or pipe a log into: llmdoctor analyze -"
        )
    assign_nodes(found.sources)
    return found


def add_stream(stream: BinaryIO, path: str, found: Collection, limits: Limits = LIMITS, name: str = "") -> None:
    """Adds what can be read only once: it is kept in memory, or on disk when it is large."""
    blob, failed = Spool(limits).add(chunks_of(stream))
    if failed is not None:
        found.trouble(path, *reason(failed))
    Unpacker(found, limits, Budget(limits, blob.size)).add(blob, path, name=name)


def _collect_path(path: Path, found: Collection, limits: Limits) -> None:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        found.trouble(str(path), "no such file or folder", "check the path; quote it if it has blanks")
        return
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        found.trouble(str(path), *reason(error))
        return
    if stat.S_ISDIR(mode):
        _collect_folder(path, found, limits)
    elif stat.S_ISFIFO(mode):
        _collect_pipe(path, found, limits)
    else:
        _collect_file(path, (), found, limits)


def _collect_folder(folder: Path, found: Collection, limits: Limits) -> None:
    name, before, count = folder.resolve().name, len(found.problems), 0
    for count, file in enumerate(_walk(folder, found), 1):
        if count > limits.files:
            found.trouble(
                str(folder), f"more than {limits.files} files: the rest was left out", "name a smaller folder"
            )
            break
        _collect_file(file, (name, *file.relative_to(folder).parts[:-1]), found, limits)
    if not count and len(found.problems) == before:
        found.trouble(str(folder), "the folder holds no files", "name the folder that holds the logs")


def _walk(folder: Path, found: Collection) -> Iterator[Path]:
    """Files below ``folder`` in a stable order; links out of the folder are left out."""
    root = folder.resolve()

    def unreadable(error: OSError) -> None:
        found.trouble(str(error.filename), *reason(error))

    for parent, folders, files in os.walk(folder, onerror=unreadable):
        folders[:] = sorted(name for name in folders if name not in IGNORED_FOLDERS)
        for name in sorted(files):
            path = Path(parent) / name
            if path.is_symlink():
                target = os.path.realpath(path)
                if not target.startswith(f"{root}{os.sep}"):
                    found.trouble(str(path), "a link that leads out of the folder: left out", "name its target")
                    continue
                if not Path(target).exists():
                    found.trouble(str(path), "a link to nothing: left out")
                    continue
            yield path


def _collect_file(path: Path, folders: tuple[str, ...], found: Collection, limits: Limits) -> None:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            found.trouble(str(path), "not a regular file: left out")
            return
        size = status.st_size
    except OSError as error:
        found.trouble(str(path), *reason(error))
        return
    Unpacker(found, limits, Budget(limits, size)).add(Blob.of_file(path, size), str(path), folders)


def _collect_pipe(path: Path, found: Collection, limits: Limits) -> None:
    """A pipe that the user named, as the shell makes one for ``<(command)``. One that nobody writes to is empty."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        os.set_blocking(descriptor, True)
    except OSError as error:
        found.trouble(str(path), *reason(error))
        return
    add_stream(io.FileIO(descriptor), str(path), found, limits)
