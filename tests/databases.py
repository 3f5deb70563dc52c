"""Servers of databases for tests: on the loopback, in a folder in memory, gone when the tests are over.

They run as the user that Debian's packages make for them where the tests run as root, which the servers refuse. A test
that asks for one is skipped, with the reason, where its programs are missing.
"""

from __future__ import annotations

import getpass
import gzip
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import Lake

ADMIN, READER = "keeper", "reader of all"  # the users' names; the second may read tables and nothing else
PASSWORD = "pass 'word\\ of \"both"
_SECONDS = 60.0  # that a server may take to start, on a busy machine


@dataclass(frozen=True)
class Server:
    """A server that listens on a port of the loopback; `connect` gives a connection of the one who may do all."""

    connector: str
    port: int
    connect: Callable[[], Any]
    stop: Callable[[], None]
    start: Callable[[], None]

    def do(self, *statements: str) -> None:
        """Execute statements, each committed by itself."""
        with self.connect() as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    @property
    def credentials(self) -> dict[str, str]:
        return {"SOURCE_SHOP_USER": READER, "SOURCE_SHOP_PASSWORD": PASSWORD}


@contextmanager
def postgres() -> Iterator[Server]:
    """A PostgreSQL server with a database `shop`."""
    initdb = _program("initdb", "/usr/lib/postgresql/*/bin", "postgresql")
    import psycopg

    with _folder("postgres") as folder:
        (folder / "password").write_text(PASSWORD, encoding="utf-8")
        (folder / "password").chmod(0o644)
        options = ["-A", "scram-sha-256", "-U", ADMIN, f"--pwfile={folder}/password", "-E", "UTF8", "--locale=C.UTF-8"]
        _call("postgres", [str(initdb), "-D", f"{folder}/data", "--no-sync", *options])
        port = free_port()
        settings = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", "shared_buffers=16MB"]
        command = [str(initdb.with_name("postgres")), "-D", f"{folder}/data", "-p", str(port)]
        command += [part for setting in settings for part in ("-c", setting)]

        def connect(database: str = "shop") -> Any:
            text = psycopg.conninfo.make_conninfo(
                host="127.0.0.1", port=port, user=ADMIN, password=PASSWORD, dbname=database
            )
            return psycopg.connect(text, autocommit=True)

        with _running("postgres", command, lambda: connect("postgres").close(), signal.SIGINT) as (stop, start):
            with connect("postgres") as connection:
                connection.execute("CREATE DATABASE shop")
            server = Server("postgres", port, connect, stop, start)
            password = PASSWORD.replace("'", "''")
            server.do(f"CREATE USER \"{READER}\" PASSWORD '{password}'", f'GRANT pg_read_all_data TO "{READER}"')
            yield server


@contextmanager
def mariadb() -> Iterator[Server]:
    """A MariaDB server with a database `shop`."""
    program = _program("mariadbd", "/usr/sbin", "mariadb-server")
    install = _program("mariadb-install-db", "/usr/bin", "mariadb-server")
    import pymysql

    with _folder("mysql") as folder:
        common = ["--no-defaults", f"--datadir={folder}/data"]
        options = ["--auth-root-authentication-method=normal", "--skip-test-db", "--innodb-log-file-size=4M"]
        _call("mysql", [str(install), *common, *options])
        port, path = free_port(), f"{folder}/socket"
        settings = [f"--port={port}", f"--socket={path}", "--bind-address=127.0.0.1", "--innodb-buffer-pool-size=8M"]
        settings += [f"--pid-file={folder}/pid", "--innodb-flush-log-at-trx-commit=0", "--skip-log-bin"]

        def connect(database: str | None = "shop") -> Any:
            login: dict[str, Any] = {"user": "root", "unix_socket": path, "database": database, "charset": "utf8mb4"}
            return pymysql.connect(autocommit=True, init_command="SET time_zone = '+00:00'", **login)

        def knock() -> None:
            Path(path).stat()  # the driver leaves its end of a socket open that is not there yet
            connect(None).close()

        command = [str(program), *common, *settings]
        with _running("mysql", command, knock, signal.SIGTERM) as (stop, start):
            with connect(None) as connection, connection.cursor() as cursor:
                cursor.execute("CREATE DATABASE shop CHARACTER SET utf8mb4")
                cursor.execute("CREATE USER %s@'%%' IDENTIFIED BY %s", (READER, PASSWORD))
                cursor.execute("GRANT SELECT ON shop.* TO %s@'%%'", (READER,))
            yield Server("mysql", port, connect, stop, start)


def _program(name: str, folders: str, package: str) -> Path:
    found = [path / name for path in sorted(Path("/").glob(folders[1:])) if (path / name).is_file()]
    on_path = shutil.which(name)
    if not found and not on_path:
        pytest.skip(f"no {name} on this machine: apt-get install {package}")
    return found[-1] if found else Path(str(on_path))


@contextmanager
def _folder(user: str) -> Iterator[Path]:
    """A folder that the server's user may write to; the tests' own are closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="boathouse-", dir=os.environ.get("PYTEST_DEBUG_TEMPROOT")))
    try:
        folder.chmod(0o755)
        if os.geteuid() == 0:
            shutil.chown(folder, user)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _as(user: str, command: Sequence[str]) -> list[str]:
    """A command that ends with the tests, however these end, and runs as a user whom its server does not refuse."""
    other = [f"--reuid={user}", f"--regid={user}", "--init-groups"] if os.geteuid() == 0 else []
    return ["setpriv", "--pdeathsig", "KILL", *other, *command]


def _call(user: str, command: Sequence[str]) -> None:
    try:
        subprocess.run(_as(user, command), cwd="/", check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        raise AssertionError(f"{command[0]} as {user or getpass.getuser()}: {error.stdout}{error.stderr}") from error


@contextmanager
def _running(
    user: str, command: Sequence[str], knock: Callable[[], None], ending: signal.Signals
) -> Iterator[tuple[Callable[[], None], Callable[[], None]]]:
    running: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        process = subprocess.Popen(_as(user, command), cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        running.append(process)
        deadline = time.monotonic() + _SECONDS
        while True:
            try:
                return knock()
            except Exception:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def stop() -> None:
        while running:
            process = running.pop()
            process.send_signal(ending)
            try:
                process.wait(_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    try:
        start()
        yield stop, start
    finally:
        stop()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


# -- contracts that read a server's tables

ORDERS = """
      - {name: id, logicalType: integer, primaryKey: true}
      - {name: amount, logicalType: number, physicalType: "decimal(20,4)"}
      - {name: note, logicalType: string}
      - {name: updated_at, logicalType: timestamp, required: true}
      - {name: deleted, logicalType: boolean, transformLogic: _deleted}
    customProperties:
      - {property: sequenceBy, value: updated_at}
      - {property: onConflict, value: last}
      - {property: deleteWhen, value: deleted}
"""
KEYS = {"mode": "incremental", "cursor": "updated_at", "deletes": "keys"}


def contract(shop: Lake, server: Server, name: str, properties: str, /, **options: Any) -> None:
    """Write the contract of a table that the server's table of the same name fills, or what the options say."""
    written = {
        "connector": server.connector,
        "host": "127.0.0.1",
        "port": server.port,
        "database": "shop",
        "budget": "1 min",
    }
    if "query" not in options:
        written["table"] = name
    custom = json.dumps([{"property": "source", "value": {**written, **options}}])
    feed = f"server: {name}, type: local, path: 'shop/{name}/*.ndjson', format: ndjson, customProperties: {custom}"
    head = f"apiVersion: v3.1.0\nkind: DataContract\nid: silver.shop.{name}\nversion: 1.0.0\nstatus: active\n"
    schema = f"schema:\n  - name: {name}\n    properties:{properties}"
    shop.write(f"silver/shop/{name}.yaml", f"{head}servers:\n  - {{{feed}}}\n{schema}")


def landed(shop: Lake, table: str) -> list[str]:
    """The lines of all files that landed, oldest first."""
    folder = shop.data / "landing/shop" / table
    files = sorted(folder.glob("[!.]*@*"), key=lambda path: path.name.split("@")[1])
    return [line for path in files for line in gzip.decompress(path.read_bytes()).decode().splitlines()]


def pulled(shop: Lake) -> Exception | None:
    """Run, and return how the pull of the orders failed."""
    return shop.run().failures.get("landing.shop.orders")


def is_over(server: Server, statements: str) -> bool:
    """Whether the server ends statements that nobody waits for any more: sooner than they would by themselves."""
    deadline = time.monotonic() + 10
    while server.rows(f"SELECT count(*) FROM {statements}") != [(0,)]:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def differences(shop: Lake, server: Server) -> list[tuple[Any, ...]]:
    """The rows that silver or the server has, and the other has not, each value compared as what it is."""
    utc = " AT TIME ZONE 'UTC'"
    ours = shop.rows(f"SELECT id, amount, note, updated_at{utc} FROM silver.shop.orders ORDER BY id")
    moment = f"updated_at{utc}" if server.connector == "postgres" else "updated_at"
    # text of blanks alone is no value in silver
    theirs = server.rows(f"SELECT id, amount, nullif(note, ''), {moment} FROM orders ORDER BY id")
    return [row for row in ours if row not in theirs] + [row for row in theirs if row not in ours]
