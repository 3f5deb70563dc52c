"""How each feature was spread in the rows that a version was trained on, kept with it: drift is told against that.

Some features are never spread in a week as they are in a year: what follows the calendar, and what is counted over the
weeks before. So it is kept too how far the weeks of training were from all of training, at most.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from src.engine import identifier
from src.spread import ROWS_PER_BIN, Bins, bins, psi

SPANS = (7, 14, 28)  # days of rows that are compared with training
_Ask = Callable[[str], list[tuple[Any, ...]]]


@dataclass(frozen=True)
class Distribution:
    """One feature in training: its bins, and the share of the rows that each had.

    `usual`: by span of days the greatest PSI that such a span of the training rows had against all of them; without
    those in which no span had enough rows.
    """

    bins: Bins
    shares: Mapping[str, float]
    usual: Mapping[int, float] = field(default_factory=dict)

    @property
    def needed(self) -> int:
        """Return how many rows it takes to compare them with training."""
        return ROWS_PER_BIN * max(len(self.shares), 2)


def write_distributions(ask: _Ask, features: Mapping[str, str], rows: str, moment: str | None = None) -> str:
    """Return as JSON how features are spread in rows; nothing of each where there is no row.

    Args:
        ask: gives the rows of a SELECT.
        features: the names of the columns, each with its type.
        rows: FROM, and where wanted WHERE.
        moment: the column that dates the rows' events; None: nothing is said of their weeks.
    """
    found = {}
    for name, kind in features.items():
        cut = bins(ask, name, kind, rows)
        cut = Bins(tuple(float(str(edge)) for edge in cut.edges), cut.values)  # as JSON has them
        week = f"date_diff('day', DATE '2000-01-03', {identifier(moment)}::DATE) // 7" if moment else "0"
        counted = ask(f"SELECT {week}, {cut.sql(name, 'DOUBLE')}, count(*) {rows} GROUP BY 1, 2 ORDER BY 1, 2")
        shares = _shares(counted)
        usual = _usual(Distribution(cut, shares), counted) if moment else {}
        found[name] = {"edges": cut.edges, "values": cut.values, "shares": shares, "usual": usual}
    return json.dumps(found)


def read_distributions(text: str) -> dict[str, Distribution]:
    """Return by feature what `write_distributions` wrote."""
    found = {}
    for name, one in json.loads(text or "{}").items():
        values = None if one["values"] is None else tuple(one["values"])
        usual = {int(days): value for days, value in one.get("usual", {}).items()}
        found[name] = Distribution(Bins(tuple(one["edges"]), values), one["shares"], usual)
    return found


def _shares(counted: Iterable[tuple[Any, ...]]) -> dict[str, float]:
    rows: dict[str, int] = {}
    for _, each, count in counted:
        rows[each] = rows.get(each, 0) + count
    total = sum(rows.values())
    return {each: count / total for each, count in sorted(rows.items())}


def _usual(trained: Distribution, counted: Iterable[tuple[Any, ...]]) -> dict[int, float]:
    """Return by span of days the greatest PSI of the spans with enough rows, one beginning where another ends."""
    spans: dict[int, dict[int, dict[str, int]]] = {days: {} for days in SPANS}
    for week, each, count in counted:
        for days in SPANS:
            rows = spans[days].setdefault(week // (days // 7), {})
            rows[each] = rows.get(each, 0) + count
    found: dict[int, float] = {}
    for days, blocks in spans.items():
        far = [psi(trained.shares, rows)[0] for rows in blocks.values() if sum(rows.values()) >= trained.needed]
        found |= {days: max(far)} if far else {}
    return found
