"""Tables by the names that people type, and the part of the project that a run is about.

A selection is written as dbt writes it: `name` is a table, a mart, a domain or a pattern; `+name` what it needs too,
`name+` what hangs on it too, `2+name+1` so many steps each way; several are parted by commas or blanks. What a foreign
key names is upstream like what is read. The tables of a mart go together, as they do in a release.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from src.contract import Table
from src.errors import UsageError, nearest
from src.project import Project, Selection, select, upstream

_TERM = re.compile(r"(?:(?P<before>\d*)\+)?(?P<name>[^+]+)(?:\+(?P<after>\d*))?")
_ALL = 10**6  # steps of a graph


def table_named(project: Project, name: str) -> Table:
    """Return the silver or gold table of a name: its id, or the end of it (shop.orders, orders) where one has that.

    Raises:
        UsageError: none has it, or several have.
    """
    known = {**project.contracts.silver, **{table.id: table for table in project.marts}}
    found = [name] if name in known else _ending(known, name)
    if len(found) > 1:
        raise UsageError(f"{name} may be {' or '.join(found)}", fix="write more of the name")
    if not found:
        raise UsageError(f"no table {name}", fix=_hint(name, known))
    return known[found[0]]


def chosen(project: Project, domain: str | None = None, names: Collection[str] = ()) -> Selection:
    """Return the feeds and tables of a run, in its order: of a domain, of a mart and what it needs, of names, or all.

    Raises:
        UsageError: there is none of that name; both are given.
    """
    if domain and names:
        raise UsageError("a domain and a selection", fix="give one of them: DOMAIN=name or SELECT=names")
    if names:
        return _selected(project, names)
    if domain in project.contracts.marts and domain not in {feed.domain for feed in project.contracts.feeds.values()}:
        return _selected(project, [f"+gold.{domain}"])
    return select(project, domain)


def not_taken(selection: Selection) -> dict[str, str]:
    """Return the selected silver tables of which a feed is not selected, with it: its new files wait."""
    feeds = {feed.id for feed in selection.feeds}
    return {table.id: feed.id for table in selection.silver for feed in table.feeds if feed.id not in feeds}


# -- the graph


@dataclass(frozen=True)
class _Graph:
    """The steps of a run by their ids, in its order, and what each needs and is needed by."""

    everything: Selection
    parents: Mapping[str, Collection[str]]
    children: Mapping[str, Collection[str]]

    @classmethod
    def of_project(cls, project: Project) -> _Graph:
        every = select(project, None)
        parents: dict[str, list[str]] = {feed.id: [] for feed in every.feeds} | {
            t.id: upstream(t) for t in (*every.silver, *every.gold)
        }
        # a model is no step of a run: it stands between its features and the tables that it scores
        parents |= {m.id: [m.features, m.label.table] for m in project.contracts.models.values()}
        children: dict[str, list[str]] = defaultdict(list)
        for table_id, needed in parents.items():
            for parent in needed:
                children[parent].append(table_id)
        return cls(every, parents, children)

    def with_marts(self, ids: Collection[str]) -> set[str]:
        """Return ids with all tables of the marts that some of them belong to."""
        marts = {_owner(one) for one in ids if one.startswith("gold.")}
        return {*ids, *(table.id for table in self.everything.gold if _owner(table.id) in marts)}

    def kept(self, ids: Collection[str]) -> Selection:
        """Return these steps, in the order of a run."""
        every = self.everything
        return Selection(
            feeds=tuple(feed for feed in every.feeds if feed.id in ids),
            silver=tuple(table for table in every.silver if table.id in ids),
            gold=tuple(table for table in every.gold if table.id in ids),
        )


def _selected(project: Project, terms: Iterable[str]) -> Selection:
    graph = _Graph.of_project(project)
    found: set[str] = set()
    for term in terms:
        parts = _TERM.fullmatch(term)
        if parts is None:
            raise UsageError(f"{term} selects nothing", fix="write name, +name, name+ or +name+")
        start = graph.with_marts(_named(list(graph.parents), parts["name"]))
        found |= start
        for steps, edges in ((parts["before"], graph.parents), (parts["after"], graph.children)):
            found |= _reached(start, edges, 0 if steps is None else int(steps or _ALL))
    kept = graph.kept(graph.with_marts(found))
    if not len(kept):  # models alone
        names = " ".join(f"{term.strip('+')}+" for term in terms)
        raise UsageError("no step is selected: a model is trained by `make train`", fix=f"{names} is what it scores")
    return kept


def _reached(start: Collection[str], edges: Mapping[str, Collection[str]], steps: int) -> set[str]:
    """Return what so many steps along the edges lead to."""
    found, edge = set(start), set(start)
    while edge and steps > 0:
        edge = {other for one in edge for other in edges.get(one, ())} - found
        found |= edge
        steps -= 1
    return found


def _named(ids: Collection[str], name: str) -> list[str]:
    """Return the ids that a name means: a table, else all of a mart or domain, else what one table's id ends with.

    Raises:
        UsageError: it means nothing, or one of several tables.
    """
    if name in ids:
        return [name]
    if set(name) & set("*?["):
        found = [one for one in ids if fnmatchcase(one, name)]
    else:
        found = [one for one in ids if one.startswith(f"{name}.") or one.split(".")[1] == name]
    if found:
        return found
    ends = _ending(ids, name)
    # a feed has often the name of its table, and a model that of the table it scores
    found = [one for one in ends if not one.startswith(("bronze.", "models."))] or ends
    if len(found) > 1:
        raise UsageError(f"{name} may be {' or '.join(found)}", fix="write more of the name")
    if not found:
        raise UsageError(f"no table, mart or domain {name}", fix=_hint(name, {*ids, *map(_owner, ids)}))
    return found


def _owner(table_id: str) -> str:
    """Return the mart, or the domain within its layer, of a table: gold.shop of gold.shop.daily."""
    return table_id.rpartition(".")[0]


def _ending(ids: Iterable[str], name: str) -> list[str]:
    """Return the ids that end with the parts of a name."""
    return [table_id for table_id in ids if table_id.endswith(f".{name}")]


def _hint(name: str, ids: Iterable[str]) -> str:
    """Return the fix for a name that none of these has: the nearest one, and all there are."""
    known = sorted(ids)
    forms = {form: one for one in known for form in (one, one.partition(".")[2], one.rpartition(".")[2])}
    near = nearest(name, forms)
    return (f"did you mean `{forms[near]}`? " if near else "") + f"there are {', '.join(known)}"
