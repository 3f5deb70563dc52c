"""The peers: each in a venv of its own, made from its pinned requirements, configured in `benchmarks/peers/<name>`.

A peer works on a copy of its project that lies in the folder of its state, with relative paths, so that nothing in
it changes when the state is copied. New files are put before it as links in `landing`. Usage reports are off.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.contenders import HERE, TABLES, Missing, Place
from benchmarks.measure import Command

QUIET = {
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    "DO_NOT_TRACK": "1",
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "SQLMESH__DISABLE_ANONYMIZED_ANALYTICS": "1",
}


@dataclass
class Peer:
    """A pipeline made with another tool."""

    name: str
    slug: str
    folder: str  # below benchmarks/peers
    first: Sequence[str]  # the command of the first load; {bin} is the folder of the venv's programs
    later: Sequence[str]
    lies: str  # where a table lies in the state, as benchmarks/check.py reads it: {state}, {table}
    environ: Mapping[str, str] = field(default_factory=dict)
    bin: Path = Path()

    def prepare(self, bench: Path) -> None:
        """Make the venv; one that is whole holds the requirements it was made from."""
        required = HERE / "peers" / self.folder / "requirements.txt"
        venv = bench / "venvs" / self.folder
        self.bin = venv / "bin"
        made_from = venv / "requirements.txt"
        if made_from.is_file() and made_from.read_text(encoding="utf-8") == required.read_text(encoding="utf-8"):
            return
        shutil.rmtree(venv, ignore_errors=True)
        print(f"installing {self.folder}", flush=True)
        for command in (
            [sys.executable, "-m", "venv", str(venv)],
            [str(venv / "bin/pip"), "install", "--quiet", "--disable-pip-version-check", "-r", str(required)],
        ):
            told = subprocess.run(command, capture_output=True, text=True, check=False)
            if told.returncode:
                lines = [line for line in told.stderr.splitlines() if line.strip()] or ["no reason given"]
                raise Missing(next((line for line in lines if line.startswith("ERROR")), lines[-1]))
        shutil.copy(required, made_from)

    def load(self, state: Path, files: Sequence[Path]) -> Command:
        loaded = (state / "landing").exists()
        project = HERE / "peers" / self.folder
        shutil.copytree(project, state, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.rmtree(state / "landing", ignore_errors=True)
        (state / "landing").mkdir()
        for file in files:
            (state / "landing" / file.name).symlink_to(file.resolve())
        words = self.later if loaded else self.first
        return Command([word.replace("{bin}", str(self.bin)) for word in words], state, {**QUIET, **self.environ})

    def tables(self, state: Path) -> Mapping[str, Place]:
        return {table: self.lies.format(state=state, table=table) for table in TABLES}


def _dbt(strategy: str) -> Peer:
    words = ["{bin}/dbt", "--quiet", "run", "--profiles-dir", ".", "--vars", f"{{upsert: {strategy}}}"]
    return Peer(
        name=f"dbt-duckdb, {strategy}",
        slug=f"dbt-{strategy.replace('+', '-')}",
        folder="dbt_duckdb",
        first=words,
        later=words,
        lies="duckdb:{state}/lake.duckdb:main.{table}",
    )


def _tutorial() -> Peer:
    words = ["{bin}/python", "load.py"]
    return Peer("tutorial: polars, merge", "tutorial", "tutorial", words, words, "delta:{state}/{table}")


def _dlt() -> Peer:
    words = ["{bin}/python", "load.py"]
    return Peer("dlt, Delta upsert", "dlt", "dlt", words, words, "delta:{state}/lake/{table}")


def _sqlmesh() -> Peer:
    plan = ["{bin}/sqlmesh", "plan", "--auto-apply", "--no-prompts", "--skip-tests", "--execution-time"]
    return Peer(
        name="SQLMesh, unique key",
        slug="sqlmesh",
        folder="sqlmesh",
        first=[*plan, "2026-01-01 01:00:00"],
        later=[*plan, "2026-01-02 01:00:00", "--run"],
        lies="duckdb:{state}/lake.duckdb:lake.{table}",
    )


def everyone() -> list[Peer]:
    """The peers, in the order of the tables."""
    return [_dbt("merge"), _dbt("delete+insert"), _sqlmesh(), _dlt(), _tutorial()]


@dataclass
class SparkDelta:
    """Spark itself with Delta tables, on the same cluster; as the cluster's driver it is of the cluster's version.

    The jars are fetched once, as Spark fetches them for whoever writes `spark.jars.packages`.
    """

    master: str = ""
    name: str = "Spark and Delta"
    slug: str = "spark-delta"
    folder: str = "spark_delta"
    environ: Mapping[str, str] = field(default_factory=dict)
    jars: Sequence[Path] = ()

    def prepare(self, bench: Path) -> None:
        packages = (HERE / "peers" / self.folder / "packages.txt").read_text(encoding="utf-8").split()
        ivy = bench / "venvs" / self.folder
        self.jars = _delta_jars(ivy)
        if self.jars:
            return
        ivy.mkdir(parents=True, exist_ok=True)
        print(f"fetching {', '.join(packages)}", flush=True)
        fetch = (
            "import sys; from pyspark.sql import SparkSession; b = SparkSession.builder.master('local[1]'); "
            "b.config('spark.jars.packages', sys.argv[1]).config('spark.jars.ivy', sys.argv[2])"
            ".config('spark.driver.host', '127.0.0.1').config('spark.driver.bindAddress', '127.0.0.1')"
            ".config('spark.ui.enabled', 'false').getOrCreate().stop()"
        )
        command = [sys.executable, "-c", fetch, ",".join(packages), str(ivy)]
        told = subprocess.run(command, capture_output=True, text=True, check=False)
        self.jars = _delta_jars(ivy)
        if told.returncode or not self.jars:
            raise Missing(f"{', '.join(packages)} cannot be fetched:\n{told.stderr[-1000:]}")

    def load(self, state: Path, files: Sequence[Path]) -> Command:
        shutil.rmtree(state / "landing", ignore_errors=True)
        (state / "landing").mkdir()
        for file in files:
            (state / "landing" / file.name).symlink_to(file.resolve())
        jars = ",".join(map(str, self.jars))
        words = [sys.executable, str(HERE / "peers" / self.folder / "load.py")]
        return Command(words, state, {**self.environ, "SPARK_MASTER": self.master, "DELTA_JARS": jars})

    def tables(self, state: Path) -> Mapping[str, Place]:
        return {table: f"delta:{state}/{table}" for table in TABLES}


def _delta_jars(ivy: Path) -> list[Path]:
    """The two that Spark needs to read and write Delta tables; what else they name, Spark has."""
    return sorted([*ivy.glob("jars/io.delta_delta-spark_*.jar"), *ivy.glob("jars/io.delta_delta-storage-*.jar")])
