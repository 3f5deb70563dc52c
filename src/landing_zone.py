"""A landing zone that is gone, or holds no file any more, where files came before: a disk that is not mounted, say.

Nothing would tell it otherwise: a run finds no new file, as on any quiet day, and says "0 changed". Where files are
moved away once they are taken, a file `.keep` in the landing zone says that it may be empty. Seeds say nothing of it:
they land by themselves, also below the place where a disk should be.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

from src import store
from src.problems import Problem
from src.project import Project

_KIND, _SUBJECT = "source", "landing"
INCIDENT = f"{_KIND} {_SUBJECT}"


def problem(project: Project, day: date) -> Problem | None:
    """Return what is wrong with the landing zone; None where a file is there, or where none ever came."""
    if any(files(project)) or not came_before(project):
        return None
    state = "holds no file any more" if project.landing.is_dir() else "is gone"
    what = f"the landing zone {project.relative(str(project.landing))} {state}, though files came before"
    fix = (
        "see whether its disk is mounted and DATA_DIR is right; where files are moved away on purpose, put .keep there"
    )
    return Problem(_KIND, _SUBJECT, "P2", day, what, fix)


def files(project: Project) -> Iterator[Path]:
    """Yield the files that are in the landing zone, without those of seeds."""
    home, seeds = project.landing, project.contracts.seeds
    if store.is_remote(home):
        names = (name for name, _ in store.files_below(home))
        yield from (home / name for name in names if not any(seed.is_file(name) for seed in seeds))
        return
    for path in home.rglob("*"):
        if path.is_file() and not any(seed.is_file(path.relative_to(home).as_posix()) for seed in seeds):
            yield path


def came_before(project: Project) -> bool:
    """Return whether a file was ever taken that was no seed's, as far as the feeds that there are tell."""
    feeds, seeds = project.contracts.feeds.values(), project.contracts.seeds
    return any(project.table(feed.id) for feed in feeds if not any(seed.is_taken_by(feed) for seed in seeds))
