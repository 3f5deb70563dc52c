"""The law of the point in time: a feature of an event uses nothing that was not known at its time.

It is proven by taking later knowledge away. The sources are cut at a moment, as `knownAt` of the contract says: rows
that were not known yet are gone, columns that were not known yet are NULL. The same model over what is left must give
the events up to that moment the same features, cell by cell, and no event more or less. What a model takes from after
an event is missing in a cut between the two. Moments are drawn from those of the events, others each time.

What this cannot see is a `knownAt` that is too early: it takes the contract's word for when something was known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from src import lake
from src.checks import compare
from src.contract import Table
from src.contract.features import ROWS
from src.contract.model import MOMENTS
from src.engine import DuckEngine, identifier, literal
from src.errors import ContractError
from src.gold.computation import Computation
from src.gold.model import Model

LAW = "a feature uses nothing that was not known at the time of its event"
CUTS = 4  # moments that a check cuts at; each computes the table once more


def draw_moments(
    engine: DuckEngine, table: Table, stored: lake.Snapshot, seed: int, most: int = CUTS
) -> list[datetime]:
    """Return moments of events of a stored table of features, at most so many, drawn by a seed; in order."""
    scan, time = engine.scan(stored), f"{identifier(str(table.event_time))}::TIMESTAMPTZ"
    key = ", ".join(map(identifier, table.key))
    events = (
        f"SELECT {time} AS moment FROM {scan} WHERE {time} IS NOT NULL ORDER BY hash({key}, {literal(seed)}), {key}"
    )
    return sorted(engine.values(f"SELECT DISTINCT moment FROM ({events} LIMIT {most})"))


def broken(
    engine: DuckEngine,
    table: Table,
    stored: lake.Snapshot,
    sources: Mapping[str, lake.Snapshot],
    moments: list[datetime],
) -> Iterator[str]:
    """Yield each column of a table of features that uses what was not known, with an event; changes nothing.

    `sources` are the versions that the stored rows were computed from.

    Raises:
        ContractError: `knownAt` does not fit a source, or the model does not give what the contract says.
    """
    for moment in moments:
        views = {name: _cut(engine, table, name, source, moment) for name, source in sources.items()}
        Model(engine, table, sources).over(views, Computation.RESULT)
        yield from _differences(engine, table, stored, moment)


def bind(engine: DuckEngine, table: Table, sources: Mapping[str, lake.Snapshot]) -> None:
    """Bind what `knownAt` says to the columns of the sources; reads no row.

    Raises:
        ContractError: it does not fit.
    """
    for name, source in sources.items():
        _known_at(engine, table, name, source)


def _known_at(engine: DuckEngine, table: Table, name: str, source: lake.Snapshot) -> dict[str, str]:
    """Return from when on a source's rows and columns are known, as SQL over its rows; empty if they always are."""
    declared = (table.known_at or {}).get(name, {})
    where = f"{table.path}, {table.name}, customProperties[knownAt]"
    if unknown := declared.keys() - {ROWS, *source.columns}:
        columns = ", ".join(source.columns)
        raise ContractError(f"no column {', '.join(sorted(unknown))} in {name}", where=where, fix=f"it has {columns}")
    found = {}
    for part, written in declared.items():
        expression = f"({engine.inline(written)})"
        try:
            kind = engine.columns(f"SELECT {expression} AS known FROM {engine.scan(source)}")["known"]
        except ContractError as error:
            raise ContractError(f"{name}, {part}: {error.what}", where=where, fix=error.fix) from None
        if kind not in MOMENTS:
            fix = "write the date or timestamp from which on it is known"
            raise ContractError(f"{name}, {part} is {kind}", where=where, fix=fix)
        found[part] = f"{expression}::TIMESTAMPTZ"
    return found


def _cut(engine: DuckEngine, table: Table, name: str, source: lake.Snapshot, moment: datetime) -> str:
    """Return a SELECT of what was known of a source at a moment."""
    known, scan = _known_at(engine, table, name, source), engine.scan(source)
    until = f"<= {literal(moment.isoformat())}::TIMESTAMPTZ"
    columns = [
        f"CASE WHEN {known[column]} {until} THEN {identifier(column)} END AS {identifier(column)}"
        if column in known
        else identifier(column)
        for column in source.columns
    ]
    rows = f"SELECT * FROM {scan} WHERE {known[ROWS]} {until}" if ROWS in known else f"SELECT * FROM {scan}"
    return f"SELECT {', '.join(columns)} FROM ({rows})"


# -- comparing


def _differences(engine: DuckEngine, table: Table, stored: lake.Snapshot, moment: datetime) -> Iterator[str]:
    kinds = {column.name: column.type for column in table.columns}
    key = ", ".join(map(identifier, table.key))
    time = identifier(str(table.event_time))
    names = [name for name in dict.fromkeys((str(table.event_time), *table.features)) if name not in table.key]
    columns = ", ".join([key, *map(identifier, names), f"{time}::TIMESTAMPTZ AS _event", "true AS _there"])
    until = f"WHERE {time}::TIMESTAMPTZ <= {literal(moment.isoformat())}::TIMESTAMPTZ"
    sides = [f"(SELECT {columns} FROM {rows} {until})" for rows in (engine.scan(stored), Computation.RESULT)]
    joined = f"FROM {sides[0]} a FULL JOIN {sides[1]} b USING ({key})"
    tests = {
        "": "a._there IS DISTINCT FROM b._there",
        **{name: f"a._there AND b._there AND NOT {compare.is_same(identifier(name), kinds[name])}" for name in names},
    }
    counts = engine.one(f"SELECT {', '.join(f'count(*) FILTER ({test})' for test in tests.values())} {joined}")
    shown = f"concat_ws(', ', {key})"
    for (name, test), count in zip(tests.items(), counts, strict=True):
        if not count:
            continue
        values = [f"{side}.{identifier(name)}::VARCHAR" if name else f"{side}._there::VARCHAR" for side in "ab"]
        example = f"SELECT {shown}, coalesce(a._event, b._event), {', '.join(values)} {joined} WHERE {test}"
        yield _found(name, count, engine.one(f"{example} ORDER BY 2 DESC, 1 LIMIT 1"), moment)


def _found(name: str, count: int, example: tuple[object, ...], moment: datetime) -> str:
    event, at, stored, recomputed = example
    rest = f", and {count - 1} more" if count > 1 else ""
    if not name:
        word = "is there" if recomputed is None else "is missing"
        return f"event {event} of {_text(at)} {word} only by what was not known on {_text(moment)}{rest}"
    return (
        f"{name} of event {event} of {_text(at)} is {_value(stored)}; by what was known on {_text(moment)} "
        f"it is {_value(recomputed)}{rest}"
    )


def _text(moment: object) -> str:
    text = f"{moment:%Y-%m-%d %H:%M:%S}"
    return text.removesuffix(" 00:00:00")


def _value(value: object) -> str:
    return "NULL" if value is None else str(value)
