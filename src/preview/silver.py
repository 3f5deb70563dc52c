"""A silver table as the next run would leave it, from all that has landed: computed, shown, and not kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from src import lake
from src.bronze import ingest
from src.checks import audits
from src.checks.audits import AuditResult
from src.checks.comparison import first_rows
from src.checks.outcome import Outcome
from src.contract import PROVENANCE, Feed, Table
from src.engine import DuckEngine
from src.errors import BoathouseError
from src.preview.rows import ColumnFigures, Refusal, audited, figures, refusal
from src.project import Project, referenced
from src.silver import clean, incoming, merge, reasons, rejects, removals, statements
from src.silver.batch import Batch
from src.silver.reasons import Reason
from src.silver.rejects import Load


@dataclass(frozen=True)
class FeedAhead:
    """The files of one feed: those a run would take, those in bronze already, and those that it leaves."""

    feed: str
    path: str
    new_files: int
    new_rows: int
    taken_before: int
    refused: int
    waiting: tuple[str, ...]  # still being written
    notes: tuple[str, ...]


@dataclass(frozen=True)
class SilverPreview:
    """A silver table from all that has landed: how many rows became what, why some are rejected, and the rows.

    `would` and `why` are what a run would do; `refusals` what would stop it, and where there is one it keeps the table
    as it is. `rows` are in the table then; each of `read` is counted once among them and the counts that follow.
    """

    table: str
    version: str
    status: str  # of the contract: draft, active, ...
    would: str
    why: str
    refusals: tuple[Refusal, ...]
    feeds: tuple[FeedAhead, ...]
    read: int
    rows: int
    quarantined: int
    duplicates: int
    superseded: int
    conflicts: int
    deleted: int
    unchanged: int  # of a history made by statements: what the version before says too
    removed: int  # rows that the table has and newer statements lack; none of those read
    notes: tuple[str, ...]
    reasons: tuple[Reason, ...]
    audits: tuple[AuditResult, ...]  # those that fail
    not_audited: tuple[str, ...]  # tables that foreign keys name and that are not built
    columns: tuple[ColumnFigures, ...]
    first: tuple[dict[str, Any], ...]


def read_silver(project: Project, table: Table, limit: int, now: datetime) -> SilverPreview:
    """Compute a silver table from all that has landed, by the product's own readers and rules; changes nothing.

    Raises:
        ContractError: the contract does not fit what has landed.
    """
    engine = project.engine
    with engine.room() as room:
        ahead: dict[str, lake.Snapshot | None] = {}
        feeds: list[FeedAhead] = []
        refusals: list[Refusal] = []
        for feed in table.feeds:
            ahead[feed.id], found, outcome = _landed(project, feed, room, now)
            feeds.append(found)
            refusals += [refusal(feed.id, error) for error in outcome.refusals]
        columns = max(len(table.columns), *(len(bronze.columns) for bronze in ahead.values() if bronze), 0)
        with engine.for_columns(columns):
            return _computed(project, table, ahead, feeds, refusals, limit)


def _computed(
    project: Project,
    table: Table,
    ahead: Mapping[str, lake.Snapshot | None],
    feeds: list[FeedAhead],
    refusals: list[Refusal],
    limit: int,
) -> SilverPreview:
    engine = project.engine
    would, why = _work(project, table, ahead, refusals)
    if would == "merge":
        refusals += _refused_loads(project, table, ahead)
    sources = [(feed, bronze, bronze.files) for feed in table.feeds if (bronze := ahead[feed.id])]
    outcome = incoming.compute(engine, table, sources)
    if would != "merge":
        refusals += _refused_load(project, table, sources, outcome, full_refresh=True)
    done = incoming.finish(engine, table)
    rows = int(engine.one(f"SELECT count(*) FROM {Batch.INCOMING}")[0])
    outcome = replace(outcome, inserted=rows, deleted=done.deleted, unchanged=done.unchanged).conserve(table.id)
    removed = _removed(project, table)
    refusals += _refused_removals(project, table, removed)
    if conflict := merge.refused_conflicts(table, outcome, first=_is_first(project, table)):
        refusals.append(refusal(table.id, conflict))
    failed, missing, stops = _audits(project, table)
    refusals += [refusal(table.id, stops)] if stops else []
    shown = {name: kind for name, kind in table.stored_columns.items() if name not in PROVENANCE}
    return SilverPreview(
        table=table.id,
        version=table.version,
        status=table.status,
        would="fail" if refusals else would,
        why=why,
        refusals=tuple(refusals),
        feeds=tuple(feeds),
        read=outcome.read,
        rows=rows,
        quarantined=outcome.quarantined,
        duplicates=outcome.duplicates,
        superseded=outcome.superseded,
        conflicts=outcome.conflicts,
        deleted=outcome.deleted,
        unchanged=outcome.unchanged,
        removed=removed,
        notes=(*outcome.conflict_notes, *outcome.notes),
        reasons=tuple(reasons.commonest(engine, None)),
        audits=failed,
        not_audited=tuple(missing),
        columns=figures(engine, Batch.INCOMING, shown),
        first=first_rows(engine, Batch.INCOMING, shown, limit, ("_ingested_at", "_file", "_row")),
    )


def _landed(project: Project, feed: Feed, room: Path, now: datetime) -> tuple[lake.Snapshot | None, FeedAhead, Outcome]:
    """Return a feed's bronze table as a run would leave it; the rows of new files are in the room."""
    bronze, arrived, outcome = ingest.look_ahead(
        project.engine,
        project.landing,
        project.path(feed.id),
        room / feed.id,
        project.expecting(feed),
        now=now,
        settle=project.settings.settle_seconds,
        latest_wins=project.contracts.latest_wins(feed),
    )
    known = arrived.known + len(arrived.same_bytes)
    found = FeedAhead(
        feed=feed.id,
        path=feed.path,
        new_files=outcome.files,
        new_rows=outcome.read,
        taken_before=known,
        refused=len(outcome.refusals),
        waiting=arrived.waiting,
        notes=outcome.notes,
    )
    return bronze, found, outcome


def _work(
    project: Project, table: Table, ahead: Mapping[str, lake.Snapshot | None], refusals: list[Refusal]
) -> tuple[str, str]:
    """Return what a run would do and why; add the refusal where it would refuse: the table is then looked at whole."""
    try:
        beside = project.table(f"quarantine.{table.domain}.{table.name}")
        work = clean.plan(table, project.table(table.id), ahead, beside)
    except BoathouseError as error:
        refusals.append(refusal(table.id, error))
        return "rebuild", "looked at as if it were built from all of bronze"
    return work.kind, work.why


def _refused_loads(project: Project, table: Table, ahead: Mapping[str, lake.Snapshot | None]) -> Iterator[Refusal]:
    """Yield why a run would refuse the rows that the table has not consumed: each feed's are judged by themselves."""
    silver = project.table(table.id)
    for feed in table.feeds:
        bronze, stored = ahead[feed.id], project.table(feed.id)
        since = silver.progress(feed.id) if silver else None
        if bronze is None:
            continue
        new = getattr(bronze, "new", ())
        if stored and since is not None:
            new = (*lake.changes(stored, since).added, *new)
        elif stored:
            new = bronze.files
        if new:
            source = (feed, bronze, new)
            outcome = incoming.compute(project.engine, table, [source])
            yield from _refused_load(project, table, [source], outcome, full_refresh=False)


def _refused_load(
    project: Project, table: Table, sources: Sequence[incoming.Source], outcome: Outcome, *, full_refresh: bool
) -> Iterator[Refusal]:
    """Yield why a run would refuse a load whose rejects are in the batch's tables; nothing where it would not."""
    engine = project.engine
    load = Load(outcome.read, outcome.quarantined, _is_first(project, table), full_refresh)
    if rejects.beyond(table, load):
        hint = partial(incoming.words_of_engine, engine, table, sources)
        read = incoming.read_rows(engine, sources)
        yield refusal(table.id, rejects.error(engine, table, load, read, hint))


def _is_first(project: Project, table: Table) -> bool:
    beside = (f"{layer}.{table.domain}.{table.name}" for layer in ("deletions", "statements"))
    return merge.is_first_load(project.table(table.id), *map(project.table, beside))


def _removed(project: Project, table: Table) -> int:
    """Return how many rows of the table, as statements made it, will be gone."""
    stated = project.table(f"statements.{table.domain}.{table.name}")
    return removals.count(project.engine, table, project.table(table.id) if stated else None)


def _refused_removals(project: Project, table: Table, removed: int) -> Iterator[Refusal]:
    """Yield why a run would refuse what statements remove; nothing where it would not."""
    silver = project.table(table.id)
    rows = removals.current_rows(project.engine, silver) if silver and removed else 0
    if silver and removals.beyond(table, removed, rows):
        files = statements.files_that_speak(project.engine)
        yield refusal(table.id, removals.error(table, removed, rows, files))


def _audits(project: Project, table: Table) -> tuple[tuple[AuditResult, ...], list[str], BoathouseError | None]:
    """Return the audits that fail, the tables that foreign keys name and that are not built, and what stops a run."""
    engine: DuckEngine = project.engine
    built = project.built(referenced(table))
    missing = sorted(set(referenced(table)) - built.keys())
    asked = tuple(one for one in table.relationships if one.to_table not in missing)
    others = {name: engine.scan(other) for name, other in built.items()} | {table.id: audits.AUDITED}
    failed, stops = audited(engine, replace(table, relationships=asked), Batch.INCOMING, others)
    return failed, missing, stops
