"""Features as estimators take them: numbers, truths and texts under their names, the same in training and in scoring.

What is no finite number is missing, as NULL is: infinity, NaN, and what lies beyond 1e30, which single precision does
not hold. What to do about a missing value, and about a text that was never seen, is the estimator's matter.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from src.contract import Table
from src.engine import DuckEngine, identifier

if TYPE_CHECKING:
    import polars

_GREATEST = "1e30"


class Kind(StrEnum):
    NUMERIC = "numeric"
    CATEGORICAL = "categorical"
    BOOLEAN = "boolean"


_TYPES = {Kind.NUMERIC: "DOUBLE", Kind.CATEGORICAL: "VARCHAR", Kind.BOOLEAN: "BOOLEAN"}


@dataclass(frozen=True)
class Feature:
    """One feature of a model; `reference`: its median in training, of what is no number its most frequent value."""

    name: str
    kind: Kind
    reference: float | str | bool | None = None

    @property
    def type(self) -> str:
        """Return the type of its values in SQL."""
        return _TYPES[self.kind]


def features_of(table: Table) -> tuple[Feature, ...]:
    """Return the features of a table, in the order of its contract, without references."""
    columns = {column.name: column for column in table.columns}
    kinds = {"VARCHAR": Kind.CATEGORICAL, "BOOLEAN": Kind.BOOLEAN}
    return tuple(Feature(name, kinds.get(columns[name].type, Kind.NUMERIC)) for name in table.features)


def with_references(engine: DuckEngine, features: Iterable[Feature], rows: str) -> tuple[Feature, ...]:
    """Return the features that have a value in `rows` (FROM, and where wanted WHERE), each with its reference."""
    found = []
    for feature in features:
        name = identifier(feature.name)
        most = f"SELECT {name} {rows} GROUP BY 1 HAVING {name} IS NOT NULL ORDER BY count(*) DESC, 1 LIMIT 1"
        middle = f"SELECT quantile_disc({name}, 0.5) {rows}"
        value = engine.values(middle if feature.kind == Kind.NUMERIC else most)
        if value and value[0] is not None:
            found.append(replace(feature, reference=value[0]))
    return tuple(found)


def selected(features: Iterable[Feature]) -> str:
    """Return the columns of a SELECT that are the features of rows, as estimators take them."""
    return ", ".join(f"{_cleaned(feature)} AS {identifier(feature.name)}" for feature in features)


def read_frame(engine: DuckEngine, features: Sequence[Feature], rows: str) -> polars.DataFrame:
    """Return the features of rows, one column each: numbers and truths as Float64, texts as String.

    Args:
        engine: where the rows are readable.
        features: the columns.
        rows: FROM, and where wanted WHERE and ORDER BY.
    """
    import polars

    frame = polars.DataFrame(engine.arrow(f"SELECT {selected(features)} {rows}").read_all())
    truths = [feature.name for feature in features if feature.kind == Kind.BOOLEAN]
    return frame.with_columns(polars.col(truths).cast(polars.Float64)) if truths else frame


def write_features(features: Iterable[Feature]) -> str:
    """Return features as JSON, as a version of a model keeps them."""
    return json.dumps([asdict(feature) for feature in features])


def read_features(text: str) -> tuple[Feature, ...]:
    """Return the features that `write_features` wrote."""
    return tuple(Feature(one["name"], Kind(one["kind"]), one["reference"]) for one in json.loads(text))


def _cleaned(feature: Feature) -> str:
    name = identifier(feature.name)
    if feature.kind != Kind.NUMERIC:
        return f"{name}::{feature.type}"
    number = f"{name}::DOUBLE"
    return f"CASE WHEN abs({number}) <= {_GREATEST} THEN {number} END"  # of NaN that is not so either
