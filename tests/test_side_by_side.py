"""The steps of one layer go side by side, and what comes of a run is what one after the other would give."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
from conftest import DAILY, MART, ORDERS, ROOT, Lake, needs_sample, short
from deltalake import DeltaTable

from src import lake as tables
from src.bronze import ingest
from src.checks.outcome import Outcome
from src.contract import Contracts
from src.engine import DuckEngine, duck
from src.errors import BoathouseError, DataError, OutOfMemoryError
from src.gold import aggregate
from src.project import Project
from src.run import metering, progress, runs, side_by_side
from src.run.kinds import RunKind
from src.run.metering import Usage
from src.run.runs import Record, Run
from src.run.side_by_side import Step
from src.settings import load
from src.silver import clean

HEADER = "order_id,day,amount,updated\n"
ENDLESS = "SELECT count(*) FROM range(100000000000000) t(i) WHERE hash(i) = 3"
NAMES = ("alder", "birch", "cedar", "elder")
TIMES = {"run_id", "start_time", "end_time", "latency", "predicted_seconds", "run_time"}


def shops(lake: Lake, threads: int = 2) -> Lake:
    """Several shops, each with a feed, a silver table and a mart, and a mart of two marts."""
    lake.environ["THREADS"] = str(threads)
    for name in NAMES:
        lake.write(f"silver/{name}/orders.yaml", ORDERS.replace("shop", name))
        lake.write(
            f"gold/{name}/contract.yaml", MART.replace("id: shop", f"id: {name}").replace(": shop}", f": {name}}}")
        )
        lake.write(f"gold/{name}/daily.sql", DAILY.replace("shop", name))
        lake.land(f"{name}/orders/1.csv", HEADER + "1,2024-01-01,10,1\n2,2024-01-02,20,1\n3,2024-01-02,x,1\n")
    lake.write("gold/both/contract.yaml", MART.replace("id: shop", "id: both").replace(": shop}", ": both}"))
    both = " UNION ALL ".join(f"SELECT * FROM gold.{name}.daily" for name in NAMES[:2])
    lake.write(
        "gold/both/daily.sql",
        f"SELECT day, sum(orders)::BIGINT AS orders, sum(amount)::DECIMAL(18,2) AS amount FROM ({both}) GROUP BY day",
    )
    return lake


def facts(rows: Sequence[Any]) -> list[dict[str, Any]]:
    """What records say, but for what a clock tells."""
    return [{part.name: getattr(row, part.name) for part in fields(row) if part.name not in TIMES} for row in rows]


# -- two at once


@pytest.mark.parametrize("layer", ["bronze", "silver", "gold"])
def test_two_steps_of_a_layer_are_at_work_at_once_each_with_an_engine_of_its_own(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, layer: str
) -> None:
    module: Any = {"bronze": ingest, "silver": clean, "gold": aggregate}[layer]
    work: Callable[..., Outcome] = module.run
    met = threading.Barrier(2, timeout=120)
    engines: list[DuckEngine] = []

    def meet(engine: DuckEngine, *words: Any, **named: Any) -> Outcome:
        if len(engines) < 4:  # four of a layer: two pairs
            engines.append(engine)
            met.wait()
        return work(engine, *words, **named)

    monkeypatch.setattr(module, "run", meet)
    shops(lake).good()
    assert len(engines) == 4 and len({id(engine) for engine in engines}) == 2
    assert all(engine.small for engine in engines)


def test_with_one_thread_a_step_begins_when_the_one_before_it_is_over(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = watched(monkeypatch)
    shops(lake, threads=1).good()
    assert [what for what, _, _ in seen] == ["begun", "over"] * (4 + 4 + 5)
    assert {thread for _, _, thread in seen} == {threading.main_thread()}


def test_a_layer_begins_when_the_one_below_has_ended(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = watched(monkeypatch)
    shops(lake, threads=4).good()
    layers = [layer for _, layer, _ in seen]
    assert layers == ["bronze"] * 8 + ["silver"] * 8 + ["gold"] * 10
    assert threading.main_thread() not in {thread for _, _, thread in seen}


def watched(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, threading.Thread]]:
    """What begins and ends in a run from here on: which, of which layer, in which thread."""
    seen: list[tuple[str, str, threading.Thread]] = []

    def watch(layer: str, module: Any) -> None:
        work: Callable[..., Outcome] = module.run

        def watching(*words: Any, **named: Any) -> Outcome:
            seen.append(("begun", layer, threading.current_thread()))
            time.sleep(0.01)
            try:
                return work(*words, **named)
            finally:
                seen.append(("over", layer, threading.current_thread()))

        monkeypatch.setattr(module, "run", watching)

    for layer, module in (("bronze", ingest), ("silver", clean), ("gold", aggregate)):
        watch(layer, module)
    return seen


def test_steps_with_nothing_to_do_are_done_by_the_thread_of_the_run_and_the_next_ones_with_work_by_several(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, met = [0.0], threading.Barrier(2, timeout=120)
    by: dict[int, threading.Thread] = {}

    def nothing(nth: int, lane: Project) -> Outcome:
        by[nth] = threading.current_thread()
        return Outcome()

    def long(lane: Project) -> Outcome:
        clock[0] += 1
        return Outcome()

    def meet(lane: Project) -> Outcome:
        met.wait()
        return Outcome()

    monkeypatch.setattr(side_by_side, "perf_counter", lambda: clock[0])
    work: list[Callable[[Project], Outcome]] = [*(partial(nothing, nth) for nth in range(20)), long, meet, meet]
    with side_by_side.opened(project, new_run(), None) as layers:
        layers.do([Step(f"gold.shop.t{nth}", one) for nth, one in enumerate(work)])
    assert threading.main_thread() not in {by[0], by[1]}
    assert {by[nth] for nth in range(10, 20)} == {threading.main_thread()}


# -- the same as one after the other


def both_ways(lake: Lake, tmp_path: Path) -> tuple[Run, Run, Lake]:
    """A run by one thread, a run by three of the same project elsewhere, and that one."""
    other = Lake(tmp_path / "other")
    subprocess.run(["cp", "-r", lake.root / "src", lake.root / "data", "--target-directory", other.root], check=True)
    lake.environ["THREADS"], other.environ["THREADS"] = "1", "3"
    return lake.run(), other.run(), other


def test_records_are_those_of_one_step_after_the_other(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    shops(lake)
    lake.edit("gold/birch/daily.sql", "count(*)", "error('no')")
    lake.land("cedar/orders/2.csv", "no,columns,of,it\n")
    one, several, other = both_ways(lake, tmp_path)
    assert facts(one.records) == facts(several.records)
    assert facts(one.audits) == facts(several.audits)
    assert (list(one.failures), one.blocked) == (list(several.failures), several.blocked)
    assert str(one.error()) == str(several.error())
    assert set(one.blocked) == {"silver.cedar.orders", "gold.cedar.daily", "gold.both.daily"}
    assert set(one.failures) == {"bronze.cedar.orders", "gold.birch.daily"}
    assert other.findings() == []


@needs_sample
@pytest.mark.long
def test_the_sample_company_is_the_same_by_one_thread_and_by_several(tmp_path: Path) -> None:
    done = {}
    for threads in ("1", "3"):
        made = Lake(tmp_path / threads, {"SAMPLE_DAYS": "20", "SAMPLE_FEED": "true", "THREADS": threads})
        made.root.mkdir()
        (made.root / "src").symlink_to(ROOT / "src")
        done[threads] = made.good()
        assert made.findings() == []
    assert facts(done["1"].records) == facts(done["3"].records)
    assert facts(done["1"].audits) == facts(done["3"].audits)


@dataclass
class Graph:
    """Steps that need each other as drawn, and what comes of each: nothing, a failure, or too much for one lane."""

    needs: dict[str, tuple[str, ...]]
    ends: dict[str, str]
    blocked: Collection[str] = ()
    going: list[str] = field(default_factory=list)
    over: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @classmethod
    def drawn(cls, random: Random) -> Graph:
        names = [f"gold.shop.t{nth}" for nth in range(random.randint(1, 14))]
        needs = {name: tuple(random.sample(names, min(len(names), random.choice((0, 0, 1, 1, 2))))) for name in names}
        return cls(needs, {name: random.choice(("", "", "", "fails", "bug", "too much", "alone")) for name in names})

    def work(self, name: str, random: Random) -> Callable[[Project], Outcome]:
        names = list(self.needs)

        def work(project: Project) -> Outcome:
            self.going.append(name)
            time.sleep(random.choice((0, 0, 0.001, 0.004)))
            earlier = {other for other in names[: names.index(name)] if self.apart(name, other)}
            self.faults += [f"{name} before {other}" for other in earlier if other not in (*self.over, *self.blocked)]
            self.faults += [f"{name} beside {other}" for other in self.going if self.apart(name, other)]
            if self.going != [name] if not project.engine.small else self.ends[name] == "alone":
                self.faults.append(f"{name} is not alone")
            self.going.remove(name)
            if self.ends[name] == "too much" and project.engine.small:
                raise OutOfMemoryError("too much")
            self.over.append(name)
            if self.ends[name] == "fails":
                raise DataError(f"{name} has a fault", fix="mend it")
            if self.ends[name] == "bug":
                raise RuntimeError(name)
            return Outcome(read=names.index(name))

        return work

    def apart(self, one: str, other: str) -> bool:
        return one != other and (one in self.needs[other] or other in self.needs[one])

    def steps(self, random: Random) -> list[Step]:
        alone = {name for name, end in self.ends.items() if end == "alone"}
        return [Step(name, self.work(name, random), needs, alone=name in alone) for name, needs in self.needs.items()]


def new_run() -> Run:
    return Run("r", runs.window(runs.now().date(), None, None), runs.now, "", RunKind.PIPELINE)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    home = tmp_path_factory.mktemp("graphs")
    engine = DuckEngine(memory_limit="1GB", threads=3, spill=home / ".spill")
    yield Project(load(home, {}), Contracts({}, {}, {}, {}), (), engine)
    engine.close()


@pytest.mark.parametrize("seed", short(range(400), 20))
def test_whatever_needs_what_and_whatever_fails_each_step_ends_as_one_after_the_other(
    project: Project, seed: int
) -> None:
    graph = Graph.drawn(Random(seed))
    several, one = new_run(), new_run()
    graph.blocked = several.blocked
    with side_by_side.opened(project, several, None) as layers:
        layers.do(graph.steps(Random(seed)))
    assert (graph.faults, graph.going) == ([], [])
    blocked = set(several.blocked)
    assert sorted(graph.over) == sorted(name for name in graph.needs if name not in blocked)  # each is done once
    for step in replace(graph, over=list(graph.needs)).steps(Random(seed)):
        one.step(step.name, lambda work=step.work: work(project), needs=step.needs)  # type: ignore[misc]
    assert facts(several.records) == facts(one.records)
    assert (list(several.failures), list(several.blocked.items())) == (list(one.failures), list(one.blocked.items()))


# -- what is no work for one of several


def test_a_step_that_reads_much_is_done_alone_and_once(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    shops(lake)
    monkeypatch.setattr(duck, "_SMALL", 60)  # of the bytes of files: each shop's own has more
    commits, commit = [], tables.commit

    def committed(table: tables.Snapshot, *words: Any, **named: Any) -> tables.Snapshot:
        commits.append(threading.current_thread())
        return commit(table, *words, **named)

    monkeypatch.setattr(tables, "commit", committed)
    run = lake.good()
    assert set(commits) == {threading.main_thread()}
    assert [(step.status, step.records_read) for step in run.steps if step.layer == "bronze"] == [("success", 3)] * 4
    assert lake.rows("SELECT count(*) FROM ops.pipeline_runs WHERE layer <> 'run'") == [(13,)]


def test_a_file_that_is_too_much_for_a_part_of_the_memory_is_not_refused(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = DuckEngine.write

    def short_of_memory(engine: DuckEngine, *words: Any, **named: Any) -> list[tables.DataFile]:
        if engine.small:
            raise OutOfMemoryError("no memory")
        return write(engine, *words, **named)

    monkeypatch.setattr(DuckEngine, "write", short_of_memory)
    assert {step.status for step in shops(lake).good().steps} == {"success"}


def test_an_engine_of_small_steps_runs_out_of_memory_and_does_not_spill(tmp_path: Path) -> None:
    engine = DuckEngine(memory_limit="200MB", threads=2, spill=tmp_path / ".spill")
    small = engine.beside(4)
    with pytest.raises(OutOfMemoryError):
        small.table("much", "SELECT range AS n, hash(range) AS h FROM range(10000000)")
    assert not (tmp_path / ".spill").exists()
    small.close()
    engine.close()


def test_engines_side_by_side_share_no_table_and_no_published_name(tmp_path: Path) -> None:
    engine = DuckEngine(memory_limit="1GB", threads=2, spill=tmp_path / ".spill")
    engine.set_run_date(runs.now().date() - timedelta(days=3))
    both = [engine.beside(2) for _ in range(2)]
    for value, small in enumerate(both):
        small.publish("silver.shop.orders", f"SELECT {value} AS n")
        small.table("kept", f"SELECT {value} AS n")
    assert [small.rows("SELECT * FROM silver.shop.orders, kept") for small in both] == [[(0, 0)], [(1, 1)]]
    asked = "SELECT run_date(), current_setting('threads')"
    assert [small.rows(asked) for small in both] == [[(runs.now().date() - timedelta(days=3), 1)]] * 2
    both[0].rest()
    with pytest.raises(BoathouseError):
        both[0].rows("SELECT * FROM kept")
    assert both[0].rows(asked) == both[1].rows(asked)
    for opened in (engine, *both):
        opened.close()


def test_several_steps_at_once_load_a_version_of_a_table_once(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tables.create(project.settings.data_dir / "silver/shop/orders", {"n": "BIGINT"})
    after = tables.commit(before, add=project.engine.write("SELECT 1::BIGINT AS n", before.root))
    loads, update = [], DeltaTable.update_incremental

    def slow(table: DeltaTable) -> None:
        loads.append(table)
        time.sleep(0.05)
        update(table)

    monkeypatch.setattr(DeltaTable, "update_incremental", slow)
    monkeypatch.setattr("src.lake.tables._load", lambda root, version: pytest.fail("it is loaded once more"))
    with ThreadPoolExecutor(4) as pool:
        found = [future.result() for future in [pool.submit(getattr, after, "_table") for _ in range(4)]]
    assert len(loads) == 1 and {int(table.version()) for table in found} == {after.version}


# -- a stop


def test_a_stop_waits_for_what_goes_on_and_interrupts_it_as_often_as_it_must(project: Project) -> None:
    at_work, seen = threading.Event(), []

    def stubborn(lane: Project) -> Outcome:
        for _ in range(2):  # the second statement begins after the first was interrupted
            with suppress(BoathouseError):
                at_work.set()
                lane.engine.rows(ENDLESS)
        seen.append("over")
        return Outcome()

    def stopped(lane: Project) -> Outcome:
        at_work.wait()
        raise KeyboardInterrupt

    def later(lane: Project) -> Outcome:
        seen.append("later")
        return Outcome()

    work = {"gold.shop.a": stubborn, "gold.shop.b": stopped, "gold.shop.c": later}
    steps = [Step(name, one, () if name < "gold.shop.c" else ("gold.shop.a",)) for name, one in work.items()]
    run = new_run()
    with side_by_side.opened(project, run, None) as layers:
        with pytest.raises(KeyboardInterrupt):
            layers.do(steps)
        assert seen == ["over"]
    assert run.records == []


def test_ctrl_c_ends_all_that_go_on_and_the_next_run_finishes(lake: Lake) -> None:
    shops(lake)
    for name in NAMES[:2]:
        lake.write(
            f"gold/{name}/daily.sql", DAILY.replace("shop", name).replace("GROUP", f"WHERE amount >= ({ENDLESS}) GROUP")
        )
    settings = {"SETTLE_SECONDS": "0", "PATH": os.environ["PATH"], "HOME": str(lake.root), "THREADS": "2"}
    command = [sys.executable, "main.py", "--project", str(lake.root), "run"]
    with subprocess.Popen(command, cwd=ROOT, env=settings, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            shown = lake.data / ".progress.jsonl"
            while not (shown.exists() and shown.read_text().count('"at": "gold.') == 2):
                time.sleep(0.02)
            process.send_signal(signal.SIGINT)
            complaint = process.communicate(timeout=120)[1].decode()
        finally:
            process.kill()
    *before, last = complaint.splitlines()
    stopped = "✗ Pipeline Failed: stopped by Ctrl-C: nothing half-written is visible, the next run finishes the work"
    assert (process.returncode, last) == (130, stopped)
    assert not any("Z INFO" not in line or "gold." in line for line in before), complaint
    for name in NAMES[:2]:
        lake.write(f"gold/{name}/daily.sql", DAILY.replace("shop", name))
    lake.good()
    assert lake.rows("SELECT sum(orders) FROM gold.both.daily") == [(4,)]
    assert lake.rows("SELECT error_class FROM ops.pipeline_runs WHERE status = 'failed'") == [("interrupted",)]


# -- a kill


@pytest.mark.parametrize("nth", short(range(1, 13), 1))
def test_a_run_killed_with_two_commits_on_the_way_is_finished_by_the_next(lake: Lake, nth: int) -> None:
    shops(lake)
    job = json.dumps({"root": str(lake.root), "nth": nth})
    ended = subprocess.run([sys.executable, __file__, job], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    lake.good()
    assert lake.rows("SELECT day, orders FROM gold.both.daily ORDER BY 1")[0][1] == 2
    for name in NAMES:
        assert lake.rows(f"SELECT count(*), sum(amount) FROM silver.{name}.orders") == [(2, Decimal(30))]
        assert lake.rows(f"SELECT count(*) FROM bronze.{name}.orders") == [(3,)]
        assert lake.rows(f"SELECT count(*) FROM quarantine.{name}.orders") == [(1,)]
    assert lake.rows("SELECT count(*) FROM ops.pipeline_runs WHERE error_class = 'interrupted'") == [(1,)]


def killed(root: Path, nth: int) -> None:
    """Run, and die while two threads are about to commit, or have just done so: at the n-th such moment."""
    turn, moments, within, commit = threading.Lock(), 0, 0, DeltaTable.create_write_transaction

    def moment() -> None:
        nonlocal moments
        with turn:
            moments += within == 2
            if moments == nth:
                os.kill(os.getpid(), signal.SIGKILL)

    def committing(*words: Any, **named: Any) -> Any:
        nonlocal within
        with turn:
            within += 1
        time.sleep(0.05)  # so that the other comes
        moment()
        result = commit(*words, **named)
        moment()
        with turn:
            within -= 1
        return result

    DeltaTable.create_write_transaction = committing  # type: ignore[method-assign]
    Lake(root, {"THREADS": "2"}).run()


# -- what is told of them


def test_what_the_process_takes_is_shared_among_the_steps_that_go_on_and_adds_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spent = [
        Usage(Decimal("1.000001"), 1.0, 50, 11, 7),
        Usage(Decimal("0.5"), 2.0, 90, 5, 0),
        Usage(Decimal("2"), 4.0, 20, 1, 1),
    ]

    class Scripted:
        def next(self) -> tuple[Usage, Scripted]:
            return spent.pop(0), self

    monkeypatch.setattr(metering, "Meter", Scripted)
    first: list[Usage] = []
    second: list[Usage] = []
    with ExitStack() as stack:
        stack.enter_context(metering.metered(first))
        with metering.metered(second):  # begins: the first had 1.000001 s alone; ends: both had 0.5 s
            pass
    assert first == [Usage(Decimal("3.250001"), 6.0, 90, 15, 8)]
    assert second == [Usage(Decimal("0.250000"), 1.0, 90, 2, 0)]
    assert spent == []


def test_parts_of_a_usage_add_up_to_it_to_the_microsecond_and_the_byte() -> None:
    parts = metering._parts(Usage(Decimal("0.000005"), 3.0, 10, 8, None), 3)
    assert [part.cpu_seconds for part in parts] == [Decimal("0.000002"), Decimal("0.000002"), Decimal("0.000001")]
    assert [part.bytes_read for part in parts] == [3, 3, 2]
    assert {(part.wall_seconds, part.peak_memory, part.bytes_written) for part in parts} == {(1.0, 10, None)}


def test_what_steps_side_by_side_took_adds_up_to_what_the_run_took(lake: Lake) -> None:
    run = shops(lake).good()
    assert len(run.usages) == 13
    seconds = sum(usage.cpu_seconds for _, usage in run.usages)
    told = "sum(cpu_seconds) FILTER (layer <> 'run'), sum(cpu_seconds), sum(wall_seconds)"
    in_steps, in_all, wall = lake.rows(f"SELECT {told} FROM ops.cost")[0]
    whole = run.meter.read()
    assert in_steps == seconds
    assert seconds < in_all < whole.cpu_seconds
    assert wall < whole.wall_seconds


def test_of_steps_side_by_side_the_one_that_goes_longest_is_shown(tmp_path: Path) -> None:
    run = new_run()
    with progress.shown(tmp_path, run):
        begun = [run.begin(f"gold.shop.{name}") for name in ("a", "b")]
        assert shown(tmp_path) == ([], "gold.shop.a")
        run.end(begun[0], run.attempt("gold.shop.a", Outcome))
        assert shown(tmp_path) == (["gold.shop.a"], "gold.shop.b")


def shown(data: Path) -> tuple[list[str], str | None]:
    found = progress.read(data, "r")
    assert found
    return [step.table_id for step in found.steps], found.at


def test_a_log_line_of_a_step_that_is_tried_again_names_the_step(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    from loguru import logger

    from src.errors import TransientError

    lines: list[str] = []
    sink = logger.add(lambda message: lines.append(message.record["message"]), level="WARNING")
    monkeypatch.setattr(runs, "_RETRIES", (0.0,))
    errors = [TransientError("busy")]

    def work() -> Outcome:
        if errors:
            raise errors.pop()
        return Outcome()

    record: Record = new_run().step("gold.shop.daily", work)
    logger.remove(sink)
    assert (record.status, lines) == ("success", ["gold.shop.daily: trying again in 0.0 s: busy"])


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    killed(Path(asked["root"]), asked["nth"])
