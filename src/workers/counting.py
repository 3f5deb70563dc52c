"""Rows counted by workers, for the audits of a table: how many there are, and how many meet each condition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from src.contract import Table
from src.workers import tasks
from src.workers.stages import Stages
from src.workers.tasks import Staged


def counted(
    stages: Stages, table: Table, parts: Sequence[tuple[Staged, Staged | None]], conditions: Sequence[str]
) -> list[int]:
    """Return how many rows these parts have, and how many meet each condition; each part but for other rows."""
    shares = [
        tasks.Counting(table, replace(rows, files=some), but, tuple(conditions))
        for rows, but in parts
        for some in stages.shares(rows.files)
    ]
    found = stages.deal(table.id, tasks.count_rows, shares)
    return [sum(numbers) for numbers in zip(*found, strict=True)] or [0] * (1 + len(conditions))
