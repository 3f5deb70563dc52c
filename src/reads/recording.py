"""Recording: what a person reads within a with-block becomes a line of the spool, however the block ends.

What a statement holds in quotes, and every number in it, may be personal data: its pattern has a `?` in their place,
and so has the error of one that failed. No secret of the settings is in either.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from src import contract, spool, store
from src.engine import HIDDEN
from src.errors import BoathouseError, DataError
from src.reads.classes import classify
from src.reads.record import FOLDER, Read, Reading
from src.settings import Settings, struck

_NOT_KEPT = "what it says may hold values, and is not kept"
_LONGEST = 1_000  # characters of a pattern or an error
_unrecorded: set[Path] = set()  # lakes of which it was said already: a page reads often


@contextmanager
def recorded(
    settings: Settings,
    kind: str,
    user: str,
    data: Path | None = None,
) -> Iterator[Reading]:
    """Record what a person reads within a with-block, and how it ends; a read goes on where it cannot be recorded.

    `data`: the lake that is read, where it is not the project's own. What is read on a branch is recorded in main,
    which shares its rows: a branch may be dropped.
    """
    reading, began, moment = Reading(), time.monotonic(), datetime.now(UTC)
    error: BaseException | None = None
    try:
        yield reading
    except BaseException as raised:
        error = raised
        raise
    finally:
        seconds = time.monotonic() - began
        if error or reading.columns or reading.pattern:  # else a screen that shows no row of a table
            reading.classified = reading.classified or _classified(reading, settings)
            _add(data or settings.main_dir, _read(reading, kind, user, settings.secrets(), moment, seconds, error))


def _classified(reading: Reading, settings: Settings) -> dict[str, str]:
    """Return the classes of the columns that are read; contracts that are wrong say none, which the run tells."""
    tables = [table for table, names in reading.columns.items() if names]
    if reading.contracts is None and not _may_be_classified(settings.source, tables):
        return {}  # loading every contract takes longer than most queries
    try:
        return classify(reading.contracts or contract.load(settings.source), reading.columns)
    except (BoathouseError, OSError):
        return {}


def _may_be_classified(source: Path, tables: Iterable[str]) -> bool:
    """Return whether a contract of the domains or marts of these tables has the word."""
    parts = [table.split(".") for table in tables if table.count(".") == 2]
    folders = {source / ("gold" if layer == "gold" else "silver") / domain for layer, domain, _ in parts}
    try:
        files = [path for folder in folders for path in folder.glob("*.yaml")]
        return any(b"classification" in path.read_bytes() for path in files)
    except OSError:
        return True  # what cannot be read is for the loading to tell


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
        error=struck(_described(error, reading), secrets)[:_LONGEST] if error else "",
    )


def _described(error: BaseException, reading: Reading) -> str:
    """Return what went wrong without anything that a row or the statement's quotes hold.

    An error of the data tells values of rows, and a bug whatever it likes: of these only the kind is recorded.
    """
    if isinstance(error, KeyboardInterrupt | GeneratorExit):
        return "stopped"
    if reading.error_class:
        return f"{reading.error_class}: {_NOT_KEPT}"
    if not isinstance(error, BoathouseError):
        return f"a bug: {type(error).__name__}"
    if isinstance(error, DataError):
        return f"{error.error_class}: {_NOT_KEPT}"
    text = error.what
    for one in reading.hidden:
        text = text.replace(one, HIDDEN)
    return re.sub(r"""'[^']*'|"[^"]*"|(?<![\w.])\d[\d.]*(?!\w)""", HIDDEN, text)


def _add(data: Path, read: Read) -> None:
    if not store.is_remote(data) and not data.is_dir():
        return  # no lake, and nothing of it was read
    try:
        spool.add(data / FOLDER, {**asdict(read), "moment": read.moment.isoformat()})
    except OSError as error:
        if data not in _unrecorded:
            reason = f"{error.strerror or error} ({data / FOLDER})"
            print(f"warning: what is read here is not recorded: {reason}", file=sys.stderr)
        _unrecorded.add(data)
