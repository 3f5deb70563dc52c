"""What ran, what failed, what readers see of it, and what comes next."""

from __future__ import annotations

from datetime import timedelta

from src.alerts import Kept
from src.facts.checklists.steps import Found, Look, NothingRecordedError, Todo, fine, of_causes, to_do, unknown
from src.facts.runs import RunFacts, read_runs
from src.facts.tables import State
from src.facts.wording import is_housekeeping, moment, pluralized, run_started, short_moment
from src.monitors import freshness as grades
from src.run import lock
from src.run.kinds import RunKind

STEPS = ("table", "source", "pull", "run")
_NAMED = 3
_LONG = timedelta(hours=26)  # without a run, where no contract says how often one is due


def named(names: list[str]) -> str:
    """Return the first names, and how many more there are."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def last_run(look: Look) -> Found:
    """Answer how the last run of the pipeline ended, and whether another one is due."""
    ran = read_runs(look.project, 1, kind=RunKind.PIPELINE)
    if not ran:
        return to_do("no run yet", [Todo("P2", "nothing has run yet", "make pipeline")])
    last = ran[0]
    text = _described(last)
    overdue = [one for one in look.causes(["run"]) if one.cause.head.incident == "run pipeline"]
    if last.status != "success":
        causes = [one for one in look.causes(STEPS) if not is_housekeeping(one)]
        return to_do(text, of_causes(look, causes))
    if overdue:
        return to_do(text, of_causes(look, overdue))
    promised = any(row.what == "pipeline run" for row in look.facts.findings.expected)
    if not promised and look.now - last.started_at > _LONG:
        return unknown(f"{text}; no contract says how often a run is due")
    return fine(text)


def runs_of_day(look: Look) -> Found:
    """Answer which runs of today did not end well."""
    today = [run for run in look.facts.runs if run.started_at.date() == look.today]
    if look.facts.runs_error:
        raise NothingRecordedError(look.facts.runs_error)
    bad = [run for run in today if run.status != "success"]
    if bad and bad[0] is today[0]:
        return to_do(_described(bad[0]), of_causes(look, look.causes(STEPS)))
    return fine(f"{pluralized(len(today), 'run')} today, {len(today) - len(bad)} of them whole")


def _described(run: RunFacts) -> str:
    text = f"{moment(run.started_at)} {run.status}, {run.records_read:,} rows read in {run.seconds:.0f} s"
    odd = [f"{number} {word}" for number, word in ((run.failed, "failed"), (run.blocked, "blocked")) if number]
    return text + (f": {', '.join(odd)}" if odd else "")


def what_is_wrong(look: Look) -> Found:
    """Answer which causes of P1 to P3 nobody has answered for."""
    urgent = [one for one in look.facts.causes if not is_housekeeping(one)]
    if not urgent:
        return fine("no problem of P1 to P3")
    hand = sum(look.in_hand(one) for one in urgent)
    text = f"{look.facts.verdict.partition(';')[0]}" + (f"; {hand} in somebody's hand" if hand else "")
    return to_do(text, of_causes(look, urgent))


def deadlines(look: Look) -> Found:
    """Answer which open incidents were not answered or resolved in time, those that follow from others left out."""
    heads = {one.cause.head.incident for one in look.facts.causes}
    followers = {p.incident for one in look.facts.causes for p in one.cause.follows}
    still = [one for one in look.incidents if one.is_open and (one.incident in heads or one.incident not in followers)]
    late = [one for one in still if Kept.MISSED in (one.answer.kept, one.resolve.kept)]
    if not still:
        return fine("no incident is open")
    if not late:
        following = min(min(one.answer.by, one.resolve.by) for one in still)
        return fine(f"{pluralized(len(still), 'incident')} open, none late; the next time ends {moment(following)}")
    waiting = sum(one.answered_at is None for one in late)
    text = f"{len(late)} of {pluralized(len(still), 'open incident')} late, {waiting} never answered"
    names = {one.incident for one in late}
    causes = [known for known in look.facts.causes if names.intersection(known.incidents)]
    gone = sorted(names.intersection(look.facts.recovered))
    closing = (
        [Todo("P4", f"no longer seen, and still open: {named(gone)}", "make health", "it closes them")] if gone else []
    )
    return to_do(text, [*of_causes(look, causes), *closing])


def readers_see(look: Look) -> Found:
    """Answer which domains' readers see an earlier run than what is built."""
    domains = look.facts.domains
    held = [one for one in domains if one.held_by or (one.built and one.readers_see is None)]
    if not held:
        newest = max((one.readers_see for one in domains if one.readers_see), default=None)
        seen = moment(run_started(newest))
        return fine(
            f"the newest of {pluralized(len(domains), 'domain')}, as of {seen}" if seen else "nothing is built yet"
        )
    text = "; ".join(f"{one.name} as of {_as_of(one.readers_see)}" for one in held)
    by = sorted({name for one in held for name in one.held_by})
    what = f"tell the readers of {', '.join(one.name for one in held)} that they see an earlier state"
    return to_do(text, [Todo("P2", what, "make status", f"held back by {named(by)}" if by else "")])


def _as_of(run_id: str | None) -> str:
    return (short_moment(run_started(run_id)) or run_id or "") if run_id else "nothing"


def failed_tables(look: Look) -> Found:
    """Answer which tables failed or wait in their last step."""
    if look.facts.runs_error:
        raise NothingRecordedError(look.facts.runs_error)
    by_state = {state: [t.id for t in look.facts.tables.values() if t.state is state] for state in State}
    failed, blocked = by_state[State.FAILED], by_state[State.BLOCKED]
    if not failed and not blocked:
        return fine(f"none of {len(look.facts.tables)}")
    text = f"{len(failed)} failed ({named(failed)})" if failed else ""
    text += f"{', ' if text else ''}{len(blocked)} blocked" if blocked else ""
    return to_do(text, of_causes(look, look.causes(("table", "source"))))


def freshness(look: Look) -> Found:
    """Answer which tables do not keep the freshness that they promise."""
    rows = look.facts.findings.freshness
    if not rows:
        return fine("no contract promises a latency") if not look.unreadable else unknown("nothing was measured")
    broken = [row for row in rows if row.grade not in grades.KEPT]
    text = f"{len(rows) - len(broken)} of {pluralized(len(rows), 'promise')} kept"
    if not broken:
        return fine(text)
    text += f"; {named([f'{row.table} {row.grade}' for row in broken])}"
    causes = look.causes(("freshness", "late", "critical"))
    named_there = {p.subject for one in causes for p in one.cause.findings}
    todos = [
        Todo("P3", f"{row.table} is {row.age_hours or 0:.0f} h old, {row.limit_hours:g} promised", "make plan")
        for row in broken
        if row.table not in named_there
    ]
    return to_do(text, [*of_causes(look, causes), *todos])


def upcoming(look: Look) -> Found:
    """Answer what happens next."""
    coming = look.facts.upcoming
    if not coming:
        return unknown("no job is installed here, and no contract says when a run is due")
    texts = [f"{one.what} {'by ' if one.what == 'a run is due' else ''}{moment(one.at)}" for one in coming[:_NAMED]]
    return fine("; ".join(texts))


def going(look: Look) -> Found:
    """Answer whether a run holds the lake."""
    holder = lock.holder(look.project.settings.data_dir)
    if holder is None:
        return fine("nobody holds the lake")
    hung = [one for one in look.causes(["run"]) if one.cause.head.subject == holder.run_id]
    text = f"{holder.command} since {holder.since}"
    return to_do(text, of_causes(look, hung)) if hung else fine(text)
