"""What a user said to the model, where an engine logs its requests: words about failures, not failures.

llama-server logs the body of a request (``{"messages":[...]}``), vLLM its prompt (``Received request ...: prompt:``),
ollama the prompt with the template's own words in it (``prompt="<|im_start|>user``), and an application of LangChain
prints both sides (``Question:``, ``Answer:``).
"""

from __future__ import annotations

import re

_BEGINS = re.compile(
    r"\"messages\"\s*:\s*\[|\"(?:prompt|content)\"\s*:\s*\[?\s*\"|Received request \S+: prompt: ['\"]"
    r"|\bprompt=['\"]|<\|im_start\|>(?:system|user|assistant)|<start_of_turn>(?:user|model)|<\|start_header_id\|>(?:system|user)"
    r"|^(?:Question|Answer|Final Answer|Human): "
)


# An answer that is one token over and over says nothing in anybody's words: it is what NaN looks like.
_ONE_TOKEN = re.compile(r"(\S{1,6}?)\1{11,200}")


def own_words(text: str) -> str:
    """The line up to where it quotes a request; all of it where it quotes none."""
    found = _BEGINS.search(text)
    if found is None:
        return text
    spoilt = _ONE_TOKEN.match(text, found.end())
    return text[: spoilt.end() if spoilt else found.end()]
