"""Results as figures: medians, ranges and the ratios that are compared with the targets."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.contenders import Boathouse, Floor

Results = Mapping[str, Mapping[str, Any]]  # by scenario, as benchmarks/results.py reads them
OWN, FLOOR, LESSON = Boathouse.name, Floor.name, "tutorial: polars, merge"
MIB_IN_GB = 2**20 / 1e9


@dataclass(frozen=True)
class Row:
    """One contender with one task, over its rounds."""

    scenario: str
    task: str
    contender: str
    seconds: float  # median, as cpu_seconds and written_mib
    fastest: float
    slowest: float
    cpu_seconds: float
    peak_mib: float  # of the round with the highest
    written_mib: float
    rounds: int
    failed: str


def rows(results: Results) -> list[Row]:
    """Every entry of every scenario."""
    return [_row(name, entry) for name, found in results.items() for entry in found["entries"]]


def _row(scenario: str, entry: Mapping[str, Any]) -> Row:
    def column(name: str) -> list[float]:
        return [figures[name] for figures in entry["rounds"]] or [0.0]

    seconds = column("seconds")
    return Row(
        scenario=scenario,
        task=entry["task"],
        contender=entry["contender"],
        seconds=statistics.median(seconds),
        fastest=min(seconds),
        slowest=max(seconds),
        cpu_seconds=statistics.median(column("cpu_seconds")),
        peak_mib=max(column("peak_mib")),
        written_mib=statistics.median(column("written_mib")),
        rounds=len(entry["rounds"]),
        failed=entry["failed"],
    )


class Measured:
    """Look-ups over results that give None for what was not measured, or did not end well."""

    def __init__(self, results: Results) -> None:
        self.results = results
        self.rows = {(row.scenario, row.task, row.contender): row for row in rows(results) if not row.failed}

    def seconds(self, scenario: str, task: str, contender: str = OWN) -> float | None:
        row = self.rows.get((scenario, task, contender))
        return row.seconds if row else None

    def cpu_seconds(self, scenario: str, task: str, contender: str = OWN) -> float | None:
        row = self.rows.get((scenario, task, contender))
        return row.cpu_seconds if row else None

    def gigabytes(self, scenario: str, task: str, contender: str = OWN) -> float | None:
        row = self.rows.get((scenario, task, contender))
        return row.peak_mib * MIB_IN_GB if row else None

    def bytes_of(self, scenario: str, folder: str, at: str) -> float | None:
        """The bytes of a folder after a round of a scenario's first entry."""
        entries = self.results.get(scenario, {}).get("entries", [{}])
        found: float | None = entries[0].get("sizes", {}).get(at, {}).get(folder)
        return found

    def to_floor(self, scenario: str, task: str) -> float | None:
        return ratio(self.seconds(scenario, task), self.seconds(scenario, task, FLOOR))

    def fastest_peer(self, scenario: str, task: str) -> Row | None:
        """Of those who ended with the same tables; others are not here, and the script is no peer: it is a lesson."""
        peers = [row for row in self.rows.values() if (row.scenario, row.task) == (scenario, task)]
        others = [row for row in peers if not row.contender.startswith(OWN) and row.contender not in (FLOOR, LESSON)]
        return min(others, key=lambda row: row.seconds, default=None)

    def to_fastest_peer(self, scenario: str, task: str, contender: str = OWN) -> float | None:
        fastest = self.fastest_peer(scenario, task)
        return ratio(self.seconds(scenario, task, contender), fastest.seconds if fastest else None)

    def series(self, scenario: str, figure: str = "seconds") -> list[float]:
        """One figure of the rounds of a scenario's first entry, in order."""
        if scenario not in self.results:
            return []
        return [figures[figure] for figures in self.results[scenario]["entries"][0]["rounds"]]

    def late_to_early(self, figure: str = "seconds") -> float | None:
        """The last ten of the days against the ten around the tenth, medians: one run alone is noise."""
        days = self.series("days", figure)
        if len(days) < 100:
            return None
        return statistics.median(days[-10:]) / statistics.median(days[5:15])


def ratio(one: float | None, other: float | None) -> float | None:
    return one / other if one is not None and other else None
