"""Whom a condition is about, and where they are: the keys, the other tables that relationships lead to, the lines.

A condition names rows as silver has them. Every line of bronze that ever met it is of that person, and every line of
their keys: a key is theirs where one of its lines met the condition and the table does not say otherwise today. From
there relationships lead on. Rows that refer to their keys are theirs too; and where the condition is about the columns
of a foreign key alone, so is the row that it refers to. A table's reference to itself is another person.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from src import contract
from src.contract import Relationship, Table
from src.engine import DuckEngine, identifier, literal
from src.errors import BoathouseError, ContractError, DataError, UsageError
from src.forget.key import hash_sql
from src.forget.lines import PLACE, as_one, as_text, tables_of, typed
from src.project import Project
from src.silver import statements, winners

KEYS = "forgotten_keys"  # temporary: by table and columns the texts, and the keyed hashes of these


@dataclass(frozen=True)
class Claim:
    """Rows of a table that are somebody's, by their values in some columns; `why` in words."""

    table: str
    columns: tuple[str, ...]
    why: str


@dataclass
class Finding:
    """The claims so far, and the tables whose lines have been typed; `without`: tables that are left alone."""

    project: Project
    without: Collection[str] = ()
    claims: list[Claim] = field(default_factory=list)
    _typed: dict[str, str] = field(default_factory=dict)
    _asked: dict[str, tuple[str, ...]] = field(default_factory=dict)  # the columns of the condition

    @property
    def engine(self) -> DuckEngine:
        """Return the engine that has the temporary tables."""
        return self.project.engine

    def find(self, table: Table, where: str) -> None:
        """Fill `KEYS` with whom a condition is about, in all tables that it leads to.

        Raises:
            UsageError: it is no condition over the columns of one row of the table.
        """
        self.engine.table(KEYS, "SELECT '' AS \"table\", '' AS columns, '' AS text, '' AS hash WHERE false")
        names = condition_columns(self.engine, table, where)
        self._asked[table.id] = names
        self._rows(table)  # what is wrong with these is no matter of the condition
        try:
            asked = [self._add(table, names, self._meeting(table, where, names), "the condition")]
        except (ContractError, DataError):  # whose text quotes the condition, and with it who it is
            fix = f"compare each column with a value of its type: {_kinds(table, names)}"
            raise UsageError("the condition does not fit its columns", where=table.path, fix=fix) from None
        while asked:
            if claim := asked.pop():
                asked += self._follow(claim)

    def columns_of(self, table_id: str) -> list[tuple[str, ...]]:
        """Return by which columns rows of a table are somebody's."""
        return list(dict.fromkeys(claim.columns for claim in self.claims if claim.table == table_id))

    # -- the claims

    def _meeting(self, table: Table, where: str, names: Sequence[str]) -> str:
        return f"SELECT {as_one(table.id, names)} AS text FROM {self._rows(table)} WHERE coalesce(({where}), false)"

    def _add(self, table: Table, columns: Sequence[str], texts: str, why: str) -> Claim | None:
        """Add the texts of a SELECT, and their hashes, to those of a table; returns the claim if one of them is new."""
        if table.id in self.without:
            return None
        known = f"SELECT text FROM {KEYS} WHERE {_rows_of(table, columns)}"
        new = f"SELECT text FROM ({texts}) WHERE text IS NOT NULL EXCEPT {known}"
        of = f'SELECT {literal(table.id)} AS "table", {literal(as_text(columns))} AS columns, text'
        if not self.engine.insert(KEYS, f"{of}, {hash_sql('text')} AS hash FROM ({new})"):
            return None
        claim = Claim(table.id, tuple(columns), why)
        if claim not in self.claims:
            self.claims.append(claim)
        return claim

    def _follow(self, claim: Claim) -> list[Claim | None]:
        """Return what else is theirs as these rows are: all lines of their keys, and rows that relationships name."""
        table = self.project.contracts.silver[claim.table]
        found: list[Claim | None] = []
        if table.key and claim.columns != table.key:
            why = f"a key of theirs: {', '.join(table.key)}"
            found.append(self._add(table, table.key, self._own_keys(table), why))
        for other, link in self._referring_to(table):
            found.append(self._down(table, other, link))
        for link in table.relationships:
            target = self.project.contracts.silver.get(link.to_table)
            if target is None or target.id == table.id or set(link.columns) != set(claim.columns):
                continue
            if set(link.to_columns) == set(target.key):
                found.append(self._up(table, target, link))
        return found

    def _own_keys(self, table: Table) -> str:
        """Return a SELECT of the hashes of their keys: one line was theirs, and no row of today says otherwise."""
        mine = f"SELECT DISTINCT {as_one(table.id, table.key)} AS text FROM ({self._lines(table)})"
        others = self._rows_of_others(table)
        return f"{mine} EXCEPT SELECT {as_one(table.id, table.key)} FROM ({others})" if others else mine

    def _rows_of_others(self, table: Table) -> str | None:
        """Return a SELECT of the rows that a table has today and that are not theirs; None where that is not known."""
        silver = self.project.table(table.id)
        if silver is None:
            return None
        now = " AND _is_current" if "_is_current" in silver.columns else ""
        there = self.columns_of(table.id)
        if not contract.is_current(table, silver) or not there:
            return None
        tests = " OR ".join(self._test(table, columns) for columns in there)
        return f"SELECT * FROM {self.engine.scan(silver)} s WHERE NOT ({tests}){now}"

    def _down(self, table: Table, other: Table, link: Relationship) -> Claim | None:
        """Claim the rows of another table that refer to their keys."""
        kinds = {column.name: column.type for column in other.columns}
        pairs = zip(link.to_columns, link.columns, strict=True)
        values = [f"TRY_CAST({identifier(to)} AS {kinds[own]})" for to, own in pairs]
        mine = f"SELECT {as_one(other.id, link.columns, values)} AS text FROM ({self._lines(table, own_keys=True)})"
        if others := self._rows_of_others(table):
            mine += f" EXCEPT SELECT {as_one(other.id, link.columns, values)} FROM ({others})"
        return self._add(other, link.columns, mine, f"{', '.join(link.columns)} refers to {table.id}")

    def _up(self, table: Table, other: Table, link: Relationship) -> Claim | None:
        """Claim the row that the columns of a claim refer to."""
        kinds = {column.name: column.type for column in other.columns}
        pairs = zip(link.to_columns, link.columns, strict=True)
        values = [f"TRY_CAST({identifier(own)} AS {kinds[to]})" for to, own in pairs]
        tests = " OR ".join(self._test(table, c) for c in self.columns_of(table.id) if set(c) == set(link.columns))
        rows = f"SELECT {as_one(other.id, link.to_columns, values)} AS text FROM {self._rows(table)} WHERE {tests}"
        return self._add(other, link.to_columns, rows, f"{table.id} refers to it by {', '.join(link.columns)}")

    def _referring_to(self, table: Table) -> list[tuple[Table, Relationship]]:
        silver = self.project.contracts.silver.values()
        links = [(other, link) for other in silver for link in other.relationships if link.to_table == table.id]
        return [(other, link) for other, link in links if other.id != table.id]

    # -- the lines, as the contract reads them

    def _test(self, table: Table, columns: Sequence[str]) -> str:
        return f"{as_one(table.id, columns)} IN (SELECT text FROM {KEYS} WHERE {_rows_of(table, columns)})"

    def _lines(self, table: Table, *, own_keys: bool = False) -> str:
        """Return a SELECT of the lines of a table that are theirs; `own_keys`: of their keys alone, if it has one."""
        every = self.columns_of(table.id)
        if own_keys and table.key:
            every = [columns for columns in every if columns == table.key]
        tests = " OR ".join(self._test(table, columns) for columns in every) or "false"
        return f"SELECT * FROM {self._rows(table)} WHERE {tests}"

    def _rows(self, table: Table) -> str:
        """Return a temporary table of all lines of a table, typed: the columns that tell whose they are."""
        if table.id not in self._typed:
            names = list(self._names(table))
            kinds = table.row_columns
            name = f"lines of {table.id}"
            empty = ", ".join(f"NULL::{kinds[one]} AS {identifier(one)}" for one in (*names, *PLACE))
            self.engine.table(name, f"SELECT {empty}, NULL::VARCHAR AS _feed WHERE false")
            for feed in table.feeds:
                bronze = self.project.table(feed.id)
                rows = typed(self.engine, table, (feed, bronze, bronze.files), names) if bronze else None
                if rows:
                    self.engine.insert(name, f"SELECT *, {literal(feed.id)} FROM ({rows})")
            self._typed[table.id] = name
        return f"temp.{identifier(self._typed[table.id])}"

    def _names(self, table: Table) -> dict[str, None]:
        """Return the columns of a table that tell whose a line is, or lead on to other tables."""
        own = [name for link in table.relationships for name in link.columns]
        named = [name for _, link in self._referring_to(table) for name in link.to_columns]
        return dict.fromkeys([*table.key, *own, *named, *self._asked.get(table.id, ())])


def _rows_of(table: Table, columns: Sequence[str]) -> str:
    return f'"table" = {literal(table.id)} AND columns = {literal(as_text(columns))}'


def _kinds(table: Table, names: Sequence[str]) -> str:
    return ", ".join(f"{column.name} is {column.shown_type}" for column in table.columns if column.name in names)


def condition_columns(engine: DuckEngine, table: Table, where: str) -> tuple[str, ...]:
    """Return the columns that a condition over the rows of a table reads.

    Raises:
        UsageError: it is none, or looks at more than one row.
    """
    fix = f'write SQL over one row, such as "{table.key[0] if table.key else table.columns[0].name} = ..."; '
    fix += f"the columns are {', '.join(column.name for column in table.columns)}"
    statement = f"SELECT ({where}) AS met"
    try:
        across = engine.looks_across_rows(statement) or sorted(engine.table_references(statement))
        outside = engine.looks_outside(statement) or sorted(engine.unrepeatable(statement))
        read = engine.column_references(where)
    except BoathouseError:
        raise UsageError("the condition is no SQL", fix=fix) from None
    if across or outside:
        raise UsageError(f"the condition looks at more than a row: {', '.join(across or outside)}", fix=fix)
    own = [column.name for column in table.columns if column.name in read]
    if not own or set(own) != read:
        unknown = ", ".join(sorted(read - set(own))) or "no column"
        raise UsageError(f"the condition names {unknown}", fix=fix)
    return tuple(own)


def returning_statements(project: Project, lines: str, feed_id: str) -> list[str]:
    """Return the tables in which an older statement would count again once a feed is without the lines.

    There a file says what is so of a slice, and of some slice the newest file says nothing of anybody else; with
    history any file. Where the name of a file says of which slice it speaks, it speaks of it without a row too.
    """
    found = []
    for table in tables_of(project.contracts, feed_id):
        by_name = table.reads_of_files(table.replaces or (), project.engine.column_names) <= statements.ARRIVAL.keys()
        feed = next(one for one in table.feeds if one.id == feed_id)
        bronze = project.table(feed_id)
        if not table.replaces or by_name or bronze is None:
            continue
        names = [name for name in statements.columns(project.engine, table) if name not in statements.ARRIVAL]
        rows = typed(project.engine, table, (feed, bronze, bronze.files), names)
        if rows and _loses_statement(project.engine, table, rows, lines):
            found.append(table.id)
    return found


def _loses_statement(engine: DuckEngine, table: Table, rows: str, lines: str) -> bool:
    """Return whether a slice of which others' rows are left loses its newest statement; with history, any of them."""
    slices, same = ", ".join(map(identifier, table.replaces or ())), ", ".join(PLACE)
    moment = ", ".join(winners.sequence(table)) or "_ingested_at"
    marked = f"SELECT r.*, l._row IS NULL AS _stays FROM ({rows}) r LEFT JOIN {lines} l USING ({same})"
    spoken = f"SELECT {slices}, row({moment}) AS _moment, bool_or(_stays) AS _stays FROM ({marked}) GROUP BY ALL"
    lost = "NOT bool_and(_stays)" if table.history == "scd2" else "NOT arg_max(_stays, _moment)"
    wrong = f"SELECT 1 FROM ({spoken}) GROUP BY {slices} HAVING bool_or(_stays) AND {lost}"
    return bool(engine.one(f"SELECT count(*) FROM ({wrong})")[0])
