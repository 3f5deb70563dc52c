"""Which rows of a scored table are kept as they are, which are scored, and which partitions hold a change.

A row is kept where its outcome is known: a prediction is what was said before. So is one whose features and whose
version are still those it was scored by. What describes a row and is no feature follows the features table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from src import lake
from src.checks import compare
from src.contract.ml import SCORE_COLUMNS
from src.engine import DuckEngine, identifier, literal
from src.gold.computation import Computation
from src.ml.scored import Scored


class Scoring(StrEnum):
    """The names of the temporary tables of a table that is scored: filled by Rows, read by it and by predicting."""

    JUDGED = "judged"  # each row of the features table: its key and hash, what is known, whether it is kept
    PENDING = "pending"  # the rows to score, numbered from 1 by _nth; those to check again filled by scored_laws
    SCORES = "scores"  # by _nth what the model says; filled by predicting
    SLAB = "slab"  # the rows that predicting adds next


@dataclass(frozen=True)
class Counts:
    """Rows of the features table by what becomes of them."""

    new: int  # scored for the first time
    again: int  # scored by another version, or by other features
    kept: int
    described: int  # kept, and described in another way now
    removed: int  # whose row of features is gone
    waiting: int  # that no version scores yet

    @property
    def changed(self) -> int:
        """Return how many rows are written in another way, come or go."""
        return self.new + self.again + self.described + self.removed


@dataclass(frozen=True)
class Rows:
    """The rows of one table over these versions of its sources, and of itself; `now` in UTC.

    `version`: the one that scores; None: no row is. `full_refresh`: every open row is scored.
    """

    engine: DuckEngine
    scored: Scored
    sources: Mapping[str, lake.Snapshot]
    gold: lake.Snapshot | None
    version: int | None
    now: datetime
    full_refresh: bool = False

    def judge(self) -> Counts:
        """Fill `judged` and `pending`; returns how many rows are of each kind."""
        key, old = self.scored.key, self._old
        # a clock that goes back rewrites no prediction: what was known when a row was scored last is known
        horizon = f"greatest({_moment(self.now)}, (SELECT max(scored_at) FROM {old}))"
        is_scored = "false" if self.version is None else "true"
        same = f"_was = _hash AND model_version = {self.version or 0}" if not self.full_refresh else "false"
        self._table(
            Scoring.JUDGED,
            f"SELECT {key}, _hash, coalesce(_at <= {_moment(self.now)}, false) AS _known, "
            "model_version IS NOT NULL AS _stored, "
            f"_stored AND (NOT {is_scored} OR coalesce(_at <= {horizon}, false) OR coalesce({same}, false)) AS _kept "
            f"FROM (SELECT {key}, {self.scored.features_hash} AS _hash FROM {self._features}) "
            f"LEFT JOIN (SELECT {key}, features_hash AS _was, model_version FROM {old}) USING ({key}) "
            f"LEFT JOIN {self._outcomes} USING ({key})",
        )
        pending = f"NOT _kept AND {is_scored}"
        new, again, kept, waiting = self.engine.one(
            f"SELECT count(*) FILTER ({pending} AND NOT _stored), count(*) FILTER ({pending} AND _stored), "
            f"count(*) FILTER (_kept), count(*) FILTER (NOT _kept AND NOT {is_scored}) FROM {Scoring.JUDGED}"
        )
        self._table(
            Scoring.PENDING,
            f"SELECT row_number() OVER () AS _nth, f.*, _hash, _known FROM {self._features} f "
            f"JOIN (FROM {Scoring.JUDGED} WHERE {pending}) USING ({key})",
        )
        described = self._count(self._redescribed())
        removed = self._count(f"SELECT 1 FROM {old} ANTI JOIN {Scoring.JUDGED} USING ({key})")
        return Counts(new, again, kept, described, removed, waiting)

    def touched(self) -> int:
        """Fill `outputs` with the partitions in which a row changes, comes or goes; returns how many."""
        key, parts = self.scored.key, self._parts("")
        gone = f"SELECT {parts} FROM {self._old} ANTI JOIN (FROM {Scoring.JUDGED} WHERE _kept) USING ({key})"
        every = [f"SELECT {parts} FROM {Scoring.PENDING}", gone]
        every += (self._redescribed(self._parts(side)) for side in ("a.", "b."))
        return self.engine.table(Computation.OUTPUTS, f"SELECT DISTINCT * FROM ({' UNION ALL '.join(every)})")

    def result(self, *, among_outputs: bool) -> int:
        """Fill `result` once `scores` are there: with all rows, or those of the partitions in `outputs`."""
        names = ", ".join(identifier(column.name) for column in self.scored.table.columns)
        among = f"SEMI JOIN {Computation.OUTPUTS} USING ({self._parts('')})" if among_outputs else ""
        return self._table(Computation.RESULT, f"SELECT {names} FROM ({self._kept} UNION ALL {self._new}) {among}")

    @property
    def _features(self) -> str:
        scan = self.engine.scan(self.sources[self.scored.model.features])
        return f"(SELECT * FROM {scan} WHERE {self.scored.condition})"

    @property
    def _old(self) -> str:
        """Return a relation of the rows as they are stored; of none where these have no scores."""
        if self.gold is not None and {*self.scored.features.key, *SCORE_COLUMNS} <= self._stored:
            return self.engine.scan(self.gold)
        empty = ", ".join(f"NULL::{kind} AS {identifier(name)}" for name, kind in self._columns.items())
        return f"(SELECT {empty} WHERE false)"

    @property
    def _stored(self) -> set[str]:
        """Return the columns that are stored as the contract has them."""
        found = self.gold.columns if self.gold else {}
        return {name for name, kind in self._columns.items() if found.get(name) == kind}

    @property
    def _columns(self) -> dict[str, str]:
        return {column.name: column.type for column in self.scored.table.columns}

    @property
    def _outcomes(self) -> str:
        """Return a relation of the keys whose outcome is known, each with the first moment from which on it was."""
        scan, key = self.engine.scan(self.sources[self.scored.model.label.table]), self.scored.key
        return f"(SELECT {key}, min({self.scored.known_at}) AS _at FROM {scan} GROUP BY {key})"

    @property
    def _kept(self) -> str:
        """Return a SELECT of the rows that are kept; a feature that was not shown before is shown as it is now."""
        named = [f"f.{identifier(name)}" for name in self.scored.described]
        named += [f"{'o' if name in self._stored else 'f'}.{identifier(name)}" for name in self.scored.explaining]
        named += [f"o.{identifier(name)}" for name in SCORE_COLUMNS]
        key = self.scored.key
        return (
            f"SELECT {', '.join(named)} FROM {self._features} f "
            f"JOIN (FROM {Scoring.JUDGED} WHERE _kept) USING ({key}) JOIN {self._old} o USING ({key})"
        )

    @property
    def _new(self) -> str:
        """Return a SELECT of the rows that were scored just now, its columns in the order of `_kept`."""
        scores = {
            "model_version": f"{self.version or 0}::INTEGER",
            "scored_at": _moment(self.now),
            "outcome_known": "_known",
            "features_hash": "_hash",
        }
        named = [f"p.{identifier(name)}" for name in (*self.scored.described, *self.scored.explaining)]
        named += [f"{scores.get(name, f's.{name}')} AS {name}" for name in SCORE_COLUMNS]
        return f"SELECT {', '.join(named)} FROM {Scoring.PENDING} p JOIN {Scoring.SCORES} s USING (_nth)"

    def _redescribed(self, columns: str = "1") -> str:
        """Return a SELECT of the kept rows that are described in another way now: `a` as stored, `b` as they become."""
        rest = {name: kind for name, kind in self.scored.described.items() if name not in self.scored.features.key}
        same = [compare.is_same(identifier(name), kind) for name, kind in rest.items() if name in self._stored]
        differs = "true" if rest.keys() - self._stored else f"NOT ({' AND '.join(same)})" if same else "false"
        key = self.scored.key
        return (
            f"SELECT {columns} FROM {self._old} a JOIN (FROM {Scoring.JUDGED} WHERE _kept) USING ({key}) "
            f"JOIN {self._features} b USING ({key}) WHERE {differs}"
        )

    def _parts(self, side: str) -> str:
        return ", ".join(f"{side}{identifier(name)}" for name in self.scored.table.partition_by)

    def _count(self, select: str) -> int:
        return int(self.engine.one(f"SELECT count(*) FROM ({select})")[0])

    def _table(self, name: str, sql: str) -> int:
        files = self.sources[self.scored.model.features].files
        return self.engine.table(name, sql, large=not self.engine.has_room_for(sum(file.size for file in files)))


def _moment(moment: datetime) -> str:
    return f"{literal(moment.isoformat())}::TIMESTAMP WITH TIME ZONE"
