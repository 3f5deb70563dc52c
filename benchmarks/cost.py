"""What a load that is dealt out takes at any size: arithmetic over what the scenario `scale` measured.

docs/scale.md shows it. Processor seconds are taken to grow with the bytes that landed, as those of the stages do: each
reads its rows once, and none compares all with all. How many tasks there are follows the product's own limits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.figures import Results
from benchmarks.parts import DRIVER

GB = 1e9
A_TASK = 128e6  # bytes of files that one task reads, and the most buckets: as in src/workers/stages.py
MOST_BUCKETS = 200
A_COMMIT = 250  # landed files that bronze commits together, each read by one task: as in src/bronze/ingest.py
CORES = 16  # of a node
SIZES = ((10 * GB, 1), (100 * GB, 10), (1_000 * GB, 50), (10_000 * GB, 200))  # landed, nodes
BY_LANDED, BY_BUCKET = ("hash_files", "read_files"), ("find_shared", "rank")  # other stages: by bytes of bronze
HASH_BYTES = 8  # of a key, in the files that hash_keys stages
STAGES = {
    "hash_files": "bronze: hash files",
    "read_files": "bronze: read them",
    "hash_keys": "silver: hash keys",
    "find_shared": "silver: find hashes that occur twice",
    "judge": "silver: type and check every row",
    "rank": "silver: let the rows of a key contend",
    "write_passing": "silver: write the rows that stay",
    "aggregate": "gold: compute partitions",
}


@dataclass(frozen=True)
class Measured:
    """One load, and what a commit of each number of files took, and then to open the table."""

    rows: int
    repeated: int  # of these, rows that lost against another of their key
    landed: int  # bytes
    bronze: int
    silver_files: int
    stages: Mapping[str, Mapping[str, float]]
    parts: Mapping[str, Mapping[str, float]]
    commits: Mapping[int, tuple[float, float, float, int]]  # seconds, cpu, MiB of memory, bytes of the entry
    openings: Mapping[int, tuple[float, float, float, int]]  # as well, of the table that such a commit left

    @property
    def per_commit_file(self) -> float:
        """Seconds of the driver for each file of a commit, by the largest that was measured."""
        most = max(self.commits)
        return self.commits[most][0] / most


@dataclass(frozen=True)
class Estimate:
    """What a load of so many bytes takes on so many cores."""

    landed: float
    nodes: int
    rows: float
    tasks: int  # of a silver stage
    buckets: int
    processor: float  # seconds, of all stages
    seconds: float  # of all stages, one after the other, each on as many cores as it has tasks for
    staged_files: int  # by hash_keys
    bucket: float  # bytes of hashes in one bucket
    shared: float  # bytes of the hashes that occur twice, all of which every task that judges holds
    committed: int  # files of silver's commit, at least
    committing: float  # seconds of the driver, for silver's commit
    log_entry: float  # bytes


def measured(found: Results) -> Measured | None:
    """What the scenario `scale` has measured, where it has."""
    entries = {one["task"]: one for one in found.get("scale", {"entries": []})["entries"] if not one["failed"]}
    loads = [one for task, one in entries.items() if task.startswith("first load of ")]
    commits, openings = (
        {one["sizes"]["log entry"]["files"]: _taken(one) for task, one in entries.items() if task.startswith(kind)}
        for kind in ("a commit of ", "opening a table of ")
    )
    if not loads or not commits:
        return None
    load = loads[-1]
    held = {table: figures["rows"] for table, figures in load["result"].items()}
    return Measured(
        rows=held["bronze"],
        repeated=held["bronze"] - held["rejected"] - held["silver"],
        landed=load["sizes"]["landed"]["bytes"],
        bronze=load["sizes"]["bronze"]["bytes"],
        silver_files=load["sizes"]["silver"]["files"],
        stages=load["stages"],
        parts=load["parts"],
        commits=dict(sorted(commits.items())),
        openings=openings,
    )


def _taken(entry: Mapping[str, Any]) -> tuple[float, float, float, int]:
    took = entry["rounds"][0]
    return took["seconds"], took["cpu_seconds"], took["peak_mib"], entry["sizes"]["log entry"]["bytes"]


def estimate(one: Measured, landed: float, nodes: int) -> Estimate:
    """What so many bytes would take."""
    cores, times = nodes * CORES, landed / one.landed
    bronze = one.bronze * times
    tasks = max(cores, math.ceil(bronze / A_TASK))
    buckets = min(MOST_BUCKETS, tasks)
    processor, seconds = 0.0, 0.0
    for name, stage in one.stages.items():
        cpu = stage["cpu_seconds"] * times
        cut = max(cores, math.ceil(landed / A_TASK)) if name in BY_LANDED else buckets if name in BY_BUCKET else tasks
        cut = min(cut, A_COMMIT) if name == "read_files" else cut
        processor += cpu
        seconds += cpu / min(cores, cut)
    committed = max(one.silver_files, tasks)
    most = max(one.commits)
    return Estimate(
        landed=landed,
        nodes=nodes,
        rows=one.rows * times,
        tasks=tasks,
        buckets=buckets,
        processor=processor,
        seconds=seconds,
        staged_files=tasks * buckets,
        bucket=one.rows * times * HASH_BYTES / buckets,
        shared=one.repeated * times * HASH_BYTES,
        committed=committed,
        committing=committed * one.per_commit_file,
        log_entry=committed * one.commits[most][3] / most,
    )


def section(found: Results) -> str:
    """The tables of docs/scale.md."""
    one = measured(found)
    if one is None:
        return "Not measured yet: `python -m benchmarks --only scale`.\n"
    machine = found["scale"]["machine"]
    return "\n".join([*_measured_tables(one, machine), *_estimates(one), ""])


def _measured_tables(one: Measured, machine: Mapping[str, Any]) -> Iterator[str]:
    gb, million = one.landed / GB, one.rows / 1e6
    yield (
        f"Measured with `python -m benchmarks --only scale` ({machine['date']}, commit {machine['commit']}, "
        f"{machine['cores']} cores): a first load of {one.rows:,} rows, {one.landed / 1e6:.0f} MB of CSV, by two "
        "workers. Seconds are those of the processor, of all tasks together."
    )
    yield from ("", "| stage | tasks | a million rows | a GB landed |", "| --- | ---: | ---: | ---: |")
    for name, stage in one.stages.items():
        cpu = stage["cpu_seconds"]
        yield f"| {STAGES.get(name, name)} (`{name}`) | {stage['tasks']:.0f} | {cpu / million:.2f} | {cpu / gb:.1f} |"
    total = sum(stage["cpu_seconds"] for stage in one.stages.values())
    yield f"| all stages | | {total / million:.2f} | {total / gb:.1f} |"
    driver = one.parts[DRIVER]["cpu_seconds"]
    share = driver / sum(part["cpu_seconds"] for part in one.parts.values())
    read, written = (
        " to ".join(
            f"{end(part[kind] for name, part in one.parts.items() if name != DRIVER):.0f}" for end in (min, max)
        )
        for kind in ("read_mib", "written_mib")
    )
    yield from (
        "",
        f"The driver took {driver:.1f} s of the processor, {share:.0%} of all: start, plan, commits, audits, records. "
        f"Each worker read {read} MiB and wrote {written} MiB. "
        f"What landed became {one.bronze / 1e6:.0f} MB of bronze and {one.silver_files} files of silver.",
        "",
        "One commit by the driver, which forces each file to disk before it names it, and the table opened and its "
        "files listed by another process:",
        "",
        "| files | commit, s | of the processor | memory MiB | log entry MB "
        "| open, s | of the processor | memory MiB |",
        f"|{' ---: |' * 8}",
    )
    for files, (seconds, cpu, peak, entry) in one.commits.items():
        opened, opened_cpu, opened_peak, _ = one.openings[files]
        yield (
            f"| {files:,} | {seconds:.1f} | {cpu:.2f} | {peak:.0f} | {entry / 1e6:.1f} | "
            f"{opened:.1f} | {opened_cpu:.2f} | {opened_peak:.0f} |"
        )


def _estimates(one: Measured) -> Iterator[str]:
    head = (
        "landed",
        "rows, millions",
        f"nodes of {CORES} cores",
        "processor hours",
        "seconds of all stages",
        "driver: commit silver, s",
        "tasks of a silver stage",
        "files staged by `hash_keys`",
        "hashes in a bucket, MB",
        "repeated hashes in each task of `judge`, MB",
        "log entry MB",
    )
    yield from (
        "",
        "**Arithmetic, not measured**, from the figures above:",
        "",
        f"| {' | '.join(head)} |",
        f"|{' ---: |' * len(head)}",
    )
    for landed, nodes in SIZES:
        load = estimate(one, landed, nodes)
        yield (
            f"| {landed / GB:,.0f} GB | {load.rows / 1e6:,.0f} | {nodes} | {load.processor / 3600:,.1f} | "
            f"{load.seconds:,.0f} | {load.committing:,.0f} | {load.tasks:,} | "
            f"{load.staged_files:,} | {load.bucket / 1e6:,.1f} | {load.shared / 1e6:,.0f} | "
            f"{load.log_entry / 1e6:,.1f} |"
        )
