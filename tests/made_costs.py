"""Records of costs as runs append them, made by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from conftest import Lake, reader

from src.run import costs, runs
from src.run.costs import Cost

EMPTY = Cost(
    number=1,
    run_id="r",
    moment=datetime(2024, 2, 28, 6, tzinfo=UTC),
    day=date(2024, 2, 28),
    layer="silver",
    domain="shop",
    table="orders",
    cpu_seconds=Decimal(0),
    wall_seconds=0.0,
    peak_memory=None,
    bytes_read=None,
    bytes_written=None,
    landed_bytes=None,
    live_bytes=None,
    history_bytes=None,
    backup_bytes=None,
    complete=None,
    cpu_hour_price=Decimal("0.36"),  # 0.0001 a second
    gb_month_price=Decimal("0.87"),  # 0.03 a day of February 2024, which has 29
    currency="EUR",
)
GB = 1_000_000_000


def cost(number: int, day: str, name: str = "silver.shop.orders", seconds: int = 0, **fields: Any) -> Cost:
    """What a run took of one table; `gb`: what the table weighs since."""
    layer, domain, table = name.split(".")
    if (gb := fields.pop("gb", None)) is not None:
        fields |= {"live_bytes": gb * GB, "history_bytes": 0, "backup_bytes": 0}
    named: dict[str, Any] = {"layer": layer, "domain": domain, "table": table}
    return replace(EMPTY, number=number, day=date.fromisoformat(day), cpu_seconds=Decimal(seconds), **named, **fields)


def own(number: int, day: str, seconds: int = 0) -> Cost:
    """What a run took beside its steps, after which every table was measured."""
    return cost(number, day, "run.ops.run", seconds, complete=True)


def keep(lake: Lake, rows: list[Cost]) -> None:
    """Append records."""
    runs.append(reader(), lake.data, costs.TABLE, Cost, rows)
