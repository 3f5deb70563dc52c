"""Where somebody is in the lake's tables: counted, and changed nowhere."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from src import catalog, lake
from src.contract import Table
from src.contract.model import MOMENTS
from src.engine import identifier, literal
from src.errors import UsageError
from src.forget import bronze as taking
from src.forget import finding, identifying, lines, quoted
from src.forget.finding import KEYS, Claim, Finding
from src.forget.identifying import Text
from src.forget.key import hash_sql
from src.project import Project, downstream, learns_from
from src.run import releases

_BESIDE = ("quarantine", "deletions", "statements")


@dataclass(frozen=True)
class Location:
    """One location that holds rows of somebody: the rows, the files that hold them, and what becomes of it."""

    location: str
    rows: int
    files: int
    what: str = ""


@dataclass(frozen=True)
class ForgetPlan:
    """Somebody's rows in the tables of a lake, by the keyed hashes in the engine's table `finding.KEYS`.

    `lines`: by feed a temporary table of their lines in bronze; `texts`: the values that say who they are, never shown;
    `short`: how many are too short to be looked for; `landed`: by feed the landed files and their rows; `refused`: why
    it cannot be done as it is.
    """

    table: str
    columns: tuple[str, ...]
    claims: tuple[Claim, ...]
    locations: tuple[Location, ...]
    computed: tuple[str, ...]  # tables that are computed again
    not_followed: tuple[str, ...]  # tables with a column of that name that no relationship leads to
    models: tuple[str, ...]  # that may have learned from their rows
    lost_releases: int
    refused: tuple[str, ...]
    lines: Mapping[str, str] = field(default_factory=dict)
    texts: tuple[Text, ...] = field(default=(), repr=False)
    short: int = 0

    @property
    def found(self) -> int:
        """Return how many lines of bronze they have."""
        return sum(location.rows for location in self.locations if location.location.startswith("bronze."))


@dataclass(frozen=True)
class ShownPlan:
    """A plan as a person sees it: without a value."""

    table: str
    claims: tuple[Claim, ...]
    locations: tuple[Location, ...]
    computed: tuple[str, ...]
    not_followed: tuple[str, ...]
    models: tuple[str, ...]
    lost_releases: int
    too_short: int
    refused: tuple[str, ...]


def shown(planned: ForgetPlan) -> ShownPlan:
    """Return what a person sees of a plan."""
    return ShownPlan(
        planned.table,
        planned.claims,
        planned.locations,
        planned.computed,
        planned.not_followed,
        planned.models,
        planned.lost_releases,
        planned.short,
        planned.refused,
    )


def refuse(planned: ForgetPlan) -> None:
    """Refuse a plan that cannot be done as it is.

    Raises:
        UsageError: naming every reason, each with what to do.
    """
    refuse_reasons(planned.refused)


def refuse_reasons(refused: Sequence[str]) -> None:
    """Refuse what cannot be done for reasons, if there are any.

    Raises:
        UsageError: naming every reason, each with what to do.
    """
    if refused:
        raise UsageError("\n  ".join(["not forgotten, nothing was changed", *refused]))


def refuse_reason(project: Project, reason: str, where: str, planned: ForgetPlan) -> None:
    """Refuse a reason that says who it is, as it is kept.

    Raises:
        UsageError: it quotes a value; which one is not said.
    """
    values = [*identifying.in_condition(project, where), *(text.text for text in planned.texts)]
    if identifying.is_quoted(reason, values):
        fix = "name the request by its number or date: the reason is kept with the certificate"
        raise UsageError("the reason quotes a value of the person", fix=fix)


def plan(project: Project, table_id: str, where: str, without: Collection[str] = ()) -> ForgetPlan:
    """Find whom a condition over a silver table is about, and where they are; changes nothing.

    `without`: silver tables whose rows stay whatever they refer to. The engine has the key of the hashes.

    Raises:
        UsageError: no such table, or no condition over its rows.
    """
    table = _silver(project, table_id)
    for name in without:
        _silver(project, name)
    found = Finding(project, without)
    found.find(table, where)
    claims = {name: found.columns_of(name) for name in {claim.table for claim in found.claims}}
    found_lines = _lines(project, claims)
    texts, short = identifying.of_lines(project, found_lines, claims)
    _add_unsplit(project, found_lines, [text.text for text in texts])
    relations, locations = _located(project, found_lines)
    silver = [one for one in project.contracts.silver.values() if {f.id for f in one.feeds} & relations.keys()]
    gold = downstream(project, {one.id for one in silver})
    for one in silver:
        locations += _of_table(project, one, relations)
    values = [text.text for text in texts]
    locations += [
        Location(name, rows, files, "values are marked") for name, rows, files in quoted.count(project, values)
    ]
    refused = [reason for one in silver for reason in _refused(project, one)]
    for feed, relation in relations.items():
        refused += [*_returning(project, feed, relation), *_seeded(project, feed, relation)]
    computed = (*(one.id for one in silver), *(one.id for one in gold))
    return ForgetPlan(
        table=table.id,
        columns=finding.condition_columns(project.engine, table, where),
        claims=tuple(found.claims),
        locations=tuple(locations),
        computed=computed,
        not_followed=tuple(_not_followed(project, found)),
        models=_models(project, {one.id for one in (*silver, *gold)}),
        lost_releases=_lost_releases(project, computed) if relations else 0,
        refused=tuple(dict.fromkeys(refused)),
        lines=relations,
        texts=tuple(texts),
        short=short,
    )


def _silver(project: Project, table_id: str) -> Table:
    """Return a silver table.

    Raises:
        UsageError: there is none of that name, or it is not built.
    """
    table = project.declared(table_id)
    if table.layer != "silver":
        fix = "name the silver table that knows the person: what is computed from it follows"
        raise UsageError(f"{table_id} is computed from others", fix=fix)
    if project.table(table_id) is None:
        raise UsageError(f"{table_id} is not built yet", fix="run `make pipeline`")
    return table


def _lines(project: Project, claims: Mapping[str, Sequence[tuple[str, ...]]]) -> dict[str, str]:
    """Return by feed a temporary table of the lines that contracts can read: of each that claims may be about."""
    relations: dict[str, str] = {}
    for feed in project.contracts.feeds.values():
        bronze = project.table(feed.id)
        if bronze is None or not {table.id for table in lines.tables_of(project.contracts, feed.id)} & claims.keys():
            continue
        name = f"lines in {feed.id}"
        source = feed, bronze, bronze.files
        lines.find(project.engine, project.contracts, source, claims, KEYS, name, by_text=True)
        relations[feed.id] = f"temp.{identifier(name)}"
    return relations


def _add_unsplit(project: Project, relations: Mapping[str, str], values: Sequence[str]) -> None:
    """Add the lines that no reader could split and that hold one of the values, and remember these for later files."""
    engine = project.engine
    for feed_id in relations if values else ():
        feed, bronze = project.contracts.feeds[feed_id], project.table(feed_id)
        if bronze is None:
            continue
        of = f'SELECT {literal(feed_id)} AS "table", {literal(lines.as_text(lines.UNSPLIT))} AS columns, text'
        engine.insert(KEYS, f"{of}, {hash_sql('text')} AS hash FROM ({lines.unsplit_texts(feed_id, values)})")
        lines.add_unsplit(engine, (feed, bronze, bronze.files), KEYS, f"lines in {feed_id}", by_text=True)


def _located(project: Project, found: Mapping[str, str]) -> tuple[dict[str, str], list[Location]]:
    """Return the tables of lines that have some, by feed, and the locations in bronze and in the landing zone."""
    relations: dict[str, str] = {}
    locations: list[Location] = []
    for feed_id, relation in found.items():
        bronze = project.table(feed_id)
        counted = f"SELECT count(*), count(DISTINCT _file) FROM {relation}"
        count, landed = map(int, project.engine.one(counted))
        if not count or bronze is None:
            continue
        relations[feed_id] = relation
        files = taking.holding(project.engine, bronze, relation)
        locations.append(Location(feed_id, count, len(files), "lines are taken out"))
        locations.append(Location(f"landing of {feed_id}", count, landed, "files as they landed"))
    return relations, locations


def _of_table(project: Project, table: Table, relations: Mapping[str, str]) -> list[Location]:
    """Return the locations of a silver table and of what lies beside it: rows that came from the lines."""
    locations = []
    every = " UNION ALL ".join(f"SELECT * FROM {relations[f.id]}" for f in table.feeds if f.id in relations)
    beside = [f"{layer}.{table.domain}.{table.name}" for layer in _BESIDE]
    for name in (table.id, *beside):
        found = project.table(name)
        if found is None:
            continue
        same = [one for one in lines.PLACE if one in found.columns]
        scan = project.engine.scan(found, evolved=True, located=True)
        by = f"(SELECT DISTINCT {', '.join(same)} FROM ({every})) l USING ({', '.join(same)})"
        rows, files = project.engine.one(f"SELECT count(*), count(DISTINCT _at) FROM {scan} s SEMI JOIN {by}")
        if rows:
            locations.append(Location(name, int(rows), int(files), "computed again"))
    return locations


def _not_followed(project: Project, found: Finding) -> list[str]:
    """Return the silver tables that have a column of the condition's name, and to which nothing led."""
    claimed = {claim.table for claim in found.claims}
    names = {name for claim in found.claims if claim.why == "the condition" for name in claim.columns}
    tables = project.contracts.silver.values()
    return [one.id for one in tables if one.id not in claimed and names & {column.name for column in one.columns}]


def _models(project: Project, tables: Collection[str]) -> tuple[str, ...]:
    learns = learns_from(project).items()
    return tuple(name for name, read in learns if set(read) & set(tables) and project.table(name))


def _lost_releases(project: Project, computed: Collection[str]) -> int:
    """Return how many releases rollback does not reach any more once older versions of these tables are gone."""
    data = project.settings.data_dir
    newest = releases.newest(data)
    every = releases.all_of(project.engine, data).values()
    return sum(any(at.get(name) not in (None, newest.get(name)) for name in computed) for at in every) + bool(newest)


# -- what cannot be done


def _returning(project: Project, feed: str, relation: str) -> list[str]:
    """Return why a feed cannot lose the lines: an older statement would count again."""
    return [
        f"{table}: of a slice the newest file in {feed} says nothing of anybody else, so that without their lines an "
        "older file would count again: land a newer statement of it, run `make pipeline`, and forget then"
        for table in finding.returning_statements(project, relation, feed)
    ]


def _refused(project: Project, table: Table) -> list[str]:
    quarantine = project.table(f"quarantine.{table.domain}.{table.name}")
    waiting = [feed.id for feed in table.feeds if quarantine and lake.waits(quarantine, feed.id)]
    if not waiting:
        return []
    why = "too many of its rows were rejected: `make health` says what to do"
    return [f"{table.id}: a load of {', '.join(waiting)} waits, {why}"]


def _seeded(project: Project, feed_id: str, relation: str) -> list[str]:
    """Return the seeds whose newest file holds a line: they are in git, and land again by themselves."""
    feed, bronze = project.contracts.feeds[feed_id], project.table(feed_id)
    refused = []
    for seed in project.contracts.seeds_of([feed]):
        if bronze is None:
            continue
        scan = project.engine.scan(bronze, columns={"_file": "VARCHAR"}, evolved=True)
        files = project.engine.values(f"SELECT DISTINCT _file FROM {scan}")
        newest = max((name for name in files if seed.is_file(name)), default=None)
        if newest in project.engine.values(f"SELECT DISTINCT _file FROM {relation}"):
            what = "is in git and has them: take them out there, run `make pipeline`, and forget then"
            refused.append(f"{seed.shown} {what}")
    return refused


def tables_of(project: Project, feeds: Collection[str]) -> list[str]:
    """Return every table on disk that holds what came from these feeds: the feeds, silver, beside it, and gold."""
    silver = [one for one in project.contracts.silver.values() if {feed.id for feed in one.feeds} & set(feeds)]
    gold = downstream(project, {one.id for one in silver})
    beside = [f"{layer}.{one.domain}.{one.name}" for one in silver for layer in _BESIDE]
    there = catalog.tables(project.settings.data_dir)
    return [name for name in (*feeds, *(one.id for one in silver), *beside, *(one.id for one in gold)) if name in there]


# -- rows past their date


@dataclass(frozen=True)
class Past:
    """A table whose contract says how long its rows are kept, and by which column: those `before` a moment go."""

    table: str
    column: str
    before: str  # ISO date or moment (UTC)
    kept: str  # in words
    locations: tuple[Location, ...]


def kept_for(project: Project, moment: datetime) -> list[tuple[Table, str, str, str]]:
    """Return the silver tables with a `retention` by a date: with its column, before when rows go, and the span."""
    found = []
    for table in project.contracts.silver.values():
        for sla in table.slas:
            kind = table.row_columns.get(sla.column or "")
            if sla.property == "retention" and sla.column and kind in MOMENTS:
                end = moment - timedelta(hours=sla.hours())
                before = end.date().isoformat() if kind == "DATE" else end.isoformat()
                found.append((table, sla.column, before, f"{sla.value} {sla.unit}"))
    return found


def plan_past(project: Project, moment: datetime) -> tuple[list[Past], list[str]]:
    """Return the rows of silver tables that are past their `retention` at a moment, and why some cannot go."""
    found, refused = [], list[str]()
    for table, column, before, kept in kept_for(project, moment):
        relations: dict[str, str] = {}
        locations: list[Location] = []
        sources = lines.sources_of(project, table)
        for feed, bronze, _ in sources:
            name = f"past lines in {feed.id}"
            count = lines.find_past(project.engine, table, sources, column, before, feed.id, name)
            if count:
                relations[feed.id] = f"temp.{identifier(name)}"
                files = taking.holding(project.engine, bronze, relations[feed.id])
                locations.append(Location(feed.id, count, len(files), f"{column} before {before}"))
                refused += [
                    *_returning(project, feed.id, relations[feed.id]),
                    *_seeded(project, feed.id, relations[feed.id]),
                ]
        readers = [one for one in project.contracts.silver.values() if {f.id for f in one.feeds} & relations.keys()]
        for one in readers:
            locations += _of_table(project, one, relations)
            refused += _refused(project, one)
        found.append(Past(table.id, column, before, kept, tuple(locations)))
    return found, list(dict.fromkeys(refused))
