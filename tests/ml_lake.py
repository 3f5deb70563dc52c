"""A small lake with a model in use: parcels, some of which come late. Its tables are written as rows, without a run.

Forty parcels a day over six weeks up to MONDAY; every fifth is late, and known to be so two days after it was sent.
Version 1 foretells nine of ten outcomes rightly.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from conftest import Lake, reader
from ml_versions import MONDAY, version

from src import lake as delta
from src import records
from src.contract.ml import SCORE_COLUMNS
from src.engine import literal
from src.ml.distributions import write_distributions
from src.ml.versions import Status, Version

DAYS, A_DAY = 42, 40
CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: post
name: Post
version: 1.0.0
status: active
domain: post
description: {purpose: Which parcels come late.}
team: {name: Post, members: [{username: post-office, role: owner}]}
slaProperties: [{property: frequency, value: 1, unit: d}]
schema:
  - name: parcels
    properties:
      - {name: id, logicalType: integer, physicalType: bigint, primaryKey: true, primaryKeyPosition: 1}
      - {name: sent_at, logicalType: timestamp}
      - {name: weight, logicalType: number, physicalType: double, customProperties: [{property: feature, value: true}]}
      - {name: carrier, logicalType: string, customProperties: [{property: feature, value: true}]}
      - {name: weekday, logicalType: integer, customProperties: [{property: feature, value: true}]}
    customProperties:
      - {property: eventTime, value: sent_at}
      - {property: knownAt, value: {silver.post.sent: {rows: sent_at}}}
  - name: risk
    properties:
      - {name: id, logicalType: integer, physicalType: bigint, primaryKey: true, primaryKeyPosition: 1}
      SCORES
    customProperties:
      - {property: scoredBy, value: post.late}
""".replace(
    "SCORES",
    "\n      ".join(
        f"- {{name: {name}, logicalType: {logical}, physicalType: {kind.lower()}}}"
        for (name, kind), logical in zip(
            SCORE_COLUMNS.items(),
            ("number", "boolean", "string", "integer", "timestamp", "boolean", "string"),
            strict=True,
        )
    ),
)
SILVER = """
apiVersion: v3.1.0
kind: DataContract
id: post.{name}
version: 1.0.0
status: active
domain: post
servers:
  - {{server: {name}, type: local, path: post/{name}/*.csv, format: csv}}
schema:
  - name: {name}
    properties:
      - {{name: id, logicalType: integer, physicalType: bigint, primaryKey: true, primaryKeyPosition: 1}}
      - {{name: {moment}, logicalType: timestamp}}
      - {{name: {other}, logicalType: string}}
"""
MODEL = """
version: 1.0.0
owner: post-office
description: Whether a parcel comes late.
features: gold.post.parcels
label: {table: silver.post.arrivals, value: was = 'late', knownAt: arrived_at}
algorithm: logistic_regression
bounds: {accuracy: {min: 0.8}, brier: {max: 0.2}, roc_auc: {min: 0.7}}
seasonal: [weekday]
"""


@dataclass(frozen=True)
class Parcel:
    """A parcel, its outcome, and what was foretold of it."""

    id: int
    sent_at: datetime
    weight: float
    carrier: str | None
    late: bool
    probability: float
    model_version: int = 1
    known_after: int = 2  # days
    afterwards: bool = False  # whether it was scored when its outcome was known

    @property
    def arrived_at(self) -> datetime | None:
        arrived = self.sent_at + timedelta(days=self.known_after)
        return arrived if arrived <= MONDAY else None


@dataclass(frozen=True)
class _Features:
    id: int
    sent_at: datetime
    weight: float
    carrier: str | None
    weekday: int


@dataclass(frozen=True)
class _Arrival:
    id: int
    arrived_at: datetime | None
    was: str | None


@dataclass(frozen=True)
class _Score:
    id: int
    probability: float
    predicted: bool
    reasons: str
    model_version: int
    scored_at: datetime
    outcome_known: bool
    features_hash: str


def parcels() -> list[Parcel]:
    """The parcels of six weeks, the last of them sent on the day before MONDAY."""
    found = []
    first = MONDAY.replace(hour=0) - timedelta(days=DAYS)
    for at in range(DAYS * A_DAY):
        late, right = at % 5 == 0, at % 10 != 3
        probability = 0.9 if late == right else 0.1
        sent = first + timedelta(days=at // A_DAY, minutes=at % A_DAY)
        found.append(Parcel(at, sent, float(at * 7 % 100), "north" if at % 3 else "south", late, probability))
    return found


def declare(lake: Lake) -> Lake:
    """Write the contracts; what the lake holds is no run's work, so its laws are not asked for."""
    lake.environ["BROKEN_ON_PURPOSE"] = "true"
    lake.write("silver/post/sent.yaml", SILVER.format(name="sent", moment="sent_at", other="carrier"))
    lake.write("silver/post/arrivals.yaml", SILVER.format(name="arrivals", moment="arrived_at", other="was"))
    lake.write("gold/post/contract.yaml", CONTRACT)
    lake.write(
        "gold/post/parcels.sql", "SELECT id, sent_at, 1.0 AS weight, carrier, 1 AS weekday FROM silver.post.sent"
    )
    lake.write("ml/post/late.yaml", MODEL)
    return lake


def filled(
    lake: Lake,
    change: Callable[[Parcel], Parcel] = lambda parcel: parcel,
    status: Status = Status.ACTIVE,
    **of_version: Any,
) -> Lake:
    """Declare, and write all tables; `change`: what became of each parcel after the training."""
    declare(lake)
    train(lake, version(1, status, **{"name": "post.late", "distributions": spread(lake)} | of_version))
    found = [change(parcel) for parcel in parcels()]
    put(lake, "gold.post.parcels", _Features, map(_features, found))
    put(lake, "silver.post.arrivals", _Arrival, map(_arrival, found))
    score(lake, [one for one in found if one.model_version])
    return lake


def score(lake: Lake, found: Iterable[Parcel]) -> None:
    """Add the scores of parcels."""
    put(lake, "gold.post.risk", _Score, map(_score, found))


def train(lake: Lake, *versions: Version) -> None:
    """Add versions of the model as they are."""
    put(lake, "models.post.late", Version, versions)


def put(lake: Lake, name: str, kind: type, rows: Iterable[object]) -> None:
    """Append rows to a table; as JSON, which is read faster than SQL that spells them out."""
    lake.data.mkdir(exist_ok=True)
    table = records.open_for(lake.data, name, kind)
    written = reader().write(f"SELECT * FROM {_as_json(lake.root, kind, rows)}", table.root)
    delta.commit(table, add=written)


def spread(lake: Lake, change: Callable[[Parcel], Parcel] = lambda parcel: parcel) -> str:
    """How the features are spread in all parcels, as a training keeps it."""
    engine = reader()
    engine.table("trained", f"SELECT * FROM {_as_json(lake.root, _Features, map(_features, map(change, parcels())))}")
    kinds = {"weight": "DOUBLE", "carrier": "VARCHAR", "weekday": "BIGINT"}
    return write_distributions(engine.rows, kinds, "FROM trained", "sent_at")


def _as_json(folder: Path, kind: type, rows: Iterable[object]) -> str:
    """Write rows to a file; returns SQL that reads it."""
    file = folder / "rows.json"
    file.write_text("\n".join(json.dumps(vars(row), default=str) for row in rows))
    columns = ", ".join(f'"{name}": {literal(sql)}' for name, sql in records.columns_of(kind).items())
    return f"read_json('{file}', format = 'newline_delimited', columns = {{{columns}}})"


def late(parcel: Parcel) -> Parcel:
    """The other outcome of a parcel."""
    return replace(parcel, late=not parcel.late)


def _features(one: Parcel) -> _Features:
    return _Features(one.id, one.sent_at, one.weight, one.carrier, one.sent_at.isoweekday())


def _arrival(one: Parcel) -> _Arrival:
    return _Arrival(one.id, one.arrived_at, ("late" if one.late else "on time") if one.arrived_at else None)


def _score(one: Parcel) -> _Score:
    scored_at, predicted = one.sent_at + timedelta(hours=1), one.probability >= 0.5
    return _Score(one.id, one.probability, predicted, "", one.model_version, scored_at, one.afterwards, "")
