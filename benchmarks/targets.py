"""What Boathouse promises to reach: ratios of medians within one run, seconds from the shell, memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks.figures import OWN, Measured, ratio


@dataclass(frozen=True)
class Target:
    """One promise: what is measured, the most it may be, and how it is told from results."""

    what: str
    most: float
    unit: str  # x, s or GB
    measured: Callable[[Measured], float | None]
    against: tuple[str, str] = ("", "")  # the scenario and task whose fastest peer it is compared with


LITTLE = f"{OWN}, MEMORY_LIMIT=600MB"
DBT = "dbt-duckdb, threads: 2"


def _bronze(size: str, form: str, most: float) -> Target:
    task = f"bronze of {size}, {form}"
    return Target(f"{task}: against COPY", most, "x", lambda m: m.to_floor("bronze", task))


def _first(size: str, most: float) -> Target:
    return _peer("first", f"first load of {size}", most)


def _little(size: str) -> Iterator[Target]:
    task = f"first load of {size}"
    what, fewer = f"{task}, 600 MB: against the fastest peer", ("first", task)
    yield Target(what, 1.05, "x", lambda m: m.to_fastest_peer(*fewer, LITTLE), fewer)
    yield Target(f"{task}, 600 MB: memory", 1.0, "GB", lambda m: m.gigabytes(*fewer, LITTLE))


def _floor(size: str, thousands: int, most: float) -> Target:
    scenario, task = f"daily-{thousands}k", f"a day of {thousands} k on {size}"
    return Target(f"{task}: against the floor", most, "x", lambda m: m.to_floor(scenario, task))


def _peer(scenario: str, task: str, most: float) -> Target:
    what = f"{task}: against the fastest peer"
    return Target(what, most, "x", lambda m: m.to_fastest_peer(scenario, task), (scenario, task))


def _grows(what: str, scenario: str, large: str, small: str, most: float) -> Target:
    return Target(what, most, "x", lambda m: ratio(m.seconds(scenario, large), m.seconds(scenario, small)))


def _many(what: str, beside: str, most: float) -> Target:
    task, other = f"{what} of 600 tables", f"{beside} of 600 tables"
    label = f"600 tables, {what}: against {beside} of dbt-duckdb"
    return Target(label, most, "x", lambda m: ratio(m.seconds("many", task), m.seconds("many", other, DBT)))


def _seconds(task: str, most: float) -> Target:
    return Target(f"{task}, from the shell", most, "s", lambda m: m.seconds("idle", task))


def _check() -> Target:
    task, one, other = "20m, all of it", "Boathouse, check", "Boathouse, rebuild"
    what = "make check on 20m: against a rebuild"
    return Target(what, 2.0, "x", lambda m: ratio(m.seconds("check", task, one), m.seconds("check", task, other)))


def _workers() -> Target:
    task, other = "first load of 10m", f"{OWN}, ENGINE=workers"
    what = f"{task}, two workers: processor seconds against one process"
    return Target(
        what, 1.2, "x", lambda m: ratio(m.cpu_seconds("workers", task, other), m.cpu_seconds("workers", task))
    )


def _bounded(folder: str, most: float) -> Target:
    def grown(m: Measured) -> float | None:
        return ratio(m.bytes_of("days", folder, "1092"), m.bytes_of("days", folder, "364"))

    return Target(f"1,095 daily runs: {folder} of three years against one", most, "x", grown)


_DAY = "a day of 30 k on"
TARGETS = (
    _first("10m", 0.95),
    _first("1m", 0.75),
    *_little("10m"),
    *_little("1m"),
    Target("first load of 30m, 600 MB: memory", 1.0, "GB", lambda m: m.gigabytes("large", "first load of 30m", LITTLE)),
    _bronze("1m", "csv", 1.3),
    _bronze("10m", "csv", 1.25),
    _bronze("1m", "parquet", 1.3),
    _bronze("1m", "ndjson", 2.5),
    _floor("1m", 30, 2.0),
    _floor("10m", 30, 1.8),
    _floor("30m", 30, 1.5),
    _grows(f"{_DAY} 30m: against 1m, as many rows a day", "flat", f"{_DAY} 30m-1095-days", f"{_DAY} 1m-37-days", 1.15),
    _peer("daily-30k", f"{_DAY} 10m", 0.28),
    _floor("10m", 300, 1.6),
    _many("a day", "a day", 0.33),
    _many("nothing new", "a day", 0.04),
    _many("plan", "a day", 0.04),
    _many("status", "a day", 0.06),
    _many("first run", "first run", 0.4),
    _seconds("nothing new on 10m", 0.3),
    _seconds("the list of commands (--help)", 0.1),
    _seconds("a query on 10m", 0.32),
    Target("1,095 daily runs: the last against the tenth", 1.1, "x", Measured.late_to_early),
    _bounded("logs", 1.1),
    _bounded("landing zone", 1.1),
    _check(),
    _workers(),
)
