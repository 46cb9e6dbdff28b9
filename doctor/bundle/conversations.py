"""Prompts and completions out of logs: what users asked and got is nobody's business who only repairs the server.

Engines print them when they log verbosely or at debug level: llama-server's ``log_server_r: request: {...}``, vLLM's
``Received request ...: prompt: '...'``, SGLang's ``GenerateReqInput(text='...')``, ollama's ``prompt="..."``.
"""

from __future__ import annotations

import re

_QUOTED = r"""(?:"(?:[^"\\\n]|\\.)*(?:"|$)|'(?:[^'\\\n]|\\.)*(?:'|$))"""
_KEYS = (
    r"(?:formatted_|system_|user_|raw_|full_|input_)?prompts?|content|messages|reasoning(?:_content)?|text|texts|query"
    r"|generated_text|generated|completion|response|parsed message|delta|input|output|arguments|suffix|instruction"
)
_SAID = re.compile(
    rf"""
    # a key and a quoted text, as JSON, Python, logfmt write it
    (?P<key>(?<![\w-])["']?(?:{_KEYS})["']?\s?[:=]\s?)(?P<text>{_QUOTED})
    # lists of tokens are the text in numbers
    | (?P<tokens>["']?(?:prompt_token_ids|input_ids|output_ids|token_ids|tokens|embd_inp)["']?\s?[:=]\s?)
      (?P<numbers>\[[\d,\s]{{2,}}\]?)
    # a body on the rest of the line
    | (?P<body>(?:log_server_r(?:equest)?:\s+(?:request|response):\s*|\b(?:request|response)\ body\s?[:=]\s?
      |\bchat\ request\b[^\n]{{0,40}}?|Prompt:\s|formatted\ prompt:\s?|Generated\ text:\s?))(?P<rest>\S[^\n]*)
    """,
    re.X | re.I | re.M,
)
_HINTS = (
    *("prompt", "content", "message", "reasoning", "text", "query", "generated", "completion", "response", "request"),
    *("delta", "input", "output", "arguments", "suffix", "instruction", "token_ids", "tokens", "embd_inp", "_ids"),
)
_SHORTEST = 12  # a shorter text is a word of a setting: response="ok", text='json'


def without_conversations(text: str) -> tuple[str, int]:
    """The text without what users asked and models answered, and how many pieces were cut."""
    cut = 0

    def replace(found: re.Match[str]) -> str:
        nonlocal cut
        key, said = next((found[a], found[b]) for a, b in _PAIRS if found[b] is not None)
        if len(said) < _SHORTEST:
            return found[0]
        cut += 1
        return f"{key}<cut: {len(said)} characters>"

    def cleaned(line: str) -> str:
        lowered = line.lower()
        return _SAID.sub(replace, line) if any(hint in lowered for hint in _HINTS) else line

    return "\n".join(map(cleaned, text.split("\n"))), cut


_PAIRS = (("key", "text"), ("tokens", "numbers"), ("body", "rest"))
