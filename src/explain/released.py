"""What differs between two releases: by table the rows that came and went, and the cells that are others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from src import catalog, console, lake
from src.checks.comparison import Differences, Side, differences
from src.contract import PROVENANCE
from src.errors import BoathouseError, UsageError
from src.masking.concealing import concealed_differences
from src.masking.masks import Masks
from src.project import Project
from src.run import releases

_LAYERS = ("bronze", "quarantine", "silver", "gold")
_COMING = frozenset({"_ingested_at", "_batch", "_contract"})  # say how a row came, and nothing of what it is


@dataclass(frozen=True)
class TableDifference:
    """A table whose version is another: how many rows it had and has, and which differ; None: not in that release.

    `unknown`: why its rows cannot be compared.
    """

    table: str
    rows_before: int | None
    rows_after: int | None
    differences: Differences | None = None
    unknown: str | None = None


@dataclass(frozen=True)
class ReleaseDifference:
    """Two releases, each by the run that it is named after, and the tables that differ."""

    before: str
    after: str
    tables: tuple[TableDifference, ...]


def newest_two(project: Project) -> tuple[str, str]:
    """Return the runs of the release before the newest one, and of the newest; of the first release it is both.

    Raises:
        UsageError: there is none yet.
    """
    found = list(releases.all_of(project.engine, project.settings.data_dir))[:2]
    if not found:
        raise UsageError("there is no release yet", fix="run `make pipeline` first")
    return found[-1], found[0]


def compare_releases(
    project: Project, before: str, after: str, masks: Masks, names: Sequence[str] = (), examples: int = 5
) -> ReleaseDifference:
    """Return what differs between two releases, named by their runs; of these tables, or of all.

    Raises:
        UsageError: a run is unknown, or a table in neither release.
    """
    data = project.settings.data_dir
    versions = releases.named(project.engine, data, before), releases.named(project.engine, data, after)
    there = [name for name in {**versions[0], **versions[1]} if name.split(".")[0] in _LAYERS]
    if unknown := [name for name in names if name not in there]:
        raise catalog.unknown_table(unknown, there)
    found = []
    for name in sorted(names or there, key=lambda name: (_LAYERS.index(name.split(".")[0]), name)):
        ends = versions[0].get(name), versions[1].get(name)
        if ends[0] != ends[1]:
            one = _of_table(project, name, *ends, masks, examples)
            if one is not None:
                found.append(one)
    return ReleaseDifference(before, after, tuple(found))


def _of_table(
    project: Project, name: str, before: int | None, after: int | None, masks: Masks, examples: int
) -> TableDifference | None:
    """Return how a table differs between two of its versions; None where the same files hold its rows."""
    try:
        one, two = (_opened(project, name, version) for version in (before, after))
    except BoathouseError as error:
        return TableDifference(name, None, None, unknown=error.what)
    if one is None or two is None:
        return TableDifference(name, one.rows if one else None, two.rows if two else None)
    kept = {file.path for file in one.files} & {file.path for file in two.files}  # the rows of these cancel out
    if len(kept) == len(one.files) == len(two.files):
        return None
    own = _COMING if not name.startswith("silver.") else _COMING | PROVENANCE.keys()
    before_side, after_side = (
        Side(
            {column: kind for column, kind in table.columns.items() if column not in own},
            project.engine.scan(
                table,
                [file for file in table.files if file.path not in kept],
                evolved=catalog.gains_columns(name),
            ),
        )
        for table in (one, two)
    )
    found = differences(project.engine, _key(project, name, two.columns), before_side, after_side, examples)
    if not (found.added or found.removed or found.changed or found.not_compared):
        return None
    covered = masks.of_table(name)
    return TableDifference(name, one.rows, two.rows, concealed_differences(found, covered) if covered else found)


def _opened(project: Project, name: str, version: int | None) -> lake.Snapshot | None:
    return None if version is None else lake.check_restorable(project.path(name), version)


def _key(project: Project, name: str, columns: Mapping[str, str]) -> tuple[str, ...]:
    known = {**project.contracts.silver, **project.contracts.gold}
    table = known.get(name)
    history = ("_valid_from",) if table and table.history == "scd2" else ()
    return (*table.key, *history) if table and table.key and set(table.key) <= columns.keys() else ()


# -- as text


def print_release_difference(found: ReleaseDifference) -> None:
    """Print what differs between two releases."""
    print(f"from run {found.before} to run {found.after}")
    if not found.tables:
        print("No row differs.")
    for one in found.tables:
        _print_table(one)


def _print_table(one: TableDifference) -> None:
    if one.unknown:
        print(f"\n{one.table}: cannot be told: {one.unknown}")
    elif one.differences is None:
        came = one.rows_before is None
        rows = one.rows_after if came else one.rows_before
        print(f"\n{one.table}: {'new' if came else 'not there any more'}, {rows:,} rows")
    else:
        _print_differences(one, one.differences)


def _print_differences(one: TableDifference, found: Differences) -> None:
    cells = f" ({', '.join(f'{name} {count:,}' for name, count in found.cells.items())})" if found.cells else ""
    print(
        f"\n{one.table}: {one.rows_before:,} rows became {one.rows_after:,}; added {found.added:,}, "
        f"removed {found.removed:,}, changed {found.changed:,}{cells}"
    )
    if found.not_compared:
        console.note(f"{one.table}: not compared, as one side alone has them so: {', '.join(found.not_compared)}")
    for label, rows in (("added, for example", found.added_rows), ("removed, for example", found.removed_rows)):
        if rows:
            print(f"  {label}")
            console.table(list(rows[0]), [tuple(map(console.nested_as_json, row.values())) for row in rows])
    if found.changes:
        print("  changed, for example")
        changes = [(*change.key.values(), change.column, change.before, change.after) for change in found.changes]
        console.table((*found.changes[0].key, "column", "before", "after"), changes, grouped=False)
