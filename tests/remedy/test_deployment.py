from __future__ import annotations

from doctor.facts.options import KnownOption
from doctor.remedy.deployment import DeclaredFile, Deployment

OPTIONS = [
    KnownOption("setting.context", ["-c", "--ctx-size"], type="int"),
    KnownOption("setting.mmap", ["--mmap"], type="switch_on"),
    KnownOption("setting.mmap", ["--no-mmap"], type="switch_off"),
]


def deployment(*words: str, files: tuple[DeclaredFile, ...] = ()) -> Deployment:
    return Deployment(words, files, OPTIONS)


def test_a_flag_replaces_its_other_spelling_in_place() -> None:
    before = deployment("llama-server", "-c", "65536", "-m", "m.gguf")
    after = before.apply([{"kind": "set_flag", "flag": "--ctx-size", "value": "8192"}])
    assert after.words == ("llama-server", "--ctx-size", "8192", "-m", "m.gguf")
    assert before.diff(after) == "- llama-server -c 65536 -m m.gguf\n+ llama-server --ctx-size 8192 -m m.gguf"


def test_a_flag_with_equals_sign_is_one_word() -> None:
    before = deployment("llama-server", "--ctx-size=65536", "-v")
    after = before.apply([{"kind": "set_flag", "flag": "-c", "value": "512"}])
    assert after.words == ("llama-server", "-c", "512", "-v")


def test_removing_a_switch_leaves_the_next_word() -> None:
    after = deployment("llama-server", "--no-mmap", "m.gguf").apply([{"kind": "remove_flag", "flag": "--no-mmap"}])
    assert after.words == ("llama-server", "m.gguf")


def test_the_opposite_switch_is_another_flag() -> None:
    after = deployment("x", "--mmap").apply([{"kind": "remove_flag", "flag": "--no-mmap"}])
    assert after.words == ("x", "--mmap")


def test_negative_numbers_are_values() -> None:
    after = deployment("x", "-c", "-1", "-v").apply([{"kind": "remove_flag", "flag": "-c"}])
    assert after.words == ("x", "-v")


def test_variables_in_files_keep_comments_and_spelling() -> None:
    file = DeclaredFile("/etc/default/gpustack", "# keep\nexport GGML_METAL_NO_RESIDENCY=1\nA=b\n")
    before = deployment(files=(file,))
    after = before.apply([{"kind": "unset_env", "variable": "GGML_METAL_NO_RESIDENCY"}])
    assert after.files[0].text == "# keep\nA=b\n"
    diff = before.diff(after)
    assert diff is not None
    assert "-export GGML_METAL_NO_RESIDENCY=1" in diff.splitlines()
    changed = before.apply([{"kind": "set_env", "variable": "A", "value": "c"}])
    assert changed.files[0].text == "# keep\nexport GGML_METAL_NO_RESIDENCY=1\nA=c\n"


def test_systemd_environment_lines() -> None:
    file = DeclaredFile("ollama.service", '[Service]\nEnvironment="OLLAMA_NUM_PARALLEL=4"\n')
    after = deployment(files=(file,)).apply([{"kind": "set_env", "variable": "OLLAMA_NUM_PARALLEL", "value": "1"}])
    assert after.files[0].text == '[Service]\nEnvironment="OLLAMA_NUM_PARALLEL=1"\n'


def test_without_a_command_line_there_is_no_diff() -> None:
    before = deployment()
    assert before.diff(before.apply([{"kind": "set_flag", "flag": "-c", "value": "1"}])) is None
