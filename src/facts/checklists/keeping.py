"""What keeps the lake: backups and drills, room on the disk, tidying up."""

from __future__ import annotations

import shutil
from datetime import timedelta

from src import store
from src.errors import from_os_error
from src.facts import growth
from src.facts.checklists.nights import named
from src.facts.checklists.steps import Found, Look, NothingRecordedError, Todo, fine, of_causes, to_do, unknown
from src.facts.wording import ago, moment, pluralized, size
from src.run import backup_records, runs

_WEEKLY = timedelta(days=8)
_HALF_YEAR = timedelta(days=183)
_FREE_PERCENT = 10
_AHEAD = 90  # days before the disk is full, from which something is to be done


def backup(look: Look) -> Found:
    """Answer when a backup was last found whole."""
    if look.facts.backup_error:
        raise NothingRecordedError(f"the records of backups cannot be read: {look.facts.backup_error}")
    causes = look.causes(["backup"])
    last = look.facts.backup
    if causes:
        return to_do("none is verified" if last is None else _found_whole(look), of_causes(look, causes))
    if last is None:
        return to_do("none yet", [Todo("P3", "there is no backup yet", "make backup")])
    return fine(_found_whole(look))


def _found_whole(look: Look) -> str:
    last = look.facts.backup
    return f"{last.backup} found whole {ago(look.now, last.verified_at)}" if last else ""


def drill(look: Look) -> Found:
    """Answer whether a backup was restored elsewhere and compared within a week."""
    return _practised(look, "drill", _WEEKLY, Todo("P3", "no backup was drilled within 8 days", "make drill"))


def restored(look: Look) -> Found:
    """Answer whether the lake was restored within half a year."""
    todo = Todo("P4", "no restore within half a year: time one on another machine", "make restore TO=../restored")
    return _practised(look, "restore", _HALF_YEAR, todo)


def _practised(look: Look, kind: str, within: timedelta, todo: Todo) -> Found:
    if not look.has(backup_records.TABLE):
        return to_do("never: there is no record of a backup", [todo])
    rows = look.rows(
        backup_records.TABLE,
        f"SELECT started_at, verified, coalesce(message, '') FROM ops.backups WHERE kind = '{kind}' "
        "ORDER BY started_at DESC LIMIT 1",
    )
    if not rows:
        return to_do("never", [todo])
    at, verified, message = rows[0]
    if not verified:
        failed = Todo("P2", f"the last {kind} ({moment(at)}) failed: {message}", "make backup")
        return to_do(f"{moment(at)} failed", [failed])
    text = f"{moment(at)}, well"
    return fine(text) if look.now - at <= within else to_do(text, [todo])


def disk_room(look: Look) -> Found:
    """Answer whether there is room for the lake once more, and a tenth of the disk free."""
    free, total = _room(look)
    taken = sum(row.bytes_on_disk or 0 for row in look.facts.findings.table_stats)
    text = f"{size(free)} free of {size(total)}, the tables take {size(taken)}"
    if not taken and look.unreadable:
        return unknown(f"{text}; what the tables take was not measured")
    if free >= taken and 100 * free >= _FREE_PERCENT * total:
        return fine(text)
    todo = Todo(
        "P2",
        f"{text}: a run, optimize and vacuum need room",
        "make vacuum DRY_RUN=1",
        "docs/runbook.md, the disk is full",
    )
    return to_do(text, [todo])


def capacity(look: Look) -> Found:
    """Answer when the disk is full, if the tables grow as in the last 30 days."""
    free, _ = _room(look)
    per_day = growth.bytes_a_day(look.project, look.now)
    if per_day is None:
        raise NothingRecordedError("their size was measured on too few days: `make health` measures it")
    if per_day <= 0:
        return fine(f"the tables do not grow; {size(free)} free")
    days = free / per_day
    text = f"{size(round(per_day))} a day, {size(free)} free: full in {_days(days)}"
    if days > _AHEAD:
        return fine(text)
    return to_do(
        text, [Todo("P2" if days < 14 else "P3", f"the disk is full in {_days(days)}", "make vacuum DRY_RUN=1")]
    )


def _days(days: float) -> str:
    return f"{days:,.0f} days" if days < 3650 else "more than 10 years"


def _room(look: Look) -> tuple[int, int]:
    """Return the bytes free on the lake's disk, and all of them."""
    data = store.beside(look.project.settings.data_dir).absolute()
    there = next(folder for folder in (data, *data.parents) if folder.exists())
    try:
        found = shutil.disk_usage(there)
    except OSError as error:
        raise from_os_error(error, there) from error
    return found.free, found.total


def tidy(look: Look) -> Found:
    """Answer which tables have many small files, and whether old files were removed within 8 days."""
    causes = look.causes(["storage"])
    rows = look.rows(
        runs.TABLE,
        "SELECT max(start_time) FILTER (kind = 'vacuum' AND status = 'success'), min(start_time) "
        "FROM ops.pipeline_runs WHERE layer = 'run'",
    )
    last, first = rows[0]
    due = look.now - (last or first or look.now) > _WEEKLY
    todos = [Todo("P4", "old files were not removed within 8 days", "make vacuum")] if due else []
    text = f"vacuum {moment(last) or 'never'}; {pluralized(len(causes), 'table')} with many small files"
    if not causes and not due:
        return fine(text)
    return to_do(text, [*of_causes(look, causes), *todos])


def slow_steps(look: Look) -> Found:
    """Answer which steps took longest in the week, and which took far longer than before."""
    rows = look.rows(
        runs.TABLE,
        "SELECT table_id, sum(latency) AS seconds FROM ops.pipeline_runs WHERE layer <> 'run' AND "
        f"start_time > TIMESTAMPTZ '{look.now - timedelta(days=7)}' GROUP BY 1 ORDER BY 2 DESC, 1",
    )
    if not rows:
        return unknown("no run in the last 7 days")
    total = sum(row[1] for row in rows)
    text = f"{total:.0f} s in 7 days; most: {named([f'{name} {seconds:.1f} s' for name, seconds in rows[:3]])}"
    causes = look.causes(["latency"])
    return to_do(text, of_causes(look, causes)) if causes else fine(text)
