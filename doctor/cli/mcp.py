"""``llmdoctor mcp``: the same answers for coding agents."""

from __future__ import annotations

from pathlib import Path

import click

from doctor.cli.options import Policy, policy_options
from doctor.errors import UsageProblem


@click.command("mcp")
@click.option(
    "--allow",
    "allowed",
    multiple=True,
    type=click.Path(exists=True, file_okay=False),
    metavar="FOLDER",
    help="Read only below it; the working directory by default.",
)
@policy_options
def command(allowed: tuple[str, ...], policy: Policy) -> int:
    """Answer coding agents over standard input and output: the Model Context Protocol.

    Its tools are analyze, check, plan and explain. They only read, below the folders allowed; secrets are replaced, and
    answers are cut to a size that an agent can use. It needs the extra: pip install "llmdoctor-inference[mcp]".

    \b
    claude mcp add llmdoctor -- llmdoctor mcp
    {"mcpServers": {"llmdoctor": {"command": "llmdoctor", "args": ["mcp", "--allow", "/srv/llm"]}}}
    """
    try:
        from doctor.mcp.server import serve
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "mcp":
            raise
        hint = 'pip install "llmdoctor-inference[mcp]"'
        raise UsageProblem("the package `mcp` is not installed", subject="llmdoctor mcp", hint=hint) from None
    serve([Path(folder) for folder in allowed] or [Path.cwd()], policy)
    return 0
