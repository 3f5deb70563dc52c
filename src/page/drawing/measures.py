"""The course of a measure as a chart, wide and narrow, with its legend and the sentence that tells it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from markupsafe import Markup

from src.contract import Table
from src.facts.measures import Course, Series
from src.page.drawing import charts
from src.page.drawing.charts import NARROW, WIDE, figure

_ADDS_UP = ("sum", "last")  # their series are stacked


@dataclass(frozen=True)
class Chart:
    """A chart for wide screens and for phones. `legend`: class and name of each series, empty for one alone."""

    wide: Markup
    narrow: Markup
    legend: tuple[tuple[str, str], ...]
    sentence: str


def drawn(table: Table, course: Course) -> Chart:
    """Return the chart of a table's measure."""
    text = sentence(table, course)
    if not course.step:
        values = course.series[0].values

        def lying(width: float) -> Markup:
            return charts.rows(course.labels, values, text, width)

        return _chart(lying, (), text)
    draw = charts.bars if course.measure.aggregate in _ADDS_UP else charts.lines
    labels = course.labels if course.step != "month" else tuple(name[:7] for name in course.labels)

    def over_time(width: float) -> Markup:
        return draw(labels, course.series, text, width, 280 if width == WIDE else 220)

    return _chart(over_time, course.series, text)


def _chart(draw: Callable[[float], Markup], series: tuple[Series, ...], text: str) -> Chart:
    legend = tuple((charts.series_class(at, one.name), one.name) for at, one in enumerate(series))
    return Chart(draw(WIDE), draw(NARROW), legend if len(legend) > 1 else (), text)


def sentence(table: Table, course: Course) -> str:
    """Return in words what a chart shows."""
    what = f"{table.name}: {course.measure.column}"
    if not course.step:
        return f"{what} by {course.measure.by}: {_of_names(course)}."
    by = f" and {course.measure.by}" if course.measure.by else ""
    text = f"{what} by {course.step}{by}, {course.labels[0]} to {course.labels[-1]}. "
    so_far = " so far" if course.going_on else ""
    text += f"The newest {course.step} is {figure(course.newest)}{so_far}; {_extremes(course)}"
    gaps = sum(1 for at in range(len(course.labels)) if all(one.values[at] is None for one in course.series))
    text += f" {gaps} {course.step}{'' if gaps == 1 else 's'} without a row." if gaps else ""
    low = 0.0 if course.measure.aggregate in _ADDS_UP else charts.floor_of(course.series)
    return text + (f" The axis begins at {charts.short(low)}." if low > 0 else "")


def _of_names(course: Course) -> str:
    values = course.series[0].values
    most = f"the greatest is {course.labels[0]} with {figure(values[0])}"
    left = f", the {len(course.labels)} greatest of {course.names:,}" if course.names > len(course.labels) else ""
    return f"{most}{left}"


def _extremes(course: Course) -> str:
    """Return the greatest and the least step, where series add up; else the least figure, and whose it is."""
    if course.measure.aggregate not in _ADDS_UP:
        figures = [(value, one.name, at) for one in course.series for at, value in enumerate(one.values)]
        least, name, at = min((value, name, at) for value, name, at in figures if value is not None)
        whose = f"{name} on " if course.measure.by else ""
        return f"the least is {figure(least)}, {whose}{course.labels[at]}."
    steps = [(value, at) for at, value in enumerate(course.by_step) if value is not None]
    (most, last), (least, first) = max(steps), min(steps)
    return f"the greatest {figure(most)} ({course.labels[last]}), the least {figure(least)} ({course.labels[first]})."
