"""Secrets of forty kinds and more, each in the words that logs and files put around it. Made up here, valid nowhere."""

from __future__ import annotations

import random
import string

_WORD = string.ascii_letters + string.digits
_LOWER = string.ascii_lowercase + string.digits


def _some(rng: random.Random, count: int, letters: str = _WORD) -> str:
    return "".join(rng.choice(letters) for _ in range(count))


# kind -> (line around it, the secret's own beginning, length of the rest)
KINDS: dict[str, tuple[str, str, int]] = {
    "hugging face": ("downloading with token {}", "hf_", 34),
    "hugging face organisation": ("using {} for the hub", "api_org_", 34),
    "openai": ("client: key {} rejected", "sk-proj-", 40),
    "anthropic": ("proxy to upstream with {}", "sk-ant-", 40),
    "openrouter": ("error: {} is not valid", "sk-or-", 40),
    "stripe": ("billing {} failed", "sk_live_", 24),
    "github": ("git clone failed: {}", "ghp_", 36),
    "github fine-grained": ("fatal: {} has no access", "github_pat_", 50),
    "gitlab": ("remote: {} expired", "glpat-", 20),
    "slack": ("alert sent with {}", "xoxb-", 40),
    "slack app": ("socket {} closed", "xapp-1-", 40),
    "nvidia": ("ngc login {}", "nvapi-", 60),
    "groq": ("fallback to {} failed", "gsk_", 50),
    "replicate": ("{} unauthorized", "r8_", 37),
    "perplexity": ("{} unauthorized", "pplx-", 48),
    "xai": ("{} unauthorized", "xai-", 60),
    "fireworks": ("{} unauthorized", "fw_", 24),
    "docker": ("denied: {}", "dckr_pat_", 27),
    "npm": ("npm ERR! {}", "npm_", 36),
    "pypi": ("twine: {}", "pypi-AgEI", 60),
    "tailscale": ("tailscale up --authkey {}", "tskey-auth-", 30),
    "vault": ("vault: {} renewed", "hvs.", 60),
    "aws key id": ("s3: {} denied", "AKIA", 16),
    "google api": ("gemini: {} denied", "AIza", 35),
    "google oauth": ("gcs: {} expired", "ya29.", 60),
    "bearer": ("Authorization: Bearer {}", "", 40),
    "basic": ("Authorization: Basic {}", "", 40),
    "x-api-key": ("headers: {{'x-api-key': '{}'}}", "", 32),
    "cookie": ("Cookie: session={}", "", 40),
    "flag": ("llama-server -m m.gguf --api-key {} --port 8080", "", 24),
    "flag with equals": ("args: --hf-token={}", "", 24),
    "variable": ("OPENAI_API_KEY={}", "", 32),
    "quoted variable": ('export WANDB_API_KEY="{}"', "", 40),
    "aws secret": ("aws_secret_access_key = {}", "", 40),
    "azure": ("AccountName=x;AccountKey={}==;EndpointSuffix=core", "", 86),
    "yaml password": ("  password: {}", "", 20),
    "json secret": ('{{"client_secret": "{}"}}', "", 40),
    "url password": ("proxy http://svc:{}@proxy.corp:3128 refused", "", 20),
    "signed url": ("GET https://b.blob.core/x?sv=2024&sig={}&se=1", "", 43),
    "query token": ("GET /v1/models?api_key={} 401", "", 32),
    "slack hook": ("POST https://hooks.slack.com/services/T000/B000/{}", "", 24),
    "netrc": ("machine hf.co login me password {}", "", 20),
    "kubeconfig": ("    client-key-data: {}", "", 120),
    "docker auth": ('  "auth": "{}"', "", 40),
    "telegram": ("bot {} polls", "123456789:AA", 33),
}


def planted(each: int, seed: int = 7) -> list[tuple[str, str, str]]:
    """Kind, secret and line."""
    rng = random.Random(seed)
    found = []
    for kind, (line, begin, length) in KINDS.items():
        for _ in range(each):
            letters = string.ascii_uppercase + string.digits if kind == "aws key id" else _WORD
            body = _some(rng, length, letters)
            found.append((kind, begin + body, line.format(begin + body)))
    return found


def private_key(seed: int) -> tuple[str, str]:
    """A block of several lines, and a piece of its middle."""
    rng = random.Random(seed)
    lines = [_some(rng, 64) for _ in range(6)]
    block = "\n".join(["-----BEGIN RSA PRIVATE KEY-----", *lines, "-----END RSA PRIVATE KEY-----"])
    return block, lines[3]
