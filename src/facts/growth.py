"""How a lake grew in a month, beside the month before and a year before; and how fast it fills a disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from src import catalog, reads
from src.engine import literal
from src.monitors import freshness, storage
from src.project import Project
from src.run import history, runs, spending

_SPAN = 30  # days of which the sizes say how fast a lake grows
_LEAST = 3  # days with sizes, below which nothing is told


@dataclass(frozen=True)
class Amount:
    """One figure of a month, of the month before, and of the same month a year before; None: not recorded."""

    name: str
    unit: str  # rows | bytes | runs | % | seconds | reads | people | a currency
    month: float | None
    before: float | None
    year_before: float | None


@dataclass(frozen=True)
class TableGrowth:
    """The rows and bytes of one table at the end of a month, and of the month before; None: not measured."""

    table: str
    rows: int | None
    rows_before: int | None
    bytes: int | None
    bytes_before: int | None


@dataclass(frozen=True)
class MartPromises:
    """The days on which tables of a domain or mart kept their freshness in a month; a day and table counts once."""

    domain: str
    kept: int
    graded: int
    kept_before: int
    graded_before: int


@dataclass(frozen=True)
class Growth:
    """A month of a lake; `first`: its first day, `over`: whether it is."""

    first: date
    over: bool
    amounts: tuple[Amount, ...]
    tables: tuple[TableGrowth, ...]  # those that grew most first
    promises: tuple[MartPromises, ...]


@dataclass(frozen=True)
class _Months:
    """A month and those that it is compared with, by their first days."""

    month: date

    @property
    def before(self) -> date:
        return (self.month - timedelta(days=1)).replace(day=1)

    @property
    def year_before(self) -> date:
        return self.month.replace(year=self.month.year - 1)

    def each(self) -> tuple[date, date, date]:
        return self.month, self.before, self.year_before


def after(first: date) -> date:
    """Return the first day of the month after."""
    return (first + timedelta(days=31)).replace(day=1)


def read_growth(project: Project, first: date, now: datetime) -> Growth:
    """Return how a lake grew in the month of a first day, up to a moment (UTC).

    Raises:
        BoathouseError: the records cannot be read.
    """
    months = _Months(first)
    return Growth(
        first=first,
        over=after(first) <= now.date(),
        amounts=(
            *_sizes(project, months),
            *_runs(project, months),
            *_promised(project, months),
            *_read(project, months),
            *_cost(project, months),
        ),
        tables=_tables(project, months),
        promises=_promises(project, months),
    )


def bytes_a_day(project: Project, now: datetime) -> float | None:
    """Return by how many bytes on disk the tables grew each day of the last 30; None where too few days say so."""
    if not _there(project, storage.TABLE):
        return None
    within = f"measured_at > {_moment(now - timedelta(days=_SPAN))} AND measured_at <= {_moment(now)}"
    rows = project.engine.rows(
        'SELECT day, sum(taken) FROM (SELECT "table", measured_at::DATE AS day, arg_max(bytes_on_disk, measured_at) '
        f"AS taken FROM ops.table_stats WHERE {within} AND bytes_on_disk IS NOT NULL GROUP BY ALL) "
        "GROUP BY day ORDER BY day"
    )
    if len(rows) < _LEAST:
        return None
    (first, least), (last, most) = rows[0], rows[-1]
    return float((most - least) / (last - first).days)


def _sizes(project: Project, months: _Months) -> tuple[Amount, ...]:
    """Return the rows and bytes of all tables as they were measured last in each month."""
    found: dict[date, tuple[Any, ...]] = {}
    if _there(project, storage.TABLE):
        for first in months.each():
            [row] = project.engine.rows(
                'SELECT sum(n), sum(b), sum(d) FROM (SELECT arg_max("rows", measured_at) AS n, '
                "arg_max(bytes, measured_at) AS b, arg_max(bytes_on_disk, measured_at) AS d FROM ops.table_stats "
                f'WHERE {_within("measured_at", first)} GROUP BY "table")'
            )
            found[first] = row
    return (
        _amount("rows in all tables", "rows", 0, found, months),
        _amount("live bytes of all tables", "bytes", 1, found, months),
        _amount("bytes on disk", "bytes", 2, found, months),
    )


def _runs(project: Project, months: _Months) -> tuple[Amount, ...]:
    found: dict[date, tuple[Any, ...]] = {}
    if history.publish(project.engine, project.settings.data_dir):
        for first in months.each():
            [row] = project.engine.rows(
                "SELECT count(*), count(*) FILTER (status <> 'success'), sum(records_read), sum(latency) "
                f"FROM ops.pipeline_runs WHERE layer = 'run' AND {_within('start_time', first)}"
            )
            found[first] = row if row[0] else (None,) * 4
    return (
        _amount("runs", "runs", 0, found, months),
        _amount("runs that were not whole", "runs", 1, found, months),
        _amount("rows read by runs", "rows", 2, found, months),
        _amount("seconds of runs", "seconds", 3, found, months),
    )


def _promised(project: Project, months: _Months) -> tuple[Amount, ...]:
    found: dict[date, tuple[Any, ...]] = {}
    for first in months.each():
        rows = _kept(project, first)
        graded = sum(count for _, count in rows.values())
        found[first] = (100.0 * sum(kept for kept, _ in rows.values()) / graded if graded else None,)
    return (_amount("promises of freshness kept", "%", 0, found, months),)


def _read(project: Project, months: _Months) -> tuple[Amount, ...]:
    found: dict[date, tuple[Any, ...]] = {}
    if _there(project, reads.TABLE):
        for first in months.each():
            [row] = project.engine.rows(
                'SELECT count(*), count(DISTINCT "user"), count(*) FILTER (failed) FROM ops.access '
                f"WHERE {_within('moment', first)}"
            )
            found[first] = row if row[0] else (None,) * 3
    return (
        _amount("reads by people", "reads", 0, found, months),
        _amount("people who read", "people", 1, found, months),
        _amount("reads that failed", "reads", 2, found, months),
    )


def _cost(project: Project, months: _Months) -> tuple[Amount, ...]:
    """Return what each month cost in processor seconds, and in the currency of the settings where there are prices."""
    found: dict[date, tuple[Any, ...]] = {}
    settings = project.settings
    if _there(project, "ops.cost_daily"):
        for first in months.each():
            [row] = project.engine.rows(
                "SELECT sum(cpu_seconds), sum(amount) FROM ops.cost_daily "
                f"WHERE day >= DATE '{first}' AND day < DATE '{after(first)}' "
                f"AND currency = {literal(settings.cost_currency)}"
            )
            found[first] = row
    seconds = _amount("processor seconds", "seconds", 0, found, months)
    if not spending.is_priced(settings):
        return (seconds,)
    return (seconds, _amount("cost", settings.cost_currency, 1, found, months))


def _promises(project: Project, months: _Months) -> tuple[MartPromises, ...]:
    month, before = _kept(project, months.month), _kept(project, months.before)
    return tuple(
        MartPromises(name, *month.get(name, (0, 0)), *before.get(name, (0, 0)))
        for name in sorted(month.keys() | before)
    )


def _kept(project: Project, first: date) -> dict[str, tuple[int, int]]:
    """Return by domain on how many days its tables kept their promise, and on how many they were graded."""
    return kept_between(project, first, after(first))


def kept_between(project: Project, first: date, end: date) -> dict[str, tuple[int, int]]:
    """Return by domain on how many days its tables kept their promise and were graded; the end is left out.

    Raises:
        BoathouseError: the figures cannot be read.
    """
    if not _there(project, freshness.TABLE):
        return {}
    kept = ", ".join(map(literal, freshness.KEPT))
    rows = project.engine.rows(
        f'SELECT split_part("table", \'.\', 2), count(*) FILTER (grade IN ({kept})), count(*) FROM (SELECT "table", '
        "arg_max(grade, measured_at) AS grade FROM ops.freshness "
        f"WHERE measured_at >= {_moment(_start(first))} AND measured_at < {_moment(_start(end))} "
        'GROUP BY "table", measured_at::DATE) GROUP BY 1 ORDER BY 1'
    )
    return {domain: (count, graded) for domain, count, graded in rows}


def _tables(project: Project, months: _Months) -> tuple[TableGrowth, ...]:
    if not _there(project, storage.TABLE):
        return ()
    spans = ", ".join(
        f"arg_max({column}, measured_at) FILTER ({_within('measured_at', first)})"
        for column in ('"rows"', "bytes")
        for first in (months.month, months.before)
    )
    rows = project.engine.rows(f'SELECT "table", {spans} FROM ops.table_stats GROUP BY 1')
    found = [TableGrowth(*row) for row in rows if row[1] is not None]
    return tuple(sorted(found, key=lambda one: ((one.bytes_before or 0) - (one.bytes or 0), one.table)))


def _amount(name: str, unit: str, at: int, found: Mapping[date, tuple[Any, ...]], months: _Months) -> Amount:
    month, before, year_before = (found[first][at] if first in found else None for first in months.each())
    return Amount(name, unit, *(None if value is None else float(value) for value in (month, before, year_before)))


def _there(project: Project, table: str) -> bool:
    if table == runs.TABLE:
        return history.publish(project.engine, project.settings.data_dir)
    if table not in catalog.readable(project.settings.data_dir):
        return False
    catalog.publish_named(project.engine, project.settings.data_dir, [table])
    return True


def _within(column: str, first: date) -> str:
    return f"{column} >= {_moment(_start(first))} AND {column} < {_moment(_start(after(first)))}"


def _start(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _moment(moment: datetime) -> str:
    return f"TIMESTAMPTZ {literal(moment.isoformat())}"
