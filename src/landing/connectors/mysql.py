"""MySQL and MariaDB: rows as JSON_OBJECT writes them, unbuffered, in one consistent read-only snapshot.

Times of type TIMESTAMP are UTC, numbers keep all their digits (a FLOAT is sent as the DOUBLE that it is, as it would be
shown with six digits), bytes and geometries are hex, BIT is a number. Text is converted to utf8mb4 column by column:
where JSON_OBJECT is given bytes or another character set beside it, MariaDB 10.11 writes an emoji as no JSON.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from math import inf
from typing import TYPE_CHECKING, Any

from src.errors import BoathouseError
from src.landing import database
from src.landing.connector import Answer, Asked, Option, Slice
from src.landing.database import DATE, MOMENT, NUMBER, Column, Mark, Relation
from src.landing.options import is_word

if TYPE_CHECKING:
    import pymysql
    from pymysql.cursors import Cursor

_SSL_MODES = ("disabled", "preferred", "required", "verify_ca", "verify_identity")
OPTIONS: Mapping[str, Option] = {
    **database.OPTIONS,
    "port": database.port(3306),
    "sslmode": Option(", ".join(_SSL_MODES), lambda value: value in _SSL_MODES, "preferred"),
    "sslrootcert": Option("the path of a file with the certificates that are trusted", is_word),
}
SECRETS = database.SECRETS
PACKAGES = ("PyMySQL",)

_CONNECT_SECONDS = 15
_LOCK_SECONDS = 30  # that a statement waits for another that holds the table, such as an ALTER
_UNREAD_SECONDS = 600  # that the server keeps a row which we have not read yet
_INTEGERS = ("tinyint", "smallint", "mediumint", "int", "bigint")
_KINDS = {"timestamp": MOMENT, "datetime": MOMENT, "date": DATE, **dict.fromkeys(_INTEGERS, NUMBER)}
_BYTES = ("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "vector")
_SHAPES = (
    *("geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon"),
    *("geometrycollection", "geomcollection"),
)
_JSON_OF = {
    **dict.fromkeys((*_INTEGERS, "decimal", "double", "year"), "{}"),
    "float": "{} + 0e0",
    "bit": "{} + 0",
    **dict.fromkeys(_BYTES, "hex({})"),
    **dict.fromkeys(_SHAPES, "hex(ST_AsWKB({}))"),
}
_TEXT = "convert({} using utf8mb4)"
_MOMENT = "'%Y-%m-%dT%H:%i:%s.%f'"
# The types of a query's columns by their number in the protocol.
_ON_THE_WIRE = {
    **dict.fromkeys((1, 2, 3, 8, 9), "int"),
    **dict.fromkeys((0, 246), "decimal"),
    **{4: "float", 5: "double", 13: "year", 16: "bit", 255: "geometry"},
}
_BYTES_ON_THE_WIRE = (249, 250, 251, 252, 253, 254)
_NO_CHARSET = 63

# The numbers of errors by what they mean; any other is tried again.
_REFUSED = (1045, 1698, 1251, 1820, 1862, 3118, 3955)
_NOT_GRANTED = (1044, 1142, 1143, 1227, 1370)
_WRONG = (
    1046,
    1049,
    1052,
    1054,
    1055,
    1056,
    1059,
    1060,
    1064,
    1103,
    1111,
    1140,
    1146,
    1235,
    1241,
    1248,
    1305,
    1356,
    1582,
)

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
        version = str(session.one("SELECT version()"))
        return version if "MariaDB" in version else f"MySQL {version}"


@contextmanager
def _opened(asked: Asked) -> Iterator[_Session]:
    import pymysql

    options, left = asked.options, asked.seconds_left()
    connection = None
    try:
        connection = pymysql.connect(
            host=options["host"],
            port=options["port"],
            database=options["database"],
            user=database.user(asked),
            password=asked.secrets["PASSWORD"],
            charset="utf8mb4",
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=None if left == inf else max(1.0, left),
            program_name="boathouse",
            **_tls(options["sslmode"], options["sslrootcert"]),
        )
        yield _Session(connection, asked)
    except pymysql.Error as error:
        raise _ours(error, asked) from error
    finally:
        if connection is not None and connection.open:
            connection.close()  # of an answer that was not read to its end, the server sends no more


def _tls(mode: str, certificates: str | None) -> dict[str, Any]:
    if mode == "disabled":
        return {"ssl_disabled": True}
    if mode == "preferred":
        return {}
    verify = mode in ("verify_ca", "verify_identity")
    return {"ssl": {"ca": certificates, "verify_mode": verify, "check_hostname": mode == "verify_identity"}}


class _Session(database.Session):
    def __init__(self, connection: pymysql.Connection[Cursor], asked: Asked) -> None:
        self._connection = connection
        self._database = asked.options["database"]
        settings = {
            "time_zone": "'+00:00'",
            "sql_mode": "''",
            "lock_wait_timeout": _LOCK_SECONDS,
            "innodb_lock_wait_timeout": _LOCK_SECONDS,
            "net_write_timeout": _UNREAD_SECONDS,
            **self._limit(asked.seconds_left()),
        }
        self._do("SET SESSION " + ", ".join(f"{name} = {value}" for name, value in settings.items()))
        self._do("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        self.clock = datetime.fromisoformat(self.one(f"SELECT date_format(utc_timestamp(6), {_MOMENT})"))
        self._do("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")

    def _limit(self, seconds: float) -> dict[str, float]:
        """Return the setting that ends a statement which takes longer."""
        if seconds == inf:
            return {}
        if "MariaDB" in self.one("SELECT version()"):
            return {"max_statement_time": round(max(0.001, seconds * 0.9), 3)}  # sooner than the budget ends
        return {"max_execution_time": max(1, int(seconds * 900))}

    def tables(self) -> list[str]:
        sql = (
            "SELECT CASE WHEN table_schema = database() THEN table_name ELSE concat(table_schema, '.', table_name) END "
            "FROM information_schema.tables "
            "WHERE table_schema NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys')"
        )
        return [str(row[0]) for row in self._all(sql)]

    def table(self, name: str) -> Relation | None:
        columns = (
            "SELECT c.table_schema, c.table_name, c.column_name, c.column_type, c.data_type, c.is_nullable, "
            "coalesce(k.seq_in_index, 0) FROM information_schema.columns c "
            "LEFT JOIN information_schema.statistics k ON k.table_schema = c.table_schema AND k.index_name = 'PRIMARY' "
            "AND k.table_name = c.table_name AND k.column_name = c.column_name "
            "WHERE (concat(c.table_schema, '.', c.table_name) = %(name)s "
            "OR c.table_schema = %(database)s AND c.table_name = %(name)s) ORDER BY c.ordinal_position"
        )
        found = self._all(columns, {"name": name, "database": self._database})
        if not found:
            return None
        schema, table = found[0][:2]
        return Relation(
            f"{schema}.{table}",
            f"{self.quoted(schema)}.{self.quoted(table)}",
            tuple(
                Column(column, type_, plain, _KINDS.get(plain, ""), nullable == "YES", int(key))
                for _, _, column, type_, plain, nullable, key in found
            ),
        )

    def query(self, text: str) -> Relation:
        sql = f"({text}\n) AS _query"
        with self._connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {sql} LIMIT 0")
            columns = database.columns_of_query([column[0] for column in cursor.description], text)
            result: Any = cursor._result  # type: ignore[attr-defined]  # where the character sets are
            types = [_plain(field.type_code, field.charsetnr) for field in result.fields]
        typed = (replace(column, plain=plain) for column, plain in zip(columns, types, strict=True))
        return Relation("the query", sql, tuple(typed))

    def quoted(self, name: str) -> str:
        return "`" + name.replace("`", "``") + "`"

    def select(self, relation: Relation, columns: Sequence[Column], condition: str) -> str:
        pairs = (f"{self._connection.escape(column.name)}, {self._json(column)}" for column in columns)
        where = f" WHERE {condition}" if condition else ""
        return f"SELECT json_object({', '.join(pairs)}) FROM {relation.sql}{where}"

    def _json(self, column: Column) -> str:
        return _JSON_OF.get(column.plain, _TEXT).format(self.quoted(column.name))

    def greatest(self, column: Column) -> str:
        value = f"max({self.quoted(column.name)})"
        if column.kind == NUMBER:
            return f"cast({value} AS char)"
        return f"date_format({value}, {_MOMENT if column.kind == MOMENT else repr('%Y-%m-%d')})"

    def literal(self, column: Column, mark: Mark) -> str:
        return str(mark) if column.kind == NUMBER else f"'{mark}'"

    def one(self, sql: str) -> Any:
        found = self._all(sql)
        return found[0][0] if found else None

    def lines(self, sql: str) -> Iterator[bytes | None]:
        from pymysql.cursors import SSCursor

        cursor = SSCursor(self._connection)
        cursor.execute(sql)
        try:
            while row := cursor.fetchone():
                yield row[0] if row[0] is None else row[0].encode()
        finally:
            # an answer that nobody wants any more ends with the connection: left alone, it would be read to its end
            result: Any = cursor._result  # type: ignore[attr-defined]
            if result.unbuffered_active:
                result.unbuffered_active = False
                self._connection.close()

    def _all(self, sql: str, values: Mapping[str, str] | None = None) -> Sequence[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, values)
            return cursor.fetchall()

    def _do(self, sql: str) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute(sql)


def _plain(code: int, charset: int) -> str:
    """Return the type of a query's column, where it is one that is not sent as text; else ''."""
    if code in _BYTES_ON_THE_WIRE and charset == _NO_CHARSET:
        return "varbinary"
    return _ON_THE_WIRE.get(code, "")


def _ours(error: pymysql.Error, asked: Asked) -> BoathouseError:
    """Return an error of the server or the connection as ours, by its number."""
    code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    what = str(error.args[-1] if error.args else type(error).__name__).rstrip(".")
    if code in _REFUSED:
        return database.refused(asked, what)
    if code in _NOT_GRANTED:
        return database.not_granted(asked, what)
    if code in _WRONG or "certificate" in what or what.startswith("SSL is required"):
        return database.wrong(asked, what)
    return database.passing(asked, what)
