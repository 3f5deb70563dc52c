"""What the drawings of the lineage show: which tables, where they stand, and in what state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from markupsafe import Markup

from src.facts import Facts, State, TableFacts
from src.facts.tables import SIGNS
from src.origins import users
from src.page.drawing import charts, lineage
from src.page.drawing.lineage import Box
from src.proof.columns import NOTHING, Origin, Reference

MOST = 150  # tables that one drawing shows; of more the domains are folded
_LAYERS = ("bronze", "silver", "gold")
_FIXED = _LAYERS[:2]  # of which a table's layer alone says where it stands; models stand among the marts
_FOLDED = (*_LAYERS, "models")
Link = Callable[[str], str]


@dataclass(frozen=True)
class Shown:
    """A drawing, and how many of its tables are in each state, the gravest first."""

    drawing: Markup
    states: Mapping[State, int]
    tables: int


def around(facts: Facts, table: str, depth: int | None = 1) -> list[str]:
    """Return a table, what it is built from and what is built from it, so many levels each way; None: all of them.

    The versions of a model, which a table of scores is built from, are no table that is drawn.
    """
    below: dict[str, list[str]] = {}
    for name, sources in facts.upstream.items():
        for source in sources:
            below.setdefault(source, []).append(name)
    near = {table, *_reached(table, facts.upstream, depth), *_reached(table, below, depth)}
    return [name for name in facts.tables if name in near]


def _reached(start: str, next_to: Mapping[str, Collection[str]], depth: int | None) -> set[str]:
    found: set[str] = set()
    edge = {start}
    while edge and (depth is None or depth > 0):
        edge = {name for one in edge for name in next_to.get(one, ())} - found
        found |= edge
        depth = None if depth is None else depth - 1
    return found


def of_domain(facts: Facts, domain: str) -> list[str]:
    """Return the tables of a domain, and those of others that stand next to them."""
    own = {name for name, table in facts.tables.items() if table.domain == domain}
    near = {name for name, above in facts.upstream.items() if own & {*above}}
    near |= {source for name in own for source in facts.upstream.get(name, ())}
    return [name for name in facts.tables if name in own | near]


def of_tables(facts: Facts, names: Iterable[str], link: Link, here: str | None = None, first: str = "") -> Shown:
    """Return the drawing of some tables. `here`: the one that it is about; `first`: the domain whose band is on top."""
    tables = [facts.tables[name] for name in names if name in facts.tables]
    depths = _depths(facts)
    columns = lineage.compressed({table.id: depths[table.id] for table in tables})
    starts: dict[str, int] = {}
    for table in tables:
        starts[table.domain] = min(starts.get(table.domain, columns[table.id]), columns[table.id])
    domains = sorted(starts, key=lambda domain: (domain != first, starts[domain] > 1, domain))
    boxes = [
        _box(table, columns[table.id], link, here=table.id == here)
        for domain in domains
        for table in tables
        if table.domain == domain
    ]
    known = {table.id for table in tables}
    edges = [(source, name) for name in known for source in facts.upstream.get(name, ()) if source in known]
    bad = [table.id for table in tables if table.state in (State.FAILED, State.BLOCKED)]
    heads = _heads(columns, facts)
    states = _counted(table.state for table in tables)
    what = ", ".join(f"{count} {state}" for state, count in states.items())
    sentence = f"Lineage of {len(tables)} tables, from left to right: {what}"
    return Shown(lineage.drawn(boxes, sorted(edges), heads, sentence, bad), states, len(tables))


def of_column(
    facts: Facts, origins: Mapping[Reference, Origin], of: Reference, link: Callable[[str, str | None], str]
) -> Shown:
    """Return the drawing of what a column is made of, up to the files, and of what is made of it.

    What only shapes its rows is shown one level up, dashed.
    """
    made = {of}
    edges: set[tuple[Reference, Reference]] = set()
    above = [of]
    while above:
        name = above.pop()
        for source in origins.get(name, NOTHING).values:
            edges.add((source, name))
            above += [] if source in made else [source]
            made.add(source)
    below = [of]
    while below and len(made) < MOST:
        name = below.pop()
        for user in users(origins, name):
            edges.add((name, user))
            below += [] if user in made else [user]
            made.add(user)
    shaping = origins.get(of, NOTHING).shaping - made
    edges |= {(source, of) for source in shaping}
    tables = {table for table, _ in made | shaping if table in facts.tables}
    depths = _depths(facts)
    columns = lineage.compressed({name: depths[name] for name in tables})
    own = facts.tables[of[0]].domain
    boxes = [
        Box(
            id=_reference(one),
            band=facts.tables[one[0]].domain,
            column=columns[one[0]],
            label=f"{facts.tables[one[0]].name}.{one[1] or '*'}",
            kind=f"of-{facts.tables[one[0]].layer}{' here' if one == of else ' shapes' if one in shaping else ''}",
            sign="" if one not in shaping else "⋯",
            title=_titled(one, of, shaping),
            link=link(*one),
        )
        for one in sorted(
            made | shaping,
            key=lambda one: (
                facts.tables[one[0]].domain != own,
                facts.tables[one[0]].domain,
                one in shaping,
                one[0],
                one[1] or "",
            ),
        )
    ]
    heads = _heads(columns, facts)
    sentence = f"What {_reference(of)} is made of: {len(boxes)} columns in {len(tables)} tables"
    return Shown(
        lineage.drawn(boxes, sorted((_reference(a), _reference(b)) for a, b in edges), heads, sentence), {}, len(tables)
    )


def _reference(one: Reference) -> str:
    return f"{one[0]}.{one[1] or '*'}"


def _titled(one: Reference, of: Reference, shaping: Collection[Reference]) -> str:
    name = f"any column of {one[0]}" if one[1] is None else _reference(one)
    return f"{name}: only filters, joins, groups or orders the rows of {_reference(of)}" if one in shaping else name


def folded(facts: Facts, link: Link) -> Shown:
    """Return the drawing of a lake of many tables: a band for each domain, a box for each of its layers."""
    cells: dict[tuple[str, str], list[TableFacts]] = {}
    for table in facts.tables.values():
        cells.setdefault((table.domain, table.layer), []).append(table)
    boxes = [_fold(domain, layer, tables, link) for (domain, layer), tables in sorted(cells.items())]
    edges = {
        (_cell(facts.tables[source]), _cell(table))
        for name, table in facts.tables.items()
        for source in facts.upstream.get(name, ())
        if source in facts.tables
    }
    edges = {(above, below) for above, below in edges if above != below}
    states = _counted(table.state for table in facts.tables.values())
    bad = [box.id for box in boxes if {"failed", "blocked"} & {*box.kind.split()}]
    heads = _FOLDED if any(layer == _FOLDED[-1] for _, layer in cells) else _LAYERS
    sentence = f"Lineage of {len(facts.tables)} tables in {len(facts.domains)} domains, folded by domain and layer"
    return Shown(lineage.drawn(boxes, sorted(edges), heads, sentence, bad), states, len(facts.tables))


def _cell(table: TableFacts) -> str:
    return f"{table.domain}/{table.layer}"


def _fold(domain: str, layer: str, tables: list[TableFacts], link: Link) -> Box:
    states = _counted(table.state for table in tables)
    gravest = next(iter(states))
    others = " ".join(f"{SIGNS[state]}{count}" for state, count in states.items() if state is not State.FINE)
    what = ", ".join(f"{count} {state}" for state, count in states.items())
    return Box(
        id=f"{domain}/{layer}",
        band=domain,
        column=_FOLDED.index(layer),
        label=f"{len(tables)} {'table' if len(tables) == 1 else 'tables'}",
        kind=f"{_class(gravest)} of-{layer}",
        sign=SIGNS[gravest],
        note=others,
        title=f"{domain}, {layer}: {what}",
        link=link(domain),
    )


def _box(table: TableFacts, column: int, link: Link, *, here: bool) -> Box:
    rows = "not built" if table.rows is None else short_number(table.rows)
    count = "not built" if table.rows is None else f"{table.rows:,} rows"
    return Box(
        id=table.id,
        band=table.domain,
        column=column,
        label=table.name,
        kind=f"{_class(table.state)} of-{table.layer}{' here' if here else ''}",
        sign=SIGNS[table.state],
        note=rows,
        title=f"{table.id}: {table.state}, {count}",
        link=link(table.id),
    )


def _class(state: State) -> str:
    return state.replace(" ", "-")


def _depths(facts: Facts) -> dict[str, int]:
    """Return the column of each table: bronze, silver, then gold by what it reads of gold."""
    fixed = {name: _FIXED.index(table.layer) for name, table in facts.tables.items() if table.layer in _FIXED}
    found = dict(fixed)
    for name in facts.tables:  # each after those that it is built from
        if name not in fixed:
            found[name] = max([2, *(found[one] + 1 for one in facts.upstream.get(name, ()) if one in found)])
    return found


def _heads(columns: Mapping[str, int], facts: Facts) -> list[str]:
    heads: dict[int, str] = {}
    for name, column in columns.items():
        layer = facts.tables[name].layer
        from_gold = layer == "gold" and any(one.startswith("gold.") for one in facts.upstream.get(name, ()))
        heads[column] = "gold, from gold" if from_gold else heads.get(column, layer)
    return [heads[at] for at in sorted(heads)]


def _counted(states: Iterable[State]) -> dict[State, int]:
    counted = Counter(states)
    return {state: counted[state] for state in State if counted[state]}


def short_number(value: float) -> str:
    """Return a number as a box has room for it: 7,167, 91.32k, 1.2M."""
    return f"{value:,.0f}" if value < 10_000 else charts.short(value)
