"""The values of a watched column (`drift` in its contract) are spread as they were in the four weeks before.

The measure, the bins and how many rows it takes are those of src/spread.py; from a PSI of 0.25 on values have clearly
moved, unless the contract names other bounds. Baseline are the rows of the 28 business days before the last seven
complete ones. Of a retired table nothing is a problem: its last days are few.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial

from src import spread
from src.contract import Column, Table
from src.masking.masks import SHOWN
from src.monitors.questions import NUMBER, ROWS, Question
from src.monitors.reading import Reading
from src.problems import Problem

TABLE = "ops.distribution"
_NOW, _BEFORE = 7, 28  # days


@dataclass(frozen=True)
class Distribution:
    """The distance that one column's values moved; both ends of the spans of days included."""

    measured_at: datetime
    table: str
    column: str
    baseline_from: date
    baseline_to: date
    current_from: date
    current_to: date
    baseline_rows: int
    current_rows: int
    bins: int
    psi: float | None
    verdict: str  # stable | moderate | significant | too little data
    most_moved: str | None  # the bin that adds most to it, with its shares


def measure(reading: Reading) -> tuple[tuple[Distribution, ...], tuple[Problem, ...]]:
    """Measure every watched column of every table; one problem for each table with a column that clearly moved."""
    tables = [table for table in reading.declared if not table.is_retired]
    asked = [(table, reading.attempt(table.id, _asked, reading, table)) for table in tables]
    reading.answer_together(question for _, found in asked for _, question in found or ())
    rows: list[Distribution] = []
    for table, found in asked:
        if found:
            rows += reading.attempt(table.id, _table, reading, table, found) or ()
    moved: dict[str, list[Distribution]] = {}
    for row in rows:
        if row.verdict == "significant":
            moved.setdefault(row.table, []).append(row)
    return tuple(rows), tuple(_problem(reading.yesterday, table, found) for table, found in moved.items())


def _asked(reading: Reading, table: Table) -> list[tuple[Column, Question]]:
    """Return what is asked of each watched column; nothing of a table that is not built, or not yet by its contract."""
    watched = [column for column in table.columns if column.drift]
    snapshot, date = reading.table(table.id) if watched else None, str(table.business_date)
    if snapshot is None or not {date, *(column.name for column in watched)} <= set(snapshot.columns):
        return []
    bound = partial(reading.bound, snapshot, date, of='"~at"')
    split, first = reading.today - timedelta(days=_NOW), reading.today - timedelta(days=_NOW + _BEFORE)
    rows = f'(SELECT {NUMBER}, {bound(">=", split)} AS "~now", "~value" FROM {ROWS})'
    both = f"{bound('>=', first)} AND {bound('<', reading.today)}"
    return [
        (
            column,
            Question(snapshot, spread.moved_sql(column.type, rows, NUMBER), {"~at": date, "~value": column.name}, both),
        )
        for column in watched
    ]


def _table(reading: Reading, table: Table, asked: Sequence[tuple[Column, Question]]) -> list[Distribution]:
    found = ((column, spread.moved(column.type, reading.answer(question))) for column, question in asked)
    return [_row(reading, table, column, *histograms) for column, histograms in found]


def _row(
    reading: Reading, table: Table, column: Column, before: Mapping[str, int], now: Mapping[str, int]
) -> Distribution:
    bins, rows = len({*before, *now}), (sum(before.values()), sum(now.values()))
    value, verdict, most = None, "too little data", None
    if bins and min(rows) >= spread.ROWS_PER_BIN * bins:
        value, name = spread.psi(before, now)
        low, high = column.drift or (math.inf, math.inf)
        verdict = "significant" if value >= high else "moderate" if value >= low else "stable"
        masks = reading.masks.of_table(table.id)
        called = SHOWN if masks and masks.of_column(column.name) else name
        most = f"{called}: {before.get(name, 0) / rows[0]:.1%} -> {now.get(name, 0) / rows[1]:.1%}"
    return Distribution(
        measured_at=reading.now,
        table=table.id,
        column=column.name,
        baseline_from=reading.today - timedelta(days=_NOW + _BEFORE),
        baseline_to=reading.today - timedelta(days=_NOW + 1),
        current_from=reading.today - timedelta(days=_NOW),
        current_to=reading.yesterday,
        baseline_rows=rows[0],
        current_rows=rows[1],
        bins=bins,
        psi=value,
        verdict=verdict,
        most_moved=most,
    )


def _problem(day: date, table: str, found: Sequence[Distribution]) -> Problem:
    what = "; ".join(f"values of {row.column} moved, psi {row.psi:.2f} ({row.most_moved})" for row in found)
    fix = "ask the source what changed; where it is meant, the baseline follows within five weeks"
    return Problem("distribution", table, "P3", day, what, fix)
