"""A scored table and its model are met by every command and screen as other tables are."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from conftest import Lake
from page_site import opened
from scored_lake import RISK, land, scored_parcels, train

from src import lake as tables
from src.errors import UsageError
from src.ml import registry
from src.origins import read_origins
from src.project import open_project
from src.proof.columns import Origin
from src.selection import chosen

MODEL, FEATURES, LABEL = "models.shop.late", "gold.shop.features", "silver.shop.parcels"
SHORT = "SELECT parcel, round(probability, 4), model_version FROM gold.shop.risk ORDER BY parcel"


@pytest.fixture
def shop(lake: Lake) -> Lake:
    return scored_parcels(lake)


def active(lake: Lake) -> int | None:
    with open_project(lake.settings) as project:
        found = registry.active(project.engine, project.table(MODEL))
    return found.version if found else None


def test_the_page_shows_them(shop: Lake) -> None:
    site = opened(shop)
    for address in (
        *("/", "/lineage", "/mart/shop", "/plan", f"/table/{RISK}", f"/table/{MODEL}"),
        *(
            f"/lineage?around={RISK}",
            f"/lineage?around={MODEL}",
            f"/lineage?column={MODEL}.version",
            f"/lineage?column={RISK}.probability",
        ),
    ):
        answer = site.get(address)
        assert answer.status == 200, (address, answer.text[-3000:])
    drawn = site.get(f"/lineage?around={RISK}").text
    assert f"/table/{MODEL}" in drawn
    assert "of-models" in drawn


def test_every_score_is_made_of_the_version_and_all_features(shop: Lake) -> None:
    with open_project(shop.settings) as project:
        found = read_origins(project, project.declared(RISK))
    learnt = {(FEATURES, "carrier"), (FEATURES, "weight")}
    for name in ("probability", "predicted", "reasons"):
        assert found[name].values == {*learnt, (MODEL, None)}
    assert found["features_hash"].values == learnt
    assert found["outcome_known"] == Origin(frozenset({(LABEL, "arrived")}))
    assert found["month"] == Origin(frozenset({(FEATURES, "month")}))


def test_a_rollback_activates_the_version_of_then(shop: Lake) -> None:
    before = shop.rows(SHORT)
    first = shop.good().run_id
    train(shop, 2, slow=0.0)
    shop.good()
    assert shop.rows(SHORT) != before
    assert shop.command("rollback", "--to", first) == 0
    assert shop.rows(SHORT) == before
    assert active(shop) == 1
    with open_project(shop.settings) as project:
        assert [(one.version, one.status) for one in registry.versions(project.engine, project.table(MODEL))] == [
            (1, "ACTIVE"),
            (2, "RETIRED"),
        ]
    shop.good()
    assert shop.rows(SHORT) == before
    land(shop, "5,june,2026-06-05,slow,3.0,,,false,1\n")
    shop.good()
    assert shop.rows(SHORT)[-1] == (5, 0.9002, 1)


def test_a_backup_brings_versions_and_scores_back(shop: Lake, tmp_path: Path) -> None:
    shop.environ["BACKUP_REMOTE"] = str(tmp_path / "copies")
    before = shop.rows(SHORT)
    assert [shop.command(name) for name in ("backup", "drill")] == [0, 0]
    damaged = next(tables.table_path(shop.data, MODEL).glob("*.parquet"))
    damaged.write_bytes(damaged.read_bytes()[:-100] + bytes(100))
    assert MODEL in {finding.table for finding in shop.findings()}
    assert shop.command("repair") == 0
    assert shop.findings() == []
    shutil.rmtree(shop.data)
    assert shop.command("restore") == 0
    assert (shop.rows(SHORT), active(shop)) == (before, 1)
    land(shop, "5,june,2026-06-05,slow,3.0,,,false,1\n")
    shop.good()
    assert shop.rows(SHORT) == [*before, (5, 0.9002, 1)]


def test_vacuum_leaves_every_version(shop: Lake) -> None:
    train(shop, 2, slow=0.0)
    shop.good()
    assert shop.command("vacuum", "--purge", "--retention-hours", "0", "--yes") == 0
    assert shop.findings() == []
    with open_project(shop.settings) as project:
        assert registry.read_version(project.engine, project.table(MODEL), 1).artefact
    land(shop, "5,june,2026-06-05,slow,3.0,,,false,1\n")
    shop.good()


def test_selections_know_the_model(shop: Lake) -> None:
    with open_project(shop.settings) as project:
        ids = [table.id for table in chosen(project, names=["models.shop.late+"]).gold]
        assert ids == [FEATURES, RISK]  # the tables of a mart go together
        assert [feed.id for feed in chosen(project, names=["+risk"]).feeds] == ["bronze.shop.parcels"]
        with pytest.raises(UsageError, match="a model is trained by `make train`"):
            chosen(project, names=["late"])


def test_a_slice_of_a_scored_table_is_refused(shop: Lake) -> None:
    with pytest.raises(UsageError, match="its rows are scored one by one"):
        shop.command("backfill", "--table", RISK, "--start", "2026-05-01", "--end", "2026-05-31")
    assert shop.command("backfill", "--table", LABEL, "--where", "parcel = 3") == 0
    assert shop.rows(SHORT)[2] == (3, 0.937, 1)


def test_commands_that_look_meet_them(shop: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (
        *(["plan"], ["status"], ["tables"], ["inspect"], ["schema-version"], ["check"]),
        *(["preview", RISK], ["describe", RISK], ["describe", MODEL], ["inspect", "--table", RISK]),
    ):
        name, *rest = words
        assert shop.command(name, *rest) == 0, (words, capsys.readouterr())
    assert "Traceback" not in capsys.readouterr().err


def test_a_version_that_a_branch_made_comes_to_main_with_its_scores(shop: Lake) -> None:
    before = shop.rows(SHORT)
    assert shop.command("branch", "create", "slower") == 0
    train(shop, 2, slow=0.0, data=shop.data / ".branches/slower")
    beside = Lake(shop.root, {"BRANCH": "slower"})
    assert beside.good().failures == {}
    assert (shop.rows(SHORT), active(shop), active(beside)) == (before, 1, 2)
    assert shop.command("branch", "promote", "slower") == 0
    assert active(shop) == 2
    assert [version for *_, version in shop.rows(SHORT)] == [1, 2, 2, 2]  # of the first the outcome is known
    assert [step.records_written for step in shop.good().steps] == [0, 0, 0, 0]
