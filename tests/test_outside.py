"""Beside the tables: logs lose lines in their places, what can be made again goes, what a person decides is named."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Collection
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from conftest import Lake
from test_forget import FORGET
from test_forget import shop as shop_of_customers

from src.errors import DataError
from src.forget import backups
from src.forget.backups import Held, Renewed
from src.forget.outside import Outside, forget
from src.forget.scanning import Value, search
from src.maintenance import archive, backup, restore
from src.project import open_engine, open_project
from src.remote import Remote
from src.workers import staging_folder

MAIL = "asa.oneill@example.com"
ORDER, OTHERS = "7305518,2024-01-01,10,1\n", "order_id,day,amount,updated\n1,2024-01-01,10,1\n2,2024-01-02,20,1\n"


def forgotten(lake: Lake, *values: str) -> list[Outside]:
    with open_project(lake.settings) as project:
        return forget(project, [Value(value) for value in values])


def test_a_log_loses_the_lines_in_their_places_and_who_appends_to_it_loses_none(lake: Lake) -> None:
    logs = lake.root / "logs"
    logs.mkdir()
    theirs = f"2026-11-30 10:00:00.000 | ERROR | cannot read {MAIL.upper()}\n"
    (logs / "app.log").write_text(f"2026-11-30 09:59:00 | INFO | a\n{theirs}Traceback\n  {MAIL}\nlast")
    line = json.dumps({"time": "2026-11-29T10:00:00Z", "message": f"cannot read {MAIL} in a long line of text"})
    (logs / "app.2026-11-29.log").write_text(line + "\n")
    with gzip.open(logs / "cron.2026-11-28.log.gz", "wt") as packed:
        packed.write(f"a\n{MAIL} is refused\nb\n")
    with (logs / "app.log").open("a") as shell:
        assert forgotten(lake, MAIL) == [Outside("logs", 3, "4 lines overwritten")]
        shell.write(" line\n")
    stamped = "2026-11-30 10:00:00.000 forgotten".ljust(len(theirs) - 1)
    assert (logs / "app.log").read_text() == (
        f"2026-11-30 09:59:00 | INFO | a\n{stamped}\nTraceback\n{'forgotten'.ljust(len(MAIL) + 2)}\nlast line\n"
    )
    rotated = (logs / "app.2026-11-29.log").read_text()
    assert json.loads(rotated) == {"time": "2026-11-29T10:00:00Z", "message": "forgotten"}
    assert len(rotated) == len(line) + 1
    packed_text = gzip.decompress((logs / "cron.2026-11-28.log.gz").read_bytes()).decode()
    assert packed_text == f"a\n{'forgotten'.ljust(len(MAIL) + 11)}\nb\n"
    assert forgotten(lake, MAIL) == []


def test_what_can_be_made_again_goes_and_a_saved_query_is_named(lake: Lake) -> None:
    held = {
        "reports/2026-11-30.html": f"<p>{MAIL}</p>",
        "catalogue/table.html": MAIL,
        ".known/progress-1.json": f'{{"stat:{MAIL}.csv": 1}}',
        ".page/queries.json": f'[{{"sql": "select 1 where mail = \'{MAIL}\'"}}]',
        "landing/shop/orders/.day@20260101T000000000000Z.memory.gz": "",
        ".spill/duckdb_temp_block-7.block": "rows",
        "reports/2026-11-29.html": "<p>nobody</p>",
    }
    for name, text in held.items():
        (lake.data / name).parent.mkdir(parents=True, exist_ok=True)
        (lake.data / name).write_bytes(gzip.compress(MAIL.encode()) if name.endswith(".gz") else text.encode())
    lake.environ["STAGING_DIR"] = str(lake.root / "shared")
    staged = staging_folder(lake.settings)
    (staged / "1").mkdir(parents=True)
    (staged / "1" / "part-0.parquet").write_text("rows", encoding="utf-8")
    used = lake.data / ".spill/duckdb_temp_block-8.block"
    with used.open("w"):
        done = forgotten(lake, MAIL)
    assert used.exists()
    assert done == [
        Outside("left by killed processes in .spill", 1, "removed"),
        Outside(f"left by killed processes in {staged.name}", 1, "removed"),
        Outside(".known", 1, "removed"),
        Outside("catalogue", 1, "removed"),
        Outside("reports", 1, "removed"),
        Outside("what pulls remember", 1, "removed"),
        Outside(".page/queries.json", 1, "holds a value", is_left=True),
    ]
    left = {name for name in held if (lake.data / name).exists()}
    assert left == {".page/queries.json", "reports/2026-11-29.html"}
    assert list(staged.iterdir()) == []


# -- backups


def clock(day: int) -> Callable[[], datetime]:
    """A clock that starts on a day of March 2026, the second being a Monday, and moves a second with every look."""
    moments = (datetime(2026, 3, day, 6, tzinfo=UTC) + timedelta(seconds=at) for at in range(10_000))
    return lambda: next(moments)


def renewed(lake: Lake, remote: Remote, value: str) -> Renewed:
    with open_engine(lake.settings) as engine:
        return backups.renew(engine, lake.settings, remote, [Value(value)], clock(4), lake.data / ".spill")


def held(lake: Lake, value: str) -> list[Held]:
    remote = Remote(str(lake.root / "backups"))
    with open_engine(lake.settings) as engine:
        return backups.holding(engine, lake.settings, remote, [Value(value)], lake.data / ".spill")


@pytest.fixture(name="shop")
def _shop(lake: Lake) -> Lake:
    """A lake of which a backup has an order that the lake has no more."""
    lake.shop().land("shop/orders/1.csv", OTHERS + ORDER)
    lake.good()
    with open_engine(lake.settings) as engine:
        backup.run(engine, lake.settings, Remote(str(lake.root / "backups")), clock(2))
    return lake


class TornError(Exception):
    """The process ends here."""


class Torn(Remote):
    """A remote at which whoever removes a file is killed."""

    def delete(self, names: Collection[str], subfolder: str) -> None:
        if names and subfolder == archive.FILES:
            raise TornError
        super().delete(names, subfolder)


class Rotting(Remote):
    """A remote at which a file rots once all were compared with what was read."""

    def put(self, names: Collection[str], folder: Path, subfolder: str, *, afresh: bool = False) -> None:
        super().put(names, folder, subfolder, afresh=afresh)
        if subfolder == archive.MANIFESTS:
            newest = max(
                (Path(self.path) / archive.FILES).rglob("*"), key=lambda path: (path.is_file(), path.stat().st_mtime)
            )
            newest.write_bytes(newest.read_bytes()[:-1] + b"!")


@pytest.mark.long
def test_nothing_is_removed_before_the_new_backup_was_drilled(shop: Lake) -> None:
    remote = Remote(str(shop.root / "backups"))
    [before] = archive.listed(remote)
    shop.data.rename(shop.root / "of-before")
    shop.land("shop/orders/1.csv", OTHERS)
    shop.good()
    with pytest.raises(DataError, match="damaged"):
        renewed(shop, Rotting(remote.path), "7305518")
    assert before in archive.listed(remote)


def test_backups_that_hold_a_value_are_named_and_made_anew_though_killed_half_way(shop: Lake) -> None:
    [found] = held(shop, "7305518")
    assert "bronze.shop.orders" in found.tables and "silver.shop.orders" in found.tables and found.objects > 1
    assert (found.made.date(), found.until) == (date(2026, 3, 2), date(2026, 3, 9))
    remote = Remote(str(shop.root / "backups"))
    with pytest.raises(DataError, match="the newest backup holds a value"):
        renewed(shop, remote, "7305518")
    before = archive.listed(remote)
    shop.data.rename(shop.root / "of-before")
    shop.land("shop/orders/1.csv", OTHERS)
    shop.good()
    with pytest.raises(TornError):
        renewed(shop, Torn(remote.path), "7305518")
    assert len(archive.listed(remote)) == 1  # the new one: there is never none
    done = renewed(shop, remote, "7305518")
    assert archive.listed(remote) == [done.backup] and done.backup not in before
    assert held(shop, "7305518") == []
    named = archive.read(remote, [done.backup])[done.backup].objects
    files = (path for path in (shop.root / "backups/files").rglob("*") if path.is_file())
    assert {f"{path.parent.name}/{path.name}" for path in files} == set(named)
    with open_engine(shop.settings) as engine:
        target = shop.root / "again"
        tables = restore.execute(engine, remote, restore.plan(remote, target, None), target, clock(5))
    assert tables["silver.shop.orders"].rows == 2


def test_a_person_is_nowhere_in_lake_logs_and_backups_once_all_was_typed(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    shop_of_customers(lake, landed=True)
    assert lake.command("backup") == 0
    (lake.root / "logs").mkdir(exist_ok=True)
    (lake.root / "logs/app.log").write_text("2026-03-02 ERROR ada@example.org is refused\n2026-03-02 INFO done\n")
    (lake.data / "reports").mkdir()
    (lake.data / "reports/2026-03-02.md").write_text("new value: email (ada.new@example.org)")
    capsys.readouterr()
    assert lake.command("forget", *FORGET) == 0
    printed = capsys.readouterr().out
    assert "logs: 1 files, 1 lines overwritten" in printed and "reports: 1 files, removed" in printed
    assert "holds them in 5 tables, and goes on " in printed
    assert lake.command("forget", *FORGET, "--backups") == 0
    assert "holds nothing of them; 1 backups of before went" in capsys.readouterr().out
    values = [Value(text) for text in ("ada@example.org", "ada.new@example.org", "178501785")]
    everywhere = [lake.root / name for name in ("data", "logs", "backups")]
    with open_engine(lake.settings) as engine:
        assert search(engine, values, everywhere, lake.root / "spill").findings == ()
    run = lake.good()
    assert [record.records_read for record in run.records if record.layer == "bronze"] == [0, 0]
