"""`measure` names the number that a gold table is looked at for, and how it adds up: a rate is no sum."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from src.contract.errors import Part
from src.contract.model import Measure, Table

_AT = "customProperties[measure]"


def measure(table: Table, written: Mapping[str, Any] | None, part: Part) -> Measure | None:
    """Return the measure of a table; adds an error for each thing with which it cannot be drawn."""
    if written is None:
        return None
    found = Measure(**written)
    columns = {column.name: column for column in table.columns}
    named = [name for name in (found.column, found.by, found.weight) if name is not None]
    part.file.check_columns(named, columns, part.key_path(_AT))
    for name in filter(None, (found.column, found.weight)):
        if name in columns and not columns[name].is_numeric:
            part.error(f"measure of {name}, which is {columns[name].type}", _AT, "name a column of numbers")
    if found.weight is not None and found.aggregate != "avg":
        part.error(f"weight of a {found.aggregate}", _AT, "remove it: only an average (`aggregate: avg`) has weights")
    if found.by is not None and found.by in (found.column, table.measured_by):
        fix = "name another column as `by`, or leave it out"
        part.error(f"measure by {found.by}, which is drawn already", _AT, fix)
    if found.by is None and table.measured_by is None:
        fix = "write `by`, or name a date: in the key, or as `businessDate`"
        part.error("measure with neither a date nor `by`", _AT, fix)
    return found
