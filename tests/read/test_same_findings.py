"""The same incident, as plain text and in the forms in which it comes: the same verdict, findings and line numbers."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import shutil
import struct
import tarfile
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
import zstandard

from doctor.api import conclude, load_rules, parse_exit
from doctor.intake import take_in
from doctor.read.times import Period, parse_period
from doctor.rulebook.book import RuleBook
from doctor.vocabulary.document import Diagnosis

FIXTURES = Path(__file__).parent.parent.parent / "fixtures"
CASES = [
    "llama-box/view-abort",  # two logs and a client's
    "ktransformers/numa-copies",  # a log, three kinds of saved output, dmesg
    "llama.cpp/cuda-kv-2026",  # a relative clock on every line
    "llama.cpp/cuda-kv-2024-compose",
    "healthy/llama-box-rpc-context-shift-cured",
]


@cache
def book() -> RuleBook:
    return load_rules()[0]


def diagnose(case: str, *paths: Path, period: Period | None = None) -> Diagnosis:
    expect = yaml.safe_load((FIXTURES / f"{case}.expect.yaml").read_text(encoding="utf-8"))
    intake = take_in([str(path) for path in paths], book(), command=expect.get("command"), period=period)
    status = expect.get("exit")
    intake.given.exit_status, intake.given.exit_signal = parse_exit(None if status is None else str(status))
    return conclude(intake, book())


def essence(document: Diagnosis, *, lines: bool = True) -> list[Any]:
    """What must not depend on the form. Names of files differ, line numbers only if the form has other lines."""
    findings = [
        (
            finding.rule_id,
            finding.role,
            finding.confidence,
            finding.summary,
            [item.value for item in finding.computed],
            [(line.signature, line.captures, line.line if lines else 0) for line in finding.evidence],
            [remedy.id for remedy in finding.remedies],
        )
        for finding in document.findings
    ]
    runs = [(run.engine.name, run.engine.version, run.outcome) for run in document.runs]
    return [document.verdict, findings, runs, sorted(entry.kind for entry in document.sources)]


@pytest.fixture
def plain(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    folder = tmp_path / "plain"
    shutil.copytree(FIXTURES / request.param, folder)
    return folder


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def zipped(folder: Path, target: Path, pack: Callable[[bytes], bytes] = bytes, suffix: str = "") -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files(folder):
            archive.writestr(f"{path.relative_to(folder)}{suffix}", pack(path.read_bytes()))
    return target


def tarred(folder: Path, target: Path, mode: str) -> Path:
    with tarfile.open(target, mode) as archive:  # type: ignore[call-overload]
        archive.add(folder, arcname="bundle")
    return target


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


@pytest.mark.parametrize("plain", CASES, indirect=True)
def test_archives(plain: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    case = request.node.callspec.params["plain"]
    expected = essence(diagnose(case, plain))
    for archive in (
        zipped(plain, tmp_path / "a.zip"),
        zipped(plain, tmp_path / "gz.zip", gzip.compress, ".gz"),
        tarred(plain, tmp_path / "a.tar", "w"),
        tarred(plain, tmp_path / "a.tar.gz", "w:gz"),
        tarred(plain, tmp_path / "a.tar.xz", "w:xz"),
    ):
        document = diagnose(case, archive)
        assert essence(document) == expected, archive.name
        assert all(entry.path.startswith(f"{archive}!") for entry in document.sources)


def utf_16(data: bytes) -> bytes:
    """As PowerShell's ``>`` writes it."""
    return b"\xff\xfe" + data.decode("utf-8", "replace").replace("\n", "\r\n").encode("utf-16-le")


FORMS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstd,
    "utf-16": utf_16,
    "utf-16-be without a mark": lambda data: data.decode("utf-8", "replace").encode("utf-16-be"),
    "utf-8 with a mark": lambda data: b"\xef\xbb\xbf" + data,
    "crlf": lambda data: data.replace(b"\n", b"\r\n"),
    "utf-16 in gz": lambda data: gzip.compress(utf_16(data)),
}


@pytest.mark.parametrize("plain", CASES, indirect=True)
def test_encodings(plain: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    case = request.node.callspec.params["plain"]
    expected = essence(diagnose(case, plain))
    for number, (name, form) in enumerate(FORMS.items()):
        folder = tmp_path / f"form{number}"
        for path in files(plain):
            target = folder / path.relative_to(plain)
            target.parent.mkdir(parents=True, exist_ok=True)
            suffix = f".{name}" if name in {"gz", "bz2", "xz", "zst"} else ""
            target.with_name(target.name + suffix).write_bytes(form(path.read_bytes()))
        assert essence(diagnose(case, folder)) == expected, name


def lines_of(data: bytes) -> list[str]:
    return data.decode("utf-8", "replace").removesuffix("\n").split("\n")


def docker(data: bytes) -> bytes:
    rows = [
        json.dumps({"log": f"{line}\n", "stream": "stderr", "time": f"2026-11-20T10:{n // 60 % 60:02}:{n % 60:02}Z"})
        for n, line in enumerate(lines_of(data))
    ]
    return "".join(f"{row}\n" for row in rows).replace('", "', '","').replace('": "', '":"').encode()


def cri(data: bytes) -> bytes:
    rows = [
        f"2026-11-20T10:{n // 60 % 60:02}:{n % 60:02}.1Z stderr F {line}\n" for n, line in enumerate(lines_of(data))
    ]
    return "".join(rows).encode()


def journal(data: bytes) -> bytes:
    rows = [
        {
            "__REALTIME_TIMESTAMP": str(1763633345000000 + n * 1000),
            "MESSAGE": list(line.encode()) if "\x1b" in line or "\t" in line else line,
            **{"_HOSTNAME": "gpu-box", "SYSLOG_IDENTIFIER": "serve", "_PID": "4242"},
        }
        for n, line in enumerate(lines_of(data))
    ]
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def export(data: bytes) -> bytes:
    out = b""
    for n, line in enumerate(lines_of(data)):
        text = line.encode()
        out += b"__CURSOR=i=%x\n__REALTIME_TIMESTAMP=%d\n_HOSTNAME=gpu-box\n" % (n, 1763633345000000 + n * 1000)
        out += b"SYSLOG_IDENTIFIER=serve\n_PID=4242\n"
        out += b"MESSAGE\n%b%b\n\n" % (struct.pack("<Q", len(text)), text) if "\t" in line else b"MESSAGE=%b\n\n" % text
    return out


@pytest.mark.parametrize("plain", CASES, indirect=True)
def test_envelopes(plain: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    case = request.node.callspec.params["plain"]
    one_to_one, other = (essence(diagnose(case, plain), lines=lines) for lines in (True, False))
    for wrap in (docker, cri, journal, export):
        folder = tmp_path / wrap.__name__
        shutil.copytree(plain, folder)
        for path in folder.rglob("*.log"):
            path.write_bytes(wrap(path.read_bytes()))
        document = diagnose(case, folder)
        if wrap is export:
            assert essence(document, lines=False) == other
        else:
            assert essence(document) == one_to_one, wrap.__name__


@pytest.mark.parametrize("name", ["unit.json", "unit.export", "unit.txt"])
def test_a_real_journal_has_the_findings_of_its_log(name: str) -> None:
    case = "llama.cpp/cuda-kv-2026"
    expected = essence(diagnose(case, FIXTURES / case / "server.log"), lines=False)[1]
    assert [finding[0] for finding in expected][:1] == ["vram-kv"]
    document = diagnose(case, FIXTURES / "inputs" / "journal" / name)
    assert [(f.rule_id, f.role, f.summary) for f in document.findings if f.role == "root_cause"] == [
        (finding[0], finding[1], finding[3]) for finding in expected if finding[1] == "root_cause"
    ]


@pytest.mark.parametrize("plain", ["llama.cpp/cuda-kv-2026"], indirect=True)
@pytest.mark.parametrize(
    "damage",
    [
        lambda data: bytes(70_000) + data,  # cut while it was open: a hole of zeros
        lambda data: data.replace(b"llama_context: n_batch", b"llama\0_context: \xff n_batch"),
        lambda data: data.removesuffix(b"\n"),
        lambda data: data + b"0.01.230.000 E srv  llama_ser",
        lambda data: "Schl\u00fcssel f\u00fcr Ger\u00e4te\n".encode("latin-1") + data,
    ],
)
def test_damaged_text(damage: Callable[[bytes], bytes], plain: Path) -> None:
    case = "llama.cpp/cuda-kv-2026"
    expected = essence(diagnose(case, plain), lines=False)
    log = plain / "server.log"
    log.write_bytes(damage(log.read_bytes()))
    assert essence(diagnose(case, plain), lines=False) == expected


@pytest.mark.parametrize("plain", ["llama.cpp/cuda-kv-2026"], indirect=True)
def test_a_log_cut_short_in_its_archive_is_judged_and_said_once(plain: Path, tmp_path: Path) -> None:
    case = "llama.cpp/cuda-kv-2026"
    packed = gzip.compress((plain / "server.log").read_bytes())
    (tmp_path / "server.log.gz").write_bytes(packed[:-100])
    document = diagnose(case, tmp_path / "server.log.gz")
    told = [problem for problem in document.problems if problem.stage in {"read", "scan"}]
    assert [problem.message for problem in told] == ["cut short: it ends in the middle of the packed data"]
    assert told[0].hint
    assert document.sources[0].lines > 20


def two_lives() -> bytes:
    """A failure on the 19th; a life on the 20th that only started before the 21st."""
    log = lines_of((FIXTURES / "llama.cpp" / "cuda-kv-2026" / "server.log").read_bytes())
    healthy = [line for line in log if " E " not in line and "cleaning up" not in line and "exiting" not in line]
    rows = []
    for day, lines in (("19", log), ("20", healthy)):
        rows += [f"2025-11-{day}T10:00:{n % 60:02}Z gpu-box llama-server[42]: {line}" for n, line in enumerate(lines)]
    rows.append("2025-11-21T11:00:00Z gpu-box llama-server[42]: 900.00.000.000 I srv  llama_server: model loaded")
    return "\n".join(rows).encode() + b"\n"


def test_a_period(tmp_path: Path) -> None:
    case = "llama.cpp/cuda-kv-2026"
    (tmp_path / "a.log").write_bytes(two_lives())
    whole = diagnose(case, tmp_path)
    assert any(entry.rule_id == "vram-kv" for entry in whole.history)
    first = diagnose(case, tmp_path, period=parse_period(None, "2025-11-19 23:00Z"))
    assert [finding.rule_id for finding in first.findings if finding.role == "root_cause"] == ["vram-kv"]
    last = diagnose(case, tmp_path, period=parse_period("2025-11-20 00:00Z", None))
    assert last.history == []
    assert not [finding for finding in last.findings if finding.role == "root_cause"]
    later = diagnose(case, tmp_path, period=parse_period("2025-11-21 00:00Z", None))
    assert [run.engine.name for run in later.runs] == ["llama.cpp"]  # known by what it said on the 20th
    none = diagnose(case, tmp_path, period=parse_period("2025-11-22 00:00Z", None))
    assert "nothing in the period" in " ".join(problem.message for problem in none.problems)


def test_a_period_without_times(tmp_path: Path) -> None:
    case = "llama.cpp/cuda-kv-2026"
    shutil.copy(FIXTURES / case / "server.log", tmp_path)
    document = diagnose(case, tmp_path, period=parse_period("2h", None))
    assert [finding.rule_id for finding in document.findings if finding.role == "root_cause"] == ["vram-kv"]
    assert "carries a time" in " ".join(problem.message for problem in document.problems)
