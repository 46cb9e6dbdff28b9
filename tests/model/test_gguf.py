from __future__ import annotations

import resource
import struct
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from doctor.errors import UsageProblem
from doctor.model.gguf import Count, read_header
from doctor.model.read import read_model
from tests.model.support import ARRAY, LLAMA, STRING, U32, header, pair, put, tensor, text

MATRIX = tensor("token_embd.weight", (256, 3), kind=1)


def test_metadata_and_tensors_are_read(tmp_path: Path) -> None:
    found = read_header(put(tmp_path, header({**LLAMA, "llama.list": [1, 2, 3]}, [MATRIX])))
    assert found.version == 3
    assert found.metadata["general.name"] == "tiny"
    assert found.metadata["llama.list"] == [1, 2, 3]
    assert found.metadata["tokenizer.ggml.tokens"] == Count(3)
    assert [(t.name, t.type, t.shape, t.bytes) for t in found.tensors] == [("token_embd.weight", "f16", (256, 3), 1536)]


def test_data_that_is_missing_is_counted_not_read(tmp_path: Path) -> None:
    content = header(LLAMA, [MATRIX])
    padded = content + b"\0" * (-len(content) % 32)
    assert read_header(put(tmp_path, padded + b"\0" * 1000)).lacks == 536
    assert read_header(put(tmp_path, padded + b"\0" * 1536)).lacks == 0


def test_big_endian_files_are_read(tmp_path: Path) -> None:
    body = b"GGUF" + struct.pack(">Iqq", 3, 0, 1)
    body += struct.pack(">Q", 3) + b"a.b" + struct.pack(">II", U32, 7)
    found = read_header(put(tmp_path, body))
    assert found.big_endian
    assert found.metadata == {"a.b": 7}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it is empty"),
        (b"<!DOCTYPE html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"tjgg" + b"\0" * 40, "before GGUF"),
        (b"GGUF" + struct.pack("<I", 99) + b"\0" * 40, "version 99"),
        (header(LLAMA, [MATRIX])[:200], "cut short"),
        (b"GGUF" + struct.pack("<Iqq", 3, 0, 2**62), "metadata entries"),
        (b"GGUF" + struct.pack("<Iqq", 3, 2**40, 0), "tensors"),
        (b"GGUF" + struct.pack("<Iqq", 3, -1, 0), "-1 tensors"),
        (b"GGUF" + struct.pack("<IqqQ", 3, 0, 1, 2**60) + b"\0" * 64, "a key of"),
        (header({}, [tensor("x", (10, 10), kind=12)]), "not whole blocks of q4_k"),
        (header({}, [tensor("x", (10,), kind=31)]), "the unknown type 31"),
        (header({}, [tensor("x", (2**40, 2**40))]), "the shape"),
        (header({}, [tensor("x", (-1,))]), "the shape"),
        (header({}, [MATRIX, MATRIX]), "twice"),
        (header({"general.alignment": 3}), "an alignment of 3"),
    ],
)
def test_what_is_no_model_gives_one_clear_error(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(UsageProblem, match=words) as caught:
        read_header(put(tmp_path, content))
    assert caught.value.subject == str(tmp_path / "model.gguf")


def raw(key: str, kind: int, rest: bytes) -> bytes:
    return b"GGUF" + struct.pack("<Iqq", 3, 0, 1) + text(key) + struct.pack("<I", kind) + rest


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (raw("a", 77, b""), "unknown type 77"),
        (raw("a", ARRAY, struct.pack("<IQ", ARRAY, 10) + b"\0" * 99), "an array of arrays"),
        (raw("a", ARRAY, struct.pack("<IQ", U32, 2**61)), "an array of"),
        (raw("a", ARRAY, struct.pack("<IQ", STRING, 2**61)), "an array of"),
        (raw("a", ARRAY, struct.pack("<IQQ", STRING, 2, 2**63) + b"\0" * 99), "a word of"),
        (raw("a", STRING, struct.pack("<Q", 2**64 - 1)), "the value of"),
    ],
)
def test_absurd_values_are_named(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(UsageProblem, match=words):
        read_header(put(tmp_path, content))


def test_a_key_twice_is_refused_as_the_engine_does(tmp_path: Path) -> None:
    content = b"GGUF" + struct.pack("<Iqq", 3, 0, 2) + pair("a", 1) + pair("a", 2)
    with pytest.raises(UsageProblem, match="twice"):
        read_header(put(tmp_path, content))


def test_a_folder_a_device_and_nothing_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="No such file"):
        read_header(tmp_path / "none.gguf")
    with pytest.raises(UsageProblem, match="regular"):
        read_header("/dev/null")
    with pytest.raises(UsageProblem, match="null"):
        read_header("a\0b")


HEADER = header({**LLAMA, "tokenizer.ggml.scores": list(range(300))}, [MATRIX, tensor("output.weight", (256, 3), 8)])


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_damage_gives_a_header_or_one_error(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(HEADER)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(4, len(content) - 1))
        patch = data.draw(st.binary(min_size=1, max_size=8) | st.sampled_from([b"\xff" * 8, b"\0" * 8, b"\x7f" * 8]))
        content[at : at + len(patch)] = patch
    cut = data.draw(st.integers(4, len(content)))
    path = put(tmp_path, bytes(content[:cut]))
    try:
        read_model(path)
    except UsageProblem as problem:
        assert "\n" not in problem.message


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rest=st.binary(max_size=400))
def test_any_bytes_behind_the_magic_are_survived(tmp_path: Path, rest: bytes) -> None:
    with suppress(UsageProblem):
        read_header(put(tmp_path, b"GGUF\x03\0\0\0" + rest))


def _sparse(folder: Path, head: bytes, size: int) -> Path:
    path = put(folder, head)
    with path.open("r+b") as file:
        file.truncate(size)
    return path


@pytest.mark.parametrize(
    "head",
    [
        raw("a", ARRAY, struct.pack("<IQ", STRING, 2**33)),
        raw("a", ARRAY, struct.pack("<IQ", STRING, 3_999_999)),
        raw("a", ARRAY, struct.pack("<IQ", U32, 2**33)),
        raw("a", STRING, struct.pack("<Q", 2**36)),
        b"GGUF" + struct.pack("<Iqq", 3, 0, 16_000),
        b"GGUF" + struct.pack("<Iqq", 3, 131_000, 0),
    ],
    ids=["words without end", "many words", "numbers without end", "a text without end", "entries", "tensors"],
)
def test_a_huge_file_of_nothing_costs_little(tmp_path: Path, head: bytes) -> None:
    """A terabyte that is a hole: a process with 150 MiB of address space for it reads the header or refuses it."""
    path = _sparse(tmp_path, head, 2**40)
    code = (
        "import resource, sys\n"
        "from doctor.model.gguf import read_header\n"
        "from doctor.errors import UsageProblem\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try:\n    read_header(sys.argv[1])\nexcept UsageProblem:\n    pass\n"
        "used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "print(used.ru_maxrss - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 60 * 1024


def test_a_large_vocabulary_is_stepped_over(tmp_path: Path) -> None:
    words = [f"word-{number}" for number in range(150_000)]
    path = put(tmp_path, header({**LLAMA, "tokenizer.ggml.tokens": words, "tokenizer.ggml.merges": words}))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = read_model(path)
    assert found.facts["model.vocab"] == 150_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024


def test_headers_of_the_reference_writer_are_read_alike(tmp_path: Path) -> None:
    gguf = pytest.importorskip("gguf")
    numpy = pytest.importorskip("numpy")
    path = tmp_path / "written.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(2)
    writer.add_float32("llama.rope.freq_base", 5e5)
    writer.add_array("llama.attention.head_count_kv", [4, 0])
    writer.add_bool("tokenizer.ggml.add_bos_token", True)
    writer.add_token_list([f"t{number}" for number in range(700)])
    for number, kind in enumerate(gguf.GGML_QUANT_SIZES):
        if kind.name in {"Q8_1", "Q8_K"}:  # never in files; gguf-py has another size for Q8_1
            continue
        block = gguf.GGML_QUANT_SIZES[kind][1]
        writer.add_tensor(f"blk.{number}.x", numpy.zeros((3, 2 * block), numpy.uint8), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    ours, theirs = read_header(path), gguf.GGUFReader(path)
    assert [t.name for t in ours.tensors] == [t.name for t in theirs.tensors]
    assert [t.bytes for t in ours.tensors] == [t.n_bytes for t in theirs.tensors]
    assert [list(t.shape) for t in ours.tensors] == [[int(side) for side in t.shape] for t in theirs.tensors]
    assert ours.data_start == theirs.data_offset
    assert ours.metadata["llama.attention.head_count_kv"] == [4, 0]
    assert ours.metadata["llama.rope.freq_base"] == 5e5
    assert ours.metadata["tokenizer.ggml.add_bos_token"] is True
    assert ours.metadata["tokenizer.ggml.tokens"] == Count(700)
    assert ours.lacks == 0
