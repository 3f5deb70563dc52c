"""Gold: a partition is computed whole, never edited.

A run finds the partitions that the sources' new versions touched, before and after, computes
exactly these from the sources and replaces them in one commit; one that became empty is emptied.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from src import audit, contract, lake, rules
from src.contract import Column, Table
from src.engine import DuckEngine, identifier, literal
from src.errors import ContractError, DataError
from src.outcome import Outcome

_PROVENANCE = ("_file", "_row", "_ingested_at")  # rows that share it are the same row, until their table is rebuilt


@dataclass(frozen=True)
class Work:
    """What a gold table has to do, and why."""

    kind: str  # nothing | partitions | rebuild
    why: str
    until: Mapping[str, int]  # source id: version to have consumed afterwards


def plan(table: Table, gold: lake.Snapshot | None, sources: Mapping[str, lake.Snapshot]) -> Work:
    """Decide what to do from the versions alone; changes nothing.

    Raises:
        ContractError: the contract changed and its version does not say so.
    """
    until = {name: snapshot.version for name, snapshot in sources.items()}
    if gold is None:
        return Work("rebuild", "first load", until)
    if gold.progress(lake.BUILT_FROM) != contract.fingerprint(table):
        return Work("rebuild", contract.why_rebuild(table, gold.properties), until)
    contract.check_version(table, gold.properties)
    known = {name: gold.progress(lake.identity_of(name)) for name in sources}
    anew = [name for name, found in sources.items() if known[name] not in (None, found.identity)]
    if anew:  # their versions say nothing here
        return Work("rebuild", f"{', '.join(anew)} was made anew", until)
    moved = {name: gold.progress(name) for name, version in until.items() if gold.progress(name) != version}
    if not moved:
        return Work("nothing", "up to date", until)
    why = "new versions: " + ", ".join(f"{name} {since} -> {until[name]}" for name, since in moved.items())
    return Work("partitions", why, until)


def run(
    engine: DuckEngine,
    table: Table,
    root: Path,
    sources: Mapping[str, lake.Snapshot],
    refers: Mapping[str, lake.Snapshot],
    *,
    batch: str,
    again: Mapping[str, str] | None = None,
    whole: bool = False,
) -> Outcome:
    """Bring one gold table up to these versions of its sources; `refers` are the tables its foreign keys name.

    `again`: relations of source rows, by source, whose partitions are computed even though no row changed;
    `whole`: every partition is.

    Raises:
        ContractError: the model does not parse, or does not return what the contract says.
        DataError: the result breaks a key, a required column or an audit; nothing was committed.
    """
    gold = lake.open_table(root)
    work = plan(table, gold, sources)
    build = _Build(engine, table, root, sources, refers, work, batch, again or {})
    if gold is None or work.kind == "rebuild" or whole:
        return build.whole()
    # before the rows: a crash after a rebuild, or a version without a change of logic, may have left an older tag
    gold = lake.set_properties(gold, contract.tags(table))
    if work.kind == "nothing" and not again:
        return Outcome(version=gold.version)
    try:
        touched = build.find_touched(gold)
    except lake.HistoryGone:
        return build.whole()
    if not touched:
        # the sources moved without changing a row: remember that they were seen
        return Outcome(version=lake.commit(gold, progress=build.progress, info=build.info).version)
    if touched == _EVERYTHING or table.refresh == "full":
        return build.whole()
    return build.partitions(gold)


def partitions_of(engine: DuckEngine, table: Table, source: lake.Snapshot, rows: str) -> list[str]:
    """The partitions of a gold table in which rows of a source (a relation) count, as text; changes nothing."""
    build = _Build(engine, table, Path(), {}, {}, Work("partitions", "", {}), "", {})
    return build.partitions_of(source, rows)


def compute(engine: DuckEngine, table: Table, sources: Mapping[str, lake.Snapshot]) -> int:
    """Compute the whole table from these versions of its sources into the temporary table `result`; returns its rows.

    Raises:
        ContractError: the model does not parse, or does not return what the contract says.
        DataError: the result breaks a key or a required column.
    """
    return _Build(engine, table, Path(), sources, {}, Work("rebuild", "", {}), "", {}).compute_whole()


_EVERYTHING = -1


@dataclass(frozen=True)
class _Build:
    """One run's work on one table."""

    engine: DuckEngine
    table: Table
    root: Path
    sources: Mapping[str, lake.Snapshot]
    refers: Mapping[str, lake.Snapshot]
    work: Work
    batch: str
    again: Mapping[str, str]

    @property
    def progress(self) -> dict[str, int]:
        """Which sources, and which versions of them, will have been consumed."""
        return {**self.work.until, **{lake.identity_of(name): source.identity for name, source in self.sources.items()}}

    # -- everything

    def whole(self) -> Outcome:
        """Compute everything and replace everything."""
        rows = self.compute_whole()
        audits = self._audit("(FROM result)")
        gold = self._prepared()
        written = self.engine.write("FROM result", self.root, self.table.partition_by, rows)
        gold = lake.commit(
            gold,
            add=written,
            progress={**self.progress, lake.BUILT_FROM: contract.fingerprint(self.table)},
            info=self.info,
            overwrite=self._columns,
        )
        gold = lake.set_properties(gold, contract.tags(self.table))
        return _outcome(rows, len(written) if self.table.partition_by else 0, gold.version, audits)

    def _audit(self, relation: str) -> tuple[audit.Result, ...]:
        others = {name: self._scan(other, other.files) for name, other in self.refers.items()}
        return audit.run(self.engine, self.table, relation, others | {self.table.id: "audited"})

    def compute_whole(self) -> int:
        for name, source in self.sources.items():
            self.engine.publish(name, f"SELECT * FROM {self._scan(source, source.files)}")
        read = [file for source in self.sources.values() for file in source.files]
        return self._compute("SELECT {columns} FROM ({model})", read)

    def _prepared(self) -> lake.Snapshot:
        gold = lake.open_table(self.root)
        if gold and gold.partition_by == self.table.partition_by:
            return gold
        tags = contract.tags(self.table) if gold is None else {}
        return lake.create(self.root, self._columns, self.table.partition_by, tags, replace=gold is not None)

    # -- what was touched

    def find_touched(self, gold: lake.Snapshot) -> int:
        """Collect the partitions in which a source's rows changed into `touched`; returns how many.

        _EVERYTHING where that cannot be told: a table without partitions, or a changed source that
        does not have the columns the partition is computed from (a dimension).
        """
        found: list[str] = []
        for name, source in self.sources.items():
            since = gold.progress(name)
            if since is None:
                return _EVERYTHING
            if name in self.again:
                if not self._partition_in(source):
                    return _EVERYTHING
                found.append(f"SELECT DISTINCT {self._keys} FROM {self.again[name]}")
            moved = lake.changes(source, since)
            if moved.rebuilt:
                return _EVERYTHING  # its old files may have other columns
            if not moved.added and not moved.removed:
                continue
            if not self._partition_in(source):
                if self._differs(source, moved):
                    return _EVERYTHING
                continue
            found.append(self._changed_partitions(source, moved))
        if not found:
            return 0
        return self.engine.table("touched", f"FROM ({' UNION '.join(found)}) WHERE {self._in_one}")

    def partitions_of(self, source: lake.Snapshot, rows: str) -> list[str]:
        if not self._partition_in(source) or self.table.refresh == "full":
            return ["the whole table"]
        text = " || '/' || ".join(f"'{name}=' || {identifier(name)}::VARCHAR" for name in self.table.partition_by)
        keys = f"(SELECT {self._keys} FROM {rows})"
        return self.engine.values(f"SELECT DISTINCT {text} FROM {keys} WHERE {self._in_one} ORDER BY 1")

    def _partition_in(self, source: lake.Snapshot) -> bool:
        """Whether a source has the columns that the partition is computed from."""
        columns = {name.lower() for name in source.columns}
        needed = {name for column in self._partition for name in self._references(column)}
        return bool(needed) and needed <= columns

    def _changed_partitions(self, source: lake.Snapshot, moved: lake.Changes) -> str:
        files = [*moved.added, *moved.removed]
        if self._told_by_folders(source) and set(_PROVENANCE) <= set(source.columns):
            # silver writes a file again only for a row in it that changed: no row has to be read to know its partition
            return f"SELECT DISTINCT {self._keys} FROM {self._folders(source, files)}"
        if not moved.removed:
            return f"SELECT DISTINCT {self._keys} FROM {self._scan(source, moved.added)}"
        return self._difference(source, moved, self._keys, self._names)

    def _differs(self, source: lake.Snapshot, moved: lake.Changes) -> bool:
        return bool(self.engine.rows(self._difference(source, moved, "1 AS one", "one")))

    def _difference(self, source: lake.Snapshot, moved: lake.Changes, keys: str, names: str) -> str:
        """SELECT of the `keys`, called `names`, whose rows are not the same in the added and in the removed files.

        Rows are the same if there are as many of them and the sum of their hashes (64 bits) is: kept apart they
        would take the memory of everything that moved.
        """
        told = set(_PROVENANCE) <= set(source.columns) and "_valid_to" not in source.columns  # history changes in place
        identity = ", ".join(map(identifier, _PROVENANCE if told else source.columns))
        sides = " UNION ALL ".join(
            f"SELECT {keys}, hash({identity})::HUGEINT AS _hash, {sign} AS _sign FROM {self._scan(source, files)}"
            for sign, files in ((1, moved.added), (-1, moved.removed))
        )
        return f"SELECT {names} FROM ({sides}) GROUP BY ALL HAVING sum(_sign) <> 0 OR sum(_sign * _hash) <> 0"

    # -- some partitions

    def partitions(self, gold: lake.Snapshot) -> Outcome:
        """Compute the touched partitions, and those that look back on them, and replace them."""
        self._widen()
        read: list[lake.DataFile] = []
        for name, source in self.sources.items():
            files = self._files_within_reads(source)
            self.engine.publish(name, self._within_reads(source, files))
            read += files
        rows = self._compute("SELECT {columns} FROM ({model}) SEMI JOIN outputs USING ({partition})", read)
        texts = ", ".join(f"{identifier(name)}::VARCHAR" for name in self.table.partition_by)
        outputs = set(self.engine.rows(f"SELECT {texts} FROM outputs"))
        replaced = [file for file in gold.files if gold.partition_of(file) in outputs]
        kept = self._scan(gold, [file for file in gold.files if file not in replaced])
        self._check_key_beside(kept)
        audits = self._audit(f"(SELECT * FROM {kept} UNION ALL BY NAME FROM result)")
        written = self.engine.write("FROM result", self.root, self.table.partition_by, rows)
        gold = lake.commit(gold, add=written, remove=replaced, progress=self.progress, info=self.info)
        return _outcome(rows, len(outputs), gold.version, audits)

    def _widen(self) -> None:
        """From `touched`: `outputs`, the partitions to replace, and `reads`, those the model must see.

        With a lookback of N a partition's rows depend on the N partitions before it, so the N that
        follow a touched one are computed again, and the N before each of these are read.
        """
        back = self.table.lookback
        if not back:
            self.engine.table("outputs", "FROM touched")
            self.engine.table("reads", "FROM touched")
            return
        name = self._names
        present = " UNION ".join(
            f"SELECT DISTINCT {self._keys} FROM {self._scan(source, source.files)}"
            for source in self.sources.values()
            if self._partition_in(source)
        )
        numbered = f"SELECT {name}, row_number() OVER (ORDER BY {name}) AS _place FROM ({present}) WHERE {self._in_one}"
        self.engine.table("present", numbered)

        def neighbours(of: str, first: int, last: int) -> str:
            at = f"(SELECT o.{name}, (SELECT count(*) FROM present p WHERE p.{name} <= o.{name}) AS _place FROM {of} o)"
            near = f"p._place BETWEEN a._place + {first} AND a._place + {last}"
            return f"SELECT {name} FROM {of} UNION SELECT p.{name} FROM present p JOIN {at} a ON {near}"

        self.engine.table("outputs", neighbours("touched", 1, back))
        self.engine.table("reads", neighbours("outputs", -back, 0))

    def _within_reads(self, source: lake.Snapshot, files: Sequence[lake.DataFile]) -> str:
        """Files of a source cut to the partitions in `reads`; whole where it has not the partition's columns."""
        if not self._partition_in(source):
            return f"SELECT * FROM {self._scan(source, files)}"
        # renamed, so that a column of the source and the partition computed from it can share a name
        renamed = ", ".join(f"{identifier(name)} AS _key{at}" for at, name in enumerate(self.table.partition_by))
        match = " AND ".join(
            f"({column.expression or identifier(column.name)})::{column.type} = _key{at}"
            for at, column in enumerate(self._partition)
        )
        return f"SELECT s.* FROM {self._scan(source, files)} s SEMI JOIN (SELECT {renamed} FROM temp.reads) ON {match}"

    def _files_within_reads(self, source: lake.Snapshot) -> list[lake.DataFile]:
        """The files that can hold rows of `reads`: told by their folders where the partition follows from these."""
        if not (source.files and self._partition_in(source) and self._told_by_folders(source)):
            return list(source.files)
        keyed = f"(SELECT _at, {self._keys} FROM {self._folders(source, source.files)})"
        within = set(self.engine.values(f"SELECT _at FROM {keyed} SEMI JOIN reads USING ({self._names})"))
        return [file for at, file in enumerate(source.files) if at in within]

    def _told_by_folders(self, source: lake.Snapshot) -> bool:
        """Whether the partition follows from the partition of a source."""
        needed = {name for column in self._partition for name in self._references(column)}
        return needed <= {name.lower() for name in source.partition_by}

    def _folders(self, source: lake.Snapshot, files: Sequence[lake.DataFile]) -> str:
        """A relation of the partition values of a source's files, and at which place (_at) each file stands."""
        rows = ", ".join(
            f"({at}, {', '.join(literal(value) for value in source.partition_of(file))})"
            for at, file in enumerate(files)
        )
        names = ", ".join(map(identifier, source.partition_by))
        typed = ", ".join(
            f"{identifier(name)}::{source.columns[name]} AS {identifier(name)}" for name in source.partition_by
        )
        return f"(SELECT _at, {typed} FROM (VALUES {rows}) v(_at, {names}))"

    # -- the model

    def _compute(self, shape: str, read: Sequence[lake.DataFile]) -> int:
        """Run the model into the temporary table `result`, checked against the contract; returns its rows.

        `read` are the files that it reads: there may be as many rows as they have.
        """
        model = self._python() if self.table.python else self.engine.inline(str(self.table.sql))
        self._check_shape(self.engine.columns(model))
        names = ", ".join(map(identifier, self._columns))
        sql = shape.format(columns=names, model=model, partition=self._names)
        large = not self.engine.has_room_for(sum(file.size for file in read))
        rows = self.engine.table("result", sql, large=large)
        self._check_rows()
        return rows

    def _check_shape(self, found: Mapping[str, str]) -> None:
        wanted = self._columns
        faults = [f"no column {name}" for name in wanted if name not in found]
        faults += [f"column {name} is not in the contract" for name in found if name not in wanted]
        faults += [
            f"column {name} is {found[name]}, the contract says {kind}"
            for name, kind in wanted.items()
            if name in found and found[name] != kind
        ]
        if faults:
            fix = "end the model with a cast of every column to the contract's type, or change the contract"
            raise ContractError(f"{self.table.id}: {'; '.join(faults)}", where=self.table.model, fix=fix)

    def _check_rows(self) -> None:
        finite = (rule for column in self.table.columns for rule in rules.not_finite(column))
        for test, reason in (*finite, *(rule for column in self.table.columns for rule in rules.broken(column))):
            bad = self.engine.rows(f"SELECT {reason}, count(*) OVER () FROM result WHERE {test} LIMIT 1")
            if bad:
                fix = "correct the model, or the rule in the contract"
                raise DataError(f"{bad[0][1]} rows break a rule: {bad[0][0]}", where=self.table.model, fix=fix)
        required = {c.name for c in self.table.columns if c.required} | {*self.table.key, *self.table.partition_by}
        for name in [name for name in self._columns if name in required]:
            empty = self.engine.one(f"SELECT count(*) FROM result WHERE {identifier(name)} IS NULL")[0]
            if empty:
                fix = "correct the model, or make the column optional in the contract"
                raise DataError(f"{empty} rows without {name}", where=self.table.model, fix=fix)
        if self.table.key:
            key = ", ".join(map(identifier, self.table.key))
            twice = self.engine.rows(f"SELECT {key}, count(*) FROM result GROUP BY ALL HAVING count(*) > 1 LIMIT 3")
            if twice:
                shown = "; ".join(", ".join(map(str, row[:-1])) + f" ({row[-1]} rows)" for row in twice)
                fix = f"the key is {', '.join(self.table.key)}: group by it, or change the contract"
                raise DataError(f"key occurs more than once: {shown}", where=self.table.model, fix=fix)

    def _check_key_beside(self, kept: str) -> None:
        """Refuse a key of the `result` that a row of the kept partitions has too.

        A key that holds the partition's columns cannot be in another partition: then nothing is read.
        """
        if not self.table.key or set(self.table.partition_by) <= set(self.table.key):
            return
        key = ", ".join(map(identifier, self.table.key))
        places = " || ', ' || ".join(f"{identifier(name)}::VARCHAR" for name in self.table.partition_by)
        stored = f"SELECT {key}, {places} FROM {kept} SEMI JOIN result USING ({key}) ORDER BY ALL LIMIT 3"
        if duplicates := self.engine.rows(stored):
            shown = "; ".join(
                f"{', '.join(map(str, row[:-1]))} (also in the partition {row[-1]})" for row in duplicates
            )
            fix = f"the key is {', '.join(self.table.key)}: group by it, or change the contract"
            raise DataError(f"key occurs more than once: {shown}", where=self.table.model, fix=fix)

    def _python(self) -> str:
        """Run a Python model: `model(tables)` takes and returns polars LazyFrames; returns SQL over its rows."""
        import polars

        module = _module(self.table.model)
        if not callable(getattr(module, "model", None)):
            fix = "define model(tables: dict[str, pl.LazyFrame]) -> pl.LazyFrame"
            raise ContractError("no function model", where=self.table.model, fix=fix)
        tables = {
            name: polars.DataFrame(self.engine.arrow(f"SELECT * FROM {name}").read_all()).lazy()
            for name in self.sources
        }
        result: Any = module.model(tables)
        self.engine.stream("model", result.collect().to_arrow())
        kinds = self.engine.columns("FROM model")
        views = (
            f"{identifier(n)}::VARCHAR AS {identifier(n)}" if k == "VARCHAR" else identifier(n)
            for n, k in kinds.items()
        )
        return f"SELECT {', '.join(views)} FROM model"

    # -- names

    @property
    def info(self) -> dict[str, str]:
        return {"run_id": self.batch, "userMetadata": json.dumps({"version": self.table.version})}

    @property
    def _columns(self) -> dict[str, str]:
        return {column.name: column.type for column in self.table.columns}

    @property
    def _partition(self) -> list[Column]:
        own = {column.name: column for column in self.table.columns}
        return [own[name] for name in self.table.partition_by]

    @property
    def _names(self) -> str:
        """The partition columns, for a SELECT list or USING."""
        return ", ".join(map(identifier, self.table.partition_by))

    @property
    def _in_one(self) -> str:
        """That the partition columns name a partition: a row for which one of them is NULL counts in none."""
        return " AND ".join(f"{identifier(name)} IS NOT NULL" for name in self.table.partition_by)

    @property
    def _keys(self) -> str:
        """The partition columns computed from a source's columns, for a SELECT list."""
        return ", ".join(
            f"({column.expression or identifier(column.name)})::{column.type} AS {identifier(column.name)}"
            for column in self._partition
        )

    def _references(self, column: Column) -> set[str]:
        return self.engine.column_references(column.expression) if column.expression else {column.name.lower()}

    def _scan(self, source: lake.Snapshot, files: Sequence[lake.DataFile]) -> str:
        return self.engine.scan(source.root, files, source.columns, source.partition_by)


def _outcome(rows: int, partitions: int, version: int, audits: tuple[audit.Result, ...]) -> Outcome:
    return Outcome(read=rows, inserted=rows, written=rows, partitions=partitions, version=version, audits=audits)


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ContractError("cannot be imported", where=path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
