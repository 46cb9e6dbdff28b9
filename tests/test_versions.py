from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctor.versions import Version, compare, parse_range


def order(a: str, b: str) -> int | None:
    return compare(Version.parse(a), Version.parse(b))


@pytest.mark.parametrize(
    ("text", "scheme", "build"),
    [
        ("0.0.117", "dotted", None),
        ("v0.0.117", "dotted", None),
        ("0.5.0rc2", "dotted", None),
        ("2.13.0.dev3", "dotted", None),
        ("0.3.16-cu124", "dotted", None),
        ("0.6.3.dev123+gabc1234", "dotted", None),
        ("535.183.01", "dotted", None),
        ("12", "dotted", None),
        ("ollama version is 0.5.7", "dotted", None),
        ("b4598", "build", 4598),
        ("build 4598", "build", 4598),
        ("build: 4598 (abc1234)", "build", 4598),
        ("build: 0c1e570 (4598)", "build", 4598),
        ("version: 4598 (abc1234)", "build", 4598),
        ("4598 (abc1234)", "build", 4598),
        ("980 (abc1234)", "build", 980),
        ("4598", "build", 4598),
        ("0.5.0-dev (build 10809, commit 0c1e570)", "dotted", 10809),
        ("2024-11-05", "date", None),
        ("20241105", "date", None),
        ("main", "other", None),
        ("", "other", None),
        ("b1.2", "other", None),
    ],
)
def test_scheme_is_read_from_the_text(text: str, scheme: str, build: int | None) -> None:
    version = Version.parse(text)
    assert (version.scheme, version.build, str(version)) == (scheme, build, text)


@pytest.mark.parametrize("text", ["b0-unknown", "build 1 (0c1e570)", "build: 0c1e570 (1)", "build 0 (unknown)"])
def test_a_build_number_of_sources_without_history_means_nothing(text: str) -> None:
    assert Version.parse(text).scheme == "build"
    assert order(text, "b4598") is None


def test_pre_and_post_releases_sort_as_in_pep_440() -> None:
    ascending = [
        "0.0.118", "0.0.119.dev1", "0.0.119a1.dev2", "0.0.119a1", "0.0.119-beta.2", "0.0.119rc1", "0.0.119rc2.dev1",
        "0.0.119-rc2", "0.0.119", "0.0.119.post1.dev2", "0.0.119.post1", "0.0.119-3-gabc1234", "0.0.120", "0.1",
        "1.0.0",
    ]  # fmt: skip
    for older, newer in pairwise(ascending):
        assert order(older, newer) == -1, (older, newer)
        assert order(newer, older) == 1


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("0.5", "0.5.0"),
        ("v0.0.117", "0.0.117"),
        ("2.3.0+cu121", "2.3.0"),
        ("0.5.7-0-ga420a45", "0.5.7"),
        ("b4598", "build 4598 (abc1234)"),
        ("1.0-rc1", "1.0c1"),
        ("0.5.0-dev (build 1, commit 0c1e570)", "0.5.0-dev (build 10809, commit 0c1e57098)"),
    ],
)
def test_spellings_of_one_version_are_equal(a: str, b: str) -> None:
    assert order(a, b) == order(b, a) == 0


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("b4598", "0.0.117"),
        ("2024-11-05", "0.5.0"),
        ("20241105", "b4598"),
        ("main", "0.5.0"),
        ("main", "nightly"),
        ("0.5.0-dev (build 1, commit 0c1e570)", "b10809"),
        ("0.5.0-dev (build 1, commit 0c1e570)", "0.5.0"),
        ("0.5.0-dev (build 1, commit 0c1e570)", "0.5.0-dev (build 1, commit b29c606)"),
    ],
)
def test_what_cannot_be_ordered_is_none(a: str, b: str) -> None:
    assert order(a, b) is None
    assert order(b, a) is None


def test_a_nightly_of_llama_cpp_lies_between_the_neighbouring_releases() -> None:
    nightly = "0.5.0-dev (build 1, commit 0c1e570)"
    assert order(nightly, "0.4.9") == 1
    assert order(nightly, "0.5.1") == -1
    assert order("0.5.0-dev (build 10809, commit 0c1e570)", "b10810") == -1
    # Without a build in brackets, -dev is what it is everywhere else: before the release.
    assert order("0.5.0-dev", "0.5.0") == -1


@pytest.mark.parametrize(
    ("version", "spec", "answer"),
    [
        ("0.0.117", ">=0.0.117,<0.0.119", True),
        ("v0.0.118", ">=0.0.117, <0.0.119", True),
        ("0.0.119", ">=0.0.117,<0.0.119", False),
        ("0.0.119rc1", ">=0.0.117,<0.0.119", True),
        ("0.0.119.dev4", "<0.0.119", True),
        ("0.0.117rc1", ">=0.0.117", False),
        ("0.6.1", "!=0.6.1", False),
        ("0.6.2", "!=0.6.1", True),
        ("b4598", "==b4598", True),
        ("b4598", "b4598", True),
        ("4598 (abc1234)", "<=b4598", True),
        ("b4599", ">b4598", True),
        ("b4598", "<0.5.0", None),
        ("main", "==0.5.0", None),
        ("0.5.0-dev (build 1, commit 0c1e570)", "<0.5.0", None),
        ("0.5.0-dev (build 1, commit 0c1e570)", "<0.5.1", True),
        # One false part decides, whatever the unknown one would say.
        ("0.6.0", "<0.5.0,<b4598", False),
        ("0.4.0", "<0.5.0,<b4598", None),
    ],
)
def test_within(version: str, spec: str, answer: bool | None) -> None:
    assert Version.parse(version).within(spec) is answer


@pytest.mark.parametrize(
    "spec", ["", ",", ">=", "newest", ">=0.1,", "=>0.1", "~=0.1", ">=0.1 <0.2,x", ">0." + "1" * 500]
)
def test_a_range_that_is_none_is_refused(spec: str) -> None:
    with pytest.raises(ValueError, match="version range"):
        parse_range(spec)


def test_hostile_text_is_cut() -> None:
    version = Version.parse("1" * 10**6)
    assert len(version.raw) == 100
    assert version.scheme == "other"


texts = st.one_of(
    st.text(max_size=40),
    st.from_regex(r"v?[0-9]{1,3}(\.[0-9]{1,3}){0,3}((a|b|rc|\.dev|\.post|-)[0-9]{0,3})?(\+\w{0,4})?", fullmatch=True),
    st.from_regex(r"(b|build |)[0-9]{1,6}( \([0-9a-f]{7}\))?", fullmatch=True),
)


@given(texts, texts)
def test_order_is_antisymmetric_and_never_raises(a: str, b: str) -> None:
    first, second = Version.parse(a), Version.parse(b)
    there, back = compare(first, second), compare(second, first)
    assert there == (None if back is None else -back)
    assert compare(first, first) == 0


dotted = st.from_regex(r"[0-9]{1,2}(\.[0-9]{1,2}){0,2}((a|b|rc)[0-9])?(\.post[0-9])?(\.dev[0-9])?", fullmatch=True)


@given(dotted, dotted, dotted)
def test_dotted_versions_are_totally_ordered(a: str, b: str, c: str) -> None:
    x, y, z = sorted((a, b, c), key=lambda text: Version.parse(text).key)  # type: ignore[arg-type, return-value]
    assert order(x, y) in (-1, 0)
    assert order(y, z) in (-1, 0)
    assert order(x, z) in (-1, 0)
