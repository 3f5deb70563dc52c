"""What changed and what is promised: contracts, their readers, schemas of feeds, growth."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from src.facts import growth
from src.facts.checklists.nights import named
from src.facts.checklists.steps import Found, Look, NothingRecordedError, Todo, fine, of_causes, to_do, unknown
from src.facts.wording import pluralized, size
from src.maintenance import schema_version
from src.monitors import feeds
from src.monitors.reading import sql_moment
from src.monitors.uncommitted import DAY_ENDS
from src.run import releases
from src.run.revision import CODE, read_unsaved


def uncommitted(look: Look) -> Found:
    """Answer which contracts and models are in no commit, or in one that no remote has."""
    settings = look.project.settings
    unsaved = read_unsaved(settings.root)
    if unsaved is None:
        return unknown("the project is in no git repository: nothing says what was changed")
    if not unsaved.changed and not unsaved.unpushed:
        return fine("contracts and models are committed and pushed")
    zone = UTC if settings.timezone == "UTC" else ZoneInfo(settings.timezone)
    end = datetime.combine(look.now.astimezone(zone).date(), DAY_ENDS, zone)
    by = f"by {DAY_ENDS:%H:%M}" if look.now <= end else "now"
    todos = []
    if unsaved.changed:
        what = f"commit {by}: {named(sorted(unsaved.changed))}"
        there = [path for path in CODE if (settings.root / path).exists()]
        todos.append(Todo("P3", what, f"git add {shlex.join(there)} && git commit && git push"))
    elif unsaved.unpushed:
        todos.append(Todo("P3", f"push {by}: {pluralized(len(unsaved.unpushed), 'commit')}", "git push"))
    return to_do(f"{len(unsaved.changed)} not committed, {len(unsaved.unpushed)} not pushed", todos)


def versions(look: Look) -> Found:
    """Answer which tables are not as their contracts say, and what the next run makes of that."""
    declared = [*look.project.contracts.silver.values(), *look.project.marts]
    found = schema_version.states(look.project.settings.data_dir, declared)
    built = [state for state in found if state.stored is not None]
    drifting = [state for state in built if state.drift]
    if not drifting:
        return fine(f"{pluralized(len(built), 'table')} as their contracts say")
    names = [state.table.id for state in drifting]
    todos = [
        Todo("P3", f"{state.table.id}: {state.drift}", state.fix)
        for state in drifting
        if not state.fix.startswith("make pipeline")
    ]
    rebuilt = [state.table.id for state in drifting if state.fix.startswith("make pipeline")]
    if rebuilt:
        todos.append(
            Todo("P4", f"the next run computes {named(rebuilt)} again whole: see how long that takes", "make plan")
        )
    return to_do(f"{len(names)} differ: {named(names)}", todos)


def drafts(look: Look) -> Found:
    """Answer which tables may change under one version."""
    found = list(look.facts.drafts)
    if not found:
        return fine("no table is of a draft")
    return to_do(
        f"{len(found)}: {named(found)}",
        [Todo("P4", f"{named(found)}: drafts may change under one version; make them active", "make schema-version")],
    )


def leaving(look: Look) -> Found:
    """Answer which deprecated contracts still have tables that read them, and which retired tables are still there."""
    declared = {**look.project.contracts.silver, **{table.id: table for table in look.project.marts}}
    upstream = look.facts.upstream
    todos = []
    for name, table in declared.items():
        readers = [other for other, above in upstream.items() if name in above]
        if table.status == "deprecated" and readers:
            what = f"{name} is deprecated and still read by {named(readers)}"
            todos.append(Todo("P4", what, f"make describe TABLE={name}"))
        elif table.is_retired and look.facts.tables[name].rows:
            todos.append(Todo("P4", f"{name} is retired and still has rows", f"make describe TABLE={name}"))
    statuses = [table.status for table in declared.values()]
    text = f"{statuses.count('deprecated')} deprecated, {sum(table.is_retired for table in declared.values())} retired"
    return to_do(text, todos) if todos else fine(text)


def claims(look: Look) -> Found:
    """Answer which tables are computed by partitions on their author's word alone."""
    claimed = [table.id for table in look.project.marts if table.refresh == "partitions"]
    if not claimed:
        return fine("no table claims what its SQL does not show")
    return to_do(
        f"{len(claimed)}: {named(claimed)}",
        [Todo("P4", f"{named(claimed)} claim that partitions stand alone: prove it on all rows", "make check")],
    )


def schemas(look: Look) -> Found:
    """Answer which columns of feeds changed in the month."""
    causes = look.causes(["schema"])
    if not look.has(feeds.TABLE):
        return to_do("a feed changed", of_causes(look, causes)) if causes else fine("no column of a feed ever changed")
    rows = look.rows(
        feeds.TABLE,
        f"SELECT DISTINCT feed || ' ' || \"column\" || ' ' || change FROM {feeds.TABLE} "
        f"WHERE measured_at >= {sql_moment(look.month)} AND measured_at < {sql_moment(look.next_month)} "
        "ORDER BY 1",
    )
    if not rows and not causes:
        return fine("no column of a feed changed")
    names = [row[0] for row in rows]
    todo = Todo("P4", f"columns of feeds changed: {named(names)}", "make schema-version VERB=verify")
    return to_do(f"{len(names)} changed: {named(names)}", [*of_causes(look, causes), todo])


def revisions(look: Look) -> Found:
    """Answer how often contracts and models changed below the releases of the month."""
    engine, data = look.project.engine, look.project.settings.data_dir
    table = releases.published(engine, data)
    if table is None or "git_commit" not in table.columns:
        raise NothingRecordedError("no release says what its contracts stood at")
    within = f"released_at >= {sql_moment(look.month)} AND released_at < {sql_moment(look.next_month)}"
    [(count, commits, dirty, first, last)] = engine.rows(
        "SELECT count(DISTINCT nth), count(DISTINCT git_commit), count(DISTINCT nth) FILTER (git_dirty), "
        f"arg_min(git_commit, nth), arg_max(git_commit, nth) FROM releases WHERE {within}"
    )
    if not count:
        raise NothingRecordedError("no release in that month")
    if not commits:
        return unknown(
            f"{pluralized(count, 'release')}, of none is known what its contracts stood at: no git repository"
        )
    text = f"{pluralized(count, 'release')} of {pluralized(commits, 'commit')}, {dirty or 0} with changes not committed"
    if not dirty and commits == 1:
        return fine(text)
    what = f"contracts and models changed: {text}"
    command = f"git log --oneline {first[:12]}..{last[:12]} -- {' '.join(CODE)}" if commits > 1 else "git status"
    return to_do(text, [Todo("P4", what, command)])


def grown(look: Look) -> Found:
    """Answer how the lake grew against the month before and the same month a year before."""
    found = growth.read_growth(look.project, look.month, look.now)
    rows, taken = (
        next(one for one in found.amounts if one.name == name) for name in ("rows in all tables", "bytes on disk")
    )
    if rows.month is None:
        raise NothingRecordedError(f"no size was measured in {look.month:%Y-%m}: `make health` measures it")
    text = f"{rows.month:,.0f} rows ({change(rows)}), {size(round(taken.month or 0))} on disk ({change(taken)})"
    if rows.before is None:
        return unknown(f"{text}; nothing was measured in the month before")
    return fine(text)


def change(amount: growth.Amount) -> str:
    """Return how a figure changed against the month before and the year before."""
    texts = []
    for value, name in ((amount.before, "month before"), (amount.year_before, "year before")):
        if value is None:
            texts.append(f"{name} not recorded")
        elif amount.month is not None and value:
            texts.append(f"{(amount.month - value) / value:+.0%} on the {name}")
    return ", ".join(texts)


def promises_of_the_week(look: Look) -> Found:
    """Answer how often each domain kept its freshness in the last seven days."""
    end = look.today + timedelta(days=1)
    middle, first = end - timedelta(days=7), end - timedelta(days=14)
    return _promises(growth.kept_between(look.project, middle, end), growth.kept_between(look.project, first, middle))


def promises_of_the_month(look: Look) -> Found:
    """Answer how often each domain kept its freshness in the month."""
    found = growth.read_growth(look.project, look.month, look.now).promises
    return _promises(
        {one.domain: (one.kept, one.graded) for one in found},
        {one.domain: (one.kept_before, one.graded_before) for one in found},
    )


def _promises(now: dict[str, tuple[int, int]], before: dict[str, tuple[int, int]]) -> Found:
    graded = {name: pair for name, pair in now.items() if pair[1]}
    if not graded:
        raise NothingRecordedError("no freshness was measured: `make health` measures it")
    texts = []
    for name, (kept, count) in sorted(graded.items(), key=lambda one: (one[1][0] / one[1][1], one[0])):
        earlier = before.get(name, (0, 0))
        was = f", {earlier[0] / earlier[1]:.0%} before" if earlier[1] else ""
        texts.append((name, kept == count, f"{name} {kept / count:.0%}{was}"))
    broken = [(name, text) for name, whole, text in texts if not whole]
    if not broken:
        return fine(f"kept every day by {named([name for name, _, _ in texts])}")
    todo = Todo(
        "P3",
        f"talk with the readers of what was not kept: {named([text for _, text in broken])}",
        "make query SQL=\"select \\\"table\\\", count(*) filter (grade in ('EXCELLENT', 'GOOD')) as kept, count(*) as "
        'graded, max(age_hours) as oldest from ops.freshness group by all having kept < graded order by kept / graded"',
    )
    return to_do("; ".join(text for _, text in broken), [todo])
