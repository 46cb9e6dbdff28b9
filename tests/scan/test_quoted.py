"""What a line says in the engine's own words."""

from __future__ import annotations

from doctor.scan.quoted import own_words


def test_the_words_of_a_request_are_left_out() -> None:
    assert own_words('{"messages":[{"role":"user","content":"CUDA out of memory"}]}') == '{"messages":['
    assert own_words("CUDA out of memory") == "CUDA out of memory"


def test_one_token_over_and_over_is_nobodys_word() -> None:
    answer = '{"role":"assistant","content":"' + "!" * 40
    assert own_words(answer + '"}') == answer
    assert own_words('{"role":"assistant","content":"Well!!! done"}') == '{"role":"assistant","content":"'
