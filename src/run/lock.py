"""One run at a time: a lock that names its holder and dies with it.

The lock itself is the operating system's (flock), so a killed holder frees it at once. What the
holder said of itself lies beside it; found after a kill, it tells the next run who did not finish. A lake in an
object store is held by a lease: src/run/lease.py.

What must not wait for a run, however long it hangs, has a small lock of its own beside the lake's: it is
waited for, not refused, and nobody is named, for it is held for moments.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from src import store
from src.errors import LockedError, MachineError, from_os_error

if TYPE_CHECKING:
    from src.run.lease import Found

RESTORING = ".restoring"  # an object of a lake in an object store that is not whole yet
_LEASE = ".lock"  # ends the name of a lease
_ASKED_AGAIN = 0.5  # seconds until a lease that is waited for is asked for again


@dataclass(frozen=True)
class Holder:
    """The holder of the lake: process id, host, since when (ISO, UTC), what it runs, its run id, and who started it."""

    pid: int
    host: str
    since: str
    command: str
    run_id: str
    by: str = ""
    lost: bool = False  # its lease ran out

    @property
    def is_dead(self) -> bool:
        """Return whether its process is gone; of one on another machine only its lease tells it."""
        if self.lost:
            return True
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
def lock_lake(
    data: Path, *, command: str, run_id: str, now: datetime, by: str = "", restoring: bool = False
) -> Iterator[Holder | None]:
    """Hold the lake at `data` for the length of a with-block; gives the holder that died without letting go.

    `restoring`: also where a restore into an object store was killed, which nobody but another restore may go on from.

    Raises:
        LockedError: another process holds it; the message says which and since when.
        MachineError: there is no writing in `data`, or a restore was killed there.
    """
    me = Holder(os.getpid(), os.uname().nodename, now.isoformat(timespec="seconds"), command, run_id, by)
    if store.is_remote(data):
        with _leased(data / _LEASE, me) as dead:
            if not restoring and (data / RESTORING).exists():
                raise MachineError("a restore was not finished", where=data, fix="run `make restore` again")
            yield dead
        return
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
        _write(card, me)
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
    if store.is_remote(data):
        with _waited_lease(data / f".{name}{_LEASE}", name, seconds):
            yield
        return
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
    if store.is_remote(data):
        from src.run import lease

        return _holder(lease.read(data / _LEASE))
    return _read(data / ".holder.json")


@contextmanager
def _leased(path: Path, me: Holder) -> Iterator[Holder | None]:
    """Hold a lease for the length of a with-block, as `lock_lake` does."""
    from src.run.lease import Held, Lease

    lease = Lease(path, asdict(me))
    try:
        dead = _holder(lease.acquire())
    except Held as held:
        raise _taken(_holder(held.found)) from None
    unfinished = False
    try:
        with lease.renewed(path.parent):
            yield dead
    except KeyboardInterrupt:
        unfinished = True  # as with a card that stays
        raise
    finally:
        lease.release(unfinished=unfinished)


@contextmanager
def _waited_lease(path: Path, name: str, seconds: float) -> Iterator[None]:
    """Hold a lease once whoever holds it lets go, as `waited` does."""
    from src.run.lease import Held, Lease

    lease, until = Lease(path, {}), time.monotonic() + seconds
    while True:
        try:
            lease.acquire()
            break
        except Held:
            if time.monotonic() > until:
                fix = "try again in a moment; a lock whose process is dead is free after a minute"
                raise LockedError(f"the lock of {name} was held for {seconds:g} s", where=path, fix=fix) from None
        time.sleep(_ASKED_AGAIN)
    try:
        with lease.renewed():
            yield
    finally:
        lease.release()


def _holder(found: Found | None) -> Holder | None:
    """Return the holder that a lease names."""
    return Holder(**{**found.about, "lost": found.free or found.ran_out}) if found and found.about else None


def _taken(holder: Holder | None) -> LockedError:
    if holder is None:
        return LockedError("another run is just starting or ending", fix="try again in a moment")
    return LockedError(
        f"another run is going: {holder.command} (process {holder.pid} on {holder.host}, since {holder.since})",
        fix="wait for it to end; a lock whose process is dead is taken over by itself, of a bucket after a minute",
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
