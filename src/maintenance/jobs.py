"""What is done every hour, every day and every week, each job a chain of make targets in a safe order.

A step runs when those it needs have succeeded; one that failed holds up nothing else. A step that finds the lake
taken, or that failed in passing, is tried again. Everything a job prints goes to the log folder's cron.log, each
line with its time (UTC) and step. A job that succeeds says nothing; one that fails says so on stderr and exits with
the code of its first failure, which is what cron mails and systemd reports.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from src import console
from src.errors import LockedError, MachineError, TransientError, exit_codes
from src.maintenance import moved
from src.run import logs, rotation, runs
from src.settings import Settings


@dataclass(frozen=True)
class JobStep:
    """One make target, and those whose success it needs."""

    target: str
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class StartTime:
    """The start of a job in the machine's local time: hourly where no hour is given, daily where not on Sunday."""

    minute: int
    hour: int | None = None
    sunday: bool = False


# The report is of the day, so it follows the pipeline, also one that failed. Files are compacted before they are
# backed up, so that the backup is of what stays; and vacuum, which alone destroys, comes last, after a check that found
# every law to hold and a backup that a drill has restored.
JOBS = {
    "hourly": (JobStep("health"),),
    "daily": (JobStep("rotate-logs"), JobStep("pipeline"), JobStep("report")),
    "weekly": (
        JobStep("optimize"),
        JobStep("check"),
        JobStep("backup"),
        JobStep("drill", ("backup",)),
        JobStep("vacuum", ("check", "backup", "drill")),
    ),
}
DEFAULT_HOUR = 2
PAUSE = timedelta(minutes=5)
PATIENCE = timedelta(minutes=50)  # a step tried again for longer would meet the next hour's
_AGAIN = (LockedError.exit_code, TransientError.exit_code)
# make itself exits with 2 whatever failed, and names the code of what did in its last line.
_MADE = re.compile(r"make: \*\*\* .*\bError (\d+)$")


def times(hour: int) -> dict[str, StartTime]:
    """Return when each job begins if the daily one does at `hour`: the weekly one two hours later."""
    return {"hourly": StartTime(30), "daily": StartTime(0, hour), "weekly": StartTime(0, (hour + 2) % 24, sunday=True)}


@dataclass(frozen=True)
class Clock:
    """The clock of a job: the time it is (aware), and a way to wait."""

    now: Callable[[], datetime] = runs.now
    sleep: Callable[[float], None] = time.sleep


def run_job(
    root: Path, name: str, say: Callable[[str], None], environ: Mapping[str, str], clock: Clock
) -> dict[str, int]:
    """Run the steps of a job, printing each line with `say`; return the exit code of each.

    `root` is the project's folder.

    A step that was left out has no code.

    Raises:
        MachineError: there is no program make.
    """
    codes: dict[str, int] = {}
    for step in JOBS[name]:
        failed = [need for need in step.needs if codes.get(need) != 0]
        if failed:
            say(f"{name} {step.target} | left out: {', '.join(failed)} did not succeed")
        else:
            codes[step.target] = _patiently(root, f"{name} {step.target}", step.target, say, environ, clock)
    return codes


def _patiently(
    root: Path, label: str, target: str, say: Callable[[str], None], environ: Mapping[str, str], clock: Clock
) -> int:
    """Make a target, and again while what stopped it may pass; returns its exit code."""
    begun = clock.now()
    say(f"{label} | begins")
    while True:
        code = _make(root, target, lambda line: say(f"{label} | {line}"), environ)
        passed = clock.now() - begun
        if code not in _AGAIN or passed >= PATIENCE:
            say(f"{label} | {_ended(code)} after {passed.total_seconds():.0f} s")
            return code
        say(f"{label} | {_ended(code)}: again in {PAUSE.total_seconds():.0f} s")
        clock.sleep(PAUSE.total_seconds())


def _make(root: Path, target: str, say: Callable[[str], None], environ: Mapping[str, str]) -> int:
    """Make a target; returns the exit code of the command that failed rather than make's own."""
    command = ["make", "-C", str(root), "--no-print-directory", target]
    # make's own words are read here, so they must not be translated, nor those of a make inside of another
    clean = {key: value for key, value in environ.items() if key not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    code = None
    try:
        with subprocess.Popen(
            command,
            env=clean | {"LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        ) as making:
            for line in making.stdout or ():
                say(line.rstrip())
                code = found if (found := _made(line)) is not None else code
    except FileNotFoundError as error:
        raise MachineError(
            "no program make", where=clean.get("PATH"), fix="install it, then: make schedule INSTALL=1"
        ) from error
    return (code or making.returncode) if making.returncode else 0


def _made(line: str) -> int | None:
    found = _MADE.match(line.rstrip())
    return int(found[1]) if found else None


def _ended(code: int) -> str:
    return "done" if code == 0 else f"failed with exit code {code} ({exit_codes().get(code, 'not one of ours')})"


def first_failure(codes: Mapping[str, int]) -> tuple[str, int] | None:
    """Return the first step that failed and its exit code."""
    return next(((target, code) for target, code in codes.items() if code), None)


def show(root: Path, settings: Settings, name: str, environ: Mapping[str, str], clock: Clock) -> int:
    """Do a job of the project in `root`, what it prints going to cron.log; returns the code of its first failure."""
    path = settings.log_dir / rotation.SCHEDULED
    log, secrets = rotation.Log(path), settings.secrets()

    def say(line: str) -> None:
        now = clock.now()
        log.write(f"{now:%Y-%m-%d %H:%M:%S}Z | {logs.struck(line, secrets)}\n", now)

    failure = first_failure(run_job(root, name, say, environ, clock))
    if failure is None:
        return 0
    target, code = failure
    console.complain(f"{name}: {target} {_ended(code)}\n  where: {path}\n  fix:   make {target}")
    return code


if __name__ == "__main__":
    moved.to("jobs")
