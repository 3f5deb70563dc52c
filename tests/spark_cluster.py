"""An Apache Spark cluster for tests: a master and two workers on the loopback, from the PyPI package alone.

It is gone when the tests are over, however these end. A test that asks for it is skipped, with the reason, where Java
or pyspark is missing. Drivers are processes of their own: a Java machine stays with each for as long as it lives.
"""

from __future__ import annotations

import importlib.util
import os
import pickle
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from databases import free_port as free_port

_SECONDS = 180.0  # that a part of the cluster may take to start, on a busy machine
_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"  # quick to start: what runs for seconds is not worth compiling well
_DEFAULTS = {
    "spark.executor.memory": "512m",  # small: of a task Java sees a few bytes
    "spark.driver.memory": "512m",
    "spark.executor.extraJavaOptions": _JAVA,
    "spark.driver.extraJavaOptions": _JAVA,
}


@dataclass(frozen=True)
class Spark:
    """A cluster: its address, its folder, and the environment of those who speak with it."""

    master: str
    folder: Path

    @property
    def environ(self) -> dict[str, str]:
        shell = {name: os.environ[name] for name in ("PATH", "HOME", "JAVA_HOME") if name in os.environ}
        return shell | {
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_LOCAL_DIRS": str(self.folder / "scratch"),
            "SPARK_CONF_DIR": str(self.folder / "conf"),
            "SPARK_NO_DAEMONIZE": "1",
            "SPARK_DAEMON_MEMORY": "256m",
            "SPARK_DAEMON_JAVA_OPTS": _JAVA,
        }

    @property
    def settings(self) -> dict[str, str]:
        return {"ENGINE": "spark", "SPARK_MASTER": self.master, "WORKERS_FROM": "0MB"}

    def call(self, name: str, *arguments: Any) -> Any:
        """What a function of tests/spark_drivers.py returns, called in a process of its own."""
        ended = subprocess.run(self.command(name, *arguments), cwd=ROOT, env=self.environ, capture_output=True)
        assert ended.returncode == 0, ended.stderr.decode()
        return pickle.loads(ended.stdout)

    def command(self, name: str, *arguments: Any) -> list[str]:
        return [sys.executable, str(ROOT / "tests/spark_drivers.py"), name, pickle.dumps(arguments).hex()]


@contextmanager
def cluster() -> Iterator[Spark]:
    """A cluster of two workers, each with one core."""
    home = _home()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="boathouse-spark-")))
        spark = Spark(f"spark://127.0.0.1:{free_port()}", folder)
        (folder / "conf").mkdir()
        (folder / "conf/spark-defaults.conf").write_text("".join(f"{k} {v}\n" for k, v in _DEFAULTS.items()))
        port = spark.master.rpartition(":")[2]
        package = "org.apache.spark.deploy"
        master = [f"{package}.master.Master", "--host", "127.0.0.1", "--port", port, "--webui-port", "0"]
        stack.enter_context(_running(spark, home, master, "New state: ALIVE"))
        for number in (1, 2):
            worker = [f"{package}.worker.Worker", "--host", "127.0.0.1", "--cores", "1", "--memory", "600m"]
            worker += ["--work-dir", str(folder / f"work{number}"), "--webui-port", "0", spark.master]
            stack.enter_context(_running(spark, home, worker, "Successfully registered with master"))
        yield spark


@contextmanager
def connect(spark: Spark) -> Iterator[Spark]:
    """A Spark Connect server of a cluster."""
    port, kind = free_port(), "org.apache.spark.sql.connect.service.SparkConnectServer"
    server = ["org.apache.spark.deploy.SparkSubmit", "--class", kind, "--master", spark.master]
    for option in ("connect.grpc.binding.address=127.0.0.1", f"connect.grpc.binding.port={port}", "ui.enabled=false"):
        server += ["--conf", f"spark.{option}"]
    server.append("spark-internal")
    with _running(spark, _home(), server, "Spark Connect server started at", memory="600m"):
        yield Spark(f"sc://127.0.0.1:{port}", spark.folder)


def _home() -> Path:
    found = importlib.util.find_spec("pyspark")
    if found is None or found.origin is None:
        pytest.skip("no pyspark: ./setup.sh --spark")
    if not shutil.which("java"):
        pytest.skip("no Java on this machine: apt-get install openjdk-17-jre-headless")
    return Path(found.origin).parent


@contextmanager
def _running(spark: Spark, home: Path, arguments: list[str], ready: str, memory: str = "256m") -> Iterator[None]:
    """A part of the cluster within a with-block, which begins once its log says that it is ready."""
    log = spark.folder / f"{arguments[0].rpartition('.')[2]}-{time.monotonic_ns()}.log"
    environ = spark.environ | {"PYSPARK_PYTHON": sys.executable, "SPARK_DAEMON_MEMORY": memory}
    command = ["setpriv", "--pdeathsig", "KILL", str(home / "bin/spark-class"), *arguments]
    with log.open("wb") as lines:
        process = subprocess.Popen(command, cwd=spark.folder, env=environ, stdout=lines, stderr=lines)
    try:
        deadline = time.monotonic() + _SECONDS
        while ready not in log.read_text():
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
