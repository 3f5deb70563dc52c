"""The models of models.sql, each with what the proof has to say of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from proof_truth.splice import Model
from proof_truth.tables import COLUMNS
from src.contract import Column

_TYPES = {"day": "DATE", "month": "DATE", "year": "INTEGER", "buyer": "VARCHAR"}  # of partition columns
_TABLE = re.compile(rf"(\bFROM |\bJOIN |, |\()({'|'.join(COLUMNS)})\b(?!\.)")


@dataclass(frozen=True)
class Case:
    model: Model
    proven: bool


def load() -> list[Case]:
    """The models in the order of the file."""
    text = Path(__file__).with_name("models.sql").read_text(encoding="utf-8")
    found, heading = list[Case](), ""
    for block in re.split(r"(^-- .*\n)", text, flags=re.MULTILINE):
        if block.startswith("-- "):
            heading = block.removeprefix("-- ").strip()
            continue
        found += [_case(heading, " ".join(sql.split())) for sql in block.split(";\n") if sql.strip()]
    return found


def _case(heading: str, sql: str) -> Case:
    verdict, partition, lookback = (part.strip() for part in heading.split("|"))
    name, _, expression = (part.strip() for part in partition.partition("="))
    column = Column(name, _TYPES[name], expression=expression or None)
    model = Model(_TABLE.sub(r"\1silver.shop.\2", sql), column, int(lookback))
    return Case(model, proven={"proven": True, "refused": False}[verdict])
