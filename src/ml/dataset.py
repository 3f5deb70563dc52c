"""The rows that a model learns from as of a moment: features, outcome, and when each was known.

Nothing of later is in them: events up to the moment, outcomes known up to then. A row whose outcome was known at its
event already is left out: to tell it is no prediction. The order of rows is that of events and keys, so that the same
data give the same model.

Held out are the newest events. Trained on are the rows whose outcome was known before the first of these: at that
moment a model could have been trained on them and asked about what follows. Events of one time are never parted.

An event counts, in either part, once as much time has passed as SETTLED of the outcomes take to become known. Of newer
ones only the quick outcomes are known, and these are not like the others: a delivery that is late is known late.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from src import lake
from src.contract import MlModel, Table
from src.engine import DuckEngine, identifier, literal
from src.errors import ContractError, DataError, UsageError
from src.ml.frames import Feature, features_of, read_frame, selected
from src.project import Project

if TYPE_CHECKING:
    import polars

ROWS = "ml_rows"  # temporary table: the labelled rows of one model
EVENT, _KNOWN, _LABEL = "_event_time", "_known_at", "_label"
_MOMENTS = ("DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE")
SETTLED = 0.95
LEAST_TRAINING, LEAST_OF_EACH, LEAST_HELD_OUT = 50, 5, 20  # rows: below, figures are chance


class TooFewError(DataError):
    """Too few rows have an outcome yet to train on, or to judge by."""


class UnreleasedError(UsageError):
    """A table that a model reads is in no release yet."""


@dataclass(frozen=True)
class Examples:
    """Rows with their outcomes; `frame` has a column for each feature."""

    frame: polars.DataFrame
    labels: tuple[bool, ...]

    @property
    def positive(self) -> int:
        """Return how many have the outcome."""
        return sum(self.labels)


@dataclass(frozen=True)
class Dataset:
    """The labelled rows of a model as of a moment, in the temporary table ROWS."""

    engine: DuckEngine
    features: tuple[Feature, ...]
    order: str  # SQL: events, then keys
    versions: Mapping[str, int]  # of the tables that were read
    rows: int
    as_of: datetime  # in UTC

    def examples(self, condition: str) -> Examples:
        """Return the rows that meet an SQL condition, in order."""
        rows = f"FROM {ROWS} WHERE {condition} ORDER BY {self.order}"
        labels = self.engine.values(f"SELECT {_LABEL} {rows}")
        return Examples(read_frame(self.engine, self.features, rows), tuple(labels))


@dataclass(frozen=True)
class Split:
    """The two parts of a dataset, as SQL conditions; held out is what happened from `holdout_from` on.

    `settling`: the time that SETTLED of the outcomes took to become known.
    """

    holdout_from: datetime
    training: str
    holdout: str
    settling: timedelta


def read_dataset(project: Project, model: MlModel, as_of: datetime, versions: Mapping[str, int]) -> Dataset:
    """Return the labelled rows of a model as of a moment (UTC), of these versions of its tables.

    Raises:
        ContractError: the label or the condition is no SQL over its table, or of a wrong type.
        UnreleasedError: a table is in no release yet.
        DataError: two outcomes for one key.
    """
    features, labelled = (project.declared(name) for name in (model.features, model.label.table))
    read = {table.id: _open(project, table, versions) for table in (features, labelled)}
    engine = project.engine
    events = _events(engine, model, features, read[features.id])
    outcomes = _outcomes(engine, model, features, read[labelled.id])
    keys = ", ".join(map(identifier, features.key))
    moment = _moment(as_of)
    rows = engine.table(
        ROWS,
        f"SELECT * FROM {events} JOIN {outcomes} USING ({keys}) WHERE {_LABEL} IS NOT NULL "
        f"AND {EVENT} <= {moment} AND {_KNOWN} <= {moment} AND {_KNOWN} > {EVENT}",
    )
    found = {name: table.version for name, table in read.items()}
    return Dataset(engine, features_of(features), f"{EVENT}, {keys}", found, rows, as_of)


def split(dataset: Dataset, model: MlModel) -> Split:
    """Return the parts of a dataset by time; the newest `holdout` share of its events is held out.

    Raises:
        TooFewError: there are too few rows to train on or to judge by; the message says how many there must be.
    """
    settling = _settling(dataset)
    settled = f"{EVENT} <= {_moment(dataset.as_of - settling)}"
    held_out = max(1, round(dataset.engine.one(f"SELECT count(*) FROM {ROWS} WHERE {settled}")[0] * model.holdout))
    newest = f"SELECT {EVENT} FROM {ROWS} WHERE {settled} ORDER BY {EVENT} DESC LIMIT 1 OFFSET {held_out - 1}"
    first = dataset.engine.values(newest)
    if not first:
        raise _too_few(model, 0, 0, 0)
    known = f"{_KNOWN} < {_moment(first[0])} AND {EVENT} < {_moment(first[0] - settling)}"
    found = Split(first[0], known, f"{since(first[0])} AND {settled}", settling)
    counts = f"count(*) FILTER ({found.training}), count(*) FILTER ({found.training} AND {_LABEL})"
    rows, positive, judged = dataset.engine.one(f"SELECT {counts}, count(*) FILTER ({found.holdout}) FROM {ROWS}")
    if rows < LEAST_TRAINING or min(positive, rows - positive) < LEAST_OF_EACH or judged < LEAST_HELD_OUT:
        raise _too_few(model, rows, positive, judged)
    return found


def since(moment: datetime) -> str:
    """Return the SQL condition of rows whose events are not before a moment."""
    return f"{EVENT} >= {_moment(moment)}"


def _settling(dataset: Dataset) -> timedelta:
    """Return the time within which SETTLED of a dataset's outcomes became known; nothing where it has none."""
    taken = f"epoch({_KNOWN}) - epoch({EVENT})"
    (seconds,) = dataset.engine.one(f"SELECT quantile_disc({taken}, {SETTLED}) FROM {ROWS}")
    return timedelta(seconds=seconds or 0)


def _moment(moment: datetime) -> str:
    return f"{literal(moment.isoformat())}::TIMESTAMPTZ"


def _too_few(model: MlModel, rows: int, positive: int, judged: int) -> TooFewError:
    what = f"{model.id}: {rows:,} rows to train on, the outcome true in {positive:,}; {judged:,} later ones to judge by"
    least = f"{LEAST_TRAINING} rows to train on, {LEAST_OF_EACH} of each outcome, and {LEAST_HELD_OUT} to judge by"
    fix = f"a training needs at least {least}: wait for more outcomes, or train as of later"
    return TooFewError(what, where=model.path, fix=fix)


def _open(project: Project, table: Table, versions: Mapping[str, int]) -> lake.Snapshot:
    if table.id not in versions:
        raise UnreleasedError(f"{table.id} is in no release yet", fix="run `make pipeline` first")
    found = lake.open_table(project.path(table.id), versions[table.id])
    if found is None:
        raise UsageError(f"{table.id} is not there", where=project.path(table.id), fix="run `make pipeline` first")
    return found


def _events(engine: DuckEngine, model: MlModel, features: Table, table: lake.Snapshot) -> str:
    """Return SQL of the events of a features table: keys, time and features."""
    keys, scan = ", ".join(map(identifier, features.key)), engine.scan(table)
    where = "true"
    if model.where is not None:
        where = _bound(engine, model, "where", model.where, scan, ("BOOLEAN",))
    time = f"{identifier(str(features.event_time))}::TIMESTAMPTZ AS {EVENT}"
    return f"(SELECT {keys}, {time}, {selected(features_of(features))} FROM {scan} WHERE {where})"


def _outcomes(engine: DuckEngine, model: MlModel, features: Table, table: lake.Snapshot) -> str:
    """Return SQL of the outcomes of a label's table: keys, the outcome, and when it was known."""
    keys, scan = ", ".join(map(identifier, features.key)), engine.scan(table)
    value = _bound(engine, model, "label.value", model.label.value, scan, ("BOOLEAN",))
    known = _bound(engine, model, "label.knownAt", model.label.known_at, scan, _MOMENTS)
    found = f"(SELECT {keys}, {value} AS {_LABEL}, {known}::TIMESTAMPTZ AS {_KNOWN} FROM {scan})"
    several = f"SELECT {keys} FROM {found} WHERE {_LABEL} IS NOT NULL GROUP BY ALL HAVING count(*) > 1"
    if doubled := engine.rows(f"{several} ORDER BY ALL LIMIT 1"):
        shown = ", ".join(f"{name} {value}" for name, value in zip(features.key, doubled[0], strict=True))
        fix = f"name a table with one row for each {', '.join(features.key)}"
        raise DataError(f"{model.label.table} has several outcomes of {shown}", where=model.path, fix=fix)
    return found


def _bound(engine: DuckEngine, model: MlModel, key: str, expression: str, scan: str, kinds: tuple[str, ...]) -> str:
    """Return an expression of a contract in brackets, once it is sure that it tells of a row alone what it should.

    Raises:
        ContractError: naming the file and the key.
    """
    where, wanted = f"{model.path}, {key}", "true or false" if kinds == ("BOOLEAN",) else "a date or a timestamp"
    bracketed = f"({engine.inline(expression)})"
    try:
        asked = f"SELECT {bracketed}"
        if across := [*engine.looks_across_rows(asked), *engine.unrepeatable(asked)]:
            fix = "write what one row of the table alone tells; anything else belongs in the table"
            raise ContractError(f"it uses {', '.join(across)}", fix=fix)
        found = engine.columns(f"{asked} AS found FROM {scan}")["found"]
    except ContractError as error:
        raise ContractError(f"{key}: {error.what}", where=where, fix=error.fix or "correct the SQL") from None
    if found not in kinds:
        raise ContractError(f"{key} is {found.lower()}", where=where, fix=f"write SQL that is {wanted}")
    return bracketed
