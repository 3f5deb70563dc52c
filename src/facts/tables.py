"""How each feed and table stands, in one word, with what the word is made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from src import catalog, contract, lake
from src.errors import BoathouseError
from src.monitors.freshness import Freshness
from src.project import Project, with_models
from src.run import releases
from src.run.releases import Cause, Standing
from src.run.runs import Record


class State(StrEnum):
    """The states of a table, the gravest first."""

    FAILED = "failed"  # its last step failed, or it cannot be read
    BLOCKED = "blocked"  # its last step was not done, as something upstream failed
    HELD_BACK = "held back"  # it is built, and readers see an earlier version
    STALE = "stale"  # its rows are older than its contract promises, or its feed went quiet
    EMPTY = "empty"  # it is not built yet
    FINE = "fine"


_UNREADABLE = "cannot be read"
SIGNS = {
    State.FAILED: "✗",
    State.BLOCKED: "‖",
    State.HELD_BACK: "◷",
    State.STALE: "!",
    State.EMPTY: "\N{EN DASH}",
    State.FINE: "✓",
}


@dataclass(frozen=True, kw_only=True)
class TableFacts:
    """One feed or table; moments in UTC.

    Rows, files and bytes are those of the newest version; `seen_rows` are those of the version that readers see, which
    is also the one that `freshness` is about. Of a feed or table that no release knows that is the newest.
    """

    id: str
    state: State
    readable: bool = True
    rows: int | None = None  # None: not built
    seen_rows: int | None = None  # None: readers see nothing of it
    files: int | None = None
    bytes: int | None = None
    version: int | None = None  # the newest
    written_at: datetime | None = None
    standing: Standing | None = None  # what readers see of it; None: no release knows it
    freshness: Freshness | None = None  # None: its contract promises nothing
    last_step: Record | None = None  # of the last run that went through it
    critical: bool = False
    draft: bool = False  # the newest version is of a contract that may change under one version
    reason: str = ""  # why it is failed, blocked or held back, in a few words

    @property
    def layer(self) -> str:
        """Return bronze, silver or gold; of what lies beside them quarantine, ops, ..."""
        return self.id.partition(".")[0]

    @property
    def domain(self) -> str:
        """Return the domain, or the mart."""
        return self.id.split(".")[1]

    @property
    def name(self) -> str:
        """Return the name within its domain."""
        return self.id.rpartition(".")[2]


def read_tables(
    project: Project,
    freshness: Mapping[str, Freshness],
    standings: Mapping[str, Standing],
    last_steps: Mapping[str, Record],
    quiet: frozenset[str],
) -> Iterator[TableFacts]:
    """Yield every feed, declared table and model, in the order of a run. `quiet`: the feeds that went quiet."""
    declared = {**project.contracts.silver, **{table.id: table for table in project.marts}}
    for name in (*project.contracts.feeds, *with_models(project)):
        table = declared.get(name)
        step, standing, grade = last_steps.get(name), standings.get(name), freshness.get(name)
        known: dict[str, Any] = {
            "id": name,
            "standing": standing,
            "freshness": grade,
            "last_step": step,
            "critical": table is not None and table.critical,
        }
        try:
            snapshot = project.table(name)
        except BoathouseError:
            yield TableFacts(**known, state=State.FAILED, readable=False, reason=_UNREADABLE)
            continue
        stale = name in quiet or (grade is not None and grade.grade == "POOR")
        state = _state(step, standing, built=snapshot is not None, stale=stale)
        seen_rows = _seen_rows(project, name, standing, snapshot)
        yield TableFacts(
            **known,
            state=state,
            seen_rows=seen_rows,
            reason=project.relative(_reason(state, step, standing)),
            **_sized(snapshot),
        )


def read_beside(project: Project) -> Iterator[TableFacts]:
    """Yield the tables that no contract declares: quarantine and what else lies beside silver, then the ops tables."""
    stored = catalog.tables(project.settings.data_dir)
    declared = {*project.contracts.feeds, *with_models(project)}
    for name in sorted(stored.keys() - declared, key=lambda name: (name.startswith("ops."), name)):
        try:
            snapshot = project.table(name)
        except BoathouseError:
            yield TableFacts(id=name, state=State.FAILED, readable=False, reason=_UNREADABLE)
            continue
        state = State.FINE if snapshot else State.EMPTY
        yield TableFacts(id=name, state=state, seen_rows=snapshot.rows if snapshot else None, **_sized(snapshot))


def _seen_rows(project: Project, name: str, standing: Standing | None, snapshot: lake.Snapshot | None) -> int | None:
    if snapshot is None or (standing and standing.version is None):
        return None
    if standing is None or standing.version == snapshot.version:
        return snapshot.rows
    try:
        seen = lake.open_table(project.path(name), standing.version)
    except BoathouseError:
        return None
    return seen.rows if seen else None


def _reason(state: State, step: Record | None, standing: Standing | None) -> str:
    if state is State.FAILED and step:
        return (step.error_message or "").partition("\n")[0]
    if state is State.BLOCKED and step:
        return f"waits for {step.blocked_by}" if step.blocked_by else "waits"
    if state is State.HELD_BACK and standing:
        return f"held back by {', '.join(standing.held_by)}"
    return releases.describe_old(standing.old) if standing and standing.old else ""


def _state(step: Record | None, standing: Standing | None, *, built: bool, stale: bool) -> State:
    if step and step.status in (State.FAILED, State.BLOCKED):
        return State(step.status)
    if not built:
        return State.EMPTY
    if standing and standing.cause in (Cause.UPSTREAM, Cause.MART):
        return State.HELD_BACK
    return State.STALE if stale else State.FINE


def _sized(snapshot: lake.Snapshot | None) -> dict[str, Any]:
    if snapshot is None:
        return {}
    stamp = lake.commit_info(snapshot.root, snapshot.version).get("timestamp")
    return {
        "rows": snapshot.rows,
        "files": len(snapshot.files),
        "bytes": snapshot.size,
        "version": snapshot.version,
        "written_at": datetime.fromtimestamp(stamp / 1000, UTC) if stamp else None,
        "draft": contract.is_draft(snapshot.properties),
    }
