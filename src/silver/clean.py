"""Silver: one row per key, the newest, typed and checked.

A run reads only the bronze versions a table has not consumed. How far it got is recorded in the
commit that consumed it; the quarantine records the same for itself and is committed first, so that
a crash between the two is finished by the next run without a reject lost or kept twice. Rejects of a
load that failed for their number are ahead of the table too, and marked as waiting.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from src import contract, lake
from src.checks.outcome import Outcome
from src.contract import Table
from src.engine import DuckEngine
from src.errors import ContractError, MachineError

if TYPE_CHECKING:
    from src.silver.merge import Merge


@dataclass(frozen=True)
class Work:
    """The work of one silver table: nothing, a merge or a rebuild, and why."""

    kind: str  # nothing | merge | rebuild
    why: str
    until: Mapping[str, int]  # feed id: bronze version to have consumed afterwards
    lost: bool = False  # bronze lost what the table consumed
    forgotten: bool = False  # rows of it were taken out of bronze, and nothing else is new


@dataclass(frozen=True)
class Places:
    """The folders of a table, of what lies beside it, of its feeds' bronze tables and of the tables it refers to."""

    table: Path
    quarantine: Path
    deletions: Path
    statements: Path
    bronze: Mapping[str, Path]
    refers: Mapping[str, Path]

    @classmethod
    def of_table(cls, table: Table, path_of: Callable[[str], Path]) -> Places:
        """Return the places of a table, given where a table id lies."""
        beside = f"{table.domain}.{table.name}"
        return cls(
            table=path_of(table.id),
            quarantine=path_of(f"quarantine.{beside}"),
            deletions=path_of(f"deletions.{beside}"),
            statements=path_of(f"statements.{beside}"),
            bronze={feed.id: path_of(feed.id) for feed in table.feeds},
            refers={other.to_table: path_of(other.to_table) for other in table.relationships},
        )


def plan(
    table: Table,
    silver: lake.Snapshot | None,
    feeds: Mapping[str, lake.Snapshot | None],
    quarantine: lake.Snapshot | None = None,
) -> Work:
    """Decide what to do from the versions alone; changes nothing.

    Raises:
        ContractError: the contract changed and its version does not say so.
    """
    until = {feed.id: snapshot.version for feed in table.feeds if (snapshot := feeds[feed.id])}
    if silver is None and table.texts_in_sequence:
        names = ", ".join(table.texts_in_sequence)
        fix = "give it a type, write an expression such as `cast(... as timestamp)`, or `sequenceOrder: text`"
        raise ContractError(f"sequenceBy {names} is text, of which 9 is more than 10", where=table.path, fix=fix)
    if silver is None:
        return Work("rebuild", "first load", until) if until else Work("nothing", "no file has landed yet", until)
    _check_identity(table, silver, feeds)
    if not contract.is_current(table, silver):
        return Work("rebuild", contract.why_rebuild(table, silver.properties), until)
    contract.check_version(table, silver.properties)
    lost = [name for name in until if (bronze := feeds[name]) and lake.is_another(silver, name, bronze)]
    if lost:
        why = f"the log of {', '.join(lost)} lost entries: what was consumed is not there any more"
        return Work("rebuild", why, until, lost=True)
    if rewritten := [name for name in until if (bronze := feeds[name]) and lake.has_lost_rows(silver, name, bronze)]:
        nothing_new = all(_has_no_news(silver, name, bronze) for name in until if (bronze := feeds[name]))
        return Work("rebuild", f"rows of {', '.join(rewritten)} were forgotten", until, forgotten=nothing_new)
    if quarantine and quarantine.built_from not in {None, 0, -1, *contract.current_fingerprints(table, silver)}:
        return Work("rebuild", "its quarantine is that of another contract, which was taken back", until)
    behind = [feed for feed, version in until.items() if is_behind(silver, feed, version)]
    if not behind:
        return Work("nothing", "up to date", until)
    moved = ", ".join(f"{feed} {silver.progress(feed)} -> {until[feed]}" for feed in behind)
    waits = any(quarantine and lake.waits(quarantine, feed) for feed in behind)
    again = "; rows waiting since too many of them were rejected are judged again" if waits else ""
    return Work("merge", f"new versions: {moved}{again}", until)


def properties(table: Table, silver: lake.Snapshot | None = None) -> dict[str, str]:
    """Return the properties of a table; `silver` is the stored one whose rows stay as they are.

    Its log tells in which files a key can be, by the key's first column.
    """
    kinds = {column.name: column.type for column in table.columns if column.name not in table.partition_by}
    first = next(iter(table.key), "")
    return contract.tags(table, silver) | lake.index(first, kinds.get(first, ""))


def run(
    engine: DuckEngine,
    table: Table,
    places: Places,
    *,
    batch: str,
    full_refresh: bool = False,
    accepted_by: str = "",
    removals_accepted_by: str = "",
    merging: Callable[..., Merge] | None = None,
) -> Outcome:
    """Bring one silver table up to its feeds' newest versions; `full_refresh`: computed from all of bronze even so.

    `accepted_by`: who lets a load through however many of its rows are rejected; `removals_accepted_by`: who lets
    statements remove however many rows; `merging`: what makes a `Merge` of these arguments, where it is another kind.

    Raises:
        ContractError: the contract does not fit the feed, or changed without the version bump it needs.
        RejectedError: too many rows of the load are rejected; they are in quarantine, and nothing else was committed.
        RemovalsError: statements would remove too many rows; nothing was committed.
        DataError: the rows do not add up; nothing was committed.
    """
    feeds = {feed.id: lake.open_table(places.bronze[feed.id]) for feed in table.feeds}
    silver = lake.open_table(places.table)
    work = plan(table, silver, feeds, lake.open_table(places.quarantine))
    if work.kind == "nothing" and silver is None:
        return Outcome(notes=(work.why,))
    if silver and work.kind != "rebuild":
        # before the rows: a crash after a rebuild, or a version without a change of logic, may have left an older tag
        silver = lake.set_properties(silver, properties(table, silver))
        if work.kind == "nothing" and not full_refresh:
            return Outcome(version=silver.version)
    from src.silver.merge import Merge  # where there is something to do: importing takes time

    columns = max(len(table.columns), *(len(bronze.columns) for bronze in feeds.values() if bronze), 0)
    with engine.for_columns(columns):
        kind = merging or Merge
        merge = kind(engine, table, places, batch, accepted_by, removals_accepted_by)
        if work.kind == "rebuild":
            outcome = merge.rebuild(feeds, judged=work.forgotten)  # each load was judged when it came
            noted = work.lost or (table.is_draft and silver is not None and not contract.is_current(table, silver))
            return replace(outcome, notes=(*outcome.notes, work.why)) if noted else outcome
        return merge.brought_up(feeds, full_refresh=full_refresh)


def _check_identity(table: Table, silver: lake.Snapshot, feeds: Mapping[str, lake.Snapshot | None]) -> None:
    """Refuse a bronze table that is not the one this table was built from: its versions say nothing here.

    Raises:
        MachineError: bronze was deleted, or replaced by another.
    """
    for feed in table.feeds:
        bronze, known = feeds[feed.id], silver.progress(lake.identity_of(feed.id))
        if known is not None and (bronze is None or bronze.identity != known):
            found = "is gone" if bronze is None else "is not the one this table was built from"
            fix = f"restore it from a backup, or delete {silver.root} to build the table from what bronze has now"
            raise MachineError(f"{feed.id} {found}", where=silver.root, fix=fix)


def _has_no_news(table: lake.Snapshot, source: str, bronze: lake.Snapshot) -> bool:
    """Return whether all that bronze has of a source was consumed, but for commits that took rows out of it."""
    consumed, rewritten = table.progress(source), bronze.progress(lake.FORGOTTEN)
    if consumed is None:
        return False
    return bronze.version == consumed or (bronze.version == rewritten and lake.has_same_rows(bronze, consumed))


def is_behind(table: lake.Snapshot, source: str, version: int) -> bool:
    """Return whether a table has not consumed this version of a source."""
    consumed = table.progress(source)
    return consumed is None or consumed < version
