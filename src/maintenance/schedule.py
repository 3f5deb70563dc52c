"""The schedule: the jobs of src/maintenance/jobs.py in the machine's own scheduler, cron or systemd.

Printed unless it is to be installed or removed; to do either again changes nothing. A project finds its own lines
and units by its folder, so several on one machine do not meet.
"""

from __future__ import annotations

import difflib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from src.errors import MachineError, UsageError
from src.maintenance import command_line, cron, jobs, moved, timers

CRON, SYSTEMD = "cron", "systemd"
_PROGRAMS = {CRON: "crontab", SYSTEMD: "systemctl"}
_NEEDED = ("make", "git", "uv")  # programs of setup.sh, which a job in a clone calls
_ALWAYS = ("/usr/local/bin", "/usr/bin", "/bin")


@dataclass(frozen=True)
class Schedule:
    """A project's jobs in a scheduler: its folder, the log they add to, their PATH, the hour of the daily one.

    `call` begins the command line of a job, as it is typed in the folder.
    """

    root: Path
    log: Path
    path: str
    hour: int = jobs.DEFAULT_HOUR
    call: tuple[str, ...] = command_line.CLONE


@dataclass(frozen=True)
class Schedulers:
    """The schedulers of a machine: the programs crontab and systemctl (None: not there), and the units' folder."""

    crontab: str | None
    systemctl: str | None
    units: Path


@dataclass(frozen=True)
class ScheduleChange:
    """A crontab or unit as it is and as it is to be; empty: not there."""

    where: str
    before: str
    after: str


def plan(schedule: Schedule, schedulers: Schedulers, kind: str, *, install: bool) -> list[ScheduleChange]:
    """Return what installing, or else removing, changes; what stays as it is is among it.

    Raises:
        MachineError: there is no such scheduler here, it refuses, or the project's block is damaged.
        UsageError: the other scheduler has the jobs already.
    """
    if kind == CRON:
        table = cron.read(_program(schedulers.crontab, CRON))
        fresh = _block(schedule) if install else ""
        changes = [ScheduleChange("crontab", table, cron.placed(table, schedule.root, fresh))]
    else:
        _program(schedulers.systemctl, SYSTEMD)
        there = timers.found(schedulers.units, schedule.root)
        wanted = _units(schedule) if install else {}
        names = sorted({*there, *wanted})
        changes = [ScheduleChange(name, there.get(name, ""), wanted.get(name, "")) for name in names]
    if install and (other := _elsewhere(schedule, schedulers, kind)):
        raise UsageError(f"the jobs are with {other} already", fix=f"first: make schedule REMOVE=1 KIND={other}")
    return changes


def execute(changes: list[ScheduleChange], schedulers: Schedulers, kind: str) -> None:
    """Do what was planned.

    Raises:
        MachineError: the scheduler refuses.
    """
    if kind == CRON:
        for change in changes:
            if change.before != change.after:
                cron.write(_program(schedulers.crontab, CRON), change.after)
        return
    systemctl = _program(schedulers.systemctl, SYSTEMD)
    gone = {change.where: change.before for change in changes if not change.after}
    if gone:
        timers.remove(systemctl, schedulers.units, gone)
    wanted = {change.where: change.after for change in changes if change.after}
    if wanted:  # also where all of them lie there: they may have been written and not set going
        timers.install(systemctl, schedulers.units, wanted)


def schedulers(environ: Mapping[str, str]) -> Schedulers:
    """Return the schedulers of this machine."""
    path = environ.get("PATH")
    home = Path(environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME") or Path.home()) / ".config")
    return Schedulers(shutil.which("crontab", path=path), shutil.which("systemctl", path=path), home / "systemd/user")


def installed(root: Path, schedulers: Schedulers) -> dict[str, jobs.StartTime]:
    """Return when each job of a project starts that one of the schedulers has; none where none is installed.

    Raises:
        MachineError: a scheduler refuses, or the project's block is damaged.
    """
    table = cron.read(schedulers.crontab) if schedulers.crontab else ""
    return timers.start_times(timers.found(schedulers.units, root)) | cron.start_times(table, root)


def text(schedule: Schedule, kind: str) -> str:
    """Return the jobs as they would stand in an empty scheduler."""
    if kind == CRON:
        return _block(schedule)
    return "\n".join(f"# {name}\n{unit}" for name, unit in _units(schedule).items())


def differences(changes: list[ScheduleChange]) -> str:
    """Return the lines that come and go, each crontab or unit under its name."""
    shown = []
    for change in changes:
        before, after = change.before.splitlines(), change.after.splitlines()
        lines = [line for line in islice(difflib.unified_diff(before, after, n=0), 2, None) if line[0] in "+-"]
        shown += [change.where, *lines] if lines else []
    return "\n".join(shown)


def search_path(environ: Mapping[str, str]) -> str:
    """Return the PATH of the jobs: where the programs they need are found now, and the usual places."""
    found = [shutil.which(name, path=environ.get("PATH")) for name in _NEEDED]
    folders = [str(Path(program).parent) for program in found if program]
    return ":".join(dict.fromkeys([*folders, *_ALWAYS]))


def _block(schedule: Schedule) -> str:
    return cron.block(schedule.root, schedule.log, schedule.path, schedule.hour, schedule.call)


def _units(schedule: Schedule) -> dict[str, str]:
    return timers.units(schedule.root, schedule.path, schedule.hour, schedule.call)


def _program(found: str | None, kind: str) -> str:
    if found is None:
        other = SYSTEMD if kind == CRON else CRON
        raise MachineError(
            f"no program {_PROGRAMS[kind]}", where="PATH", fix=f"install {kind}, or use the other: --kind {other}"
        )
    return found


def _elsewhere(schedule: Schedule, schedulers: Schedulers, kind: str) -> str | None:
    """Return the other scheduler where it has the project's jobs, which would then run twice; else None."""
    if kind == CRON:
        return SYSTEMD if timers.found(schedulers.units, schedule.root) else None
    table = cron.read(schedulers.crontab) if schedulers.crontab else ""
    return CRON if cron.placed(table, schedule.root, "") != table else None


if __name__ == "__main__":
    moved.to("schedule")
