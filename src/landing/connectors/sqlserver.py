"""SQL Server: rows as FOR JSON writes them, one object each, in one snapshot (ALLOW_SNAPSHOT_ISOLATION).

Untried: written after the manual by the pattern of the others, as no server was there to try it on. Times with a zone
keep their offset, floats have all their digits, bytes, geometries and the like are hex, a rowversion is a number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from math import inf
from typing import Any

from src.errors import BoathouseError
from src.landing import database
from src.landing.connector import Answer, Asked, Option, Slice
from src.landing.database import DATE, MOMENT, NUMBER, Column, Mark, Relation

_ENCRYPTIONS = ("off", "request", "require")
OPTIONS: Mapping[str, Option] = {
    **database.OPTIONS,
    "port": database.port(1433),
    "encryption": Option(", ".join(_ENCRYPTIONS), lambda value: value in _ENCRYPTIONS, "require"),
}
SECRETS = database.SECRETS
PACKAGES = ("pymssql",)

_CONNECT_SECONDS = 15
_LOCK_SECONDS = 30  # that a statement waits for another that holds the table, such as an ALTER
_LONGEST_TEXT = 2_147_483_647  # bytes of one value: the driver asks for less
_ROWVERSION = "timestamp"  # as the catalog calls it
_MOMENTS = ("datetime2", "datetime", "smalldatetime", "datetimeoffset")
_INTEGERS = ("tinyint", "smallint", "int", "bigint", _ROWVERSION)
_KINDS = {**dict.fromkeys(_MOMENTS, MOMENT), "date": DATE, **dict.fromkeys(_INTEGERS, NUMBER)}
_JSON_OF = {
    **dict.fromkeys(("float", "real"), "convert(varchar(32), {}, 3)"),  # style 3: 17 digits, the value itself
    **dict.fromkeys(("binary", "varbinary"), "convert(varchar(max), {}, 2)"),
    **dict.fromkeys(
        ("image", "geometry", "geography", "hierarchyid"), "convert(varchar(max), cast({} AS varbinary(max)), 2)"
    ),
    **dict.fromkeys(("text", "ntext", "xml", "sql_variant"), "cast({} AS nvarchar(max))"),
    _ROWVERSION: "convert(bigint, {})",
}
_REFUSED = (18456, 18452, 18486, 18487, 18488, 4060, 916)
_NOT_GRANTED = (229, 230, 262, 297, 300)
_WRONG = (102, 103, 105, 156, 195, 207, 208, 209, 245, 4104, 8114, 8155, 8156, 13600)
_NO_SNAPSHOT = 3952

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
        return str(session.one("SELECT concat('SQL Server ', serverproperty('ProductVersion'))"))


@contextmanager
def _opened(asked: Asked) -> Iterator[_Session]:
    import pymssql

    options, left = asked.options, asked.seconds_left()
    try:
        with pymssql.connect(
            server=options["host"],
            port=str(options["port"]),
            database=options["database"],
            user=database.user(asked),
            password=asked.secrets["PASSWORD"],
            login_timeout=_CONNECT_SECONDS,
            timeout=0 if left == inf else max(1, int(left)),
            charset="UTF-8",
            appname="boathouse",
            encryption=options["encryption"],
            read_only=True,  # a replica that is for readers may answer
            autocommit=True,  # else the driver begins a transaction before the isolation level can be said
        ) as connection:
            yield _Session(connection)  # its transaction ends with the connection
    except pymssql.Error as error:
        raise _ours(error, asked) from error


class _Session(database.Session):
    def __init__(self, connection: Any) -> None:
        self._connection = connection
        if connection is None:
            return
        self._do(f"SET TEXTSIZE {_LONGEST_TEXT}; SET LOCK_TIMEOUT {_LOCK_SECONDS * 1000}")
        self._do("SET TRANSACTION ISOLATION LEVEL SNAPSHOT")
        self.clock = datetime.fromisoformat(self.one("SELECT convert(varchar(26), sysutcdatetime(), 126)"))
        self._do("BEGIN TRANSACTION")

    def tables(self) -> list[str]:
        return [row[0] for row in self._all(f"SELECT {_NAME} FROM {_TABLES}", ())]

    def table(self, name: str) -> Relation | None:
        sql = (
            f"SELECT s.name, o.name, c.name, {_TYPE}, c.max_length, c.precision, c.scale, c.is_nullable, "
            f"coalesce(k.key_ordinal, 0) FROM {_TABLES} JOIN sys.columns c ON c.object_id = o.object_id "
            "LEFT JOIN sys.indexes i ON i.object_id = o.object_id AND i.is_primary_key = 1 "
            "LEFT JOIN sys.index_columns k ON k.object_id = o.object_id AND k.index_id = i.index_id "
            f"AND k.column_id = c.column_id WHERE {_NAME} = %s OR concat(s.name, '.', o.name) = %s ORDER BY c.column_id"
        )
        found = self._all(sql, (name, name))
        if not found:
            return None
        schema, table = found[0][:2]
        return Relation(
            f"{schema}.{table}",
            f"{self.quoted(schema)}.{self.quoted(table)}",
            tuple(
                Column(column, f"{plain}({length},{digits},{scale})", plain, _KINDS.get(plain, ""), bool(empty), key)
                for _, _, column, plain, length, digits, scale, empty, key in found
            ),
        )

    def query(self, text: str) -> Relation:
        sql = "SELECT name, system_type_name FROM sys.dm_exec_describe_first_result_set(%s, NULL, 0)"
        found = self._all(sql, (text,))
        columns = database.columns_of_query([name for name, _ in found], text)
        types = [str(type_).partition("(")[0] for _, type_ in found]
        plain = tuple(Column(one.name, "", type_) for one, type_ in zip(columns, types, strict=True))
        return Relation("the query", f"({text}\n) AS _query", plain)

    def quoted(self, name: str) -> str:
        return "[" + name.replace("]", "]]") + "]"

    def select(self, relation: Relation, columns: Sequence[Column], condition: str) -> str:
        values = ", ".join(f"{self._json(column)} AS {self.quoted(column.name)}" for column in columns)
        where = f" WHERE {condition}" if condition else ""
        row = f"SELECT {values} FOR JSON PATH, INCLUDE_NULL_VALUES, WITHOUT_ARRAY_WRAPPER"
        return f"SELECT ({row}) FROM {relation.sql}{where}"

    def _json(self, column: Column) -> str:
        return _JSON_OF.get(column.plain, "{}").format(self.quoted(column.name))

    def greatest(self, column: Column) -> str:
        value = f"max({self._json(column)})"
        if column.kind == NUMBER:
            return f"convert(varchar(20), {value})"
        if column.kind == DATE:
            return f"convert(varchar(10), {value}, 23)"
        if column.plain == "datetimeoffset":
            value = f"switchoffset({value}, 0)"
        return f"convert(varchar(26), convert(datetime2(6), {value}), 126)"

    def literal(self, column: Column, mark: Mark) -> str:
        if column.plain == _ROWVERSION:
            return f"convert(binary(8), convert(bigint, {max(0, int(str(mark)))}))"
        if isinstance(mark, int):
            return str(mark)
        zone = "+00:00" if column.plain == "datetimeoffset" else ""
        kind = {"datetimeoffset": "datetimeoffset", "date": "date"}.get(column.plain, "datetime2")
        return f"convert({kind}, '{mark.isoformat()}{zone}', 126)"

    def one(self, sql: str) -> Any:
        found = self._all(sql, ())
        return found[0][0] if found else None

    def lines(self, sql: str) -> Iterator[bytes | None]:
        with self._connection.cursor() as cursor:
            cursor.execute(sql)
            while row := cursor.fetchone():
                yield row[0] if row[0] is None else row[0].encode()

    def _all(self, sql: str, values: tuple[str, ...]) -> Sequence[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, values) if values else cursor.execute(sql)
            found: Sequence[tuple[Any, ...]] = cursor.fetchall()
            return found

    def _do(self, sql: str) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute(sql)


_NAME = "CASE WHEN s.name = schema_name() THEN o.name ELSE concat(s.name, '.', o.name) END"
_TYPE = (
    "type_name(CASE WHEN c.system_type_id = 240 THEN c.user_type_id ELSE c.system_type_id END)"  # 240: geometry, ...
)
_TABLES = "sys.objects o JOIN sys.schemas s ON s.schema_id = o.schema_id AND o.type IN ('U', 'V')"


def _ours(error: Exception, asked: Asked) -> BoathouseError:
    """Return an error of the server or the connection as ours, by its number."""
    code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    text = error.args[-1] if error.args else type(error).__name__
    what = (text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)).strip().rstrip(".")
    if code in _REFUSED:
        return database.refused(asked, what)
    if code in _NOT_GRANTED:
        return database.not_granted(asked, what)
    if code == _NO_SNAPSHOT:
        fix = f"ALTER DATABASE {asked.options['database']} SET ALLOW_SNAPSHOT_ISOLATION ON"
        return database.wrong(asked, what, fix)
    if code in _WRONG:
        return database.wrong(asked, what)
    return database.passing(asked, what)
