"""Work on many processes, or many machines: `ENGINE=workers` or `spark`. The answer is that of one machine.

Workers do tasks: the project's own code, with an engine each. What one load needs of them is in `tasks`; `stages` is
the driver's side; `merging`, `reading` and `slabs` say which stages a step of each layer has; `local` and `spark` are
who does the tasks.
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from src import store
from src.engine import AUTOMATIC, LEAST_OF_A_CORE, room_beside
from src.project import Project

if TYPE_CHECKING:
    from src.bronze.ingest import Readers
    from src.gold.slabs import Slabbing
    from src.settings import Settings
    from src.silver.merge import Merge
    from src.silver.slices import Computing
    from src.workers.stages import Runner, Stages

_UNITS = {"MB": 10**6, "GB": 10**9}
_STAGES = {  # of a silver table computed whole, in narrow passes or not
    "bronze": ("hash", "read"),
    "silver": ("type", "contend", "rewrite"),
    "passes": ("hash keys", "find shared", "judge", "rank", "write"),
    "gold": ("aggregate",),
}


class Others(Protocol):
    """Those who do the large loads of each layer in place of this process; None: it does them itself."""

    @property
    def readers(self) -> Readers | None:
        """Return those who read landed files."""

    @property
    def merging(self) -> Callable[..., Merge] | None:
        """Return what makes the merge of a silver table."""

    @property
    def whole(self) -> Computing | None:
        """Return what computes a silver table whole, of which a slice is wanted."""

    @property
    def slabs(self) -> Slabbing | None:
        """Return those who compute the partitions of marts."""


class _Nobody:
    """Nobody does anything in place of this process."""

    readers = merging = whole = slabs = None


@contextmanager
def opened(project: Project) -> Iterator[Others]:
    """Return who does the large loads of a run within a with-block, as ENGINE says.

    Raises:
        TransientError: the cluster does not answer.
        UsageError: the settings of the cluster are wrong.
    """
    with dealing(project) as stages:
        yield stages or _Nobody()


@contextmanager
def dealing(project: Project, *, beside_runs: bool = False) -> Iterator[Stages | None]:
    """Return what deals tasks out to workers within a with-block; None where ENGINE says that this process does all.

    `beside_runs`: the lake's lock is not held. Then rows are staged in another folder than that of runs, who sweep it.

    Raises:
        TransientError: the cluster does not answer.
        UsageError: the settings of the cluster are wrong.
    """
    settings = project.settings
    if settings.engine == "local":
        yield None
        return
    from src.workers.stages import Stages  # where there are workers, and nowhere else: importing takes time

    staging = staging_folder(settings)
    runner = _runner(settings)
    try:
        with _room_beside(staging) if beside_runs else nullcontext(staging) as folder:
            stages = Stages(
                runner,
                staging=folder,
                memory=partial(_memory, project),
                least=_bytes(settings.workers_from),
                run_date=project.engine.run_date,
                engine=project.engine.version,
                aws={name: value for name, value in settings.aws.items() if name in store.WHERE},
            )
            stages.sweep()
            yield stages
            stages.sweep()
    finally:
        runner.close()


def staging_folder(settings: Settings) -> Path:
    """Return the staging folder of a lake, all of which is swept: within STAGING_DIR a folder of its own.

    Of a lake in a bucket it is in the bucket for workers elsewhere, else on this machine.
    """
    data = store.home(settings.data_dir)
    if settings.staging_dir:
        return settings.staging_dir / f"lake-{hashlib.sha256(str(data).encode()).hexdigest()[:12]}"
    return (data if settings.engine == "spark" else store.beside(data)) / ".staging"


@contextmanager
def _room_beside(staging: Path) -> Iterator[Path]:
    """Make a staging folder for the length of a with-block that no run sweeps; workers of other users see it too."""
    beside = staging.with_name(f"{staging.name}-beside-runs")
    with room_beside(beside) as room:
        if not store.is_remote(room):
            room.chmod(stat.S_IMODE(beside.stat().st_mode))
        yield room / "staged"


def stages_of(settings: Settings, kind: str, size: int) -> str:
    """Return, to follow other text, by which stages workers do a step that reads so many bytes; '' for none.

    `kind`: the step's layer, or passes, of a silver table that is computed whole in narrow passes.
    """
    if settings.engine == "local" or not size or size < _bytes(settings.workers_from):
        return ""
    return f"; {size / 1e6:,.1f} MB dealt out to {settings.engine}: {', '.join(_STAGES[kind])}"


def _runner(settings: Settings) -> Runner:
    if settings.engine == "spark":
        from src.workers.spark import cluster

        return cluster(settings.spark_master, settings.log_dir / "spark.log")
    import os

    from src.workers.local import Processes

    return Processes(settings.workers or os.cpu_count() or 1)


def _memory(project: Project, width: int) -> str:
    """Return what the engine of a task may take: as the settings say, or a worker's share of the driver's.

    On a cluster, of whose machines the driver knows nothing, `auto` is left to the task: see `stages.perform`.
    """
    settings = project.settings
    if settings.task_memory != AUTOMATIC or settings.engine == "spark":
        return settings.task_memory
    return f"{max(LEAST_OF_A_CORE, project.engine.memory // max(1, width))}B"


def _bytes(text: str) -> int:
    return int(float(text[:-2]) * _UNITS[text[-2:]])
