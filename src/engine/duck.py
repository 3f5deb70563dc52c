"""DuckDB, the one engine so far: the only module that imports duckdb.

One connection serves a whole run. Lake tables are seen by their names, `layer.domain.table`, as
views over exactly the files of one version. The library is loaded with the first statement: that takes longer than all
that a run with nothing new does. Loaded is its compiled part, `_duckdb`, whose connections and errors `duckdb` hands
on: what that adds in Python takes three times as long to load, and is needed for Arrow alone.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import re
import stat
import threading
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import date
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src import contract, store
from src.engine.mistakes import SqlMistake, UnparsedError
from src.engine.profile import Profile
from src.engine.room import room_beside
from src.errors import (
    BoathouseError,
    ContractError,
    DataError,
    MachineError,
    OutOfMemoryError,
    UsageError,
    from_os_error,
)
from src.lake import DataFile, Snapshot, discard

if TYPE_CHECKING:
    import _duckdb as duckdb

    from src.engine.functions import Functions
    from src.store.objects import Files

_FIELD = re.compile(r"(STRUCT\(|, )([A-Za-z_]\w*) ")  # the engine quotes a field's name only where it must
_NO_ROOM = ("No space left", "File too large", "Disk quota", "Could not write all bytes")
_GONE = re.compile(r'No files found that match the pattern "(.+[.]parquet)"')  # one by its name: no glob is read
MANY_COLUMNS = 500  # more of them are read by one thread
_MAX_OPEN_PARTITIONS = 2000  # DuckDB's default of 100 cuts a partition into several files beyond it
# A quarter less work for files of the same size. By default twice as many different values are gathered before it is
# seen that there are too many for a dictionary; in a short row group a dictionary of so many makes the file larger.
_OF_MANY_TEXTS = ", COMPRESSION_LEVEL 1, DICTIONARY_SIZE_LIMIT 10000"
_ROWS_UNCUT = 1_000_000  # written into partitions by one statement, which keeps all of them in memory until its end
_ROWS_AT_ONCE = 500_000  # of more than that; fewer are not cut, as every part reads again what it is made of
_DEFECT = "it may be damaged data that the engine does not know as such: land it again, whole; else report this"
_SMALL = 8_000_000  # bytes of files: what reads more is sooner done by all cores than beside other steps by one
_UNPACKED = 12  # rows take about so many times the memory of the Parquet files they are read from
_MEMORY = "parse_formatted_bytes(current_setting('memory_limit'))"
AUTOMATIC = "auto"  # the memory limit that is made of the machine's memory
_LEAST_MEMORY, _MOST_MEMORY = 600_000_000, 4_000_000_000  # bytes of an automatic limit
LEAST_OF_A_CORE = 300_000_000  # bytes of an engine that has one core among others
_functions: list[Functions] = []  # what listing them gave, which takes as long as opening an engine


def literal(value: object) -> str:
    """Return a Python value as a SQL literal."""
    if isinstance(value, str):  # first, as nearly all are: the names of a table's files
        return "'" + value.replace("'", "''") + "'"
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not math.isfinite(value):
        return f"'{value}'::DOUBLE"
    if isinstance(value, int | float):
        return repr(value) if value >= 0 else f"({value!r})"  # -1::BIGINT would be -(1::BIGINT)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(literal(item) for item in value) + "]"
    return literal(str(value))


def identifier(name: str) -> str:
    """Return a column or table name, quoted so that any name is safe."""
    return '"' + name.replace('"', '""') + '"'


def automatic_memory(unlimited: int) -> int:
    """Return the bytes that the engine may take by itself: a quarter of the machine's memory, 600 MB to 4 GB.

    `unlimited` is the limit that the engine sets itself without one: 80 % of what the machine, or the control group
    that the process is in, has.
    """
    return max(_LEAST_MEMORY, min(unlimited * 100 // 80 // 4, _MOST_MEMORY))


def automatic_memory_of_core(unlimited: int, cores: int) -> int:
    """Return the bytes that an engine may take which has one of the machine's cores: its part of a quarter of all.

    At least 300 MB and at most 4 GB; `unlimited` is that of `automatic_memory`.
    """
    return max(LEAST_OF_A_CORE, min(unlimited * 100 // 80 // 4 // cores, _MOST_MEMORY))


@cache
def memory_of_core() -> int:
    """Return the bytes that an engine with one core of this machine, or of its control group, may take."""
    import _duckdb as duckdb

    with duckdb.connect() as connection:  # without settings: what the engine finds out about the machine
        [(unlimited, cores)] = connection.execute(f"SELECT {_MEMORY}, current_setting('threads')").fetchall()
    return automatic_memory_of_core(unlimited, cores)


@dataclass(frozen=True)
class Reject:
    """A line the CSV reader could not split: absolute file path, its number, why, and the raw line."""

    file: str
    line: int
    reason: str
    raw: str


@dataclass(frozen=True)
class RowId:
    """The column of a scan that numbers its rows by file and place: the first file has number `first_file`.

    The engine knows file and place by themselves, as columns that one of the files' own of the same name would hide.
    """

    ROWS_A_FILE = 1 << 40
    TAKEN = frozenset({"file_index", "file_row_number"})

    name: str
    first_file: int = 0


class DuckEngine:
    """One DuckDB connection with bounded memory that spills to `spill`.

    It opens once it is asked something. `memory_limit`: such as 2GB, or `auto`; `profile`: where what each statement
    took is kept, if anywhere; `small`: it does small steps alone, see `beside`; `share`: the part of that memory that
    it takes, one of so many.
    """

    def __init__(
        self,
        *,
        memory_limit: str,
        threads: int,
        spill: Path,
        profile: Profile | None = None,
        small: bool = False,
        share: int = 1,
    ) -> None:
        self.profile = profile
        self._config: dict[str, str | bool | int | float | list[str]] = {
            **({} if memory_limit == AUTOMATIC else {"memory_limit": memory_limit}),
            "threads": threads,
            "temp_directory": "" if small else str(spill),  # two engines at once must not share one
            "autoinstall_known_extensions": False,  # nothing is ever downloaded, whatever a statement asks for
            "autoload_known_extensions": False,
            "python_enable_replacements": False,  # no statement reads a variable of this program
        }
        self.threads = threads
        self._memory_limit, self._share = memory_limit, share
        self._spill = spill
        self._published: dict[str, str] = {}  # SELECTs by lake name
        self._run_date: date | None = None
        self._confined = False
        self._for_columns = False
        self.small = small
        self._homes = {"temp.main"}
        self._schemas: set[str] = set()  # of lake names, made already
        self._views: set[str] = set()
        self._closed = False
        self._types: dict[str, str] = {}  # of expressions without columns
        self._trees: dict[
            str, dict[str, Any]
        ] = {}  # parsed statements; each contract and model is asked more than once
        self._made: dict[str, list[str]] = {}  # types, by the SELECT of expressions over columns without rows
        self._names: dict[str, frozenset[str]] = {}  # of the columns in expressions
        self._awaited: list[Callable[[], Collection[str]]] = []  # statements to be parsed once one of them is wanted
        self._scanned: set[str] = set()
        self._objects: Files | None = None  # of object stores, once a statement is about one
        self._opening: threading.Thread | None = None
        self._ahead: list[duckdb.DuckDBPyConnection] = []  # what that thread has opened

    @cached_property
    def _connection(self) -> duckdb.DuckDBPyConnection:
        if self._closed:
            raise RuntimeError("the engine is closed")
        connection = self._opened_ahead() or self._connect()
        if "memory_limit" not in self._config or self._share > 1:
            [(memory,)] = connection.execute(f"SELECT {_MEMORY}").fetchall()
            memory = memory if "memory_limit" in self._config else automatic_memory(memory)
            connection.execute(f"SET memory_limit = '{memory // self._share}B'")
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET preserve_insertion_order = false")
        connection.execute("SET enable_progress_bar = false")
        connection.execute(f"SET partitioned_write_max_open_files = {_MAX_OPEN_PARTITIONS}")
        if self._run_date is not None:
            connection.execute(_run_date_sql(self._run_date))
        return connection

    def open_soon(self) -> None:
        """Begin to open, beside what this thread does next: it takes 20 ms, most of them without Python's lock.

        Whoever asks something first waits for it; where it went wrong, it is done again then, and told.
        """
        if self._opening is None and self._opened is None:
            self._opening = threading.Thread(target=self._open_ahead, name="engine", daemon=True)
            self._opening.start()

    def _open_ahead(self) -> None:
        with suppress(Exception):
            self._ahead.append(self._connect())

    def _opened_ahead(self) -> duckdb.DuckDBPyConnection | None:
        """Return what `open_soon` has opened, once: it waits for it."""
        if self._opening:
            self._opening.join()
            self._opening = None
        return self._ahead.pop() if self._ahead else None

    def _connect(self) -> duckdb.DuckDBPyConnection:
        import _duckdb as duckdb

        return duckdb.connect(config=self._config)

    @property
    def _opened(self) -> duckdb.DuckDBPyConnection | None:
        return self.__dict__.get("_connection")

    def close(self) -> None:
        """Close the connection; no statement can run afterwards."""
        self._closed = True
        for connection in (self._opened, self._opened_ahead()):
            if connection:
                connection.close()

    def rest(self) -> None:
        """Give back all memory: tables, streams and published names are gone. It opens again once it is asked."""
        if self._opened:
            self._opened.close()
        self._objects = None
        self.__dict__.pop("_connection", None)
        self.__dict__.pop("_scratch", None)
        self._homes, self._schemas, self._views, self._published = {"temp.main"}, set(), set(), {}

    def interrupt(self) -> None:
        """End the running statement, if there is one, with an error; another thread calls this."""
        if self._opened:
            self._opened.interrupt()

    def beside(self, count: int) -> DuckEngine:
        """Return one of `count` engines for small steps that go side by side while this one rests.

        Each has a core, a part of the memory, and tables and published names of its own: no step meets what another
        published under the same name. It never spills: what is too much for it is an OutOfMemoryError, which nobody
        but whoever does the step again, by the engine that all memory is for, comes to see.
        """
        engine = DuckEngine(
            memory_limit=self._memory_limit,
            threads=1,
            spill=self._spill,
            profile=self.profile,
            small=True,
            share=2 * count,  # this one keeps what its last step left in memory
        )
        engine._run_date = self._run_date
        for known in ("_awaited", "_made", "_names", "_trees", "_types"):  # what is true of every engine
            setattr(engine, known, getattr(self, known))
        return engine

    def admit(self, size: int) -> None:
        """Raise an OutOfMemoryError where reading so many bytes of files is no work for an engine of small steps.

        Where there is nothing to read the engine is not asked how much memory it has: that would open it.
        """
        if self.small and size and (size > _SMALL or not self.has_room_for(size)):
            raise OutOfMemoryError(f"{size:,} bytes to read beside other steps", fix="do the step alone")

    def _reopen(self) -> None:
        """Restart after an error of the engine's own, which may leave its database useless.

        What the run stands on is there again: the lake's names, the run's date, and what statements may read. Tables
        and streams of the step that failed are gone, and no other step reads them.
        """
        published = self._published
        self.rest()
        for table_id, sql in published.items():
            self.publish(table_id, sql)
        if self._confined:
            self.confine()

    @contextmanager
    def _running(self, sql: str) -> Iterator[None]:
        """Raise the engine's errors as ours, and restart it after an internal one."""
        import _duckdb as duckdb

        timed = self.profile.timed(sql) if self.profile else nullcontext()
        with _translated(sql), timed:
            if store.SCHEME in sql:
                self._reach_objects()
            try:
                yield
            except (duckdb.InternalException, duckdb.FatalException) as error:
                self._reopen()
                what = f"the engine stopped with an error of its own ({_first_line(error)})"
                raise DataError(what, where=_shown(sql), fix=_DEFECT) from error
            except duckdb.Error as error:
                failure = self._objects.take_failure() if self._objects else None
                if failure is None:
                    raise
                raise failure from error  # of which the engine hands on the text alone

    def _reach_objects(self) -> Files:
        """Return the objects of stores, which the engine reads and writes from now on."""
        if self._objects is None:
            from src.store.objects import Files

            self._objects = Files(self._spill)
            self._connection.register_filesystem(self._objects)
        return self._objects

    @contextmanager
    def for_columns(self, count: int) -> Iterator[None]:
        """Run the statements inside as so many columns need it.

        Every operator of every thread holds 2,048 values of every column, 32 KB; and to find common expressions the
        engine takes time and memory that grow with the square of the columns.
        """
        if count <= MANY_COLUMNS or self._for_columns:
            yield
            return
        self._for_columns = True
        self.execute("SET threads = 1; SET disabled_optimizers = 'common_subexpressions'")
        try:
            yield
        finally:
            self._for_columns = False
            with suppress(BoathouseError):  # a connection in trouble: what follows tells it, and runs slower
                self.execute(f"SET threads = {self.threads}; RESET disabled_optimizers")

    @contextmanager
    def in_order(self) -> Iterator[None]:
        """Let the statements inside write rows in the order in which they read them."""
        self.execute("SET preserve_insertion_order = true")
        try:
            yield
        finally:
            with suppress(BoathouseError):  # a connection in trouble: what follows tells it
                self.execute("SET preserve_insertion_order = false")

    # -- running SQL

    def execute(self, sql: str) -> None:
        """Run a statement whose result is not wanted."""
        with self._running(sql):
            self._connection.execute(sql)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""
        with self._running(sql):
            return self._connection.execute(sql).fetchall()

    def one(self, sql: str) -> tuple[Any, ...]:
        """Return the first row of a query."""
        return self.rows(sql)[0]

    def values(self, sql: str) -> list[Any]:
        """Return the first column of a query."""
        return [row[0] for row in self.rows(sql)]

    def columns(self, sql: str) -> dict[str, str]:
        """Return column names and DuckDB types a SELECT would return, without running it."""
        return {row[0]: _FIELD.sub(r'\1"\2" ', row[1]) for row in self.rows(f"DESCRIBE {sql}")}

    def columns_in(self, sql: str, file: Path) -> dict[str, str]:
        """Return what `columns` does of a statement that a file holds.

        Raises:
            ContractError: it does not bind; the error names the file and the line.
        """
        try:
            return self.columns(sql)
        except SqlMistake as mistake:
            raise mistake.in_file(file) from None

    def line_of(self, sql: str, column: str) -> int | None:
        """Return the line of a SELECT on which it makes a column; None where it does not name it."""
        node = self.parse(sql)["statements"][0]["node"]
        while node.get("type") == "SET_OPERATION_NODE":
            node = node.get("left") or node["children"][0]
        for item in node.get("select_list", ()):
            if (item.get("alias") or (item.get("column_names") or [""])[-1]) == column:
                return sql.encode()[: item["query_location"]].count(b"\n") + 1
        return None

    def column_references(self, expression: str) -> set[str]:
        """Return every name an SQL expression uses as a column, in lower case; parsed, not bound.

        Raises:
            ContractError: the expression does not parse.
        """
        return {name.lower() for name in self.column_names(expression)}

    def column_names(self, expression: str) -> set[str]:
        """Return the parts of an expression's column names as they are written; a lambda's parameters are none."""
        if expression not in self._names:
            self._names[expression] = frozenset(_column_names(self.parse(f"SELECT {expression}")))
        return set(self._names[expression])

    def table_references(self, sql: str) -> set[str]:
        """Return the tables a SELECT reads, such as silver.sales.order_lines; names of its own CTEs are not among them.

        Raises:
            ContractError: it does not parse, or is not one SELECT.
        """
        nodes = list(_nodes(self.parse(sql)))
        own = {entry["key"].lower() for node in nodes for entry in (node.get("cte_map") or {}).get("map", ())}
        tables = (node["qualified_name"]["path"] for node in nodes if node.get("type") == "BASE_TABLE")
        return {".".join(path) for path in tables if len(path) > 1 or path[0].lower() not in own}

    def inline(self, sql: str) -> str:
        """Return a statement as a person writes it, made fit to stand in brackets: cut at its semicolon."""
        import _duckdb as duckdb

        encoded = sql.encode()  # the tokens' places count bytes
        ends = [offset for offset, _ in duckdb.tokenize(sql) if encoded[offset : offset + 1] == b";"]
        return encoded[: ends[0] if ends else None].decode() + "\n"

    def looks_across_rows(self, sql: str) -> list[str]:
        """Return the constructs of a SELECT that make a row depend on others, sorted: aggregates, windows, ..."""
        return sorted({found for node in _nodes(self.parse(sql)) for found in self._across(node)})

    def _across(self, node: Mapping[str, Any]) -> Iterator[str]:
        kind = node.get("type")
        if node.get("class") == "WINDOW":
            yield "a window"
        if (
            node.get("class") == "FUNCTION"
            and (name := str(node["function_name"]).lower()) in self.functions.aggregates
        ):
            yield f"{name}()"
        if node.get("group_expressions") or node.get("aggregate_handling") == "FORCE_AGGREGATES":
            yield "GROUP BY"
        if kind in ("DISTINCT_MODIFIER", "LIMIT_MODIFIER", "LIMIT_PERCENT_MODIFIER"):
            yield str(kind).split("_")[0]
        if kind == "SET_OPERATION_NODE" and not (node["setop_type"] == "UNION" and node["setop_all"]):
            yield str(node["setop_type"])
        if kind == "JOIN" and _reads_table(node["left"]) and _reads_table(node["right"]):
            yield "a join"
        if node.get("class") == "SUBQUERY" and _reads_table(node["subquery"]):
            yield "a subquery"
        if node.get("sample"):
            yield "a sample"

    @property
    def version(self) -> str:
        """Return the version of DuckDB."""
        return _version()

    @property
    def functions(self) -> Functions:
        """Return the functions that the engine knows, which are those of every engine: none loads an extension."""
        if not _functions:
            from src.engine.functions import LISTED, Functions  # where statements are looked into: importing takes time

            _functions.append(Functions.from_rows(self.rows(LISTED)))
        return _functions[0]

    def type_of(self, expression: str) -> str:
        """Return the DuckDB type of an SQL expression without columns.

        Raises:
            BoathouseError: it has none.
        """
        if expression not in self._types:
            self._types[expression] = str(self.one(f"SELECT typeof({expression})")[0])
        return self._types[expression]

    def types_over(self, expressions: Sequence[str], columns: Mapping[str, str], prefix: str) -> list[str]:
        """Return the DuckDB types of SQL expressions over columns of these types, NULL where one cannot be computed.

        They are bound to columns without rows, as to bind them to the statement that makes these takes longer than to
        run it over a day. `prefix` begins no name in the expressions.

        Raises:
            BoathouseError: one has no type.
        """
        absent = ", ".join(f"NULL::{kind} AS {identifier(name)}" for name, kind in columns.items())
        made = ", ".join(f"TRY({text}) AS {identifier(f'{prefix}{nth}')}" for nth, text in enumerate(expressions))
        sql = f"SELECT {made} FROM (SELECT {absent})"
        if sql not in self._made:  # tables of one shape ask the same
            self._made[sql] = list(self.columns(sql).values())
        return self._made[sql]

    def unrepeatable(self, sql: str) -> dict[str, str]:
        """Return the calls in a SELECT that are no function of its rows, each with what to write instead.

        Such are now(), random() and the reading of files.

        Raises:
            ContractError: it does not parse, or is not one SELECT.
        """
        from src.engine import unrepeatable

        tree = self.parse(sql)
        return unrepeatable.find(_nodes(tree)) if unrepeatable.may_be_in(sql) else {}

    def looks_outside(self, sql: str) -> list[str]:
        """Return the calls in a SELECT that look at the engine or the machine in place of tables, sorted.

        Raises:
            ContractError: it does not parse, or is not one SELECT.
        """
        from src.engine import outside

        return outside.find(_nodes(self.parse(sql)))

    @property
    def run_date(self) -> date | None:
        """Return what run_date() is in SQL; None where it was not set."""
        return self._run_date

    def set_run_date(self, day: date) -> None:
        """Let run_date() be this day in all SQL that follows."""
        self._run_date = day
        if self._opened:
            self.execute(_run_date_sql(day))

    def parse(self, sql: str) -> dict[str, Any]:
        """Return a SELECT as DuckDB's own parser reads it: the tree that json_serialize_sql gives; not to be changed.

        Raises:
            ContractError: it does not parse, or is not one SELECT.
        """
        for statements in () if sql in self._trees else tuple(self._awaited):
            if sql in statements():
                self._awaited.clear()
                self.parse_together(statements())
        if sql in self._trees:
            return self._trees[sql]
        tree: dict[str, Any] = json.loads(self.one(f"SELECT json_serialize_sql({literal(sql)})")[0])
        if tree["error"]:
            raise UnparsedError(tree, sql, _shown(sql))
        if len(tree["statements"]) != 1:
            raise ContractError(f"{len(tree['statements'])} statements", where=_shown(sql), fix="write one SELECT")
        self._trees[sql] = tree
        return tree

    def parse_together(self, statements: Iterable[str]) -> None:
        """Parse many SELECTs in one go, a third of the time that one by one takes; `parse` then has them.

        One that does not parse is left to `parse`, which says why.
        """
        new = [sql for sql in dict.fromkeys(statements) if sql not in self._trees]
        with suppress(BoathouseError):
            texts = f"SELECT unnest({literal(new)}::VARCHAR[]) AS sql"
            for sql, text in self.rows(f"SELECT sql, json_serialize_sql(sql) FROM ({texts})"):
                tree = json.loads(text)
                if not tree["error"] and len(tree["statements"]) == 1:
                    self._trees[sql] = tree

    def parse_when_asked(self, statements: Callable[[], Collection[str]]) -> None:
        """Parse many SELECTs in one go once the first of them is wanted."""
        self._awaited[:] = [cache(statements)]

    def table(self, name: str, sql: str, *, large: bool = False) -> int:
        """Keep a SELECT's rows as a table until the engine closes; returns its rows.

        It lies in memory and spills when that is short; a `large` one is compressed on disk, where 10 million rows
        take a tenth of what they would spill. For few rows that takes longer.
        """
        table = identifier(name)
        made = f"CREATE OR REPLACE {f'TABLE {self._scratch}.' if large else 'TEMP TABLE '}{table} AS {sql}"
        rows = int(self.one(made)[0])
        for other in self._homes - {self._scratch if large else "temp.main"}:
            self.execute(f"DROP TABLE IF EXISTS {other}.{table}")  # one of the same name from before
        return rows

    def insert(self, name: str, sql: str) -> int:
        """Add a SELECT's rows to a table that `table` made; returns how many."""
        return int(self.one(f"INSERT INTO {identifier(name)} {sql}")[0])

    def delete(self, name: str, condition: str) -> int:
        """Take the rows that meet a condition out of a table that `table` made; returns how many."""
        return int(self.one(f"DELETE FROM {identifier(name)} WHERE {condition}")[0])

    def has_room_for(self, size: int) -> bool:
        """Return whether the rows of so many bytes of Parquet fit in memory, beside what is done with them."""
        return size * _UNPACKED * 2 <= self.memory

    @cached_property
    def memory(self) -> int:
        """Return the bytes of memory that the engine may take."""
        return int(self.one(f"SELECT {_MEMORY}")[0])

    @cached_property
    def _scratch(self) -> str:
        """Return the schema of large tables: a database without a log, in a file that no name leads to once it is open.

        So nothing is left of it, however the process ends.
        """
        self._spill.mkdir(parents=True, exist_ok=True)
        file = self._spill / f"{uuid.uuid4()}.duckdb"
        self.execute("SET checkpoint_on_detach = 'DISABLED'")
        self.execute(f"ATTACH {literal(file)} AS scratch (RECOVERY_MODE no_wal_writes)")
        file.unlink()
        self.execute("USE scratch")
        self._homes.add("scratch.main")
        return "scratch.main"

    def room(self) -> AbstractContextManager[Path]:
        """Make a folder for files that are needed for the length of a with-block, beside what is spilled."""
        return room_beside(self._spill)

    def view(self, name: str, sql: str) -> None:
        """Give a SELECT a name for the SQL that follows."""
        self.execute(f"CREATE OR REPLACE TEMP VIEW {identifier(name)} AS {sql}")
        self._views.add(name)

    def drop(self, name: str) -> None:
        """Forget the table or view of a name, if there is one."""
        if name in self._views:
            self.execute(f"DROP VIEW {identifier(name)}")
            self._views.remove(name)
            return
        for home in self._homes:
            self.execute(f"DROP TABLE IF EXISTS {home}.{identifier(name)}")

    def stream(self, name: str, batches: object) -> None:
        """Give an Arrow stream (a RecordBatchReader; readable once) or table a name SQL can read."""
        import duckdb  # noqa: F401  # which teaches connections to read Arrow

        self._connection.register(name, batches)

    def unstream(self, name: str) -> None:
        """Remove a stream's name from the engine."""
        self._connection.unregister(name)

    def arrow(self, sql: str, rows_per_batch: int = 50_000) -> Any:
        """Return a SELECT's rows as a stream of Arrow record batches."""
        import duckdb  # noqa: F401  # which adds `sql` to connections

        with self._running(sql):
            return self._connection.sql(sql).to_arrow_reader(rows_per_batch)

    # -- lake tables

    def scan(
        self,
        table: Snapshot,
        files: Iterable[DataFile] | None = None,
        columns: Mapping[str, str] | None = None,
        *,
        evolved: bool = False,
        located: bool = False,
        row_id: RowId | None = None,
    ) -> str:
        """Return SQL that reads a version of a table, or only these of its files and columns; see `scan_files`.

        A column that another program added is in none of the files written before it did.
        """
        kinds = table.columns if columns is None else columns
        evolved = evolved or contract.has_foreign_columns(kinds, table.properties)
        some = table.files if files is None else files
        keys = table.partition_by
        return self.scan_files(table.root, some, kinds, keys, evolved=evolved, located=located, row_id=row_id)

    def scan_files(
        self,
        root: Path,
        files: Iterable[DataFile],
        columns: Mapping[str, str],
        partition_by: Sequence[str] = (),
        *,
        evolved: bool = False,
        located: bool = False,
        row_id: RowId | None = None,
        file_name: str = "",
    ) -> str:
        """Return SQL that reads exactly these files of a table, with its columns in order and typed.

        Partition columns are not in the files; they are read from the hive-style folder names.
        `evolved`: some files may lack newer columns, which are then NULL. `located`: add _at (the
        file's absolute path) and _nth (the row's place in it); `row_id`: add a number that is one row's alone;
        `file_name`: add the file's absolute path under this name.
        """
        names = ", ".join(map(identifier, (*columns, file_name) if file_name else columns))
        names += ", _at, file_row_number AS _nth" if located else ""
        names += f", {identifier(row_id.name)}" if row_id else ""
        some = list(files)
        self.admit(sum(file.size for file in some))
        folder = str(root)
        paths = [os.path.join(folder, file.path) for file in some]
        if some and store.is_remote(folder):
            self._reach_objects().sizes.update(zip(paths, (file.size for file in some), strict=True))
        self._scanned.update(paths)
        empty = "SELECT " + ", ".join(f"NULL::{kind} AS {identifier(name)}" for name, kind in columns.items())
        if not paths:
            empty += ", NULL::VARCHAR AS _at, NULL::BIGINT AS _nth" if located else ""
            return f"({empty}{f', NULL::BIGINT AS {identifier(row_id.name)}' if row_id else ''} WHERE false)"
        hive = ""
        if partition_by:
            _refuse_misleading_folders(root, partition_by)
            # as text: DATE alone would be taken for a column of that name, of a table that this one is joined with
            kinds = ", ".join(f"{literal(name)}: {literal(columns[name])}" for name in partition_by)
            hive = f", hive_types = {{{kinds}}}"
        options = f"hive_partitioning = {literal(bool(partition_by))}{hive}, union_by_name = {literal(evolved)}"
        options += ", filename = '_at', file_row_number = true" if located else ""
        options += f", filename = {literal(file_name)}" if file_name else ""
        read = f"read_parquet({literal(paths)}, {options})"
        if row_id:
            number = f"(file_index::BIGINT + {row_id.first_file}) * {RowId.ROWS_A_FILE} + file_row_number"
            read = f"(SELECT *, {number} AS {identifier(row_id.name)} FROM {read})"
        if evolved:
            return f"(SELECT {names} FROM ({empty} WHERE false UNION ALL BY NAME SELECT * FROM {read}))"
        return f"(SELECT {names} FROM {read})"

    def publish(self, table_id: str, sql: str) -> None:
        """Make a SELECT readable under a lake name such as silver.sales.order_lines or ops.pipeline_runs."""
        *spaces, name = table_id.split(".")
        catalog = spaces[0]
        schema = identifier(catalog) + "." + identifier(spaces[1] if len(spaces) > 1 else "main")
        if schema not in self._schemas:
            self.execute(f"ATTACH IF NOT EXISTS ':memory:' AS {identifier(catalog)}")
            self.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
            self._schemas.add(schema)
        self.execute(f"CREATE OR REPLACE VIEW {schema}.{identifier(name)} AS {sql}")
        self._published[table_id] = sql

    def bound_spill(self, size: str) -> None:
        """Let the engine spill at most so much, such as 2GB."""
        self.execute(f"SET max_temp_directory_size = {literal(size)}")

    def confine(self, output: Path | None = None) -> None:
        """Allow only the lake's files scanned so far from now on: no other file, no network, no setting.

        `output`: a file that may be written.
        """
        allowed = sorted(self._scanned) + ([str(output)] if output else [])
        self.execute(f"SET allowed_paths = {literal(allowed)}")
        self.execute("SET enable_external_access = false; SET lock_configuration = true")
        self._confined = True

    def write(
        self, sql: str, root: Path, partition_by: Sequence[str] = (), rows: int = 0, *, many_texts: bool = False
    ) -> list[DataFile]:
        """Write a SELECT's rows as new Parquet files below a table's folder; returns those with rows.

        Nothing refers to the files yet: if the process dies here, readers see nothing of them.
        `rows`: about how many there are; many are written into partitions a part at a time.
        `many_texts`: values are text, and so many that they fill row groups.

        Raises:
            DataError: a partition value is empty text; no file is left.
            MachineError: the disk is full, ...; no file is left.
        """
        if partition_by and rows > _ROWS_UNCUT:
            return self.write_parts(self._parts(sql, identifier(partition_by[0])), root, partition_by)
        return self.write_parts([sql], root, partition_by, many_texts=many_texts)

    def write_parts(
        self, parts: Sequence[str], root: Path, partition_by: Sequence[str] = (), *, many_texts: bool = False
    ) -> list[DataFile]:
        """Write the rows of several SELECTs as `write` does those of one, one after the other.

        Raises:
            DataError: a partition value is empty text; no file is left.
            MachineError: the disk is full, ...; no file is left.
        """
        if not store.is_remote(root) and not os.path.isdir(root):
            raise MachineError("no such table folder", where=root)
        options = "FORMAT parquet, COMPRESSION zstd, RETURN_STATS" + (_OF_MANY_TEXTS if many_texts else "")
        if partition_by:
            keys = ", ".join(identifier(name) for name in partition_by)
            options += f", PARTITION_BY ({keys}), FILENAME_PATTERN 'part-{{uuid}}', OVERWRITE_OR_IGNORE"
        files: list[DataFile] = []
        try:
            for part in parts:
                target = root if partition_by else root / f"part-{uuid.uuid4()}.parquet"
                files += self._copied(part, target, root, options)
            if any(value == "" for file in files for value in file.partition.values()):
                what = f"empty text as a value of the partition columns {', '.join(partition_by)}"
                raise DataError(what, where=root, fix="Delta cannot tell it from NULL: give these rows another value")
        except BoathouseError:
            discard(root, files)
            raise
        _share_folders(root, files)
        return files

    def _copied(self, sql: str, target: Path, root: Path, options: str) -> list[DataFile]:
        files = []
        written = self.rows(f"COPY ({sql}) TO {literal(target)} ({options})")
        for path, rows, size, _footer, statistics, partition, *_ in written:
            if rows == 0:
                store.remove(root, [os.path.relpath(path, str(root))])
                continue
            files.append(
                DataFile(os.path.relpath(path, str(root)), size, rows, dict(partition or {}), _bounds(statistics))
            )
        return files

    def _parts(self, sql: str, column: str) -> list[str]:
        """Return a SELECT cut into SELECTs of some _ROWS_AT_ONCE rows, none of which shares a value of a column.

        Rows come in about the order of their partitions, so that a part reads little beside its own.
        """
        counted = f"SELECT {column} AS value, count(*) AS rows FROM ({sql}) WHERE {column} IS NOT NULL GROUP BY 1"
        placed = f"SELECT value, sum(rows) OVER (ORDER BY value) // {_ROWS_AT_ONCE} AS part FROM ({counted})"
        ends = self.values(f"SELECT max(value) FROM ({placed}) GROUP BY part ORDER BY 1")[:-1]
        below = [f"{column} <= {literal(end)}" for end in ends]
        above = [f"{column} > {literal(end)}" for end in ends]
        last = [f"{above[-1]} OR {column} IS NULL"] if ends else ["true"]
        between = [f"{low} AND {high}" for low, high in zip(above, below[1:], strict=False)]
        return [f"SELECT * FROM ({sql}) WHERE {condition}" for condition in [*below[:1], *between, *last]]

    # -- what the CSV reader could not split

    def take_rejects(self) -> list[Reject]:
        """Return the lines that CSV reads since the last call put aside with `store_rejects`, in file order."""
        try:
            if not self.rows("SELECT 1 FROM reject_errors LIMIT 1"):  # as nearly always: to plan the other takes longer
                return []
            rows = self.rows(
                "SELECT DISTINCT s.file_path, e.line, first(e.error_type || ': ' || e.error_message), "
                "first(e.csv_line) FROM reject_errors e JOIN reject_scans s USING (scan_id, file_id) "
                "GROUP BY ALL ORDER BY 1, 2"
            )
        except SqlMistake:  # there is no such table: no CSV was read
            return []
        self.execute("DROP TABLE reject_errors; DROP TABLE reject_scans")
        return [Reject(file, line, reason, raw or "") for file, line, reason, raw in rows]


@cache
def _version() -> str:
    """Return the version of the library as its folder beside it says, which loads nothing."""
    spec = importlib.util.find_spec("duckdb")
    folder = Path(spec.origin).parent.parent if spec and spec.origin else Path()
    versions = [path.name for path in folder.glob("duckdb-*.dist-info")]
    if len(versions) == 1:
        return versions[0].removeprefix("duckdb-").removesuffix(".dist-info")
    import duckdb  # installed in another way

    return duckdb.__version__


def _run_date_sql(day: date) -> str:
    from src.engine.unrepeatable import RUN_DATE

    return f"CREATE OR REPLACE TEMP MACRO {RUN_DATE}() AS {literal(day)}::DATE"


@contextmanager
def _translated(sql: str) -> Iterator[None]:
    """Raise DuckDB's errors as ours, so that no other module has to know them."""
    import _duckdb as duckdb

    try:
        yield
    except BoathouseError:
        raise
    except (
        duckdb.ParserException,
        duckdb.BinderException,
        duckdb.CatalogException,
        duckdb.SyntaxException,
    ) as error:
        raise SqlMistake(str(error), _shown(sql)) from error
    except duckdb.PermissionException as error:
        fix = "name a table as layer.domain.table: a query reads the tables of the lake and nothing else"
        raise UsageError(_first_line(error), where=_shown(sql), fix=fix) from error
    except duckdb.OutOfMemoryException as error:
        fix = "free some space or memory (MEMORY_LIMIT), then run again: nothing half-written is visible"
        spills = "temp_directory" in str(error) and "no temporary directory" not in str(error)
        kind = MachineError if spills else OutOfMemoryError
        raise kind(_first_line(error), where=_shown(sql), fix=fix) from error
    except duckdb.IOException as error:
        raise _io_error(error, sql) from error
    except duckdb.Error as error:
        raise DataError(_first_line(error), where=_shown(sql)) from error
    except UnicodeDecodeError as error:  # a damaged file, in a value or in the engine's own words on it
        raise DataError(f"bytes that are no text: {error.reason}", where=_shown(sql)) from error
    except OSError as error:
        raise from_os_error(error) from error


def _io_error(error: duckdb.IOException, sql: str) -> BoathouseError:
    text = str(error)
    if any(sign in text for sign in _NO_ROOM):
        fix = "free some space, then run again: nothing half-written is visible"
        return MachineError("no space left on device", where=_shown(sql), fix=fix)
    if "Permission denied" in text:
        fix = "give the user that runs the pipeline access to it"
        return MachineError(_first_line(error), where=_shown(sql), fix=fix)
    if gone := _GONE.search(text):
        fix = (
            "where another program vacuumed the table, `make pipeline` makes a new release; `make check` names the rest"
        )
        return DataError(f"{gone[1]} is gone", where=_shown(sql), fix=fix)
    return DataError(_first_line(error), where=_shown(sql))


def _share_folders(root: Path, files: Iterable[DataFile]) -> None:
    """Give the folders of new files the mode of their table's: the engine makes none that a group may write."""
    if store.is_remote(root):
        return
    mode = stat.S_IMODE(root.stat().st_mode)
    folders = {folder for file in files for folder in Path(file.path).parents if folder.name}
    for folder in map(root.joinpath, folders):
        with suppress(OSError):  # another user's of the group, who made it so
            if stat.S_IMODE(folder.stat().st_mode) != mode:
                folder.chmod(mode)


def _refuse_misleading_folders(root: Path, partition_by: Sequence[str]) -> None:
    """Refuse a table below a folder `<partition column>=...`.

    DuckDB takes partition values from any folder of a path, also from those above the table.
    """
    wanted = {name.lower() for name in partition_by}
    for folder in str(root).split("/") if store.is_remote(root) else root.absolute().parts:
        if "=" in folder and folder.partition("=")[0].lower() in wanted:
            fix = "rename the folder, or move the lake (DATA_DIR)"
            raise MachineError(f"the folder {folder} above the table looks like a partition", where=root, fix=fix)


def _bounds(statistics: Mapping[str, Mapping[str, str]]) -> dict[str, tuple[str, str]]:
    """Return the least and greatest value, as text, of the columns of a written file that have a value in every row.

    Of text and numbers with a fraction that is not always the exact value.
    """
    return {
        name[1:-1].replace('""', '"'): (facts["min"], facts["max"])
        for name, facts in statistics.items()
        if facts.get("null_count") == "0" and "min" in facts and "max" in facts
    }


def _reads_table(tree: object) -> bool:
    return any(node.get("type") == "BASE_TABLE" for node in _nodes(tree))


def _nodes(tree: object) -> Iterator[dict[str, Any]]:
    """Yield every object of a parsed statement's JSON tree."""
    if isinstance(tree, dict):
        yield tree
        tree = list(tree.values())
    if isinstance(tree, list):
        for part in tree:
            yield from _nodes(part)


def _column_names(tree: object, parameters: frozenset[str] = frozenset()) -> Iterator[str]:
    """Yield the parts of the column names in a parsed statement, but for those of a lambda's parameters around them."""
    if isinstance(tree, list):
        for part in tree:
            yield from _column_names(part, parameters)
    if not isinstance(tree, dict):
        return
    names = tree.get("column_names") or ()
    if names and names[0].lower() not in parameters:
        yield from names
    is_lambda = tree.get("syntax_type") == "LAMBDA_KEYWORD"  # an arrow may as well be that of JSON
    if is_lambda:
        parameters |= {name.lower() for name in _column_names(tree["lhs"])}
    for part in [tree["expr"]] if is_lambda else tree.values():
        yield from _column_names(part, parameters)


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _shown(sql: str, limit: int = 400) -> str:
    text = " ".join(sql.split())
    return text if len(text) <= limit else text[:limit] + " ..."
