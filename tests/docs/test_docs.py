"""What the documentation says is so: its example runs, its settings are taken, its links lead somewhere."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest
import yaml

from doctor.cli import cli
from doctor.settings.choose import choose
from doctor.settings.file import read

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
GUIDES = [path for path in PAGES if path.parent.name != "decisions"]  # those tell of the past


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text(encoding="utf-8"), re.M | re.S)


def test_the_python_example_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    (example,) = blocks(ROOT / "docs" / "api.md", "python")
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(example, "docs/api.md", "exec"), {})  # noqa: S102 - our own page
    lines = out.getvalue().splitlines()
    assert lines[0] == "failing"
    assert lines[1].startswith("rpc-kv-view-stale-support ")
    assert "vllm-no-device" in lines[-2]
    assert lines[-1] in {"fits", "does_not_fit"}


def test_the_settings_of_the_page_are_taken(tmp_path: Path) -> None:
    from doctor.rulebook.book import load_book

    (example,) = blocks(ROOT / "docs" / "configuration.md", "toml")
    path = tmp_path / "llmdoctor.toml"
    path.write_text(example)
    loaded = read(path)
    choose(load_book(), loaded.choice)
    assert set(tomllib.loads(example)) <= {"fail-on", "ignore", "rules", "baseline", "reserve", "severity"} | {
        "redact",
        "redact-words",
    }


def test_the_suppression_of_the_page_counts(tmp_path: Path) -> None:
    from doctor.facts.config.places import Text
    from doctor.suppress import inline

    (example,) = blocks(ROOT / "docs" / "suppression.md", "yaml")
    (made,) = inline(Text("f", example))
    assert (made.rule, made.reason, made.lines) == ("shm-nccl-segment", "two ranks, measured", (4, 4))
    assert made.until is not None


@pytest.mark.parametrize(
    "path", [path for path in PAGES if path.parent.name != "decisions"], ids=lambda path: path.name
)
def test_every_command_of_a_page_exists(path: Path) -> None:
    """Each `llmdoctor COMMAND --option` in it has that command and that option."""
    root = click.Context(cli, info_name="llmdoctor")
    for line in _code(path).split("\n"):
        plain = re.sub(r"\"[^\"]*\"|'[^']*'|#.*", "", line)
        found = re.search(r"(?:^|[|;\s])llmdoctor ([a-z]+)(.*)", plain)
        if found is None or found[1] in {"run", "watch", "rules"} or "docker " in plain:
            continue
        command = cli.get_command(root, found[1])
        assert command is not None, line
        known = {each for parameter in command.params for each in parameter.opts} | {"--help"}
        for option in re.findall(r"(?<=\s)--[a-z][a-z-]*", re.split(r"[|>;]", found[2])[0]):
            assert option in known, line


def _code(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    fenced = "\n".join(re.findall(r"^```[^\n]*\n(.*?)^```", text, re.M | re.S)).replace("\\\n", " ")
    return fenced + "\n" + "\n".join(re.findall(r"`(llmdoctor [^`]*)`", text))


def test_every_page_is_in_the_navigation() -> None:
    config = yaml.safe_load(re.sub(r"!!\S+", "", (ROOT / "mkdocs.yml").read_text()))
    listed = set(re.findall(r"[\w/-]+\.md", json.dumps(config["nav"])))
    committed = {path.relative_to(ROOT / "docs").as_posix() for path in PAGES}
    assert {name for name in committed if not name.startswith("decisions/")} <= listed
    made = {f"reference/{name}.md" for name in ("commands", "formats", "facts")}
    made |= {"rules/index.md", "decisions/index.md"}
    assert listed - committed == made  # nothing that is made is committed


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    env = {**os.environ, "LLMDOCTOR_DOCS_QUICK": "1", "NO_MKDOCS_2_WARNING": "1", "http_proxy": "http://127.0.0.1:9"}
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rules = {path.stem for path in (ROOT / "rules").rglob("*.yaml") if path.parent.name != "dialects"}
    assert rules <= {path.stem for path in (tmp_path / "rules").glob("*.html")}
    page = (tmp_path / "rules" / "rpc-kv-view-stale-support.html").read_text(encoding="utf-8")
    assert "&gt;=0.0.117,&lt;0.0.119" in page
    loaded = [
        found
        for path in (tmp_path / "index.html", tmp_path / "rules" / "index.html")
        for found in re.findall(r"""<(?:script|link|img)[^>]+(?:src|href)=["'](https?:[^"']+)""", path.read_text())
    ]
    assert loaded == []  # readable without network
    schema = json.loads((tmp_path / "reference" / "settings.schema.json").read_text())
    assert "fail-on" in schema["properties"]


# --- the names of the Python interface --------------------------------------------------------------------------------


def test_the_names_stay() -> None:
    """Names are added here, never taken away or renamed."""
    doctor = importlib.import_module("doctor")
    stable = {"Diagnosis", "Finding", "UsageProblem", "__version__", "analyze", "check", "confirm", "plan"}
    assert set(doctor.__all__) == stable
    page = (ROOT / "docs" / "api.md").read_text()
    for name in stable:
        assert getattr(doctor, name) is not None
        assert f"`doctor.{name}" in page


def test_arguments_stay() -> None:
    import inspect

    import doctor

    wanted = {
        "analyze": ["paths", "command", "env", "hardware", "exit", "run", "rules", "model"],
        "check": ["paths", "command", "model", "target", "rules", "baseline"],
        "plan": ["model", "command", "target", "reserve"],
    }
    for name, arguments in wanted.items():
        parameters = inspect.signature(getattr(doctor, name)).parameters
        assert list(parameters) == arguments
        listed = re.search(rf"`doctor\.{name}\((.*?)\)`", (ROOT / "docs" / "api.md").read_text())
        assert listed is not None
        assert listed[1].replace("*, ", "").split(", ") == arguments


def test_import_doctor_imports_almost_nothing() -> None:
    program = "import sys; before = set(sys.modules); import doctor; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    heavy = {"click", "dataclasses", "importlib.metadata", "json", "pathlib", "pydantic", "regex", "tomllib", "yaml"}
    assert not heavy & set(done.stdout.split())


def test_without_a_file_of_settings_nothing_more_is_imported() -> None:
    """Neither TOML nor pydantic at the start of a command that finds no file."""
    program = (
        "import sys; from doctor.settings.file import settings_for; import doctor.cli.check; settings_for();"
        "print(*[name for name in ('tomllib', 'pydantic', 'jinja2', 'mcp') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd="/", capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
