"""The search that proves a forgetting: every file of the lake and of its logs is looked through for the values.

Only the process that took the lines out knows them. One that finishes what another began cannot search: it says so.
"""

from __future__ import annotations

from collections.abc import Sequence

from src import store
from src.branches import list_branches
from src.errors import UsageError
from src.forget.identifying import Text
from src.forget.scanning import Scan, Value, search
from src.project import Project


def prove(project: Project, texts: Sequence[Text]) -> Scan:
    """Look for values in all files of the lake, its landing zone, its reports and its logs; changes nothing.

    Raises:
        MachineError: an object store does not answer.
    """
    settings = project.settings
    room = store.beside(settings.data_dir) / ".spill"
    return search(project.engine, values_of(texts), [settings.data_dir, settings.log_dir], room)


def values_of(texts: Sequence[Text]) -> list[Value]:
    """Return texts as what a search looks for."""
    return [Value(text.text, text.columns) for text in texts]


def refuse_branches(project: Project) -> None:
    """Refuse a lake with branches, whose files are the lake's own by another name; and a branch itself.

    Raises:
        UsageError: naming them.
    """
    settings = project.settings
    if settings.branch:
        fix = "forget in main, without BRANCH, once its branches are dropped"
        raise UsageError(f"branch {settings.branch} shares the files of main", fix=fix)
    if found := list_branches(settings.data_dir):
        names = ", ".join(branch.name for branch in found)
        drops = "; ".join(f"`main.py branch drop {branch.name}`" for branch in found)
        raise UsageError(f"branches keep the files that they share: {names}", fix=f"{drops}; or give --drop-branches")
