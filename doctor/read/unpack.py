"""From bytes to sources: archives are opened, packed logs unpacked, encodings and envelopes recognised.

All by the first bytes, never by a name. Nothing is written to where an archive says; what has to be read more than
once goes to nameless temporary files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, TypeVar

from doctor.read.encoding import encoding_of, transcoded
from doctor.read.ended import is_ending, read_ending
from doctor.read.limits import MIB, Budget, Limits, Meter, Unreadable
from doctor.read.magic import bare_name, compression_of, is_tar, is_zip, no_text, unknown_packer
from doctor.read.probed import MOST_BYTES, is_ours, is_probe, parts
from doctor.read.source import Collection, Source, first_bytes, reason
from doctor.read.streams import Blob, Chunks, Spool

if TYPE_CHECKING:
    from doctor.read.tarball import TarMember

IGNORED_FOLDERS = {".git", "__pycache__", "node_modules", ".venv", "__MACOSX"}
_MODEL_SUFFIXES = {".gguf", ".ggml", ".safetensors", ".pt", ".pth", ".bin", ".onnx", ".npz"}
_MODEL_BYTES = 1024 * 1024
_UNPACK_HINT = "unpack it yourself and name what comes out"
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u202a-\u202e\u2066-\u2069]")
_LONGEST_NAME = 1000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Item:
    """Something that may be a log, or may hold some.

    Attributes:
        path: as shown to the user.
        name: what its kind is told by: without suffixes of compression.
        folders: where it lies, see ``nodes.Placed``.
        blob: where it can be read from any place; None: only from front to back, by ``chunks``.
        size: bytes, where known.
        layers, archives: how deep within others it lies.
    """

    path: str
    name: str
    folders: tuple[str, ...]
    chunks: Callable[[], Chunks]
    blob: Blob | None
    size: int | None
    layers: int = 0
    archives: int = 0

    def member(self, path: str, chunks: Callable[[], Chunks], blob: Blob | None, size: int) -> Item:
        """A file in this archive."""
        stem = PurePosixPath(self.name).name.split(".")[0]
        return Item(
            f"{self.path}!{path}",
            f"/{path}",
            (*self.folders, stem, *PurePosixPath(path).parts[:-1]),
            chunks,
            blob,
            size,
            self.layers + 1,
            self.archives + 1,
        )


@dataclass(slots=True)
class Unpacker:
    """Turns one input (a file, standard input) into sources of the collection."""

    found: Collection
    limits: Limits
    budget: Budget
    _spool: Spool | None = field(default=None)

    def add(self, blob: Blob, path: str, folders: tuple[str, ...] = (), name: str = "") -> None:
        """Adds what is in it; trouble goes to the collection."""
        self._admit(Item(path, name or path, folders, blob.chunks, blob, blob.size))

    def _admit(self, item: Item) -> None:
        try:
            self._open(item)
        except Exception as error:  # whatever a hostile input provokes, the others go on
            self.found.trouble(item.path, *reason(error))

    def _open(self, item: Item) -> None:
        head = first_bytes(item.chunks())
        compression = compression_of(head)
        if is_model(item.name, item.size, head):
            if item.size is not None:
                self.found.model_files.append((item.path, item.size))
        elif compression:
            self._open_packed(item, compression)
        elif is_zip(head):
            self._open_zip(item)
        elif is_tar(head):
            self._open_tar(item)
        elif is_ours(head):
            return  # a diagnosis or a table of contents in a bundle: made of the logs beside it
        elif is_ending(head):
            with self._keep(item.chunks())[0].open() as stream:
                self.found.endings.append(read_ending(stream.read(), item.path))
        elif is_probe(head):
            self._open_probe(item)
        elif other := unknown_packer(head):
            raise Unreadable(f"packed by {other}, which can't be read here", "unpack it and name what comes out")
        elif what := no_text(head):
            raise Unreadable(f"{what[0]}, no text: left out", what[1])
        else:
            self._add_text(item, head)

    def _open_probe(self, item: Item) -> None:
        """Its answers as sources; no archive, and none of its texts is one."""
        data = b""
        for chunk in item.chunks():
            data += chunk
            if len(data) > MOST_BYTES:
                raise Unreadable(f"a probe document of more than {MOST_BYTES // MIB} MiB")
        host, texts = parts(data)
        if not texts:
            raise Unreadable("a probe document that says nothing", "llmdoctor probe -o FILE writes one")
        for part in texts:
            content = part.text.encode("utf-8", "replace")
            blob, _ = self._keep(iter([content]))
            path, folders = f"{item.path}!{part.name}", item.folders
            source = Source(path, blob.size, blob.chunks, f"/{part.name}", blob, folders=folders, kind=part.kind)
            source.host = host or None
            self.found.sources.append(source)

    def _add_text(self, item: Item, head: bytes) -> None:
        from doctor.read.envelopes import envelope_of
        from doctor.read.prefix import host_of

        encoding = encoding_of(head)
        text = b"".join(transcoded(iter([head]), encoding)) if encoding else head
        unwrapper = envelope_of(text)
        source = Source(item.path, None, item.chunks, item.name, item.blob, encoding, unwrapper, item.folders)
        if encoding is None and unwrapper is None:
            source.size = item.size
        if unwrapper is not None:
            with source.open() as stream:
                text = stream.read(len(head))
        source.host = host_of(text)
        self.found.sources.append(source)

    def _open_packed(self, item: Item, compression: str) -> None:
        if item.layers >= self.limits.layers:
            raise Unreadable("packed too many times over", _UNPACK_HINT)
        from doctor.read.compressed import decompressed

        meter = Meter(self.budget)
        self._open(
            replace(
                item,
                name=bare_name(item.name, compression),
                chunks=lambda: decompressed(item.chunks(), compression, meter),
                blob=None,
                size=None,
                layers=item.layers + 1,
            )
        )

    def _open_zip(self, item: Item) -> None:
        self._check_depth(item)
        blob = item.blob
        if blob is None:
            blob, failed = self._keep(item.chunks())
            if failed is not None:
                raise failed
        from doctor.read import zipped

        entries = [(member.name, member.kind, member) for member in zipped.members(blob)]
        for path, member in self._files(item, entries):
            if member.refused:
                self.found.trouble(f"{item.path}!{path}", member.refused, _UNPACK_HINT)
                continue
            chunks = partial(zipped.content, blob, member.info, Meter(self.budget))
            self._admit(item.member(path, chunks, None, member.size))

    def _open_tar(self, item: Item) -> None:
        self._check_depth(item)
        entries: list[tuple[str, str, Blob | int]] = []
        failed: Exception | None = None
        try:
            for member, blob in self._tar_members(item):
                entries.append((member.name, member.kind, member.size if blob is None else blob))
                if len(entries) > 2 * self.limits.files:
                    break
        except Exception as error:  # cut short: the members before still count
            failed = error
        for path, content in self._files(item, entries):
            if isinstance(content, int):  # a model file, passed over
                self.found.model_files.append((f"{item.path}!{path}", content))
            else:
                self._admit(item.member(path, content.chunks, content, content.size))
        if failed is not None:
            self.found.trouble(item.path, *reason(failed))

    def _tar_members(self, item: Item) -> Iterator[tuple[TarMember, Blob | None]]:
        """Members, and where files can be read; None for those that need not be."""
        from doctor.read import tarball

        if item.blob is not None:
            tape = tarball.BlobTape(item.blob)
            for member in tarball.members(tape):
                whole = tape.position + member.size <= item.blob.size
                size = member.size if whole else item.blob.size - tape.position
                yield member, item.blob.piece(tape.position, size) if member.kind == "file" else None
            return
        stream = tarball.ChunkTape(item.chunks())
        for member in tarball.members(stream):
            if member.kind != "file" or is_model(member.name, member.size, b""):
                yield member, None
                continue
            blob, failed = self._keep(stream.chunks(member.size))
            yield member, blob
            if failed is not None:
                raise failed

    def _files(self, archive: Item, entries: list[tuple[str, str, T]]) -> list[tuple[str, T]]:
        """The files of an archive in the order in which a folder is read; what is left out is told once."""
        others = sum(kind == "other" for _, kind, _ in entries)
        if others:
            message = f"links, devices or sparse files in it are left out ({others})"
            self.found.trouble(archive.path, message, "unpack it yourself and name what they point to")
        files = [(clean_name(name), content) for name, kind, content in entries if kind == "file"]
        files = [file for file in files if not _is_machinery(file[0])]
        files.sort(key=lambda file: _walk_order(file[0]))
        room = max(0, self.limits.files - self.budget.members)
        if len(files) > room:
            message = f"more than {self.limits.files} files: the rest was left out"
            self.found.trouble(archive.path, message, "unpack it and name the folder that matters")
        self.budget.members += min(len(files), room)
        return files[:room]

    def _check_depth(self, item: Item) -> None:
        if item.archives >= self.limits.archives or item.layers >= self.limits.layers:
            raise Unreadable("an archive too deep within archives: left out", _UNPACK_HINT)

    def _keep(self, chunks: Chunks) -> tuple[Blob, Exception | None]:
        if self._spool is None:
            self._spool = Spool(self.limits)
        return self._spool.add(chunks)


def is_model(name: str, size: int | None, head: bytes) -> bool:
    """Model files are noted, not read."""
    big = size is None or size > _MODEL_BYTES
    return head[:4] == b"GGUF" or (big and Path(name).suffix.lower() in _MODEL_SUFFIXES)


def clean_name(name: str) -> str:
    """A member's name for showing: no way out of the archive, no control characters, not endless."""
    parts = [part for part in re.split(r"[/\\]", name) if part not in {"", ".", ".."}]
    return _CONTROL.sub("?", "/".join(parts))[-_LONGEST_NAME:] or "?"


def _is_machinery(path: str) -> bool:
    """Version control, caches, and what macOS puts into archives beside every file."""
    *folders, name = path.split("/")
    return not IGNORED_FOLDERS.isdisjoint(folders) or name.startswith("._")


def _walk_order(path: str) -> list[tuple[bool, str]]:
    """Files of a folder before those of the folders in it, as ``os.walk`` goes."""
    *folders, name = path.split("/")
    return [*((True, folder) for folder in folders), (False, name)]
