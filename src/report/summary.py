"""What the daily report says: every number is from the ops tables or from a fresh look of the monitors.

Spans are the 30 days up to now, days are those of UTC. An ops table that is not there yet leaves its part out; one
that cannot be read is said so under Problems, and the rest of the report is written all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from statistics import median
from typing import Any

from src import alerts
from src.engine import literal
from src.monitors import Findings, freshness, storage, volume
from src.monitors.reading import Reading, moment
from src.problems import CLASSES, Problem
from src.project import Project
from src.report import health, plots
from src.report.pages import Cell, Figure, Grid, Page, Section, Spark
from src.report.plots import Bar, Plot
from src.report.status import ago, size
from src.run import backup_records, maintenance_records, runs

_DAYS = 30
_TONE = {"success": "main", "partial": "odd", "failed": "bad"}
_NAME = "layer || '.' || domain || '.' || \"table\""


@dataclass(frozen=True)
class _Past:
    """The ops tables up to a moment, and what the monitors find at it."""

    reading: Reading
    found: Findings

    @property
    def now(self) -> datetime:
        return self.reading.now

    @property
    def since(self) -> date:
        """The first of the days."""
        return self.now.date() - timedelta(days=_DAYS - 1)

    @property
    def days(self) -> list[date]:
        return [self.since + timedelta(days=ahead) for ahead in range(_DAYS)]

    def rows(self, table: str, sql: str) -> list[tuple[Any, ...]]:
        """Rows of a SELECT over one ops table; none where it is not there, or cannot be read."""
        if not self.reading.ops(table):
            return []
        return self.reading.attempt(table, self.reading.project.engine.rows, sql) or []

    def within(self, column: str, first: date | None = None) -> str:
        """SQL: a moment of these days."""
        return f"{column} >= {moment(first or self.since)} AND {column} <= {moment(self.now)}"


def page(project: Project, now: datetime) -> Page:
    """The report of the lake at a moment (UTC)."""
    past = _Past(Reading(project, now), health.read_findings(project, now))
    sections = (
        _runs(past),
        _records(past),
        _freshness(past),
        _volume(past),
        _quality(past),
        _latency(past),
        _storage(past),
        _backups(past),
    )
    problems = _all_problems(past)  # last: by now every table was tried
    return Page(
        title=f"Lake report, {now:%A} {now.date()}",
        line=f"As of {now:%Y-%m-%d %H:%M} UTC. Spans are the {_DAYS} days up to then.",
        verdict=health.verdict(problems),
        well=all(map(health.small, problems)),
        sections=(_problems(past, problems), *sections),
    )


# -- problems and incidents


def _all_problems(past: _Past) -> tuple[Problem, ...]:
    """What the look found, and the tables that the report itself could not read; these say it more precisely."""
    seen = {problem.incident for problem in past.found.problems}
    more = [problem for problem in past.reading.damage.values() if problem.incident not in seen]
    found = [problem for problem in past.found.problems if not (more and problem.subject == health.BLIND)]
    return tuple(sorted((*more, *found), key=lambda problem: CLASSES.index(problem.urgency)))


def _problems(past: _Past, problems: Sequence[Problem]) -> Section:
    rows = tuple((p.urgency, p.incident, str(p.day), p.what, p.fix) for p in problems)
    week = past.now.date() - timedelta(days=6)
    events = past.rows(
        alerts.TABLE,
        "SELECT strftime(moment, '%Y-%m-%d %H:%M'), event, urgency, incident, split_part(message, chr(10), 1), "
        f"coalesce(\"by\", '') FROM ops.alerts WHERE {past.within('moment', week)} "
        "AND event NOT IN ('sent', 'undelivered') ORDER BY moment DESC, incident, event LIMIT 40",
    )
    return Section(
        "Problems",
        "" if rows else "There is nothing that is not as it should be.",
        grids=(
            Grid("Problems now", ("urgency", "incident", "business day", "what", "what to do"), rows),
            Grid("Incidents of the last 7 days", ("moment", "event", "urgency", "incident", "what", "by"), _as(events)),
        ),
    )


def _as(rows: Sequence[tuple[Any, ...]]) -> tuple[tuple[Cell, ...], ...]:
    return tuple(tuple(row) for row in rows)


# -- runs and records


def _runs(past: _Past) -> Section:
    rows = past.rows(
        runs.TABLE,
        "SELECT start_time::DATE, strftime(start_time, '%Y-%m-%d %H:%M'), status, coalesce(command, ''), "
        "latency, coalesce(split_part(error_message, chr(10), 1), '') FROM ops.pipeline_runs "
        f"WHERE layer = 'run' AND {past.within('start_time')} ORDER BY start_time DESC, run_id DESC",
    )
    if not rows:
        return Section("Runs", f"No run in the last {_DAYS} days.")
    good = sum(row[2] == "success" for row in rows)
    middle = median(row[4] for row in rows)
    silent = sum(1 for day in past.days if day >= min(row[0] for row in rows)) - len({row[0] for row in rows})
    text = f"{health.counted(len(rows), 'run')}, {good} of them whole; the median took {middle:.1f} s. "
    text += f"{health.counted(silent, 'day')} since the first without one."
    shown = tuple((row[1], row[2], row[3], Figure(f"{row[4]:.1f}"), row[5]) for row in rows)
    headers = ("started (UTC)", "status", "command", "seconds", "error")
    ill = tuple(row for row in shown if row[1] != "success")
    return Section(
        "Runs",
        text,
        (_latency_plot(past, rows),),
        (
            Grid("The newest runs that were not whole", headers, ill[:10]),
            Grid("The newest runs", headers, shown[:10], folded=True),
        ),
    )


def _latency_plot(past: _Past, rows: Sequence[tuple[Any, ...]]) -> Plot:
    shown = []
    for day in past.days:
        of_day = [row for row in rows if row[0] == day]
        status = next((word for word in ("failed", "partial") if any(row[2] == word for row in of_day)), "success")
        longest = max((row[4] for row in of_day), default=0.0)
        note = f"{day}: {health.counted(len(of_day), 'run')}"
        note += f", the longest {longest:.1f} s, the worst {status}" if of_day else ""
        flag = "" if status == "success" else "✗"
        shown.append(Bar(f"{day:%m-%d}", (longest,), (_TONE[status],), note, flag=flag))
    legend = (("main", "every run whole"), ("odd", "✗ one partial"), ("bad", "✗ one failed"))
    return plots.bars("runs", "The longest run of each day", "seconds", shown, legend)


def _records(past: _Past) -> Section:
    counted = {
        day: counts
        for day, *counts in past.rows(
            runs.TABLE,
            "SELECT start_time::DATE, sum(records_read)::BIGINT, sum(records_written)::BIGINT, "
            f"sum(quarantined)::BIGINT FROM ops.pipeline_runs WHERE layer = 'run' AND {past.within('start_time')} "
            "GROUP BY 1 ORDER BY 1",
        )
    }
    if not counted:
        return Section("Records", "None.")
    shown = [_records_bar(day, counted.get(day, [0, 0, 0])) for day in past.days]
    legend = (("main", "read"), ("good", "written, all layers"), ("bad", "quarantined"))
    rows = tuple((str(day), *counts) for day, counts in sorted(counted.items(), reverse=True))
    read, _, rejected = (sum(counts[at] for counts in counted.values()) for at in range(3))
    share = f", {rejected / read:.2%} of them" if read else ""
    return Section(
        "Records",
        f"{read:,} rows read, {rejected:,} quarantined{share}. Days are those on which runs were started.",
        (plots.bars("records", "Rows of each day", "rows", shown, legend),),
        (Grid("Rows of each day", ("day", "read", "written", "quarantined"), rows, folded=True),),
    )


def _records_bar(day: date, counts: Sequence[int]) -> Bar:
    note = f"{day}: {counts[0]:,} read, {counts[1]:,} written, {counts[2]:,} quarantined"
    return Bar(f"{day:%m-%d}", tuple(map(float, counts)), ("main", "good", "bad"), note)


# -- freshness, volume, quality


def _freshness(past: _Past) -> Section:
    kept = ", ".join(map(literal, freshness.KEPT))
    history = {
        name: rest
        for name, *rest in past.rows(
            freshness.TABLE,
            f'SELECT "table", count(*) FILTER (grade IN ({kept})), count(*), list(age_hours ORDER BY measured_at) '
            f"FROM (SELECT * FROM ops.freshness WHERE {past.within('measured_at')} QUALIFY row_number() OVER "
            '(PARTITION BY "table", measured_at::DATE ORDER BY measured_at DESC) = 1) GROUP BY 1',
        )
    }
    rows: list[tuple[Cell, ...]] = []
    for row in past.found.freshness:
        good, of, ages = history.get(row.table, (0, 0, []))
        until = f"{row.business_until:%Y-%m-%d %H:%M}" if row.business_until else "no row"
        age = None if row.age_hours is None else Figure(f"{row.age_hours - row.rest_hours:.0f}")
        share = Figure(f"{good} of {of}") if of else None
        name = row.table + (" (critical)" if row.critical else "")
        trend = Spark(tuple(ages), f"age in hours of {row.table}")
        rows.append((name, row.grade, until, age, Figure(f"{row.limit_hours:g}"), row.decided_by, share, trend))
    headers = ("table", "grade", "rows until (UTC)", "age, h", "limit, h", "decided by", "days kept", "age by day")
    text = "How old the newest business day in each table is, days of rest not counted." if rows else "No promise yet."
    return Section("Freshness", text, grids=(Grid("Freshness of each table", headers, tuple(rows)),))


def _volume(past: _Past) -> Section:
    known: dict[tuple[str, date], tuple[int, float | None, str]] = {
        (name, day): (rows, middle, verdict)
        for name, day, rows, middle, verdict in past.rows(
            volume.TABLE,
            'SELECT "table", day, "rows", median, verdict FROM ops.volume '
            f"WHERE day >= DATE '{past.since}' AND measured_at <= {moment(past.now)} "
            'QUALIFY row_number() OVER (PARTITION BY "table", day ORDER BY measured_at DESC) = 1',
        )
    } | {(row.table, row.day): (row.rows, row.median, row.verdict) for row in past.found.volume}
    drawn = [_volume_plot(past, name, known, at) for at, name in enumerate(sorted({name for name, _ in known}))]
    rows = tuple(
        (
            row.table,
            f"{row.day} {row.day:%a}",
            row.rows,
            _figure(row.median, ",.0f"),
            _figure(row.z, "+.1f"),
            row.verdict,
        )
        for row in sorted(past.found.volume, key=lambda row: (row.table, -row.day.toordinal()))
    )
    text = "Rows of each business day beside the median of its weekday in the nine weeks before (the line across)."
    headers = ("table", "day", "rows", "median", "z", "verdict")
    grid = Grid("The last 7 complete days", headers, rows, folded=True)
    return Section("Volume", text if rows else "No complete day yet.", tuple(drawn), (grid, *_moved(past)))


def _volume_plot(
    past: _Past, name: str, known: dict[tuple[str, date], tuple[int, float | None, str]], number: int
) -> Plot:
    shown = []
    for day in past.days[:-1]:  # today is not over
        rows, middle, verdict = known.get((name, day), (0, None, "not counted"))
        ill = verdict in ("high", "low", "none")
        note = f"{day} {day:%a}: {rows:,} rows" + (f", median {middle:,.0f}" if middle is not None else "")
        tone = "bad" if ill else "pale" if verdict == "confirmed incident" else "main"
        bar = Bar(f"{day:%m-%d}", (float(rows),), (tone,), f"{note} ({verdict})", middle, "✗" if ill else "")
        shown.append(bar)
    return plots.bars(f"volume{number}", name, "rows", shown)


def _moved(past: _Past) -> Iterator[Grid]:
    changes = tuple((row.feed, row.column, row.change, row.detail) for row in past.found.feed_schema)
    yield Grid("What changed in the feeds", ("feed", "column", "change", "detail"), changes)
    spread = tuple(
        (row.table, row.column, _figure(row.psi, ".3f"), row.verdict, row.most_moved) for row in past.found.distribution
    )
    yield Grid("How values are spread", ("table", "column", "psi", "verdict", "most moved"), spread)


def _figure(value: float | None, form: str) -> Figure | None:
    return None if value is None else Figure(format(value, form))


def _quality(past: _Past) -> Section:
    audited = _by_table(
        past,
        runs.AUDITS,
        f'SELECT "table", run_time::DATE, count(*) FILTER (passed), count(*) FROM ops.quality_results '
        f"WHERE {past.within('run_time')} GROUP BY 1, 2",
    )
    rejected = _by_table(
        past,
        runs.TABLE,
        f"SELECT {_NAME}, start_time::DATE, sum(quarantined)::BIGINT, sum(records_read)::BIGINT "
        f"FROM ops.pipeline_runs WHERE layer = 'silver' AND status = 'success' AND {past.within('start_time')} "
        "GROUP BY 1, 2",
    )
    met = next((row for row in past.found.expected if row.what == "audits passed"), None)
    text = f"{met.value:.1f} % of the audits of the last 7 days passed." if met and met.value is not None else ""
    grids = (
        _shared(past, "Audits passed", audited),
        _failed_audits(past),
        _shared(past, "Rows rejected among those read", rejected),
    )
    return Section("Quality", text, grids=grids)


def _shared(past: _Past, caption: str, found: Mapping[str, _Shares]) -> Grid:
    """Part of whole for each table: in the last 7 days, in all, and day by day."""
    days = past.days
    rows = tuple(
        (name, _share(shares, days[-7:]), _share(shares, days), _trend(shares, days, f"{caption}, {name}"))
        for name, shares in sorted(found.items())
    )
    return Grid(caption, ("table", "last 7 days", f"{_DAYS} days", "percent by day"), rows)


_Shares = dict[date, tuple[int, int]]  # by day: a part of a whole


def _by_table(past: _Past, table: str, sql: str) -> dict[str, _Shares]:
    found: dict[str, _Shares] = {}
    for name, day, part, of in past.rows(table, sql):
        found.setdefault(name, {})[day] = (part, of)
    return found


def _share(shares: _Shares, days: Sequence[date]) -> Figure | None:
    """Part of whole over some days, and in percent."""
    part, of = (sum(shares.get(day, (0, 0))[at] for day in days) for at in (0, 1))
    return Figure(f"{part:,} of {of:,} ({part / of:.1%})") if of else None


def _trend(shares: _Shares, days: Sequence[date], words: str) -> Spark:
    found = (shares.get(day, (0, 0)) for day in days)
    return Spark(tuple(100 * part / of if of else None for part, of in found), f"{words}, percent")


def _failed_audits(past: _Past) -> Grid:
    rows = past.rows(
        runs.AUDITS,
        "SELECT \"table\", rule || coalesce(' ' || \"column\", ''), severity, "
        "coalesce(round(arg_max_null(value, run_time), 4)::VARCHAR || ' ' || unit, 'nothing'), "
        "operator || ' ' || bound, "
        "strftime(max(run_time), '%Y-%m-%d %H:%M'), count(*) "
        f"FROM ops.quality_results WHERE NOT passed AND {past.within('run_time', past.days[-7])} "
        'GROUP BY "table", rule, "column", severity, unit, operator, bound ORDER BY max(run_time) DESC, 1, 2 LIMIT 30',
    )
    headers = ("table", "audit", "severity", "found last", "asked for", "last", "times")
    return Grid("Audits that failed in the last 7 days", headers, _as(rows))


# -- latency, storage, backups


def _latency(past: _Past) -> Section:
    lasted = dict(
        past.rows(
            runs.TABLE,
            "SELECT step, list(latency ORDER BY start_time, run_id) FROM (SELECT *, "
            f"CASE WHEN layer = 'run' THEN 'run' ELSE {_NAME} END AS step "
            "FROM ops.pipeline_runs WHERE status = 'success' AND records_read > 0 AND "
            f"(layer <> 'run' OR starts_with(command, 'make pipeline')) AND {past.within('start_time')} QUALIFY "
            "row_number() OVER (PARTITION BY step ORDER BY start_time DESC, run_id DESC) <= 31) GROUP BY step",
        )
    )
    rows = tuple(
        (
            row.step if row.step != "run" else "the whole run",
            Figure(f"{row.last:.2f}"),
            _figure(row.median, ".2f"),
            _figure(row.p95, ".2f"),
            row.runs_before,
            "slow" if row.slow else "",
            Spark(tuple(lasted.get(row.step, ())), f"seconds of {row.step}"),
        )
        for row in sorted(past.found.latency, key=lambda row: (row.step != "run", -row.last, row.step))
    )
    headers = ("step", "last, s", "median, s", "p95, s", "runs before", "", "last runs")
    text = "Seconds of each step when it last had something to do, beside up to 30 runs before." if rows else "No run."
    return Section("Latency", text, grids=(Grid("Latency of each step", headers, rows),))


def _storage(past: _Past) -> Section:
    grown: dict[str, list[int]] = dict(
        past.rows(
            storage.TABLE,
            f'SELECT "table", list(bytes_on_disk ORDER BY measured_at) FROM (SELECT * FROM ops.table_stats WHERE '
            f'{past.within("measured_at")} QUALIFY row_number() OVER (PARTITION BY "table", measured_at::DATE '
            "ORDER BY measured_at DESC) = 1) GROUP BY 1",
        )
    )
    rows: list[tuple[Cell, ...]] = []
    for row in sorted(past.found.table_stats, key=lambda row: (row.table.startswith("ops."), row.table)):
        sizes = [*grown.get(row.table, ()), row.bytes_on_disk]
        more = sizes[-1] - sizes[0]
        sign = "+" if more > 0 else "-" if more < 0 else ""
        growth = Figure(f"{sign}{size(abs(more))}") if len(sizes) > 1 else None
        written = _figure(row.write_amplification, ".1f")
        trend = Spark(tuple(map(float, sizes)), f"bytes on disk of {row.table}")
        disk, live = Figure(size(row.bytes_on_disk)), Figure(size(row.bytes))
        rows.append((row.table, row.rows, row.files, row.small_files, live, disk, growth, trend, written))
    total = size(sum(row.bytes_on_disk for row in past.found.table_stats))
    headers = ("table", "rows", "files", "small", "live", "on disk", "growth", "by day", "write ampl.")
    grid = Grid("Storage of each table", headers, tuple(rows))
    return Section(
        "Storage", f"{total} on disk in all tables, older versions and logs included.", (), (grid, *_kept_up(past))
    )


def _kept_up(past: _Past) -> Iterator[Grid]:
    rows = past.rows(
        maintenance_records.TABLE,
        "SELECT strftime(max(moment), '%Y-%m-%d %H:%M'), command, count(*), sum(files_before - files_after)::BIGINT, "
        "sum(bytes_before - bytes_after)::BIGINT FROM ops.maintenance "
        f"WHERE {past.within('moment')} GROUP BY run_id, command ORDER BY 1 DESC, 2 LIMIT 10",
    )
    shown = tuple((when, what, tables, files, Figure(size(max(freed, 0)))) for when, what, tables, files, freed in rows)
    yield Grid("Upkeep", ("moment", "command", "tables", "fewer files", "freed"), shown)


def _backups(past: _Past) -> Section:
    rows = past.rows(
        backup_records.TABLE,
        "SELECT strftime(started_at, '%Y-%m-%d %H:%M'), kind, backup, CASE WHEN verified THEN 'yes' ELSE 'no' END, "
        "files, bytes, bytes_copied, epoch(ended_at - started_at), coalesce(message, '') FROM ops.backups "
        f"WHERE started_at <= {moment(past.now)} ORDER BY started_at DESC, run_id DESC LIMIT 10",
    )
    shown = tuple(
        (*row[:5], Figure(size(row[5])), Figure(size(row[6])), Figure(f"{row[7]:.0f}"), row[8]) for row in rows
    )
    headers = ("started (UTC)", "kind", "backup", "whole", "files", "size", "copied", "seconds", "message")
    project = past.reading.project
    last = past.reading.attempt(
        backup_records.TABLE, backup_records.last_verified, project.engine, project.settings.data_dir
    )
    text = "There is no verified backup: `make backup` makes one."
    if last:
        text = f"The last backup known to be whole is {last.backup}, found so {ago(past.now, last.ended_at)}."
    return Section("Backups", text, grids=(Grid("Backups, drills and restores", headers, shown),))
