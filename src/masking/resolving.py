"""Which columns are masked: those of a class, and what is made of them; told from the contracts and the lineage alone.

A column that is made of a masked one and has no classification of its own is masked. So are the columns of the files
that a masked column of silver is made of, and the columns of these files that no table reads: nothing is known of them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from src.contract import PROVENANCE, Column, Table
from src.masking.masks import ALL_OTHERS, Mask, Masks, TableMasks
from src.origins import read_all_origins
from src.project import Project
from src.proof.columns import Origin, Reference

_LEARNT = ("artefact", "distributions")  # columns of a trained model that may hold values it learnt from
IsClosed = Callable[[Column], bool]


def closed_columns(project: Project, is_closed: IsClosed) -> set[Reference]:
    """Return the columns that are closed, those of feeds that they are made of, and what is made of any of these."""
    return _closed(project, is_closed, read_all_origins(project))


def of_classes(classes: Collection[str]) -> IsClosed:
    """Return whether a column, or a part of it, has one of these classifications (in lower case)."""

    def is_closed(column: Column) -> bool:
        return (column.classification or "").lower() in classes or any(map(is_closed, column.parts))

    return is_closed


def resolve(project: Project, read_key: Callable[[], str | None]) -> Masks:
    """Return the masks of a project's tables by the setting MASK; `read_key` gives the secret of hashes."""
    classes = project.settings.masked_classes
    if not classes:
        return Masks(off=True)
    tables = (*project.contracts.silver.values(), *project.marts)
    declared = frozenset({*(table.id for table in tables), *project.contracts.feeds})
    is_closed = of_classes(classes)
    if not any(is_closed(column) for table in tables for column in table.columns):
        return Masks({}, declared)
    origins = read_all_origins(project)
    closed = _closed(project, is_closed, origins)
    found: dict[str, TableMasks] = {}
    for table in tables:  # each after those that it is made of
        masked = {
            name.lower(): _mask(table, name, origins.get((table.id, name)), found, is_closed)
            for name in table.stored_columns
            if (table.id, name) in closed and name not in PROVENANCE
        }
        if masked:
            opened = _names(table) - masked.keys()
            found[table.id] = TableMasks(masked, opened, _quoted(table, opened, closed, origins))
    with_masks = set(found)
    for model in project.contracts.models.values():
        if model.features in with_masks:
            found[model.id] = TableMasks(
                {name: Mask("null", f"learnt from {model.features}") for name in _LEARNT}, ALL_OTHERS
            )
    for mart in project.marts:  # no column of it is masked, but an error of its model may quote what it reads
        if mart.id not in found and with_masks & set(mart.sources):
            found[mart.id] = TableMasks({}, _names(mart), _names(mart))
    return Masks(found | _of_files(project, closed, origins, found), declared, read_key())


def _quoted(
    table: Table, opened: frozenset[str], closed: set[Reference], origins: Mapping[Reference, Origin]
) -> frozenset[str]:
    """Return those of the open columns of which a reason may tell the value: it quotes what they are made of."""
    return frozenset(
        name.lower()
        for name in table.stored_columns
        if name.lower() in opened
        and (origin := origins.get((table.id, name)))
        and not _is_made_of(Origin(origin.values), closed)
    )


def _names(table: Table) -> frozenset[str]:
    return frozenset(name.lower() for name in table.stored_columns)


def _closed(project: Project, is_closed: IsClosed, origins: Mapping[Reference, Origin]) -> set[Reference]:
    declared = [*project.contracts.silver.values(), *project.marts]
    columns: dict[Reference, Column] = {
        (table.id, column.name): column for table in declared for column in table.columns
    }
    closed = {reference for reference, column in columns.items() if is_closed(column)}
    for reference in list(closed):
        if reference[0].startswith("silver."):
            closed |= origins[reference].values
    for reference, origin in origins.items():  # each after those that it is made of
        stated = columns[reference].classification if reference in columns else None
        if not stated and _is_made_of(origin, closed):
            closed.add(reference)
    return closed


def _is_made_of(origin: Origin, closed: Collection[Reference]) -> bool:
    some_of = {table for table, _ in closed}
    return any(
        {(table, column), (table, None)} & set(closed) or (column is None and table in some_of)
        for table, column in origin.values
    )


def _mask(table: Table, name: str, origin: Origin | None, found: Mapping[str, TableMasks], is_closed: IsClosed) -> Mask:
    """Return the mask of a closed column; `found` are those of the tables that it may be made of.

    What is made of something that is null is null.
    """
    column = next((one for one in table.columns if one.name == name), None)
    is_text = column is not None and column.type == "VARCHAR" and column.form is None
    usual = "hash" if is_text else "null"
    if column and is_closed(column):
        return Mask(column.mask or usual, (column.classification or "a part of it is classified").lower())
    of = [
        (made_of, source, mask)
        for made_of, source in sorted(origin.values if origin else (), key=str)
        if made_of in found
        for mask in _masks_of(found[made_of], source)
    ]
    if not of:
        return Mask(usual, "made of what is masked")
    why = f"made of {of[0][0]}.{of[0][1]}" if of[0][1] else f"may be made of any column of {of[0][0]}"
    return Mask("null" if any(mask.kind == "null" for *_, mask in of) else usual, why)


def _masks_of(table: TableMasks, column: str | None) -> list[Mask]:
    if column is None:
        return list(table.masked.values())
    mask = table.masked.get(column.lower())
    return [mask] if mask else []


def _of_files(
    project: Project,
    closed: set[Reference],
    origins: Mapping[Reference, Origin],
    found: Mapping[str, TableMasks],
) -> dict[str, TableMasks]:
    """Return the masks of the feeds of masked tables, and what is open of the values that quarantine keeps of them."""
    feeds = {
        feed.id: _of_feed(feed.id, closed, origins, found)
        for table in project.contracts.silver.values()
        for feed in table.feeds
        if any(name == feed.id for name, _ in closed)
    }
    beside: dict[str, TableMasks] = {}
    for table in project.contracts.silver.values():
        masked = [feeds[feed.id] for feed in table.feeds if feed.id in feeds]
        if masked:
            opened = frozenset.intersection(*(one.open for one in masked)) if table.sql is None else frozenset[str]()
            beside[f"quarantine.{table.domain}.{table.name}"] = TableMasks({}, opened)
            if table.id not in found:  # none of its columns is masked, but a column of its files is
                names = _names(table)
                beside[table.id] = TableMasks({}, names, _quoted(table, names, closed, origins))
    return feeds | beside


def _of_feed(
    feed: str, closed: set[Reference], origins: Mapping[Reference, Origin], found: Mapping[str, TableMasks]
) -> TableMasks:
    """Return the masks of a feed's columns: null where a masked column that is made of one is, else hash."""
    masked = {name.lower(): Mask("hash", "a masked column is made of it") for of, name in closed if of == feed and name}
    read: set[str] = set()
    for (table, column), origin in origins.items():
        read |= {name.lower() for source, name in origin.all if source == feed and name}
        mask = found[table].masked.get(str(column).lower()) if table in found else None
        for source, name in origin.values if mask else ():
            if source == feed and name and (mask_of := masked.get(name.lower())):
                kind = "null" if mask and mask.kind == "null" else mask_of.kind
                masked[name.lower()] = Mask(kind, f"{table}.{column} is made of it")
    anything = (feed, None) in closed  # which column a masked one is made of cannot be told
    opened = frozenset[str]() if anything else frozenset(read - set(masked))
    return TableMasks(masked, opened, why="no table reads it, and its file has masked columns")
