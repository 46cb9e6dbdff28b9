from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctor.rulebook.functions import FILTERS, TESTS
from doctor.rulebook.magic import NOT_GGUF, identify
from doctor.versions import Version
from doctor.vocabulary.facts import ABSENT, Origin, Record, Unknown

HERE = Origin("server.log", 1)


def buffer(kind: str, device: str, size: int | None) -> Record:
    return Record("buffer", {"kind": kind, "device": device, "bytes": size}, HERE)


BUFFERS = [
    buffer("weights", "CUDA0", 8000),
    buffer("weights", "CPU_Mapped", 500),
    buffer("kv", "CUDA0", 1000),
    buffer("kv", "RPC0[10.0.0.7:50052]", 300),
    buffer("compute", "CUDA_Host", 20),
]
DEVICES = [
    Record("device", {"name": "CUDA0", "backend": "cuda", "free": 24, "software": False}, HERE),
    Record("device", {"name": "Vulkan0", "backend": "vulkan", "free": 16, "software": True}, HERE),
    Record("device", {"name": "RPC[10.0.0.7:50052]", "backend": "rpc", "software": False}, HERE),
]
MISSING = Unknown(frozenset({"host.os"}))


def test_every_function_is_documented_and_says_what_it_takes() -> None:
    for registry in (TESTS, FILTERS):
        for name, function in registry.items():
            assert function.doc.endswith("."), name
            assert 0 <= function.takes[0] <= function.takes[1] <= 2
            assert function.gives in {"bool", "number", "text", "records", "value"}
    assert all(function.gives == "bool" for function in TESTS.values())


def test_the_promised_functions_are_there() -> None:
    assert {"version", "rpc", "gpu", "present", "absent", "known", "unknown", "match", "on_rpc", "on_gpu"} <= set(TESTS)
    assert {
        "of_kind", "on", "where", "on_rpc", "on_gpu", "on_cpu", "sum", "min", "max", "any", "all", "count", "first",
        "last", "map", "round", "floor", "ceil", "abs", "min_of", "max_of", "lower", "upper", "int", "float", "default",
        "basename", "length", "magic", "size", "size_both", "comma",
    } == set(FILTERS)  # fmt: skip


@pytest.mark.parametrize("name", sorted({*TESTS} - {"present", "absent", "known", "unknown"}))
def test_a_test_of_an_absent_thing_is_false_and_of_an_unknown_one_unknown(name: str) -> None:
    arguments = ["1"] * TESTS[name].takes[0]
    assert TESTS[name](ABSENT, *arguments) is False
    assert TESTS[name](MISSING, *arguments) == MISSING


@pytest.mark.parametrize("name", sorted({*FILTERS} - {"default"}))
def test_a_filter_of_an_unknown_thing_is_unknown(name: str) -> None:
    assert FILTERS[name](MISSING, *["1"] * FILTERS[name].takes[0]) == MISSING


@pytest.mark.parametrize(
    ("name", "empty"),
    [
        ("count", 0), ("sum", 0), ("min", ABSENT), ("max", ABSENT), ("first", ABSENT), ("last", ABSENT), ("any", False),
        ("all", False), ("on_gpu", []),
    ],
)  # fmt: skip
def test_an_absent_collection_has_no_elements(name: str, empty: Any) -> None:
    for nothing in (ABSENT, []):
        assert FILTERS[name](nothing) == empty


def test_an_absent_value_stays_absent_and_an_unknown_argument_counts() -> None:
    for name in ("round", "size", "lower", "int", "magic"):
        assert FILTERS[name](ABSENT) is ABSENT
    assert FILTERS["min_of"](3, MISSING) == MISSING
    assert FILTERS["min_of"](3, ABSENT) is ABSENT
    assert FILTERS["on"](BUFFERS, ABSENT) is ABSENT


@pytest.mark.parametrize(
    ("name", "rpc", "gpu", "cpu"),
    [
        ("RPC[127.0.0.1:50411]", True, False, False),
        ("RPC0[127.0.0.1:50201]", True, False, False),
        ("CUDA0", False, True, False),
        ("CUDA12", False, True, False),
        ("CUDA0_Split", False, True, False),
        ("ROCm0", False, True, False),
        ("Vulkan0", False, True, False),
        ("SYCL0", False, True, False),
        ("Metal", False, True, False),
        ("Metal_Private", False, True, False),
        ("MTL0", False, True, False),
        ("MTL0_Mapped", False, True, False),
        ("CANN0", False, True, False),
        ("MUSA0", False, True, False),
        ("cuda:0", False, True, False),
        ("GPU 0", False, True, False),
        ("CUDA_Host", False, False, True),
        ("Vulkan_Host", False, False, True),
        ("CPU", False, False, True),
        ("CPU_Mapped", False, False, True),
        ("CPU_REPACK", False, False, True),
        ("Meta(CUDA0, CUDA1)", False, False, False),
        ("Metaverse", False, False, False),
        ("", False, False, False),
    ],
)
def test_where_a_buffer_lies_is_told_from_its_name(name: str, rpc: bool, gpu: bool, cpu: bool) -> None:
    assert (TESTS["rpc"](name), TESTS["gpu"](name), TESTS["cpu"](name)) == (rpc, gpu, cpu)


def test_of_a_list_any_element_counts() -> None:
    assert TESTS["rpc"](BUFFERS) is True
    assert TESTS["on_rpc"](BUFFERS[:3]) is False
    assert TESTS["gpu"](["CPU", "CUDA0"]) is True
    assert TESTS["gpu"]([3, None]) is False


@pytest.mark.parametrize(
    ("version", "spec", "answer"),
    [
        (Version.parse("0.0.118"), ">=0.0.117,<0.0.119", True),
        ("0.0.119rc1", "<0.0.119", True),
        (0.5, ">=0.4", True),
        ("b4598", "<0.1", Unknown()),
    ],
)
def test_version(version: Any, spec: str, answer: Any) -> None:
    assert TESTS["version"](version, spec) == answer


def test_match_searches_and_gives_up_on_a_pattern_that_explodes() -> None:
    assert TESTS["match"]("NVIDIA GeForce RTX 4090", r"RTX \d+$") is True
    assert TESTS["match"]("NVIDIA A100", r"RTX") is False
    with pytest.raises(ValueError, match="takes too long"):
        TESTS["match"]("a" * 5000 + "b", r"^(a|aa)+(b|c)?$\d")
    with pytest.raises(ValueError, match="not a regular expression"):
        TESTS["match"]("a", "(")


@pytest.mark.parametrize(
    ("name", "arguments", "kinds"),
    [
        ("of_kind", ["kv"], ["kv", "kv"]),
        ("on", ["CUDA0"], ["weights", "kv"]),
        ("where", ["bytes", "300"], ["kv"]),
        ("on_rpc", [], ["kv"]),
        ("on_gpu", [], ["weights", "kv"]),
        ("on_cpu", [], ["weights", "compute"]),
    ],
)
def test_filters_that_choose(name: str, arguments: list[Any], kinds: list[str]) -> None:
    assert [chosen.fields["kind"] for chosen in FILTERS[name](BUFFERS, *arguments)] == kinds


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("count", [], 5),
        ("sum", ["bytes"], 9820),
        ("min", ["bytes"], 20),
        ("max", ["bytes"], 8000),
        ("any", ["kind", "kv"], True),
        ("all", ["kind", "kv"], False),
        ("first", [], BUFFERS[0]),
        ("last", [], BUFFERS[4]),
        ("map", ["kind"], ["weights", "weights", "kv", "kv", "compute"]),
    ],
)
def test_filters_that_sum_up(name: str, arguments: list[Any], expected: Any) -> None:
    assert FILTERS[name](BUFFERS, *arguments) == expected


def test_devices_are_found_by_name_and_back_end() -> None:
    assert FILTERS["on"](DEVICES, "Vulkan0") == [DEVICES[1]]
    assert FILTERS["where"](DEVICES, "backend", "rpc") == [DEVICES[2]]
    assert FILTERS["on_gpu"](DEVICES) == DEVICES[:2]
    nameless = Record("device", {"backend": "rocm"}, HERE)
    assert FILTERS["on_gpu"]([nameless]) == [nameless]


def test_a_field_that_nothing_gave_is_unknown_and_one_that_is_absent_left_out() -> None:
    missing = Unknown(frozenset({"device.free"}))
    for name in ("sum", "min", "max", "map"):
        assert FILTERS[name](DEVICES, "free") == missing
    assert FILTERS["any"](DEVICES, "free", 16) is True
    assert FILTERS["any"](DEVICES, "free", 17) == missing
    assert FILTERS["all"](DEVICES, "free", 24) is False
    assert FILTERS["all"](DEVICES[:1] + DEVICES[2:], "free", 24) == missing
    assert FILTERS["any"](DEVICES, "software") is True
    assert FILTERS["where"](DEVICES, "free", 16) == [DEVICES[1]]
    assert FILTERS["sum"]([*BUFFERS, buffer("kv", "CUDA0", None)], "bytes") == 9820


def test_plain_lists_are_collections_too() -> None:
    assert FILTERS["sum"]([3, "1", 0.5]) == 4.5
    assert FILTERS["max"]([3, 1]) == 3
    assert FILTERS["any"]([0, 1]) is True
    assert FILTERS["all"]([0, 1]) is False


@pytest.mark.parametrize(
    ("name", "subject", "arguments", "expected"),
    [
        ("round", 2.5, [], 2),
        ("round", 3.14159, [2], 3.14),
        ("round", "1234.5", [], 1234),
        ("floor", -1.5, [], -2),
        ("ceil", 1.2, [], 2),
        ("abs", -3, [], 3),
        ("min_of", 3, [2], 2),
        ("max_of", 3, ["7"], 7),
        ("int", "2054", [], 2054),
        ("int", 3.9, [], 3),
        ("float", "1.5", [], 1.5),
        ("lower", "Q4_K", [], "q4_k"),
        ("upper", "view", [], "VIEW"),
        ("basename", "/srv/llm/models/tiny.gguf", [], "tiny.gguf"),
        ("basename", "C:\\models\\tiny.gguf", [], "tiny.gguf"),
        ("basename", "/srv/llm/", [], "llm"),
        ("length", "VIEW", [], 4),
        ("length", [1, 2], [], 2),
        ("length", {"0": 1}, [], 1),
        ("default", ABSENT, [3], 3),
        ("default", MISSING, [3], 3),
        ("default", 0, [3], 0),
        ("magic", "vers", [], "a Git LFS pointer"),
        ("size", 9 * 1024**3, [], "9.0 GiB"),
        ("size_both", 713e9, [], "664.0 GiB (713 GB)"),
        ("comma", 1426000, [], "1,426,000"),
        ("comma", 1234.567, [], "1,234.57"),
    ],
)
def test_filters_of_single_values(name: str, subject: Any, arguments: list[Any], expected: Any) -> None:
    found = FILTERS[name](subject, *arguments)
    assert found == expected
    assert type(found) is type(expected)


def test_size_text_is_not_a_number_of_bytes() -> None:
    with pytest.raises(TypeError, match="not a number"):
        FILTERS["size"]("much")


@pytest.mark.parametrize(
    ("magic", "meaning"),
    [
        # As newer versions print it: characters, unprintable ones as question marks.
        ("vers", "a Git LFS pointer"),
        ("<!DO", "an HTML page"),
        ("<!do", "an HTML page"),
        ("<htm", "an HTML page"),
        ("<?xm", "an XML document"),
        ("GGJT", "a pre-GGUF GGML file (GGJT)"),
        ("tjgg", "a pre-GGUF GGML file (GGJT)"),
        ("fmgg", "a pre-GGUF GGML file (GGMF)"),
        ("lmgg", "a pre-GGUF GGML file (GGML)"),
        ("algg", "a pre-GGUF LoRA adapter (GGLA)"),
        ("PK??", "a zip archive / PyTorch checkpoint"),
        ("(?/?", "a Zstandard file"),
        ("7z??", "a 7-Zip archive"),
        ("FUGG", "a big-endian GGUF"),
        ('{"er', "JSON text"),
        ("Entr", "an error message of the download server"),
        ("Inva", "an error message of the download server"),
        ("\0\0\0\0", "zeros (incomplete download)"),
        ("GGUF", "a GGUF file"),
        ("????", NOT_GGUF),
        ("abcd", NOT_GGUF),
        ("", NOT_GGUF),
        # As old versions print it: a little-endian number.
        ("73726576", "a Git LFS pointer"),
        ("4f44213c", "an HTML page"),
        ("67676a74", "a pre-GGUF GGML file (GGJT)"),
        ("0x67676d66", "a pre-GGUF GGML file (GGMF)"),
        ("67676D6C", "a pre-GGUF GGML file (GGML)"),
        ("46554747", "a GGUF file"),
        ("47475546", "a big-endian GGUF"),
        ("04034b50", "a zip archive / PyTorch checkpoint"),
        ("08088b1f", "a gzip file"),
        ("fd2fb528", "a Zstandard file"),
        ("00000000", "zeros (incomplete download)"),
        ("0a8a0280", "a PyTorch checkpoint (pickle)"),
        ("00005a88", "a safetensors file"),
        ("00005a89", NOT_GGUF),
        ("deadbeef", NOT_GGUF),
        # More than four bytes, where somebody saved them.
        ("\x88\x5a\0\0\0\0\0\0{", "a safetensors file"),
        ("version https://git-lfs", "a Git LFS pointer"),
    ],
)
def test_magic(magic: str, meaning: str) -> None:
    assert identify(magic) == meaning


anything = st.one_of(
    st.text(max_size=20),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.sampled_from([ABSENT, MISSING, BUFFERS, DEVICES, [], {}, Version.parse("0.5.0"), BUFFERS[0], ["x", 1]]),
)


@given(st.sampled_from(sorted(FILTERS)), anything, anything, anything)
def test_wrong_subjects_give_type_and_value_errors_only(name: str, subject: Any, first: Any, second: Any) -> None:
    function = FILTERS[name]
    try:
        function(subject, *(first, second)[: function.takes[1]])
    except (TypeError, ValueError) as error:
        assert str(error)


@given(st.text(max_size=12))
def test_magic_of_any_text(magic: str) -> None:
    assert identify(magic)
