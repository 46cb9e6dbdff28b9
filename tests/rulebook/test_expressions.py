from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctor.rulebook.expressions import ExpressionError, evaluate, fields, names, parse
from doctor.rulebook.values import conjunction, disjunction, identical, negation, truth
from doctor.versions import Version
from doctor.vocabulary.facts import ABSENT, Origin, Record, Unknown

HERE = Origin("server.log", 1)


class Names:
    """A scope over a mapping; a name that it does not hold is unknown."""

    def __init__(self, **values: Any) -> None:
        self.values = values

    def resolve(self, path: tuple[str, ...]) -> Any:
        return self.values.get("_".join(path), Unknown(frozenset({".".join(path)})))


BUFFERS = [
    Record("buffer", {"kind": "kv", "device": "RPC[10.0.0.7:50052]", "bytes": 100}, HERE),
    Record("buffer", {"kind": "weights", "device": "CUDA0", "bytes": 900}, HERE),
]
SCOPE = Names(
    abort_op="VIEW",
    abort_buffer="RPC[10.0.0.7:50052]",
    abort_line=ABSENT,
    shift_n_keep=1,
    shift_n_left="2054",
    setting_context=4096,
    setting_mmap=False,
    engine_version=Version.parse("0.0.118"),
    mapping=[Record("mapping", {"pages": {"0": 7, "1": 9}}, HERE)],
    buffer=BUFFERS,
    empty=[],
    zero=0,
)


def value(text: str, scope: Names = SCOPE, problems: list[str] | None = None) -> Any:
    return evaluate(json.loads(json.dumps(parse(text))), scope, problems)


def unknown(*missing: str) -> Unknown:
    return Unknown(frozenset(missing))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2 + 3 * 4 - 1", 13),
        ("-setting.context // 3", -1366),
        ("7 / 2", 3.5),
        ("shift.n_keep + shift.n_left + 1", 2056),
        ("'RPC at ' + abort.op", "RPC at VIEW"),
        ("'port ' + 50052", "port 50052"),
        ("abort.op == 'VIEW' and abort.buffer is rpc", True),
        ("abort.op == 'view'", False),
        ("abort.op in ['VIEW', 'NONE']", True),
        ("abort.op not in ['VIEW', 'NONE']", False),
        ("'IE' in abort.op", True),
        ("1 < shift.n_keep + 1 <= 2", True),
        ("1 < 5 < 3", False),
        ("setting.context == '4096'", True),
        ("shift.n_left > 2000", True),
        ("shift.n_left > '300'", True),
        ("engine.version is version('>=0.0.117,<0.0.119')", True),
        ("engine.version > '0.0.9'", True),
        ("engine.version == 'v0.0.118'", True),
        ("setting.context if setting.mmap else 5", 5),
        ("'a' if zero", ABSENT),
        ("not zero and not empty", True),
        ("setting.mmap == false", True),
        ("buffer | of_kind('kv') is on_rpc", True),
        ("buffer | sum('bytes')", 1000),
        ("(buffer | last).device", "CUDA0"),
        ("buffer[0].bytes", 100),
        ("buffer[-1]['kind']", "weights"),
        ("buffer[7].bytes", ABSENT),
        ("mapping[0].pages['1'] + mapping[0].pages[0]", 16),
        ("[1, -2, 'x', true, [0.5]]", [1, -2, "x", True, [0.5]]),
        ("none", ABSENT),
        ("3 * none", ABSENT),
        ("'a' 'b'", "ab"),
        ("1 +\n  1", 2),
    ],
)
def test_values(text: str, expected: Any) -> None:
    problems: list[str] = []
    found = value(text, problems=problems)
    assert found == expected
    assert type(found) is type(expected)
    assert problems == []


@pytest.mark.parametrize(
    "text",
    [
        "abort.line == 3", "abort.line != 3", "3 < abort.line", "abort.line in [3]", "abort.line not in [3]",
        "abort.line == abort.line", "abort.line == host.os",
        "abort.line", "abort.line and host.os", "abort.line is rpc",
    ],
)  # fmt: skip
def test_of_an_absent_thing_nothing_holds(text: str) -> None:
    assert truth(value(text)) is False


def test_arithmetic_with_an_absent_thing_is_absent() -> None:
    for text in (
        "abort.line + 1",
        "2 * abort.line",
        "-abort.line",
        "abort.line / host.ram_total",
        "abort.line | round",
    ):
        assert value(text) is ABSENT


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("host.ram_total > 3", unknown("host.ram_total")),
        ("host.ram_total - host.ram_free", unknown("host.ram_total", "host.ram_free")),
        ("not host.ram_total", unknown("host.ram_total")),
        ("host.ram_total > 3 and abort.op == 'VIEW'", unknown("host.ram_total")),
        ("host.ram_total > 3 and abort.op == 'NONE'", False),
        ("abort.op == 'NONE' and host.ram_total > 3", False),
        ("host.ram_total > 3 or abort.op == 'VIEW'", True),
        ("host.ram_total > 3 or abort.op == 'NONE'", unknown("host.ram_total")),
        ("host.ram_total > 3 or host.os == 'x' or setting.mmap", unknown("host.ram_total", "host.os")),
        ("1 if host.os else 2", unknown("host.os")),
        ("1 if host.os else 1", 1),
        ("1 if host.os else model.arch", unknown("host.os", "model.arch")),
        ("1 if setting.mmap else model.arch", unknown("model.arch")),
        ("device | of_kind('kv') | sum('bytes') > 3", unknown("device")),
        ("buffer | sum('used')", unknown("buffer.used")),
        ("1 < host.os < 0", unknown("host.os")),
        ("5 < 3 < host.os", False),
        ("abort.op in host.cpu_flags", unknown("host.cpu_flags")),
        ("host.os is known", False),
        ("host.os is unknown", True),
        ("host.os is present", False),
        ("host.os is absent", False),
        ("abort.line is known", True),
        ("abort.line is absent", True),
        ("setting.mmap is present", True),
        ("empty is present", False),
        ("empty is absent", True),
        ("host.os | default(7)", 7),
        ("abort.line | default(7)", 7),
        ("setting.mmap | default(7)", False),
        ("engine.version > '2024-11-05'", unknown()),
    ],
)  # fmt: skip
def test_unknown_facts_make_unknown_results_that_name_them(text: str, expected: Any) -> None:
    found = value(text)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("setting.context / zero", "division by zero"),
        ("setting.context // 0", "division by zero"),
        ("abort.op * 2", "'VIEW' is not a number"),
        ("abort.op > 3", "have no order"),
        ("abort.op.x", None),
        ("buffer > 3", "have no order"),
        ("buffer.x", None),
        ("(buffer | first) + 1", "a buffer record is not a number"),
        ("(buffer | first)[0]", "has no part 0"),
        ("3 in setting.context", "cannot hold"),
        ("1e20 * 1e20", "beyond 1e30"),
        ("abort.op | sum('bytes')", "not a collection"),
        ("abort.op | round", "not a number"),
        ("buffer is version('>=1')", "not a version"),
    ],
)
def test_what_cannot_be_computed_is_unknown_and_said(text: str, problem: str | None) -> None:
    problems: list[str] = []
    found = value(text, problems=problems)
    assert isinstance(found, Unknown)
    if problem is not None:
        assert found == unknown()
        assert len(problems) == 1
        assert problem in problems[0]


@pytest.mark.parametrize(
    ("text", "message", "column"),
    [
        ("", "empty", 0),
        ("abort.op ==", "unexpected 'end'", 10),
        ("abort.op == 'VIEW' abort", "unexpected 'abort'", 20),
        ("'open", "unexpected char", 1),
        ("a ? b", "unexpected char", 3),
        ("(a", "unexpected end", 2),
        ("open('/etc/passwd')", "calls are not possible", 5),
        ("a.b()", "calls are not possible", 4),
        ("''.__class__", "underscore", 3),
        ("a._b", "underscore", 2),
        ("a['__class__']", "underscore", 3),
        ("_a", "underscore", 1),
        ("'x'.upper", "no parts", 4),
        ("a[1:2]", "slices", 3),
        ("a[b]", "subscript is constant", 3),
        ("a[true]", "subscript is constant", 3),
        ("a ** 9", "`**`", 1),
        ("a % 9", "`%`", 1),
        ("a ~ 'x'", "`~`", 1),
        ("+a", "leading `+`", 1),
        ("a in (1, 2)", "square brackets", 8),
        ("{'a': 1}", "maps", 1),
        ("[a]", "constants only", 2),
        ("[x for x in y]", "expected", 4),
        ("lambda: 0", "unexpected", 7),
        ("a is rcp", "did you mean 'rpc'", 3),
        ("a is defined", "did you mean 'present'", 3),
        ("a | summ('bytes')", "did you mean 'sum'", 5),
        ("a | round(precision=2)", "no names", 5),
        ("a | round(*b)", "no names", 5),
        ("a | round(1, 2)", "takes 0 to 1 arguments, not 2", 5),
        ("a | of_kind", "takes 1 arguments, not 0", 5),
        ("a == none", "nothing equals none", 6),
        ("a is match('(')", "not a regular expression", 3),
        ("a is version('new')", "not a version range", 3),
        ("(a or 5) + 1", "default(y)", 2),
        ("(a and b) | size", "default(y)", 2),
        ("a if x is rpc if y else z", "put the test in brackets", 18),
        ("9e99", "beyond 1e30", 1),
        ("1" * 40, "beyond 1e30", 1),
        ("0x" + "f" * 3000, "beyond 1e30", 1),
        ("9" * 3999, "beyond 1e30", 1),
        ("'" + "x" * 1001 + "'", "more than 1000 characters", 1),
        ("not " * 31 + "a", "deep", 121),
        ("not " * 900 + "a", "deep", 0),
        ("(" * 1500 + "a" + ")" * 1500, "deep", 0),
        ("[" * 60 + "]" * 60, "deep", 31),
        ("a.b" + ".c" * 40, "deep", 0),
        ("a or " * 1000 + "a", "longer than 4000", 0),
        ("a }} b", "unexpected", 3),
    ],
)
def test_anything_else_is_refused_with_its_place(text: str, message: str, column: int) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    assert message in caught.value.message
    if column:
        assert caught.value.column == column
        assert f"at column {column} of" in str(caught.value)


def test_many_alternatives_are_not_deep() -> None:
    node = parse(" or ".join(f"abort.op == 'OP{number}'" for number in range(60)))
    assert node[0] == "or"
    assert len(node) == 61
    assert value("1 == 2 or 1 == 2 or 1 == 1") is True


def test_a_backslash_is_itself_but_before_a_quote() -> None:
    assert value(r"'\d\b\n'") == r"\d\b\n"
    assert value(r"'\\d'") == r"\d"
    assert value(r"'it\'s'") == "it's"
    assert value(r'"say \"x\""') == 'say "x"'
    assert value(r"abort.op is match('\bVI\w+$')") is True


def test_names_are_what_the_lint_checks() -> None:
    node = parse("abort.op == 'VIEW' and (buffer | of_kind(kv.kind) | sum('bytes')) > env.FOO if setting.rpc else -x")
    assert names(node) == {"abort.op", "buffer", "kv.kind", "env.FOO", "setting.rpc", "x"}


def test_fields_of_collections_are_found_too() -> None:
    node = parse("(buffer | of_kind('kv') | first).device == device[0].name and device | any('software')")
    assert fields(node) == {("buffer", "kind"), ("buffer", "device"), ("device", "name"), ("device", "software")}
    assert fields(parse("mapping[0].pages['1'] + (x.y | sum('z')) + ([1] | sum)")) == {("mapping", "pages")}


def test_evaluating_needs_no_jinja() -> None:
    code = (
        "import sys\n"
        "from doctor.rulebook import prose\n"
        "from doctor.rulebook.expressions import evaluate\n"
        "assert evaluate(['calc', '+', ['const', 1], ['const', 2]], None) == 3\n"
        "assert prose.render('', None, ['n = ', ['value', ['const', 2]]]) == 'n = 2'\n"
        "assert prose.render('plain', None) == 'plain'\n"
        "print(sorted({'jinja2', 'regex', 'pydantic'} & set(sys.modules)))\n"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_damaged_node_is_unknown() -> None:
    problems: list[str] = []
    assert evaluate(["call", "system"], SCOPE, problems) == unknown()
    assert evaluate(["test", "nosuch", ["const", 1], []], SCOPE, problems) == unknown()
    assert len(problems) == 2


# --- laws ------------------------------------------------------------------------------------------------------------

truths = st.sampled_from([True, False, unknown("p"), unknown("q")])


def same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and a == b


@given(truths, truths, truths)
def test_kleene_laws(p: Any, q: Any, r: Any) -> None:
    scope = Names(p=p, q=q, r=r)

    def equivalent(first: str, second: str) -> None:
        assert same(value(first, scope), value(second, scope)), (first, second)

    equivalent("p and q", "q and p")
    equivalent("p or q", "q or p")
    equivalent("not (p and q)", "not p or not q")
    equivalent("not (p or q)", "not p and not q")
    equivalent("not not p", "p")
    equivalent("p and p", "p")
    equivalent("p and (q and r)", "(p and q) and r")
    equivalent("p or false", "p")
    equivalent("p and true", "p")
    # Absorption and distribution hold for the truth; an unknown result may name a fact more.
    for first, second in [("p and (p or q)", "p"), ("p and (q or r)", "(p and q) or (p and r)")]:
        a, b = value(first, scope), value(second, scope)
        assert same(a, b) or (isinstance(a, Unknown) and isinstance(b, Unknown))
    assert same(value("p and q and r", scope), conjunction([p, q, r]))
    assert same(value("p or q or r", scope), disjunction([p, q, r]))
    assert same(value("not p", scope), negation(p))


leaves = st.sampled_from(
    [
        "p",
        "q",
        "r",
        "a.b",
        "0",
        "1",
        "2.5",
        "-3",
        "1e29",
        "'x'",
        "'12'",
        "''",
        "true",
        "none",
        "[1, 'x']",
        "v",
        "things",
    ]
)
FUNCTIONS = [
    "round", "floor", "abs", "int", "float", "lower", "magic", "size", "size_both", "comma", "basename", "length",
    "count", "sum", "min", "max('bytes')", "sum('bytes')", "any", "all('bytes')", "first", "last", "map('kind')",
    "of_kind('kv')", "on('CUDA0')", "where('bytes', 1)", "on_rpc", "on_gpu", "min_of(2)", "max_of(q)", "round(2)",
]  # fmt: skip
PLAIN_TESTS = ["rpc", "gpu", "cpu", "on_rpc", "version('>=1,<2')", "match('x+$')"]


def grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pairs = st.tuples(inner, inner)
    calculations = st.sampled_from(["+", "-", "*", "/", "//"])
    comparisons = st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "in", "not in"])
    return st.one_of(
        st.builds(lambda ab, op: f"({ab[0]} {op} {ab[1]})", pairs, st.sampled_from(["and", "or"])),
        st.builds(lambda ab, op: f"({ab[0]} {op} {ab[1]})", pairs, calculations),
        st.builds(lambda ab, op: f"({ab[0]} {op} {ab[1]})", pairs, comparisons),
        st.builds(lambda a, b, c: f"({a} if ({b}) else {c})", inner, inner, inner),
        st.builds(lambda a: f"(not {a})", inner),
        st.builds(lambda a: f"(-{a})", inner),
        st.builds(lambda a, name: f"({a} | {name})", inner, st.sampled_from(FUNCTIONS)),
        st.builds(lambda a, name: f"({a} is {name})", inner, st.sampled_from(PLAIN_TESTS)),
    )


expressions = st.recursive(leaves, grown, max_leaves=12)
scalars = st.one_of(
    st.integers(),
    st.floats(),
    st.booleans(),
    st.text(max_size=8),
    st.just(ABSENT),
    st.sampled_from([Version.parse("0.5.0"), Version.parse("b4598"), {"0": 1}, BUFFERS, [], 10**40]),
)


def parsed(text: str) -> Any:
    """The node, or None for one of the combinations that the language refuses."""
    try:
        return parse(text)
    except ExpressionError:
        return None


@given(expressions, st.fixed_dictionaries({name: st.one_of(scalars, st.just(unknown("u"))) for name in "pqrv"}))
def test_evaluating_never_raises(text: str, given_values: dict[str, Any]) -> None:
    node = parsed(text)
    if node is None:
        return
    scope = Names(**given_values, things=BUFFERS)
    found = evaluate(node, scope, [])
    assert isinstance(truth(found), (bool, Unknown))
    if isinstance(found, (int, float)) and text not in "pqrv" and "if" not in text and "|" not in text:
        assert abs(found) <= 1e30


@given(expressions, st.fixed_dictionaries(dict.fromkeys("pqr", scalars)), st.sets(st.sampled_from("pqr")))
def test_what_is_decided_without_a_fact_stays_so_when_the_fact_comes(
    text: str, everything: dict[str, Any], hidden: set[str]
) -> None:
    """The point of three values: a definite answer never depends on what was not known."""
    node = parsed(text)
    if node is None:
        return
    shared = {"v": Version.parse("1.2"), "things": BUFFERS, "a_b": 4}
    partly = evaluate(node, Names(**shared, **{name: v for name, v in everything.items() if name not in hidden}))
    fully = evaluate(node, Names(**shared, **everything))
    if not isinstance(partly, Unknown):
        assert identical(partly, fully) or repr(partly) == repr(fully)  # not a number is not itself


@given(st.text(alphabet="pq.()[]{}'\"\\ |+-*/<=>!,:~%0123456789isnotandorin_\n", max_size=60))
def test_any_text_is_an_expression_or_an_expression_error(text: str) -> None:
    node = parsed(text)
    if node is not None:
        assert json.loads(json.dumps(node)) == node
        evaluate(node, Names(p=1))
