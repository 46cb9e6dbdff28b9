"""The plan's page: what it says, that it is whole by itself, and that a hostile model's name is only text."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import jsonschema

from doctor.model.read import read_model
from doctor.planning.plan import plan
from doctor.planning.target import read_target
from doctor.report.plan_html import render_plan
from tests.model.support import llama_70b


def page(folder: Path, target: str, context: int, name: str = "Llama 3.3 70B") -> str:
    path = folder / "m.yaml"
    path.write_text(llama_70b(name=name))
    return render_plan(
        plan(
            read_model(path),
            {"setting.context": context, "setting.slots": 1, "setting.gpu_layers": 99},
            read_target(target),
        )
    )


def test_what_fits_is_drawn_place_by_place(tmp_path: Path) -> None:
    text = page(tmp_path, "8x-h100", 32768)
    assert "FITS" in text
    assert text.count("<table") == 9  # eight cards and the host
    assert text.count("<svg") > 9 * 3
    assert "kept free" in text
    assert "KV" in text or "kv" in text
    assert "<script" not in text
    assert not re.search(r"(?:src|href)=[\"']?https?:", text)


def test_what_is_missing_is_said_with_what_would_fit(tmp_path: Path) -> None:
    text = page(tmp_path, "2x-rtx-4090", 131072)
    assert "DOES NOT FIT" in text
    assert "lacks" in text
    assert 'class="over"' in text
    assert "What fits" in text


def test_a_name_is_text(tmp_path: Path) -> None:
    seen: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            seen.append(tag)

    Reader().feed(page(tmp_path, "8x-h100", 8192, "<script>alert(1)</script>"))
    assert "script" not in seen


def test_the_command_writes_it_by_the_files_name(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(llama_70b(name="m"))
    words = ["plan", str(tmp_path / "m.yaml"), "--target", "8x-h100", "--command", "llama-server -c 8192 -np 1"]

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", "from doctor.cli import main; main()", *more],
            capture_output=True,
            text=True,
            check=False,
        )

    assert run(*words, "-o", str(tmp_path / "p.html")).returncode == 0
    assert (tmp_path / "p.html").read_text().startswith("<!doctype html>")
    assert run(*words, "-o", str(tmp_path / "p.json")).returncode == 0
    schema = json.loads(run("plan", "--schema").stdout)
    jsonschema.validate(json.loads((tmp_path / "p.json").read_text()), schema)
    assert "Fits with a context" in run(*words, "--format", "text", "-o", "-").stdout
