"""A silver table's load by workers: what each stage is given, and what the driver's merge goes on with.

The driver sees staged rows under the names of the batch, as views: so it judges, audits, quarantines and commits by
the same code as on one machine.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial, reduce
from pathlib import Path
from typing import Any, TypeVar

from src import lake
from src.checks.audits import Counting
from src.checks.outcome import Outcome
from src.contract import Feed, Table
from src.engine import DuckEngine, identifier, literal
from src.silver import clean, incoming, merge, passes, statements, winners
from src.silver.batch import Batch
from src.silver.incoming import Source
from src.silver.merge import Contest
from src.workers import narrow, tasks
from src.workers.counting import counted
from src.workers.stages import Stages
from src.workers.tasks import Cut, Staged, together

T = TypeVar("T")


@dataclass
class _Load:
    """One load as it goes on: its staging folder, and what its stages left for those that follow."""

    folder: Path
    homes: Cut
    rows: Staged
    superseded: Staged
    candidates: Sequence[lake.DataFile] = ()
    against: Outcome = field(default_factory=Outcome)
    write: Callable[[], list[lake.DataFile]] | None = None  # of rows that go from bronze straight into their files


@contextmanager
def one_pass(engine: DuckEngine, table: Table, sources: Sequence[Source], stages: Stages) -> Iterator[Staged | None]:
    """Return what `staged_whole` does for the length of a with-block; nothing is left of it then."""
    apart = replace(stages, staging=stages.new_folder())
    try:
        yield staged_whole(engine, table, sources, apart)
    finally:
        _forget(engine)
        apart.sweep()


def staged_whole(engine: DuckEngine, table: Table, sources: Sequence[Source], stages: Stages) -> Staged | None:
    """Return the rows of a table, computed from these sources; they lie in the staging folder until it is swept.

    None, where the sources are small: then nothing was done. Rows with reasons are in `rejected`; no file is written
    into the table's folder.
    """
    if not stages.deals(tasks.size(file for _, _, files in sources for file in files)):
        return None
    places = clean.Places.of_table(table, stages.new_folder().joinpath)
    lake.make_folder(places.table)
    shared = SharedMerge(engine, table, places, "", stages=stages)
    shared._compute_whole(sources)
    load = shared._loads[-1]
    if load.write is None:
        return load.rows
    return Staged(places.table, table.stored_columns, tuple(load.write()), table.partition_by)


def _forget(engine: DuckEngine) -> None:
    """Let the driver's engine forget staged rows, which it has as views."""
    for name in (Batch.INCOMING, Batch.UNSPLIT, Batch.REJECTED, Batch.DELETED, Batch.SUPERSEDED):
        engine.drop(name)


@dataclass(frozen=True)
class SharedMerge(merge.Merge):
    """A merge whose large loads are dealt out to workers; small ones are the driver's own."""

    stages: Stages = field(kw_only=True)
    _loads: list[_Load] = field(default_factory=list, kw_only=True)  # the one that goes on, if one is dealt out

    def rebuild(self, feeds: Mapping[str, lake.Snapshot | None], *, judged: bool = False) -> Outcome:
        """Do what `Merge.rebuild` does; what was staged is gone afterwards."""
        with self._staging():
            return super().rebuild(feeds, judged=judged)

    def _merge(self, feed: Feed, bronze: lake.Snapshot, silver: lake.Snapshot) -> Outcome:
        with self._staging():
            return super()._merge(feed, bronze, silver)

    def _compute_whole(self, sources: Sequence[Source]) -> passes.Rows:
        if not self._deals(sources):
            return super()._compute_whole(sources)
        have_columns = all(incoming.has_columns(bronze) for _, bronze, _ in sources)
        if have_columns and passes.can_be(self.table, sources):
            return self._passed(sources)
        computed = self._computed(sources, None, None)
        load = self._loads[-1]
        outcome = replace(computed, deleted=load.against.deleted, unchanged=load.against.unchanged)
        return passes.Rows((incoming.stored(self.table, Batch.INCOMING),), load.rows.rows, outcome)

    def _compute(self, silver: lake.Snapshot, sources: Sequence[Source], earlier: statements.Earlier | None) -> Outcome:
        if not self._deals(sources):
            return super()._compute(silver, sources, earlier)
        return self._computed(sources, earlier, silver)

    def _contend(self, silver: lake.Snapshot) -> Contest:
        if not self._loads:
            return super()._contend(silver)
        load = self._loads[-1]
        return Contest(load.candidates, load.against, load.superseded.rows)

    def _written(self, rows: passes.Rows) -> list[lake.DataFile]:
        if not self._loads:
            return super()._written(rows)
        lake.make_folder(self.places.table)
        return self._loads[-1].write() if self._loads[-1].write else self._rewritten(None, ())

    def _write(
        self, silver: lake.Snapshot, rows: str, replaced: Sequence[lake.DataFile], count: int
    ) -> list[lake.DataFile]:
        if not self._loads:
            return super()._write(silver, rows, replaced, count)
        return self._rewritten(silver, replaced)

    def _counting_of(self, written: Sequence[lake.DataFile]) -> Counting | None:
        rows = Staged(self.places.table, self.table.stored_columns, tuple(written), self.table.partition_by)
        return self._counted((rows, None)) if self._loads else None

    def _counting(
        self, silver: lake.Snapshot, untouched: Sequence[lake.DataFile], replaced: Sequence[lake.DataFile]
    ) -> Counting | None:
        if not self._loads:
            return None
        load, stored = self._loads[-1], self._stored(silver)
        staying = (replace(stored, files=tuple(replaced)), load.superseded)
        return self._counted((replace(stored, files=tuple(untouched)), None), staying, (load.rows, None))

    def _stored(self, silver: lake.Snapshot) -> Staged:
        """Return the rows of the table as those that are staged."""
        return Staged(silver.root, self.table.stored_columns, silver.files, silver.partition_by)

    def _counted(self, *parts: tuple[Staged, Staged | None]) -> Counting:
        return partial(counted, self.stages, self.table, parts)

    # -- the stages

    def _deals(self, sources: Sequence[Source]) -> bool:
        deals = self.stages.deals(tasks.size(file for _, _, files in sources for file in files))
        if deals:
            self.engine.admit(sys.maxsize)  # not beside other steps: the driver deals out one load at a time
        return deals

    @contextmanager
    def _staging(self) -> Iterator[None]:
        """Let a load that is dealt out go on within a with-block; what it staged is gone after it."""
        try:
            yield
        finally:
            for load in self._loads:
                _forget(self.engine)
                self.stages.clear(load.folder)
            self._loads.clear()

    def _computed(
        self, sources: Sequence[Source], earlier: statements.Earlier | None, silver: lake.Snapshot | None
    ) -> Outcome:
        """Do all stages but the last; returns what became of the new rows among each other.

        `silver`: the table with whose rows they contend; None where it is computed whole.
        """
        table, folder = self.table, self.stages.new_folder()
        size = tasks.size(file for _, _, files in sources for file in files)
        buckets = self.stages.buckets(size)
        cut = Cut(tuple(map(identifier, tasks.shared_key(table))), buckets)
        partition = tuple(f"{identifier(name)}::VARCHAR" for name in table.partition_by)
        homes = Cut(partition, buckets) if partition else Cut(cut.by, self.stages.buckets(size, least=1))
        load = _Load(folder, homes, Staged(folder, table.stored_columns), Staged(folder, tasks.LOCATED))
        self._loads.append(load)
        typed = self._type(sources, folder, cut)
        read = sum(one.read for one in typed)
        if table.sql is None:  # which may make other rows of a row
            incoming.conserve(table, sources, read)
        rows = together((one.rows for one in typed), folder, tasks.typed_columns(table))
        live, touched, notes = self._state(typed, sources, earlier, folder)
        stored = gone = None
        if silver:
            self._show(Batch.INCOMING, rows)
            load.candidates = self._candidates(silver)
            stored = self._probe(silver, load.candidates, tasks.located(silver.columns), rows, cut, located=True)
            deletions = lake.open_table(self.places.deletions) if table.delete_when else None
            if deletions:
                gone = self._probe(deletions, deletions.files, table.row_columns, rows, cut)
        stored_parts, gone_parts = (some.parts(buckets) if some else [None] * buckets for some in (stored, gone))
        contends = [
            tasks.Contending(table, new, old, deleted, live, touched, folder, homes)
            for new, old, deleted in zip(rows.parts(buckets), stored_parts, gone_parts, strict=True)
        ]
        contended = self._dealt(tasks.contend, contends)
        return self._collected(load, typed, contended, replace(Outcome(), read=read, notes=notes))

    def _collected(
        self, load: _Load, typed: Sequence[tasks.Typed], contended: Sequence[tasks.Contended], outcome: Outcome
    ) -> Outcome:
        """Take what the stages left: rows as views of the driver, counts as one outcome of the batch."""
        folder = load.folder
        rejects = [*(one.rejected for one in typed), *(one.rejected for one in contended)]
        rejected = together(rejects, folder, tasks.REJECTED)
        load.rows = together((one.rows for one in contended), folder, self.table.stored_columns)
        load.superseded = together((one.superseded for one in contended), folder, tasks.LOCATED)
        self._show(Batch.REJECTED, rejected)
        self._show(Batch.INCOMING, load.rows)
        self._show(Batch.SUPERSEDED, load.superseded)
        if self.table.delete_when:
            self._show(Batch.DELETED, together((one.deleted for one in contended), folder, self.table.row_columns))
        batch = reduce(Outcome.plus, (one.batch for one in contended), Outcome())
        against = reduce(Outcome.plus, (one.against for one in contended), Outcome())
        keys = [
            together((getattr(one, name) for one in contended), folder, tasks.CONFLICTS)
            for name in ("conflicts", "tied")
        ]
        batch_notes, against_notes = (self._noted(found) for found in keys)
        load.against = replace(against, conflict_notes=against_notes)
        return replace(
            batch, read=outcome.read, quarantined=rejected.rows, notes=outcome.notes, conflict_notes=batch_notes
        )

    def _passed(self, sources: Sequence[Source]) -> passes.Rows:
        """Do all narrow passes but the last, in which rows are written."""
        table, folder = self.table, self.stages.new_folder()
        load = _Load(folder, Cut((), 1), Staged(folder, table.stored_columns), Staged(folder, tasks.LOCATED))
        self._loads.append(load)
        shares = self._numbered(sources, folder)
        buckets = self.stages.buckets(tasks.size(file for _, _, files in sources for file in files))
        by_hash = Cut(("_hash",), buckets)
        hashes = together(
            self._dealt(narrow.hash_keys, [narrow.Hashing(share, by_hash) for share in shares]), folder, narrow.HASHES
        )
        full = [part for part in hashes.parts(buckets) if part.files]
        shared = together(self._dealt(narrow.find_shared, full), folder, narrow.HASHES)
        by_key = Cut(tuple(map(identifier, winners.key(table))), buckets)
        judged = self._dealt(narrow.judge, [narrow.Judging(share, shared, by_key) for share in shares])
        contenders = [one.contenders for one in judged]
        all_contenders = together(contenders, folder, contenders[0].columns)
        ranges = narrow.Ranges(tuple(narrow.first_id(share.first) for share in shares[1:]))
        ranks = [narrow.Ranking(tuple(shares), part, ranges) for part in all_contenders.parts(buckets) if part.files]
        ranked = self._dealt(narrow.rank, ranks)
        losers = together((one.losers for one in ranked), folder, narrow.IDS)
        rejected = together((one.rejected for one in judged), folder, tasks.REJECTED)
        self._show(Batch.REJECTED, rejected)
        lost = reduce(Outcome.plus, (one.outcome for one in ranked), Outcome())
        notes = self._noted(together((one.conflicts for one in ranked), folder, tasks.CONFLICTS))
        read = sum(one.read for one in judged)
        deleted = sum(one.gone for one in judged) - sum(one.gone for one in ranked)
        outcome = replace(lost, read=read, quarantined=rejected.rows, deleted=deleted, notes=(), conflict_notes=notes)
        writes = [
            narrow.Writing(share, self.places.table, one.judged, lost_here)
            for share, one, lost_here in zip(shares, judged, losers.parts(ranges.count), strict=True)
        ]
        load.write = partial(self._write_passing, writes)
        return passes.Rows((), read - rejected.rows - losers.rows - deleted, outcome)

    def _write_passing(self, writes: Sequence[narrow.Writing]) -> list[lake.DataFile]:
        """Return the files that the rows which stay are written to."""

        def take_back(one: narrow.WrittenRows) -> None:
            lake.discard(self.places.table, one.files)

        found = self.stages.deal(self.table.id, narrow.write_passing, writes, take_back)
        if self.table.delete_when:
            gone = (one.deleted for one in found)
            self._show(Batch.DELETED, together(gone, self._loads[-1].folder, self.table.row_columns))
        return [file for one in found for file in one.files]

    def _numbered(self, sources: Sequence[Source], folder: Path) -> list[narrow.Share]:
        """Return the shares of bronze, whose files are numbered through."""
        shares: list[narrow.Share] = []
        first = 0
        for feed, bronze, files in sources:
            for share in self.stages.shares(files):
                shares.append(narrow.Share(self.table, feed, bronze.only(share), first, folder))
                first += len(share)
        return shares

    def _type(self, sources: Sequence[Source], folder: Path, cut: Cut) -> list[tasks.Typed]:
        shares = [
            tasks.Typing(self.table, ((feed, bronze.only(share)),), folder, cut)
            for feed, bronze, files in sources
            for share in self.stages.shares(files)
        ]
        return self._dealt(tasks.type_rows, shares)

    def _state(
        self,
        typed: Sequence[tasks.Typed],
        sources: Sequence[Source],
        earlier: statements.Earlier | None,
        folder: Path,
    ) -> tuple[Staged | None, Staged | None, tuple[str, ...]]:
        """Return which statements live, which slices are touched, and what to note, of a table with `replaces`."""
        engine, table = self.engine, self.table
        if table.replaces is None:
            return None, None, ()
        kinds = statements.columns(engine, table)
        self._show(Batch.INCOMING, together((one.spoken for one in typed), folder, kinds))
        arrivals = {name: kinds[name] for name in statements.ARRIVAL}
        self._show(Batch.UNSPLIT, together((one.unsplit for one in typed), folder, arrivals))
        notes = statements.find(engine, table, sources, earlier)
        statements.contend(engine, table, earlier)
        live, touched = (
            tasks.stage(engine, f"FROM {name}", folder, engine.columns(f"FROM {name}"))
            for name in (Batch.LIVE, Batch.TOUCHED)
        )
        return live, touched, notes

    def _probe(
        self,
        stored: lake.Snapshot,
        files: Sequence[lake.DataFile],
        columns: Mapping[str, str],
        typed: Staged,
        cut: Cut,
        *,
        located: bool = False,
    ) -> Staged:
        """Return the rows of stored files that new rows contend with, cut by key."""
        folder = self._loads[-1].folder
        shares = [
            tasks.Probing(self.table, stored.only(share), columns, located, typed, folder, cut)
            for share in self.stages.shares(files)
        ]
        return together(self._dealt(tasks.probe, shares), folder, columns)

    def _rewritten(self, silver: lake.Snapshot | None, replaced: Sequence[lake.DataFile]) -> list[lake.DataFile]:
        """Return the files with the rows of the load, and those that shared a file with a superseded one."""
        load, table = self._loads[-1], self.table
        of_home: dict[int, list[lake.DataFile]] = {}
        for file, home in zip(replaced, self._homes_of(silver, replaced, load.homes), strict=True):
            of_home.setdefault(home, []).append(file)
        shares = []
        for home, rows in enumerate(load.rows.parts(load.homes.count)):
            files = of_home.get(home, [])
            if rows.files or files:
                stored = silver.only(files) if silver else None
                shares.append(tasks.Rewriting(table, self.places.table, rows, stored, load.superseded))
        found = self.stages.deal(table.id, tasks.rewrite, shares, partial(lake.discard, self.places.table))
        return [file for files in found for file in files]

    def _homes_of(self, silver: lake.Snapshot | None, files: Sequence[lake.DataFile], homes: Cut) -> list[int]:
        """Return the number of the home of each stored file: that of its partition, else any."""
        if silver is None or not files:
            return []
        if not silver.partition_by:
            return [at % homes.count for at in range(len(files))]
        names = ", ".join(map(identifier, silver.partition_by))
        values = ", ".join(
            f"({at}, {', '.join(f'{literal(value)}::VARCHAR' for value in silver.partition_of(file))})"
            for at, file in enumerate(files)
        )
        return self.engine.values(f"SELECT {homes.number} FROM (VALUES {values}) v(_at, {names}) ORDER BY _at")

    # -- the driver's engine

    def _dealt(self, function: Callable[[DuckEngine, T], Any], shares: Sequence[T]) -> list[Any]:
        return self.stages.deal(self.table.id, function, shares)

    def _show(self, name: Batch, rows: Staged) -> None:
        """Give the driver's engine staged rows under the name of a table of the batch."""
        self.engine.drop(name)
        self.engine.view(name, f"FROM {rows.relation(self.engine)}")

    def _noted(self, keys: Staged) -> tuple[str, ...]:
        """Return the note of keys in conflict, which are those of all buckets."""
        return winners.noted(self.engine, self.table, keys.relation(self.engine)) if keys.files else ()
