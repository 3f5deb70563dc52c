"""A table of PostgreSQL becomes silver, value by value, and stays so as rows change, go and come back."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import databases
import pytest
from conftest import ROOT, Lake
from databases import KEYS, ORDERS, READER, Server, contract, differences, is_over, landed, pulled

from src import alerts
from src.errors import BoathouseError
from src.project import open_project

ID = "\n      - {name: id, logicalType: integer, primaryKey: true}\n"
COUNTED = """
apiVersion: v3.1.0
kind: DataContract
id: silver.stock.counted
version: 1.0.0
status: active
servers: [{server: counted, type: local, path: stock/counted/*.csv, format: csv}]
schema: [{name: counted, properties: [{name: id, logicalType: integer, primaryKey: true}]}]
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with databases.postgres() as made:
        yield made


@pytest.fixture
def shop(lake: Lake, server: Server) -> Lake:
    """A project whose contracts read a database that is empty."""
    server.do("DROP SCHEMA public CASCADE", "CREATE SCHEMA public", "GRANT USAGE ON SCHEMA public TO public")
    lake.environ.update(server.credentials)
    return lake


# -- values

VALUES = {  # by type: what is inserted, and as what it arrives in bronze
    "smallint": ("-32768", "-32768"),
    "bigint": ("9007199254740993", "9007199254740993"),
    "numeric": (
        "12345678901234567890123456789012345678.1234567890",
        "12345678901234567890123456789012345678.1234567890",
    ),
    "numeric(12,2)": ("0.10", "0.10"),
    "numeric(3)": ("'NaN'", "NaN"),
    "real": ("16777217", "1.6777216e+07"),
    "double precision": ("0.1::float8 + 0.2::float8", "0.30000000000000004"),
    "float8": ("'-Infinity'", "-Infinity"),
    "boolean": ("true", "true"),
    "text": ("E'a\"\\n\\\\ é\\t'", 'a"\n\\ é\t'),
    "varchar(9)": ("''", ""),
    "char(4)": ("'ab'", "ab  "),
    "date": ("'2024-02-29'", "2024-02-29"),
    "timestamp": ("'2024-02-29 01:02:03.5'", "2024-02-29T01:02:03.5"),
    "timestamptz": ("'2024-02-29 01:02:03.123456+05:30'", "2024-02-28T19:32:03.123456+00:00"),
    "timestamptz(0)": ("'infinity'", "infinity"),
    "time": ("'01:02:03.25'", "01:02:03.25"),
    "timetz": ("'01:02:03+02'", "01:02:03+02"),
    "interval": ("'1 year 2 mons 3 days 04:05:06.7'", "P1Y2M3DT4H5M6.7S"),
    "bytea": ("'\\x00ff'", "\\x00ff"),
    "json": ("E'{\"a\":\\n1.10}'", '{"a":1.10}'),
    "jsonb": ('\'{"x": 1.10, "y": null}\'', '{"x":1.10,"y":null}'),
    "uuid": ("'00000000-0000-0000-0000-00000000000a'", "00000000-0000-0000-0000-00000000000a"),
    "int[]": ("'{1,null,3}'", "[1,null,3]"),
    "text[][]": ("'{{a,b},{c,d}}'", '[["a","b"],["c","d"]]'),
    "mood": ("'ok'", "ok"),
    "int4range": ("'[1,5)'", "[1,5)"),
    "inet": ("'10.0.0.1/8'", "10.0.0.1/8"),
    "bit(3)": ("b'101'", "101"),
    "xml": ("'<a>1</a>'", "<a>1</a>"),
    "point": ("'(1,2)'", "(1,2)"),
    "unfilled": ("NULL", None),
}


def test_every_type_arrives_without_loss_and_null_stays_null(shop: Lake, server: Server) -> None:
    server.do("CREATE TYPE mood AS ENUM ('sad', 'ok')", "CREATE DOMAIN unfilled AS integer")
    columns = {f"c{at}": name for at, name in enumerate(VALUES)}
    # names that a careless query would trip over
    server.do(
        f'CREATE TABLE "every type" (id int PRIMARY KEY, "a ""b"" %s" text, '
        f"{', '.join(f'{name} {type_}' for name, type_ in columns.items())})",
        f"""INSERT INTO "every type" VALUES (1, 'q', {", ".join(value for value, _ in VALUES.values())})""",
        "ALTER DATABASE shop SET timezone = 'America/New_York'",
        "ALTER DATABASE shop SET intervalstyle = 'postgres_verbose'",
        "ALTER DATABASE shop SET datestyle = 'German'",
    )
    fields = "\n      - {name: id, logicalType: integer, primaryKey: true}\n"
    fields += "".join(f"      - {{name: {name}, logicalType: string}}\n" for name in columns)
    contract(shop, server, "values", fields, table="every type")
    shop.good()
    server.do("ALTER DATABASE shop RESET ALL")
    row = json.loads(landed(shop, "values")[0])
    assert row['a "b" %s'] == "q"
    [found] = shop.rows(f"SELECT {', '.join(columns)} FROM bronze.shop.values")
    assert dict(zip(VALUES, found, strict=True)) == {name: text for name, (_, text) in VALUES.items()}
    assert list(row)[2:] == list(columns)


def test_a_query_lands_whole_and_rows_of_another_order_are_the_same(shop: Lake, server: Server) -> None:
    server.do("CREATE TABLE orders AS SELECT i AS id, i * 1.1 AS amount FROM generate_series(1, 3) AS i")
    query = "SELECT id, amount, 'it''s' AS note FROM orders WHERE amount < 3 -- only the small ones"
    properties = ORDERS[: ORDERS.index("      - {name: updated_at")]
    contract(shop, server, "orders", properties, query=query)
    shop.good()
    server.do("UPDATE orders SET id = id WHERE id = 1")  # which moves it behind the other
    shop.good()
    assert landed(shop, "orders") == [
        '{"id":1,"amount":1.1,"note":"it\'s"}',
        '{"id":2,"amount":2.2,"note":"it\'s"}',
    ]
    assert shop.rows("SELECT status, rows FROM ops.pulls ORDER BY pulled_at") == [("landed", 2), ("same", 2)]


# -- changes


def test_silver_equals_the_table_whatever_happened_to_its_rows(shop: Lake, server: Server) -> None:
    server.do(
        "CREATE TABLE orders (id int PRIMARY KEY, amount numeric(20,4), note text, "
        "updated_at timestamptz NOT NULL DEFAULT clock_timestamp())",
        "INSERT INTO orders SELECT i, i * 1.0001, CASE i % 3 WHEN 0 THEN NULL WHEN 1 THEN '' ELSE 'n' || i END, "
        "clock_timestamp() - (i % 2) * interval '1 day' FROM generate_series(1, 40) AS i",
    )
    contract(shop, server, "orders", ORDERS, **KEYS)
    shop.good()
    assert differences(shop, server) == []
    assert len(landed(shop, "orders")) == 40

    server.do("UPDATE orders SET amount = -1, updated_at = clock_timestamp() WHERE id = 1")
    with server.connect() as late:  # began before a pull, and commits after it
        late.execute("BEGIN; UPDATE orders SET amount = -7, updated_at = now() WHERE id = 7")
        server.do("UPDATE orders SET amount = -8, updated_at = clock_timestamp() WHERE id = 8")
        shop.good()
        late.execute("COMMIT")
    assert [row[0] for row in differences(shop, server)] == [7, 7]
    shop.good()
    assert differences(shop, server) == []

    server.do("DELETE FROM orders WHERE id % 10 = 5")
    shop.good()
    assert differences(shop, server) == []
    assert shop.rows("SELECT count(*) FROM silver.shop.orders") == [(36,)]
    server.do("INSERT INTO orders (id, amount) VALUES (5, 55)")  # a key that was used before
    shop.good()
    assert differences(shop, server) == []

    # a key that comes after a list of keys and goes before the next is in neither
    assert shop.command("pull", "--slice", "deleted") == 0
    server.do("INSERT INTO orders (id) VALUES (100)")
    assert shop.command("pull", "--slice", "changes") == 0
    server.do("DELETE FROM orders WHERE id = 100")
    shop.good()
    assert differences(shop, server) == []

    server.do("ALTER TABLE orders ADD vip boolean NOT NULL DEFAULT false")  # which changes no updated_at
    shop.edit(
        "silver/shop/orders.yaml",
        "      - {name: note",
        "      - {name: vip, logicalType: boolean}\n      - {name: note",
    )
    shop.edit("silver/shop/orders.yaml", "version: 1.0.0", "version: 1.1.0")
    shop.good()
    assert differences(shop, server) == []
    assert shop.rows("SELECT DISTINCT vip FROM silver.shop.orders") == [(False,)]
    assert len(list((shop.data / "landing/shop/orders").glob(".deleted@*"))) == 1

    server.do("DELETE FROM orders WHERE id > 10")
    refused = str(pulled(shop))
    assert "27 of 37 keys of public.orders are gone, more than 50 %" in refused and "maxRemoved: 100 %" in refused
    shop.edit("silver/shop/orders.yaml", '"deletes": "keys"', '"deletes": "keys", "maxRemoved": "100 %"')
    shop.good()
    assert differences(shop, server) == []


@pytest.mark.parametrize(
    ("kind", "first", "second"),
    [
        ("timestamp", "'2020-01-01 10:00'", "'2020-01-01 10:05'"),  # hours behind the server's clock: another zone
        ("date", "'2020-01-01'", "'2020-01-01'"),
        ("bigint", "5000", "4500"),  # numbers are given before a transaction commits
    ],
)
def test_a_cursor_without_a_zone_goes_on_from_the_greatest_value(
    shop: Lake, server: Server, kind: str, first: str, second: str
) -> None:
    server.do(f"CREATE TABLE orders (id int, at {kind} NOT NULL)", f"INSERT INTO orders VALUES (1, {first})")
    contract(shop, server, "orders", ID, mode="incremental", cursor="at")
    shop.good()
    server.do(f"INSERT INTO orders VALUES (2, {second})", "UPDATE orders SET at = at WHERE false")
    shop.good()
    assert shop.rows("SELECT id FROM silver.shop.orders ORDER BY id") == [(1,), (2,)]
    files = len(landed(shop, "orders"))
    shop.good()
    assert len(landed(shop, "orders")) == files  # what is the same lands no second time


def test_a_whole_table_that_replaces_the_last_one_takes_away_what_is_gone(shop: Lake, server: Server) -> None:
    server.do("CREATE TABLE customers AS SELECT i AS id FROM generate_series(1, 9) AS i")
    contract(shop, server, "customers", ID + "    customProperties: [{property: replaces, value: all}]\n")
    shop.good()
    server.do("DELETE FROM customers WHERE id IN (2, 3)", "INSERT INTO customers VALUES (10)")
    shop.good()
    assert [id_ for (id_,) in shop.rows("SELECT id FROM silver.shop.customers ORDER BY id")] == [
        1,
        4,
        5,
        6,
        7,
        8,
        9,
        10,
    ]


def test_the_contract_of_the_page_does_what_the_page_says(shop: Lake, server: Server) -> None:
    server.do(
        "CREATE TABLE orders (id int PRIMARY KEY, amount numeric, updated_at timestamptz NOT NULL DEFAULT now())",
        "INSERT INTO orders VALUES (1, 1.5), (2, 2.5), (3, 3.5)",
        "DROP USER IF EXISTS boathouse",
    )
    page = (ROOT / "docs/databases.md").read_text(encoding="utf-8")
    _, yaml, sql = (block.partition("```")[0] for block in re.split("```(?:yaml|sql)\n", page))
    rights = sql.partition("-- MySQL")[0].replace("...", databases.PASSWORD.replace("'", "''"))
    server.do(
        *(line for line in rights.replace(", public.customers", "").split(";") if "GRANT" in line or "USER" in line)
    )
    place = f"host: 127.0.0.1, port: {server.port}"
    head = "apiVersion: v3.1.0\nkind: DataContract\nid: silver.shop.orders\nversion: 1.0.0\nstatus: active\n"
    shop.write("silver/shop/orders.yaml", head + yaml.replace("host: db.example.com", place))
    del shop.environ["SOURCE_SHOP_USER"]
    shop.good()
    server.do(
        "DELETE FROM orders WHERE id = 2", "UPDATE orders SET amount = 9, updated_at = clock_timestamp() WHERE id = 3"
    )
    shop.good()
    assert shop.rows("SELECT id, amount FROM silver.shop.orders ORDER BY id") == [(1, Decimal("1.5")), (3, Decimal(9))]
    server.do("DROP OWNED BY boathouse", "DROP USER boathouse")


# -- what fails


def test_a_server_that_is_down_holds_no_other_source_up_and_is_asked_again(
    shop: Lake, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server.do("CREATE TABLE orders (id int)", "INSERT INTO orders VALUES (1)")
    contract(shop, server, "orders", ID, budget="1 s", user=READER)
    del shop.environ["SOURCE_SHOP_USER"]
    shop.land("stock/counted/1.csv", "id\n7\n")
    shop.write("silver/stock/counted.yaml", COUNTED)
    server.stop()
    try:
        assert shop.command("run") == 9
    finally:
        server.start()
    assert shop.rows("SELECT id FROM silver.stock.counted") == [(7,)]
    assert shop.rows("SELECT error_class FROM ops.pulls WHERE status = 'failed'") == [("transient",)]
    with open_project(shop.settings) as project:
        incidents = alerts.open_incidents(project.engine, shop.data)
    assert [(one.incident, one.urgency) for one in incidents] == [("pull landing.shop.orders", "P3")]
    shop.good()
    assert shop.rows("SELECT id FROM silver.shop.orders") == [(1,)]
    assert shop.command("sources") == 0
    assert "PostgreSQL 1" in capsys.readouterr().out


def test_what_the_server_refuses_says_what_to_do(shop: Lake, server: Server) -> None:
    server.do(
        "CREATE TABLE orders (id int PRIMARY KEY, note text, updated_at timestamptz, paid date)",
        "INSERT INTO orders VALUES (1, '', NULL, NULL)",
        "CREATE TABLE secret (id int)",
        f'REVOKE pg_read_all_data FROM "{READER}"',
        f'GRANT SELECT ON orders TO "{READER}"',
        "CREATE SEQUENCE numbers",
        f'GRANT ALL ON SEQUENCE numbers TO "{READER}"',
    )

    def refusal(**options: Any) -> tuple[str, str]:
        contract(shop, server, "orders", ID, **options)
        error = pulled(shop)
        assert isinstance(error, BoathouseError)
        return error.error_class, str(error)

    incremental = {"mode": "incremental", "cursor": "updated_at"}
    cases: list[tuple[dict[str, Any], str, tuple[str, ...]]] = [
        ({"table": "ordres"}, "contract", ("no table ordres in database shop", "did you mean `orders`?")),
        ({"table": "secret"}, "auth", ("permission denied for table secret", "GRANT SELECT ON secret TO the user")),
        ({"columns": ["id", "nota"]}, "contract", ("no column nota in public.orders", "did you mean `note`?")),
        ({"where": "nota = 1"}, "contract", ('column "nota" does not exist',)),
        ({"where": "note = 1"}, "contract", ("operator does not exist",)),
        ({"query": "SELECT id, id FROM orders"}, "contract", ("the query gives id more than once", "`AS`")),
        ({"query": "SELECT nextval('numbers')"}, "contract", ("cannot execute nextval() in a read-only transaction",)),
        ({"query": "SELECT pg_sleep(30)", "budget": "1 s"}, "transient", ()),
        ({**incremental}, "contract", ("updated_at is NULL in rows of public.orders", "where: updated_at is not null")),
        ({**incremental, "cursor": "note"}, "contract", ("note is text, which is no cursor", "id, updated_at, paid")),
        ({**incremental, "overlap": 5}, "contract", ("overlap 5, but updated_at is timestamp with", "15 min")),
        ({**KEYS, "cursor": "paid", "where": "paid is not null"}, "contract", ("paid is a date",)),
        ({**KEYS, "cursor": "id", "key": ["no"]}, "contract", ("no column no in public.orders",)),
        ({"database": "shp"}, "contract", ('database "shp" does not exist',)),
        ({"sslmode": "require"}, "contract", ("server does not support SSL",)),
        ({"host": "no.invalid", "budget": "1 s"}, "transient", ()),
    ]
    password = databases.PASSWORD.replace("'", "''")
    try:
        for options, error_class, texts in cases:
            found_class, message = refusal(**options)
            found = [text for text in texts if text not in message]
            assert (found_class, found) == (error_class, []), (options, message)
        assert is_over(server, "pg_stat_activity WHERE application_name = 'boathouse' AND state = 'active'")
        server.do(f"ALTER USER \"{READER}\" PASSWORD 'changed'")
        error_class, message = refusal()
    finally:
        server.do(f"ALTER USER \"{READER}\" PASSWORD '{password}'", f'GRANT pg_read_all_data TO "{READER}"')
    assert error_class == "auth" and "correct SOURCE_SHOP_USER or SOURCE_SHOP_PASSWORD" in message
    assert databases.PASSWORD not in message
    assert server.rows("SELECT last_value, is_called FROM numbers") == [(1, False)]


def test_a_table_that_another_holds_is_tried_again_later(shop: Lake, server: Server) -> None:
    server.do("CREATE TABLE orders (id int)")
    contract(shop, server, "orders", ID, budget="2 s")
    with server.connect() as other:
        other.execute("BEGIN; ALTER TABLE orders ADD note text")
        error = pulled(shop)
    assert isinstance(error, BoathouseError) and error.error_class == "transient"


def test_a_pull_that_is_killed_leaves_nothing_and_the_next_one_has_it_all(shop: Lake, server: Server) -> None:
    server.do("CREATE TABLE orders AS SELECT i AS id, md5(i::text) AS note FROM generate_series(1, 20000) AS i")
    slow = "SELECT id, CASE WHEN id > 15000 THEN pg_sleep(1)::text ELSE note END AS note FROM orders"
    contract(shop, server, "orders", ID, query=slow)
    settings = "\n".join(f"{name}='{value}'" for name, value in {"SETTLE_SECONDS": "0"}.items())
    (shop.root / ".env").write_text(settings + "\n", encoding="utf-8")
    command = [sys.executable, str(ROOT / "main.py"), "pull", "--project", str(shop.root)]
    process = subprocess.Popen(command, env={**os.environ, **shop.environ}, stderr=subprocess.DEVNULL)
    folder = shop.data / "landing/shop/orders"
    while not any(path.stat().st_size for path in folder.glob(".pull-*") if path.is_file()):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert [path.name for path in folder.iterdir() if not path.name.startswith(".")] == []
    contract(shop, server, "orders", ID, query="SELECT id, note FROM orders")
    shop.good()
    assert shop.rows("SELECT count(*), min(id), max(id) FROM silver.shop.orders") == [(20000, 1, 20000)]
    assert list(folder.glob(".pull-*")) == []


MEMORY = """
import os, re, sys
from datetime import UTC, date, datetime
from pathlib import Path
from src.contract import Feed, Source
from src.landing.pull import Stage, pull
from src.settings import load
query = "SELECT i AS id, repeat(md5(i::text), 31) AS note FROM generate_series(1, 60000) AS i"
source = {"host": "127.0.0.1", "port": int(sys.argv[2]), "database": "shop", "query": query}
feed = Feed("shop", "orders", "shop/orders/*.ndjson", "ndjson", source=Source("postgres", "shop", source))
pulls = []
pull(Stage(load(Path(sys.argv[1]), os.environ), lambda: datetime.now(UTC), date.today()), feed, pulls)
most = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
print(pulls[0].rows, pulls[0].bytes >> 20, int(most[1]) >> 10)
"""


def test_memory_does_not_grow_with_the_table(shop: Lake, server: Server) -> None:
    environ = {**os.environ, **shop.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", MEMORY, str(shop.root), str(server.port)]
    ran = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    rows, megabytes, peak = map(int, ran.stdout.split())
    assert (rows, megabytes) == (60000, 58)
    assert peak < 100
