"""Files too small: each has a footer that says what is in it, which many files have many times.

Saved are the bytes of the footers that fewer files need not have, as they are in the newest files. Files that lie
together in a partition are joined by `make optimize`; where partitions of a day have one small file each, months would
have a thirtieth of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from src import lake
from src.facts.savings.finding import Finding, Looking
from src.facts.wording import pluralized
from src.lake import DataFile, Snapshot

KIND = "files"
_SMALL = 1_000_000  # bytes: the mean file of a table whose partitions are too fine
_PARTITIONS = 60  # fewer are no matter
_FEWER = 4  # times: less does not pay the work
_ASKED = 50  # files whose footers are read


def why_not(looking: Looking) -> str:
    """Return why it cannot be looked for; "" where it can."""
    return ""


def find(looking: Looking) -> Iterator[Finding]:
    """Yield a finding for each table of which fewer files would do."""
    for name, table in looking.tables.items():
        crowded = lake.crowded(table)
        joined = sum(map(len, crowded.values())) - len(crowded)
        if joined:
            files = sum(map(len, crowded.values()))
            evidence = f"{files:,} small files lie in {pluralized(len(crowded), 'partition')}"
            yield _finding(name, table, joined, evidence, "`make optimize` joins them", "low")
        elif months := _months(table):
            size, count = table.size // len(table.files), len(table.files)
            evidence = f"{count:,} files of {size:,} bytes in the mean, in partitions of {pluralized(months, 'month')}"
            fix = (
                f"partition it by the month of {table.partition_by[0]}: a column for it in the contract, and a rebuild"
            )
            yield _finding(name, table, count - months, evidence, fix, "high")


def _finding(name: str, table: Snapshot, fewer: int, evidence: str, fix: str, effort: str) -> Finding:
    footers = [lake.footer_size(table.root, file) for file in _newest(table)]
    mean = sum(footers) // len(footers)
    evidence += f"; of each {mean:,} bytes are its footer"
    return Finding(KIND, name, fewer * mean, Decimal(0), evidence, fix, effort)


def _newest(table: Snapshot) -> tuple[DataFile, ...]:
    return table.files[-_ASKED:]


def _months(table: Snapshot) -> int:
    """Return how many months the partitions of a table are of; 0 where they are no days, or not too fine."""
    if len(table.partition_by) != 1 or table.columns[table.partition_by[0]] != "DATE" or not table.files:
        return 0
    days = {table.partition_of(file)[0] for file in table.files}
    months = len({day[:7] if day else None for day in days})
    fine = len(days) >= _PARTITIONS and table.size < _SMALL * len(table.files)
    return months if fine and len(table.files) >= _FEWER * months else 0
