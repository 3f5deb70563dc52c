"""Views of the records of reads: who read what by day, what nobody reads, what was read first, and what is slow."""

from __future__ import annotations

from collections.abc import Collection

from src.views.view import View, over

UNREAD_DAYS = 90
_LAYERS = ("bronze", "silver", "gold", "models")  # what lies beside them is read when something is wrong
_ACCESS = "ops.access"
TABLES = "unnest(CASE WHEN tables = '[]' THEN [''] ELSE from_json(tables, '[\"VARCHAR\"]') END)"


def _unread(there: Collection[str]) -> str | None:
    """Return the SQL of the tables that nobody reads, of all that are there."""
    stored = [name for name in there if name.startswith(tuple(f"{layer}." for layer in _LAYERS))]
    if _ACCESS not in there or not stored:
        return None
    names = ", ".join("('" + name.replace("'", "''") + "')" for name in stored)
    long_ago = f"now() - INTERVAL {UNREAD_DAYS} DAY"
    return (
        f'WITH stored("table") AS (VALUES {names}), '
        f'reads AS (SELECT {TABLES} AS "table", moment FROM {_ACCESS} WHERE NOT failed), '
        f"kept AS (SELECT min(moment) AS since FROM {_ACCESS}) "
        'SELECT "table", max(moment) AS last_read, any_value(since) AS recorded_since, '
        f"any_value(since) <= {long_ago} AS recorded_long_enough "
        'FROM stored LEFT JOIN reads USING ("table"), kept GROUP BY "table" '
        f"HAVING last_read IS NULL OR last_read < {long_ago}"
    )


def by_pattern(relation: str) -> str:
    """Return the SQL of the statements of each pattern among reads: how often they were asked, and what they took."""
    return (
        "SELECT pattern, count(*) AS asked, count(*) FILTER (failed) AS failed, "
        "median(seconds) AS median_seconds, quantile_cont(seconds, 0.95) AS p95_seconds, "
        "max(seconds) AS max_seconds, max(bytes) AS max_bytes, max(rows) AS max_rows, "
        'max(moment) AS last_asked, arg_max("user", moment) AS last_user '
        f"FROM {relation} WHERE pattern <> '' GROUP BY pattern"
    )


VIEWS = (
    View(
        "ops.access_daily",
        "A user, a day (UTC) and a table: reads, those that failed, rows and seconds of whole statements.",
        over(
            _ACCESS,
            sql='SELECT "user", moment::DATE AS day, "table", count(*) AS reads, count(*) FILTER (failed) AS failed, '
            "coalesce(sum(rows), 0)::BIGINT AS rows, sum(seconds) AS seconds "
            f'FROM (SELECT *, {TABLES} AS "table" FROM {_ACCESS}) GROUP BY ALL',
        ),
    ),
    View("ops.access_unread", f"A table that nobody read for {UNREAD_DAYS} days, as far as records go back.", _unread),
    View(
        "ops.access_first",
        "A user and a classified column: when this user read it first.",
        over(
            _ACCESS,
            sql='SELECT "user", regexp_extract(key, \'^([^.]+[.][^.]+[.][^.]+)[.](.*)$\', 1) AS "table", '
            "regexp_extract(key, '^([^.]+[.][^.]+[.][^.]+)[.](.*)$', 2) AS \"column\", "
            "arg_min(value->>'$', moment) AS classification, min(moment) AS moment, arg_min(masked, moment) AS masked "
            f"FROM {_ACCESS} r, json_each(r.classified) WHERE NOT failed GROUP BY ALL",
        ),
    ),
    View(
        "ops.slow_queries",
        "A pattern of statements: how often it was asked, and the seconds, bytes and rows of it.",
        over(
            _ACCESS,
            sql=by_pattern(_ACCESS),
        ),
    ),
)
