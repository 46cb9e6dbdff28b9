"""A confirmed change written to the real files: each kept as it was beside, and how to undo it."""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from doctor.errors import UsageProblem

if TYPE_CHECKING:
    from doctor.facts.config.places import Text
    from doctor.remedy.deployment import Deployment


def changed_files(before: Deployment, after: Deployment) -> list[tuple[Text, Text]]:
    """The files that differ, as they were and as they would be."""
    return [(before.files[path], new) for path, new in after.files.items() if before.files[path].text != new.text]


def write(before: Deployment, after: Deployment) -> list[str]:
    """Writes the changed files, all or none.

    Returns:
        For each file one line that says what was written and how to undo it.

    Raises:
        UsageProblem: there is none to write, one is not as it was when it was read, or can't be written.
    """
    pairs = changed_files(before, after)
    if not pairs:
        raise UsageProblem(
            "no file declares this deployment", subject="--apply", hint="change the command line yourself, as shown"
        )
    for old, _new in pairs:
        _check(Path(old.path), old)
    stamp = time.strftime("%Y%m%d-%H%M%S")
    done: list[tuple[Path, Path]] = []
    told = []
    try:
        for _old, new in pairs:
            path = Path(new.path).resolve()
            kept = _free(path.with_name(f"{path.name}.before-llmdoctor-{stamp}"))
            shutil.copy2(path, kept)
            done.append((path, kept))
            _replace(path, new.text.replace("\n", new.newline) if new.newline != "\n" else new.text)
            told.append(f"{new.path}: changed; undo: {shlex.join(['mv', str(kept), str(path)])}")
    except OSError as error:
        for path, kept in done:
            with suppress(OSError):
                kept.replace(path)
        subject = str(error.filename or pairs[0][0].path)
        raise UsageProblem(f"could not be written: {error.strerror}; nothing was changed", subject=subject) from None
    return told


def _check(path: Path, old: Text) -> None:
    hint = "run confirm again: the difference was made for what the file held then"
    try:
        now = path.read_bytes().decode("utf-8", errors="replace").replace("\r\n", "\n")
    except OSError as error:
        raise UsageProblem(f"could not be read: {error.strerror}", subject=str(path), hint=hint) from None
    if now != old.text:
        raise UsageProblem("has changed since it was read: nothing was written", subject=str(path), hint=hint)
    if "\N{REPLACEMENT CHARACTER}" in now:
        raise UsageProblem("is not UTF-8: nothing was written", subject=str(path), hint="make the change by hand")


def _free(path: Path) -> Path:
    number, found = 1, path
    while found.exists():
        number += 1
        found = path.with_name(f"{path.name}-{number}")
    return found


def _replace(path: Path, text: str) -> None:
    """The new text under the old name in one step, with the owner and mode that the file had."""
    status = path.stat()
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(status.st_mode & 0o7777)
        with suppress(OSError, AttributeError):
            os.chown(name, status.st_uid, status.st_gid)
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
