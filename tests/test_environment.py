"""A bad day of the machine: disk full, no permission, another run; and each class of failure raised for real."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pytest
from conftest import ROOT, Lake, shorts

from src import catalog
from src import lake as delta
from src.checks.outcome import Outcome
from src.errors import TransientError, exit_codes
from src.project import open_engine
from src.run import releases, runs
from src.run.kinds import RunKind
from src.run.runs import Run

HEADER = "order_id,day,amount,updated\n"
ORDERS = "silver/shop/orders.yaml"
NOBODY = 65534

# main.py in a process of its own: with a limit on the size of files, as another user, or broken on purpose.
CHILD = """
import os, resource, shutil, sys
from pathlib import Path
import main
root, limit, user, broken = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
if user:  # who may not be allowed to read the libraries: a run of a copy has loaded them all
    warm = root.with_name(root.name + "-warm")
    shutil.copytree(root, warm)
    main.main(["run", f"--project={warm}"])
    shutil.rmtree(warm)
    os.setgid(user)
    os.setuid(user)
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
if broken:
    setattr(main, broken, lambda *words, **named: 1 / 0)
sys.exit(main.main(["--project", str(root), *sys.argv[5:]]))
"""


def start(
    lake: Lake, *words: str, limit: int = 0, user: int = 0, broken: str = "", **environ: str
) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CHILD, str(lake.root), str(limit), str(user), broken, *(words or ("run",))]
    settled = {"SETTLE_SECONDS": "0", "THREADS": "1", "PATH": os.environ["PATH"], "HOME": str(lake.root)} | environ
    settled["PYTHONDONTWRITEBYTECODE"] = "1"  # where there is no room, a module would be kept half and break the next
    return subprocess.Popen(command, cwd=ROOT, env=settled, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code and everything printed."""
    out, err = process.communicate()
    return process.returncode, out + err


def content(data: Path) -> dict[str, bytes]:
    """Every file of the tables."""
    return {str(path): path.read_bytes() for path in data.rglob("*") if path.is_file() and "landing" not in path.parts}


def versions(lake: Lake) -> dict[str, int]:
    found = {name: delta.open_table(root) for name, root in catalog.tables(lake.data).items()}
    return {name: table.version for name, table in found.items() if table}


# -- disk full

# Text that no compression makes small, in each layer made of what the one below has.
LONG = "(SELECT string_agg(md5(day::VARCHAR || i), '') FROM range(3000) t(i))"
WIDE = "array_to_string(list_transform(range(3000), lambda i: md5(order_id || ' ' || i)), '')"


def long_bronze(lake: Lake) -> str:
    return HEADER.replace("updated", "updated,remark") + "3,2024-01-03,30,1," + os.urandom(60_000).hex() + "\n"


def long_silver(lake: Lake) -> str:
    lake.edit(ORDERS, "version: 1.0.0", "version: 1.1.0")
    column = f'      - {{name: long, logicalType: string, physicalType: varchar, transformLogic: "{WIDE}"}}\n'
    lake.edit(ORDERS, "    customProperties", f"{column}    customProperties")
    return HEADER + "3,2024-01-03,30,1\n"


def long_gold(lake: Lake) -> str:
    contract, column = "gold/shop/contract.yaml", "      - {name: long, logicalType: string}\n"
    lake.edit(contract, "version: 1.0.0", "version: 1.1.0")
    lake.edit(contract, "      - {name: amount", f"{column}      - {{name: amount")
    lake.edit("gold/shop/daily.sql", "count(*) AS orders", f"count(*) AS orders, {LONG} AS long")
    return HEADER + "3,2024-01-03,30,1\n"


@pytest.mark.parametrize(
    ("layer", "code", "make"),
    shorts([("silver", 9, long_silver), ("bronze", 5, long_bronze), ("gold", 9, long_gold)], 1),
)
def test_a_disk_that_is_full_in_one_layer_leaves_the_last_version_and_the_next_run_finishes(
    lake: Lake, layer: str, code: int, make: Callable[[Lake], str]
) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n2,2024-01-02,20,1\n")
    lake.good()
    before, release = versions(lake), releases.newest(lake.data)
    lake.land("shop/orders/2.csv", make(lake))
    assert ended(start(lake, limit=24_000))[0] == code
    step = "SELECT error_class, error_message FROM ops.pipeline_runs WHERE status = 'failed' AND layer = "
    [(error_class, message)] = lake.rows(f"{step}'{layer}'")
    assert error_class == "environment"
    assert "free some space" in message
    now = versions(lake)
    assert [name for name in now if name.startswith(layer) and now[name] != before[name]] == []
    released = releases.newest(lake.data)
    # what stays behind holds no source back; rejects are shown as they are, so that they can be looked at
    goes = {"bronze": (), "silver": ("bronze",), "gold": ("bronze", "silver")}[layer]
    moved = {name.partition(".")[0] for name in release if released[name] != release[name]}
    assert moved - {"quarantine"} == set(goes)
    assert lake.findings() == []
    assert ended(start(lake))[0] == 0
    assert lake.rows("SELECT sum(orders)::INTEGER, sum(amount) FROM gold.shop.daily") == [(3, Decimal(60))]


def test_a_run_that_cannot_be_recorded_says_so_and_the_next_one_is_released(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n")
    lake.good()
    release = releases.newest(lake.data)
    lake.land("shop/orders/2.csv", HEADER + "2,2024-01-02,20,1\n")
    code, said = ended(start(lake, limit=2_500))  # more than the small tables need, less than the record of a run
    assert (code, "free some space" in said) == (5, True), said
    assert releases.newest(lake.data) == release
    assert lake.findings() == []
    assert ended(start(lake))[0] == 0
    assert lake.rows("SELECT sum(amount) FROM gold.shop.daily") == [(30,)]
    assert releases.newest(lake.data)["gold.shop.daily"] > release["gold.shop.daily"]


@contextmanager
def small_disk(place: Path, kilobytes: int) -> Iterator[None]:
    place.mkdir(parents=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", place], capture_output=True)
    if mounted.returncode:
        pytest.skip("this machine allows no mount: the limit on the size of files stands for it")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", place], check=True)


@pytest.mark.long
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk takes root")
def test_whatever_the_room_that_is_left_on_a_small_disk_nothing_half_written_is_seen(tmp_path: Path) -> None:
    lake = Lake(tmp_path).shop()
    with small_disk(lake.data, 600):
        lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n")
        lake.good()
        lake.land("shop/orders/2.csv", HEADER + "1,2024-01-01,15,2\nx,2024-01-01,1,1\n2,2024-01-02,20,1\n")
        codes = []
        for room in (0, 4, 8, 16, 28, 40):
            filler = lake.data / "filler"
            filler.write_bytes(b"")
            disk = os.statvfs(lake.data)
            filler.write_bytes(bytes(max(0, disk.f_bavail * disk.f_frsize - room * 1024)))
            code, said = ended(start(lake))
            codes.append(code)
            assert code in (0, 5, 9), said
            assert code == 0 or "free some space" in said
            filler.unlink()
            with open_engine(lake.settings) as engine:
                out = io.StringIO()
                catalog.show(engine, lake.data, BOTH, "json", releases.newest(lake.data), out)
            assert json.loads(out.getvalue()) in ([{"silver": 10, "gold": 10}], [{"silver": 35, "gold": 35}])
            assert lake.findings() == []
        assert {5, 9} & set(codes)
        lake.good()
        assert lake.rows("SELECT sum(amount) FROM gold.shop.daily") == [(35,)]
        assert lake.rows("SELECT count(*) FROM quarantine.shop.orders") == [(1,)]


# -- permissions


def owned(path: Path, user: int) -> None:
    for one in (path, *path.rglob("*")):
        os.chown(one, user, user)


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user takes root")
@pytest.mark.parametrize(
    ("closed", "code"),
    [("data/silver", 9), *(pytest.param(closed, 5, marks=pytest.mark.long) for closed in ("data", "data/ops"))],
)
def test_a_folder_that_may_not_be_written_is_named_and_the_next_run_finishes(
    tmp_path_factory: pytest.TempPathFactory, closed: str, code: int
) -> None:
    place = Path("/tmp") / f"boathouse-{os.getpid()}-{code}-{closed.replace('/', '-')}"  # nobody may enter pytest's
    place.mkdir()
    try:
        lake = Lake(place).shop()
        lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n")
        lake.good()
        lake.land("shop/orders/2.csv", HEADER + "2,2024-01-02,20,1\n")
        owned(place, NOBODY)
        owned(place / closed, 0)
        before = content(place / closed)
        got, said = ended(start(lake, user=NOBODY))
        assert got == code, said
        assert "give the user that runs the pipeline access to it" in said
        assert content(place / closed) == before
        assert lake.findings() == []
        owned(place, NOBODY)
        assert ended(start(lake, user=NOBODY))[0] == 0
        assert lake.rows("SELECT sum(amount) FROM gold.shop.daily") == [(30,)]
    finally:
        subprocess.run(["rm", "-rf", place], check=True)


# -- each class of failure, with its exit code and what to do


def nothing(lake: Lake) -> None:
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n")


def a_wrong_contract(lake: Lake) -> None:
    lake.write(ORDERS, "nonsense: true\n")


def a_wrong_file(lake: Lake) -> None:
    lake.land("shop/orders/1.csv", HEADER.replace(",", ";"))


def a_wrong_model(lake: Lake) -> None:
    nothing(lake)
    lake.write("gold/shop/daily.sql", "SELECT nonsense FROM silver.shop.orders")


def a_file_for_a_folder(lake: Lake) -> None:
    (lake.root / "data").write_text("no folder")


FAILURES = [
    ("usage", ("run", "--domain", "nothing"), nothing, "", "the domains are shop"),
    ("contract", ("run",), a_wrong_contract, "", "fix:"),
    ("data", ("run",), a_wrong_file, "", "fix:"),
    ("environment", ("run",), a_file_for_a_folder, "", "data"),
    ("partial", ("run",), a_wrong_model, "", "see the messages above; then run again"),
    ("bug", ("run",), nothing, "carry", "ZeroDivisionError"),
]


@pytest.mark.parametrize(("error_class", "words", "make", "broken", "told"), FAILURES, ids=[row[0] for row in FAILURES])
def test_each_class_of_failure_has_its_exit_code_and_says_what_to_do(
    lake: Lake, error_class: str, words: tuple[str, ...], make: Callable[[Lake], object], broken: str, told: str
) -> None:
    lake.environ["BROKEN_ON_PURPOSE"] = ""
    lake.shop()
    make(lake)
    code, said = ended(start(lake, *words, broken=broken))
    assert exit_codes()[code] == error_class, said
    assert told in said
    if error_class == "bug":
        assert "Traceback" in (lake.root / "logs/app.log").read_text()
    if lake.data.is_file():
        lake.data.unlink()


def test_two_writers_that_collide_are_a_transient_failure_which_the_step_tries_again(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "_RETRIES", (0.0, 0.0))
    root = lake.data / "silver/shop/orders"
    stale = delta.create(root, {"order_id": "BIGINT"})
    delta.commit(stale, progress={"bronze.shop.orders": 1})
    tried: list[int] = []

    def commit(through: delta.Snapshot | None) -> Outcome:
        tried.append(1)
        fresh = through or delta.open_table(root) if len(tried) > 1 else stale
        assert fresh
        return Outcome(version=delta.commit(fresh, progress={"bronze.shop.orders": 2}).version)

    run = Run("run-1", runs.window(runs.now().date(), None, None), runs.now, "a test", RunKind.REPLAY)
    record = run.step("silver.shop.orders", lambda: commit(None))
    assert (record.status, record.version, len(tried)) == ("success", 2, 2)
    tried.clear()
    hopeless = Run("run-2", runs.window(runs.now().date(), None, None), runs.now, "a test", RunKind.REPLAY)
    record = hopeless.step("silver.shop.orders", lambda: commit(stale))
    assert (record.status, record.error_class, len(tried)) == ("failed", "transient", 3)
    error = hopeless.error()
    assert isinstance(error, TransientError)
    assert exit_codes()[error.exit_code] == "transient"
    assert "another writer committed first; run again" in str(error)
    lake.environ["BROKEN_ON_PURPOSE"] = "a table without its bronze"


# -- two at once


@pytest.mark.long
def test_a_second_run_is_refused_with_the_holders_name_while_the_first_goes_on(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n")
    with start(lake, SETTLE_SECONDS="10") as first:  # it waits for the file to keep its size, and holds the lake
        while not (lake.data / ".holder.json").exists():
            time.sleep(0.01)
        before = content(lake.data)
        code, said = ended(start(lake))
        assert exit_codes()[code] == "locked"
        assert f"another run is going: make pipeline (process {first.pid} on " in said
        assert content(lake.data) == before
        assert ended(first)[0] == 0
    assert lake.rows("SELECT count(*) FROM ops.pipeline_runs WHERE layer = 'run'") == [(1,)]


BOTH = """
SELECT (SELECT sum(amount) FROM silver.shop.orders) AS silver, (SELECT sum(amount) FROM gold.shop.daily) AS gold
"""
WRITER = """
import sys
from pathlib import Path
import main
from src import settings
from src.commands.run import pipeline
from src.project import open_project
root = Path(sys.argv[1])
told = settings.load(root, {"SETTLE_SECONDS": "0", "THREADS": "1"})
for day in range(2, 12):
    rows = ["order_id,day,amount,updated", *(f"{key},2024-01-{key + day % 3:02d},{day},{day}" for key in range(1, 9))]
    (root / f"data/landing/shop/orders/{day}.csv").write_text("\\n".join(rows) + "\\n")
    with open_project(told) as opened:
        assert not pipeline(opened, main.carry).failures
"""


@pytest.mark.long
def test_a_reader_sees_one_release_whole_while_runs_write(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + "".join(f"{key},2024-01-0{key},1,1\n" for key in range(1, 9)))
    lake.good()
    seen = []
    with subprocess.Popen([sys.executable, "-c", WRITER, str(lake.root)], cwd=ROOT) as writer:
        while writer.poll() is None:
            out = io.StringIO()
            with open_engine(lake.settings) as engine:
                catalog.show(engine, lake.data, BOTH, "json", releases.newest(lake.data), out)
            seen.append(json.loads(out.getvalue())[0])
    assert writer.returncode == 0
    assert [answer for answer in seen if answer["silver"] != answer["gold"] or answer["silver"] % 8] == []
    assert len({answer["gold"] for answer in seen}) > 2
