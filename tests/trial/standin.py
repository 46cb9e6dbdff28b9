"""A small server named llama-server that prints what llama.cpp prints and refuses what llama.cpp refuses.

For what confirm does around an engine: asking, writing files, planning. The loops run the real ones.
"""

from __future__ import annotations

import sys
from pathlib import Path

_PROGRAM = """\
import json, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

words = sys.argv[1:]
print("build: 7000 (0c1e570) with gcc for x86_64-linux-gnu", flush=True)
print("main: loading model", flush=True)
if "off" in words and "-ctv" in words:
    print("llama_init_from_model: quantized V cache requires flash_attn to be enabled", flush=True)
    sys.exit(1)
for word in words:
    if word.startswith("--no-such"):
        print(f"error: invalid argument: {word}", flush=True)
        sys.exit(1)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer({"data": [{"id": "m"}]})

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer({"choices": [{"text": "a"}], "usage": {"completion_tokens": 20, "prompt_tokens": 5}})

    def answer(self, content):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode() + b"\\n")

    def log_message(self, *_):
        pass


port = int(words[words.index("--port") + 1])
server = HTTPServer(("127.0.0.1", port), Handler)
print(f"main: server is listening on http://127.0.0.1:{port} - starting the main loop", flush=True)
server.serve_forever()
"""


def write(folder: Path) -> Path:
    """The program, in a folder that can be put on PATH."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "llama-server"
    program.write_text(f"#!{sys.executable}\n{_PROGRAM}")
    program.chmod(0o755)
    return program
