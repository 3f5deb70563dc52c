"""The steps of one layer side by side: as many at once as there are threads, each by an engine of its own.

What comes of a layer is what its steps one after the other would give. A step begins once each step before it that it
needs, or that needs it, is counted; and steps are counted in the order of the run, one by one, by the thread of the
run: so records, log lines, and what is blocked by what are those of that order.

Small steps alone go side by side: most of what they take is one core's work. One that reads more, or has too little in
its part of the memory, gives up before it commits, and is done again once nothing else goes on, by the run's own engine
with all cores and all memory. So is one that may do more than read and write its tables: a model in Python. Where one
step after the other finds nothing to do, the next one is done by the thread of the run: threads only slow these down.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from queue import SimpleQueue
from time import perf_counter

from src import stopping
from src.checks.outcome import Outcome
from src.console import ProgressBar
from src.errors import OutOfMemoryError
from src.project import Project
from src.run.runs import Begun, Done, Run

_MOST = 4  # at once, however many cores: what a step does in Python is done by one of them at a time
_SHORT, _IN_A_ROW = 0.005, 4  # seconds of a step that found nothing to do; after so many of them the next is no other
_AGAIN = 0.05  # seconds after which a step that is to stop is interrupted again: it may have been between statements


@dataclass(frozen=True)
class Step:
    """One step of a layer; `work` does it in the project, with the engine, that it is given.

    `needs`: the steps without which it is not done; `alone`: it never goes beside others.
    """

    name: str
    work: Callable[[Project], Outcome]
    needs: tuple[str, ...] = ()
    source: str = ""
    alone: bool = False


class Layers:
    """The layers of one run, whose steps go side by side in `lanes`, projects that differ in their engines."""

    def __init__(
        self, project: Project, run: Run, bar: ProgressBar | None, lanes: Sequence[Project], pool: ThreadPoolExecutor
    ) -> None:
        self._project, self._run, self._bar = project, run, bar
        self._lanes, self._pool = lanes, pool

    def do(self, steps: Sequence[Step]) -> None:
        """Do the steps of one layer; when it returns, all are over and counted.

        Raises:
            KeyboardInterrupt: a stop was asked for; nothing goes on any more.
        """
        layer = _Layer(self._project, self._run, self._bar, self._lanes, self._pool, steps)
        try:
            layer.do()
        except BaseException:
            layer.leave()
            raise


@contextmanager
def opened(project: Project, run: Run, bar: ProgressBar | None) -> Iterator[Layers]:
    """Return what does the layers of a run within a with-block.

    One step after the other is done where the project has one thread, or statements are timed.
    """
    count = 1 if project.engine.profile else min(project.engine.threads, _MOST)
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(count, thread_name_prefix="step"))
        engines = [project.engine.beside(count) for _ in range(count)] if count > 1 else []
        for engine in engines:
            stack.callback(engine.close)
            stack.enter_context(stopping.interrupting(engine.interrupt))
        yield Layers(project, run, bar, [replace(project, engine=engine) for engine in engines], pool)


class _Layer:
    """The state of one layer: which of its steps go on, and how many are counted; steps are known by their number."""

    def __init__(
        self,
        project: Project,
        run: Run,
        bar: ProgressBar | None,
        lanes: Sequence[Project],
        pool: ThreadPoolExecutor,
        steps: Sequence[Step],
    ) -> None:
        self._project, self._run, self._bar, self._pool, self._steps = project, run, bar, pool, steps
        self._free = list(lanes)
        several = len(lanes) > 1 and len(steps) > 1
        self._alone = {at for at, step in enumerate(steps) if step.alone or not several}
        self._last_before = _last_before(steps)
        self._waiting = list(range(len(steps)))
        self._begun: dict[int, Begun] = {}
        self._going: dict[int, tuple[Future[None], Project]] = {}  # each in its lane
        self._ended: SimpleQueue[tuple[int, Done | BaseException, float]] = (
            SimpleQueue()
        )  # of those, what has come of them
        self._done: dict[int, Done | None] = {}
        self._counted = 0
        self._short = 0  # how many of the last steps found nothing to do

    def do(self) -> None:
        while self._counted < len(self._steps):
            self._begin_those_that_can()
            if self._going:
                self._take(*self._ended.get())
            elif self._counted not in self._done:
                self._do_alone(self._counted)
            while self._counted in self._done:
                self._count(self._counted)

    def leave(self) -> None:
        """Interrupt what goes on until nothing does; what a step has committed by then stays, as after a kill."""
        while any(not future.done() for future, _ in self._going.values()):
            # a stop that is asked for once more ends no wait: the lake must not be let go while a step may commit
            with suppress(KeyboardInterrupt):
                for _, lane in self._going.values():
                    lane.engine.interrupt()
                wait([future for future, _ in self._going.values()], timeout=_AGAIN)

    def _begin_those_that_can(self) -> None:
        """Begin waiting steps, those of the order of the run first; none beyond one that is to be done alone."""
        end = min(self._alone, default=len(self._steps))
        for at in [at for at in self._waiting if at < end]:
            if not self._free:
                return
            if self._last_before[at] < self._counted:
                self._begin(at)
                if self._begun[at].blocked_by:
                    self._done[at] = None
                else:
                    lane = self._free.pop()
                    self._going[at] = self._given(at, lane), lane

    def _begin(self, at: int) -> None:
        step = self._steps[at]
        self._waiting.remove(at)
        if self._bar:
            self._bar.start(step.name)
        self._begun[at] = self._run.begin(step.name, needs=step.needs, source=step.source)

    def _given(self, at: int, lane: Project) -> Future[None]:
        """Give a step to a thread of its own; among those with nothing to do, which threads only slow down, do it here.

        One that has something to do after all keeps this thread from giving others, until it is done.
        """
        if self._short < _IN_A_ROW:
            return self._pool.submit(self._work, at, lane)
        done = Future[None]()
        self._work(at, lane)
        done.set_result(None)
        return done

    def _work(self, at: int, lane: Project) -> None:
        """Do a step; how it ended, and how long it took, is in `_ended` then."""
        step, began = self._steps[at], perf_counter()
        done: Done | BaseException
        try:
            done = self._run.attempt(step.name, partial(step.work, lane))
        except BaseException as error:  # a stop: the thread of the run raises it
            done = error
        self._ended.put((at, done, perf_counter() - began))

    def _take(self, at: int, done: Done | BaseException, seconds: float) -> None:
        self._short = self._short + 1 if seconds < _SHORT else 0
        _, lane = self._going.pop(at)
        self._free.append(lane)
        if isinstance(done, BaseException):
            raise done
        if isinstance(done.error, OutOfMemoryError):
            self._alone.add(at)
        else:
            self._done[at] = done

    def _do_alone(self, at: int) -> None:
        """Do a step by the run's own engine: nothing goes on, and all before it are counted."""
        for lane in self._free:
            lane.engine.rest()
        if at not in self._begun:
            self._begin(at)
        step = self._steps[at]
        blocked = self._begun[at].blocked_by
        self._done[at] = None if blocked else self._run.attempt(step.name, partial(step.work, self._project))
        self._alone.discard(at)

    def _count(self, at: int) -> None:
        self._run.end(self._begun[at], self._done[at])
        if self._bar:
            self._bar.done(self._steps[at].name)
        self._counted += 1


def _last_before(steps: Sequence[Step]) -> list[int]:
    """Return for each step the number of the last one before it that it must not go beside; -1: there is none.

    Two steps of which either needs the other do not go side by side: also where the one that is needed comes later, as
    where foreign keys go in a circle, and the first reads what the later one left in the run before.
    """
    numbers = {step.name: at for at, step in enumerate(steps)}
    last = [-1] * len(steps)
    for at, step in enumerate(steps):
        for other in (numbers[name] for name in step.needs if name in numbers and name != step.name):
            later = max(at, other)
            last[later] = max(last[later], min(at, other))
    return last
