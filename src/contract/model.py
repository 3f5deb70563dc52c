"""What a contract declares: feeds, tables and marts, and what each of them promises."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from src.contract.patterns import FilePattern

if TYPE_CHECKING:
    from open_data_contract_standard.model import OpenDataContractStandard

    from src.contract.ml import MlModel

TIMESTAMP = "TIMESTAMP WITH TIME ZONE"  # as DuckDB's DESCRIBE names it; times are kept in UTC
MOMENTS = ("DATE", TIMESTAMP)
INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT")
_RUN_DATE = re.compile(r"\brun_date\"?(\s|--.*|/\*.*?\*/)*\(", re.IGNORECASE)
# the columns of every silver row that say where it came from
PROVENANCE = {"_file": "VARCHAR", "_row": "BIGINT", "_ingested_at": TIMESTAMP}

OPERATORS = (  # of an expectation
    "mustBe",
    "mustNotBe",
    "mustBeGreaterThan",
    "mustBeGreaterOrEqualTo",
    "mustBeLessThan",
    "mustBeLessOrEqualTo",
    "mustBeBetween",
    "mustNotBeBetween",
)
SEVERITIES = ("error", "warning")  # an error stops the write
AGGREGATES = {  # of a measure, each in words
    "sum": "added up",
    "avg": "averaged",
    "min": "the least",
    "max": "the greatest",
    "last": "added up within a day; of a longer span its last day",
}


class Unit(NamedTuple):
    """A unit of time: its hours, what happens once in it, and how else it is spelled."""

    hours: float
    rate: str
    spellings: tuple[str, ...]


UNITS = {  # a month is a twelfth of 365 days
    "min": Unit(1 / 60, "every minute", ("minute", "minutes")),
    "h": Unit(1, "hourly", ("hr", "hour", "hours")),
    "d": Unit(24, "daily", ("day", "days")),
    "w": Unit(168, "weekly", ("week", "weeks")),
    "mo": Unit(730, "monthly", ("month", "months")),
    "y": Unit(8760, "yearly", ("yr", "year", "years")),
}


@dataclass(frozen=True)
class Source:
    """One source that a connector asks for a feed's files.

    `name` is that of its credentials, SOURCE_<NAME>_<KEY>, and what its records call it.
    """

    connector: str
    name: str
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)  # the connector's own, as they are written


@dataclass(frozen=True)
class Names:
    """The names of columns that the header of a file gives none, or one twice; by default such a file is refused."""

    unnamed: str = ""  # what columns without a name are called: index, index_2, ...
    repeated: bool = False  # whether a name that comes again is numbered: amount, amount_2


@dataclass(frozen=True)
class Feed:
    """One stream of files: where they land and how they are read. Bronze has one table per feed."""

    domain: str
    name: str
    path: str  # glob below the landing zone, for example sales/order_lines/*.csv
    format: str  # csv | fixed | ndjson | json | xml | parquet | avro | orc | xlsx
    delimiter: str = ","
    encoding: str = "utf-8"
    encoding_stated: bool = field(default=True, compare=False)  # else a file's byte order mark may say another
    quote: str = '"'
    escape: str = '"'
    header: bool | int | str | tuple[int, int] = True  # the line it is in; auto; the first and last of several lines
    skip_footer: int = 0  # lines at the end of a file that are no rows
    names: Names = Names()
    columns: tuple[str, ...] = ()  # names where the file has no header
    sheet: str | None = None  # of a workbook: its name, or "*" for all visible; default the first visible
    record_path: tuple[str, ...] = ()  # the keys or elements that lead to the records
    fixed_width: tuple[tuple[str, int, int], ...] = ()  # columns: name, first and last character, from 1
    decimal: str = "."  # what stands before the fraction of a number
    thousands: str = ""  # what sets its thousands apart; default nothing
    source: Source | None = None  # who brings its files; None: somebody lands them
    null_values: tuple[str, ...] = ()  # texts that mean NULL, in the order of the alphabet
    declared_in: Path | None = field(default=None, compare=False)
    reads: tuple[str, ...] = field(default=(), compare=False)  # columns that its tables read, in lower case; () unknown

    @property
    def header_lines(self) -> tuple[int, int] | None:
        """Return the first and last line of the header, from 1; None where the contract does not name them."""
        if isinstance(self.header, tuple):
            return self.header
        return (self.header, self.header) if type(self.header) is int else None

    @property
    def id(self) -> str:
        """Return the feed's id, which is that of its bronze table: bronze.<domain>.<name>."""
        return f"bronze.{self.domain}.{self.name}"

    @property
    def pull_id(self) -> str:
        """Return the id of the step that pulls its files from its source: landing.<domain>.<name>."""
        return f"landing.{self.domain}.{self.name}"


@dataclass(frozen=True)
class Seed:
    """A small table that lies beside the contracts, in git: src/silver/<domain>/seeds/<name>.csv or .yaml."""

    domain: str
    name: str
    path: Path

    ENDINGS: ClassVar[Mapping[str, str]] = {".csv": ".csv", ".yaml": ".ndjson"}  # each with that of what lands

    @property
    def id(self) -> str:
        """Return the id of the step that lands it: seeds.<domain>.<name>."""
        return f"seeds.{self.domain}.{self.name}"

    @property
    def shown(self) -> str:
        """Return its path in the project, as a person knows it."""
        return "/".join(self.path.parts[-5:])

    @property
    def lands_as(self) -> str:
        """Return the names that its files have in the landing zone: <domain>/seeds/<name>@<moment>.csv, packed."""
        return f"{self.domain}/seeds/{self.name}@*{self.ENDINGS[self.path.suffix]}"

    def is_taken_by(self, feed: Feed) -> bool:
        """Return whether the path of a feed takes its files."""
        return FilePattern(feed.path).may_take(self.lands_as.replace("*", "20000101T000000000000Z"))

    def is_file(self, name: str) -> bool:
        """Return whether a file of this name, relative to the landing zone, is one of its own."""
        return FilePattern(self.lands_as).may_take(name)


@dataclass(frozen=True)
class Rule:
    """A row rule: kind is an ODCS option name (minimum, maximum, pattern, enum, ...)."""

    kind: str
    value: object  # enum: a tuple; a bound of a date or timestamp: ISO text, UTC where it names no zone


def shown_type(kind: str) -> str:
    """Return a type as a person writes it; the names of a struct's fields keep their capitals."""
    parts = kind.replace(TIMESTAMP, "TIMESTAMP").split('"')  # every second one is a name
    return "".join(part if at % 2 else part.lower() for at, part in enumerate(parts))


@dataclass(frozen=True)
class Column:
    name: str
    type: str  # canonical DuckDB type: VARCHAR, BIGINT, DECIMAL(18,3), DATE, TIMESTAMP WITH TIME ZONE, ...
    expression: str | None = None  # transformLogic; None means the source column of the same name
    required: bool = False
    optional: bool = False  # silver only: NULL as long as no file has brought what only this column reads
    unique: bool = False
    rules: tuple[Rule, ...] = ()
    description: str = ""
    classification: str | None = None
    feature: bool = False  # gold only: whether models of machine learning learn from it
    mask: str | None = None  # one of MASKS: what people read in place of a value, where its classification is masked
    drift: tuple[float, float] | None = None  # watched: from which PSI on its values moved somewhat, and clearly
    non_finite: bool = False  # gold only: whether infinity and NaN pass for numbers
    form: str | None = None  # of text: time (HH:MM:SS, with what there is of a second) or json
    parts: tuple[Column, ...] = ()  # of an object its properties, of a list what each item is

    @property
    def read_as(self) -> str:
        """Return the type that a value is read as: its own, but TIME or JSON where the text has a form."""
        return self.form.upper() if self.form else self.type

    @property
    def shown_type(self) -> str:
        """Return the type as a person writes it: decimal(18,2), timestamp, struct(id bigint)[]."""
        return self.form or shown_type(self.type)

    @property
    def is_numeric(self) -> bool:
        """Return whether its values are numbers."""
        return self.type in (*INTEGERS, "FLOAT", "DOUBLE") or self.type.startswith("DECIMAL(")

    def hides_its_source(self, names: Callable[[str], Collection[str]]) -> bool:
        """Return whether the column is an expression over a file's column of the same name.

        `names` gives the names in an expression, as they are written.
        """
        if self.expression is None or self.expression.strip().strip('"') == self.name:
            return False
        return self.name in names(self.expression)


class Share(NamedTuple):
    """A number of rows, or a share of them: the most of a load that may be rejected, or of a table removed."""

    value: float
    unit: str  # percent | rows

    def __str__(self) -> str:
        return f"{self.value:g} {'%' if self.unit == 'percent' else 'row' if self.value == 1 else 'rows'}"


@dataclass(frozen=True)
class Expectation:
    """One audit of `quality[]`: a number a metric or a query gives, and what it must be."""

    kind: str  # library | sql
    operator: str  # one of OPERATORS
    bound: object  # a number; sql: also a boolean; ...Between: (low, high)
    column: str | None = None  # None: the whole table
    metric: str | None = None  # library: nullValues, missingValues, invalidValues, duplicateValues, rowCount
    query: str | None = None  # sql: `${object}` stands for the table, and nothing else for anything
    unit: str = "rows"  # rows | percent
    severity: str = "error"  # one of SEVERITIES
    dimension: str | None = None
    arguments: tuple[tuple[str, object], ...] = ()
    id: str | None = None
    description: str = ""


@dataclass(frozen=True)
class Relationship:
    """A foreign key: these columns hold values that those columns of another table have."""

    columns: tuple[str, ...]
    to_table: str  # id
    to_columns: tuple[str, ...]
    severity: str = "error"  # one of SEVERITIES


@dataclass(frozen=True)
class Sla:
    """A promise about a table or, where `column` is set, measured by that column."""

    property: str  # latency | frequency | retention | anything else, which is documentation
    value: object
    unit: str | None = None  # latency, frequency, retention: one of UNITS
    element: str | None = None
    column: str | None = None
    driver: str | None = None
    description: str = ""

    def hours(self) -> float:
        """Return the span of a latency, frequency or retention (and of these only)."""
        return float(str(self.value)) * UNITS[self.unit or ""].hours

    def rate(self) -> str:
        """Return a frequency in words: daily, every 6 hours."""
        unit = UNITS[self.unit or ""]
        return unit.rate if self.value == 1 else f"every {self.value} {unit.spellings[-1]}"


@dataclass(frozen=True)
class Watch:
    """The series of a long table, each watched by itself: the rows with the same values of `by`, a number a day."""

    by: tuple[str, ...]
    value: str  # the column that holds the number
    source: str | None = None  # the member of `by` that says who brings a row
    dictionary: str | None = None  # id of the table that says, by columns of the same names, which series may exist


@dataclass(frozen=True)
class Measure:
    """The number that a gold table is looked at for, and how it adds up over the rows of a day or a longer span."""

    column: str
    aggregate: str  # one of AGGREGATES
    by: str | None = None  # the column by whose values it is looked at first
    weight: str | None = None  # of an average: the column that says how much a row counts


@dataclass(frozen=True)
class Table:
    """One silver table or one table of a gold mart, as its contract declares it."""

    layer: str  # silver | gold
    domain: str  # the domain, or the mart
    name: str
    version: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()  # empty: all columns together are the key
    partition_by: tuple[str, ...] = ()
    sequence_by: tuple[str, ...] = ()
    feeds: tuple[Feed, ...] = ()  # silver only
    sources: tuple[str, ...] = ()  # gold only: ids of the tables a Python model reads; of SQL the caller knows
    sql: str | None = None  # text of the sibling <table>.sql
    python: Path | None = None  # gold only: the sibling <table>.py
    refresh: str = "incremental"  # incremental | full | partitions: the author's word that partitions stand alone
    lookback: int = 0  # how many earlier partitions a partition's rows depend on
    optional_sources: tuple[str, ...] = ()  # gold only: those of its sources that count as empty until they are built
    soft_sources: tuple[str, ...] = ()  # gold only: optional ones that are read as they last were good where they fail
    description: str = ""
    path: Path = Path()
    z_order_by: tuple[str, ...] = ()  # columns by which `make optimize` lays rows together
    delete_when: str | None = None  # silver only: SQL condition over the typed columns
    history: str = "scd1"  # silver only: scd1 | scd2
    quality: tuple[Expectation, ...] = ()
    relationships: tuple[Relationship, ...] = ()
    slas: tuple[Sla, ...] = ()
    owner: str = ""
    business_date: str | None = None  # the column, of one of MOMENTS, that the business dates a row by
    critical: bool = False  # somebody is woken when yesterday is not in it
    watch: Watch | None = None  # of a long table: how its rows are series
    measure: Measure | None = None  # gold only: what it is looked at for
    event_time: str | None = None  # gold only: the column that dates the event that a row of features is of
    # with event_time, by source: src/contract/features.py
    known_at: Mapping[str, Mapping[str, str]] | None = field(default=None, hash=False)
    scored_by: str | None = None  # gold only: id of the model of machine learning that makes its rows
    sequence_as_text: bool = False  # silver only: text of sequence_by is ordered as text, on purpose
    on_conflict: str | None = None  # silver only: fail | quarantine | last; None: rows win as ever, and it is noted
    max_rejected: Share | None = None  # silver only: of a load; None: what src/silver/rejects.py takes for too many
    status: str = "active"  # of the contract; a draft's rows may change under one version
    replaces: tuple[str, ...] | None = None  # silver only: the columns of a slice that a file states whole; (): all
    max_removed: Share | None = None  # of what a statement may remove; None: what src/silver/removals.py takes for it
    run_date: date | None = None  # of a table whose SQL asks for run_date(): what it is, an input like any other

    @property
    def id(self) -> str:
        """Return the table's id: <layer>.<domain>.<name>."""
        return f"{self.layer}.{self.domain}.{self.name}"

    @property
    def features(self) -> tuple[str, ...]:
        """Return the columns that models of machine learning learn from."""
        return tuple(column.name for column in self.columns if column.feature)

    @property
    def declared_sources(self) -> tuple[str, ...]:
        """Return its sources that a contract declares as tables: all but the versions of the model that scores it."""
        return tuple(name for name in self.sources if name != self.scored_by)

    @property
    def is_draft(self) -> bool:
        """Return whether the contract is a draft, whose changes ask for no new version."""
        return self.status == "draft"

    @property
    def is_retired(self) -> bool:
        """Return whether the contract is retired: the rows stay, and nobody waits for more."""
        return self.status == "retired"

    @property
    def promises_news(self) -> bool:
        """Return whether somebody waits for new rows: a `latency` or `frequency`, and not retired."""
        return not self.is_retired and any(sla.property in ("latency", "frequency") for sla in self.slas)

    @property
    def latency_hours(self) -> float | None:
        """Return how old the table may be, in hours, by its `latency`; None where it has none, or is retired."""
        latencies = [sla.hours() for sla in self.slas if sla.property == "latency"]
        return None if self.is_retired else min(latencies, default=None)

    @property
    def measured_by(self) -> str | None:
        """Return the column of one of MOMENTS that a measure is drawn over; None where there is none.

        It is the only one of the key, else the business date: a table of days may be partitioned, and dated, by month.
        """
        moments = [column.name for column in self.columns if column.type in MOMENTS and column.name in self.key]
        return moments[0] if len(moments) == 1 else self.business_date

    @property
    def sequence_expressions(self) -> tuple[str, ...]:
        """Return the members of sequence_by that are SQL over the table's columns, not names."""
        names = {column.name for column in self.columns}
        return tuple(item for item in self.sequence_by if item not in names)

    def sequence_columns(self, names: Callable[[str], Collection[str]]) -> tuple[str, ...]:
        """Return the columns that sequence_by reads; `names` gives the names in an expression, in lower case."""
        expressions = self.sequence_expressions
        read = {name for item in self.sequence_by for name in (names(item) if item in expressions else (item,))}
        return tuple(column.name for column in self.columns if column.name in read)

    @property
    def texts_in_sequence(self) -> tuple[str, ...]:
        """Return the columns of sequence_by that are ordered as text without `sequenceAsText` saying so."""
        texts = {column.name for column in self.columns if column.read_as == "VARCHAR"}
        return () if self.sequence_as_text else tuple(item for item in self.sequence_by if item in texts)

    def reads_of_files(self, columns: Collection[str], names: Callable[[str], Collection[str]]) -> set[str]:
        """Return the names of the source, in lower case, that columns are made of, through others of the table or not.

        `names` gives the names in an expression, as they are written.
        """
        own = {column.name: column for column in self.columns}
        made = {column.name for column in self.columns if column.hides_its_source(names)}
        read, seen, left = set[str](), set[str](), list(columns)
        while left:
            if (name := left.pop()) in seen:
                continue
            seen.add(name)
            expression = own[name].expression
            for written in names(expression) if expression else (name,):
                is_own = written.lower() in own and written not in made and written.lower() != name
                left += [written.lower()] if is_own else []
                read |= set() if is_own else {written.lower()}
        return read

    @property
    def reads_run_date(self) -> bool:
        """Return whether the SQL that makes its rows asks for run_date()."""
        texts = [self.sql, self.delete_when, *(column.expression for column in self.columns)]
        return any(_RUN_DATE.search(text) for text in texts if text)

    @property
    def model(self) -> Path:
        """Return where its SQL or Python lies; of a scored table its contract, and in silver there may be neither."""
        return self.path if self.scored_by else self.python or self.path.with_name(f"{self.name}.sql")

    @property
    def row_columns(self) -> dict[str, str]:
        """Return the columns of a row and their types: the contract's and, in silver, the provenance."""
        declared = {column.name: column.type for column in self.columns}
        return declared | PROVENANCE if self.layer == "silver" else declared

    @property
    def stored_columns(self) -> dict[str, str]:
        """Return the columns of the table on disk: a row's and, with history scd2, its validity."""
        if self.history != "scd2":
            return self.row_columns
        moment = next(column.type for column in self.columns if column.name == self.sequence_by[0])
        return self.row_columns | {"_valid_from": moment, "_valid_to": moment, "_is_current": "BOOLEAN"}


@dataclass(frozen=True)
class Mart:
    """A gold folder: tables that share one contract, one version and one owner."""

    name: str
    version: str
    title: str
    owner: str
    purpose: str
    usage: str
    limitations: str
    support: tuple[str, ...]  # channels, with their address where there is one
    refresh: str  # daily, every 6 hours, ...
    tables: tuple[Table, ...]
    path: Path
    document: Mapping[str, Any] = field(compare=False, repr=False)

    @cached_property
    def odcs(self) -> OpenDataContractStandard:
        """Return the contract as the standard's pydantic model; importing that costs more than loading contracts."""
        from open_data_contract_standard.model import OpenDataContractStandard

        return OpenDataContractStandard(**self.document)


@dataclass(frozen=True)
class Contracts:
    feeds: dict[str, Feed]  # by id
    silver: dict[str, Table]  # by id
    gold: dict[str, Table]  # by id, in the order of the contracts
    marts: dict[str, Mart]  # by name
    notes: tuple[str, ...] = ()  # what is no error, and somebody should know
    models: dict[str, MlModel] = field(default_factory=dict)  # of machine learning, by id
    seeds: tuple[Seed, ...] = ()  # that lie beside them

    def seeds_of(self, feeds: Iterable[Feed]) -> list[Seed]:
        """Return the seeds that one of these feeds takes."""
        feeds = list(feeds)
        return [seed for seed in self.seeds if any(map(seed.is_taken_by, feeds))]

    def latest_wins(self, feed: Feed) -> bool:
        """Return True if a table of a feed keeps, of the rows of a key or of a slice, those that arrived last."""
        readers = self.readers.get(feed.id, ())
        return any(table.replaces is not None for table in readers) or any(
            table.key and (not table.sequence_by or table.on_conflict == "last") for table in readers
        )

    @cached_property
    def readers(self) -> dict[str, list[Table]]:
        """Return the silver tables that read each feed, by its id."""
        found: dict[str, list[Table]] = {}
        for table in self.silver.values():
            for feed_id in {feed.id for feed in table.feeds}:
                found.setdefault(feed_id, []).append(table)
        return found
