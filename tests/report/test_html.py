"""The page without a browser: what it shows of a document, where its pictures' bars stand, how it stays small."""

from __future__ import annotations

import base64
import hashlib
import re
from copy import deepcopy

from doctor.report.html import render_html
from doctor.report.pictures import timeline, waterfall
from doctor.resources import folder
from doctor.vocabulary.document import EngineEntry, Event, MemoryEntry, MemoryPart, RunEntry
from doctor.vocabulary.terms import Outcome
from tests.report import documents

GIB = 1 << 30


def test_the_answer_comes_first() -> None:
    document = documents.golden("llama-box/view-abort")
    page = render_html(document)
    first = document.findings[0]
    places = [
        page.index(text) for text in ("FAILING", "llama-box v0.0.117: crashed", first.title.replace('"', "&#34;"))
    ]
    places += [page.index("Do this"), page.index("Upgrade GPUStack to 0.6.0"), page.index('id="evidence"')]
    assert places == sorted(places)


def test_the_policy_names_exactly_what_is_in_the_page() -> None:
    page = render_html(documents.golden("llama-box/view-abort"))
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy is not None
    for tag in ("style", "script"):
        inside = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.S)
        assert len(inside) == 1
        digest = base64.b64encode(hashlib.sha256(inside[0].encode()).digest()).decode()
        assert f"{tag}-src &#39;sha256-{digest}&#39;" in policy[1]
    assert policy[1].startswith("default-src &#39;none&#39;;")
    assert " style=" not in page
    assert not re.search(r"<(?:img|link|iframe|script src)|url\(|@import", page)


def test_the_templates_never_mark_anything_as_safe() -> None:
    for path in (folder("reports") / "html").glob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\|\s*safe|{%-?\s*autoescape|Markup|\bon\w+=", text), path


def test_everything_of_the_document_is_told() -> None:
    document = documents.golden("llama-box/view-abort")
    page = render_html(document)
    for run in document.runs:
        assert f'id="{run.id}"' in page
        for name, origin in run.origins.items():
            assert name in page
            assert origin in page
    for finding in document.findings:
        assert f'id="finding-{finding.rule_id}"' in page
    for source in document.sources:
        assert source.path in page


def test_addresses_of_findings_last() -> None:
    document = deepcopy(documents.golden("llama-box/view-abort"))
    document.findings.append(deepcopy(document.findings[0]))
    for number, finding in enumerate(document.findings):
        finding.id = f"other-{number}"
    page = render_html(document)
    assert page.count('id="finding-rpc-kv-view-stale-support"') == 1
    assert page.count('id="finding-rpc-kv-view-stale-support-2"') == 1


def test_long_lines_and_many_findings_are_cut_and_it_is_said() -> None:
    document = documents.large(1500, 300)
    for finding in document.findings:
        for line in finding.evidence:
            line.text, line.before = "x" * 2000, ["y" * 2000] * 3
    page = render_html(document)
    assert len(page) < 3_000_000
    assert page.count('class="card brief') > 100
    assert page.count('<details class="card') > 20
    assert "more runs in the list of runs only" in page


def test_parts_begin_where_the_one_before_ends() -> None:
    parts = [("weights", 6), ("kv", 3), ("compute", 1)]
    device = waterfall(
        MemoryEntry(
            device="CUDA0",
            parts=[MemoryPart(kind=kind, bytes=size * GIB, source="log") for kind, size in parts],
            free=8 * GIB,
            missing=2 * GIB,
        )
    )
    assert [(bar.x, bar.width) for bar in device.bars] == [(0, 600), (600, 300), (900, 100)]
    assert [bar.over for bar in device.bars] == [None, (800, 100), (900, 100)]
    assert (device.free_at, device.need.bytes, device.need.over) == (800, 10 * GIB, (800, 200))


def test_what_fits_is_drawn_against_what_is_free() -> None:
    device = waterfall(
        MemoryEntry(device="d", parts=[MemoryPart(kind="kv", bytes=GIB, source="estimate")], free=4 * GIB, missing=0)
    )
    assert [(bar.x, bar.width, bar.over, bar.estimate) for bar in device.bars] == [(0, 250, None, True)]
    assert device.free_at == 1000


def test_a_run_has_phases_and_the_place_where_it_broke() -> None:
    run = RunEntry(
        id="r", engine=EngineEntry(), outcome=Outcome.CRASHED, source="a", first_line=100, last_line=200,
        events=[
            Event(line=120, what="loading", text="l"),
            Event(line=150, what="ready", text="r"),
            Event(line=160, what="progress", text="p1"),
            Event(line=170, what="progress", text="p2"),
            Event(line=200, what="ended", text="e"),
        ],
    )  # fmt: skip
    line = timeline(run, [(200, "e"), (190, "the reason")])
    assert [(band.phase, band.x, band.width) for band in line.bands] == [
        ("starting", 0, 200),
        ("loading", 200, 300),
        ("serving", 500, 500),
    ]
    assert [(mark.line, mark.what, mark.broke, mark.more) for mark in line.marks] == [
        (120, "loading", False, 0),
        (150, "ready", False, 0),
        (160, "progress", False, 1),
        (190, "broke", True, 0),
        (200, "ended", True, 0),
    ]
    assert line.breaks == [900, 1000]
