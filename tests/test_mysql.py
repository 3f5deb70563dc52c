"""A table of MariaDB, which speaks as MySQL does, becomes silver, value by value, and stays so as rows change."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import databases
import pytest
from conftest import Lake
from databases import KEYS, ORDERS, READER, Server, contract, differences, is_over, landed, pulled

from src.errors import BoathouseError

ID = "\n      - {name: id, logicalType: integer, primaryKey: true}\n"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with databases.mariadb() as made:
        yield made


@pytest.fixture
def shop(lake: Lake, server: Server) -> Lake:
    """A project whose contracts read a database that is empty."""
    server.do("CREATE OR REPLACE DATABASE shop CHARACTER SET utf8mb4")
    lake.environ.update(server.credentials)
    return lake


VALUES = {  # by type: what is inserted, and as what it arrives in bronze
    "tinyint(1)": ("true", "1"),
    "bigint unsigned": ("18446744073709551615", "18446744073709551615"),
    "decimal(30,10)": ("12345678901234567890.1234567890", "12345678901234567890.1234567890"),
    "float": ("16777217", "16777216"),  # shown with six digits it would be 16777200
    "double": ("0.1e0 + 0.2e0", "0.30000000000000004"),
    "double(9,2)": ("1.5", "1.50"),
    "bit(10)": ("b'1000000001'", "513"),
    "bit(64)": ("18446744073709551615", "18446744073709551615"),
    "binary(4)": ("x'01ff'", "01FF0000"),
    "blob": ("x'00ff'", "00FF"),
    "text": ("'a\"\\n\\\\ é\\t😀 it''s'", "a\"\n\\ é\t😀 it's"),
    "varchar(9) CHARACTER SET latin1": ("'é'", "é"),
    "char(5)": ("'ab'", "ab"),
    "varchar(3)": ("''", ""),
    "enum('é','😀')": ("'😀'", "😀"),
    "set('x','y')": ("'x,y'", "x,y"),
    "json": ('\'{"a": 1.10,\\n "b": "😀"}\'', '{"a":1.10,"b":"😀"}'),
    "datetime(6)": ("'2024-02-29 01:02:03.5'", "2024-02-29 01:02:03.500000"),
    "datetime": ("'2024-02-29 01:02:03'", "2024-02-29 01:02:03"),
    "timestamp(3) NULL": ("'2024-02-29 01:02:03.12'", "2024-02-28 19:32:03.120"),
    "date": ("'0000-00-00'", "0000-00-00"),
    "time(2)": ("'-25:00:01.5'", "-25:00:01.50"),
    "year": ("2024", "2024"),
    "point": ("point(0.1, 2)", "01010000009A9999999999B93F0000000000000040"),
    "uuid": ("'00000000-0000-0000-0000-00000000000a'", "00000000-0000-0000-0000-00000000000a"),
    "inet6": ("'::1'", "::1"),
    "int": ("NULL", None),
}


def test_every_type_arrives_without_loss_and_null_stays_null(shop: Lake, server: Server) -> None:
    columns = {f"c{at}": name for at, name in enumerate(VALUES)}
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SET sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+05:30'")
        cursor.execute(
            "CREATE TABLE `every type` (id int PRIMARY KEY, `a ``b'` int, "
            f"{', '.join(f'{name} {type_}' for name, type_ in columns.items())})"
        )
        cursor.execute(f"INSERT INTO `every type` VALUES (1, 2, {', '.join(value for value, _ in VALUES.values())})")
    properties = ID + "".join(f"      - {{name: {name}, logicalType: string}}\n" for name in columns)
    contract(shop, server, "values", properties, table="every type")
    contract(shop, server, "asked", properties, query="SELECT * FROM `every type` -- all\n")
    shop.good()
    for table in ("values", "asked"):
        [row] = map(json.loads, landed(shop, table))
        assert (row["a `b'"], list(row)[2:]) == (2, list(columns))
        [found] = shop.rows(f"SELECT {', '.join(columns)} FROM bronze.shop.{table}")
        assert dict(zip(VALUES, found, strict=True)) == {name: text for name, (_, text) in VALUES.items()}, table


def test_silver_equals_the_table_whatever_happened_to_its_rows(shop: Lake, server: Server) -> None:
    server.do(
        "CREATE TABLE orders (id int PRIMARY KEY, amount decimal(20,4), note text, updated_at timestamp(6) NOT NULL "
        "DEFAULT current_timestamp(6) ON UPDATE current_timestamp(6), KEY (updated_at))",
        "INSERT INTO orders (id, amount, note) SELECT seq, seq * 1.0001, "
        "CASE seq % 3 WHEN 0 THEN NULL WHEN 1 THEN '' ELSE concat('n', seq) END FROM seq_1_to_40",
    )
    contract(shop, server, "orders", ORDERS, **KEYS)
    shop.good()
    assert differences(shop, server) == []
    with server.connect() as late, late.cursor() as cursor:  # began before a pull, and commits after it
        cursor.execute("BEGIN")
        cursor.execute("UPDATE orders SET amount = -7 WHERE id = 7")
        server.do("UPDATE orders SET amount = -8 WHERE id = 8", "DELETE FROM orders WHERE id IN (5, 15, 25)")
        shop.good()
        assert [row[0] for row in differences(shop, server)] == []
        cursor.execute("COMMIT")
    server.do("INSERT INTO orders (id, amount) VALUES (5, 55)")  # a key that was used before
    assert [row[0] for row in differences(shop, server)] == [7, 5, 7]
    shop.good()
    assert differences(shop, server) == []
    files = sorted(path.name for path in (shop.data / "landing/shop/orders").glob("[!.]*"))
    shop.good()
    server.do("ALTER TABLE orders MODIFY amount decimal(20,2)")  # which changes no updated_at
    shop.good()
    assert differences(shop, server) == []
    assert len(files) + 1 == len(list((shop.data / "landing/shop/orders").glob("[!.]*")))


def test_what_the_server_refuses_says_what_to_do(shop: Lake, server: Server) -> None:
    server.do(
        "CREATE TABLE orders (id int PRIMARY KEY, note longtext, updated_at datetime)",
        "INSERT INTO orders VALUES (1, repeat('é', 600000), NULL)",
        "CREATE OR REPLACE DATABASE other",
    )

    def refusal(**options: Any) -> tuple[str, str]:
        contract(shop, server, "orders", ID, **options)
        error = pulled(shop)
        assert isinstance(error, BoathouseError)
        return error.error_class, str(error)

    incremental = {"mode": "incremental", "cursor": "updated_at"}
    cases: list[tuple[dict[str, Any], str, tuple[str, ...]]] = [
        ({"table": "ordres"}, "contract", ("no table ordres in database shop", "did you mean `orders`?")),
        ({"columns": ["id", "nota"]}, "contract", ("no column nota in shop.orders", "did you mean `note`?")),
        ({"where": "nota = 1"}, "contract", ("Unknown column 'nota'",)),
        ({"query": "SELECT sleep(30) AS a", "budget": "1 s"}, "transient", ()),
        (incremental, "contract", ("updated_at is NULL in rows of shop.orders",)),
        ({"database": "other"}, "auth", ("Access denied", "GRANT SELECT ON orders TO the user")),
        ({"sslmode": "required"}, "contract", ("SSL is required",)),
        ({"port": 9, "budget": "1 s"}, "transient", ()),
    ]
    for options, error_class, texts in cases:
        found_class, message = refusal(**options)
        assert (found_class, [text for text in texts if text not in message]) == (error_class, []), (options, message)
    assert is_over(server, "information_schema.processlist WHERE info LIKE '%sleep(30)%' AND id <> connection_id()")
    server.do("SET GLOBAL max_allowed_packet = 1048576")
    try:
        error_class, message = refusal()
    finally:
        server.do("SET GLOBAL max_allowed_packet = 16777216")
    assert error_class == "data" and "too long for the server to send" in message and "max_allowed_packet" in message
    server.do(f"ALTER USER `{READER}`@'%' IDENTIFIED BY 'changed'")
    error_class, message = refusal()
    assert error_class == "auth" and "correct SOURCE_SHOP_USER or SOURCE_SHOP_PASSWORD" in message
    assert databases.PASSWORD not in message
