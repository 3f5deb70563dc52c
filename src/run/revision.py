"""Which commit of the project's repository its contracts and models stand at; the only part that knows git.

A project without a repository, or a machine without git, has no revision: nothing fails for want of one. Git is asked,
never told: no lock is taken and nothing is written.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

CODE = ("src/silver", "src/gold", ".env.example")  # contracts, models and the settings template of a project
_PATIENCE = 10.0  # seconds; it takes a hundredth of one


@dataclass(frozen=True)
class Revision:
    """A commit of a project's repository; `dirty`: contracts, models or the settings template differ from it."""

    commit: str
    dirty: bool

    def __str__(self) -> str:
        return f"git commit {self.commit[:12]}" + (" and changes that were not committed" if self.dirty else "")


@dataclass(frozen=True)
class Unsaved:
    """The files of a project's code that are in no commit, and its commits that no remote has; moments in UTC."""

    changed: dict[str, datetime]  # files by their paths in the repository, and since when
    unpushed: tuple[datetime, ...]  # commits, by when they were made


def read_revision(root: Path) -> Revision | None:
    """Return the commit that the project in a folder stands at; None without a repository, a commit, or git."""
    output = _git(root, "status", "--porcelain=v2", "--branch", "--", *CODE)
    lines = (output or "").splitlines()
    commit = next((line.split()[2] for line in lines if line.startswith("# branch.oid ")), "(initial)")
    dirty = any(not line.startswith("#") for line in lines)
    return None if commit == "(initial)" else Revision(commit, dirty)


def made_with(revision: Revision | None) -> str:
    """Return in one line which contracts and models made what is brought back, and how to have them."""
    if revision is None:
        return "which contracts and models made it is not recorded: the project was in no git repository"
    changes = ", but for the changes" if revision.dirty else ""
    return (
        f"made with {revision}: `git checkout {revision.commit[:12]}` brings these contracts and models back{changes}"
    )


def read_unsaved(root: Path) -> Unsaved | None:
    """Return what of the project in a folder is not committed or not pushed; None without a repository, or git.

    In a repository without a remote nothing is to be pushed. A commit is pushed if any branch of a remote has it.
    """
    top = _git(root, "rev-parse", "--show-toplevel")
    if not top:
        return None
    output = _git(root, "status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", "--", *CODE) or ""
    paths = [entry[3:] for entry in output.split("\0") if entry]
    changed = {path: _changed_at(Path(top.rstrip("\n")) / path) for path in paths}
    made = _git(root, "log", "--format=%ct", "HEAD", "--not", "--remotes", "--", *CODE) if _git(root, "remote") else ""
    return Unsaved(changed, tuple(datetime.fromtimestamp(int(moment), UTC) for moment in (made or "").split()))


def _changed_at(path: Path) -> datetime:
    """Return when a file was written; of one that is gone, when its folder was."""
    there = next(one for one in (path, *path.parents) if one.exists())
    return datetime.fromtimestamp(there.stat().st_mtime, UTC)


def _git(root: Path, *args: str) -> str | None:
    """Return what git prints in a folder; None where it fails, or where there is no repository or no git."""
    root = root.absolute()
    program = shutil.which("git")
    if program is None or not any((folder / ".git").exists() for folder in (root, *root.parents)):
        return None
    import subprocess  # where there is a repository: importing takes time

    # the repository is that of the folder, whatever the process that started this one works in (a hook of git, say)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environ |= {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    command = [program, "-c", "core.fsmonitor=false", *args]
    try:
        done = subprocess.run(
            command, cwd=root, env=environ, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode(errors="surrogateescape") if done.returncode == 0 else None
