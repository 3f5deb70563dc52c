"""Fields: what can become a column. Of a nested value each path is one; its values are text, as silver is given it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from src import lake
from src.bronze.readers import SYSTEM_COLUMNS
from src.draft.names import column_names
from src.engine import DuckEngine, identifier, literal
from src.silver.project import trimmed

_MOST_PATHS = 60  # of one column: with more its keys are data, not names
_DEPTH = 4  # of objects in objects
_LONGEST_EXAMPLE = 200  # characters of a value that may be a number or a date
_SAMPLED = 20_000  # rows
_EXAMPLES = 500  # values of a field
_FIELDS_AT_ONCE = 100  # in one statement


@dataclass
class Field:
    """A column of the file, or a path in its nested values, with some of its values."""

    source: str  # as a person knows it: the file's column, or address.city
    expression: str  # SQL over the file's columns
    is_column: bool  # the file's column itself
    column: str  # the file's, from which its values are
    name: str = ""
    examples: dict[str, None] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True)
class Rows:
    """The rows that were read, each value as silver is given it."""

    engine: DuckEngine
    bronze: lake.Snapshot

    @property
    def columns(self) -> list[str]:
        """Return the columns of the files."""
        return [name for name in self.bronze.columns if name not in SYSTEM_COLUMNS]

    def relation(self, columns: Iterable[str]) -> str:
        """Return a relation of some columns: each that a statement has costs it time, also where it is not read."""
        names = list(dict.fromkeys(columns))
        kinds = {name: self.bronze.columns[name] for name in (*names, *SYSTEM_COLUMNS)}
        return f"({trimmed(self.engine.scan(self.bronze, columns=kinds, evolved=True), names)})"

    def count(self) -> int:
        """Return how many there are."""
        return int(self.engine.one(f"SELECT count(*) FROM {self.relation(self.columns[:1])}")[0])


def quoted(name: str, engine: DuckEngine) -> str:
    """Return a column's name as an expression can name it: bare where SQL has no other meaning for it."""
    bare = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) and name.lower() not in _keywords(engine)
    return name if bare else identifier(name)


@cache
def _keywords(engine: DuckEngine) -> frozenset[str]:
    taken = {"rowid", "user", "current_user", "session_user", "localtime", "localtimestamp", "today", "now"}
    taken |= {"current_date", "current_time", "current_timestamp", "current_role", "current_schema", "current_catalog"}
    known = engine.values("SELECT keyword_name FROM duckdb_keywords() WHERE keyword_category <> 'unreserved'")
    return frozenset(taken | {str(word) for word in known})


def find_fields(rows: Rows) -> list[Field]:
    """Return the fields of the rows, with names; objects in JSON are taken apart."""
    whole = [Field(name, quoted(name, rows.engine), True, name) for name in rows.columns]
    structures = _structures(rows, whole)
    found: list[Field] = []
    for one in whole:
        paths = list(_paths(structures[one.source])) if one.source in structures else []
        if all(paths) and 0 < len(paths) <= _MOST_PATHS:
            found += [_nested(one, keys) for keys in paths]
            continue
        if one.source in structures:
            one.note = "JSON objects, whose keys are many: kept as JSON"
        found.append(one)
    for one, name in zip(found, column_names([one.source for one in found]), strict=True):
        one.name = name
    return found


def _structures(rows: Rows, fields: Sequence[Field]) -> dict[str, Any]:
    """Return the structure of each field whose every value is a JSON object."""
    found: dict[str, Any] = {}
    for start in range(0, len(fields), _FIELDS_AT_ONCE):
        part = fields[start : start + _FIELDS_AT_ONCE]
        begins = ", ".join(f"coalesce(bool_and({one.expression}[1] = '{{'), false)" for one in part)
        found_true = rows.engine.one(f"SELECT {begins} FROM {rows.relation(one.column for one in part)}")
        maybe = [one for one, true in zip(part, found_true, strict=True) if true]
        for one in maybe:
            text, relation = one.expression, rows.relation([one.column])
            sound = f"bool_and(json_valid({text}))"
            if rows.engine.one(f"SELECT {sound} FROM {relation}")[0]:
                structure = rows.engine.one(f"SELECT json_group_structure({text}::JSON) FROM {relation}")[0]
                found[one.source] = json.loads(structure)
    return found


def _paths(structure: Any, keys: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(structure, dict) and structure and len(keys) < _DEPTH:
        for key, inner in structure.items():
            yield from _paths(inner, (*keys, key))
    else:
        yield keys


def _nested(column: Field, keys: Sequence[str]) -> Field:
    if all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", key) for key in keys):
        path = "$." + ".".join(keys)
    else:
        path = "".join("/" + key.replace("~", "~0").replace("/", "~1") for key in keys)
    expression = f"json_extract_string({column.expression}, {literal(path)})"
    return Field(".".join([column.source, *keys]), expression, False, column.column)


def values(fields: Sequence[Field], rows: Rows, some: str = "true") -> str:
    """Return a relation of the fields' values under the names v0, v1, ..., of those rows for which `some` is true."""
    named = ", ".join(f"{one.expression} AS v{at}" for at, one in enumerate(fields))
    return f"(SELECT {named} FROM {rows.relation(one.column for one in fields)} WHERE {some})"


def add_examples(rows: Rows, fields: Sequence[Field]) -> None:
    """Give each field some of its values: those of rows that are spread over all files, the same at every call."""
    some = _spread(rows)
    for start in range(0, len(fields), _FIELDS_AT_ONCE):
        part = fields[start : start + _FIELDS_AT_ONCE]
        texts = ", ".join(f"left(v{at}, {_LONGEST_EXAMPLE})" for at in range(len(part)))
        pairs = f"SELECT unnest(range({len(part)})) AS nth, unnest([{texts}]) AS text FROM {values(part, rows, some)}"
        few = f"SELECT nth, text FROM (SELECT DISTINCT nth, text FROM ({pairs}) WHERE text IS NOT NULL)"
        few += f" QUALIFY row_number() OVER (PARTITION BY nth ORDER BY hash(text), text) <= {_EXAMPLES}"
        for nth, text in rows.engine.rows(f"SELECT nth, text FROM ({few}) ORDER BY ALL"):
            part[nth].examples[text] = None


def common(rows: Rows, fields: Sequence[Field]) -> Mapping[str, list[str]]:
    """Return the three most frequent values of each field in those rows, of equally frequent ones the lesser."""
    found: dict[str, list[str]] = {}
    for start in range(0, len(fields), _FIELDS_AT_ONCE):
        part = fields[start : start + _FIELDS_AT_ONCE]
        counts = ", ".join(f"histogram(left(v{at}, 40))" for at in range(len(part)))
        counted = rows.engine.one(f"SELECT {counts} FROM {values(part, rows, _spread(rows))}")
        for one, by_value in zip(part, counted, strict=True):
            frequent = sorted((by_value or {}).items(), key=lambda item: (-item[1], item[0]))
            found[one.name] = [text for text, _ in frequent[:3]]
    return found


def _spread(rows: Rows) -> str:
    """Return a condition that some 20,000 rows of all files meet, the same at every call."""
    every = max(1, rows.count() // _SAMPLED)
    return f"(hash(_file, _row) % {every} = 0 OR _row <= 3)"
