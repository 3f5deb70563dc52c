"""The rows that a model learns from: what was known at a moment, in a fixed order, parted by time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from conftest import Lake
from ml_shop import MODEL, MODEL_FILE, MODEL_ID, parcel, parcels, sends_parcels

from src.errors import ContractError, DataError, UsageError
from src.ml.dataset import _LABEL, EVENT, ROWS, Dataset, read_dataset, split
from src.project import open_project
from src.run import releases

LATER = datetime(2027, 1, 1, tzinfo=UTC)


@contextmanager
def dataset(lake: Lake, as_of: datetime = LATER) -> Iterator[Dataset]:
    with open_project(lake.settings) as project:
        yield read_dataset(project, project.contracts.models[MODEL_ID], as_of, releases.newest(lake.data))


def numbers(lake: Lake, as_of: datetime = LATER, condition: str = "true") -> list[int]:
    with dataset(lake, as_of) as found:
        return list(found.engine.values(f"SELECT parcel_id FROM {ROWS} WHERE {condition} ORDER BY {found.order}"))


def day(number: int, hour: int = 0) -> datetime:
    return datetime(2026, 1, 1, hour, tzinfo=UTC) + timedelta(days=number)


def test_rows_are_those_that_happened_and_whose_outcome_was_known(lake: Lake) -> None:
    lines = parcel(5, 0, 2) + parcel(1, 0, 9) + parcel(3, 4, 1) + parcel(4, 4, None)
    sends_parcels(lake, lines + parcel(6, 1, 0) + parcel(7, 1, -1))
    assert numbers(lake) == [1, 5, 3]  # by day, then key; 4 did not arrive, of 6 and 7 it was known at once
    assert numbers(lake, day(5)) == [5, 3]  # that day it is known that 3 arrived
    assert numbers(lake, day(4, 23)) == [5]
    assert numbers(lake, day(1)) == []
    with dataset(lake) as found:
        examples = found.examples("true")
        assert examples.labels == (True, False, False)
        assert examples.frame["carrier"].to_list() == ["north", "north", "north"]
        assert (found.rows, examples.positive, set(found.versions)) == (
            3,
            1,
            {"gold.shop.parcel_features", "silver.shop.parcels"},
        )


def test_a_condition_of_the_contract_chooses_rows(lake: Lake) -> None:
    model = MODEL + "where: carrier <> 'south'\n"
    sends_parcels(lake, parcel(1, 0, 1, "north") + parcel(2, 0, 1, "south"), model)
    assert numbers(lake) == [1]


def test_held_out_is_the_newest_share_and_trained_on_is_what_was_known_before_it(lake: Lake) -> None:
    slow = parcel(900, 70, 11) + parcel(901, 70, 8) + parcel(902, 70, 7)
    sends_parcels(lake, parcels(197) + slow)
    with dataset(lake) as found, open_project(lake.settings) as project:
        parts = split(found, project.contracts.models[MODEL_ID])
        # a fifth is 40 rows: the 40th newest is the second of day 78, and the first is not parted from it
        assert (found.rows, parts.holdout_from) == (200, day(78))
    assert numbers(lake, condition=parts.holdout) == list(range(156, 197))
    trained = numbers(lake, condition=parts.training)
    assert [n for n in trained if n >= 140] == [140, 141, 902, 142, 143]  # 901 came on day 78
    assert parts.settling == timedelta(days=6)  # so events from day 72 on do not count yet


def test_newest_events_count_once_their_slow_outcomes_are_known_too(lake: Lake) -> None:
    """Half of the parcels are late, known after nine days; of the newest nine days only the others are known."""
    sends_parcels(lake, "".join(parcel(n, n // 2, 9 if n % 2 else 1) for n in range(240)))
    with dataset(lake, day(110)) as found, open_project(lake.settings) as project:
        parts = split(found, project.contracts.models[MODEL_ID])
        for part in (parts.training, parts.holdout):
            labels = found.examples(part).labels
            assert sum(labels) / len(labels) == 0.5
        assert found.engine.one(f"SELECT avg({_LABEL}::INT) FROM {ROWS} WHERE {EVENT} > '2026-04-12'")[0] == 0


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ("", "0 rows to train on, the outcome true in 0; 0 later ones"),
        (parcels(60), "36 rows to train on"),
        ("".join(parcel(n, n, 1) for n in range(200)), "159 rows to train on, the outcome true in 0; 40 later ones"),
        ("".join(parcel(n, n, 9) for n in range(200)), "151 rows to train on, the outcome true in 151"),
        ("".join(parcel(n, 3, 1 + n % 9) for n in range(200)), "0 rows to train on"),
    ],
    ids=["none", "few", "never", "always", "one moment"],
)
def test_too_few_rows_are_refused_with_what_is_needed(lake: Lake, lines: str, found: str) -> None:
    sends_parcels(lake, lines or parcel(1, 0, None))
    with dataset(lake) as rows, open_project(lake.settings) as project, pytest.raises(DataError) as refused:
        split(rows, project.contracts.models[MODEL_ID])
    assert found in refused.value.what
    assert "at least 50 rows to train on, 5 of each outcome, and 20 to judge by" in str(refused.value.fix)


@pytest.mark.parametrize(
    ("old", "new", "message", "key"),
    [
        ("arrived > sent + 3", "gone > sent", "no column gone", "label.value"),
        ("arrived > sent + 3", "arrived - sent", "label.value is bigint", "label.value"),
        ("arrived > sent + 3", "arrived > (", "label.value: ", "label.value"),
        ("arrived > sent + 3", "arrived > max(sent)", "label.value: it uses max()", "label.value"),
        ("arrived > sent + 3", "sent > current_date", "label.value: it uses current_date", "label.value"),
        ("knownAt: arrived", "knownAt: km", "label.knownAt is double", "label.knownAt"),
        ("baseline: carrier", "where: km", "where is double", "where"),
    ],
)
def test_sql_of_a_model_that_is_not_what_it_should_be_is_refused(
    lake: Lake, old: str, new: str, message: str, key: str
) -> None:
    sends_parcels(lake, parcel(1, 0, 1), MODEL.replace(old, new))
    with pytest.raises(ContractError) as refused, dataset(lake):
        pass
    assert message in refused.value.what
    assert refused.value.where == f"{lake.root / 'src' / MODEL_FILE}, {key}"
    assert refused.value.fix


def test_two_outcomes_of_one_key_are_refused(lake: Lake) -> None:
    sends_parcels(lake, parcel(1, 0, 1) + parcel(2, 0, 1))
    lake.edit(
        "gold/shop/contract.yaml",
        "{name: sent, logicalType: date, physicalType: date, required: true}",
        "{name: sent, logicalType: date, physicalType: date, required: true, primaryKey: true, primaryKeyPosition: 2}",
    )
    lake.edit("gold/shop/contract.yaml", "bigint, primaryKey: true, primaryKeyPosition: 1", "bigint")
    with pytest.raises(DataError, match="has several outcomes of sent 2026-01-01"), dataset(lake):
        pass


def test_a_table_without_a_release_is_refused(lake: Lake) -> None:
    sends_parcels(lake, parcel(1, 0, 1))
    with open_project(lake.settings) as project, pytest.raises(UsageError, match="is in no release yet"):
        read_dataset(project, project.contracts.models[MODEL_ID], LATER, {})
