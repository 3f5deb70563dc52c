"""A table reaches as far as its newest business day, and never further than what it was built from.

Silver reaches no further than the newest file that arrived in its feeds: a row dated beyond the moment at which it
arrived says nothing of today. What a seed brings, which lies beside the contracts, is no arrival. Silver without a
business date reaches as far as that newest file.

Gold reaches no further than the stalest dated table it reads, at the very version it was built from. Without a
business date of its own, or with one that knows months only, it reaches as far as that table. Left out are

    soft sources     the table goes on without their news; their own promises say that they are old
    retired sources  nobody waits for more of them
    sources that promise neither `latency` nor `frequency`, beside one that does: historical data

What has no date at all reaches as far as the last run that went through it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property

from src import lake
from src.bronze import ingest
from src.contract import Table
from src.monitors.reading import Business, Reading

BY_RUN, BY_ARRIVAL = "the last run", "_ingested_at"
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Reach:
    """The moment (UTC) up to which one version of a table has rows, and what decides it."""

    until: datetime | None  # None: there is no row that is not dated to come
    by: str  # a column of its own, that of a table it is built from (with its name), BY_ARRIVAL or BY_RUN
    business: Business | None = None  # the days of the table whose date decides; None: of what has no date

    @property
    def dated(self) -> bool:
        """Return whether a business date decides, or bounds, how far the rows reach."""
        return self.business is not None


@dataclass
class Reaches:
    """The reaches of the tables of one look; each version of a table is asked once."""

    reading: Reading
    _known: dict[tuple[str, int], Reach] = field(default_factory=dict)

    @cached_property
    def _tables(self) -> dict[str, Table]:
        return {table.id: table for table in self.reading.declared}

    def find(self, table: Table, snapshot: lake.Snapshot) -> Reach:
        """Return how far one version of a table reaches."""
        key = (table.id, snapshot.version)
        if key not in self._known:
            self._known[key] = (self._of_gold if table.sources else self._of_silver)(table, snapshot)
        return self._known[key]

    def _of_silver(self, table: Table, snapshot: lake.Snapshot) -> Reach:
        business, arrived = self.reading.business(table, snapshot), self._arrived(table, snapshot)
        if business is None:
            return Reach(arrived, BY_ARRIVAL) if arrived else self._by_run(table)
        if arrived and business.until and arrived < business.until:
            return Reach(arrived, BY_ARRIVAL, business)
        return Reach(business.until, str(table.business_date), business)

    def _arrived(self, table: Table, snapshot: lake.Snapshot) -> datetime | None:
        """Return when the newest file arrived of those that a version has rows of; None where that is not known."""
        found = []
        for feed in table.feeds:
            bronze = self.reading.attempt(feed.id, self._built_from, feed.id, snapshot)
            moment = ingest.newest_arrival(bronze) if bronze else None
            if moment is None or self.reading.project.contracts.seeds_of([feed]):
                return None
            found.append(moment)
        return max(found, default=None)

    def _of_gold(self, table: Table, snapshot: lake.Snapshot) -> Reach:
        business = self.reading.business(table, snapshot)
        own = None
        if business and not _knows_months_only(table, snapshot):
            own = Reach(business.until, str(table.business_date), business)
        below = self._stalest(table, snapshot)
        if own is None or below is None:
            return own or below or self._by_run(table)
        return below if own.until and below.until and below.until < own.until else own

    def _stalest(self, table: Table, snapshot: lake.Snapshot) -> Reach | None:
        """Return the reach of the stalest dated source; None where no source counts."""
        declared = (self._tables[name] for name in table.declared_sources if name not in table.soft_sources)
        sources = [source for source in declared if not source.is_retired]
        for promises in (True, False):
            chosen = [source for source in sources if source.promises_news is promises]
            if found := list(self._dated(chosen, snapshot)):
                return min(found, key=lambda reach: (reach.until or _NEVER, reach.by))
        return None

    def _dated(self, sources: list[Table], snapshot: lake.Snapshot) -> Iterator[Reach]:
        for source in sources:
            reach = self.reading.attempt(source.id, self._of_source, source, snapshot)
            if reach and reach.dated:
                yield reach if "." in reach.by else replace(reach, by=f"{source.id}.{reach.by}")

    def _of_source(self, source: Table, reader: lake.Snapshot) -> Reach | None:
        built_from = self._built_from(source.id, reader)
        return self.find(source, built_from) if built_from else None

    def _built_from(self, source: str, reader: lake.Snapshot) -> lake.Snapshot | None:
        """Return a feed or table at the version that a version of its reader was built from."""
        version = reader.progress(source)
        return self.reading.table(source, version) if version is not None and version >= 0 else None

    def _by_run(self, table: Table) -> Reach:
        return Reach(self.reading.looked.get(table.id), BY_RUN)


def _knows_months_only(table: Table, snapshot: lake.Snapshot) -> bool:
    """Return whether a table is partitioned by months: it has rows, and every business date is the first of one."""
    column = str(table.business_date)
    if column not in snapshot.partition_by or not snapshot.files:
        return False
    return all(str(file.partition[column]).endswith("-01") for file in snapshot.files)
