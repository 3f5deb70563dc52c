"""What docs/testing-models.md shows is written and run in a copy of the project, and prints what it says."""

from __future__ import annotations

from pathlib import Path

import pytest
from clone import ROOT, blocks, done_as_shown

BLOCKS = blocks((ROOT / "docs/testing-models.md").read_text(encoding="utf-8"))


@pytest.mark.long
def test_what_the_page_shows_is_what_happens(tmp_path: Path) -> None:
    written = [block for block in BLOCKS if block[0] == "yaml"]
    failing = [block for block in BLOCKS if block[0] == "text"]
    shown = [block for block in BLOCKS if block[0] == "sh"]
    see = "sed -i 's/returns: 10,/returns: 11,/' src/gold/sales/tests/example.yaml\n"
    see += ".venv/bin/python main.py test --select gold.sales.daily_revenue.a_return* || [ $? = 4 ]\n"
    done = done_as_shown(
        tmp_path / "boathouse", [*written, ("sh", "./setup.sh --quiet"), *shown, ("sh", see), *failing]
    )
    assert "✓ gold.sales.daily_revenue.a_return_is_taken_off\n" in done.printed[1]
    assert "✓ silver.delivery.carriers.an_older_row_comes_late\n" in done.printed[1]
    assert done.kept() == len(failing) == 1
