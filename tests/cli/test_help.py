"""What teaches: help with examples for every command, completion by real shells, the manual page."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from doctor.cli import cli
from doctor.cli.man import page
from tests.cli.test_commands import run

ROOT = click.Context(cli, info_name="llmdoctor")
COMMANDS = {name: cli.get_command(ROOT, name) for name in cli.list_commands(ROOT)}


@pytest.mark.parametrize("name", list(COMMANDS))
def test_help_has_examples(name: str) -> None:
    command = COMMANDS[name]
    assert command is not None
    text = command.get_help(click.Context(command, parent=ROOT, info_name=name))
    examples = [line for line in text.split("\n") if f"llmdoctor {name}" in line and "Usage:" not in line]
    assert examples, text


@pytest.mark.parametrize("name", [None, *COMMANDS])
def test_the_manual_page_is_taken_by_its_reader(name: str | None) -> None:
    of = cli if name is None else COMMANDS[name]
    assert of is not None
    context = ROOT if name is None else click.Context(of, parent=ROOT, info_name=name)
    text = page(of, context)
    assert "\b" not in text
    for option in of.get_params(context):
        if isinstance(option, click.Option):
            assert option.opts[0].replace("-", "\\-") in text
    if shutil.which("groff"):
        done = subprocess.run(
            ["groff", "-man", "-Tutf8", "-ww"], input=text, capture_output=True, text=True, check=True, encoding="utf-8"
        )
        assert not [line for line in done.stderr.split("\n") if line and "can't break" not in line]
        assert "EXIT STATUS" in re.sub(".\x08", "", done.stdout)


def test_the_manual_is_printed() -> None:
    assert run("man").stdout.startswith('.TH "LLMDOCTOR" 1')
    assert run("man", "check").stdout.startswith('.TH "LLMDOCTOR\\-CHECK" 1')
    assert "Did you mean 'check'?" in run("man", "chek").stderr


@pytest.mark.parametrize(
    ("words", "expected"), [("an", "analyze"), ("check --fa", "--fail-on"), ("check --fail-on ma", "major")]
)
def test_the_shells_complete(words: str, expected: str) -> None:
    done = run(
        _LLMDOCTOR_COMPLETE="bash_complete",
        COMP_WORDS=f"llmdoctor {words}",
        COMP_CWORD=str(len(words.split())),
    )
    assert f",{expected}\n" in done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_is_read_by_its_shell(shell: str, tmp_path: Path) -> None:
    done = run("completion", shell)
    assert done.returncode == 0
    assert "_LLMDOCTOR_COMPLETE" in done.stdout
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    script = tmp_path / "script"
    script.write_text(done.stdout)
    subprocess.run([program, "-n", str(script)], check=True)
    if shell == "bash":
        fake = tmp_path / "llmdoctor"
        fake.write_text(f'#!/bin/sh\nexec {sys.executable} -c "from doctor.cli import main; main()" "$@"\n')
        fake.chmod(0o755)
        ask = "COMP_WORDS=(llmdoctor ch); COMP_CWORD=1; _llmdoctor_completion llmdoctor; echo ${COMPREPLY[@]}"
        path = f"{tmp_path}:{os.environ['PATH']}"
        said = subprocess.run(
            [program, "-c", f". {script}; {ask}"],
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=True,
        )
        assert said.stdout.split() == ["check"]


def test_the_package_that_agents_need_is_named() -> None:
    program = "import sys; sys.modules['mcp'] = None; from doctor.cli import main; main(['mcp'])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.endswith('is not installed\n  hint: pip install "llmdoctor-inference[mcp]"\n')
