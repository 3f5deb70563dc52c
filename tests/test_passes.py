"""Silver computed by narrow passes is what it is with all typed rows side by side: rows, rejects, deletions, counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from conftest import Lake, short

from src import lake as delta
from src.bronze import ingest
from src.contract import Table
from src.engine import DuckEngine, identifier
from src.project import open_project
from src.silver import incoming, passes, winners
from src.silver.batch import Batch

TABLE = "silver.shop.things"
NOW = datetime(2024, 2, 1, tzinfo=UTC)
THINGS = """
apiVersion: v3.1.0
kind: DataContract
id: shop.things
name: Things
version: 1.0.0
status: active
domain: shop
customProperties: [{property: maxRejected, value: 100 %}]
servers:
  - {server: things, type: local, path: "shop/things/*", format: csv,
     customProperties: [{property: nullValues, value: [NA]}, {property: decimal, value: ","},
                        {property: thousands, value: "."}]}
schema:
  - name: things
    properties:
      - {name: id, logicalType: integer, physicalType: bigint, primaryKey: true, primaryKeyPosition: 1}
      - {name: part, logicalType: string, primaryKey: true, primaryKeyPosition: 2}
      - {name: changed, logicalType: timestamp}
      - {name: day, logicalType: date, partitioned: true, partitionKeyPosition: 1, required: true}
      - {name: tiny, logicalType: integer, physicalType: tinyint}
      - {name: small, logicalType: integer, physicalType: smallint, logicalTypeOptions: {maximum: 300}}
      - {name: price, logicalType: number, physicalType: "decimal(10,2)"}
      - {name: real, logicalType: number, physicalType: float}
      - {name: share, logicalType: number, physicalType: double}
      - {name: sold, logicalType: boolean}
      - {name: opens, logicalType: time}
      - {name: extra, logicalType: object, physicalType: json}
      - {name: tags, logicalType: array, items: {logicalType: integer}}
      - name: home
        logicalType: object
        properties:
          - {name: street, logicalType: string}
          - {name: zip, logicalType: string, required: true}
      - {name: state, logicalType: string, logicalTypeOptions: {maxLength: 12}}
      - {name: twice, logicalType: number, physicalType: "decimal(18,2)", transformLogic: price * 2}
      - {name: month, logicalType: string, transformLogic: "strftime(day, '%Y-%m')"}
      - {name: note, logicalType: string, customProperties: [{property: optional, value: true}]}
    customProperties:
      - {property: sequenceBy, value: [changed]}
"""
VALUES = {
    "id": ["1", "2", "3", "4", "5", " 6 ", "7.000", "eight", ""],
    "part": ["a", "b", " a"],
    "changed": ["2024-01-01 10:00:00", "2024-01-01T10:00:00Z", "2024-01-02 00:00:00", "2024-01-03", "", "soon"],
    "day": ["2024-01-01", "2024-01-02", "2024/1/3", "2024-02-30", "NA"],
    "tiny": ["1", "127", "128", "-1", "1,0", ""],
    "small": ["10", "300", "301", "1.000", ""],
    "price": ["1,5", "1,50", "1.234,5", "1,005", "1.5", ""],
    "real": ["0,1", "1e3", "1e99", "0,12345678901", ""],
    "share": ["0,1", "1e-400", "NA", "12345678901234567890"],
    "sold": ["true", "false", "yes", "maybe", ""],
    "opens": ["9:05", "09:05:00", "24:00", ""],
    "extra": ['{"a": 1}', '{"a": NaN}', "[1, 2]", ""],
    "tags": ["[1, 2]", "[]", '["x"]', "[1.5]", ""],
    "home": ['{"street": "s", "zip": "1"}', '{"street": "s"}', "{}", "[]", ""],
    "state": ["new", "gone", "\u00a0gone ", "a very long state", ""],
}
GOOD = {name: [value for value in values if value] for name, values in VALUES.items()} | {
    "id": ["1", "2", "3", "4", " 5"],
    "part": ["a", "b"],
    "changed": VALUES["changed"][:5],
    "day": VALUES["day"][:3],
    "tiny": ["1"],
    "small": ["10", "1"],
    "price": ["1,5", "1,50"],
    "real": ["0,1", "0,10"],
    "share": ["0,1", "NA"],
    "sold": ["true"],
    "opens": ["9:05", "09:05:00"],
    "extra": [""],
    "tags": ["[1, 2]"],
    "home": ['{"street": "s", "zip": "1"}'],
    "state": ["new", "gone"],
}
OPTIONS: dict[str, Callable[[str], str]] = {
    "plain": lambda text: text,
    "deletes": lambda text: text + "      - {property: deleteWhen, value: state = 'gone'}\n",
    "last": lambda text: text + "      - {property: onConflict, value: last}\n",
    "last and deletes": lambda text: (
        text + "      - {property: onConflict, value: last}\n      - {property: deleteWhen, value: state = 'gone'}\n"
    ),
    "fail": lambda text: text + "      - {property: onConflict, value: fail}\n",
    "computed": lambda text: text.replace("value: [changed]", "value: [\"date_trunc('hour', changed)\", tiny]"),
    "arrival": lambda text: text.replace("      - {property: sequenceBy, value: [changed]}\n", "      []\n"),
    "whole": lambda text: text.replace(", partitioned: true, partitionKeyPosition: 1", ""),
}


def rows_of(random: Random, names: list[str], count: int, bad: float) -> str:
    """CSV with rows of which about so many values, as a share, are any of VALUES, the others some good one."""
    lines = [";".join(random.choice((name, name, name.upper())) for name in names)]
    for _ in range(count):
        values = [random.choice((VALUES if random.random() < bad else GOOD)[name]) for name in names]
        lines.append(";".join(f'"{value.replace(chr(34), chr(34) * 2)}"' for value in values))
    return "\n".join(lines) + "\n"


def land(lake: Lake, random: Random) -> Iterator[str]:
    """Land files of several shapes, one after the other: in other spelling and order, with one column more, bad."""
    for at in range(random.randint(1, 5)):
        names = [*VALUES]
        random.shuffle(names)
        text = rows_of(random, names, random.randint(0, 40), random.choice((0, 0, 0.01, 0.03, 1)))
        if random.random() < 0.3:
            head, *lines = text.splitlines()
            note = random.choice(("note", "other"))
            text = "\n".join([f"{head};{note}", *(f"{line};n{nth}" for nth, line in enumerate(lines))]) + "\n"
        if random.random() < 0.3:
            text += "1;2;3\n"
        yield lake.land(f"shop/things/{at}.csv", text).name


def found(engine: DuckEngine, table: Table, relation: str) -> dict[str, list[Any]]:
    """The rows, rejects and deletions that the engine holds, sorted."""
    sets = {"rows": f"SELECT {', '.join(map(identifier, table.stored_columns))} FROM {relation}"}
    sets["rejected"] = f"SELECT _reasons, _values, _file, _row, _ingested_at, _batch, _codes FROM {Batch.REJECTED}"
    if table.delete_when:
        sets["deleted"] = f"SELECT {', '.join(map(identifier, table.row_columns))} FROM {Batch.DELETED}"
    return {name: sorted(engine.values(f"SELECT t::VARCHAR FROM ({sql}) t")) for name, sql in sets.items()}


@pytest.mark.parametrize("seed", short(range(48), 2))
def test_narrow_passes_give_what_all_rows_side_by_side_give(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    lake, random = Lake(tmp_path), Random(seed)
    option = [*OPTIONS][seed % len(OPTIONS)]
    text = OPTIONS[option](THINGS).replace("format: csv,", 'format: csv, delimiter: ";",')
    text = text.replace("    customProperties:\n      []\n", "")
    lake.write("silver/shop/things.yaml", text)
    (tmp_path / "src/gold").mkdir()
    monkeypatch.setattr(passes, "_FEW_ROWS", 0)
    monkeypatch.setattr(passes, "_ROWS_AT_ONCE", 5)
    monkeypatch.setattr(winners, "_ROWS_AT_ONCE", random.choice((4, 4_000_000)))
    monkeypatch.setattr(winners, "_BYTES_A_HASH", 1 << 60)
    with open_project(lake.settings) as project:
        engine, table = project.engine, project.declared(TABLE)
        feed = table.feeds[0]
        for at, _ in enumerate(land(lake, random)):
            now = NOW + timedelta(days=at)
            ingest.run(engine, project.landing, project.path(feed.id), feed, batch="b", now=now, settle=0)
        bronze = delta.open_table(project.path(feed.id))
        assert bronze is not None
        sources = [(feed, bronze, bronze.files)]
        narrow = passes.compute(engine, table, sources)
        assert not narrow.kept
        one = found(engine, table, narrow.relation)
        outcome = incoming.compute(engine, table, sources)
        done = incoming.finish(engine, table)
        other = found(engine, table, Batch.INCOMING)
    assert narrow.outcome == replace(outcome, deleted=done.deleted, unchanged=done.unchanged)
    assert one == other
    assert narrow.count == len(other["rows"])


ORDERS_AUDITED = "    quality:\n      - {type: sql, query: 'SELECT max(amount) FROM ${object}', mustBeLessThan: 40}\n"


def test_a_failed_audit_of_what_was_written_leaves_no_file_and_commits_nothing(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passes, "_FEW_ROWS", 0)
    lake.shop()
    lake.edit("silver/shop/orders.yaml", "    properties:\n", f"{ORDERS_AUDITED}    properties:\n")
    lake.land("shop/orders/1.csv", "order_id,day,amount,updated\n1,2024-01-01,50,1\n2,2024-01-02,1,1\nx,,,\n")
    run = lake.run()
    assert "audit failed" in str(run.failures["silver.shop.orders"])
    assert not (lake.data / "silver/shop/orders").exists()
    assert not (lake.data / "quarantine/shop/orders").exists()
    lake.land("shop/orders/2.csv", "order_id,day,amount,updated\n1,2024-01-01,30,2\n")
    lake.good()
    assert lake.rows("SELECT order_id, amount::INTEGER FROM silver.shop.orders ORDER BY 1") == [(1, 30), (2, 1)]
    lake.edit("silver/shop/orders.yaml", "mustBeLessThan: 40", "mustBeLessThan: 20")
    lake.edit("silver/shop/orders.yaml", "version: 1.0.0", "version: 2.0.0")
    lake.edit("silver/shop/orders.yaml", "physicalType: integer}", "physicalType: bigint}")
    files = sorted(path for path in lake.data.glob("silver/shop/orders/*/*.parquet"))
    assert "audit failed" in str(lake.run().failures["silver.shop.orders"])
    assert sorted(path for path in lake.data.glob("silver/shop/orders/*/*.parquet")) == files
    lake.edit("silver/shop/orders.yaml", "mustBeLessThan: 20", "mustBeLessThan: 40")
    lake.good()


def test_rows_that_are_not_all_written_are_not_committed(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passes, "_FEW_ROWS", 0)
    lake.shop()
    lake.land("shop/orders/1.csv", "order_id,day,amount,updated\n1,2024-01-01,50,1\n2,2024-01-02,1,1\n")
    whole = passes.Passes._passing
    with monkeypatch.context() as patch:
        patch.setattr(passes.Passes, "_passing", lambda self, piece: f"{whole(self, piece)} LIMIT 1")
        failed = str(lake.run().failures["silver.shop.orders"])
    assert "2 rows read, but 1 inserted" in failed
    assert not (lake.data / "silver/shop/orders").exists()
    lake.good()
