"""Modelfiles of ollama: the model and the parameters that it is loaded with (ollama docs/modelfile.md)."""

from __future__ import annotations

import re

from doctor.facts.config.places import Text
from doctor.facts.config.values import option_value
from doctor.facts.config.workload import Trouble, Workload
from doctor.vocabulary.facts import Fact, Layer, Origin

_LINE = re.compile(r"[ \t]*(?P<word>[A-Za-z]+)[ \t]+(?:(?P<key>\w+)[ \t]+)?(?P<value>.*?)[ \t]*")
_OPEN = re.compile(r'"""')
_PARAMETERS = {
    "num_ctx": ("setting.slot_context", "int"),
    "num_gpu": ("setting.gpu_layers", "int"),
    "num_batch": ("setting.batch", "int"),
    "num_thread": ("setting.threads", "int"),
    "use_mmap": ("setting.mmap", "bool"),
    "use_mlock": ("setting.mlock", "bool"),
    "numa": ("setting.numa", "str"),
    "main_gpu": ("setting.main_gpu", "int"),
}
_WORDS = {"from", "parameter", "template", "system", "adapter", "license", "message", "requires", "renderer", "parser"}


def read_modelfile(file: Text) -> tuple[list[Workload], list[Trouble]]:
    """The settings that a Modelfile gives; of the layer ``model``, as they win over the server's variables."""
    workload = Workload("modelfile", "Modelfile", file.path, 1, names=("ollama",))
    troubles: list[Trouble] = []
    at = 0
    while at < len(file.text):
        end = file.text.find("\n", at)
        end = len(file.text) if end < 0 else end
        line, begin = file.text[at:end], at
        at = end + 1
        found = _LINE.fullmatch(line)
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        word = found["word"].lower() if found else ""
        if word not in _WORDS:
            hint = 'an instruction such as FROM or PARAMETER stands at the start of a line; long texts between """'
            troubles.append(Trouble(file.path, file.line(begin), "not an instruction of a Modelfile", hint))
            continue
        if len(_OPEN.findall(line)) % 2:  # a text over several lines
            closing = file.text.find('"""', end)
            at = len(file.text) if closing < 0 else (file.text.find("\n", closing) + 1 or len(file.text))
        if found is None:
            continue
        place = file.place(begin + found.start("value"), begin + found.end("value"))
        origin = Origin(file.path, place.line, Layer.MODEL)
        if word == "from":
            workload.facts.append(Fact("setting.model_path", line.split(None, 1)[1].strip(), origin))
        elif word == "parameter" and found["key"] in _PARAMETERS:
            setting, kind = _PARAMETERS[found["key"]]
            workload.facts.append(Fact(setting, option_value(found["value"].strip('"'), kind), origin))
            workload.places[found["key"]] = place
    return [workload] if workload.facts else [], troubles
