"""Templates to pages: every value escaped, the same words and figures as in the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from src.facts import State
from src.facts.tables import SIGNS
from src.page.drawing import charts

HERE = Path(__file__).parent


def environment() -> Environment:
    """Return the templates with the filters that they use; a name that is not there is an error."""
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "moment": moment,
        "ago": ago,
        "number": number,
        "coded": coded,
        "table_url": table_url,
        "seconds": seconds,
        "bytes": byte_size,
        "figure": figure,
        "in_full": charts.figure,
    }
    made.tests["number_type"] = is_number_type
    made.globals |= {"State": State, "SIGNS": SIGNS, "static": False, "asset": asset}
    return made


def moment(value: datetime | None) -> str:
    """Return a moment (UTC) to the minute; nothing for none."""
    return f"{value:%Y-%m-%d %H:%M}" if value else ""


def ago(then: datetime | None, now: datetime) -> str:
    """Return how long ago a moment was, in minutes up to two hours and in hours up to two days."""
    if then is None:
        return "never"
    minutes = max(0.0, (now - then).total_seconds() / 60)
    if minutes < 120:
        return f"{minutes:.0f} min ago"
    return f"{minutes / 60:.0f} h ago" if minutes < 48 * 60 else f"{minutes / 1440:.0f} days ago"


def number(value: float | None) -> str:
    """Return a number with its thousands parted; nothing for none."""
    return "" if value is None else f"{value:,}"


def figure(value: float | None) -> str:
    """Return a measured number: whole ones with their thousands parted, others to three digits or the unit."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.3g}"


def seconds(value: float) -> str:
    """Return a duration: 0.4 s, 12 s, 3 min."""
    return f"{value:.1f} s" if value < 10 else f"{value:.0f} s" if value < 120 else f"{value / 60:.0f} min"


def byte_size(value: int) -> str:
    """Return a size: 512 B, 498.5 kB, 1.2 MB."""
    size, units = float(value), ["B", "kB", "MB", "GB", "TB"]
    while size >= 1000 and len(units) > 1:
        size, units = size / 1000, units[1:]
    return f"{size:.0f} B" if units[0] == "B" else f"{size:.1f} {units[0]}"


def is_number_type(kind: str) -> bool:
    """Return whether values of this DuckDB type are numbers, which are set to the right."""
    return kind.startswith(("DECIMAL(", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "FLOAT", "DOUBLE", "HUGEINT"))


def coded(text: object) -> Markup:
    """Return a text escaped, with what stands in backticks as code."""
    parts = str(text).split("`")
    return Markup().join(
        Markup("<code>{}</code>").format(part) if at % 2 and at < len(parts) - 1 else escape(part)
        for at, part in enumerate(parts)
    )


def table_url(table_id: str) -> str:
    """Return the address of a table's screen."""
    return f"/table/{quote(table_id)}"


def asset(name: str) -> str:
    """Return the address of a file of src/page/static."""
    return f"/static/{name}"


def rendered(templates: Environment, name: str, values: Mapping[str, Any]) -> str:
    """Return a template's text with these values."""
    return templates.get_template(name).render(values)
