"""Files elsewhere: in a folder, on an SFTP server, in a bucket, wherever rclone reaches.

New and changed files are copied and compared by hash, and keep their names. A file that is changed there takes the
place of its copy here, and bronze takes it again; one that is deleted there stays here. A file that is still being
written is left for the next run: one that is too young, or whose size or time changed while it was copied.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

from src.errors import BoathouseError, ContractError, DataError, MachineError, TransientError
from src.landing.connector import Answer, Asked, Option, Slice
from src.landing.options import is_word, seconds
from src.remote import Remote, RemoteFile, named_remote, remote_prefix

_GLOB = re.compile(r"[*?\[{]")
_SAME_TIME = 2.0  # seconds: some stores keep times no finer

OPTIONS: Mapping[str, Option] = {
    "remote": Option("a remote or folder and a pattern: sftp-shop:outbox/*.csv", is_word, required=True),
    "minAge": Option(
        "how long a file must be unchanged before it is taken: 0 s, 1 min",
        lambda value: seconds(value) is not None,
        "1 min",
    ),
}
SECRETS: Mapping[str, str] = {}  # those of a remote are RCLONE_CONFIG_* settings, as they are for backups
PACKAGES: Sequence[str] = ()  # rclone is there for backups


def contradictions(options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the remote."""
    if not _GLOB.search(options["remote"]):
        yield f"remote {options['remote']}, a path without a pattern", "write which files: sftp-shop:outbox/*.csv"


def setting_prefix(options: Mapping[str, Any]) -> str | None:
    """Return how the names of the remote's settings begin; None of a folder."""
    return remote_prefix(options["remote"])


def slices(asked: Asked) -> Sequence[Slice]:
    """Return the one slice: every file that fits the pattern; asks nothing."""
    return [Slice(asked.options["remote"])]


def fetch(asked: Asked, part: Slice, answer: Answer) -> int:
    """Copy the files that are new or changed, and let those land that are whole; return 0: rows are not counted."""
    remote, pattern = _opened(asked)
    folder = answer.folder()
    answer.requests += 1
    try:
        there = remote.files(pattern)
        new = [file for file in there if _is_steady(asked, file) and not _is_here(answer.target(file.name), file)]
        if not new:
            return 0
        answer.requests += 3
        remote.get([file.name for file in new], "", folder)
        again = set(remote.files(pattern))
        whole = [file.name for file in new if file in again and (folder / file.name).is_file()]
        remote.check(whole, folder, "")
    except DataError as error:
        raise TransientError(f"a file changed while it was copied: {error.what}", where=remote.path) from error
    except MachineError as error:
        raise _of_source(error) from error
    for name in whole:
        answer.keep(name)
    return 0


def probe(asked: Asked) -> str:
    """List the files, and say how many fit."""
    remote, pattern = _opened(asked)
    try:
        found = remote.files(pattern)
    except MachineError as error:
        raise _of_source(error) from error
    newest = max(found, default=None, key=lambda file: file.modified)
    return f"answers; {len(found)} files" + (f", the newest of {newest.modified:%Y-%m-%d %H:%M}" if newest else "")


def _opened(asked: Asked) -> tuple[Remote, str]:
    """Return the remote up to the first part with a pattern, and the pattern below it."""
    assert asked.settings, "the stage hands them on"
    name, colon, path = asked.options["remote"].rpartition(":")
    parts = path.split("/")
    fixed = next(at for at, part in enumerate(parts) if _GLOB.search(part))
    root = name + colon + "/".join(parts[:fixed])
    found = named_remote(asked.settings, root or ".", f"remote {asked.options['remote']} of source {asked.source.name}")
    remote = Remote(found.path, found.remotes, found.secrets, seconds_left=asked.seconds_left)
    return remote, "/".join(parts[fixed:])


def _is_steady(asked: Asked, file: RemoteFile) -> bool:
    """Return whether a file is no hidden one, and old enough to be whole; one from the future is."""
    if any(part.startswith(".") for part in file.name.split("/")):
        return False
    least = timedelta(seconds=seconds(asked.options["minAge"]) or 0)
    return abs(asked.now - file.modified.astimezone(UTC)) >= least


def _is_here(path: Path, file: RemoteFile) -> bool:
    """Return whether a file was copied before, and not changed since: by size and time, as rclone tells."""
    try:
        facts = path.stat()
    except OSError:
        return False
    return facts.st_size == file.size and abs(facts.st_mtime - file.modified.timestamp()) <= _SAME_TIME


def _of_source(error: MachineError) -> BoathouseError:
    """Return what rclone says of a remote that is not as the contract says, as the contract's error."""
    return ContractError(error.what, where=error.where, fix="correct `remote` of the contract, or the remote in .env")
