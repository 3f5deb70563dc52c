"""A view is read like a table wherever a person reads, at the same versions; models are kept as other tables are."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Collection
from pathlib import Path

import page_site
import pytest
from conftest import Lake

from src import catalog
from src import lake as delta
from src.errors import UsageError
from src.maintenance import vacuum
from src.project import open_engine
from src.views import View, over

DAILY = "gold.shop.daily"
MODEL = "models.shop.late"
HEAD = "order_id,day,amount,updated\n"


def every_model(there: Collection[str]) -> str | None:
    """The rows of every table below models; None where there is none."""
    tables = sorted(name for name in there if name.startswith("models."))
    return " UNION ALL ".join(f"SELECT '{name}' AS model, version FROM {name}" for name in tables) or None


VIEWS = (
    View("ops.steps", "A layer, and its steps.", over("ops.pipeline_runs", sql="FROM ops.pipeline_runs SELECT layer")),
    View("ops.layers", "A layer.", over("ops.steps", sql="SELECT DISTINCT layer FROM ops.steps")),
    View("ops.takings", "The takings.", over(DAILY, sql=f"SELECT sum(amount) AS amount FROM {DAILY}")),
    View("ops.nothing", "Of a table that is not there.", over("ops.unwritten", sql="FROM ops.unwritten")),
    View("ops.every_model", "A version of a model.", every_model),
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = Lake(tmp_path_factory.mktemp("built")).shop()
    made.land("shop/orders/1.csv", HEAD + "1,2024-01-01,10,1\n")
    made.good()
    return made.root


@pytest.fixture
def shop(shop: Lake, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """The shop with the views of these tests."""
    monkeypatch.setattr(catalog, "VIEWS", VIEWS)
    return shop


def train(lake: Lake, version: int) -> None:
    """Add a row to a model's table, as a training does."""
    root = delta.table_path(lake.data, MODEL)
    table = delta.open_table(root) or delta.create(root, {"version": "BIGINT"})
    with open_engine(lake.settings) as engine:
        delta.commit(table, add=engine.write(f"SELECT {version}::BIGINT AS version", root))


def test_a_view_is_there_only_where_what_it_reads_is_there(shop: Lake) -> None:
    known = catalog.tables(shop.data)
    assert list(catalog.views(known)) == ["ops.steps", "ops.layers", "ops.takings"]
    assert list(catalog.views({"ops.takings": Path(), DAILY: Path()})) == []  # a table of that name is no view
    assert catalog.readable(shop.data) == [*known, "ops.steps", "ops.layers", "ops.takings"]


def test_a_view_is_read_through_the_views_below_it_at_the_release_s_versions(shop: Lake) -> None:
    assert sorted(shop.rows("SELECT * FROM ops.layers")) == [("bronze",), ("gold",), ("run",), ("silver",)]
    before = dict.fromkeys((DAILY,), 0)
    with open_engine(shop.settings) as engine:
        catalog.publish_named(engine, shop.data, ["ops.takings"], before)
        assert engine.rows("FROM ops.takings") == [(None,)]  # as the table was when it was made
        catalog.publish_named(engine, shop.data, ["ops.takings"])
        assert [float(amount) for (amount,) in engine.rows("FROM ops.takings")] == [10.0]


def test_a_view_is_asked_written_listed_and_described_like_a_table(
    shop: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert shop.command("query", "SELECT amount::INT AS amount FROM ops.takings", "--format", "csv") == 0
    assert capsys.readouterr().out == "amount\n10\n"
    shop.command("query", "SELECT * FROM ops.layers ORDER BY layer", "--output", str(shop.root / "layers.csv"))
    assert (shop.root / "layers.csv").read_text() == "layer\nbronze\ngold\nrun\nsilver\n"
    capsys.readouterr()
    shop.command("tables", "--json")
    listed = {one["table"]: one for one in json.loads(capsys.readouterr().out)}
    assert (listed["ops.takings"]["view"], listed["ops.takings"]["error"]) == ("The takings.", None)
    shop.command("tables")
    assert "view" in next(line for line in capsys.readouterr().out.splitlines() if "ops.takings" in line)
    shop.command("describe", "ops.takings")
    described = capsys.readouterr().out
    assert "ops.takings: The takings." in described
    assert "computed when it is read" in described and DAILY in described
    with pytest.raises(UsageError, match=r"no table ops\.taking") as raised:
        shop.command("query", "SELECT * FROM ops.taking")
    assert "did you mean ops.takings?" in str(raised.value.fix)


def test_a_view_is_read_on_the_page(shop: Lake) -> None:
    site = page_site.opened(shop)
    assert json.loads(site.get("/sql/names").text)["tables"]["ops.layers"] == []
    assert 'data-name="ops.layers"' in site.get("/sql").text


def test_a_view_reads_all_models_that_are_there(shop: Lake) -> None:
    train(shop, 1)
    train(shop, 2)
    assert sorted(shop.rows("SELECT * FROM ops.every_model")) == [(MODEL, 1), (MODEL, 2)]


def test_a_model_is_backed_up_and_restored_at_its_newest_version(shop: Lake, tmp_path: Path) -> None:
    train(shop, 1)
    train(shop, 2)
    shop.command("backup")
    shop.command("restore", "--to", str(tmp_path / "other/data"))
    other = Lake(tmp_path / "other")
    assert sorted(other.rows(f"SELECT version FROM {MODEL}")) == [(1,), (2,)]
    with pytest.raises(UsageError, match="there are tables already"):
        shop.command("restore")


def test_the_damage_of_a_model_is_found(shop: Lake) -> None:
    train(shop, 1)
    [file] = delta.table_path(shop.data, MODEL).glob("*.parquet")
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    assert [(one.table, one.law) for one in shop.findings()] == [(MODEL, "the table opens and its files are whole")]
    file.write_bytes(whole)


def test_what_left_a_model_s_table_is_vacuumed(shop: Lake) -> None:
    train(shop, 1)
    root = delta.table_path(shop.data, MODEL)
    table = delta.open_table(root)
    assert table is not None
    delta.commit(table, remove=table.files)
    past = time.time() - 400 * 3600
    for path in (*root.rglob("*.json"), *root.rglob("*.parquet")):
        os.utime(path, (past, past))
    [step] = [step for step in vacuum.plan(shop.data, 0, time.time()) if step.table == MODEL]
    assert [file.path for file in step.gone] == [file.path for file in table.files]
