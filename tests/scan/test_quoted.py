"""What a line says in the engine's own words."""

from __future__ import annotations

import pytest

from doctor.scan.quoted import own_words


def test_the_words_of_a_request_are_left_out() -> None:
    assert own_words('{"messages":[{"role":"user","content":"CUDA out of memory"}]}') == '{"messages":['
    assert own_words("CUDA out of memory") == "CUDA out of memory"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (
            'level=DEBUG msg="chat request" images=0 prompt="<|im_start|>user\\nXid 79?',
            'level=DEBUG msg="chat request" images=0 prompt="',
        ),
        ("formatted: <|im_start|>user CUDA out of memory", "formatted: <|im_start|>user"),
        ('Answer: The log contains "NVRM: Xid (PCI:0000:65:00): 79".', "Answer: "),
        ("Question: what is CUDA out of memory?", "Question: "),
        (
            "load: control token: 151644 '<|im_start|>' is not marked",
            "load: control token: 151644 '<|im_start|>' is not marked",
        ),
        ("error: no Answer: CUDA out of memory", "error: no Answer: CUDA out of memory"),
    ],
)
def test_both_sides_of_a_conversation(said: str, kept: str) -> None:
    assert own_words(said) == kept


def test_one_token_over_and_over_is_nobodys_word() -> None:
    answer = '{"role":"assistant","content":"' + "!" * 40
    assert own_words(answer + '"}') == answer
    assert own_words('{"role":"assistant","content":"Well!!! done"}') == '{"role":"assistant","content":"'
