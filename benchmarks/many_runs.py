"""A lake of many tables and many runs, and what a look at it takes: 600 tables, 1,000 runs of daily work.

One domain of 10 feeds, 10 silver and 10 gold tables is run for real, day by day, with every monitor's figures. Its
tables are then copied under the names of the other domains: the same files, and logs that name the other domain and
the day of each run. The records under ops are those of its last day, for every domain and day; they lie as the weekly
`optimize` leaves them, with a commit for each run since. A last run over all tables finds nothing to do, which proves
that the copies are what a run would have left. Rows of bronze still name the files of the first domain.

Usage: python -m benchmarks.many_runs FOLDER [--domains 20] [--runs 1000] [--rounds 3] [--against ANOTHER_CLONE]
"""

from __future__ import annotations

import argparse
import bisect
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from deltalake import DeltaTable
from loguru import logger

import main as program
from benchmarks import machine
from benchmarks.shops import COUNTRIES, TABLES, declare
from src import catalog, contract, lake, monitors
from src.commands.run import pipeline
from src.contract import Contracts
from src.engine import identifier
from src.lake.log import entry_hash
from src.project import open_project
from src.run import runs
from src.settings import load

ROOT = Path(__file__).resolve().parent.parent
FIRST = "shop00"  # the domain that is run for real; no hexadecimal name, so that no file's name has it
DATED = 6  # of a domain's tables, in each layer, are partitioned by day
DAYS, LIVED = 45, 20  # of data in the first load; runs for real
TAIL = 7  # runs since the last optimize
DAY = timedelta(days=1)
_MOMENT = re.compile(r"\b1[0-9]{12}\b")  # milliseconds since 1970, in a log entry


def build(folder: Path, domains: int, days: int) -> None:
    """Make the lake, if the folder does not hold it yet: a project, and its lake in data."""
    if (folder / "done").exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    names = [f"shop{nth:02}" for nth in range(domains)]
    stage, project = folder / "stage", folder / "project"
    declare(stage, [FIRST], DATED)
    declare(project, names, DATED)
    last = datetime.now(UTC).replace(hour=3, minute=0, second=0, microsecond=0)
    if last > datetime.now(UTC):
        last -= DAY
    shifts = _live(stage, last)
    _copy(stage / "data", project / "data", names, shifts)
    _record(stage, project, names, days, last)
    _run(project)
    (folder / "done").touch()


# -- one domain, for real


def _live(stage: Path, last: datetime) -> list[tuple[int, int]]:
    """Run the first domain day by day; returns from which moment on time went how much too late, both in ms."""
    shifts: list[tuple[int, int]] = []
    real = runs.now
    for back in range(LIVED, -1, -1):
        began, at = real(), last - back * DAY
        shift = began - at
        for day in range(DAYS if back == LIVED else 1):
            _land(stage / "data/landing", (at - (day + 1) * DAY).replace(tzinfo=None))
        shifts.append((_ms(began), _ms(began) - _ms(at)))
        runs.now = partial(_before, real, shift)
        with open_project(load(stage, {})) as project:
            done = pipeline(project, program.carry)
            assert not done.failures, done.error()
            monitors.record(project.engine, project.settings.data_dir, monitors.evaluate(project, runs.now()))
    runs.now = real
    return shifts


def _before(real: Callable[[], datetime], shift: timedelta) -> datetime:
    return real() - shift


def _land(landing: Path, midnight: datetime) -> None:
    midnight = midnight.replace(hour=0)
    for nth in range(TABLES):
        lines = ["sale_id,country,amount,sold_at"]
        for row in range(40):
            amount = (row * 37 + nth * 11 + midnight.day) % 900 / 10 * (-1 if row % 10 == 9 else 1)
            key, sold = midnight.toordinal() * 100 + row, midnight + timedelta(minutes=row * 30)
            text = "n/a" if row == 39 and nth == 0 and midnight.day % 5 == 0 else f"{amount:.2f}"
            lines.append(f"{key},{COUNTRIES[(row * row) % 8]},{text},{sold}")
        file = landing / FIRST / f"t{nth}/{midnight:%Y-%m-%d}.csv"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(lines) + "\n", "utf-8")


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


# -- every other domain, copied


def _copy(stage: Path, data: Path, names: list[str], shifts: list[tuple[int, int]]) -> None:
    """Copy the tables of the first domain under the name of each, with logs that say so, and the landing zone."""
    was, now = contract.load(stage.parent / "src"), contract.load(data.parent / "src")
    for name in names:  # what one table's log says of another's entry, and of its contract
        hashes = _fingerprints(was, now, name)
        for root in map(stage.joinpath, ("bronze", "silver", "quarantine", "gold")):
            for table in sorted((root / FIRST).iterdir()) if root.exists() else ():
                target = data / root.name / name / table.name
                shutil.copytree(table, target, ignore=shutil.ignore_patterns("*.checkpoint.parquet", "_last_*"))
                _rename(table, target, name, shifts, hashes)
        shutil.copytree(stage / "landing" / FIRST, data / "landing" / name)


def _fingerprints(was: Contracts, now: Contracts, name: str) -> dict[str, str]:
    """Return by the fingerprint of each contract of the first domain that of its copy."""
    of = contract.fingerprint
    found = {of(table): of(now.gold[key.replace(FIRST, name)]) for key, table in was.gold.items()}
    found |= {of(table): of(now.silver[key.replace(FIRST, name)]) for key, table in was.silver.items()}
    return {str(old): str(new) for old, new in found.items()}


def _rename(table: Path, target: Path, name: str, shifts: list[tuple[int, int]], hashes: dict[str, str]) -> None:
    """Let a copied log say its own domain and the days of the runs; with a checkpoint every ten entries."""

    def moved(found: re.Match[str]) -> str:
        at = bisect.bisect_right(shifts, (int(found[0]), sys.maxsize)) - 1
        return str(int(found[0]) - shifts[max(0, at)][1])

    known = re.compile("|".join(hashes)) if hashes else None
    versions = sorted(lake.entry_versions(target))
    for version in versions:
        path = target / f"_delta_log/{version:020}.json"
        text = _MOMENT.sub(moved, path.read_text("utf-8").replace(FIRST, name))
        path.write_text(known.sub(lambda found: hashes[found[0]], text) if known else text, "utf-8")
        was, now = (entry_hash(root, version) for root in (table, target))
        hashes[str(was)] = str(now)
    if newest := versions[-1] // 10 * 10:
        DeltaTable(str(target), version=newest).create_checkpoint()


# -- the records


def _record(stage: Path, project: Path, names: list[str], days: int, last: datetime) -> None:
    """Write the records of every run: those of the last day of the first domain, for each domain and day."""
    with open_project(load(project, {})) as opened:
        engine, data = opened.engine, opened.settings.data_dir
        engine.table("shops", f"SELECT unnest({names!r}) AS shop")
        for table_id, root in catalog.tables(stage / "data").items():
            template = lake.open_table(root)
            if not table_id.startswith("ops.") or not template:
                continue
            catalog.publish(engine, {table_id: root})
            moment = next(name for name, kind in template.columns.items() if kind.startswith("TIMESTAMP"))
            engine.table("template", f"SELECT * FROM {table_id} WHERE {moment} >= TIMESTAMPTZ '{last}'")
            target = lake.create(data.joinpath(*table_id.split(".")), template.columns)
            for newest, oldest in (
                (days // 2, days),
                (TAIL, days // 2),
                *((n, n + 1) for n in range(TAIL - 1, -1, -1)),
            ):
                files = engine.write(_rows(template.columns, last, days, newest, oldest), target.root)
                target = lake.commit(target, add=files)
                if oldest == days // 2:
                    target = lake.compact(target, ())  # as the weekly optimize leaves it


def _rows(columns: Mapping[str, str], last: datetime, days: int, newest: int, oldest: int) -> str:
    """Return SQL of the records of some runs, counted back from the last one."""
    run_id = (
        f"strftime(TIMESTAMP '{last:%Y-%m-%d %H:%M:%S}' - to_days(n), '%Y%m%dT%H%M%S000-') || left(md5(n::VARCHAR), 6)"
    )
    own = {"run_id": run_id, "as_of": run_id, "number": f"{days} - n", "releases": f"{days} - n - 1"}
    if "records_read" in columns:
        own["latency"] = "latency * (0.8 + hash(shop, n) % 40 / 100)"
    values = (f"{own.get(name) or _moved(name, kind)} AS {identifier(name)}" for name, kind in columns.items())
    texts = ", ".join(identifier(name) for name, kind in columns.items() if kind == "VARCHAR")
    return (
        f"SELECT {', '.join(values)} FROM template, shops, range({newest}, {oldest}) r(n) "
        f"WHERE shop = '{FIRST}' OR contains(concat_ws(' ', {texts}), '{FIRST}') ORDER BY n DESC"
    )


def _moved(column: str, kind: str) -> str:
    """Return SQL of a value as it was n days before, in another shop."""
    if kind == "DATE" or kind.startswith("TIMESTAMP"):
        return f"({identifier(column)} - to_days(n))::{kind}"
    return f"replace({identifier(column)}, '{FIRST}', shop)" if kind == "VARCHAR" else identifier(column)


def _run(root: Path) -> None:
    """Run everything once: nothing has landed, so nothing may change."""
    with open_project(load(root, {})) as project:
        done = pipeline(project, program.carry)
        changed = [step.table_id for step in done.steps if step.records_written or step.status != "success"]
        assert not changed, changed
        monitors.record(project.engine, project.settings.data_dir, monitors.evaluate(project, runs.now()))


# -- what a look takes


def look(folder: Path, against: Path | None, rounds: int) -> None:
    """Print the wall and processor seconds of `status` from the shell, and of looks within one process, the least each.

    `against`: another clone of the product; every round asks both, one after the other.
    """
    found = machine.described()
    print(f"{found['cores']} cores, {found['processor']}, commit {found['commit']}")
    clones = {"this": ROOT, **({"against": against} if against else {})}
    figures: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for name, clone, _ in ((*pair, nth) for nth in range(rounds) for pair in clones.items()):
        for what, seconds in _asked(clone, folder / "project"):
            figures.setdefault((what, name), []).append(seconds)
    print(f"{'':14}" + "".join(f"{f'{name}: wall s':>16}{'cpu s':>8}" for name in clones) + f"{'ratio of cpu':>14}")
    for what in dict.fromkeys(what for what, _ in figures):
        least = [tuple(map(min, zip(*figures[what, name], strict=True))) for name in clones]
        print(
            f"{what:14}"
            + "".join(f"{wall:16.2f}{cpu:8.2f}" for wall, cpu in least)
            + f"{least[-1][1] / least[0][1]:14.1f}"
        )


# In a process of its own, of either clone: opening the project, a first look, and one more as a page makes it.
_LOOKS = """
import sys, time
from pathlib import Path
from src import monitors
from src.project import open_project
from src.run import runs
from src.settings import load

def timed(what, began=[time.perf_counter(), time.process_time()]):
    now = [time.perf_counter(), time.process_time()]
    print(what, now[0] - began[0], now[1] - began[1])
    began[:] = now

with open_project(load(Path(sys.argv[1]), {})) as project:
    timed("contracts")
    for what in ("look", "another-look"):
        monitors.evaluate(project, runs.now())
        timed(what)
"""


def _asked(clone: Path, project: Path) -> Iterator[tuple[str, tuple[float, float]]]:
    """Yield what was timed of one clone: wall and processor seconds."""
    began = time.perf_counter()
    status = [sys.executable, str(clone / "main.py"), "status", "--project", str(project)]
    process = subprocess.Popen(status, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    used = os.wait4(process.pid, 0)[2]
    yield "status", (time.perf_counter() - began, used.ru_utime + used.ru_stime)
    looks = [sys.executable, "-c", _LOOKS, str(project)]
    for line in subprocess.run(looks, cwd=clone, capture_output=True, text=True, check=True).stdout.splitlines():
        what, wall, cpu = line.split()
        yield what, (float(wall), float(cpu))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--domains", type=int, default=20)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=0, help="of timing looks at it")
    parser.add_argument("--against", type=Path, help="another clone, to be timed beside this one")
    args = parser.parse_args()
    logger.remove()
    build(args.folder.resolve(), args.domains, args.runs)
    if args.rounds:
        look(args.folder.resolve(), args.against, args.rounds)
