"""The last runs as bars: the seconds of each layer on each other, and how each ended below."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from src.facts import RunFacts
from src.page.drawing.marks import box, framed, label, line, titled

_HEIGHT, _LEFT, _TOP, _BASE = 190.0, 44.0, 16.0, 140.0
_STEP, _BAR = 46.0, 28.0
_LAYERS = ("landing", "bronze", "silver", "gold")
_DWARFS = 3.0  # times the next longest
_LEAST = 0.1  # seconds
_ENDS = {"success": "✓", "partial": "!", "failed": "✗"}


def drawn(runs: Sequence[RunFacts]) -> Markup:
    """Return the drawing of these runs, the oldest first."""
    totals = [sum(run.seconds_by_layer.get(layer, 0.0) for layer in _LAYERS) for run in runs]
    top = _top(totals)
    width = _LEFT + _STEP * max(len(runs), 1)
    parts = [line(_LEFT, _BASE, width, _BASE, "rule"), label(_LEFT - 6, _TOP + 4, f"{top:.1f} s", "axis", "end")]
    parts += [_bar(run, _LEFT + at * _STEP, top) for at, run in enumerate(runs)]
    bad = [f"{run.started_at:%m-%d %H:%M}" for run in runs if run.status != "success"]
    ends = f"Not whole: {', '.join(bad)}." if bad else "All whole."
    return framed(width, _HEIGHT, parts, f"The last {len(runs)} runs, seconds by layer. {ends}", has_links=True)


def _top(totals: Sequence[float]) -> float:
    """Return the end of the axis: the longest run, unless it dwarfs the others, as a first load does; then the next."""
    *others, longest = sorted(totals) or [0.0]
    usual = max(others, default=longest)
    return max(usual if longest > _DWARFS * usual and usual > 0 else longest, _LEAST)


def _bar(run: RunFacts, x: float, top: float) -> str:
    parts, y = [box(x, _TOP, _STEP, _HEIGHT - _TOP, "hit")], _BASE
    total = sum(run.seconds_by_layer.get(layer, 0.0) for layer in _LAYERS)
    for layer in _LAYERS:
        height = (_BASE - _TOP) * run.seconds_by_layer.get(layer, 0.0) / max(top, total)
        y -= height
        parts.append(box(x + (_STEP - _BAR) / 2, y, _BAR, height, f"layer-{layer}"))
    middle = x + _STEP / 2
    if total > top:
        parts.append(label(middle, _TOP - 4, f"↑{total:.1f} s", "axis", "middle"))
    parts.append(label(middle, _BASE + 18, _ENDS.get(run.status, "?"), f"end-{run.status}", "middle"))
    parts.append(label(middle, _BASE + 36, f"{run.started_at:%m-%d}", "axis", "middle"))
    title = f"{run.started_at:%A %Y-%m-%d %H:%M} UTC: {run.command}, {run.status}, {run.seconds:.1f} s; "
    title += f"{run.records_read:,} read, {run.quarantined:,} quarantined, {run.failed} failed, {run.blocked} blocked"
    return titled(title, parts, f"/run/{run.run_id}")
