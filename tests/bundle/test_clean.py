from __future__ import annotations

import pytest

from doctor.bundle.clean import Cleaner
from doctor.bundle.conversations import without_conversations

SAID = "Tell me everything about my neighbour Alice"


@pytest.mark.parametrize(
    "line",
    [
        f'srv  log_server_r: request:  {{"messages":[{{"role":"user","content":"{SAID}"}}],"stream":true}}',
        f'srv  log_server_r: response: {{"choices":[{{"message":{{"content":"{SAID}"}}}}]}}',
        f"INFO 11-20 09:12:01 logger.py:39] Received request chatcmpl-1: prompt: '{SAID}', params: SamplingParams(n=1)",
        f"Receive: obj=GenerateReqInput(rid='1', text='{SAID}', input_ids=None)",
        f"Finish: obj=GenerateReqInput(rid='1'), out={{'text': '{SAID}', 'meta_info': {{}}}}",
        f'time=2026-11-20T09:12:01Z level=DEBUG source=routes.go:2012 msg="chat request" images=0 prompt="{SAID}"',
        f'{{"prompt": "{SAID}", "n_predict": 16}}',
        f"Parsed message: {{'content': '{SAID}'}}",
        f"formatted prompt: <|im_start|>user {SAID}",
        f'llama_chat: {{"reasoning_content": "{SAID} \\" and more",',
    ],
)
def test_what_users_asked_goes(line: str) -> None:
    cleaned, cut = without_conversations(line)
    assert "Alice" not in cleaned
    assert "and more" not in cleaned
    assert cut >= 1
    assert cleaned.split()[0] == line.split(maxsplit=1)[0]


@pytest.mark.parametrize(
    "line",
    [
        "prompt eval time =     123.45 ms /    12 tokens (   10.29 ms per token,    97.2 tokens per second)",
        "slot update_slots: id  0 | task 0 | new prompt, n_ctx_slot = 4096, n_keep = 0, n_prompt_tokens = 12",
        "slot launch_slot_: id  0 | task 0 | processing task",
        "srv  log_server_r: done request: POST /v1/chat/completions 127.0.0.1 200",
        "llama_context: n_ctx = 4096",
        "prompt: ok",
        "print_info: BOS token        = 1 '<s>'",
        "system_info: n_threads = 8 / 16 | CPU : SSE3 = 1 | AVX = 1 |",
    ],
)
def test_what_the_engine_says_of_itself_stays(line: str) -> None:
    assert without_conversations(line) == (line, 0)


def test_token_ids_are_the_text_in_numbers() -> None:
    assert "15043" not in without_conversations("prompt_token_ids: [1, 15043, 29892, 590], lora_request: None")[0]


def test_the_same_name_gets_the_same_token_everywhere() -> None:
    cleaner = Cleaner()
    first = "error loading /home/annika/models/m.gguf"
    second = "Nov 20 09:12:01 gpubox7 kernel: oom-kill: task=llama-server,pid=1 user annika from 203.0.113.7"
    for text in (first, second):
        cleaner.learn(text)
    assert cleaner.text(first) == "error loading /home/<user-1>/models/m.gguf"
    assert cleaner.text(second) == (
        "Nov 20 09:12:01 <host-1> kernel: oom-kill: task=llama-server,pid=1 user <user-1> from <ip-1>"
    )
    assert cleaner.text("203.0.113.7 again, mail me@corp.example") == "<ip-1> again, mail <mail-1>"


@pytest.mark.parametrize(
    "line",
    [
        "16.15.162.661 I llama_context: n_ctx = 4096",
        "0.10.167.162 I main: server is listening on http://127.0.0.1:8080",
        "CUDA driver 550.127.05, CUDA 12.4, nvidia-smi 550.127.05",
        "sched_reserve: graph splits = 2",
        "listening on 0.0.0.0:8080 and [::]:8080",
        "buffer 0000:01:00.0 numa 0",
        "version: 4598 (27d135c9)",
    ],
)
def test_times_and_versions_are_no_addresses(line: str) -> None:
    cleaner = Cleaner()
    cleaner.learn(line)
    assert cleaner.text(line) == line


def test_hardware_addresses_and_serial_numbers_go() -> None:
    cleaned = Cleaner().text("eth0 52:54:00:12:34:56\nSerial Number (system): C02XG2JHJGH7")
    assert "52:54" not in cleaned
    assert "C02XG" not in cleaned
