"""Workers of an Apache Spark cluster: the only module that knows pyspark.

Spark gives each job to a worker, and to another one where that is lost. It sees a number and bytes of each, and never a
row of a table: so no value depends on its types, its time zone or its shuffle.
"""

from __future__ import annotations

import logging
import os
import pickle
import re
import shutil
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from src import stopping
from src.errors import MachineError, TransientError, UsageError
from src.workers.stages import Runner

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

T = TypeVar("T")
A = TypeVar("A")
_PROJECT = str(Path(__file__).resolve().parents[2])  # the folder with src, under the same path on every node
_CONNECT = "sc://"
_PORTS = {"spark": 7077, "sc": 15002, "k8s": 443}  # where an address has none
_KNOCK = 5.0  # seconds that a cluster has to answer
_BETWEEN_LOOKS, _LOOKS = 10.0, 6  # seconds, and how many looks find nobody until a master is gone for good
_UNTIL_EXECUTORS = 300.0  # seconds that it has to give us the first worker
_MORE = 1.0  # seconds in which no other worker joined: those are all
_MANY = 100_000  # rows of a range: more than a cluster has cores
_OF_SPARK = {"pyspark", "py4j", "grpc"}  # the libraries whose errors are those of the cluster
_NODE_LACKS = re.compile(r"ModuleNotFoundError|ImportError|PYTHON_VERSION_MISMATCH|Cannot run program")
_ALIKE = f"every node needs the same Python with requirements.txt, and this project under {_PROJECT}; see docs/scale.md"


def cluster(master: str | None, log: Path) -> Runner:
    """Return the workers of a cluster, which are asked for once there are jobs; `log`: where Spark's own lines go.

    Raises:
        TransientError: the cluster does not answer.
        UsageError: SPARK_MASTER is missing, or what speaks with a cluster is not installed.
    """
    if master is None:
        fix = "write SPARK_MASTER=spark://host:port into .env, or sc://host:port, yarn, k8s://https://host:port"
        raise UsageError("ENGINE=spark needs SPARK_MASTER, which is not set", fix=fix)
    try:
        import pyspark.sql

        if master.startswith(_CONNECT):
            import pyspark.sql.connect.session  # noqa: F401
    except ImportError as error:
        fix = "./setup.sh --spark, which installs requirements-spark.txt; in a project of your own boathouse[spark]"
        raise UsageError(f"ENGINE=spark needs pyspark: {_first_line(error)}", fix=fix) from error
    if not master.startswith(_CONNECT) and not (os.environ.get("JAVA_HOME") or shutil.which("java")):
        fix = "install Java 17 (openjdk-17-jre-headless), or ask a Spark Connect server, sc://, which needs none here"
        raise MachineError(f"SPARK_MASTER={master} needs Java on this machine, which is not there", fix=fix)
    if silence := _silence(master):  # Spark itself would try for a minute
        fix = "start the cluster, or correct SPARK_MASTER; nothing was changed, and another run tries again"
        raise TransientError(f"the cluster does not answer: {silence}", where=master, fix=fix)
    return Cluster(master, log)


class Cluster:
    """The workers of a cluster; its session begins with the first job, as that takes many seconds."""

    def __init__(self, master: str, log: Path) -> None:
        self._master, self._log = master, log
        self._session: SparkSession | None = None
        self._width = 0
        self._is_lost = False  # the master was gone too long: what is tried again does not wait for it as long again
        self._turn = threading.Lock()  # steps that go side by side begin one session

    @property
    def width(self) -> int:
        """Return how many tasks the cluster does at once."""
        self._opened()
        return self._width

    def run(self, function: Callable[[T], A], tasks: Sequence[T]) -> list[A]:
        """Return the answers of a function to tasks, in their order; a task whose worker is lost is done again.

        Raises:
            MachineError: a node lacks what a task needs.
            TransientError: the workers are gone.
        """
        session = self._opened()
        answers = dict(self._asked(session, partial(_collected, session, function, tasks)))
        for _, error in answers.values():
            if error:
                raise error
        return [answers[number][0] for number in range(len(tasks))]

    def close(self) -> None:
        """Let the workers go; what they still do is cancelled."""
        if self._session is not None:
            session, self._session = self._session, None
            try:
                session.interruptAll()
                session.stop()
            except Exception:  # the cluster is gone: so are the workers
                return

    def _opened(self) -> SparkSession:
        with self._turn:
            if self._session is None:
                self._session = self._begun()
            if not self._width:
                self._width = self._counted(self._session)
            return self._session

    def _begun(self) -> SparkSession:
        before = signal.getsignal(signal.SIGINT)
        try:
            return _connected(self._master) if self._is_remote else _started(self._master, self._log)
        except Exception as error:
            raise self._gone(error) from error
        finally:
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGINT, before)  # pyspark puts one of its own in its place

    @property
    def _is_remote(self) -> bool:
        return self._master.startswith(_CONNECT)

    def _counted(self, session: SparkSession) -> int:
        """Return how many tasks go on at once, as soon as no more workers join."""
        from pyspark.sql.functions import spark_partition_id

        parts = session.range(_MANY).select(spark_partition_id()).distinct()  # Spark cuts a range by its cores
        timer = threading.Timer(_UNTIL_EXECUTORS, session.interruptAll)
        timer.daemon = True
        timer.start()
        try:
            before, count = 0, int(self._asked(session, parts.count))
        finally:
            timer.cancel()
        while count > before:
            stopping.pause(_MORE)
            before, count = count, int(self._asked(session, parts.count))
        return count

    def _asked(self, session: SparkSession, action: Callable[[], A]) -> A:
        stopping.check()
        if self._is_lost and (silence := _silence(self._master)):
            raise self._unavailable(f"does not answer any more: {silence}")
        try:
            with stopping.interrupting(session.interruptAll), self._watched(session):
                return action()
        except Exception as error:
            stopping.check()
            raise self._gone(error) from error

    @contextmanager
    def _watched(self, session: SparkSession) -> Iterator[None]:
        """Cancel what goes on within a with-block once a master is gone: Spark waits for its return without an end."""
        over = threading.Event()

        def watch() -> None:
            silent = 0
            while silent < _LOOKS and not over.wait(_BETWEEN_LOOKS):
                silent = silent + 1 if _silence(self._master) else 0
            if not over.is_set():
                self._is_lost = True
                session.interruptAll()

        if self._master.startswith("spark://"):
            threading.Thread(target=watch, daemon=True, name="spark").start()
        try:
            yield
        finally:
            over.set()

    def _gone(self, error: Exception) -> Exception:
        """Return an error of Spark as ours, others as they are; one of a task is none: it comes back as an answer."""
        if type(error).__module__.partition(".")[0] not in _OF_SPARK and not isinstance(error, OSError):
            return error
        text = str(error)
        if _NODE_LACKS.search(text):
            found = next(line.strip() for line in text.splitlines() if _NODE_LACKS.search(line))
            return MachineError(f"a node of the cluster cannot do a task: {found}", where=self._master, fix=_ALIKE)
        silence = _silence(self._master)
        return self._unavailable(
            f"does not answer any more: {silence}" if silence else f"ended a load: {_first_line(error)}"
        )

    def _unavailable(self, what: str) -> TransientError:
        fix = f"nothing half-written is visible, the next run finishes; Spark's own lines are in {self._log}"
        return TransientError(f"the cluster {what}", where=self._master, fix=fix)


def _collected(session: SparkSession, function: Callable[[T], A], tasks: Sequence[T]) -> list[tuple[int, Any]]:
    """Return the number of each task with its answer and its error; one of them is None."""
    from pyspark import cloudpickle
    from pyspark.sql.functions import udf

    # a closure would take all tasks to each worker: a row takes one
    rows = [(number, bytearray(pickle.dumps(task))) for number, task in enumerate(tasks)]
    jobs = session.createDataFrame(rows, "number int, job binary").repartitionById(len(tasks), "number")
    work = udf(_work(_PROJECT, cloudpickle.dumps(function)), "binary", useArrow=False).asNondeterministic()
    found = jobs.select("number", work("job").alias("answer")).collect()
    return [(row.number, pickle.loads(row.answer)) for row in found]


def _work(folder: str, function: bytes) -> Callable[[bytes], bytes]:
    """Return what a worker does; it comes to the worker as code, before the project's folder is known there."""

    def work(job: bytes) -> bytes:
        import sys

        if folder not in sys.path:
            sys.path.insert(0, folder)
        from src.workers.spark import answered

        return answered(function, job)

    return work


def answered(function: bytes, job: bytes) -> bytes:
    """Return a function's answer to a job and None, or None and the error it ended with, as bytes."""
    try:
        return pickle.dumps((pickle.loads(function)(pickle.loads(job)), None))
    except ImportError as error:
        return pickle.dumps((None, MachineError(f"a node of the cluster cannot do a task: {error}", fix=_ALIKE)))
    except Exception:
        return pickle.dumps((None, RuntimeError(f"a task failed on a worker\n{traceback.format_exc()}")))


def _started(master: str, log: Path) -> SparkSession:
    """Return a session whose driver is this process, with a Java machine beside it."""
    from pyspark import SparkConf, SparkContext
    from pyspark.java_gateway import launch_gateway
    from pyspark.sql import SparkSession

    logging.getLogger().addHandler(logging.NullHandler())  # what py4j logs of an interrupt is raised as well
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # of the workers: the same path on every node
    conf = SparkConf().setMaster(master).setAppName("boathouse")
    conf.set("spark.speculation", "true")  # a task may be done twice: what it writes are new files
    conf.set("spark.ui.enabled", "false").set("spark.ui.showConsoleProgress", "false")
    if all(map(_is_here, _addresses(master))) or master.startswith("local"):
        conf.set("spark.driver.host", "127.0.0.1").set("spark.driver.bindAddress", "127.0.0.1")
    log.parent.mkdir(parents=True, exist_ok=True)
    gateway = SparkContext._gateway  # one Java machine a process: an earlier run of this one may have started it
    if gateway is None:
        with log.open("wb") as lines:
            gateway = launch_gateway(conf, popen_kwargs={"stdout": lines, "stderr": lines})
    return SparkSession(SparkContext(conf=conf, gateway=gateway))


def _connected(master: str) -> SparkSession:
    """Return a session of a Spark Connect server, which is the driver of the cluster."""
    from pyspark.sql import SparkSession

    return SparkSession.builder.remote(master).create()


def _addresses(master: str) -> list[tuple[str, int]]:
    """Return where a cluster listens: of a standalone one in several places; of yarn and local nowhere we know."""
    kind, _, rest = master.partition("://")
    if kind not in _PORTS:
        return []
    found = []
    for one in rest.removeprefix("https://").removeprefix("http://").partition("/")[0].partition(";")[0].split(","):
        host, _, port = one.rpartition(":") if re.search(r":\d+$", one) else (one, "", "")
        found.append((host, int(port or _PORTS[kind])))
    return found


def _is_here(address: tuple[str, int]) -> bool:
    return address[0] in {"localhost", "127.0.0.1", "::1", "[::1]"}


def _silence(master: str) -> str:
    """Return why a cluster does not answer; '' where it does, or where nobody can know."""
    errors = []
    for host, port in _addresses(master):
        try:
            socket.create_connection((host.strip("[]"), port), _KNOCK).close()
            return ""
        except OSError as error:
            errors.append(f"{host}:{port}: {error.strerror or error}")
    return "; ".join(errors)


def _first_line(error: BaseException) -> str:
    lines = (line.strip(" :") for line in str(error).splitlines() if not line.startswith("An error occurred while"))
    return next(filter(None, lines), type(error).__name__)
