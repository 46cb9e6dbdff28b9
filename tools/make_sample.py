#!/usr/bin/env python3
"""Renders the picture of real output that the README shows: reports/sample.svg.

usage: python tools/make_sample.py [FIXTURE] [-o FILE]
"""

from __future__ import annotations

import argparse
import io
import os
import re
from pathlib import Path

from rich.console import Console

from doctor.api import analyze
from doctor.report.text import print_text

ROOT = Path(__file__).resolve().parent.parent


def render(case: str, width: int = 96) -> str:
    """The terminal page of a fixture as SVG, without fonts from the network."""
    os.chdir(ROOT / "fixtures")
    document = analyze([case])
    out = Console(record=True, width=width, file=io.StringIO(), force_terminal=True, highlight=False)
    print_text(document, console=out)
    picture = out.export_svg(title=f"llmdoctor analyze {case}", unique_id="llmdoctor")
    picture = re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.S)
    return picture.replace("Fira Code, monospace", "ui-monospace, Menlo, Consolas, monospace")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("fixture", nargs="?", default="llama-box/view-abort")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "reports" / "sample.svg")
    arguments = parser.parse_args()
    arguments.output.write_text(render(arguments.fixture), encoding="utf-8")


if __name__ == "__main__":
    main()
