from __future__ import annotations

import re

import hyperscan
import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from doctor.scan.forms import derive, strength
from doctor.scan.patterns import scan_form


@pytest.mark.parametrize(
    ("pattern", "form"),
    [
        (r"n_keep = (?P<n_keep>\d+)", rb"n_keep \x3d [0-9]"),  # one report, not one a digit
        (r"(?P<n>\d+) toks in", rb"[0-9] toks in"),
        (r".*toks in (?:.+)?", rb"toks in "),
        (r"a\s+b", rb"a[\x09\x0b\x0c ]+b"),  # not across lines
        (r"a[^)]*b", rb"a[^\x0a\x0d\x29]*b"),
        (r"a\D\W\Sb", rb"a[^\x0a\x0d0-9]{1,4}[^\x0a\x0d0-9A-Z_a-z]{1,4}[^\x09-\x0d ]{1,4}b"),
        (r"^foo bar$", rb"foo bar"),
        (r"foo(?= bar)(?<!x)(?!y) b", rb"foo b"),
        (r"x(a+)y\1z", rb"xa+y[^\x0a\x0d]*z"),
        (r"ab{3,900}c", rb"ab{3,}c"),
        (r"a[bcd]{900}e", rb"a[b-d]{32,}e"),
        ("größe", rb"gr\xc3\xb6\xc3\x9fe"),
        (r"(?i)foo [bc]", rb"(?i:foo [bc])"),
        (r"foo (?i:bar) z", rb"foo (?i:bar) z"),
        (r"a|bc", rb"(?:a|bc)"),
        (r"x(?:|y+|z)", rb"x"),
        (r"\bfoo\b", rb"\bfoo\b"),
        (r"\bfoo\d+\b", rb"\bfoo[0-9]"),
        (r"(a)?(?(1)b|c)d", rb"(?:b|c)d"),
        (r"(?>b|ab)c", rb"(?:b|ab)c"),
        (r"ba*+c", rb"ba*c"),
        (r"a*", rb""),
        (r"\b", rb""),
        # Of a long text only the part around it is kept.
        (
            r"slot +launch: (?P<id>\d+) Remote server crashed, code (?P<code>\d+) x",
            rb"[0-9] Remote server crashed\x2c code [0-9]",
        ),
        (r"(?:failed to open|cannot allocate): \S+ x", rb"(?:failed to open|cannot allocate)\x3a [^\x09-\x0d ]"),
    ],
)
def test_form(pattern: str, form: bytes) -> None:
    assert scan_form(pattern) == form


@pytest.mark.parametrize(
    ("pattern", "refused", "failed"),
    [
        (
            r"request: POST (\S+) \S+ 500",
            "request: POST /v1/embeddings 10.0.0.9 200",
            "request: POST /v1/embeddings ::1 500",
        ),
        (
            r'"POST /v1/(?:chat/completions|responses)\S* HTTP/1\.[01]" (?:400|500)',
            '10.0.0.9:1 - "POST /v1/chat/completions HTTP/1.1" 200 OK',
            '10.0.0.9:1 - "POST /v1/chat/completions HTTP/1.1" 400 Bad Request',
        ),
    ],
)
def test_a_status_is_searched_for_with_its_request(pattern: str, refused: str, failed: str) -> None:
    """A server at work prints the request itself in every other line."""
    form = derive(pattern).expression
    assert re.search(form, failed.encode())
    assert not re.search(form, refused.encode())


def test_exact_only_where_nothing_more_is_found() -> None:
    assert derive(r"foo \d+ bar .* end [^ ]+").exact
    for widened in (r"^foo", r"foo(?!x)", r"fo{100}x", r"a.b", r"é[äö]", r"(a)\1b", r"\bfoo\d+\b"):
        assert not derive(widened).exact, widened


def test_cutting_the_ends_keeps_a_form_exact() -> None:
    for pattern in (r"(?P<n>\d+) tokens per second", r"loading model (?P<path>.+)", r"(?:a+)+ tensors loaded(?: at)?"):
        assert derive(pattern).exact, pattern


def test_texts_are_in_every_match_in_lower_case() -> None:
    assert derive(r"Foo: \d+ BAR baz(?P<x> or|and)? (?i:Not) it").texts == (b"foo: ", b" bar baz", b"not", b" it")
    assert derive("größe").texts == ("größe".encode(),)


def test_bad_patterns_raise() -> None:
    for bad in ("(", "a**", "[z-a]", "(?P<a", "a{2,1}", "(" * 5000 + ")" * 5000):
        with pytest.raises(re.error):
            derive(bad)


def test_strength_counts_text_that_every_match_holds() -> None:
    assert strength(r"(?:abcdef|xyz)\d") == 3
    assert strength(r"(?:abcdef)?xy\d+longer") == 6
    assert strength(r"a+bc") == 3


# --- on every line the form finds at least what the pattern finds ---------------------------------------------------

ALPHABET = "ab1 _-=.:é–\t\x0b\xa0\x00\ufffdK"
CLASSES = (
    r"\d",
    r"\D",
    r"\w",
    r"\W",
    r"\s",
    r"\S",
    ".",
    "[ab]",
    "[^a]",
    "[^é]",
    "[a-z0-9]",
    r"[\s\d]",
    r"[^\w–]",
    r"[\S ]",
    "[é-–]",
)


def patterns() -> st.SearchStrategy[str]:
    atoms = st.one_of(
        st.text("ab1 _é–", min_size=1, max_size=3).map(re.escape),
        st.sampled_from(CLASSES),
        st.sampled_from(
            (r"\b", r"\B", "^", "$", "(?=a)", "(?!b)", "(?<=a)", "(?<!1)", "loaded tensors", "Could not open")
        ),
    )

    def grow(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        counts = st.sampled_from(("*", "+", "?", "*?", "+?", "{2}", "{1,3}", "{0,2}", "{2,}", "{40,}", "*+"))
        group = inner.map(lambda p: f"(?:{p})")
        return st.one_of(
            st.tuples(inner, inner).map("".join),
            st.tuples(inner, inner).map(lambda two: f"(?:{two[0]}|{two[1]})"),
            st.tuples(group, counts).map("".join),
            st.tuples(st.sampled_from(CLASSES), counts).map("".join),
            inner.map(lambda p: f"(?i:{p})"),
            inner.map(lambda p: f"(?>{p})"),
            st.tuples(inner, inner).map(lambda two: f"(?P<g>{two[0]}){two[1]}(?P=g)"),
        )

    return st.recursive(atoms, grow, max_leaves=8)


def valid(pattern: str) -> bool:
    try:
        regex.compile(pattern, regex.ASCII)
        derive(pattern)
    except (regex.error, re.error):
        return False
    return True


# no empty line: at one, \B of the two libraries differs, and no pattern of a rule matches it
LINES = st.text(ALPHABET + "AB", min_size=1, max_size=30) | st.tuples(
    st.text(ALPHABET, max_size=8),
    st.sampled_from(("loaded tensors", "Could not open", "cOULD not open")),
    st.text(ALPHABET, max_size=8),
).map("".join)


@settings(max_examples=300, deadline=None)
@given(pattern=patterns().filter(valid), line=LINES, ignore_case=st.booleans())
def test_form_finds_what_the_pattern_finds(pattern: str, line: str, ignore_case: bool) -> None:
    form = derive(pattern)
    matched = regex.search(pattern, line, regex.ASCII | (regex.IGNORECASE if ignore_case else 0), timeout=5)
    data = line.encode("utf-8", "surrogatepass")
    found = re.search(form.expression, data, re.IGNORECASE if ignore_case else 0)
    if matched:
        assert found, form
        assert all(text in data.lower() for text in form.texts), form
    if form.exact and form.expression:
        assert bool(found) == bool(matched), form


@settings(max_examples=80, deadline=None)
@given(pattern=patterns().filter(valid), lines=st.lists(LINES, min_size=1, max_size=6))
def test_hyperscan_finds_the_form_where_re_does(pattern: str, lines: list[str]) -> None:
    form = derive(pattern)
    if not form.expression:
        return
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    data = "\n".join(lines).encode()
    try:
        database.compile(expressions=[form.expression], ids=[0], flags=[0])
    except hyperscan.HyperscanError as error:
        assert "can never match" in str(error)
        assert not re.search(form.expression, data)
        return
    ends: list[int] = []
    database.scan(data, match_event_handler=lambda _id, _from, to, _flags, _context: ends.append(to))
    start = 0
    for line in data.split(b"\n"):
        by_hyperscan = any(start <= end <= start + len(line) for end in ends)
        assert by_hyperscan == bool(re.search(form.expression, line)), (form, line)
        start += len(line) + 1
