from __future__ import annotations

import pytest

from doctor.facts.config.values import is_secret, masked


@pytest.mark.parametrize(
    "name",
    [
        "HF_TOKEN",
        "OPENAI_API_KEY",
        "OPENAI_APIKEY",
        "LLAMA_API_KEYS",
        "DB_PASSWORD",
        "client_secret",
        "AWS_SECRET_ACCESS_KEY",
    ],
)
def test_secrets(name: str) -> None:
    assert is_secret(name)
    assert masked(name, "abc") == "***"
    assert masked(name, "") == ""


@pytest.mark.parametrize(
    "name", ["OLLAMA_KEEP_ALIVE", "TOKENIZERS_PARALLELISM", "MAX_TOKENS", "CUDA_VISIBLE_DEVICES", "KEYBOARD", "MODEL"]
)
def test_no_secrets(name: str) -> None:
    assert not is_secret(name)
    assert masked(name, "abc") == "abc"


def test_a_password_inside_of_an_address() -> None:
    assert masked("HTTPS_PROXY", "http://me:hunter2@proxy:3128/") == "http://***@proxy:3128/"
    assert masked("OLLAMA_HOST", "http://0.0.0.0:11434") == "http://0.0.0.0:11434"
