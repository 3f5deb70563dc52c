"""What each command does where BRANCH names a branch: it works on that, or says why it does not.

Whatever reaches beyond the lake's own folder is refused on a branch: a source would be asked twice, a backup of the
branch would take the place of main's, a schedule would run what was meant as a trial.
"""

from __future__ import annotations

from collections.abc import Mapping

# Works on the branch, as if there were no other lake.
WORKS = frozenset(
    {
        *("access", "adopt", "alerts", "backfill", "check", "checklist", "confirm", "cost", "describe", "diff", "docs"),
        *("explain", "health", "incident", "init", "inspect", "models", "optimize", "page", "plan", "preview"),
        *("quarantine", "query", "rebuild", "report", "rollback", "rotate-logs", "run", "schema-version", "status"),
        *("tables", "test", "train", "vacuum"),
    }
)
# Refused on a branch, each with the reason.
REFUSED: Mapping[str, str] = {
    "backup": "a backup of a branch would prune those of main",
    "branch": "branches are made, promoted and dropped from main",
    "draft": "a first contract is made of what lands, which is main's",
    "drill": "a branch has no backup",
    "forget": "a person leaves main, once its branches are dropped",
    "jobs": "jobs are those of main",
    "pull": "nothing lands on a branch: its bronze is what it was when the branch was made",
    "repair": "a branch has no backup; repair main, and make a new branch",
    "restore": "a branch is made of a lake that is there, not of a backup",
    "schedule": "what runs by itself works on main",
    "sources": "a branch asks no source",
    "upgrade": "upgrade main, and make a new branch",
}
