"""A feed is quiet when nothing landed in it for longer than it ever was quiet in the ten weeks before.

What counts are the runs to which a file of the feed came, however many, also one under a new name with the bytes of
one before: a backlog that lands at once is one arrival, and so is all that lands within half a day. A pause is the
time from one arrival to the next, in days, rounded: a source that is some hours later than usual is not quiet. The
pause that lasts is told at the last time a run looked (of a feed with a source: pulled), and not now: that no run
looks is a problem of the runs, and says nothing of the feeds. For the same reason a pause in which nobody looked
counts no longer than runs are usually apart.

It takes eight arrivals to say so. With them a feed of every working day has shown its weekend, so that days of rest
need no rule of their own, and of pauses that go by chance no more than one in eight is the longest yet.

Asked are the feeds below which somebody waits for news: a table with a `latency` or `frequency`, reached through tables
that are not retired. Never quiet are seeds, which change when somebody changes them, and a feed whose last pull failed
or was refused, or a landing zone that is gone or empty, as that problem says it already. A feed that was quiet for ten
weeks is told no more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from src import landing_zone
from src.bronze import ingest
from src.contract import Feed
from src.engine import literal
from src.monitors.reading import DAYS, Reading, sql_moment
from src.problems import Problem
from src.run import runs

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LEAST = 8  # arrivals
_DAY = timedelta(days=1)
_SPAN = timedelta(days=DAYS)


@dataclass(frozen=True)
class Pause:
    """The pause that a feed is in, and the longest of those before; in days. Moments in UTC."""

    feed: Feed
    arrived_at: datetime  # the last time that a run took a file
    looked_at: datetime  # the last time that a run looked for one
    days: int
    longest: int

    @property
    def is_quiet(self) -> bool:
        """Return whether the feed never was quiet for so long."""
        return self.days > self.longest


def measure(reading: Reading) -> tuple[Problem, ...]:
    """Return a problem for each feed that somebody waits for and that is quiet."""
    found = [pause for pause in read_pauses(reading) if pause.is_quiet]
    if not found or landing_zone.problem(reading.project, reading.yesterday):
        return ()
    return tuple(_problem(reading, pause) for pause in found)


def read_pauses(reading: Reading) -> Iterator[Pause]:
    """Yield the pause of each feed that somebody waits for, as far as enough arrivals tell how long it may be."""
    if not reading.publish(runs.TABLE):
        return
    failed, histories = _failed_pulls(reading), _histories(reading)
    for feed in awaited_feeds(reading):
        history = histories.get(feed.id)
        looked = reading.looked.get(feed.pull_id if feed.source else feed.id)
        if looked is None or history is None or feed.pull_id in failed:
            continue
        last, pauses = history.last, history.pauses()
        if len(pauses) >= _LEAST - 1:
            yield Pause(feed, last, looked, _days(min(looked, reading.now) - last), max(map(_days, pauses)))


@dataclass(frozen=True)
class _History:
    """The runs that took files of one feed, the oldest first, each with the time of the run that looked before it."""

    arrivals: Sequence[tuple[datetime, datetime | None]]
    usual: timedelta  # between two looks on different days

    @property
    def last(self) -> datetime:
        return self.arrivals[-1][0]

    def pauses(self) -> list[timedelta]:
        """Return the pauses of the ten weeks up to the last arrival."""
        found, since = [], None
        for moment, looked in self.arrivals:
            if self.last - moment > _SPAN or (since and not _days(moment - since)):
                continue
            if since:
                found.append(min(moment, max(looked or since, since) + self.usual) - since)
            since = moment
        return found


def awaited_feeds(reading: Reading) -> list[Feed]:
    """Return the feeds below which a table that is not retired promises news, without those of seeds."""
    awaited: set[str] = set()
    for table in reversed([*reading.declared]):
        if not table.is_retired and (table.promises_news or table.id in awaited):
            awaited |= {*table.sources, *(feed.id for feed in table.feeds)}
    contracts = reading.project.contracts
    return [feed for feed in contracts.feeds.values() if feed.id in awaited and not contracts.seeds_of([feed])]


def _histories(reading: Reading) -> dict[str, _History]:
    """Return the history of each feed that took a file within ten weeks: of the last twenty."""
    looks = (
        f"SELECT table_id, end_time, files > 0 OR contains(coalesce(notes, ''), {literal(ingest.SAME_BYTES)}) AS came, "
        "lag(end_time) OVER (PARTITION BY table_id ORDER BY end_time) AS looked_before, "
        "epoch(end_time) - epoch(looked_before) AS apart "
        "FROM ops.pipeline_runs WHERE layer = 'bronze' AND status = 'success' "
        f"AND start_time >= {sql_moment(reading.since - _SPAN)} AND end_time <= {sql_moment(reading.now)}"
    )
    rows = reading.project.engine.rows(
        "SELECT table_id, list((epoch_us(end_time), epoch_us(looked_before)) ORDER BY end_time) FILTER (came), "
        f"median(apart) FILTER (apart > {_DAY.total_seconds() / 2}) FROM ({looks}) GROUP BY table_id "
        f"HAVING max(end_time) FILTER (came) >= {sql_moment(reading.since)}"
    )
    return {
        feed: _History([(_moment(at), before and _moment(before)) for at, before in arrivals], _apart(usual))
        for feed, arrivals, usual in rows
    }


def _apart(usual: float | None) -> timedelta:
    return timedelta(seconds=usual) if usual else _DAY


def _moment(microseconds: int) -> datetime:
    """Return a moment that was read as microseconds: the engine would ask a library for the zone of each."""
    return _EPOCH + timedelta(microseconds=microseconds)


def _failed_pulls(reading: Reading) -> set[str]:
    """Return the pulls of which the last try failed or was refused."""
    return {
        name
        for name, status in reading.project.engine.rows(
            "SELECT table_id, max_by(status, start_time) FROM ops.pipeline_runs WHERE layer = 'landing' "
            f"AND start_time >= {sql_moment(reading.since)} AND start_time <= {sql_moment(reading.now)} GROUP BY 1"
        )
        if status != "success"
    }


def _days(span: timedelta) -> int:
    return round(span / _DAY)


def _problem(reading: Reading, pause: Pause) -> Problem:
    feed, ago = pause.feed, _spelled(pause.days)
    what = f"no file since {pause.arrived_at:%Y-%m-%d}, {ago} before the last look"
    what += f"; the longest pause before was {_spelled(pause.longest)}"
    asked = f"see whether {feed.source.name} answers: `make sources`" if feed.source else "ask who sends the files"
    fix = f"{asked}; they belong in landing/{feed.path}. Of a feed that ended say so: `status: retired` in its contract"
    return Problem("quiet", feed.id, "P2", reading.yesterday, what, fix)


def _spelled(days: int) -> str:
    return f"{days} day" if days == 1 else f"{days} days"
