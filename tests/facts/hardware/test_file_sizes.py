from __future__ import annotations

from doctor.facts.hardware import read_hardware

from .support import GIB, KIB, reading, records


def sizes(name: str) -> dict[str, int | None]:
    return {record["path"]: record.get("bytes") for record in records(f"files/{name}", "file")}


def test_ls_takes_model_files_and_their_folder() -> None:
    folder = "/srv/llm/models/DeepSeek-V3-Q8_0"
    assert sizes("ls-l.txt") == {
        f"{folder}/DeepSeek-V3-Q8_0-00001-of-00002.gguf": 47485517056,
        f"{folder}/DeepSeek-V3-Q8_0-00002-of-00002.gguf": 47247461024,
    }


def test_ls_with_units_other_dates_and_the_folder_of_the_command() -> None:
    assert sizes("ls-lh.txt") == {
        "/srv/llm/models/mmproj-F16.gguf": round(2.1 * GIB),
        "/srv/llm/models/Qwen2.5-72B-Instruct-Q4_K_M.gguf": 38 * GIB,
        "/srv/llm/models/broken.gguf": 135,
        "pytorch_model-00001-of-00002.bin": 9976576392,
    }


def test_du() -> None:
    assert sizes("du-h.txt") == {
        "/srv/llm/models/llama-70b.gguf": 40 * GIB,
        "/srv/llm/models/DeepSeek-V3": 713 * GIB,
        "./phi-4-Q4_K_M.gguf": round(8.5 * GIB),
    }
    assert sizes("du-b.txt") == {
        "llama-70b.gguf": 42520393568,
        "lfs.gguf": 135,
        "models/llama-70b.gguf": 41523832 * KIB,
        "models": 41523836 * KIB,
    }


def test_bare_numbers_of_du_are_taken_only_where_they_are_clear() -> None:
    assert sizes("du-bytes-by-size.txt") == {"llama-70b.gguf": 42520393568, "small.gguf": 1012998144}
    assert sizes("du-unknown-unit.txt") == {"llama-70b.gguf": 41523824 * KIB, "unclear.gguf": None}
    assert reading("files/du-unknown-unit.txt").problems == [
        "file sizes output at line 2: a size without a unit may be bytes (du -b) or KiB (du): not used"
    ]


def test_a_debugger_s_source_lines_are_no_sizes() -> None:
    text = "30\t../sysdeps/unix/sysv/linux/wait4.c: No such file or directory.\n56\tin ../sysdeps/nptl/futex.h\n"
    assert read_hardware(text, "log").blocks == []
