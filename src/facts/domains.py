"""What readers see of each domain, beside what is built."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from src.facts.tables import State, TableFacts


@dataclass(frozen=True)
class DomainFacts:
    """One domain or mart. Runs are named by their ids, which begin with the moment they started (UTC)."""

    name: str
    readers_see: str | None  # the run of the oldest data that readers see of a table; None: nothing is released
    built: str | None  # the newest run that built something of it
    held_by: tuple[str, ...]  # the tables that keep readers from what is built
    states: Mapping[State, int]  # tables in each state, the gravest first

    @property
    def state(self) -> State:
        """Return the gravest state of its tables."""
        return next(iter(self.states))


def read_domains(tables: Iterable[TableFacts]) -> tuple[DomainFacts, ...]:
    """Return the domains and marts by name, those of one name as one."""
    by_name: dict[str, list[TableFacts]] = {}
    for table in tables:
        by_name.setdefault(table.domain, []).append(table)
    return tuple(_domain(name, by_name[name]) for name in sorted(by_name))


def _domain(name: str, tables: list[TableFacts]) -> DomainFacts:
    counted = Counter(table.state for table in tables)
    seen = [table.standing.as_of for table in tables if table.standing and table.standing.as_of]
    built = [table.standing.built for table in tables if table.standing and table.standing.built]
    held_by = {one for table in tables if table.standing and table.standing.cause for one in table.standing.held_by}
    return DomainFacts(
        name=name,
        readers_see=min(seen, default=None),
        built=max((*built, *seen), default=None),
        held_by=tuple(sorted(held_by)),
        states={state: counted[state] for state in State if counted[state]},
    )
