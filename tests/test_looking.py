"""The page's look: never of a lake that has moved since, made once for all who wait, and not where nothing moved."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import Lake

from src import alerts, catalog
from src.errors import ContractErrors
from src.facts import read_facts
from src.page import looking
from src.page.looking import Look
from src.run import runs

HEADER = "order_id,day,amount,updated\n"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = Lake(tmp_path_factory.mktemp("built")).shop()
    made.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n")
    made.good()
    return made.root


@pytest.fixture
def look(shop: Lake) -> Look:
    return Look(shop.settings)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """The looks that were made, by their moment."""
    looks: list[datetime] = []
    read = read_facts

    def counted(project: Any, now: datetime, **options: Any) -> Any:
        looks.append(now)
        return read(project, now, **options)

    monkeypatch.setattr(looking, "read_facts", counted)
    return looks


def test_nothing_is_looked_at_again_where_nothing_moved(look: Look, made: list[datetime]) -> None:
    assert look.facts() is look.facts() is look.facts()
    assert len(made) == 1


def test_the_next_request_sees_a_run(lake: Lake, look: Look, made: list[datetime]) -> None:
    before = look.facts()
    lake.land("shop/orders/2.csv", HEADER + "2,2024-01-02,20,1\n")
    run = lake.good()
    after = look.facts()
    assert (len(before.runs), len(after.runs)) == (1, 2)
    assert after.runs[0].run_id == run.run_id
    assert (before.tables["silver.shop.orders"].rows, after.tables["silver.shop.orders"].rows) == (1, 2)
    assert look.facts() is after and len(made) == 2


def test_the_next_request_sees_an_answer_to_an_incident(lake: Lake, look: Look) -> None:
    lake.land("shop/orders/2.csv", b"PK\x03\x04 a workbook by another name")
    lake.run()
    lake.command("health")
    (cause,) = (cause for cause in look.facts().causes if cause.incidents)
    assert cause.state == "open"
    with look.project() as project:
        alerts.ack(project.engine, lake.data, cause.incidents[0], "ann", runs.now(), "asked")
    (cause,) = (cause for cause in look.facts().causes if cause.incidents)
    assert cause.state == "acked by ann"


def test_the_next_request_sees_a_contract_that_changed(lake: Lake, look: Look) -> None:
    look.facts()
    lake.edit("silver/shop/orders.yaml", "purpose: Orders.", "purpose: Orders, and a comma missing: }{")
    for _ in range(2):
        with pytest.raises(ContractErrors):
            look.facts()
    lake.edit("silver/shop/orders.yaml", "Orders, and a comma missing: }{", "Orders.")
    look.facts()
    lake.edit("gold/shop/daily.sql", "count(*)", "count(*) + 0")
    with look.project() as project:
        assert "count(*) + 0" in str(project.marts[0].sql)


@pytest.mark.parametrize("moved", [timedelta(seconds=61), timedelta(seconds=-1), timedelta(days=-400)])
def test_a_look_is_new_after_a_minute_and_when_the_clock_went_back(
    look: Look, made: list[datetime], monkeypatch: pytest.MonkeyPatch, moved: timedelta
) -> None:
    noon = datetime.now(UTC).replace(hour=12)
    monkeypatch.setattr(runs, "now", lambda: noon)
    look.facts()
    monkeypatch.setattr(runs, "now", lambda: noon + timedelta(seconds=59))
    look.facts()
    assert made == [noon]
    monkeypatch.setattr(runs, "now", lambda: noon + moved)
    look.facts()
    assert made == [noon, noon + moved]


def test_one_look_is_made_for_all_who_wait(look: Look, made: list[datetime]) -> None:
    with ThreadPoolExecutor(8) as people:
        seen = set(people.map(lambda _: id(look.facts()), range(24)))
    assert len(seen) == len(made) == 1


def test_nobody_waits_for_somebody_elses_tables(look: Look) -> None:
    look.facts()
    lent, done = threading.Event(), threading.Event()

    def slow() -> None:
        with look.project():
            lent.set()
            done.wait(60)

    thread = threading.Thread(target=slow)
    thread.start()
    lent.wait(60)
    with look.project() as project:  # an engine of its own, while the other is at work
        assert project.engine.one("SELECT 42") == (42,)
    look.facts()
    done.set()
    thread.join()


def test_an_engine_has_nothing_of_another_request_in_it(lake: Lake, look: Look) -> None:
    """A name published at the version of one release must not be read by who asks for another."""

    def rows_at(version: int | None) -> int:
        with look.project() as project:
            root = catalog.tables(lake.data)["silver.shop.orders"]
            versions = {} if version is None else {"silver.shop.orders": version}
            catalog.publish(project.engine, {"silver.shop.orders": root}, versions)
            project.engine.execute("CREATE TEMP TABLE left_behind AS SELECT 1 AS x")
            return int(project.engine.one("SELECT count(*) FROM silver.shop.orders")[0])

    version = look_version(look)
    lake.land("shop/orders/2.csv", HEADER + "2,2024-01-02,20,1\n")
    lake.good()
    assert (rows_at(version), rows_at(None), rows_at(version)) == (1, 2, 1)
    with look.project() as project:
        for name in ("silver.shop.orders", "left_behind"):
            with pytest.raises(Exception, match=r"no table|does not exist"):
                project.engine.one(f"SELECT count(*) FROM {name}")


def look_version(look: Look) -> int:
    with look.project() as project:
        snapshot = project.table("silver.shop.orders")
        assert snapshot
        return int(snapshot.version)


def test_every_engine_that_was_lent_is_closed(look: Look) -> None:
    engines = []
    with look.project() as project:
        engines.append(project.engine)
    with pytest.raises(ZeroDivisionError), look.project() as project:
        engines.append(project.engine)
        _ = 1 / 0
    for engine in engines:
        with pytest.raises(Exception, match=r"[Cc]losed"):
            engine.one("SELECT 1")


def test_what_is_seen_beside_the_look_is_kept_as_long(lake: Lake, look: Look) -> None:
    asked: list[int] = []

    def read(project: Any) -> int:
        asked.append(len(project.contracts.silver))
        return len(asked)

    assert (look.seen(("a",), read).found, look.seen(("a",), read).found, look.seen(("b",), read).found) == (1, 1, 2)
    assert look.seen(("a",), read, again=True).found == 3
    lake.land("shop/orders/2.csv", HEADER + "2,2024-01-02,20,1\n")
    assert look.seen(("a",), read).found == 4
    for number in range(40):
        look.seen((number,), read)
    assert len(look._beside) == 32
