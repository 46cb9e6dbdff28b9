"""A private folder for what is costly to make again: the validated rule book, the compiled pattern database.

Nothing here is ever needed: a cache that is missing, not ours, damaged or not writable only costs time.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

KEEP_FILES = 12


def cache_folder() -> Path | None:
    """The folder, made when needed; None when there is none that only this user can write to."""
    try:
        folder = _place()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        status = folder.stat()
    except (OSError, RuntimeError):  # RuntimeError: no home folder
        return None
    if hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o022):
        return None  # others could plant a file here
    return folder


def _place() -> Path:
    named = os.environ.get("LLMDOCTOR_CACHE_DIR")
    if named:
        return Path(named)
    if sys.platform.startswith("linux"):  # what platformdirs gives, without its import at every start
        base = Path(os.environ.get("XDG_CACHE_HOME", "").strip())
        return (base if base.is_absolute() else Path.home() / ".cache") / "llmdoctor"
    from platformdirs import user_cache_path

    return user_cache_path("llmdoctor", appauthor=False)


def read_cache(kind: str, key: str) -> bytes | None:
    """What was stored under this kind and key, if anything."""
    folder = cache_folder()
    if folder is None:
        return None
    try:
        return (folder / f"{kind}-{key[:32]}").read_bytes()
    except OSError:
        return None


def write_cache(kind: str, key: str, data: str | bytes) -> None:
    """Stores ``data``, whole or not at all, and forgets the oldest entries of that kind."""
    folder = cache_folder()
    if folder is None:
        return
    import tempfile  # not at every start: it takes 7 ms

    content = data.encode() if isinstance(data, str) else data
    with contextlib.suppress(OSError):
        descriptor, name = tempfile.mkstemp(dir=folder, prefix=f".{kind}-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            Path(name).replace(folder / f"{kind}-{key[:32]}")
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise
        entries = sorted(folder.glob(f"{kind}-*"), key=lambda entry: entry.stat().st_mtime, reverse=True)
        for old in entries[KEEP_FILES:]:
            old.unlink(missing_ok=True)
