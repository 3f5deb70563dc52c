"""Deliveries of a whole that changed little: most rows of a feed were there already, just as they came.

Saved are the bytes that bronze keeps of them, as it keeps all, and the seconds that went to reading them. The first
load of a table, which brings everything, is among the rows that are counted and speaks against the finding.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from src.contract import Table
from src.facts.savings.finding import Finding, Looking
from src.facts.wording import pluralized

KIND = "unchanged"
_MOST = Decimal("0.9")  # of the rows


def why_not(looking: Looking) -> str:
    """Return why it cannot be looked for; "" where it can."""
    return looking.too_young


def find(looking: Looking) -> Iterator[Finding]:
    """Yield a finding for each silver table whose feeds bring the same rows again and again."""
    rows = looking.project.engine.rows(
        "SELECT table_id, sum(records_read)::BIGINT, sum(unchanged + duplicates)::BIGINT, count(*) "
        "FROM ops.pipeline_runs WHERE layer = 'silver' AND status = 'success' AND records_read > 0 "
        f"AND start_time >= DATE '{looking.since}' GROUP BY 1"
    )
    for name, read, same, runs in rows:
        table = looking.project.contracts.silver.get(name)
        share = Decimal(same) / read
        if table is None or share < _MOST:
            continue
        brought = sum(_bytes(looking, feed.id) for feed in table.feeds)
        seconds = sum((looking.seconds.get(one, Decimal(0)) for one in _steps(table)), Decimal(0)) * share
        of_runs = f"{pluralized(runs, 'run')} of {looking.days} days"
        evidence = f"of {read:,} rows in {of_runs} {same:,} were there already"
        size = int(looking.monthly(brought) * share)
        yield Finding(KIND, name, size, seconds.quantize(Decimal("0.001")), evidence, _fix(table), "middle")


def _bytes(looking: Looking, feed: str) -> int:
    """Return the bytes that a bronze table gained in these days, by its files."""
    table = looking.tables.get(feed)
    if table is None or not table.rows:
        return 0
    brought = looking.project.engine.one(
        f"SELECT coalesce(sum(inserted), 0)::BIGINT FROM ops.pipeline_runs WHERE table_id = '{feed}' "
        f"AND status = 'success' AND start_time >= DATE '{looking.since}'"
    )[0]
    return int(table.size * brought / table.rows)


def _steps(table: Table) -> list[str]:
    return [table.id, *(feed.id for feed in table.feeds), *(feed.pull_id for feed in table.feeds)]


def _fix(table: Table) -> str:
    sources = [feed.source.connector for feed in table.feeds if feed.source]
    asked = f"ask {', '.join(sources)} for what changed" if sources else "let the files bring what changed"
    gone = "; what is deleted then has to be told, see `deleteWhen`" if table.replaces is not None else ""
    return f"{asked} since the last time, not for the whole{gone}"
