"""`lookback: N`: what a model may read of the N present partitions before its own.

Two ways are covered. A window counts rows back over exactly one row per present partition of the one source that
is cut; then N rows are N partitions. Or a join looks for the partition a fixed time before; between the two are at
most so many partitions as calendar units, and the row that looks has its own partition in a cut source.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from src.proof.expressions import Call, Cast, Constant, Dependency, Expression, Tag, calendar
from src.proof.reasoning import Reasoning
from src.proof.relations import Relation

_DAYS = {"day": 1, "week": 7, "month": 28, "quarter": 90, "year": 365}  # the fewest that a unit has
_MONTHS = {"month": 1, "quarter": 3, "year": 12}


# -- a window


def uncovered_window(
    node: Mapping[str, Any],
    keys: Sequence[Expression],
    orders: Sequence[Expression],
    scope: Relation,
    lookback: int,
    reasoning: Reasoning,
    aggregates: Collection[str],
    *,
    alone: bool,
) -> str | None:
    """Return why a window reads more than `lookback` partitions back; None where it does not.

    `alone`: one source is cut, so that its partitions are all that are counted.

    Rows of the scope look back `scope.back` partitions already.
    """
    if scope.gaps or scope.uneven or len(scope.depends) != 1 or not alone:
        return scope.gaps or scope.uneven or "partitions of several sources are counted"
    if not all(reasoning.is_determined(key, (), scope.known, scope.ids) for key in keys):
        return "the partition before is not in the same PARTITION BY"
    if not _in_order(node, orders, scope, reasoning):
        return "it is not ordered by the partition, upwards"
    rows = _rows_back(node, aggregates)
    if rows is None:
        return "only lag(column, n) and ROWS BETWEEN n PRECEDING AND CURRENT ROW count partitions"
    if rows + scope.back > lookback:
        return f"it looks back {rows + scope.back} partitions"
    return None


def _in_order(node: Mapping[str, Any], orders: Sequence[Expression], scope: Relation, reasoning: Reasoning) -> bool:
    if len(orders) != 1:
        return False
    order = node["orders"][0]
    upwards = order["type"] in ("ORDER_DEFAULT", "ASCENDING") and order["null_order"] == "ORDER_DEFAULT"
    return upwards and any(reasoning.are_equal((orders[0],), tag, scope.known) for tag in scope.depends[0])


def window_rows(node: Mapping[str, Any], aggregates: Collection[str]) -> int:
    """Return how many rows a covered window looks back."""
    return _rows_back(node, aggregates) or 0


def _rows_back(node: Mapping[str, Any], aggregates: Collection[str]) -> int | None:
    """Return how many rows before its own a window reads; None where that is no number, or it reads later rows."""
    name = node["function_name"].lower()
    unusual = ("ignore_nulls", "filter_expr", "arg_orders")  # the last orders what lag() counts
    if node.get("exclude_clause", "NO_OTHER") != "NO_OTHER" or any(node.get(key) for key in unusual):
        return None
    if name == "lag":
        arguments = node["arguments"]
        return _number(arguments[1]["expression"] if len(arguments) > 1 else node.get("offset_expr"), 1)
    ends_here = node["end"] in ("CURRENT_ROW_ROWS", "EXPR_PRECEDING_ROWS")
    if node["start"] == "EXPR_PRECEDING_ROWS" and ends_here and name in {*aggregates, "first_value", "last_value"}:
        return _number(node["start_expr"], None)
    return None


def _number(node: Mapping[str, Any] | None, default: int | None) -> int | None:
    if node is None:
        return default
    literal = node.get("literal") or {}
    plain = node.get("class") == "CONSTANT" and literal.get("kind") == "INTEGER" and literal["text"].isdecimal()
    return int(literal["text"]) if plain else None


# -- a shifted partition


def is_before(dependency: Dependency, target: Tag, result: Relation, lookback: int, reasoning: Reasoning) -> bool:
    """Return whether a tag names one of the `lookback` present partitions before the target, itself present."""
    if not lookback or len(target) != 1:
        return False
    if not any(reasoning.are_equal(anchor, target, result.known) for anchor in result.anchors):
        return False
    own = _bare(target[0])
    unit = _unit(own, reasoning)
    if unit is None:
        return False
    for (tag,) in dependency:
        for name in reasoning.names_of(tag, result.known):
            steps = _steps_before(_bare(name), own, unit)
            if steps is not None and steps + result.back <= lookback:
                return True
    return False


def _unit(own: Expression, reasoning: Reasoning) -> str | None:
    """Return the calendar unit that a partition is."""
    found = calendar(own)
    if found and found[0] == "date_trunc":
        return found[1] if found[1] in _DAYS else None
    return "day" if reasoning.type_of(own) == "DATE" else None


def _steps_before(name: Expression, own: Expression, unit: str) -> int | None:
    """Return how many units a name lies before a partition at most; None where that is not known.

    Known are `own - interval`, and the unit of the partition's moment less an interval.
    """
    starts, shifted = [own], name
    cut = calendar(name)
    if cut and cut[:2] == ("date_trunc", unit):
        shifted = _bare(cut[2])
        whole = calendar(own)
        starts.append(_bare(whole[2]) if whole else own)
    if not isinstance(shifted, Call) or shifted.name != "-" or len(shifted.arguments) != 2:
        return None
    start, span = shifted.arguments
    return _units_in(span, unit) if _bare(start) in starts else None


def _units_in(span: Expression, unit: str) -> int | None:
    """Return how many borders of a unit a literal span of time can cross at most; None where that is not known."""
    name = span.name if isinstance(span, Call) else "to_days"  # day - 3
    number = _literal(span.arguments[0] if isinstance(span, Call) and len(span.arguments) == 1 else span)
    if number is None:
        return None
    if name in ("to_days", "to_weeks"):
        return -(-number * (7 if name == "to_weeks" else 1) // _DAYS[unit])
    if name in ("to_months", "to_years") and unit in _MONTHS:
        return -(-number * (12 if name == "to_years" else 1) // _MONTHS[unit])
    return None


def _literal(expression: Expression) -> int | None:
    """Return a whole number of 0 or more; the parser wraps that of an interval in casts and trunc()."""
    while isinstance(expression, Cast) or (isinstance(expression, Call) and expression.name == "trunc"):
        expression = expression.inner if isinstance(expression, Cast) else expression.arguments[0]
    plain = isinstance(expression, Constant) and expression.kind == "INTEGER" and expression.text.isdecimal()
    return int(expression.text) if plain and isinstance(expression, Constant) else None


def _bare(expression: Expression) -> Expression:
    """Return an expression without casts between dates and timestamps."""
    while isinstance(expression, Cast) and expression.type in ("DATE", "TIMESTAMP"):
        expression = expression.inner
    return expression
