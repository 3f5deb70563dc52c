"""Two computations are compared by sums of their rows' hashes: one cell that differs is found, and named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from src.checks import sameness
from src.checks.compare import differences
from src.checks.sameness import repeated, unequal
from src.engine import DuckEngine

ROWS = "SELECT n AS id, (n % 7)::VARCHAR AS t, n / 3.0::DOUBLE AS share FROM range(5000) r(n)"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[DuckEngine]:
    engine = DuckEngine(memory_limit="1GB", threads=2, spill=tmp_path / ".spill")
    yield engine
    engine.close()


def compared(engine: DuckEngine, stored: str, computed: str) -> list[str]:
    return list(unequal(engine, ["id", "t", "share"], f"({stored})", f"({computed})"))


@pytest.mark.parametrize("at_once", [1_000_000, 10])
def test_a_cell_that_differs_is_found_and_named(
    engine: DuckEngine, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(sameness, "_ROWS_AT_ONCE", at_once)
    assert compared(engine, ROWS, ROWS) == []
    edited = f"SELECT * REPLACE (CASE WHEN id = 77 THEN 'x' ELSE t END AS t) FROM ({ROWS})"
    [too_many, missing] = compared(engine, edited, ROWS)
    assert too_many.startswith("1 rows should not be there, such as {'id': 77, 't': x, 'share': 25.66")
    assert missing.startswith("1 rows missing, such as {'id': 77, 't': 0, 'share': 25.66")
    last = f"SELECT * REPLACE (CASE WHEN id = 77 THEN share + 1e-14 ELSE share END AS share) FROM ({ROWS})"
    assert len(compared(engine, last, ROWS)) == 2
    assert list(differences(engine, {"id": "BIGINT", "share": "DOUBLE"}, f"({last})", f"({ROWS})")) == []
    far = last.replace("1e-14", "1e-3")
    assert len(list(differences(engine, {"id": "BIGINT", "share": "DOUBLE"}, f"({far})", f"({ROWS})"))) == 2


@pytest.mark.parametrize("at_once", [1_000_000, 10])
def test_rows_too_many_and_too_few_are_counted(
    engine: DuckEngine, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(sameness, "_ROWS_AT_ONCE", at_once)
    twice = f"{ROWS} UNION ALL SELECT * FROM ({ROWS}) WHERE id < 3"
    assert [found.partition(",")[0] for found in compared(engine, twice, ROWS)] == ["3 rows should not be there"]
    assert [found.partition(",")[0] for found in compared(engine, ROWS, twice)] == ["3 rows missing"]
    none = f"SELECT * FROM ({ROWS}) WHERE false"
    assert [found.partition(",")[0] for found in compared(engine, none, ROWS)] == ["5000 rows missing"]
    assert compared(engine, none, none) == []
    swapped = f"SELECT * REPLACE (CASE id WHEN 1 THEN 2 WHEN 2 THEN 1 ELSE id END AS id) FROM ({ROWS})"
    assert [found.partition(",")[0] for found in compared(engine, swapped, ROWS)] == [
        "2 rows should not be there",
        "2 rows missing",
    ]


@pytest.mark.parametrize("at_once", [1_000_000, 10])
def test_values_that_repeat_are_counted_once_each(
    engine: DuckEngine, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(sameness, "_ROWS_AT_ONCE", at_once)
    thrice = f"(SELECT id, t FROM ({ROWS}) UNION ALL SELECT id, t FROM ({ROWS}), range(2) WHERE id < 3)"
    assert repeated(engine, thrice, ["id", "t"], 5006) == 3
    assert repeated(engine, f"({ROWS})", ["id"], 5000) == 0
    assert repeated(engine, f"({ROWS})", ["t"], 5000) == 7
