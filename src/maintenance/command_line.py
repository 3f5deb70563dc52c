"""How a command of this product is called: by a job that runs, and in the lines that a scheduler keeps."""

from __future__ import annotations

import sys
from pathlib import Path

PRODUCT = Path(__file__).resolve().parents[2]  # the folder with main.py: of a clone, or of the installed package
CLONE = (".venv/bin/python", "main.py")


def child(root: Path) -> list[str]:
    """Return the beginning of a command line on the project in `root`, for a process that this one starts."""
    return [sys.executable, str(PRODUCT / "main.py"), "--project", str(root)]


def as_typed(root: Path) -> tuple[str, ...]:
    """Return the beginning of a command line as a person types it in `root`, from a shell or in a crontab.

    An installed product is called by the program beside its Python, which an upgrade leaves where it is.
    """
    if root == PRODUCT:
        return CLONE
    program = Path(sys.executable).with_name("boathouse")
    if not program.is_file():
        return tuple(child(root))
    return (str(program.relative_to(root) if program.is_relative_to(root) else program),)
