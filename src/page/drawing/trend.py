"""A number over days as a line: from its least to its greatest, as its steps are what is looked for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from markupsafe import Markup

from src.page.drawing.marks import box, framed, label, line, titled

_WIDTH, _HEIGHT, _LEFT, _TOP, _BASE = 620.0, 168.0, 64.0, 14.0, 138.0


def drawn(values: Mapping[date, int], what: str) -> Markup:
    """Return the drawing of a number by day, the oldest first; days without one are a gap in time, not in the line."""
    days = list(values)
    low, high = min(values.values()), max(values.values())
    low = 0 if low < high * 0.5 else low  # cut only where all of them are large
    span = (high - low) or 1
    first, length = days[0], max((days[-1] - days[0]).days, 1)

    def x(day: date) -> float:
        return _LEFT + 16 + (_WIDTH - _LEFT - 40) * ((day - first).days / length if len(days) > 1 else 0.5)

    def y(value: float) -> float:
        return _BASE - (_BASE - _TOP) * ((value - low) / span if high > low else 0.5)

    marks = [(low, y(low)), (high, y(high))] if high > low else [(high, y(high))]
    parts = [part for value, at in marks for part in _rule(value, at)]
    points = " ".join(f"{x(day):.1f},{y(value):.1f}" for day, value in values.items())
    parts.append(f'<polyline points="{points}" class="trend"/>')
    before = None
    for day, value in values.items():
        moved = "" if before is None else f", {value - before:+,} since the day before it"
        dot = f'<circle cx="{x(day):.1f}" cy="{y(value):.1f}" r="3" class="dot"/>'
        around = box(x(day) - 10, _TOP, 20, _BASE - _TOP, "hit")
        parts.append(titled(f"{day}: {value:,} {what}{moved}", [around, dot]))
        before = value
    every = max(1, len(days) // 6)
    parts += [label(x(day), _BASE + 20, f"{day:%m-%d}", "axis", "middle") for day in days[::-1][::every]]
    sentence = f"{what} from {days[0]} to {days[-1]}: {values[days[0]]:,} to {values[days[-1]]:,}"
    return framed(_WIDTH, _HEIGHT, parts, sentence)


def _rule(value: float, at: float) -> list[str]:
    return [line(_LEFT, at, _WIDTH, at, "rule"), label(_LEFT - 8, at + 4, f"{value:,}", "axis", "end")]
