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
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from src import lake, stopping, store
from src.checks.outcome import Outcome
from src.contract import Feed
from src.contract.patterns import FilePattern, is_archive
from src.engine import DuckEngine
from src.errors import BoathouseError, DataError, from_os_error

# What reads files is imported where a new one has landed, as importing takes time.
if TYPE_CHECKING:
    from src.bronze.appending import FileReader
    from src.bronze.archives import Member

SAME_BYTES = "of the same bytes as a file taken before"  # begins the note of a step that such files came to
FILES_PER_COMMIT = 250  # bounds what a crash makes the next run repeat
_NUMBERS = re.compile("([0-9]+)")
WORTH_A_THREAD = 4 << 20  # bytes of files that are looked at beside other work
_ASKED_AT_ONCE = 16  # objects: their bytes are waited for longer than hashed
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST_INGESTED = "ingested_at"  # progress: microseconds of the newest _ingested_at


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
    alone = len(arrived.new) > FILES_PER_COMMIT or (others is not None and others.deals(size))
    engine.admit(sys.maxsize if alone else size)
    taken, outcome = list[Landed](), Outcome(refusals=arrived.refused, notes=notes_of(arrived))
    if arrived.new:
        engine.open_soon()
        from src.bronze.appending import append_all

        feed = expecting(feed) if expecting else feed
        bronze, taken, outcome = append_all(engine, root, feed, bronze, arrived, batch, now, others, withhold)
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
        return bronze, arrived, Outcome(refusals=arrived.refused, notes=notes_of(arrived))
    from src.bronze.appending import append_all

    moment = _EPOCH + timedelta(microseconds=later_than(bronze, now) if bronze else 0)
    into = lake.create(room, bronze.columns) if bronze else None
    taken, files, outcome = append_all(engine, room, feed, into, arrived, "", max(now, moment))
    return (Ahead(root, bronze, taken) if taken and files else bronze), arrived, outcome


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
            from src.bronze import archives

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
                continue
            from src.bronze import archives

            if members := archives.members_of(file.path, takes):
                in_order = sorted(members, key=lambda member: _as_a_person_would(Path(member.name)))
                yield replace(file, members=tuple(in_order))
        except BoathouseError as error:
            refused.append(error)


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
    if bronze.all_progress is not None:
        return bronze.all_progress.get
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
    moving = {file.name for file in young if not is_same(file)}
    return [file for file in files if file.name not in moving], sorted(moving)


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0


def is_same(file: Landed) -> bool:
    """Return whether a file is still the one that was looked at."""
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
    if len(files) < 2 or (sum(file.size for file in files) < WORTH_A_THREAD and not is_remote):
        yield from map(digest, files)
        return
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(_ASKED_AT_ONCE if is_remote else threads)
    try:
        yield from pool.map(digest, files)
    finally:
        pool.shutdown(cancel_futures=True)


def notes_of(arrived: Arrivals) -> tuple[str, ...]:
    """Return what a person should know of the files that came and are not taken."""
    notes = []
    if arrived.renamed:
        notes.append(f"{SAME_BYTES}: {first_names(arrived.renamed)}")
    if arrived.waiting:
        notes.append(
            f"{len(arrived.waiting)} files still being written, taken next run: {first_names(arrived.waiting)}"
        )
    return tuple(notes)


def first_names(names: Sequence[str], most: int = 3) -> str:
    """Return the first of some names as a text."""
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def newest_arrival(bronze: lake.Snapshot) -> datetime | None:
    """Return when the newest file of a feed was taken (UTC); None where the table does not say, as of earlier days."""
    micros = bronze.progress(LAST_INGESTED)
    return None if micros is None else _EPOCH + timedelta(microseconds=micros)


def later_than(bronze: lake.Snapshot | None, now: datetime) -> int:
    """Return the first file's time in microseconds since 1970, later than any before though the clock went back."""
    micros = int(now.timestamp() * 1_000_000)
    return max(micros, ((bronze.progress(LAST_INGESTED) if bronze else None) or 0) + 1)
