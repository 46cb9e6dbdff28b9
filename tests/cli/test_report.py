"""`llmdoctor report` and the options for formats, as a person and a CI job use them."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from doctor.report.formats import FORMATS
from tests.cli.test_commands import CRASH, HEALTHY, run


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "diagnosis.json"
    assert run("analyze", CRASH, "-o", path).returncode == 1
    return path


@pytest.mark.parametrize("name", list(FORMATS))
def test_the_exit_status_is_the_same_in_every_format(name: str) -> None:
    done = run("analyze", CRASH, "--format", name)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout


def test_a_healthy_log_ends_with_0_in_every_file(tmp_path: Path) -> None:
    for name in ("a.html", "a.sarif", "a.xml"):
        done = run("analyze", HEALTHY, "-o", tmp_path / name)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert (tmp_path / name).stat().st_size > 100


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "json"])
def test_a_saved_diagnosis_gives_the_same_report(saved: Path, name: str) -> None:
    assert run("report", saved, "--format", name).stdout == run("analyze", CRASH, "--format", name).stdout


def test_the_page_is_what_report_writes_without_more(saved: Path, tmp_path: Path) -> None:
    done = run("report", saved)
    assert done.returncode == 0
    assert done.stdout.startswith("<!doctype html>")
    assert run("report", "-", "-o", tmp_path / "x.html", stdin=saved.read_text()).returncode == 0
    assert (tmp_path / "x.html").read_text(encoding="utf-8") == done.stdout


def test_the_schema_is_printed(saved: Path) -> None:
    schema = json.loads(run("report", "--schema").stdout)
    jsonschema.validate(json.loads(saved.read_text()), schema)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no diagnosis document: Invalid JSON"),
        ("[1]", "is no diagnosis document"),
        ('{"llmdoctor": "1", "verdict": "fine"}', "is no diagnosis document: verdict: Input should be 'failing'"),
        ('{"llmdoctor": "1", "verdict": "clear", "schema": "other/1"}', "is a document of another kind: 'other/1'"),
        ('{"a":' * 100_000, "is no diagnosis document"),
    ],
)
def test_what_is_no_diagnosis_gets_one_message(text: str, message: str) -> None:
    done = run("report", "-", "--format", "json", stdin=text)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 2


def test_files_that_cannot_be_read_or_written(saved: Path, tmp_path: Path) -> None:
    done = run("report", tmp_path / "no.json")
    assert done.returncode == 2
    assert "no.json: can't be read: No such file" in done.stderr
    done = run("report", saved, "-o", tmp_path / "no" / "report.html")
    assert done.returncode == 2
    assert "can't be written" in done.stderr
    assert run("report").returncode == 2


def test_a_secret_in_a_saved_diagnosis_is_not_shown(saved: Path) -> None:
    text = saved.read_text().replace("kv_cache_update", "--api-key sk-abcdefghijklmnopqrstuvwx kv_cache_update")
    assert "sk-abcdef" in text
    for name in ("html", "markdown", "sarif"):
        assert "sk-abcdef" not in run("report", "-", "--format", name, stdin=text).stdout


def test_halves_of_characters_come_through(saved: Path) -> None:
    text = saved.read_text().replace("kv_cache_update", "half \\ud83d kv_cache_update")
    done = run("report", "-", "--format", "json", stdin=text)
    assert done.returncode == 0, done.stderr
    assert "half \\ufffd kv_cache_update" in done.stdout
