"""A silver table computed whole in narrow passes, by workers: see `src/silver/passes.py`.

Rows go from bronze straight into the table's files. Only hashes of keys, and what says which row of a key wins, are
handed over on the way. A row is known by the number of its bronze file among all files, and its place in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from src import lake
from src.checks.outcome import Outcome
from src.contract import Feed, Table
from src.engine import DuckEngine, RowId
from src.silver import incoming, winners
from src.silver.batch import Batch
from src.silver.passes import Passes
from src.silver.project import REASONS
from src.workers.tasks import REJECTED, Cut, Staged, as_logged, in_conflict, stage

HASHES = {"_hash": "UBIGINT"}
IDS = {"_id": "BIGINT"}
_JUDGED = {"_id": "BIGINT", REASONS: "VARCHAR", "_gone": "BOOLEAN"}


@dataclass(frozen=True)
class Share:
    """Some bronze files of one feed, the first of which has number `first` among all that are read."""

    table: Table
    feed: Feed
    bronze: lake.Snapshot
    first: int
    stage: Path

    def passes(self, engine: DuckEngine) -> Passes:
        """Return the passes over these files."""
        return Passes(engine, self.table, [(self.feed, self.bronze, self.bronze.files)], self.first)


@dataclass(frozen=True)
class Hashing:
    """Keys to hash, and how the hashes are cut."""

    share: Share
    cut: Cut


def hash_keys(engine: DuckEngine, task: Hashing) -> Staged:
    """Return the hash of every row's key."""
    share = task.share
    with engine.for_columns(len(share.table.columns)):
        found = Staged(share.stage, HASHES)
        for rows, _ in share.passes(engine).rows_of_keys():
            hashed = f"SELECT {winners.hashed_key(share.table)} AS _hash FROM {rows}"
            found += stage(engine, hashed, share.stage, HASHES, task.cut)
        return found


def find_shared(engine: DuckEngine, hashes: Staged) -> Staged:
    """Return those of the hashes of one bucket that occur twice."""
    repeated = f"SELECT _hash FROM {hashes.relation(engine)} GROUP BY 1 HAVING count(*) > 1"
    return stage(engine, repeated, hashes.root, HASHES)


@dataclass(frozen=True)
class Judging:
    """Rows to judge; `shared`: hashes of keys that occur twice; what contends is cut by `cut`."""

    share: Share
    shared: Staged
    cut: Cut


@dataclass(frozen=True)
class Judged:
    """Those of the rows that were read which do not pass, and those that contend; `gone` say that their key is gone."""

    read: int
    gone: int
    rejected: Staged
    contenders: Staged
    judged: Staged


def judge(engine: DuckEngine, task: Judging) -> Judged:
    """Judge every row, and keep what a decision needs.

    Raises:
        DataError: not every row of bronze was seen.
    """
    table, root = task.share.table, task.share.stage
    with engine.for_columns(len(table.columns)):
        passes = task.share.passes(engine)
        split = passes.count_rows()
        engine.table(Batch.SHARED_KEYS, f"FROM {task.shared.relation(engine)}")
        passes.judge()
        incoming.reject(engine, Batch.JUDGED, has_unsplit=True)
        rejected = stage(engine, f"FROM {Batch.REJECTED}", root, REJECTED)
        contends = f"SELECT * EXCLUDE ({REASONS}) FROM {Batch.JUDGED} WHERE {REASONS} IS NULL AND _shared"
        contenders = stage(engine, contends, root, engine.columns(contends), task.cut)
        seen = f"SELECT _id, CASE WHEN {REASONS} IS NOT NULL THEN '' END AS {REASONS}, _gone FROM {Batch.JUDGED}"
        judged = stage(engine, f"{seen} WHERE {REASONS} IS NOT NULL OR _gone", root, _JUDGED)
        gone = engine.one(f"SELECT count(*) FROM {Batch.JUDGED} WHERE _gone AND {REASONS} IS NULL")[0]
        unsplit = engine.one(f"SELECT count(*) FROM {Batch.UNSPLIT}")[0]
        return Judged(split + unsplit, gone, rejected, contenders, judged)


@dataclass(frozen=True)
class Ranking:
    """The contenders of one bucket; `shares` are all of bronze; losers are cut by the share that they are in."""

    shares: tuple[Share, ...]
    contenders: Staged
    ranges: Ranges


@dataclass(frozen=True)
class Ranked:
    """The rows that lost, to what, and how many of them say that their key is gone."""

    outcome: Outcome
    losers: Staged
    gone: int
    conflicts: Staged


def rank(engine: DuckEngine, task: Ranking) -> Ranked:
    """Find the rows of one bucket that lose against another of their key."""
    table, root = task.shares[0].table, task.contenders.root

    def whole(ids: str) -> str:
        rows = (share.passes(engine).whole(ids) for share in task.shares)
        return f"({' UNION ALL '.join(f'SELECT * FROM {some}' for some in rows)})"

    with engine.for_columns(len(table.columns)):
        count = engine.table(Batch.JUDGED, f"FROM {task.contenders.relation(engine)}")
        outcome = winners.rank(engine, table, Batch.JUDGED, count, whole)
        conflicts = in_conflict(engine, outcome, root)
        lost = f"_id IN (SELECT _id FROM {Batch.LOSERS})"
        gone = engine.one(f"SELECT count(*) FROM {Batch.JUDGED} WHERE _gone AND {lost}")[0]
        losers = stage(engine, f"SELECT _id FROM {Batch.LOSERS}", root, IDS, task.ranges)
        return Ranked(outcome, losers, gone, conflicts)


@dataclass(frozen=True)
class Ranges:
    """The number, of `count`, that a row has by its id: `ends` are the first ids beyond each of them but the last."""

    ends: tuple[int, ...]

    @property
    def count(self) -> int:
        """Return how many numbers there are."""
        return len(self.ends) + 1

    @property
    def number(self) -> str:
        """Return SQL of a row's number."""
        cases = "".join(f" WHEN _id < {end} THEN {nth}" for nth, end in enumerate(self.ends))
        return f"CASE{cases} ELSE {len(self.ends)} END" if cases else "0"


@dataclass(frozen=True)
class Writing:
    """Bronze files whose rows are to be written, but for those that do not pass, lost, or say their key is gone."""

    share: Share
    root: Path
    judged: Staged
    losers: Staged


@dataclass(frozen=True)
class WrittenRows:
    """The files written into a table's folder, and the rows that say their key is gone."""

    files: list[lake.DataFile]
    deleted: Staged


def write_passing(engine: DuckEngine, task: Writing) -> WrittenRows:
    """Write the rows that stay into the table's folder; no commit refers to the files yet."""
    table, root = task.share.table, task.share.stage
    with engine.for_columns(len(table.columns)):
        passes = task.share.passes(engine)
        engine.table(Batch.LOSERS, f"FROM {task.losers.relation(engine)}")
        engine.table(Batch.JUDGED, f"FROM {task.judged.relation(engine)}")
        passes.set_aside()
        deleted = Staged(root, table.row_columns)
        if table.delete_when:
            deleted = stage(engine, f"FROM {Batch.DELETED}", root, table.row_columns)
        written = engine.write_parts(passes.passing(), task.root, table.partition_by)
        return WrittenRows(as_logged(table, written), deleted)


def first_id(file: int) -> int:
    """Return the id of the first row of a file."""
    return file * RowId.ROWS_A_FILE
