"""The end of a month: its days are whole, what changed after it was closed, and that its state can be brought back.

A month is closed by the first release that was made when it was over.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from src import lake, store
from src.contract import Table
from src.engine import identifier
from src.facts.checklists.nights import named
from src.facts.checklists.steps import Found, Look, NothingRecordedError, Todo, fine, to_do, unknown
from src.facts.wording import moment, pluralized
from src.lake import Snapshot
from src.monitors import volume
from src.monitors.reading import Reading, day_start, sql_moment
from src.run import backup_records, releases

_OF_TEN = 0.8  # of the days of one weekday have rows: such a day without any is a hole
_LEAST = 3  # days of that weekday, below which nothing is usual


@dataclass(frozen=True)
class _Close:
    run_id: str
    at: datetime
    versions: Mapping[str, int]


def whole_days(look: Look) -> Found:
    """Answer which days of the month have no rows in a mart that mostly has some on their weekday."""
    reading = look.reading
    end = min(look.next_month, look.today)
    confirmed = {day for _, day in volume.incident_days(reading)}
    holes: dict[str, list[date]] = {}
    looked = 0
    for table in look.project.marts:
        snapshot = reading.table(table.id) if table.business_date else None
        business = reading.business(table, snapshot) if snapshot else None
        if business is None or not business.rows:
            continue
        looked += 1
        late = timedelta(hours=table.latency_hours or 24.0)
        days = [day for day in _days(look.month, end) if day_start(day + timedelta(days=1)) + late <= look.now]
        missing = [day for day in days if day not in confirmed and _is_hole(day, business.rows, reading)]
        if missing:
            holes[table.id] = missing
    left = (look.next_month - look.today).days
    more = f"; {pluralized(left, 'day')} of it still to come" if left > 0 else ""
    if not looked:
        return unknown("no mart dates its rows")
    if look.month < reading.since:
        return unknown(f"only days since {reading.since} are looked at")
    if not holes:
        text = f"no day is missing in {pluralized(looked, 'dated table')} of the marts{more}"
        return unknown(text) if left > 0 else fine(text)
    todos = [
        Todo(
            "P2",
            f"{name} has no rows on {named([str(day) for day in days])}",
            f".venv/bin/python main.py inspect --table {name}",
        )
        for name, days in holes.items()
    ]
    return to_do(f"holes in {named(list(holes))}{more}", todos)


def _days(first: date, end: date) -> Iterator[date]:
    return (first + timedelta(days=ahead) for ahead in range((end - first).days))


def _is_hole(day: date, rows: Mapping[date, int], reading: Reading) -> bool:
    """Return whether a day has no rows though its weekday mostly has some since the table's first day."""
    first = volume.first_day(rows)  # stragglers of days before the first file are no beginning
    if rows.get(day) or day < first:
        return False
    others = [one for one in _days(first, reading.today) if one.weekday() == day.weekday() and one != day]
    return len(others) >= _LEAST and sum(bool(rows.get(one)) for one in others) >= _OF_TEN * len(others)


def _close(look: Look) -> _Close:
    """Return the release that closed the month.

    Raises:
        NothingRecordedError: the month is not over, or no release was made since.
    """
    if look.next_month > look.today:
        raise NothingRecordedError(
            f"the month is not over: {pluralized((look.next_month - look.today).days, 'day')} to come"
        )
    engine, data = look.project.engine, look.project.settings.data_dir
    if releases.published(engine, data) is None:
        raise NothingRecordedError("there is no release")
    rows = engine.rows(
        'SELECT run_id, released_at, "table", version FROM releases WHERE nth = (SELECT min(nth) FROM releases '
        f"WHERE released_at >= {sql_moment(look.next_month)})"
    )
    if not rows:
        raise NothingRecordedError("no release was made since the month ended: `make pipeline` makes one")
    return _Close(rows[0][0], rows[0][1], {table: version for _, _, table, version in rows})


def closed(look: Look) -> Found:
    """Answer which release closed the month."""
    close = _close(look)
    return fine(f"release {close.run_id} of {moment(close.at)}, {pluralized(len(close.versions), 'table')}")


def late_rows(look: Look) -> Found:
    """Answer how many rows of the month came after it was closed."""
    close = _close(look)
    late: dict[str, int] = {}
    for table in look.project.contracts.silver.values():
        snapshot = look.reading.table(table.id)
        if snapshot and table.business_date in snapshot.columns and "_ingested_at" in snapshot.columns:
            count = _late(look, close, table, snapshot)
            late |= {table.id: count} if count else {}
    if not late:
        return fine(f"none came after {moment(close.at)}")
    todos = [
        Todo(
            "P3",
            f"{pluralized(count, 'row')} of {look.month:%Y-%m} in {name} came after the close",
            f'make query SQL="select _file, count(*) as rows, min(_ingested_at) as taken from {name} '
            f"where _ingested_at > '{close.at:%Y-%m-%d %H:%M:%S}+00' group by all\"",
        )
        for name, count in late.items()
    ]
    return to_do(f"{sum(late.values()):,} rows in {named(list(late))}", todos)


def _late(look: Look, close: _Close, table: Table, snapshot: Snapshot) -> int:
    column = identifier(str(table.business_date))
    return int(
        look.project.engine.one(
            f"SELECT count(*) FROM {look.reading.scan(snapshot)} WHERE {column} >= DATE '{look.month}' "
            f"AND {column} < DATE '{look.next_month}' AND _ingested_at > {sql_moment(close.at)}"
        )[0]
    )


def changed_figures(look: Look) -> Found:
    """Answer which figures of the month are others now than those it was closed with."""
    close = _close(look)
    changed: list[str] = []
    gone: list[str] = []
    compared = 0
    for table in look.project.marts:
        now = look.reading.table(table.id)
        if now is None or table.business_date not in now.columns or table.id not in close.versions:
            continue
        try:
            then = lake.open_table(look.project.path(table.id), close.versions[table.id])
        except lake.HistoryGone:
            then = None
        if then is None or table.business_date not in then.columns:
            gone.append(table.id)
            continue
        compared += 1
        columns = then.columns.keys() & now.columns.keys()
        before, after = (_figures(look, table, one, columns) for one in (then, now))
        if before != after:
            rows = f" ({before[0]:,} rows then, {after[0]:,} now)" if before[0] != after[0] else ""
            changed.append(f"{table.id}{rows}")
    text = f"{compared} tables compared with release {close.run_id}"
    if changed:
        what = f"tell whoever was told: figures of {look.month:%Y-%m} changed in {named(changed)}"
        query = "select run_id, min(released_at) as released from ops.releases group by all order by released"
        command = f'make query SQL="{query}"'
        return to_do(f"{len(changed)} changed: {named(changed)}", [Todo("P3", what, command)])
    if gone or not compared:
        return unknown(f"{text}; vacuum removed that state of {named(gone)}" if gone else "no mart dates its rows")
    return fine(f"{text}, none changed")


def _figures(look: Look, table: Table, snapshot: Snapshot, columns: Collection[str]) -> tuple[int, int]:
    """Return the rows of the month, and a number that their values of some columns give in whatever order."""
    dated = identifier(str(table.business_date))
    # another order of adding up moves the last digits of a float, which is no other figure
    floats = {name for name in columns if snapshot.columns[name] in ("DOUBLE", "FLOAT")}
    values = ", ".join(f"round({identifier(n)}, 6)" if n in floats else identifier(n) for n in sorted(columns))
    count, total = look.project.engine.one(
        f"SELECT count(*), coalesce(sum(hash({values})::HUGEINT), 0) FROM {look.reading.scan(snapshot)} "
        f"WHERE {dated} >= DATE '{look.month}' AND {dated} < DATE '{look.next_month}'"
    )
    return int(count), int(total)


def kept_for_later(look: Look) -> Found:
    """Answer whether a verified backup has the state that the month was closed with."""
    close = _close(look)
    todo = Todo("P2", f"no verified backup has the close of {look.month:%Y-%m}", "make backup")
    if not look.has(backup_records.TABLE):
        return to_do("there never was a backup", [todo])
    rows = look.rows(
        backup_records.TABLE,
        "SELECT backup, max(started_at) FROM ops.backups WHERE kind = 'backup' GROUP BY 1 "
        f"HAVING arg_max(verified, started_at) AND max(started_at) >= {sql_moment(close.at)} ORDER BY 2",
    )
    if not rows:
        return to_do(f"none since {moment(close.at)}", [todo])
    return fine(f"{rows[0][0]}, verified, of {moment(rows[0][1])}")


def report_written(look: Look) -> Found:
    """Answer whether the report of the month was written after it was over."""
    name = f"{look.month:%Y-%m}"
    path = look.project.settings.data_dir / "reports" / f"month-{name}.md"
    todo = Todo("P4", f"the report of {name} is not written", f"make report MONTH={name}")
    if not path.is_file():
        return to_do("not written", [todo])
    written = datetime.fromtimestamp(store.facts(path).modified / 1e9, look.now.tzinfo)
    if written.date() < look.next_month <= look.today:
        return to_do(f"written {moment(written)}, before the month was over", [todo])
    return fine(f"{look.project.relative(str(path))}, written {moment(written)}")
