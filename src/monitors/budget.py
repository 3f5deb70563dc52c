"""A domain or mart costs no more than its budget of the month; each month begins anew.

P2 once more is spent than the budget; P3 from 80 % of it on, and where it will be spent before the month is over if
the days left cost what those so far did. A budget that cannot be watched, as its domain is not there or nothing has a
price, is a P3 too: it would keep silent for ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from src.monitors.reading import Reading
from src.problems import Problem
from src.run import costs, spending
from src.run.spending import Budget

TABLE = "ops.budgets"
KIND = "budget"
_NEARLY = Decimal("0.8")
_LEAST_DAYS = 5  # of the month, before its forecast is a problem: one first load would make thirty of it
_FIX = "`make cost` shows what it goes to and what would save"


def measure(reading: Reading) -> tuple[tuple[Budget, ...], tuple[Problem, ...]]:
    """Measure how far each budget is spent; a problem for each that is, nearly is or soon will be."""
    if not reading.project.settings.budgets:
        return (), ()
    rows = reading.attempt(costs.TABLE, spending.budgets, reading.project, reading.now) or ()
    return rows, (*_unwatched(reading), *_problems(reading, rows))


def _problems(reading: Reading, rows: tuple[Budget, ...]) -> Iterator[Problem]:
    for row in rows:
        part = f"{row.spent:.2f} of {row.budget:.2f} {row.currency} of {row.month:%Y-%m} spent, {row.utilisation:.0%}"
        until = f"; at this rate all of it on {row.reached_on}" if row.reached_on else ""
        soon = row.spent >= _NEARLY * row.budget or (row.forecast > row.budget and row.days >= _LEAST_DAYS)
        urgency = "P2" if row.remaining < 0 else "P3"
        if soon:
            fix = f"{_FIX}; else raise {spending.setting_of(row.domain)} in .env"
            yield Problem(KIND, row.domain, urgency, reading.today, part + until, fix)


def _unwatched(reading: Reading) -> Iterator[Problem]:
    project, today = reading.project, reading.today
    for name in spending.strays(project):
        fix = f"name one of {', '.join(map(spending.setting_of, spending.domains(project)))}, or remove it"
        yield Problem(KIND, name, "P3", today, "a budget of no domain", fix)
    if not spending.is_priced(project.settings):
        fix = "set COST_PER_CPU_HOUR and COST_PER_GB_MONTH in .env"
        yield Problem(KIND, "prices", "P3", today, "budgets are set, and no prices: nothing is ever spent", fix)
