"""The door: what the user named as a model -> a ``Model``."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from doctor.errors import UsageProblem
from doctor.model.architecture import facts_of
from doctor.model.document import Model, Tensor
from doctor.model.gguf import Header, is_gguf, read_header

_SPLIT = re.compile(r"-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf$", re.IGNORECASE)
_OLLAMA_LAYER = "application/vnd.ollama.image.model"
MAX_SPLITS = 1000
_MOST_SMALL = 1024 * 1024
_HINT = "a GGUF file, a Hugging Face folder or its config.json, an ollama manifest, or a YAML file of numbers"


def read_model(path: str | Path) -> Model:
    """Reads a model's headers and configuration, never its weights.

    Args:
        path: a GGUF file (any of a split one), an ollama blob or manifest, a Hugging Face folder or ``config.json``,
            or a YAML file of numbers (``docs/plan.md`` tells its keys).

    Raises:
        UsageProblem: it is none of these, or can't be read.
    """
    place = Path(path)
    try:
        if place.is_dir():
            return _folder(place)
        if not place.exists():
            raise UsageProblem("no such model file or folder", subject=str(path), hint=f"name {_HINT}")
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise UsageProblem(f"can't be read: {error}", subject=str(path)) from None
    if is_gguf(place):
        return _gguf(place)
    if place.suffix.lower() == ".gguf":
        read_header(place)  # says what it is instead
    if place.suffix.lower() in {".yaml", ".yml"}:
        from doctor.model.numbers import read_numbers

        return read_numbers(place)
    if place.suffix == ".safetensors":
        return _folder(place.parent)
    return _json(place)


def single_model(paths: Sequence[str]) -> str | None:
    """The GGUF file to read if these files are one model (its splits count as one); vision projectors are none."""
    names = [path for path in paths if path.lower().endswith(".gguf") and "mmproj" not in Path(path).name.lower()]
    models = {_SPLIT.sub("", path): path for path in reversed(names)}
    found = list(models.values())
    return found[0] if len(found) == 1 and Path(found[0]).is_file() else None


def _folder(folder: Path) -> Model:
    """A Hugging Face folder, else the one model whose GGUF files lie in it."""
    if (folder / "config.json").is_file():
        from doctor.model.huggingface import read_huggingface

        return read_huggingface(folder / "config.json")
    files = sorted(file for file in folder.glob("*.gguf") if "mmproj" not in file.name.lower())
    first = [file for file in files if not (found := _SPLIT.search(file.name)) or int(found["number"]) == 1]
    if len(first) == 1:
        return _gguf(first[0])
    what = "several models" if first else "neither config.json nor a GGUF file"
    raise UsageProblem(f"the folder holds {what}", subject=str(folder), hint=f"name {_HINT}")


def _json(path: Path) -> Model:
    """An ollama manifest, or a ``config.json``."""
    data = load_json(path)
    layers = data.get("layers")
    if isinstance(layers, list):
        for layer in layers:
            digest = layer.get("digest") if isinstance(layer, dict) else None
            if isinstance(digest, str) and layer.get("mediaType") == _OLLAMA_LAYER:
                return _gguf(_blob(path, digest))
        raise UsageProblem("the manifest names no model", subject=str(path), hint=f"name {_HINT}")
    from doctor.model.huggingface import read_huggingface

    return read_huggingface(path)


def _blob(manifest: Path, digest: str) -> Path:
    """Where ollama keeps what a manifest names: ``blobs`` beside ``manifests``."""
    name = digest.replace(":", "-", 1)
    if re.fullmatch(r"sha256-[0-9a-f]{64}", name):
        for folder in list(manifest.resolve().parents)[:8]:
            if (blob := folder / "blobs" / name).is_file():
                return blob
    raise UsageProblem(
        f"the blob {digest[:80]!r} that the manifest names is not there", subject=str(manifest), hint="pull it again"
    )


def load_json(path: Path) -> dict[str, Any]:
    """A small JSON file that holds an object.

    Raises:
        UsageProblem: it is not that.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_SMALL + 1)
    except OSError as error:
        raise UsageProblem(f"can't be read: {error.strerror or error}", subject=str(path)) from None
    if len(content) > _MOST_SMALL or b"\0" in content[:4096]:
        raise UsageProblem("not a model that can be read", subject=str(path), hint=f"name {_HINT}")
    try:
        data = json.loads(content)
    except (ValueError, RecursionError):
        raise UsageProblem("neither a model nor JSON", subject=str(path), hint=f"name {_HINT}") from None
    if not isinstance(data, dict):
        raise UsageProblem("JSON, but not an object", subject=str(path), hint=f"name {_HINT}")
    return data


def _gguf(path: Path) -> Model:
    """One file, or all files of a split model; what is missing of it is a problem, not the end."""
    header = read_header(path)
    found = _SPLIT.search(path.name)
    told = header.metadata.get("split.count")
    if not found or not isinstance(told, int) or told < 2:
        return _model(path, [header], [])
    count = min(int(found["count"]), MAX_SPLITS)
    problems, headers, missing = [], [], []
    for number in range(1, count + 1):
        part = path.with_name(f"{path.name[: found.start()]}-{number:05d}-of-{found['count']}{path.suffix}")
        if part == path:
            headers.append(header)
        elif part.is_file():
            headers.append(read_header(part))
        else:
            missing.append(part.name)
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        problems.append(f"of the {count} files of this model {missing[0]}{more} is missing: figures are too low")
    return _model(path, headers, problems)


def _model(path: Path, headers: list[Header], problems: list[str]) -> Model:
    """Metadata are those of the first file; tensors of all."""
    metadata = {**headers[-1].metadata, **headers[0].metadata}
    tensors: list[Tensor] = [tensor for header in headers for tensor in header.tensors]
    facts = facts_of(metadata, tensors)
    facts["model.gguf_version"] = headers[0].version
    problems += [
        f"{header.path} is cut short: {header.lacks} of {header.data_bytes} bytes are missing"
        for header in headers
        if header.lacks
    ]
    if not tensors:
        problems.append("no file lists a tensor: a vocabulary only, or the wrong file of a split model")
    files = tuple((header.path, header.file_bytes) for header in headers)
    return Model(str(path), "gguf", facts, tuple(tensors), files, problems)
