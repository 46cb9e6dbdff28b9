"""The MCP server, asked by the SDK's own client over standard input and output."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

from doctor.mcp.brief import MOST_CHARACTERS, bounded
from tests.cli.test_commands import CRASH, FIXTURES

pytestmark = pytest.mark.slow


def asked(folder: Path, ask: Callable[[Client], Awaitable[Any]], *arguments: str) -> Any:
    """What a client gets from a server that was started in a folder."""
    program = "from doctor.cli import main; main()"
    server = StdioServerParameters(command=sys.executable, args=["-c", program, "mcp", *arguments], cwd=folder)

    async def talk() -> Any:
        async with Client(server) as client:
            return await ask(client)

    return asyncio.run(asyncio.wait_for(talk(), 120))


def called(folder: Path, *calls: tuple[str, dict[str, Any]], arguments: tuple[str, ...] = ()) -> list[Any]:
    """Of each call the answer, or the message of its error."""

    async def ask(client: Client) -> list[Any]:
        answers: list[Any] = []
        for name, given in calls:
            result = await client.call_tool(name, given)
            text = "".join(getattr(part, "text", "") for part in result.content)
            answers.append(text if result.is_error else json.loads(text))
        return answers

    found: list[Any] = asked(folder, ask, *arguments)
    return found


def test_it_offers_four_tools_that_only_read(tmp_path: Path) -> None:
    async def ask(client: Client) -> Any:
        return (await client.list_tools()).tools

    tools = asked(tmp_path, ask)
    assert [tool.name for tool in tools] == ["analyze", "check", "plan", "explain"]
    for tool in tools:
        assert tool.annotations.read_only_hint is True
        assert tool.annotations.destructive_hint is False
        assert tool.annotations.open_world_hint is False
        assert len(tool.description) > 60


def test_each_answers(tmp_path: Path) -> None:
    crash, broken, described, wrong = called(
        FIXTURES,
        ("analyze", {"paths": ["llama-box/view-abort"]}),
        ("check", {"paths": ["check/vllm-kubernetes/vllm.yaml"], "target": "8x-h100"}),
        ("explain", {"subject": "137"}),
        ("explain", {"subject": "vllm-no-devices"}),
    )
    assert crash["verdict"] == "failing"
    first = crash["findings"][0]
    assert first["rule"] == "rpc-kv-view-stale-support"
    assert any("cannot run the operation (VIEW)" in line for line in first["evidence"])
    assert first["remedies"][0]["change"]
    assert broken["verdict"] == "at_risk"
    assert {finding["rule"] for finding in broken["findings"]} == {"vllm-no-device", "shm-nccl-segment"}
    assert "SIGKILL" in json.dumps(described)
    assert "did you mean vllm-no-device" in wrong


def test_a_plan_is_made(tmp_path: Path) -> None:
    (made,) = called(FIXTURES / "check" / "llama-compose", ("plan", {"model": "model.yaml", "target": "2x-rtx-4090"}))
    assert made["verdict"] in {"fits", "does_not_fit"}
    assert made["places"][0]["need"] > 0


def test_it_reads_nothing_outside_and_says_so(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "secret.log").write_text(CRASH.read_text())
    (inside / "link.log").symlink_to(tmp_path / "secret.log")
    (inside / "links").symlink_to(tmp_path)
    calls: list[tuple[str, dict[str, Any]]] = [
        ("analyze", {"paths": [path]})
        for path in ("../secret.log", str(tmp_path / "secret.log"), "link.log", "links/secret.log", "/etc/passwd", "~")
    ]
    calls += [
        ("check", {"paths": ["."], "model": "/etc/passwd"}),
        ("check", {"paths": ["."], "target": "/etc/passwd"}),
        ("plan", {"model": "/etc/passwd", "target": "this"}),
        ("plan", {"model": ".", "target": "this", "command": "llama-server -m x --mmproj /etc/passwd"}),
        ("analyze", {"paths": ["-"]}),
        ("analyze", {"paths": ["a\0b"]}),
    ]
    for answer in called(inside, *calls):
        assert isinstance(answer, str)
        assert "outside of what this server may read" in answer or "does not exist" in answer or "is no path" in answer
    (answer,) = called(inside, ("analyze", {"paths": ["../secret.log"]}), arguments=("--allow", str(tmp_path)))
    assert isinstance(answer, str)  # it is relative to the folder that is allowed
    (answer,) = called(inside, ("analyze", {"paths": ["secret.log"]}), arguments=("--allow", str(tmp_path)))
    assert answer["verdict"] == "failing"


def test_links_in_a_folder_are_not_followed_out_of_it(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "secret.log").write_text(CRASH.read_text())
    (inside / "link.log").symlink_to(tmp_path / "secret.log")
    (inside / "other.log").write_text("nothing\n")
    (answer,) = called(inside, ("analyze", {"paths": ["."]}))
    assert "VIEW" not in json.dumps(answer)


def test_secrets_stay_here(tmp_path: Path) -> None:
    secret = "hf_abcdefghijklmnopqrstuvwxyz012345"
    (tmp_path / "serve.log").write_text(f"{CRASH.read_text()}\nerror: token {secret} was refused\n")
    (answer,) = called(tmp_path, ("analyze", {"paths": ["serve.log"]}))
    assert answer["verdict"] == "failing"
    assert secret not in json.dumps(answer)


def test_an_answer_is_bounded() -> None:
    data = {"verdict": "failing", "findings": ["x" * 3000] * 50, "others": ["y" * 100] * 5}
    made = bounded(data)
    assert len(json.dumps(made)) <= MOST_CHARACTERS
    assert made["cut"] is True
    assert made["findings"]
    assert made["others"] == data["others"]
    assert len(json.dumps(bounded({"page": "z" * MOST_CHARACTERS * 2}))) <= MOST_CHARACTERS
