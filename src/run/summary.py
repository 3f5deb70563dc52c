"""What a run did, for a person: a table of what changed, then the heartbeat."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from decimal import Decimal

from src import console
from src.run.runs import Record


def changes(records: Sequence[Record]) -> None:
    """Print the table at the end of a run: what changed in each table, and how long it took; nothing without a step."""
    if not records:
        return
    counts = [
        name
        for name in ("superseded", "conflicts", "forgotten", "removed")
        if any(getattr(record, name) for record in records)
    ]
    headers = ("table", "status", "read", "written", "same", *counts, "quarantined", "partitions", "seconds")
    rows = [
        (
            record.table_id,
            _status(record),
            record.records_read,
            record.records_written,
            record.unchanged + record.duplicates,
            *(getattr(record, name) for name in counts),
            record.quarantined,
            record.partitions,
            Decimal(f"{record.latency:.2f}"),
        )
        for record in records
        if record.layer != "run"
    ]
    console.table(headers, rows)
    for record in records:
        for note in (record.notes or "").splitlines() if record.layer != "run" else ():
            print(f"note: {record.table_id}: {console.plain(note)}")


def finished(run: Record, steps: Sequence[Record]) -> None:
    """Print the heartbeat of a run that succeeded, on stdout."""
    steps = [step for step in steps if step.layer not in ("seeds", "landing")]  # what lands is no table yet
    changed = sum(_changed(step) for step in steps)
    changes_text = f"{changed} of {len(steps)} tables changed" if changed else "0 changed"
    line = f"✓ Pipeline Finished: Processed {run.records_read:,} records"
    print(f"{console.coloured(line, console.GREEN, sys.stdout)} ({changes_text}, {run.latency:.1f} s)")


def _changed(step: Record) -> bool:
    return bool(step.records_written or step.partitions or step.quarantined or step.removed or step.files)


def _status(record: Record) -> str:
    if record.status != "success":
        return record.status
    return "changed" if _changed(record) else "no change"
