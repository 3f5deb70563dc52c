"""Rollback makes a whole release the newest again; the next run goes forward from there.

Silver, gold, quarantine, deletions and statements are restored with the progress they had. Bronze is not: its rows
are only ever added, and the next run consumes again those that came after the release. Of a model the version is
active again that was so when the release was scored; no trained version is lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from src import catalog, lake
from src.ml import registry
from src.ml.scored import SCORED_BY, SCORED_WITH
from src.ml.versions import Status
from src.project import Project
from src.run import releases
from src.run.revision import Revision
from src.run.runs import Run

# a table before what lies beside it: were the quarantine restored first and the process killed, the rows
# between would be missing from it, while the other way round the next run finishes
_ORDER = ("silver", "quarantine", "deletions", "statements", "gold")


@dataclass(frozen=True)
class TableRollback:
    """One table to restore: the version it has and the version whose content it gets back."""

    table: str
    now: int
    back: int


@dataclass(frozen=True)
class ModelRollback:
    """One model of which another version becomes active again; None: none."""

    model: str
    now: int | None
    back: int | None


def plan(project: Project, versions: Mapping[str, int]) -> list[TableRollback]:
    """Return the tables that a rollback to these versions would restore, in order; change nothing."""
    steps = []
    for layer in _ORDER:
        for name in catalog.tables(project.settings.data_dir):
            table = project.table(name) if name.startswith(f"{layer}.") else None
            if table and name in versions and table.version != versions[name]:
                steps.append(TableRollback(name, table.version, versions[name]))
    return steps


def plan_models(project: Project, versions: Mapping[str, int]) -> list[ModelRollback]:
    """Return the models of which another version scored the tables of a release than is active now; change nothing."""
    steps = []
    for table in project.marts:
        if table.scored_by is None or table.id not in versions:
            continue
        scored = lake.open_table(project.path(table.id), versions[table.id])
        versions_of = registry.versions(project.engine, project.table(table.scored_by))
        now = next((one.version for one in versions_of if one.status == Status.ACTIVE), None)
        back = (scored.progress(SCORED_WITH) if scored else None) or None
        if now != back and back in {None, *(one.version for one in versions_of)}:  # else its versions were lost
            steps.append(ModelRollback(table.scored_by, now, back))
    return list(dict.fromkeys(steps))


def execute(
    project: Project,
    steps: list[TableRollback],
    versions: Mapping[str, int],
    run: Run,
    revision: Revision | None = None,
    models: Sequence[ModelRollback] = (),
) -> None:
    """Restore every table of the plan, and make that the newest release; `revision`: the one that made its data.

    `models`: those of which another version becomes active again.

    Raises:
        MachineError: vacuum removed a version; nothing was changed.
    """
    for step in steps:
        lake.check_restorable(project.path(step.table), step.back)
    names = list(catalog.tables(project.settings.data_dir))
    names += [SCORED_WITH, SCORED_BY]
    names += [name(feed) for feed in project.contracts.feeds for name in (lake.waiting_of, lake.empties_of)]
    data, restored = project.settings.data_dir, dict(versions)
    as_of = releases.runs_of(project.engine, data, versions)
    for step in steps:
        table = project.table(step.table)
        if table:
            restored[step.table] = lake.restore(table, step.back, names).version
    for model in models:
        _activate(project, model, run)
    # what stayed behind is forgotten: the next run goes forward from here and says again what does
    behind = {
        name: releases.Standing(name, restored[name], restored[name], as_of.get(name), old=old)
        for name, old in releases.with_old_sources(project.engine, data, versions).items()
    }
    drafts = releases.drafts_of(data, restored)
    release = releases.Release(restored, as_of, behind, revision, drafts)
    releases.add(project.engine, data, run, release)


def _activate(project: Project, step: ModelRollback, run: Run) -> None:
    data, why, by = project.settings.data_dir, run.command, run.started_by
    if step.back is None:
        registry.retire(project.engine, data, step.model, why, run.clock(), by)
    else:
        registry.promote(project.engine, data, step.model, step.back, why, run.clock(), by)
