"""Bronze: rows are only ever added, exactly as they arrived.

A file is known by the hash of its bytes, recorded in the very commit that holds its rows, so that
there is no ledger beside the table that could disagree with it. The same bytes under any name are
taken once where that cannot change the answer. A path whose bytes differ from the last that were
taken from it is an arrival, also where older bytes were the same: a list that returns to an earlier
state has returned. So is a copy under a new name where the row that arrived last wins.

Files of one run arrive in the order in which a person would list them: part9 before part10. Their
times on disk do not count: a copy, an unpacked archive or a restored disk sets new ones.

What is recorded, each as the number of a Delta `txn`:

    file:<hash>   bytes that were taken, under whatever name
    last:<path>   63 bits of the hash of the last bytes that came under a path
    stat:<path>   a mark of the file on disk, so that what did not change is not read again
    empty:<moment>:<path>, empties   when a file without a row came, and the newest: it leaves no row to tell of it
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from itertools import accumulate, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from src import lake, stopping, store
from src.bronze import archives, readers
from src.bronze.archives import Member
from src.bronze.readers import SYSTEM_COLUMNS
from src.checks.outcome import Outcome
from src.contract import Feed
from src.contract.patterns import FilePattern, is_archive
from src.engine import DuckEngine, identifier, literal
from src.errors import BoathouseError, DataError, OutOfMemoryError, from_os_error

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

SAME_BYTES = "of the same bytes as a file taken before"  # begins the note of a step that such files came to
_FILES_PER_COMMIT = 250  # bounds what a crash makes the next run repeat
_FILES_AT_ONCE = 50  # in one statement, which opens them all at its start: with 250 it took 1.6 times the memory
_IN_TURN = ("csv", "parquet")  # formats of which one reader takes many files in turn
_SMALL_AT_ONCE = 32 << 20  # bytes: files of these that are smaller together may be more
_LONG_COLUMN = 400_000  # bytes of a statement's files, packed or not, for each column: some 20,000 rows or more
_NUMBERS = re.compile("([0-9]+)")
_WORTH_A_THREAD = 4 << 20  # bytes of files that are looked at beside other work
_ASKED_AT_ONCE = 16  # objects: their bytes are waited for longer than hashed
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_INGESTED = "ingested_at"  # progress: microseconds of the newest _ingested_at


@dataclass(frozen=True)
class Landed:
    """One file in the landing zone. `mark` stands for its identity on disk without reading it."""

    path: Path
    name: str  # relative to the landing zone
    mark: int
    size: int  # bytes
    sha256: str = ""
    members: tuple[Member, ...] = ()  # of an archive: the files in it that are the feed's
    archive: Landed | None = None  # the one that this is a file of
    member: str = ""  # its name there
    origin: Path | None = None  # the object whose bytes lie at `path`

    @property
    def landed(self) -> Landed:
        """Return the file of the landing zone that this one is, or is in."""
        return self.archive or self

    @property
    def content(self) -> int:
        """Return 63 bits of the hash of the file's bytes."""
        return int(self.sha256[:16], 16) >> 1

    @property
    def seen(self) -> dict[str, int]:
        """Return the progress that bronze records of the path once these bytes are taken."""
        return {f"stat:{self.name}": self.mark, f"last:{self.name}": self.content}


def known_bytes(name: str, sha256: str) -> dict[str, int]:
    """Return the progress by which bytes that are put in the place of a taken file are no arrival.

    What the system says of the file as it is stays as recorded: it is not read until the new one has its name.
    """
    return {f"file:{sha256}": 1, f"last:{name}": Landed(Path(name), name, 0, 0, sha256).content}


@dataclass(frozen=True)
class Arrivals:
    """The files of a feed's landing folder, sorted by what bronze does with them."""

    new: tuple[Landed, ...] = ()
    known: int = 0
    same_bytes: tuple[Landed, ...] = ()  # taken before or in this run, under another name or with other times
    renamed: tuple[str, ...] = ()  # those of them that came under another name
    waiting: tuple[str, ...] = ()  # still being written
    refused: tuple[BoathouseError, ...] = ()


def arrivals(
    engine: DuckEngine,
    landing: Path,
    feed: Feed,
    bronze: lake.Snapshot | None,
    settle: float,
    *,
    latest_wins: bool = False,
    only: Collection[Path] | None = None,
    digests: Callable[[Sequence[Landed]], Iterable[str | OSError]] | None = None,
) -> Arrivals:
    """Tell new files from known ones; changes nothing.

    `settle`: a file younger than this many seconds must keep its size for that long to be taken.
    `latest_wins`: a table of the feed keeps the row of a key that arrived last, so that a copy is an arrival.
    `only`: no other files than these, without links in their paths. `digests`: what hashes files in place of this
    process.
    """
    found, refused = _discover(landing, feed)
    if only is not None:
        found = [file for file in found if store.home(file.path) in only]
    recorded = _recorded(engine, bronze)
    unread = [file for file in found if recorded(f"stat:{file.name}") != file.mark]
    known = len(found) - len(unread)
    unread = list(_of_the_feed(unread, feed, refused))
    settled, waiting = _settled(unread, settle)
    new: list[Landed] = []
    same: list[Landed] = []
    new_bytes: set[str] = set()
    hashed = digests(settled) if digests else digests_of(settled, engine.threads)
    for file, found_hash in zip(settled, hashed, strict=True):
        if isinstance(found_hash, OSError):
            refused.append(from_os_error(found_hash, file.path))
            continue
        file = replace(file, sha256=found_hash)
        if _arrives(file, recorded, new_bytes, latest_wins):
            new.append(file)
            new_bytes.add(file.sha256)
        else:
            same.append(file)
    renamed = tuple(file.name for file in same if recorded(f"stat:{file.name}") is None)
    return Arrivals(tuple(new), known, tuple(same), renamed, tuple(waiting), tuple(refused))


def _arrives(
    file: Landed, recorded: Callable[[str], int | None], new_bytes: Collection[str], latest_wins: bool
) -> bool:
    """Return True if the bytes of a file are to be taken; `new_bytes` are those that this run takes anyway."""
    taken_before = recorded(f"file:{file.sha256}") is not None
    if recorded(f"stat:{file.name}") is None:
        return latest_wins or not (taken_before or file.sha256 in new_bytes)
    last = recorded(f"last:{file.name}")
    # a path that came before paths were remembered with their bytes: known bytes count as its last ones
    return not taken_before or last not in (None, file.content)


def run(
    engine: DuckEngine,
    landing: Path,
    root: Path,
    feed: Feed,
    *,
    batch: str,
    now: datetime,
    settle: float,
    latest_wins: bool = False,
    only: Collection[Path] | None = None,
    expecting: Callable[[Feed], Feed] | None = None,
    others: Readers | None = None,
    withhold: Withholding | None = None,
) -> Outcome:
    """Append every new file of a feed to its bronze table, each exactly once; for the options see `arrivals`.

    `expecting` returns the feed with the columns that are read of it: it is asked where a file is new; `others` read
    in place of this process, where there is much to read; `withhold` keeps forgotten rows out. A file that cannot be
    read is refused whole and named in the outcome; the others are taken.

    Raises:
        MachineError: disk full, no permission on the lake; nothing half-written is visible.
    """
    bronze = lake.open_table(root)
    digests = None if others is None or engine.small else others.digests
    arrived = arrivals(engine, landing, feed, bronze, settle, latest_wins=latest_wins, only=only, digests=digests)
    size = sum(file.size for file in arrived.new)
    # after the first commit nothing could be done again as one step; and one load at a time is dealt out
    alone = len(arrived.new) > _FILES_PER_COMMIT or (others is not None and others.deals(size))
    engine.admit(sys.maxsize if alone else size)
    feed = expecting(feed) if expecting and arrived.new else feed
    bronze, taken, outcome = _append_all(engine, root, feed, bronze, arrived, batch, now, others, withhold)
    not_taken = {file.sha256 for file in arrived.new} - {file.sha256 for file in taken}
    # so that they need not be read again only to find that they are known; not those whose twin was refused
    seen = [file.seen for file in arrived.same_bytes if file.sha256 not in not_taken]
    if bronze and seen:
        progress = {name: value for records in seen for name, value in records.items()}
        bronze = lake.commit(bronze, progress=progress, info={"run_id": batch})
    return replace(outcome, version=bronze.version if bronze else None)


# Returns the files that a table may take in place of written ones, and how many of their rows were held back, by the
# moment of the landed file's arrival.
Withholding = Callable[[lake.Snapshot, Sequence[lake.DataFile]], tuple[list[lake.DataFile], Mapping[int, int]]]

# Written data files, the header of every file taken, and why the others were refused, by their names.
Taken = tuple[list[lake.DataFile], dict[str, tuple[str, ...]], dict[str, BoathouseError]]


class Readers(Protocol):
    """Those who read landed files in place of this process: src/workers/reading.py."""

    def deals(self, size: int) -> bool:
        """Return whether so many bytes are read by others."""

    def digests(self, files: Sequence[Landed]) -> Iterable[str | OSError]:
        """Return the hash of each file's bytes, or why they cannot be read."""

    def read_all(self, reader: FileReader, parts: Sequence[Landed]) -> Taken:
        """Do what `FileReader.read_all` does."""


class Ahead(lake.Snapshot):
    """A bronze table as the next run will leave it: the rows that it has, and those of new files, which lie elsewhere.

    It has no log of its own: what is asked of it is which rows there are, what the version is called, and `logs`.
    """

    logs: tuple[lake.Snapshot, ...] = ()  # that of the table as it is, and that of what the next run will add

    def __init__(self, root: Path, bronze: lake.Snapshot | None, taken: lake.Snapshot) -> None:
        self.root, self.columns, self.partition_by, self.properties = root, taken.columns, (), {}
        self.version = bronze.version + 1 if bronze else 0
        self._progress = {lake.FORGOTTEN: bronze.progress(lake.FORGOTTEN) if bronze else None}  # no more is asked of it
        self.identity = bronze.identity if bronze else taken.identity
        self.new = tuple(replace(file, path=str(taken.root / file.path)) for file in taken.files)
        self.files = (*(bronze.files if bronze else ()), *self.new)
        self.logs = (*([bronze] if bronze else []), taken)


def look_ahead(
    engine: DuckEngine,
    landing: Path,
    root: Path,
    room: Path,
    feed: Feed,
    *,
    now: datetime,
    settle: float,
    latest_wins: bool = False,
) -> tuple[Ahead | lake.Snapshot | None, Arrivals, Outcome]:
    """Return the bronze table as `run` would leave it, from which files, and with which outcome; changes nothing there.

    The rows of new files are written into the folder `room`, which is the caller's to remove.

    Raises:
        MachineError: disk full, ...
    """
    bronze = lake.open_table(root)
    arrived = arrivals(engine, landing, feed, bronze, settle, latest_wins=latest_wins)
    if not arrived.new:
        return bronze, arrived, Outcome(refusals=arrived.refused, notes=_notes(arrived))
    moment = _EPOCH + timedelta(microseconds=_later_than(bronze, now) if bronze else 0)
    into = lake.create(room, bronze.columns) if bronze else None
    taken, files, outcome = _append_all(engine, room, feed, into, arrived, "", max(now, moment))
    return (Ahead(root, bronze, taken) if taken and files else bronze), arrived, outcome


def _append_all(
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
    outcome = Outcome(refusals=arrived.refused, notes=_notes(arrived))
    taken: list[Landed] = []
    starts = range(0, len(arrived.new), _FILES_PER_COMMIT)
    chunks = [arrived.new[start : start + _FILES_PER_COMMIT] for start in starts]
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
        is_little = len(files) < 2 or sum(file.size for file in files) < _WORTH_A_THREAD
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


def unclaimed(landing: Path, feeds: Iterable[Feed]) -> list[str]:
    """Return files in the landing zone that no feed takes, so that none is overlooked in silence."""
    patterns = [FilePattern(feed.path) for feed in feeds]
    if store.is_remote(landing):
        names = (name for name, _ in store.files_below(landing))
    else:
        folders = ((Path(folder).relative_to(landing), files) for folder, _, files in os.walk(landing))
        names = ((folder / file).as_posix() for folder, files in folders for file in files)
    found: list[str] = []
    of_folder: dict[str, list[FilePattern]] = {}  # most feeds differ by their folder, which is looked at once
    plain: dict[str, list[FilePattern]] = {}
    for pattern in patterns:
        plain.setdefault(pattern.only_folder or "", []).append(pattern)
    for name in sorted(names):
        folder, _, last = name.rpartition("/")
        if _ignored(last):
            continue
        if folder not in of_folder:
            near = plain.get("", []) + (plain.get(folder, []) if folder else [])
            of_folder[folder] = [pattern for pattern in near if pattern.may_be_in(folder)]
        takers = [pattern for pattern in of_folder[folder] if pattern.may_take(name)]
        if takers and is_archive(name):
            members = archives.members(landing / name)
            found += [f"{name}/{one}" for one in members if not any(taker.takes_member(one) for taker in takers)]
        elif not takers:
            found.append(name)
    return [_shown(name) for name in found]


# -- the landing zone


def _discover(landing: Path, feed: Feed) -> tuple[list[Landed], list[BoathouseError]]:
    if store.is_remote(landing):
        return _discover_objects(landing, feed), []
    found: list[Landed] = []
    refused: list[BoathouseError] = []
    home = landing.resolve()
    # once for each folder: it asks the system about every part of a path
    is_at_home = cache(lambda folder: Path(folder).resolve().is_relative_to(home))
    start = len(os.path.join(landing, ""))
    for path in sorted(FilePattern(feed.path).find(landing), key=_as_a_person_would):
        if _ignored(path.name):
            continue
        name = str(path)[start:]
        try:
            if not _is_text(name):
                fix = "give it a name in UTF-8; nothing of it was taken"
                raise DataError("the name is not UTF-8", where=_shown(path.as_posix()), fix=fix)
            facts = os.lstat(path)
            is_link = stat.S_ISLNK(facts.st_mode)
            if not is_at_home(str(path) if is_link else os.path.dirname(path)):
                fix = "copy the file into the landing zone, or remove the link"
                raise DataError(f"{name} is a link out of the landing zone", where=path, fix=fix)
            if is_link:
                facts = os.stat(path)
            if not stat.S_ISREG(facts.st_mode):
                kind = "a folder" if stat.S_ISDIR(facts.st_mode) else "not a regular file"
                raise DataError(f"{name} is {kind}", where=path, fix=f"move it away: {feed.path} takes files only")
            found.append(Landed(path, name, _mark(store.facts_of(facts)), facts.st_size))
        except DataError as error:
            refused.append(error)
        except OSError as error:
            refused.append(from_os_error(error, path))
    return found, refused


def _discover_objects(landing: Path, feed: Feed) -> list[Landed]:
    """Return the objects of the landing zone that may be the feed's: names are texts, and there are no links."""
    pattern = FilePattern(feed.path)
    folder = pattern.fixed_folder
    below = store.files_below(landing / folder if folder else landing)
    names = ((f"{folder}/{name}" if folder else name, facts) for name, facts in below)
    found = [
        Landed(landing / name, name, _mark(facts), facts.size)
        for name, facts in names
        if pattern.may_take(name) and not _ignored(name.rpartition("/")[2])
    ]
    return sorted(found, key=lambda file: _as_a_person_would(file.path))


def _as_a_person_would(path: Path) -> tuple[list[list[str | int]], str]:
    """Return a key by which paths sort folder by folder, and runs of digits by their number."""
    whole = str(path)
    return [_with_numbers(part) for part in whole.split(os.sep)], whole


@lru_cache(maxsize=10_000)  # the folders of most files are the same
def _with_numbers(part: str) -> list[str | int]:
    return [int(text) if at % 2 else text for at, text in enumerate(_NUMBERS.split(part))]


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:  # bytes of the name that are no UTF-8 stand in it as surrogates
        return False
    return True


def _shown(name: str) -> str:
    """Return a name with the bytes that are no text escaped: caf\\xe9.csv."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _ignored(name: str) -> bool:
    """Return True for hidden files and the lock files that office programs leave beside an open workbook."""
    return name.startswith((".", "~$"))


def _of_the_feed(files: Iterable[Landed], feed: Feed, refused: list[BoathouseError]) -> Iterator[Landed]:
    """Yield the files that are the feed's: of archives, those that have a file of it; some cannot be taken."""
    takes = FilePattern(feed.path).takes_member
    for file in files:
        try:
            if not is_archive(file.name):
                yield file
            elif members := archives.members_of(file.path, takes):
                in_order = sorted(members, key=lambda member: _as_a_person_would(Path(member.name)))
                yield replace(file, members=tuple(in_order))
        except BoathouseError as error:
            refused.append(error)


def _parts_of(file: Landed) -> list[Landed]:
    """Return the files of an archive; any other file is its one part."""
    return [
        replace(file, name=f"{file.name}/{member.name}", size=member.size, archive=file, member=member.name)
        for member in file.members
    ] or [file]


def _mark(facts: store.Facts) -> int:
    """Return 63 bits that change when a file's bytes may have changed: of its size, times and inode.

    The change time cannot be set back by a program, so `cp -p` or `touch` over a file is noticed.
    """
    identity = f"{facts.size}:{facts.modified}:{facts.changed}:{facts.inode}"
    return int.from_bytes(hashlib.sha256(identity.encode()).digest()[:8], "big") >> 1


def _recorded(engine: DuckEngine, bronze: lake.Snapshot | None) -> Callable[[str], int | None]:
    """Return a look-up of what bronze has recorded, by input.

    It is read all at once: asked for one input, the library looks through the records of all files that ever came,
    and asked for each file it takes longer every year.
    """
    if bronze is None:
        return dict[str, int]().get
    try:
        checkpoint, later = lake.progress_log(bronze.root, bronze.version)
    except lake.HistoryGone:
        return bronze.progress
    if checkpoint is None:
        return later.get
    known = lake.known_progress(bronze.root, checkpoint)
    if known is None:
        known = lake.keep_progress(bronze.root, checkpoint, lambda: dict(engine.rows(lake.progress_sql(checkpoint))))
    return (known | later).get


def _settled(files: Sequence[Landed], settle: float) -> tuple[list[Landed], list[str]]:
    """Split off the files whose size or time still changes; waits at most `settle` seconds, once for all.

    An object is there once it is whole.
    """
    young = [file for file in files if not store.is_remote(file.path) and _age(file.path) < settle]
    if young:
        stopping.pause(max(0.0, settle - max(0.0, min(_age(file.path) for file in young))))
    moving = {file.name for file in young if not _same(file)}
    return [file for file in files if file.name not in moving], sorted(moving)


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0


def _same(file: Landed) -> bool:
    try:
        return _mark(store.facts(file.path)) == file.mark
    except OSError:
        return False


def digest(file: Landed) -> str | OSError:
    """Return the hash of a file's bytes, or why they cannot be read."""
    try:
        with store.open_binary(file.path) as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError as error:
        return error


def digests_of(files: Sequence[Landed], threads: int) -> Iterator[str | OSError]:
    """Yield the hash of each file's bytes, or why they cannot be read; several files at once, as hashing lets it."""
    is_remote = bool(files) and store.is_remote(files[0].path)
    if len(files) < 2 or (sum(file.size for file in files) < _WORTH_A_THREAD and not is_remote):
        yield from map(digest, files)
        return
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(_ASKED_AT_ONCE if is_remote else threads)
    try:
        yield from pool.map(digest, files)
    finally:
        pool.shutdown(cancel_futures=True)


def _notes(arrived: Arrivals) -> tuple[str, ...]:
    notes = []
    if arrived.renamed:
        notes.append(f"{SAME_BYTES}: {_first_names(arrived.renamed)}")
    if arrived.waiting:
        notes.append(
            f"{len(arrived.waiting)} files still being written, taken next run: {_first_names(arrived.waiting)}"
        )
    return tuple(notes)


def _first_names(names: Sequence[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


# -- appending


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
    first = _later_than(bronze, now)
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
    moved = [file for file in readable if not _same(file)]
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
        progress = {_LAST_INGESTED: max(moments.values())} | lake.held_back(gone)
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


def newest_arrival(bronze: lake.Snapshot) -> datetime | None:
    """Return when the newest file of a feed was taken (UTC); None where the table does not say, as of earlier days."""
    micros = bronze.progress(_LAST_INGESTED)
    return None if micros is None else _EPOCH + timedelta(microseconds=micros)


def _later_than(bronze: lake.Snapshot | None, now: datetime) -> int:
    """Return the first file's time in microseconds since 1970, later than any before though the clock went back."""
    micros = int(now.timestamp() * 1_000_000)
    return max(micros, ((bronze.progress(_LAST_INGESTED) if bronze else None) or 0) + 1)


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
        """Write the files, some at a time."""
        return together([self.read_parts(group) for group in _at_once(self.feed, parts)])

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
    return tuple(f"{note} in {_first_names(files)}" for note, files in files_of.items())


def _left_out(left_out: Mapping[str, Mapping[str, str]]) -> tuple[str, ...]:
    """Return which lines of the files are no rows, with the text of those in the first files."""
    files_of: dict[str, list[str]] = {}
    for file, texts in left_out.items():
        for what, text in texts.items():
            files_of.setdefault(what, []).append(f'{file} ("{text}")')
    return tuple(f"{what} of {_first_names(files)}" for what, files in files_of.items())


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
    return [f"{what} in {_first_names(files)}" for what, files in seen.items()]
