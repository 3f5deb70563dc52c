"""What docs/add-a-source.md shows is done, in its order, in a copy of the project, and prints what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from clone import ROOT, Shown, blocks, done_as_shown

PAGE = (ROOT / "docs/add-a-source.md").read_text(encoding="utf-8")
BLOCKS = blocks(PAGE)


@pytest.mark.long
def test_what_the_page_shows_is_what_happens(tmp_path: Path) -> None:
    # one test, not one for each sentence: several workers would each do all of it again
    shown = done_as_shown(tmp_path / "boathouse", BLOCKS)
    assert shown.kept() == sum(kind == "text" for kind, _ in BLOCKS) == 14
    its_mart_was_documented(shown)
    nothing_is_left_of_the_source(shown)


def its_mart_was_documented(shown: Shown) -> None:
    assert "wrote src/gold/tides/README.md\n" in next(text for text in shown.printed if "every law holds" in text)


def nothing_is_left_of_the_source(shown: Shown) -> None:
    assert "every law holds" in shown.printed[-1]
    named = [line for line in shown.printed[-1].splitlines() if re.search("harbour|tides", line)]
    left = [path for path in (shown.root / "data").rglob("*") if {"harbour", "tides"} & set(path.parts)]
    assert (named, left) == ([], [])


def test_every_page_it_leads_to_is_there() -> None:
    links = re.findall(r"\]\(([a-z-]+\.md)\)", PAGE)
    assert len(links) == 6
    assert [name for name in links if not (ROOT / "docs" / name).is_file()] == []
