"""Tables that nobody read for 90 days: no person, and no other table either.

Only where the records of reads go back that far. Saved is what such a table weighs, and the seconds of its steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

from src import reads
from src.facts.savings.finding import Finding, Looking
from src.project import upstream

KIND = "unread"
_DAYS = 90


def why_not(looking: Looking) -> str:
    """Return why it cannot be looked for; "" where it can."""
    engine, project = looking.project.engine, looking.project
    reads.publish(engine, project.settings.data_dir)
    first = engine.one(f"SELECT min(moment) FROM {reads.TABLE}")[0]
    since = looking.now - timedelta(days=_DAYS)
    return "" if first is not None and first <= since else f"reads are not recorded for {_DAYS} days yet"


def find(looking: Looking) -> Iterator[Finding]:
    """Yield a finding for each table of silver and gold that nothing and nobody reads."""
    engine, since = looking.project.engine, looking.now - timedelta(days=_DAYS)
    rows = engine.rows(
        f"SELECT DISTINCT unnest(json_extract_string(tables, '$[*]')) FROM {reads.TABLE} "
        f"WHERE moment >= TIMESTAMPTZ '{since.isoformat()}'"
    )
    read = {name for (name,) in rows} | {name for table in looking.declared for name in upstream(table)}
    for table in looking.declared:
        if table.id not in read and table.id in looking.tables:
            evidence = f"no read by a person since {since:%Y-%m-%d}, and no table is built from it"
            size, seconds = looking.stored.get(table.id, 0), looking.seconds.get(table.id, Decimal(0))
            yield Finding(KIND, table.id, size, Decimal(seconds), evidence, _FIX, "middle")


_FIX = "ask its owner whether it is still needed: without its contract its steps end, without its folder its bytes"
