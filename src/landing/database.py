"""A table of a database becomes files: rows as JSON that the server itself writes, each in one line.

`mode: full`: all rows, one whole statement. `mode: incremental`: the rows whose cursor column is at or after a mark,
less an overlap for transactions that were open when the last pull looked. The new mark is the lesser of the server's
clock and the greatest cursor in the table: no clock of ours counts, and a replica that lags behind, or times without a
zone, lose nothing. It stands in the name of the file, so that files are the only state:

    changes-20261109T120000.123456Z-5f2c01aa@<moment of the pull>.ndjson.gz

The last part stands for what was asked: table, columns and their types, `where`, cursor. Where it is another, as after
a column was added, all rows are asked for again: those that did not change since would not have the new column.
"""

from __future__ import annotations

import hashlib
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Any

from src.contract import custom
from src.contract.errors import hint, listed
from src.errors import AuthError, ContractError, DataError, TransientError
from src.landing import deletions
from src.landing.connector import Answer, Asked, Landed, Option, Slice
from src.landing.options import is_count, is_span, is_word, seconds
from src.landing.registry import setting

FULL, CHANGES, DELETED = "full", "changes", "deleted"  # the slices
MOMENT, DATE, NUMBER = "moment", "date", "number"  # kinds of columns that can be a cursor
_FLAG = "_deleted"  # the column that says in each row whether its key is gone
_LINES_AT_ONCE = 2000  # of an answer, in one piece
_OVERLAP = {MOMENT: "15 min", DATE: "15 min", NUMBER: 1000}
_CHANGES = re.compile(CHANGES + r"-(.+)-([0-9a-f]{8})")
_MARKS = {MOMENT: "%Y%m%dT%H%M%S.%fZ", DATE: "%Y%m%d"}

Mark = datetime | date | int  # datetime: UTC, without a zone

SECRETS: Mapping[str, str] = {
    "USER": "the name of a user who may read the tables, and nothing else",
    "PASSWORD": "that user's password",
}


def _is_names(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(map(is_word, value)) and len(set(value)) == len(value)


def _is_deletes(value: object) -> bool:
    return value == "keys" or (isinstance(value, dict) and list(value) == ["column"] and is_word(value["column"]))


OPTIONS: Mapping[str, Option] = {
    "host": Option("where the server is, a name or an address", is_word, required=True),
    "database": Option("the name of the database", is_word, required=True),
    "user": Option("the name of the user, where it is not SOURCE_<NAME>_USER in .env", is_word),
    "table": Option("the name of a table or view, such as public.orders", is_word),
    "query": Option("a SELECT, instead of a table; with `mode: full`", is_word),
    "mode": Option("full or incremental", lambda value: value in ("full", "incremental"), "full"),
    "cursor": Option("the column that says when a row changed last, or that only grows", is_word),
    "overlap": Option(
        "how far before the last mark rows are asked for again: 15 min, or a number where the cursor is one",
        lambda value: is_span(value) or is_count(value),
    ),
    "deletes": Option("keys, or {column: <that says a row is deleted>}", _is_deletes),
    "key": Option("a list of distinct columns", _is_names),
    "maxRemoved": Option(
        "a share of the keys, such as 50 %, or a number", lambda value: bool(custom.share(value)), "50 %"
    ),
    "columns": Option("a list of distinct columns", _is_names),
    "where": Option("an SQL condition over the table's columns", is_word),
}


def port(default: int) -> Option:
    """Return the option that says at which port a server listens."""
    return Option("a number from 1 to 65535", lambda value: is_count(value, 1) and value < 65536, default)


def credentials(options: Mapping[str, Any]) -> list[str]:
    """Return the credentials that a source asks for: the user may stand in the contract, the password never does."""
    return ["PASSWORD"] if options["user"] else ["USER", "PASSWORD"]


def contradictions(options: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what options say against each other, each with its fix."""
    return list(_contradictions(options, {name for name, value in options.items() if value is not None}))


def _contradictions(options: Mapping[str, Any], written: set[str]) -> Iterator[tuple[str, str]]:
    if ("table" in written) == ("query" in written):
        yield f"{'both' if 'table' in written else 'no'} table and query", "write one of them"
    if options["mode"] == "incremental":
        if "cursor" not in written:
            yield "mode incremental without a cursor", "write cursor: <the column that says when a row changed last>"
        if "query" in written:
            yield "mode incremental with a query", "write table: and where:, or mode: full"
        return
    for name in sorted({"cursor", "overlap", "deletes"} & written):
        yield f"{name} with mode full", f"remove {name}, or write mode: incremental"
    for name in sorted({"columns", "where"} & written if "query" in written else ()):
        yield f"{name} with a query", f"write it into the query, or table: instead of query: ({name} is for tables)"


def table_properties(options: Mapping[str, Any]) -> dict[str, str]:
    """Return the custom properties of a table that go with these options, columns by their names in the database."""
    if options["mode"] == "full":
        return {"replaces": "all"}
    deletes = options["deletes"]
    gone = _FLAG if deletes == "keys" else deletes["column"] if deletes else None
    # what was read again within the overlap is newer, also where its cursor has not moved
    return {"sequenceBy": options["cursor"], "onConflict": "last", **({"deleteWhen": gone} if gone else {})}


def slices(asked: Asked) -> Sequence[Slice]:
    """Return what is asked of a table; keys before changes, so that a row that came in between is no deletion."""
    if asked.options["mode"] == "full":
        return [Slice(FULL, any_order=True)]
    gone = [Slice(DELETED, adds=True)] if asked.options["deletes"] == "keys" else []
    return [*gone, Slice(CHANGES, adds=True, any_order=True)]


@dataclass(frozen=True)
class Column:
    """One column of a table. `type` in the server's words; `kind`: as what it can be a cursor, "" where it cannot.

    `key`: its place in the primary key from 1 on, 0 where it is not of it. `plain`: its type without length or digits.
    """

    name: str
    type: str
    plain: str
    kind: str = ""
    nullable: bool = True
    key: int = 0


@dataclass(frozen=True)
class Relation:
    """A table, view or query that rows are asked of: SQL that can stand after FROM, and an SQL condition."""

    name: str
    sql: str
    columns: tuple[Column, ...]
    where: str | None = None

    def column(self, name: str) -> Column:
        """Return the column of this name.

        Raises:
            ContractError: there is none; it lists those there are.
        """
        names = {column.name: column for column in self.columns}
        if name not in names:
            raise ContractError(f"no column {name} in {self.name}", fix=hint(name, names))
        return names[name]

    def chosen(self, names: Sequence[str] | None) -> tuple[Column, ...]:
        """Return the columns of these names, all for none."""
        return self.columns if names is None else tuple(map(self.column, names))


class Session(ABC):
    """A connection to a database, in one read-only transaction that sees the state of one moment."""

    clock: datetime  # of the server, UTC, not later than what the transaction sees

    @abstractmethod
    def tables(self) -> list[str]:
        """Return the names of the tables and views that the user sees, as a contract writes them."""

    @abstractmethod
    def table(self, name: str) -> Relation | None:
        """Return a table or view; None where the user sees none of that name."""

    @abstractmethod
    def query(self, text: str) -> Relation:
        """Return a SELECT as what rows can be asked of."""

    @abstractmethod
    def quoted(self, name: str) -> str:
        """Return a name as SQL."""

    @abstractmethod
    def select(self, relation: Relation, columns: Sequence[Column], condition: str) -> str:
        """Return SQL that gives each row as one JSON object; `condition` may be ''."""

    @abstractmethod
    def greatest(self, column: Column) -> str:
        """Return SQL of the greatest value of a cursor as text: 2026-11-09T12:00:00.123456 in UTC, 2026-11-09, 12."""

    @abstractmethod
    def literal(self, column: Column, mark: Mark) -> str:
        """Return SQL of a value that is compared with a cursor."""

    @abstractmethod
    def one(self, sql: str) -> Any:
        """Return the first value of the first row; None where there is none."""

    @abstractmethod
    def lines(self, sql: str) -> Iterator[bytes | None]:
        """Yield the first value of each row as it comes; memory does not grow with their number."""


Opened = Callable[[Asked], AbstractContextManager[Session]]


def fetch(session: Session, asked: Asked, part: Slice, answer: Answer) -> int:
    """Write the rows of a slice to `answer`, or its tombstones; return how many there are.

    Raises:
        ContractError: the table, a column or a key that the contract names is not there, or cannot be what it has to.
        DataError: more keys are gone than may be.
    """
    relation = _relation(session, asked)
    if part.name == DELETED:
        return _deleted(session, asked, relation, answer)
    if part.name == CHANGES:
        return _changes(session, asked, relation, answer)
    columns = relation.chosen(asked.options["columns"])
    return _write(session, session.select(relation, columns, _all(relation.where)), answer)


def _relation(session: Session, asked: Asked) -> Relation:
    options = asked.options
    if options["query"]:
        return session.query(options["query"])
    found = session.table(options["table"])
    if found is None:
        names = session.tables()
        fix = hint(options["table"], names) + "; one that the user may not see is not among them"
        raise ContractError(f"no table {options['table']} in database {options['database']}", fix=fix)
    return Relation(found.name, found.sql, found.columns, options["where"])


# -- what changed


def _changes(session: Session, asked: Asked, relation: Relation, answer: Answer) -> int:
    cursor = _cursor(session, asked, relation)
    columns = relation.chosen(asked.options["columns"])
    deletes = asked.options["deletes"]
    if isinstance(deletes, dict):
        relation.column(deletes["column"])
    flag = deletes == "keys"
    if flag and _FLAG in {column.name for column in columns}:
        raise ContractError(f"{relation.name} has a column {_FLAG}", fix="name the others in `columns`")
    asks = _fingerprint(relation, columns, cursor)
    mark = _least(session, cursor, session.one(_from(session.greatest(cursor), relation)))
    if mark is not None:
        answer.named(f"{CHANGES}-{_shown(mark)}-{asks}")
    since = _since(_newest_mark(asked.landed(), asks, cursor), asked.options["overlap"], cursor)
    bound = f"{session.quoted(cursor.name)} >= {session.literal(cursor, since)}" if since is not None else None
    sql = session.select(relation, columns, _all(relation.where, bound))
    return _write(session, sql, answer, flag)


def _cursor(session: Session, asked: Asked, relation: Relation) -> Column:
    """Return the column that is the cursor; it is one that has an order, has a value in each row, and is asked for."""
    cursor = relation.column(asked.options["cursor"])
    if not cursor.kind:
        those = [column.name for column in relation.columns if column.kind]
        fix = f"name one with a time, a date or whole numbers: {listed(those) or 'there is none; write mode: full'}"
        raise ContractError(f"{cursor.name} is {cursor.type}, which is no cursor", fix=fix)
    chosen = asked.options["columns"]
    if chosen and cursor.name not in chosen:
        raise ContractError(f"the cursor {cursor.name} is not among the columns", fix=f"add {cursor.name} to `columns`")
    overlap = asked.options["overlap"]
    if overlap is not None and isinstance(overlap, int) != (cursor.kind == NUMBER):
        fix = "write a number, such as 1000" if cursor.kind == NUMBER else "write a span of time, such as 15 min"
        raise ContractError(f"overlap {overlap}, but {cursor.name} is {cursor.type}", fix=fix)
    empty = _all(relation.where, f"{session.quoted(cursor.name)} IS NULL")
    if cursor.nullable and session.one(f"SELECT min(1) FROM {relation.sql} WHERE {empty}"):
        fix = f"give them a value, leave them out by `where: {cursor.name} is not null`, or write mode: full"
        raise ContractError(f"{cursor.name} is NULL in rows of {relation.name}: no pull would see them change", fix=fix)
    return cursor


def _fingerprint(relation: Relation, columns: Sequence[Column], cursor: Column) -> str:
    asks = [relation.name, relation.where, cursor.name, [(column.name, column.type) for column in columns]]
    return hashlib.sha256(json.dumps(asks).encode()).hexdigest()[:8]


def _least(session: Session, cursor: Column, greatest: str | None) -> Mark | None:
    """Return the mark up to which a table is read: by number the greatest, else the lesser of it and the clock."""
    if cursor.kind == NUMBER:
        return None if greatest is None else int(greatest)
    clock = session.clock if cursor.kind == MOMENT else session.clock.date()
    try:
        found = (datetime if cursor.kind == MOMENT else date).fromisoformat(greatest or "")
    except ValueError:  # no row, or none with a time that a calendar has, such as infinity
        return clock
    return min(clock, found)


def _newest_mark(landed: Sequence[Landed], asks: str, cursor: Column) -> Mark | None:
    """Return the mark of the newest file that answers the same question; None where there is none."""
    for one in reversed(landed):
        found = _CHANGES.fullmatch(one.slice)
        if found and found[2] == asks:
            if cursor.kind == NUMBER:
                return int(found[1])
            mark = datetime.strptime(found[1], _MARKS[cursor.kind])
            return mark if cursor.kind == MOMENT else mark.date()
    return None


def _since(mark: Mark | None, overlap: Any, cursor: Column) -> Mark | None:
    """Return where to begin: the mark less the overlap; None at the beginning of all."""
    overlap = _OVERLAP[cursor.kind] if overlap is None else overlap
    if mark is None or isinstance(mark, int):
        return None if mark is None else mark - int(overlap)
    span = timedelta(seconds=seconds(overlap) or 0)
    if isinstance(mark, datetime):
        return mark - span
    return (datetime(mark.year, mark.month, mark.day) - span).date()


def _shown(mark: Mark) -> str:
    if isinstance(mark, int):
        return str(mark)
    return mark.strftime(_MARKS[MOMENT if isinstance(mark, datetime) else DATE])


# -- what is gone


def _deleted(session: Session, asked: Asked, relation: Relation, answer: Answer) -> int:
    """Write a tombstone for each key that is gone, and let the stage remember those that are there."""
    cursor = _cursor(session, asked, relation)
    if cursor.kind == DATE:
        fix = "name a cursor with a time, or write deletes: {column: ...} or mode: full"
        raise ContractError(
            f"{cursor.name} is a date: a row that comes back on the day of its deletion is lost", fix=fix
        )
    names = asked.options["key"] or [column.name for column in sorted(_key(relation), key=lambda column: column.key)]
    if not names:
        raise ContractError(f"{relation.name} has no primary key", fix="name the columns: `key: [...]`")
    key = relation.chosen(names)
    columns = (*key, *(column for column in (cursor,) if column not in key))
    names_and_cursor = deletions.Names(tuple(names), cursor.name, cursor.kind == NUMBER, _FLAG)
    now = _rows(session, session.select(relation, columns, _all(relation.where)))
    before = asked.remembered(DELETED)
    since = [one.path for one in asked.landed() if before is None or one.pulled_at >= before.pulled_at]
    gone, known = deletions.compare(names_and_cursor, now, before.path if before else None, since, answer)
    share = custom.share(asked.options["maxRemoved"])
    assert share, "a value that was checked"
    if gone > (known * share.value / 100 if share.unit == "percent" else share.value):
        what = f"{gone} of {known} keys of {relation.name} are gone, more than {share}: not taken as deletions"
        raise DataError(what, fix="look at the table; if it is right, write `maxRemoved: 100 %` for one pull")
    return gone


def _key(relation: Relation) -> list[Column]:
    return [column for column in relation.columns if column.key]


# -- rows


def _write(session: Session, sql: str, answer: Answer, flag: bool = False) -> int:
    """Write the rows to `answer`, each in a line; return how many there are. `flag`: each says that it is there."""
    rows = _rows(session, sql)
    if flag:
        end = f',"{_FLAG}":false}}'.encode()
        rows = (row[:-1] + end for row in rows)
    count = 0
    while piece := list(islice(rows, _LINES_AT_ONCE)):
        answer.write(b"\n".join((*piece, b"")))
        count += len(piece)
    return count


def _rows(session: Session, sql: str) -> Iterator[bytes]:
    """Yield rows as JSON without line ends, which a server leaves between the members of what it was given as JSON."""
    for line in session.lines(sql):
        if line is None or line[-1:] != b"}":
            fix = "leave out its largest column by `columns`, or let the server send more at once (max_allowed_packet)"
            raise DataError("a row is too long for the server to send as JSON", fix=fix)
        yield line.translate(_NO_LINE_END) if b"\n" in line or b"\r" in line else line


_NO_LINE_END = bytes(32 if at in b"\r\n" else at for at in range(256))


def _all(*conditions: str | None) -> str:
    return " AND ".join(f"({condition})" for condition in conditions if condition)


def _from(value: str, relation: Relation) -> str:
    return f"SELECT {value} FROM {relation.sql}" + (f" WHERE ({relation.where})" if relation.where else "")


# -- errors of servers


def user(asked: Asked) -> str:
    """Return the name of the user who asks."""
    return str(asked.options["user"] or asked.secrets["USER"])


def refused(asked: Asked, what: str) -> AuthError:
    """Return the error of a user or a password that a server does not know."""
    known_by = "user" if asked.options["user"] else setting(asked.source, "USER")
    fix = f"correct {known_by} or {setting(asked.source, 'PASSWORD')}"
    return AuthError(f"refused: {what}", where=_server(asked), fix=fix)


def not_granted(asked: Asked, what: str) -> AuthError:
    """Return the error of a user who lacks a right."""
    read = asked.options["table"] or "what the query reads"
    return AuthError(what, where=_server(asked), fix=f"GRANT SELECT ON {read} TO the user, who may need no more")


def wrong(asked: Asked, what: str, fix: str = "correct the source in the contract") -> ContractError:
    """Return the error of a question that a server can never answer."""
    return ContractError(what, where=_server(asked), fix=fix)


def passing(asked: Asked, what: str) -> TransientError:
    """Return the error of a server that may answer the next time."""
    return TransientError(what, where=_server(asked), fix="run again later")


def _server(asked: Asked) -> str:
    options = asked.options
    return f"{options['host']}:{options['port']}, database {options['database']}"


def columns_of_query(columns: Iterable[str], text: str) -> tuple[Column, ...]:
    """Return the columns that a query gives, of which nothing else is known.

    Raises:
        ContractError: two have one name.
    """
    found = list(columns)
    repeated = sorted({name for name in found if found.count(name) > 1})
    if repeated:
        raise ContractError(
            f"the query gives {listed(repeated)} more than once", where=text, fix="name them apart: `AS`"
        )
    return tuple(Column(name, "", "") for name in found)
