"""Whole documents and terminal pages of the published incidents, compared word by word.

`LLMDOCTOR_UPDATE_GOLDEN=1 pytest tests/test_golden.py` writes them anew; read the difference before you commit it.
"""

from __future__ import annotations

import io
import json
import os
import shutil
from pathlib import Path

import jsonschema
import pytest
import yaml

from doctor.api import analyze
from doctor.report.json import render_json
from doctor.report.text import print_text
from doctor.vocabulary.document import Diagnosis, json_schema, read
from tests.test_fixtures import FIXTURES, expectation

GOLDEN = Path(__file__).parent / "golden"
CASES = [
    "llama-box/view-abort",
    "llama-box/view-abort-no-buffer-name",
    "ktransformers/numa-copies",
    "healthy/llama-box-rpc-context-shift-cured",
]


@pytest.fixture
def document(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Diagnosis:
    case = FIXTURES / request.param
    box = tmp_path / "case"
    shutil.copytree(case, box, ignore=shutil.ignore_patterns("expect.yaml", "made.yaml"))
    monkeypatch.chdir(tmp_path)
    expect = yaml.safe_load(expectation(case).read_text(encoding="utf-8"))
    made = analyze(["case"], command=expect.get("command"), exit=expect.get("exit"))
    made.llmdoctor = "VERSION"
    return made


def compare(name: str, text: str) -> None:
    path = GOLDEN / name
    if os.environ.get("LLMDOCTOR_UPDATE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize(("document", "case"), [(case, case) for case in CASES], indirect=["document"], ids=CASES)
def test_document(document: Diagnosis, case: str) -> None:
    text = render_json(document)
    compare(f"{case}.json", text)
    jsonschema.validate(json.loads(text), json_schema())
    assert read(text) == document


@pytest.mark.parametrize(("document", "case"), [(case, case) for case in CASES], indirect=["document"], ids=CASES)
@pytest.mark.parametrize("width", [80, 100])
def test_terminal(document: Diagnosis, case: str, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    out = io.StringIO()
    print_text(document, stream=out)
    text = out.getvalue()
    if width == 80:
        compare(f"{case}.txt", text)
    assert all(len(line) <= width for line in text.splitlines())
    assert not any(line.endswith(" ") for line in text.splitlines())
    assert "\x1b" not in text
