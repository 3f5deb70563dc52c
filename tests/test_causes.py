"""Causes: what follows from what is told by the lineage and the release, so that three faults are three causes."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.causes import Cause, Families, grouped
from src.problems import CLASSES, Problem

DAY = date(2026, 3, 27)
LINEAGE = {
    "bronze.a.f": ("landing", "landing.a.f"),
    "bronze.b.f": ("landing",),
    "silver.a.s": ("bronze.a.f",),
    "silver.b.s": ("bronze.b.f",),
    "gold.m.a": ("silver.a.s",),
    "gold.m.b": ("silver.b.s",),
    "gold.n.both": ("silver.a.s", "silver.b.s"),
    "gold.n.last": ("gold.n.both",),
}


def found(name: str, urgency: str = "P2", blocked_by: str | None = None, unreadable: bool = False) -> Problem:
    """A problem by the name of its incident: its kind, then its subject."""
    kind, _, subject = name.partition(" ")
    return Problem(kind, subject, urgency, DAY, "what", "fix", blocked_by, unreadable)


def folded(
    *problems: str | Problem,
    upstream: Mapping[str, Collection[str]] = LINEAGE,
    held_by: Mapping[str, Collection[str]] | None = None,
    sources: Mapping[str, str] | None = None,
    runs_start: bool = True,
) -> dict[str, list[str]]:
    """By the incident of each head those of what follows from it, sorted."""
    families = Families(upstream, held_by or {}, sources or {}, runs_start)
    causes = grouped([found(one) if isinstance(one, str) else one for one in problems], families)
    return {cause.head.incident: sorted(one.incident for one in cause.follows) for cause in causes}


def test_of_one_urgency_what_failed_comes_first_then_what_most_follows_from() -> None:
    order = ["backup lake", "freshness silver.b.s", "freshness gold.m.b", "quiet bronze.a.f", "table silver.x.s"]
    first = ["table silver.x.s", "freshness silver.b.s", "backup lake", "quiet bronze.a.f", "schema bronze.b.f"]
    assert list(folded(found("schema bronze.b.f", "P3"), *order)) == first


def test_blocked_tables_follow_from_the_failed_steps_that_they_wait_for() -> None:
    assert folded(
        "table silver.a.s",
        "table silver.b.s",
        found("table gold.m.a", blocked_by="silver.a.s"),
        found("table gold.n.both", blocked_by="silver.a.s, silver.b.s"),
        found("table gold.n.last", blocked_by="gold.n.both"),
        "freshness gold.m.b",
    ) == {
        "table silver.a.s": ["table gold.m.a", "table gold.n.both", "table gold.n.last"],
        "table silver.b.s": ["freshness gold.m.b", "table gold.n.both", "table gold.n.last"],
    }


def test_a_quiet_feed_has_the_stale_tables_below_it_and_blocks_none() -> None:
    assert folded(
        "quiet bronze.a.f",
        "table silver.b.s",
        found("table gold.n.both", blocked_by="silver.b.s"),
        "freshness silver.a.s",
        "freshness gold.n.both",
    ) == {
        "quiet bronze.a.f": ["freshness gold.n.both", "freshness silver.a.s"],
        "table silver.b.s": ["freshness gold.n.both", "table gold.n.both"],
    }


def test_a_table_held_back_is_stale_by_the_tables_that_hold_it() -> None:
    # gold.m.b is of the mart of gold.m.a, and reads nothing of what failed
    held_by = {"gold.m.a": ("silver.a.s",), "gold.m.b": ("silver.a.s",), "silver.a.s": ("silver.a.s",)}
    assert folded("table silver.a.s", "freshness gold.m.b", "table silver.c.s", held_by=held_by) == {
        "table silver.a.s": ["freshness gold.m.b"],
        "table silver.c.s": [],
    }


def test_what_is_upstream_of_where_a_table_is_held_back_is_no_matter_of_it() -> None:
    assert folded(
        "quiet bronze.a.f", "table silver.a.s", "freshness gold.m.b", held_by={"gold.m.b": ("silver.a.s",)}
    ) == {
        "table silver.a.s": ["freshness gold.m.b"],
        "quiet bronze.a.f": [],
    }


def test_a_feed_is_quiet_as_its_pull_failed() -> None:
    assert folded("pull landing.a.f", "quiet bronze.a.f", "quiet bronze.b.f", "freshness gold.n.both") == {
        "pull landing.a.f": ["freshness gold.n.both", "quiet bronze.a.f"],
        "quiet bronze.b.f": ["freshness gold.n.both"],
    }


def test_a_landing_zone_that_is_gone_makes_every_feed_quiet() -> None:
    assert folded("source landing", "quiet bronze.a.f", "freshness gold.m.b") == {
        "source landing": ["freshness gold.m.b", "quiet bronze.a.f"]
    }


def test_damage_has_the_step_of_its_table_and_what_hangs_on_it() -> None:
    assert folded(
        "source bronze.a.f",
        found("table bronze.a.f", "P1", unreadable=True),
        found("table silver.a.s", blocked_by="bronze.a.f"),
        "freshness gold.m.a",
        found("table ops.alerts", "P1", unreadable=True),
    ) == {
        "table bronze.a.f": ["freshness gold.m.a", "source bronze.a.f", "table silver.a.s"],
        "table ops.alerts": [],
    }


def test_where_no_run_starts_all_that_lacks_follows_from_that() -> None:
    problems = ("run pipeline", "freshness gold.m.a", "quiet bronze.b.f", "table silver.a.s", "backup lake")
    assert folded(*problems, runs_start=False) == {
        "run pipeline": ["freshness gold.m.a", "quiet bronze.b.f"],
        "table silver.a.s": ["freshness gold.m.a"],
        "backup lake": [],
    }


def test_where_runs_end_partial_that_follows_from_the_failed_steps() -> None:
    assert folded("run pipeline", "freshness gold.m.b", "table silver.a.s", "pull landing.a.f") == {
        "table silver.a.s": ["run pipeline"],
        "freshness gold.m.b": [],
        "pull landing.a.f": [],
    }


def test_runs_that_fail_as_a_whole_are_a_cause_of_their_own() -> None:
    assert folded("run pipeline", "pull landing.a.f", "freshness gold.m.b") == {
        "run pipeline": ["freshness gold.m.b"],
        "pull landing.a.f": [],
    }


def test_rows_that_lack_upstream_have_what_lacks_and_moves_below() -> None:
    assert folded(
        "volume silver.a.s",
        "freshness gold.m.a",
        "missing gold.m.a",
        "unusual gold.n.both",
        "distribution gold.n.last",
        found("schema bronze.a.f", "P3"),
        "unusual silver.b.s",
    ) == {
        "volume silver.a.s": [
            "distribution gold.n.last",
            "freshness gold.m.a",
            "missing gold.m.a",
            "unusual gold.n.both",
        ],
        "schema bronze.a.f": [],
        "unusual silver.b.s": ["distribution gold.n.last", "unusual gold.n.both"],
    }


LEARNED = {
    "gold.m.a": ("silver.a.s",),
    "models.m.late": ("gold.m.a",),
    "gold.m.risk": ("gold.m.a", "silver.b.s", "models.m.late"),
}


def test_a_model_is_less_right_as_its_features_drifted_and_these_as_rows_upstream_moved() -> None:
    worse, drift = "performance gold.m.risk", found("drift models.m.late", "P3")
    assert folded(worse, drift, upstream=LEARNED) == {drift.incident: [worse]}
    assert folded(worse, drift, "volume silver.a.s", upstream=LEARNED) == {"volume silver.a.s": [drift.incident, worse]}
    assert folded(worse, "table gold.m.a", upstream=LEARNED) == {worse: [], "table gold.m.a": []}


def test_rows_without_scores_follow_from_the_step_that_did_not_score_them() -> None:
    failed, blocked = "table gold.m.risk", found("table gold.m.risk", blocked_by="silver.b.s")
    assert folded(failed, "unscored gold.m.risk", upstream=LEARNED) == {failed: ["unscored gold.m.risk"]}
    assert folded("table silver.b.s", blocked, "unscored gold.m.risk", upstream=LEARNED) == {
        "table silver.b.s": ["table gold.m.risk", "unscored gold.m.risk"]
    }
    assert folded("unscored gold.m.risk", upstream=LEARNED) == {"unscored gold.m.risk": []}


def test_a_figure_that_is_odd_below_a_failed_step_is_not_folded_away_under_it() -> None:
    assert folded("table silver.a.s", "unusual gold.m.a") == {"table silver.a.s": [], "unusual gold.m.a": []}


def test_more_failed_audits_follow_from_the_failed_step_of_their_table_alone() -> None:
    assert folded("table silver.a.s", "quality silver.a.s", "quality gold.m.a") == {
        "table silver.a.s": ["quality silver.a.s"],
        "quality gold.m.a": [],
    }


def test_of_lacks_that_nothing_explains_the_first_upstream_is_the_cause() -> None:
    lacks = ("freshness gold.n.last", "freshness silver.a.s", "volume silver.a.s", "freshness gold.n.both")
    assert folded(*lacks) == {
        "freshness silver.a.s": ["freshness gold.n.both", "freshness gold.n.last", "volume silver.a.s"]
    }


def test_a_series_follows_from_what_is_wrong_with_its_own_source() -> None:
    lineage = {"silver.a.s": ("bronze.a.f",), "gold.k.facts": ("silver.a.s", "silver.b.s"), **LINEAGE}
    sources = {"bronze.a.f": "ga4", "landing.a.f": "ga4", "bronze.b.f": "meta"}
    assert folded(
        "pull landing.a.f",
        "late gold.k.facts ga4",
        "late gold.k.facts meta",
        "missing gold.k.facts meta",
        "unusual gold.k.facts ga4",
        "freshness gold.k.facts",
        upstream=lineage,
        sources=sources,
    ) == {
        "pull landing.a.f": ["freshness gold.k.facts", "late gold.k.facts ga4"],
        "late gold.k.facts meta": ["missing gold.k.facts meta"],
        "unusual gold.k.facts ga4": [],
    }


def test_tables_whose_foreign_keys_go_in_a_circle_have_their_causes_too() -> None:
    circle = {"silver.a.x": ("silver.a.y",), "silver.a.y": ("silver.a.z",), "silver.a.z": ("silver.a.x",)}
    assert folded("table silver.a.y", "freshness silver.a.x", "freshness silver.a.z", upstream=circle) == {
        "table silver.a.y": ["freshness silver.a.x", "freshness silver.a.z"]
    }
    alone = folded("freshness silver.a.x", "freshness silver.a.y", "freshness silver.a.z", upstream=circle)
    assert [len(follows) for follows in alone.values()] == [2]


def test_what_waits_for_a_step_that_is_no_longer_told_has_the_first_blocked_table_as_its_cause() -> None:
    blocked = (found("table silver.a.s", blocked_by="bronze.a.f"), found("table gold.m.a", blocked_by="silver.a.s"))
    assert folded(*blocked, "freshness gold.m.a") == {"table silver.a.s": ["freshness gold.m.a", "table gold.m.a"]}


def test_the_most_urgent_comes_first_then_what_explains_most() -> None:
    problems = (
        "table silver.b.s",
        "table silver.a.s",
        found("freshness gold.m.b", "P1"),
        found("schema bronze.a.f", "P3"),
    )
    assert list(folded(*problems, "freshness gold.m.a", "freshness silver.a.s")) == [
        "table silver.b.s",
        "table silver.a.s",
        "schema bronze.a.f",
    ]


KINDS = (
    "table",
    "source",
    "pull",
    "quiet",
    "freshness",
    "late",
    "volume",
    "missing",
    "unusual",
    "distribution",
    "schema",
)
NAMES = tuple(f"t{number}" for number in range(6))
PROBLEMS = st.builds(
    Problem,
    kind=st.sampled_from(KINDS),
    subject=st.sampled_from((*NAMES, "t1 ga4", "landing")),
    urgency=st.sampled_from(CLASSES),
    day=st.just(DAY),
    what=st.just(""),
    fix=st.just(""),
    blocked_by=st.none() | st.sampled_from(("t0", "t1, t2", "t9")),
    unreadable=st.booleans(),
) | st.just(Problem("run", "pipeline", "P1", DAY, "", ""))
EDGES = st.dictionaries(st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), max_size=3), max_size=6)
FAMILIES = st.builds(Families, EDGES, EDGES, st.dictionaries(st.sampled_from(NAMES), st.just("ga4")), st.booleans())


@settings(max_examples=60)
@given(st.lists(PROBLEMS, max_size=14, unique_by=lambda problem: problem.incident), FAMILIES, st.randoms())
def test_nothing_is_lost_whatever_hangs_on_what(problems: list[Problem], families: Families, random: object) -> None:
    causes = grouped(problems, families)
    heads = [cause.head.incident for cause in causes]
    assert len(set(heads)) == len(heads)
    assert {one.incident for cause in causes for one in cause.findings} == {one.incident for one in problems}
    assert all(cause.head not in cause.follows for cause in causes)
    assert min((c.urgency for c in causes), default="") == min((one.urgency for one in problems), default="")
    shuffled = list(problems)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert grouped(shuffled, families) == causes


@pytest.mark.long
def test_six_hundred_tables_with_a_finding_each_take_no_time() -> None:
    chain = {f"t{at}": [f"t{above}" for above in range(max(0, at - 3), at)] for at in range(600)}
    problems = [found(f"{'table' if at % 2 else 'freshness'} t{at}") for at in range(600)]
    begun = time.process_time()
    causes = grouped(problems, Families(dict(reversed(chain.items()))))
    assert time.process_time() - begun < 1.0
    assert len(causes) == 301
    assert isinstance(causes[0], Cause)
