"""What rots is told by the hashes of the newest backup, blamed on the one that rotted, and brought back."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars
import pytest
from conftest import Lake, shorts
from deltalake import DeltaTable
from test_backup import HEAD, at, backed_up, built, clock, drilled, first, flip, kept, objects, restored
from torture.rot import rot_many

from src import catalog
from src import lake as delta
from src.errors import DataError, MachineError, UsageError
from src.maintenance import archive, check, drill, manifests, rot
from src.maintenance.backup import BackupPlan
from src.project import open_engine, open_project
from src.run import backup_records, releases, runs

__all__ = ["built", "first", "kept"]  # the fixtures of the tests of backups
ORDERS, BRONZE, DAILY = "silver.shop.orders", "bronze.shop.orders", "gold.shop.daily"


def data_file(shop: Lake, table: str) -> Path:
    found = delta.open_table(delta.table_path(shop.data, table))
    assert found
    return found.root / found.files[0].path


def entry(shop: Lake, table: str, version: int) -> Path:
    return delta.table_path(shop.data, table) / "_delta_log" / f"{version:020d}.json"


def newest_entry(shop: Lake, table: str) -> Path:
    found = delta.open_table(delta.table_path(shop.data, table))
    assert found
    return entry(shop, table, found.version)


def damage(shop: Lake) -> list[tuple[str, str]]:
    """The damaged files of the lake and how."""
    manifest = archive.newest(at(shop))
    assert manifest
    with open_engine(shop.settings) as engine:
        return [(one.table, one.found) for one in rot.find(engine, shop.data, at(shop), manifest)]


def checked(shop: Lake) -> list[check.Finding]:
    """What `make check` finds, the backup in hand."""
    remote = at(shop)
    manifest = archive.newest(remote)
    copy = check.NewestBackup(remote, manifest) if manifest else None
    with open_project(shop.settings) as project:
        return list(check.run(project.engine, shop.data, project.contracts, project.marts, copy))


def repaired(shop: Lake, *, dry_run: bool = False) -> int:
    return shop.command("repair", *(["--dry-run"] if dry_run else []))


def content(shop: Lake) -> list[tuple[object, ...]]:
    return shop.rows("SELECT order_id, amount::VARCHAR FROM silver.shop.orders ORDER BY 1")


FOUR = [(1, "10.00"), (2, "21.00"), (3, "5.00"), (4, "7.00")]


# -- a damaged lake never takes the good backup with it


def test_rot_in_the_lake_is_never_copied_over_the_good_backup(shop: Lake, first: BackupPlan) -> None:
    before = objects(shop)
    flip(data_file(shop, BRONZE))
    with pytest.raises(DataError, match=r"bronze.shop.orders: part-.* has not the bytes that were backed up"):
        backed_up(shop)
    assert archive.listed(at(shop)) == [first.manifest.id]
    assert objects(shop) == before
    assert repaired(shop) == 0
    assert backed_up(shop).idle


@pytest.mark.usefixtures("first")
def test_a_drill_judges_the_backup_by_its_manifest_and_tells_of_the_lake_apart(shop: Lake) -> None:
    flip(data_file(shop, BRONZE))
    with open_engine(shop.settings) as engine:
        found = drill.run(engine, shop.data, at(shop), None, clock(1))
        assert [(one.table, one.found) for one in found.damage] == [(BRONZE, "has not the bytes that were backed up")]
        last = backup_records.last_verified(engine, shop.data)
    assert last and last.kind == "drill"
    assert repaired(shop) == 0


@pytest.mark.long
@pytest.mark.usefixtures("first")
def test_what_rots_before_a_backup_of_new_rows_is_refused_too(shop: Lake) -> None:
    old = data_file(shop, BRONZE)
    shop.land("shop/orders/3.csv", HEAD + "5,2026-01-03,1.00,1\n")
    shop.good()
    flip(old)
    with pytest.raises(DataError, match="1 files of the lake are not what backup"):
        backed_up(shop, days=1)
    assert repaired(shop) == 0
    assert not backed_up(shop, days=1).idle
    assert drilled(shop)[BRONZE] == 6


# -- check sees it


@pytest.mark.long
@pytest.mark.usefixtures("first")
def test_check_names_the_file_whose_bytes_changed_in_any_layer(shop: Lake) -> None:
    for table in (BRONZE, ORDERS, DAILY, "ops.pipeline_runs"):
        flip(data_file(shop, table))
        assert (table, "its files are those that were backed up") in [(one.table, one.law) for one in checked(shop)]
        assert repaired(shop) == 0
    assert checked(shop) == []


def test_check_reads_every_column_of_every_file(lake: Lake) -> None:
    """No law reads _row of silver: a file that readers cannot read was found whole."""
    import pyarrow.parquet

    lake.environ["BROKEN_ON_PURPOSE"] = "1"
    lake.shop()
    lake.land("shop/orders/1.csv", HEAD + "".join(f"{at},2026-01-01,{at}.00,1\n" for at in range(3000)))
    lake.good()
    assert lake.findings() == []
    path = data_file(lake, ORDERS)
    group = pyarrow.parquet.read_metadata(path).row_group(0)
    column = next(c for at in range(group.num_columns) if (c := group.column(at)).path_in_schema == "_row")
    start = min(offset for offset in (column.dictionary_page_offset, column.data_page_offset) if offset)
    raw = bytearray(path.read_bytes())
    raw[start : start + column.total_compressed_size] = b"\xff" * column.total_compressed_size
    path.write_bytes(raw)
    found = lake.findings()
    assert [(one.table, one.law) for one in found] == [(ORDERS, "the table opens and its files are whole")]
    assert f"day=2026-01-01/{path.name} cannot be read" in found[0].found
    with open_project(lake.settings) as project:
        quick = check.run(project.engine, lake.data, project.contracts, project.marts, quick=True)
        assert [one.law for one in quick] == []


def test_check_counts_the_rows_of_each_file(shop: Lake) -> None:
    shop.environ["BROKEN_ON_PURPOSE"] = "1"
    log = newest_entry(shop, BRONZE)
    said = log.read_text().replace('\\"numRecords\\": 2', '\\"numRecords\\": 3')
    assert said != log.read_text()
    log.write_text(said)
    assert [one.found.partition(".parquet ")[2] for one in shop.findings() if one.table == BRONZE] == [
        "has 2 rows, the log says 3"
    ]


def test_check_tells_of_a_step_whose_rows_do_not_add_up(shop: Lake) -> None:
    shop.environ["BROKEN_ON_PURPOSE"] = "1"
    records = delta.open_table(delta.table_path(shop.data, runs.TABLE))
    assert records
    with open_engine(shop.settings) as engine:
        more = "CASE layer WHEN 'gold' THEN records_read + 1 ELSE records_read END AS records_read"
        files = engine.write(f"SELECT * REPLACE ({more}) FROM {engine.scan(records, evolved=True)}", records.root)
    delta.commit(records, add=files, remove=records.files)
    found = {(one.table, one.law, one.found.partition(", ")[2]) for one in shop.findings()}
    assert found == {(runs.TABLE, "the rows of every step add up", DAILY)}


def test_check_tells_of_a_table_that_is_gone(shop: Lake) -> None:
    shop.environ["BROKEN_ON_PURPOSE"] = "1"
    shutil.rmtree(shop.data / "quarantine")
    shutil.rmtree(shop.data / "gold")
    assert [(one.table, one.law, one.found) for one in shop.findings()] == [
        (DAILY, "the table is there", "it is gone"),
        ("quarantine.shop.orders", "the table is there", "it is gone"),
    ]


def test_check_tells_of_an_empty_log_entry_which_the_library_reads_over(shop: Lake) -> None:
    shop.environ["BROKEN_ON_PURPOSE"] = "1"
    log = newest_entry(shop, BRONZE)
    log.write_text("")
    assert f"{log.name}: is empty: its commit is lost" in [one.found for one in shop.findings()]


def test_a_data_file_that_is_a_link_is_told_by_check_and_by_backup(shop: Lake, tmp_path: Path) -> None:
    path = data_file(shop, ORDERS)
    moved = path.rename(tmp_path / "moved.parquet")
    path.symlink_to(moved)
    assert [one.found.partition(" is a ")[2].partition(",")[0] for one in shop.findings()] == ["symbolic link"]
    with pytest.raises(MachineError, match=r"silver.shop.orders: .* is a symbolic link"):
        backed_up(shop)
    path.unlink()
    shutil.copy(moved, path)
    backed_up(shop)
    path.unlink()
    path.symlink_to(moved)
    assert damage(shop) == [(ORDERS, "is a symbolic link")]
    assert repaired(shop) == 0
    assert not path.is_symlink()
    assert moved.exists()


def test_a_released_version_that_is_lost_is_a_damaged_table_for_whoever_reads_it(shop: Lake) -> None:
    shop.environ["BROKEN_ON_PURPOSE"] = "1"
    newest_entry(shop, ORDERS).unlink()
    with (
        open_engine(shop.settings) as engine,
        pytest.raises(MachineError, match="damaged table: no version") as caught,
    ):
        catalog.show(engine, shop.data, f"SELECT * FROM {ORDERS}", "csv", releases.newest(shop.data))
    assert caught.value.exit_code == 5
    assert "make repair" in str(caught.value.fix)


# -- repair


def lose(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    path.write_bytes(b"")


def halve(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize(
    ("harm", "table", "what"),
    [
        (flip, ORDERS, data_file),
        (lose, BRONZE, data_file),
        (halve, "ops.releases", data_file),
        pytest.param(flip, BRONZE, newest_entry, marks=pytest.mark.long),
        (lose, ORDERS, newest_entry),
        pytest.param(empty, DAILY, newest_entry, marks=pytest.mark.long),
        pytest.param(halve, "quarantine.shop.orders", newest_entry, marks=pytest.mark.long),
        pytest.param(lose, "ops.releases", newest_entry, marks=pytest.mark.long),
    ],
)
@pytest.mark.usefixtures("first")
def test_a_file_that_was_harmed_is_brought_back_as_it_was(
    shop: Lake, harm: Callable[[Path], None], table: str, what: Callable[[Lake, str], Path]
) -> None:
    path = what(shop, table)
    before = path.read_bytes()
    harm(path)
    delta.forget(delta.table_path(shop.data, table))
    assert checked(shop) != []
    assert repaired(shop, dry_run=True) == 1
    assert not path.exists() or path.read_bytes() != before
    assert repaired(shop) == 0
    assert path.read_bytes() == before
    assert checked(shop) == []
    assert content(shop) == FOUR
    assert [step.records_read for step in shop.good().steps] == [0, 0, 0]


@pytest.mark.usefixtures("first")
def test_a_whole_table_of_the_release_is_brought_back(shop: Lake) -> None:
    shutil.rmtree(shop.data / "bronze")
    shutil.rmtree(shop.data / "quarantine")
    assert repaired(shop) == 0
    assert checked(shop) == []
    assert [step.records_read for step in shop.good().steps] == [0, 0, 0]


@pytest.mark.usefixtures("first")
def test_what_is_younger_than_the_backup_is_not_repaired_and_is_said(
    shop: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.environ["BROKEN_ON_PURPOSE"] = "1"
    shop.land("shop/orders/3.csv", HEAD + "5,2026-01-05,1.00,1\n")
    shop.good()
    found = delta.open_table(delta.table_path(shop.data, DAILY))
    assert found
    path = next(found.root / file.path for file in found.files if "2026-01-05" in file.path)
    path.unlink()
    assert repaired(shop) == 1
    assert f"not repaired: {DAILY}: day=2026-01-05/{path.name} is missing: put it aside" in capsys.readouterr().out


def test_what_is_damaged_in_the_backup_too_is_said_and_left(
    shop: Lake, first: BackupPlan, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.environ["BROKEN_ON_PURPOSE"] = "1"
    for name in first.manifest.objects:
        path = shop.root / "backups" / "files" / name
        path.write_bytes(b"\0" * path.stat().st_size)
    path = data_file(shop, ORDERS)
    flip(path)
    flipped = path.read_bytes()
    assert repaired(shop) == 1
    assert "missing or damaged in the backup too" in capsys.readouterr().out
    assert path.read_bytes() == flipped


@pytest.mark.usefixtures("first")
def test_a_version_that_was_written_anew_is_another_history_and_no_rot(shop: Lake) -> None:
    """The newest entry was lost, and the next commit took its number: to put it back would take these rows away."""
    newest_entry(shop, BRONZE).unlink()
    shop.land("shop/orders/3.csv", HEAD + "5,2026-01-05,1.00,1\n")
    shop.environ["BROKEN_ON_PURPOSE"] = "1"  # what silver has consumed is another matter
    shop.run()
    assert (BRONZE, rot.GONE) not in damage(shop)
    assert [table for table, _ in damage(shop) if table == BRONZE] == []


@pytest.mark.long
def test_a_lake_restored_from_an_older_backup_is_not_damaged(shop: Lake, first: BackupPlan, tmp_path: Path) -> None:
    shop.land("shop/orders/3.csv", HEAD + "5,2026-01-03,1.00,1\n")
    shop.good()
    backed_up(shop, days=1)
    other = restored(shop, tmp_path / "other", name=first.manifest.id, place=at(shop))
    other.environ["BACKUP_REMOTE"] = str(shop.root / "backups")
    assert damage(other) == []
    other.land("shop/orders/4.csv", HEAD + "6,2026-01-06,1.00,1\n")
    other.good()
    assert damage(other) == []
    assert checked(other) == []


@pytest.mark.usefixtures("first")
def test_a_hint_that_names_no_checkpoint_is_removed(shop: Lake) -> None:
    hint = delta.table_path(shop.data, ORDERS) / "_delta_log" / "_last_checkpoint"
    hint.write_text('{"version":99,"size":3}')
    delta.forget(hint.parents[1])
    assert repaired(shop) == 0
    assert not hint.exists()
    assert content(shop) == FOUR


def test_without_a_backup_there_is_nothing_to_repair_from(shop: Lake) -> None:
    with pytest.raises(UsageError, match="there is no backup to repair from"):
        repaired(shop)


# -- the newest is the one made last


@pytest.mark.long
def test_the_newest_backup_is_the_one_made_last_whatever_the_clock_said(shop: Lake, tmp_path: Path) -> None:
    backed_up(shop, days=400)  # while the clock was ahead
    shop.land("shop/orders/3.csv", HEAD + "5,2026-01-03,1.00,1\n")
    shop.good()
    second = backed_up(shop, days=1)
    assert archive.listed(at(shop))[-1] == second.manifest.id
    newest = archive.newest(at(shop))
    assert newest and newest.id == second.manifest.id
    with open_engine(shop.settings) as engine:
        last = backup_records.last_verified(engine, shop.data)
    assert last and last.backup == second.manifest.id
    assert restored(shop, tmp_path / "other").rows(f"SELECT count(*) FROM {ORDERS}") == [(5,)]


@pytest.mark.long
def test_backups_of_before_there_were_numbers_come_first(shop: Lake, first: BackupPlan) -> None:
    folder = shop.root / "backups" / "manifests"
    old = replace(first.manifest, id="20991231T000000000-abcdef")
    (folder / f"{old.id}.json").write_text(manifests.write(old))
    assert archive.listed(at(shop)) == [old.id, first.manifest.id]
    (folder / f"{first.manifest.id}.json").unlink()
    shop.land("shop/orders/3.csv", HEAD + "5,2026-01-03,1.00,1\n")
    shop.good()
    assert backed_up(shop, days=1).manifest.id.startswith("000001-")
    assert archive.listed(at(shop))[-1].startswith("000001-")


# -- what the scenes of rot found


@pytest.mark.long
def test_an_entry_that_is_gone_is_missed_though_a_checkpoint_sums_it_up(shop: Lake) -> None:
    """The library opens the newest version without it, and no older one, and commits nothing more."""
    table = delta.open_table(delta.table_path(shop.data, BRONZE))
    assert table
    DeltaTable(str(table.root)).create_checkpoint()
    backed_up(shop)
    path = newest_entry(shop, BRONZE)
    path.unlink()
    assert f"{path.name}: is missing" in [one.found for one in checked(shop)]
    assert repaired(shop) == 0
    assert checked(shop) == []


@pytest.mark.long
@pytest.mark.usefixtures("first")
def test_a_link_that_is_younger_than_the_backup_is_replaced_by_the_file_itself(shop: Lake, tmp_path: Path) -> None:
    shop.land("shop/orders/3.csv", HEAD + "5,2026-01-05,1.00,1\n")
    shop.good()
    for path in (newest_entry(shop, BRONZE), data_file(shop, "ops.pipeline_runs")):
        moved = Path(shutil.move(path, tmp_path / path.name))
        path.symlink_to(moved)
        assert [one.found.partition("is a ")[2][:13] for one in checked(shop)] == ["symbolic link"]
        assert repaired(shop) == 0
        assert not path.is_symlink()
    assert checked(shop) == []
    assert not backed_up(shop, days=1).idle


@pytest.mark.usefixtures("first")
def test_files_that_were_taken_again_while_their_entry_was_damaged_are_said(
    shop: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bronze forgot that it had them; with the entry back in its place their rows are there twice."""
    shop.environ["BROKEN_ON_PURPOSE"] = "1"
    path = newest_entry(shop, BRONZE)
    path.write_text(path.read_text().splitlines()[0] + "\n")  # the commit without its files and their progress
    delta.forget(delta.table_path(shop.data, BRONZE))
    shop.run()
    assert repaired(shop) == 1
    said = f"1 files of version {int(path.stem)} were taken again while it was damaged, rows are doubled"
    assert said in capsys.readouterr().out


@pytest.mark.usefixtures("first")
def test_a_table_of_records_with_the_rows_of_another_is_damage_and_no_crash(shop: Lake) -> None:
    backed_up(shop, days=1)
    path, other = data_file(shop, "ops.backups"), data_file(shop, "ops.releases")
    before = path.read_bytes()
    path.write_bytes(other.read_bytes())
    with open_engine(shop.settings) as engine, pytest.raises(MachineError, match="damaged table"):
        backup_records.last_verified(engine, shop.data)
    assert [one.table for one in checked(shop)] == ["ops.backups"]
    path.write_bytes(before)


def test_a_bit_in_the_name_of_a_field_is_damage_wherever_it_stands_in_an_entry(shop: Lake) -> None:
    shop.environ["BROKEN_ON_PURPOSE"] = "1"
    log = newest_entry(shop, BRONZE)
    text = log.read_text()
    log.write_text(text[: text.rindex('"version"')] + '"vebsion"' + text[text.rindex('"version"') + 9 :])
    said = f"{log.name}: damaged table: txn without version; it has appId, vebsion"
    assert any(one.found.startswith(said) for one in shop.findings())
    assert isinstance(shop.run().failures[BRONZE], MachineError)


@pytest.mark.usefixtures("first")
def test_a_table_of_records_that_is_another_table_is_damage_and_no_crash(shop: Lake) -> None:
    shop.environ["BROKEN_ON_PURPOSE"] = "1"
    shutil.rmtree(shop.data / "ops/backups")
    shutil.copytree(shop.data / "ops/releases", shop.data / "ops/backups")
    with open_engine(shop.settings) as engine, pytest.raises(MachineError, match="no records of backups"):
        backup_records.last_verified(engine, shop.data)
    assert ("ops.backups", "its records can be read") in [(one.table, one.law) for one in shop.findings()]


@pytest.mark.parametrize(("first", "count", "bases"), shorts([(0, 2, 1), (2, 8, 2), (10, 5, 2), (15, 5, 2)], 1))
def test_nothing_that_rots_ends_green_and_wrong(first: int, count: int, bases: int) -> None:
    """`python -m tests.torture --rot 200` plays more of them."""
    played = rot_many(first, count, bases=bases)
    assert played.differences == []
    assert played.rotten == count


@pytest.mark.long
@pytest.mark.usefixtures("first")
def test_rows_that_rot_before_any_backup_has_them_are_seen_by_the_hash_in_their_commit(shop: Lake) -> None:
    """Another value, read as one: silver rebuilt from it would agree with it."""
    shop.environ["BROKEN_ON_PURPOSE"] = "1"
    shop.land("shop/orders/3.csv", HEAD + "5,2026-01-05,1.00,1\n")
    shop.good()
    bronze = delta.open_table(delta.table_path(shop.data, BRONZE))
    assert bronze
    path = next(bronze.root / file.path for file in bronze.files if delta.hashes(bronze)[file.path] and file.rows == 1)
    rows = polars.read_parquet(path).with_columns(amount=polars.lit("2.00"))
    size = path.stat().st_size
    rows.write_parquet(path, compression="uncompressed")
    for log in (bronze.root / "_delta_log").glob("*.json"):
        if path.name in log.read_text():
            log.write_text(log.read_text().replace(f'"size":{size}', f'"size":{path.stat().st_size}'))
    delta.forget(bronze.root)
    shutil.rmtree(shop.data / "silver")
    shutil.rmtree(shop.data / "gold")
    shop.run()
    assert f"{path.name} has not the bytes that were committed" in [one.found for one in checked(shop)]
    with pytest.raises(DataError, match="has not the bytes that were committed"):
        backed_up(shop, days=1)
