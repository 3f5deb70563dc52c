"""What the lake costs this month: by domain and table, the trend, budgets, and what would save. Plain data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from src.engine import literal
from src.facts.savings.reading import Savings, read_savings
from src.project import Project
from src.run import costs, spending
from src.run.spending import Budget, Month
from src.views.cost import trend

NO_PRICES = "no prices set: COST_PER_CPU_HOUR and COST_PER_GB_MONTH in .env"


@dataclass(frozen=True)
class Spend:
    """One domain or table in a month so far; amounts in the currency of the settings, bytes as of its last day."""

    name: str
    cpu_seconds: Decimal
    stored_bytes: int  # live, history and backups
    history_bytes: int
    landed_bytes: int
    cpu_amount: Decimal
    storage_amount: Decimal

    @property
    def amount(self) -> Decimal:
        """Return both together."""
        return self.cpu_amount + self.storage_amount


@dataclass(frozen=True)
class Trend:
    """A domain's mean day of the last 7 complete ones, beside that of the 28 before; None: there are none yet."""

    domain: str
    days: int
    days_before: int
    cpu_seconds: float
    cpu_seconds_before: float | None
    stored_bytes: float
    stored_bytes_before: float | None
    amount: float
    amount_before: float | None


@dataclass(frozen=True)
class CostFacts:
    """The costs of a lake at one moment (UTC); days and months are those of the project's time zone."""

    read_at: datetime
    month: date | None  # its first day; None: nothing is recorded yet
    days: int  # of the month that have records
    days_left: int
    currency: str
    priced: bool
    note: str  # why there are no amounts; "" where there are
    domains: tuple[Spend, ...]  # the dearest first
    tables: tuple[Spend, ...]
    trends: tuple[Trend, ...]
    budgets: tuple[Budget, ...]
    stray_budgets: tuple[str, ...]  # settings that are of no domain
    savings: Savings

    @property
    def amount(self) -> Decimal:
        """Return what the month cost so far: the domains add up to it."""
        return sum((spend.amount for spend in self.domains), Decimal(0))


def read_cost(project: Project, now: datetime, *, keep: bool = True) -> CostFacts:
    """Return what the lake costs at a moment (UTC); `keep`: what is new or done among savings is recorded.

    Raises:
        BoathouseError: the records cannot be read.
    """
    today = costs.local_day(project, now)
    month = spending.month_of(project, now) if spending.publish(project, today) else None
    priced = spending.is_priced(project.settings)
    return CostFacts(
        read_at=now,
        month=month.first if month else None,
        days=month.days if month else 0,
        days_left=month.left if month else 0,
        currency=project.settings.cost_currency,
        priced=priced,
        note="" if priced else NO_PRICES,
        domains=_spent(project, month, "domain") if month else (),
        tables=_spent(project, month, '"table"') if month else (),
        trends=_trends(project, today) if month else (),
        budgets=spending.budgets(project, now),
        stray_budgets=tuple(spending.strays(project)),
        savings=read_savings(project, now, keep=keep),
    )


def _spent(project: Project, month: Month, by: str) -> tuple[Spend, ...]:
    last = f"FILTER (day = DATE '{month.today}')"
    rows = project.engine.rows(
        f"SELECT {by}, sum(cpu_seconds), "
        f"coalesce(sum(live_bytes + history_bytes + backup_bytes) {last}, 0)::BIGINT AS stored, "
        f"coalesce(sum(history_bytes) {last}, 0)::BIGINT, coalesce(sum(landed_bytes), 0)::BIGINT, "
        "sum(cpu_amount), sum(storage_amount) FROM ops.cost_daily "
        f"WHERE day BETWEEN DATE '{month.first}' AND DATE '{month.today}' "
        f"AND currency = {literal(project.settings.cost_currency)} "
        f"GROUP BY 1 ORDER BY sum(amount) DESC, sum(cpu_seconds) DESC, stored DESC, 1"
    )
    return tuple(Spend(*row) for row in rows)


def _trends(project: Project, today: date) -> tuple[Trend, ...]:
    names = ("cpu_seconds", "stored_bytes", "amount")
    sums = ", ".join(f"sum({name}), sum({name}_before)" for name in names)
    means = trend(f"DATE '{today}'")
    rows = project.engine.rows(
        f"SELECT domain, any_value(days), any_value(days_before), {sums} FROM ({means}) "
        f"WHERE currency = {literal(project.settings.cost_currency)} AND days > 0 GROUP BY domain ORDER BY domain"
    )
    return tuple(Trend(*row) for row in rows)
