"""Every screen, as people see it: at a desk and on a phone, light and dark, with the keyboard, with hostile data."""

from __future__ import annotations

import hashlib
import re

import pytest
from browser import EXAMPLES, MARKUP, Served, Tab, needs_browser
from conftest import ROOT, needs_sample

pytestmark = [needs_browser, needs_sample]
SCREENS = sorted(path.stem for path in (ROOT / "src/page/screens").glob("[a-z]*.py"))


def test_every_screen_has_an_example() -> None:
    assert sorted(EXAMPLES) == SCREENS, "put the addresses of the screen into EXAMPLES of tests/browser.py"


@pytest.mark.parametrize("path", [path for paths in EXAMPLES.values() for path in paths])
@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.long)])
def test_a_screen_is_for_everybody(tab: Tab, path: str, every: bool) -> None:
    assert tab.look_at(path, every=every) == []


def test_looking_changes_nothing(site: Served) -> None:
    """Only what is kept in folders of a dot may move: proofs, spilled rows, the queries that were asked."""

    def state() -> dict[str, str]:
        files = (path for folder in ("data", "src") for path in (site.lake.root / folder).rglob("*") if path.is_file())
        inside = {path.relative_to(site.lake.root): path for path in files}
        return {
            str(name): hashlib.sha256(path.read_bytes()).hexdigest()
            for name, path in inside.items()
            if not any(part.startswith(".") for part in name.parts)
        }

    before = state()
    for path in (path for paths in EXAMPLES.values() for path in paths):
        address = path.replace("{run}", site.last_run)
        assert site.ask("GET", address).status == 200, address
        assert site.ask("HEAD", address).status == 200, address
    assert len(before) > 100 and state() == before


def test_markup_of_the_data_is_text_and_no_screen_has_a_style_or_script_within(site: Served) -> None:
    texts = {path: site.ask("GET", path).text for paths in EXAMPLES.values() for path in paths if "{" not in path}
    assert all(MARKUP not in text for text in texts.values())
    assert "&lt;script&gt;" in texts["/quarantine"] and "&lt;script&gt;" in texts["/table/gold.sales.daily_revenue"]
    within = re.compile(r"<style|<script(?![^>]* src=)|<[^>]*\s(style|on\w+)=", re.IGNORECASE)
    assert {path: found[0] for path, text in texts.items() if (found := within.search(text))} == {}


def test_the_keyboard_reaches_the_content_then_the_menu(tab: Tab) -> None:
    tab.open("/")
    tab.page.keyboard.press("Tab")
    assert tab.page.evaluate("document.activeElement.textContent") == "To the content"
    names = []
    for _ in range(8):
        tab.page.keyboard.press("Tab")
        names.append(tab.page.evaluate("document.activeElement.textContent"))
    assert names[0] == "Boathouse" and {"Home", "Lineage", "SQL"} <= set(names)
    tab.open("/")
    tab.page.keyboard.press("Tab")
    tab.page.keyboard.press("Enter")
    assert tab.page.url.endswith("#main")
