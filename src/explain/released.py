"""What differs between two releases: by table the rows that came and went, and the cells that are others."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from src import catalog, console, contract, lake
from src.branches import Branch, find_branch, list_branches
from src.branches.beside import compare
from src.checks.comparison import Differences, differences_by_parts
from src.contract import PROVENANCE
from src.errors import BoathouseError, UsageError
from src.masking.concealing import concealed_differences
from src.masking.masks import Masks
from src.project import Project
from src.run import releases
from src.settings import MAIN

_LAYERS = ("bronze", "quarantine", "silver", "gold")
_COMING = frozenset({"_ingested_at", "_batch", "_contract"})  # say how a row came, and nothing of what it is
_AT_ONCE = 500_000  # rows of both sides: 2 x 8.3 million took 3.1 s of the processor and 160 MB, in one piece 840 MB
_SAME = Differences(0, 0, 0, {}, (), (), (), ())


@dataclass(frozen=True)
class Side:
    """One side of a comparison: a release by the name that it was asked for, the lake it is in, and its versions."""

    name: str
    data: Path
    versions: Mapping[str, int]


@dataclass(frozen=True)
class ContractChange:
    """The versions of the contract that a table was built by on each side, and how their columns and logic differ."""

    before: str | None
    after: str | None
    changes: tuple[str, ...]


@dataclass(frozen=True)
class TableDifference:
    """A table that is another: how many rows it had and has, and which differ; None: not in that release.

    `unknown`: why its rows cannot be compared; `contract`: as far as both versions of the table recorded it.
    """

    table: str
    rows_before: int | None
    rows_after: int | None
    differences: Differences | None = None
    unknown: str | None = None
    contract: ContractChange | None = None


@dataclass(frozen=True)
class ReleaseDifference:
    """Two releases, each by the name that it was asked for, and the tables that differ.

    `moved`: tables of which main, one of the two, has other rows than the branch, the other, began with.
    """

    before: str
    after: str
    tables: tuple[TableDifference, ...]
    moved: tuple[str, ...] = ()


def find_sides(project: Project, names: Sequence[str]) -> tuple[Side, Side]:
    """Return two releases by what a person calls them: a run, `main`, or a branch, for its newest release.

    One name, of a branch, is that against what it began as; none are the newest release against the one before.

    Raises:
        UsageError: a run or branch is unknown, or there is no release yet.
    """
    if len(names) == 2:
        return _side(project, names[0]), _side(project, names[1])
    if len(names) == 1:
        branch = find_branch(project.settings.main_dir, names[0])
        began = branch.card.release
        return Side(began, branch.folder, _named(project, branch.folder, began)), _side(project, branch.name)
    data = project.settings.data_dir
    found = list(releases.all_of(project.engine, data))[:2]
    if not found:
        raise UsageError("there is no release yet", fix="run `make pipeline` first")
    before, after = (Side(run_id, data, _named(project, data, run_id)) for run_id in (found[-1], found[0]))
    return before, after


def _side(project: Project, name: str) -> Side:
    known = {MAIN: project.settings.main_dir}
    known |= {branch.name: branch.folder for branch in list_branches(project.settings.main_dir)}
    if name in known:
        return Side(name, known[name], releases.newest(known[name]))
    try:
        return Side(name, project.settings.data_dir, _named(project, project.settings.data_dir, name))
    except UsageError as error:
        raise UsageError(error.what, fix=f"{error.fix}; or name one of {', '.join(known)}") from error


def _named(project: Project, data: Path, run_id: str) -> dict[str, int]:
    return releases.named(project.engine, data, run_id)


def compare_releases(
    project: Project, before: Side, after: Side, masks: Masks, names: Sequence[str] = (), examples: int = 5
) -> ReleaseDifference:
    """Return what differs between two releases; of these tables, or of all.

    Raises:
        UsageError: a table is in neither release.
    """
    there = [name for name in {**before.versions, **after.versions} if name.split(".")[0] in _LAYERS]
    if unknown := [name for name in names if name not in there]:
        raise catalog.unknown_table(unknown, there)
    found = []
    for name in sorted(names or there, key=lambda name: (_LAYERS.index(name.split(".")[0]), name)):
        if before.data != after.data or before.versions.get(name) != after.versions.get(name):
            one = _of_table(project, name, before, after, masks, examples)
            if one is not None:
                found.append(one)
    return ReleaseDifference(before.name, after.name, tuple(found), _moved(project, before, after))


def _moved(project: Project, before: Side, after: Side) -> tuple[str, ...]:
    """Return the tables in which main moved under a branch, where these two are compared."""
    main = project.settings.main_dir
    branches = [Branch(side.data.name, side.data) for side in (before, after) if side.data != main]
    if MAIN not in (before.name, after.name) or not branches:
        return ()
    return tuple(sorted(compare(main, branches[0]).moved_in_main()))


def read_columns(found: ReleaseDifference, before: Side, after: Side) -> dict[str, tuple[str, ...]]:
    """Return the columns of the tables that differ, on either side."""
    columns: dict[str, tuple[str, ...]] = {}
    for one in found.tables:
        opened = (_opened(side, one.table) for side in (before, after)) if one.unknown is None else ()
        columns[one.table] = tuple(dict.fromkeys(name for table in opened if table for name in table.columns))
    return columns


def _of_table(
    project: Project, name: str, before: Side, after: Side, masks: Masks, examples: int
) -> TableDifference | None:
    """Return how a table differs between two releases; None where nothing of it does."""
    try:
        one, two = _opened(before, name), _opened(after, name)
    except BoathouseError as error:
        return TableDifference(name, None, None, unknown=error.what)
    if one is None or two is None:
        return TableDifference(name, one.rows if one else None, two.rows if two else None)
    changed, found = _contract_change(one, two), _differences(project, name, one, two, examples)
    if not (changed or found.added or found.removed or found.changed or found.not_compared):
        return None
    covered = masks.of_table(name)
    found = concealed_differences(found, covered) if covered else found
    return TableDifference(name, one.rows, two.rows, found, contract=changed)


def _differences(project: Project, name: str, one: lake.Snapshot, two: lake.Snapshot, examples: int) -> Differences:
    """Return how the rows of two versions differ; files that both have are not read, as their rows are the same."""
    kept = {file.path for file in one.files} & {file.path for file in two.files}  # a path is one file's, in any lake
    if len(kept) == len(one.files) == len(two.files):
        return _SAME
    own = _COMING if not name.startswith("silver.") else _COMING | PROVENANCE.keys()
    columns, others = ({n: kind for n, kind in table.columns.items() if n not in own} for table in (one, two))
    key, evolved = _key(project, name, two.columns), catalog.gains_columns(name)
    parts = (
        (project.engine.scan(one, earlier, evolved=evolved), project.engine.scan(two, later, evolved=evolved))
        for earlier, later in _parts(one, two, kept)
    )
    moves = not set(two.partition_by) <= set(key)
    return differences_by_parts(project.engine, key, columns, others, parts, examples, keys_move=moves)


_Files = list[lake.DataFile]


def _parts(one: lake.Snapshot, two: lake.Snapshot, kept: Collection[str]) -> list[tuple[_Files, _Files]]:
    """Return the files of two versions, but for those of `kept`, by parts of their partitions that fit in memory."""
    kinds = [{name: table.columns[name] for name in table.partition_by} for table in (one, two)]
    by_partition: dict[tuple[str | None, ...], tuple[_Files, _Files]] = {}
    for side, table in enumerate((one, two)):
        for file in table.files:
            if file.path not in kept:
                partition = table.partition_of(file) if kinds[0] == kinds[1] else ()
                by_partition.setdefault(partition, ([], []))[side].append(file)
    parts: list[tuple[_Files, _Files]] = []
    room = 0
    for partition in sorted(by_partition, key=lambda values: [(value is not None, value or "") for value in values]):
        files = by_partition[partition]
        rows = sum(file.rows for side in files for file in side)
        if rows > room:
            parts.append(([], []))
            room = _AT_ONCE
        room -= rows
        for side in (0, 1):
            parts[-1][side].extend(files[side])
    return parts


def _contract_change(one: lake.Snapshot, two: lake.Snapshot) -> ContractChange | None:
    """Return how the contracts of two versions of a table differ; None where they do not, or nothing recorded it."""
    before, after = contract.tagged(one.properties), contract.tagged(two.properties)
    changes = contract.required_bump(before.logic, after.logic)[1] if before and after else []
    if not changes and (before and before.version) == (after and after.version):
        return None
    return ContractChange(before.version if before else None, after.version if after else None, tuple(changes))


def _opened(side: Side, name: str) -> lake.Snapshot | None:
    version = side.versions.get(name)
    return None if version is None else lake.check_restorable(lake.table_path(side.data, name), version)


def _key(project: Project, name: str, columns: Mapping[str, str]) -> tuple[str, ...]:
    known = {**project.contracts.silver, **project.contracts.gold}
    table = known.get(name)
    history = ("_valid_from",) if table and table.history == "scd2" else ()
    return (*table.key, *history) if table and table.key and set(table.key) <= columns.keys() else ()


# -- as text


def print_release_difference(found: ReleaseDifference) -> None:
    """Print what differs between two releases."""
    print(f"from {found.before} to {found.after}")
    if not found.tables:
        print("No row differs.")
    for one in found.tables:
        _print_table(one)
    if found.moved:
        branch = found.after if found.before == MAIN else found.before
        others = f"main has moved since branch {branch} was made: {', '.join(found.moved)}"
        console.note(f"{others}; `diff {branch}` alone shows what the branch changed")


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
    if one.contract:
        before, after = one.contract.before or "none recorded", one.contract.after or "none recorded"
        print(f"  contract {before} -> {after}{''.join(f'; {text}' for text in one.contract.changes)}")
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
