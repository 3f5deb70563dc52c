"""Charts of figures: stacked bars, lines, and bars that lie, one for each name.

Bars begin at 0. A figure that dwarfs the others is cut, and says what it is. Where there is no figure there is a gap.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from src.facts.measures import OTHERS, Series
from src.page.drawing.marks import box, framed, label, line, titled

WIDE, NARROW = 960.0, 366.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 52.0, 8.0, 22.0, 26.0
_ROW, _NAMES = 24.0, 0.3  # a lying bar's height, and the share of the width for names
_UNCUT = 0.88  # of the width, for lying bars that are not cut where one is
_DWARFS = 3.0  # so many times the next one: cut
_CUT_SHARE = 20  # at most one of so many figures is cut
_NEAR = 0.6  # lines whose least figure is above so much of their greatest have an axis of their own
_BAR = 56.0  # at most, a bar's width
_LABEL = 64.0  # width of a heading below the axis


def figure(value: float | None) -> str:
    """Return a figure in full: its thousands parted, two decimals where it has some."""
    if value is None:
        return "none"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}"


def short(value: float) -> str:
    """Return a figure as an axis has it: 60k, 1.5M."""
    for size, sign in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.4g}{sign}"
    return f"{value:.4g}"


def series_class(at: int, name: str) -> str:
    """Return the class that colours a series; at most seven are named apart."""
    return "s-others" if name == OTHERS else f"s-{min(at, 6)}"


@dataclass(frozen=True)
class _Axis:
    low: float
    high: float
    ticks: tuple[float, ...]
    top: float
    base: float

    def y(self, value: float) -> float:
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.base - share * (self.base - self.top)


def bars(labels: Sequence[str], series: Sequence[Series], sentence: str, width: float, height: float = 260) -> Markup:
    """Return bars, the series of a heading on each other; what is less than 0 hangs below."""
    stacks = [[value for one in series if (value := one.values[at]) is not None] for at in range(len(labels))]
    tops = [sum(value for value in stack if value > 0) for stack in stacks]
    axis = _axis(min([0.0, *(sum(value for value in stack if value < 0) for stack in stacks)]), _cut(tops), height)
    step = (width - _LEFT - _RIGHT) / max(len(labels), 1)
    parts = [*_grid(axis, width), *_below(labels, step, height)]
    for at, heading in enumerate(labels):
        x, up, down = _LEFT + at * step, 0.0, 0.0
        pieces = [box(x, axis.top, step, axis.base - axis.top, "hit")]
        for nth, one in enumerate(series):
            value = one.values[at] or 0.0
            start = up if value > 0 else down
            ends = sorted((axis.y(start), axis.y(start + value)))
            if value and ends[1] > ends[0]:
                gap = max(min(step * 0.2, 6), step - _BAR)
                kind = series_class(nth, one.name)
                pieces.append(box(x + gap / 2, ends[0], step - gap, ends[1] - ends[0], kind))
            up, down = (up + value, down) if value > 0 else (up, down + value)
        if tops[at] > axis.high:
            pieces.append(label(x + step / 2, axis.top - 6, f"↑ {short(tops[at])}", "axis", "middle"))
        parts.append(titled(_title(heading, series, at, total=len(series) > 1), pieces))
    return framed(width, height, parts, sentence)


def lines(labels: Sequence[str], series: Sequence[Series], sentence: str, width: float, height: float = 260) -> Markup:
    """Return a line for each series, broken where a heading has no figure."""
    known = [value for one in series for value in one.values if value is not None]
    axis = _axis(floor_of(series), _cut(known), height)
    step = (width - _LEFT - _RIGHT) / max(len(labels), 1)
    parts = [*_grid(axis, width), *_below(labels, step, height)]
    dot = 2.5 if step > 12 else 1.5
    for at, heading in enumerate(labels):
        pieces = [box(_LEFT + at * step, axis.top, step, axis.base - axis.top, "hit")]
        for nth, one in enumerate(series):
            if (value := one.values[at]) is None:
                continue
            x, kind = _LEFT + (at + 0.5) * step, series_class(nth, one.name)
            pieces.append(f'<circle cx="{x:.1f}" cy="{axis.y(value):.1f}" r="{dot}" class="{kind}"/>')
            if value > axis.high:
                pieces.append(label(x, axis.top - 6, f"↑ {short(value)}", "axis", "middle"))
        parts.append(titled(_title(heading, series, at, total=False), pieces))
    for nth, one in enumerate(series):
        path = "".join(_path(one, axis, step))
        parts.append(f'<path d="{path}" class="line {series_class(nth, one.name)}"/>')
    return framed(width, height, parts, sentence)


def rows(labels: Sequence[str], values: Sequence[float | None], sentence: str, width: float) -> Markup:
    """Return a lying bar for each name, with its figure; one that is cut has a gap before its end."""
    left = width * _NAMES
    known = [value for value in values if value is not None]
    low, high = min([0.0, *known]), _cut(known)
    room = (width - left - 92) * (_UNCUT if any(value > high for value in known) else 1.0)
    scale = room / ((high - low) or 1.0)
    zero = left - low * scale
    parts = [line(zero, 0, zero, _ROW * len(labels), "rule")]
    for at, (heading, value) in enumerate(zip(labels, values, strict=True)):
        y, name = at * _ROW, shortened(heading, int(left / 7))
        pieces = [box(0, y, width, _ROW, "hit"), label(left - 8, y + 16, name, "", "end")]
        least, most = min(value or 0.0, 0.0), min(max(value or 0.0, 0.0), high)
        end = zero + most * scale
        pieces.append(box(zero + least * scale, y + 4, (most - least) * scale, _ROW - 8, "s-0", 2))
        if value is not None and value > high:
            rest = room / _UNCUT - room - 4
            pieces.append(box(end + 4, y + 4, rest, _ROW - 8, "s-0", 2))
            end += rest + 4
        pieces.append(label(end + 6, y + 16, figure(value), "axis"))
        parts.append(titled(f"{heading}: {figure(value)}", pieces))
    return framed(width, _ROW * len(labels), parts, sentence)


def shortened(text: str, most: int) -> str:
    """Return a text, or its beginning with an ellipsis, of at most so many characters."""
    return text if len(text) <= most else text[: most - 1] + "…"


def floor_of(series: Sequence[Series]) -> float:
    """Return where the axis of lines begins: at 0, unless all of them run far above it, close together."""
    known = [value for one in series for value in one.values if value is not None]
    if not known or min(known) <= 0 or min(known) < _NEAR * max(known):
        return min([0.0, *known])
    step = _nice((max(known) - min(known)) / 3 or max(known) / 10)
    return math.floor(min(known) / step) * step


def _title(heading: str, series: Sequence[Series], at: int, *, total: bool) -> str:
    named = [f"{one.name} {figure(one.values[at])}" for one in series if one.values[at] is not None]
    together = f"{figure(sum(one.values[at] or 0.0 for one in series))} (" if total and named else ""
    return f"{heading}: {together}{', '.join(named) or 'no rows'}{')' if together else ''}"


def _cut(values: Sequence[float]) -> float:
    """Return the greatest figure that is drawn whole: the few that dwarf all others are not."""
    ordered = sorted(values, reverse=True)
    for many in range(1, max(2, len(ordered) // _CUT_SHARE + 1)):
        if len(ordered) > 4 and ordered[many] > 0 and ordered[many - 1] > _DWARFS * ordered[many]:
            return ordered[many]
    return max([0.0, *ordered[:1]])


def _nice(step: float) -> float:
    """Return the least step of 1, 2, 2.5 or 5 times a power of ten that is not below this one."""
    size = 10.0 ** math.floor(math.log10(step))
    return next((size * times for times in (1, 2, 2.5, 5) if size * times >= step * 0.999), size * 10)


def _axis(low: float, high: float, height: float) -> _Axis:
    step = _nice(((high - low) or 1.0) / 4)
    first, last = math.ceil(low / step - 1e-9), math.ceil(high / step - 1e-9)
    ticks = tuple(at * step for at in range(first, max(last, first + 1) + 1))
    return _Axis(min(low, ticks[0]), ticks[-1], ticks, _TOP, height - _BOTTOM)


def _grid(axis: _Axis, width: float) -> Iterator[str]:
    for tick in axis.ticks:
        y = axis.y(tick)
        yield line(_LEFT, y, width - _RIGHT, y, "zero" if tick == 0 else "rule")
        yield label(_LEFT - 6, y + 4, short(tick), "axis", "end")


def _below(labels: Sequence[str], step: float, height: float) -> Iterator[str]:
    """Yield some of the labels below the axis, the last one among them."""
    every = max(1, math.ceil(_LABEL / step))
    for at in range(len(labels) - 1, -1, -every):
        x = _LEFT + (at + 0.5) * step
        if x >= _LABEL / 2:
            shown = _below_axis(labels, at)
            yield label(min(x, _LEFT + len(labels) * step - 16), height - 6, shown, "axis", "middle")


def _below_axis(labels: Sequence[str], at: int) -> str:
    """Return a label as it stands below the axis: a date without its year, where all are of one."""
    text = labels[at]
    if len(text) == 10 and text[4] == text[7] == "-" and len({one[:4] for one in labels}) == 1:
        return text[5:]
    return shortened(text, 10)


def _path(series: Series, axis: _Axis, step: float) -> Iterator[str]:
    pen = "M"
    for at, value in enumerate(series.values):
        if value is None:
            pen = "M"
        else:
            yield f"{pen}{_LEFT + (at + 0.5) * step:.1f} {axis.y(value):.1f}"
            pen = "L"
