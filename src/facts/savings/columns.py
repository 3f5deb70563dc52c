"""Columns of bronze that no table reads: they are stored with every file.

Saved are their bytes in the files of the newest version, as the files' own footers tell.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from src.contract import Feed
from src.engine import literal
from src.facts.savings.finding import Finding, Looking
from src.facts.wording import pluralized
from src.lake import Snapshot

KIND = "columns"
_PART = 5  # at least a fifth of the table
_NAMED = 5


def why_not(looking: Looking) -> str:
    """Return why it cannot be looked for; "" where it can."""
    return ""


def find(looking: Looking) -> Iterator[Finding]:
    """Yield a finding for each bronze table a good part of which nobody reads."""
    for feed in looking.project.contracts.feeds.values():
        table = looking.tables.get(feed.id)
        read = looking.project.expecting(feed).reads
        if table is None or not table.files or not read:
            continue
        unread = [name for name in table.columns if not name.startswith("_") and name.lower() not in read]
        sizes = _sizes(looking, table, unread) if unread else {}
        total = sum(sizes.values())
        if total * _PART < table.size or not total:
            continue
        largest = sorted(sizes, key=lambda name: -sizes[name])
        named = ", ".join(largest[:_NAMED]) + (f" and {len(largest) - _NAMED} more" if len(largest) > _NAMED else "")
        count = pluralized(len(sizes), "column")
        evidence = f"{total:,} of {table.size:,} bytes are of {count} no contract reads: {named}"
        yield Finding(KIND, feed.id, total, Decimal(0), evidence, _fix(feed), "middle")


def _sizes(looking: Looking, table: Snapshot, columns: list[str]) -> dict[str, int]:
    """Return the bytes of these columns, packed as they are stored."""
    paths = [str(table.root / file.path) for file in table.files]
    rows = looking.project.engine.rows(
        "SELECT string_split(path_in_schema, ', ')[1] AS name, sum(total_compressed_size)::BIGINT "
        f"FROM parquet_metadata({literal(paths)}) GROUP BY 1"
    )
    return {name: size for name, size in rows if name in columns}


def _fix(feed: Feed) -> str:
    if feed.source:
        return f"ask {feed.source.connector} for the other columns alone"
    return "ask who sends the files to leave them out: bronze keeps what arrives"
