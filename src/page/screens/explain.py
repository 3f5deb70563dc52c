"""Where a number comes from: the rows, lines and files behind a row of a table, and on demand what was left out."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from src.contract import Table
from src.explain.explaining import Explainer, key_condition
from src.facts.marts import MartFacts
from src.masking.masks import Masks
from src.page.app import page_of
from src.run import releases
from src.selection import table_named

_ROWS = 20  # of a kind


def explain(request: Request) -> Response:
    """Return the screen of the rows that the address names by `key`, NAME=VALUE; `all`: with what was left out."""
    page, keys = page_of(request), request.query_params.getlist("key")
    whole, masks = request.query_params.get("all") == "1", page.look.masks()
    release = releases.newest_release(page.look.settings.data_dir)
    with page.reading() as reading, page.look.project() as project:
        table = table_named(project, request.query_params.get("table", ""))
        explainer = Explainer(project, release.versions, release.as_of, masks, _ROWS, brief=not whole)
        found = explainer.explain(table, key_condition(table, keys), " ".join(keys))
        read = {name: tuple(stored.columns) for name, stored in project.built(set(found.tables())).items()}
        reading.contracts, reading.masked = project.contracts, any(map(masks.covers, read))
        for name, columns in read.items():
            reading.of_table(name, columns)
        reading.rows = found.rows
    return page.show(
        request, "explain.html", found=found, keys=keys, whole=whole, more=f"{_address(table, keys)}&all=1"
    )


def addresses(found: MartFacts, masks: Masks) -> list[str | None]:
    """Return for each of the newest rows of a mart's table where its numbers are explained; None where that cannot be.

    It cannot where a column that tells the row is masked, empty or cut, or the table is one of scores.
    """
    table, newest = found.table, found.newest
    if newest is None:
        return []
    dimensions = table.key or [column.name for column in table.columns if not column.is_numeric]
    if (
        table.scored_by
        or not dimensions
        or masks.hidden(table.id, dimensions)
        or not set(dimensions) <= set(newest.columns)
    ):
        return [None] * len(newest.rows)
    rows = [dict(zip(newest.columns, row, strict=True)) for row in newest.rows]
    keys = [[(name, row[name]) for name in dimensions] for row in rows]
    return [
        _address(table, [f"{name}={value}" for name, value in key])
        if all(value and not value.endswith("…") for _, value in key)
        else None
        for key in keys
    ]


def _address(table: Table, keys: list[str]) -> str:
    return f"/explain?{urlencode([('table', table.id), *(('key', key) for key in keys)])}"


ROUTES = [Route("/explain", explain)]
