"""The report of a month: its growth beside the month before and the same month a year before, as data and as a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from src import alerts
from src.alerts import Kept
from src.facts import growth
from src.facts.growth import Amount, Growth
from src.facts.wording import moment, pluralized, size
from src.project import Project
from src.report.pages import Cell, Figure, Grid, Page, Section

_TABLES = 40


@dataclass(frozen=True)
class Opened:
    """The incidents that were opened in a month, by their class, and how many times of answer and of end were kept."""

    urgency: str
    opened: int
    answered_in_time: int
    resolved_in_time: int
    still_open: int


@dataclass(frozen=True)
class Monthly:
    """The report of a month up to a moment (UTC)."""

    read_at: datetime
    month: date  # its first day
    growth: Growth
    incidents: tuple[Opened, ...]


def read_month(project: Project, first: date, now: datetime) -> Monthly:
    """Return the report of the month of a first day, up to a moment (UTC).

    Raises:
        BoathouseError: the records cannot be read.
    """
    start, end = (datetime.combine(day, time(), UTC) for day in (first, growth.after(first)))
    known = alerts.read_numbered(project.engine, project.settings.data_dir, now)
    opened = [one for one in known if start <= one.opened_at < end]
    by_class = (
        Opened(
            urgency=urgency,
            opened=len(found),
            answered_in_time=sum(one.answer.kept is Kept.KEPT for one in found),
            resolved_in_time=sum(one.resolve.kept is Kept.KEPT for one in found),
            still_open=sum(one.is_open for one in found),
        )
        for urgency in alerts.RESPONSE
        if (found := [one for one in opened if one.urgency == urgency])
    )
    return Monthly(now, first, growth.read_growth(project, first, now), tuple(by_class))


def page(found: Monthly) -> Page:
    """Return the report of a month as a page."""
    over = found.growth.over
    promised = next(one for one in found.growth.amounts if one.unit == "%")
    kept = (
        "no promise of freshness was measured" if promised.month is None else f"{promised.month:.1f} % of promises kept"
    )
    verdict = f"{kept}, {pluralized(sum(one.opened for one in found.incidents), 'incident')} opened"
    return Page(
        title=f"Lake report of {found.month:%B %Y}",
        line=f"As of {moment(found.read_at)} UTC" + ("." if over else "; the month is not over."),
        verdict=verdict,
        well=promised.month is None or promised.month >= 99.95,
        sections=(_growth(found.growth), _promises(found.growth), _incidents(found.incidents), _tables(found.growth)),
    )


def _growth(found: Growth) -> Section:
    rows: list[tuple[Cell, ...]] = [
        (
            one.name,
            _shown(one, one.month),
            _shown(one, one.before),
            _change(one.month, one.before),
            _shown(one, one.year_before),
            _change(one.month, one.year_before),
        )
        for one in found.amounts
    ]
    headers = ("what", "this month", "month before", "change", "a year before", "change")
    text = "Sizes are those measured last in each month. What is empty was not recorded."
    return Section("Growth", text, grids=(Grid("Beside the month before and a year before", headers, tuple(rows)),))


def _promises(found: Growth) -> Section:
    rows: list[tuple[Cell, ...]] = [
        (
            one.domain,
            Figure(f"{one.kept} of {one.graded}"),
            _share(one.kept, one.graded),
            _share(one.kept_before, one.graded_before),
        )
        for one in found.promises
    ]
    headers = ("domain or mart", "tables and days kept", "kept", "month before")
    text = "Each table counts once a day, with its last grade of that day." if rows else "None was measured."
    return Section("Promises of freshness", text, grids=(Grid("Kept by each domain and mart", headers, tuple(rows)),))


def _incidents(found: Sequence[Opened]) -> Section:
    rows: list[tuple[Cell, ...]] = [
        (one.urgency, one.opened, one.answered_in_time, one.resolved_in_time, one.still_open) for one in found
    ]
    headers = ("class", "opened", "answered in time", "resolved in time", "still open")
    return Section("Incidents", "" if rows else "None was opened.", grids=(Grid("By class", headers, tuple(rows)),))


def _tables(found: Growth) -> Section:
    rows: list[tuple[Cell, ...]] = [
        (
            one.table,
            one.rows,
            one.rows_before,
            _change(one.rows, one.rows_before),
            None if one.bytes is None else Figure(size(one.bytes)),
            None if one.bytes_before is None else Figure(size(one.bytes_before)),
        )
        for one in found.tables[:_TABLES]
    ]
    headers = ("table", "rows", "month before", "change", "bytes", "month before")
    return Section(
        "Tables", "Those that grew most first.", grids=(Grid("Tables at the end of the month", headers, tuple(rows)),)
    )


def _shown(amount: Amount, value: float | None) -> Figure | None:
    if value is None:
        return None
    if amount.unit == "bytes":
        return Figure(size(round(value)))
    whole = amount.unit in ("rows", "runs", "reads", "people")
    return Figure(
        f"{value:,.0f}" if whole else f"{value:,.1f} %" if amount.unit == "%" else f"{value:,.2f} {_unit(amount)}"
    )


def _unit(amount: Amount) -> str:
    return "s" if amount.unit == "seconds" else amount.unit


def _change(value: float | None, before: float | None) -> Figure | None:
    return Figure(f"{(value - before) / before:+.0%}") if value is not None and before else None


def _share(kept: int, graded: int) -> Figure | None:
    return Figure(f"{kept / graded:.1%}") if graded else None
