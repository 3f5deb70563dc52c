"""Rows of a silver or gold table explained: the rows, lines and files that they came from, and what was left out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from src import contract, lake
from src.contract import PROVENANCE, Table
from src.engine import DuckEngine, identifier, literal
from src.errors import ContractError, DataError, UsageError
from src.explain.bronze import NEWEST_FIRST, LeftOut, Line, Origins
from src.explain.numbered import ROW_ID, NumberedRows
from src.explain.rewriting import NotRewritten
from src.explain.tracing import NUMBER, Trace, Tracer
from src.masking.masks import SHOWN, Masks
from src.project import Project, Unbuilt

_READ_WHOLE = 1_000_000  # rows of a table that a model reads whole to find what it makes of some of them
Row = Mapping[str, Any]


@dataclass(frozen=True)
class SourceRow:
    """A row of a source: its values, the line it came from (of silver), and by how much it moves each number.

    `moves`: by column of the explained row what it has with this row and would not have without it.
    """

    values: Row
    line: Line | None = None
    moves: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class NotCounted:
    """The rows of bronze that would have belonged to the explained rows, were they in silver: by why, and some."""

    counts: Mapping[str, int]
    rows: tuple[LeftOut, ...]
    unknown: str | None = None  # why it cannot be told


@dataclass(frozen=True)
class SourceRows:
    """The rows of one source in the version that was read: how many, and those that move the numbers most.

    `through`: of a mart's table, how its rows came about in turn.
    """

    table: str
    version: int
    rows: int
    shown: tuple[SourceRow, ...]
    not_counted: NotCounted | None = None
    through: Explanation | None = None


@dataclass(frozen=True)
class Explanation:
    """Some rows of a table in one version, and where they came from; `widened`: why more rows are named than needed.

    Of silver: the rows with their lines, and the lines that lost against them; of gold: the sources.
    """

    table: str
    version: int
    contract: str
    as_of: str | None  # the run whose data it has
    model: str | None
    rows: int
    shown: tuple[SourceRow, ...]
    widened: str | None = None
    sources: tuple[SourceRows, ...] = ()
    not_counted: NotCounted | None = None
    part_of: tuple[Part, ...] = ()

    def tables(self) -> Iterator[str]:
        """Yield the tables of which values are shown."""
        yield self.table
        shown, sources = [*self.shown], [*self.sources]
        for source in sources:
            yield from source.through.tables() if source.through else (source.table,)
            shown += source.shown
        lines = [row.line for row in shown if row.line]
        for beside in (self.not_counted, *(source.not_counted for source in sources)):
            lines += [one.line for one in beside.rows] if beside else []
        yield from (line.feed for line in lines)


@dataclass(frozen=True)
class Part:
    """A row of a mart that a row of silver is part of: the mart's table, and the key."""

    table: str
    key: Row


@dataclass(frozen=True)
class Explainer:
    """Explains rows of a project's tables in these versions; `limit`: how many rows of each kind are shown.

    `brief`: without looking for what was not counted, which reads all of bronze.
    """

    project: Project
    versions: Mapping[str, int]
    as_of: Mapping[str, str]
    masks: Masks
    limit: int = 10
    brief: bool = False

    def explain(self, table: Table, where: str, asked: str) -> Explanation:
        """Return where the rows of a table came from that meet a condition, SQL over its columns as they are read.

        `asked`: the condition as it was written, for messages.

        Raises:
            UsageError: there is no such row, or the condition is none; a table of scores.
            ContractError: the contract has moved on since the rows were made.
        """
        stored = self.opened(table)
        found = self._explained(table, stored, self.rows(table, stored, where, asked, "explained_rows"), 0)
        if not found.rows:
            fix = f'see its rows: main.py query "SELECT * FROM {table.id} LIMIT 10"'
            raise UsageError(f"no row of {table.id} has {asked}", fix=fix)
        return found

    def behind(self, table: Table, source: str | None) -> str:
        """Return a SELECT of all rows behind what was explained last, as people read them: of one of its sources.

        Raises:
            UsageError: it has several, and none or another one is named.
        """
        names = list(table.declared_sources) if table.layer == "gold" else [table.id]
        name = names[0] if len(names) == 1 and source is None else source
        if name not in names:
            what = "rows of several sources" if source is None else f"no source {source}"
            raise UsageError(what, where=table.id, fix=f"name one with --source: {', '.join(names)}")
        kept = f"temp.explained_0_{names.index(name)}" if table.layer == "gold" else "temp.explained_rows"
        declared = self.project.declared(name)
        return f"SELECT * FROM {self.masks.relation(self.project.engine, name, declared.stored_columns, kept)}"

    def rows(self, table: Table, stored: lake.Snapshot, where: str, asked: str, into: str) -> str:
        """Return a relation of the rows that meet a condition over the table's columns as they are read.

        Raises:
            UsageError: the condition is none.
        """
        engine, numbered = self.project.engine, NumberedRows(self.project.engine, stored, 0)
        try:
            seen = self.masks.relation(engine, table.id, stored.columns, f"({numbered.select()})")
            _check_condition(engine, where)
            engine.table(f"{into}_numbers", f"SELECT {ROW_ID} AS number FROM {seen} WHERE {where}")
        except (ContractError, DataError) as error:
            fix = f"write it over the columns {', '.join(stored.columns)}"
            raise UsageError(error.what, where=asked, fix=error.fix or fix) from error
        except NotRewritten as refused:
            raise UsageError(f"{table.id} is {refused}", where=asked, fix="take the column away") from refused
        engine.table(into, numbered.picked(f"temp.{into}_numbers"))
        return f"temp.{into}"

    def as_it_was_built(self, table: Table, stored: lake.Snapshot) -> Table:
        """Return a table with the run date of its rows, which run_date() is from then on.

        Raises:
            ContractError: the contract has moved on since.
        """
        made = contract.as_stored(table, stored.properties)
        if made.run_date:
            self.project.engine.set_run_date(made.run_date)
        if not contract.is_current(made, stored):
            fix = "run `make pipeline`, so that its rows are those of the contract as it is now"
            raise ContractError(f"{table.id} was built by another version of its contract", where=table.path, fix=fix)
        return made

    # -- what is explained

    def _explained(self, table: Table, stored: lake.Snapshot, rows: str, depth: int) -> Explanation:
        engine = self.project.engine
        count = int(engine.one(f"SELECT count(*) FROM {rows}")[0])
        found = Explanation(
            table.id,
            stored.version,
            table.version,
            self.as_of.get(table.id),
            self.project.relative(str(table.model)) if table.layer == "gold" or table.sql else None,
            count,
            (),
        )
        if not count:
            return found
        made = self.as_it_was_built(table, stored)
        if table.layer == "silver":
            return self._of_silver(found, made, stored, rows)
        return self._of_gold(found, made, stored, rows, depth)

    def _of_silver(self, found: Explanation, table: Table, stored: lake.Snapshot, rows: str) -> Explanation:
        origins = self._origins(table, stored)
        shown = self._with_lines(table, origins, f"(FROM {rows} ORDER BY _file, _row LIMIT {self.limit})")
        lost = None
        if table.key and not self.brief:
            key = ", ".join(map(identifier, table.key))
            same = f"SELECT * FROM ({origins.left_out()}) SEMI JOIN (SELECT {key} FROM {rows}) USING ({key})"
            lost = self._not_counted(origins, same)
        parts = () if self.brief else tuple(self._parts(table, stored, rows))
        return replace(found, shown=shown, not_counted=lost, part_of=parts)

    def _of_gold(self, found: Explanation, table: Table, stored: lake.Snapshot, rows: str, depth: int) -> Explanation:
        tracer = self.tracer(table, stored, f"explained_{depth}")
        try:
            trace = tracer.trace(rows)
        except NotRewritten as refused:
            what = f"over all that {table.id} was computed from, its model does not give these rows: {refused}"
            raise DataError(what, where=table.model, fix="see what `make check` finds in it") from refused
        shown = tuple(SourceRow(values) for values in self.values(table, f"(FROM {rows} LIMIT {self.limit})"))
        sources = tuple(self._source(tracer, trace, name, rows, depth) for name in tracer.sources)
        return replace(found, shown=shown, widened=trace.widened, sources=sources)

    def _source(self, tracer: Tracer, trace: Trace, name: str, rows: str, depth: int) -> SourceRows:
        engine, source = self.project.engine, tracer.sources[name]
        table, count = self.project.declared(name), trace.count(engine, name)
        picked = f"explained_{depth}_{tracer.nth(name)}"
        engine.table(picked, trace.picked(name))
        found = SourceRows(name, source.version, count, ())
        if table.layer == "gold":
            through = self._explained(table, source, f"temp.{picked}", depth + 1) if count else None
            return replace(found, shown=through.shown if through else (), through=through)
        if isinstance(source, Unbuilt):
            return found
        origins = self._origins(table, source)
        weighed = self._weighed(tracer, trace, name, rows)
        shown = [
            replace(one, moves=moves)
            for number, moves in weighed
            for one in self._with_lines(table, origins, f"({tracer.numbered[name].picked(_only(number))})")
        ]
        return replace(found, shown=tuple(shown), not_counted=self._belonging(tracer, name, origins, rows))

    # -- what weighs most

    def _weighed(self, tracer: Tracer, trace: Trace, name: str, rows: str) -> list[tuple[int, Row]]:
        """Return the numbers of rows of a source that move the numbers of an explained row most, and by how much.

        They are found among those with the largest numbers in columns that the model names: each is left out once.
        """
        engine, source = self.project.engine, tracer.numbered[name]
        text = str(tracer.table.sql or "").lower()
        skipped = {*self.project.declared(name).key, *tracer.dimensions}
        sizes = [
            f"ln(1 + abs(coalesce({identifier(column)}, 0)::DOUBLE))"
            for column, kind in source.table.columns.items()
            if NUMBER.fullmatch(kind) and column not in skipped and re.search(rf"\b{re.escape(column)}\b", text)
        ]
        engine.table("explained_some", f"SELECT number FROM {trace.numbers} WHERE {source.is_own}")
        largest_first = f"{' + '.join(sizes)} DESC, {ROW_ID}" if sizes else ROW_ID
        among = f"SELECT {ROW_ID} FROM ({source.numbered_picked('temp.explained_some')}) ORDER BY {largest_first}"
        numbers = engine.values(f"{among} LIMIT {self.limit}")
        if tracer.table.python or int(engine.one(f"SELECT count(*) FROM {rows}")[0]) != 1:
            return [(number, {}) for number in numbers]
        hidden = self.masks.hidden(tracer.table.id, tracer.kinds)
        with_all = tracer.numbers(rows, hidden)
        found = []
        for number in numbers:
            engine.table("explained_without", f"SELECT number FROM {trace.numbers} WHERE number <> {number}")
            fewer = replace(trace, numbers="temp.explained_without")
            without = tracer.numbers(tracer.given(fewer.picked, rows, tracer.dimensions), hidden)
            moves = {
                column: value if (other := without.get(column)) is None else value - other
                for column, value in with_all.items()
                if value is not None and value != without.get(column)
            }
            found.append((number, moves))
        largest = max(with_all, key=lambda column: _weight(with_all[column]), default=None)
        return sorted(found, key=lambda one: -_weight(one[1].get(largest or "")))

    # -- what was not counted

    def _belonging(self, tracer: Tracer, name: str, origins: Origins, rows: str) -> NotCounted | None:
        if self.brief:
            return None
        try:
            number = tracer.belonging(name, origins.left_out(), rows)
        except NotRewritten as refused:
            return NotCounted({}, (), str(refused))
        return self._not_counted(origins, origins.picked(number))

    def _not_counted(self, origins: Origins, select: str) -> NotCounted:
        engine = self.project.engine
        engine.table("explained_left_out", select)
        origins.keep_winners("temp.explained_left_out")
        counts = origins.counts("temp.explained_left_out")
        some = f"(FROM temp.explained_left_out ORDER BY {NEWEST_FIRST} LIMIT {self.limit})"
        return NotCounted(counts, tuple(self._masked_left_out(origins.table, one) for one in origins.reasons(some)))

    # -- upward

    def _parts(self, table: Table, stored: lake.Snapshot, rows: str) -> Iterator[Part]:
        """Yield the rows of marts that rows of silver are part of: those that the model gives over them alone."""
        engine = self.project.engine
        for mart in self.project.marts:
            if table.id not in mart.declared_sources or mart.scored_by or mart.python:
                continue
            try:
                tracer = self.tracer(mart, self.opened(mart), "explained_part")
            except UsageError:
                continue  # not built yet
            if tracer.sources[table.id].version != stored.version:
                continue  # it was computed from an earlier version
            try:
                keys = tracer.made_of(table.id, rows, few=stored.rows <= _READ_WHOLE)
            except NotRewritten:
                continue
            kinds = {name: tracer.kinds[name] for name in tracer.dimensions}
            seen = self.masks.relation(engine, mart.id, kinds, keys)
            for values in engine.rows(f"FROM {seen} ORDER BY ALL LIMIT {self.limit}"):
                yield Part(mart.id, dict(zip(tracer.dimensions, values, strict=True)))

    # -- tables

    def opened(self, table: Table) -> lake.Snapshot:
        """Return the version of a table that is explained.

        Raises:
            UsageError: it is not built yet, or is a table of scores.
        """
        stored = lake.open_table(self.project.path(table.id), self.versions.get(table.id))
        if stored is None:
            raise UsageError(f"{table.id} is not built yet", fix="run `make pipeline` first")
        if table.scored_by:
            read = ", ".join(table.declared_sources)
            raise UsageError(
                f"the rows of {table.id} are scores of {table.scored_by}", fix=f"explain the row of {read}"
            )
        return stored

    def _consumed(self, stored: lake.Snapshot, name: str) -> lake.Snapshot | None:
        """Return a source in the version that a table was computed from; None where it did without.

        Raises:
            MachineError: vacuum took files of it.
        """
        version = stored.progress(name)
        return (
            None if version in (None, Unbuilt.NEVER) else lake.check_restorable(self.project.path(name), int(version))
        )

    def tracer(self, table: Table, stored: lake.Snapshot, into: str) -> Tracer:
        """Return what traces rows of a mart's table to the versions of its sources that it was computed from."""
        sources = {
            name: self._consumed(stored, name) or Unbuilt(self.project.declared(name))
            for name in table.declared_sources
        }
        return Tracer(self.project.engine, table, stored, sources, self.project.proof(table), into)

    def _origins(self, table: Table, stored: lake.Snapshot) -> Origins:
        feeds = {feed.id: self._consumed(stored, feed.id) for feed in table.feeds}
        bronze = {name: found for name, found in feeds.items() if found}
        return Origins(self.project.engine, table, stored, bronze, self.project.landed)

    # -- as people read them

    def values(self, table: Table, relation: str) -> list[Row]:
        """Return the rows of a relation of a table as people read them."""
        names = list(table.stored_columns)
        select = self.masks.relation(self.project.engine, table.id, table.stored_columns, relation)
        rows = self.project.engine.rows(f"SELECT {', '.join(map(identifier, names))} FROM {select}")
        return [dict(zip(names, row, strict=True)) for row in rows]

    def _with_lines(self, table: Table, origins: Origins, relation: str) -> tuple[SourceRow, ...]:
        lines = origins.lines(relation)
        rows = self.values(table, relation)
        found = []
        for row in rows:
            line = lines.get((row["_file"], row["_row"], row["_ingested_at"]))
            values = {name: value for name, value in row.items() if name not in PROVENANCE}
            found.append(SourceRow(values, self._masked_line(line) if line else None))
        return tuple(found)

    def _masked_line(self, line: Line) -> Line:
        """Return a line without the values that whoever asks is not shown."""
        hidden = self.masks.hidden(line.feed, line.values)
        if not hidden:
            return line
        values = {name: SHOWN if name in hidden and value else value for name, value in line.values.items()}
        return replace(line, values=values, text=None if line.text is None else SHOWN)

    def _masked_left_out(self, table: Table, one: LeftOut) -> LeftOut:
        """Return a row that was left out without the values that its reason and its line quote."""
        covered = self.masks.covers(table.id) or self.masks.covers(one.line.feed)
        return replace(one, reason=SHOWN, line=self._masked_line(one.line)) if covered else one


def _only(number: int) -> str:
    return f"(SELECT {number} AS number)"


def _weight(value: Any) -> float:
    return abs(float(value)) if value is not None else 0.0


def _check_condition(engine: DuckEngine, where: str) -> None:
    """Refuse what is not one condition over the columns of one table.

    Raises:
        ContractError: with what is wrong.
    """
    sql = f"SELECT 1 FROM t WHERE {where}"
    node = engine.parse(sql)["statements"][0]["node"]
    if node["type"] != "SELECT_NODE" or any(
        node[part] for part in ("group_expressions", "modifiers", "having", "qualify")
    ):
        raise ContractError("more than a condition")
    if calls := engine.looks_outside(sql):
        raise ContractError(f"{', '.join(calls)} in a condition")


def key_condition(table: Table, pairs: Sequence[str]) -> str:
    """Return the condition of a key that is written as NAME=VALUE.

    Raises:
        UsageError: a pair is none, or names no column.
    """
    kinds = table.stored_columns
    parts = []
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or name not in kinds:
            fix = f"write NAME=VALUE; the key is {', '.join(table.key) or 'all columns'}"
            raise UsageError(f"--key {pair}", fix=fix)
        parts.append(f"{identifier(name)} = {literal(value)}::{kinds[name]}")
    return " AND ".join(parts)
