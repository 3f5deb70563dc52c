"""Every screen, as people see it: at a desk and on a phone, light and dark, with the keyboard, with hostile data."""

from __future__ import annotations

import pytest
from browser import EXAMPLES, Tab, needs_browser
from conftest import ROOT, needs_sample

pytestmark = [needs_browser, needs_sample]
SCREENS = sorted(path.stem for path in (ROOT / "src/page/screens").glob("[a-z]*.py"))


def test_every_screen_has_an_example() -> None:
    assert sorted(EXAMPLES) == SCREENS, "put the addresses of the screen into EXAMPLES of tests/browser.py"


@pytest.mark.parametrize("path", [path for paths in EXAMPLES.values() for path in paths])
def test_a_screen_is_for_everybody(tab: Tab, path: str) -> None:
    assert tab.look_at(path) == []
