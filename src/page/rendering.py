"""Templates to pages: every value escaped, the same words and figures as in the terminal."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from src.facts import State, wording
from src.facts.tables import SIGNS
from src.page.drawing import charts

HERE = Path(__file__).parent
_RUN_ID = re.compile(r"(\b\d{8}T\d{9}-[0-9a-f]{6}\b)")


def environment(branch: str | None = None) -> Environment:
    """Return the templates with the filters that they use; a name that is not there is an error.

    `branch`: the branch of the lake that every screen names, as what it shows is not main.
    """
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "moment": wording.moment,
        "run_moment": run_moment,
        "ago": ago,
        "number": number,
        "coded": coded,
        "table_url": table_url,
        "seconds": seconds,
        "bytes": wording.size,
        "in_full": charts.figure,
        "with_runs": with_runs,
        "hours": hours,
    }
    made.tests["number_type"] = is_number_type
    made.globals |= {"State": State, "SIGNS": SIGNS, "static": False, "asset": asset, "mart_url": mart_url}
    made.globals["branch"] = branch
    return made


def run_moment(run_id: str) -> str:
    """Return the moment (UTC) that a run's id begins with; an id of another form as it is."""
    return wording.moment(wording.run_started(run_id)) or run_id


def ago(then: datetime | None, now: datetime) -> str:
    """Return how long ago a moment was."""
    return "never" if then is None else wording.ago(now, then)


def number(value: float | None) -> str:
    """Return a number with its thousands parted; nothing for none."""
    return "" if value is None else f"{value:,}"


def seconds(value: float) -> str:
    """Return a duration: 0.4 s, 12 s, 3 min."""
    return f"{value:.1f} s" if value < 10 else f"{value:.0f} s" if value < 120 else f"{value / 60:.0f} min"


def is_number_type(kind: str) -> bool:
    """Return whether values of this DuckDB type are numbers, which are set to the right."""
    return kind.startswith(
        (
            "DECIMAL(",
            "TINYINT",
            "SMALLINT",
            "INTEGER",
            "BIGINT",
            "FLOAT",
            "DOUBLE",
            "HUGEINT",
            "UTINY",
            "USMALL",
            "UINT",
            "UBIG",
            "UHUGE",
        )
    )


def hours(value: float | None) -> str:
    """Return a span in hours up to four days, then in days; a dash for none."""
    if value is None:
        return "-"
    return f"{value:.0f} h" if value < 96 else f"{value / 24:.0f} d"


def coded(text: object) -> Markup:
    """Return a text escaped, with what stands in backticks as code."""
    parts = str(text).split("`")
    return Markup().join(
        Markup("<code>{}</code>").format(part) if at % 2 and at < len(parts) - 1 else escape(part)
        for at, part in enumerate(parts)
    )


def with_runs(text: object) -> Markup:
    """Return a text as `coded` does, each run's id in it as the moment of its start, which leads to the run."""
    parts = _RUN_ID.split(str(text))
    return Markup().join(
        Markup('<a href="/run/{}">{} UTC</a>').format(part, run_moment(part)) if at % 2 else coded(part)
        for at, part in enumerate(parts)
    )


def mart_url(mart: str, table: str = "") -> str:
    """Return the address of the screen of a mart, or of one of its tables."""
    return f"/mart/{quote(mart)}" + (f"/{quote(table)}" if table else "")


def table_url(table_id: str) -> str:
    """Return the address of a table's screen."""
    return f"/table/{quote(table_id)}"


def asset(name: str) -> str:
    """Return the address of a file of src/page/static."""
    return f"/static/{name}"


def rendered(templates: Environment, name: str, values: Mapping[str, Any]) -> str:
    """Return a template's text with these values."""
    return templates.get_template(name).render(values)
