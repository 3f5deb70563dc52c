"""What a run would do, and why, told from the landing zone and the tables' versions; changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from src import lake
from src.bronze import ingest
from src.contract import Feed, Table
from src.engine import DuckEngine
from src.errors import BoathouseError
from src.gold import aggregate
from src.silver import clean

Row = tuple[str, str, str]  # table, what a run would do with it, why


def rows(
    engine: DuckEngine,
    data: Path,
    feeds: Sequence[Feed],
    silver: Sequence[Table],
    gold: Sequence[Table],
    *,
    settle: float,
) -> list[Row]:
    """One row per table, in the order a run takes them."""
    told: list[Row] = []
    moving: set[str] = set()
    for feed in feeds:
        arrived = ingest.arrivals(data / "landing", feed, lake.open_table(lake.place(data, feed.id)), settle)
        told.append((feed.id, *_bronze(arrived)))
        if arrived.new:
            moving.add(feed.id)
    for table in silver:
        told.append((table.id, *_judged(engine, table, [feed.id for feed in table.feeds], moving, data)))
    for table in gold:
        told.append((table.id, *_judged(engine, table, table.sources, moving, data)))
    return told


def _bronze(arrived: ingest.Arrivals) -> tuple[str, str]:
    parts = [f"{len(arrived.new)} new files"] if arrived.new else []
    parts += [f"{arrived.known} taken before"] if arrived.known else []
    parts += [f"{len(arrived.same_bytes)} of the same bytes as one taken"] if arrived.same_bytes else []
    parts += [f"{len(arrived.waiting)} still being written"] if arrived.waiting else []
    parts += [f"refused: {str(fault).splitlines()[0]}" for fault in arrived.refused]
    what = "fail" if arrived.refused else "append" if arrived.new else "nothing"
    return what, ", ".join(parts) or "no files"


def _judged(engine: DuckEngine, table: Table, needs: Sequence[str], moving: set[str], data: Path) -> tuple[str, str]:
    try:
        what, why = _work(engine, table, data)
    except BoathouseError as error:
        return "fail", str(error).replace("\n", " ")
    upstream = [name for name in needs if name in moving]
    if upstream:
        built = lake.open_table(lake.place(data, table.id)) is not None
        why = f"{', '.join(upstream)} will have new rows" + (f"; {why}" if built and what != "nothing" else "")
        what = ("update" if built else "build") if what == "nothing" else what
    if what != "nothing":
        moving.add(table.id)
    return what, why


def _work(engine: DuckEngine, table: Table, data: Path) -> tuple[str, str]:
    target = lake.open_table(lake.place(data, table.id))
    if table.layer == "silver":
        feeds = {feed.id: lake.open_table(lake.place(data, feed.id)) for feed in table.feeds}
        work = clean.plan(table, target, feeds)
        if work.kind == "rebuild":
            clean.rehearse(engine, table, feeds)
        return work.kind, work.why
    sources = {name: found for name in table.sources if (found := lake.open_table(lake.place(data, name)))}
    if len(sources) < len(table.sources) and target is None:
        return "nothing", f"waits for {', '.join(name for name in table.sources if name not in sources)}"
    judged = aggregate.plan(table, target, sources)
    return judged.kind, judged.why
