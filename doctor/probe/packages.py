"""Python packages of the inference world, by the folders that pip keeps about them: nothing is imported or run."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from doctor.probe.ask import is_there, read_file
from doctor.probe.engines import python_interpreters

_WANTED = re.compile(
    r"torch(?:vision|audio|ao|_npu)?|vllm(?:_\w+)?|flash_attn(?:_\w+)?|flashinfer(?:_\w+)?|xformers|triton|transformers"
    r"|tokenizers|sglang|sgl_kernel|llama_cpp_python|ktransformers|kt_kernel|lmdeploy|gpustack|numpy|ray|accelerate"
    r"|bitsandbytes|auto_gptq|gptqmodel|autoawq|compressed_tensors|outlines|xgrammar|safetensors|huggingface_hub"
    r"|nvidia_(?:cuda_runtime|cudnn|cublas|nccl)_cu\d+|nvidia_ml_py|pynvml|deepspeed|ipex_llm|bigdl_llm|pydantic"
    r"|intel_extension_for_pytorch|mlx(?:_lm)?|exllamav[23]|optimum|peft|gguf|numba|setuptools|tilelang|deep_gemm",
    re.IGNORECASE,
)
_INFO = re.compile(r"(?P<name>[A-Za-z0-9_.]+?)-(?P<version>\d[\w.+!]*)\.(?:dist|egg)-info")


def packages(_seconds: float) -> str:
    """``pip freeze`` of every interpreter that an engine may run in, each below a line that names its folder.

    Raises:
        FileNotFoundError: none of them has such a package.
    """
    lines: list[str] = []
    seen: set[Path] = set()
    for interpreter in python_interpreters():
        for folder in site_folders(interpreter):
            if folder in seen:
                continue
            seen.add(folder)
            rows = sorted(_rows(folder))
            if rows:
                lines += [f"$ pip freeze --path {folder}", *rows]
    if not lines:
        raise FileNotFoundError(2, "no package of an engine in the Python installations on PATH")
    return "\n".join(lines) + "\n"


def site_folders(interpreter: Path) -> list[Path]:
    """Of its virtual environment, else of the installation that it is a link to."""
    home = interpreter.parent.parent
    if not is_there(home / "pyvenv.cfg"):
        with suppress(OSError):
            home = interpreter.resolve().parent.parent
    found: list[Path] = []
    for pattern in ("lib/python3*/site-packages", "lib/python3*/dist-packages", "lib64/python3*/site-packages"):
        with suppress(OSError):
            found += [folder.resolve() for folder in sorted(home.glob(pattern))]
    return list(dict.fromkeys(found))


def _rows(folder: Path) -> list[str]:
    rows = []
    with suppress(OSError):
        for path in folder.iterdir():
            named = _INFO.fullmatch(path.name)
            if named and _WANTED.fullmatch(named["name"].replace("-", "_").replace(".", "_")):
                rows.append(f"{named['name'].replace('_', '-').lower()}=={named['version']}{_cuda_of(folder, named)}")
    return rows


def _cuda_of(folder: Path, named: re.Match[str]) -> str:
    """torch's CUDA or ROCm release where its version does not tell it, in pip's words: a local version."""
    if named["name"] != "torch" or "+" in named["version"]:
        return ""
    with suppress(OSError):
        text = read_file(folder / "torch" / "version.py", 4096)
        for name, tag in (("cuda", "cu"), ("hip", "rocm")):
            if found := re.search(rf"^{name}[^=\n]*= ['\"](\d+)\.(\d+)", text, re.MULTILINE):
                return f"+{tag}{found[1]}{'.' if tag == 'rocm' else ''}{found[2]}"
        if re.search(r"^cuda[^=\n]*= None", text, re.MULTILINE):
            return "+cpu"
    return ""
