"""What packs a file, by its first bytes."""

from __future__ import annotations

TAR_BLOCK = 512
COMPRESSION = {
    "gzip": (b"\x1f\x8b\x08",),
    "zstd": (b"\x28\xb5\x2f\xfd", *(bytes([0x50 + i]) + b"\x2a\x4d\x18" for i in range(16))),
    "xz": (b"\xfd7zXZ\x00",),
    "bzip2": tuple(b"BZh%d" % level + tail for level in range(1, 10) for tail in (b"1AY&SY", b"\x17rE8P\x90")),
}
ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08PK\x03\x04")
_SUFFIXES = {
    "gzip": (".gz", ".tgz"),
    "zstd": (".zst", ".zstd", ".tzst"),
    "xz": (".xz", ".txz"),
    "bzip2": (".bz2", ".tbz2", ".tbz"),
}
_OTHERS = {
    b"7z\xbc\xaf\x27\x1c": "7-Zip",
    b"Rar!\x1a\x07": "RAR",
    b"\x04\x22\x4d\x18": "lz4",
    b"\x1f\x9d": "compress (.Z)",
}


# Files that are no text at all: first bytes -> what it is, and what to name instead.
_NO_TEXT = {
    b"\x7fELF": ("a program, library or core dump (ELF)", "name the log that the program wrote"),
    b"\xcf\xfa\xed\xfe": ("a program or library (Mach-O)", "name the log that the program wrote"),
    b"\xca\xfe\xba\xbe": ("a program or library (Mach-O)", "name the log that the program wrote"),
    b"MDMP": ("a minidump", "name the log that the program wrote"),
    b"LPKSHHRH": ("a binary journal", "journalctl --file FILE -o short-iso | llmdoctor analyze -"),
    b"bplist00": ("a binary property list", "plutil -convert xml1 -o - FILE prints it as text"),
    b"SQLite format 3\0": ("a database (SQLite)", ""),
    b"\x89PNG\r\n": ("a picture (PNG)", "save the text itself, not a picture of it"),
    b"\xff\xd8\xff": ("a picture (JPEG)", "save the text itself, not a picture of it"),
    b"%PDF-": ("a PDF document", "save the text itself"),
    b"\x93NUMPY": ("an array (NumPy)", ""),
}


def no_text(head: bytes) -> tuple[str, str] | None:
    """What a file is that holds no text, and a hint; None for what may be text."""
    if head[:2] == b"MZ" and b"\0" in head[:64]:  # two letters alone may begin a text
        return "a program or library (Windows)", "name the log that the program wrote"
    return next((what for magic, what in _NO_TEXT.items() if head.startswith(magic)), None)


def compression_of(head: bytes) -> str | None:
    """gzip, zstd, xz or bzip2."""
    return next((name for name, magics in COMPRESSION.items() if head.startswith(magics)), None)


def is_zip(head: bytes) -> bool:
    return head.startswith(ZIP)


def is_tar(head: bytes) -> bool:
    """Whether the first block is a header, by its checksum: the oldest tars have no magic."""
    return len(head) >= TAR_BLOCK and head[0] != 0 and tar_checksum_holds(head[:TAR_BLOCK])


def unknown_packer(head: bytes) -> str | None:
    """The name of a packer whose files can't be read here."""
    return next((name for magic, name in _OTHERS.items() if head.startswith(magic)), None)


def tar_checksum_holds(header: bytes) -> bool:
    """The sum of all bytes, its own field as blanks; some old tars added up signed bytes."""
    try:
        stated = int(header[148:156].strip(b"\0 ") or b"x", 8)
    except ValueError:
        return False
    total = 8 * 32 + sum(header[:148]) + sum(header[156:])
    return stated in {total, total - 256 * sum(byte > 127 for byte in header[:148] + header[156:])}


def bare_name(name: str, compression: str) -> str:
    """A name without the suffix of its compression: ``server.log.gz`` -> ``server.log``, ``a.tgz`` -> ``a.tar``."""
    for suffix in _SUFFIXES[compression]:
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)] + (".tar" if suffix.startswith(".t") else "")
    return name
