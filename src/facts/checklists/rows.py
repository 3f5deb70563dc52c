"""What landed and what it is worth: late feeds, rejected rows, odd figures, audits."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

from src.facts import rejected
from src.facts.checklists.nights import named
from src.facts.checklists.steps import Found, Look, Todo, fine, of_causes, to_do
from src.facts.feeds import FeedFacts
from src.facts.wording import moment, pluralized
from src.maintenance import quarantine
from src.masking.reader import masks_of_records
from src.run import runs

ARRIVAL = ("quiet", "pull", "source", "late", "notice")
FIGURES = ("volume", "missing", "unusual", "critical", "distribution", "quality", "unknown", "rejects")
_WAIT = timedelta(hours=12)  # after a file was expected, until it is overdue
_FOUR_WEEKS = timedelta(days=28)
_SHOWN = 3


def overdue_feeds(look: Look) -> Found:
    """Answer which feeds lack files that mostly come by now."""
    return _feeds(look, _WAIT)


def expected_feeds(look: Look) -> Found:
    """Answer which feeds lack files that mostly come by this hour."""
    return _feeds(look, timedelta(0))


def _feeds(look: Look, wait: timedelta) -> Found:
    feeds = look.landed.feeds
    late = [feed for feed in feeds if _is_overdue(feed, look.now, wait)]
    causes = look.causes(ARRIVAL)
    about = {p.subject for one in causes for p in one.cause.findings}
    own = [feed for feed in late if feed.id not in about]
    if not late and not causes:
        return fine(f"every file that mostly comes has come ({pluralized(len(feeds), 'feed')})")
    todos = [
        Todo(
            "P3",
            f"{feed.id}: files come every {_every(feed)}, the last at {moment(feed.last.at if feed.last else None)}",
            "make sources"
            if feed.source
            else f"ls -lt {look.project.relative(str(look.project.landing / _folder(feed)))}",
        )
        for feed in own
    ]
    names = sorted(
        {*(feed.id for feed in late), *(p.subject for one in causes for p in one.cause.findings if p.kind in ARRIVAL)}
    )
    return to_do(f"{len(names)} late: {named(names)}", [*of_causes(look, causes), *todos])


def _is_overdue(feed: FeedFacts, now: datetime, wait: timedelta) -> bool:
    expected = feed.expected_at
    if expected is None:
        return False
    recent = {datetime.fromisoformat(day).weekday() for day in feed.days if _age(day, now) <= _FOUR_WEEKS}
    while recent and expected.weekday() not in recent:  # days of rest
        expected += timedelta(days=1)
    return now > expected + wait


def _age(day: str, now: datetime) -> timedelta:
    return now - datetime.combine(datetime.fromisoformat(day).date(), time(), UTC)


def _every(feed: FeedFacts) -> str:
    days = feed.every_days or 0
    return "day" if days <= 1 else f"{days:g} days"


def _folder(feed: FeedFacts) -> str:
    return feed.path.rpartition("/")[0] or "."


def quarantined(look: Look) -> Found:
    """Answer which rows were rejected since the last working day."""
    engine, data = look.project.engine, look.project.settings.data_dir
    select = masks_of_records(look.project).select_in(engine)  # a checklist shows everybody the same
    groups = [group for group in rejected.read_groups(engine, data, look.today, select) if group.open]
    since = look.last_working_day
    fresh = [group for group in groups if group.last >= since]
    text = f"none since {moment(since)}; {sum(group.open for group in groups):,} open in all"
    if not fresh:
        return fine(text)
    by_table: dict[str, list[rejected.Group]] = {}
    for group in fresh:
        by_table.setdefault(group.table, []).append(group)
    tables = list(by_table)
    todos = [
        Todo(
            "P3",
            f"rows of {table} were rejected since {moment(since)}: {named([group.code for group in by_table[table]])}",
            f".venv/bin/python main.py quarantine show --table {table} --limit 5",
        )
        for table in tables[:_SHOWN]
    ]
    if len(tables) > _SHOWN:
        more = f"rows of {len(tables) - _SHOWN} more tables were rejected"
        todos.append(Todo("P3", more, ".venv/bin/python main.py quarantine list"))
    return to_do(f"{pluralized(len(fresh), 'reason')} in {named(tables)}, since {moment(since)}", todos)


def odd_figures(look: Look) -> Found:
    """Answer which figures moved away from their past."""
    causes = look.causes(FIGURES)
    if not causes:
        return fine("rows, series and values are as they mostly are")
    names = sorted({p.incident for one in causes for p in one.cause.findings if p.kind in FIGURES})
    return to_do(f"{len(names)} odd: {named(names)}", of_causes(look, causes))


def not_taken(look: Look) -> Found:
    """Answer which landed files no feed takes."""
    left = list(look.landed.unclaimed)
    if not left:
        return fine("every landed file belongs to a feed")
    return to_do(
        f"{len(left)}: {named(left)}", [Todo("P3", f"{len(left)} landed files belong to no feed", "make plan")]
    )


def sources_ready(look: Look) -> Found:
    """Answer which sources cannot be asked tomorrow, and which say that something of theirs ends."""
    asked = [feed for feed in look.landed.feeds if feed.source]
    notices = look.causes(["notice", "pull"])
    if notices:
        return to_do(f"{len(notices)} with a notice or a pull that failed", of_causes(look, notices))
    if not asked:
        return fine("no feed is pulled: files are landed here")
    left = sorted({feed.source or "" for feed in asked if not feed.set_up})  # so it was decided: nothing is wrong
    text = f"{pluralized(len({feed.source for feed in asked}) - len(left), 'source')} set up"
    return fine(f"{text}; never asked, as they are not: {named(left)}" if left else text)


def waivers_ending(look: Look, days: int = 1) -> Found:
    """Answer which waivers end within days, or ended in as many, without one that goes on."""
    if not look.has(quarantine.WAIVERS):
        return fine("nothing is waived")
    rows = look.rows(
        quarantine.WAIVERS,
        f'SELECT "table", matching, max(until) FROM {quarantine.WAIVERS} GROUP BY ALL HAVING max(until) '
        f"BETWEEN DATE '{look.today}' - {days} AND DATE '{look.today}' + {days} ORDER BY 3, 1, 2",
    )
    if not rows:
        return fine(f"no waiver ends within {pluralized(days, 'day')}")
    todos = [
        Todo(
            "P3",
            f"the waiver of {table} ({matching or 'all reasons'}) ends {until}: decide again",
            f".venv/bin/python main.py quarantine show --table {table} --limit 5",
        )
        for table, matching, until in rows
    ]
    return to_do(f"{len(rows)} end: {named([row[0] for row in rows])}", todos)


def waivers_of_the_week(look: Look) -> Found:
    """Answer which waivers end within a week."""
    return waivers_ending(look, 7)


def waivers_of_the_month(look: Look) -> Found:
    """Answer which waivers end within a month."""
    return waivers_ending(look, 31)


def audits_of_the_week(look: Look) -> Found:
    """Answer whether fewer audits pass than in the week before, and which fail most."""
    week = "run_time > TIMESTAMPTZ '{}' AND run_time <= TIMESTAMPTZ '{}'"
    now, before, earlier = (look.now - timedelta(days=back) for back in (0, 7, 14))
    [(share, passed, share_before)] = look.rows(
        runs.AUDITS,
        f"SELECT 100.0 * avg(passed::INT) FILTER ({week.format(before, now)}), "
        f"count(*) FILTER ({week.format(before, now)}), "
        f"100.0 * avg(passed::INT) FILTER ({week.format(earlier, before)}) FROM {runs.AUDITS}",
    )
    if not passed:
        return to_do("no audit in the last 7 days", [Todo("P3", "no audit ran in the last 7 days", "make pipeline")])
    failed = look.project.engine.rows(
        "SELECT \"table\" || ' ' || rule, count(*) AS times FROM ops.quality_results "
        f"WHERE NOT passed AND {week.format(before, now)} GROUP BY 1 ORDER BY 2 DESC, 1"
    )
    text = f"{share:.1f} % of {passed:,} passed" + (f", {share_before:.1f} % the week before" if share_before else "")
    if not failed:
        return fine(text)
    todo = Todo(
        "P3",
        f"{len(failed)} audits failed: {named([f'{name} ({times} times)' for name, times in failed])}",
        'make query SQL="select \\"table\\", rule, max(run_time) as last, count(*) as times from ops.quality_results '
        'where not passed and run_time > now() - interval 7 days group by all order by times desc"',
    )
    return to_do(text, [todo])
