"""The yardstick: a script of DuckDB alone that reads the shop's files and ends with the same three aggregates.

Usage: python -m benchmarks.duckdb_script FILES FOLDER. No tables others can read, no memory of what was
read, no rejects, no second run.
"""

from __future__ import annotations

import sys

import duckdb


def main(files: str, folder: str) -> None:
    con = duckdb.connect()
    con.execute(f"COPY (FROM read_csv('{files}/*.csv', all_varchar=true, header=true)) TO '{folder}/raw.parquet'")
    con.execute(
        f"""
        CREATE TABLE lines AS
        SELECT DISTINCT trim(InvoiceNo) AS invoice_no, trim(StockCode) AS stock_code, trim(Description) AS description,
            cast(Quantity AS integer) AS quantity, cast(InvoiceDate AS timestamp) AS invoiced_at,
            cast(UnitPrice AS decimal(18,3)) AS unit_price, cast(cast(CustomerID AS double) AS bigint) AS customer_id,
            trim(Country) AS country
        FROM '{folder}/raw.parquet'
        """
    )
    for name, keys in {
        "daily": "cast(invoiced_at AS date), country",
        "monthly": "date_trunc('month', invoiced_at)",
        "products": "stock_code",
    }.items():
        con.execute(
            f"""
            COPY (
                SELECT {keys}, sum(quantity * unit_price) AS revenue, count(DISTINCT invoice_no) AS orders,
                    count(DISTINCT customer_id) AS customers, sum(quantity) AS units
                FROM lines GROUP BY ALL
            ) TO '{folder}/{name}.parquet'
            """
        )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
