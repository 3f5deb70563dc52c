"""For any history of arrivals, corrections, deletes, backfills, rollbacks and maintenance: one pass gives the same.

`make torture` does the same at length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest
from conftest import short
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from torture import figures, histories, oracle
from torture.histories import Difference, History, Tools
from torture.oracle import Rules

from src.bronze import ingest
from src.errors import MachineError
from src.silver import winners

HEADER = "order_id,day,amount,updated\n"


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tools]:
    made = Tools.at(tmp_path_factory.mktemp("histories"))
    yield made
    made.close()


@pytest.mark.parametrize("seed", short(range(40), 2))
def test_a_random_history_gives_what_one_pass_over_all_files_gives(tools: Tools, tmp_path: Path, seed: int) -> None:
    histories.live(tools, tmp_path, histories.history(Random(seed)))


@settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)
@given(
    family=st.sampled_from(oracle.FAMILIES),
    operations=st.lists(st.builds(histories.operation, st.randoms(use_true_random=False)), min_size=1, max_size=6),
)
def test_any_history_gives_what_one_pass_gives(
    tools: Tools, tmp_path_factory: pytest.TempPathFactory, family: str, operations: list[histories.Operation]
) -> None:
    histories.live(tools, tmp_path_factory.mktemp("any"), History(family, tuple(operations)))


@pytest.mark.parametrize("figure", short([name for name in figures.KINDS if name], 1))
def test_a_mart_that_looks_across_days_is_what_one_pass_gives(tools: Tools, tmp_path: Path, figure: str) -> None:
    """The first day gets a row after the others, a later one grows, and a day becomes empty."""
    operations = (
        ("run",),
        ("land", "b.csv", HEADER + "2,2024-01-03,20,1\n3,2024-01-05,30,1\n"),
        ("run",),
        ("land", "c.csv", HEADER + "4,2024-01-01,7.5,1\n"),
        ("run",),
        ("land", "d.csv", HEADER + "2,2024-01-05,3,2\n5,2024-01-07,10,1\n"),
        ("again",),
    )
    histories.live(tools, tmp_path, History("sequence", operations, figure))


BUMPED = (("run",), ("bump", 5, False))
FOUND = {
    "a column of a later file changed what is kept of a reject": (
        ("land", "b.csv", HEADER + ",2024-01-02,8,4\n"),
        ("run",),
        ("land", "b.csv", "order_id,day,amount,updated,note,changed\n"),
    ),
    "a version that changed nothing was noted a run late": (
        ("again",),
        ("land", "c.csv", HEADER),
        ("bump", 5, False),
        ("bump", None, False),
        ("again",),
    ),
    "a backup and a branch of a release of which another program took files": (
        ("land", "b.csv", HEADER + "2,2024-01-01,2,1\n"),
        ("run",),
        ("land", "c.csv", HEADER + "3,2024-01-01,2,1\n"),
        ("run",),
        ("compact", "silver/shop/orders"),
        ("vacuum", "silver/shop/orders"),
        ("back up",),
        ("branch", 5),
        ("make vacuum", 0),
        ("run",),
        ("back up",),
        ("restore", 0),
    ),
    "a backup of a release that has rejects and nothing else": (
        ("land", "b.csv", HEADER + "x,2024-01-01,1,1\n"),
        ("crash", 38),
        ("make vacuum", 0),
        ("back up",),
        ("restore", 0),
    ),
    **{
        f"a run that died at point {at} of a rebuild left an old version tag": (
            *BUMPED,
            ("crash", at),
            ("land", "c.csv", HEADER + "3,2024-01-01,7,1\n"),
        )
        for at in range(15, 22)
    },
}


FORGOTTEN = (
    ("land", "b.csv", HEADER + "2,2024-01-02,2,1\n02,2024-01-03,x,1\n3,2024-01-03,3,1\n"),
    ("run",),
    ("forget", 2, 0),
    ("land", "b.csv", HEADER + "2.0,2024-01-02,9,2\n3,2024-01-02,4,2\n"),
    ("land", "c.csv", HEADER + "1,2024-01-02,9,2\n2,2024-01-02,4,2\n"),
    ("run",),
    ("forget", 1, 31),
    ("back up",),
    ("again",),
)


@pytest.mark.parametrize("family", short(oracle.FAMILIES, 1))
def test_after_a_forgetting_one_pass_over_all_other_lines_gives_the_same(
    tools: Tools, tmp_path: Path, family: str
) -> None:
    shop = histories.live(tools, tmp_path, History(family, FORGOTTEN))
    assert 2 in shop.forgotten or family in ("slices", "turns", "day versions")


@pytest.mark.parametrize("told", short(FOUND, 4))
def test_what_was_found_once_stays_fixed(tools: Tools, tmp_path: Path, told: str) -> None:
    histories.live(tools, tmp_path, History("sequence", FOUND[told]))


# A literal for each family, so that the oracle itself stands on something.
LANDED = (
    "1,2024-01-01,10,2\n2,2024-01-01,5,1\nx,2024-01-01,1,1\n2,2024-01-01,5,1\n",
    "1,2024-01-02,9,1\n2,2024-01-02,0,3\n",
)
DAY_ONE, DAY_TWO = date(2024, 1, 1), date(2024, 1, 2)
ANSWERS: dict[str, list[tuple[Any, ...]]] = {
    "sequence": [(1, DAY_ONE, 10, 2), (2, DAY_TWO, 0, 3)],
    "arrival": [(1, DAY_ONE, 10, 2), (2, DAY_ONE, 5, 1)],  # as the copy says, which arrived last
    "keyless": [(1, DAY_ONE, 10, 2), (1, DAY_TWO, 9, 1), (2, DAY_ONE, 5, 1), (2, DAY_TWO, 0, 3)],
    "deletes": [(1, DAY_ONE, 10, 2)],
    "history": [
        (1, DAY_ONE, 10, 2, DAY_ONE, DAY_TWO, False),
        (1, DAY_TWO, 9, 1, DAY_TWO, None, True),
        (2, DAY_ONE, 5, 1, DAY_ONE, DAY_TWO, False),
        (2, DAY_TWO, 0, 3, DAY_TWO, None, True),
    ],
    "conflicts": [(1, DAY_ONE, 10, 2), (2, DAY_TWO, 0, 3)],
    "last": [(1, DAY_ONE, 10, 2), (2, DAY_TWO, 0, 3)],
    "places": [(1, DAY_ONE, 10, 2, "10.00 %2F/="), (2, DAY_TWO, 0, 3, "0.00 %2F/=")],
    "slices": [(1, DAY_ONE, 10, 2), (1, DAY_TWO, 9, 1), (2, DAY_ONE, 5, 1), (2, DAY_TWO, 0, 3)],
    "all": [(1, DAY_ONE, 10, 2), (2, DAY_ONE, 5, 1)],  # the copy is the newest statement
    "named": [
        (1, DAY_ONE, 10, 2, "s"),
        (1, DAY_TWO, 9, 1, "a"),
        (2, DAY_ONE, 5, 1, "s"),
        (2, DAY_TWO, 0, 3, "a"),
    ],
    "turns": [  # files without a number are parts of one statement; of the first day only the first a.csv speaks
        (1, DAY_ONE, 10, 2, None),
        (1, DAY_TWO, 9, 1, None),
        (2, DAY_ONE, 5, 1, None),
        (2, DAY_TWO, 0, 3, None),
    ],
    "versions": [  # of a.csv, which came twice at one moment, the last counts, beside the copy
        (1, DAY_TWO, 9, 1, DAY_TWO, DAY_TWO, None, True),
        (2, DAY_TWO, 0, 3, DAY_TWO, DAY_TWO, None, True),
    ],
    "day versions": [
        (1, DAY_ONE, 10, 2, DAY_TWO, DAY_TWO, None, True),
        (1, DAY_TWO, 9, 1, DAY_TWO, DAY_TWO, None, True),
        (2, DAY_ONE, 5, 1, DAY_TWO, DAY_TWO, None, True),
        (2, DAY_TWO, 0, 3, DAY_TWO, DAY_TWO, None, True),
    ],
}


# where b.csv of the backup is replaced by what lies in the landing zone
REPLACED = {"all": ([2], [4]), "named": ([1, 2], [1, 4]), "versions": ([1, 2], [1, 4])}


@pytest.mark.parametrize("family", short(oracle.FAMILIES, 1))
def test_what_came_after_a_backup_is_gone_but_for_what_the_landing_zone_has(
    tools: Tools, tmp_path: Path, family: str
) -> None:
    operations = (
        ("land", "b.csv", HEADER + "2,2024-01-02,2,1\n"),
        ("run",),
        ("back up",),
        ("land", "b.csv", HEADER + "3,2024-01-03,3,1\n"),
        ("run",),
        ("land", "b.csv", HEADER + "4,2024-01-03,4,1\n"),
        ("clock", -24 * 400),
        ("run",),
        ("restore", 0),
    )
    shop = histories.live(tools, tmp_path, History(family, operations), end=False)
    assert shop.believed
    restored, then = REPLACED.get(family, ([1, 2], [1, 2, 4]))
    assert sorted(row[0] for row in shop.believed[1].silver) == restored
    histories.act(shop, ("run",))
    assert sorted(row[0] for row in shop.stored(shop.rules).silver) == then


def test_a_release_that_is_not_whole_is_a_difference_unless_another_program_took_its_files(
    tools: Tools, tmp_path: Path
) -> None:
    shop = histories.live(tools, tmp_path, History("sequence", (("run",),)), end=False)
    for path in (shop.data / "silver/shop/orders").rglob("*.parquet"):
        path.unlink()
    with pytest.raises(MachineError, match=r"the newest release is not whole: silver\.shop\.orders: "):
        histories.act(shop, ("back up",))


def test_a_row_whose_partition_has_no_text_is_rejected_and_odd_texts_are_kept(tools: Tools, tmp_path: Path) -> None:
    operations = (("land", "b.csv", HEADER + "2,2024-01-02,7.50,1\n3,2024-01-02,-2,1\n"),)
    shop = histories.live(tools, tmp_path, History("places", operations))
    assert sorted(row[-1] for row in shop.stored(shop.rules).silver) == ["-2.00 %2F/=", "10.00 %2F/="]
    assert list(shop.stored(shop.rules).rejects) == [("shop/orders/b.csv", 1)]


def test_an_older_backup_is_restored_and_what_follows_is_backed_up(tools: Tools, tmp_path: Path) -> None:
    """The versions that came after it are there twice then, with other rows."""
    operations = (
        ("run",),
        ("back up",),
        ("clock", 50),
        ("land", "b.csv", HEADER + "2,2024-01-02,2,1\n"),
        ("run",),
        ("back up",),
        ("restore", 1),
        ("land", "b.csv", HEADER + "3,2024-01-03,3,1\n"),
        ("run",),
        ("clock", 0),
        ("back up",),
        ("restore", 0),
    )
    shop = histories.live(tools, tmp_path, History("sequence", operations))
    assert len(shop.backups) == 3
    assert sorted(row[0] for row in shop.stored(shop.rules).silver) == [1, 3]


@pytest.mark.parametrize("family", oracle.FAMILIES)
def test_the_oracle_says_what_a_person_would(tools: Tools, tmp_path: Path, family: str) -> None:
    for arrival, rows in enumerate(LANDED):
        (tmp_path / str(arrival)).mkdir()
        (tmp_path / str(arrival) / "a.csv").write_text(HEADER + rows)
    (tmp_path / "1" / "same_bytes.csv").write_text(HEADER + LANDED[0])
    content = oracle.expected(tools.connection, tmp_path, Rules(family))
    assert sorted(content.silver.elements()) == [(*row[:2], Decimal(row[2]), *row[3:]) for row in ANSWERS[family]]
    copied = [("shop/orders/same_bytes.csv", 3)] if family in ("arrival", "last", *oracle.STATEMENTS) else []
    assert sorted(content.rejects.elements()) == [("shop/orders/a.csv", 3), *copied]
    assert sum(row[1] for row in content.gold) == len(ANSWERS[family])
    assert sum(row[2] for row in content.gold) == sum(row[2] for row in ANSWERS[family])


@pytest.mark.parametrize(("family", "amounts"), [("sequence", [9, 4]), ("last", [7, 4]), ("conflicts", [4])])
def test_the_oracle_knows_what_contradicts_itself(
    tools: Tools, tmp_path: Path, family: str, amounts: list[int]
) -> None:
    (tmp_path / "0").mkdir()
    rows = ("1,2024-01-01,9,1", "1,2024-01-01,7,1", "2,2024-01-01,3,1", "2,2024-01-01,4,2", "2,2024-01-01,4,2")
    (tmp_path / "0" / "a.csv").write_text(HEADER + "\n".join(rows))
    content = oracle.expected(tools.connection, tmp_path, Rules(family))
    assert sorted(row[2] for row in content.silver.elements()) == sorted(amounts)
    assert sorted(row for _, row in content.rejects.elements()) == ([1, 2] if family == "conflicts" else [])


@pytest.mark.parametrize(
    ("taken", "as_value"),
    [
        (("3.00", "2024/1/2", "1.000", "2"), (3, DAY_TWO, Decimal(1), 2)),
        (("+4", "2024-01-02 00:00:00", "-.5", ""), (4, DAY_TWO, Decimal("-0.5"), None)),
        (("02", "2024-01-02", "15e-1", "3.0"), (2, DAY_TWO, Decimal("1.5"), 3)),
        (("1", "2024-01-02", "1e3", "1"), (1, DAY_TWO, Decimal(1000), 1)),
        (("1.000", "2024-01-02", "1", "1"), None),
        (("1", "4/5/31", "1", "1"), None),
        (("1", "999999-12-31", "1", "1"), None),
        (("1", "2024-01-02", "1e-400", "1"), None),
        (("1", "2024-01-02", "0.004", "1"), None),
        (("1", "2024-01-02", "12345678901234567", "1"), None),
        (("1", "2024-01-02", "1", "1.000"), None),
    ],
)
def test_the_oracle_reads_a_value_as_a_person_would(
    tools: Tools, tmp_path: Path, taken: tuple[str, ...], as_value: tuple[object, ...] | None
) -> None:
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "a.csv").write_text(HEADER + ",".join(taken))
    content = oracle.expected(tools.connection, tmp_path, Rules())
    assert list(content.silver.elements()) == ([as_value] if as_value else [])
    assert len(content.rejects) == (not as_value)


@pytest.mark.parametrize(
    ("taken", "micros"),
    [
        ("2024-01-01T12:00:00+02:00", 1_704_103_200_000_000),
        ("2024-01-01 10:00:00.123456", 1_704_103_200_123_456),
        ("2024-01-01T10:00:00.1234567Z", None),
        ("999999-12-31", None),
    ],
)
def test_the_oracle_reads_a_moment_as_a_person_would(
    tools: Tools, tmp_path: Path, taken: str, micros: int | None
) -> None:
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "a.csv").write_text(f"order_id,day,amount,updated,note,changed\n1,2024-01-01,1,1,,{taken}\n")
    content = oracle.expected(tools.connection, tmp_path, Rules(note=True))
    assert [row[-1] for row in content.silver.elements()] == ([micros] if micros else [])
    assert len(content.rejects) == (not micros)


@pytest.mark.parametrize(
    ("files", "amount"),
    [
        ([("0/a", 10), ("1/a", 12), ("2/a", 10), ("3/a", 10)], 10),  # a state that comes back
        ([("0/a", 10), ("1/a", 12), ("1/b", 12), ("2/a", 12), ("2/b", 10)], 10),
        ([("0/a", 10), ("1/b", 12), ("1/a", 10)], 12),  # a file that lies there still is no arrival
        ([("0/b10", 10), ("0/b9", 12)], 10),  # as a person lists them
    ],
)
def test_the_oracle_knows_what_arrived_last(
    tools: Tools, tmp_path: Path, files: list[tuple[str, int]], amount: int
) -> None:
    for name, value in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.csv").write_text(f"{HEADER}1,2024-01-01,{value},1\n")
    content = oracle.expected(tools.connection, tmp_path, Rules("arrival"))
    assert list(content.silver.elements()) == [(1, DAY_ONE, Decimal(amount), 1)]


@pytest.mark.parametrize(
    ("family", "files", "answer"),
    [
        ("all", ["0/a 1:10 2:20", "1/b 2:20", "2/c"], []),  # a file without rows empties the table
        ("named", ["0/a 1:10", "0/b 1:5", "1/a"], [(1, 5, "b")]),
        ("slices", ["0/a 1:10", "1/b"], [(1, 10)]),  # of which day?
        ("turns", ["0/a2 1:10 2:20", "1/a1 1:11 3:30", "2/b2 4:40"], [(1, 10, 2), (2, 20, 2), (4, 40, 2)]),
        ("turns", ["0/a2 1:10", "0/b2 2:20", "1/a2 3:30"], [(2, 20, 2), (3, 30, 2)]),  # a part is corrected
        (
            "versions",
            ["0/a1 1:10 2:20", "1/a2 1:10", "2/a3 1:11 2:20", "3/a5"],
            [
                *[(1, 10, DAY_TWO, DAY_TWO, date(2024, 1, 4), False)],
                *[(1, 11, date(2024, 1, 4), date(2024, 1, 4), date(2024, 1, 6), False)],
                *[(2, 20, DAY_TWO, DAY_TWO, date(2024, 1, 3), False)],
                *[(2, 20, date(2024, 1, 4), date(2024, 1, 4), date(2024, 1, 6), False)],
            ],
        ),
    ],
)
def test_the_oracle_knows_the_newest_statement(
    tools: Tools, tmp_path: Path, family: str, files: list[str], answer: list[tuple[Any, ...]]
) -> None:
    for file in files:
        name, *rows = file.split()
        (tmp_path / name).parent.mkdir(exist_ok=True)
        lines = (f"{row.replace(':', ',2024-01-01,')},1\n" for row in rows)
        (tmp_path / f"{name}.csv").write_text(HEADER + "".join(lines))
    content = oracle.expected(tools.connection, tmp_path, Rules(family))
    assert sorted((row[0], row[2], *row[4:]) for row in content.silver.elements()) == answer


def test_rows_that_the_clock_dates_before_older_ones_do_not_escape(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = ("land", "b.csv", HEADER + "1,2024-01-02,9,2\n")
    told = History("arrival", (("run",), ("clock", -24 * 800), later))
    histories.live(tools, tmp_path / "lake", told)
    monkeypatch.setattr(ingest, "later_than", lambda bronze, now: int(now.timestamp() * 1_000_000))
    assert "silver lacks 1 x (1, 2024-01-02, 9.00, 2)" in histories.fails(tools, tmp_path / "other", told)


def _oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(winners, "order", lambda table, among_equals: f"updated, {among_equals}")
    monkeypatch.setattr(winners, "_narrow_order", lambda table: "_by0, _file")
    monkeypatch.setattr(winners, "_newest_first", lambda table: "updated")


def _ties_by_arrival(monkeypatch: pytest.MonkeyPatch) -> None:
    by = "updated DESC NULLS LAST, _ingested_at DESC, _file DESC, _row DESC"
    monkeypatch.setattr(winners, "order", lambda table, among_equals: by)


@pytest.mark.parametrize("broken", short([_oldest, _ties_by_arrival], 1))
def test_a_wrong_winner_does_not_escape_and_its_history_is_made_small(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: Callable[[pytest.MonkeyPatch], None]
) -> None:
    broken(monkeypatch)
    rows = ("1,2024-01-01,12,2\n2,2024-01-02,5,1\n", "3,2024-01-03,1,1\n2,2024-01-02,3,1\n1,2024-01-01,9,2\n")
    noise = (("checkpoint", "silver/shop/orders"), ("again",), ("make optimize",))
    told = History("sequence", (("land", "b.csv", HEADER + rows[0]), *noise, ("land", "c.csv", HEADER + rows[1])))
    assert histories.fails(tools, tmp_path / "lake", told).startswith("Difference")
    small = histories.smallest(tools, tmp_path / "lake", told)
    assert len(small.operations) <= 2
    with pytest.raises(Difference, match="silver"):
        histories.live(tools, tmp_path / "again", small)
    monkeypatch.undo()
    histories.live(tools, tmp_path / "fixed", small)
