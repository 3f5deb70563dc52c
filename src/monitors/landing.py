"""A landing zone that is gone, or holds no file any more, where files came before: a disk that is not mounted, say.

Nothing would tell it otherwise: a run finds no new file, as on any quiet day, and says "0 changed". Where files are
moved away once they are taken, a file `.keep` in the landing zone says that it may be empty.
"""

from __future__ import annotations

from datetime import date

from src.problems import Problem
from src.project import Project

_KIND, _SUBJECT = "source", "landing"
INCIDENT = f"{_KIND} {_SUBJECT}"


def problem(project: Project, day: date) -> Problem | None:
    """Return what is wrong with the landing zone; None where a file is there, or where none ever came."""
    if any(path.is_file() for path in project.landing.rglob("*")):
        return None
    if not any(project.table(feed) for feed in project.contracts.feeds):
        return None
    state = "holds no file any more" if project.landing.is_dir() else "is gone"
    what = f"the landing zone {project.landing} {state}, though files came before"
    fix = (
        "see whether its disk is mounted and DATA_DIR is right; where files are moved away on purpose, put .keep there"
    )
    return Problem(_KIND, _SUBJECT, "P2", day, what, fix)
