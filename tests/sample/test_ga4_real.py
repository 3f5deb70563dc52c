"""Every event of a real export of GA4, from the wire of BigQuery to the daily facts: nothing is lost, all is known."""

from __future__ import annotations

import os
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from conftest import ROOT, Lake, short
from fake_bigquery import BigQuery, Table, bigquery, column
from test_ga4 import kpi

SAMPLE = Path(os.environ.get("REAL_DATA", ROOT.parent / "shared" / "data")) / "ga4/ga4_events_sampled.snappy.parquet"

# The figures of the file by day and platform, by SQL that has nothing of ours in it.
PARAMETER = "list_filter(event_params, lambda p: p.key = '{}')[1].value"
READ = f"""
    SELECT strptime(event_date, '%Y%m%d')::DATE AS day, lower(platform) AS platform, event_name, user_pseudo_id,
        make_timestamptz(event_timestamp) AS happened_at,
        {PARAMETER.format("ga_session_id")}.int_value AS session_id,
        {PARAMETER.format("engagement_time_msec")}.int_value AS engaged_msec,
        coalesce({PARAMETER.format("session_engaged")}.string_value,
            {PARAMETER.format("session_engaged")}.int_value::VARCHAR) = '1' AS session_engaged,
        nullif(ecommerce.transaction_id, '(not set)') AS transaction_id,
        event_value_in_usd::DECIMAL(18, 6) AS value_usd,
        CASE WHEN event_name = 'purchase' THEN ecommerce.purchase_revenue_in_usd::DECIMAL(18, 6) END AS revenue_usd
    FROM read_parquet('{SAMPLE}')
"""
COLUMNS = (
    "happened_at, event_name, user_pseudo_id, platform, session_id, engaged_msec, session_engaged, transaction_id, "
    "value_usd, revenue_usd"
)


FIGURES = """
    SELECT day, platform, count(DISTINCT user_pseudo_id) AS total_users,
        count(DISTINCT user_pseudo_id) FILTER (
            engaged_msec > 0 OR session_engaged OR event_name IN ('first_visit', 'first_open')
        ) AS active_users,
        count(DISTINCT user_pseudo_id) FILTER (event_name IN ('first_visit', 'first_open')) AS new_users,
        count(DISTINCT (user_pseudo_id, session_id)) FILTER (
            user_pseudo_id IS NOT NULL AND session_id IS NOT NULL
        ) AS sessions,
        count(*) FILTER (event_name IN ('page_view', 'screen_view')) AS views,
        count(*) FILTER (event_name = 'purchase') AS purchase_events,
        count(DISTINCT transaction_id) FILTER (event_name = 'purchase') AS purchases,
        count(*) FILTER (event_name IN ('purchase', 'begin_checkout')) AS key_events,
        coalesce(sum(revenue_usd), 0) AS revenue
"""
BY_DAY = "GROUP BY day, platform ORDER BY ALL"
METRICS = (
    *("total_users", "active_users", "new_users", "sessions", "views", "purchase_events", "purchases", "key_events"),
    "revenue",
)
TOTALS = {
    "2020-11-05": [1_097, 896, 57, 1_114, 430, 15, 0, 24, Decimal("812.00")],  # no order is numbered yet
    "2021-01-31": [20_369, 16_822, 1_410, 20_722, 7_498, 624, 525, 813, Decimal("41529.00")],
}


def cell(value: str, kind: Any, depth: int = 0) -> tuple[str, dict[str, Any]]:
    """SQL of a value as BigQuery's wire has it, and its column without a name."""
    if kind.id == "list":
        item, inner = cell(f"x{depth}", kind.children[0][1], depth + 1)
        items = f"coalesce(to_json(list_transform({value}, lambda x{depth}: {item})), '[]'::JSON)"
        return f"json_object('v', {items})", {**inner, "mode": "REPEATED"}
    if kind.id == "struct":
        sql, fields = record({name: (f'{value}."{name}"', part) for name, part in kind.children}, depth)
        return f"json_object('v', CASE WHEN {value} IS NOT NULL THEN {sql} END)", column("", "RECORD", fields=fields)
    return f"json_object('v', {value}::VARCHAR)", column(
        "", {"bigint": "INTEGER", "double": "FLOAT"}.get(kind.id, "STRING")
    )


def record(parts: dict[str, tuple[str, Any]], depth: int = 0) -> tuple[str, list[dict[str, Any]]]:
    cells = {name: cell(value, kind, depth) for name, (value, kind) in parts.items()}
    fields = [{**one, "name": name} for name, (_, one) in cells.items()]
    return f"json_object('f', json_array({', '.join(sql for sql, _ in cells.values())}))", fields


def serve(server: BigQuery, last: str) -> None:
    """Put every event of the file up to a day into the table of its day."""
    read = duckdb.read_parquet(str(SAMPLE))
    sql, fields = record({name: (f'"{name}"', kind) for name, kind in zip(read.columns, read.types, strict=True)})
    days = f"SELECT event_date, list({sql}::VARCHAR) FROM '{SAMPLE}' WHERE event_date <= '{last}' GROUP BY event_date"
    for day, rows in duckdb.execute(days).fetchall():
        server.tables["analytics_201", f"events_{day}"] = Table(rows, f"etag {day}", fields)


@pytest.mark.skipif(
    not SAMPLE.is_file(), reason="the real file is not here; set REAL_DATA to the folder that holds ga4/"
)
@pytest.mark.parametrize("last", short(["2020-11-05", "2021-01-31"], 1))
def test_every_event_and_daily_fact_of_a_real_export_is_as_plain_sql_reads_it(lake: Lake, last: str) -> None:
    with bigquery() as server:
        serve(server, last.replace("-", ""))
        for layer in ("silver", "gold"):
            shutil.copytree(ROOT / "src" / layer / "kpi", lake.root / "src" / layer / "kpi")
        kpi(lake, server, budget="30 min")
        assert lake.command("pull", "--source", "ga4", "--start", "2020-11-01", "--end", last) == 0
        lake.good()  # yesterday's table is not there yet
    with duckdb.connect() as plain:
        expected = plain.execute(f"SELECT day, {COLUMNS} FROM ({READ}) WHERE day <= '{last}' ORDER BY ALL").fetchall()
        figures = plain.execute(f"{FIGURES} FROM ({READ}) WHERE day <= '{last}' {BY_DAY}").fetchall()
    found = lake.rows(f"SELECT event_date, {COLUMNS} FROM silver.kpi.ga4_events ORDER BY ALL")
    assert found == expected
    daily = lake.rows(f"{FIGURES} FROM (SELECT *, event_date AS day FROM silver.kpi.ga4_events) {BY_DAY}")
    assert daily == figures
    facts = lake.rows(f"SELECT date, platform, metric, value FROM gold.kpi.fact_kpi_daily WHERE metric IN {METRICS}")
    assert len(facts) == len(figures) * len(METRICS)
    assert sorted(facts) == sorted(
        (day, platform, metric, value)
        for day, platform, *values in figures
        for metric, value in zip(METRICS, values, strict=True)
    )
    assert [sum(one) for one in zip(*(row[2:] for row in daily), strict=True)] == TOTALS[last]
