"""The work of a silver table where there is some: the rows that are new contend with those that are stored.

Bronze has versions that the table has not consumed, or the table is computed from all of bronze: src/silver/clean.py
decides which. What moves is committed in two steps, the quarantine first.
"""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from src import contract, lake
from src.checks import audits
from src.checks.outcome import Outcome
from src.contract import PROVENANCE, Feed, Table
from src.engine import DuckEngine, identifier, literal
from src.errors import BoathouseError, DataError, MachineError
from src.silver import contest, passes, rejects, removals, statements, winners
from src.silver.batch import Batch
from src.silver.clean import Places, is_behind, properties
from src.silver.incoming import Source, compute, read_rows, words_of_engine

QUARANTINE_COLUMNS = {
    "_reasons": "VARCHAR[]",
    "_values": "VARCHAR",
    "_contract": "VARCHAR",
    **PROVENANCE,
    "_batch": "VARCHAR",
    "_codes": "VARCHAR[]",  # of each reason; none in rows of before it was recorded
}


_FEW_KEYS = 2_000  # compared with the files' bounds here: for so few the engine's join takes longer
_FEW_ROWS = 2_000  # of the files that can hold a key


@dataclass(frozen=True)
class Contest:
    """The stored files that can hold a key of the new rows, what came of the contest, and how many stored rows left."""

    candidates: Sequence[lake.DataFile]
    outcome: Outcome
    superseded: int


@dataclass(frozen=True)
class Merge:
    """One run's work on one table."""

    engine: DuckEngine
    table: Table
    places: Places
    batch: str
    accepted_by: str = ""
    removals_accepted_by: str = ""

    def rebuild(self, feeds: Mapping[str, lake.Snapshot | None], *, judged: bool = False) -> Outcome:
        """Compute the table from all of bronze and replace it, and its quarantine, whole.

        `judged`: how many rows are rejected was judged before.
        """
        present = [(feed, snapshot) for feed in self.table.feeds if (snapshot := feeds[feed.id])]
        progress = self._consumed(present)
        identities = {lake.identity_of(feed.id): snapshot.identity for feed, snapshot in present}
        sources = [(feed, bronze, bronze.files) for feed, bronze in present]
        rows = self._compute_whole(sources)
        outcome = replace(rows.outcome, inserted=rows.count, written=rows.count).conserve(self.table.id)
        if not judged:
            outcome = self._judge(outcome, sources, progress, full_refresh=True)
            stated = lake.open_table(self.places.statements)
            before = lake.open_table(self.places.table) if stated else None  # that of other logic is no measure
            outcome = self._judge_removals(replace(outcome, removed=removals.count(self.engine, self.table, before)))
        self._refuse_conflicts(outcome)
        audits = self.audit(rows.relation, rows.count) if rows.kept else ()
        written = self._written(rows)
        try:
            kept = sum(file.rows for file in written)
            outcome = replace(outcome, inserted=kept, written=kept).conserve(self.table.id)
            if not rows.kept:
                columns, keys = self.table.stored_columns, self.table.partition_by
                relation = self.engine.scan_files(self.places.table, written, columns, keys)
                audits = self.audit(relation, kept, self._counting_of(written))
            self._quarantine(progress, overwrite=True, rejected=outcome.quarantined)
            self._record_deletions(progress, overwrite=True)
            self._record_statements(progress, overwrite=True)
            silver = self._prepared()
        except BoathouseError:
            lake.discard(self.places.table, written)
            with suppress(OSError):  # it is a table already
                self.places.table.rmdir()
            raise
        silver = lake.commit(
            silver,
            add=written,
            progress={**progress, **identities, lake.BUILT_FROM: contract.fingerprint(self.table)},
            info=self.info,
            overwrite=self.table.stored_columns,
        )
        silver = lake.set_properties(silver, properties(self.table, silver))
        return replace(outcome, partitions=partitions_of(written), version=silver.version, audits=audits)

    # -- what may be done by workers in place of this process: src/workers/silver.py

    def _compute_whole(self, sources: Sequence[Source]) -> passes.Rows:
        """Return the rows of the table, computed from all of bronze."""
        return passes.compute(self.engine, self.table, sources)

    def _written(self, rows: passes.Rows) -> list[lake.DataFile]:
        """Return the files that the rows of the whole table are written to; no commit refers to them yet."""
        root, keys = self.places.table, self.table.partition_by
        lake.make_folder(root)  # a table is there with its log, which comes once its rows are audited
        if rows.kept:
            return self.engine.write(rows.parts[0], root, keys, rows.count)
        return self.engine.write_parts(rows.parts, root, keys)

    def _compute(self, silver: lake.Snapshot, sources: Sequence[Source], earlier: statements.Earlier | None) -> Outcome:
        """Type, check and deduplicate new rows, which will contend with those of `silver`; see `incoming.compute`."""
        return compute(self.engine, self.table, sources, earlier)

    def _contend(self, silver: lake.Snapshot) -> Contest:
        """Let the rows of `incoming` contend with the stored rows of their keys."""
        candidates = self._candidates(silver)
        stored = self.engine.scan(silver, candidates, located=True)
        outcome, superseded = contest.against_stored(self.engine, self.table, stored, self._deletions())
        return Contest(candidates, outcome, superseded)

    def _write(
        self, silver: lake.Snapshot, rows: str, replaced: Sequence[lake.DataFile], count: int
    ) -> list[lake.DataFile]:
        """Return the files that a SELECT of so many rows is written to: new ones, and the rest of replaced files."""
        return self.engine.write(rows, self.places.table, self.table.partition_by, count)

    def _counting_of(self, written: Sequence[lake.DataFile]) -> audits.Counting | None:
        """Return what counts the rows of a whole table, which were just written; None: the engine."""
        return None

    def _counting(
        self, silver: lake.Snapshot, untouched: Sequence[lake.DataFile], replaced: Sequence[lake.DataFile]
    ) -> audits.Counting | None:
        """Return what counts the rows of a table after a merge; None: the engine."""
        return None

    # -- the work

    def brought_up(self, feeds: Mapping[str, lake.Snapshot | None], *, full_refresh: bool) -> Outcome:
        """Consume the new versions of all feeds; `full_refresh`: and then compute the table from all of bronze."""
        silver = self.current()
        outcome = Outcome(version=silver.version)
        try:
            for feed in self.table.feeds:
                if (bronze := feeds[feed.id]) and is_behind(silver, feed.id, bronze.version):
                    outcome = outcome.plus(self.catch_up(feed, bronze))
        except (lake.HistoryGone, statements.Entangled):
            return self.rebuild(feeds)
        # each load was judged when it came
        outcome = self.rebuild(feeds, judged=True) if full_refresh else outcome
        if outcome.read and self.table.texts_in_sequence:
            note = f"sequenceBy {', '.join(self.table.texts_in_sequence)} is text, of which 9 is more than 10"
            return replace(outcome, notes=(*outcome.notes, f"{note}: write `sequenceOrder: text` if that is meant"))
        return outcome

    def catch_up(self, feed: Feed, bronze: lake.Snapshot) -> Outcome:
        """Consume one feed's new versions.

        After a crash the quarantine may be ahead of the table; then the table first catches up to
        it, adding nothing to quarantine, and goes on from there. What waits is judged with what is new.

        Raises:
            HistoryGone: the quarantine consumed what bronze has not any more.
        """
        silver = self.current()
        quarantine = lake.open_table(self.places.quarantine)
        if quarantine and lake.is_another(quarantine, feed.id, bronze):
            raise lake.HistoryGone(f"the log of {feed.id} lost entries")
        ahead = quarantine.progress(feed.id) if quarantine and not lake.waits(quarantine, feed.id) else None
        outcome = Outcome()
        if ahead is not None and ahead < bronze.version and is_behind(silver, feed.id, ahead):
            bound = lake.open_table(bronze.root, ahead)
            if bound:
                outcome = self._merge(feed, bound, silver)
        return outcome.plus(self._merge(feed, bronze, self.current()))

    def _merge(self, feed: Feed, bronze: lake.Snapshot, silver: lake.Snapshot) -> Outcome:
        progress = self._consumed([(feed, bronze)])
        since = silver.progress(feed.id)
        new = bronze.files if since is None else lake.changes(bronze, since).added
        earlier = self._earlier(feed, silver)
        if not new and (earlier is None or progress[lake.empties_of(feed.id)] <= earlier.newest_empty):
            return Outcome(version=lake.commit(silver, progress=progress, info=self.info).version)
        sources = [(feed, bronze, new)]
        computed = self._compute(silver, sources, earlier)
        outcome = self._judge(computed, sources, progress, full_refresh=False)
        contended = self._contend(silver)
        outcome = self._with_contest(outcome, contended.outcome)
        kept = self._incoming() if self.table.history == "scd2" else contended.outcome.written
        replaced, rows = self._merged(silver, contended.candidates, contended.superseded)
        untouched = lake.without(silver.files, replaced)
        whole = self.engine.scan(silver, untouched)
        count = kept + sum(file.rows for file in replaced)
        audited = f"({f'{self._select(whole)} UNION ALL ' if untouched else ''}{self._select(f'({rows})')})"
        in_all = count + sum(file.rows for file in untouched)
        counting = self._counting(silver, untouched, replaced)
        audits = self.audit(audited, in_all, counting) if kept or replaced else ()
        self._quarantine(progress, overwrite=False, rejected=outcome.quarantined)
        self._record_deletions(progress, overwrite=False)
        self._record_statements(progress, overwrite=False)
        written = self._write(silver, rows, replaced, count)
        silver = lake.commit(silver, add=written, remove=replaced, progress=progress, info=self.info)
        partitions = partitions_of([*written, *replaced])
        return replace(outcome, partitions=partitions, version=silver.version, audits=audits)

    def _with_contest(self, outcome: Outcome, came: Outcome) -> Outcome:
        """Return the outcome of a batch with that of its came.

        Raises:
            DataError: there are conflicts, and the contract takes none; nothing was committed.
            RemovalsError: too many rows would be removed; nothing was committed.
        """
        notes = (*outcome.conflict_notes, *came.conflict_notes)
        conflicts = outcome.conflicts + came.conflicts
        self._refuse_conflicts(replace(outcome, conflicts=conflicts, conflict_notes=notes))
        outcome = replace(
            outcome,
            inserted=came.inserted,
            updated=came.updated,
            unchanged=came.unchanged,
            deleted=came.deleted,
            removed=came.removed,
            written=came.written,
            conflicts=conflicts,
            conflict_notes=notes,
        ).conserve(self.table.id)
        return self._judge_removals(outcome)

    def _consumed(self, sources: Sequence[tuple[Feed, lake.Snapshot]]) -> dict[str, int]:
        """Return the progress to record where these versions of feeds are consumed."""
        progress = lake.consumed({feed.id: bronze for feed, bronze in sources})
        rewritten = {feed.id: bronze.progress(lake.FORGOTTEN) for feed, bronze in sources}
        progress |= {lake.forgotten_of(name): at for name, at in rewritten.items() if at is not None}
        if self.table.replaces is not None:  # files without a row are read by when they came, not by versions
            newest = {feed.id: bronze.progress(lake.NEWEST_EMPTY) for feed, bronze in sources}
            progress |= {lake.empties_of(name): -1 if at is None else at for name, at in newest.items()}
        return progress

    def _earlier(self, feed: Feed, silver: lake.Snapshot) -> statements.Earlier | None:
        """Return what a table with `replaces` consumed of a feed before; None for any other.

        Raises:
            Entangled: what was said is gone.
        """
        if self.table.replaces is None:
            return None
        table, newest = lake.open_table(self.places.statements), silver.progress(lake.empties_of(feed.id))
        if table is None:
            raise statements.Entangled
        return statements.Earlier(self.engine.scan(table), -1 if newest is None else newest)

    def _judge(
        self, outcome: Outcome, sources: Sequence[Source], progress: Mapping[str, int], *, full_refresh: bool
    ) -> Outcome:
        """Return the outcome of a load, its rejects in `rejected`, with a note where these are many.

        Raises:
            RejectedError: these are too many; they are in quarantine, and wait.
        """
        if not outcome.quarantined or self._is_judged(progress, full_refresh=full_refresh):
            return outcome
        load = rejects.Load(outcome.read, outcome.quarantined, self._is_first(), full_refresh)
        why = rejects.beyond(self.table, load)
        if why and not self.accepted_by:
            self._quarantine(progress, overwrite=full_refresh, waiting=True)
            hint = partial(words_of_engine, self.engine, self.table, sources)
            raise rejects.error(self.engine, self.table, load, read_rows(self.engine, sources), hint)
        if why:
            return replace(outcome, notes=(*outcome.notes, f"{load}, {why}: let through by {self.accepted_by}"))
        if rejects.small(self.table, load):
            note = rejects.note(self.engine, self.table, load)
            return replace(outcome, notes=(*outcome.notes, note), mostly_rejected=True)
        return outcome

    def _judge_removals(self, outcome: Outcome) -> Outcome:
        """Return the outcome of a batch of statements, with a note where they remove many rows on somebody's word.

        Raises:
            RemovalsError: these are too many; nothing was committed.
        """
        silver = lake.open_table(self.places.table)
        if not outcome.removed or silver is None:
            return outcome
        rows = removals.current_rows(self.engine, silver)
        why = removals.beyond(self.table, outcome.removed, rows)
        if why and not self.removals_accepted_by:
            raise removals.error(self.table, outcome.removed, rows, statements.files_that_speak(self.engine))
        if why:
            removed = f"{outcome.removed:,} of {rows:,} rows were removed, {why}"
            note = f"{removed}: let through by {self.removals_accepted_by}"
            return replace(outcome, notes=(*outcome.notes, note))
        return outcome

    def _refuse_conflicts(self, outcome: Outcome) -> None:
        """Stop where the contract takes no conflict, and where a first load shows that its key is none.

        Raises:
            DataError: naming the keys; nothing was committed.
        """
        if not (outcome.conflicts or outcome.conflict_notes):
            return
        if error := refused_conflicts(self.table, outcome, first=self._is_first()):
            raise error

    def _is_first(self) -> bool:
        tables = self.places.table, self.places.deletions, self.places.statements
        return is_first_load(*map(lake.open_table, tables))

    def _is_judged(self, progress: Mapping[str, int], *, full_refresh: bool) -> bool:
        """Return whether a run that died judged this load good: it then committed the rejects, and no more."""
        table = lake.open_table(self.places.quarantine)
        if table is None or (full_refresh and table.built_from not in self._fingerprints()):
            return False
        return not any(
            lake.waits(table, feed) or is_behind(table, feed, at) for feed, at in self._versions(progress).items()
        )

    def _fingerprints(self) -> set[int]:
        """Return what a quarantine was built from that is that of the contract."""
        silver = lake.open_table(self.places.table)
        own = {contract.fingerprint(self.table)}
        return own if silver is None else contract.current_fingerprints(self.table, silver)

    def _versions(self, progress: Mapping[str, int]) -> dict[str, int]:
        """Return the feeds' versions of what else a progress records."""
        return {feed.id: progress[feed.id] for feed in self.table.feeds if feed.id in progress}

    def _deletions(self) -> str | None:
        """Return a relation of the rows whose keys are recorded as gone; None where there is none."""
        table = lake.open_table(self.places.deletions) if self.table.delete_when else None
        return self.engine.scan(table) if table else None

    def audit(
        self, relation: str, rows: int | None = None, counting: audits.Counting | None = None
    ) -> tuple[audits.AuditResult, ...]:
        """Audit the table whose rows will be those of `relation`, about so many where that is known.

        `counting`: what counts them in place of this process.
        """
        others = {}
        for name, root in self.places.refers.items():
            if name == self.table.id:
                others[name] = audits.AUDITED
            elif other := lake.open_table(root):
                others[name] = self.engine.scan(other)
        return audits.run(self.engine, self.table, relation, others, rows, counting)

    def _quarantine(
        self, progress: Mapping[str, int], *, overwrite: bool, waiting: bool = False, rejected: int = -1
    ) -> None:
        """Commit the rows in `rejected`; those of a load that is `waiting` are marked as that.

        Those that waited before, and are judged again, are there. `rejected`: how many rows there are, where that is
        known.
        """
        root, kinds = self.places.quarantine, QUARANTINE_COLUMNS
        table = lake.open_table(root)
        if table is None and rejected == 0:  # one commit says it all
            built = {lake.BUILT_FROM: contract.fingerprint(self.table)} if overwrite else {}
            lake.create(root, kinds, progress={**progress, **built}, info=self.info)
            return
        table = table or lake.create(root, kinds)
        rows = f"(SELECT *, {literal(self.table.version)} AS _contract FROM {Batch.REJECTED}) r"
        if not overwrite and any(lake.waits(table, feed) for feed in self._versions(progress)):
            scan = self.engine.scan(table, columns=PROVENANCE, evolved=True)
            known = f"(SELECT DISTINCT _file, _row, _ingested_at FROM {scan}) k"
            rows += f" ANTI JOIN {known} USING (_file, _row, _ingested_at)"
        marks = {lake.waiting_of(feed): at if waiting else -1 for feed, at in self._versions(progress).items()}
        marks = {mark: at for mark, at in marks.items() if at != (-1 if (was := table.progress(mark)) is None else was)}
        if overwrite:
            marks |= {lake.BUILT_FROM: contract.fingerprint(self.table)}
        select = f"SELECT {', '.join(kinds)} FROM {rows}"
        self._beside(table, kinds, select if rejected else None, progress, marks, overwrite=overwrite)

    def _record_deletions(self, progress: Mapping[str, int], *, overwrite: bool) -> None:
        """Commit the rows in `deleted`: a late, older row of their keys must not bring these back."""
        if self.table.delete_when:
            kinds = self.table.row_columns
            rows = f"SELECT {', '.join(map(identifier, kinds))} FROM {Batch.DELETED}"
            table = lake.open_table(self.places.deletions) or lake.create(self.places.deletions, kinds)
            self._beside(table, kinds, rows, progress, {}, overwrite=overwrite)

    def _record_statements(self, progress: Mapping[str, int], *, overwrite: bool) -> None:
        """Commit what the files of the batch spoke of: a late, older statement must not bring a slice back."""
        if self.table.replaces is not None:
            kinds = statements.columns(self.engine, self.table)
            rows = f"SELECT {', '.join(map(identifier, kinds))} FROM {Batch.STATEMENTS}"
            table = lake.open_table(self.places.statements) or lake.create(self.places.statements, kinds)
            self._beside(table, kinds, rows, progress, {}, overwrite=overwrite)

    def _beside(
        self,
        table: lake.Snapshot,
        kinds: Mapping[str, str],
        rows: str | None,
        progress: Mapping[str, int],
        marks: Mapping[str, int],
        *,
        overwrite: bool,
    ) -> None:
        """Commit rows to a table beside the silver table, unless a run that died after this did so already.

        `rows` None: there is none. `marks` are recorded with the progress.
        """
        behind = overwrite or any(is_behind(table, feed, version) for feed, version in self._versions(progress).items())
        files = self.engine.write(rows, table.root) if behind and rows else []
        later = {name: kind for name, kind in kinds.items() if name not in table.columns}
        if later and files and not overwrite:  # the table is older than these
            table = lake.add_columns(table, later)
        whole = kinds if overwrite and (files or table.files) else None
        if files or overwrite or marks:
            lake.commit(table, add=files, progress={**progress, **marks}, info=self.info, overwrite=whole)

    def _prepared(self) -> lake.Snapshot:
        """Return the table to write into: created, or replaced by an empty one where its partitioning changes."""
        silver = lake.open_table(self.places.table)
        if silver and silver.partition_by == self.table.partition_by:
            return silver
        tags = properties(self.table) if silver is None else contract.draft_tags(self.table, silver)
        replacing = silver is not None
        columns, keys = self.table.stored_columns, self.table.partition_by
        return lake.create(self.places.table, columns, keys, tags, replace=replacing)

    def current(self) -> lake.Snapshot:
        """Return the newest version of the table."""
        silver = lake.open_table(self.places.table)
        if silver is None:
            raise MachineError("there is no table", where=self.places.table, fix="run `make pipeline`")
        return silver

    def consumed(self, silver: lake.Snapshot) -> list[Source]:
        """Return all of bronze that a version of the table was built from.

        Raises:
            HistoryGone: a bronze version is no longer in its log.
        """
        sources: list[Source] = []
        for feed in self.table.feeds:
            version = silver.progress(feed.id)
            if version is not None and version >= 0:
                bronze = lake.open_table(self.places.bronze[feed.id], version)
                if bronze is None:
                    raise lake.HistoryGone(f"{feed.id} is gone")
                sources.append((feed, bronze, bronze.files))
        return sources

    def _candidates(self, silver: lake.Snapshot) -> list[lake.DataFile]:
        """Return the files that can hold a key of `incoming`.

        Where the partition follows from the key alone a row cannot move, and the other partitions
        are left out; elsewhere the old row may lie in any of them. The log tells which files cannot
        hold a key; of what is left only the key is read first: the rows are wide, and few files
        hold one of the keys.
        """
        files = list(silver.files)
        if self.table.replaces is not None:
            return self._of_slices(silver, files)
        if self.table.partition_by and self._partition_follows_from_key():
            values = ", ".join(f"{identifier(name)}::VARCHAR" for name in self.table.partition_by)
            touched = set(self.engine.rows(f"SELECT DISTINCT {values} FROM {Batch.INCOMING}"))
            files = [file for file in files if silver.partition_of(file) in touched]
        if not self.table.key:
            return files  # all columns are the key
        if len(files) > 1 or not _are_few(files):
            files = self._within_bounds(silver, files, Batch.INCOMING)
        if _are_few(files):
            return files  # to read them whole is cheaper than to read them twice
        # a key has no NULL, so that it can be matched with =, by which the engine skips what cannot hold one
        keys = ", ".join(map(identifier, self.table.key))
        stored = self.engine.scan(silver, files, located=True)
        matched = f"{stored} SEMI JOIN {Batch.INCOMING} USING ({keys})"
        holding = set(self.engine.values(f"SELECT DISTINCT _at FROM {matched}"))
        return [file for file in files if str(silver.root / file.path) in holding]

    def _of_slices(self, silver: lake.Snapshot, files: Sequence[lake.DataFile]) -> list[lake.DataFile]:
        """Return the files that hold a row of a slice in `touched`; a slice's rows may lie in any partition."""
        slices = self.table.replaces or ()
        if set(self.table.partition_by) & set(slices):
            names = [name for name in self.table.partition_by if name in slices]
            values = ", ".join(f"{identifier(name)}::VARCHAR" for name in names)
            touched = set(self.engine.rows(f"SELECT DISTINCT {values} FROM {Batch.TOUCHED}"))
            files = [file for file in files if tuple(file.partition.get(name) for name in names) in touched]
        if not slices:
            return list(files)
        files = self._within_bounds(silver, files, Batch.TOUCHED)
        stored = self.engine.scan(silver, files, located=True)
        matched = f"{stored} SEMI JOIN {Batch.TOUCHED} USING ({', '.join(map(identifier, slices))})"
        holding = set(self.engine.values(f"SELECT DISTINCT _at FROM {matched}"))
        return [file for file in files if str(silver.root / file.path) in holding]

    def _within_bounds(
        self, silver: lake.Snapshot, files: Sequence[lake.DataFile], wanted: Batch
    ) -> list[lake.DataFile]:
        """Return the files that a key, or a slice, of a temporary table can be in, as far as the log has bounds."""
        name = silver.indexed
        known = [(at, *file.bounds[name]) for at, file in enumerate(files) if name in file.bounds] if name else []
        columns = self.table.key if wanted == Batch.INCOMING else self.table.replaces or ()
        if not name or name not in columns or not known:
            return list(files)
        kind, key = silver.columns[name], identifier(name)
        distinct = f"SELECT DISTINCT {key} AS _key FROM {wanted} WHERE {key} IS NOT NULL"
        few = sorted(self.engine.values(f"{distinct} LIMIT {_FEW_KEYS + 1}"))
        if len(few) <= _FEW_KEYS:
            within = {
                at for at, least, greatest in known if bisect_left(few, int(least)) < bisect_right(few, int(greatest))
            }
            return [file for at, file in enumerate(files) if at in within or name not in file.bounds]
        rows = ", ".join(f"({at}, {literal(least)}, {literal(greatest)})" for at, least, greatest in known)
        bounds = f"SELECT _at, _from::{kind} AS _from, _to::{kind} AS _to FROM (VALUES {rows}) v(_at, _from, _to)"
        # of the keys from a file's least value on, the next one: is it in the file's bounds?
        next_key = f"({bounds}) b ASOF JOIN ({distinct}) i ON b._from <= i._key"
        within = set(self.engine.values(f"SELECT _at FROM {next_key} WHERE _key <= _to"))
        return [file for at, file in enumerate(files) if at in within or name not in file.bounds]

    def _partition_follows_from_key(self) -> bool:
        key = set(self.table.key or winners.key(self.table))
        own = {column.name: column for column in self.table.columns}
        for name in set(self.table.partition_by) - key:
            expression = own[name].expression
            if not expression or not self.engine.column_references(expression) <= key:
                return False
        return True

    def _merged(
        self, silver: lake.Snapshot, candidates: Sequence[lake.DataFile], superseded: int
    ) -> tuple[list[lake.DataFile], str]:
        """Return the files that hold a superseded row, and a SELECT of the rows to write in their place.

        These are the new rows, and again the rows that shared a file with a superseded one.
        """
        rows = self._select(Batch.INCOMING)
        if not superseded:
            return [], rows
        replaced = list(candidates)
        if len(candidates) > 1:
            paths = set(self.engine.values(f"SELECT DISTINCT _at FROM {Batch.SUPERSEDED}"))
            replaced = [file for file in candidates if str(silver.root / file.path) in paths]
        scan = self.engine.scan(silver, replaced, located=True)
        survivors = f"{scan} t ANTI JOIN {Batch.SUPERSEDED} USING (_at, _nth)"
        # with what another program added to them
        return (
            replaced,
            f"{rows} UNION ALL BY NAME SELECT {', '.join(map(identifier, silver.columns))} FROM {survivors}",
        )

    def _select(self, relation: str) -> str:
        return f"SELECT {', '.join(map(identifier, self.table.stored_columns))} FROM {relation}"

    def _incoming(self) -> int:
        return int(self.engine.one(f"SELECT count(*) FROM {Batch.INCOMING}")[0])

    @property
    def info(self) -> dict[str, str]:
        """Return what the commit says of itself: run, contract version, who accepted its rejects or its removals."""
        accepted = {"acceptedBy": self.accepted_by} if self.accepted_by else {}
        accepted |= {"removalsAcceptedBy": self.removals_accepted_by} if self.removals_accepted_by else {}
        return {"run_id": self.batch, "userMetadata": json.dumps({"version": self.table.version}), **accepted}


def is_first_load(silver: lake.Snapshot | None, *beside: lake.Snapshot | None) -> bool:
    """Return whether a table never had a row, as far as it and its deletions and statements `beside` it tell."""
    return not any(table and table.rows for table in (silver, *beside))


def refused_conflicts(table: Table, outcome: Outcome, *, first: bool) -> DataError | None:
    """Return the error of a load that has conflicts, where the contract takes none; of a `first` one, where most are.

    Rows of which most contradict another of their key show that the key is none, unless the contract says who wins.
    """
    if table.on_conflict == "fail" and outcome.conflict_notes:
        fix = "land a newer row of these keys, or write another `onConflict`: quarantine or last"
        return DataError("; ".join(outcome.conflict_notes), where=table.path, fix=fix)
    if table.on_conflict is None and first and rejects.mostly_lost(outcome):
        key = ", ".join(table.key)
        what = f"{key} is no key: {outcome.conflicts:,} of {outcome.read:,} rows differ from another row of theirs"
        fix = "add the columns that make a row unique, `primaryKey: true`, or declare none: then all columns are it"
        fix += "; where the last row of a file shall win, write `onConflict: last`"
        return DataError(f"{what}\n  {outcome.conflict_notes[0]}", where=table.path, fix=fix)
    return None


def _are_few(files: Sequence[lake.DataFile]) -> bool:
    """Return whether files have few rows between them, as far as the log says how many."""
    return all(file.rows for file in files) and sum(file.rows for file in files) <= _FEW_ROWS


def partitions_of(files: Sequence[lake.DataFile]) -> int:
    """Return how many partitions these files lie in."""
    return len({tuple(file.partition.items()) for file in files if file.partition})
