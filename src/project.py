"""What every command works with: the settings, the contracts in the order they are run, one engine, one lock."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from src import catalog, console, contract, lake, proof, stopping, store
from src.contract import Contracts, Feed, Seed, Table
from src.engine import DuckEngine
from src.engine.profile import Profile
from src.errors import ContractError, ContractErrors, UsageError
from src.proof import Proof
from src.settings import Settings

_CONTRACTS, _MODELS = "contracts.json", "models.json"  # beside the lake's tables: what was read and judged of them


@dataclass(frozen=True)
class Project:
    """A project: its settings, contracts and lake, with an engine running."""

    settings: Settings
    contracts: Contracts
    marts: tuple[Table, ...]  # gold tables with their sources, each after those it reads
    engine: DuckEngine

    @property
    def landing(self) -> Path:
        """Return the landing zone's folder."""
        return self.settings.data_dir / "landing"

    @property
    def landed(self) -> Path:
        """Return the folder of the files that rows came from: the landing zone; of a branch it is main's."""
        return self.settings.main_dir / self.landing.name

    def landing_seeds(self, feeds: Collection[Feed]) -> list[Seed]:
        """Return the seeds of these feeds that land in a run; on a branch, where nothing lands, none."""
        return [] if self.settings.branch else self.contracts.seeds_of(feeds)

    def asked_feeds(self, feeds: Collection[Feed]) -> list[Feed]:
        """Return those of these feeds whose sources a run asks; on a branch, where nothing lands, none."""
        return [feed for feed in feeds if feed.source and not self.settings.branch]

    def relative(self, text: str) -> str:
        """Return a message in which the paths of what lies in the project are relative to its folder.

        A path outside stays whole, as that of a data folder elsewhere, or of a folder whose name begins alike.
        """
        root = self.settings.root
        for folder in {str(root), str(root.resolve())} - {"/"}:
            text = re.sub(rf"(?<![\w.~/-]){re.escape(folder)}/", "", text)
        return text

    def path(self, table_id: str) -> Path:
        """Return the folder of a table."""
        return lake.table_path(self.settings.data_dir, table_id)

    def table(self, table_id: str) -> lake.Snapshot | None:
        """Return the newest version of a table; None where it is not built yet."""
        return lake.open_table(self.path(table_id))

    def built(self, names: Collection[str]) -> dict[str, lake.Snapshot]:
        """Return the newest versions of those of these tables that are built."""
        return {name: found for name in names if (found := self.table(name))}

    def proof(self, table: Table) -> Proof:
        """Return the proof that a gold table's partitions stand alone, or why they do not; kept beside the lake."""
        tables = {**self.contracts.silver, **{mart.id: mart for mart in self.marts}}
        return proof.stored_proof(self.engine, table, tables, store.beside(self.settings.data_dir) / ".proofs")

    def expecting(self, feed: Feed) -> Feed:
        """Return the feed with the names of the columns that its tables read, none where an expression is no SQL."""
        names: set[str] = set()
        try:
            for table in self.contracts.readers.get(feed.id, ()):
                names |= _source_columns(self.engine, table)
        except ContractError:
            return feed  # silver tells which
        return replace(feed, reads=tuple(sorted(names)))

    def declared(self, table_id: str) -> Table:
        """Return the contract of a silver or gold table.

        Raises:
            UsageError: there is none of that name.
        """
        known = {**self.contracts.silver, **{table.id: table for table in self.marts}}
        if table_id not in known:
            raise UsageError(f"no table {table_id}", fix=f"the tables are {', '.join(known)}")
        return known[table_id]


@dataclass(frozen=True)
class Selection:
    """The feeds and tables of one domain, or of all, in the order of a run."""

    feeds: tuple[Feed, ...]
    silver: tuple[Table, ...]
    gold: tuple[Table, ...]

    def __len__(self) -> int:
        return len(self.feeds) + len(self.silver) + len(self.gold)


def select(project: Project, domain: str | None) -> Selection:
    """Return the feeds and tables of a run of one domain, or of all; a mart is of every domain that it reads.

    Raises:
        UsageError: there is no such domain.
    """
    contracts = project.contracts
    known = sorted({feed.domain for feed in contracts.feeds.values()})
    if domain is not None and domain not in known:
        marts = f"; the marts are {', '.join(sorted(contracts.marts))}" if contracts.marts else ""
        raise UsageError(f"unknown domain {domain}", fix=f"the domains are {', '.join(known)}{marts}")
    silver = tuple(table for table in _referred_first(contracts.silver) if domain in (None, table.domain))
    return Selection(
        feeds=tuple(feed for feed in contracts.feeds.values() if domain in (None, feed.domain)),
        silver=silver,
        gold=downstream(project, {table.id for table in silver}),
    )


def downstream(project: Project, tables: set[str]) -> tuple[Table, ...]:
    """Return the gold tables that read one of these tables, directly or through each other, in order."""
    reached = set(tables)
    found = []
    for table in project.marts:
        if reached & set(table.sources):
            found.append(table)
            reached.add(table.id)
    return tuple(found)


def _source_columns(engine: DuckEngine, table: Table) -> set[str]:
    """Return every name in the SQL of a silver table, in lower case: columns of its feeds, and maybe others."""
    read = engine.column_references(f"({engine.inline(table.sql)})") if table.sql is not None else set[str]()
    if table.sql is not None and "*" not in table.sql:
        return read
    return read | {
        name
        for column in table.columns
        for name in (engine.column_references(column.expression) if column.expression else {column.name.lower()})
    }


def upstream(table: Table) -> list[str]:
    """Return the ids of the tables a table needs: those it reads, and those its foreign keys name."""
    return [*(feed.id for feed in table.feeds), *table.sources, *referenced(table)]


def blocking(table: Table) -> list[str]:
    """Return the ids of the tables without which a table is not built in a run: those it needs but its soft sources."""
    return [name for name in upstream(table) if name not in table.soft_sources]


def lineage(project: Project) -> dict[str, list[str]]:
    """Return of every feed and table what it is built from and what its foreign keys name, in the order of a run."""
    everything = select(project, None)
    tables = {table.id: upstream(table) for table in (*everything.silver, *everything.gold)}
    return {feed.id: [] for feed in everything.feeds} | tables


def with_models(project: Project) -> list[str]:
    """Return the ids of silver and gold tables, and of models, each after those that it is made of."""
    models, found = project.contracts.models, [*project.contracts.silver]
    for table in project.marts:
        found += [table.scored_by] if table.scored_by and table.scored_by not in found else []
        found.append(table.id)
    return [*found, *(name for name in models if name not in found)]


def learns_from(project: Project) -> dict[str, list[str]]:
    """Return of every model the tables that it is trained by: its features, and its outcomes."""
    models = project.contracts.models.values()
    return {model.id: list(dict.fromkeys((model.features, model.label.table))) for model in models}


def referenced(table: Table) -> list[str]:
    """Return the other tables that a table's foreign keys name."""
    return [name for relationship in table.relationships if (name := relationship.to_table) != table.id]


def _referred_first(tables: Mapping[str, Table]) -> list[Table]:
    """Return tables after those that their foreign keys name; where these go in a circle, as they come."""
    graph = {name: [other for other in referenced(table) if other in tables] for name, table in tables.items()}
    try:
        return [tables[name] for name in TopologicalSorter(graph).static_order()]
    except CycleError:
        return list(tables.values())


class Unbuilt(lake.Snapshot):
    """A source that is not built yet: the columns it will have and no row, under a version that no table has.

    A gold table records what it consumed of it like of any other source. The table that is built later is
    another one by its identity, so that what was computed without it is then computed whole.
    """

    NEVER = -1  # its version, and its identity

    def __init__(self, table: Table) -> None:
        self.root, self.version, self.identity = table.path, self.NEVER, self.NEVER
        self.columns = table.stored_columns
        self.partition_by, self.files, self.properties = (), (), {}


_NONE: Mapping[str, lake.Snapshot] = {}


def waits_for(table: Table, read: Mapping[str, lake.Snapshot]) -> list[str]:
    """Return the sources that a gold table needs and that are not built yet; `read` is what `readable` returns.

    An optional one is among them only where no source at all is built: a mart of nothing says nothing.
    """
    missing = [name for name in table.sources if name not in read or isinstance(read[name], Unbuilt)]
    return missing if len(missing) == len(table.sources) else [n for n in missing if n not in table.optional_sources]


def readable(
    project: Project, table: Table, last_good: Mapping[str, lake.Snapshot] = _NONE
) -> dict[str, lake.Snapshot]:
    """Return the newest versions of a gold table's sources; an optional one that is not built is empty.

    `last_good`: the versions of soft sources that are read in place of their newest.
    """
    built = project.built([name for name in table.sources if name not in last_good]) | dict(last_good)
    absent = (name for name in table.optional_sources if name not in built)
    return built | {name: Unbuilt(project.declared(name)) for name in absent}


def sources(project: Project, table: Table, last_good: Mapping[str, lake.Snapshot] = _NONE) -> dict[str, lake.Snapshot]:
    """Return what a gold table reads, as `readable` does.

    Raises:
        ContractError: one that is not optional is not built yet.
    """
    read = readable(project, table, last_good)
    if missing := waits_for(table, read):
        fix = "run `make pipeline` without DOMAIN, so that every table it reads is built"
        raise ContractError(f"{table.id} reads {', '.join(missing)}, not built yet", where=table.path, fix=fix)
    return read


def new_run_id(moment: datetime) -> str:
    """Return a name for a run that sorts by its start (UTC, to the millisecond)."""
    return f"{moment:%Y%m%dT%H%M%S}{moment.microsecond // 1000:03d}-{uuid.uuid4().hex[:6]}"


@contextmanager
def open_engine(settings: Settings) -> Iterator[DuckEngine]:
    """Open an engine for the length of a with-block.

    Raises:
        NewerFormat: a later release wrote the lake.
    """
    catalog.refuse_newer(settings.data_dir)
    threads = settings.threads or os.cpu_count() or 1
    profile = Profile() if settings.profile else None
    spill = store.beside(settings.data_dir) / ".spill"
    running = DuckEngine(memory_limit=settings.memory_limit, threads=threads, spill=spill, profile=profile)
    try:
        with stopping.interrupting(running.interrupt):
            yield running
    finally:
        running.close()
        if profile:
            _show(profile)


_SHOWN_STATEMENTS, _SHOWN_LENGTH = 40, 120


def _show(profile: Profile) -> None:
    """Print the statements that took longest, beside the command's own output."""
    longest = profile.longest(_SHOWN_STATEMENTS)
    rows = [
        (f"{one.wall_seconds:.3f}", f"{one.cpu_seconds:.3f}", f"{one.cores:.1f}", one.step, _shortened(one.sql))
        for one in longest
    ]
    wall, cpu = (sum(getattr(one, part) for one in profile.statements) for part in ("wall_seconds", "cpu_seconds"))
    all_of_them = f"{len(profile.statements)} statements took {wall:.3f} s, {cpu:.3f} s of the processor"
    print(f"{all_of_them}; the longest are", file=sys.stderr)
    console.table(["seconds", "processor", "cores", "step", "statement"], rows, out=sys.stderr)


def _shortened(sql: str) -> str:
    text = " ".join(sql.split())
    return text if len(text) <= _SHOWN_LENGTH else f"{text[: _SHOWN_LENGTH // 2]} ... {text[-_SHOWN_LENGTH // 2 :]}"


@contextmanager
def open_project(settings: Settings, run_date: date | None = None) -> Iterator[Project]:
    """Open the project with the contracts below `source`, and an engine, for the length of a with-block.

    `run_date`: what run_date() is in their SQL (default: yesterday).

    Raises:
        ContractErrors: contracts or models that are not what they should be, all of them at once.
    """
    catalog.refuse_newer(settings.data_dir)  # first: contracts may say what a later release knows
    contracts, found = read_contracts(settings)
    with open_engine(settings) as running:
        yield on_engine(settings, contracts, running, run_date, found=found)


def read_contracts(settings: Settings) -> tuple[Contracts, str]:
    """Return the contracts of a project, as they are kept beside its lake if that is still so, and a hash of them.

    Raises:
        ContractErrors: contracts that are not what they should be, all of them at once.
    """
    file = lake.known_folder(settings.data_dir) / _CONTRACTS
    contracts, found, new = contract.load_known(settings.source, lake.read_known(file, own=True))
    if new:
        lake.keep_later(file, new)
    return contracts, found


def on_engine(
    settings: Settings, contracts: Contracts, engine: DuckEngine, run_date: date | None = None, *, found: str = ""
) -> Project:
    """Return the project of these contracts with an engine that is open; see `open_project`.

    `found`: a hash of all that the contracts say; what was judged of the same ones before is not judged again.

    Raises:
        ContractErrors: models that are not what they should be.
    """
    contracts = _dated(contracts, run_date or datetime.now(UTC).date() - timedelta(days=1), engine)
    file = lake.known_folder(settings.data_dir) / _MODELS
    judged = hashlib.sha256(f"{found} {_judge()} {engine.version}".encode()).hexdigest() if found else ""
    kept = lake.read_known(file, own=True) if judged else {}
    sources = kept.get("sources")
    if kept.get("of") == judged and isinstance(sources, dict) and sources.keys() == contracts.gold.keys():
        engine.parse_when_asked(lambda: {one.sql for table in _tables(contracts) for one in _statements(table)})
        resolved = {name: replace(table, sources=tuple(sources[name])) for name, table in contracts.gold.items()}
    else:
        resolved = _resolved(engine, contracts)
        if judged:
            sources = {name: table.sources for name, table in resolved.items()}
            lake.keep_later(file, {"of": judged, "sources": sources})
    return Project(settings, contracts, tuple(_in_order(resolved)), engine)


@cache
def _judge() -> str:
    """Return a hash of the code that judges models: another one judges again."""
    here = Path(__file__)
    paths = (here, here.parent / "checks/audits.py", *sorted((here.parent / "engine").glob("*.py")))
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


def _tables(contracts: Contracts) -> list[Table]:
    return [*contracts.silver.values(), *contracts.gold.values()]


@contextmanager
def open_again(project: Project, run_date: date) -> Iterator[Project]:
    """Open a project with its contracts as they were read, and a fresh engine, for the length of a with-block.

    `run_date`: that which the project was opened with.
    """
    with open_engine(project.settings) as running:
        running.set_run_date(run_date)
        yield replace(project, engine=running)


def _dated(contracts: Contracts, day: date, engine: DuckEngine) -> Contracts:
    """Return the contracts with the run date put into the tables whose SQL asks for it."""
    engine.set_run_date(day)
    silver, gold = (
        {name: replace(table, run_date=day) if table.reads_run_date else table for name, table in tables.items()}
        for tables in (contracts.silver, contracts.gold)
    )
    return replace(contracts, silver=silver, gold=gold)


def _resolved(engine: DuckEngine, contracts: Contracts) -> dict[str, Table]:
    """Return the gold tables, by id, with the sources that their models read filled in.

    Raises:
        ContractErrors: models that do not parse, or read a table that is not there.
    """
    resolved: dict[str, Table] = {}
    errors: list[ContractError] = []
    tables = _tables(contracts)
    statements = {table.id: list(_statements(table)) for table in tables}
    engine.parse_together(statement.sql for found in statements.values() for statement in found)
    errors += [error for table in tables for error in _unsound(engine, table, statements[table.id])]
    known = {*contracts.silver, *contracts.gold}
    for table in contracts.gold.values():
        try:
            sources = set(table.sources) if table.python or table.scored_by else engine.table_references(str(table.sql))
        except ContractError:
            continue  # told above
        unknown = sorted(sources - known - {table.scored_by})
        if unknown or not sources:
            what = f"reads {', '.join(unknown)}, which is no table" if unknown else "reads no table"
            fix = f"name a table as layer.domain.table; there are {', '.join(sorted(known - {table.id}))}"
            errors.append(ContractError(what, where=table.model, fix=fix))
        errors += _wrong_sources(table, sources)
        resolved[table.id] = replace(table, sources=tuple(sorted(sources)))
    if errors:
        raise ContractErrors(errors)
    return resolved


def _wrong_sources(table: Table, sources: Collection[str]) -> Iterator[ContractError]:
    """Yield an error for each optional or soft source that the model does not read, and each soft one of its mart."""
    at = f"{table.path}, {table.name}, customProperties"
    for name in table.optional_sources:
        if name not in sources:
            kind = "soft" if name in table.soft_sources else "optional"
            fix = f"remove it; {table.model.name} reads {', '.join(sorted(sources))}"
            what = f"{kind} source {name}, which the model does not read"
            yield ContractError(what, where=f"{at}[{kind}Sources]", fix=fix)
    if table.event_time:
        yield from _wrong_known_at(table, sources, f"{at}[knownAt]")
    for name in table.soft_sources:
        if name.rpartition(".")[0] == table.id.rpartition(".")[0]:
            fix = "remove it: the tables of a mart are released together, so that one which fails keeps the other back"
            yield ContractError(f"soft source {name} of the same mart", where=f"{at}[softSources]", fix=fix)


def _wrong_known_at(table: Table, sources: Collection[str], at: str) -> Iterator[ContractError]:
    """Yield an error for each source of which a table of features leaves out when it was known, and each other name."""
    declared = table.known_at or {}
    for name in sorted(set(sources) - declared.keys()):
        fix = f"add `{name}: {{rows: SQL}}`, from when on a row is known, or `{name}: always`"
        yield ContractError(f"no word on when {name} was known, which the model reads", where=at, fix=fix)
    for name in declared:
        if name not in sources:
            fix = f"remove it; {table.model.name} reads {', '.join(sorted(sources))}"
            yield ContractError(f"{name}, which the model does not read", where=at, fix=fix)


@dataclass(frozen=True)
class _Statement:
    """A SELECT that a contract says, or that one of its expressions makes."""

    sql: str
    what: str  # before an error of it
    where: Path
    fix: str


def _statements(table: Table) -> Iterator[_Statement]:
    """Yield every expression of a contract, the queries of its expectations, and its model."""
    pieces = [(f"transformLogic of {column.name}", column.expression) for column in table.columns]
    pieces += [("sequenceBy", text) for text in table.sequence_expressions]
    for what, text in (*pieces, ("deleteWhen", table.delete_when)):
        if text:
            fix = f'correct {text!r}; a name that is an SQL keyword goes in "double quotes"'
            yield _Statement(f"SELECT {text}", f"{what}: ", table.path, fix)
    from src.checks import audits  # where contracts are checked: importing takes time

    for expectation in table.quality:
        if query := audits.own_query(expectation):
            yield _Statement(query, f"quality {expectation.id or 'query'}: ", table.path, "correct it")
    if table.sql is not None:
        yield _Statement(table.sql, "", table.model, "correct the SQL")


def _unsound(engine: DuckEngine, table: Table, statements: Sequence[_Statement]) -> Iterator[ContractError]:
    """Yield an error for each statement of a contract that is no SQL, or no function of its rows."""
    for statement in statements:
        yield from _judged(engine, statement)
    if table.replaces is not None and table.sequence_by:
        yield from _orders_no_files(engine, table)


def _orders_no_files(engine: DuckEngine, table: Table) -> Iterator[ContractError]:
    """Yield an error where the sequence of a table with `replaces` can differ between rows of one file."""
    try:
        read = table.reads_of_files(table.sequence_columns(engine.column_references), engine.column_names)
    except ContractError:
        return  # told already
    if within := sorted(read - {"_file", "_ingested_at"}):
        what = f"sequenceBy {', '.join(table.sequence_by)} reads {', '.join(within)}, which may differ within a file"
        fix = "with `replaces` a file is newer or older as a whole: let it read `_file` alone, or remove sequenceBy"
        yield ContractError(what, where=table.path, fix=fix)


def _judged(engine: DuckEngine, statement: _Statement) -> Iterator[ContractError]:
    what, where = statement.what, statement.where
    try:
        for name, instead in engine.unrepeatable(statement.sql).items():
            yield ContractError(f"{what}{name} is not a function of the rows it reads", where=where, fix=instead)
    except ContractError as error:
        yield ContractError(f"{what}{error.what}", where=where, fix=statement.fix)


def _in_order(tables: Mapping[str, Table]) -> list[Table]:
    """Return gold tables, each after those it reads.

    Raises:
        ContractError: they read each other in a circle.
    """
    graph = {name: [source for source in table.sources if source in tables] for name, table in tables.items()}
    # whether a soft source is right is known once all tables of its mart are done
    marts = {name: {soft.rpartition(".")[0] for soft in table.soft_sources} for name, table in tables.items()}
    after = {name: [other for other in tables if other.rpartition(".")[0] in marts[name]] for name in tables}
    try:
        return [tables[name] for name in TopologicalSorter({n: [*graph[n], *after[n]] for n in graph}).static_order()]
    except CycleError:
        pass  # of two marts that read each other one table is done first all the same
    try:
        return [tables[name] for name in TopologicalSorter(graph).static_order()]
    except CycleError as error:
        circle = " -> ".join(error.args[1])
        raise ContractError(
            f"models read each other in a circle: {circle}", fix="let one of them read silver"
        ) from None
