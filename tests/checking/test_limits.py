"""What a deployment may lock, and what is said where nothing tells it."""

from __future__ import annotations

from pathlib import Path

import pytest

from doctor.checking import check
from doctor.report.text import print_text
from tests.model.support import llama_70b

UNIT = "[Service]\n{more}ExecStart=/usr/bin/llama-server -m /m.gguf -c 4096 -ngl 99 --mlock\n"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "m.yaml"
    path.write_text(llama_70b())
    return path


@pytest.mark.parametrize(
    ("more", "risks"),
    [
        ("User=llama\n", ["mlock-limit"]),
        ("DynamicUser=yes\n", ["mlock-limit"]),
        ("User=root\n", []),
        ("", []),
        ("User=llama\nLimitMEMLOCK=infinity\n", []),
        ("LimitMEMLOCK=16M\n", ["mlock-limit"]),
    ],
)
def test_a_service_may_lock_what_its_user_may(tmp_path: Path, model: Path, more: str, risks: list[str]) -> None:
    (tmp_path / "llm.service").write_text(UNIT.format(more=more))
    document = check([tmp_path / "llm.service"], model=model, target="2x-rtx-4090")
    assert [finding.rule_id for finding in document.findings if finding.role == "risk"] == risks
    assert document.could_not_judge == []


def test_what_no_target_tells_is_to_be_declared(model: Path) -> None:
    document = check(command="llama-server -m m.gguf -c 4096 -ngl 99 --mlock", model=model, target="2x-rtx-4090")
    (group,) = document.could_not_judge
    assert group.missing == "host.memlock_limit"
    assert "LimitMEMLOCK=" in group.hint


def test_memory_that_does_not_fit_quotes_the_settings_that_ask_for_it(tmp_path: Path, model: Path) -> None:
    (tmp_path / "llm.service").write_text(UNIT.format(more="").replace("-c 4096", "-c 131072"))
    document = check([tmp_path / "llm.service"], model=model, target="2x-rtx-4090")
    (finding,) = [each for each in document.findings if each.role == "risk"]
    assert [(line.line, line.captures["setting.context"]) for line in finding.evidence] == [(2, 131072)]


def test_of_several_deployments_each_risk_says_whose_it_is(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.service").write_text(UNIT.format(more="").replace("-c 4096", "-c 131072"))
    paths = [tmp_path / "one.service", tmp_path / "two.service"]
    print_text(check(paths, model=model, target="2x-rtx-4090"))
    shown = "".join(capsys.readouterr().out.split())
    assert f"llama-server,{paths[0]}:" in shown
    assert f"llama-server,{paths[1]}:" in shown


def test_a_share_that_refuses_what_fits_is_raised_first(model: Path) -> None:
    line = "vllm serve m --max-model-len 8192 --gpu-memory-utilization"
    low, high = (check(command=f"{line} {share}", model=model, target="8x-h100") for share in ("0.3", "0.9"))
    (finding,) = [each for each in low.findings if each.role == "risk"]
    assert finding.remedies[0].actions[0]["text"] == "add --gpu-memory-utilization 0.9"
    assert [each for each in high.findings if each.role == "risk"] == []


@pytest.mark.parametrize(("megabytes", "risks"), [(16384, ["reserve-displaces-layers"]), (3072, []), (1024, [])])
def test_a_reserve_that_keeps_layers_off_the_cards_is_a_risk(model: Path, megabytes: int, risks: list[str]) -> None:
    line = f"llama-server -m m.gguf -c 4096 --fit-target {megabytes}"
    document = check(command=line, model=model, target="2x-rtx-4090")
    assert [finding.rule_id for finding in document.findings if finding.role == "risk"] == risks
    if risks:
        assert document.findings[0].remedies[0].actions[0]["text"] == "add --fit-target 1024"
