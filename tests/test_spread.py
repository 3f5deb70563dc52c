"""How values are spread: the bins of a column, and the distance of two spreads."""

from __future__ import annotations

import pytest
from conftest import reader

from src.ml import distributions
from src.spread import Bins, bins, moved, moved_sql, psi

ROWS = (
    "FROM (SELECT i AS weight, CASE WHEN i > 80 THEN 'b' WHEN i > 10 THEN 'a' END AS carrier, i > 50 AS is_heavy, "
    "NULL::DOUBLE AS nothing FROM range(1, 101) t(i))"
)
KINDS = {"weight": "BIGINT", "carrier": "VARCHAR", "is_heavy": "BOOLEAN", "nothing": "DOUBLE"}


def test_the_distance_of_two_spreads_is_the_sum_over_their_bins() -> None:
    value, most = psi({"a": 50, "b": 50}, {"a": 75, "b": 25})
    assert (round(value, 6), most) == (0.274653, "b")
    assert psi({"a": 1, "b": 3}, {"a": 10, "b": 30})[0] == 0.0
    # an empty bin counts as 0.0001
    assert psi({"a": 1, "b": 1}, {"a": 9})[0] == pytest.approx(4.257745 + 0.346574, abs=1e-5)


def test_numbers_are_cut_at_their_deciles_and_words_by_their_most_frequent_values() -> None:
    assert bins(reader().rows, "weight", "BIGINT", ROWS) == Bins(edges=(10, 20, 30, 40, 50, 60, 70, 80, 90))
    assert bins(reader().rows, "carrier", "VARCHAR", ROWS) == Bins(values=("a", "b"))
    assert bins(reader().rows, "nothing", "DOUBLE", f"{ROWS} WHERE weight > 5") == Bins()


def test_what_is_kept_of_training_says_the_shares_and_is_read_back() -> None:
    written = distributions.write_distributions(reader().rows, KINDS, ROWS)
    found = distributions.read_distributions(written)
    assert found["carrier"].shares == {"(missing)": 0.1, "a": 0.7, "b": 0.2}
    assert found["weight"].shares["up to 10.0"] == found["weight"].shares["more than 90.0"] == 0.1
    assert found["is_heavy"].bins == Bins(values=("false", "true"))
    assert found["nothing"].shares == {"(missing)": 1.0}
    later = dict(
        reader().rows(
            f"SELECT {found['weight'].bins.sql('weight', 'DOUBLE')}, count(*) {ROWS} WHERE weight <= 10 GROUP BY 1"
        )
    )
    assert later == {"up to 10.0": 10}


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("BIGINT", "i * i % 7"),
        ("BIGINT", "CASE WHEN i > 90 THEN i END"),  # none before
        ("DECIMAL(9,2)", "CASE WHEN i % 9 > 0 THEN i * i % 70 / 4 END"),
        ("DOUBLE", "CASE WHEN i > 70 THEN 'inf'::DOUBLE ELSE 1e20 / (i + 1) END"),
        ("VARCHAR", "CASE WHEN i % 5 > 0 THEN chr((65 + i * i % 40)::INTEGER) END"),
        ("BOOLEAN", "i % 3 = 0"),
    ],
)
def test_spreads_of_several_groups_are_those_of_each_alone(kind: str, value: str) -> None:
    ask = reader().rows
    rows = f'(SELECT i % 3 AS part, i > 60 AS "~now", ({value})::{kind} AS "~value" FROM range(100) t(i))'
    found: dict[int, list[tuple[object, ...]]] = {}
    for part, *counted in ask(moved_sql(kind, rows, "part")):
        found.setdefault(part, []).append(tuple(counted))
    assert sorted(found) == [0, 1, 2]
    for part, counted in found.items():
        alone = f"FROM {rows} WHERE part = {part}"
        each = bins(ask, "~value", kind, f'{alone} AND NOT "~now"').sql("~value", kind)
        sides = (f"SELECT {each}, count(*) {alone} AND {side} GROUP BY 1" for side in ('NOT "~now"', '"~now"'))
        assert moved(kind, counted) == tuple(dict(ask(side)) for side in sides)
