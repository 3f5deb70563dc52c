"""A table that a model scores: which rows are kept, which are scored, and when it waits."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from datetime import timedelta

import pytest
from conftest import ROOT, Lake
from scored_lake import FEATURES as MADE
from scored_lake import RISK, land, parcels, scored_parcels, train

from src import lake as tables
from src.engine import DuckEngine
from src.errors import ContractErrors
from src.ml import predicting, registry, scoring
from src.ml.frames import Feature, Kind
from src.ml.scored import scored_table
from src.ml.versions import Status
from src.project import open_project
from src.run import runs

SEEN = (
    "SELECT parcel, carrier, round(probability, 4), predicted, reasons, model_version, outcome_known "
    "FROM gold.shop.risk ORDER BY parcel"
)
SHORT = "SELECT parcel, round(probability, 4), model_version FROM gold.shop.risk ORDER BY parcel"
MODEL, FEATURES = "models.shop.late", "gold.shop.features"


def changed(lake: Lake) -> tuple[int, int, int, int]:
    """Run, and return what became of the scored rows: new, scored again, kept, gone."""
    step = lake.step(lake.good(), RISK)
    return step.inserted, step.updated, step.unchanged, step.removed


def engine_of(lake: Lake) -> DuckEngine:
    return DuckEngine(memory_limit="1GB", threads=1, spill=lake.data / ".spill")


def retire(lake: Lake) -> None:
    engine = engine_of(lake)
    registry.retire(engine, lake.data, MODEL, "no good", runs.now(), "ann")
    engine.close()


def test_rows_are_scored_by_the_active_version_and_say_why(lake: Lake) -> None:
    parcels(lake)
    train(lake, 1)
    assert changed(lake) == (4, 0, 0, 0)
    assert lake.rows(SEEN) == [
        (1, "slow", 0.8909, True, "carrier slow +76.1; weight 2 +1.0", 1, True),
        (2, "fast", 0.1192, False, "", 1, False),
        (3, "slow", 0.937, True, "carrier slow +72.3; weight 8 +5.6", 1, False),
        (4, "fast", 0.1192, False, "", 1, False),
    ]
    assert lake.rows("SELECT count(*) FROM gold.shop.risk WHERE scored_at IS NULL OR length(features_hash) <> 32") == [
        (0,)
    ]


def test_a_run_again_changes_nothing_and_opens_no_model(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    scored_parcels(lake)
    monkeypatch.setattr(predicting, "open_predictor", None)
    version = lake.step(lake.good(), RISK).version
    land(lake, "2,may,2026-05-02,fast,1.0,2026-05-03,false,false,2\n")  # the truth of one came, and no feature moved
    assert changed(lake) == (0, 0, 4, 0)
    assert lake.step(lake.good(), RISK).version == (version or 0) + 1  # it notes what it has read
    assert lake.rows("SELECT outcome_known FROM gold.shop.risk WHERE parcel = 2") == [(False,)]


def test_only_new_rows_and_those_whose_features_changed_are_scored(lake: Lake) -> None:
    scored_parcels(lake)
    land(lake, "3,june,2026-06-01,slow,9.0,,,false,2\n5,june,2026-06-05,fast,3.0,,,false,1\n")
    assert changed(lake) == (1, 1, 3, 0)
    assert lake.rows(f"{SHORT} LIMIT 9")[2:] == [(3, 0.9427, 1), (4, 0.1192, 1), (5, 0.1419, 1)]


def test_partitions_in_which_nothing_changed_are_not_written(lake: Lake) -> None:
    scored_parcels(lake)
    before = files_of(lake)
    land(lake, "3,june,2026-06-01,slow,9.0,,,false,2\n")
    run = lake.good()
    assert lake.step(run, RISK).partitions == 1
    assert [name.partition("/")[0] for name in before & files_of(lake)] == ["month=may"]


def files_of(lake: Lake) -> set[str]:
    found = tables.open_table(tables.table_path(lake.data, RISK))
    return {file.path for file in found.files} if found else set()


def test_a_prediction_whose_outcome_is_known_stays_what_it_was(lake: Lake) -> None:
    """Neither corrected features, nor another version, nor a rebuild, nor MODE=all rewrite what was said before."""
    scored_parcels(lake)
    said = lake.rows("SELECT parcel, probability, model_version, scored_at, features_hash FROM gold.shop.risk")
    land(
        lake, "2,may,2026-05-02,fast,1.0,2026-05-03,false,false,2\n3,june,2026-06-01,slow,8.0,2026-06-09,true,false,2\n"
    )
    lake.good()
    land(lake, "2,may,2026-05-02,slow,7.0,2026-05-03,false,false,3\n")  # corrected after the fact
    train(lake, 2, slow=0.0)
    assert changed(lake) == (0, 1, 3, 0)
    lake.command("rebuild", "--table", RISK)
    lake.command("run", "--mode", "all")
    open_now = (
        "SELECT parcel, probability, model_version, scored_at, features_hash FROM gold.shop.risk WHERE parcel <> 4"
    )
    assert sorted(lake.rows(open_now)) == sorted(row for row in said if row[0] != 4)
    assert lake.rows(f"{SEEN} LIMIT 9")[1] == (2, "fast", 0.1192, False, "", 1, False)
    assert lake.rows("SELECT model_version FROM gold.shop.risk WHERE parcel = 4") == [(2,)]


def test_a_table_that_was_lost_says_what_it_knows_afterwards(lake: Lake) -> None:
    scored_parcels(lake)
    land(lake, "3,june,2026-06-01,slow,8.0,2026-06-09,true,false,2\n")
    lake.good()
    shutil.rmtree(tables.table_path(lake.data, RISK))
    assert changed(lake) == (4, 0, 0, 0)
    known = "SELECT parcel, outcome_known FROM gold.shop.risk ORDER BY 1"
    assert lake.rows(known) == [(1, True), (2, False), (3, True), (4, False)]


def test_a_row_goes_with_its_features(lake: Lake) -> None:
    scored_parcels(lake)
    land(lake, "1,may,2026-05-01,slow,2.0,2026-05-09,true,true,2\n4,june,2026-06-02,fast,,,,true,2\n")
    assert changed(lake) == (0, 0, 2, 2)
    assert lake.rows(SHORT) == [(2, 0.1192, 1), (3, 0.937, 1)]


def test_what_describes_a_row_follows_also_where_its_prediction_is_kept(lake: Lake) -> None:
    scored_parcels(lake)
    land(lake, "1,june,2026-06-01,fast,2.0,2026-05-09,true,false,2\n")
    assert changed(lake) == (0, 1, 3, 0)
    row = "SELECT month, sent::VARCHAR, carrier, round(probability, 4) FROM gold.shop.risk WHERE parcel = 1"
    assert lake.rows(row) == [("june", "2026-06-01", "slow", 0.8909)]


def test_a_new_version_scores_the_open_rows(lake: Lake) -> None:
    scored_parcels(lake)
    train(lake, 2, slow=0.0, status=Status.CANDIDATE)
    assert changed(lake) == (0, 0, 4, 0)
    train(lake, 3, slow=0.0)
    step = next(step for step in lake.planned() if step.table == RISK)
    assert (step.action, step.why) == (
        "score",
        f"new versions: {MODEL} 2 -> 3, {MODEL}: version 3 scores, before 1",
    )
    assert changed(lake) == (0, 3, 1, 0)
    assert lake.rows(SHORT) == [(1, 0.8909, 1), (2, 0.1192, 3), (3, 0.6682, 3), (4, 0.1192, 3)]


def test_without_an_active_version_rows_stay_and_new_ones_wait(lake: Lake) -> None:
    scored_parcels(lake)
    retire(lake)
    land(
        lake,
        "2,may,2026-05-02,slow,1.0,,,false,2\n4,june,2026-06-02,fast,,,,true,2\n5,june,2026-06-05,fast,3.0,,,false,1\n",
    )
    run = lake.good()
    assert (lake.step(run, RISK).notes or "").splitlines() == [
        f"no version of {MODEL} is active: `main.py train --model shop.late` trains one, and says why one is not taken",
        "1 row waits for a version that scores it",
    ]
    assert lake.rows(SHORT) == [(1, 0.8909, 1), (2, 0.1192, 1), (3, 0.937, 1)]
    train(lake, 2)
    assert changed(lake) == (1, 2, 1, 0)
    assert lake.rows(SHORT)[1:] == [(2, 0.8808, 2), (3, 0.937, 2), (5, 0.1419, 2)]


def test_nothing_is_scored_before_there_is_a_version(lake: Lake) -> None:
    parcels(lake)
    run = lake.good()
    assert lake.step(run, RISK).notes == f"waits for {MODEL}, not built yet"
    train(lake, 1, status=Status.CANDIDATE)
    assert (lake.step(lake.good(), RISK).notes or "").startswith(f"no version of {MODEL} is active")
    assert not tables.table_path(lake.data, RISK).exists()


def test_a_version_of_other_features_scores_no_row(lake: Lake) -> None:
    scored_parcels(lake)
    train(lake, 2, features=[Feature("carrier", Kind.CATEGORICAL, "fast"), Feature("colour", Kind.CATEGORICAL, "red")])
    note = lake.step(lake.good(), RISK).notes or ""
    what = f"version 2 of {MODEL} was trained by colour (categorical)"
    assert note == f"{what}: train again, by `main.py train --model shop.late`"
    assert {row[2] for row in lake.rows(SHORT)} == {1}


def test_a_damaged_artefact_fails_the_step_and_no_other(lake: Lake) -> None:
    parcels(lake)
    train(lake, 1, sha256="0" * 64)
    run = lake.run()
    assert list(run.failures) == [RISK]
    assert "is damaged" in str(run.failures[RISK])
    assert lake.rows("SELECT count(*) FROM gold.shop.features") == [(4,)]


def test_without_the_extra_the_step_says_how_to_install_it(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    parcels(lake)
    train(lake, 1)
    with monkeypatch.context() as patch:
        patch.setattr("src.ml.artefacts.find_spec", lambda name: None)
        run = lake.run()
    assert "./setup.sh --ml" in str(run.failures[RISK])
    lake.good()


def test_a_clock_that_goes_back_rewrites_no_prediction(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    scored_parcels(lake)
    train(lake, 2, slow=0.0)
    earlier = runs.now() - timedelta(days=365)  # before parcel 1 arrived
    monkeypatch.setattr("src.run.runs.now", lambda: earlier)
    assert changed(lake) == (0, 3, 1, 0)
    assert lake.rows(SHORT)[0] == (1, 0.8909, 1)


def test_two_models_score_the_rows_of_one_table(lake: Lake) -> None:
    parcels(lake)
    second = "  - name: risk" + (lake.root / "src/gold/shop/contract.yaml").read_text().split("  - name: risk")[1]
    second = second.replace("name: risk", "name: loss").replace("shop.late", "shop.lost")
    lake.edit("gold/shop/contract.yaml", "  - name: risk", f"{second}  - name: risk")
    lake.write("ml/shop/lost.yaml", (lake.root / "src/ml/shop/late.yaml").read_text())
    train(lake, 1)
    train(lake, 1, slow=0.0, model="shop.lost")
    lake.good()
    retire(lake)
    land(lake, "3,june,2026-06-01,slow,9.0,,,false,2\n")
    lake.good()
    assert lake.rows(SHORT)[2] == (3, 0.937, 1)
    assert lake.rows(SHORT.replace("risk", "loss"))[2] == (3, 0.69, 1)


def test_a_condition_of_the_model_says_which_rows_it_is_about(lake: Lake) -> None:
    scored_parcels(lake)
    lake.write("ml/shop/late.yaml", (lake.root / "src/ml/shop/late.yaml").read_text() + "where: carrier = 'slow'\n")
    step = next(step for step in lake.planned() if step.table == RISK)
    assert (step.action, step.why) == ("score", f"the contract of {MODEL} changed")
    assert changed(lake) == (0, 0, 2, 2)
    assert [row[0] for row in lake.rows(SHORT)] == [1, 3]


WRONG = {
    "* REPLACE (0.5 AS probability)": "with another probability than version 1 gives",
    "* REPLACE (NOT predicted AS predicted)": "on the wrong side of the threshold",
    "* REPLACE (7 AS model_version)": "scored by a version that models.shop.late has not",
    "* REPLACE ('x' AS features_hash)": "open, and not scored by version 1 over their features",
    "* REPLACE ('red' AS carrier)": "with another carrier than gold.shop.features has",
    "* REPLACE (sent + 1 AS sent)": "with another sent than gold.shop.features has",
    "* REPLACE (parcel + 100 AS parcel)": "4 rows should not be there",
}


def test_check_finds_a_score_that_is_not_what_the_model_says(lake: Lake) -> None:
    scored_parcels(lake)
    table = scored(lake)
    for select, law in WRONG.items():
        rewrite(lake, table, select)
        found = [finding.found for finding in lake.findings() if finding.table == RISK]
        assert any(law in one for one in found), (law, found)
    rewrite(lake, table, "*")


def scored(lake: Lake) -> tables.Snapshot:
    found = tables.open_table(tables.table_path(lake.data, RISK))
    assert found
    return found


def rewrite(lake: Lake, table: tables.Snapshot, select: str) -> None:
    """Put other rows in place of those that a table had, in a commit that is as sound as any."""
    engine, now = engine_of(lake), scored(lake)
    written = engine.write(f"SELECT {select} FROM {engine.scan(table)}", table.root, table.partition_by)
    tables.commit(now, add=written, remove=now.files)
    engine.close()


def test_a_probability_depends_on_the_row_alone(lake: Lake) -> None:
    parcels(lake)
    land(lake, "".join(f"{n},may,2026-05-01,{'slow' if n % 3 else 'fast'},{n / 7},,,false,1\n" for n in range(10, 300)))
    train(lake, 1)
    lake.good()
    found = dict(lake.rows("SELECT parcel, probability FROM gold.shop.risk"))
    with open_project(lake.settings) as project:
        table = scored_table(project.contracts, project.declared(RISK))
        read = project.built([*project.declared(RISK).sources])
        version = registry.active(project.engine, read[MODEL])
        assert version
        assert scoring.judge(project.engine, table, read, None, version, runs.now())[1].new == 294
        again = {}
        for slab in (7, 293):
            predicting.fill_scores(project.engine, predicting.open_predictor(version), slab)
            again[slab] = dict(project.engine.rows("SELECT parcel, probability FROM pending JOIN scores USING (_nth)"))
    assert again[7] == again[293] == found


def test_a_features_hash_tells_values_apart_and_stays_the_same(lake: Lake) -> None:
    parcels(lake)
    with open_project(lake.settings) as project:
        table = scored_table(project.contracts, project.declared(RISK))
        values = ["('a', 1.0)", "(NULL, 1.0)", "('', 1.0)", "('-', 1.0)", "('a', NULL)", "('a', -0.0)", "('a', 0.0)"]
        values += ["('a', 0.1::DOUBLE + 0.2)", "('a', 0.3)", "('a', 'nan'::DOUBLE)"]
        found = project.engine.values(
            f"SELECT {table.features_hash} FROM (VALUES {', '.join(values)}) v(carrier, weight)"
        )
        turned = project.engine.values(f"SELECT {table.features_hash} FROM (VALUES (1.0, 'a')) v(weight, carrier)")
    assert found[0] == turned[0] == "5af64ce692619b354d0579320ecd5ecd"  # of "carrier=1:a\nweight=1:1\n"
    assert len(set(found)) == len(found) - 2
    assert found[5] == found[6]
    assert found[7] == found[8]


def test_a_reason_shows_no_value_of_a_classified_feature(lake: Lake) -> None:
    parcels(lake)
    carrier = "name: carrier, logicalType: string, customProperties: [{property: feature"
    lake.edit("gold/shop/contract.yaml", carrier, carrier.replace("carrier,", "carrier, classification: pii,"))
    train(lake, 1)
    lake.good()
    assert lake.rows("SELECT reasons FROM gold.shop.risk WHERE parcel = 3") == [("carrier +72.3; weight 8 +5.6",)]


SCORED_BY = "      - {property: scoredBy, value: shop.late}\n"
CARRIER, PREDICTED = "name: carrier, logicalType: string", "name: predicted, logicalType: boolean"
REFUSED = {
    "refresh of a table that is scored": (SCORED_BY, f"{SCORED_BY}      - {{property: refresh, value: full}}\n"),
    "optionalSources of a table that is scored": (
        SCORED_BY,
        f"{SCORED_BY}      - {{property: softSources, value: [{FEATURES}]}}\n",
    ),
    "no model shop.lete": ("shop.late", "shop.lete"),
    f"{FEATURES} has carrier varchar": (CARRIER, "name: carrier, logicalType: integer"),
    f"column colour varchar, {FEATURES} has no such column": (CARRIER, "name: colour, logicalType: string"),
    "no column predicted boolean": (PREDICTED, "name: foretold, logicalType: boolean"),
    "partition column carrier, which changes": (
        CARRIER,
        f"{CARRIER}, required: true, partitioned: true, partitionKeyPosition: 2",
    ),
    "the key is sent": ("primaryKey: true, primaryKeyPosition: 1}", "}"),
}


def test_a_contract_that_cannot_be_scored_is_refused(lake: Lake) -> None:
    parcels(lake)
    features, mark, risk = (lake.root / "src/gold/shop/contract.yaml").read_text().partition("  - name: risk")
    for what, (old, new) in REFUSED.items():
        assert old in risk
        changed = risk.replace(old, new)
        if what.startswith("the key"):
            changed = changed.replace("name: sent,", "name: sent, primaryKey: true,")
        lake.write("gold/shop/contract.yaml", f"{features}{mark}{changed}")
        with pytest.raises(ContractErrors) as refused, open_project(lake.settings):
            pass
        assert what in str(refused.value)
    lake.write("gold/shop/contract.yaml", f"{features}{mark}{risk}")


def test_no_sql_reads_the_versions_of_a_model(lake: Lake) -> None:
    parcels(lake)
    lake.write("gold/shop/features.sql", f"SELECT f.* FROM ({MADE}) f, {MODEL}")
    with pytest.raises(ContractErrors, match=f"reads {MODEL}, which is no table"), open_project(lake.settings):
        pass
    lake.write("gold/shop/features.sql", MADE)


KILLED = """
import os, sys
sys.path.insert(0, {root!r})
import main
from src import lake
commit = lake.commit
def die(table, *args, **kwargs):
    if str(table.root).endswith("gold/shop/risk"):
        {done}
        os.kill(os.getpid(), 9)
    return commit(table, *args, **kwargs)
lake.commit = die
main.main(["run", "--project", {project!r}])
"""


def test_a_condition_that_is_no_function_of_the_rows_is_refused(lake: Lake) -> None:
    parcels(lake)
    train(lake, 1)
    model = (lake.root / "src/ml/shop/late.yaml").read_text()
    for where, what in {"sent < today()": "today() is not a function", "colour = 'red'": "no column colour"}.items():
        lake.write("ml/shop/late.yaml", f"{model}where: {where}\n")
        assert what in str(lake.run().failures[RISK])
    lake.write("ml/shop/late.yaml", f"{model}where: carrier = 'slow'  -- the others are never late\n")
    lake.good()


def test_an_outcome_without_a_value_is_not_known(lake: Lake) -> None:
    parcels(lake)
    land(lake, "1,may,2026-05-01,slow,2.0,2026-05-09,,false,2\n")
    train(lake, 1)
    lake.good()
    assert lake.rows("SELECT outcome_known FROM gold.shop.risk WHERE parcel = 1") == [(False,)]


@pytest.mark.long  # two processes
@pytest.mark.parametrize("done", ["pass", "commit(table, *args, **kwargs)"])
def test_a_run_killed_while_it_scores_is_finished_by_the_next(lake: Lake, done: str) -> None:
    scored_parcels(lake)
    land(lake, "3,june,2026-06-01,slow,9.0,,,false,2\n5,june,2026-06-05,fast,3.0,,,false,1\n")
    train(lake, 2, slow=0.0)
    code = KILLED.format(root=str(ROOT), project=str(lake.root), done=done)
    killed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert changed(lake) == ((1, 3, 1, 0) if done == "pass" else (0, 0, 0, 0))
    assert lake.rows(SHORT) == [(1, 0.8909, 1), (2, 0.1192, 2), (3, 0.69, 2), (4, 0.1192, 2), (5, 0.1419, 2)]
    assert changed(lake) == (0, 0, 0, 0)
