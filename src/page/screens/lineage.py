"""Lineage: where does the damage come from, how far does it reach, and which columns make this one?"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from src import catalog
from src.errors import UsageError
from src.facts import Facts
from src.origins import read_all_origins, users
from src.page import lines
from src.page.app import Page, page_of
from src.page.rendering import table_url
from src.project import Project
from src.proof.columns import NOTHING, Reference

_FOUND = 60  # tables and columns that a search shows


def lineage(request: Request) -> Response:
    """Return the screen: the whole lake, a domain, the line of a table, a column, or what a search finds."""
    page, asked = page_of(request), request.query_params
    facts = page.look.facts()
    values: dict[str, Any] = {"domain": "", "around": "", "column": None, "found": None, "search": asked.get("q", "")}
    if asked.get("column"):
        values |= _of_column(page, facts, asked["column"])
    elif asked.get("q"):
        values |= _search(page, facts, asked["q"])
    elif asked.get("around"):
        values |= _around(facts, asked["around"])
    elif asked.get("domain"):
        values |= _of_domain(facts, asked["domain"])
    elif len(facts.tables) > lines.MOST:
        values |= {"line": lines.folded(facts, _domain_url), "folded": True}
    else:
        values |= {"line": lines.of_tables(facts, facts.tables, table_url)}
    return page.show(request, "lineage.html", facts=facts, **({"folded": False, "line": None} | values))


def _around(facts: Facts, table: str) -> dict[str, Any]:
    _check(facts, table)
    shown = lines.of_tables(facts, lines.around(facts, table, None), table_url, table, facts.tables[table].domain)
    return {"around": table, "line": shown}


def _of_domain(facts: Facts, domain: str) -> dict[str, Any]:
    known = [one.name for one in facts.domains]
    if domain not in known:
        raise UsageError(f"unknown domain {domain}", fix=f"the domains are {', '.join(known)}")
    return {"domain": domain, "line": lines.of_tables(facts, lines.of_domain(facts, domain), table_url, first=domain)}


def _of_column(page: Page, facts: Facts, name: str) -> dict[str, Any]:
    table, _, column = name.rpartition(".")
    _check(facts, table)
    with page.look.project() as project:
        known = _columns_of(project, table)
        if column not in known:
            raise UsageError(f"{table} has no column {column}", fix=f"it has {', '.join(known)}")
        origins = read_all_origins(project, lines.around(facts, table, None))
    of: Reference = (table, column)
    origin = origins.get(of, NOTHING)
    return {
        "column": of,
        "values": sorted(origin.values, key=str),
        "shaping": sorted(origin.shaping, key=str),
        "users": users(origins, of),
        "line": lines.of_column(facts, origins, of, column_url),
    }


def _search(page: Page, facts: Facts, text: str) -> dict[str, Any]:
    """Return the tables and columns whose name has a text, and the line where it is one table's."""
    wanted = text.strip().lower()
    tables = [name for name in facts.tables if wanted in name.lower()]
    with page.look.project() as project:
        declared = [*project.contracts.silver.values(), *project.marts]
        columns = [(table.id, one.name) for table in declared for one in table.columns if wanted in one.name.lower()]
    if len(tables) == 1 and not columns:
        return _around(facts, tables[0])
    more = max(0, len(tables) - _FOUND) + max(0, len(columns) - _FOUND)
    return {"found": {"tables": tables[:_FOUND], "columns": columns[:_FOUND], "more": more}}


def _columns_of(project: Project, table: str) -> list[str]:
    if table in project.contracts.feeds or table in project.contracts.models:
        snapshot = project.table(table)
        return list(snapshot.columns) if snapshot else []
    return list(project.declared(table).stored_columns)


def _check(facts: Facts, table: str) -> None:
    if table not in facts.tables:
        raise catalog.unknown_table([table], facts.tables)


def column_url(table: str, column: str | None) -> str:
    """Return the address of a column's lineage; of its table where the column is not known."""
    return f"/lineage?column={quote(f'{table}.{column}')}" if column else table_url(table)


def _domain_url(domain: str) -> str:
    return f"/lineage?domain={quote(domain)}"


ROUTES = [Route("/lineage", lineage)]
