"""What hangs on what in a lake: the lineage, what brings its files, the release. Findings are folded by it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from src import landing_zone
from src.causes import Families
from src.errors import BoathouseError
from src.monitors import Findings
from src.project import Project, learns_from, lineage
from src.run import history, releases
from src.run.releases import Standing

_UNSEEN = Findings()
_DUE_HOURS = 26.0  # where nothing says how often a run is due
_LANDING_ZONE = landing_zone.INCIDENT.partition(" ")[2]


def read_families(
    project: Project, standings: Mapping[str, Standing], now: datetime, found: Findings = _UNSEEN
) -> Families:
    """Return what hangs on what at a moment (UTC). `found`: what the monitors find, where they looked."""
    brings: dict[str, tuple[str, ...]] = {}
    sources: dict[str, str] = {}
    for feed in project.contracts.feeds.values():
        brings[feed.id] = (_LANDING_ZONE, feed.pull_id) if feed.source else (_LANDING_ZONE,)
        sources |= {feed.id: feed.source.name, feed.pull_id: feed.source.name} if feed.source else {}
    upstream: dict[str, Collection[str]] = {
        name: (*brings.get(name, ()), *above) for name, above in lineage(project).items()
    }
    return Families(
        upstream=upstream | learns_from(project),
        held_by={name: standing.held_by for name, standing in standings.items() if standing.cause},
        sources=sources,
        runs_start=_runs_start(project, found, now),
    )


def read_standings(project: Project) -> dict[str, Standing]:
    """Return how each table stands; nothing where the release cannot be read, which is among the problems then."""
    try:
        return {standing.table: standing for standing in releases.standings(project.settings.data_dir)}
    except BoathouseError:
        return {}


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
