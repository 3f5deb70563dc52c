"""What bronze says of the rows of a silver table: the line that each came from, and the lines that did not stay."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from src import lake
from src.contract import PROVENANCE, Feed, Table
from src.engine import DuckEngine, identifier, literal
from src.explain.numbered import ROW_ID
from src.silver import incoming, winners
from src.silver.project import REASONS

_ADDED = {*PROVENANCE, "_batch", "_reject", "_raw"}  # what bronze adds to a file's columns
_PLACE = tuple(PROVENANCE)
_NUMBER = f"(hash({', '.join(_PLACE)}) >> 1)::BIGINT"
NEWEST_FIRST = f"{REASONS} IS NULL, _ingested_at DESC, _file, _row"  # of rows with reasons, then of the others
_WINNERS = "explained_winners"
_LONGEST = 100_000_000  # bytes of a landed file in which a line is looked for


@dataclass(frozen=True)
class Line:
    """A row of bronze: the file it landed in, its number there, the run that took it and when (UTC), its values.

    `line`, `text`: the line of the file and what stands on it, where the file is still there and is one of lines.
    """

    feed: str
    file: str
    row: int
    run: str
    arrived: datetime
    values: Mapping[str, str | None]
    line: int | None = None
    text: str | None = None


@dataclass(frozen=True)
class LeftOut:
    """A row of bronze that is not in its silver table, and why: rejected, superseded, deleted or stated away."""

    why: str
    reason: str
    line: Line


@dataclass(frozen=True)
class Origins:
    """A silver table in one version, and the bronze tables it was computed from, by feed, in theirs."""

    engine: DuckEngine
    table: Table
    silver: lake.Snapshot
    bronze: Mapping[str, lake.Snapshot]
    landing: Path

    @property
    def sources(self) -> Iterator[tuple[Feed, lake.Snapshot]]:
        """Yield the feeds whose rows it has."""
        for feed in self.table.feeds:
            if feed.id in self.bronze and incoming.has_columns(self.bronze[feed.id]):
                yield feed, self.bronze[feed.id]

    def left_out(self) -> str:
        """Return a SELECT of the rows of bronze that are not in the table: typed, with reasons, and a number each.

        The number is a hash of where the row came from, which is good to find it again and no more.
        """
        came_from = ", ".join(_PLACE)
        return self._judged(f"ANTI JOIN (SELECT {came_from} FROM {self.engine.scan(self.silver)}) USING ({came_from})")

    def picked(self, numbers: str) -> str:
        """Return those of `left_out` with these numbers, a relation of `number`; only they are typed."""
        return self._judged(f"SEMI JOIN {numbers} ON number = {_NUMBER}")

    def _judged(self, among: str) -> str:
        """Return a SELECT of rows of bronze as the contract reads them; which of them, a join says before they are."""
        typed = []
        for feed, bronze in self.sources:
            columns = incoming.columns_of(self.engine, self.table, bronze)
            scan = self.engine.scan(bronze, bronze.files, columns, evolved=True)
            typed.append(
                incoming.typed_rows(self.engine, self.table, feed, columns, f"(SELECT s.* FROM {scan} s {among})")
            )
        return f"SELECT *, {_NUMBER} AS {ROW_ID} FROM ({' UNION ALL '.join(typed or [incoming.no_rows(self.table)])})"

    def lines(self, rows: str) -> dict[tuple[str, int, datetime], Line]:
        """Return the lines of few rows, by where they came from; `rows` has _file, _row, _ingested_at."""
        wanted = self.engine.rows(f"SELECT DISTINCT _file, _row, _ingested_at FROM {rows}")
        found: dict[tuple[str, int, datetime], Line] = {}
        if not wanted:
            return found
        # the pair alone would not be taken down to the files
        files = ", ".join(sorted({literal(file) for file, _, _ in wanted}))
        places = ", ".join(sorted({str(row) for _, row, _ in wanted}))
        for feed, bronze in self.sources:
            scan = self.engine.scan(bronze, evolved=True)
            names = [name for name in bronze.columns if name not in _ADDED]
            values = ", ".join(identifier(name) for name in names)
            sql = (
                f"SELECT _file, _row, _ingested_at, _batch{f', {values}' if values else ''} FROM {scan} "
                f"WHERE _file IN ({files}) AND _row IN ({places})"
            )
            for file, row, arrived, run, *texts in self.engine.rows(sql):
                if (file, row, arrived) in wanted:
                    line = Line(feed.id, file, row, run, arrived, dict(zip(names, texts, strict=True)))
                    found[file, row, arrived] = _as_landed(self.landing, feed, line)
        return found

    def keep_winners(self, rows: str) -> None:
        """Keep the rows of the table that have a key of some rows, for `reasons` and `counts` of these.

        Each of them looks for its winner: among few rows, not in all of the table.
        """
        same = self._same("i", winners.key(self.table))
        self.engine.table(_WINNERS, f"SELECT s.* FROM {self.engine.scan(self.silver)} s SEMI JOIN {rows} i ON {same}")

    def reasons(self, rows: str) -> list[LeftOut]:
        """Return why few rows of `left_out` are so; `rows` is a relation of them."""
        lines = self.lines(rows)
        fates = self.engine.rows(
            f"SELECT _file, _row, _ingested_at, {self._fate('i')} AS fate FROM {rows} i ORDER BY {NEWEST_FIRST}"
        )
        return [
            LeftOut(fate["why"], fate["reason"], lines[file, row, arrived])
            for file, row, arrived, fate in fates
            if (file, row, arrived) in lines
        ]

    def counts(self, rows: str) -> dict[str, int]:
        """Return how many rows of a relation of `left_out` are so for which reason."""
        return dict(self.engine.rows(f"SELECT ({self._fate('i')}).why, count(*) FROM {rows} i GROUP BY 1 ORDER BY 1"))

    def _fate(self, row: str) -> str:
        """Return SQL of what became of a row that did not stay: a struct of why and reason."""
        texts = f"array_to_string(list_transform({row}.{REASONS}, lambda r: r.reason), '; ')"
        rejected = f"WHEN {row}.{REASONS} IS NOT NULL THEN {{'why': 'rejected', 'reason': {texts}}}"
        gone = ""
        if self.table.delete_when:
            says_gone = f"coalesce(({self.table.delete_when}), false)"
            gone = f"WHEN {says_gone} THEN {{'why': 'deleted', 'reason': {literal('it says that its key is gone')}}}"
        otherwise = f"{{'why': 'left out', 'reason': {literal(self._otherwise)}}}"
        silver, key = f"temp.{_WINNERS}", self._same(row, winners.key(self.table))
        if not self.table.key:
            kept = "{'why': 'duplicate', 'reason': 'the same row is there already'}"
            is_copy = f"EXISTS (SELECT 1 FROM {silver} s WHERE {key})"
            return f"CASE {rejected} {gone} WHEN {is_copy} THEN {kept} ELSE {otherwise} END"
        winner = f"SELECT any_value({{{self._facts('s')}}}) FROM {silver} s WHERE {key}"
        lost = f"{{'why': 'superseded', 'reason': {self._lost(row)}}}"
        return (
            f"(SELECT CASE {rejected} {gone} WHEN w IS NULL THEN {otherwise} ELSE {lost} END "
            f"FROM (SELECT ({winner}) AS w))"
        )

    @property
    def _otherwise(self) -> str:
        if self.table.replaces is not None:
            return "a later file states its slice without it"
        if self.table.delete_when:
            return "a later row says that its key is gone"
        return "another row of its key is in conflict with it" if self.table.on_conflict else "its key is gone"

    @property
    def _content(self) -> list[str]:
        return [column.name for column in self.table.columns]

    def _same(self, row: str, names: Sequence[str]) -> str:
        return " AND ".join(f"s.{identifier(n)} IS NOT DISTINCT FROM {row}.{identifier(n)}" for n in names)

    def _facts(self, row: str) -> str:
        names = [*self._content, *_PLACE]
        return ", ".join(f"{literal(name)}: {row}.{identifier(name)}" for name in names)

    def _lost(self, row: str) -> str:
        """Return SQL of why a row lost against the winner `w` of its key."""
        came = "w._file || ', row ' || w._row"
        rest = [name for name in self._content if name not in self.table.key]
        equal = " AND ".join(f"w.{identifier(n)} IS NOT DISTINCT FROM {row}.{identifier(n)}" for n in rest) or "true"
        cases = f"WHEN {equal} THEN 'the same as ' || {came}"
        names = [name for name in self.table.sequence_by if name in self._content]
        for name in names:
            own, other = f"{row}.{identifier(name)}", f"w.{identifier(name)}"
            shown = (
                f"{literal(name)} || ' ' || coalesce({own}::VARCHAR, 'nothing') || ' is before ' || {other}::VARCHAR"
            )
            cases += f" WHEN {own} IS DISTINCT FROM {other} THEN {shown} || ' of ' || {came}"
        tie = (
            "arrived before" if not names or self.table.on_conflict == "last" else "lost the tie, by its content, with"
        )
        return f"CASE {cases} ELSE {literal(tie)} || ' ' || {came} END"


# -- the landed file


def _as_landed(landing: Path, feed: Feed, line: Line) -> Line:
    """Return a line with its place in the landed file, if the file still says there what bronze does."""
    find = _FINDERS.get(feed.format)
    path = landing / line.file
    try:
        if find is None or not path.is_file() or path.stat().st_size > _LONGEST:
            return line
        text = path.read_bytes().decode(feed.encoding)
    except (OSError, ValueError, LookupError):
        return line  # packed, gone, or in another encoding: bronze has the values
    found = find(feed, text.removeprefix("\ufeff"), line)
    return replace(line, line=found[0], text=found[1]) if found else line


def _csv_line(feed: Feed, text: str, line: Line) -> tuple[int, str] | None:
    """Return the line of a record of delimited text, where the values on it are those of bronze."""
    ends = io.StringIO(text, newline="")
    reader = csv.reader(ends, delimiter=feed.delimiter, quotechar=feed.quote or None, doublequote=True)
    wanted, before, records = sorted(filter(None, line.values.values())), 0, 0
    header = feed.header is True
    for record in reader:
        first, before = before + 1, reader.line_num
        if header or not record:
            header = False
            continue
        records += 1
        if records == line.row:
            same = sorted(filter(None, record)) == wanted  # in bronze they stand in the order of its columns
            return (first, "\n".join(text.splitlines()[first - 1 : reader.line_num])) if same else None
    return None


def _json_line(feed: Feed, text: str, line: Line) -> tuple[int, str] | None:
    """Return the line of a record of lines of JSON."""
    full = ((nth, one) for nth, one in enumerate(text.split("\n"), 1) if one.strip())
    found = next((pair for at, pair in enumerate(full, 1) if at == line.row), None)
    return found if found and all(key in found[1] for key, value in line.values.items() if value is not None) else None


_Finder = Callable[[Feed, str, Line], tuple[int, str] | None]
_FINDERS: Mapping[str, _Finder] = {"csv": _csv_line, "ndjson": _json_line}
