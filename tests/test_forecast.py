"""What a run will read, and how long it will take, is told from the runs before it, or not at all."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Mapping
from contextlib import redirect_stdout

import polars
import pytest
from conftest import Lake

import main
from src.bronze import ingest
from src.commands.run import pipeline
from src.project import open_project, select
from src.run import plan as planning
from src.run import runs

HEADER = "order_id,day,amount,updated\n"


def orders(first: int, count: int, day: str = "2024-01-01") -> str:
    """A file of as many lines of the same length."""
    return HEADER + "".join(f"{number:07},{day},10.00,1\n" for number in range(first, first + count))


def land(lake: Lake, at: int, count: int) -> None:
    lake.land(f"shop/orders/{at}.csv", orders(at * 100_000, count))


def history(lake: Lake, *counts: int) -> None:
    """A run for each count of rows."""
    for at, count in enumerate(counts):
        land(lake, at, count)
        lake.good()


def plan(lake: Lake) -> dict[str, list[str]]:
    """What `make plan` prints: table -> would, bytes, rows, seconds; a cell of each."""
    with open_project(lake.settings) as project:
        window = runs.window(runs.now().date(), None, None)
        planned = planning.read_plan(project, select(project, None), window)
    out = io.StringIO()
    with redirect_stdout(out):
        planning.print_plan(planned)
    _, rule, *lines = out.getvalue().partition("\nwindow ")[0].splitlines()
    ends = [match.span() for match in re.finditer("-+", rule)]
    return {line.split()[0]: [line[start:end].strip() for start, end in ends[1:5]] for line in lines}


def predicted(lake: Lake, run: runs.Run) -> dict[str, tuple[int | None, int | None, float | None]]:
    """What a run recorded: table -> bytes, rows and seconds that were predicted."""
    found = lake.rows(
        "SELECT CASE layer WHEN 'run' THEN 'run' ELSE layer || '.' || domain || '.' || \"table\" END, bytes, "
        f"predicted_rows, predicted_seconds FROM ops.pipeline_runs WHERE run_id = '{run.run_id}'"
    )
    return {name: tuple(facts) for name, *facts in found}


def slowed(lake: Lake, seconds: Mapping[str, list[float]]) -> None:
    """Let the runs so far have taken these seconds: what a step takes on this machine is no literal."""
    path = str(lake.data / "ops/pipeline_runs")
    frame = polars.read_delta(path).sort("start_time")
    name = polars.concat_str("layer", "table", separator=".")
    for table, values in seconds.items():
        others, own = frame.filter(name != table), frame.filter(name == table)
        frame = polars.concat([others, own.with_columns(latency=polars.Series(values))])
    frame.write_delta(path, mode="overwrite")


def test_the_first_time_nothing_is_known_but_what_landed(lake: Lake) -> None:
    lake.shop()
    land(lake, 0, 10)
    size = str(len(orders(0, 10)))
    assert plan(lake) == {
        "bronze.shop.orders": ["append", size, "-", "-"],
        "silver.shop.orders": ["build", "", "-", "-"],
        "gold.shop.daily": ["build", "", "-", "-"],
        "total": ["", size, "-", "-"],
    }
    told = predicted(lake, lake.good())
    assert told == {
        "bronze.shop.orders": (int(size), None, None),
        "silver.shop.orders": (None, None, None),
        "gold.shop.daily": (None, None, None),
        "run": (int(size), None, None),
    }


def test_rows_are_predicted_by_the_bytes_of_the_new_files(lake: Lake) -> None:
    lake.shop()
    history(lake, 1000)
    land(lake, 1, 500)
    land(lake, 2, 1500)
    rows = plan(lake)["bronze.shop.orders"][2]
    assert 1990 < int(rows.replace(",", "")) < 2010
    assert predicted(lake, lake.good())["bronze.shop.orders"][1] == int(rows.replace(",", ""))


def test_seconds_follow_the_rows_on_the_line_that_earlier_runs_draw(lake: Lake) -> None:
    lake.shop()
    history(lake, 1000, 1000, 3000, 2000)
    # 0.5 s, and 1 s for 1000 rows; the first run, which built the tables, is passed over
    slowed(lake, {"silver.orders": [9.0, 1.5, 3.5, 2.5], "bronze.orders": [1.0, 1.0, 1.0, 1.0]})
    land(lake, 4, 5000)
    planned = plan(lake)
    assert planned["bronze.shop.orders"][3] == "1.00"
    assert 5.4 < float(planned["silver.shop.orders"][3]) < 5.6
    assert 4990 < int(planned["silver.shop.orders"][2].replace(",", "")) < 5010


def test_the_seconds_of_a_table_computed_whole_follow_what_is_there(lake: Lake) -> None:
    lake.shop()
    lake.edit(
        "gold/shop/contract.yaml",
        "  - name: daily\n",
        "  - name: daily\n    customProperties: [{property: refresh, value: full}]\n",
    )
    history(lake, 1000, 500, 1500, 1000, 1000)
    slowed(lake, {"gold.daily": [9.0, 1.5, 3.0, 4.0, 5.0]})  # 1 s for every 1000 rows that ever came
    land(lake, 5, 200)
    assert 5.1 < float(plan(lake)["gold.shop.daily"][3]) < 5.3
    assert plan(lake)["gold.shop.daily"][2] == "1"


def test_a_run_records_what_the_plan_said(lake: Lake) -> None:
    lake.shop()
    history(lake, 1000, 900, 1100)
    land(lake, 3, 1000)
    planned = plan(lake)
    run = lake.good()
    told = predicted(lake, run)
    assert {name for name, (_, _, seconds) in told.items() if seconds is not None} == {*planned, "run"} - {"total"}
    for name, (_, rows, seconds) in told.items():
        of_plan = planned["total" if name == "run" else name]
        assert (f"{rows:,}", f"{seconds:.2f}") == (of_plan[2], of_plan[3])
    assert told["run"][0] == len(orders(300_000, 1000))


def test_files_taken_in_several_commits_are_all_weighed(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "FILES_PER_COMMIT", 2)
    lake.shop()
    for at in range(5):
        land(lake, at, 10)
    lake.land("shop/orders/again.csv", orders(0, 10))
    assert predicted(lake, lake.good())["bronze.shop.orders"][0] == 5 * len(orders(0, 10))


def test_a_run_with_nothing_to_do_predicts_nothing_and_does_not_read_the_past(lake: Lake) -> None:
    lake.shop()
    history(lake, 10)
    lose_the_past(lake)
    run = lake.good()
    assert {(step.predicted_rows, step.predicted_seconds) for step in run.records} == {(None, None)}
    assert "nothing is predicted" not in (lake.root / "logs/app.log").read_text()


def test_a_past_that_cannot_be_read_stops_no_run(lake: Lake) -> None:
    lake.shop()
    history(lake, 10)
    lose_the_past(lake)
    land(lake, 1, 10)
    run = lake.good()
    assert {(step.predicted_rows, step.predicted_seconds) for step in run.records} == {(None, None)}
    assert lake.rows("SELECT count(*) FROM silver.shop.orders") == [(20,)]
    assert (lake.root / "logs/app.log").read_text().count("nothing is predicted") == 1


def lose_the_past(lake: Lake) -> None:
    """The records of the runs so far, and the laws that cannot be checked without."""
    from src.run import logs

    logs.start(lake.root / "logs", level="INFO", secrets=(), console_level="ERROR")
    lake.environ["BROKEN_ON_PURPOSE"] = "true"
    for path in (lake.data / "ops/pipeline_runs").glob("*.parquet"):
        path.unlink()


def test_what_is_computed_anew_is_not_predicted(lake: Lake) -> None:
    lake.shop()
    history(lake, 100, 100, 100)
    lake.edit("silver/shop/orders.yaml", "version: 1.0.0", "version: 1.1.0")
    lake.edit("silver/shop/orders.yaml", "required: true}\n      - {name: updated", "}\n      - {name: updated")
    land(lake, 3, 100)
    planned = plan(lake)
    assert planned["silver.shop.orders"] == ["rebuild", "", "-", "-"]
    assert planned["gold.shop.daily"][2:] == ["-", "-"]
    assert planned["bronze.shop.orders"][2] == "100"
    told = predicted(lake, lake.good())
    assert told["silver.shop.orders"][1:] == told["gold.shop.daily"][1:] == (None, None)
    with open_project(lake.settings) as project:
        whole = pipeline(project, main.carry, mode="all")
    assert {facts[1:] for facts in predicted(lake, whole).values()} == {(None, None)}


def test_a_table_that_was_left_behind_is_not_predicted_until_it_has_caught_up(lake: Lake) -> None:
    lake.shop()
    rule = "required: true, logicalTypeOptions: {minimum: 0}"
    lake.edit("gold/shop/contract.yaml", '"decimal(18,2)"}', f'"decimal(18,2)", {rule}}}')
    history(lake, 100, 100, 100)
    lake.land("shop/orders/wrong.csv", HEADER + "1,2024-01-01,-9999999.00,2\n")
    assert set(lake.run().failures) == {"gold.shop.daily"}
    lake.land("shop/orders/right.csv", HEADER + "1,2024-01-01,10.00,3\n")
    assert plan(lake)["gold.shop.daily"][2:] == ["-", "-"]
    assert predicted(lake, lake.good())["gold.shop.daily"] == (None, None, None)
    land(lake, 3, 100)
    assert "-" not in plan(lake)["gold.shop.daily"]


def test_a_lake_older_than_the_prediction_is_read_and_written_on(lake: Lake) -> None:
    lake.shop()
    history(lake, 100, 100)
    path = lake.data / "ops/pipeline_runs"
    old = polars.read_delta(str(path)).drop("bytes", "predicted_rows", "predicted_seconds")
    shutil.rmtree(path)
    old.write_delta(str(path))
    land(lake, 2, 100)
    land(lake, 3, 100)
    assert plan(lake)["bronze.shop.orders"][2] == "200"  # by the number of files: no bytes are known
    told = predicted(lake, lake.good())
    assert told["silver.shop.orders"][1] == 200
    assert lake.rows(
        "SELECT count(*), count(bytes), count(predicted_rows), sum(records_read)::INT FROM ops.pipeline_runs "
        "WHERE layer = 'bronze'"
    ) == [(3, 1, 1, 400)]
