"""Marts that look across their partitions, one kind for each way to do so, and what each must hold.

A kind is a model as a person would write it, the custom properties of its table, and the oracle's own SQL over the
rows of silver (`winners`), written another way.
"""

from __future__ import annotations

from dataclasses import dataclass

CALENDAR = "day,weekday\n" + "".join(f"2024-0{month}-{day:02},x\n" for month in (1, 2) for day in range(1, 29))
CALENDAR_CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: shop.calendar
version: 1.0.0
status: active
servers: [{server: calendar, type: local, path: "shop/calendar/*.csv", format: csv}]
schema:
  - name: calendar
    properties:
      - {name: day, logicalType: date, primaryKey: true}
      - {name: weekday, logicalType: string}
"""
CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: figures
name: Figures
version: 1.0.0
status: active
description: {purpose: What looks across days.}
team: {name: Shop, members: [{username: shop-office, role: owner}]}
slaProperties: [{property: frequency, value: 1, unit: d}]
schema:
  - name: figure
    properties:
      - {name: day, logicalType: date, required: true, partitioned: true}
      - {name: x, logicalType: number, physicalType: "decimal(18,2)"SOURCES}
PROPERTIES"""


@dataclass(frozen=True)
class Kind:
    """One way to look across partitions."""

    model: str
    expected: str
    properties: tuple[str, ...] = ()
    calendar: bool = False  # whether the model reads a table of days beside the orders

    @property
    def is_python(self) -> bool:
        return "def model(" in self.model

    @property
    def contract(self) -> str:
        words = "".join(f"      - {{{one}}}\n" for one in self.properties)
        sources = ", transformSourceObjects: [silver.shop.orders]" if self.is_python else ""
        custom = f"    customProperties:\n{words}" if words else ""
        return CONTRACT.replace("SOURCES", sources).replace("PROPERTIES", custom)


_CLAIM, _LOOKBACK = "property: refresh, value: partitions", "property: lookback, value: 1"
KINDS = {
    "": Kind("", ""),
    "running": Kind(
        "SELECT day, sum(sum(amount)) OVER (ORDER BY day)::DECIMAL(18,2) AS x FROM silver.shop.orders GROUP BY day",
        "SELECT a.day, sum(b.amount)::DECIMAL(18,2) FROM (SELECT DISTINCT day FROM winners) a "
        "JOIN winners b ON b.day <= a.day GROUP BY a.day",
    ),
    "first": Kind(
        "SELECT day, count(*)::DECIMAL(18,2) AS x "
        "FROM (SELECT amount, min(day) AS day FROM silver.shop.orders GROUP BY amount) GROUP BY day",
        "SELECT day, count(DISTINCT amount)::DECIMAL(18,2) FROM winners a "
        "WHERE NOT EXISTS (SELECT 1 FROM winners b WHERE b.amount = a.amount AND b.day < a.day) GROUP BY day",
    ),
    "share": Kind(
        "SELECT day, (sum(amount) - (SELECT sum(amount) FROM silver.shop.orders))::DECIMAL(18,2) AS x "
        "FROM silver.shop.orders GROUP BY day",
        "SELECT DISTINCT a.day, "
        "-coalesce((SELECT sum(b.amount) FROM winners b WHERE b.day <> a.day), 0)::DECIMAL(18,2) FROM winners a",
    ),
    "as-of": Kind(
        "WITH daily AS (SELECT day, sum(amount) AS total FROM silver.shop.orders GROUP BY day) "
        "SELECT a.day, b.total::DECIMAL(18,2) AS x FROM daily a ASOF LEFT JOIN daily b ON b.day < a.day",
        "SELECT DISTINCT a.day, (SELECT sum(b.amount)::DECIMAL(18,2) FROM winners b "
        "WHERE b.day = (SELECT max(c.day) FROM winners c WHERE c.day < a.day)) FROM winners a",
    ),
    "lookback": Kind(
        "SELECT day, lag(sum(amount)::DECIMAL(18,2)) OVER (ORDER BY day) AS x FROM silver.shop.orders GROUP BY day",
        "SELECT DISTINCT a.day, (SELECT sum(b.amount)::DECIMAL(18,2) FROM winners b "
        "WHERE b.day = (SELECT max(c.day) FROM winners c WHERE c.day < a.day)) FROM winners a",
        (_LOOKBACK,),
    ),
    "calendar": Kind(
        "SELECT o.day, lag(sum(o.amount)::DECIMAL(18,2)) OVER (ORDER BY o.day) AS x "
        "FROM silver.shop.orders o JOIN silver.shop.calendar c ON c.day = o.day GROUP BY o.day",
        "SELECT DISTINCT a.day, (SELECT sum(b.amount)::DECIMAL(18,2) FROM winners b "
        "WHERE b.day = (SELECT max(c.day) FROM winners c WHERE c.day < a.day)) FROM winners a",
        (_LOOKBACK,),
        calendar=True,
    ),
    "python": Kind(
        "import polars as pl\n\n\ndef model(tables: dict[str, pl.LazyFrame]) -> pl.LazyFrame:\n"
        '    orders = tables["silver.shop.orders"]\n'
        '    return orders.group_by("day").agg(pl.col("amount").max().cast(pl.Decimal(18, 2)).alias("x"))\n',
        "SELECT DISTINCT ON (day) day, amount::DECIMAL(18,2) FROM winners ORDER BY day, amount DESC",
        (_CLAIM,),
    ),
    "claim": Kind(
        "SELECT day, (sum(amount) + 0 * sum(sum(amount)) OVER ())::DECIMAL(18,2) AS x "
        "FROM silver.shop.orders GROUP BY day",
        "SELECT DISTINCT a.day, "
        "(SELECT sum(b.amount)::DECIMAL(18,2) FROM winners b WHERE b.day = a.day) FROM winners a",
        (_CLAIM,),
    ),
}
