"""A backup is one release, whole or not there; what comes back is a lake that the next run goes on with."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Lake
from deltalake import DeltaTable

from src import catalog, remote
from src import lake as delta
from src.errors import AuthError, BoathouseError, DataError, LockedError, MachineError, TransientError, UsageError
from src.maintenance import archive, backup, drill, manifests, restore
from src.maintenance.backup import BackupPlan
from src.project import open_engine
from src.remote import Remote
from src.run import backup_records, lock
from src.run.backup_records import Backup

HEAD = "order_id,day,amount,updated\n"
MONDAY = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two releases of a small shop: the second has one correction, and one order of another day."""
    made = Lake(tmp_path_factory.mktemp("built")).shop()
    made.land("shop/orders/1.csv", HEAD + "1,2026-01-01,10.00,1\n2,2026-01-01,20.00,1\n3,2026-01-02,5.00,1\n")
    made.good()
    made.land("shop/orders/2.csv", HEAD + "2,2026-01-01,21.00,2\n4,2026-01-03,7.00,1\n")
    made.good()
    return made.root


@pytest.fixture(scope="module")
def kept(built: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, BackupPlan]:
    """The shop with its first backup, made once for all tests: a copy of it is the same backup."""
    root = tmp_path_factory.mktemp("kept") / "shop"
    shutil.copytree(built, root)
    return root, backed_up(Lake(root))


@pytest.fixture
def first(shop: Lake, kept: tuple[Path, BackupPlan]) -> BackupPlan:
    """The first backup, of which the shop has a copy."""
    root, planned = kept
    shutil.copytree(root, shop.root, dirs_exist_ok=True)
    return planned


def at(shop: Lake) -> Remote:
    return remote.open_remote(shop.settings)


def clock(days: int = 0) -> Callable[[], datetime]:
    """A clock that starts so many days after MONDAY and moves a second with every look."""
    moments = (MONDAY + timedelta(days=days, seconds=at) for at in range(10_000))
    return lambda: next(moments)


def backed_up(shop: Lake, days: int = 0, place: Remote | None = None) -> BackupPlan:
    with open_engine(shop.settings) as engine:
        return backup.run(engine, shop.settings, place or at(shop), clock(days))


def drilled(shop: Lake, name: str | None = None, place: Remote | None = None) -> dict[str, int]:
    with open_engine(shop.settings) as engine:
        return drill.run(engine, shop.data, place or at(shop), name, clock(300)).rows


def restored(shop: Lake, folder: Path, place: Remote | None = None, name: str | None = None) -> Lake:
    """The newest backup, or the one of that name, as the lake of another project with the same contracts."""
    other = Lake(folder, shop.environ)
    shutil.copytree(shop.root / "src", folder / "src", dirs_exist_ok=True)
    manifest = restore.plan(place or at(shop), other.data, name)
    with open_engine(other.settings) as engine:
        restore.execute(engine, place or at(shop), manifest, other.data, clock(200))
    return other


def objects(shop: Lake) -> dict[str, tuple[int, int]]:
    """The files at a local remote: size and time of change."""
    files = (path for path in (shop.root / "backups" / "files").rglob("*") if len(path.name) == 64)
    return {path.name: (path.stat().st_size, path.stat().st_mtime_ns) for path in files}


def last(shop: Lake) -> Backup | None:
    with open_engine(shop.settings) as engine:
        return backup_records.last_verified(engine, shop.data)


def flip(path: Path) -> None:
    """Change one byte and nothing else that a listing shows."""
    content, before = bytearray(path.read_bytes()), path.stat()
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def data_object(shop: Lake, planned: BackupPlan, table: str) -> Path:
    """A data file of a table, as it lies at a local remote."""
    files = planned.manifest.tables[table].files
    name = next(file.name for path, file in files.items() if path.endswith(".parquet"))
    return shop.root / "backups" / "files" / name


# -- what comes back


def test_a_restored_lake_is_the_release_row_by_row(shop: Lake, first: BackupPlan, tmp_path: Path) -> None:
    other = restored(shop, tmp_path / "other")
    with open_engine(shop.settings) as engine:
        for name, table in first.manifest.tables.items():
            scans = []
            for data in (shop.data, other.data):
                found = delta.open_table(delta.table_path(data, name), table.version)
                assert found
                scans.append("SELECT * FROM " + engine.scan(found))
            assert engine.rows(f"({scans[0]} EXCEPT ALL {scans[1]}) UNION ALL ({scans[1]} EXCEPT ALL {scans[0]})") == []
    assert other.rows("SELECT order_id, amount::VARCHAR FROM silver.shop.orders ORDER BY 1") == [
        (1, "10.00"),
        (2, "21.00"),
        (3, "5.00"),
        (4, "7.00"),
    ]


@pytest.mark.usefixtures("first")
def test_the_run_after_a_restore_goes_on_where_the_backup_was(shop: Lake, tmp_path: Path) -> None:
    other = restored(shop, tmp_path / "other")
    idle = other.good()
    assert [step.records_read for step in idle.steps] == [0, 0, 0]
    other.land("shop/orders/3.csv", HEAD + "5,2026-01-03,1.00,1\n")
    run = other.good()
    assert [(step.layer, step.records_read, step.inserted) for step in run.steps] == [
        ("bronze", 1, 1),
        ("silver", 1, 1),
        ("gold", 1, 1),
    ]
    assert other.rows("SELECT day::VARCHAR, orders FROM gold.shop.daily ORDER BY 1") == [
        ("2026-01-01", 2),
        ("2026-01-02", 1),
        ("2026-01-03", 2),
    ]
    assert other.findings() == []


def test_the_newest_release_of_a_restored_lake_names_the_versions_that_came_back(shop: Lake, tmp_path: Path) -> None:
    from src.run import releases

    planned = backed_up(shop)
    other = restored(shop, tmp_path / "other")
    assert releases.newest(other.data) == releases.newest(shop.data)
    for name, version in releases.newest(other.data).items():
        found = delta.open_table(delta.table_path(other.data, name))
        assert found
        assert found.version == version == planned.manifest.tables[name].version


def test_a_table_whose_log_begins_with_a_checkpoint_comes_back(shop: Lake, tmp_path: Path) -> None:
    from deltalake import DeltaTable

    table = DeltaTable(str(delta.table_path(shop.data, "silver.shop.orders")))
    table.create_checkpoint()
    for version in range(table.version()):  # as the clean-up does after 60 days
        (shop.data / f"silver/shop/orders/_delta_log/{version:020d}.json").unlink()
    backed_up(shop)
    other = restored(shop, tmp_path / "other")
    assert [step.records_read for step in other.good().steps] == [0, 0, 0]
    assert other.findings() == []


def test_a_release_is_backed_up_and_not_what_came_after_it(shop: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    shop.environ["BROKEN_ON_PURPOSE"] = "1"
    shop.add_largest("SELECT nonsense FROM silver.shop.orders")
    shop.land("shop/orders/3.csv", HEAD + "5,2026-01-04,1.00,1\n")
    assert list(shop.run().failures) == ["gold.shop.largest"]
    planned = backed_up(shop)
    newest = delta.open_table(delta.table_path(shop.data, "gold.shop.daily"))
    assert newest
    assert newest.rows == 4
    assert planned.manifest.tables["silver.shop.orders"].rows == 5
    assert planned.manifest.tables["gold.shop.daily"].version < newest.version
    assert planned.manifest.tables["gold.shop.daily"].rows == 3
    held_back = f"gold.shop.daily: version {newest.version} is in no release yet, and so in no backup"
    assert held_back in planned.notes
    assert shop.command("backup", "--dry-run") == 0
    assert f"note: {held_back}\n" in capsys.readouterr().out


@pytest.mark.long
@pytest.mark.usefixtures("first")
def test_the_landing_zone_is_left_alone_by_a_restore(shop: Lake, tmp_path: Path) -> None:
    other = Lake(tmp_path / "other")
    waiting = other.land("shop/orders/3.csv", HEAD + "5,2026-01-03,1.00,1\n")
    restored(shop, tmp_path / "other")
    assert waiting.read_text() == HEAD + "5,2026-01-03,1.00,1\n"
    assert other.good().records[-1].records_read == 1
    assert other.findings() == []


@pytest.mark.usefixtures("first")
def test_a_lake_with_tables_is_never_replaced(shop: Lake) -> None:
    with pytest.raises(UsageError, match=r"there are tables already: bronze.shop.orders, silver.shop.orders, gold"):
        restore.plan(at(shop), shop.data, None)


@pytest.mark.long
@pytest.mark.usefixtures("first")
def test_records_of_who_looked_first_do_not_refuse_a_restore_and_go_on_in_it(shop: Lake, tmp_path: Path) -> None:
    shop.land("shop/orders/3.csv", HEAD + "5,2026-01-03,1.00,1\n")
    shop.good()
    newest = backed_up(shop, days=1)
    other = Lake(tmp_path / "other", shop.environ)
    shutil.copytree(shop.root / "src", other.root / "src")
    with open_engine(other.settings) as engine:
        found = drill.run(engine, other.data, at(shop), None, clock(2))
    assert found.damage == []  # there is no lake that could have any
    early = other.run()
    assert set(catalog.tables(other.data)) == {"ops.backups", "ops.pipeline_runs", "ops.quality_results"}
    restored(shop, other.root)
    said = other.rows("SELECT kind, backup, number FROM ops.backups ORDER BY number")
    assert [kind for kind, *_ in said] == ["backup", "restore", "drill"]
    assert [number for *_, number in said] == [1, 2, 3]
    assert other.rows(f"SELECT count(*) FROM ops.pipeline_runs WHERE run_id = '{early.run_id}' AND layer = 'run'") == [
        (1,)
    ]
    assert not (other.root / "data.before-restore").exists()
    with open_engine(other.settings) as engine:
        last = backup_records.last_verified(engine, other.data)
    assert last and last.backup == newest.manifest.id
    assert other.findings() == []


@pytest.mark.usefixtures("first")
def test_files_where_tables_go_are_never_replaced(shop: Lake, tmp_path: Path) -> None:
    stray = tmp_path / "other" / "data" / "silver" / "notes.txt"
    stray.parent.mkdir(parents=True)
    stray.write_text("mine")
    with pytest.raises(UsageError, match="1 files lie where tables go"):
        restored(shop, tmp_path / "other")
    assert stray.read_text() == "mine"


@pytest.mark.usefixtures("first")
def test_a_restore_killed_between_its_renames_is_finished_by_the_next(shop: Lake, tmp_path: Path) -> None:
    aside = tmp_path / "other" / "data.before-restore"
    landed = aside / "landing" / "shop" / "orders" / "3.csv"
    landed.parent.mkdir(parents=True)
    landed.write_text(HEAD + "5,2026-01-03,1.00,1\n")
    other = restored(shop, tmp_path / "other")
    assert not aside.exists()
    assert other.good().records[-1].records_read == 1


# -- what is copied


@pytest.mark.usefixtures("first")
def test_a_second_backup_copies_only_what_is_new(shop: Lake) -> None:
    first = objects(shop)
    shop.land("shop/orders/3.csv", HEAD + "5,2026-01-03,1.00,1\n")
    shop.good()
    second = backed_up(shop, days=1)
    after = objects(shop)
    assert {name: after[name] for name in first} == first  # not even written again
    assert {Path(name).name for name in second.fresh} == set(after) - set(first)
    files = second.manifest.tables["bronze.shop.orders"].files
    new = [path for path, file in files.items() if file.name in second.fresh and path.endswith(".parquet")]
    assert len(new) == 1  # of three


def test_a_backup_of_what_is_backed_up_changes_nothing(
    shop: Lake, first: BackupPlan, capsys: pytest.CaptureFixture[str]
) -> None:
    before = objects(shop)
    assert backed_up(shop, days=1).idle
    assert backed_up(shop, days=2).idle
    assert objects(shop) == before
    found = last(shop)
    assert found
    assert (found.backup, found.bytes_copied, found.ended_at.date().isoformat()) == (first.manifest.id, 0, "2026-03-04")
    assert shop.command("backup") == 0
    assert f"0 changed: backup {first.manifest.id}" in capsys.readouterr().out


def test_a_dry_run_copies_and_records_nothing(shop: Lake) -> None:
    with open_engine(shop.settings) as engine:
        planned = backup.run(engine, shop.settings, at(shop), clock(), dry_run=True)
    assert len(planned.fresh) == len(planned.manifest.objects) > 20
    assert not (shop.root / "backups").exists()
    assert last(shop) is None


def test_files_that_no_link_reaches_are_copied(shop: Lake, tmp_path: Path) -> None:
    elsewhere = Path("/dev/shm")
    if not elsewhere.is_dir() or elsewhere.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system")
    folder = elsewhere / f"boathouse-{os.getpid()}"
    folder.mkdir()
    try:
        (shop.data / backup_records.FOLDER).symlink_to(folder)
        backed_up(shop)
        other = restored(shop, tmp_path / "other")
    finally:
        (shop.data / backup_records.FOLDER).unlink()
        shutil.rmtree(folder)
    assert other.rows("SELECT count(*) FROM silver.shop.orders") == [(4,)]


def test_nothing_is_left_of_a_snapshot(shop: Lake) -> None:
    left = shop.data / backup_records.FOLDER / "snapshot" / "bronze" / "shop"
    left.mkdir(parents=True)  # of a backup that was killed
    (left / "part.parquet").write_text("old")
    backed_up(shop)
    assert not (shop.data / backup_records.FOLDER / "snapshot").exists()
    (shop.root / "backups").rename(shop.root / "elsewhere")
    (shop.root / "backups").write_text("no folder")
    with pytest.raises(BoathouseError):
        backed_up(shop, days=1)
    assert not (shop.data / backup_records.FOLDER / "snapshot").exists()


def test_a_lake_without_a_release_is_not_backed_up(lake: Lake) -> None:
    with pytest.raises(UsageError, match="there is no release yet"):
        backed_up(lake)
    assert not lake.data.exists()


def test_a_damaged_table_is_not_backed_up(shop: Lake) -> None:
    shop.environ["BROKEN_ON_PURPOSE"] = "1"
    backed_up(shop)
    first = objects(shop)
    table = delta.open_table(delta.table_path(shop.data, "silver.shop.orders"))
    assert table
    os.truncate(table.root / table.files[0].path, 10)
    with pytest.raises(DataError, match=r"1 files of the lake are not what backup .* has 10 bytes, the backup \d"):
        backed_up(shop, days=1)
    assert objects(shop) == first
    assert shop.rows("SELECT verified, message[:13] FROM ops.backups ORDER BY started_at") == [
        (True, None),
        (False, "1 files of th"),
    ]


def test_a_release_of_which_another_program_took_files_is_refused_by_name_until_the_next_run(
    shop: Lake, tmp_path: Path
) -> None:
    for number in ("3", "4"):
        shop.land(f"shop/orders/{number}.csv", HEAD + f"{number}1,2026-01-03,1.00,1\n")
        shop.good()
    foreign = DeltaTable(delta.table_path(shop.data, "silver.shop.orders"))
    foreign.optimize.compact()
    DeltaTable(foreign.table_uri).vacuum(0, dry_run=False, enforce_retention_duration=False)
    refused = r"the newest release is not whole: silver\.shop\.orders: day=2026-01-03/part-.*parquet is gone\n"
    with pytest.raises(MachineError, match=refused) as refusal:
        backed_up(shop)
    assert refusal.value.fix
    assert "run `make pipeline`, which makes a new release" in refusal.value.fix
    with pytest.raises(MachineError, match=refused):
        shop.command("branch", "create", "beside")
    with pytest.raises(DataError, match=r"^.*/part-.*parquet is gone\n") as unread:
        shop.command("query", "SELECT count(*) FROM silver.shop.orders")
    assert "`make pipeline` makes a new release" in str(unread.value)
    assert [step.records_read for step in shop.good().steps] == [0, 0, 0]
    assert shop.command("query", "SELECT count(*) FROM silver.shop.orders") == 0
    backed_up(shop, days=1)
    assert restored(shop, tmp_path / "other").findings() == []


# -- what is kept


def named(*days: str) -> list[str]:
    return [f"{day.replace('-', '')}T040000000-{at:06x}" for at, day in enumerate(days)]


@pytest.mark.parametrize(
    ("daily", "weekly", "monthly", "stay"),
    [
        (1, 0, 0, ["2026-03-02"]),
        (3, 0, 0, ["2026-02-28", "2026-03-01", "2026-03-02"]),
        (1, 2, 0, ["2026-03-01", "2026-03-02"]),
        (1, 3, 0, ["2026-02-22", "2026-03-01", "2026-03-02"]),
        (1, 0, 2, ["2026-02-28", "2026-03-02"]),
        (1, 0, 4, ["2025-11-30", "2026-01-31", "2026-02-28", "2026-03-02"]),
        (2, 2, 3, ["2026-01-31", "2026-02-28", "2026-03-01", "2026-03-02"]),
    ],
)
def test_the_last_backup_of_each_of_the_newest_periods_stays(
    daily: int, weekly: int, monthly: int, stay: list[str]
) -> None:
    days = ("2025-11-30", "2026-01-01", "2026-01-31", "2026-02-22", "2026-02-27", "2026-02-28", "2026-03-01")
    names = named(*days, "2026-03-02")
    found = backup.kept(names, daily, weekly, monthly)
    assert sorted(f"{name[:4]}-{name[4:6]}-{name[6:8]}" for name in found) == stay


def test_of_one_day_the_last_backup_stays() -> None:
    names = ["20260302T040000000-aaaaaa", "20260302T233000000-bbbbbb", "20260302T120000000-cccccc"]
    assert backup.kept(names, 7, 4, 12) == {"20260302T233000000-bbbbbb"}


@pytest.mark.long
def test_files_go_with_the_last_backup_that_names_them(shop: Lake) -> None:
    shop.environ |= {"BACKUP_KEEP_DAILY": "1", "BACKUP_KEEP_WEEKLY": "0", "BACKUP_KEEP_MONTHLY": "0"}
    backed_up(shop)
    stray = shop.root / "backups" / "files" / "ab" / ("ab" + "0" * 62)  # of a backup that was killed
    stray.parent.mkdir(exist_ok=True)
    stray.write_text("half")
    table = delta.table_path(shop.data, "gold.shop.daily")
    shutil.rmtree(table)  # rebuilt from silver: none of its old files is needed again
    shop.good()
    second = backed_up(shop, days=1)
    assert archive.listed(at(shop)) == [second.manifest.id]
    assert set(objects(shop)) == {Path(name).name for name in second.manifest.objects}
    assert drilled(shop)["gold.shop.daily"] == 3


# -- what is damaged


def test_a_flipped_byte_at_the_remote_is_found_by_restore_and_drill(shop: Lake, tmp_path: Path) -> None:
    flip(data_object(shop, backed_up(shop), "silver.shop.orders"))
    with pytest.raises(DataError, match=r"1 files are missing or damaged, such as .* \(silver.shop.orders: "):
        restored(shop, tmp_path / "other")
    assert list(catalog.tables(tmp_path / "other" / "data")) == []
    with pytest.raises(DataError, match="1 files are missing or damaged"):
        drilled(shop)


@pytest.mark.long
def test_a_lost_file_at_the_remote_is_found_by_drill_and_copied_by_the_next_backup(shop: Lake) -> None:
    lost = data_object(shop, backed_up(shop), "bronze.shop.orders")
    lost.unlink()
    with pytest.raises(DataError, match="1 files are missing or damaged"):
        drilled(shop)
    assert not backed_up(shop, days=301).idle
    assert lost.exists()
    assert drilled(shop)["bronze.shop.orders"] == 5


@pytest.mark.long
def test_what_a_drill_found_damaged_is_copied_afresh(shop: Lake, first: BackupPlan, tmp_path: Path) -> None:
    assert last(shop) is not None
    flip(data_object(shop, first, "silver.shop.orders"))
    with pytest.raises(DataError):
        drilled(shop)
    assert last(shop) is None
    second = backed_up(shop, days=301)
    assert set(second.fresh) == set(second.manifest.objects)
    found = last(shop)
    assert found
    assert found.backup == second.manifest.id
    assert restored(shop, tmp_path / "other").rows("SELECT count(*) FROM silver.shop.orders") == [(4,)]


@pytest.mark.long
def test_a_flipped_byte_in_a_manifest_is_found(shop: Lake, first: BackupPlan) -> None:
    path = shop.root / "backups" / "manifests" / f"{first.manifest.id}.json"
    path.write_text(path.read_text().replace('"rows": 4', '"rows": 5'))
    with pytest.raises(DataError, match="a damaged manifest"):
        drilled(shop)
    assert last(shop) is None
    assert backed_up(shop, days=301).afresh
    assert drilled(shop)["silver.shop.orders"] == 4


def test_a_drill_goes_by_the_manifest_where_the_lake_has_moved_on(shop: Lake, first: BackupPlan) -> None:
    old = delta.open_table(delta.table_path(shop.data, "silver.shop.orders"))
    assert old
    shop.land("shop/orders/3.csv", HEAD + "1,2026-01-01,11.00,3\n")
    shop.good()
    new = delta.open_table(old.root)
    assert new
    gone = {file.path for file in old.files} - {file.path for file in new.files}
    assert gone
    for path in gone:
        (old.root / path).unlink()  # as a vacuum does after a week
    found = drilled(shop, first.manifest.id)
    assert found["silver.shop.orders"] == 4
    assert found["bronze.shop.orders"] == 5


def test_a_drill_finds_rows_that_are_not_those_of_the_lake(shop: Lake, first: BackupPlan) -> None:
    manifest = first.manifest
    said = manifest.tables["silver.shop.orders"]
    wrong = {"silver.shop.orders": manifests.BackupTable(said.version, said.rows, "1", said.files)}
    forged = manifests.Manifest(manifest.id, manifest.release, manifest.engine, {**manifest.tables, **wrong})
    (shop.root / "backups" / "manifests" / f"{manifest.id}.json").write_text(manifests.write(forged))
    with pytest.raises(DataError, match=r"silver.shop.orders: 4 rows with hash \d+ restored, the manifest says 4 rows"):
        drilled(shop)


# -- the records


def test_the_newest_verified_backup_says_its_release_and_versions(shop: Lake) -> None:
    from src.run import releases

    backed_up(shop)
    drilled(shop)
    found = last(shop)
    assert found
    assert (found.kind, found.verified, found.remote) == ("drill", True, str(shop.root / "backups"))
    assert releases.newest(shop.data).items() <= found.table_versions.items()
    assert [(found.release,)] == shop.rows("SELECT max(run_id) FROM ops.releases")


def test_a_record_that_cannot_be_written_waits_for_the_next(shop: Lake) -> None:
    rows = [Backup(f"r{at}", "b", "drill", MONDAY, MONDAY + timedelta(days=at), "r", verified=True) for at in range(2)]
    in_the_way = delta.table_path(shop.data, backup_records.TABLE)
    in_the_way.write_text("no table")
    with open_engine(shop.settings) as engine:
        assert backup_records.record(engine, shop.data, rows[0]) is False
        assert backup_records.last_verified(engine, shop.data) == replace(rows[0], number=1)
        in_the_way.unlink()
        assert backup_records.record(engine, shop.data, rows[1]) is True
    assert shop.rows("SELECT run_id, number FROM ops.backups ORDER BY 1") == [("r0", 1), ("r1", 2)]
    assert list((shop.data / backup_records.FOLDER / "records").iterdir()) == []


def test_a_backup_neither_waits_for_a_run_nor_refuses_one(shop: Lake) -> None:
    with lock.lock_lake(shop.data, command="make pipeline", run_id="x", now=MONDAY):
        backed_up(shop)
    assert shop.rows("SELECT verified FROM ops.backups") == [(True,)]


def test_two_backups_at_once_are_refused(shop: Lake) -> None:
    folder = shop.data / backup_records.FOLDER
    with lock.lock_lake(folder, command="make backup", run_id="x", now=MONDAY):
        with pytest.raises(LockedError, match="another run is going: make backup"):
            backed_up(shop)
        with pytest.raises(LockedError):
            drilled(shop)
    assert not (shop.root / "backups").exists()


# -- while others write, and when killed


@pytest.mark.long
def test_a_backup_while_runs_write_is_one_consistent_release(shop: Lake, tmp_path: Path) -> None:
    over = threading.Event()

    def write() -> None:
        for at in range(100, 200):
            if over.is_set():
                return
            shop.land(f"shop/orders/{at}.csv", HEAD + f"{at},2026-01-0{at % 5 + 1},1.00,1\n1,2026-01-01,2.00,{at}\n")
            shop.good()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        names = [backed_up(shop, days).manifest.id for days in range(3)]
    finally:
        over.set()
        writer.join()
    assert archive.listed(at(shop)) == names
    for name in names:
        other = restored(shop, tmp_path / name, name=name)
        assert other.findings() == []
        assert [step.records_read for step in other.good().steps] == [0, 0, 0]


def child(shop: Lake, command: str, *words: str, **environ: str) -> subprocess.Popen[str]:
    """A maintenance command as a process of its own, and the head of its group."""
    told = {"DATA_DIR": str(shop.data), "LOG_DIR": str(shop.root / "logs"), "BACKUP_REMOTE": str(shop.root / "backups")}
    typed = [sys.executable, "main.py", command, *words]
    return subprocess.Popen(
        typed,
        cwd=ROOT,
        env={**os.environ, **told, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def killed(process: subprocess.Popen[str], when: Callable[[], Any]) -> bool:
    """Kill a process and its children once `when` holds; whether it was still going."""
    with process:
        while process.poll() is None and not when():
            time.sleep(0.002)
        going = process.poll() is None
        if going:
            os.killpg(process.pid, signal.SIGKILL)
    return going


def test_a_killed_backup_leaves_the_last_good_one(shop: Lake, first: BackupPlan, tmp_path: Path) -> None:
    shop.land("shop/orders/3.csv", HEAD + "".join(f"{at},2026-02-{at % 28 + 1:02},1.00,1\n" for at in range(10, 90)))
    shop.good()
    before, snapshots = objects(shop), shop.data / backup_records.FOLDER / "snapshot"
    moments: list[Callable[[], Any]] = [
        snapshots.exists,
        (snapshots / "files").exists,
        lambda: len(objects(shop)) > len(before),
        lambda: len(objects(shop)) > len(before) + 25,
    ]
    assert [killed(child(shop, "backup"), moment) for moment in moments] == [True] * 4
    assert archive.listed(at(shop)) == [first.manifest.id]
    assert restored(shop, tmp_path / "other").rows("SELECT count(*) FROM silver.shop.orders") == [(4,)]
    backed_up(shop, days=1)
    assert drilled(shop)["silver.shop.orders"] == 84
    assert not snapshots.exists()


@pytest.mark.long
def test_a_killed_restore_leaves_no_half_lake(shop: Lake, tmp_path: Path) -> None:
    everything = {*backed_up(shop).manifest.tables, backup_records.TABLE}
    target = tmp_path / "other" / "data"
    fetched = target.with_name("data.restoring")
    lake = fetched / "lake"
    for moment in ((fetched / "files").exists, lake.exists, (lake / "ops" / "backups").exists):
        assert killed(child(shop, "restore", "--to", str(target)), moment)
        assert set(catalog.tables(target)) in (set(), everything)
    other = Lake(tmp_path / "other") if catalog.tables(target) else restored(shop, tmp_path / "other")
    assert set(catalog.tables(other.data)) == everything
    assert other.findings() == []


# -- remotes


@contextmanager
def s3(folder: Path) -> Iterator[dict[str, str]]:
    """A real S3 server of one key on this machine; gives the settings of a remote `offsite` on it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"127.0.0.1:{port}"
    words = ("--config", os.devnull, "serve", "s3", "--addr", address, "--auth-key", "harbour1,correct-horse")
    (folder / "lake").mkdir(parents=True)
    with subprocess.Popen([remote.program(), *words, folder], stderr=subprocess.DEVNULL) as server:
        try:
            while not answers(port):
                time.sleep(0.02)
            yield {
                "RCLONE_CONFIG_OFFSITE_TYPE": "s3",
                "RCLONE_CONFIG_OFFSITE_PROVIDER": "Rclone",
                "RCLONE_CONFIG_OFFSITE_ENDPOINT": f"http://{address}",
                "RCLONE_CONFIG_OFFSITE_ACCESS_KEY_ID": "harbour1",
                "RCLONE_CONFIG_OFFSITE_SECRET_ACCESS_KEY": "correct-horse",
                "BACKUP_REMOTE": "offsite:lake/boat",
            }
        finally:
            server.kill()


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_backup_goes_to_s3_and_comes_back(shop: Lake, tmp_path: Path) -> None:
    with s3(tmp_path / "server") as told:
        shop.environ |= told
        first = backed_up(shop)
        assert backed_up(shop, days=1).idle
        assert {path.name for path in (tmp_path / "server/lake/boat/files").rglob("*") if path.is_file()} == {
            Path(name).name for name in first.manifest.objects
        }
        assert drilled(shop)["gold.shop.daily"] == 3
        assert restored(shop, tmp_path / "other").rows("SELECT count(*) FROM silver.shop.orders") == [(4,)]


def test_a_refused_credential_ends_with_its_own_code_and_is_never_shown(shop: Lake, tmp_path: Path) -> None:
    with s3(tmp_path / "server") as told:
        told |= {"RCLONE_CONFIG_OFFSITE_SECRET_ACCESS_KEY": "battery-staple"}
        with child(shop, "backup", **told) as process:
            out, err = process.communicate()
    assert process.returncode == AuthError.exit_code == 7
    assert "the remote refused the credential" in err
    said = out + err + "".join(path.read_text() for path in (shop.root / "logs").iterdir())
    assert "battery-staple" not in said
    assert "battery-staple" not in str(shop.rows("SELECT message FROM ops.backups"))
    assert shop.rows("SELECT verified FROM ops.backups") == [(False,)]


def test_a_remote_that_does_not_answer_is_worth_another_try(shop: Lake, tmp_path: Path) -> None:
    with s3(tmp_path / "server") as told:
        shop.environ |= told
    gone = at(shop)
    with pytest.raises(TransientError, match="the remote does not answer"):
        backed_up(shop, place=Remote(gone.path, gone.remotes, gone.secrets, retries=1))


def test_a_remote_without_hashes_is_read_back(shop: Lake, tmp_path: Path) -> None:
    word = subprocess.run([remote.program(), "obscure", "anchor"], capture_output=True, text=True, check=True).stdout
    shop.environ |= {
        "RCLONE_CONFIG_SAFE_TYPE": "crypt",
        "RCLONE_CONFIG_SAFE_REMOTE": str(tmp_path / "sealed"),
        "RCLONE_CONFIG_SAFE_PASSWORD": word.strip(),
        "BACKUP_REMOTE": "safe:",
    }
    planned = backed_up(shop)
    sealed = [path for path in (tmp_path / "sealed").rglob("*") if path.is_file()]
    assert len(sealed) == len(planned.manifest.objects) + 1
    assert not any(path.read_bytes().startswith(b"PAR1") for path in sealed)
    assert restored(shop, tmp_path / "other").rows("SELECT count(*) FROM silver.shop.orders") == [(4,)]


def test_a_remote_that_no_setting_defines_is_refused(lake: Lake) -> None:
    lake.environ |= {"BACKUP_REMOTE": "offside:lake", "RCLONE_CONFIG_OFFSITE_TYPE": "s3"}
    with pytest.raises(UsageError, match="no remote offside") as refused:
        at(lake)
    assert "the remotes are offsite" in str(refused.value)


@pytest.mark.parametrize("inside", ["data", "data/backups", "x/../data/b"])
def test_backups_inside_the_lake_are_refused(lake: Lake, inside: str) -> None:
    lake.environ["BACKUP_REMOTE"] = inside
    with pytest.raises(UsageError, match="backups inside the lake"):
        at(lake)


@pytest.mark.parametrize(
    ("said", "code", "kind"),
    [
        ("ERROR : api error SignatureDoesNotMatch: The request signature", 1, AuthError),
        ("CRITICAL: ssh: handshake failed: ssh: unable to authenticate, attempted methods", 1, AuthError),
        ("ERROR : x: Failed to copy: write /b/x: no space left on device", 1, MachineError),
        ("ERROR : x: Failed to copy: open /b/x: permission denied", 1, MachineError),
        ("ERROR : dial tcp: lookup nowhere.example: no such host", 1, TransientError),
        ("ERROR : error listing: googleapi: Error 401: Invalid Credentials, authError", 1, AuthError),
        (
            "ERROR : error listing: googleapi: Error 403: x does not have storage.objects.list access, forbidden",
            1,
            AuthError,
        ),
        ("ERROR : error listing: googleapi: Error 403: too many calls, userRateLimitExceeded", 1, TransientError),
        ("ERROR : error listing: googleapi: Error 429: slow down, rateLimitExceeded", 1, TransientError),
        ("ERROR : error listing: googleapi: Error 503: try again, backendError", 1, TransientError),
        ("ERROR : something that passes", 5, TransientError),
        ("ERROR : something nobody knows", 1, MachineError),
    ],
)
def test_what_rclone_says_is_one_of_our_failures(said: str, code: int, kind: type[BoathouseError]) -> None:
    found = remote.as_error(f"2026/03/02 04:00:00 {said}\n", code, "offsite:lake")
    assert type(found) is kind
    assert said.partition(": ")[2].strip() in found.what


def test_no_variable_of_the_shell_changes_what_rclone_does(shop: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RCLONE_DRY_RUN", "true")
    planned = backed_up(shop)
    assert {Path(name).name for name in planned.manifest.objects} == set(objects(shop))
