"""Who read what, as a terminal shows it: reads by user and table, failed tries, first reads, unread tables."""

from __future__ import annotations

from collections.abc import Iterable

from src import console
from src.facts.reads import UNREAD_DAYS, Access, SlowPattern
from src.facts.wording import short_moment

_SHOWN = 20  # rows of each list; `--json` has all
_LONGEST = 100  # characters of a pattern


def print_access(found: Access) -> None:
    """Print the reads of a period: each part is a list, and says how much of it is left out."""
    if found.recorded_since is None:
        print("Nothing was read yet through Boathouse: no query, page, report or export.")
        return
    print(f"reads since {short_moment(found.begin)} UTC; records go back to {short_moment(found.recorded_since)}")
    _part(
        "who read what",
        ("user", "table", "reads", "failed", "rows", "seconds", "last (UTC)"),
        [
            (one.user, one.table or "(no table)", one.reads, one.failed, one.rows, one.seconds, short_moment(one.last))
            for one in found.by_table
        ],
    )
    _part(
        "failed tries",
        ("when (UTC)", "user", "kind", "tables", "error"),
        [(short_moment(one.moment), one.user, one.kind, ", ".join(one.tables), one.error) for one in found.failed],
    )
    _part(
        "classified columns that a user read for the first time",
        ("when (UTC)", "user", "column", "class", ""),
        [
            (
                short_moment(one.moment),
                one.user,
                f"{one.table}.{one.column}",
                one.classification,
                "masked" if one.masked else "",
            )
            for one in found.first
        ],
    )
    _part("slowest statements", _SLOW, map(_slow_row, found.slow))
    title = f"tables that nobody read for {UNREAD_DAYS} days"
    if not found.unread_is_certain:
        print(f"\n{title}: told once records go back that far")
        return
    unread = [(one.table, short_moment(one.last) if one.last else "never") for one in found.unread]
    _part(title, ("table", "last read (UTC)"), unread)


_SLOW = ("statement", "asked", "failed", "median s", "p95 s", "last by")


def _slow_row(one: SlowPattern) -> tuple[object, ...]:
    short = one.pattern if len(one.pattern) <= _LONGEST else f"{one.pattern[:_LONGEST]} ..."
    return short, one.asked, one.failed, round(one.median_seconds, 3), round(one.p95_seconds, 3), one.last_user


def _part(title: str, headers: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
    rows = list(rows)
    if not rows:
        return
    print(f"\n{title}")
    console.table(headers, rows[:_SHOWN])
    if len(rows) > _SHOWN:
        print(f"and {len(rows) - _SHOWN:,} more; --json has all")
