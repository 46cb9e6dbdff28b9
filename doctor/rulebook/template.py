"""Cuts a prose template at its tags into the parts that ``prose`` renders.

Apart from the rendering, because it is needed only when a rule file has changed.
"""

from __future__ import annotations

import re
from typing import Any

from doctor.rulebook.expressions import ExpressionError, Node
from doctor.rulebook.prose import MAX_TEMPLATE, Part
from doctor.rulebook.reader import read

MAX_NESTING = 10

_OPENING = re.compile(r"\{\{|\{%")
_INSIDE = r"""(?P<ltrim>-?)(?P<inside>(?:'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|[^'"])*?)(?P<rtrim>-?)"""
_VALUE = re.compile(r"\{\{" + _INSIDE + r"\}\}", re.DOTALL)
_BLOCK = re.compile(r"\{%" + _INSIDE + r"%\}", re.DOTALL)


def cut(template: str) -> list[Part]:
    """A template's literal texts, values and choices (see ``prose.compile``).

    Raises:
        ExpressionError: a tag or an expression in it is wrong, or the template is too long.
    """
    if len(template) > MAX_TEMPLATE:
        raise ExpressionError(f"a template of more than {MAX_TEMPLATE} characters", template)
    return _Cutter(template).parts()


class _Cutter:
    """Cuts a template at its tags. ``open`` holds the `if` blocks around the place, innermost last."""

    def __init__(self, template: str) -> None:
        self.template = template
        self.top: list[Part] = []
        self.here = self.top
        self.open: list[tuple[list[Any], list[Part]]] = []
        self.in_else: list[bool] = []

    def error(self, message: str, at: int) -> ExpressionError:
        return ExpressionError(message, self.template, at + 1)

    def parts(self) -> list[Part]:
        place, trim = 0, False
        while opening := _OPENING.search(self.template, place):
            tag = (_VALUE if opening[0] == "{{" else _BLOCK).match(self.template, opening.start())
            if tag is None:
                raise self.error(f"{opening[0]!r} is never closed", opening.start())
            self.text(self.template[place : opening.start()], trim, bool(tag["ltrim"]))
            if opening[0] == "{{":
                node = self.expression(tag["inside"], tag.start("inside"))
                if node[0] in {"and", "or"}:
                    raise self.error(f"`{node[0]}` gives true or false: write `x | default(y)`", tag.start("inside"))
                self.here.append(["value", node])
            else:
                self.block(tag)
            place, trim = tag.end(), bool(tag["rtrim"])
        self.text(self.template[place:], trim, False)
        if self.open:
            raise self.error("an `if` without `endif`", len(self.template))
        return self.top

    def text(self, text: str, trim_left: bool, trim_right: bool) -> None:
        text = text.lstrip() if trim_left else text
        text = text.rstrip() if trim_right else text
        if text:
            self.here.append(text)

    def expression(self, text: str, at: int) -> Node:
        try:
            return read(text)
        except ExpressionError as error:
            raise self.error(error.message, at + max(error.column - 1, 0)) from None

    def block(self, tag: re.Match[str]) -> None:
        at = tag.start("inside")
        word, _, rest = tag["inside"].strip().partition(" ")
        if word == "if":
            if len(self.open) >= MAX_NESTING:
                raise self.error(f"more than {MAX_NESTING} `if` inside each other", at)
            choose: list[Any] = ["choose", [[self.expression(rest, at), []]], []]
            self.here.append(choose)
            self.open.append((choose, self.here))
            self.in_else.append(False)
            self.here = choose[1][0][1]
        elif word in {"elif", "else", "endif"} and self.open:
            choose, around = self.open[-1]
            if word == "endif":
                self.open.pop()
                self.in_else.pop()
                self.here = around
            elif self.in_else[-1]:
                raise self.error(f"`{word}` after `else`", at)
            elif word == "elif":
                choose[1].append([self.expression(rest, at), []])
                self.here = choose[1][-1][1]
            else:
                self.in_else[-1] = True
                self.here = choose[2]
            if word != "elif" and rest.strip():
                raise self.error(f"nothing may follow `{word}`", at)
        else:
            raise self.error(f"{word!r} is not possible here: there are if, elif, else and endif", at)
