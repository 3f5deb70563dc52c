"""What can be done from the page, and nothing else: POST /act/<what>, from a form of ours.

Answers to incidents are written here, as `alerts ack` and `alerts snooze` write them. Everything that writes the lake
is the command itself in a process of its own (src/page/starting.py): it takes the same lock, leaves the same records,
and these have who pressed. Never from here: vacuum, purge, restore, rollback.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import quote, urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from src import alerts, selection
from src.alerts import Incident
from src.errors import LockedError, UsageError
from src.facts import KnownCause
from src.facts.runs import read_runs
from src.page import starting
from src.page.app import Page, form_of, page_of
from src.run import runs

Fields = Mapping[str, str]
_LONGEST = 500  # characters of a reason


async def act(request: Request) -> Response:
    """Do what a form asks for, and send the browser to where its effect is seen."""
    page, what = page_of(request), request.path_params["what"]
    if page.readonly:
        return page.refused("this page only shows: its owner set PAGE_READONLY", 403)
    fields = await form_of(request)
    if what not in ACTS:
        return page.refused(f"nothing is at {request.url.path}", 404)
    try:
        return await run_in_threadpool(ACTS[what], page, fields)
    except LockedError as error:
        going = starting.holder(page.look.settings)
        where = f"/run/{quote(going.run_id)}" if going else _back(fields)
        return to(where, f"Not started: {error.what}")


def to(where: str, message: str = "") -> Response:
    """Return the answer that sends a browser on to a screen of ours, where the message is shown."""
    address, mark, fragment = where.partition("#")
    if message:
        address += ("&" if "?" in address else "?") + urlencode({"message": message})
    return RedirectResponse(address + mark + fragment, 303)


# -- answers to incidents


def _ack(page: Page, fields: Fields) -> Response:
    cause, reason, data = _cause(page, fields), _reason(fields), page.look.settings.data_dir
    with page.look.project() as project:
        answered = alerts.ack_all(project.engine, data, cause.incidents, page.who, runs.now(), reason)
    return to(_back(fields), f"Acknowledged: {cause.cause.head.subject} ({_counted(answered)})")


def _snooze(page: Page, fields: Fields) -> Response:
    cause, last, data = _cause(page, fields), _last_day(fields), page.look.settings.data_dir
    until, reason = datetime.combine(last, time.min, UTC) + timedelta(days=1), _reason(fields)
    with page.look.project() as project:
        answered = alerts.snooze_all(project.engine, data, cause.incidents, until, page.who, runs.now(), reason)
    return to(_back(fields), f"Snoozed until the end of {last}: {cause.cause.head.subject} ({_counted(answered)})")


def _cause(page: Page, fields: Fields) -> KnownCause:
    """Return the cause whose head is the incident `cause`."""
    name = fields.get("cause", "")
    found = next((one for one in page.look.facts().causes if one.cause.head.incident == name), None)
    if found is None:
        raise UsageError(f"no cause {name or '(none was named)'} any more", fix="load Home again: it is over, or moved")
    if not found.incidents:
        raise UsageError(f"no incident is open of {name}", fix="`make health` opens one; only then is anybody told")
    return found


def _counted(answered: Sequence[Incident]) -> str:
    return f"{len(answered)} incident{'' if len(answered) == 1 else 's'}"


def _last_day(fields: Fields) -> date:
    if fields.get("until"):
        return _day(fields, "until")
    try:
        return runs.now().date() + timedelta(days=int(fields.get("days", "")))
    except (ValueError, OverflowError):
        raise UsageError("snooze without an end", fix="say for how many days, or until which day") from None


# -- commands that write the lake


def _run(page: Page, fields: Fields) -> Response:
    """Start `make pipeline` of a domain, of a selection, or of everything."""
    domain, select = fields.get("domain", "").strip(), fields.get("select", "").strip()
    with page.look.project() as project:  # a name that is none is told here, not in a log
        selection.chosen(project, domain or None, select.replace(",", " ").split())
    return _followed(page, ["run", *_options(fields, "domain", "select")], fields)


def _replay(page: Page, fields: Fields) -> Response:
    return _followed(page, ["quarantine", "replay", *_options(fields, "table", needed=True)], fields)


def _backfill(page: Page, fields: Fields) -> Response:
    options = [*_options(fields, "table", needed=True), *_options(fields, "start", "end")]  # no SQL from a form
    if len(options) == 1:
        raise UsageError("no slice", fix="give the first day, the last day, or both")
    return _followed(page, ["backfill", *options], fields)


def _confirm(page: Page, fields: Fields) -> Response:
    """Confirm that a day of a table was an incident: it is over in a moment, and nothing is to be followed."""
    _day(fields, "day")
    argv = ["confirm", *_options(fields, "table", "day", "reason", needed=True)]
    started = starting.start(page.look.settings, argv, page.who, to_the_end=True)
    _check(page, started)
    return to(_back(fields), started.output.strip().splitlines()[-1] if started.output.strip() else "It is going on.")


def _followed(page: Page, argv: list[str], fields: Fields) -> Response:
    pressed = runs.now()
    started = starting.start(page.look.settings, argv, page.who)
    run_id = started.run_id or _ended_since(page, pressed)  # it may be over before it was seen to begin
    if run_id:
        return to(f"/run/{quote(run_id)}")
    _check(page, started)
    return to("/runs", "It was started, and has not begun yet." if started.exit_code is None else "It is over.")


def _ended_since(page: Page, moment: datetime) -> str | None:
    """Return the run that somebody started from a page since a moment, and that is over."""
    with page.look.project() as project:
        last = read_runs(project, 1)
    ours = [run for run in last if run.started_at >= moment and run.started_by == starting.recorded_as(page.who)]
    return ours[0].run_id if ours else None


def _check(page: Page, started: starting.Started) -> None:
    """Raise what a command that is over has printed, where it failed.

    Raises:
        LockedError: another run took the lake first.
        UsageError: it refused.
    """
    if started.exit_code == LockedError.exit_code:
        going = starting.holder(page.look.settings)
        raise LockedError(starting.describe(going) if going else "another run is just starting or ending")
    if started.exit_code:
        raise UsageError(started.output.strip().removeprefix("error: ") or f"it ended with {started.exit_code}")


def _options(fields: Fields, *names: str, needed: bool = False) -> list[str]:
    """Return options of a command, each in one word: no value is ever taken for an option."""
    missing = [name for name in names if needed and not fields.get(name, "").strip()]
    if missing:
        raise UsageError(f"no {' and no '.join(missing)}", fix="fill in the form")
    return [f"--{name}={value}" for name in names if (value := fields.get(name, "").strip())]


def _day(fields: Fields, name: str) -> date:
    try:
        return date.fromisoformat(fields.get(name, ""))
    except ValueError:
        raise UsageError(f"{fields.get(name) or 'nothing'} is no day", fix="write YYYY-MM-DD") from None


def _reason(fields: Fields) -> str:
    return " ".join(fields.get("reason", "").split())[:_LONGEST]


def _back(fields: Fields) -> str:
    """Return the screen that the form was on; Home where it says none of ours."""
    there = fields.get("back", "/")
    return there if there.startswith("/") and not there.startswith(("//", "/\\")) else "/"


ACTS: Mapping[str, Callable[[Page, Fields], Response]] = {
    "ack": _ack,
    "snooze": _snooze,
    "run": _run,
    "replay": _replay,
    "backfill": _backfill,
    "confirm": _confirm,
}
ROUTES = [Route("/act/{what}", act, methods=["POST"])]
