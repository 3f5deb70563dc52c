"""One run at a time: a lock that names its holder and dies with it.

The lock itself is the operating system's (flock), so a killed holder frees it at once. What the
holder said of itself lies beside it; found after a kill, it tells the next run who did not finish.

What must not wait for a run, however long it hangs, has a small lock of its own beside the lake's: it is
waited for, not refused, and nobody is named, for it is held for moments.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from src.errors import LockedError, from_os_error


@dataclass(frozen=True)
class Holder:
    """The holder of the lake: process id, host, since when (ISO, UTC), what it runs, its run id, and who started it."""

    pid: int
    host: str
    since: str
    command: str
    run_id: str
    by: str = ""

    @property
    def is_dead(self) -> bool:
        """Return whether its process is gone; of one on another machine that is not known."""
        if self.host != os.uname().nodename:
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:
            return False  # another user's: it is there
        return False


@contextmanager
def lock_lake(data: Path, *, command: str, run_id: str, now: datetime, by: str = "") -> Iterator[Holder | None]:
    """Hold the lake at `data` for the length of a with-block; gives the holder that died without letting go.

    Raises:
        LockedError: another process holds it; the message says which and since when.
        MachineError: there is no writing in `data`.
    """
    from filelock import FileLock, Timeout

    card = data / ".holder.json"
    lock = FileLock(data / ".lock", timeout=0)
    try:
        data.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise _taken(_read(card)) from None
    except OSError as error:
        raise from_os_error(error, data) from error
    try:
        dead = _read(card)
        _write(card, Holder(os.getpid(), os.uname().nodename, now.isoformat(timespec="seconds"), command, run_id, by))
        try:
            yield dead
        except KeyboardInterrupt:
            raise  # the card stays, and tells the next run who did not finish, as after a kill
        except BaseException:
            card.unlink(missing_ok=True)
            raise
        card.unlink(missing_ok=True)
    finally:
        lock.release()


@contextmanager
def waited(data: Path, name: str, seconds: float) -> Iterator[None]:
    """Hold the lock `name` at `data`, which is not the lake's, once whoever holds it lets go; waits so many seconds.

    Raises:
        LockedError: it was not let go in time.
        MachineError: there is no writing in `data`.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(data / f".{name}.lock", timeout=seconds)
    try:
        data.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        fix = "try again in a moment; a lock whose process is dead is free"
        raise LockedError(f"the lock of {name} was held for {seconds:g} s", where=lock.lock_file, fix=fix) from None
    except OSError as error:
        raise from_os_error(error, data) from error
    try:
        yield
    finally:
        lock.release()


def holder(data: Path) -> Holder | None:
    """Return who holds the lake at `data`, or died while holding it; None where no record of a holder is left."""
    return _read(data / ".holder.json")


def _taken(holder: Holder | None) -> LockedError:
    if holder is None:
        return LockedError("another run is just starting or ending", fix="try again in a moment")
    return LockedError(
        f"another run is going: {holder.command} (process {holder.pid} on {holder.host}, since {holder.since})",
        fix="wait for it to end; a lock whose process is dead is taken over by itself",
    )


def _read(card: Path) -> Holder | None:
    try:
        return Holder(**json.loads(card.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _write(card: Path, holder: Holder) -> None:
    """Write the record in one step, so that a refused run never reads half of it."""
    fresh = card.with_suffix(".new")
    try:
        fresh.write_text(json.dumps(asdict(holder)), encoding="utf-8")
        os.replace(fresh, card)
    except OSError as error:
        raise from_os_error(error, card) from error
