"""The wheel carries rules and templates, and works in an empty environment from any folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)], cwd=ROOT, check=True)
    return next(folder.glob("*.whl"))


@pytest.mark.slow
def test_wheel_holds_the_rule_book(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    shipped = {path.relative_to(ROOT / "rules").as_posix() for path in (ROOT / "rules").rglob("*.yaml")}
    assert {name.removeprefix("doctor/_data/rules/") for name in names if "_data/rules/" in name} == shipped
    assert {"report.html", "parts.html", "style.css", "script.js"} <= {
        name.removeprefix("doctor/_data/reports/html/") for name in names if "_data/reports/html/" in name
    }
    assert not [name for name in names if name.startswith(("tests/", "fixtures/"))]


@pytest.mark.slow
def test_installed_in_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    """Installed for real, with its dependencies, and run from another folder than the repository's."""
    place = tmp_path / "env"
    venv.create(place, with_pip=True)
    subprocess.run([place / "bin" / "pip", "install", "-q", "--disable-pip-version-check", str(wheel)], check=True)
    case = ROOT / "fixtures" / "llama-box" / "view-abort"
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LLMDOCTOR_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run(
        [place / "bin" / "llmdoctor", "analyze", str(case), "--format", "json"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    document = json.loads(done.stdout)
    assert document["findings"][0]["rule_id"] == "rpc-kv-view-stale-support"
    assert document["problems"] == []
    done = subprocess.run(
        [place / "bin" / "llmdoctor", "analyze", str(case), "-o", "report.html"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "Upgrade GPUStack to 0.6.0" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_editable_install_reads_the_repository() -> None:
    from doctor.resources import folder

    assert folder("rules") == ROOT / "rules"
    assert folder("reports") == ROOT / "reports"
