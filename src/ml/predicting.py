"""What a version says of rows: their probability, whether the outcome is predicted, and the top reasons, in slabs.

A row's probability depends on its features alone, not on which rows are scored with it: the last digits, in which
sums of floats differ by their order, are rounded away.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from src.engine import DuckEngine
from src.ml import artefacts
from src.ml.frames import Feature, Kind, read_features, read_frame
from src.ml.scored_rows import Scoring
from src.ml.versions import Version

if TYPE_CHECKING:
    import numpy
    import polars

DIGITS = 10  # of a probability
_SLAB = 50_000  # rows: a million of them with 20 features took as long with 10,000 and with 100,000
_REASONS = 3
_LEAST_POINTS = 0.05  # of a reason: what would be shown as 0.0 is none


@dataclass(frozen=True)
class Predictor:
    """A version as it scores; of the `hidden` features no reason shows the value."""

    estimator: Any
    threshold: float
    features: tuple[Feature, ...]
    hidden: frozenset[str] = frozenset()

    def probabilities(self, rows: polars.DataFrame) -> numpy.ndarray[Any, Any]:
        """Return the probability of the outcome for each row of features."""
        found: numpy.ndarray[Any, Any] = self.estimator.predict_proba(rows)[:, 1]
        return found.round(DIGITS)

    def reasons(self, rows: polars.DataFrame, probabilities: numpy.ndarray[Any, Any]) -> list[str]:
        """Return for each row the features that move its probability most, with their values and how many points.

        A feature moves it by as much as it would change if the feature had its reference value.
        """
        import numpy
        import polars

        points = numpy.zeros((len(rows), len(self.features)))
        for at, feature in enumerate(self.features):
            reference = polars.lit(feature.reference).cast(rows.schema[feature.name]).alias(feature.name)
            points[:, at] = 100 * (probabilities - self.probabilities(rows.with_columns(reference)))
        top = numpy.argsort(-abs(points), axis=1, kind="stable")[:, :_REASONS].tolist()
        values = [rows[feature.name].to_list() for feature in self.features]
        return [
            "; ".join(
                f"{self._shown(at, values[at][row])} {points[row, at]:+.1f}"
                for at in best
                if abs(points[row, at]) >= _LEAST_POINTS
            )
            for row, best in enumerate(top)
        ]

    def _shown(self, at: int, value: object) -> str:
        feature = self.features[at]
        if feature.name in self.hidden:
            return feature.name
        if value is None:
            return f"{feature.name} unknown"
        if feature.kind == Kind.BOOLEAN:
            return f"{feature.name} {'true' if value else 'false'}"
        return f"{feature.name} {value:.4g}" if isinstance(value, float) else f"{feature.name} {value}"


def open_predictor(version: Version, hidden: Collection[str] = ()) -> Predictor:
    """Return a version as it scores.

    Raises:
        UsageError: the extra is not installed, or in other versions than it was trained with.
        DataError: its artefact is damaged.
    """
    estimator = artefacts.open_estimator(version)
    return Predictor(estimator, version.threshold, read_features(version.features), frozenset(hidden))


def fill_scores(engine: DuckEngine, predictor: Predictor | None, slab: int = _SLAB, *, explain: bool = True) -> None:
    """Fill the temporary table `scores` with what a version says of the rows that are `pending`; None: there is none.

    Only a slab of them is in this process's memory at once.
    """
    count = int(engine.one(f"SELECT count(*) FROM {Scoring.PENDING}")[0])
    none = "SELECT 0::BIGINT AS _nth, 0::DOUBLE AS probability, false AS predicted, '' AS reasons WHERE false"
    engine.table(Scoring.SCORES, none, large=count > slab)
    if predictor is None:
        return
    import polars

    for start, rows in slabs(engine, predictor, Scoring.PENDING, count, slab):
        found = predictor.probabilities(rows)
        scores = {"probability": found, "predicted": found >= predictor.threshold}
        made = polars.DataFrame(
            {**scores, "reasons": predictor.reasons(rows, found) if explain else ""}
        ).with_row_index("_nth", start + 1)
        insert(engine, Scoring.SCORES, made, "_nth, probability, predicted, reasons")


def slabs(
    engine: DuckEngine, predictor: Predictor, rows: str, count: int, slab: int = _SLAB
) -> Iterator[tuple[int, polars.DataFrame]]:
    """Yield the features of a relation's rows, numbered by _nth from 1, so many at once, each with where it starts."""
    for start in range(0, count, slab):
        part = f"FROM {rows} WHERE _nth > {start} AND _nth <= {start + slab} ORDER BY _nth"
        yield start, read_frame(engine, predictor.features, part)


def insert(engine: DuckEngine, table: str, rows: polars.DataFrame, columns: str) -> None:
    """Add rows to a temporary table."""
    engine.stream(Scoring.SLAB, rows.to_arrow())
    engine.execute(f"INSERT INTO {table} SELECT {columns} FROM {Scoring.SLAB}")
    engine.unstream(Scoring.SLAB)
