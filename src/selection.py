"""Tables by the names that people type: in full, or as much of the end as one table alone has."""

from __future__ import annotations

from collections.abc import Iterable

from src.contract import Table
from src.errors import UsageError
from src.project import Project


def table_named(project: Project, name: str) -> Table:
    """Return the silver or gold table of a name: its id, or the end of it (shop.orders, orders) where one has that.

    Raises:
        UsageError: none has it, or several have.
    """
    known = {**project.contracts.silver, **{table.id: table for table in project.marts}}
    found = [name] if name in known else ending(known, name)
    if len(found) > 1:
        raise UsageError(f"{name} may be {' or '.join(found)}", fix="write more of the name")
    if not found:
        raise UsageError(f"no table {name}", fix=nearest(name, known))
    return known[found[0]]


def ending(ids: Iterable[str], name: str) -> list[str]:
    """Return the ids that end with the parts of a name."""
    return [table_id for table_id in ids if table_id.endswith(f".{name}")]


def nearest(name: str, ids: Iterable[str]) -> str:
    """Return the fix for a name that none of these has: the nearest one, and all there are."""
    from difflib import get_close_matches

    known = list(ids)
    forms = {form: one for one in known for form in (one, one.partition(".")[2], one.rpartition(".")[2])}
    near = get_close_matches(name, forms, 1)
    return f"did you mean `{forms[near[0]]}`? there are {', '.join(known)}" if near else f"there are {', '.join(known)}"
