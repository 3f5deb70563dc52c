"""What each table takes on disk, and when it is worth tidying up.

Compaction pays where one partition holds five or more files below 32 MiB, the rule of `make optimize`. A weekly
`optimize` is meant to find such files, so it is a problem only from 30 of them in a table on: a month of daily runs.
Of a table of figures it takes 200: every health check adds a file, each hour, and `optimize` may be a week away.

Write amplification is the bytes of all files that the commits of the last 30 days added, compaction included, for
each byte of the rows that were inserted or updated in these days (rows by ops.pipeline_runs, at the table's mean
bytes per row). Near 1 for bronze, and for gold, whose rows all count as new where a partition is computed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from src import catalog, lake
from src.monitors.reading import Reading, sql_moment
from src.problems import Problem
from src.run import runs

TABLE = "ops.table_stats"
_SPAN = timedelta(days=30)
_WORTH, _WORTH_FIGURES = 30, 200  # files


@dataclass(frozen=True)
class TableStats:
    """One table at its newest version; sizes in bytes."""

    measured_at: datetime
    table: str
    version: int
    rows: int
    files: int
    bytes: int
    bytes_on_disk: int | None  # of every file below its folder, older versions and the log too; None: not measured
    small_files: int  # those that compaction would join
    log_entries: int
    bytes_written: int  # by the commits of the last 30 days
    write_amplification: float | None


def measure(reading: Reading, *, on_disk: bool = True) -> tuple[tuple[TableStats, ...], tuple[Problem, ...]]:
    """Measure every table on disk; a problem for each that has many small files.

    `on_disk` False: not what its folder takes, as every file has to be asked for its size.
    """
    fresh = _fresh_rows(reading)
    rows: list[TableStats] = []
    for name in catalog.tables(reading.project.settings.data_dir):
        row = reading.attempt(name, _row, reading, name, fresh.get(name, 0), on_disk)
        rows += [row] if row else []
    return tuple(rows), tuple(_problems(reading, rows))


def _fresh_rows(reading: Reading) -> dict[str, int]:
    """Return the rows inserted or updated in the last 30 days, by table."""
    if not reading.publish(runs.TABLE):
        return {}
    return dict(
        reading.project.engine.rows(
            "SELECT table_id, sum(inserted + updated)::BIGINT FROM ops.pipeline_runs "
            f"WHERE status = 'success' AND start_time >= {sql_moment(reading.now - _SPAN)} GROUP BY 1"
        )
    )


def _row(reading: Reading, name: str, fresh: int, on_disk: bool) -> TableStats | None:
    table = lake.open_table(reading.project.path(name))
    if table is None:
        return None
    written = lake.bytes_written(table, (reading.now - _SPAN).timestamp())
    per_row = table.size / table.rows if table.rows else 0.0
    return TableStats(
        measured_at=reading.now,
        table=name,
        version=table.version,
        rows=table.rows,
        files=len(table.files),
        bytes=table.size,
        bytes_on_disk=lake.bytes_on_disk(table.root) if on_disk else None,
        small_files=sum(len(files) for files in lake.crowded(table).values()),
        log_entries=len(lake.entry_versions(table.root)),
        bytes_written=written,
        write_amplification=written / (fresh * per_row) if fresh and per_row else None,
    )


def _problems(reading: Reading, rows: Iterable[TableStats]) -> Iterable[Problem]:
    for row in rows:
        if row.small_files >= _WORTH and row.small_files >= _worth(reading, row.table):
            what = f"{row.small_files} of {row.files} files are small and lie together"
            yield Problem("storage", row.table, "P4", reading.today, what, "`make optimize` joins them")


def _worth(reading: Reading, name: str) -> int:
    """Return how many small files a table may have before they are a problem."""
    table = reading.attempt(name, lake.open_table, reading.project.path(name))
    return _WORTH_FIGURES if table and "measured_at" in table.columns else _WORTH
