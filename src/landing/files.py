"""An answer becomes one file of the landing zone, whole or not at all, and only where it says something new.

    <folder of the feed>/<slice>@<moment of the pull>.<ending>.gz

The bytes go to a hidden file, are forced to disk, and get their name last: a process killed anywhere leaves a hidden
file, which the next pull removes. What a slice said last is its newest file; an answer that is the same does not land
again. Moments in names only grow, whatever the clock says. The gzip header holds the moment of the pull, so that a
slice that goes back to what it said before (A, B, A) is new bytes: bronze takes the same bytes once.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from src import lake, store
from src.checks.outcome import Outcome
from src.contract import Feed
from src.contract.patterns import FilePattern
from src.errors import ContractError
from src.landing.connector import Landed, Slice
from src.landing.patience import GaveUpError
from src.landing.records import EMPTY, LANDED, SAME

_MOMENT = "%Y%m%dT%H%M%S%fZ"
_FILE = re.compile(r"(.+)@(\d{8}T\d{12}Z)(\.[^/]+)?")
_NAME = re.compile(r"[\w=+~,-][\w=+~,. -]*(/[\w=+~,-][\w=+~,. -]*)*")
_HIDDEN = ".pull-"  # begins the name of what is not whole yet
_MEMORY = ".memory"  # ends the name, before the packing, of what a slice's next fetch has to know
_PACKED = ".gz"
_LEVEL = 4  # of gzip: within a tenth of the size that 6 gives, in half the time
_BLOCK = 1 << 20
_GLOB = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class Statement:
    """One file of an answer, and what became of it: `status` is one of src/landing/records.py.

    Bytes and hash are those of the content.
    """

    status: str
    bytes: int = 0
    sha256: str | None = None
    path: Path | None = None  # that holds it
    name: str | None = None  # of a file that kept its own


def outcome(statements: Sequence[Statement], rows: int) -> Outcome:
    """Return what a step did that landed these: `rows` are those of the answer."""
    landed = [one for one in statements if one.status in (LANDED, EMPTY) and one.sha256]
    written = rows if landed else 0
    return Outcome(read=rows, inserted=written, written=written, unchanged=rows - written, files=len(landed))


class FeedFolder:
    """The folder of one feed in the landing zone: what landed there by slices, and how a new file is named."""

    def __init__(self, landing: Path, feed: Feed) -> None:
        parts = PurePosixPath(feed.path).parts
        fixed = next((at for at, part in enumerate(parts) if _GLOB.search(part)), len(parts) - 1)
        self.landing, self.feed = landing, feed
        self.path = landing.joinpath(*parts[:fixed])
        self.ending = parts[-1].rpartition("*")[2].removesuffix(_PACKED) or f".{feed.format}"

    def landed(self) -> list[Landed]:
        """Return the files that pulls landed, oldest first."""
        found = [one for path in self.path.rglob("*@*") if (one := self._landed(path))]
        return sorted(found, key=lambda one: (one.pulled_at, one.path))

    def newest(self, name: str) -> Landed | None:
        """Return the newest file of a slice; None where nothing of it landed."""
        pattern = f"{PurePosixPath(name).name}@*"
        folder = (self.path / name).parent
        found = [one for path in folder.glob(pattern) if (one := self._landed(path)) and one.slice == name]
        return max(found, default=None, key=lambda one: one.pulled_at)

    def says(self, name: str, data: bytes) -> bool:
        """Return whether the newest file of a slice holds these bytes."""
        newest = self.newest(name)
        return newest is not None and _digest(newest.path, any_order=False) == hashlib.sha256(data).hexdigest()

    def file(self, name: str, moment: datetime) -> Path:
        """Return where a slice's file lands.

        Raises:
            ContractError: the feed would not take a file of that name.
        """
        if not _NAME.fullmatch(name) or ".." in name:
            raise ContractError(f"a slice named {name!r}", fix="name slices with letters, digits, - and _")
        return self._taken(self.path / f"{name}@{moment.strftime(_MOMENT)}{self.ending}{_PACKED}")

    def kept(self, name: str) -> Path:
        """Return where a file lands that keeps its name.

        Raises:
            ContractError: the feed would not take a file of that name.
        """
        if not name or {"", ".", ".."} & set(name.split("/")) or "\\" in name:
            raise ContractError(f"a file named {name!r}", fix="give it another name where it comes from")
        return self._taken(self.path / name)

    def clean(self) -> None:
        """Remove what pulls that were killed left behind; the caller holds the lake."""
        for leftover in self._unseen.glob(f"{_HIDDEN}*"):
            remove(leftover)

    def remembered(self, name: str) -> Landed | None:
        """Return what the last answer of a slice let the stage remember; None where it did not."""
        found = [Landed(name, moment, path) for moment, path in self._memories(name)]
        return max(found, default=None, key=lambda one: one.pulled_at)

    def memory(self, name: str, moment: datetime) -> Path:
        """Return where what a slice remembers lies: a hidden file beside the feed's, which no reader takes."""
        path = self.path / name
        return path.with_name(f".{path.name}@{moment.strftime(_MOMENT)}{_MEMORY}{_PACKED}")

    def forget(self, name: str, newest: Path) -> None:
        """Remove what a slice remembered before its newest memory."""
        for _, path in self._memories(name):
            if path != newest:
                path.unlink(missing_ok=True)

    def hidden(self, moment: datetime) -> Path:
        """Return the path of a file or folder that nobody sees, on the same disk as the feed's files."""
        folder = self._unseen
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{_HIDDEN}{moment.strftime(_MOMENT)}"

    @property
    def _unseen(self) -> Path:
        """Return the folder of what is not whole yet, on this machine: the feed's own, or one beside a bucket."""
        return store.beside(self.path) if store.is_remote(self.path) else self.path

    def relative(self, path: Path) -> str:
        """Return a file's name below the landing zone."""
        return path.relative_to(self.landing).as_posix()

    def _memories(self, name: str) -> Iterator[tuple[datetime, Path]]:
        path = self.path / name
        for found in path.parent.glob(f".{path.name}@*{_MEMORY}{_PACKED}"):
            moment = _FILE.fullmatch(found.name)
            if moment and moment[1] == f".{path.name}":
                yield datetime.strptime(moment[2], _MOMENT).replace(tzinfo=UTC), found

    def _landed(self, path: Path) -> Landed | None:
        found = _FILE.fullmatch(path.relative_to(self.path).as_posix())
        if not found or path.name.startswith("."):
            return None
        moment = datetime.strptime(found[2], _MOMENT).replace(tzinfo=UTC)
        return Landed(found[1], moment, path)

    def _taken(self, path: Path) -> Path:
        """Return a path that the feed takes, as bronze will judge it."""
        name = self.relative(path)
        if not FilePattern(self.feed.path).may_take(name):
            fix = f"write a path that takes it, such as {self._wider(name)}"
            where = f"{self.feed.declared_in}, server {self.feed.name}, path"
            raise ContractError(f"path {self.feed.path} does not take {name}", where=where, fix=fix)
        return path

    def _wider(self, name: str) -> str:
        folder = self.path.relative_to(self.landing)
        steps = ["*"] * (len(PurePosixPath(name).relative_to(folder).parts) - 1)
        return folder.joinpath(*steps, f"*{self.ending}").as_posix()


class FileAnswer:
    """One answer on its way into the landing zone: see connector.Answer. `finish` lands it, `discard` forgets it."""

    def __init__(self, folder: FeedFolder, part: Slice, now: datetime, settled: float) -> None:
        self.requests = 0
        self._folder, self._part, self._now, self._settled = folder, part, now, settled
        self._name = part.name
        self._hidden = folder.hidden(now)
        self._packed = _Packed(self._hidden, now)
        self._memory = _Packed(self._hidden.with_name(f"{self._hidden.name}{_MEMORY}"), now)
        self._content = _Content(part.any_order)
        self._kept: list[str] = []
        self._abandoned = self._unchanged = False

    # -- what a connector does

    def write(self, data: bytes) -> None:
        """Take the next bytes of the answer."""
        self._heed()
        self._content.add(data)
        self._packed.write(data)

    def remember(self, data: bytes) -> None:
        """Take the next bytes of what the slice's next fetch has to know."""
        self._heed()
        self._memory.write(data)

    def unchanged(self) -> None:
        """Say that the slice is as its newest file has it."""
        self._heed()
        self._unchanged = True

    def named(self, name: str) -> None:
        """Let the file carry another name than the slice's."""
        self._name = name

    def folder(self) -> Path:
        """Return a hidden folder, empty at first, for files that keep their names."""
        self._heed()
        self._hidden.mkdir(exist_ok=True)
        return self._hidden

    def keep(self, name: str) -> None:
        """Let a file of `folder()` land under its name."""
        self._heed()
        self._folder.kept(name)
        self._kept.append(name)

    def target(self, name: str) -> Path:
        """Return where a file of that name lies, or would lie."""
        return self._folder.kept(name)

    # -- what the stage does

    def finish(self) -> list[Statement]:
        """Land the answer, or each of its files that is new; return what became of it."""
        if self._hidden.is_dir():
            found = [self._keep(name) for name in self._kept]
            self.discard()
            return found or [Statement(SAME)]
        found = [self._as_before() if self._unchanged else self._land()]
        self._keep_memory()  # last: a crash before it makes the next fetch do the same again
        return found

    def restart(self) -> None:
        """Forget what came so far: the source is asked again."""
        self.discard()
        self._content, self._kept, self._name = _Content(self._part.any_order), [], self._part.name
        self._unchanged = False

    def abandon(self) -> None:
        """Refuse every further byte: whoever still writes is left alone with an error."""
        self._abandoned = True

    def discard(self) -> None:
        """Remove what is not whole."""
        for packed in (self._packed, self._memory):
            packed.close()
            remove(packed.path)

    def _heed(self) -> None:
        if self._abandoned:
            raise GaveUpError("nobody waits for this answer any more: the budget is used up")

    def _land(self) -> Statement:
        size, sha256 = self._content.size, self._content.sha256
        newest = self._folder.newest(self._name)
        if size == 0 and (self._part.adds or newest is None or _is_empty(newest.path)):
            return Statement(SAME if self._part.adds else EMPTY, path=newest.path if newest else None)
        if newest and _digest(newest.path, self._part.any_order) == self._content.digest():
            return Statement(SAME, size, sha256, newest.path)
        moment = max(self._now, newest.pulled_at + timedelta(microseconds=1)) if newest else self._now
        path = self._folder.file(self._name, moment)
        self._packed.write(b"")  # an empty statement is a file too
        self._packed.close()
        self._publish(self._hidden, path)
        return Statement(EMPTY if size == 0 else LANDED, size, sha256, path)

    def _as_before(self) -> Statement:
        newest = self._folder.newest(self._name)
        assert newest, "a slice that has a file"
        return Statement(SAME, path=newest.path)

    def _keep_memory(self) -> None:
        if not self._memory.path.is_file():
            return
        last = self._folder.remembered(self._part.name)
        moment = max(self._now, last.pulled_at + timedelta(microseconds=1)) if last else self._now
        path = self._folder.memory(self._part.name, moment)
        self._memory.close()
        self._publish(self._memory.path, path)
        self._folder.forget(self._part.name, path)

    def _keep(self, name: str) -> Statement:
        path, source = self._folder.kept(name), self._hidden / name
        size, sha256 = source.stat().st_size, lake.digest(source)
        if path.is_file() and lake.digest(path) == sha256:
            facts = source.stat()
            if not store.is_remote(path):
                os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))  # so that it is not copied again for its time
            return Statement(SAME, size, sha256, path, name)
        self._publish(source, path, aged=False)
        return Statement(LANDED, size, sha256, path, name)

    def _publish(self, hidden: Path, path: Path, *, aged: bool = True) -> None:
        """Give a whole file its name, and force both to disk.

        Its time is set back by as long as bronze waits for a fresh file to settle: it is whole, so nobody has to wait.
        """
        if store.is_remote(path):
            store.take(hidden, path)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        if aged:
            moment = self._now.timestamp() - self._settled
            os.utime(hidden, (moment, moment))
        lake.sync(hidden)
        os.replace(hidden, path)
        for folder in (parent for parent in path.parents if parent.is_relative_to(self._folder.landing)):
            lake.sync(folder)


class _Packed:
    """A gzip file that is begun by the first bytes that it takes."""

    def __init__(self, path: Path, moment: datetime) -> None:
        self.path, self._moment = path, moment
        self._streams: tuple[gzip.GzipFile, BinaryIO] | None = None

    def write(self, data: bytes) -> None:
        if self._streams is None:
            file = self.path.open("wb")
            name = self._moment.strftime(_MOMENT)  # in the header: no two pulls give the same bytes
            self._streams = gzip.GzipFile(name, "wb", _LEVEL, file, mtime=int(self._moment.timestamp())), file
        self._streams[0].write(data)

    def close(self) -> None:
        for stream in self._streams or ():
            stream.close()
        self._streams = None


class _Content:
    """The content of an answer as it passes: its size, its hash, and by what it is compared with another.

    In any order it is compared by the sum of the hashes of its lines.
    """

    def __init__(self, any_order: bool) -> None:
        self.size = 0
        self._whole = hashlib.sha256()
        self._lines = _Lines() if any_order else None

    def add(self, data: bytes) -> None:
        self.size += len(data)
        self._whole.update(data)
        if self._lines:
            self._lines.add(data)

    @property
    def sha256(self) -> str:
        return self._whole.hexdigest()

    def digest(self) -> str:
        return self._lines.digest() if self._lines else self.sha256


class _Lines:
    def __init__(self) -> None:
        self._sum, self._rest = 0, b""

    def add(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._sum += int.from_bytes(hashlib.sha256(line).digest(), "big")

    def digest(self) -> str:
        rest = int.from_bytes(hashlib.sha256(self._rest).digest(), "big") if self._rest else 0
        return f"{(self._sum + rest) % (1 << 256):064x}"


def remove(path: Path) -> None:
    """Remove a file, or a folder with all that is in it; one that is not there is no error."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _digest(path: Path, any_order: bool) -> str | None:
    """Return by what a landed file is compared; None where it cannot be read: what is asked now is then new."""
    content = _Content(any_order)
    try:
        for block in _blocks(path):
            content.add(block)
    except (OSError, EOFError):
        return None
    return content.digest()


def _is_empty(path: Path) -> bool:
    try:
        return next(_blocks(path), b"") == b""
    except (OSError, EOFError):
        return False


def _blocks(path: Path) -> Iterator[bytes]:
    with store.open_binary(path) as stored:
        file = gzip.GzipFile(fileobj=stored) if path.suffix == _PACKED else stored
        while block := file.read(_BLOCK):
            yield block
