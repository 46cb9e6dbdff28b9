"""The file of settings: where it is looked for, what is told of mistakes in it, what each key does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from doctor.cli.options import Policy
from doctor.errors import UsageProblem
from doctor.settings import Settings
from doctor.settings.file import json_schema, nearest, read, settings_for
from doctor.vocabulary.terms import Severity
from tests.cli.test_commands import CRASH, FIXTURES, document, run
from tests.report import documents

MANIFEST = FIXTURES / "check" / "vllm-kubernetes" / "vllm.yaml"


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_the_nearest_file_upward_counts(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    assert nearest(inner) is None or tmp_path not in (nearest(inner) or tmp_path).parents
    shared = written(tmp_path / "pyproject.toml", '[tool.other]\nx = 1\n[tool.llmdoctor]\nfail-on = "minor"\n')
    assert nearest(inner) == shared
    written(tmp_path / "a" / "pyproject.toml", "[project]\nname = 'llmdoctor-user'\n")
    assert nearest(inner) == shared
    own = written(tmp_path / "llmdoctor.toml", 'fail-on = "fatal"\n')
    assert nearest(inner) == own
    near = written(inner / "llmdoctor.toml", "")
    assert nearest(inner) == near
    assert settings_for(start=inner / "c").path == near
    assert settings_for(start=inner, none=True).path is None
    assert settings_for(str(shared), start=inner).settings.fail_on is Severity.MINOR


def test_every_key_is_read_twice_the_same(tmp_path: Path) -> None:
    text = """
select = ["memory"]
ignore = ["kv.context-overflow"]
fail-on = "info"
strict = true
rules = ["ours", "a-pack"]
baseline = "ok.toml"
reserve = "2 GiB"
redact = "names"
redact-words = ["acme"]

[severity]
memory = "minor"
"""
    (tmp_path / "ours").mkdir()
    path = written(tmp_path / "llmdoctor.toml", text)
    loaded, again = read(path), read(path)
    assert loaded == again
    assert loaded.settings != Settings()
    assert loaded.rules == [str(tmp_path / "ours"), "a-pack"]
    assert loaded.baseline == str(tmp_path / "ok.toml")
    assert loaded.reserve == 2 << 30
    assert loaded.choice.severity == {"memory": Severity.MINOR}


@pytest.mark.parametrize(
    ("text", "line", "message", "hint"),
    [
        ("\nfail_on = 'minor'\n", 2, "no such key: fail_on", "did you mean fail-on?"),
        ("ignored = []\n", 1, "no such key: ignored", "did you mean ignore?"),
        ("qqq = 1\n", 1, "no such key: qqq", "the keys are select, ignore, severity, fail-on"),
        ("strict = true\nfail-on = 'mayor'\n", 2, "fail-on: Input should be 'info'", "did you mean major?"),
        ("[severity]\n# x\nkv = 'fatl'\n", 3, "severity.kv: Input should be", "did you mean fatal?"),
        ("select = 'memory'\n", 1, "select: Input should be a valid list", ""),
        ("strict = true\nreserve = 'lots'\n", 2, "reserve: not a size: 'lots'", 'for example "2 GiB"'),
        ("reserve = -5\n", 1, "reserve: not a size: -5", "for example"),
        ("reserve = [1]\n", 1, "reserve: Input should be", ""),
        ("strict = true\nselect = [\n", 0, "is no TOML", ""),
        ("strict = \n", 1, "is no TOML: Invalid value", ""),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, text: str, line: int, message: str, hint: str) -> None:
    path = written(tmp_path / "llmdoctor.toml", text)
    with pytest.raises(UsageProblem) as caught:
        read(path)
    assert caught.value.subject == (f"{path}:{line}" if line else str(path))
    assert caught.value.message.startswith(message)
    assert (caught.value.hint or "").startswith(hint)


def test_in_pyproject_the_line_is_that_of_its_own_table(tmp_path: Path) -> None:
    path = written(tmp_path / "pyproject.toml", "[tool.x]\nstrikt = 1\n\n[tool.llmdoctor]\nstrikt = true\n")
    with pytest.raises(UsageProblem) as caught:
        read(path)
    assert caught.value.subject == f"{path}:5"
    assert caught.value.hint == "did you mean strict?"


def test_the_command_line_says_it_and_ends_with_2(tmp_path: Path) -> None:
    path = written(tmp_path / "llmdoctor.toml", "stric = true\n")
    done = run("analyze", CRASH, "--config", path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"llmdoctor: {path}:1: no such key: stric\n  hint: did you mean strict?\n"
    assert run("analyze", CRASH, "--config", tmp_path / "none.toml").returncode == 2
    assert "exclude each other" in run("analyze", CRASH, "--config", path, "--no-config").stderr


def test_the_schema_fits_the_file(tmp_path: Path) -> None:
    schema = json_schema()
    jsonschema.validate({"fail-on": "minor", "severity": {"kv": "info"}, "reserve": 3}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"fail_on": "minor"}, schema)
    assert all(entry.get("description") for entry in schema["properties"].values())


def checked(folder: Path, text: str, *arguments: str) -> tuple[int, dict[str, Any]]:
    """What `check` says of the manifest with these settings, found from the working directory."""
    written(folder / "llmdoctor.toml", text)
    program = "from doctor.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "check", MANIFEST, "--format", "json", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.stderr, done.stderr
    return done.returncode, document(done)


def found(data: dict[str, Any]) -> dict[str, str]:
    return {finding["rule_id"]: finding["severity"] for finding in data["findings"]}


def test_rules_are_selected_ignored_and_regraded(tmp_path: Path) -> None:
    status, data = checked(tmp_path, "")
    assert status == 1
    assert set(found(data)) == {"vllm-no-device", "shm-nccl-segment"}
    assert data["settings_file"] == str(tmp_path / "llmdoctor.toml")
    _status, data = checked(tmp_path, 'select = ["memory"]')
    assert set(found(data)) == {"shm-nccl-segment"}
    _status, data = checked(tmp_path, 'ignore = ["memory.shm"]')
    assert set(found(data)) == {"vllm-no-device"}
    status, data = checked(tmp_path, '[severity]\nvllm-no-device = "minor"\nmemory = "info"\n"memory.shm" = "minor"\n')
    assert (status, found(data)) == (0, {"vllm-no-device": "minor", "shm-nccl-segment": "minor"})


def test_the_command_line_wins(tmp_path: Path) -> None:
    text = '[severity]\nvllm-no-device = "major"\nmemory = "major"\n'
    assert checked(tmp_path, text)[0] == 1
    assert checked(tmp_path, 'fail-on = "fatal"\n' + text)[0] == 0
    assert checked(tmp_path, 'fail-on = "fatal"\n' + text, "--fail-on", "major")[0] == 1
    assert checked(tmp_path, 'fail-on = "fatal"\nstrict = true\n' + text)[0] == 3
    status, data = checked(tmp_path, "strict = true\n" + text, "--no-config")
    assert (status, data["settings_file"]) == (1, None)


def test_a_misspelt_rule_is_told(tmp_path: Path) -> None:
    written(tmp_path / "llmdoctor.toml", 'ignore = ["vllm-no-devices"]\n')
    done = run("check", MANIFEST, "--config", tmp_path / "llmdoctor.toml")
    assert done.returncode == 2
    assert "ignore: no such rule or family: vllm-no-devices\n  hint: did you mean vllm-no-device?" in done.stderr


def test_the_reserve_stays_free_on_every_device(tmp_path: Path) -> None:
    numbers = FIXTURES / "check" / "llama-compose" / "model.yaml"
    command = "llama-server -m m.gguf -ngl 99 -c 4096"
    free = []
    for text in ("", 'reserve = "20 GiB"\n'):
        config = written(tmp_path / "llmdoctor.toml", text)
        done = run(
            *("plan", numbers, "--command", command, "--target", "2x-rtx-4090", "--format", "json", "--config", config)
        )
        free.append([place["reserve"] for place in document(done)["places"]][:2])
    assert free == [[1 << 30, 1 << 30], [20 << 30, 20 << 30]]


def test_names_and_words_are_replaced_in_every_format(tmp_path: Path) -> None:
    log = written(tmp_path / "acme.log", CRASH.read_text().replace("/home/", "/home/Acme-"))
    config = written(tmp_path / "llmdoctor.toml", 'redact = "names"\nredact-words = ["acme", "run"]\n')
    for name in ("json", "html", "sarif", "text", "junit"):
        done = run("analyze", log, "--config", config, "--format", name)
        assert done.returncode == 1
        assert "acme" not in done.stdout.lower().replace(str(config).lower(), "")
        assert "192.168." not in done.stdout
        assert "&lt;word-1" in done.stdout or "<word-1>" in done.stdout or "word-1" in done.stdout


def test_words_leave_what_is_of_a_closed_list() -> None:
    made = Policy().finish(documents.suppressed())
    assert made.settings_file is None
    from doctor.report.anonymous import without

    masked = without(made, names=False, words=["risk", "high", "inline", "vllm"])
    assert {entry.finding.role for entry in masked.suppressed} <= {"risk", "advice"}
    assert "vllm" not in str(masked.to_dict()["runs"]).lower()
