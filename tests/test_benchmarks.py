"""The benchmarks: rows as promised, the same work for everyone, and no time for who ended with other rows."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from conftest import ROOT, Lake

from benchmarks import cells, cost, generate, measure, plan, plots, render, results, scenarios, shops
from benchmarks.contenders import HERE, Boathouse, Contender, Floor, Missing
from benchmarks.figures import LESSON
from benchmarks.generate import COLUMNS, History
from benchmarks.many import ManyTables
from benchmarks.parts import Watch, stages
from benchmarks.plan import Bench
from benchmarks.scenarios import Entrant, Unequal
from benchmarks.targets import LITTLE
from src import contract
from src.bronze import ingest
from src.workers import stages as limits

SMALL = History(rows=20_000, days=10)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of a small history."""
    return generate.history(tmp_path_factory.mktemp("rows"), SMALL).parent.parent


def selected(sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect() as connection:
        return connection.execute(sql).fetchall()


def rows(files: str) -> list[tuple[object, ...]]:
    reader = {"csv": "read_csv({}, all_varchar = true)", "ndjson": "read_json({})", "parquet": "read_parquet({})"}
    source = reader[files.rpartition(".")[2]].format(f"'{files}'")
    columns = ", ".join(f"coalesce({name}::VARCHAR, '')" for name in COLUMNS)  # CSV tells no empty text from nothing
    return selected(f"SELECT {columns} FROM {source} ORDER BY ALL")


def share(folder: Path, condition: str) -> float:
    files = f"read_csv('{folder}/*/csv/*.csv', all_varchar = true, force_not_null = ['order_id'])"
    return float(str(selected(f"SELECT avg(({condition})::INT) FROM {files}")[0][0]))


# -- the rows


def test_the_same_seed_and_day_give_the_same_bytes(made: Path, tmp_path: Path) -> None:
    again = generate.history(tmp_path, SMALL)
    for path in again.iterdir():
        assert path.read_bytes() == (made / SMALL.name / "csv" / path.name).read_bytes()
    other = generate.history(tmp_path, History(rows=20_000, days=10, seed=8))
    assert (other / "orders_2025-12-31.csv").read_bytes() != (again / "orders_2025-12-31.csv").read_bytes()


def test_each_day_before_the_increment_has_a_file_of_its_share(made: Path) -> None:
    files = sorted((made / SMALL.name / "csv").iterdir())
    assert [files[0].name, files[-1].name, len(files)] == ["orders_2025-12-22.csv", "orders_2025-12-31.csv", 10]
    assert len(rows(str(files[-1]))) == 2_000


@pytest.mark.long
def test_rows_are_repeated_corrected_and_dirty_as_often_as_promised(made: Path) -> None:
    assert share(made, "status = 'corrected'") == pytest.approx(0.02, abs=0.004)
    for dirty in ("order_id = ''", "quantity LIKE 'x%'", "unit_price = '12,5O'", "order_ts LIKE '2025-13%'"):
        assert share(made, dirty) == pytest.approx(0.005 / 4, abs=0.0006)
    everything = rows(f"{made}/{SMALL.name}/csv/*.csv")
    assert len(everything) - len(set(everything)) == pytest.approx(0.05 * 20_000, rel=0.15)


def test_corrections_are_newer_and_as_far_back_as_asked(made: Path) -> None:
    def back(file: Path) -> list[tuple[object, ...]]:
        old = f"read_csv('{made}/{SMALL.name}/csv/*.csv', all_varchar = true)"
        return selected(
            f"SELECT DISTINCT DATE '2026-01-01' - try_cast(new.order_ts AS TIMESTAMP)::DATE "
            f"FROM read_csv('{file}', all_varchar = true) new JOIN {old} old USING (order_id, line_id) "
            "WHERE new.status = 'corrected' AND new.updated_at > old.updated_at ORDER BY 1"
        )

    assert back(generate.increment(made, SMALL, 3_000)) == [(day,) for day in range(1, 8)]
    assert back(generate.increment(made, SMALL, 3_000, back=3)) == [(1,), (2,), (3,)]


def test_all_formats_hold_the_same_rows(made: Path) -> None:
    csv = rows(f"{made}/{SMALL.name}/csv/*.csv")
    for form in ("ndjson", "parquet"):
        assert rows(f"{generate.history(made, SMALL, form)}/*.{form}") == csv


# -- a round


def test_the_figures_of_a_run_are_those_of_its_whole_tree() -> None:
    child = "import os; data = bytearray(100_000_000); file = open('file', 'wb'); file.write(data); os.fsync(file)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:  # on a disk: what goes to memory is not written
        figures = measure.run(measure.Command([sys.executable, "-c", parent], Path(folder)))
    assert figures.peak_mib > 95
    assert 95 < figures.written_mib < 110
    assert figures.cpu_seconds > 0
    assert figures.seconds > 0


def test_a_run_that_fails_tells_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(measure.Failed, match="ended with 3:\nno room"):
        measure.run(measure.Command(["sh", "-c", "echo no room; exit 3"], tmp_path))


@pytest.fixture(scope="module")
def loaded(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[Contender, Path]]]:
    """Boathouse and the floor after the same history and one more day: by name, with the folder of their tables."""
    bench = tmp_path_factory.mktemp("bench")
    history = sorted((made / SMALL.name / "csv").iterdir())
    found: dict[str, tuple[Contender, Path]] = {}
    for one in (Boathouse(), Floor()):
        one.prepare(bench)
        state = bench / one.slug
        state.mkdir(exist_ok=True)
        state = bench / "states" / one.slug
        state.mkdir(parents=True)
        for files in (history, [generate.increment(made, SMALL, 3_000)]):
            measure.run(one.load(state, files))
        found[one.slug] = (one, state)
    yield found


def test_boathouse_and_the_floor_end_with_the_same_tables(loaded: dict[str, tuple[Contender, Path]]) -> None:
    ours, theirs = (scenarios.checked(one, state) for one, state in loaded.values())
    assert ours == theirs
    assert ours["bronze"]["rows"] == 22_910  # the first day has nothing to repeat or correct
    assert ours["silver"]["rows"] == ours["silver"]["keys"] > 20_000


def test_one_altered_row_is_noticed(loaded: dict[str, tuple[Contender, Path]], tmp_path: Path) -> None:
    floor, state = loaded["floor"]
    shutil.copytree(state, tmp_path / "altered")
    file = next((tmp_path / "altered" / "silver").glob("*/*.parquet"))
    changed = "SELECT * REPLACE (CASE WHEN file_row_number = 0 THEN 'lost' ELSE status END AS status)"
    selected(f"COPY ({changed} FROM read_parquet('{file}', file_row_number = true)) TO '{file}.new' (FORMAT parquet)")
    Path(f"{file}.new").rename(file)
    entries = [scenarios.Entry("floor", "a day"), scenarios.Entry("altered", "a day")]
    entries[0].result = scenarios.checked(floor, state)
    entries[1].result = scenarios.checked(floor, tmp_path / "altered")
    with pytest.raises(Unequal, match=r"a day: silver content: altered has \d+, floor has"):
        scenarios.check_equal(entries)


def test_rounds_start_from_the_same_state_and_take_turns(
    loaded: dict[str, tuple[Contender, Path]], tmp_path: Path
) -> None:
    floor, state = loaded["floor"]
    said: list[str] = []

    def entrant(label: str) -> Entrant:
        def command(state: Path) -> measure.Command:
            assert not (state / "seen").exists()
            return measure.Command(["touch", "seen"], state)

        return Entrant(floor, "looking", command, base=lambda: state, label=label)

    entries = scenarios.measured([entrant("one"), entrant("two")], 2, tmp_path, said.append)
    assert [line.split(",")[0] for line in said] == [
        *("  round 1: one", "  round 1: two"),
        *("  round 2: one", "  round 2: two"),
    ]
    assert [len(entry.rounds) for entry in entries] == [2, 2]
    assert not (state / "seen").exists()


def test_a_contender_that_fails_is_told_of_and_the_others_go_on(tmp_path: Path) -> None:
    def entrant(words: str) -> Entrant:
        return Entrant(Floor(), words, lambda state: measure.Command(["sh", "-c", words], state), compared=[])

    said: list[str] = []
    entries = scenarios.measured([entrant("echo broken; exit 1"), entrant("true")], 2, tmp_path, said.append)
    assert [len(entry.rounds) for entry in entries] == [0, 2]
    assert entries[0].failed == "ended with 1"
    assert said[0].endswith("ended with 1:\nbroken")
    assert entries[1].failed == ""


# -- what is told of it


def test_the_page_is_what_the_newest_results_render_to() -> None:
    found = results.read()
    findings = (HERE / "findings.md").read_text(encoding="utf-8")
    fix = "run `make bench ARGS=--render`"
    assert (ROOT / render.PAGE).read_text(encoding="utf-8") == render.page(found, findings), fix
    drawn = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / render.PLOTS).glob("*")}
    assert drawn == render.drawn(found), fix
    scale = (ROOT / render.SCALE).read_text(encoding="utf-8")
    assert scale == render.with_cost(scale, found), fix


MACHINE = {
    **{"date": "2026-01-02", "commit": "abc1234", "changed": False, "cores": 2, "processor": "one", "memory_gib": 8.0},
    **{"kernel": "Linux 6", "python": "3.11.7", "libraries": {"duckdb": "2.0.0"}},
}


def entry(
    contender: str, seconds: list[float], peak: float = 100.0, task: str = "a day of 30 k on 1m"
) -> dict[str, object]:
    rounds = [{"seconds": one, "cpu_seconds": one, "peak_mib": peak, "written_mib": 1.0} for one in seconds]
    return {"contender": contender, "task": task, "rounds": rounds, "result": {}, "failed": ""}


def test_a_target_is_reached_by_the_medians_or_missed() -> None:
    entries = [
        entry("Boathouse", [1.4, 9.0, 1.2]),
        entry(Floor().name, [1.0, 1.0, 1.1]),
        entry("slow", [2.0]),
        entry("slower", [3.0]),
    ]
    page = render.page({"daily-30k": {"machine": MACHINE, "missing": {"gone": "no wheel"}, "entries": entries}}, "")
    assert "| a day of 30 k on 1m: against the floor | 2 x | 1.40 x | reached |" in page
    assert "| a day of 30 k on 10m: against the floor | 1.8 x | | not measured |" in page
    assert "| a day of 30 k on 1m | **Boathouse** | 1.40 | 1.20 - 9.00 | 1.40 | 1.40 | 100 | 1.0 |" in page
    assert "- 2026-01-02, commit abc1234; 2 cores (one), 8.0 GiB, Linux 6, Python 3.11.7, duckdb 2.0.0" in page
    assert "- gone did not take part: no wheel" in page


def test_the_fastest_peer_is_no_script_and_no_second_boathouse() -> None:
    task = "first load of 1m"
    names = {"Boathouse": 3.0, LITTLE: 4.2, Floor().name: 1.0, LESSON: 2.0, "SQLMesh": 4.0, "dbt": 5.0}
    entries = [entry(name, [seconds], peak=1_000.0, task=task) for name, seconds in names.items()]
    page = render.page({"first": {"machine": MACHINE, "missing": {}, "entries": entries}}, "")
    assert "| first load of 1m: against the fastest peer (SQLMesh) | 0.75 x | 0.75 x | reached |" in page
    assert "| first load of 1m, 600 MB: against the fastest peer (SQLMesh) | 1.05 x | 1.05 x | reached |" in page
    assert "| first load of 1m, 600 MB: memory | 1 GB | 1.05 GB | **missed** |" in page


def test_days_in_a_row_are_compared_by_their_medians_and_folders_by_their_bytes() -> None:
    seconds = [0.5] * 5 + [1.0] * 10 + [3.0] * 1_070 + [1.2] * 10
    folders = {"logs": 100, "landing zone": 50}
    sizes = {"364": folders, "1092": {"logs": 105, "landing zone": 100}}
    entries = [entry("Boathouse", seconds, task="1095 days") | {"sizes": sizes}]
    page = render.page({"days": {"machine": MACHINE, "missing": {}, "entries": entries}}, "")
    assert "| 1,095 daily runs: the last against the tenth | 1.1 x | 1.20 x | **missed** |" in page
    assert "| 1,095 daily runs: logs of three years against one | 1.1 x | 1.05 x | reached |" in page
    assert "| 1,095 daily runs: landing zone of three years against one | 1.1 x | 2.00 x | **missed** |" in page


LOG = """\
2026-01-01 00:00:01.000Z | DEBUG    | 1 | run | bronze: hash_files, 4 tasks: 0.50 s, 1.00 s of processors
2026-01-01 00:00:02.000Z | DEBUG    | 1 | run | bronze.shop.orders: read_files, 4 tasks: 1.25 s, 30.00 s of processors
2026-01-01 00:00:03.000Z | DEBUG    | 1 | run | bronze.shop.late: read_files, 2 tasks: 0.25 s, 6.00 s of processors
2026-01-01 00:00:04.000Z | DEBUG    | 1 | run | silver.shop.orders: rank, 2 tasks: 0.10 s, 2.00 s of processors
"""


def a_load(log: Path) -> list[dict[str, object]]:
    """A load of 10 million rows and 1 GB by two workers, and a table of 1,000 files committed and opened."""
    log.write_text(LOG)
    parts = {
        "driver": {"cpu_seconds": 3.0, "read_mib": 1.0, "written_mib": 1.0, "peak_mib": 200.0},
        "worker 1": {"cpu_seconds": 21.0, "read_mib": 900.0, "written_mib": 300.0, "peak_mib": 150.0},
        "worker 2": {"cpu_seconds": 6.0, "read_mib": 700.0, "written_mib": 310.0, "peak_mib": 150.0},
    }
    load = entry("Boathouse, ENGINE=workers", [20.0], task="first load of 10m")
    sizes = {
        name: {"bytes": size, "files": 365}
        for name, size in {"landed": 10**9, "bronze": 3 * 10**8, "silver": 1}.items()
    }
    rows = {"bronze": 10_000_000, "rejected": 500_000, "silver": 9_000_000}
    load |= {
        "result": {name: {"rows": count} for name, count in rows.items()},
        "parts": parts,
        "stages": stages(log),
        "sizes": sizes,
    }
    commit = entry("Boathouse", [4.0], task="a commit of 1,000 files")
    opening = entry("Boathouse", [0.5], task="opening a table of 1,000 files")
    sizes = {"log entry": {"bytes": 400_000, "files": 1_000}}
    return [load, commit | {"sizes": sizes}, opening | {"sizes": sizes}]


def test_what_a_load_takes_on_many_nodes_follows_from_its_stages_and_how_they_are_cut(tmp_path: Path) -> None:
    found = {"scale": {"machine": MACHINE, "missing": {}, "entries": a_load(tmp_path / "app.log")}}
    one = cost.measured(found)
    assert one is not None
    little, much = (cost.estimate(one, landed, nodes) for landed, nodes in ((1e9, 1), (1e13, 200)))
    assert (little.tasks, little.buckets, little.rows) == (16, 16, 10_000_000)
    assert little.seconds == pytest.approx(1 / 16 + 36 / 16 + 2 / 16)
    assert (much.tasks, much.buckets, much.staged_files) == (23_438, 200, 4_687_600)
    assert much.processor == pytest.approx(390_000)
    # however many cores: 200 buckets, and 250 landed files that are read at once
    assert much.seconds == pytest.approx(10_000 / 3_200 + 360_000 / 250 + 20_000 / 200)
    assert much.shared == pytest.approx(500_000 * 8 * 10_000)
    assert much.committed == 23_438
    assert much.committing == pytest.approx(93.752)
    page = cost.section(found)
    assert "| bronze: read them (`read_files`) | 6 | 3.60 | 36.0 |" in page
    assert "The driver took 3.0 s of the processor, 10% of all" in page
    assert "Each worker read 700 to 900 MiB and wrote 300 to 310 MiB." in page
    assert "| 1,000 | 4.0 | 4.00 | 100 | 0.4 | 0.5 | 0.50 | 100 |" in page


def test_the_limits_of_the_arithmetic_are_those_of_the_product() -> None:
    assert (cost.A_TASK, cost.MOST_BUCKETS) == (limits._BYTES_A_TASK, limits._MOST_BUCKETS)
    assert cost.A_COMMIT == ingest.FILES_PER_COMMIT


def test_the_page_says_what_driver_and_workers_and_each_stage_took(tmp_path: Path) -> None:
    found = {"scale": {"machine": MACHINE, "missing": {}, "entries": a_load(tmp_path / "app.log")}}
    page = render.page(found, "")
    assert "| Boathouse, ENGINE=workers | worker 1 | 21.00 | 70% | 150 | 900 | 300 |" in page
    assert "| Boathouse, ENGINE=workers | read_files | 6 | 1.50 | 36.00 |" in page


WORKING = """
import multiprocessing
def spin(n): return sum(i * i for i in range(n))
if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        pool.map(spin, [8_000_000] * 4, chunksize=1)
"""


def test_the_parts_of_a_run_are_its_driver_and_each_process_of_its_pool(tmp_path: Path) -> None:
    (tmp_path / "working.py").write_text(WORKING)
    watch = Watch()
    figures = watch.run(measure.Command([sys.executable, "working.py"], tmp_path))
    assert list(watch.parts) == ["driver", "worker 1", "worker 2"]
    took = {name: part["cpu_seconds"] for name, part in watch.parts.items()}
    assert took["driver"] < min(took["worker 1"], took["worker 2"])
    assert sum(took.values()) == pytest.approx(figures.cpu_seconds, abs=1.0)


def test_tasks_of_the_same_product_stay_beside_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "FOLDER", tmp_path)

    def kept() -> list[str]:
        return [one["task"] for one in results.read()["first"]["entries"]]

    results.write("first", MACHINE, {}, [scenarios.Entry("one", "1m"), scenarios.Entry("two", "1m")])
    results.write("first", MACHINE | {"date": "2026-01-03"}, {}, [scenarios.Entry("one", "10m")])
    assert kept() == ["1m", "1m", "10m"]
    results.write("first", MACHINE, {}, [scenarios.Entry("one", "1m")])
    assert kept() == ["10m", "1m"]
    results.write("first", MACHINE | {"commit": "def5678"}, {}, [scenarios.Entry("one", "30m")])
    assert kept() == ["30m"]


# -- many tables, many days


def test_every_table_of_many_has_a_contract_and_a_dbt_model(tmp_path: Path) -> None:
    many = ManyTables(tmp_path, shops.names(2))
    many.make()
    shutil.move(tmp_path / "contracts", tmp_path / "src")
    declared = contract.load(tmp_path / "src")
    assert [len(declared.feeds), len(declared.silver), len(declared.gold)] == [20, 20, 20]
    assert sum(one.partition_by != () for one in declared.gold.values()) == 10
    models = {path.stem: path.read_text(encoding="utf-8") for path in (tmp_path / "dbt/models").rglob("*.sql")}
    assert len(models) == 60
    assert set(re.findall(r"ref\('(\w+)'\)", " ".join(models.values()))) < set(models)
    assert sum("unique_key='day'" in text for text in models.values()) == 10
    yesterday, today = (sorted(day.rglob("*.csv")) for day in many.days)
    assert [len(yesterday), len(today), len(today[0].read_text(encoding="utf-8").splitlines())] == [20, 20, 201]


@pytest.mark.long
def test_every_scenario_runs_in_its_short_form(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ["20k-20-days"], 1, False, True, Boathouse(), Floor(), [])
    bench.boathouse.prepare(tmp_path)
    without = {"cluster"} if any(Path("/usr/lib").glob("*/faketime")) else {"cluster", "days"}
    for name in sorted(set(plan.SCENARIOS) - without, key=lambda name: (name == "days", name)):  # last: its state stays
        entries = [one for found in plan.SCENARIOS[name](bench) for one in found]
        assert [(one.task, one.failed) for one in entries if one.failed or not one.rounds] == [], name
    if "days" not in without:
        kept = [path.name for path in (tmp_path / "work/boathouse/logs").glob("app.*")]
        assert sorted(kept)[:2] == ["app.2025-12-18.log", "app.2025-12-19.log"]  # of 20 days, as old as they are


@pytest.mark.long
def test_a_cluster_and_spark_with_delta_on_it_end_with_the_same_tables(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ["20k-20-days"], 1, False, True, Boathouse(), Floor(), [])
    bench.boathouse.prepare(tmp_path)
    try:
        [entries] = plan.SCENARIOS["cluster"](bench)
    except Missing as reason:
        pytest.skip(str(reason))
    assert [one.contender for one in entries if one.failed or not one.result] == []
    assert {name for one in entries for name in one.parts} == {"driver", "worker 1", "worker 2"}


def test_the_longest_bar_fills_the_plot_and_others_their_share() -> None:
    drawn = plots.bars([("a day", [("Boathouse", 1.0, "1 s"), ("peer <2>", 4.0, "4 s")])], "Boathouse")
    assert 'class="own" x="250" y="37" width="120.0"' in drawn
    assert 'class="bar" x="250" y="61" width="480.0"' in drawn
    assert "peer &lt;2&gt;" in drawn


def test_a_cell_a_version_and_progress_of_any_table_tell_two_lakes_apart(tmp_path: Path) -> None:
    header, row = "order_id,day,amount,updated\n", "1,2024-01-01,10,1\n"
    loads = {
        "one": [row + "x\n"],
        "two": [row + "x\n"],
        "cell": [row.replace("10", "11") + "x\n"],
        "runs": [row, "x\n"],
    }
    found = {}
    for name, texts in loads.items():
        shop = Lake(tmp_path / name).shop()
        for nth, text in enumerate(texts):
            shop.land(f"shop/orders/{nth}.csv", header + text)
            shop.good()
        found[name] = cells.of_lake(shop.data)
    assert set(found["one"]) == {
        "bronze.shop.orders",
        "gold.shop.daily",
        "quarantine.shop.orders",
        "silver.shop.orders",
    }
    assert found["two"] == found["one"]
    differ = {
        name: [table for table, its in found["cell"].items() if its[name] != found["one"][table][name]]
        for name in ("cells", "version")
    }
    assert differ == {"cells": ["bronze.shop.orders", "silver.shop.orders", "gold.shop.daily"], "version": []}
    bronze = {name: found[name]["bronze.shop.orders"] for name in ("one", "runs")}
    assert (bronze["one"]["version"], bronze["runs"]["version"]) == (1, 2)
    assert bronze["one"]["progress"] != bronze["runs"]["progress"]
