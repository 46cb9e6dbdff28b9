"""Each format against what its own authority says of it; and none of them lets a log act."""

from __future__ import annotations

import difflib
import json
import re
import subprocess
import tempfile
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import xmlschema
from markdown_it import MarkdownIt

from doctor.report import outline
from doctor.report.formats import FORMATS, chosen, render
from doctor.report.jsonl import RECORDS
from doctor.vocabulary.document import Diagnosis, json_schema
from tests.report import documents

AUTHORITIES = Path(__file__).parent / "authorities"
SARIF_SCHEMA = json.loads((AUTHORITIES / "sarif-2.1.0-errata01.json").read_text(encoding="utf-8"))
JUNIT_SCHEMA = xmlschema.XMLSchema(AUTHORITIES / "junit-10.xsd")

# https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format
GITLAB_SCHEMA = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["description", "check_name", "fingerprint", "severity", "location"],
        "properties": {
            "description": {"type": "string", "minLength": 1},
            "check_name": {"type": "string", "minLength": 1},
            "fingerprint": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
            "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
            "location": {
                "type": "object",
                "required": ["path", "lines"],
                "properties": {
                    "path": {"type": "string", "minLength": 1, "not": {"pattern": "^\\./"}},
                    "lines": {
                        "type": "object",
                        "required": ["begin"],
                        "properties": {"begin": {"type": "integer", "minimum": 1}},
                    },
                },
            },
        },
    },
}

CASES = {
    **{path.stem: (lambda path=path: documents.golden(f"{path.parent.name}/{path.stem}")) for path in documents.GOLDEN},
    "patch": documents.with_patch,
    "suppressed": documents.suppressed,
    "hostile": documents.hostile,
    "empty": documents.empty,
    "numbers": documents.numbers,
    "large": lambda: documents.large(300, 40),
}


@pytest.fixture(params=list(CASES), scope="module")
def document(request: pytest.FixtureRequest) -> Diagnosis:
    made: Diagnosis = CASES[request.param]()
    return made


@pytest.mark.parametrize("name", list(FORMATS))
def test_every_format_is_unicode_that_can_be_written_and_changes_nothing(document: Diagnosis, name: str) -> None:
    before = deepcopy(document)
    text = render(document, name)
    assert document == before
    assert render(document, name) == text
    if name not in {"json", "jsonl"}:  # those escape them
        text.encode("utf-8")
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)


def test_json_fits_its_published_schema(document: Diagnosis) -> None:
    jsonschema.validate(json.loads(render(document, "json")), json_schema())


def test_json_lines_hold_the_whole_document(document: Diagnosis) -> None:
    lines = render(document, "jsonl").split("\n")
    assert lines.pop() == ""
    records = [json.loads(line) for line in lines]
    whole: dict[str, Any] = {key: value for key, value in records[0].items() if key != "type"}
    assert records[0]["type"] == "diagnosis"
    for name, kind in RECORDS.items():
        whole[name] = [
            {key: value for key, value in record.items() if key != "type"}
            for record in records[1:]
            if record["type"] == kind
        ]
    assert whole == json.loads(json.dumps(document.to_dict()))


# --- SARIF ------------------------------------------------------------------------------------------------------------


def sarif(document: Diagnosis) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(render(document, "sarif"))
    return made


def test_sarif_fits_the_schema_of_oasis(document: Diagnosis) -> None:
    log = sarif(document)
    jsonschema.Draft4Validator(SARIF_SCHEMA, format_checker=jsonschema.FormatChecker()).validate(log)
    run = log["runs"][0]
    rules = run["tool"]["driver"]["rules"]
    assert len(run["results"]) == len(document.findings) + len(document.suppressed)
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        for location in [*result["locations"], *result.get("relatedLocations", [])]:
            physical = location["physicalLocation"]
            assert physical["region"]["startLine"] >= 1  # demanded by errata 01
            assert re.fullmatch(r"(file:///)?[\w.~%/!$&'()*+,;=@-]+", physical["artifactLocation"]["uri"])
    for rule in rules:
        assert rule["help"]["text"]
        assert rule["help"]["markdown"]
    assert len({result["partialFingerprints"]["llmdoctor/v1"] for result in run["results"]}) == len(run["results"])


def test_sarif_points_at_the_line_to_change() -> None:
    document = documents.with_patch()
    result = sarif(document)["runs"][0]["results"][0]
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"].endswith("docker-compose.yml")
    path = documents.ROOT / "fixtures" / "config" / "llama-compose-vquant" / "docker-compose.yml"
    line = path.read_text().splitlines()[place["region"]["startLine"] - 1]
    assert line.strip() == "-c ${CTX:-16384} -ctk q8_0 -ctv q8_0"
    related = [location["physicalLocation"] for location in result["relatedLocations"]]
    assert [place["region"]["startLine"] for place in related] == [
        line.line for line in sorted(document.findings[0].evidence, key=lambda line: (line.path, line.line))
    ]
    steps = result["codeFlows"][0]["threadFlows"][0]["locations"]
    assert len(steps) == len(related)


def test_sarif_holds_the_diff_as_replacements() -> None:
    document = documents.with_patch()
    result = sarif(document)["runs"][0]["results"][0]
    path = documents.ROOT / "fixtures" / "config" / "llama-compose-vquant" / "docker-compose.yml"
    for fix, remedy in zip(result["fixes"], document.findings[0].remedies, strict=False):
        assert fix["artifactChanges"][0]["artifactLocation"]["uri"].endswith("docker-compose.yml")
        after = applied(path.read_text(), fix["artifactChanges"][0]["replacements"])
        assert after == patched(path.read_text(), remedy.diff or "")


def applied(text: str, replacements: list[dict[str, Any]]) -> str:
    """As an editor applies the replacements of a SARIF fix."""
    starts = [0, *(found.end() for found in re.finditer("\n", text))]
    for each in sorted(replacements, key=lambda each: -each["deletedRegion"]["startLine"]):
        region = each["deletedRegion"]
        start = starts[region["startLine"] - 1]
        if "endColumn" in region:
            end = starts[region["endLine"] - 1] if region["endLine"] <= len(starts) else len(text)
        else:
            end = text.find("\n", starts[region["endLine"] - 1])
            end = len(text) if end < 0 else end
        text = text[:start] + each.get("insertedContent", {"text": ""})["text"] + text[end:]
    return text


def patched(text: str, diff: str) -> str:
    """What patch(1) makes of it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_text(text)
        subprocess.run(["patch", "-s", str(path)], input=diff + "\n", text=True, check=True)
        return path.read_text()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a\nb\nc\n", "a\nB\nc\n"),
        ("a\nb\nc\n", "a\nb\nc\nd\n"),
        ("a\nb\nc\n", "b\nc\n"),
        ("a\nb\nc\n", "0\na\nb\n1\nc\n2\n"),
        ("a\nb", "a\nc"),
        ("a\nb", "a\nc\n"),
        ("a\nb\n", "a\nb"),
        ("", "a\n"),
        ("-- x\nb\n", "++ y\nb\n"),
        ("\n".join(map(str, range(40))) + "\n", "\n".join(map(str, (*range(2), "x", *range(3, 30)))) + "\n"),
    ],
)
@pytest.mark.parametrize("around", [0, 3])
def test_a_diff_is_taken_apart_and_put_together(before: str, after: str, around: int) -> None:
    lines = []
    for line in difflib.unified_diff(before.splitlines(True), after.splitlines(True), "f", "f", n=around):
        lines += [line] if line.endswith("\n") else [f"{line}\n", "\\ No newline at end of file\n"]
    diff = "".join(lines).removesuffix("\n")
    remedy = documents.RemedyEntry(id="r", title="t", removes="cause", safety="safe", diff=diff)
    finding = documents.suppressed().suppressed[0].finding
    finding.remedies = [remedy]
    log = sarif(Diagnosis(llmdoctor="0", verdict="at_risk", findings=[finding]))
    fix = log["runs"][0]["results"][0]["fixes"][0]["artifactChanges"]
    assert [change["artifactLocation"]["uri"] for change in fix] == ["f"]
    assert applied(before, fix[0]["replacements"]) == after


def test_a_fix_would_not_write_over_a_secret() -> None:
    finding = documents.suppressed().suppressed[0].finding
    diff = "--- f\n+++ f\n@@ -1,1 +1,1 @@\n-KEY=<secret-1> -c 1\n+KEY=<secret-1> -c 2"
    finding.remedies = [documents.RemedyEntry(id="r", title="t", removes="cause", safety="safe", diff=diff)]
    log = sarif(Diagnosis(llmdoctor="0", verdict="at_risk", findings=[finding]))
    assert "fixes" not in log["runs"][0]["results"][0]


def test_what_is_suppressed_is_told_as_such() -> None:
    document = documents.suppressed()
    results = sarif(document)["runs"][0]["results"]
    told = {result["ruleId"]: result["suppressions"] for result in results}
    assert [each["kind"] for each in told["shm-nccl-segment"]] == ["inSource"]
    assert [each["kind"] for each in told["vllm-no-device"]] == ["external"]
    assert told["vllm-no-device"][0]["justification"] == "the driver is mounted by hand"
    suite = JUNIT_SCHEMA.to_dict(render(document, "junit"))["testsuite"][0]
    assert suite["@failures"] == "0"
    skipped = {case["@name"]: case for case in suite["testcase"] if "skipped" in case}
    assert "suppressed until 2099-01-31: the driver is mounted by hand" in str(skipped["vllm-no-device"])
    for name in ("text", "html", "github-summary", "markdown"):
        assert "the driver is mounted by hand" in render(document, name).replace("\n    ", " ")
    assert render(document, "github") == ""
    assert json.loads(render(document, "gitlab")) == []


def test_fingerprints_stay_when_one_of_them_is_suppressed() -> None:
    document = deepcopy(documents.large(6, 0))
    for number, finding in enumerate(document.findings):
        finding.id = f"f{number + 1}"
    before = outline.fingerprints(document)
    document.suppressed = [
        documents.Suppressed(finding=document.findings.pop(1), reason="x", by="baseline", path="b", line=1)
    ]
    assert outline.fingerprints(document) == before


def test_without_a_patch_sarif_points_at_the_proof() -> None:
    result = sarif(documents.golden("llama-box/view-abort"))["runs"][0]["results"][0]
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "case/serve-42.log", "uriBaseId": "SRCROOT"}
    assert "cannot run the operation (VIEW)" in place["region"]["snippet"]["text"]


def test_fingerprints_hold_no_path_line_or_wording() -> None:
    one = documents.golden("llama-box/view-abort")
    other = deepcopy(one)
    for finding in other.findings:
        finding.title = finding.summary = finding.explanation = "said in another way"
        for line in finding.evidence:
            line.path, line.line, line.text = f"/elsewhere/{line.path}", line.line + 1000, "another text"
    for run in other.runs:
        run.source, run.first_line, run.engine.version = "/elsewhere", 77, "v9"
    assert outline.fingerprints(one) == outline.fingerprints(other)
    other.findings[0].rule_id = "another-rule"
    assert outline.fingerprints(one) != outline.fingerprints(other)


def test_a_line_put_in_is_told_at_the_one_above_it() -> None:
    finding = deepcopy(documents.with_patch().findings[0])
    finding.remedies[0].diff = "--- a.yml\n+++ a.yml\n@@ -4,2 +4,3 @@\n one\n+two\n three"
    assert outline.place_to_change(finding) == outline.Place("a.yml", 4, "config")
    finding.remedies[0].diff = "llama-server -c 1\n- -c 1\n+ -c 2"
    assert outline.place_to_change(finding) is None


# --- JUnit, GitLab, GitHub -------------------------------------------------------------------------------------------


def test_junit_fits_the_schema_of_jenkins(document: Diagnosis) -> None:
    text = render(document, "junit")
    JUNIT_SCHEMA.validate(text)
    suite = JUNIT_SCHEMA.to_dict(text)["testsuite"][0]
    cases = suite.get("testcase", [])
    assert suite["@tests"] == str(len(cases))
    assert suite["@failures"] == str(sum("failure" in case for case in cases))
    assert suite["@skipped"] == str(sum("skipped" in case for case in cases))
    assert len({case["@name"] for case in cases}) == len(cases)


def test_junit_has_a_case_for_each_rule_that_was_tried() -> None:
    document = deepcopy(documents.golden("llama-box/view-abort"))
    open_rule = next(rule for rule in document.judged if rule not in {f.rule_id for f in document.findings})
    document.could_not_judge = [documents.NotJudged(missing="host.ram_total", rules=[open_rule], hint="add free")]
    suite = JUNIT_SCHEMA.to_dict(render(document, "junit"))["testsuite"][0]
    cases = {case["@name"]: case for case in suite["testcase"]}
    assert set(cases) == {*document.judged, *(finding.rule_id for finding in document.findings)}
    assert "failure" in cases["rpc-kv-view-stale-support"]
    assert "failure" not in cases["process-aborted"]  # it only follows
    assert "the input does not say host.ram_total. add free" in cases[open_rule]["skipped"][0]["@message"]


def test_gitlab_takes_the_report(document: Diagnosis) -> None:
    found = json.loads(render(document, "gitlab"))
    if document.verdict == "at_risk":
        pytest.skip("a finding without any words is no report")
    jsonschema.validate(found, GITLAB_SCHEMA)
    assert len(found) == len(document.findings)
    assert len({issue["fingerprint"] for issue in found}) == len(found)


def parsed_by_the_runner(line: str) -> tuple[str, dict[str, str], str]:
    """As actions/runner takes a workflow command apart: at the second `::`, at commas, then unescapes."""
    line = line.lstrip()
    assert line.startswith("::")
    end = line.index("::", 2)
    name, _, rest = line[2:end].partition(" ")
    properties = {}
    for pair in filter(None, rest.strip().split(",")):
        key, value = pair.split("=", 1)
        for sign, replaced in (("\r", "%0D"), ("\n", "%0A"), (":", "%3A"), (",", "%2C"), ("%", "%25")):
            value = value.replace(replaced, sign)
        properties[key] = value
    data = line[end + 2 :]
    for sign, replaced in (("\r", "%0D"), ("\n", "%0A"), ("%", "%25")):
        data = data.replace(replaced, sign)
    return name, properties, data


def test_github_annotations_arrive_as_they_were_meant(document: Diagnosis) -> None:
    lines = render(document, "github").splitlines()
    commands = [parsed_by_the_runner(line) for line in lines]
    assert all(name in {"error", "warning", "notice"} for name, _properties, _data in commands)
    assert all(sum(name == level for name, _p, _d in commands) <= 10 for level in ("error", "warning", "notice"))
    assert len(lines) >= min(len(document.findings), 10)
    for (_name, properties, data), finding in zip(commands, document.findings, strict=False):
        if len(document.findings) > 10:
            break
        place = outline.place_of(finding)
        title = outline.shown(f"{outline.ROLE_TITLES[finding.role]}: {finding.title}")
        assert properties["title"] == title.strip()
        assert data.startswith(outline.shown(finding.summary or finding.title))
        if place is not None:
            assert properties["file"] == outline.shown(place.path)
            assert properties["line"] == str(place.line)


# --- Markdown --------------------------------------------------------------------------------------------------------


def tokens_of(text: str) -> list[Any]:
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    return [*tokens, *(child for token in tokens for child in token.children or [])]


@pytest.mark.parametrize("name", ["markdown", "github-summary"])
def test_nothing_of_a_log_acts_in_markdown(document: Diagnosis, name: str) -> None:
    text = render(document, name)
    found = tokens_of(text)
    assert not [token for token in found if token.type in {"link_open", "image", "table_open", "html_inline"}]
    ours = re.compile(r"<details><summary>(Evidence|Other error lines)</summary>|</details>")
    assert all(ours.fullmatch(token.content.strip()) for token in found if token.type == "html_block")
    words = " ".join(token.content for token in found if token.type == "text")
    assert not re.search(r"@\w", words)  # nobody is mentioned
    assert not re.search(r"#\d|\bGH-\d|https?://", words)  # no issue and no page is linked
    headings = [found[n + 1].content for n, token in enumerate(found) if token.type == "heading_open"]
    assert all(not heading.startswith("heading") for heading in headings)
    assert len(text.encode()) < 1 << 20


def test_the_issue_has_what_maintainers_ask_for_and_no_addresses() -> None:
    text = render(documents.golden("llama-box/view-abort"), "markdown")
    for wanted in ("llama-box v0.0.117", "Q4\\_K - Medium", "gpu_layers = 81", "cannot run the operation (VIEW)"):
        assert wanted in text
    assert "192.168." not in text
    assert "RPC[<ip-1>:50211]" in text
    assert "12.47.013.603 W slt" in text  # a clock of llama.cpp is no address


def test_who_and_where_are_masked() -> None:
    from doctor.report.anonymous import Mask

    mask = Mask({"gpu-7.example.org": "host-1"})
    told = mask.text("/home/jane/m.gguf from jane.doe@example.org on gpu-7.example.org 10.1.2.3:80 10.1.2.4 10.1.2.3")
    assert told == "/home/<user-1>/m.gguf from <mail-1> on host-1 <ip-1>:80 <ip-2> <ip-1>"
    assert mask.text("fe80::1c2:3 aa:bb:cc:dd:ee:ff std::move 12:34:56") == "<ip-3> <ip-4> std::move 12:34:56"
    kept = "0.0.0.0 127.0.0.1 version 1.2.3 0.10.167.162 I srv: loading"
    assert mask.text(kept) == kept


@pytest.mark.parametrize(
    ("name", "output", "expected"),
    [
        (None, None, "text"),
        (None, "-", "text"),
        (None, "report.html", "html"),
        (None, "a/b.c/out.SARIF", "sarif"),
        (None, "out.jsonl", "jsonl"),
        (None, "junit.xml", "junit"),
        (None, "diagnosis.json", "json"),
        (None, "issue.md", "markdown"),
        ("gitlab", "gl-code-quality-report.json", "gitlab"),
        (None, "noname", "text"),
    ],
)
def test_the_name_of_the_file_says_the_format(name: str | None, output: str | None, expected: str) -> None:
    assert chosen(name, output) == expected
