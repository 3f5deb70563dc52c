"""Forget a person: every row of theirs leaves the tables of the lake, and no later file brings it back.

A condition over a silver table says whom: --where "customer_id = 17850". Their keys, and the relationships of the
contracts, lead to all their lines, also rejected, superseded and deleted ones. What is remembered of them is a keyed
hash. Older versions go as well: rollback and time travel end there.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace

from src import console, store
from src.author import by_job
from src.branches import list_branches, making
from src.commands import Call, json_argument, show
from src.commands.run import finish
from src.errors import BUG_EXIT_CODE, DataError, UsageError
from src.forget import backups, certificates, forgetting, planning, proving
from src.forget.certificates import Certificate, Entry, Status
from src.forget.forgetting import Forgotten
from src.forget.identifying import Text
from src.forget.landed import Landed
from src.forget.planning import Past, ShownPlan
from src.project import Project, open_project
from src.remote import open_remote
from src.run import runs
from src.run.kinds import RunKind
from src.run.recorded import recorded_run
from src.run.runs import Run

NEEDS_FOLDER = True
_CONFIRMED = "forget"
_MOST = 20  # files that are shown


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--table", help="silver.domain.table that knows the person")
    of_where = "SQL condition over one row of it; - reads it from stdin, which no history of a shell keeps"
    parser.add_argument("--where", help=of_where)
    parser.add_argument("--reason", default="", help="why, without a word that says who; kept with the certificate")
    parser.add_argument(
        "--without",
        action="extend",
        type=lambda names: names.split(","),
        default=[],
        metavar="TABLE[,TABLE]",
        help="silver tables whose rows stay, whatever they refer to",
    )
    parser.add_argument("--drop-branches", action="store_true", help="drop the branches of the lake, which share files")
    parser.add_argument("--backups", action="store_true", help="make the remote of backups anew without them, too")
    parser.add_argument("--dry-run", action="store_true", help="say where they are and what would be done")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--retention", action="store_true", help="the rows that are past the `retention` of contracts")
    parser.add_argument("--finish", action="store_true", help="do what is left where a run died or failed")
    parser.add_argument(
        "--key-lost", action="store_true", help="hold nothing back any more by a FORGET_KEY that is lost"
    )
    parser.add_argument("--list", action="store_true", help="show the certificates")
    json_argument(parser)


def run(call: Call) -> int:
    with open_project(call.settings) as project:
        if call.args.list:
            show(call, certificates.read_certificates(project.engine, call.settings.data_dir), _print_certificates)
            return 0
        if call.args.key_lost:
            return _give_up_key(call, project)
        if call.args.finish:
            return _finish(call, project)
        return _forget_past(call, project) if call.args.retention else _forget(call, project)


def _forget_past(call: Call, project: Project) -> int:
    """Forget what is past the retention of the contracts; returns the exit code."""
    args, moment = call.args, runs.now()
    if not args.dry_run:
        proving.refuse_branches(project)
        if code := _finish(call, project):
            return code
    found, refused = planning.plan_past(project, moment)
    if args.dry_run or not args.json:
        show(call, found, _print_past)
    if args.dry_run:
        print("dry run: nothing was changed")
        return 0
    past = [one for one in found if one.locations]
    if not past:
        print("0 changed: no row is past its retention")
        return 0
    if by_job() and not call.settings.forget_past:
        print("0 changed: FORGET_PAST=true lets the weekly job forget them; `main.py forget --retention` does it now")
        return 0
    planning.refuse_reasons(refused)
    if not args.yes:
        _confirm()
    with recorded_run(project, RunKind.FORGET, "forget what is past its retention") as current:
        past = [one for one in planning.plan_past(project, moment)[0] if one.locations]
        begun = [forgetting.begin_past(project, current, one) for one in past]
        left = forgetting.rewrite(project, current, begun, call.sequence, None)
    _print_left(left)
    return _over(call, project, begun, current)


def _forget(call: Call, project: Project) -> int:
    args = call.args
    if not args.table or not args.where:
        raise UsageError("nobody named", fix='write --table silver.domain.table --where "column = value"')
    if not args.dry_run and not args.reason.strip():
        raise UsageError("no reason", fix="write --reason, without a word that says who: it is kept")
    if not args.dry_run:
        for branch in list_branches(call.settings.data_dir) if args.drop_branches else ():
            making.drop(call.settings.data_dir, branch.name, runs.now())
        proving.refuse_branches(project)
    where = sys.stdin.readline().strip() if args.where == "-" else args.where
    if not args.dry_run and (code := _finish(call, project)):
        return code
    used_key, is_new = forgetting.use_key(project, make=not args.dry_run)
    if is_new:
        console.note("made FORGET_KEY in .env: keep it, without it nobody can tell that a file brings somebody back")
    planned = planning.plan(project, args.table, where, args.without)
    planning.refuse_reason(project, args.reason, where, planned)
    if args.dry_run:
        show(call, planning.shown(planned), _print_plan)
        print("dry run: nothing was changed")
        return 0
    if not args.json:
        _print_plan(planning.shown(planned))
    planning.refuse(planned)
    if not planned.found:
        return _nobody(call, project, where)
    if not args.yes:
        _confirm()
    with recorded_run(project, RunKind.FORGET, f"forget in {args.table}") as current:
        planned = planning.plan(project, args.table, where, args.without)  # again: a run may have ended since
        planning.refuse(planned)
        begun = [forgetting.begin(project, current, planned, args.reason.strip(), used_key)]
        left = forgetting.rewrite(project, current, begun, call.sequence, used_key)
    _print_left(left)
    return _over(call, project, begun, current, planned.texts)


def _nobody(call: Call, project: Project, where: str) -> int:
    """Say that no line meets a condition, and whether its constants are found elsewhere; returns the exit code."""
    print("0 changed: no line that landed meets the condition")
    if call.args.backups and not call.args.yes:
        _confirm()
    table = project.declared(call.args.table)
    ended = forgetting.search_again(project, table, where)
    ended = _with_backups(call, project, ended, forgetting.constants_of(project, table, where))
    show(call, ended, _print_end)
    return 0 if ended.status == Status.DONE else DataError.exit_code


def _finish(call: Call, project: Project) -> int:
    """Do what is left of forgettings that a run left behind; returns the exit code."""
    begun = forgetting.unfinished(project)
    if not begun:
        if call.args.finish:
            print("0 changed: nothing is left to finish")
        return 0
    console.note(f"finishing what began on {begun[0].moment:%Y-%m-%d %H:%M} UTC")
    return _over(call, project, begun, forgetting.finish(project, call.sequence, begun))


def _over(
    call: Call, project: Project, begun: Sequence[Entry], current: Run, texts: Sequence[Text] | None = None
) -> int:
    """End forgettings whose tables a run computed; returns the exit code. `texts`: the values to look for."""
    if code := _exit_code(call, project, current):
        console.complain("not forgotten yet: make right what failed; the next run or `main.py forget --finish` goes on")
        return code
    ended = _with_backups(call, project, forgetting.end(project, begun, texts), texts)
    show(call, ended, _print_end)
    if ended.status == Status.DONE:
        return 0
    what = f"out of the tables, and not proven to be gone: {ended.detail}"
    raise DataError(what, fix="see the files above; once they are gone type the command again, which searches again")


def _with_backups(call: Call, project: Project, ended: Forgotten, texts: Sequence[Text] | None) -> Forgotten:
    """Return the end with the backups that hold them, which are made anew first where that is asked for.

    Those of a store over the network are read for this alone.
    """
    settings, values = call.settings, proving.values_of(texts or ())
    remote, room = open_remote(settings), store.beside(settings.data_dir) / ".spill"
    if not values:
        return ended
    if not call.args.backups:
        if not remote.is_folder:
            console.note(f"the backups at {remote.path} were not read; --backups makes them anew without them")
            return ended
        return replace(ended, backups=tuple(backups.holding(project.engine, settings, remote, values, room)))
    if ended.status == Status.DONE:  # else the new one would hold them, too
        done = backups.renew(project.engine, settings, remote, values, runs.now, room)
        gone = f"{len(done.removed)} backups of before went, and {done.objects} files"
        console.note(f"backup {done.backup} was drilled and holds nothing of them; {gone}")
    return ended


def _exit_code(call: Call, project: Project, current: Run) -> int:
    """Return the exit code of a run, whose steps it prints where people look."""
    if not call.args.json:
        return finish(call, project, current)
    error = current.error()
    return 0 if error is None else getattr(error, "exit_code", BUG_EXIT_CODE)


def _print_end(ended: Forgotten) -> None:
    for certificate in ended.certificates:
        print(f"certificate {certificate}: {ended.status}; older versions of {len(ended.purged)} tables went")
    for one in ended.outside:
        print(f"{console.plain(one.what)}: {one.files} files, {one.done}")
    for held in ended.backups:
        until = f"goes on {held.until}" if held.until else "is kept for longer than 20 years"
        print(f"backup {held.backup} holds them in {len(held.tables)} tables, and {until}; --backups makes it anew")
    for found in ended.found[:_MOST]:
        print(f"found: {console.plain(found.path)}: {found.how}")
    if len(ended.found) > _MOST:
        print(f"and {len(ended.found) - _MOST} more; --json shows all")


def _give_up_key(call: Call, project: Project) -> int:
    """Let lines in again that were held back by keys that are not there any more; returns the exit code."""
    if not call.args.yes:
        _confirm()
    with recorded_run(project, RunKind.FORGET, "forget: a key is lost") as current:
        lost = forgetting.give_up_keys(project, current)
    what = "no key is lost" if not lost else f"{lost} hashes of a lost key hold nothing back any more"
    show(call, {"hashes": lost}, lambda _: print(what))
    return 0


def _print_left(left: Sequence[Landed]) -> None:
    for one in left[:_MOST]:
        console.note(f"{console.plain(one.name)} keeps {one.records} of their records: {one.why}")
    if len(left) > _MOST:
        console.note(f"so do {len(left) - _MOST} more landed files")


def _print_past(found: Sequence[Past]) -> None:
    for one in found:
        print(f"{one.table}: kept for {one.kept} by {one.column}; {one.column} before {one.before} goes")
        rows = [(location.location, location.rows, location.files, location.what) for location in one.locations]
        console.table(("where", "rows", "files", "what becomes of it"), rows)
    if not found:
        print("no contract says by which column its `retention` is counted: docs/forget.md")


def _print_plan(planned: ShownPlan) -> None:
    for claim in planned.claims:
        print(f"{claim.table}: by {', '.join(claim.columns)}, {claim.why}")
    rows = [(location.location, location.rows, location.files, location.what) for location in planned.locations]
    console.table(("where", "rows", "files", "what becomes of it"), rows)
    print(f"computed again: {', '.join(planned.computed) or 'nothing'}")
    for name in planned.not_followed:
        console.note(f"{name} has such a column too and no relationship leads there: name it yourself if it is meant")
    for name in planned.models:
        console.note(f"{name} may have learned from these rows: train it again, and retire the versions of before")
    if planned.lost_releases:
        print(f"rollback will no longer reach {planned.lost_releases} releases")


def _print_certificates(found: Sequence[Certificate]) -> None:
    for one in found:
        by = f" by {one.forgotten_by}" if one.forgotten_by else ""
        print(f"{one.certificate}: {one.status}, {one.moment:%Y-%m-%d %H:%M} UTC{by}: {one.reason}")
        print(f"  who: {one.table} by {', '.join(one.columns)}, keyed hash {one.hash}; {one.keys} hashes are held back")
        console.table(
            ("where", "rows", "files", "what"), [(p.location, p.rows, p.files, p.what) for p in one.locations]
        )
    if not found:
        print("nobody was forgotten")


def _confirm() -> None:
    """Ask a person at a terminal; nobody else can say yes here."""
    if not sys.stdin.isatty():
        raise UsageError("a forgetting that nobody confirmed", fix="give --yes as well, or type it at a terminal")
    print(f"Type {_CONFIRMED} to take these rows out for good: ", end="", flush=True)
    if sys.stdin.readline().strip() != _CONFIRMED:
        raise UsageError("a forgetting that was not confirmed", fix=f"type {_CONFIRMED}; nothing was changed")
