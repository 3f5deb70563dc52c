"""What an Apache Spark cluster makes of a load is what one machine makes of it, whoever of it dies.

Where Java or pyspark is missing, what needs a cluster is skipped.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT, Lake
from databases import free_port as free_port
from object_store import BucketLake, was_written
from spark_cluster import alone, call, cluster, connect
from test_workers import HEADER, LOADS, left_in, lived

from benchmarks.cluster import Spark
from src import store


@pytest.fixture(scope="module")
def spark() -> Iterator[Spark]:
    with cluster() as running:
        yield running


@pytest.mark.long
def test_a_cluster_gives_the_rows_versions_and_counts_of_one_machine(spark: Spark, tmp_path: Path) -> None:
    there = call(spark, "lived", tmp_path / "there", spark.settings)
    assert there == lived(tmp_path / "here", {})
    assert not (tmp_path / "there/data/.staging").exists(), "what was staged is gone"


@pytest.mark.long
def test_a_cluster_leaves_in_a_bucket_what_one_machine_leaves_in_a_folder(
    spark: Spark, bucket_lake: BucketLake, tmp_path: Path
) -> None:
    """Its nodes have a credential from Spark's own options, and where the store is from the driver."""
    here, there = Lake(tmp_path / "here").shop(), bucket_lake.shop()
    environ = spark.environ | bucket_lake.environ | spark.settings | {"SETTLE_SECONDS": "0"}
    command = [sys.executable, "main.py", "run", "--project", str(there.root)]
    for nth, load in enumerate(LOADS):
        for lake in (here, there):
            for part, text in enumerate(load):
                lake.land(f"shop/orders/{nth}-{part}.csv", HEADER + text)
        here.good()
        ended = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr
    assert left_in(there) == left_in(here)
    assert not store.is_folder(there.data / ".staging"), "what was staged is gone"
    assert was_written(there.data / ".staging", environ)


def test_a_task_whose_worker_is_killed_is_done_again_by_spark_without_a_cluster(tmp_path: Path) -> None:
    a_task_whose_worker_is_killed_is_done_again(alone(tmp_path), tmp_path)


@pytest.mark.long  # six Java machines in place of one
def test_a_task_whose_worker_is_killed_is_done_again_by_a_cluster(spark: Spark, tmp_path: Path) -> None:
    a_task_whose_worker_is_killed_is_done_again(spark, tmp_path)


def a_task_whose_worker_is_killed_is_done_again(spark: Spark, tmp_path: Path) -> None:
    there = call(spark, "killed_once", tmp_path / "there", spark.settings, "rewrite", tmp_path / "killed")
    assert (tmp_path / "killed").exists()
    assert there == lived(tmp_path / "here", {})


@pytest.mark.long
@pytest.mark.parametrize("ended", [signal.SIGKILL, signal.SIGINT])
def test_a_driver_ended_amid_a_load_leaves_the_lake_as_it_was_and_the_next_run_finishes(
    spark: Spark, tmp_path: Path, ended: signal.Signals
) -> None:
    shop, rows = Lake(tmp_path).shop(), "SELECT * EXCLUDE (_ingested_at) FROM silver.shop.orders ORDER BY order_id"
    shop.land("shop/orders/0.csv", HEADER + "".join(LOADS[0]))
    shop.good()
    before = shop.rows(rows)
    shop.land("shop/orders/1.csv", HEADER + "".join(LOADS[1]))
    command = [sys.executable, "main.py", "run", "--project", str(tmp_path)]
    environ = spark.environ | spark.settings | {"SETTLE_SECONDS": "0"}
    with subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        while not list(shop.data.glob(".staging/*/**/*.parquet")):
            assert run.poll() is None
            time.sleep(0.01)
        run.send_signal(ended)
        assert run.wait() == (130 if ended == signal.SIGINT else -ended)
    assert shop.rows(rows) == before
    assert ended == signal.SIGINT or list((shop.data / ".staging").iterdir()) != []
    subprocess.run(command, cwd=ROOT, env=environ, check=True, capture_output=True)
    assert [row[0] for row in shop.rows(rows)] == [1, 2, 4, 5]
    assert not (shop.data / ".staging").exists()
    assert shop.findings() == []


@pytest.mark.long
def test_a_cluster_that_is_gone_amid_a_load_is_a_failure_in_passing_and_the_next_run_finishes(
    spark: Spark, tmp_path: Path
) -> None:
    shop = Lake(tmp_path).shop()
    shop.land("shop/orders/0.csv", HEADER + "".join(LOADS[0]))
    command = [sys.executable, "main.py", "run", "--project", str(tmp_path)]
    with cluster() as going:
        environ = going.environ | going.settings | {"SETTLE_SECONDS": "0"}
        run = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        while not (shop.data / f"bronze/shop/orders/_delta_log/{1:020d}.json").exists():
            assert run.poll() is None
            time.sleep(0.01)
    lines = run.communicate(timeout=300)[1].decode()
    assert run.returncode == 9, lines  # bronze is done
    assert "silver.shop.orders: the cluster does not answer any more: 127.0.0.1:" in lines
    assert not list(shop.data.glob("silver/shop/orders/**/*.parquet")), "nothing is to be seen of it"
    environ = spark.environ | spark.settings | {"SETTLE_SECONDS": "0"}
    subprocess.run(command, cwd=ROOT, env=environ, check=True, capture_output=True)
    assert [key for (key,) in shop.rows("SELECT order_id FROM silver.shop.orders ORDER BY 1")] == [1, 2, 4]
    assert not (shop.data / ".staging").exists()
    assert shop.findings() == []


@pytest.mark.long
def test_whoever_of_a_cluster_dies_at_a_random_moment_no_history_ends_otherwise(spark: Spark) -> None:
    """`python -m tests.torture --spark-kills 20 --spark 30` does the same at length, on a cluster of its own."""
    command = [sys.executable, "-m", "tests.torture", "--spark-kills", "6", "--spark", "2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 x driver, 1 x executor, 1 x task, 1 x worker, 1 x python, 1 x java" in done.stdout
    assert re.search(r" 2 histories, .* 0 differences", done.stdout)


@pytest.mark.long
def test_a_connect_server_gives_what_the_cluster_gives(spark: Spark, tmp_path: Path) -> None:
    pytest.importorskip("pandas", reason="no client of Spark Connect: ./setup.sh --spark")
    with connect(spark) as server:
        there = call(server, "lived", tmp_path / "there", server.settings, LOADS[:1])
        assert there == lived(tmp_path / "here", {}, LOADS[:1])


def test_a_cluster_that_does_not_answer_is_a_failure_in_passing_and_nothing_is_changed(tmp_path: Path) -> None:
    pytest.importorskip("pyspark", reason="no pyspark: ./setup.sh --spark")
    shop = Lake(tmp_path).shop()
    shop.land("shop/orders/0.csv", HEADER + LOADS[0][0])
    for master in ("spark://127.0.0.1:{}", "spark://127.0.0.1:{},localhost:{}"):
        ended = shop.typed("run", ENGINE="spark", SPARK_MASTER=master.format(free_port(), free_port()), JAVA_HOME="x")
        assert ended.returncode == 6, ended.stderr
        assert "the cluster does not answer: 127.0.0.1:" in ended.stderr
        assert not (shop.data / "bronze").exists()


def test_what_is_missing_of_the_settings_or_the_packages_is_named(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.shop()
    ended = lake.typed("run", ENGINE="spark")
    assert ended.returncode == 2
    assert "ENGINE=spark needs SPARK_MASTER" in ended.stderr
    monkeypatch.setitem(sys.modules, "pyspark", None)
    ended = lake.typed("run", ENGINE="spark", SPARK_MASTER="local")
    assert ended.returncode == 2
    assert "requirements-spark.txt" in ended.stderr
