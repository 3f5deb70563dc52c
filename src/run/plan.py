"""What a run would do, and why, by the landing zone and the tables' versions; changes nothing.

Beside it stands how much it would read and how long it would take, by earlier runs; `-` where they do not suffice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from src.bronze import ingest
from src.contract import Table
from src.errors import BoathouseError
from src.gold import aggregate
from src.gold.way import Way
from src.project import Project, Selection, Unbuilt, readable, upstream, waits_for
from src.run.forecast import Forecast
from src.run.runs import Expected
from src.silver import clean, incoming

Row = tuple[str, str, str]  # table, what a run would do with it, why


def rows(project: Project, chosen: Selection, ahead: Forecast | None = None) -> list[Row]:
    """Return one row per table, in the order of a run; `ahead` collects the forecast of what landed."""
    ahead = ahead or Forecast(project)
    found: list[Row] = []
    moving: set[str] = set()
    for feed in chosen.feeds:
        bronze, settle = project.table(feed.id), project.settings.settle_seconds
        latest_wins = project.contracts.latest_wins(feed)
        arrived = ingest.arrivals(project.engine, project.landing, feed, bronze, settle, latest_wins=latest_wins)
        found.append((feed.id, *_bronze(arrived)))
        if arrived.new:
            moving.add(feed.id)
            ahead.feed(feed.id, len(arrived.new), _bytes(arrived.new))
    for table in (*chosen.silver, *chosen.gold):
        found.append((table.id, *_judged(project, table, moving)))
        ahead.table(table)
    return found


def computed_whole(project: Project, chosen: Selection) -> list[str]:
    """Return why tables with partitions are computed whole at every change, and the fix, two lines for each."""
    ways = {table.id: _way(project, table) for table in chosen.gold}
    return [
        f"{name}: whole at every change: {way.why_whole}\n  fix: {way.fix}"
        for name, way in ways.items()
        if way.why_whole
    ]


def printed(rows: Sequence[Row], ahead: Forecast) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return headers and lines to print: the rows, the forecast of each and, where files landed, of all together.

    Bytes of new files; rows read (of a mart's table, computed) and seconds, as `ops.pipeline_runs` will count them.
    """
    lines = [("bytes", "rows", "seconds"), *(_expected(name, what, ahead) for name, what, _ in rows)]
    names = [("table", "would"), *((name, what) for name, what, _ in rows)]
    whys = ["why", *(why for *_, why in rows)]
    total, (known, seconds) = ahead.total(), ahead.known_steps()
    if total.bytes is not None:
        busy = sum(what != "nothing" for _, what, _ in rows)
        lines.append((f"{total.bytes:,}", _shown(total.rows), f"{seconds:.2f}" if known else "-"))
        names.append(("total", ""))
        whys.append(f"the seconds are those of {known} of {busy} steps")
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = (tuple(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    headers, *body = [(*name, *line, why) for name, line, why in zip(names, padded, whys, strict=True)]
    return headers, body


def _bytes(files: Iterable[ingest.Landed]) -> int | None:
    try:
        return sum(file.path.stat().st_size for file in files)
    except OSError:
        return None  # one was moved away since it was listed


def _expected(name: str, what: str, ahead: Forecast) -> tuple[str, str, str]:
    if what == "nothing" or (what == "fail" and name not in ahead.expected):
        return "", "", ""
    found = ahead.expected.get(name, Expected())
    size = f"{found.bytes:,}" if found.bytes is not None else ""
    return size, _shown(found.rows), "-" if found.seconds is None else f"{found.seconds:.2f}"


def _shown(count: int | None) -> str:
    return "-" if count is None else f"{count:,}"


def _bronze(arrived: ingest.Arrivals) -> tuple[str, str]:
    parts = [f"{len(arrived.new)} new files"] if arrived.new else []
    parts += [f"{arrived.known} taken before"] if arrived.known else []
    parts += [f"{len(arrived.same_bytes)} of the same bytes as one taken"] if arrived.same_bytes else []
    parts += [f"{len(arrived.waiting)} still being written"] if arrived.waiting else []
    parts += [f"refused: {str(error).splitlines()[0]}" for error in arrived.refused]
    what = "fail" if arrived.refused else "append" if arrived.new else "nothing"
    return what, ", ".join(parts) or "no files"


def _judged(project: Project, table: Table, moving: set[str]) -> tuple[str, str]:
    try:
        what, why = _work(project, table)
    except BoathouseError as error:
        return "fail", str(error).replace("\n", " ")
    moved = [name for name in upstream(table) if name in moving]
    if moved:
        first = project.table(table.id) is None
        why = ("first load: " if first else "") + f"{', '.join(moved)} will have new rows"
        what = "build" if first else "update" if what == "nothing" else what
    if what != "nothing":
        moving.add(table.id)
    return what, why


def _work(project: Project, table: Table) -> tuple[str, str]:
    target = project.table(table.id)
    if table.layer == "silver":
        feeds = {feed.id: project.table(feed.id) for feed in table.feeds}
        quarantine = project.table(f"quarantine.{table.domain}.{table.name}")
        work = clean.plan(table, target, feeds, quarantine)
        if work.kind == "rebuild":
            incoming.rehearse(project.engine, table, feeds)
        return work.kind, work.why
    waiting = waits_for(project, table)
    if target is None and waiting:
        return "nothing", f"waits for {', '.join(waiting)}"
    judged = aggregate.plan(table, target, readable(project, table))
    whole = judged.kind == "partitions" and not _way(project, table).by_partitions
    return "whole" if whole else judged.kind, judged.why


def _way(project: Project, table: Table) -> Way:
    read = readable(project, table)
    read |= {name: Unbuilt(project.declared(name)) for name in table.sources if name not in read}
    return aggregate.way_of(project.engine, table, project.table(table.id), read, project.proof(table))
