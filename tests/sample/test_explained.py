"""Every number of the sample company is explained: over the rows that are named alone, its model gives it."""

from __future__ import annotations

import shutil
from datetime import date

import pytest
from conftest import ROOT, Lake
from explained import trace_rows

from src.demo import delivery, kpi, manufacturing, sales

FRIDAY = date(2026, 3, 27)


@pytest.mark.long
def test_each_number_of_every_mart_of_the_company_is_explained(lake: Lake) -> None:
    for layer in ("silver", "gold", "ml"):
        shutil.copytree(ROOT / "src" / layer, lake.root / "src" / layer, dirs_exist_ok=True)
    for domain in (sales, manufacturing, delivery, kpi):
        domain.land(lake.data / "landing", days=30, last=FRIDAY, seed=7)
    lake.good()
    failed, tables = trace_rows(lake, each=60)
    assert failed == []
    assert len(tables) >= 25
