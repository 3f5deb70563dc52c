"""A long table has a row for each series and day; `watch` says which columns make a series, and which is its number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from src.contract.errors import Part, hint, listed
from src.contract.model import Table, Watch


def watch(table: Table, written: Mapping[str, Any] | None, part: Part) -> Watch | None:
    """Return how a table's series are watched; adds an error for each thing with which that cannot be done."""
    if written is None:
        return None
    found = Watch(tuple(written["by"]), written["value"], written.get("source"), written.get("dictionary"))
    at, columns = "customProperties[watch]", {column.name: column for column in table.columns}
    kinds = {name: column.type for name, column in columns.items()}
    part.file.check_columns((*found.by, found.value), kinds, part.key_path(at))
    if found.value in columns and not columns[found.value].is_numeric:
        part.error(f"watch of {found.value}, which is {kinds[found.value]}", at, "name a column of numbers as `value`")
    if table.business_date is None or kinds.get(table.business_date) not in ("DATE", None):
        what = f"which is {kinds[table.business_date]}" if table.business_date else "and there is none"
        part.error(f"watch by business date, {what}", at, "name a column of type date: `businessDate`")
    apart = {found.value, table.business_date} & set(found.by)
    if apart:
        part.error(
            f"watch by {listed(sorted(map(str, apart)))}", at, "leave the value and the business date out of `by`"
        )
    if found.source is not None and found.source not in found.by:
        part.error(f"watch with source {found.source}", at, hint(found.source, found.by))
    if found.dictionary is not None:
        part.file.references.append((part.key_path(at), found.dictionary, ()))
        part.file.dictionaries.append((part.key_path(at), found.dictionary, found.by))
    return found
