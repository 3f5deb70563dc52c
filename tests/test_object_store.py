"""A lake in an object store: the same rows, laws and locks as in a folder, on a real server of S3."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import fsspec
import pytest
from browser import served
from conftest import ROOT, Lake, reader
from object_store import CREDENTIAL, ELSEWHERE, BucketLake, new_bucket_lake, requests_to, was_written
from s3_forwarder import Forwarder
from test_workers import WORKERS, live, lived

from src import lake as lakes
from src import store, workers
from src.engine import room
from src.errors import DataError, LockedError, MachineError, UsageError
from src.maintenance import archive, optimize
from src.remote import Remote, open_remote
from src.run import lease, lock, runs
from src.run.lease import Held, Lease
from src.settings import load

FIRST = "order_id,day,amount,updated\n1,2024-01-01,10,1\n2,2024-01-01,20,1\n3,2024-01-02,x,1\n"
SECOND = "order_id,day,amount,updated\n2,2024-01-03,25,2\n4,2024-01-01,40,1\n4,2024-01-01,40,1\n"
OF_BOTH = {
    "silver.shop.orders": [(1, "2024-01-01", "10.00", 1), (2, "2024-01-03", "25.00", 2), (4, "2024-01-01", "40.00", 1)],
    "gold.shop.daily": [("2024-01-01", 2, "50.00"), ("2024-01-03", 1, "25.00")],
}


def rows_of_both(lake: Lake) -> dict[str, list[tuple[object, ...]]]:
    silver = lake.rows("SELECT order_id, day::VARCHAR, amount::VARCHAR, updated FROM silver.shop.orders ORDER BY 1")
    gold = lake.rows("SELECT day::VARCHAR, orders, amount::VARCHAR FROM gold.shop.daily ORDER BY 1")
    return {"silver.shop.orders": silver, "gold.shop.daily": gold}


@pytest.fixture(scope="module")
def seen(s3_server: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[BucketLake]:
    """A shop in a bucket after two runs, for tests that only look at it."""
    with pytest.MonkeyPatch.context() as patch:
        made = new_bucket_lake(tmp_path_factory.mktemp("seen"), s3_server, patch)
        two_runs(made)
        yield made


def two_runs(lake: Lake) -> None:
    lake.shop()
    for name, content in (("1", FIRST), ("2", SECOND)):
        lake.land(f"shop/orders/{name}.csv", content)
        lake.good()


def test_a_lake_in_a_bucket_has_the_rows_and_versions_of_one_in_a_folder(lake: Lake, seen: BucketLake) -> None:
    two_runs(lake)
    versions = []
    for one in (lake, seen):
        assert rows_of_both(one) == OF_BOTH
        assert one.rows("SELECT _file, _reasons[1] LIKE '%amount%' FROM quarantine.shop.orders") == [
            ("shop/orders/1.csv", True)
        ]
        tables = ("bronze.shop.orders", *OF_BOTH)
        versions.append(
            [found.version for name in tables if (found := lakes.open_table(one.data / name.replace(".", "/")))]
        )
    assert versions[0] == versions[1]
    assert seen.findings() == []


def test_a_second_run_on_a_bucket_changes_nothing_and_a_corrected_object_is_taken(bucket_lake: BucketLake) -> None:
    bucket_lake.shop()
    bucket_lake.land("shop/orders/1.csv", FIRST)
    assert bucket_lake.typed("run", **bucket_lake.environ).returncode == 0
    before = requests_to(bucket_lake.environ)
    again = bucket_lake.typed("run", **bucket_lake.environ)
    assert "Processed 0 records (0 changed" in again.stdout
    assert requests_to(bucket_lake.environ) - before < 120  # of 9 tables; it was 98
    bucket_lake.land("shop/orders/1.csv", FIRST.replace("1,2024-01-01,10,1", "1,2024-01-01,11,2"))
    bucket_lake.good()
    assert bucket_lake.rows("SELECT amount::VARCHAR FROM silver.shop.orders WHERE order_id = 1") == [("11.00",)]


def test_commands_that_look_work_on_a_bucket(seen: BucketLake) -> None:
    def typed(*words: str) -> str:
        ended = seen.typed(*words, **seen.environ)
        assert ended.returncode == 0, (words, ended.stdout, ended.stderr)
        return ended.stdout

    first, second = [run for (run,) in seen.rows("SELECT DISTINCT run_id FROM ops.releases ORDER BY 1")]
    day = ("explain", "gold.shop.daily", "--where", "day = '2024-01-01'")
    assert "proven: over these rows alone the model gives the same" in typed(*day)
    assert "shop/orders/2.csv, row 2 (line 3)" in typed("explain", "silver.shop.orders", "--where", "order_id = 4")
    assert "gold.shop.daily where day 2024-01-01" in typed(*day, "--diff", first, second)
    assert "bronze.shop.orders: 3 rows became 6; added 3" in typed("diff", first, second)
    assert "type:amount" in typed("quarantine", "show", "--table", "silver.shop.orders")
    assert "2 tables verified" in typed("schema-version", "verify")
    for command in ("status", "plan", "access", "incident"):
        typed(command)
    assert typed("query", "SELECT count(*) FROM gold.shop.daily", "--format", "csv") == "count_star()\n2\n"
    target = seen.root / "days.csv"
    typed("query", "SELECT orders FROM gold.shop.daily ORDER BY day", "--output", str(target))
    assert target.read_text() == "orders\n2\n1\n"
    ended = seen.typed("query", "SELECT 1", "--output", f"{seen.data}/days.csv", **seen.environ)
    assert (ended.returncode, "a file is written to this machine alone" in ended.stderr) == (2, True)


def test_the_page_shows_a_lake_in_a_bucket_and_says_where_its_sql_cannot(seen: BucketLake) -> None:
    pytest.importorskip("starlette", reason="the page is not installed: ./setup.sh --page")
    with served(seen) as site:
        shown = {
            "/": "shop",
            "/quarantine": "amount",
            "/mart/shop/daily": "2024-01-03",
            "/table/silver.shop.orders": "2024-01-03",
            "/explain?table=gold.shop.daily&key=day=2024-01-01": "shop/orders",
            "/plan": "shop",
            "/runs": site.last_run,
        }
        for path, text in shown.items():
            answer = site.ask("GET", path)
            assert (answer.status, text in answer.text) == (200, True), (path, answer.text)
        form = f"sql=SELECT+1&form_token={site.form_token}"
        for answer in (
            site.ask("GET", "/sql"),
            site.ask("POST", "/sql", form),
            site.ask("GET", "/mart/shop/daily/rows.csv"),
        ):
            assert "reads a lake in a folder only" in answer.text
            assert "main.py query" in answer.text


ORDERS = ("--table", "silver.shop.orders")
SHORT = (["quarantine", "waive", *ORDERS, "--matching", "amount", "--reason", "known", "--until", "2099-01-01"],)
LONG = (
    *SHORT,
    ["rebuild", *ORDERS],
    ["confirm", *ORDERS, "--day", "2024-01-01", "--reason", "the till was broken"],
    ["backfill", *ORDERS, "--start", "2024-01-01", "--end", "2024-01-01"],
    ["cost"],
    ["health"],
    ["report"],
    ["vacuum"],
    ["optimize"],
)


@pytest.mark.parametrize("commands", [SHORT, pytest.param(LONG, marks=pytest.mark.long)], ids=["short", "long"])
def test_commands_that_write_work_on_a_bucket(bucket_lake: BucketLake, commands: tuple[list[str], ...]) -> None:
    two_runs(bucket_lake)
    release = bucket_lake.rows("SELECT min(run_id) FROM ops.releases")[0][0]
    for words in commands:
        ended = bucket_lake.typed(*words, **bucket_lake.environ)
        assert ended.returncode == 0, (words, ended.stdout, ended.stderr)
    assert rows_of_both(bucket_lake) == OF_BOTH
    assert bucket_lake.typed("rollback", "--to", release, **bucket_lake.environ).returncode == 0
    assert bucket_lake.rows("SELECT order_id FROM silver.shop.orders ORDER BY 1") == [(1,), (2,)]


@pytest.mark.long
def test_a_backup_of_a_bucket_is_restored_into_another(bucket_lake: BucketLake) -> None:
    two_runs(bucket_lake)
    assert bucket_lake.command("backup") == 0
    restored = BucketLake(bucket_lake.root, {**bucket_lake.environ, "DATA_DIR": f"{bucket_lake.data}-restored"})
    assert restored.command("restore") == 0
    assert rows_of_both(restored) == OF_BOTH


class WithoutConditions(Forwarder):
    """A store before another one that takes the conditions off each request."""

    taken_off = ("if-", "expect")

    def log_message(self, *args: object) -> None:
        """Keep quiet."""


def backing_up_on_the_store(lake: BucketLake, endpoint: str) -> Path:
    """Let backups go to a bucket of their own on the lake's store; returns where."""
    bucket = f"backups-{uuid.uuid4().hex}"
    fsspec.filesystem("s3").mkdir(bucket)
    lake.environ |= {
        "BACKUP_REMOTE": f"offsite:{bucket}/boat",
        "RCLONE_CONFIG_OFFSITE_TYPE": "s3",
        "RCLONE_CONFIG_OFFSITE_PROVIDER": "Other",
        "RCLONE_CONFIG_OFFSITE_ENDPOINT": endpoint,
        "RCLONE_CONFIG_OFFSITE_ACCESS_KEY_ID": CREDENTIAL["AWS_ACCESS_KEY_ID"],
        "RCLONE_CONFIG_OFFSITE_SECRET_ACCESS_KEY": CREDENTIAL["AWS_SECRET_ACCESS_KEY"],
    }
    return store.location(f"s3://{bucket}/boat")


def data_files(lake: BucketLake) -> dict[str, str]:
    """The data files of the newest backup but those of records: the name of each there, by its path in the lake."""
    tables = archive.chosen(open_remote(lake.settings), None).tables
    return {
        f"{name.replace('.', '/')}/{path}": file.name
        for name, table in tables.items()
        for path, file in table.files.items()
        if not lakes.is_log_file(path) and not name.startswith("ops.")
    }


def fetched(lake: BucketLake, since: int, paths: Iterable[Path]) -> list[str]:
    """Those of some objects of which bytes were asked for, by the lines of the server's log from one on."""
    text = "\n".join(log_of(lake)[since:])
    return [str(path) for path in paths if f"GET /{str(path).removeprefix('s3://')} " in text]


def insist_on_copies(told: str) -> None:
    """Skip what a server elsewhere cannot prove: that it copies, where a backup said that it does not."""
    refused = re.search(r"the store does not copy within itself, .*", told)
    if ELSEWHERE and refused:
        pytest.skip(refused[0])


def log_of(lake: BucketLake) -> list[str]:
    return Path(lake.environ["LOG_OF_S3"]).read_text().splitlines()


def test_a_backup_on_the_same_store_is_copied_by_the_store_and_so_is_its_restore(
    bucket_lake: BucketLake, capsys: pytest.CaptureFixture[str]
) -> None:
    bucket_lake.shop()
    bucket_lake.land("shop/orders/1.csv", FIRST)
    bucket_lake.land("shop/orders/2.csv", SECOND)
    bucket_lake.good()
    backup = backing_up_on_the_store(bucket_lake, bucket_lake.environ["AWS_ENDPOINT_URL"])
    store.write(backup / "incoming" / "0", b"of one that was killed")
    with pytest.raises(UsageError, match="backups inside the lake"):
        open_remote(replace(bucket_lake.settings, backup_remote=f"offsite:{str(bucket_lake.data)[5:]}/backups"))
    began = len(log_of(bucket_lake))
    assert bucket_lake.command("backup") == 0
    insist_on_copies(capsys.readouterr().out)
    data = data_files(bucket_lake)
    assert {path.partition("/")[0] for path in data} == {"bronze", "silver", "quarantine", "gold"}
    assert fetched(bucket_lake, began, (bucket_lake.data / path for path in data)) == []
    for name, _ in store.files_below(backup / "files"):
        assert hashlib.sha256(store.read(backup / "files" / name)).hexdigest() == Path(name).name
    assert not store.is_folder(backup / "incoming"), "what came in has its name"
    began = len(log_of(bucket_lake))
    restored = BucketLake(bucket_lake.root, {**bucket_lake.environ, "DATA_DIR": f"{bucket_lake.data}-restored"})
    assert restored.command("restore") == 0
    assert rows_of_both(restored) == OF_BOTH
    assert fetched(bucket_lake, began, (backup / "files" / name for name in data.values())) == []


@pytest.mark.long
def test_a_backup_that_the_store_copied_is_drilled_and_one_that_is_damaged_leaves_nothing(
    bucket_lake: BucketLake,
) -> None:
    two_runs(bucket_lake)
    backup = backing_up_on_the_store(bucket_lake, bucket_lake.environ["AWS_ENDPOINT_URL"])
    for expected in ("verified: ", "0 changed"):
        told = bucket_lake.typed("backup", **bucket_lake.environ).stdout
        assert expected in told
        insist_on_copies(told)
    assert bucket_lake.command("drill") == 0
    restored, other = (
        BucketLake(bucket_lake.root, {**bucket_lake.environ, "DATA_DIR": f"{bucket_lake.data}-{name}"})
        for name in ("restored", "other")
    )
    assert restored.command("restore") == 0
    assert restored.findings() == []
    for spoil in ("damaged", "gone"):
        path = backup / "files" / next(iter(data_files(bucket_lake).values()))
        store.write(path, b"damaged") if spoil == "damaged" else path.unlink()
        with pytest.raises(DataError, match=r"1 files are not what their names say|a file of the backup is missing"):
            other.command("restore")
        assert [name for name, _ in store.files_below(other.data)] == [".lock"], "nothing is left of it"
    with pytest.raises(DataError, match="1 files are missing or damaged"):
        bucket_lake.command("drill")


class WithoutHashes(WithoutConditions):
    """A store that computes no hash of what it copies."""

    taken_off = ("x-amz-checksum-algorithm", "expect")


@pytest.mark.long
def test_where_the_store_tells_no_hash_of_a_copy_everything_goes_through_this_machine(bucket_lake: BucketLake) -> None:
    two_runs(bucket_lake)
    with WithoutHashes.before(bucket_lake.environ["AWS_ENDPOINT_URL"]) as endpoint:
        environ = bucket_lake.environ = bucket_lake.environ | {"AWS_ENDPOINT_URL": endpoint}
        backup = backing_up_on_the_store(bucket_lake, endpoint)
        program = [sys.executable, str(ROOT / "main.py"), "--project", str(bucket_lake.root)]
        for words in (["backup"], ["restore", "--to", f"{bucket_lake.data}-restored"], ["drill"]):
            done = subprocess.run([*program, *words], env=os.environ | environ, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            assert words != ["backup"] or "the store does not copy within itself" in done.stdout + done.stderr
    for name, _ in store.files_below(backup / "files"):
        assert hashlib.sha256(store.read(backup / "files" / name)).hexdigest() == Path(name).name
    assert not store.is_folder(backup / "incoming")
    restored = BucketLake(bucket_lake.root, {**bucket_lake.environ, "DATA_DIR": f"{bucket_lake.data}-restored"})
    assert rows_of_both(restored) == OF_BOTH


@pytest.mark.parametrize(
    ("told", "is_there"),
    [
        ({}, True),
        ({"ENDPOINT": "HTTP://127.0.0.1:9000/"}, True),
        ({"ENDPOINT": "http://127.0.0.1:9001"}, False),
        ({"ENDPOINT": ""}, False),
        ({"TYPE": "b2"}, False),
        ({"STORAGE_CLASS": "GLACIER"}, False),
        ({"ACCESS_KEY_ID": ""}, False),
        ({"ACCESS_KEY_ID": "", "ENV_AUTH": "true"}, True),
    ],
)
def test_a_remote_is_on_the_lakes_store_where_its_address_is_and_nothing_else_is_asked_of_rclone(
    monkeypatch: pytest.MonkeyPatch, told: dict[str, str], is_there: bool
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9000")
    options = {"TYPE": "s3", "ENDPOINT": "http://127.0.0.1:9000", "ACCESS_KEY_ID": "k", "SECRET_ACCESS_KEY": "s"} | told
    remote = Remote("off-site:bucket/boat", {f"RCLONE_CONFIG_OFF_SITE_{name}": text for name, text in options.items()})
    assert (str(remote.in_lakes_store and remote.in_lakes_store[0]) == "s3://bucket/boat") is is_there


@pytest.mark.long
def test_a_backup_copies_what_is_new_and_a_restore_that_was_killed_is_begun_again(bucket_lake: BucketLake) -> None:
    bucket_lake.shop()
    bucket_lake.land("shop/orders/1.csv", FIRST)
    bucket_lake.good()
    assert bucket_lake.command("backup") == 0
    bucket_lake.land("shop/orders/2.csv", SECOND)
    bucket_lake.good()
    assert bucket_lake.command("backup") == 0
    assert bucket_lake.rows("SELECT bytes_copied < bytes FROM ops.backups ORDER BY number") == [(False,), (True,)]
    assert bucket_lake.command("drill") == 0
    restored = BucketLake(bucket_lake.root, {**bucket_lake.environ, "DATA_DIR": f"{bucket_lake.data}-restored"})
    (restored.data / lock.RESTORING).write_bytes(b"")  # as a restore that was killed leaves it
    (restored.data / "silver" / "shop" / "half.parquet").write_bytes(b"half")
    assert "a restore was not finished" in restored.typed("run", **restored.environ).stderr
    assert restored.command("restore") == 0
    assert rows_of_both(restored) == OF_BOTH
    assert restored.findings() == []
    run = restored.good()
    assert [record.records_read for record in run.steps] == [0, 0, 0]
    with pytest.raises(UsageError, match="there are objects in bronze already"):
        restored.command("restore")


@pytest.mark.long
def test_a_file_that_is_gone_from_a_bucket_is_named_and_brought_back(bucket_lake: BucketLake) -> None:
    bucket_lake.shop()
    bucket_lake.land("shop/orders/1.csv", FIRST)
    bucket_lake.good()
    assert bucket_lake.command("backup") == 0
    root = bucket_lake.data / "silver" / "shop" / "orders"
    lost = next(name for name, _ in store.files_below(root) if name.endswith(".parquet"))
    (root / lost).unlink()
    assert f"{lost} is missing" in [finding.found for finding in bucket_lake.findings()]
    assert bucket_lake.command("repair") == 0
    assert bucket_lake.findings() == []


def test_a_draft_of_objects_is_that_of_the_same_files_and_an_error_names_the_object(
    lake: Lake, bucket_lake: BucketLake
) -> None:
    for one in (lake, bucket_lake):
        one.land("shop/orders/1.csv", FIRST)
        one.land("shop/orders/.hidden.csv", "other")
    here = lake.typed("draft", str(lake.data / "landing/shop/orders"), "--stdout")
    assert (here.returncode, "value: [order_id]" in here.stdout or "primaryKey" in here.stdout) == (0, True), (
        here.stderr
    )
    landing = bucket_lake.data / "landing"
    for named in ("shop/orders", f"{landing}/shop/orders/1.csv"):
        there = bucket_lake.typed("draft", named, "--stdout", **bucket_lake.environ)
        assert (there.returncode, there.stdout) == (0, here.stdout), there.stderr
    bucket_lake.land("shop/empty/1.csv", "")
    refused = {
        "shop/empty/1.csv": f"where: {landing}/shop/empty/1.csv",
        "shop/none.csv": "no such file",
        f"{bucket_lake.data}/elsewhere.csv": f"elsewhere.csv is not in the landing zone {landing}",
    }
    for named, text in refused.items():
        ended = bucket_lake.typed("draft", named, **bucket_lake.environ)
        assert (ended.returncode in (2, 4), text in ended.stderr) == (True, True), ended.stderr


def test_workers_that_stage_in_a_bucket_leave_what_one_process_leaves_in_a_folder(
    bucket_lake: BucketLake, tmp_path: Path
) -> None:
    scratch = bucket_lake.data / "scratch"
    bucket_lake.environ |= WORKERS | {"WORKERS": "1", "STAGING_DIR": str(scratch)}
    staging = workers.staging_folder(bucket_lake.settings)
    for path in (staging / "of-a-run-that-died" / "part.parquet", scratch / "theirs.parquet"):
        store.write(path, b"")
    assert live(bucket_lake) == lived(tmp_path / "here", {})
    assert [name for name, _ in store.files_below(scratch)] == ["theirs.parquet"], "and what was staged is gone"
    assert was_written(staging, bucket_lake.environ)


def test_a_room_in_a_bucket_is_gone_with_its_command_and_a_day_after_one_that_was_killed(
    bucket_lake: BucketLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = bucket_lake.data / ".staging-beside-runs"
    store.write(beside / "room-of-a-command-that-was-killed" / "rows", b"1")
    for expected in (["room-of-a-command-that-was-killed/rows"], []):
        with room.room_beside(beside) as own:
            store.write(own / "rows", b"1")
        assert [name for name, _ in store.files_below(beside)] == expected
        monkeypatch.setattr(room, "_LEFT_BEHIND", -1.0)  # as if a day had gone by


def test_one_run_holds_a_bucket_and_the_other_is_told_by_whom(bucket_lake: BucketLake) -> None:
    data = bucket_lake.data
    with (
        lock.lock_lake(data, command="make pipeline", run_id="r1", now=runs.now()),
        pytest.raises(LockedError, match="another run is going: make pipeline"),
        lock.lock_lake(data, command="make vacuum", run_id="r2", now=runs.now()),
    ):
        pass
    with lock.lock_lake(data, command="make vacuum", run_id="r3", now=runs.now()) as dead:
        assert dead is None
        assert lock.holder(data).command == "make vacuum"  # type: ignore[union-attr]  # it is held


def test_a_lease_that_ran_out_is_taken_by_one_of_those_who_want_it(bucket_lake: BucketLake) -> None:
    path = bucket_lake.data / ".lock"
    killed = Lease(path, {"command": "make pipeline"}, seconds=1)
    killed.acquire()

    def take(_: int) -> bool:
        try:
            found = Lease(path, {"command": "make vacuum"}).acquire()
        except Held:
            return False
        assert found and found.about == {"command": "make pipeline"}
        return True

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(take, range(8))) == [False] * 8
        until = time.monotonic() + 20
        while not lease.read(path).ran_out:  # type: ignore[union-attr]  # it is there
            assert time.monotonic() < until
            time.sleep(0.2)
        assert sum(pool.map(take, range(8))) == 1


def test_a_store_that_takes_a_write_whose_condition_is_not_met_is_refused(
    bucket_lake: BucketLake,
) -> None:
    bucket_lake.shop()
    with WithoutConditions.before(bucket_lake.environ["AWS_ENDPOINT_URL"]) as lax:
        environ = bucket_lake.environ | {"AWS_ENDPOINT_URL": lax}
        program = [sys.executable, str(ROOT / "main.py"), "--project", str(bucket_lake.root), "run"]
        done = subprocess.run(program, env=os.environ | environ, capture_output=True, text=True, check=False)
    assert done.returncode == MachineError.exit_code, done.stderr
    assert "takes writes whose condition (If-Match) is not met" in done.stderr
    assert not store.is_folder(bucket_lake.data / "bronze")


def test_whoever_lost_the_lease_commits_nothing_more(bucket_lake: BucketLake) -> None:
    path, root = bucket_lake.data / ".lock", bucket_lake.data / "ops" / "notes"
    table = lakes.create(root, {"note": "VARCHAR"})
    slow = Lease(path, {}, seconds=2)
    slow.acquire()
    with slow.renewed():
        assert lakes.commit(table, progress={"one": 1}).version == 1
        path.unlink()  # as somebody does by hand who believes that nobody holds it
        Lease(path, {}).acquire()
        until = time.monotonic() + 10
        while slow.holds and time.monotonic() < until:
            time.sleep(0.1)
        with pytest.raises(LockedError, match="lost the lake's lock"):
            lakes.commit(lakes.open_table(root), progress={"one": 2})  # type: ignore[arg-type]  # it is there
    lakes.forget(root)
    assert lakes.open_table(root).version == 1  # type: ignore[union-attr]  # it is there


# A run whose process ends at once before a commit, as by kill -9, and whose lease is short.
KILLED = """
import os, sys
sys.path.insert(0, sys.argv[1])
import main
from src import lake
from src.lake import tables
from src.run import lease
from src.silver import clean

lease.SECONDS = 1.0
left = int(sys.argv[2])
commit = lake.commit

def counted(*args, **options):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), 9)
    return commit(*args, **options)

lake.commit = counted
sys.exit(main.main(["run", "--project", sys.argv[3]]))
"""


@pytest.mark.parametrize("commits", [1, *(pytest.param(n, marks=pytest.mark.long) for n in (0, 2, 3, 4, 5, 6))])
def test_a_run_that_was_killed_is_finished_by_the_next(bucket_lake: BucketLake, commits: int) -> None:
    bucket_lake.shop()
    bucket_lake.land("shop/orders/1.csv", FIRST)
    bucket_lake.land("shop/orders/2.csv", SECOND)
    environ = {**bucket_lake.environ, "PATH": "/usr/bin:/bin", "XDG_CACHE_HOME": str(bucket_lake.root / "cache2")}
    program = [sys.executable, "-c", KILLED, str(ROOT), str(commits), str(bucket_lake.root)]
    killed = subprocess.run(program, env=environ, capture_output=True, check=False)
    assert killed.returncode == -9, killed.stderr.decode()
    until = time.monotonic() + 20
    while not lease.read(bucket_lake.data / ".lock").ran_out:  # type: ignore[union-attr]  # it is there
        assert time.monotonic() < until
        time.sleep(0.2)
    run = bucket_lake.good()
    assert rows_of_both(bucket_lake) == OF_BOTH
    assert [record.error_class for record in run.records if record.run_id != run.run_id] == ["interrupted"]


def test_small_files_of_a_bucket_are_joined_where_the_log_says(bucket_lake: BucketLake) -> None:
    root = bucket_lake.data / "ops" / "notes"
    table = lakes.create(root, {"note": "VARCHAR"})
    for nth in range(5):
        table = lakes.commit(table, add=reader().write(f"SELECT '{nth}' AS note", root))
    small = optimize.Optimization("ops.notes", table, tuple(lakes.crowded(table)), (), (), False)
    joined = optimize.compact(reader(), small)
    assert reader().rows(f"SELECT note FROM {reader().scan(joined)} ORDER BY 1") == [(str(nth),) for nth in range(5)]
    assert [found.path for found in joined.files] == [
        name
        for name, _ in store.files_below(root)
        if name not in {file.path for file in table.files} and "_log" not in name
    ]


def test_threads_that_share_a_reader_of_an_object_read_each_its_own_place(
    bucket_lake: BucketLake, tmp_path: Path
) -> None:
    from src.store.objects import Files, Reader

    content = bytes(range(256)) * 2000
    (bucket_lake.data / "thing").write_bytes(content)
    reader = Reader(Files(tmp_path), f"{bucket_lake.data}/thing", len(content))
    together = threading.Barrier(8)

    def read(nth: int) -> bytes:
        reader.seek(nth * 1000)
        together.wait()  # all have sought before one reads
        return reader.read(500)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(read, range(8))) == [content[nth * 1000 : nth * 1000 + 500] for nth in range(8)]


def _no_bucket(lake: BucketLake) -> None:
    lake.environ["DATA_DIR"] = "s3://nowhere-to-be-found/lake"


@pytest.mark.parametrize(("spoil", "code", "text"), [(_no_bucket, 2, "no such bucket")])
def test_what_is_wrong_with_a_store_is_told(
    bucket_lake: BucketLake, spoil: Callable[[BucketLake], None], code: int, text: str
) -> None:
    bucket_lake.shop()
    spoil(bucket_lake)
    ended = bucket_lake.typed("run", **bucket_lake.environ)
    assert (ended.returncode, text in ended.stderr) == (code, True), ended.stderr


def test_a_missing_library_is_named_with_what_installs_it() -> None:
    program = "import sys; sys.modules['s3fs'] = None\nfrom src import store\nstore.location('s3://bucket/lake')"
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "s3fs is not installed" in ended.stderr
    assert "./setup.sh --s3" in ended.stderr


def test_the_secret_of_a_store_is_hidden_and_its_names_may_stand_in_env(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("AWS_SECRET_ACCESS_KEY=from-the-file\nAWS_REGION=eu-west-1\n")
    settings = load(tmp_path, {})
    assert settings.aws == {"AWS_SECRET_ACCESS_KEY": "from-the-file", "AWS_REGION": "eu-west-1"}
    assert settings.secrets() == ("from-the-file",)
    assert "from-the-file" not in repr(settings)


@pytest.mark.parametrize(
    "text", ["gs://bucket/lake", "s3://", "s3://bucket/a b", "s3://bucket//lake", "s3://bucket/a%41"]
)
def test_a_place_that_libraries_would_read_in_two_ways_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match="DATA_DIR is"):
        load(tmp_path, {"DATA_DIR": text})
