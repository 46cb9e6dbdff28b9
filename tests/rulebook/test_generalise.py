"""One line of a log -> a pattern that finds it, and others like it."""

from __future__ import annotations

import re
import string

import pytest
import regex
from hypothesis import example, given, settings
from hypothesis import strategies as st

from doctor.rulebook.generalise import generalise, own_words
from doctor.scan.patterns import check

_NO_LINE_END = st.characters(codec="utf-8", exclude_characters="\n\r")
_PIECES = st.sampled_from(
    """
    cudaMalloc 0x7f00ff 4096.00_MiB 1.2.3.4:80 CUDA0 RPC[1.2.3.4:5] /srv/a/c.gguf 'it's' don't q4_0 -1 3.14 b4598 v0.9.6
    [ ( {e<=1} \\ [[:alpha:]] $ ^ \x1b[31m \u202e \ufffd 显存不足 é 2025-01-01T00:00:00Z time=x msg="a INFO E x.cpp:12:
    16.15.162.661 {"log":"x"} deadbeef01 `a` "q" # & %s
    """.replace("_MiB", "\0MiB").split()
).map(lambda piece: piece.replace("\0", " "))


@settings(deadline=None, max_examples=150)
@given(
    st.one_of(
        st.text(_NO_LINE_END, max_size=120),
        st.lists(_PIECES | st.text(string.printable.strip(), max_size=6), max_size=9).map(" ".join),
    )
)
@example("a" * 5000)
@example("\\d{4} (?P<x>) ]")
@example("'''' \"\"\" ```")
def test_any_line_gives_a_pattern_that_finds_it_and_can_be_searched_for(line: str) -> None:
    try:
        made = generalise(line)
    except ValueError:
        has_words = re.search(r"[^\W\d_]{4}", own_words(line))
        assert not has_words, "four letters are enough"
        return
    assert check(made.pattern) == []
    found = regex.search(
        made.pattern, re.sub(r"\x1b\[[0-?]*[ -/]*[@-~]", "", line), regex.ASCII
    )  # colours are left out
    assert found or "{" in line, "inside JSON the text may be escaped"
    own = regex.search(made.pattern, made.text, regex.ASCII)
    assert own
    assert set(made.values) == set(own.re.groupindex)
    assert set(made.captures) <= set(made.values)


@pytest.mark.parametrize(
    ("line", "pattern"),
    [
        (
            "alloc_buffer: allocating 4096.00 MiB on device 0: cudaMalloc failed: out of memory",
            r"alloc_buffer: allocating (?P<size>\d+(?:[.,]\d+)?\s?[kKMGT]?i?B?)\b on device (?P<device>\d+): "
            r"cudaMalloc failed: out of memory",
        ),
        (
            "slot context shift, n_keep = 1, n_left = 2054",
            r"slot context shift, n_keep = (?P<n_keep>\d+), n_left = (?P<n_left>\d+)",
        ),
        ("invalid offset -1 in block", r"invalid offset (?P<offset>-?\d+) in block"),
        ("cannot use q4_0 with fp16 on layer 12", r"cannot use q4_0 with fp16 on layer (?P<layer>\d+)"),
        ("don't read /srv/models/x.gguf", r"don't read (?P<path>\S*[/\\]\S*)"),
        ("unknown model architecture: 'qwen9'", r"unknown model architecture: '(?P<architecture>[^']*)'"),
        ("Failed to connect to 10.0.0.2:50052", r"Failed to connect to (?P<endpoint>[\w.-]+:\d+)"),
        ("no kernel image for sm_120", r"no kernel image for (?P<arch>[a-z]+_?\w+)"),
        ("buffer of size 5502926848 refused", r"buffer of size (?P<size>\d+) refused"),
        ("too new: version 0.11.0", r"too new: version (?P<version>[vb]?\d[\w.+-]*)"),
        ("failed to allocate CUDA0 buffer", r"failed to allocate (?P<device>[A-Za-z]+(?:[ :]?\d+|\[[^\]]+\])) buffer"),
    ],
)
def test_what_differs_from_log_to_log_is_captured(line: str, pattern: str) -> None:
    assert generalise(line).pattern == pattern


@pytest.mark.parametrize(
    "line",
    [
        "cudaMalloc failed: out of memory",
        "Nov 03 06:10:16 box ollama[3085]: cudaMalloc failed: out of memory",
        "2025-01-01T00:00:00.123456789Z stderr F cudaMalloc failed: out of memory",
        "2025-01-01T00:00:00.123456789Z cudaMalloc failed: out of memory",
        "web-1  | cudaMalloc failed: out of memory",
        "[pod/llm-0/server] cudaMalloc failed: out of memory",
        '{"log":"cudaMalloc failed: out of memory\\n","stream":"stderr","time":"2025-01-01T00:00:00Z"}',
        '{"MESSAGE":"cudaMalloc failed: out of memory","PRIORITY":"3"}',
        "0.16.162.661 E cudaMalloc failed: out of memory",
        "(EngineCore_DP0 pid=171) ERROR 10-19 08:05:03 [core.py:708] cudaMalloc failed: out of memory",
        "/home/x/llama.cpp/ggml/src/ggml-backend.cpp:746: cudaMalloc failed: out of memory",
        "[ 8421.337320] cudaMalloc failed: out of memory",
        "Nov 03 06:10:16 box docker[3]: 0.16.162.661 E ggml-rpc.cpp:12: cudaMalloc failed: out of memory",
        "\x1b[31mERROR\x1b[0m cudaMalloc failed: out of memory",
    ],
)
def test_what_stands_before_the_programs_own_words_is_left_out(line: str) -> None:
    assert own_words(line) == "cudaMalloc failed: out of memory"


@pytest.mark.parametrize("line", ["", "   ", "12 34", "0x00", "a b c", "\x1b[0m", "=> 3"])
def test_a_line_without_words_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="words"):
        generalise(line)


def test_types_and_values() -> None:
    made = generalise("allocating 5.5 GiB, needs torch 2.8.0, size 5502926848, layer 3")
    assert made.captures == {"size": "size", "version": "version", "size_2": "bytes", "layer": "int"}
    assert made.values == {"size": "5.5 GiB", "version": "2.8.0", "size_2": "5502926848", "layer": "3"}


def test_a_long_line_gives_a_bounded_pattern() -> None:
    made = generalise("1 " * 500 + "the words come late " + "x" * 3000)
    assert "words come late" in made.pattern
    assert len(made.pattern) < 1000
