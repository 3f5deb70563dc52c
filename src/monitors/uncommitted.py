"""Contracts, models and settings templates are in git, committed and pushed, when the day ends (18:00, `TIMEZONE`).

What was changed after the newest end of a day may wait until the next. Without a repository there is nothing to say;
in one without a remote nothing is to be pushed.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

from src.monitors.reading import Reading
from src.problems import Problem
from src.run.revision import read_unsaved

DAY_ENDS = time(18)


def measure(reading: Reading) -> tuple[Problem, ...]:
    """Return the problem that work was not committed or not pushed when the day ended."""
    settings = reading.project.settings
    unsaved = read_unsaved(settings.root)
    if unsaved is None:
        return ()
    ended = _newest_end(reading.now, UTC if settings.timezone == "UTC" else ZoneInfo(settings.timezone))
    changed = sorted(path for path, since in unsaved.changed.items() if since < ended)
    unpushed = [made for made in unsaved.unpushed if made < ended]
    found = [f"not committed: {_named(changed)}"] if changed else []
    found += [f"not pushed: {len(unpushed)} commit{'s' if len(unpushed) > 1 else ''}"] if unpushed else []
    if not found:
        return ()
    fix = " and ".join([*(["`git add` and `git commit` these files"] if changed else []), "`git push`"])
    return (Problem("uncommitted", "project", "P3", ended.date(), "; ".join(found), fix),)


def _newest_end(now: datetime, zone: tzinfo) -> datetime:
    local = now.astimezone(zone)
    today = datetime.combine(local.date(), DAY_ENDS, zone)
    return today if local >= today else datetime.combine(local.date() - timedelta(days=1), DAY_ENDS, zone)


def _named(paths: list[str], most: int = 3) -> str:
    more = f" and {len(paths) - most} more" if len(paths) > most else ""
    return ", ".join(paths[:most]) + more
