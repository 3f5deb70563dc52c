"""Objects of a store that speaks S3: the only module that knows s3fs, fsspec and universal_pathlib.

What a store says of a failure becomes an error of ours where the request is made, so that no caller has to know its
library. The store, its region and the credentials are what the AWS_ names of the environment say.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, Any

from src.errors import AuthError, BoathouseError, MachineError, TransientError, UsageError, from_os_error
from src.store import SCHEME, Credential, Facts, Stored

try:
    import fsspec
    from botocore.exceptions import BotoCoreError, NoCredentialsError, PartialCredentialsError, ProfileNotFound
    from fsspec.asyn import sync_wrapper
    from fsspec.spec import AbstractFileSystem
    from s3fs import S3FileSystem
    from upath import UPath
except ImportError as missing:
    raise UsageError(
        f"DATA_DIR is in an object store, and {missing.name} is not installed",
        fix="./setup.sh --s3; in a project of your own boathouse[s3]",
    ) from missing

_FIX = "see AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and AWS_ENDPOINT_URL: docs/object-storage.md"
_TAIL = 64 << 10  # bytes that are read at once from the end of a Parquet file: its footer, and all of a small one
_IN_MEMORY = 4 << 20  # bytes of a file that is written; what is more waits on disk until it is whole
_BLOCK = 8 << 20  # bytes
_REMOVED_AT_ONCE = 1000  # the most that one request may name
_COPIED_AT_ONCE = 32
_COPY_SECONDS = 600  # that the store may take for one copy
_SECOND = 1_000_000_000  # nanoseconds


hashes: dict[str, str] = {}  # SHA-256 of what this process wrote, by URL


class Store(S3FileSystem):  # type: ignore[misc]  # the library has no types
    """The library's file system; its failures are errors of ours, and nothing that it listed is kept."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"use_listings_cache": False, **options})

    async def _call_s3(self, method: str, *args: Any, **options: Any) -> Any:
        with _explained(_named(options)):
            return await super()._call_s3(method, *args, **options)

    call_s3 = sync_wrapper(_call_s3)  # that of the library calls its own, not this one

    async def _read_object(self, bucket: str, key: str) -> Stored:
        found = await self._call_s3("get_object", Bucket=bucket, Key=key)
        asked = parsedate_to_datetime(found["ResponseMetadata"]["HTTPHeaders"]["date"])
        return Stored(await found["Body"].read(), found["ETag"], found["LastModified"], asked)

    read_object = sync_wrapper(_read_object)

    async def _copy_hashed(self, pairs: Sequence[tuple[str, str]]) -> list[str]:
        some = asyncio.Semaphore(_COPIED_AT_ONCE)

        async def one(source: str, target: str) -> str:
            bucket, key = _split(target)
            origin = dict(zip(("Bucket", "Key"), _split(source), strict=True))
            async with some:
                found = await self._call_s3(
                    "copy_object", Bucket=bucket, Key=key, CopySource=origin, ChecksumAlgorithm="SHA256"
                )
            checksum = found["CopyObjectResult"].get("ChecksumSHA256", "")
            return "" if "-" in checksum else base64.b64decode(checksum).hex()  # a dash: a hash of the hashes of parts

        try:
            async with asyncio.TaskGroup() as group:  # the first that fails ends the others
                copies = [group.create_task(one(source, target)) for source, target in pairs]
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return [copy.result() for copy in copies]

    copy_hashed = sync_wrapper(_copy_hashed)


fsspec.register_implementation("s3", Store, clobber=True)  # that upath takes it too


@contextmanager
def _explained(where: str | None) -> Iterator[None]:
    """Raise what a store refuses, and that it does not answer, as an error of ours."""
    try:
        yield
    except (NoCredentialsError, PartialCredentialsError, ProfileNotFound) as error:
        raise AuthError(f"no credentials for the object store: {error}", where=where, fix=_FIX) from error
    except PermissionError as error:
        raise AuthError(f"the object store refuses access: {error}", where=where, fix=_FIX) from error
    except FileNotFoundError as error:
        found = getattr(error.__cause__, "response", None) or {}
        if found.get("Error", {}).get("Code") == "NoSuchBucket":
            raise UsageError("no such bucket", where=where, fix="make it, or correct DATA_DIR") from error
        raise
    except (BotoCoreError, ConnectionError, TimeoutError) as error:
        what = f"the object store does not answer: {error}"
        raise TransientError(what, where=where, fix="run again once it does; see AWS_ENDPOINT_URL") from error


def _named(options: Mapping[str, Any]) -> str | None:
    """Return the object, folder or bucket that a request is about."""
    bucket, key = options.get("Bucket"), options.get("Key") or options.get("Prefix") or ""
    return f"{SCHEME}{bucket}/{key}" if bucket else None


def location(url: str) -> Any:
    """Return the location of a URL; nothing is asked of the store."""
    return UPath(url.rstrip("/"))


def _store() -> Store:
    found: Store = fsspec.filesystem("s3")
    return found


def _split(url: str) -> tuple[str, str]:
    """Return the bucket and the key of a URL."""
    bucket, _, key = url.removeprefix(SCHEME).partition("/")
    return bucket, key


def facts(url: str) -> Facts:
    """Return the facts of an object.

    Raises:
        FileNotFoundError: there is none.
    """
    bucket, key = _split(url)
    found = _store().call_s3("head_object", Bucket=bucket, Key=key)
    return _facts(found["ContentLength"], found["LastModified"], found["ETag"])


def _facts(size: int, written: datetime, etag: str) -> Facts:
    moment = int(written.timestamp()) * _SECOND
    return Facts(size, moment, moment, int.from_bytes(hashlib.sha256(etag.encode()).digest()[:8], "big") >> 1)


def _pages(url: str, delimiter: str = "/") -> Iterator[tuple[dict[str, Facts], list[str]]]:
    """Yield the objects of a folder by their paths in there, and its folders, a request each time.

    Without a delimiter all objects below it.
    """
    bucket, key = _split(url.rstrip("/") + "/")
    more: dict[str, str] = {}
    while True:
        page = _store().call_s3("list_objects_v2", Bucket=bucket, Prefix=key, Delimiter=delimiter, **more)
        found = [one for one in page.get("Contents", ()) if not one["Key"].endswith("/")]  # which marks an empty folder
        files = {one["Key"][len(key) :]: _facts(one["Size"], one["LastModified"], one["ETag"]) for one in found}
        yield files, [one["Prefix"][len(key) : -1] for one in page.get("CommonPrefixes", ())]
        if not page.get("IsTruncated"):
            return
        more = {"ContinuationToken": page["NextContinuationToken"]}


def is_folder(url: str) -> bool:
    """Return whether an object is in a folder."""
    bucket, key = _split(url.rstrip("/") + "/")
    return bool(_store().call_s3("list_objects_v2", Bucket=bucket, Prefix=key, MaxKeys=1).get("Contents"))


def files_in(url: str) -> dict[str, Facts]:
    """Return the facts of the objects of a folder, by their names."""
    return {name: found for files, _ in _pages(url) for name, found in files.items()}


def names_in(url: str) -> list[str]:
    """Return the names of the objects and folders of a folder.

    Raises:
        FileNotFoundError: there is none.
    """
    found = [name for files, folders in _pages(url) for name in (*files, *folders)]
    if not found:
        raise FileNotFoundError(url)
    return found


def folders_in(url: str) -> list[str]:
    """Return the names of the folders of a folder, sorted."""
    return sorted(name for _, folders in _pages(url) for name in folders)


def files_below(url: str) -> Iterator[tuple[str, Facts]]:
    """Yield the objects below a folder by their paths in there, in the order of their names."""
    for files, _ in _pages(url, delimiter=""):
        yield from files.items()


def open_binary(url: str) -> Any:
    """Open an object to read it.

    Raises:
        FileNotFoundError: there is none.
    """
    return _store().open(url, "rb", block_size=_BLOCK)


def upload(source: IO[bytes], url: str) -> None:
    """Make the bytes of an open file an object, which is there once it is whole."""
    target = _store().open(url, "wb")
    try:
        shutil.copyfileobj(source, target, _BLOCK)
    except BaseException:
        target.discard()
        raise
    target.close()


def copy_within(pairs: Sequence[tuple[str, str]], credential: Credential) -> list[str]:
    """Let the store copy objects, and return the SHA-256 of each copy as the store has computed it; '' where not."""
    wait = {"read_timeout": _COPY_SECONDS}
    asked = {"key": credential.key, "secret": credential.secret, "token": credential.token, "config_kwargs": wait}
    region = {"region_name": credential.region} if credential.region else {}
    found: list[str] = fsspec.filesystem("s3", **asked, client_kwargs=region).copy_hashed(list(pairs))
    return found


def download(urls: Sequence[str], targets: Sequence[Path]) -> None:
    """Make objects files of this machine, several at once.

    Raises:
        FileNotFoundError: one is gone.
    """
    with _explained(urls[0] if urls else None):
        _store().get(list(urls), [str(target) for target in targets])


def remove(urls: Sequence[str]) -> None:
    """Remove objects, a thousand in a request; those that are gone are gone.

    Raises:
        MachineError: the store keeps one.
    """
    for start in range(0, len(urls), _REMOVED_AT_ONCE):
        found = [_split(url) for url in urls[start : start + _REMOVED_AT_ONCE]]
        named = {"Objects": [{"Key": key} for _, key in found], "Quiet": True}
        kept = _store().call_s3("delete_objects", Bucket=found[0][0], Delete=named).get("Errors", ())
        for one in kept:  # the library would say nothing of them
            raise MachineError(f"not removed: {one.get('Message')}", where=f"{SCHEME}{found[0][0]}/{one.get('Key')}")


def create(url: str, data: bytes) -> str | None:
    """Write an object where there is none, and return its ETag; None where there is one."""
    return _put(url, data, IfNoneMatch="*")


def replace(url: str, data: bytes, etag: str) -> str | None:
    """Write an object in place of the one with this ETag, and return the new one's; None where that is not there."""
    return _put(url, data, IfMatch=etag)


def _put(url: str, data: bytes, **condition: str) -> str | None:
    bucket, key = _split(url)
    try:
        return str(_store().call_s3("put_object", Bucket=bucket, Key=key, Body=data, **condition)["ETag"])
    except OSError as error:
        cause = getattr(error.__cause__, "response", None) or {}
        if cause.get("ResponseMetadata", {}).get("HTTPStatusCode") not in _NOT_MET:
            raise
    # a request whose answer was lost is made again, and meets what it has written itself
    found = read(url)
    return found.etag if found and found.data == data else None


_NOT_MET = (404, 409, 412)  # gone, written by another at this moment, another ETag


def read(url: str) -> Stored | None:
    """Return an object; None where there is none."""
    try:
        with _explained(url):
            found: Stored = _store().read_object(*_split(url))
    except FileNotFoundError:
        return None
    return found


class Files(AbstractFileSystem):  # type: ignore[misc]  # the library has no types
    """The objects of a store as the engine reads and writes them, Parquet files that nobody ever changes.

    `sizes` of those that the lake's logs name save a request each. What fails is kept in `failure`: of an exception
    the engine hands on no more than its text.
    """

    protocol = ("s3",)
    cachable = False

    def __init__(self, room: Path) -> None:
        super().__init__()
        self.sizes: dict[str, int] = {}
        self.failure: Exception | None = None
        self._room = room

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return path

    def glob(self, path: str, **_: Any) -> list[str]:
        """Return the one file of a name; the engine is given no pattern."""
        return [path]

    def isdir(self, path: str) -> bool:
        """Return that there is a folder: an object needs none."""
        return True

    def isfile(self, path: str) -> bool:
        """Return that there is no file: what the engine writes has a name of its own."""
        return False

    def exists(self, path: str, **_: Any) -> bool:
        """Return that there is no file, as `isfile` does."""
        return False

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Return the size of a file."""
        return {"name": path, "size": self._size(path), "type": "file"}

    def modified(self, path: str) -> datetime:
        """Return a moment that is the same for all: no file is ever changed."""
        return datetime(2000, 1, 1)

    def open(self, path: str, mode: str = "rb", **_: Any) -> Reader | Writer:
        """Open a file to read it, or a new one to write it."""
        with self.kept():
            return Writer(self, path, self._room) if "w" in mode else Reader(self, path, self._size(path))

    def _size(self, path: str) -> int:
        if path not in self.sizes:
            self.sizes[path] = facts(path).size
        return self.sizes[path]

    def take_failure(self) -> Exception | None:
        """Return the last error, which is nobody's any more."""
        failure, self.failure = self.failure, None
        return failure

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keep the error that is raised within a with-block."""
        try:
            yield
        except BoathouseError as error:
            self.failure = error
            raise
        except OSError as error:
            self.failure = from_os_error(error)
            raise


class Reader:
    """An object that the engine reads.

    It seeks and reads by two calls, and several of its threads may share one reader: so each has a place of its own.
    """

    mode = 1

    def __init__(self, files: Files, path: str, size: int) -> None:
        self._files, self._path, self._size = files, path, size
        self._place = threading.local()
        self._tail = b""  # the last bytes of the object

    def seek(self, to: int, whence: int = 0) -> int:
        """Go to a place in the object."""
        self._place.at = to + (0, self.tell(), self._size)[whence]
        return self.tell()

    def tell(self) -> int:
        """Return the place in the object."""
        return int(getattr(self._place, "at", 0))

    def seekable(self) -> bool:
        """Return that it can be sought in."""
        return True

    def read(self, count: int = -1) -> bytes:
        """Return the next bytes."""
        start = self.tell()
        end = self._size if count < 0 else min(start + count, self._size)
        found = self._between(start, end) if start < end else b""
        self._place.at = start + len(found)
        return found

    def _between(self, start: int, end: int) -> bytes:
        first = max(0, self._size - _TAIL)
        with self._files.kept(), _explained(self._path):
            if start < first:
                return bytes(_store().cat_file(self._path, start=start, end=end))
            if not self._tail:
                self._tail = bytes(_store().cat_file(self._path, start=first, end=self._size))
            return self._tail[start - first : end - first]

    def flush(self) -> None:
        """Do nothing: nothing is written."""

    def close(self) -> None:
        """Do nothing: nothing is open."""


class Writer:
    """An object that the engine writes: a file of this machine without a name until it is whole."""

    mode = 2

    def __init__(self, files: Files, path: str, room: Path) -> None:
        room.mkdir(parents=True, exist_ok=True)
        self._files, self._path = files, path
        self._file: IO[bytes] = SpooledTemporaryFile(_IN_MEMORY, dir=str(room))  # noqa: SIM115  # the engine closes it
        self._hash = hashlib.sha256()

    def write(self, data: bytes) -> int:
        """Take the next bytes."""
        self._hash.update(data)
        with self._files.kept():
            return self._file.write(data)

    def tell(self) -> int:
        """Return how many bytes were written."""
        return self._file.tell()

    def seekable(self) -> bool:
        """Return that it cannot be sought in."""
        return False

    def flush(self) -> None:
        """Do nothing: the object is made when it is closed."""

    def close(self) -> None:
        """Make the object; it is kept by the store when this returns."""
        if self._file.closed:
            return
        with self._files.kept(), _explained(self._path), self._file as file:
            self._files.sizes[self._path] = file.tell()
            file.seek(0)
            upload(file, self._path)
            hashes[self._path] = self._hash.hexdigest()
