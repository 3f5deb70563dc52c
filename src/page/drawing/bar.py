"""One bar of a table's line: a share of the longest."""

from __future__ import annotations

from markupsafe import Markup

from src.page.drawing.marks import box

_WIDTH, _HEIGHT = 120.0, 10.0


def share(value: float, longest: float, kind: str) -> Markup:
    """Return a bar of a class, as long as its share of the longest; the number itself stands beside it."""
    width = max(1.0, _WIDTH * value / longest) if longest and value else 0.0
    size = f'viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}" width="{_WIDTH:.0f}" height="{_HEIGHT:.0f}"'
    return Markup(f'<svg {size} aria-hidden="true" class="bar">{box(0, 0, width, _HEIGHT, kind, 2)}</svg>')
