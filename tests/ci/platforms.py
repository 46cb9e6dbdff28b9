"""What GitHub and GitLab do with a file of theirs, as far as it needs neither of them: the shell steps, really run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))


def workflow_step(example: str) -> dict[str, str]:
    """What an example's workflow gives to the action."""
    path = ROOT / "examples" / example / ".github" / "workflows" / "llmdoctor.yml"
    (job,) = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values()
    given: dict[str, str] = next(step["with"] for step in job["steps"] if "llmdoctor@" in step.get("uses", ""))
    return given


@dataclass
class Runner:
    """A workspace of a GitHub job, with the files by which its steps speak."""

    folder: Path
    workspace: Path
    outputs: dict[str, str] = field(default_factory=dict)

    @property
    def temp(self) -> Path:
        return self.folder / "temp"

    def step(self, number: int, given: dict[str, str]) -> subprocess.CompletedProcess[str]:
        """Runs a shell step of the action, with its expressions filled in where the runner does that: in ``env``."""
        step = ACTION["runs"]["steps"][number]
        assert step["shell"] == "bash"
        assert "${{" not in step["run"], "an expression in a script lets an input act"
        inputs = {name: str(given.get(name, entry["default"])) for name, entry in ACTION["inputs"].items()}
        unknown = set(given) - set(inputs)
        assert not unknown, unknown
        output, summary = self.folder / "output", self.folder / "summary.md"
        output.write_text("")
        summary.write_text("")
        self.temp.mkdir(exist_ok=True)
        env = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ["HOME"],
            "GITHUB_OUTPUT": str(output),
            "GITHUB_STEP_SUMMARY": str(summary),
            "GITHUB_WORKSPACE": str(self.workspace),
            "RUNNER_TEMP": str(self.temp),
            **{name: _filled(str(text), inputs) for name, text in step["env"].items()},
        }
        script = self.folder / "step.sh"
        script.write_text(step["run"])
        command = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", str(script)]
        done = subprocess.run(command, cwd=self.workspace, env=env, capture_output=True, text=True, check=False)
        self.outputs = dict(line.split("=", 1) for line in output.read_text().splitlines())
        return done

    @property
    def summary(self) -> str:
        return (self.folder / "summary.md").read_text()


def _filled(text: str, inputs: dict[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        name = found[1].strip()
        return str(ROOT) if name == "github.action_path" else inputs[name.removeprefix("inputs.")]

    return re.sub(r"\$\{\{(.*?)\}\}", value, text)


def copied(example: str, to: Path) -> Path:
    """An example as a repository of its own."""
    shutil.copytree(ROOT / "examples" / example, to)
    return to


def gitlab_job(workspace: Path, program: Path) -> subprocess.CompletedProcess[str]:
    """The template's job with the variables of a repository that includes it, installed already."""
    template = yaml.safe_load((ROOT / "ci" / "gitlab.yml").read_text(encoding="utf-8"))["llmdoctor"]
    own: dict[str, Any] = yaml.safe_load((workspace / ".gitlab-ci.yml").read_text(encoding="utf-8"))["llmdoctor"]
    variables = {**template["variables"], **own["variables"]}
    (workspace / ".llmdoctor").symlink_to(program.parent.parent)
    env = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ["HOME"],
        "CI_PROJECT_DIR": str(workspace),
        **{name: str(value) for name, value in variables.items()},
    }
    script = "set -eo pipefail\n" + "\n".join(template["script"])
    return subprocess.run(["bash", "-c", script], cwd=workspace, env=env, capture_output=True, text=True, check=False)
