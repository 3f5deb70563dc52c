"""What runs by itself, with cron or systemd: print it, install it, remove it."""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from src.commands import Call
from src.maintenance import command_line, jobs, schedule
from src.maintenance.schedule import CRON, SYSTEMD, Schedule, Schedulers
from src.run import rotation


def arguments(parser: argparse.ArgumentParser) -> None:
    act = parser.add_mutually_exclusive_group()
    act.add_argument("--install", action="store_true", help="put the jobs into the scheduler")
    act.add_argument("--remove", action="store_true", help="take them out")
    parser.add_argument("--kind", choices=(CRON, SYSTEMD), default=CRON, help="which scheduler (cron)")
    parser.add_argument("--hour", type=int, choices=range(24), default=jobs.DEFAULT_HOUR, help="of the daily job (2)")
    parser.add_argument("--dry-run", action="store_true", help="only show what would change")


def run(call: Call) -> int:
    settings = call.settings
    path = schedule.search_path(os.environ)
    log, typed = settings.log_dir / rotation.SCHEDULED, command_line.as_typed(settings.root)
    planned = Schedule(settings.root, log, path, call.args.hour, typed)
    return schedule.show(planned, _schedulers(os.environ), call.args)


def _schedulers(environ: Mapping[str, str]) -> Schedulers:
    path = environ.get("PATH")
    home = Path(environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME") or Path.home()) / ".config")
    return Schedulers(shutil.which("crontab", path=path), shutil.which("systemctl", path=path), home / "systemd/user")
