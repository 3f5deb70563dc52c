"""What a contender's tables hold, in figures that are the same for the same rows, however they are stored.

Usage: python -m benchmarks.check TABLES (a JSON object of bronze, rejected, silver and gold, or some of them, each
`delta:FOLDER`, `parquet:GLOB` or `duckdb:FILE:TABLE`); prints the figures as JSON
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
}


def figures(tables: Mapping[str, str]) -> dict[str, dict[str, int | str]]:
    """The figures of each table."""
    found = {}
    with duckdb.connect(config={"memory_limit": "4GB"}) as connection:
        for name, place in tables.items():
            wanted = FIGURES[name]
            row = connection.execute(
                f"SELECT {', '.join(wanted.values())} FROM {_relation(connection, place)}"
            ).fetchone()
            assert row is not None
            found[name] = dict(zip(wanted, row, strict=True))
    return found


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
    print(json.dumps(figures(json.loads(sys.argv[1]))))
