"""How the values of a column are spread: in bins, and how far two such spreads are apart.

The measure is the population stability index, PSI = sum over bins of (a - e) ln(a / e), where e is a bin's share of
the rows before and a its share now (Siddiqi, Credit Risk Scorecards, 2006): below 0.1 stable, from 0.25 on clearly
moved. Numbers go in bins cut at the deciles of the rows before, everything else by its 20 most frequent values and
the rest; missing values are a bin of their own. An empty bin counts as a share of 0.0001. With fewer than 20 rows per
bin on either side chance alone could reach 0.1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from src.engine import identifier, literal

ROWS_PER_BIN = 20
MISSING, REST = "(missing)", "(rest)"
_FLOOR = 0.0001
_VALUES = 20
_WORDS = ("VARCHAR", "BOOLEAN")
_TENTHS = ", ".join(f"{tenth / 10}" for tenth in range(1, 10))
_Ask = Callable[[str], list[tuple[Any, ...]]]


@dataclass(frozen=True)
class Bins:
    """The bins of one column's values: cut at `edges`, which belong to the bin below; of words, by `values`."""

    edges: tuple[object, ...] = ()
    values: tuple[str, ...] | None = None  # None: it is cut at edges

    def sql(self, name: str, kind: str) -> str:
        """Return SQL that is the name of the bin in which a value of the column lies."""
        column = identifier(name)
        if self.values is not None:
            known = f"WHEN list_contains({literal(list(self.values))}::VARCHAR[], {column}::VARCHAR)"
            return f"CASE WHEN {column} IS NULL THEN '{MISSING}' {known} THEN {column}::VARCHAR ELSE '{REST}' END"
        cases = "".join(
            f" WHEN {column} <= {edge}::{kind} THEN {literal(self.name(nth))}" for nth, edge in enumerate(self.edges)
        )
        return f"CASE WHEN {column} IS NULL THEN '{MISSING}'{cases} ELSE {literal(self.name(len(self.edges)))} END"

    def name(self, nth: int | None) -> str:
        """Return the name of the bin of values above so many edges; None: of those that are missing."""
        if nth is None:
            return MISSING
        if nth < len(self.edges):
            return f"up to {self.edges[nth]}"
        return f"more than {self.edges[-1]}" if self.edges else "any"


def bins(ask: _Ask, name: str, kind: str, rows: str) -> Bins:
    """Return the bins of a column of this type by its values in `rows`: FROM, and where wanted WHERE."""
    column = identifier(name)
    present = f"{rows} {'AND' if ' WHERE ' in rows else 'WHERE'} {column} IS NOT NULL"
    if kind in _WORDS:
        most = f"SELECT {column}::VARCHAR {present} GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT {_VALUES}"
        return Bins(values=tuple(value for (value,) in ask(most)))
    found = ask(f"SELECT quantile_disc({column}, [{_TENTHS}]) {present}")[0][0]
    return Bins(edges=tuple(sorted(set(found or ()))))


def moved_sql(kind: str, rows: str, group: str) -> str:
    """Return SQL of how values of this type were spread before and are now, in each group of rows; see `moved`.

    The bins of a group are those that `bins` makes of its values before. `rows` has `group`, "~value" and "~now".
    """
    before, now = 'count(*) FILTER (NOT "~now") AS before', 'count(*) FILTER ("~now") AS now'
    if kind in _WORDS:
        counted = f'SELECT {group}, "~value"::VARCHAR AS value, {before}, {now} FROM {rows} GROUP BY ALL'
        most = f"row_number() OVER (PARTITION BY {group} ORDER BY value IS NULL, before DESC, value) <= {_VALUES}"
        name = f"CASE WHEN value IS NULL THEN '{MISSING}' WHEN before > 0 AND known THEN value ELSE '{REST}' END AS bin"
        ranked = f"SELECT *, {most} AS known FROM ({counted})"
        return f"SELECT {group}, {name}, NULL, sum(before)::BIGINT, sum(now)::BIGINT FROM ({ranked}) GROUP BY ALL"
    present = f'FROM {rows} WHERE NOT "~now" AND "~value" IS NOT NULL'
    cut = f'SELECT {group}, quantile_disc("~value", [{_TENTHS}]) AS edges {present} GROUP BY {group}'
    edges = ", ".join(f"edges[{tenth}] AS e{tenth}" for tenth in range(1, 10))
    above = " + ".join(f'coalesce(r."~value" > e{tenth}, false)::BIGINT' for tenth in range(1, 10))
    above_edges = f'CASE WHEN r."~value" IS NOT NULL THEN {above} END'
    return (
        f"SELECT r.{group}, {above_edges}, any_value(edges), {before}, {now} "
        f"FROM {rows} AS r LEFT JOIN (SELECT *, {edges} FROM ({cut})) AS c ON r.{group} = c.{group} GROUP BY 1, 2"
    )


def moved(kind: str, counted: Iterable[tuple[Any, ...]]) -> tuple[dict[str, int], dict[str, int]]:
    """Return what `moved_sql` found in one group as two histograms (bin: rows), before and now."""
    before: dict[str, int] = {}
    now: dict[str, int] = {}
    for found, edges, rows_before, rows_now in counted:
        name = found if kind in _WORDS else Bins(edges=tuple(edges or ())).name(found)
        for rows, count in ((before, rows_before), (now, rows_now)):
            if count:
                rows[name] = rows.get(name, 0) + count
    return before, now


def psi(before: Mapping[str, float], now: Mapping[str, float]) -> tuple[float, str]:
    """Return the population stability index of two histograms (bin: rows, or share), and the bin that adds most."""
    parts = {}
    for name in sorted({*before, *now}):
        expected, actual = (max(counts.get(name, 0) / sum(counts.values()), _FLOOR) for counts in (before, now))
        parts[name] = (actual - expected) * math.log(actual / expected)
    return sum(parts.values()), max(parts, key=lambda name: parts[name])
