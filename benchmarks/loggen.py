# ruff: noqa: E501, SIM905 - log lines are as long as they are, and words read best as words
"""Writes the benchmark's logs: a realistic mixture of what LLM servers print, with ten rare failures planted in it.

    python benchmarks/loggen.py --size 100MB --dir bench-data

The same size and seed give the same bytes. The lines follow the formats of llama.cpp (2025 and 2026), vLLM, ollama and
the Linux kernel, as journald and docker compose put them together: most of the volume is requests being served, now and
then a model is loaded. Beside ``mixed-100MB.log`` a file ``mixed-100MB.json`` says where the failures are.

The failures stand where a scanner that works in blocks may lose them: across the multiples of likely block sizes
(256 KiB to 16 MiB), right after a line that a dense pattern hits, and as the last line, without a newline.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

SEED = 20261121
KIB, MIB = 1 << 10, 1 << 20
SIZES = {"10MB": 10**7, "100MB": 10**8, "1GB": 10**9}


@dataclass(frozen=True, slots=True)
class Failure:
    """One rare failure: a name, the line, and the pattern that a rule would have for it."""

    name: str
    text: str
    pattern: str


FAILURES = (
    Failure(
        "rpc-view-abort",
        "/srv/llm/llama.cpp/ggml/src/ggml-backend.cpp:746: pre-allocated tensor (cache_k_l0 (view)) in a buffer "
        "(RPC[10.0.0.12:50052]) that cannot run the operation (VIEW)",
        r"pre-allocated tensor \((?P<tensor>cache_[kv]\S*)(?: \(view\))?\) in a buffer(?: \((?P<buffer>.+?)\))? "
        r"that cannot run the operation \((?P<op>\w+)\)",
    ),
    Failure(
        "cuda-malloc",
        "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 18432.00 MiB on device 1: cudaMalloc failed: out of memory",
        r"allocating (?P<size>[\d.]+) MiB on device (?P<device>\d+): cudaMalloc failed: out of memory",
    ),
    Failure(
        "kernel-oom",
        "Nov 21 12:41:07 gpu01 kernel: [817263.118231] Out of memory: Killed process 48213 (llama-server) "
        "total-vm:731882312kB, anon-rss:518273112kB, file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:1421000kB oom_score_adj:0",
        r"Out of memory: Killed process (?P<pid>\d+) \((?P<comm>[^)]+)\) total-vm:(?P<vm>\d+)kB, anon-rss:(?P<rss>\d+)kB",
    ),
    Failure(
        "vllm-no-cache-blocks",
        "(EngineCore_DP0 pid=4711) ERROR 11-21 12:41:07 [core.py:708] ValueError: No available memory for the cache blocks. "
        "Try increasing `gpu_memory_utilization` when initializing the engine.",
        r"No available memory for the cache blocks",
    ),
    Failure(
        "vulkan-device-lost",
        "terminate called after throwing an instance of 'vk::DeviceLostError'",
        r"terminate called after throwing an instance of '(?P<exception>vk::\w+)'",
    ),
    Failure(
        "gguf-magic",
        "gguf_init_from_file_impl: invalid magic characters: 'vers', expected 'GGUF'",
        r"invalid magic characters:? '(?P<magic>.{4})'",
    ),
    Failure(
        "nvrm-xid",
        "Nov 21 12:41:07 gpu01 kernel: [817263.118231] NVRM: Xid (PCI:0000:41:00): 79, pid=48213, name=llama-server, "
        "GPU has fallen off the bus.",
        r"NVRM: Xid \((?P<pci>[^)]+)\): (?P<xid>\d+)",
    ),
    Failure(
        "rpc-crashed",
        "16.15.162.661 E ggml-rpc.cpp:513: Remote RPC server crashed or returned malformed response",
        r"ggml-rpc\.cpp:\d+: Remote RPC server crashed or returned malformed response",
    ),
    Failure(
        "v-cache-needs-fa",
        "llama_init_from_model: quantized V cache was requested, but this requires Flash Attention",
        r"quantized V cache was requested, but this requires Flash Attention",
    ),
    Failure(
        "ollama-killed",
        'time=2026-11-21T12:41:07.118+01:00 level=ERROR source=server.go:1285 msg="llama runner terminated" '
        'error="llama runner process has terminated: signal: killed"',
        r"llama(?:-server| runner) process has terminated: signal: (?P<signal>\w+)",
    ),
)
"""The last one is planted at the end of the file; which of the others stands where, ``places`` says."""

DENSE_LINE = "       eval time =    9123.11 ms /   388 tokens (   23.51 ms per token,    42.53 tokens per second)"
_BLOCK_SIZES = (256 * KIB, 512 * KIB, MIB, 2 * MIB, 4 * MIB, 8 * MIB, 16 * MIB)


def places(size: int) -> list[tuple[int, bool]]:
    """For the first nine failures, in the order of the file: the byte offset to lie across, and whether a dense line
    stands right before it."""
    across = []
    for block in _BLOCK_SIZES:  # an odd multiple, so that no bigger block of the list shares the edge
        across.append((int(size * (0.06 + 0.13 * len(across)) / block) | 1) * block)
    spots = [(offset, False) for offset in across if offset < size * 0.97]
    extra = 9 - len(spots)
    spots += [(int(size * (0.111 + 0.77 * n / extra)) | 1, True) for n in range(extra)]
    return sorted(spots)


class Writer:
    """Scenes: a few lines of one service, as the collector in front of it writes them."""

    def __init__(self, seed: int = SEED) -> None:
        self.random = random.Random(seed)
        self.clock = 0.0
        self.task = 0
        self.scenes: list[tuple[float, Callable[[], list[str]]]] = []
        total = 0.0
        for weight, scene in (
            (24, self.llama_request_2025),
            (22, self.llama_request_2026),
            (10, self.llama_polling),
            (26, self.vllm_serving),
            (20, self.ollama_serving),
            (10, self.ollama_debug),
            (10, self.kernel),
            (3, self.prompt_dump),
            (0.12, self.llama_load),
            (0.08, self.vllm_load),
        ):
            total += weight
            self.scenes.append((total, scene))
        self.total = total

    def scene(self) -> list[str]:
        pick = self.random.random() * self.total
        for upto, scene in self.scenes:
            if pick < upto:
                return scene()
        raise AssertionError("unreachable")

    def n(self, below: int) -> int:
        return int(self.random.random() * below)

    def x(self, below: float) -> float:
        return self.random.random() * below

    def journal(self, unit: str) -> str:
        self.clock += self.x(3)
        t = int(self.clock)
        return f"Nov {21 + t // 86400 % 9} {t // 3600 % 24:02}:{t // 60 % 60:02}:{t % 60:02} gpu01 {unit}[{4100 + len(unit)}]: "

    def timings(self) -> tuple[str, str, str]:
        p, g = 1 + self.n(4000), 1 + self.n(900)
        per_p, per_g = 0.2 + self.x(2), 9 + self.x(40)
        a, b = p * per_p, g * per_g
        return (
            f"prompt eval time = {a:10.2f} ms / {p:5} tokens ({per_p:8.2f} ms per token, {1000 / per_p:8.2f} tokens per second)",
            f"       eval time = {b:10.2f} ms / {g:5} tokens ({per_g:8.2f} ms per token, {1000 / per_g:8.2f} tokens per second)",
            f"      total time = {a + b:10.2f} ms / {p + g:5} tokens",
        )

    def llama_request_2025(self) -> list[str]:
        at = self.journal("llama-server")
        slot, past = self.n(4), 20 + self.n(7000)
        self.task += 1 + self.n(400)
        head = f"{at}slot update_slots: id {slot:2} | task {self.task} | "
        lines = [
            f"{at}srv  params_from_: Chat format: Content-only",
            f"{at}slot launch_slot_: id {slot:2} | task {self.task} | processing task",
            f"{head}new prompt, n_ctx_slot = 8192, n_keep = 0, n_prompt_tokens = {past}",
            f"{head}kv cache rm [{self.n(past)}, end)",
        ]
        done = 0
        while done < past:
            step = min(2048, past - done)
            done += step
            lines.append(
                f"{head}prompt processing progress, n_past = {done}, n_tokens = {step}, progress = {done / past:.6f}"
            )
        a, b, c = self.timings()
        lines += [
            f"{head}prompt done, n_past = {past}, n_tokens = {step}",
            f"{at}slot      release: id {slot:2} | task {self.task} | stop processing: n_past = {past + self.n(900)}, truncated = 0",
            f"{at}slot print_timing: id {slot:2} | task {self.task} | ",
            at + a,
            at + b,
            at + c,
            f"{at}srv  log_server_r: request: POST /v1/chat/completions 10.0.{self.n(9)}.{self.n(250)} 200",
        ]
        if self.random.random() < 0.5:
            lines.append(f"{at}srv  update_slots: all slots are idle")
        return lines

    def llama_request_2026(self) -> list[str]:
        self.clock += self.x(2)
        t = self.clock
        at = f"llama-cpp-1  | {int(t) // 60}.{int(t) % 60:02}.{int(t * 1000) % 1000:03}.{self.n(1000):03} I "
        slot, past = self.n(4), 20 + self.n(7000)
        self.task += 1 + self.n(400)
        who = f"id {slot:2} | task {self.task} | "
        a, b, c = self.timings()
        return [
            f"{at}slot get_availabl: id {slot:2} | task -1 | selected slot by LCP similarity, sim_best = {self.x(1):.3f} "
            f"(> 0.100 thold), f_keep = {self.x(1):.3f}",
            f"{at}slot launch_slot_: id {slot:2} | task -1 | sampler chain: logits -> ?penalties -> ?dry -> ?top-n-sigma -> "
            "top-k -> ?typical -> top-p -> min-p -> ?xtc -> temp-ext -> dist ",
            f"{at}slot launch_slot_: {who}processing task, is_child = 0",
            f"{at}slot   operator(): {who}new prompt, n_ctx_slot = 8192, n_keep = 0, task.n_tokens = {past}",
            f"{at}slot   operator(): {who}cached n_tokens = {self.n(past)}, memory_seq_rm [{self.n(past)}, end)",
            f"{at}slot init_sampler: {who}init sampler, took {self.x(2):.2f} ms, tokens: text = {past}, total = {past}",
            f"{at}slot print_timing: {who}{a}",
            f"{at}slot print_timing: {who}{b}",
            f"{at}slot print_timing: {who}{c}",
            f"{at}slot print_timing: {who}   graphs reused = {self.n(9000):10}",
            f"{at}slot      release: {who}stop processing: n_tokens = {past + self.n(900)}, truncated = 0",
            f"{at}srv  update_slots: all slots are idle",
        ]

    def llama_polling(self) -> list[str]:
        return [
            f"{self.journal('llama-server')}srv  log_server_r: request: GET /{path} 10.0.0.{self.n(250)} 200"
            for path in ("health", "slots", "metrics", "health")
        ]

    def vllm_serving(self) -> list[str]:
        self.clock += self.x(4)
        t = int(self.clock)
        at = f"11-21 {t // 3600 % 24:02}:{t // 60 % 60:02}:{t % 60:02}"
        lines = [
            f"(APIServer pid=1) INFO:     10.0.{self.n(9)}.{self.n(250)}:{30000 + self.n(30000)} - "
            '"POST /v1/chat/completions HTTP/1.1" 200 OK'
            for _ in range(1 + self.n(6))
        ]
        if self.random.random() < 0.3:
            lines.append('(APIServer pid=1) INFO:     10.0.0.3:51234 - "GET /metrics HTTP/1.1" 200 OK')
        if self.random.random() < 0.3:
            lines.append(
                f"(APIServer pid=1) INFO {at} [chat_utils.py:538] Detected the chat template content format to be 'string'. "
                "You can set `--chat-template-content-format` to override this."
            )
        lines.append(
            f"(APIServer pid=1) INFO {at} [loggers.py:127] Engine 000: Avg prompt throughput: {self.x(9000):.1f} tokens/s, "
            f"Avg generation throughput: {self.x(2000):.1f} tokens/s, Running: {self.n(60)} reqs, Waiting: {self.n(9)} reqs, "
            f"GPU KV cache usage: {self.x(100):.1f}%, Prefix cache hit rate: {self.x(100):.1f}%"
        )
        return lines

    def ollama_serving(self) -> list[str]:
        at = self.journal("ollama")
        t = int(self.clock)
        stamp = f"2026/11/21 - {t // 3600 % 24:02}:{t // 60 % 60:02}:{t % 60:02}"
        return [
            f'{at}[GIN] {stamp} | 200 | {self.x(60):12.6f}s |      10.0.{self.n(9)}.{self.n(250)} | POST     "/api/{path}"'
            for path in ("chat", "generate", "chat", "embed")[: 1 + self.n(4)]
        ]

    def ollama_debug(self) -> list[str]:
        at = self.journal("ollama")
        t = int(self.clock)
        stamp = f"2026-11-21T{t // 3600 % 24:02}:{t // 60 % 60:02}:{t % 60:02}.{self.n(1000):03}+01:00"
        size = self.n(99) / 10
        return [
            f'{at}time={stamp} level=DEBUG source=sched.go:{100 + self.n(800)} msg="evaluating already loaded" '
            "model=/srv/llm/ollama/models/blobs/sha256-6a0746a1ec1aef3e7ec53868f220ff6e389f6f8ef87a01d77c96807de94ca2aa",
            f'{at}time={stamp} level=DEBUG source=cache.go:{100 + self.n(90)} msg="loading cache slot" id=0 cache={self.n(4000)} '
            f"prompt={self.n(4000)} used={self.n(4000)} remaining={self.n(400)}",
            f'{at}time={stamp} level=DEBUG source=sched.go:{100 + self.n(800)} msg="runner with non-zero duration has gone idle, '
            f'adding timer" runner.name=registry/library/llama3:8b runner.inference=cuda runner.size="{size} GiB" '
            f'runner.vram="{size} GiB" runner.parallel=2 runner.pid={self.n(60000)} runner.num_ctx=8192 duration=5m0s',
        ]

    def kernel(self) -> list[str]:
        at = self.journal("kernel").replace("[4106]: ", f": [{self.clock:.6f}] ")
        bridge = f"br-{self.n(1 << 32):08x}"
        veth = f"veth{self.n(1 << 28):07x}"
        choices = (
            [
                f"{at}{bridge}: port 1({veth}) entered blocking state",
                f"{at}{bridge}: port 1({veth}) entered forwarding state",
                f"{at}{veth}: entered promiscuous mode",
            ],
            [
                f'{at}audit: type=1400 audit({self.clock:.3f}:{self.n(9999)}): apparmor="ALLOWED" operation="open" '
                f'profile="snap" name="/proc/{self.n(9999)}/stat"',
                f"{at}perf: interrupt took too long ({2500 + self.n(900)} > 2500), lowering kernel.perf_event_max_sample_rate to 79000",
            ],
            [
                f"{at}[UFW BLOCK] IN=eno1 OUT= MAC=3c:ec:ef:00:11:22 SRC=203.0.113.{self.n(250)} DST=10.0.0.5 LEN=40 TTL=241 "
                f"ID={self.n(60000)} PROTO=TCP SPT={self.n(60000)} DPT={self.n(60000)} WINDOW=1024 RES=0x00 SYN URGP=0",
            ],
            [
                f"{at}nvidia-uvm: Loaded the UVM driver, major device number 510.",
                f"{at}loop{self.n(9)}: detected capacity change",
            ],
        )
        return choices[self.n(4)]

    def prompt_dump(self) -> list[str]:
        at = self.journal("llama-server")
        words = "Übersetze error memory failed der the GPU 图像 summary code naïve token".split()
        text = " ".join(words[self.n(12)] for _ in range(20 + self.n(200)))
        return [f"{at}srv          chat: prompt: {text}"]

    def llama_load(self) -> list[str]:
        at = self.journal("llama-server")
        layers = (32, 40, 48, 60, 80)[self.n(5)]
        lines = [
            "build: 6123 (79c1160b) with cc (Debian 12.2.0-14) 12.2.0 for x86_64-linux-gnu",
            "system info: n_threads = 16, n_threads_batch = 16, total_threads = 32",
            "ggml_cuda_init: found 2 CUDA devices:",
            "  Device 0: NVIDIA GeForce RTX 4090, compute capability 8.9, VMM: yes",
            "  Device 1: NVIDIA GeForce RTX 4090, compute capability 8.9, VMM: yes",
            "main: binding port with default address family",
            "main: loading model",
            "srv    load_model: loading model '/srv/llm/models/llama-q4_k_m.gguf'",
            "llama_model_load_from_file_impl: using device CUDA0 (NVIDIA GeForce RTX 4090) - 23653 MiB free",
            "llama_model_loader: loaded meta data with 33 key-value pairs and 579 tensors from "
            "/srv/llm/models/llama-q4_k_m.gguf (version GGUF V3 (latest))",
        ]
        for n, (key, kind, value) in enumerate(
            (
                ("general.architecture", "str", "llama"),
                ("llama.context_length", "u32", "131072"),
                ("llama.embedding_length", "u32", "8192"),
                ("llama.block_count", "u32", str(layers)),
                ("llama.attention.head_count", "u32", "64"),
                ("llama.attention.head_count_kv", "u32", "8"),
                ("tokenizer.ggml.model", "str", "gpt2"),
                ("general.file_type", "u32", "15"),
            )
        ):
            lines.append(f"llama_model_loader: - kv {n:3}: {key:>42} {kind:<16} = {value}")
        lines += [f"llama_model_loader: - type {kind:>4}: {self.n(300):4} tensors" for kind in ("f32", "q4_K", "q6_K")]
        lines += [f"print_info: {key:<21} = {value}" for key, value in (
            ("file format", "GGUF V3 (latest)"), ("file type", "Q4_K - Medium"), ("file size", "39.59 GiB (4.82 BPW) "),
            ("arch", "llama"), ("n_ctx_train", 131072), ("n_embd", 8192), ("n_layer", layers), ("n_head", 64),
            ("n_head_kv", 8), ("n_rot", 128), ("n_swa", 0), ("n_embd_head_k", 128), ("n_embd_head_v", 128),
            ("n_gqa", 8), ("n_ff", 28672), ("n_expert", 0), ("rope type", 0), ("model type", "70B"),
            ("model params", "70.55 B"), ("vocab type", "BPE"), ("n_vocab", 128256))]  # fmt: skip
        lines += [
            f"load: control token: {128000 + n} '<|reserved_special_token_{n}|>' is not marked as EOG"
            for n in range(60)
        ]
        lines += [f"load_tensors: layer {n:3} assigned to device CUDA{n % 2}, is_swa = 0" for n in range(layers)]
        lines += [
            f"load_tensors: offloading {layers} repeating layers to GPU",
            f"load_tensors: offloaded {layers + 1}/{layers + 1} layers to GPU",
            "load_tensors:   CPU_Mapped model buffer size =   563.62 MiB",
            "load_tensors:        CUDA0 model buffer size = 19979.44 MiB",
            "load_tensors:        CUDA1 model buffer size = 19999.44 MiB",
            "." * 98,
            "llama_context: n_ctx         = 32768",
            "llama_context: n_batch       = 2048",
            "llama_context: n_ubatch      = 512",
            "llama_context: flash_attn    = auto",
            "llama_context: n_ctx_per_seq (8192) < n_ctx_train (131072) -- the full capacity of the model will not be utilized",
            "llama_kv_cache:      CUDA0 KV buffer size =  5120.00 MiB",
            "llama_kv_cache:      CUDA1 KV buffer size =  5120.00 MiB",
            "llama_kv_cache: size = 10240.00 MiB ( 32768 cells,  80 layers,  4/4 seqs), K (f16): 5120.00 MiB, V (f16): 5120.00 MiB",
            "llama_context:      CUDA0 compute buffer size =   400.01 MiB",
            "llama_context:  CUDA_Host compute buffer size =    80.01 MiB",
            "llama_context: graph nodes  = 2487",
            "common_init_from_params: warming up the model with an empty run - please wait ... (--no-warmup to disable)",
            "srv          init: initializing slots, n_slots = 4",
            "main: model loaded",
            "main: server is listening on http://0.0.0.0:8080 - starting the main loop",
        ]
        return [at + line for line in lines]

    def vllm_load(self) -> list[str]:
        self.clock += 60
        t = int(self.clock)
        at = f"11-21 {t // 3600 % 24:02}:{t // 60 % 60:02}:{t % 60:02}"
        api, core = f"(APIServer pid=1) INFO {at} ", f"(EngineCore_DP0 pid=271) INFO {at} "
        lines = [
            api + "[api_server.py:1839] vLLM API server version 0.11.0",
            api + "[model.py:547] Resolved architecture: Qwen3ForCausalLM",
            api + "[model.py:1510] Using max model len 32768",
            core
            + "[core.py:77] Initializing a V1 LLM engine (v0.11.0) with config: model='Qwen/Qwen3-32B', dtype=torch.bfloat16",
            core + "[gpu_model_runner.py:2602] Starting to load model Qwen/Qwen3-32B...",
        ]
        lines += [
            f"Loading safetensors checkpoint shards: {100 * n // 17:3}% Completed | {n}/17 [00:0{n % 10}<00:10,  1.6it/s]"
            for n in range(18)
        ]
        lines += [
            core + "[default_loader.py:267] Loading weights took 11.31 seconds",
            core + "[gpu_model_runner.py:2653] Model loading took 61.0347 GiB and 12.514 seconds",
            core + "[gpu_worker.py:298] Available KV cache memory: 9.47 GiB",
            core + "[kv_cache_utils.py:1087] GPU KV cache size: 38,784 tokens",
            core + "[kv_cache_utils.py:1091] Maximum concurrency for 32,768 tokens per request: 1.18x",
            api + "[api_server.py:1912] Starting vLLM API server 0 on http://0.0.0.0:8000",
            "(APIServer pid=1) INFO:     Application startup complete.",
        ]
        return lines


@dataclass(slots=True)
class Planted:
    """Where a failure stands: 1-based line number, byte offset of the line's start, the offset that it lies across."""

    name: str
    line: int
    offset: int
    across: int | None
    after_dense: bool


def generate(path: Path, size: int, seed: int = SEED) -> list[Planted]:
    """Write about ``size`` bytes to ``path`` and the places of the failures beside it (``.json``)."""
    writer = Writer(seed)
    waiting = list(zip(places(size), FAILURES[:-1], strict=True))
    planted: list[Planted] = []
    lines = offset = 0
    with path.open("wb", buffering=4 * MIB) as out:

        def put(texts: list[str]) -> None:
            nonlocal lines, offset
            data = ("\n".join(texts) + "\n").encode()
            out.write(data)
            lines += len(texts)
            offset += len(data)

        while offset < size:
            if not waiting or waiting[0][0][0] - offset > 32 * KIB:
                put(writer.scene())
                continue
            (edge, after_dense), failure = waiting.pop(0)
            before = [DENSE_LINE] if after_dense else []
            lead = sum(len(text) + 1 for text in before)
            while edge - offset > 700 + lead:
                put(writer.scene()[:1])
            pad = edge - offset - lead - len(failure.text) // 2
            put(["srv          chat: prompt: ".ljust(pad - 1, "-"), *before])
            planted.append(Planted(failure.name, lines + 1, offset, None if after_dense else edge, after_dense))
            assert after_dense or offset < edge < offset + len(failure.text), "the failure lies across the edge"
            put([failure.text])
        last = FAILURES[-1]
        put([DENSE_LINE])
        planted.append(Planted(last.name, lines + 1, offset, None, True))
        out.write(last.text.encode())
        lines += 1
        offset += len(last.text)
    about = {"bytes": offset, "lines": lines, "seed": seed, "planted": [asdict(p) for p in planted]}
    path.with_suffix(".json").write_text(json.dumps(about, indent=1))
    return planted


def ensure(directory: Path, name: str) -> Path:
    """The log of that size (a key of ``SIZES``) in ``directory``; written now unless it is there."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"mixed-{name}.log"
    if not path.with_suffix(".json").exists():
        generate(path, SIZES[name])
    return path


def check() -> None:
    """Each failure is hit by its own pattern and by no other."""
    for failure in FAILURES:
        assert [f.name for f in FAILURES if re.search(f.pattern, failure.text)] == [failure.name], failure.name


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--size", choices=SIZES, default="100MB")
    parser.add_argument("--dir", type=Path, default=Path("bench-data"))
    arguments = parser.parse_args()
    check()
    print(ensure(arguments.dir, arguments.size))
