"""What landed: each feed with its last files and how often they come; and the files that no feed takes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise

from src.bronze import ingest
from src.contract import Feed
from src.engine import literal
from src.project import Project
from src.run import history, pulling

FILES = 5  # of the last load that are named
_DAYS = 70  # in which arrivals are counted
_ENOUGH = 4  # arrivals that tell how often files come


@dataclass(frozen=True)
class Load:
    """The last run that took files of a feed. `rejected`: lines that could not be read. The moment in UTC."""

    run_id: str
    at: datetime
    files: int
    rows: int
    rejected: int
    names: tuple[str, ...] = ()  # some of its files
    refused: tuple[tuple[str, int], ...] = ()  # rows that its silver tables put in quarantine in that run


@dataclass(frozen=True)
class FeedFacts:
    """One feed. `every_days`: what lies between two days with files, mostly; None: not known yet. Moments in UTC."""

    id: str
    path: str
    format: str
    source: str | None  # who brings its files; None: somebody lands them
    connector: str | None
    set_up: bool  # its source is asked
    last: Load | None
    days: Mapping[str, int]  # files taken by day (ISO), of those in which any came
    every_days: float | None

    @property
    def expected_at(self) -> datetime | None:
        """Return when the next files are due, if they come as they mostly did."""
        return self.last.at + timedelta(days=self.every_days) if self.last and self.every_days else None


@dataclass(frozen=True)
class Landed:
    """All feeds in the order of a run, and the files of the landing zone that no feed takes."""

    feeds: tuple[FeedFacts, ...]
    unclaimed: tuple[str, ...]


def read_landed(project: Project, now: datetime) -> Landed:
    """Return what landed, by the records of the runs and by bronze; asks no source.

    Raises:
        BoathouseError: the records or a table cannot be read.
    """
    feeds = tuple(project.contracts.feeds.values())
    days, loads = _arrivals(project, now)
    names, refused = _names(project, loads), _refused(project, loads)
    last = {
        feed: replace(load, names=tuple(names.get(feed, ())), refused=refused.get(feed, ()))
        for feed, load in loads.items()
    }
    left = {feed.id for feed in pulling.by_set_up(project, pulling.sourced(list(feeds)))[1]}
    taken = project.contracts.seeds_of(feeds)
    seeds = [seed.shown for seed in project.contracts.seeds if seed not in taken]
    found = (_feed(feed, last.get(feed.id), days.get(feed.id, {}), left) for feed in feeds)
    return Landed(tuple(found), (*seeds, *ingest.unclaimed(project.landing, feeds)))


def _feed(feed: Feed, last: Load | None, days: Mapping[str, int], left: Collection[str]) -> FeedFacts:
    return FeedFacts(
        id=feed.id,
        path=feed.path,
        format=feed.format,
        source=feed.source.name if feed.source else None,
        connector=feed.source.connector if feed.source else None,
        set_up=feed.id not in left,
        last=last,
        days=days,
        every_days=_every(sorted(days)),
    )


def _every(days: Sequence[str]) -> float | None:
    """Return the middle one of the gaps between days, in days; None where there are too few of them."""
    if len(days) < _ENOUGH:
        return None
    moments = [datetime.fromisoformat(day) for day in days]
    gaps = sorted((after - before).days for before, after in pairwise(moments))
    return float(gaps[len(gaps) // 2])


def _arrivals(project: Project, now: datetime) -> tuple[dict[str, dict[str, int]], dict[str, Load]]:
    """Return by feed the files of each day, and the last load."""
    if not history.publish(project.engine, project.settings.data_dir):
        return {}, {}
    rows = project.engine.rows(
        "SELECT table_id, run_id, start_time, files, records_read, quarantined FROM ops.pipeline_runs "
        "WHERE layer = 'bronze' AND files > 0 ORDER BY start_time, run_id"
    )
    days: dict[str, dict[str, int]] = {}
    loads: dict[str, Load] = {}
    for feed, run_id, at, files, read, rejected in rows:
        loads[feed] = Load(run_id, at, files, read, rejected)
        if now - at <= timedelta(days=_DAYS):
            of_day = days.setdefault(feed, {})
            of_day[f"{at:%Y-%m-%d}"] = of_day.get(f"{at:%Y-%m-%d}", 0) + files
    return days, loads


def _names(project: Project, loads: Mapping[str, Load]) -> dict[str, list[str]]:
    """Return by feed the names of some files of its last load."""
    scans = []
    for feed, load in loads.items():
        if bronze := (project.table(feed) if feed in project.contracts.feeds else None):
            scans.append(
                f"SELECT {literal(feed)} AS feed, list(DISTINCT _file ORDER BY _file DESC)[:{FILES}] AS names "
                f"FROM {project.engine.scan(bronze, evolved=True)} WHERE _batch = {literal(load.run_id)}"
            )
    return {feed: names or [] for feed, names in project.engine.rows(" UNION ALL ".join(scans))} if scans else {}


def _refused(project: Project, loads: Mapping[str, Load]) -> dict[str, tuple[tuple[str, int], ...]]:
    """Return by feed the silver tables that put rows in quarantine in the run of its last load, and how many."""
    if not loads:
        return {}
    wanted = ", ".join(sorted({literal(load.run_id) for load in loads.values()}))
    counts = {
        (run_id, table): count
        for run_id, table, count in project.engine.rows(
            "SELECT run_id, table_id, quarantined FROM ops.pipeline_runs "
            f"WHERE layer = 'silver' AND quarantined > 0 AND run_id IN ({wanted})"
        )
    }
    found: dict[str, tuple[tuple[str, int], ...]] = {}
    for table in project.contracts.silver.values():
        for feed in table.feeds:
            count = counts.get((loads[feed.id].run_id, table.id)) if feed.id in loads else None
            found[feed.id] = (*found.get(feed.id, ()), *([(table.id, count)] if count else []))
    return found
