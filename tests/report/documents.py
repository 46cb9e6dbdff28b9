"""Diagnosis documents to be rendered: real ones, hostile ones, empty ones and large ones."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

from doctor.api import analyze
from doctor.checking import check
from doctor.vocabulary.document import (
    Computed,
    Confirmation,
    Diagnosis,
    EngineEntry,
    Event,
    EvidenceLine,
    Finding,
    HistoryEntry,
    Measure,
    MemoryEntry,
    MemoryPart,
    NotJudged,
    Problem,
    ReferenceEntry,
    RemedyEntry,
    RunEntry,
    SettingEntry,
    SourceEntry,
    Suppressed,
    TrialEntry,
    Unexplained,
    read,
)
from doctor.vocabulary.terms import Outcome, Severity

ROOT = Path(__file__).parents[2]
GOLDEN = sorted((ROOT / "tests" / "golden").glob("*/*.json"))

# What a log may hold to break out of a page, a template, a table, a terminal, a workflow log or an issue.
ATTACKS = [
    "<script>alert(1)</script>",
    "</title></style></script><script>window.pwned=1</script>",
    "<img src=x onerror=window.pwned=1>",
    '"><svg/onload=window.pwned=1>',
    "' onmouseover='window.pwned=1",
    "<iframe src='https://example.com/'></iframe><link rel=stylesheet href=https://example.com/x.css>",
    "<!-- --> ]]> &lt;script&gt; <![CDATA[",
    "{{ 7 * 7 }} {% for x in ().__class__.__mro__ %}{% endfor %} {# #} ${7*7} #{7*7}",
    "javascript:window.pwned=1",
    "\u202eevil txt.exe\u202c \u2066isolate\u2069 \u200b\ufeff\u061c",
    "\x1b[31mred\x1b[0m \x00 \x07 \x85 \ud800 \ufffe",
    "```\n# heading\n[link](javascript:alert(1)) ![p](https://example.com/p.png) @everyone #1 GH-12",
    "::error file=x::pwned\n::set-env name=PATH::x\n##[add-path]x",
    "a\nb\r\nc\td | e | f",
    "{0} {1} [x](1)",
]
_ALL = " ".join(ATTACKS)


@cache
def golden(name: str) -> Diagnosis:
    """``llama-box/view-abort`` of tests/golden."""
    return read((ROOT / "tests" / "golden" / f"{name}.json").read_bytes())


@cache
def with_patch() -> Diagnosis:
    """A diagnosis whose first remedy changes a line of a compose file."""
    return analyze([ROOT / "fixtures" / "config" / "llama-compose-vquant"])


def suppressed() -> Diagnosis:
    """Of a deployment whose risks somebody has accepted, in the file and in a baseline."""
    made = check([ROOT / "fixtures" / "check" / "vllm-kubernetes" / "vllm.yaml"])
    made.suppressed = [
        Suppressed(
            finding=finding, reason="the driver is mounted by hand", until="2099-01-31", by=by, path=path, line=3
        )
        for finding, by, path in zip(
            sorted(made.findings, key=lambda finding: finding.rule_id),
            ("inline", "baseline"),
            ("vllm.yaml", "llmdoctor-baseline.toml"),
            strict=True,
        )
    ]  # type: ignore[misc]
    made.findings = []
    made.verdict = "unknown"
    return made


def tried(text: str, verdict: str = "confirmed") -> Confirmation:
    """A remedy's trials, with this text wherever there is one."""
    return Confirmation(
        verdict=verdict,  # type: ignore[arg-type]
        reason=text,
        workload=text,
        failure=text,
        change=text,
        effect="seen",
        effect_text=text,
        measures=[
            Measure(name="generation", unit="tokens/s", before=2.9, after=33.1, repeats=5, change="better"),
            Measure(name="bytes read", unit="bytes", after=1024.0),
            Measure(name=text, unit=text, before=1.5, after=1.5, before_spread=0.5, repeats=2, change="noise"),
        ],
        trials=[
            TrialEntry(which="before", command=text, outcome=text, ended=text, rule_id=text),
            TrialEntry(which="after", command=text, outcome="healthy", ended=text),
        ],
        notes=[text],
        applied=[text],
    )


def hostile() -> Diagnosis:
    """Every text of every record is an attack."""
    finding = Finding(
        id=ATTACKS[0],
        rule_id=ATTACKS[3],
        family=ATTACKS[4],
        role="root_cause",
        runs=[ATTACKS[1]],
        node=ATTACKS[2],
        incident="incident-1",
        explains=["f2"],
        severity=Severity.FATAL,
        confidence="low",
        title=_ALL,
        summary=_ALL,
        explanation=_ALL,
        evidence=[
            EvidenceLine(path=attack, line=number, text=attack, before=[_ALL], after=[_ALL], captures={_ALL: _ALL})
            for number, attack in enumerate(ATTACKS, 1)
        ],
        computed=[Computed(name=_ALL, value=_ALL, unit=_ALL, expression=_ALL, inputs={_ALL: _ALL})],
        missing_facts=[_ALL],
        remedies=[
            RemedyEntry(
                id=_ALL,
                title=_ALL,
                removes=_ALL,
                safety=_ALL,
                cost=_ALL,
                undo=_ALL,
                actions=[
                    {"kind": "set_flag", "flag": _ALL, "value": _ALL, "text": _ALL},
                    {"kind": "explain", "text": _ALL},
                ],
                diff=diff,
                raises=[_ALL],
                confirmation=tried(_ALL),
            )
            for diff in (None, f"--- {_ALL}\n+++ {_ALL}\n@@ -1,1 +1,1 @@\n-{_ALL}\n+{_ALL}")
        ],
        collect=[_ALL],
        references=[ReferenceEntry(url=attack, kind="issue", note=attack) for attack in ATTACKS],
        known_by=_ALL,
    )
    symptom = Finding(
        id="f2", rule_id="x", family="y", role="symptom", severity=Severity.MAJOR, confidence="high", title=_ALL
    )
    run = RunEntry(
        id=ATTACKS[1],
        node=ATTACKS[2],
        incident="incident-1",
        engine=EngineEntry(name=_ALL, version=_ALL, product=_ALL, lineage=[_ALL]),
        outcome=Outcome.CRASHED,
        source=ATTACKS[0],
        first_line=1,
        last_line=99,
        facts={_ALL: _ALL},
        origins={_ALL: _ALL},
        events=[Event(line=number, what=attack, text=attack) for number, attack in enumerate(ATTACKS, 1)],
    )
    return Diagnosis(
        llmdoctor=_ALL,
        verdict="failing",
        summary=_ALL,
        sources=[SourceEntry(path=attack, node=attack) for attack in ATTACKS],
        runs=[run],
        settings=[SettingEntry(name=_ALL, declared=_ALL, effective=[_ALL], origin=_ALL, declared_at=_ALL, run=run.id)],
        memory=[
            MemoryEntry(
                device=_ALL, parts=[MemoryPart(kind=_ALL, bytes=7, source="log")], free=3, missing=4, run=run.id
            )
        ],
        findings=[finding, symptom],
        suppressed=[
            Suppressed(
                finding=replace(symptom, id=f"f{number}"), reason=attack, until=attack, by="inline", path=attack, line=1
            )
            for number, attack in enumerate(ATTACKS, 3)
        ],
        history=[HistoryEntry(rule_id=_ALL, title=_ALL, count=2, runs=[_ALL], first=_ALL, last="x")],
        judged=[_ALL],
        could_not_judge=[NotJudged(missing=_ALL, rules=[_ALL], hint=_ALL)],
        unexplained=[Unexplained(path=attack, line=1, text=attack) for attack in ATTACKS],
        problems=[Problem(stage=_ALL, subject=_ALL, message=_ALL, hint=_ALL)],
        settings_file=_ALL,
    )


def empty() -> Diagnosis:
    return Diagnosis(llmdoctor="0", verdict="unknown")


def numbers() -> Diagnosis:
    """Figures that nobody expects: negative, zero, larger than any memory; lines that are none."""
    run = RunEntry(id="r", engine=EngineEntry(), outcome=Outcome.UNKNOWN, source="a", first_line=0, last_line=-5)
    run.events = [Event(line=-1, what="ready", text=""), Event(line=10**12, what="ended", text="")]
    finding = Finding(
        id="f", rule_id="r", family="", role="risk", runs=["r"], severity=Severity.INFO, confidence="high", title=""
    )
    finding.evidence = [EvidenceLine(path="a", line=0, text="", before=["x"])]
    memory = [
        MemoryEntry(device="", parts=[MemoryPart(kind="kv", bytes=-1, source="log")], free=-3, missing=-4, run="r"),
        MemoryEntry(device="d", parts=[MemoryPart(kind="kv", bytes=10**30, source="log")], total=0, run="r"),
        MemoryEntry(device="e", run="r"),
    ]
    return Diagnosis(llmdoctor="0", verdict="at_risk", runs=[run], findings=[finding], memory=memory)


def large(findings: int, runs: int) -> Diagnosis:
    """As many findings and runs, with realistic texts, on twelve hosts."""
    one = golden("llama-box/view-abort")
    made = Diagnosis(llmdoctor="0", verdict="failing", summary=one.summary)
    for number in range(runs):
        run = read_again(one.runs[3])
        run.id, run.node, run.incident = f"run-{number + 1}", f"gpu-host-{number % 12}", f"incident-{number + 1}"
        run.source = f"logs/{run.node}/serve-{number}.log"
        made.runs.append(run)
        made.sources.append(SourceEntry(path=run.source, node=run.node, lines=271, bytes=20784))
    for number in range(findings):
        template = one.findings[number % len(one.findings)]
        finding = Finding(**{name: getattr(template, name) for name in template.__dataclass_fields__})
        finding.id = f"f{number + 1}"
        finding.runs = [f"run-{number % max(runs, 1) + 1}"] if runs else []
        finding.explains = []
        made.findings.append(finding)
    return made


def read_again(run: RunEntry) -> RunEntry:
    from copy import deepcopy

    return deepcopy(run)
