"""What was measured, kept beside the code: one JSON file per scenario, written over by the next run of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.scenarios import Entry

FOLDER = Path(__file__).resolve().parent / "results"


def write(scenario: str, machine: Mapping[str, Any], missing: Mapping[str, str], entries: Sequence[Entry]) -> None:
    """Keep what was measured; tasks that were measured of the same commit before, and not again, stay."""
    path = FOLDER / f"{scenario}.json"
    old = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"machine": {}, "entries": []}
    again = {one.task for one in entries}
    stay = [one for one in old["entries"] if one["task"] not in again] if _same(old["machine"], machine) else []
    found = [*stay, *(one.record() for one in entries)]
    kept = {"scenario": scenario, "machine": machine, "missing": missing, "entries": found}
    FOLDER.mkdir(exist_ok=True)
    path.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether this is the same machine with the same product."""
    return {**one, "date": ""} == {**other, "date": ""}


def read() -> dict[str, dict[str, Any]]:
    """What was measured last of each scenario."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}
