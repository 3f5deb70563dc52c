"""One screen: how the last runs ended, and every table's version, rows, files and size."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from src import lake
from src.engine import DuckEngine
from src.observe import console, query, runs

_LAST_RUNS = 5


def show(engine: DuckEngine, data: Path, declared: Sequence[str]) -> None:
    """Print the last runs and the state of every table, those declared but not built yet included."""
    there = query.tables(data)
    if runs.TABLE not in there:
        print("No run yet. Type `make pipeline`.")
    else:
        _runs(engine, there)
    print()
    _tables(there, declared)


def _runs(engine: DuckEngine, there: dict[str, Path]) -> None:
    query.publish(engine, {runs.TABLE: there[runs.TABLE]})
    rows = engine.rows(
        "SELECT start_time::VARCHAR, status, records_read, records_written, quarantined, round(latency, 1), "
        "coalesce(split_part(error_message, chr(10), 1), '') FROM ops.pipeline_runs WHERE layer = 'run' "
        f"ORDER BY start_time DESC LIMIT {_LAST_RUNS}"
    )
    console.table(("run started (UTC)", "status", "read", "written", "quarantined", "seconds", "error"), rows)


def _tables(there: dict[str, Path], declared: Sequence[str]) -> None:
    rows: list[tuple[object, ...]] = []
    for name in [*declared, *(name for name in there if name not in declared)]:
        snapshot = lake.open_table(there[name]) if name in there else None
        if snapshot is None:
            rows.append((name, None, None, None, None, "not built yet"))
            continue
        since = lake.commit_info(snapshot.root, snapshot.version).get("timestamp")
        moment = datetime.fromtimestamp(since / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S") if since else ""
        rows.append((name, snapshot.version, snapshot.rows, len(snapshot.files), snapshot.size, moment))
    console.table(("table", "version", "rows", "files", "bytes", "last commit (UTC)"), rows)
