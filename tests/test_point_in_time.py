"""The law of the point in time: a feature that uses what was not known at its event is found, and no other."""

from __future__ import annotations

import pytest
from conftest import Lake

from src.errors import BoathouseError
from src.ml.point_in_time import LAW

PARCELS = """
apiVersion: v3.1.0
kind: DataContract
id: post.parcels
name: Parcels
version: 1.0.0
status: active
domain: post
description: {purpose: Parcels.}
servers:
  - {server: parcels, type: local, path: post/parcels/*.csv, format: csv}
schema:
  - name: parcels
    logicalType: object
    physicalType: table
    properties:
      - {name: parcel, logicalType: integer, physicalType: bigint, primaryKey: true, primaryKeyPosition: 1}
      - {name: sent, logicalType: date, physicalType: date}
      - {name: arrived, logicalType: date, physicalType: date}
      - {name: recorded, logicalType: date, physicalType: date}
      - {name: late, logicalType: boolean}
"""
MART = """
apiVersion: v3.1.0
kind: DataContract
id: post
name: Post
version: 1.0.0
status: active
domain: post
description: {purpose: What is known of a parcel when it is sent.}
team: {name: Post, members: [{username: post-office, role: owner}]}
slaProperties: [{property: frequency, value: 1, unit: d}]
schema:
  - name: features
    logicalType: object
    physicalType: table
    customProperties:
      - {property: eventTime, value: sent}
      - property: knownAt
        value: {silver.post.parcels: {rows: sent, arrived: recorded, recorded: recorded, late: recorded}}
    properties:
      - {name: parcel, logicalType: integer, physicalType: bigint, primaryKey: true, primaryKeyPosition: 1}
      - {name: sent, logicalType: date, physicalType: date}
      - name: before
        logicalType: integer
        physicalType: bigint
        transformSourceObjects: [silver.post.parcels]
        customProperties: [{property: feature, value: true}]
"""
ROWS = """parcel,sent,arrived,recorded,late
1,2026-05-01,2026-05-03,2026-05-06,true
2,2026-05-02,2026-05-04,2026-05-04,false
3,2026-05-04,,,
4,2026-05-05,2026-05-05,2026-05-07,true
5,2026-05-08,2026-05-09,2026-05-09,false
"""
# late parcels that were recorded up to the day of sending
HONEST = """
SELECT parcel, sent, (SELECT count(*) FROM silver.post.parcels p WHERE p.late AND p.recorded <= s.sent) AS before
FROM silver.post.parcels s
"""
IN_PYTHON = """
import polars as pl


def model(tables):
    parcels = tables["silver.post.parcels"]
    late = parcels.filter(pl.col("late")).select("{day}")
    found = parcels.select("parcel", "sent").join_where(late, pl.col("{day}") <= pl.col("sent"))
    counts = found.group_by("parcel").agg(pl.len().cast(pl.Int64).alias("before"))
    return parcels.select("parcel", "sent").join(counts, on="parcel", how="left").with_columns(
        pl.col("before").fill_null(0)
    )
"""


def built(lake: Lake, model: str, name: str = "features.sql", mart: str = MART) -> list[tuple[str, str]]:
    """The laws that do not hold on a lake with this model of features, and what was found."""
    lake.environ["BROKEN_ON_PURPOSE"] = "1"
    lake.write("silver/post/parcels.yaml", PARCELS)
    lake.write("gold/post/contract.yaml", mart)
    lake.write(f"gold/post/{name}", model)
    lake.land("post/parcels/1.csv", ROWS)
    lake.good()
    return [(finding.law, finding.found) for finding in lake.findings()]


def test_features_of_what_was_known_hold(lake: Lake) -> None:
    assert built(lake, HONEST) == []
    assert lake.rows("SELECT parcel, before FROM gold.post.features ORDER BY 1") == [
        (1, 0), (2, 0), (3, 0), (4, 0), (5, 2),
    ]  # fmt: skip


def test_the_outcome_of_the_row_itself_is_found(lake: Lake) -> None:
    found = built(lake, "SELECT parcel, sent, late::BIGINT AS before FROM silver.post.parcels")
    assert {law for law, _ in found} == {LAW}
    assert (
        LAW,
        "before of event 4 of 2026-05-05 is 1; by what was known on 2026-05-05 it is NULL, and 1 more",
    ) in found


def test_a_rate_over_all_time_is_found(lake: Lake) -> None:
    every = "SELECT parcel, sent, (SELECT count(*) FROM silver.post.parcels WHERE late) AS before FROM {}"
    found = built(lake, every.format("silver.post.parcels"))
    assert (LAW, "before of event 2 of 2026-05-02 is 2; by what was known on 2026-05-02 it is 0, and 1 more") in found


def test_an_outcome_that_counts_from_the_day_on_which_it_happened_is_found(lake: Lake) -> None:
    found = built(lake, HONEST.replace("p.recorded", "p.arrived"))
    assert (LAW, "before of event 4 of 2026-05-05 is 2; by what was known on 2026-05-05 it is 0, and 1 more") in found


def test_an_event_that_is_there_only_because_of_its_outcome_is_found(lake: Lake) -> None:
    found = built(lake, HONEST + "WHERE s.arrived IS NOT NULL")
    assert (LAW, "event 4 of 2026-05-05 is there only by what was not known on 2026-05-05, and 1 more") in found


@pytest.mark.parametrize(("day", "holds"), [("recorded", True), ("arrived", False)])
def test_a_model_in_python_is_held_to_it_too(lake: Lake, day: str, *, holds: bool) -> None:
    found = built(lake, IN_PYTHON.replace("{day}", day), "features.py")
    assert (found == []) is holds


def test_a_knownat_that_is_too_early_is_not_found(lake: Lake) -> None:
    """What is proven is as good as the word of the contract."""
    early = MART.replace("arrived: recorded, recorded: recorded, late: recorded", "late: arrived")
    assert built(lake, HONEST.replace("p.recorded", "p.arrived"), mart=early) == []


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("silver.post.parcels: {", "silver.post.letters: {", "no word on when silver.post.parcels was known"),
        ("silver.post.parcels: {", "silver.post.letters: always, silver.post.parcels: {", "silver.post.letters, which"),
        ("late: recorded", "lost: recorded", "no column lost in silver.post.parcels"),
        ("late: recorded", "late: parcel", "silver.post.parcels, late is BIGINT"),
        ("late: recorded", "late: record", "silver.post.parcels, late: .*record"),
    ],
)
def test_a_knownat_that_does_not_fit_is_refused(lake: Lake, old: str, new: str, what: str) -> None:
    lake.environ["BROKEN_ON_PURPOSE"] = "1"
    lake.write("silver/post/parcels.yaml", PARCELS)
    lake.write("gold/post/contract.yaml", MART.replace(old, new))
    lake.write("gold/post/features.sql", HONEST)
    lake.land("post/parcels/1.csv", ROWS)
    with pytest.raises(BoathouseError, match=what) as raised:
        lake.command("test")
    assert "knownAt" in str(raised.value)


def test_a_check_says_what_drew_its_moments(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    built(lake, HONEST)
    capsys.readouterr()
    assert lake.command("check", "--seed", "5") == 0
    assert "note: tables of features were cut at moments drawn by --seed 5\n" in capsys.readouterr().out
