"""What a run would do, and why, told from the landing zone and the tables' versions; changes nothing."""

from __future__ import annotations

from src.bronze import ingest
from src.contract import Table
from src.errors import BoathouseError
from src.gold import aggregate
from src.house import House, Wanted, needs
from src.silver import batch, clean

Row = tuple[str, str, str]  # table, what a run would do with it, why


def rows(house: House, chosen: Wanted) -> list[Row]:
    """One row per table, in the order a run takes them."""
    told: list[Row] = []
    moving: set[str] = set()
    for feed in chosen.feeds:
        arrived = ingest.arrivals(house.engine, house.landing, feed, house.table(feed.id), house.told.settle_seconds)
        told.append((feed.id, *_bronze(arrived)))
        if arrived.new:
            moving.add(feed.id)
    for table in (*chosen.silver, *chosen.gold):
        told.append((table.id, *_judged(house, table, moving)))
    return told


def _bronze(arrived: ingest.Arrivals) -> tuple[str, str]:
    parts = [f"{len(arrived.new)} new files"] if arrived.new else []
    parts += [f"{arrived.known} taken before"] if arrived.known else []
    parts += [f"{len(arrived.same_bytes)} of the same bytes as one taken"] if arrived.same_bytes else []
    parts += [f"{len(arrived.waiting)} still being written"] if arrived.waiting else []
    parts += [f"refused: {str(fault).splitlines()[0]}" for fault in arrived.refused]
    what = "fail" if arrived.refused else "append" if arrived.new else "nothing"
    return what, ", ".join(parts) or "no files"


def _judged(house: House, table: Table, moving: set[str]) -> tuple[str, str]:
    try:
        what, why = _work(house, table)
    except BoathouseError as error:
        return "fail", str(error).replace("\n", " ")
    upstream = [name for name in needs(table) if name in moving]
    if upstream:
        first = house.table(table.id) is None
        why = ("first load: " if first else "") + f"{', '.join(upstream)} will have new rows"
        what = "build" if first else "update" if what == "nothing" else what
    if what != "nothing":
        moving.add(table.id)
    return what, why


def _work(house: House, table: Table) -> tuple[str, str]:
    target = house.table(table.id)
    if table.layer == "silver":
        feeds = {feed.id: house.table(feed.id) for feed in table.feeds}
        work = clean.plan(table, target, feeds)
        if work.kind == "rebuild":
            batch.rehearse(house.engine, table, feeds)
        return work.kind, work.why
    sources = house.built(table.sources)
    if target is None and len(sources) < len(table.sources):
        return "nothing", f"waits for {', '.join(name for name in table.sources if name not in sources)}"
    judged = aggregate.plan(table, target, sources)
    return judged.kind, judged.why
