"""dlt: Delta tables on the file system, bronze appended, silver and gold merged (upsert).

Tuned: DuckDB reads and cleans, Arrow batches are handed over as they are (no row is turned into Python), the merge
does not stream its source, and the day is part of the key and the partition, so that it looks into the touched days
only: an order never changes its day here. dlt's upsert knows no condition, so rows older than the stored ones are
taken out before. Two workers load at once: with one, the loader waits for a second after each table.

Usage: python load.py, in a folder whose `landing` holds the new files; the tables lie in `lake`
"""

import os
from collections.abc import Iterator
from pathlib import Path

os.environ |= {
    "RUNTIME__LOG_LEVEL": "ERROR",
    "LOAD__WORKERS": "2",
    "LOAD__DELETE_COMPLETED_JOBS": "true",
    "NORMALIZE__WORKERS": "1",
    "NORMALIZE__PARQUET_NORMALIZER__ADD_DLT_LOAD_ID": "false",
    "DESTINATION__FILESYSTEM__DELTALAKE_STREAMED_EXEC": "false",
}

import dlt
import duckdb
import pyarrow
from deltalake import DeltaTable

BATCH = 200_000  # rows handed over at once
COLUMNS = [
    *("order_id", "line_id", "customer_id", "product_id", "country", "quantity", "unit_price"),
    *("tax", "discount", "currency", "order_ts", "updated_at", "status", "note"),
]
UPSERT = {"disposition": "merge", "strategy": "upsert"}
connection = duckdb.connect(config={"temp_directory": ".spill"})
connection.execute("SET preserve_insertion_order = false")


def main() -> None:
    days = clean()
    target = dlt.destinations.filesystem(bucket_url=Path.cwd().as_uri())
    pipeline = dlt.pipeline("orders", pipelines_dir=".pipelines", destination=target, dataset_name="lake")
    pipeline.run([bronze(), rejected(), silver()], loader_file_format="parquet")
    pipeline.run([gold(days)], loader_file_format="parquet")


TYPED = """
    SELECT
        rowid AS nth, try_cast(nullif(trim(order_id), '') AS BIGINT) AS order_id,
        try_cast(line_id AS INTEGER) AS line_id,
        try_cast(customer_id AS BIGINT) AS customer_id, nullif(trim(product_id), '') AS product_id,
        nullif(upper(trim(country)), '') AS country, try_cast(quantity AS INTEGER) AS quantity,
        try_cast(unit_price AS DECIMAL(12,2)) AS unit_price, try_cast(tax AS DECIMAL(12,2)) AS tax,
        try_cast(discount AS DECIMAL(12,2)) AS discount, nullif(trim(currency), '') AS currency,
        try_cast(order_ts AS TIMESTAMP) AS order_ts, try_cast(updated_at AS TIMESTAMP) AS updated_at,
        nullif(trim(status), '') AS status, nullif(trim(note), '') AS note
    FROM raw"""
GOOD = (
    "order_id IS NOT NULL AND line_id IS NOT NULL AND quantity >= 1 AND unit_price IS NOT NULL "
    "AND order_ts IS NOT NULL AND updated_at IS NOT NULL"
)


def clean() -> list[str]:
    """Leave the rows as they came in `raw`, the good ones, typed and newest, in `clean`; returns their days."""
    columns = ", ".join(f"'{name}': 'VARCHAR'" for name in COLUMNS)
    connection.execute(
        "CREATE TABLE raw AS FROM read_csv('landing/*.csv', auto_detect = false, header = true, delim = ',', "
        f"quote = '\"', escape = '\"', new_line = '\\n', columns = {{{columns}}})"
    )
    connection.execute(f"CREATE TABLE clean AS SELECT *, order_ts::DATE AS order_date FROM ({TYPED}) WHERE {GOOD}")
    connection.execute("CREATE TABLE good AS SELECT nth FROM clean")
    connection.execute(
        "DELETE FROM clean WHERE rowid IN (SELECT c.rowid FROM clean c JOIN ("
        "SELECT order_id, line_id, arg_max(rowid, updated_at) AS newest FROM clean GROUP BY ALL HAVING count(*) > 1"
        ") USING (order_id, line_id) WHERE c.rowid <> newest)"
    )
    days = [str(day) for (day,) in connection.execute("SELECT DISTINCT order_date FROM clean").fetchall()]
    if stored := files("silver", days):
        connection.execute(
            f"DELETE FROM clean USING (SELECT order_id, line_id, updated_at FROM read_parquet({stored})) s "
            "WHERE clean.order_id = s.order_id AND clean.line_id = s.line_id AND clean.updated_at <= s.updated_at"
        )
    return days


def files(table: str, days: list[str]) -> list[str]:
    """The files that hold these days."""
    place = f"lake/{table}"
    if not DeltaTable.is_deltatable(place):
        return []
    listed = ", ".join(f"'{day}'" for day in days)
    return DeltaTable(place).file_uris(file_pruning_predicate=f"order_date IN ({listed})")


def batches(sql: str) -> Iterator[pyarrow.RecordBatch]:
    yield from connection.cursor().sql(sql).to_arrow_reader(BATCH)


@dlt.resource(table_format="delta", write_disposition="append")
def bronze() -> Iterator[pyarrow.RecordBatch]:
    yield from batches("FROM raw")


@dlt.resource(table_format="delta", write_disposition="append")
def rejected() -> Iterator[pyarrow.RecordBatch]:
    yield from batches("FROM raw WHERE rowid NOT IN (SELECT nth FROM good)")


@dlt.resource(
    table_format="delta",
    write_disposition=UPSERT,
    primary_key=["order_date", "order_id", "line_id"],
    columns={"order_date": {"partition": True}},
)
def silver() -> Iterator[pyarrow.RecordBatch]:
    yield from batches("SELECT * EXCLUDE nth FROM clean")


@dlt.resource(
    table_format="delta",
    write_disposition=UPSERT,
    primary_key=["order_date", "country", "product_id"],
    columns={"order_date": {"partition": True}},
)
def gold(days: list[str]) -> Iterator[pyarrow.RecordBatch]:
    yield from batches(
        "SELECT order_date, country, product_id, count(*) AS orders, sum(quantity)::BIGINT AS units, "
        "sum(quantity * unit_price + tax - discount)::DECIMAL(18,2) AS revenue "
        f"FROM read_parquet({files('silver', days)}, hive_partitioning = true) GROUP BY ALL"
    )


main()
