"""The HTML report in a real browser: what it asks for, what it runs, every control, keyboard, narrow, print, axe."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from doctor.report.formats import render
from doctor.vocabulary.document import Diagnosis
from tests.browser.chromium import Chromium
from tests.report import documents

pytestmark = pytest.mark.browser

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text(encoding="utf-8")


def confirmed() -> Diagnosis:
    document = documents.read(render(documents.golden("llama-box/view-abort"), "json"))
    document.findings[0].remedies[0].confirmation = documents.tried("the failure was seen before and is gone")
    return document


CASES: dict[str, Callable[[], Diagnosis]] = {
    "crash": lambda: documents.golden("llama-box/view-abort"),
    "memory": lambda: documents.golden("ktransformers/numa-copies"),
    "healthy": lambda: documents.golden("healthy/llama-box-rpc-context-shift-cured"),
    "patch": documents.with_patch,
    "suppressed": documents.suppressed,
    "confirmed": confirmed,
    "hostile": documents.hostile,
    "empty": documents.empty,
    "numbers": documents.numbers,
    "large": lambda: documents.large(60, 30),
}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    made = Chromium(tmp_path_factory.mktemp("profile"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folder = tmp_path_factory.mktemp("pages")

    def written(name: str) -> Path:
        path = folder / f"{name}.html"
        if not path.exists():
            path.write_bytes(render(CASES[name](), "html").encode())
        return path

    return written


@pytest.mark.parametrize("name", list(CASES))
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_and_nothing_is_asked_for(
    browser: Chromium, page: Callable[[str], Path], name: str, dark: bool
) -> None:
    browser.open(page(name), dark=dark)
    assert browser.requests == [page(name).as_uri()]
    assert browser.complaints == []
    browser.run("document.querySelector('#unfold').click()")
    browser.run(AXE + "; true")
    found = browser.run(
        "axe.run(document).then((r) => r.violations.map((v) => [v.id, v.nodes[0].html, v.nodes.length]))"
    )
    assert found == []
    assert browser.run("axe.run(document).then((r) => r.passes.length)") > 10


@pytest.mark.parametrize("name", list(CASES))
def test_it_fits_a_telephone(browser: Chromium, page: Callable[[str], Path], name: str) -> None:
    browser.open(page(name), width=390, height=844)
    browser.run("document.querySelector('#unfold').click()")
    assert browser.run("document.scrollingElement.scrollWidth") <= 390


def test_a_hostile_log_is_text(browser: Chromium, page: Callable[[str], Path]) -> None:
    browser.open(page("hostile"))
    assert browser.run("window.pwned === undefined")
    assert browser.run("document.title").startswith("FAILING")
    allowed = "svg,path,rect,line,script,style,a,meta"
    assert browser.run("document.querySelectorAll('script').length") == 1
    assert (
        browser.run("document.querySelectorAll('img,iframe,link,object,embed,base,video,audio,image,use').length") == 0
    )
    handlers = (
        "[...document.querySelectorAll('*')].flatMap((e) => e.getAttributeNames()).filter((n) => n.startsWith('on'))"
    )
    assert browser.run(handlers) == []
    assert browser.run(f"[...document.querySelectorAll('svg *')].every((e) => e.matches('{allowed}'))")
    links = browser.run("[...document.querySelectorAll('a')].map((a) => a.getAttribute('href'))")
    assert {link.partition(":")[0] for link in links if not link.startswith("#")} <= {"http", "https"}
    text = browser.run("document.body.textContent")
    assert "<script>alert(1)</script>" in text
    assert "{{ 7 * 7 }} {% for x in" in text
    assert "49" not in browser.run("document.querySelector('#answer').textContent")
    assert not set("\u202e\u202d\u2066\u2067\u200b\x00\x1b") & set(text)


@pytest.mark.parametrize(
    "injected",
    [
        "<script>window.pwned = 1</script>",
        "<img src=x onerror='window.pwned = 1'>",
        "<script src='https://example.com/x.js'></script><link rel=stylesheet href='https://example.com/x.css'>",
        "<form action='https://example.com/'><button id=go>go</button></form>",
    ],
)
def test_even_what_slipped_through_would_not_run(
    browser: Chromium, page: Callable[[str], Path], injected: str, tmp_path: Path
) -> None:
    text = page("crash").read_text(encoding="utf-8").replace("<main>", f"<main>{injected}")
    path = tmp_path / "injected.html"
    path.write_text(text, encoding="utf-8")
    browser.open(path)
    browser.run("document.querySelector('#go')?.click()")
    browser.run("new Promise((done) => setTimeout(done, 300))")
    assert browser.run("window.pwned === undefined")
    assert any("Content Security Policy" in complaint for complaint in browser.complaints), browser.complaints
    assert not any(url.startswith("https://example.com/") and answered(browser, url) for url in browser.requests)


def answered(browser: Chromium, url: str) -> bool:
    """Whether the request left the browser: one that the policy refuses is named and blocked."""
    return url not in browser.blocked


def test_the_change_is_copied(browser: Chromium, page: Callable[[str], Path]) -> None:
    browser.open(page("patch"))
    browser.allow_clipboard()
    browser.click("#answer .copy")
    browser.wait("document.querySelector('#answer .copy').textContent === 'Copied'")
    expected = documents.with_patch().findings[0].remedies[0].diff
    assert browser.run("navigator.clipboard.readText()") == f"{expected}\n"
    browser.wait("document.querySelector('#answer .copy').textContent === 'Copy'")


def test_neighbouring_lines_fold(browser: Chromium, page: Callable[[str], Path]) -> None:
    browser.open(page("crash"))
    visible = "[...document.querySelectorAll('#evidence .near')].filter((row) => row.offsetParent).length"
    before = browser.run(visible)
    assert before > 4
    browser.click("#evidence .near-toggle")
    assert browser.run(visible) == 0
    assert browser.run("document.querySelectorAll('#evidence .proves').length") == 3
    browser.click("#evidence .near-toggle")
    assert browser.run(visible) == before


def shown(browser: Chromium) -> int:
    count: int = browser.run("[...document.querySelectorAll('.item')].filter((item) => !item.hidden).length")
    return count


def test_search_and_filters(browser: Chromium, page: Callable[[str], Path]) -> None:
    browser.open(page("large"))
    everything = shown(browser)
    browser.run("document.querySelector('#search').focus()")
    browser.type("gpu-host-7")
    browser.wait("document.querySelector('#found').textContent.endsWith('hits')")
    some = shown(browser)
    assert 0 < some < everything
    assert browser.run("document.querySelector('#found').textContent") == f"{some} hits"
    browser.run("document.querySelector('#search').select()")
    browser.press("Backspace", 8)
    browser.wait("document.querySelector('#found').textContent === ''")
    assert shown(browser) == everything
    choose = (
        "(id, value) => { const box = document.querySelector(id);"
        " box.value = value; box.dispatchEvent(new Event('change')); }"
    )
    browser.run(f"({choose})('#severity', 'major')")
    majors = browser.run(
        "[...document.querySelectorAll('.item:not([hidden])')].every((item) => item.dataset.severity === 'major')"
    )
    assert majors
    assert 0 < shown(browser) < everything
    browser.run(f"({choose})('#severity', '')")
    browser.run(f"({choose})('#node', 'gpu-host-3')")
    hosts = browser.run(
        "[...new Set([...document.querySelectorAll('.item:not([hidden])')].map((item) => item.dataset.node))]"
    )
    assert hosts == ["gpu-host-3"]
    browser.run(f"({choose})('#node', '')")
    browser.type("no such words anywhere")
    browser.wait("document.querySelector('#found').textContent === '0 hits'")


def test_everything_unfolds_and_folds(browser: Chromium, page: Callable[[str], Path]) -> None:
    browser.open(page("crash"))
    closed = "[...document.querySelectorAll('details')].filter((fold) => !fold.open).length"
    total = browser.run("document.querySelectorAll('details').length")
    assert browser.run(closed) > 3
    browser.click("#unfold")
    assert browser.run(closed) == 0
    assert browser.run("document.querySelector('#unfold').textContent") == "Fold all"
    browser.click("#unfold")
    assert browser.run(closed) == total


def test_a_link_to_something_folded_opens_it(browser: Chromium, page: Callable[[str], Path]) -> None:
    browser.open(page("crash"))
    assert not browser.run("document.querySelector('#finding-process-aborted').open")
    browser.click('#causes a[href="#finding-process-aborted"]')
    browser.wait("document.querySelector('#finding-process-aborted').open")
    assert browser.run("document.querySelector('#finding-process-aborted:target') !== null")
    targets = "[...document.querySelectorAll('a[href^=\"#\"]')].map((a) => a.getAttribute('href').slice(1))"
    missing = [
        name
        for name in browser.run(targets)
        if not browser.run(f"document.getElementById({json.dumps(name)}) !== null")
    ]
    assert missing == []
    ids = browser.run("[...document.querySelectorAll('[id]')].map((element) => element.id)")
    assert len(ids) == len(set(ids))


def test_keyboard_alone_is_enough(browser: Chromium, page: Callable[[str], Path]) -> None:
    """Every control is reached by Tab, in the order of the page, shows its focus, and Enter works it."""
    browser.open(page("crash"))
    browser.allow_clipboard()
    wanted = browser.run(
        "(() => { const all = [...document.querySelectorAll('a, button, input, select, summary, [tabindex]')]"
        ".filter((e) => e.checkVisibility()); all.forEach((e, n) => { e.dataset.nth = n; }); return all.length; })()"
    )
    reached: list[Any] = []
    for _step in range(wanted):
        browser.press("Tab", 9)
        reached.append(browser.run("Number(document.activeElement.dataset.nth)"))
        assert browser.run("getComputedStyle(document.activeElement).outlineStyle") != "none"
    assert reached == list(range(wanted))
    browser.run("document.querySelector('#answer .copy').focus()")
    browser.press("Enter", 13, "\r")
    browser.wait("document.querySelector('#answer .copy').textContent === 'Copied'")
    browser.run("document.querySelector('#evidence details summary').focus()")
    browser.press("Enter", 13, "\r")
    browser.wait("document.querySelector('#evidence details').open")


def test_it_prints_unfolded_and_without_controls(browser: Chromium, page: Callable[[str], Path]) -> None:
    browser.open(page("crash"), dark=True)
    folded = "document.querySelectorAll('details:not([open])').length"
    browser.run(f"addEventListener('beforeprint', () => {{ window.left = {folded}; }})")
    closed = browser.run(folded)
    assert browser.pdf().startswith(b"%PDF-")
    assert browser.run("window.left") == 0
    assert browser.run(folded) == closed
    browser.media(kind="print", color_scheme="dark")
    assert browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    for control in ("nav", ".tools", ".copy", ".fold-lines"):
        assert browser.run(f"getComputedStyle(document.querySelector({json.dumps(control)})).display") == "none"


def test_without_scripts_all_of_it_can_be_read(browser: Chromium, page: Callable[[str], Path], tmp_path: Path) -> None:
    path = tmp_path / "plain.html"
    text = page("crash").read_text(encoding="utf-8")
    path.write_text(text[: text.rindex("<script>")] + "</body></html>", encoding="utf-8")
    browser.open(path)
    assert browser.run("document.querySelectorAll('button').length > 0")
    assert browser.run("[...document.querySelectorAll('button')].every((button) => !button.checkVisibility())")
    browser.click("#runs-in-detail > details:not([open]) > summary")
    browser.wait("document.querySelectorAll('#runs-in-detail > details[open]').length === 2")


@pytest.mark.parametrize(("findings", "runs"), [(2000, 0), (0, 500), (2000, 500)])
def test_thousands_are_still_one_small_page(browser: Chromium, findings: int, runs: int, tmp_path: Path) -> None:
    text = render(documents.large(findings, runs), "html")
    assert len(text.encode()) < 3_000_000
    path = tmp_path / "large.html"
    path.write_text(text, encoding="utf-8")
    browser.open(path)
    assert browser.complaints == []
    ids = "[...document.querySelectorAll('[id^=finding-]')].filter((e) => !e.id.includes('-change')).length"
    assert browser.run(ids) == findings
    assert browser.run("document.querySelectorAll('#runs tbody tr').length") == runs
