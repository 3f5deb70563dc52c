"""Tables of marts that are computed whole though their contract cuts them, for want of a proof.

Saved is the part of their seconds that goes to partitions which come out as they were. Which these are is told by
the rows: the newest version is compared with the last one before it that had other files.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from src import lake, store
from src.engine import identifier
from src.facts.savings.finding import Finding, Looking
from src.lake import Snapshot
from src.run import plan

KIND = "whole"
_BACK = 10  # versions that are looked at for one with other files


def why_not(looking: Looking) -> str:
    """Return why it cannot be looked for; "" where it can."""
    return looking.too_young


def find(looking: Looking) -> Iterator[Finding]:
    """Yield a finding for each table that takes seconds for partitions that come out as they were."""
    for table in looking.project.marts:
        seconds, newest = looking.seconds.get(table.id, Decimal(0)), looking.tables.get(table.id)
        # below half of what is told at least, a finding that was told before counts as done
        if newest is None or not newest.files or not seconds or seconds * 2 < looking.least.seconds:
            continue
        way, before = plan.way_of(looking.project, table), _before(newest)
        if not way.why_whole or before is None:
            continue
        there = len({newest.partition_of(file) for file in newest.files})
        changed = _changed(looking, newest, before)
        saved = seconds * (1 - Decimal(min(changed, there)) / there)
        evidence = (
            f"{seconds:,.0f} cpu s a month; the last time {changed:,} of {there:,} partitions came out other than "
            f"before; computed whole: {way.why_whole}"
        )
        yield Finding(KIND, table.id, 0, saved.quantize(Decimal("0.001")), evidence, way.fix, "middle")


def _before(newest: Snapshot) -> Snapshot | None:
    """Return the last version before this one that has other files; None where it is gone, or there is none."""
    for version in range(newest.version - 1, max(newest.version - _BACK, 0) - 1, -1):
        try:
            older = lake.open_table(newest.root, version)
        except lake.HistoryGone:
            return None
        if older is not None and older.files != newest.files:
            there = not store.missing(older.root, [file.path for file in older.files])
            return older if there and older.files and older.columns == newest.columns else None
    return None


def _changed(looking: Looking, newest: Snapshot, before: Snapshot) -> int:
    """Return how many partitions have other rows in two versions."""
    engine = looking.project.engine
    new, old = f"SELECT * FROM {engine.scan(newest)}", f"SELECT * FROM {engine.scan(before)}"
    names = ", ".join(map(identifier, newest.partition_by))
    moved = f"(({new}) EXCEPT ALL ({old})) UNION ALL (({old}) EXCEPT ALL ({new}))"
    return int(engine.one(f"SELECT count(*) FROM (SELECT DISTINCT {names} FROM ({moved}))")[0])
