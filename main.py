"""What a person types: run (the default), plan, status, query, check, docs.

`run` carries what landed through bronze, silver and gold, strictly in this order, and blocks what
depends on a failed step and nothing else. Exit codes are those of src/errors.py.
"""

from __future__ import annotations

import argparse
import os
import sys
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

from src import contract, lake, settings
from src.errors import BUG_EXIT_CODE, BoathouseError, ContractError, UsageError
from src.observe import console

if TYPE_CHECKING:
    from src.contract import Contracts, Table
    from src.engine import DuckEngine
    from src.observe.runs import Run
    from src.outcome import Outcome
    from src.settings import Settings
    from src.silver.clean import Places

ROOT = Path(__file__).resolve().parent


@dataclass(frozen=True)
class House:
    """What every command works with: the settings, the contracts and one engine."""

    told: Settings
    contracts: Contracts
    marts: list[Table]  # gold tables, each after those it reads
    engine: DuckEngine

    @property
    def landing(self) -> Path:
        return self.told.data_dir / "landing"

    def place(self, table_id: str) -> Path:
        return lake.place(self.told.data_dir, table_id)

    def table(self, table_id: str) -> lake.Snapshot | None:
        return lake.open_table(self.place(table_id))


# -- run: bronze, then silver, then gold


def run(house: House, domain: str | None) -> Run:
    """Carry everything that landed through the three layers and record what was done."""
    from src.bronze import ingest
    from src.gold import aggregate
    from src.observe import runs
    from src.silver import clean

    _check_domain(house.contracts, domain)
    with _held(house, f"make pipeline{f' DOMAIN={domain}' if domain else ''}") as this:
        _land_samples(house)
        this.unclaimed = ingest.unclaimed(house.landing, house.contracts.feeds.values())
        wanted = _Wanted(house, domain)
        with console.progress(len(wanted.feeds) + len(wanted.silver) + len(wanted.gold)) as bar:

            def step(name: str, work: Callable[[], Outcome], needs: Iterable[str] = (), source: str = "") -> None:
                if bar:
                    bar.start(name)
                this.step(name, work, needs=needs, source=source)
                if bar:
                    bar.done()

            for feed in wanted.feeds:
                step(
                    feed.id,
                    lambda feed=feed: ingest.run(  # type: ignore[misc]
                        house.engine,
                        house.landing,
                        house.place(feed.id),
                        feed,
                        batch=this.run_id,
                        now=this.started,
                        settle=house.told.settle_seconds,
                    ),
                    source=feed.path,
                )
            for table in wanted.silver:
                feeds = [feed.id for feed in table.feeds]
                places = _places(house, table)
                step(
                    table.id,
                    lambda table=table, places=places: clean.run(  # type: ignore[misc]
                        house.engine, table, places, batch=this.run_id
                    ),
                    needs=[*feeds, *_referred(table)],
                )
            for table in wanted.gold:
                step(
                    table.id,
                    lambda table=table: aggregate.run(  # type: ignore[misc]
                        house.engine,
                        table,
                        house.place(table.id),
                        _sources(house, table),
                        {name: found for name in _referred(table) if (found := house.table(name))},
                        batch=this.run_id,
                    ),
                    needs=[*table.sources, *_referred(table)],
                )
        this.finish()
        runs.write(house.engine, house.told.data_dir, this)
    return this


class _Wanted:
    """The feeds and tables of one domain, or of all; a mart belongs to the domains it reads."""

    def __init__(self, house: House, domain: str | None) -> None:
        contracts = house.contracts
        self.feeds = [feed for feed in contracts.feeds.values() if domain in (None, feed.domain)]
        self.silver = [table for table in _referred_first(contracts.silver) if domain in (None, table.domain)]
        below = {table.id for table in self.silver}
        self.gold: list[Table] = []
        for table in house.marts:
            if below & set(table.sources):
                self.gold.append(table)
                below.add(table.id)


def _sources(house: House, table: Table) -> dict[str, lake.Snapshot]:
    found = {name: house.table(name) for name in table.sources}
    missing = [name for name, snapshot in found.items() if snapshot is None]
    if missing:
        fix = "run `make pipeline` without DOMAIN, so that every table it reads is built"
        raise ContractError(f"{table.id} reads {', '.join(missing)}, not built yet", where=table.path, fix=fix)
    return {name: snapshot for name, snapshot in found.items() if snapshot}


def _places(house: House, table: Table) -> Places:
    from src.silver.clean import Places

    return Places(
        table=house.place(table.id),
        quarantine=house.place(f"quarantine.{table.domain}.{table.name}"),
        deletions=house.place(f"deletions.{table.domain}.{table.name}"),
        bronze={feed.id: house.place(feed.id) for feed in table.feeds},
        refers={relationship.to_table: house.place(relationship.to_table) for relationship in table.relationships},
    )


def _referred_first(tables: Mapping[str, Table]) -> list[Table]:
    """Tables after those that their foreign keys name; where these go in a circle, as they come."""
    graph = {name: [other for other in _referred(table) if other in tables] for name, table in tables.items()}
    try:
        return [tables[name] for name in TopologicalSorter(graph).static_order()]
    except CycleError:
        return list(tables.values())


def _referred(table: Table) -> list[str]:
    """The other tables that a table's foreign keys name."""
    return [name for relationship in table.relationships if (name := relationship.to_table) != table.id]


def _land_samples(house: House) -> None:
    """Give a newcomer something to see: the sample company's files, where nothing has landed at all."""
    told = house.told
    if not told.sample_feed or any(path.is_file() for path in house.landing.rglob("*")):
        return
    from datetime import UTC, datetime

    from src.demo import sales

    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    files = sales.land(house.landing, days=told.sample_days, last=yesterday, seed=told.sample_seed)
    print(f"The landing zone was empty: landed {len(files)} files of the sample company in {house.landing}.")
    print("Set SAMPLE_FEED=false in .env once you land files of your own.")


def _check_domain(contracts: Contracts, domain: str | None) -> None:
    known = sorted({feed.domain for feed in contracts.feeds.values()})
    if domain is not None and domain not in known:
        raise UsageError(f"unknown domain {domain}", fix=f"the domains are {', '.join(known)}")


# -- what stands around a command


@contextmanager
def engine(told: Settings) -> Iterator[DuckEngine]:
    """One engine for the length of a with-block."""
    from src.engine import DuckEngine

    spill = told.data_dir / ".spill"
    running = DuckEngine(memory_limit=told.memory_limit, threads=told.threads or os.cpu_count() or 1, spill=spill)
    try:
        yield running
    finally:
        running.close()


@contextmanager
def opened(told: Settings, source: Path = ROOT / "src") -> Iterator[House]:
    """The house with the contracts below `source`, its engine running for the length of a with-block.

    Raises:
        Faults: contracts or models that are not what they should be, all of them at once.
    """
    from src.gold import aggregate

    contracts = contract.load(source)
    with engine(told) as running:
        marts = aggregate.resolve(running, contracts.gold.values(), contracts.silver)
        yield House(told, contracts, marts, running)


@contextmanager
def _held(house: House, command: str) -> Iterator[Run]:
    """The lake, held by one new run."""
    from src.observe import lock, runs

    started = runs.now()
    run_id = f"{started:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:6]}"
    with lock.held(house.told.data_dir, command=command, run_id=run_id, now=started) as dead:
        this = runs.Run(run_id, started.date() - timedelta(days=1), runs.now)
        if dead:
            this.interrupted(dead)
        yield this


# -- the other commands


def _run(told: Settings, words: argparse.Namespace) -> int:
    with opened(told) as house:
        this = run(house, words.domain)
    steps = [record for record in this.records if record.run_id == this.run_id and record.layer != "run"]
    console.changes(steps)
    console.unclaimed(this.unclaimed)
    error = this.error()
    if error is None:
        console.finished(this.records[-1], steps)
        return 0
    console.failed(error)
    return error.exit_code if isinstance(error, BoathouseError) else BUG_EXIT_CODE


def _plan(told: Settings, words: argparse.Namespace) -> int:
    from src.observe import preview

    with opened(told) as house:
        _check_domain(house.contracts, words.domain)
        wanted = _Wanted(house, words.domain)
        data, settle = told.data_dir, told.settle_seconds
        rows = preview.rows(data, wanted.feeds, wanted.silver, wanted.gold, settle=settle)
    console.table(("table", "would", "why"), rows)
    return 0


def _status(told: Settings, words: argparse.Namespace) -> int:
    from src.observe import status

    with opened(told) as house:
        status.show(house.engine, told.data_dir, [*house.contracts.feeds, *house.contracts.silver, *house.contracts.gold])
    return 0


def _query(told: Settings, words: argparse.Namespace) -> int:
    from src.observe import query

    with engine(told) as running:
        return query.show(running, told.data_dir, words.sql, words.format)


def _check(told: Settings, words: argparse.Namespace) -> int:
    from src.maintenance import check

    with opened(told) as house:
        return check.show(house.engine, told.data_dir, house.contracts, house.marts)


def _docs(told: Settings, words: argparse.Namespace) -> int:
    from src.observe import documents

    with opened(told) as house:
        documents.write(ROOT, house.contracts, house.marts)
    return 0


def _words(typed: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="main.py", description="Boathouse: a lakehouse that fits in a folder.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    told = {
        "run": (_run, "carry what landed through bronze, silver and gold (the default)"),
        "plan": (_plan, "say what a run would do, and why; changes nothing"),
        "status": (_status, "the last run and the state of every table"),
        "query": (_query, "run a SELECT over any table, named layer.domain.table"),
        "check": (_check, "prove the laws on the lake as it lies on disk"),
        "docs": (_docs, "render the documents that are made from contracts and settings"),
    }
    for name, (act, line) in told.items():
        command = commands.add_parser(name, help=line, description=line)
        command.set_defaults(act=act)
        if name in ("run", "plan"):
            command.add_argument("--domain", help="one domain only")
        if name == "query":
            command.add_argument("sql", help="for example: SELECT * FROM gold.sales.daily_revenue LIMIT 5")
            command.add_argument("--format", choices=("table", "csv", "json"), default="table")
    return parser.parse_args(typed or ["run"])


def main(typed: list[str]) -> int:
    """Run one command; returns the exit code."""
    words = _words(typed)
    heartbeat = words.act is _run
    try:
        told = settings.load(ROOT, os.environ)
        from src.observe import logs

        level = "WARNING" if sys.stdout.isatty() or not heartbeat else told.log_level
        logs.start(told.log_dir, level=told.log_level, secrets=told.secrets(), console_level=level)
        code: int = words.act(told, words)
        return code
    except BoathouseError as error:
        (console.failed if heartbeat else console.complain)(error)
        return error.exit_code
    except BrokenPipeError:
        return 0
    except Exception as error:  # the edge: a bug has a traceback in the log and one line on the console
        from loguru import logger

        logger.opt(exception=error).critical("a bug: {}: {}", type(error).__name__, error)
        console.failed(error)
        return BUG_EXIT_CODE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
