"""A table is computed from all of bronze in narrow passes, and no row is kept on its way from bronze to its files.

One pass reads the keys alone, and finds those that occur twice. One judges every row, and keeps of it what a decision
needs: of a row that fails its reasons, of one whose key occurs twice what says which of them wins. Then it is known
which rows are away, and a third pass types the others, which pass, without judging them again, straight into the
table's files. Memory holds no more than some columns of few rows, however many there are.

This gives what `incoming.compute` and `incoming.finish` give, which keep all typed rows: a table whose rows have to
lie side by side (`fits` says which) is computed by these.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from src import lake
from src.checks.outcome import Outcome
from src.contract import Feed, Table
from src.engine import DuckEngine, RowId, identifier
from src.silver import groups, incoming, winners
from src.silver.batch import Batch
from src.silver.project import REASONS, VALUES, helper_prefix, id_column, projection, trimmed, unjudged

_FEW_ROWS = 250_000  # take less time side by side: each pass is planned anew, 10 ms
_ROWS_AT_ONCE = 1_000_000  # written into partitions by one statement, which keeps about as many in memory


@dataclass(frozen=True)
class Rows:
    """The rows of a table as SELECTs, each of about as many rows as one statement may write, and how many there are.

    `outcome` counts what became of the rows that were read. Those with reasons are in `rejected`, those that say their
    key is gone in `deleted`. `kept`: the rows are in `incoming`, of which any part can be read alone.
    """

    parts: tuple[str, ...]
    count: int
    outcome: Outcome
    kept: bool = False

    @property
    def relation(self) -> str:
        """Return a relation of all rows."""
        return f"({' UNION ALL '.join(self.parts)})"


@dataclass(frozen=True)
class _Piece:
    """Some files of a feed's bronze table, the first of which has number `first` among all that are read."""

    feed: Feed
    bronze: lake.Snapshot
    files: Sequence[lake.DataFile]
    first: int

    def cut(self) -> Iterator[_Piece]:
        """Yield pieces of about so many rows as are written at once."""
        start, rows = 0, 0
        for at, file in enumerate(self.files):
            if rows and rows + file.rows > _ROWS_AT_ONCE:
                yield replace(self, files=self.files[start:at], first=self.first + start)
                start, rows = at, 0
            rows += file.rows
        yield replace(self, files=self.files[start:], first=self.first + start)


def compute(engine: DuckEngine, table: Table, sources: Sequence[incoming.Source]) -> Rows:
    """Return the rows of a table, computed from these sources: all of bronze.

    Raises:
        ContractError: the contract does not fit the feed.
        DataError: not every row of bronze was seen.
    """
    if fits(table, sources):
        with engine.for_columns(len(table.columns)):
            return Passes(engine, table, sources).rows()
    outcome = incoming.compute(engine, table, sources)
    done = incoming.finish(engine, table)
    count = int(engine.one(f"SELECT count(*) FROM {Batch.INCOMING}")[0])
    outcome = replace(outcome, deleted=done.deleted, unchanged=done.unchanged)
    return Rows((incoming.stored(table, Batch.INCOMING),), count, outcome, kept=True)


def fits(table: Table, sources: Sequence[incoming.Source]) -> bool:
    """Return whether a table's rows are to be computed so: there are many, and they can be."""
    return sum(file.rows for _, _, files in sources for file in files) > _FEW_ROWS and can_be(table, sources)


def can_be(table: Table, sources: Sequence[incoming.Source]) -> bool:
    """Return whether a table's rows can be computed so: each by itself but for which row of a key wins."""
    alone = table.key and table.sql is None and table.replaces is None and table.history != "scd2"
    typed = [bronze for _, bronze, _ in sources if incoming.has_columns(bronze)]
    taken = {name.lower() for bronze in typed for name in bronze.columns} & RowId.TAKEN
    numbered = typed and not taken
    return bool(alone and numbered) and table.on_conflict != "quarantine" and not groups.is_wide(table)


@dataclass(frozen=True)
class _Source:
    """A relation of source values, the prefix of its helper columns, its types if known, and its column of numbers."""

    rows: str
    prefix: str
    kinds: dict[str, str] | None
    number: str


class Passes:
    """The passes over one table's sources; the first file has number `first` where others have those before it."""

    def __init__(self, engine: DuckEngine, table: Table, sources: Sequence[incoming.Source], first: int = 0) -> None:
        self.engine, self.table, self.sources = engine, table, sources
        firsts = [first + sum(len(files) for _, _, files in sources[:at]) for at in range(len(sources))]
        pieces = [_Piece(*source, first) for source, first in zip(sources, firsts, strict=True)]
        self.pieces = [piece for piece in pieces if incoming.has_columns(piece.bronze)]

    def rows(self) -> Rows:
        """Return the rows that stay, of which each pass but the last is done."""
        split = self.count_rows()
        winners.find_shared_keys(self.engine, self.table, self.rows_of_keys())
        self.judge()
        quarantined = incoming.reject(self.engine, Batch.JUDGED, has_unsplit=True)
        lost = self._contend()
        away, deleted = self.set_aside()
        unsplit = self.engine.one(f"SELECT count(*) FROM {Batch.UNSPLIT}")[0]
        outcome = replace(lost, read=split + unsplit, quarantined=quarantined, deleted=deleted)
        return Rows(self.passing(), split - away, outcome)

    def passing(self) -> tuple[str, ...]:
        """Return SELECTs of the rows that are not in `away`."""
        pieces = [part for piece in self.pieces for part in (piece.cut() if self.table.partition_by else [piece])]
        return tuple(map(self._passing, pieces))

    def count_rows(self) -> int:
        """Fill `unsplit`; returns how many rows a reader could split.

        Raises:
            DataError: not every row of bronze was seen.
        """
        split = sum(self._count(piece) for piece in self.pieces)
        unsplit = incoming.find_unsplit(self.engine, self.sources)
        incoming.conserve(self.table, self.sources, split + unsplit)
        return split

    def rows_of_keys(self) -> list[tuple[str, int]]:
        """Return relations of all rows, of which the key alone is to be asked, each with how many there are."""
        return [(f"({self._unjudged(piece)})", sum(file.rows for file in piece.files)) for piece in self.pieces]

    def judge(self) -> None:
        """Fill `judged`, given the keys that occur twice."""
        columns = winners.narrow(self.table, f"{REASONS} IS NULL", f"{REASONS} IS NULL AND _shared")
        kept = ", ".join(["_id", REASONS, VALUES, "_batch", "_shared", *columns])
        judged = " UNION ALL ".join(map(self._judged, self.pieces))
        shared = f"SELECT *, {winners.is_shared(self.table)} AS _shared FROM ({judged})"
        wanted = f"{REASONS} IS NOT NULL OR _shared OR _gone"
        self.engine.table(Batch.JUDGED, f"SELECT * FROM (SELECT {kept} FROM ({shared})) WHERE {wanted}")

    def _contend(self) -> Outcome:
        """Fill `losers`; returns how many lost, and to what."""
        contenders = f"{Batch.JUDGED} WHERE {REASONS} IS NULL AND _shared"
        count = int(self.engine.one(f"SELECT count(*) FROM {contenders}")[0])
        return winners.rank(self.engine, self.table, contenders, count, self.whole)

    def set_aside(self) -> tuple[int, int]:
        """Fill `away` and `deleted`; returns how many rows these hold."""
        lost = f"SELECT _id FROM {Batch.LOSERS}"
        gone = f"SELECT _id FROM {Batch.JUDGED} WHERE _gone AND _id NOT IN ({lost})"
        bad = f"SELECT _id FROM {Batch.JUDGED} WHERE {REASONS} IS NOT NULL"
        away = self.engine.table(Batch.AWAY, f"{lost} UNION ALL {bad} UNION ALL {gone}")
        deleted = 0
        if self.table.delete_when:
            says_so = self.engine.one(f"SELECT count(*) FROM ({gone})")[0]
            rows = self.whole(gone) if says_so else f"({incoming.no_rows(self.table)})"
            deleted = self.engine.table(Batch.DELETED, f"FROM {rows}")
        self.engine.execute(f"DROP TABLE {Batch.JUDGED}")
        return away, deleted

    # -- relations

    def _count(self, piece: _Piece) -> int:
        scan = self.engine.scan(piece.bronze, piece.files, {"_reject": "VARCHAR"}, evolved=True)
        return int(self.engine.one(f"SELECT count(*) FROM {scan} WHERE _reject IS NULL")[0])

    def _judged(self, piece: _Piece) -> str:
        """Return a SELECT of a piece's rows as `projection` has them, with _id."""
        source = self._source(piece)
        sql = projection(
            self.engine, self.table, source.rows, source.prefix, piece.feed, kinds=source.kinds, row_id=source.number
        )
        return f"SELECT * RENAME ({identifier(source.number)} AS _id) FROM ({sql})"

    def _unjudged(self, piece: _Piece, filtered: str = "") -> str:
        """Return a SELECT of a piece's rows, typed, with _id; `filtered` is that of `_source`."""
        source = self._source(piece, filtered)
        sql = unjudged(self.engine, self.table, source.rows, source.prefix, piece.feed, source.kinds, source.number)
        return f"SELECT * RENAME ({identifier(source.number)} AS _id) FROM ({sql})"

    def _source(self, piece: _Piece, filtered: str = "") -> _Source:
        """Return the source values of a piece; `filtered` is SQL to go behind its rows, with {id} for their number."""
        columns = incoming.columns_of(self.engine, self.table, piece.bronze)
        names = incoming.names_read(self.engine, self.table, columns)
        number = RowId(id_column(helper_prefix(columns)), piece.first)
        scan = self.engine.scan(piece.bronze, piece.files, columns, evolved=True, row_id=number)
        rows = f"(SELECT s.* FROM {scan} s {filtered.format(id=f's.{identifier(number.name)}')})" if filtered else scan
        rows, kinds = trimmed(rows, names, piece.feed.null_values, number.name), incoming.kinds_read(columns, names)
        return _Source(rows, helper_prefix(names), kinds | {number.name: "BIGINT"} if kinds else None, number.name)

    def whole(self, ids: str) -> str:
        """Return a relation of the typed rows with these ids, a SELECT of _id."""
        semi = f"SEMI JOIN ({ids}) a ON a._id = {{id}}"
        return f"({' UNION ALL '.join(self._unjudged(piece, semi) for piece in self.pieces)})"

    def _passing(self, piece: _Piece) -> str:
        """Return a SELECT of a piece's rows that are not away, as they are stored."""
        least, most = piece.first * RowId.ROWS_A_FILE, (piece.first + len(piece.files)) * RowId.ROWS_A_FILE - 1
        away = f"(SELECT _id FROM {Batch.AWAY} WHERE _id BETWEEN {least} AND {most})"
        rows = self._unjudged(piece, f"ANTI JOIN {away} a ON a._id = {{id}}")
        return incoming.stored(self.table, f"({rows})")
