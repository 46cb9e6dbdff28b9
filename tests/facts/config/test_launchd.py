"""Property lists of launchd, as Homebrew writes them; and what a remedy changes in one."""

from __future__ import annotations

from pathlib import Path

import pytest

from doctor.facts.config.sniff import classify, form_of
from doctor.facts.options import KnownOption
from doctor.remedy.deployment import Deployment
from tests.facts.config.support import limits, one, read_files, variables

PLIST = """\
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
\t<key>Label</key>
\t<string>local.llama-server</string>
\t<!-- größer -->
\t<key>EnvironmentVariables</key>
\t<dict>
\t\t<key>GGML_METAL_NO_RESIDENCY</key>
\t\t<string>1</string>
\t</dict>
\t<key>ProgramArguments</key>
\t<array>
\t\t<string>/opt/homebrew/bin/llama-server</string>
\t\t<string>-m</string>
\t\t<string>/models/a &amp; b.gguf</string>
\t\t<string>--mlock</string>
\t\t<string>-c</string>
\t\t<string>65536</string>
\t</array>
\t<key>SoftResourceLimits</key>
\t<dict>
\t\t<key>MemoryLock</key>
\t\t<integer>65536</integer>
\t</dict>
\t<key>KeepAlive</key>
\t<true/>
</dict>
</plist>
"""
OPTIONS = [
    KnownOption("setting.context", flags=["-c", "--ctx-size"], type="int"),
    KnownOption("setting.slots", flags=["-np", "--parallel"], type="int"),
    KnownOption("setting.mlock", flags=["--mlock"], type="switch_on"),
]
PATH = "Library/LaunchAgents/local.llama-server.plist"


def test_what_a_job_starts() -> None:
    workload = one(read_files({PATH: PLIST}))
    assert workload.texts == [
        "/opt/homebrew/bin/llama-server",
        *("-m", "/models/a & b.gguf", "--mlock", "-c", "65536"),
    ]
    assert [word.place and word.place.line for word in workload.words] == [15, 16, None, 18, 19, 20]
    assert variables(workload) == {"GGML_METAL_NO_RESIDENCY": "1"}
    assert limits(workload) == {"host.memlock_limit": (65536, 25)}
    assert workload.names == ("local.llama-server", "llama-server")


def test_it_is_told_from_other_lists() -> None:
    assert classify("/x.plist", PLIST.encode()) == "config"
    assert form_of("x.plist", PLIST) == "launchd"
    assert classify("/Info.plist", b"<plist version='1.0'><dict><key>CFBundleName</key></dict></plist>") == "log"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (PLIST.replace("</array>", ""), "not a property list: mismatched tag"),
        (PLIST.replace("<plist", '<!DOCTYPE p [<!ENTITY a "b">]><plist', 1), "not a property list"),
        (
            PLIST.replace('"http://www.apple.com/DTDs/PropertyList-1.0.dtd"', '"x" [<!ENTITY a "b">]'),
            "declares an entity",
        ),
        (PLIST.replace("<true/>", "<array>" * 40 + "</array>" * 40), "nested too deep"),
    ],
)
def test_what_cannot_be_read_is_told(text: str, message: str) -> None:
    declared = read_files({PATH: text})
    assert declared.workloads == []
    assert message in declared.troubles[0].message


def changed(*actions: dict[str, str]) -> str:
    declared = read_files({PATH: PLIST})
    deployment = Deployment((), one(declared), declared.files, [], OPTIONS, {"llama-server"})
    diff = deployment.diff(deployment.apply(actions))
    assert diff is not None
    return "\n".join(line for line in diff.split("\n") if line[:1] in "+-" and line[:3] not in {"+++", "---"})


def test_remedies_change_it_in_its_own_words() -> None:
    assert (
        changed({"kind": "set_flag", "flag": "-c", "value": "8192"})
        == "-\t\t<string>65536</string>\n+\t\t<string>8192</string>"
    )
    assert changed({"kind": "remove_flag", "flag": "--mlock"}) == "-\t\t<string>--mlock</string>"
    assert (
        changed({"kind": "set_flag", "flag": "-np", "value": "1"})
        == "+\t\t<string>-np</string>\n+\t\t<string>1</string>"
    )
    assert changed({"kind": "unset_env", "variable": "GGML_METAL_NO_RESIDENCY"}) == (
        "-\t\t<key>GGML_METAL_NO_RESIDENCY</key>\n-\t\t<string>1</string>"
    )
    assert changed({"kind": "set_env", "variable": "GGML_X", "value": "a b"}) == (
        "+\t\t<key>GGML_X</key>\n+\t\t<string>a b</string>"
    )


def test_it_is_read_beside_a_log(tmp_path: Path) -> None:
    from doctor.api import Request, analyze_request

    (tmp_path / "job.plist").write_text(PLIST)
    (tmp_path / "s.log").write_text("main: server is listening on http://127.0.0.1:8080\n")
    document = analyze_request(Request(paths=[str(tmp_path)]))
    (context,) = [each for each in document.settings if each.name == "context"]
    assert (context.declared, context.effective or 65536) == (65536, 65536)
    assert f"{tmp_path}/job.plist:20" in f"{context.declared_at} {context.origin}"
