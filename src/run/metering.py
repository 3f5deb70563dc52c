"""What work takes of the machine: processor, time, memory, bytes; as the operating system counts it for this process.

Processor seconds and bytes are also those of the processes it started and waited for (workbooks, rclone, a pool).
Bytes are those of system calls, so what the machine's cache answered counts too, and so does what goes through pipes
and sockets; Linux alone counts them. The peak of memory is this process's alone: Linux lets it be set back, so that
each step has its own; elsewhere it is the highest so far, which says nothing of a step, and none is given.

The system counts for the process, and not for a step: what is taken while several steps go side by side is shared
evenly among them, the time of the clock too, so that the parts add up to the whole; the peak is that of all of them.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from functools import cache

# Set to anything, the peak of memory is never set back: for whoever measures the process from outside, since
# /usr/bin/time and wait4 then tell the peak of the whole command, and not that of its last step.
KEEP_PEAK = "BOATHOUSE_KEEP_PEAK"
_SELF = "/proc/self/"
_RESET_PEAK = b"5"  # to clear_refs: sets the peak back and touches no page
_MICRO = Decimal("0.000001")


@dataclass(frozen=True)
class Usage:
    """The seconds, memory and bytes of a piece of work; memory in bytes; None: this machine does not tell."""

    cpu_seconds: Decimal = Decimal(0)
    wall_seconds: float = 0.0
    peak_memory: int | None = None
    bytes_read: int | None = None
    bytes_written: int | None = None

    def minus(self, parts: list[Usage]) -> Usage:
        """Return what is left when the parts are taken off: never below 0; of the peaks the highest."""
        peaks = [one.peak_memory for one in (self, *parts) if one.peak_memory is not None]
        return Usage(
            cpu_seconds=max(self.cpu_seconds - sum((one.cpu_seconds for one in parts), Decimal(0)), Decimal(0)),
            wall_seconds=max(self.wall_seconds - sum(one.wall_seconds for one in parts), 0.0),
            peak_memory=max(peaks, default=None),
            bytes_read=_left(self.bytes_read, [one.bytes_read for one in parts]),
            bytes_written=_left(self.bytes_written, [one.bytes_written for one in parts]),
        )


class Meter:
    """A meter that runs from its making on."""

    def __init__(self) -> None:
        self._cpu, self._wall, self._bytes = _processor(), time.perf_counter(), _transferred()

    def read(self) -> Usage:
        """Return what the process took since the meter was made; the peak of memory since it was last set back."""
        return self._until(Meter())

    def next(self) -> tuple[Usage, Meter]:
        """Return what `read` does, and a meter that runs from that very moment on."""
        follower = Meter()
        return self._until(follower), follower

    def _until(self, other: Meter) -> Usage:
        return Usage(
            cpu_seconds=other._cpu - self._cpu,
            wall_seconds=max(other._wall - self._wall, 0.0),
            peak_memory=_peak(),
            bytes_read=_since(self._bytes[0], other._bytes[0]),
            bytes_written=_since(self._bytes[1], other._bytes[1]),
        )


_turn = threading.Lock()
_going: list[list[Usage]] = []  # the shares so far of each piece of work that is metered at this moment
_since_last: list[Meter] = []  # one, that runs since the last of them began or ended


@contextmanager
def metered(into: list[Usage]) -> Iterator[None]:
    """Add to a list what the work of a with-block took, with its own peak of memory; nothing if it is broken off."""
    shares: list[Usage] = []
    with _turn:
        _share()
        _going.append(shares)
    try:
        yield
    finally:
        with _turn:
            _share()
            _going[:] = [other for other in _going if other is not shares]
    into.append(_sum(shares))


def _share() -> None:
    """Give each piece of work that goes on its part of what was taken since this was done last."""
    if _going:
        taken, meter = _since_last[0].next()
        for shares, part in zip(_going, _parts(taken, len(_going)), strict=True):
            shares.append(part)
    else:
        meter = Meter()
    _reset_peak()
    _since_last[:] = [meter]


def _parts(whole: Usage, count: int) -> list[Usage]:
    """Return a usage in parts that add up to it, to the microsecond and the byte."""
    micros = _evenly(int(whole.cpu_seconds / _MICRO), count)
    read, written = _evenly(whole.bytes_read, count), _evenly(whole.bytes_written, count)
    return [
        Usage((micros[at] or 0) * _MICRO, whole.wall_seconds / count, whole.peak_memory, read[at], written[at])
        for at in range(count)
    ]


def _evenly(whole: int | None, count: int) -> list[int | None]:
    if whole is None:
        return [None] * count
    return [whole // count + (at < whole % count) for at in range(count)]


def _sum(shares: list[Usage]) -> Usage:
    peaks = [one.peak_memory for one in shares if one.peak_memory is not None]
    read, written = [one.bytes_read for one in shares], [one.bytes_written for one in shares]
    return Usage(
        cpu_seconds=sum((one.cpu_seconds for one in shares), Decimal(0)),
        wall_seconds=sum(one.wall_seconds for one in shares),
        peak_memory=max(peaks, default=None),
        bytes_read=None if None in read else sum(filter(None, read)),
        bytes_written=None if None in written else sum(filter(None, written)),
    )


def _processor() -> Decimal:
    """Return the processor seconds of this process and its children so far, to the microsecond."""
    try:
        import resource  # not on every system
    except ImportError:
        return Decimal(time.process_time()).quantize(_MICRO)
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return Decimal(sum(one.ru_utime + one.ru_stime for one in used)).quantize(_MICRO)


def _transferred() -> tuple[int | None, int | None]:
    """Return the bytes read and written so far; None where the system does not count them."""
    try:
        text = _counts("io")
    except OSError:
        return None, None
    return int(_value(text, b"rchar:")), int(_value(text, b"wchar:"))


def _counts(name: str) -> bytes:
    """Return what the system says of this process; without a text layer, as each step asks four times."""
    with open(_SELF + name, "rb", buffering=0) as file:
        return file.read()


def _value(text: bytes, name: bytes) -> bytes:
    """Return the number behind a name."""
    return text.partition(name)[2].split(None, 1)[0]


def _reset_peak() -> None:
    if can_reset():
        try:
            with open(_SELF + "clear_refs", "wb", buffering=0) as file:
                file.write(_RESET_PEAK)
        except OSError:
            return  # a sandbox may forbid it: `_peak` then tells the highest so far


def can_reset() -> bool:
    """Return whether the peak of memory can be set back here, and nobody asked to keep it."""
    return KEEP_PEAK not in os.environ and _is_writable()


@cache
def _is_writable() -> bool:
    return os.access(_SELF + "clear_refs", os.W_OK)


def _peak() -> int | None:
    """Return the highest memory of this process since its peak was set back; None where it cannot be."""
    if not can_reset():
        return None
    try:
        text = _counts("status")
    except OSError:
        return None
    return int(_value(text, b"VmHWM:")) * 1024 if b"VmHWM:" in text else None


def _since(before: int | None, now: int | None) -> int | None:
    return None if before is None or now is None else max(now - before, 0)


def _left(whole: int | None, parts: list[int | None]) -> int | None:
    return None if whole is None else max(whole - sum(part or 0 for part in parts), 0)
