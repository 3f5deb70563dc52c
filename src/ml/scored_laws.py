"""What holds of a table of scores at any time, told from the versions that it says it read.

Its rows are those of the features table that the model is about, each scored by a version that is there. What a row's
features still say is what its version says of them: recomputed, not compared with a copy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from src import lake
from src.checks import compare
from src.engine import DuckEngine, identifier
from src.ml import artefacts, predicting, registry
from src.ml.scored import SCORED_BY, SCORED_WITH, Scored
from src.ml.scored_rows import Scoring
from src.ml.versions import Version

_TOLERANCE = 1e-9


def broken(
    engine: DuckEngine, scored: Scored, gold: lake.Snapshot, sources: Mapping[str, lake.Snapshot]
) -> Iterator[str]:
    """Yield what does not hold; `sources`: the tables as they were consumed, and the model's newest versions.

    Raises:
        BoathouseError: a table or an artefact cannot be read, or what opens models is not installed.
    """
    if gold.progress(SCORED_BY) != scored.fingerprint:
        return  # the model's contract moved on since: the next run takes that up
    laws = _Laws(engine, scored, gold, sources)
    yield from laws.rows()
    yield from laws.columns()
    yield from laws.versions()
    yield from laws.probabilities()


@dataclass(frozen=True)
class _Laws:
    engine: DuckEngine
    scored: Scored
    gold: lake.Snapshot
    sources: Mapping[str, lake.Snapshot]

    def rows(self) -> Iterator[str]:
        """Yield how many rows are there without features, or are not though their features are."""
        key = self.scored.key
        yield from self._found(f"FROM {self._scores} ANTI JOIN {self._features} USING ({key})", "should not be there")
        if self._version:
            yield from self._found(f"FROM {self._features} ANTI JOIN {self._scores} USING ({key})", "missing")

    def columns(self) -> Iterator[str]:
        """Yield how many rows show something else than the features table."""
        both = f"FROM {self._scores} a JOIN {self._features} b USING ({self.scored.key})"
        shown = {**self.scored.described, **self.scored.explaining}
        for name, kind in shown.items():
            of_same = "" if name in self.scored.described else "AND a.features_hash = b._hash "
            if name not in self.scored.features.key:
                differs = f"{both} WHERE NOT {compare.is_same(identifier(name), kind)} {of_same}"
                yield from self._found(differs, f"with another {name} than {self.scored.features.id} has")

    def versions(self) -> Iterator[str]:
        """Yield how many rows no known version scored, or are open and not as the active version saw them."""
        known = ", ".join(f"{one.version}" for one in self._registered) or "NULL"
        unknown = f"FROM {self._scores} WHERE (model_version IN ({known})) IS NOT TRUE"
        yield from self._found(unknown, f"scored by a version that {self.scored.model.id} has not")
        if not self._version:
            return
        scan, key = self.engine.scan(self.sources[self.scored.model.label.table]), self.scored.key
        over = f"(SELECT {key} FROM {scan} WHERE {self.scored.known_at} IS NOT NULL)"
        stale = (
            f"FROM {self._scores} ANTI JOIN {over} USING ({key}) JOIN (SELECT {key}, _hash FROM {self._features}) "
            f"USING ({key}) WHERE features_hash <> _hash OR model_version <> {self._version}"
        )
        yield from self._found(stale, f"open, and not scored by version {self._version} over their features")

    def probabilities(self) -> Iterator[str]:
        """Yield how many rows have another probability than their version gives over their features."""
        for version in self._registered:
            if artefacts.is_readable(version):
                yield from self._of_version(version.version)

    def _of_version(self, number: int) -> Iterator[str]:
        count = self.engine.table(
            Scoring.PENDING,
            "SELECT row_number() OVER () AS _nth, a.probability AS _probability, a.predicted AS _predicted, b.* "
            f"FROM (FROM {self._scores} WHERE model_version = {number}) a JOIN {self._features} b "
            f"USING ({self.scored.key}) WHERE a.features_hash = b._hash",
            large=not self.engine.has_room_for(sum(file.size for file in self.gold.files)),
        )
        if not count:
            return
        version = registry.read_version(self.engine, self.sources[self.scored.model.id], number)
        predicting.fill_scores(self.engine, predicting.open_predictor(version), explain=False)
        both = f"FROM {Scoring.PENDING} JOIN {Scoring.SCORES} USING (_nth)"
        wrong = f"{both} WHERE abs(_probability - probability) <= {_TOLERANCE} IS NOT TRUE"
        yield from self._found(wrong, f"with another probability than version {number} gives over their features")
        wrong = f"{both} WHERE _predicted <> (_probability >= {version.threshold!r})"
        yield from self._found(wrong, f"predicted on the wrong side of the threshold of version {number}")

    @property
    def _version(self) -> int:
        return self.gold.progress(SCORED_WITH) or 0

    @property
    def _registered(self) -> Sequence[Version]:
        return registry.versions(self.engine, self.sources[self.scored.model.id])

    @property
    def _scores(self) -> str:
        return self.engine.scan(self.gold)

    @property
    def _features(self) -> str:
        scan = self.engine.scan(self.sources[self.scored.features.id])
        return f"(SELECT *, {self.scored.features_hash} AS _hash FROM {scan} WHERE {self.scored.condition})"

    def _found(self, rows: str, what: str) -> Iterator[str]:
        if count := self.engine.one(f"SELECT count(*) {rows}")[0]:
            example = ", ".join(map(str, self.engine.one(f"SELECT {self.scored.key} {rows} LIMIT 1")))
            yield f"{count} rows {what}, such as {example}"
