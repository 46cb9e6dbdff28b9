from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctor.rulebook import expressions, prose
from doctor.rulebook.expressions import ExpressionError
from doctor.versions import Version
from doctor.vocabulary.facts import ABSENT, Origin, Record, Unknown

HERE = Origin("server.log", 1)


class Names:
    def __init__(self, **values: Any) -> None:
        self.values = values

    def resolve(self, path: tuple[str, ...]) -> Any:
        return self.values.get("_".join(path), Unknown(frozenset({".".join(path)})))


SCOPE = Names(
    need=1_426_000_000_000,
    copies=2,
    ratio=1.4260000001,
    gone=ABSENT,
    no=False,
    setting_rpc=["10.0.0.7:50052", "10.0.0.8:50052"],
    engine_version=Version.parse("v0.0.118"),
    buffer=[Record("buffer", {"kind": "kv", "device": "CUDA0", "bytes": 3}, HERE)],
)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("Nothing to fill in.", "Nothing to fill in."),
        ("", ""),
        ("{{ need | size_both }} for {{ copies }} copies", "1328.1 GiB (1426 GB) for 2 copies"),
        ("{{need|size}}", "1328.1 GiB"),
        ("{{ need / copies | round(1) }}", "713000000000"),
        ("{{ ratio }} {{ ratio | round(1) }} {{ -ratio }}", "1.426 1.4 -1.426"),
        ("at {{ setting.rpc }} with {{ engine.version }}", "at 10.0.0.7:50052, 10.0.0.8:50052 with v0.0.118"),
        ("{{ host.os }}, {{ gone }}, {{ no }}, {{ host.os | default('Linux') }}", "unknown, none, false, Linux"),
        ("{{ need | size if host.os else 'x' }}", "unknown"),
        ("{{ need / 0 }}", "unknown"),
        ("{{ buffer }}: {{ buffer | sum('bytes') }} B", "CUDA0: 3 B"),
        ("{% if copies > 1 %}one a node{% else %}one{% endif %}", "one a node"),
        ("{% if copies > 3 %}four{% elif copies == 2 %}two{% else %}one{% endif %}!", "two!"),
        ("{% if gone %}a{% endif %}b", "b"),
        ("{% if host.os %}a{% else %}b{% endif %}", "b"),
        ("{% if not host.os %}a{% else %}b{% endif %}", "b"),
        ("{% if copies %}{% if no %}x{% else %}{{ copies }}{% endif %} y{% endif %}", "2 y"),
        ("a {%- if copies -%} b {%- endif %} c", "ab c"),
        ("a {{- copies -}} b", "a2b"),
        ("a\n{% if copies %}\nb\n{% endif %}\nc", "a\n\nb\n\nc"),
        ("{{ '}}' }}{{ '{{' }} {{ \"%}\" }}", "}}{{ %}"),
        ("--format {'{'} 100 % {x} }} %}", "--format {'{'} 100 % {x} }} %}"),
    ],
)
def test_rendering(template: str, text: str) -> None:
    compiled = json.loads(json.dumps(prose.compile(template)))
    assert prose.render(template, SCOPE, compiled) == text
    assert prose.render(template, SCOPE) == text


def test_problems_are_told() -> None:
    problems: list[str] = []
    assert prose.render("{{ need / 0 }}", SCOPE, problems=problems) == "unknown"
    assert problems == ["division by zero"]


@pytest.mark.parametrize(
    ("template", "message", "column"),
    [
        ("a {{ need", "'{{' is never closed", 3),
        ("a {% if need", "'{%' is never closed", 3),
        ("{{ don't }}", "'{{' is never closed", 1),
        ("{{ }}", "empty", 3),
        ("So {{ need + }}", "unexpected", 12),
        ("{{ need | sise }}", "did you mean 'size'", 11),
        ("{{ need or 3 }}", "default(y)", 3),
        ("{{ open('x') }}", "calls are not possible", 8),
        ("{{ ''.__class__ }}", "underscore", 6),
        ("{% if need %}", "without `endif`", 14),
        ("{% endif %}", "'endif' is not possible here", 3),
        ("{% if need %}{% else %}{% else %}{% endif %}", "after `else`", 26),
        ("{% if need %}{% else %}{% elif need %}{% endif %}", "after `else`", 26),
        ("{% if %}{% endif %}", "empty", 3),
        ("{% if need %}x{% endif y %}", "nothing may follow", 17),
        ("{% for x in need %}{% endfor %}", "'for' is not possible", 3),
        ("{% set x = 1 %}", "'set' is not possible", 3),
        ("{% include '/etc/passwd' %}", "'include' is not possible", 3),
        ("{% if a %}" * 11 + "{% endif %}" * 11, "more than 10", 103),
        ("x" * 9000, "more than 8192 characters", 0),
    ],
)
def test_what_is_no_template_is_refused_with_its_place(template: str, message: str, column: int) -> None:
    with pytest.raises(ExpressionError) as caught:
        prose.compile(template)
    assert message in caught.value.message
    assert caught.value.column == column


def test_filling_in_a_value_needs_all_of_it() -> None:
    assert prose.fill("{{ copies * 1024 }}M", SCOPE) == "2048M"
    assert prose.fill("plain", SCOPE) == "plain"
    assert prose.fill("{{ host.os }}", SCOPE) is None
    assert prose.fill("{{ copies }},{{ gone }}", SCOPE) is None
    assert prose.fill("{% if no %}{{ host.os }}{% else %}{{ copies }}{% endif %}", SCOPE) == "2"


def test_expressions_of_a_template_are_open_to_the_lint() -> None:
    compiled = prose.compile("{{ a.b }}{% if c %}{{ d }}{% elif e %}f{% else %}{{ g | size }}{% endif %}")
    used = set().union(*(expressions.names(node) for node in prose.nodes(compiled)))
    assert used == {"a.b", "c", "d", "e", "g"}


def test_output_is_bounded() -> None:
    long = Names(text="x" * 100_000, many=list(range(10_000)))
    assert len(prose.render("{{ text }}" * 50, long)) == 8192
    assert prose.render("{{ text }}", long).endswith("x…")
    assert prose.render("{{ many }}", long).endswith("48, 49, …")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1 + 0.2, "0.3"),
        (1328.0, "1328"),
        (-0.0001, "-0.0001"),
        (0.0123456, "0.0123"),
        (-0.0, "0"),
        (7.1e11, "710000000000"),
        (10 / 3, "3.333"),
        (float("nan"), "unknown"),
        (float("inf"), "unknown"),
        (True, "true"),
        (12, "12"),
        ([], "none"),
        (["a", 1.50, ABSENT], "a, 1.5, none"),
        ({"0": 7, "1": 2.0}, "0=7, 1=2"),
        (None, "none"),
        (Record("file", {"path": "/srv/llm/a.gguf"}, HERE), "/srv/llm/a.gguf"),
        (Record("process", {}, HERE), "process"),
        (Version.parse("0.5.0-dev (build 1, commit 0c1e570)"), "0.5.0-dev (build 1, commit 0c1e570)"),
    ],
)
def test_values_read_without_noise(value: Any, text: str) -> None:
    assert prose.format_value(value) == text


pieces = st.sampled_from(
    [
        "{{ p }}",
        "{{ p | size }}",
        "{% if p %}",
        "{% elif q > 1 %}",
        "{% else %}",
        "{% endif %}",
        "{{",
        "}}",
        "text ",
        "'",
    ]
)
values = st.one_of(st.integers(), st.floats(), st.text(max_size=5), st.sampled_from([ABSENT, Unknown(), [], [1, "a"]]))


@given(st.lists(pieces, max_size=12).map("".join), values, values)
def test_any_template_is_refused_at_once_or_renders_whatever_the_values(template: str, p: Any, q: Any) -> None:
    try:
        compiled = prose.compile(template)
    except ExpressionError:
        return
    text = prose.render(template, Names(p=p, q=q), compiled)
    assert "{%" not in text
    if "{" not in template:
        assert text == template
