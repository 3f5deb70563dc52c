"""`make train`: a version is used only if it keeps its bounds and beats the baselines and the version in use."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import Any

import pytest
from conftest import ROOT, Lake, reader
from ml_shop import MODEL, MODEL_FILE, MODEL_ID, parcel, parcels, sends_parcels

from src import lake as delta
from src.ml import artefacts, registry
from src.ml.distributions import read_distributions
from src.project import open_project
from src.run.kinds import RunKind
from src.run.recorded import recorded_run

WEAK = MODEL + "parameters: {C: 0.001}\n"  # better than the overall rate, and worse than that by carrier
BETTER_THAN_RATES = MODEL + "parameters: {C: 0.05}\n"  # and worse than without
WORSE = "version 2: not promoted, version 1 stays active: brier 0.1397 is no better than 0.0955 of version 1"


def train(lake: Lake, *words: str, code: int = 0) -> Any:
    ran = lake.typed("train", "--json", *words)
    assert ran.returncode == code, ran.stderr
    return json.loads(ran.stdout) if code == 0 else ran.stderr


def versions(lake: Lake, columns: str = "version, status") -> list[tuple[Any, ...]]:
    return lake.rows(f"SELECT {columns} FROM {MODEL_ID} ORDER BY version")


def use(lake: Lake, model: str) -> None:
    lake.write(MODEL_FILE, model)


def test_a_version_that_beats_the_baselines_is_taken_into_use(lake: Lake) -> None:
    sends_parcels(lake)
    ran = lake.typed("train", BOATHOUSE_BY="ann")
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert "trained on 148 rows, 45.3% with the outcome; judged on 40 from 2026-03-22 on, 45.0%" in lines[0]
    assert [line.split("  ")[0] for line in lines[3:6]] == ["version 1", "overall rate", "rate by carrier"]
    assert lines[6].startswith(
        "version 1 is active now: brier 0.0955 is better than 0.2475 of the overall rate, 0.2097"
    )
    columns = "status, status_by, trained_by, replaced, training_rows, holdout_rows, contract_version, parameters"
    settings = '{"algorithm": "logistic_regression", "parameters": {}, "seed": 7}'
    assert versions(lake, columns) == [("ACTIVE", "ann", "ann", None, 148, 40, "1.0.0", settings)]
    step = lake.rows("SELECT layer, status, version, notes FROM ops.pipeline_runs WHERE layer = 'models'")
    assert step == [("models", "success", 1, lines[6])]
    assert lake.rows("SELECT kind FROM ops.pipeline_runs WHERE layer = 'run' AND command = 'train shop.late'") == [
        ("train",)
    ]


def test_a_version_keeps_how_its_features_were_spread_in_all_of_training_and_in_its_weeks(lake: Lake) -> None:
    sends_parcels(lake)
    train(lake)
    [(text,)] = versions(lake, "distributions")
    cold = read_distributions(text)["is_cold"]
    assert cold.shares == {"false": 118 / 148, "true": 30 / 148}
    assert cold.usual == {28: pytest.approx(0.00095, abs=1e-5)}  # no week has the 40 rows that it takes


def test_the_same_data_and_seed_are_no_new_version(lake: Lake) -> None:
    sends_parcels(lake)
    assert [(one["version"], one["is_new"]) for one in train(lake)] == [(1, True)]
    before = versions(lake, "sha256, status_at, why")
    [again] = train(lake)
    assert (again["version"], again["is_new"], again["promoted"]) == (1, False, False)
    assert again["verdict"] == "nothing new: the same data and seed give version 1 again, which is ACTIVE"
    assert versions(lake, "sha256, status_at, why") == before
    assert versions(lake, "trained_at > status_at") == [(True,)]  # that it was trained again is seen
    use(lake, MODEL + "threshold: 0.4\n")
    assert train(lake)[0]["version"] == 2  # it predicts something else


def test_what_came_later_changes_nothing_as_of_a_moment(lake: Lake) -> None:
    sends_parcels(lake, parcels() + parcel(500, 60, 70))  # what becomes of one is known in May
    first = train(lake, "--as-of", "2026-04-12")
    trained = versions(lake, "sha256, training_rows, holdout_rows, brier")
    lake.land("shop/parcels/2.csv", "parcel_id,sent,arrived,carrier,is_cold,km\n" + parcels(60, first=300, start=102))
    lake.good()
    again = train(lake, "--as-of", "2026-04-12")
    assert (again[0]["is_new"], again[0]["lines"]) == (False, first[0]["lines"])
    assert versions(lake, "sha256, training_rows, holdout_rows, brier") == trained
    assert train(lake)[0]["version"] == 2


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (MODEL + "bounds: {roc_auc: {min: 0.99}, brier: {max: 0.5}}\n", "roc_auc 0.9470 is below its bound 0.99"),
        (MODEL + "bounds: {calibration_error: {max: 0.01}}\n", "calibration_error 0.1285 is above its bound 0.01"),
        (WEAK, "brier 0.2"),
        (
            MODEL + "compareBy: calibration_error\n",
            "calibration_error 0.1285 is no better than 0.0027 of the overall rate",
        ),
    ],
    ids=["bound", "another bound", "rate by carrier", "overall rate"],
)
def test_a_version_that_falls_short_stays_a_candidate_and_says_why(lake: Lake, model: str, why: str) -> None:
    sends_parcels(lake, model=model)
    [found] = train(lake)
    assert (found["status"], found["promoted"]) == ("CANDIDATE", False)
    assert found["verdict"].startswith("version 1: not promoted, no version is active: ")
    assert why in found["verdict"]
    assert [status for status, text in versions(lake, "status, why") if text in found["verdict"]] == ["CANDIDATE"]


def test_a_candidate_is_judged_again_and_one_that_was_retired_is_not(lake: Lake) -> None:
    sends_parcels(lake, model=MODEL + "bounds: {roc_auc: {min: 0.99}}\n")
    assert train(lake)[0]["promoted"] is False
    use(lake, MODEL)
    [found] = train(lake)
    assert (found["version"], found["is_new"], found["promoted"]) == (1, False, True)
    assert versions(lake) == [(1, "ACTIVE")]
    train(lake, "--retire", "--reason", "it misled us")
    assert train(lake)[0]["verdict"].endswith("give version 1 again, which is RETIRED")
    assert versions(lake, "status, why") == [("RETIRED", "it misled us")]


def test_the_version_in_use_is_asked_about_the_same_rows_and_stays_if_it_is_as_good(lake: Lake) -> None:
    sends_parcels(lake)
    assert train(lake)[0]["promoted"]
    use(lake, BETTER_THAN_RATES)
    [found] = train(lake)
    assert found["lines"][-1] == {**found["lines"][-1], "name": "version 1, active", "rows": 40}
    assert found["lines"][-1]["measures"]["brier"] == pytest.approx(0.0955, abs=1e-4)
    assert found["verdict"] == WORSE
    assert versions(lake, "version, status, compared <> '{}'") == [(1, "ACTIVE", False), (2, "CANDIDATE", True)]


def test_a_better_version_takes_the_place_of_the_one_in_use(lake: Lake) -> None:
    sends_parcels(lake, model=BETTER_THAN_RATES)
    assert train(lake)[0]["promoted"]
    use(lake, MODEL)
    [found] = train(lake)
    assert found["promoted"]
    assert found["verdict"].endswith("of the rate by carrier, 0.1397 of version 1")
    assert versions(lake, "version, status, replaced, why LIKE 'version 2 took its place%'") == [
        (1, "RETIRED", None, True),
        (2, "ACTIVE", 1, False),
    ]


def test_versions_are_compared_on_rows_of_which_neither_knew_an_outcome(lake: Lake) -> None:
    sends_parcels(lake)
    assert train(lake)[0]["promoted"]  # held out from the 22nd of March on
    use(lake, MODEL + "parameters: {C: 10}\nholdout: 0.4\n")
    [earlier] = train(lake, "--as-of", "2026-03-28")
    assert "2 held-out rows, 0 with the outcome, are newer than the training of version 1 too" in earlier["verdict"]
    assert earlier["promoted"] is False
    [found] = train(lake)
    names = [(line["name"], line["rows"]) for line in found["lines"]]
    assert names[0] == ("version 3", 80)
    assert names[-2:] == [("version 3, rows new to both", 40), ("version 1, active", 40)]
    assert found["verdict"].endswith(", and 0.0718 than 0.0955 of version 1 on the 40 rows new to both")


def test_a_version_of_another_scikit_learn_is_not_compared_and_not_promoted_again(lake: Lake) -> None:
    sends_parcels(lake)
    train(lake)
    trained_with(lake, "0.1.0")
    use(lake, BETTER_THAN_RATES)
    [found] = train(lake)
    assert found["promoted"]
    installed = artefacts.libraries()["scikit-learn"]
    wrong = f"version 1 of shop.late was trained with scikit-learn 0.1.0, here is {installed}"
    assert found["notes"] == [f"not compared with version 1: {wrong}"]
    for words in (["--rollback"], ["--promote", "1"]):
        assert wrong in train(lake, *words, "--reason", "it was better", code=2)
    assert versions(lake) == [(1, "RETIRED"), (2, "ACTIVE")]


def trained_with(lake: Lake, scikit_learn: str) -> None:
    """Let the versions be of another scikit-learn."""
    table = registry.open_versions(lake.data, MODEL_ID)
    assert table is not None
    scan = reader().scan(table)
    libraries = f'{{"scikit-learn": "{scikit_learn}"}}'
    written = reader().write(f"SELECT * REPLACE ('{libraries}' AS libraries) FROM {scan}", table.root)
    delta.commit(table, add=written, remove=table.files)


def test_by_hand_one_version_is_promoted_retired_or_rolled_back_with_a_reason(lake: Lake) -> None:
    sends_parcels(lake)
    train(lake)
    use(lake, BETTER_THAN_RATES)
    train(lake)
    assert train(lake, "--promote", "2", "--reason", "fewer alarms", "--dry-run")["active"] == 2
    assert versions(lake) == [(1, "ACTIVE"), (2, "CANDIDATE")]
    found = train(lake, "--promote", "2", "--reason", "fewer alarms")
    assert found == {"model": "shop.late", "active": 2, "reason": "fewer alarms"}
    assert versions(lake, "version, status, why") == [
        (1, "RETIRED", "version 2 took its place: fewer alarms"),
        (2, "ACTIVE", "fewer alarms"),
    ]
    assert train(lake, "--rollback", "--reason", "it was better")["active"] == 1
    assert train(lake, "--retire", "--reason", "all are bad")["active"] is None
    assert versions(lake, "status") == [("RETIRED",), ("RETIRED",)]
    noted = lake.rows("SELECT notes FROM ops.pipeline_runs WHERE layer = 'models' ORDER BY start_time")
    assert [text for (text,) in noted[2:]] == [
        "promote 2: fewer alarms",
        "rollback: it was better",
        "retire: all are bad",
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--model", "shop.lat"), "no model shop.lat\n  fix:   did you mean `shop.late`?"),
        (("--as-of", "2999-01-01"), "2999-01-01 00:00 is to come"),
        (("--as-of", "soon"), "'soon' is no moment"),
        (("--promote", "1"), "no reason"),
        (("--promote", "1", "--reason", " "), "no reason"),
        (("--promote", "1", "--reason", "x"), "no version 1\n  fix:   train the model first"),
        (("--retire", "--reason", "x"), "no version is active"),
        (("--rollback", "--reason", "x"), "no version is active"),
        (("--rollback", "--retire"), "not allowed with argument"),
    ],
)
def test_what_cannot_be_done_is_refused_and_changes_nothing(lake: Lake, words: tuple[str, ...], message: str) -> None:
    sends_parcels(lake)
    assert message in train(lake, *words, code=2)
    assert not (lake.data / "models").exists()


def test_by_hand_one_model_is_named_where_there_are_several(lake: Lake) -> None:
    sends_parcels(lake)
    lake.write("ml/shop/other.yaml", MODEL)
    wrong = train(lake, "--retire", "--reason", "x", code=2)
    assert "which model?\n  fix:   name one with --model: shop.late, shop.other" in wrong


def test_a_model_that_cannot_be_trained_stops_no_other(lake: Lake) -> None:
    sends_parcels(lake)
    lake.write("ml/shop/broken.yaml", MODEL + "parameters: {c: 1}\n")
    wrong = train(lake, code=9)
    assert "models.shop.broken: logistic_regression has no parameter c" in wrong
    assert versions(lake) == [(1, "ACTIVE")]
    assert not (lake.data / "models/shop/broken").exists()


def test_a_model_that_waits_for_outcomes_fails_where_it_is_named_and_is_noted_elsewhere(lake: Lake) -> None:
    sends_parcels(lake, parcels(30))
    assert train(lake) == []
    [(status, note)] = lake.rows("SELECT status, notes FROM ops.pipeline_runs WHERE layer = 'models'")
    assert (status, note[:41]) == ("success", "not trained: models.shop.late: 12 rows to")
    assert "a training needs at least 50 rows to train on" in train(lake, "--model", "shop.late", code=4)
    assert "shop.late is not trained: " in lake.typed("train", "--dry-run").stdout


def test_a_dry_run_keeps_nothing(lake: Lake) -> None:
    sends_parcels(lake)
    [found] = train(lake, "--dry-run")
    assert found["verdict"].startswith("version 1 is active now")
    assert not (lake.data / "models").exists()
    assert lake.rows("SELECT count(*) FROM ops.pipeline_runs WHERE layer = 'run'") == [(1,)]


def test_of_two_trainings_at_once_one_is_refused(lake: Lake) -> None:
    sends_parcels(lake)
    with open_project(lake.settings) as project, recorded_run(project, RunKind.TRAIN, "train shop.late"):
        assert "train shop.late" in train(lake, code=8)
    assert not (lake.data / "models").exists()


def test_where_there_is_no_writing_nothing_is_kept_and_the_next_training_goes_on(lake: Lake) -> None:
    sends_parcels(lake)
    (lake.data / "models").write_text("")  # no folder can be made there, whoever the user is
    assert "models" in train(lake, code=5)
    (lake.data / "models").unlink()
    assert train(lake)[0]["promoted"]


def test_the_versions_of_all_models_are_one_view_without_artefacts(lake: Lake) -> None:
    sends_parcels(lake)
    train(lake)
    ran = lake.typed("query", "SELECT * FROM ops.ml_models", "--format", "json")
    assert ran.returncode == 0, ran.stderr
    [row] = json.loads(ran.stdout)
    assert (row["name"], row["version"], row["status"]) == ("shop.late", 1, "ACTIVE")
    assert {"artefact", "distributions"} & set(row) == set()


def test_a_rollback_of_the_lake_keeps_the_models(lake: Lake) -> None:
    release = sends_parcels(lake).good().run_id
    train(lake)
    lake.land("shop/parcels/2.csv", "parcel_id,sent,arrived,carrier,is_cold,km\n" + parcels(4, first=300, start=102))
    lake.good()
    assert lake.typed("rollback", "--to", release).returncode == 0
    assert lake.rows("SELECT count(*) FROM gold.shop.parcel_features") == [(200,)]
    assert versions(lake) == [(1, "ACTIVE")]


KILLED = """
import os, signal, sys
import main
from src import lake
commit, at, after = lake.commit, int(sys.argv[1]), sys.argv[2] == "after"
counts = [0]
def committing(table, **parts):
    counts[0] += "models" in str(table.root)
    if counts[0] == at and not after:
        os.kill(os.getpid(), signal.SIGKILL)
    done = commit(table, **parts)
    if counts[0] == at:
        os.kill(os.getpid(), signal.SIGKILL)
    return done
lake.commit = committing
main.main(["train", "--project", sys.argv[3]])
"""


@pytest.mark.long
@pytest.mark.parametrize(("when", "left"), [("before", []), ("after", [(1, "ACTIVE")])])
def test_a_training_that_is_killed_leaves_the_version_or_none_and_the_next_goes_on(
    lake: Lake, when: str, left: list[tuple[int, str]]
) -> None:
    # no algebra library, which may take another processor for this one where the environment says so
    sends_parcels(lake, model=MODEL.replace("logistic_regression", "random_forest\nparameters: {n_estimators: 20}"))
    command = [sys.executable, "-c", KILLED, "1", when, str(lake.root)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == -signal.SIGKILL, ran.stderr
    assert versions(lake) == left
    assert train(lake)[0]["version"] == 1
    assert versions(lake) == [(1, "ACTIVE")]
    assert lake.rows("SELECT count(*) FROM ops.pipeline_runs WHERE error_class = 'interrupted'") == [(1,)]


def test_who_has_no_scikit_learn_and_never_trained_is_kept_from_nothing(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sends_parcels(lake)
    monkeypatch.setattr(artefacts, "find_spec", lambda name: None)
    assert lake.command("train") == 0
    assert "note: models of machine learning need sklearn, skops, not installed: nothing" in capsys.readouterr().out
    assert "./setup.sh --ml" in train(lake, "--model", "shop.late", code=2)
    assert lake.rows("SELECT DISTINCT kind FROM ops.pipeline_runs WHERE layer = 'run'") == [("pipeline",)]
    monkeypatch.undo()
    train(lake)
    monkeypatch.setattr(artefacts, "find_spec", lambda name: None)
    assert "not installed" in train(lake, code=2)
