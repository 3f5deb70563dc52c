"""The versions of a model: one row each, one of them active, every change one commit."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import Lake, reader
from ml_versions import MONDAY, TUESDAY, WEDNESDAY, version

from src import lake as delta
from src.errors import TransientError, UsageError
from src.ml import registry
from src.ml.registry import Change
from src.ml.versions import Status

MODEL = "models.shop.late"


def add(lake: Lake, number: int, status: Status = Status.CANDIDATE, **others: Any) -> None:
    lake.data.mkdir(exist_ok=True)
    registry.add(reader(), lake.data, MODEL, version(number, status, **others))


def states(lake: Lake) -> list[tuple[int, str, int | None]]:
    found = registry.versions(reader(), registry.open_versions(lake.data, MODEL))
    return [(one.version, one.status, one.replaced) for one in found]


def table_version(lake: Lake) -> int:
    table = registry.open_versions(lake.data, MODEL)
    assert table is not None
    return table.version


def test_before_the_first_training_there_is_no_version(lake: Lake) -> None:
    assert registry.open_versions(lake.data, MODEL) is None
    assert registry.versions(reader(), None) == ()
    assert registry.active(reader(), None) is None
    with pytest.raises(UsageError, match="no version 1") as refused:
        registry.read_version(reader(), None, 1)
    assert refused.value.fix == "train the model first"


def test_a_version_is_read_as_it_was_added_and_its_artefact_where_it_is_asked_for(lake: Lake) -> None:
    add(lake, 1, artefact="it's text")
    table = registry.open_versions(lake.data, MODEL)
    assert registry.versions(reader(), table) == (version(1, artefact=""),)
    assert registry.read_version(reader(), table, 1) == version(1, artefact="it's text")


def test_a_version_that_is_active_retires_the_one_before_in_the_same_commit(lake: Lake) -> None:
    add(lake, 1, Status.ACTIVE)
    before = table_version(lake)
    add(lake, 2, Status.ACTIVE, status_at=TUESDAY, status_by="bob")
    assert table_version(lake) == before + 1
    assert states(lake) == [(1, "RETIRED", None), (2, "ACTIVE", 1)]
    active = registry.active(reader(), registry.open_versions(lake.data, MODEL))
    assert active == version(2, Status.ACTIVE, status_at=TUESDAY, status_by="bob", replaced=1)
    first = registry.read_version(reader(), registry.open_versions(lake.data, MODEL), 1)
    expected = {"status_at": TUESDAY, "status_by": "bob", "why": "version 2 took its place"}
    assert first == version(1, Status.RETIRED, **expected)


def test_promoting_and_rolling_back_are_one_commit_each(lake: Lake) -> None:
    for number in (1, 2, 3):
        add(lake, number)
    for number in (1, 3):
        before = table_version(lake)
        registry.promote(reader(), lake.data, MODEL, number, "by hand", TUESDAY, "bob")
        assert table_version(lake) == before + 1
    assert states(lake) == [(1, "RETIRED", None), (2, "CANDIDATE", None), (3, "ACTIVE", 1)]
    assert registry.roll_back(reader(), lake.data, MODEL, "too many alarms", WEDNESDAY, "ann") == 1
    assert table_version(lake) == before + 2
    assert states(lake) == [(1, "ACTIVE", None), (2, "CANDIDATE", None), (3, "RETIRED", 1)]
    with pytest.raises(UsageError, match="no version was active before version 1"):
        registry.roll_back(reader(), lake.data, MODEL, "again", WEDNESDAY, "ann")


def test_a_retired_model_has_no_active_version(lake: Lake) -> None:
    add(lake, 1, Status.ACTIVE)
    assert registry.retire(reader(), lake.data, MODEL, "it misled us", TUESDAY, "bob") == 1
    table = registry.open_versions(lake.data, MODEL)
    assert registry.active(reader(), table) is None
    assert registry.versions(reader(), table)[0].why == "it misled us"
    for refused in (registry.retire, registry.roll_back):
        with pytest.raises(UsageError, match="no version is active"):
            refused(reader(), lake.data, MODEL, "again", WEDNESDAY, "bob")


def test_a_version_is_promoted_by_a_number_that_is_there_and_not_active(lake: Lake) -> None:
    add(lake, 1, Status.ACTIVE)
    with pytest.raises(UsageError, match="version 1 is active already"):
        registry.promote(reader(), lake.data, MODEL, 1, "by hand", TUESDAY, "bob")
    with pytest.raises(UsageError, match="no version 9") as refused:
        registry.promote(reader(), lake.data, MODEL, 9, "by hand", TUESDAY, "bob")
    assert refused.value.fix == "the versions are 1"


def test_no_commit_leaves_two_active_versions_or_one_number_twice(lake: Lake) -> None:
    add(lake, 1, Status.ACTIVE)
    add(lake, 2)
    table = registry.open_versions(lake.data, MODEL)
    assert table is not None
    with pytest.raises(UsageError, match="versions 1, 2 would be active"):
        registry.set_status(reader(), table, [Change(2, Status.ACTIVE, "")], TUESDAY, "bob")
    with pytest.raises(UsageError, match="a version is there twice"):
        add(lake, 2)
    assert states(lake) == [(1, "ACTIVE", None), (2, "CANDIDATE", None)]
    assert len(list(table.root.glob("*.parquet"))) == 2  # nothing is left of what was refused


def test_a_change_that_follows_another_state_is_refused(lake: Lake) -> None:
    add(lake, 1)
    add(lake, 2)
    seen = registry.open_versions(lake.data, MODEL)
    assert seen is not None
    registry.promote(reader(), lake.data, MODEL, 1, "first", TUESDAY, "ann")
    with pytest.raises(TransientError):
        registry.set_status(reader(), seen, [Change(2, Status.ACTIVE, "second")], TUESDAY, "bob")
    assert states(lake) == [(1, "ACTIVE", None), (2, "CANDIDATE", None)]


def test_versions_that_were_compacted_into_one_file_change_one_by_one(lake: Lake) -> None:
    for number in (1, 2, 3):
        add(lake, number)
    table = registry.open_versions(lake.data, MODEL)
    assert table is not None
    written = reader().write(f"SELECT * FROM {reader().scan(table)}", table.root)
    delta.commit(table, add=written, remove=table.files)
    registry.promote(reader(), lake.data, MODEL, 2, "by hand", TUESDAY, "bob")
    assert states(lake) == [(1, "CANDIDATE", None), (2, "ACTIVE", None), (3, "CANDIDATE", None)]
    kept = registry.read_version(reader(), registry.open_versions(lake.data, MODEL), 3)
    assert (kept.status_at, kept.why, kept.artefact) == (MONDAY, "trained", "text of 3")
