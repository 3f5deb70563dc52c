"""What a contender's tables hold, in figures that are the same for the same rows, however they are stored.

Usage: python -m benchmarks.check < TABLES (a JSON object of bronze, rejected, silver and gold, or some of them, each
`delta:FOLDER`, `parquet:GLOB` or `duckdb:FILE:TABLE`; of many tables of one kind an object of these by name, whose
figures are told together); prints the figures as JSON
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping

import duckdb

FIGURES = {
    "bronze": {"rows": "count(*)"},
    "rejected": {"rows": "count(*)"},
    "silver": {
        "rows": "count(*)",
        "keys": "count(DISTINCT hash(order_id::BIGINT, line_id::INTEGER))",
        "units": "sum(quantity)::BIGINT",
        "revenue": "sum(quantity * unit_price + tax - discount)::DECIMAL(18,2)::VARCHAR",
        "content": "sum(hash(order_id::BIGINT, line_id::INTEGER, customer_id::BIGINT, product_id, country, "
        "quantity::INTEGER, unit_price::DECIMAL(12,2), tax::DECIMAL(12,2), discount::DECIMAL(12,2), currency, "
        "epoch_us(order_ts), epoch_us(updated_at), status, note)::HUGEINT)::VARCHAR",
    },
    "gold": {
        "rows": "count(*)",
        "orders": "sum(orders)::BIGINT",
        "units": "sum(units)::BIGINT",
        "revenue": "sum(revenue)::DECIMAL(18,2)::VARCHAR",
        "content": "sum(hash(order_date::DATE, country, product_id, orders::BIGINT, units::BIGINT, "
        "revenue::DECIMAL(18,2))::HUGEINT)::VARCHAR",
    },
    # of many tables: `name` is that of a row's table
    "bronze of shops": {
        "rows": "count(*)",
        "content": "sum(hash(name, sale_id, country, amount, sold_at)::HUGEINT)::VARCHAR",
    },
    "silver of shops": {
        "rows": "count(*)",
        "keys": "count(DISTINCT hash(name, sale_id::BIGINT))",
        "amount": "sum(amount)::DECIMAL(18,2)::VARCHAR",
        "content": "sum(hash(name, sale_id::BIGINT, day::DATE, country, amount::DECIMAL(18,2), kind, "
        "epoch_us(sold_at))::HUGEINT)::VARCHAR",
    },
    "gold of shops": {
        "rows": "count(*)",
        "sales": "sum(sales)::BIGINT",
        "amount": "sum(amount)::DECIMAL(18,2)::VARCHAR",
        "content": "sum(hash(name, day::DATE, country, sales::BIGINT, amount::DECIMAL(18,2))::HUGEINT)::VARCHAR",
    },
}
COLUMNS = {  # of many tables, those that are read
    "bronze of shops": "sale_id, country, amount, sold_at",
    "silver of shops": "sale_id, day, country, amount, kind, sold_at",
    "gold of shops": "day, country, sales, amount",
}


def figures(tables: Mapping[str, str | Mapping[str, str]]) -> dict[str, dict[str, int | str]]:
    """The figures of each table."""
    found = {}
    with duckdb.connect(config={"memory_limit": "4GB"}) as connection:
        for name, place in tables.items():
            wanted = FIGURES[name]
            relation = (
                _relation(connection, place) if isinstance(place, str) else _together(connection, COLUMNS[name], place)
            )
            row = connection.execute(f"SELECT {', '.join(wanted.values())} FROM {relation}").fetchone()
            assert row is not None
            found[name] = dict(zip(wanted, row, strict=True))
    return found


def _together(connection: duckdb.DuckDBPyConnection, columns: str, places: Mapping[str, str]) -> str:
    parts = [
        f"SELECT '{name}' AS name, {columns} FROM {_relation(connection, place)}" for name, place in places.items()
    ]
    return f"({' UNION ALL '.join(parts)})"


def _relation(connection: duckdb.DuckDBPyConnection, place: str) -> str:
    kind, _, rest = place.partition(":")
    if kind == "duckdb":
        file, _, table = rest.rpartition(":")
        connection.execute(f"ATTACH IF NOT EXISTS '{file}' AS lake (READ_ONLY)")
        return f"lake.{table}"
    if kind == "delta":
        from deltalake import DeltaTable

        files = DeltaTable(rest).file_uris()
    else:
        files = [rest]
    return f"read_parquet({files}, hive_partitioning = true, union_by_name = true)"


if __name__ == "__main__":
    print(json.dumps(figures(json.load(sys.stdin))))
