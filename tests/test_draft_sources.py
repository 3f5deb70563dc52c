"""A source is asked and its contract drafted, and that of a mart from its SQL: they run without a line by hand."""

from __future__ import annotations

from pathlib import Path

import databases
import pytest
from conftest import Lake
from fake_api import Reply, api

from src.errors import ContractError, ContractErrors, UsageError

BOATS = [{"id": 1, "name": "Otter", "length": 7.50}, {"id": 2, "name": "Heron", "length": 6.25}]
HEADER = "order_id,day,amount,updated\n"


def drafted(lake: Lake, source: str, table: str) -> str:
    """The contract that is written of a source."""
    assert lake.command("draft", "--source", source, "--table", table) == 0
    return (lake.root / "src/silver" / f"{table.replace('.', '/')}.yaml").read_text()


@pytest.fixture
def empty(lake: Lake) -> Lake:
    """A project without any contract."""
    for layer in ("silver", "gold"):
        (lake.root / "src" / layer).mkdir(parents=True, exist_ok=True)
    return lake


def test_an_api_that_is_asked_for_all_becomes_a_table_without_a_line_by_hand(empty: Lake) -> None:
    empty.environ["SOURCE_HARBOUR_TOKEN"] = "swordfish"
    with api(lambda request: Reply({"data": {"items": BOATS}})) as server:
        source = f"connector: rest, url: '{server.url}/boats', slice: all, auth: bearer, rows: data.items"
        text = drafted(empty, source, "harbour.boats")
        assert "property: replaces, value: all" in text
        assert "swordfish" not in text
        empty.good()
        assert empty.rows("SELECT id, name, length::VARCHAR FROM silver.harbour.boats ORDER BY 1") == [
            (1, "Otter", "7.50"),
            (2, "Heron", "6.25"),
        ]
        server.answer = lambda request: Reply({"data": {"items": BOATS[:1]}})
        assert empty.step(empty.good(), "silver.harbour.boats").removed == 1
        assert empty.rows("SELECT id FROM silver.harbour.boats") == [(1,)]
        server.answer = lambda request: Reply({"data": {"items": [{**BOATS[1], "name": "Egret"}]}})
        again = ["--source", source, "--table", "harbour.boats", "--force"]
        assert empty.command("draft", *again) == 0  # the newest answer alone says what the table holds
        assert empty.rows("SELECT id FROM silver.harbour.boats") == [(1,)]


def test_a_table_of_a_database_is_drafted_with_what_goes_with_its_mode(empty: Lake) -> None:
    with databases.postgres() as server:
        empty.environ.update(server.credentials)
        server.do(
            "CREATE TABLE orders (id int PRIMARY KEY, amount numeric(9,2), updated_at timestamptz DEFAULT now())",
            "INSERT INTO orders (id, amount) SELECT n, n + 0.5 FROM generate_series(1, 30) n",
        )
        source = f"connector: postgres, name: shop, host: 127.0.0.1, port: {server.port}, database: shop, table: orders"
        text = drafted(empty, f"{source}, mode: incremental, cursor: updated_at, deletes: keys", "sales.orders")
        said = [line.partition("  #")[0].strip() for line in text.splitlines() if "- {property: " in line]
        assert [line for line in said if "source" not in line] == [
            "- {property: sequenceBy, value: updated_at}",
            "- {property: onConflict, value: last}",
            "- {property: deleteWhen, value: deleted}",
        ]
        assert "property: replaces, value: all" in drafted(empty, f"{source}, mode: full", "sales.all_orders")
        empty.good()
        server.do("DELETE FROM orders WHERE id = 3", "UPDATE orders SET amount = 9, updated_at = now() WHERE id = 4")
        empty.good()
        wanted = [(29, "481.00")]
        for table in ("orders", "all_orders"):
            assert empty.rows(f"SELECT count(*), sum(amount)::VARCHAR FROM silver.sales.{table}") == wanted


def test_files_elsewhere_are_brought_and_drafted(empty: Lake, tmp_path: Path) -> None:
    (tmp_path / "outbox").mkdir()
    (tmp_path / "outbox/1.csv").write_text(HEADER + "1,2024-01-01,10,1\n2,2024-01-02,20,1\n")
    text = drafted(empty, f"connector: files, remote: '{tmp_path}/outbox/*.csv', minAge: 0 min", "shop.orders")
    assert "path: shop/orders/*.csv" in text
    empty.good()
    assert empty.rows("SELECT count(*) FROM silver.shop.orders") == [(2,)]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--table", "shop.orders"], "--source and --table go together"),
        (["--source", "connector: rest"], "--source and --table go together"),
        (["--source", "connector: rest, url: [", "--table", "shop.orders"], "cannot be read"),
        (["--source", "connector: rest, url: x", "--table", "orders"], "no table orders"),
        (["--source", "connector: post, url: x", "--table", "shop.orders"], "no connector post"),
    ],
)
def test_a_source_that_is_not_written_whole_is_told_what_to_write(empty: Lake, words: list[str], found: str) -> None:
    with pytest.raises((UsageError, ContractErrors), match=found):
        empty.command("draft", *words)
    assert not list((empty.root / "src/silver").rglob("*.yaml"))


def test_a_contract_that_is_there_is_not_asked_for_again(empty: Lake) -> None:
    empty.shop()
    with api() as server, pytest.raises(UsageError, match="is there already"):
        drafted(empty, f"connector: rest, url: '{server.url}', slice: all", "shop.orders")
    assert server.asked == []


# -- marts


def test_the_contract_of_a_mart_is_drafted_from_its_sql_and_runs_as_it_is(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n2,2024-01-01,20,1\n3,2024-01-02,5,1\n")
    lake.good()
    lake.write(
        "gold/takings/daily.sql",
        "SELECT day, count(*) AS orders, cast(sum(amount) AS decimal(18, 2)) AS amount, max(updated) AS newest\n"
        "FROM silver.shop.orders GROUP BY day",
    )
    folder = lake.root / "src/gold/takings"
    assert lake.command("draft", str(folder)) == 0
    shown = capsys.readouterr().out
    assert "gold.takings.daily: 2 rows, over silver.shop.orders" in shown
    assert "key: day" in shown
    text = (folder / "contract.yaml").read_text()
    assert [line.strip() for line in text.splitlines() if "- {name:" in line] == [
        "- {name: day, logicalType: date, primaryKey: true}",
        "- {name: orders, logicalType: integer, required: true}",
        '- {name: amount, logicalType: number, physicalType: "decimal(18,2)", required: true}',
        "- {name: newest, logicalType: integer, physicalType: integer, required: true}",
    ]
    lake.good()
    assert lake.rows("SELECT orders, amount::VARCHAR FROM gold.takings.daily ORDER BY day") == [
        (2, "30.00"),
        (1, "5.00"),
    ]
    with pytest.raises(UsageError, match="is there already"):
        lake.command("draft", str(folder))


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("SELECT sum(order_id) AS n FROM silver.shop.orders", "of a type that no contract names"),
        ("SELECT nothing FROM silver.shop.orders", "nothing"),
        ("SELECT 1 AS n FROM silver.shop.ordres", "no table silver.shop.ordres"),
    ],
)
def test_sql_that_no_contract_fits_is_told_with_its_file(lake: Lake, sql: str, found: str) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n")
    lake.good()
    path = lake.write("gold/takings/daily.sql", sql)
    with pytest.raises((ContractError, UsageError), match=found) as caught:
        lake.command("draft", str(path.parent))
    assert caught.value.where == str(path)
    assert not path.with_name("contract.yaml").exists()
    path.unlink()
