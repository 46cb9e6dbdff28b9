"""``llmdoctor completion``: what a shell needs to complete commands, options and their words."""

from __future__ import annotations

import click


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> int:
    """Print the completion script of a shell.

    \b
    llmdoctor completion bash > ~/.local/share/bash-completion/completions/llmdoctor
    llmdoctor completion zsh > "${fpath[1]}/_llmdoctor"
    llmdoctor completion fish > ~/.config/fish/completions/llmdoctor.fish
    """
    from click.shell_completion import get_completion_class

    from doctor.cli import cli

    made = get_completion_class(shell)
    assert made is not None, shell  # noqa: S101 - click has all three
    click.echo(made(cli, {}, "llmdoctor", "_LLMDOCTOR_COMPLETE").source())
    return 0
