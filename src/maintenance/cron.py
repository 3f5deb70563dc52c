"""The jobs in the user's crontab: a block between two lines that name the project, and no other byte of it is touched.

A line calls the job with an absolute folder and a PATH of its own: a `PATH=` line would hold for whatever follows the
block. What the job prints is in cron.log already; the end of the line adds the exit code there, also that of a job
which could not even begin, and leaves stderr to cron, which mails it.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

from src.errors import MachineError, UsageError
from src.maintenance import jobs

_NOTE = "# written by `make schedule`, which overwrites what is changed here"
_EDIT = "fix it with `crontab -e`: the block is everything between its two lines"
_CALL = re.compile(r"(?P<minute>\d+) (?P<hour>\*|\d+) \* \* (?P<day>\*|0) .* jobs (?P<job>\w+) \|\| ")
_NO_TABLE = re.compile(r"no crontab for|No such file or directory")


def block(root: Path, log: Path, path: str, hour: int, call: Sequence[str]) -> str:
    """Return the block of the project in `root`: the lines that call the jobs, `path` being the PATH they need.

    `call` begins the command line of a job, as it is typed in `root`.

    Raises:
        UsageError: a path that no crontab line can hold.
    """
    odd = next((text for text in (str(root), str(log), path, *call) if not text.isprintable()), None)
    if odd is not None:
        raise UsageError("an unprintable character, which a crontab cannot hold", where=repr(odd), fix="rename it")
    lines = [
        f"{_when(time)} {_command(root, log, path, [*call, 'jobs', name])}" for name, time in jobs.times(hour).items()
    ]
    return "\n".join([_begin(root), _NOTE, *lines, _end(root), ""])


def placed(table: str, root: Path, fresh: str) -> str:
    """Return the crontab with this block in the place of the project's own, or at the end; an empty one takes it out.

    Raises:
        MachineError: the block is damaged, so that there is no telling what is in it.
    """
    lines = table.split("\n")
    found = _block(lines, root)
    if found is None:
        ended = table if not table or table.endswith("\n") or not fresh else table + "\n"
        return ended + fresh
    first, last = found
    return "\n".join(lines[:first]) + ("\n" if first else "") + fresh + "\n".join(lines[last + 1 :])


def start_times(table: str, root: Path) -> dict[str, jobs.StartTime]:
    """Return when each job starts by the project's own block in a crontab; none where it has none.

    Raises:
        MachineError: the block is damaged.
    """
    lines = table.split("\n")
    found = _block(lines, root)
    called = filter(None, map(_CALL.match, lines[found[0] : found[1]])) if found else ()
    return {
        call["job"]: jobs.StartTime(int(call["minute"]), _number(call["hour"]), call["day"] == "0")
        for call in called
        if call["job"] in jobs.JOBS
    }


def _number(text: str) -> int | None:
    return None if text == "*" else int(text)


def read(program: str) -> str:
    """Return the user's crontab; empty where there is none.

    Raises:
        MachineError: the program refuses.
    """
    ran = subprocess.run([program, "-l"], capture_output=True, check=False)
    if ran.returncode == 0:
        return ran.stdout.decode("utf-8", "surrogateescape")
    stderr = ran.stderr.decode("utf-8", "replace")
    if _NO_TABLE.search(stderr):
        return ""
    raise _refused(program, stderr)


def write(program: str, table: str) -> None:
    """Make this the user's crontab; none at all where it is empty.

    Raises:
        MachineError: the program refuses; the crontab is as it was.
    """
    command = [program, "-"] if table else [program, "-r"]
    text = table.encode("utf-8", "surrogateescape")
    ran = subprocess.run(command, input=text, capture_output=True, check=False)
    if ran.returncode:
        raise _refused(program, ran.stderr.decode("utf-8", "replace"))


def _begin(root: Path) -> str:
    return f"# >>> boathouse {root} >>>"


def _end(root: Path) -> str:
    return f"# <<< boathouse {root} <<<"


def _when(time: jobs.StartTime) -> str:
    return f"{time.minute} {'*' if time.hour is None else time.hour} * * {'0' if time.sunday else '*'}"


def _command(root: Path, log: Path, path: str, command: Sequence[str]) -> str:
    call = f"cd {shlex.quote(str(root))} && PATH={shlex.quote(path)} {shlex.join(command)}"
    tell = f"""echo "$(date -u +'%F %TZ') | {command[-1]} | exit code $code" >> {shlex.quote(str(log))}"""
    # to cron a bare % is the end of the command, wherever it stands
    return f"{call} || {{ code=$?; {tell}; }}".replace("%", "\\%")


def _block(lines: list[str], root: Path) -> tuple[int, int] | None:
    """Return the first and last line of the project's block; None where it has none."""
    begins = [number for number, line in enumerate(lines) if line.rstrip() == _begin(root)]
    ends = [number for number, line in enumerate(lines) if line.rstrip() == _end(root)]
    if not begins and not ends:
        return None
    if len(begins) == len(ends) == 1 and begins[0] < ends[0]:
        others = [number for number in range(begins[0] + 1, ends[0]) if lines[number].startswith(("# >>> ", "# <<< "))]
        if not others:
            return begins[0], ends[0]
        begins += others
    found = ", ".join(f"line {number + 1} is {lines[number].rstrip()!r}" for number in sorted([*begins, *ends]))
    raise MachineError(f"a damaged block in the crontab: {found}", where="crontab -l", fix=_EDIT)


def _refused(program: str, stderr: str) -> MachineError:
    return MachineError(stderr.strip() or "refused without a word", where=program, fix="or use --kind systemd")
