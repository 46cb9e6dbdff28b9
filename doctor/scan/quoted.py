"""What a user said to the model, where an engine logs its requests: words about failures, not failures.

llama-server logs the body of a request (``{"messages":[...]}``), vLLM its prompt (``Received request ...: prompt:``).
"""

from __future__ import annotations

import re

_BEGINS = re.compile(r"\"messages\"\s*:\s*\[|\"(?:prompt|content)\"\s*:\s*\[?\s*\"|Received request \S+: prompt: ['\"]")


def own_words(text: str) -> str:
    """The line up to where it quotes a request; all of it where it quotes none."""
    found = _BEGINS.search(text)
    return text[: found.end()] if found else text
