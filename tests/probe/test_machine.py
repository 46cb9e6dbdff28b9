"""The whole way: this machine asked, saved, read back, judged."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import psutil
import pytest
import yaml

from doctor.api import Request, analyze_request
from doctor.errors import UsageProblem
from doctor.probe import Answer, Probe, Status, take
from doctor.probe.document import SCHEMA, json_schema
from doctor.probe.read import fill
from doctor.probe.save import written
from doctor.read.sources import collect

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


@pytest.fixture(scope="module")
def probe() -> Probe:
    return fill(take(10))


@LINUX
def test_the_facts_are_those_of_this_machine(probe: Probe) -> None:
    assert probe.facts["host.ram_total"] == psutil.virtual_memory().total
    assert probe.facts["host.cpu_threads"] == psutil.cpu_count()
    assert probe.facts["host.kernel"] == os.uname().release
    soft = subprocess.run(["bash", "-c", "ulimit -n"], capture_output=True, text=True, check=True).stdout
    assert probe.facts["host.open_files_limit"] == int(soft)
    free = shutil.disk_usage("/").total
    (root,) = [system for system in probe.records["filesystem"] if system["mount"] == "/"]
    assert abs(root["size"] - free) < 2**20


def test_the_document_keeps_to_its_schema(probe: Probe) -> None:
    document = json.loads(written(probe.to_dict()))
    jsonschema.validate(document, json_schema())
    assert document["schema"] == SCHEMA
    assert yaml.safe_load(written(probe.to_dict(), yaml=True)) == document


@pytest.mark.parametrize("name", ["p.json", "p.yaml"])
def test_a_saved_document_says_what_the_machine_said(probe: Probe, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(written(probe.to_dict(), yaml=name.endswith("yaml")))
    collection = collect([str(tmp_path / name)])
    assert collection.problems == []
    texts = {source.name: source.open().read().decode() for source in collection.sources}
    for answer in probe.answers:
        if answer.status is Status.OK and answer.output.strip() and answer.name in {"meminfo", "lscpu", "cgroup"}:
            assert texts[f"/{answer.name}"] == answer.output
    assert {source.kind for source in collection.sources} <= {"hardware", "log"}


def test_a_machine_that_is_planned_needs_no_answers(tmp_path: Path) -> None:
    (tmp_path / "host.yaml").write_text(
        "schema: llmdoctor/probe/1\nfacts: {host.ram_total: 64GiB, host.ram_totl: 3}\n"
        "records:\n  device:\n    - {index: 0, backend: cuda, description: RTX 4090, total: 24GiB, free: 23GiB}\n"
    )
    document = analyze_request(Request(hardware_files=[str(tmp_path / "host.yaml")], paths=[]))
    assert [problem.message for problem in document.problems] == [
        "probe output at line 3: there is no fact 'host.ram_totl'; did you mean 'host.ram_total'?"
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"schema": "llmdoctor/probe/1", "answers": [', "can't be read"),
        ('{"schema": "llmdoctor/probe/7"}', "version 7"),
        ("schema: llmdoctor/probe/1\nfacts: " + "[" * 3000, "nested too deep"),
        ("schema: llmdoctor/probe/1\nfacts: !!python/object/apply:os.system [id]\n", "can't be read"),
    ],
)
def test_a_broken_document_is_one_clear_message(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "p"
    path.write_text(text)
    other = tmp_path / "free.txt"
    other.write_text("$ free -b\n       total used free shared buff available\nMem: 8589934592 1 1 1 1 1\n")
    collection = collect([str(path), str(other)])
    assert [source.path for source in collection.sources] == [str(other)]
    ((_subject, message, _hint),) = collection.problems
    assert words in message


@pytest.mark.parametrize(
    "document", [{"answers": 3}, {"answers": [{"name": 4}, None]}, {"facts": [], "records": {"device": 4}}]
)
def test_hostile_shapes_never_raise(tmp_path: Path, document: object) -> None:
    assert isinstance(document, dict)
    path = tmp_path / "p.json"
    path.write_text(json.dumps({"schema": SCHEMA, **document}))
    with contextlib.suppress(UsageProblem):
        analyze_request(Request(hardware_files=[str(path)]))


def test_a_kernel_log_in_a_document_is_judged(tmp_path: Path) -> None:
    line = "[ 1234.5] NVRM: Xid (PCI:0000:01:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.\n"
    probe = Probe(answers=[Answer(name="kernel log", asked="dmesg", status=Status.OK, output=line)])
    document = analyze_request(Request(probe=probe))
    (finding,) = [found for found in document.findings if found.evidence]
    assert finding.evidence[0].text.strip() == line.strip()
    assert finding.evidence[0].path.endswith("!kernel-log")


def test_what_a_tool_says_of_its_own_rights_is_no_error_of_the_machine() -> None:
    said = "Failed to connect to bus: Operation not permitted"
    refused = Answer(name="services", asked="systemctl", status=Status.NOT_PERMITTED, reason=said, output=said)
    document = analyze_request(Request(probe=Probe(answers=[refused])))
    assert document.unexplained == []


def _cli(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from doctor.cli import main; main()", *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **environment},
    )


def test_the_command_prints_a_page_and_a_document(tmp_path: Path) -> None:
    page = _cli("probe", "--timeout", "10")
    assert page.returncode == 0, page.stderr
    assert "Memory" in page.stdout
    assert "Absent" in page.stdout
    assert "Traceback" not in page.stderr
    told = _cli("probe", "--format", "json")
    assert json.loads(told.stdout)["schema"] == SCHEMA
    saved = _cli("probe", "-o", str(tmp_path / "host.yaml"))
    assert saved.stdout == ""
    assert yaml.safe_load((tmp_path / "host.yaml").read_text())["facts"]
    refused = _cli("probe", "-o", "/nonexistent/folder/x.json")
    assert refused.returncode == 2
    assert "Traceback" not in refused.stderr


def test_a_secret_in_the_environment_does_not_leave(tmp_path: Path) -> None:
    told = _cli(
        "probe",
        "--timeout",
        "10",
        "--format",
        "json",
        HF_TOKEN="hf_" + "aB3" * 11,
        UNRELATED_VARIABLE="nobodys-business",
    )
    assert "aB3aB3" not in told.stdout
    assert "nobodys-business" not in told.stdout
    assert re.search(r"HF_TOKEN=<secret-\d+>", told.stdout)  # other programs on the machine may have secrets too


def test_the_published_schema_is_this_one() -> None:
    published = Path(__file__).parents[2] / "docs" / "probe.schema.json"
    assert json.loads(published.read_text()) == json_schema()


def test_a_private_document_names_nobody() -> None:
    import socket

    told = _cli(
        "probe", "--private", "--format", "json", LOGNAME="annika-the-admin", HF_HOME="/home/annika-the-admin/hf"
    )
    assert json.loads(told.stdout)["schema"] == SCHEMA
    assert "annika-the-admin" not in told.stdout
    name = socket.gethostname()
    assert len(name) < 3 or name in {"localhost", "vm"} or f'"host": "{name}"' not in told.stdout


@LINUX
def test_a_secret_on_an_engines_command_line_is_not_shown(tmp_path: Path) -> None:
    secret = "my-very-own-key-77"
    program = tmp_path / "llama-server"
    program.symlink_to(sys.executable)
    words = [str(program), "-c", "import time; time.sleep(30)", "--api-key", secret]
    running = subprocess.Popen(words, env={**os.environ, "PYTHONHOME": sys.base_prefix})
    try:
        shown = _cli("probe", "--timeout", "10").stdout
    finally:
        running.kill()
        running.wait()
    assert "llama-server" in shown
    assert secret not in shown


@LINUX
def test_a_real_memory_limit_is_seen(tmp_path: Path) -> None:
    group = Path("/sys/fs/cgroup/memory/llmdoctor-test")
    try:
        group.mkdir(exist_ok=True)
        (group / "memory.limit_in_bytes").write_text(str(3 * 2**30))
    except OSError:
        pytest.skip("no cgroup that may be made here")
    try:
        code = (
            "import os, json; open('/sys/fs/cgroup/memory/llmdoctor-test/tasks', 'w').write(str(os.getpid()))\n"
            "from doctor.probe import take\nfrom doctor.probe.read import fill\n"
            "print(json.dumps(fill(take(10)).facts['host.cgroup_limit']))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
        assert json.loads(done.stdout) == 3 * 2**30
    finally:
        group.rmdir()


def test_a_pod_as_the_cluster_gives_it_tells_how_it_ended(tmp_path: Path) -> None:
    from doctor.intake import take_in
    from doctor.rulebook.book import load_book

    status = (Path(__file__).parents[2] / "fixtures/hardware/machines/kube-pod-yaml.txt").read_text()
    (tmp_path / "pod.yaml").write_text(f"apiVersion: v1\nkind: Pod\nmetadata:\n  name: llm-0\n{status}")
    intake = take_in([str(tmp_path / "pod.yaml")], load_book([]))
    (pod,) = [record for record in intake.given.records if record.kind == "container"]
    assert (pod.fields["reason"], pod.fields["restarts"]) == ("OOMKilled", 2)
