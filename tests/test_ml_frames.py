"""Features are read the same way for training and for scoring; what is no finite number is missing."""

from __future__ import annotations

from conftest import reader

from src.ml.frames import Feature, Kind, read_features, read_frame, with_references, write_features

FEATURES = (
    Feature("days", Kind.NUMERIC),
    Feature("carrier", Kind.CATEGORICAL),
    Feature("is_cold", Kind.BOOLEAN),
    Feature("nothing", Kind.NUMERIC),
)
ROWS = """FROM (VALUES
    (1, 3.0::DOUBLE, 'north', true, NULL), (2, 'Infinity', 'south', true, 'NaN'), (3, '-Infinity', NULL, NULL, NULL),
    (4, 'NaN', 'south', false, '1e31'), (5, 1e30, 'north', false, NULL), (6, 5.0, '', false, NULL)
) v(nth, days, carrier, is_cold, nothing) ORDER BY nth"""


def test_what_is_no_finite_number_is_missing() -> None:
    frame = read_frame(reader(), FEATURES, ROWS)
    assert frame.to_dict(as_series=False) == {
        "days": [3.0, None, None, None, 1e30, 5.0],
        "carrier": ["north", "south", None, "south", "north", ""],
        "is_cold": [1.0, 1.0, None, 0.0, 0.0, 0.0],
        "nothing": [None] * 6,
    }
    assert [str(kind) for kind in frame.dtypes] == ["Float64", "String", "Float64", "Float64"]


def test_a_feature_has_the_reference_of_its_rows_and_one_without_a_value_is_left_out() -> None:
    columns = "nth, days, carrier, is_cold, CASE WHEN abs(nothing::DOUBLE) < 9 THEN 1 END AS nothing"
    reader().view("ml_cleaned", f"SELECT * REPLACE (least(days, 9) AS days) FROM (SELECT {columns} {ROWS})")
    found = with_references(reader(), FEATURES, "FROM ml_cleaned WHERE nth <> 4")
    assert found == (
        Feature("days", Kind.NUMERIC, 5.0),
        Feature("carrier", Kind.CATEGORICAL, "north"),
        Feature("is_cold", Kind.BOOLEAN, False),
    )
    assert read_features(write_features(found)) == found
