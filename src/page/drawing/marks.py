"""The pieces that drawings are made of; every text in them is escaped."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup, escape


def label(x: float, y: float, text: object, kind: str = "", anchor: str = "start") -> str:
    """Return a text at a point; `kind`: its class; `anchor`: start, middle or end."""
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(text)}</text>'


def box(x: float, y: float, width: float, height: float, kind: str, radius: float = 0) -> str:
    """Return a rectangle of a class."""
    sizes = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return f'<rect {sizes} rx="{radius:g}" class="{kind}"/>'


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """Return a straight line of a class."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def titled(title: object, parts: Iterable[str], link: str | None = None) -> str:
    """Return marks as one that says its title, and leads somewhere if a link is given."""
    inside = f"<title>{escape(title)}</title>{''.join(parts)}"
    return f'<a href="{escape(link)}">{inside}</a>' if link else f"<g>{inside}</g>"


def framed(width: float, height: float, parts: Iterable[str], sentence: object, *, has_links: bool = False) -> Markup:
    """Return a drawing and the sentence that tells it; with links it is a group, which is read mark by mark."""
    role = "group" if has_links else "img"
    size = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
    return Markup(f'<svg {size} role="{role}" aria-label="{escape(sentence)}">{"".join(parts)}</svg>')
