from __future__ import annotations

import pytest

from doctor.scan.patterns import check


@pytest.mark.parametrize(
    "pattern",
    [
        r"cudaMalloc failed: out of memory",
        r"pre-allocated tensor \((?P<tensor>cache_[kv]\S*)(?: \(view\))?\) in a buffer(?: \((?P<buffer>.+?)\))? that",
        r"(?:^|\s)slot +release",
        r"(?:\w+, )+and more",
        r"(?:[^,]+,)+ then",
        r"(?i)failed to load",
        r"set GGML_\w+=(?P<value>[^ ]+) for \{device\}",
        r"(?:ollama|llama-server) .* error",
        r"größe \d+",
        r"memory(?! is fine)\b",
    ],
)
def test_good_patterns(pattern: str) -> None:
    assert check(pattern) == []


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("failed (to", "does not parse: missing )"),
        ("a{2,1}", "does not parse: min repeat greater than max repeat"),
        (r"^failed to load", "anchored at the start of the line"),
        (r"\Afailed to load", "anchored at the start of the line"),
        (r"(?:^failed|^could not) load", "anchored at the start of the line"),
        (r"(?=x)(^failed) to load", "anchored at the start of the line"),
        (r"\d+ GiB?", "no literal text of 4 characters that every match holds (longest: 3)"),
        (r"(?:out of memory|OOM)", "no literal text of 4 characters"),
        (r"(?:failed)?\d+ x", "no literal text of 4 characters"),
        (r".*", "matches anything"),
        (r"(?:failed)?", "matches anything"),
        (r"", "matches anything"),
        (r"(?:\w+\s*)+: failed", "nests repeats"),
        (r"(?:a+)+ failed", "nests repeats"),
        (r"(?:x|a+)* failed", "nests repeats"),
        ("failed\nthen aborted", "asks for a line end"),
        (r"failed[\r\n]", "asks for a line end"),
        (r"failed{e<=1} to load", r"approximate matching: write \{e<=1}"),
        (r"failed {i} to load", r"approximate matching: write \{i}"),
        (r"[[:alpha:]]+ failed", "POSIX class"),
        (r"(?u)failed to load", "not accepted by `regex` with ASCII classes"),
        ("failed \ufffd load", "U+FFFD"),
        (r"1\b1 failed", "is not accepted by hyperscan: Pattern can never match"),
    ],
)
def test_bad_patterns(pattern: str, problem: str) -> None:
    found = check(pattern)
    assert any(problem in each for each in found), found
