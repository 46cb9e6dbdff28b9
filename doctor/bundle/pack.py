"""A bundle as a file: a tar, packed by zstd, that ``llmdoctor analyze`` reads again."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from doctor import __version__
from doctor.bundle.clean import Cleaner
from doctor.bundle.gather import Gathered, Member
from doctor.errors import UsageProblem
from doctor.probe.document import Probe
from doctor.vocabulary.document import Diagnosis

SCHEMA = "llmdoctor/bundle/1"
FOLDER = "llmdoctor-bundle"


@dataclass(slots=True, kw_only=True)
class Entry:
    """A member as the manifest lists it."""

    name: str
    origin: str
    bytes: int
    left_out: int = 0


@dataclass(slots=True, kw_only=True)
class Bundle:
    """What is in it, clean.

    Attributes:
        replaced: by kind, how many pieces were replaced.
        problems: what could not be had, and why.
    """

    schema: str = SCHEMA
    llmdoctor: str = __version__
    made: str = ""
    entries: list[Entry] = field(default_factory=list)
    replaced: dict[str, int] = field(default_factory=dict)
    problems: list[dict[str, str]] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def prepare(probe: Probe, diagnosis: Diagnosis, gathered: Gathered, cleaner: Cleaner) -> tuple[Bundle, list[Member]]:
    """Cleans everything and makes the table of contents. Nothing is written."""
    members = [
        Member("probe.json", "llmdoctor probe", json.dumps(probe.to_dict(), indent=1, default=str) + "\n"),
        Member("diagnosis.json", "llmdoctor analyze", json.dumps(diagnosis.to_dict(), indent=1, default=str) + "\n"),
        *gathered.members,
    ]
    for member in members:
        cleaner.learn(member.text)
    clean = []
    for member in members:
        # in a JSON document texts are cleaned one by one: a cut must not break its quotes
        text = (
            _json(member.text, cleaner)
            if member.name.endswith(".json") and "/" not in member.name
            else cleaner.text(member.text)
        )
        clean.append(Member(cleaner.text(member.name), cleaner.text(member.origin), text, member.left_out))
    bundle = Bundle(made=datetime.now(UTC).isoformat(timespec="seconds"))
    bundle.entries = [
        Entry(name=member.name, origin=member.origin, bytes=len(member.text.encode()), left_out=member.left_out)
        for member in clean
    ]
    bundle.problems = [
        {"subject": cleaner.text(subject), "message": cleaner.text(message), "hint": hint}
        for subject, message, hint in gathered.problems
    ]
    bundle.replaced = {kind: count for kind, count in cleaner.replaced.items() if count}
    return bundle, clean


def _json(text: str, cleaner: Cleaner) -> str:
    return json.dumps(cleaner.data(json.loads(text)), indent=1) + "\n"


def write(bundle: Bundle, members: Sequence[Member], path: Path) -> int:
    """Writes the file; returns its bytes. It is readable for its owner only.

    Raises:
        UsageProblem: it can't be written.
    """
    import zstandard

    manifest = Member("manifest.json", "", json.dumps(bundle.to_dict(), indent=1) + "\n")
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for member in [manifest, *members]:
            content = member.text.encode("utf-8", "replace")
            info = tarfile.TarInfo(f"{FOLDER}/{member.name}")
            info.size, info.mode = len(content), 0o644
            archive.addfile(info, io.BytesIO(content))
    packed = zstandard.ZstdCompressor(level=10).compress(raw.getvalue())
    try:
        path.touch(mode=0o600)
        path.write_bytes(packed)
    except OSError as error:
        raise UsageProblem(f"can't be written: {error.strerror}", subject=str(path)) from error
    return len(packed)
