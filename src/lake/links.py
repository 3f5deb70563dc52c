"""Two tables that share files: hard links, which every reader reads as files of its own, and nothing is copied.

A file of a table never changes once it is written, so that one under two names is as good as two. Whoever removes it
from one table takes that table's name of it away and leaves the other's.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from pathlib import Path

from src import store
from src.errors import MachineError, TransientError
from src.lake import log
from src.lake.errors import translated
from src.lake.tables import Snapshot, make_folder

_NO_LINKS = {errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS}


class NoHardLinks(MachineError):
    """A file cannot be given a second name where that is wanted."""


def hard_link(source: Path, target: Path) -> None:
    """Give a file a second name.

    Raises:
        NoHardLinks: the file system has none, the two lie on different ones, or the file is somebody else's.
        OSError: the file is gone, there is no room, ...
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        what = f"{source.name} cannot be given a second name: {(error.strerror or str(error)).lower()}"
        fix = "keep all of DATA_DIR on one file system with hard links; who may not write a file makes none"
        raise NoHardLinks(what, where=target.parent, fix=fix) from error


def differs(one: Path, other: Path, versions: Iterable[int]) -> int | None:
    """Return the first of these versions that is not the same commit in two logs; None where all are the same.

    An entry that log clean-up took from both raises no alarm.
    """
    for version in versions:
        first, second = log.commit_of(one, version), log.commit_of(other, version)
        if (first and first.hash) != (second and second.hash):
            return version
    return None


def fast_forward(source: Snapshot, root: Path, since: int) -> int:
    """Add to the table at `root`, whose newest version is `since`, the later versions of another one with the same log.

    -1: there is no table yet. Data files first, forced to disk, then the log entries one by one, each only where there
    is none of its number: killed on the way it leaves an earlier version of the other table, and doing it again goes
    on from there. Files that came and went between the versions, and that a vacuum took, are left out. Returns the
    number of data files that were linked.

    Raises:
        TransientError: another commit came in between.
        MachineError: a file of the version is gone, or there are no hard links here.
    """
    log.check_held()
    versions = range(since + 1, source.version + 1)
    with translated(root):
        make_folder(root)
        actions = [action for version in versions for action in log.entry(source.root, version)]
        named = dict.fromkeys(log.logged_file(action["add"]).path for action in actions if "add" in action)
        new = [path for path in named if (source.root / path).exists() and not (root / path).exists()]
        for path in new:
            hard_link(source.root / path, root / path)
        if lost := store.missing(root, [file.path for file in source.files]):
            what = f"{len(lost)} files of version {source.version} are gone, such as {lost[0]}"
            raise MachineError(what, where=source.root, fix="`make check` on the branch names the damage")
        log.sync_files(root, [path for path in named if (root / path).exists()])  # also of a try that was killed
        for version in versions:
            try:
                log.link_entry(source.root, root, version)
            except FileExistsError:
                raise TransientError(
                    f"version {version} was committed meanwhile", where=root, fix="run again"
                ) from None
        log.make_durable(root, versions)
    return len(new)
