"""What was measured, kept beside the code: one JSON file per scenario, written over by the next run of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.scenarios import Entry

FOLDER = Path(__file__).resolve().parent / "results"


def write(scenario: str, machine: Mapping[str, Any], missing: Mapping[str, str], entries: Sequence[Entry]) -> None:
    kept = {"scenario": scenario, "machine": machine, "missing": missing, "entries": [one.record() for one in entries]}
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{scenario}.json").write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def read() -> dict[str, dict[str, Any]]:
    """What was measured last of each scenario."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}
