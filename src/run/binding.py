"""Expressions and models are bound to the columns of what they read before anything runs; no row is read.

Where a source is built from its contract as it is now, its columns are those on disk; where it is not, those that its
contract declares. Of landed files that no run has taken yet nothing is known: the columns that an expression reads are
then taken to be there, so that what is found is no false alarm: a function that is none, a type that does not fit.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from src import contract, lake
from src.bronze.readers import SYSTEM_COLUMNS
from src.contract import Feed, Table
from src.engine import SqlMistake
from src.errors import BoathouseError, ContractError, ContractErrors
from src.gold.model import Model
from src.ml import point_in_time, scoring
from src.ml.scored import scored_table
from src.project import Project, Unbuilt
from src.silver import incoming


class _Expected(lake.Snapshot):
    """A bronze table with the columns that a contract reads, and no row."""

    def __init__(self, project: Project, feed: Feed, stored: lake.Snapshot | None) -> None:
        self.root, self.version, self.identity = project.path(feed.id), Unbuilt.NEVER, Unbuilt.NEVER
        known = dict(stored.columns) if stored else dict(SYSTEM_COLUMNS)
        there = {name.lower() for name in known}
        self.columns = known | {n: "VARCHAR" for n in project.expecting(feed).reads if n not in there}
        self.partition_by, self.files, self.properties = (), (), {}

    def progress(self, source: str) -> int | None:
        """Return None: no table, no log."""
        return None


def bind_all(project: Project) -> None:
    """Bind every table to what the contracts say, whatever is in the lake.

    Raises:
        ContractErrors: all that do not bind.
    """
    errors: list[BoathouseError] = []
    for table in (*project.contracts.silver.values(), *project.marts):
        try:
            if table.layer == "gold":
                bind_gold(project, table, {})
            else:
                bind_silver(project, table, {feed.id: None for feed in table.feeds})
        except ContractError as error:
            errors.append(error)
    if errors:
        raise ContractErrors(errors)


def bind_silver(
    project: Project, table: Table, feeds: Mapping[str, lake.Snapshot | None], moving: Collection[str] = ()
) -> None:
    """Bind a silver table's expressions; `moving` are feeds of which new files may bring columns.

    Raises:
        ContractError: one does not fit.
    """
    unknown = [feed for feed in table.feeds if feeds[feed.id] is None or feed.id in moving]
    if unknown and table.sql is not None:
        return  # its own names cannot be told from those of the files
    seen = {feed.id: _Expected(project, feed, feeds[feed.id]) for feed in unknown}
    try:
        incoming.rehearse(project.engine, table, {**feeds, **seen})
    except SqlMistake as mistake:
        raise ContractError(f"{table.id}: {mistake.what}", where=table.path, fix=mistake.fix) from None


def bind_gold(project: Project, table: Table, sources: Mapping[str, lake.Snapshot]) -> None:
    """Bind the SQL of a table of a mart to these of its sources, and to the contracts of the others.

    Of a table of features also what says when each was known.

    Raises:
        ContractError: it does not bind, or does not return what the contract says.
    """
    declared: Iterable[str] = (name for name in table.declared_sources if name not in sources)
    read = {**sources, **{name: Unbuilt(project.declared(name)) for name in declared}}
    if table.scored_by:
        scoring.bind(project.engine, scored_table(project.contracts, table), read)
    else:
        Model(project.engine, table, read).bind()
    if table.event_time:
        point_in_time.bind(project.engine, table, read)


def built_as_declared(project: Project, table: Table) -> dict[str, lake.Snapshot]:
    """Return those of a table's sources that are built from their contracts as they are now."""
    built = project.built(table.declared_sources)
    return {name: found for name, found in built.items() if contract.is_current(project.declared(name), found)}
