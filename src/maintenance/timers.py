"""The jobs as timers of the user's own systemd: two units for each, whose names tell the project they are of.

A timer that was missed, the machine being off, fires when it is on again. What a job prints is in cron.log; that it
failed is in its unit's state and the journal.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from src.errors import MachineError, UsageError, from_os_error
from src.maintenance import jobs

_START = re.compile(r"^OnCalendar=(?P<day>Sun )?\*-\*-\* (?P<hour>\*|\d\d):(?P<minute>\d\d):00$", re.MULTILINE)
_NOTE = "# written by `make schedule`, which overwrites what is changed here"


def units(root: Path, path: str, hour: int, call: Sequence[str]) -> dict[str, str]:
    """Return the text of each unit of the project in `root` by its file name, `path` being the PATH its jobs need.

    `call` begins the command line of a job, as it is typed in `root`.

    Raises:
        UsageError: a path that no unit can hold.
    """
    for text in (str(root), path, *call):
        if not text.isprintable():
            raise UsageError("an unprintable character, which a unit cannot hold", where=repr(text), fix="rename it")
    made = {}
    for name, time in jobs.times(hour).items():
        made[f"{_stem(root)}-{name}.service"] = _service(root, path, name, call)
        made[f"{_stem(root)}-{name}.timer"] = _timer(root, time, name)
    return made


def found(folder: Path, root: Path) -> dict[str, str]:
    """Return the units of the project that lie in `folder`, by file name."""
    named = [path for path in folder.glob("boathouse-*") if _is_of(path.name, root)]
    try:
        return {path.name: path.read_text(encoding="utf-8") for path in sorted(named)}
    except OSError as error:
        raise from_os_error(error, folder) from error


def start_times(units: Mapping[str, str]) -> dict[str, jobs.StartTime]:
    """Return when each job starts by these units, those that are `found`."""
    times = {}
    for name, text in units.items():
        job = name.rpartition("-")[2].removesuffix(".timer")
        if job in jobs.JOBS and (start := _START.search(text)):
            hour = None if start["hour"] == "*" else int(start["hour"])
            times[job] = jobs.StartTime(int(start["minute"]), hour, bool(start["day"]))
    return times


def install(program: str, folder: Path, wanted: Mapping[str, str]) -> None:
    """Write the units and set their timers going, also those that lie there and do not go.

    Raises:
        MachineError: there is no writing in `folder`, or systemctl refuses.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in wanted.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise from_os_error(error, folder) from error
    _systemctl(program, "daemon-reload")
    timers = _timers(wanted)
    _systemctl(program, "enable", *timers)
    _systemctl(program, "restart", *timers)  # `enable --now` would leave one that is going at its old time


def remove(program: str, folder: Path, there: Mapping[str, str]) -> None:
    """Stop the timers and delete the units.

    Raises:
        MachineError: there is no deleting in `folder`, or systemctl refuses.
    """
    if timers := _timers(there):
        _systemctl(program, "disable", "--now", *timers)
    try:
        for name in there:
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise from_os_error(error, folder) from error
    _systemctl(program, "daemon-reload")


def _stem(root: Path) -> str:
    """Return a name as units may have it: the folder's, and a mark that tells it from others of that name."""
    word = re.sub(r"[^a-z0-9]+", "-", root.name.lower()).strip("-")[:30]
    return f"boathouse-{word or 'project'}-{hashlib.sha256(str(root).encode()).hexdigest()[:8]}"


def _is_of(name: str, root: Path) -> bool:
    return re.fullmatch(rf"{re.escape(_stem(root))}-[a-z]+\.(service|timer)", name) is not None


def _service(root: Path, path: str, name: str, call: Sequence[str]) -> str:
    # env is the program, and ours its argument: systemd takes no path with quotes or $ as a program's.
    command = " ".join(_argument(word) for word in (*call, "jobs", name))
    return f"""\
{_NOTE}
[Unit]
Description=Boathouse, {name}: {", ".join(step.command for step in jobs.steps(root, name))} in {_plain(root)}

[Service]
Type=oneshot
WorkingDirectory={_plain(root)}
Environment={_quoted(f"PATH={path}")}
ExecStart=/usr/bin/env {command}
"""


def _timer(root: Path, time: jobs.StartTime, name: str) -> str:
    hour = "*" if time.hour is None else f"{time.hour:02}"
    return f"""\
{_NOTE}
[Unit]
Description=Boathouse, {name}, in {_plain(root)}

[Timer]
OnCalendar={"Sun " if time.sunday else ""}*-*-* {hour}:{time.minute:02}:00
Persistent=true

[Install]
WantedBy=timers.target
"""


def _plain(root: Path) -> str:
    return str(root).replace("%", "%%")


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def _argument(word: str) -> str:
    """Return a word of a command line as systemd reads it: there alone it takes $ for a variable."""
    return word if re.fullmatch(r"[\w./:@+-]+", word) else _quoted(word.replace("$", "$$"))


def _timers(named: Mapping[str, str]) -> list[str]:
    return [name for name in named if name.endswith(".timer")]


def _systemctl(program: str, *arguments: str) -> None:
    ran = subprocess.run([program, "--user", *arguments], capture_output=True, text=True, check=False)
    if ran.returncode:
        stderr = ran.stderr.strip().replace("\n", "; ") or "refused without a word"
        raise MachineError(
            f"systemctl --user {arguments[0]}: {stderr}",
            where=program,
            fix="log in as the user the timers are for, not by su or sudo; or use --kind cron",
        )
