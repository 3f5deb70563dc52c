"""What hangs on what in a lake: the lineage, what brings its files, the release. Findings are folded by it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from src.causes import Families
from src.errors import BoathouseError
from src.monitors import Findings, landing
from src.project import Project
from src.run import history
from src.run.releases import Standing

_DUE_HOURS = 26.0  # where nothing says how often a run is due
_LANDING_ZONE = landing.INCIDENT.partition(" ")[2]


def read_families(
    project: Project,
    upstream: Mapping[str, Collection[str]],
    standings: Mapping[str, Standing],
    found: Findings,
    now: datetime,
) -> Families:
    """Return what hangs on what at a moment (UTC). `upstream`: the lineage of feeds and tables."""
    brings: dict[str, tuple[str, ...]] = {}
    sources: dict[str, str] = {}
    for feed in project.contracts.feeds.values():
        brings[feed.id] = (_LANDING_ZONE, feed.pull_id) if feed.source else (_LANDING_ZONE,)
        sources |= {feed.id: feed.source.name, feed.pull_id: feed.source.name} if feed.source else {}
    return Families(
        upstream={name: (*brings.get(name, ()), *above) for name, above in upstream.items()},
        held_by={name: standing.held_by for name, standing in standings.items() if standing.cause},
        sources=sources,
        runs_start=_runs_start(project, found, now),
    )


def _runs_start(project: Project, found: Findings, now: datetime) -> bool:
    """Return whether the pipeline was started since a run was due, however that ended; nothing known counts as yes."""
    due = next((row.bound for row in found.expected if row.what == "pipeline run"), _DUE_HOURS)
    try:
        if not history.publish(project.engine, project.settings.data_dir):
            return False
        last = project.engine.one(f"SELECT max(start_time) FROM ops.pipeline_runs WHERE {history.PIPELINE}")[0]
    except BoathouseError:
        return True
    return last is not None and now - last <= timedelta(hours=due)
