"""Random histories of a small shop as plain data, and the verb that lives one and compares every step with the oracle.

A history is a family of contract and a list of operations; an operation is a tuple, so that a history
prints as what can be pasted into a test. Operations that make no sense where they stand do nothing.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import tempfile
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import duckdb
from conftest import DAILY, MART, ORDERS
from deltalake import DeltaTable
from deltalake.table import TableAlterer, TableOptimizer
from loguru import logger

import main
from src import catalog, commands, lake, workers
from src.branches import find_branch, making, promoting
from src.branches.promoting import Promotion
from src.commands.run import pipeline
from src.contract import Contracts, Table
from src.engine import DuckEngine
from src.errors import BoathouseError, DataError, MachineError, UsageError
from src.forget import certificates, forgetting, planning
from src.maintenance import archive, backfill, backup, check, optimize, restore, rollback, vacuum
from src.project import Project, Selection, downstream, open_project
from src.run import lock, releases, runs
from src.run.kinds import RunKind
from src.run.recorded import recorded_run
from src.run.runs import Run
from src.settings import Settings, load
from torture import figures, oracle
from torture.oracle import Content, Rules
from torture.shelf import Shelf

Operation = tuple[Any, ...]
Seen = dict[str, list[tuple[Any, ...]] | None]  # by table, its rows; None where another program took files of it
FIRST = "order_id,day,amount,updated\n1,2024-01-01,10,1\n"
LANDING = "landing/shop/orders"
TABLE = "silver.shop.orders"
BRANCH = "beside"
ENVIRON = {"SETTLE_SECONDS": "0", "MEMORY_LIMIT": "1GB", "THREADS": "2"}


class Difference(AssertionError):
    """The lake is not what the oracle says."""


@dataclass(frozen=True)
class History:
    """A family of contract and what happened."""

    family: str
    operations: tuple[Operation, ...]
    figure: str = ""  # which kind of mart looks across days, of figures.KINDS


# -- making histories up


def history(random: Random) -> History:
    """One random history of 3 to 8 operations."""
    operations = [operation(random) for _ in range(random.choice((3, 3, 4, 4, 5, 5, 6, 8)))]
    restored = [at for at, (kind, *_) in enumerate(operations) if kind == "restore"]
    if restored:  # of what was backed up before
        operations.insert(random.randint(0, restored[-1]), ("back up",))
    return History(random.choice(oracle.FAMILIES), tuple(operations), random.choice(list(figures.KINDS)))


def operation(random: Random) -> Operation:
    """One random operation, whatever came before it."""
    kind = random.choices([name for name, _ in _KINDS], [weight for _, weight in _KINDS])[0]
    if kind == "land":
        return ("land", _name(random), text(random))
    if kind == "revert":
        return ("revert", random.randrange(6), text(random))
    if kind == "copy":
        return ("copy", _name(random), _name(random))
    if kind == "bump":
        return ("bump", random.choice((None, 0, 5, 9)), random.random() < 0.4)
    if kind == "backfill":
        return ("backfill", random.choice(SLICES))
    if kind in ("compact", "vacuum", "checkpoint"):
        return (kind, random.choice(_TABLES))
    if kind == "make vacuum":
        return (kind, random.choice((0, 168)))
    if kind == "rollback":
        return ("rollback", random.randrange(4))
    if kind == "crash":
        return ("crash", random.randint(1, 70))
    if kind == "forget":
        return ("forget", random.choice((1, 2, 3, 4)), random.choice((0, 0, 1)) * random.randint(1, 90))
    if kind == "branch":
        return ("branch", random.choice((None, 0, 5, 9)))
    if kind == "restore":
        return ("restore", random.choice((0, 0, 1, 2)))
    if kind == "clock":
        return ("clock", random.choice(_JUMPS))
    return (kind,)


_KINDS = (
    ("land", 36),
    ("revert", 6),
    ("run", 30),
    ("crash", 6),
    ("again", 3),
    ("copy", 4),
    ("bump", 5),
    ("replay", 3),
    ("backfill", 6),
    ("compact", 5),
    ("vacuum", 5),
    ("checkpoint", 2),
    ("make vacuum", 4),
    ("make optimize", 4),
    ("rollback", 5),
    ("clock", 5),
    ("back up", 6),
    ("restore", 5),
    ("forget", 3),
    ("branch", 4),
)
_JUMPS = (-24 * 800, -24 * 40, -25, -1, 0, 0, 1, 25, 24 * 40, 24 * 800)  # hours
_TABLES = (
    "bronze/shop/orders",
    "silver/shop/orders",
    "silver/shop/orders",
    "quarantine/shop/orders",
    "deletions/shop/orders",
    "statements/shop/orders",
    "gold/shop/daily",
    "ops/pipeline_runs",
    "ops/releases",
)
SLICES = (
    (TABLE, None, None, "amount > 5"),
    (TABLE, None, None, "order_id = 2 OR updated IS NULL"),
    (TABLE, "2024-01-01", "2024-01-02", None),
    (TABLE, "2024-01-03", None, "amount < 9"),
    ("gold.shop.daily", "2024-01-01", "2024-01-03", None),
)
_GOOD = {
    "order_id": ("1", "2", "3", "4", " 2 ", "3.0", "1", "2", "3", "+4", "3.00", "02"),
    "day": ("2024-01-01", "2024-01-02", "2024-01-03", "2024-02-01", "2024/1/2", "2024-01-03 00:00:00"),
    "amount": ("10", "10.00", "7.5", "0", "3", "-2", "8", "1.000", ".5", "1e1", "15e-1", "7.5000"),
    "updated": ("1", "2", "3", "4", "2", "", "1", "3.0"),
    "note": ("", "a", "b"),
    "changed": ("", "2024-01-01T10:00:00Z", "2024-01-01 10:00:00.123456", "2024-01-01T12:00:00+02:00"),
}
_BAD = {
    "order_id": ("", "x", "1.5", "1.000", "1e0", "0x1", "99999999999999999999"),
    "day": ("", "2024-02-30", "tomorrow", "4/5/31", "04/05/2031", "999999-12-31", "20240102", "2024-01-01 10:00:00"),
    "amount": ("", "abc", "2.505", "NaN", "inf", "1e-400", "1e400", "0.004", "12345678901234567", "1_0", "."),
    "updated": ("late", "1.000", "2.5", "99999999999"),
    "note": ("",),
    "changed": (
        "10:00",
        "2024-01-01T10:00:00.1234567Z",
        "2024-01-01T24:30:00Z",
        "999999-12-31",
        "2024-01-01T10:00:00 CST",
    ),
}
_HEADERS = (
    ("order_id", "day", "amount", "updated"),
    ("order_id", "day", "amount", "updated"),
    ("order_id", "day", "amount", "updated", "note", "changed"),
    ("updated", "amount", "day", "order_id"),
    ("order_id", "day", "amount"),
    ("order_id", "note", "day", "updated"),
)


def _name(random: Random) -> str:
    """Names that a person lists otherwise than a computer does: a10 after a9."""
    return random.choice(("a9", "a10", "b", "e20", "c", "d")) + ".csv"


def text(random: Random) -> str:
    """One file: few keys and days, so that rows collide; some of it dirty."""
    header = random.choices(_HEADERS, (8, 4, 4, 2, 1, 1))[0]
    lines = [",".join(header)]
    for _ in range(random.randint(0, 6)):
        bad = random.choice(header) if random.random() < 0.12 else None
        cells = [random.choice((_BAD if name == bad else _GOOD)[name]) for name in header]
        shape = random.random()
        if shape < 0.04:
            cells = cells[: random.randint(1, len(cells) - 1)]
        elif shape < 0.06:
            cells.append("surplus")
        lines.append(",".join(cells))
        if random.random() < 0.08:
            lines.append(lines[-1])
        if random.random() < 0.03:
            lines.append("")
    return "\n".join(lines) + "\n"


# -- living them


@dataclass
class Tools:
    """What is shared by many histories: an engine, the oracle's connection, contracts read once."""

    home: Path
    engine: DuckEngine
    connection: duckdb.DuckDBPyConnection
    declared: dict[Rules, tuple[Contracts, tuple[Table, ...]]] = field(default_factory=dict)

    @classmethod
    def at(cls, home: Path) -> Tools:
        """Tools whose contracts lie below `home`."""
        home.mkdir(parents=True, exist_ok=True)
        return cls(
            home,
            DuckEngine(memory_limit="1GB", threads=2, spill=home / ".spill"),
            duckdb.connect(config={"threads": 1}),
        )

    def close(self) -> None:
        self.engine.close()
        self.connection.close()

    def source(self, rules: Rules) -> Path:
        """The folder with the contracts of these rules."""
        wanted = contract_text(rules)
        name = hashlib.sha256(f"{wanted}{rules.figure}".encode()).hexdigest()[:16]
        source = self.home / "contracts" / name / "src"
        if not source.exists():
            for path, content in (
                ("silver/shop/orders.yaml", wanted),
                ("gold/shop/contract.yaml", MART),
                ("gold/shop/daily.sql", DAILY),
                *_figure_files(rules.figure),
            ):
                (source / path).parent.mkdir(parents=True, exist_ok=True)
                (source / path).write_text(content, encoding="utf-8")
        return source


def _figure_files(name: str) -> list[tuple[str, str]]:
    """The contract and the model of the mart that looks across days, and of the calendar that it may read."""
    kind = figures.KINDS[name]
    if not kind.model:
        return []
    model = f"gold/figures/figure.{'py' if kind.is_python else 'sql'}"
    calendar = [("silver/shop/calendar.yaml", figures.CALENDAR_CONTRACT)] if kind.calendar else []
    return [("gold/figures/contract.yaml", kind.contract), (model, kind.model), *calendar]


def contract_text(rules: Rules) -> str:
    """The contract that asks for these rules."""
    made = ORDERS.replace("version: 1.0.0", f"version: {rules.version}.0.0")
    sequence = "    customProperties:\n      - {property: sequenceBy, value: [updated]}\n"
    made += "      - {property: zOrderBy, value: [updated]}\n"
    made += "      - {property: maxRejected, value: 100 %}\n"
    if rules.family in ("arrival", "keyless"):
        made = made.replace(sequence, "    customProperties:\n")
    if rules.family == "keyless":
        made = made.replace(", primaryKey: true, primaryKeyPosition: 1", "")
    if rules.family == "history":
        by_day = sequence.replace("[updated]", "[day]") + "      - {property: history, value: scd2}\n"
        made = made.replace(sequence, by_day)
    if rules.family in ("conflicts", "last"):
        word = "quarantine" if rules.family == "conflicts" else "last"
        made = made.replace(sequence, f"{sequence}      - {{property: onConflict, value: {word}}}\n")
    if rules.family in oracle.STATEMENTS:
        made = made.replace(sequence, _stated(oracle.STATEMENTS[rules.family]))
        if "day" in oracle.STATEMENTS[rules.family].key:
            made = made.replace("required: true, partitioned", "primaryKey: true, primaryKeyPosition: 2, partitioned")
    if rules.family == "places":  # the text of a partition is odd, and for one amount empty
        logic = "CASE WHEN amount <> 7.5 THEN amount::varchar || ' %2F/=' ELSE '' END"
        cut = f'partitioned: true, partitionKeyPosition: 2, transformLogic: "{logic}"'
        remote = f"      - {{name: place, logicalType: string, required: true, {cut}}}\n"
        made = made.replace(sequence, f"{remote}{sequence}")
    if rules.family == "deletes":
        made = made.replace(sequence, sequence + "      - {property: deleteWhen, value: amount = 0}\n")
    if rules.minimum is not None:
        made = made.replace('(18,2)", required', f'(18,2)", logicalTypeOptions: {{minimum: {rules.minimum}}}, required')
    if rules.note:
        updated = "      - {name: updated, logicalType: integer, physicalType: integer}\n"
        drifted = "      - {name: note, logicalType: string, physicalType: varchar}\n"
        made = made.replace(updated, f"{updated}{drifted}      - {{name: changed, logicalType: timestamp}}\n")
    return made


_NUMBER = "try_cast(regexp_extract(_file, '([0-9]+)[.]csv$', 1) AS INTEGER)"
_IN_KEY = "primaryKey: true, primaryKeyPosition: 2"
_OF_FILES = {  # columns made of a file's name
    "shelf": f"string, {_IN_KEY}, transformLogic: \"regexp_extract(_file, '([a-z]?)[0-9]*[.]csv$', 1)\"",
    "turn": f'integer, transformLogic: "{_NUMBER}"',
    "told": f"date, required: true, transformLogic: \"DATE '2024-01-01' + coalesce({_NUMBER}, 1)\"",
}


def _stated(stated: oracle.Statements) -> str:
    """The column of a family of statements, and its custom properties."""
    slices = {"0": "all", "day": "[day]", "shelf": "[shelf]"}[stated.slice]
    column = f"      - {{name: {stated.column}, logicalType: {_OF_FILES[stated.column]}}}\n" if stated.column else ""
    order = f"      - {{property: sequenceBy, value: [{stated.column}]}}\n" if stated.order else ""
    history = "      - {property: history, value: scd2}\n" if stated.history else ""
    replaces = f"      - {{property: replaces, value: {slices}}}\n      - {{property: maxRemoved, value: 100 %}}\n"
    return f"{column}    customProperties:\n{order}{history}{replaces}"


@dataclass(frozen=True)
class Backup:
    """What a shop was when it was backed up, as far as the backup has it."""

    rules: Rules
    noted: bool
    arrivals: int  # so many runs had landed what its bronze holds
    believed: tuple[Rules, Content] | None
    released: tuple[tuple[str, Rules, Content], ...]
    seen: Seen
    forgotten: frozenset[int] = frozenset()


@dataclass
class Shop:
    """One lake, what landed in it, and what it must hold.

    `believed` is what the tables must hold now, and under which rules they were built (None: a run died,
    so only the next one tells); `released` what they held at the end of each run.
    """

    tools: Tools
    root: Path
    rules: Rules
    ahead: timedelta = timedelta()  # of the lake's clock
    runs: int = 0
    noted: bool = False  # a file with the drift columns was taken
    believed: tuple[Rules, Content] | None = None
    released: list[tuple[str, Rules, Content]] = field(default_factory=list)
    backups: dict[str, Backup] = field(default_factory=dict)
    bronze: dict[int, int] = field(default_factory=dict)  # how many runs had landed what a version of bronze holds
    forgotten: set[int] = field(default_factory=set)  # keys of which no line counts, of any file
    taken: set[tuple[str, int]] = field(default_factory=set)  # released versions whose files another program removed

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def archive(self) -> Path:
        return self.root / "archive"

    @property
    def remote(self) -> Shelf:
        return Shelf(str(self.root / "backups"))

    def project(self) -> Project:
        settings = load(self.root, ENVIRON)
        if self.rules not in self.tools.declared:
            declared = replace(settings, root=self.tools.source(self.rules).parent)
            with open_project(declared) as project:
                self.tools.declared[self.rules] = (project.contracts, project.marts)
        contracts, marts = self.tools.declared[self.rules]
        return Project(settings, contracts, marts, self.tools.engine)

    def land(self, name: str, content: str) -> None:
        landing = self.data / LANDING
        landing.mkdir(parents=True, exist_ok=True)
        (landing / name).write_text(content, encoding="utf-8")

    def keep(self) -> None:
        """Copy what a run will find into the archive."""
        self.runs += 1
        remote = self.archive / f"{self.runs:05d}"
        for path in sorted((self.data / LANDING).iterdir()):
            remote.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, remote / path.name)
            self.noted = self.noted or "changed" in path.read_text(encoding="utf-8").split("\n", 1)[0].split(",")

    def took(self) -> None:
        """Remember what bronze holds after a run, however that ended."""
        if (self.data / "bronze/shop/orders/_delta_log").exists():
            self.bronze[DeltaTable(self.data / "bronze/shop/orders").version()] = self.runs

    def forget(self) -> int:
        """Take out of the archive what a run that died had not taken into bronze; returns how many files."""
        bronze = self.data / "bronze/shop/orders"
        table = DeltaTable(bronze) if (bronze / "_delta_log").exists() else None
        lost = []
        for path in sorted((self.archive / f"{self.runs:05d}").iterdir()):
            bits = int.from_bytes(hashlib.sha256(path.read_bytes()).digest()[:8], "big") >> 1
            if table is None or table.transaction_version(f"last:shop/orders/{path.name}") != bits:
                lost.append(path)
        for path in lost:
            path.unlink()
        return len(lost)

    def expected(self) -> Content:
        return oracle.expected(self.tools.connection, self.archive, self.rules, self.forgotten)

    def stored(self, rules: Rules) -> Content:
        return oracle.stored(self.tools.connection, self.data, rules)

    def seen(self) -> Seen:
        """What readers find: the rows of every table of the newest release, but not those of the records."""
        engine, found, lost = self.project().engine, Seen(), self.lost()
        for name, version in releases.newest(self.data).items():
            table = lake.open_table(lake.table_path(self.data, name), version)
            if table and table.files and not name.startswith("ops."):
                scan = engine.scan(table, evolved=True)
                found[name] = None if name in lost else engine.rows(f"SELECT * FROM {scan} ORDER BY ALL")
        return found

    def lost(self) -> set[str]:
        """The tables of which another program removed files of the newest release, after it had written a version."""
        return {name for name, version in releases.newest(self.data).items() if (name, version) in self.taken}

    def insist_on_refusal(self, refusal: BoathouseError) -> None:
        """A release is refused for files that are gone only where another program removed files of the tables named."""
        named = set(re.findall(r" (\w+[.]\w+[.]\w+): .*? is gone", refusal.what))
        if not named or not named <= self.lost():
            raise refusal

    def insist(self, what: str) -> None:
        """Compare the tables with what is believed of them."""
        if self.believed is None:
            return
        rules, content = self.believed
        _refuse(what, content.differences(self.stored(rules)))
        _refuse(f"{what}: conservation", [str(row) for row in oracle.unbalanced(self.tools.connection, self.data)])

    def insist_on_release(self, run: Run) -> None:
        """After a run without failures the newest release is what the tables are now."""
        newest, now = releases.newest(self.data), self.versions()
        _refuse("release", [] if newest == now else [f"{run.run_id}: {newest} is the release, {now} are the tables"])

    def insist_on_promotion(self) -> None:
        """After a promotion the newest release is what the tables are now."""
        newest, now = releases.newest(self.data), self.versions()
        _refuse("promotion", [] if newest == now else [f"{newest} is the release, {now} are the tables"])

    def insist_on_readers(self, what: str, before: Seen) -> None:
        """Compare what readers see with what they saw; what a dead run rejected is shown by whatever comes next."""
        now = self.seen()
        shown = [name for name in {*before, *now} if self.believed or not name.startswith("quarantine.")]
        readable = [name for name in shown if before.get(name, []) is not None]
        found = [name for name in readable if before.get(name) != now.get(name)]
        _refuse(f"the release after {what}", [f"readers see something else in {name}" for name in found])

    def versions(self) -> dict[str, int]:
        """The newest version of every table but those of the records."""
        tables = {name: root for name, root in catalog.tables(self.data).items() if not name.startswith("ops.")}
        return {name: DeltaTable(root).version() for name, root in tables.items()}

    def check(self) -> None:
        project = self.project()
        with workers.dealing(project, beside_runs=True) as stages:
            found = list(check.run(project.engine, self.data, project.contracts, project.marts, stages=stages))
        _refuse("check", [f"{one.table}: {one.law}: {one.found}" for one in found])


def live(tools: Tools, root: Path, told: History, *, every: int = 5, end: bool = True) -> Shop:
    """Live a history in an empty folder and compare after every step; returns the shop as it was left.

    Raises:
        Difference: something was not as the oracle says.
    """
    shop = Shop(tools, root, Rules(told.family, figure=told.figure))
    shop.land("0.csv", FIRST)
    if figures.KINDS[told.figure].calendar:
        calendar = shop.data / "landing/shop/calendar/days.csv"
        calendar.parent.mkdir(parents=True)
        calendar.write_text(figures.CALENDAR, encoding="utf-8")
    for operation in (*told.operations, *([("run",)] if end else [])):
        act(shop, operation, every=every)
    if end:
        with clock(shop.ahead):
            shop.check()
    return shop


def act(shop: Shop, operation: Operation, *, every: int = 5) -> None:
    """Do one operation and compare."""
    kind, *words = operation
    with clock(shop.ahead):
        if kind in ("land", "revert", "copy", "bump", "run", "again", "crash", "clock") or shop.runs:
            _ACTS[kind](shop, *words)
        if kind in ("run", "again") and shop.runs % every == 0:
            shop.check()


@contextmanager
def clock(ahead: timedelta) -> Iterator[None]:
    """Have the project's clock so much ahead (or behind)."""
    now = runs.now
    runs.now = lambda: datetime.now(UTC) + ahead
    try:
        yield
    finally:
        runs.now = now


def _clock(shop: Shop, hours: int) -> None:
    """Set the clock wrong by so many hours for all that follows."""
    shop.ahead = timedelta(hours=hours)


def _land(shop: Shop, name: str, content: str) -> None:
    shop.land(name, content)


def _revert(shop: Shop, nth: int, content: str) -> None:
    """One of the files changes, and after a run it is again what it was."""
    files = sorted((shop.data / LANDING).iterdir())
    path = files[nth % len(files)]
    before = path.read_text(encoding="utf-8")
    run(shop)
    shop.land(path.name, content)
    run(shop)
    shop.land(path.name, before)


def _copy(shop: Shop, name: str, other: str) -> None:
    source = shop.data / LANDING / name
    if source.exists() and name != other:
        shop.land(other, source.read_text(encoding="utf-8"))


def run(shop: Shop) -> Run:
    """A plain run, compared with the oracle."""
    shop.keep()
    return _ran(shop, pipeline(shop.project(), main.carry))


def _ran(shop: Shop, done: Run) -> Run:
    shop.took()
    _refuse("run", [f"{name}: {error}" for name, error in done.failures.items()])
    shop.believed = (shop.rules, shop.expected())
    shop.released.append((done.run_id, *shop.believed))
    shop.insist("run")
    shop.insist_on_release(done)
    return done


def _crash(shop: Shop, at: int) -> None:
    """A run that stops dead at its n-th point, as if killed; what follows finds the tables as they were then."""
    passed = 0

    def point() -> None:
        nonlocal passed
        passed += 1
        if passed == at:
            raise _Crash

    noted = shop.noted
    shop.keep()
    project = shop.project()
    try:
        with points(point):
            done = pipeline(project, main.carry)
    except _Crash:
        shop.believed = None
        shop.took()
        if shop.forget():
            shop.noted = noted
    else:
        _ran(shop, done)


class _Crash(BaseException):
    """Nothing in the product catches it, as nothing catches SIGKILL."""


def forget(settings: Settings, table: str, where: str) -> None:
    """Forget whom a condition over a table is about, as a person types it."""
    command, parser = commands.module("forget"), ArgumentParser()
    command.arguments(parser)
    typed = parser.parse_args(["--table", table, "--where", where, "--reason", "asked for", "--yes"])
    with redirect_stdout(io.StringIO()):
        code = command.run(commands.Call(settings, typed, main.carry))
    _refuse("forget", [f"it ended with {code}"] if code else [])


def _forget(shop: Shop, order: int, at: int) -> None:
    """Forget whose order that is, dead at a point where that is not 0; no line of it counts from then on."""
    passed = 0

    def point() -> None:
        nonlocal passed
        passed += 1
        if passed == at:
            raise _Crash

    project = shop.project()
    if project.table(TABLE) is None:
        return
    used_key, _ = forgetting.use_key(project, make=True)
    began = {one.certificate for one in certificates.read_certificates(project.engine, shop.data)}
    try:
        planned = planning.plan(project, TABLE, f"order_id = {order}")
        if planned.refused or not planned.found:
            return
        with points(point):
            with recorded_run(project, RunKind.FORGET, "forget") as this:
                begun = [forgetting.begin(project, this, planned, "asked for", used_key)]
                forgetting.rewrite(project, this, begun, main.carry, used_key)
            _refuse("forget", [f"{name}: {error}" for name, error in this.failures.items()])
            forgetting.end(project, begun)
    except _Crash:
        shop.believed = None
        now = {one.certificate for one in certificates.read_certificates(project.engine, shop.data)}
        shop.forgotten |= {order} if now - began else set()
        return
    shop.forgotten.add(order)
    shop.believed = (shop.rules, shop.expected())
    shop.released.append((this.run_id, *shop.believed))
    shop.insist("forget")
    shop.insist_on_release(this)


@contextmanager
def points(point: Callable[[], None]) -> Iterator[None]:
    """Have `point` called before and after everything that writes: every spot where a process could die."""
    wrapped: list[tuple[Any, str, Any]] = []

    def around(owner: Any, name: str, *, after: bool = True) -> None:
        original = getattr(owner, name)

        def calling(*words: Any, **named: Any) -> Any:
            point()
            result = original(*words, **named)
            if after:
                point()
            return result

        wrapped.append((owner, name, vars(owner)[name]))
        setattr(owner, name, staticmethod(calling) if hasattr(original, "__self__") else calling)

    for name in ("create_write_transaction", "create", "restore"):
        around(DeltaTable, name)
    for name in ("add_columns", "set_table_properties"):
        around(TableAlterer, name)
    for name in ("compact", "z_order"):
        around(TableOptimizer, name)
    for name in ("create_checkpoint", "cleanup_metadata"):
        around(DeltaTable, name)
    around(lake, "remove")
    around(DuckEngine, "write")
    around(lake.log, "sync", after=False)
    around(lake, "discard", after=False)
    around(lock, "_write")
    for owner, name in ((os, "link"), (Path, "rename"), (shutil, "rmtree")):
        around(owner, name)
    around(runs, "write", after=False)
    around(releases, "record")
    try:
        yield
    finally:
        for owner, name, original in wrapped:
            setattr(owner, name, original)


def _run_again(shop: Shop) -> None:
    run(shop)
    before = releases.newest(shop.data)
    done = run(shop)
    moved = [name for name, version in releases.newest(shop.data).items() if before.get(name) != version]
    _refuse("an idle run", [f"{name} has a new version" for name in moved])
    _refuse("an idle run", [f"{record.table} wrote" for record in done.records if record.records_written])


def _bump(shop: Shop, minimum: int | None, note: bool) -> None:
    note = note and shop.noted
    if (minimum, note) != (shop.rules.minimum, shop.rules.note):
        shop.rules = replace(shop.rules, minimum=minimum, note=note, version=shop.rules.version + 1)


def _replay(shop: Shop) -> None:
    project = shop.project()
    table = project.declared(TABLE)
    with recorded_run(project, RunKind.REPLAY, "replay") as this:
        main.carry(project, this, Selection((), (table,), downstream(project, {TABLE})))
    if shop.believed is None:
        return
    _refuse("replay", [f"{name}: {error}" for name, error in this.failures.items()])
    shop.believed = (shop.rules, shop.expected())
    shop.released.append((this.run_id, *shop.believed))
    shop.insist("replay")


def _backfill(shop: Shop, cut: tuple[str, str | None, str | None, str | None]) -> None:
    try:
        done = refill(shop.project(), *cut)
    except BoathouseError as refusal:
        if shop.believed and (shop.believed[0] == shop.rules or "contract changed" not in str(refusal)):
            raise
        return
    if shop.believed is None:
        return
    _refuse("backfill", [f"{name}: {error}" for name, error in done.failures.items()])
    shop.released.append((done.run_id, *shop.believed))
    shop.insist("backfill")


def refill(project: Project, table: str, start: str | None, end: str | None, where: str | None) -> Run:
    """`main.py backfill`, without what it prints."""
    first, last = (date.fromisoformat(day) if day else None for day in (start, end))
    with recorded_run(project, RunKind.BACKFILL, f"backfill {table}") as this, workers.opened(project) as others:
        backfill.execute(project, backfill.plan(project, table, first, last, where, others), this, others)
    return this


def _rollback(shop: Shop, back: int) -> None:
    if not shop.released:
        return
    run_id, rules, content = shop.released[-1 - back % len(shop.released)]
    try:
        roll_back(shop.project(), run_id)
    except (MachineError, UsageError) as refusal:
        gone = ("vacuum removed", "no release as old", "no longer in the log")
        if not any(said in str(refusal) for said in gone):
            raise
    else:
        shop.believed = (rules, content)
    shop.insist("rollback")


def roll_back(project: Project, run_id: str) -> None:
    """`main.py rollback`, without what it prints."""
    versions = releases.named(project.engine, project.settings.data_dir, run_id)
    steps = rollback.plan(project, versions)
    if steps:
        with recorded_run(project, RunKind.ROLLBACK, f"rollback to {run_id}") as this:
            rollback.execute(project, steps, versions, this)


def _back_up(shop: Shop) -> None:
    """Back up the newest release, if there is one."""
    release = releases.newest(shop.data)
    if not release:
        return
    project = shop.project()
    try:
        with redirect_stdout(io.StringIO()):
            planned = backup.run(project.engine, project.settings, shop.remote, runs.now)
    except (DataError, MachineError) as refusal:  # the first where the newest backup has the file
        shop.insist_on_refusal(refusal)
        return
    made = planned.before if planned.idle and planned.before else planned.manifest
    arrivals = [runs for version, runs in shop.bronze.items() if version <= release.get("bronze.shop.orders", -1)]
    believed = shop.believed if release == shop.versions() else None
    seen, released = shop.seen(), tuple(shop.released)
    shop.backups[made.id] = Backup(
        shop.rules, shop.noted, max(arrivals, default=0), believed, released, seen, frozenset(shop.forgotten)
    )


def _restore(shop: Shop, back: int) -> None:
    """Lose all but the landing zone and restore a backup; what readers see is what they saw when it was made."""
    names = archive.listed(shop.remote) if shop.backups else []
    if not names:
        return
    name = names[-1 - back % len(names)]
    for path in shop.data.iterdir():
        if path.name != "landing":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    restore.execute(shop.project().engine, shop.remote, restore.plan(shop.remote, shop.data, name), shop.data, runs.now)
    kept = shop.backups[name]
    _go_back(shop, kept)
    shop.insist_on_readers("restore", kept.seen)
    shop.insist("restore")


def _go_back(shop: Shop, kept: Backup) -> None:
    """What came after a backup never landed, but for what the landing zone has still."""
    for remote in shop.archive.iterdir():
        if int(remote.name) > kept.arrivals:
            shutil.rmtree(remote)
    if shop.rules.note and not kept.noted:
        shop.rules = kept.rules  # a contract may not ask for what no file had
    shop.noted, shop.runs, shop.forgotten = kept.noted, kept.arrivals, set(kept.forgotten)
    shop.believed, shop.released = kept.believed, list(kept.released)
    shop.taken.clear()
    shop.bronze = {version: runs for version, runs in shop.bronze.items() if runs <= kept.arrivals}


def _maintain(work: Callable[[DeltaTable], object]) -> Callable[[Shop, str], None]:
    def maintain(shop: Shop, table: str) -> None:
        if (shop.data / table / "_delta_log").exists():
            work(DeltaTable(shop.data / table))
            shop.insist(f"maintenance of {table}")

    return maintain


def _vacuum(shop: Shop, table: str) -> None:
    """A vacuum by another program, which knows nothing of releases; what it wrote before may leave of one nothing."""
    name = table.replace("/", ".")
    released = releases.newest(shop.data).get(name)
    if released is not None and shop.versions()[name] > released:
        shop.taken.add((name, released))
    _maintain(lambda table: table.vacuum(0, dry_run=False, enforce_retention_duration=False, full=True))(shop, table)


def on_branch(shop: Shop) -> Project:
    """The shop's project as BRANCH=beside has it."""
    project, settings = shop.project(), load(shop.root, {**ENVIRON, "BRANCH": BRANCH})
    return replace(project, settings=settings)


def run_beside(shop: Shop) -> None:
    """Make a branch of the newest release, and run the contracts there as they are now."""
    making.create(shop.tools.engine, shop.data, BRANCH, runs.now(), "")
    done = pipeline(on_branch(shop), main.carry)
    _refuse("a run on a branch", [f"{name}: {error}" for name, error in done.failures.items()])


def promote(project: Project) -> Promotion:
    """`main.py branch promote`, without what it prints."""
    return promoting.promote(project, find_branch(project.settings.data_dir, BRANCH))


def _branch(shop: Shop, minimum: int | None) -> None:
    """A branch with another contract, run, promoted where main lets it, dropped: readers see what a run would show."""
    if shop.believed is None or not releases.newest(shop.data):
        return
    seen, rules = shop.seen(), shop.rules
    _bump(shop, minimum, shop.rules.note)
    try:
        run_beside(shop)
    except MachineError as refusal:
        shop.insist_on_refusal(refusal)
        shop.rules = rules
        return
    shop.insist("a branch")
    shop.insist_on_readers("a branch", seen)
    try:
        done = promote(shop.project())
    except DataError as refusal:
        if "cannot be promoted" not in str(refusal):
            raise
        shop.insist_on_readers("a promotion that was refused", seen)
        shop.rules = rules
    else:
        if done.run:
            shop.believed = (shop.rules, shop.expected())
            shop.released.append((done.run, *shop.believed))
            shop.insist_on_promotion()
    making.drop(shop.data, BRANCH, runs.now())
    shop.insist("a promotion")


def make_vacuum(project: Project, hours: int) -> None:
    """`make vacuum`, without what it prints."""
    with recorded_run(project, RunKind.VACUUM, "vacuum"):
        list(vacuum.execute(vacuum.plan(project.settings.data_dir, hours, runs.now().timestamp())))


def make_optimize(project: Project) -> None:
    """`make optimize`, without what it prints."""
    with recorded_run(project, RunKind.OPTIMIZE, "optimize") as this:
        steps = optimize.plan(project.settings.data_dir, project.contracts.silver)
        with workers.dealing(project) as stages:
            list(optimize.execute(project.engine, steps, this, stages))


def _make_vacuum(shop: Shop, hours: int) -> None:
    """A vacuum, as a purge or not; what readers see must outlive it."""
    seen = shop.seen()
    make_vacuum(shop.project(), hours)
    shop.insist("vacuum")
    shop.insist_on_readers("vacuum", seen)


def _make_optimize(shop: Shop) -> None:
    """An optimize; readers must see what they saw."""
    seen = shop.seen()
    make_optimize(shop.project())
    shop.insist("optimize")
    shop.insist_on_readers("optimize", seen)


_ACTS: dict[str, Callable[..., object]] = {
    "forget": _forget,
    "land": _land,
    "revert": _revert,
    "copy": _copy,
    "run": run,
    "crash": _crash,
    "again": _run_again,
    "bump": _bump,
    "replay": _replay,
    "backfill": _backfill,
    "rollback": _rollback,
    "clock": _clock,
    "back up": _back_up,
    "branch": _branch,
    "restore": _restore,
    "compact": _maintain(lambda table: table.optimize.compact()),
    "vacuum": _vacuum,
    "checkpoint": _maintain(lambda table: table.create_checkpoint()),
    "make vacuum": _make_vacuum,
    "make optimize": _make_optimize,
}


def _refuse(what: str, found: Sequence[str]) -> None:
    if found:
        raise Difference("\n  ".join([f"{what}:", *found[:12]]))


_RUNS = {"run": 1, "crash": 1, "again": 2, "revert": 2}  # of an operation, as far as it always has some


# -- telling them


def fails(tools: Tools, root: Path, told: History) -> str:
    """Why a history fails; empty text where it does not."""
    shutil.rmtree(root, ignore_errors=True)
    try:
        live(tools, root, told)
    except (Difference, BoathouseError, Exception) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        shutil.rmtree(root, ignore_errors=True)
    return ""


def smallest(tools: Tools, root: Path, told: History) -> History:
    """A history that fails too, from which nothing can be left out any more."""
    shrunk = True
    while shrunk:
        shrunk = False
        for one in _smaller(told):
            if fails(tools, root, one):
                told, shrunk = one, True
                break
    return told


def _smaller(told: History) -> list[History]:
    smaller = []
    for at, operation in enumerate(told.operations):
        before, after = told.operations[:at], told.operations[at + 1 :]
        smaller.append(replace(told, operations=(*before, *after)))
        if operation[0] == "land":
            lines = operation[2].splitlines(keepends=True)
            for line in range(1, len(lines)):
                less = "".join(lines[:line] + lines[line + 1 :])
                smaller.append(replace(told, operations=(*before, ("land", operation[1], less), *after)))
    return smaller


# -- many of them


@dataclass
class Sum:
    """What was done, and what differed."""

    kills: int = 0
    recoveries: int = 0
    interrupted: int = 0  # kills that the next run had to tell of
    scenes: int = 0
    histories: int = 0
    steps: int = 0
    runs: int = 0
    rotten: int = 0  # scenes of rot
    told: int = 0  # of these: where a command said something
    fixed: int = 0  # and where all was well in the end
    failed_calls: int = 0
    differences: list[str] = field(default_factory=list)

    def add(self, other: Sum) -> None:
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    def line(self, seconds: float) -> str:
        counts = (f"{value:,} {name}" for name, value in vars(self).items() if name != "differences")
        return f"{', '.join(counts)}, {len(self.differences)} differences, {seconds:,.0f} s"


def settle(workers: Any) -> None:
    """Keep a worker on one core: the threads of the Delta library hand over to each other thousands of times a run."""
    os.environ["TOKIO_WORKER_THREADS"] = "1"
    cores = sorted(os.sched_getaffinity(0))
    with workers.get_lock():
        workers.value += 1
        os.sched_setaffinity(0, {cores[workers.value % len(cores)]})


@contextmanager
def scratch() -> Iterator[tuple[Path, Tools]]:
    """A folder in memory where there is one, and tools."""
    logger.remove()
    memory = Path("/dev/shm")
    home = Path(tempfile.mkdtemp(prefix="torture-", dir=memory if os.access(memory, os.W_OK) else None))
    tools = Tools.at(home)
    try:
        yield home, tools
    finally:
        tools.close()
        shutil.rmtree(home, ignore_errors=True)


def live_many(first: int, count: int) -> Sum:
    """Live the histories of these seeds."""
    total = Sum()
    with scratch() as (home, tools):
        for seed in range(first, first + count):
            told = history(Random(seed))
            why = fails(tools, home / "lake", told)
            if why:
                small = smallest(tools, home / "lake", told)
                again = fails(tools, home / "lake", small) or why
                total.differences.append(f"history of seed {seed}: {again}\n  the smallest that fails: {small}")
            total.histories += 1
            total.steps += len(told.operations) + 1
            total.runs += 1 + sum(_RUNS.get(done[0], 0) for done in told.operations)
    return total
