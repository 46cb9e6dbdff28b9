from __future__ import annotations

import io
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doctor.scan.blocks import OVERLAP_BYTES, Block, Blocks, read_head

BLOCK = 70_000


def taken(blocks: Blocks) -> list[tuple[Block, bytes]]:
    found = []
    buffer = bytearray(blocks.block_bytes)
    while (block := blocks.take(buffer)) is not None:
        found.append((block, bytes(buffer[: block.size])))
    assert blocks.take(buffer) is None
    return found


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**9), head=st.integers(0, 200_000))
def test_blocks_are_the_text_again(seed: int, head: int) -> None:
    dice = random.Random(seed)
    lengths = (0, 10, 1000, 69_998, 69_999, 70_000, 70_001, 140_000, 250_000)
    data = b"".join(dice.randbytes(5).replace(b"\n", b"x") * (dice.choice(lengths) // 5) + b"\n" for _ in range(12))
    data = data[: dice.randrange(len(data) + 1)]
    blocks = Blocks(data[:head], io.BytesIO(data[head:]), BLOCK)
    text = b""
    for number, (block, content) in enumerate(taken(blocks)):
        assert block.number == number
        known = OVERLAP_BYTES if block.continues else 0
        assert text.endswith(content[:known])
        assert b"\n" not in content[:known]
        assert block.continues or not text or text.endswith(b"\n")
        text += content[known:]
        assert block.read == len(text)
    assert text == data
    assert blocks.read == len(data)
    assert blocks.last_byte == data[-1:]
    assert not blocks.problem


def test_only_the_last_block_is_final() -> None:
    found = taken(Blocks(b"", io.BytesIO(b"line\n" * 40_000), BLOCK))
    assert [block.final for block, _ in found] == [False, False, True]
    assert all(content.endswith(b"\n") for _, content in found)


def test_a_stream_without_readinto() -> None:
    class Reader:
        def __init__(self) -> None:
            self.inner = io.BytesIO(b"line\n" * 20_000)

        def read(self, size: int) -> bytes:
            return self.inner.read(min(size, 777))

    found = taken(Blocks(b"head\n", Reader(), BLOCK))  # type: ignore[arg-type]
    assert b"".join(content for _, content in found) == b"head\n" + b"line\n" * 20_000


def test_blocks_no_larger_than_the_overlap_would_never_end() -> None:
    with pytest.raises(ValueError, match="overlap"):
        Blocks(b"", None, OVERLAP_BYTES)


def test_read_head() -> None:
    assert read_head(io.BytesIO(b"abc"), 10) == (b"abc", True)
    assert read_head(io.BytesIO(b"abcdef"), 3) == (b"abc", False)
    assert read_head(io.BytesIO(b""), 3) == (b"", True)
