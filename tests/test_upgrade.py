"""A table says its format: a later one is refused by every command, an older one is worked on and can be upgraded."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Lake, short
from test_golden_lakes import BUILT, assert_goes_on, assert_nothing_to_do, contents, files
from test_golden_lakes import golden as golden
from test_schema_version import NOW

import main
from src import __version__, catalog, commands
from src import lake as delta
from src.errors import LockedError, MachineError, UsageError
from src.lake import formats
from src.maintenance import upgrade
from src.project import open_project
from src.run import lock, releases
from src.run.kinds import RunKind
from src.run.recorded import recorded_run
from src.settings import Settings, Tombstone

LATER = {"lakehouse.format": "7", "lakehouse.formatSince": "0.9.0"}
REFUSED = f"the table is in format 7; Boathouse {__version__} reads formats up to {delta.FORMAT}"
# every command that reads or writes the lake, with what it cannot do without
ARGUMENTS = {
    "alerts": ["list"],
    "backfill": ["--table", "silver.shop.orders", "--where", "true"],
    "branch": ["create", "tax"],
    "checklist": ["morning"],
    "confirm": ["--table", "bronze.shop.orders", "--day", "2024-01-01", "--reason", "holiday"],
    "describe": ["silver.shop.orders"],
    "forget": ["--list"],
    "explain": ["silver.shop.orders", "--where", "true"],
    "preview": ["silver.shop.orders"],
    "quarantine": ["list"],
    "query": ["SELECT 1"],
    "rebuild": ["--table", "silver.shop.orders"],
    "rollback": ["--to", "run"],
}
NO_LAKE = {"adopt", "docs", "draft", "init", "jobs", "rotate-logs", "schedule", "schema-version", "test", "tests"}
NO_LAKE |= {"page"}  # it says so in the browser (tests/page/test_server.py), and would not end


def opened(lake: Lake) -> dict[str, delta.Snapshot]:
    return {name: table for name, root in catalog.tables(lake.data).items() if (table := delta.open_table(root))}


def set_format(lake: Lake, table_id: str, said: dict[str, str]) -> None:
    """What another version of Boathouse would do: this process has not read the table yet."""
    root = delta.table_path(lake.data, table_id)
    table = delta.open_table(root)
    assert table is not None
    delta.set_properties(table, said)
    delta.forget(root)


def typed(lake: Lake, *words: str) -> int:
    return main.main(["--project", str(lake.root), *words])


# -- the format of a table


def test_every_table_that_is_written_says_its_format(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", "order_id,day,amount,updated\n1,2024-01-01,10,1\nx,2024-01-01,10,1\n")
    lake.edit(
        "silver/shop/orders.yaml", "[updated]}\n", "[updated]}\n      - {property: deleteWhen, value: amount = 0}\n"
    )
    lake.good()
    typed(lake, "health")
    assert typed(lake, "backup") == 0
    tables = opened(lake)
    assert {name.partition(".")[0] for name in tables} == {"bronze", "silver", "gold", "quarantine", "deletions", "ops"}
    assert {table.format for table in tables.values()} == {delta.FORMAT}
    said = {table.properties["lakehouse.formatSince"] for table in tables.values()}
    assert said == {"0.2.0"}
    lake.edit("silver/shop/orders.yaml", ", partitioned: true, partitionKeyPosition: 1", "")
    lake.edit("silver/shop/orders.yaml", "version: 1.0.0", "version: 2.0.0")
    lake.good()  # a table that is replaced, as its partitions change
    assert opened(lake)["silver.shop.orders"].format == delta.FORMAT


def test_the_run_records_which_version_ran(lake: Lake) -> None:
    lake.shop().good()
    assert lake.rows("SELECT DISTINCT product_version FROM ops.pipeline_runs WHERE layer = 'run'") == [(__version__,)]


def test_the_migrations_lead_to_the_format_of_this_release_one_by_one() -> None:
    assert [migration.format for migration in upgrade.MIGRATIONS] == list(range(1, delta.FORMAT + 1))
    assert len({migration.name for migration in upgrade.MIGRATIONS}) == len(upgrade.MIGRATIONS)
    for migration in upgrade.MIGRATIONS:
        assert formats.stamp(migration.format)["lakehouse.format"] == str(migration.format)


# -- a setting of an earlier release


def test_a_setting_that_was_renamed_is_a_warning_of_every_command_and_stops_none(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lake.shop()
    (lake.root / ".env").write_text("SETTLE=0\n")
    assert typed(lake, "plan") == UsageError.exit_code
    monkeypatch.setattr(Settings, "tombstones", {"SETTLE": Tombstone("SETTLE_SECONDS", "0.3.0", "it is in seconds")})
    for command in ("plan", "run"):
        capsys.readouterr()
        assert typed(lake, command) == 0
        told = capsys.readouterr()
        assert "SETTLE is SETTLE_SECONDS since 0.3.0: it is in seconds" in told.err
        assert "SETTLE" not in told.out
    assert "WARNING" in next(line for line in (lake.root / "logs/app.log").read_text().splitlines() if "SETTLE" in line)
    (lake.root / ".env").unlink()


# -- a later format


def test_every_command_refuses_a_lake_of_a_later_format_with_one_error(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    lake.environ["BROKEN_ON_PURPOSE"] = "1"
    lake.shop().good()
    set_format(lake, "ops.pipeline_runs", LATER)
    refused = set(commands.names()) - NO_LAKE
    assert {"run", "plan", "status", "health", "query", "check", "repair", "upgrade", "optimize", "vacuum"} <= refused
    for command in sorted(refused - {"restore"}):  # which is about an empty lake
        capsys.readouterr()
        assert typed(lake, command, *ARGUMENTS.get(command, [])) == MachineError.exit_code, command
        told = capsys.readouterr().err
        assert told.count(REFUSED) == 1, command
        assert "upgrade Boathouse to 0.9.0 or later" in told, command


def test_a_single_table_of_a_later_format_is_not_read_and_no_run_releases_it(lake: Lake) -> None:
    lake.environ["BROKEN_ON_PURPOSE"] = "1"
    lake.shop()
    lake.land("shop/orders/1.csv", "order_id,day,amount,updated\n1,2024-01-01,10,1\n")
    lake.good()
    set_format(lake, "silver.shop.orders", LATER)
    for act in (lambda: lake.rows("SELECT count(*) FROM silver.shop.orders"), lake.run):
        with pytest.raises(delta.NewerFormat, match="format 7"):
            act()
    assert lake.rows("SELECT count(*) FROM gold.shop.daily") == [(1,)]
    failed = lake.rows("SELECT layer, error_fix FROM ops.pipeline_runs WHERE status = 'failed'")
    assert failed == [("silver", "upgrade Boathouse to 0.9.0 or later")]


@pytest.mark.parametrize("text", ["one", "", "-1", "1.5"])
def test_a_format_that_is_no_number_is_damage(lake: Lake, text: str) -> None:
    lake.environ["BROKEN_ON_PURPOSE"] = "1"
    lake.shop().good()
    set_format(lake, "ops.pipeline_runs", {"lakehouse.format": text})
    with pytest.raises(MachineError, match=f"damaged table: lakehouse.format is '{text}'"):
        lake.rows("SELECT * FROM ops.pipeline_runs")


# -- an older format


def test_a_lake_of_an_earlier_release_is_upgraded_and_nothing_else_changes(
    golden: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, rows = files(golden), contents(golden)
    assert typed(golden, "upgrade") == 0
    assert f"14 tables are in format {delta.FORMAT} now" in capsys.readouterr().out
    assert {table.format for table in opened(golden).values()} == {delta.FORMAT}
    assert (files(golden), contents(golden)) == (before, rows)
    released = releases.newest(golden.data)
    assert {name: released[name] for name in BUILT} == {name: opened(golden)[name].version for name in BUILT}
    assert_nothing_to_do(golden)
    capsys.readouterr()
    assert typed(golden, "upgrade") == 0
    assert capsys.readouterr().out.startswith("0 changed: ")
    assert typed(golden, "check") == 0  # and compared with the backup of before
    assert "every law holds" in capsys.readouterr().out
    assert typed(golden, "backup") == 0
    (tmp_path / "scratch").mkdir()
    assert_goes_on(golden, tmp_path / "scratch")


def test_a_dry_run_says_what_an_upgrade_does_and_changes_nothing(
    golden: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {name: table.version for name, table in opened(golden).items()}
    assert typed(golden, "upgrade", "--dry-run") == 0
    told = capsys.readouterr().out.splitlines()
    assert told[2].split() == ["ops.pipeline_runs", "0", "stamp:", "says", "its", "format", "on", "the", "table"]
    assert told[-2:] == ["14 tables, about 0.4 s; no row changes", "dry run: nothing was changed"]
    assert {name: table.version for name, table in opened(golden).items()} == before


@pytest.mark.parametrize("done", short([1, 7, 5, 10], 2))
def test_an_upgrade_that_was_killed_goes_on_and_runs_in_between_are_right(golden: Lake, done: int) -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        open_project(golden.settings) as project,
        recorded_run(project, RunKind.UPGRADE, "upgrade") as run,
    ):
        upgrade.execute(project, upgrade.plan(project)[:done], run)
        raise KeyboardInterrupt
    before = files(golden)
    assert sum(record.records_written for record in golden.good().steps) == 0
    assert golden.findings() == []
    assert typed(golden, "upgrade") == 0
    assert {table.format for table in opened(golden).values()} == {delta.FORMAT}
    assert files(golden) == before
    assert_nothing_to_do(golden)


def test_an_upgrade_waits_for_no_run_and_names_the_one_that_goes(golden: Lake) -> None:
    with (
        lock.lock_lake(golden.data, command="make pipeline", run_id="r1", now=NOW),
        pytest.raises(LockedError, match="another run is going: make pipeline"),
        open_project(golden.settings) as project,
        recorded_run(project, RunKind.UPGRADE, "upgrade"),
    ):
        pass
    assert typed(golden, "upgrade") == 0
