"""Records that quote values: what ops says of a run, of a new value of a column, of a waiver.

The rows stay, as they say what was done; a value in one of their texts becomes a mark. A table whose records may be
added without the lake's lock is rewritten by a commit that fails where one came in between, and is tried again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from src import catalog, lake
from src.engine import identifier, literal
from src.errors import TransientError
from src.forget import unfinished
from src.forget.identifying import sql_words
from src.project import Project
from src.run import releases

MARK = "[forgotten]"
_TRIES = 3
_NAMES = {"run_id", "layer", "domain", "table", "status", "kind", "severity", "feed", "as_of", "release", "git_commit"}
_LEFT_ALONE = {unfinished.TABLE, releases.TABLE}  # which quote nothing


def rewrite(project: Project, values: Sequence[str]) -> None:
    """Put a mark in the place of values in the records.

    Raises:
        TransientError: a table got new records each time.
    """
    for name, _, _ in list(count(project, values)):
        for tries in range(_TRIES):
            try:
                _rewrite(project, lake.open_table(project.path(name)), values)
                break
            except TransientError:
                if tries + 1 == _TRIES:
                    raise


def count(project: Project, values: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    """Yield the tables of records that quote one of the values, with how many rows and files do."""
    for name, root in catalog.tables(project.settings.data_dir).items():
        table = lake.open_table(root)
        if name.startswith(f"{catalog.RECORDS}.") and name not in _LEFT_ALONE and values and table:
            rows, files = _quoting(project, table, values)
            if rows:
                yield name, rows, len(files)


def _quoting(project: Project, table: lake.Snapshot, values: Sequence[str]) -> tuple[int, list[lake.DataFile]]:
    """Return how many rows of records quote one of the values as a word, and the files that hold them."""
    names = ", ".join(identifier(name) for name in _texts(table))
    if not names or not table.files:
        return 0, []
    text = f"concat_ws(chr(10), {names})"
    # first as a part of any word: nearly always that is all, and it takes a tenth of the time
    near = f"len(list_filter({literal([value.lower() for value in values])}, lambda v: contains(lower({text}), v)))"
    scan = project.engine.scan(table, evolved=True, located=True)
    among = f"SELECT _at, {text} AS text FROM {scan} WHERE {near} > 0"
    if not project.engine.one(f"SELECT count(*) FROM ({among})")[0]:
        return 0, []
    quoting = f"SELECT _at, count(*) FROM ({among}) WHERE regexp_matches(text, {sql_words(values)}) GROUP BY 1"
    found = dict(project.engine.rows(quoting))
    return sum(found.values()), [file for file in table.files if str(table.root / file.path) in found]


def _rewrite(project: Project, table: lake.Snapshot | None, values: Sequence[str]) -> None:
    files = _quoting(project, table, values)[1] if table else []
    if table is None or not files:
        return
    texts = set(_texts(table))
    marked = literal(rf"\1{MARK}\2")
    # twice: of two that stand side by side the first has taken the sign between them
    once = "regexp_replace({}, {}, {}, 'g')"
    named = [
        f"{once.format(once.format(identifier(name), sql_words(values), marked), sql_words(values), marked)} "
        f"AS {identifier(name)}"
        if name in texts
        else identifier(name)
        for name in table.columns
    ]
    scan = project.engine.scan(table, files, evolved=True)
    new = project.engine.write(f"SELECT {', '.join(named)} FROM {scan}", table.root, table.partition_by)
    lake.commit(table, add=new, remove=files, same_rows=True)


def _texts(table: lake.Snapshot) -> list[str]:
    """Return the columns of records that are free text: their names of tables and runs are none."""
    return [name for name, kind in table.columns.items() if kind == "VARCHAR" and name not in _NAMES]
