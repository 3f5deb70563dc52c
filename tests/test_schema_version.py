"""A changed contract needs its bump; the stored table says its version, and the tags can be compared and fixed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from conftest import ROOT, Lake

from src import contract
from src import lake as delta
from src.errors import ContractError, LockedError
from src.maintenance import schema_version
from src.run import lock

SILVER, MART = "silver/shop/orders.yaml", "gold/shop/contract.yaml"
TABLES = ("silver.shop.orders", "gold.shop.daily")
NOTE = "      - {name: note, logicalType: string}\n    customProperties:\n"
NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop whose file has one column more than its contract."""
    made = Lake(tmp_path_factory.mktemp("built")).shop()
    made.land("shop/orders/1.csv", "order_id,day,amount,updated,note\n1,2024-01-01,10,1,red\n1,2024-01-02,20,2,blue\n")
    made.good()
    return made.root


def stored(lake: Lake, table_id: str) -> delta.Snapshot:
    found = delta.open_table(delta.table_path(lake.data, table_id))
    assert found is not None
    return found


def versions(lake: Lake) -> dict[str, str | None]:
    return {state.table.id: state.version for state in states(lake)}


def states(lake: Lake) -> list[schema_version.VersionState]:
    contracts = contract.load(lake.root / "src")
    return schema_version.states(lake.data, [*contracts.silver.values(), *contracts.gold.values()])


def show(lake: Lake, verb: str) -> int:
    return lake.command("schema-version", verb)


def bump(lake: Lake, path: str, version: str) -> None:
    lake.edit(path, "version: 1.0.0", f"version: {version}")


# -- a run


@pytest.mark.parametrize(
    ("old", "new", "version", "change", "needed"),
    [
        ("    customProperties:\n", NOTE, "1.0.0", "a minor change under version 1.0.0: column note added", "1.1.0"),
        ("    customProperties:\n", NOTE, "1.0.1", "a minor change under version 1.0.1: column note added", "1.1.0"),
        (
            "primaryKey: true, primaryKeyPosition: 1",
            "required: true",
            "1.1.0",
            'a major change under version 1.1.0: key ["order_id"] -> []',
            "2.0.0",
        ),
        ("    customProperties:\n", NOTE, "0.9.0", "version 0.9.0 is lower than 1.0.0, which is stored", "1.1.0"),
    ],
)
def test_a_run_refuses_a_bump_that_is_too_small_naming_the_change_and_the_version(
    shop: Lake, old: str, new: str, version: str, change: str, needed: str
) -> None:
    before = stored(shop, "silver.shop.orders")
    shop.edit(SILVER, old, new)
    bump(shop, SILVER, version)
    run = shop.run()
    error = run.failures["silver.shop.orders"]
    assert isinstance(error, ContractError)
    assert change in error.what
    assert (error.fix or "").startswith(f"write `version: {needed}`")
    assert run.blocked == {"gold.shop.daily": ("silver.shop.orders",)}
    assert stored(shop, "silver.shop.orders").version == before.version


def test_a_column_that_is_added_is_filled_from_bronze(shop: Lake) -> None:
    shop.edit(SILVER, "    customProperties:\n", NOTE)
    bump(shop, SILVER, "1.1.0")
    shop.good()
    assert shop.rows("SELECT order_id, note FROM silver.shop.orders") == [(1, "blue")]
    assert versions(shop) == {"silver.shop.orders": "1.1.0", "gold.shop.daily": "1.0.0"}


def test_another_key_builds_the_table_and_those_below_anew(shop: Lake) -> None:
    position = "required: true, partitioned: true, partitionKeyPosition: 1}\n      - {name: amount"
    shop.edit(SILVER, position, "primaryKey: true, primaryKeyPosition: 2, " + position)
    bump(shop, SILVER, "2.0.0")
    shop.good()
    assert shop.rows("SELECT order_id, day FROM silver.shop.orders ORDER BY day") == [
        (1, date(2024, 1, 1)),
        (1, date(2024, 1, 2)),
    ]
    assert shop.rows("SELECT day, orders FROM gold.shop.daily ORDER BY day") == [
        (date(2024, 1, 1), 1),
        (date(2024, 1, 2), 1),
    ]
    assert versions(shop) == {"silver.shop.orders": "2.0.0", "gold.shop.daily": "1.0.0"}


def test_a_mart_is_bumped_by_its_own_contract(shop: Lake) -> None:
    shop.edit(MART, "      - {name: orders, logicalType: integer, physicalType: bigint}\n", "")
    shop.edit("gold/shop/daily.sql", "count(*) AS orders, ", "")
    assert "write `version: 2.0.0`" in str(shop.run().failures["gold.shop.daily"])
    bump(shop, MART, "2.0.0")
    shop.good()
    assert versions(shop) == {"silver.shop.orders": "1.0.0", "gold.shop.daily": "2.0.0"}


def test_a_bump_without_a_change_builds_nothing_and_is_written_on_the_table(shop: Lake) -> None:
    bump(shop, SILVER, "1.2.0")
    run = shop.good()
    assert shop.step(run, "silver.shop.orders").records_written == 0
    assert versions(shop)["silver.shop.orders"] == "1.2.0"


# -- where the version stands


@pytest.mark.parametrize("table_id", TABLES)
def test_every_silver_and_gold_table_says_its_version_to_every_reader(shop: Lake, table_id: str) -> None:
    import duckdb
    import polars
    from deltalake import DeltaTable

    table = DeltaTable(str(delta.table_path(shop.data, table_id)))
    properties = table.metadata().configuration
    assert json.loads(properties["delta.userMetadata"]) == {"version": "1.0.0"}
    assert properties["lakehouse.schemaVersion"] == "1.0.0"
    assert table.to_pyarrow_table().num_rows == 1
    assert polars.read_delta(table.table_uri).height == 1
    assert duckdb.read_parquet(table.file_uris()).fetchall() != []


@pytest.mark.parametrize("table_id", TABLES)
def test_the_commit_that_writes_rows_says_the_version_too(shop: Lake, table_id: str) -> None:
    from deltalake import DeltaTable

    said = [entry.get("userMetadata") for entry in DeltaTable(str(delta.table_path(shop.data, table_id))).history()]
    assert '{"version": "1.0.0"}' in said


def test_the_document_shows_how_each_reader_sees_it(shop: Lake) -> None:
    text = (ROOT / "docs/schema-versions.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    code = shown.replace("data/gold/sales/daily_revenue", "data/gold/shop/daily")
    ran = subprocess.run([sys.executable, "-c", code], cwd=shop.root, capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines() == ['{"version": "1.0.0"}', "1", "(1, 2)", '{"version": "1.0.0"}']


def test_deltalake_sets_the_property_only_when_told_not_to_mind(shop: Lake) -> None:
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    alter = DeltaTable(str(delta.table_path(shop.data, "gold.shop.daily"))).alter
    with pytest.raises(DeltaError, match="userMetadata"):
        alter.set_table_properties({"delta.userMetadata": '{"version": "1.0.0"}'})


# -- list, verify, retag


def test_a_lake_as_its_contracts_say_is_verified(shop: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    assert show(shop, "verify") == 0
    assert capsys.readouterr().out == "2 tables verified: each says the version its rows were built under\n"
    assert [state.drift for state in states(shop)] == ["", ""]


def test_a_table_that_is_not_built_is_listed_and_no_error(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    lake.shop()
    assert show(lake, "verify") == 0
    capsys.readouterr()
    assert show(lake, "list") == 0
    listed = [line.split() for line in capsys.readouterr().out.splitlines()[2:]]
    assert listed == [[table, "1.0.0", "not", "built", "yet", "make", "pipeline"] for table in TABLES]


@pytest.mark.parametrize(
    ("version", "drift", "fix"),
    [
        ("1.1.0", "contract 1.0.0 -> 1.1.0: column note added", "make pipeline"),
        ("1.0.0", "a minor change under version 1.0.0: column note added", "write `version: 1.1.0`, or take the cha"),
        ("0.9.0", "version 0.9.0 is lower than 1.0.0, which is stored", "write `version: 1.1.0`"),
    ],
)
def test_a_contract_that_moved_on_is_told_with_its_changes_and_not_retagged(
    shop: Lake, capsys: pytest.CaptureFixture[str], version: str, drift: str, fix: str
) -> None:
    shop.edit(SILVER, "    customProperties:\n", NOTE)
    bump(shop, SILVER, version)
    before = stored(shop, "silver.shop.orders").version
    assert show(shop, "verify") == 1
    told = capsys.readouterr().out
    assert drift in told
    assert fix in told
    assert "gold.shop.daily" not in told
    assert show(shop, "retag") == 0
    assert capsys.readouterr().out == "0 changed\n"
    assert stored(shop, "silver.shop.orders").version == before


@pytest.mark.parametrize(
    "wrong",
    [
        {"delta.userMetadata": ""},
        {"delta.userMetadata": '{"version": "9.9.9"}'},
        {"delta.userMetadata": "", "lakehouse.schemaVersion": "", "lakehouse.logic": ""},
        {"lakehouse.schemaVersion": "one"},
        {"lakehouse.logic": "{"},
        {"lakehouse.logic": '{"columns": []}'},
    ],
)
@pytest.mark.parametrize("table_id", TABLES)
def test_retag_fixes_tags_that_were_taken_away_or_overwritten(
    shop: Lake, table_id: str, wrong: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = stored(shop, table_id)
    stripped = delta.set_properties(before, wrong)
    assert show(shop, "verify") == 1
    assert ", ".join(wrong) in capsys.readouterr().out
    assert show(shop, "retag") == 0
    assert capsys.readouterr().out == f"{table_id}: tags written\n"
    fixed = stored(shop, table_id)
    assert fixed.properties == before.properties
    assert (fixed.version, fixed.files) == (stripped.version + 1, before.files)
    assert show(shop, "verify") == 0
    show(shop, "retag")
    assert capsys.readouterr().out.endswith("0 changed\n")


def test_a_version_that_goes_down_is_not_written_on_the_table(shop: Lake) -> None:
    bump(shop, SILVER, "0.9.0")
    assert show(shop, "verify") == 1
    state = states(shop)[0]
    assert (state.drift, state.fix) == (
        "version 0.9.0 is lower than 1.0.0, which is stored",
        "write `version: 1.0.0`",
    )
    show(shop, "retag")
    assert versions(shop)["silver.shop.orders"] == "1.0.0"


def test_rows_of_other_logic_than_the_tags_say_are_for_the_next_run(shop: Lake) -> None:
    shop.edit(SILVER, "    customProperties:\n", NOTE)
    bump(shop, SILVER, "1.1.0")
    table = contract.load(shop.root / "src").silver["silver.shop.orders"]
    delta.set_properties(stored(shop, table.id), contract.tags(table))
    assert show(shop, "verify") == 1
    state = states(shop)[0]
    assert (state.drift, state.fix) == ("contract 1.1.0 -> 1.1.0: the last rebuild did not finish", "make pipeline")
    shop.good()
    assert show(shop, "verify") == 0


def test_retag_waits_for_no_run_and_names_the_one_that_goes(shop: Lake) -> None:
    delta.set_properties(stored(shop, "silver.shop.orders"), {"delta.userMetadata": ""})
    with (
        lock.lock_lake(shop.data, command="make pipeline", run_id="r1", now=NOW),
        pytest.raises(LockedError, match="another run is going: make pipeline"),
    ):
        show(shop, "retag")
    assert show(shop, "list") == 0
    assert show(shop, "retag") == 0


def test_retag_records_the_run_that_it_finds_dead(shop: Lake) -> None:
    holder = lock.Holder(1, "here", "2026-01-01T00:00:00+00:00", "make pipeline", "gone")
    (shop.data / ".holder.json").write_text(json.dumps(vars(holder)))
    show(shop, "retag")
    assert shop.rows("SELECT run_id, error_class FROM ops.pipeline_runs WHERE status = 'failed'") == [
        ("gone", "interrupted")
    ]


@pytest.mark.parametrize(("words", "code"), [((), 0), (("verify",), 0), (("retage",), 2)])
def test_the_command_lists_verifies_and_refuses_other_verbs(lake: Lake, words: tuple[str, ...], code: int) -> None:
    lake.shop()
    ran = lake.typed("schema-version", *words)
    assert ran.returncode == code, ran.stderr
    assert ("gold.shop.daily" in ran.stdout) == (words == ())
    assert not lake.data.exists()
