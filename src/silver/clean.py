"""Silver: one row per key, the newest, typed and checked.

A run reads only the bronze versions a table has not consumed. How far it got is recorded in the
commit that consumed it; the quarantine records the same for itself and is committed first, so that
a crash between the two is finished by the next run without a reject lost or kept twice.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from src import contract, lake
from src.contract import Feed, Table
from src.engine import DuckEngine, identifier
from src.errors import ContractError
from src.outcome import Outcome
from src.silver.project import PROVENANCE, REASONS, VALUES, projection, trimmed

QUARANTINE_COLUMNS = {
    "_reasons": "VARCHAR[]",
    "_values": "VARCHAR",
    "_contract": "VARCHAR",
    **PROVENANCE,
    "_batch": "VARCHAR",
}


@dataclass(frozen=True)
class Work:
    """What a silver table has to do, and why; nothing where `kind` is nothing."""

    kind: str  # nothing | merge | rebuild
    why: str
    until: Mapping[str, int]  # feed id: bronze version to have consumed afterwards


def plan(table: Table, silver: lake.Snapshot | None, feeds: Mapping[str, lake.Snapshot | None]) -> Work:
    """Decide what to do from the versions alone; changes nothing.

    Raises:
        ContractError: the contract changed and its version does not say so.
    """
    until = {feed.id: snapshot.version for feed in table.feeds if (snapshot := feeds[feed.id])}
    if silver is None:
        return Work("rebuild", "first load", until)
    if silver.progress(lake.BUILT_FROM) != contract.fingerprint(table):
        return Work("rebuild", contract.why_rebuild(table, silver.properties), until)
    behind = [feed for feed, version in until.items() if _is_behind(silver, feed, version)]
    if not behind:
        return Work("nothing", "up to date", until)
    moved = ", ".join(f"{feed} {silver.progress(feed)} -> {until[feed]}" for feed in behind)
    return Work("merge", f"new versions: {moved}", until)


@dataclass(frozen=True)
class Places:
    """Where a table, its quarantine and its feeds' bronze tables lie."""

    table: Path
    quarantine: Path
    bronze: Mapping[str, Path]


def run(engine: DuckEngine, table: Table, places: Places, *, batch: str) -> Outcome:
    """Bring one silver table up to its feeds' newest versions.

    Raises:
        ContractError: the contract does not fit the feed, or changed without the version bump it needs.
        DataError: the rows do not add up; nothing was committed.
    """
    feeds = {feed.id: lake.open_table(places.bronze[feed.id]) for feed in table.feeds}
    silver = lake.open_table(places.table)
    work = plan(table, silver, feeds)
    merge = _Merge(engine, table, places, batch)
    if work.kind == "nothing" and silver:
        return Outcome(version=lake.set_properties(silver, contract.tags(table)).version)
    if work.kind == "rebuild" or silver is None:
        return merge.rebuild(feeds)
    outcome = Outcome()
    try:
        for feed in table.feeds:
            if (bronze := feeds[feed.id]) and _is_behind(silver, feed.id, bronze.version):
                outcome = outcome.plus(merge.catch_up(feed, bronze))
    except lake.HistoryGone:
        outcome = merge.rebuild(feeds)
    return outcome


@dataclass(frozen=True)
class _Merge:
    """One run's work on one table."""

    engine: DuckEngine
    table: Table
    places: Places
    batch: str

    @property
    def columns(self) -> dict[str, str]:
        return {column.name: column.type for column in self.table.columns} | PROVENANCE

    # -- from nothing

    def rebuild(self, feeds: Mapping[str, lake.Snapshot | None]) -> Outcome:
        """Compute the table from all of bronze and replace it, and its quarantine, whole."""
        present = [(feed, snapshot) for feed in self.table.feeds if (snapshot := feeds[feed.id])]
        sources = [(feed, snapshot, snapshot.files) for feed, snapshot in present]
        progress = {feed.id: snapshot.version for feed, snapshot in present}
        outcome = self._load(sources)
        quarantine = self._quarantine()
        self._commit_quarantine(quarantine, progress, overwrite=True)
        silver = self._prepared()
        outcome = replace(outcome, duplicates=self._drop_losers())
        kept = int(self.engine.one("SELECT count(*) FROM incoming")[0])
        outcome = replace(outcome, inserted=kept, written=kept).conserve(self.table.id)
        written = self.engine.write(self._select("incoming"), self.places.table, self.table.partition_by)
        silver = lake.commit(
            silver,
            add=written,
            progress={**progress, lake.BUILT_FROM: contract.fingerprint(self.table)},
            info=self._info(),
            overwrite=self.columns,
        )
        silver = lake.set_properties(silver, contract.tags(self.table))
        return replace(outcome, partitions=_partitions(written), version=silver.version)

    def _prepared(self) -> lake.Snapshot:
        """The table to write into: created, or replaced by an empty one where its partitioning changes."""
        silver = lake.open_table(self.places.table)
        if silver and silver.partition_by == self.table.partition_by:
            return silver
        tags = contract.tags(self.table) if silver is None else {}
        return lake.create(
            self.places.table, self.columns, self.table.partition_by, tags, replace=silver is not None
        )

    # -- from where it stopped

    def catch_up(self, feed: Feed, bronze: lake.Snapshot) -> Outcome:
        """Consume one feed's new versions.

        After a crash the quarantine may be ahead of the table; then the table first catches up to
        it, adding nothing to quarantine, and goes on from there.
        """
        silver = self._current()
        quarantine = lake.open_table(self.places.quarantine)
        ahead = quarantine.progress(feed.id) if quarantine else None
        outcome = Outcome()
        if ahead is not None and ahead < bronze.version and _is_behind(silver, feed.id, ahead):
            bound = lake.open_table(bronze.root, ahead)
            if bound is not None:
                outcome = self._merge(feed, bound, silver)
        return outcome.plus(self._merge(feed, bronze, self._current()))

    def _current(self) -> lake.Snapshot:
        silver = lake.open_table(self.places.table)
        if silver is None:
            raise ContractError("the table is gone", where=self.places.table)
        return silver

    def _merge(self, feed: Feed, bronze: lake.Snapshot, silver: lake.Snapshot) -> Outcome:
        progress = {feed.id: bronze.version}
        since = silver.progress(feed.id)
        new = bronze.files if since is None else lake.changes(bronze, since).added
        if not new:
            silver = lake.commit(silver, progress=progress, info=self._info())
            return Outcome(version=silver.version)
        outcome = self._load([(feed, bronze, new)])
        self._commit_quarantine(self._quarantine(), progress, overwrite=False)
        outcome = replace(outcome, duplicates=self._drop_losers())
        updated, unchanged = self._contest(silver)
        kept = int(self.engine.one("SELECT count(*) FROM incoming")[0])
        outcome = replace(outcome, inserted=kept - updated, updated=updated, unchanged=unchanged, written=kept)
        outcome.conserve(self.table.id)
        written, replaced = self._rewrite(silver, updated)
        silver = lake.commit(silver, add=written, remove=replaced, progress=progress, info=self._info())
        return replace(outcome, partitions=_partitions([*written, *replaced]), version=silver.version)

    # -- the steps they share

    def _load(self, sources: Sequence[tuple[Feed, lake.Snapshot, Sequence[lake.DataFile]]]) -> Outcome:
        """Type and check new bronze rows into the temporary table `incoming`, rejects into `unsplit`."""
        if not sources:
            none = ", ".join(
                f"NULL::{kind} AS {identifier(name)}"
                for name, kind in (self.columns | {"_batch": "VARCHAR", REASONS: "VARCHAR[]", VALUES: "VARCHAR"}).items()
            )
            self.engine.table("incoming", f"SELECT {none} WHERE false")
            self.engine.table("unsplit", self._unsplit("(SELECT * FROM incoming)", "NULL", "NULL"))
            return Outcome()
        typed, unsplit = [], []
        for feed, bronze, files in sources:
            relation = self.engine.scan(bronze.root, files, bronze.columns, evolved=True)
            typed.append(self._typed(feed, bronze, relation))
            reason = "'cannot split the line: ' || _reject"
            unsplit.append(self._unsplit(relation, reason, "_raw") + " WHERE _reject IS NOT NULL")
        rows = self.engine.table("incoming", " UNION ALL ".join(typed))
        lost = self.engine.table("unsplit", " UNION ALL ".join(unsplit))
        bad = int(self.engine.one(f"SELECT count(*) FROM incoming WHERE {REASONS} IS NOT NULL")[0])
        return Outcome(read=rows + lost, quarantined=bad + lost)

    def _typed(self, feed: Feed, bronze: lake.Snapshot, relation: str) -> str:
        source = [name for name in bronze.columns if name not in _HOUSE]
        rows = trimmed(relation, source)
        if self.table.sql is None:
            return projection(self.engine, self.table, rows)
        self.engine.publish(feed.id, rows)
        # kept as a table: the name stands for the new rows only while this SELECT is run
        self.engine.table(f"sql of {feed.id}", self._model(feed))
        shaped = self.engine.columns(f"SELECT * FROM {identifier(f'sql of {feed.id}')}")
        values = [name for name in shaped if name not in _HOUSE]
        record = ", ".join(f"{name!r}: {identifier(name)}" for name in values)
        kept = ", ".join([*map(identifier, values), *PROVENANCE, "_batch"])
        shape = f"SELECT {kept}, {{{record}}} AS _source FROM {identifier(f'sql of {feed.id}')}"
        return projection(self.engine, self.table, shape)

    def _model(self, feed: Feed) -> str:
        """The sibling SQL, checked: it reads this feed row by row and keeps where each row came from."""
        sql = str(self.table.sql)
        where = self.table.path.with_suffix(".sql")
        read = self.engine.table_references(sql)
        if read != {feed.id} or len(self.table.feeds) > 1:
            found = ", ".join(sorted(read)) or "nothing"
            raise ContractError(f"reads {found}", where=where, fix=f"read the table's one feed, {feed.id}, and nothing else")
        missing = [name for name in (*PROVENANCE, "_batch") if name not in self.engine.columns(sql)]
        if missing:
            fix = "SELECT " + ", ".join((*PROVENANCE, "_batch")) + " too: rows must say where they came from"
            raise ContractError(f"drops {', '.join(missing)}", where=where, fix=fix)
        return sql

    def _unsplit(self, relation: str, reason: str, raw: str) -> str:
        return f"SELECT [{reason}] AS _reasons, {raw} AS _values, {', '.join(PROVENANCE)}, _batch FROM {relation}"

    def _quarantine(self) -> list[lake.DataFile]:
        """Write the rows that did not pass, take them out of `incoming`."""
        root = self.places.quarantine
        if lake.open_table(root) is None:
            lake.create(root, QUARANTINE_COLUMNS)
        bad = f"SELECT _reasons, _values, {', '.join(PROVENANCE)}, _batch FROM incoming WHERE {REASONS} IS NOT NULL"
        version = f"'{self.table.version}' AS _contract"
        sql = f"SELECT _reasons, _values, {version}, {', '.join(PROVENANCE)}, _batch FROM ({bad} UNION ALL FROM unsplit)"
        files = self.engine.write(sql, root)
        self.engine.execute(f"DELETE FROM incoming WHERE {REASONS} IS NOT NULL")
        return files

    def _commit_quarantine(self, files: list[lake.DataFile], progress: Mapping[str, int], *, overwrite: bool) -> None:
        quarantine = lake.open_table(self.places.quarantine)
        assert quarantine is not None  # _quarantine created it
        if overwrite:
            whole = QUARANTINE_COLUMNS if files or quarantine.files else None
            lake.commit(quarantine, add=files, progress=progress, info=self._info(), overwrite=whole)
            return
        if not any(_is_behind(quarantine, feed, version) for feed, version in progress.items()):
            lake.discard(self.places.quarantine, files)  # a crashed run committed these already
            return
        if files:
            lake.commit(quarantine, add=files, progress=progress, info=self._info())

    def _drop_losers(self) -> int:
        """Keep one row per key in `incoming`; returns how many went.

        Only keys that occur twice are looked at closely, so wide rows never enter a window.
        """
        key = ", ".join(map(identifier, self._key))
        twice = f"SELECT hash({key}) FROM incoming GROUP BY 1 HAVING count(*) > 1"
        ranked = (
            f"SELECT rowid AS id, row_number() OVER (PARTITION BY {key} ORDER BY {self._order}) AS place "
            f"FROM incoming WHERE hash({key}) IN ({twice})"
        )
        losers = self.engine.table("losers", f"SELECT id FROM ({ranked}) WHERE place > 1")
        if losers:
            self.engine.execute("DELETE FROM incoming WHERE rowid IN (SELECT id FROM losers)")
        return losers

    def _contest(self, silver: lake.Snapshot) -> tuple[int, int]:
        """Let new rows and stored rows of the same key contend.

        New rows that lose leave `incoming`; stored rows that lose are listed in `superseded`.
        Returns (stored rows superseded, new rows that lost).
        """
        files = self._candidates(silver)
        match = " AND ".join(f"s.{identifier(name)} IS NOT DISTINCT FROM i.{identifier(name)}" for name in self._key)
        scan = self.engine.scan(silver.root, files, self.columns, self.table.partition_by, located=True)
        stored = self.engine.table("stored", f"SELECT s.* FROM {scan} s SEMI JOIN incoming i ON {match}")
        if not stored:
            self.engine.table("superseded", "SELECT _at, _nth FROM stored")
            return 0, 0
        key = ", ".join(map(identifier, self._key))
        names = ", ".join(map(identifier, self.columns))
        both = (
            f"SELECT {names}, 0 AS side, rowid AS id FROM stored UNION ALL "
            f"SELECT {names}, 1, i.rowid FROM incoming i SEMI JOIN stored s ON {match}"
        )
        self.engine.table(
            "contest",
            f"SELECT side, id FROM (SELECT side, id, row_number() OVER "
            f"(PARTITION BY {key} ORDER BY {self._contest_order}) AS place FROM ({both})) WHERE place > 1",
        )
        self.engine.execute("DELETE FROM incoming WHERE rowid IN (SELECT id FROM contest WHERE side = 1)")
        superseded = self.engine.table(
            "superseded", "SELECT _at, _nth FROM stored WHERE rowid IN (SELECT id FROM contest WHERE side = 0)"
        )
        lost = int(self.engine.one("SELECT count(*) FROM contest WHERE side = 1")[0])
        return superseded, lost

    def _candidates(self, silver: lake.Snapshot) -> list[lake.DataFile]:
        """The files that can hold a key of `incoming`.

        Where the partition follows from the key alone a row cannot move, and the other partitions
        are left out; elsewhere the old row may lie in any of them.
        """
        if not self.table.partition_by or not self._partition_follows_from_key():
            return list(silver.files)
        values = ", ".join(f"{identifier(name)}::VARCHAR" for name in self.table.partition_by)
        touched = set(self.engine.rows(f"SELECT DISTINCT {values} FROM incoming"))
        return [
            file for file in silver.files if tuple(file.partition[name] for name in self.table.partition_by) in touched
        ]

    def _partition_follows_from_key(self) -> bool:
        if set(self.table.partition_by) <= set(self._key):
            return True
        known = {name.lower() for name in self._key}
        own = {column.name.lower(): column for column in self.table.columns}
        for name in self.table.partition_by:
            expression = own[name].expression
            references = self.engine.column_references(expression) if expression else {name}
            if not references <= known & set(own):
                return False
        return True

    def _rewrite(self, silver: lake.Snapshot, updated: int) -> tuple[list[lake.DataFile], list[lake.DataFile]]:
        """Write the new rows, and again the rows that shared a file with a superseded one."""
        rows = self._select("incoming")
        replaced: list[lake.DataFile] = []
        if updated:
            paths = set(self.engine.values("SELECT DISTINCT _at FROM superseded"))
            replaced = [file for file in silver.files if str(silver.root / file.path) in paths]
            scan = self.engine.scan(silver.root, replaced, self.columns, self.table.partition_by, located=True)
            survivors = f"{scan} t ANTI JOIN superseded USING (_at, _nth)"
            rows += f" UNION ALL {self._select(survivors)}"
        return self.engine.write(rows, self.places.table, self.table.partition_by), replaced

    def _select(self, relation: str) -> str:
        return f"SELECT {', '.join(map(identifier, self.columns))} FROM {relation}"

    def _info(self) -> dict[str, str]:
        return {"run_id": self.batch, "userMetadata": json.dumps({"version": self.table.version})}

    # -- which row of a key wins

    @property
    def _key(self) -> tuple[str, ...]:
        return self.table.key or tuple(column.name for column in self.table.columns)

    @property
    def _order(self) -> str:
        """ORDER BY that puts the winner first.

        By sequence, ties by content and never by arrival; without a sequence the later arrival
        wins. Among rows of equal content the earliest stands, which no reader can tell apart.
        """
        if not self.table.key:
            return "_ingested_at, _file, _row"
        if not self.table.sequence_by:
            return "_ingested_at DESC, _file DESC, _row DESC"
        rest = [c.name for c in self.table.columns if c.name not in {*self.table.key, *self.table.sequence_by}]
        ranks = [f"{identifier(name)} DESC NULLS LAST" for name in (*self.table.sequence_by, *rest)]
        return ", ".join([*ranks, "_ingested_at, _file, _row"])

    @property
    def _contest_order(self) -> str:
        """The same between stored and new rows; a stored row of equal content stays, so nothing is rewritten."""
        if not self.table.key:
            return "side"
        if not self.table.sequence_by:
            return self._order
        return self._order.replace("_ingested_at, _file, _row", "side")


_HOUSE = {*PROVENANCE, "_batch", "_reject", "_raw", "_source"}


def _is_behind(table: lake.Snapshot, source: str, version: int) -> bool:
    consumed = table.progress(source)
    return consumed is None or consumed < version


def _partitions(files: Sequence[lake.DataFile]) -> int:
    return len({tuple(file.partition.items()) for file in files})
