"""Any table of any layer, read-only, by its name layer.domain.table."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TextIO

from src import console, lake
from src.engine import DuckEngine
from src.errors import ContractError, DataError, UsageError, from_os_error

RECORDS = "ops"  # of what was done; without any other table they are no lake
LAYERS = ("bronze", "silver", "gold", "quarantine", "deletions", RECORDS)


def tables(data: Path) -> dict[str, Path]:
    """Return the folder of every table on disk, by table id; a table's own folders are not looked into."""
    found = {}
    for layer in LAYERS:
        for folder, inside, _ in os.walk(data / layer):
            inside.sort()
            if "_delta_log" in inside:
                inside.clear()
                root = Path(folder)
                found[".".join(root.relative_to(data).parts)] = root
    return found


def holding(data: Path) -> list[str]:
    """Return the ids of the tables that make a folder a lake: all but the records under ops."""
    return [name for name in tables(data) if not name.startswith(f"{RECORDS}.")]


def publish(engine: DuckEngine, roots: Mapping[str, Path], versions: Mapping[str, int] | None = None) -> None:
    """Make these tables readable by name: at the versions given, else at their newest."""
    for name, root in roots.items():
        snapshot = lake.open_table(root, (versions or {}).get(name))
        if snapshot:
            evolved = name.startswith(("bronze.", "ops."))  # these gain columns
            scan = engine.scan(snapshot, evolved=evolved)
            engine.publish(name, f"SELECT * FROM {scan}")


def show(
    engine: DuckEngine, data: Path, sql: str, form: str, versions: Mapping[str, int], out: TextIO | None = None
) -> int:
    """Run a SELECT and print it as table, csv or json.

    Tables are read at `versions`, those of one release, so that a run going on is not seen half-way. The statement
    sees nothing else: no other file, no network, no setting.

    Raises:
        UsageError: it names a table that is not there.
        ContractError: it is not one SELECT.
        MachineError: the result cannot be written.
    """
    known = tables(data)
    if not sql.strip():
        there = ", ".join(known) or "none yet; run `make pipeline`"
        raise UsageError("no SQL", fix=f'make query SQL="SELECT * FROM layer.domain.table"; the tables are {there}')
    wanted = engine.table_references(sql)
    unknown = sorted(name for name in wanted if name not in known)
    if unknown:
        there = ", ".join(known) or "none yet; run `make pipeline`"
        raise UsageError(f"no table {', '.join(unknown)}", fix=f"name one as layer.domain.table; there are {there}")
    publish(engine, {name: known[name] for name in wanted}, versions)
    engine.confine()
    try:
        headers, rows = list(engine.columns(sql)), engine.rows(sql)
    except ContractError as error:
        raise UsageError(error.what, where=sql) from error
    except DataError as error:
        fix = "where a file of the lake is damaged, `make check` names it and `make repair` brings it back"
        raise DataError(error.what, where=sql, fix=error.fix or fix) from error
    out = out or console.data_output()
    try:
        _print(headers, rows, form, out)
        out.flush()
    except BrokenPipeError:  # whoever reads has seen enough
        console.discard_output(out)
    except OSError as error:
        console.discard_output(out)
        raise from_os_error(error, "the output") from error
    return 0


def _print(headers: list[str], rows: list[tuple[object, ...]], form: str, out: TextIO) -> None:
    if form != "table" and isinstance(out, io.TextIOWrapper):
        out.reconfigure(encoding="utf-8")  # a program reads it: nothing may be escaped for a terminal's sake
    if form == "csv":
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(headers)
        writer.writerows(rows)
    elif form == "json":
        records = [dict(zip(headers, map(_finite, row), strict=True)) for row in rows]
        print(json.dumps(records, default=_json, ensure_ascii=False, indent=1, allow_nan=False), file=out)
    else:
        console.table(headers, rows, grouped=False, out=out)


def _finite(value: object) -> object:
    """Return a value with what JSON has no number for, infinity and NaN, as the texts Infinity, -Infinity and NaN."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return {name: _finite(item) for name, item in value.items()} if isinstance(value, dict) else value


def _json(value: object) -> object:
    if isinstance(value, Decimal):
        number = int(value) if value == value.to_integral_value() else float(value)
        return number if Decimal(repr(number)) == value else str(value)  # as text where a reader would round it
    return value.isoformat() if isinstance(value, date | datetime) else str(value)
