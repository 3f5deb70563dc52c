"""Every way Boathouse refuses or fails, what a person is told, and the exit code a scheduler sees.

    BoathouseError
    ├── UsageError       2  the command line or a setting is wrong
    ├── ContractError    3  a contract, its SQL, or a feed that does not fit it
    ├── DataError        4  an input that cannot be taken, or a law the data would break
    ├── MachineError     5  disk full, no permission, a missing program, a damaged table
    ├── TransientError   6  worth trying again as it is
    ├── AuthError        7  a credential was refused
    ├── LockedError      8  another run is going
    └── PartialError     9  some tables were built, others failed or were blocked

Anything else that reaches the edge is a bug: traceback in the log, one line on the console, exit code 70.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable, Sequence

BUG_EXIT_CODE = 70


class BoathouseError(Exception):
    """An error that a person can act on: what was found, where, and how to fix it.

    `what` is lower case without a full stop and names the thing and what was found there.
    """

    exit_code = 1
    error_class = "error"

    def __init__(self, what: str, *, where: object | None = None, fix: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.where = None if where is None else str(where)
        self.fix = fix

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  where: {self.where}")
        if self.fix:
            lines.append(f"  fix:   {self.fix}")
        return "\n".join(lines)


class UsageError(BoathouseError):
    exit_code, error_class = 2, "usage"


class ContractError(BoathouseError):
    exit_code, error_class = 3, "contract"


class DataError(BoathouseError):
    exit_code, error_class = 4, "data"


class MachineError(BoathouseError):
    exit_code, error_class = 5, "environment"


class OutOfMemoryError(MachineError):
    """A statement needs more memory than it may take; with less data at once it may not."""


class TransientError(BoathouseError):
    exit_code, error_class = 6, "transient"


class AuthError(BoathouseError):
    exit_code, error_class = 7, "auth"


class LockedError(BoathouseError):
    exit_code, error_class = 8, "locked"


class PartialError(BoathouseError):
    exit_code, error_class = 9, "partial"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name most like another, None where none is; case, blanks and dashes count for nothing."""
    from difflib import get_close_matches

    plain = {_letters(other): other for other in sorted(known, reverse=True)}
    found = get_close_matches(_letters(name), plain, 1)
    return plain[found[0]] if found else None


def _letters(name: str) -> str:
    return re.sub(r"[\s_-]+", "", name.casefold()) or name


def exit_codes() -> dict[int, str]:
    """Return every exit code with the class of failure it stands for, lowest first."""
    codes = {cls.exit_code: cls.error_class for cls in BoathouseError.__subclasses__()}
    others = {0: "success", 1: "a check found something", BUG_EXIT_CODE: "bug", 130: "stopped", 143: "terminated"}
    return dict(sorted((codes | others).items()))


class ContractErrors(ContractError):
    """Every error found in one pass over the contracts, so that a person fixes all of them at once."""

    def __init__(self, errors: Sequence[BoathouseError]) -> None:
        self.errors = tuple(errors)
        count = f"{len(errors)} errors" if len(errors) > 1 else "1 error"
        super().__init__(count + "\n" + "\n".join(str(error) for error in errors))


_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_ACCESS = {errno.EACCES, errno.EPERM, errno.EROFS}
_BROKEN = {errno.EIO, errno.ENXIO, errno.ENODEV, errno.ESTALE, errno.EREMOTEIO, errno.EMFILE, errno.ENFILE}


def from_os_error(error: OSError, where: object | None = None) -> BoathouseError:
    """Return an error of the operating system as ours: disk full, no permission, or its own reason."""
    where = where or error.filename
    reason = (error.strerror or str(error)).lower()
    if error.errno in _NO_ROOM:
        return MachineError(reason, where=where, fix="free some space, then run again: nothing half-written is visible")
    if error.errno in _NO_ACCESS:
        return MachineError(reason, where=where, fix="give the user that runs the pipeline access to it")
    return MachineError(reason, where=where)


def translated(error: Exception) -> Exception:
    """Return the machine's refusals (no room, no access, a broken disk) as ours, other errors as they are."""
    if isinstance(error, OSError) and error.errno in _NO_ROOM | _NO_ACCESS | _BROKEN:
        return from_os_error(error)
    return error
