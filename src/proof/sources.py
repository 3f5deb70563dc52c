"""What the proof knows of a source: its columns, what is unique in it, and which columns follow from others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Source:
    """A table that a model reads."""

    id: str  # "" for the columns that a set operation gives
    columns: Mapping[str, str]  # name: DuckDB type
    key: tuple[str, ...] = ()  # empty: nothing is known to be unique
    generated: Mapping[str, str] = field(default_factory=dict)  # column: SQL over the table's other columns
