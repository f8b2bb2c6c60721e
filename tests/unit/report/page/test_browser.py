"""The page in a real browser: drawn, linked, sorted, dark, narrow, printed, without a complaint.

Needs Chromium (its path in ``CHROMIUM``, or on the PATH), playwright and plotly; skipped without.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from numasim.report.page import page_of, render
from tests.unit.report.made import made
from tests.unit.report.page.sent import EVIL, comparison, gate, nasty

pytest.importorskip("plotly")
sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")]

PRINT = "window.dispatchEvent(new Event('beforeprint'))"  # draws what is out of sight, too
DRAWN = "[...document.querySelectorAll('.plot')].filter(p => p.offsetParent !== null)"
RANGES = f"{DRAWN}.map(p => p._fullLayout && p._fullLayout.xaxis.title.text.startsWith('time') "
RANGES += "? p._fullLayout.xaxis.range.map(x => Math.round(x)).join() : '')"


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with sync_api.sync_playwright() as play:
        started = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


class Open:
    """A page that was opened from disk, and everything it complained about."""

    def __init__(self, browser: object, path: Path, **options: object) -> None:
        self.complaints: list[str] = []
        self.page = browser.new_page(**options)
        self.page.on("console", lambda m: self.complaints.append(f"{m.type}: {m.text}"))
        self.page.on("pageerror", lambda e: self.complaints.append(str(e)))
        self.page.on("request", self._request)
        self.page.goto(path.as_uri())

    def _request(self, request: object) -> None:
        if not request.url.startswith(("file:", "data:", "blob:")):
            self.complaints.append(f"network: {request.url}")

    def run(self, script: str) -> object:
        return self.page.evaluate(script)

    def draw_all(self) -> None:
        self.run("document.querySelectorAll('details').forEach(d => { d.open = true; })")
        self.run(PRINT)
        self.page.wait_for_timeout(300)
        self.run("window.dispatchEvent(new Event('afterprint'))")


def _file(folder: Path, saved: object) -> Path:
    path = folder / "report.html"
    path.write_text(render.html(page_of(saved)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def run_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _file(tmp_path_factory.mktemp("run"), nasty(made(rows=31)))


def test_everything_is_drawn_and_linked_and_names_are_text(browser, run_file):
    opened = Open(browser, run_file, viewport={"width": 1200, "height": 800})
    opened.draw_all()
    page = opened.page
    nr = opened.run("document.querySelectorAll('.plot').length")
    assert nr > 10
    assert opened.run("document.querySelectorAll('.plot .main-svg').length") >= nr
    assert opened.run("document.querySelectorAll('.plot .hm image').length") >= 2  # heat maps
    assert opened.run("window.owned") is None
    assert EVIL in page.inner_text("h1")
    before = set(opened.run(RANGES)) - {""}
    assert len(before) == 1
    # drag over the middle of a curve: every time axis follows
    target = page.locator(".plot:has(.scatterlayer .js-line) .nsewdrag").first
    target.scroll_into_view_if_needed()
    box = target.bounding_box()
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.3, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, y, steps=5)
    page.mouse.up()
    page.wait_for_timeout(600)
    after = set(opened.run(RANGES)) - {""}
    assert len(after) == 1 and after != before
    page.mouse.dblclick(box["x"] + box["width"] * 0.5, y)
    page.wait_for_timeout(800)
    assert set(opened.run(RANGES)) - {""} == before
    assert opened.complaints == []
    page.close()


def test_a_phone_a_dark_room_and_paper(browser, run_file, tmp_path):
    opened = Open(browser, run_file, viewport={"width": 375, "height": 700}, color_scheme="dark")
    opened.draw_all()
    page = opened.page
    assert opened.run("document.documentElement.scrollWidth") <= 375
    colour = "getComputedStyle(document.body).backgroundColor"
    font = "document.querySelector('.plot')._fullLayout.font.color"
    dark, ink = opened.run(colour), opened.run(font)
    page.emulate_media(color_scheme="light")
    page.wait_for_timeout(300)
    assert opened.run(colour) != dark and opened.run(font) != ink
    page.emulate_media(color_scheme="dark")
    printed = page.pdf(path=tmp_path / "r.pdf", format="A4")
    assert printed.startswith(b"%PDF")
    page.emulate_media(media="print")
    assert opened.run(colour) == "rgb(255, 255, 255)"
    assert opened.complaints == []
    page.close()


BUTTONS = "[...document.querySelectorAll('.modebar-btn')].map(b => b.dataset.title)"


def test_no_button_sends_anything_away(browser, run_file):
    opened = Open(browser, run_file, viewport={"width": 1200, "height": 800})
    opened.draw_all()
    each = ["Download plot as a PNG", "Zoom", "Pan", "Reset axes"]
    nr = opened.run("document.querySelectorAll('.plot').length")
    assert [title.replace("png", "PNG") for title in opened.run(BUTTONS)] == each * nr
    asked = "[...document.querySelectorAll('.plot')].map(p => p._context.plotlyServerURL)"
    assert set(opened.run(asked)) == {""}
    assert "Drag in a chart" in opened.page.inner_text("main")
    opened.page.close()


def test_small_errors_have_ticks_that_differ(browser, tmp_path):
    result = made(rows=11)
    result.tables["monitoring"]["emd"] = result.monitoring.emd / result.monitoring.emd.max() * 3e-3
    opened = Open(browser, _file(tmp_path, result))
    opened.draw_all()
    ticks = opened.run(
        "[...[...document.querySelectorAll('.plot')].find(p => p.ariaLabel === 'Monitoring error')"
        ".querySelectorAll('.ytick text')].map(t => t.textContent)"
    )
    assert len(ticks) > 2 and len(set(ticks)) == len(ticks)
    opened.page.close()


def test_wide_tables_fit_on_paper(browser, tmp_path):
    """And have their size again on the screen."""
    opened = Open(browser, _file(tmp_path, comparison()), viewport={"width": 703, "height": 900})
    wide = "[...document.querySelectorAll('.scroll > table')]"
    wide += ".map(t => t.getBoundingClientRect().width)"
    before = opened.run(wide)
    opened.page.emulate_media(media="print")
    opened.run(PRINT)
    assert max(opened.run(wide)) <= 703 < max(before)
    assert opened.run("document.documentElement.scrollWidth") <= 703
    opened.page.emulate_media(media="screen")
    opened.run("window.dispatchEvent(new Event('afterprint'))")
    assert opened.run(wide) == before and opened.complaints == []
    opened.page.close()


def test_charts_over_time_are_lower_on_paper_and_grow_back(browser, run_file):
    opened = Open(browser, run_file, viewport={"width": 1200, "height": 800})
    opened.draw_all()
    highest = "Math.max(...[...document.querySelectorAll('.plot')].map(p => p.clientHeight))"
    before = opened.run(highest)
    opened.run(PRINT)
    assert opened.run(highest) <= 240 < before
    opened.run("window.dispatchEvent(new Event('afterprint'))")
    opened.page.wait_for_timeout(300)
    assert opened.run(highest) == before
    assert opened.complaints == []
    opened.page.close()


def test_where_nothing_hovers(browser, run_file):
    """No button lies on a legend, a tap reads a value, and the hint says so, but not on paper."""
    opened = Open(browser, run_file, viewport={"width": 390, "height": 800}, has_touch=True,
                  is_mobile=True)  # fmt: skip
    opened.draw_all()
    page = opened.page
    assert opened.run(BUTTONS) == []
    hint = page.inner_text("main")
    assert "Tap a chart" in hint and "Drag in a chart" not in hint
    target = page.locator(".plot:has(.scatterlayer .js-line) .nsewdrag").first
    target.scroll_into_view_if_needed()
    box = target.bounding_box()
    page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_timeout(300)
    assert opened.run("document.querySelectorAll('.hoverlayer text').length") > 0
    page.emulate_media(media="print")
    assert "Tap a chart" not in page.inner_text("main")
    assert opened.complaints == []
    page.close()


def test_tables_sort_and_commands_are_copied(browser, tmp_path):
    opened = Open(browser, _file(tmp_path, comparison(hostile=True)))
    page = opened.page
    name = "[...document.querySelectorAll('figure.table')]"
    name += ".find(f => f.querySelector('figcaption').textContent.startsWith('Every run'))"
    column = f"[...{name}.querySelector('table').tBodies[0].rows]"
    column += ".map(r => Number(r.cells[2].dataset.by))"
    table = page.locator("figure.table", has_text="Every run").first
    button = table.locator("th button").nth(2)
    button.click()
    up = opened.run(column)
    button.click()
    assert opened.run(column) == up[::-1] == sorted(up, reverse=True) and len(set(up)) > 3
    page.locator("button.copy").first.click()
    page.wait_for_timeout(200)
    assert page.locator("button.copy").first.inner_text() == "Copied"
    opened.draw_all()
    nr = opened.run("[document.querySelectorAll('[data-drawn]').length, "
                    "document.querySelectorAll('.plot').length]")  # fmt: skip
    assert nr[0] == nr[1] > 20
    assert opened.run("window.owned") is None and opened.complaints == []
    page.close()


def test_a_gate_and_the_variant_for_mail(browser, tmp_path):
    opened = Open(browser, _file(tmp_path, gate(hostile=True)))
    opened.draw_all()
    assert opened.run("document.querySelectorAll('.plot .point').length") >= 2
    opened.page.close()
    path = tmp_path / "mail.html"
    path.write_text(render.html(page_of(gate(hostile=True)), static=True), encoding="utf-8")
    mail = Open(browser, path, java_script_enabled=False)
    assert mail.page.locator("img").count() == 1
    assert opened.complaints == mail.complaints == []
    mail.page.close()
