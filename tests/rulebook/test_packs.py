"""Rules of others: an installed package's, by name; off unless named, linted, and never run."""

from __future__ import annotations

from pathlib import Path

import pytest

import doctor
from doctor.api import load_rules
from doctor.errors import UsageProblem
from doctor.rulebook.packs import named_folders
from tests.cli.test_commands import document, run

pytestmark = pytest.mark.slow  # each book with other rules is compiled anew

RULE = """\
id: acme-router-drops-slots
kind: cause
title: The router drops slots
family: server.limit
severity: fatal
phase: serve
signatures: {dropped: 'acme-router: dropped slot (?P<slot>\\d+)'}
match: {all: [dropped]}
summary: The router dropped slot {{ dropped.slot }}.
explanation: It counts to eight.
remedies:
  - {id: fewer, title: Set fewer slots, removes: cause, actions: [{kind: set_flag, flag: --slots, value: "8"}]}
references: [{url: "https://example.com/1", kind: issue}]
evidence: reporter
examples:
  match: ['acme-router: dropped slot 9']
  no_match: ['acme-router: kept slot 9']
"""
LOG = "llama_model_loader: loaded meta data\nacme-router: dropped slot 9\n"


def pack(folder: Path, rule: str = RULE, module: str = "acme_rules.rules", name: str = "acme") -> Path:
    """An installed package that offers rules; whoever imports it learns so."""
    rules = folder / "acme_rules" / "rules" / "server"
    rules.mkdir(parents=True)
    (folder / "acme_rules" / "__init__.py").write_text("raise SystemExit('imported')\n")
    (rules / "acme-router-drops-slots.yaml").write_text(rule)
    info = folder / "acme_rules-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-rules\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[llmdoctor.rules]\n{name} = {module}\n")
    return folder


def judged(folder: Path, *arguments: str) -> tuple[int, list[str], list[str]]:
    log = folder / "router.log"
    log.write_text(LOG)
    done = run("analyze", log, "--format", "json", *arguments, PYTHONPATH=str(folder))
    assert done.returncode in {0, 1}, done.stderr
    data = document(done)
    told = [problem["message"] for problem in data["problems"] if problem["stage"] == "rules"]
    return done.returncode, [finding["rule_id"] for finding in data["findings"]], told


def test_a_pack_counts_when_it_is_named_and_only_then(tmp_path: Path) -> None:
    pack(tmp_path)
    assert "acme-router-drops-slots" not in judged(tmp_path, "--no-config")[1]
    status, found, _told = judged(tmp_path, "--no-config", "--rules", "acme")
    assert (status, found[0]) == (1, "acme-router-drops-slots")
    config = tmp_path / "llmdoctor.toml"
    config.write_text('rules = ["acme"]\n')
    assert judged(tmp_path, "--config", str(config))[1][0] == "acme-router-drops-slots"
    done = run("rules", "test", "acme-router-drops-slots", "--rules", "acme", PYTHONPATH=str(tmp_path))
    assert "2 examples of 1 rules: 2 passed" in done.stdout


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("acm", "did you mean acme?"),
        ("zzz", "installed packs: acme"),
        ("./zzz", "names a folder of rule files or a pack"),
    ],
)
def test_a_pack_that_is_not_there_is_told(tmp_path: Path, name: str, hint: str) -> None:
    done = run("analyze", "-", "--no-config", "--rules", name, stdin=LOG, PYTHONPATH=str(pack(tmp_path)))
    assert done.returncode == 2
    assert done.stderr.startswith(f"llmdoctor: {name}: no such rule folder")
    assert hint in done.stderr


def test_an_entry_point_that_is_no_folder_is_told(tmp_path: Path) -> None:
    pack(tmp_path, module="acme_rules.none")
    done = run("analyze", "-", "--no-config", "--rules", "acme", stdin=LOG, PYTHONPATH=str(tmp_path))
    assert "this rule pack has no folder" in done.stderr
    assert "'acme_rules.none'" in done.stderr


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('kind: set_flag, flag: --slots, value: "8"', "kind: shell, text: rm -rf /", "remedies.0.actions.0"),
        ("evidence: reporter", "evidenc: reporter", "evidenc: Extra inputs are not permitted"),
        ("match: {all: [dropped]}", 'match: {all: ["().__class__"]}', "match.all.0"),
    ],
)
def test_only_actions_and_expressions_of_the_closed_set_are_taken(
    tmp_path: Path, before: str, after: str, message: str
) -> None:
    assert before in RULE
    pack(tmp_path, RULE.replace(before, after))
    folder = tmp_path / "acme_rules" / "rules"
    with pytest.raises(UsageProblem) as caught:
        load_rules([str(folder)])
    assert str(folder) in caught.value.message
    assert message in caught.value.message


def test_a_shipped_rule_cannot_be_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "process-aborted.yaml").write_text(RULE.replace("acme-router-drops-slots", "process-aborted"))
    with pytest.raises(UsageProblem, match="is already defined in"):
        load_rules([str(folder)])


def test_what_the_lint_has_to_say_is_told(tmp_path: Path) -> None:
    pack(tmp_path, RULE.replace("match: {all: [dropped]}", "match: {all: [dropped, setting.contxt > 1]}"))
    for _again in range(2):  # the second time from the cache
        _status, _found, told = judged(tmp_path, "--no-config", "--rules", "acme")
        assert any("setting.contxt" in message and "did you mean" in message for message in told)


def test_a_folder_is_named_once(tmp_path: Path) -> None:
    pack(tmp_path)
    folder = tmp_path / "acme_rules" / "rules"
    assert named_folders([str(folder), f"{folder}/../rules"]) == [folder]
    document_ = doctor.analyze([_log(tmp_path)], rules=[folder, folder])
    assert document_.findings[0].rule_id == "acme-router-drops-slots"


def _log(folder: Path) -> Path:
    path = folder / "one.log"
    path.write_text(LOG)
    return path
