"""One release of the lake, held still without holding anyone up: versions are pinned, then their files linked.

A table's files never change, so a hard link is a copy that costs nothing; what a vacuum takes from the lake
meanwhile stays in the snapshot. It is made again where a file went before its link was there, and it is a lake
of its own: every table in it is opened, at the version that was pinned, before anything is copied from it.

Objects have no links. Of a lake in an object store the logs are copied, and `Taken.objects` says which data files there
are; what is new of these the backup copies itself, and fails where a vacuum was faster.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from src import catalog, lake, store
from src.engine import DuckEngine, identifier
from src.errors import MachineError, UsageError, from_os_error
from src.run import releases
from src.run.backup_records import FOLDER

T = TypeVar("T")
_TRIES = 5  # a vacuum or a clean-up of the log comes in between once, not five times


@dataclass(frozen=True)
class Taken:
    """A snapshot: its folder, the run whose release it is, and its tables, opened there."""

    folder: Path
    release: str
    tables: Mapping[str, lake.Snapshot]
    stored: Mapping[str, lake.Snapshot]  # where the rows of each lie
    objects: Mapping[str, Mapping[str, int]]  # by table, the data files that lie there and not here, with their bytes


@contextmanager
def taken(engine: DuckEngine, data: Path) -> Iterator[Taken]:
    """Link the newest release of the lake at `data` into a lake of its own, for the length of a with-block.

    Raises:
        UsageError: there is no release yet.
        MachineError: files of the release are gone or damaged, or there is no room.
    """
    folder = store.beside(data) / FOLDER / "snapshot"

    def take() -> Taken:
        shutil.rmtree(folder, ignore_errors=True)  # also that of a process which was killed
        release, versions = pinned(engine, data)
        sources = opened(data, versions)
        if not store.is_remote(data):
            tables = {name: linked(name, sources, lake.table_path(folder, name)) for name in sources}
            return Taken(folder, release, tables, tables, {})
        roots = {name: lake.table_path(folder, name) for name in sources}
        objects = {name: _objects(name, sources, roots[name]) for name in sources}
        tables = {name: _reopened(source, roots[name]) for name, source in sources.items()}
        return Taken(folder, release, tables, sources, objects)

    try:
        yield while_whole(data, take)
    except OSError as error:
        raise from_os_error(error) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def while_whole(data: Path, take: Callable[[], T]) -> T:
    """Return what `take` makes of the newest release; it is called again where a file of that went meanwhile.

    Raises:
        MachineError: files of the release are gone for good.
    """
    for tries_left in reversed(range(_TRIES)):
        try:
            return take()
        except (lake.HistoryGone, FileNotFoundError) as error:
            if not tries_left:
                fix = "run `make pipeline`, which makes a new release; `make check` names what is missing"
                what = error.what if isinstance(error, lake.HistoryGone) else error
                raise MachineError(f"the newest release is not whole: {what}", where=data, fix=fix) from error
    raise AssertionError("the last try returns or raises")


def unreleased(data: Path, tables: Mapping[str, lake.Snapshot]) -> Iterator[str]:
    """Yield in words each of these tables, pinned as they are, whose newest version is in no release yet."""
    for name, table in tables.items():
        newest = lake.open_table(lake.table_path(data, name))
        if newest and newest.version > table.version and catalog.is_released(name):
            yield f"{name}: version {newest.version} is in no release yet"


def pinned(engine: DuckEngine, data: Path) -> tuple[str, dict[str, int]]:
    """Return the newest release, its run and its versions, and the newest versions of what no release names."""
    table = releases.published(engine, data)  # before any other: what is pinned later is never behind it
    newest = 'SELECT run_id, "table", version FROM releases WHERE nth = (SELECT max(nth) FROM releases)'
    rows = engine.rows(newest) if table else []
    if table is None or not rows:
        raise UsageError("there is no release yet", where=data, fix="run `make pipeline` first")
    versions = {name: version for _, name, version in rows}
    for name, path in catalog.tables(data).items():
        if not catalog.is_released(name) and (found := lake.open_table(path)):
            versions[name] = found.version
    return rows[0][0], dict(sorted((versions | {releases.TABLE: table.version}).items()))


def opened(data: Path, versions: Mapping[str, int]) -> dict[str, lake.Snapshot]:
    """Return the tables of a lake at these versions.

    Raises:
        HistoryGone: one is not there any more.
    """
    return {name: _opened(lake.table_path(data, name), version) for name, version in versions.items()}


def content(engine: DuckEngine, name: str, table: lake.Snapshot) -> tuple[int, str]:
    """Return a table's number of rows, and a hash of them that does not depend on their order or files."""
    columns = ", ".join(map(identifier, table.columns))
    scan = engine.scan(table, evolved=catalog.gains_columns(name))
    rows, total = engine.one(f"SELECT count(*), coalesce(sum(hash({columns})), 0)::VARCHAR FROM {scan}")
    return rows, total


def link(source: Path, target: Path) -> None:
    """Put a file at a second place without copying it; it is copied where the two cannot be linked."""
    try:
        lake.hard_link(source, target)
    except lake.NoHardLinks:
        shutil.copy2(source, target)


def linked(
    name: str, sources: Mapping[str, lake.Snapshot], root: Path, link: Callable[[Path, Path], None] = link
) -> lake.Snapshot:
    """Put the files of one table of `sources`, at its version there, at a second place by `link`; open it there.

    Raises:
        HistoryGone: one of its files went meanwhile.
        MachineError: one is damaged, or a symbolic link.
    """
    source = sources[name]

    def put(path: str) -> None:
        try:
            link(source.root / path, root / path)
        except FileNotFoundError as error:
            raise lake.HistoryGone(f"{name}: {path} is gone", where=source.root) from error

    for path in [*lake.log_files(source), *(file.path for file in source.files)]:
        if (source.root / path).is_symlink():
            fix = (
                "put the file itself in its place: `make repair` where a backup has it, else `cp --remove-destination`"
            )
            raise MachineError(f"{name}: {path} is a symbolic link", where=source.root, fix=fix)
        put(path)
    for path in _unread(name, sources):
        if not (root / path).exists():
            put(path)
    table = _reopened(source, root)
    for file in table.files:
        _refuse_other_size(source, file, (root / file.path).stat().st_size)
    return table


def _objects(name: str, sources: Mapping[str, lake.Snapshot], root: Path) -> dict[str, int]:
    """Copy one table's log out of an object store; return the bytes of its data files that lie there."""
    source = sources[name]
    paths = lake.log_files(source)
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
    store.fetch([source.root / path for path in paths], [root / path for path in paths])
    there = dict(store.files_below(source.root))
    for file in source.files:
        if file.path not in there:
            raise lake.HistoryGone(f"{name}: {file.path} is gone", where=source.root)
        _refuse_other_size(source, file, there[file.path].size)
    return {path: there[path].size for path in {*(file.path for file in source.files), *_unread(name, sources)}}


def _reopened(source: lake.Snapshot, root: Path) -> lake.Snapshot:
    """Open a table where its log was copied to."""
    table = _opened(root, None)
    if table.version != source.version:
        raise lake.HistoryGone(f"{source.root} opens at version {table.version}, not {source.version}")
    return table


def _refuse_other_size(source: lake.Snapshot, file: lake.DataFile, found: int) -> None:
    if found != file.size:
        what = f"damaged table: {file.path} has {found} bytes, the log says {file.size}"
        raise MachineError(what, where=source.root, fix="`make check` names the damage; backups are as they were")


def _unread(name: str, sources: Mapping[str, lake.Snapshot]) -> list[str]:
    """Return the files that came or went since the version which the table's slowest reader has read.

    With them the next run goes on from there; without them it rebuilds that reader, which is right too.
    """
    source = sources[name]
    readers = [] if name.startswith("ops.") else [table for other, table in sources.items() if other[:4] != "ops."]
    since = min((at for reader in readers if (at := reader.progress(name)) is not None), default=source.version)
    try:
        found = lake.changes(source, since) if 0 <= since < source.version else lake.Changes((), ())
    except lake.HistoryGone:
        return []
    return [file.path for file in (*found.added, *found.removed)]


def _opened(root: Path, version: int | None) -> lake.Snapshot:
    table = lake.open_table(root, version)
    if table is None:
        raise lake.HistoryGone(f"no table at {root}")
    return table
