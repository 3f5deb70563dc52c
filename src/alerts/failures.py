"""What a run that is over says of its own steps: a failed one is a problem, which names what waits for it."""

from __future__ import annotations

from src import console, landing_zone
from src.errors import BoathouseError, TransientError
from src.problems import Problem
from src.run.runs import Run

_LANDED = "/landing/"
_LONGEST = 160  # characters of the error, so that what waits is still read
_NAMED = 5  # tables that wait, by name
_BUG = "the traceback is in app.log; report it, or fix the model it names"
_AGAIN = "see app.log; then run again: `make pipeline`"


def of_run(run: Run) -> list[Problem]:
    """Return the problems of a run: one for each failed step (P2).

    It is of kind `source` in bronze or of a seed, else of kind `table`.
    A pull that failed is one of kind `pull`: P3 where it failed in passing, which may be over at the next run.
    So is a landing zone that is empty where files came before. A small load that is mostly rejected is one of
    kind `rejects` (P3).
    """
    found = [_problem(run, table_id, error) for table_id, error in run.failures.items()]
    fix = "see them: main.py quarantine show --table {}"
    for table_id, what in run.mostly_rejected.items():
        found.append(Problem("rejects", table_id, "P3", run.window.end, what, fix.format(table_id)))
    return [*([run.landing] if run.landing else []), *found]


def looked_at(run: Run) -> set[str]:
    """Return the incidents that a run can close: those of the steps it did, blocked ones left out.

    How much of a load is rejected is known where there was one. Nothing is wrong with a source that is not set up.
    """
    done = {step.table_id: step for step in run.steps if step.status != "blocked"}
    seen = {landing_zone.INCIDENT} if run.landing_seen else set()
    seen |= {f"{_kind(name)} {name}" for name in run.not_set_up}
    seen |= {f"rejects {name}" for name, step in done.items() if step.layer == "silver" and step.records_read}
    return seen | {f"{_kind(table_id)} {table_id}" for table_id in done}


def _kind(table_id: str) -> str:
    return {"landing": "pull", "seeds": "source", "bronze": "source"}.get(table_id.partition(".")[0], "table")


def _problem(run: Run, table_id: str, error: Exception) -> Problem:
    what = console.error_text(error).partition("\n")[0].removeprefix(f"{table_id}: ")
    where = (error.where if isinstance(error, BoathouseError) else None) or ""
    what = ": ".join(filter(None, (where.partition(_LANDED)[2], what)))  # which file, where it was one that landed
    what = what if len(what) <= _LONGEST else what[:_LONGEST] + " ..."
    if waiting := _waiting(run, table_id):
        named = ", ".join(waiting[:_NAMED]) + (", ..." if len(waiting) > _NAMED else "")
        what += f" ({len(waiting)} {'table waits' if len(waiting) == 1 else 'tables wait'}: {named})"
    fix = (error.fix if isinstance(error, BoathouseError) else _BUG) or _AGAIN
    kind = _kind(table_id)
    urgency = "P3" if kind == "pull" and isinstance(error, TransientError) else "P2"
    return Problem(kind, table_id, urgency, run.window.end, run.relative(what), run.relative(fix))


def _waiting(run: Run, table_id: str) -> list[str]:
    """Return the tables that wait for this one, directly or through another, in the order of the run."""
    found = [table_id]
    for name, causes in run.blocked.items():
        if not set(found).isdisjoint(causes):
            found.append(name)
    return found[1:]
