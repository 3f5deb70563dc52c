"""What differs between two releases: by table the rows that came and went, and the cells that are others."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from src.branches import list_branches
from src.errors import UsageError
from src.explain.released import compare_releases, find_sides, read_columns
from src.page.app import page_of
from src.run import releases
from src.settings import MAIN

_ROWS = 10  # of a kind and table
_OFFERED = 50  # releases to choose from


def diff(request: Request) -> Response:
    """Return the screen of what differs between the releases `before` and `after` of the address: runs, main, branches.

    Without `after` it is the newest release, without `before` the one before it; with `table` of this table alone.
    """
    page = page_of(request)
    before, after, table = (request.query_params.get(name, "") for name in ("before", "after", "table"))
    masks = page.look.masks()
    with page.reading() as reading, page.look.project() as project:
        known = list(releases.all_of(project.engine, project.settings.data_dir))
        before, after = _ends(known, before, after)
        sides = find_sides(project, [before, after])
        found = compare_releases(project, *sides, masks, [table] if table else [], _ROWS)
        read = read_columns(found, *sides)
        reading.contracts, reading.masked = project.contracts, any(map(masks.covers, read))
        for name, columns in read.items():
            reading.of_table(name, columns)
        branches = [branch.name for branch in list_branches(project.settings.main_dir)]
    offered = list(dict.fromkeys([*([MAIN] if branches else []), *branches, *known[:_OFFERED], before, after]))
    return page.show(request, "diff.html", found=found, offered=offered, table=table, most=_ROWS)


def _ends(known: Sequence[str], before: str, after: str) -> tuple[str, str]:
    """Return the runs of the two releases to compare; `known`: those of all releases, the newest first.

    Raises:
        UsageError: there is no release yet.
    """
    if not known:
        raise UsageError("there is no release yet", fix="run the pipeline first")
    after = after or known[0]
    older = known[known.index(after) + 1 :] if after in known else known
    return before or (older[0] if older else after), after


ROUTES = [Route("/diff", diff)]
