"""A lineage: bands from top to bottom, boxes in columns from left to right, curves between those that are connected."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from src.page.drawing.marks import box as rectangle
from src.page.drawing.marks import framed, titled
from src.page.drawing.marks import label as text_at

_WIDEST, _NARROWEST, _PAGE = 276.0, 190.0, 1376.0  # of a column, and of all of them together
_GAP = 40.0  # between columns, for the curves
_ROW, _HIGH = 26.0, 22.0
_HEAD, _BAND_HEAD, _BAND_FOOT = 20.0, 21.0, 8.0
_WIDE, _THIN = frozenset("mwMW@%"), frozenset("ijl.,:'|!ftr ")
_SWEEPS = 4  # over the columns, each bringing boxes nearer to those that they are connected with


@dataclass(frozen=True)
class Box:
    """One box: a table, a column, or the tables of a domain's layer."""

    id: str
    band: str
    column: int
    label: str
    kind: str  # classes: its state and its layer
    sign: str = ""
    note: str = ""  # on the right, where there is room
    title: str = ""
    link: str | None = None


@dataclass(frozen=True)
class _Spot:
    x: float
    y: float
    width: float


def drawn(
    boxes: Sequence[Box],
    edges: Collection[tuple[str, str]],
    heads: Sequence[str],
    sentence: str,
    bad: Collection[str] = (),
) -> Markup:
    """Return the drawing. `heads`: of the columns; `bad`: the boxes whose outgoing curves are those of a fault."""
    pitch = min(_WIDEST, max(_NARROWEST, _PAGE / max(len(heads), 1)))
    width = pitch * len(heads) + 8
    places, parts, height = _placed(boxes, edges, pitch, width)
    heads_drawn = [text_at(12 + at * pitch, 14, head, "axis") for at, head in enumerate(heads)]
    faulty = frozenset(bad)
    inside = [(above, below) for above, below in edges if above in places and below in places]
    curves = [_curve(places[a], places[b], bad=a in faulty) for a, b in sorted(inside, key=lambda e: e[0] in faulty)]
    nodes = [_node(box, places[box.id]) for box in boxes]
    return framed(width, height, [*parts, *heads_drawn, *curves, *nodes], sentence, has_links=True)


def _placed(
    boxes: Sequence[Box], edges: Collection[tuple[str, str]], pitch: float, width: float
) -> tuple[dict[str, _Spot], list[str], float]:
    """Return where each box lies, the bands behind them, and the height of all."""
    rows = _rows(boxes, edges)
    bands = list(dict.fromkeys(box.band for box in boxes))
    places: dict[str, _Spot] = {}
    parts: list[str] = []
    top = _HEAD
    for band in bands:
        own = [box for box in boxes if box.band == band]
        high = _BAND_HEAD + _ROW * (1 + max(rows[box.id] for box in own)) + _BAND_FOOT - (_ROW - _HIGH)
        parts += [rectangle(0, top, width, high, "band", 8), text_at(12, top + 15, band, "band-name")]
        for box in own:
            y = top + _BAND_HEAD + rows[box.id] * _ROW
            places[box.id] = _Spot(8 + box.column * pitch, y, pitch - _GAP)
        top += high + 5
    return places, parts, top


@dataclass(frozen=True)
class _Grid:
    """The columns and bands of boxes, and what each is connected with."""

    columns: Mapping[str, int]
    bands: Mapping[str, int]
    near: Mapping[str, Sequence[str]]

    def pull(self, name: str, rows: Mapping[str, int], *, to_right: bool) -> float:
        """Return the row to which the boxes on one side draw a box, those of other bands beyond every row."""
        own = self.columns[name]
        side = [
            one for one in self.near.get(name, ()) if (self.columns[one] > own if to_right else self.columns[one] < own)
        ]
        if not side:
            return rows[name]
        return sum((self.bands[one] - self.bands[name]) * 1000.0 + rows[one] for one in side) / len(side)


def _rows(boxes: Sequence[Box], edges: Collection[tuple[str, str]]) -> dict[str, int]:
    """Return the row of each box within its band: near those that it is connected with."""
    order = {band: at for at, band in enumerate(dict.fromkeys(box.band for box in boxes))}
    columns = {box.id: box.column for box in boxes}
    near: dict[str, list[str]] = {}
    for above, below in edges:
        if above in columns and below in columns:
            near.setdefault(above, []).append(below)
            near.setdefault(below, []).append(above)
    cells: dict[tuple[int, int], list[str]] = {}
    for box in boxes:
        cells.setdefault((box.column, order[box.band]), []).append(box.id)
    grid = _Grid(columns, {box.id: order[box.band] for box in boxes}, near)
    rows = {name: at for cell in cells.values() for at, name in enumerate(cell)}
    given = {box.id: at for at, box in enumerate(boxes)}
    for sweep in range(_SWEEPS):
        to_right = sweep % 2 == 1
        for cell in sorted(cells, reverse=to_right):
            pulled = sorted((grid.pull(name, rows, to_right=to_right), given[name], name) for name in cells[cell])
            for at, (_, _, name) in enumerate(pulled):
                rows[name] = at
    return rows


def _curve(start: _Spot, end: _Spot, *, bad: bool) -> str:
    kind = "edge bad" if bad else "edge"
    x1, y1, y2 = start.x + start.width, start.y + _HIGH / 2, end.y + _HIGH / 2
    if end.x <= start.x:  # within a column: out and back on the right side
        x2 = end.x + end.width
        return (
            f'<path class="{kind}" d="M{x1:.0f},{y1:.0f} '
            f'C{x1 + 28:.0f},{y1:.0f} {x2 + 28:.0f},{y2:.0f} {x2:.0f},{y2:.0f}"/>'
        )
    half = _GAP / 2
    if end.x - x1 < _GAP + 1:  # to the next column
        return (
            f'<path class="{kind}" d="M{x1:.0f},{y1:.0f} '
            f'C{x1 + half:.0f},{y1:.0f} {end.x - half:.0f},{y2:.0f} {end.x:.0f},{y2:.0f}"/>'
        )
    lane = y2 - _ROW / 2 if y1 < y2 else y2 + _ROW / 2  # between two rows, so that it touches no box on its way
    return (
        f'<path class="{kind}" d="M{x1:.0f},{y1:.0f} '
        f"C{x1 + half:.0f},{y1:.0f} {x1 + half:.0f},{lane:.0f} {x1 + _GAP:.0f},{lane:.0f} H{end.x - _GAP:.0f} "
        f'C{end.x - half:.0f},{lane:.0f} {end.x - half:.0f},{y2:.0f} {end.x:.0f},{y2:.0f}"/>'
    )


def _node(box: Box, spot: _Spot) -> str:
    start = 28 if box.sign else 12
    inner = spot.width - start - 12
    label, note = box.label, box.note
    if note and text_width(label) + text_width(note) + 12 > inner:
        note = ""
    middle = spot.y + 15
    parts = [
        rectangle(spot.x, spot.y, spot.width, _HIGH, "box", 5),
        rectangle(spot.x, spot.y, 4, _HIGH, "layer", 2),
        text_at(spot.x + 12, middle, box.sign, "sign") if box.sign else "",
        text_at(spot.x + start, middle, cut(label, inner)),
        text_at(spot.x + spot.width - 8, middle, note, "axis", "end") if note else "",
    ]
    return f'<g class="node {box.kind}">{titled(box.title or box.label, parts, box.link)}</g>'


def text_width(text: str) -> float:
    """Return about how wide a text of 12 px is, in px; of common fonts rather too wide than too narrow."""
    return sum(11.7 if sign in _WIDE else 4.9 if sign in _THIN else 7.7 for sign in text)


def cut(text: str, width: float) -> str:
    """Return a text, or its beginning with an ellipsis, no wider than so many px."""
    if text_width(text) <= width:
        return text
    while text and text_width(text) + 12 > width:
        text = text[:-1]
    return text + "…"


def compressed(columns: Mapping[str, int]) -> dict[str, int]:
    """Return the same columns without those that are empty."""
    at = {column: number for number, column in enumerate(sorted(set(columns.values())))}
    return {name: at[column] for name, column in columns.items()}
