"""One SELECT in a process of its own: `python -m src.page.sandbox`, which takes one request and answers it.

The engine is confined to the files of one release: no other file, no network, no setting. Its own memory limit does not
bound what one value takes, nor does it heed an interrupt within one function call. The process does both: what it may
allocate is bounded by the system, and whoever started it ends it when its time is over.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from src import catalog, exports, reads
from src.engine import DuckEngine, identifier
from src.errors import BoathouseError, DataError, OutOfMemoryError, UsageError
from src.masking.masks import Masks, note
from src.masking.reading import masked_reads
from src.reads import Reading

LONGEST = 500  # characters of a cell that are sent; of the rest only how many there are
_CELLS = 50_000  # that are sent: of many columns fewer rows
_CHARACTERS = 500_000  # that are sent: of long values fewer rows too
_THREADS = 2
_ROOM = 1 << 30  # bytes that may be allocated beyond the engine's limit: values, and the rows that are sent
_TOO_MUCH = {"what": "more memory than a query may take", "fix": "ask for less: fewer or shorter values", "line": None}


def main() -> None:
    """Take one request from standard input and write its answer: a line of JSON each."""
    request = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_the_page, daemon=True).start()
    _bound_memory(int(request["memory"]))
    tempfile.tempdir = str(request["room"])  # a workbook is made of parts
    reading = Reading()
    try:
        answer = answered(request, reading, partial(_tell, reading))
    except (OutOfMemoryError, MemoryError):
        answer = {"error": _TOO_MUCH}
    except BoathouseError as error:
        reading.error_class = error.error_class if isinstance(error, DataError) else None
        answer = {"error": {"what": error.what, "fix": error.fix or "", "line": getattr(error, "line", None)}}
    _tell(reading)
    _write(answer)
    os._exit(0)  # the thread that waits for the page's end is of no more use


def _tell(reading: Reading) -> None:
    """Tell whoever asked what is read, which is recorded however this process ends."""
    _write({"reading": reading.as_json()})


def _write(line: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def answered(
    request: Mapping[str, Any], reading: Reading | None = None, tell: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """Return the answer to a request: its rows, or the size of the file that they were written to.

    `tell` is called once `reading` says what is read, before it is.

    Raises:
        BoathouseError: it is not one SELECT over the tables of the lake, it looks outside of them, or it fails.
    """
    sql, spill = str(request["sql"]), Path(request["room"])
    engine = DuckEngine(memory_limit=f"{request['memory']}B", threads=_THREADS, spill=spill)
    engine.bound_spill(request["spill"])
    output = Path(request["output"]) if request["output"] else None
    masks, reading = Masks.from_json(request["masks"]), reading or Reading()
    reads.begin(reading, engine, sql)
    tell()  # a statement that is refused is recorded too
    catalog.refuse_outside(engine, sql)
    _refuse_unreleased(engine, Path(request["data"]), sql, request["versions"])
    written = exports.part_of(output) if output else None
    select = masks.select_in(engine)
    catalog.prepare(engine, Path(request["data"]), sql, request["versions"], written, reading, select=select)
    masked = note(masks, masked_reads(engine, masks, sql))
    reading.masked = masked is not None
    tell()
    if output is None:
        return _rows(engine, sql, int(request["most"])) | {"masked": masked}
    found = exports.write(engine, sql, output)
    return {"rows": found.rows, "bytes": found.bytes}


def _refuse_unreleased(engine: DuckEngine, data: Path, sql: str, versions: Mapping[str, int]) -> None:
    """Refuse tables that readers see nothing of yet; records and trained models are of no release."""
    named = engine.table_references(sql) if sql.strip() else set()
    there = set(filter(catalog.is_released, catalog.tables(data)))
    if hidden := sorted(name for name in named & there if name not in versions):
        fix = "it is there after a run in which all that it was built from was right"
        raise UsageError(f"{', '.join(hidden)}: not released yet", fix=fix)


def _rows(engine: DuckEngine, sql: str, most: int) -> dict[str, Any]:
    """Return the first rows as text, with how many characters were left out of a long one."""
    kinds = engine.columns(engine.inline(sql))
    most = max(1, min(most, _CELLS // len(kinds)))
    names = {name: f"c{at}" for at, name in enumerate(kinds)}
    listed = ", ".join(f"{identifier(name)}::VARCHAR AS {short}" for name, short in names.items())
    cut = ", ".join(f"left({short}, {LONGEST}), length({short})" for short in names.values())
    first = f"SELECT * FROM ({engine.inline(sql)}) LIMIT {most + 1}"
    found = engine.rows(f"SELECT {cut} FROM (SELECT {listed} FROM ({first}))")
    rows = _bounded([list(zip(row[::2], row[1::2], strict=True)) for row in found[:most]])
    tables = sorted(engine.table_references(sql))
    return {"columns": list(kinds.items()), "rows": rows, "more": len(found) > len(rows), "reads": tables}


def _bounded(rows: list[list[tuple[Any, Any]]]) -> list[list[tuple[Any, Any]]]:
    """Return the first rows whose texts are short enough together for a screen; one at least."""
    room = _CHARACTERS
    for at, row in enumerate(rows):
        room -= sum(len(text or "") for text, _ in row)
        if room < 0:
            return rows[: max(1, at)]
    return rows


def _bound_memory(engine: int) -> None:
    """Let the system refuse what goes beyond the engine's limit and some room; not every system can."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (mapped + engine + _ROOM,) * 2)


def _end_with_the_page() -> None:
    """End the process soon after the one that waits for its answer is gone."""
    page = os.getppid()
    while os.getppid() == page:
        time.sleep(1)
    os._exit(1)


if __name__ == "__main__":
    main()
