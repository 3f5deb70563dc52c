"""Costs on a terminal: this month by domain and table, budgets, and what would save."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from src import console
from src.facts.cost import CostFacts, Spend, Trend
from src.facts.savings.reading import Saving
from src.facts.wording import one_line, pluralized, size
from src.run.saving_records import SavingStatus

_TABLES = 10  # the dearest, unless all are asked for


def print_cost(found: CostFacts, *, every_table: bool = False) -> None:
    """Print what the month cost so far, its budgets, and what would save; `every_table`: not the dearest alone."""
    if found.month is None:
        print("nothing is recorded yet: `make pipeline` records what it takes")
        return
    spent = f", {found.amount:,.2f} {found.currency}" if found.priced else ""
    left = pluralized(found.days_left, "day")
    print(f"{found.month:%Y-%m}: {pluralized(found.days, 'day')} recorded{spent}; {left} left")
    if found.note:
        print(f"note: {found.note}")
    print()
    _print_domains(found)
    print()
    shown = found.tables if every_table else found.tables[:_TABLES]
    _print_tables(found, shown)
    if len(found.tables) > len(shown):
        print(f"and {len(found.tables) - len(shown)} more: `make cost ALL=1`")
    _print_budgets(found)
    print()
    _print_savings(found)


def _print_domains(found: CostFacts) -> None:
    trends = {one.domain: one for one in found.trends}
    priced = [found.currency] if found.priced else []
    headers = ("domain", *priced, "cpu s", "stored", "a day", "before", "change")
    console.table(headers, [_domain(found, spend, trends.get(spend.name)) for spend in found.domains])
    what = found.currency if found.priced else "cpu s"
    spans = next(iter(found.trends), None)
    if spans:
        before = f" beside that of the {spans.days_before} before" if spans.days_before else ""
        print(f"a day: the mean of the last {spans.days} complete days, in {what}{before}")


def _domain(found: CostFacts, spend: Spend, trend: Trend | None) -> tuple[object, ...]:
    now, before = _means(found, trend)
    change = f"{now / before - 1:+.0%}" if now is not None and before else None
    return (spend.name, *_figures(found, spend), _rounded(now), _rounded(before), change)


def _means(found: CostFacts, trend: Trend | None) -> tuple[float | None, float | None]:
    if trend is None:
        return None, None
    return (trend.amount, trend.amount_before) if found.priced else (trend.cpu_seconds, trend.cpu_seconds_before)


def _print_tables(found: CostFacts, shown: Sequence[Spend]) -> None:
    priced = [found.currency] if found.priced else []
    headers = ("table", *priced, "cpu s", "stored", "of it history")
    console.table(headers, [(one.name, *_figures(found, one), size(one.history_bytes)) for one in shown])


def _figures(found: CostFacts, spend: Spend) -> tuple[object, ...]:
    amount = [_amount(spend.amount)] if found.priced else []
    return (*amount, round(spend.cpu_seconds, 1), size(spend.stored_bytes))


def _print_budgets(found: CostFacts) -> None:
    if found.budgets:
        print()
        headers = ("budget", found.currency, "spent", "used", "left", "at the end of the month", "spent on")
        rows = [
            (
                one.domain,
                one.budget,
                _amount(one.spent),
                f"{one.utilisation:.0%}",
                _amount(one.remaining),
                _amount(one.forecast),
                str(one.reached_on) if one.reached_on else None,
            )
            for one in found.budgets
        ]
        console.table(headers, rows)


def _print_savings(found: CostFacts) -> None:
    active = found.savings.with_status(SavingStatus.ACTIVE)
    print("what would save, a month:" if active else "what would save: nothing is found that is worth the work")
    for saving in active:
        print(f"  {saving.priority} priority, {saving.effort} effort: {saving.id} saves {_saves(found, saving)}")
        print(f"    {one_line(saving.evidence)}")
        print(f"    -> {one_line(saving.fix)}")
    for line in _others(found):
        print(line)


def _others(found: CostFacts) -> Iterator[str]:
    for saving in found.savings.with_status(SavingStatus.DONE):
        yield f"  done {saving.moment:%Y-%m-%d}: {saving.id} saved {_saves(found, saving)}"
    for saving in found.savings.with_status(SavingStatus.DISMISSED):
        why = f": {saving.reason}" if saving.reason else ""
        yield f"  dismissed {saving.moment:%Y-%m-%d} by {saving.by or 'someone'}: {saving.id}{why}"
    for text in found.savings.not_looked_for:
        yield f"  not looked for: {text}"
    for text in found.savings.notes:
        yield f"  note: {text}"


def _saves(found: CostFacts, saving: Saving) -> str:
    parts = [
        size(saving.bytes) if saving.bytes else "",
        f"{saving.cpu_seconds:.0f} cpu s" if saving.cpu_seconds else "",
    ]
    parts += [f"{_amount(saving.amount)} {found.currency}"] if found.priced else []
    return ", ".join(filter(None, parts)) or "nothing"


def _amount(amount: Decimal) -> Decimal:
    """Return an amount to the hundredth; a smaller one to the millionth, as a lake of kilobytes costs so little."""
    return round(amount, 2) if abs(amount) >= 1 or not amount else round(amount, 6)


def _rounded(figure: float | None) -> Decimal | None:
    return None if figure is None else _amount(Decimal(figure))
