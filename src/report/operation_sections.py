"""The sections of the report about the platform itself: performance, cost, access, models. They read nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal

from src.facts.cost import CostFacts
from src.facts.models import ModelFacts
from src.facts.reads import UNREAD_DAYS, Access
from src.facts.security import Security
from src.facts.wording import moment, one_line, pluralized, size
from src.report import plots
from src.report.operations import DAYS, Operations
from src.report.pages import Cell, Figure, Grid, Section
from src.report.plots import Bar, Plot
from src.run.saving_records import SavingStatus

_TONES = {"landing": "pale", "bronze": "odd", "silver": "main", "gold": "good"}
_SHOWN = 20  # rows of a table
_PATTERN = 120  # characters of a statement


def sections(found: Operations, today: date) -> Iterator[Section]:
    """Yield the sections; one that could not be read says why, and one about models only where there are some."""
    yield _performance(found, today)
    yield _cost(found.cost) if found.cost else _not_read("Cost", found.not_read.get("cost"))
    yield _access(found.access) if found.access else _not_read("Access", found.not_read.get("access"))
    yield _security(found.security) if found.security else _not_read("Security", found.not_read.get("security"))
    if "models" in found.not_read:
        yield _not_read("Models", found.not_read["models"])
    elif found.models:
        yield _models(found)


def _not_read(title: str, why: str | None) -> Section:
    return Section(title, f"Cannot be told: {why}. `make check` names what is damaged.")


# -- performance


def _performance(found: Operations, today: date) -> Section:
    if "performance" in found.not_read:
        return _not_read("Performance", found.not_read["performance"])
    total = sum(row.seconds for row in found.slow_tables)
    text = f"The slowest steps took {total:.0f} s in the last 7 days." if found.slow_tables else "No step yet."
    rows: list[tuple[Cell, ...]] = [
        (
            row.table,
            row.steps,
            _seconds(row.seconds),
            _seconds(row.longest),
            None if row.week_before is None else _seconds(row.week_before),
            _change(row.seconds, row.week_before),
        )
        for row in found.slow_tables
    ]
    headers = ("table", "steps", "seconds in 7 days", "longest", "a week before", "change")
    slow = found.access.slow[:_SHOWN] if found.access else ()
    queries: list[tuple[Cell, ...]] = [
        (
            one_line(row.pattern)[:_PATTERN],
            row.asked,
            _seconds(row.median_seconds),
            _seconds(row.p95_seconds),
            None if row.max_bytes is None else Figure(size(row.max_bytes)),
            row.max_rows,
            moment(row.last_asked),
        )
        for row in slow
    ]
    asked = ("statement, its values as ?", "asked", "median s", "p95 s", "most read", "most rows", "last (UTC)")
    grids = (Grid("Steps that took longest", headers, tuple(rows)), Grid("Slow queries", asked, tuple(queries)))
    return Section("Performance", text, _layer_plots(found, today), grids)


def _layer_plots(found: Operations, today: date) -> tuple[Plot, ...]:
    by_day: dict[date, dict[str, float]] = {}
    for row in found.layers:
        by_day.setdefault(row.day, {})[row.layer] = row.seconds
    if not by_day:
        return ()
    bars = []
    for ahead in range(DAYS):
        day = today - timedelta(days=DAYS - 1 - ahead)
        seconds = by_day.get(day, {})
        note = f"{day}: " + ", ".join(f"{layer} {seconds.get(layer, 0.0):.1f} s" for layer in _TONES)
        values = tuple(seconds.get(layer, 0.0) for layer in _TONES)
        bars.append(Bar(f"{day:%m-%d}", values, tuple(_TONES.values()), note))
    legend = tuple((tone, layer) for layer, tone in _TONES.items())
    return (plots.bars("layers", "Seconds of each layer by day", "seconds", bars, legend),)


# -- cost


def _cost(cost: CostFacts) -> Section:
    if cost.month is None:
        return Section("Cost", "Nothing is recorded yet: the next run measures what it takes.")
    text = (
        f"{_amount(cost, float(cost.amount))} in {cost.month:%Y-%m} so far, {pluralized(cost.days, 'day')} recorded, "
    )
    text += f"{cost.days_left} to come." + (f" There are {cost.note}." if cost.note else "")
    domains: list[tuple[Cell, ...]] = [
        (row.name, _seconds(float(row.cpu_seconds)), Figure(size(row.stored_bytes)), _priced(cost, row.amount))
        for row in cost.domains
    ]
    tables: list[tuple[Cell, ...]] = [
        (row.name, _seconds(float(row.cpu_seconds)), Figure(size(row.stored_bytes)), _priced(cost, row.amount))
        for row in cost.tables[:_SHOWN]
    ]
    trends: list[tuple[Cell, ...]] = [
        (
            row.domain,
            _seconds(row.cpu_seconds),
            _change(row.cpu_seconds, row.cpu_seconds_before),
            Figure(size(round(row.stored_bytes))),
            _change(row.stored_bytes, row.stored_bytes_before),
            _priced(cost, row.amount),
            _change(row.amount, row.amount_before),
        )
        for row in cost.trends
    ]
    amounts = ("processor s", "stored", cost.currency)
    grids = (
        Grid("Cost of each domain and mart", ("domain", *amounts), tuple(domains)),
        _budgets(cost),
        Grid(
            "A day of the last 7, beside one of the 28 before",
            ("domain", "processor s", "change", "stored", "change", cost.currency, "change"),
            tuple(trends),
        ),
        Grid("Cost of each table, the dearest first", ("table", *amounts), tuple(tables), folded=True),
        _savings(cost),
    )
    return Section("Cost", text, grids=grids)


def _budgets(cost: CostFacts) -> Grid:
    rows: list[tuple[Cell, ...]] = [
        (
            row.domain,
            _money(float(row.budget)),
            _money(float(row.spent)),
            Figure(f"{row.utilisation:.0%}"),
            _money(float(row.remaining)),
            _money(float(row.forecast)),
            str(row.reached_on) if row.reached_on else "",
        )
        for row in cost.budgets
    ]
    headers = ("domain", "budget", "spent", "of it", "left", "at the end of the month", "spent on")
    return Grid("Budgets", headers, tuple(rows))


def _savings(cost: CostFacts) -> Grid:
    rows: list[tuple[Cell, ...]] = [
        (
            row.table,
            Figure(size(row.bytes)),
            _seconds(float(row.cpu_seconds)),
            row.effort,
            row.priority,
            row.evidence,
            row.fix,
        )
        for row in cost.savings.with_status(SavingStatus.ACTIVE)[:_SHOWN]
    ]
    headers = ("table", "bytes", "processor s a month", "effort", "priority", "why", "how")
    return Grid("What would save", headers, tuple(rows))


# -- access


def _access(access: Access) -> Section:
    if access.recorded_since is None:
        return Section("Access", "No read is recorded yet: the first query makes the first record.")
    users = {row.user for row in access.by_table}
    since = moment(access.recorded_since)
    text = f"{pluralized(len(users), 'user')} in the last {DAYS} days; reads are recorded since {since} UTC."
    by_table: list[tuple[Cell, ...]] = [
        (row.user, row.table or "no table", row.reads, row.failed, row.rows, _seconds(row.seconds), moment(row.last))
        for row in access.by_table
    ]
    first: list[tuple[Cell, ...]] = [
        (moment(row.moment), row.user, f"{row.table}.{row.column}", row.classification, "yes" if row.masked else "no")
        for row in access.first
    ]
    failed: list[tuple[Cell, ...]] = [
        (moment(row.moment), row.user, row.kind, ", ".join(row.tables), one_line(row.error)[:_PATTERN])
        for row in access.failed
    ]
    unread: list[tuple[Cell, ...]] = [(row.table, moment(row.last) or "never") for row in access.unread]
    if not access.unread_is_certain:
        unread = []
        text += f" Which tables nobody reads is told once there are {UNREAD_DAYS} days of records."
    grids = (
        Grid(
            "Who reads what",
            ("user", "table", "reads", "failed", "rows", "seconds", "last (UTC)"),
            tuple(by_table[:_SHOWN]),
        ),
        Grid(
            "Classified columns read for the first time",
            ("moment", "user", "column", "class", "masked"),
            tuple(first[:_SHOWN]),
        ),
        Grid("Reads that failed", ("moment", "user", "kind", "tables", "error"), tuple(failed[:_SHOWN])),
        Grid(
            f"Tables that nobody read for {UNREAD_DAYS} days", ("table", "last read (UTC)"), tuple(unread), folded=True
        ),
    )
    return Section("Access", text, grids=grids)


# -- security


def _security(found: Security) -> Section:
    text = f"{pluralized(found.findings, 'thing')} to look after." if found.findings else "Nothing to look after."
    if found.advisories.not_asked:
        text += f" Of {pluralized(found.advisories.pins, 'pinned package')} no advisory is known: "
        text += f"{found.advisories.not_asked}; `make report REVIEW=1` asks."
    loose: list[tuple[Cell, ...]] = [(one.what, one.found, f"`{one.fix}`") for one in found.loose]
    secrets: list[tuple[Cell, ...]] = [
        (one.name, str(one.since) if one.since else "unknown", one.days, "old: change it" if one.is_old else "")
        for one in found.secrets
    ]
    advisories: list[tuple[Cell, ...]] = [
        (f"{one.package} {one.version}", one.id, one.summary[:_PATTERN], ", ".join(one.fixed_in))
        for one in found.advisories.found
    ]
    rejected: list[tuple[Cell, ...]] = [(one.table, one.rows, moment(one.oldest)) for one in found.quarantine]
    grids = (
        Grid("More people may use it than should", ("what", "how", "fix"), tuple(loose)),
        Grid("Credentials", ("setting", "since", "days", ""), tuple(secrets)),
        Grid("Advisories of pinned packages", ("package", "advisory", "what", "fixed in"), tuple(advisories)),
        Grid("Open rejected rows of masked columns", ("table", "rows", "oldest (UTC)"), tuple(rejected)),
    )
    return Section("Security", text, grids=grids)


# -- models


def _models(found: Operations) -> Section:
    models = found.models
    now = max((row.measured_at for one in models for row in one.drift), default=None)
    active = sum(one.active is not None for one in models)
    rows = [row for one in models for row in _model(one)]
    drift: list[tuple[Cell, ...]] = [
        (one.name, row.feature, _figure(row.psi, ".3f"), Figure(f"{row.threshold:g}"), row.verdict, row.most_moved)
        for one in models
        for row in one.drift[:_SHOWN]
    ]
    weeks: list[tuple[Cell, ...]] = [
        (
            one.name,
            str(row.week),
            row.version,
            row.outcomes,
            *(_figure(value, ".3f") for value in (row.accuracy, row.precision, row.recall, row.f1, row.brier)),
            row.verdict,
        )
        for one in models
        for row in one.performance[:_SHOWN]
    ]
    measured = ("accuracy", "precision", "recall", "F1", "Brier")
    text = f"{pluralized(len(models), 'model')} declared, {active} in use" + (
        f", looked at {moment(now)} UTC." if now else "."
    )
    grids = (
        Grid("Models", ("model", "version", "why", "trained (UTC)", "held-out rows", "next training"), tuple(rows)),
        Grid(
            "Features beside the training",
            ("model", "feature", "psi", "threshold", "verdict", "most moved"),
            tuple(drift),
        ),
        Grid(
            "How right they were, by week", ("model", "week", "version", "outcomes", *measured, "verdict"), tuple(weeks)
        ),
    )
    return Section("Models", text, grids=grids)


def _model(one: ModelFacts) -> Sequence[tuple[Cell, ...]]:
    shown = one.active or one.last
    if shown is None:
        return [(one.name, "none", "never trained", None, None, "`make train` trains it")]
    due = moment(one.retrain_due)
    return [(one.name, f"{shown.version} {shown.status}", shown.why, moment(shown.trained_at), shown.holdout_rows, due)]


# -- figures


def _amount(cost: CostFacts, value: float) -> str:
    if not cost.priced:
        seconds = sum(float(row.cpu_seconds) for row in cost.domains)
        return f"{seconds:,.0f} s of processor and {size(sum(row.stored_bytes for row in cost.domains))} stored"
    return f"{value:,.2f} {cost.currency}"


def _money(value: float) -> Figure:
    return Figure(f"{value:,.2f}")


def _priced(cost: CostFacts, value: Decimal | float) -> Figure | None:
    return _money(float(value)) if cost.priced else None


def _seconds(value: float) -> Figure:
    return Figure(f"{value:,.1f}")


def _change(value: float, before: float | None) -> Figure | None:
    return Figure(f"{value / before - 1:+.0%}") if before else None


def _figure(value: float | None, form: str) -> Figure | None:
    return None if value is None else Figure(format(value, form))
