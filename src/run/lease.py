"""A lease: the lock of a lake in an object store, which no operating system could free when its holder dies.

It is one object, and every write of it has a condition: that there is none yet, or that its ETag is still the one that
was read. So of two that want it one gets it. Its holder renews it while the work goes on, from a thread of its own.

Whether it ran out is measured by the store's own clock alone: how long ago, by the answer's date, the object was
written last. The holder measures by its own clock, from before it asked: it stops first. Once it stopped, none of its
tables is committed to any more, which `lake.while_held` asks before each commit. A commit that is on its way at that
moment meets the second wall: Delta takes no version twice, and no progress twice.

It is let go by writing it free. It is never removed, as a store need not know how to remove an object on a condition.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from src import lake, store
from src.errors import BoathouseError, LockedError, MachineError
from src.logger import logger

SECONDS = 60.0  # of a lease; a holder that was killed keeps others out for so long
_RENEWED = 4  # times in that
_NO_ETAG = '"0"'  # of no object
_COARSE = timedelta(seconds=2)  # the store tells when an object was written to the second, and so its own time
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # it goes on while the machine sleeps


class Lease:
    """A lease that this process holds, or asks for; `about` says of its holder what others are told."""

    def __init__(self, path: Path, about: Mapping[str, Any], seconds: float | None = None) -> None:
        self._path, self._about, self._seconds = path, dict(about), seconds or SECONDS
        self._token, self._count = uuid.uuid4().hex, 0  # so that no two writes are of the same bytes
        self._etag = ""
        self._until = 0.0  # by this machine's clock
        self._over = threading.Event()

    def acquire(self) -> Found | None:
        """Take the lease where it is free or ran out; returns what was there, and raises where it is held.

        Raises:
            Held: by whom.
            MachineError: the store takes writes whose condition is not met.
        """
        found = read(self._path)
        if found and not (found.free or found.ran_out):
            raise Held(found)
        if not self._write(self._about, free=False, after=found.etag if found else None):
            raise Held(read(self._path))  # another one was faster
        self._refuse_store_without_conditions()
        return found

    def _refuse_store_without_conditions(self) -> None:
        """Refuse a store that takes a write whose condition is not met: it would keep no two runs apart, nor commits.

        Raises:
            MachineError: it took one.
        """
        from src.store import objects

        free = json.dumps({"free": True, "seconds": self._seconds, "about": {}}).encode()
        if objects.replace(str(self._path), free, _NO_ETAG) is not None:
            what = (
                "the object store takes writes whose condition (If-Match) is not met: nothing would keep two runs apart"
            )
            raise MachineError(
                what, where=self._path, fix="use a store with conditional writes: docs/object-storage.md"
            )

    def release(self, *, unfinished: bool = False) -> None:
        """Let the lease go; `unfinished`: whoever takes it next is told that the holder did not finish."""
        self._over.set()
        with suppress(BoathouseError, OSError):  # it runs out by itself
            self._write(self._about if unfinished else {}, free=True, after=self._etag)

    @property
    def holds(self) -> bool:
        """Return whether the lease is this process's."""
        return time.clock_gettime(_CLOCK) < self._until

    def check(self) -> None:
        """Raise once the lease is no more, or may be no more.

        Raises:
            LockedError: it ran out.
        """
        if not self.holds:
            raise LockedError(
                f"this run lost the lake's lock: it was not renewed for {self._seconds:g} s",
                where=self._path,
                fix="run again: nothing half-written is visible; see that the store answers and the machine has time",
            )

    @contextmanager
    def renewed(self, held: Path | None = None) -> Iterator[None]:
        """Renew the lease from a thread within a with-block, in which no table is committed to without it.

        `held`: the lake that it is the lock of.
        """
        thread = threading.Thread(target=self._renew, name="lease", daemon=True)
        thread.start()
        try:
            lake.forget_marks()
            with lake.while_held(self.check, held):
                yield
        finally:
            lake.forget_marks()
            self._over.set()
            thread.join()

    def _renew(self) -> None:
        while not self._over.wait(self._seconds / _RENEWED):
            try:
                if not self._write(self._about, free=False, after=self._etag):
                    self._until = 0.0  # another one took it
                    return
            except (BoathouseError, OSError) as error:
                logger.warning("the lake's lock is not renewed yet: {}", error)

    def _write(self, about: Mapping[str, Any], *, free: bool, after: str | None) -> bool:
        """Write the lease where its ETag is still this one (None: where there is none); returns whether it was."""
        from src.store import objects

        began, self._count = time.clock_gettime(_CLOCK), self._count + 1
        facts = {"free": free, "seconds": self._seconds, "token": self._token, "count": self._count, "about": about}
        data, url = json.dumps(facts).encode(), str(self._path)
        etag = objects.create(url, data) if after is None else objects.replace(url, data, after)
        if etag is None:
            return False
        self._etag, self._until = etag, began + self._seconds
        return True


class Found:
    """A lease as it was found: `about` its holder, whether it is free, and whether it ran out."""

    def __init__(self, stored: store.Stored) -> None:
        facts = json.loads(stored.data)
        self.etag = stored.etag
        self.about: dict[str, Any] = facts["about"]
        self.free: bool = facts["free"]
        self.ran_out = stored.asked - stored.written > timedelta(seconds=facts["seconds"]) + _COARSE


class Held(Exception):  # no failure: the answer to whoever asks for the lease
    """The lease is held; `found` says by whom, as far as that is known."""

    def __init__(self, found: Found | None) -> None:
        super().__init__()
        self.found = found


def read(path: Path) -> Found | None:
    """Return a lease as it is; None where there never was one."""
    from src.store import objects

    stored = objects.read(str(path))
    return Found(stored) if stored else None
