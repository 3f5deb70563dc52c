"""What is done every hour, every day and every week, each job a chain of commands in a safe order.

A step is a process of its own, started without a shell, and its exit code says how it went. It runs when those it
needs have succeeded; one that failed holds up nothing else. A step that finds the lake
taken, or that failed in passing, is tried again. Everything a job prints goes to the log folder's cron.log, each
line with its time (UTC) and step. A job that succeeds says nothing; one that fails says so on stderr and exits with
the code of its first failure, which is what cron mails and systemd reports.
"""

from __future__ import annotations

import shlex
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from src import author, console
from src.errors import LockedError, MachineError, TransientError, exit_codes
from src.maintenance import command_line, moved
from src.run import rotation, runs
from src.settings import Settings, struck


@dataclass(frozen=True)
class JobStep:
    """One command, and those whose success it needs."""

    command: str
    needs: tuple[str, ...] = ()
    only_with: str = ""  # a glob below the project's folder: without such a file there is nothing to do
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class StartTime:
    """The start of a job in the machine's local time: hourly where no hour is given, daily where not on Sunday."""

    minute: int
    hour: int | None = None
    sunday: bool = False

    def next_after(self, now: datetime) -> datetime:
        """Return the next start after a moment, in UTC."""
        local = now.astimezone().replace(tzinfo=None)  # the scheduler's time, whose day may have 23 or 25 hours
        start = local.replace(minute=self.minute, second=0, microsecond=0)
        start = start if self.hour is None else start.replace(hour=self.hour)
        step = timedelta(hours=1) if self.hour is None else timedelta(days=1)
        while start <= local or (self.sunday and start.weekday() != _SUNDAY):
            start += step
        return start.astimezone(UTC)


# The report is of the day, so it follows the pipeline, also one that failed. Files are compacted and models trained
# before they are backed up, so that the backup is of what stays; and vacuum, which alone destroys, comes last, after a
# check that found every law to hold and a backup that a drill has restored.
JOBS = {
    "hourly": (JobStep("health"),),
    "daily": (JobStep("rotate-logs"), JobStep("run"), JobStep("report")),
    "weekly": (
        JobStep("forget", options=("--retention", "--yes")),
        JobStep("optimize"),
        JobStep("train", only_with="src/ml/*/*.yaml"),
        JobStep("check"),
        JobStep("backup"),
        JobStep("drill", ("backup",)),
        JobStep("vacuum", ("check", "backup", "drill")),
    ),
}
DEFAULT_HOUR = 2
PAUSE = timedelta(minutes=5)
PATIENCE = timedelta(minutes=50)  # a step tried again for longer would meet the next hour's
_SUNDAY = 6  # as datetime counts
_AGAIN = (LockedError.exit_code, TransientError.exit_code)
_SETUP = "setup.sh"  # of a clone: it installs what a newer requirements.txt pins, and says nothing where all is there


def steps(root: Path, name: str) -> tuple[JobStep, ...]:
    """Return the steps of a job in the project of a folder: those for which it has something to do."""
    return tuple(step for step in JOBS[name] if not step.only_with or any(root.glob(step.only_with)))


def times(hour: int) -> dict[str, StartTime]:
    """Return when each job begins if the daily one does at `hour`: the weekly one two hours later."""
    return {"hourly": StartTime(30), "daily": StartTime(0, hour), "weekly": StartTime(0, (hour + 2) % 24, sunday=True)}


@dataclass(frozen=True)
class Clock:
    """The clock of a job: the time it is (aware), and a way to wait."""

    now: Callable[[], datetime] = runs.now
    sleep: Callable[[float], None] = time.sleep


def run_job(
    root: Path,
    name: str,
    call: Sequence[str],
    say: Callable[[str], None],
    environ: Mapping[str, str],
    clock: Clock,
) -> dict[str, int]:
    """Run the steps of a job, printing each line with `say`; return the exit code of each.

    `root` is the project's folder; `call` begins the command line of every step. A step that was left out has no code.
    """
    if (root / _SETUP).is_file() and _run([f"./{_SETUP}", "--quiet"], root, f"{name} setup", say, environ):
        return {"setup": MachineError.exit_code}  # nothing can be told to run by what is half installed
    codes: dict[str, int] = {}
    for step in steps(root, name):
        label = f"{name} {step.command}"
        failed = [need for need in step.needs if codes.get(need) != 0]
        if failed:
            say(f"{label} | left out: {', '.join(failed)} did not succeed")
        else:
            codes[step.command] = _patiently([*call, step.command, *step.options], root, label, say, environ, clock)
    return codes


def _patiently(
    command: Sequence[str], root: Path, label: str, say: Callable[[str], None], environ: Mapping[str, str], clock: Clock
) -> int:
    """Run a command, and again while what stopped it may pass; returns its exit code."""
    begun = clock.now()
    say(f"{label} | begins")
    while True:
        code = _run(command, root, label, say, environ)
        passed = clock.now() - begun
        if code not in _AGAIN or passed >= PATIENCE:
            say(f"{label} | {_ended(code)} after {passed.total_seconds():.0f} s")
            return code
        say(f"{label} | {_ended(code)}: again in {PAUSE.total_seconds():.0f} s")
        clock.sleep(PAUSE.total_seconds())


def _run(command: Sequence[str], root: Path, label: str, say: Callable[[str], None], environ: Mapping[str, str]) -> int:
    """Run a command in `root`, what it prints going to `say`; returns its exit code, that of a kill as a shell's."""
    with subprocess.Popen(
        command,
        cwd=root,
        env={**environ, "LC_ALL": "C.UTF-8", author.JOB: label.partition(" ")[0]},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    ) as running:
        for line in running.stdout or ():
            say(f"{label} | {line.rstrip()}")
    return running.returncode if running.returncode >= 0 else 128 - running.returncode


def _ended(code: int) -> str:
    return "done" if code == 0 else f"failed with exit code {code} ({exit_codes().get(code, 'not one of ours')})"


def first_failure(codes: Mapping[str, int]) -> tuple[str, int] | None:
    """Return the first step that failed and its exit code."""
    return next(((command, code) for command, code in codes.items() if code), None)


def show(settings: Settings, name: str, call: Sequence[str], environ: Mapping[str, str], clock: Clock) -> int:
    """Do a job of a project, what it prints going to cron.log; returns the exit code of its first failure."""
    path = settings.log_dir / rotation.SCHEDULED
    log, secrets = rotation.Log(path), settings.secrets()

    def say(line: str) -> None:
        now = clock.now()
        log.write(f"{now:%Y-%m-%d %H:%M:%S}Z | {struck(line, secrets)}\n", now)

    failure = first_failure(run_job(settings.root, name, call, say, environ, clock))
    if failure is None:
        return 0
    command, code = failure
    again = f"./{_SETUP}" if command == "setup" else shlex.join([*command_line.as_typed(settings.root), command])
    console.complain(f"{name}: {command} {_ended(code)}\n  where: {path}\n  fix:   see there, then: {again}")
    return code


if __name__ == "__main__":
    moved.to("jobs")
