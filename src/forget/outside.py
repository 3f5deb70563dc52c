"""Beside the tables: what lies in the lake's folder and the logs, and can be made again or lose a line, goes.

Nothing of it is needed: reports, the catalogue and caches are made again, what a killed process spilled or staged is of
no use to anybody. In a log the line itself goes, in its place and its length: whoever appends to it meanwhile, even a
shell that holds it open, loses no line. What cannot be decided here is named: a saved query, say.
"""

from __future__ import annotations

import gzip
import os
import re
import shutil
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from src import catalog, lake, store
from src.errors import from_os_error
from src.forget.scanning import Finding, Forms, Value, search
from src.project import Project
from src.run import rotation
from src.workers import staging_folder

SPILL = ".spill"
_REPORTS, _CATALOGUE, _PROOFS = "reports", "catalogue", ".proofs"
_MADE_AGAIN = (_REPORTS, _CATALOGUE, _PROOFS, lake.KNOWN)
_MEMORY = re.compile(r"\..*@[^/]*\.memory\.gz")  # in the landing zone: what a pull remembers, see src/landing/files.py
_LINES = 8 << 20  # bytes of lines that are looked through at once
_STAMP = re.compile(rb'(\{"time": ")?(\d{4}-\d\d-\d\d[ T]?[0-9:.]*(?:Z|[+-]\d\d:?\d\d)?)')
_GONE = b"forgotten"


@dataclass(frozen=True)
class Outside:
    """A kind of files beside the tables: how many of them held a value, or were of no use, and what became of them."""

    what: str
    files: int
    done: str  # "removed", "3 lines overwritten", or why they were left
    is_left: bool = False


def forget(project: Project, values: Sequence[Value]) -> list[Outside]:
    """Take values out of what lies beside the tables; return what was done, and what is left to a person.

    Whoever calls holds the lake, and its engine holds no large table. Landed files and backups have modules of their
    own; tables are not looked at.

    Raises:
        MachineError: there is no removing or writing.
    """
    settings = project.settings
    beside = store.beside(settings.data_dir)
    try:
        done = [*_leftovers(beside / SPILL), *_leftovers(staging_folder(settings))]
        found = search(project.engine, values, _places(project), beside / SPILL).findings
        logs = {one.path for one in found if one.value and rotation.is_log(one.path, settings.log_dir)}
        done += _overwritten(Forms(values), logs, settings.log_dir)
        rest = [one for one in found if one.path not in logs]
        return [*done, *_removed(rest, beside), *_left(rest, beside, settings.log_dir)]
    except OSError as error:
        raise from_os_error(error) from error


def _places(project: Project) -> list[Path]:
    """Return what is searched: all of the lake's folder but its tables and landed files, and the logs."""
    data, beside = project.settings.data_dir, store.beside(project.settings.data_dir)
    tables = {*catalog.LAYERS, project.landing.name, SPILL}
    folders = {folder for folder in (data, beside) if not store.is_remote(folder) and folder.is_dir()}
    found = [path for folder in folders for path in sorted(folder.iterdir()) if path.name not in tables]
    memories = [] if store.is_remote(project.landing) else project.landing.rglob(".*")
    found += [path for path in memories if _MEMORY.fullmatch(path.name)]
    return [*found, *([project.settings.log_dir] if project.settings.log_dir.is_dir() else [])]


def _leftovers(folder: Path) -> Iterator[Outside]:
    """Remove what killed processes spilled or staged in a folder: what no process has open."""
    is_open, gone = _open_files(), 0
    for path in sorted(folder.glob("*")) if folder.is_dir() else ():
        if not is_open(path):
            gone += sum(1 for one in path.rglob("*") if one.is_file()) if path.is_dir() else 1
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    if gone:
        yield Outside(f"left by killed processes in {folder.name}", gone, "removed")


class _Open:
    """The files that processes of this machine have open, or work in; where nobody tells, every one is."""

    def __init__(self) -> None:
        self._known = Path("/proc/self/fd").is_dir()
        self._paths = set(self._read()) if self._known else set()

    def __call__(self, path: Path) -> bool:
        name = str(path.resolve())
        return not self._known or any(one == name or one.startswith(f"{name}/") for one in self._paths)

    def _read(self) -> Iterator[str]:
        for process in Path("/proc").glob("[0-9]*"):
            try:
                links = [process / "cwd", *(process / "fd").iterdir()]
            except OSError:
                continue  # gone, or another user's
            for link in links:
                try:
                    yield os.readlink(link)
                except OSError:
                    continue


def _open_files() -> _Open:
    return _Open()


def _overwritten(forms: Forms, logs: Collection[Path], folder: Path) -> Iterator[Outside]:
    """Overwrite the lines of logs that hold a value."""
    if not logs:
        return
    lines = 0
    with rotation.turn(folder):  # nobody moves one aside meanwhile
        for path in sorted(logs):
            lines += (_in_packed if path.suffix == ".gz" else _in_place)(forms, path)
    yield Outside("logs", len(logs), f"{lines} lines overwritten")


def _in_place(forms: Forms, path: Path) -> int:
    """Overwrite the lines of a log that others append to."""
    facts, count = path.stat(), 0
    with path.open("r+b", buffering=0) as file:
        at = 0
        while lines := _whole_lines(file.read(_LINES), file):
            for line, is_theirs in _judged(forms, lines):
                if is_theirs:
                    os.pwrite(file.fileno(), _marker(line), at)
                    count += 1
                at += len(line)
            file.seek(at)
        os.fsync(file.fileno())
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    return count


def _in_packed(forms: Forms, path: Path) -> int:
    """Write a packed log of an earlier day anew."""
    facts, count = path.stat(), 0
    part = path.with_name(f".{path.name}.part")
    with gzip.open(path) as packed, gzip.GzipFile(part, "wb", mtime=int(facts.st_mtime)) as written:
        while lines := _whole_lines(packed.read(_LINES), packed):
            for line, is_theirs in _judged(forms, lines):
                written.write(_marker(line) if is_theirs else line)
                count += is_theirs
    shutil.copystat(path, part)
    lake.sync(part)
    os.replace(part, path)
    lake.sync(path.parent)
    return count


def _whole_lines(block: bytes, file: object) -> list[bytes]:
    """Return the lines of a block, the last of them read on to its end."""
    if block and not block.endswith(b"\n"):
        block += file.readline()  # type: ignore[attr-defined]
    return block.splitlines(keepends=True)


def _judged(forms: Forms, lines: Sequence[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Yield each line, and whether it holds a value."""
    likely = set(forms.likely(lines))
    for at, line in enumerate(lines):
        yield line, at in likely and any(True for _ in forms.values_in(line))


def _marker(line: bytes) -> bytes:
    """Return a line of the same length that says when it was written, and nothing else."""
    text = line.rstrip(b"\r\n")
    end = line[len(text) :]
    stamp = _STAMP.match(text)
    if text.startswith(b"{"):
        marker = b'{"time": "%b", "message": "%b"}' % (stamp[2], _GONE) if stamp else b"{}"
        marker = marker if len(marker) <= len(text) else b"{}"
    else:
        marker = b"%b %b" % (stamp[2], _GONE) if stamp else _GONE
    return marker[: len(text)].ljust(len(text)) + end


def _removed(found: Iterable[Finding], beside: Path) -> Iterator[Outside]:
    """Remove the files that are made again, and what a pull remembers: it asks for all of the slice again."""
    by_kind: dict[str, set[Path]] = {}
    for one in found:
        if one.value and (kind := _kind(one.path, beside)):
            by_kind.setdefault(kind, set()).add(one.path)
    for kind, paths in sorted(by_kind.items()):
        for path in paths:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        yield Outside(kind, len(paths), "removed")


def _kind(path: Path, beside: Path) -> str:
    """Return what kind of file is made again; nothing of any other."""
    if _MEMORY.fullmatch(path.name):
        return "what pulls remember"
    first = path.relative_to(beside).parts[0] if path.is_relative_to(beside) else ""
    return first if first in _MADE_AGAIN else ""


def _left(found: Iterable[Finding], beside: Path, logs: Path) -> Iterator[Outside]:
    """Name the files that are left to a person."""
    paths: dict[Path, str] = {}
    for one in found:
        if not (one.value and _kind(one.path, beside)):
            paths[one.path] = "holds a value" if one.value else one.how
    for path, why in sorted(paths.items()):
        home = next((home for home in (beside, logs.parent) if path.is_relative_to(home)), path.anchor)
        yield Outside(path.relative_to(home).as_posix(), 1, why, is_left=True)
