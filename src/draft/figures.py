"""What the typed rows hold, column by column: how many values there are, how many of them differ, their bounds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from src.contract import Table
from src.draft.judging import Verdict
from src.engine import DuckEngine, identifier

_AT_ONCE, _COUNTED_AT_ONCE = 100, 10  # columns in one statement; where each has its values counted, which takes memory
_EXACTLY, _FEW_ROWS = 1_000, 100_000  # distinct values, and rows, up to which distinct values are counted one by one


@dataclass(frozen=True)
class Figures:
    """The figures of one column over the rows that stay, each of which is another."""

    rows: int
    filled: int
    distinct: int
    low: str | None
    high: str | None
    longest: int  # characters of a text
    is_exact: bool = False  # the number of distinct values


def read_figures(engine: DuckEngine, table: Table, relation: str, rows: int) -> dict[str, Figures]:
    """Return the figures of each column of a relation of so many typed rows."""
    found: dict[str, Figures] = {}
    for start in range(0, len(table.columns), _AT_ONCE):
        part = table.columns[start : start + _AT_ONCE]
        asked: list[str] = []
        for column in part:
            name = identifier(column.name)
            short = f"left({name}, 60)" if column.type == "VARCHAR" else name
            length = f"max(length({name}))" if column.type == "VARCHAR" else "0"
            asked += [f"count({name})", f"approx_count_distinct({name})", f"min({short})::VARCHAR"]
            asked += [f"max({short})::VARCHAR", f"coalesce({length}, 0)"]
        row = engine.one(f"SELECT {', '.join(asked)} FROM {relation}")
        for nth, column in enumerate(part):
            filled, distinct, low, high, longest = row[5 * nth : 5 * nth + 5]
            found[column.name] = Figures(rows, filled, min(distinct, filled), low, high, longest)
    few = [name for name, figures in found.items() if figures.distinct <= _EXACTLY or rows <= _FEW_ROWS]
    for start in range(0, len(few), _COUNTED_AT_ONCE):
        names = few[start : start + _COUNTED_AT_ONCE]
        counted = engine.one(
            f"SELECT {', '.join(f'count(DISTINCT {identifier(name)})' for name in names)} FROM {relation}"
        )
        for name, distinct in zip(names, counted, strict=True):
            found[name] = replace(found[name], distinct=distinct, is_exact=True)
    return found


def counted(count: int, what: str) -> str:
    """Return a number of things: 1 file, 2,000 files."""
    return f"{count:,} {what}" + ("" if count == 1 else "s")


def in_words(verdict: Verdict, figures: Figures) -> Iterator[str]:
    """Yield what the comment of a column says: why it is what it is, and its figures."""
    if verdict.note:
        yield verdict.note
    if figures.filled == 0:
        yield "empty in every row"
        return
    if figures.filled < figures.rows:
        yield f"{_percent(figures.filled, figures.rows)} filled"
    many = ("" if figures.is_exact else "about ") + counted(figures.distinct, "value")
    if verdict.logical == "string":
        yield f"{many}, up to {counted(figures.longest, 'character')}"
    elif verdict.logical != "boolean":
        low, high = _bound(figures.low, verdict.logical), _bound(figures.high, verdict.logical)
        yield f"{low} to {high}; {many}" if figures.distinct > 1 else f"always {low}"


def _bound(value: str | None, logical: str) -> str:
    """Return a bound as a person writes it: a moment without the zone, which is always UTC."""
    return (value or "").removesuffix("+00") if logical == "timestamp" else value or ""


def _percent(part: int, whole: int) -> str:
    share = 100 * part / whole
    return "over 99 %" if share > 99 else "under 1 %" if share < 1 else f"{share:.0f} %"
