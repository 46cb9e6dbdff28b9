from __future__ import annotations

import bz2
import gzip
import lzma
import os
import tracemalloc
from collections.abc import Callable, Iterator

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from doctor.read.compressed import decompressed
from doctor.read.limits import MIB, Budget, Limits, Meter, Unreadable
from doctor.read.magic import bare_name, compression_of


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstd,
}
LOG = b"".join(b"2026-01-01 00:00:%02d line %d of a log\n" % (i % 60, i) for i in range(50_000))


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


def unpack(data: bytes, kind: str, size: int = 1 << 18, limits: Limits | None = None) -> bytes:
    limits = limits or Limits()
    return b"".join(decompressed(pieces(data, size), kind, Meter(Budget(limits, len(data)))))


def unpacked_until_failure(data: bytes, kind: str, limits: Limits | None = None) -> tuple[int, str]:
    """How much comes, and what then goes wrong."""
    size = 0
    try:
        for piece in decompressed(pieces(data, 4096), kind, Meter(Budget(limits or Limits(), len(data)))):
            size += len(piece)
    except Unreadable as error:
        return size, error.message
    return size, ""


@pytest.mark.parametrize("kind", PACKERS)
@given(parts=st.lists(st.binary(max_size=3000), min_size=1, max_size=3), size=st.integers(1, 5000))
def test_round_trip_of_one_or_several_packed_streams(kind: str, parts: list[bytes], size: int) -> None:
    packed = b"".join(PACKERS[kind](part) for part in parts)
    assert compression_of(packed) == kind
    assert unpack(packed, kind, size) == b"".join(parts)


@pytest.mark.parametrize("kind", PACKERS)
def test_cut_short_gives_what_is_there_and_says_so(kind: str) -> None:
    packed = PACKERS[kind](LOG)
    size, message = unpacked_until_failure(packed[: len(packed) * 3 // 4], kind)
    assert "cut short" in message
    assert size > len(LOG) // 4
    assert b"".join(_what_comes(packed[: len(packed) * 3 // 4], kind)) == LOG[:size]


def _what_comes(data: bytes, kind: str) -> Iterator[bytes]:
    try:
        yield from decompressed(pieces(data, 4096), kind, Meter(Budget(Limits(), len(data))))
    except Unreadable:
        return


@pytest.mark.parametrize("kind", PACKERS)
@given(at=st.integers(20, 2000), flip=st.integers(1, 255))
def test_damage_never_raises_anything_else(kind: str, at: int, flip: int) -> None:
    packed = bytearray(PACKERS[kind](LOG[:20_000]))
    packed[at % len(packed)] ^= flip
    unpacked_until_failure(bytes(packed), kind)  # an error of another kind would come through


@pytest.mark.parametrize("kind", PACKERS)
@given(data=st.binary(max_size=500))
def test_noise_behind_the_magic_never_raises_anything_else(kind: str, data: bytes) -> None:
    unpacked_until_failure(PACKERS[kind](b"")[:10] + data, kind)


def test_what_stands_before_damage_is_kept() -> None:
    packed = bytearray(gzip.compress(os.urandom(400_000)))
    packed[300_000] ^= 0xFF
    size, message = unpacked_until_failure(bytes(packed[:-8]) + bytes(8), "gzip")
    assert message.startswith("damaged")
    assert size > 250_000


def test_rubbish_behind_a_packed_log_is_ignored() -> None:
    assert unpack(gzip.compress(LOG) + b"rubbish", "gzip") == LOG
    assert unpack(lzma.compress(LOG) + bytes(8) + lzma.compress(b"more"), "xz") == LOG + b"more"


def test_a_skippable_zstandard_frame_is_passed_over() -> None:
    skippable = b"\x50\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"index"
    assert compression_of(skippable) == "zstd"
    assert unpack(skippable + zstd(LOG), "zstd") == LOG


@pytest.mark.parametrize("kind", PACKERS)
def test_a_bomb_is_read_up_to_its_limit_in_little_memory(kind: str) -> None:
    bomb = PACKERS[kind](bytes(24 * MIB))
    limits = Limits(free_bytes=4 * MIB, ratio=2)
    tracemalloc.start()
    size, message = unpacked_until_failure(bomb, kind, limits)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "expands to more than 4 MiB" in message
    assert size <= 4 * MIB
    assert peak < 25 * MIB


def test_one_member_has_a_limit_too() -> None:
    size, message = unpacked_until_failure(gzip.compress(LOG), "gzip", Limits(member_bytes=MIB))
    assert "expands to more than 1 MiB" in message
    assert size <= MIB


def test_reading_twice_is_charged_once() -> None:
    packed = gzip.compress(LOG)
    budget = Budget(Limits(free_bytes=len(LOG) + 100, ratio=1), len(packed))
    meter = Meter(budget)
    for _ in range(3):
        assert b"".join(decompressed(iter([packed]), "gzip", meter)) == LOG
    assert budget.used == len(LOG)


def test_a_window_that_would_take_too_much_memory_is_refused() -> None:
    wide = zstandard.ZstdCompressionParameters(window_log=29, enable_ldm=True)
    packer = zstandard.ZstdCompressor(compression_params=wide).compressobj()
    size, message = unpacked_until_failure(packer.compress(LOG) + packer.flush(), "zstd")
    assert (size, message) == (0, "damaged: zstd decompressor error: Frame requires too much memory for decoding")


@pytest.mark.parametrize(
    ("name", "kind", "bare"),
    [
        ("server.log.gz", "gzip", "server.log"),
        ("bundle.tgz", "gzip", "bundle.tar"),
        ("journal.zst", "zstd", "journal"),
        (".env.xz", "xz", ".env"),
        ("server.log", "gzip", "server.log"),
        (".gz", "gzip", ".gz"),
    ],
)
def test_names_without_the_suffix_of_compression(name: str, kind: str, bare: str) -> None:
    assert bare_name(name, kind) == bare
