"""A lake that is hard to show: much of everything, cells of megabytes, and markup wherever a person can write."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from conftest import DAILY, MART, ORDERS, Lake
from test_quiet import keep, step

from src.run import runs

SCRIPT = "<script>window.ran=1;alert(1)</script>"
HOSTILE = f"{SCRIPT}<img src=x onerror=alert(2)>\"'&amp; & {{{{ 7*7 }}}} Größe 発注 العربية"
LONG_NAME = "a_name_of_sixty_characters_that_no_column_of_a_screen_holds_"
FILE = "<img src=x onerror=alert(3)>&'\"%20#Größe発注.csv"
COLUMNS = "order_id,day,amount,updated,note\n"
ORDERS_TABLE, LONG_TABLE = "silver.shop.orders", f"silver.{LONG_NAME}.{LONG_NAME}"
_PROMISES = """slaProperties:
  - {property: frequency, value: 1, unit: d}
  - {property: latency, value: 24, unit: h, element: TABLE.day}
"""
assert len(LONG_NAME) == 60


@dataclass(frozen=True)
class Size:
    """How hard it is. `cell`: characters of the longest values; `built`: of the tables, those that have a row."""

    tables: int
    built: int
    rejected: int
    cell: int


def hard(lake: Lake, size: Size) -> Lake:
    """Make the lake: what is hostile, many tables, a failing audit, a quiet feed, and a mart whose newest is held."""
    note = "      - {name: note, logicalType: string, physicalType: varchar, description: " + _quoted(HOSTILE) + "}\n"
    changes = {
        "{purpose: Orders.}": f"{{purpose: {_quoted(HOSTILE)}, limitations: {_quoted('x' * 2_000)}}}",
        "    customProperties:\n": f"{note}    customProperties:\n      - {{property: maxRejected, value: 100%}}\n",
    }
    lake.write("silver/shop/orders.yaml", _changed(ORDERS, changes))
    lake.write("gold/shop/contract.yaml", _changed(MART, {"What was sold on which day.": _quoted(HOSTILE)}))
    lake.write("gold/shop/daily.sql", DAILY)
    lake.write(f"silver/{LONG_NAME}/{LONG_NAME}.yaml", _audited())
    for number in range(size.tables):
        _write_small(lake, number, with_row=number < size.built)
    lake.land(f"shop/orders/{FILE}", COLUMNS + _orders(size))
    lake.land(f"{LONG_NAME}/{LONG_NAME}/1.csv", "order_id,day,amount,updated\n1,2024-01-01,1,1\n")
    lake.good()
    _fall_quiet(lake, *_small(size.tables - 1))
    lake.land(f"{LONG_NAME}/{LONG_NAME}/2.csv", "order_id,day,amount,updated\n2,2024-01-01,999,1\n")
    lake.land(f"nobodys/{FILE}", "a\n1\n")
    lake.run()
    lake.command("health")
    return lake


def _orders(size: Size) -> str:
    good = [f"{number},2024-01-0{1 + number % 9},{number},1,{_csv(HOSTILE)}" for number in range(1, 30)]
    good.append(f"30,2024-01-09,30,1,{SCRIPT + 'g' * size.cell}")
    bad = [f"{number},2024-01-02,{_csv(HOSTILE)},1,{_csv(HOSTILE)}" for number in range(100, 98 + size.rejected)]
    bad += [f"50,{SCRIPT},5,1,", f"51,2024-01-03,{SCRIPT + 'b' * size.cell},1,"]
    return "\n".join([*good, *bad]) + "\n"


def _audited() -> str:
    """Return a contract of long names with an audit that the second file does not pass."""
    rule = '{type: sql, query: "SELECT max(amount) FROM ${object}", mustBeLessThan: 40, description: %s}'
    changes = {
        "name: orders": f"name: {LONG_NAME}",
        "shop/orders/*.csv": f"{LONG_NAME}/{LONG_NAME}/*.csv",
        "server: orders": f"server: {LONG_NAME}",
        "domain: shop": f"domain: {LONG_NAME}",
        "shop.orders": f"long.{LONG_NAME}",
        "{purpose: Orders.}": f"{{purpose: {_quoted(HOSTILE)}}}",
        "    properties:\n": f"    quality:\n      - {rule % _quoted(HOSTILE)}\n    properties:\n",
    }
    return _changed(ORDERS, changes)


def _write_small(lake: Lake, number: int, *, with_row: bool) -> None:
    domain, table = _small(number)
    changes = {
        "server: orders": f"server: {table}",
        "name: orders": f"name: {table}",
        "shop/orders/*.csv": f"{domain}/{table}/*.csv",
        "domain: shop": f"domain: {domain}",
        "shop.orders": f"{domain}.{table}",
        "schema:\n": _PROMISES.replace("TABLE", table) + "schema:\n",
    }
    lake.write(f"silver/{domain}/{table}.yaml", _changed(ORDERS, changes))
    if with_row:
        lake.land(f"{domain}/{table}/1.csv", "order_id,day,amount,updated\n1,2024-01-01,1,1\n")


def _small(number: int) -> tuple[str, str]:
    """Return the domain and the name of one of the many tables."""
    return f"area{number // 50}", f"table{number:04}"


def _fall_quiet(lake: Lake, domain: str, table: str) -> None:
    """Record that a file came every day for ten days, and none in the five since."""
    now = runs.now() - timedelta(minutes=5)
    days = ((now - timedelta(days=back), 1 if back > 5 else 0) for back in range(15, 0, -1))
    keep(lake, *(_of(step(at, files), domain, table) for at, files in days))


def _of(record: runs.Record, domain: str, table: str) -> runs.Record:
    return replace(record, domain=domain, table=table)


def _changed(text: str, changes: Mapping[str, str]) -> str:
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _csv(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
