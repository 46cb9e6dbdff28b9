"""The command line: one thin module a command, imported when it is called."""

from __future__ import annotations

import time

BEGAN = time.monotonic()  # before the imports, which take their part of the time that a command promises to keep

# ruff: noqa: E402
import gc
import importlib
import os
import sys
from typing import Any

import click

from doctor import __version__
from doctor.errors import UsageProblem

_COMMANDS = {
    "analyze": ("doctor.cli.analyze", "Name the root cause of a failure from logs, settings and saved output."),
    "run": ("doctor.cli.run", "Start an engine, pass its output through, and explain its end."),
    "watch": ("doctor.cli.watch", "Follow what runs already, and tell each new finding once."),
    "probe": ("doctor.cli.probe", "Show what this machine has that local inference depends on."),
    "bundle": ("doctor.cli.bundle", "Pack logs, configuration, probe and diagnosis, without secrets."),
    "check": ("doctor.cli.check", "Say what will go wrong with a deployment, before it runs."),
    "confirm": ("doctor.cli.confirm", "Run the model before and after a fix, and say whether it helped."),
    "report": ("doctor.cli.report", "Write a saved diagnosis as a web page, or for CI."),
    "plan": ("doctor.cli.plan", "Say what a model takes on a machine, and which settings fit."),
    "explain": ("doctor.cli.explain", "Explain a rule, an exit code or a signal."),
    "rules": ("doctor.cli.rules", "List, test, lint and extend the rule book."),
    "mcp": ("doctor.cli.mcp", "Answer coding agents: the Model Context Protocol."),
    "completion": ("doctor.cli.completion", "Print the completion script of a shell."),
    "man": ("doctor.cli.man", "Print the manual page."),
}


class _LazyGroup(click.Group):
    """Knows its commands by name; a command's module is imported when it runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = importlib.import_module(_COMMANDS[cmd_name][0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_module, text) in _COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], _COMMANDS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else " `llmdoctor --help` lists the commands."
            raise click.UsageError(f"No such command {args[0]!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)


_EPILOG = """\b
Examples:
  llmdoctor analyze /var/log/llama/              a folder of logs, env files, saved output
  journalctl -u ollama | llmdoctor analyze -     from a pipe
  llmdoctor analyze run.log --command "llama-server -m m.gguf -c 65536 -ngl 99"
  llmdoctor analyze run.log --exit 137 --format json
  llmdoctor analyze logs/ -o report.html         one page that explains it to others
  llmdoctor explain 137
"""


@click.group(
    cls=_LazyGroup,
    invoke_without_command=True,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, "-V", "--version", prog_name="llmdoctor")
@click.pass_context
def cli(context: click.Context) -> int | None:
    """Why did my local LLM server break, and what exactly do I change?

    llmdoctor reads logs, environment files and saved command output, names the root cause with the lines that prove
    it, shows the arithmetic, and gives the exact change. Offline; nothing is sent anywhere. Without a command it looks
    at this machine.
    """
    if context.invoked_subcommand is not None:
        return None
    from doctor.cli.probe import command as probe

    found: int = context.invoke(probe)
    return found


def main(argv: list[str] | None = None) -> None:
    """The entry point: wrong usage ends with status 2 and one message, never a traceback."""
    gc.set_threshold(50_000, 20, 20)  # the rule book alone makes as many objects, and none of it is garbage
    try:
        result: Any = cli.main(argv, prog_name="llmdoctor", standalone_mode=False)
        sys.exit(result if isinstance(result, int) else 0)
    except UsageProblem as problem:
        click.echo(f"llmdoctor: {problem}", err=True)
        sys.exit(2)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("llmdoctor: interrupted", err=True)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)
    except Exception as error:
        if os.environ.get("LLMDOCTOR_DEBUG"):
            raise
        click.echo(f"llmdoctor: a defect of llmdoctor: {type(error).__name__}: {error}", err=True)
        click.echo("  hint: please report it; LLMDOCTOR_DEBUG=1 shows where it happened", err=True)
        sys.exit(2)
