"""A table of a mart computed over what is published, and compared with the version of it that is published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from src import lake
from src.checks import audits
from src.checks.audits import AuditResult
from src.checks.comparison import Differences, Side, differences, first_rows
from src.contract import Table
from src.engine import DuckEngine
from src.errors import BoathouseError
from src.gold import laws
from src.gold.computation import Computation
from src.gold.model import Model
from src.ml import scoring
from src.ml.scored import scored_table
from src.preview.rows import ColumnFigures, Refusal, audited, figures, refusal
from src.project import Project, Unbuilt, referenced
from src.run import releases


@dataclass(frozen=True)
class Comparison(Differences):
    """The computed rows against the published ones."""

    as_of: str | None = None  # the run whose data is published
    published: int = 0


@dataclass(frozen=True)
class MartPreview:
    """A table of a mart as its model makes it of what is published; `comparison` None: nothing of it is published.

    Where it waits for tables that are not published yet there are no rows, and the model fits the columns that the
    contracts of these tables declare.
    """

    table: str
    version: str
    status: str  # of the contract: draft, active, ...
    waits_for: tuple[str, ...]
    refusals: tuple[Refusal, ...]
    rows: int
    comparison: Comparison | None
    audits: tuple[AuditResult, ...]  # those that fail
    not_audited: tuple[str, ...]  # tables that foreign keys name and that are not published
    columns: tuple[ColumnFigures, ...]
    first: tuple[dict[str, Any], ...]


def read_mart(project: Project, table: Table, limit: int, now: datetime) -> MartPreview:
    """Compute a table of a mart over what is published, a table of scores as of `now` (UTC); changes nothing.

    Raises:
        ContractError: the model does not parse, or does not return what the contract says.
        DataError: it cannot be computed.
    """
    data, engine = project.settings.data_dir, project.engine
    release = releases.newest_release(data)
    published = _published(project, release, [*table.declared_sources, *referenced(table), table.id])
    published |= project.built([table.scored_by] if table.scored_by else [])  # no release names it
    missing = [name for name in table.sources if name not in published]
    sources = {name: published.get(name) or Unbuilt(project.declared(name)) for name in table.declared_sources}
    waits = tuple(n for n in missing if n not in table.optional_sources or len(missing) == len(table.sources))
    if table.scored_by:
        rows = _scores(project, table, sources, published, now) if not waits else 0
    else:
        rows = Model(engine, table, sources).whole(Computation.RESULT) if not (waits and table.python) else 0
    if waits:
        return MartPreview(table.id, table.version, table.status, waits, (), 0, None, (), (), (), ())
    refusals = []
    try:
        laws.check(engine, table, f"(FROM {Computation.RESULT})")
    except BoathouseError as error:
        refusals.append(refusal(table.id, error))
    failed, not_audited, stops = _audits(engine, table, published)
    refusals += [refusal(table.id, stops)] if stops else []
    kinds = {column.name: column.type for column in table.columns}
    before = published.get(table.id)
    return MartPreview(
        table=table.id,
        version=table.version,
        status=table.status,
        waits_for=(),
        refusals=tuple(refusals),
        rows=rows,
        comparison=_compared(engine, table, before, release.as_of.get(table.id)) if before else None,
        audits=failed,
        not_audited=not_audited,
        columns=figures(engine, Computation.RESULT, kinds),
        first=first_rows(engine, Computation.RESULT, kinds, limit, table.key),
    )


def _scores(
    project: Project,
    table: Table,
    sources: Mapping[str, lake.Snapshot],
    published: Mapping[str, lake.Snapshot],
    now: datetime,
) -> int:
    """Compute the rows that a run would have now; returns how many."""
    scored = scored_table(project.contracts, table)
    read = {**sources, scored.model.id: published[scored.model.id]}
    version, _ = scoring.usable(project.engine, scored, read)
    rows, _ = scoring.judge(project.engine, scored, read, published.get(table.id), version, now)
    return rows.result(among_outputs=False)


def _published(project: Project, release: releases.Release, names: list[str]) -> dict[str, lake.Snapshot]:
    """Return those of these tables that the newest release has, in its versions."""
    found = {}
    for name in names:
        if name in release.versions and (table := lake.open_table(project.path(name), release.versions[name])):
            found[name] = table
    return found


def _audits(
    engine: DuckEngine, table: Table, published: Mapping[str, lake.Snapshot]
) -> tuple[tuple[AuditResult, ...], tuple[str, ...], BoathouseError | None]:
    """Return the audits that fail, the tables of foreign keys that are not published, and what would stop a run."""
    missing = tuple(sorted(set(referenced(table)) - published.keys()))
    asked = tuple(one for one in table.relationships if one.to_table not in missing)
    others = {name: engine.scan(published[name]) for name in referenced(table) if name in published}
    relation, itself = f"(FROM {Computation.RESULT})", {table.id: audits.AUDITED}
    failed, stops = audited(engine, replace(table, relationships=asked), relation, others | itself)
    return failed, missing, stops


# -- against what is published


def _compared(engine: DuckEngine, table: Table, published: lake.Snapshot, as_of: str | None) -> Comparison:
    computed = {column.name: column.type for column in table.columns}
    sides = Side(published.columns, engine.scan(published)), Side(computed, str(Computation.RESULT))
    return Comparison(**vars(differences(engine, table.key, *sides)), as_of=as_of, published=published.rows)
