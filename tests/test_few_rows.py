"""Few rows, judged and ordered by short statements, are what they are by those for many: rows, rejects, counts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from conftest import Lake, short
from test_passes import NOW, OPTIONS, TABLE, THINGS, land

from src import catalog
from src.bronze import ingest
from src.engine import DuckEngine
from src.errors import BoathouseError
from src.project import open_project
from src.silver import clean, exact, incoming, winners
from src.silver.blanks import valued

BESIDE = [f"{layer}.shop.things" for layer in ("silver", "quarantine", "deletions")]


@pytest.fixture
def engine(lake: Lake) -> Iterator[DuckEngine]:
    with closing(DuckEngine(memory_limit="1GB", threads=1, spill=lake.root)) as opened:
        yield opened


def history(root: Path, option: str, seed: int) -> list[Any]:
    """What came of each of some files: the outcome of its load, or the error, and all rows of the tables."""
    lake, random, found = Lake(root), Random(seed), list[Any]()
    text = OPTIONS[option](THINGS).replace("format: csv,", 'format: csv, delimiter: ";",')
    lake.write("silver/shop/things.yaml", text.replace("    customProperties:\n      []\n", ""))
    (root / "src/gold").mkdir()
    with open_project(lake.settings) as project:
        engine, table = project.engine, project.declared(TABLE)
        feed, places = table.feeds[0], clean.Places.of_table(table, project.path)
        for at, _ in enumerate(land(lake, random)):
            now = NOW + timedelta(days=at)
            ingest.run(engine, project.landing, project.path(feed.id), feed, batch="b", now=now, settle=0)
            try:
                found.append(clean.run(engine, table, places, batch=f"b{at}"))
            except BoathouseError as error:
                found.append(error.what)
            tables = {name: root for name, root in catalog.tables(lake.data).items() if name in BESIDE}
            catalog.publish(engine, tables)
            found += [sorted(engine.values(f"SELECT t::VARCHAR FROM {name} t")) for name in sorted(tables)]
    return found


@pytest.mark.parametrize("seed", short(range(96), 2))
def test_short_statements_for_few_rows_give_what_those_for_many_give(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    option = [*OPTIONS][seed % len(OPTIONS)]
    few = history(tmp_path / "few", option, seed)
    for module in (incoming, winners):
        monkeypatch.setattr(module, "_FEW_ROWS", -1)
    assert few == history(tmp_path / "many", option, seed)


NUMBERS = ["1", "+1", "-07", "1.0", "1.", ".5", "1.000", "1.005", "1e2", "1_000", "0x1", "128", "12345678901234567890"]
NUMBERS += ["0.1", "0.12345678", "0.1234567890123456789", "1e-400", "inf", "nan", "-0", "", "4/5/31", "1 ", "\u0661"]
MOMENTS = ["2024-01-01 10:00:00", "2024-01-01T10:00:00Z", "2024-01-01 00:00:00", "2024-01-01 24:00:00", "2024-01-01"]
MOMENTS += ["2024-01-01 10:00", "2024-01-01T10:00:00+02", "2024-01-01 10:00:00.1234567", "10000-01-01 10:00:00", "soon"]
MOMENTS += ["2024-01-01 10:60:00", "2024-1-1 1:1:1", "2024-01-01 1a:00:00", "-infinity", "2024-01-01 10:00:00 CST"]
MOMENTS += ["9:05"]


@pytest.mark.parametrize(
    "kind",
    [*exact.INTEGERS, *exact.FLOATS, "DECIMAL(4,2)", "DECIMAL(18,0)", "DATE", "TIMESTAMP WITH TIME ZONE", "TIME"],
)
def test_a_value_that_is_surely_kept_is_kept(engine: DuckEngine, kind: str) -> None:
    typed = exact.cast("v", "VARCHAR", kind)
    asked = [f"coalesce({judge('v', 't', 'VARCHAR', kind)}, false)" for judge in (exact.is_surely_kept, exact.is_kept)]
    values = f"SELECT unnest({NUMBERS + MOMENTS}::VARCHAR[]) AS v"
    found = engine.rows(f"SELECT v, {', '.join(asked)} FROM (SELECT v, {typed} AS t FROM ({values}))")
    assert [value for value, surely, kept in found if surely and not kept] == []
    assert any(surely for _, surely, _ in found)


def test_a_text_is_trimmed_alike_in_short(engine: DuckEngine) -> None:
    texts = ["a", " a", "a\t", "\u00a0a b\u00a0", "\v\f\r\n", "", "~", "~a", "\u2003a", "\x7fa", "0x0", "NA", " NA "]
    asked = ", ".join(valued("v", ["NA"], brief=brief) for brief in (True, False))
    found = engine.rows(f"SELECT v, {asked} FROM (SELECT unnest({texts}::VARCHAR[]) AS v)")
    assert [value for value, short_text, text in found if short_text != text] == []


def test_a_first_load_is_two_entries_of_each_log_and_one_where_there_is_nothing_to_store(lake: Lake) -> None:
    """Each takes 5 ms and two flushes to disk, by the hundreds in a project of many tables."""
    lake.shop().land("shop/orders/1.csv", "order_id,day,amount,updated\n1,2024-01-01,10,1\n")
    lake.good()
    logs = {
        name: root / "_delta_log" for name, root in catalog.tables(lake.data).items() if not name.startswith("ops.")
    }
    entries = {name: len([*log.glob("*.json")]) for name, log in logs.items()}
    assert entries == {
        "bronze.shop.orders": 2,
        "silver.shop.orders": 2,
        "gold.shop.daily": 2,
        "quarantine.shop.orders": 1,
    }
    assert lake.findings() == []
