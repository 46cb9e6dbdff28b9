from __future__ import annotations

from tests.facts.config.support import at, one, read_files

MODELFILE = '''\
# my model
FROM ./qwen2.5-7b.gguf
PARAMETER num_ctx 32768
PARAMETER temperature 0.2
parameter num_gpu 20
SYSTEM """
PARAMETER num_ctx 1
You are kind.
"""
TEMPLATE "{{ .Prompt }}"
PARAMETER use_mmap false
nonsense
'''


def test_what_a_modelfile_gives() -> None:
    declared = read_files({"Modelfile": MODELFILE})
    facts = {fact.name: (fact.value, at(fact)) for fact in one(declared).facts}
    assert facts == {
        "setting.model_path": ("./qwen2.5-7b.gguf", "Modelfile:2 (model)"),
        "setting.slot_context": (32768, "Modelfile:3 (model)"),
        "setting.gpu_layers": (20, "Modelfile:5 (model)"),
        "setting.mmap": (False, "Modelfile:11 (model)"),
    }
    assert [(t.line, t.message) for t in declared.troubles] == [(12, "not an instruction of a Modelfile")]


def test_a_text_that_is_not_closed_ends_the_file() -> None:
    assert [f.name for f in one(read_files({"Modelfile": 'FROM x\nSYSTEM """\nPARAMETER num_ctx 1\n'})).facts] == [
        "setting.model_path"
    ]
