"""Landed files lose the records of a person, where the project lets them be rewritten; the others are named.

Nothing is taken on trust. A file is rewritten where its records are those that bronze has of it; what was written is
read again, and its records are those of before without the ones that go; then it is forced to disk beside the file.
Only when bronze has recorded the new bytes does it take the file's name, so that no run takes it for an arrival.
Killed anywhere before that, the file is as it was and known as such; killed after, it is found rewritten.
"""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from src import lake, store
from src.bronze import readers
from src.contract import Feed
from src.contract.patterns import is_archive
from src.engine import DuckEngine, identifier, literal
from src.engine.room import room_beside
from src.errors import DataError
from src.forget.rewriting import write_without
from src.project import Project

_HIDDEN = ".{}.forgetting"  # the name, beside a file, of what will take its place


@dataclass(frozen=True)
class Landed:
    """A landed file that held records of a person: how many, and why it still does. No reason: it was rewritten."""

    name: str
    records: int
    why: str = ""


def rewrite(
    project: Project, feed: Feed, lines: Mapping[str, Collection[int]], before: Callable[[str, str], None]
) -> list[Landed]:
    """Take records out of a feed's landed files, each by its `_file` and `_row` in bronze; return what became of them.

    `before` hears the name and the SHA-256 of a file's new bytes before these take its place: it records them in
    bronze (`file:<hash>`, `last:<name>`). It is called once for an archive, by the archive's name. Bronze must still
    have all rows of the files. Whoever calls holds the lake.

    Raises:
        MachineError: the disk is full, there is no writing in the landing zone, ...
    """
    bronze = project.table(feed.id)
    assert bronze, "a feed that has rows"
    found: list[Landed] = []
    for name, parts in _by_file(project.landing, lines).items():
        records = sum(map(len, parts.values()))
        try:
            if not project.settings.landing_rewrite:
                raise DataError("LANDING_REWRITE is false")
            with room_beside(store.beside(project.settings.data_dir) / ".spill") as room:
                _File(project, feed, bronze, name, room).without(parts, before)
            found.append(Landed(name, records))
        except FileNotFoundError:
            found.append(Landed(name, records, "it is not there any more"))
        except DataError as error:
            found.append(Landed(name, records, error.what))
    return found


def _by_file(landing: Path, lines: Mapping[str, Collection[int]]) -> dict[str, dict[str, Collection[int]]]:
    """Return the rows by the file of the landing zone and the one in it, of an archive; "" for the file itself."""
    found: dict[str, dict[str, Collection[int]]] = {}
    for name, rows in lines.items():
        parts = name.split("/")
        ends = (end for end in range(1, len(parts)) if is_archive(parts[end - 1]))
        end = next((end for end in ends if (landing / "/".join(parts[:end])).is_file()), len(parts))
        found.setdefault("/".join(parts[:end]), {})["/".join(parts[end:])] = rows
    return found


@dataclass(frozen=True)
class _File:
    """One file of the landing zone on its way."""

    project: Project
    feed: Feed
    bronze: lake.Snapshot
    name: str
    room: Path

    def without(self, parts: Mapping[str, Collection[int]], before: Callable[[str, str], None]) -> None:
        """Put the file without some records of its parts in its place."""
        path = self.project.landing / self.name
        facts = store.facts(path)
        here = path
        if store.is_remote(path):
            here = self.room / path.name
            store.fetch([path], [here])
        out = here.with_name(_HIDDEN.format(here.name))
        try:
            if "" in parts:
                is_done = not self._write(self.name, here, parts[""], out)
            else:
                is_done = not self._write_archive(here, parts, out)
            if is_done:
                return
            with suppress(OSError):  # times, and whose it is, where this user may set that
                shutil.copystat(here, out)
                os.chown(out, os.stat(here).st_uid, os.stat(here).st_gid)
            lake.sync(out)
            if store.facts(path) != facts:
                raise DataError("it changed meanwhile")
            before(self.name, lake.digest(out))
            if here == path:
                os.replace(out, path)
                lake.sync(path.parent)
            else:
                store.take(out, path)
        finally:
            out.unlink(missing_ok=True)

    def _write(self, name: str, path: Path, rows: Collection[int], out: Path) -> bool:
        """Write one file without some of bronze's rows of it; return False where it has none of them any more.

        Raises:
            DataError: its records are not those of bronze, or cannot be taken out.
        """
        engine = self.project.engine
        with self._read(path, "landed") as columns, self._of_bronze(name, rows, columns):
            numbers = _numbers(engine, columns)
            if numbers is None:
                return False
            # its name says how a file is packed: what is written has the name of its own beside it
            aside = self.room / "new" / path.name
            aside.parent.mkdir(exist_ok=True)
            write_without(self.feed, path, numbers, aside)
            with self._read(aside, "written"):
                _prove(engine, columns, numbers)
        shutil.move(aside, out)
        return True

    def _write_archive(self, path: Path, parts: Mapping[str, Collection[int]], out: Path) -> bool:
        """Write an archive in which some files have fewer records; the others are the same bytes, packed again."""
        changed = False
        with zipfile.ZipFile(path) as archive, zipfile.ZipFile(out, "w") as written:
            written.comment = archive.comment
            for nth, entry in enumerate(archive.infolist()):
                inner = self.room / str(nth) / f"file{Path(entry.filename).suffix}"
                inner.parent.mkdir()
                with archive.open(entry) as packed, inner.open("wb") as unpacked:
                    shutil.copyfileobj(packed, unpacked)
                if entry.filename in parts:
                    new = inner.with_name(f"new{inner.suffix}")
                    if self._write(f"{self.name}/{entry.filename}", inner, parts[entry.filename], new):
                        inner, changed = new, True
                with inner.open("rb") as unpacked, written.open(_alike(entry), "w", force_zip64=True) as packed:
                    shutil.copyfileobj(unpacked, packed)
        return changed

    @contextmanager
    def _read(self, path: Path, table: str) -> Iterator[list[str]]:
        """Let a file's records be a table for the length of a with-block; gives its columns."""
        engine = self.project.engine
        rows = readers.read_carefully(engine, self.feed, path)
        try:
            engine.table(table, rows.sql, large=True)
        finally:
            for stream in rows.streams:
                engine.unstream(stream)
        try:
            yield [*rows.columns, "_reject", "_raw"]
        finally:
            engine.drop(table)

    @contextmanager
    def _of_bronze(self, name: str, rows: Collection[int], columns: list[str]) -> Iterator[None]:
        """Let bronze's rows of the file's newest arrival be a table, numbered as they follow each other."""
        engine = self.project.engine
        known = {column.lower() for column in self.bronze.columns}
        values = (
            identifier(name) if name.lower() in known else f"NULL::VARCHAR AS {identifier(name)}" for name in columns
        )
        of_file = f"FROM {engine.scan(self.bronze, evolved=True)} WHERE _file = {literal(name)}"
        newest = f"{of_file} QUALIFY _ingested_at = max(_ingested_at) OVER ()"
        goes = f"_row IN (SELECT unnest({literal(sorted(rows))}::BIGINT[])) AS _goes"
        select = f"SELECT {', '.join(values)}, _row, {goes}, row_number() OVER (ORDER BY _row) AS _nth {newest}"
        engine.table("of_bronze", select, large=True)
        try:
            yield
        finally:
            engine.drop("of_bronze")


def _numbers(engine: DuckEngine, columns: list[str]) -> frozenset[int] | None:
    """Return the numbers, in the file as it is, of the records that go; None where all of them are gone from it.

    Bronze has the row numbers of the day it took the file. A file that was rewritten since has fewer records, and so
    has bronze: they follow each other in the same order.

    Raises:
        DataError: the file's records are not bronze's.
    """
    own = ", ".join(map(identifier, columns))

    def differing(number: str, where: str = "true") -> int:
        """Return how many of bronze's rows are not at their place in the file."""
        same = " AND ".join(f"l.{name} IS NOT DISTINCT FROM b.{name}" for name in map(identifier, columns))
        join = f"of_bronze AS b LEFT JOIN landed AS l ON l._row = {number} AND {same}"
        return int(engine.one(f"SELECT count(*) FROM {join} WHERE {where} AND l._row IS NULL")[0])

    in_file = int(engine.one("SELECT count(*) FROM landed")[0])
    in_bronze, going = engine.one("SELECT count(*), count(*) FILTER (WHERE _goes) FROM of_bronze")
    if not going:
        raise DataError("bronze has no such row of its newest arrival")
    for number, may_be in (("b._nth", in_file == in_bronze), ("b._row", in_file > in_bronze)):
        if may_be and not differing(number):
            found = engine.values(f"SELECT {number.replace('b.', '')} FROM of_bronze WHERE _goes")
            return frozenset(map(int, found))
    if in_file == in_bronze - going:
        kept = f"SELECT {own}, row_number() OVER (ORDER BY _row) AS n FROM of_bronze WHERE NOT _goes"
        landed = f"SELECT {own}, row_number() OVER (ORDER BY _row) AS n FROM landed"
        if not engine.one(f"SELECT count(*) FROM (({kept}) EXCEPT ALL ({landed}))")[0]:
            return None
    raise DataError("its records are not those that bronze took of it")


def _prove(engine: DuckEngine, columns: list[str], numbers: Collection[int]) -> None:
    """Compare the records of what was written with those of before.

    Raises:
        DataError: they are not these without the ones that go.
    """
    own = ", ".join(map(identifier, columns))
    gone = f"_row NOT IN (SELECT unnest({literal(sorted(numbers))}::BIGINT[]))"
    kept = f"SELECT {own}, row_number() OVER (ORDER BY _row) AS n FROM landed WHERE {gone}"
    new = f"SELECT {own}, _row AS n FROM written"
    lost, gained = (f"SELECT count(*) FROM (({one}) EXCEPT ALL ({other}))" for one, other in ((kept, new), (new, kept)))
    wrong = engine.one(f"SELECT ({lost}) + ({gained})")
    if wrong[0]:
        raise DataError(f"{wrong[0]} of its records would not be what they were")


def _alike(entry: zipfile.ZipInfo) -> zipfile.ZipInfo:
    """Return an entry for the same file in another archive."""
    new = zipfile.ZipInfo(entry.filename, entry.date_time)
    new.compress_type, new.external_attr, new.comment = entry.compress_type, entry.external_attr, entry.comment
    new.create_system = entry.create_system
    return new
