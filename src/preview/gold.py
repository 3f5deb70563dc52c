"""A table of a mart computed over what is published, and compared with the version of it that is published."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from src import lake
from src.checks import audits
from src.checks.audits import AuditResult
from src.contract import Table
from src.engine import DuckEngine, identifier, literal
from src.errors import BoathouseError
from src.gold import compare, laws
from src.gold.computation import Computation
from src.gold.model import Model
from src.ml import scoring
from src.ml.scored import scored_table
from src.preview.rows import ColumnFigures, Refusal, audited, figures, first_rows, refusal
from src.project import Project, Unbuilt, referenced
from src.run import releases

_EXAMPLES = 5  # of each kind of difference


@dataclass(frozen=True)
class Change:
    """One column of one row that is not what is published: the row's key, and the values as text."""

    key: dict[str, Any]
    column: str
    published: str | None
    computed: str | None


@dataclass(frozen=True)
class Comparison:
    """The computed rows against the published ones, by the key; without one a changed row is one removed, one added.

    Columns that one side alone has, or has with another type, are not compared.
    """

    as_of: str | None  # the run whose data is published
    published: int
    added: int
    removed: int
    changed: int
    not_compared: tuple[str, ...]
    added_rows: tuple[dict[str, Any], ...]
    removed_rows: tuple[dict[str, Any], ...]
    changes: tuple[Change, ...]


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
    before, after = published.columns, {column.name: column.type for column in table.columns}
    both = {name: kind for name, kind in after.items() if before.get(name) == kind}
    stored, computed = engine.scan(published), str(Computation.RESULT)
    keyed = bool(table.key) and set(table.key) <= both.keys()
    added, removed = (
        _without(table, both, one, other, keyed=keyed) for one, other in ((computed, stored), (stored, computed))
    )
    changed = _changed(table, both, stored, computed) if keyed else None
    order = table.key if keyed else ()
    return Comparison(
        as_of=as_of,
        published=published.rows,
        added=_count(engine, added),
        removed=_count(engine, removed),
        changed=_count(engine, changed) if changed else 0,
        not_compared=tuple(name for name in {**before, **after} if name not in both),
        added_rows=first_rows(engine, f"({added})", both, _EXAMPLES, order),
        removed_rows=first_rows(engine, f"({removed})", both, _EXAMPLES, order),
        changes=tuple(_changes(engine, table, both, changed)) if changed else (),
    )


def _count(engine: DuckEngine, select: str) -> int:
    return int(engine.one(f"SELECT count(*) FROM ({select})")[0])


def _without(table: Table, columns: Mapping[str, str], one: str, other: str, *, keyed: bool) -> str:
    """Return a SELECT of the rows of one relation that the other has not, by the key or else as they are."""
    names = ", ".join(map(identifier, columns))
    if not keyed:
        return compare.surplus(columns, f"SELECT {names} FROM {one}", f"SELECT {names} FROM {other}")
    keys = ", ".join(map(identifier, table.key))
    return f"SELECT {names} FROM {one} ANTI JOIN (SELECT {keys} FROM {other}) USING ({keys})"


def _changed(table: Table, columns: Mapping[str, str], stored: str, computed: str) -> str:
    """Return a SELECT of the rows of a key that both have and that differ: the key, and a struct of each side."""
    keys = ", ".join(map(identifier, table.key))
    rest = {name: kind for name, kind in columns.items() if name not in table.key}
    same = " AND ".join(compare.is_same(identifier(name), kind) for name, kind in rest.items()) or "true"
    texts = [f"a.{identifier(n)}::VARCHAR AS {identifier(f'a {n}')}" for n in rest]
    texts += [f"b.{identifier(n)}::VARCHAR AS {identifier(f'b {n}')}" for n in rest]
    texts += [f"NOT ({compare.is_same(identifier(n), kind)}) AS {identifier(f'd {n}')}" for n, kind in rest.items()]
    shown = ", ".join([keys, *texts])
    return f"SELECT {shown} FROM {stored} a JOIN {computed} b USING ({keys}) WHERE NOT ({same})"


def _changes(engine: DuckEngine, table: Table, columns: Mapping[str, str], changed: str) -> Iterator[Change]:
    """Yield what differs in the first of the changed rows, column by column."""
    rest = [name for name in columns if name not in table.key]
    keys = ", ".join(map(identifier, table.key))
    listed = ", ".join(
        f"{{'column': {literal(n)}, 'before': {identifier(f'a {n}')}, 'after': {identifier(f'b {n}')}, "
        f"'differs': {identifier(f'd {n}')}}}"
        for n in rest
    )
    rows = engine.rows(f"SELECT {keys}, [{listed}] FROM ({changed}) ORDER BY {keys} LIMIT {_EXAMPLES}")
    for *values, parts in rows:
        key = dict(zip(table.key, values, strict=True))
        yield from (Change(key, part["column"], part["before"], part["after"]) for part in parts if part["differs"])
