"""Small plots as SVG text: no library, no script, no font of their own; the page that holds them gives the colours.

Every plot says in words what it shows, for those who hear the page and for the Markdown that has no pictures.
The same numbers give the same bytes. A library that draws as much takes half a second to load and 60 MB to install.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _HEIGHT = 760.0, 170.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 52.0, 6.0, 16.0, 20.0
_LABELS = 7  # below the bars, at most
_CUT, _FEW = 8.0, 8  # times the median; with fewer values there is no usual one
_STEPS = "▁▂▃▄▅▆▇█"
TONES = ("main", "good", "odd", "bad", "pale")  # the CSS classes that fill


@dataclass(frozen=True)
class Bar:
    """One position on the axis: a bar for each value, side by side, a tone of TONES for each."""

    label: str
    values: tuple[float, ...]
    tones: tuple[str, ...]
    note: str  # what the eye sees when it rests on it
    mark: float | None = None  # a line across it: what was to be expected
    flag: str = ""  # a sign above it, so that colour alone carries no meaning


@dataclass(frozen=True)
class Plot:
    """A drawing and what it shows in words."""

    title: str
    text: str
    svg: str


def bars(name: str, title: str, unit: str, shown: Sequence[Bar], legend: Sequence[tuple[str, str]] = ()) -> Plot:
    """Return a bar plot. `name` is unique on its page; `legend`: tone and its meaning; `unit`: of all values."""
    top = _round_up(_most([value for bar in shown for value in (*bar.values, bar.mark or 0.0)]))
    parts = [*_axis(top), *_legend(legend)]
    width = (_WIDTH - _LEFT - _RIGHT) / max(len(shown), 1)
    every = -(-len(shown) // _LABELS)
    for index, bar in enumerate(shown):
        left = _LEFT + index * width
        parts += _bar(bar, left, width, top)
        if (len(shown) - 1 - index) % max(every, 1) == 0:  # counted from the newest, which is always named
            parts.append(_word(left + width / 2, _HEIGHT - 5, bar.label, "middle"))
    text = _in_words(unit, shown)
    return Plot(title, text, _framed(name, f"{title}. {text}", parts))


def spark(values: Sequence[float | None], what: str) -> str:
    """Return a line plot as high as a word; None is a gap. `what` describes it for those who hear the page."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return ""
    low, span = min(known), (max(known) - min(known)) or 1.0
    step = 96.0 / (len(values) - 1)
    points = [
        None if value is None else f"{2 + index * step:.1f},{18 - 14 * (value - low) / span:.1f}"
        for index, value in enumerate(values)
    ]
    lines = "".join(f'<polyline points="{" ".join(run)}"/>' for run in _unbroken(points) if len(run) > 1)
    x, y = _unbroken(points)[-1][-1].split(",")
    dot = f'<circle cx="{x}" cy="{y}" r="1.8"/>'
    title = f"{what}: {short(low)} to {short(max(known))}, last {short(known[-1])}"
    return f'<svg class="spark" viewBox="0 0 100 20" role="img"><title>{escape(title)}</title>{lines}{dot}</svg>'


def letters(values: Sequence[float | None]) -> str:
    """Return a line plot made of letters: ▁▄█; a gap is a dot."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return ""
    low, span = min(known), (max(known) - min(known)) or 1.0
    return "".join("·" if v is None else _STEPS[min(7, int(8 * (v - low) / span))] for v in values)


def short(value: float) -> str:
    """Return a number in few letters: 0.4, 12, 3.1k, 2.5M."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:.1f}".removesuffix(".0") + unit
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.2f}".rstrip("0").rstrip(".")


def _most(values: Sequence[float]) -> float:
    """Return what the axis has to reach; a bar far above the usual one is cut, or the others would lie flat."""
    positive = sorted(value for value in values if value > 0)
    usual = positive[len(positive) // 2] if len(positive) > _FEW else math.inf
    return max((value for value in positive if value <= _CUT * usual), default=0.0)


def _round_up(value: float) -> float:
    """Return the end of the axis: the next of 1, 2, 4, 6, 8 and 10 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** len(str(int(value))) / 10 if value >= 1 else 0.1
    while power / 10 >= value:
        power /= 10
    return next(step * power for step in (1, 2, 4, 6, 8, 10) if step * power >= value)


def _axis(top: float) -> list[str]:
    parts = []
    for part in (0.0, 0.5, 1.0):
        y = _y(part * top, top)
        parts.append(f'<line class="grid" x1="{_LEFT:.0f}" x2="{_WIDTH - _RIGHT:.0f}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(_word(_LEFT - 6, y + 4, short(part * top), "end"))
    return parts


def _legend(legend: Sequence[tuple[str, str]]) -> list[str]:
    parts, x = [], _LEFT
    for tone, meaning in legend:
        parts += [f'<rect class="{tone}" x="{x:.0f}" y="1" width="9" height="9"/>', _word(x + 13, 10, meaning, "start")]
        x += 30 + 5.8 * len(meaning)
    return parts


def _bar(bar: Bar, left: float, width: float, top: float) -> list[str]:
    """Return the bars of one position: a tenth of it free on either side, and no bar wider than a finger."""
    inner = min(width * 0.8, 44.0)
    start, each = left + (width - inner) / 2, inner / max(len(bar.values), 1)
    parts = [f"<g><title>{escape(bar.note)}</title>"]
    # all of the place, so that a bar too small to point at has its note too
    parts.append(f'<rect class="none" x="{left:.1f}" y="{_TOP}" width="{width:.1f}" height="{_HEIGHT - _TOP:.1f}"/>')
    for index, (value, tone) in enumerate(zip(bar.values, bar.tones, strict=True)):
        y, base = _y(min(value, top), top), _y(0, top)
        height = max(base - y, 1.0 if value else 0.0)  # what is there is seen
        where = f'x="{start + index * each:.1f}" y="{base - height:.1f}" width="{each:.1f}" height="{height:.1f}"'
        parts.append(f'<rect class="{tone}" {where}/>')
    if bar.mark is not None:
        y = _y(min(bar.mark, top), top)
        parts.append(f'<line class="mark" x1="{left + 1:.1f}" x2="{left + width - 1:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>')
    highest = max(bar.values, default=0.0)
    if flag := " ".join(filter(None, (bar.flag, f"↑{short(highest)}" if highest > top else ""))):
        y = _TOP - 4 if highest > top else max(_y(highest, top) - 4, _TOP + 2)
        anchor, x = ("end", left + width) if len(flag) > 1 else ("middle", left + width / 2)
        parts.append(_word(x, y, flag, anchor))
    return [*parts, "</g>"]


def _y(value: float, top: float) -> float:
    return _HEIGHT - _BOTTOM - (_HEIGHT - _BOTTOM - _TOP) * value / top


def _word(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _in_words(unit: str, shown: Sequence[Bar]) -> str:
    if not shown:
        return "Nothing to show yet."
    highest = max(shown, key=lambda bar: max(bar.values, default=0.0))
    flagged = [bar.label for bar in shown if bar.flag]
    text = f"{shown[0].label} to {shown[-1].label}, in {unit}. The most is {highest.note}; the newest {shown[-1].note}."
    return text + (f" Marked: {', '.join(flagged)}." if flagged else "")


def _framed(name: str, text: str, parts: Sequence[str]) -> str:
    title, _, rest = text.partition(". ")
    head = f'<title id="{name}-t">{escape(title)}</title><desc id="{name}-d">{escape(rest)}</desc>'
    box = f'viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}" role="img" aria-labelledby="{name}-t {name}-d"'
    return f'<svg class="plot" {box}>{head}{"".join(parts)}</svg>'


def _unbroken(points: Sequence[str | None]) -> list[list[str]]:
    runs: list[list[str]] = [[]]
    for point in points:
        if point is None:
            runs.append([])
        else:
            runs[-1].append(point)
    return [run for run in runs if run]
