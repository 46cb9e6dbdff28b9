from __future__ import annotations

import pytest

from doctor.redact import Redactor
from doctor.vocabulary.document import Diagnosis, Unexplained

SECRETS = [
    ("HF_TOKEN={}", "hf_" + "aB3" * 11),
    ("using token {} for the hub", "hf_" + "Zz9" * 11),
    ("--api-key {} --port 1", "my-own-key-7"),
    ("--api-key={}", "sk-proj-" + "a1B2" * 8),
    ("Authorization: Bearer {}", "abc.DEF-123_456=="),
    ("OPENAI_API_KEY: '{}'", "sk-" + "x9Y8" * 6),
    ("http://{}@proxy:3128/", "user:pa55word"),
    ("{{'api_key': '{}'}}", "verysecretvalue"),
    ("aws {} used", "AKIA" + "ABCD1234" * 2),
    ("git clone https://{}@host/x", "oauth2:glpat-abcdefghijklmnop1234"),
    ("POSTGRES_PASSWORD={}", "hunter2hunter2"),
]


@pytest.mark.parametrize(("template", "secret"), SECRETS)
def test_secrets_go(template: str, secret: str) -> None:
    redacted = Redactor().text(template.format(secret))
    assert secret not in redacted
    assert "<secret-1>" in redacted


@pytest.mark.parametrize(
    "line",
    [
        "0.16.15.162.661 I llama_context: n_ctx = 4096",
        "print_info: BOS token        = 1 '<s>'",
        "load: control token:      1 '<s>' is not marked as EOG",
        "security: no API key is set and CORS allows all origins",
        "llama_model_loader: - kv  16: tokenizer.ggml.bos_token_id u32 = 1",
        "max_tokens=4096, TOKENIZERS_PARALLELISM=false",
        "api_key=None, ssl_keyfile=None",
        "load_tensors: RPC[127.0.0.1:50301] model buffer size =     0.86 MiB",
        "- vision_start_token_id: 151652",
        "HF_TOKEN=${HF_TOKEN}",
        "special_eos_id is not in special_eog_ids - the tokenizer config may be incorrect",
    ],
)
def test_ordinary_lines_stay(line: str) -> None:
    assert Redactor().text(line) == line


APART = "aVerySecretValue0815"


@pytest.mark.parametrize(
    "text",
    [
        f"env:\n- name: WANDB_API_KEY\n  value: {APART}\n- name: PORT\n  value: '12345678'\n",
        f"- name: 'db-password'\n  value: \"{APART}\"\n",
        f"<key>OPENAI_API_KEY</key>\n\t<string>{APART}</string>\n",
        f'{{"name": "MY_TOKEN",\n "value": "{APART}"}}\n',
        f"kind: Deployment\n---\napiVersion: v1\nkind: Secret\ndata:\n  hub: {APART}\n  b: x\n---\nkind: Service\n",
    ],
)
def test_a_secret_whose_name_stands_on_another_line_goes_wherever_it_stands(text: str) -> None:
    redactor = Redactor()
    assert APART not in redactor.text(text)
    assert redactor.text(f"value: {APART}") == "value: <secret-1>"


def test_values_of_ordinary_names_stay() -> None:
    text = "- name: MAX_TOKENS\n  value: '12345678'\n- name: TOKENIZER\n  value: some-tokenizer\n"
    text += "<key>KeepAlive</key><string>always-on</string>\n"
    assert Redactor().text(text) == text


def test_the_same_value_gets_the_same_token_all_over_a_document() -> None:
    secret = "hf_" + "aB3" * 11
    document = Diagnosis(llmdoctor="1", verdict="unknown", summary=f"HF_TOKEN={secret}")
    document.unexplained.append(Unexplained(path="a", line=1, text=f"token {secret} and TOKEN=other-secret"))
    Redactor().data(document)
    assert document.summary == "HF_TOKEN=<secret-1>"
    assert document.unexplained[0].text == "token <secret-1> and TOKEN=<secret-2>"
