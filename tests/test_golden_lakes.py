"""Small lakes as earlier releases wrote them, opened by this code: nothing is rebuilt, nothing fails, work goes on.

`tests/golden/make.py` says how they were made. They hold the contracts that they were built with.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT, Lake, short
from test_schema_version import NOW

from src import catalog, remote
from src import lake as delta
from src.catalog import as_it_is
from src.maintenance import quarantine, restore, rollback
from src.project import open_engine, open_project
from src.run import releases
from src.run.kinds import RunKind
from src.run.recorded import recorded_run

GOLDEN = ROOT / "tests/golden"
RELEASES = sorted(path.name.removesuffix(".tar.gz") for path in GOLDEN.glob("*.tar.gz"))
ORDERS = "order_id;customer_id;day;amount;status;updated\n"
NEW_FILES = {
    "shop/orders/4.csv": ORDERS + "1;1;2024-01-02;12;shipped;3\n6;2;2024-01-01;0;deleted;9\n10;3;2024-03-01;1;open;1\n"
    "7;1;2024-02-03;99;open;0\n11;1;never;1;open;1\n",
    "shop/customers/4.ndjson": '{"customer_id": 2, "city": "Rome", "changed_on": "2024-01-15"}\n',
}
BUILT = ("silver.shop.customers", "silver.shop.orders", "gold.shop.cities", "gold.shop.daily", "gold.shop.months")
ROWS = {name: f"SELECT * FROM {name}" for name in BUILT} | {
    "silver.shop.customers": "SELECT * EXCLUDE _ingested_at FROM silver.shop.customers",
    "silver.shop.orders": "SELECT * EXCLUDE _ingested_at FROM silver.shop.orders",
    "quarantine.shop.orders": "SELECT _reasons, _values, _file, _row FROM quarantine.shop.orders",
}


@pytest.fixture(params=short(RELEASES[::-1], 1))
def golden(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lake]:
    """A copy of a release's lake, with its contracts; when the test is over, every law must hold on it."""
    with tarfile.open(GOLDEN / f"{request.param}.tar.gz") as packed:
        packed.extractall(tmp_path / "golden", filter="data")
    lake = Lake(tmp_path / "golden")
    yield lake
    assert lake.findings() == []


def would(lake: Lake) -> dict[str, str]:
    return {step.table: step.action for step in lake.planned()}


def files(lake: Lake) -> dict[str, tuple[delta.DataFile, ...]]:
    """The files of every table but the records."""
    tables = {name: root for name, root in catalog.tables(lake.data).items() if not name.startswith("ops.")}
    return {name: table.files for name, root in tables.items() if (table := delta.open_table(root))}


def contents(lake: Lake) -> dict[str, list[tuple[object, ...]]]:
    return {name: sorted(lake.rows(sql), key=repr) for name, sql in ROWS.items()}


def assert_nothing_to_do(lake: Lake) -> None:
    before = files(lake)
    assert set(would(lake).values()) == {"nothing"}
    assert lake.findings() == []
    assert lake.command("schema-version", "verify") == 0
    assert sum(record.records_written for record in lake.good().steps) == 0
    assert files(lake) == before


def assert_goes_on(lake: Lake, scratch: Path) -> None:
    """New files are taken, and the lake is what one pass over all files of its landing zone gives."""
    for name, text in NEW_FILES.items():
        lake.land(name, text)
    run = lake.good()
    assert lake.step(run, "silver.shop.orders").records_read == 5
    assert lake.step(run, "gold.shop.daily").partitions == 3
    anew = Lake(scratch)
    (scratch / "src").symlink_to(lake.root / "src")
    (scratch / "data").mkdir()
    (scratch / "data/landing").symlink_to(lake.data / "landing")
    anew.good()
    assert contents(lake) == contents(anew)


def test_a_lake_of_an_earlier_release_needs_nothing_and_goes_on(golden: Lake, tmp_path: Path) -> None:
    built = dict.fromkeys(BUILT) | {name: table for name, table in files(golden).items() if name in BUILT}
    assert all(built.values())
    assert_nothing_to_do(golden)
    (tmp_path / "scratch").mkdir()
    assert_goes_on(golden, tmp_path / "scratch")


def test_a_backup_of_an_earlier_release_is_restored_and_goes_on(golden: Lake, tmp_path: Path) -> None:
    (golden.data / "landing").rename(golden.root / "landing")
    golden.data.rename(golden.root / "lost")
    with open_engine(golden.settings) as engine:
        place = remote.open_remote(golden.settings)
        manifest = restore.plan(place, golden.data, None)
        restore.execute(engine, place, manifest, golden.data, lambda: NOW)
    (golden.root / "landing").rename(golden.data / "landing")
    assert golden.rows("SELECT order_id FROM silver.shop.orders ORDER BY 1") == [(1,), (3,), (6,), (7,)]
    run = golden.good()  # what landed after the backup
    assert golden.step(run, "silver.shop.orders").records_read == 3
    (tmp_path / "scratch").mkdir()
    assert_goes_on(golden, tmp_path / "scratch")


def test_quarantined_rows_of_before_there_were_codes_stay_as_they_are_beside_those_that_have_one(golden: Lake) -> None:
    before = golden.rows("SELECT _row, _reasons, _values FROM quarantine.shop.orders ORDER BY ALL")
    for name, text in NEW_FILES.items():
        golden.land(name, text)
    golden.good()
    coded = golden.rows("SELECT _codes, _file FROM quarantine.shop.orders WHERE _codes IS NOT NULL")
    assert coded == [(["type:day"], "shop/orders/4.csv")]
    kept = "SELECT _row, _reasons, _values FROM quarantine.shop.orders WHERE _codes IS NULL ORDER BY ALL"
    assert before and golden.rows(kept) == before
    with open_engine(golden.settings) as engine:
        waiver = quarantine.Waiver("silver.shop.orders", "type:day", "known", NOW.date(), NOW, "")
        assert quarantine.waive(engine, golden.data, waiver) == 1
        assert sum(one.waived for one in quarantine.read_reasons(engine, golden.data, NOW.date(), as_it_is)) == 1


def test_a_quarantine_of_before_there_were_codes_is_shown_and_waived(golden: Lake) -> None:
    with open_engine(golden.settings) as engine:
        assert {row.codes for row in quarantine.read_rows(engine, golden.data, "silver.shop.orders", 5, as_it_is)} == {
            ()
        }
        waiver = quarantine.Waiver("silver.shop.orders", "cannot read", "known", NOW.date(), NOW, "")
        assert quarantine.waive(engine, golden.data, waiver) > 0


def test_a_release_of_an_earlier_version_is_rolled_back_to_and_the_next_run_goes_forward(golden: Lake) -> None:
    newest = contents(golden)
    with open_project(golden.settings) as project:
        first = list(releases.all_of(project.engine, golden.data))[-1]
        versions = releases.named(project.engine, golden.data, first)
        with recorded_run(project, RunKind.ROLLBACK, f"rollback to {first}") as run:
            rollback.execute(project, rollback.plan(project, versions), versions, run)
    assert golden.rows("SELECT order_id FROM silver.shop.orders ORDER BY 1") == [(1,), (2,), (3,)]
    golden.good()
    assert contents(golden) == newest
