"""An incident for people: the list, one with its timeline, and the post-mortem that people complete."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from src import console
from src.alerts import RESPONSE, Deadline, Kept, NumberedIncident
from src.facts.incident import IncidentFacts, Seen
from src.facts.wording import moment, one_line, pluralized, short_moment

_NAMED = 8  # tables by name
_BLANK = "____"


def print_list(incidents: Sequence[NumberedIncident], *, earlier: int = 0) -> None:
    """Print incidents, one a line; `earlier`: how many are not shown."""
    if incidents:
        headers = ("no", "urgency", "opened (UTC)", "incident", "state", "answered", "resolved", "lasted")
        console.table(headers, [_row(one) for one in incidents])
    else:
        print("No incident in the last 31 days." if earlier else "No incident was ever opened.")
    if earlier:
        print(f"and {earlier} earlier: `main.py incident --all`")


def print_incident(facts: IncidentFacts) -> None:
    """Print one incident: what it is, its times, what hangs on it, what readers saw, its timeline."""
    found = facts.incident
    print(f"{found.number}  {found.urgency} {found.incident}: {_stands(facts)}")
    print(f"what:      {one_line(found.what)}")
    print(f"fix:       {one_line(found.fix)}")
    print(
        f"answer:    {_deadline(found.answer, found.answered_at)}"
        + (f" by {found.answered_by}" if found.answered_by else "")
    )
    print(f"resolve:   {_deadline(found.resolve, found.over_at)}")
    for name, names in (("upstream", facts.upstream), ("affects", facts.downstream), ("marts", facts.marts)):
        print(f"{name + ':':10} {_named(names)}")
    for line in _readers(facts):
        print(f"readers:   {line}")
    if facts.follows:
        print(f"with it:   {_named(facts.follows)}")
    print()
    console.table(("moment (UTC)", "what", "by"), [(moment(one.moment), one.what, one.by) for one in facts.timeline])


def print_template(facts: IncidentFacts) -> None:
    """Print a post-mortem in Markdown: what is known filled in, blanks where people have to write."""
    print("\n".join(template(facts)))


def template(facts: IncidentFacts) -> Iterator[str]:
    """Yield the lines of a post-mortem."""
    found = facts.incident
    yield from (
        f"# Post-mortem {found.number}: {found.incident}",
        "",
        f"{found.urgency}, opened {moment(found.opened_at)} UTC, {_lasted(facts)}. Written by {_BLANK} on {_BLANK}.",
        "",
        f"What is known is filled in; each {_BLANK} is for a person.",
        "",
        "## Summary",
        "",
        f"{one_line(found.what)}. In the words of those who were hit: {_BLANK}",
        "",
        "## Impact",
        "",
        f"- Tables: {_named(facts.downstream)}",
        f"- Marts: {_named(facts.marts)}",
        *(f"- Readers: {line}" for line in _readers(facts)),
        *([f"- Beside it: {_named(facts.follows)}"] if facts.follows else []),
        f"- Decisions that were made on wrong or old figures: {_BLANK}",
        "",
        "## Timeline (UTC)",
        "",
        "| moment | what | by |",
        "|---|---|---|",
        *(f"| {moment(one.moment)} | {_cell(one.what)} | {_cell(one.by)} |" for one in facts.timeline),
        "",
        "## Detection",
        "",
        f"{_detection(facts)} Could it have been seen earlier? {_BLANK}",
        "",
        "## Response",
        "",
        f"| | asked of {found.urgency} | until (UTC) | happened (UTC) | |",
        "|---|---|---|---|---|",
        _response("answered", str(RESPONSE[found.urgency].answer), found.answer, found.answered_at),
        _response("resolved", str(RESPONSE[found.urgency].resolve), found.resolve, found.over_at),
        "",
        "## Root cause",
        "",
        f"What was found: {one_line(found.what)}. Upstream: {_named(facts.upstream)}.",
        f"Why it happened, and why that: {_BLANK}",
        "",
        "## What went well",
        "",
        *_went_well(facts),
        f"- {_BLANK}",
        "",
        "## What did not",
        "",
        *_went_wrong(found),
        f"- {_BLANK}",
        "",
        "## Actions",
        "",
        "| action | owner | until | done |",
        "|---|---|---|---|",
        f"| {_cell(one_line(found.fix))} | {_BLANK} | {_BLANK} | |"
        if found.is_open
        else f"| {_BLANK} | {_BLANK} | {_BLANK} | |",
        f"| an audit, a test or a monitor that finds it earlier: {_BLANK} | {_BLANK} | {_BLANK} | |",
    )


def _row(one: NumberedIncident) -> tuple[object, ...]:
    end = one.over_at
    lasted = _span(end - one.opened_at) if end else ""
    return (
        one.number,
        one.urgency,
        moment(one.opened_at),
        one.incident,
        one.state,
        _short(one.answer),
        _short(one.resolve),
        lasted,
    )


def _short(deadline: Deadline) -> str:
    return f"by {short_moment(deadline.by)}" if deadline.kept is Kept.DUE else str(deadline.kept)


def _deadline(deadline: Deadline, happened: datetime | None) -> str:
    at = f", happened {moment(happened)} UTC" if happened else ""
    return f"{deadline.kept}: until {moment(deadline.by)} UTC{at}"


def _response(what: str, asked: str, deadline: Deadline, happened: datetime | None) -> str:
    return f"| {what} | within {asked} | {moment(deadline.by)} | {moment(happened) or 'not yet'} | {deadline.kept} |"


def _lasted(facts: IncidentFacts) -> str:
    found = facts.incident
    end = found.over_at
    if end:
        return f"over {moment(end)} UTC after {_span(end - found.opened_at)}"
    return f"open for {_span(facts.read_at - found.opened_at)}"


def _stands(facts: IncidentFacts) -> str:
    state = facts.incident.state
    return _lasted(facts) if state in ("open", "over") else f"{state}, {_lasted(facts)}"


def _span(length: timedelta) -> str:
    minutes = int(length.total_seconds() // 60)
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} days"


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return (", ".join(names[:_NAMED]) + more) or "none"


def _readers(facts: IncidentFacts) -> Iterator[str]:
    """Yield what readers saw meanwhile."""
    if facts.releases is None:
        yield "cannot be told: no release of that time says as of which run its tables are"
    elif not facts.seen:
        yield f"no table of these was older than the newest release ({pluralized(facts.releases, 'release')} meanwhile)"
    for seen in facts.seen:
        yield _seen(seen)


def _seen(seen: Seen) -> str:
    until = f"until {moment(seen.until)}" if seen.until else "until now"
    as_of = moment(seen.as_of_started) or seen.as_of
    return f"{_named(seen.tables)} as of the run of {as_of}, from {moment(seen.since)} {until} UTC"


def _detection(facts: IncidentFacts) -> str:
    found = facts.incident
    if facts.first_failed:
        waited = _span(found.opened_at - facts.first_failed)
        return f"The first failed step began {moment(facts.first_failed)} UTC; the incident was opened {waited} later."
    return f"Opened {moment(found.opened_at)} UTC by a look of the monitors; it is about {found.first_day}."


def _went_well(facts: IncidentFacts) -> Iterator[str]:
    if facts.incident.answer.kept is Kept.KEPT:
        yield "- it was answered in time"
    if facts.incident.resolve.kept is Kept.KEPT:
        yield "- it was resolved in time"
    if facts.seen:
        yield "- readers kept the last release that was right"


def _went_wrong(found: NumberedIncident) -> Iterator[str]:
    if found.answer.kept is Kept.MISSED:
        yield f"- it was not answered until {moment(found.answer.by)} UTC"
    if found.resolve.kept is Kept.MISSED:
        yield f"- it was not over until {moment(found.resolve.by)} UTC"


def _cell(text: str) -> str:
    return one_line(text).replace("|", "\\|")
