"""What a person types: run (the default), plan, status, query, backfill, alerts and the like; see --help.

`run` carries what landed through bronze, silver and gold, strictly in this order, and blocks what
depends on a failed step and nothing else. Exit codes are those of src/errors.py.
"""

from __future__ import annotations

from src import stopping

if __name__ == "__main__":
    stopping.at_once()  # first, so that Ctrl-C while the libraries load gives no traceback

import argparse
import os
import sys
from collections.abc import Callable, Collection, Iterable
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from pathlib import Path

from loguru import logger

from src import alerts, catalog, console, errors
from src.bronze import ingest
from src.checks.outcome import Outcome
from src.contract import Table
from src.errors import BUG_EXIT_CODE, BoathouseError, UsageError
from src.gold import aggregate
from src.monitors import landing
from src.project import (
    Project,
    Selection,
    downstream,
    open_engine,
    open_project,
    referenced,
    select,
    sources,
    upstream,
    waits_for,
)
from src.run import edge, releases, runs, summary
from src.run.recorded import recorded_run
from src.run.runs import Run
from src.settings import Settings
from src.silver import clean

ROOT = Path(__file__).resolve().parent
MODES = ("recent", "all")  # the first is the default
SOURCE = ROOT / "src"


# -- run: bronze, then silver, then gold


def run(
    project: Project,
    domain: str | None = None,
    window: runs.Window | None = None,
    mode: str = MODES[0],
    accept_rejects: Collection[str] = (),
) -> Run:
    """Carry everything that landed through the three layers and record what was done.

    Mode `recent` computes what an input of moved, `all` every table of silver and gold whole: the result is the same.

    The window says which business days the run answers for. Every partition of it is right when the
    run is over: those an input of which moved are computed again, and so is any other that late rows touch.

    `accept_rejects`: the tables that take their load however many of its rows are rejected.
    """
    chosen = select(project, domain)
    command = "make pipeline" + (f" DOMAIN={domain}" if domain else "") + (" MODE=all" if mode == "all" else "")
    command += f" ACCEPT_REJECTS={','.join(accept_rejects)}" if accept_rejects else ""
    _check_accepted(chosen, accept_rejects)
    full_refresh = {table.id for table in (*chosen.silver, *chosen.gold)} if mode == "all" else set()
    with recorded_run(project, command, window) as this:
        _land_samples(project)
        this.landing, this.landing_seen = landing.problem(project, this.window.end), True
        this.unclaimed = ingest.unclaimed(project.landing, project.contracts.feeds.values())
        carry(project, this, chosen, full_refresh, accept_rejects)
    return this


def _check_accepted(chosen: Selection, tables: Collection[str]) -> None:
    known = [table.id for table in chosen.silver]
    for name in tables:
        if name not in known:
            raise UsageError(f"no rejects of {name} to accept", fix=f"the tables are {', '.join(known)}")


def carry(
    project: Project,
    this: Run,
    chosen: Selection,
    full_refresh: Collection[str] = (),
    accept_rejects: Collection[str] = (),
) -> None:
    """Do the steps of a run, in a blocking sequence: all of bronze, then all of silver, then all of gold.

    `full_refresh`: the tables that are computed whole even where no input of them moved; `accept_rejects`: those that
    take their load however many of its rows are rejected.
    """
    who = os.environ.get("USER") or "someone"
    batch = this.run_id
    with console.progress(len(chosen)) as bar:

        def step(name: str, work: Callable[[], Outcome], waits_for: Iterable[str], source: str = "") -> None:
            if bar:
                bar.start(name)
            this.step(name, work, needs=waits_for, source=source)
            if bar:
                bar.done()

        for feed in chosen.feeds:
            settle, latest_wins = project.settings.settle_seconds, project.contracts.latest_wins(feed)
            take = partial(ingest.run, batch=batch, now=this.started, settle=settle, latest_wins=latest_wins)
            expecting = project.expecting(feed)
            step(
                feed.id,
                partial(take, project.engine, project.landing, project.path(feed.id), expecting),
                (),
                feed.path,
            )
        for table in chosen.silver:
            places = clean.Places.of(table, project.path)
            step(
                table.id,
                partial(
                    clean.run,
                    project.engine,
                    table,
                    places,
                    batch=batch,
                    full_refresh=table.id in full_refresh,
                    accepted_by=who if table.id in accept_rejects else "",
                ),
                upstream(table),
            )
        for table in chosen.gold:
            step(table.id, partial(_aggregate, project, table, batch, table.id in full_refresh), upstream(table))


def _aggregate(project: Project, table: Table, batch: str, full_refresh: bool) -> Outcome:
    waiting = waits_for(project, table)
    if waiting:
        return Outcome(notes=(f"waits for {', '.join(waiting)}, not built yet",))
    read, refers = sources(project, table), project.built(referenced(table))
    root, proof = project.path(table.id), project.proof(table)
    return aggregate.run(project.engine, table, root, read, refers, proof, batch=batch, full_refresh=full_refresh)


def _land_samples(project: Project) -> None:
    """Give a newcomer something to see: the sample company's files, where nothing has landed at all, nor ever did."""
    settings = project.settings
    landed = (path for path in project.landing.rglob("*") if path.is_file() and not path.name.startswith("."))
    if not settings.sample_feed or any(landed) or any(project.table(feed) for feed in project.contracts.feeds):
        return
    from src.demo import feeds

    yesterday = runs.now().date() - timedelta(days=1)
    files = feeds.land(project.landing, days=settings.sample_days, last=yesterday, seed=settings.sample_seed)
    print(f"The landing zone was empty: landed {len(files)} files of the sample company in {project.landing}.")
    print("Set SAMPLE_FEED=false in .env once you land files of your own.")


# -- the commands


def _run(settings: Settings, words: argparse.Namespace) -> int:
    window = runs.window(runs.now().date(), words.run_date, words.reprocess_days)
    with open_project(settings, SOURCE, window.end) as project:
        return _ended(project, run(project, words.domain, window, words.mode, words.accept_rejects))


def _ended(project: Project, this: Run) -> int:
    """Print what a run did and its heartbeat, and tell whom it concerns; returns the exit code."""
    steps = this.steps
    _tell(project, this)
    summary.changes(steps)
    console.unclaimed(this.unclaimed)
    if this.landing:
        console.note(f"{this.landing.what} -> {this.landing.fix}")
    error = this.error()
    if error is None:
        summary.finished(this.records[-1], steps)
        return 0
    console.failed(console.error_text(error))
    return error.exit_code if isinstance(error, BoathouseError) else BUG_EXIT_CODE


def _tell(project: Project, this: Run) -> None:
    """Open, send and close the incidents of a run. What goes wrong here never fails the run: the next one sends it."""
    settings, found = project.settings, alerts.of_run(this)
    try:
        urls = alerts.channels(settings)
        alerts.update(project.engine, settings.data_dir, urls, found, runs.now(), alerts.looked_at(this))
    except BoathouseError as error:
        logger.warning("incidents not told: {}", error)


def _plan(settings: Settings, words: argparse.Namespace) -> int:
    from src.run import forecast, plan

    window = runs.window(runs.now().date(), words.run_date, words.reprocess_days)
    with open_project(settings, SOURCE, window.end) as project:
        ahead = forecast.Forecast(project)
        rows = plan.rows(project, select(project, words.domain), ahead)
        whole = plan.computed_whole(project, select(project, words.domain))
    console.table(*plan.printed(rows, ahead))
    print(f"window {window}: computed again where an input moved, as is any other partition that late rows touch")
    for reason in whole:
        print(reason)
    return 0


def _status(settings: Settings, words: argparse.Namespace) -> int:
    from src.report import status

    with open_project(settings, SOURCE) as project:
        status.print_status(status.read_status(project, runs.now()))
    return 0


def _health(settings: Settings, words: argparse.Namespace) -> int:
    from src.report import health

    with open_project(settings, SOURCE) as project:
        found = health.read_health(project, runs.now())
        health.print_health(found)
        if sent := health.send_alerts(project, found):
            print(f"told of {health.counted(len(sent), 'incident')}")
        health.record_figures(project, found)
    return int(not found.healthy)


def _report(settings: Settings, words: argparse.Namespace) -> int:
    from src import report

    with open_project(settings, SOURCE) as project:
        report.write(project, runs.now(), settings.data_dir / "reports")
    return 0


def _alerts(settings: Settings, words: argparse.Namespace) -> int:
    now, who = runs.now(), os.environ.get("USER", "")
    if words.verb != "list" and not words.about:
        raise UsageError(f"alerts {words.verb} of nothing", fix="name an incident of `make alerts`")
    with open_engine(settings) as running:
        if words.verb == "list":
            alerts.show(running, settings.data_dir, now)
        elif words.verb == "ack":
            found = alerts.ack(running, settings.data_dir, words.about, who, now, words.reason)
            print(f"{found.incident}: no more messages until it gets worse or is over")
        else:
            until = _needed(words.until, "alerts snooze", "--until YYYY-MM-DD")
            moment = datetime.combine(until, time.min, UTC) + timedelta(days=1)
            found = alerts.snooze(running, settings.data_dir, words.about, moment, who, now, words.reason)
            print(f"{found.incident}: nothing until the end of {until}; then once, if it is still there")
    return 0


def _confirm(settings: Settings, words: argparse.Namespace) -> int:
    from src import monitors

    with open_project(settings, SOURCE) as project:
        table = words.table if words.table in project.contracts.feeds else project.declared(words.table).id
        day = monitors.IncidentDay(table, words.day, words.reason, runs.now())
        with recorded_run(project, f"confirm {table} {words.day}"):
            monitors.confirm(project.engine, settings.data_dir, day)
    print(f"{words.day} is no longer what other days of {table} are compared with")
    return 0


def _needed(value: date | None, command: str, write: str) -> date:
    if value is None:
        raise UsageError(f"{command} without an end", fix=f"write {write}")
    return value


def _query(settings: Settings, words: argparse.Namespace) -> int:
    with open_engine(settings) as running:
        versions = {} if words.newest else releases.newest(settings.data_dir)
        return catalog.show(running, settings.data_dir, words.sql, words.format, versions)


def _backfill(settings: Settings, words: argparse.Namespace) -> int:
    from src.maintenance import backfill

    with open_project(settings, SOURCE) as project:
        if words.dry_run:
            planned = backfill.plan(project, words.table, words.start, words.end, words.where)
            console.table(("table", "partition to be written again"), backfill.rows(planned))
            return 0
        with recorded_run(project, f"backfill {words.table}") as this:
            planned = backfill.plan(project, words.table, words.start, words.end, words.where)
            console.table(("table", "partition to be written again"), backfill.rows(planned))
            print()
            backfill.execute(project, planned, this)
        return _ended(project, this)


def _rebuild(settings: Settings, words: argparse.Namespace) -> int:
    with open_project(settings, SOURCE) as project:
        table = project.declared(words.table)
        under = downstream(project, {table.id})
        chosen = Selection((), (table,), under) if table.layer == "silver" else Selection((), (), (table, *under))
        then = ", ".join(other.id for other in under) or "nothing more"
        print(f"{table.id} is computed whole from {', '.join(upstream(table))}; then {then}")
        if words.dry_run:
            print("dry run: nothing was changed")
            return 0
        with recorded_run(project, f"rebuild {table.id}") as this:
            carry(project, this, chosen, {table.id})
        return _ended(project, this)


def _inspect(settings: Settings, words: argparse.Namespace) -> int:
    from src.monitors import inspection

    with open_project(settings, SOURCE) as project:
        every = select(project, None)
        tables = (project.declared(words.table),) if words.table else (*every.silver, *every.gold)
        inspection.print_inspection(inspection.read_inspection(project, tables))
    return 0


def _quarantine(settings: Settings, words: argparse.Namespace) -> int:
    from src.maintenance import quarantine

    if words.verb != "list" and not words.table:
        raise UsageError(f"quarantine {words.verb} without a table", fix="name it: --table silver.domain.table")
    if words.verb == "replay":
        return _replay(settings, words.table)
    if words.verb == "waive":
        return _waive(settings, words)
    with open_engine(settings) as running:
        if words.verb == "list":
            quarantine.show_list(running, settings.data_dir, runs.now().date())
        else:
            quarantine.show_rows(running, settings.data_dir, words.table, words.limit)
    return 0


def _waive(settings: Settings, words: argparse.Namespace) -> int:
    from src.maintenance import quarantine

    until = _needed(words.until, "a waiver", "its last day: --until YYYY-MM-DD")
    who = os.environ.get("USER", "")
    waiver = quarantine.Waiver(words.table, words.matching, words.reason, until, runs.now(), who)
    with open_project(settings, SOURCE) as project, recorded_run(project, f"quarantine waive {words.table}"):
        covered = quarantine.waive(project.engine, settings.data_dir, waiver)
    print(f"waived until {until}: {covered} rows of {words.table}")
    return 0


def _replay(settings: Settings, table_id: str) -> int:
    """Build one table, and what reads it, under its contract as it is now; rows that now pass leave quarantine."""
    from src.maintenance import quarantine

    with open_project(settings, SOURCE) as project:
        before = quarantine.count(project.engine, settings.data_dir, table_id)
        table = project.declared(table_id)
        with recorded_run(project, f"quarantine replay {table_id}") as this:
            carry(project, this, Selection((), (table,), downstream(project, {table_id})))
        code = _ended(project, this)
        after = quarantine.count(project.engine, settings.data_dir, table_id)
    print(f"{table_id}: {before} rows were in quarantine, {after} are")
    if before == after and code == 0:
        print(f"A row passes once {table.path} or its SQL lets it: mend it, bump `version`, and replay.")
    return code


def _rollback(settings: Settings, words: argparse.Namespace) -> int:
    from src.maintenance import rollback

    with open_project(settings, SOURCE) as project:
        versions = releases.named(project.engine, settings.data_dir, words.to)
        steps = rollback.plan(project, versions)
        console.table(("table", "version", "back to"), [(step.table, step.now, step.back) for step in steps])
        if words.dry_run or not steps:
            print("nothing to restore" if not steps else "dry run: nothing was changed")
            return 0
        with recorded_run(project, f"rollback to {words.to}") as this:
            rollback.execute(project, steps, versions, this)
    print(f"restored {len(steps)} tables to release {words.to}; the next run goes forward from there")
    return 0


def _check(settings: Settings, words: argparse.Namespace) -> int:
    from src.maintenance import check, remote

    with open_project(settings, SOURCE) as project:
        return check.show(project, partial(remote.of, settings, ROOT), quick=words.quick)


def _repair(settings: Settings, words: argparse.Namespace) -> int:
    from src.maintenance import remote, repair

    with open_project(settings, SOURCE) as project:
        return repair.show(project, remote.of(settings, ROOT), dry_run=words.dry_run)


def _docs(settings: Settings, words: argparse.Namespace) -> int:
    from src import documents

    with open_project(settings, SOURCE) as project:
        documents.write(ROOT, project)
    return 0


def _words(typed: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="main.py",
        description="Boathouse: a lakehouse that fits in a folder.",
        epilog="exit codes: " + ", ".join(f"{code} {name}" for code, name in errors.exit_codes().items()),
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    def command(name: str, act: Callable[[Settings, argparse.Namespace], int], line: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=line, description=line)
        added.set_defaults(act=act)
        return added

    for name, act, line in (
        ("run", _run, "carry what landed through bronze, silver and gold (the default)"),
        ("plan", _plan, "say what a run would do, and why; changes nothing"),
    ):
        added = command(name, act, line)
        added.add_argument("--domain", help="one domain only")
        added.add_argument(
            "--run-date", type=_day, help="the last business day the run answers for (default: yesterday)"
        )
        added.add_argument("--reprocess-days", type=int, help="how many days up to then it answers for (default: 7)")
        if act is _run:
            added.add_argument("--mode", choices=MODES, default=MODES[0], help="what moved, or every table whole")
            added.add_argument(
                "--accept-rejects",
                action="extend",
                type=lambda tables: tables.split(","),
                default=[],
                metavar="TABLE[,TABLE]",
                help="let a load of a silver table through, however many of its rows are rejected; recorded",
            )
    command("status", _status, "is it fine, and what should I do")
    command("health", _health, "measure, record and alert; one line per problem, exit code 1 if there is one")
    command("report", _report, "write the daily summary below data/reports")
    added = command("alerts", _alerts, "open incidents: list, ack (known), snooze (for a while)")
    added.add_argument("verb", choices=("list", "ack", "snooze"))
    added.add_argument("about", nargs="?", default="", help="an incident of the list, or what it is about")
    added.add_argument("--until", type=_day, help="snooze: the last day to hear nothing, YYYY-MM-DD")
    added.add_argument("--reason", default="", help="why, for whoever looks next")
    added = command("confirm", _confirm, "a day was an incident: no other day is compared with it")
    added.add_argument("--table", required=True, help="a table or feed, as in ops.volume")
    added.add_argument("--day", required=True, type=_day, help="YYYY-MM-DD")
    added.add_argument("--reason", required=True, help="what happened that day")
    added = command("query", _query, "run a SELECT over any table, named layer.domain.table")
    added.add_argument("sql", help="for example: SELECT * FROM gold.sales.daily_revenue LIMIT 5")
    added.add_argument("--format", choices=("table", "csv", "json"), default="table")
    added.add_argument("--newest", action="store_true", help="the newest versions, not those of the last release")
    added = command("backfill", _backfill, "compute a slice of a table again, from bronze up through gold")
    added.add_argument("--table", required=True, help="silver.domain.table or gold.mart.table")
    added.add_argument("--start", type=_day, help="first business day, YYYY-MM-DD")
    added.add_argument("--end", type=_day, help="last business day, YYYY-MM-DD")
    added.add_argument("--where", help="SQL condition over the table's columns, such as \"country = 'Norway'\"")
    added.add_argument("--dry-run", action="store_true", help="say which partitions would be written again")
    added = command("inspect", _inspect, "rows in each layer, keys twice, structure, days without rows")
    added.add_argument("--table", help="silver.domain.table or gold.mart.table (default: every table)")
    added = command("rebuild", _rebuild, "compute one table whole again, then what reads it")
    added.add_argument("--table", required=True, help="silver.domain.table or gold.mart.table")
    added.add_argument("--dry-run", action="store_true", help="say what would be computed")
    added = command("quarantine", _quarantine, "rejected rows: list, show, replay after a fix, waive for a while")
    added.add_argument("verb", choices=("list", "show", "replay", "waive"))
    added.add_argument("--table", help="silver.domain.table")
    added.add_argument("--limit", type=int, default=20, help="show: how many rows")
    added.add_argument("--matching", default="", help="waive: rows whose reasons contain this text")
    added.add_argument("--reason", default="", help="waive: why these rows may stay out")
    added.add_argument("--until", type=_day, help="waive: the last day it holds, YYYY-MM-DD")
    added = command("rollback", _rollback, "make an earlier release the newest again")
    added.add_argument("--to", required=True, metavar="RUN_ID", help="a run_id of ops.releases")
    added.add_argument("--dry-run", action="store_true", help="say what would be restored")
    added = command("check", _check, "prove the laws on the lake as it lies on disk, and compare it with the backup")
    added.add_argument("--quick", action="store_true", help="of the files the sizes only, and no backup")
    added = command("repair", _repair, "bring files that rotted or are gone back from the newest backup")
    added.add_argument("--dry-run", action="store_true", help="say what would be brought back")
    command("docs", _docs, "render the documents that are made from contracts and settings")
    return parser.parse_args(typed or ["run"])


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no day: write YYYY-MM-DD") from None


def main(typed: list[str]) -> int:
    """Run one command; returns the exit code."""
    words = _words(typed)
    return edge.ended(ROOT, lambda settings: words.act(settings, words), beats=words.act is _run)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
