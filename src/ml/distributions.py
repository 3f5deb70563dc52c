"""How each feature was spread in the rows that a version was trained on, kept with it: drift is told against that."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from src.spread import Bins, bins


@dataclass(frozen=True)
class Distribution:
    """One feature in training: its bins, and the share of the rows that each had."""

    bins: Bins
    shares: Mapping[str, float]


def write_distributions(ask: Callable[[str], list[tuple[Any, ...]]], features: Mapping[str, str], rows: str) -> str:
    """Return as JSON how features are spread in rows; nothing of each where there is no row.

    Args:
        ask: gives the rows of a SELECT.
        features: the names of the columns, each with its type.
        rows: FROM, and where wanted WHERE.
    """
    found = {}
    for name, kind in features.items():
        cut = bins(ask, name, kind, rows)
        cut = Bins(tuple(float(str(edge)) for edge in cut.edges), cut.values)  # as JSON has them
        counted = dict(ask(f"SELECT {cut.sql(name, 'DOUBLE')}, count(*) {rows} GROUP BY 1 ORDER BY 1"))
        total = sum(counted.values())
        shares = {each: count / total for each, count in counted.items()}
        found[name] = {"edges": cut.edges, "values": cut.values, "shares": shares}
    return json.dumps(found)


def read_distributions(text: str) -> dict[str, Distribution]:
    """Return by feature what `write_distributions` wrote."""
    found = {}
    for name, one in json.loads(text or "{}").items():
        values = None if one["values"] is None else tuple(one["values"])
        found[name] = Distribution(Bins(tuple(one["edges"]), values), one["shares"])
    return found
