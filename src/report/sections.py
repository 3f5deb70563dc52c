"""The daily report as a page: the figures of a summary as sentences, plots and tables. It reads nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from statistics import median

from src.facts import KnownCause, wording
from src.facts.tables import SIGNS, State
from src.facts.wording import ago, size
from src.report import operation_sections, plots
from src.report.pages import Cell, Figure, Grid, Item, Page, Section, Spark
from src.report.plots import Bar, Plot
from src.report.summary import DAYS, LACKS, SeriesFigures, ShareFigures, Summary, VolumeFigures
from src.run import releases

_FIRST = 40  # series that are critical or odd; all of them are below, by their source
_SIGNS = {"high": "▲", "low": "▼", "none": "✗", LACKS: "✗"}
_TONE = {"success": "main", "partial": "odd", "failed": "bad"}


def page(summary: Summary) -> Page:
    """Return the report of a summary."""
    now = summary.read_at
    return Page(
        title=f"Lake report, {now:%A} {now.date()}",
        line=f"As of {now:%Y-%m-%d %H:%M} UTC. Spans are the {DAYS} days up to then.",
        verdict=summary.verdict,
        well=summary.healthy,
        sections=(
            _problems(summary),
            _tables(summary),
            _runs(summary),
            _records(summary),
            _freshness(summary),
            _volume(summary),
            *_series(summary),
            _quality(summary),
            _latency(summary),
            _storage(summary),
            _backups(summary),
            *operation_sections.sections(summary.operations, now.date()),
        ),
    )


def _problems(summary: Summary) -> Section:
    events = tuple(
        (_moment(event.moment), event.event, event.urgency, event.incident, event.message, event.by)
        for event in summary.incident_events
    )
    drafts = tuple((table, "may change under one version, until its contract is active") for table in summary.drafts)
    return Section(
        "Problems",
        "" if summary.causes else "There is nothing that is not as it should be.",
        items=tuple(map(_item, summary.causes)),
        grids=(
            Grid("Tables that are drafts", ("table", "what that means"), drafts),
            Grid("Incidents of the last 7 days", ("moment", "event", "urgency", "incident", "what", "by"), events),
        ),
    )


def _item(known: KnownCause) -> Item:
    """Return a cause, with every finding that follows from it folded below."""
    head = known.cause.head
    state = f" ({known.state} since {_moment(known.since)})" if known.since else ""
    rows = tuple((one.urgency, one.incident, str(one.day), one.what) for one in known.cause.follows)
    headers = ("urgency", "incident", "business day", "what")
    folded = Grid(known.followers, headers, rows, folded=True) if rows else None
    return Item(known.urgency, f"{head.incident}{state}", head.what, head.fix, folded)


def _tables(summary: Summary) -> Section:
    """Return what readers see of each domain, and the tables that are not fine."""
    domains = tuple(
        (
            domain.name,
            ", ".join(f"{count} {state}" for state, count in domain.states.items()),
            _started(domain.readers_see),
            _started(domain.built),
            ", ".join(domain.held_by),
        )
        for domain in summary.domains
    )
    odd = tuple(
        (
            f"{SIGNS[table.state]} {table.state}",
            table.id,
            table.standing.as_of if table.standing else None,
            releases.describe(table.standing) if table.standing and table.standing.behind else table.reason,
        )
        for table in summary.tables
        if table.state not in (State.FINE, State.EMPTY) or (table.standing and table.standing.behind)
    )
    headers = ("domain", "tables", "readers see", "built", "held back by")
    return Section(
        "Tables",
        "What readers see is the last release; what is built may be newer (UTC)." if domains else "",
        grids=(
            Grid("Domains and marts", headers, domains),
            Grid("Tables that are not fine", ("state", "table", "as of run", "why"), odd),
        ),
    )


def _started(run_id: str | None) -> str:
    return wording.short_moment(wording.run_started(run_id)) or run_id or "nothing"


# -- runs and records


def _runs(summary: Summary) -> Section:
    runs = summary.runs
    if not runs:
        return Section("Runs", f"No run in the last {DAYS} days.")
    good = sum(run.status == "success" for run in runs)
    middle = median(run.seconds for run in runs)
    days = {run.started_at.date() for run in runs}
    silent = sum(1 for day in summary.days if day >= min(days)) - len(days)
    text = f"{wording.pluralized(len(runs), 'run')}, {good} of them whole; the median took {middle:.1f} s. "
    text += f"{wording.pluralized(silent, 'day')} since the first without one."
    rows = tuple(
        (_moment(run.started_at), run.status, run.command, Figure(f"{run.seconds:.1f}"), run.error) for run in runs
    )
    headers = ("started (UTC)", "status", "command", "seconds", "error")
    failed = tuple(row for row in rows if row[1] != "success")
    return Section(
        "Runs",
        text,
        (_latency_plot(summary),),
        (
            Grid("The newest runs that were not whole", headers, failed[:10]),
            Grid("The newest runs", headers, rows[:10], folded=True),
        ),
    )


def _latency_plot(summary: Summary) -> Plot:
    bars = []
    for day in summary.days:
        runs = [run for run in summary.runs if run.started_at.date() == day]
        status = next((word for word in ("failed", "partial") if any(run.status == word for run in runs)), "success")
        longest = max((run.seconds for run in runs), default=0.0)
        note = f"{day}: {wording.pluralized(len(runs), 'run')}"
        note += f", the longest {longest:.1f} s, the worst {status}" if runs else ""
        flag = "" if status == "success" else "✗"
        bars.append(Bar(f"{day:%m-%d}", (longest,), (_TONE[status],), note, flag=flag))
    legend = (("main", "every run whole"), ("odd", "✗ one partial"), ("bad", "✗ one failed"))
    return plots.bars("runs", "The longest run of each day", "seconds", bars, legend)


def _records(summary: Summary) -> Section:
    by_day = {row.day: (row.read, row.written, row.quarantined) for row in summary.records}
    if not by_day:
        return Section("Records", "None.")
    bars = [_records_bar(day, by_day.get(day, (0, 0, 0))) for day in summary.days]
    legend = (("main", "read"), ("good", "written, all layers"), ("bad", "quarantined"))
    rows = tuple((str(day), *counts) for day, counts in sorted(by_day.items(), reverse=True))
    read, rejected = sum(row.read for row in summary.records), sum(row.quarantined for row in summary.records)
    share = f", {rejected / read:.2%} of them" if read else ""
    return Section(
        "Records",
        f"{read:,} rows read, {rejected:,} quarantined{share}. Days are those on which runs were started.",
        (plots.bars("records", "Rows of each day", "rows", bars, legend),),
        (Grid("Rows of each day", ("day", "read", "written", "quarantined"), rows, folded=True),),
    )


def _records_bar(day: date, counts: Sequence[int]) -> Bar:
    note = f"{day}: {counts[0]:,} read, {counts[1]:,} written, {counts[2]:,} quarantined"
    return Bar(f"{day:%m-%d}", tuple(map(float, counts)), ("main", "good", "bad"), note)


# -- freshness, volume, quality


def _freshness(summary: Summary) -> Section:
    rows: list[tuple[Cell, ...]] = []
    for row in summary.freshness:
        until = _moment(row.business_until) if row.business_until else "no row"
        age = None if row.age_hours is None else Figure(f"{row.age_hours - row.rest_hours:.0f}")
        share = Figure(f"{row.days_kept} of {row.days_graded}") if row.days_graded else None
        name = row.table + (" (critical)" if row.critical else "")
        trend = Spark(row.ages, f"age in hours of {row.table}")
        rows.append((name, row.grade, until, age, Figure(f"{row.limit_hours:g}"), row.decided_by, share, trend))
    headers = ("table", "grade", "rows until (UTC)", "age, h", "limit, h", "decided by", "days kept", "age by day")
    text = "How old the newest business day in each table is, days of rest not counted." if rows else "No promise yet."
    return Section("Freshness", text, grids=(Grid("Freshness of each table", headers, tuple(rows)),))


def _volume(summary: Summary) -> Section:
    tables = sorted({row.table for row in summary.volume})
    drawn = tuple(_volume_plot(summary, table, number) for number, table in enumerate(tables))
    rows = tuple(
        (
            row.table,
            f"{row.day} {row.day:%a}",
            row.rows,
            _figure(row.median, ",.0f"),
            _figure(row.z, "+.1f"),
            row.verdict,
        )
        for row in sorted(summary.judged_days, key=lambda row: (row.table, -row.day.toordinal()))
    )
    text = "Rows of each business day beside the median of its weekday in the nine weeks before (the line across)."
    headers = ("table", "day", "rows", "median", "z", "verdict")
    grid = Grid("The last 7 complete days", headers, rows, folded=True)
    return Section("Volume", text if rows else "No complete day yet.", drawn, (grid, *_changes(summary)))


def _volume_plot(summary: Summary, table: str, number: int) -> Plot:
    known = {row.day: row for row in summary.volume if row.table == table}
    bars = []
    for day in summary.days[:-1]:  # today is not over
        row = known.get(day, VolumeFigures(table, day, 0, None, "not counted"))
        odd = row.verdict in ("high", "low", "none")
        note = f"{day} {day:%a}: {row.rows:,} rows" + (f", median {row.median:,.0f}" if row.median is not None else "")
        tone = "bad" if odd else "pale" if row.verdict == "confirmed incident" else "main"
        label, flag = f"{day:%m-%d}", "✗" if odd else ""
        bars.append(Bar(label, (float(row.rows),), (tone,), f"{note} ({row.verdict})", row.median, flag))
    return plots.bars(f"volume{number}", table, "rows", bars)


def _series(summary: Summary) -> Iterator[Section]:
    """Yield a section for each watched table: what is critical or odd, then all series of each source, folded."""
    for table in dict.fromkeys(row.table for row in summary.series):
        rows = [row for row in summary.series if row.table == table]
        first = sorted(
            (row for row in rows if row.odd or row.critical), key=lambda row: (not row.odd, not row.critical)
        )
        caption = "What is critical or odd" + (f", the first {_FIRST} of {len(first)}" if len(first) > _FIRST else "")
        grids = [_series_grid(caption, first[:_FIRST])]
        for source in dict.fromkeys(row.source for row in rows):
            group = [row for row in rows if row.source == source]
            caption = f"{source or 'All'}: {len(group)} series, {sum(row.odd for row in group)} odd"
            grids.append(_series_grid(caption, group, folded=True))
        text = (
            f"{len(rows)} series, {sum(row.odd for row in rows)} odd. Each figure is that of its newest complete day, "
        )
        text += "beside the median of its weekday in the nine weeks before."
        yield Section(f"Figures of {table}", text, grids=tuple(grids))


def _series_grid(caption: str, rows: Sequence[SeriesFigures], *, folded: bool = False) -> Grid:
    names = list(rows[0].labels) if rows else []
    headers = (*names, "day", "figure", "median", "change", "verdict", "by day")
    return Grid(caption, headers, tuple(map(_series_row, rows)), folded)


def _series_row(row: SeriesFigures) -> tuple[Cell, ...]:
    notes = [*(["critical"] if row.critical else []), *([] if row.known else ["not in the dictionary"])]
    verdict = f"{_SIGNS.get(row.verdict, '')} {row.verdict}".strip() + (f" ({', '.join(notes)})" if notes else "")
    change = (row.value or 0.0) / row.median - 1 if row.median else None
    return (
        *row.labels.values(),
        f"{row.day} {row.day:%a}" if row.day else None,
        None if row.value is None else Figure(f"{_plain(row.value)} {row.unit}".strip()),
        None if row.median is None else Figure(_plain(row.median)),
        None if change is None else Figure(f"{change:+.0%}"),
        verdict,
        Spark(row.by_day, f"{row.series} by day"),
    )


def _plain(value: float) -> str:
    """Return a figure with as many digits as say something: whole from 1,000 on, else four."""
    return f"{value:,.0f}" if abs(value) >= 1000 or value.is_integer() else f"{value:,.4g}"


def _changes(summary: Summary) -> Iterator[Grid]:
    changes = tuple((row.feed, row.column, row.change, row.detail) for row in summary.feed_schema)
    yield Grid("What changed in the feeds", ("feed", "column", "change", "detail"), changes)
    spread = tuple(
        (row.table, row.column, _figure(row.psi, ".3f"), row.verdict, row.most_moved) for row in summary.distribution
    )
    yield Grid("How values are spread", ("table", "column", "psi", "verdict", "most moved"), spread)


def _quality(summary: Summary) -> Section:
    percent = summary.audits_passed_percent
    text = f"{percent:.1f} % of the audits of the last 7 days passed." if percent is not None else ""
    failed = tuple(
        (
            row.table,
            f"{row.rule} {row.column or ''}".rstrip(),
            row.severity,
            "nothing" if row.value is None else f"{round(row.value, 4)} {row.unit}",
            f"{row.operator} {row.bound}",
            _moment(row.last_at),
            row.times,
        )
        for row in summary.audits_failed
    )
    headers = ("table", "audit", "severity", "found last", "asked for", "last", "times")
    grids = (
        _shares(summary, "Audits passed", summary.audits_passed),
        Grid("Audits that failed in the last 7 days", headers, failed),
        _shares(summary, "Rows rejected among those read", summary.rows_rejected),
    )
    return Section("Quality", text, grids=grids)


def _shares(summary: Summary, caption: str, figures: Sequence[ShareFigures]) -> Grid:
    """Return a table of part and whole for each table: in the last 7 days, in all, and day by day."""
    days = summary.days
    by_table: dict[str, dict[date, ShareFigures]] = {}
    for row in figures:
        by_table.setdefault(row.table, {})[row.day] = row
    rows = tuple(
        (name, _share(shares, days[-7:]), _share(shares, days), _trend(shares, days, f"{caption}, {name}"))
        for name, shares in sorted(by_table.items())
    )
    return Grid(caption, ("table", "last 7 days", f"{DAYS} days", "percent by day"), rows)


def _share(shares: dict[date, ShareFigures], days: Sequence[date]) -> Figure | None:
    """Return part of whole over some days, and in percent."""
    part = sum(shares[day].part for day in days if day in shares)
    whole = sum(shares[day].whole for day in days if day in shares)
    return Figure(f"{part:,} of {whole:,} ({part / whole:.1%})") if whole else None


def _trend(shares: dict[date, ShareFigures], days: Sequence[date], text: str) -> Spark:
    found = (shares.get(day) for day in days)
    return Spark(tuple(100 * row.part / row.whole if row and row.whole else None for row in found), f"{text}, percent")


# -- latency, storage, backups


def _latency(summary: Summary) -> Section:
    rows = tuple(
        (
            row.step if row.step != "run" else "the whole run",
            Figure(f"{row.last:.2f}"),
            _figure(row.median, ".2f"),
            _figure(row.p95, ".2f"),
            row.runs_before,
            "slow" if row.slow else "",
            Spark(row.last_runs, f"seconds of {row.step}"),
        )
        for row in sorted(summary.latency, key=lambda row: (row.step != "run", -row.last, row.step))
    )
    headers = ("step", "last, s", "median, s", "p95, s", "runs before", "", "last runs")
    text = "Seconds of each step when it last had something to do, beside up to 30 runs before." if rows else "No run."
    return Section("Latency", text, grids=(Grid("Latency of each step", headers, rows),))


def _storage(summary: Summary) -> Section:
    rows: list[tuple[Cell, ...]] = []
    for row in sorted(summary.storage, key=lambda row: (row.table.startswith("ops."), row.table)):
        sizes = row.bytes_by_day
        more = sizes[-1] - sizes[0]
        sign = "+" if more > 0 else "-" if more < 0 else ""
        growth = Figure(f"{sign}{size(abs(more))}") if len(sizes) > 1 else None
        written = _figure(row.write_amplification, ".1f")
        trend = Spark(tuple(map(float, sizes)), f"bytes on disk of {row.table}")
        disk, live = Figure(size(row.bytes_on_disk or 0)), Figure(size(row.bytes))
        rows.append((row.table, row.rows, row.files, row.small_files, live, disk, growth, trend, written))
    total = size(sum(row.bytes_on_disk or 0 for row in summary.storage))
    headers = ("table", "rows", "files", "small", "live", "on disk", "growth", "by day", "write ampl.")
    maintenance = tuple(
        (_moment(row.moment), row.command, row.tables, row.files_removed, Figure(size(row.bytes_freed)))
        for row in summary.maintenance
    )
    grids = (
        Grid("Storage of each table", headers, tuple(rows)),
        Grid("Maintenance", ("moment", "command", "tables", "fewer files", "freed"), maintenance),
    )
    return Section("Storage", f"{total} on disk in all tables, older versions and logs included.", grids=grids)


def _backups(summary: Summary) -> Section:
    rows = tuple(
        (
            _moment(row.started_at),
            row.kind,
            row.backup,
            "yes" if row.verified else "no",
            row.files,
            Figure(size(row.bytes)),
            Figure(size(row.bytes_copied)),
            Figure(f"{row.seconds:.0f}"),
            row.message,
        )
        for row in summary.backups
    )
    headers = ("started (UTC)", "kind", "backup", "whole", "files", "size", "copied", "seconds", "message")
    last, text = summary.last_backup, "There is no verified backup: `make backup` makes one."
    if last:
        found = ago(summary.read_at, last.verified_at)
        text = f"The last backup known to be whole is {last.backup}, found so {found}."
    return Section("Backups", text, grids=(Grid("Backups, drills and restores", headers, rows),))


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"


def _figure(value: float | None, form: str) -> Figure | None:
    return None if value is None else Figure(format(value, form))
