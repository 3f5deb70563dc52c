"""The step of a run that builds one table of a mart: from its sources, or by the model that scores it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from src.checks.outcome import Outcome
from src.contract import Table
from src.gold import aggregate
from src.project import Project
from src.run import soft_sources
from src.run.runs import Run
from src.run.soft_sources import Reading

if TYPE_CHECKING:
    from src.gold.slabs import Slabbing

_NONE: Mapping[str, str] = {}


def build(
    project: Project,
    table: Table,
    run: Run,
    *,
    full_refresh: bool = False,
    again: Mapping[str, str] = _NONE,
    others: Slabbing | None = None,
) -> Outcome:
    """Bring a table up to the versions of its sources, or say what it waits for.

    `again`: relations of source rows, by source, whose partitions are computed even though no row changed; `others`
    compute in place of this process, where there is much to read.

    Raises:
        BoathouseError: what it reads, or its rows, are not right; nothing was committed.
    """
    reading = soft_sources.read(project, run, table)
    if reading.waits_for:
        return Outcome(notes=(f"waits for {', '.join(reading.waits_for)}, not built yet",))
    if table.scored_by:
        return _scored(project, table, run, reading, full_refresh=full_refresh)
    outcome = aggregate.run(
        project.engine,
        table,
        project.path(table.id),
        reading.sources,
        reading.refers,
        reading.proof,
        batch=run.run_id,
        again={name: rows for name, rows in again.items() if name in table.sources},
        full_refresh=full_refresh,
        others=others,
    )
    return replace(outcome, notes=(*outcome.notes, *reading.notes))


def _scored(project: Project, table: Table, run: Run, reading: Reading, *, full_refresh: bool) -> Outcome:
    from src.ml import scoring  # where there is a model, and nowhere else: importing takes time
    from src.ml.scored import scored_table

    return scoring.run(
        project.engine,
        scored_table(project.contracts, table),
        project.path(table.id),
        reading.sources,
        reading.refers,
        batch=run.run_id,
        now=run.started,
        full_refresh=full_refresh,
    )
