"""The masks of a lake: by table which columns people read otherwise than they are, as SQL over the table.

hash      text: 16 digits that are the same for the same text in all tables, so that joins and counts work. They are
          made with a secret of the lake (SHA-256, twice keyed as in HMAC), so that no list of likely values
          finds them; without the secret there is no hash, but null.
partial   text: the last 4 characters of 13 or more, else the first one of 4 or more, else nothing of it
null      nothing
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from src.catalog import SelectOf, as_it_is
from src.engine import DuckEngine, identifier, literal

SHOWN = "***"  # what stands for a part that is masked
_TEXT = "VARCHAR"
_OPEN = frozenset({"_file", "_row", "_ingested_at", "_batch", "_contract", "_codes"})  # hold no value of a row
_RAW = ("_raw", "_reject")  # of bronze: a line that could not be split, and what was wrong with it
_RECORDS = "ops"
_BESIDE_SILVER = ("quarantine", "deletions", "statements")
_ROWS = ("bronze", "silver", "gold")
_INNER, _OUTER = "mask_inner", "mask_outer"  # variables of an engine
_OF_STEP = "concat_ws('.', layer, domain, \"table\")"
# Columns of the records that may quote values, by table, with SQL of the table that a record is about. What runs write
# quotes no masked value; what they wrote before a column was classified may.
_QUOTING: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "ops.pipeline_runs": (_OF_STEP, ("error_message", "error_fix", "notes")),
    "ops.quality_results": ('"table"', ("samples",)),
    "ops.alerts": ("subject", ("message",)),
    "ops.distribution": ('"table"', ("most_moved",)),
    "ops.series": ('"table"', ("series", "source")),
    "ops.feed_schema": ("feed", ("detail",)),
    "ops.waivers": ('"table"', ("matching", "reason")),
}
_MESSAGES = ("error_message", "error_fix", "notes", "message")  # of them what they do not quote is read
_QUOTED = literal(r"""['"].*['"]|['"].*$""")


ALL_OTHERS = frozenset({"*"})  # as the open columns of a table: all that are not masked


@dataclass(frozen=True)
class Mask:
    """The mask of one column: hash, partial or null; `why`: its classification, or what it is made of."""

    kind: str
    why: str


@dataclass(frozen=True)
class TableMasks:
    """The masks of one table by column, in lower case; any column that is neither there nor `open` is masked too."""

    masked: Mapping[str, Mask] = field(default_factory=dict)
    open: frozenset[str] = frozenset()
    quoted: frozenset[str] = frozenset()  # the open columns that no masked column of a file was made into
    why: str = "nothing says what it holds"

    def of_column(self, column: str) -> Mask | None:
        """Return the mask of a column; None for one that is read as it is."""
        name = column.lower()
        if name in self.open or name in _OPEN:
            return None
        return self.masked.get(name) or (None if self.open == ALL_OTHERS else Mask("hash", self.why))


@dataclass(frozen=True)
class Masks:
    """The masks of all tables for one reader, by table id.

    `declared`: the tables that contracts know, of which those without masks are read as they are. `key`: the secret of
    the hashes; None: there is none. `off`: nothing is masked.
    """

    tables: Mapping[str, TableMasks] = field(default_factory=dict)
    declared: frozenset[str] = frozenset()
    key: str | None = field(default=None, repr=False)
    off: bool = False

    def of_table(self, table: str) -> TableMasks | None:
        """Return the masks of a silver, gold or bronze table, or of one beside them; None where all is read as it is.

        A table that no contract declares is masked whole.
        """
        layer, _, rest = table.partition(".")
        if self.off or layer == _RECORDS:
            return None
        if layer in _BESIDE_SILVER:
            return self.of_table(f"silver.{rest}")
        if layer not in _ROWS:  # a trained model; or a pull or a seed, of whose rows bronze is made
            return self.tables.get(table) or self.tables.get(f"bronze.{rest}")
        return self.tables.get(table) or (None if table in self.declared else TableMasks(why="no contract declares it"))

    def may_replace(self, table: str) -> bool:
        """Return whether some column of a table, or of records, may be read otherwise than it is."""
        return not self.off and (table in _QUOTING or (not table.startswith(f"{_RECORDS}.") and self.covers(table)))

    def covers(self, table: str) -> bool:
        """Return whether some column of a table is masked."""
        return self.of_table(table) is not None

    def select_in(self, engine: DuckEngine) -> SelectOf:
        """Return `select`, for statements of this engine, which then has the secret.

        No statement shows it, as it is a variable. Where an engine lacks it, hashes are null.
        """
        if self.off:
            return as_it_is
        if self.key:
            for name in (_INNER, _OUTER):
                engine.execute(f"SET VARIABLE {name} = {literal(f'{name} {self.key}')}")
        return self.select

    def select(self, table: str, columns: Mapping[str, str]) -> str:
        """Return the SELECT list that gives a table as people read it; `columns` are its columns with their types."""
        made = self.replaced(table, columns)
        swapped = ", ".join(f"{sql} AS {identifier(name)}" for name, sql in made.items())
        return f"* REPLACE ({swapped})" if made else "*"

    def relation(self, engine: DuckEngine, table: str, columns: Mapping[str, str], scan: str) -> str:
        """Return a relation of a table's rows as people read them, over a relation of its rows."""
        made = self.select_in(engine)(table, columns)
        return scan if made == "*" else f"(SELECT {made} FROM {scan})"

    def replaced(self, table: str, columns: Mapping[str, str]) -> dict[str, str]:
        """Return the SQL of the columns of a table that are not read as they are, by name."""
        if self.off:
            return {}
        if table.startswith(f"{_RECORDS}."):
            return self._of_records(table, columns)
        found = self.of_table(table)
        if found is None:
            return {}
        if table.startswith("quarantine."):
            return {name: sql for name, sql in self._of_quarantine(table, found).items() if name in columns}
        masks = ((name, self._mask(found, name)) for name in columns)
        return {name: self._sql(mask, name, columns[name]) for name, mask in masks if mask}

    def hidden(self, table: str, columns: Collection[str]) -> dict[str, str]:
        """Return the columns of a table that are masked, each with why."""
        found = self.of_table(table)
        if found is None:
            return {}
        if table.startswith("quarantine."):
            return {name: "of the rejected rows" for name in ("_values", "_reasons") if name in columns}
        masks = ((name, self._mask(found, name)) for name in columns)
        return {name: mask.why for name, mask in masks if mask}

    def as_json(self) -> dict[str, Any]:
        """Return the masks as JSON holds them, the key among them: for another process of the same reader."""
        tables = {
            name: {**asdict(one), "open": sorted(one.open), "quoted": sorted(one.quoted)}
            for name, one in self.tables.items()
        }
        return {"tables": tables, "declared": sorted(self.declared), "key": self.key, "off": self.off}

    @staticmethod
    def from_json(text: Mapping[str, Any]) -> Masks:
        """Return the masks that `as_json` gave."""
        tables = {
            name: TableMasks(
                {column: Mask(**mask) for column, mask in one["masked"].items()},
                frozenset(one["open"]),
                frozenset(one["quoted"]),
                one["why"],
            )
            for name, one in text["tables"].items()
        }
        return Masks(tables, frozenset(text["declared"]), text["key"], text["off"])

    @staticmethod
    def _mask(found: TableMasks, column: str) -> Mask | None:
        return Mask("null", "of lines that could not be split") if column in _RAW else found.of_column(column)

    def _sql(self, mask: Mask, column: str, kind: str) -> str:
        name = identifier(column)
        if kind == _TEXT and mask.kind == "partial":
            last = f"WHEN length({name}) > 12 THEN '{SHOWN}' || right({name}, 4)"
            first = f"WHEN length({name}) > 3 THEN left({name}, 1) || '{SHOWN}'"
            return f"CASE WHEN {name} IS NULL THEN NULL {last} {first} ELSE '{SHOWN}' END"
        if kind == _TEXT and mask.kind == "hash" and self.key:
            return f"left(sha256(getvariable('{_OUTER}') || sha256(getvariable('{_INNER}') || {name})), 16)"
        return f"NULL::{kind}"

    def _of_quarantine(self, table: str, found: TableMasks) -> dict[str, str]:
        """Return the SQL of what quarantine quotes: of a row's values and reasons only what is about open columns."""
        rest = table.partition(".")[2]
        read = self.tables.get(f"quarantine.{rest}", TableMasks())  # the columns of its files that are open
        open_keys, open_columns = (f"{literal(sorted(one))}::VARCHAR[]" for one in (read.open, found.quoted))
        closed = f"list_filter(json_keys(_values), lambda k: NOT list_contains({open_keys}, lower(k)))"
        starred = f"to_json(map_from_entries(list_transform({closed}, lambda k: {{'k': k, 'v': '{SHOWN}'}})))"
        is_row = "len(_codes) > 0 AND NOT list_has_any(_codes, ['line', 'line:'])"  # else it is a line of the file
        is_object = "json_valid(_values) AND json_type(_values) = 'OBJECT'"
        is_open = f"list_contains({open_columns}, lower(split_part(_codes[i], ':', 2)))"
        hidden = f"coalesce(_codes[i] || ': ', '') || '{SHOWN}'"
        return {
            "_values": f"CASE WHEN {is_row} AND {is_object} THEN json_merge_patch(_values, {starred})::VARCHAR "
            f"WHEN _values IS NOT NULL THEN '{SHOWN}' END",
            "_reasons": f"list_transform(_reasons, lambda r, i: CASE WHEN {is_open} THEN r ELSE {hidden} END)",
        }

    def _of_records(self, table: str, columns: Mapping[str, str]) -> dict[str, str]:
        """Return the SQL of what records quote of tables with masked columns; of one that no contract declares too."""
        if table not in _QUOTING:
            return {}
        about, quoting = _QUOTING[table]
        open_tables = sorted(name for name in self.declared if not self.covers(name))
        of_runs = ["run"] if self.tables else []  # the record of a run itself quotes what its steps say
        layers = f"list_contains({literal([*_ROWS, 'quarantine', *of_runs])}, split_part({about}, '.', 1))"
        named = f"{layers} AND NOT list_contains({literal(open_tables)}::VARCHAR[], split_part({about}, ' ', 1))"
        return {
            name: f"CASE WHEN {named} THEN {_without_quotes(identifier(name)) if name in _MESSAGES else 'NULL'} "
            f"ELSE {identifier(name)} END"
            for name in quoting
            if name in columns
        }


def _without_quotes(column: str) -> str:
    """Return SQL of a message without what it quotes, as src/masking/concealing.py has it, and with less of it."""
    head = f"if(contains({column}, 'rejected'), split_part({column}, chr(10), 1), {column})"
    shown = f"regexp_replace({head}, '(such as|cannot read) .*', '\\1 {SHOWN}', 'g')"
    return f"regexp_replace({shown}, {_QUOTED}, '{SHOWN}', 's')"


def note(masks: Masks, read: Mapping[str, Collection[str]], most: int = 6) -> str | None:
    """Return in one line which of the columns that were read are masked; None where none is."""
    names = list(_named(masks, read))
    more = f" and {len(names) - most} more columns" if len(names) > most else ""
    return f"masked: {', '.join(names[:most])}{more}" if names else None


def _named(masks: Masks, read: Mapping[str, Collection[str]]) -> Iterator[str]:
    for table, columns in sorted(read.items()):
        for column, why in masks.hidden(table, columns).items():
            yield f"{table}.{column} ({why})"


NONE = Masks(off=True)
