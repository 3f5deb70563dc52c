"""The scenarios: what each of them starts from, who takes part, how often."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from benchmarks import cells, machine, scenarios, shops
from benchmarks.cluster import cluster as spark_cluster
from benchmarks.contenders import Boathouse, Contender, Floor
from benchmarks.days import Diary, library
from benchmarks.many import ManyTables
from benchmarks.measure import Command, run
from benchmarks.parts import Watch, stages, weighed
from benchmarks.peers import Peer, SparkDelta
from benchmarks.scenarios import Entrant, Entry, check_equal

# rows and days of a history; 1m-37-days and 30m-1095-days have as many rows a day as 10m
HISTORIES = {
    "1m": (1_000_000, 365),
    "10m": (10_000_000, 365),
    "20m": (20_000_000, 365),
    "30m": (30_000_000, 365),
    "1m-37-days": (1_013_697, 37),
    "30m-1095-days": (30_000_000, 1095),
    "1m-1095-days": (1_000_000, 1095),
    "20k-20-days": (20_000, 20),
}
LITTLE = "600MB"  # the MEMORY_LIMIT of those who take part with little memory
ROOM = {"MEMORY_LIMIT": "4GB"}  # what a state is prepared with: it is not measured, and 30m come in one load
PEERS_UP_TO = 10_000_000  # rows of the largest history that peers are asked to load
SMALL_JAVA = {"spark.executor.memory": "512m", "spark.driver.memory": "512m"}  # unless a contender asks for more
COMMITS = (1_000, 10_000, 100_000)  # files of one commit
OFTEN, SHORT, LONG = 9, 5, 3  # rounds
WEEK, QUARTER = 7, 91  # days
QUERY = "SELECT country, sum(revenue) AS revenue FROM gold.orders.daily_revenue GROUP BY country ORDER BY revenue DESC"


@dataclass
class Bench:
    """One call of the runner: what was asked, who takes part, and where things lie."""

    folder: Path
    sizes: Sequence[str]
    asked_rounds: int | None
    fresh: bool
    quick: bool  # what has a size of its own takes the first of `sizes` instead
    boathouse: Boathouse
    floor: Floor
    peers: list[Peer]
    renewed: set[Path] = field(default_factory=set)

    def alone(self) -> list[Contender]:
        return [self.boathouse, self.floor]

    def everyone(self, size: str) -> list[Contender]:
        return [*self.alone(), *(self.peers if HISTORIES[size][0] <= PEERS_UP_TO else [])]

    def rounds(self, usual: int) -> int:
        return self.asked_rounds or usual

    def size(self, own: str) -> str:
        return self.sizes[0] if self.quick else own

    def history(self, size: str, form: str = "csv") -> list[Path]:
        return sorted(self._made(size, "--format", form).iterdir())

    def increment(self, size: str, rows: int, back: int = 7) -> Path:
        return self._made(size, "--increment", str(rows), "--back", str(back))

    def _made(self, size: str, *words: str) -> Path:
        """What the generator makes, in a process of its own, so that this one stays small."""
        rows, days = HISTORIES[size]
        shape = [str(self.folder / "data"), str(rows), "--days", str(days)]
        return Path(machine.told([sys.executable, "-m", "benchmarks.generate", *shape, *words]).strip())

    def state(self, contender: Contender, size: str) -> Path:
        return self.folder / "states" / size / contender.slug

    def base(self, contender: Contender, size: str) -> Path:
        """A contender's tables after the first load of a history; kept from one call to the next."""
        state, files = self.state(contender, size), self.history(size)
        if _loaded_from(state) != str(files[0]) or (self.fresh and state not in self.renewed):
            said(f"  preparing: {contender.name}, first load of {size}")
            _mark(state).unlink(missing_ok=True)
            load = Entrant(contender, "", partial(contender.load, files=files), state=state)
            command = load.command(scenarios.started(load, self.folder / "work"))
            run(replace(command, environ={**command.environ, **ROOM}))
            _mark(state).write_text(str(files[0]), encoding="utf-8")
            self.renewed.add(state)
        return state

    def measured(self, entrants: Sequence[Entrant], usual: int) -> list[Entry]:
        return scenarios.measured(entrants, self.rounds(usual), self.folder / "work", said)


def _mark(state: Path) -> Path:
    """The file beside a state that says from where it was loaded; a state without it may be half loaded."""
    return state.with_name(f"{state.name}.loaded")


def _loaded_from(state: Path) -> str:
    return _mark(state).read_text(encoding="utf-8") if _mark(state).exists() else ""


def _loaded_by_all(bench: Bench) -> list[str]:
    """The histories that are not too large for peers, which also are those that a first load is measured with."""
    return [size for size in bench.sizes if HISTORIES[size][0] <= PEERS_UP_TO]


def _load(one: Contender, files: Sequence[Path]) -> Callable[[Path], Command]:
    return partial(one.load, files=files)


def _typed(one: Boathouse, *words: str) -> Callable[[Path], Command]:
    return lambda state: one.command(state, *words)


def _later(bench: Bench, one: Contender, size: str, task: str, command: Callable[[Path], Command]) -> Entrant:
    """What a contender does after its first load of a history, in a copy of its state.

    By times and inodes, which a copy does not keep, Boathouse knows what has not changed since its last run. So it
    runs in the copy before, with nothing new.
    """
    base = partial(bench.base, one, size)
    return Entrant(one, task, command, base, before=_load(one, []) if one is bench.boathouse else None)


def said(line: str) -> None:
    print(line, flush=True)


# -- the scenarios: each yields what it measured as soon as it has it


def bronze(bench: Bench) -> Iterator[list[Entry]]:
    """Files into bronze and no further, against COPY of the same files to Parquet."""
    sizes = [size for size in bench.sizes if size != "30m"]
    for size, form in [*((size, "csv") for size in sizes), *((sizes[0], form) for form in ("ndjson", "parquet"))]:
        task, files = f"bronze of {size}, {form}", bench.history(size, form)
        entrants = [
            Entrant(one, task, partial(one.bronze, files=files, form=form), compared=["bronze"])
            for one in (bench.boathouse, bench.floor)
        ]
        yield bench.measured(entrants, SHORT if size == "1m" else LONG)


def first(bench: Bench) -> Iterator[list[Entry]]:
    """The whole history at once, into nothing; the last round leaves the state that other scenarios start from."""
    for size in _loaded_by_all(bench):
        files, task, entrants = bench.history(size), f"first load of {size}", []
        little = bench.boathouse.limited(LITTLE)
        for one in bench.everyone(size):
            state = bench.state(one, size)
            _mark(state).unlink(missing_ok=True)
            entrants.append(Entrant(one, task, _load(one, files), state=state))
        entrants.insert(1, Entrant(little, task, _load(little, files)))
        found = bench.measured(entrants, SHORT if size == "1m" else LONG)
        for entrant, entry in zip(entrants, found, strict=True):
            if entrant.state and not entry.failed:
                _mark(entrant.state).write_text(str(files[0]), encoding="utf-8")
        yield found


def large(bench: Bench) -> Iterator[list[Entry]]:
    """The whole history of 30 million rows at once, with little memory; once, as the floor does it outside of time."""
    one, size = bench.boathouse.limited(LITTLE), bench.size("30m")
    files, state = bench.history(size), bench.state(bench.boathouse, size)
    whole = scenarios.checked(bench.floor, bench.base(bench.floor, size))
    _mark(state).unlink(missing_ok=True)
    entrant = Entrant(one, f"first load of {size}", _load(one, files), state=state)
    entry = scenarios.measured([entrant], 1, bench.folder / "work", said)[0]
    if not entry.failed:
        scenarios.check_equal([entry, Entry(bench.floor.name, entry.task, result=whole)])
        _mark(state).write_text(str(files[0]), encoding="utf-8")
    yield [entry]


def daily(bench: Bench, rows: int, sizes: Sequence[str] = ()) -> Iterator[list[Entry]]:
    """One more day, on tables that hold a history; all sizes in one run, so that they can be compared."""
    entrants = []
    for size in sizes if not bench.quick and sizes else bench.sizes:
        task, load = f"a day of {rows // 1000} k on {size}", partial(_load, files=[bench.increment(size, rows)])
        for one in bench.everyone(size) if not sizes else bench.alone():
            entrants.append(_later(bench, one, size, task, load(one)))
    yield bench.measured(entrants, SHORT)


def late(bench: Bench) -> Iterator[list[Entry]]:
    """A day of 30 k rows whose corrections go back 7, 30 and 60 days, on the largest history that peers load."""
    size = _loaded_by_all(bench)[-1]
    entrants = []
    for back in (7, 30, 60):
        task, load = (
            f"corrections {back} days back on {size}",
            partial(_load, files=[bench.increment(size, 30_000, back)]),
        )
        for one in bench.alone():
            entrants.append(_later(bench, one, size, task, load(one)))
    yield bench.measured(entrants, SHORT)


def idle(bench: Bench) -> Iterator[list[Entry]]:
    """A run with nothing new, one query, the list of commands: mostly imports. In one state, after a run like them."""
    one = bench.boathouse
    for size in bench.sizes:
        state = bench.folder / "work" / f"idle-{size}"
        scenarios.started(Entrant(one, "", one.command, base=partial(bench.base, one, size), state=state), state)
        run(one.load(state, []))
        tasks = {
            f"nothing new on {size}": _load(one, files=[]),
            f"a query on {size}": _typed(one, "main.py", "query", QUERY),
            "the list of commands (--help)": _typed(one, "main.py", "--help"),
        }
        entrants = [Entrant(one, task, what, state=state, compared=[], goes_on=True) for task, what in tasks.items()]
        yield bench.measured(entrants[: 2 if size != bench.sizes[-1] else 3], OFTEN)
        shutil.rmtree(state)


def many(bench: Bench) -> Iterator[list[Entry]]:
    """200 feeds of 200 rows a day, 200 silver and 200 gold tables of which half are by day: two days of them.

    dbt-duckdb has a model for each of the 600 tables and runs two at a time. In every round both go through all of it,
    each in one state; with nothing new they look at what landed and find it known.
    """
    tables = ManyTables(bench.folder / "many", shops.names(2 if bench.quick else 20))
    tables.make()
    own = tables.boathouse(bench.folder / "boathouse-many")
    both: list[Contender] = [own, *(tables.dbt(peer) for peer in bench.peers if peer.slug == "dbt-merge")]
    yesterday, today = ([day] for day in tables.days)

    def entrant(one: Contender, what: str, command: Callable[[Path], Command], compared: Sequence[str]) -> Entrant:
        state = bench.state(one, "many")
        return Entrant(one, f"{what} of {count} tables", command, None, state, compared, goes_on=what != "first run")

    count, kinds = 3 * len(list(tables.tables())), [f"{layer} of shops" for layer in ("bronze", "silver", "gold")]
    entrants = [
        *(entrant(one, "first run", _load(one, yesterday), kinds) for one in both),
        *(entrant(one, "a day", _load(one, today), kinds) for one in both),
        *(entrant(one, "nothing new", _load(one, []), kinds) for one in both),
        *(entrant(own, command, _typed(own, "main.py", command), []) for command in ("plan", "status")),
    ]
    yield bench.measured(entrants, LONG)


def check(bench: Bench) -> Iterator[list[Entry]]:
    """`make check` on 20 million rows, which recomputes and compares all of them, against a rebuild of them; once."""
    one, size = bench.boathouse, bench.size("20m")
    base, task = bench.base(one, size), f"{size}, all of it"
    again = _typed(one, "main.py", "rebuild", "--table", "silver.orders.order_lines")
    found = scenarios.measured(
        [
            Entrant(one, task, again, state=base, label="Boathouse, rebuild", goes_on=True),
            Entrant(one, task, _typed(one, "main.py", "check"), state=base, label="Boathouse, check", goes_on=True),
        ],
        1,
        bench.folder / "work",
        said,
    )
    yield found


def workers(bench: Bench) -> Iterator[list[Entry]]:
    """The whole history at once, by the process of the run itself and by two processes that it deals tasks out to."""
    size = bench.size("10m")
    files, task = bench.history(size), f"first load of {size}"
    environ = {"ENGINE": "workers", "WORKERS": "2"}
    two = replace(bench.boathouse, name=f"{bench.boathouse.name}, ENGINE=workers", slug="workers", environ=environ)
    yield bench.measured([Entrant(one, task, _load(one, files)) for one in (bench.boathouse, two)], LONG)


def cluster(bench: Bench) -> Iterator[list[Entry]]:
    """The whole history at once: by one process, by two that it deals tasks out to, and by a cluster of two workers.

    What these three leave is compared in every cell, version and progress of every table. Spark with Delta tables does
    the same work on the same cluster, and is compared in what all contenders are. A cluster has its master and its
    workers running already; of each run is measured what its driver and its executors take, from the start of the
    driver to its end.
    """
    size = bench.size("10m")
    files, task, one = bench.history(size), f"first load of {size}", bench.boathouse
    peer = SparkDelta()
    peer.prepare(bench.folder)
    shared = {"WORKERS_FROM": "10MB", "LOG_LEVEL": "DEBUG"}
    with spark_cluster(memory="4g", options=SMALL_JAVA) as spark:
        peer = replace(peer, master=spark.master, environ=spark.environ)
        workers = {"ENGINE": "workers", "WORKERS": "2", **shared}
        on_spark = {**spark.environ, **spark.settings, **shared}
        everyone: list[tuple[Contender, Watch]] = [
            (one, Watch()),
            (replace(one, name=f"{one.name}, ENGINE=workers", slug="workers", environ=workers), Watch()),
            (replace(one, name=f"{one.name}, ENGINE=spark", slug="spark", environ=on_spark), Watch(spark)),
            (peer, Watch(spark)),
        ]
        entrants = [Entrant(who, task, _load(who, files), run=watch.run) for who, watch in everyone]
        entries = bench.measured(entrants, 1)
        for (who, watch), entry in zip(everyone, entries, strict=True):
            entry.parts = watch.parts
            state = bench.folder / "work" / who.slug
            if who.slug in ("workers", "spark"):
                entry.stages = stages(state / "logs/app.log")
            if who is not peer and not entry.failed:
                entry.result |= cells.of_lake(state / "data")
        check_equal(entries[:-1])
        yield entries


def scale(bench: Bench) -> Iterator[list[Entry]]:
    """What a load that is dealt out is made of: its stages, its driver, and a table of many files by the driver."""
    size, one, watch = bench.sizes[0], bench.boathouse, Watch()
    environ = {"ENGINE": "workers", "WORKERS": "2", "WORKERS_FROM": "1MB", "LOG_LEVEL": "DEBUG"}
    two = replace(one, name=f"{one.name}, ENGINE=workers", slug="workers", environ=environ)
    files = bench.history(size)
    [entry] = bench.measured([Entrant(two, f"first load of {size}", _load(two, files), run=watch.run)], 1)
    state = bench.folder / "work" / two.slug
    entry.parts, entry.stages = watch.parts, stages(state / "logs/app.log")
    landed = {"bytes": sum(file.stat().st_size for file in files), "files": len(files)}
    kinds = {name: Path(place.partition(":")[2]) for name, place in two.tables(state).items() if isinstance(place, str)}
    entry.sizes = {"landed": landed, **weighed(kinds)}
    yield [entry]
    found = []
    for count in COMMITS:
        make, commit, read = (partial(one.committing, count=count, work=work) for work in ("make", "commit", "open"))
        many, table = f"{count:,} files", bench.folder / "work" / one.slug
        entrants = [
            Entrant(one, f"a commit of {many}", commit, state=table, compared=[], before=make),
            Entrant(one, f"opening a table of {many}", read, state=table, compared=[], goes_on=True),
        ]
        found += bench.measured(entrants, 1)
        log = table / "table/_delta_log" / f"{1:020}.json"
        for entry in found[-2:]:
            entry.sizes = {"log entry": {"bytes": log.stat().st_size, "files": count}}
    yield found


def backfill(bench: Bench) -> Iterator[list[Entry]]:
    """Everything computed again, against the first load: both must end with the same tables."""
    one = bench.boathouse
    days = ("--start", "2025-01-01", "--end", "2025-12-31")
    again = _typed(one, "main.py", "backfill", "--table", "silver.orders.order_lines", *days)
    for size in _loaded_by_all(bench):
        task, base, files = f"{size}, all of it", partial(bench.base, one, size), bench.history(size)
        entrants = [
            Entrant(one, task, _load(one, files=files), label="Boathouse, first load"),
            Entrant(one, task, again, base=base, label="Boathouse, backfill"),
        ]
        yield bench.measured(entrants, LONG)


def days(bench: Bench) -> Iterator[list[Entry]]:
    """1,095 days, each a run of its own at its own night, whose clock libfaketime sets; the rounds are the days.

    After every seventh day `optimize` and `vacuum`; every thirteenth week the whole weekly job, with check, backup and
    drill, after which landed files that are in the backup leave the landing zone. A day has 913 rows.
    """
    library()
    one, size = bench.boathouse, bench.size("1m-1095-days")
    files = bench.history(size)
    entry = Entry(one.name, f"{len(files)} days of {size}, one by one")
    diary = Diary(one, scenarios.started(Entrant(one, "", one.command), bench.folder / "work"))
    for nth, file in enumerate(files, 1):
        entry.rounds.append(diary.run(file))
        if nth % WEEK == 0:
            whole = nth % QUARTER == 0 or (bench.quick and nth == WEEK)
            if whole:
                entry.sizes[str(nth)] = diary.sizes()
                said(f"  day {nth}: {entry.rounds[-1].seconds:.2f} s, {entry.sizes[str(nth)]}")
            diary.maintain(*(["optimize", "check", "backup", "drill", "vacuum"] if whole else ["optimize", "vacuum"]))
            if whole:
                diary.put_away()
    entry.result = scenarios.checked(one, diary.state)
    whole_history = scenarios.checked(bench.floor, bench.base(bench.floor, size))
    # day by day comes to the same as all at once
    scenarios.check_equal([entry, Entry(bench.floor.name, entry.task, result=whole_history)])
    yield [entry]


# The most important first, for who has not the time for all of it.
SCENARIOS: dict[str, Callable[[Bench], Iterator[list[Entry]]]] = {
    "first": first,
    "daily-30k": partial(daily, rows=30_000),
    "many": many,
    "idle": idle,
    "bronze": bronze,
    "large": large,
    "flat": partial(daily, rows=30_000, sizes=("1m-37-days", "10m", "30m-1095-days")),
    "daily-300k": partial(daily, rows=300_000),
    "days": days,
    "check": check,
    "workers": workers,
    "scale": scale,
    "cluster": cluster,
    "late": late,
    "backfill": backfill,
}


def said_of(scenario: str) -> str:
    """What a scenario measures, in its own words."""
    act = SCENARIOS[scenario]
    return " ".join(str((act.func if isinstance(act, partial) else act).__doc__).split())
