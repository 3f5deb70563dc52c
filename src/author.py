"""Who does it: recorded with every run, every read, and every answer to an incident."""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping

VARIABLE = "BOATHOUSE_BY"  # for a command that another program starts for a person: the page, a bot, a scheduler

JOB = "BOATHOUSE_JOB"  # of a command that a job of the schedule runs: nobody reads what it writes


def by_job(environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether a job of the schedule runs this command."""
    return bool(environ.get(JOB))


def author(environ: Mapping[str, str] = os.environ) -> str:
    """Return who does it: what the environment says in BOATHOUSE_BY, else the user of this process; "" if unknown."""
    if named := environ.get(VARIABLE, "").strip():
        return named
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container may run under a number that is nobody's
        return ""
