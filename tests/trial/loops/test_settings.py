"""Settings that keep llama-server from serving, cured by the remedy of the rule that names them."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from doctor.trial.setup import Setup
from tests import engines
from tests.trial import models
from tests.trial.loops.support import cured, loop, tried

pytestmark = pytest.mark.engine


def server(model: Path, port: int, *more: str) -> Setup:
    program = str(engines.llama_cpp() / "llama-server")
    return Setup((program, "-m", str(model), "--port", str(port), "-t", "1", "-tb", "1", "-np", "1", *more))


def test_quantised_v_cache_without_flash_attention(tiny: Path, port: int) -> None:
    document, told = loop(server(tiny, port, "-c", "512", "-ctv", "q8_0", "-fa", "off"))
    cured(told, "vquant-needs-flash-attention")
    assert list(tried(document)) == ["flash-attention-on"]
    assert told.effect == "seen"
    assert "flash_attention = on" in told.effect_text


def test_unknown_flag(tiny: Path, port: int) -> None:
    _document, told = loop(server(tiny, port, "-c", "512", "--no-such-flag"))
    cured(told, "unknown-flag")
    assert "--no-such-flag" in told.change


def test_port_in_use(tiny: Path, port: int) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", port))
        holder.listen()
        _document, told = loop(server(tiny, port, "-c", "512"), beside_live=True)
    cured(told, "http-port-in-use")


def test_context_overflow(tiny: Path, port: int) -> None:
    _document, told = loop(server(tiny, port, "-c", "256"), workload="fill_context", tokens=700)
    cured(told, "context-prompt-too-long")
    assert "context = 1280" in told.effect_text


def test_embedding_larger_than_the_batch(shelf: Path, port: int) -> None:
    model = models.write(shelf / "embedding.gguf", pooling=1)
    setup = server(model, port, "-c", "2048", "--embeddings", "--pooling", "mean")
    _document, told = loop(setup, workload="embedding", tokens=900)
    cured(told, "embedding-larger-than-batch")
    assert "ubatch" in told.effect_text


def test_chat_template_that_does_not_parse(tiny: Path, port: int, tmp_path: Path) -> None:
    template = tmp_path / "go.tmpl"
    template.write_text("{{ if .System }}{{ .System }}{{ end }}{{ range .Messages }}{{ .Content }}{{ end }}")
    setup = server(tiny, port, "-c", "512", "--jinja", "--chat-template-file", str(template))
    _document, told = loop(setup)
    cured(told, "chat-template-refused")
    assert "--chat-template-file" in told.change
