"""What the platform is used for: incidents of a span, models and their predictions, reads, cost, security."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, time, timedelta

from src.alerts import Kept
from src.facts.checklists.nights import named
from src.facts.checklists.steps import Found, Look, NothingRecordedError, Todo, fine, of_causes, to_do, unknown
from src.facts.models import read_models, state
from src.facts.reads import UNREAD_DAYS, FirstRead, read_access
from src.facts.savings.reading import read_savings
from src.facts.security import NOT_ASKED, read_security
from src.facts.wording import moment, one_line, pluralized, size
from src.run import spending
from src.run.saving_records import SavingStatus

MODEL_KINDS = ("drift", "performance", "unscored", "retrain")
_SLOW = 10.0  # seconds that the 95th of a hundred statements of a pattern took
_SAVINGS = 3  # that are named
_RECURS = 3  # openings of one incident in a month


def incidents_of_the_week(look: Look) -> Found:
    """Answer how many incidents were opened in seven days, and whether they were answered and resolved in time."""
    since = look.now - timedelta(days=7)
    found = [one for one in look.incidents if one.opened_at > since]
    if not found:
        return fine("none was opened in 7 days")
    over = [one for one in found if not one.is_open]
    late = [one for one in found if Kept.MISSED in (one.answer.kept, one.resolve.kept)]
    text = f"{len(found)} opened, {len(over)} over, {len(late)} not in time"
    due = [one for one in found if one.urgency == "P1" or (one.urgency == "P2" and one in late)]
    ended = [one for one in due if not one.is_open]
    if not ended:
        return fine(f"{text}; no post-mortem is due")
    todos = [
        Todo("P3", f"write the post-mortem of {one.number}: {one.incident}", f"make incident N={one.number} TEMPLATE=1")
        for one in ended[:3]
    ]
    return to_do(f"{text}; {pluralized(len(ended), 'post-mortem')} due", todos)


def recurring(look: Look) -> Found:
    """Answer which incidents came up again and again in the month."""
    first = datetime.combine(look.month, time(), look.now.tzinfo)
    end = datetime.combine(look.next_month, time(), look.now.tzinfo)
    counted = Counter(one.incident for one in look.incidents if first <= one.opened_at < end)
    often = [(name, count) for name, count in counted.most_common() if count >= _RECURS]
    if not often:
        return fine(f"{pluralized(counted.total(), 'incident')}, none of them {_RECURS} times")
    todos = [
        Todo("P3", f"{name} came {count} times: mend it at its source", "make incident") for name, count in often[:3]
    ]
    return to_do(f"{len(often)} came {_RECURS} times or more", todos)


def models(look: Look) -> Found:
    """Answer whether the predictions that are made can be relied on."""
    found = read_models(look.project, look.facts.findings)
    if not found:
        return fine("no model is declared")
    text = "; ".join(f"{one.name}: {state(one, look.now)}" for one in found)
    causes = look.causes(MODEL_KINDS)
    return to_do(text, of_causes(look, causes)) if causes else fine(text)


def trained(look: Look) -> Found:
    """Answer whether each model was trained as often as its contract says."""
    found = read_models(look.project, look.facts.findings)
    if not found:
        return fine("no model is declared")
    tables = look.facts.tables
    learning = [one for one in found if (features := tables.get(one.features)) and features.seen_rows]
    due = [one.name for one in learning if one.retrain_due is None or one.retrain_due < look.now]
    text = "; ".join(f"{one.name} {moment(one.last.trained_at) if one.last else 'never'}" for one in found)
    return to_do(text, [Todo("P3", f"to be trained: {named(due)}", "make train")]) if due else fine(text)


def budgets(look: Look) -> Found:
    """Answer whether the month's cost keeps within the budgets."""
    if not look.project.settings.budgets:
        return fine("no budget is set (BUDGET_<DOMAIN> in .env)")
    causes = look.causes(["budget"])
    rows = spending.budgets(look.project, look.now)
    texts = [f"{row.domain} {row.utilisation:.0%} of {row.budget:.2f} {row.currency}" for row in rows]
    if causes:
        return to_do("; ".join(texts) or "budgets that cannot be watched", of_causes(look, causes))
    if not rows:
        raise NothingRecordedError("no run has recorded its cost yet")
    return fine("; ".join(texts))


def savings(look: Look) -> Found:
    """Answer what would save bytes or seconds, and was not dismissed."""
    found = read_savings(look.project, look.now, keep=False)
    active = found.with_status(SavingStatus.ACTIVE)
    left = f"; not looked for: {named(list(found.not_looked_for))}" if found.not_looked_for else ""
    if not active:
        return unknown(f"nothing found{left}") if left else fine("nothing is found that would")
    text = f"{len(active)}: {size(sum(one.bytes for one in active))} and "
    text += f"{sum(one.cpu_seconds for one in active):.0f} s of processor a month{left}"
    todos = [Todo("P4", f"{one.table}: {one.evidence}", "make cost", one.fix) for one in active[:_SAVINGS]]
    return to_do(text, todos)


def reads(look: Look) -> Found:
    """Answer who read classified columns for the first time in the week, and which reads failed."""
    access = read_access(look.project.engine, look.project.settings.data_dir, look.now, days=7)
    if access.recorded_since is None:
        raise NothingRecordedError("no read is recorded yet")
    count = sum(one.reads for one in access.by_table)
    text = f"{pluralized(count, 'read')} of tables in 7 days, {len(access.failed)} failed"
    todos = [
        Todo(
            "P3",
            f"{one.user} read {one.table}.{one.column} ({one.classification}) for the first time{_masked(one)}",
            f'make query SQL="select * from ops.access_first where \\"user\\" = \'{one.user}\'"',
        )
        for one in access.first
    ]
    return to_do(text, todos) if todos else fine(text)


def _masked(first: FirstRead) -> str:
    return ", masked" if first.masked else ""


def security(look: Look) -> Found:
    """Answer what of permissions, credentials, pinned packages and rejected classified rows is to be looked after."""
    found = read_security(look.project, look.now, NOT_ASKED)
    todos = [Todo("P3", f"{one.what}: {one.found}", one.fix) for one in found.loose]
    todos += [
        Todo("P3", f"{one.name} is {one.days} days old: make a new one", '"${EDITOR:-vi}" .env')
        for one in found.secrets
        if one.is_old
    ]
    todos += [
        Todo("P2", f"{one.package} {one.version}: {one.id}", "git pull --ff-only && make setup", one.summary)
        for one in found.advisories.found
    ]
    todos += [
        Todo(
            "P3",
            f"{pluralized(one.rows, 'rejected row')} of {one.table}, with masked columns, since {one.oldest:%m-%d}",
            f".venv/bin/python main.py quarantine show --table {one.table} --limit 5",
        )
        for one in found.quarantine
    ]
    unasked = found.advisories.not_asked is not None
    text = f"{found.findings} to look after, {pluralized(len(found.secrets), 'credential')}"
    text += "; advisories of the pins are not known: `make report REVIEW=1` asks for them" if unasked else ""
    if todos:
        return to_do(text, todos)
    return unknown(text) if unasked else fine(text)


def slow_queries(look: Look) -> Found:
    """Answer which statements of the week took longest."""
    access = read_access(look.project.engine, look.project.settings.data_dir, look.now, days=7)
    if access.recorded_since is None:
        raise NothingRecordedError("no read is recorded yet")
    slow = [one for one in access.slow if one.p95_seconds > _SLOW]
    if not slow:
        longest = max((one.max_seconds for one in access.slow), default=0.0)
        return fine(f"none above {_SLOW:g} s; the longest took {longest:.1f} s")
    todo = Todo(
        "P4",
        f"{one_line(slow[0].pattern)[:80]} took {slow[0].p95_seconds:.0f} s, asked {slow[0].asked} times",
        'make query SQL="select pattern, asked, p95_seconds from ops.slow_queries order by p95_seconds desc limit 10"',
    )
    return to_do(f"{pluralized(len(slow), 'pattern')} above {_SLOW:g} s", [todo])


def unread(look: Look) -> Found:
    """Answer which tables nobody reads."""
    access = read_access(look.project.engine, look.project.settings.data_dir, look.now)
    if access.recorded_since is None:
        raise NothingRecordedError("no read is recorded yet")
    if not access.unread_is_certain:
        return unknown(
            f"reads are recorded since {moment(access.recorded_since)}, which is less than {UNREAD_DAYS} days"
        )
    names = [one.table for one in access.unread]
    if not names:
        return fine(f"every table was read within {UNREAD_DAYS} days")
    what = f"nobody read {named(names)} for {UNREAD_DAYS} days: retire them, or say what they are for"
    return to_do(
        f"{len(names)}: {named(names)}", [Todo("P4", what, 'make query SQL="select * from ops.access_unread"')]
    )
