"""action.yml, the GitLab template, the pre-commit hook, the Dockerfile and the examples, each run to its end."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import venv
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema
import pytest
import yaml

from tests.ci.platforms import ACTION, ROOT, Runner, copied, gitlab_job, workflow_step
from tests.report.test_formats import GITLAB_SCHEMA, SARIF_SCHEMA

# Of each example: what somebody might change in which file, and what is then to be told of which line.
BROKEN = {
    "compose": ("docker-compose.yml", "-c 16384", "-c 131072", "docker-compose.yml,line=6,", "KV"),
    "kubernetes": ("vllm.yaml", "--tensor-parallel-size=4", "--tensor-parallel-size=3", "vllm.yaml,line=18,", "divi"),
    "systemd": ("host.yaml", "251 GiB\nfree: 247 GiB", "62 GiB\nfree: 60 GiB", "", "mapped model is larger"),
}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the action's first step installs: RUNNER_TEMP."""
    runner = Runner(tmp_path_factory.mktemp("runner"), ROOT)
    done = runner.step(0, {"python": sys.executable})
    assert done.returncode == 0, done.stderr
    return runner.temp


@pytest.fixture
def runner(installed: Path, tmp_path: Path) -> Runner:
    made = Runner(tmp_path, tmp_path / "work")
    made.temp.mkdir()
    (made.temp / "llmdoctor").symlink_to(installed / "llmdoctor")
    return made


def test_the_action_is_what_github_takes() -> None:
    assert ACTION["runs"]["using"] == "composite"
    assert {"name", "description", "inputs", "outputs"} <= set(ACTION)
    for entry in ACTION["inputs"].values():
        assert entry["description"]
        assert isinstance(entry["default"], str)
    steps = ACTION["runs"]["steps"]
    names = {step["id"] for step in steps if "id" in step}
    assert all(name in names for name in re.findall(r"steps\.(\w+)\.", json.dumps(ACTION)))
    used = set(re.findall(r"inputs\.([\w-]+)", json.dumps(ACTION["runs"])))
    assert used == set(ACTION["inputs"])


@pytest.mark.parametrize("example", list(BROKEN))
def test_the_workflow_gives_what_the_action_knows(example: str) -> None:
    assert set(workflow_step(example)) <= set(ACTION["inputs"])


@pytest.mark.slow
@pytest.mark.parametrize("example", list(BROKEN))
def test_an_example_passes_and_its_mistake_is_told(runner: Runner, example: str) -> None:
    copied(example, runner.workspace)
    done = runner.step(1, workflow_step(example))
    assert done.returncode == 0, done.stdout + done.stderr
    assert runner.outputs["status"] == "0"
    assert runner.outputs["verdict"] == "clear"
    assert runner.summary.startswith("## CLEAR")
    name, good, bad, place, word = BROKEN[example]
    file = runner.workspace / name
    file.write_text(file.read_text().replace(good, bad))
    done = runner.step(1, workflow_step(example))
    assert done.returncode == 1, done.stdout + done.stderr
    assert runner.outputs["verdict"] == "at_risk"
    assert (f"::error file={place}" if place else "::error ") in done.stdout
    assert word in done.stdout
    assert runner.summary.startswith("## AT RISK")
    sarif = json.loads(Path(runner.outputs["sarif"]).read_text())
    jsonschema.Draft4Validator(SARIF_SCHEMA).validate(sarif)
    assert Path(runner.outputs["report"]).read_text().startswith("<!doctype html>")


@pytest.mark.slow
def test_an_input_of_the_action_does_not_act(runner: Runner) -> None:
    copied("compose", runner.workspace)
    for text in ("$(touch pwned)", "`touch pwned`", "'; touch pwned; '", "--help", "a b\n\n-"):
        done = runner.step(1, {"paths": text, "config": "", "target": text})
        assert done.returncode == 2, done.stdout
        assert runner.outputs == {"status": "2"}
    assert not (runner.workspace / "pwned").exists()


@pytest.mark.slow
def test_settings_and_baseline_reach_the_action(runner: Runner) -> None:
    copied("systemd", runner.workspace)
    (runner.workspace / "other.toml").write_text("stric = true\n")
    done = runner.step(1, {**workflow_step("systemd"), "config": "other.toml"})
    assert (done.returncode, runner.outputs["status"]) == (2, "2")
    assert "did you mean strict?" in done.stderr
    assert runner.step(1, {**workflow_step("systemd"), "baseline": "none.toml"}).returncode == 2


@pytest.mark.slow
def test_the_gitlab_job_reports(installed: Path, tmp_path: Path) -> None:
    program = installed / "llmdoctor" / "bin" / "llmdoctor"
    good = copied("kubernetes", tmp_path / "good")
    done = gitlab_job(good, program)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((good / "gl-code-quality-report.json").read_text()) == []
    bad = copied("kubernetes", tmp_path / "bad")
    file = bad / "vllm.yaml"
    file.write_text(file.read_text().replace("size=4", "size=3"))
    assert gitlab_job(bad, program).returncode == 1
    report = json.loads((bad / "gl-code-quality-report.json").read_text())
    jsonschema.validate(report, GITLAB_SCHEMA)
    assert ("vllm.yaml", 18) in {(each["location"]["path"], each["location"]["lines"]["begin"]) for each in report}
    assert ET.parse(bad / "llmdoctor-junit.xml").findall(".//failure")  # noqa: S314 - our own file
    assert (bad / "llmdoctor.html").exists()


@pytest.mark.slow
def test_the_hook_runs_in_pre_commit(tmp_path: Path) -> None:
    """A repository that has the example's configuration, with this checkout as the hook's repository."""

    def git(folder: Path, *arguments: str) -> str:
        who = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "protocol.file.allow=always"]
        done = subprocess.run(["git", *who, *arguments], cwd=folder, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    hooks = tmp_path / "llmdoctor"
    hooks.mkdir()
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "--", "doctor", "rules", "reports", *_FILES],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    for name in filter(None, listed):
        if (ROOT / name).is_file():
            (hooks / name).parent.mkdir(parents=True, exist_ok=True)
            (hooks / name).write_bytes((ROOT / name).read_bytes())
    git(hooks, "init", "-q")
    git(hooks, "add", "-A")
    git(hooks, "commit", "-q", "-m", "hooks")
    user = copied("compose", tmp_path / "user")
    config = user / ".pre-commit-config.yaml"
    text = config.read_text().replace("https://github.com/OWNER/llmdoctor", str(hooks))
    config.write_text(text.replace("rev: main", f"rev: {git(hooks, 'rev-parse', 'HEAD')}"))
    git(user, "init", "-q")
    git(user, "add", "-A")

    def hook() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "pre_commit", "run", "--all-files"],
            cwd=user,
            env={**_environment(), "PRE_COMMIT_HOME": str(tmp_path / "home")},
            capture_output=True,
            text=True,
            check=False,
        )

    done = hook()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Passed" in done.stdout
    name, good, bad, _place, _word = BROKEN["compose"]
    (user / name).write_text((user / name).read_text().replace(good, bad))
    git(user, "add", "-A")
    done = hook()
    assert done.returncode == 1
    assert "AT RISK" in done.stdout


_FILES = ("pyproject.toml", "README.md", "LICENSE", "NOTICE", ".pre-commit-hooks.yaml")


def _environment() -> dict[str, str]:
    import os

    return {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}


def test_the_hook_looks_at_what_can_be_a_deployment() -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    pattern = re.compile(hook["files"])
    for name in (
        "docker-compose.yml",
        "a/vllm.yaml",
        "llama.service",
        ".env",
        "a/.env.prod",
        "x.env",
        "Modelfile",
        "run.sh",
    ):
        assert pattern.search(name), name
    for name in ("README.md", "main.py", "a.json", "yaml", "model.gguf"):
        assert not pattern.search(name), name


@pytest.mark.slow
def test_the_commands_of_the_dockerfile_work_in_an_empty_environment(tmp_path: Path) -> None:
    """There is no daemon here: the instructions are taken apart, and those of the first stage are run elsewhere."""
    text = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text())
    lines = [line.split(None, 1) for line in text.split("\n") if line.strip() and not line.startswith("#")]
    assert [word for word, _rest in lines].count("FROM") == 2
    assert {word for word, _rest in lines} <= {"FROM", "COPY", "RUN", "ENV", "USER", "WORKDIR", "ENTRYPOINT", "CMD"}
    assert dict(lines)["ENTRYPOINT"] == '["llmdoctor"]'
    assert dict(lines)["USER"] != "root"
    source = tmp_path / "src"
    source.mkdir()
    taken = [line[1:] for line in (ROOT / ".dockerignore").read_text().split() if line.startswith("!")]
    for name in taken:
        (source / name).symlink_to(ROOT / name)
    venv.create(tmp_path / "empty", with_pip=True)
    build = next(rest for word, rest in lines if word == "RUN")
    script = build.replace("/opt/llmdoctor", str(tmp_path / "opt")).replace("/src", str(source))
    env = {**_environment(), "PATH": f"{tmp_path / 'empty' / 'bin'}:/usr/bin:/bin"}
    done = subprocess.run(["bash", "-ec", script], env=env, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    program = str(tmp_path / "opt" / "bin" / "llmdoctor")
    example = ROOT / "examples" / "kubernetes" / "vllm.yaml"
    told = subprocess.run([program, "check", "vllm.yaml", "--no-config"], cwd=example.parent, check=False)
    assert told.returncode == 0
