"""The one error that reaches a user: what went wrong, with what, and what to do about it."""

from __future__ import annotations


class UsageProblem(Exception):  # noqa: N818 - it is a message for a person, named for what it is
    """Wrong usage, or an input that can't be used at all: the command ends with status 2.

    Attributes:
        message: what went wrong, in one sentence.
        subject: the file (with line where known) or option it is about, if any.
        hint: what to do about it, if anything can be said.
    """

    def __init__(self, message: str, *, subject: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.subject = subject
        self.hint = hint

    def __str__(self) -> str:
        head = f"{self.subject}: {self.message}" if self.subject else self.message
        return f"{head}\n  hint: {self.hint}" if self.hint else head
