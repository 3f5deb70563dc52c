"""Every table says in which format it is written, and which release is the first to read that.

A later format is refused before a row of it is read: an older Boathouse would take it for something else. A table that
says nothing is of format 0, that of release 0.1.0 and before; it is read and written as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from src import __version__
from src.errors import MachineError
from src.lake.errors import damaged

FORMAT = 1  # of the tables that this release creates
_FIRST_RELEASE = {1: "0.2.0"}  # that reads a format
_FORMAT_TAG, _RELEASE_TAG = "lakehouse.format", "lakehouse.formatSince"


class NewerFormat(MachineError):
    """A table was written by a later release in a format that this one does not know."""


def stamp(number: int = FORMAT) -> dict[str, str]:
    """Return the properties by which a table says its format."""
    return {_FORMAT_TAG: str(number), _RELEASE_TAG: _FIRST_RELEASE[number]}


def format_of(root: Path, properties: Mapping[str, str]) -> int:
    """Return the format that a table's properties say.

    Raises:
        MachineError: they say what is no number.
    """
    text = properties.get(_FORMAT_TAG, "0")
    if not text.isdecimal():
        raise damaged(root, f"{_FORMAT_TAG} is '{text}', and not a whole number")
    return int(text)


def refuse_newer(root: Path, properties: Mapping[str, str]) -> None:
    """Refuse a table of a later format.

    Raises:
        NewerFormat: naming the release that reads it.
    """
    found = format_of(root, properties)
    if found > FORMAT:
        release = properties.get(_RELEASE_TAG, "the release that wrote it")
        what = f"the table is in format {found}; Boathouse {__version__} reads formats up to {FORMAT}"
        raise NewerFormat(what, where=root, fix=f"upgrade Boathouse to {release} or later")
