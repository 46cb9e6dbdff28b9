"""Accepted findings: inline and in a baseline, with a reason, up to a day."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

import doctor
from doctor.errors import UsageProblem
from doctor.facts.config.places import Text
from doctor.suppress import declared, inline, read_baseline
from doctor.vocabulary.document import Diagnosis
from tests.cli.test_commands import FIXTURES, run

MANIFEST = FIXTURES / "check" / "vllm-kubernetes" / "vllm.yaml"
BOTH = ["shm-nccl-segment", "vllm-no-device"]


def manifest(folder: Path, **comments: str) -> Path:
    """The manifest with comments: ``args`` above the arguments, ``behind`` behind a line, ``top`` above all."""
    text = MANIFEST.read_text()
    if "args" in comments:
        text = text.replace("          args:", f"          # {comments['args']}\n          args:")
    if "behind" in comments:
        text = text.replace("--tensor-parallel-size=3", f"--tensor-parallel-size=3  # {comments['behind']}")
    if "top" in comments:
        text = f"# {comments['top']}\n\n{text}"
    path = folder / "vllm.yaml"
    path.write_text(text)
    return path


def rules(document: Diagnosis) -> list[str]:
    return sorted(finding.rule_id for finding in document.findings)


def accepted(document: Diagnosis) -> list[tuple[str, str, str | None]]:
    return sorted((entry.finding.rule_id, entry.reason, entry.until) for entry in document.suppressed)


def told(document: Diagnosis) -> list[str]:
    return [problem.message for problem in document.problems if problem.stage == "suppress"]


def test_nothing_is_suppressed_by_itself(tmp_path: Path) -> None:
    document = doctor.check([manifest(tmp_path)])
    assert rules(document) == BOTH
    assert document.verdict == "at_risk"
    assert document.suppressed == []


@pytest.mark.parametrize("place", ["behind", "args"])
def test_inline_behind_the_line_and_above_the_block(tmp_path: Path, place: str) -> None:
    comment = "llmdoctor: ignore=shm-nccl-segment one GiB comes with the next chart until 2099-01-31"
    document = doctor.check([manifest(tmp_path, **{place: comment})])
    assert rules(document) == ["vllm-no-device"]
    assert accepted(document) == [("shm-nccl-segment", "one GiB comes with the next chart", "2099-01-31")]
    assert told(document) == []


def test_when_all_is_accepted_the_verdict_and_the_status_say_so(tmp_path: Path) -> None:
    path = manifest(tmp_path, top="llmdoctor: ignore=shm-nccl-segment,vllm-no-device tried by hand")
    assert doctor.check([path]).verdict != "at_risk"
    done = run("check", path, "--no-config")
    assert done.returncode == 0
    assert "2 findings are suppressed" in done.stdout.replace("\n", " ")
    assert "tried by hand" in done.stdout


@pytest.mark.parametrize(
    ("comment", "message", "still"),
    [
        ("llmdoctor: ignore=shm-nccl-segment", "gives no reason: shm-nccl-segment is not suppressed", BOTH),
        ("llmdoctor: ignore=shm-nccl-segment until 2099-01-31", "gives no reason", BOTH),
        ("llmdoctor: ignore", "names no rule: it does not count", BOTH),
        ("llmdoctor: ignore=shm-nccl-segment soon until 2025-01-31", "ran out on 2025-01-31", BOTH),
        ("llmdoctor: ignore=shm-nccl-segment soon until 2026-13-31", "2026-13-31 is no day", BOTH),
        ("llmdoctor: ignore=shm-ncl-segment soon", "no such rule: shm-ncl-segment", BOTH),
        ("llmdoctor: ignore=vllm-misspelled-flag soon", "", BOTH),
    ],
)
def test_what_does_not_count_is_told(tmp_path: Path, comment: str, message: str, still: list[str]) -> None:
    document = doctor.check([manifest(tmp_path, args=comment)])
    assert rules(document) == still
    assert accepted(document) == []
    assert any(message in each for each in told(document)) or not message
    assert all(problem.subject.endswith("vllm.yaml:16") for problem in document.problems if problem.stage == "suppress")


def test_what_has_nothing_to_suppress_is_told_once_its_rule_was_judged(tmp_path: Path) -> None:
    comment = "llmdoctor: ignore=shm-nccl-segment the chart will have it"
    path = manifest(tmp_path, top=comment)
    path.write_text(path.read_text().replace("--tensor-parallel-size=3", "--tensor-parallel-size=1"))
    document = doctor.check([path])
    assert told(document) == (
        ["the suppression of shm-nccl-segment has nothing to suppress"] if "shm-nccl-segment" in document.judged else []
    )
    assert "shm-nccl-segment" in document.judged


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("# llmdoctor: ignore=x y\na: 1\nb: 2\n", (2, 2)),
        ("a: 1 # llmdoctor: ignore=x y\nb: 2\n", (1, 1)),
        ("z: 1\n# llmdoctor: ignore=x y\n\n# more\na:\n  b: 1\n\n  c: 2\nd: 1\n", (5, 8)),
        ("# a\n# llmdoctor: ignore=x y\n\na:\n  b: 1\nd: 1\n", (2, 7)),
        ("a:\n  # llmdoctor: ignore=x y\n  command:\n  - one\n  - two\n  image: z\n", (3, 5)),
        ("# llmdoctor: ignore=x y\nExecStart=a \\\n -b \\\n -c\nRestart=no\n", (2, 4)),
        ("; llmdoctor: ignore=x y\nExecStart=a\n", (2, 2)),
        ("<!-- llmdoctor: ignore=x y -->\n<a>\n  <b/>\n</a>\n", (2, 3)),
        ("a\n# llmdoctor: ignore=x y", (2, 2)),
    ],
)
def test_how_far_a_comment_reaches(text: str, lines: tuple[int, int]) -> None:
    (made,) = inline(Text("f", text))
    assert (made.lines, made.reason, made.wrong) == (lines, "y", None)


def test_a_hostile_file_takes_no_time() -> None:
    many = "# llmdoctor: ignore=x y\n" * 40_000
    assert len(list(inline(Text("f", many)))) == 1000
    long = "# llmdoctor: ignore=x" + " " * 1_000_000 + "until"
    (made,) = inline(Text("f", long))
    assert made.wrong is not None
    assert list(inline(Text("f", "a: llmdoctor: ignore=x y\n"))) == []


def test_the_day_is_the_last_one() -> None:
    from doctor.suppress import suppress
    from tests.report import documents

    for day, left in ((date(2027, 1, 31), 0), (date(2027, 2, 1), 1)):
        made = documents.suppressed()
        finding = made.suppressed[0].finding
        document = Diagnosis(llmdoctor="0", verdict="at_risk", planned=True, findings=[finding])
        path, line = finding.evidence[0].path, finding.evidence[0].line
        comment = f"# llmdoctor: ignore={finding.rule_id} why until 2027-01-31"
        suppress(document, [Text(path, "\n" * (line - 2) + comment + "\nx")], today=day)
        assert len(document.findings) == left


# --- baseline ---------------------------------------------------------------------------------------------------------


def test_a_baseline_is_written_and_holds(tmp_path: Path) -> None:
    path, baseline = manifest(tmp_path), tmp_path / "ok" / "baseline.toml"
    baseline.parent.mkdir()
    arguments: list[Any] = ["check", path, "--no-config", "--write-baseline", baseline]
    assert run(*arguments).returncode == 2  # without a reason
    assert not baseline.exists()
    done = run(*arguments, "--reason", 'the "new" cards\ncome', "--until", "2099-01-31")
    assert (done.returncode, done.stderr) == (0, f"{baseline}: 2 added, 0 kept\n")
    document = doctor.check([path], baseline=baseline)
    assert rules(document) == []
    assert [entry[1:] for entry in accepted(document)] == [('the "new" cards\ncome', "2099-01-31")] * 2
    assert {entry.by for entry in document.suppressed} == {"baseline"}
    path.write_text("# a line more\n" + path.read_text())
    assert rules(doctor.check([path], baseline=baseline)) == []  # it moved
    path.write_text(path.read_text().replace("size=3", "size=5"))
    changed = doctor.check([path], baseline=baseline)
    assert rules(changed) == ["shm-nccl-segment"]  # it is another value
    assert told(changed) == ["the suppression of shm-nccl-segment has nothing to suppress"]
    done = run(*arguments, "--reason", "again")
    assert done.stderr == f"{baseline}: 1 added, 1 kept, 1 taken out\n"
    assert rules(doctor.check([path], baseline=baseline)) == []


def test_a_second_one_of_the_same_kind_is_not_covered(tmp_path: Path) -> None:
    path, baseline = manifest(tmp_path), tmp_path / "baseline.toml"
    run("check", path, "--no-config", "--write-baseline", baseline, "--reason", "why")
    path.write_text(f"{path.read_text()}---\n{path.read_text().replace('name: llm', 'name: other')}")
    document = doctor.check([path], baseline=baseline)
    assert rules(document) == BOTH
    assert len(document.suppressed) == 2


def test_another_file_is_not_stale_when_it_is_not_checked(tmp_path: Path) -> None:
    path = manifest(tmp_path)
    baseline = tmp_path / "baseline.toml"
    baseline.write_text('[[suppress]]\nrule = "shm-nccl-segment"\npath = "other.yaml"\nreason = "why"\n')
    assert told(doctor.check([path], baseline=baseline)) == []


@pytest.mark.parametrize(
    ("text", "place", "message", "hint"),
    [
        ('[[suppress]]\nrule = "x"\n', ":1", "reason: Field required", "say why this is accepted"),
        ('\n[[suppress]]\nrule = "x"\nreason = " "\n', ":2", "reason: is empty", "say why this is accepted"),
        ('[[suppress]]\nrule = "x"\nreasn = "y"\nreason = "z"\n', ":1", "no such key: reasn", "did you mean reason?"),
        ('[[suppress]]\nrule = "x"\nreason = "z"\nuntil = "soon"\n', ":1", "until: Input should be a valid date", None),
        ("suppress = 1\n", "", "suppress is no list", "each entry begins with [[suppress]]"),
        ("[x]\n", "", "no such key: x", "each entry begins with [[suppress]]"),
        ("[[\n", "", "is no TOML", None),
    ],
)
def test_a_mistake_in_a_baseline_is_told(tmp_path: Path, text: str, place: str, message: str, hint: str | None) -> None:
    path = tmp_path / "baseline.toml"
    path.write_text(text)
    with pytest.raises(UsageProblem) as caught:
        read_baseline(str(path))
    assert caught.value.subject == f"{path}{place}"
    assert caught.value.message.startswith(message)
    assert caught.value.hint == hint


def test_a_secret_in_the_line_is_not_written_down(tmp_path: Path) -> None:
    path, baseline = manifest(tmp_path), tmp_path / "baseline.toml"
    secret = '"--tensor-parallel-size=3 --api-key sk-abcdefghijklmnop1"'
    path.write_text(path.read_text().replace("--tensor-parallel-size=3", secret))
    run("check", path, "--no-config", "--write-baseline", baseline, "--reason", "why")
    assert "sk-abc" not in baseline.read_text()
    assert rules(doctor.check([path], baseline=baseline)) == []


def test_in_an_analysis_too(tmp_path: Path) -> None:
    folder = FIXTURES / "config" / "llama-compose-vquant"
    compose = (folder / "docker-compose.yml").read_text()
    before = doctor.analyze([folder])
    root = before.findings[0]
    line = declared(root)
    assert root.role == "root_cause"
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "docker-compose.yml").write_text(f"# llmdoctor: ignore={root.rule_id} known here\n\n{compose}")
    after = doctor.analyze([tmp_path])
    assert line
    assert root.rule_id not in rules(after)
    assert [entry.finding.rule_id for entry in after.suppressed] == [root.rule_id]
    assert after.verdict == before.verdict  # it is broken all the same
