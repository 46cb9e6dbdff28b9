"""``llmdoctor plan``: does it fit, and if not, what does?"""

from __future__ import annotations

import sys

import click

_EXIT = {"fits": 0, "does_not_fit": 1, "unknown": 3}


@click.command("plan")
@click.argument("model", required=False)
@click.option("--command", "engine_command", metavar="TEXT", help="The engine's command line, as it would be typed.")
@click.option("--target", metavar="HOST", help="A probe, a YAML file, or an example's name; this machine by default.")
@click.option("--list-targets", is_flag=True, help="Names of the example machines.")
@click.option("--format", "format_", type=click.Choice(["text", "json"]), default="text", show_default=True)
def command(model: str | None, engine_command: str | None, target: str | None, list_targets: bool, format_: str) -> int:
    """Say what a model takes on a machine, whether it fits, and which settings would.

    MODEL is a GGUF file (any part of a split one), a Hugging Face folder or its config.json, an ollama manifest or
    blob, or a YAML file of numbers. Only headers are read. Without MODEL the one that --command names is taken.

    The exit status is 0 if it fits, 1 if not, 3 if too little is known.
    """
    from doctor.planning.target import examples

    if list_targets:
        click.echo("\n".join(examples()))
        return 0
    from doctor.planning.request import plan_request

    document = plan_request(model, command=engine_command, target=target)
    if format_ == "json":
        import json

        sys.stdout.write(json.dumps(document.to_dict(), indent=2, ensure_ascii=False) + "\n")
    else:
        from doctor.report.plan import print_plan

        print_plan(document)
    return _EXIT[document.verdict]
