"""Lines are taken out of bronze: the one exception to rows being only ever added, and each commit says so.

Files are written again without the lines, in one commit that records that it took rows out, and of which landed file
how many. What was built from bronze is thereby told that it has to be computed whole: the log names new files with the
rows of old ones, and by files alone nobody could see that some are missing. No entry of the log says whose they were:
files and their rows are named, never a value.
"""

from __future__ import annotations

from collections.abc import Mapping

from src import lake
from src.engine import DuckEngine, identifier
from src.errors import DataError
from src.forget.lines import PLACE

_ROW_GROUP = 122_880  # rows of a group in the engine's files
_NOTHING: Mapping[str, int] = {}


def holding(engine: DuckEngine, bronze: lake.Snapshot, lines: str) -> list[lake.DataFile]:
    """Return the files of a feed that hold one of the lines in a relation."""
    same = ", ".join(PLACE)
    scan = engine.scan(bronze, columns=_place_of(bronze), evolved=True, located=True)
    paths = set(engine.values(f"SELECT DISTINCT _at FROM {scan} s SEMI JOIN {lines} l USING ({same})"))
    return [file for file in bronze.files if str(bronze.root / file.path) in paths]


def rewritten(engine: DuckEngine, bronze: lake.Snapshot, files: list[lake.DataFile], lines: str) -> list[lake.DataFile]:
    """Write these files again without the lines; returns the new ones, which no commit names yet.

    Raises:
        DataError: the rows do not add up; no new file is left.
    """
    if not files:
        return []
    names, same = ", ".join(map(identifier, bronze.columns)), ", ".join(PLACE)
    scan = engine.scan(bronze, files, evolved=True)
    with engine.for_columns(len(bronze.columns)), engine.in_order():
        left = f"SELECT {names} FROM {scan} s ANTI JOIN {lines} l USING ({same})"
        count, gone = engine.one(f"SELECT count(*), (SELECT count(*) FROM {lines}) FROM ({left})")
        new = engine.write(left, bronze.root, many_texts=count > _ROW_GROUP)
    kept = sum(file.rows for file in new)
    before = sum(file.rows for file in files)
    if kept != count or kept + gone != before:
        lake.discard(bronze.root, new)
        raise DataError(f"{gone} of {before} rows were to go, {kept} were written", where=bronze.root)
    return [file.with_bounds_of(()) for file in new]


def take_out(
    engine: DuckEngine,
    bronze: lake.Snapshot,
    lines: str,
    run_id: str,
    landed: Mapping[str, int] = _NOTHING,
) -> lake.Snapshot:
    """Take the lines in a relation out of a feed, in one commit; returns the table.

    `landed`: what else is known of landed files from then on, as progress.

    Raises:
        DataError: the rows do not add up; nothing was committed.
    """
    files = holding(engine, bronze, lines)
    if not files:
        return lake.commit(bronze, progress=landed) if landed else bronze
    progress = {**landed, lake.FORGOTTEN: bronze.version + 1, **_gone(engine, bronze, files, lines)}
    new = rewritten(engine, bronze, files, lines)
    staying = lake.without(bronze.files, files)
    known, paths = lake.hashes(bronze), {file.path for file in staying}
    return lake.commit(
        bronze,
        add=new,
        remove=files,
        progress=progress,
        info={"run_id": run_id, "forgotten": "true"},
        same_rows=True,  # rows are only ever added, and what counts them computes itself whole
        hashes={path: digest for path, digest in known.items() if path in paths},
    )


def _gone(engine: DuckEngine, bronze: lake.Snapshot, files: list[lake.DataFile], lines: str) -> dict[str, int]:
    """Return the progress that says of landed files how many of their rows are gone, and which have none left."""
    before = lake.rows_taken_out(bronze, engine.rows)
    scan = engine.scan(bronze, columns=_place_of(bronze), evolved=True)  # other files may have rows of the same one
    counted = f"SELECT _ingested_at, count(*) AS gone FROM {lines} GROUP BY 1"
    landed = f"SELECT _file, _ingested_at, count(*) AS rows FROM {scan} GROUP BY ALL"
    found = engine.rows(
        f"SELECT _file, epoch_us(_ingested_at), gone, rows = gone FROM ({landed}) JOIN ({counted}) USING (_ingested_at)"
    )
    progress = {lake.gone_rows(moment): before.get(moment, 0) + gone for _, moment, gone, _ in found}
    empty = {moment: name for name, moment, _, is_empty in found if is_empty}
    if empty:  # a file that had rows of nobody else still says that there is nothing
        progress |= {lake.empty_file(name, moment): 1 for moment, name in empty.items()}
        progress[lake.NEWEST_EMPTY] = max(*empty, bronze.progress(lake.NEWEST_EMPTY) or -1)
    return progress


def _place_of(bronze: lake.Snapshot) -> dict[str, str]:
    return {name: bronze.columns[name] for name in PLACE}
