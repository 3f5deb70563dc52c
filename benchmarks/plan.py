"""The scenarios: what each of them starts from, who takes part, how often."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from benchmarks import machine, scenarios
from benchmarks.contenders import Boathouse, Contender, Floor
from benchmarks.measure import Command, run
from benchmarks.peers import Peer
from benchmarks.scenarios import Entrant, Entry

# rows and days of a history; the last two have as many rows a day as 10m
HISTORIES = {
    "1m": (1_000_000, 365),
    "10m": (10_000_000, 365),
    "30m": (30_000_000, 365),
    "1m-37-days": (1_013_697, 37),
    "30m-1095-days": (30_000_000, 1095),
}
ROOM = {"MEMORY_LIMIT": "4GB"}  # what a state is prepared with: it is not measured, and 30m come in one load
PEERS_UP_TO = 10_000_000  # rows of the largest history that peers are asked to load
SHORT, LONG = 5, 3  # rounds
QUERY = "SELECT country, sum(revenue) AS revenue FROM gold.orders.daily_revenue GROUP BY country ORDER BY revenue DESC"


@dataclass
class Bench:
    """One call of the runner: what was asked, who takes part, and where things lie."""

    folder: Path
    sizes: Sequence[str]
    asked_rounds: int | None
    fresh: bool
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


def said(line: str) -> None:
    print(line, flush=True)


# -- the scenarios


def bronze(bench: Bench) -> list[Entry]:
    """Files into bronze and no further, against COPY of the same files to Parquet."""
    entries = []
    for size, form in [(size, "csv") for size in bench.sizes if size != "30m"] + [("1m", "ndjson"), ("1m", "parquet")]:
        task, files = f"bronze of {size}, {form}", bench.history(size, form)
        entrants = [
            Entrant(one, task, partial(one.bronze, files=files, form=form), compared=["bronze"])
            for one in (bench.boathouse, bench.floor)
        ]
        entries += bench.measured(entrants, SHORT if size == "1m" else LONG)
    return entries


def first(bench: Bench) -> list[Entry]:
    """The whole history at once, into nothing; the last round leaves the state that other scenarios start from."""
    entries = []
    for size in _loaded_by_all(bench):
        files, entrants = bench.history(size), []
        for one in bench.everyone(size):
            state = bench.state(one, size)
            _mark(state).unlink(missing_ok=True)
            entrants.append(Entrant(one, f"first load of {size}", _load(one, files), state=state))
        found = bench.measured(entrants, SHORT if size == "1m" else LONG)
        for entrant, entry in zip(entrants, found, strict=True):
            if entrant.state and not entry.failed:
                _mark(entrant.state).write_text(str(files[0]), encoding="utf-8")
        entries += found
    return entries


def daily(bench: Bench, rows: int, sizes: Sequence[str] = ()) -> list[Entry]:
    """One more day, on tables that hold a history; all sizes in one run, so that they can be compared."""
    entrants = []
    for size in sizes or bench.sizes:
        task, load = f"a day of {rows // 1000} k on {size}", partial(_load, files=[bench.increment(size, rows)])
        for one in bench.everyone(size) if not sizes else bench.alone():
            entrants.append(Entrant(one, task, load(one), base=partial(bench.base, one, size)))
    return bench.measured(entrants, SHORT)


def late(bench: Bench) -> list[Entry]:
    """A day of 30 k rows whose corrections go back 7, 30 and 60 days, on the largest history that peers load."""
    size = _loaded_by_all(bench)[-1]
    entrants = []
    for back in (7, 30, 60):
        task, load = (
            f"corrections {back} days back on {size}",
            partial(_load, files=[bench.increment(size, 30_000, back)]),
        )
        for one in bench.alone():
            task = f"corrections {back} days back on {size}"
            entrants.append(Entrant(one, task, load(one), base=partial(bench.base, one, size)))
    return bench.measured(entrants, SHORT)


def idle(bench: Bench) -> list[Entry]:
    """A run with nothing new, and one query: mostly imports."""
    one, query = bench.boathouse, _typed(bench.boathouse, "main.py", "query", QUERY)
    entrants = []
    for size in bench.sizes:
        base = partial(bench.base, one, size)
        entrants.append(Entrant(one, f"nothing new on {size}", _load(one, files=[]), base=base, compared=[]))
        entrants.append(Entrant(one, f"a query on {size}", query, base=base, compared=[]))
    return bench.measured(entrants, SHORT)


def backfill(bench: Bench) -> list[Entry]:
    """Everything computed again, against the first load: both must end with the same tables."""
    one, entries = bench.boathouse, []
    days = ("--start", "2025-01-01", "--end", "2025-12-31")
    again = _typed(one, "main.py", "backfill", "--table", "silver.orders.order_lines", *days)
    for size in _loaded_by_all(bench):
        task, base, files = f"{size}, all of it", partial(bench.base, one, size), bench.history(size)
        entrants = [
            Entrant(one, task, _load(one, files=files), label="Boathouse, first load"),
            Entrant(one, task, again, base=base, label="Boathouse, backfill"),
        ]
        entries += bench.measured(entrants, LONG)
    return entries


def year(bench: Bench) -> list[Entry]:
    """Every day of a history as a run of its own, optimize and vacuum after each seventh; the rounds are the days."""
    one, size = bench.boathouse, _loaded_by_all(bench)[-1]
    entry = Entry(one.name, f"365 days of {size}, one by one")
    state = scenarios.started(Entrant(one, "", one.command), bench.folder / "work")
    for nth, file in enumerate(bench.history(size), 1):
        entry.rounds.append(run(one.load(state, [file])))
        if nth % 7 == 0:
            for job in ("optimize", "vacuum"):
                run(one.command(state, "main.py", job))
        if nth % 30 == 0:
            said(f"  day {nth}: {entry.rounds[-1].seconds:.2f} s")
    entry.result = scenarios.checked(one, state)
    whole = Entry(bench.floor.name, entry.task, result=scenarios.checked(bench.floor, bench.base(bench.floor, size)))
    scenarios.check_equal([entry, whole])  # day by day comes to the same as all at once
    return [entry]


SCENARIOS: dict[str, Callable[[Bench], list[Entry]]] = {
    "bronze": bronze,
    "first": first,
    "daily-30k": partial(daily, rows=30_000),
    "daily-300k": partial(daily, rows=300_000),
    "late": late,
    "idle": idle,
    "backfill": backfill,
    "flat": partial(daily, rows=30_000, sizes=("1m-37-days", "10m", "30m-1095-days")),
    "year": year,
}


def said_of(scenario: str) -> str:
    """What a scenario measures, in its own words."""
    act = SCENARIOS[scenario]
    return " ".join(str((act.func if isinstance(act, partial) else act).__doc__).split())
