"""Days one after the other, each a run at two in the morning of its own day, with the maintenance of every week.

The clock of the processes is set by libfaketime (Debian: `apt-get install faketime`), so that what goes by age goes:
logs of 14 days, files that left their table a week ago, log entries of a month. The machine's clock writes the times
of files; they are set to the day of their run before each maintenance, which looks at them.
"""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from benchmarks.contenders import FEED, Boathouse, Missing, zone
from benchmarks.measure import Command, Figures, run

FOLDERS = {  # what is to stay bounded, below a state
    "logs": "logs",
    "landing zone": "data/landing",
    "what is known": "data/.known",
    "ops": "data/ops",
    "logs of tables": "data/*/*/*/_delta_log",
}
_LIBRARY = "*/faketime/libfaketimeMT.so.1"
_HOUR = 2


def library() -> Path:
    """The library that sets the clock of a process.

    Raises:
        Missing: it is not installed.
    """
    for folder in ("/usr/lib", "/usr/local/lib"):
        if found := next(Path(folder).glob(_LIBRARY), None):
            return found
    raise Missing("libfaketime is not installed (Debian: apt-get install faketime)")


@dataclass
class Diary:
    """A state that lives day by day."""

    one: Boathouse
    state: Path
    days: dict[float, date] = field(default_factory=dict)  # by the machine's seconds at which their run began

    def run(self, file: Path) -> Figures:
        """Land the file of a day, and run at night: what the run takes."""
        day = date.fromisoformat(file.stem.partition("_")[2])
        landed = zone(self.state) / FEED / file.name
        landed.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, landed)
        _set_time(landed, self._night(day) - timedelta(hours=1))
        self.days[time.time()] = day
        return run(self._at(self.one.command(self.state, "main.py"), day))

    def maintain(self, *words: str) -> None:
        """Do the maintenance of a week, an hour after the last run: these commands."""
        self._age()
        day = list(self.days.values())[-1]
        for word in words:
            run(self._at(self.one.command(self.state, "main.py", *word.split()), day, hours=1))

    def put_away(self) -> None:
        """Move landed files that are in a verified backup out of the landing zone, as the runbook has it."""
        for file in (zone(self.state) / FEED).iterdir():
            file.unlink()

    def sizes(self) -> dict[str, int]:
        """Bytes of the folders that are to stay bounded, and of the whole lake beside them."""
        return {name: sum(map(_size, self.state.glob(folder))) for name, folder in FOLDERS.items()}

    def _night(self, day: date) -> datetime:
        return datetime(day.year, day.month, day.day, _HOUR, tzinfo=UTC) + timedelta(days=1)

    def _at(self, command: Command, day: date, hours: int = 0) -> Command:
        clock = {
            "LD_PRELOAD": str(library()),
            "FAKETIME": f"@{self._night(day) + timedelta(hours=hours):%Y-%m-%d %H:%M:%S}",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
            "BACKUP_REMOTE": str(self.state / "backups"),
            "TZ": "UTC",
        }
        return replace(command, environ={**command.environ, **clock})

    def _age(self) -> None:
        """Set the times of files to those of the runs that wrote them."""
        began = sorted(self.days)
        for folder, _, files in os.walk(self.state / "data"):
            for file in (Path(folder, name) for name in files):
                wrote = file.stat().st_mtime
                if wrote >= began[0]:  # of the machine's clock: of none of the days
                    first = max(moment for moment in began if moment <= wrote)
                    _set_time(file, self._night(self.days[first]))
        self.days = {began[-1]: self.days[began[-1]]}


def _set_time(path: Path, moment: datetime) -> None:
    seconds = moment.timestamp()
    os.utime(path, (seconds, seconds))


def _size(folder: Path) -> int:
    return sum(os.lstat(Path(where, name)).st_size for where, _, files in os.walk(folder) for name in files)
