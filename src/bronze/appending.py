"""Files that are new become rows of bronze: read some at a time, written, and committed with what is known of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import accumulate, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from src import lake, store
from src.bronze import archives, ingest, readers
from src.bronze.ingest import Arrivals, Landed, Readers, Taken, Withholding
from src.bronze.readers import SYSTEM_COLUMNS
from src.checks.outcome import Outcome
from src.contract import Feed
from src.engine import DuckEngine, identifier, literal
from src.errors import BoathouseError, DataError, OutOfMemoryError

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

_FILES_AT_ONCE = 50  # in one statement, which opens them all at its start: with 250 it took 1.6 times the memory
_IN_TURN = ("csv", "parquet")  # formats of which one reader takes many files in turn
_SMALL_AT_ONCE = 32 << 20  # bytes: files of these that are smaller together may be more
_LONG_COLUMN = 400_000  # bytes of a statement's files, packed or not, for each column: some 20,000 rows or more


def append_all(
    engine: DuckEngine,
    root: Path,
    feed: Feed,
    bronze: lake.Snapshot | None,
    arrived: Arrivals,
    batch: str,
    now: datetime,
    others: Readers | None = None,
    withhold: Withholding | None = None,
) -> tuple[lake.Snapshot | None, list[Landed], Outcome]:
    """Append the new files to a table, some at a time; returns the table, the files taken, and the outcome."""
    outcome = Outcome(refusals=arrived.refused, notes=ingest.notes_of(arrived))
    taken: list[Landed] = []
    starts = range(0, len(arrived.new), ingest.FILES_PER_COMMIT)
    chunks = [arrived.new[start : start + ingest.FILES_PER_COMMIT] for start in starts]
    with _Looks(feed) as looks:
        for chunk, following in zip_longest(chunks, chunks[1:], fillvalue=()):
            looks.begin([file for some in (chunk, following) if not _is_dealt(some, others) for file in some])
            bronze, chunk_taken, chunk_outcome = _append(
                engine, root, feed, bronze, chunk, batch, now, looks, others, withhold
            )
            taken += chunk_taken
            outcome = outcome.plus(chunk_outcome)
    return bronze, taken, outcome


class _Looks:
    """A thread that looks at files ahead of their turn, while the engine reads others.

    It keeps no file from being looked at in its turn: what it does not find out is asked again then.
    """

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._found: dict[str, Future[readers.Rows | None]] = {}
        self._begun: set[str] = set()
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> _Looks:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool:
            self._pool.shutdown(cancel_futures=True)

    def begin(self, files: Sequence[Landed]) -> None:
        """Look at these files, in their order, those that were not begun before."""
        new = [file for file in files if file.name not in self._begun and not file.members]
        is_little = len(files) < 2 or sum(file.size for file in files) < ingest.WORTH_A_THREAD
        if is_little or not readers.needs_no_engine(self._feed) or store.is_remote(files[0].path):
            return
        from concurrent.futures import ThreadPoolExecutor

        self._pool = self._pool or ThreadPoolExecutor(1)
        self._begun.update(file.name for file in new)
        self._found |= {file.name: self._pool.submit(readers.look, self._feed, file.path) for file in new}

    def take(self, file: Landed) -> readers.Rows | None:
        """Return the rows of a file that can be read, if that was found out; waits for a look that has begun."""
        found = self._found.pop(file.name, None)
        return found.result() if found else None


def _parts_of(file: Landed) -> list[Landed]:
    """Return the files of an archive; any other file is its one part."""
    return [
        replace(file, name=f"{file.name}/{member.name}", size=member.size, archive=file, member=member.name)
        for member in file.members
    ] or [file]


def _append(
    engine: DuckEngine,
    root: Path,
    feed: Feed,
    bronze: lake.Snapshot | None,
    files: Sequence[Landed],
    batch: str,
    now: datetime,
    looks: _Looks,
    others: Readers | None,
    withhold: Withholding | None,
) -> tuple[lake.Snapshot, list[Landed], Outcome]:
    """Write and commit one chunk of files; returns also those that were taken."""
    if bronze is None:
        lake.make_folder(root)  # a table is there with its log, which says the columns: they are known when files are
    spelling = {name.lower(): name for name in bronze.columns if name not in SYSTEM_COLUMNS} if bronze else {}
    first = ingest.later_than(bronze, now)
    parts = [part for file in files for part in _parts_of(file)]
    # a microsecond apart: the order of the files is that of their rows' arrival
    moments = {part.name: moment for moment, part in enumerate(parts, first)}
    reading = FileReader(engine, root, feed, batch, moments, spelling, looks, {}, {}, {})
    read_all = others.read_all if others and _is_dealt(parts, others) else FileReader.read_all
    written, headers, refused = read_all(reading, parts)
    torn = {part.landed.name for part in parts if part.name in refused}
    if any(part.name in headers for part in parts if part.landed.name in torn):
        # an archive is taken whole: what was read of it is thrown away, and the others are taken without it
        lake.discard(root, written)
        whole = [file for file in files if file.name not in torn]
        bronze, taken, outcome = _append(engine, root, feed, bronze, whole, batch, now, looks, others, withhold)
        return bronze, taken, replace(outcome, refusals=(*refused.values(), *outcome.refusals))
    readable = [file for file in files if file.name not in torn]
    moved = [file for file in readable if not ingest.is_same(file)]
    if moved:
        # what was read may not be what was hashed: throw it away and take these files next run
        lake.discard(root, written)
        steady = [file for file in files if file not in moved]
        bronze, taken, outcome = _append(engine, root, feed, bronze, steady, batch, now, looks, others, withhold)
        note = f"{len(moved)} files changed while read, taken next run"
        return bronze, taken, replace(outcome, notes=(*outcome.notes, note))
    drift = _drift(bronze.columns if bronze else (), headers)
    taken_columns = {name.lower() for header in headers.values() for name in header}
    known = bronze.columns if bronze else SYSTEM_COLUMNS
    new = dict.fromkeys(
        (name for low, name in spelling.items() if low in taken_columns and name not in known), "VARCHAR"
    )
    if bronze is None:
        bronze = lake.create(root, SYSTEM_COLUMNS | new, properties=lake.APPEND_ONLY)
    elif new:
        bronze = lake.add_columns(bronze, new)
    rows = sum(file.rows for file in written)
    gone = dict[int, int]()
    if withhold and written:
        written, gone = _withheld(withhold, bronze, written)
    if readable:
        progress = {ingest.LAST_INGESTED: max(moments.values())} | lake.held_back(gone)
        for file in readable:
            progress |= {f"file:{file.sha256}": 1, **file.seen}
        if empty := _without_rows(engine, bronze, written, headers):
            progress |= {lake.empty_file(name, moments[name]): 1 for name in empty}
            progress[lake.NEWEST_EMPTY] = max(moments[name] for name in empty)
        info = {"run_id": batch, **({"drift": "; ".join(drift)} if drift else {})}
        bronze = lake.commit(bronze, add=written, progress=progress, info=info)
    notes = tuple(drift) + tuple(f"{name} has no readable row" for name, columns in headers.items() if not columns)
    notes += _by_wording({name: reading.remarks.get(name, ()) for name in headers})
    notes += _left_out({name: reading.left_out.get(name, {}) for name in headers})
    kept = sum(file.rows for file in written)
    outcome = Outcome(
        read=rows,
        inserted=kept,
        forgotten=sum(gone.values()),
        written=kept,
        files=len(readable),
        refusals=tuple(refused.values()),
        notes=notes,
    )
    return bronze, readable, outcome.conserve(feed.id)


def _withheld(
    withhold: Withholding, bronze: lake.Snapshot, written: Sequence[lake.DataFile]
) -> tuple[list[lake.DataFile], dict[int, int]]:
    """Return what `withhold` does; no written file is left where it fails."""
    try:
        kept, gone = withhold(bronze, written)
    except BoathouseError:
        lake.discard(bronze.root, written)
        raise
    return kept, dict(gone)


def _is_dealt(files: Sequence[Landed], others: Readers | None) -> bool:
    """Return whether files are read by others, who look at them as well."""
    return others is not None and others.deals(sum(file.size for file in files))


def _without_rows(
    engine: DuckEngine, bronze: lake.Snapshot, written: Sequence[lake.DataFile], taken: Collection[str]
) -> set[str]:
    """Return which of the files of a chunk brought no row."""
    if len(taken) == 1 and written:
        return set()
    scan = engine.scan(bronze, written, {"_file": "VARCHAR"})
    return set(taken) - set(engine.values(f"SELECT DISTINCT _file FROM {scan}"))


def _at_once(feed: Feed, files: Sequence[Landed]) -> Iterator[list[Landed]]:
    """Yield the files of each statement, bounded in number and bytes: one bad line makes it read all of them again."""
    group: list[Landed] = []
    for file in files:
        size = sum(other.size for other in group) + file.size
        if len(group) >= _FILES_AT_ONCE and (feed.format not in _IN_TURN or size > _SMALL_AT_ONCE):
            yield group
            group = []
        group.append(file)
    if group:
        yield group


_Opened = tuple[Landed, readers.Rows]


def together(parts: Sequence[Taken]) -> Taken:
    """Return what several statements took as if one had."""
    written = [file for part in parts for file in part[0]]
    headers = {name: columns for part in parts for name, columns in part[1].items()}
    return written, headers, {name: error for part in parts for name, error in part[2].items()}


@dataclass(frozen=True)
class FileReader:
    """Writes the files of one batch as Parquet files of the bronze table.

    `spelling` has the source columns by their names in lower case, each as the table or the first file writes it:
    Delta knows no case, but some readers find a column only under the name that the table has for it.
    """

    engine: DuckEngine
    root: Path
    feed: Feed
    batch: str
    moments: Mapping[str, int]  # microseconds since 1970, by the file's name
    spelling: dict[str, str]
    looks: _Looks
    remarks: dict[str, tuple[str, ...]]  # filled while files are opened: what a person should know of each
    left_out: dict[str, Mapping[str, str]]  # as well: its lines that are no rows, with their text
    left: dict[str, bool]  # filled as well: whether the first way to read it had to be left for the next one

    @classmethod
    def alone(
        cls,
        engine: DuckEngine,
        root: Path,
        feed: Feed,
        batch: str,
        moments: Mapping[str, int],
        spelling: dict[str, str],
    ) -> FileReader:
        """Return a reader that looks at each file in its turn."""
        return cls(engine, root, feed, batch, moments, spelling, _Looks(feed), {}, {}, {})

    def read_all(self, parts: Sequence[Landed]) -> Taken:
        """Write the files, some at a time: what one statement wrote goes to disk while the next one reads."""
        groups = list(_at_once(self.feed, parts))
        if len(groups) < 2:
            return together([self.read_parts(group) for group in groups])
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(1) as beside:
            settling: list[Future[list[lake.DataFile]]] = []
            rest: list[tuple[dict[str, tuple[str, ...]], dict[str, BoathouseError]]] = []
            for group in groups:
                written, headers, refused = self.read_parts(group)
                settling.append(beside.submit(lake.settle, self.root, written))
                rest.append((headers, refused))
            return together([(one.result(), *other) for one, other in zip(settling, rest, strict=True)])

    def read_parts(self, parts: Sequence[Landed]) -> Taken:
        """Write the files, those in archives unpacked for as long as it takes."""
        if not any(part.archive or store.is_remote(part.path) for part in parts):
            return self.read(parts, self._careful(parts))
        with self.engine.room() as room:
            on_disk, refused = _unpacked(parts, room)
            on_disk = _fetched(on_disk, room)
            written, headers, others = self.read(on_disk, self._careful(on_disk)) if on_disk else ([], {}, {})
        return written, headers, refused | others

    def _careful(self, files: Sequence[Landed]) -> Mapping[str, int]:
        """Return which way to begin with: of NDJSON the second, once the first was left for a quarter of the files.

        Of other formats the second is so slow that the first is always worth it.
        """
        begin = int(self.feed.format == "ndjson" and sum(self.left.values()) * 4 > len(self.left))
        return {file.name: begin for file in files}

    def read(self, files: Sequence[Landed], careful: Mapping[str, int]) -> Taken:
        """Write the files; those with lines that a way to read them does not take are read again by the next one.

        `careful`: the place of each file's way among `readers.ways`.
        """
        spelling = dict(self.spelling)
        try:
            written, headers, refused = self._write(files, careful)
        except (DataError, OutOfMemoryError) as error:
            self._spell(spelling)
            return self._read_apart(files, careful, error)
        rejects = {reject.file for reject in self.engine.take_rejects()}
        troubled = {file.name for file in files if str(file.path) in rejects} | self._unproven(written)
        self.left.update({file.name: file.name in troubled for file in files if not careful[file.name]})
        if not troubled:
            return written, headers, refused
        lake.discard(self.root, written)
        self._spell(spelling)
        return self.read(files, {file.name: careful[file.name] + (file.name in troubled) for file in files})

    def _unproven(self, written: Sequence[lake.DataFile]) -> set[str]:
        """Return the files with a line that may have lost something."""
        if self.feed.format != "ndjson" or not written:
            return set()
        rows = self.engine.scan_files(self.root, written, {"_file": "VARCHAR", "_reject": "VARCHAR"})
        return set(self.engine.values(f"SELECT DISTINCT _file FROM {rows} WHERE _reject = {literal(readers.UNPROVEN)}"))

    def _spell(self, spelling: Mapping[str, str]) -> None:
        """Forget the columns of files that are read again: it may turn out that one before them has them too."""
        self.spelling.clear()
        self.spelling.update(spelling)

    def _read_apart(self, files: Sequence[Landed], careful: Mapping[str, int], error: BoathouseError) -> Taken:
        """Read the two halves of the files alone, until the one that stops the engine is found and refused."""
        if isinstance(error, OutOfMemoryError) and self.engine.small:
            raise error  # an engine with more memory may take them all
        if len(files) > 1:
            middle = len(files) // 2
            return together([self.read(files[:middle], careful), self.read(files[middle:], careful)])
        name = files[0].name
        if careful[name] + 1 < len(readers.ways(self.feed)):
            return self.read(files, {name: careful[name] + 1})
        if isinstance(error, OutOfMemoryError):
            fix = "raise MEMORY_LIMIT, or land it in smaller files; nothing of it was taken"
            error = DataError(f"too large: reading it takes more than MEMORY_LIMIT ({error.what})", fix=fix)
        return [], {}, {name: _of_part(DataError(error.what, where=files[0].path, fix=error.fix), files[0])}

    def _write(self, files: Sequence[Landed], careful: Mapping[str, int]) -> Taken:
        """Write all files that can be opened, in one statement; refuse each of the others by the error that names it.

        Raises:
            DataError: the engine stopped while it read; its error does not say at which file.
        """
        opened: list[_Opened] = []
        refused: dict[str, BoathouseError] = {}
        ways = readers.ways(self.feed)
        try:
            for file in files:
                way = careful[file.name]
                try:
                    known = None if way else self.looks.take(file)
                    rows = known or ways[way](self.engine, self.feed, file.path)
                    opened.append((file, rows))
                    self.remarks[file.name], self.left_out[file.name] = rows.notes, rows.left_out
                except DataError as error:
                    refused[file.name] = _of_part(error, file)
            return self._copy(opened), {file.name: rows.columns for file, rows in opened}, refused
        finally:
            for _, rows in opened:
                for name in rows.streams:
                    self.engine.unstream(name)

    def _copy(self, opened: Sequence[_Opened]) -> list[lake.DataFile]:
        if not opened:
            return []
        for name in (name for _, rows in opened for name in rows.columns):
            self.spelling.setdefault(name.lower(), name)
        many_texts = sum(file.size for file, _ in opened) > _LONG_COLUMN * len(self.spelling)
        with self.engine.for_columns(len(self.spelling)):
            rows = _union([self._select(part) for part in self._parts(opened)])
            return self.engine.write(rows, self.root, many_texts=many_texts)

    def _parts(self, opened: Sequence[_Opened]) -> Iterator[Sequence[_Opened]]:
        """Yield the files that one reader takes in turn; a kind has a reader for each thread that reads."""
        kinds: dict[object, list[_Opened]] = {}
        for file, rows in opened:
            kinds.setdefault(rows.kind or file.name, []).append((file, rows))
        for alike in kinds.values():
            kind = alike[0][1].kind
            yield from [alike] if kind and kind.uses_all_threads else _shares(alike, self.engine.threads)

    def _select(self, part: Sequence[_Opened]) -> str:
        """Return the rows of one file, or of several that are read in turn."""
        names = [file.name for file, _ in part]
        if len(part) == 1:
            rows, landed, moment = part[0][1], literal(names[0]), literal(self.moments[names[0]])
        else:
            rows, landed = readers.in_turn([rows for _, rows in part]), f"{literal(names)}[_file]"
            moment = f"{literal([self.moments[name] for name in names])}[_file]"
        own = {name.lower(): identifier(name) for name in rows.columns}
        values = [f"{own.get(low, 'NULL::VARCHAR')} AS {identifier(name)}" for low, name in self.spelling.items()]
        project = (
            f"{landed} AS _file, _row, make_timestamptz({moment}) AS _ingested_at, "
            f"{literal(self.batch)} AS _batch, _reject, _raw"
        )
        return f"SELECT {', '.join([*values, project])} FROM ({rows.sql})"


def _unpacked(parts: Sequence[Landed], room: Path) -> tuple[list[Landed], dict[str, BoathouseError]]:
    """Unpack the files in archives; return all where they can be read, and why some cannot."""
    on_disk = [part for part in parts if not part.archive]
    refused: dict[str, BoathouseError] = {}
    for nth, archive in enumerate(dict.fromkeys(part.archive for part in parts if part.archive)):
        own = [part for part in parts if part.archive == archive]
        folder = room / str(nth)
        folder.mkdir()
        try:
            paths = archives.extract(archive.path, [part.member for part in own], folder)
            on_disk += [replace(part, path=path) for part, path in zip(own, paths, strict=True)]
        except DataError as error:
            refused[own[0].name] = error
    return on_disk, refused


def _fetched(parts: Sequence[Landed], room: Path) -> list[Landed]:
    """Copy the objects among the files into a room, as every reader reads files of this machine alone.

    What comes is what was hashed, or it is thrown away after: see `_append`.
    """
    objects = [part for part in parts if store.is_remote(part.path)]
    local = {part.name: room / f"object-{nth}" / part.path.name for nth, part in enumerate(objects)}
    for path in local.values():
        path.parent.mkdir()
    store.fetch([part.path for part in objects], list(local.values()))
    return [replace(part, path=local[part.name], origin=part.path) if part.name in local else part for part in parts]


def _of_part(error: DataError, file: Landed) -> DataError:
    """Return an error with the name of the file, where it was read from another place than the landing zone."""
    if file.archive is None:
        return DataError(error.what, where=file.origin, fix=error.fix) if file.origin else error
    return DataError(error.what, where=file.archive.path / file.member, fix=error.fix)


def _shares(files: Sequence[_Opened], count: int) -> Iterable[list[_Opened]]:
    """Return the files, in their order, cut into at most `count` parts of about as many bytes."""
    ends = list(accumulate(file.size for file, _ in files))
    shares: dict[int, list[_Opened]] = {}
    for (file, rows), end in zip(files, ends, strict=True):
        middle = end - file.size // 2
        shares.setdefault(middle * count // (ends[-1] + 1), []).append((file, rows))
    return shares.values()


def _union(selects: Sequence[str]) -> str:
    """Return the SELECTs under UNION ALL as a tree of equal halves.

    One after the other the engine takes time by their number squared.
    """
    if len(selects) == 1:
        return selects[0]
    middle = len(selects) // 2
    return f"({_union(selects[:middle])}) UNION ALL ({_union(selects[middle:])})"


def _by_wording(remarks: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return each remark once, with the first files that it is about."""
    files_of: dict[str, list[str]] = {}
    for file, notes in remarks.items():
        for note in notes:
            files_of.setdefault(note, []).append(file)
    return tuple(f"{note} in {ingest.first_names(files)}" for note, files in files_of.items())


def _left_out(left_out: Mapping[str, Mapping[str, str]]) -> tuple[str, ...]:
    """Return which lines of the files are no rows, with the text of those in the first files."""
    files_of: dict[str, list[str]] = {}
    for file, texts in left_out.items():
        for what, text in texts.items():
            files_of.setdefault(what, []).append(f'{file} ("{text}")')
    return tuple(f"{what} of {ingest.first_names(files)}" for what, files in files_of.items())


def _drift(stored: Iterable[str], headers: Mapping[str, Sequence[str]]) -> list[str]:
    """Return how the files' headers differ from the table's columns (in a first load: from the first header)."""
    columns = [name for name in stored if name not in SYSTEM_COLUMNS]
    first = next((header for header in headers.values() if header), ())
    known = [name.lower() for name in columns or first]
    seen: dict[str, list[str]] = {}
    for file, header in headers.items():
        names = [name.lower() for name in header]
        if not names:
            continue
        gained = [name for name in header if name.lower() not in known]
        lost = [name for name in known if name not in names]
        if gained:
            seen.setdefault(f"new column {', '.join(gained)}", []).append(file)
        if lost:
            seen.setdefault(f"missing column {', '.join(lost)}", []).append(file)
        if [name for name in names if name in known] != [name for name in known if name in names]:
            seen.setdefault("columns in another order", []).append(file)
    return [f"{what} in {ingest.first_names(files)}" for what, files in seen.items()]
