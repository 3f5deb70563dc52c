"""Charts as SVG text: bars of one quantity, and a line over days. No library: the same figures give the same bytes."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

WIDTH, LEFT, RIGHT, ROW = 820, 250, 90, 24
# readable on white and on black pages
STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#333}.title{font-weight:600}.quiet{fill:#777}"
    ".bar{fill:#8da0b3}.own{fill:#1f77b4}.axis{stroke:#999;stroke-width:1;fill:none}"
    ".line{stroke:#1f77b4;stroke-width:1.5;fill:none}.dot{fill:#1f77b4}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}.quiet{fill:#999}.bar{fill:#5d6f80}}"
)
Bar = tuple[str, float, str]  # label, value, what stands beside the bar


def bars(groups: Sequence[tuple[str, Sequence[Bar]]], own: str) -> str:
    """Horizontal bars in groups, each group with a scale of its own; bars whose label starts with `own` stand out."""
    parts, top = list[str](), 8
    for title, members in groups:
        parts.append(_text(0, top + 16, title, "title"))
        top += ROW + 2
        longest = max(value for _, value, _ in members) or 1.0
        for label, value, beside in members:
            wide = max(1.0, value / longest * (WIDTH - LEFT - RIGHT))
            kind = "own" if label.startswith(own) else "bar"
            parts.append(_text(LEFT - 8, top + 16, label, "", "end"))
            parts.append(
                f'<rect class="{kind}" x="{LEFT}" y="{top + 3}" width="{wide:.1f}" height="{ROW - 6}" rx="2"/>'
            )
            parts.append(_text(LEFT + wide + 6, top + 16, beside, "quiet"))
            top += ROW
        top += 12
    return _svg(top, parts)


def line(title: str, values: Sequence[float], marked: Sequence[int], unit: str) -> str:
    """One value per day, from 1; the `marked` days have a dot (their value stands out for a known reason)."""
    height, left, bottom = 300, 46, 262
    highest = max(values)
    step = (WIDTH - left - 20) / max(1, len(values) - 1)
    at = [(left + nth * step, bottom - value / highest * 210) for nth, value in enumerate(values)]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
    parts = [
        _text(0, 20, title, "title"),
        f'<path class="axis" d="M{left} 40V{bottom}H{WIDTH - 20}"/>',
        f'<polyline class="line" points="{path}"/>',
        *(f'<circle class="dot" cx="{at[day - 1][0]:.1f}" cy="{at[day - 1][1]:.1f}" r="3"/>' for day in marked),
        _text(left - 6, bottom, "0", "quiet", "end"),
        _text(left - 6, bottom - 210 + 4, f"{highest:.1f} {unit}", "quiet", "end"),
    ]
    for day in range(1, len(values) + 1, max(1, len(values) // 6)):
        parts.append(_text(at[day - 1][0], bottom + 18, f"day {day}", "quiet", "middle"))
    return _svg(height, parts)


def _text(x: float, y: float, words: str, kind: str, anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _svg(height: float, parts: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}">'
    return "\n".join([head, f"<style>{STYLE}</style>", *parts, "</svg>", ""])
