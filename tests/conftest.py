"""A lake in a temporary folder: land text, run, read back from disk. After every test the laws are checked on it."""

from __future__ import annotations

import atexit
import gc
import io
import os
import shutil
import subprocess
import sys
import zlib
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import hypothesis
import pytest
from _pytest.mark import ParameterSet

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import main  # noqa: E402
from src import catalog, commands, contract  # noqa: E402
from src.commands.run import pipeline  # noqa: E402
from src.engine import DuckEngine  # noqa: E402
from src.maintenance import check  # noqa: E402
from src.project import on_engine, open_project, select  # noqa: E402
from src.run import runs  # noqa: E402
from src.run.plan import PlannedStep, read_plan  # noqa: E402
from src.run.runs import Record, Run  # noqa: E402
from src.settings import Settings, load  # noqa: E402

# The sample company's contracts, as the repository ships them; whoever made the clone their own project removed them.
SAMPLE = (*(ROOT / f"src/silver/{name}" for name in ("sales", "manufacturing", "delivery", "kpi")), ROOT / "src/gold")
needs_sample = pytest.mark.skipif(
    not all(any(folder.glob("**/*.yaml")) for folder in SAMPLE), reason="the sample company's contracts were removed"
)

hypothesis.settings.register_profile("untimed", deadline=None)  # no test fails because the machine is busy
hypothesis.settings.load_profile("untimed")

ORDERS = """
apiVersion: v3.1.0
kind: DataContract
id: shop.orders
name: Orders
version: 1.0.0
status: active
domain: shop
description: {purpose: Orders.}
servers:
  - {server: orders, type: local, path: shop/orders/*.csv, format: csv}
schema:
  - name: orders
    logicalType: object
    physicalType: table
    properties:
      - {name: order_id, logicalType: integer, physicalType: bigint, primaryKey: true, primaryKeyPosition: 1}
      - {name: day, logicalType: date, physicalType: date, required: true, partitioned: true, partitionKeyPosition: 1}
      - {name: amount, logicalType: number, physicalType: "decimal(18,2)", required: true}
      - {name: updated, logicalType: integer, physicalType: integer}
    customProperties:
      - {property: sequenceBy, value: [updated]}
"""

MART = """
apiVersion: v3.1.0
kind: DataContract
id: shop
name: Shop
version: 1.0.0
status: active
domain: shop
description: {purpose: What was sold on which day.}
team: {name: Shop, members: [{username: shop-office, role: owner}]}
slaProperties: [{property: frequency, value: 1, unit: d}]
schema:
  - name: daily
    logicalType: object
    physicalType: table
    properties:
      - {name: day, logicalType: date, physicalType: date, required: true, partitioned: true, partitionKeyPosition: 1}
      - {name: orders, logicalType: integer, physicalType: bigint}
      - {name: amount, logicalType: number, physicalType: "decimal(18,2)"}
"""

DAILY = """
SELECT day, count(*) AS orders, cast(sum(amount) AS decimal(18,2)) AS amount
FROM silver.shop.orders GROUP BY day
"""


pytest_plugins = ["browser", "object_store"]  # the page that is served, and the browser before it
IN_MEMORY = "/dev/shm"
ROOM = 6 << 30  # bytes: the folders of all tests take less than two


def pytest_configure(config: pytest.Config) -> None:
    """Let the folders of tests lie in memory where there is room: there a commit waits for no disk.

    That a commit does wait for the disk is what tests/test_lake.py proves.
    """
    gc.set_threshold(20_000, 20, 20)  # to look for garbage more often takes 4 s of each worker, whose modules stay
    os.environ.setdefault("GOGC", "off")  # rclone is started often, and ends before it has garbage worth collecting
    if not Path(IN_MEMORY).is_mount():
        return
    runs_programs = not os.statvfs(IN_MEMORY).f_flag & os.ST_NOEXEC  # which some tests write and start
    if runs_programs and shutil.disk_usage(IN_MEMORY).free > ROOM:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", IN_MEMORY)


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist, which a call of one test may leave out
def pytest_xdist_auto_num_workers() -> int:
    """Return how many workers `-n auto` starts: one more than cores, as tests also wait for processes they start."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores + 1


def short(values: Iterable[object], count: int) -> list[ParameterSet]:
    """The parameters of a proof: the first few for `make test`, the others for `make proof`."""
    return shorts(((value,) for value in values), count)


def shorts(rows: Iterable[tuple[object, ...]], count: int) -> list[ParameterSet]:
    """What `short` does, where a proof has several parameters."""
    return [pytest.param(*row, marks=[pytest.mark.long] * (at >= count)) for at, row in enumerate(rows)]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is about the sample company, not about the product."""
    for item in items:
        if ROOT / "tests/sample" in item.path.parents:
            item.add_marker(needs_sample)


def typed(*words: str, cwd: Path = ROOT, **environ: str) -> subprocess.CompletedProcess[str]:
    """main.py as a person types it in a new shell: its exit code, and what it prints.

    It is done in this process, as starting another takes longer than most commands do; what is about the process
    itself (signals, what is imported when, a fresh interpreter) starts one.
    """
    shell = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    mask = os.umask(0o022)  # a command sets its own
    os.umask(mask)
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        for name in {*os.environ} - {*shell}:
            patch.delenv(name)
        for name, value in (shell | {"SETTLE_SECONDS": "0", "PIP_NO_INDEX": "1"} | environ).items():
            patch.setenv(name, value)
        patch.chdir(cwd)
        try:
            code = main.main(list(words))
        except SystemExit as ended:  # argparse's
            code = int(ended.code or 0)
        finally:
            os.umask(mask)
    texts = []
    for stream in (out, err):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode())
    return subprocess.CompletedProcess(["main.py", *words], code, *texts)


@cache
def reader() -> DuckEngine:
    """The engine that looks at what tests left, no run's: one for all of them, as opening it takes longer than that."""
    home = TemporaryDirectory()
    atexit.register(home.cleanup)
    return DuckEngine(memory_limit="1GB", threads=os.cpu_count() or 1, spill=Path(home.name) / ".spill")


@dataclass
class Lake:
    """A project folder with contracts and a lake, and the verbs a test needs."""

    root: Path
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def settings(self) -> Settings:
        return load(self.root, {"SETTLE_SECONDS": "0", "MEMORY_LIMIT": "1GB", **self.environ})

    def write(self, path: str, text: str) -> Path:
        """Write a contract or model below src/."""
        target = self.root / "src" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        return target

    def edit(self, path: str, old: str, new: str) -> None:
        """Change a contract or model as a person would."""
        target = self.root / "src" / path
        text = target.read_text(encoding="utf-8")
        assert old in text
        target.write_text(text.replace(old, new), encoding="utf-8")

    def shop(self) -> Lake:
        """The contracts of a small shop: orders with key and sequence, one daily mart."""
        self.write("silver/shop/orders.yaml", ORDERS)
        self.write("gold/shop/contract.yaml", MART)
        self.write("gold/shop/daily.sql", DAILY)
        return self

    def add_largest(self, sql: str) -> None:
        """Give the shop's mart a second table, `largest`, with the columns of `daily`."""
        columns = MART[MART.index("  - name: daily") :]
        self.edit("gold/shop/contract.yaml", columns, columns.replace("daily", "largest") + columns)
        self.write("gold/shop/largest.sql", sql)

    def land(self, name: str, content: str | bytes) -> Path:
        """Put a file into the landing zone."""
        target = self.data / "landing" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
        return target

    def run(self, domain: str | None = None) -> Run:
        with open_project(self.settings) as project:
            return pipeline(project, main.carry, domain)

    def good(self) -> Run:
        """Run, and insist that nothing failed."""
        run = self.run()
        assert run.failures == {}, run.failures
        return run

    def command(self, name: str, *words: str) -> int:
        """Do a command of this project in this process; returns its exit code, and what it raises comes out."""
        command, parser = commands.module(name), ArgumentParser()
        command.arguments(parser)
        return int(command.run(commands.Call(self.settings, parser.parse_args(words), main.carry)))

    def typed(self, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """What `typed` does, of this project."""
        return typed(*words, "--project", str(self.root), cwd=self.root, **environ)

    def planned(self) -> tuple[PlannedStep, ...]:
        """What a run would do."""
        with open_project(self.settings) as project:
            return read_plan(project, select(project, None), runs.window(runs.now().date(), None, None)).steps

    def step(self, run: Run, table_id: str) -> Record:
        return next(r for r in run.records if r.table_id == table_id and r.run_id == run.run_id)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of a SELECT over the lake as it is on disk, by an engine that has run nothing."""
        catalog.refuse_newer(self.data)
        catalog.publish_named(reader(), self.data, reader().table_references(sql))
        return reader().rows(sql)

    def findings(self, *, quick: bool = False) -> list[check.Finding]:
        """What `make check` finds; `quick`: of the bytes of files it is their number alone that is looked at."""
        catalog.refuse_newer(self.data)
        settings = self.settings
        project = on_engine(settings, contract.load(settings.source), reader())
        return list(check.run(project.engine, self.data, project.contracts, project.marts, quick=quick))


@pytest.fixture(autouse=True)
def own_umask() -> Iterator[None]:
    """The umask of every test is that of its process: a command sets its own."""
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)


@pytest.fixture
def shop(lake: Lake, built: Path) -> Lake:
    """A copy of the lake that the tests of a file build once for all of them, in their fixture `built`."""
    shutil.copytree(built, lake.root, dirs_exist_ok=True)
    return lake


EVERY_LAKE = "EVERY_LAKE"  # set by `make proof`: the lake of each test is checked, all of it


def is_one_of_three(item: pytest.Item) -> bool:
    """Whether a test is one of the third whose lakes are treated as in `make proof`: always the same tests."""
    return EVERY_LAKE in os.environ or zlib.crc32(item.nodeid.encode()) % 3 == 0


def assert_laws(made: Lake, item: pytest.Item) -> None:
    """Check the laws on the lake of a test: of every third all; else of a test without parameters all but files' bytes.

    The lakes of a test with several parameters are alike. To check all of every lake takes an eighth of all
    tests' time, a third of it to read each column and to hash each file, whose rows other laws read again.
    """
    whole = is_one_of_three(item)
    if whole or not hasattr(item, "callspec"):
        assert made.findings(quick=not whole) == []


@pytest.fixture
def lake(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Lake]:
    """An empty project; when the test is over, every law must hold on what it left.

    Of two tests of three one thread does the steps one after the other: an engine takes longer to open (18 ms) than
    most of them. What side by side changes, nothing, is what tests/test_side_by_side.py and the other third prove.
    """
    (tmp_path / "src" / "silver").mkdir(parents=True)
    (tmp_path / "src" / "gold").mkdir()
    made = Lake(tmp_path, {} if is_one_of_three(request.node) else {"THREADS": "1"})
    yield made
    if made.data.exists() and not made.environ.get("BROKEN_ON_PURPOSE"):
        assert_laws(made, request.node)
