"""A long table is watched series by series: its sources, its metrics, and each figure against its weekday."""

from __future__ import annotations

import pytest
from conftest import MART, Lake

from src import contract, documents
from src.contract import Watch
from src.errors import ContractErrors
from src.project import open_project

WATCH = "{by: [app, source, metric], value: value, source: source, dictionary: silver.kpi.metrics}"
FIGURES = f"""
apiVersion: v3.1.0
kind: DataContract
id: kpi.figures
version: 1.0.0
status: active
domain: kpi
servers:
  - {{server: figures, type: local, path: kpi/figures/*.csv, format: csv}}
slaProperties:
  - {{property: latency, value: 30, unit: h, element: figures.day, driver: operational}}
schema:
  - name: figures
    properties:
      - {{name: day, logicalType: date, required: true, partitioned: true, primaryKey: true, primaryKeyPosition: 4}}
      - {{name: app, logicalType: string, required: true, primaryKey: true, primaryKeyPosition: 1}}
      - {{name: source, logicalType: string, required: true, primaryKey: true, primaryKeyPosition: 2}}
      - {{name: metric, logicalType: string, required: true, primaryKey: true, primaryKeyPosition: 3}}
      - {{name: value, logicalType: number}}
      - {{name: seen, logicalType: timestamp}}
    customProperties:
      - {{property: watch, value: {WATCH}}}
"""
METRICS = """
apiVersion: v3.1.0
kind: DataContract
id: kpi.metrics
version: 1.0.0
status: active
domain: kpi
servers:
  - {server: metrics, type: local, path: kpi/metrics/*.csv, format: csv}
schema:
  - name: metrics
    properties:
      - {name: source, logicalType: string, primaryKey: true, primaryKeyPosition: 1}
      - {name: metric, logicalType: string, primaryKey: true, primaryKeyPosition: 2}
      - {name: unit, logicalType: string}
      - {name: critical, logicalType: boolean}
      - {name: valid_from, logicalType: date, required: true}
    customProperties:
      - {property: history, value: scd2}
      - {property: sequenceBy, value: valid_from}
"""


@pytest.fixture
def kpis(lake: Lake) -> Lake:
    """The contracts of a long table and its dictionary."""
    lake.write("silver/kpi/figures.yaml", FIGURES)
    lake.write("silver/kpi/metrics.yaml", METRICS)
    return lake


# -- what a contract says


def test_a_contract_says_which_columns_make_a_series(kpis: Lake) -> None:
    (table,) = (table for table in contract.load(kpis.root / "src").silver.values() if table.watch)
    assert table.watch == Watch(("app", "source", "metric"), "value", "source", "silver.kpi.metrics")
    kpis.edit("silver/kpi/figures.yaml", ", source: source, dictionary: silver.kpi.metrics}", "}")
    assert contract.load(kpis.root / "src").silver["silver.kpi.figures"].watch == Watch(
        ("app", "source", "metric"), "value"
    )


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("value: value,", "value: amount,", "no column amount"),
        ("[app, source, metric]", "[app, source, metrik]", "no column metrik"),
        ("value: value,", "value: seen,", "watch of seen, which is TIMESTAMP WITH TIME ZONE"),
        ("value: value,", "value: app,", "watch of app, which is VARCHAR"),
        ("source: source,", "source: day,", "watch with source day"),
        ("[app, source, metric]", "[app, source, day]", "watch by day"),
        ("[app, source, metric]", "[app, source, value]", "watch by value"),
        ("silver.kpi.metrics", "silver.kpi.words", "no table silver.kpi.words"),
        ("[app, source, metric]", "[app]", "watch with source source"),
        ("figures.day", "figures.seen", "watch by business date, which is TIMESTAMP WITH TIME ZONE"),
        ("by: [app, source, metric],", "", "watch keys and values"),
        ("value: value,", "value: value, sauce: source,", "watch keys and values"),
    ],
)
def test_what_could_not_be_watched_is_refused(kpis: Lake, old: str, new: str, what: str) -> None:
    kpis.edit("silver/kpi/figures.yaml", old, new)
    with pytest.raises(ContractErrors) as raised:
        contract.load(kpis.root / "src")
    assert what in [error.what for error in raised.value.errors]


def test_a_dictionary_has_a_column_of_the_series(kpis: Lake) -> None:
    kpis.edit("silver/kpi/figures.yaml", "by: [app, source, metric]", "by: [app]")
    kpis.edit("silver/kpi/figures.yaml", "source: source, ", "")
    with pytest.raises(ContractErrors) as raised:
        contract.load(kpis.root / "src")
    (error,) = raised.value.errors
    assert error.what == "dictionary silver.kpi.metrics has no column of `by`"
    assert error.fix == "name a table with one of app; it has source, metric, unit, critical, valid_from"


def test_a_table_without_a_date_has_no_series(kpis: Lake) -> None:
    kpis.edit("silver/kpi/figures.yaml", "logicalType: date", "logicalType: string")
    with pytest.raises(ContractErrors) as raised:
        contract.load(kpis.root / "src")
    assert "watch by business date, and there is none" in [error.what for error in raised.value.errors]


def test_the_readme_of_a_mart_names_what_is_watched(lake: Lake) -> None:
    lake.shop()
    watched = "{property: watch, value: {by: [amount], value: orders, source: amount}}"
    lake.write("gold/shop/contract.yaml", f"{MART}    customProperties: [{watched}]\n")
    with open_project(lake.settings) as project:
        readme = documents.mart_readme(project.contracts.marts["shop"], project)
    assert "- **Watched:** `orders` day by day, for each series of `amount`; each `amount` is to be fresh\n" in readme
