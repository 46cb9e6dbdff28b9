"""``llmdoctor plan``: does it fit, and if not, what does?"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from doctor.cli.options import config_options
from doctor.errors import UsageProblem
from doctor.report.formats import deliver

if TYPE_CHECKING:
    from doctor.planning.document import PlanDocument
    from doctor.settings.file import Loaded

_SUFFIXES = {".html": "html", ".htm": "html", ".json": "json"}
_EXIT = {"fits": 0, "does_not_fit": 1, "unknown": 3}


@click.command("plan")
@click.argument("model", required=False)
@click.option("--command", "engine_command", metavar="TEXT", help="The engine's command line, as it would be typed.")
@click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="HOST",
    help="A probe, a YAML file, or an example's name; this machine by default. Once for each RPC worker or node.",
)
@click.option("--list-targets", is_flag=True, help="Names of the example machines.")
@click.option("--format", "format_", type=click.Choice(["text", "json", "html"]), help="text unless FILE says another.")
@click.option("-o", "--output", metavar="FILE", help="Write there: .html a page with pictures, .json the document.")
@click.option("--schema", "print_schema", is_flag=True, help="Print the JSON Schema of the document.")
@config_options
def command(
    model: str | None,
    engine_command: str | None,
    targets: tuple[str, ...],
    list_targets: bool,
    format_: str | None,
    output: str | None,
    print_schema: bool,
    file: Loaded,
) -> int:
    """Say what a model takes on a machine, whether it fits, and which settings would.

    MODEL is a GGUF file (any part of a split one), a Hugging Face folder or its config.json, an ollama manifest or
    blob, or a YAML file of numbers. Only headers are read. Without MODEL the one that --command names is taken.

    The exit status is 0 if it fits, 1 if not, 3 if too little is known.

    \b
    llmdoctor plan model.gguf                                        on this machine
    llmdoctor plan model.gguf --target 2x-rtx-4090
    llmdoctor plan --command "llama-server -m model.gguf -c 65536 -np 4" --target host.yaml
    llmdoctor plan Qwen3-8B/ --command "vllm serve Qwen3-8B --tensor-parallel-size 2" --target 8x-h100
    llmdoctor plan model.gguf --target main.yaml --target worker.yaml    RPC workers, in the order of --rpc
    llmdoctor plan model.gguf --format json | jq .verdict
    llmdoctor plan model.gguf --target 2x-rtx-4090 -o plan.html
    """
    from doctor.planning.target import examples

    if print_schema:
        from doctor.planning.document import json_schema

        deliver(json.dumps(json_schema(), indent=1) + "\n", output)
        return 0
    if list_targets:
        click.echo("\n".join(examples()))
        return 0
    from doctor.planning.request import plan_request

    document = plan_request(model, command=engine_command, target=targets, reserve=file.reserve)
    kind = format_ or _SUFFIXES.get(Path(output or "").suffix.lower(), "text")
    if kind == "html" and output is None and sys.stdout.isatty():
        raise UsageProblem("a web page is not for a terminal", hint="-o plan.html writes it to a file")
    if kind == "text" and output in {None, "-"}:
        from doctor.report.plan import print_plan

        print_plan(document)
    else:
        deliver(_rendered(document, kind), output)
    return _EXIT[document.verdict]


def _rendered(document: PlanDocument, kind: str) -> str:
    if kind == "html":
        from doctor.report.plan_html import render_plan

        return render_plan(document)
    if kind == "json":
        return json.dumps(document.to_dict(), indent=2, ensure_ascii=False) + "\n"
    import io

    from doctor.report.page import Page
    from doctor.report.plan import print_plan

    text = io.StringIO()
    print_plan(document, Page(text))
    return text.getvalue()
