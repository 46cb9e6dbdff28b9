"""Paths and standard input -> sources: what there is to read, nothing judged yet."""

from __future__ import annotations

import io
import os
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from doctor.errors import UsageProblem

HEAD_BYTES = 64 * 1024
MAX_FILES = 10_000
SPOOL_BYTES = 8 * 1024 * 1024
_MODEL_SUFFIXES = {".gguf", ".ggml", ".safetensors", ".pt", ".pth", ".bin", ".onnx", ".npz"}
_MODEL_BYTES = 1024 * 1024
_IGNORED_FOLDERS = {".git", "__pycache__", "node_modules", ".venv"}


@dataclass(slots=True)
class Source:
    """Something that can be opened and read from its start.

    Attributes:
        path: its name as the reader of the diagnosis knows it.
        size: bytes, None when not known before reading.
        head: the first 64 KiB, by which its kind is told.
    """

    path: str
    size: int | None
    head: bytes
    opener: Callable[[], BinaryIO]
    node: str = "local"

    def open(self) -> BinaryIO:
        return self.opener()


@dataclass(slots=True)
class Collection:
    """Sources in reading order; model files seen on the way (path, bytes); trouble as (subject, message, hint)."""

    sources: list[Source] = field(default_factory=list)
    model_files: list[tuple[str, int]] = field(default_factory=list)
    problems: list[tuple[str, str, str]] = field(default_factory=list)


def collect(paths: Iterable[str], stdin: BinaryIO | None = None) -> Collection:
    """Opens what the user named: files, folders (all files below), ``-`` for standard input.

    Raises:
        UsageProblem: not one input could be opened.
    """
    found = Collection()
    named = 0
    for path in paths:
        named += 1
        if path == "-":
            if stdin is not None:
                found.sources.append(_spool(stdin))
        else:
            _collect_path(Path(path), found)
    if named and not found.sources and not found.model_files:
        if found.problems:
            subject, message, hint = found.problems[0]
            raise UsageProblem(message, subject=subject, hint=hint or None)
        raise UsageProblem(
            "no input to read", hint="name a log file or folder, or pipe a log into: llmdoctor analyze -"
        )
    return found


def _collect_path(path: Path, found: Collection) -> None:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        found.problems.append((str(path), "no such file or folder", "check the path; quote it if it has blanks"))
        return
    except OSError as error:
        found.problems.append((str(path), f"cannot be opened: {error.strerror}", _permission_hint(error)))
        return
    if stat.S_ISDIR(mode):
        empty = True
        for count, file in enumerate(_walk(path, found)):
            empty = False
            if count >= MAX_FILES:
                found.problems.append(
                    (str(path), f"more than {MAX_FILES} files: the rest was left out", "name a smaller folder")
                )
                break
            _collect_file(file, found)
        if empty and not found.problems:
            found.problems.append((str(path), "the folder holds no files", "name the folder that holds the logs"))
    else:
        _collect_file(path, found)


def _walk(folder: Path, found: Collection) -> Iterator[Path]:
    """Files below ``folder`` in a stable order; links out of the folder are left out."""
    root = folder.resolve()

    def unreadable(error: OSError) -> None:
        found.problems.append((str(error.filename), f"cannot be listed: {error.strerror}", _permission_hint(error)))

    for parent, folders, files in os.walk(folder, onerror=unreadable):
        folders[:] = sorted(name for name in folders if name not in _IGNORED_FOLDERS)
        for name in sorted(files):
            path = Path(parent) / name
            if path.is_symlink() and not os.path.realpath(path).startswith(f"{root}{os.sep}"):
                found.problems.append((str(path), "a link that leads out of the folder: left out", "name its target"))
                continue
            yield path


def _collect_file(path: Path, found: Collection) -> None:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            found.problems.append((str(path), "not a regular file: left out", ""))
            return
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        found.problems.append((str(path), f"cannot be read: {error.strerror}", _permission_hint(error)))
        return
    if head[:4] == b"GGUF" or (path.suffix in _MODEL_SUFFIXES and status.st_size > _MODEL_BYTES):
        found.model_files.append((str(path), status.st_size))
        return
    found.sources.append(Source(str(path), status.st_size, head, lambda: path.open("rb")))


def _spool(stdin: BinaryIO) -> Source:
    """Standard input can be read only once: it is kept in memory, or on disk when it is large."""
    content = stdin.read(SPOOL_BYTES)
    if len(content) < SPOOL_BYTES:
        return Source("<stdin>", len(content), content[:HEAD_BYTES], lambda: io.BytesIO(content))
    file = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the source
    file.write(content)
    while block := stdin.read(1024 * 1024):
        file.write(block)
    file.flush()

    def reopen() -> BinaryIO:
        again = os.fdopen(os.dup(file.fileno()), "rb")
        again.seek(0)
        return again

    return Source("<stdin>", file.tell(), content[:HEAD_BYTES], reopen)


def _permission_hint(error: OSError) -> str:
    return "run as a user who may read it (sudo, or the service's group)" if isinstance(error, PermissionError) else ""
