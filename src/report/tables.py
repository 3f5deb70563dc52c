"""The tables of the lake: a list of all that can be read, and all that is known of one of them. Both only read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from src import catalog, console, contract, lake
from src.checks.comparison import first_rows
from src.contract import Column, Table
from src.errors import BoathouseError, UsageError
from src.facts.table import downstream_of
from src.masking.masks import Masks, note
from src.preview.rows import ColumnFigures, figures
from src.project import Project, learns_from
from src.project import upstream as upstream_of
from src.run import releases
from src.run.releases import Standing

_FIRST = 3  # rows that a description shows


@dataclass(frozen=True)
class TableEntry:
    """One table as readers see it: `version` is the released one, or the newest of a table that no release names."""

    table: str
    layer: str
    rows: int | None = None  # None: it cannot be read
    version: int | None = None
    columns: int | None = None
    bytes: int | None = None
    changed_at: datetime | None = None  # when that version was written (UTC)
    draft: bool = False  # built from a contract that may change under one version
    behind: str | None = None  # what readers do not see yet, and why
    error: str | None = None  # why it cannot be read
    view: str | None = None  # what a row of it is, where it is a view: nothing is stored for it


@dataclass(frozen=True)
class ColumnDescription:
    """One column: what the contract says of it, and its values in figures, None where the table is not built."""

    column: str
    type: str
    key: bool
    required: bool
    description: str
    expression: str | None  # by which silver computes it
    figures: ColumnFigures | None


@dataclass(frozen=True)
class TableDescription:
    """All that is known of one table; `entry` is None where it is not built yet, `contract` where none declares it."""

    table: str
    description: str
    entry: TableEntry | None
    contract: Path | None
    contract_version: str | None
    key: tuple[str, ...]
    partition_by: tuple[str, ...]
    sequence_by: tuple[str, ...]
    files: tuple[str, ...]  # the globs of its feeds, below the landing zone
    upstream: tuple[str, ...]
    downstream: tuple[str, ...]
    columns: tuple[ColumnDescription, ...]
    first: tuple[dict[str, Any], ...]
    masked: str | None = None  # which of the columns are masked, in a line


def read_tables(data: Path) -> list[TableEntry]:
    """Return every table of the lake by layer and name, then the views; one that cannot be read says why.

    Raises:
        NewerFormat: a later release wrote the lake.
    """
    catalog.refuse_newer(data)
    versions, behind = releases.newest(data), releases.behind(data)
    known = catalog.tables(data)
    found = [_entry(name, root, versions, behind) for name, root in known.items()]
    return found + [_view_entry(name) for name in catalog.views(known)]


def print_tables(tables: Sequence[TableEntry]) -> None:
    """Print the list of tables."""
    if not tables:
        print("No table yet. Land files, and type `make pipeline`.")
        return
    headers = ("table", "rows", "version", "columns", "bytes", "changed (UTC)", "")
    console.table(headers, [(t.table, t.rows, t.version, t.columns, t.bytes, _time(t), _marks(t)) for t in tables])
    print('make describe TABLE=name shows one, make query SQL="select * from name" its rows')


def describe(project: Project, name: str, masks: Masks, rows: int = _FIRST) -> TableDescription:
    """Return what is known of a table of any layer, named by its id or as much of its end as it alone has.

    Raises:
        UsageError: there is none of that name, or several are.
        MachineError: it is damaged.
    """
    data = project.settings.data_dir
    stored = catalog.tables(data)
    declared = {**project.contracts.silver, **{table.id: table for table in project.marts}}
    name = _named(name, [*declared, *project.contracts.feeds, *stored, *(views := catalog.views(stored))])
    if name in views:
        return _described_view(project, name, masks, rows)
    table, model = declared.get(name), project.contracts.models.get(name)
    feed, declares = project.contracts.feeds.get(name), table or model
    snapshot = lake.open_table(stored[name], releases.newest(data).get(name)) if name in stored else None
    entry = _entry(name, stored[name], releases.newest(data), releases.behind(data)) if snapshot else None
    return TableDescription(
        table=name,
        description=declares.description if declares else "",
        entry=entry,
        contract=declares.path if declares else feed.declared_in if feed else None,
        contract_version=declares.version if declares else None,
        key=table.key if table else ("version",) if model else (),
        partition_by=snapshot.partition_by if snapshot else table.partition_by if table else (),
        sequence_by=table.sequence_by if table else (),
        files=tuple(one.path for one in (table.feeds if table else (feed,) if feed else ())),
        upstream=tuple(upstream_of(table) if table else learns_from(project)[name] if model else ()),
        downstream=tuple(downstream_of(project, name)),
        columns=_columns(project, table, snapshot, _scan(project, name, snapshot, masks) if snapshot else ""),
        first=_first_rows(project, name, snapshot, rows, masks) if snapshot else (),
        masked=note(masks, {name: tuple(snapshot.columns)}) if snapshot else None,
    )


def _described_view(project: Project, name: str, masks: Masks, rows: int) -> TableDescription:
    """Return what is known of a view: its columns, what it reads, and its first rows."""
    engine, data = project.engine, project.settings.data_dir
    catalog.publish_named(engine, data, [name], releases.newest(data), masks.select_in(engine))
    kinds = engine.columns(f"FROM {name}")
    seen = {one.column: one for one in figures(engine, name, kinds)}
    return TableDescription(
        table=name,
        description=catalog.described(name),
        entry=_view_entry(name),
        contract=None,
        contract_version=None,
        key=(),
        partition_by=(),
        sequence_by=(),
        files=(),
        upstream=tuple(sorted(engine.table_references(catalog.views(catalog.tables(data))[name]))),
        downstream=(),
        columns=tuple(ColumnDescription(one, kind, False, False, "", None, seen[one]) for one, kind in kinds.items()),
        first=first_rows(engine, name, kinds, rows),
    )


def print_description(found: TableDescription) -> None:
    """Print a description: facts, columns, some rows."""
    print(f"{found.table}: {found.description}" if found.description else found.table)
    console.table(("", ""), [(name, text) for name, text in _facts(found) if text], ruled=False)
    print()
    columns = [(c.column, c.type, _asked(c), *_seen(c.figures), c.description or c.expression) for c in found.columns]
    console.table(("column", "type", "", "filled", "distinct", "least", "greatest", "description"), columns)
    if found.first:
        print()
        names = list(found.first[0])
        console.table(names, [[row[name] for name in names] for row in found.first], grouped=False, null="NULL")


def _entry(name: str, root: Path, versions: Mapping[str, int], behind: Mapping[str, Standing]) -> TableEntry:
    layer = name.partition(".")[0]
    try:
        snapshot = lake.open_table(root, versions.get(name))
        if snapshot is None:
            return TableEntry(name, layer, error="no version can be read")
        stamp = lake.commit_info(root, snapshot.version).get("timestamp")
        return TableEntry(
            table=name,
            layer=layer,
            rows=snapshot.rows,
            version=snapshot.version,
            columns=len(snapshot.columns),
            bytes=snapshot.size,
            changed_at=datetime.fromtimestamp(stamp / 1000, UTC) if stamp else None,
            draft=contract.is_draft(snapshot.properties),
            behind=releases.describe(behind[name]) if name in behind else None,
        )
    except BoathouseError as error:
        return TableEntry(name, layer, error=error.what)


def _view_entry(name: str) -> TableEntry:
    return TableEntry(name, name.partition(".")[0], view=catalog.described(name))


def _named(name: str, known: Sequence[str]) -> str:
    """Return the id that a name means: all of it, or what one table's id ends with.

    A feed, a quarantine or a table of deletions often ends as its silver table does, which is then meant.
    """
    if name in known:
        return name
    ends = [one for one in dict.fromkeys(known) if one.endswith(f".{name}")]
    found = [one for one in ends if one.startswith(("silver.", "gold."))] or ends
    if len(found) > 1:
        raise UsageError(f"{name} may be {' or '.join(found)}", fix="write more of the name")
    if not found:
        raise catalog.unknown_table([name], sorted(set(known)))
    return found[0]


def _columns(
    project: Project, table: Table | None, snapshot: lake.Snapshot | None, scan: str
) -> tuple[ColumnDescription, ...]:
    by_name: dict[str, Column] = {column.name: column for column in table.columns} if table else {}
    kinds = snapshot.columns if snapshot else table.stored_columns if table else {}
    seen: dict[str, ColumnFigures] = {}
    if snapshot:
        seen = {one.column: one for one in figures(project.engine, scan, kinds)}
    found = []
    for name, kind in kinds.items():
        column = by_name.get(name)
        found.append(
            ColumnDescription(
                column=name,
                type=kind,
                key=bool(table) and name in table.key,  # type: ignore[union-attr]
                required=bool(column and column.required),
                description=column.description if column else "",
                expression=column.expression if column else None,
                figures=seen.get(name),
            )
        )
    return tuple(found)


def _scan(project: Project, name: str, snapshot: lake.Snapshot, masks: Masks) -> str:
    return masks.relation(project.engine, name, snapshot.columns, project.engine.scan(snapshot, evolved=True))


def _first_rows(
    project: Project, name: str, snapshot: lake.Snapshot, rows: int, masks: Masks
) -> tuple[dict[str, Any], ...]:
    scan = _scan(project, name, snapshot, masks)
    return first_rows(project.engine, scan, snapshot.columns, rows)


# -- printed


def _facts(found: TableDescription) -> list[tuple[str, str]]:
    entry = found.entry
    stored = f"{entry.rows:,} rows, {entry.bytes:,} bytes" if entry and entry.rows is not None else "not built yet"
    stored = "computed when it is read" if entry and entry.view else stored
    declared = filter(None, (str(found.contract) if found.contract else "", found.contract_version))
    return [
        ("rows", stored),
        ("version", f"{entry.version}, written {_time(entry)} UTC" if entry and not entry.view else ""),
        ("marks", _marks(entry) if entry else ""),
        ("contract", ", ".join(declared)),
        ("key", ", ".join(found.key)),
        ("partitions", ", ".join(found.partition_by)),
        ("newest by", ", ".join(found.sequence_by)),
        ("files", ", ".join(found.files)),
        ("reads", ", ".join(found.upstream)),
        ("read by", ", ".join(found.downstream)),
        ("masked", (found.masked or "").removeprefix("masked: ")),
    ]


def _time(entry: TableEntry) -> str:
    return f"{entry.changed_at:%Y-%m-%d %H:%M}" if entry.changed_at else ""


def _marks(entry: TableEntry) -> str:
    return "; ".join(
        filter(
            None, ("view" if entry.view else "", "draft" if entry.draft else "", entry.behind or "", entry.error or "")
        )
    )


def _asked(column: ColumnDescription) -> str:
    return "key" if column.key else "required" if column.required else ""


def _seen(found: ColumnFigures | None) -> tuple[str, str, str | None, str | None]:
    if found is None:
        return "", "", None, None
    filled = "" if found.filled_percent is None else f"{found.filled_percent:.4g} %"
    return filled, f"{'~' if found.estimated else ''}{found.distinct:,}", _short(found.least), _short(found.greatest)


def _short(text: str | None, most: int = 40) -> str | None:
    return text if text is None or len(text) <= most else f"{text[:most]} ..."
