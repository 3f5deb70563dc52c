"""Every failure of the Delta library as one of ours, told by type first and by text where it must be."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from src.errors import BoathouseError, DataError, MachineError, TransientError, from_os_error

REPAIR = "`make check` names the damage, `make repair` brings files back from the newest backup"


class HistoryGone(MachineError):
    """A version, or commits or files between two versions, are no longer there.

    A consumer that reads changes starts from nothing; for whoever must read that very version the table is damaged.
    """

    def __init__(self, what: str, *, where: object | None = None) -> None:
        super().__init__(what, where=where, fix=REPAIR)


_NO_ROOM = ("os error 28", "os error 27", "os error 122", "No space left", "File too large", "Resources exhausted")
_NO_ACCESS = ("os error 13", "os error 1)", "os error 30", "Permission denied", "Read-only file system")
_NOT_ALLOWED = ("append-only", "Table features must be specified")  # no retry will help
NO_SUCH_VERSION = (
    *("No files in log segment", "not the same as the specified end version"),
    "Invalid table version",  # its entry is gone, and a checkpoint of it is there
)
_DAMAGED = ("Json error", "Invalid Checkpoint", "found gap", "No table metadata or protocol", "Parquet")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@contextmanager
def translated(root: Path) -> Iterator[None]:
    """Raise every failure of the Delta library within a with-block as an error of ours.

    The error's type decides first, its text where the type does not say enough.
    """
    from deltalake.exceptions import CommitFailedError, DeltaError

    try:
        yield
    except BoathouseError:
        raise
    except OSError as error:
        if error.errno is not None:
            raise from_os_error(error, root) from error
        raise _by_text(error, root) from error
    except CommitFailedError as error:
        found = _by_text(error, root)
        if isinstance(found, MachineError) or any(sign in str(error) for sign in _NOT_ALLOWED):
            raise found from error
        fix = "another writer committed first; run again"
        raise TransientError(_first_line(error), where=root, fix=fix) from error
    except DeltaError as error:
        raise _by_text(error, root) from error
    except Exception as error:
        if type(error) is not Exception:
            raise
        raise _by_text(error, root) from error  # how delta-rs raises what is wrong with a schema
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # what its Rust code did not foresee; no subclass of Exception
            raise
        raise damaged(root, f"the Delta library gave up: {_first_line(error)}") from error


def damaged(where: Path, found: str) -> MachineError:
    """Return the error for a table that cannot be read as it lies on disk; `found` says what is wrong."""
    return MachineError(f"damaged table: {found}", where=where, fix=REPAIR)


def _by_text(error: Exception, root: Path) -> BoathouseError:
    text = _COLOURS.sub("", str(error))
    if any(sign in text for sign in _NO_ROOM):
        fix = "free some space, then run again: nothing half-written is visible"
        return MachineError("no space left on device", where=root, fix=fix)
    if any(sign in text for sign in _NO_ACCESS):
        fix = "give the user that runs the pipeline access to it"
        return MachineError("permission denied", where=root, fix=fix)
    if any(sign in text for sign in _DAMAGED):
        return damaged(root, _first_line(error))
    return DataError(_first_line(error), where=root)


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in _COLOURS.sub("", str(error)).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
