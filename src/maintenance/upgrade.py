"""Upgrade brings the tables of a lake to the format of this release, in named steps; no row changes.

An ordinary run reads and writes older formats as they are: an upgrade is due when its owner says so. Each table's own
log says how far it came, in the commit that ended a step, so that killed at any moment an upgrade goes on where it
stopped. The tables of runs come first: an older Boathouse refuses the lake from then on, and not in the middle.

A table moves to a version with the same rows. What reads it would take that for news, so the commit of the reader also
records that it has seen it; the release follows, as it does after `optimize`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from src import catalog, lake
from src.project import Project, select
from src.run.runs import Run


@dataclass(frozen=True)
class Migration:
    """One step from the format before to `format`; `change` may be done twice, and changes no row.

    `seconds`: what it takes a table, about.
    """

    name: str
    format: int
    does: str
    seconds: float
    change: Callable[[lake.Snapshot], lake.Snapshot]


MIGRATIONS = (
    # measured: 0.01 to 0.03 s a table
    Migration("stamp", 1, "says its format on the table", 0.03, lambda table: table),
)


@dataclass(frozen=True)
class TableUpgrade:
    """One table that is not in this release's format, and the migrations that bring it there, in order."""

    table: str
    snapshot: lake.Snapshot
    migrations: tuple[Migration, ...]

    @property
    def seconds(self) -> float:
        """Return how many seconds its migrations take, about."""
        return sum(migration.seconds for migration in self.migrations)


def plan(project: Project) -> list[TableUpgrade]:
    """Return the tables that are in an older format, in the order of an upgrade; changes nothing.

    Raises:
        MachineError: a table is damaged.
        NewerFormat: a table is in a later format than this release knows.
    """
    tables = catalog.tables(project.settings.data_dir)
    opened = {name: found for name in _ordered(project, tables) if (found := lake.open_table(tables[name]))}
    planned = [
        TableUpgrade(name, table, tuple(one for one in MIGRATIONS if one.format > table.format))
        for name, table in opened.items()
    ]
    return [upgrade for upgrade in planned if upgrade.migrations]


def execute(project: Project, planned: Sequence[TableUpgrade], run: Run) -> None:
    """Migrate the tables, and tell the run which versions have the same rows.

    Raises:
        TransientError: another writer committed first; the next upgrade goes on from there.
    """
    sources = _sources(project)
    for upgrade in planned:
        table = upgrade.snapshot
        for migration in upgrade.migrations:
            table = migration.change(table)
            seen = _seen(project, table, sources.get(upgrade.table, ()))
            # last, so that a crash before it leaves the migration to be done again
            table = lake.set_properties(table, lake.stamp(migration.format), seen)
        run.rewritten[upgrade.table] = (upgrade.snapshot.version, table.version)


def _ordered(project: Project, tables: Mapping[str, Path]) -> list[str]:
    """Return the tables on disk: the records of runs, what else no release names, then each after those it reads."""
    chosen = select(project, None)
    flow = [*(feed.id for feed in chosen.feeds), *(table.id for table in (*chosen.silver, *chosen.gold))]
    unreleased = [name for name in tables if not catalog.is_released(name)]
    first = [catalog.RUNS, *unreleased, *(name for name in flow if name in tables), *tables]
    return [name for name in dict.fromkeys(first) if name in tables]


def _sources(project: Project) -> dict[str, tuple[str, ...]]:
    """Return the tables whose versions each table consumes."""
    found: dict[str, tuple[str, ...]] = {table.id: table.sources for table in project.marts}
    for table in project.contracts.silver.values():
        for layer in ("silver", "quarantine", "deletions", "statements"):
            found[f"{layer}.{table.domain}.{table.name}"] = tuple(feed.id for feed in table.feeds)
    return found


def _seen(project: Project, table: lake.Snapshot, sources: Sequence[str]) -> dict[str, int]:
    """Return the progress to record for sources of which a table consumed all rows, though not the newest version."""
    news = {}
    for name, source in project.built(sources).items():
        at = table.progress(name)
        if at is None or at < 0 or lake.is_another(table, name, source):
            continue  # never consumed, or for the next run to find out
        if at < source.version and lake.has_same_rows(source, at):
            news[name] = source
    return lake.consumed(news)
