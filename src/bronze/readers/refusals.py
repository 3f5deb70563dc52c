"""A file is refused whole, by an error that names it, what was found in it and what to do."""

from __future__ import annotations

import gzip
import lzma
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from src.bronze.readers.files import packing
from src.contract import Feed
from src.errors import DataError, from_os_error


@contextmanager
def refusing(path: Path) -> Iterator[None]:
    """Raise whatever a file does while it is opened or unpacked as an error that names the file."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            kind = "a directory" if path.is_dir() else "a device or pipe"
            raise DataError(f"{kind}, not a file", where=path, fix="move it out of the landing zone")
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError) as error:
        raise unreadable(path, f"damaged {packing(path)} file", error) from error
    except UnicodeError as error:
        raise unreadable(path, "not text in the contract's encoding", error) from error
    except OSError as error:
        if error.errno is None:  # Arrow's: the bytes are wrong, not the disk
            raise unreadable(path, f"damaged {packing(path) or 'zstd'} file", error) from error
        raise from_os_error(error, path) from error


def unreadable(path: Path, what: str, why: object) -> DataError:
    """Return the error for a file that cannot be read, which says that nothing of it was taken."""
    reason = " ".join(str(why).split()).rstrip(".")
    fix = "land the file again, whole; nothing of it was taken"
    return DataError(f"{what}: {reason[:1].lower()}{reason[1:]}", where=path, fix=fix)


def contract_of(feed: Feed) -> str:
    """Return where to correct what the contract says of a feed."""
    return str(feed.declared_in or "the contract")
