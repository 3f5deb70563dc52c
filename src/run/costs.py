"""What each step of a run took and what its table weighs since, at the prices of that day: `ops.cost`.

One row for each step; for each other table that was measured, without seconds; and one of layer `run` for what the run
took beside its steps, so that the rows of a run add up to all that it took. They are written last and in one commit: a
run that dies has all of them or none.

A table is measured after a step that moved it. All are after the first run of a day, after maintenance and after a
backup; `complete` says so: a table of which such a run has no row is not there any more. A storage price is one for a
month, so the rows hold bytes; `ops.cost_daily` has what a day of them costs, once a day however many runs there are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

from src import catalog, lake
from src.errors import BoathouseError
from src.logger import logger
from src.project import Project
from src.run import backup_sizes, runs
from src.run.kinds import RunKind
from src.run.metering import Usage
from src.run.runs import Record, Run

TABLE = "ops.cost"
SHARED = "ops"  # the domain that pays for what is of no other: runs beside their steps, and the records under ops
_MEASURED, _BACKUP = "measured", "backup"  # in each commit: the day of the last complete measuring; what backups held
_STEPS_ALONE = (RunKind.PIPELINE, RunKind.PULL)  # kinds of run that move no table but those of their steps
_BESIDE = ("quarantine", "statements", "deletions")  # layers of what a silver step writes beside its table


@dataclass(frozen=True)
class Cost:
    """One step of one run, or one table measured after it. `moment` in UTC, `day` in the project's time zone."""

    number: int  # counts up with each run, whatever the clock said
    run_id: str
    moment: datetime
    day: date
    layer: str  # run: what the run took beside its steps
    domain: str  # a mart's is its own name: it pays for itself, whatever it reads
    table: str
    cpu_seconds: Decimal
    wall_seconds: float
    peak_memory: int | None
    bytes_read: int | None
    bytes_written: int | None
    landed_bytes: int | None  # of the landed files taken
    live_bytes: int | None  # of the files of the newest version; None: not measured
    history_bytes: int | None  # of all else in its folder: older versions, the log, what vacuum has yet to remove
    backup_bytes: int | None  # of its files at the remote, of all backups that are kept
    complete: bool | None  # of the run itself: whether every table was measured
    cpu_hour_price: Decimal
    gb_month_price: Decimal
    currency: str


@dataclass(frozen=True)
class _Size:
    live: int
    history: int
    backup: int


def record(project: Project, run: Run) -> None:
    """Append what a run took; that this fails is a warning, as no run fails for want of its price."""
    try:
        _record(project, run)
    except BoathouseError as error:
        logger.warning("what run {} took is not recorded: {}", run.run_id, error)


def _record(project: Project, run: Run) -> None:
    data = project.settings.data_dir
    table = lake.open_table(lake.table_path(data, TABLE))
    before = lake.commit_info(table.root, table.version) if table else {}
    today = local_day(project, run.clock())
    held = backup_sizes.read(data)
    complete = _is_complete(run, before, today, held.backup)
    measured = catalog.tables(data) if complete else _moved(run)
    sizes = {name: size for name in measured if (size := _size(project, name, held.tables.get(name, 0)))}
    rows = list(_rows(project, run, sizes, (table.version if table else 0) + 1, complete))
    info = {_MEASURED: str(today) if complete else str(before.get(_MEASURED, "")), _BACKUP: held.backup}
    runs.append(project.engine, data, TABLE, Cost, rows, info)


def local_day(project: Project, moment: datetime) -> date:
    """Return the day of a moment in the project's time zone, by which costs are counted."""
    if project.settings.timezone == "UTC":
        return moment.astimezone(UTC).date()
    from zoneinfo import ZoneInfo  # where there is another zone: importing takes time

    return moment.astimezone(ZoneInfo(project.settings.timezone)).date()


def _is_complete(run: Run, before: dict[str, object], today: date, backup: str) -> bool:
    known = before.get(_MEASURED), before.get(_BACKUP)
    return known != (str(today), backup) or run.kind not in _STEPS_ALONE


def _moved(run: Run) -> list[str]:
    """Return the tables that the steps of a run wrote, and what lies beside them."""
    moved = [step for step in run.steps if step.records_read or step.partitions or step.files or step.removed]
    beside = [f"{layer}.{step.domain}.{step.table}" for step in moved if step.layer == "silver" for layer in _BESIDE]
    return [*(step.table_id for step in moved), *beside]


def _size(project: Project, name: str, backup: int) -> _Size | None:
    """Return the bytes of a table; None where there is none, or it cannot be read."""
    try:
        table = project.table(name)
    except BoathouseError:  # `make check` tells it
        return None
    return _Size(table.size, max(lake.bytes_on_disk(table.root) - table.size, 0), backup) if table else None


def _rows(project: Project, run: Run, sizes: dict[str, _Size], number: int, complete: bool) -> Iterable[Cost]:
    spent = [usage for _, usage in run.usages]
    waiting = dict(sizes)
    for step, usage in run.usages:
        yield _row(project, run, number, step.end_time, step.table_id, usage, step, waiting.pop(step.table_id, None))
    now = run.clock()
    for name, size in waiting.items():
        yield _row(project, run, number, now, name, Usage(bytes_read=0, bytes_written=0), None, size)
    own = _row(project, run, number, now, f"run.{SHARED}.run", run.meter.read().minus(spent), None, None)
    yield Cost(**{**vars(own), "complete": complete})


def _row(
    project: Project,
    run: Run,
    number: int,
    moment: datetime,
    name: str,
    usage: Usage,
    step: Record | None,
    size: _Size | None,
) -> Cost:
    settings = project.settings
    layer, *domain, table = name.split(".")
    return Cost(
        number=number,
        run_id=run.run_id,
        moment=moment,
        day=local_day(project, moment),
        layer=layer,
        domain=".".join(domain) or SHARED,
        table=table,
        **vars(usage),
        landed_bytes=step.bytes if step and step.files else None,
        live_bytes=size.live if size else None,
        history_bytes=size.history if size else None,
        backup_bytes=size.backup if size else None,
        complete=None,
        cpu_hour_price=settings.cost_per_cpu_hour,
        gb_month_price=settings.cost_per_gb_month,
        currency=settings.cost_currency,
    )
