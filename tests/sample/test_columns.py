"""The columns of the shipped models: what makes each, from their SQL."""

from __future__ import annotations

import pytest
from conftest import ROOT

from src.origins import read_all_origins
from src.project import open_project
from src.proof.columns import Origin, Reference
from src.settings import load


@pytest.fixture(scope="module")
def origins(tmp_path_factory: pytest.TempPathFactory) -> dict[Reference, Origin]:
    settings = load(ROOT, {"DATA_DIR": str(tmp_path_factory.mktemp("data"))})
    with open_project(settings) as project:
        return read_all_origins(project)


def test_every_column_of_every_shipped_model_is_told(origins: dict[Reference, Origin]) -> None:
    unknown = {made for made, origin in origins.items() for table, column in origin.all if column is None}
    scores = {("gold.delivery.late_risk", "predicted"), ("gold.delivery.late_risk_scms", "predicted")}
    assert scores <= unknown  # made of all that a version of a model is
    assert {table for table, _ in unknown} == {table for table, _ in scores}
    assert len(origins) > 500


@pytest.mark.parametrize(
    ("table", "column", "values", "shaping"),
    [
        ("silver.sales.order_lines", "kind", {"bronze.sales.order_lines.InvoiceNo"}, set()),
        ("silver.sales.order_lines", "order_month", {"bronze.sales.order_lines.InvoiceDate"}, set()),
        (
            "gold.sales.daily_revenue",
            "gross_revenue",
            {"silver.sales.order_lines.quantity", "silver.sales.order_lines.unit_price"},
            {f"silver.sales.order_lines.{name}" for name in ("country", "kind", "order_date", "order_month")},
        ),
        (
            "gold.sales.monthly_revenue",
            "growth_pct",
            {"silver.sales.order_lines.quantity", "silver.sales.order_lines.unit_price"},
            {"silver.sales.order_lines.order_month"},
        ),
        ("gold.sales.daily_revenue", "lines", set(), None),
        ("gold.sales.product_performance", "description", {"silver.sales.order_lines.description"}, None),
        (
            "gold.company.weekly_devices",
            "week",
            {
                "gold.manufacturing.weekly_packing.week",
                "silver.sales.order_lines.order_date",
                "silver.delivery.shipments.shipped_on",
            },
            None,
        ),
        ("gold.company.weekly_devices", "built", {"gold.manufacturing.weekly_packing.units"}, None),
        (
            "gold.delivery.shipments",
            "customer",
            {"silver.delivery.shipments.customer_id", "gold.delivery.scms_shipments.project"},
            set(),
        ),
        ("gold.delivery.shipments", "currency", set(), set()),
        ("gold.kpi.fact_kpi_daily", "app_id", {"gold.kpi.app_keys.app_id"}, None),
        ("gold.kpi.fact_kpi_daily", "additive", {"silver.kpi.kpi_dictionary.additive"}, None),
    ],
)
def test_a_shipped_column_is_made_of(
    origins: dict[Reference, Origin], table: str, column: str, values: set[str], shaping: set[str] | None
) -> None:
    found = origins[table, column]
    assert {f"{source}.{name}" for source, name in found.values} == values
    if shaping is not None:
        assert {f"{source}.{name}" for source, name in found.shaping} == shaping
