"""The real shop: 305 daily files, 541,909 lines (UCI Online Retail, CC BY 4.0), and the figures published for them."""

from __future__ import annotations

import os
import random
import shutil
from decimal import Decimal
from pathlib import Path

import pytest
from conftest import ROOT, Lake

FILES = Path(os.environ.get("REAL_DATA", ROOT.parent / "shared" / "data")) / "online_retail"

NOT_HERE = "the real files are not here; set REAL_DATA to the folder that holds online_retail/"

pytestmark = pytest.mark.skipif(not FILES.is_dir(), reason=NOT_HERE)


@pytest.fixture
def sales(lake: Lake) -> Lake:
    """A lake with the shipped sales contracts."""
    for layer in ("silver", "gold"):
        shutil.copytree(ROOT / "src" / layer / "sales", lake.root / "src" / layer / "sales")
    return lake


def figures(lake: Lake) -> dict[str, object]:
    [silver] = lake.rows(
        "SELECT count(*), count(DISTINCT invoice_no), count(DISTINCT customer_id), count(DISTINCT country), "
        "count(DISTINCT order_date) FROM silver.sales.order_lines"
    )
    [daily] = lake.rows("SELECT count(*), sum(net_revenue), sum(lines) FROM gold.sales.daily_revenue")
    [monthly] = lake.rows("SELECT count(*), sum(net_revenue), sum(lines) FROM gold.sales.monthly_revenue")
    [products] = lake.rows("SELECT sum(net_revenue), sum(units) FROM gold.sales.product_performance")
    [day] = lake.rows(
        "SELECT net_revenue, lines FROM gold.sales.daily_revenue "
        "WHERE order_date = DATE '2011-11-14' AND country = 'United Kingdom'"
    )
    [bronze] = lake.rows("SELECT count(*), count(DISTINCT _file) FROM bronze.sales.order_lines")
    [kinds] = lake.rows("SELECT count(*) FILTER (WHERE kind = 'adjustment') FROM silver.sales.order_lines")
    return {
        "bronze": bronze,
        "silver": silver,
        "daily": daily,
        "monthly": monthly,
        "products": products,
        "2011-11-14 United Kingdom": day,
        "adjustments": kinds,
    }


PUBLISHED = {
    "bronze": (541_909, 305),
    "silver": (536_641, 25_900, 4_372, 38, 305),
    "daily": (1_716, Decimal("9726006.954"), 536_641),
    "monthly": (13, Decimal("9726006.954"), 536_641),
    "products": (Decimal("9726006.954"), 5_162_502),
    "2011-11-14 United Kingdom": (Decimal("106596.240"), 3_328),
    "adjustments": (3,),
}


def land(lake: Lake, names: list[str], ending: str = "") -> None:
    for name in names:
        lake.land(f"sales/order_lines/{name.removesuffix('.csv')}{ending}.csv", (FILES / name).read_bytes())


def test_all_files_at_once_give_the_published_figures_and_again_under_other_names_nothing(sales: Lake) -> None:
    names = sorted(path.name for path in FILES.glob("*.csv"))
    land(sales, names)
    sales.good()
    assert figures(sales) == PUBLISHED
    assert sales.rows("SELECT count(*) FROM quarantine.sales.order_lines") == [(0,)]
    land(sales, names[:20], "-again")
    run = sales.good()
    assert sum(record.records_written for record in run.records) == 0
    assert figures(sales) == PUBLISHED


def test_files_in_any_order_over_many_runs_give_the_published_figures(sales: Lake) -> None:
    names = sorted(path.name for path in FILES.glob("*.csv"))
    random.Random(7).shuffle(names)
    runs = int(os.environ.get("REAL_RUNS", "6"))  # REAL_RUNS=305 lands one file a run
    for at in range(runs):
        land(sales, names[at::runs])
        sales.good()
    assert figures(sales) == PUBLISHED
