"""What in an SQL text gives something else when it is run again over the same rows: clock, chance, session, outside.

A table is computed in parts, at different times, and checked by computing it again: its SQL must be a function of
its inputs. What is not is found in the parsed text, so that it can be refused by name before anything runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

RUN_DATE = "run_date"
# Those that the engine's own catalog names as such, macros that call one, and some that it takes for functions of
# nothing: a list, as asking the catalog at each start takes 10 ms; a test compares them.
VOLATILE = frozenset(
    [
        "ago",
        "current_catalog",
        "current_connection_id",
        "current_database",
        "current_date",
        "current_localtime",
        "current_localtimestamp",
        "current_query",
        "current_query_id",
        "current_schema",
        "current_schemas",
        "current_setting",
        "current_transaction_id",
        "currval",
        "gen_random_uuid",
        "get_current_time",
        "get_current_timestamp",
        "getenv",
        "getvariable",
        "in_search_path",
        "nextval",
        "now",
        "pg_conf_load_time",
        "pg_postmaster_start_time",
        "pg_sleep",
        "random",
        "setseed",
        "setval",
        "sleep_ms",
        "stats",
        "today",
        "transaction_timestamp",
        "txid_current",
        "uuid",
        "uuidv4",
        "uuidv7",
        "vector_type",
        "write_log",
    ]
)
KEYWORDS = frozenset(  # called without brackets; a column of such a name is told by its table: t.current_date
    [
        "current_catalog",
        "current_date",
        "current_schema",
        "current_time",
        "current_timestamp",
        "localtime",
        "localtimestamp",
    ]
)
_SUSPECT = VOLATILE | KEYWORDS | {"age", "from", "sample", "tablesample"}  # without any of these words nothing is found
_OF_THEIR_ARGUMENTS = frozenset(
    ["generate_series", "json_each", "json_tree", "range", "repeat", "repeat_row", "unnest"]
)  # tables

_OF_THE_CLOCK = re.compile(r"now|today|ago|age|.*(date|time|timestamp)")
_CLOCK = "write run_date(), the day that the run answers for: what uses it is computed again when it changes"
_OUTSIDE = "land what it reads as a feed, and read the feed's table"
_OTHER = "leave it out, or make its value of the row's own columns, such as md5(...)"


def may_be_in(sql: str) -> bool:
    """Return False if a SQL text surely has no such call, so that it need not be parsed."""
    return not _SUSPECT.isdisjoint(re.findall(r"\w+", sql.lower()))


def find(nodes: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the calls of a parsed statement that are no function of its rows, each with what to write instead."""
    return dict(sorted(found for node in nodes for found in _found(node)))


def _found(node: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    name = str(node.get("function_name") or "").lower()
    path: Sequence[str] = node.get("column_names") or ()
    if node.get("type") == "TABLE_FUNCTION":
        called = str(node["function"]["function_name"]).lower()
        if called not in _OF_THEIR_ARGUMENTS:
            yield f"{called}()", _OUTSIDE
    elif name in VOLATILE or (name == "age" and len(node["arguments"]) == 1):
        yield f"{name}()", _CLOCK if _OF_THE_CLOCK.fullmatch(name) else _OTHER
    if len(path) == 1 and (word := path[0].lower()) in KEYWORDS:
        yield word, f"{_CLOCK}; a column of that name is <table>.{word}" if _OF_THE_CLOCK.fullmatch(word) else _OTHER
    if node.get("sample"):
        yield "a sample", _OTHER
