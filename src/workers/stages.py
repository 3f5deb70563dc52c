"""The driver's side: the work of a load is dealt out as tasks, stage by stage, and what comes back is collected.

The driver alone holds the lock, plans, judges and commits. Nothing that a worker writes is referred to by a table
before that, so whatever dies, a worker or the driver, leaves the lake as it was.
"""

from __future__ import annotations

import os
import pickle
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from src import store
from src.engine import AUTOMATIC, DuckEngine, memory_of_core
from src.errors import AuthError, BoathouseError, MachineError
from src.logger import logger

if TYPE_CHECKING:
    from src.bronze.ingest import Readers
    from src.gold.slabs import Slabbing
    from src.silver.merge import Merge
    from src.silver.slices import Computing

T = TypeVar("T")
A = TypeVar("A")
F = TypeVar("F", bound="Sized")
_MOST_BUCKETS = 200  # that a task cuts its rows into: each is a file
_OF_NODES = "every node needs a credential of its own that may read and write the bucket: docs/scale.md says how"
_BYTES_A_TASK = 128_000_000  # of Parquet, read by one task: about what a task has memory for


class Sized(Protocol):
    """A file of which the bytes are known."""

    @property
    def size(self) -> int:
        """Return its bytes."""


class Runner(Protocol):
    """The workers: a pool of processes, or a cluster."""

    @property
    def width(self) -> int:
        """Return how many it does at once."""

    def run(self, function: Callable[[T], A], tasks: Sequence[T]) -> list[A]:
        """Return the answers of a function to tasks, in their order; a task whose worker is lost is done again.

        Raises:
            TransientError: the workers are gone.
        """

    def close(self) -> None:
        """Let the workers go."""


@dataclass(frozen=True)
class Job:
    """One task as a worker gets it: what to do, with how much memory, by which version of the engine.

    `memory`: such as 2GB; `auto` is what a core of the worker's own machine has. `aws`: settings that tell where an
    object store is, none of them secret.
    """

    function: Callable[[DuckEngine, Any], Any]
    task: Any
    memory: str
    run_date: date | None
    engine: str
    aws: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """The value that one task gave, or the error that it ended with; and the seconds of the processor it took."""

    value: Any
    error: BoathouseError | None
    cpu: float


@dataclass(frozen=True)
class Stages:
    """Deals tasks out to workers; `staging`: a folder that driver and workers see under the same path.

    `memory`: what the engine of each of so many tasks may take; `least`: bytes of files from which on a load is dealt
    out.
    """

    runner: Runner
    staging: Path
    memory: Callable[[int], str]
    least: int
    run_date: date | None
    engine: str  # its version
    aws: Mapping[str, str] = field(default_factory=dict)  # as a job has it

    @property
    def merging(self) -> Callable[..., Merge]:
        """Return what makes the merge of a silver table, with the arguments of one: its large loads are dealt out."""
        from src.workers.merging import SharedMerge

        return partial(SharedMerge, stages=self)

    @property
    def readers(self) -> Readers:
        """Return the workers as readers of landed files."""
        from src.workers.reading import SharedReaders

        return SharedReaders(self)

    @property
    def whole(self) -> Computing:
        """Return what computes a silver table whole, of which a slice is wanted."""
        from src.workers.slicing import whole

        return partial(whole, stages=self)

    @property
    def slabs(self) -> Slabbing:
        """Return the workers as those who compute marts."""
        from src.workers.slabs import SharedSlabs

        return SharedSlabs(self)

    def deals(self, size: int) -> bool:
        """Return whether a load that reads so many bytes of files is dealt out; a smaller one is the driver's."""
        return size >= max(1, self.least)

    def deal(
        self,
        table: str,
        function: Callable[[DuckEngine, T], Any],
        tasks: Sequence[T],
        take_back: Callable[[Any], None] = lambda answer: None,
    ) -> list[Any]:
        """Return the answers of a function to tasks, in their order.

        `take_back`: what undoes a task that did its work, where another one failed.

        Raises:
            BoathouseError: that of the first task that failed.
        """
        if not tasks:
            return []
        began = time.monotonic()
        memory = self.memory(self.runner.width)
        jobs = [Job(function, task, memory, self.run_date, self.engine, self.aws) for task in tasks]
        answers = self.runner.run(perform, jobs)
        wall = time.monotonic() - began
        cpu = sum(answer.cpu for answer in answers)
        logger.debug(f"{table}: {function.__name__}, {len(tasks)} tasks: {wall:.2f} s, {cpu:.2f} s of processors")
        if failed := [answer.error for answer in answers if answer.error]:
            for answer in answers:
                if answer.error is None:
                    take_back(answer.value)
            raise failed[0]
        return [answer.value for answer in answers]

    def new_folder(self) -> Path:
        """Make a folder for the rows of one load."""
        path = self.staging / uuid.uuid4().hex
        if not store.is_remote(path):
            path.mkdir(parents=True)
        return path

    def sweep(self) -> None:
        """Remove what runs that died left in the staging folder; the lake's lock is held."""
        self.clear(self.staging)

    def clear(self, folder: Path) -> None:
        """Remove a folder of staged rows; what cannot be removed is left to the next run."""
        try:
            store.clear(folder)
        except (OSError, BoathouseError) as error:
            logger.warning(f"staged rows in {folder} are not removed yet: {error}")

    def shares(self, files: Sequence[F]) -> list[tuple[F, ...]]:
        """Return files in about as many bytes for each task, in their order, so that neighbours stay together."""
        if not files:
            return []  # without asking how many workers there are, for which a cluster would begin
        size = sum(file.size for file in files)
        count = min(len(files), max(self.runner.width, -(-size // _BYTES_A_TASK)))
        shares: list[list[F]] = [[] for _ in range(count)]
        before = 0
        for file in files:
            shares[min(count - 1, (before + file.size // 2) * count // max(1, size))].append(file)
            before += file.size
        return [tuple(share) for share in shares if share]

    def buckets(self, size: int, least: int | None = None) -> int:
        """Return into how many parts the rows of so many bytes of files are cut: at least one for each worker."""
        return min(_MOST_BUCKETS, max(self.runner.width if least is None else least, -(-size // _BYTES_A_TASK)))


def perform(job: Job) -> Answer:
    """Return the answer to a task, done by an engine of its own; an error that a person can act on is an answer too."""
    cpu = time.process_time()
    value: Any = None
    error: BoathouseError | None = None
    store.use(job.aws)
    memory = f"{memory_of_core()}B" if job.memory == AUTOMATIC else job.memory
    spill = Path(tempfile.gettempdir()) / f"boathouse-{os.getpid()}"
    try:
        engine = DuckEngine(memory_limit=memory, threads=1, spill=spill)
        try:
            _check_version(job, engine)
            if job.run_date:
                engine.set_run_date(job.run_date)
            value = job.function(engine, job.task)
        finally:
            engine.close()
            shutil.rmtree(spill, ignore_errors=True)
    except AuthError as found:
        error = AuthError(found.what, where=found.where, fix=_OF_NODES)
    except BoathouseError as found:
        error = _sendable(found)
    return Answer(value, error, time.process_time() - cpu)


def _check_version(job: Job, engine: DuckEngine) -> None:
    """Refuse a worker with another engine than the driver's: their hashes need not be the same."""
    if engine.version != job.engine:
        fix = "install requirements.txt of this project on every node"
        raise MachineError(f"a worker has DuckDB {engine.version}, the driver {job.engine}", fix=fix)


def _sendable(error: BoathouseError) -> BoathouseError:
    """Return an error that can be sent to another process: itself, or one of its class of failure."""
    with suppress(Exception):
        if isinstance(copy := pickle.loads(pickle.dumps(error)), type(error)):
            return copy
    kind = next(cls for cls in type(error).__mro__ if cls in BoathouseError.__subclasses__())
    return kind(error.what, where=error.where, fix=error.fix)
