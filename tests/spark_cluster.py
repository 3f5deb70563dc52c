"""An Apache Spark cluster for tests; who asks for it is skipped, with the reason, where Java or pyspark is missing.

Drivers are processes of their own: a Java machine stays with each for as long as it lives.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from databases import free_port
from object_store import CREDENTIAL

from benchmarks import cluster as clusters
from benchmarks.cluster import Spark
from benchmarks.contenders import Missing


def call(spark: Spark, name: str, *arguments: Any) -> Any:
    """What a function of tests/spark_drivers.py returns, called in a process of its own."""
    command = [sys.executable, str(ROOT / "tests/spark_drivers.py"), name, pickle.dumps(arguments).hex()]
    ended = subprocess.run(command, cwd=ROOT, env=spark.environ, capture_output=True)
    assert ended.returncode == 0, ended.stderr.decode()
    return pickle.loads(ended.stdout)


@contextmanager
def cluster() -> Iterator[Spark]:
    """A cluster of two workers, each with one core, whose executors have a credential of the object store."""
    _skip_without_spark()
    credential = {f"spark.executorEnv.{name}": value for name, value in CREDENTIAL.items()}
    with clusters.cluster(options=clusters.QUICK | credential) as spark:
        yield spark


def alone(folder: Path) -> Spark:
    """Spark without a cluster: the driver's Java machine does two tasks at once, and tries each twice."""
    _skip_without_spark()
    clusters.configure(folder)
    return Spark("local[2,2]", folder)


def _skip_without_spark() -> None:
    try:
        clusters.spark_home()
    except Missing as reason:
        pytest.skip(str(reason))


@contextmanager
def connect(spark: Spark) -> Iterator[Spark]:
    """A Spark Connect server of a cluster."""
    port, kind = free_port(), "org.apache.spark.sql.connect.service.SparkConnectServer"
    server = ["org.apache.spark.deploy.SparkSubmit", "--class", kind, "--master", spark.master]
    for option in ("connect.grpc.binding.address=127.0.0.1", f"connect.grpc.binding.port={port}", "ui.enabled=false"):
        server += ["--conf", f"spark.{option}"]
    process, _ = clusters.begun(spark, [*server, "spark-internal"], "Spark Connect server started at", memory="600m")
    try:
        yield Spark(f"sc://127.0.0.1:{port}", spark.folder)
    finally:
        clusters.ended(process)
