"""Models in use are watched: each thing that can go wrong is one problem, and none where nobody uses a model."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import replace
from datetime import date, datetime, timedelta
from io import StringIO
from typing import Any

import ml_lake
import pytest
from conftest import Lake, reader
from ml_lake import Parcel
from ml_versions import MONDAY, version

from src import alerts, monitors
from src.errors import ContractErrors
from src.facts.models import ModelFacts, read_models, state
from src.ml import registry
from src.ml.versions import Status
from src.monitors import Findings
from src.project import open_project
from src.report import health
from src.report import models as report
from src.run import runs
from src.run.lock import lock_lake
from src.run.runs import Record

KINDS = ("drift", "performance", "unscored", "retrain")
DAY = timedelta(days=1)


def look(lake: Lake, now: datetime = MONDAY) -> Findings:
    with open_project(lake.settings) as project:
        return monitors.evaluate(project, now)


def problems(found: Findings) -> list[tuple[str, str, str]]:
    """The problems of models: kind, subject and urgency."""
    return [(one.kind, one.subject, one.urgency) for one in found.problems if one.kind in KINDS]


def test_a_model_in_good_order_has_figures_and_no_problem(lake: Lake) -> None:
    found = look(ml_lake.filled(lake))
    assert problems(found) == []
    assert [(row.feature, row.verdict, row.rows, row.needed) for row in found.model_features] == [
        ("weight", "NORMAL", 280, 200),
        ("carrier", "NORMAL", 280, 40),
        ("weekday", "seasonal", 280, 140),
    ]
    last = found.model_predictions[-1]
    assert (last.table, last.version, last.day, last.predictions, last.afterwards) == (
        "gold.post.risk",
        1,
        date(2026, 11, 1),
        40,
        0,
    )
    assert (last.mean_probability, last.mean_confidence, last.unsure, last.positive) == pytest.approx(
        (0.34, 0.9, 0.0, 0.3)
    )
    *_, before, newest, together = found.model_performance
    assert (newest.week, newest.outcomes, newest.open, newest.verdict) == (date(2026, 10, 26), 240, 40, "open")
    assert (before.week, before.outcomes, before.open, before.verdict) == (date(2026, 10, 19), 280, 0, "judged")
    assert (before.accuracy, before.precision, before.recall, before.f1, before.brier) == pytest.approx(
        (0.9, 56 / 84, 1.0, 0.8, 0.09)
    )
    assert before.roc_auc == pytest.approx((196 + 28 / 2) / 224)  # of pairs: 196 right, 28 equal
    assert (together.weeks, together.week, together.outcomes, together.verdict) == (
        4,
        date(2026, 9, 28),
        1120,
        "keeps its bounds",
    )


def recent(days: int, **changes: object) -> Callable[[Parcel], Parcel]:
    """Change the parcels of the last days."""
    since = MONDAY.replace(hour=0) - timedelta(days=days)
    return lambda parcel: replace(parcel, **changes) if parcel.sent_at >= since else parcel  # type: ignore[arg-type]


def test_a_feature_that_moved_is_a_problem(lake: Lake) -> None:
    found = look(ml_lake.filled(lake, recent(7, weight=500.0)))
    assert problems(found) == [("drift", "models.post.late", "P3")]
    (what,) = (one.what for one in found.problems if one.kind == "drift")
    assert what.startswith("features moved since version 1 was trained: weight psi 8.")
    assert what.endswith("(more than 89.0: 10.0% -> 100.0%)")


def test_a_seasonal_feature_is_never_a_problem(lake: Lake) -> None:
    ml_lake.filled(lake, recent(7, weight=500.0))
    lake.edit("ml/post/late.yaml", "[weekday]", "[weekday, weight]")
    found = look(lake)
    assert problems(found) == []
    assert {row.verdict for row in found.model_features if row.psi and row.psi > 8} == {"seasonal"}


def test_what_was_never_spread_in_a_week_as_in_all_of_training_has_not_drifted(lake: Lake) -> None:
    """The weight goes up by a bin each week: in training as much as now."""

    def growing(parcel: Parcel) -> Parcel:
        return replace(parcel, weight=float((parcel.sent_at - MONDAY).days // 7))

    ml_lake.filled(lake, growing, distributions=ml_lake.spread(lake, growing))
    weight = look(lake).model_features[0]
    assert (weight.feature, weight.verdict) == ("weight", "NORMAL")
    assert weight.psi and weight.psi > 5 and weight.threshold == pytest.approx(2 * weight.psi, rel=0.2)


def test_a_seasonal_feature_is_one_of_the_features_table(lake: Lake) -> None:
    ml_lake.declare(lake).edit("ml/post/late.yaml", "[weekday]", "[weakday]")
    with pytest.raises(ContractErrors, match=r"no feature weakday\n.*seasonal\n.*did you mean `weekday`"):
        look(lake)


def test_where_a_week_has_too_few_rows_more_days_are_looked_at(lake: Lake) -> None:
    def few(parcel: Parcel) -> Parcel:
        return parcel if parcel.id % 8 == 0 else replace(parcel, sent_at=parcel.sent_at - 60 * DAY)

    rows = look(ml_lake.filled(lake, few)).model_features
    assert [(row.feature, row.rows, row.since, row.verdict) for row in rows[:2]] == [
        ("weight", 140, date(2026, 10, 5), "too few rows"),
        ("carrier", 70, date(2026, 10, 19), "NORMAL"),
    ]


def test_a_model_that_is_less_right_than_its_bounds_say_is_a_problem(lake: Lake) -> None:
    found = look(ml_lake.filled(lake, ml_lake.late))
    assert problems(found) == [("performance", "gold.post.risk", "P2")]
    (what,) = (one.what for one in found.problems if one.kind == "performance")
    assert what == (
        "version 1 of post.late was less right than it must be about the 4 weeks from 2026-09-28, 1,120 outcomes: "
        "accuracy 0.10, at least 0.8; brier 0.73, at most 0.2; roc_auc 0.06, at least 0.7"
    )


def test_a_bound_is_not_broken_by_what_chance_can_do(lake: Lake) -> None:
    ml_lake.filled(lake)
    lake.edit("ml/post/late.yaml", "accuracy: {min: 0.8}", "accuracy: {min: 0.91}")  # of 1,120 it is 0.9
    assert problems(look(lake)) == []
    lake.edit("ml/post/late.yaml", "accuracy: {min: 0.91}", "accuracy: {min: 0.93}")
    assert problems(look(lake)) == [("performance", "gold.post.risk", "P2")]


def test_a_week_of_which_outcomes_are_missing_is_not_judged(lake: Lake) -> None:
    """As those that come last are of another kind."""
    found = look(ml_lake.filled(lake, lambda parcel: replace(ml_lake.late(parcel), known_after=2 + parcel.id % 5 * 20)))
    assert problems(found) == []
    assert {row.verdict for row in found.model_performance} == {"open"}


def test_a_week_that_was_partly_foretold_is_not_judged_and_what_was_scored_afterwards_counts_in_no_figure(
    lake: Lake,
) -> None:
    """What was open when a model was new is of another kind than what was known by then."""

    def known(parcel: Parcel) -> Parcel:
        return replace(ml_lake.late(parcel), afterwards=parcel.id % 8 == 0)

    found = look(ml_lake.filled(lake, known))
    assert problems(found) == []
    first, *_, last = found.model_performance
    assert (first.verdict, first.outcomes, first.afterwards) == ("partly foretold", 245, 35)
    assert (last.verdict, last.weeks) == ("open", 1)
    assert [(row.predictions, row.afterwards) for row in found.model_predictions[-1:]] == [(35, 5)]


def test_a_week_that_is_not_over_is_not_judged(lake: Lake) -> None:
    found = look(ml_lake.filled(lake, lambda parcel: replace(parcel, known_after=0)), MONDAY - DAY)
    *_, newest, together = found.model_performance
    assert (newest.week, newest.outcomes, newest.open, newest.verdict) == (date(2026, 10, 26), 280, 0, "open")
    assert (together.week, together.weeks) == (date(2026, 9, 28), 4)


def test_weeks_that_two_versions_foretold_are_not_held_against_the_one_in_use(lake: Lake) -> None:
    ml_lake.filled(lake, lambda parcel: replace(ml_lake.late(parcel), model_version=1 + parcel.id % 2))
    found = look(lake)
    assert problems(found) == []
    assert {row.weeks for row in found.model_performance} == {1}


def test_few_outcomes_say_nothing_of_a_bound(lake: Lake) -> None:
    def few(parcel: Parcel) -> Parcel:
        return replace(ml_lake.late(parcel), model_version=int(parcel.id % 20 == 0))

    ml_lake.filled(lake, few)
    lake.edit("ml/post/late.yaml", "algorithm:", "where: id % 20 = 0\nalgorithm:")
    found = look(lake)
    assert problems(found) == []
    together = found.model_performance[-1]
    assert (together.weeks, together.outcomes, together.verdict) == (4, 56, "too few outcomes")


def test_scores_that_are_retired_alarm_nobody(lake: Lake) -> None:
    ml_lake.filled(lake, lambda parcel: replace(ml_lake.late(parcel), model_version=int(parcel.id > 99)))
    lake.edit("gold/post/contract.yaml", "status: active", "status: retired")
    found = look(lake)
    assert (problems(found), found.model_predictions, found.model_performance) == ([], (), ())


def test_what_a_version_did_not_foretell_is_not_held_against_it(lake: Lake) -> None:
    ml_lake.filled(lake, lambda parcel: replace(ml_lake.late(parcel), model_version=2))
    found = look(lake)
    assert problems(found) == []
    assert {(row.version, row.weeks) for row in found.model_performance} == {(2, 1)}


def test_rows_without_a_score_are_a_problem(lake: Lake) -> None:
    found = look(ml_lake.filled(lake, recent(2, model_version=0)))
    assert problems(found) == [("unscored", "gold.post.risk", "P2")]
    (what,) = (one.what for one in found.problems if one.kind == "unscored")
    assert what == "80 rows of gold.post.parcels have no score, the first of 2026-10-31"
    with lock_lake(lake.data, command="make pipeline", run_id="r1", now=MONDAY):  # which may yet score them
        assert problems(look(lake)) == []


def test_a_model_is_only_about_the_rows_of_its_condition(lake: Lake) -> None:
    ml_lake.filled(lake, recent(2, model_version=0, carrier="east", weight=500.0))
    lake.edit("ml/post/late.yaml", "algorithm:", "where: carrier <> 'east'\nalgorithm:")
    found = look(lake)
    assert problems(found) == []
    assert {row.rows for row in found.model_features} == {200}


def test_a_training_that_is_long_due_is_a_problem(lake: Lake) -> None:
    ml_lake.filled(lake, trained_at=MONDAY - 14 * DAY)
    assert problems(look(lake)) == []
    assert problems(look(lake, MONDAY + timedelta(minutes=1))) == [("retrain", "models.post.late", "P3")]
    ml_lake.train(lake, version(2, Status.CANDIDATE, name="post.late", trained_at=MONDAY))
    assert problems(look(lake, MONDAY + timedelta(minutes=1))) == []


def test_a_training_that_failed_is_a_problem_until_one_succeeds(lake: Lake) -> None:
    """One that learns nothing new adds no version, and counts."""
    ml_lake.filled(lake, trained_at=MONDAY - 14 * DAY)
    seen = []
    for hour, status, error in ((7, "failed", "no row\nwhere: there"), (8, "success", None)):
        began = MONDAY.replace(hour=hour)
        model = {"layer": "models", "domain": "post", "table": "late", "source_system": "", "run_id": f"r{hour}"}
        facts = {**model, "status": status, "error_message": error, "latency": 1.0, "command": "make train"}
        step = Record(run_date=MONDAY.date(), start_time=began, end_time=began, **facts)  # type: ignore[arg-type]
        ml_lake.put(lake, runs.TABLE, Record, [step])
        seen.append([one.what for one in look(lake, began).problems if one.kind == "retrain"])
    failed = "the last training failed: no row; last trained 2026-10-19, 14 days ago; every 7 days is meant"
    assert seen == [[failed], []]


@pytest.mark.parametrize("status", [Status.CANDIDATE, Status.RETIRED])
def test_of_a_model_that_nobody_uses_nothing_is_a_problem(lake: Lake, status: Status) -> None:
    def wrong(parcel: Parcel) -> Parcel:
        return replace(ml_lake.late(parcel), weight=500.0, model_version=parcel.id % 2)

    ml_lake.filled(lake, wrong, status, trained_at=MONDAY - 100 * DAY)
    found = look(lake)
    assert problems(found) == []
    assert (found.model_features, found.model_predictions, found.model_performance) == ((), (), ())


def test_a_model_whose_tables_are_not_built_alarms_nobody(lake: Lake) -> None:
    ml_lake.declare(lake)
    assert problems(look(lake)) == []
    ml_lake.train(lake, version(1, Status.ACTIVE, name="post.late"))
    assert problems(look(lake)) == []


def test_what_is_found_of_models_is_kept_and_nothing_where_there_are_none(lake: Lake) -> None:
    with open_project(lake.settings) as project:
        monitors.record(project.engine, lake.data, Findings())
    assert not (lake.data / "ops" / "ml_features").exists()
    found = look(ml_lake.filled(lake))
    with open_project(lake.settings) as project:
        monitors.record(project.engine, lake.data, found)
    assert lake.rows("SELECT count(*), max(measured_at) FROM ops.ml_features") == [(3, MONDAY)]
    assert lake.rows("SELECT verdict, count(*) FROM ops.ml_performance GROUP BY 1 ORDER BY 2, 1") == [
        ("keeps its bounds", 1),
        ("open", 1),
        ("judged", 5),
    ]
    assert lake.rows("SELECT sum(predictions)::INTEGER FROM ops.ml_predictions") == [(27 * 40,)]


# -- incidents


def incidents(lake: Lake, now: datetime) -> list[tuple[str, str]]:
    """Look, alert, and return the incidents of models that are open then, each with its urgency."""
    with open_project(lake.settings) as project:
        health.send_alerts(project, health.read_health(project, now))
        found = alerts.open_incidents(project.engine, lake.data)
    return [(one.incident, one.urgency) for one in found if one.kind in KINDS]


def score_the_rest(lake: Lake) -> None:
    ml_lake.score(lake, [parcel for parcel in map(unscored, ml_lake.parcels()) if not parcel.model_version])


def train_on_heavy(lake: Lake) -> None:
    trained = version(2, Status.ACTIVE, name="post.late", distributions=ml_lake.spread(lake, heavy))
    registry.add(reader(), lake.data, "models.post.late", trained)


def replace_the_version(lake: Lake) -> None:
    registry.add(reader(), lake.data, "models.post.late", version(2, Status.ACTIVE, name="post.late"))


def train(lake: Lake) -> None:
    ml_lake.train(lake, version(2, Status.CANDIDATE, name="post.late"))


heavy, unscored, old = recent(7, weight=500.0), recent(2, model_version=0), {"trained_at": MONDAY - 15 * DAY}


@pytest.mark.parametrize(
    ("change", "facts", "incident", "mend"),
    [
        (heavy, {}, ("drift models.post.late", "P3"), train_on_heavy),
        (ml_lake.late, {}, ("performance gold.post.risk", "P2"), replace_the_version),
        (unscored, {}, ("unscored gold.post.risk", "P2"), score_the_rest),
        (recent(0), old, ("retrain models.post.late", "P3"), train),
    ],
    ids=["drift", "performance", "unscored", "retrain"],
)
def test_each_fault_is_one_incident_that_closes_when_it_is_mended(
    lake: Lake,
    change: Callable[[Parcel], Parcel],
    facts: dict[str, Any],
    incident: tuple[str, str],
    mend: Callable[[Lake], None],
) -> None:
    ml_lake.filled(lake, change, **facts)
    hours = [MONDAY + hour * timedelta(hours=1) for hour in range(3)]
    assert [incidents(lake, hours[0]), incidents(lake, hours[1])] == [[incident], [incident]]
    mend(lake)
    assert incidents(lake, hours[2]) == []


# -- the facts that are shown


def read(lake: Lake) -> ModelFacts:
    with open_project(lake.settings) as project:
        (found,) = read_models(project, monitors.evaluate(project, MONDAY))
    return found


def test_the_facts_of_a_model_are_its_versions_and_what_the_monitors_see_of_the_active_one(lake: Lake) -> None:
    ml_lake.filled(lake, recent(7, weight=500.0))
    why = "brier 0.2 is not below 0.19, that of version 1"
    newer = version(2, Status.CANDIDATE, name="post.late", why=why, confusion='{"true_positive": 3}')
    ml_lake.train(lake, newer)
    found = read(lake)
    assert (found.name, found.features, found.scored) == ("post.late", "gold.post.parcels", ("gold.post.risk",))
    assert [(one.version, one.status, one.metrics["brier"]) for one in found.versions] == [
        (2, "CANDIDATE", 0.19),
        (1, "ACTIVE", 0.19),
    ]
    assert found.versions[0].confusion == {"true_positive": 3}
    assert (found.drifted, found.drift[0].feature, found.not_promoted) == (("weight",), "weight", 1)
    assert (found.predictions[0].day, found.performance[0].week) == (date(2026, 11, 1), date(2026, 10, 26))
    assert found.recent and (found.recent.weeks, found.recent.verdict) == (4, "keeps its bounds")
    assert found.retrain_due == MONDAY + 7 * DAY
    assert state(found, MONDAY) == (
        f"version 1 in use since 2026-11-02; 1 version trained since, none promoted; the last: {why}; drifted: weight"
    )


def test_the_facts_of_a_model_that_is_not_in_use_say_why(lake: Lake) -> None:
    assert state(read(ml_lake.declare(lake)), MONDAY) == "never trained: `make train`"
    ml_lake.train(lake, version(1, name="post.late", why="roc_auc 0.50, at least 0.7"))
    found = read(lake)
    assert (found.active, found.not_promoted, found.recent) == (None, 1, None)
    assert state(found, MONDAY) == "no version is in use; version 1, trained 0 h ago: roc_auc 0.50, at least 0.7"


# -- the command


def test_the_command_shows_versions_drift_performance_and_predictions(lake: Lake) -> None:
    ml_lake.filled(lake, recent(7, weight=500.0), baselines='{"overall rate": {"brier": 0.16}}')
    with open_project(lake.settings) as project:
        found = report.read_report(project, MONDAY)
    out = StringIO()
    with redirect_stdout(out):
        report.print_models(found, MONDAY)
    lines = [" ".join(line.split()) for line in out.getvalue().splitlines()]
    assert lines[:2] == [
        "post.late: version 1 in use since 2026-11-02; drifted: weight",
        "gold.post.parcels -> gold.post.risk; post-office answers for it",
    ]
    assert "1 ACTIVE 2026-11-02 06:00 80 20 0.75 0.0 0.5 0.19 trained" in lines
    assert "baseline: overall rate 20 0.16 on the rows of 1" in lines
    assert any(line.startswith("weight 8.") and "DRIFT_DETECTED 280 2026-10-26" in line for line in lines)
    assert "4 from 2026-09-28 1 1,120 0 0 0.9 0.667 1.0 0.8 0.938 0.09 keeps its bounds" in lines
    assert "2026-11-01 1 40 0 0.9 0.0 0.3" in lines


def test_the_status_has_a_line_for_each_model_that_was_ever_trained(lake: Lake) -> None:
    assert "model:" not in ml_lake.declare(lake).typed("status").stdout
    ml_lake.train(lake, version(1, Status.ACTIVE, name="post.late"))
    assert "model:  post.late: version 1 in use since 2026-11-02\n" in lake.typed("status").stdout


def test_the_command_names_the_models_there_are_where_there_is_none_of_a_name(lake: Lake) -> None:
    assert "No contract declares a model" in lake.typed("models").stdout
    shown = ml_lake.declare(lake).typed("models", "--json")
    assert [(one["name"], one["versions"]) for one in json.loads(shown.stdout)] == [("post.late", [])]
    refused = lake.typed("models", "--model", "post.lat")
    assert (refused.returncode, "no model post.lat" in refused.stderr) == (2, True)
    assert "did you mean post.late? there are post.late" in refused.stderr


def test_features_of_which_nothing_can_be_said_are_one_line(lake: Lake) -> None:
    ml_lake.filled(lake, lambda parcel: parcel if parcel.id % 40 == 0 else replace(parcel, sent_at=MONDAY - 90 * DAY))
    (drift,) = (part for part in report.sections(read(lake)) if part.title.startswith("Features"))
    assert [row[:4] for row in drift.rows] == [("3 features", None, None, "too few rows")]
