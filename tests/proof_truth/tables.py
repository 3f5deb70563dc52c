"""A small shop: its silver tables, random rows for them, and random changes.

Few values, so that they meet: nine days over three months and two years, NULL among days and buyers.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from src.contract import Column, Table
from src.engine import DuckEngine, literal

DAYS = [
    dt.date(2031, 1, 1),
    dt.date(2031, 1, 29),
    dt.date(2031, 1, 30),
    dt.date(2031, 1, 31),
    dt.date(2031, 2, 1),
    dt.date(2031, 2, 3),
    dt.date(2031, 3, 4),
    dt.date(2030, 12, 31),
    dt.date(2030, 1, 30),
]
_MOMENT = "TIMESTAMP WITH TIME ZONE"
COLUMNS: Mapping[str, Mapping[str, str]] = {
    "orders": {
        "id": "BIGINT",
        "buyer": "VARCHAR",
        "day": "DATE",
        "moment": _MOMENT,
        "sent": "DATE",
        "amount": "DECIMAL(9,2)",
    },
    "returns": {
        "id": "BIGINT",
        "order_id": "BIGINT",
        "buyer": "VARCHAR",
        "day": "DATE",
        "amount": "DECIMAL(9,2)",
    },
    "parcels": {"id": "BIGINT", "day": "DATE", "sent": "DATE"},
    "rates": {"day": "DATE", "rate": "DECIMAL(9,4)"},
    "calendar": {"day": "DATE", "weekday": "VARCHAR"},
    "buyers": {"buyer": "VARCHAR", "segment": "VARCHAR"},
}
_KEYS = {"orders": "id", "returns": "id", "parcels": "id", "rates": "day", "calendar": "day", "buyers": "buyer"}
_IDS = range(12)
_POSSIBLE: Mapping[str, list[Any]] = {"rates": DAYS, "calendar": DAYS, "buyers": ["u", "v", "w"]}

CONTRACTS = {
    f"silver.shop.{name}": Table(
        layer="silver",
        domain="shop",
        name=name,
        version="1.0.0",
        columns=tuple(Column(column, kind) for column, kind in columns.items()),
        key=(_KEYS[name],),
    )
    for name, columns in COLUMNS.items()
}

Rows = dict[str, dict[Any, tuple[Any, ...]]]  # by table, by key


def draw(random: Random) -> Rows:
    """Random rows for every table."""
    return {
        table: {
            key: _row(random, table, key)
            for key in _POSSIBLE.get(table, _IDS)
            if random.random() < (0.9 if table == "calendar" else 0.55)
        }
        for table in COLUMNS
    }


def change(random: Random, old: Rows) -> Rows:
    """The rows after one to three of them came, went or became others, in one table or in some."""
    new = {table: dict(rows) for table, rows in old.items()}
    others = [["orders", "returns"], ["calendar"], ["parcels", "orders"], ["parcels"]]
    changing = random.choice([["orders"]] * 6 + others)
    for _ in range(random.randrange(1, 4)):
        table = random.choice(changing)
        key = random.choice(_POSSIBLE.get(table, _IDS))
        if random.random() < 0.35:
            new[table].pop(key, None)
        else:
            new[table][key] = _row(random, table, key)
    return new


def _row(random: Random, table: str, key: Any) -> tuple[Any, ...]:
    makers: dict[str, Callable[[], Any]] = {
        "id": lambda: key,
        "order_id": lambda: random.choice(_IDS),
        "day": lambda: _day(random),
        "sent": lambda: _day(random),
        "moment": lambda: dt.datetime.combine(random.choice(DAYS), dt.time(random.randrange(24)), dt.UTC),
        "buyer": lambda: random.choice(["u", "v", "w", None]),
        "segment": lambda: random.choice("ab"),
        "weekday": lambda: random.choice("uvx"),
        "amount": lambda: random.randrange(1, 7),
        "rate": lambda: random.randrange(1, 5),
        _KEYS[table]: lambda: key,
    }
    return tuple(makers[column]() for column in COLUMNS[table])


def _day(random: Random) -> dt.date | None:
    return None if random.random() < 0.08 else random.choice(DAYS[: random.choice([3, 5, 9])])


def fill(engine: DuckEngine, schema: str, tables: Rows) -> None:
    """Write the rows into the tables of a schema, in place of those that are there."""
    engine.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    for table, rows in tables.items():
        columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS[table].items())
        engine.execute(f"CREATE OR REPLACE TABLE {schema}.{table} ({columns})")
        if rows:
            values = ", ".join("(" + ", ".join(map(literal, row)) + ")" for row in rows.values())
            engine.execute(f"INSERT INTO {schema}.{table} VALUES {values}")
