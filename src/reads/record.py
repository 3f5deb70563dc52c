"""One read as it is recorded: who read which columns of which tables, how much came of it, and how long it took.

What a statement holds in quotes, and every number in it, may be personal data: its pattern has a `?` in their place,
and so has the error of one that failed. No secret of the settings is in either.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from src import contract, spool
from src.contract import Contracts
from src.engine import HIDDEN
from src.errors import BoathouseError, DataError
from src.reads.classes import classify
from src.settings import Settings, struck

TABLE = "ops.access"
FOLDER = ".access"  # of the spool, below the data folder
_LONGEST = 1_000  # characters of a pattern or an error


@dataclass(frozen=True)
class Read:
    """One read; `moment` in UTC. Every reader of a column has it by the tables that the lake stores, views resolved."""

    moment: datetime
    user: str  # of the system; "ann, from the page" of the page
    kind: str  # query | export | page | report | restore | notebook | preview | quarantine | inspect | describe
    tables: str  # a JSON list
    columns: str  # a JSON object: the columns that were read, by table; of a count of rows none
    classified: str  # a JSON object: the class of each of these columns that has one, by table.column
    masked: bool  # whether a classified column was masked for this user
    rows: int | None  # that were given; None where it failed
    bytes: int | None  # of the tables' files, in the versions that were read
    seconds: float
    pattern: str  # the statement without its literals; "" where there is none
    failed: bool
    error: str  # "" where it did not fail


@dataclass
class Reading:
    """A read that is going on: whoever reads says here what it reads, and what came of it."""

    columns: dict[str, tuple[str, ...]] = field(default_factory=dict)  # by table
    classified: dict[str, str] = field(default_factory=dict)  # by table.column
    masked: bool = False
    rows: int | None = None
    bytes: int | None = None
    pattern: str = ""
    contracts: Contracts | None = None  # of the project, where whoever reads has them
    hidden: tuple[str, ...] = ()  # what the statement holds in quotes: no part of an error that is recorded

    def of_table(self, table: str, columns: Collection[str], rows: int | None = None) -> None:
        """Say that these columns of a table are read."""
        self.columns[table] = tuple(dict.fromkeys((*self.columns.get(table, ()), *columns)))
        self.rows = self.rows if rows is None else (self.rows or 0) + rows


@contextmanager
def recorded(
    settings: Settings,
    kind: str,
    user: str,
    *,
    warn: Callable[[str], None] = lambda text: print(text, file=sys.stderr),
) -> Iterator[Reading]:
    """Record what a person reads within a with-block, and how it ends; a read goes on where it cannot be recorded."""
    reading, began, moment = Reading(), time.monotonic(), datetime.now(UTC)
    error: BaseException | None = None
    try:
        yield reading
    except BaseException as raised:
        error = raised
        raise
    finally:
        seconds = time.monotonic() - began
        reading.classified = reading.classified or _classified(reading, settings)
        _add(settings.data_dir, _read(reading, kind, user, settings.secrets(), moment, seconds, error), warn)


def _classified(reading: Reading, settings: Settings) -> dict[str, str]:
    """Return the classes of the columns that are read; contracts that are wrong say none, which the run tells."""
    if all(table.startswith(("ops.", "models.")) or not names for table, names in reading.columns.items()):
        return {}
    try:
        return classify(reading.contracts or contract.load(settings.source), reading.columns)
    except BoathouseError:
        return {}


def _read(
    reading: Reading,
    kind: str,
    user: str,
    secrets: Sequence[str],
    moment: datetime,
    seconds: float,
    error: BaseException | None,
) -> Read:
    return Read(
        moment=moment,
        user=user,
        kind=kind,
        tables=json.dumps(sorted(reading.columns)),
        columns=json.dumps({table: sorted(names) for table, names in sorted(reading.columns.items())}),
        classified=json.dumps(dict(sorted(reading.classified.items()))),
        masked=reading.masked,
        rows=None if error else reading.rows,
        bytes=reading.bytes,
        seconds=round(seconds, 6),
        pattern=struck(reading.pattern, secrets)[:_LONGEST],
        failed=error is not None,
        error=struck(_described(error, reading.hidden), secrets)[:_LONGEST] if error else "",
    )


def _described(error: BaseException, hidden: Sequence[str]) -> str:
    """Return what went wrong without anything that a row or the statement's quotes hold.

    An error of the data tells values of rows, and a bug whatever it likes: of these only the kind is recorded.
    """
    if isinstance(error, KeyboardInterrupt | GeneratorExit):
        return "stopped"
    if not isinstance(error, BoathouseError):
        return f"a bug: {type(error).__name__}"
    if isinstance(error, DataError):
        return error.error_class
    text = error.what
    for one in hidden:
        text = text.replace(one, HIDDEN)
    return re.sub(r"""'[^']*'|"[^"]*"|(?<![\w.])\d[\d.]*(?!\w)""", HIDDEN, text)


def _add(data: Path, read: Read, warn: Callable[[str], None]) -> None:
    if not data.is_dir():
        return  # no lake, and nothing of it was read
    try:
        spool.add(data / FOLDER, {**asdict(read), "moment": read.moment.isoformat()})
    except OSError as error:
        warn(f"warning: this read is not recorded: {error.strerror or error} ({data / FOLDER})")
