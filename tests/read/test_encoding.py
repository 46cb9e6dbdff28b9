from __future__ import annotations

import codecs
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctor.read.encoding import encoding_of, transcoded

LOG = "llama_model_loader: loaded meta data\r\n非法指令\r\nggml_cuda_init: found 1 CUDA devices\r\n"


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=300), size=st.integers(1, 50))
@pytest.mark.parametrize(
    ("mark", "encoding"),
    [(codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"), (codecs.BOM_UTF8, "utf-8")],
)
def test_round_trip_with_a_mark(mark: bytes, encoding: str, text: str, size: int) -> None:
    data = mark + text.encode(encoding)
    assert encoding_of(data) == encoding
    assert b"".join(transcoded(pieces(data, size), encoding)) == text.encode()


@given(words=st.lists(st.text(st.characters(codec="ascii", categories=["L", "N", "P", "Zs"]), min_size=1), min_size=4))
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_told_without_a_mark(encoding: str, words: list[str]) -> None:
    assert encoding_of("\n".join(words).encode(encoding)) == encoding


@given(data=st.binary(max_size=400), size=st.integers(1, 50))
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-8"])
def test_any_bytes_become_valid_utf_8(encoding: str, data: bytes, size: int) -> None:
    out = b"".join(transcoded(pieces(data, size), encoding))
    if encoding != "utf-8":
        out.decode()


@pytest.mark.parametrize(
    "data",
    [
        b"plain text\n",
        LOG.encode(),
        "Schl\u00fcssel f\u00e4llt".encode("latin-1"),
        bytes(4096) + b"2026-01-01 a log that was cut while it was open\n",
        b"a line with a \0 in it\n" * 20,
        b"\x7fELF\x02\x01\x01" + bytes(60),
        bytes(range(256)) * 10,
        b"",
        b"\0\0\0",
    ],
)
def test_what_is_not_utf_16(data: bytes) -> None:
    assert encoding_of(data) is None


CHINESE = "llama_load: 启动失败：内存不足，无法加载模型文件\r\n服务已停止\r\n"


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_what_a_chinese_windows_writes(size: int) -> None:
    data = CHINESE.encode("gbk")
    assert encoding_of(data) == encoding_of(data[:-1]) == "gb18030"
    assert b"".join(transcoded(pieces(data, size), "gb18030")).decode() == CHINESE


@pytest.mark.parametrize(
    "data",
    [
        CHINESE.encode(),
        CHINESE.encode()[1:-1] + b"\xe5",
        CHINESE.encode() + "größer als möglich".encode("latin-1"),
        ("größer als möglich, Schlüssel fällt\n" * 5).encode("latin-1"),
        bytes(range(1, 256)) * 4,
        "メモリが不足しています。モデルを読み込めません\n".encode("shift_jis"),
    ],
)
def test_what_is_not_gbk(data: bytes) -> None:
    assert encoding_of(data) is None


def test_a_head_that_ends_in_half_a_character() -> None:
    data = (LOG * 40).encode("utf-16-le")
    assert encoding_of(data[:4095]) == "utf-16-le"
    assert encoding_of("\U0001f600 abcdef\n".encode("utf-16-le")[2:]) is None


def test_a_last_byte_alone_is_shown_as_such() -> None:
    assert b"".join(transcoded(iter([LOG.encode("utf-16-le") + b"\x41"]), "utf-16-le")) == (LOG + "\ufffd").encode()
