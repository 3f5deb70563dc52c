"""Each step takes about as long as its last thirty runs took; runs with nothing to do are passed over.

A step is slow when its last run took more than three times the median of the (up to 30) runs before it, and more than
a second longer; it takes five runs before to say so. The run as a whole, start of bronze to end of gold, is the step
named `run`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from src.monitors.reading import Reading, sql_moment
from src.problems import Problem
from src.run import history, runs

TABLE = "ops.latency"
_RUNS, _LEAST = 30, 5
_TIMES, _SECONDS = 3.0, 1.0


@dataclass(frozen=True)
class Latency:
    """The seconds of one step's last run, beside those of the runs before; None without a run before."""

    measured_at: datetime
    step: str  # a table's id; `run`: from end to end
    last: float
    runs_before: int
    median: float | None
    p95: float | None
    ratio: float | None  # last to median
    slow: bool


def measure(reading: Reading) -> tuple[tuple[Latency, ...], tuple[Problem, ...]]:
    """Measure the latency of every step that had something to do in ten weeks; a problem for each slow one."""
    if not reading.publish(runs.TABLE):
        return (), ()
    rows = tuple(_row(reading.now, *found) for found in _steps(reading))
    return rows, tuple(_problems(reading, rows))


def _steps(reading: Reading) -> list[tuple[str, float, int, float | None, float | None]]:
    return reading.project.engine.rows(
        "SELECT table_id, max(latency) FILTER (nth = 1), count(*) FILTER (nth > 1), median(latency) FILTER (nth > 1), "
        "quantile_cont(latency, 0.95) FILTER (nth > 1) FROM (SELECT *, row_number() OVER "
        "(PARTITION BY table_id ORDER BY start_time DESC, run_id DESC) AS nth FROM (SELECT * "
        "FROM ops.pipeline_runs WHERE status = 'success' AND records_read > 0 "
        f"AND (layer <> 'run' OR {history.PIPELINE}) AND start_time >= {sql_moment(reading.since)})) "
        f"WHERE nth <= {_RUNS + 1} GROUP BY table_id ORDER BY table_id"
    )


def _row(now: datetime, step: str, last: float, before: int, middle: float | None, p95: float | None) -> Latency:
    slow = middle is not None and before >= _LEAST and last > _TIMES * middle and last - middle > _SECONDS
    return Latency(now, step, last, before, middle, p95, last / middle if middle else None, slow)


def _problems(reading: Reading, rows: Iterable[Latency]) -> Iterable[Problem]:
    for row in rows:
        if row.slow:
            what = f"took {row.last:.1f} s; the median of the {row.runs_before} runs before is {row.median:.1f} s"
            fix = "see logs/app.log for what it did; `make optimize` joins many small files"
            yield Problem("latency", row.step, "P4", reading.yesterday, what, fix)
