"""What workers make of a load is what one process makes of it."""

from __future__ import annotations

import gzip
import io
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import fastavro
import pytest
from conftest import ROOT, Lake, short
from test_helper_names import FORMS
from test_workbooks import book
from torture import histories, oracle, shared
from torture.histories import History, Tools

from src import lake as tables
from src import workers
from src.bronze import ingest, readers
from src.engine import DuckEngine, memory_of_core
from src.errors import AuthError, ContractError, DataError, MachineError, TransientError
from src.project import open_project
from src.workers.local import Processes
from src.workers.stages import Job, Stages, perform

HEADER = "order_id,day,amount,updated\n"
WORKERS = {"ENGINE": "workers", "WORKERS": "2", "WORKERS_FROM": "0MB"}
LOADS = (
    ("1,2024-01-01,10,1\n2,2024-01-02,20,1\n3,2024-01-02,x,1\n", "1,2024-01-01,9,0\n4,2024-01-03,5,1\n"),
    ("1,2024-01-01,11,2\n2,2024-01-02,20,0\n5,2024-01-02,7,1\n", "4,2024-01-05,6,2\n6,2024-01-06,y,1\n"),
)
TABLES = ("bronze.shop.orders", "silver.shop.orders", "quarantine.shop.orders", "gold.shop.daily")
TIMED = {"run_id", "start_time", "end_time", "latency", "predicted_seconds", "peak_memory"}


def lived(
    root: Path, environ: dict[str, str], loads: Sequence[Sequence[str]] = LOADS
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What loads leave in a new lake: see `live`."""
    return live(Lake(root, dict(environ)), loads)


def live(lake: Lake, loads: Sequence[Sequence[str]] = LOADS) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Carry loads into an empty lake; returns what they leave of each table, and the records of the steps."""
    shop, records = lake.shop(), []
    for nth, load in enumerate(loads):
        for part, text in enumerate(load):
            shop.land(f"shop/orders/{nth}-{part}.csv", HEADER + text)
        records += [{k: v for k, v in vars(step).items() if k not in TIMED} for step in shop.good().steps]
    return left_in(shop), records


def left_in(shop: Lake) -> dict[str, Any]:
    """The rows of each table, its version, and which commits recorded progress of what."""
    left = {}
    for name in TABLES:
        columns = "* EXCLUDE (_ingested_at, _batch)" if name.startswith(("bronze", "quarantine")) else "*"
        columns = "* EXCLUDE (_ingested_at)" if name.startswith("silver") else columns
        root = shop.data / name.replace(".", "/")
        table = tables.open_table(root)
        assert table is not None, name
        progress = [sorted(tables.recorded(root, version)) for version in range(table.version + 1)]
        left[name] = sorted(map(str, shop.rows(f"SELECT {columns} FROM {name}"))), table.version, progress
    return left


def test_processes_give_the_rows_versions_and_counts_of_one(tmp_path: Path) -> None:
    here, there = lived(tmp_path / "here", {}), lived(tmp_path / "there", WORKERS)
    assert there == here
    assert here[0]["silver.shop.orders"][1] == 2
    assert not (tmp_path / "there/data/.staging").exists(), "what was staged is gone"


# -- random histories, each task done twice


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tools]:
    made = Tools.at(tmp_path_factory.mktemp("histories"))
    yield made
    made.close()


@pytest.fixture
def dealt_out(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let every load of a history be dealt out; gives which tasks were done."""
    done: list[str] = []
    deal = Stages.deal

    def counted(self: Stages, table: str, function: Any, tasks: Any, *rest: Any) -> list[Any]:
        done.extend([function.__name__] * len(tasks))
        return deal(self, table, function, tasks, *rest)

    monkeypatch.setattr(Stages, "deal", counted)
    shared.deal_out(monkeypatch)
    return done


@pytest.mark.parametrize("seed", short(range(100, 140), 2))
def test_a_random_history_by_workers_gives_what_one_pass_gives(
    tools: Tools, tmp_path: Path, dealt_out: list[str], seed: int
) -> None:
    histories.live(tools, tmp_path, histories.history(Random(seed)))
    assert "hash_files" in dealt_out


EVERYTHING = (
    ("run",),
    ("land", "b.csv", HEADER + "1,2024-01-02,11,2\n2,2024-01-02,20,1\n2,2024-01-02,20,1\n3,,x,1\n"),
    ("run",),
    ("land", "c.csv", HEADER + "2,2024-01-03,21,2\n1,2024-01-01,9,0\n4,2024-01-02,1,1\n4,2024-01-02,2,1\n"),
    ("run",),
    ("bump", 5, True),
    ("run",),
    ("again",),
)


@pytest.mark.parametrize("family", short(oracle.FAMILIES, 2))
def test_each_kind_of_table_by_workers_is_what_one_pass_gives(
    tools: Tools, tmp_path: Path, dealt_out: list[str], family: str
) -> None:
    histories.live(tools, tmp_path, History(family, EVERYTHING))
    assert {"read_files", "type_rows", "probe", "contend", "rewrite"} <= set(dealt_out)


def test_a_feed_that_has_nothing_but_rejects_is_read_beside_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loaded(root: Path, environ: dict[str, str]) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
        shop = Lake(root, environ).shop()
        late = "{server: late, type: local, path: shop/late/*.jsonl, format: ndjson}"
        shop.edit("silver/shop/orders.yaml", "schema:\n", f"  - {late}\nschema:\n")
        shop.land("shop/orders/1.csv", HEADER + LOADS[0][0])
        shop.land("shop/late/1.jsonl", "no object\n")
        shop.good()
        rejects = shop.rows("SELECT _file, _row, _reasons FROM quarantine.shop.orders ORDER BY ALL")
        return shop.rows("SELECT order_id, amount, _file FROM silver.shop.orders ORDER BY ALL"), rejects

    here = loaded(tmp_path / "here", {})
    assert [file for file, *_ in here[1]] == ["shop/late/1.jsonl", "shop/orders/1.csv"]
    monkeypatch.setattr("src.workers._runner", lambda settings: shared.Twice())
    assert loaded(tmp_path / "there", dict(shared.SETTINGS)) == here


def test_files_that_workers_read_are_not_looked_at_by_the_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[Path] = []
    look = readers.look

    def noted(feed: Any, path: Path) -> Any:
        looked.append(path)
        return look(feed, path)

    monkeypatch.setattr(readers, "look", noted)
    monkeypatch.setattr(ingest, "WORTH_A_THREAD", 0)
    for root, environ in ((tmp_path / "here", {}), (tmp_path / "there", WORKERS)):
        looked.clear()
        shop = Lake(root, environ).shop()
        for part in range(3):
            shop.land(f"shop/orders/{part}.csv", HEADER + f"{part},2024-01-01,1,1\n")
        shop.good()
        assert shop.rows("SELECT count(*) FROM bronze.shop.orders") == [(3,)]
        assert len(looked) == (0 if environ else 3)


# -- what files are like


def as_avro(records: list[dict[str, str]]) -> bytes:
    sink = io.BytesIO()
    fields = [{"name": name, "type": "string"} for name in records[0]]
    fastavro.writer(sink, {"type": "record", "name": "row", "fields": fields}, records)
    return sink.getvalue()


def as_xml(records: list[dict[str, str]]) -> bytes:
    rows = ("".join(f"<{name}>{text}</{name}>" for name, text in one.items()) for one in records)
    return f"<shop>{''.join(f'<order>{row}</order>' for row in rows)}</shop>".encode()


def as_xlsx(records: list[dict[str, str]]) -> bytes:
    cell = '<c r="{}{}" t="inlineStr"><is><t>{}</t></is></c>'
    lines = enumerate([list(records[0]), *(list(one.values()) for one in records)], 1)
    rows = ((at, "".join(cell.format(chr(65 + c), at, text) for c, text in enumerate(texts))) for at, texts in lines)
    with tempfile.TemporaryDirectory() as folder:
        text = "".join(f'<row r="{at}">{cells}</row>' for at, cells in rows)
        return book(Path(folder) / "1.xlsx", text).read_bytes()


def as_fixed(records: list[dict[str, str]]) -> bytes:
    return "".join("".join(f"{text:<10}" for text in one.values()) + "\n" for one in records).encode()


FORMATS: dict[str, tuple[Callable[[list[dict[str, str]]], bytes], str]] = {
    **{form: (made, "") for form, made in FORMS.items()},
    "csv.gz": (lambda records: gzip.compress(FORMS["csv"](records)), ""),
    "avro": (as_avro, ""),
    "xlsx": (as_xlsx, ""),
    "xml": (as_xml, "{property: recordPath, value: shop/order}"),
    "fixed": (
        as_fixed,
        "{property: header, value: false}, {property: fixedWidth, "
        "value: {order_id: [1, 10], day: [11, 20], amount: [21, 30], updated: [31, 40]}}",
    ),
}


@pytest.mark.parametrize("form", FORMATS)
def test_files_of_each_format_are_read_by_workers_as_by_one_process(
    tmp_path: Path, dealt_out: list[str], form: str
) -> None:
    made, properties = FORMATS[form]
    names = HEADER.strip().split(",")
    texts = [text.splitlines() for load in LOADS for text in load]
    files = [made([dict(zip(names, line.split(","), strict=True)) for line in lines]) for lines in texts]

    def loaded(root: Path, environ: dict[str, str]) -> dict[str, Any]:
        shop = Lake(root, environ).shop()
        told = f"format: {form.partition('.')[0]}" + (f", customProperties: [{properties}]" if properties else "")
        shop.edit("silver/shop/orders.yaml", "*.csv, format: csv", f"*.{form}, {told}")
        for nth, content in enumerate(files):
            shop.land(f"shop/orders/{nth}.{form}", content)
            if nth % 2:
                shop.good()
        return left_in(shop)

    there = loaded(tmp_path / "there", dict(shared.SETTINGS))
    assert "read_files" in dealt_out
    assert there == loaded(tmp_path / "here", {})
    assert len(there["bronze.shop.orders"][0]) == sum(map(len, texts))


@pytest.mark.usefixtures("dealt_out")
def test_a_column_that_files_of_several_tasks_spell_otherwise_is_one(tmp_path: Path) -> None:
    def loaded(root: Path, environ: dict[str, str]) -> dict[str, Any]:
        shop = Lake(root, environ).shop()
        for nth, spelling in enumerate(["Updated", "updated", "UPDATED", "Updated"]):
            shop.land(
                f"shop/orders/{nth}.csv",
                f"order_id,day,amount,{spelling},Note\n{nth},2024-01-01,x,{nth},n\n1,2024-01-01,1,{nth},\n",
            )
        shop.good()
        return left_in(shop)

    assert loaded(tmp_path / "there", dict(shared.SETTINGS)) == loaded(tmp_path / "here", {})


@pytest.mark.usefixtures("dealt_out")
def test_a_load_by_workers_of_which_too_much_is_rejected_is_refused(tmp_path: Path) -> None:
    said = []
    for root, environ in ((tmp_path / "there", dict(shared.SETTINGS)), (tmp_path / "here", {})):
        shop = Lake(root, environ).shop()
        shop.land(
            "shop/orders/1.csv", HEADER + "".join(f"{n},2024-01-01,{'x' if n < 60 else 1},1\n" for n in range(100))
        )
        said.append(str(shop.run().failures["silver.shop.orders"]).partition("\n")[0])
        assert not (shop.data / "silver/shop/orders").exists()
    assert said[0] == said[1]
    assert said[0].startswith("60 of 100 rows were rejected, more than 50 %")


# -- failures


def kill_once(mark: Path) -> int:
    """Die like a process that the machine ends, the first time."""
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return 7


def kill_always(mark: Path) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return 7


def test_a_task_whose_process_is_killed_is_done_again(tmp_path: Path) -> None:
    pool = Processes(2)
    try:
        assert pool.run(kill_once, [tmp_path / "a", tmp_path / "b", tmp_path / "c"]) == [7, 7, 7]
    finally:
        pool.close()


def test_a_task_that_kills_every_process_is_given_up_as_worth_trying_again(tmp_path: Path) -> None:
    pool = Processes(1)
    with pytest.raises(TransientError, match="1 of 1 tasks did not end in 4 tries"):
        pool.run(kill_always, [tmp_path])


ENDLESS = """
import os, pathlib, sys, time
from src.workers.local import Processes

def wait_for_ever(path):
    pathlib.Path(path).write_text(str(os.getpid()))
    time.sleep(600)

if __name__ == "__main__":
    Processes(1).run(wait_for_ever, [sys.argv[1]])
"""


def test_processes_end_with_a_driver_that_is_killed(tmp_path: Path) -> None:
    script, mark = tmp_path / "endless.py", tmp_path / "pid"
    script.write_text(ENDLESS)
    with subprocess.Popen([sys.executable, script, mark], env={**os.environ, "PYTHONPATH": str(ROOT)}) as driver:
        while not (mark.exists() and mark.read_text()):
            assert driver.poll() is None
            time.sleep(0.05)
        driver.kill()
    end = time.monotonic() + 60
    while Path(f"/proc/{mark.read_text()}").exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert not Path(f"/proc/{mark.read_text()}").exists()


def refuse(engine: DuckEngine, task: str) -> str:
    if task == "sql":
        engine.execute("SELEKT 1")
    if task == "data":
        raise DataError("no such day", where="1.csv", fix="land it again")
    if task == "access":
        raise AuthError("no credentials for the object store", where="s3://b/k", fix="see AWS_ACCESS_KEY_ID")
    return task


class Here:
    """A runner of this process."""

    width = 1

    def run(self, function: Any, tasks: Any) -> list[Any]:
        return [function(task) for task in tasks]

    def close(self) -> None:
        """Nothing is open."""


def dealing(folder: Path, engine: str) -> Stages:
    return Stages(Here(), folder, memory=lambda width: "300MB", least=0, run_date=None, engine=engine)


def test_the_error_of_a_task_is_the_steps_and_what_others_wrote_is_taken_back(tmp_path: Path) -> None:
    taken_back: list[str] = []
    version = DuckEngine(memory_limit="300MB", threads=1, spill=tmp_path).version
    with pytest.raises(DataError) as caught:
        dealing(tmp_path, version).deal("shop", refuse, ["a", "data", "b"], taken_back.append)
    assert (caught.value.what, caught.value.where, caught.value.fix) == ("no such day", "1.csv", "land it again")
    assert taken_back == ["a", "b"]
    with pytest.raises(ContractError, match="syntax error"):
        dealing(tmp_path, version).deal("shop", refuse, ["sql"])
    with pytest.raises(AuthError) as refused:
        dealing(tmp_path, version).deal("shop", refuse, ["access"])
    assert (refused.value.where, "every node needs a credential of its own" in str(refused.value.fix)) == (
        "s3://b/k",
        True,
    )


def test_a_worker_with_another_engine_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match=r"a worker has DuckDB .*, the driver 1\.0\.0"):
        dealing(tmp_path, "1.0.0").deal("shop", refuse, ["a"])


def memory_of(engine: DuckEngine, task: None) -> int:
    return engine.memory


def test_a_task_on_a_cluster_takes_what_a_core_of_its_own_machine_has(tmp_path: Path) -> None:
    with open_project(Lake(tmp_path, {"ENGINE": "spark", "MEMORY_LIMIT": "64GB"}).shop().settings) as project:
        memory, version = workers._memory(project, 1), project.engine.version
    assert memory == "auto", "and not of the driver's"
    near = partial(pytest.approx, rel=0.05)  # the engine rounds what it says
    assert perform(Job(memory_of, None, memory, None, version)).value == near(memory_of_core())
    assert perform(Job(memory_of, None, "400MB", None, version)).value == near(400_000_000)


def test_the_shares_of_files_are_in_order_and_about_as_large(tmp_path: Path) -> None:
    files = [tables.DataFile(str(at), size, 1) for at, size in enumerate((5, 1, 1, 1, 5, 1, 1, 1))]
    found = Stages(Processes(2), tmp_path, lambda width: "1GB", 0, None, "").shares(files)
    assert [[file.path for file in share] for share in found] == [["0", "1", "2", "3"], ["4", "5", "6", "7"]]
    assert Stages(Processes(2), tmp_path, lambda width: "1GB", 0, None, "").shares([]) == []


def test_what_a_run_that_died_staged_is_swept_by_the_next(tmp_path: Path) -> None:
    shop = Lake(tmp_path, {}).shop()
    shop.land("shop/orders/1.csv", HEADER + LOADS[0][0])
    left = shop.data / ".staging/of-a-run-that-died"
    left.mkdir(parents=True)
    (left / "part.parquet").touch()
    shop.environ |= WORKERS
    shop.good()
    assert not left.exists()


def test_nothing_that_others_have_in_the_staging_folder_is_swept(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    theirs = scratch / "theirs.parquet"
    theirs.touch()
    shop = Lake(tmp_path, {**WORKERS, "STAGING_DIR": str(scratch)}).shop()
    with open_project(shop.settings) as project, workers.dealing(project) as stages:
        assert stages
        assert stages.new_folder().is_relative_to(scratch)
    assert list(scratch.iterdir()) == [theirs]


def test_the_plan_says_which_steps_are_dealt_out_and_by_which_stages(tmp_path: Path) -> None:
    shop = Lake(tmp_path, {}).shop()
    shop.land("shop/orders/1.csv", HEADER + LOADS[0][0])
    assert not [step for step in shop.planned() if "dealt out" in step.why]
    shop.environ |= WORKERS
    assert [step.why for step in shop.planned()][:1] == ["1 new files; 0.0 MB dealt out to workers: hash, read"]
    shop.good()
    assert not [step for step in shop.planned() if "dealt out" in step.why]
    shop.edit("silver/shop/orders.yaml", "decimal(18,2)", "decimal(18,3)")
    shop.edit("silver/shop/orders.yaml", "version: 1.0.0", "version: 2.0.0")
    [_, silver, _] = shop.planned()
    assert silver.why.endswith("; 0.0 MB dealt out to workers: hash keys, find shared, judge, rank, write")
    shop.edit(
        "silver/shop/orders.yaml",
        "value: [updated]}",
        "value: [updated]}\n      - {property: onConflict, value: quarantine}",
    )
    [_, silver, _] = shop.planned()
    assert silver.why.endswith("; 0.0 MB dealt out to workers: type, contend, rewrite")
