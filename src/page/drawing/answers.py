"""The answer to a query as a chart: its first date or text against its numbers, or as it was chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from src.facts.measures import OTHERS, SERIES, Series
from src.page.asking import Answer
from src.page.drawing import charts
from src.page.drawing.charts import NARROW, WIDE, figure
from src.page.drawing.measures import Chart
from src.page.rendering import is_number_type

KINDS = ("bars", "lines", "rows")
_POINTS, _ROWS = 130, 30  # labels that are drawn: along the axis, and as lying bars
_LONGEST_NAME = 80  # characters of a label, a series or a column in a sentence, a legend or a bar's title


@dataclass(frozen=True)
class Choice:
    """A way to draw an answer, and the columns to choose from; empty where it cannot be drawn."""

    kind: str  # one of KINDS, or none
    x: str
    y: tuple[str, ...]
    by: str  # the column whose values are the series; empty: the columns of `y` are
    all_x: tuple[str, ...]
    all_y: tuple[str, ...]


def choice(answer: Answer, kind: str = "", x: str = "", y: str = "") -> Choice:
    """Return how an answer is drawn: as it was chosen, as far as that is possible."""
    all_y = tuple(name for name, type_ in answer.kinds.items() if is_number_type(type_))
    all_x = tuple(name for name in answer.kinds if name not in all_y) or all_y[:1]
    if not answer.rows or not all_y or kind == "none":
        return Choice("", x, (), "", all_x, all_y)
    x = x if x in answer.kinds else all_x[0]
    drawn_y = (y,) if y in all_y else tuple(name for name in all_y if name != x)[:SERIES]
    if not drawn_y:
        return Choice("", x, (), "", all_x, all_y)
    labels = [row[list(answer.kinds).index(x)].text for row in answer.rows]
    others = [name for name in all_x if name != x and name not in all_y]
    by = others[0] if others and len(set(labels)) < len(labels) else ""
    drawn_y = drawn_y[:1] if by else drawn_y
    if kind not in KINDS:
        moments = answer.kinds[x].startswith(("DATE", "TIMESTAMP"))
        kind = "rows" if not moments and not by else "lines" if len(drawn_y) > 1 else "bars"
    if kind == "rows":
        drawn_y, by = drawn_y[:1], ""
    return Choice(kind, x, drawn_y, by, all_x, all_y)


def drawn(answer: Answer, chosen: Choice) -> Chart | None:
    """Return the chart of an answer; None where it has no numbers, or none is wanted."""
    if not chosen.kind:
        return None
    labels, series = _series(answer, chosen)
    most = _ROWS if chosen.kind == "rows" else _POINTS
    whole, is_moment = len(labels), answer.kinds[chosen.x].startswith(("DATE", "TIMESTAMP"))
    kept = slice(-most, None) if is_moment and whole > most else slice(most)
    labels = [_brief(label) for label in labels[kept]]
    series = [Series(_brief(one.name), one.values[kept]) for one in series]
    text = _sentence(chosen, labels, series, whole)

    def draw(width: float) -> Markup:
        if chosen.kind == "rows":
            return charts.rows(labels, series[0].values, text, width)
        return (charts.lines if chosen.kind == "lines" else charts.bars)(labels, series, text, width)

    legend = tuple((charts.series_class(at, one.name), one.name) for at, one in enumerate(series))
    single = len(series) == 1 or chosen.kind == "rows"
    return Chart(draw(WIDE), draw(NARROW), () if single else legend, text)


def _series(answer: Answer, chosen: Choice) -> tuple[list[str], list[Series]]:
    """Return the labels of an answer, dates in their order, and a value of each series for each label."""
    names = list(answer.kinds)
    x_at, values = names.index(chosen.x), {name: names.index(name) for name in chosen.y}
    found: dict[str, dict[str, float]] = {}
    totals: dict[str, float] = {}
    labels: dict[str, None] = {}
    for row in answer.rows:
        label = row[x_at].text or "(none)"
        labels[label] = None
        for name, at in values.items():
            key = (row[names.index(chosen.by)].text or "(none)") if chosen.by else name
            if (value := _number(row[at].text)) is not None:
                cell = found.setdefault(key, {})
                cell[label] = cell.get(label, 0.0) + value
                totals[key] = totals.get(key, 0.0) + abs(value)
    ordered = list(labels)
    if answer.kinds[chosen.x].startswith(("DATE", "TIMESTAMP")):
        ordered.sort()
    keys = sorted(found, key=lambda key: -totals[key]) if chosen.by else list(found)
    series = [Series(key, tuple(found[key].get(label) for label in ordered)) for key in keys[:SERIES]]
    if keys[SERIES:]:
        rest = [[found[key].get(label) for key in keys[SERIES:]] for label in ordered]
        series.append(Series(OTHERS, tuple(_sum(column) for column in rest)))
    return ordered, series or [Series(chosen.y[0], (None,) * len(ordered))]


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text is not None else None
    except ValueError:
        return None
    return value if value is None or abs(value) < float("inf") else None


def _sentence(chosen: Choice, labels: Sequence[str], series: Sequence[Series], whole: int) -> str:
    what = f"{', '.join(map(_brief, chosen.y))} by {_brief(chosen.x)}{f' and {_brief(chosen.by)}' if chosen.by else ''}"
    known = [(value, labels[at]) for one in series for at, value in enumerate(one.values) if value is not None]
    some = f" {len(labels)} of {whole:,} are drawn." if len(labels) < whole else ""
    if not known:
        return f"{what}: no figure.{some}"
    most, least = max(known), min(known)
    text = f"{what}, {labels[0]} to {labels[-1]}: the greatest {figure(most[0])} ({most[1]}), "
    return f"{text}the least {figure(least[0])} ({least[1]}).{some}"


def _brief(name: str) -> str:
    """Return a name as a chart can show it: what names a bar may be a text of any length."""
    return charts.shortened(name, _LONGEST_NAME)
