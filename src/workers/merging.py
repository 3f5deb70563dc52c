"""A silver table's load by workers: what each stage is given, and what the driver's merge goes on with.

The driver sees staged rows under the names of the batch, as views: so it judges, audits, quarantines and commits by
the same code as on one machine.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial, reduce
from operator import add
from pathlib import Path
from typing import Any, TypeVar

from src import lake
from src.checks.outcome import Outcome
from src.contract import Feed
from src.engine import DuckEngine, identifier, literal
from src.silver import clean, incoming, passes, statements, winners
from src.silver.batch import Batch
from src.silver.clean import Contest
from src.silver.incoming import Source
from src.workers import tasks
from src.workers.stages import Stages
from src.workers.tasks import Cut, Staged

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


@dataclass(frozen=True)
class SharedMerge(clean.Merge):
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
        return self._rewritten(None, ())

    def _write(
        self, silver: lake.Snapshot, rows: str, replaced: Sequence[lake.DataFile], count: int
    ) -> list[lake.DataFile]:
        if not self._loads:
            return super()._write(silver, rows, replaced, count)
        return self._rewritten(silver, replaced)

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
                for name in (Batch.INCOMING, Batch.UNSPLIT, Batch.REJECTED, Batch.DELETED, Batch.SUPERSEDED):
                    self.engine.drop(name)
                shutil.rmtree(load.folder, ignore_errors=True)
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
        rows = reduce(add, (one.rows for one in typed), Staged(folder, tasks.typed_columns(table)))
        live, touched, notes = self._state(typed, sources, earlier, folder)
        stored = gone = None
        if silver:
            self._show(Batch.INCOMING, rows)
            load.candidates = self._candidates(silver)
            stored = self._probe(silver, load.candidates, tasks.located(silver.columns), rows, cut, located=True)
            deletions = lake.open_table(self.places.deletions) if table.delete_when else None
            if deletions:
                gone = self._probe(deletions, deletions.files, table.row_columns, rows, cut)
        contends = [
            tasks.Contending(
                table,
                rows.part(number),
                stored.part(number) if stored else None,
                gone.part(number) if gone else None,
                live,
                touched,
                folder,
                homes,
            )
            for number in range(buckets)
        ]
        contended = self._dealt(tasks.contend, contends)
        return self._collected(load, typed, contended, replace(Outcome(), read=read, notes=notes))

    def _collected(
        self, load: _Load, typed: Sequence[tasks.Typed], contended: Sequence[tasks.Contended], outcome: Outcome
    ) -> Outcome:
        """Take what the stages left: rows as views of the driver, counts as one outcome of the batch."""

        def together(parts: Iterable[Staged], columns: Mapping[str, str]) -> Staged:
            return reduce(add, parts, Staged(load.folder, columns))

        rejects = [*(one.rejected for one in typed), *(one.rejected for one in contended)]
        rejected = together(rejects, tasks.REJECTED)
        load.rows = together((one.rows for one in contended), self.table.stored_columns)
        load.superseded = together((one.superseded for one in contended), tasks.LOCATED)
        self._show(Batch.REJECTED, rejected)
        self._show(Batch.INCOMING, load.rows)
        self._show(Batch.SUPERSEDED, load.superseded)
        if self.table.delete_when:
            self._show(Batch.DELETED, together((one.deleted for one in contended), self.table.row_columns))
        batch = reduce(Outcome.plus, (one.batch for one in contended), Outcome())
        against = reduce(Outcome.plus, (one.against for one in contended), Outcome())
        keys = [together((getattr(one, name) for one in contended), tasks.CONFLICTS) for name in ("conflicts", "tied")]
        batch_notes, against_notes = (self._noted(found) for found in keys)
        load.against = replace(against, conflict_notes=against_notes)
        return replace(
            batch, read=outcome.read, quarantined=rejected.rows, notes=outcome.notes, conflict_notes=batch_notes
        )

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
        self._show(Batch.INCOMING, reduce(add, (one.spoken for one in typed), Staged(folder, kinds)))
        arrivals = {name: kinds[name] for name in statements.ARRIVAL}
        self._show(Batch.UNSPLIT, reduce(add, (one.unsplit for one in typed), Staged(folder, arrivals)))
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
        return reduce(add, self._dealt(tasks.probe, shares), Staged(folder, columns))

    def _rewritten(self, silver: lake.Snapshot | None, replaced: Sequence[lake.DataFile]) -> list[lake.DataFile]:
        """Return the files with the rows of the load, and those that shared a file with a superseded one."""
        load, table = self._loads[-1], self.table
        of_home: dict[int, list[lake.DataFile]] = {}
        for file, home in zip(replaced, self._homes_of(silver, replaced, load.homes), strict=True):
            of_home.setdefault(home, []).append(file)
        shares = []
        for home in range(load.homes.count):
            rows, files = load.rows.part(home), of_home.get(home, [])
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
