"""Archives, friendly and hostile: what is in them is read within bounds, or refused with one clear problem."""

from __future__ import annotations

import gzip
import io
import subprocess
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from doctor.errors import UsageProblem
from doctor.read.limits import MIB, Limits
from doctor.read.sources import Collection, Source, collect

LOG = b"".join(b"2026-01-01 00:00:%02d line %d of a log\n" % (i % 60, i) for i in range(2000))


def zip_of(items: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in items.items():
            archive.writestr(name, data)
    return file.getvalue()


def tar_of(
    items: dict[str, bytes], *others: tarfile.TarInfo, mode: str = "w", format_: int = tarfile.PAX_FORMAT
) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode, format=format_) as archive:  # type: ignore[call-overload]
        for name, data in items.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for info in others:
            archive.addfile(info)
    return file.getvalue()


def other(name: str, kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, "/etc/passwd"
    return info


def found(tmp_path: Path, data: bytes, name: str = "logs.x", **limits: int) -> Collection:
    path = tmp_path / name
    path.write_bytes(data)
    collection = Collection()
    try:
        return collect([str(path)], limits=Limits(**limits), found=collection)
    except UsageProblem:
        return collection


def content(source: Source) -> bytes:
    with source.open() as stream:
        return stream.read()


def names(collection: Collection) -> list[str]:
    return [source.path.partition("!")[2] for source in collection.sources]


PACKINGS = {
    "zip": zip_of,
    "zip-stored": lambda items: zip_of(items, zipfile.ZIP_STORED),
    "zip-bzip2": lambda items: zip_of(items, zipfile.ZIP_BZIP2),
    "tar": tar_of,
    "tar-gnu": lambda items: tar_of(items, format_=tarfile.GNU_FORMAT),
    "tar-ustar": lambda items: tar_of(items, format_=tarfile.USTAR_FORMAT),
    "tar.gz": lambda items: tar_of(items, mode="w:gz"),
    "tar.xz": lambda items: tar_of(items, mode="w:xz"),
    "tar.bz2": lambda items: tar_of(items, mode="w:bz2"),
    "tar.zst": lambda items: zstandard.ZstdCompressor().compress(tar_of(items)),
    "gz in zip": lambda items: zip_of({f"{name}.gz": gzip.compress(data) for name, data in items.items()}),
    "zip in zip": lambda items: zip_of({"inner.zip": zip_of(items)}),
    "zip in tar.gz": lambda items: tar_of({"inner.zip": zip_of(items)}, mode="w:gz"),
    "tar.gz in zip": lambda items: zip_of({"inner.tgz": tar_of(items, mode="w:gz")}),
    "zip in gz": lambda items: gzip.compress(zip_of(items)),
}


@pytest.mark.parametrize("packing", PACKINGS)
def test_members_become_sources_in_the_order_of_a_folder(packing: str, tmp_path: Path) -> None:
    items = {"b/z.log": LOG, "z.log": b"z\n", "b/a.log": b"a\n", "a.log": LOG[:100], "empty.log": b""}
    collection = found(tmp_path, PACKINGS[packing](items))  # the name says nothing
    assert collection.problems == []
    order = ["a.log", "empty.log", "z.log", "b/a.log", "b/z.log"]
    prefix = "inner" if packing in {"zip in zip", "zip in tar.gz", "tar.gz in zip"} else ""
    assert [name.rpartition("!")[2].removesuffix(".gz") for name in names(collection)] == order
    assert all(name.startswith(prefix) for name in names(collection))
    assert [content(source) for source in collection.sources] == [items[name] for name in order]
    assert [source.name for source in collection.sources] == [f"/{name}" for name in order]


@given(
    texts=st.dictionaries(
        st.from_regex(r"[a-z]{1,8}(/[a-z]{1,120}){0,3}\.log", fullmatch=True),
        st.text("abc\n ", min_size=1, max_size=3000),
    )
)
@pytest.mark.parametrize("packing", ["zip", "tar", "tar-gnu", "tar.zst"])
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_round_trip(packing: str, texts: dict[str, str], tmp_path: Path) -> None:
    items = {name: text.encode() for name, text in texts.items()} | {"one.log": b"1\n"}
    collection = found(tmp_path, PACKINGS[packing](items))
    assert {source.name[1:]: content(source) for source in collection.sources} == items


def test_a_name_never_leads_out_and_never_reaches_the_terminal(tmp_path: Path) -> None:
    items = {"../../etc/passwd": b"x\n", "/abs/x.log": b"x\n", "a\x1b[31m\u202e.log": b"x\n", "..": b"x\n"}
    for data in (zip_of(items), tar_of(items)):
        collection = found(tmp_path, data)
        assert sorted(names(collection)) == ["?", "a?[31m?.log", "abs/x.log", "etc/passwd"]


def test_what_macos_adds_is_no_log(tmp_path: Path) -> None:
    items = {"a.log": LOG, "._a.log": b"\0\5\x16\7", "__MACOSX/._a.log": b"\0\5\x16\7", ".git/config": b"x"}
    assert names(found(tmp_path, zip_of(items))) == names(found(tmp_path, tar_of(items))) == ["a.log"]


def test_links_devices_and_pipes_are_left_out_with_one_problem(tmp_path: Path) -> None:
    kinds = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE)
    collection = found(tmp_path, tar_of({"a.log": LOG}, *(other(f"x{kind!r}", kind) for kind in kinds)))
    assert names(collection) == ["a.log"]
    assert [message for _, message, _ in collection.problems] == [
        "links, devices or sparse files in it are left out (5)"
    ]
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("a.log", LOG)
    collection = found(tmp_path, file.getvalue())
    assert names(collection) == ["a.log"]
    assert len(collection.problems) == 1


def test_archives_within_archives_end_somewhere(tmp_path: Path) -> None:
    data = zip_of({"a.log": LOG})
    for _ in range(6):
        data = zip_of({f"{n}.zip": data for n in range(5)})
    collection = found(tmp_path, data)
    assert collection.sources == []
    assert len(collection.problems) <= 6
    assert "too deep" in collection.problems[0][1]
    assert "20 more like it" in collection.problems[-1][1] or "19 more like it" in collection.problems[-1][1]


def test_packed_over_and_over(tmp_path: Path) -> None:
    data = LOG
    for _ in range(8):
        data = gzip.compress(data)
    collection = found(tmp_path, data)
    assert collection.sources == []
    assert len(collection.problems) == 1
    assert "packed too many times" in collection.problems[0][1]


def test_more_members_than_allowed(tmp_path: Path) -> None:
    items = {f"{n:03}.log": b"x\n" for n in range(50)}
    for data in (zip_of(items), tar_of(items), tar_of(items, mode="w:gz")):
        collection = found(tmp_path, data, files=20)
        assert len(collection.sources) == 20
        assert [message for _, message, _ in collection.problems] == ["more than 20 files: the rest was left out"]


@pytest.mark.parametrize("packing", ["zip", "zip-bzip2", "tar.gz", "tar.xz", "tar.zst"])
def test_a_bomb_in_an_archive(packing: str, tmp_path: Path) -> None:
    data = PACKINGS[packing]({"a.log": LOG, "bomb.log": bytes(20 * MIB)})
    tracemalloc.start()
    collection = found(tmp_path, data, free_bytes=4 * MIB, ratio=2)
    sizes = [len(content(source)) for source in collection.sources]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sizes[0] == len(LOG)
    assert sum(sizes) <= 4 * MIB
    told = [message for _, message, _ in collection.problems]
    told += [message for source in collection.sources for message in source.troubles]
    assert len(told) == 1
    assert "expands to more than 4 MiB" in told[0]
    assert peak < 50 * MIB


def test_a_zip_whose_members_overlap_is_bounded_as_a_whole(tmp_path: Path) -> None:
    """One piece of packed data, listed many times: a few kilobytes that unpack to gigabytes."""
    data = bytearray(zip_of({"a": bytes(8 * MIB)}))
    start = data.rindex(b"PK\x01\x02")
    entry, end = bytes(data[start : data.rindex(b"PK\x05\x06")]), bytearray(data[data.rindex(b"PK\x05\x06") :])
    listed = b"".join(entry[:46] + bytes([65 + n]) + entry[47:] for n in range(50))
    end[8:10] = end[10:12] = (50).to_bytes(2, "little")
    end[12:16] = len(listed).to_bytes(4, "little")
    collection = found(tmp_path, bytes(data[:start]) + listed + bytes(end), free_bytes=32 * MIB, ratio=1)
    assert 0 < len(collection.sources) < 50
    assert len(collection.problems) <= 6
    assert sum(len(content(source)) for source in collection.sources) <= 32 * MIB


def test_spooling_is_bounded(tmp_path: Path) -> None:
    collection = found(tmp_path, tar_of({"a.log": LOG, "b.log": LOG * 20}, mode="w:gz"), spool_bytes=len(LOG) + 1000)
    assert content(collection.sources[0]) == LOG
    assert "temporary room" in collection.problems[0][1]
    assert "TMPDIR" in collection.problems[0][2]


@pytest.mark.parametrize("packing", ["zip", "tar", "tar.gz", "zip-stored"])
@given(keep=st.floats(0.2, 0.99))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_cut_anywhere(packing: str, keep: float, tmp_path: Path) -> None:
    data = PACKINGS[packing]({"a.log": LOG, "b.log": LOG[::-1]})
    collection = found(tmp_path, data[: int(len(data) * keep)])
    contents = [content(source) for source in collection.sources]
    if packing.startswith("tar"):
        assert b"".join(contents) == (LOG + LOG[::-1])[: len(b"".join(contents))]
    told = [*collection.problems, *(source.troubles for source in collection.sources if source.troubles)]
    assert 1 <= len(told) <= 2 or b"".join(contents) == LOG + LOG[::-1]


@pytest.mark.parametrize("packing", ["zip", "tar", "tar.gz"])
@given(at=st.integers(0, 10**6), byte=st.integers(0, 255))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_changed_byte(packing: str, at: int, byte: int, tmp_path: Path) -> None:
    data = bytearray(PACKINGS[packing]({"a.log": LOG[:5000], "b/c.log": LOG[:900]}))
    data[at % len(data)] = byte
    for source in found(tmp_path, bytes(data)).sources:  # never a traceback
        content(source)


@given(data=st.binary(max_size=1500))
@pytest.mark.parametrize(
    "magic", [b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b\x08", b"\xfd7zXZ\x00", b"BZh91AY&SY", b"\x28\xb5\x2f\xfd"]
)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_noise(magic: bytes, data: bytes, tmp_path: Path) -> None:
    for source in found(tmp_path, magic + data).sources:
        content(source)


def header(kind: bytes, size: bytes) -> bytes:
    block = bytearray(512)
    block[:4], block[124:136], block[156:157], block[257:263] = b"name", size, kind, b"ustar\0"
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


@pytest.mark.parametrize(
    ("kind", "size"),
    [
        (b"x", b"77777777777\0"),  # an extended header of 8 GiB
        (b"L", b"77777777777\0"),
        (b"0", b"\xff" * 12),  # a negative size
        (b"0", b"\x80" + b"\xff" * 11),
        (b"0", b"not a number"),
        (b"g", b"77777777777\0"),
    ],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_tar_headers_that_lie(kind: bytes, size: bytes, pack: type[bytes], tmp_path: Path) -> None:
    tracemalloc.start()
    collection = found(tmp_path, pack(header(kind, size) + b"9" * 2048))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert collection.sources == []
    assert len(collection.problems) == 1
    assert collection.problems[0][2]
    assert peak < 8 * MIB


def test_files_with_holes_are_passed_over(tmp_path: Path) -> None:
    with (tmp_path / "hole.log").open("wb") as file:
        file.write(b"start\n")
        file.truncate(3_000_000)
    (tmp_path / "plain.log").write_bytes(LOG)
    for format_ in ("posix", "gnu", "oldgnu"):
        command = ["tar", "--sparse", f"--format={format_}", "-cf", "s.tar", "hole.log", "plain.log"]
        subprocess.run(command, cwd=tmp_path, check=True)
        collection = collect([str(tmp_path / "s.tar")])
        assert names(collection) == ["plain.log"]
        assert content(collection.sources[0]) == LOG
        assert len(collection.problems) == 1


def test_an_encrypted_member_is_named(tmp_path: Path) -> None:
    data = bytearray(zip_of({"a.log": LOG}))
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    collection = found(tmp_path, bytes(data))
    assert collection.problems == [
        (f"{tmp_path / 'logs.x'}!a.log", "is encrypted", "unpack it yourself and name what comes out")
    ]


def test_an_unknown_zip_method_is_named(tmp_path: Path) -> None:
    collection = found(tmp_path, zip_of({"a.log": LOG}, zipfile.ZIP_LZMA))
    assert "zip method 14" in collection.problems[0][1]


def test_a_damaged_member_says_so(tmp_path: Path) -> None:
    data = bytearray(zip_of({"a.log": LOG}, zipfile.ZIP_STORED))
    data[1000] ^= 0xFF
    source = found(tmp_path, bytes(data)).sources[0]
    assert len(content(source)) == len(LOG)
    assert list(source.troubles) == ["damaged: the checksum is wrong"]


@pytest.mark.parametrize(
    ("head", "word"), [(b"\x7fELF\x02\x01\x01", "ELF"), (b"MZ\x90\0\x03", "Windows"), (b"LPKSHHRH", "journal")]
)
def test_what_is_no_text_is_named_and_left_out(tmp_path: Path, head: bytes, word: str) -> None:
    collection = found(tmp_path, head + b"\0error: out of memory\0" * 40)
    assert collection.sources == []
    assert word in collection.problems[0][1]


def test_other_packers_are_named(tmp_path: Path) -> None:
    collection = found(tmp_path, b"7z\xbc\xaf\x27\x1c" + bytes(100))
    assert "7-Zip" in collection.problems[0][1]


def test_models_in_archives_are_noted_and_not_kept(tmp_path: Path) -> None:
    model = b"GGUF" + bytes(2 * MIB)
    for data in (zip_of({"m.gguf": model, "a.log": LOG}), tar_of({"m.gguf": model, "a.log": LOG}, mode="w:gz")):
        collection = found(tmp_path, data)
        assert names(collection) == ["a.log"]
        assert [(path.partition("!")[2], size) for path, size in collection.model_files] == [("m.gguf", len(model))]


def test_sources_of_a_compressed_tar_can_be_read_side_by_side(tmp_path: Path) -> None:
    items = {"a.log": LOG, "b.log": LOG[::-1]}
    sources = found(tmp_path, tar_of(items, mode="w:gz")).sources
    streams = [source.open() for source in sources]
    parts: list[list[bytes]] = [[], []]
    for _ in range(2 * len(LOG) // 1000 + 2):
        for stream, part in zip(streams, parts, strict=True):
            part.append(stream.read(1000))
    assert [b"".join(part) for part in parts] == [LOG, LOG[::-1]]
