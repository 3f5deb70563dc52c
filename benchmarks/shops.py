"""Many tables from one description, as contracts and as dbt models: domains of ten feeds, silver and gold tables.

A feed delivers the sales of one till, a file a day; silver keeps the newest row of each sale, gold has the revenue by
day and country. The first tables of a domain are partitioned by day, the others are computed whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path

TABLES = 10  # of a domain, in each layer
COUNTRIES = ("SE", "NO", "DK", "DE", "FR", "US", "GB", "NL")
TWICE, CORRECTED = 5, 15  # rows of a day's file that stand in it twice; that correct one of the day before

_SILVER = """apiVersion: v3.2.0
kind: DataContract
id: silver.{domain}.t{nth}
name: Sales {nth}
version: 1.0.0
status: active
domain: {domain}
description: {{purpose: Every sale of till {nth}., usage: Revenue by day., limitations: Synthetic.}}
team: {{name: Shops, members: [{{username: shops, role: owner}}]}}
servers:
  - {{server: t{nth}, type: local, path: "{domain}/t{nth}/*.csv", format: csv}}
slaProperties:
  - {{property: latency, value: 36, unit: h}}
  - {{property: frequency, value: 1, unit: d}}
schema:
  - name: t{nth}
    logicalType: object
    physicalType: table
    description: One row per sale.
    properties:
      - {{name: sale_id, logicalType: integer, physicalType: bigint, primaryKey: true, primaryKeyPosition: 1}}
      - name: day
        logicalType: date
        physicalType: date
        required: true{partitioned}
        transformLogic: cast(sold_at as date)
      - name: country
        logicalType: string
        physicalType: varchar
        required: true
        transformLogic: upper(trim(country))
        customProperties: [{{property: drift, value: psi}}]
      - {{name: amount, logicalType: number, physicalType: "decimal(18,2)", required: true}}
      - name: kind
        logicalType: string
        physicalType: varchar
        transformLogic: case when amount < 0 then 'refund' else 'sale' end
        enum: [{{value: sale, description: Sold}}, {{value: refund, description: Taken back}}]
      - {{name: sold_at, logicalType: timestamp, physicalType: timestamp, required: true}}
    quality:
      - {{id: has_rows, type: library, metric: rowCount, mustBeGreaterThan: 0, severity: error}}
      - id: refunds
        description: Few sales are taken back.
        type: sql
        query: select coalesce(100.0 * count(*) filter (kind = 'refund') / nullif(count(*), 0), 0) from ${{object}}
        mustBeLessThan: 40
        severity: warning
    customProperties:
      - {{property: sequenceBy, value: [sold_at]}}
      - {{property: businessDate, value: day}}
"""

_MART = """apiVersion: v3.2.0
kind: DataContract
id: gold.{domain}
name: {domain}
version: 1.0.0
status: active
domain: {domain}
description: {{purpose: What was sold on each day., usage: Add it up., limitations: Synthetic.}}
team: {{name: Shops, members: [{{username: shops, role: owner}}]}}
slaProperties:
  - {{property: latency, value: 36, unit: h}}
  - {{property: frequency, value: 1, unit: d}}
schema:
"""

_GOLD = """  - name: g{nth}
    logicalType: object
    physicalType: table
    description: Sales of each day by country.
    dataGranularityDescription: One row per day and country.
    properties:
      - name: day
        logicalType: date
        physicalType: date
        required: true{partitioned}
      - {{name: country, logicalType: string, physicalType: varchar}}
      - {{name: sales, logicalType: integer, physicalType: bigint, required: true}}
      - {{name: amount, logicalType: number, physicalType: "decimal(18,2)", required: true}}
    quality:
      - {{id: has_rows, type: library, metric: rowCount, mustBeGreaterThan: 0, severity: error}}
    customProperties:
      - {{property: businessDate, value: day}}
"""

_MODEL = """-- One row per day and country.
SELECT day, country, cast(count(*) AS bigint) AS sales, cast(sum(amount) AS decimal(18, 2)) AS amount
FROM silver.{domain}.t{nth}
GROUP BY day, country
"""

_DBT_PROJECT = """name: shops
version: "1.0"
profile: shops
model-paths: [models]
flags:
  send_anonymous_usage_stats: false
  partial_parse: true
models:
  shops:
    +materialized: incremental
"""

_DBT_PROFILE = """shops:
  target: dev
  outputs:
    dev:
      type: duckdb
      path: lake.duckdb
      threads: 2  # models at once
"""

_DBT_BRONZE = """{{{{ config(incremental_strategy='append') }}}}
SELECT *, '{{{{ invocation_id }}}}' AS _batch
FROM read_csv('landing/{domain}/t{nth}/*.csv', auto_detect = false, header = true, delim = ',', quote = '"',
    escape = '"', filename = true,
    columns = {{'sale_id': 'VARCHAR', 'country': 'VARCHAR', 'amount': 'VARCHAR', 'sold_at': 'VARCHAR'}})
{{% if is_incremental() %}}
WHERE filename NOT IN (SELECT filename FROM {{{{ this }}}})
{{% endif %}}
"""

_DBT_SILVER = """{{{{ config({upsert}) }}}}
SELECT
    sale_id::BIGINT AS sale_id, sold_at::TIMESTAMP::DATE AS day, upper(trim(country)) AS country,
    amount::DECIMAL(18,2) AS amount, CASE WHEN amount::DECIMAL(18,2) < 0 THEN 'refund' ELSE 'sale' END AS kind,
    sold_at::TIMESTAMP AS sold_at, _batch
FROM {{{{ ref('bronze_{domain}_t{nth}') }}}}
WHERE _batch = '{{{{ invocation_id }}}}'
QUALIFY row_number() OVER (PARTITION BY sale_id ORDER BY sold_at DESC) = 1
"""
_DBT_MERGE = (
    "incremental_strategy='merge', unique_key='sale_id', "
    "merge_update_condition='DBT_INTERNAL_SOURCE.sold_at > DBT_INTERNAL_DEST.sold_at'"
)

_DBT_GOLD = """{{{{ config({kind}) }}}}
SELECT day, country, count(*)::BIGINT AS sales, sum(amount)::DECIMAL(18,2) AS amount
FROM {{{{ ref('silver_{domain}_t{nth}') }}}}
{changed}GROUP BY day, country
"""
_DBT_CHANGED = """{{% if is_incremental() %}}
WHERE day IN (SELECT day FROM {{{{ ref('silver_{domain}_t{nth}') }}}} WHERE _batch = '{{{{ invocation_id }}}}')
{{% endif %}}
"""


def names(domains: int) -> list[str]:
    """The names of so many domains."""
    return [f"shop{nth:02}" for nth in range(domains)]


def declare(root: Path, domains: Sequence[str], dated: int) -> None:
    """Write the contracts of some domains, and settings, into a new project; `dated` tables of each are by day."""
    contracts(root / "src", domains, dated)
    (root / "Makefile").touch()
    (root / ".env").write_text("SAMPLE_FEED=false\nSETTLE_SECONDS=0\n", "utf-8")


def contracts(folder: Path, domains: Sequence[str], dated: int) -> None:
    """Write the contracts and models of some domains into a folder, as they lie in `src`."""
    for domain in domains:
        silver, gold = folder / "silver" / domain, folder / "gold" / domain
        silver.mkdir(parents=True)
        gold.mkdir(parents=True)
        mart = _MART.format(domain=domain)
        for nth in range(TABLES):
            key = ("\n" + " " * 8).join(("", "partitioned: true", "partitionKeyPosition: 1")) if nth < dated else ""
            (silver / f"t{nth}.yaml").write_text(_SILVER.format(domain=domain, nth=nth, partitioned=key), "utf-8")
            (gold / f"g{nth}.sql").write_text(_MODEL.format(domain=domain, nth=nth), "utf-8")
            mart += _GOLD.format(nth=nth, partitioned=key)
        (gold / "contract.yaml").write_text(mart, "utf-8")


def models(folder: Path, domains: Sequence[str], dated: int) -> None:
    """Write a dbt project of the same tables into a new folder: three models for each feed."""
    folder.mkdir(parents=True)
    (folder / "dbt_project.yml").write_text(_DBT_PROJECT, "utf-8")
    (folder / "profiles.yml").write_text(_DBT_PROFILE, "utf-8")
    for domain in domains:
        target = folder / "models" / domain
        target.mkdir(parents=True)
        for nth in range(TABLES):
            one = {"domain": domain, "nth": nth}
            by_day = {
                "kind": "incremental_strategy='delete+insert', unique_key='day'",
                "changed": _DBT_CHANGED.format(**one),
            }
            gold = by_day if nth < dated else {"kind": "materialized='table'", "changed": ""}
            texts = {
                "bronze": _DBT_BRONZE.format(**one),
                "silver": _DBT_SILVER.format(**one, upsert=_DBT_MERGE),
                "gold": _DBT_GOLD.format(**one, **gold),
            }
            for layer, text in texts.items():
                (target / f"{layer}_{domain}_t{nth}.sql").write_text(text, "utf-8")


def deliver(folder: Path, domains: Sequence[str], day: date, rows: int) -> None:
    """Write one day's file of every feed into a folder, as they lie in the landing zone."""
    for domain in domains:
        for nth in range(TABLES):
            file = folder / domain / f"t{nth}/{day}.csv"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("\n".join(["sale_id,country,amount,sold_at", *_lines(day, nth, rows), ""]), "utf-8")


def _lines(day: date, nth: int, rows: int) -> list[str]:
    new = [_line(day, row, nth) for row in range(rows - TWICE - CORRECTED)]
    again = [_line(day, row * 7, nth, later=30) for row in range(TWICE)]
    corrected = [_line(day - timedelta(days=1), row * 11, nth, later=40) for row in range(CORRECTED)]
    return [*new, *again, *corrected]


def _line(day: date, row: int, nth: int, later: int = 0) -> str:
    """One sale; the same sale `later` (in seconds) has another amount."""
    cents = (row * 3_700 + nth * 1_100 + day.day + later) % 90_000 * (-1 if row % 10 == 9 else 1)
    land = COUNTRIES[(row * row + nth) % 8]
    sold = datetime.combine(day, time()) + timedelta(seconds=row * 300 + later)
    return f"{day.toordinal() * 1000 + row},{land if row % 50 else f' {land.lower()} '},{cents / 100:.2f},{sold}"
