"""Other programs read the lake as docs/readers.md says: its blocks of Python are run, and their answers compared."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, Lake

HEADER = "order_id,day,amount,updated\n"


def blocks(title: str) -> list[str]:
    """The blocks of Python below a title of the page."""
    page = (ROOT / "docs/readers.md").read_text(encoding="utf-8")
    section = page.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    return re.findall(r"```python\n(.*?)```", section, re.DOTALL)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = Lake(tmp_path_factory.mktemp("built")).shop()
    made.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n2,2024-01-02,20,1\n3,2024-01-02,7.5,1\n")
    made.good()
    made.land("shop/orders/2.csv", HEADER + "2,2024-01-02,25,2\n3,2024-01-01,7.5,2\n")
    made.good()
    return made.root


def printed(shop: Lake, block: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(shop.root)
    capsys.readouterr()
    exec(compile(block, "docs/readers.md", "exec"), {})
    return capsys.readouterr().out


ANSWERS = {
    "Polars": ["[(datetime.date(2024, 1, 2), 1, Decimal('25.00'))]\n"],
    "DuckDB": [
        "[(datetime.date(2024, 1, 1), Decimal('17.50')), (datetime.date(2024, 1, 2), Decimal('25.00'))]\n",
        "[(datetime.date(2024, 1, 1), Decimal('17.50')), (datetime.date(2024, 1, 2), Decimal('25.00'))]\n",
    ],
    "One release instead of the newest versions": [
        "[(datetime.date(2024, 1, 1), 2, Decimal('17.50')), (datetime.date(2024, 1, 2), 1, Decimal('25.00'))]\n"
    ],
}
FRAMES = """\
[{'day': datetime.date(2024, 1, 1), 'orders': 2, 'amount': Decimal('17.50')}, \
{'day': datetime.date(2024, 1, 2), 'orders': 1, 'amount': Decimal('25.00')}]
2 1.0.0
"""
SHOWN = """\
+----------+------+------+
|       day|orders|amount|
+----------+------+------+
|2024-01-01|     2| 17.50|
|2024-01-02|     1| 25.00|
+----------+------+------+

[Row(orders=2)]
"""


def test_polars_and_duckdb_read_what_the_page_says_they_do(
    shop: Lake, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for title, answers in ANSWERS.items():
        assert [printed(shop, block, capsys, monkeypatch) for block in blocks(title)] == answers


def test_pandas_and_arrow_read_what_the_page_says_they_do(
    shop: Lake, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pandas", reason="no pandas: ./setup.sh --spark brings it")
    [block] = blocks("Pandas, Arrow, and the Delta library")
    assert printed(shop, block, capsys, monkeypatch) == FRAMES


@pytest.mark.long
def test_spark_reads_what_the_page_says_it_does(shop: Lake, tmp_path: Path) -> None:
    pytest.importorskip("pyspark", reason="no pyspark: ./setup.sh --spark")
    if not shutil.which("java"):
        pytest.skip("no Java on this machine: apt-get install openjdk-17-jre-headless")
    (tmp_path / "conf").mkdir()
    local = {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1", "spark.ui.enabled": "false"}
    options = "".join(f"{name} {value}\n" for name, value in local.items())
    (tmp_path / "conf/spark-defaults.conf").write_text(options)
    environ = {name: os.environ[name] for name in ("PATH", "HOME", "JAVA_HOME") if name in os.environ}
    environ |= {"SPARK_LOCAL_IP": "127.0.0.1", "SPARK_CONF_DIR": str(tmp_path / "conf")}
    [block] = blocks("Spark SQL")
    done = subprocess.run([sys.executable, "-c", block], cwd=shop.root, env=environ, capture_output=True, text=True)
    if "unresolved dependency" in done.stderr:
        pytest.skip("the jars of Delta cannot be fetched from here")
    assert done.stdout == SHOWN, done.stderr
