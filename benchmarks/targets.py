"""What Boathouse promises to reach: ratios of medians within one run, seconds from the shell, memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.figures import Measured, ratio


@dataclass(frozen=True)
class Target:
    """One promise: what is measured, the most it may be, and how it is told from results."""

    what: str
    most: float
    unit: str  # x, s or GB
    measured: Callable[[Measured], float | None]
    against: tuple[str, str] = ("", "")  # the scenario and task whose fastest peer it is compared with


def _bronze(size: str) -> Target:
    task = f"bronze of {size}, csv"
    return Target(f"bronze alone, {size}: against COPY", 1.2, "x", lambda m: m.to_floor("bronze", task))


def _first(size: str) -> Target:
    return _peer("first", f"first load of {size}", 1.0)


def _floor(size: str, thousands: int, most: float) -> Target:
    scenario, task = f"daily-{thousands}k", f"a day of {thousands} k on {size}"
    return Target(f"{task}: against the floor", most, "x", lambda m: m.to_floor(scenario, task))


def _peer(scenario: str, task: str, most: float) -> Target:
    what = f"{task}: against the fastest peer"
    return Target(what, most, "x", lambda m: m.to_fastest_peer(scenario, task), (scenario, task))


def _memory(scenario: str, task: str, most: float) -> Target:
    return Target(f"{task}: memory", most, "GB", lambda m: m.gigabytes(scenario, task))


def _grows(what: str, scenario: str, large: str, small: str, most: float) -> Target:
    return Target(what, most, "x", lambda m: ratio(m.seconds(scenario, large), m.seconds(scenario, small)))


def _late(size: str) -> Target:
    tasks = [f"corrections {back} days back on {size}" for back in (60, 7)]
    return _grows(
        f"late corrections on {size}: 61 touched days against 8", "late", tasks[0], tasks[1], round(61 / 8, 1)
    )


def _backfill(what: str, most: float, unit: str) -> Target:
    task, own, load = "10m, all of it", "Boathouse, backfill", "Boathouse, first load"
    if unit == "GB":
        return Target(what, most, unit, lambda m: m.gigabytes("backfill", task, own))
    return Target(
        what, most, unit, lambda m: ratio(m.seconds("backfill", task, own), m.seconds("backfill", task, load))
    )


def _seconds(task: str, most: float) -> Target:
    return Target(f"{task}, from the shell", most, "s", lambda m: m.seconds("idle", task))


_DAY = "a day of 30 k on"
TARGETS = (
    _bronze("1m"),
    _bronze("10m"),
    _first("1m"),
    _first("10m"),
    _memory("first", "first load of 10m", 1.0),
    *(_floor(size, 30, 1.4) for size in ("1m", "10m", "30m")),
    # rows may move to another partition here, so that every run looks for its keys in all of them
    _grows(f"{_DAY} 30m: against 1m, both of 365 days", "daily-30k", f"{_DAY} 30m", f"{_DAY} 1m", 1.3),
    _grows(f"{_DAY} 30m: against 1m, as many rows a day", "flat", f"{_DAY} 30m-1095-days", f"{_DAY} 1m-37-days", 1.3),
    *(_memory("daily-30k", f"{_DAY} {size}", 0.3) for size in ("1m", "10m", "30m")),
    *(_peer("daily-30k", f"{_DAY} {size}", 0.3) for size in ("1m", "10m")),
    _floor("10m", 300, 1.5),
    _memory("daily-300k", "a day of 300 k on 10m", 0.6),
    _late("10m"),
    _seconds("nothing new on 10m", 0.6),
    Target("365 daily runs: the last against the tenth", 1.2, "x", Measured.late_to_early),
    _backfill("backfill of 10m: against its first load", 1.0, "x"),
    _backfill("backfill of 10m: memory", 1.5, "GB"),
    _seconds("a query on 10m", 0.5),
)
