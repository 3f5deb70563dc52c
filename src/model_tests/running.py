"""A test is run by the product's own steps: given rows become tables, or files that land; what comes out is compared.

A gold test computes its table whole. A silver test lands its files in a lake of its own, below a temporary folder, and
carries each load through bronze into silver, as a run does. Audits, foreign keys and the budget of rejects judge whole
tables and loads, and a few rows say nothing of these: they are left out.
"""

from __future__ import annotations

import gzip
import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from glob import escape
from pathlib import Path

from src import lake
from src.bronze import ingest
from src.bronze.readers import SYSTEM_COLUMNS
from src.contract import Feed, Table
from src.contract.errors import hint
from src.contract.patterns import FilePattern
from src.engine import DuckEngine, identifier
from src.errors import BoathouseError, ContractError
from src.gold import aggregate
from src.gold.computation import Computation
from src.model_tests import differences, typed
from src.model_tests.declared import FILE, LINE, REASONS, Given, ModelTest, Nested, Row
from src.model_tests.differences import Difference, Expected, Values
from src.project import Project, Unbuilt
from src.silver import clean

_FIRST_LOAD = datetime(2000, 1, 1, tzinfo=UTC)  # a day apart: the same at every run of a test
_BATCH = "test"  # what runs it, in the columns that name a run
_WILD = set("*?[")


@dataclass(frozen=True)
class Result:
    """The result of one test: the differences, or the error that ended it; neither where it passed."""

    test: ModelTest
    seconds: float
    differences: tuple[Difference, ...] = ()
    error: BoathouseError | None = None

    @property
    def passed(self) -> bool:
        """Return whether the test passed."""
        return not self.differences and self.error is None


def run_tests(project: Project, tests: Sequence[ModelTest]) -> Iterator[Result]:
    """Run tests one after the other with the project's engine; neither its lake nor its landing zone is touched."""
    with tempfile.TemporaryDirectory(prefix="boathouse-tests-") as folder:
        for at, test in enumerate(tests):
            room = Path(folder) / str(at)
            room.mkdir()
            yield _result(project, test, room)
            shutil.rmtree(room, ignore_errors=True)


def _result(project: Project, test: ModelTest, room: Path) -> Result:
    start = time.monotonic()
    table = replace(test.table, run_date=test.run_date, quality=(), relationships=())
    if test.run_date:
        project.engine.set_run_date(test.run_date)
    found: list[Difference | None] = []
    error = None
    try:
        if table.layer == "gold":
            found.append(_gold(project, replace(test, table=table), room))
        else:
            found += _silver(project, replace(test, table=table), room)
    except BoathouseError as raised:
        error = raised
    return Result(test, time.monotonic() - start, tuple(one for one in found if one), error)


def _compared(engine: DuckEngine, test: ModelTest, relation: str) -> Difference | None:
    """Compare the rows of the table with those that are expected, in the columns that these name."""
    table, expect = test.table, test.expect or ()
    kinds = {name: kind for name, kind in table.stored_columns.items() if any(name in row.values for row in expect)}
    columns = [*kinds] or [*table.stored_columns]
    written = typed.texts(engine, columns, typed.table(engine, kinds, expect)) if expect else []
    expected = [Expected(values, row.where) for values, row in zip(written, expect, strict=True)]
    key = [*table.key, *(["_valid_from"] if table.history == "scd2" else [])]
    key = key if set(key) <= set(columns) else []
    found = typed.texts(engine, columns, relation)
    same = differences.by_type(table.stored_columns)
    return differences.between(table.id, columns, key, expected, found, same)


# -- gold


class _Given(lake.Snapshot):
    """A source with the rows that a test gives it: files of no table, and no log."""

    def __init__(self, root: Path, columns: Mapping[str, str], files: Sequence[lake.DataFile]) -> None:
        self.root, self.version, self.identity = root, 0, 0
        self.columns, self.partition_by = dict(columns), ()
        self.files, self.properties = tuple(files), {}


def _gold(project: Project, test: ModelTest, room: Path) -> Difference | None:
    engine = project.engine
    sources: dict[str, lake.Snapshot] = {}
    for name in test.table.sources:
        declared = project.declared(name)
        rows = test.loads[0].get(name)
        sources[name] = Unbuilt(declared) if rows is None else _source(engine, declared, rows, room / name)
    aggregate.compute(engine, _judged(test), sources)
    return _compared(engine, test, Computation.RESULT)


def _judged(test: ModelTest) -> Table:
    """Return the table with the key and the required columns that the test names: others may be left out."""
    table = test.table
    named = {name for row in test.expect or () for name in row.values}
    return replace(
        table,
        columns=tuple(replace(c, required=c.required and c.name in named) for c in table.columns),
        key=table.key if named.issuperset(table.key) else (),
        partition_by=tuple(name for name in table.partition_by if name in named),
    )


def _source(engine: DuckEngine, table: Table, rows: Given, root: Path) -> _Given:
    assert not isinstance(rows, Path), "a gold test is given rows"
    root.mkdir()
    relation = typed.table(engine, table.stored_columns, rows)
    return _Given(root, table.stored_columns, engine.write(f"FROM {relation}", root))


# -- silver


def _silver(project: Project, test: ModelTest, room: Path) -> Iterator[Difference | None]:
    engine, table, path = project.engine, test.table, partial(lake.table_path, room / "data")
    places = clean.Places.of_table(table, path)
    for nth, load in enumerate(test.loads):
        now = _FIRST_LOAD + timedelta(days=nth)
        for feed in table.feeds:
            if feed.id in load:
                _land(project, table, feed, load[feed.id], room / "landing", nth, path(feed.id), now)
        clean.run(engine, table, places, batch=_BATCH, accepted_by=_BATCH, removals_accepted_by=_BATCH)
    built = lake.open_table(places.table)
    if test.expect is not None:
        yield _compared(engine, test, engine.scan(built) if built else f"({_empty(table)})")
    yield _quarantined(engine, test, places)


def _empty(table: Table) -> str:
    columns = (f"NULL::{kind} AS {identifier(name)}" for name, kind in table.stored_columns.items())
    return f"SELECT {', '.join(columns)} WHERE false"


def _land(
    project: Project, table: Table, feed: Feed, given: Given, landing: Path, nth: int, bronze: Path, now: datetime
) -> None:
    """Land what a load brings of a feed, and take it; rows land as files of JSON objects, with the texts given.

    Raises:
        BoathouseError: a file is refused.
    """
    latest_wins, feed = project.contracts.latest_wins(feed), project.expecting(feed)
    folder = "".join(f"{part}/" for part in _until_wild(feed.path))
    if isinstance(given, Path):
        name = f"{folder}{given.name}"
        _write(landing / name, given.read_bytes())
        names = [name]
    else:
        names = []
        for name, rows in _by_file(feed, given, f"{folder}{feed.name}-{nth + 1}.ndjson").items():
            content = _as_objects(rows, _read_of_files(project.engine, table)).encode()
            _write(landing / name, gzip.compress(content) if name.endswith(".gz") else content)
            names.append(name)
        feed = replace(feed, format="ndjson", encoding="utf-8")
    for name in names:
        outcome = ingest.run(
            project.engine,
            landing,
            bronze,
            replace(feed, path=escape(name)),
            batch=_BATCH,
            now=now,
            settle=0,
            latest_wins=latest_wins,
        )
        for refusal in outcome.refusals:
            raise refusal


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _by_file(feed: Feed, rows: Sequence[Row], default: str) -> dict[str, list[Row]]:
    """Return rows by the file that brings them: the one that a row names, below the landing zone, or the default.

    A row that names a file and nothing else is a file without a row.

    Raises:
        ContractError: a row names a file that the feed would not take.
    """
    found: dict[str, list[Row]] = {}
    for row in rows:
        values = dict(row.values)
        name = values.pop(FILE, None) or default
        if name != default and not FilePattern(feed.path).may_take(name):
            raise ContractError(f"path {feed.path} does not take {name}", where=row.where, fix=f"correct `{FILE}`")
        found.setdefault(name, []).extend([replace(row, values=values)] if values else ())
    return found or {default: []}


def _until_wild(pattern: str) -> Iterator[str]:
    """Yield the folders of a feed's path, as far as they are named."""
    for part in pattern.split("/")[:-1]:
        if _WILD & set(part):
            return
        yield part


def _as_objects(rows: Sequence[Row], columns: Sequence[str]) -> str:
    """Return rows as JSON objects, one a line; a column that no row has is null in the first."""
    known = {name.lower() for row in rows for name in row.values}
    absent = [name for name in columns if name not in known]
    lines = []
    for nth, row in enumerate(rows):
        values = {**row.values, **(dict.fromkeys(absent) if nth == 0 else {})}
        parts = (f"{json.dumps(name)}: {v if isinstance(v, Nested) else json.dumps(v)}" for name, v in values.items())
        lines.append(f"{{{', '.join(parts)}}}\n")
    return "".join(lines)


def _read_of_files(engine: DuckEngine, table: Table) -> list[str]:
    """Return a feed's columns that the table's expressions read, in lower case; none for a table with SQL."""
    if table.sql is not None:
        return []
    own = {column.name for column in table.columns}
    found: dict[str, None] = {}
    for column in table.columns:
        for name in engine.column_references(column.expression) if column.expression else {column.name}:
            if name not in SYSTEM_COLUMNS and (name not in own or name == column.name):
                found[name] = None
    return [*found]


def _quarantined(engine: DuckEngine, test: ModelTest, places: clean.Places) -> Difference | None:
    """Compare the rows in quarantine with those that are expected; a test that says nothing of it expects none."""
    table = lake.open_table(places.quarantine)
    read = "_values, _reasons, json_valid(_values) AND _values[1] = '{'"
    rejected = engine.rows(f"SELECT {read} FROM {engine.scan(table)} ORDER BY _ingested_at, _row") if table else []
    expect = test.quarantine or ()
    columns = [*dict.fromkeys(name for row in expect for name in row.values)] or [LINE]
    known = {LINE, *_landed_columns(places)}
    for row in expect:
        for name in row.values:
            if name not in known:
                raise ContractError(f"no column {name} in what landed", where=row.where, fix=hint(name, known))
    expected = [
        Expected((*(row.values.get(name) for name in columns), json.dumps(row.reasons)), row.where) for row in expect
    ]
    found = [_rejected(columns, *row) for row in rejected]
    quarantine = f"quarantine.{test.table.domain}.{test.table.name}"
    return differences.between(quarantine, [*columns, REASONS], columns, expected, found, _same_in_quarantine)


def _landed_columns(places: clean.Places) -> set[str]:
    opened = (lake.open_table(root) for root in places.bronze.values())
    return {name for bronze in opened if bronze for name in bronze.columns if name[0] != "_"}


def _rejected(columns: Sequence[str], text: str | None, reasons: Sequence[str], is_object: bool) -> Values:
    values = json.loads(text) if text and is_object else {}
    line = None if is_object and len(columns) > 1 else text
    shown = (line if name == LINE else _plain(values.get(name)) for name in columns)
    return (*shown, json.dumps(list(reasons)))


def _plain(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _same_in_quarantine(column: str, expected: str | None, found: str | None) -> bool:
    """Return True if two values are the same text; of reasons, if each expected one is a part of one that was found."""
    if column != REASONS:
        return expected == found
    wanted, left = json.loads(expected or "[]"), json.loads(found or "[]")
    for text in wanted:
        at = next((at for at, reason in enumerate(left) if text in reason), None)
        if at is None:
            return False
        del left[at]
    return not left
