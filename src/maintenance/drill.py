"""A drill restores a backup where nobody sees it, and compares it with what it was made from.

Every file with its hash, every table opened, and the content of every table, in rows and as a hash over all of
them, with the same version in the lake, and with what the manifest says of it. How it ended is recorded.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from src import house, lake
from src.engine import DuckEngine
from src.errors import BoathouseError, DataError
from src.maintenance import backup, remote, restore, snapshot
from src.maintenance.remote import Remote
from src.maintenance.snapshot import Manifest
from src.observe import backups, console, edge, lock, runs
from src.observe.backups import Backup
from src.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
LIVE, SAID = "lake", "manifest"  # what a table was compared with


def run(
    engine: DuckEngine, data: Path, place: Remote, name: str | None, clock: Callable[[], datetime]
) -> dict[str, tuple[int, str]]:
    """Drill the backup of that name, or the newest; returns of every table its rows and what they were compared with.

    Raises:
        DataError: it is not what it should be; recorded as such.
        UsageError: there is no such backup.
        LockedError: another backup or drill is going.
        AuthError, TransientError, EnvironmentFault: as the remote and the disk say.
    """
    started = clock()
    run_id = house.new_run_id(started)
    with lock.held(data / backups.FOLDER, command="make drill", run_id=run_id, now=started):
        manifest = _chosen(engine, data, place, name, run_id, clock)
        size = sum(manifest.objects.values())

        def record(message: str = "") -> None:
            row = manifest.described(run_id, "drill", started, clock(), place.path, size, message)
            backups.record(engine, data, row)

        try:
            with tempfile.TemporaryDirectory(prefix="boathouse-drill-") as folder:
                whole = restore.fetch(place, manifest, Path(folder))
                found = {table: _compared(engine, data, whole, manifest, table) for table in manifest.tables}
        except DataError as error:
            record(error.what)
            raise
        record()
    return found


def _chosen(
    engine: DuckEngine, data: Path, place: Remote, name: str | None, run_id: str, clock: Callable[[], datetime]
) -> Manifest:
    """The backup to drill; that its manifest is damaged is recorded too."""
    started = clock()
    try:
        return backup.chosen(place, name)
    except DataError as error:
        ill = name or backup.listed(place)[-1]
        backups.record(engine, data, Backup(run_id, ill, "drill", started, clock(), place.path, message=error.what))
        raise


def _compared(engine: DuckEngine, data: Path, whole: Path, manifest: Manifest, name: str) -> tuple[int, str]:
    """Compare one restored table; its rows and what it was compared with."""
    said = manifest.tables[name]
    restored = lake.open_table(lake.place(whole, name))
    if restored is None:
        raise DataError(f"{name} is not there", where=f"backup {manifest.id}")
    found = snapshot.content(engine, name, restored)
    if manifest.engine == str(engine.one("SELECT version()")[0]):  # another release may hash otherwise
        _same(name, found, (said.rows, said.content), manifest, "the manifest says")
    live = _live(data, name, said.version)
    if live is None or live.identity != restored.identity:  # removed since, or made anew
        return found[0], SAID
    try:
        now = snapshot.content(engine, name, live)
    except BoathouseError:
        return found[0], SAID  # a vacuum took a file meanwhile
    _same(name, found, now, manifest, "the lake has")
    return found[0], LIVE


def _live(data: Path, name: str, version: int) -> lake.Snapshot | None:
    """The same version in the lake, where all of its files are still there."""
    try:
        live = lake.open_table(lake.place(data, name), version)
        return live if live and all((live.root / file.path).exists() for file in live.files) else None
    except (BoathouseError, lake.HistoryGone):
        return None


def _same(name: str, found: tuple[int, str], other: tuple[int, str], manifest: Manifest, who: str) -> None:
    if found != other:
        what = f"{name}: {found[0]} rows with hash {found[1]} restored, {who} {other[0]} rows with hash {other[1]}"
        raise DataError(
            what, where=f"backup {manifest.id}", fix="run `make backup`, which then copies all of it afresh"
        )


def main(typed: list[str]) -> int:
    """Do what was typed; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m src.maintenance.drill", description=__doc__)
    parser.add_argument("--backup", metavar="ID", help="which one (default: the newest)")
    parser.add_argument("--dry-run", action="store_true", help="say what would be restored and compared")
    words = parser.parse_args(typed)
    return edge.ended(ROOT, lambda told: _act(told, words.backup, dry_run=words.dry_run))


def _act(told: Settings, name: str | None, *, dry_run: bool) -> int:
    place = remote.of(told, ROOT)
    if dry_run:
        manifest = backup.chosen(place, name)
        console.table(
            ("table", "version", "rows"), [(t, said.version, said.rows) for t, said in manifest.tables.items()]
        )
        print(f"dry run: backup {manifest.id} of release {manifest.release} was not restored")
        return 0
    with house.engine(told) as engine:
        found = run(engine, told.data_dir, place, name, runs.now)
    console.table(("table", "rows", "the same as in the"), [(table, *what) for table, what in found.items()])
    print(f"drilled: {len(found)} tables, {sum(rows for rows, _ in found.values()):,} rows, all as they were")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
