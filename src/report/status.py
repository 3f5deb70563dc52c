"""Status: one screen that says whether the lake is fine and what to do. It only reads."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from src import console
from src.facts import BackupFacts, DomainFacts, Facts, KnownCause, RunFacts, TableFacts, Upcoming, read_facts, wording
from src.facts.models import state
from src.facts.tables import SIGNS, read_beside
from src.facts.wording import moment, pluralized, short_moment, size
from src.problems import Problem
from src.project import Project
from src.run import releases
from src.run.releases import OldSource, Standing

_WIDTH = 100
_LAST_RUNS = 5
_MOST = 6  # causes written out
_NAMED = 3  # by name, where there are many


@dataclass(frozen=True, kw_only=True)
class Status:
    """The status of a lake at one moment (UTC)."""

    read_at: datetime
    verdict: str
    causes: tuple[KnownCause, ...]  # the most urgent first
    problems: tuple[Problem, ...]  # every finding, the most urgent first
    recovered: tuple[str, ...]  # incidents that are open and no longer seen
    has_run: bool
    runs: tuple[RunFacts, ...]  # the newest first
    runs_error: str | None  # why the records of the runs cannot be read
    domains: tuple[DomainFacts, ...]
    tables: tuple[TableFacts, ...]  # in the order of the run, then what lies beside them, the ops tables last
    behind: tuple[Standing, ...]  # the tables of which readers see an earlier run's data
    drafts: tuple[str, ...]
    backup: BackupFacts | None
    backup_error: str | None  # why the records of the backups cannot be read
    upcoming: tuple[Upcoming, ...]
    models: Mapping[str, str]  # of those that were ever trained the state in a line, by name
    next_step: str


def read_status(project: Project, now: datetime) -> Status:
    """Return the verdict, causes, last runs, domains, tables and last verified backup of a lake at a moment (UTC)."""
    facts = read_facts(project, now, on_disk=False)
    standings = (table.standing for table in facts.tables.values())
    return Status(
        read_at=now,
        verdict=facts.verdict,
        causes=facts.causes,
        problems=facts.findings.problems,
        recovered=facts.recovered,
        has_run=facts.has_run,
        runs=facts.runs,
        runs_error=facts.runs_error,
        domains=facts.domains,
        tables=(*facts.tables.values(), *read_beside(project)),
        behind=tuple(standing for standing in standings if standing and standing.behind),
        drafts=facts.drafts,
        backup=facts.backup,
        backup_error=facts.backup_error,
        upcoming=facts.upcoming,
        models={model.name: state(model, now) for model in facts.models if model.versions},
        next_step=_next_step(facts),
    )


def print_status(status: Status, *, every_table: bool = False) -> None:
    """Print a status on one screen; with `every_table` a line for each table instead of each domain."""
    print(_beside(status.verdict, f"{moment(status.read_at)} UTC"))
    _print_causes(status)
    print()
    if status.has_run:
        _print_runs(status)
    else:
        print("No run yet. Type `make pipeline`.")
    print()
    if every_table:
        _print_tables(status)
    else:
        _print_domains(status.domains)
    print()
    for line in _behind(status) if every_table else _old_sources(status.behind):
        print(line)
    if status.drafts:
        print(_wrapped("drafts: ", f"{_named(status.drafts)} may change under one version"))
    for name, text in status.models.items():
        print(_wrapped("model:  ", f"{name}: {text}"))
    print(_wrapped("backup: ", _backup_text(status)))
    print(_wrapped("next:   ", status.next_step))


# -- read


def _next_step(facts: Facts) -> str:
    """Return the fix of the most urgent cause; where there is none, what comes next."""
    if facts.causes:
        return facts.causes[0].cause.head.fix
    texts = ["nothing to do"]
    for one in facts.upcoming:
        at = f"{moment(one.at)} UTC"
        texts.append(f"a run is due by {at}" if one.what == "a run is due" else f"{one.what} {at}")
    return "; ".join(texts)


# -- print


def _print_causes(status: Status) -> None:
    """Print the causes, each with what became of its incident, and the incidents that are over but still open."""
    urgent = [known for known in status.causes if not wording.is_housekeeping(known)]
    for known in urgent[:_MOST]:
        head = known.cause.head
        state = f" ({known.state} since {short_moment(known.since)})" if known.since else ""
        print(_wrapped(f"{known.urgency}  ", f"{head.incident}{state}: {head.what}"))
        print(_wrapped("    -> ", head.fix))
        if known.followers:
            print(_wrapped("    ", f"and {known.followers}"))
    if len(urgent) > _MOST:
        print(f"    and {len(urgent) - _MOST} more: `make health`")
    housekeeping = [known.cause.head for known in status.causes if wording.is_housekeeping(known)]
    for kind in sorted({problem.kind for problem in housekeeping}):
        _print_housekeeping(kind, [problem for problem in housekeeping if problem.kind == kind])
    if status.recovered:
        print(_wrapped("    ", f"no longer seen, and closed by the next `make health`: {_named(status.recovered)}"))


def _print_housekeeping(kind: str, problems: Sequence[Problem]) -> None:
    """Print the housekeeping of one kind in one entry."""
    named = _named([problem.subject for problem in problems])
    print(_wrapped(f"{problems[0].urgency}  ", f"{kind} {named}: {problems[0].what} -> {problems[0].fix}"))


def _named(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def _width() -> int:
    return min(_WIDTH, console.width() or _WIDTH)


def _beside(text: str, stamp: str) -> str:
    """Return a text with a stamp at the right end of its line, or below it where there is no room."""
    room = _width() - len(stamp)
    return f"{text:{room}}{stamp}" if len(text) < room else f"{text}\n{stamp}"


def _wrapped(lead: str, text: str) -> str:
    """Return a text after its label, broken to the width of the screen below where it begins."""
    indent = " " * len(lead)
    return textwrap.fill(wording.one_line(text), _width(), initial_indent=lead, subsequent_indent=indent)


def _print_runs(status: Status) -> None:
    if status.runs_error is not None:
        print(f"The records of the runs cannot be read: {status.runs_error}")
        return
    console.table(
        ("run started (UTC)", "status", "read", "written", "quarantined", "seconds", "command"),
        [
            (
                moment(run.started_at),
                run.status,
                run.records_read,
                run.records_written,
                run.quarantined,
                round(run.seconds, 1),
                _cut(run.command, 24),
            )
            for run in status.runs[:_LAST_RUNS]
        ],
    )
    if status.runs and status.runs[0].error:
        print(_wrapped("last error: ", status.runs[0].error))


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."


def _print_domains(domains: Sequence[DomainFacts]) -> None:
    """Print a line for each domain or mart: its tables by their states, and what readers see of it."""
    texts = [(domain.name, _states(domain), _seen(domain)) for domain in domains]
    names, counts = (max((len(row[column]) for row in texts), default=0) for column in (0, 1))
    for name, states, seen in texts:
        print(_wrapped(f"{name:<{names}}  {states:<{counts}}  ", seen))


def _states(domain: DomainFacts) -> str:
    return ", ".join(f"{count} {state}" for state, count in domain.states.items())


def _seen(domain: DomainFacts) -> str:
    """Return as of which run readers see a domain, beside the newest that built something of it, and what holds it."""
    seen, built = (wording.run_started(run) for run in (domain.readers_see, domain.built))
    held = f": held back by {_named(domain.held_by)}" if domain.held_by else ""
    if domain.built is None:
        return "nothing is released yet"
    if domain.readers_see is None:
        return f"built {_short(built, domain.built)}, readers see nothing of it{held}"
    if domain.readers_see == domain.built:
        return f"readers see {_short(seen, domain.readers_see)}{held}"
    return f"built {_short(built, domain.built)}, readers see {_short(seen, domain.readers_see)}{held}"


def _short(started: datetime | None, run_id: str) -> str:
    return short_moment(started) or run_id


def _print_tables(status: Status) -> None:
    """Print a line for each table; all ops tables in one."""
    ops = [table for table in status.tables if table.layer == "ops"]
    rows = [_table_row(table) for table in status.tables if table not in ops]
    rows += [_ops_row(ops)] if ops else []
    console.table(("", "table", "state", "fresh", "rows until", "rows", "released", "newest", "size", "files"), rows)
    print("rows, fresh and rows until are of the version that readers see; size and files of the newest")


def _table_row(table: TableFacts) -> tuple[object, ...]:
    standing, grade = table.standing, table.freshness
    until = grade.business_until if grade else None
    newest = _newest(table)
    return (
        SIGNS[table.state],
        table.id,
        table.state if table.readable else "cannot be read",
        grade.grade if grade else "",
        str((until - timedelta(microseconds=1)).date()) if until else "",  # the end of a day is that day, not the next
        table.seen_rows,
        short_moment(wording.run_started(standing.as_of)) if standing else "",
        newest,
        size(table.bytes) if table.bytes is not None else "",
        table.files,
    )


def _newest(table: TableFacts) -> str:
    """Return when what is newest of a table was built: by the run that built it, else by the clock of its commit."""
    built = wording.run_started(table.standing.built) if table.standing else None
    return short_moment(built or table.written_at)


def _ops_row(tables: Sequence[TableFacts]) -> tuple[object, ...]:
    """Return the ops tables as one row; one that cannot be read is among the problems."""
    rows, files = sum(table.rows or 0 for table in tables), sum(table.files or 0 for table in tables)
    total = size(sum(table.bytes or 0 for table in tables))
    written = max((table.written_at for table in tables if table.written_at), default=None)
    name = f"ops ({pluralized(len(tables), 'table')})"
    return ("", name, "", "", "", rows, "", short_moment(written), total, files)


def _behind(status: Status) -> Iterator[str]:
    """Yield a line for each table of which readers see an earlier run's data."""
    for standing in status.behind:
        yield _wrapped("behind: ", f"readers see {releases.describe(standing)}")


def _old_sources(behind: Iterable[Standing]) -> Iterator[str]:
    """Yield a line for each source that tables have as it last was good, with these tables."""
    tables: dict[OldSource, list[str]] = {}
    for standing in behind:
        for old in standing.old:
            tables.setdefault(old, []).append(standing.table)
    for old, names in tables.items():
        yield _wrapped("old:    ", f"readers see {_named(names)} {releases.describe_old([old])}")


def _backup_text(status: Status) -> str:
    backup = status.backup
    if status.backup_error is not None:
        return f"not known: {status.backup_error}"
    if backup is None:
        return "none is verified yet; `make backup` makes one"
    found = f"{moment(backup.verified_at)} UTC ({wording.ago(status.read_at, backup.verified_at)})"
    return f"{backup.backup} at {backup.remote}, found whole {found}"
