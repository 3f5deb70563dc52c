"""PostgreSQL: rows as `row_to_json` writes them, through a cursor of the server, in one snapshot (REPEATABLE READ).

The transaction is read-only. Times with a zone are UTC, numbers keep all their digits, bytes are hex (\\x0102),
intervals ISO 8601; NaN and the infinities are the texts that the server writes for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from math import inf
from typing import TYPE_CHECKING, Any

from src.errors import BoathouseError
from src.landing import database
from src.landing.connector import Answer, Asked, Option, Slice
from src.landing.database import DATE, MOMENT, NUMBER, Column, Mark, Relation
from src.landing.options import is_word

if TYPE_CHECKING:
    import psycopg

_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
OPTIONS: Mapping[str, Option] = {
    **database.OPTIONS,
    "port": database.port(5432),
    "sslmode": Option(", ".join(_SSL_MODES), lambda value: value in _SSL_MODES, "prefer"),
    "sslrootcert": Option("the path of a file with the certificates that are trusted", is_word),
}
SECRETS = database.SECRETS
PACKAGES = ("psycopg",)

_CONNECT_SECONDS = 15
_LOCK_SECONDS = 30  # that a statement waits for another that holds the table, such as an ALTER
_ROWS_AT_ONCE = 5000
_KINDS = {
    "timestamptz": MOMENT,
    "timestamp": MOMENT,
    "date": DATE,
    "int2": NUMBER,
    "int4": NUMBER,
    "int8": NUMBER,
}
# of the session, so that what is written does not depend on how the server or the user is set up
_SETTINGS = {
    "timezone": "UTC",
    "datestyle": "ISO",
    "intervalstyle": "iso_8601",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "lock_timeout": f"{_LOCK_SECONDS}s",
}
_TABLES = "c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')"

contradictions = database.contradictions
credentials = database.credentials
table_properties = database.table_properties
slices = database.slices


def fetch(asked: Asked, part: Slice, answer: Answer) -> int:
    """Write the rows of a slice to `answer`, or its tombstones; return how many there are."""
    with _opened(asked) as session:
        return database.fetch(session, asked, part, answer)


def probe(asked: Asked) -> str:
    """Return the version of the server that took the credential."""
    with _opened(asked) as session:
        return str(session.one("SELECT 'PostgreSQL ' || current_setting('server_version')"))


@contextmanager
def _opened(asked: Asked) -> Iterator[_Session]:
    import psycopg

    options = asked.options
    given = {"sslrootcert": options["sslrootcert"]} if options["sslrootcert"] else {}
    try:
        with psycopg.connect(
            host=options["host"],
            port=options["port"],
            dbname=options["database"],
            user=database.user(asked),
            password=asked.secrets["PASSWORD"],
            sslmode=options["sslmode"],
            connect_timeout=_CONNECT_SECONDS,
            application_name="boathouse",
            client_encoding="utf8",
            prepare_threshold=None,  # poolers that share connections know no prepared statements
            **given,
        ) as connection:
            yield _Session(connection, asked)
            connection.rollback()
    except psycopg.Error as error:
        raise _ours(error, asked) from error


class _Session(database.Session):
    def __init__(self, connection: psycopg.Connection[Any], asked: Asked) -> None:
        import psycopg

        self._connection = connection
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        left = asked.seconds_left()
        limit = (
            {"statement_timeout": f"{max(1, int(left * 900))}ms"} if left < inf else {}
        )  # sooner than the budget ends
        # in the transaction, and not as it connects: poolers refuse settings there
        for name, value in {**_SETTINGS, **limit}.items():
            connection.execute("SELECT set_config(%s, %s, true)", (name, value))
        self.clock = datetime.fromisoformat(self.one("SELECT to_char(now(), 'YYYY-MM-DD\"T\"HH24:MI:SS.US')"))

    def tables(self) -> list[str]:
        name = "CASE WHEN pg_table_is_visible(c.oid) THEN '' ELSE n.nspname || '.' END || c.relname"
        sql = f"SELECT {name} FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {_TABLES}"
        return [row[0] for row in self._connection.execute(sql).fetchall()]

    def table(self, name: str) -> Relation | None:
        sql = (
            "SELECT c.oid::bigint, n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            f"WHERE {_TABLES} AND (n.nspname || '.' || c.relname = %(name)s "
            "OR c.relname = %(name)s AND pg_table_is_visible(c.oid))"
        )
        found = self._connection.execute(sql, {"name": name}).fetchone()
        if found is None:
            return None
        oid, schema, table = found
        return Relation(f"{schema}.{table}", f"{self.quoted(schema)}.{self.quoted(table)}", self._columns(oid))

    def _columns(self, oid: int) -> tuple[Column, ...]:
        sql = (
            "SELECT a.attname, format_type(a.atttypid, a.atttypmod), t.typname, a.attnotnull, "
            "coalesce(array_position(i.indkey::int2[], a.attnum) + 1, 0) FROM pg_attribute a "
            "JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary "
            "WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"
        )
        found = self._connection.execute(sql, (oid,)).fetchall()
        return tuple(
            Column(name, type_, plain, _KINDS.get(plain, ""), not is_filled, key)
            for name, type_, plain, is_filled, key in found
        )

    def query(self, text: str) -> Relation:
        sql = f"({text}\n) AS _query"
        described = self._connection.execute(f"SELECT * FROM {sql} LIMIT 0").description
        names = [column.name for column in described or ()]
        return Relation("the query", sql, database.columns_of_query(names, text))

    def quoted(self, name: str) -> str:
        return '"' + name.replace('"', '""') + '"'

    def select(self, relation: Relation, columns: Sequence[Column], condition: str) -> str:
        names = ", ".join(self.quoted(column.name) for column in columns)
        where = f" WHERE {condition}" if condition else ""
        inner = f"SELECT {names} FROM {relation.sql}{where}"
        # a column of that name would be taken for the row, but bronze takes no file that has one
        return f"SELECT convert_to(row_to_json(_row)::text, 'UTF8') FROM ({inner}) AS _row"

    def greatest(self, column: Column) -> str:
        value = f"max({self.quoted(column.name)})"
        if column.kind == NUMBER:
            return f"{value}::text"
        if column.kind == DATE:
            return f"to_char({value}, 'YYYY-MM-DD')"
        return f"to_char({value}::timestamp, 'YYYY-MM-DD\"T\"HH24:MI:SS.US')"  # the session's zone is UTC

    def literal(self, column: Column, mark: Mark) -> str:
        if column.kind == NUMBER:
            return str(mark)
        return f"'{mark}{'+00' if column.plain == 'timestamptz' else ''}'::{column.plain}"

    def one(self, sql: str) -> Any:
        found = self._connection.execute(sql).fetchone()
        return found[0] if found else None

    def lines(self, sql: str) -> Iterator[bytes | None]:
        with self._connection.cursor("boathouse", binary=True) as cursor:
            cursor.itersize = _ROWS_AT_ONCE
            cursor.execute(sql)
            for row in cursor:
                yield row[0]


def _ours(error: psycopg.Error, asked: Asked) -> BoathouseError:
    """Return an error of the server or the connection as ours: by its SQLSTATE, which it has not at the door."""
    code, text = error.sqlstate or "", str(error).strip()
    what = (error.diag.message_primary or text.rpartition("FATAL:")[2].strip().partition("\n")[0]).rstrip(".")
    if code.startswith("28") or (not code and _is_refused_user(error, text, asked)):
        return database.refused(asked, what)
    if code == "42501":
        return database.not_granted(asked, what)
    if code[:2] in ("0A", "22", "25", "3D", "3F", "42") or (not code and _is_wrong_question(text, asked)):
        return database.wrong(asked, what)
    return database.passing(asked, what)


def _is_refused_user(error: psycopg.Error, text: str, asked: Asked) -> bool:
    """Return whether a server lets a user not in: one that has no rule for the user, or that asked for the password.

    In whatever language it says so, it names the user.
    """
    knows_password = bool(error.pgconn and error.pgconn.used_password)
    names_user = text.startswith("connection failed:") and database.user(asked) in text
    return "pg_hba.conf" in text or (knows_password and names_user and not _is_wrong_question(text, asked))


def _is_wrong_question(text: str, asked: Asked) -> bool:
    """Return whether a connection cannot be, however often it is tried: no such database, no TLS."""
    no_database = f'database "{asked.options["database"]}" does not exist'
    return any(phrase in text for phrase in (no_database, "does not support SSL", "certificate verify failed"))
