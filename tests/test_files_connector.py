"""Files elsewhere are copied whole and under their own names when they are new or changed, and done."""

from __future__ import annotations

import bz2
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from conftest import ORDERS, Lake

from src import remote

HEADER = "order_id,day,amount,updated\n"
AN_HOUR_AGO = time.time() - 3600


def sourced(lake: Lake, where: str, more: str = "") -> Lake:
    server = "{server: orders, type: local, path: shop/orders/*.csv, format: csv}"
    custom = f"customProperties: [{{property: source, value: {{connector: files, remote: '{where}'{more}}}}}]"
    lake.write("silver/shop/orders.yaml", ORDERS.replace(server, server[:-1] + f", {custom}}}"))
    return lake


def put(folder: Path, name: str, text: str, at: float = AN_HOUR_AGO) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text)
    os.utime(path, (at, at))
    return path


def landed(lake: Lake) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted((lake.data / "landing/shop/orders").rglob("*"))}


@contextmanager
def sftp_server(folder: Path) -> Iterator[int]:
    """A real SFTP server on 127.0.0.1 over a folder; yields its port."""
    command = [str(remote.program()), "serve", "sftp", str(folder), "--addr", "127.0.0.1:0"]
    command += ["--user", "shop", "--pass", "p-secret-7", "--config", os.devnull, "-v"]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr
        line = next(line for line in server.stderr if "listening on" in line)
        yield int(line.rstrip().rpartition(":")[2])
    finally:
        server.kill()
        server.communicate()


def test_a_file_lands_whose_name_bronze_takes_in_any_case_or_packed(lake: Lake, tmp_path: Path) -> None:
    outbox = tmp_path / "outbox"
    put(outbox, "1.CSV", HEADER + "1,2024-01-01,10,1\n")
    (outbox / "2.csv.bz2").write_bytes(bz2.compress((HEADER + "2,2024-01-01,20,1\n").encode()))
    os.utime(outbox / "2.csv.bz2", (AN_HOUR_AGO, AN_HOUR_AGO))
    sourced(lake, "outbox/*").good()
    assert lake.rows("SELECT order_id FROM silver.shop.orders ORDER BY 1") == [(1,), (2,)]


def test_new_and_changed_files_are_copied_and_what_is_gone_there_stays(lake: Lake, tmp_path: Path) -> None:
    outbox = tmp_path / "outbox"
    put(outbox, "1.csv", HEADER + "1,2024-01-01,10,1\n")
    put(outbox, "notes.txt", "not asked for")
    put(outbox, ".hidden.csv", "not asked for")
    sourced(lake, "outbox/*.csv").good()
    assert landed(lake) == {"1.csv": HEADER + "1,2024-01-01,10,1\n"}
    put(outbox, "2.csv", HEADER + "2,2024-01-01,20,1\n")
    put(outbox, "1.csv", HEADER + "1,2024-01-01,11,2\n", AN_HOUR_AGO + 60)
    lake.good()
    assert lake.rows("SELECT order_id, amount::INT FROM silver.shop.orders ORDER BY 1") == [(1, 11), (2, 20)]
    for path in outbox.iterdir():
        path.unlink()
    again = lake.good()
    assert sorted(landed(lake)) == ["1.csv", "2.csv"]
    assert lake.step(again, "landing.shop.orders").files == 0
    assert lake.rows("SELECT slice, status FROM ops.pulls ORDER BY pulled_at, slice") == [
        ("1.csv", "landed"),
        ("1.csv", "landed"),
        ("2.csv", "landed"),
        ("outbox/*.csv", "same"),
    ]


def test_a_file_that_was_changed_a_moment_ago_is_left_for_the_next_run(lake: Lake, tmp_path: Path) -> None:
    fresh = put(tmp_path / "outbox", "1.csv", HEADER + "1,2024-01", time.time())
    ahead = time.time() + 86_400  # its server's clock is wrong: it would never be old enough
    put(tmp_path / "outbox", "2.csv", HEADER + "2,2024-01-01,20,1\n", ahead)
    sourced(lake, "outbox/*.csv").good()
    assert list(landed(lake)) == ["2.csv"]
    put(fresh.parent, "1.csv", HEADER + "1,2024-01-01,10,1\n", time.time() - 90)
    lake.good()
    assert lake.rows("SELECT count(*) FROM silver.shop.orders") == [(2,)]


def test_a_file_that_changes_while_it_is_copied_does_not_land(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(tmp_path / "outbox", "1.csv", HEADER)
    put(tmp_path / "outbox", "2.csv", HEADER + "2,2024-01-01,20,1\n")
    get = remote.Remote.get

    def slow(self: remote.Remote, names: list[str], subfolder: str, folder: Path) -> None:
        get(self, names, subfolder, folder)
        put(path.parent, path.name, HEADER + "1,2024-01-01,10,1\n")  # whoever writes it goes on

    monkeypatch.setattr(remote.Remote, "get", slow)
    sourced(lake, "outbox/*.csv").good()
    assert list(landed(lake)) == ["2.csv"]


def test_files_come_from_an_sftp_server_and_its_password_never_shows(
    lake: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path / "drop/outbox/2024", "1.csv", HEADER + "1,2024-01-01,10,1\n")
    put(tmp_path / "drop/outbox/2024", "2.csv", HEADER + "2,2024-01-01,10,1\n")
    with sftp_server(tmp_path / "drop") as port:
        said = {"TYPE": "sftp", "HOST": "127.0.0.1", "PORT": str(port), "USER": "shop"}
        lake.environ |= {f"RCLONE_CONFIG_SFTP_SHOP_{name}": value for name, value in said.items()}
        sourced(lake, "sftp_shop:outbox/*/*.csv")
        lake.edit("silver/shop/orders.yaml", "path: shop/orders/*.csv", "path: shop/orders/*/*.csv")
        lake.environ["RCLONE_CONFIG_SFTP_SHOP_PASS"] = obscured("wrong-pass-9")
        assert lake.run().records[0].error_class == "auth"
        lake.environ["RCLONE_CONFIG_SFTP_SHOP_PASS"] = obscured("p-secret-7")
        lake.good()
        assert lake.command("sources") == 0
    assert lake.rows("SELECT _file FROM bronze.shop.orders ORDER BY 1") == [
        ("shop/orders/2024/1.csv",),
        ("shop/orders/2024/2.csv",),
    ]
    shown = capsys.readouterr()
    assert "answers; 2 files" in shown.out
    told = shown.out + shown.err + str(lake.rows("SELECT * FROM ops.pulls"))
    assert lake.environ["RCLONE_CONFIG_SFTP_SHOP_PASS"] not in told and "p-secret-7" not in told


def obscured(password: str) -> str:
    ran = subprocess.run([str(remote.program()), "obscure", password], capture_output=True, text=True, check=True)
    return ran.stdout.strip()


def test_a_remote_that_no_setting_defines_is_named(lake: Lake) -> None:
    # by its name: without one, a source that nobody began to set up is passed over (test_not_set_up.py)
    assert sourced(lake, "nowhere:outbox/*.csv").command("pull", "--source", "shop") != 0
    [(what, fix)] = lake.rows("SELECT error_message, error_fix FROM ops.pipeline_runs WHERE layer = 'landing'")
    assert "no remote nowhere" in what and "RCLONE_CONFIG_<NAME>_TYPE" in fix
    error = sourced(lake, "no/such/folder/*.csv").run().failures["landing.shop.orders"]
    assert "correct `remote` of the contract" in str(error)


def test_the_age_that_a_file_must_have_is_an_option(lake: Lake, tmp_path: Path) -> None:
    put(
        tmp_path / "outbox",
        "1.csv",
        HEADER + "1,2024-01-01,10,1\n",
        (datetime.now(UTC) - timedelta(seconds=5)).timestamp(),
    )
    sourced(lake, "outbox/*.csv", ", minAge: 1 s").good()
    assert list(landed(lake)) == ["1.csv"]
