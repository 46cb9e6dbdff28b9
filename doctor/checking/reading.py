"""What the user named as deployments -> what they declare, with every file's text kept for the differences."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

from doctor.errors import UsageProblem
from doctor.facts.config.deployments import Declared, read_deployments
from doctor.facts.config.env import EnvFile, read_env
from doctor.facts.config.places import Text
from doctor.facts.config.sniff import classify, form_of
from doctor.vocabulary.document import Problem, SourceEntry

if TYPE_CHECKING:
    from doctor.facts.config.argv import Command
    from doctor.read.source import Source

MAX_BYTES = 1024 * 1024


@dataclass(slots=True)
class Deployments:
    """What files and a command line declare.

    Attributes:
        command: what the user typed.
        loose: environment files that no deployment names: they are of all.
        model: the one model that lies among the files.
        texts: all files that were read.
    """

    declared: Declared = field(default_factory=Declared)
    command: Command | None = None
    loose: list[EnvFile] = field(default_factory=list)
    model: str | None = None
    texts: list[Text] = field(default_factory=list)
    entries: list[SourceEntry] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def trouble(self, subject: str, message: str, hint: str = "") -> None:
        self.problems.append(Problem(stage="read", subject=subject, message=message, hint=hint))


def read(
    paths: Sequence[str], command: str | None, programs: Collection[str], stdin: BinaryIO | None = None
) -> Deployments:
    """Reads all files together, as they refer to each other.

    Raises:
        UsageProblem: nothing was named or could be opened, or the command line can't be read.
    """
    from doctor.model.read import single_model
    from doctor.read.sources import collect

    found = Deployments()
    if command is not None:
        found.command = _command(command)
    elif not paths:
        hint = 'for example a docker-compose.yml, or --command "llama-server -m model.gguf"'
        raise UsageProblem("nothing to check: name deployment files, or give --command", hint=hint)
    if not paths:
        return found
    collection = collect(paths, stdin)
    for subject, message, hint in collection.problems:
        found.trouble(subject, message, hint)
    found.model = single_model([path for path, _size in collection.model_files])
    found.texts = [text for source in collection.sources if (text := _text(source, found)) is not None]
    found.declared = read_deployments(found.texts, programs)
    for file in found.declared.loose:
        env = read_env(file.text, file.path)
        found.loose.append(env)
        for message in env.problems:
            found.trouble(file.path, message)
    for trouble in found.declared.troubles:
        found.trouble(trouble.path, f"line {trouble.line}: {trouble.message}", trouble.hint)
    return found


def _command(text: str) -> Command:
    from doctor.facts.config.argv import parse_command

    command = parse_command(text)
    if command is None:
        hint = "check the quotes; give it as one argument"
        raise UsageProblem("not a command line that can be read", subject="--command", hint=hint)
    return command


def _text(source: Source, found: Deployments) -> Text | None:
    """A file's text; None for what declares nothing or is too large to."""
    try:
        with source.open(bare=True) as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        found.trouble(source.path, f"could not be read: {error.strerror or error}")
        return None
    if len(content) > MAX_BYTES:
        found.trouble(source.path, "too large for a deployment: passed over", "logs go to `llmdoctor analyze`")
        return None
    decoded = content.decode("utf-8", errors="replace")
    text = decoded.replace("\r\n", "\n")
    kind = classify(source.path, content[: 64 * 1024])
    if kind not in {"env", "config"} or not form_of(source.path, text):
        return None
    lines = text.count("\n") + (not text.endswith("\n"))
    found.entries.append(SourceEntry(path=source.path, kind=kind, node=source.node, bytes=len(content), lines=lines))
    return Text(source.path, text, "\n" if text == decoded else "\r\n")
