"""A gold table is built although a soft source is not right: of that source it reads the version that readers see.

That is the last one that was right, whether the source's step failed, is blocked or is held back, or a run died after
it. A source that never was right counts as empty, as an optional one does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial

from src import contract, lake
from src.contract import Table
from src.errors import MachineError
from src.project import Project, Unbuilt, lineage, readable, referenced, waits_for
from src.proof import Proof, Refusal
from src.run import releases
from src.run.releases import OldSource, Standing
from src.run.runs import Run


@dataclass(frozen=True)
class Reading:
    """The input of a gold table in a run: its sources, the tables that its foreign keys name, and what is proven.

    `waits_for`: the sources that are not built yet and without which it is not computed; `notes` say which sources it
    has as they last were good.
    """

    sources: Mapping[str, lake.Snapshot]
    refers: Mapping[str, lake.Snapshot]
    proof: Callable[[], Proof]  # asked where there is something to compute
    waits_for: tuple[str, ...]
    notes: tuple[str, ...]


def declared(project: Project) -> dict[str, tuple[str, ...]]:
    """Return the soft sources of the tables that have some."""
    return {table.id: table.soft_sources for table in project.marts if table.soft_sources}


def read(project: Project, run: Run, table: Table) -> Reading:
    """Return what a table reads in a run, and note there which of its sources are old.

    Raises:
        MachineError: what readers see of a soft source is not there any more.
    """
    old = tuple[OldSource, ...]()
    if table.soft_sources:
        data = project.settings.data_dir
        old = releases.old_sources(project.engine, data, run, lineage(project), declared(project), table.id)
    last_good = {one.source: _version(project, one.source, one.version) for one in old}
    sources = readable(project, table, last_good)
    waiting = waits_for(table, sources)
    if not waiting:
        run.old_sources[table.id] = old
    refers = project.built([name for name in referenced(table) if name not in last_good])
    refers |= {n: last_good[n] for n in referenced(table) if n in last_good and not isinstance(last_good[n], Unbuilt)}
    return Reading(
        sources=sources,
        refers=refers,
        proof=partial(_proof, project, table, last_good),
        waits_for=tuple(waiting),
        notes=tuple(releases.describe_old([one]) for one in old),
    )


def planned(
    project: Project, table: Table, steps: Collection[str], failing: Collection[str]
) -> tuple[dict[str, lake.Snapshot], tuple[str, ...]]:
    """Return the soft sources that a table will have as they last were good, as far as that is known before a run.

    Those are the `failing` ones, and of those that are no step of the run the ones that stay behind. Each is told in
    a note.
    """
    if not table.soft_sources:
        return {}, ()
    stands = {name: Standing(name, None, None, None) for name in table.soft_sources}
    stands |= {s.table: s for s in releases.standings(project.settings.data_dir) if s.table in stands}
    old = [s for s in stands.values() if s.table in failing or (s.table not in steps and s.cause)]
    last_good = {stays.table: _version(project, stays.table, stays.version) for stays in old}
    seen = (f"as of {stays.as_of or 'an earlier run'}" if stays.version is not None else "empty" for stays in old)
    return last_good, tuple(f"with {stays.table} {what}" for stays, what in zip(old, seen, strict=True))


def _version(project: Project, name: str, version: int | None) -> lake.Snapshot:
    if version is None:
        return Unbuilt(project.declared(name))
    try:
        return lake.check_restorable(project.path(name), version)
    except MachineError as error:
        fix = f"make {name} right, whose own step says what is wrong; or restore a backup"
        raise MachineError(f"{name}: {error.what}", where=error.where, fix=fix) from error


def _proof(project: Project, table: Table, last_good: Mapping[str, lake.Snapshot]) -> Proof:
    """Return the proof of a table; none where it speaks of a source's columns and key as they were not yet."""
    for name, found in last_good.items():
        if not isinstance(found, Unbuilt) and not contract.is_current(project.declared(name), found):
            fix = f"make {name} right"
            return Proof({}, Refusal(f"{name} is still as an earlier contract says", None, name, fix))
    return project.proof(table)
