"""Whoever writes holds the lake: one lock, and when the work is over, its records and its release."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from src.house import House, needs, new_run_id, wanted
from src.observe import forecast, lock, releases, runs
from src.observe.runs import Run


@contextmanager
def held(house: House, command: str, window: runs.Window | None = None) -> Iterator[Run]:
    """One run that holds the lake; when its work is over its records and its release are written.

    Raises:
        LockedError: another process holds it.
        EnvironmentFault: there is no writing in the lake.
    """
    started = runs.now()
    run_id = new_run_id(started)
    data = house.told.data_dir
    with lock.held(data, command=command, run_id=run_id, now=started) as dead:
        window = window or runs.window(started.date(), None, None)
        this = Run(run_id, window, runs.now, command, forecast.of_run(house, run_id, command))
        if dead:
            this.interrupted(dead)
        yield this
        this.finish()
        this.counted(releases.following(data) - 1)
        runs.write(house.engine, data, this)
        everything = wanted(house, None)
        read: dict[str, list[str]] = {feed.id: [] for feed in everything.feeds} | {
            table.id: needs(table) for table in (*everything.silver, *everything.gold)
        }
        releases.record(house.engine, data, this, read)
