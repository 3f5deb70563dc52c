"""What a month cost so far, by domain, and what it will have cost at its end; from the records in `ops.cost`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from math import ceil

from src import catalog
from src.engine import DuckEngine, literal
from src.project import Project
from src.run import costs
from src.settings import BUDGET_PREFIX, Settings
from src.views.cost import daily

_NOTHING = Decimal(0)


@dataclass(frozen=True)
class Month:
    """A month up to a day, both in the project's time zone."""

    first: date
    today: date
    days: int  # that have records, from the first of the month or of the lake up to today, today included

    @property
    def left(self) -> int:
        """Return the days after today."""
        return (_next(self.first) - self.today).days - 1


@dataclass(frozen=True)
class Spent:
    """The amounts of one domain in a month so far, in the currency of the settings."""

    domain: str
    cpu_amount: Decimal
    storage_amount: Decimal
    storage_today: Decimal

    @property
    def amount(self) -> Decimal:
        """Return both together."""
        return self.cpu_amount + self.storage_amount

    def a_day(self, month: Month) -> Decimal:
        """Return what a day to come is taken to cost: the processor as on the days so far, storage as it stands."""
        return self.cpu_amount / month.days + self.storage_today


def domains(project: Project) -> list[str]:
    """Return every domain and mart that costs are counted by."""
    contracts = project.contracts
    of_feeds = {feed.domain for feed in contracts.feeds.values()}
    tables = (*contracts.silver.values(), *contracts.gold.values())
    return sorted({costs.SHARED, *of_feeds, *(table.domain for table in tables)})


def setting_of(domain: str) -> str:
    """Return the name of the setting that gives a domain its budget."""
    return BUDGET_PREFIX + domain.upper().replace("-", "_")


def strays(project: Project) -> list[str]:
    """Return the settings of budgets that are of no domain."""
    return sorted(project.settings.budgets.keys() - set(map(setting_of, domains(project))))


def is_priced(settings: Settings) -> bool:
    """Return whether anything has a price."""
    return bool(settings.cost_per_cpu_hour or settings.cost_per_gb_month)


def publish(project: Project, today: date) -> bool:
    """Make `ops.cost_daily` readable as of a day; returns False where nothing is recorded yet."""
    engine = project.engine
    if not catalog.publish(engine, {costs.TABLE: project.path(costs.TABLE)}):
        return False
    engine.publish("ops.cost_daily", daily(f"DATE '{today}'"))
    return True


def month_of(project: Project, now: datetime) -> Month:
    """Return the month of a moment; `ops.cost_daily` is published."""
    today = costs.local_day(project, now)
    first = today.replace(day=1)
    oldest = project.engine.one(f"SELECT min(day) FROM ops.cost WHERE day <= DATE '{today}'")[0] or today
    return Month(first, today, (today - max(first, oldest)).days + 1)


def spent(engine: DuckEngine, month: Month, currency: str) -> dict[str, Spent]:
    """Return by domain what the month cost so far; `ops.cost_daily` is published as of its day."""
    rows = engine.rows(
        "SELECT domain, sum(cpu_amount), sum(storage_amount), "
        f"coalesce(sum(storage_amount) FILTER (day = DATE '{month.today}'), 0) FROM ops.cost_daily "
        f"WHERE day BETWEEN DATE '{month.first}' AND DATE '{month.today}' AND currency = {literal(currency)} "
        "GROUP BY domain ORDER BY domain"
    )
    return {row[0]: Spent(*row) for row in rows}


@dataclass(frozen=True)
class Budget:
    """The budget of one domain in a month, and how far it is spent; amounts in the currency of the settings."""

    measured_at: datetime
    domain: str
    month: date  # its first day
    days: int  # of it that have records, today included
    currency: str
    budget: Decimal
    spent: Decimal
    utilisation: float  # of 1
    remaining: Decimal  # below 0 once more is spent
    forecast: Decimal  # at the end of the month: each day left costs what one did so far, storage as it stands
    reached_on: date | None  # when it will be spent, as of now; None: not this month, or it is


def budgets(project: Project, now: datetime) -> tuple[Budget, ...]:
    """Return how far each budget is spent at a moment (UTC); none where nothing is recorded yet."""
    settings = project.settings
    known = {domain: settings.budgets.get(setting_of(domain)) for domain in domains(project)}
    if not any(known.values()) or not publish(project, costs.local_day(project, now)):
        return ()
    month = month_of(project, now)
    found = spent(project.engine, month, settings.cost_currency)
    return tuple(_budgets(now, month, settings.cost_currency, known.items(), found))


def _budgets(
    now: datetime,
    month: Month,
    currency: str,
    known: Iterable[tuple[str, Decimal | None]],
    found: dict[str, Spent],
) -> Iterable[Budget]:
    for domain, budget in known:
        if budget is None:
            continue
        so_far = found.get(domain, Spent(domain, _NOTHING, _NOTHING, _NOTHING))
        a_day, left = so_far.a_day(month), budget - so_far.amount
        days = ceil(left / a_day) if left > 0 and a_day > 0 else None
        yield Budget(
            measured_at=now,
            domain=domain,
            month=month.first,
            days=month.days,
            currency=currency,
            budget=budget,
            spent=so_far.amount,
            utilisation=float(so_far.amount / budget),
            remaining=left,
            forecast=so_far.amount + a_day * month.left,
            reached_on=month.today + timedelta(days) if days is not None and days <= month.left else None,
        )


def _next(first: date) -> date:
    """Return the first day of the month after."""
    return (first + timedelta(days=31)).replace(day=1)
