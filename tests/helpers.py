"""Small rule books and texts, run through the real parts."""

from __future__ import annotations

from pathlib import Path

from doctor.api import conclude
from doctor.intake import Intake
from doctor.rulebook.book import RuleBook, compile_book
from doctor.rulebook.load import Files, load_folder
from doctor.scan.database import Database
from doctor.scan.runs import ScannedSource, Timeline, build_timeline
from doctor.scan.scanner import scan_text
from doctor.vocabulary.document import Diagnosis

DIALECTS = {
    "base": """\
engine: base
title: An engine
recognise: ['base engine (?P<version>\\S+)', 'base: loading']
starts: ['base engine (?P<version>\\S+)', {pattern: 'base: loading', weak: true}]
markers:
  - {pattern: 'base: loading', means: loading}
  - {pattern: 'base: listening', means: ready}
  - {pattern: 'base: answered', means: progress}
  - {pattern: 'base: stopping', means: stopping}
  - {pattern: 'base: aborted', means: ended, outcome: crashed}
facts:
  - {pattern: 'base: context = (?P<n>\\d+)', set: {setting.context: n}}
  - {pattern: 'base: (?P<device>\\S+) buffer = (?P<size>\\S+) MiB', captures: {size: MiB}, record: buffer,
     fields: {device: device, bytes: size, kind: =weights}}
options:
  - {setting: setting.context, flags: [-c, --ctx-size], env: [BASE_CTX], type: int, default: 4096}
  - {setting: setting.mmap, flags: [--no-mmap], type: switch_off}
programs: [base-server]
harmless: ['base: error is harmless']
""",
    "wrap": """\
engine: wrap
title: A fork of it
lineage: [base]
recognise: ['wrap (?P<version>v\\S+) starts']
starts: ['wrap (?P<version>v\\S+) starts']
""",
    "around": """\
engine: around
title: A product around them
kind: wrapper
lineage: [wrap, base]
recognise: ['around (?P<version>\\d\\S*) worker']
starts: ['around (?P<version>\\d\\S*) worker']
markers: [{pattern: 'around: container exited', means: ended, outcome: crashed}]
""",
    "kernel": """\
engine: kernel
title: A kernel
kind: kernel
recognise: ['kernel: killed']
""",
    "lineage": 'around: [{versions: "==1.0", contains: {wrap: 0.9}}]\n',
}

RULE = """\
id: {id}
kind: {kind}
title: Title of {id}
family: {family}
severity: {severity}
phase: {phase}
engines: {engines}
signatures: {signatures}
match: {match}
compute: {compute}
summary: "{summary}"
explanation: Because.
remedies: {remedies}
evidence: reproduced
collect: [the log]
"""


def rule(id_: str, **given: str) -> str:
    """A rule file's text; what is not given is ordinary."""
    known = {
        "kind": "cause",
        "family": "engine.bug",
        "severity": "fatal",
        "phase": "any",
        "engines": "[]",
        "signatures": "{boom: 'boom at (?P<place>\\w+)'}",
        "match": "{all: [boom]}",
        "compute": "{}",
        "summary": f"Summary of {id_}",
        "remedies": "[]",
    }
    return RULE.format(id=id_, **{**known, **given})


def book(folder: Path, *rules: str) -> RuleBook:
    """A book of the dialects above and these rules; mistakes fail the test."""
    (folder / "dialects").mkdir(parents=True, exist_ok=True)
    (folder / "kv").mkdir(exist_ok=True)
    for name, text in DIALECTS.items():
        (folder / "dialects" / f"{name}.yaml").write_text(text)
    for text in rules:
        name = text.split("\n", 1)[0].removeprefix("id: ")
        (folder / "kv" / f"{name}.yaml").write_text(text)
    files = load_folder(folder, Files())
    made = compile_book(files)
    assert made.mistakes == []
    return made


def scanned(made: RuleBook, *texts: str) -> list[ScannedSource]:
    database = Database(made.patterns(), cache=False)
    return [
        ScannedSource(index, f"log{index}", "local", "log", scan_text(text, database))
        for index, text in enumerate(texts)
    ]


def timeline(made: RuleBook, *texts: str) -> Timeline:
    return build_timeline(scanned(made, *texts), made)


def diagnose(made: RuleBook, *texts: str, intake: Intake | None = None, which: str = "last") -> Diagnosis:
    taken = intake or Intake()
    taken.scanned = scanned(made, *texts)
    document = conclude(taken, made, which)
    assert document.problems == []
    return document
