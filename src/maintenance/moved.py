"""Commands that were once called by their module: whoever scheduled `python -m src.maintenance.vacuum` keeps going."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import NoReturn

_MAIN = Path(__file__).resolve().parents[2] / "main.py"


def to(command: str) -> NoReturn:
    """Say on stderr what to type instead, and become that: same arguments, output and exit code."""
    command_line = [command, *sys.argv[1:]]
    print(f"note: this command is now: {Path(sys.executable).name} main.py {shlex.join(command_line)}", file=sys.stderr)
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, str(_MAIN), *command_line])
