"""The floor: DuckDB alone reads the same files, cleans, deduplicates, merges and writes plain Parquet.

No log of versions, no memory of what was read, no check, no second reader: a run that is cut short leaves
half a table. It knows what no pipeline knows, that an order never changes its day, and so looks at the days
of the new rows only. What a pipeline costs beyond this is the price of its promises.

Usage: python -m benchmarks.floor FOLDER FILE... (the first call makes the tables, later ones merge into them)
       python -m benchmarks.floor FOLDER --bronze FORMAT FILE... (copies the files to Parquet and stops)
"""

from __future__ import annotations

import sys
import uuid
from pathlib import Path

import duckdb

from benchmarks.generate import COLUMNS

PARQUET = "FORMAT parquet, COMPRESSION zstd"
TYPED = """
    SELECT
        nth, try_cast(nullif(trim(order_id), '') AS BIGINT) AS order_id, try_cast(line_id AS INTEGER) AS line_id,
        try_cast(customer_id AS BIGINT) AS customer_id, nullif(trim(product_id), '') AS product_id,
        nullif(upper(trim(country)), '') AS country, try_cast(quantity AS INTEGER) AS quantity,
        try_cast(unit_price AS DECIMAL(12,2)) AS unit_price, try_cast(tax AS DECIMAL(12,2)) AS tax,
        try_cast(discount AS DECIMAL(12,2)) AS discount, nullif(trim(currency), '') AS currency,
        try_cast(order_ts AS TIMESTAMP) AS order_ts, try_cast(updated_at AS TIMESTAMP) AS updated_at,
        nullif(trim(status), '') AS status, nullif(trim(note), '') AS note
    FROM {rows}"""
GOOD = (
    "order_id IS NOT NULL AND line_id IS NOT NULL AND quantity >= 1 AND unit_price IS NOT NULL "
    "AND order_ts IS NOT NULL AND updated_at IS NOT NULL"
)
REVENUE = """
    SELECT
        order_date, country, product_id, count(*) AS orders, sum(quantity)::BIGINT AS units,
        sum(quantity * unit_price + tax - discount)::DECIMAL(18,2) AS revenue
    FROM {rows} GROUP BY ALL"""


def main(folder: Path, words: list[str]) -> None:
    connection = duckdb.connect(config={"temp_directory": str(folder / ".spill")})
    connection.execute("SET preserve_insertion_order = false; SET partitioned_write_max_open_files = 2000")
    if words[0] == "--bronze":
        _keep(connection, folder, READERS[words[1]](words[2:]))
        return
    bronze = _keep(connection, folder, read_csv(words))
    _clean(connection, folder, bronze)
    days = [day for (day,) in connection.execute("SELECT DISTINCT order_date FROM clean").fetchall()]
    silver = _merge(connection, folder / "silver", days)
    _aggregate(connection, folder / "gold", silver, days)


def read_csv(files: list[str]) -> str:
    """The files' rows as text, the reader told everything it would have to guess."""
    columns = ", ".join(f"'{name}': 'VARCHAR'" for name in COLUMNS)
    return (
        f"read_csv({files}, auto_detect = false, header = true, delim = ',', quote = '\"', escape = '\"', "
        f"new_line = '\\n', columns = {{{columns}}})"
    )


def read_json(files: list[str]) -> str:
    columns = ", ".join(f"'{name}': 'VARCHAR'" for name in COLUMNS)
    return f"read_json({files}, format = 'newline_delimited', columns = {{{columns}}})"


def read_parquet(files: list[str]) -> str:
    return f"read_parquet({files})"


READERS = {"csv": read_csv, "ndjson": read_json, "parquet": read_parquet}


def _keep(connection: duckdb.DuckDBPyConnection, folder: Path, rows: str) -> str:
    """Write the rows as they came; returns the file."""
    (folder / "bronze").mkdir(parents=True, exist_ok=True)
    bronze = f"{folder}/bronze/{uuid.uuid4()}.parquet"
    connection.execute(f"COPY (FROM {rows}) TO '{bronze}' ({PARQUET})")
    return bronze


def _clean(connection: duckdb.DuckDBPyConnection, folder: Path, bronze: str) -> None:
    """Type the rows, put the dirty ones aside, keep the newest of each key in the table `clean`."""
    rows = f"(SELECT *, file_row_number AS nth FROM read_parquet('{bronze}', file_row_number = true))"
    connection.execute(
        f"CREATE TEMP TABLE clean AS SELECT *, order_ts::DATE AS order_date, coalesce({GOOD}, false) AS good "
        f"FROM ({TYPED.format(rows=rows)})"
    )
    (folder / "rejected").mkdir(exist_ok=True)
    dirty = "SELECT nth FROM clean WHERE NOT good"
    rejected = f"SELECT * EXCLUDE (nth, file_row_number) FROM {rows} WHERE nth IN ({dirty})"
    connection.execute(f"COPY ({rejected}) TO '{folder}/rejected/{uuid.uuid4()}.parquet' ({PARQUET})")
    # wide rows never enter a sort or a window: only the row ids that are superseded are looked for
    connection.execute(
        "DELETE FROM clean WHERE NOT good OR rowid IN (SELECT c.rowid FROM clean c JOIN ("
        "SELECT order_id, line_id, arg_max(rowid, updated_at) AS newest FROM clean WHERE good "
        "GROUP BY ALL HAVING count(*) > 1) USING (order_id, line_id) WHERE c.good AND c.rowid <> newest)"
    )


def _merge(connection: duckdb.DuckDBPyConnection, silver: Path, days: list[object]) -> list[str]:
    """Rewrite the partitions of these days, the newer of old and new row for each key; returns their files."""
    old = [str(path) for day in days for path in silver.glob(f"order_date={day}/*.parquet")]
    rows = f"SELECT {', '.join(COLUMNS)}, order_date FROM clean"
    if old:
        stored = f"(SELECT {', '.join(COLUMNS)}, order_ts::DATE AS order_date FROM read_parquet({old}))"
        connection.execute(
            f"DELETE FROM clean USING {stored} s WHERE clean.order_id = s.order_id AND clean.line_id = s.line_id "
            "AND clean.updated_at <= s.updated_at"
        )
        rows += f" UNION ALL SELECT * FROM {stored} ANTI JOIN clean USING (order_id, line_id)"
    _replace(connection, rows, silver, old)
    return [str(path) for day in days for path in silver.glob(f"order_date={day}/*.parquet")]


def _aggregate(connection: duckdb.DuckDBPyConnection, gold: Path, silver: list[str], days: list[object]) -> None:
    """Rewrite the revenue of these days."""
    old = [str(path) for day in days for path in gold.glob(f"order_date={day}/*.parquet")]
    _replace(connection, REVENUE.format(rows=f"read_parquet({silver}, hive_partitioning = true)"), gold, old)


def _replace(connection: duckdb.DuckDBPyConnection, rows: str, folder: Path, old: list[str]) -> None:
    options = f"{PARQUET}, PARTITION_BY (order_date), FILENAME_PATTERN '{{uuid}}', OVERWRITE_OR_IGNORE"
    connection.execute(f"COPY ({rows}) TO '{folder}' ({options})")
    for path in old:
        Path(path).unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
