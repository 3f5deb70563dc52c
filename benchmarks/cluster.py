"""An Apache Spark cluster on the loopback, from the PyPI package alone: a master and two workers with a core each.

It is gone at the end of the with-block, however that ends. Benchmarks measure on it, tests prove on it.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.contenders import Missing

_SECONDS = 180.0  # that a part of the cluster may take to start, on a busy machine
_DEPLOY = "org.apache.spark.deploy"
_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"  # quick to start: what runs for seconds is not worth compiling well
QUICK = {
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
    memory: str = "600m"  # that each worker has for executors
    workers: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)

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
        """The settings of a lake all of whose loads this cluster does."""
        return {"ENGINE": "spark", "SPARK_MASTER": self.master, "WORKERS_FROM": "0MB"}

    def revive(self) -> None:
        """Begin the workers that are not there, or not any more."""
        for number in (1, 2):
            if number not in self.workers or self.workers[number].poll() is not None:
                words = ["--host", "127.0.0.1", "--cores", "1", "--memory", self.memory, "--webui-port", "0"]
                words += ["--work-dir", str(self.folder / f"work{number}"), self.master]
                self.workers[number], _ = begun(
                    self, [f"{_DEPLOY}.worker.Worker", *words], "Successfully registered with master"
                )

    def end_workers(self) -> None:
        for process in self.workers.values():
            ended(process)


@contextmanager
def cluster(memory: str = "600m", options: Mapping[str, str] = QUICK) -> Iterator[Spark]:
    """A cluster within a with-block; `options`: Spark's, of who asks it to do something.

    Raises:
        Missing: Java or pyspark is not there.
    """
    spark_home()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="boathouse-spark-")))
        configure(folder, options)
        words = [f"{_DEPLOY}.master.Master", "--host", "127.0.0.1", "--port", "0", "--webui-port", "0"]
        master, log = begun(Spark("", folder), words, "New state: ALIVE")
        stack.callback(ended, master)
        address = re.search(r"spark://127\.0\.0\.1:\d+", log)
        assert address, log
        spark = Spark(address[0], folder, memory)
        stack.callback(spark.end_workers)
        spark.revive()
        yield spark


def configure(folder: Path, options: Mapping[str, str] = QUICK) -> None:
    """Write Spark's own options of a cluster, where `Spark.environ` tells it to look for them."""
    (folder / "conf").mkdir()
    (folder / "conf/spark-defaults.conf").write_text("".join(f"{k} {v}\n" for k, v in options.items()))


def spark_home() -> Path:
    """The folder of the package.

    Raises:
        Missing: Java or pyspark is not there.
    """
    found = importlib.util.find_spec("pyspark")
    if found is None or found.origin is None:
        raise Missing("no pyspark: ./setup.sh --spark")
    if not shutil.which("java"):
        raise Missing("no Java on this machine: apt-get install openjdk-17-jre-headless")
    return Path(found.origin).parent


def begun(
    spark: Spark, arguments: Sequence[str], ready: str, memory: str = "256m"
) -> tuple[subprocess.Popen[bytes], str]:
    """Begin a part of the cluster; returns it, and what it has logged, as soon as that says that it is ready."""
    log = spark.folder / f"{arguments[0].rpartition('.')[2]}-{time.monotonic_ns()}.log"
    environ = spark.environ | {"PYSPARK_PYTHON": sys.executable, "SPARK_DAEMON_MEMORY": memory}
    command = ["setpriv", "--pdeathsig", "KILL", str(spark_home() / "bin/spark-class"), *arguments]
    with log.open("wb") as lines:
        process = subprocess.Popen(command, cwd=spark.folder, env=environ, stdout=lines, stderr=lines)
    try:
        deadline = time.monotonic() + _SECONDS
        while ready not in (said := log.read_text(encoding="utf-8")):
            assert process.poll() is None and time.monotonic() < deadline, said
            time.sleep(0.1)
    except BaseException:
        ended(process)
        raise
    return process, said


def ended(process: subprocess.Popen[bytes]) -> None:
    """End a part of the cluster; one that is dead already stays so."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def children() -> dict[int, list[int]]:
    """The children of every process of this machine."""
    found: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue  # it has ended meanwhile
        found.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    return found
