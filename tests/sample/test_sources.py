"""What docs/sources.md shows is done, in its order, in a copy of the project, with servers that the test starts."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import databases
import pytest
from clone import ROOT, blocks, done_as_shown
from fake_api import Reply, Request, api
from test_files_connector import sftp_server

from src import remote

BLOCKS = blocks((ROOT / "docs/sources.md").read_text(encoding="utf-8"))
STATIONS = [("Bergen", 20), ("Bergen", 12), ("Oslo", 30), ("Oslo", 25), ("Oslo", 18)]


def stations(request: Request) -> Reply:
    """Two stations a page, in an envelope that names the next one."""
    if request.headers["authorization"] != "Bearer a-token-of-the-rental":
        return Reply(status=401)
    page = int(request.params.get("page", 1))
    rows = [{"id": n, "city": city, "docks": docks} for n, (city, docks) in enumerate(STATIONS, 1)]
    after = {"next": f"/stations?page={page + 1}"} if 2 * page < len(rows) else {}
    return Reply({"data": {"items": rows[2 * page - 2 : 2 * page]}, "links": after})


def shop(server: databases.Server) -> None:
    """A shop's two tables, and the user that the page names."""
    server.do(
        "CREATE TABLE customers (customer_id int PRIMARY KEY, name text NOT NULL, country text NOT NULL)",
        "INSERT INTO customers SELECT n, 'customer ' || n, CASE WHEN n % 3 = 0 THEN 'SE' ELSE 'NO' END"
        " FROM generate_series(1, 30) n",
        "CREATE TABLE orders (order_id int PRIMARY KEY, customer_id int, amount numeric(10,2),"
        " updated_at timestamptz NOT NULL)",
        "INSERT INTO orders SELECT n, 1 + n % 30, n * 1.5, timestamptz '2026-11-01 08:00Z' + n * interval '1 min'"
        " FROM generate_series(1, 200) n",
        "CREATE USER boathouse PASSWORD 'a-password'",
        "GRANT SELECT ON customers, orders TO boathouse",
    )


def outbox(folder: Path) -> None:
    """The mill's deliveries of two months."""
    for month in (9, 10):
        lines = [f"2026-{month:02}-{day:02};{'oak' if day % 2 else 'pine'};{day + month},5" for day in range(1, 29)]
        path = folder / f"outbox/2026-{month:02}.csv"
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(["Date;Product;Tonnes", *lines]) + "\n")
        os.utime(path, (1_790_000_000, 1_790_000_000))


def obscured(password: str) -> str:
    """A password as rclone's settings have it."""
    command = [str(remote.program()), "obscure", password]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.long
def test_what_the_page_shows_is_what_happens(tmp_path: Path) -> None:
    # one test, not one for each source: each would make a copy of the project
    mill = tmp_path / "mill"
    mill.mkdir()
    outbox(mill)
    with databases.postgres() as server, api(stations) as bikes, sftp_server(mill) as port:
        shop(server)
        keeper = f"host=127.0.0.1 port={server.port} dbname=shop user={databases.ADMIN}"
        shown = done_as_shown(
            tmp_path / "boathouse",
            BLOCKS,
            instead={
                "https://bikes.example.com": bikes.url,
                "host: db.example.com, port: 5432": f"host: 127.0.0.1, port: {server.port}",
                "sftp.example.com": "127.0.0.1",
                "MILL_PORT=22": f"MILL_PORT={port}",
                "MILL_USER=boats": "MILL_USER=shop",
                "obscured-by-rclone": obscured("p-secret-7"),
            },
            environ={"SHOP_DATABASE": keeper, "PGPASSWORD": databases.PASSWORD},
        )
    assert shown.kept() == sum(kind == "text" for kind, _ in BLOCKS) > 5
