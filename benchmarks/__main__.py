"""Speed and memory of Boathouse beside its peers, from one command.

Usage: make bench, or python -m benchmarks; ARGS="--full" measures everything. What is made on the way (rows,
venvs of the peers, tables) lies below BENCH_DIR, .bench where it is not set, and is used again.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import machine, peers, render, results
from benchmarks.contenders import ROOT, Boathouse, Floor, Missing
from benchmarks.measure import Failed
from benchmarks.plan import HISTORIES, SCENARIOS, Bench
from benchmarks.scenarios import Entry, Unequal

DEFAULT = ["first", "daily-30k", "daily-300k", "bronze", "late", "idle", "backfill"]  # what 1m is enough for


def main(typed: list[str]) -> int:
    words = _words(typed)
    if words.render:
        render.write(ROOT)
        return 0
    folder = Path(os.environ.get("BENCH_DIR") or ROOT / ".bench").resolve()
    bench = Bench(folder, words.sizes, words.rounds, words.fresh, words.quick, Boathouse(), Floor(), peers.everyone())
    missing, refused = _ready(bench, words.contenders), list[str]()
    for name in words.only:
        print(f"\n{name}", flush=True)
        try:
            for entries in SCENARIOS[name](bench):
                show(entries)
                if not words.no_record:  # at once: what comes after may fail
                    results.write(name, machine.described(), missing, entries)
        except (Unequal, Failed, Missing) as error:
            print(f"refused: {name}: {error}", flush=True)
            refused.append(name)
    if not words.no_record:
        render.write(ROOT)
    return int(bool(refused))


def _ready(bench: Bench, chosen: Sequence[str] | None) -> dict[str, str]:
    """Keep the contenders that can take part; returns the others with the reason, which the results will tell."""
    missing: dict[str, str] = {}
    wanted = [peer for peer in bench.peers if chosen is None or peer.slug in chosen]
    bench.peers = []
    bench.boathouse.prepare(bench.folder)
    for peer in wanted:
        try:
            peer.prepare(bench.folder)
            bench.peers.append(peer)
        except Missing as reason:
            missing[peer.name] = str(reason)
            print(f"missing: {peer.name}: {reason}")
    return missing


def show(entries: Sequence[Entry]) -> None:
    """Medians, and how often the floor's."""
    wide = max(len(f"{entry.task}: {entry.contender}") for entry in entries)
    print(f"\n{'':{wide}}{'seconds':>9}{'x floor':>9}{'cpu s':>8}{'peak MiB':>10}{'written MiB':>13}")
    floors = {entry.task: entry for entry in entries if entry.contender == Floor.name}
    for entry in entries:
        label = f"{entry.task}: {entry.contender}"
        if entry.failed:
            print(f"{label:{wide}} {entry.failed}")
            continue
        seconds, cpu, _, written = (statistics.median(column) for column in zip(*entry.rounds, strict=True))
        floor = floors.get(entry.task)
        ratio = f"{seconds / statistics.median(one.seconds for one in floor.rounds):.2f}" if floor else ""
        peak = max(figures.peak_mib for figures in entry.rounds)
        print(f"{label:{wide}}{seconds:9.2f}{ratio:>9}{cpu:8.2f}{peak:10.0f}{written:13.1f}")


def _words(typed: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--full", action="store_true", help="every scenario at every size (some hours, 40 GB of disk)")
    parser.add_argument("--quick", action="store_true", help="1m, no peers, 2 rounds, not recorded")
    parser.add_argument("--only", nargs="+", choices=SCENARIOS, help="these scenarios")
    parser.add_argument("--sizes", nargs="+", choices=HISTORIES, help="these histories (default: 1m)")
    slugs = [peer.slug for peer in peers.everyone()]
    parser.add_argument("--contenders", nargs="*", choices=[*slugs, "none"], help="these peers alone")
    parser.add_argument("--rounds", type=int, help="rounds (default: 5 of short work, 3 of long)")
    parser.add_argument("--fresh", action="store_true", help="load the histories again that tasks start from")
    parser.add_argument("--no-record", action="store_true", help="print only; results and docs stay as they are")
    parser.add_argument("--render", action="store_true", help="write docs/performance.md from the results")
    words = parser.parse_args(typed)
    words.only = words.only or (list(SCENARIOS) if words.full else DEFAULT)
    words.sizes = words.sizes or (["1m", "10m", "30m"] if words.full else ["1m"])
    if words.quick:
        words.contenders, words.rounds, words.no_record = [], words.rounds or 2, True
    return words


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
