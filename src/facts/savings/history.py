"""History that nobody needs: files that left their table longer ago than vacuum keeps, where no vacuum came for them.

Saved is what `make vacuum` would remove now. Where one ran within eight days the next is to come, and nothing is found.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

from src.facts.savings.finding import Finding, Looking
from src.maintenance import vacuum
from src.run.kinds import RunKind

KIND = "history"
_EVERY = timedelta(days=8)


def why_not(looking: Looking) -> str:
    """Return why it cannot be looked for; "" where it can."""
    return "" if looking.has_runs else "no run is recorded"


def find(looking: Looking) -> Iterator[Finding]:
    """Yield one finding for the lake where a vacuum is due."""
    last = looking.project.engine.one(
        f"SELECT max(start_time) FROM ops.pipeline_runs WHERE kind = '{RunKind.VACUUM}' AND status = 'success'"
    )[0]
    if last is not None and looking.now - last < _EVERY:
        return
    steps = vacuum.plan(looking.project.settings.data_dir, vacuum.RETENTION, looking.now.timestamp())
    going = [step for step in steps if step.gone]
    if not going:
        return
    files, size = sum(len(step.gone) for step in going), sum(step.freed for step in going)
    since = f"the last vacuum was on {last:%Y-%m-%d}" if last else "there was no vacuum yet"
    evidence = f"{files:,} files of {len(going):,} tables left them over {vacuum.RETENTION} hours ago; {since}"
    fix = "`make vacuum`; `make schedule` does it every week"
    yield Finding(KIND, "lake", size, Decimal(0), evidence, fix, "low")
