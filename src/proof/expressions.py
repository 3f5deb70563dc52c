"""Values as the proof sees them: expressions over columns of the sources, each with its origin.

Two rows that give equal values to everything an expression is made of give equal values to the expression, so
that equal expressions name equal values. `Opaque` stands for a value of which nothing is known but itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from src.engine import identifier


@dataclass(frozen=True, slots=True)
class SourceColumn:
    """A column of one occurrence of a source in the model: a table read twice has two occurrences."""

    occurrence: int
    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Constant:
    text: str
    kind: str  # STRING, INTEGER, NUMERIC, BOOLEAN or NULL_LITERAL, as the parser names it; NAME of an argument


@dataclass(frozen=True, slots=True)
class Opaque:
    """A value of which nothing is known: an aggregate, a window, a subquery, an ambiguous name."""

    id: int
    what: str


@dataclass(frozen=True, slots=True)
class NullExtended:
    """A value of the side of an outer join that is NULL where nothing matches."""

    join: int
    inner: Expression


@dataclass(frozen=True, slots=True)
class Call:
    name: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Cast:
    type: str
    inner: Expression


Expression: TypeAlias = SourceColumn | Constant | Opaque | NullExtended | Call | Cast
Tag: TypeAlias = tuple[Expression, ...]  # a partition: one expression per partition column
Dependency: TypeAlias = frozenset[Tag]  # on one cut occurrence: each tag alone tells which partition a row needs of it

BOUND = -1  # the id of a lambda's parameters
NULL = Constant("", "NULL_LITERAL")

_DAY = {"day"}
FINER = {  # calendar unit: the units that it is a function of; a week is in two months, and in two years
    "day": set[str](),
    "week": _DAY,
    "month": _DAY,
    "quarter": _DAY | {"month"},
    "year": _DAY | {"month", "quarter"},
}
PARTS = {  # part of a date: the units that it is a function of
    **FINER,
    "isoyear": _DAY | {"week"},
    "yearweek": _DAY | {"week"},
    "decade": _DAY | {"month", "quarter", "year"},
    **dict.fromkeys(("dayofmonth", "weekday", "dow", "isodow", "doy"), _DAY),
}


def parts_of(expression: Expression) -> tuple[Expression, ...]:
    """Return the expressions that an expression is computed from."""
    if isinstance(expression, Call):
        return expression.arguments
    return (expression.inner,) if isinstance(expression, Cast) else ()


def rebuilt(expression: Expression, parts: tuple[Expression, ...]) -> Expression:
    """Return the same function of other parts."""
    if isinstance(expression, Call):
        return Call(expression.name, parts)
    return Cast(expression.type, parts[0]) if isinstance(expression, Cast) else expression


def origins(expression: Expression) -> set[int]:
    """Return the ids of the occurrences, joins and opaque values that an expression is made of; none for a constant."""
    if isinstance(expression, SourceColumn):
        return {expression.occurrence}
    if isinstance(expression, Opaque):
        return {expression.id}
    if isinstance(expression, NullExtended):
        return {expression.join}
    return {origin for part in parts_of(expression) for origin in origins(part)}


def within(expression: Expression) -> Iterator[Expression]:
    """Yield an expression and everything that it is computed from, through outer joins too."""
    yield expression
    inner = (expression.inner,) if isinstance(expression, NullExtended) else parts_of(expression)
    for part in inner:
        yield from within(part)


def null_extended(join: int, tag: Tag) -> Tag:
    """Return a tag as an outer join gives it, NULL on rows without a match."""
    return tuple(NullExtended(join, expression) for expression in tag)


def calendar(expression: Expression) -> tuple[str, str, Expression] | None:
    """Return (date_trunc or date_part, unit, argument) of an expression that is a known calendar unit's."""
    if not isinstance(expression, Call) or expression.name not in ("date_trunc", "date_part"):
        return None
    if len(expression.arguments) != 2:
        return None
    unit, argument = expression.arguments
    known = isinstance(unit, Constant) and unit.text in PARTS
    return (expression.name, unit.text, argument) if known and isinstance(unit, Constant) else None


def truncated(unit: str, argument: Expression) -> Call:
    """Return date_trunc(unit, argument)."""
    return Call("date_trunc", (Constant(unit, "STRING"), argument))


class NoSql(Exception):
    """The expression has no SQL: it stands for something that is not a function of columns."""


def to_sql(expression: Expression, functions: frozenset[str], column: Callable[[SourceColumn], str]) -> str:
    """Return an expression as SQL, its columns as `column` writes them.

    Raises:
        NoSql: there is none.
    """
    if isinstance(expression, SourceColumn):
        return column(expression)
    if isinstance(expression, Constant):
        return _constant(expression)
    if isinstance(expression, Cast):
        return f"CAST({to_sql(expression.inner, functions, column)} AS {expression.type})"
    if not isinstance(expression, Call) or expression.name not in functions | {"coalesce"}:
        raise NoSql
    arguments = [to_sql(argument, functions, column) for argument in expression.arguments]
    if expression.name[0].isalpha():
        return f"{expression.name}({', '.join(arguments)})"
    if len(arguments) != 2:
        raise NoSql
    return f"({arguments[0]} {expression.name} {arguments[1]})"


def _constant(constant: Constant) -> str:
    if constant.kind == "STRING":
        return "'" + constant.text.replace("'", "''") + "'"
    if constant.kind == NULL.kind:
        return "NULL"
    if constant.kind not in ("INTEGER", "NUMERIC", "BOOLEAN"):
        raise NoSql
    return f"({constant.text})"


def column_name(column: SourceColumn) -> str:
    """Return the column's name as SQL."""
    return identifier(column.name)


def shown(expression: Expression, sources: dict[int, str]) -> str:
    """Return an expression for a message, its columns as table.column."""
    if isinstance(expression, SourceColumn):
        return f"{sources[expression.occurrence].rpartition('.')[2]}.{expression.name}".removeprefix(".")
    if isinstance(expression, Constant):
        return repr(expression.text) if expression.kind == "STRING" else expression.text or "NULL"
    if isinstance(expression, Cast | NullExtended):
        return shown(expression.inner, sources)
    if isinstance(expression, Call):
        return f"{expression.name}({', '.join(shown(argument, sources) for argument in expression.arguments)})"
    return expression.what
