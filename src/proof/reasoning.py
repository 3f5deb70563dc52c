"""When two expressions are equal, and when rows that agree on some expressions agree on another."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from src.engine import DuckEngine
from src.errors import BoathouseError
from src.proof.expressions import (
    FINER,
    PARTS,
    Call,
    Cast,
    Constant,
    Dependency,
    Expression,
    NoSql,
    NullExtended,
    Opaque,
    SourceColumn,
    Tag,
    calendar,
    origins,
    parts_of,
    rebuilt,
    to_sql,
    truncated,
    within,
)
from src.proof.refusals import Budget
from src.proof.relations import Known
from src.proof.sources import Source

UNKNOWN = "?"  # the type of what cannot be typed; nothing is equal to it
_MOMENT = "TIMESTAMP WITH TIME ZONE"
_DATES = ("DATE", "TIMESTAMP")
# Equal values of these types are the same in all that is made of them. Not so 0.0 and -0.0, or intervals.
_NUMBERS = r"U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)|DECIMAL.*"
_NUMBER = re.compile(_NUMBERS)
_EXACT = re.compile(rf"{_NUMBERS}|VARCHAR|DATE|TIMESTAMP(_S|_MS|_NS| WITH TIME ZONE)?|BOOLEAN|UUID")
_DEPTH = 6  # day = month(day) has no end
_NAMES, _CHOICES = 60, 40  # at most so many names of one expression, and so many combinations of those of its parts


@dataclass
class Reasoning:
    """Equality and determination, over the occurrences of sources in one model."""

    engine: DuckEngine
    budget: Budget
    occurrences: dict[int, Source] = field(default_factory=dict)
    arms: dict[SourceColumn, list[Expression]] = field(default_factory=dict)  # values of a set operation's column
    _types: dict[Expression, str] = field(default_factory=dict)

    # -- types

    def type_of(self, expression: Expression) -> str:
        """Return the DuckDB type of an expression; UNKNOWN where it cannot be told."""
        if expression not in self._types:
            self._types[expression] = self._typed(expression)
        return self._types[expression]

    def _typed(self, expression: Expression) -> str:
        if isinstance(expression, NullExtended):
            return self.type_of(expression.inner)
        plain = _without_outer_joins(expression)
        try:
            return self.engine.type_of(
                to_sql(plain, self.engine.functions.known, lambda column: f"NULL::{column.type}")
            )
        except (NoSql, BoathouseError):
            return UNKNOWN

    def is_exact(self, expression: Expression) -> bool:
        """Return whether equal values of an expression are the same in all that is made of them."""
        if isinstance(expression, Opaque) or calendar(expression):
            return True  # an opaque value is equal to itself alone
        return bool(_EXACT.fullmatch(self.type_of(expression)))

    def pair(self, one: Expression, two: Expression) -> Known:
        """Return what an equality in SQL proves: that both are equal, if no cast stands between the values compared."""
        kinds = self.type_of(one), self.type_of(two)
        if kinds[0] == kinds[1] and _EXACT.fullmatch(kinds[0]):
            return Known(((one, two),))
        for value, literal, kind in ((one, two, kinds[0]), (two, one, kinds[1])):
            if isinstance(literal, Constant) and _is_literal_of(literal, kind):
                return Known(((value, self.canonical(Cast(kind, literal))),))
        return Known()

    # -- one form for what is written in several

    def canonical(self, expression: Expression) -> Expression:
        """Return the form in which an expression is compared: date parts under one name, idle casts gone."""
        if not parts_of(expression):
            return expression
        expression = rebuilt(expression, tuple(map(self.canonical, parts_of(expression))))
        if isinstance(expression, Cast):
            same = self.type_of(expression.inner) == expression.type
            return expression.inner if same else expression
        return self._canonical_call(expression) if isinstance(expression, Call) else expression

    def _canonical_call(self, call: Call) -> Expression:
        name, arguments = call.name, call.arguments
        if name in PARTS and len(arguments) == 1:
            name, arguments = "date_part", (Constant(name, "STRING"), *arguments)
        name = {"datetrunc": "date_trunc", "datepart": "date_part"}.get(name, name)
        if name not in ("date_trunc", "date_part") or len(arguments) != 2 or not isinstance(arguments[0], Constant):
            return call
        unit, argument = arguments[0].text.lower().removesuffix("s"), arguments[1]
        while unit in PARTS and self._is_same_day(argument):
            argument = parts_of(argument)[0]
        made = Call(name, (Constant(unit, "STRING"), argument))
        inner = calendar(argument)
        return argument if name == "date_trunc" and inner and inner[:2] == ("date_trunc", unit) else made

    def _is_same_day(self, expression: Expression) -> bool:
        """Return whether an expression casts a date or a timestamp to one: its units from the day up stay the same."""
        if not isinstance(expression, Cast) or expression.type not in _DATES:
            return False
        return self.type_of(expression.inner) in _DATES

    # -- equality

    def names_of(self, expression: Expression, known: Known, depth: int = 0) -> frozenset[Expression]:
        """Return expressions known to be equal to this one, and itself; some may be left out."""
        if depth > _DEPTH:
            return frozenset({expression})
        memo = known.memo.get((expression, depth))
        if memo is None:
            self.budget.take()
            memo = known.memo[expression, depth] = self._named(expression, known, depth)
        return memo

    def _named(self, expression: Expression, known: Known, depth: int) -> frozenset[Expression]:
        found, todo = {expression}, [expression]
        while todo and len(found) < _NAMES:
            one = todo.pop()
            near = set(known.neighbours.get(one, ()))
            if isinstance(one, Call) and one.name == "coalesce":
                first, *rest = one.arguments
                near |= {first} if first in known.filled or not rest else set()
            near |= self._with_other_parts(one, known, depth)
            todo += near - found
            found |= near
        return frozenset(found)

    def _with_other_parts(self, expression: Expression, known: Known, depth: int) -> set[Expression]:
        """Return the same function of other names of its parts."""
        parts = parts_of(expression)
        if not parts:
            return set()
        choices = [self.names_of(part, known, depth + 1) if origins(part) else frozenset({part}) for part in parts]
        unit = calendar(expression)
        if unit and self.type_of(unit[2]) == "TIMESTAMP":  # a day's units are those of its moment
            choices[1] |= self.names_of(Cast("DATE", unit[2]), known, depth + 1)
        combinations = itertools.islice(itertools.product(*choices), _CHOICES)
        return {self.canonical(rebuilt(expression, combination)) for combination in combinations}

    def are_equal(self, one: Tag, two: Tag, known: Known) -> bool:
        """Return whether two tags are known to be equal, member by member."""
        return all(a == b or b in self.names_of(a, known) for a, b in zip(one, two, strict=True))

    def rewritten(self, dependency: Dependency, known: Known, allowed: Callable[[int], bool]) -> Dependency:
        """Return the tags equal to one of a dependency that are made of allowed origins alone."""

        def names(expression: Expression) -> list[Expression]:
            return [name for name in self.names_of(expression, known) if all(map(allowed, origins(name)))]

        found: set[Tag] = set()
        for tag in dependency:
            found |= set(itertools.islice(itertools.product(*map(names, tag)), 8))
        return frozenset(found)

    # -- determination

    def determined_tags(
        self, dependency: Dependency, keys: Sequence[Expression], known: Known, own: Collection[int]
    ) -> Dependency:
        """Return the tags of a dependency on which rows agree that agree on the keys."""
        return frozenset(tag for tag in dependency if all(self.is_determined(part, keys, known, own) for part in tag))

    def is_determined(
        self, expression: Expression, keys: Sequence[Expression], known: Known, own: Collection[int], depth: int = 0
    ) -> bool:
        """Return whether rows of one relation, with these `own` ids, agree on an expression if they agree on the keys.

        They do on a key, on a constant, on a column of an outer query, on what is a function of such, on all
        columns of a table whose key is, and on a calendar unit of a finer one.
        """
        if depth > _DEPTH:
            return False
        names = self.names_of(expression, known)
        if any(name in keys or not origins(name) & set(own) for name in names):
            return True

        def determined(part: Expression) -> bool:
            return self.is_determined(part, keys, known, own, depth + 1)

        return any(
            self._follows_from_parts(name, determined)
            or self._follows_from_calendar(name, keys)
            or self._follows_from_table_key(name, determined)
            for name in names
        )

    def _follows_from_parts(self, name: Expression, determined: Callable[[Expression], bool]) -> bool:
        parts = [part for part in parts_of(name) if not isinstance(part, Constant)]
        return bool(parts) and all(determined(part) and self.is_exact(part) for part in parts)

    def _follows_from_calendar(self, name: Expression, keys: Sequence[Expression]) -> bool:
        found = calendar(name)
        if not found:
            return False
        _, unit, argument = found
        kind = self.type_of(argument)
        if kind not in (*_DATES, _MOMENT):
            return False
        finer: list[Expression] = [truncated(other, argument) for other in PARTS[unit] | ({unit} & set(FINER))]
        finer += [Cast("DATE", argument)] if kind != "DATE" else []
        return any(key in (one, Cast("DATE", one), Cast("TIMESTAMP", one)) for one in finer for key in keys)

    def _follows_from_table_key(self, name: Expression, determined: Callable[[Expression], bool]) -> bool:
        if not isinstance(name, SourceColumn):
            return False
        source = self.occurrences[name.occurrence]
        if not source.key or name.name in source.key:
            return False
        return all(determined(SourceColumn(name.occurrence, key, source.columns[key])) for key in source.key)

    def titles(self) -> dict[int, str]:
        """Return the id of each occurrence's source, for messages."""
        return {occurrence: source.id for occurrence, source in self.occurrences.items()}

    def source_of(self, dependency: Dependency) -> str | None:
        """Return the id of a source that a dependency is about."""
        todo = [part for tag in sorted(dependency, key=repr) for part in tag]
        while todo:
            for found in within(todo.pop(0)):
                if isinstance(found, SourceColumn) and self.occurrences[found.occurrence].id:
                    return self.occurrences[found.occurrence].id
                todo += self.arms.get(found, []) if isinstance(found, SourceColumn) else []
        return None


def _without_outer_joins(expression: Expression) -> Expression:
    """Return the same expression of columns that are not null-extended; its type is the same."""
    if isinstance(expression, NullExtended):
        return _without_outer_joins(expression.inner)
    return rebuilt(expression, tuple(map(_without_outer_joins, parts_of(expression))))


def _is_literal_of(constant: Constant, kind: str) -> bool:
    """Return whether a literal is compared in the type of the other side, or exactly as if it were."""
    if constant.kind == "STRING":
        return bool(_EXACT.fullmatch(kind))
    plain = constant.kind == "INTEGER" or (constant.kind == "NUMERIC" and "e" not in constant.text.lower())
    return plain and bool(_NUMBER.fullmatch(kind))
