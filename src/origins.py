"""Which columns each column of a table is made of, and which use it: from the contracts and models alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from src.contract import PROVENANCE, Column, Table
from src.contract.ml import SCORE_COLUMNS, MlModel
from src.errors import BoathouseError
from src.project import Project
from src.proof.columns import NOTHING, Origin, Reference, column_origins


def read_origins(project: Project, table: Table) -> dict[str, Origin]:
    """Return the origin of each column of a table, in the columns of what it is built from.

    A Python model, and what cannot be parsed, is made of any column of its sources.
    """
    if table.layer == "silver":
        return _silver(project, table)
    if table.scored_by:
        return _scored(project, table, project.contracts.models[table.scored_by])
    anything = Origin(frozenset((source, None) for source in table.sources))
    found: dict[str, Origin] = {}
    if table.sql is not None:
        tables = {source: _columns(project, source) for source in table.sources}
        try:
            found = column_origins(project.engine, project.engine.inline(table.sql), tables)
        except BoathouseError:
            found = {}  # what is wrong with it is told by the run
    rest = found.get("*", anything)
    return {column.name: found.get(column.name.lower(), rest) for column in table.columns}


def _scored(project: Project, table: Table, model: MlModel) -> dict[str, Origin]:
    """Return the origins of a scored table's columns: what a version says is made of it and of every feature."""
    read, features = project.engine.column_references, project.declared(model.features)
    learnt = frozenset((features.id, name) for name in features.features)
    version = frozenset[Reference]({(model.id, None)})
    scores: dict[str, frozenset[Reference]] = {
        "model_version": version,
        "outcome_known": frozenset((model.label.table, name) for name in read(model.label.known_at)),
        "features_hash": learnt,
        "scored_at": frozenset(),
    }
    among = frozenset((features.id, name) for name in read(model.where)) if model.where else frozenset[Reference]()
    found = {}
    for column in table.columns:
        is_score = column.name in SCORE_COLUMNS
        values = scores.get(column.name, learnt | version) if is_score else frozenset({(features.id, column.name)})
        found[column.name] = Origin(values, among - values)
    return found


def _columns(project: Project, table_id: str) -> Collection[str]:
    return tuple(project.declared(table_id).stored_columns)


def _silver(project: Project, table: Table) -> dict[str, Origin]:
    """Return the origins of a silver table's columns, in those of its feeds; which row wins is decided by the key."""
    files = _Files(project, table)
    found = {column.name: files.origin(column) for column in table.columns}
    deciding = [*table.key, *table.sequence_columns(project.engine.column_references)]
    rows = frozenset[Reference]().union(*(found[name].all for name in deciding if name in found))
    if table.delete_when:
        rows |= files.of_expression(table.delete_when).all
    for name in PROVENANCE:
        found[name] = Origin(frozenset((feed.id, name) for feed in table.feeds))
    if table.history == "scd2":
        moments = found[table.sequence_by[0]]
        found |= {name: moments for name in table.stored_columns if name not in found}
    return {name: Origin(one.values, (one.shaping | rows) - one.values) for name, one in found.items()}


class _Files:
    """The columns of a silver table's feeds, or of its SQL over them, as its expressions name them."""

    def __init__(self, project: Project, table: Table) -> None:
        self._engine = project.engine
        self._own = {column.name.lower(): column for column in table.columns}
        self._made = {column.name for column in table.columns if column.hides_its_source(self._engine.column_names)}
        self._feeds = {feed.id: _of_feed(project, feed.id) for feed in table.feeds}
        self._shaped = self._of_sql(table)
        self._going: set[str] = set()

    def _of_sql(self, table: Table) -> Mapping[str, Origin] | None:
        if table.sql is None:
            return None
        known = {feed: columns for feed, columns in self._feeds.items() if columns is not None}
        try:
            return column_origins(self._engine, self._engine.inline(table.sql), known)
        except BoathouseError:
            return {}

    def origin(self, column: Column) -> Origin:
        """Return the origin of a column, through other columns of the table or not."""
        if column.expression is None:
            return self._in_files(column.name)
        self._going.add(column.name)
        found = self.of_expression(column.expression, column.name)
        self._going.discard(column.name)
        return found

    def of_expression(self, expression: str, of: str = "") -> Origin:
        """Return the origin of what an expression over the table's and the files' columns gives; `of`: its column."""
        found, unknown = NOTHING, NOTHING
        for name in sorted(self._engine.column_names(expression)):
            own = self._own.get(name.lower())
            if own and own.name not in self._made and own.name != of and own.name not in self._going:
                found |= self.origin(own)
            elif self._is_in_files(name):
                found |= self._in_files(name)
            else:  # a field of a column, or a column that no file has brought yet
                unknown |= self._in_files(name)
        return found if found.all else unknown

    def _is_in_files(self, name: str) -> bool:
        columns = (columns for columns in self._feeds.values() if columns is not None)
        return any(name.lower() == one.lower() for some in columns for one in some)

    def _in_files(self, name: str) -> Origin:
        """Return the origin of a column of the files; of all feeds where none has brought it yet."""
        if self._shaped is not None:
            anything = Origin(frozenset((feed, None) for feed in self._feeds))
            return self._shaped.get(name.lower(), self._shaped.get("*", anything))
        there = {
            (feed, one) for feed, columns in self._feeds.items() for one in columns or () if one.lower() == name.lower()
        }
        return Origin(frozenset(there or {(feed, name) for feed in self._feeds}))


def _of_feed(project: Project, feed_id: str) -> Collection[str] | None:
    """Return the columns of a feed's files as far as they have landed; None before the first."""
    snapshot = project.table(feed_id)
    return tuple(snapshot.columns) if snapshot else None


def read_all_origins(project: Project, names: Collection[str] | None = None) -> dict[Reference, Origin]:
    """Return the origin of every column of silver and gold tables: of these, or of all."""
    tables = [
        table for table in (*project.contracts.silver.values(), *project.marts) if names is None or table.id in names
    ]
    return {(table.id, column): origin for table in tables for column, origin in read_origins(project, table).items()}


def users(origins: Mapping[Reference, Origin], of: Reference) -> list[Reference]:
    """Return the columns that are made of a column, or may be as they are of any of its table, one level down."""
    return [made for made, origin in origins.items() if {of, (of[0], None)} & origin.values]
