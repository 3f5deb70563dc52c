"""Audits look at a table as it is about to be, before the commit: an error blocks the write, a warning is recorded.

What is audited: `quality[]` of the contract, columns declared unique, and foreign keys. Readers keep
the last good version of a table whose audit failed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from src.contract import Expectation, Relationship, Table
from src.engine import DuckEngine, identifier, literal
from src.errors import BoathouseError, ContractError, DataError

AUDITED = "audited"  # the view of the rows that are audited: filled by `run`; foreign keys to the table itself read it
_SAMPLES = 5
_FEW_ROWS = 20_000  # they are read once: a statement that names a view twice is planned, and reads its files, twice
_ROWS = f"SELECT count(*) FROM {AUDITED}"
# Returns how many rows are audited, and how many of them meet each of these conditions.
Counting = Callable[[Sequence[str]], Sequence[int]]


@dataclass(frozen=True)
class AuditResult:
    """The result of one audit; `samples` are JSON text.

    `value` is in `unit` (rows or percent of all rows), None where nothing was measured.
    """

    rule: str
    column: str | None
    operator: str
    bound: str
    value: float | None
    unit: str
    severity: str
    passed: bool
    rows: int
    samples: str | None
    description: str


class AuditError(DataError):
    """An audit of severity error failed; `audits` are all results of the table."""

    def __init__(self, table: Table, audits: Sequence[AuditResult]) -> None:
        self.audits = tuple(audits)
        fix = "correct the rows at their source, or the rule; readers keep the last good version"
        super().__init__(self.text(audits), where=table.path, fix=fix)

    @staticmethod
    def text(audits: Sequence[AuditResult]) -> str:
        """Return what is told of the results of a table that was not written for them."""
        failed = (audit for audit in audits if not audit.passed and audit.severity == "error")
        return f"audit failed: {'; '.join(map(describe, failed))}"


def describe(audit: AuditResult) -> str:
    """Return one result in one line."""
    column = f" of {audit.column}" if audit.column else ""
    unit = " %" if audit.unit == "percent" else ""
    found = "measured nothing (its query gave NULL)" if audit.value is None else f"is {audit.value:g}{unit}"
    shown = f"{audit.rule}{column} {found}, {audit.operator} {audit.bound}"
    return shown + (f", such as {audit.samples}" if audit.samples and not audit.passed else "")


def run(
    engine: DuckEngine,
    table: Table,
    relation: str,
    others: Mapping[str, str],
    rows: int | None = None,
    counting: Counting | None = None,
    *,
    are_counted: bool = False,
) -> tuple[AuditResult, ...]:
    """Audit a table whose rows will be those of `relation`; `others` are relations of the tables it refers to.

    `rows`: about how many they are, where that is known, and exactly so many where they `are_counted`; `counting`: what
    counts them in place of this engine.

    Raises:
        AuditError: an audit of severity error failed.
        ContractError: a query of the contract does not run.
    """
    checks = [*map(_expected, table.quality), *_unique(table)]
    checks += [_referring(relationship, others.get(relationship.to_table)) for relationship in table.relationships]
    if not checks:
        return ()
    if are_counted and rows is not None and all(check.query == _ROWS for check in checks):
        return _judged(table, tuple(_result(engine, check, rows, rows, sampled=False) for check in checks))
    if rows is not None and rows <= _FEW_ROWS:
        with suppress(BoathouseError):  # which is said of the audit that it is of
            results = _results(engine, table, checks, f"WITH {AUDITED} AS MATERIALIZED (SELECT * FROM {relation}) ")
            if all(result.passed for result in results):
                return results
    engine.view(AUDITED, f"SELECT * FROM {relation}")
    return _judged(table, _results(engine, table, checks, counting=counting))


def _judged(table: Table, results: tuple[AuditResult, ...]) -> tuple[AuditResult, ...]:
    """Return the results of audits.

    Raises:
        AuditError: one of severity error failed.
    """
    if any(not result.passed and result.severity == "error" for result in results):
        raise AuditError(table, results)
    return results


def _results(
    engine: DuckEngine, table: Table, checks: Sequence[_Check], rows: str = "", counting: Counting | None = None
) -> tuple[AuditResult, ...]:
    """Return the results of audits; `rows` is SQL that gives the audited rows their name, where no view does.

    Then there are no samples. `counting` is that of `run`.
    """
    count, found, answers = _measured(engine, checks, rows, counting)

    def value(check: _Check) -> float | None:
        if check.bad:
            return float(next(found))
        if check.query == _ROWS:
            return count
        return _number(table, check, answers[check.query] if answers else engine.rows(check.query))

    return tuple(_result(engine, check, count, value(check), sampled=not rows) for check in checks)


def counts_of(conditions: Sequence[str]) -> list[str]:
    """Return SQL of how many rows there are, and how many of them meet each condition."""
    return ["count(*)", *(f"count(*) FILTER (WHERE {condition})" for condition in conditions)]


def own_query(expectation: Expectation) -> str:
    """Return the SQL that a contract writes for an audit, over the rows that are audited; empty where it has none."""
    return (expectation.query or "").replace("${object}", AUDITED)


@dataclass(frozen=True)
class _Check:
    """One audit as SQL: a condition that bad rows meet, or a query that gives the value; and a SELECT of bad rows."""

    rule: str
    expectation: Expectation
    bad: str = ""
    query: str = ""
    shown: str = ""  # where rows that meet `bad` are not what tells most


def _expected(expectation: Expectation) -> _Check:
    rule = expectation.metric or expectation.id or "query"
    if expectation.kind == "sql":
        return _Check(rule, expectation, query=str(expectation.query).replace("${object}", AUDITED))
    if expectation.metric == "rowCount":
        return _Check(rule, expectation, query=_ROWS)
    if expectation.metric == "duplicateValues":
        columns = _columns(expectation)
        return _Check(rule, expectation, query=_surplus(columns), shown=_repeated(columns))
    return _Check(rule, expectation, bad=_bad(expectation))


def _columns(expectation: Expectation) -> Sequence[str]:
    arguments = dict(expectation.arguments)
    named = arguments.get("properties")
    return [str(name) for name in named] if isinstance(named, tuple) else [str(expectation.column)]


def _surplus(columns: Sequence[str]) -> str:
    """Return a query that counts the rows repeating an earlier one's values; an absent value repeats nothing."""
    names = ", ".join(map(identifier, columns))
    there = " AND ".join(f"{identifier(name)} IS NOT NULL" for name in columns)
    return f"SELECT count(*) - count(DISTINCT ({names})) FROM {AUDITED} WHERE {there}"


def _repeated(columns: Sequence[str]) -> str:
    """Return a SELECT of the values that stand in more than one row, and in how many, the commonest first."""
    names = ", ".join(map(identifier, columns))
    there = " AND ".join(f"{identifier(name)} IS NOT NULL" for name in columns)
    counted = f"SELECT {names}, count(*) AS rows FROM {AUDITED} WHERE {there} GROUP BY {names}"
    return f"{counted} HAVING count(*) > 1 ORDER BY rows DESC, {names}"


def _bad(expectation: Expectation) -> str:
    name = identifier(str(expectation.column))
    arguments = dict(expectation.arguments)
    if expectation.metric == "nullValues":
        return f"{name} IS NULL"
    if expectation.metric == "missingValues":
        return f"{name} IS NULL OR {_among(name, arguments.get('missingValues'))}"
    valid = []
    if "validValues" in arguments:
        valid.append(_among(name, arguments["validValues"]))
    if "pattern" in arguments:
        valid.append(f"regexp_matches({name}::VARCHAR, {literal(arguments['pattern'])})")
    return f"{name} IS NOT NULL AND NOT ({' AND '.join(valid)})"


def _among(name: str, values: object) -> str:
    listed = [literal(str(value)) for value in values if value is not None] if isinstance(values, tuple) else []
    return f"{name}::VARCHAR IN ({', '.join(listed)})" if listed else "false"


def _unique(table: Table) -> list[_Check]:
    return [
        _Check(
            "unique",
            Expectation("library", "mustBe", 0, column=column.name),
            query=_surplus([column.name]),
            shown=_repeated([column.name]),
        )
        for column in table.columns
        if column.unique
    ]


def _referring(relationship: Relationship, other: str | None) -> _Check:
    there = " AND ".join(f"{identifier(name)} IS NOT NULL" for name in relationship.columns)
    match = " AND ".join(
        f"a.{identifier(own)} = o.{identifier(theirs)}"
        for own, theirs in zip(relationship.columns, relationship.to_columns, strict=True)
    )
    orphan = f"{there} AND NOT EXISTS (SELECT 1 FROM {other} o WHERE {match})" if other else there
    names = ", ".join(relationship.columns)
    expectation = Expectation(
        "library",
        "mustBe",
        0,
        column=names,
        severity=relationship.severity,
        description=f"{names} refers to {relationship.to_table}",
    )
    return _Check("relationship", expectation, query=f"SELECT count(*) FROM {AUDITED} a WHERE {orphan}")


def _measured(
    engine: DuckEngine, checks: Sequence[_Check], rows: str, counting: Counting | None
) -> tuple[int, Iterator[int], dict[str, Sequence[tuple[Any, ...]]]]:
    """Return how many rows there are, those that meet each condition, and what each query gives.

    All in one statement, as it takes time to bind the rows for each; where that does not run, and a view has the rows,
    the queries are left to be asked one by one: an error then says which it is of. `rows` and `counting` are those of
    `_results`.
    """
    conditions = [check.bad for check in checks if check.bad]
    counts = counts_of(conditions)
    counted = f"SELECT {', '.join(counts)} FROM {AUDITED}"
    if counting:
        counted = f"SELECT {', '.join(map(str, counting(conditions)))}"
    queries = list(dict.fromkeys(check.query for check in checks if check.query and check.query != _ROWS))
    answers: dict[str, Sequence[tuple[Any, ...]]] = {}
    if queries:
        with nullcontext() if rows else suppress(BoathouseError):
            asked = ", ".join(f"({engine.inline(query)})" for query in queries)
            (*numbers,) = engine.one(f"{rows}SELECT c.*, {asked} FROM ({counted}) c")
            answers = {query: [(value,)] for query, value in zip(queries, numbers[len(counts) :], strict=True)}
            return int(numbers[0]), iter(numbers[1 : len(counts)]), answers
    numbers = list(engine.one(f"{rows}{counted}"))
    return int(numbers[0]), iter(numbers[1:]), answers


def _number(table: Table, check: _Check, answer: Sequence[tuple[Any, ...]]) -> float | None:
    """Return the number that a query gave; None for no row, NULL or NaN.

    Raises:
        ContractError: it gave something else than one number.
    """
    found = answer[0][0] if answer else None
    try:
        if len(answer) > 1 or len(answer[0] if answer else "1") > 1:
            raise ValueError
        value = None if found is None else float(found)
    except (TypeError, ValueError):
        shown = repr(found)[:80] + (", and more" if answer[1:] or len(answer[0]) > 1 else "")
        fix = "let the query give one number: one row with one column"
        raise ContractError(f"audit {check.rule}: the query gives {shown}", where=table.path, fix=fix) from None
    return None if value is None or math.isnan(value) else value


def _result(engine: DuckEngine, check: _Check, rows: int, found: float | None, *, sampled: bool) -> AuditResult:
    expectation = check.expectation
    value = found if found is None else float(found)
    if value is not None and expectation.unit == "percent":
        value = 100 * value / rows if rows else 0.0
    passed = value is not None and _OPERATORS[expectation.operator](value, expectation.bound)
    return AuditResult(
        rule=check.rule,
        column=expectation.column,
        operator=expectation.operator,
        bound=_shown(expectation.bound),
        value=value,
        unit=expectation.unit,
        severity=expectation.severity,
        passed=passed,
        rows=rows,
        samples=_samples(engine, check) if sampled and not passed else None,
        description=expectation.description,
    )


def _samples(engine: DuckEngine, check: _Check) -> str | None:
    """Return some of the rows that failed an audit, as JSON text; None where a query gives a number alone."""
    shown = check.shown or (f"SELECT * FROM {AUDITED} WHERE {check.bad}" if check.bad else "")
    if not shown:
        return None
    rows = engine.values(f"SELECT to_json(a)::VARCHAR FROM ({shown} LIMIT {_SAMPLES}) a")
    return json.dumps([json.loads(row) for row in rows], ensure_ascii=False)


_OPERATORS: dict[str, Callable[[float, Any], bool]] = {
    "mustBe": lambda value, bound: value == float(bound),
    "mustNotBe": lambda value, bound: value != float(bound),
    "mustBeGreaterThan": lambda value, bound: value > bound,
    "mustBeGreaterOrEqualTo": lambda value, bound: value >= bound,
    "mustBeLessThan": lambda value, bound: value < bound,
    "mustBeLessOrEqualTo": lambda value, bound: value <= bound,
    "mustBeBetween": lambda value, bound: bound[0] <= value <= bound[1],
    "mustNotBeBetween": lambda value, bound: not bound[0] <= value <= bound[1],
}


def _shown(bound: object) -> str:
    if isinstance(bound, tuple):
        return " and ".join(map(str, bound))
    return str(bound).lower() if isinstance(bound, bool | Decimal) else str(bound)
