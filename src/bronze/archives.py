"""A .zip is one file of the landing zone, known by its bytes; each file in it is read like one that lies beside it.

It is taken whole or not at all. What programs leave in one that is no data is passed over: folders, hidden files,
`__MACOSX`. What it unpacks to is bounded as for other packed files, by what its directory says; zipfile gives no more.
"""

from __future__ import annotations

import re
import shutil
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from src import store
from src.bronze.readers.files import BLOCK, most_unpacked
from src.contract.patterns import PACKED, is_archive
from src.errors import DataError, from_os_error

_ENCRYPTED = 1  # flag of a member


@dataclass(frozen=True)
class Member:
    """One file in an archive."""

    name: str  # as in the archive, with its folders
    size: int  # bytes, unpacked


def members(path: Path) -> list[str]:
    """Return the names of the files in an archive; none where it cannot be read."""
    try:
        with _zip_file(path) as archive:
            return [entry.filename for entry in archive.infolist() if _is_file(entry)]
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError):
        return []


def members_of(path: Path, takes: Callable[[str], bool]) -> list[Member]:
    """Return the files in an archive that a feed takes, in their order.

    Raises:
        DataError: it cannot be taken: damaged, encrypted, an archive in it, a name twice, or too large unpacked.
        BoathouseError: it cannot be opened.
    """
    with _opened(path) as archive:
        entries = [entry for entry in archive.infolist() if _is_file(entry)]
    if nested := [entry.filename for entry in entries if is_archive(entry.filename)]:
        raise _refusal(path, f"an archive in the archive: {nested[0]}", "unpack it")
    taken = [entry for entry in entries if takes(entry.filename)]
    names = [entry.filename for entry in taken]
    for entry in taken:
        if entry.flag_bits & _ENCRYPTED:
            raise _refusal(path, f"{entry.filename} is encrypted", "land it without a password")
        if entry.filename.lower().endswith(tuple(PACKED)):
            raise _refusal(path, f"{entry.filename} is packed again in the archive", "unpack it")
        if names.count(entry.filename) > 1:
            raise _refusal(path, f"{entry.filename} is in it twice", "land it with every name once")
    size, most = sum(entry.file_size for entry in taken), most_unpacked(path)
    if size > most:
        what = f"unpacks to {size:,} bytes, more than {most:,}; the file has {path.stat().st_size:,}"
        raise _refusal(path, what, "if this is right, land it unpacked or in parts")
    return [Member(entry.filename, entry.file_size) for entry in taken]


def _is_file(entry: zipfile.ZipInfo) -> bool:
    parts = re.split(r"[/\\]", entry.filename)
    return not entry.is_dir() and bool(parts[-1]) and "__MACOSX" not in parts and not parts[-1].startswith((".", "~$"))


def extract(path: Path, names: Sequence[str], folder: Path) -> list[Path]:
    """Unpack files of an archive into a folder, under names of ours; return where they are.

    Raises:
        DataError: one is damaged, or packed in a way that is not known.
        BoathouseError: disk full, ...
    """
    with _opened(path) as archive:
        return [_extracted(archive, path, name, folder / f"{at}{_suffix(name)}") for at, name in enumerate(names)]


def _suffix(name: str) -> str:
    """Return a file's extension if it is one that can stand in any file's name."""
    suffix = Path(name).suffix
    return suffix if suffix[1:].isalnum() and suffix.isascii() else ""


def _extracted(archive: zipfile.ZipFile, path: Path, name: str, target: Path) -> Path:
    try:
        with archive.open(name) as packed, open(target, "wb") as unpacked:
            shutil.copyfileobj(packed, unpacked, BLOCK)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, KeyError) as error:
        raise _refusal(path, f"{name} cannot be unpacked: {_why(error)}", "land it again, whole") from error
    except OSError as error:
        if error.errno is None:
            raise _refusal(path, f"{name} cannot be unpacked: {_why(error)}", "land it again, whole") from error
        raise from_os_error(error, target) from error
    return target


def _zip_file(path: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(store.open_binary(path) if store.is_remote(path) else path)


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return _zip_file(path)
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise _refusal(path, f"damaged zip file: {_why(error)}", "land it again, whole") from error
    except OSError as error:
        raise from_os_error(error, path) from error


def _why(error: Exception) -> str:
    text = " ".join(str(error).split()).rstrip(".")
    return text[:1].lower() + text[1:] if text else type(error).__name__


def _refusal(path: Path, what: str, fix: str) -> DataError:
    return DataError(what, where=path, fix=f"{fix}; nothing of it was taken")
