"""A load too large for one piece is cut into parts, and no row shows where.

The sizes from which Boathouse cuts are made tiny here, so that a few rows are a large load. What the
fixture `lake` proves at the end of a test is computed with the usual sizes again.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import ANY

import pytest
from conftest import DAILY, MART, ORDERS, Lake, short
from deltalake import DeltaTable
from torture import histories, oracle
from torture.histories import History, Tools

import main
from src import catalog
from src import lake as delta
from src.bronze import appending, ingest
from src.checks.outcome import Outcome
from src.commands.run import pipeline
from src.contract import Column, Table
from src.engine import duck
from src.maintenance import backfill
from src.project import open_engine, open_project
from src.run.kinds import RunKind
from src.run.recorded import recorded_run
from src.run.runs import Record, Run
from src.silver import groups, incoming, merge, passes, winners
from src.silver.project import projection

HEADER = "order_id,day,amount,updated\n"
SEQUENCE = "    customProperties:\n      - {property: sequenceBy, value: [updated]}\n"
DELETES = "      - {property: deleteWhen, value: amount = 0}\n"
HISTORY = "      - {property: history, value: scd2}\n"
KEY = ", primaryKey: true, primaryKeyPosition: 1"
TABLE = "silver.shop.orders"
ORDERED = f"SELECT order_id, day, amount, updated FROM {TABLE} ORDER BY ALL"
D1, D2, D3 = date(2024, 1, 1), date(2024, 1, 2), date(2024, 1, 3)


def sizes(monkeypatch: pytest.MonkeyPatch, rows: int, delete_from: int = 5, files: int = 2, commit: int = 4) -> None:
    """Let Boathouse cut: rows side by side, contending or written at once, rows to delete losers from, files in a
    statement and in a commit; keep every table of rows on disk, and let no load be too small to look which files hold
    its keys."""
    monkeypatch.setattr(duck, "_UNPACKED", 10**9)
    monkeypatch.setattr(duck, "_ROWS_UNCUT", rows)
    monkeypatch.setattr(duck, "_ROWS_AT_ONCE", rows)
    monkeypatch.setattr(winners, "_ROWS_AT_ONCE", rows)
    monkeypatch.setattr(winners, "_BYTES_A_HASH", 1 << 60)
    monkeypatch.setattr(winners, "_FEW_ROWS", -1)
    monkeypatch.setattr(incoming, "_FEW_ROWS", -1)
    monkeypatch.setattr(passes, "_FEW_ROWS", rows)
    monkeypatch.setattr(passes, "_ROWS_AT_ONCE", rows)
    monkeypatch.setattr(incoming, "_ROWS_TO_DELETE_FROM", delete_from)
    monkeypatch.setattr(merge, "_FEW_KEYS", 0)
    monkeypatch.setattr(merge, "_FEW_ROWS", 0)
    monkeypatch.setattr(appending, "_FILES_AT_ONCE", files)
    monkeypatch.setattr(appending, "_SMALL_AT_ONCE", 0)
    monkeypatch.setattr(ingest, "FILES_PER_COMMIT", commit)


@pytest.fixture
def small(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """A lake for which five rows and five files are a large load."""
    sizes(monkeypatch, rows=3)
    return lake.shop()


def counts(step: Record) -> tuple[int, ...]:
    """Rows read, and what became of them: inserted, updated, lost to another, quarantined, deleted."""
    lost = step.unchanged + step.duplicates + step.superseded + step.conflicts
    became = (step.inserted, step.updated, lost, step.quarantined, step.deleted)
    return (step.records_read, *became)


def each(keys: range, day: str, amount: int, updated: int) -> str:
    """One line for each key."""
    return "".join(f"{key},{day},{amount},{updated}\n" for key in keys)


# -- the parts


@pytest.mark.parametrize("keyed", [True, False])
def test_every_row_is_in_exactly_one_part_with_all_rows_of_its_key_and_no_part_is_large(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, keyed: bool
) -> None:
    sizes(monkeypatch, rows=100)
    lake.write("silver/shop/orders.yaml", ORDERS if keyed else ORDERS.replace(KEY, "").replace(SEQUENCE, ""))
    absent = [f"nullif(n % {every}, 0)" for every in (2, 3, 5, 7)]
    columns = f"{'n' if keyed else absent[0]} AS order_id, DATE '2024-01-01' + {absent[1]}::INTEGER AS day"
    columns += f", {absent[2]}::DECIMAL(18,2) AS amount, {absent[3]}::INTEGER AS updated"
    with open_project(lake.settings) as project:
        rows = project.engine.table("incoming", f"SELECT {columns} FROM range(1000) t(n), range(2)")
        parts = winners.parts(winners.key(project.declared(TABLE)), rows)
        inside = " + ".join(f"({part})::INTEGER" for part in parts)
        assert project.engine.rows(f"SELECT {inside}, count(*) FROM incoming GROUP BY 1") == [(1, 2000)]
        number = " + ".join(f"{at} * ({part})::INTEGER" for at, part in enumerate(parts))
        key = "order_id" if keyed else "order_id, day, amount, updated"
        assert project.engine.values(f"SELECT DISTINCT count(DISTINCT {number}) FROM incoming GROUP BY {key}") == [1]
        large = project.engine.values(f"SELECT count(*) FROM incoming GROUP BY {number}")
        assert len(large) == 21
        assert max(large) < (150 if keyed else 600)  # without a key, rows that lack the same are crowds


# -- bronze


def test_files_taken_in_several_statements_and_commits_each_give_their_rows_once(small: Lake) -> None:
    for at in range(11):
        small.land(f"shop/orders/{at:02}.csv", HEADER + f"{at},2024-01-01,1,1\n{at + 100},2024-01-02,2,1\n")
    small.land("shop/orders/twin.csv", HEADER + "0,2024-01-01,1,1\n100,2024-01-02,2,1\n")
    run = small.good()
    step = small.step(run, "bronze.shop.orders")
    assert (step.files, step.records_read, step.records_written) == (11, 22, 22)
    found = small.rows("SELECT _file, _row, order_id, amount FROM bronze.shop.orders ORDER BY _file, _row")
    first = [(f"shop/orders/{at:02}.csv", 1, str(at), "1") for at in range(11)]
    second = [(f"shop/orders/{at:02}.csv", 2, str(at + 100), "2") for at in range(11)]
    assert found == sorted(first + second)
    commits = (
        "SELECT min(_file[13:]), max(_file[13:]), count(*) FROM bronze.shop.orders GROUP BY _ingested_at ORDER BY 1"
    )
    assert small.rows(commits) == [(f"{at:02}.csv", f"{at:02}.csv", 2) for at in range(11)]
    assert len(list((small.data / "bronze/shop/orders").glob("*.parquet"))) == 6
    assert small.rows(f"SELECT count(*) FROM {TABLE}") == [(22,)]
    again = small.step(small.good(), "bronze.shop.orders")
    assert (again.files, again.records_read, again.version) == (0, 0, step.version)


def test_columns_that_later_statements_bring_are_absent_before_and_a_bad_file_stops_none_beside_it(
    small: Lake,
) -> None:
    small.land("shop/orders/0.csv", HEADER + "0,2024-01-01,1,1\n")
    small.land("shop/orders/1.csv", "amount,order_id,DAY,updated\n1,1,2024-01-01,1\n")
    small.land("shop/orders/2.csv", "order_id,day,amount,updated,note\n2,2024-01-01,1,1,a\n")
    small.land("shop/orders/3.csv.gz", gzip.compress(HEADER.encode() * 200)[:-9])
    small.land("shop/orders/4.csv", HEADER + '4,2024-01-01,1,1\n"5\n",2024-01-01,1,1\nshort,2024-01-01\n')
    small.land("shop/orders/5.csv", "order_id,day,amount,coupon\n6,2024-01-01,1,b\n")
    small.land("shop/orders/6.csv", HEADER)
    small.land("shop/orders/7.csv", HEADER + "7,2024-01-01,1,1\n")
    run = small.run()
    assert list(run.failures) == ["bronze.shop.orders"]
    assert "3.csv.gz" in str(run.failures["bronze.shop.orders"])
    assert small.rows(
        "SELECT _file[13:-5]::INTEGER, _row, order_id, updated, note, coupon, _reject IS NULL "
        "FROM bronze.shop.orders ORDER BY 1, 2"
    ) == [
        (0, 1, "0", "1", None, None, True),
        (1, 1, "1", "1", None, None, True),
        (2, 1, "2", "1", "a", None, True),
        (4, 1, "4", "1", None, None, True),
        (4, 2, "5\n", "1", None, None, True),
        (4, 3, None, None, None, None, False),
        (5, 1, "6", None, None, "b", True),
        (7, 1, "7", "1", None, None, True),
    ]


# -- silver


def test_a_column_that_two_statements_spell_in_two_ways_has_its_values_for_every_reader(small: Lake) -> None:
    for nth, spelling in enumerate(["Note", "Note", "note", "NOTE"]):
        small.land(f"shop/orders/{nth}.csv", f"order_id,day,amount,updated,{spelling}\n{nth},2024-01-01,1,1,n{nth}\n")
    small.good()
    rows = DeltaTable(small.data / "bronze/shop/orders").to_pyarrow_table(columns=["Note"]).to_pylist()
    assert sorted(row["Note"] for row in rows) == ["n0", "n1", "n2", "n3"]


def test_a_first_load_keeps_the_winner_of_every_key_whether_losers_are_deleted_or_winners_copied(
    small: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    small.edit("silver/shop/orders.yaml", SEQUENCE, SEQUENCE + DELETES)
    keys = range(40)
    small.land("shop/orders/1.csv", HEADER + each(keys, "2024-01-01", 10, 1) + each(keys, "2024-01-01", 10, 1))
    small.land("shop/orders/2.csv", HEADER + each(keys, "2024-01-02", 20, 3) + ",2024-01-01,1,9\nx,2024-01-01,1,9\n")
    small.land(
        "shop/orders/3.csv", HEADER + each(keys, "2024-01-03", 30, 2) + each(range(0, 40, 4), "2024-01-03", 5, 3)
    )
    small.land("shop/orders/4.csv", HEADER + each(range(40, 44), "2024-01-01", 7, 1) + "1,2024-13-01,1,9\n2,short\n")
    small.land("shop/orders/5.csv", HEADER + each(keys[::8], "2024-01-01", 0, 4) + each(keys, "2024-01-01", 0, 2))
    small.land("shop/orders/6.csv", HEADER + "".join(f"{key},2024-01-03,90,\n" for key in keys))
    won = [(key, *((D3, Decimal(5), 3) if key % 4 == 0 else (D2, Decimal(20), 3))) for key in keys if key % 8]
    won += [(key, D1, Decimal(7), 1) for key in range(40, 44)]
    rejected = [("2.csv", 41), ("2.csv", 42), ("4.csv", 5), ("4.csv", 6)]
    for delete_from in (5, 16_000_000):
        sizes(monkeypatch, rows=3, delete_from=delete_from)
        run = rebuilt(small) if (small.data / "silver").exists() else small.good()
        assert counts(small.step(run, TABLE)) == (263, 39, 0, 215, 4, 5)
        assert small.rows(ORDERED) == won
        assert small.rows("SELECT _file[13:], _row FROM quarantine.shop.orders ORDER BY ALL") == rejected
        assert small.rows("SELECT order_id, amount FROM deletions.shop.orders ORDER BY 1") == [
            (key, Decimal(0)) for key in keys[::8]
        ]
        assert small.rows("SELECT day, orders, amount FROM gold.shop.daily ORDER BY 1") == [
            (D1, 4, Decimal(28)),
            (D2, 30, Decimal(600)),
            (D3, 5, Decimal(25)),
        ]


def rebuilt(lake: Lake) -> Run:
    """Compute every table whole again, from all of bronze."""
    with open_project(lake.settings) as project:
        run = pipeline(project, main.carry, mode="all")
    assert run.failures == {}
    return run


def test_new_rows_contend_with_stored_ones_of_their_key_in_whatever_part(small: Lake) -> None:
    keys = range(50)
    small.land("shop/orders/1.csv", HEADER + each(keys, "2024-01-01", 10, 5))
    small.good()
    newer, older, same, tied, lost = (range(at, 50, 5) for at in range(5))
    small.land("shop/orders/2.csv", HEADER + each(newer, "2024-01-02", 11, 6) + each(older, "2024-01-02", 99, 4))
    small.land("shop/orders/3.csv", HEADER + each(same, "2024-01-01", 10, 5) + each(tied, "2024-01-01", 12, 5))
    small.land("shop/orders/4.csv", HEADER + each(lost, "2024-01-01", 9, 5) + each(range(50, 53), "2024-01-03", 1, 1))
    small.land("shop/orders/5.csv", HEADER + each(newer, "2024-01-01", 50, 1) + each(range(50, 53), "2024-01-03", 1, 0))
    run = small.good()
    assert counts(small.step(run, TABLE)) == (66, 3, 20, 43, 0, 0)
    now = {0: (D2, Decimal(11), 6), 3: (D1, Decimal(12), 5)}
    stand = (D1, Decimal(10), 5)
    expected = [(key, *now.get(key % 5, stand)) for key in keys] + [(key, D3, Decimal(1), 1) for key in range(50, 53)]
    assert small.rows(ORDERED) == expected
    files = dict(small.rows(f"SELECT _file[13:], count(*) FROM {TABLE} GROUP BY 1"))
    assert files == {"1.csv": 30, "2.csv": 10, "3.csv": 10, "4.csv": 3}


def test_a_deleted_key_stays_deleted_against_older_rows_in_whatever_part(small: Lake) -> None:
    small.edit("silver/shop/orders.yaml", SEQUENCE, SEQUENCE + DELETES)
    keys = range(40)
    small.land("shop/orders/1.csv", HEADER + each(keys, "2024-01-01", 10, 1))
    small.good()
    small.land("shop/orders/2.csv", HEADER + each(range(30), "2024-01-01", 0, 3))
    run = small.good()
    assert counts(small.step(run, TABLE)) == (30, 0, 0, 0, 0, 30)
    assert small.rows(ORDERED) == [(key, D1, Decimal(10), 1) for key in range(30, 40)]
    small.land("shop/orders/3.csv", HEADER + each(keys, "2024-01-02", 15, 2))
    run = small.good()
    assert counts(small.step(run, TABLE)) == (40, 0, 10, 30, 0, 0)
    small.land("shop/orders/4.csv", HEADER + each(range(10), "2024-01-03", 40, 4))
    small.good()
    back = [(key, D3, Decimal(40), 4) for key in range(10)]
    assert small.rows(ORDERED) == back + [(key, D2, Decimal(15), 2) for key in range(30, 40)]


def test_without_a_sequence_the_later_arrival_wins_in_every_part(small: Lake) -> None:
    small.edit("silver/shop/orders.yaml", SEQUENCE, "")
    keys = range(40)
    small.land("shop/orders/1.csv", HEADER + each(keys, "2024-01-01", 10, 9) + each(keys, "2024-01-01", 30, 1))
    small.land("shop/orders/2.csv", HEADER + each(range(20), "2024-01-01", 20, 5))
    small.good()
    expected = [(key, D1, Decimal(20 if key < 20 else 30), 5 if key < 20 else 1) for key in keys]
    assert small.rows(ORDERED) == expected
    small.land("shop/orders/0.csv", HEADER + each(keys, "2024-01-02", 40, 0))
    run = small.good()
    assert counts(small.step(run, TABLE)) == (40, 0, 40, 0, 0, 0)
    assert small.rows(ORDERED) == [(key, D2, Decimal(40), 0) for key in keys]


def test_rows_without_a_key_are_one_where_all_they_have_and_lack_is_equal_in_every_part(small: Lake) -> None:
    small.edit("silver/shop/orders.yaml", KEY, "")
    small.edit("silver/shop/orders.yaml", SEQUENCE, "")
    small.edit("silver/shop/orders.yaml", ", required: true, partitioned: true, partitionKeyPosition: 1", "")
    small.edit("silver/shop/orders.yaml", '"decimal(18,2)", required: true', '"decimal(18,2)"')
    absent = [",,,\n", "1,,,\n", ",2024-01-01,,\n", ",,10,\n", ",,,5\n", "1,,10,\n", ",2024-01-01,,5\n"]
    numbered = [f"{key},,{key},\n" for key in range(2, 30)]
    small.edit("gold/shop/daily.sql", "GROUP BY", "WHERE day IS NOT NULL GROUP BY")
    small.land("shop/orders/1.csv", HEADER + "".join(absent + numbered + numbered))
    small.land("shop/orders/2.csv", HEADER + "".join(absent))
    run = small.good()
    assert counts(small.step(run, TABLE)) == (70, 35, 0, 35, 0, 0)
    small.land("shop/orders/3.csv", HEADER + "".join(numbered + absent) + ",2024-01-02,,\n")
    run = small.good()
    assert counts(small.step(run, TABLE)) == (36, 1, 0, 35, 0, 0)
    assert small.rows(
        f"SELECT * EXCLUDE (_file, _row, _ingested_at) FROM {TABLE} WHERE amount IS NULL ORDER BY ALL"
    ) == [
        (1, None, None, None),
        (None, D1, None, 5),
        (None, D1, None, None),
        (None, D2, None, None),
        (None, None, None, 5),
        (None, None, None, None),
    ]
    assert small.rows(f"SELECT order_id FROM {TABLE} WHERE amount IS NOT NULL AND order_id > 1 ORDER BY 1") == [
        (key,) for key in range(2, 30)
    ]
    assert small.rows(f"SELECT count(*) FROM {TABLE}") == [(36,)]


def test_versions_of_a_key_follow_each_other_in_whatever_part_they_fall(small: Lake) -> None:
    small.edit("silver/shop/orders.yaml", SEQUENCE, SEQUENCE.replace("updated", "day") + DELETES + HISTORY)
    keys, late, corrected, ended = range(20), range(0, 20, 2), range(1, 20, 4), range(3, 20, 4)
    small.land("shop/orders/1.csv", HEADER + each(keys, "2024-01-01", 10, 1) + each(keys, "2024-01-05", 30, 1))
    small.land("shop/orders/2.csv", HEADER + each(keys, "2024-01-01", 10, 1) + each(keys, "2024-01-05", 29, 1))
    assert counts(small.step(small.good(), TABLE)) == (80, 40, 0, 40, 0, 0)
    small.land("shop/orders/3.csv", HEADER + each(late, "2024-01-03", 20, 1) + each(corrected, "2024-01-05", 31, 1))
    small.land("shop/orders/4.csv", HEADER + each(ended, "2024-01-07", 0, 1) + each(keys, "2024-01-01", 9, 1))
    assert counts(small.step(small.good(), TABLE)) == (40, 10, 5, 20, 0, 5)
    small.land("shop/orders/5.csv", HEADER + each(ended, "2024-01-06", 8, 1) + each(ended, "2024-01-07", 0, 1))
    assert counts(small.step(small.good(), TABLE)) == (10, 5, 0, 5, 0, 0)
    evens: list[tuple[Any, ...]] = [(10, 1, 3, False), (20, 3, 5, False), (30, 5, None, True)]
    versions: dict[int, list[tuple[Any, ...]]] = {
        0: evens,
        1: [(10, 1, 5, False), (31, 5, None, True)],
        2: evens,
        3: [(10, 1, 5, False), (30, 5, 6, False), (8, 6, 7, False)],
    }
    validity = "day(_valid_from), day(_valid_to), _is_current"
    stored = small.rows(f"SELECT order_id, amount::INTEGER, {validity} FROM {TABLE} ORDER BY 1, 3")
    assert stored == [(key, *version) for key in keys for version in versions[key % 4]]


def test_a_backfill_over_everything_and_a_rebuild_mend_every_part_and_change_no_other_row(small: Lake) -> None:
    small.edit("silver/shop/orders.yaml", SEQUENCE, SEQUENCE + DELETES)
    keys = range(30)
    small.land("shop/orders/1.csv", HEADER + each(keys, "2024-01-01", 10, 1) + each(keys, "2024-01-02", 20, 2))
    small.good()
    small.land("shop/orders/2.csv", HEADER + each(range(10), "2024-01-03", 30, 3) + each(range(5), "2024-01-03", 0, 4))
    small.land("shop/orders/3.csv", HEADER + each(keys, "2024-01-01", 15, 1) + "x,2024-01-01,1,1\n")
    small.good()
    expected = [(key, D3, Decimal(30), 3) for key in range(5, 10)]
    expected += [(key, D2, Decimal(20), 2) for key in range(10, 30)]
    for fix in (rebuilt, refilled):
        damage(small)
        assert small.rows(ORDERED) == []
        fix(small)
        assert small.rows(ORDERED) == expected
        assert small.rows("SELECT * FROM gold.shop.daily ORDER BY 1") == [(D2, 20, Decimal(400)), (D3, 5, Decimal(150))]
        assert small.rows("SELECT _file, _row FROM quarantine.shop.orders") == [("shop/orders/3.csv", 31)]
        assert small.rows("SELECT order_id FROM deletions.shop.orders ORDER BY 1") == [(key,) for key in range(5)]


def damage(lake: Lake) -> None:
    """Take all rows out of silver, as a careless hand with another engine would."""
    silver = delta.open_table(lake.data / "silver/shop/orders")
    assert silver is not None
    delta.commit(silver, remove=silver.files)


def refilled(lake: Lake) -> Run:
    """Backfill the whole of the orders."""
    with open_project(lake.settings) as project, recorded_run(project, RunKind.BACKFILL, "backfill") as run:
        backfill.execute(project, backfill.plan(project, TABLE, None, None, "true"), run)
    assert run.failures == {}
    return run


# -- any load

UPDATED = "      - {name: updated, logicalType: integer, physicalType: integer}\n"
MORE = """\
      - {name: weight, logicalType: number, physicalType: double}
      - {name: at, logicalType: timestamp}
      - {name: note, logicalType: string, physicalType: varchar}
"""
FAMILIES = {
    "deletes": ORDERS.replace(SEQUENCE, SEQUENCE + DELETES),
    "arrival": ORDERS.replace(SEQUENCE, ""),
    "keyless": ORDERS.replace(SEQUENCE, "").replace(KEY, "").replace(UPDATED, UPDATED + MORE),
    "history": ORDERS.replace(SEQUENCE, SEQUENCE.replace("updated", "day") + DELETES + HISTORY),
}

GOOD = {
    "order_id": (*map(str, range(1, 50)), " 7 ", "3.0"),
    "day": ("2024-01-01", "2024-01-02", "2024-01-03"),
    "amount": ("0", "10", "10.00", "7.5", "-2"),
    "updated": ("1", "2", "3", ""),
    "weight": ("0", "-0.0", "1e3", ""),
    "at": ("2024-01-02", "2024-01-02T02:00:00+02:00", ""),
    "note": ("Grüße", ""),
}
BAD = {"order_id": ("x", ""), "day": ("2024-02-30", ""), "amount": ("2.505", ""), "updated": ("late",)}


def text(random: Random, seen: list[str]) -> str:
    """A file of some 60 rows whose keys, sequences and contents collide; a few of them dirty."""
    lines = []
    for _ in range(random.randint(30, 70)):
        values = GOOD
        if random.random() < 0.1:
            name = random.choice(list(BAD))
            values = GOOD | {name: BAD[name]}
        cells = [random.choice(choices) for choices in values.values()]
        seen.append(",".join(cells if random.random() > 0.02 else cells[:3]))
        lines.append(random.choice(seen) if random.random() < 0.3 else seen[-1])
    return ",".join(GOOD) + "\n" + "\n".join(lines) + "\n"


def lived(lake: Lake, seed: int) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of two families after two runs that contend, and what the steps counted."""
    random, seen, found = Random(seed), list[str](), dict[str, list[tuple[Any, ...]]]()
    families = list(FAMILIES)[seed % 2 :: 2]
    for family in families:
        lake.write(f"silver/{family}/orders.yaml", FAMILIES[family].replace("shop", family))
        lake.write(f"gold/{family}/contract.yaml", MART.replace("shop", family))
        lake.write(f"gold/{family}/daily.sql", DAILY.replace("shop", family))
    for arrival in range(2):
        for at in range(4):
            content = text(random, seen)
            for family in families:
                lake.land(f"{family}/orders/{random.randint(0, 9)}{arrival}{at}.csv", content)
        run = lake.good()
        for family in families:
            found[f"run {arrival} of {family}"] = [counts(lake.step(run, f"silver.{family}.orders"))]
    return found | contents(lake)


def contents(lake: Lake) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of every table but those of the records, without when and in which run they came."""
    known = {name: root for name, root in catalog.tables(lake.data).items() if not name.startswith("ops.")}
    with open_engine(lake.settings) as running:
        catalog.publish(running, known)
        columns = "COLUMNS(lambda name: name NOT IN ('_ingested_at', '_batch'))"
        return {name: running.rows(f"SELECT {columns} FROM {name} ORDER BY ALL") for name in known}


@pytest.mark.parametrize("seed", short(range(3), 1))
def test_any_load_in_parts_gives_row_by_row_what_it_gives_in_one_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    expected = lived(Lake(tmp_path / "usual"), seed)
    sizes(monkeypatch, rows=40 + seed, delete_from=60, files=1 + seed // 2, commit=3)
    cut = Lake(tmp_path / "cut")
    assert lived(cut, seed) == expected
    rebuilt(cut)
    anew = {name: rows for name, rows in contents(cut).items() if not name.startswith("deletions.")}
    assert anew == {name: expected[name] for name in anew}
    assert len(anew) == 8


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tools]:
    made = Tools.at(tmp_path_factory.mktemp("large"))
    yield made
    made.close()


# of the statements two: by name, and with history
IN_PARTS = [name for name in oracle.FAMILIES if name not in oracle.STATEMENTS or name in ("named", "day versions")]


@pytest.mark.parametrize("family", short(IN_PARTS, 1))
def test_a_random_history_of_loads_in_parts_gives_what_the_oracle_says(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    sizes(monkeypatch, rows=2, delete_from=2, files=1, commit=2)
    random = Random(family)
    told = [("land", f"{at % 7}.csv", histories.text(random)) if at % 4 else ("run",) for at in range(1, 9)]
    histories.live(tools, tmp_path, History(family, tuple(told)))


@pytest.mark.parametrize("rows", short([1, 1_000], 0))
def test_a_file_of_five_thousand_columns_loads_in_600_megabytes(lake: Lake, rows: int) -> None:
    lake.environ["MEMORY_LIMIT"] = "600MB"
    lake.shop()
    lake.edit("silver/shop/orders.yaml", "{name: amount,", "{name: amount, transformLogic: x4997,")
    names = ["order_id", "day", "updated", *(f"x{nth}" for nth in range(1, 4_998))]
    lines = [",".join(names)]
    lines += [",".join([f"{row}", "2024-01-01", "1", *["7.50"] * 4_997]) for row in range(rows)]
    lines.append(",".join(["z", "2024-01-01", "1", *["7.50"] * 4_997]))
    lake.land("shop/orders/1.csv", "\n".join(lines))
    lake.good()
    lake.environ["MEMORY_LIMIT"] = "4GB"  # for the checks, which look at every column
    assert lake.rows("SELECT order_id, x1, x4997 FROM bronze.shop.orders WHERE _row = 1") == [("0", "7.50", "7.50")]
    assert lake.rows(f"SELECT count(*), sum(amount) FROM {TABLE}") == [(rows, Decimal("7.50") * rows)]
    rejected = lake.rows("SELECT _row, _reasons, _values FROM quarantine.shop.orders")
    assert [row[:2] for row in rejected] == [(rows + 1, ["order_id: cannot read z as bigint"])]
    # of a row this wide, what the table reads: the others are in bronze
    assert rejected[0][2] == '{"order_id":"z","day":"2024-01-01","updated":"1","x4997":"7.50"}'


# -- tables of very many columns


def column_by_column(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every table be one of very many columns, which are typed one at a time."""
    monkeypatch.setattr(duck, "MANY_COLUMNS", 0)
    monkeypatch.setattr(groups, "MANY_COLUMNS", 0)
    monkeypatch.setattr(groups, "_COLUMNS_AT_ONCE", 1)
    monkeypatch.setattr(winners, "MANY_COLUMNS", 0)


@pytest.mark.parametrize("seed", short(range(2), 1))
def test_any_load_typed_column_by_column_gives_row_by_row_what_it_gives_in_one_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    expected = lived(Lake(tmp_path / "usual"), seed)
    column_by_column(monkeypatch)
    assert lived(Lake(tmp_path / "wide"), seed) == expected


@pytest.mark.parametrize("family", short(IN_PARTS, 1))
def test_a_random_history_typed_column_by_column_gives_what_the_oracle_says(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    column_by_column(monkeypatch)
    random = Random(family)
    told = [("land", f"{at % 7}.csv", histories.text(random)) if at % 4 else ("run",) for at in range(1, 9)]
    histories.live(tools, tmp_path, History(family, tuple(told)))


def test_groups_of_columns_whose_rows_are_in_another_order_are_refused(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    column_by_column(monkeypatch)

    def shuffled(*args: Any, **options: Any) -> str:
        rows = projection(*args, **options)
        return f"SELECT * FROM ({rows}) ORDER BY _row DESC" if options["columns"][0].name == "amount" else rows

    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n2,2024-01-01,20,1\n")
    with monkeypatch.context() as patch:
        patch.setattr("src.silver.groups.projection", shuffled)
        assert "groups of columns have their rows in another order" in str(lake.run().failures[TABLE])
    lake.good()
    assert lake.rows(f"SELECT order_id, amount FROM {TABLE} ORDER BY 1") == [(1, 10), (2, 20)]


def test_rows_of_one_key_with_1500_columns_contend_in_300_megabytes(tmp_path: Path) -> None:
    columns = (Column("k", "INTEGER"), Column("at", "INTEGER"), *(Column(f"x{nth}", "VARCHAR") for nth in range(1_500)))
    table = Table("silver", "shop", "wide", "1.0.0", columns, key=("k",), sequence_by=("at",))
    same = ", ".join(f"'the same' AS x{nth}" for nth in range(1_499))
    last = "CASE WHEN _row <> 5 THEN 'last ' || _row END AS x1499"
    with closing(duck.DuckEngine(memory_limit="300MB", threads=2, spill=tmp_path)) as small, small.for_columns(1_500):
        rows = "SELECT range::BIGINT AS _row, 'f' AS _file, now() AS _ingested_at FROM range(9)"
        small.table("incoming", f"SELECT 1 AS k, 7 AS at, {same}, {last}, * FROM ({rows})")
        for thought in (9, 10_000):  # few, and many
            found = winners.find_losers(small, table, "true", thought)
            assert found == (Outcome(conflicts=8, conflict_notes=ANY), True)
            assert small.values("SELECT _row FROM incoming WHERE rowid NOT IN (SELECT _id FROM losers)") == [8]


WIDTH = 900
SEQUENCE_OF_TWO = "updated + 0 * cast(right(x407, 1) as integer)"  # of columns of two groups
WIDE_KINDS = (
    "logicalType: integer, physicalType: bigint",
    'logicalType: number, physicalType: "decimal(12,2)"',
    "logicalType: date, physicalType: date",
    "logicalType: string, physicalType: varchar",
)


def wide_contract() -> str:
    head, rest = ORDERS.split("      - {name: day")
    columns = ["      - {name: updated, logicalType: integer, physicalType: integer}"]
    columns += [f"      - {{name: x{nth}, {WIDE_KINDS[nth % 4]}}}" for nth in range(WIDTH)]
    # of columns of three groups, one of them made of others itself
    columns += [f"      - {{name: part, {WIDE_KINDS[0]}, transformLogic: x0 + x400}}"]
    columns += [f"      - {{name: total, {WIDE_KINDS[0]}, transformLogic: part + x896}}"]
    end = rest.split("    custom")[1].replace("[updated]", f'["{SEQUENCE_OF_TWO}"]')
    return head + "\n".join(columns) + "\n    custom" + end


def wide_row(order_id: int, updated: int) -> list[Any]:
    """What stands in a row of a file: of order_id, updated, x0, x1, ... ."""
    row: list[Any] = [order_id, updated]
    for nth in range(WIDTH):
        seed = 31 * order_id + 7 * updated + nth
        kinds = (seed - 1000, Decimal(seed - 500) / 100, D1 + timedelta(days=seed), f"text {seed}")
        row.append(None if seed % 17 == 0 and nth % 4 else kinds[nth % 4])
    return row


@pytest.mark.long
def test_a_table_of_900_columns_is_loaded_and_corrected_in_300_megabytes(lake: Lake) -> None:
    lake.environ["MEMORY_LIMIT"] = "300MB"
    lake.write("silver/shop/orders.yaml", wide_contract())
    header = ["order_id", "updated", *(f"x{nth}" for nth in range(WIDTH))]
    lines = [",".join("" if value is None else f"{value}" for value in wide_row(nth, 1)) for nth in range(30)]
    bad = wide_row(30, 1)
    bad[2], bad[2 + 397], bad[2 + 898] = "many", "1.005", "2024-02-30"
    bad[2 + 407] = "words"
    lines.append(",".join("" if value is None else f"{value}" for value in bad))
    lake.land("shop/orders/1.csv", "\n".join([",".join(header), *lines]))
    run = lake.good()
    assert counts(lake.step(run, TABLE)) == (31, 30, 0, 0, 1, 0)

    newer, greater, lesser, there = wide_row(3, 2), wide_row(4, 1), wide_row(5, 1), wide_row(6, 1)
    greater[2 + 800] += 1  # equal in all columns before it
    lesser[2 + 800] -= 1
    unsaid = next(nth for nth in range(700, WIDTH) if there[2 + nth] is None and nth % 4 == 3)
    there[2 + unsaid] = "something"  # wins against nothing
    rows = [newer, greater, lesser, there]
    lines = [",".join("" if value is None else f"{value}" for value in row) for row in rows]
    lake.land("shop/orders/2.csv", "\n".join([",".join(header), *lines]))
    run = lake.good()
    assert counts(lake.step(run, TABLE)) == (4, 0, 3, 1, 0, 0)

    expected = {nth: wide_row(nth, 1) for nth in range(30)} | {3: newer, 4: greater, 6: there}
    names = ", ".join([*header, "part", "total"])
    found = lake.rows(f"SELECT {names} FROM {TABLE} ORDER BY order_id")
    assert len(found) == 30
    for order_id, row in enumerate(found):
        raw = expected[order_id]
        assert list(row) == [*raw, raw[2] + raw[2 + 400], raw[2] + raw[2 + 400] + raw[2 + 896]]
    [(reasons, values)] = lake.rows("SELECT _reasons, _values FROM quarantine.shop.orders")
    assert reasons == [
        "x0: cannot read many as bigint",
        "x397: 1.005 as decimal(12,2): a digit would be lost",
        "x898: cannot read 2024-02-30 as date",
        f"sequenceBy: cannot compute {SEQUENCE_OF_TWO}",
    ]
    shown = [(name, "" if value is None else f"{value}") for name, value in zip(header, bad, strict=True)]
    assert list(json.loads(values).items()) == shown
