"""Where a lake lies: a folder of this machine, or a bucket of an object store under s3://bucket/prefix.

A location is a `pathlib.Path`, or what answers like one (universal_pathlib). Most code never asks which of the two it
has. What no path can say, or objects have not (inodes, fsync, links, folders), is asked here; the branch of a folder
comes first and is as short as it was. `objects` knows the libraries, and is imported for a bucket only.
"""

from __future__ import annotations

import os
import shutil
import stat
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from io import BufferedReader
from pathlib import Path
from typing import Any, NamedTuple

PREFIX = "AWS_"  # begins the names of the environment by which every library of S3 is told of a store
SECRET = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
WHERE = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_DEFAULT_REGION")  # tell where a store is
SCHEME = "s3://"
COPIED_WHOLE = 5 << 30  # bytes; of more a store copies parts, and has no hash of the whole
_CACHE = "XDG_CACHE_HOME"
_LISTED = 20  # objects; whether more are there is asked by listing them, a thousand in a request


class Facts(NamedTuple):
    """The facts of a file that are known without reading it: others once its bytes may be others.

    Of an object `changed` is `modified`, and `inode` 63 bits of its ETag, which is made of its bytes.
    """

    size: int
    modified: int  # nanoseconds since 1970
    changed: int  # as well; of a file, when anything of it was: nobody can set that back
    inode: int


class Stored(NamedTuple):
    """An object: its bytes, its ETag, and by the store's own clock when it was written and when it was asked for."""

    data: bytes
    etag: str
    written: datetime
    asked: datetime


class Credential(NamedTuple):
    """A credential of a store; without a key, the one that the environment names."""

    key: str | None = None
    secret: str | None = None
    token: str | None = None
    region: str | None = None


def location(url: str) -> Path:
    """Return the location of a URL, s3://bucket/prefix.

    Raises:
        UsageError: the libraries for it are not installed.
    """
    # not a Path for the interpreter: what asks the operating system about it fails at once with a TypeError
    located: Path = _objects().location(url)
    return located


def from_text(text: str) -> Path:
    """Return the location that a person wrote: a path of this machine, or a URL."""
    return location(text) if is_remote(text) else Path(text).expanduser()


def is_remote(path: str | Path) -> bool:
    """Return whether a location is in an object store."""
    return path.startswith(SCHEME) if isinstance(path, str) else not isinstance(path, Path)


def same_address(endpoint: str | None, *, amazons: bool) -> bool:
    """Return whether an endpoint is that of the store that the environment names; None, with `amazons`, is Amazon's."""
    own = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if not own or not endpoint:
        return not own and not endpoint and amazons
    theirs = endpoint if "://" in endpoint else f"https://{endpoint}"
    return theirs.rstrip("/").lower() == own.rstrip("/").lower()


def use(environment: Mapping[str, str]) -> None:
    """Let every library of this process, and the processes that it starts, know the store by these AWS_ names."""
    os.environ.update(environment)


def beside(lake: Path) -> Path:
    """Return the folder for what only saves time and is of no use to anybody else: what is known, what is spilled.

    It is the lake's own folder; of a bucket's it is one of this user's cache, and to lose it loses nothing.
    """
    if not is_remote(lake):
        return lake
    cache = Path(os.environ.get(_CACHE) or Path.home() / ".cache")
    folder = cache / "boathouse" / str(lake).removeprefix(SCHEME)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def home(path: Path) -> Path:
    """Return a location as no other name leads to it: without links and dots."""
    return path if is_remote(path) else path.resolve()


def facts(path: str | Path) -> Facts:
    """Return the facts of a file.

    Raises:
        OSError: there is none.
    """
    if not is_remote(path):
        return facts_of(os.stat(path))
    found: Facts = _objects().facts(str(path))
    return found


def facts_of(found: os.stat_result) -> Facts:
    """Return the facts of a file as the operating system tells them."""
    return Facts(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


def files_in(folder: str | Path) -> dict[str, Facts]:
    """Return the facts of every file of a folder by its name, in one request to an object store.

    Raises:
        OSError: there is no such folder; of an object store: it does not answer. No folder there is an empty one.
    """
    if is_remote(folder):
        there: dict[str, Facts] = _objects().files_in(str(folder))
        return there
    with os.scandir(folder) as found:
        return {one.name: facts_of(one.stat()) for one in found}


def names_in(folder: str | Path) -> list[str]:
    """Return the names of the files and folders of a folder.

    Raises:
        OSError: there is none.
    """
    if not is_remote(folder):
        return os.listdir(folder)
    there: list[str] = _objects().names_in(str(folder))
    return there


def folders_in(folder: str | Path) -> list[str]:
    """Return the names of the folders of a folder, sorted, links left out.

    Raises:
        OSError: there is none.
    """
    if is_remote(folder):
        there: list[str] = _objects().folders_in(str(folder))
        return there
    with os.scandir(folder) as found:
        return sorted(path.name for path in found if path.is_dir(follow_symlinks=False))


def files_below(folder: Path) -> Iterator[tuple[str, Facts]]:
    """Yield every file below a folder of an object store or machine, by its path in there, with its facts."""
    if is_remote(folder):
        yield from _objects().files_below(str(folder))
        return
    for home, _, names in os.walk(folder):
        for path in (os.path.join(home, name) for name in names):
            if stat.S_ISREG((found := os.stat(path)).st_mode):
                yield os.path.relpath(path, folder), facts_of(found)


def is_folder(path: Path) -> bool:
    """Return whether there is a folder; in an object store: whether an object is in it, in one request."""
    return bool(_objects().is_folder(str(path))) if is_remote(path) else path.is_dir()


def open_binary(path: str | Path) -> BufferedReader:
    """Open a file to read its bytes; it can be sought in.

    Raises:
        OSError: there is none.
    """
    if not is_remote(path):
        return open(path, "rb")
    opened: BufferedReader = _objects().open_binary(str(path))
    return opened


def read(path: Path) -> bytes:
    """Return the bytes of an object, in one request.

    Raises:
        FileNotFoundError: there is none.
    """
    found: Stored | None = _objects().read(str(path))
    if found is None:
        raise FileNotFoundError(path)
    return found.data


def take_hash(path: Path) -> str | None:
    """Return, once, the SHA-256 of the bytes of an object that this process just wrote; None of any other."""
    found: str | None = _objects().hashes.pop(str(path), None)
    return found


def missing(root: Path, names: Iterable[str]) -> list[str]:
    """Return which of these files, by their paths in a folder, are not there."""
    some = list(names)
    if not is_remote(root):
        return [name for name in some if not (root / name).exists()]
    if len(some) > _LISTED:
        there = dict(files_below(root))
        return [name for name in some if name not in there]
    return [name for name in some if not (root / name).is_file()]


def is_below(path: Path, folder: Path) -> bool:
    """Return whether a location is a folder, or in it."""
    return is_remote(path) == is_remote(folder) and path.is_relative_to(folder)


def write(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, whatever was there.

    Raises:
        OSError: it cannot be written.
    """
    if is_remote(path):
        path.write_bytes(data)  # an object is there once it is whole
        return
    new = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        new.write_bytes(data)
        os.replace(new, path)
    finally:
        new.unlink(missing_ok=True)


def create(path: Path, data: bytes) -> bool:
    """Write an object where there is none, of two at once the first; returns whether there was none."""
    return bool(_objects().create(str(path), data))


def take(source: Path, target: Path) -> None:
    """Give a file of this machine another place; on the same disk, or in an object store, it is there once it is whole.

    Raises:
        OSError: it cannot be written.
    """
    if not is_remote(target):
        shutil.move(source, target)
        return
    with open(source, "rb") as file:
        _objects().upload(file, str(target))
    source.unlink()


def fetch(sources: Sequence[Path], targets: Sequence[Path]) -> None:
    """Copy objects to files of this machine, several at once.

    Raises:
        OSError: one is gone, or there is no room.
    """
    _objects().download([str(source) for source in sources], targets)


def copy_within(pairs: Sequence[tuple[Path, Path]], credential: Credential) -> list[str]:
    """Let the store copy objects of up to COPIED_WHOLE bytes to others; no byte comes here.

    Returns the SHA-256 that the store has computed of each copy; '' where it computes none.

    Raises:
        FileNotFoundError: an object is gone.
        OSError, BoathouseError: the store does not do it.
    """
    found: list[str] = _objects().copy_within([(str(source), str(target)) for source, target in pairs], credential)
    return found


def remove(root: Path, names: Iterable[str]) -> None:
    """Remove files of a location by their paths in there; those that are gone are gone.

    Raises:
        OSError: one cannot be removed.
    """
    if is_remote(root):
        _objects().remove([f"{root}/{name}" for name in names])
        return
    for name in names:
        (root / name).unlink(missing_ok=True)


def clear(folder: Path) -> None:
    """Remove a folder with all that is in it, where there is one; on this machine, what cannot be removed stays.

    Raises:
        OSError: an object cannot be removed.
    """
    if is_remote(folder):
        remove(folder, [name for name, _ in files_below(folder)])
        return
    shutil.rmtree(folder, ignore_errors=True)


def sync(path: str | Path) -> None:
    """Force a file or folder to disk; an object is kept by the store before its writer hears that it is there."""
    if is_remote(path):
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _objects() -> Any:
    from src.store import objects  # which needs libraries that are installed for it alone

    return objects
